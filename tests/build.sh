#!/bin/sh
# Configures (once) and builds. Usage: build.sh DIRECTORY [MESON OPTION]...
set -eu
cd "$(dirname "$0")/.."
directory=$1
shift
# Debian's meson runs on Debian's python; another python earlier in PATH may lack it.
meson=/usr/bin/meson
[ -x "$meson" ] || meson=meson
[ "${CI:-}" = true ] && set -- -Dwerror=true "$@"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "$directory/build.ninja" ]; then
	PATH=/usr/bin:$PATH $meson setup "$directory" "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
PATH=/usr/bin:$PATH ninja -C "$directory" >"$log" 2>&1 || { tail -n 60 "$log" >&2; exit 1; }
echo "built $directory"
