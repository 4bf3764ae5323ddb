#!/usr/bin/env python3
"""Golden files of tests/golden: forward values and gradients of operators, losses and optimizers, computed by PyTorch.

Usage: make_torch_goldens.py OUTPUT_FOLDER        (needs torch and numpy; the tests need neither)

PyTorch computes in float64 on inputs that are float32 exactly, so a golden value is the true one to 1e-15 or so, stored
as float32.  Each operator case is a line of text in the words of tests/support/rig.h; layouts are this project's
(channels last), translated here.  With the expected tensors goes the largest error that float32 arithmetic may make in
each ("error": the output, then the gradient of every input), derived as (terms + 8) * 2^-24 * S: an element is a sum of at most `terms` products, and S bounds the sum of
their magnitudes (the operator run on absolute values where it is linear, the largest magnitude in the tensor elsewhere).
"""
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

ROWS = 3
CASES = [
    "Add onnx x[N,5,6] p[6]",
    "Add onnx x[N,4,1,2] x[N,1,3,1]",
    "Sub onnx p[6] x[N,5,6]",
    "Mul onnx x[N,5,6] p[5,1]",
    "Div onnx x[N,5,6] q[6]",
    "PRelu onnx x[N,5,6] p[6]",
    "Relu onnx x[N,37]",
    "Clip onnx x[N,37] f{-0.4} f{0.5}",
    "LeakyRelu onnx x[N,37] alpha~0.125",
    "Sigmoid onnx x[N,37]",
    "Tanh onnx x[N,37]",
    "HardSigmoid onnx x[N,37] alpha~0.16666667",
    "HardSwish onnx x[N,37]",
    "Elu onnx x[N,37] alpha~0.7",
    "Softplus onnx x[N,37]",
    "Softmax onnx x[N,3,10] axis:-1",
    "Transpose onnx x[N,2,3,4] perm=0,3,1,2",
    "Concat onnx x[N,2,3] x[N,4,3] axis:1",
    "Slice onnx x[N,9,4] i{1} i{8} i{1} i{3}",
    "Pad onnx x[N,3,4,2] i{0,1,2,0,0,1,0,0} f{0.5}",
    "Pad onnx x[N,3,4,2] i{0,1,2,0,0,1,3,0} mode@edge",
    "Pad onnx x[N,3,4,2] i{0,2,2,0,0,1,3,0} mode@reflect",
    "ReduceMean onnx x[N,5,3,2] i{1,2} keepdims:0",
    "ReduceSum onnx x[N,5,3,2] i{1,3}",
    "BatchNormalization onnx x[N,7] p[7] p[7] s[7] s[7]",
    "BatchNormalization onnx x[N,7] p[7] p[7] s[7] s[7] training_mode:1",
    "BatchNormalization last x[N,5,4,6] p[6] p[6] s[6] s[6] epsilon~0.001",
    "BatchNormalization last x[N,5,4,6] p[6] p[6] s[6] s[6] epsilon~0.001 momentum~0.75 training_mode:1",
    "BatchNormalization last x[N,9,20] p[20] p[20] s[20] s[20] training_mode:1",
    "MaxPool last x[N,6,8,16] kernel_shape=2,2 strides=2,2",
    "MaxPool last x[N,5,7,3] kernel_shape=2,2 strides=2,2",
    "MaxPool last x[N,7,6,5] kernel_shape=3,2 strides=2,1 pads=1,0,1,0",
    "MaxPool last x[N,8,7,3] kernel_shape=3,3 strides=2,2 pads=1,1,1,1 ceil_mode:1",
    "MaxPool last x[N,9,8,2] kernel_shape=2,3 dilations=3,2",
    "MaxPool last x[N,11,3] kernel_shape=4 strides=3 pads=1,1",
    "AveragePool last x[N,6,8,5] kernel_shape=2,2 strides=2,2",
    "AveragePool last x[N,7,6,5] kernel_shape=3,2 strides=2,1 pads=1,1,1,1",
    "AveragePool last x[N,8,7,3] kernel_shape=3,3 strides=2,2 pads=1,1,1,1 ceil_mode:1 count_include_pad:1",
    "AveragePool last x[N,8,7,3] kernel_shape=3,3 strides=2,2 pads=1,1,1,1 ceil_mode:1",
    "AveragePool last x[N,11,3] kernel_shape=4 strides=3",
    "GlobalAveragePool last x[N,5,3,7]",
    "GlobalMaxPool last x[N,5,3,7]",
    "MatMul onnx x[N,19] p[19,10]",
    "MatMul onnx x[N,64] p[64,33]",
    "MatMul onnx x[N,3,19] p[19,10]",
    "Gemm onnx x[N,19] p[10,19] p[10] transB:1",
    "Gemm onnx x[N,19] p[19,10] p[10]",
    "Conv last x[N,7,6,3] p[5,3,3,3] p[5]",
    "Conv last x[N,7,6,3] p[16,3,3,3] p[16] pads=1,1,1,1",
    "Conv last x[N,8,9,16] p[17,16,3,3] pads=1,1,1,1 strides=2,2",
    "Conv last x[N,9,8,4] p[6,4,3,2] p[6] dilations=2,3 pads=2,1,2,1",
    "Conv last x[N,6,6,8] p[12,4,3,3] p[12] group:2 pads=1,1,1,1",
    "Conv last x[N,7,7,6] p[6,1,3,3] p[6] group:6 pads=1,1,1,1",
    "Conv last x[N,7,7,4] p[8,1,3,3] group:4 strides=2,2",
    "Conv last x[N,5,5,8] p[10,8,1,1] p[10]",
    "Conv last x[N,5,5,3] p[4,3,5,5] p[4]",
    "Conv last x[N,15,4] p[6,4,3] p[6] pads=1,1",
    "Conv last x[N,15,4] p[6,2,3] p[6] strides=2 dilations=2 group:2",
    "ConvTranspose last x[N,4,5,3] p[3,6,3,3] p[6]",
    "ConvTranspose last x[N,4,5,4] p[4,6,3,3] p[6] strides=2,2 pads=1,1,1,1 output_padding=1,1",
    "ConvTranspose last x[N,4,4,4] p[4,3,2,2] strides=2,2 group:2",
    "ConvTranspose last x[N,4,3,6] p[6,1,3,3] p[6] group:6 dilations=2,1 pads=1,1,1,1",
    "ConvTranspose last x[N,7,4] p[4,5,4] p[5] strides=2 pads=1,1",
]


# ---- a case in words -------------------------------------------------------------------------------------------
def parse(text):
    kind, domain, *tokens = text.split()
    inputs, attrs = [], {}
    for token in tokens:
        if token == "-":
            inputs.append(("-", None))
        elif token[1] == "[":
            inputs.append((token[0], [ROWS if d == "N" else int(d) for d in token[2:-1].split(",")]))
        elif token[1] == "{":
            inputs.append((token[0], [float(v) for v in token[2:-1].split(",")]))
        elif "=" in token:
            attrs[token.split("=")[0]] = [int(v) for v in token.split("=")[1].split(",")]
        elif ":" in token:
            attrs[token.split(":")[0]] = int(token.split(":")[1])
        elif "~" in token:
            attrs[token.split("~")[0]] = float(np.float32(token.split("~")[1]))
        else:
            attrs[token.split("@")[0]] = token.split("@")[1]
    return kind, domain, inputs, attrs


def draw(rng, kind, shape):
    low, high = (0.5, 1.5) if kind in "qsu" else (-1.0, 1.0)
    return rng.uniform(low, high, shape).astype(np.float32)


# ---- the operators in PyTorch ----------------------------------------------------------------------------------
def first(x):
    """channels last to channels first"""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def pads(a, dims):
    p = a.get("pads", [0] * (2 * dims))
    assert p[:dims] == p[dims:], "PyTorch pads both sides alike"
    return p[:dims]


def conv(x, w, b, a):
    d = w.dim() - 2
    f = [F.conv1d, F.conv2d][d - 1]
    return last(f(first(x), w, b, a.get("strides", 1), pads(a, d), a.get("dilations", 1), a.get("group", 1)))


def conv_transpose(x, w, b, a):
    d = w.dim() - 2
    f = [F.conv_transpose1d, F.conv_transpose2d][d - 1]
    y = f(first(x), w, b, a.get("strides", 1), pads(a, d), a.get("output_padding", 0), a.get("group", 1),
          a.get("dilations", 1))
    return last(y)


def batchnorm(x, g, b, m, v, a):
    training = a.get("training_mode", 0) == 1
    return last(F.batch_norm(first(x), m, v, g, b, training, 1 - a.get("momentum", float(np.float32(0.9))),
                             a.get("epsilon", float(np.float32(1e-5)))))


def max_pool(x, a):
    d = x.dim() - 2
    f = [F.max_pool1d, F.max_pool2d][d - 1]
    return last(f(first(x), a["kernel_shape"], a.get("strides", [1] * d), pads(a, d), a.get("dilations", 1),
                  a.get("ceil_mode", 0) == 1))


def average_pool(x, a):
    d = x.dim() - 2
    f = [F.avg_pool1d, F.avg_pool2d][d - 1]
    return last(f(first(x), a["kernel_shape"], a.get("strides", [1] * d), pads(a, d), a.get("ceil_mode", 0) == 1,
                  a.get("count_include_pad", 0) == 1))


def pad(x, p, value, a):
    rank, p = x.dim(), [int(v) for v in p]
    flat = [n for d in reversed(range(1, rank)) for n in (p[d], p[rank + d])]
    mode = {"edge": "replicate"}.get(a.get("mode", "constant"), a.get("mode", "constant"))
    if mode == "constant":
        return F.pad(x, flat, mode, value)
    assert flat[:2] == [0, 0]
    return last(F.pad(first(x), flat[2:], mode))


def hard_sigmoid(x, a):
    return torch.clamp(a["alpha"] * x + 0.5, 0, 1)


OPERATORS = {
    "Add": lambda t, a: t[0] + t[1],
    "Sub": lambda t, a: t[0] - t[1],
    "Mul": lambda t, a: t[0] * t[1],
    "Div": lambda t, a: t[0] / t[1],
    "PRelu": lambda t, a: torch.where(t[0] < 0, t[0] * t[1], t[0]),
    "Relu": lambda t, a: F.relu(t[0]),
    "Clip": lambda t, a: torch.clamp(t[0], t[1][0], t[2][0]),
    "LeakyRelu": lambda t, a: F.leaky_relu(t[0], a["alpha"]),
    "Sigmoid": lambda t, a: torch.sigmoid(t[0]),
    "Tanh": lambda t, a: torch.tanh(t[0]),
    "HardSigmoid": lambda t, a: hard_sigmoid(t[0], a),
    "HardSwish": lambda t, a: F.hardswish(t[0]),
    "Elu": lambda t, a: F.elu(t[0], a["alpha"]),
    "Softplus": lambda t, a: F.softplus(t[0]),
    "Softmax": lambda t, a: torch.softmax(t[0], a["axis"]),
    "Transpose": lambda t, a: t[0].permute(a["perm"]),
    "Concat": lambda t, a: torch.cat(t, a["axis"]),
    "Slice": lambda t, a: t[0][:, int(t[1][0]):int(t[2][0]):int(t[4][0])],
    "Pad": lambda t, a: pad(t[0], t[1], t[2][0] if len(t) > 2 else 0, a),
    "ReduceMean": lambda t, a: t[0].mean([int(v) for v in t[1]], a.get("keepdims", 1) == 1),
    "ReduceSum": lambda t, a: t[0].sum([int(v) for v in t[1]], a.get("keepdims", 1) == 1),
    "BatchNormalization": lambda t, a: batchnorm(*t, a),
    "MaxPool": lambda t, a: max_pool(t[0], a),
    "AveragePool": lambda t, a: average_pool(t[0], a),
    "GlobalAveragePool": lambda t, a: t[0].mean(tuple(range(1, t[0].dim() - 1)), True),
    "GlobalMaxPool": lambda t, a: t[0].amax(tuple(range(1, t[0].dim() - 1)), True),
    "MatMul": lambda t, a: t[0] @ t[1],
    "Gemm": lambda t, a: t[0] @ (t[1].T if a.get("transB") else t[1]) + t[2],
    "Conv": lambda t, a: conv(t[0], t[1], t[2] if len(t) > 2 else None, a),
    "ConvTranspose": lambda t, a: conv_transpose(t[0], t[1], t[2] if len(t) > 2 else None, a),
}
LINEAR = {"Add", "Mul", "MatMul", "Gemm", "Conv", "ConvTranspose", "ReduceMean", "ReduceSum", "AveragePool",
          "GlobalAveragePool"}


def run(kind, attrs, tensors, dy):
    """forward and gradients; tensors: list of (kind, float64 array or list)"""
    torch_in = [torch.tensor(v, requires_grad=k in "xupq") if k in "xupqs" else v for k, v in tensors]
    y = OPERATORS[kind](torch_in, attrs)
    dy = torch.ones_like(y) if dy is None else torch.tensor(dy)
    wanted = [t for (k, _), t in zip(tensors, torch_in) if k in "xupq"]
    grads = iter(torch.autograd.grad(y, wanted, dy))
    states = [t.numpy() if k == "s" else None for (k, _), t in zip(tensors, torch_in)]
    return y.detach().numpy(), [next(grads).numpy() if k in "xupq" else None for k, _ in tensors], states


def bound(magnitude, terms):
    return np.float32((terms + 8) * 2.0**-24 * max(1.0, float(np.abs(magnitude).max(initial=0.0))))


def case(index, text, out):
    kind, _, inputs, attrs = parse(text)
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    tensors = [(k, draw(rng, k, v) if k in "xupqs" else v) for k, v in inputs]
    wide = [(k, v.astype(np.float64) if k in "xupqs" else v) for k, v in tensors]
    shape = run(kind, attrs, wide, None)[0].shape
    dy = rng.uniform(-1, 1, shape).astype(np.float32)
    wide = [(k, v.astype(np.float64) if k in "xupqs" else v) for k, v in tensors]
    y, grads, states = run(kind, attrs, wide, dy.astype(np.float64))
    size, g_size = y, grads
    if kind in LINEAR:
        positive = [(k, np.abs(v.astype(np.float64)) if k in "xupqs" else v) for k, v in tensors]
        size, g_size, _ = run(kind, attrs, positive, np.abs(dy.astype(np.float64)))
    name = f"{index:03d}"
    sums = kind in LINEAR or kind in ("BatchNormalization", "Softmax")
    terms = min(512, max(y.size, *[v.size for k, v in tensors if k in "xupq"])) if sums else 8
    out[f"{name}/case"] = np.frombuffer(text.encode(), dtype=np.uint8)
    out[f"{name}/out"] = y.astype(np.float32)
    error = [bound(size, terms)] + [0 if g is None else bound(g, terms) for g in g_size]
    out[f"{name}/error"] = np.array(error, dtype=np.float32)
    out[f"{name}/grad_out"] = dy
    for k, (letter, v) in enumerate(tensors):
        if letter in "xupqs":
            out[f"{name}/in{k}"] = v
        if grads[k] is not None:
            out[f"{name}/grad{k}"] = grads[k].astype(np.float32)
        if letter == "s" and attrs.get("training_mode"):
            out[f"{name}/state{k}"] = states[k].astype(np.float32)


# ---- losses: sums over rows, and their gradients ---------------------------------------------------------------
def losses(out):
    rng = np.random.default_rng(11)
    rows, width = 9, 7
    y = rng.normal(0, 2, (rows, width)).astype(np.float32)
    teacher = rng.normal(0, 2, (rows, width)).astype(np.float32)
    target = rng.normal(0, 1, (rows, width)).astype(np.float32)
    labels = rng.integers(0, width, rows).astype(np.int32)
    weights = rng.uniform(0.5, 2, width)
    out.update({"y": y, "teacher": teacher, "target": target, "labels": labels, "class_weights": weights})
    t, l = torch.tensor(target, dtype=torch.float64), torch.tensor(labels, dtype=torch.int64)
    w = torch.tensor(weights)
    teach = torch.tensor(teacher, dtype=torch.float64)

    def distilled(v):
        soft = F.kl_div(F.log_softmax(v / 3, -1), F.softmax(teach / 3, -1), reduction="sum") * 9
        return 0.75 * soft + 0.25 * F.cross_entropy(v, l, reduction="sum")

    cases = {
        "cross_entropy": lambda v: F.cross_entropy(v, l, reduction="sum"),
        "cross_entropy_smoothing_0.1": lambda v: F.cross_entropy(v, l, reduction="sum", label_smoothing=0.1),
        "cross_entropy_weights": lambda v: F.cross_entropy(v, l, weight=w, reduction="sum"),
        "mse_sum": lambda v: F.mse_loss(v, t, reduction="sum"),
        "squared_hinge_sum": lambda v: (torch.clamp(1 - (2 * F.one_hot(l, width) - 1) * v, min=0) ** 2).sum(),
        "hinge_sum": lambda v: torch.clamp(1 - (2 * F.one_hot(l, width) - 1) * v, min=0).sum(),
        "distill_T3_weight_0.75": distilled,
    }
    for name, f in cases.items():
        v = torch.tensor(y, dtype=torch.float64, requires_grad=True)
        value = f(v)
        out[f"{name}/loss"] = np.float64(value.item())
        out[f"{name}/grad"] = torch.autograd.grad(value, v)[0].numpy().astype(np.float32)


# ---- optimizers: six steps with given gradients ----------------------------------------------------------------
def optimizers(out):
    rng = np.random.default_rng(12)
    steps, n = 6, 33
    start = rng.normal(0, 1, n).astype(np.float32)
    grads = rng.normal(0, 1, (steps, n)).astype(np.float32)
    out.update({"start": start, "grads": grads})
    optim = torch.optim
    cases = {
        "sgd": lambda p: optim.SGD(p, lr=0.1),
        "sgd_decay": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
        "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "nesterov_decay": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        "adam": lambda p: optim.Adam(p, lr=0.01),
        "adam_decay": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
        "adamw": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
        "adam_betas": lambda p: optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-3),
    }
    for name, make in cases.items():
        p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimizer, trace = make([p]), []
        for g in grads:
            p.grad = torch.tensor(g, dtype=torch.float64)
            optimizer.step()
            trace.append(p.detach().numpy().astype(np.float32))
        out[name] = np.stack(trace)


def main():
    folder = Path(sys.argv[1])
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    operators, loss, optimizer = {}, {}, {}
    for i, text in enumerate(CASES):
        case(i, text, operators)
    losses(loss)
    optimizers(optimizer)
    for name, members in (("operators", operators), ("losses", loss), ("optimizers", optimizer)):
        np.savez_compressed(folder / f"torch_{name}.npz", **members)
        print(f"{name}: {len(members)} arrays, {(folder / f'torch_{name}.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
