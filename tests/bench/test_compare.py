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
    """A bench's output with the figures' best ratios."""
    figures = [{'name': name, 'value': 22 * ratio, 'min': 20 * ratio, 'max': 90 * ratio, 'ratio': 1.1 * ratio,
                'ratio_min': ratio / 2, 'ratio_max': 4 * ratio, 'best_ratio': ratio} for name, ratio in ratios.items()]
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


check('the same is not slower', 0, {'udp': 1.2}, {'udp': 1.2})
check('60 % is slower', 1, {'udp': 1.2}, {'udp': 1.92})
check('10 % is within the margin', 0, {'udp': 1.2}, {'udp': 1.32})
check('a narrower margin finds it', 1, {'udp': 1.2}, {'udp': 1.32}, '--margin', '0.05')
expected = check('faster is told and no failure', 0, {'udp': 1.2}, {'udp': 0.7})
failures += 'faster' not in expected
expected = check('a figure that is gone is told', 0, {'udp': 1.2, 'tcp': 1.2}, {'udp': 1.2})
failures += 'gone' not in expected
done = subprocess.run([COMPARE, '/dev/null', '/dev/null'], capture_output=True, text=True)
failures += done.returncode != 2
print('%d failed' % failures)
sys.exit(1 if failures else 0)
