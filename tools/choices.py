#!/usr/bin/env python3
"""The choices behind the rows of docs/results.md, made on the validation split; writes their tables there.

    python3 tools/choices.py                    what build/results/choices.jsonl does not hold yet, then the tables
    python3 tools/choices.py --only rate-mlp    some
    python3 tools/choices.py --list             the commands, nothing run
    python3 tools/choices.py --tables           the tables alone, from what is there

Every run keeps 10 % of the training rows for validation (`data.validation=0.1`) and never reads the test part
(`--no-test`).  What counts is the accuracy on the validation rows after the last epoch, not the best epoch's.
"""
import argparse
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TOP, 'build', 'results')
DOC = os.path.join(TOP, 'docs', 'results.md')
ROW = re.compile(r'\$\(sh examples/rows\.sh (\w+)\)')
MLP, CNN = 'examples/mlp.yaml', 'examples/cnn.yaml'
SEEDS = (1, 2)
INPUT = 'input: "ufixed<8,0,RND,SAT>"'
SHORT = {'data.validation': 0.1, 'train.epochs': 10, 'train.optimizer.lr': 0.003, 'train.schedule.name': 'cosine'}


def row(name):
    return {'': f'$(sh examples/rows.sh {name})'}


def precision(weight, activation):
    return {'': f'precision.default={{{INPUT}, weight: {weight}, bias: float32, activation: {activation}}}'}


def quantizers(bits):
    """Weights and activations of so many bits, by the published ways."""
    channel = f'{{quantizer: lsq, bits: {bits}, granularity: channel}}'
    covering = f'{{format: "int<{bits},RND,SAT_SYM>", scale: auto, granularity: channel}}'
    lsq = f'{{quantizer: lsq, bits: {bits}}}'
    return [
        ('lsq per channel, lsq', precision(channel, lsq)),
        ('lsq per tensor, lsq', precision(lsq, lsq)),
        ('lsq per channel, pact', precision(channel, f'{{quantizer: pact, bits: {bits}}}')),
        ('greatest magnitude per channel, lsq', precision(covering, lsq)),
        ('fixed point (1 and 3 integer bits)',
         precision(f'"fixed<{bits},1,RND,SAT_SYM>"', f'"ufixed<{bits},{min(bits, 3)},RND,SAT>"')),
        ('dorefa, dorefa', precision(f'{{quantizer: dorefa, bits: {bits}}}', f'{{quantizer: dorefa, bits: {bits}}}')),
        ('quantized_bits (auto_po2), quantized_relu',
         precision(f'"quantized_bits({bits},0,alpha=\'auto_po2\')"', f'"quantized_relu({bits},{min(bits, 2)})"')),
    ]


def few(options, bits):
    return [(name, precision(w, f'{{quantizer: lsq, bits: {bits}}}')) for name, w in options]


TERNARY = [
    ('lsq of three values', '{quantizer: lsq, format: "int<2,RND_CONV,SAT_SYM>", granularity: channel}'),
    ('lsq of three values, per tensor', '{quantizer: lsq, format: "int<2,RND_CONV,SAT_SYM>"}'),
    ('ternary (auto)', '{quantizer: ternary, alpha: auto, granularity: channel}'),
    ('format ternary, learned scale', '{format: ternary, scale: learned, granularity: channel}'),
]
BINARY = [
    ('xnor', '{quantizer: xnor, granularity: channel}'),
    ('binary (auto)', '{quantizer: binary, alpha: auto, granularity: channel}'),
    ('format binary, learned scale', '{format: binary, scale: learned, granularity: channel}'),
    ('dorefa', '{quantizer: dorefa, bits: 1}'),
]


def rates(bits):
    found = []
    for name in ('constant', 'exponential', 'cosine'):
        for lr in (0.001, 0.002, 0.003, 0.006):
            sets = {'train.optimizer.lr': lr, 'train.schedule.name': name, **row(bits)}
            if name == 'exponential':
                sets['train.schedule.gamma'] = 0.8
            found.append((f'{name}, {lr}', sets))
    return found


CHOICES = {
    'quantizer-4': ('Quantizer of weights, of activations: MLP, 4 bits', MLP, quantizers(4)),
    'quantizer-2': ('Quantizer of weights, of activations: MLP, 2 bits', MLP, quantizers(2)),
    'quantizer-cnn': ('Quantizer of weights, of activations: CNN, 4 bits', CNN, quantizers(4)),
    'rate-mlp': ('Schedule and learning rate: MLP, 4 bits', MLP, rates(4)),
    'rate-cnn': ('Schedule and learning rate: CNN, 4 bits', CNN, rates(4)),
    'ternary-mlp': ('Ternary weights, 2-bit activations: MLP', MLP, few(TERNARY, 2)),
    'ternary-cnn': ('Ternary weights, 2-bit activations: CNN', CNN, few(TERNARY, 2)),
    'binary-mlp': ('Binary weights, 1-bit activations: MLP', MLP, few(BINARY, 1)),
    'binary-cnn': ('Binary weights, 1-bit activations: CNN', CNN, few(BINARY, 1)),
}


def command(recipe, sets, seed):
    words = ['build/release/bitlathe', 'train', recipe]
    for key, value in {**SHORT, **sets}.items():
        words += ['--set', f'{key}={value}' if key else value]
    return words + ['--seed', str(seed), '--no-test']


def shown(words):
    """As typed in a shell."""
    def quoted(w):
        return w if re.fullmatch(r'[\w./=-]+', w) else f'"{w}"' if w.startswith('$(') else "'" + w.replace("'", "'\\''") + "'"
    return ' '.join(quoted(w) for w in words)


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def run(words, program):
    """The validation accuracy of the last epoch; None where training diverged."""
    log, checkpoint = os.path.join(OUT, f'choice{os.getpid()}.jsonl'), os.path.join(OUT, f'choice{os.getpid()}.npz')
    words = [ROW.sub(lambda m: subprocess.check_output(['sh', 'examples/rows.sh', m[1]], cwd=TOP, text=True).strip(), w)
             for w in words]
    r = subprocess.run([program] + words[1:] + ['--quiet', '--threads', '1', '--no-model', '--set', f'output.log={log}',
                                                '--set', f'output.checkpoint={checkpoint}'],
                       cwd=TOP, capture_output=True, text=True)
    epochs = [e for e in load(log) if e['event'] == 'epoch']
    for path in (log, checkpoint):
        if os.path.exists(path):
            os.remove(path)
    if r.returncode and 'not finite' not in r.stderr:
        sys.exit(f'{shown(words)}\n{r.stdout}{r.stderr}')
    return None if r.returncode else epochs[-1]['validation_accuracy']


def cell(values):
    good = [v for v in values if v is not None]
    text = f'{100 * sum(good) / len(good):.2f}' if good else '–'
    return text + (f' ({len(values) - len(good)} of {len(values)} diverged)' if len(good) < len(values) else '')


def table_text(name, title, recipe, options, runs):
    lines = [f'**{title}**', '', '| | validation accuracy % |', '|---|---|']
    for option, _ in options:
        mine = [r['validation'] for r in runs if r['choice'] == name and r['option'] == option]
        if mine:
            lines.append(f'| {option} | {cell(mine)} |')
    return '\n'.join(lines + [''])


def write_tables(runs):
    begin, end = '<!-- begin: tools/choices.py -->', '<!-- end: tools/choices.py -->'
    body = '\n'.join(table_text(n, *c, runs) for n, c in CHOICES.items() if any(r['choice'] == n for r in runs))
    with open(DOC) as f:
        text = f.read()
    head, rest = text.split(begin)
    with open(DOC, 'w') as f:
        f.write(f'{head}{begin}\n\n{body}\n{end}{rest.split(end)[1]}')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', nargs='+', choices=CHOICES)
    p.add_argument('--seeds', type=int, nargs='+', default=SEEDS)
    p.add_argument('--program', default='build/release/bitlathe')
    p.add_argument('--list', action='store_true')
    p.add_argument('--tables', action='store_true')
    a = p.parse_args()
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, 'choices.jsonl')
    done = {r['command'] for r in load(path)}
    for name, (_, recipe, options) in CHOICES.items():
        for option, sets in options:
            for seed in a.seeds:
                words = command(recipe, sets, seed)
                if a.tables or (a.only and name not in a.only) or shown(words) in done:
                    continue
                if a.list:
                    print(shown(words))
                    continue
                r = {'choice': name, 'option': option, 'seed': seed, 'command': shown(words),
                     'validation': run(words, a.program)}
                with open(path, 'a') as f:
                    f.write(json.dumps(r) + '\n')
                print(f'{name:14} {option:44} seed {seed}  {r["validation"]}', flush=True)
    if not a.list:
        write_tables(load(path))


if __name__ == '__main__':
    main()
