#!/usr/bin/python3
"""Makes the captures that the conformance test compares: every protocol that weir decodes, each
in many forms, tunnels in tunnels, fragments, paddings, cuts and wrong lengths. The same every
time (fixed seed).

    make_packets.py DIRECTORY
"""
import logging
import os
import random
import struct
import sys

logging.getLogger('scapy').setLevel(logging.CRITICAL)
from scapy.all import (ARP, Dot1Q, Ether, GRE, ICMP, IP, IPv6, Raw, SCTP, TCP, UDP, ICMPv6EchoRequest,  # noqa: E402
                       ICMPv6EchoReply, ICMPv6DestUnreach, ICMPv6ND_NS, ICMPv6MLQuery, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, PPP, PPPoE, PPPoED, IPOption_RR, IPOption_NOP,
                       IPOption_Timestamp, SCTPChunkData, SCTPChunkInit, STP, LLC, SNAP, EAPOL, AH, ESP)
from scapy.layers.inet6 import IPv6ExtHdrSegmentRouting  # noqa: E402
from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.contrib.mpls import MPLS  # noqa: E402

RANDOM = random.Random(20261122)
LINKTYPES = {'null': 0, 'ethernet': 1, 'ppp': 9, 'raw': 101, 'chdlc': 104, 'loop': 108, 'sll': 113, 'sll2': 276,
             'token_ring': 6, 'fddi': 10, 'llc': 100, 'wlan': 105, 'frame_relay': 107, 'enc': 109, 'pflog': 117,
             'radiotap': 127, 'juniper': 178, 'ppi': 192, 'ipnet': 226, 'nflog': 239, 'ipoib': 242, 'pktap': 258}
# Ports that no dissector of tshark claims, so that what lies behind them is not guessed at.
PORTS = [40001, 40013, 41111, 49999, 51515, 60001, 65000]


def raw(text):
    return Raw(bytes.fromhex(text.replace(' ', '')))


def data(length=None):
    return Raw(bytes(RANDOM.getrandbits(8) | 1 for _ in range(RANDOM.choice((0, 1, 7, 20, 100, 512, 1200))
                                                             if length is None else length)))


def mac():
    # Known vendors, as in real captures: tshark's guess below MPLS looks for them.
    return RANDOM.choice(('00:50:56', '00:0c:29', '08:00:27', '00:1b:21')) + ':%02x:%02x:%02x' % tuple(
        RANDOM.getrandbits(8) for _ in range(3))


def v4():
    return '10.%d.%d.%d' % tuple(RANDOM.randrange(1, 255) for _ in range(3))


def v6():
    return '2001:db8:%x:%x::%x' % tuple(RANDOM.getrandbits(16) | 1 for _ in range(3))


def port():
    return RANDOM.choice(PORTS)


def eth(**fields):
    return Ether(src=mac(), dst=mac(), **fields)


def ip(**fields):
    fields.setdefault('tos', RANDOM.getrandbits(8))
    fields.setdefault('ttl', RANDOM.randrange(1, 256))
    fields.setdefault('flags', RANDOM.choice((0, 'DF')))
    return IP(src=v4(), dst=v4(), id=RANDOM.getrandbits(16), **fields)


def ip6(**fields):
    return IPv6(src=v6(), dst=v6(), tc=RANDOM.getrandbits(8), fl=RANDOM.getrandbits(20),
                hlim=RANDOM.randrange(1, 256), **fields)


def tcp():
    options = RANDOM.choice((
        [], [('NOP', None), ('NOP', None), ('Timestamp', (RANDOM.getrandbits(32), 7))],
        [('MSS', 1460), ('SAckOK', b''), ('Timestamp', (1, 0)), ('NOP', None), ('WScale', 7)],
        [('NOP', None), ('NOP', None), ('SAck', (1, 2, 3, 4))], [('MSS', 536)], [('EOL', None)],
        [(34, b'abcdef')], [('NOP', None)] * 40))
    return TCP(sport=port(), dport=port(), seq=RANDOM.getrandbits(32), ack=RANDOM.getrandbits(32),
               flags=RANDOM.getrandbits(9), window=RANDOM.getrandbits(16), urgptr=0, options=options) / data()


def udp(payload=None, **fields):
    fields.setdefault('sport', port())
    fields.setdefault('dport', port())
    return UDP(**fields) / (data() if payload is None else payload)


def udplite():
    return raw('%04x%04x0000%04x' % (port(), port(), RANDOM.getrandbits(16))) / data(30)


def dccp():
    kind = RANDOM.choice((0, 2, 4, 7))
    if RANDOM.random() < .5:
        return raw('%04x%04x 0600 1234 %02x000001 00000002 00000003 00000004' % (port(), port(), kind << 1 | 1)) / data(9)
    return raw('%04x%04x 0400 1234 %02x000001 00000002' % (port(), port(), 2 << 1)) / data(9)


def sctp():
    chunk = SCTPChunkInit(init_tag=5) if RANDOM.random() < .4 else SCTPChunkData(data=b'hello' * 3, tsn=4)
    return SCTP(sport=port(), dport=port(), tag=RANDOM.getrandbits(32)) / chunk


def icmp():
    kind = RANDOM.choice((0, 3, 5, 8, 11, 12, 13, 14, 17, 18))
    body = data(40)
    if kind in (3, 5, 11, 12):
        body = IP(src=v4(), dst=v4()) / UDP(sport=port(), dport=port()) / data(4)
    return ICMP(type=kind, code=RANDOM.randrange(0, 4), id=RANDOM.getrandbits(16), seq=RANDOM.getrandbits(16)) / body


def icmpv6():
    return RANDOM.choice((
        lambda: ICMPv6EchoRequest(id=RANDOM.getrandbits(16), seq=RANDOM.getrandbits(16), data=b'ping' * 9),
        lambda: ICMPv6EchoReply(id=RANDOM.getrandbits(16), seq=RANDOM.getrandbits(16)),
        lambda: ICMPv6DestUnreach(code=1) / IPv6(src=v6(), dst=v6()) / UDP(sport=port(), dport=port()),
        lambda: ICMPv6ND_NS(tgt=v6()), lambda: ICMPv6MLQuery()))()


def other4():
    return RANDOM.choice((
        lambda: ip(proto=89) / raw('0201 002c 01010101 00000000 0000 0000 0000000000000000' + '00' * 20),
        lambda: ip(proto=103) / raw('20001234 0001 0002 0069'), lambda: ip(proto=112) / raw('21016401 0001 1234 c0a80001'),
        lambda: ip(proto=88) / raw('0205 1234' + '00' * 40), lambda: ip(proto=46) / raw('10020000 3f00 0008'),
        lambda: ip(proto=253) / data(20), lambda: ip(proto=108) / raw('06000002') / data(20)))()


def leaf4(depth=0):
    """An IPv4 packet, without the link layer."""
    kind = RANDOM.randrange(14 if depth < 3 else 11)
    if kind < 3:
        return ip() / tcp()
    if kind < 5:
        return ip() / udp()
    if kind == 5:
        return ip() / icmp()
    if kind == 6:
        return ip(options=[RANDOM.choice((IPOption_RR(), IPOption_NOP(), IPOption_Timestamp()))]) / RANDOM.choice((tcp, udp))()
    if kind == 7:
        return RANDOM.choice((lambda: ip() / sctp(), lambda: ip(proto=136) / udplite(), lambda: ip(proto=33) / dccp()))()
    if kind == 8:
        return RANDOM.choice((lambda: ip() / IGMP(type=RANDOM.choice((0x11, 0x16, 0x17)), gaddr='224.1.2.3'), other4))()
    if kind == 9:
        return ip(proto=51) / AH(nh=17, payloadlen=4, spi=7, seq=8, icv=b'x' * 12) / udp()
    if kind == 10:
        return RANDOM.choice((lambda: ip(proto=50) / ESP(spi=9, seq=3, data=b'z' * 40),
                              lambda: ip(proto=6, flags='MF', frag=RANDOM.choice((0, 100))) / tcp(),
                              lambda: ip(proto=17, flags=0, frag=RANDOM.randrange(1, 8000)) / data()))()
    return tunnel(ip, ip, depth)


def leaf6(depth=0):
    kind = RANDOM.randrange(12 if depth < 3 else 9)
    if kind < 3:
        return ip6() / tcp()
    if kind == 3:
        return ip6() / udp()
    if kind == 4:
        return ip6() / icmpv6()
    if kind == 5:
        return ip6() / IPv6ExtHdrHopByHop(options=[PadN(optdata=b'\0' * 4)]) / RANDOM.choice((tcp, udp, icmpv6))()
    if kind == 6:
        chain = RANDOM.choice((
            IPv6ExtHdrDestOpt(options=[PadN(optdata=b'\0' * 12)]), IPv6ExtHdrRouting(addresses=[v6(), v6()], segleft=1),
            IPv6ExtHdrSegmentRouting(addresses=[v6(), v6()], lastentry=1, segleft=1),
            IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=[v6()], segleft=0)))
        return ip6() / chain / RANDOM.choice((tcp, udp))()
    if kind == 7:
        offset = RANDOM.choice((0, 0, 185, 999))
        body = bytes(tcp()) if offset == 0 else bytes(data(64))
        return ip6(nh=44) / raw('0600 %04x %08x' % (offset << 3 | RANDOM.getrandbits(1), RANDOM.getrandbits(32))) / Raw(body)
    if kind == 8:
        return RANDOM.choice((
            lambda: ip6() / sctp(), lambda: ip6(nh=136) / udplite(), lambda: ip6(nh=33) / dccp(), lambda: ip6(nh=59),
            lambda: ip6(nh=135) / raw('3b010500 00000000 0000000000000000'), lambda: ip6(nh=253) / data(12),
            lambda: ip6(nh=89) / raw('03010024 01010101 00000000 0000 0000' + '00' * 20),
            lambda: ip6(nh=51) / AH(nh=6, payloadlen=4, spi=7, seq=8, icv=b'x' * 12) / tcp(),
            lambda: ip6(nh=50) / ESP(spi=9, seq=3, data=b'z' * 40)))()
    return tunnel(ip6, ip6, depth)


def leaf(depth=0):
    return leaf4(depth) if RANDOM.random() < .6 else leaf6(depth)


def frame(depth=0):
    """An Ethernet frame as a tunnel carries it."""
    if RANDOM.random() < .1:
        return eth() / ARP(psrc=v4(), pdst=v4())
    if RANDOM.random() < .2:
        return eth() / Dot1Q(vlan=RANDOM.randrange(4096)) / leaf(depth)
    return eth() / leaf(depth)


def ethertype(packet):
    return '86dd' if isinstance(packet, IPv6) else '0800'


def gre_header(protocol, depth):
    flags = RANDOM.choice((0, 0x8000, 0x2000, 0x1000, 0x3000, 0xb000))
    text = '%04x%s' % (flags, protocol)
    text += '00000000' if flags & 0x8000 else ''
    text += '%08x' % RANDOM.getrandbits(32) if flags & 0x2000 else ''
    text += '00000005' if flags & 0x1000 else ''
    return raw(text)


def in_gre(depth):
    inner = leaf(depth + 1)
    session = '1%03x%04x' % (RANDOM.randrange(4096), RANDOM.getrandbits(10))
    session3 = '2' + session[1:]
    return RANDOM.choice((
        lambda: gre_header(ethertype(inner), depth) / inner,
        lambda: raw('2000 6558 %08x' % RANDOM.getrandbits(32)) / frame(depth + 1),
        lambda: raw('0000 6558') / frame(depth + 1), lambda: raw('0000 88be') / frame(depth + 1),
        lambda: raw('1000 88be 00000001 %s 00000007' % session) / frame(depth + 1),
        lambda: raw('1000 22eb 00000001 %s 00000007 00000000' % session3) / frame(depth + 1),
        lambda: raw('1000 22eb 00000001 %s 00000007 00000001 1000000000000000' % session3) / frame(depth + 1),
        lambda: raw('2000 8847 00000009') / labels(inner), lambda: raw('0000 8847') / labels(inner),
        lambda: raw('0000 880b ff030021') / ip() / tcp(), lambda: raw('0000 883e') / ip() / tcp(),
        lambda: raw('0000 894f') / nsh(depth), lambda: pptp(),
        lambda: raw('4000 0800 00000000 00080008 0102030405060708 00000000') / ip() / udp()))()


def pptp():
    body = raw('ff030021') / ip() / tcp()
    return raw('3081 880b %04x %04x 00000001 00000002' % (len(bytes(body)), RANDOM.getrandbits(16))) / body


def nsh(depth):
    choice = RANDOM.randrange(3)
    body = (ip() / udp(), ip6() / tcp(), frame(depth + 1))[choice]
    metadata, length = RANDOM.choice((('00' * 16, 6), ('', 2), ('0001010400000000', 4)))
    return raw('0f%02x 0%d 0%d %06x ff' % (0xc0 | length, 1 if length == 6 else 2, choice + 1, RANDOM.getrandbits(24)) +
               metadata) / body


def labels(inner):
    stack = MPLS(label=RANDOM.randrange(16, 1 << 20), s=1, ttl=5)
    for _ in range(RANDOM.randrange(3)):
        stack = MPLS(label=RANDOM.randrange(16, 1 << 20), s=0, ttl=9) / stack
    return Raw(bytes(stack)) / inner


def in_udp(depth):
    inner = leaf(depth + 1)
    options = RANDOM.choice(('', '01020300', '0102030200000000 00000000'))
    vni = RANDOM.getrandbits(24)
    body = ip() / tcp()

    def over(destination, header, payload, source=None):
        return UDP(sport=source or RANDOM.choice(PORTS), dport=destination, chksum=0) / raw(header) / payload

    gtp_length = len(bytes(body))
    return RANDOM.choice((
        lambda: over(4789, '08000000 %06x00' % vni, frame(depth + 1)),
        lambda: over(4790, '0c000001 %06x00' % vni, ip() / tcp()), lambda: over(4790, '0c000002 %06x00' % vni, ip6() / udp()),
        lambda: over(4790, '0c000003 %06x00' % vni, frame(depth + 1)), lambda: over(4790, '0c000004 %06x00' % vni, nsh(depth)),
        lambda: over(6081, '%02x00 6558 %06x00 %s' % (len(bytes.fromhex(options.replace(' ', ''))) // 4, vni, options),
                     frame(depth + 1)),
        lambda: over(6081, '0000 %s %06x00' % (ethertype(inner), vni), inner),
        lambda: over(2152, '30ff %04x %08x' % (gtp_length, RANDOM.getrandbits(32)), body),
        lambda: over(2152, '32ff %04x %08x 00050000' % (gtp_length + 4, RANDOM.getrandbits(32)), body),
        lambda: over(2152, '34ff %04x %08x 00000085 01100900' % (gtp_length + 8, RANDOM.getrandbits(32)), body),
        lambda: over(2152, '3201 0004 00000000 00010000', Raw(b'')),
        lambda: over(1701, '0002 0005 %04x ff03 0021' % RANDOM.getrandbits(16), ip() / udp(), 1701),
        lambda: over(1701, '4802 %04x 0005 0006 00010002 ff03 0021' % (gtp_length + 16), body, 1701),
        lambda: over(1701, '0202 0005 0006 0004 00000000 0021', ip() / udp(), 1701),
        lambda: over(1701, 'c802 0014 0005 0000 00010002 8008000000000001', Raw(b''), 1701),
        lambda: over(1701, '0003 0000 00000006', data(40), 1701),
        lambda: over(3544, '', ip6() / tcp()), lambda: over(3544, '0000 1234 01020304', ip6() / tcp()),
        lambda: over(3544, '0001 0000 0000000000000001 00', ip6() / icmpv6()),
        lambda: over(5072, '4452 1129 00000000' + '00' * 36, ip6() / tcp(), 5072),
        lambda: over(4500, '00001234 00000001', data(60), 4500), lambda: over(4500, 'ff', Raw(b''), 4500),
        lambda: over(6635, '', labels(inner)), lambda: over(4754, '0000' + ethertype(inner), inner)))()


def tunnel(outer4, outer6, depth):
    """An IP packet that carries another."""
    outer = outer4 if RANDOM.random() < .6 else ip6
    kind = RANDOM.randrange(10)
    if kind < 6:
        return outer() / in_udp(depth)
    number = 'proto' if outer in (ip,) else 'nh'
    if kind < 8:
        return outer(**{number: 47}) / in_gre(depth)
    inner = leaf(depth + 1)
    if kind == 8:
        return outer(**{number: 41 if isinstance(inner, IPv6) else 4}) / inner
    return RANDOM.choice((
        lambda: outer(**{number: 97}) / raw('3000') / frame(depth + 1), lambda: outer(**{number: 143}) / frame(depth + 1),
        lambda: outer(**{number: 137}) / labels(inner), lambda: outer(**{number: 115}) / raw('00000006') / data(30)))()


def ethernet():
    inner = leaf()
    kind = RANDOM.randrange(40)
    tag = '%04x' % RANDOM.getrandbits(16)
    if kind < 18:
        return eth() / inner
    length = len(bytes(inner))
    v4_only = ip() / RANDOM.choice((tcp, udp, icmp))()
    v4_length = len(bytes(v4_only))
    ppp_length = v4_length + 2
    return (
        lambda: eth() / Dot1Q(vlan=RANDOM.randrange(4096), prio=RANDOM.randrange(8)) / inner,
        lambda: eth() / Dot1Q(vlan=5) / Dot1Q(vlan=6, prio=3) / inner,
        lambda: eth(type=0x88a8) / raw(tag + '8100 %04x' % RANDOM.getrandbits(16) + ethertype(inner)) / inner,
        lambda: eth(type=0x88a8) / raw(tag + ethertype(inner)) / inner,
        lambda: eth(type=0x9100) / raw(tag + '8100 0064' + ethertype(inner)) / inner,
        lambda: eth(type=0x8100) / raw('0001 8100 0002 8100 0003' + ethertype(inner)) / inner,
        lambda: eth() / ARP(psrc=v4(), pdst=v4(), op=RANDOM.choice((1, 2))) / Raw(b'\0' * RANDOM.choice((0, 18))),
        lambda: eth(type=0x8035) / ARP(op=3, psrc=v4(), pdst=v4()),
        lambda: eth(type=0x8847) / labels(inner),
        lambda: eth(type=0x8847) / labels(raw('00000000') / frame()),
        lambda: eth(type=0x8864) / raw('11000001 %04x 0021' % ppp_length) / v4_only,
        lambda: eth(type=0x8864) / raw('11000001 %04x 0057' % (length + 2)) / (ip6() / tcp() if False else inner)
        if isinstance(inner, IPv6) else eth(type=0x8864) / raw('11000001 000a c021 01010008 0104 05d4'),
        lambda: eth(type=0x8863) / raw('11090000 0004 01010000'),
        lambda: Ether(src=mac(), dst=mac(), type=v4_length + 8) / raw('aaaa03 000000 0800') / v4_only
        if v4_length < 1400 else eth() / inner,
        lambda: Ether(src=mac(), dst='01:80:c2:00:00:00', type=38) / raw('424203') / STP() / Raw(b'\0' * 8),
        lambda: eth(type=0x88cc) / raw('020704001122334455 040305616263 06020078 0000'),
        lambda: eth(type=0x888e) / EAPOL(version=1, type=1),
        lambda: eth(type=0x8809) / raw('0101' + '00' * 50),
        lambda: eth(type=0x88e7) / raw('00%06x' % RANDOM.getrandbits(24)) / frame(),
        lambda: eth(type=0x88a8) / raw('0064 88e7 00000123') / frame(),
        lambda: eth(type=0x88e5) / raw('0c00 00000001' + 'aa' * 60),
        lambda: eth(type=0x894f) / nsh(0),
    )[kind - 18]()


def padded():
    """Short packets with Ethernet's padding, or a trailer."""
    packet = bytes(eth() / ip() / RANDOM.choice((lambda: tcp_bare(), lambda: udp(data(3)), lambda: icmp()))())
    return packet + b'\0' * max(60 - len(packet), RANDOM.choice((0, 4, 12)))


def tcp_bare():
    return TCP(sport=port(), dport=port(), flags='A')


def wrong():
    """Lengths and offsets that lie."""
    return bytes(RANDOM.choice((
        lambda: eth() / ip(len=RANDOM.randrange(0, 70)) / tcp(), lambda: eth() / ip(len=1500) / udp(data(9)),
        lambda: eth() / ip(ihl=RANDOM.randrange(0, 16)) / udp(), lambda: eth() / ip(version=RANDOM.choice((0, 5, 7))) / tcp(),
        lambda: eth() / ip6(plen=RANDOM.randrange(0, 80)) / tcp(), lambda: eth() / ip6(plen=2000) / udp(),
        lambda: eth() / ip() / TCP(sport=port(), dport=port(), dataofs=RANDOM.randrange(16)) / data(20),
        lambda: eth() / ip() / UDP(sport=port(), dport=port(), len=RANDOM.randrange(0, 40)) / data(20),
        lambda: eth() / ip6(nh=0) / raw('06ff' + '00' * 6) / tcp(), lambda: eth() / ip6(nh=43) / raw('06020000' + '00' * 12),
        lambda: eth() / ip(proto=51) / raw('06000000' + '00' * 12), lambda: eth(type=0x8847) / raw('00001040' * 40),
        lambda: eth() / ip() / UDP(sport=port(), dport=6081) / raw('3f000800 00000100') / ip() / tcp(),
        lambda: eth() / ip(proto=6) / raw('1234567812345678'), lambda: eth() / ip(len=0) / tcp(),
        lambda: eth(type=0x8864) / raw('11000001 0fff 0021') / ip() / tcp()))())


def fuzzed():
    """A good packet with some bytes of its headers changed."""
    packet = bytearray(bytes(ethernet()))
    for _ in range(RANDOM.randrange(1, 4)):
        packet[RANDOM.randrange(14, min(len(packet), 80))] = RANDOM.getrandbits(8)
    return bytes(packet)


def write(directory, name, link, packets):
    """A pcap file; packets: bytes, or (bytes, wire length)."""
    with open(os.path.join(directory, name + '.pcap'), 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, LINKTYPES[link]))
        for index, packet in enumerate(packets):
            packet, wire = packet if isinstance(packet, tuple) else (packet, len(packet))
            out.write(struct.pack('<IIII', 1700000000 + index, index, len(packet), wire) + packet)


def jumbo():
    body = bytes(TCP(sport=port(), dport=port(), flags='A') / Raw(b'j' * 90000))
    yield bytes(eth() / ip6(nh=0, plen=0)) + struct.pack('>BBBBI', 6, 0, 0xc2, 4, len(body) + 8) + body
    yield bytes(eth() / ip(len=0) / tcp_bare() / Raw(b't' * 70000))


def linked(header4, header6, count):
    for _ in range(count):
        packet = leaf()
        yield (header6 if isinstance(packet, IPv6) else header4) + bytes(packet)


def rare_links(directory):
    """Link types that few captures have: a header of fixed form, then a packet or a frame."""
    h = bytes.fromhex
    llc4, llc6 = h('aaaa030000000800'), h('aaaa0300000086dd')
    wlan = h('08010000 020000000003 020000000001 020000000002 1000')
    qos = h('88030000 020000000003 020000000001 020000000002 1000 020000000004 0000')
    ring = h('1040 020000000002 820000000001 06300011 0020')
    fddi = h('50 000c29000002 000c29000001')
    pflog = '3d%s0000 656d3000000000000000000000000000' + '00' * 40 + '02000000'
    radiotap = h('00001200 03000000 0011223344556677 0000')
    two = {
        'token_ring': (ring + llc4, ring + llc6), 'fddi': (fddi + llc4, fddi + llc6),
        'llc': (llc4, llc6), 'wlan': (wlan + llc4, qos + llc6), 'radiotap': (radiotap + wlan + llc4, radiotap + qos + llc6),
        'enc': (h('020000000000123400000001'), h('180000000000123400000001')),
        'pflog': (h(pflog % '02'), h(pflog % '18')), 'ipoib': (h('00' * 40 + '08000000'), h('00' * 40 + '86dd0000')),
        'frame_relay': (h('184103cc'), h('1841038e')), 'ipnet': (h('0102' + '00' * 22), h('011a' + '00' * 22)),
        'juniper': (h('4d474382 0006 020101010209 02000000'), h('4d474302 06000000')),
    }
    for name, (header4, header6) in two.items():
        write(directory, name, name, linked(header4, header6, 60))
    write(directory, 'frame_relay_snap', 'frame_relay',
          linked(h('1841030080') + llc4[3:], h('1841030080') + llc6[3:], 30))
    write(directory, 'frame_relay_cisco', 'frame_relay', linked(h('18410800'), h('184186dd'), 30))
    pktap = struct.pack('<III24sII', 108, 1, 1, b'en0', 1, 2).ljust(108, b'\0')
    for name, link, header in (('frame_relay_bridged', 'frame_relay', h('18410300 80 0080c20007')), ('pktap', 'pktap', pktap),
                               ('juniper_ethernet', 'juniper', h('4d474381 0006 020101010209')),
                               ('ppi', 'ppi', h('00001000 01000000') + bytes(8))):
        write(directory, name, link, [header + bytes(frame()) for _ in range(40)])
    nflog = h('02000007 08000100 08000103 05000a00 00000000')
    write(directory, 'nflog', 'nflog', [nflog + struct.pack('<HH', 4 + len(p), 9) + p for p in
                                        (bytes(leaf4()) for _ in range(40))])
    trunk = [bytes(frame()) for _ in range(60)]
    write(directory, 'isl', 'ethernet', [h('01000c000000 020000000009') + struct.pack('>H', min(len(f) + 16, 1500)) +
                                         h('aaaa0300000c 0003 0000 0000') + f + bytes(4) for f in trunk])
    write(directory, 'fabricpath', 'ethernet', [h('020abd000000 020abc000000 8903 4020') + f + bytes(4) for f in trunk])


def cut(packets):
    for packet in packets:
        yield packet[:RANDOM.randrange(14, min(len(packet), 120) + 1)], len(packet)


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    write(directory, 'ethernet', 'ethernet', [bytes(ethernet()) for _ in range(2400)] + list(jumbo()))
    write(directory, 'padded', 'ethernet', [padded() for _ in range(150)])
    write(directory, 'cut', 'ethernet', cut([bytes(ethernet()) for _ in range(500)]))
    write(directory, 'wrong', 'ethernet', [wrong() for _ in range(400)])
    write(directory, 'fuzzed', 'ethernet', [fuzzed() for _ in range(500)])
    write(directory, 'raw', 'raw', linked(b'', b'', 150))
    write(directory, 'null', 'null', linked(b'\x02\0\0\0', b'\x1e\0\0\0', 60))
    write(directory, 'null_big', 'null', linked(b'\0\0\0\x02', b'\0\0\0\x18', 60))
    write(directory, 'loop', 'loop', linked(b'\0\0\0\x02', b'\0\0\0\x18', 60))
    write(directory, 'ppp', 'ppp', linked(b'\xff\x03\0\x21', b'\xff\x03\0\x57', 80))
    write(directory, 'chdlc', 'chdlc', linked(b'\x0f\0\x08\0', b'\x0f\0\x86\xdd', 80))
    address = b'\0\x06\0\x50\x56\1\2\3\0\0'
    write(directory, 'sll', 'sll', linked(b'\0\0\0\1' + address + b'\x08\0', b'\0\4\0\1' + address + b'\x86\xdd', 120))
    write(directory, 'sll2', 'sll2',
          linked(b'\x08\0\0\0\0\0\0\2\0\1\0\6\0\x50\x56\1\2\3\0\0', b'\x86\xdd\0\0\0\0\0\2\0\1\4\6\0\x50\x56\1\2\3\0\0', 120))
    rare_links(directory)


if __name__ == '__main__':
    main()
