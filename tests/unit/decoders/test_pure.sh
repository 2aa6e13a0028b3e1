#!/bin/sh
# decoders/ and ringbuf/ are pure: no symbol from outside but mem*, no header of the C library, no
# way up the tree. $1: the source tree, $2 $3: the static libraries, $4: the sanitizer in use.
status=0
found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT
defined=$(nm "$2" "$3" 2>/dev/null | awk '$2 ~ /^[A-Z]$/ && $2 != "U" { print $3 }' | sort -u)
[ -n "$defined" ] || { echo "no symbols in $2 $3"; exit 1; }
if [ "$4" = none ]; then
	for symbol in $(nm -u "$2" "$3" | awk '$1 == "U" { print $2 }' | sort -u); do
		case $symbol in
		memcpy | memset | memmove | memcmp | _GLOBAL_OFFSET_TABLE_) continue ;;
		esac
		echo "$defined" | grep -qx "$symbol" || { echo "undefined symbol: $symbol"; status=1; }
	done
fi
cd "$1" || exit 1
for file in decoders/*.[ch] ringbuf/*.[ch]; do
	grep -n '#include' "$file" | while IFS= read -r line; do
		case $line in
		*'"decoders/'*'"' | *'"ringbuf/'*'"' | *'<stdbool.h>' | *'<stddef.h>' | *'<stdint.h>' | *'<stdatomic.h>' | \
			*'<limits.h>' | *'<stdalign.h>' | *'immintrin.h>') ;;
		*) echo "$file: $line" ;;
		esac
	done
done >"$found"
# The decoders must not look up the tree nor into a sibling.
grep -n '"\.\./\|"ringbuf/\|"engine/\|"tools/' decoders/*.[ch] >>"$found"
grep -n '"\.\./\|"decoders/\|"engine/\|"tools/' ringbuf/*.[ch] >>"$found"
if [ -s "$found" ]; then
	echo "not allowed:"
	cat "$found"
	status=1
fi
exit $status
