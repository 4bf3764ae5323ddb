#!/usr/bin/env python3
"""make_graphdef_goldens: small TensorFlow graphs as TensorFlow itself writes and computes them, binary and text, into
tests/golden/graphdef, fuzz/corpus/graphdef and fuzz/corpus/graphdef_text.  Needs a Python with TensorFlow (2.21 made the
files that are there), which tests do not:  PYTHON tools/make_graphdef_goldens.py"""
import os
import pathlib
import struct

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import graph_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent


def node(g, name, op, inputs=(), **attrs):
    n = g.node.add(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        n.attr[key].CopyFrom(value)
    return n


def attr(**fields):
    return tf.compat.v1.AttrValue(**fields)


def values():
    """Every kind of attribute, every list, numbers at their edges, strings that need escapes.  No key begins with another
    key: Python's protobuf sorts such a pair the other way round than C++'s, which TensorFlow's tools use."""
    g = graph_pb2.GraphDef()
    n = node(g, "kinds", "Made", ["^x"])
    n.device = "/job:a/task:0"
    n.attr["bytes"].s = bytes(range(256))
    n.attr["empty"].s = b""
    n.attr["quotes"].s = b"it's \"quoted\"\\ and ?? \x01\x319"
    n.attr["utf8"].s = "größer ≥ 1 🙂".encode()
    n.attr["int"].i = -2**63
    n.attr["zero"].i = 0
    n.attr["float"].f = 0.1
    n.attr["false"].b = False
    n.attr["true"].b = True
    n.attr["type"].type = types_pb2.DT_QUINT8
    n.attr["newer_type"].type = 77
    n.attr["shape"].shape.dim.add(size=-1, name="batch")
    n.attr["shape"].shape.dim.add(size=3)
    n.attr["scalar"].shape.SetInParent()
    n.attr["unknown_rank"].shape.unknown_rank = True
    n.attr["hole"].placeholder = "T"
    n.attr["func"].func.name = "f"
    n.attr["func"].func.attr["z"].i = 1
    n.attr["func"].func.attr["a"].func.name = "inner"
    n.attr["absent"].SetInParent()
    l = n.attr["many"].list
    l.s.extend([b"a", b"\xff"])
    l.i.extend([1, -1, 2**62])
    l.f.extend([1, 1e-45, 3.4028235e38, float("inf"), float("-inf"), float("nan"), 1e16, 123456.78, -0.0, 1e-5, 16777216])
    l.b.extend([True, False])
    l.type.extend([1, 3])
    l.shape.add()
    l.tensor.add(dtype=1)
    l.func.add(name="g")
    n.attr["list_empty"].list.SetInParent()
    node(g, "x", "NoOp")
    return g


def tensors():
    """Tensors in each of their forms."""
    g = graph_pb2.GraphDef()
    for dtype in (np.float32, np.float64, np.int32, np.uint8, np.int64, np.bool_, np.complex64, np.float16):
        name = np.dtype(dtype).name
        ones = tf.make_tensor_proto(np.ones((2, 2), dtype))
        several = tf.make_tensor_proto(np.arange(6).astype(dtype).reshape(1, 6))
        node(g, name + "/content", "Const", dtype=attr(type=several.dtype), value=attr(tensor=several))
        node(g, name + "/ones", "Const", dtype=attr(type=ones.dtype), value=attr(tensor=ones))
    strings = tf.make_tensor_proto(np.array([b"a", b"", b"\x00\xfe"], object))
    node(g, "strings", "Const", dtype=attr(type=strings.dtype), value=attr(tensor=strings))
    repeat = tf.compat.v1.AttrValue()
    repeat.tensor.dtype = types_pb2.DT_DOUBLE
    repeat.tensor.double_val.extend([0.1, 1e300, 1e15, 1e17, 5e-324, 0.3])
    repeat.tensor.tensor_shape.dim.add(size=9)
    node(g, "repeats", "Const", dtype=attr(type=types_pb2.DT_DOUBLE), value=repeat)
    g.versions.producer = 27
    g.versions.min_consumer = 12
    g.versions.bad_consumers.extend([1, 2])
    g.version = 21
    return g


def library():
    """A traced function with its library, as Keras graphs have."""
    @tf.function
    def double(x):
        return tf.nn.relu(x) * 2.0

    @tf.function
    def outer(x):
        return double(x) + double(x + 1.0)

    g = outer.get_concrete_function(tf.TensorSpec([None, 3], tf.float32)).graph.as_graph_def()
    names = {f.signature.name: f"f{i}" for i, f in enumerate(sorted(g.library.function, key=lambda f: f.signature.name))}
    text = text_format.MessageToString(g)
    for old, new in names.items():
        text = text.replace(old, new)
    g = text_format.Parse(text, graph_pb2.GraphDef())
    for n in [*g.node, *(n for f in g.library.function for n in f.node_def)]:
        n.attr.pop("config", None)  # another key begins with it, see values()
    frame = g.debug_info.frames_by_id[7]
    frame.line = 0
    frame.func = "made"
    g.debug_info.files.append("a.py")
    g.debug_info.traces_by_id[3].frame_id.extend([7, 2**63])
    g.debug_info.name_to_trace_id["x"] = 0
    return g


def unknown():
    """Fields that no version of today knows, at three depths."""
    g = graph_pb2.GraphDef()
    node(g, "a", "NoOp").MergeFromString(b"\xba\x3e\x03abc" + b"\xc0\x3e\x07")
    g.node[0].attr["k"].MergeFromString(b"\xc5\x3e" + struct.pack("<f", 1.5))
    g.MergeFromString(b"\xc9\x3e" + struct.pack("<d", 1.5))
    return g


def saved_model():
    m = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    m.meta_graphs.add().meta_info_def.tags.append("serve")
    m.meta_graphs[0].graph_def.CopyFrom(unknown())
    m.meta_graphs[0].saver_def.max_to_keep = 3
    return m


def layers():
    """Layers of every kind that becomes a layer of ours, each from the same input: the graph, and what TensorFlow computes."""
    r = np.random.RandomState(5)

    def weights(*shape):
        return tf.constant(r.randint(-8, 9, shape).astype(np.float32) / 8)

    graph, ops, raw = tf.Graph(), {}, tf.raw_ops
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 9, 7, 4], name="x")
        w, deep, vectors = weights(3, 2, 4, 5), weights(3, 3, 4, 2), [weights(4) for _ in range(3)]
        ops["same"] = raw.Conv2D(input=x, filter=w, strides=[1, 2, 2, 1], padding="SAME")
        ops["dilated"] = raw.Conv2D(input=x, filter=w, strides=[1, 1, 1, 1], padding="VALID", dilations=[1, 2, 3, 1])
        ops["explicit"] = raw.Conv2D(input=x, filter=w, strides=[1, 1, 2, 1], padding="EXPLICIT",
                                     explicit_paddings=[0, 0, 2, 1, 0, 3, 0, 0])
        ops["depthwise"] = raw.DepthwiseConv2dNative(input=x, filter=deep, strides=[1, 2, 2, 1], padding="SAME")
        ops["average"] = raw.AvgPool(value=x, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="SAME")
        ops["greatest"] = raw.MaxPool(input=x, ksize=[1, 2, 3, 1], strides=[1, 2, 1, 1], padding="VALID")
        ops["padded"] = raw.Pad(input=x, paddings=[[0, 0], [1, 2], [0, 3], [0, 0]])
        ops["padded_ones"] = raw.PadV2(input=x, paddings=[[0, 0], [1, 0], [2, 0], [0, 0]], constant_values=1.0)
        ops["mean"] = raw.Mean(input=x, axis=[1, 2])
        ops["mean_kept"] = raw.Mean(input=x, axis=[-1], keep_dims=True)
        ops["sum"], ops["max"] = raw.Sum(input=x, axis=[2]), raw.Max(input=x, axis=[1])
        ops["joined"] = raw.ConcatV2(values=[x, raw.Relu(features=x), raw.Relu6(features=x * 9.0)], axis=-1)
        ops["joined_old"] = raw.Concat(concat_dim=2, values=[x, x])
        ops["norm"] = raw.FusedBatchNormV3(x=x, scale=vectors[0], offset=vectors[1], mean=vectors[2],
                                           variance=tf.abs(vectors[0]) + 0.5, epsilon=0.01, is_training=False)[0]
        ops["by_hand"] = x * raw.Rsqrt(x=raw.Square(x=vectors[0]) + 0.25) + raw.Neg(x=vectors[1])
        ops["biased"] = raw.BiasAdd(value=x, bias=vectors[1])
        ops["leaky"] = raw.LeakyRelu(features=x, alpha=0.125)
        ops["curves"] = raw.Tanh(x=x) + raw.Sigmoid(x=x) - raw.Softplus(features=x) * raw.Elu(features=x)
        ops["between"] = raw.Maximum(x=raw.Minimum(x=x, y=0.5), y=raw.Floor(x=x) / 4.0)
        ops["turned"] = raw.Transpose(x=x, perm=[0, 3, 1, 2])
        flat = raw.Reshape(tensor=x, shape=[-1, 252])
        ops["dense"] = raw.MatMul(a=flat, b=weights(3, 252), transpose_b=True)
        ops["chances"] = raw.Softmax(logits=raw.Reshape(tensor=x, shape=[-1, 63, 4]))
        ops["narrow"] = raw.Squeeze(input=raw.Sum(input=x, axis=[1], keep_dims=True), axis=[1])
        ops["wide"] = raw.ExpandDims(input=x, axis=2)
        ops = {f"y_{k}": tf.identity(v, name=f"y_{k}") for k, v in ops.items()}
    rows = r.randint(-16, 17, (3, 9, 7, 4)).astype(np.float32) / 8
    with tf.compat.v1.Session(graph=graph) as session:
        values = session.run(ops, {x: rows})
    return graph.as_graph_def(), {"x": rows, **values}


def main():
    golden, seeds, text_seeds = (ROOT / p for p in
                                 ("tests/golden/graphdef", "fuzz/corpus/graphdef", "fuzz/corpus/graphdef_text"))
    for folder in (golden, seeds, text_seeds):
        folder.mkdir(parents=True, exist_ok=True)
    for make in (values, tensors, library, unknown, saved_model):
        message = make()
        data = message.SerializeToString(deterministic=True)
        (golden / f"{make.__name__}.pb").write_bytes(data)
        (seeds / f"{make.__name__}.pb").write_bytes(data)
        if make is not saved_model:
            for folder in (golden, text_seeds):
                (folder / f"{make.__name__}.pbtxt").write_text(text_format.MessageToString(message))
    graph, results = layers()
    (golden / "layers.pb").write_bytes(graph.SerializeToString(deterministic=True))
    np.savez_compressed(golden / "layers.npz", **results)


main()
