#!/bin/sh
# xdp_faults.sh WEIR: what goes wrong with the XDP backends, as a person sees it: one line with cause and
# hint, status 1 (usage: 2), and the host as it was.
#
#	weir0 ──veth── weir1      in a network namespace of its own; captured on weir0, sent on weir1
set -u
weir=$1
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
if [ "${2:-}" != inside ]; then
	unshare -n true 2>/dev/null || { echo "skipped: no network namespaces"; exit 77; }
	exec unshare -n "$0" "$weir" inside
fi
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
pids=
trap 'for pid in $pids; do kill -KILL $pid 2>/dev/null; done; rm -rf "$work"' EXIT
failed=0 pid=
ok() { echo "ok: $*"; }
bad() {
	echo "FAILED: $*"
	failed=1
}

ip link set lo up
ip link add weir0 numrxqueues 2 numtxqueues 2 type veth peer name weir1 numrxqueues 2 numtxqueues 2 ||
	{ echo "skipped: no veth devices"; exit 77; }
sysctl -qw net.ipv6.conf.weir0.disable_ipv6=1 net.ipv6.conf.weir1.disable_ipv6=1
ip link set weir0 up
ip link set weir1 up

# refuses NAME STATUS TEXT ARGUMENTS...: one line, with the text in it
refuses() {
	name=$1 status=$2 text=$3
	shift 3
	timeout 20 "$weir" capture -i weir0 -w ndjson:/dev/null --duration 1 "$@" >"$work/out" 2>&1
	got=$?
	if [ $got -eq "$status" ] && grep -q -- "$text" "$work/out" &&
		{ [ "$status" = 2 ] || [ "$(wc -l <"$work/out")" = 1 ]; }
	then
		ok "$name"
	else
		bad "$name: status $got, said: $(cat "$work/out")"
	fi
	if [ -z "$pid" ] && ip -d link show weir0 | grep -q 'prog/xdp'; then
		bad "$name: a program stayed attached"
		ip link set dev weir0 xdp off
	fi
}

if ! timeout 20 "$weir" capture -i weir0 --backend afxdp -w ndjson:/dev/null --duration 0.1 >"$work/out" 2>&1 &&
	grep -q "CAP_BPF" "$work/out"
then
	echo "skipped: loading BPF programs is not permitted here"
	exit 77
fi

refuses "no such mode" 2 "xdp-mode" --backend afxdp --xdp-mode fast
refuses "no such backend" 2 "no backend" --backend dpdk
refuses "bad queues" 2 "queues" --backend afxdp --queues 1-
refuses "a queue that is not there" 1 "has no queue 5" --backend afxdp --queues 5
refuses "chunks of no size" 2 "chunk-size" --backend afxdp --chunk-size 1000
refuses "zero-copy on veth" 1 "cannot do zero-copy" --backend afxdp --xdp-mode zerocopy
refuses "outgoing packets" 1 "received packets only" --backend afxdp -Q out
refuses "packets of xdp-records" 1 "no packets to save" --backend xdp-records -w "$work/x.pcapng"
refuses "checksums of xdp-records" 1 "no packet bytes to check" --backend xdp-records --verify-checksums
refuses "xdp-records with a loop" 1 "cannot run at XDP" --backend xdp-records 'ip6 protochain 17'
refuses "a loop without --steal" 1 "every packet of weir0" --backend afxdp 'ip6 protochain 17'

ip addr add 192.0.2.1/24 dev weir0
refuses "an address" 1 "has an address" --backend afxdp
ip route add default via 192.0.2.2 dev weir0
refuses "the default route" 1 "default route" --backend afxdp
ip addr del 192.0.2.1/24 dev weir0

# Without privileges, in a user namespace of its own.
if unshare -Urn true 2>/dev/null; then
	without() { # NAME TEXT ARGUMENTS...
		name=$1 text=$2
		shift 2
		unshare -Urn sh -c 'ulimit -l 8192; ip link set lo up; ip link add a0 type veth peer name a1
			ip link set a0 up; ip link set a1 up; exec timeout 20 "$@"' sh \
			"$weir" capture -i a0 -w ndjson:/dev/null --duration 1 "$@" >"$work/out" 2>&1
		if [ $? -eq 1 ] && grep -q "$text" "$work/out" && [ "$(wc -l <"$work/out")" = 1 ]; then
			ok "$name"
		else
			bad "$name: $(cat "$work/out")"
		fi
	}
	without "afxdp without CAP_BPF" CAP_BPF --backend afxdp --ring-size 1M
	without "xdp-records without CAP_BPF" CAP_BPF --backend xdp-records
	without "afxdp without locked memory" "locked memory" --backend afxdp
fi

# --- while it runs

start() { # ARGUMENTS...
	rm -f "$work/ledger" "$work/out.ndjson" "$work/out"
	"$weir" capture -i weir0 -w "ndjson:$work/out.ndjson" --stats-json "$work/ledger" "$@" >"$work/out" 2>&1 &
	pid=$!
	pids="$pids $pid"
	for i in $(seq 100); do
		grep -qs "capturing on" "$work/out" && return
		sleep 0.05
	done
	bad "did not start: $(cat "$work/out")"
}
finish() { # STATUS NAME EXPECTED
	[ "$1" = wait ] || kill -INT $pid
	wait $pid
	status=$? pid=
	seen=$(grep -o '"seen":[0-9]*' "$work/ledger" | head -n 1 | cut -d: -f2)
	lines=$(wc -l <"$work/out.ndjson")
	if [ "$seen" = "$3" ] && [ "$lines" = "$3" ] && grep -q '"balanced":true' "$work/ledger"; then
		ok "$2: $seen of $3, balanced"
	else
		bad "$2: status $status, seen $seen, lines $lines, expected $3: $(cat "$work/out" "$work/ledger")"
	fi
}
send() { "$weir" gen -i weir1 -q --count "$1" --flows 32 --rate 50000 --method txring >/dev/null 2>&1; }

for backend in "afxdp" "afxdp --xdp-mode generic" "xdp-records"; do
	# shellcheck disable=SC2086 # words
	start --backend $backend udp
	refuses "a second capture beside $backend" 1 "taken\|another XDP program" --backend afxdp
	send 500
	ip link set weir0 down
	ip link set weir0 up
	sleep 0.3
	send 500
	finish int "$backend, down and up again" 1000
done

start --backend afxdp udp
send 300
ethtool -L weir0 rx 1 tx 1 2>/dev/null
ethtool -L weir1 rx 1 tx 1 2>/dev/null
send 300
finish int "afxdp, fewer channels" 600
ethtool -L weir0 rx 2 tx 2 2>/dev/null
ethtool -L weir1 rx 2 tx 2 2>/dev/null

# One queue asked for: what the other gets is passed on, and counted.
start --backend afxdp --queues 0 udp
send 600
kill -INT $pid
wait $pid
pid=
mine=$(grep -o '"seen":[0-9]*' "$work/ledger" | head -n 1 | cut -d: -f2)
other=$(grep -o '"xdp_other_queues":[0-9]*' "$work/ledger" | head -n 1 | cut -d: -f2)
if [ "$((mine + other))" = 600 ]; then
	ok "afxdp, one queue of two: $mine seen, $other passed on"
else
	bad "afxdp, one queue of two: $mine seen, $other passed on, of 600: $(cat "$work/ledger")"
fi

for backend in afxdp xdp-records; do
	start --backend $backend
	ip -d link show weir0 | grep -q 'prog/xdp' || bad "$backend: no program attached"
	kill -KILL $pid
	wait $pid 2>/dev/null
	left=1
	for i in $(seq 100); do
		ip -d link show weir0 | grep -q 'prog/xdp' || left=0
		ethtool -k weir1 | grep -q '^tx-vlan-offload: on' || left=1
		[ $left = 0 ] && break
		sleep 0.05
	done
	if [ $left = 0 ]; then
		ok "$backend: SIGKILL leaves neither program nor changed offloads"
	else
		bad "$backend: SIGKILL left $(ip -d link show weir0; ethtool -k weir1 | grep tx-vlan)"
	fi
done

make_pair() {
	ip link add weir0 numrxqueues 2 numtxqueues 2 type veth peer name weir1 numrxqueues 2 numtxqueues 2
	sysctl -qw net.ipv6.conf.weir0.disable_ipv6=1 net.ipv6.conf.weir1.disable_ipv6=1
	ip link set weir0 up
	ip link set weir1 up
}

# until NAME TEXT: the capture says it within 5 s
until_said() {
	for i in $(seq 100); do
		[ "$(grep -c "$2" "$work/out")" -ge "$3" ] && return
		sleep 0.05
	done
	bad "$1: never said '$2': $(cat "$work/out")"
}

for backend in "afxdp" "afxdp --xdp-mode generic" "afxdp --user nobody" "xdp-records" "xdp-records --user nobody"; do
	# shellcheck disable=SC2086 # words
	start --backend $backend udp
	send 300
	for round in 1 2; do
		ip link del weir0
		until_said "$backend" "went away; capturing goes on" $round
		sleep 0.3
		make_pair
		until_said "$backend" "is back; capturing again" $round
		# Every queue, not the first that is back.
		sleep 0.5
		send 300
	done
	sleep 0.3
	finish int "$backend, deleted and made again, twice" 900
	grep -q '"interface_losses":[1-9]' "$work/ledger" || bad "$backend: the ledger names no loss of the interface"
	ip -d link show weir0 | grep -q 'prog/xdp' && bad "$backend: a program stayed attached"
done

start --backend afxdp udp
ip link del weir0
until_said "afxdp" "went away" 1
make_pair
ip addr add 192.0.2.1/24 dev weir0
finish wait "afxdp, back with an address" 0
grep -q "takes the packets of weir0 away" "$work/out" || bad "afxdp, back with an address: $(cat "$work/out")"
ip addr del 192.0.2.1/24 dev weir0

for backend in afxdp xdp-records; do
	start --backend $backend --on-interface-loss exit udp
	send 200
	ip link del weir0
	finish wait "$backend, interface deleted" 200
	grep -q "went away" "$work/out" || bad "$backend: did not say that the interface went away: $(cat "$work/out")"
	make_pair
done
exit $failed
