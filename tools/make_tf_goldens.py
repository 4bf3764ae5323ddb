#!/usr/bin/env python3
"""Golden files of the TensorFlow runtime: small graphs whose nodes TensorFlow ran, with its results as constants beside.

Usage: make_tf_goldens.py OUTPUT_FOLDER        (needs tensorflow-cpu 2.21; the tests do not)

Writes tf_eight.pb (the legacy eight-bit operators; results are compared bit by bit) and tf_ops.pb (all others).  Case K
is a node cK; its results are constants cK/want/I, and where float arithmetic may differ in order, cK/error/I is the
largest difference that is allowed: (terms + 8) * 2^-24 * S, where an element is a sum of at most `terms` products and S
bounds the sum of their magnitudes (the operator run on absolute values; the largest result where it is not linear).
TensorFlow runs without oneDNN and without graph optimisation: the graph is computed as written.
"""
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
NUMPY = {tf.quint8: np.uint8, tf.qint8: np.int8, tf.qint32: np.int32, tf.quint16: np.uint16, tf.qint16: np.int16}


def as_plain(value):
    """Codes come as records of one number."""
    value = np.asarray(value)
    return np.asarray(value.tolist(), dtype=value.dtype[0]).reshape(value.shape) if value.dtype.names else value


class Cases:
    """Cases of one file."""

    def __init__(self):
        self.graph = v1.GraphDef()
        self.cases, self.inputs = [], {}

    def input(self, value, dtype):
        """The name of a constant, the same for equal ones."""
        value = np.asarray(value)
        key = (value.tobytes(), value.shape, value.dtype.str, dtype)
        if key not in self.inputs:
            self.inputs[key] = self.const("in/%d" % len(self.inputs), value, dtype)
        return self.inputs[key]

    def const(self, name, value, dtype=None):
        value = np.asarray(value)
        dtype = dtype or tf.as_dtype(value.dtype)
        node = self.graph.node.add(name=name, op="Const")
        node.attr["dtype"].type = dtype.as_datatype_enum
        if dtype == tf.string:
            node.attr["value"].tensor.CopyFrom(v1.make_tensor_proto(value.tolist(), dtype))
            return name
        tensor = node.attr["value"].tensor
        tensor.dtype = dtype.as_datatype_enum
        for size in value.shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = np.ascontiguousarray(value).astype(NUMPY.get(dtype, value.dtype)).tobytes()
        return name

    def add(self, op, inputs, outputs=1, terms=None, exact=False, **attrs):
        """inputs: arrays, or (array, type of codes)."""
        name = "c%d" % len(self.cases)
        node = v1.NodeDef(name=name, op=op)
        for value in inputs:
            node.input.append(self.input(*value if isinstance(value, tuple) else (value, None)))
        for key, value in attrs.items():
            set_attr(node.attr[key], value)
        self.graph.node.append(node)
        self.cases.append((name, outputs, terms, exact))

    def run(self, graph):
        built = tf.Graph()
        with built.as_default():
            tf.import_graph_def(graph, name="")
        config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = -1
        results = []
        with v1.Session(graph=built, config=config) as session:
            for name, outputs, _, _ in self.cases:
                tensors = ["%s:%d" % (name, i) for i in range(outputs)]
                try:
                    results.append((session.run(tensors), [built.get_tensor_by_name(t).dtype for t in tensors]))
                except tf.errors.OpError as e:
                    sys.exit("%s: %s" % (name, e))
        return results

    def write(self, path):
        absolute = v1.GraphDef()
        absolute.CopyFrom(self.graph)
        for node in absolute.node:
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
                tensor = node.attr["value"].tensor
                tensor.tensor_content = np.abs(np.frombuffer(tensor.tensor_content, np.float32)).tobytes()
        results = self.run(self.graph)
        bounds = self.run(absolute) if any(t is not None for _, _, t, _ in self.cases) else results
        for (name, outputs, terms, exact), (values, types), (bound, _) in zip(self.cases, results, bounds):
            for i in range(outputs):
                self.const("%s/want/%d" % (name, i), as_plain(values[i]), types[i])
                if types[i] == tf.float32 and not exact:
                    size = max(np.abs(v[i]).max() if np.size(v[i]) else 0 for v in (values, bound if terms else values))
                    self.const("%s/error/%d" % (name, i), np.float32(((terms or 0) + 8) * 2.0 ** -24 * size))
        Path(path).write_bytes(self.graph.SerializeToString(deterministic=True))
        print("%s: %d cases, %d bytes" % (path, len(self.cases), Path(path).stat().st_size))


def set_attr(attr, value):
    if isinstance(value, tf.DType):
        attr.type = value.as_datatype_enum
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    elif isinstance(value, float):
        attr.f = value
    elif isinstance(value, str):
        attr.s = value.encode()
    elif value and isinstance(value[0], tf.DType):
        attr.list.type.extend(v.as_datatype_enum for v in value)
    else:
        attr.list.i.extend(value)


# ---- eight-bit operators ----------------------------------------------------------------------------------------
CODES = {"quint8": (0, 255), "qint8": (-128, 127), "quint16": (0, 65535), "qint16": (-2**15, 2**15 - 1),
         "qint32": (-2**31, 2**31 - 1)}
F = np.float32


def quantize_cases(c, rng):
    x = (rng.randn(1, 9, 11, 6) * 3 + 1).astype(F)
    for name, (low, high) in CODES.items():
        t = getattr(tf, name)
        for mode in ("MIN_FIRST", "MIN_COMBINED", "SCALED"):
            for lo, hi in ((x.min(), x.max()), (1, 5), (-2, 3), (0, 0)):
                c.add("QuantizeV2", [x, F(lo), F(hi)], 3, T=t, mode=mode, round_mode="HALF_AWAY_FROM_ZERO",
                      narrow_range=False, axis=-1, ensure_minimum_range=0.01)
        q = rng.randint(low, high + 1, size=(4, 33))
        for mode in ("MIN_FIRST", "MIN_COMBINED", "SCALED"):
            for lo, hi in ((-3.3, 7.1), (0, 5), (-.5, .25)):
                c.add("Dequantize", [(q, t), F(lo), F(hi)], T=t, mode=mode, exact=True)


def product(c, op, a, b, ranges, out, **attrs):
    lo_a, hi_a, lo_b, hi_b = (F(v) for v in ranges)
    c.add(op, [(a, tf.quint8), (b, tf.quint8), lo_a, hi_a, lo_b, hi_b], 3, **{out: tf.qint32}, **attrs)


def product_cases(c, rng, byte):
    types = dict(T1=tf.quint8, T2=tf.quint8)
    a, b = byte(5, 37), byte(37, 9)
    for ranges in ((-1.3, 4.2, -.7, .9), (1.3, 4.2, -.7, .9)):
        product(c, "QuantizedMatMul", a, b, ranges, "Toutput", **types)
    product(c, "QuantizedMatMul", a.T, b.T, (-1.3, 4.2, -.7, .9), "Toutput", transpose_a=True, transpose_b=True, **types)
    x, w = byte(2, 9, 8, 5), byte(3, 3, 5, 7)
    for padding in ("SAME", "VALID"):
        for stride in (1, 2):
            for lo in (-1.3, .5):
                product(c, "QuantizedConv2D", x, w, (lo, 4.2, -.7, .9), "out_type", padding=padding,
                        strides=[1, stride, stride, 1], Tinput=tf.quint8, Tfilter=tf.quint8)
    return x


def requantize_cases(c, rng):
    typical = rng.randint(-400000, 700000, size=(3, 50)).astype(np.int32)
    wide = rng.randint(-2**31, 2**31 - 1, size=(3, 50)).astype(np.int32)
    low, high = F(-13000.5), F(13000.5)
    for q in (typical, wide):
        q = (q, tf.qint32)
        c.add("RequantizationRange", [q, low, high], 2, Tinput=tf.qint32)
        own = v1.Session(graph=tf.Graph())
        with own.graph.as_default():
            codes = tf.bitcast(tf.constant(q[0]), tf.qint32)
            own_range = own.run(tf.raw_ops.RequantizationRange(input=codes, input_min=low, input_max=high))
        for lo, hi in (own_range, (-1, 2.5), (-6, 6), (0, 3)):
            c.add("Requantize", [q, low, high, F(lo), F(hi)], 3, Tinput=tf.qint32, out_type=tf.quint8)
    c.add("QuantizeDownAndShrinkRange", [(typical, tf.qint32), low, high], 3, Tinput=tf.qint32, out_type=tf.quint8)


def sum_cases(c, x, bias):
    b = (-.2, .3)
    t = dict(T1=tf.quint8, T2=tf.quint8)
    product(c, "QuantizedBiasAdd", x, bias, (-1.3, 4.2) + b, "out_type", **t)
    for op in ("QuantizedAdd", "QuantizedMul"):
        product(c, op, x, x[::-1], (-1.3, 4.2, -7, .3), "Toutput", **t)
        product(c, op, x, bias, (-1.3, 4.2) + b, "Toutput", **t)


def through_cases(c, x, byte):
    q = (x, tf.quint8)
    for op in ("QuantizedRelu", "QuantizedRelu6"):
        c.add(op, [q, F(-3), F(9)], 3, Tinput=tf.quint8, out_type=tf.quint8)
    window = dict(T=tf.quint8, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1])
    c.add("QuantizedMaxPool", [q, F(-3), F(9)], 3, padding="SAME", **window)
    for padding in ("SAME", "VALID"):
        c.add("QuantizedAvgPool", [q, F(-3), F(9)], 3, padding=padding, **window)
    c.add("QuantizedConcat", [np.int32(3), q, (byte(2, 9, 8, 3), tf.quint8), F(-1), F(.5), F(2), F(7)], 3, N=2,
          T=tf.quint8)
    c.add("QuantizedReshape", [q, np.array([2, -1], np.int32), F(-1), F(2)], 3, T=tf.quint8, Tshape=tf.int32)
    for align, half in ((False, False), (True, False), (False, True)):
        c.add("QuantizedResizeBilinear", [q, np.array([13, 6], np.int32), F(-1), F(2)], 3, T=tf.quint8,
              align_corners=align, half_pixel_centers=half)
    c.add("QuantizedInstanceNorm", [q, F(-1), F(2)], 3, T=tf.quint8, output_range_given=False, given_y_min=0.0,
          given_y_max=0.0, variance_epsilon=1e-5, min_separation=1e-3)
    inputs = [q, F(-1), F(2)]
    for lo, hi in ((-1, 1), (.1, 2), (-1, 1), (.5, 2)):
        inputs += [(byte(5), tf.quint8), F(lo), F(hi)]
    c.add("QuantizedBatchNormWithGlobalNormalization", inputs, 3, Tinput=tf.quint8, out_type=tf.qint32,
          variance_epsilon=1e-3, scale_after_normalization=True)


def eight_cases():
    c, rng = Cases(), np.random.RandomState(7)
    byte = lambda *shape: rng.randint(0, 256, size=shape).astype(np.uint8)
    quantize_cases(c, rng)
    x = product_cases(c, rng, byte)
    requantize_cases(c, rng)
    sum_cases(c, x, byte(5))
    through_cases(c, x, byte)
    for case in range(len(c.cases)):
        c.cases[case] = c.cases[case][:3] + (True,)
    return c


def main():
    folder = Path(sys.argv[1])
    eight_cases().write(folder / "tf_eight.pb")


main()
