#!/usr/bin/env python3
"""Golden files of whole graphs: one small frozen graph of each family that docs/tensorflow.md names, with random weights.

Usage: make_tf_family_goldens.py OUTPUT_FOLDER        (needs tensorflow-cpu 2.21 with Keras and Pillow; the tests do not)

Writes FAMILY.pb: the graph as TensorFlow froze it, and beside it constants golden/in/K (what feeds the placeholder that
the Identity golden/feed/K names by its attribute), Identities golden/out/K of the outputs, constants golden/want/K with what
TensorFlow 2.21 computed, and golden/error/K: floats may differ by 2^-24 of the largest result for each product that is
summed on the way, (the sums of all convolutions and matrix products) and eight for each other node.  Strings, integers and
bytes are equal.
"""
import io
import sys
from pathlib import Path

from make_tf_goldens import np, tf  # first: it sets TensorFlow's environment

import keras
from keras import layers
from PIL import Image
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from make_tf_runtime_goldens import wav

v1 = tf.compat.v1
F = np.float32


class Builder:
    """A frozen graph of TensorFlow 1: weights are constants behind an Identity, as freezing leaves them."""

    def __init__(self, seed):
        self.graph, self.rng = tf.Graph(), np.random.RandomState(seed)
        self.count = 0

    def name(self, what):
        self.count += 1
        return "%s_%d" % (what, self.count)

    def weight(self, *shape, low=None):
        scale = (np.prod(shape[:-1]) or 1) ** -.5 if len(shape) > 1 else .3
        value = self.rng.randn(*shape) * scale if low is None else self.rng.rand(*shape) + low
        name = self.name("weights")
        return tf.identity(tf.constant(value.astype(F), name=name), name=name + "/read")

    def conv(self, x, units, size=3, stride=1, padding="SAME", depthwise=False):
        channels = int(x.shape[-1])
        if depthwise:
            return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=self.weight(size, size, channels, 1),
                                                    strides=[1, stride, stride, 1], padding=padding)
        return tf.raw_ops.Conv2D(input=x, filter=self.weight(size, size, channels, units),
                                 strides=[1, stride, stride, 1], padding=padding)

    def fused_norm(self, x, op=tf.raw_ops.FusedBatchNorm):
        c = int(x.shape[-1])
        return op(x=x, scale=self.weight(c, low=.5), offset=self.weight(c), mean=self.weight(c),
                  variance=self.weight(c, low=.5), epsilon=.001, is_training=False)[0]

    def spelled_norm(self, x):
        """As slim spells it: Add, Rsqrt, Mul, Sub."""
        c = int(x.shape[-1])
        factor = tf.raw_ops.Rsqrt(x=tf.raw_ops.Add(x=self.weight(c, low=.5), y=tf.constant(F(.001))))
        return tf.raw_ops.Add(x=tf.raw_ops.Mul(x=x, y=factor),
                              y=tf.raw_ops.Sub(x=self.weight(c), y=tf.raw_ops.Mul(x=self.weight(c), y=factor)))

    def dense(self, x, units):
        return tf.raw_ops.BiasAdd(value=tf.raw_ops.MatMul(a=x, b=self.weight(int(x.shape[-1]), units)),
                                  bias=self.weight(units))


def pool(kind, x, size=3, stride=2, padding="VALID"):
    how = dict(ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding=padding)
    return tf.raw_ops.MaxPool(input=x, **how) if kind == "max" else tf.raw_ops.AvgPool(value=x, **how)


def picture(b, size=17):
    return tf.compat.v1.placeholder(tf.float32, [1, size, size, 3], "input"), b.rng.rand(1, size, size, 3).astype(F)


# ---- families -------------------------------------------------------------------------------------------------------
def inception_v3_2015(b):
    """From a JPEG in a constant on, with BatchNormWithGlobalNormalization and CheckNumerics."""
    out = io.BytesIO()
    y, x = np.mgrid[:13, :15]
    Image.fromarray(np.stack([x * 16, y * 19, x * y], -1).astype(np.uint8)).save(out, "JPEG")
    contents = tf.constant(out.getvalue(), name="DecodeJpeg/contents")
    x = tf.raw_ops.Cast(x=tf.raw_ops.DecodeJpeg(contents=contents, channels=3), DstT=tf.float32)
    x = tf.raw_ops.ResizeBilinear(images=tf.expand_dims(x, 0), size=[17, 17])
    x = tf.raw_ops.Mul(x=tf.raw_ops.Sub(x=x, y=tf.constant(F(128))), y=tf.constant(F(1 / 128)))
    x = tf.reshape(x, [1, 17, 17, 3])

    def layer(x, units, size=3, stride=1, padding="SAME"):
        x = b.conv(x, units, size, stride, padding)
        x = b.fused_norm(x)  # old_norms makes it what it was
        with tf.control_dependencies([tf.raw_ops.CheckNumerics(tensor=x, message="a")]):
            x = tf.identity(x)
        return tf.raw_ops.Relu(features=x)

    x = pool("max", layer(x, 6, 3, 2, "VALID"))
    parts = [layer(x, 4, 1), layer(layer(x, 3, 1), 4), layer(pool("avg", x, 3, 1, "SAME"), 3, 1)]
    x = tf.raw_ops.Concat(concat_dim=3, values=parts)
    x = tf.raw_ops.Reshape(tensor=pool("avg", x, 3, 1), shape=[1, 11])
    return [], [tf.raw_ops.Softmax(logits=b.dense(x, 5))]


def inception_v3_2016(b):
    x, value = picture(b)
    layer = lambda x, units, size=3, stride=1, padding="SAME": tf.raw_ops.Relu(
        features=b.spelled_norm(b.conv(x, units, size, stride, padding)))
    x = pool("max", layer(x, 6, 3, 2, "VALID"))
    parts = [layer(x, 4, 1), layer(layer(x, 3, 1), 4), layer(pool("avg", x, 3, 1, "SAME"), 3, 1)]
    x = pool("avg", tf.raw_ops.ConcatV2(values=parts, axis=3), 3, 1)
    x = tf.raw_ops.BiasAdd(value=b.conv(x, 5, 1), bias=b.weight(5))
    x = tf.raw_ops.Squeeze(input=x, axis=[1, 2])
    x = tf.raw_ops.Softmax(logits=tf.raw_ops.Reshape(tensor=x, shape=[-1, 5]))
    return [value], [tf.raw_ops.Reshape(tensor=x, shape=[1, 5])]


def inception_v1(b):
    x, value = picture(b)
    layer = lambda x, units, size=3, stride=1: tf.raw_ops.Relu(
        features=tf.raw_ops.BiasAdd(value=b.conv(x, units, size, stride), bias=b.weight(units)))
    x = tf.raw_ops.LRN(input=pool("max", layer(x, 6, 3, 2), padding="SAME"), depth_radius=2, alpha=2e-5, beta=.75, bias=1)
    parts = [layer(x, 4, 1), layer(layer(x, 3, 1), 4), layer(pool("max", x, 3, 1, "SAME"), 3, 1)]
    x = pool("avg", tf.raw_ops.Concat(concat_dim=3, values=parts), 5, 1)
    return [value], [tf.raw_ops.Softmax(logits=b.dense(tf.raw_ops.Reshape(tensor=x, shape=[-1, 11]), 5))]


def mobilenet_v1(b, norm=None):
    x, value = picture(b)
    layer = lambda x: tf.raw_ops.Relu6(features=(norm or b.fused_norm)(x))
    x = layer(b.conv(x, 6, 3, 2))
    for units, stride in ((8, 1), (10, 2)):
        x = layer(b.conv(layer(b.conv(x, 0, 3, stride, depthwise=True)), units, 1))
    x = pool("avg", x, 5, 2)
    x = tf.raw_ops.BiasAdd(value=b.conv(x, 5, 1), bias=b.weight(5))
    x = tf.raw_ops.Squeeze(input=x, axis=[1, 2])
    return [value], [tf.raw_ops.Reshape(tensor=tf.raw_ops.Softmax(logits=x), shape=tf.shape(x))]


def mobilenet_v1_2017(b):
    return mobilenet_v1(b, b.spelled_norm)


def mobilenet_v2(b):
    x, value = picture(b)
    x = tf.raw_ops.Relu6(features=b.fused_norm(b.conv(x, 4, 3, 2)))
    for _ in range(2):
        y = tf.raw_ops.Relu6(features=b.fused_norm(b.conv(x, 8, 1)))
        y = tf.raw_ops.Relu6(features=b.fused_norm(b.conv(y, 0, depthwise=True)))
        x = tf.raw_ops.Add(x=b.fused_norm(b.conv(y, 4, 1)), y=x)
    x = tf.raw_ops.Mean(input=x, axis=[1, 2], keep_dims=True)
    x = tf.raw_ops.Squeeze(input=tf.raw_ops.BiasAdd(value=b.conv(x, 5, 1), bias=b.weight(5)), axis=[1, 2])
    return [value], [tf.raw_ops.Softmax(logits=x)]


def resnet_v1(b):
    x, value = picture(b)
    x = tf.raw_ops.Pad(input=x, paddings=[[0, 0], [3, 3], [3, 3], [0, 0]])
    x = tf.raw_ops.Relu(features=b.fused_norm(b.conv(x, 6, 7, 2, "VALID")))
    x = pool("max", x, padding="SAME")
    short = b.fused_norm(b.conv(x, 8, 1))
    y = tf.raw_ops.Relu(features=b.fused_norm(b.conv(x, 4, 1)))
    y = tf.raw_ops.Relu(features=b.fused_norm(b.conv(y, 4)))
    x = tf.raw_ops.Relu(features=tf.raw_ops.Add(x=short, y=b.fused_norm(b.conv(y, 8, 1))))
    x = tf.raw_ops.Mean(input=x, axis=[1, 2], keep_dims=True)
    return [value], [tf.raw_ops.Softmax(logits=tf.raw_ops.Squeeze(input=b.conv(x, 5, 1), axis=[1, 2]))]


def resnet_v2(b):
    x, value = picture(b)
    x = pool("max", b.conv(x, 6, 3, 2), padding="SAME")
    y = tf.raw_ops.Relu(features=b.fused_norm(x, tf.raw_ops.FusedBatchNormV2))
    short = b.conv(y, 8, 1, 2)
    y = tf.raw_ops.Relu(features=b.fused_norm(b.conv(y, 4, 1), tf.raw_ops.FusedBatchNormV2))
    y = tf.raw_ops.Pad(input=y, paddings=[[0, 0], [1, 1], [1, 1], [0, 0]])
    x = tf.raw_ops.Add(x=short, y=b.conv(b.conv(y, 4, 3, 2, "VALID"), 8, 1))
    x = tf.raw_ops.Relu(features=b.fused_norm(x, tf.raw_ops.FusedBatchNormV2))
    return [value], [b.dense(tf.raw_ops.Mean(input=x, axis=[1, 2]), 5)]


# ---- keywords -------------------------------------------------------------------------------------------------------
def heard(b):
    """From the bytes of a sound to [1, time, coefficients]."""
    data = tf.compat.v1.placeholder(tf.string, [], "wav_data")
    sound = tf.raw_ops.DecodeWav(contents=data, desired_channels=1, desired_samples=1600)
    spectrum = tf.raw_ops.AudioSpectrogram(input=sound.audio, window_size=320, stride=160, magnitude_squared=True)
    return tf.raw_ops.Mfcc(spectrogram=spectrum, sample_rate=sound.sample_rate, dct_coefficient_count=10,
                           filterbank_channel_count=20), wav(b.rng, 1, 1500, 8000)[0]


def ds_cnn(b):
    x, value = heard(b)
    x = tf.raw_ops.Reshape(tensor=tf.raw_ops.Reshape(tensor=x, shape=[-1, 90]), shape=[-1, 9, 10, 1])
    x = tf.raw_ops.BiasAdd(value=b.conv(x, 6, 4, 2), bias=b.weight(6))
    x = tf.raw_ops.Relu(features=b.fused_norm(x))
    for _ in range(2):
        x = tf.raw_ops.BiasAdd(value=b.conv(x, 0, depthwise=True), bias=b.weight(6))
        x = tf.raw_ops.Relu(features=b.fused_norm(x))
        x = tf.raw_ops.BiasAdd(value=b.conv(x, 6, 1), bias=b.weight(6))
        x = tf.raw_ops.Relu(features=b.fused_norm(x))
    x = tf.raw_ops.AvgPool(value=x, ksize=[1, 5, 5, 1], strides=[1, 2, 2, 1], padding="VALID")
    x = tf.raw_ops.Squeeze(input=x, axis=[1, 2])
    return [value], [tf.raw_ops.Softmax(logits=b.dense(x, 4))]


def cell(b, units, x, c, h, w, bias):
    z = tf.raw_ops.BiasAdd(value=tf.raw_ops.MatMul(a=tf.raw_ops.ConcatV2(values=[x, h], axis=1), b=w), bias=bias)
    i, j, f, o = tf.raw_ops.Split(axis=1, value=z, num_split=4)
    c = tf.raw_ops.Add(x=tf.raw_ops.Mul(x=c, y=tf.raw_ops.Sigmoid(x=tf.raw_ops.Add(x=f, y=tf.constant(F(1))))),
                       y=tf.raw_ops.Mul(x=tf.raw_ops.Sigmoid(x=i), y=tf.raw_ops.Tanh(x=j)))
    return c, tf.raw_ops.Mul(x=tf.raw_ops.Tanh(x=c), y=tf.raw_ops.Sigmoid(x=o))


def lstm_unrolled(b):
    x, value = heard(b)
    w, bias = b.weight(16, 24), b.weight(24)
    c = h = tf.raw_ops.Fill(dims=[1, 6], value=F(0))
    for t in range(9):
        step = tf.raw_ops.StridedSlice(input=x, begin=[0, t, 0], end=[0, t + 1, 0], strides=[1, 1, 1], begin_mask=5,
                                       end_mask=5, shrink_axis_mask=2)
        c, h = cell(b, 6, step, c, h, w, bias)
    return [value], [tf.raw_ops.Softmax(logits=b.dense(h, 4))]


def lstm_loop(b):
    """As dynamic_rnn leaves it: Enter, Merge, Switch, and arrays of tensors; rows behind their length keep their state."""
    x, value = heard(b)
    w, bias = b.weight(16, 24), b.weight(24)
    x = tf.transpose(x, [1, 0, 2])
    steps = tf.shape(x)[0]
    inputs = tf.TensorArray(tf.float32, size=steps, name="input").unstack(x)
    outputs = tf.TensorArray(tf.float32, size=steps, name="output")
    zero = tf.fill([tf.shape(x)[1], 6], F(0))

    def body(t, outputs, c, h):
        new_c, new_h = cell(b, 6, inputs.read(t), c, h, w, bias)
        late = tf.fill([1], tf.greater_equal(t, 7))
        new_h = v1.where(late, h, new_h)
        return t + 1, outputs.write(t, new_h), v1.where(late, c, new_c), new_h

    _, outputs, _, h = v1.while_loop(lambda t, *_: t < steps, body, [tf.constant(0), outputs, zero, zero])
    return [value], [tf.raw_ops.Softmax(logits=b.dense(h, 4)), outputs.stack()]


def branches(b):
    """A loop in a loop, and a choice in both; a choice between constants."""
    x, value = v1.placeholder(tf.float32, [4], "x"), b.rng.rand(4).astype(F)
    inner = lambda i, y: v1.while_loop(lambda j, y: j < i, lambda j, y: (j + 1, v1.cond(
        tf.equal(j % 2, 0), lambda: y * 1.5, lambda: y - .25)), [tf.constant(0), y])[1]
    y = v1.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, v1.cond(i > 2, lambda: y, lambda: inner(i, y))),
                      [tf.constant(0), x])[1]
    return [value], [y, v1.cond(x[0] > 2, lambda: tf.constant(F(1)), lambda: tf.constant(F(2)))]


# ---- freezing -------------------------------------------------------------------------------------------------------
def old_norms(graph_def):
    """FusedBatchNorm as BatchNormWithGlobalNormalization, which left TensorFlow at version 9 and comes back below it."""
    for node in graph_def.node:
        if node.op == "FusedBatchNorm":
            x, scale, offset, mean, variance = node.input
            del node.input[:]
            node.input.extend([x, mean, variance, offset, scale])
            epsilon = node.attr["epsilon"].f
            node.attr.clear()
            node.op = "BatchNormWithGlobalNormalization"
            node.attr["T"].type = tf.float32.as_datatype_enum
            node.attr["variance_epsilon"].f = epsilon
            node.attr["scale_after_normalization"].b = True
    graph_def.versions.producer = 8


def frozen_v1(make, seed):
    b = Builder(seed)
    v1.disable_control_flow_v2()
    with b.graph.as_default():
        values, outputs = make(b)
        graph_def = b.graph.as_graph_def()
    if make is inception_v3_2015:
        old_norms(graph_def)
    return graph_def, values, [t.name for t in outputs]


def frozen_keras(model, shape, lower=True):
    spec = tf.TensorSpec(shape, tf.float32)
    call = convert_variables_to_constants_v2(tf.function(lambda x: model(x)).get_concrete_function(spec),
                                             lower_control_flow=lower)
    value = np.random.RandomState(3).rand(*[d or 1 for d in shape]).astype(F)
    return call.graph.as_graph_def(), [value], [t.name for t in call.outputs]


def keras_cnn():
    keras.utils.set_random_seed(4)
    return keras.Sequential([
        layers.Input((16, 16, 3)), layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=2), layers.BatchNormalization(),
        layers.ReLU(6.), layers.DepthwiseConv2D(3, padding="same"), layers.BatchNormalization(),
        layers.Activation("hard_swish"), layers.SeparableConv2D(4, 3, activation="swish"),
        layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(4, 1, activation="hard_sigmoid"), layers.Flatten(),
        layers.Dense(3, activation="softmax"), layers.Dropout(.3)])


def keras_lstm():
    keras.utils.set_random_seed(5)
    return keras.Sequential([layers.Input((6, 5)), layers.LSTM(4, return_sequences=True),
                             layers.Bidirectional(layers.LSTM(3)), layers.Dense(4, activation="softmax")])


def keras_gru():
    keras.utils.set_random_seed(6)
    return keras.Sequential([layers.Input((6, 5)), layers.GRU(4, unroll=True), layers.Dense(4)])


@tf.function
def fused_v3(x):
    rng = np.random.RandomState(8)
    w, vector = rng.randn(3, 3, 3, 4).astype(F), lambda: (rng.rand(4) + .5).astype(F)
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    x = tf.nn.conv2d(x, w, 2, "VALID")
    x = tf.raw_ops.FusedBatchNormV3(x=x, scale=vector(), offset=vector(), mean=vector(), variance=vector(),
                                    is_training=False).y
    return tf.reduce_mean(tf.nn.leaky_relu(x, .1), [1, 2])


def frozen_v2():
    call = convert_variables_to_constants_v2(fused_v3.get_concrete_function(tf.TensorSpec([1, 9, 9, 3], tf.float32)))
    return (call.graph.as_graph_def(), [np.random.RandomState(9).rand(1, 9, 9, 3).astype(F)],
            [t.name for t in call.outputs])


# ---- results --------------------------------------------------------------------------------------------------------
def run(graph_def, feeds, outputs):
    built = tf.Graph()
    with built.as_default():
        tf.import_graph_def(graph_def, name="")
    config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = -1
    with v1.Session(graph=built, config=config) as session:
        return session.run(outputs, feeds)


def summed(graph_def):
    """Products that are summed, in all, and eight for each node."""
    shapes = {n.name: [d.size for d in n.attr["value"].tensor.tensor_shape.dim] for n in graph_def.node if n.op == "Const"}
    total = 0
    for node in list(graph_def.node) + [n for f in graph_def.library.function for n in f.node_def]:
        total += 8
        if node.op in ("Conv2D", "MatMul", "DepthwiseConv2dNative"):
            total += 32
    return total + sum(int(np.prod(s[:-1])) for s in shapes.values() if len(s) > 1)


def constant(graph_def, name, value):
    node = graph_def.node.add(name=name, op="Const")
    tensor = v1.make_tensor_proto(value)
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)


def write(folder, name, graph_def, values, outputs):
    holders = [n.name for n in graph_def.node if n.op == "Placeholder" and not n.name.startswith("while")][:len(values)]
    wants = run(graph_def, {h + ":0": v for h, v in zip(holders, values)}, outputs)
    terms = summed(graph_def)
    for i, (holder, value) in enumerate(zip(holders, values)):
        constant(graph_def, "golden/in/%d" % i, value)
        graph_def.node.add(name="golden/feed/%d" % i, op="Identity", input=["golden/in/%d" % i]).attr["feeds"].s = holder.encode()
    for i, (output, want) in enumerate(zip(outputs, wants)):
        graph_def.node.add(name="golden/out/%d" % i, op="Identity", input=[output])
        constant(graph_def, "golden/want/%d" % i, want)
        constant(graph_def, "golden/error/%d" % i, F(terms * 2.0**-24 * np.abs(want).max()))
    for node in list(graph_def.node) + [n for f in graph_def.library.function for n in f.node_def]:
        node.ClearField("experimental_debug_info")
        for attr in [a for a in node.attr if a.startswith("_") or a == "output_shapes"]:
            del node.attr[attr]
    if not any(a.HasField("func") for n in graph_def.node for a in n.attr.values()):
        graph_def.ClearField("library")  # loops were put in place of functions
    path = folder / (name + ".pb")
    path.write_bytes(graph_def.SerializeToString(deterministic=True))
    print("%s: %d nodes, %d bytes" % (name, len(graph_def.node), path.stat().st_size))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    wanted = sys.argv[2:]
    makers = [inception_v3_2015, inception_v3_2016, inception_v1, mobilenet_v1, mobilenet_v1_2017, mobilenet_v2, resnet_v1,
              resnet_v2, ds_cnn, lstm_unrolled, lstm_loop, branches]
    jobs = {m.__name__: (lambda m=m, i=i: frozen_v1(m, i)) for i, m in enumerate(makers)}
    jobs.update(keras_cnn=lambda: frozen_keras(keras_cnn(), [None, 16, 16, 3]), fused_v3=frozen_v2,
                keras_gru=lambda: frozen_keras(keras_gru(), [1, 6, 5]),
                keras_lstm_while=lambda: frozen_keras(keras_lstm(), [1, 6, 5], False),
                keras_lstm_loop=lambda: frozen_keras(keras_lstm(), [1, 6, 5]))
    for name, job in jobs.items():
        if not wanted or name in wanted:
            write(folder, name, *job())


if __name__ == "__main__":
    main()
