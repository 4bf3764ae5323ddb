#!/usr/bin/env python3
"""Frozen graphs through TensorFlow and through bitlathe, one thread each, in one run on one machine.

Usage: tf_graphs.py BITLATHE INPUT SHAPE OUTPUT GRAPH...       (needs tensorflow-cpu 2.21)
       tf_graphs.py build/release/bitlathe input:0 1,299,299,3 Identity:0 float.pb eightbit.pb

Prints a table: processor milliseconds of one run (the median of RUNS for TensorFlow, the average of as many for
bitlathe), so that other work on the machine counts as little as it can.  That results agree is what the tests are for.
TensorFlow runs as its tools
of old would: without oneDNN, without graph optimisation.
"""
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "0")
RUNS = 10


def tensorflow_ms(path, feed, shape, fetch):
    import numpy as np
    import tensorflow as tf
    v1 = tf.compat.v1
    graph_def = v1.GraphDef()
    with open(path, "rb") as f:
        graph_def.ParseFromString(f.read())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    x = np.random.RandomState(0).rand(*shape).astype(np.float32)
    times = []
    with v1.Session(graph=graph, config=config) as session:
        session.run(fetch, {feed: x})
        for _ in range(RUNS):
            start = time.process_time()
            session.run(fetch, {feed: x})
            times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def bitlathe_ms(program, path, feed, shape, fetch):
    command = [program, "benchmark-model", "--json", "--graph", path, "--input_layer", feed, "--input_layer_shape",
               ",".join(map(str, shape)), "--output_layer", fetch, "--max_num_runs", str(RUNS), "--max_time", "600"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["without_statistics"]["cpu_us"] / 1000


def main():
    program, feed, shape, fetch = sys.argv[1:5]
    shape = [int(n) for n in shape.split(",")]
    print("| graph | TensorFlow ms | bitlathe ms | times as fast |\n|---|---|---|---|")
    for path in sys.argv[5:]:
        theirs, ours = tensorflow_ms(path, feed, shape, fetch), bitlathe_ms(program, path, feed, shape, fetch)
        print("| %s | %.1f | %.1f | %.1f |" % (os.path.basename(path), theirs, ours, theirs / ours))


main()
