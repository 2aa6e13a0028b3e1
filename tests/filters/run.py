#!/usr/bin/python3
"""Counts what each expression of expressions.txt lets through, by `weir read -c` and by tcpdump.

    run.py WEIR                       all of them over captures that make_captures.py makes
    run.py WEIR [--each N] FILE...    over any capture files: N (12) of them over each, all in turn

Both refuse, or both count the same. An expression that tcpdump refuses may not be taken by weir, and the other way.
Of a file that is damaged both count what lies before the damage.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
LINKS = ['raw', 'null', 'sll', 'sll2', 'ppp']


def count(command):
    """The number on stdout, or None when the program refused. A damaged file has a number, and a status that says so."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    words = result.stdout.split()
    return (int(words[0]) if words else None), result.stderr.strip()


def compare(case):
    weir, directory, link, text = case
    path = os.path.join(directory, link + '.pcap')
    ours, ours_message = count([weir, 'read', '-c', '--filter', text, path])
    theirs, theirs_message = count(['tcpdump', '--count', '-n', '-r', path, text])
    return link, text, ours, theirs, ours_message, theirs_message


def foreign(case):
    """(path, equal, refused by both, what differs; None: tcpdump does not read the file as far as weir does)"""
    weir, path, texts = case
    ours, theirs = count([weir, 'read', '-c', path])[0], count(['tcpdump', '--count', '-n', '-r', path])[0]
    if theirs is None or theirs < (ours or 0):
        return path, 0, 0, None
    equal = refused = 0
    differing = []
    for text in texts:
        ours, ours_message = count([weir, 'read', '-c', '--filter', text, path])
        theirs, theirs_message = count(['tcpdump', '--count', '-n', '-r', path, text])
        equal += ours == theirs
        refused += ours is None and theirs is None
        if ours != theirs:
            differing.append("%s: '%s': weir %s (%s), tcpdump %s (%s)" %
                             (path, text, ours, ours_message, theirs, theirs_message.splitlines()[-1:]))
    return path, equal, refused, differing


def run_foreign(weir, texts, each, paths):
    cases = [(weir, path, [texts[(number * each + i) % len(texts)] for i in range(each)])
             for number, path in enumerate(paths)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(foreign, cases))
    for path, _equal, _refused, differing in results:
        for line in [path + ': tcpdump does not read it, or not to its end'] if differing is None else differing:
            print(line)
    bad = sum(len(result[3] or []) for result in results)
    print('%d files, %d of them not read whole by tcpdump; %d counts compared, %d equal (%d of these refused by both)' %
          (len(results), sum(result[3] is None for result in results), bad + sum(result[1] for result in results),
           sum(result[1] for result in results), sum(result[2] for result in results)))
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weir')
    parser.add_argument('--each', type=int, default=12)
    parser.add_argument('files', nargs='*')
    arguments = parser.parse_args()
    weir = os.path.abspath(arguments.weir)
    with open(os.path.join(HERE, 'expressions.txt')) as file:
        lines = [line.rstrip('\n') for line in file if line.strip() and not line.startswith('#')]
    if arguments.files:
        sys.exit(run_foreign(weir, [line.partition('\t')[0] for line in lines], arguments.each, arguments.files))
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, os.path.join(HERE, 'make_captures.py'), directory], check=True)
        total = count([weir, 'read', '-c', os.path.join(directory, 'ethernet.pcap')])[0]
        cases = []
        for line in lines:
            text, _, more = line.partition('\t')
            links = LINKS if more == 'all' else more.split()
            cases += [(weir, directory, link, text) for link in ['ethernet'] + links]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(compare, cases))
    bad = refused = telling = 0
    for link, text, ours, theirs, ours_message, theirs_message in results:
        if ours != theirs:
            bad += 1
            print("FAIL %s: '%s': weir %s (%s), tcpdump %s (%s)" % (link, text, ours, ours_message, theirs, theirs_message))
        refused += theirs is None
        telling += link == 'ethernet' and theirs is not None and 0 < theirs < total
    print('%d expressions, %d counts compared, %d equal, %d refused by both; %d let some of %d Ethernet packets through'
          % (len(lines), len(results), len(results) - bad, refused, telling, total))
    if len(lines) < 150 or telling < 120:
        print('FAIL the table says too little')
        bad += 1
    sys.exit(1 if bad else 0)


main()
