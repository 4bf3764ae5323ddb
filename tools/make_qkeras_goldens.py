#!/usr/bin/env python3
"""Golden values of QKeras 0.9.0's quantizers, and of LSQ, PACT and DoReFa written from their papers' formulas.

Run in an environment of its own, never by the tests:
    python3 -m venv q && q/bin/pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0 QKeras==0.9.0
    q/bin/python tools/make_qkeras_goldens.py tests/golden

qkeras_values.npz and qkeras_papers.npz hold inputs "x_SET" and "dy_SET", one line per case in "cases" (number, place,
set, flags, entry as in a recipe, separated by tabs), and each case's "NNN_y" and "NNN_dx" (papers: also "NNN_s", "NNN_ds").

QKeras returns x + stop_gradient(q - x), which in float32 need not be q: the value kept here is q.  Where the quantizer
has use_ste, q is what it returns with use_ste=False; binary and ternary give it as round(y / scale) * scale.  The script
prints how often and how far QKeras' own result is from q.  float32 logarithms near a border of the power-of-two
quantizers fall on either side; those elements (within 2^-20 of a border in the logarithm) take the exact side.
Flags: scale = the scale is a float32 mean whose order of summation is TensorFlow's own (compare to n * 2^-24);
nograd = only values; gradtol = the gradient has a real tanh or sigmoid, a few last places off in float32, or a sum
(compare to 2^-20 of |dy| + |dx|).

Length: qkeras_cases is one list of cases, grouped by quantizer.
"""
import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

F = np.float32


def inputs():
    r = np.random.default_rng(20240607)
    sets = {}
    dyadic = r.integers(-256, 256, (32, 8)).astype(F) / F(64)
    dyadic[0] = [0, -0.0, 0.5, -0.5, 1, -1, 0.25, -0.25]
    dyadic[1] = [0.125, -0.125, 1.5, -1.5, 2.5, -2.5, 3.5, -3.5]
    dyadic[:, 3] /= 8
    sets["dyadic"] = dyadic
    sets["random"] = r.normal(0, 0.6, (25, 7)).astype(F)
    big = r.normal(0, 1, (20, 9)).astype(F) * np.exp2(r.integers(-12, 12, (20, 9))).astype(F)
    big[0] = [1e30, -1e30, 1e-30, -1e-30, 0, -0.0, 1e5, -1e5, 1e-7]
    sets["wide"] = big
    sets["conv"] = (r.integers(-64, 64, (4, 4, 4, 8)) / 64).astype(F)
    sets["bias"] = (r.integers(-64, 64, 16) / 32).astype(F)
    powers = np.exp2(np.arange(-30, 30)).astype(F)
    near = [np.nextafter(powers, F(0)), powers, np.nextafter(powers, F(np.inf))]
    root = (powers * np.sqrt(2)).astype(F)
    near += [np.nextafter(root, F(0)), root, np.nextafter(root, F(np.inf)), powers * F(1.2), powers * F(1.7)]
    v = np.concatenate(near)
    sets["powers"] = np.concatenate([v, -v, np.array([0, -0.0, 1e-7, -1e-7, 9e-8, 2e-7], F)])
    return sets, {k: r.normal(0, 1, v.shape).astype(F) for k, v in sets.items()}


class Writer:
    def __init__(self, sets, grads):
        self.arrays = {f"x_{k}": v for k, v in sets.items()} | {f"dy_{k}": v for k, v in grads.items()}
        self.lines = []

    def add(self, place, name, flags, text, **arrays):
        key = f"{len(self.lines):03d}"
        self.lines.append("\t".join([key, place, name, flags or "exact", text]))
        for k, v in arrays.items():
            self.arrays[f"{key}_{k}"] = np.ascontiguousarray(v, F)

    def save(self, path):
        used = {line.split("\t")[2] for line in self.lines}
        arrays = {k: v for k, v in self.arrays.items() if k[0] not in "xd" or k.split("_")[1] in used}
        arrays["cases"] = np.frombuffer("\n".join(self.lines).encode(), np.uint8)
        np.savez_compressed(path, **arrays)
        print(path, len(self.lines), "cases", os.path.getsize(path), "bytes")


# ---- QKeras ------------------------------------------------------------------------------------------------------


def qkeras_cases(sets, grads, path):
    import tensorflow as tf
    import tf_keras
    import qkeras.quantizers as qk

    w = Writer(sets, grads)
    off = {}

    def evaluate(text, x, dy):
        q = eval("qk." + text, {"qk": qk})
        xt = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(xt)
            y = q(xt)
        dx = tape.gradient(y, xt, output_gradients=tf.constant(dy))
        return q, y.numpy(), (np.zeros_like(x) if dx is None else dx.numpy())

    def intended(text, q, x, raw):
        """What the quantizer means: the value that it adds to x - x."""
        if hasattr(q, "use_ste"):
            q2 = eval("qk." + text, {"qk": qk})
            q2.use_ste = False
            return q2(tf.constant(x)).numpy()
        if text.split("(")[0] in ("quantized_tanh", "quantized_sigmoid"):
            return raw
        scale = np.asarray(q.scale, F)
        assert np.abs(x).max() < 1e5
        return np.where(scale == 0, F(0), np.round(raw / np.where(scale == 0, 1, scale))).astype(F) * scale

    def exact_po2(text, x, y):
        """Elements whose logarithm is too near a border for float32 take the exact side."""
        if "po2(" not in text or "alpha" in text:
            return y
        q = eval("qk." + text, {"qk": qk})
        quadratic, floors = q.quadratic_approximation, q.log2_rounding == "floor"
        slope = getattr(q, "negative_slope", None)
        out = y.copy()
        changed = 0
        for i in np.ndindex(x.shape):
            v = float(x[i])
            m = abs(v)
            if slope is not None:
                m = v if v > 0 else -v * slope
            if m < F(1e-7):
                continue
            m = min(m, q.max_value if q.max_value is not None else np.inf)
            l = np.log2(m) / (2 if quadratic else 1)  # double: borders are far wider than its error
            border = np.round(l) if floors else np.floor(l) + 0.5
            if abs(l - border) > 2.0**-20:
                continue
            exact_border = quadratic and np.log2(m) == np.round(np.log2(m))
            if floors:
                e = np.floor(l)
            else:
                e = np.round(border) if exact_border else np.round(l)
            e = (2 if quadratic else 1) * min(max(e, q._min_exp), q._max_exp)
            value = F(np.copysign(np.exp2(e), y[i]))
            changed += value != y[i]
            out[i] = value
        if changed:
            off.setdefault("borders", []).append((text, changed))
        return out

    def case(text, name, place="activation", flags=""):
        x, dy = sets[name], grads[name]
        q, raw, dx = evaluate(text, x, dy)
        y = exact_po2(text, x, intended(text, q, x, raw))
        bad = raw != y
        if bad.any():
            scale = np.maximum(np.abs(y), np.finfo(F).tiny)
            off.setdefault("off", []).append((text, name, int(bad.sum()), float((np.abs(raw - y) / scale)[bad].max())))
        w.add(place, name, flags, text, y=y, dx=dx)

    for name in ("dyadic", "random", "wide"):
        for text in ("quantized_bits(8,0)", "quantized_bits(6,0,alpha=1.0)", "quantized_bits(4,1,1,alpha=1.0)",
                     "quantized_bits(2,0,1)", "quantized_bits(1,0)", "quantized_bits(1,0,alpha=0.5)",
                     "quantized_bits(4,2,keep_negative=False)", "quantized_bits(1,0,keep_negative=False)",
                     "quantized_bits(5,1)", "quantized_bits(6,3,alpha=0.7)", "quantized_bits(16,4)",
                     "quantized_bits(20,6,1)"):
            case(text, name)
        for text in ("quantized_relu(8)", "quantized_relu(4,2)", "quantized_relu(6,0)", "quantized_relu(1,0)",
                     "quantized_relu(3,1)", "quantized_relu(5,2,negative_slope=0.25)",
                     "quantized_relu(4,1,0,0.125)", "quantized_relu(3,1,negative_slope=0.0625)",
                     "quantized_relu(6,3,relu_upper_bound=2.5,is_quantized_clip=False)",
                     "quantized_relu(6,3,is_quantized_clip=False)", "quantized_relu(6,2,relu_upper_bound=1.0)",
                     "quantized_relu(5,1,use_sigmoid=1)", "quantized_relu(5,1,1,0.25)"):
            case(text, name)
        for text in ("quantized_tanh(8)", "quantized_tanh(4)", "quantized_tanh(4,symmetric=True)",
                     "quantized_tanh(2,0,1)", "quantized_tanh(1)", "quantized_sigmoid(8)", "quantized_sigmoid(4)",
                     "quantized_sigmoid(4,symmetric=True)", "quantized_sigmoid(1)"):
            case(text, name)
    for name in ("random", "wide"):
        for text in ("quantized_tanh(8,use_real_tanh=True)", "quantized_tanh(3,0,1,True)",
                     "quantized_sigmoid(8,use_real_sigmoid=True)", "quantized_sigmoid(3,True,True)"):
            case(text, name, flags="gradtol")
    for mode in ("smooth", "real"):
        qk.set_internal_sigmoid(mode)
        for text in ("quantized_tanh(6)", "quantized_sigmoid(6)", "quantized_relu(6,1,use_sigmoid=1)"):
            case(text, "random", flags="gradtol" if mode == "real" else "")
            w.lines[-1] = w.lines[-1][:-1] + f",sigmoid='{mode}')"
    qk.set_internal_sigmoid("hard")

    for name in ("random", "wide", "powers"):
        for text in ("quantized_po2(4)", "quantized_po2(3)", "quantized_po2(6)", "quantized_po2(2)",
                     "quantized_po2(4,max_value=1)", "quantized_po2(4,max_value=2.0)", "quantized_po2(5,max_value=3.0)",
                     "quantized_po2(5,quadratic_approximation=True)", "quantized_po2(6,log2_rounding='floor')",
                     "quantized_po2(5,quadratic_approximation=True,log2_rounding='floor')",
                     "quantized_relu_po2(4)", "quantized_relu_po2(3,max_value=1)", "quantized_relu_po2(4,2.0)",
                     "quantized_relu_po2(4,negative_slope=0.25)", "quantized_relu_po2(5,8.0,0.5)",
                     "quantized_relu_po2(4,quadratic_approximation=True)"):
            case(text, name)

    for name in ("dyadic", "random"):
        for text in ("binary()", "binary(use_01=True)", "binary(alpha=1.0)", "binary(alpha=0.3)",
                     "binary(use_01=1,alpha=2.0)", "ternary()", "ternary(alpha=1.0)", "ternary(threshold=0.5)",
                     "ternary(alpha=0.7,threshold=0.25)"):
            case(text, name, flags="gradtol" if "alpha" not in text else "")
    for name in ("dyadic", "random", "conv"):
        mean = "scale" if name == "random" else ""
        for text in ("quantized_bits(4,0,alpha='auto')", "quantized_bits(8,2,1,alpha='auto')",
                     "quantized_bits(4,0,alpha='auto_po2')", "quantized_bits(2,0,alpha='auto_po2')",
                     "quantized_bits(6,1,alpha='auto_po2')", "quantized_bits(6,0,0,False,'auto_po2')"):
            case(text, name, "weight")
        for text in ("binary(alpha='auto')", "binary(use_01=True,alpha='auto')", "ternary(alpha='auto')"):
            case(text, name, "weight", mean)
        for text in ("binary(alpha='auto_po2')", "ternary(alpha='auto_po2')",
                     "ternary(alpha='auto_po2',number_of_unrolls=2)"):
            case(text, name, "weight")
    for axis in (0, 1, 2, 3):
        case(f"quantized_bits(4,0,alpha='auto',scale_axis={axis})", "conv", "weight")
        case(f"quantized_bits(4,0,alpha='auto_po2',scale_axis={axis})", "conv", "weight")
    case("quantized_bits(5,1,alpha='auto')", "bias", "bias")
    case("quantized_bits(5,1,alpha=1.0)", "bias", "bias")

    tf_keras.backend.set_learning_phase(0)  # the evaluation rule of the stochastic ones
    for name in ("dyadic", "random"):
        mean = "scale,nograd" if name == "random" else "nograd"
        for text in ("stochastic_binary()", "stochastic_binary(alpha=0.5)", "stochastic_binary(alpha='auto_po2')",
                     "stochastic_ternary(alpha='auto_po2')",
                     "ternary(alpha='auto_po2',use_stochastic_rounding=True)"):
            case(text, name, "weight", "nograd")
        for text in ("stochastic_binary(alpha='auto')", "stochastic_ternary(alpha='auto')"):
            case(text, name, "weight", mean)
    for text in ("quantized_bits(6,1,use_stochastic_rounding=True)", "quantized_relu(6,1,use_stochastic_rounding=True)",
                 "quantized_po2(4,use_stochastic_rounding=True)", "quantized_tanh(6,True)"):
        case(text, "random", flags="nograd")

    w.save(path)
    for kind, entries in off.items():
        print(kind)
        for e in entries:
            print("   ", *e)


# ---- the papers --------------------------------------------------------------------------------------------------


def lsq(v, s, qn, qp, n, dy):
    """arXiv:1902.08153, equations 1 to 5 and section 2.2; float32 where the value counts, float64 for the gradient."""
    r = (v / s).astype(F)
    y = (np.rint(np.clip(r, -qn, qp)).astype(F) * s).astype(F)
    inside = (r > -qn) & (r < qp)
    term = np.where(inside, np.rint(r).astype(np.float64) - v.astype(np.float64) / s.astype(np.float64),
                    np.where(r <= -qn, -float(qn), float(qp)))
    return y, np.where(inside, dy, F(0)), dy.astype(np.float64) * term / np.sqrt(n * qp)


def papers(sets, grads, path):
    w = Writer(sets, grads)
    for name in ("random", "dyadic"):
        x, dy = sets[name], grads[name]
        for bits in (2, 3, 4, 8):
            for step in (0.1, 0.37):
                s = F(step)
                qn, qp = 2 ** (bits - 1), 2 ** (bits - 1) - 1
                y, dx, ds = lsq(x, s, qn, qp, x.size, dy)
                w.add("weight", name, "", f"quantizer: lsq; format: int<{bits}>", y=y, dx=dx, s=np.array([s]),
                      ds=np.array([ds.sum()]))
                y, dx, ds = lsq(x, s, 0, 2**bits - 1, x.shape[1], dy)
                w.add("activation", name, "", f"quantizer: lsq; format: uint<{bits}>", y=y, dx=dx, s=np.array([s]),
                      ds=np.array([ds.sum()]))
        channels = np.linspace(0.05, 0.4, x.shape[1]).astype(F)
        y, dx, ds = lsq(x, channels, 4, 3, x.shape[0], dy)
        w.add("weight", name, "", "quantizer: lsq; format: int<3>; granularity: channel", y=y, dx=dx, s=channels,
              ds=ds.sum(0))
        for bits in (1, 2, 4):
            alpha = F(1.3)
            step = F(alpha / F(2**bits - 1))
            y = (np.rint((np.clip(x, 0, alpha) / step).astype(F)).astype(F) * step).astype(F)
            dx = np.where((x >= 0) & (x < alpha), dy, F(0))
            w.add("activation", name, "", f"pact({bits})", y=y, dx=dx, s=np.array([alpha]),
                  ds=np.array([dy[x >= alpha].astype(np.float64).sum()]))
        for bits in (1, 2, 3, 8):
            n = F(2**bits - 1)
            step = F(1 / n)
            y = (np.rint((np.clip(x, 0, 1) * n).astype(F)).astype(F) * step).astype(F)
            w.add("activation", name, "", f"dorefa({bits})", y=y, dx=np.where((x >= 0) & (x <= 1), dy, F(0)))
            if bits == 1:
                mean = F(np.abs(x).astype(np.float64).mean())
                w.add("weight", name, "", "dorefa(1)", y=np.where(x < 0, -mean, mean), dx=dy)
                continue
            t = np.tanh(x.astype(np.float64)).astype(F)
            m = np.abs(t).max()
            r = ((t / (2 * m)).astype(F) + F(0.5)).astype(F)
            y = ((2 * np.rint((r * n).astype(F)) - n) * step).astype(F)
            t64, dy64 = t.astype(np.float64), dy.astype(np.float64)
            dt = dy64 / m
            ends = np.abs(t) == m
            dt[ends] -= np.sign(t64[ends]) * (dy64 * t64).sum() / float(m) ** 2 / ends.sum()
            w.add("weight", name, "gradtol", f"dorefa({bits})", y=y, dx=dt * (1 - t64**2))
        mean = np.abs(x).astype(np.float64).mean(0).astype(F)
        inside = np.abs(x) <= 1
        w.add("weight", name, "gradtol", "xnor()", y=np.where(x < 0, -mean, mean),
              dx=dy.astype(np.float64) * (1 / x.shape[0] + mean.astype(np.float64) * inside))
    w.save(path)


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/golden"
    sets, grads = inputs()
    papers(sets, grads, os.path.join(folder, "qkeras_papers.npz"))
    qkeras_cases(sets, grads, os.path.join(folder, "qkeras_values.npz"))
