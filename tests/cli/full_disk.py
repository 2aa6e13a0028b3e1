"""A full disk: status 1, a .part that holds at least what the ledger says and no more than a mark's distance beyond it,
every packet accounted for; --on-full wait goes on when there is space. Mounts a small tmpfs in a mount namespace of
its own. Usage: full_disk.py WEIR"""
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

weir = os.path.abspath(sys.argv[1])
if os.environ.get('WEIR_TEST_INSIDE') != '1':
    if subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode != 0:
        print('skip: no mount namespace can be made here (root is needed)')
        sys.exit(77)
    os.environ['WEIR_TEST_INSIDE'] = '1'
    os.execvp('unshare', ['unshare', '-m', sys.executable, os.path.abspath(__file__), weir])

PACKETS = 60000
MARK = 64 * 1024
failures = []


def check(name, condition, detail=''):
    if not condition:
        failures.append(name)
        print('FAILED: %s %s' % (name, detail))


def pcap(path):
    head = bytes.fromhex('02000000000202000000000108004500005c0001000040110000' '0a0000010a000002' '3039003500480000')
    with open(path, 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
        for number in range(PACKETS):
            packet = head + struct.pack('!Q', number) + bytes(56)
            out.write(struct.pack('<IIII', 1700000000, number, len(packet), len(packet)) + packet)


def pcapng_packets(data):
    at = count = 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from('<II', data, at)
        if length < 12 or at + length > len(data):
            break
        count += kind == 6
        at += length
    return count


def held(path):
    """Whole records in a file, and about how many bytes each takes."""
    data = open(path, 'rb').read()
    if path.endswith('.ndjson.part'):
        return data.count(b'\n'), 700
    if path.endswith('.weir.part'):
        return max(0, len(data) - 16384) // 128, 128
    return pcapng_packets(data), 140


with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    pcap('all.pcap')
    os.mkdir('small')
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=3m', 'none', 'small'], check=True)
    try:
        for name in 'x.pcapng', 'x.weir', 'x.ndjson':
            done = subprocess.run([weir, 'read', 'all.pcap', '-w', 'small/' + name, '-w', 'whole.pcapng',
                                   '--stats-json', 'ledger.json'], capture_output=True, timeout=60)
            ledger = json.load(open('ledger.json'))
            full, whole = ledger['sinks']
            check(name + ' status', done.returncode == 1, done.stderr)
            check(name + ' says why', b'No space left' in done.stderr, done.stderr)
            check(name + ' is .part', os.path.exists('small/' + name + '.part') and not os.path.exists('small/' + name))
            check(name + ' balances', ledger['balanced'] and
                  ledger['seen'] == ledger['written'] + ledger['filtered'] + ledger['lost'], ledger)
            check(name + ' lost', ledger['losses']['output_failed'] == ledger['lost'] > 0, ledger['losses'])
            records, size = held('small/' + name + '.part')
            check(name + ' holds what it says', 0 < full['written'] <= records, (full['written'], records))
            check(name + ' says what it holds', records - full['written'] <= (MARK + 1024 * size) // size + 1,
                  (full['written'], records))
            # The other output has all that the run read.
            check(name + ' other output', whole['written'] == ledger['seen'] and whole['shed'] == 0, whole)
            check(name + ' other file', pcapng_packets(open('whole.pcapng', 'rb').read()) == whole['written'])
            os.unlink('small/' + name + '.part')

        # Waiting: the space comes back while it waits, and nothing is lost.
        with open('small/ballast', 'wb') as ballast:
            ballast.write(bytes(2 << 20))
        waiting = subprocess.Popen([weir, 'read', 'all.pcap', '-c', '15000', '--on-full', 'wait', '-w', 'small/y.weir',
                                    '--stats-json', 'ledger.json'], stderr=subprocess.PIPE)
        time.sleep(1)
        check('waits', waiting.poll() is None)
        os.unlink('small/ballast')
        stderr = waiting.communicate(timeout=30)[1]
        ledger = json.load(open('ledger.json'))
        check('wait status', waiting.returncode == 0, stderr)
        check('wait lost nothing', ledger['written'] == 15000 and ledger['lost'] == 0, ledger)
        check('wait file', os.path.getsize('small/y.weir') == 16384 + 128 * 15000)
    finally:
        subprocess.run(['umount', 'small'])

print('%d failed' % len(failures))
sys.exit(1 if failures else 0)
