#!/usr/bin/env python3
"""Adder graphs beside da4ml's and alkaid's, on the same matrices, counted in the same way.

    PEERS_VENVS=DIR build/venv/bin/python bench/adders.py [--yosys] [--only NAME ...] [--quick]

DIR holds virtual environments `hgq` (da4ml 0.6.0) and `alkaid` (alkaid 0.8.2); one that is absent is left out with a
message.  The peers' graphs are turned into our form, proved to be the matrix, and costed by our model: carry cells from
where two operands meet.  --yosys also counts LUTs: every adder its own module, `alumacc` before `flatten`, no wide
multiplexers; three-input adders are LUT6_2 and CARRY4 by hand.  Seconds are processor time.  Writes
build/results/adders.jsonl and prints a Markdown table.

Length: one table's peers, cost model, Verilog and network, which are of no use apart.
"""
import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(TOP, 'build', 'release', 'bench', 'bench_adders')
OUT = os.path.join(TOP, 'build', 'results', 'adders.jsonl')
PEERS = {'da4ml': 'hgq', 'alkaid': 'alkaid'}

# Runs in the peer's environment: pickled (matrix, ranges) in, pickled (stages, seconds) out.  A stage is the program as
# the package's own data structure gives it.
PEER = r'''
import pickle, sys, time
import numpy as np
w, ranges = pickle.load(open(sys.argv[1], 'rb'))
q = [(float(a), float(b), 1.0) for a, b in ranges]
try:
    from da4ml.cmvm import solve
    call = lambda: solve(w.astype(np.float32), qintervals=q, hard_dc=int(sys.argv[3])).solutions
except ImportError:
    from alkaid.cmvm import cmvm_solve
    call = lambda: cmvm_solve(w.astype(np.float32), qintervals=q, hard_dc=int(sys.argv[3]))
seconds = []
while len(seconds) < 5 and sum(seconds) < 0.5:
    start = time.process_time()
    stages = call()
    seconds.append(time.process_time() - start)
seconds = min(seconds)

def op(o):  # operands, operation, shift or number of the input
    if hasattr(o, 'addr'):  # alkaid
        return (*o.addr, *[0] * (2 - len(o.addr)), o.opcode, o.data[0]) if o.addr else (o.data[0], 0, o.opcode, 0)
    return o.id0, o.id1, o.opcode, o.data

out = [dict(shape=s.shape, inp_shifts=list(s.inp_shifts), ops=[op(o) for o in s.ops],
            out_idxs=list(s.out_idxs), out_shifts=list(s.out_shifts), out_negs=list(s.out_negs)) for s in stages]
pickle.dump((out, seconds), open(sys.argv[2], 'wb'))
'''


# ---- graphs: nodes {lo, hi, constant, terms: [(node, shift, negative)]}, outputs (node, shift, negative, constant) ----
def bits(lo, hi):
    if lo >= 0:
        return hi.bit_length()
    return 1 + max((~lo).bit_length(), (~hi if hi < 0 else hi).bit_length())


def ctz(x):
    return (x & -x).bit_length() - 1


def chain_start(g, n):
    """The first bit that needs a carry cell, or None for a node of wires: adder_cost.c in Python."""
    t = n['terms']
    c = n['constant']
    if len(t) == 1:
        shift = t[0][1]
        high = c - (c & ((1 << shift) - 1))
        if t[0][2]:
            return None if high == -(1 << shift) else shift
        return None if high == 0 else ctz(high)
    if len(t) == 2 and (not g['ternary'] or c == 0):
        a, b = sorted(t, key=lambda x: (x[1], x[2]))
        if a[2]:
            return 0
        low = c & ((1 << b[1]) - 1)
        na = g['nodes'][a[0]]
        if c == 0 and not b[2] and na['lo'] >= 0 and na['hi'].bit_length() + a[1] <= b[1]:
            return None
        return ctz(low) if low else b[1]
    at = sorted([(x[1], not x[2]) for x in t] + ([(ctz(c), True)] if c else []))
    return at[0][0] if not at[0][1] else at[1][0]


def live_end(g, term, w):
    n = g['nodes'][term[0]]
    return w if n['lo'] < 0 else min(w, n['hi'].bit_length() + term[1])


def sum_of_three_live(g, n):
    """For each bit the operands that have a bit there; of the others it is a constant."""
    w = bits(n['lo'], n['hi'])
    return [[k for k, t in enumerate(n['terms']) if t[1] <= i < live_end(g, t, w)] for i in range(w)]


def luts_of(g, n, start):
    """LUTs that have two bits or more to join, as Yosys counts them: bli_adder_luts in Python."""
    w, t, c = bits(n['lo'], n['hi']), n['terms'], n['constant']
    if start is None or len(t) < 2 or start >= w:
        return 0
    if len(t) == 2 and not (g['ternary'] and c):
        return max(0, min(live_end(g, x, w) for x in t) - max(start, t[0][1], t[1][1]))
    luts, handed = 0, False
    for i, live in enumerate(sum_of_three_live(g, n)):
        ones = sum(x[2] for k, x in enumerate(t) if k not in live) + (c >> i & 1)
        if i >= start:
            luts += len(live) > 1 or (len(live) == 1 and handed)
            handed = len(live) > 1 or (len(live) == 1 and ones == 1)
    return luts


def measure(g):
    adders = cost = luts = depth = 0
    for n in g['nodes']:
        n['depth'] = max((g['nodes'][t[0]]['depth'] for t in n['terms']), default=0)
        start = chain_start(g, n) if n['terms'] else None
        width = 0 if start is None else max(0, bits(n['lo'], n['hi']) - start)
        n['depth'] += width > 0
        adders += width > 0
        cost += width
        luts += luts_of(g, n, start)
        depth = max(depth, n['depth'])
    for node, shift, negative, _ in g['outputs']:
        if node >= 0 and negative:
            cost += bits(-g['nodes'][node]['hi'], -g['nodes'][node]['lo'])
    return adders, cost, luts, depth


def read_dump(path, ternary):
    g = {'nodes': [], 'outputs': [], 'ternary': ternary}
    for line in open(path):
        word, *rest = line.split()
        v = list(map(int, rest))
        if word == 'node':
            terms = [tuple(v[k:k + 3]) for k in range(3, len(v), 3)]
            g['nodes'].append({'lo': v[0], 'hi': v[1], 'constant': v[2], 'terms': terms})
        else:
            g['outputs'].append(tuple(v))
    return g


class Peer:
    """A peer's stages as our graph.  A value of theirs is ±(node << shift)."""

    def __init__(self, ranges):
        self.g = {'nodes': [{'lo': a, 'hi': b, 'constant': 0, 'terms': []} for a, b in ranges], 'outputs': [],
                  'ternary': False}
        self.forms = [{i: 1} for i in range(len(ranges))]
        self.ranges = ranges

    def node(self, terms):
        base = min(t[1] for t in terms)
        terms = [(v, s - base, n) for v, s, n in terms]
        turn = all(n for _, _, n in terms)
        form = {}
        for v, s, n in terms:
            for i, f in self.forms[v].items():
                form[i] = form.get(i, 0) + (f << s) * (-1 if n != turn else 1)
        lo = sum(f * self.ranges[i][0 if f > 0 else 1] for i, f in form.items())
        hi = sum(f * self.ranges[i][1 if f > 0 else 0] for i, f in form.items())
        self.forms.append(form)
        self.g['nodes'].append({'lo': lo, 'hi': hi, 'constant': 0, 'terms': [(v, s, n != turn) for v, s, n in terms]})
        return len(self.forms) - 1, base, turn

    def stage(self, s, values):
        at = []
        for id0, id1, opcode, data in s['ops']:
            if opcode == -1:
                v = values[id0]
                at.append(v and (v[0], v[1] + s['inp_shifts'][id0], v[2]))
            elif opcode in (0, 1):
                a, b = at[id0], at[id1]
                at.append(self.node([a, (b[0], b[1] + data, b[2] != (opcode == 1))]))
            else:
                raise SystemExit(f'a peer used operation {opcode}')
        out = []
        for k, shift, negative in zip(s['out_idxs'], s['out_shifts'], s['out_negs']):
            out.append(None if k < 0 else (at[k][0], at[k][1] + shift, at[k][2] != bool(negative)))
        return out


def peer_graph(stages, ranges, matrix):
    p = Peer(ranges)
    values = [(i, 0, False) for i in range(len(ranges))]
    for s in stages:
        values = p.stage(s, values)
    for j, v in enumerate(values):
        form = {} if v is None else {i: (f << v[1]) * (-1 if v[2] else 1) for i, f in p.forms[v[0]].items() if f}
        if form != {i: int(matrix[i][j]) for i in range(len(ranges)) if matrix[i][j]}:
            raise SystemExit(f'output {j} of a peer is not its column')
    p.g['outputs'] = [(-1, 0, 0, 0) if v is None else (*v, 0) for v in values]
    return p.g


# ---- Verilog ----------------------------------------------------------------------------------------------------------
def plain_module(name, g, n):
    """One adder as a module of its own; ports a and b, wide enough wires outside of the chain."""
    (a, sa, na), (b, sb, nb) = sorted(n['terms'], key=lambda x: (x[1], x[2]))
    wa, wb, w = width(g, a), width(g, b), bits(n['lo'], n['hi'])
    c, low, start = n['constant'], n['constant'] & ((1 << sb) - 1), chain_start(g, n)
    if na and c == -1:
        low = 0
    start = min(start, w)
    aw, bw = f'wire signed [{w}:0] A = {extend(g, a, "a")};', f'wire signed [{w}:0] B = ({extend(g, b, "b")} <<< {sb}) | {low};'
    lines = [f'module {name}(input [{wa - 1}:0] a, input [{wb - 1}:0] b, output [{w - 1}:0] y);', aw, bw]
    if na:
        expr = f'B[{w - 1}:{start}] - A[{w - 1}:{start}]' if c >= 0 else f'B[{w - 1}:{start}] + ~A[{w - 1}:{start}]'
    elif nb:
        if low or c:
            expr = f'A[{w - 1}:{start}] + N[{w - 1}:{start}]'
            lines.append(f'wire [{w}:0] N = ((~{extend(g, b, "b")}) <<< {sb}) | {low};')
        else:
            expr = f'A[{w - 1}:{start}] - B[{w - 1}:{start}]'
    else:
        expr = f'A[{w - 1}:{start}] - ~B[{w - 1}:{start}]' if c == 1 << sb else f'A[{w - 1}:{start}] + B[{w - 1}:{start}]'
    lines.append(f'assign y[{w - 1}:{start}] = {expr};')
    if start:
        lines.append(f'assign y[{start - 1}:0] = A[{start - 1}:0];')
    return lines + ['endmodule']


def width(g, v):
    return max(1, bits(g['nodes'][v]['lo'], g['nodes'][v]['hi']))


def extend(g, v, name):
    return f'$signed({name})' if g['nodes'][v]['lo'] < 0 else f'$signed({{1\'b0, {name}}})'


def ternary_module(name, g, n):
    """LUT6_2 and CARRY4: O5 = majority, handed to the next bit; O6 = parity of the bits and the majority below."""
    terms, w = n['terms'], bits(n['lo'], n['hi'])
    start = min(chain_start(g, n), w)
    ports = ', '.join(f'input [{width(g, t[0]) - 1}:0] x{k}' for k, t in enumerate(terms))
    lines = [f'module {name}({ports}, output [{w - 1}:0] y);']
    for k, (v, shift, _) in enumerate(terms):
        lines.append(f'wire signed [{w}:0] t{k} = {extend(g, v, f"x{k}")} <<< {shift};')
    negs = [t[2] for t in terms]
    if len(terms) == 2:
        lines.append(f'wire signed [{w}:0] t2 = {n["constant"] % (1 << (w + 1))};' if n['constant'] else f'wire signed [{w}:0] t2 = 0;')
        negs.append(False)
    init5 = init6 = 0
    for k in range(64):
        x = [bool(k >> i & 1) != bool(negs[i]) for i in range(3)]
        maj, parity = sum(x) >= 2, (sum(x) + (k >> 3 & 1)) % 2
        if k < 32 and maj:
            init5 |= 1 << k
        if k >= 32 and parity:
            init6 |= 1 << k
    ones = sum(negs)
    count = w - start
    pad = -(-count // 4) * 4
    lines += [f'wire [{pad}:0] m, c; wire [{pad - 1}:0] s, o;',
              f"assign m[0] = 1'b{int(ones > 1)}; assign c[0] = 1'b{int(ones > 0)};"]
    live = sum_of_three_live(g, n)
    for i in range(pad):
        if i < count and len(live[start + i]) > 1:
            lines.append(f"LUT6_2 #(.INIT(64'h{init5 | init6:016x})) l{i}(.I0(t0[{start + i}]), .I1(t1[{start + i}]), "
                         f".I2(t2[{start + i}]), .I3(m[{i}]), .I4(1'b0), .I5(1'b1), .O5(m[{i + 1}]), .O6(s[{i}]));")
        elif i < count:  # fewer than two operands have bits: plain logic, often a wire
            a, b, c = (f"{'~' if negs[k] else ''}t{k}[{start + i}]" for k in range(3))
            lines += [f'assign m[{i + 1}] = ({a}) & ({b}) | ({a}) & ({c}) | ({b}) & ({c});',
                      f'assign s[{i}] = ({a}) ^ ({b}) ^ ({c}) ^ m[{i}];']
        else:
            lines.append(f"assign m[{i + 1}] = 1'b0; assign s[{i}] = 1'b0;")
    for i in range(0, pad, 4):
        lines.append(f"CARRY4 c{i}(.CI({'c[%d]' % i if i else chr(49) + chr(39) + 'b0'}), .CYINIT({'c[0]' if i == 0 else chr(49) + chr(39) + 'b0'}), "
                     f".DI(m[{i + 3}:{i}]), .S(s[{i + 3}:{i}]), .CO(c[{i + 4}:{i + 1}]), .O(o[{i + 3}:{i}]));")
    if start:
        lowest = sorted(range(len(terms)), key=lambda k: terms[k][1])[0]
        source = f't{lowest}[{start - 1}:0]'
        if n['constant'] and ctz(n['constant']) < terms[lowest][1]:
            source = f't2[{start - 1}:0]'
        lines.append(f'assign y[{start - 1}:0] = {source};')
    lines.append(f'assign y[{w - 1}:{start}] = o[{count - 1}:0];')
    return lines + ['endmodule']


def node_verilog(g, n, v, prefix, modules):
    """Lines of the top module; modules: text to name."""
    w = max(1, bits(n['lo'], n['hi']))
    lines = [f'wire [{w - 1}:0] {prefix}{v};']
    args = [f'{prefix}{t[0]}' for t in n['terms']]
    start = chain_start(g, n)
    if start is None or len(n['terms']) == 1 or start >= w:
        total = ' + '.join(f'({"-" if t[2] else ""}({extend(g, t[0], a)} <<< {t[1]}))' for t, a in zip(n['terms'], args))
        if start is None and len(n['terms']) == 2:
            (a, sa, _), (b, sb, _) = sorted(n['terms'], key=lambda x: x[1])
            total = f'({extend(g, b, prefix + str(b))} <<< {sb}) | {extend(g, a, prefix + str(a))}'
        elif start is None:
            t = n['terms'][0]
            low = n['constant'] & ((1 << t[1]) - 1)
            total = f'({"~" if t[2] else ""}{extend(g, t[0], args[0])} <<< {t[1]}) | {low}'
        else:
            total += f' + ({n["constant"]})'
        lines += [f'wire signed [{w}:0] {prefix}{v}_x = {total};', f'assign {prefix}{v} = {prefix}{v}_x[{w - 1}:0];']
        return lines
    two = len(n['terms']) == 2 and (not g['ternary'] or n['constant'] == 0)
    text = '\n'.join((plain_module if two else ternary_module)('NAME', g, n))
    name = modules.setdefault(text, f'add{len(modules)}')
    if two:
        order = sorted(n['terms'], key=lambda x: (x[1], x[2]))
        ports = f'.a({prefix}{order[0][0]}), .b({prefix}{order[1][0]})'
    else:
        ports = ', '.join(f'.x{k}({a})' for k, a in enumerate(args))
    return lines + [f'{name} i_{prefix}{v}({ports}, .y({prefix}{v}));']


def output_range(g, y):
    node, shift, negative, constant = y
    if node < 0:
        return constant, constant
    a, b = g['nodes'][node]['lo'] << shift, g['nodes'][node]['hi'] << shift
    return (-b, -a) if negative else (a, b)


def output_expr(g, y, prefix):
    node, shift, negative, constant = y
    if node < 0:
        return str(constant)
    return f'{"-" if negative else ""}({extend(g, node, f"{prefix}{node}")} <<< {shift})'


def layer_verilog(g, prefix, inputs, modules):
    """inputs: expressions of the input wires; returns lines and (wire, lo, hi) of the outputs."""
    lines, outs = [], []
    for v, n in enumerate(g['nodes']):
        if n['terms']:
            lines += node_verilog(g, n, v, prefix, modules)
        else:
            lines.append(f'wire [{width(g, v) - 1}:0] {prefix}{v} = {inputs[v]};')
    for j, y in enumerate(g['outputs']):
        lo, hi = output_range(g, y)
        w = max(1, bits(lo, hi))
        lines.append(f'wire signed [{w}:0] {prefix}y{j} = {output_expr(g, y, prefix)};')
        outs.append((f'{prefix}y{j}', lo, hi))
    return lines, outs


def top_verilog(body, in_bits, outs, modules):
    total = sum(max(1, bits(lo, hi)) for _, lo, hi in outs)
    lines = [f'module top(input [{in_bits - 1}:0] x, output [{total - 1}:0] y);'] + body
    at = 0
    for name, lo, hi in outs:
        w = max(1, bits(lo, hi))
        lines.append(f'assign y[{at + w - 1}:{at}] = {name};')
        at += w
    lines.append('endmodule')
    return '\n'.join([t.replace('NAME', name, 1) for t, name in modules.items()] + lines)


def graph_verilog(g):
    modules, inputs, at = {}, [], 0
    for v, n in enumerate(g['nodes']):
        if not n['terms']:
            inputs.append(f'x[{at + width(g, v) - 1}:{at}]')
            at += width(g, v)
    body, outs = layer_verilog(g, 'n', inputs, modules)
    return top_verilog(body, at, outs, modules)


def yosys(verilog):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'net.v')
        open(path, 'w').write(verilog)
        # Primitives first: were they new to synth_xilinx, it would build the design anew from its source.
        script = (f'read_verilog -lib +/xilinx/cells_sim.v; read_verilog {path}; '
                  'hierarchy -top top; proc; alumacc; flatten; opt_clean; '
                  'synth_xilinx -top top -family xcup -flatten -nodsp -nowidelut -noiopad; stat; ltp -noff')
        r = subprocess.run(['nice', '-n', '5', 'yosys', '-p', script], capture_output=True, text=True)
    if r.returncode:
        sys.exit(r.stdout[-2000:] + r.stderr)
    last = r.stdout[r.stdout.rindex('Number of cells'):]
    cells = {k: int(v) for k, v in re.findall(r'^\s+(\w+)\s+(\d+)$', last, re.M)}
    lut = sum(n for k, n in cells.items() if re.fullmatch(r'LUT[1-6](_2)?', k))
    ltp = re.search(r'length=(\d+)', r.stdout[r.stdout.rindex('Longest topological path'):])
    return {'lut': lut, 'lut6_2': cells.get('LUT6_2', 0), 'inv': cells.get('INV', 0),
            'carry4': cells.get('CARRY4', 0), 'ltp': int(ltp.group(1)) if ltp else 0}


# ---- a network: every layer's graph, ReLU, round half up, saturate ------------------------------------------------------
SIZES, ACT_BITS = [16, 64, 32, 32, 5], [8, 7, 6]


def network():
    """[(weights, biases with the rounding constant, shift, bits)] of a random 16-64-32-32-5 with half its weights 0."""
    import numpy as np
    r = np.random.default_rng(5)
    layers, hi = [], 127
    for k, (n, m) in enumerate(zip(SIZES, SIZES[1:])):
        w = np.clip(np.round(r.normal(0, 11, (n, m))), -32, 31).astype(int)
        w[r.random((n, m)) < 0.483] = 0
        b = r.integers(-128, 128, m) * 4
        last = k == len(SIZES) - 2
        spread = 3 * 11 * 0.7 * (n ** 0.5) * hi / 2
        shift = 0 if last else max(0, int(np.ceil(np.log2(spread / (1 << ACT_BITS[k])))))
        layers.append((w, b + (0 if last else 1 << shift >> 1), shift, None if last else ACT_BITS[k]))
        hi = (1 << ACT_BITS[k]) - 1 if not last else 0
    return layers


def add_constants(g, constants):
    """A peer's graph with an adder for each constant, as its users have it."""
    for j, ((node, shift, negative, c), constant) in enumerate(zip(g['outputs'], constants)):
        if constant and node >= 0:
            a, b = output_range(g, g['outputs'][j])
            g['nodes'].append({'lo': a + int(constant), 'hi': b + int(constant), 'constant': int(constant),
                               'terms': [(node, shift, negative)]})
            g['outputs'][j] = (len(g['nodes']) - 1, 0, False, 0)
        elif constant:
            g['outputs'][j] = (-1, 0, False, int(constant))
    return g


def activation_verilog(name, y, shift, out_bits):
    wire, lo, hi = y
    top = (1 << out_bits) - 1
    r = f'({wire} >>> {shift})'
    return f'wire [{out_bits - 1}:0] {name} = {wire} < 0 ? 0 : {r} > {top} ? {top} : {r};', name, 0, min(top, max(0, hi >> shift))


def network_verilog(graphs, layers):
    modules, body = {}, []
    inputs = [f'x[{8 * i + 7}:{8 * i}]' for i in range(SIZES[0])]
    for k, (g, (w, b, shift, out_bits)) in enumerate(zip(graphs, layers)):
        lines, outs = layer_verilog(g, f'l{k}_', inputs, modules)
        body += lines
        if out_bits is None:
            break
        inputs = []
        for j, y in enumerate(outs):
            text, name, _, hi = activation_verilog(f'a{k}_{j}', y, shift, out_bits)
            body.append(text)
            inputs.append(f'{name}[{max(1, hi.bit_length()) - 1}:0]')
    return top_verilog(body, 8 * SIZES[0], outs, modules)


def network_values(layers, x):
    for w, b, shift, out_bits in layers:
        y = x @ w + b
        x = y if out_bits is None else (y >> shift).clip(0, (1 << out_bits) - 1)
    return y


def simulate(verilog, layers, outs, count=50):
    """Icarus Verilog on random and extreme inputs against NumPy; the number of differences."""
    import numpy as np
    x = np.random.default_rng(1).integers(-128, 128, (count, SIZES[0]))
    x[0], x[1] = -128, 127
    widths = [max(1, bits(lo, hi)) for _, lo, hi in outs]
    words = [''.join(f'{int(v) & 255:08b}' for v in row[::-1]) for row in x]
    bench = [f'module test; reg [{8 * SIZES[0] - 1}:0] x; wire [{sum(widths) - 1}:0] y; top t(x, y); initial begin']
    bench += [f"x = {len(w)}'b{w}; #1000 $display(\"%b\", y);" for w in words] + ['end endmodule']
    with tempfile.TemporaryDirectory() as d:
        open(f'{d}/t.v', 'w').write(verilog + '\n' + '\n'.join(bench))
        cells = '/usr/share/yosys/xilinx/cells_sim.v'
        subprocess.run(['iverilog', '-g2005-sv', '-s', 'test', '-o', f'{d}/t', f'{d}/t.v', cells], check=True,
                       stderr=subprocess.DEVNULL)
        said = subprocess.run(['vvp', f'{d}/t'], capture_output=True, text=True).stdout.split()
    wrong = 0
    for row, text in zip(network_values(layers, x), said):
        at = len(text)
        for j, w in enumerate(widths):
            v = int(text[at - w:at], 2) if set(text) <= {'0', '1'} else None
            at -= w
            wrong += v is None or (v - (1 << w) if outs[j][1] < 0 and v >> (w - 1) else v) != row[j]
    return int(wrong) + (len(said) != count)


def net_row(who, make, count):
    """make(matrix, ranges, constants) gives graph and seconds."""
    layers, graphs, total, seconds, depth, ranges = network(), [], [0, 0, 0], 0.0, 0, [(-128, 127)] * SIZES[0]
    for w, b, shift, out_bits in layers:
        made = make(w, ranges, b)
        if made is None:
            return
        g, s = made
        graphs.append(g)
        adders, cost, luts, deep = measure(g)
        total = [a + b for a, b in zip(total, (adders, cost, luts))]
        depth, seconds = depth + deep, seconds + s
        if out_bits is not None:
            top = (1 << out_bits) - 1
            ranges = [(0, min(top, max(0, output_range(g, y)[1] >> shift))) for y in g['outputs']]
    row = {'matrix': '16-64-32-32-5, 6 bit, half 0', 'by': who, 'adders': total[0], 'cost': total[1], 'luts': total[2], 'depth': depth,
           's': round(seconds, 3)}
    text = network_verilog(graphs, layers)
    if count:
        outs = [(0, *output_range(graphs[-1], y)) for y in graphs[-1]['outputs']]
        few = any(g['ternary'] for g in graphs)  # primitives are slow to simulate
        row['wrong'] = simulate(text, layers, outs, 4 if few else 50)
        row.update(yosys(text))
    with open(OUT, 'a') as f:
        f.write(json.dumps(row) + '\n')
    print('| ' + ' | '.join(str(x) for x in row.values()) + ' |', flush=True)


def bench_network(peers, chosen, count):
    for who in peers:
        for dc in [-1, 0]:
            def make(w, ranges, b):
                made = peer(who, w, ranges, dc)
                return made and (add_constants(made[0], b), made[1])
            net_row(who + (', least depth' if dc == 0 else ''), make, count)
    for way, words in chosen:
        net_row(f'bitlathe, {way}', lambda w, ranges, b: ours(w, ranges, b, *words), count)


# ---- runs -------------------------------------------------------------------------------------------------------------
def ours(matrix, ranges, constants=None, *words):
    import numpy as np
    with tempfile.TemporaryDirectory() as d:
        np.save(f'{d}/w.npy', np.ascontiguousarray(matrix, np.int64))
        np.save(f'{d}/r.npy', np.array(ranges, np.int64).reshape(-1, 2))
        args = [BENCH, '--matrix', f'{d}/w.npy', '--inputs', f'{d}/r.npy', '--dump', f'{d}/g', *words]
        if constants is not None:
            np.save(f'{d}/c.npy', np.array(constants, np.int64))
            args += ['--constants', f'{d}/c.npy']
        r = subprocess.run(args, capture_output=True, text=True)
        if r.returncode:
            sys.exit(r.stderr)
        said = json.loads(r.stdout)
        g = read_dump(f'{d}/g', '--ternary' in words)
    if measure(g) != (said['adders'], said['cost'], said['luts'], said['depth']):
        sys.exit(f'costs differ: {measure(g)} and {said}')
    return g, said['ms'] / 1e3


def peer(name, matrix, ranges, hard_dc=-1):
    python = os.path.join(os.environ.get('PEERS_VENVS', ''), PEERS[name], 'bin', 'python')
    if not os.path.exists(python):
        print(f'{name}: {python} is absent', file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as d:
        pickle.dump((matrix, ranges), open(f'{d}/in', 'wb'))
        env = dict(os.environ, OMP_NUM_THREADS='1')
        r = subprocess.run(['nice', '-n', '5', python, '-c', PEER, f'{d}/in', f'{d}/out', str(hard_dc)],
                           capture_output=True, text=True, env=env)
        if r.returncode:
            print(f'{name}: {r.stderr[-500:]}', file=sys.stderr)
            return None
        stages, seconds = pickle.load(open(f'{d}/out', 'rb'))
    return peer_graph(stages, ranges, matrix), seconds


def matrices(quick):
    try:
        import numpy as np
    except ImportError:
        sys.exit('adders.py needs numpy: tools/setup --tests, then build/venv/bin/python bench/adders.py')
    rows = []
    for n in [8, 16, 32] + ([] if quick else [64]):
        r = np.random.default_rng(n)
        rows.append((f'{n}x{n} 8 bit', r.integers(-128, 128, (n, n)), [(-128, 127)] * n))
    for n in [16, 32, 64]:
        r = np.random.default_rng(n)
        rows.append((f'±1 {n}x{n}', r.choice([-1, 1], (n, n)), [(-128, 127)] * n))
        rows.append((f'ternary {n}x{n}', r.choice([-1, 0, 1], (n, n)), [(-128, 127)] * n))
        rows.append((f'±1 {n}x{n}, inputs 0 1', r.choice([-1, 1], (n, n)), [(0, 1)] * n))
        rows.append((f'ternary {n}x{n}, inputs 0 1', r.choice([-1, 0, 1], (n, n)), [(0, 1)] * n))
    return rows


WAYS = [('plain', []), ('fewest adders', ['--by-adders']), ('least depth', ['--extra-depth', '0']),
        ('one level more', ['--extra-depth', '1', '--effort', '3']), ('ternary', ['--ternary'])]


def line(name, who, g, seconds, count):
    adders, cost, luts, depth = measure(g)
    row = {'matrix': name, 'by': who, 'adders': adders, 'cost': cost, 'luts': luts, 'depth': depth, 's': round(seconds, 4)}
    if count:
        row.update(yosys(graph_verilog(g)))
    with open(OUT, 'a') as f:
        f.write(json.dumps(row) + '\n')
    print('| ' + ' | '.join(str(x) for x in row.values()) + ' |', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--yosys', action='store_true')
    p.add_argument('--net', action='store_true', help='the network only')
    p.add_argument('--quick', action='store_true', help='no 64x64 of 8 bits')
    p.add_argument('--only', nargs='+', help='matrices whose name begins so')
    p.add_argument('--ways', nargs='+', default=[w for w, _ in WAYS], help='plain, fewest adders, least depth, one level more, ternary')
    p.add_argument('--peers', nargs='*', default=list(PEERS))
    a = p.parse_args()
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    head = ['matrix', 'by', 'adders', 'cost', 'luts', 'depth', 's'] + (['wrong'] * a.net + ['LUT', 'LUT6_2', 'INV', 'CARRY4', 'ltp'] if a.yosys else [])
    print('| ' + ' | '.join(head) + ' |\n|' + '---|' * len(head))
    chosen = [w for w in WAYS if w[0] in a.ways]
    if a.net:
        return bench_network(a.peers, chosen, a.yosys)
    for name, w, ranges in matrices(a.quick):
        if a.only and not any(name.startswith(x) for x in a.only):
            continue
        for who in a.peers:
            r = peer(who, w, ranges)
            if r:
                line(name, who, *r, a.yosys)
        for way, words in chosen:
            line(name, f'bitlathe, {way}', *ours(w, ranges, None, *words), a.yosys)


if __name__ == '__main__':
    main()
