#!/bin/sh
# The commands digest, seal, unseal and verify against known answers, other tools, and damage.
#
# WEIR=PATH of the program; CRYPTO=library (default), kernel or auto: the provider under test. Needs no more
# than a POSIX sh with busybox's tools; where sha256sum or openssl are missing what they would confirm is
# skipped and said. Runs on the host and, with CRYPTO=kernel, in the virtual machine.
# On a kernel without AF_ALG the message of --crypto kernel is tested instead.
set -u

: "${WEIR:?set WEIR to the program}"
crypto=${CRYPTO:-library}
script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
umask 077
failures=0 checks=0

have() { command -v "$1" >/dev/null 2>&1; }
section() { [ "${WEIR_VM:-}" != 1 ] || echo "-- $1 ($(cut -d ' ' -f 1 /proc/uptime) s)"; }
good() { checks=$((checks + 1)); }
bad() {
	checks=$((checks + 1))
	failures=$((failures + 1))
	echo "FAILED: $1"
	[ ! -s err ] || sed 's/^/    /' err
}
expect() { # NAME WANTED GOT
	if [ "$2" = "$3" ]; then good; else bad "$1: wanted '$2', got '$3'"; fi
}
same() { # NAME FILE FILE
	if cmp -s "$2" "$3"; then good; else bad "$1: $2 and $3 differ"; fi
}
weir() { "$WEIR" "$@" 2>err; }
digest() { weir digest --crypto "$crypto" "$@"; }
seal() { weir seal --crypto "$crypto" "$@"; }
unseal() { weir unseal --crypto "$crypto" "$@"; }
works() { # NAME COMMAND...
	name=$1
	shift
	if "$@"; then good; else bad "$name"; fi
}
refused() { # NAME TEXT COMMAND...: exit 1, one line, with TEXT in it
	name=$1 text=$2
	shift 2
	"$@" >output
	status=$?
	if [ $status -ne 1 ]; then
		bad "$name: status $status, wanted 1"
	elif [ "$(wc -l <err)" -ne 1 ] || ! grep -q "^weir: .*$text" err; then
		bad "$name: wanted one line with '$text'"
	else
		good
	fi
}
absent() { # NAME FILE...
	name=$1
	shift
	for file; do
		if [ -e "$file" ]; then bad "$name: $file is there"; else good; fi
	done
}
listed() { sha256sum -c "$1" >output 2>&1; }
bytes() { dd if=data of="$2" bs="$1" count=1 2>/dev/null || : >"$2"; }
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
unhex() { # HEX: as bytes; printf's octal is the only portable way
	rest=$1
	while [ -n "$rest" ]; do
		two=${rest%"${rest#??}"}
		rest=${rest#??}
		# shellcheck disable=SC2059
		printf "\\$(printf %03o "0x$two")"
	done
}
flip() { # FILE OFFSET COPY: one bit of one byte changed
	cp "$1" "$3"
	old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059
	printf "\\$(printf %03o $((old ^ 1)))" | dd of="$3" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

dd if=/dev/urandom of=data bs=1024 count=1200 2>/dev/null
unhex 603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4 >nist.key
dd if=/dev/urandom of=key bs=32 count=1 2>/dev/null
dd if=/dev/urandom of=other bs=32 count=1 2>/dev/null
echo 'correct horse' >phrase
echo 'wrong horse' >phrase2
iv=000102030405060708090a0b0c0d0e0f

section 'the provider'
: >empty
if weir digest --crypto kernel empty >output; then
	echo "AF_ALG is here: $(uname -r)"
	digest --verbose empty >output
	case $crypto in
	kernel | auto) works "the kernel is said to be used" grep -q 'kernel (AF_ALG)' err ;;
	library) works "the library is said to be used" grep -q libcrypto err ;;
	esac
else
	[ "$crypto" != kernel ] || { echo "CRYPTO=kernel, but this kernel has no AF_ALG: $(cat err)"; exit 1; }
	echo "no AF_ALG here ($(uname -r)): the library alone is tested, and the message"
	for try in "digest empty" "seal -k key empty -o out" "seal --raw -k key --iv $iv empty -o out"; do
		# shellcheck disable=SC2086
		refused "--crypto kernel without AF_ALG: $try" 'AF_ALG.*--crypto library' weir ${try%% *} --crypto kernel ${try#* }
		absent "--crypto kernel without AF_ALG" out out.part
	done
	weir digest --crypto auto --verbose empty >output
	works "auto falls back to the library" grep -q libcrypto err
fi

if [ -x /root/crypto-test ] && [ "${WEIR_VM:-}" = 1 ]; then # vm.sh brought the unit test of the providers
	if WEIR_NEED_KERNEL=1 /root/crypto-test >unit 2>&1 && ! grep -q SKIPPED unit; then
		good
	else
		bad "the unit test of the providers"
		cat unit
	fi
fi

section 'known answers' # FIPS 180-2 appendix B, FIPS 202; SP 800-38A F.2.5 and F.2.6
printf abc >abc
answer() { expect "$1 of $2" "$3  $2" "$(digest --algorithm "$1" "$2")"; }
answer sha1 abc a9993e364706816aba3e25717850c26c9cd0d89d
answer sha224 abc 23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7
answer sha256 abc ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
answer sha384 abc cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7
answer sha512 abc ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f
if digest --algorithm sha3-256 abc >output; then # a kernel may come without it
	answer sha3-256 abc 3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532
fi
answer sha256 empty e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
printf abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq >two
answer sha256 two 248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1
dd if=/dev/zero bs=1000 count=1000 2>/dev/null | tr '\0' a >million
answer sha256 million cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0
expect "sha256 of standard input" "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0  -" \
	"$(digest <million)"
expect "sha256 of a pipe" "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0  -" \
	"$(cat million | digest -)"

nist=6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710
cbc=f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b
unhex $nist >plain
works "raw seal of the NIST vector" seal --raw -k nist.key --iv $iv plain -o nist
expect "AES-256-CBC, SP 800-38A F.2.5" $cbc "$(hex nist | cut -c 1-128)"
works "raw unseal of the NIST vector" unseal --raw -k nist.key --iv $iv nist -o nist.plain
same "AES-256-CBC, SP 800-38A F.2.6" plain nist.plain

section 'every length around a block, a page, a pipe and a chunk' # digest, seal, raw, both ways
key_hex=$(hex key)
have sha256sum || echo "no sha256sum: not compared with"
have openssl || echo "no openssl: not compared with"
lengths="0 1 15 16 17 31 32 33 47 48 63 64 65 4079 4080 4095 4096 4097 4112 8191 8192 8193 65519 65520 65535 65536
	65537 131056 131071 131072 131073 212991 212992 212993 262127 262128 262143 262144 262145 262160 393216
	524287 524288 524289 1048575 1048576 1048577 1200000"
for length in $lengths; do
	bytes "$length" in
	if [ "$length" -eq 0 ]; then : >in; fi
	digest in >sums
	if have sha256sum; then
		expect "sha256 of $length bytes" "$(sha256sum in)" "$(cat sums)"
		works "sha256sum -c takes it" listed sums
	fi
	rm -f sealed out raw raw.out
	works "seal $length" seal -k key in -o sealed
	expect "the size of $length bytes sealed" $((160 + (length / 16 + 1) * 16)) "$(wc -c <sealed)"
	works "unseal $length" unseal -k key sealed -o out
	same "$length bytes there and back" in out
	rm -f out
	cat in | seal -k key - -o - >sealed || bad "seal $length through pipes"
	cat sealed | unseal -k key - -o out || bad "unseal $length from a pipe"
	same "$length bytes there and back through pipes" in out
	works "raw seal $length" seal --raw -k key --iv $iv in -o raw
	works "raw unseal $length" unseal --raw -k key --iv $iv raw -o raw.out
	same "$length bytes raw, there and back" in raw.out
	if have openssl; then
		openssl enc -aes-256-cbc -K "$key_hex" -iv $iv -in in -out reference
		same "raw $length as openssl enc writes it" reference raw
		unseal --raw -k key --iv $iv - -o - <reference >raw.out || bad "raw unseal $length of openssl's"
		same "raw $length that openssl wrote" in raw.out
	fi
done
(cat abc; sleep 1; cat data) | seal -k key - -o - >sealed # reads that end inside a block
rm -f out
works "unseal what came in pieces" unseal -k key sealed -o out
cat abc data >in
same "input in pieces" in out

section 'a passphrase; openssl salted format'
rm -f sealed out
works "seal with a passphrase" seal -p phrase data -o sealed
works "unseal with a passphrase" unseal -p phrase sealed -o out
same "with a passphrase there and back" data out
refused "another passphrase" 'does not open' unseal -p phrase2 sealed -o out2
refused "a key file for a passphrase" 'passphrase' unseal -k key sealed -o out2
absent "wrong secrets" out2 out2.part
if have openssl; then
	rm -f raw out
	works "raw with a passphrase" seal --raw -p phrase --iterations 1234 data -o raw
	openssl enc -d -aes-256-cbc -pbkdf2 -iter 1234 -pass file:phrase -in raw -out out 2>err || bad "openssl enc -d"
	same "openssl opens what weir wrote" data out
	openssl enc -aes-256-cbc -pbkdf2 -pass file:phrase -in data -out raw
	rm -f out
	works "raw unseal of openssl's" unseal --raw -p phrase raw -o out
	same "weir opens what openssl wrote" data out
fi

section 'the documented format, opened by openssl alone' # HKDF, then HMAC and AES
bytes 100 in
rm -f sealed
seal -k key in -o sealed
if have openssl && openssl kdf -help >/dev/null 2>&1; then
	salt=$(od -An -v -tx1 -j 32 -N 32 sealed | tr -d ' \n')
	file_iv=$(od -An -v -tx1 -j 64 -N 16 sealed | tr -d ' \n')
	keys=$(openssl kdf -keylen 64 -kdfopt digest:SHA256 -kdfopt "hexkey:$key_hex" -kdfopt "hexsalt:$salt" \
		-kdfopt info:'weir seal 1' HKDF | tr -d ':\n' | tr A-F a-f)
	cipher_key=$(echo "$keys" | cut -c 1-64)
	mac_key=$(echo "$keys" | cut -c 65-128)
	mac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$mac_key" "$1" | sed 's/.*= *//'; }
	dd if=sealed of=part1 bs=96 count=1 2>/dev/null
	dd if=sealed of=part2 bs=16 count=15 2>/dev/null
	dd if=sealed of=part3 bs=16 skip=8 count=7 2>/dev/null
	expect "the header tag by openssl" "$(od -An -v -tx1 -j 96 -N 32 sealed | tr -d ' \n')" "$(mac part1)"
	expect "the file tag by openssl" "$(od -An -v -tx1 -j 240 -N 32 sealed | tr -d ' \n')" "$(mac part2)"
	openssl enc -d -aes-256-cbc -K "$cipher_key" -iv "$file_iv" -in part3 -out out
	same "the plaintext by openssl" in out
fi

rm -f phrased
seal -p phrase in -o phrased
if have openssl && openssl kdf -help >/dev/null 2>&1; then
	salt=$(od -An -v -tx1 -j 32 -N 32 phrased | tr -d ' \n')
	keys=$(openssl kdf -keylen 64 -kdfopt 'pass:correct horse' -kdfopt "hexsalt:$salt" -kdfopt n:131072 -kdfopt r:8 \
		-kdfopt p:1 -kdfopt maxmem_bytes:1073741824 SCRYPT | tr -d ':\n' | tr A-F a-f)
	mac_key=$(echo "$keys" | cut -c 65-128)
	dd if=phrased of=part1 bs=96 count=1 2>/dev/null
	expect "scrypt by openssl" "$(od -An -v -tx1 -j 96 -N 32 phrased | tr -d ' \n')" "$(mac part1)"
fi
for offset in 16 20 24; do # a header that asks for all memory, or for years
	cp phrased changed
	printf '\377\377\377' | dd of=changed bs=1 seek=$offset conv=notrunc 2>/dev/null
	refused "scrypt cost out of range" 'out of range' unseal -p phrase changed -o out4
done

section 'damage' # every byte of a small sealed file, and of a long one each region
rm -f out
offsets=$(seq 0 271)
# An emulated processor takes a second for each: there one in seven, and what is shorter than that.
[ "${WEIR_VM:-}" != 1 ] || offsets="$(seq 0 7 271) 8 9 10 11 12 16 20 24 28 271"
for offset in $offsets; do
	flip sealed "$offset" changed
	refused "byte $offset changed" '' unseal -k key changed -o out
	[ -e out ] || [ -e out.part ] && bad "byte $offset changed: an output appeared"
done
for offset in 0 8 10 12 32 64 96 128 240 271; do # what cannot be read twice
	flip sealed $offset changed
	cat changed | unseal -k key - -o out && bad "byte $offset changed, from a pipe"
	[ -e out ] || [ -e out.part ] && bad "byte $offset changed, from a pipe: an output appeared"
done
expect "nothing is shown of a changed file" "" "$(unseal -k key changed -o - | od -An -tx1)"
piped() { cat changed | unseal -k key - -o -; }
refused "no pipe to a pipe" 'read twice' piped
for length in 0 1 7 8 127 128 143 144 159 160 175 176 240 271; do
	dd if=sealed of=changed bs=1 count=$length 2>/dev/null
	refused "cut to $length bytes" '' unseal -k key changed -o out
done
(cat sealed; printf x) >changed
refused "a byte more" 'changed or cut' unseal -k key changed -o out
(cat sealed; dd if=/dev/zero bs=16 count=1 2>/dev/null) >changed
refused "a block more" 'changed or cut' unseal -k key changed -o out
rm -f long
seal -k key data -o long
for offset in 130 300000 700000 1228900 1228975; do
	flip long $offset changed
	refused "long, byte $offset changed" 'changed or cut' unseal -k key changed -o out
	cat changed | unseal -k key - -o out && bad "long, byte $offset changed, from a pipe"
done
refused "another key" 'does not open.*another key' unseal -k other sealed -o out
refused "no sealed file" 'no sealed file' unseal -k key data -o out
refused "an empty file" 'no sealed file' unseal -k key empty -o out
refused "a file that is not there" 'No such file' unseal -k key nothing -o out
refused "raw, no block" 'cut short' unseal --raw -k key --iv $iv empty -o out
refused "raw, half a block" 'cut short' unseal --raw -k key --iv $iv abc -o out
refused "raw, no padding" 'padding' unseal --raw -k key --iv $iv data -o out
absent "after damage" out out.part

section 'secrets'
cp key open.key
for mode in 640 604 620 602 660 666; do
	chmod $mode open.key
	refused "a key of mode $mode" 'reached by others' seal -k open.key data -o out
	refused "a passphrase of mode $mode" 'reached by others' seal -p open.key data -o out
done
: >no.key
refused "an empty key" 'holds no key' seal -k no.key data -o out
refused "an empty passphrase" 'empty' seal -p no.key data -o out
bytes 31 no.key
refused "a short key" 'holds no key' seal -k no.key data -o out
bytes 33 no.key
refused "a long key" 'holds no key' seal -k no.key data -o out
absent "after bad keys" out out.part
echo "$key_hex" >hex.key
rm -f out
works "a key in hexadecimal digits" unseal -k hex.key sealed -o out
same "a key in hexadecimal digits" in out
if [ -r /proc/self/limits ]; then # what holds a key leaves no core and shows nothing: it waits for its input
	mkfifo hold
	"$WEIR" seal --crypto "$crypto" -k key hold -o out3 2>err &
	pid=$!
	exec 3>hold
	sleep 1
	works "no core file" grep -q 'Max core file size *0 *0 ' /proc/$pid/limits
	expect "nothing secret in the arguments" "" "$(tr '\0' '\n' </proc/$pid/cmdline | grep -F "$key_hex")"
	works ".part while it is written" test -e out3.part
	absent ".part while it is written" out3
	kill -TERM $pid
	wait $pid
	expect "interrupted: status" 1 $?
	exec 3>&-
	absent "interrupted" out3 out3.part
fi

section 'outputs'
expect "mode of an output" "-rw-------" "$(ls -l sealed | cut -c 1-10)"
refused "an output that exists" 'exists.*--force' seal -k key in -o sealed
works "--force" seal --force -k key in -o sealed
: >late
chmod 400 late
refused "a directory as output" '' seal -k key in -o /
refused "a directory that is not there" 'No such file' seal -k key in -o none/out
for command in "seal -k key data" "unseal -k key long" "seal --raw -k key --iv $iv data"; do
	# shellcheck disable=SC2086
	refused "/dev/full: $command" 'No space left' ${command} -o /dev/full
done
digest data >/dev/full && bad "digest to /dev/full"
works "digest to /dev/full: message" grep -q 'No space left' err

section 'a full disk, in a mount namespace of its own'
full_disk() {
	mkdir -p small && mount -t tmpfs -o size=64k tmpfs small || return 77
	refused "seal to a full disk" 'No space left' seal -k key data -o small/out
	refused "unseal to a full disk" 'No space left' unseal -k key long -o small/out
	refused "raw to a full disk" 'No space left' seal --raw -k key --iv $iv data -o small/out
	absent "a full disk" small/out small/out.part
	bytes 30000 small/fits
	works "what fits fits" seal -k key small/fits -o small/out
	umount small
	[ $failures -eq 0 ]
}
if [ "${WEIR_FULL_DISK:-}" != inside ]; then
	if [ "${WEIR_VM:-}" = 1 ]; then
		full_disk || bad "a full disk"
	elif unshare -m true 2>/dev/null; then
		namespace="unshare -m"
	elif unshare -Urm true 2>/dev/null; then
		namespace="unshare -Urm"
	else
		echo "no mount namespace here: the full disk is not tested"
	fi
	if [ -n "${namespace:-}" ]; then
		# The functions of this script, without its tests, in a shell in the namespace.
		sed -n '/^have()/,/^dd if=.dev.urandom/p; /^full_disk()/,/^}/p' "$script" | grep -v '^dd if=' >functions
		{ echo "crypto=$crypto iv=$iv failures=0 checks=0 WEIR=$WEIR"; cat functions; echo full_disk; } >inside.sh
		$namespace sh ./inside.sh >full.log
		status=$?
		cat full.log
		[ $status -eq 0 ] && ! grep -q FAILED full.log && good || bad "a full disk: status $status"
	fi
fi

section 'digest --check'
rm -rf check
mkdir check
cp abc check/a
cp data check/b
# shellcheck disable=SC1003
printf 'new\nline' >'check/back\slash'
digest check/a check/b 'check/back\slash' >list
works "digest --check" digest --check list >output
if have sha256sum && sha256sum --version 2>/dev/null | grep -q coreutils; then
	works "sha256sum -c takes an escaped name" listed list
	sha256sum check/a 'check/back\slash' >list2
	works "digest --check of sha256sum's list" digest --check --quiet list2
	sha512sum -b check/b >list2
	works "digest --check of sha512sum -b" digest --check list2 >output
fi
printf x >>check/b
refused "digest --check finds a changed file" '1 files wrong' digest --check list
works "and names it" grep -q '^check/b: FAILED$' output
rm check/a
digest --check list >output && bad "digest --check with a missing file"
works "digest --check: missing" grep -q 'check/a: FAILED open or read' output
refused "digest --check of no list" 'holds no digest line' digest --check abc
section 'verify' # a manifest written here from its description alone
zeros=0000000000000000000000000000000000000000000000000000000000000000
sha() { weir digest --crypto "$crypto" "$1" | cut -c 1-64; }
rm -rf kept
mkdir kept
cp abc kept/one
cp data kept/two
: >kept/three
previous=$zeros
: >kept/manifest
for name in one two three; do
	packets=4 first=1700000000000000001 last=1700000000000000009
	[ $name = three ] && packets=0 first=null last=null
	printf '{"name":"%s","size":%d,"packets":%d,"first_timestamp_ns":%s,"last_timestamp_ns":%s,"sha256":"%s","previous":"%s"}' \
		$name "$(wc -c <kept/$name)" $packets $first $last "$(sha kept/$name)" "$previous" >line
	previous=$(sha line)
	(cat line; echo) >>kept/manifest
done
verify() { weir verify --crypto "$crypto" "$@"; }
verify kept/manifest >output || bad "verify of what is whole"
expect "verify: lines" "one: OK two: OK three: OK 3 lines, 3 files right, 0 wrong; head $previous" "$(tr '\n' ' ' <output | sed 's/ $//')"
works "verify --head" verify --quiet --head "$previous" kept/manifest >output
expect "verify of an empty manifest" "0 lines, 0 files right, 0 wrong; head $zeros" "$(verify empty)"
mkdir away
cp kept/manifest away
works "verify --directory" verify --quiet --directory kept away/manifest >output
refused "verify: all files gone" '3 files' verify away/manifest
printf x | dd of=kept/two bs=1 seek=5000 conv=notrunc 2>/dev/null
refused "verify: a changed file" '1 files are not' verify kept/manifest
works "verify names the changed file" grep -q '^two: FAILED changed$' output
cp data kept/two
echo >>kept/one
refused "verify: a longer file" '1 files are not' verify kept/manifest
works "verify names the longer file" grep -q '^one: FAILED another size$' output
cp abc kept/one
rm kept/three
refused "verify: a removed file" '1 files are not' verify kept/manifest
works "verify names the removed file" grep -q '^three: FAILED missing$' output
: >kept/three
cp kept/manifest whole
for change in 1d 2d '1{h;d;};2G' 's/"packets":4/"packets":5/' '1s/one/two/' '2s/^{/[/'; do
	sed "$change" whole >kept/manifest
	refused "verify: manifest changed by sed $change" 'not as they were' verify kept/manifest
done
sed '$d' whole >kept/manifest
works "a shorter chain is a chain" verify --quiet kept/manifest >output
refused "but not with --head" 'not hold the line' verify --head "$previous" kept/manifest
dd if=whole of=kept/manifest bs=300 count=1 2>/dev/null
refused "verify: a cut manifest" 'not as they were' verify kept/manifest
works "verify says that the line is cut" grep -q 'line 2: FAILED is cut' output
refused "verify of something else" 'not as they were' verify data
refused "verify of nothing" 'No such file' verify nothing

weir digest --algorithm rot13 abc
expect "an unknown algorithm is a usage error" 2 $?
weir seal -k key
expect "seal without files is a usage error" 2 $?

echo "$checks checks, $failures failed (--crypto $crypto)"
[ $failures -eq 0 ]
