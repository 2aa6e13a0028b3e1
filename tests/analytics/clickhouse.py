#!/usr/bin/python3
"""clickhouse:// against a real server that is killed and comes back, and against the current version's engine (chdb):
types, tables, refusals, no row lost or doubled. usage: clickhouse.py WEIR MAKE_CAPTURE BUILD_DIR HERE"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

weir, make_capture, build, here = map(os.path.abspath, sys.argv[1:5])
failures = 0


def check(what, got, want):
    global failures
    if got != want:
        failures += 1
        print(f'{what}: got {str(got)[:500]}, want {str(want)[:500]}')


def ask(port, sql):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/', data=sql.encode(), timeout=60) as reply:
        return reply.read().decode().strip()


def read(*arguments, **options):
    return subprocess.run([weir, 'read', *arguments], capture_output=True, text=True, **options)


def events(path='s.json'):
    return json.load(open(path))['sinks'][0]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """Debian's clickhouse-server by hand, on the loopback, in a directory of its own."""

    def __init__(self, directory):
        self.directory, self.port, tcp = directory, free_port(), free_port()
        os.makedirs(directory)
        self.config = f'{directory}/config.xml'
        with open(self.config, 'w') as f:
            f.write(f'''<yandex><logger><level>error</level><console>1</console></logger><http_port>{self.port}</http_port>
<tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host><path>{directory}/data/</path><tmp_path>{directory}/tmp/</tmp_path>
<users_config>{directory}/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>67108864</mark_cache_size></yandex>''')
        user = '<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>'
        with open(f'{directory}/users.xml', 'w') as f:
            f.write(f'''<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password></password>{user}
</default><locked><password>secret</password>{user}</locked></users></yandex>''')
        self.start()

    def start(self):
        self.process = subprocess.Popen(['clickhouse-server', f'--config-file={self.config}'], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                if ask(self.port, 'SELECT 1') == '1':
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError('clickhouse-server does not come up')

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def compare_values(port, query, name):
    """Some columns of every row, against NDJSON."""
    want = [json.loads(line) for line in read('one.pcap', '--format', 'ndjson', check=True).stdout.splitlines()]
    columns = ['wire_length', 'src_port', 'tcp_seq', 'icmp_id', 'vlan_tci', 'layers', 'ip_ttl', 'interface']
    got = [json.loads(line) for line in query(
        f"SELECT {', '.join(columns)} FROM {name} ORDER BY timestamp_ns FORMAT JSONEachRow").splitlines()]
    check(f"{name} values", got, [{c: row[c] for c in columns} for row in want])


def test_real(directory):
    server = Server(directory + '/server')
    try:
        base = f'clickhouse://127.0.0.1:{server.port}/default/'
        read('one.pcap', '-w', base + 'one', '-w', f'flows:{base}flows', check=True)
        compare_values(server.port, lambda sql: ask(server.port, sql), 'one')
        check('flows', ask(server.port, "SELECT count(), uniq(community_id) FROM flows"), '66\t56')
        check('old types', ask(server.port, "SELECT type FROM system.columns WHERE table = 'one' AND name IN ('timestamp_ns', "
                                            "'src_ip') ORDER BY name"), 'Nullable(FixedString(16))\nUInt64')

        # Refusals: one line, a hint, status 1.
        ask(server.port, 'CREATE TABLE other (timestamp_ns String) ENGINE = Log')
        for spec, cause in ((base + 'other', 'another schema'),
                            (f'clickhouse://locked:bad@127.0.0.1:{server.port}/default/x', 'password'),
                            (f'clickhouse://127.0.0.1:{server.port}/nowhere/x', "doesn't exist"),
                            (f'clickhouse://127.0.0.1:{free_port()}/default/x', 'connect')):
            run = read('one.pcap', '-w', spec)
            check(spec, (run.returncode, run.stderr.count('\n'), cause in run.stderr), (1, 1, True))
        read('one.pcap', '-w', f'clickhouse://locked@127.0.0.1:{server.port}/default/locked', check=True,
             env=dict(os.environ, CLICKHOUSE_PASSWORD='secret'))
        check('password from the environment', ask(server.port, 'SELECT count() FROM locked'),
              ask(server.port, 'SELECT count() FROM one'))

        read('one.pcap', '-w', f'clickhouse://locked:secret@127.0.0.1:{server.port}/default/locked', '--stats-json', 's.json',
             check=True)
        check('no password in the ledger', (events()['output'], events()['written'] > 0),
              (f'clickhouse://locked@127.0.0.1:{server.port}/default/locked', True))

        # The server is killed in mid-run, twice, and comes back.
        rows = int(read('x.pcapng', '--count', check=True).stdout.split()[0])
        length = sum(json.loads(line)['wire_length'] for line in open('want.ndjson')) * 40
        for name, extra in (('killed', []), ('killed_spool', ['--spool', 'spool'])):
            process = subprocess.Popen([weir, 'read', 'x.pcapng', '-w', f'{base}{name}?queue=65536', '--stats-json', 's.json',
                                        *extra], stderr=subprocess.PIPE, text=True)
            for _ in range(2):
                for _ in range(200):
                    time.sleep(0.02)
                    try:
                        if int(ask(server.port, f'SELECT count() FROM {name}')) > 0:
                            break
                    except (OSError, ValueError):
                        pass
                server.kill()
                time.sleep(0.4)
                server.start()
            errors = process.communicate(timeout=120)[1]
            if extra and events()['events']['spool_left']:
                read('one.pcap', '-w', f'{base}{name}?queue=65536', '--stats-json', 's2.json', *extra, 'port 1', check=True)
            check(f'{name} run', (process.returncode, errors), (0, ''))
            check(f'{name} rows and bytes', ask(server.port, f'SELECT count(), sum(wire_length) FROM {name}'), f'{rows}\t{length}')
            check(f'{name} retried', events()['events']['retries'] > 0, True)
            check(f'{name} ledger', (events()['written'], events()['shed']), (rows, 0))
    finally:
        server.kill()


def test_current(directory):
    npm = subprocess.run([here + '/npm.sh', build + '/npm'])
    if npm.returncode:
        return npm.returncode == 77
    process = subprocess.Popen(['node', here + '/chdb_server.mjs', build + '/npm', directory], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        base = f'clickhouse://127.0.0.1:{port}/default/'
        read('one.pcap', '-w', base + 'one', '-w', f'flows:{base}flows', check=True)
        compare_values(port, lambda sql: ask(port, sql), 'one')
        check('current types', ask(port, "SELECT type FROM system.columns WHERE table = 'one' AND name IN ('timestamp_ns', "
                                         "'src_ip') ORDER BY name"), "Nullable(IPv6)\nDateTime64(9, \\'UTC\\')")
        check('addresses', ask(port, "SELECT count() FROM one WHERE src_ip = toIPv6('2001:db8::1')"), '12')
        check('flows', ask(port, 'SELECT count(), uniqExact(community_id) FROM flows'), '66\t56')
        # The reply to an insert is lost; the token keeps the second try from counting twice.
        open(directory + '/lose_reply', 'w').close()
        read('one.pcap', '-w', base + 'token', '--stats-json', 's.json', check=True)
        check('token', ask(port, 'SELECT count() FROM token'), ask(port, 'SELECT count() FROM one'))
        check('token events', (events()['events']['retries'], events()['events']['batches_maybe_twice']), (1, 0))
        ask(port, weir_schema('other') + '')
        open(directory + '/lose_reply', 'w').close()
        read('one.pcap', '-w', base + 'other', '--stats-json', 's.json', check=True)
        check('no token: at least once, and said', events()['events']['batches_maybe_twice'], 1)
    finally:
        process.communicate()
    return False


def weir_schema(table):
    """What `weir schema clickhouse` prints, without the setting by which the table remembers tokens."""
    sql = subprocess.run([weir, 'schema', 'clickhouse'], check=True, capture_output=True, text=True).stdout
    return sql.replace(' packets', ' ' + table).split('SETTINGS')[0]


directory = tempfile.mkdtemp()
skipped = []
try:
    os.chdir(directory)
    subprocess.run(['/usr/bin/python3', make_capture, 'one.pcap'], check=True)
    subprocess.run([weir, 'read', *['one.pcap'] * 400, '--unordered', '-w', 'x.pcapng'], check=True)
    read('one.pcap', '-w', 'want.ndjson', check=True)
    with open('want.ndjson') as f:
        lines = f.readlines()
    with open('want.ndjson', 'w') as f:
        f.writelines(lines * 10)  # 400 times, with the 40 above
    if shutil.which('clickhouse-server'):
        test_real(directory)
    else:
        skipped.append('no clickhouse-server here')
    if test_current(directory):
        skipped.append('no chdb here')
finally:
    shutil.rmtree(directory)
if skipped:
    print('skip:', '; '.join(skipped))
sys.exit(1 if failures else 77 if len(skipped) == 2 else 0)
