#!/usr/bin/python3
"""Records a second into real engines until each is the limit, and whether the writer ever waits for them.
usage: sinks_beside.py BUILD_DIR [PACKETS]      PACKETS: default 3000000; needs 450 bytes for each in /dev/shm.

    file              the same records into a file alone: what the writer does when nothing else is there
    TARGET            `weir read` into the target, a reader of files that lets the far end set the pace: every record arrives
    TARGET, no wait   the same with patience=0, and the file beside it, as in a live capture: the file's pace must be that of
                      the file alone (as far as there are CPUs), what the engine did not take is shed and counted

ClickHouse is Debian's clickhouse-server on the loopback, its own limit the same bytes posted again by hand; Kafka is
librdkafka's mock cluster. The writer: its time on a CPU, ready but without one, and waiting for room in the sink's queue. The sink thread encodes and sends. People read lines, programs the
last one, JSON."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

build = os.path.abspath(sys.argv[1])
packets = int(sys.argv[2]) if len(sys.argv) > 2 else 3000000
FLOWS = 1000
weir = build + '/tools/weir'
figures = []


def threads_of(pid, into):
    """Notes of every thread of the process its name, and its seconds on a CPU and ready without one (schedstat)."""
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/comm') as file:
                name = file.read().strip()
            with open(f'/proc/{pid}/task/{task}/schedstat') as file:
                into[task] = (name, *(int(word) / 1e9 for word in file.read().split()[:2]))
    except (OSError, ValueError, IndexError):
        pass


def engine_cpu(pid):
    threads = {}
    if pid:
        threads_of(pid, threads)
    return sum(cpu for _, cpu, _ in threads.values())


def run(name, outputs, engine=None):
    """One `weir read`; returns what is printed of it."""
    for output in 'x.weir', 's.json':
        if os.path.exists(output):
            os.unlink(output)
    before, threads = engine_cpu(engine), {}
    start = time.monotonic()
    process = subprocess.Popen([weir, 'read', 'x.pcap', *[word for output in outputs for word in ('-w', output)], '--stats-json',
                                's.json'], stderr=subprocess.PIPE, text=True)
    file_done = None
    while process.poll() is None:
        threads_of(process.pid, threads)
        if file_done is None and os.path.exists('x.weir.part') and os.path.getsize('x.weir.part') >= packets * 120:
            file_done = time.monotonic() - start
        time.sleep(0.005)
    seconds = time.monotonic() - start
    sinks = {sink['output']: sink for sink in json.load(open('s.json'))['sinks']}
    used, ready = {}, {}
    for thread, cpu, waited in threads.values():
        used[thread] = used.get(thread, 0) + cpu
        ready[thread] = ready.get(thread, 0) + waited
    first = sinks[outputs[0]]
    figure = {'name': name, 'seconds': round(seconds, 3), 'offered': first['offered'], 'written': first['written'],
              'shed': first['shed'], 'million_records_per_second': round(first['written'] / seconds / 1e6, 3),
              'writer_cpu': round(used.get('weir-writer', 0), 3), 'writer_without_a_cpu': round(ready.get('weir-writer', 0), 3),
              'writer_waited_for_the_sink': first['events'].get('writer_waited_ms', 0) / 1e3,
              'sink_thread_cpu': round(used.get('weir-netsink', 0), 3),
              'engine_cpu': round(engine_cpu(engine) - before, 3)}
    if 'x.weir' in outputs:
        figure['file_seconds'] = round(file_done or seconds, 3)  # until 94 % of it were there: the rest is in buffers to the end
        figure['file_whole'] = sinks['x.weir']['written'] == packets
    figures.append(figure)
    print(f"{name:28} {figure['million_records_per_second']:7.3f} M records/s  {seconds:6.2f} s  shed {first['shed']:8}  writer: CPU "
          f"{figure['writer_cpu']:.2f} s, without one {figure['writer_without_a_cpu']:.2f} s, waited for the sink "
          f"{figure['writer_waited_for_the_sink']:.3f} s; CPU: sink thread {figure['sink_thread_cpu']:.2f} s, engine {figure['engine_cpu']:.2f} s"
          + (f"  file in {figure['file_seconds']:.2f} s" if 'x.weir' in outputs else ''), flush=True)
    return figure


def engine(name, target, pid):
    """Both ways."""
    separator = '&' if '?' in target else '?'
    run(name, [target], pid)
    quick = run(name + ', no wait', [target + separator + 'patience=0', 'x.weir'], pid)
    assert quick['file_whole'], 'the file beside is not whole'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def ask(port, sql):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/', data=sql.encode(), timeout=300) as reply:
        return reply.read()


def clickhouse():
    port, tcp, here = free_port(), free_port(), os.getcwd()
    user = '<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota><password></password>'
    with open('users.xml', 'w') as file:
        file.write(f'<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default>{user}</default></users></yandex>')
    with open('config.xml', 'w') as file:
        file.write(f'''<yandex><logger><level>error</level><console>1</console></logger><http_port>{port}</http_port>
<tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host><path>{here}/data/</path><tmp_path>{here}/tmp/</tmp_path>
<users_config>{here}/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>67108864</mark_cache_size></yandex>''')
    server = subprocess.Popen(['clickhouse-server', '--config-file=config.xml'], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                ask(port, 'SELECT 1')
                break
            except OSError:
                time.sleep(0.1)
        target = f'clickhouse://127.0.0.1:{port}/default/'
        engine('clickhouse', target + 'packets', server.pid)
        assert int(ask(port, 'SELECT count() FROM packets')) == figures[-1]['written'] + packets, 'rows are missing'
        # The server's own limit: the bytes of one chunk, posted as often as it takes for all.
        ask(port, 'CREATE TABLE again AS packets')
        chunk = ask(port, 'SELECT * FROM packets LIMIT 65536 FORMAT RowBinary')
        connection = http.client.HTTPConnection('127.0.0.1', port)
        start, rows = time.monotonic(), 0
        while rows < packets:
            connection.request('POST', '/?query=INSERT%20INTO%20again%20FORMAT%20RowBinary', chunk)
            reply = connection.getresponse()
            assert reply.status == 200, reply.read()
            reply.read()
            rows += 65536
        figure = {'name': 'clickhouse, by hand', 'million_records_per_second': round(rows / (time.monotonic() - start) / 1e6, 3)}
        figures.append(figure)
        print(f"{figure['name']:28} {figure['million_records_per_second']:7.3f} M records/s")
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def kafka():
    broker = subprocess.Popen([build + '/tests/analytics/mock_broker', 'packets', '4'], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = broker.stdout.readline().strip()
        for format in 'rowbinary', 'ndjson':
            engine('kafka ' + format, f'kafka://{address}/packets?format={format}', broker.pid)
    finally:
        broker.communicate('end\n')


work = tempfile.mkdtemp(dir='/dev/shm')
os.chdir(work)
try:
    subprocess.run([build + '/bench/bench_flow', '--write', 'x.pcap', str(FLOWS), str(max(packets // FLOWS - 4, 2))], check=True,
                   stdout=subprocess.DEVNULL)
    packets = FLOWS * (max(packets // FLOWS - 4, 2) + 4)
    run('file', ['x.weir'])
    run('file', ['x.weir'])  # the machine's memory was touched by the first
    if shutil.which('clickhouse-server'):
        clickhouse()
    else:
        print('clickhouse                   not installed')
    kafka()
    print(json.dumps({'bench': 'sinks_beside', 'packets': packets, 'figures': figures}))
finally:
    os.chdir('/')
    shutil.rmtree(work)
