"""Small GraphDefs of our own that between them have what each transform of transform_graph looks for, and what it must
leave alone.  GRAPHS maps a name to (function, inputs, outputs); numbers are seeded, the same on every machine.

Length: one function a graph.
"""
import os
import pathlib

import numpy as np

from tf_messages import OF_NUMPY, TYPED_LIST, TYPES, GraphDef

F = np.float32
NHWC = dict(data_format="NHWC")


class Type(str):
    """The name of a DataType, as an attribute's value."""


class Shape(tuple):
    """A shape, as an attribute's value."""


FLOAT, INT32, INT64 = Type("float"), Type("int32"), Type("int64")


def set_tensor(t, v, how="content"):
    v = np.asarray(v)
    t.dtype = OF_NUMPY[v.dtype]
    t.tensor_shape.SetInParent()
    for d in v.shape:
        t.tensor_shape.dim.add(size=d)
    if how == "content":
        t.tensor_content = np.ascontiguousarray(v).tobytes()
    else:
        getattr(t, TYPED_LIST[t.dtype]).extend(v.ravel().tolist())


def set_attr(a, v):
    if isinstance(v, np.ndarray):
        set_tensor(a.tensor, v)
    elif isinstance(v, Type):
        a.type = TYPES[v]
    elif isinstance(v, Shape):
        a.shape.SetInParent()
        for d in v:
            a.shape.dim.add(size=d)
    elif isinstance(v, bool):
        a.b = v
    elif isinstance(v, int):
        a.i = v
    elif isinstance(v, float):
        a.f = v
    elif isinstance(v, str):
        a.s = v.encode()
    else:
        a.list.SetInParent()
        for e in v:
            if isinstance(e, Type):
                a.list.type.append(TYPES[e])
            elif isinstance(e, Shape):
                s = a.list.shape.add()
                for d in e:
                    s.dim.add(size=d)
            else:
                a.list.i.append(e)


class Net:
    def __init__(self, seed, producer=1087):
        self.g = GraphDef()
        self.g.versions.producer = producer
        self.r = np.random.RandomState(seed)

    def node(self, op, name, inputs=(), device="", **attrs):
        n = self.g.node.add(op=op, name=name, device=device)
        n.input.extend([inputs] if isinstance(inputs, str) else inputs)
        for k, v in attrs.items():
            set_attr(n.attr[k], v)
        return name

    def const(self, name, v, **more):
        v = np.asarray(v)
        return self.node("Const", name, dtype=Type({1: "float", 3: "int32", 9: "int64", 2: "double", 10: "bool"}[OF_NUMPY[v.dtype]]),
                         value=v, **more)

    def normal(self, name, *shape, scale=1.0):
        return self.const(name, (self.r.randn(*shape) * scale).astype(F))

    def positive(self, name, *shape):
        return self.const(name, (self.r.rand(*shape) + .5).astype(F))

    def input(self, name, *shape, dtype=FLOAT):
        return self.node("Placeholder", name, dtype=dtype, shape=Shape(shape))

    def conv(self, name, x, w, op="Conv2D", strides=(1, 1, 1, 1), padding="SAME", dilations=(1, 1, 1, 1), **more):
        a = dict(T=FLOAT, strides=list(strides), padding=padding, dilations=list(dilations), explicit_paddings=[], **NHWC)
        if op == "Conv2D":
            a["use_cudnn_on_gpu"] = True
        a.update(more)
        return self.node(op, name, [x, w], **a)

    def bn(self, name, x, c, op="FusedBatchNorm", **more):
        if op == "BatchNormWithGlobalNormalization":
            names = [self.normal(name + "/mean", c), self.positive(name + "/var", c), self.normal(name + "/beta", c),
                     self.positive(name + "/gamma", c)]
            a = dict(T=FLOAT, variance_epsilon=.001, scale_after_normalization=True)
        else:
            names = [self.positive(name + "/gamma", c), self.normal(name + "/beta", c), self.normal(name + "/mean", c),
                     self.positive(name + "/var", c)]
            a = dict(T=FLOAT, epsilon=.001, is_training=False, **NHWC)
            if op != "FusedBatchNorm":
                a["U"] = FLOAT
        a.update(more)
        return self.node(op, name, [x] + names, **a)

    def unary(self, op, name, x, **more):
        return self.node(op, name, [x] if isinstance(x, str) else x, T=FLOAT, **more)

    def pool(self, op, name, x, k=2, s=2, padding="SAME"):
        return self.node(op, name, [x], T=FLOAT, ksize=[1, k, k, 1], strides=[1, s, s, 1], padding=padding, **NHWC)

    def matmul(self, name, x, w):
        return self.node("MatMul", name, [x, w], T=FLOAT, transpose_a=False, transpose_b=False)


def cnn():
    n = Net(3)
    n.input("input", 1, 16, 16, 3)
    n.unary("Identity", "c1/w/read", n.normal("c1/w", 3, 3, 3, 16, scale=.3))
    n.conv("c1", "input", "c1/w/read")
    n.node("Mul", "c1/bnmul", ["c1", n.positive("c1/scale", 16)], T=FLOAT)
    n.node("Add", "c1/bnadd", ["c1/bnmul", n.normal("c1/shift", 16)], T=FLOAT)
    n.node("CheckNumerics", "c1/chk", ["c1/bnadd"], T=FLOAT, message="bad")
    n.unary("Relu", "c1/relu", "c1/chk")
    n.pool("MaxPool", "p1", "c1/relu")
    n.conv("c2", "p1", n.normal("c2/w", 1, 1, 16, 16, scale=.3))
    n.bn("c2/bn", "c2", 16)
    n.unary("Relu6", "c2/relu6", "c2/bn")
    n.conv("c3", "p1", n.normal("c3/w", 3, 3, 16, 8, scale=.2))
    n.node("BiasAdd", "c3/bias", ["c3", n.normal("c3/b", 8)], T=FLOAT, **NHWC)
    n.unary("Relu", "c3/relu", "c3/bias")
    n.node("Concat", "cat", [n.const("cat/dim", np.int32(3)), "c2/relu6", "c3/relu"], T=FLOAT, N=2)
    n.pool("AvgPool", "p2", "cat", 8, 1, "VALID")
    n.node("Reshape", "flat", ["p2", n.const("flat/shape", np.array([1, 24], np.int32))], T=FLOAT, Tshape=INT32)
    n.matmul("fc", "flat", n.normal("fc/w", 24, 48, scale=.3))
    n.node("BiasAdd", "fc/bias", ["fc", n.normal("fc/b", 48)], T=FLOAT, **NHWC)
    n.unary("Softmax", "softmax", "fc/bias")
    n.node("NoOp", "unused")
    return n.g


def old():
    """The words of the Inception v3 of 2015, in miniature: no defaults written, control edges at every layer."""
    n = Net(5, producer=8)
    n.node("Placeholder", "DecodeJpeg/contents", dtype=Type("string"))
    n.node("DecodeJpeg", "DecodeJpeg", "DecodeJpeg/contents", channels=3, ratio=1, fancy_upscaling=True,
           try_recover_truncated=False, acceptable_fraction=1.0)
    n.node("Cast", "Cast", "DecodeJpeg", SrcT=Type("uint8"), DstT=FLOAT)
    n.node("ExpandDims", "ExpandDims", ["Cast", n.const("ExpandDims/dim", np.int32(0))], T=FLOAT)
    n.node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", n.const("ResizeBilinear/size", np.array([16, 16], np.int32))],
           T=FLOAT, align_corners=False)
    n.node("Sub", "Sub", ["ResizeBilinear", n.const("Sub/y", F(128))], T=FLOAT)
    n.node("Mul", "Mul", ["Sub", n.const("Mul/y", F(1 / 128))], T=FLOAT)
    n.node("Conv2D", "conv/Conv2D", ["Mul", n.normal("conv/conv2d_params", 3, 3, 3, 32, scale=.3)], T=FLOAT,
           strides=[1, 2, 2, 1], padding="VALID", use_cudnn_on_gpu=True)
    n.bn("conv/batchnorm", "conv/Conv2D", 32, "BatchNormWithGlobalNormalization", scale_after_normalization=False)
    n.node("CheckNumerics", "conv/CheckNumerics", "conv/batchnorm", T=FLOAT, message="NaN")
    n.node("Identity", "conv/control_dependency", ["conv/batchnorm", "^conv/CheckNumerics"], T=FLOAT)
    n.unary("Relu", "conv", "conv/control_dependency")
    n.node("AvgPool", "pool_3", "conv", T=FLOAT, ksize=[1, 7, 7, 1], strides=[1, 1, 1, 1], padding="VALID")
    n.node("Reshape", "pool_3/_reshape", ["pool_3", n.const("pool_3/_reshape/shape", np.array([1, 32], np.int32))], T=FLOAT)
    n.matmul("softmax/logits/MatMul", "pool_3/_reshape", n.normal("softmax/weights", 32, 40, scale=.2))
    n.node("BiasAdd", "softmax/logits", ["softmax/logits/MatMul", n.normal("softmax/biases", 40)], T=FLOAT)
    n.unary("Softmax", "softmax", "softmax/logits")
    return n.g


def atrous(op="Conv2D"):
    n = Net(1)
    n.input("input", 1, 12, 12, 4)
    n.node("SpaceToBatchND", "s2b", ["input", n.const("bs", np.array([2, 3], np.int32)),
                                     n.const("pad", np.array([[2, 2], [3, 3]], np.int32))],
           T=FLOAT, Tblock_shape=INT32, Tpaddings=INT32)
    n.conv("conv", "s2b", n.normal("w", 3, 3, 4, 6 if op == "Conv2D" else 2), op, padding="VALID")
    n.node("BatchToSpaceND", "b2s", ["conv", n.const("bs2", np.array([2, 3], np.int32)),
                                     n.const("crop", np.zeros((2, 2), np.int32))], T=FLOAT, Tblock_shape=INT32, Tcrops=INT32)
    n.unary("Relu", "output", "b2s")
    return n.g


def resize_pad(resize=True, pad=True):
    n = Net(2)
    x = n.input("input", 1, 6, 6, 4)
    if resize:
        x = n.node("ResizeBilinear", "resize", [x, n.const("size", np.array([12, 12], np.int32))], T=FLOAT,
                   align_corners=False, half_pixel_centers=False)
    if pad:
        x = n.node("MirrorPad", "mpad", [x, n.const("pads", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))], T=FLOAT,
                   Tpaddings=INT32, mode="REFLECT")
    n.conv("output", x, n.normal("w", 3, 3, 4, 6), padding="VALID")
    return n.g


def fake_quant(chain=("Relu",), again=False):
    n = Net(4)
    n.input("input", 1, 8, 8, 4)
    x = n.conv("conv", "input", n.normal("w", 3, 3, 4, 8))
    for k, op in enumerate(chain):
        x = n.pool("MaxPool", f"link{k}", x) if op == "MaxPool" else n.unary(op, f"link{k}", x)
    x = n.node("FakeQuantWithMinMaxVars", "fq", [x, n.const("fmin", F(-1)), n.const("fmax", F(9))], num_bits=8,
               narrow_range=False)
    x = n.pool("MaxPool", "output", x)
    if again:
        n.unary("Relu", "second", x)
    return n.g


def gather(op="Gather", variable=False, identity=True, tail=False):
    n = Net(6)
    n.node("Placeholder", "ids", dtype=INT64, shape=Shape([-1]))
    w = np.zeros((50, 1), F)
    w[[3, 7, 11], 0] = [1.5, -2, 3]
    n.const("emb", w)
    x = n.node("Identity", "emb/read", "emb", T=FLOAT) if identity else "emb"
    a = dict(Tparams=FLOAT, Tindices=INT64)
    if op == "Gather":
        n.node(op, "output" if not tail else "look", [x, "ids"], validate_indices=True, **a)
    else:
        n.node(op, "output" if not tail else "look", [x, "ids", n.const("axis", np.int32(0))], Taxis=INT32, batch_dims=0, **a)
    if tail:
        n.unary("Relu", "output", "look")
        n.node("NoOp", "group_deps", ["^output"])
    return n.g


def gather_empty():
    n = Net(6)
    n.node("Placeholder", "ids", dtype=INT64, shape=Shape([-1]))
    n.unary("Identity", "emb/read", n.const("emb", np.zeros((5, 1), F)))
    n.node("Gather", "output", ["emb/read", "ids"], Tparams=FLOAT, Tindices=INT64, validate_indices=True)
    return n.g


def gather_wide():
    n = Net(6)
    n.node("Placeholder", "ids", dtype=INT64, shape=Shape([-1]))
    n.unary("Identity", "emb/read", n.const("emb", np.zeros((5, 3), F)))
    n.node("Gather", "output", ["emb/read", "ids"], Tparams=FLOAT, Tindices=INT64, validate_indices=True)
    return n.g


def shapes():
    n = Net(7)
    n.input("input", 1, 4, 5, 2)
    n.node("Shape", "shape", "input", T=FLOAT, out_type=INT32)
    n.node("Prod", "prod", ["shape", n.const("axes", np.array([0], np.int32))], T=INT32, Tidx=INT32, keep_dims=False)
    n.node("Add", "sum", [n.const("a", F(2)), n.const("b", F(3))], T=FLOAT, _output_shapes=[Shape([])])
    n.node("Pack", "stk", [n.const("one", np.int32(1)), "prod"], T=INT32, N=2, axis=0)
    n.node("Reshape", "flat", ["input", "stk"], T=FLOAT, Tshape=INT32)
    n.node("Mul", "output", ["flat", "sum"], T=FLOAT)
    return n.g


def arithmetic():
    """Constants of every sort of op that a frozen graph computes from constants."""
    n = Net(8)
    n.input("input", 2, 4)
    n.node("Rsqrt", "rs", n.node("AddV2", "ve", [n.positive("var", 4), n.const("eps", F(1e-3))], T=FLOAT), T=FLOAT)
    n.node("Mul", "scale", ["rs", n.positive("gamma", 4)], T=FLOAT)
    n.node("Mul", "ms", [n.normal("mean", 4), "scale"], T=FLOAT)
    n.node("Sub", "off", [n.normal("beta", 4), "ms"], T=FLOAT)
    n.node("Mul", "m", ["input", "scale"], T=FLOAT)
    n.node("AddV2", "a", ["m", "off"], T=FLOAT)
    n.node("Transpose", "wt", [n.normal("w", 3, 4), n.const("perm", np.array([1, 0], np.int32))], T=FLOAT, Tperm=INT32)
    n.matmul("mm", "a", "wt")
    n.node("Cast", "c", n.const("ints", np.array([1, 2, 3], np.int32)), SrcT=INT32, DstT=FLOAT, Truncate=False)
    n.node("StridedSlice", "sl", ["c", n.const("b0", np.array([0], np.int32)), n.const("e3", np.array([3], np.int32)),
                                  n.const("s1", np.array([1], np.int32))], T=FLOAT, Index=INT32, begin_mask=0, end_mask=0,
           ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0)
    n.node("ConcatV2", "cc", ["sl", n.normal("more", 3), n.const("ax", np.int32(0))], T=FLOAT, N=2, Tidx=INT32)
    n.node("Reshape", "rr", ["cc", n.const("rsh", np.array([2, 3], np.int32))], T=FLOAT, Tshape=INT32)
    n.node("ExpandDims", "ed", [n.normal("vec", 3), n.const("zero", np.int32(0))], T=FLOAT, Tdim=INT32)
    n.node("Squeeze", "sq", "ed", T=FLOAT, squeeze_dims=[0])
    n.node("RealDiv", "dv", ["sq", n.const("two", F(3))], T=FLOAT)
    n.node("Neg", "ng", "dv", T=FLOAT)
    n.node("Square", "sqr", "ng", T=FLOAT)
    n.node("Sqrt", "rt", "sqr", T=FLOAT)
    n.node("Maximum", "mx", ["rt", n.normal("other", 3)], T=FLOAT)
    n.node("Minimum", "mn", ["mx", n.const("cap", F(1))], T=FLOAT)
    n.node("Fill", "fl", [n.const("fsh", np.array([3], np.int32)), n.const("fv", F(.25))], T=FLOAT, index_type=INT32)
    n.node("Mul", "fm", ["mn", "fl"], T=FLOAT)
    n.node("Mul", "z1", ["mm", "fm"], T=FLOAT)
    n.node("AddV2", "output", ["z1", "rr"], T=FLOAT)
    return n.g


def call(missing=False):
    n = Net(9)
    n.input("input", 2)
    f = n.g.library.function.add()
    f.signature.name = "twice_plus"
    f.signature.input_arg.add(name="v", type=1)
    f.signature.output_arg.add(name="result", type=1)
    body = Net(0)
    body.const("mul/y", F(2))
    body.node("Mul", "mul", ["v", "mul/y:output:0"], T=FLOAT)
    body.const("add/y", F(1))
    body.node("AddV2", "add", ["mul:z:0", "add/y:output:0"], T=FLOAT)
    body.node("Identity", "Identity", ["add:z:0"], T=FLOAT)
    f.node_def.extend(body.g.node)
    f.ret["result"] = "Identity:output:0"
    n.node("PartitionedCall", "call", "input", Tin=[FLOAT], Tout=[FLOAT], config="", config_proto="", executor_type="")
    n.g.node[-1].attr["f"].func.name = "nowhere" if missing else "twice_plus"
    n.unary("Identity", "output", "call")
    return n.g


def tensor_arrays():
    n = Net(10)
    n.const("size", np.int32(2))
    n.node("TensorArrayV3", "ta", "size", dtype=FLOAT, dynamic_size=False, clear_after_read=True, identical_element_shapes=False,
           tensor_array_name="", element_shape=Shape([2]))
    n.input("input", 2)
    n.const("i0", np.int32(0))
    a = dict(T=FLOAT)
    n.node("TensorArrayWriteV3", "wr", ["ta", "i0", "input", "ta:1"], **a)
    n.node("TensorArrayReadV3", "rd", ["ta", "i0", "wr"], dtype=FLOAT)
    n.node("Range", "ids", ["i0", "size", n.const("i1", np.int32(1))], Tidx=INT32)
    n.node("TensorArrayGatherV3", "ga", ["ta", "ids", "wr"], dtype=FLOAT, element_shape=Shape([2]))
    n.node("TensorArrayScatterV3", "sc", ["ta", "ids", "ga", "wr"], **a)
    n.node("TensorArrayConcatV3", "co", ["ta", "sc"], dtype=FLOAT, element_shape_except0=Shape([2]))
    n.node("TensorArraySplitV3", "sp", ["ta", "co", n.const("len", np.array([2, 2], np.int64)), "sc"], **a)
    n.node("TensorArraySizeV3", "sz", ["ta", "sp"])
    n.node("TensorArrayGradV3", "gr", ["ta", "ta:1"], source="grad")
    n.node("TensorArrayReadV3", "gread", ["gr", "i0", "gr:1"], dtype=FLOAT)
    n.node("TensorArrayCloseV3", "cl", ["ta"])
    n.node("Add", "output", ["rd", "gread"], T=FLOAT)
    return n.g


def concat_v2(control=False):
    n = Net(11)
    n.input("input", 1, 4)
    n.node("NoOp", "before")
    more = ["^before"] if control else []
    n.node("ConcatV2", "cat", ["input", n.normal("k", 1, 3), n.const("axis", np.int32(1))] + more, T=FLOAT, N=2, Tidx=INT32)
    n.unary("Relu", "output", "cat")
    return n.g


def mul_scale(op="Conv2D", shape=(4,), first=False, extra=None):
    n = Net(12)
    if op == "MatMul":
        n.input("input", 2, 3)
        n.matmul("c", "input", n.normal("w", 3, 4))
    else:
        n.input("input", 1, 6, 6, 2)
        n.conv("c", "input", n.normal("w", 3, 3, 2, 4 if op == "Conv2D" else 2), op)
    n.const("s", np.asarray(n.r.rand(*shape) + .5, F))
    n.node("Mul", "m", ["s", "c"] if first else ["c", "s"], T=FLOAT)
    n.unary("Relu", "output", "m")
    if extra == "conv used":
        n.unary("Relu", "other", "c")
    if extra == "weight used":
        n.unary("Neg", "other", "w")
    if extra == "scale used":
        n.unary("Neg", "other", "s")
    if extra == "control":
        n.node("NoOp", "other", ["^c"])
    return n.g


def siblings():
    n = Net(13)
    n.input("input", 1, 6, 6, 2)
    for k in "cd":
        n.conv(k, "input", n.normal(k + "/w", 3, 3, 2, 4))
        n.node("Mul", k + "/m", [k, n.positive(k + "/s", 4)], T=FLOAT)
    n.node("Add", "output", ["c/m", "d/m"], T=FLOAT)
    return n.g


def batch_norm(bn="FusedBatchNorm", op="Conv2D", where="conv", extra=None, **more):
    n = Net(14)
    n.input("input", 1, 6, 6, 2)
    cols = 4
    if where == "conv":
        x = n.conv("c", "input", n.normal("w", 3, 3, 2, 4 if op == "Conv2D" else 2), op)
    elif where == "batch_to_space":
        s = n.node("SpaceToBatchND", "s2b", ["input", n.const("bs", np.array([2, 2], np.int32)),
                                             n.const("pad", np.array([[2, 2], [2, 2]], np.int32))], T=FLOAT,
                   Tblock_shape=INT32, Tpaddings=INT32)
        c = n.conv("c", s, n.normal("w", 3, 3, 2, 4 if op == "Conv2D" else 2), op, padding="VALID")
        x = n.node("BatchToSpaceND", "b2s", [c, n.const("bs2", np.array([2, 2], np.int32)),
                                             n.const("crop", np.zeros((2, 2), np.int32))], T=FLOAT, Tblock_shape=INT32,
                   Tcrops=INT32)
    else:
        axis = 3 if where != "concat0" else 0
        a = n.conv("c", "input", n.normal("w", 3, 3, 2, 4 if op == "Conv2D" else 2), op)
        second = 3 if axis == 3 and op == "Conv2D" else 4
        second_x = "input" if where == "concat_same" else n.unary("Neg", "input2", "input")
        b = n.conv("d", second_x, n.normal("w2", 3, 3, 2, second if op == "Conv2D" else 2), op)
        if where == "concat_old":
            x = n.node("Concat", "cat", [n.const("dim", np.int32(axis)), a, b], T=FLOAT, N=2)
        else:
            x = n.node("ConcatV2", "cat", [a, b, n.const("dim", np.int32(axis))], T=FLOAT, N=2, Tidx=INT32)
        cols = 4 + second if axis == 3 else 4
    if extra == "bias between":
        x = n.node("BiasAdd", "ba", [x, n.normal("bias", 4)], T=FLOAT, **NHWC)
    n.bn("bn", x, cols if extra != "wrong size" else cols + 1, bn, **more)
    n.unary("Relu", "output", "bn")
    if extra == "conv used":
        n.unary("Relu", "other", "c")
    if extra == "weights shared":
        n.unary("Relu", "other", n.conv("d", "input", "w"))
    if extra == "mean shared":
        n.bn("bn2", n.conv("d", "input", n.normal("w2", 3, 3, 2, 4)), 4, bn)
        n.g.node[-1].input[3 if bn.startswith("Fused") else 1] = "bn/mean"
        n.node("Add", "other", ["output", "bn2"], T=FLOAT)
    return n.g


def requant(second_op="Relu"):
    """A graph that quantize_nodes could have made: ranges found while running."""
    n = Net(15)
    n.input("input", 1, 4)
    n.node("RequantizationRange", "rr", ["input", "input", "input"], Tinput=Type("qint32"))
    n.node("RequantizationRange", "deep/rr", ["input", "input", "input"], Tinput=Type("qint32"))
    n.node("Requantize", "rq", ["input", "input", "input", "rr", "rr:1"], Tinput=Type("qint32"), out_type=Type("quint8"))
    n.node("Requantize", "output", ["rq", "input", "input", "deep/rr:0", "deep/rr:1"], Tinput=Type("qint32"),
           out_type=Type("quint8"))
    return n.g


def duplicates():
    n = Net(16)
    n.input("input", 4)
    v = n.r.randn(4).astype(F)
    for k in range(3):
        n.const(f"k{k}", v)
        n.node("Mul", f"m{k}", ["input", f"k{k}"], T=FLOAT)
        n.node("Relu", f"r{k}", [f"m{k}:0"], T=FLOAT)
    n.const("sh", np.array([4], np.int32))
    for k in range(2):
        n.node("RandomUniform", f"u{k}", "sh", T=INT32, dtype=FLOAT, seed=1, seed2=2)
    n.node("AddN", "sum", ["r0", "r1", "r2", "u0", "u1"], T=FLOAT, N=5)
    n.node("Neg", "output", ["sum", "^m1"], T=FLOAT)
    return n.g


def devices():
    n = Net(17)
    n.node("Placeholder", "input", device="/device:GPU:0", dtype=FLOAT, shape=Shape([4]))
    n.node("NoOp", "nop", device="/cpu:0")
    n.node("Relu", "a", ["input", "^nop"], device="/job:worker/task:1", T=FLOAT)
    n.node("Neg", "b", ["a", "^nop", "^a"], T=FLOAT)
    n.node("Identity", "i1", ["b", "^a"], T=FLOAT)
    n.node("Identity", "i2", "i1:0", T=FLOAT)
    n.node("Split", "sp", [n.const("dim", np.int32(0)), "i2"], T=FLOAT, num_split=2)
    n.node("Identity", "i3", "sp:1", T=FLOAT)
    n.node("Maximum", "mx", ["i3", "sp"], T=FLOAT)
    n.node("Identity", "output", ["mx", "^i1", "^i3"], T=FLOAT)
    return n.g


def layers():
    """All the ops that quantize_nodes knows, and several that it does not."""
    n = Net(18)
    n.input("input", 1, 8, 8, 4)
    n.conv("conv", "input", n.normal("w", 3, 3, 4, 8, scale=.3))
    n.node("BiasAdd", "bias", ["conv", n.normal("b", 8)], T=FLOAT, **NHWC)
    n.unary("Relu", "relu", "bias")
    n.unary("Relu6", "relu6", "bias:0")
    n.node("Add", "add", ["relu", "relu6"], T=FLOAT)
    n.node("Mul", "mul", ["add", n.positive("k", 8)], T=FLOAT)
    n.node("Split", "split", [n.const("dim3", np.int32(3)), "mul"], T=FLOAT, num_split=2)
    n.node("Concat", "cat", ["dim3", "split:1", "split"], T=FLOAT, N=2)
    n.pool("MaxPool", "mp", "cat")
    n.pool("AvgPool", "ap", "mp")
    n.node("ResizeBilinear", "rs", ["ap", n.const("size", np.array([4, 4], np.int32))], T=FLOAT, align_corners=False,
           half_pixel_centers=False)
    n.node("Reshape", "flat", ["rs", n.const("shape", np.array([1, 128], np.int32))], T=FLOAT, Tshape=INT32)
    n.matmul("fc", "flat", n.normal("fw", 128, 10, scale=.1))
    n.node("AddV2", "av2", ["fc", n.normal("fb", 10)], T=FLOAT)
    n.node("Sub", "sub", ["av2", "fb"], T=FLOAT)
    n.unary("Softmax", "output", "sub")
    return n.g


def odd_layers(kind):
    """What quantize_nodes meets and mishandles."""
    n = Net(19)
    n.input("input", 1, 8, 8, 4)
    if kind == "twice":
        n.node("Add", "output", ["input", "input"], T=FLOAT)
    if kind == "control":
        n.node("NoOp", "nop")
        n.unary("Relu", "output", ["input", "^nop"])
    if kind == "no align_corners":
        n.node("ResizeBilinear", "output", ["input", n.const("size", np.array([4, 4], np.int32))], T=FLOAT)
    if kind == "no T":
        n.node("Relu", "output", "input")
    if kind == "ints":
        n.node("Placeholder", "ints", dtype=INT32)
        n.node("Add", "isum", ["ints", "ints"], T=INT32)
        n.unary("Relu", "output", "input")
    if kind == "dilated":
        n.conv("output", "input", n.normal("w", 3, 3, 4, 8), dilations=(1, 2, 2, 1))
    if kind == "strides":
        n.conv("output", "input", n.normal("w", 3, 3, 4, 8), strides=(1, 1, 2, 1))
    if kind == "nchw":
        n.conv("output", "input", n.normal("w", 3, 3, 8, 8), data_format="NCHW")
    if kind == "half pixel":
        n.node("ResizeBilinear", "output", ["input", n.const("size", np.array([11, 11], np.int32))], T=FLOAT,
               align_corners=False, half_pixel_centers=True)
    if kind == "depthwise":
        n.conv("dw", "input", n.normal("w", 3, 3, 4, 1), "DepthwiseConv2dNative")
        n.node("AddV2", "a2", ["dw", n.normal("b", 4)], T=FLOAT)
        n.node("ConcatV2", "output", ["a2", "dw", n.const("ax", np.int32(3))], T=FLOAT, N=2, Tidx=INT32)
    return n.g


def weights():
    """Constants of every sort that quantize_weights and round_weights look at."""
    n = Net(20)
    n.normal("mixed", 40, 30)
    n.const("negative", -np.linspace(1, 2, 1024).astype(F))
    n.const("positive", np.linspace(1, 2, 1500).astype(F))
    n.const("zero", np.zeros(1024, F))
    n.const("same", np.full((4, 300), 3, F))
    n.const("same_negative", np.full(1030, -3, F))
    n.const("short", np.linspace(-1, 1, 1023).astype(F))
    n.const("small", np.linspace(-1, 1, 17).astype(F))
    n.const("few", np.linspace(-1, 1, 15).astype(F))
    n.const("ints", np.arange(2000).astype(np.int32))
    n.const("double", np.linspace(-1, 1, 2000))
    one = n.g.node.add(op="Const", name="typed")
    set_attr(one.attr["dtype"], FLOAT)
    set_tensor(one.attr["value"].tensor, np.linspace(-3, 1, 1100).astype(F), "list")
    rep = n.g.node.add(op="Const", name="repeated")
    set_attr(rep.attr["dtype"], FLOAT)
    set_tensor(rep.attr["value"].tensor, np.array([1, 2, 3], F), "list")
    rep.attr["value"].tensor.tensor_shape.dim[0].size = 1200
    return n.g


def bad_weights(kind):
    n = Net(21)
    v = np.linspace(-1, 1, 2000).astype(F)
    v[5] = np.nan if kind == "nan" else np.inf
    n.const("w", v)
    if kind == "no value":
        n.g.node.add(op="Const", name="hollow")
        set_attr(n.g.node[-1].attr["dtype"], FLOAT)
    return n.g


def broken(kind):
    n = Net(22)
    n.input("input", 4)
    if kind == "missing input":
        n.unary("Relu", "output", "nothere")
    if kind == "cycle":
        n.node("Add", "a", ["input", "output"], T=FLOAT)
        n.unary("Relu", "output", "a")
    if kind == "unknown op":
        n.node("Bogus", "mid", "input", T=FLOAT)
        n.unary("Relu", "output", "mid")
    return n.g


def loop():
    """A while loop as frozen graphs have it."""
    n = Net(23)
    n.input("input", 4)
    n.node("Enter", "enter", "input", T=FLOAT, frame_name="f", is_constant=False, parallel_iterations=10)
    n.node("Merge", "merge", ["enter", "next"], T=FLOAT, N=2)
    n.node("Identity", "idm", "merge", T=FLOAT)
    n.node("Less", "less", [n.node("Sum", "total", ["idm", n.const("ax", np.array([0], np.int32))], T=FLOAT, Tidx=INT32,
                                   keep_dims=False), n.const("lim", F(10))], T=FLOAT)
    n.node("LoopCond", "cond", "less")
    n.node("Switch", "switch", ["idm", "cond"], T=FLOAT)
    n.node("Identity", "body", "switch:1", T=FLOAT)
    n.node("Add", "inc", ["body", n.const("step", F(1))], T=FLOAT)
    n.node("NextIteration", "next", "inc", T=FLOAT)
    n.node("Exit", "exit", "switch", T=FLOAT)
    n.node("Identity", "output", "exit", T=FLOAT)
    return n.g


def residual():
    """A block of a residual network as Keras freezes it: weights behind Identity, AddV2, FusedBatchNormV3, a NoOp at the end."""
    n = Net(24)
    n.input("input", 1, 8, 8, 4)
    n.unary("Identity", "w1/read", n.normal("w1", 3, 3, 4, 8, scale=.3))
    n.conv("c1", "input", "w1/read")
    n.bn("bn1", "c1", 8, "FusedBatchNormV3", exponential_avg_factor=1.0)
    n.unary("Relu", "r1", "bn1")
    n.node("Pad", "pad", ["r1", n.const("pads", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))], T=FLOAT, Tpaddings=INT32)
    n.conv("dw", "pad", n.normal("w2", 3, 3, 8, 1, scale=.3), "DepthwiseConv2dNative", padding="VALID")
    n.bn("bn2", "dw", 8, "FusedBatchNormV3", exponential_avg_factor=1.0)
    n.unary("LeakyRelu", "r2", "bn2", alpha=0.25)
    n.node("AddV2", "sum", ["r1", "r2"], T=FLOAT)
    n.node("Mean", "mean", ["sum", n.const("axes", np.array([1, 2], np.int32))], T=FLOAT, Tidx=INT32, keep_dims=False)
    n.unary("Identity", "fw/read", n.normal("fw", 8, 5))
    n.matmul("fc", "mean", "fw/read")
    n.node("BiasAdd", "fcb", ["fc", n.normal("fb", 5)], T=FLOAT, **NHWC)
    n.unary("Softmax", "soft", "fcb")
    n.node("NoOp", "hold", ["^w1/read", "^fw/read"])
    n.node("Identity", "output", ["soft", "^hold"], T=FLOAT)
    return n.g


def real(*path):
    data = pathlib.Path(os.environ.get("BITLATHE_SOURCE", pathlib.Path(__file__).parents[2])) / "../shared/data/tf_pb"

    def read():
        g = GraphDef()
        g.ParseFromString(data.joinpath(*path).read_bytes())
        return g
    return read


IN, OUT = ["input"], ["output"]
GRAPHS = {
    "cnn": (cnn, IN, ["softmax"]), "old": (old, ["Mul"], ["softmax"]),
    "atrous": (atrous, IN, OUT), "atrous_depthwise": (lambda: atrous("DepthwiseConv2dNative"), IN, OUT),
    "resize_pad": (resize_pad, IN, OUT), "resize": (lambda: resize_pad(pad=False), IN, OUT),
    "pad": (lambda: resize_pad(resize=False), IN, OUT),
    "fq0": (lambda: fake_quant(()), IN, OUT), "fq1": (fake_quant, IN, OUT),
    "fq2": (lambda: fake_quant(("Relu", "MaxPool"), True), IN, ["second"]),
    "fq3": (lambda: fake_quant(("Neg", "Relu", "MaxPool")), IN, OUT),
    "fq4": (lambda: fake_quant(("Neg", "Relu", "MaxPool", "Relu6")), IN, OUT),
    "fq_sigmoid": (lambda: fake_quant(("Sigmoid",)), IN, OUT),
    "gather": (gather, ["ids"], OUT), "gather_v2": (lambda: gather("GatherV2"), ["ids"], OUT),
    "gather_bare": (lambda: gather(identity=False), ["ids"], OUT), "gather_tail": (lambda: gather("GatherV2", tail=True), ["ids"], OUT),
    "gather_tail_v1": (lambda: gather(tail=True), ["ids"], OUT),
    "gather_empty": (gather_empty, ["ids"], OUT), "gather_wide": (gather_wide, ["ids"], OUT),
    "shapes": (shapes, IN, OUT), "arithmetic": (arithmetic, IN, OUT),
    "call": (call, IN, OUT), "call_missing": (lambda: call(True), IN, OUT),
    "tensor_arrays": (tensor_arrays, IN, OUT), "concat": (concat_v2, IN, OUT), "concat_control": (lambda: concat_v2(True), IN, OUT),
    "mul_conv": (mul_scale, IN, OUT), "mul_matmul": (lambda: mul_scale("MatMul"), IN, OUT),
    "mul_depthwise": (lambda: mul_scale("DepthwiseConv2dNative"), IN, OUT),
    "mul_scalar": (lambda: mul_scale(shape=()), IN, OUT), "mul_4d": (lambda: mul_scale(shape=(1, 1, 1, 4)), IN, OUT),
    "mul_first": (lambda: mul_scale(first=True), IN, OUT),
    "mul_conv_used": (lambda: mul_scale(extra="conv used"), IN, ["output", "other"]),
    "mul_weight_used": (lambda: mul_scale(extra="weight used"), IN, ["output", "other"]),
    "mul_scale_used": (lambda: mul_scale(extra="scale used"), IN, ["output", "other"]),
    "mul_control": (lambda: mul_scale(extra="control"), IN, OUT), "mul_conv_output": (mul_scale, IN, ["output", "c"]),
    "siblings": (siblings, IN, OUT), "requant": (requant, IN, OUT), "duplicates": (duplicates, IN, OUT),
    "devices": (devices, IN, OUT), "layers": (layers, IN, OUT), "weights": (weights, [], ["mixed"]),
    "loop": (loop, IN, OUT), "residual": (residual, IN, OUT),
    "bn_v3_bias": (lambda: batch_norm("FusedBatchNormV3", extra="bias between"), IN, OUT),
    "bn_v2": (lambda: batch_norm("FusedBatchNormV2"), IN, OUT),
    "bn_bias": (lambda: batch_norm(extra="bias between"), IN, OUT),
    "bn_training": (lambda: batch_norm(is_training=True), IN, OUT),
    "bn_unscaled": (lambda: batch_norm("BatchNormWithGlobalNormalization", scale_after_normalization=False), IN, OUT),
    "bn_concat_old": (lambda: batch_norm(where="concat_old"), IN, OUT),
    "bn_concat_same": (lambda: batch_norm(where="concat_same"), IN, OUT),
    "bn_conv_used": (lambda: batch_norm(extra="conv used"), IN, ["output", "other"]),
    "bn_weights_shared": (lambda: batch_norm(extra="weights shared"), IN, ["output", "other"]),
    "bn_mean_shared": (lambda: batch_norm(extra="mean shared"), IN, ["output", "other"]),
    "bn_wrong_size": (lambda: batch_norm(extra="wrong size"), IN, OUT),
}
for where in ("conv", "batch_to_space", "concat", "concat0"):
    for bn in ("FusedBatchNorm", "BatchNormWithGlobalNormalization"):
        for op in ("Conv2D", "DepthwiseConv2dNative"):
            GRAPHS[f"bn_{where}_{bn[:5]}_{op[:5]}"] = (lambda w=where, b=bn, o=op: batch_norm(b, o, w), IN, OUT)
for kind in ("twice", "control", "no align_corners", "no T", "ints", "dilated", "strides", "nchw", "half pixel", "depthwise"):
    GRAPHS["odd_" + kind.replace(" ", "_")] = (lambda k=kind: odd_layers(k), IN, OUT)
for kind in ("missing input", "cycle", "unknown op"):
    GRAPHS["bad_" + kind.replace(" ", "_")] = (lambda k=kind: broken(k), IN, OUT)
for kind in ("nan", "inf", "no value"):
    GRAPHS["weights_" + kind.replace(" ", "_")] = (lambda k=kind: bad_weights(k), [], ["w"])
