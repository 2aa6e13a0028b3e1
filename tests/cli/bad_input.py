"""Bad input to `weir`: one line with the cause on stderr, status 1 (usage: 2), nothing that looks whole left behind.
Usage: bad_input.py WEIR"""
import os
import struct
import subprocess
import sys
import tempfile

weir = os.path.abspath(sys.argv[1])
failures = 0
count = 0


def check(name, condition, detail=''):
    global failures, count
    count += 1
    if not condition:
        failures += 1
        print('FAILED: %s %s' % (name, detail))


def run(*args, stdin=b'', env=None):
    return subprocess.run([weir, *args], input=stdin, capture_output=True, timeout=30, env=env)


def expect(status, words, *args, stdin=b'', lines=1):
    """status, what stderr must say, the command line; stderr is `lines` lines, each starting with weir:"""
    done = run(*args, stdin=stdin)
    error = done.stderr.decode()
    name = 'weir ' + ' '.join(args)
    check(name, done.returncode == status, 'exit %d, not %d: %s' % (done.returncode, status, error))
    check(name, words in error, 'says: ' + error)
    if lines:
        check(name, len(error.splitlines()) == lines and error.startswith('weir: '), 'says: ' + error)


def pcap(packets, link=1, snap=262144):
    out = struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, snap, link)
    for number, packet in enumerate(packets):
        out += struct.pack('<IIII', 1700000000, number, len(packet), len(packet)) + packet
    return out


udp = bytes.fromhex('020000000002020000000001080045000020000100004011' '0000' '0a0000010a000002' '30390035000c0000' '61626364')

with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    open('good.pcap', 'wb').write(pcap([udp] * 100))
    open('garbage.pcap', 'wb').write(b'this is no capture file at all, is it?' * 10)
    open('empty.pcap', 'wb').write(b'')
    open('cut.pcap', 'wb').write(pcap([udp] * 100)[:-10])
    os.mkdir('directory.pcap')

    expect(2, 'no command', 'bogus')
    expect(2, 'no file', 'read')
    expect(2, "no option '--bogus'", 'read', '--bogus')
    expect(2, 'needs a value', 'read', 'good.pcap', '-w')
    expect(2, 'bad value', 'read', 'good.pcap', '--tunnel', 'sideways')
    expect(2, 'no format', 'read', 'good.pcap', '--format', 'bogus')
    expect(2, 'cannot tell the format', 'read', 'good.pcap', '-w', 'out.bogus')
    expect(2, 'more than one filter', 'read', 'good.pcap', '--filter', 'udp', 'tcp')
    expect(2, 'bad value', 'capture', '--workers', '0')
    expect(2, 'bad value', 'capture', '--ring-size', '64Q')
    expect(2, 'bad value', 'capture', '--duration', '-1')
    expect(2, 'no backend', 'capture', '--backend', 'bogus')
    expect(1, 'No such file', 'read', 'absent.pcap')
    expect(1, 'not a capture file', 'read', 'garbage.pcap')
    expect(1, 'empty', 'read', 'empty.pcap')
    expect(1, 'empty', 'read', '-')
    expect(1, 'directory', 'read', 'directory.pcap')
    expect(1, 'does not parse', 'read', 'good.pcap', 'tcp prot 80')
    expect(1, 'does not parse', 'read', 'good.pcap', 'udp and')
    expect(1, 'cannot open', 'read', 'good.pcap', '-w', 'nowhere/x.pcapng')
    expect(1, 'No space left', 'read', 'good.pcap', '-w', 'ndjson:/dev/full', lines=0)

    # A damaged file gives what it holds, a line that says where it ends, status 1, and outputs that are whole.
    done = run('read', '-c', 'cut.pcap')
    check('cut-off count', done.stdout == b'99 packets\n', done.stdout)
    check('cut-off warning', b'cut off' in done.stderr, done.stderr)
    check('cut-off status', done.returncode == 1, done.returncode)
    check('cut-off lines', done.stderr.count(b'\n') == 1, done.stderr)
    corrupted = bytearray(pcap([udp] * 100))
    corrupted[24 + 50 * (16 + len(udp)) + 8:24 + 50 * (16 + len(udp)) + 12] = b'\xff\xff\xff\x7f'
    open('corrupted.pcap', 'wb').write(corrupted)
    for damaged, left in ('cut', b'99'), ('corrupted', b'50'):
        done = run('read', damaged + '.pcap', '-w', damaged + '.pcapng', '-w', damaged + '.weir', '-w', damaged + '.ndjson')
        check(damaged + ' status', done.returncode == 1, done.returncode)
        for output in '.pcapng', '.weir':
            again = run('read', '-c', damaged + output)
            check(damaged + output + ' is whole', again.returncode == 0 and again.stdout == left + b' packets\n', again)
        lines = open(damaged + '.ndjson', 'rb').read()
        check(damaged + ' lines', lines.count(b'\n') == int(left) and lines.endswith(b'\n'), lines[-100:])
    # Standard input is a file, too; what was asked for and read is whole.
    done = subprocess.run([weir, 'read', '-c', '-'], input=open('cut.pcap', 'rb').read(), capture_output=True)
    check('cut-off standard input', done.returncode == 1 and done.stdout == b'99 packets\n', done)
    check('read only in part', run('read', '-c', '5', 'cut.pcap').returncode == 0)

    # A failed run leaves no file that looks whole.
    for output in 'x.pcapng', 'x.weir', 'x.ndjson':
        run('read', 'garbage.pcap', '-w', output)
        check('nothing whole left: ' + output, not os.path.exists(output))
    done = run('read', 'good.pcap', '-w', 'good.pcapng', '-w', 'pcapng:/dev/full')
    check('one output fails', done.returncode == 1, done.stderr)
    check('the other is whole', os.path.exists('good.pcapng') and not os.path.exists('good.pcapng.part'))
    check('the other has all', run('read', '-c', 'good.pcapng').stdout == b'100 packets\n')

    # A reader that goes away is an error with a line, not a signal.
    piped = subprocess.run('%s read good.pcap good.pcap good.pcap -w text:- | true; exit ${PIPESTATUS[0]}' % weir,
                           shell=True, executable='/bin/bash', capture_output=True, timeout=30)
    check('closed pipe', piped.returncode in (0, 1), piped.returncode)

    # Two outputs of one name.
    expect(1, 'x.csv', 'read', 'good.pcap', '-w', 'x.csv', '-w', 'csv:x.csv')

print('%d checks, %d failed' % (count, failures))
sys.exit(1 if failures else 0)
