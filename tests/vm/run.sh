#!/bin/sh
# run.sh BUILD [SUITE...]: the network tests (network.sh) and those of sealing with the kernel's own crypto
# (tests/seal/vm.sh) on Debian's own kernels, in virtual machines.
#
# SUITE: where a kernel comes from (default: bookworm 6.1, bookworm-backports 6.12, trixie-backports the newest).
# Each kernel is fetched once, into $WEIR_KERNELS (default ~/.cache/weir/kernels). One that cannot be had is
# reported as skipped, with the reason; so is what a kernel cannot do. A machine has four CPUs and two
# virtio_net devices of four queues each, joined by a bridge in a network namespace that lives as long as qemu:
# nothing of it is seen on the host. Without root or /dev/net/tun there are no such devices, and the tests
# on veth pairs are run alone.
#
# Bounded: each machine ends after $WEIR_VM_SECONDS (default 900). The results are also in BUILD/vm/SUITE.log and
# BUILD/vm/SUITE-seal.log. WEIR_VM_PARTS="network" or "seal" runs one of the two.
set -eu
[ $# -ge 1 ] || { echo "usage: run.sh BUILD [SUITE...]" >&2; exit 2; }
build=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- bookworm bookworm-backports trixie-backports
here=$(cd "$(dirname "$0")" && pwd)
kernels=${WEIR_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir/kernels}
seconds=${WEIR_VM_SECONDS:-900}
parts=${WEIR_VM_PARTS:-network seal}
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$kernels" "$build/vm"

files="-f $build/tools/weir:/root/weir"
for test in rawsocket afxdp afxdp_faults xdprecords fanout; do
	files="$files -f $build/tests/net/${test}_test:/root/${test}_test"
done
for test in translate xdprecords; do
	files="$files -f $build/tests/unit/$test/${test}_test:/root/${test}_unit"
done
for tool in ip ethtool sysctl; do
	path=$(command -v $tool) || { echo "run.sh: no $tool here" >&2; exit 77; }
	files="$files -f $path:/usr/local/sbin/$tool"
done

# busybox's shell prefers its own ip to ours: system(3) needs another.
files="$files -f $(command -v dash):/bin/sh"

# Two multi-queue taps on a bridge, inside a namespace of their own, and qemu with them.
nics='
	ip link add bridge0 type bridge mcast_snooping 0
	for tap in tap0 tap1; do
		ip tuntap add dev $tap mode tap multi_queue
		sysctl -qw net.ipv6.conf.$tap.disable_ipv6=1
		ip link set $tap master bridge0 up
	done
	sysctl -qw net.ipv6.conf.bridge0.disable_ipv6=1
	ip link set bridge0 up
	exec "$@"
'
words=
if unshare -n ip tuntap add dev weirprobe mode tap multi_queue 2>/dev/null; then
	for i in 0 1; do
		words="$words -netdev tap,id=n$i,ifname=tap$i,queues=4,script=no,downscript=no"
		words="$words -device virtio-net-pci,netdev=n$i,mac=52:54:00:00:00:0$i,mq=on,vectors=10"
		# A device behind an IOMMU does its DMA through the kernel's API: zero-copy needs that.
		words="$words,iommu_platform=on,disable-legacy=on"
	done
else
	echo "run.sh: no multi-queue tap devices here: veth pairs only"
fi

failed=0
summary=
note() { summary="$summary$1
"; }

# Tells one machine's end: NAME LOG STATUS DETAILS
told() {
	case $3 in
	0) note "$1: passed, $4" ;;
	77) note "$1: skipped: $(tail -n 1 "$2")" ;;
	*)
		tail -n 60 "$2"
		note "$1: FAILED (status $3; see $2)"
		failed=1
		;;
	esac
}

network() { # SUITE VERSION KERNEL MODULES
	log=$build/vm/$1.log name="$1 (kernel $2)" kernel=$3 modules=$4
	set -- "$here/boot.sh" -t "$seconds" -m 1536 -c 4
	[ -z "$words" ] || set -- "$@" -a "$words"
	status=0
	# shellcheck disable=SC2086 # the files are words
	if [ -n "$words" ]; then
		unshare -n sh -c "$nics" nics "$@" $files -M "veth macvlan virtio_pci virtio_net" \
			"$kernel" "$modules" "$here/network.sh" >"$log" 2>&1 || status=$?
	else
		"$@" $files -M "veth macvlan" "$kernel" "$modules" "$here/network.sh" >"$log" 2>&1 || status=$?
	fi
	grep -E '^(pass|FAIL|skip):' "$log" || true
	checks=$(grep -c '^pass:' "$log" || true)
	[ $status -ne 0 ] || [ "$checks" -gt 0 ] || status=125 # a machine that said nothing has passed nothing
	told "$name" "$log" $status "$checks checks, $(grep -c '^skip:' "$log" || true) skipped"
}

seal() { # SUITE VERSION KERNEL MODULES
	log=$build/vm/$1-seal.log status=0
	CRYPTO_TEST=$build/tests/unit/seal/seal-crypto \
		"$here/../seal/vm.sh" "$build/tools/weir" "$3" "$4" "$seconds" >"$log" 2>&1 || status=$?
	grep -E '^FAILED|checks, ' "$log" || true
	checks=$(grep 'checks, ' "$log" | tail -n 1)
	[ $status -ne 0 ] || [ -n "$checks" ] || status=125
	told "$1 (kernel $2), sealing" "$log" $status "$checks"
}

run() { # SUITE
	got=$("$here/fetch_kernel.sh" "$1" "$kernels/$1" 2>&1) || {
		note "$1: skipped: $(echo "$got" | tail -n 1)"
		return 0
	}
	eval "$(echo "$got" | tail -n 1)"
	for part in $parts; do
		echo "=== $1: kernel $version, $part"
		"$part" "$1" "$version" "$kernel" "$modules"
	done
}

case " $parts " in
" network seal " | " network " | " seal ") ;;
*) echo "run.sh: WEIR_VM_PARTS is network, seal, or both, not '$parts'" >&2; exit 2 ;;
esac
for suite; do
	run "$suite"
done
echo "=== real kernels"
printf '%s' "$summary" | tee "$build/vm/summary"
exit $failed
