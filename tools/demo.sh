#!/bin/sh
# What `make run` shows: real traffic over a veth pair between two network namespaces of our own, captured by
# the real engine, and the ledger that says that nothing was lost. Usage: demo.sh WEIR
set -eu
weir=$1
case $weir in /*) ;; *) weir=$PWD/$weir ;; esac

# Stage 2 runs inside the namespaces: see the bottom for how it gets there.
if [ "${WEIR_DEMO_INSIDE:-}" != 1 ]; then
	if unshare -n true 2>/dev/null; then
		WEIR_DEMO_INSIDE=1 exec unshare -n "$0" "$weir"
	elif unshare -Urn true 2>/dev/null; then
		echo "weir: not root: using an unprivileged user and network namespace"
		WEIR_DEMO_INSIDE=1 exec unshare -Urn "$0" "$weir"
	fi
	echo "weir: no network namespace can be made here; reading a capture that this script makes instead"
	exec "$(dirname "$0")/demo_file.sh" "$weir"
fi

work=$(mktemp -d)
peer= capture= server=
cleanup() {
	for pid in $capture $server $peer; do
		kill "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# Topology:   [ our namespace: weir0 10.99.0.1 ] ---- veth ---- [ peer: weir1 10.99.0.2 ]
unshare -n sleep 120 &
peer=$!
until [ "$(readlink "/proc/$peer/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
there() { nsenter -t "$peer" -n "$@"; }
ip link set lo up
ip link add weir0 type veth peer name weir1 netns "$peer"
ip addr add 10.99.0.1/24 dev weir0
ip addr add fd99::1/64 dev weir0 nodad
ip link set weir0 up
there ip link set lo up
there ip addr add 10.99.0.2/24 dev weir1
there ip addr add fd99::2/64 dev weir1 nodad
there ip link set weir1 up

echo "== capturing on weir0: text here, and at the same time pcapng and records into files"
"$weir" capture -i weir0 -w - -w "$work/demo.pcapng" -w "$work/demo.weir" --stats-json "$work/ledger.json" \
	>"$work/text" 2>"$work/messages" &
capture=$!
for _ in $(seq 100); do
	grep -q 'capturing on' "$work/messages" && break
	kill -0 "$capture" 2>/dev/null || { cat "$work/messages" >&2; exit 1; }
	sleep 0.05
done

ping -q -c 3 -i 0.2 10.99.0.2 >/dev/null
ping -6 -q -c 2 -i 0.2 fd99::2 >/dev/null
mkdir "$work/site"
echo "<h1>hello from the peer</h1>" >"$work/site/index.html"
(cd "$work/site" && exec nsenter -t "$peer" -n python3 -m http.server --bind 10.99.0.2 8080) >/dev/null 2>&1 &
server=$!
python3 - <<'P'
import socket, time, urllib.request
for attempt in range(50):
    try:
        print('   fetched over TCP:', urllib.request.urlopen('http://10.99.0.2:8080/').read().decode().strip())
        break
    except OSError:
        time.sleep(0.1)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect(('10.99.0.2', 9))
for number in range(20000):
    while True:
        try:
            udp.send(b'sequence %08d' % number)
            break
        except ConnectionRefusedError:
            pass  # an earlier datagram's ICMP error: this one was not sent yet
    if number % 100 == 99:
        time.sleep(0.001)
P
sleep 0.2
kill -INT "$capture"
wait "$capture" || { cat "$work/messages" >&2; exit 1; }
capture=

total=$(wc -l <"$work/text")
echo "== the first and last of $total lines of text"
head -n 12 "$work/text"
echo "   ..."
tail -n 4 "$work/text"
echo "== the pcapng, read back and filtered"
"$weir" read "$work/demo.pcapng" --format brief 'tcp port 8080' | head -n 4
echo "== the records, read back as NDJSON"
"$weir" read "$work/demo.weir" --format ndjson -c 1
echo "== the ledger"
cat "$work/messages"
python3 - "$work/ledger.json" "$work/text" "$work/demo.weir" <<'P'
import json, os, re, sys
ledger = json.load(open(sys.argv[1]))
lines = open(sys.argv[2]).read()
sent = len(re.findall(r'10\.99\.0\.1\.?\S* > 10\.99\.0\.2[.:]9\b', lines))
assert ledger['seen'] == ledger['written'] + ledger['filtered'] + ledger['lost'], 'the ledger does not balance'
print('seen %(seen)d = written %(written)d + filtered %(filtered)d + lost %(lost)d' % ledger)
print('UDP datagrams sent 20000, captured %d' % sent)
if ledger['lost'] or sent != 20000:
    sys.exit('weir: packets are missing')
print('nothing was lost')
P
