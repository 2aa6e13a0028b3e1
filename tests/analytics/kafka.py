#!/usr/bin/python3
"""kafka:// against librdkafka's mock cluster over real sockets, read back with kcat: every row once, a flow in one
partition and in order, a broker that goes away and comes back. usage: kafka.py WEIR MAKE_CAPTURE MOCK_BROKER"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

weir, make_capture, mock_broker = map(os.path.abspath, sys.argv[1:4])
failures = 0
if not shutil.which('kcat'):
    print('skip: no kcat here')
    sys.exit(77)


def check(what, got, want):
    global failures
    if got != want:
        failures += 1
        print(f'{what}: got {str(got)[:500]}, want {str(want)[:500]}')


class Broker:
    def __init__(self, partitions=4):
        self.process = subprocess.Popen([mock_broker, 'packets', str(partitions)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()

    def tell(self, word):
        self.process.stdin.write(word + '\n')
        self.process.stdin.flush()
        self.process.stdout.readline()

    def messages(self):
        """(partition, bytes) of every message."""
        out = subprocess.run(['kcat', '-C', '-b', self.address, '-t', 'packets', '-e', '-q', '-o', 'beginning', '-f', '%p %S\n%s'],
                             check=True, capture_output=True, timeout=60).stdout
        found = []
        while out:
            head, out = out.split(b'\n', 1)
            partition, size = map(int, head.split())
            found.append((partition, out[:size]))
            out = out[size:]
        return found

    def stop(self):
        self.process.communicate('end\n')


def events():
    return json.load(open('s.json'))['sinks'][0]


directory = tempfile.mkdtemp()
brokers = []
try:
    os.chdir(directory)
    subprocess.run(['/usr/bin/python3', make_capture, 'one.pcap'], check=True)
    subprocess.run([weir, 'read', 'one.pcap', '-w', 'want.ndjson'], check=True)
    want = open('want.ndjson', 'rb').read().splitlines()

    # Every row once; a flow has one partition and keeps its order.
    brokers.append(Broker())
    target = f'kafka://{brokers[0].address}/packets'
    subprocess.run([weir, 'read', 'one.pcap', '-w', target + '?batch=50', '--stats-json', 's.json'], check=True)
    messages = brokers[0].messages()
    rows = [(p, line) for p, m in messages for line in m.splitlines()]
    check('rows', sorted(line for _, line in rows), sorted(want))
    check('batches', max(m.count(b'\n') for _, m in messages), 50)
    check('partitions', len({p for p, _ in messages}), 4)
    places, order = collections.defaultdict(set), collections.defaultdict(list)
    for p, line in rows:
        row = json.loads(line)
        if row['flow_hash'] is not None:
            places[row['flow_hash']].add(p)
            order[row['flow_hash']].append(row['timestamp_ns'])
    check('partitions of a flow', max(map(len, places.values())), 1)
    check('order in a flow', [h for h, times in order.items() if times != sorted(times)], [])
    check('ledger', (events()['written'], events()['events']['delivered'], events()['events']['messages_delivered']),
          (len(want), len(want), len(messages)))

    # RowBinary: the rows of a message are what `weir schema clickhouse` describes; all have the same bytes for
    # the same capture, so their sum tells.
    brokers.append(Broker(1))
    subprocess.run([weir, 'read', 'one.pcap', '-w', f'kafka://{brokers[1].address}/packets?format=rowbinary'], check=True)
    binary = b''.join(m for _, m in brokers[1].messages())
    first = json.loads(want[0])
    check('rowbinary', binary[:16], first['timestamp_ns'].to_bytes(8, 'little') + first['wire_length'].to_bytes(4, 'little') +
          first['captured_length'].to_bytes(4, 'little'))

    # The broker goes away in mid-run and comes back: nothing is lost or doubled.
    brokers.append(Broker())
    target = f'kafka://{brokers[2].address}/packets?batch=20'
    brokers[2].tell('up')
    feed = subprocess.Popen([weir, 'read', '-', '-w', target, '--stats-json', 's.json'], stdin=subprocess.PIPE)
    capture = open('one.pcap', 'rb').read()
    feed.stdin.write(capture[:100000])
    feed.stdin.flush()
    time.sleep(1)
    brokers[2].tell('down')
    feed.stdin.write(capture[100000:])
    feed.stdin.flush()
    time.sleep(1)
    brokers[2].tell('up')
    feed.stdin.close()
    check('restart', feed.wait(timeout=60), 0)
    check('restart rows', sorted(line for _, m in brokers[2].messages() for line in m.splitlines()), sorted(want))
    check('restart ledger', (events()['written'], events()['shed']), (len(want), 0))

    # It is away for the whole run: the spool has all, and the next run sends it.
    brokers[2].stop()
    brokers[2] = Broker()
    target = f'kafka://{brokers[2].address}/packets'
    brokers[2].tell('down')
    subprocess.run([weir, 'read', 'one.pcap', '-w', target, '--spool', 'spool', '--stats-json', 's.json'], check=True)
    check('spooled', events()['events']['spool_left'], len(want))
    brokers[2].tell('up')
    subprocess.run([weir, 'read', 'one.pcap', '-w', target, '--spool', 'spool', '--stats-json', 's.json'], check=True)
    check('resumed', sorted(line for _, m in brokers[2].messages() for line in m.splitlines()), sorted(want * 2))

    # Refusals.
    for spec, cause in ((f'kafka://{brokers[0].address}/missing', 'no topic'), ('kafka://127.0.0.1:1/x', 'refused'),
                        ('kafka://127.0.0.1:1', 'names no topic'), (f'kafka://{brokers[0].address}/x?format=xml', 'format')):
        run = subprocess.run([weir, 'read', 'one.pcap', '-w', spec], capture_output=True, text=True)
        check(spec, (run.returncode in (1, 2), run.stderr.count('\n'), cause in run.stderr), (True, 1, True))
    print(f'{len(want)} rows in {len(messages)} messages')
finally:
    for broker in brokers:
        broker.stop()
    shutil.rmtree(directory)
sys.exit(1 if failures else 0)
