#!/bin/bash
# One entry point, for run.sh: a line with its result. $1: its name; $work: where run.sh has read the sources.
. tests/prove/eva.sh
if [ "$1" = loops ]; then
	# That loops end is read off their form: a counter from 0 up to a constant, and nothing else.
	others=$(sed 's,/\*.*\*/,,; /^ \*/d; /^\/\*/d' decoders/*.[ch] |
		grep -nE '\b(for|while|goto|do)\b *[({]|\bgoto\b|\bdo\b *\{' |
		grep -vE 'for \(uint32_t ([a-z]+) = 0; (\1 < ([A-Z0-9_]+|[0-9]+|DECODE_FRAME_BOUND / 8)( && next != 0)?|next != NEXT_END); (\1\+\+|\1 \+= 2)\)')
	if [ -z "$others" ]; then
		echo "loops: every loop of decoders/ counts up to a constant: 0 alarms"
	else
		printf 'loops: %s\n' "$others"
	fi
	exit 0
fi
analyse "$1" "$work"
verdict=$(judge "$work/$1.log")
fine=$?
echo "decode_$1: $verdict"
[ $fine = 0 ] || { [ -z "${PROVE_QUIET:-}" ] && grep -A2 'eva:alarm\|error' "$work/$1.log" | head -n 20 >&2; }
exit 0
