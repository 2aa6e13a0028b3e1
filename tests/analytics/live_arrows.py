#!/usr/bin/python3
"""weir capture -w arrows:- : whoever reads the pipe sees each burst of packets within the batch time, while the capture goes on.
The stream is read by the format's own tables (Arrow IPC, FlatBuffers), here. usage: live_arrows.py WEIR"""
import os
import select
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../net'))
import net  # noqa: E402
from net import expect, numbered  # noqa: E402

WEIR = os.path.abspath(sys.argv[1])
BATCH_SECONDS = 0.2  # what docs/weir.1 says of a stream's batches
SLACK = 0.8          # a busy machine


def slot(data, table, number):
    """The position of a slot's value in a FlatBuffers table, None when it is absent."""
    vtable = table - struct.unpack_from('<i', data, table)[0]
    if 4 + 2 * number >= struct.unpack_from('<H', data, vtable)[0]:
        return None
    offset = struct.unpack_from('<H', data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else None


def number(data, table, which, form):
    at = slot(data, table, which)
    return struct.unpack_from(form, data, at)[0] if at else 0


def follow(data, at):
    return at + struct.unpack_from('<I', data, at)[0]


class Reader:
    """Takes in a stream's bytes as they come; batches: (rows, time.monotonic() when it was whole)."""

    def __init__(self, file):
        self.file, self.data, self.batches, self.times = file, b'', [], []
        self.schemas, self.ended = 0, False

    def rows(self):
        return sum(rows for rows, _ in self.batches)

    def parse(self):
        while len(self.data) >= 8:
            mark, size = struct.unpack_from('<II', self.data)
            assert mark == 0xffffffff, hex(mark)
            if size == 0:
                self.ended = True
                self.data = self.data[8:]
                continue
            if len(self.data) < 8 + size:
                return
            message = follow(self.data, 8)
            body = number(self.data, message, 3, '<q')
            if len(self.data) < 8 + size + body:
                return
            kind, header = number(self.data, message, 1, '<B'), follow(self.data, slot(self.data, message, 2))
            if kind == 1:
                self.schemas += 1
            elif kind == 3:
                rows = number(self.data, header, 0, '<q')
                self.batches.append((rows, time.monotonic()))
                # The first column, timestamp_ns, is never null: its values are the second buffer.
                buffers = follow(self.data, slot(self.data, header, 2)) + 4
                offset, length = struct.unpack_from('<qq', self.data, buffers + 16)
                self.times += struct.unpack_from('<%dq' % (length // 8), self.data, 8 + size + offset)
            self.data = self.data[8 + size + body:]

    def read(self, rows, seconds):
        """Until so many rows are there; returns the seconds that it took, None: they did not come."""
        start = time.monotonic()
        while self.rows() < rows:
            left = start + seconds - time.monotonic()
            if left <= 0 or not select.select([self.file], [], [], left)[0]:
                return None
            piece = os.read(self.file.fileno(), 1 << 16)
            if not piece:
                return None
            self.data += piece
            self.parse()
        return time.monotonic() - start

    def rest(self):
        self.data += self.file.read()
        self.parse()


net.enter()
net.veth()
child = subprocess.Popen([WEIR, 'capture', '-i', 'wa', '-w', 'arrows:-'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
try:
    while b'capturing on' not in child.stderr.readline():
        pass
    reader = Reader(child.stdout)
    raw = net.sender('wb')
    sent = 0
    begun = time.time_ns()
    for burst in (1, 100, 1000, 1, 5000):
        for _ in range(burst):
            raw.send(numbered(sent))
            sent += 1
        took = reader.read(sent, 10)
        expect(took is not None and took < BATCH_SECONDS + SLACK and child.poll() is None,
               '%d packets are rows that can be read after %s s, the capture goes on' % (burst, took and round(took, 3)))
        expect(reader.rows() == sent, 'and no more than were sent: %d' % reader.rows())
    raw.close()
    child.send_signal(signal.SIGINT)
    reader.rest()
    expect(child.wait(10) == 0, 'the capture ends well')
    expect((reader.schemas, reader.ended, reader.rows(), reader.data) == (1, True, sent, b''),
           'one schema, the end mark, every row once (%d in %d batches)' % (reader.rows(), len(reader.batches)))
    expect(len(reader.times) == sent and begun < reader.times[0] and reader.times == sorted(reader.times) and
           reader.times[-1] < time.time_ns(), 'the times are those of now, in order')
finally:
    if child.poll() is None:
        child.kill()
        child.wait()
net.finish()
