#!/bin/sh
# Arrow files of sample records through real readers. usage: arrow.sh ARROW_SAMPLE BUILD_DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/npm.sh" "$2/npm"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$1" "$directory" 20011
node "$here/arrow_readers.mjs" "$directory" "$2/npm"
