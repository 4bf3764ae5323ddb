#!/usr/bin/env python3
"""Golden file tests/golden/tf_low_bits.pb: weights that quantize_weights packed, and what TensorFlow unpacks of them.

Usage: make_low_bits_goldens.py BITLATHE OUTPUT        (needs tensorflow-cpu 2.21; the tests do not)

Node cK is a weight: it was a float constant that a layer reads, and is now the end of what unpacks it; cK/want/0 is what
TensorFlow makes of it, as in make_tf_goldens.py.  Numbers of bits follow one another in one graph, which is transformed
again and again: what was packed before has no float constants left.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", TF_ENABLE_ONEDNN_OPTS="0")
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
F = tf.float32.as_datatype_enum
# the layer, its weights' shape, attributes
LAYERS = [("Conv2D", (3, 3, 2, 5), {}), ("Conv2D", (1, 1, 8, 2), {}), ("DepthwiseConv2dNative", (2, 3, 3, 2), {}),
          ("MatMul", (7, 3), {"transpose_b": False}), ("MatMul", (3, 7), {"transpose_b": True}), ("Neg", (), {}), ("Neg", (13,), {})]


def weights(rng, shape):
    w = np.asarray(rng.randn(*shape) * np.exp(rng.randn(*shape[-1:])), np.float32)
    if len(shape) == 4:
        w[..., 0], w[..., 1] = 0, -0.375  # a channel of zeros, and a constant one
    return w


def add(graph, name, op, inputs=(), **attrs):
    node = graph.node.add(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        if isinstance(value, bool):
            node.attr[key].b = value
        elif isinstance(value, np.ndarray):
            node.attr[key].tensor.CopyFrom(v1.make_tensor_proto(value))
        else:
            node.attr[key].type = value


def main():
    program, output = sys.argv[1:3]
    rng, graph, count = np.random.RandomState(3), v1.GraphDef(), 0
    add(graph, "x", "Placeholder", dtype=F)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.pb", Path(folder) / "after.pb"
        for per_channel in ("true", "false"):
            for bits in range(2, 9):
                for op, shape, attrs in LAYERS:
                    if per_channel == "false" and op not in ("Conv2D", "Neg"):
                        continue
                    add(graph, f"c{count}", "Const", dtype=F, value=weights(rng, shape))
                    add(graph, f"read{count}", "Identity", [f"c{count}"], T=F)
                    add(graph, f"layer{count}", op, ["x", f"read{count}"] if op != "Neg" else [f"read{count}"], T=F, **attrs)
                    count += 1
                before.write_bytes(graph.SerializeToString())
                subprocess.run([program, "transform-graph", f"--in_graph={before}", f"--out_graph={after}", "--inputs=x",
                                "--outputs=layer0", "--transforms=quantize_weights(minimum_size=1, "
                                f"bits={bits}, per_channel={per_channel})"], check=True, capture_output=True)
                graph = v1.GraphDef.FromString(after.read_bytes())
    kept = v1.GraphDef()
    kept.node.extend(n for n in graph.node if not n.name.startswith(("layer", "read")) and n.name != "x")
    built = tf.Graph()
    with built.as_default():
        tf.import_graph_def(kept, name="")
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = -1
    with v1.Session(graph=built, config=config) as session:
        for k in range(count):
            add(kept, f"c{k}/want/0", "Const", dtype=F, value=np.asarray(session.run(f"c{k}:0")))
    Path(output).write_bytes(kept.SerializeToString(deterministic=True))
    print(count, "weights,", Path(output).stat().st_size, "bytes")


main()
