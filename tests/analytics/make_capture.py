#!/usr/bin/python3
"""Writes a capture of known conversations: TCP with overtaken, repeated and overlapping segments that ends by FIN,
RST or not at all, over IPv4, IPv6 and VLANs, and UDP, ICMP, ICMPv6, SCTP, OSPF. usage: make_capture.py FILE [scan]"""
import random
import sys

from scapy.all import (ARP, ICMP, IP, SCTP, TCP, UDP, Dot1Q, Ether, ICMPv6ND_NA, ICMPv6ND_NS, IPv6, Raw,
                       SCTPChunkData, wrpcap)

random.seed(5)
packets = []
now = 1510646400.0
MASK = 2**32


def add(packet, gap=0.001):
    global now
    now += gap
    packet.time = now
    packets.append(packet)


def frame(vlan):
    ether = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')
    return ether / Dot1Q(vlan=vlan) if vlan else ether


class Side:
    def __init__(self, address, port):
        self.address, self.port, self.seq = address, port, random.randrange(MASK)
        self.stream = bytes(random.randrange(256) for _ in range(8000))
        self.base = (self.seq + 1) % MASK


def segment(a, b, flags, at=None, length=0, gap=0.001, vlan=None):
    """length bytes of a's stream at offset `at` (None: where a is, and a goes on)."""
    ip = (IPv6 if ':' in a.address else IP)(src=a.address, dst=b.address)
    seq = a.seq if at is None else (a.base + at) % MASK
    offset = (seq - a.base) % MASK
    data = a.stream[offset:offset + length] if length else b''
    add(frame(vlan) / ip / TCP(sport=a.port, dport=b.port, flags=flags, seq=seq, ack=b.seq if 'A' in flags else 0,
                               window=5000) / Raw(data), gap)
    if at is None:
        a.seq = (seq + length + ('S' in flags) + ('F' in flags)) % MASK


def conversation(a, b, end, vlan=None):
    segment(a, b, 'S', vlan=vlan)
    segment(b, a, 'SA', gap=0.02, vlan=vlan)
    segment(a, b, 'A', gap=0.01, vlan=vlan)
    cuts = [0]
    for _ in range(6):
        cuts.append(cuts[-1] + random.randrange(1, 900))
    for i in (0, 2, 1, 3, 3, 5, 4):  # 2 and 5 overtake, 3 comes twice
        segment(a, b, 'PA', cuts[i], cuts[i + 1] - cuts[i], 0.0005, vlan)
    segment(a, b, 'PA', cuts[3], cuts[6] - cuts[3], 0.0005, vlan)  # 3 to 5 once more, as one
    a.seq = (a.base + cuts[6]) % MASK
    for _ in range(3):
        segment(b, a, 'A', None, random.randrange(1, 1400), vlan=vlan)
    if end == 'fin':
        segment(a, b, 'FA', vlan=vlan)
        segment(b, a, 'FA', vlan=vlan)
        segment(a, b, 'A', vlan=vlan)
    elif end == 'rst':
        segment(b, a, 'R', vlan=vlan)


for n in range(20):
    conversation(Side(f'10.0.0.{n + 1}', 40000 + n), Side(f'10.0.1.{n % 5 + 1}', 80), ('fin', 'rst', None)[n % 3])
    conversation(Side(f'2001:db8::{n + 1:x}', 50000 + n), Side('2001:db8:1::1', 443), 'fin')
for vlan in (100, 200):
    conversation(Side('10.9.0.1', 1), Side('10.9.0.2', 2), 'fin', vlan)
for n in range(10):
    host, other = '10.2.0.1', f'10.2.0.{n + 2}'
    add(frame(0) / IP(src=host, dst=other) / UDP(sport=5000 + n, dport=53) / Raw(b'q' * 30))
    add(frame(0) / IP(src=other, dst=host) / UDP(sport=53, dport=5000 + n) / Raw(b'a' * 90))
    add(frame(0) / IP(src='10.3.0.1', dst='10.3.0.2') / ICMP(type=8, id=n, seq=1))
    add(frame(0) / IP(src='10.3.0.2', dst='10.3.0.1') / ICMP(type=0, id=n, seq=1))
add(frame(0) / IP(src='10.3.0.9', dst='10.3.0.2') / ICMP(type=11, code=1) / IP(src='10.3.0.2', dst='10.3.7.7') /
    UDP(sport=9, dport=9))
add(frame(0) / IPv6(src='fe80::1', dst='fe80::2') / ICMPv6ND_NS(tgt='fe80::2'))
add(frame(0) / IPv6(src='fe80::2', dst='fe80::1') / ICMPv6ND_NA(tgt='fe80::2'))
add(frame(0) / IP(src='10.4.0.1', dst='10.4.0.2', proto=89) / Raw(b'x' * 28))
add(frame(0) / IP(src='10.5.0.1', dst='10.5.0.2') / SCTP(sport=7, dport=8) / SCTPChunkData(data=b'abc'))
add(frame(0) / ARP())
if sys.argv[2:] == ['scan']:
    for port in range(1, 41):
        add(frame(0) / IP(src='10.66.0.1', dst=f'10.66.1.{port % 4 + 1}') / TCP(sport=6000, dport=port, flags='S', seq=port))
wrpcap(sys.argv[1], packets)
