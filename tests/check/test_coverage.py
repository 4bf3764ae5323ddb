"""Every preset and every quantizer, on a small MLP and a small CNN: each trains, is written, passes onnx.checker, is read
back as it was, scores in eval what it scored in train, and gives qonnx's executor the same outputs.  Prints the table.

Where float32 sums depend on their order both may be right and differ: each output must lie inside a bound that is proven for
its row (support/float_bound.py), and classes may differ only where the bound lets either win.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BITLATHE = os.environ["BITLATHE"]
SOURCE = pathlib.Path(os.environ["BITLATHE_SOURCE"])
sys.path.insert(0, str(SOURCE / "tests" / "support"))
from float_bound import disagreement  # noqa: E402

COPY = pathlib.Path(os.environ["BITLATHE_BINARY"]) / "tests" / "tool_model_copy"
ROWS, TEST_ROWS = 192, 96
certain = []  # of each case under a bound, the share of rows whose class the bound leaves no choice of

# What is said of a quantizer in a recipe: its entry for weights, and that for activations (None: the fixed one).
QUANTIZERS = {
    "ste": ("fixed<4,1,RND,SAT_SYM>", "ufixed<4,2,RND,SAT>"),
    "lsq": ("{quantizer: lsq, format: int<4>}", "{quantizer: lsq, format: uint<4>}"),
    "pact": (None, "{quantizer: pact, bits: 4}"),
    "dorefa": ("{quantizer: dorefa, bits: 3}", "{quantizer: dorefa, bits: 3}"),
    "xnor": ("{quantizer: xnor}", None),
    "quantized_bits": ('{quantizer: quantized_bits, bits: 4, integer: 0, alpha: auto_po2}',
                       "{quantizer: quantized_bits, bits: 5, integer: 2}"),
    "quantized_relu": (None, "{quantizer: quantized_relu, bits: 4, integer: 2}"),
    "quantized_tanh": ("{quantizer: quantized_tanh, bits: 5}", "{quantizer: quantized_tanh, bits: 5}"),
    "quantized_sigmoid": ("{quantizer: quantized_sigmoid, bits: 5}", "{quantizer: quantized_sigmoid, bits: 5}"),
    "quantized_po2": ("{quantizer: quantized_po2, bits: 4}", "{quantizer: quantized_po2, bits: 4}"),
    "quantized_relu_po2": ("{quantizer: quantized_relu_po2, bits: 4}", "{quantizer: quantized_relu_po2, bits: 4}"),
    "binary": ("{quantizer: binary, alpha: auto_po2}", "{quantizer: binary}"),
    "ternary": ("{quantizer: ternary, alpha: auto}", "{quantizer: ternary}"),
    "stochastic_binary": ("{quantizer: stochastic_binary, alpha: auto_po2}", "{quantizer: stochastic_binary}"),
    "stochastic_ternary": ("{quantizer: stochastic_ternary, alpha: auto_po2}", None),
    "bernoulli": ("{quantizer: bernoulli}", "{quantizer: bernoulli}"),
}
# Scales that are no powers of two, or sums beyond 24 bits: float32 sums depend on their order, and codes meet their ties
# often, so another runner may round some of them otherwise.  All others must be equal to the last bit.
INEXACT = {"gupta16", "int8", "dorefa124", "wage2888", "lsq weights", "lsq activations", "pact activations",
           "dorefa weights", "dorefa activations", "xnor weights", "ternary weights"}

CNN = """name: small
data: {source: unset, normalize: {scale: 0.00390625}}
network:
  - Input: {shape: [12, 12, 1]}
  - Conv2D: {filters: 6, kernel_size: 3, activation: relu, name: conv1}
  - MaxPooling2D
  - Conv2D: {filters: 5, kernel_size: 2, activation: relu, name: conv2}
  - Flatten
  - Dense: {units: 10, name: logits}
train: {epochs: 1, batch: 32, slices: 2, optimizer: {name: adam, lr: 0.01}, loss: cross_entropy, seed: 1}
output: {model: unset}
"""


def data(path, size):
    random = np.random.default_rng(size)
    y = random.integers(0, 10, size=ROWS + TEST_ROWS).astype(np.int32)
    x = random.integers(0, 60, size=(len(y), size, size, 1))
    for i, label in enumerate(y):
        x[i, label:label + 2] += 180
    x = x.astype(np.uint8)
    np.savez(path, x_train=x[:ROWS], y_train=y[:ROWS], x_test=x[ROWS:], y_test=y[ROWS:])
    return x[ROWS:].astype(np.float32)


def call(*args):
    done = subprocess.run([BITLATHE, *map(str, args), "--json", "--quiet", "--threads", "1"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def elsewhere(path, x):
    model = onnx.load(path)
    onnx.checker.check_model(model)
    name, out = model.graph.input[0].name, model.graph.output[0].name
    wrapper = ModelWrapper(model)
    with np.errstate(all="ignore"):
        return np.stack([execute_onnx(wrapper, {name: row[None]})[out].ravel() for row in x])


def content(path):
    """All of a file but the order of constants and metadata."""
    m = onnx.load(path)
    return ([n.SerializeToString() for n in m.graph.node], {i.name: i.SerializeToString() for i in m.graph.initializer},
            {p.key: p.value for p in m.metadata_props})


def outcome(folder, name, recipe, npz, x, sets):
    model, again = folder / "m.onnx", folder / "again.onnx"
    model.unlink(missing_ok=True)
    options = [o for s in sets for o in ("--set", s)]
    status, said = call("train", recipe, "--out", model, "--set", f"data.source={npz}", *options)
    if status != 0:
        return "FAILED", said["error"]["message"] if "error" in said else str(said)
    subprocess.run([COPY, model, again, again, folder / "third.onnx"], check=True, capture_output=True)
    if content(model) != content(again) or again.read_bytes() != (folder / "third.onnx").read_bytes():
        return "FAILED", "read and written again it is another file"
    status, scored = call("eval", model, "--data", npz)
    if status != 0 or scored["accuracy"] != said["test"]["accuracy"]:
        return "FAILED", f"eval says {scored}, train said {said['test']}"
    np.save(folder / "x.npy", x)
    call("run", model, "--input", folder / "x.npy", "--output", folder / "y.npy")
    here = np.load(folder / "y.npy").reshape(len(x), -1)
    there = elsewhere(model, x)
    score = f"{100 * said['test']['accuracy']:.0f} %"
    if np.array_equal(here, there):
        return "equal", score
    if name not in INEXACT:
        return "FAILED", f"values differ by up to {np.abs(here - there).max():.2g}"
    wrong, proven, sure = disagreement(onnx.load(model), x, here, there)
    certain.append(sure / len(x))
    return ("FAILED", wrong) if wrong else ("close", f"{score}; {proven}")


def cases():
    for preset in names("presets"):
        yield preset, [f"precision={{preset: {preset}}}"]
    for q in names("quantizers"):
        weight, activation = QUANTIZERS[q]
        base = 'default: {input: "ufixed<8,0,RND,SAT>", bias: "fixed<8,2,RND,SAT>", weight: %s, activation: %s}'
        fixed = ('"fixed<4,1,RND,SAT_SYM>"', '"ufixed<4,2,RND,SAT>"')
        if weight:
            yield f"{q} weights", ["precision={" + base % (weight if weight[0] == "{" else f'"{weight}"', fixed[1]) + "}"]
        if activation:
            entry = activation if activation[0] == "{" else f'"{activation}"'
            yield f"{q} activations", ["precision={" + base % (fixed[0], entry) + "}"]


def names(what):
    return [i["name"] for i in call("list", what)[1][what]]


def main():
    failures = 0
    missing = set(names("quantizers")) ^ set(QUANTIZERS)
    assert not missing, f"quantizers without a case here, or gone: {missing}"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cnn = folder / "cnn.yaml"
        cnn.write_text(CNN)
        nets = [("mlp", SOURCE / "examples" / "mlp.yaml", folder / "d28.npz", data(folder / "d28.npz", 28)),
                ("cnn", cnn, folder / "d12.npz", data(folder / "d12.npz", 12))]
        for name, sets in cases():
            for net, recipe, npz, x in nets:
                more = ["train.epochs=1", "data.validation=0", f"output.log={folder}/log", f"output.checkpoint={folder}/c.npz"]
                got, why = outcome(folder, name, recipe, npz, x[:16], sets + more)
                print(f"{name:32s} {net}  {got:8s} {why}", flush=True)
                failures += got == "FAILED"
    print(f"{np.mean(certain):.0%} of the classes under a bound are certain")
    assert np.mean(certain) > 0.5, "the bound says too little to be a test"
    sys.exit(1 if failures else 0)


main()
