#!/usr/bin/env python3
"""Frozen graphs through TensorFlow and through bitlathe, one thread each, in one run on one machine.

Usage: tf_graphs.py BITLATHE INPUT SHAPE OUTPUT GRAPH...       (needs tensorflow-cpu 2.21)
       tf_graphs.py build/release/bitlathe input:0 1,299,299,3 Identity:0 float.pb eightbit.pb

Prints a table: processor milliseconds of one run.  Both take turns, ROUNDS times; of each turn counts the mean of as many
runs as fill SECONDS, and of all turns the best, so that other work on the machine counts as little as it can.  That
results agree is what the tests are for.  TensorFlow runs as its tools of old would: without oneDNN, without graph
optimisation (TF_ENABLE_ONEDNN_OPTS=1 in the environment changes the first).  `THEIRS=OURS` in place of a graph gives each
its own file.  Last columns: ours against TensorFlow on the same file, and on the first file named.
"""
import json
import os
import subprocess
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "0")
ROUNDS = 5
SECONDS = 0.3


class TensorFlow:
    def __init__(self, path, feed, shape, fetch):
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
        self.session = v1.Session(graph=graph, config=config)
        self.fetch, self.feed = fetch, {feed: np.random.RandomState(0).rand(*shape).astype(np.float32)}
        self.run()

    def run(self):
        self.session.run(self.fetch, self.feed)

    def milliseconds(self):
        runs, start = 0, time.process_time()
        while time.process_time() - start < SECONDS:
            self.run()
            runs += 1
        return 1000 * (time.process_time() - start) / runs


def bitlathe_ms(program, path, feed, shape, fetch, runs):
    command = [program, "benchmark-model", "--json", "--threads", "1", "--graph", path, "--input_layer", feed,
               "--input_layer_shape", ",".join(map(str, shape)), "--output_layer", fetch, "--max_num_runs", str(runs),
               "--max_time", "600"]
    result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result["without_statistics"]["cpu_us"] / 1000


def main():
    program, feed, shape, fetch = sys.argv[1:5]
    shape = [int(n) for n in shape.split(",")]
    files = [graph.split("=") * (1 if "=" in graph else 2) for graph in sys.argv[5:]]
    peers = [TensorFlow(theirs, feed, shape, fetch) for theirs, _ in files]
    best = [[float("inf")] * 2 for _ in files]
    for _ in range(ROUNDS):
        for i, (_, ours) in enumerate(files):
            best[i][0] = min(best[i][0], peers[i].milliseconds())
            runs = max(10, int(1000 * SECONDS / (best[i][0] / 4)))
            best[i][1] = min(best[i][1], bitlathe_ms(program, ours, feed, shape, fetch, runs))
    print("| graph | TensorFlow ms | bitlathe ms | times as fast | as TensorFlow on the first |\n|---|---|---|---|---|")
    for (theirs, ours), (a, b) in zip(files, best):
        name = os.path.basename(ours) if theirs == ours else "%s, ours %s" % (os.path.basename(theirs),
                                                                             os.path.basename(ours))
        print("| %s | %.2f | %.2f | %.1f | %.1f |" % (name, a, b, a / b, best[0][0] / b))


main()
