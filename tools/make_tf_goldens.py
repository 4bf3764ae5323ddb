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
        self.cases, self.inputs, self.wants = [], {}, {}

    def input(self, value, dtype):
        """The name of a constant, the same for equal ones."""
        if dtype == tf.string:
            key = (value, dtype)
        else:
            value = np.asarray(value)
            key = (value.tobytes(), value.shape, value.dtype.str, dtype)
        if key not in self.inputs:
            self.inputs[key] = self.const("in/%d" % len(self.inputs), value, dtype)
        return self.inputs[key]

    def const(self, name, value, dtype=None):
        node = self.graph.node.add(name=name, op="Const")
        if dtype == tf.string:
            node.attr["dtype"].type = dtype.as_datatype_enum
            node.attr["value"].tensor.CopyFrom(v1.make_tensor_proto(value, dtype))
            return name
        value = np.asarray(value)
        dtype = dtype or tf.as_dtype(value.dtype)
        node.attr["dtype"].type = dtype.as_datatype_enum
        tensor = node.attr["value"].tensor
        tensor.dtype = dtype.as_datatype_enum
        for size in value.shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = np.ascontiguousarray(value).astype(NUMPY.get(dtype, value.dtype)).tobytes()
        return name

    def add(self, op, inputs, outputs=1, terms=None, exact=False, want=None, **attrs):
        """inputs: arrays, or (array, type of codes).  want: the result, where TensorFlow's own is wrong."""
        name = "c%d" % len(self.cases)
        node = v1.NodeDef(name=name, op=op)
        for value in inputs:
            node.input.append(self.input(*value if isinstance(value, tuple) else (value, None)))
        for key, value in attrs.items():
            set_attr(node.attr[key], value)
        self.graph.node.append(node)
        self.cases.append((name, outputs, terms, exact))
        self.wants[name] = want

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
            if self.wants[name] is not None:
                values = [self.wants[name]]
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


# ---- all other operators ----------------------------------------------------------------------------------------
def ints(*values):
    return np.array(values, np.int32)


def element_cases(c, rng):
    x = rng.randn(3, 5, 7).astype(F)
    p = (np.abs(x) + .1).astype(F)
    float_op = dict(T=tf.float32)
    for op in ("Neg", "Abs", "Square", "Sigmoid", "Tanh", "Relu", "Relu6", "Elu", "Selu", "Exp", "Softmax", "LogSoftmax",
               "Floor", "Rint", "Softplus", "Erf"):
        c.add(op, [x], terms=0, **float_op)
    for op in ("Rsqrt", "Sqrt", "Log"):
        c.add(op, [p], terms=0, **float_op)
    c.add("LeakyRelu", [x], terms=0, alpha=0.3, **float_op)
    for op in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "SquaredDifference"):
        for y in (rng.randn(3, 5, 7), rng.randn(7), rng.randn(3, 1, 7), rng.randn(), rng.randn(5, 1)):
            c.add(op, [x, (np.asarray(y) + 2).astype(F)], exact=True, **float_op)
    a, b = rng.randint(-9, 9, (4, 6)).astype(np.int32), rng.randint(1, 5, (6,)).astype(np.int32)
    for op in ("Add", "Sub", "Mul", "FloorDiv", "FloorMod", "Maximum", "Less", "GreaterEqual", "Equal", "BitwiseAnd",
               "RightShift"):
        c.add(op, [a, b], T=tf.int32)
    c.add("LogicalAnd", [a > 0, a < 5])
    c.add("LogicalNot", [a > 0])
    c.add("Select", [x > 0, x, -x], exact=True, **float_op)
    c.add("Select", [np.array([True, False, True]), x, -x], exact=True, **float_op)
    c.add("SelectV2", [x[0] > 0, x, np.float32(0)], exact=True, **float_op)
    c.add("BiasAdd", [rng.randn(2, 3, 4, 5).astype(F), rng.randn(5).astype(F)], exact=True, data_format="NHWC",
          **float_op)
    c.add("FakeQuantWithMinMaxVars", [x, F(-1.2), F(1.7)], terms=0, num_bits=8, narrow_range=False)
    c.add("Cast", [x * 50], SrcT=tf.float32, DstT=tf.int32, Truncate=False)
    c.add("Cast", [a], SrcT=tf.int32, DstT=tf.float32, Truncate=False, exact=True)


def move_cases(c, rng):
    x = rng.randn(4, 6, 8).astype(F)
    t = dict(T=tf.float32, exact=True)
    index = dict(Index=tf.int32, **t)
    c.add("Reshape", [x, ints(2, -1, 3)], Tshape=tf.int32, **t)
    c.add("Squeeze", [x[:1, :, :1]], squeeze_dims=[-1], **t)
    c.add("ExpandDims", [x, np.int32(-1)], Tdim=tf.int32, **t)
    c.add("Shape", [x], T=tf.float32, out_type=tf.int32)
    c.add("Rank", [x], T=tf.float32)
    c.add("Size", [x], T=tf.float32, out_type=tf.int64)
    c.add("Pack", [x, x * 2], N=2, axis=1, **t)
    c.add("ConcatV2", [x, x[:, :2], np.int32(1)], N=2, Tidx=tf.int32, **t)
    c.add("Split", [np.int32(2), x], 4, num_split=4, **t)
    c.add("SplitV", [x, ints(1, -1, 2), np.int32(1)], 3, num_split=3, Tlen=tf.int32, **t)
    c.add("Unpack", [x], 6, num=6, axis=1, **t)
    c.add("Slice", [x, ints(1, 0, 2), ints(2, -1, 5)], **index)
    masks = dict(begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0)
    for begin, end, step, change in (((0, -1), (4, 0), (2, -2), {}), ((1, 0, 3), (3, 0, 4), (1, 1, 1), dict(
            begin_mask=2, end_mask=2, shrink_axis_mask=4)), ((0, 0, 0), (0, 0, 3), (1, 1, 2), dict(
                ellipsis_mask=1, new_axis_mask=2, begin_mask=4))):
        c.add("StridedSlice", [x, ints(*begin), ints(*end), ints(*step)], **index, **dict(masks, **change))
    c.add("Transpose", [x, ints(2, 0, 1)], Tperm=tf.int32, **t)
    pads = np.array([[1, 2], [0, 1], [3, 0]], np.int32)
    c.add("Pad", [x, pads], Tpaddings=tf.int32, **t)
    c.add("PadV2", [x, pads, F(7)], Tpaddings=tf.int32, **t)
    for mode in ("REFLECT", "SYMMETRIC"):
        c.add("MirrorPad", [x, pads], Tpaddings=tf.int32, mode=mode, **t)
    c.add("Tile", [x, ints(2, 1, 3)], Tmultiples=tf.int32, **t)
    c.add("Fill", [ints(2, 3), F(4)], index_type=tf.int32, **t)
    c.add("Range", [np.int32(3), np.int32(20), np.int32(4)], Tidx=tf.int32)
    c.add("GatherV2", [x, ints(5, 0, 5), np.int32(1)], Tparams=tf.float32, Tindices=tf.int32, Taxis=tf.int32,
          batch_dims=0, exact=True)
    y = rng.randn(2, 5, 6, 3).astype(F)
    c.add("SpaceToBatchND", [y, ints(2, 3), np.array([[1, 2], [2, 1]], np.int32)], Tblock_shape=tf.int32,
          Tpaddings=tf.int32, **t)
    c.add("BatchToSpaceND", [rng.randn(12, 3, 2, 3).astype(F), ints(2, 3), np.array([[1, 0], [2, 1]], np.int32)],
          Tblock_shape=tf.int32, Tcrops=tf.int32, **t)


def reduce_cases(c, rng):
    x = rng.randn(4, 6, 8).astype(F)
    for op, exact in (("Sum", False), ("Mean", False), ("Prod", False), ("Max", True), ("Min", True)):
        for axes, keep in (((0, 2), False), ((1,), True), ((-1,), False), ((0, 1, 2), False)):
            c.add(op, [x, ints(*axes)], T=tf.float32, Tidx=tf.int32, keep_dims=keep, terms=x.size, exact=exact)
    c.add("ArgMax", [x, np.int32(1)], T=tf.float32, Tidx=tf.int32, output_type=tf.int64)
    c.add("MatMul", [x[0], x[1]], T=tf.float32, transpose_a=False, transpose_b=True, terms=8)
    c.add("MatMul", [x[0], x[1]], T=tf.float32, transpose_a=True, transpose_b=False, terms=8)
    c.add("BatchMatMulV2", [x, rng.randn(1, 8, 5).astype(F)], T=tf.float32, adj_x=False, adj_y=False, terms=8)


def picture_cases(c, rng):
    x, t = rng.randn(2, 9, 8, 6).astype(F), dict(T=tf.float32)
    for padding in ("SAME", "VALID"):
        for stride in ([1, 1, 1, 1], [1, 2, 3, 1]):
            c.add("Conv2D", [x, rng.randn(3, 2, 6, 5).astype(F)], strides=stride, padding=padding, terms=36, **t)
        c.add("DepthwiseConv2dNative", [x, rng.randn(3, 3, 6, 2).astype(F)], strides=[1, 2, 2, 1], padding=padding,
              terms=9, **t)
        for op in ("MaxPool", "AvgPool"):
            c.add(op, [x], ksize=[1, 3, 2, 1], strides=[1, 2, 2, 1], padding=padding, terms=6, **t)
    c.add("DepthwiseConv2dNative", [x, rng.randn(3, 3, 6, 1).astype(F)], strides=[1, 1, 1, 1], padding="SAME", terms=9,
          **t)
    c.add("Conv2D", [x, rng.randn(3, 2, 6, 5).astype(F)], strides=[1, 1, 1, 1], padding="SAME", dilations=[1, 2, 2, 1],
          terms=36, **t)
    c.add("Conv2D", [x, rng.randn(3, 2, 6, 5).astype(F)], strides=[1, 2, 1, 1], padding="EXPLICIT",
          explicit_paddings=[0, 0, 2, 1, 0, 3, 0, 0], terms=36, **t)
    pads = np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32)
    c.add("FusedPadConv2D", [x[:1], pads, rng.randn(3, 3, 6, 4).astype(F)], mode="REFLECT", strides=[1, 1, 1, 1],
          padding="VALID", terms=54, **t)
    c.add("FusedResizeAndPadConv2D", [x[:1], ints(12, 10), pads, rng.randn(3, 3, 6, 4).astype(F)], mode="REFLECT",
          strides=[1, 1, 1, 1], padding="VALID", resize_align_corners=False, terms=60, **t)
    vectors = [(rng.rand(6) + .5).astype(F) for _ in range(4)]
    for op, outputs in (("FusedBatchNorm", 1), ("FusedBatchNormV3", 1)):
        extra = {} if outputs == 1 and op == "FusedBatchNorm" else dict(U=tf.float32)
        c.add(op, [x] + vectors, outputs, epsilon=1e-3, is_training=False, data_format="NHWC", terms=8, **extra, **t)
    c.add("LRN", [x], depth_radius=2, bias=1.0, alpha=.3, beta=.75, terms=8, **t)
    for size in ((13, 5), (9, 8), (3, 20)):
        for align, half in ((False, False), (True, False), (False, True)):
            how = dict(align_corners=align, half_pixel_centers=half)
            c.add("ResizeBilinear", [x, ints(*size)], exact=not half, terms=4, **how, **t)
            c.add("ResizeNearestNeighbor", [x, ints(*size)], exact=True, **how, **t)


def other_cases():
    c, rng = Cases(), np.random.RandomState(11)
    element_cases(c, rng)
    move_cases(c, rng)
    reduce_cases(c, rng)
    picture_cases(c, rng)
    return c


def main():
    folder = Path(sys.argv[1])
    eight_cases().write(folder / "tf_eight.pb")
    other_cases().write(folder / "tf_ops.pb")


if __name__ == "__main__":
    main()
