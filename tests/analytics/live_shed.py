#!/usr/bin/python3
"""weir capture with a network sink whose far end is slow or gone while packets arrive over a veth pair: the other
outputs are whole, what was shed is counted by name, a spool keeps it for later. usage: live_shed.py WEIR"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../net'))
import net  # noqa: E402
from net import Capture, expect, read_pcapng, udp  # noqa: E402

WEIR = os.path.abspath(sys.argv[1])


def frame(number):
    """The number is the source address's lower three bytes: every output shows it."""
    return udp(bytes(18), src='10.%d.%d.%d' % (number >> 16, number >> 8 & 255, number & 255))


def number_of_line(line):
    a, b, c = map(int, json.loads(line)['src_ip'].split('.')[1:])
    return a << 16 | b << 8 | c


def send(first, count, pause=0.002):
    """Numbers first to first + count, some 10,000 a second."""
    raw = net.sender('wb')
    for number in range(first, first + count):
        raw.send(frame(number))
        if number % 20 == 0:
            time.sleep(pause)
    raw.close()
    return first + count


class Listener:
    """Takes connections on the loopback. pace: bytes a second that it reads, None: all it can."""

    def __init__(self, port=0, pace=None):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if pace is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.bind(('127.0.0.1', port))
        self.socket.listen(8)
        self.port, self.pace, self.data, self.stopped = self.socket.getsockname()[1], pace, bytearray(), False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.socket.settimeout(0.05)
        while not self.stopped:
            try:
                peer = self.socket.accept()[0]
            except TimeoutError:
                continue
            peer.settimeout(0.05)
            while not self.stopped:
                try:
                    piece = peer.recv(self.pace // 20 if self.pace else 65536)
                except TimeoutError:
                    continue
                if not piece:
                    break
                self.data += piece
                if self.pace:
                    time.sleep(0.05)
            peer.close()
        self.socket.close()

    def lines(self):
        return [number_of_line(line) for line in bytes(self.data).split(b'\n')[:-1]]

    def wait_for(self, count, seconds=15):
        until = time.time() + seconds
        while self.data.count(b'\n') < count and time.time() < until:
            time.sleep(0.02)
        return self.data.count(b'\n')

    def stop(self):
        self.stopped = True
        self.thread.join()


def capture_to(target, *more):
    """Into the far end, and beside it into a pcapng and an NDJSON file."""
    return Capture(WEIR, '-w', target, '-w', 'beside.ndjson', *more)


def sink_of(stats, kind):
    return next(sink for sink in stats['sinks'] if sink['kind'] == kind)


def beside(capture, count, name):
    """The two files have every packet, once and in order; nothing was lost in the ring."""
    saved = [data[26:30] for data, _, _ in capture.packets()]
    with open('beside.ndjson') as file:
        lines = [number_of_line(line) for line in file]
    want = [b'\x0a' + number.to_bytes(3, 'big') for number in range(count)]
    expect(saved == want, '%s: the pcapng file beside is whole (%d)' % (name, len(saved)))
    expect(lines == list(range(count)), '%s: the NDJSON file beside is whole (%d)' % (name, len(lines)))
    stats = capture.stats
    expect(stats['lost'] == 0 and stats['seen'] == stats['written'] == count, '%s: nothing lost, the ledger balances: %s' %
           (name, {key: stats[key] for key in ('seen', 'written', 'filtered', 'lost')}))


def far(pace, name, count):
    """A far end that is not fast enough, no spool."""
    listener = Listener(pace=pace)
    capture = capture_to('tcp://127.0.0.1:%d?queue=1024' % listener.port)
    send(0, count)
    started = time.time()
    status = capture.stop()
    took = time.time() - started
    listener.wait_for(10 ** 9, 0.3)
    listener.stop()
    beside(capture, count, name)
    sink = sink_of(capture.stats, 'tcp')
    events = sink['events']
    got = listener.lines()
    expect(sink['offered'] == count == sink['written'] + sink['shed'] and events['shed_queue_full'] > 0,
           '%s: offered = written + shed: %d = %d + %d' % (name, sink['offered'], sink['written'], sink['shed']))
    expect(sink['shed'] == events['shed_queue_full'] + events['shed_undelivered'] and
           sink['written'] == events['delivered'],
           '%s: by name: %s' % (name, events))
    expect(len(got) >= sink['written'] > 0 and all(a < b for a, b in zip(got, got[1:])),
           '%s: what is said to be delivered came, in order, once (%d)' % (name, len(got)))
    expect(took < 16, '%s: the end comes in %.1f s' % (name, took))
    expect((status == 1) == (events['shed_undelivered'] > 0) and capture.messages().count('Traceback') == 0,
           '%s: status %d' % (name, status))
    capture.close()


def spooled():
    """It goes away in mid-run: the spool keeps the rest; it comes back in mid-run, goes again, and a later run sends
    what lies there."""
    listener = Listener()
    port = listener.port
    target = 'tcp://127.0.0.1:%d?queue=8192' % port  # on a busy machine its thread may wait for a second's tenths
    capture = capture_to(target, '--spool', 'spool')
    sent = send(0, 3000)
    expect(listener.wait_for(sent) == sent, 'spool: all that was sent so far is there')
    listener.stop()
    sent = send(sent, 6000)
    again = Listener(port)
    sent = send(sent, 3000)
    expect(again.wait_for(sent - 3000) == sent - 3000, 'spool: when it is back it gets the rest, also what it missed')
    again.stop()
    last = sent
    sent = send(sent, 6000)
    expect(capture.stop() == 0, 'spool: status 0, nothing is lost')
    beside(capture, sent, 'spool')
    sink = sink_of(capture.stats, 'tcp')
    expect((sink['written'], sink['shed'], sink['events']['spool_left']) == (sent, 0, sent - last),
           'spool: nothing shed, the rest is in the spool: %s' % sink['events'])
    capture.close()
    third = Listener(port)
    later = Capture(WEIR, '-w', target, '--spool', 'spool', output='later.pcapng')
    arrived = third.wait_for(sent - last)
    expect(later.stop() == 0 and arrived == sent - last, 'spool: a later run sends it')
    third.stop()
    expect(listener.lines() + again.lines() + third.lines() == list(range(sent)),
           'spool: every row came once and in order over three connections and two runs')
    expect(sink_of(later.stats, 'tcp')['events']['spool_left'] == 0, 'spool: and it is empty')
    later.close()


net.enter()
net.veth()
directory = tempfile.mkdtemp()
os.chdir(directory)
try:
    far(20000, 'crawling', 20000)
    far(200000, 'slow', 20000)
    spooled()
finally:
    os.chdir('/')
    shutil.rmtree(directory)
net.finish()
