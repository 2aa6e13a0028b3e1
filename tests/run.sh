#!/bin/sh
# The whole test run, in three builds: as released, with address and undefined-behaviour sanitizers, and with
# the thread sanitizer; then the network tests on Debian's own kernels, each in a virtual machine and counted as one
# test. Ends with one line "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.."
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

passed=0 failed=0 skipped=0

# The names of the tests that failed, one a line.
failed_names() {
	python3 - "$1" <<'P'
import json, sys
for line in open(sys.argv[1] + '/meson-logs/testlog.json'):
    test = json.loads(line)
    if test['result'] not in ('OK', 'SKIP'):
        print(test['name'].split(' / ')[-1])
P
}

# Real traffic on a shared machine now and then meets a clock that stood still. What failed is run once more, alone and
# said aloud: a fault fails twice.
again() {
	names=$(failed_names "$1")
	[ -n "$names" ] || return 0
	printf '%s\n' "$names" | sed 's/^/failed, and tried once more: /' >&2
	cp "$1/meson-logs/testlog.json" "$1/meson-logs/first.json"
	printf '%s\n' "$names" | PATH=/usr/bin:$PATH xargs -d '\n' meson test -C "$1" --no-rebuild --num-processes 1 \
		>/dev/null 2>&1 || true
	python3 - "$1/meson-logs" <<'P'
import json, sys
results = {}
for name in 'first.json', 'testlog.json':
    for line in open(sys.argv[1] + '/' + name):
        results[json.loads(line)['name']] = line.rstrip('\n')
open(sys.argv[1] + '/testlog.json', 'w').write(''.join(line + '\n' for line in results.values()))
P
}

# Adds a build directory's results to the sums and names what did not pass.
count() {
	python3 - "$1" <<'P'
import json, sys
passed = failed = skipped = 0
for line in open(sys.argv[1] + '/meson-logs/testlog.json'):
    test = json.loads(line)
    result = test['result']
    if result == 'OK':
        passed += 1
    elif result == 'SKIP':
        skipped += 1
        words = [w for w in (test.get('stdout') or '').splitlines() if 'skip' in w.lower()]
        print('skipped: %s: %s' % (test['name'], words[-1] if words else 'no reason given'), file=sys.stderr)
    else:
        failed += 1
        print('FAILED: %s (%s)' % (test['name'], result), file=sys.stderr)
        for stream in 'stdout', 'stderr':
            for word in (test.get(stream) or '').splitlines()[-40:]:
                print('    ' + word, file=sys.stderr)
print(passed, failed, skipped)
P
}

# build NAME, suites to run (empty: all), meson options...
stage() {
	directory=$1 suites=$2
	shift 2
	echo "== $directory"
	if ! tests/build.sh "$directory" "$@"; then
		failed=$((failed + 1))
		return
	fi
	select=
	for suite in $suites; do
		select="$select --suite $suite"
	done
	rm -f "$directory/meson-logs/testlog.json"
	PATH=/usr/bin:$PATH meson test -C "$directory" --no-rebuild --num-processes 2 $select </dev/null |
		grep -vE '^(ninja:|$)' | grep -E '^ *[0-9]+/[0-9]+' || true
	if [ ! -s "$directory/meson-logs/testlog.json" ]; then
		echo "FAILED: no test ran in $directory" >&2
		failed=$((failed + 1))
		return
	fi
	again "$directory"
	set -- $(count "$directory")
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

stage build ''
stage build-asan 'unit sanitized' -Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Db_lundef=false
# gcc warns that the thread sanitizer does not know fences: the doorbell's hands nothing over, it only decides on a wake-up.
stage build-tsan 'threads' -Db_sanitize=thread -Dbuildtype=debugoptimized -Db_lundef=false -Dc_args=-Wno-tsan

# What the last machine's summary says: passed, skipped (with the reason) or FAILED.
verdict() { sed -n 's/^[^:]*: \(passed\|skipped\|FAILED\).*/\1/p' build/vm/summary 2>/dev/null | tail -n 1; }

boot() { # SUITE
	rm -f build/vm/summary
	WEIR_VM_PARTS=network tests/vm/run.sh build "$1" </dev/null >"build/$1.out" 2>&1 || true
}

# machine SUITE: the released build on that suite's kernel. A machine is emulated on what this one has left: it is
# tried once more as well.
machine() {
	boot "$1"
	if [ "$(verdict)" = FAILED ]; then
		echo "failed, and tried once more: real kernels / $1" >&2
		boot "$1"
	fi
	case $(verdict) in
	passed) passed=$((passed + 1)) ;;
	skipped) skipped=$((skipped + 1)) ;;
	*)
		failed=$((failed + 1))
		tail -n 60 "build/$1.out" >&2
		;;
	esac
	grep -h '^skip:' "build/vm/$1.log" 2>/dev/null | sed 's/^/    /'
	cat build/vm/summary 2>/dev/null || echo "$1: FAILED (no machine ran)"
}

echo "== real kernels"
for suite in bookworm bookworm-backports trixie-backports; do
	machine $suite
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
