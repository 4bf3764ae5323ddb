"""Other tools' models, read, run and written again: outputs against the recorded ones, and the written file in the runner
that recorded them.  Tolerances are float32's: the runners add in another order than we do.
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
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BITLATHE = os.environ["BITLATHE"]
COPY = pathlib.Path(os.environ["BITLATHE_BINARY"]) / "tests" / "tool_model_copy"
DATA = pathlib.Path(os.environ["BITLATHE_SOURCE"]).parent / "shared" / "data"
# Operators that are not among ours: the message must say so.
UNKNOWN = {"superres_espcn_float": "operator DepthToSpace is not known",
           "superres_espcn_quant": "operator DepthToSpace is not known"}
EXACT = {"bnn_fc_1layer", "tfc_w1a1"}
TWO_OUTPUTS = {"ultraface_rfb320"}


def close(a, b, what):
    a, b = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    assert a.shape == b.shape, f"{what}: {a.shape} values, expected {b.shape}"
    # sums of some thousand float32 products, through up to 50 layers
    worst = np.abs(a - b).max() / max(1.0, np.abs(b).max())
    assert worst <= 2e-5, f"{what}: differs by {worst:.3g} of the largest value"


def elsewhere(path, row):
    model = onnx.load(path)
    name, out = model.graph.input[0].name, model.graph.output[0].name
    if any(n.domain for n in model.graph.node):
        return execute_onnx(ModelWrapper(model), {name: row})[out]
    return onnxruntime.InferenceSession(model.SerializeToString(),
                                        providers=["CPUExecutionProvider"]).run([out], {name: row})[0]


def check(case, folder):
    name = case.name
    copy = folder / "copy.onnx"
    done = subprocess.run([COPY, case / "model.onnx", copy], capture_output=True, text=True)
    if name in UNKNOWN:
        assert UNKNOWN[name] in done.stdout, f"{name}: {done.stdout}"
        return "refused by name"
    assert done.returncode == 0, f"{name}: {done.stdout}"
    onnx.checker.check_model(onnx.load(copy))
    x, expected = np.load(case / "inputs.npy"), np.load(case / "expected.npy")
    close(elsewhere(copy, x[:1]), expected[:1], f"{name}, written and run elsewhere")
    if name in TWO_OUTPUTS:
        return "read and written"
    for path in (case / "model.onnx", copy):
        subprocess.run([BITLATHE, "run", path, "--input", case / "inputs.npy", "--output", folder / "y.npy", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        y = np.load(folder / "y.npy")
        close(y, expected, f"{name}, run here")
        assert name not in EXACT or np.array_equal(y.ravel(), expected.ravel()), f"{name}: not exactly the same"
    return "equal" if name in EXACT else "read, run and written"


def main():
    if not DATA.is_dir():
        print("SKIPPED: ../shared/data is not there")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        for case in sorted(DATA.glob("*onnx/*")):
            print(case.name, "-", check(case, pathlib.Path(folder)))


main()
