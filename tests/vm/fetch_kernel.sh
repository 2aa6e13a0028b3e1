#!/bin/sh
# fetch_kernel.sh [-p PACKAGE] SUITE DIRECTORY
#
# Gets a Debian kernel for the virtual machine of the tests (boot.sh) through apt, without root and without
# touching the system's own apt state: apt works on a private list inside DIRECTORY. The mirror is the one
# that this machine's apt is set up with for Debian, so SUITE may also be one that it does not list:
# bookworm, bookworm-backports, trixie, trixie-backports, sid, ...
# PACKAGE (default linux-image-amd64) may be a meta package: the image that it depends on is unpacked.
#
# Afterwards DIRECTORY/vmlinuz is the kernel and DIRECTORY/modules its modules (with modules.dep); prints
#   kernel=DIRECTORY/vmlinuz modules=DIRECTORY/modules version=VERSION
# A DIRECTORY that is already complete is left as it is. Exit 77: apt offers no such kernel here.
set -eu

package=linux-image-amd64
while getopts p: option; do
	case $option in
	p) package=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || { echo "usage: fetch_kernel.sh [-p PACKAGE] SUITE DIRECTORY" >&2; exit 2; }
suite=$1
PATH=$PATH:/usr/sbin:/sbin

skip() { echo "fetch_kernel.sh: $1" >&2; exit 77; }
report() { echo "kernel=$directory/vmlinuz modules=$directory/modules version=$(cat "$directory/version")"; }

mkdir -p "$2"
directory=$(cd "$2" && pwd)
if [ -f "$directory/version" ]; then
	report
	exit 0
fi
for tool in apt-get apt-cache dpkg-deb depmod; do
	command -v $tool >/dev/null || skip "no $tool"
done

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' \
	2>/dev/null | sort -u | head -n 1)
[ -n "$mirror" ] || skip "apt has no Debian archive configured (apt-get update?)"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg # without it apt's own trusted keys serve
signed=
[ -f $keyring ] && signed=" signed-by=$keyring"

apt=$directory/apt
rm -rf "$apt"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/unpacked"
echo "deb [arch=amd64$signed] $mirror $suite main" >"$apt/sources.list"
: >"$apt/status"
options="-o Dir::Etc::sourcelist=$apt/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$apt/lists
	-o Dir::Cache=$apt/cache -o Dir::State::status=$apt/status -o APT::Get::List-Cleanup=0
	-o APT::Architecture=amd64 -o Acquire::Languages=none -o APT::Sandbox::User="
# shellcheck disable=SC2086 # the options are words
{
	apt-get $options -qq update >"$apt/log" 2>&1 || skip "apt cannot read suite $suite: $(tail -n 1 "$apt/log")"
	image=$package
	case $package in
	linux-image-[0-9]*) ;;
	*)
		image=$(apt-cache $options depends --important "$package" 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
		[ -n "$image" ] || skip "suite $suite has no package $package"
		;;
	esac
	# From 7.0 on an image is several packages: its files are in those that it depends on.
	parts=$(apt-cache $options depends --important "$image" 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-\(base\|binary\|modules\)-[0-9].*\)$/\1/p')
	(cd "$apt" && apt-get $options -qq download "$image" $parts >>"$apt/log" 2>&1) ||
		skip "cannot download $image: $(tail -n 1 "$apt/log")"
}
for deb in "$apt"/*.deb; do
	dpkg-deb -x "$deb" "$apt/unpacked"
done
for part in boot lib/modules; do # newer packages know only the merged /usr
	[ -d "$apt/unpacked/usr/$part" ] || continue
	mkdir -p "$apt/unpacked/lib"
	mv "$apt/unpacked/usr/$part" "$apt/unpacked/$part"
done
version=$(basename "$apt/unpacked/lib/modules/"*)
rm -rf "$directory/modules"
mkdir -p "$directory/modules/lib"
mv "$apt/unpacked/lib/modules" "$directory/modules/lib/modules"
depmod -b "$directory/modules" "$version"
if [ -f "$apt/unpacked/boot/vmlinuz-$version" ]; then
	mv "$apt/unpacked/boot/vmlinuz-$version" "$directory/vmlinuz"
else
	mv "$directory/modules/lib/modules/$version/vmlinuz" "$directory/vmlinuz"
fi
rm -rf "$apt"
echo "$version" >"$directory/version"
report
