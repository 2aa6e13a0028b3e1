#!/usr/bin/python3
"""Flows and streams beside the programs that people use, each on the same capture file in the same run, one after the
other: seconds, packets a second, and memory for each flow (largest resident size less that over a capture of one flow).
usage: flow_beside.py BUILD_DIR [FLOWS]      FLOWS: open at once, default 1000000.
Needs in /dev/shm about 1.3 KiB for each flow, and for tcpflow, which writes a file for each direction, 10 KiB more."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

build = os.path.abspath(sys.argv[1])
flows = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
packets = flows * 10
LIMIT = 300  # seconds, then a program counts as failed
here = os.path.dirname(os.path.abspath(__file__))
work = tempfile.mkdtemp(dir='/dev/shm')
os.chmod(work, 0o755)  # softflowd gives up root and then wants to come in again


def peak_of(pid):
    """VmHWM in KiB, or None once (or as long as) it is not to be had."""
    try:
        with open(f'/proc/{pid}/status') as status:
            return next((int(line.split()[1]) for line in status if line.startswith('VmHWM')), None)
    except OSError:
        return None


def measure(command, capture):
    """(seconds, KiB resident at most, seconds of CPU) of one run in an empty directory. The peak is read from VmHWM:
    ru_maxrss of a child begins with what this interpreter held when it started it (some 11 MB), more than a small
    program has with one flow, so that subtracting it would flatter such a program."""
    peak = 0
    out = os.path.join(work, 'out')
    os.mkdir(out)
    start = time.monotonic()
    process = subprocess.Popen([word.replace('FILE', capture) for word in command], cwd=out, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = peak_of(process.pid) or peak
        if time.monotonic() - start > LIMIT:
            process.kill()
        time.sleep(0.002)
    seconds = time.monotonic() - start
    shutil.rmtree(out)
    if status:
        raise RuntimeError(f'failed, or took more than {LIMIT} s')
    return seconds, peak, usage.ru_utime + usage.ru_stime


def beside(name, command):
    if not shutil.which(command[0]):
        print(f'{name:24} not installed')
        return
    try:
        empty = measure(command, work + '/one.pcap')
        seconds, memory, cpu = measure(command, work + '/x.pcap')
    except RuntimeError as error:
        print(f'{name:24} {error}')
        return
    print(f'{name:24} {seconds:8.2f} s  {cpu:8.2f} s of CPU  {packets / seconds / 1e6:7.2f} M packets/s  '
          f'{(memory - empty[1]) * 1024 / flows:7.0f} bytes/flow', flush=True)


try:
    for path, count in (('x', flows), ('one', 1)):
        subprocess.run([build + '/bench/bench_flow', '--write', f'{work}/{path}.pcap', str(count)], check=True,
                       stdout=subprocess.DEVNULL)
    weir = build + '/tools/weir'
    print(f'{flows} flows at once, {packets} packets')
    beside('weir flows', [weir, 'read', 'FILE', '-w', 'flows:ndjson:x.ndjson'])
    beside('weir streams', [weir, 'read', 'FILE', '-w', 'streams:x.txt'])
    gopacket = work + '/gopacket_streams'
    if shutil.which('go') and os.path.isdir('/usr/share/gocode/src/github.com/google/gopacket'):
        subprocess.run(['go', 'build', '-o', gopacket, here + '/gopacket_streams.go'], check=True,
                       env=dict(os.environ, GO111MODULE='off', GOPATH='/usr/share/gocode', GOCACHE=work + '/cache', GOFLAGS=''))
        beside('gopacket tcpassembly', [gopacket, 'FILE'])
    else:
        print('gopacket                 not installed')
    beside('softflowd', ['softflowd', '-d', '-r', 'FILE', '-m', str(flows + 10), '-p', work + '/pid', '-c', 'none',
                         '-n', '127.0.0.1:9'])
    beside('tcpflow', ['tcpflow', '-q', '-r', 'FILE', '-o', 'tcpflow'])
finally:
    shutil.rmtree(work)
