#!/usr/bin/python3
"""bench/compare: what it calls slower, and that noise alone is not."""
import json
import os
import subprocess
import sys
import tempfile

COMPARE = sys.argv[1]
failures = 0


def bench(path, **ratios):
    """A bench's output with the figures given as (median, min, max)."""
    figures = [{'name': name, 'value': 20 * r[0], 'min': 20 * r[1], 'max': 20 * r[2], 'ratio': r[0],
                'ratio_min': r[1], 'ratio_max': r[2]} for name, r in ratios.items()]
    with open(path, 'w') as out:
        out.write('decode   udp   23.10 ns/packet (a line for people)\n')
        out.write(json.dumps({'bench': 'decode', 'unit': 'ns/packet', 'runs': 7, 'figures': figures},
                             separators=(',', ':')) + '\n')


def check(text, code, old, new, *options):
    global failures
    with tempfile.TemporaryDirectory() as directory:
        paths = [os.path.join(directory, name) for name in ('old', 'new')]
        bench(paths[0], **old)
        bench(paths[1], **new)
        done = subprocess.run([COMPARE, *paths, *options], capture_output=True, text=True)
    good = done.returncode == code
    failures += not good
    print('ok  ' if good else 'FAIL', text, '' if good else done.stdout + done.stderr)
    return done.stdout


same = (1.20, 1.15, 1.26)
check('the same is not slower', 0, {'udp': same}, {'udp': same})
check('30 % beyond the spread is slower', 1, {'udp': same}, {'udp': (1.56, 1.5, 1.6)})
check('30 % within the spread is noise', 0, {'udp': (1.2, 1.0, 1.9)}, {'udp': (1.56, 1.1, 1.8)})
check('10 % is within the margin', 0, {'udp': same}, {'udp': (1.32, 1.3, 1.34)})
check('a narrower margin finds it', 1, {'udp': same}, {'udp': (1.32, 1.3, 1.34)}, '--margin', '0.05')
expected = check('faster is told and no failure', 0, {'udp': same}, {'udp': (0.8, 0.79, 0.82)})
failures += 'faster' not in expected
expected = check('a figure that is gone is told', 0, {'udp': same, 'tcp': same}, {'udp': same})
failures += 'gone' not in expected
done = subprocess.run([COMPARE, '/dev/null', '/dev/null'], capture_output=True, text=True)
failures += done.returncode != 2
print('%d failed' % failures)
sys.exit(1 if failures else 0)
