#!/usr/bin/python3
"""Counts what each expression of expressions.txt lets through, by `weir read -c` and by tcpdump: run.py WEIR

Both refuse, or both count the same. An expression that tcpdump refuses may not be taken by weir, and the other way.
"""
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
LINKS = ['raw', 'null', 'sll', 'sll2', 'ppp']


def count(command):
    """The number on stdout, or None when the program refused."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return (int(result.stdout.split()[0]) if result.returncode == 0 else None), result.stderr.strip()


def compare(case):
    weir, directory, link, text = case
    path = os.path.join(directory, link + '.pcap')
    ours, ours_message = count([weir, 'read', '-c', '--filter', text, path])
    theirs, theirs_message = count(['tcpdump', '--count', '-n', '-r', path, text])
    return link, text, ours, theirs, ours_message, theirs_message


def main():
    weir = os.path.abspath(sys.argv[1])
    with open(os.path.join(HERE, 'expressions.txt')) as file:
        lines = [line.rstrip('\n') for line in file if line.strip() and not line.startswith('#')]
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
