#!/usr/bin/python3
"""bench/baseline --check: what is really slower fails, noise and another machine do not. The benches are stand-ins that
print recorded outputs, one after the other."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BASELINE = sys.argv[1]
FIGURES = {'decode': ['udp-60 decode', 'tcp decode'], 'replay': ['decode', 'engine'], 'merge': ['4 queues, runs of 1'],
           'afxdp': ['records']}
failures = 0


def expect(truth, text):
    global failures
    failures += not truth
    print('ok  ' if truth else 'FAIL', text, flush=True)


def output(bench, factor):
    """As bench_decode and the others print it; factor: {figure: how much slower}."""
    figures = [{'name': 'udp-60 walk', 'value': 5.7, 'min': 5.2, 'max': 6, 'best_ratio': 1.0}]
    for name in FIGURES[bench]:
        ratio = 5.0 * factor.get('%s / %s' % (bench, name), factor.get('', 1))
        figures.append({'name': name, 'value': 6 * ratio, 'min': 5.2 * ratio, 'max': 9 * ratio, 'ratio': 1.1 * ratio,
                        'best_ratio': ratio})
    return 'a line for people\n' + json.dumps({'bench': bench, 'unit': 'ns/packet', 'runs': 3, 'figures': figures},
                                              separators=(',', ':'))


def stand_ins(build, rounds):
    """Programs that print the outputs of rounds[0], then rounds[1], ..., the last one again and again."""
    shutil.rmtree(build, ignore_errors=True)
    os.makedirs(build + '/bench')
    for bench in FIGURES:
        path = '%s/bench/bench_%s' % (build, bench)
        for number, factor in enumerate(rounds):
            with open('%s.%d' % (path, number), 'w') as out:
                out.write(output(bench, factor) + '\n')
        with open(path, 'w') as out:
            out.write('#!/bin/sh\nn=$(cat "$0.n" 2>/dev/null || echo 0)\n'
                      '[ -f "$0.$((n + 1))" ] && echo $((n + 1)) >"$0.n"\ncat "$0.$n"\n')
        os.chmod(path, 0o755)


def run(build, *arguments):
    return subprocess.run([BASELINE, *arguments, build], capture_output=True, text=True)


with tempfile.TemporaryDirectory() as directory:
    build, path = directory + '/build', directory + '/baseline.json'
    stand_ins(build, [{'': 1.1}, {'': 0.9}, {'': 1}, {'decode / tcp decode': 1.4}, {}])
    taken = run(build)
    expect(taken.returncode == 0 and 'spread of 6 rounds' in taken.stderr, 'a baseline is taken, its spread told')
    with open(path, 'w') as out:
        out.write(taken.stdout)
    lines = [json.loads(line) for line in taken.stdout.splitlines()]
    figures = {(line['bench'], figure['name']): figure for line in lines[1:] for figure in line['figures']}
    expect(figures['decode', 'udp-60 decode']['best_ratio'] == 5.0 and figures['decode', 'udp-60 decode']['margin'] == 0.5,
           'the middle of the rounds, and the least margin')
    expect(figures['decode', 'tcp decode']['margin'] == 1.11, 'twice the spread where that is more')
    expect(figures['replay', 'engine']['margin'] == 1.0, 'two threads have more')
    expect(not any('walk' in name for _, name in figures), 'the walk itself is no figure')

    def check(text, status, rounds, tries, busy='99'):
        stand_ins(build, rounds)
        done = run(build, '--check', path, '--busy', busy)
        expect(done.returncode == status and done.stdout.count('try ') == tries,
               '%s: status %d after %d tries' % (text, done.returncode, done.stdout.count('try ')))
        return done.stdout

    check('the same', 0, [{}], 1)
    check('a third slower everywhere is within the margin', 0, [{'': 1.35}], 1)
    told = check('one figure twice as slow', 1, [{'decode / udp-60 decode': 2}], 3)
    expect('slower    decode / udp-60 decode' in told, 'and it is named')
    check('the engine twice as slow is noise', 0, [{'replay / engine': 1.95}], 1)
    check('and thrice as slow is not', 1, [{'replay / engine': 3}], 3)
    told = check('the engine ten times as slow on a busy machine', 0, [{'replay / engine': 10}], 3, busy='-1')
    expect('two threads are not judged' in told, 'and it is said')
    check('but not one thread', 1, [{'replay / decode': 3}], 3, busy='-1')
    check('a machine busy for two rounds', 0, [{'': 4}, {'': 2.5}, {}], 3)
    expect(json.loads(open(build + '/bench/micro.json').readline())['rounds'] == 3, 'what was measured is kept')
    lines[0]['processor'] = 'another'
    with open(path, 'w') as out:
        out.writelines(json.dumps(line, separators=(',', ':')) + '\n' for line in lines)
    told = check('twice as slow on another processor', 0, [{'decode / udp-60 decode': 2}], 1)
    expect('3 times as wide' in told, 'the wider margin is said')
    check('but not four times', 1, [{'decode / udp-60 decode': 4}], 3)
    stand_ins(build, [{}])
    os.unlink(build + '/bench/bench_merge')
    expect(run(build, '--check', path).returncode == 2, 'a bench that is not there is no success')
print('%d failed' % failures)
sys.exit(1 if failures else 0)
