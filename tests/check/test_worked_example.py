"""The worked example of docs/tensorflow.md on the shared MobileNet: float in, eight bits out, equal labels.

All weights and all convolutions in eight bits, ranges frozen: on the stored inputs the first label is that of the float
graph for 32 of 32, on the shared pictures label-image says the same first label of both; all operators in eight bits and a
range for each channel's weights keep 31 or more, with less error, the fused form with one range a layer 26 or more.  check refuses what is
no such graph, and then no file is there.
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
WEIGHTS = f'quantize_weights(minimum_size=1, minimum_rank=2) correct_biases({IMAGES}) '
END = f' strip_unused_nodes sort_by_execution_order calibrate({IMAGES}) '
FLOAT_BETWEEN = "quantize_nodes(ignore_op=AvgPool, ignore_op=Mul, ignore_op=Add, ignore_op=BiasAdd)"
BEST = DEPLOY + f"equalize({IMAGES}, columns=true) " + WEIGHTS + FLOAT_BETWEEN + END
FUSED = DEPLOY + f"equalize({IMAGES}) " + WEIGHTS + "quantize_nodes" + END
CHANNELS = (DEPLOY + "quantize_weights(minimum_size=1, minimum_rank=2, per_channel=true, symmetric=true) "
            f"correct_biases({IMAGES}) quantize_nodes" + END + f"correct_biases({IMAGES}) ")


def transform(out, transforms):
    return subprocess.run([BINARY, "transform-graph", f"--in_graph={MODEL}/frozen_graph.pb", f"--out_graph={out}", "--inputs=input",
                           f"--outputs={OUTPUT}", f"--transforms={transforms}"], capture_output=True, text=True, timeout=600)


def first_label(graph, picture):
    r = subprocess.run([BINARY, "label-image", "--json", f"--graph={graph}", f"--image={DATA}/images/{picture}",
                        f"--labels={MODEL}/labels.txt", "--input_width=128", "--input_height=128", "--input_mean=127.5",
                        "--input_std=127.5", "--input_layer=input", f"--output_layer={OUTPUT}"],
                       capture_output=True, text=True, timeout=600, check=True)
    return json.loads(r.stdout)["labels"][0]["label"]


def faults(folder):
    best, fused, channels = folder / "best.pb", folder / "fused.pb", folder / "channels.pb"
    r = transform(best, BEST + f"check({IMAGES}, agreement=1)")
    print("\n".join(r.stderr.splitlines()[-2:]))
    if r.returncode:
        yield f"the best form: {r.stderr[-400:]}"
        return
    r = transform(fused, FUSED + f"check({IMAGES}, tolerance=0.3, agreement=0.8125)")
    print("\n".join(r.stderr.splitlines()[-2:]))
    if r.returncode:
        yield f"the fused form: {r.stderr[-400:]}"
    r = transform(channels, CHANNELS + f"check({IMAGES}, tolerance=0.07, agreement=0.96875)")
    print("\n".join(r.stderr.splitlines()[-2:]))
    if r.returncode:
        yield f"a range for each channel: {r.stderr[-400:]}"
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
