#!/usr/bin/python3
"""weir gen on a veth pair of its own, every method, what arrives checked by tshark (checksums) and here
(sequence numbers, pacing, equal packets whatever the method).

    namespace:  g0 (sends) ------ g1 (tcpdump listens; on g0 itself for xdp-live)
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

WEIR = sys.argv[1]
NETNS = 'weirgen%d' % os.getpid()
MIX = 'udp,tcp,ipv6,tcp6,icmp,vlan,qinq,vxlan'
failures = []


def skip(reason):
    print('SKIP:', reason)
    sys.exit(77)


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


def expect(truth, text):
    print(('ok   ' if truth else 'FAIL ') + text)
    if not truth:
        failures.append(text)


def capture_once(interface, path, send):
    """Runs tcpdump while send() runs, and until it has written all that was sent; returns send's result."""
    dump = subprocess.Popen(['ip', 'netns', 'exec', NETNS, 'tcpdump', '-i', interface, '-w', path,
                             '-Z', 'root', '-B', '32768', '-U', '-j', 'host', '-s', '2000'],
                            stderr=subprocess.PIPE, text=True)
    while 'listening' not in dump.stderr.readline():
        pass
    result = send()
    until = time.time() + 8
    while sum(1 for _ in read_pcap(path)) < result['sent'] and time.time() < until:
        time.sleep(0.1)
    time.sleep(0.2)  # what should not come may still come
    dump.send_signal(signal.SIGINT)
    dump.wait()
    return result


def capture_during(interface, path, send):
    """capture_once, again when the busy host's own backlog overflowed: then the packets never got to g1,
    which the generator tells by the interface's counter."""
    for _ in range(5):
        result = capture_once(interface, path, send)
        if result['interface_tx_dropped'] == 0:
            break
        print('     the host dropped %d on their way, once more' % result['interface_tx_dropped'])
    return result


def weir_gen(interface, *options):
    return subprocess.run([WEIR, 'gen', '--netns', NETNS, '-i', interface, *options],
                          capture_output=True, text=True)


def gen(*options):
    done = weir_gen('g0', *options)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def read_pcap(path):
    """(time in ns, bytes) of each packet of a pcap file."""
    data = open(path, 'rb').read()
    fraction = 1 if data[:4] == b'\x4d\x3c\xb2\xa1' else 1000
    at = 24
    while at + 16 <= len(data):
        seconds, part, captured, _ = struct.unpack_from('<IIII', data, at)
        yield seconds * 10**9 + part * fraction, data[at + 16:at + 16 + captured]
        at += 16 + captured


def stamp_of(frame):
    """Offset of the stamp: behind the innermost header, found by parsing, not by searching for the magic."""
    at = 12
    while True:
        ethertype, = struct.unpack_from('>H', frame, at)
        at += 2
        if ethertype in (0x8100, 0x88a8):
            at += 2
            continue
        if ethertype == 0x0800:
            protocol, at = frame[at + 9], at + 20
        else:
            protocol, at = frame[at + 6], at + 40
        if protocol == 17 and struct.unpack_from('>H', frame, at + 2)[0] == 4789:
            at += 8 + 8 + 12
            continue
        return at + {17: 8, 6: 20, 1: 8}[protocol]


def stamps(path):
    for when, frame in read_pcap(path):
        at = stamp_of(frame)
        magic, sequence, sent = struct.unpack_from('>HQQ', frame, at)
        yield when, magic, sequence, sent, frame, at


def checksums_good(path, count):
    """tshark's verdict on every IP, UDP, TCP and ICMP checksum: 1 is good, 3 not there (outer UDP)."""
    done = run('tshark', '-r', path, '-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE',
               '-o', 'tcp.check_checksum:TRUE', '-T', 'fields', '-e', 'ip.checksum.status',
               '-e', 'udp.checksum.status', '-e', 'tcp.checksum.status', '-e', 'icmp.checksum.status',
               '-e', '_ws.malformed')
    lines = done.stdout.splitlines()
    bad = 0
    for line in lines:
        ip, udp, tcp, icmp, malformed = line.split('\t')
        l4 = udp or tcp or icmp
        bad += malformed != '' or any(s not in ('', '1') for s in ip.split(',')) or \
            l4.split(',')[-1] != '1' or any(s not in ('1', '3') for s in l4.split(','))
    return len(lines) == count and bad == 0


def masked(frame, at):
    """The frame without what must differ between runs: the time, and the checksum over it."""
    kept = bytearray(frame)
    kept[at + 10:at + 18] = bytes(8)
    if frame[at - 8:at - 6] == b'\x50\x10':  # TCP's data offset and ACK; ports and ICMP types are others
        checksum = at - 4
    elif frame[at - 8:at - 6] == b'\x08\x00':  # ICMP echo request
        checksum = at - 6
    else:
        checksum = at - 2
    kept[checksum:checksum + 2] = bytes(2)
    return bytes(kept)


def check_method(method, listen, directory, reference):
    for size in ('60', '301', 'imix'):
        path = os.path.join(directory, '%s-%s.pcap' % (method, size))
        count = 2000
        result = capture_during(listen, path, lambda: gen(
            '--method', method, '--rate', '20000', '--count', str(count), '--mix', MIX, '--flows', '40',
            '--size', size, '-q'))
        packets = list(stamps(path))
        if method == 'xdp-out':  # GRO on: TCP waits in its lists while others pass
            packets.sort(key=lambda p: p[2])
        expect(result['sent'] == count and len(packets) == count,
               '%s %s: %d said sent, %d arrived of %d' % (method, size, result['sent'], len(packets), count))
        expect([p[2] for p in packets] == list(range(count)),
               '%s %s: sequence without gap, swap or double' % (method, size))
        expect(all(p[1] == 0x5752 for p in packets), '%s %s: magic' % (method, size))
        expect(sum(len(p[4]) for p in packets) == result['bytes'], '%s %s: bytes as said' % (method, size))
        expect(checksums_good(path, count), '%s %s: every checksum good to tshark' % (method, size))
        frames = [masked(p[4], p[5]) for p in packets]
        if size in reference:
            expect(frames == reference[size], '%s %s: the same packets as txring' % (method, size))
        reference.setdefault(size, frames)


def check_pace(method, listen, directory):
    """Mean rate and evenness. On a busy machine the schedule slips: then it must say so."""
    path = os.path.join(directory, 'pace.pcap')
    result = capture_during(listen, path, lambda: gen('--method', method, '--rate', '5000',
                                                      '--duration', '2', '-q'))
    times = [p[3] for p in stamps(path)]
    gaps = sorted(b - a for a, b in zip(times, times[1:]))
    expect(all(g >= 0 for g in gaps), '%s: send times never step back' % method)
    if result['slips'] == 0:
        rate = (len(times) - 1) / ((times[-1] - times[0]) / 1e9)
        expect(abs(rate - 5000) < 25, '%s: 5000 asked, %.1f by the stamps' % (method, rate))
        expect(150e3 < gaps[len(gaps) // 2] < 250e3,
               '%s: half of the gaps at 200 us: %d ns' % (method, gaps[len(gaps) // 2]))
    else:
        expect(result['slipped'] > 0, '%s: the machine was busy, and it says so' % method)
    longest = run_length = 0
    for gap in (b - a for a, b in zip(times, times[1:])):
        run_length = run_length + 1 if gap < 2000 else 0
        longest = max(longest, run_length)
    # A millisecond's worth is made up for after a hold-up, 5 packets here, and no more.
    expect(longest <= 8, '%s: at most %d packets back to back' % (method, longest + 1))
    latency = sorted(when - sent for when, _, _, sent, _, _ in stamps(path))
    expect(-50000 < latency[len(latency) // 2] < 5000000, '%s: median %d ns from stamp to capture' %
           (method, latency[len(latency) // 2]))


def check_replay(directory):
    source = os.path.join(directory, 'txring-301.pcap')
    path = os.path.join(directory, 'replay.pcap')
    result = capture_during('g1', path, lambda: gen('--replay', source, '--speed', 'max', '-q'))
    wanted, got = [f for _, f in read_pcap(source)], [f for _, f in read_pcap(path)]
    expect(result['sent'] == 2000 and wanted == got,
           'replay: every byte as in the file (%d sent, %d of %d arrived)' % (result['sent'], len(got), len(wanted)))
    started = time.time()
    result = gen('--replay', source, '--speed', '0.2', '-q')  # 0.1 s recorded
    expect(0.4 < result['seconds'] < 3 and time.time() - started > 0.4,
           'replay: five times slower took %.2f s' % result['seconds'])


def check_refusals():
    def refused(code, text, *options, interface='g0'):
        done = weir_gen(interface, *options)
        expect(done.returncode == code and text in done.stderr and done.stderr.count('\n') == 1 and
               done.stdout == '', 'refused with %d: %s' % (code, done.stderr.strip()))
    refused(1, "no interface 'nope'", '--count', '1', interface='nope')
    refused(2, "--rate", '--rate', 'fast', '--count', '1')
    refused(2, 'how long?', '--rate', '10')
    refused(1, 'do not fit', '--size', '2000', '--count', '1')
    refused(1, 'neither loopback nor veth', '--count', '1', interface='gm')
    refused(1, 'no kind of packet', '--mix', 'ipx', '--count', '1')
    refused(1, 'cannot replay', '--replay', '/dev/null')
    refused(1, 'is down', '--count', '1', interface='gd')
    done = weir_gen('g0', '--rate', '900M', '--duration', '0.5')
    result = json.loads(done.stdout)
    expect(not result['held'] and 'could not hold' in done.stderr,
           'a rate that nothing holds: %s' % done.stderr.strip())


def main():
    if os.geteuid() != 0:
        skip('needs root for a network namespace')
    for tool in ('ip', 'tcpdump', 'tshark'):
        if shutil.which(tool) is None:
            skip('%s is not installed' % tool)
    if run('ip', 'netns', 'add', NETNS, check=False).returncode != 0:
        skip('no network namespaces here')
    directory = tempfile.mkdtemp(prefix='weirgen')
    try:
        run('ip', '-n', NETNS, 'link', 'add', 'g0', 'type', 'veth', 'peer', 'name', 'g1')
        run('ip', '-n', NETNS, 'link', 'add', 'gd', 'type', 'veth', 'peer', 'name', 'ge')
        run('ip', 'netns', 'exec', NETNS, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
        for interface in ('g0', 'g1'):
            run('ip', '-n', NETNS, 'link', 'set', interface, 'up')
        run('ip', '-n', NETNS, 'link', 'add', 'gm', 'link', 'g0', 'type', 'macvlan', check=False)
        reference = {}
        check_method('txring', 'g1', directory, reference)
        check_method('afxdp', 'g1', directory, reference)
        check_method('xdp-live', 'g0', directory, reference)
        # A veth takes XDP frames only when its peer's receive side polls: an XDP program or GRO.
        run('ip', 'netns', 'exec', NETNS, 'ethtool', '-K', 'g1', 'gro', 'on')
        check_method('xdp-out', 'g1', directory, reference)
        run('ip', 'netns', 'exec', NETNS, 'ethtool', '-K', 'g1', 'gro', 'off')
        check_pace('txring', 'g1', directory)
        check_pace('xdp-live', 'g0', directory)
        check_replay(directory)
        check_refusals()
    finally:
        subprocess.run(['ip', 'netns', 'del', NETNS])
        shutil.rmtree(directory)
    print('%d failed' % len(failures))
    sys.exit(1 if failures else 0)


main()
