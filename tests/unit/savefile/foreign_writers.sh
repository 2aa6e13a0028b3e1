#!/bin/sh
# One capture, written by Wireshark's tools in every form of pcap and pcapng that weir claims to read, and from a
# file, a pipe and gzip: the records must be the same. foreign_writers.sh WEIR
set -eu
weir=$(realpath "$1")
for tool in editcap mergecap capinfos; do
	command -v $tool >/dev/null || { echo "skip: $tool is not there"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

/usr/bin/python3 - one.pcap other.pcap <<'P'
import struct, sys
def packet(number, size):
    udp = struct.pack('>HHHH', 1024 + number, 5000, size - 34, 0)
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, size - 14, number, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return (b'\2\0\0\0\0\1\2\0\0\0\0\2\x08\0' + ip + udp).ljust(size, bytes([number & 255]))
for path, start, link in ((sys.argv[1], 0, 1), (sys.argv[2], 7, 101)):
    with open(path, 'wb') as out:
        out.write(struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, link))
        for number in range(3000):
            data = packet(number, 60 + number % 1400)[0 if link == 1 else 14:]
            out.write(struct.pack('<IIII', 1700000000 + number, start + number * 300 % 999000, len(data), len(data)) + data)
P

# Without what not every form can hold: the interface's name, and the direction.
records() {
	"$weir" read "$@" -w records.csv 2>errors || { cat errors >&2; exit 1; }
	[ ! -s errors ] || { cat errors >&2; exit 1; }
	/usr/bin/python3 -c '
import csv, sys
for row in csv.DictReader(open("records.csv")):
    print(",".join(v for k, v in row.items() if k not in ("status", "direction", "interface", "interface_name")))'
}

records one.pcap >wanted
[ "$(wc -l <wanted)" = 3000 ] || { echo "3000 packets are not 3000 records"; exit 1; }
tried=0
same() {
	records "$@" >got
	cmp -s wanted got || { echo "differs: $*"; diff wanted got | head -n 5; exit 1; }
	tried=$((tried + 1))
}

for format in pcap nsecpcap modpcap pcapng; do
	editcap -F $format one.pcap $format.cap
	same $format.cap
	gzip -k $format.cap
	same $format.cap.gz
	records - <$format.cap >got && cmp wanted got
	cat $format.cap | records - >got && cmp wanted got
	cat $format.cap.gz | records - >got && cmp wanted got
	tried=$((tried + 3))
done
same pcapng.cap

# Two interfaces of two link types in one pcapng file, and two sections in one.
mergecap -F pcapng -w both.cap one.pcap other.pcap
cat pcapng.cap both.cap >sections.cap
for file in both.cap:6000 sections.cap:9000; do
	lines=$(records "${file%:*}" | wc -l)
	[ "$lines" = "${file#*:}" ] || { echo "${file%:*}: $lines lines"; exit 1; }
	tried=$((tried + 1))
done
records both.cap | sort >got
records one.pcap other.pcap | sort >wanted_both
cmp got wanted_both
echo "$tried readings agree"
