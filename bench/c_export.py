#!/usr/bin/env python3
"""What packed weights cost and save in emitted C: bytes of code and constants, and microseconds of one sample.

Usage: c_export.py BITLATHE MODEL...
       c_export.py build/release/bitlathe ../shared/data/qonnx/tfc_w2a2/model.onnx ../shared/data/qonnx/tfc_w1a1/model.onnx

Bytes are `size`'s text of the network's file by `gcc -c`; the time is the least of ten stretches of calls with random
codes, of a program that is compiled with the same flags.
"""
import math
import os
import re
import subprocess
import sys
import tempfile

DRIVER = """#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "net.h"
static IN x[NX];
static OUT y[NY];
int main(void)
{
    double best = 1e9;
    for (int i = 0; i < NX; i++)
        x[i] = (IN)(LOW + rand() % (HIGH - LOW + 1));
    for (int k = 0; k < 10; k++) {
        const clock_t begin = clock();
        for (int n = 0; n < 2000; n++)
            net_run(x, y);
        const double us = (double)(clock() - begin) / CLOCKS_PER_SEC / 2000 * 1e6;
        best = us < best ? us : best;
    }
    printf("%.1f\\n", best);
    return 0;
}
"""


def facts(header):
    """Sizes, types and range of codes, as the header states them."""
    x, y = (re.search(rf' \* {v}: [^\n]*?, \[([\d, ]+)\], codes (-?\d+) \.\. (-?\d+)', header) for v in 'xy')
    kinds = re.search(r'net_run\(const (\w+) \*x, (\w+) \*y\)', header)
    count = lambda m: math.prod(map(int, m.group(1).split(', ')))
    return {'NX': count(x), 'NY': count(y), 'LOW': x.group(2), 'HIGH': x.group(3), 'IN': kinds.group(1), 'OUT': kinds.group(2)}


def measure(folder, flag):
    run = lambda *words: subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout
    with open(os.path.join(folder, 'net.h')) as f:
        defines = [f'-D{k}={v}' for k, v in facts(f.read()).items()]
    run('gcc', flag, '-c', 'net.c')
    text = int(run('size', 'net.o').splitlines()[1].split()[0])
    run('gcc', flag, *defines, 'main.c', 'net.o', '-o', 'main')
    return text, float(run('./main'))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    print('| model | | text, `-Os` | µs, `-Os` | µs, `-O2` |\n|---|---|---|---|---|')
    for model in sys.argv[2:]:
        for pack in ([], ['--pack']):
            with tempfile.TemporaryDirectory() as top:
                folder = os.path.join(top, 'project')
                subprocess.run([sys.argv[1], 'emit', model, '--target', 'c', '--name', 'net', '--out', folder, *pack], check=True,
                               stdout=subprocess.DEVNULL)
                with open(os.path.join(folder, 'main.c'), 'w') as f:
                    f.write(DRIVER)
                small, slow = measure(folder, '-Os')
                fast = measure(folder, '-O2')[1]
            print(f'| {model} | {" ".join(pack)} | {small:,} | {slow} | {fast} |', flush=True)


if __name__ == '__main__':
    main()
