#!/bin/sh
# Lines and branches that the seeds, the vectors and what run.sh found reach, by llvm-cov.
#
#	tests/fuzz/coverage.sh            prints a table for the files that are fuzzed
set -eu
cd "$(dirname "$0")/../.."
build=build-cov found=${BUILD:-build-fuzz}/found
version=$(clang -dumpversion | cut -d. -f1)
profdata=$(command -v llvm-profdata || command -v "llvm-profdata-$version") || { echo "llvm is not there" >&2; exit 77; }
cov=$(command -v llvm-cov || command -v "llvm-cov-$version")
flags="-fprofile-instr-generate -fcoverage-mapping"
if [ ! -f $build/build.ninja ]; then
	CC=clang CFLAGS=$flags LDFLAGS=-fprofile-instr-generate PATH=/usr/bin:$PATH \
		meson setup $build -Dbuildtype=debugoptimized -Db_lundef=false >/dev/null
fi
targets="decode sinks savefile recordfile filter" programs= objects=
for target in $targets; do
	programs="$programs tests/fuzz/replay_$target"
	objects="$objects -object $build/tests/fuzz/replay_$target"
done
PATH=/usr/bin:$PATH ninja -C $build $programs tests/fuzz/corpus >/dev/null
for target in $targets; do
	LLVM_PROFILE_FILE=$build/$target.profraw $build/tests/fuzz/replay_$target $build/tests/fuzz/corpus/$target \
		tests/fuzz/vectors/$target "$found/$target" >/dev/null
done
$profdata merge -sparse $build/*.profraw -o $build/fuzz.profdata
# The first object is the one without -object. Of each file: lines, and branches, that were reached.
$cov report -instr-profile=$build/fuzz.profdata ${objects# -object } | awk '
	$1 ~ "^(decoders/|engine/format|engine/filter/filter.c|engine/sources/(savefile|recordfile|json_reader|open))" ||
	$1 ~ "^engine/sinks/(text|ndjson|csv|records|pcap|arrow_record|arrow_batch)" {
		if ($8 > 0)
			printf "%-40s lines %5d of %5d, branches %5d of %5d\n", $1, $8 - $9, $8, $11 - $12, $11
		room = $1
		sub("/[^/]*$", "", room)
		lines[room] += $8; reached[room] += $8 - $9; branches[room] += $11; taken[room] += $11 - $12
	}
	END {
		for (room in lines)
			printf "%s: %.1f %% of %d lines, %.1f %% of %d branches\n", room, 100 * reached[room] / lines[room],
			       lines[room], 100 * taken[room] / branches[room], branches[room]
	}'
