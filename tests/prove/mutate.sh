#!/bin/bash
# Shows that the proof is no formality: takes one bounds check out of each file, in a copy, and demands that the
# proof of that file's headers fails: a take is made shorter than what is read of it, or the cursor checks less.
set -u
cd "$(dirname "$0")/../.."
. tests/prove/eva.sh
export FRAME=${FRAME:-36}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# file:entry:sed expression
while IFS='|' read -r file entry change; do
	tree=$work/$file
	mkdir -p "$tree/tests"
	cp -r decoders "$tree/"
	cp -r tests/prove "$tree/tests/"
	sed -i "$change" "$tree/decoders/$file"
	if cmp -s "decoders/$file" "$tree/decoders/$file"; then
		echo "mutation $file: nothing was changed"; failed=1
	elif ! parse "$tree" "$tree" "$entry"; then
		echo "mutation $file: cannot be read"; cat "$tree/parse.log"; failed=1
	else
		analyse "$entry" "$tree"
		if grep -q "out of bounds\\|precondition 'valid_" "$tree/$entry.log"; then
			echo "mutation $file: seen in $entry ($(grep -c 'eva:alarm' "$tree/$entry.log") alarms)"
		else
			echo "mutation $file: NOT seen in $entry"; failed=1
		fi
	fi
	rm -rf "$tree"
done <<'LIST'
arp.c|arp|s/decode_take(d, 8,/decode_take(d, 1,/
capture_header.c|ipoib|s/decode_take(d, 44,/decode_take(d, 41,/
cooked.c|sll|s/decode_take(d, 16,/decode_take(d, 1,/
cursor.h|udp|s/return cursor->end >= length &&.*/return cursor->at <= cursor->end;/
checksum.c|tcp|s/cursor_take(&bytes, 8)/cursor_take(\&bytes, 7)/
decode.c|esp|s,trace->count >= DECODE_TRACE_LAYERS,trace->count > DECODE_TRACE_LAYERS,
esp_udp.c|esp_udp|s/decode_take(d, 8,/decode_take(d, 1,/
ethernet.c|ethernet|s/decode_take(d, 14,/decode_take(d, 13,/
frame_relay.c|frame_relay|s/decode_take(d, 5,/decode_take(d, 4,/
gre.c|erspan|s/decode_take(d, 8,/decode_take(d, 3,/
gtpu.c|gtpu|s/decode_take(d, 8,/decode_take(d, 7,/
icmp.c|icmp|s/decode_take(d, 8,/decode_take(d, 7,/
ipv4.c|ipv4|s/decode_take(d, 20,/decode_take(d, 19,/
ipv6.c|ipv6|s/decode_take(d, 40,/decode_take(d, 39,/
l2tp.c|l2tp_udp|s/decode_take(d, 6,/decode_take(d, 5,/
mpls.c|mpls|s/decode_take(d, 4,/decode_take(d, 2,/
nsh.c|nsh|s/decode_take(d, 8,/decode_take(d, 6,/
ppp.c|pppoe|s/decode_take(d, 6,/decode_take(d, 5,/
ring.c|token_ring|s/decode_take(d, 14,/decode_take(d, 8,/
sctp.c|dccp|s/decode_take(d, 12,/decode_take(d, 8,/
switch_tag.c|dsa|s/decode_take(d, 18,/decode_take(d, 17,/
tags.c|pbb|s/decode_take(d, 18,/decode_take(d, 17,/
tcp.c|tcp|s/decode_take(d, 20,/decode_take(d, 15,/
teredo.c|ayiya|s/decode_take(d, 8,/decode_take(d, 3,/
udp.c|udp|s/decode_take(d, 8,/decode_take(d, 7,/
vxlan.c|geneve|s/decode_take(d, 8,/decode_take(d, 6,/
wlan.c|wlan|s/decode_take(d, 2,/decode_take(d, 1,/
decode_fast.h|packet|0,/cursor_take(&p->cursor, 20)/s//cursor_take(\&p->cursor, 19)/
LIST
[ $failed = 0 ] && echo "mutations: every one was seen"
exit $failed
