#!/usr/bin/env python3
"""Golden file tests/golden/tf_transforms.json.xz: what TensorFlow's own Graph Transform Tool makes of the corpus.

Usage: make_transform_goldens.py OUTPUT [--missing] [WORD]...       (needs tensorflow-cpu 2.21; the tests need neither)

Each case of tests/support/tf_cases.py runs in a child of one process that has TensorFlow loaded, since the original may
abort or never return; those become "crash" and "hang".  With WORDs, only cases whose key contains one of them are run, with
--missing those that OUTPUT does not have; the others keep what it has.  Results are the canonical text of tests/support/tf_messages.py.
"""
import json
import lzma
import os
import pathlib
import signal
import sys
import tempfile
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/support"))
import tf_cases  # noqa: E402
from tf_messages import GraphDef, graph_text  # noqa: E402
from tensorflow.python.util import _pywrap_transform_graph as original  # noqa: E402

LIMIT = 30  # seconds a case may take


def result(case, log):
    name, transforms, inputs, outputs = case
    try:
        raw = original.TransformGraphWithStringInputs(tf_cases.graph(name).SerializeToString(), ",".join(inputs),
                                                      ",".join(outputs), transforms.replace("{log}", log))
    except Exception as e:
        return {"error": str(e).replace(log, "{log}").strip()[:200]}
    g = GraphDef()
    g.ParseFromString(raw)
    return {"nodes": graph_text(g), "producer": g.versions.producer, "functions": len(g.library.function)}


def wait(child):
    deadline = time.time() + LIMIT
    while time.time() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def in_child(case, log, answer):
    child = os.fork()
    if child == 0:
        with open(answer, "w") as f:
            json.dump(result(case, log), f)
        os._exit(0)
    status = wait(child)
    if status == 0:
        return json.loads(pathlib.Path(answer).read_text())
    return {"hang" if status is None else "crash": True}


def main():
    path, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
    missing = "--missing" in words
    words = [w for w in words if w != "--missing"]
    golden = json.loads(lzma.decompress(path.read_bytes())) if (words or missing) and path.exists() else {}
    cases = [c for c in [*tf_cases.small(), *tf_cases.large()] if not words or any(w in tf_cases.key(c) for w in words)]
    cases = [c for c in cases if not missing or tf_cases.key(c) not in golden]
    with tempfile.TemporaryDirectory() as folder:
        log = folder + "/log.txt"
        pathlib.Path(log).write_text(tf_cases.LOG)
        for case in cases:
            golden[tf_cases.key(case)] = in_child(case, log, folder + "/answer")
    wanted = {tf_cases.key(c) for c in [*tf_cases.small(), *tf_cases.large()]}
    golden = {k: v for k, v in sorted(golden.items()) if k in wanted}
    path.write_bytes(lzma.compress(json.dumps(golden, indent=0).encode(), preset=9))
    kinds = [next(iter(set(v) & {"error", "crash", "hang"}), "graph") for v in golden.values()]
    print(len(golden), "cases:", {k: kinds.count(k) for k in sorted(set(kinds))}, path.stat().st_size, "bytes")


main()
