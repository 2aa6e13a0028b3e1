#!/bin/sh
# network.sh: what is tested inside a virtual machine (see run.sh). Prints pass:, FAIL: and skip: lines.
failed=0
pass() { echo "pass: $*"; }
skip() { echo "skip: $*"; }
fail() {
	echo "FAIL: $*"
	failed=1
}
now() { cut -d. -f1 /proc/uptime; }
echo "kernel $(uname -r), $(nproc) CPUs, $(now) s after boot"

# --- the test programs, on veth pairs of their own

for program in rawsocket afxdp afxdp_faults xdprecords fanout; do
	started=$(now)
	timeout 240 /root/${program}_test >/tmp/$program.log 2>&1
	status=$?
	case $status in
	0) pass "$program on veth, $(grep -c '\[       OK' /tmp/$program.log) tests ($(($(now) - started)) s)" ;;
	77) skip "$program on veth: $(tail -n 1 /tmp/$program.log)" ;;
	*)
		fail "$program on veth (status $status)"
		grep -v RUN /tmp/$program.log | tail -n 40
		;;
	esac
done
for program in translate xdprecords; do
	started=$(now)
	timeout 400 /root/${program}_unit >/tmp/$program.log 2>&1
	status=$?
	case $status in
	0) pass "$program against libpcap or the decoders: $(grep -E 'pairs|made' /tmp/$program.log | head -n 1) ($(($(now) - started)) s)" ;;
	77) skip "$program: $(tail -n 1 /tmp/$program.log)" ;;
	*)
		fail "$program (status $status)"
		grep -v RUN /tmp/$program.log | tail -n 40
		;;
	esac
done

# --- virtio_net with four queues: eth0 captures, eth1 sends

if [ ! -e /sys/class/net/eth1 ]; then
	skip "virtio_net: no devices"
	exit $failed
fi
weir=/root/weir
ip=/usr/local/sbin/ip # busybox's shell prefers its own
for device in eth0 eth1; do
	sysctl -qw net.ipv6.conf.$device.disable_ipv6=1
	ethtool -L $device combined 4 >/dev/null 2>&1
	$ip link set $device up
done
sleep 1
queues=$(ethtool -l eth0 | sed -n 's/^Combined:[[:space:]]*//p' | tail -n 1)
echo "eth0: $(readlink /sys/class/net/eth0/device/driver | sed 's/.*\///'), $queues queues"

value() { # KEY: of the ledger's totals, which come first
	grep -o "\"$1\":[0-9]*" /tmp/ledger.json | head -n 1 | cut -d: -f2
}
rings() { grep -o '"worker":[0-9]*,"mode":"[^"]*"' /tmp/ledger.json; }

# capture NAME COUNT ARGUMENTS...: sends COUNT packets of 64 flows past a capture; all must be in its ledger.
capture() {
	name=$1 count=$2
	shift 2
	rm -f /tmp/ledger.json
	timeout 120 $weir capture -i eth0 -Q in --stats-json /tmp/ledger.json -w ndjson:/tmp/out.ndjson "$@" \
		"udp and ip" >/tmp/capture.log 2>&1 &
	pid=$!
	for i in $(seq 100); do
		grep -q "capturing on" /tmp/capture.log && break
		kill -0 $pid 2>/dev/null || break
		usleep 100000
	done
	if ! kill -0 $pid 2>/dev/null; then
		wait $pid
		return 2
	fi
	usleep 500000
	timeout 100 $weir gen -i eth1 --yes-this-interface -q --count "$count" --flows 64 --rate 4000 \
		--method txring >/tmp/gen.log 2>&1 || cat /tmp/gen.log
	sleep 1
	kill -INT $pid
	wait $pid
	status=$?
	seen=$(value seen) written=$(value written) lost=$(value lost)
	lines=$(wc -l </tmp/out.ndjson)
	rm -f /tmp/out.ndjson
	if [ $status -eq 0 ] && [ "$seen" = "$count" ] && [ "$written" = "$count" ] && [ "$lines" = "$count" ]; then
		pass "$name: $count of $count packets, $(rings | wc -l) rings, $(rings | sed -n '1s/.*"mode":"\(.*\)"/\1/p')"
		return 0
	fi
	fail "$name: status $status, sent $count, seen $seen, written $written, lost $lost, lines $lines"
	cat /tmp/capture.log /tmp/gen.log
	return 1
}

capture "virtio afpacket, fanout over 4 workers" 4000 --backend afpacket --workers 4
capture "virtio rawsocket" 4000 --backend rawsocket
capture "virtio afxdp native, $queues queues" 4000 --backend afxdp --xdp-mode native
capture "virtio afxdp generic" 4000 --backend afxdp --xdp-mode generic
capture "virtio afxdp, unaligned chunks" 4000 --backend afxdp --xdp-mode native --unaligned --chunk-size 2304
capture "virtio xdp-records" 4000 --backend xdp-records
capture "virtio afxdp zero-copy" 4000 --backend afxdp --xdp-mode zerocopy
[ $? -ne 2 ] || skip "virtio afxdp zero-copy: $(tail -n 1 /tmp/capture.log)"

WEIR_CAPTURE=eth0 WEIR_SEND=eth1 timeout 60 /root/fanout_test >/tmp/fanout.log 2>&1
case $? in
0) pass "virtio: both directions of each flow on one of 4 workers" ;;
*)
	fail "virtio: symmetric flow placement"
	cat /tmp/fanout.log
	;;
esac

# --- killed: nothing stays attached

timeout 60 $weir capture -i eth0 --backend afxdp -w ndjson:/dev/null >/tmp/capture.log 2>&1 &
pid=$!
for i in $(seq 100); do
	grep -q "capturing on" /tmp/capture.log && break
	usleep 100000
done
attached=$($ip -d link show eth0 | grep -c 'prog/xdp')
# The capture itself, not timeout.
kill -KILL "$(pidof weir | tr ' ' '\n' | head -n 1)" 2>/dev/null
wait $pid
for i in $(seq 50); do
	$ip -d link show eth0 | grep -q 'prog/xdp' || break
	usleep 100000
done
left=$($ip -d link show eth0 | grep -c 'prog/xdp')
if [ "$attached" = 1 ] && [ "$left" = 0 ]; then
	pass "virtio afxdp: after SIGKILL no program is left"
else
	fail "virtio afxdp: programs before SIGKILL $attached, after $left"
fi

# --- the device is unplugged in mid-capture

said() { # TEXT: the capture has said it, within 20 s
	for i in $(seq 200); do
		grep -q "$1" /tmp/capture.log && return 0
		usleep 100000
	done
	return 1
}

send_thousand() {
	$weir gen -i eth1 --yes-this-interface -q --count 1000 --flows 64 --rate 2000 --method txring >/dev/null 2>&1
}

# A capture, the thousand packets that it saves, and then the device is gone.
until_unplugged() { # ARGUMENTS...
	rm -f /tmp/ledger.json
	timeout 90 $weir capture -i eth0 -Q in --stats-json /tmp/ledger.json -w ndjson:/tmp/out.ndjson "$@" \
		"udp and ip" >/tmp/capture.log 2>&1 &
	pid=$!
	said "capturing on"
	usleep 300000
	send_thousand
	address=$(basename "$(readlink -f /sys/class/net/eth0/device/..)")
	echo 1 >"/sys/bus/pci/devices/$address/remove"
}

plug_in() {
	echo 1 >/sys/bus/pci/rescan
	sleep 2
	sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1
	ethtool -L eth0 combined 4 >/dev/null 2>&1
	$ip link set eth0 up
	sleep 1
}

unplug() { # NAME ARGUMENTS...
	name=$1
	shift
	until_unplugged --on-interface-loss exit "$@"
	wait $pid
	status=$?
	lines=$(wc -l </tmp/out.ndjson)
	if [ $status -eq 1 ] && [ "$lines" = 1000 ] && [ "$(value seen)" = 1000 ] && grep -q "went away" /tmp/capture.log
	then
		pass "$name: unplugged in mid-capture: said so, 1000 of 1000 packets saved, ledger balanced"
	else
		fail "$name: unplugged: status $status, lines $lines, seen $(value seen)"
		cat /tmp/capture.log
	fi
	plug_in
}

# Plugged in again the capture goes on: what came before and after is in one file and one ledger.
replug() { # NAME ARGUMENTS...
	name=$1
	shift
	until_unplugged "$@"
	said "went away" || echo "it did not say that eth0 went away"
	plug_in
	said "is back" || echo "it did not say that eth0 is back"
	usleep 500000
	send_thousand
	sleep 1
	kill -INT $pid
	wait $pid
	status=$?
	lines=$(wc -l </tmp/out.ndjson)
	if [ $status -eq 0 ] && [ "$lines" = 2000 ] && [ "$(value seen)" = 2000 ] && [ "$(value lost)" = 0 ]; then
		pass "$name: unplugged and plugged in again: 1000 packets before and 1000 after, ledger balanced"
	else
		fail "$name: plugged in again: status $status, lines $lines, seen $(value seen), lost $(value lost)"
		cat /tmp/capture.log
	fi
}

replug "virtio afxdp" --backend afxdp
replug "virtio xdp-records" --backend xdp-records
replug "virtio afpacket" --backend afpacket --workers 4
unplug "virtio afxdp" --backend afxdp
unplug "virtio afpacket" --backend afpacket --workers 4
unplug "virtio rawsocket" --backend rawsocket

echo "done $(now) s after boot"
exit $failed
