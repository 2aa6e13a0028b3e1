#!/bin/sh
# vm.sh WEIR KERNEL MODULES [SECONDS]: run.sh in a virtual machine whose kernel has AF_ALG, with
# --crypto kernel. KERNEL and MODULES: see tests/vm/fetch_kernel.sh. With CRYPTO_TEST=PATH (the unit test
# seal-crypto) that runs there too.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 3 ] || { echo "usage: vm.sh WEIR KERNEL MODULES [SECONDS]" >&2; exit 2; }
tools=
[ -z "${CRYPTO_TEST:-}" ] || tools="-f $CRYPTO_TEST:/root/crypto-test"
for tool in sha256sum openssl; do
	path=$(command -v $tool) && tools="$tools -f $path"
done
# The first three are the interface, the rest the algorithms; a kernel that has one built in names no module.
# shellcheck disable=SC2086
exec "$here/../vm/boot.sh" -t "${4:-600}" -f "$1:/root/weir" $tools \
	-M "af_alg algif_hash algif_skcipher cbc hmac sha1_generic sha256_generic sha512_generic sha3_generic" \
	-M "aesni_intel sha1_ssse3 sha256_ssse3 sha512_ssse3" \
	-e WEIR=/root/weir -e CRYPTO=kernel "$2" "$3" "$here/run.sh"
