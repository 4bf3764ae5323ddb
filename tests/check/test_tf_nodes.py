"""quantize_nodes beyond the original: each graph of tests/support/tf_nodes.py in floats and in eight bits.

The eight-bit graph has the operators that it should, gives the floats' results within the bound that the ranges imply, and
the very bits that TensorFlow 2.21 gave when it ran the same graph (tests/golden/tf_nodes.npz, tools/make_tf_node_goldens.py).

Then the shared real graphs with all weights and calculations in eight bits, ranges found while running: how many of their
inputs keep their first label.  What they lose lies within .003 of a tie (jet_3layer, 3 of 256), or .16 (kws_cnn_s, one of 20).

Usage by hand: test_tf_nodes.py [WORD]...   only cases that have all words in their name
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "support"))
try:
    import numpy as np
    import tf_nodes
    from tf_messages import GraphDef, graph_text
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BUILD = pathlib.Path(os.environ.get("BITLATHE_BINARY", HERE.parent / "build/release"))
PROGRAM, RUN = os.environ.get("BITLATHE", str(BUILD / "bitlathe")), str(BUILD / "tests/tool_tf_run")
# operators that may be left float, as they are not what a case is about
FLOAT = {"Const", "Placeholder", "Identity"}


def call(*args):
    r = subprocess.run(args, capture_output=True, text=True, timeout=60)
    if r.returncode:
        raise RuntimeError(f"{pathlib.Path(args[0]).name}: {r.stderr.strip()}")


def transform(source, out, transforms):
    call(PROGRAM, "transform-graph", f"--in_graph={source}", f"--out_graph={out}", "--inputs=input", "--outputs=output",
         f"--transforms={transforms}")


def run(folder, graph, x, names, *flags, feed="input"):
    np.save(folder / "x.npy", x)
    call(RUN, str(graph), *flags, f"{feed}={folder}/x.npy", "--", *(f"{n}={folder}/{i}.npy" for i, n in enumerate(names)))
    return [np.load(folder / f"{i}.npy") for i in range(len(names))]


def stays_float(g, eight):
    """Nodes that have their operator still."""
    after = {n.name: n.op for n in eight.node}
    return [f"{n.name} ({n.op})" for n in g.node if n.op not in FLOAT and after.get(n.name) == n.op]


def channels(g, eight, folder, x):
    """What is wrong with weights that have a step for each channel: all codes are used, and no weight is far from its code."""
    products = {n.name: n for n in g.node}
    for n in eight.node:
        if not n.name.endswith("/eightbit/w/centred"):
            continue
        base = n.name[:-len("/centred")]
        codes, steps = run(folder, folder / "eight.pb", x, [n.name, base + "/steps"])
        product = products[base.removesuffix("/eightbit/w").removesuffix("/nhwc")]
        w = tf_nodes.constants(g)[product.input[1]]
        summed = tuple(range(w.ndim - steps.ndim))
        greatest = 2 ** 24 // 255 // int(np.prod(w.shape[:2])) if product.op[0] == "D" else 127
        if (abs(codes).max(summed) != np.where(abs(w).max(summed) > 0, greatest, 0)).any():
            return f"{product.name}: greatest codes {abs(codes).max(summed)}"
        if (abs(codes * steps.astype(np.float64) - w) > steps * .50001).any():
            return f"{product.name}: weights off by more than half a step"
    return None


def check(name, golden, folder):
    g = tf_nodes.CASES[name]()[0]
    x = tf_nodes.fed(name)
    (folder / "float.pb").write_bytes(g.SerializeToString())
    transform(folder / "float.pb", folder / "eight.pb", tf_nodes.transforms(name))
    eight = GraphDef()
    eight.ParseFromString((folder / "eight.pb").read_bytes())
    if "NCHW" in name and any(n.attr["data_format"].s == b"NCHW" for n in eight.node):
        return "NCHW is left"
    if stays_float(g, eight):
        return f"left float: {', '.join(stays_float(g, eight))}"
    wrong = channels(g, eight, folder, x) if "per channel" in name else None
    if wrong or ("per channel" in name and "turned" not in name and not any(n.name.endswith("/w/steps") for n in eight.node)):
        return wrong or "no range for each channel"
    names = [n.name for n in g.node]
    fetched = dict(zip(names, run(folder, folder / "float.pb", x, names)))
    want, limit = fetched["output"], tf_nodes.bound(g, fetched)
    got, plain = (run(folder, folder / "eight.pb", x, ["output"], *flags)[0] for flags in ([], ["--plain"]))
    if got.tobytes() != plain.tobytes():
        return "joined nodes give other bits than single ones"
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{got.shape}, the float graph {want.dtype}{want.shape}"
    off = abs(got - want).max(initial=0)
    if not off <= limit:
        return f"off by {off:g}, may be off by {limit:g}"
    if name in golden and golden[name].tobytes() != got.tobytes():
        return f"not TensorFlow's bits: {np.count_nonzero(golden[name] != got)} of {got.size} differ, e.g. by {abs(golden[name] - got).max()}"
    return None if name in golden or not x.size else "no golden"


# folder, inputs, feed, fetch, mean, by, one at a time, inputs that keep their label
DATA = pathlib.Path(os.environ.get("BITLATHE_SOURCE", HERE.parent)) / "../shared/data/tf_pb"
DEPLOY = ("strip_unused_nodes remove_nodes(op=Identity) fold_constants fold_batch_norms fold_old_batch_norms "
          "quantize_weights(minimum_size=1) quantize_nodes strip_unused_nodes sort_by_execution_order")
REAL = [
    ("jet_3layer", "inputs", "input_1", "output_softmax/Softmax", 0, 1, False, 253),
    ("kws_cnn_s", "inputs", "Mfcc", "labels_softmax", 0, 1, True, 19),
    ("kws_dnn_s", "inputs", "Mfcc", "labels_softmax", 0, 1, True, 20),
    ("mnist_mlp_float", "inputs_u8", "x", "OuputLayer/logits", 0, 255, False, 254),
]


def real(case, folder):
    name, inputs, feed, fetch, mean, by, single, keep = case
    call(PROGRAM, "transform-graph", f"--in_graph={DATA}/{name}/graph.pb", f"--out_graph={folder}/eight.pb", f"--inputs={feed}",
         f"--outputs={fetch}", f"--transforms={DEPLOY}")
    x = np.load(DATA / name / f"{inputs}.npy")[:256]
    x = (x.astype(np.float32) - np.float32(mean)) / np.float32(by)
    want = np.load(DATA / name / "expected_logits.npy")[:256]
    rows = [x[i:i + 1] for i in range(len(x))] if single else [x]
    got = np.concatenate([run(folder, folder / "eight.pb", row, [fetch], feed=feed)[0] for row in rows])
    same = int((got.argmax(1) == want.argmax(1)).sum())
    return None if same >= keep else f"{same} of {len(x)} inputs keep their first label, expected {keep}"


def main():
    words = sys.argv[1:]
    golden = dict(np.load(HERE / "golden/tf_nodes.npz"))
    jobs = {name: lambda folder, name=name: check(name, golden, folder) for name in tf_nodes.CASES}
    if DATA.exists():
        jobs.update({c[0]: lambda folder, c=c: real(c, folder) for c in REAL})
    else:
        print("../shared/data/tf_pb is not there: without the real graphs")
    jobs = {name: job for name, job in jobs.items() if all(w in name for w in words)}
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for name, job in jobs.items():
            try:
                fault = job(pathlib.Path(folder))
            except RuntimeError as e:
                fault = str(e)
            if fault:
                faults.append(f"{name}: {fault}")
    print("\n".join(faults))
    print(f"{len(jobs) - len(faults)} cases agree, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
