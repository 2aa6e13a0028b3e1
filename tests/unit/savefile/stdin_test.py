#!/usr/bin/python3
"""Standard input as people use it: packets are shown as they come, Ctrl-C ends a reader that waits for the first byte or for
the next, and what came before is shown. stdin_test.py WEIR"""
import os
import select
import signal
import struct
import subprocess
import sys
import time

PACKET = bytes.fromhex('0200000000010200000000020800' '4500002e000000004011' '0000' '0a000001' '0a000002' '04001388' '001a0000').ljust(60, b'\0')
HEADER = struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)


def record(number):
    return struct.pack('<IIII', 1700000000 + number, 0, 60, 60) + PACKET


def start(*arguments):
    return subprocess.Popen([sys.argv[1], 'read', '-', *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, bufsize=0)


def lines_within(child, count, seconds):
    """Lines of its output until there are count of them, or the time is over."""
    got, end = b'', time.monotonic() + seconds
    while got.count(b'\n') < count and time.monotonic() < end:
        if select.select([child.stdout], [], [], 0.1)[0]:
            got += os.read(child.stdout.fileno(), 65536)
    return got.count(b'\n')


def ends_within(child, seconds):
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        return None


def check(condition, what):
    if not condition:
        print('FAILED: ' + what)
        sys.exit(1)


def main():
    # No byte yet.
    child = start()
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    check(ends_within(child, 5) == -signal.SIGINT, 'SIGINT while waiting for the first byte ends it')

    # Cut at an awkward place: the rest of a packet comes later.
    child = start('-U')
    whole = HEADER + b''.join(record(number) for number in range(5))
    cut = len(HEADER) + 2 * 76 + 30
    child.stdin.write(whole[:cut])
    check(lines_within(child, 2, 5) == 2, 'the whole packets are shown while one is under way')
    child.stdin.write(whole[cut:])
    check(lines_within(child, 3, 5) == 3, 'the others are shown while the pipe is open')
    child.stdin.close()
    check(ends_within(child, 5) == 0, 'the end of the pipe ends it')

    # One by one: the one that is there is shown before the next comes.
    child = start('-U')
    child.stdin.write(HEADER)
    for number in range(3):
        child.stdin.write(record(number))
        check(lines_within(child, 1, 5) == 1, 'packet %d is shown at once' % number)
    # A signal while it waits for the next.
    child.send_signal(signal.SIGINT)
    check(ends_within(child, 5) == 0, 'SIGINT while waiting for a packet ends it in order')

    # Waiting costs nothing.
    child = start()
    child.stdin.write(HEADER + record(0))
    lines_within(child, 1, 5)
    time.sleep(1)
    with open('/proc/%d/stat' % child.pid) as file:
        fields = file.read().rsplit(')', 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    check(ticks <= os.sysconf('SC_CLK_TCK') // 5, 'an idle pipe costs %d ticks' % ticks)
    child.stdin.close()
    check(ends_within(child, 5) == 0, 'the end of the pipe ends it')
    print('ok')


if __name__ == '__main__':
    main()
