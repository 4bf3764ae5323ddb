"""Frozen TensorFlow graphs of other people as models of ours: outputs of the model, here and in onnxruntime, against those
that TensorFlow gave.  The tolerance is float32's: the runners add in another order, through up to 30 layers.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BITLATHE = os.environ["BITLATHE"]
DATA = pathlib.Path(os.environ["BITLATHE_SOURCE"]).parent / "shared" / "data" / "tf_pb"


def unit(x):
    return (x / 255.0).astype(np.float32)


def centred(x):
    return (x.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


# folder, graph, inputs, what is done to them, cut, output, expected
CASES = [
    ("jet_3layer", "graph.pb", "inputs", None, [], "output_softmax/Softmax", "expected"),
    ("jet_3layer", "graph.pb", "inputs", None, [], "output_softmax/BiasAdd", "expected_logits"),
    ("kws_cnn_s", "graph.pb", "inputs", None, ["--inputs", "Mfcc:0", "--input_shapes", "1,49,10"], "labels_softmax", "expected"),
    ("kws_cnn_s", "graph.pb", "inputs", None, ["--inputs", "Mfcc", "--input_shapes", "1,49,10"], "add_4", "expected_logits"),
    ("kws_dnn_s", "graph.pb", "inputs", None, ["--inputs", "Mfcc", "--input_shapes", "-1,25,10"], "labels_softmax", "expected"),
    ("mnist_mlp_float", "graph.pb", "inputs_u8", unit, [], "OuputLayer/logits", "expected_logits"),
    ("mobilenet_v1_025_128", "frozen_graph.pb", "inputs_u8", centred, [], "MobilenetV1/Predictions/Reshape_1", "expected"),
    ("mobilenet_v1_025_128", "frozen_graph.pb", "inputs_u8", centred, ["--inputs", "input"],
     "MobilenetV1/Logits/SpatialSqueeze", "expected_logits"),
]
# What has no counterpart is refused by its name.
REFUSED = [
    ("kws_cnn_s", "graph.pb", ["--inputs", "wav_data"], "input 'wav_data': it has no dimensions"),
    ("kws_dnn_s", "graph.pb", ["--inputs", "Mfcc", "--outputs", "labels_softmax"], "input 'Mfcc': the graph does not say its shape"),
    ("mnist_mlp_float", "graph.pb", [], "node 'y_pred' (ArgMax): this operator has no counterpart here"),
    ("mnist_mlp_float", "graph.pb", ["--outputs", "logits"], "output: 'logits' is no node of this graph"),
    ("mnist_mlp_eightbit", "graph.pb", ["--outputs", "OuputLayer/logits"], "has no counterpart here"),
]


def convert(folder, graph, words, out):
    return subprocess.run([BITLATHE, "to-qonnx", DATA / folder / graph, "--out", out, *words], capture_output=True, text=True)


def close(y, expected, what):
    y = y.reshape(expected.shape).astype(np.float64)
    worst = np.abs(y - expected).max() / max(1.0, np.abs(expected).max())
    assert worst <= 2e-5, f"{what}: differs by {worst:.3g} of the largest value"
    return worst


def elsewhere(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[i:i + 1]})[0] for i in range(len(x))])


def check(case, folder):
    name, graph, inputs, prepare, words, output, expected = case
    model, x_file, y_file = folder / "m.onnx", folder / "x.npy", folder / "y.npy"
    done = convert(name, graph, [*words, "--outputs", output], model)
    assert done.returncode == 0, f"{name}: {done.stderr}"
    onnx.checker.check_model(onnx.load(model))
    x = np.load(DATA / name / f"{inputs}.npy")
    x = prepare(x) if prepare else x
    want = np.load(DATA / name / f"{expected}.npy")
    np.save(x_file, x)
    subprocess.run([BITLATHE, "run", model, "--input", x_file, "--output", y_file, "--float", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    here = close(np.load(y_file), want, f"{name}/{output}, here")
    there = close(elsewhere(model, x), want, f"{name}/{output}, in onnxruntime")
    print(f"{name}/{output}: {here:.2g} here, {there:.2g} in onnxruntime")


def main():
    if not DATA.is_dir():
        print("SKIPPED: ../shared/data is not there")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for case in CASES:
            check(case, folder)
        for name, graph, words, message in REFUSED:
            done = convert(name, graph, words, folder / "no.onnx")
            assert done.returncode == 1 and message in done.stderr, f"{name}: expected '{message}', got '{done.stderr}'"
            assert not (folder / "no.onnx").exists()


main()
