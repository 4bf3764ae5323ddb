"""Operators read from ONNX files (channels first, opset 13) give onnxruntime's values, over random attributes.

One model an attribute draw; `bitlathe run` on one side, onnxruntime on the other.  Tolerance: float32 sums of at most
a few hundred terms of magnitude 1, added in another order.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    print(f"SKIPPED: {missing}")
    sys.exit(77)

ROWS = 3
BITLATHE = os.environ["BITLATHE"]


def constant(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype=dtype), name)


def model(node, shape, constants):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "case", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def pool(rng, kind):
    dims = int(rng.integers(1, 3))
    kernel = [int(k) for k in rng.integers(1, 4, dims)]
    attrs = {"kernel_shape": kernel, "strides": [int(s) for s in rng.integers(1, 4, dims)]}
    if rng.random() < 0.4:
        attrs["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        attrs["pads"] = [int(rng.integers(0, k)) for k in kernel] + [int(rng.integers(0, k)) for k in kernel]
        attrs["ceil_mode"] = int(rng.integers(0, 2))
        if kind == "MaxPool" and rng.random() < 0.5:
            attrs["dilations"] = [int(d) for d in rng.integers(1, 3, dims)]
    if kind == "AveragePool":
        attrs["count_include_pad"] = int(rng.integers(0, 2))
    shape = [int(rng.integers(1, 5)), *[int(n) for n in rng.integers(5, 10, dims)]]
    return helper.make_node(kind, ["x"], ["y"], **attrs), shape, []


def pad(rng, _):
    mode = str(rng.choice(["constant", "reflect", "edge"]))
    shape = [int(n) for n in rng.integers(3, 6, 3)]
    least = -1 if mode == "constant" else 0
    pads = [0, *[int(p) for p in rng.integers(least, 3, 3)], 0, *[int(p) for p in rng.integers(least, 3, 3)]]
    return (helper.make_node("Pad", ["x", "pads", "value"], ["y"], mode=mode), shape,
            [constant("pads", pads), constant("value", 0.25, np.float32)])


def slices(rng, _):
    shape = [int(n) for n in rng.integers(4, 8, 2)]
    steps = [int(s) for s in rng.choice([-3, -2, -1, 1, 2, 3], 2)]
    starts = [int(s) for s in rng.integers(-9, 9, 2)]
    ends = [int(s) for s in rng.integers(-9, 9, 2)]
    return (helper.make_node("Slice", ["x", "starts", "ends", "axes", "steps"], ["y"]), shape,
            [constant("starts", starts), constant("ends", ends), constant("axes", [1, -1]), constant("steps", steps)])


def reduction(rng, kind):
    shape = [int(n) for n in rng.integers(2, 5, 3)]
    axes = [int(a) for a in rng.choice([1, 2, 3], int(rng.integers(1, 4)), replace=False)]
    keep = int(rng.integers(0, 2))
    if kind == "ReduceSum":
        return helper.make_node(kind, ["x", "axes"], ["y"], keepdims=keep), shape, [constant("axes", axes)]
    return helper.make_node(kind, ["x"], ["y"], axes=axes, keepdims=keep), shape, []


def activation(rng, kind):
    attrs = {"LeakyRelu": {"alpha": 0.3}, "Elu": {"alpha": 0.6}, "HardSigmoid": {"alpha": 0.25, "beta": 0.4}}
    return helper.make_node(kind, ["x"], ["y"], **attrs.get(kind, {})), [int(n) for n in rng.integers(1, 9, 2)], []


def arithmetic(rng, kind):
    shape = [int(n) for n in rng.integers(2, 5, 3)]
    other = [n if rng.random() < 0.5 else 1 for n in shape][int(rng.integers(0, 3)):]
    values = rng.uniform(0.5, 1.5, other)
    names = ["x", "c"] if rng.random() < 0.5 else ["c", "x"]
    return helper.make_node(kind, names, ["y"]), shape, [constant("c", values, np.float32)]


def batchnorm(rng, kind):
    shape = [int(n) for n in rng.integers(2, 5, int(rng.integers(1, 4)))]
    vectors = [constant(n, rng.uniform(0.5, 1.5, shape[0]), np.float32) for n in ("g", "b", "m", "v")]
    return helper.make_node(kind, ["x", "g", "b", "m", "v"], ["y"], epsilon=0.01), shape, vectors


def transpose(rng, kind):
    perm = [0, *[int(p) + 1 for p in rng.permutation(3)]]
    return helper.make_node(kind, ["x"], ["y"], perm=perm), [int(n) for n in rng.integers(2, 5, 3)], []


MAKERS = [
    (40, pool, "MaxPool"), (40, pool, "AveragePool"), (20, pad, "Pad"), (20, slices, "Slice"),
    (8, reduction, "ReduceSum"), (8, reduction, "ReduceMean"), (8, reduction, "ReduceMax"), (8, batchnorm, "BatchNormalization"),
    (6, transpose, "Transpose"), *[(5, arithmetic, k) for k in ("Add", "Sub", "Mul", "Div", "PRelu")],
    *[(2, activation, k) for k in ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Elu", "Softplus", "Softmax")],
]


def expected(m, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(m.SerializeToString(), options).run(None, {"x": x})[0]
    except Exception:  # an attribute draw that onnxruntime does not accept is no case
        return None


def check(folder, text, m, x, want):
    onnx.save(m, folder / "m.onnx")
    np.save(folder / "x.npy", x)
    (folder / "y.npy").unlink(missing_ok=True)
    done = subprocess.run([BITLATHE, "run", folder / "m.onnx", "--input", folder / "x.npy", "--output",
                           folder / "y.npy", "--float"], capture_output=True, text=True)
    if done.returncode != 0:
        return f"{text}: {done.stderr.strip()}"
    got = np.load(folder / "y.npy")
    if got.shape != want.shape:
        return f"{text}: shape {got.shape}, expected {want.shape}"
    if want.size and not np.allclose(got, want, rtol=1e-5, atol=1e-5):
        return f"{text}: differs by {np.abs(got - want).max():g}"
    return None


def main():
    rng = np.random.default_rng(5)
    failures, cases = [], 0
    with tempfile.TemporaryDirectory() as name:
        for count, make, kind in MAKERS:
            for _ in range(count):
                node, shape, constants = make(rng, kind)
                if kind == "PRelu":
                    node.input[:] = ["x", "c"]
                m = model(node, shape, constants)
                x = rng.uniform(-2, 2, [ROWS, *shape]).astype(np.float32)
                want = expected(m, x)
                if want is None:
                    continue
                cases += 1
                lists = {c.name: numpy_helper.to_array(c).tolist() for c in constants if c.data_type == TensorProto.INT64}
                attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
                problem = check(Path(name), f"{kind} {shape} {attrs} {lists}", m, x, want)
                failures += [problem] if problem else []
    print(f"{cases} cases, {len(failures)} failures", *failures[:20], sep="\n")
    return 1 if failures or cases < 150 else 0


if __name__ == "__main__":
    sys.exit(main())
