#!/bin/bash
# Proves with Frama-C's Eva that no packet makes the decoders do anything undefined: README.md says how.
# Usage: run.sh [NAME...]   NAME: an entry of headers.h, or packet, tcp_options, udp_ports, loops; default: all,
# and then the mutations. PROVE_JOBS: analyses at a time (2). FRAME: each length up to it (headers.h).
set -u
cd "$(dirname "$0")/../.."
command -v frama-c >/dev/null || { echo "weir: frama-c is missing (as root: apt-get install frama-c-base)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work
. tests/prove/eva.sh

names=$*
[ -n "$names" ] || names="loops packet tcp_options udp_ports $(headers)"

# No header's decoder may be missing from the proof.
missing=$(sed -n 's/^enum decode_next decode_\([a-z0-9_]*\)(struct decode \*d\(, bool [a-z_]*\)\?);.*/\1/p' \
	decoders/decode_internal.h | sort | comm -23 - <(headers | sort))
[ -z "$missing" ] || { echo "not proven, add to tests/prove/headers.h: $missing"; exit 1; }

parse . "$work" || { cat "$work/parse.log"; exit 1; }
begun=$SECONDS
printf '%s\n' $names | xargs -P "${PROVE_JOBS:-2}" -I{} bash tests/prove/one.sh {} | tee "$work/results"
total=$(wc -l <"$work/results")
proven=$(grep -c ' 0 alarms' "$work/results")
echo "total: $proven of $total entry points proven, $((SECONDS - begun)) s"
[ "$proven" = "$total" ] && [ "$total" = "$(printf '%s\n' $names | wc -l)" ] || exit 1
[ $# -gt 0 ] || exec tests/prove/mutate.sh
