#!/usr/bin/python3
"""What weir writes, read by others: tshark, tcpdump, capinfos, NumPy, Python's json and csv, and weir itself.

usage: readback.py WEIR

The packets are made here, from a fixed seed, and so is what the text formats have to say of them: nothing of weir's
decoders is asked. Exit 77 where a reader is missing.
"""
import csv
import ipaddress
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

WEIR = sys.argv[1]
START = 1510646400 * 10**9
os.environ["TZ"] = "CST-8"
time.tzset()


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def run(*command, code=0):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=120)
    if done.returncode != code:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}, expected {code}\n{done.stderr.decode(errors='replace')}")
    return done


def weir_text(capture, form):
    return run(WEIR, "read", capture, "--format", form).stdout.decode()


def same(what, got, expected):
    if got == expected:
        return
    if isinstance(got, str) and isinstance(expected, str):
        for number, (g, e) in enumerate(zip(got.splitlines() + [None], expected.splitlines() + [None])):
            if g != e:
                sys.exit(f"{what}: line {number + 1}\n  got      {g!r}\n  expected {e!r}")
    sys.exit(f"{what}: got {str(got)[:500]!r}, expected {str(expected)[:500]!r}")


class Packet:
    """One packet, and the lines that each format prints for it."""

    def __init__(self, rng, number):
        self.time = START + number * 700_000_123
        self.flags = rng.choice([0, 1, 2])  # direction in pcapng: unknown, in, out
        self.interface = rng.randrange(2)
        self.lines = {"addresses": "", "line": "", "ip": "", "tcp": "", "arp": "", "brief": ""}
        rng.choice([self.tcp, self.tcp, self.udp, self.icmp, self.arp, self.other_ip, self.not_ip])(rng)

    def finish(self, rng, ethertype, body, tag=None):
        self.mac_dst, self.mac_src = rng.randbytes(6), rng.randbytes(6)
        self.tag = tag
        head = self.mac_dst + self.mac_src
        if tag is not None:
            head += struct.pack(">HH", 0x8100, tag)
        # Short frames are padded, and a sender may leave anything in the padding.
        self.bytes = (head + struct.pack(">H", ethertype) + body).ljust(60, b"\xee")

    def ip(self, rng, protocol, body, ports=None):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time // 10**9))
        names = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 27: "RDP"}
        name = names.get(protocol, f"Unknown({protocol})")
        if rng.random() < 0.3:
            src, dst = (ipaddress.IPv6Address(b"\x20\x01" + rng.randbytes(2) + bytes(8) + rng.randbytes(4)) for _ in "ab")
            header = struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + src.packed + dst.packed
            ethertype, bracket = 0x86DD, "[{}]"
        else:
            src, dst = (ipaddress.IPv4Address(b"\x0a" + rng.randbytes(3)) for _ in "ab")
            options = b"\x01" * (4 * rng.choice([0, 0, 0, 3]))
            header = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body),
                                 rng.randrange(65536), 0x4000, 64, protocol, 0) + src.packed + dst.packed + options
            ethertype, bracket = 0x0800, "{}"
        self.finish(rng, ethertype, header + body, rng.choice([None, None, 0x6000 | rng.randrange(1, 4095)]))
        a, b = str(src), str(dst)
        self.lines["ip"] = f"{name}: {a} -> {b}\n"
        if ports is not None:
            a, b = bracket.format(a) + f":{ports[0]}", bracket.format(b) + f":{ports[1]}"
        self.lines["brief"] = f"{a} -> {b}\n"
        self.lines["line"] = f"{when} {a} -> {b} {len(body)}\n"
        if protocol in (6, 17):
            way = "outgoing" if self.flags == 2 else "incoming"
            self.lines["addresses"] = f"{way} src={a}, dst={b}, packet len= {len(header) + len(body)}\n"

    def tcp(self, rng):
        ports, seq, flags = (rng.randrange(20000, 30000), rng.randrange(20000, 30000)), rng.getrandbits(32), rng.randrange(256)
        data = rng.choice([b"", rng.randbytes(rng.randrange(1, 100)), bytes(range(rng.randrange(206), 256)),
                           bytes(rng.choice(b"'\"\\ab\t\r\n") for _ in range(rng.randrange(1, 60)))])
        body = struct.pack(">HHIIBBHHH", *ports, seq, rng.getrandbits(32), 0x50, flags, 502, 0, 0) + data
        self.ip(rng, 6, body, ports)
        if data:
            names = [n for bit, n in enumerate(["FIN", "SYN", "RST", "PSH", "ACK", "URG"]) if flags >> bit & 1]
            self.lines["tcp"] = f"Port {ports[0]} -> {ports[1]} [{','.join(names)}] Seq={seq}\nData: {data[:50]!r}...\n"

    def udp(self, rng):
        ports, data = (rng.randrange(20000, 30000), rng.randrange(20000, 30000)), rng.randbytes(rng.randrange(50))
        self.ip(rng, 17, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data, ports)

    def icmp(self, rng):
        self.ip(rng, 1, struct.pack(">BBHHH", 8, 0, 0, rng.randrange(65536), 3) + rng.randbytes(20))

    def other_ip(self, rng):
        self.ip(rng, rng.choice([27, 200, 253]), rng.randbytes(40))

    def not_ip(self, rng):
        self.finish(rng, 0x1234, rng.randbytes(50))

    def arp(self, rng):
        operation = rng.choice([1, 2])
        a, b = rng.randbytes(10), rng.randbytes(10)
        self.finish(rng, 0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + a + b)
        self.lines["arp"] = (
            f"{'=' * 50}\nETHERNET FRAME\n Dest MAC: {self.mac_dst.hex()}\n Source MAC: {self.mac_src.hex()}\n"
            f"ARP HEADER\n Hardware: 0001\n Protocol: 0800\n Opcode: {operation:04x} ({'Request' if operation == 1 else 'Reply'})\n"
            f" Sender MAC: {a[:6].hex()}\n Sender IP: {ipaddress.IPv4Address(a[6:])}\n"
            f" Target MAC: {b[:6].hex()}\n Target IP: {ipaddress.IPv4Address(b[6:])}\n")


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def write_pcapng(path, packets):
    with open(path, "wb") as out:
        out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for name in (b"left0", b"right1"):
            out.write(block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name) + option(9, b"\x09") + option(0, b"")))
        for p in packets:
            body = struct.pack("<IIIII", p.interface, p.time >> 32, p.time & 0xFFFFFFFF, len(p.bytes), len(p.bytes))
            body += p.bytes + bytes(-len(p.bytes) % 4)
            if p.flags:
                body += option(2, struct.pack("<I", p.flags)) + option(0, b"")
            out.write(block(6, body))


def read_packets(path):
    """All enhanced packets of a pcapng file of ours: interface, time, bytes, flags."""
    data, at, packets = open(path, "rb").read(), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        same(f"{path}: length behind the block at {at}", struct.unpack_from("<I", data, at + length - 4)[0], length)
        if kind == 6:
            interface, high, low, captured, _ = struct.unpack_from("<IIIII", data, at + 8)
            end = at + 28 + captured + -captured % 4
            flags = struct.unpack_from("<HHI", data, end)[2] if end < at + length - 4 else 0
            packets.append((interface, high << 32 | low, data[at + 28:at + 28 + captured], flags))
        at += length
    return packets


def check_captures(directory, packets):
    first, again = f"{directory}/out.pcapng", f"{directory}/again.pcapng"
    expected = [(p.interface, p.time, p.bytes, p.flags) for p in packets]
    same("pcapng as we parse it", read_packets(first), expected)
    run(WEIR, "read", first, "-w", again)
    same("pcapng of a pcapng", read_packets(again), expected)
    fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.interface_name"]
    rows = "".join(f"{p.time // 10**9}.{p.time % 10**9:09}\t{len(p.bytes)}\t{('left0', 'right1')[p.interface]}\n" for p in packets)
    same("tshark of the pcapng", run("tshark", "-n", "-r", first, *fields).stdout.decode(), rows)
    rows = "".join(f"{p.time // 10**9}.{p.time % 10**9:09}\t{len(p.bytes)}\n" for p in packets)
    same("tshark of the pcap", run("tshark", "-n", "-r", f"{directory}/out.pcap", *fields[:6]).stdout.decode(), rows)
    for name in ("out.pcapng", "out.pcap"):
        lines = run("tcpdump", "-nn", "--nano", "-tt", "-r", f"{directory}/{name}").stdout.decode().splitlines()
        starts = [line.split()[0] for line in lines if not line.startswith((" ", "\t"))]
        same(f"tcpdump of {name}", starts, [f"{p.time // 10**9}.{p.time % 10**9:09}" for p in packets])
    info = run("capinfos", first).stdout.decode()
    for line in (f"Number of packets:   {len(packets)}", "File timestamp precision:  nanoseconds (9)", "Name = left0",
                 "Name = right1", "Filter string = not udp port 1", "Number of interfaces in file: 2",
                 "Capture oper-sys:    Linux", "Capture application: weir", "Number of stat entries = 1"):
        if line not in info:
            sys.exit(f"capinfos does not say '{line}':\n{info}")


def check_records(directory, packets):
    try:
        import numpy as np
    except ImportError:
        skip("no NumPy for /usr/bin/python3")
    f = f"{directory}/out.weir"
    r = np.memmap(f, np.dtype(json.loads(open(f, "rb").read(16384)[16:])["dtype"]), "r", 16384)
    header = json.loads(open(f, "rb").read(16384)[16:])
    rows = [json.loads(line) for line in open(f"{directory}/out.ndjson")]
    same("records in the file", (len(r), header["records"], len(rows)), (len(packets),) * 3)
    same("interfaces in the header", [i["name"] for i in header["interfaces"]], ["left0", "right1"])
    same("filter in the header", header["filter"], "not udp port 1")
    for field in header["fields"]:
        name = field["name"]
        if name == "packet_offset":
            continue
        for row, record in zip(rows, r):
            value = record[name]
            if field["type"] == "mac":
                value = value.tobytes().hex(":")
            elif field["type"] == "ip":
                six = ipaddress.IPv6Address(value.tobytes())
                value = str(six.ipv4_mapped or six)
            else:
                value = int(value)
            layers, icmp_type = int(record["layers"]), int(record["icmp_type"])
            condition = field["valid"]
            valid = condition == "always" or bool(eval(condition, {"layers": layers, "icmp_type": icmp_type}))
            same(f"{name}, as the header describes it", row[name], value if valid else None)
    for row, p in zip(rows, packets):
        same("direction", row["direction"], [None, "in", "out"][p.flags])
        same("vlan_id", row["vlan_id"], None if p.tag is None else p.tag & 0xFFF)
        same("src_mac", row["src_mac"], p.mac_src.hex(":"))
    table = list(csv.DictReader(open(f"{directory}/out.csv", newline="")))
    text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    same("csv and ndjson", table, text)
    same("ndjson of the records", run(WEIR, "read", f, "-w", "ndjson:-").stdout, open(f"{directory}/out.ndjson", "rb").read())


def check_refusals(directory):
    """Records hold no packets: what needs them says so, and leaves nothing that looks whole."""
    for arguments in (["-w", f"{directory}/no.pcapng"], ["-w", f"{directory}/no.pcap"], ["--format", "tcp"], ["--format", "arp"]):
        done = run(WEIR, "read", f"{directory}/out.weir", *arguments, code=1)
        if b"come without" not in done.stderr:
            sys.exit(f"{arguments}: {done.stderr.decode()}")
    for name in ("no.pcapng", "no.pcap"):
        same(name, os.path.exists(f"{directory}/{name}"), False)


def check_size_limit(directory):
    """A file at its largest size is an error with its cause, not a signal that kills."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
    done = subprocess.run([WEIR, "read", f"{directory}/in.pcapng", "-w", f"{directory}/limit.weir"], stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=60, preexec_fn=limit)
    if done.returncode != 1 or b"File too large" not in done.stderr:
        sys.exit(f"file size limit: exit {done.returncode}, {done.stderr.decode()}")
    same("limit.weir", os.path.exists(f"{directory}/limit.weir"), False)
    same("bytes kept in limit.weir.part", os.path.getsize(f"{directory}/limit.weir.part"), 20000)


def main():
    for tool in ("tshark", "tcpdump", "capinfos"):
        if shutil.which(tool) is None:
            skip(f"no {tool}")
    rng = random.Random(7)
    packets = [Packet(rng, number) for number in range(600)]
    with tempfile.TemporaryDirectory() as directory:
        source = f"{directory}/in.pcapng"
        write_pcapng(source, packets)
        names = [f"{directory}/out.{extension}" for extension in ("pcapng", "pcap", "weir", "ndjson", "csv")]
        run(WEIR, "read", source, *[word for name in names for word in ("-w", name)], "--filter", "not udp port 1")
        for form in ("addresses", "line", "ip", "tcp", "arp", "brief"):
            same(form, weir_text(source, form), "".join(p.lines[form] for p in packets))
        same("ndjson by --format", weir_text(source, "ndjson"), open(f"{directory}/out.ndjson").read())
        check_captures(directory, packets)
        check_records(directory, packets)
        check_refusals(directory)
        check_size_limit(directory)
        left = [name for name in os.listdir(directory) if name.endswith(".part") and not name.startswith(("no.", "limit."))]
        same("files left half-written", left, [])
    print(f"{len(packets)} packets: all readers agree")


main()
