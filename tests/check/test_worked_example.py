"""The worked example of docs/tensorflow.md on the shared MobileNet: float in, eight bits out, equal labels.

All weights and all operators in eight bits, a range for each channel's weights, ranges frozen: on the stored inputs the
first label is that of the float graph for 32 of 32, on the shared pictures label-image says the same first label of both.
Half of the inputs does for the other half.  With one range a layer 31 or more stay where there is a product behind each
convolution and floats between, without them 26 or more.  check refuses what is no such graph, and then no file is there.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parents[1]
BINARY = os.environ.get("BITLATHE", str(HERE.parent / "build/release/bitlathe"))
DATA = pathlib.Path(os.environ.get("BITLATHE_SOURCE", HERE.parent)) / "../shared/data"
MODEL = DATA / "tf_pb/mobilenet_v1_025_128"
PICTURES = ["cat.bmp", "grace_hopper.jpg", "parrot.jpg", "classify1.jpg", "medium.jpg"]
OUTPUT = "MobilenetV1/Predictions/Reshape_1"

IMAGES = f'images="{MODEL}/inputs_u8.npy", mean=127.5, std=127.5'
DEPLOY = ('strip_unused_nodes(type=float, shape="1,128,128,3") remove_nodes(op=Identity, op=CheckNumerics) '
          'fold_constants(ignore_errors=true) fold_batch_norms fold_old_batch_norms ')
WEIGHTS = "quantize_weights(minimum_size=1, minimum_rank=2"
BIASES = f" correct_biases({IMAGES}) "
END = f" strip_unused_nodes sort_by_execution_order calibrate({IMAGES})" + BIASES
FLOAT_BETWEEN = "quantize_nodes(ignore_op=AvgPool, ignore_op=Mul, ignore_op=Add, ignore_op=BiasAdd)"
BEST = DEPLOY + WEIGHTS + ", per_channel=true, symmetric=true)" + BIASES + "quantize_nodes" + END
EVEN = DEPLOY + f"equalize({IMAGES}, columns=true) " + WEIGHTS + ")" + BIASES + FLOAT_BETWEEN + END
FUSED = DEPLOY + f"equalize({IMAGES}) " + WEIGHTS + ")" + BIASES + "quantize_nodes" + END
# name, transforms, the greatest error of the output, the least share of inputs whose first label stays
FORMS = [("best", BEST, 0.065, 1), ("even", EVEN, 0.065, 0.96875), ("fused", FUSED, 0.14, 0.8125)]


def transform(out, transforms):
    return subprocess.run([BINARY, "transform-graph", f"--in_graph={MODEL}/frozen_graph.pb", f"--out_graph={out}", "--inputs=input",
                           f"--outputs={OUTPUT}", f"--transforms={transforms}"], capture_output=True, text=True, timeout=600)


def first_label(graph, picture):
    r = subprocess.run([BINARY, "label-image", "--json", f"--graph={graph}", f"--image={DATA}/images/{picture}",
                        f"--labels={MODEL}/labels.txt", "--input_width=128", "--input_height=128", "--input_mean=127.5",
                        "--input_std=127.5", "--input_layer=input", f"--output_layer={OUTPUT}"],
                       capture_output=True, text=True, timeout=600, check=True)
    return json.loads(r.stdout)["labels"][0]["label"]


def halves(folder):
    """The stored inputs with even numbers, and those with odd ones: arrays of bytes in format 1."""
    data = (MODEL / "inputs_u8.npy").read_bytes()
    at = 10 + int.from_bytes(data[8:10], "little")
    size = (len(data) - at) // 32
    paths = [folder / f"half{k}.npy" for k in range(2)]
    for k, path in enumerate(paths):
        rows = [data[at + i * size:at + (i + 1) * size] for i in range(k, 32, 2)]
        path.write_bytes(data[:at].replace(b"(32,", b"(16,") + b"".join(rows))
    return paths


def unseen(folder):
    paths = halves(folder)
    for mine, others in (paths, paths[::-1]):
        r = transform(folder / "half.pb", BEST.replace(f"{MODEL}/inputs_u8.npy", str(mine)) +
                      f'check(images="{others}", mean=127.5, std=127.5, tolerance=0.09, agreement=1)')
        print("\n".join(r.stderr.splitlines()[-2:]))
        if r.returncode:
            yield f"the best form on inputs that it has not seen: {r.stderr[-400:]}"


def faults(folder):
    yield from unseen(folder)
    for name, transforms, error, labels in FORMS:
        r = transform(folder / f"{name}.pb", transforms + f"check({IMAGES}, tolerance={error}, agreement={labels})")
        print("\n".join(r.stderr.splitlines()[-2:]))
        if r.returncode:
            yield f"the {name} form: {r.stderr[-400:]}"
            return
    best = folder / "best.pb"
    for picture in PICTURES:
        ours, floats = first_label(best, picture), first_label(MODEL / "frozen_graph.pb", picture)
        if ours != floats:
            yield f"{picture}: '{ours}' in eight bits, '{floats}' in floats"
    none = folder / "none.pb"
    r = transform(none, DEPLOY + f"quantize_weights(minimum_size=1) quantize_nodes check({IMAGES})")
    if r.returncode != 3 or none.exists() or "the tolerance is 0.1" not in r.stderr:
        yield f"a bad graph: exit status {r.returncode}, {r.stderr[-200:]}"
    old = folder / "transform_graph"
    old.symlink_to(pathlib.Path(BINARY).resolve())
    r = subprocess.run([old, f"--in_graph={MODEL}/frozen_graph.pb", f"--out_graph={none}", "--inputs=input", f"--outputs={OUTPUT}",
                        f"--transforms=round_weights(num_steps=2) check({IMAGES})"], capture_output=True, text=True, timeout=600)
    if r.returncode != 255 or none.exists() or "the tolerance is 0.1" not in r.stderr:
        yield f"a bad graph, by the old name: exit status {r.returncode}, {r.stderr[-200:]}"


def main():
    if not MODEL.exists():
        print("SKIPPED: ../shared/data/tf_pb is not there")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        found = list(faults(pathlib.Path(folder)))
    for f in found:
        print(f)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
