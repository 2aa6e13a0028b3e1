#!/bin/sh
# Installs what packages.txt lists and the machine lacks. Usage: install.sh run|test|bench|prove
# run: the first part of the list (to build, and to show a capture); test: that and what the tests need; bench and
# prove: their own part alone.
set -eu
cd "$(dirname "$0")/.."

list() {
	case "$1" in
	run) sed '/^# --- tests/,$d' packages.txt ;;
	bench | prove) awk -v part="$1" '/^# ---/ { inside = $3 == part } inside' packages.txt ;;
	*) sed '/^# --- bench/,$d' packages.txt ;;
	esac | sed 's/#.*//' | tr -s ' \t' '\n' | grep -v '^$'
}

missing=
for package in $(list "${1:-test}"); do
	# Builds of nodejs that are not Debian's contain npm, and conflict with the package.
	if [ "$package" = npm ] && command -v npm >/dev/null; then
		continue
	fi
	status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
	[ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "weir: these Debian packages are missing:$missing (as root: apt-get install$missing)" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

install() {
	# A list that is a few days old names packages that the mirror no longer has.
	{ apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1
}

# npm cannot be installed beside a nodejs from elsewhere: what needs it is skipped then, and says so.
without_npm=$(echo "$missing " | sed 's/ npm / /')
if ! install $missing && { [ "$without_npm" = "$missing " ] || ! install $without_npm; }; then
	tail -n 20 "$log" >&2
	echo "weir: apt-get could not install$missing (its last words are above)" >&2
	exit 1
fi
