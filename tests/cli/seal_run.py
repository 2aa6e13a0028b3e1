"""--seal and --manifest of a run: every closed file is sealed and recorded, verify and unseal agree, and a change is found.
Usage: seal_run.py WEIR"""
import os
import struct
import subprocess
import sys
import tempfile

weir = os.path.abspath(sys.argv[1])
failures = 0


def check(name, condition, detail=''):
    global failures
    if not condition:
        failures += 1
        print('FAILED: %s %s' % (name, detail))


def run(*args, stdin=b''):
    return subprocess.run([weir, *args], input=stdin, capture_output=True, timeout=60)


packet = bytes.fromhex('02000000000202000000000108004500001c0001000040110000' '0a0000010a000002' '3039003500080000')
with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    with open('in.pcap', 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
        for number in range(1000):
            out.write(struct.pack('<IIII', 1700000000 + number, 5, len(packet), len(packet)) + packet)
    old = os.umask(0o077)
    open('key', 'wb').write(os.urandom(32))
    os.umask(old)
    open('loose', 'wb').write(os.urandom(32))
    os.chmod('loose', 0o644)

    done = run('read', 'in.pcap', '-w', 'a.pcapng', '-w', 'csv:b.csv', '-w', 'ndjson:-', '--seal', 'key',
               '--manifest', 'all.manifest')
    check('sealed run', done.returncode == 0 and done.stdout.count(b'\n') == 1000, done.stderr)
    check('plaintext is gone', not os.path.exists('a.pcapng') and not os.path.exists('b.csv'))
    check('sealed files', os.path.exists('a.pcapng.sealed') and os.path.exists('b.csv.sealed'))
    lines = open('all.manifest').read().splitlines()
    check('two lines', len(lines) == 2 and all('"packets":1000' in line for line in lines), lines)
    check('times', all('"first_timestamp_ns":1700000000000000005' in line and
                       '"last_timestamp_ns":1700000999000000005' in line for line in lines), lines)
    done = run('verify', 'all.manifest')
    check('verify', done.returncode == 0 and done.stderr == b'', (done.stdout, done.stderr))
    run('unseal', '--key-file', 'key', 'a.pcapng.sealed', '-o', 'a.pcapng')
    check('unsealed', run('read', '-c', 'a.pcapng').stdout == b'1000 packets\n')
    done = run('read', 'in.pcap', '-w', 'c.weir', '--manifest', 'all.manifest')
    check('a third line', done.returncode == 0 and len(open('all.manifest').read().splitlines()) == 3)
    with open('b.csv.sealed', 'r+b') as changed:
        changed.seek(200)
        changed.write(b'?!')
    done = run('verify', 'all.manifest')
    check('a change is found', done.returncode == 1 and b'b.csv.sealed: FAILED' in done.stdout, done.stdout)
    os.unlink('c.weir')
    check('a removal is found', b'c.weir' in run('verify', 'all.manifest').stdout)
    done = run('read', 'in.pcap', '-w', 'd.pcapng', '--seal', 'loose')
    check('a loose key is refused', done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr)
    check('before anything is written', not os.path.exists('d.pcapng') and not os.path.exists('d.pcapng.part'))

print('%d failed' % failures)
sys.exit(1 if failures else 0)
