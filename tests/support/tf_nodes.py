"""Small graphs for quantize_nodes where it goes beyond the original: a graph with an input `input` and an output `output`
for each operator and way to use it, and how far an eight-bit graph may be from it.

An eight-bit tensor is off by at most one step of its range, 1/255 of it: half a step is the rounding, and the end of the
range may be off by the other half, as ranges begin at a multiple of the step.  bound() carries such errors through a graph.
"""
import numpy as np

from tf_graphs import FLOAT, INT32, INT64, Net
from tf_messages import NUMPY, values

FIRST = dict(data_format="NCHW")


def order(nchw, *four):
    """A list along a picture's dimensions, given channels last."""
    return [four[k] for k in (0, 3, 1, 2)] if nchw else list(four)


def picture(n, nchw, *shape):
    n.input("input", *order(nchw, *shape))
    return tuple(order(nchw, *shape))


def layout(nchw):
    return FIRST if nchw else {}


def depthwise(nchw=False, shape=(1, 5, 7, 3), kernel=(3, 3), units=1, stride=1, padding="SAME", then=()):
    n = Net(11)
    fed = picture(n, nchw, *shape)
    n.conv("output" if not then else "conv", "input", n.normal("w", *kernel, shape[3], units, scale=.4), "DepthwiseConv2dNative",
           order(nchw, 1, stride, stride, 1), padding, **layout(nchw))
    for i, op in enumerate(then):
        n.unary(op, "output" if i + 1 == len(then) else f"then{i}", f"then{i - 1}" if i else "conv")
    return n.g, fed


def conv(nchw=False, shape=(1, 6, 5, 3), units=4, kernel=(3, 3), stride=1, padding="SAME", sum="BiasAdd", shared=False, spread=False, **more):
    """A convolution with a vector added; shared: somebody else reads the convolution too; spread: weights that differ much
    between channels, the last all zero."""
    n = Net(12)
    fed = picture(n, nchw, *shape)
    w = n.r.randn(*kernel, shape[3], units) * (.4 * np.array([100, 1, .01, 0]) if spread else .4)
    n.conv("conv", "input", n.const("w", w.astype(np.float32)), "Conv2D", order(nchw, 1, stride, stride, 1), padding,
           **layout(nchw), **more)
    plus(n, sum, "sum", "conv", n.normal("b", units), nchw)
    n.unary("Relu", "relu", "sum")
    n.node("Add", "output", ["relu", "conv"] if shared else ["relu", "relu"], T=FLOAT)
    return n.g, fed


def odd_conv(nchw=False, shape=(2, 9, 8, 3), kernel=(3, 2), strides=(1, 1), dilations=(1, 1), padding="SAME", pads=None, sum=None,
             spread=False):
    """A convolution that QuantizedConv2D does not know."""
    n = Net(26)
    fed = picture(n, nchw, *shape)
    w = n.r.randn(*kernel, shape[3], 4) * (.4 * np.array([30, 1, .03, 0]) if spread else .4)
    more = dict(explicit_paddings=sum_of(order(nchw, (0, 0), *pads, (0, 0)))) if pads else {}
    n.conv("conv" if sum else "output", "input", n.const("w", w.astype(np.float32)), "Conv2D", order(nchw, 1, *strides, 1),
           "EXPLICIT" if pads else padding, order(nchw, 1, *dilations, 1), **layout(nchw), **more)
    if sum:
        plus(n, sum, "sum", "conv", n.normal("b", 4), nchw)
        n.unary("Relu", "output", "sum")
    return n.g, fed


def sum_of(lists):
    return [v for some in lists for v in some]


def plus(n, op, name, x, y, nchw=False, swapped=False):
    n.node(op, name, [y, x] if swapped else [x, y], T=FLOAT, **({} if op != "BiasAdd" else layout(nchw) or dict(data_format="NHWC")))


def dense(sum="BiasAdd", batch=3, swapped=False, turned=False):
    n = Net(13)
    n.input("input", batch, 10)
    n.node("MatMul", "product", ["input", n.normal("w", *((7, 10) if turned else (10, 7)))], T=FLOAT, transpose_a=False, transpose_b=turned)
    plus(n, sum, "output", "product", n.normal("b", 7), False, swapped)
    return n.g, (batch, 10)


def matrices(op, turned=False):
    n = Net(25)
    n.input("input", 3, 10)
    n.node(op, "output", ["input", n.normal("w", *((7, 10) if turned else (10, 7)))], T=FLOAT, adj_x=False, adj_y=turned)
    return n.g, (3, 10)


def depthwise_bias(nchw=False):
    n = Net(14)
    fed = picture(n, nchw, 1, 6, 5, 4)
    n.conv("conv", "input", n.normal("w", 3, 3, 4, 2, scale=.4), "DepthwiseConv2dNative", **layout(nchw))
    plus(n, "BiasAdd", "sum", "conv", n.normal("b", 8), nchw)
    n.unary("Relu6", "output", "sum")
    return n.g, fed


def sub(how, shape=(2, 3, 5, 4)):
    """Less a constant of the same shape, a vector, a number; a vector less the input; itself."""
    n = Net(15)
    n.input("input", *shape)
    if how != "itself":
        n.const("c", np.asarray(n.r.randn(*dict(same=shape, number=()).get(how, shape[-1:])), np.float32))
    pair = dict(itself=["input", "input"], turned=["c", "input"]).get(how, ["input", "c"])
    n.node("Sub", "output", pair, T=FLOAT)
    return n.g, shape


def pad(nchw=False, then=False, shape=(2, 3, 5, 2), pads=((0, 0), (1, 2), (0, 3), (0, 0)), type=INT32):
    n = Net(16)
    fed = picture(n, nchw, *shape)
    n.const("pads", np.array(order(nchw, *pads), np.int32 if type == INT32 else np.int64))
    n.node("Pad", "pad" if then else "output", ["input", "pads"], T=FLOAT, Tpaddings=type)
    if then:
        n.conv("output", "pad", n.normal("w", 3, 3, shape[3], 2, scale=.4), padding="VALID", **layout(nchw))
    return n.g, fed


def leaky(alpha, shape=(2, 3, 5, 2)):
    n = Net(17)
    n.input("input", *shape)
    n.node("LeakyRelu", "output", ["input"], T=FLOAT, **({} if alpha is None else dict(alpha=float(alpha))))
    return n.g, shape


def mean(axes, keep=False, shape=(2, 5, 4, 3), known=True, after=None):
    n = Net(18)
    n.input("input", *(shape if known else [-1] * len(shape)))
    n.const("axes", np.array(axes, np.int32))
    n.node("Mean", "output", ["input", "axes"], T=FLOAT, Tidx=INT32, keep_dims=keep)
    return n.g, shape


def norm(op="FusedBatchNorm", nchw=False, shape=(2, 3, 5, 6), more=None, **attrs):
    n = Net(19)
    fed = picture(n, nchw, *shape)
    n.bn("output" if not more else "norm", "input", shape[3], op, **layout(nchw), **attrs)
    if more:
        n.unary(more, "output", "norm")
    return n.g, fed


def shared_input():
    """Several readers of one tensor, an output in the middle of what else would be one construction."""
    n = Net(20)
    n.input("input", 1, 6, 6, 4)
    n.conv("a", "input", n.normal("a/w", 3, 3, 4, 1, scale=.4), "DepthwiseConv2dNative")
    n.unary("LeakyRelu", "b", "a", alpha=.1)
    n.node("Sub", "c", ["a", "b"], T=FLOAT)
    n.const("pads", np.zeros((4, 2), np.int32))
    n.node("Pad", "d", ["c", "pads"], T=FLOAT, Tpaddings=INT32)
    n.node("AddV2", "output", ["d", "input"], T=FLOAT)
    return n.g, (1, 6, 6, 4)


def net(nchw):
    """What networks with channels first are made of, in a row."""
    n = Net(21)
    fed = picture(n, nchw, 2, 9, 8, 3)
    f = layout(nchw)
    n.const("pads", np.array(order(nchw, (0, 0), (1, 1), (1, 1), (0, 0)), np.int32))
    n.node("Pad", "pad", ["input", "pads"], T=FLOAT, Tpaddings=INT32)
    n.conv("c1", "pad", n.normal("w1", 3, 3, 3, 6, scale=.4), strides=order(nchw, 1, 2, 2, 1), padding="VALID", **f)
    n.bn("n1", "c1", 6, "FusedBatchNormV3", **f)
    n.unary("Relu6", "r1", "n1")
    n.node("MaxPool", "p1", ["r1"], T=FLOAT, ksize=order(nchw, 1, 3, 3, 1), strides=order(nchw, 1, 1, 1, 1), padding="SAME",
           data_format="NCHW" if nchw else "NHWC")
    n.conv("c2", "p1", n.normal("w2", 3, 3, 6, 1, scale=.4), "DepthwiseConv2dNative", **f)
    n.node("BiasAdd", "b2", ["c2", n.normal("v2", 6)], T=FLOAT, data_format="NCHW" if nchw else "NHWC")
    n.unary("LeakyRelu", "r2", "b2", alpha=.125)
    n.node("AddV2", "sum", ["r2", "p1"], T=FLOAT)
    n.node("ConcatV2", "cat", ["sum", "r1", n.const("axis", np.int32(1 if nchw else 3))], T=FLOAT, N=2, Tidx=INT32)
    n.node("Sub", "sub", ["cat", n.const("half", np.float32(.5))], T=FLOAT)
    n.const("plane", np.array([2, 3] if nchw else [1, 2], np.int32))
    n.node("Mean", "output", ["sub", "plane"], T=FLOAT, Tidx=INT32, keep_dims=False)
    return n.g, fed


def pool(op, nchw=False, shape=(2, 6, 5, 3)):
    n = Net(22)
    fed = picture(n, nchw, *shape)
    n.node(op, "output", ["input"], T=FLOAT, ksize=order(nchw, 1, 3, 2, 1), strides=order(nchw, 1, 2, 2, 1), padding="SAME",
           data_format="NCHW" if nchw else "NHWC")
    return n.g, fed


def bias(nchw=False, shape=(2, 3, 4, 5)):
    n = Net(23)
    fed = picture(n, nchw, *shape)
    plus(n, "BiasAdd", "output", "input", n.normal("b", shape[-1]), nchw)
    return n.g, fed


CASES = {
    "depthwise": depthwise,
    "depthwise, two units": lambda: depthwise(shape=(2, 6, 5, 4), units=2),
    "depthwise, stride 2, batch 2": lambda: depthwise(shape=(2, 9, 7, 5), stride=2),
    "depthwise, valid": lambda: depthwise(shape=(1, 8, 6, 3), kernel=(2, 3), padding="VALID"),
    "depthwise, relu6": lambda: depthwise(then=("Relu6",)),
    "depthwise, no pictures": lambda: depthwise(shape=(0, 5, 7, 3)),
    "depthwise, bias": depthwise_bias,
    "conv, bias": conv,
    "conv, bias, batch 2": lambda: conv(shape=(2, 5, 3, 2), stride=2),
    "conv, Add": lambda: conv(sum="Add"),
    "conv, AddV2": lambda: conv(sum="AddV2", padding="VALID"),
    "conv, bias, shared": lambda: conv(shared=True),
    "conv, bias, no pictures": lambda: conv(shape=(0, 5, 3, 2)),
    "conv, strides 2 1": lambda: odd_conv(strides=(2, 1)),
    "conv, strides 2 1, bias": lambda: odd_conv(strides=(2, 1), sum="BiasAdd"),
    "conv, strides 2 4, valid": lambda: odd_conv(strides=(2, 4), padding="VALID", kernel=(2, 3)),
    "conv, strides 1 3, zeros": lambda: odd_conv(strides=(1, 3), pads=((2, 0), (1, 3))),
    "conv, zeros": lambda: odd_conv(pads=((1, 2), (0, 1))),
    "conv, zeros, stride 2, bias": lambda: odd_conv(pads=((0, 2), (3, 0)), strides=(2, 2), sum="BiasAdd"),
    "conv, zeros of none": lambda: odd_conv(pads=((0, 0), (0, 0))),
    "conv, dilated": lambda: odd_conv(dilations=(2, 2)),
    "conv, dilated 2 3, valid, bias": lambda: odd_conv(dilations=(2, 3), padding="VALID", sum="BiasAdd"),
    "conv, dilated 1 4": lambda: odd_conv(dilations=(1, 4), shape=(1, 5, 9, 2)),
    "conv, dilated 3 1, zeros": lambda: odd_conv(dilations=(3, 1), pads=((1, 1), (0, 2)), sum="Add"),
    "conv, dilated, no pictures": lambda: odd_conv(dilations=(2, 2), shape=(0, 9, 8, 3)),
    "dense, bias": dense,
    "dense, AddV2, swapped": lambda: dense("AddV2", swapped=True),
    "dense, Add, turned": lambda: dense("Add", turned=True),
    "dense, BatchMatMul": lambda: matrices("BatchMatMul", True),
    "dense, BatchMatMulV2": lambda: matrices("BatchMatMulV2"),
    "dense, nothing": lambda: dense(batch=0),
    **{f"sub, {how}": lambda how=how: sub(how) for how in ("same", "vector", "number", "turned", "itself")},
    "sub, nothing": lambda: sub("vector", (0, 3, 5, 4)),
    "pad": pad,
    "pad, int64": lambda: pad(type=INT64),
    "pad, conv": lambda: pad(then=True),
    "pad, nothing": lambda: pad(shape=(0, 3, 5, 2)),
    "pad, one dimension": lambda: pad(shape=(4, 3, 5, 2), pads=((2, 1), (0, 0), (0, 0), (0, 0))),
    **{f"leaky, {alpha}": lambda alpha=alpha: leaky(alpha) for alpha in (None, 0, .01, 1.5)},
    "leaky, nothing": lambda: leaky(.2, (0, 2)),
    "mean": lambda: mean([1, 2]),
    "mean, kept": lambda: mean([1, 2], True),
    "mean, negative axes": lambda: mean([-1, 0]),
    "mean, one axis": lambda: mean(2),
    "mean, no axis": lambda: mean(np.zeros(0, np.int32)),
    "mean, unknown sizes": lambda: mean([-2, 1], known=False),
    "mean, unknown sizes, one axis": lambda: mean(-1, True, known=False),
    "mean, no pictures": lambda: mean([1, 2], shape=(0, 5, 4, 3)),
    **{f"norm, {op}": lambda op=op: norm(op) for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")},
    "norm, epsilon, relu": lambda: norm(epsilon=.5, more="Relu"),
    "norm, no pictures": lambda: norm("FusedBatchNormV3", shape=(0, 3, 5, 6)),
    "net": lambda: net(False),
    "bias": bias,
    "bias, one row": lambda: bias(shape=(1, 6)),
    "bias, nothing": lambda: bias(shape=(0, 6)),
    "NCHW, net": lambda: net(True),
    "NCHW, depthwise, stride 2": lambda: depthwise(True, shape=(2, 9, 7, 5), stride=2),
    "NCHW, depthwise, relu6": lambda: depthwise(True, then=("Relu6", "Relu")),
    "NCHW, depthwise, bias": lambda: depthwise_bias(True),
    "NCHW, depthwise, no pictures": lambda: depthwise(True, shape=(0, 5, 7, 3)),
    "NCHW, conv, bias, shared": lambda: conv(True, shape=(2, 6, 5, 3), shared=True),
    "NCHW, conv, stride 2": lambda: conv(True, stride=2, padding="VALID"),
    "NCHW, conv, strides 2 1, bias": lambda: odd_conv(True, strides=(2, 1), sum="BiasAdd"),
    "NCHW, conv, dilated, zeros": lambda: odd_conv(True, dilations=(2, 1), pads=((1, 2), (0, 1))),
    "NCHW, pad, conv": lambda: pad(True, then=True),
    "NCHW, bias": lambda: bias(True),
    **{f"NCHW, norm, {op}": lambda op=op: norm(op, True, more="Relu") for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")},
    **{f"NCHW, {op}": lambda op=op: pool(op, True) for op in ("MaxPool", "AvgPool")},
    "shared": shared_input,
    "per channel, conv, bias": lambda: conv(spread=True),
    "per channel, conv, shared, batch 2": lambda: conv(shape=(2, 5, 4, 3), stride=2, padding="VALID", shared=True, spread=True),
    "per channel, conv, no pictures": lambda: conv(shape=(0, 5, 3, 2)),
    "per channel, conv, strides 2 1, bias": lambda: odd_conv(strides=(2, 1), sum="BiasAdd", spread=True),
    "per channel, conv, dilated, zeros": lambda: odd_conv(dilations=(2, 3), pads=((1, 2), (4, 1)), spread=True),
    "per channel, depthwise": lambda: depthwise(shape=(2, 6, 5, 4), units=2, then=("Relu6",)),
    "per channel, depthwise, bias": depthwise_bias,
    "per channel, dense, bias": dense,
    "per channel, dense, turned": lambda: dense("Add", turned=True),
    "per channel, NCHW, net": lambda: net(True),
}


def transforms(name):
    return f"quantize_nodes{'(per_channel=true)' if 'per channel' in name else ''} strip_unused_nodes"


def fed(name):
    """What the input gets."""
    shape = CASES[name]()[1]
    return (np.random.RandomState(sum(map(ord, name))).randn(*shape) * 1.5 + .3).astype(np.float32)


# ---- how far eight bits may be off --------------------------------------------------------------------------------
def step(v, e):
    """Of a range that has all values and zero."""
    least, most = min(0, v.min(initial=0) - e), max(0, v.max(initial=0) + e)
    return max(most - least, .01 * max(1, abs(least), abs(most))) / 255


def through(n, v, e):
    """The greatest error of a node's result, from values and errors of its inputs."""
    a = [abs(x).max(initial=0) for x in v]
    if n.op in ("Conv2D", "DepthwiseConv2dNative") or "MatMul" in n.op:
        w = v[1].T if n.attr["transpose_b"].b or n.attr["adj_y"].b else v[1]
        sums = tuple(range(w.ndim - 1)) if n.op != "DepthwiseConv2dNative" else (0, 1)
        terms = np.prod([w.shape[k] for k in sums])
        return abs(w).sum(sums).max() * e[0] + terms * (a[0] * e[1] + e[0] * e[1])
    if n.op in ("BiasAdd", "Add", "AddV2", "Sub"):
        return e[0] + e[1]
    if n.op.startswith("FusedBatchNorm"):
        return abs(v[1] / np.sqrt(v[4] + n.attr["epsilon"].f)).max() * e[0]
    if n.op == "LeakyRelu":
        return max(1, abs(n.attr["alpha"].f)) * e[0]
    return e[0]  # functions that bring values no further apart


def bound(g, fetched):
    """How far output may be off, given every node's value in floats.  Tensors that stay float cost a step too."""
    error = {}
    for n in g.node:
        names = [i.split(":")[0] for i in n.input if not i.startswith("^")]
        if not names:
            error[n.name] = 0
            continue
        v = [fetched[i] for i in names]
        e = [error[i] + (step(fetched[i], error[i]) if fetched[i].dtype == np.float32 else 0) for i in names]
        error[n.name] = through(n, v, e)
    e = error["output"]
    return e + step(fetched["output"], e)


def constants(g):
    return {n.name: values(n.attr["value"].tensor).astype(NUMPY[n.attr["dtype"].type]) for n in g.node if n.op == "Const"}
