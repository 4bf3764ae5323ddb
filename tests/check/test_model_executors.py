"""What bitlathe computes, other runners compute from its files: every format as activation and as weight, and a trained
network.  Files pass onnx.checker and run in qonnx, and, without QONNX's nodes, in onnxruntime; outputs are equal, not close.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BITLATHE = os.environ["BITLATHE"]
COPY = pathlib.Path(os.environ["BITLATHE_BINARY"]) / "tests" / "tool_model_copy"
ROUNDING = ["TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV", "STOCHASTIC"]
OVERFLOW = ["WRAP", "SAT", "SAT_ZERO", "SAT_SYM", "WRAP_SM"]
QONNX = "qonnx.custom_op.general"


def text(shape):
    return "[" + ", ".join("N" if d is None else str(d) for d in shape) + "]"


def numbers(a):
    return " ".join(repr(float(v)) for v in np.asarray(a, dtype=np.float32).ravel())


def activation_graph(attrs, tensors=(), shape=(None, 8)):
    lines = ['graph "g"', f'input "x" F32 {text(shape)}']
    inputs = ['"x"']
    for name, value in tensors:
        if value is None:
            inputs.append("-")
            continue
        value = np.asarray(value, dtype=np.float32)
        lines.append(f'parameter "{name}" F32 {text(value.shape)} "scale" = {numbers(value)}')
        inputs.append(f'"{name}"')
    words = ", ".join(f'"{k}" {"int" if isinstance(v, int) else "string"} {v if isinstance(v, int) else chr(34) + v + chr(34)}'
                      for k, v in attrs.items())
    lines.append(f'node "q" "Quantize" "bitlathe" ({" ".join(inputs)}) -> ("y" F32 ?) {{{words}}}')
    return "\n".join(lines + ['output "y"', ""])


def weight_graph(attrs, w):
    words = ", ".join(f'"{k}" string "{v}"' for k, v in attrs.items())
    return "\n".join(['graph "g"', f'input "x" F32 [N, {w.shape[0]}]',
                      f'parameter "w" F32 {text(w.shape)} "weight" = {numbers(w)}',
                      f'node "q" "Quantize" "bitlathe" ("w") -> ("wq" F32 ?) {{{words}}}',
                      'node "fc" "MatMul" "" ("x" "wq") -> ("y" F32 ?) {}', 'output "y"', ""])


def probe(step, count=8):
    """Stairs' edges and middles and the floats beside them, and values of every size."""
    step = np.float32(step)
    k = np.arange(-80, 81, dtype=np.float32)
    v = np.concatenate([k * step, (k + np.float32(0.5)) * step])
    v = np.concatenate([v, np.nextafter(v, np.float32(np.inf)), np.nextafter(v, np.float32(-np.inf)),
                        np.random.default_rng(1).normal(size=400).astype(np.float32) * 40 * step,
                        np.float32([0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30])])
    v = np.concatenate([v, np.zeros(-len(v) % count, dtype=np.float32)]).astype(np.float32)
    return v.reshape(-1, count)


def ends(bits, step, count=8):
    """Around the ends of a signed format of so many bits and around its first turns beyond them."""
    turns = np.arange(-7, 8)[:, None] * 2.0 ** (bits - 1)
    v = ((turns + np.arange(-6, 7) / 2) * step).astype(np.float32).ravel()
    return np.resize(np.concatenate([v, [np.inf, -np.inf]]), (len(v) // count + 1, count)).astype(np.float32)


def set_batch(model, n):
    """The file's batch of 1 becomes n."""
    g = model.graph
    for v in list(g.input) + list(g.output) + list(g.value_info):
        if v.type.tensor_type.shape.dim:
            v.type.tensor_type.shape.dim[0].dim_value = n
    constants = {i.name for i in g.initializer}
    for node in g.node:  # what only depends on parameters has no batch
        if all(i in constants or i == "" for i in node.input):
            constants.update(node.output)
    original = {v.name: v for v in g.value_info}
    return constants, original


def run_elsewhere(path, x):
    """Outputs of qonnx, and of onnxruntime when the file has only standard operators."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=False)
    keep = {v.name: v.type.tensor_type.shape.dim[0].dim_value for v in model.graph.value_info
            if v.type.tensor_type.shape.dim}
    constants, infos = set_batch(model, len(x))
    for name, v in infos.items():
        if name in constants and v.type.tensor_type.shape.dim:
            v.type.tensor_type.shape.dim[0].dim_value = keep[name]
    name, out = model.graph.input[0].name, model.graph.output[0].name
    results = {"qonnx": execute_onnx(ModelWrapper(model), {name: x})[out]}
    if all(n.domain == "" for n in model.graph.node):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        results["onnxruntime"] = session.run([out], {name: x})[0]
    return results, [n.op_type for n in model.graph.node]


def run_here(path, x, folder):
    np.save(folder / "x.npy", x)
    subprocess.run([BITLATHE, "run", path, "--input", folder / "x.npy", "--output", folder / "y.npy", "--quiet"],
                   check=True, stdout=subprocess.DEVNULL)
    return np.load(folder / "y.npy")


def compare(what, graph, x, folder, expect=None):
    source, target = folder / "g.txt", folder / "g.onnx"
    source.write_text(graph)
    done = subprocess.run([COPY, source, target], capture_output=True, text=True)
    assert done.returncode == 0, f"{what}: {done.stdout}"
    here = run_here(source, x, folder)
    again = run_here(target, x, folder)
    assert np.array_equal(here, again), f"{what}: reading the file back computes something else"
    results, operators = run_elsewhere(target, x)
    for runner, there in results.items():
        there = np.asarray(there).reshape(here.shape)
        bad = np.argwhere(~(here == there))
        assert len(bad) == 0, (f"{what}: {runner} differs in {len(bad)} of {here.size}, first at {bad[0]}: "
                               f"x {x[tuple(bad[0])] if x.shape == here.shape else ''!r}, here {here[tuple(bad[0])]!r}, "
                               f"there {there[tuple(bad[0])]!r}; operators {operators}")
    if expect:
        assert expect in operators, f"{what}: expected {expect} among {operators}"
    return operators


def formats(folder):
    count = 0
    for q in ROUNDING:
        for o in OVERFLOW:
            many = 23 if o == "WRAP_SM" else 24
            for f, step in ((f"fixed<5,2,{q},{o}>", 2**-3), (f"ufixed<4,3,{q},{o}>", 2**-1),
                            (f"fixed<{many},{many - 20},{q},{o}>", 2**-20)):
                if f[0] == "u" and o == "WRAP_SM":
                    continue  # it needs a sign
                compare(f, activation_graph({"format": f}), np.concatenate([probe(step), ends(many, step)]), folder)
                count += 1
    w = probe(0.125)[:40].T.copy()
    w[~(np.abs(w) < 100)] = 1
    x = np.random.default_rng(2).integers(-8, 8, size=(16, w.shape[0])).astype(np.float32)
    for f, word in (("fixed<5,2,RND,SAT>", "Quant"), ("fixed<5,2,TRN,WRAP>", "Quant"), ("int<4>", "Quant"),
                    ("ternary", "Quant"), ("binary", "BipolarQuant"), ("float<e4m3>", "FloatQuant"), ("po2<4>", None),
                    ("float<e5m2>", "FloatQuant"), ("float<e2m1>", "FloatQuant"), ("mx<e4m3,2>", None)):
        compare(f"weight {f}", weight_graph({"format": f}, w), x, folder, word)
        count += 1
    for attrs, word in (({"quantizer": "quantized_bits", "alpha": "auto_po2"}, None), ({"quantizer": "dorefa"}, None),
                        ({"quantizer": "binary", "alpha": "auto"}, "BipolarQuant"), ({"quantizer": "xnor"}, "BipolarQuant"),
                        ({"quantizer": "ternary"}, None), ({"quantizer": "quantized_bits"}, "Quant"),
                        ({"quantizer": "quantized_po2"}, None)):
        # one weight an output: sums of real scales are not exact
        compare(f"weight {attrs}", weight_graph(attrs, w), np.eye(w.shape[0], dtype=np.float32), folder, word)
        count += 1
    for f, word, step in (("binary", "BipolarQuant", 1), ("ternary", "Quant", 1), ("int<4>", "Quant", 1),
                          ("uint<3>", "Quant", 1), ("int<1>", None, 1), ("float<e4m3>", "FloatQuant", 2**-9),
                          ("float<e5m2>", "FloatQuant", 2**-16), ("float<e2m1>", "FloatQuant", 0.5)):
        compare(f"activation {f}", activation_graph({"format": f}), probe(step), folder, word)
        count += 1
    return count


def scales(folder):
    s = np.float32([0.1, 0.37, 1.0, 3e-3, 0.25, 7.7, 0.05, 0.013])
    each = np.float32([1 / 3]) * s / s
    for what, attrs, tensors, step in (
            ("lsq", {"quantizer": "lsq", "format": "int<4>"}, [("s", s[:1])], 0.1),
            ("lsq per channel", {"quantizer": "lsq", "format": "int<4>", "granularity": "channel"}, [("s", s)], 0.1),
            ("lsq unsigned", {"quantizer": "lsq", "format": "uint<3>"}, [("s", each[:1])], 1 / 3),
            ("a real scale", {"format": "int<5>", "scale": "0.3"}, [], 0.3),
            ("a real scale, rounding up", {"format": "int<5,RND,SAT>", "scale": "0.3"}, [], 0.3),
            ("zero point", {"format": "affine<8>", "scale": "0.05", "zero_point": 100}, [], 0.05),
            ("pact", {"quantizer": "pact", "format": "uint<4>"}, [("a", np.float32([2.7]))], 0.18),
            ("dorefa", {"quantizer": "dorefa", "bits": 3}, [], 1 / 7),
            ("quantized_relu", {"quantizer": "quantized_relu", "bits": 4, "integer": 1}, [], 0.125),
            ("quantized_bits", {"quantizer": "quantized_bits", "bits": 4, "integer": 1}, [], 0.25),
            ("quantized_bits symmetric", {"quantizer": "quantized_bits", "bits": 5, "symmetric": 1}, [], 2**-4),
            ("quantized_bits alpha", {"quantizer": "quantized_bits", "bits": 4, "alpha": "0.7"}, [], 0.7 / 8),
            ("quantized_tanh", {"quantizer": "quantized_tanh", "bits": 4}, [], 0.125),
            ("quantized_tanh smooth", {"quantizer": "quantized_tanh", "bits": 4, "sigmoid": "smooth"}, [], 1 / 3),
            ("quantized_sigmoid", {"quantizer": "quantized_sigmoid", "bits": 3}, [], 0.25),
            ("binary", {"quantizer": "binary"}, [], 1),
            ("widths", {"format": "fixed<4,2,RND_CONV,SAT>"},
             [("none", None), ("bits", np.float32([3, 4, 5, 2, 6, 4, 4, 3]))], 0.25)):
        compare(what, activation_graph(attrs, tensors), probe(step), folder)
    return 17


def foreign(folder):
    """Nodes as other tools write them: our operators give the reference executor's values."""
    random = np.random.default_rng(7)
    x = np.concatenate([random.normal(size=2000) * 3, np.arange(-80, 80) / 16, np.arange(-80, 80) * 0.3 / 2,
                        [0.0, -0.0, 1e30, -1e30, 1e-30]]).astype(np.float32)
    x = np.concatenate([x, np.zeros(-len(x) % 4, np.float32)]).reshape(-1, 4)
    f = np.float32
    cases = [("Quant", [s, z, b], dict(signed=g, narrow=n, rounding_mode=m))
             for s in (f(0.25), f(0.3), f([[0.1, 0.2, 0.5, 3.0]])) for z in (f(0), f(3)) for b in (f(4), f(1), f(8))
             for g in (0, 1) for n in (0, 1)
             for m in ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "floor")]
    cases += [("BipolarQuant", [s], {}) for s in (f(1), f(0.3), f([[0.1, 0.2, 0.5, 3.0]]))]
    cases += [("FloatQuant", [s, f(e), f(m), f(2 ** (e - 1) - 1), f(top)],
               dict(has_inf=inf, has_nan=nan, has_subnormal=1, saturation=sat, rounding_mode="ROUND"))
              for s in (f(1), f(0.3)) for e, m, top in ((4, 3, 448), (5, 2, 57344), (2, 1, 6), (3, 2, 10))
              for inf, nan, sat in ((0, 0, 1), (0, 1, 0), (1, 1, 0))]
    cases += [("Trunc", [s, f(0), f(8), f(4)], dict(rounding_mode=m)) for s in (f(0.25), f(0.3))
              for m in ("FLOOR", "ROUND", "CEIL")]
    cases += [("Trunc", [s, f(0), f(8), f(4) * s, f(4)], dict(rounding_mode=m, signed=g, narrow=0))
              for s in (f(0.25), f(0.3)) for g in (0, 1) for m in ("FLOOR", "ROUND", "CEIL")]
    for op, params, attrs in cases:
        names = [f"p{i}" for i in range(len(params))]
        node = onnx.helper.make_node(op, ["x", *names], ["y"], domain=QONNX, **attrs)
        values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, x.shape) for n in "xy"]
        graph = onnx.helper.make_graph([node], "g", values[:1], values[1:],
                                       [onnx.numpy_helper.from_array(np.asarray(p), n) for p, n in zip(params, names)])
        version = 2 if op == "Trunc" and len(params) == 5 else 1
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13),
                                                             onnx.helper.make_opsetid(QONNX, version)], ir_version=8)
        onnx.save(model, folder / "f.onnx")
        with np.errstate(all="ignore"):
            there = execute_onnx(ModelWrapper(model), {"x": x})["y"]
        here = run_here(folder / "f.onnx", x, folder)
        bad = np.argwhere(~((here == there) | (np.isnan(here) & np.isnan(there))))
        assert len(bad) == 0, (f"{op} {params} {attrs}: differs in {len(bad)}, first x {x[tuple(bad[0])]!r}: "
                               f"here {here[tuple(bad[0])]!r}, there {there[tuple(bad[0])]!r}")
    return len(cases)


def every_size(shape, seed=0):
    """Rows whose greatest magnitudes have every exponent, others far below; zeros, infinities, the least and greatest."""
    random = np.random.default_rng(seed)
    x = (random.normal(size=shape) * 2.0 ** random.integers(-12, 1, size=shape)
         * 2.0 ** random.uniform(-149, 128, size=shape[:1] + (1,) * (len(shape) - 1)))
    x = np.clip(x, -3.4e38, 3.4e38).astype(np.float32)
    for i in range(127):
        x[10 + i] = np.float32(2.0) ** np.float32(i - 60) * random.integers(-300, 300, size=shape[1:]) / 256
    flat = x.reshape(len(x), -1)
    for i, v in enumerate([0.0, -0.0, np.inf, -np.inf, 3.4028234e38, 1e-45, 2.0 ** -127, -(2.0 ** 127)]):
        flat[i] = v
        flat[i, 1::3] = [0.0, v][i % 2]
    return x


def block_graph(attrs, shape):
    """Between the quantizer and a convolution that does nothing, so that the layout turns."""
    one = np.eye(shape[-1], dtype=np.float32).reshape(shape[-1], shape[-1], 1, 1)
    return activation_graph(attrs, shape=shape).replace('"y" F32', '"q" F32').replace(
        'output "y"', f'parameter "w" F32 {text(one.shape)} "weight" = {numbers(one)}\n'
        'node "c" "Conv" "qonnx.custom_op.channels_last" ("q" "w") -> ("y" F32 ?) {}\noutput "y"')


def blocks(folder):
    count = 0
    for f in ("e4m3,8", "e4m3,32", "e5m2,8", "e3m2,7", "e2m3,20", "e2m1,8", "int8,8", "int4,1", "int20,8", "int8,8,RND",
              "e4m3,8,STOCHASTIC"):
        compare(f"blocks {f}", activation_graph({"format": f"mx<{f}>"}, shape=(None, 20)), every_size((400, 20)), folder,
                "ReduceMax")
        count += 1
    # a convolution's sums take no infinities, and its products round where there is more than one
    x = every_size((200, 3, 4, 10), 1)
    x[~(np.abs(x) < 1e38)] = 1
    for attrs in ({"format": "mx<e4m3,4>"}, {"format": "mx<int8,3>", "axis": 1}, {"format": "mx<e2m1,32>", "axis": 2}):
        compare(f"blocks {attrs}", block_graph(attrs, (None, 3, 4, 10)), x, folder, "ReduceMax")
        here = run_here(folder / "g.onnx", x, folder)
        bare = onnx.load(folder / "g.onnx")
        assert any(p.key == "bitlathe.quantize.q" for p in bare.metadata_props), "the quantizer's description is missing"
        del bare.metadata_props[:]
        onnx.save(bare, folder / "bare.onnx")
        assert np.array_equal(here, run_here(folder / "bare.onnx", x, folder)), f"blocks {attrs}: visible nodes differ"
        count += 1
    return count


def staircases(folder):
    """What has no operator of its own: a table of the steps."""
    x = np.concatenate([every_size((400, 8)), probe(0.25), probe(0.33), probe(2.0 ** -6)])
    cases = ({"format": "po2<4>"}, {"format": "po2<6>"}, {"format": "upo2<3>"}, {"quantizer": "ternary"},
             {"quantizer": "bernoulli"}, {"quantizer": "quantized_po2", "bits": 4}, {"quantizer": "quantized_po2"},
             {"quantizer": "quantized_relu_po2", "bits": 4}, {"quantizer": "quantized_sigmoid", "bits": 5, "sigmoid": "real"},
             {"quantizer": "quantized_tanh", "bits": 5, "use_real_tanh": 1}, {"quantizer": "binary", "use_01": 1},
             {"format": "float<e4m3,STOCHASTIC>"}, {"format": "float<e2m1,TRN>"})
    for attrs in cases:
        compare(f"staircase {attrs}", activation_graph(attrs), x, folder, "ReduceMax")
    return len(cases)


RECIPE = """name: tiny
data: {{source: {folder}/data.npz, normalize: {{scale: 0.00390625}}}}
network:
  - Input: {{shape: [8, 8, 1]}}
  - Conv2D: {{filters: 6, kernel_size: 3, activation: relu, name: conv1}}
  - MaxPooling2D
  - Conv2D: {{filters: 5, kernel_size: 2, activation: relu, name: conv2}}
  - Flatten
  - Dense: {{units: 7, activation: relu, name: fc1}}
  - Dense: {{units: 10, name: logits}}
precision:
  default: {{input: "ufixed<8,0,RND,SAT>", weight: "fixed<4,1,RND,SAT_SYM>", bias: "fixed<8,2,RND,SAT>", activation: "ufixed<4,2,RND,SAT>"}}
train: {{epochs: 2, batch: 32, slices: 4, optimizer: {{name: adam, lr: 0.01}}, loss: cross_entropy, seed: 1}}
output: {{model: {folder}/tiny.onnx}}
"""


def trained(folder):
    random = np.random.default_rng(5)
    x = random.integers(0, 256, size=(256, 8, 8, 1)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=random.integers(0, 10, size=256).astype(np.int32))
    (folder / "tiny.yaml").write_text(RECIPE.format(folder=folder))
    done = subprocess.run([BITLATHE, "train", folder / "tiny.yaml", "--quiet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    path = folder / "tiny.onnx"
    here = run_here(path, x, folder)
    results, operators = run_elsewhere(path, x)
    for runner, there in results.items():
        assert np.array_equal(here, np.asarray(there).reshape(here.shape)), f"trained network: {runner} differs"
    copy = folder / "again.onnx"
    subprocess.run([COPY, path, copy], check=True)
    assert path.read_bytes() == copy.read_bytes(), "trained network: written again it has other bytes"
    print("a trained network in", sorted(set(operators)))


def wide_graph(weight, activation, w, v):
    """A dense layer, a quantizer and a second layer."""
    def wide(name, a):
        return f'parameter "{name}" F64 {text(a.shape)} "weight" = ' + " ".join(repr(float(x)) for x in a.ravel())
    return "\n".join([
        'graph "g"', f'input "x" F64 [N, {w.shape[0]}]', wide("w", w), wide("v", v),
        f'node "wq" "Quantize" "bitlathe" ("w") -> ("wq" F64 ?) {{"format" string "{weight}"}}',
        'node "fc1" "MatMul" "" ("x" "wq") -> ("fc1" F64 ?) {}',
        f'node "aq" "Quantize" "bitlathe" ("fc1") -> ("aq" F64 ?) {{"format" string "{activation}"}}',
        'node "fc2" "MatMul" "" ("aq" "v") -> ("y" F64 ?) {}', 'output "y"', ""])


def wide_formats(folder):
    """Above 24 bits: files in double precision.  Sums stay below 2^53 steps, so that any order gives the same."""
    rng = np.random.default_rng(5)
    count = 0
    w = rng.integers(-2**29, 2**29, size=(4, 6)) / 2.0**26
    v = rng.integers(-2**10, 2**10, size=(6, 3)) / 2.0**4
    x = rng.integers(-2**16, 2**16, size=(32, 4)) / 2.0**16  # products of 46 bits
    codes = np.concatenate([rng.integers(-2**28, 2**28, size=200), np.arange(-8, 8), [2**27 - 1, 2**27, -2**27, 2**31]])
    middles = np.concatenate([codes / 2.0**24, (codes + 0.5) / 2.0**24])
    stairs = np.concatenate([middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf), [0.0, 1e300, -1e300]])
    stairs = np.resize(stairs, (len(stairs) // 4 + 1, 4))
    one = np.eye(4)
    for q in ROUNDING:
        for weight, activation, first, second, inputs in (
                ("fixed<30,4>", f"fixed<28,4,{q},SAT>", w, v, x), ("fixed<30,4>", f"ufixed<32,6,{q},SAT>", w, v, x),
                ("fixed<25,4>", f"fixed<40,6,{q},SAT_SYM>", w, v, x), ("int<2>", f"fixed<28,4,{q},SAT>", one, one, stairs)):
            source, target = folder / "w.txt", folder / "w.onnx"
            source.write_text(wide_graph(weight, activation, first, second))
            done = subprocess.run([COPY, source, target], capture_output=True, text=True)
            assert done.returncode == 0, f"{weight} {activation}: {done.stdout}"
            here, again = run_here(source, inputs, folder), run_here(target, inputs, folder)
            assert here.dtype == again.dtype == np.float64 and np.array_equal(here, again), activation
            assert not np.array_equal(here, here.astype(np.float32)), "float32 would have done"
            results, operators = run_elsewhere(target, inputs)
            assert set(results) == {"qonnx", "onnxruntime"}, operators
            for runner, there in results.items():
                assert there.dtype == np.float64 and np.array_equal(here, there), f"{weight} {activation}: {runner}"
            count += 1
    return count


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        trained(folder)
        print(foreign(folder), "nodes of other tools equal to qonnx's executor")
        print(wide_formats(folder), "models equal in double precision")
        print(formats(folder) + scales(folder) + blocks(folder) + staircases(folder), "quantizers equal in qonnx and onnxruntime")


main()
