#!/usr/bin/env python3
"""Trains the peers' rows of docs/results.md: same topology, bits, batch (128), epochs (10) and rows as ours.

    PEERS_VENVS=DIR python3 bench/peers.py [--net mlp] [--framework qkeras ...] [--seeds 1 2 3]

DIR holds virtual environments `torch` (PyTorch, Brevitas), `hgq` (Keras 3 with JAX, HGQ2) and `qkeras`; the scripts are
those of ../shared/peers_bench.  What build/results/peers.jsonl holds already is not run again.  A peer that is absent is
left out with a message.
"""
import argparse
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPT = os.path.join(TOP, '..', 'shared', 'peers_bench', 'qat.py')
OUT = os.path.join(TOP, 'build', 'results', 'peers.jsonl')
VENV = {'qkeras': 'qkeras', 'brevitas': 'torch', 'hgq2': 'hgq'}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--net', nargs='+', default=['mlp', 'cnn'])
    p.add_argument('--framework', nargs='+', choices=VENV, default=list(VENV))
    p.add_argument('--bits', nargs='+', type=int, default=[8, 6, 4, 3, 2])
    p.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    a = p.parse_args()
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    done = set()
    if os.path.exists(OUT):
        with open(OUT) as f:
            done = {(r['bench'], r['framework'], r['bits'], r['seed']) for r in map(json.loads, f)}
    for seed, net, bits, who in [(s, n, b, f) for s in a.seeds for n in a.net for b in a.bits for f in a.framework]:
        python = os.path.join(os.environ.get('PEERS_VENVS', ''), VENV[who], 'bin', 'python')
        if (net, who, bits, seed) in done:
            continue
        if not os.path.exists(python) or not os.path.exists(SCRIPT):
            sys.exit(f'{who}: {python if os.path.exists(SCRIPT) else SCRIPT} is absent')
        r = subprocess.run([python, SCRIPT, '--net', net, '--framework', who, '--threads', '1', '--batch', '128',
                            '--epochs', '10', '--bits', str(bits), '--seed', str(seed), '--repeat', '1'],
                           capture_output=True, text=True)
        lines = [json.loads(s) for s in r.stdout.splitlines() if s.startswith('{"bench"')]
        if not lines:
            print(f'{who} {net} {bits} bits seed {seed} failed: {r.stderr[-300:]}', flush=True)
            continue
        with open(OUT, 'a') as f:
            f.write(json.dumps({**lines[0], 'bits': bits}) + '\n')
        print(f'{who} {net} {bits} bits seed {seed}: {lines[0]["test_acc"]}', flush=True)


if __name__ == '__main__':
    main()
