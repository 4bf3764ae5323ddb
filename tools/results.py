#!/usr/bin/env python3
"""Trains the rows of docs/results.md and writes its tables.

    python3 tools/results.py                    every row that build/results/runs.jsonl does not hold yet, then the tables
    python3 tools/results.py --only mlp cnn     some tables
    python3 tools/results.py --list             the commands, nothing run
    python3 tools/results.py --tables           the tables alone, from what is there

A row is one recipe of examples/ with `--set` changes, trained with three seeds; what is reported is the mean of the
test accuracy and its standard error.  Choices belong on the validation split
(docs/results.md says which were made there); the test part is read once per run, by `bitlathe train` itself.  Peers' figures come from
build/results/peers.jsonl (bench/peers.py); what neither file has stays as docs/results.md has it.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TOP, 'build', 'results')
DOC = os.path.join(TOP, 'docs', 'results.md')
SEEDS = (1, 2, 3)
PEERS = ('qkeras', 'brevitas', 'hgq2')
ROW = 'sh examples/rows.sh'  # stands for the --set option that this script prints
KEEP = '--out'  # the model of the first seed, which other rows start from


# All 60,000 rows and ten epochs, as the peers; the learning rate was compared on the validation split.
SHORT = {'data.validation': 0, 'train.epochs': 10, 'train.optimizer.lr': 0.003, 'train.schedule.name': 'cosine'}


def widths(recipe, extra):
    rows = [('float32', 'float')] + [(f'{b} bits', str(b)) for b in (8, 6, 4, 3, 2)]
    return [(name, recipe, {ROW: row, **extra}) for name, row in rows + [('ternary', 'ternary'), ('binary', 'binary')]]


PRESETS = ('gupta16', 'dorefa124', 'wage2888', 'fp8', 'mxfp8', 'int8')


def presets(recipe, extra):
    kept = f'build/results/{os.path.basename(recipe)[:-5]}_float.onnx'
    rows = [('float32', recipe, {'precision': '{default: {input: "ufixed<8,0,RND,SAT>"}}', **extra, KEEP: kept})]
    # WAGE's three values for every weight but the first and the last layer's, chosen on the validation split
    # (docs/results.md).
    first = 'conv1' if 'cnn' in recipe else 'fc1'
    ends = {'wage2888': {f'precision.name.{n}.weight': '{quantizer: lsq, bits: 8}' for n in (first, 'logits')}}
    rows += [(p, recipe, {'precision': f'{{preset: {p}}}', **ends.get(p, {}), **extra}) for p in PRESETS]
    start = {'network': '', 'model': kept, 'data.normalize': ''}  # the model has its normalisation in it
    return rows + [('wage2888, from the float weights', recipe,
                    {'precision': '{preset: wage2888}', **ends['wage2888'], **extra, **start})]


def gradients(recipe, extra):
    rows = []
    for b in (2, 3, 4, 5, 6, 8, 10, 12, 16):
        q = f'{{format: "int<{b},STOCHASTIC,SAT>", scale: dynamic}}'
        rows.append((f'{b} bits', recipe, {ROW: '6', 'precision.default.error': q, 'precision.default.gradient': q, **extra}))
    return rows


def residual():
    r = 'examples/resnet.yaml'
    full = {'data.validation': 0}
    kept = 'build/results/resnet_float.onnx'
    tuned = {**full, 'model': kept, 'train.loss.teacher': kept}
    return [('float32', r, {ROW: 'float', **full, KEEP: kept}), ('4 bits', r, full),
            ('4 bits, from the float weights', 'examples/resnet_finetune.yaml', tuned)]


TABLES = {
    'mlp': ('MLP 784-64-32-32-10', widths('examples/mlp.yaml', SHORT)),
    'cnn': ('CNN 3x3x16, pool, 3x3x16, pool, 3x3x24, dense 42, 64, 10', widths('examples/cnn.yaml', SHORT)),
    'binarynet': ('BinaryNet MLP 784-512-512-10', [('binary', 'examples/binary.yaml', {'data.validation': 0})]),
    'resnet': ('Residual CNN', residual()),
    'step-mlp': ('Low precision in the step, MLP', presets('examples/mlp.yaml', SHORT)),
    'step-cnn': ('Low precision in the step, CNN', presets('examples/cnn.yaml', SHORT)),
    'gradient-bits': ('Bits of error and gradient, MLP with 6-bit weights and activations',
                      gradients('examples/mlp.yaml', SHORT)),
}


def command(recipe, sets, seed):
    words = ['build/release/bitlathe', 'train', recipe]
    for key, value in sets.items():
        if key == KEEP:
            words += [KEEP, value] if seed == SEEDS[0] else []
            continue
        words += ['--set', f'$({ROW} {value})' if key == ROW else f'{key}={value}']
    return words + ['--seed', str(seed)]


def shown(words):
    """As typed in a shell."""
    def quoted(w):
        return w if re.fullmatch(r'[\w./=-]+', w) else f'"{w}"' if w.startswith('$(') else f"'{w}'"
    return ' '.join(quoted(w) for w in words)


def expanded(words):
    def value(w):
        return subprocess.check_output(w[2:-1].split(), cwd=TOP, text=True).strip() if w.startswith('$(') else w
    return [value(w) for w in words]


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def run(words, threads):
    out = os.path.join(OUT, 'model')
    extra = ['--json', '--quiet', '--threads', str(threads), '--set', f'output.log={out}.jsonl',
             '--set', f'output.checkpoint={out}.ckpt.npz'] + ([] if KEEP in words else ['--no-model'])
    if os.path.exists(out + '.ckpt.npz'):
        os.remove(out + '.ckpt.npz')
    r = subprocess.run(expanded(words) + extra, cwd=TOP, capture_output=True, text=True)
    if r.returncode:
        sys.exit(f'{shown(words)}\n{r.stdout}{r.stderr}')
    epochs = [e for e in load(out + '.jsonl') if e['event'] == 'epoch']
    return {'test': json.loads(r.stdout)['test']['accuracy'], 'train': epochs[-1]['accuracy'], 'epochs': len(epochs)}


def mean_and_error(values):
    m = sum(values) / len(values)
    v = sum((x - m) ** 2 for x in values) / max(len(values) - 1, 1)
    return m, math.sqrt(v / len(values))


def peers_of(table, row, peers):
    found = {}
    for p in peers:
        if p['bench'] == table and p['row'] == row and p['framework'] in PEERS:
            found.setdefault(p['framework'], []).append(p['test_acc'])
    return found


def cell(values):
    m, e = mean_and_error(values)
    if len(values) == 1:
        return f'{100 * m:.2f} (1 seed)'
    return f'{100 * m:.2f} ± {100 * e:.2f}' + ('' if len(values) == 3 else f' ({len(values)} seeds)')


def written(title, text):
    """A table as it stands."""
    part = text.partition(f'### {title}\n')[2].partition('\n### ')[0]
    return f'### {title}\n{part.rstrip()}\n' if part else ''


def written_peers(table):
    """Their cells in a table as it stands: {row: {peer: cell}}."""
    cells = [[c.strip() for c in line.strip('|\n').split('|')] for line in table.splitlines() if line.startswith('| ')]
    return {row[0]: dict(zip(cells[0][2:], row[2:])) for row in cells[1:]} if cells else {}


def accuracies(name, row, recipe, sets, runs):
    """Of a row's runs by its present command."""
    return [r['test'] for r in runs
            if (r['table'], r['row']) == (name, row) and r['command'] == shown(command(recipe, sets, r['seed']))]


def table_text(name, title, rows, runs, peers, kept):
    compare = name in ('mlp', 'cnn')
    head = ['row', 'test accuracy %'] + (list(PEERS) if compare else [])
    lines = [f'### {title}', '', '| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    for row, recipe, sets in rows:
        mine = accuracies(name, row, recipe, sets, runs)
        if not mine:
            continue
        other = peers_of(name, row, peers)
        theirs = [cell(other[p]) if p in other else kept.get(row, {}).get(p, '') for p in PEERS]
        cells = [row, cell(mine)] + (theirs if compare else [])
        lines.append('| ' + ' | '.join(cells) + ' |')
    lines += ['', 'Commands:', '', '```']
    lines += [shown(command(recipe, sets, 1)) for row, recipe, sets in rows
              if accuracies(name, row, recipe, sets, runs)]
    return '\n'.join(lines + ['```', ''])


def write_tables(runs, peers):
    begin, end = '<!-- begin: tools/results.py -->', '<!-- end: tools/results.py -->'
    with open(DOC) as f:
        head, rest = f.read().split(begin)
    now, tail = rest.split(end)
    parts = []
    for name, (title, rows) in TABLES.items():
        old = written(title, now)
        ours = any(r['table'] == name for r in runs)
        parts.append(table_text(name, title, rows, runs, peers, written_peers(old)) if ours else old)
    body = '\n'.join(p for p in parts if p)
    with open(DOC, 'w') as f:
        f.write(f'{head}{begin}\n\n{body}\n{end}{tail}')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', nargs='+', choices=TABLES, help='some tables')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--seeds', type=int, nargs='+', default=SEEDS)
    p.add_argument('--list', action='store_true')
    p.add_argument('--tables', action='store_true')
    a = p.parse_args()
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, 'runs.jsonl')
    runs = load(path)
    done = {(r['table'], r['row'], r['seed'], r['command']) for r in runs}
    for table, (_, rows) in TABLES.items():
        for seed in a.seeds:
            for row, recipe, sets in rows:
                words = command(recipe, sets, seed)
                if a.tables or (a.only and table not in a.only) or (table, row, seed, shown(words)) in done:
                    continue
                if a.list:
                    print(shown(words))
                    continue
                r = {'table': table, 'row': row, 'seed': seed, 'command': shown(words), **run(words, a.threads)}
                with open(path, 'a') as f:
                    f.write(json.dumps(r) + '\n')
                print(f'{table:14} {row:12} seed {seed}  test {r["test"]:.4f}  train {r["train"]:.4f}', flush=True)
    if not a.list:
        write_tables(load(path), load(os.path.join(OUT, 'peers.jsonl')))


if __name__ == '__main__':
    main()
