"""The Inception v3 of 2015 at full size, as TensorFlow's tutorials had it (classify_image_graph_def.pb), with seeded weights.

Nodes, names, shapes and attributes are the published ones: 1004 nodes, 489 of them constants with 23,885,411 elements; from
the bytes of a JPEG to `softmax`, pictures at `Mul`.  The weights are not: normal, as wide as keeps the values of all layers
of one size, batch norms about one, so that all of the graph is at work.  What it sees in a picture means nothing.

Usage by hand: tf_inception.py OUT.pb
"""
import pathlib
import sys

import numpy as np

from tf_graphs import F, FLOAT, INT32, Net, Type
from tf_messages import TYPES

SAME, VALID = "SAME", "VALID"


class Inception(Net):
    def __init__(self):
        super().__init__(5, producer=8)
        self.draw = np.random.Generator(np.random.SFC64(5))
        self.channels = {"Mul": 3}

    def vector(self, name, low, high, size):
        return self.const(name, (low + (high - low) * self.draw.random(size, F)).astype(F))

    def checked(self, name, x):
        """x, once its numbers have been checked."""
        self.node("CheckNumerics", f"{name}/CheckNumerics", x, T=FLOAT, message=f"{name}: not a number")
        return self.node("Identity", f"{name}/control_dependency", [x, f"^{name}/CheckNumerics"], T=FLOAT)

    def layer(self, name, x, size, units, stride=1, padding=SAME):
        """Convolution, batch norm, Relu."""
        taps = size[0] * size[1] * self.channels[x]
        w = self.draw.standard_normal((*size, self.channels[x], units), F) * F(np.sqrt(2 / taps))
        self.node("Conv2D", f"{name}/Conv2D", [x, self.const(f"{name}/conv2d_params", w)], T=FLOAT, strides=[1, stride, stride, 1],
                  padding=padding, use_cudnn_on_gpu=True)
        norm = [self.vector(f"{name}/batchnorm/moving_mean", -.2, .2, units), self.vector(f"{name}/batchnorm/moving_variance", .7, 1.3, units),
                self.vector(f"{name}/batchnorm/beta", -.2, .2, units), self.vector(f"{name}/batchnorm/gamma", 1, 1, units)]
        self.node("BatchNormWithGlobalNormalization", f"{name}/batchnorm", [f"{name}/Conv2D"] + norm, T=FLOAT,
                  variance_epsilon=.001, scale_after_normalization=False)
        self.channels[name] = units
        return self.unary("Relu", name, self.checked(name, f"{name}/batchnorm"))

    def tower(self, name, x, *layers):
        """Layers behind one another: (size, units, more)."""
        for i, (size, units, *more) in enumerate(layers):
            x = self.layer(f"{name}/conv" + (f"_{i}" if i else ""), x, size, units, *more)
        return x

    def reduced(self, name, x, op, size=3, stride=1, padding=SAME):
        self.node(op, name, [x], T=FLOAT, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding=padding)
        self.channels[name] = self.channels[x]
        if op == "AvgPool":
            return name
        self.channels[f"{name}/control_dependency"] = self.channels[x]
        return self.checked(name, name)

    def join(self, name, parts):
        self.channels[f"{name}/join"] = sum(self.channels[p] for p in parts)
        return self.node("Concat", f"{name}/join", [self.const(f"{name}/join/concat_dim", np.int32(3)), *parts], T=FLOAT, N=len(parts))


ONE, THREE, FIVE, ROW, COLUMN = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


def fine(n, name, x, pooled):
    """35 x 35."""
    return n.join(name, [n.tower(name, x, (ONE, 64)), n.tower(f"{name}/tower", x, (ONE, 48), (FIVE, 64)),
                         n.tower(f"{name}/tower_1", x, (ONE, 64), (THREE, 96), (THREE, 96)),
                         n.tower(f"{name}/tower_2", n.reduced(f"{name}/tower_2/pool", x, "AvgPool"), (ONE, pooled))])


def middle(n, name, x, c):
    """17 x 17."""
    return n.join(name, [n.tower(name, x, (ONE, 192)), n.tower(f"{name}/tower", x, (ONE, c), (ROW, c), (COLUMN, 192)),
                         n.tower(f"{name}/tower_1", x, (ONE, c), (COLUMN, c), (ROW, c), (COLUMN, c), (ROW, 192)),
                         n.tower(f"{name}/tower_2", n.reduced(f"{name}/tower_2/pool", x, "AvgPool"), (ONE, 192))])


def coarse(n, name, x, pool):
    """8 x 8."""
    a = n.tower(f"{name}/tower", x, (ONE, 384))
    b = n.tower(f"{name}/tower_1", x, (ONE, 448), (THREE, 384))
    split = [n.layer(f"{name}/{t}/mixed/conv{k}", y, size, 384) for t, y in (("tower", a), ("tower_1", b))
             for k, size in (("", (1, 3)), ("_1", (3, 1)))]
    return n.join(name, [n.tower(name, x, (ONE, 320)), *split,
                         n.tower(f"{name}/tower_2", n.reduced(f"{name}/tower_2/pool", x, pool), (ONE, 192))])


def picture(n):
    jpeg = n.g.node.add(name="DecodeJpeg/contents", op="Const")
    jpeg.attr["dtype"].type = jpeg.attr["value"].tensor.dtype = TYPES["string"]
    jpeg.attr["value"].tensor.tensor_shape.SetInParent()
    jpeg.attr["value"].tensor.string_val.append(b"")
    n.node("DecodeJpeg", "DecodeJpeg", "DecodeJpeg/contents", channels=3, ratio=1, fancy_upscaling=True, try_recover_truncated=False,
           acceptable_fraction=1.0)
    n.node("Cast", "Cast", "DecodeJpeg", SrcT=Type("uint8"), DstT=FLOAT)
    n.node("ExpandDims", "ExpandDims", ["Cast", n.const("ExpandDims/dim", np.int32(0))], T=FLOAT)
    n.node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", n.const("ResizeBilinear/size", np.array([299, 299], np.int32))], T=FLOAT,
           align_corners=False)
    n.node("Sub", "Sub", ["ResizeBilinear", n.const("Sub/y", F(128))], T=FLOAT)
    return n.node("Mul", "Mul", ["Sub", n.const("Mul/y", F(1 / 128))], T=FLOAT)


def stem(n, x):
    x = n.layer("conv", x, THREE, 32, 2, VALID)
    x = n.layer("conv_1", x, THREE, 32, 1, VALID)
    x = n.reduced("pool", n.layer("conv_2", x, THREE, 64), "MaxPool", 3, 2, VALID)
    x = n.layer("conv_3", x, ONE, 80, 1, VALID)
    return n.reduced("pool_1", n.layer("conv_4", x, THREE, 192, 1, VALID), "MaxPool", 3, 2, VALID)


def top(n, x):
    n.reduced("pool_3", x, "AvgPool", 8, 1, VALID)
    n.node("Reshape", "pool_3/_reshape", ["pool_3", n.const("pool_3/_reshape/shape", np.array([1, 2048], np.int32))], T=FLOAT)
    w = n.draw.standard_normal((2048, 1008), F) * F(.1)
    n.matmul("softmax/logits/MatMul", "pool_3/_reshape", n.const("softmax/weights", w))
    n.node("BiasAdd", "softmax/logits", ["softmax/logits/MatMul", n.vector("softmax/biases", -.1, .1, 1008)], T=FLOAT)
    n.unary("Softmax", "softmax", "softmax/logits")


def inception():
    n = Inception()
    x = stem(n, picture(n))
    for name, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        x = fine(n, name, x, pooled)
    x = n.join("mixed_3", [n.tower("mixed_3", x, (THREE, 384, 2, VALID)),
                           n.tower("mixed_3/tower", x, (ONE, 64), (THREE, 96), (THREE, 96, 2, VALID)),
                           n.reduced("mixed_3/pool", x, "MaxPool", 3, 2, VALID)])
    for name, c in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        x = middle(n, name, x, c)
    x = n.join("mixed_8", [n.tower("mixed_8/tower", x, (ONE, 192), (THREE, 320, 2, VALID)),
                           n.tower("mixed_8/tower_1", x, (ONE, 192), (ROW, 192), (COLUMN, 192), (THREE, 192, 2, VALID)),
                           n.reduced("mixed_8/pool", x, "MaxPool", 3, 2, VALID)])
    for name, pool in (("mixed_9", "AvgPool"), ("mixed_10", "MaxPool")):
        x = coarse(n, name, x, pool)
    top(n, x)
    return n.g


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_bytes(inception().SerializeToString())
