"""Small graphs for quantize_nodes where it goes beyond the original: a graph with an input `input` and an output `output`
for each operator and way to use it, and how far an eight-bit graph may be from it.

An eight-bit tensor is off by at most one step of its range, 1/255 of it: half a step is the rounding, and the end of the
range may be off by the other half, as ranges begin at a multiple of the step.  bound() carries such errors through a graph.
"""
import numpy as np

from tf_graphs import FLOAT, INT32, Net
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


CASES = {
    "depthwise": depthwise,
    "depthwise, two units": lambda: depthwise(shape=(2, 6, 5, 4), units=2),
    "depthwise, stride 2, batch 2": lambda: depthwise(shape=(2, 9, 7, 5), stride=2),
    "depthwise, valid": lambda: depthwise(shape=(1, 8, 6, 3), kernel=(2, 3), padding="VALID"),
    "depthwise, relu6": lambda: depthwise(then=("Relu6",)),
}


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
    if n.op in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
        w = v[1] if n.op != "MatMul" or not n.attr["transpose_b"].b else v[1].T
        sums = tuple(range(w.ndim - 1)) if n.op != "DepthwiseConv2dNative" else (0, 1)
        terms = np.prod([w.shape[k] for k in sums])
        return abs(w).sum(sums).max() * e[0] + terms * (a[0] * e[1] + e[0] * e[1])
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
