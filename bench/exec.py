#!/usr/bin/env python3
"""The executor beside its peers, one thread, in one run: samples a second, from float32 inputs to float32 outputs.

    PEERS_VENVS=DIR python3 bench/exec.py [--net mlp cnn jet binary] [--rounds 7] [--seconds 0.4] [--bench build/release/bench/bench_exec]
    python3 bench/exec.py --ours [--isa NAME]      ours alone, with a column for two threads

Contenders take turns, a stretch each, and the best stretch of each counts: what else runs on the machine hits all of
them.  Ours is bench_exec on a program of the network's shape; onnxruntime gets the float network and both of its
statically quantized forms, PyTorch the float one (eager, inference mode), hls4ml a project with its default precision,
compiled as its build_lib.sh does.  Weights are random: no contender's time depends on them.  Each peer runs in the first
environment that has it, of this Python, build/venv and the folders of DIR, in a process of its own; what none has is
left out with a message.  hls4ml's compiled projects stay in build/results/exec.
"""
import argparse
import glob
import json
import os
import platform
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECTS = os.path.join(TOP, 'build', 'results', 'exec')
CONV = [('conv', 16), ('relu',), ('pool',), ('conv', 16), ('relu',), ('pool',), ('conv', 24), ('relu',), ('flatten',)]


def dense(*units):
    return [layer for k, m in enumerate(units) for layer in ([('relu',)] if k else []) + [('dense', m)]]


# name: bench_exec's name, shape, layers, batches, peers, what ours must reach: {batch: (times what, of whom)}
NETS = {
    'mlp': ('mlp6', (784,), dense(64, 32, 32, 10), (1, 256), ('onnxruntime', 'hls4ml'), {1: 5, 256: 2}),
    'cnn': ('cnn6', (28, 28, 1), CONV + dense(42, 64, 10), (1, 256), ('onnxruntime', 'hls4ml'), {1: 5, 256: 4}),
    'jet': ('jet6', (16,), dense(64, 32, 32, 5), (256, 4096), ('torch',), {256: 4, 4096: 4}),
    'binary': ('binary_mlp', (784,), dense(512, 512, 10), (256, 4096), ('torch',), {256: 10, 4096: 10}),
}
KINDS = {'onnxruntime': ('float', 'QDQ', 'QOperator'), 'torch': ('float',), 'hls4ml': ('emulation',)}
MODULES = {'onnxruntime': ('onnxruntime', 'onnx', 'numpy'), 'torch': ('torch',), 'hls4ml': ('hls4ml', 'yaml', 'h5py', 'qonnx', 'onnx')}
HLS4ML_TIMES = 200
OURS = ('mlp6', 'mlp6_scales', 'cnn6', 'cnn6_scales', 'jet6', 'binary_mlp')


# ---------------------------------------------------------------- a peer's process
def best_of(call, batch, seconds):
    best, repeat, end = 0, 1, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeat):
            call()
        took = time.perf_counter() - start
        best = max(best, batch * repeat / took)
        repeat *= 2 if took < 0.002 else 1
    return best


def network(shape, layers, fixed_batch=False):
    """The float network as ONNX: channels first, as its runtimes like it."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper
    random = np.random.default_rng(1)
    nodes, constants, at, c, side = [], [], 'x', shape[-1], shape[0]

    def constant(name, *size):
        scale = 1 if len(size) == 1 else float(np.prod(size[1:] if len(size) == 4 else size[:1])) ** -0.5
        constants.append(numpy_helper.from_array((random.normal(size=size) * scale).astype(np.float32), name))
        return name

    for k, (kind, *n) in enumerate(layers):
        out = f'{kind}{k}'
        if kind == 'dense':
            nodes += [helper.make_node('MatMul', [at, constant(f'w{k}', c, n[0])], [f'm{k}'], f'mat{k}'),
                      helper.make_node('Add', [f'm{k}', constant(f'b{k}', n[0])], [out], out)]
            c = n[0]
        elif kind == 'conv':
            nodes.append(helper.make_node('Conv', [at, constant(f'w{k}', n[0], c, 3, 3), constant(f'b{k}', n[0])], [out], out,
                                          kernel_shape=[3, 3], strides=[1, 1], dilations=[1, 1], pads=[0] * 4, group=1))
            c, side = n[0], side - 2
        elif kind == 'relu':
            nodes.append(helper.make_node('Relu', [at], [out], out))
        elif kind == 'pool':
            nodes.append(helper.make_node('MaxPool', [at], [out], out, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4))
            side //= 2
        else:
            nodes.append(helper.make_node('Flatten', [at], [out], out))
            c *= side * side
        at = out
    size = (1 if fixed_batch else 'n',) + (shape[-1:] + shape[:-1])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in (('x', size), (at, (size[0], c)))]
    return helper.make_model(helper.make_graph(nodes, 'net', ports[:1], ports[1:], constants),
                             opset_imports=[helper.make_opsetid('', 17)], ir_version=9)


class Onnxruntime:
    def __init__(self):
        import onnxruntime
        onnxruntime.set_default_logger_severity(3)
        self.sessions = {}

    def make(self, net, folder):
        import numpy as np
        import onnx
        import onnxruntime as ort
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
        shape = NETS[net][1]
        rows = np.random.default_rng(2).random((1000,) + shape[-1:] + shape[:-1], dtype=np.float32)

        class Rows(CalibrationDataReader):
            def __init__(self):
                self.batches = iter([{'x': rows[i:i + 100]} for i in range(0, 1000, 100)])

            def get_next(self):
                return next(self.batches, None)

        paths = {kind: os.path.join(folder, kind + '.onnx') for kind in ('float', 'pre', 'QDQ', 'QOperator')}
        onnx.save(network(shape, NETS[net][2]), paths['float'])
        quant_pre_process(paths['float'], paths['pre'])
        for kind in ('QDQ', 'QOperator'):
            quantize_static(paths['pre'], paths[kind], Rows(), quant_format=getattr(QuantFormat, kind), per_channel=True,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        for kind in KINDS['onnxruntime']:
            self.sessions[net, kind] = ort.InferenceSession(paths[kind], options, providers=['CPUExecutionProvider'])

    def caller(self, net, kind, batch):
        import tempfile

        import numpy as np
        if (net, kind) not in self.sessions:
            with tempfile.TemporaryDirectory() as folder:
                self.make(net, folder)
        session, shape = self.sessions[net, kind], NETS[net][1]
        x = {'x': np.random.default_rng(3).random((batch,) + shape[-1:] + shape[:-1], dtype=np.float32)}
        return lambda: session.run(None, x)


class Torch:
    def __init__(self):
        import torch
        torch.set_num_threads(1)

    def caller(self, net, kind, batch):
        import torch
        layers, c = [], NETS[net][1][-1]
        for kind, *n in NETS[net][2]:
            layers.append(torch.nn.Linear(c, n[0]) if kind == 'dense' else torch.nn.ReLU())
            c = n[0] if n else c
        model, x = torch.nn.Sequential(*layers).eval(), torch.rand(batch, NETS[net][1][0])

        def call():
            with torch.inference_mode():
                model(x)
        return call


class Hls4ml:
    """Converting and compiling takes a minute or two, so what it makes is kept."""

    def make(self, net, folder):
        import hls4ml
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
        from qonnx.util.cleanup import cleanup_model
        model = cleanup_model(ModelWrapper(network(NETS[net][1], NETS[net][2], True)))
        if len(NETS[net][1]) > 1:
            model = cleanup_model(model.transform(ConvertToChannelsLastAndClean()))
        config = hls4ml.utils.config.config_from_onnx_model(model, granularity='name', backend='Vitis',
                                                            default_precision='fixed<16,6>')
        for layer in config['LayerName'].values():
            layer['Precision'] = {k: 'fixed<16,6>' if v == 'auto' else v for k, v in layer['Precision'].items()}
        hls4ml.converters.convert_from_onnx_model(model, output_dir=folder, io_type='io_parallel', backend='Vitis',
                                                  hls_config=config).compile()

    def caller(self, net, kind, batch):
        import ctypes
        folder = os.path.join(PROJECTS, net)
        found = glob.glob(folder + '/firmware/*.so')
        if not found:
            self.make(net, folder)
            found = glob.glob(folder + '/firmware/*.so')
        run = ctypes.CDLL(found[0]).myproject_float
        count = 1
        for d in NETS[net][1]:
            count *= d
        x, y = (ctypes.c_float * count)(*[k % 256 / 256 for k in range(count)]), (ctypes.c_float * 16)()
        return lambda: [run(x, y) for _ in range(batch)]


def peer(name):
    """Answers lines of [net, kind, batch, seconds] with samples a second."""
    os.environ.update({v: '1' for v in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS')})
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # converters print as they please
    it, callers = {'onnxruntime': Onnxruntime, 'torch': Torch, 'hls4ml': Hls4ml}[name](), {}
    for line in sys.stdin:
        *key, seconds = json.loads(line)
        call = callers.get(tuple(key))
        if call is None:
            call = callers[tuple(key)] = it.caller(*key)
            call()
        print(best_of(call, key[2], seconds), file=answers, flush=True)


# ---------------------------------------------------------------- all of them
def version_in(python, name):
    """The package's version there, where all that the peer needs imports."""
    words = f'import importlib.metadata as m, {", ".join(MODULES[name])}; print(m.version("{name}"))'
    done = subprocess.run([python, '-c', words], capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 else None


def find(name):
    folders = [os.path.join(TOP, 'build', 'venv')] + sorted(glob.glob(os.path.join(os.environ.get('PEERS_VENVS', '-'), '*')))
    for python in [sys.executable] + [os.path.join(f, 'bin', 'python') for f in folders]:
        version = version_in(python, name) if os.path.exists(python) else None
        if version:
            return python, version
    return None, None


def ours(a, net, batch, threads=1):
    words = [a.bench, '--batch', str(batch), '--seconds', str(a.seconds), '--threads', str(threads)]
    words += ['--isa', a.isa] if a.isa else []
    done = subprocess.run([*words, net], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)['samples_per_second']


def start(names):
    peers = {}
    for name in names:
        python, version = find(name)
        if python is None:
            print(f'{name}: no environment has {", ".join(MODULES[name])}: left out', flush=True)
            continue
        peers[name] = (version, subprocess.Popen([python, os.path.abspath(__file__), '--peer', name], text=True,
                                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
    return peers


def ask(peers, name, *words):
    process = peers[name][1]
    process.stdin.write(json.dumps(words) + '\n')
    process.stdin.flush()
    answer = process.stdout.readline()
    return float(answer) if answer else None


def measure(a, peers, net):
    """{(who, kind, batch): best}"""
    name, _, _, batches, wanted, _ = NETS[net]
    rows = [(who, kind) for who in wanted if who in peers for kind in KINDS[who]]
    best = {}
    for _ in range(a.rounds):
        for batch in batches:
            for who, kind in [('ours', '')] + rows:
                # what takes a millisecond a sample has no use for a batch
                b = 1 if who == 'hls4ml' else batch
                got = ours(a, name, b) if who == 'ours' else ask(peers, who, net, kind, b, a.seconds)
                if got is None:
                    sys.exit(f'{who} {kind} failed on {net}')
                best[who, kind, batch] = max(best.get((who, kind, batch), 0), got)
    return best


def report(net, best, peers):
    targets = NETS[net][5]
    for batch, times in targets.items():
        mine = best['ours', '', batch]
        for who in peers:
            theirs = {kind: v for (w, kind, b), v in best.items() if w == who and b == batch}
            if not theirs:
                continue
            kind = max(theirs, key=theirs.get)
            wanted = HLS4ML_TIMES if who == 'hls4ml' else times
            others = ', '.join(f'{k} {v:,.0f}' for k, v in theirs.items())
            print(f'| {net} | {batch} | {mine:,.0f} | {who} {peers[who][0]}: {others} | {mine / theirs[kind]:.1f} (wanted: {wanted}) |',
                  flush=True)


def alone(a):
    columns = ((1, 1), (16, 1), (256, 1), (256, 2))
    print(f'{processor()}\n| network | ' + ' | '.join(f'batch {b}' + (', two threads' if t > 1 else '') for b, t in columns) +
          ' | two to one |\n' + '|---' * (len(columns) + 2) + '|')
    for net in OURS:
        best = [0] * len(columns)
        for _ in range(a.rounds):
            best = [max(v, ours(a, net, b, t)) for v, (b, t) in zip(best, columns)]
        print(f'| {net} | ' + ' | '.join(f'{v:,.0f}' for v in best) + f' | {best[3] / best[2]:.2f} |', flush=True)


def processor():
    try:
        with open('/proc/cpuinfo') as f:
            names = [line.split(':', 1)[1].strip() for line in f if line.startswith(('model name', 'model\t'))]
        return ', model '.join(reversed(names[:2])) if len(names) > 1 else platform.processor()
    except OSError:
        return platform.processor()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--net', nargs='+', choices=NETS, default=list(NETS))
    p.add_argument('--rounds', type=int, default=7)
    p.add_argument('--seconds', type=float, default=0.4)
    p.add_argument('--bench', default=os.path.join(TOP, 'build', 'release', 'bench', 'bench_exec'))
    p.add_argument('--ours', action='store_true')
    p.add_argument('--isa')
    p.add_argument('--peer', choices=KINDS, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.peer:
        return peer(a.peer)
    if a.ours:
        return alone(a)
    peers = start({who for net in a.net for who in NETS[net][4]})
    print(f'{processor()}; one thread\n| network | batch | ours | peer | times its best |\n|---|---|---|---|---|')
    for net in a.net:
        report(net, measure(a, peers, net), peers)


if __name__ == '__main__':
    main()
