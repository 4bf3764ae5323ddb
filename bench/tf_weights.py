#!/usr/bin/env python3
"""Weights of few bits, a range for each channel: size of the file, and how often stock TensorFlow, running the packed
graph, names the class that the float graph names.

Usage: tf_weights.py BITLATHE DATA [GRAPH INPUT SHAPE OUTPUT]      (needs tensorflow-cpu 2.21)
       tf_weights.py build/release/bitlathe ../shared/data/tf_pb optimise.pb input:0 1,299,299,3 Identity:0

DATA has folders with a frozen graph, stored inputs and case.json.  A GRAPH beside them gets its size stated, and whether
class and outputs on seeded noise are those of the float graph.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
REAL = ["jet_3layer", "kws_cnn_s", "kws_dnn_s", "mnist_mlp_float", "mobilenet_v1_025_128"]
SCALE = {None: (0, 1), "x = float32(u8/255.0)": (0, 255), "x = (float32(u8)-127.5)/127.5": (127.5, 127.5)}
# minimum_size; what small networks need behind it, since names weigh as much as their weights
SMALL, LARGE = (256, "obfuscate_names"), (1024, "")
CLEAN = "strip_unused_nodes remove_nodes(op=Identity) fold_constants(ignore_errors=true) fold_batch_norms fold_old_batch_norms "


def run(path, feed, fetch, x):
    graph_def = v1.GraphDef.FromString(Path(path).read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    with v1.Session(graph=graph) as session:
        return np.concatenate([session.run(fetch, {feed: row}).reshape(1 if len(row) == 1 else len(row), -1) for row in x])


def transform(program, source, to, feed, fetch, transforms):
    subprocess.run([program, "transform-graph", f"--in_graph={source}", f"--out_graph={to}", f"--inputs={feed}",
                    f"--outputs={fetch}", f"--transforms={transforms}"], check=True, capture_output=True)


def row(program, name, source, feed, fetch, x, want, bits, how):
    with tempfile.TemporaryDirectory() as folder:
        to = folder + "/out.pb"
        transform(program, source, to, feed, fetch,
                  CLEAN + f"quantize_weights(bits={bits}, per_channel=true, minimum_size={how[0]}) {how[1]}")
        got = run(to, feed, fetch, x)
        same = int((got.argmax(1) == want.argmax(1)).sum())
        print("| %s | %d | %d | %.1f | %d of %d |" % (name, bits, os.path.getsize(to),
              100 * os.path.getsize(to) / os.path.getsize(source), same, len(want)), flush=True)


def main():
    program, data = sys.argv[1], Path(sys.argv[2])
    print("| graph | bits | bytes | % of the float file | same class as float |\n|---|---|---|---|---|")
    for name in REAL:
        case = json.loads((data / name / "case.json").read_text())
        less, by = SCALE[case.get("preprocess")]
        x = ((np.load(data / name / case["input"]).astype(np.float32) - np.float32(less)) / np.float32(by)).astype(np.float32)
        x = [x] if case["batch"] == "one batch" else [r[None] for r in x]
        source, feed, fetch = data / name / case["model"], case["input_tensor"], case["output_tensor"]
        want = run(source, feed, fetch, x)
        for bits in (8, 6, 4, 3):
            row(program, name, source, feed, fetch, x, want, bits, SMALL)
    if len(sys.argv) > 3:
        source, feed, shape, fetch = sys.argv[3:7]
        x = [np.random.RandomState(0).rand(*map(int, shape.split(","))).astype(np.float32)]
        want = run(source, feed, fetch, x)
        for bits in (8, 6, 4, 3):
            row(program, Path(source).name, source, feed, fetch, x, want, bits, LARGE)


main()
