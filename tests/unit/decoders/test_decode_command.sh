#!/bin/sh
# `weir decode`: reads every usual dump of one packet to the same bytes, prints tree and record, and
# says what is wrong with what is none. $1: weir.
weir=$1
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failures=0
plain=ffffffffffff02fc000000018100000586dd60000000000d11402001000000000000000000000000000120010000000000000000000000000002003503e7000d77e168656c6c6f

fail() {
	echo "FAILED: $1"
	failures=$((failures + 1))
}

expect_same() {
	"$weir" decode - <"$directory/dump" >"$directory/got" 2>"$directory/err" || fail "$1: exit status"
	cmp -s "$directory/got" "$directory/want" || { fail "$1: another record"; diff "$directory/got" "$directory/want"; }
}

expect_error() { # status, pattern, arguments...
	status=$1 pattern=$2
	shift 2
	"$weir" decode "$@" >"$directory/got" 2>"$directory/err" </dev/null
	[ $? = "$status" ] || fail "decode $*: not exit status $status"
	[ "$(wc -l <"$directory/err")" = 1 ] && grep -q "^weir: .*$pattern" "$directory/err" || {
		fail "decode $*: message"
		cat "$directory/err"
	}
}

"$weir" decode $plain >"$directory/want" || fail 'plain hex'
cat >"$directory/tree" <<'END'
      0..13  Ethernet (14 bytes)
     14..17  802.1Q (4 bytes)
     18..57  IPv6 (40 bytes)
     58..65  UDP (8 bytes)
     66..70  payload (5 bytes)

wire_length      71
captured_length  71
src_ip           2001::1
dst_ip           2001::2
src_port         53
dst_port         999
payload_length   5
flow_hash        3678875205
ethertype        34525  (0x86dd)
ip_protocol      17
layers           537004043  (ETH ETHERTYPE VLAN IPV6 UDP PORTS)
status           0
src_mac          02:fc:00:00:00:01
dst_mac          ff:ff:ff:ff:ff:ff
vlan_tci         5
l3_offset        18
l4_offset        58
payload_offset   66
ip_ttl           64
ip_tos           0
tunnel_depth     0
ip_version       6
vlan_id          5
END
cmp "$directory/want" "$directory/tree" || fail 'tree and record'

cat >"$directory/dump" <<'END'
00000000  ff ff ff ff ff ff 02 fc  00 00 00 01 81 00 00 05  |................|
00000010  86 dd 60 00 00 00 00 0d  11 40 20 01 00 00 00 00  |..`......@ .....|
00000020  00 00 00 00 00 00 00 00  00 01 20 01 00 00 00 00  |.......... .....|
00000030  00 00 00 00 00 00 00 00  00 02 00 35 03 e7 00 0d  |...........5....|
00000040  77 e1 68 65 6c 6c 6f                              |w.hello|
00000047
END
expect_same 'hexdump -C'
sed -e 's/|.*//' -e 's/^00\(......\) /\1/' -e 's/  */ /g' -e 's/ $//' "$directory/dump" >"$directory/od"
mv "$directory/od" "$directory/dump"
expect_same 'od -Ax -tx1'
cat >"$directory/dump" <<'END'
18:56:24.519042 IP6 2001::1.53 > 2001::2.999: domain [length 5 < 12] (invalid)
	0x0000:  ffff ffff ffff 02fc 0000 0001 8100 0005  ................
	0x0010:  86dd 6000 0000 000d 1140 2001 0000 0000  ..`......@......
	0x0020:  0000 0000 0000 0000 0001 2001 0000 0000  be 77 4554......
	0x0030:  0000 0000 0000 0000 0002 0035 03e7 000d  ...........5....
	0x0040:  77e1 6865 6c6c 6f                        77656865
END
expect_same 'tcpdump -XX'
cut -c1-51 "$directory/dump" | sed 's/ *$//' >"$directory/xx"
mv "$directory/xx" "$directory/dump"
expect_same 'tcpdump -xx'
cat >"$directory/dump" <<'END'
00000000: ffff ffff ffff 02fc 0000 0001 8100 0005  ................
00000010: 86dd 6000 0000 000d 1140 2001 0000 0000  ..`......@ .....
00000020: 0000 0000 0000 0000 0001 2001 0000 0000  .......... .....
00000030: 0000 0000 0000 0000 0002 0035 03e7 000d  ...........5....
00000040: 77e1 6865 6c6c 6f                        w.hello
END
expect_same 'xxd'
cat >"$directory/dump" <<'END'
0000  ff ff ff ff ff ff 02 fc 00 00 00 01 81 00 00 05   ab cd ef........
0010  86 dd 60 00 00 00 00 0d 11 40 20 01 00 00 00 00   ..`......@ .....
0020  00 00 00 00 00 00 00 00 00 01 20 01 00 00 00 00   .......... .....
0030  00 00 00 00 00 00 00 00 00 02 00 35 03 e7 00 0d   ...........5....
0040  77 e1 68 65 6c 6c 6f                              77 e1 68
END
expect_same 'Wireshark, text2pcap'
{ cat "$directory/dump"; echo; cat "$directory/dump"; } >"$directory/two"
mv "$directory/two" "$directory/dump"
expect_same 'two packets'
grep -q 'more than one' "$directory/err" || fail 'two packets: nothing said'
echo $plain | sed 's/../&:/g; s/:$//' >"$directory/dump"
expect_same 'colons'
echo $plain | sed 's/../0x&, /g' >"$directory/dump"
expect_same '0x and commas'
echo $plain | sed 's/.\{60\}/&\n/g' >"$directory/dump"
expect_same 'xxd -p'

expect_error 2 'no packet'
expect_error 1 'odd number' 123
expect_error 1 "'g' at character 3" 12g4
expect_error 1 'no bytes' ''
expect_error 1 'no bytes' -
expect_error 2 'no link type' --link-type fddi-ng 00
expect_error 2 'inner or outer' --tunnel sideways 00
expect_error 2 'KIND=PORT' --tunnel-port vxlan 00
expect_error 2 'no option' --frobnicate 00
expect_error 2 'wants a value' --link-type

"$weir" decode -l raw 4500001c000000004011000001020304050607080035003500080000 | grep -q '^src_port  *53$' || fail '--link-type'
"$weir" decode --wire-length 1500 ffffffffffff020000000001080045 | grep -q '(CUT)' || fail '--wire-length'
"$weir" decode --all 00 | grep -q '^src_ip  *null$' || fail '--all'
"$weir" decode --verify-checksums -l raw 4500001c00000000401100000102030405060708003500350008ffff |
	grep -q 'IP_CHECKSUM_BAD L4_CHECKSUM_BAD' || fail '--verify-checksums'
exit $((failures > 0))
