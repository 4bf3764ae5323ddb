#!/usr/bin/env python3
"""Golden checkpoint tests/golden/tf_checkpoint/model.*, the graph that restores it, and what TensorFlow's Graph Transform
Tool makes of both.

Usage: make_checkpoint_goldens.py OUTPUT_FOLDER        (needs tensorflow-cpu 2.21; the tests do not)

Variables: a column `w`, a column `parts` that is saved in two parts, a vector `other` of which nothing is looked up.
"""
import os
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
import numpy as np
import tensorflow as tf
from tensorflow.python.util import _pywrap_transform_graph as original

v1 = tf.compat.v1
v1.disable_resource_variables()


def column(n):
    return np.where(np.arange(n) % 3 == 1, np.arange(n) * 0.25 - 1, 0).astype(np.float32)[:, None]


def part(shape, dtype=None, partition_info=None):
    first = partition_info.var_offset[0]
    return tf.constant(column(30)[first:first + shape[0]])


def build():
    graph = tf.Graph()
    with graph.as_default():
        ids = v1.placeholder(tf.int64, [None], name="ids")
        w = v1.get_variable("w", initializer=column(20))
        both = v1.get_variable("parts", [30, 1], partitioner=v1.fixed_size_partitioner(2), initializer=part)
        other = v1.get_variable("other", initializer=np.arange(5, dtype=np.float32))
        sums = [tf.raw_ops.Gather(params=w, indices=ids)]
        sums += [tf.raw_ops.Gather(params=p, indices=ids) for p in both]
        tf.add(tf.add_n(sums), other[0], name="out")
        saver = v1.train.Saver()
    return graph, saver


def main():
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(exist_ok=True)
    graph, saver = build()
    with v1.Session(graph=graph) as session:
        with graph.as_default():
            session.run(v1.variables_initializer(graph.get_collection("variables")))
        saver.save(session, str(folder / "model"), write_meta_graph=False)
    (folder / "checkpoint").unlink()
    data = graph.as_graph_def()
    for node in data.node:
        node.ClearField("device")
    (folder / "graph.pb").write_bytes(data.SerializeToString(deterministic=True))
    os.chdir(folder)
    made = original.TransformGraphWithStringInputs(data.SerializeToString(), "ids", "out",
                                                   "sparsify_gather(input_checkpoint=model, group_init_node=start)")
    (folder / "sparse.pb").write_bytes(v1.GraphDef.FromString(made).SerializeToString(deterministic=True))
    print({p.name: p.stat().st_size for p in folder.iterdir()})


main()
