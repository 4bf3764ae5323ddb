#!/usr/bin/env python3
"""transform-graph --compat beside TensorFlow's Graph Transform Tool on a full-size Inception v3 with seeded random weights.

Usage: compare_inception.py BITLATHE [FOLDER]       (needs tensorflow-cpu 2.21 with Keras; keeps the graphs in FOLDER)

For each pipeline: whether all nodes are equal, in the same order, and both times.  Tensors are compared whole (by hash).
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/support"))
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # noqa: E402
from tensorflow.python.util import _pywrap_transform_graph as original  # noqa: E402
from tf_messages import GraphDef, graph_text  # noqa: E402

CLEAN = ('remove_control_dependencies strip_unused_nodes(type=float, shape="1,299,299,3") '
         "remove_nodes(op=Identity, op=CheckNumerics) fold_constants(ignore_errors=true) ")
EIGHT = ("rename_op(old_op_name=AddV2, new_op_name=Add) backport_concatv2 quantize_weights quantize_nodes strip_unused_nodes "
         "sort_by_execution_order")
PIPELINES = {"optimise": CLEAN + "fold_batch_norms(ignore_errors=true) fold_old_batch_norms",
             "round_weights": CLEAN + "round_weights(num_steps=256)", "quantize_weights": CLEAN + "quantize_weights",
             "eight bits": CLEAN + EIGHT, "merge": "merge_duplicate_nodes obfuscate_names"}


def seeded_graph():
    tf.random.set_seed(1)
    model = tf.keras.applications.InceptionV3(weights=None)
    r = np.random.RandomState(0)
    for layer in model.layers:  # give batch normalisation something to do
        if "batch_normalization" in layer.name:
            w = layer.get_weights()
            layer.set_weights([r.randn(*w[0].shape) * .3] + ([] if len(w) == 3 else [r.rand(*w[1].shape) + .5]) +
                              [r.randn(*w[-2].shape) * .1, r.rand(*w[-1].shape) * .5 + .5])
    f = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec([1, 299, 299, 3], tf.float32, name="input"))
    frozen = convert_variables_to_constants_v2(f)
    return frozen.graph.as_graph_def().SerializeToString(), frozen.inputs[0].op.name, frozen.outputs[0].op.name


def parse(data):
    g = GraphDef()
    g.ParseFromString(data)
    return list(dict.fromkeys(graph_text(g)))


def main():
    binary = sys.argv[1]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    data, name_in, name_out = seeded_graph()
    (folder / "in.pb").write_bytes(data)
    print(f"{len(data)} bytes, from {name_in} to {name_out}", flush=True)
    bad = 0
    for name, transforms in PIPELINES.items():
        start = time.time()
        theirs = original.TransformGraphWithStringInputs(data, name_in, name_out, transforms)
        middle = time.time()
        subprocess.run([binary, "transform-graph", "--compat", f"--in_graph={folder}/in.pb", f"--out_graph={folder}/out.pb",
                        f"--inputs={name_in}", f"--outputs={name_out}", f"--transforms={transforms}"], check=True)
        end = time.time()
        a, b = parse(theirs), parse((folder / "out.pb").read_bytes())
        bad += a != b
        print(f"{name}: {len(a)} and {len(b)} nodes, {'equal' if a == b else 'NOT EQUAL'}; original {middle - start:.2f} s, "
              f"ours {end - middle:.2f} s with reading and writing; {len(theirs)} bytes", flush=True)
        for x, y in [(x, y) for x, y in zip(a, b) if x != y][:3]:
            print("  original", x[:300], "\n  ours    ", y[:300])
    sys.exit(1 if bad else 0)


main()
