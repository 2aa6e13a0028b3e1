#!/usr/bin/python3
"""Flows and streams of one capture against other tools: Community IDs, packets and bytes of each flow against tshark,
stream bytes against tcpflow, the sums of the streams' lines against the files. usage: flows.py WEIR MAKE_CAPTURE"""
import collections
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile

weir, make_capture = map(os.path.abspath, sys.argv[1:3])
for tool in ('tshark', 'tcpflow'):
    if not shutil.which(tool):
        print(f'skip: no {tool} here')
        sys.exit(77)
failures = 0


def check(what, got, want):
    global failures
    if got != want:
        failures += 1
        if isinstance(got, dict):
            got, want = ({k: v for k, v in d.items() if k not in e or e[k] != v} for d, e in ((got, want), (want, got)))
        print(f'{what}: got {str(got)[:600]}, want {str(want)[:600]}')


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


directory = tempfile.mkdtemp()
try:
    os.chdir(directory)
    run('/usr/bin/python3', make_capture, 'x.pcap')
    run(weir, 'read', 'x.pcap', '-w', 'flows:x.ndjson', '-w', 'flows:x.csv', '--stats-json', 'stats.json')
    flows = [json.loads(line) for line in open('x.ndjson')]

    # Each packet's Community ID and length by tshark, summed up.
    want = collections.Counter()
    sizes = collections.Counter()
    packets = run('tshark', '-r', 'x.pcap', '--enable-protocol', 'communityid', '-T', 'fields', '-e', 'communityid',
                  '-e', 'vlan.id', '-e', 'frame.len', env=dict(os.environ, LC_ALL='C'))
    for line in packets.splitlines():
        identifier, vlan, length = line.split('\t')
        if identifier:
            want[identifier, vlan] += 1
            sizes[identifier, vlan] += int(length)
    got, got_sizes = collections.Counter(), collections.Counter()
    for f in flows:
        got[f['community_id'], str(f['vlan_id'] or '')] += f['packets_forward'] + f['packets_reverse']
        got_sizes[f['community_id'], str(f['vlan_id'] or '')] += f['bytes_forward'] + f['bytes_reverse']
    check('flows', len(flows), len(want) + 9)  # ten pings between two hosts have one Community ID
    check('packets by Community ID', got, want)
    check('bytes by Community ID', got_sizes, sizes)
    check('conversations', len(want), 57)

    # What the capture was made to hold.
    tcp = [f for f in flows if f['ip_protocol'] == 6]
    check('ends', collections.Counter(f['end_reason'] for f in tcp), collections.Counter(fin=29, rst=7, end=6))
    for f in tcp:
        check('retransmissions', f['retransmissions_forward'], 2)
        check('out of order', f['out_of_order_forward'], 2)
        check('reverse', (f['retransmissions_reverse'], f['out_of_order_reverse']), (0, 0))
        check('round trip', abs(f['handshake_rtt_ns'] - 30_000_000) < 2000, True)
        check('initiator', f['src_port'] > 30000 or f['src_port'] == 1, True)
    check('ipless', [e['records_without_ip'] for e in [json.load(open('stats.json'))['sinks'][0]['events']]], [1])

    # CSV holds the same.
    rows = list(csv.DictReader(open('x.csv', newline='')))
    check('csv', [{k: v for k, v in r.items()} for r in rows],
          [{k: '' if v is None else str(v) for k, v in f.items()} for f in flows])

    # Streams: the bytes are tcpflow's, and the lines add up to them.
    lines = run(weir, 'read', 'x.pcap', '--format', 'streams', '--stream-payload', 'ours').splitlines()
    os.mkdir('theirs')
    run('tcpflow', '-q', '-r', 'x.pcap', '-o', 'theirs')
    theirs = {n: open('theirs/' + n, 'rb').read() for n in os.listdir('theirs') if '-' in n and n[0] in '02'}
    ours = {n: open('ours/' + n, 'rb').read() for n in os.listdir('ours')}
    # tcpflow writes VLANs into names; ours are told apart by c1.
    for name in [n for n in theirs if '--' in n]:
        base, vlan = name.split('--')
        theirs[base + ('' if vlan == '100' else 'c1')] = theirs.pop(name)
    check('stream files', sorted(ours), sorted(theirs))
    check('stream bytes', [n for n in ours if ours[n] != theirs.get(n)], [])
    sums = collections.Counter()
    for line in lines:
        words = line.split(' ')
        if words[2] != 'new':
            assert len(words) == 4, line
            sums[words[2]] += int(words[3])
    check('streams in lines', len(sums), len(ours) - 2)  # two VLANs have streams of the same name
    check('bytes in lines', sum(sums.values()), sum(len(b) for b in ours.values()))
    check('started', sum(' new stream ' in line for line in lines), len(ours))
    check('missing', [line for line in lines if 'missing' in line], [])
    print(f'{len(flows)} flows and {len(ours)} streams compared')
finally:
    shutil.rmtree(directory)
sys.exit(1 if failures else 0)
