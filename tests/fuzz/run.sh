#!/bin/sh
# Builds the fuzz targets with clang and libFuzzer (ASan, UBSan) and runs them from the seed corpus.
#
#	tests/fuzz/run.sh [SECONDS-PER-TARGET [TARGET...]]      default: 60, all
#
# BUILD (build-fuzz) holds what grows: BUILD/found/TARGET, the inputs that reached new code, and
# BUILD/crash-TARGET-*: what failed. A crash becomes a file in tests/fuzz/vectors/TARGET, which `make test` replays.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-decode sinks savefile recordfile filter}
build=${BUILD:-build-fuzz}
meson=/usr/bin/meson
[ -x "$meson" ] || meson=meson
command -v clang >/dev/null || { echo "clang is not there (apt-get install clang libclang-rt-14-dev)" >&2; exit 77; }
if [ ! -f "$build/build.ninja" ]; then
	CC=clang PATH=/usr/bin:$PATH $meson setup "$build" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		-Dbuildtype=debugoptimized >/dev/null
fi
fuzzers=
for target in $targets; do
	fuzzers="$fuzzers tests/fuzz/fuzz_$target"
done
PATH=/usr/bin:$PATH ninja -C "$build" $fuzzers tests/fuzz/corpus >/dev/null
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
failed=0
for target in $targets; do
	found=$build/found/$target
	mkdir -p "$found"
	# A packet's headers are all that a decoder looks at; a file has to hold several blocks.
	case $target in
	decode | sinks) longest=512 ;;
	*) longest=4096 ;;
	esac
	vectors=tests/fuzz/vectors/$target
	[ -d "$vectors" ] || vectors=
	"$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len="${MAX_LEN:-$longest}" \
		-dict=tests/fuzz/$target.dict -artifact_prefix="$build/crash-$target-" -print_final_stats=1 -report_slow_units=60 -timeout=120 \
		-use_value_profile=0 -verbosity=1 "$found" "$build/tests/fuzz/corpus/$target" $vectors \
		>"$build/$target.log" 2>&1 || failed=1
	executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
	covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$build/$target.log" | tail -n 1)
	# The sum over all runs, for README.md.
	echo "$(date -u +%FT%TZ) $target executed ${executed:-0} edges ${covered:-0}" >>"$build/executions.log"
	echo "$target: ${executed:-0} executions, ${covered:-0} edges"
done
awk '{ sum[$2] += $4; if ($6 > most[$2]) most[$2] = $6; all += $4 }
	END { for (t in sum) printf "in all runs: %s %d executions, %d edges\n", t, sum[t], most[t]; print "in all:", all }' \
	"$build/executions.log"
for crash in "$build"/crash-*; do
	[ -e "$crash" ] && echo "failed: $crash"
done
exit $failed
