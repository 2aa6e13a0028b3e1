#!/bin/sh
# boot.sh [OPTION]... KERNEL MODULES SCRIPT [ARGUMENT]...
#
# Boots KERNEL (a bzImage) in qemu without hardware virtualisation (TCG), with a busybox initramfs made for
# this one run, runs SCRIPT in it as root with busybox's sh, prints what it prints and exits with its status.
# MODULES is the directory that holds lib/modules/VERSION (fetch_kernel.sh makes both); "-" for none.
#
#   -f SOURCE[:PATH]  adds a file or directory (again and again); PATH inside the VM, by default /SOURCE's own
#                     absolute path for programs and /root/NAME for the rest. Shared libraries come along.
#   -M "NAME..."      modules to load before SCRIPT, with what they depend on; unknown names are said and skipped
#   -e NAME=VALUE     environment of SCRIPT
#   -a "WORD..."      more words for qemu's command line (devices)
#   -k "WORD..."      more words for the kernel's command line
#   -t SECONDS        time bound for the whole run, default 300; then the status is 124
#   -m MEGABYTES      memory, default 1024        -c CPUS  default 2
#   -T multi|single   whether each CPU has a thread of qemu's; default single: with several, qemu 7.2 now and then runs a
#                     breakpoint that the kernel has already taken out of its code again, and 7.3 panics
#   -C MODEL          -cpu; default: "max" for 6.1, "Nehalem" otherwise (TCG's "max" does not boot 6.12 and later)
#
# In the VM: /proc, /sys, /dev, /tmp (tmpfs) are mounted, lo is up, WEIR_VM=1 is set. The host's files are not
# visible, and nothing that happens inside reaches the host's network unless -a says so.
# Exit 77: a tool is missing here. Exit 125: the VM did not end by itself (its console is printed).
set -eu

usage() {
	echo "usage: boot.sh [-f FILE[:PATH]]... [-M MODULES] [-e NAME=VALUE]... [-t SECONDS] KERNEL MODULES SCRIPT" >&2
	exit 2
}
quote() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
skip() { echo "boot.sh: $1" >&2; exit 77; }

PATH=$PATH:/usr/sbin:/sbin
for tool in qemu-system-x86_64 busybox cpio modprobe timeout ldd; do
	command -v $tool >/dev/null || skip "no $tool here"
done
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-vm.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
root=$work/root
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/root" "$root/run" "$root/etc" \
	"$root/modules" "$root/usr/bin" "$root/sbin" "$root/var/tmp"

add_libraries() { # FILE: what ldd says, at the same paths
	ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' |
		while read -r library; do
			[ -e "$root$library" ] && continue
			mkdir -p "$root$(dirname "$library")"
			cp -L "$library" "$root$library"
		done
}

add_file() { # SOURCE[:PATH]
	source=${1%%:*}
	[ -e "$source" ] || { echo "boot.sh: no file $source" >&2; exit 2; }
	case $1 in
	*:*) target=${1#*:} ;;
	*)
		target=/root/$(basename "$source")
		if [ -f "$source" ] && [ -x "$source" ]; then
			target=$(cd "$(dirname "$source")" && pwd)/$(basename "$source")
		fi
		;;
	esac
	mkdir -p "$root$(dirname "$target")"
	cp -rL "$source" "$root$target"
	[ ! -f "$source" ] || add_libraries "$source"
}

modules_wanted= time=300 memory=1024 cpus=2 threads=single model= qemu_words= kernel_words=
: >"$work/env"
while getopts f:M:e:a:k:t:m:c:C:T: option; do
	case $option in
	f) add_file "$OPTARG" ;;
	M) modules_wanted="$modules_wanted $OPTARG" ;;
	e) printf 'export %s=%s\n' "${OPTARG%%=*}" "$(quote "${OPTARG#*=}")" >>"$work/env" ;;
	a) qemu_words="$qemu_words $OPTARG" ;;
	k) kernel_words="$kernel_words $OPTARG" ;;
	t) time=$OPTARG ;;
	m) memory=$OPTARG ;;
	c) cpus=$OPTARG ;;
	C) model=$OPTARG ;;
	T) threads=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || usage
kernel=$1 modules=$2 script=$3
shift 3

# Modules, in the order in which modprobe would load them; a busybox insmod reads no .xz.
: >"$root/modules/order"
version=
if [ "$modules" != - ]; then
	version=$(basename "$modules/lib/modules/"*)
	for name in $modules_wanted; do
		if ! modprobe -d "$modules" -S "$version" --show-depends "$name" >"$work/depends" 2>/dev/null; then
			echo "boot.sh: kernel $version has no module $name" >&2
			continue
		fi
		while read -r verb path rest; do
			[ "$verb" = insmod ] || continue
			file=$(basename "$path")
			plain=${file%.xz}
			plain=${plain%.zst}
			[ ! -e "$root/modules/$plain" ] || continue
			case $file in
			*.xz) xz -dc "$path" >"$root/modules/$plain" ;;
			*.zst) zstd -qdc "$path" >"$root/modules/$plain" ;;
			*) cp "$path" "$root/modules/$plain" ;;
			esac
			echo "$plain $rest" >>"$root/modules/order"
		done <"$work/depends"
	done
fi
if [ -z "$model" ]; then
	case $version in
	6.1.*) model=max ;;
	*) model=Nehalem ;;
	esac
fi

cp "$(command -v busybox)" "$root/bin/busybox"
add_libraries "$(command -v busybox)"
cp "$script" "$root/script"
cp "$work/env" "$root/env"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
: >"$root/arguments"
for argument; do
	printf '%s ' "$(quote "$argument")" >>"$root/arguments"
done

cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root WEIR_VM=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
ip link set lo up
while read -r file parameters; do
	insmod "/modules/$file" $parameters || echo "insmod $file failed"
done </modules/order
# The second serial port carries the script's output alone, without the kernel's messages.
stty -F /dev/ttyS1 raw -echo 2>/dev/null
. /env
cd /root
eval "set -- $(cat /arguments)"
sh /script "$@" >/dev/ttyS1 2>&1 </dev/null
status=$?
echo "weir-vm-status=$status" >/dev/ttyS1
sync
sleep 0.2
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc) | gzip -1 >"$work/initramfs"

# Before qemu is there: a tail that comes first must find it, or all output is lost.
: >"$work/pipe"
# shellcheck disable=SC2086 # the words are words
set +e
timeout -k 5 "$time" qemu-system-x86_64 -accel "tcg,thread=$threads" -cpu "$model" -m "$memory" -smp "$cpus" \
	-nodefaults -no-user-config -display none -no-reboot \
	-kernel "$kernel" -initrd "$work/initramfs" \
	-append "console=ttyS0 quiet panic=-1 $kernel_words" \
	-serial "file:$work/console" -serial stdio $qemu_words </dev/null >>"$work/pipe" 2>"$work/qemu" &
qemu=$!
trap 'kill $qemu 2>/dev/null; wait $qemu 2>/dev/null; rm -rf "$work"' EXIT
tail -f --pid=$qemu -n +1 "$work/pipe" 2>/dev/null | sed -u '/^weir-vm-status=/d'
wait $qemu
ended=$?
status=$(sed -n 's/^weir-vm-status=\([0-9]*\).*/\1/p' "$work/pipe" | tail -n 1)
[ -n "$status" ] && exit "$status"
if [ $ended -eq 124 ] || [ $ended -eq 137 ]; then
	echo "boot.sh: stopped after $time s; the end of the console:" >&2
	tail -n 15 "$work/console" >&2
	exit 124
fi
echo "boot.sh: the VM ended without the script's status; qemu: $(cat "$work/qemu"); console:" >&2
tail -n 30 "$work/console" >&2
exit 125
