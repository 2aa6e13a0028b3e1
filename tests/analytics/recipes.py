#!/usr/bin/python3
"""Runs every block of docs/recipes.md and `weir schema`'s output in its world, and compares the worlds' answers.
usage: recipes.py WEIR MAKE_CAPTURE BUILD_DIR HERE RECIPES"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

weir, make_capture, build, here, recipes = map(os.path.abspath, sys.argv[1:6])
npm = subprocess.run([here + '/npm.sh', build + '/npm'])
if npm.returncode:
    sys.exit(npm.returncode)
blocks = re.findall(r'^```(\w+)(?: (\w+) (\w+))?\n(.*?)^```', open(recipes).read(), re.M | re.S)
answers, failures = {}, 0
directory = tempfile.mkdtemp()
server = None


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f'{command}: {done.stderr[-800:]}')
    return done.stdout


def node(world, code):
    with open('code', 'w') as f:
        f.write(code)
    return run('node', here + '/run_js.mjs', build + '/npm', world, 'code')


def ask(sql):
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/', data=sql.encode(), timeout=60) as reply:
            return reply.read().decode()
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()[:500]) from error


def schema(world, *flags):
    return run(weir, 'schema', *flags, world)


try:
    os.chdir(directory)
    run('/usr/bin/python3', make_capture, 'capture.pcap', 'scan')
    os.mkdir('bin')
    os.symlink(weir, 'bin/weir')
    for kind, world, question, code in blocks:
        if kind == 'sh':
            run('sh', '-e', '-c', code, env=dict(os.environ, PATH=directory + '/bin:' + os.environ['PATH']))
    server = subprocess.Popen(['node', here + '/chdb_server.mjs', build + '/npm', directory], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline())
    ask(schema('clickhouse'))
    ask(schema('clickhouse', '--flows'))
    run(weir, 'read', 'capture.pcap', '-w', f'clickhouse://127.0.0.1:{port}/default/packets', '-w',
        f'flows:clickhouse://127.0.0.1:{port}/default/flows')
    duckdb = re.sub(r'^-- ?', '', schema('duckdb'), flags=re.M).replace('x.csv', 'y.csv').split('INSERT')
    csv_in = 'INSERT' + duckdb[2]
    duckdb = duckdb[0] + 'INSERT' + duckdb[1]
    before = ''
    for kind, world, question, code in blocks:
        if world == 'numpy':
            # Later blocks go on from the first.
            before = code if question == 'open' else before
            text = run('/usr/bin/python3', '-c', code if question == 'open' else before + "print('--')\n" + code)
            text = text.split('--\n')[-1]
        elif world == 'clickhouse':
            text = ask(code).replace('\t', ' ')
        elif world == 'duckdb':
            text = node('duckdb', duckdb + code)
        elif world == 'polars':
            opened = next(c for k, w, q, c in blocks if w == 'polars' and q == 'open').split('\n')[0] + '\n'
            text = node('polars', code if question == 'open' else opened + code)
        else:
            continue
        answers.setdefault(question, {})[world] = [[t[:-2] if t.endswith('.0') else t for t in line.split()]
                                                  for line in text.strip().splitlines()]
    for question, worlds in answers.items():
        if len(worlds) != 4 or any(sorted(a) != sorted(worlds['numpy']) for a in worlds.values()) or not worlds['numpy']:
            failures += 1
            print(question, worlds)
    if answers['scan']['numpy'] != [['10.66.0.1', '40']]:
        failures += 1
        print('scan:', answers['scan'])
    # 20 IPv4, 20 IPv6 and 2 VLAN conversations repeat one segment each.
    if answers['retransmissions']['numpy'][0][0] != '42':
        failures += 1
        print('retransmissions:', answers['retransmissions'])

    # The rest of what `weir schema` prints: DuckDB's CSV and flows, the C struct, Arrow's columns.
    run(weir, 'read', 'capture.pcap', '-w', 'y.csv', '-w', 'flows:flows.ndjson')
    rows = node('duckdb', duckdb.split('INSERT')[0] + csv_in + 'SELECT count(*), sum(wire_length) FROM packets')
    if rows.split() != answers['open']['numpy'][0]:
        failures += 1
        print('duckdb csv:', rows)
    flows = re.sub(r'^-- ?', '', schema('duckdb', '--flows'), flags=re.M).replace('x.ndjson', 'flows.ndjson').split('INSERT')
    rows = node('duckdb', flows[0] + 'INSERT' + flows[1] + 'SELECT count(*), sum(packets_forward + packets_reverse) FROM flows')
    if rows.split() != ask('SELECT count(), sum(packets_forward + packets_reverse) FROM flows').split():
        failures += 1
        print('duckdb flows:', rows)
    with open('read.c', 'w') as f:
        f.write(schema('c') + '''
#include <stdio.h>
int main(void)
{
	static struct weir_record record;
	unsigned long long rows = 0, bytes = 0;
	unsigned head[4];
	if (fread(head, 4, 4, stdin) != 4)
		return 1;
	fseek(stdin, head[2], SEEK_SET);
	while (fread(&record, sizeof record, 1, stdin) == 1)
		rows++, bytes += record.wire_length;
	printf("%llu %llu", rows, bytes);
	return 0;
}
''')
    run('cc', '-Wall', '-Werror', '-o', 'read', 'read.c')
    rows = run('./read', stdin=open('x.weir', 'rb'))
    if rows.split() != answers['open']['numpy'][0]:
        failures += 1
        print('c:', rows)
    if len(schema('arrow').splitlines()) != 38 or 'src_ip: fixed_size_binary[16]\n' not in schema('arrow'):
        failures += 1
        print(schema('arrow'))
    print(f'{sum(map(len, answers.values()))} recipes run')
finally:
    if server:
        server.communicate()
    shutil.rmtree(directory)
sys.exit(1 if failures else 0)
