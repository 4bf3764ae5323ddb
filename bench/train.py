#!/usr/bin/env python3
"""Seconds per epoch of training beside the peers, in one run on one machine.

    PEERS_VENVS=DIR python3 bench/train.py [--quick] [--only mlp cnn ...]

DIR holds virtual environments `torch` (PyTorch, Brevitas), `hgq` (Keras 3 with JAX, HGQ2), `qkeras` (QKeras); the
peers' scripts are those of ../shared/peers_bench.  A peer that is absent is left out with a message.  All figures are
processor seconds of the median epoch after the first, one thread.  Targets are ratios ours / peer.  Writes
build/results/speed.jsonl and prints a Markdown table.
"""
import argparse
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = os.path.join(TOP, '..', 'shared', 'peers_bench')
VENVS = os.environ.get('PEERS_VENVS', '')

# name, our arguments, [(peer, environment, script arguments, target ratio)]
QAT = ['qat.py', '--threads', '1', '--repeat', '1']


def qat(net, framework, batch, epochs, *more):
    return QAT + ['--net', net, '--framework', framework, '--batch', str(batch), '--epochs', str(epochs), *more]


def rows(quick):
    e = 3 if quick else 5
    return [
        ('mlp', ['mlp', '6', '1', '128', '8'], [
            ('QKeras', 'qkeras', qat('mlp', 'qkeras', 128, e), 0.45),
            ('QKeras, 32 steps a call', 'qkeras', qat('mlp', 'qkeras', 128, e, '--spe', '32'), 0.45),
            ('HGQ2/JAX, 32 steps a call', 'hgq', qat('mlp', 'hgq2', 128, e, '--spe', '32'), 0.25),
            ('Brevitas', 'torch', qat('mlp', 'brevitas', 128, e), 0.10),
            ('float PyTorch', 'torch', qat('mlp', 'torch', 128, e), None),
            ('float Keras/JAX', 'hgq', qat('mlp', 'keras', 128, e), None)]),
        ('mlp-1024', ['mlp', '6', '1', '1024', '8'], [
            ('QKeras', 'qkeras', qat('mlp', 'qkeras', 1024, e), 0.45),
            ('HGQ2/JAX', 'hgq', qat('mlp', 'hgq2', 1024, e), 0.25),
            ('Brevitas', 'torch', qat('mlp', 'brevitas', 1024, e), 0.10)]),
        ('cnn', ['cnn', '6', '1', '128', '3'], [
            ('QKeras', 'qkeras', qat('cnn', 'qkeras', 128, 2), 0.36),
            ('Brevitas', 'torch', qat('cnn', 'brevitas', 128, 2), 0.15),
            ('float PyTorch', 'torch', qat('cnn', 'torch', 128, 2), 0.45)]),
        ('binary', ['binary', '6', '1', '128', '3'], [
            ('Brevitas', 'torch', ['binary.py', '--framework', 'brevitas', '--threads', '1', '--epochs', '2'], 0.4),
            ('float PyTorch', 'torch', ['binary.py', '--framework', 'float', '--threads', '1', '--epochs', '2'], None)]),
        ('jet', ['jet', '6', '1', '1024', '4'], [
            ('Brevitas', 'torch', qat('jet', 'brevitas', 1024, 2), 0.07),
            ('float PyTorch', 'torch', qat('jet', 'torch', 1024, 3), 0.4),
            ('float Keras/JAX', 'hgq', qat('jet', 'keras', 1024, 3), None)]),
    ]


def ours(words):
    r = subprocess.run([os.path.join(TOP, 'build/release/bench/bench_train'), *words], capture_output=True, text=True)
    if r.returncode:
        sys.exit(r.stderr)
    return json.loads(r.stdout)


def peer(env, words):
    python = os.path.join(VENVS, env, 'bin', 'python')
    if not VENVS or not os.path.exists(python) or not os.path.exists(os.path.join(PEERS, words[0])):
        return None
    r = subprocess.run([python, os.path.join(PEERS, words[0]), *words[1:]], capture_output=True, text=True)
    lines = [json.loads(s) for s in r.stdout.splitlines() if s.startswith('{"bench"')]
    return lines[0] if lines else {'error': r.stderr[-300:]}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='fewer epochs')
    p.add_argument('--only', nargs='+', help='some rows')
    a = p.parse_args()
    out = os.path.join(TOP, 'build', 'results')
    os.makedirs(out, exist_ok=True)
    print('| network | ours s | float, ours s | peer | peer s | ratio | target | peak memory MiB, ours / peer |')
    print('|---|---|---|---|---|---|---|---|')
    with open(os.path.join(out, 'speed.jsonl'), 'a') as log:
        for name, words, peers in rows(a.quick):
            if a.only and name not in a.only:
                continue
            for who, env, script, target in peers:
                other = peer(env, script)
                mine, plain = ours(words), ours([words[0], 'float', *words[2:]])
                if other is None or 'error' in other:
                    print(f'| {name} | {mine["epoch_cpu_s"]:.3f} | {plain["epoch_cpu_s"]:.3f} | {who} | '
                          f'{"not installed" if other is None else "failed"} | | {target or ""} | |', flush=True)
                    continue
                cpu = other['epoch_user_s'] + other['epoch_sys_s']
                log.write(json.dumps({'row': name, 'ours': mine, 'float': plain, 'peer': who, 'theirs': other}) + '\n')
                print(f'| {name} | {mine["epoch_cpu_s"]:.3f} | {plain["epoch_cpu_s"]:.3f} | {who} | {cpu:.2f} | '
                      f'{mine["epoch_cpu_s"] / cpu:.3f} | {"" if target is None else target} | '
                      f'{mine["peak_rss_mib"]:.0f} / {other["peak_rss_mib"]:.0f} |', flush=True)


if __name__ == '__main__':
    main()
