#!/usr/bin/env python3
"""Graphs that transform-graph writes, run by stock TensorFlow and here: do both give the same?

Usage: compare_in_tensorflow.py BUILD       (needs tensorflow-cpu 2.21 and ../shared/data)
       compare_in_tensorflow.py build/release

The worked example of docs/tensorflow.md and the rows beside it on every stored input, and README's eight-bit Inception v3
(seeded weights) on shared pictures.  Of each graph: how many tensors of codes (bytes, sums of 32 bits) have TensorFlow's bits;
on how many inputs the output has; how far outputs are apart at most, as a share of the greatest; how often the label is the
same.  Outputs are run for themselves, with joined nodes; codes node by node.  Those behind a Softmax are not counted: it is
computed in floats, which agree within the rounding of sums, and so a byte behind it may be the next one.  TensorFlow runs without oneDNN
and without graph optimisation.

Ends with status 1 where codes or labels differ, or outputs by more than 2^-16 of the greatest (1/255 of one where the
output has gone through bytes behind a Softmax).
"""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
HERE = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("BITLATHE_SOURCE", str(HERE))
BUILD = pathlib.Path(sys.argv[1]).resolve()
os.environ["BITLATHE"] = str(BUILD / "bitlathe")
sys.path[:0] = [str(HERE / "tests/check"), str(HERE / "tests/support")]
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import test_small_weights as small  # noqa: E402
import test_worked_example as example  # noqa: E402
import test_worked_inception as inception  # noqa: E402

v1 = tf.compat.v1
CODES = (tf.quint8, tf.qint32)


class TensorFlow:
    def __init__(self, path):
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.import_graph_def(v1.GraphDef.FromString(path.read_bytes()), name="")
        config = v1.ConfigProto()
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self.session = v1.Session(graph=self.graph, config=config)

    def behind(self, op, seen):
        """Whether op reads a Softmax, or what does."""
        if op not in seen:
            seen[op] = any(x.op.type == "Softmax" or self.behind(x.op, seen) for x in op.inputs)
        return seen[op]

    def codes(self):
        """Names of all tensors of codes that operators before a Softmax make; whether there are some behind it."""
        made = [op for op in self.graph.get_operations()
                if op.type.startswith("Quantize") or op.type == "Requantize" if op.outputs[0].dtype in CODES]
        seen = {}
        front = [f"{op.name}:0" for op in made if not self.behind(op, seen)]
        return front, len(front) < len(made)

    def run(self, fetches, feed, x):
        return self.session.run(fetches, {feed: x})


def ours(folder, path, fetches, feed, x):
    np.save(folder / "x.npy", x)
    out = []
    for i in range(0, len(fetches), 60):
        some = fetches[i:i + 60]
        subprocess.run([BUILD / "tests/tool_tf_run", path, f"{feed}={folder}/x.npy", "--",
                        *(f"{n}={folder}/{k}.npy" for k, n in enumerate(some))], check=True)
        out += [np.load(folder / f"{k}.npy") for k in range(len(some))]
    return out


def whole(a):
    """Codes as plain numbers."""
    return a.view({1: np.uint8, 4: np.int32}[a.dtype.itemsize]) if a.dtype.fields else a


def compare(name, folder, path, feed, fetch, inputs):
    peer = TensorFlow(path)
    front, bytes_out = peer.codes()
    equal = same = codes = all_codes = 0
    apart, far = 0.0, False
    for x in inputs:
        theirs, here = peer.run([fetch] + front, feed, x), ours(folder, path, [fetch], feed, x) + ours(folder, path, front, feed, x)
        equal += theirs[0].tobytes() == here[0].tobytes()
        same += theirs[0].argmax() == here[0].argmax()
        apart = max(apart, float(abs(theirs[0] - here[0]).max() / abs(theirs[0]).max()))
        far = far or abs(theirs[0] - here[0]).max() > (1 / 255 if bytes_out else 2.0 ** -16 * abs(theirs[0]).max())
        codes += sum(whole(a).tobytes() == b.tobytes() for a, b in zip(theirs[1:], here[1:]))
        all_codes += len(front)
    n = len(inputs)
    print(f"| {name} | {codes} of {all_codes} | {equal} of {n} | {apart:.1g} | {same} of {n} |", flush=True)
    return codes < all_codes or far or same < n


def mobilenet(folder):
    x = (np.load(example.MODEL / "inputs_u8.npy").astype(np.float32) - np.float32(127.5)) / np.float32(127.5)
    rows = [(f"{r[0]} form", r[1]) for r in example.FORMS] + [(r[0], example.DEPLOY + r[1]) for r in small.ROWS]
    for name, transforms in rows:
        path = folder / "graph.pb"
        r = example.transform(path, transforms)
        if r.returncode:
            sys.exit(r.stderr)
        yield compare(f"MobileNet, {name}", folder, path, "input:0", example.OUTPUT + ":0", [row[None] for row in x])


def full_size(folder):
    inception.prepare(folder)
    r = inception.shell(folder, inception.commands()[0])
    if r.returncode:
        sys.exit(r.stderr)
    pictures = [tf.image.decode_jpeg((folder / p).read_bytes(), channels=3) for p in inception.PICTURES if p.endswith("jpg")]
    x = [(tf.image.resize(p, (299, 299))[None].numpy() - np.float32(128)) / np.float32(128) for p in pictures]
    yield compare("Inception v3, README's line", folder, folder / "eightbit.pb", "Mul:0", "softmax:0", x)


def main():
    print("| graph | codes with TensorFlow's bits | outputs with its bits | greatest distance, of the greatest output | same label |\n"
          "|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bad = sum([*mobilenet(folder), *full_size(folder)])
    sys.exit(1 if bad else 0)


main()
