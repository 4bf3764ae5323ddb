#!/usr/bin/env python3
"""Golden files tests/golden/tf_training_*.pb: a small graph, and what TensorFlow's rewriter for quantized training makes of it.

Usage: make_training_goldens.py OUTPUT_FOLDER        (needs tensorflow-cpu 2.21; the tests do not)

fake_quantize_training called that rewriter with another operator; the rewriter that TensorFlow still has writes
QuantizeAndDequantizeV2.  So the golden's quantizers are renamed and get that operator's attributes, as the transform's
source in TensorFlow 1.3 asks for them: num_bits 8, narrow_range false.
"""
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from tensorflow.python.training.quantize_training import do_quantize_training_on_graphdef

v1 = tf.compat.v1
OLD, NEW = "QuantizeAndDequantizeV2", "FakeQuantWithMinMaxVars"


def source():
    graph = tf.Graph()
    with graph.as_default():
        r = np.random.RandomState(0)
        x = v1.placeholder(tf.float32, [1, 8, 8, 3], name="x")
        a = tf.nn.relu6(v1.nn.conv2d(x, r.randn(3, 3, 3, 4).astype(np.float32), [1, 1, 1, 1], "SAME", name="first"), name="six")
        b = v1.nn.conv2d(tf.identity(a), r.randn(1, 1, 4, 4).astype(np.float32), [1, 1, 1, 1], "SAME", name="second")
        c = v1.nn.conv2d(a, r.randn(1, 1, 4, 4).astype(np.float32), [1, 2, 2, 1], "SAME", name="third")
        d = v1.nn.max_pool2d(tf.nn.relu(b), 2, 2, "SAME")
        e = tf.concat([d, tf.tanh(c)], 3)
        f = tf.matmul(tf.reshape(e, [-1, 128]), r.randn(128, 5).astype(np.float32), name="last")
        tf.matmul(tf.sigmoid(f), tf.tanh(f), transpose_b=True, name="both")
        tf.matmul(x[0, 0], x[0, 1], transpose_b=True, name="gradients/none")
    return graph.as_graph_def()


def main():
    folder, graph = Path(sys.argv[1]), source()
    (folder / "tf_training_in.pb").write_bytes(graph.SerializeToString(deterministic=True))
    made = do_quantize_training_on_graphdef(graph, 8)
    for node in made.node:
        node.name = node.name.replace(OLD, NEW)
        node.input[:] = [i.replace(OLD, NEW) for i in node.input]
        if node.op == OLD:
            node.op = NEW
            node.ClearField("attr")
            node.attr["num_bits"].i = 8
            node.attr["narrow_range"].b = False
    (folder / "tf_training_out.pb").write_bytes(made.SerializeToString(deterministic=True))


main()
