#!/bin/sh
# `make run` where no namespace can be made: decodes a capture that is written here. Usage: demo_file.sh WEIR
set -eu
weir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$work/demo.pcap" <<'P'
import struct, sys

def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def ipv4(protocol, payload, source, target):
    header = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, bytes(source), bytes(target))
    return header[:10] + struct.pack('!H', checksum(header)) + header[12:] + payload

a, b = (10, 99, 0, 1), (10, 99, 0, 2)
ethernet = bytes.fromhex('020000000002020000000001')
packets = []
for number in range(5):
    udp = struct.pack('!HHHH', 40000 + number, 53, 8 + 12, 0) + b'weir packet\n'
    packets.append(ethernet + b'\x08\x00' + ipv4(17, udp, a, b))
    tcp = struct.pack('!HHIIBBHHH', 443, 50000 + number, 1000 * number, 1, 0x50, 0x18, 512, 0, 0) + b'data'
    packets.append(ethernet + b'\x81\x00\x00\x64\x08\x00' + ipv4(6, tcp, b, a))
with open(sys.argv[1], 'wb') as out:
    out.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
    for number, packet in enumerate(packets):
        out.write(struct.pack('<IIII', 1700000000 + number, 123456789, len(packet), len(packet)) + packet)
P
"$weir" read -v "$work/demo.pcap"
