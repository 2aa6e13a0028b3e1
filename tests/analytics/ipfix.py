#!/usr/bin/python3
"""ipfix:// read by nfdump's nfcapd: every direction of every flow with its packets and bytes.
usage: ipfix.py WEIR MAKE_CAPTURE"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

weir, make_capture = map(os.path.abspath, sys.argv[1:3])
if not shutil.which('nfcapd'):
    print('skip: no nfcapd here')
    sys.exit(77)
failures = 0
directory = tempfile.mkdtemp()
collector = None
try:
    os.chdir(directory)
    subprocess.run(['/usr/bin/python3', make_capture, 'one.pcap'], check=True)
    subprocess.run([weir, 'read', 'one.pcap', '-w', 'flows:x.ndjson'], check=True)
    want = []
    for flow in map(json.loads, open('x.ndjson')):
        ends = [(flow['src_ip'], flow['src_port'] or 0), (flow['dst_ip'], flow['dst_port'] or 0)]
        for direction, (a, b) in (('forward', ends), ('reverse', ends[::-1])):
            if flow['packets_' + direction]:
                ports = [] if flow['ip_protocol'] in (1, 58) else [str(a[1]), str(b[1])]
                want.append((a[0], b[0], *ports, str(flow['ip_protocol']), str(flow['packets_' + direction]),
                             str(flow['ip_bytes_' + direction])))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    os.mkdir('nf')
    collector = subprocess.Popen(['nfcapd', '-w', 'nf', '-l', 'nf', '-p', str(port), '-b', '127.0.0.1'],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    subprocess.run([weir, 'read', 'one.pcap', '-w', f'ipfix://127.0.0.1:{port}'], check=True)
    time.sleep(1)
    collector.terminate()
    collector.wait(timeout=20)
    collector = None
    lines = subprocess.run(['nfdump', '-q', '-N', '-6', '-R', 'nf', '-o', 'fmt:%sa,%sp,%da,%dp,%pr,%pkt,%byt'], check=True,
                           capture_output=True, text=True).stdout.split('\n')
    got = []
    for line in filter(None, lines):
        source, sport, destination, dport, protocol, packets, size = (f.strip() for f in line.split(','))
        ports = [] if protocol in ('1', '58') else [sport, dport]
        got.append((source, destination, *ports, protocol, packets, size))
    if sorted(got) != sorted(want):
        failures += 1
        print('only nfdump:', sorted(set(got) - set(want))[:5], 'only weir:', sorted(set(want) - set(got))[:5])
    for spec in ('ipfix://', 'ipfix://127.0.0.1:1?transport=sctp', 'ipfix://127.0.0.1:1?transport=tcp'):
        run = subprocess.run([weir, 'read', 'one.pcap', '-w', spec], capture_output=True, text=True)
        if run.returncode not in (1, 2) or run.stderr.count('\n') != 1:
            failures += 1
            print(spec, run.returncode, run.stderr)
    print(f'{len(got)} IPFIX records compared')
finally:
    if collector:
        collector.terminate()
        collector.wait()
    shutil.rmtree(directory)
sys.exit(1 if failures else 0)
