#!/usr/bin/python3
"""tcp:// and unix: outputs against a listener that is slow, absent, killed and back: nothing is lost or doubled within
the spool's size, other outputs go on, what is shed is counted. usage: netsink.py WEIR MAKE_CAPTURE"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

weir, make_capture = map(os.path.abspath, sys.argv[1:3])
failures = 0


def check(what, got, want):
    global failures
    if got != want:
        failures += 1
        print(f'{what}: got {str(got)[:500]}, want {str(want)[:500]}')


class Listener:
    """Accepts connections and collects what comes; closes each one after `breaks` bytes with a reset."""

    def __init__(self, path=None, breaks=None, port=0):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(path or ('127.0.0.1', port))
        self.socket.listen(8)
        self.port = None if path else self.socket.getsockname()[1]
        self.breaks, self.streams, self.stopped = list(breaks or []), [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.socket.settimeout(0.1)
        while not self.stopped:
            try:
                peer = self.socket.accept()[0]
            except TimeoutError:
                continue
            limit = self.breaks.pop(0) if self.breaks else None
            data = bytearray()
            self.streams.append(data)
            peer.settimeout(0.1)
            while not self.stopped or limit is None:
                try:
                    piece = peer.recv(65536 if limit is None else max(1, min(65536, limit - len(data))))
                except TimeoutError:
                    if self.stopped:
                        break
                    continue
                data += piece
                if not piece or (limit is not None and len(data) >= limit):
                    break
            peer.close()  # with data unread: a reset
        self.socket.close()

    def stop(self):
        self.stopped = True
        self.thread.join()
        return self.streams


def sink_of(path, kind):
    return next(s for s in json.load(open(path))['sinks'] if s['kind'] == kind)


directory = tempfile.mkdtemp()
try:
    os.chdir(directory)
    subprocess.run(['/usr/bin/python3', make_capture, 'one.pcap'], check=True)
    # Enough packets that kernel buffers do not hold them all.
    subprocess.run([weir, 'read', *['one.pcap'] * 60, '--unordered', '-w', 'x.pcapng'], check=True)
    subprocess.run([weir, 'read', 'x.pcapng', '-w', 'want.ndjson'], check=True)
    want = open('want.ndjson', 'rb').read()
    rows = want.count(b'\n')
    assert rows > 40000

    # In order, whole, by TCP and by a unix socket.
    listener = Listener()
    subprocess.run([weir, 'read', 'x.pcapng', '-w', f'tcp://127.0.0.1:{listener.port}'], check=True)
    check('tcp', b''.join(listener.stop()) == want, True)
    listener = Listener('s')
    subprocess.run([weir, 'read', 'x.pcapng', '-w', 'unix:s'], check=True)
    check('unix', b''.join(listener.stop()) == want, True)
    os.unlink('s')

    # An Arrow stream.
    listener = Listener()
    subprocess.run([weir, 'read', 'x.pcapng', '-w', f'tcp://127.0.0.1:{listener.port}?format=arrow'], check=True)
    stream = b''.join(listener.stop())
    check('arrow stream', (stream[:4], stream[-8:]), (b'\xff' * 4, b'\xff' * 4 + bytes(4)))

    # Connections that are reset in mid-line. What the reset destroys in the peer's kernel is lost to any protocol
    # without acknowledgements of its own; but nothing comes twice by TCP, and no line is torn.
    for path, name in ((None, 'tcp'), ('s', 'unix')):
        listener = Listener(path, breaks=[100001, 70003, 1])
        target = f'unix:{path}' if path else f'tcp://127.0.0.1:{listener.port}'
        subprocess.run([weir, 'read', 'x.pcapng', '-w', target, '--stats-json', 's.json'], check=True)
        streams = listener.stop()
        check(f'{name} connections', len(streams), 4)
        lines = b''.join(s[:s.rfind(b'\n') + 1] for s in streams).split(b'\n')[:-1]
        wanted = want.split(b'\n')[:-1]
        if name == 'tcp':
            rest = iter(wanted)
            check('tcp: a subsequence, nothing doubled', all(any(line == w for w in rest) for line in lines), True)
        check(f'{name} last line', lines[-1], wanted[-1])
        sink = sink_of('s.json', name)
        check(f'{name} ledger', (sink['written'], sink['shed']), (rows, 0))
    os.unlink('s')

    # Nobody there: without a spool an error at once; with one all is kept, other outputs are whole, and a later
    # run sends it.
    free = socket.socket()
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
    free.close()
    run = subprocess.run([weir, 'read', 'x.pcapng', '-w', f'tcp://127.0.0.1:{port}'], capture_output=True, text=True)
    check('refused', (run.returncode, run.stderr.count('\n'), 'Connection refused' in run.stderr, '--spool' in run.stderr),
          (1, 1, True, True))
    subprocess.run([weir, 'read', 'x.pcapng', '-w', f'tcp://127.0.0.1:{port}', '-w', 'beside.ndjson', '--spool', 'spool',
                    '--stats-json', 's.json'], check=True)
    check('beside', open('beside.ndjson', 'rb').read() == want, True)
    check('spooled', sink_of('s.json', 'tcp')['events']['spool_left'], rows)
    listener = Listener(port=port)
    subprocess.run([weir, 'read', 'one.pcap', '-w', f'tcp://127.0.0.1:{port}', '--spool', 'spool', '--stats-json',
                    's.json'], check=True)
    one = subprocess.run([weir, 'read', 'one.pcap', '--format', 'ndjson'], check=True, capture_output=True).stdout
    check('resumed', b''.join(listener.stop()) == want + one, True)
    check('resumed ledger', [sink_of('s.json', 'tcp')['events'][k] for k in ('spool_left', 'spool_resumed')], [0, rows])

    # A listener that does not read, and a short queue: the writer goes on, the rest is shed and named.
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.bind(('127.0.0.1', 0))
    stuck.listen(1)
    started = time.monotonic()
    run = subprocess.run([weir, 'read', 'x.pcapng', '-w', f'tcp://127.0.0.1:{stuck.getsockname()[1]}?queue=1024&patience=1', '-w',
                          'beside.ndjson', '--stats-json', 's.json'], capture_output=True, text=True)
    stuck.close()
    sink = sink_of('s.json', 'tcp')
    check('stuck', (run.returncode, sink['written'] + sink['shed'], sink['shed'] > rows - 5000,
                    sink['events']['shed_queue_full'] > 0, 'not delivered' in run.stderr), (1, rows, True, True, True))
    check('stuck beside', open('beside.ndjson', 'rb').read() == want, True)
    check('stuck time', time.monotonic() - started < 20, True)

    # Bad addresses.
    for spec in ('tcp://127.0.0.1', 'tcp://:1', 'tcp://h:99999', 'tcp://127.0.0.1:1?format=x', 'tcp://127.0.0.1:1?colour=1',
                 'unix:', 'tcp://127.0.0.1:1?queue=1'):
        run = subprocess.run([weir, 'read', 'one.pcap', '-w', spec], capture_output=True, text=True)
        check(spec, (run.returncode, run.stderr.startswith('weir: '), run.stderr.count('\n')), (2, True, 1))
    print(f'{rows} rows over tcp and unix sockets')
finally:
    shutil.rmtree(directory)
sys.exit(1 if failures else 0)
