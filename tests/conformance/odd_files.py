#!/usr/bin/python3
"""What compare says of files that one side refuses, or reads to a lesser end: odd_files.py WEIR"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

COMPARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'compare')
UDP = bytes.fromhex('020000000002020000000001080045000020000100004011000a0a0000010a000002'
                    '30390035000c000061626364')
# A PIM version 1 query: a message of IGMP. A type that tshark puts out with a control character.
PIM = bytes.fromhex('01005e000002020000000001080045000020000100000102c3d00a000001e0000002140000000100000010020069')
# A TCP checksum of 0xffff where 0x0000 would be written.
NEGATIVE_ZERO = bytes.fromhex('02000000000202000000000108004500002c00010000400666c90a0000010a0000029c419c4d'
                              '000000010000000250101000ffff0000a76eabcd')
failures = 0


def pcap(packets, link=1, version=2):
    out = struct.pack('<IHHiIII', 0xa1b2c3d4, version, 4, 0, 0, 262144, link)
    return out + b''.join(struct.pack('<IIII', 1700000000, n, len(p), wire if wire is not None else len(p)) + p
                          for n, (p, wire) in enumerate(packets))


def expect(weir, name, content, status, *words):
    global failures
    with open(name, 'wb') as file:
        file.write(content)
    done = subprocess.run([sys.executable, COMPARE, '--verify-checksums', '--weir', weir, name], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    missing = [word for word in words if word not in said]
    if done.returncode != status or missing or 'Traceback' in said:
        failures += 1
        print('FAILED %s: exit %d, not %d; not said: %s; said: %s' % (name, done.returncode, status, missing, said))


def main():
    weir = os.path.abspath(sys.argv[1])
    if not shutil.which('tshark'):
        print('skipped: no tshark')
        return 77
    whole = [(UDP, None)] * 3
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        expect(weir, 'whole', pcap(whole), 0, '3 packets of 1 files: 3 equal')
        expect(weir, 'empty', pcap([]), 0, 'compared 0 packets of 1 files')
        expect(weir, 'nothing', b'', 0, '0 packets read by both; weir: ', 'files that weir alone refuses')
        expect(weir, 'version', pcap(whole, version=1), 0, 'files that both refuse')
        expect(weir, 'cut', pcap(whole)[:-9], 0, '2 packets read by both', 'weir: cut: cut off after packet 2',
               'tshark: The file "cut" appears to have been cut short', '2 equal')
        expect(weir, 'unknown', pcap(whole, link=284), 0, '3 by weir only', 'tshark alone refuses')
        expect(weir, 'lengths', pcap([(UDP, 20)]), 0, 'excused      1  length-below-captured')
        expect(weir, 'pim', pcap([(PIM, None)]), 0, '1 equal')
        expect(weir, 'zero', pcap([(NEGATIVE_ZERO, None)]), 0, 'excused      1  negative-zero')
        # A reader that leaves a packet out without a word differs.
        for name, change in ('fewer', '| head -n 2'), ('more', '; tail -n 1 out'), ('other', '| sed s/10.0.0.1/10.0.0.9/'):
            with open(name + '.sh', 'w') as file:
                file.write('#!/bin/sh\n%s "$@" >out\n cat out %s\n' % (weir, change))
            os.chmod(name + '.sh', 0o755)
            expect(os.path.abspath(name + '.sh'), name, pcap(whole), 1, 'differs')
    print('%d failed' % failures)
    return 1 if failures else 0


sys.exit(main())
