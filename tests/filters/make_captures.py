#!/usr/bin/python3
"""Writes the captures that the filter expressions are counted on, one for each link type: make_captures.py DIR"""
import logging
import os
import sys

logging.getLogger('scapy').setLevel(logging.ERROR)
from scapy.all import (ARP, BOOTP, CookedLinux, Dot1AD, Dot1Q, Dot3, ESP, Ether, GRE, ICMP, ICMPv6EchoRequest,  # noqa: E402
                       ICMPv6ND_NS, IP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, LLC, Loopback,
                       PPP, PPPoE, PPPoED, Raw, SCTP, SNAP, STP, TCP, UDP, VXLAN, fragment, wrpcap)
from scapy.contrib.mpls import MPLS  # noqa: E402

A, B = '02:00:00:00:00:01', '02:00:00:00:00:02'


def ip_packets():
    """IPv4 and IPv6 packets without a link header."""
    v4 = IP(src='10.1.2.3', dst='192.168.7.8')
    back = IP(src='192.168.7.8', dst='10.1.2.3')
    v6 = IPv6(src='2001:db8::1', dst='2001:db8:1::2')
    packets = []
    for flags in 'S', 'SA', 'A', 'PA', 'FA', 'R', 'U', 'SEC':
        packets.append(v4 / TCP(sport=40000, dport=80, flags=flags, seq=1000, window=512) / Raw(b'GET / HTTP/1.1\r\n'))
        packets.append(back / TCP(sport=80, dport=40000, flags=flags, options=[('MSS', 1460), ('WScale', 7)]))
        packets.append(v6 / TCP(sport=40001, dport=443, flags=flags))
    for port in 53, 67, 123, 161, 514, 1812, 4789, 6081, 33434:
        packets.append(v4 / UDP(sport=1024 + port, dport=port) / Raw(bytes(range(port % 200))))
        packets.append(v6 / UDP(sport=port, dport=1024 + port) / Raw(b'six'))
    for kind, code in (8, 0), (0, 0), (3, 1), (3, 3), (3, 4), (5, 1), (11, 0), (13, 0), (14, 0), (17, 0), (12, 0):
        packets.append(v4 / ICMP(type=kind, code=code) / Raw(b'ping' * 8))
    packets += [v6 / ICMPv6EchoRequest(data=b'abc'), v6 / ICMPv6ND_NS(tgt='2001:db8::9')]
    packets += [v4 / SCTP(sport=7, dport=8) / Raw(b'chunk'), IP(src='10.1.2.3', dst='224.0.0.18', proto=112) / Raw(bytes(20)),
                IP(src='10.1.2.4', dst='224.0.0.5', proto=89, ttl=1) / Raw(bytes(24)), v4 / ESP(spi=77, seq=1, data=bytes(40)),
                IP(src='10.1.2.3', dst='224.0.0.1', proto=2, ttl=1) / Raw(b'\x11\x64' + bytes(6)),
                IP(src='10.1.2.3', dst='192.168.7.8', proto=51) / Raw(b'\x06\x04\0\0' + bytes(20)),
                IP(src='10.1.2.3', dst='192.168.7.8', proto=103) / Raw(b'\x20\0' + bytes(20)),
                IP(src='10.1.2.3', dst='192.168.7.8', proto=136) / Raw(bytes(12)),
                v4 / GRE() / IP(src='172.16.0.1', dst='172.16.0.2') / UDP(sport=5, dport=6),
                v4 / IP(src='172.16.0.1', dst='172.16.0.2') / TCP(sport=5, dport=80),
                v4 / v6 / UDP(sport=5, dport=53), v6 / v4 / UDP(sport=5, dport=53)]
    packets += [IP(src='10.1.2.3', dst='192.168.7.8', options=[Raw(b'\x94\x04\0\0')]) / UDP(sport=9, dport=53),
                IP(src='10.1.2.3', dst='255.255.255.255', ttl=255, tos=0xb8) / UDP(sport=68, dport=67) / BOOTP(),
                IP(src='10.1.2.3', dst='239.1.2.3', tos=0x20, id=4242) / UDP(sport=5004, dport=5004) / Raw(bytes(1200)),
                IP(src='10.1.2.3', dst='192.168.7.8', flags='DF') / UDP(sport=1, dport=2) / Raw(bytes(300)),
                v4 / UDP(sport=3, dport=4789) / VXLAN(vni=42) / Ether(src=A, dst=B) / IP() / UDP(sport=5, dport=53)]
    packets += fragment(v4 / UDP(sport=77, dport=53) / Raw(bytes(3000)), 1000)
    packets += [v6 / IPv6ExtHdrHopByHop() / UDP(sport=9, dport=53), v6 / IPv6ExtHdrDestOpt() / TCP(sport=9, dport=80),
                v6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=9, dport=53),
                v6 / IPv6ExtHdrFragment(offset=0, m=1, id=5, nh=17) / UDP(sport=9, dport=53),
                v6 / IPv6ExtHdrFragment(offset=100, m=0, id=5, nh=17) / Raw(bytes(30)),
                IPv6(src='fe80::1', dst='ff02::1', hlim=255, tc=0xb8, fl=0x12345) / UDP(sport=546, dport=547)]
    return packets


def ethernet_packets():
    link = Ether(src=A, dst=B)
    v4 = IP(src='10.1.2.3', dst='192.168.7.8')
    v6 = IPv6(src='2001:db8::1', dst='2001:db8:1::2')
    packets = [link / packet for packet in ip_packets()]
    packets += [Ether(src=A, dst='ff:ff:ff:ff:ff:ff') / ARP(op=1, psrc='10.1.2.3', pdst='10.1.2.9', hwsrc=A),
                Ether(src=B, dst=A) / ARP(op=2, psrc='10.1.2.9', pdst='10.1.2.3', hwsrc=B, hwdst=A),
                Ether(src=B, dst=A, type=0x8035) / Raw(bytes(28)),
                Ether(src=A, dst='01:00:5e:01:02:03') / IP(src='10.1.2.3', dst='239.1.2.3') / UDP(sport=1, dport=5004),
                Ether(src=A, dst='33:33:00:00:00:01') / IPv6(src='fe80::1', dst='ff02::1') / UDP(sport=546, dport=547),
                Ether(src=A, dst='ff:ff:ff:ff:ff:ff') / IP(src='10.1.2.3', dst='10.1.2.255') / UDP(sport=137, dport=137)]
    for tags in ([Dot1Q(vlan=100)], [Dot1Q(vlan=0, prio=5)], [Dot1Q(vlan=4094, prio=7, id=1)],
                 [Dot1AD(vlan=200), Dot1Q(vlan=30)], [Dot1Q(vlan=5), Dot1Q(vlan=6)], [Dot1Q(vlan=100), Dot1Q(vlan=30)]):
        for inner in (v4 / UDP(sport=1, dport=53), v4 / TCP(sport=1, dport=80), v6 / UDP(sport=1, dport=53),
                      ARP(psrc='10.1.2.3', pdst='10.1.2.9')):
            frame = link
            for tag in tags:
                frame = frame / tag.copy()
            packets.append(frame / inner)
    for labels in (16,), (100, 200), (1024, 16, 3):
        stack = link.copy()
        stack.type = 0x8847
        for at, label in enumerate(labels):
            stack = stack / MPLS(label=label, s=int(at == len(labels) - 1), ttl=64)
        packets += [stack / v4 / UDP(sport=1, dport=53), stack / v6 / TCP(sport=1, dport=80)]
    packets += [link / PPPoED(code=9), link / PPPoE(sessionid=7) / PPP(proto=0x21) / v4 / UDP(sport=1, dport=53),
                link / PPPoE(sessionid=8) / PPP(proto=0x57) / v6 / TCP(sport=1, dport=80),
                link / PPPoE(sessionid=7) / PPP(proto=0xc021) / Raw(b'\1\1\0\4'),
                link / Dot1Q(vlan=100) / PPPoE(sessionid=9) / PPP(proto=0x21) / v4 / TCP(sport=1, dport=80),
                Dot3(src=A, dst='01:80:c2:00:00:00') / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(),
                Dot3(src=A, dst=B) / LLC(dsap=0xaa, ssap=0xaa, ctrl=3) / SNAP(OUI=0, code=0x0800) / v4 / UDP(sport=1, dport=53),
                Dot3(src=A, dst=B) / LLC(dsap=0xe0, ssap=0xe0, ctrl=3) / Raw(bytes(30)),
                Dot3(src=A, dst=B) / LLC(dsap=0xfe, ssap=0xfe, ctrl=3) / Raw(b'\x83' + bytes(26)),
                Ether(src=A, dst='01:80:c2:00:00:0e', type=0x88cc) / Raw(bytes(46)),
                Ether(src=A, dst='01:80:c2:00:00:03', type=0x888e) / Raw(bytes(46)),
                Ether(src=A, dst=B, type=0x8863) / Raw(bytes(5)), Ether(src=A, dst=B, type=0x9000) / Raw(bytes(46)),
                Ether(src=A, dst=B, type=0x6003) / Raw(bytes(46)), Ether(src=A, dst=B, type=0x809b) / Raw(bytes(46))]
    # cut short, as by a snap length: with a length on the wire that the bytes do not reach
    whole = bytes(link / v4 / TCP(sport=1, dport=80) / Raw(bytes(500)))
    for length in 0, 10, 14, 20, 34, 40:
        cut = Raw(whole[:length])
        cut.wirelen = len(whole)
        packets.append(cut)
    return packets


def main():
    directory = sys.argv[1]
    packets = ip_packets()
    # IPv6's address family is another one on each BSD
    families = [2 if packet.version == 4 else (24, 28, 30)[at % 3] for at, packet in enumerate(packets)]
    for seconds, packet in enumerate(packets):
        packet.time = 1700000000 + seconds
    ethernet = ethernet_packets()
    for seconds, packet in enumerate(ethernet):
        packet.time = 1700000000 + seconds
    wrpcap(os.path.join(directory, 'ethernet.pcap'), ethernet, linktype=1)
    wrpcap(os.path.join(directory, 'raw.pcap'), packets, linktype=101)
    wrpcap(os.path.join(directory, 'null.pcap'),
           [Loopback(type=family) / packet for family, packet in zip(families, packets)], linktype=0)
    ether_types = [0x800 if packet.version == 4 else 0x86dd for packet in packets]
    wrpcap(os.path.join(directory, 'sll.pcap'),
           [CookedLinux(pkttype=at % 5, lladdrtype=1, lladdrlen=6, src=bytes(8), proto=ether_type) / packet
            for at, (ether_type, packet) in enumerate(zip(ether_types, packets))], linktype=113)
    wrpcap(os.path.join(directory, 'sll2.pcap'),
           [Raw(ether_type.to_bytes(2, 'big') + b'\0\0' + (at % 3 + 1).to_bytes(4, 'big') + b'\0\1' +
                bytes([at % 5, 6]) + bytes(8) + bytes(packet))
            for at, (ether_type, packet) in enumerate(zip(ether_types, packets))], linktype=276)
    wrpcap(os.path.join(directory, 'ppp.pcap'),
           [Raw((0x21 if packet.version == 4 else 0x57).to_bytes(2, 'big') + bytes(packet)) for packet in packets], linktype=9)


main()
