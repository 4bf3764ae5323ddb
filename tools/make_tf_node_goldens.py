#!/usr/bin/env python3
"""Golden file tests/golden/tf_nodes.npz: what TensorFlow computes with the eight-bit graphs that quantize_nodes makes.

Usage: make_tf_node_goldens.py BITLATHE OUTPUT       (needs tensorflow-cpu 2.21; the tests need it not)

Runs transform-graph on each case of tests/support/tf_nodes.py and the result in TensorFlow, without oneDNN and without graph
optimisation.  Batches without pictures are left out: TensorFlow's eight-bit convolution refuses them.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/support"))
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_nodes  # noqa: E402

v1 = tf.compat.v1


def run(path, x):
    graph_def = v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with v1.Session(graph=graph, config=config) as session:
        return session.run("output:0", {"input:0": x})


def main():
    program, out = sys.argv[1:]
    golden = {}
    with tempfile.TemporaryDirectory() as folder:
        source, eight = pathlib.Path(folder, "float.pb"), pathlib.Path(folder, "eight.pb")
        for name, build in tf_nodes.CASES.items():
            x = tf_nodes.fed(name)
            if not x.size:
                continue
            source.write_bytes(build()[0].SerializeToString())
            subprocess.run([program, "transform-graph", f"--in_graph={source}", f"--out_graph={eight}", "--inputs=input",
                            "--outputs=output", f"--transforms={tf_nodes.transforms(name)}"], check=True)
            golden[name] = run(eight, x)
    np.savez_compressed(out, **golden)
    print(len(golden), "cases,", pathlib.Path(out).stat().st_size, "bytes")


main()
