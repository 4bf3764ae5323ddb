#!/usr/bin/env python3
"""Trains the peers' rows of docs/results.md: same topology, bits, batch (128), epochs (10) and rows as ours.

    PEERS_VENVS=DIR python3 bench/peers.py [--net mlp] [--framework qkeras ...] [--rows float32 '4 bits' binary ...] [--seeds 1 2 3]

DIR holds virtual environments `torch` (PyTorch, Brevitas), `hgq` (Keras 3 with JAX, HGQ2) and `qkeras`; the scripts are
those of ../shared/peers_bench, and bench/peer_row.py for ternary and binary.  The float row is legacy Keras' under
qkeras, PyTorch's under brevitas and Keras 3's under hgq2.  What build/results/peers.jsonl holds already is not run
again.  A peer that is absent is left out with a message.
"""
import argparse
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = os.path.join(TOP, '..', 'shared', 'peers_bench')
OUT = os.path.join(TOP, 'build', 'results', 'peers.jsonl')
VENV = {'qkeras': 'qkeras', 'brevitas': 'torch', 'hgq2': 'hgq'}
FLOAT = {'qkeras': 'tfkeras', 'brevitas': 'torch', 'hgq2': 'keras'}
ROWS = ['float32', '8 bits', '6 bits', '4 bits', '3 bits', '2 bits', 'ternary', 'binary']


def words(net, who, row, seed):
    if row in ('ternary', 'binary'):
        return [os.path.join(TOP, 'bench', 'peer_row.py'), '--scripts', SCRIPTS, '--net', net, '--framework', who,
                '--row', row, '--seed', str(seed)]
    return [os.path.join(SCRIPTS, 'qat.py'), '--net', net, '--framework', FLOAT[who] if row == 'float32' else who,
            '--threads', '1', '--batch', '128', '--epochs', '10', '--seed', str(seed), '--repeat', '1'] + (
            [] if row == 'float32' else ['--bits', row.split()[0]])


def load():
    if not os.path.exists(OUT):
        return []
    with open(OUT) as f:
        return [json.loads(line) for line in f]


def run(net, who, row, seed):
    python = os.path.join(os.environ.get('PEERS_VENVS', ''), VENV[who], 'bin', 'python')
    for needed in (python, os.path.join(SCRIPTS, 'qat.py')):
        if not os.path.exists(needed):
            sys.exit(f'{who}: {needed} is absent')
    r = subprocess.run([python, *words(net, who, row, seed)], capture_output=True, text=True)
    lines = [json.loads(s) for s in r.stdout.splitlines() if s.startswith('{"bench"')]
    if not lines:
        print(f'{who} {net} {row} seed {seed} failed: {r.stderr[-300:]}', flush=True)
        return
    with open(OUT, 'a') as f:
        f.write(json.dumps({**lines[0], 'framework': who, 'row': row}) + '\n')
    print(f'{who} {net} {row} seed {seed}: {lines[0]["test_acc"]}', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--net', nargs='+', default=['mlp', 'cnn'])
    p.add_argument('--framework', nargs='+', choices=VENV, default=list(VENV))
    p.add_argument('--rows', nargs='+', choices=ROWS, default=ROWS)
    p.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    a = p.parse_args()
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    for job in [(n, f, r, s) for s in a.seeds for n in a.net for r in a.rows for f in a.framework]:
        if job[1] == 'hgq2' and job[2] in ('ternary', 'binary'):  # it has no such quantizers
            continue
        if job not in {(r['bench'], r['framework'], r['row'], r['seed']) for r in load()}:
            run(*job)


if __name__ == '__main__':
    main()
