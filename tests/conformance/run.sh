#!/bin/sh
# Makes the packets and compares every record with tshark's dissection. $1: decode_file, $2: weir.
here=$(dirname "$0")
command -v tshark >/dev/null || { echo "skipped: no tshark"; exit 77; }
/usr/bin/python3 -c 'import scapy' 2>/dev/null || { echo "skipped: no scapy (python3-scapy)"; exit 77; }
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
/usr/bin/python3 "$here/make_packets.py" "$directory" || exit 1
/usr/bin/python3 "$here/compare" --verify-checksums --decoder "$1" "$directory"/*.pcap || exit 1
# The same through the whole of weir, for a part of them.
/usr/bin/python3 "$here/compare" --weir "$2" "$directory"/cut.pcap "$directory"/sll2.pcap "$directory"/raw.pcap || exit 1
# Every output of theirs has every packet, and the pcapng and the pcap give tshark the same ones.
/usr/bin/python3 "$here/outputs" --weir "$2" "$directory"/cut.pcap "$directory"/radiotap.pcap "$directory"/ppp.pcap
