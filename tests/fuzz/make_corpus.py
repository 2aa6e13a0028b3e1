#!/usr/bin/python3
"""Makes the seed corpus of the fuzz targets: the same every time, from the decoders' test vectors and from
capture files laid out here.

    make_corpus.py DIRECTORY VECTORS
"""
import gzip
import json
import os
import shutil
import struct
import sys
import zlib

# As in fuzz_decode.c and fuzz_sinks.c.
DECODE_LINKS = [1, 0, 9, 12, 14, 50, 51, 101, 104, 108, 113, 166, 228, 229, 276, 147, 6, 8, 10, 100, 105, 107, 109, 117, 127,
                178, 192, 204, 219, 226, 239, 242, 258, 281, 282, 284, 285]
SINK_LINKS = [1, 101, 113, 276]
LINK_NAMES = {'null': 0, 'ethernet': 1, 'ppp': 9, 'raw': 101, 'loop': 108, 'sll': 113, 'sll2': 276, 'chdlc': 104,
              'ipv4': 228, 'ipv6': 229, 'pppoe': 51, 'ppp-hdlc': 50, 'ppp-pppd': 166}
OPTION_BITS = {'verify': 1, 'outer': 2, 'not-ready': 4}


def read_vector(path):
    """(link type, option bits, packet) of a vector file; None for a link type that no target has."""
    link, bits, packet = 1, 0, b''
    for line in open(path, encoding='utf-8'):
        words = line.split()
        if not words or words[0].startswith('#'):
            continue
        if words[0] == 'link':
            link = LINK_NAMES[words[1]] if words[1] in LINK_NAMES else int(words[1]) if words[1].isdigit() else -1
        elif words[0] == 'options':
            for option in words[1:]:
                bits |= OPTION_BITS.get(option, 8)
        elif words[0] == 'hex':
            packet += bytes.fromhex(''.join(words[1:]))
    return (link, bits, packet) if link in DECODE_LINKS else None


class Corpus:
    def __init__(self, directory):
        self.directory = directory
        self.count = 0

    def add(self, target, name, content):
        path = os.path.join(self.directory, target)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, name), 'wb') as out:
            out.write(content)
        self.count += 1


def pcap(packets, magic=0xa1b2c3d4, order='<', link=1, snap=65535, kuznetzov=False):
    out = struct.pack(order + 'IHHIIII', magic, 2, 4, 0, 0, snap, link)
    for number, packet in enumerate(packets):
        out += struct.pack(order + 'IIII', 1700000000 + number, 1000 * number % 1000000, len(packet), len(packet) + number % 2)
        if kuznetzov:
            out += struct.pack(order + 'IHBB', 2, 0x800, number % 5, 0)
        out += packet
    return out


def block(order, kind, body):
    body += b'\0' * (-len(body) % 4)
    return struct.pack(order + 'II', kind, len(body) + 12) + body + struct.pack(order + 'I', len(body) + 12)


def option(order, code, value):
    return struct.pack(order + 'HH', code, len(value)) + value + b'\0' * (-len(value) % 4)


def section(order):
    return block(order, 0x0a0d0d0a, struct.pack(order + 'IHHq', 0x1a2b3c4d, 1, 0, -1) + option(order, 4, b'corpus'))


def interface(order, link, snap=0, options=b''):
    return block(order, 1, struct.pack(order + 'HHI', link, 0, snap) + options)


def enhanced(order, packet, number=0, options=b'', wire=None, which=0):
    stamp = 1700000000000000 + number
    body = struct.pack(order + 'IIIII', which, stamp >> 32, stamp & 0xffffffff, len(packet), wire or len(packet))
    return block(order, 6, body + packet + b'\0' * (-len(packet) % 4) + options)


def capture_files(packets):
    """(name, bytes) of capture files that between them have every block and variant."""
    by_link = {}
    for link, _, packet in packets:
        by_link.setdefault(link, []).append(packet)
    some = by_link[1][:12]
    for order, name in (('<', 'le'), ('>', 'be')):
        yield 'pcap_us_' + name, pcap(some, order=order)
        yield 'pcap_ns_' + name, pcap(some, 0xa1b23c4d, order)
        yield 'pcap_kuznetzov_' + name, pcap(some, 0xa1b2cd34, order, kuznetzov=True)
        yield 'pcap_fcs_' + name, pcap(some, order=order, link=1 | 0x24000000)
        end = option(order, 0, b'')
        named = option(order, 2, b'eth0') + option(order, 3, b'first') + option(order, 9, b'\x09') + end
        odd = (option(order, 9, b'\x94') + option(order, 14, struct.pack(order + 'q', -5)) + option(order, 13, b'\x04') +
               option(order, 11, b'\0ip') + option(order, 6, b'\x02\0\0\0\0\1') + end)
        flags = option(order, 1, b'comment') + option(order, 2, struct.pack(order + 'I', 0x12)) + end
        file = section(order) + interface(order, 1, 65535, named) + interface(order, 113, 0, odd)
        for number, packet in enumerate(some):
            file += enhanced(order, packet, number, flags if number % 3 == 0 else b'')
        file += enhanced(order, by_link[113][0], 99, which=1)
        file += block(order, 3, struct.pack(order + 'I', 2000) + some[0])
        file += block(order, 2, struct.pack(order + 'HHIIII', 0, 7, 0, 9, len(some[1]), 1500) + some[1])
        file += block(order, 4, b'\x01\0\x08\0\x0a\0\0\x01name\0\0\0\0\0\0\0\0')
        file += block(order, 5, struct.pack(order + 'III', 0, 1, 2) + option(order, 5, struct.pack(order + 'Q', 7)))
        file += block(order, 0xbad, b'custom' * 50) + block(order, 0x0a, b'secrets')
        yield 'pcapng_' + name, file
    yield 'pcapng_two_orders', section('<') + interface('<', 1) + enhanced('<', some[0]) + section('>') + \
        interface('>', 101) + enhanced('>', by_link[101][0])
    yield 'pcapng_empty', section('<')
    yield 'pcap_empty', pcap([])
    yield 'gzip', gzip.compress(pcap(some), mtime=0)
    yield 'gzip_members', gzip.compress(pcap(some)[:100], mtime=0) + gzip.compress(pcap(some)[100:], mtime=0)
    for link, of_link in by_link.items():
        yield 'pcap_link_%d' % link, pcap(of_link[:20], link=link)


def record_files():
    interfaces = [{'name': 'eth0', 'link_type': 1, 'snap_length': 96, 'mac': '02:00:00:00:00:01'},
                  {'name': 'any\u00e9\x1b', 'link_type': 276, 'snap_length': 0}]
    whole = {'version': 1, 'byte_order': 'little', 'dtype': {'names': ['a'], 'itemsize': 128, 'x': [1.5e3, -2, True, None]},
             'records': None, 'interfaces': interfaces}
    record = struct.pack('<QII', 1700000000123456789, 64, 64) + bytes(range(112))
    for name, header in (('whole', whole), ('bare', {'version': 1}), ('newer', {'version': 2})):
        text = json.dumps(header).encode()
        size = (16 + len(text) + 7) // 8 * 8
        file = b'WEIRREC1' + struct.pack('<II', size, 128) + text.ljust(size - 16)
        yield name, file
        yield name + '_records', file + record + b'\xff' * 128 + b'\0' * 128 + record[:50]


def main():
    directory, vectors = sys.argv[1:]
    shutil.rmtree(directory, ignore_errors=True)
    corpus = Corpus(directory)
    packets = []
    for name in sorted(os.listdir(vectors)):
        if not name.endswith('.vec'):
            continue
        vector = read_vector(os.path.join(vectors, name))
        if vector is None:
            continue
        link, bits, packet = vector
        packets.append(vector)
        for extra in (0, 1, 2):
            corpus.add('decode', '%s_%d' % (name[:-4], extra),
                       bytes([DECODE_LINKS.index(link), bits ^ extra, extra * 10]) + packet)
        if link in SINK_LINKS:
            corpus.add('sinks', name[:-4], bytes([SINK_LINKS.index(link), len(packet) & 0xff]) + packet)
    for name, file in capture_files(packets):
        for window in (0, 1, 40):
            corpus.add('savefile', '%s_%d' % (name, window), bytes([window]) + file)
        for number, words in enumerate((b'\x00', b'\x03\x0f\x04\x16\x26', b'\x09', b'\x11\x00', b'\x1c\x3a')):
            corpus.add('filter', '%s_%d' % (name, number), bytes([len(words)]) + words + file[:4000])
    for name, file in record_files():
        for how in (0, 1):
            corpus.add('recordfile', '%s_%d' % (name, how), bytes([how]) + file)
    print('%d seeds, crc %08x' % (corpus.count, zlib.crc32(b''.join(sorted(p for _, _, p in packets)))))


if __name__ == '__main__':
    main()
