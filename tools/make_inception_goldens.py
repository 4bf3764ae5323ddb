#!/usr/bin/env python3
"""Golden file tests/golden/tf_inception.json.xz: what TensorFlow's own Graph Transform Tool makes of a full-size Inception v3.

Usage: make_inception_goldens.py OUTPUT       (needs tensorflow-cpu 2.21; the test needs it not)

The graph is tests/support/tf_inception.py's, the pipelines are tests/check/test_inception_compat.py's; results are the
canonical text of tests/support/tf_messages.py, in which great tensors are a hash of their bytes.
"""
import json
import lzma
import os
import pathlib
import sys

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "check")]
from test_inception_compat import PIPELINES  # noqa: E402
from tf_inception import inception  # noqa: E402
from tf_messages import GraphDef, graph_text  # noqa: E402
from tensorflow.python.util import _pywrap_transform_graph as original  # noqa: E402


def main():
    data, golden = inception().SerializeToString(), {}
    for name, transforms in PIPELINES.items():
        g = GraphDef()
        g.ParseFromString(original.TransformGraphWithStringInputs(data, "Mul", "softmax", transforms))
        golden[name] = graph_text(g)
        print(f"{name}: {len(golden[name])} nodes", flush=True)
    pathlib.Path(sys.argv[1]).write_bytes(lzma.compress(json.dumps(golden, indent=0).encode(), preset=9))


main()
