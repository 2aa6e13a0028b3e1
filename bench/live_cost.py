#!/usr/bin/python3
"""CPU nanoseconds per captured packet on live traffic, ours beside tcpdump and dumpcap: what issue-sized claims rest on.

Namespaces and a veth pair of its own (root). The sender (weir gen, live frames, pinned to the first CPU) sends at one rate; each
contestant captures on the other CPU, in turn, round after round. CPU is the scheduler's sum over all threads of the
contestant (schedstat), from before the first packet until what was sent is dealt with. Packets are counted in the file that it
wrote, lost ones by what is missing. Files go to a tmpfs whose pages were touched before.

usage: live_cost.py WEIR [--rate PPS] [--seconds S] [--runs N] [--only NAME,...]
"""
import argparse
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument('weir')
parser.add_argument('--rate', type=int, default=1000000)
parser.add_argument('--seconds', type=float, default=10)
parser.add_argument('--runs', type=int, default=5)
parser.add_argument('--size', type=int, default=64)
parser.add_argument('--only', default='')
options = parser.parse_args()
weir = os.path.abspath(options.weir)

if os.environ.get('WEIR_BENCH_INSIDE') != '1':
    os.environ['WEIR_BENCH_INSIDE'] = '1'
    os.execvp('unshare', ['unshare', '-n', '-m', sys.executable, os.path.abspath(__file__), *sys.argv[1:]])


def ip(*args):
    subprocess.run(['ip', *args], check=True)


ip('link', 'set', 'lo', 'up')
ip('link', 'add', 'lc0', 'type', 'veth', 'peer', 'name', 'lc1')
open('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'w').write('1')
ip('link', 'set', 'lc0', 'up')
ip('link', 'set', 'lc1', 'up')
subprocess.run(['ethtool', '-K', 'lc0', 'gro', 'off', 'gso', 'off', 'tso', 'off'], capture_output=True)
work = '/dev/shm/weir-live-%d' % os.getpid()
os.mkdir(work)
cpus = sorted(os.sched_getaffinity(0))
SENDER, TAKER = cpus[0], cpus[-1]

contestants = {
    'weir -w x.pcapng': [weir, 'capture', '-i', 'lc0', '-w', work + '/x.pcapng', '--pin', str(TAKER)],
    'weir -w x.pcap': [weir, 'capture', '-i', 'lc0', '-w', work + '/x.pcap', '--pin', str(TAKER)],
    'weir -w x.weir': [weir, 'capture', '-i', 'lc0', '-w', work + '/x.weir', '--pin', str(TAKER)],
    'weir -w null:': [weir, 'capture', '-i', 'lc0', '-w', 'null:', '--pin', str(TAKER)],
    'weir text >/dev/null': [weir, 'capture', '-i', 'lc0', '-w', 'text:/dev/null', '--pin', str(TAKER)],
    'tcpdump -w': ['tcpdump', '-i', 'lc0', '-B', '65536', '-w', work + '/x.pcap'],
    'tcpdump -nn >/dev/null': ['tcpdump', '-i', 'lc0', '-B', '65536', '-nn'],
    'dumpcap -w': ['dumpcap', '-q', '-i', 'lc0', '-B', '64', '-w', work + '/x.pcapng'],
}
wanted = [name.strip() for name in options.only.split(',') if name.strip()]
contestants = {name: command for name, command in contestants.items()
               if shutil.which(command[0]) and (not wanted or name in wanted)}


def cpu_ns(pid):
    total = 0
    for path in glob.glob('/proc/%d/task/*/schedstat' % pid):
        try:
            total += int(open(path).read().split()[0])
        except OSError:
            pass
    return total


def counted(name, output):
    """Packets that reached the contestant's output."""
    if name.startswith('weir'):
        return json.load(open(work + '/ledger.json'))['written']
    if '-nn' in name:
        for line in output.splitlines():
            if line.endswith('packets captured'):
                return int(line.split()[0])
    path = work + ('/x.pcapng' if name.startswith('dumpcap') else '/x.pcap')
    info = subprocess.run([weir, 'read', '-c', path], capture_output=True, text=True).stdout
    return int(info.split()[0])


def once(name, command):
    if name.startswith('weir'):
        command = command + ['--stats-json', work + '/ledger.json']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: os.sched_setaffinity(0, {TAKER}))
    time.sleep(1.5)
    before = cpu_ns(process.pid)
    sent = json.loads(subprocess.run([weir, 'gen', '-q', '-i', 'lc0', '--method', 'xdp-live', '--rate',
                                      str(options.rate), '--size', str(options.size), '--duration',
                                      str(options.seconds), '--pin', str(SENDER)],
                                     capture_output=True, text=True).stdout)
    time.sleep(1)
    spent = cpu_ns(process.pid) - before
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[1]
    packets = counted(name, output)
    for path in glob.glob(work + '/x.*'):
        os.unlink(path)
    return {'ns': spent / max(packets, 1), 'sent': sent['sent'], 'captured': packets, 'rate': sent['rate_pps']}


try:
    # The file's pages come from memory that this machine has seen before, for all contestants alike.
    with open(work + '/warm', 'wb') as warm:
        for _ in range(int(options.rate * options.seconds * 160) >> 20):
            warm.write(bytes(1 << 20))
    os.unlink(work + '/warm')
    results = {name: [] for name in contestants}
    for number in range(options.runs):
        for name, command in contestants.items():
            results[name].append(once(name, command))
            print('%d %-24s %s' % (number, name, results[name][-1]), file=sys.stderr)
    print('%-24s %8s %8s %8s  %12s %10s' % ('', 'median', 'min', 'max', 'sent/s', 'lost'))
    for name, runs in results.items():
        values = [run['ns'] for run in runs]
        lost = sum(run['sent'] - run['captured'] for run in runs)
        print('%-24s %5.0f ns %5.0f ns %5.0f ns  %12.0f %10d' %
              (name, statistics.median(values), min(values), max(values),
               statistics.median(run['rate'] for run in runs), max(0, lost)))
    print(json.dumps({'rate': options.rate, 'size': options.size, 'seconds': options.seconds, 'results': results}))
finally:
    shutil.rmtree(work, ignore_errors=True)
