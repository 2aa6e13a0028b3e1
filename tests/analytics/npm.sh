#!/bin/sh
# Installs the pinned npm packages into DIR/node_modules, once; several tests may call it at the same time.
# usage: npm.sh DIR    Exit 77: there is no node, or the packages cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
command -v npm >/dev/null || { echo "skip: no npm here"; exit 77; }
exec 9>"$1/lock"
flock 9
# Not `npm ci`: it refuses a lock that names this platform's optional packages only. Versions and digests are
# those of the lock all the same.
if ! cmp -s "$here/package-lock.json" "$1/installed"; then
	cp "$here/package.json" "$here/package-lock.json" "$1/"
	(cd "$1" && npm install --no-audit --no-fund --loglevel=error >npm.log 2>&1) || {
		cat "$1/npm.log"
		[ "${CI:-}" = true ] && exit 1
		echo "skip: npm cannot install the readers"
		exit 77
	}
	cp "$here/package-lock.json" "$1/installed"
fi
