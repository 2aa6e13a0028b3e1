"""What the network tests share: a namespace of their own, a veth pair, raw senders, weir as a child, pcapng.

    namespace of the test:   wa ----------- wb        both ends are here; packets sent on wb arrive on wa

The test script calls enter() first: it starts itself again inside a new network namespace.
"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ETH_P_ALL = 3
failures = []


def skip(reason):
    print('SKIP:', reason)
    sys.exit(77)


def expect(truth, text):
    print(('ok    ' if truth else 'FAIL  ') + text, flush=True)
    if not truth:
        failures.append(text)


def finish():
    print('%d failures' % len(failures))
    sys.exit(1 if failures else 0)


def enter():
    """Goes on inside a new network namespace, as root or as the root of a user namespace."""
    if os.environ.get('WEIR_TEST_INSIDE') == '1':
        for name in 'default', 'all':
            with open('/proc/sys/net/ipv6/conf/%s/disable_ipv6' % name, 'w') as file:
                file.write('1')
        run('ip', 'link', 'set', 'lo', 'up')
        return
    os.environ['WEIR_TEST_INSIDE'] = '1'
    for options in ['-n'], ['-Urn']:
        if subprocess.run(['unshare'] + options + ['true'], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ['WEIR_TEST_OPTIONS'] = options[0]
            os.execvp('unshare', ['unshare'] + options + [sys.executable] + sys.argv)
    skip('no network namespace can be made here')


def in_user_namespace():
    return os.environ['WEIR_TEST_OPTIONS'] == '-Urn'


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


def veth(left='wa', right='wb'):
    run('ip', 'link', 'add', left, 'type', 'veth', 'peer', 'name', right)
    run('ip', 'link', 'set', left, 'up')
    run('ip', 'link', 'set', right, 'up')


def sender(interface):
    """A bound raw socket that receives nothing."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind((interface, 0))
    return raw


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp(payload, sport=1000, dport=2000, src='10.1.0.1', dst='10.1.0.2', tags=b'', ident=0):
    """An Ethernet frame; tags: what stands between the addresses and the EtherType."""
    ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28 + len(payload), ident, 0, 64, 17, 0, socket.inet_aton(src),
                     socket.inet_aton(dst))
    ip = ip[:10] + struct.pack('!H', checksum(ip)) + ip[12:]
    return (b'\x02\0\0\0\0\x02\x02\0\0\0\0\x01' + tags + b'\x08\0' + ip +
            struct.pack('!HHHH', sport, dport, 8 + len(payload), 0) + payload)


def numbered(number, **more):
    return udp(struct.pack('!QQ', 0x5eed5eed5eed5eed, number), sport=1000 + number % 61, **more)


def number_of(frame):
    """The number in a frame of numbered(); None for another frame."""
    at = frame.find(b'\x5e\xed\x5e\xed\x5e\xed\x5e\xed')
    return struct.unpack('!Q', frame[at + 8:at + 16])[0] if at >= 0 else None


class Flood:
    """Sends numbered frames on an interface until stopped; next is the number not yet sent."""

    def __init__(self, interface, pause=0.0005, batch=20):
        self.next = 0
        self.ending = False
        self.raw = sender(interface)
        self.thread = threading.Thread(target=self.work, args=(pause, batch))
        self.thread.start()

    def work(self, pause, batch):
        while not self.ending:
            for _ in range(batch):
                self.raw.send(numbered(self.next))
                self.next += 1
            if pause:
                time.sleep(pause)

    def stop(self):
        self.ending = True
        self.thread.join()
        self.raw.close()
        return self.next


class Capture:
    """weir capture as a child. Its outputs and messages live in a directory that close() removes."""

    def __init__(self, weir, *arguments, interface='wa', output='out.pcapng', wait=True):
        self.directory = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.directory.name, output)
        self.stats_path = os.path.join(self.directory.name, 'stats.json')
        self.messages_path = os.path.join(self.directory.name, 'messages')
        with open(self.messages_path, 'w') as messages:
            self.child = subprocess.Popen([weir, 'capture', '-i', interface, '-w', self.path, '--stats-json',
                                           self.stats_path, *arguments], stderr=messages)
        if wait and not self.wait_for('capturing on', 10):
            self.child.kill()
            raise RuntimeError('weir did not start: ' + self.messages())

    def messages(self):
        with open(self.messages_path) as file:
            return file.read()

    def wait_for(self, text, seconds):
        until = time.time() + seconds
        while time.time() < until:
            if text in self.messages():
                return True
            if self.child.poll() is not None:
                return text in self.messages()
            time.sleep(0.002)
        return False

    def ticks(self):
        """CPU used by all its threads, in clock ticks."""
        with open('/proc/%d/stat' % self.child.pid) as file:
            fields = file.read().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def stop(self, settle=0.1):
        """Asks it to end after settle seconds and waits; returns its exit status."""
        time.sleep(settle)
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        try:
            status = self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise RuntimeError('weir did not end: ' + self.messages())
        self.stats = None
        if os.path.exists(self.stats_path):
            with open(self.stats_path) as file:
                self.stats = json.load(file)
        return status

    def packets(self):
        return list(read_pcapng(self.path))

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.directory.cleanup()


def read_pcapng(path):
    """Yields (frame bytes, length on the wire, link type) of each enhanced packet block."""
    with open(path, 'rb') as file:
        data = file.read()
    at, links = 0, []
    while at + 12 <= len(data):
        kind, length = struct.unpack_from('<II', data, at)
        if kind == 1:
            links.append(struct.unpack_from('<H', data, at + 8)[0])
        if kind == 6:
            interface, _, _, captured, wire = struct.unpack_from('<5I', data, at + 8)
            yield data[at + 28:at + 28 + captured], wire, links[interface]
        at += length


def read_pcap(path):
    """Yields (frame bytes, length on the wire) of each whole packet of a pcap file, which may still be growing."""
    with open(path, 'rb') as file:
        data = file.read()
    at = 24
    while at + 16 <= len(data):
        captured, wire = struct.unpack_from('<II', data, at + 8)
        if at + 16 + captured > len(data):
            return
        yield data[at + 16:at + 16 + captured], wire
        at += 16 + captured


def balanced(stats):
    return stats['seen'] == stats['written'] + stats['filtered'] + stats['lost']
