"""Precisions of layers in hls4ml's manner (fixed<16,6>: TRN, WRAP, on results) give the bits of hls4ml's own emulation:
its nnet_utils on ap_fixed, from the wheel hls4ml, compiled with an accumulator that is wide enough.  Sums and inputs
beyond the formats wrap on purpose.
"""
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import numpy_helper
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BITLATHE, SOURCE = os.environ["BITLATHE"], os.environ["BITLATHE_SOURCE"]
NETS = {  # precision of the recipe; and per layer: weight, bias, result, ReLU's result, as hls4ml has them
    "usual": ('default: {all: "fixed<16,6>"}',
                {"input": "ap_fixed<16,6>", **{n: ["ap_fixed<16,6>"] * 4 for n in ("conv", "fc", "logits")}}),
    "by_layer": ("""default: {input: "fixed<10,5>", weight: "fixed<6,2>", bias: "fixed<8,3>"}
  name:
    conv: {accumulator: "fixed<9,5>"}
    conv_relu: {activation: "ufixed<7,3>"}
    fc: {weight: "fixed<8,1>", accumulator: "fixed<10,3,RND,SAT>"}
    fc_relu: {activation: "fixed<8,2,TRN,WRAP>"}
    logits: {accumulator: "fixed<12,5,RND_CONV,WRAP>"}""",
                 {"input": "ap_fixed<10,5>",
                  "conv": ["ap_fixed<6,2>", "ap_fixed<8,3>", "ap_fixed<9,5>", "ap_ufixed<7,3>"],
                  "fc": ["ap_fixed<8,1>", "ap_fixed<8,3>", "ap_fixed<10,3,AP_RND,AP_SAT>", "ap_fixed<8,2>"],
                  "logits": ["ap_fixed<6,2>", "ap_fixed<8,3>", "ap_fixed<12,5,AP_RND_CONV,AP_WRAP>", None]}),
}
RECIPE = """
name: {name}
data: {{source: data.csv, target: 12, shape: [6, 2]}}
network:
  - Input: {{shape: [6, 2]}}
  - Conv1D: {{filters: 3, kernel_size: 3, name: conv}}
  - ReLU: {{name: conv_relu}}
  - Flatten
  - Dense: {{units: 8, name: fc}}
  - ReLU: {{name: fc_relu}}
  - Dense: {{units: 3, name: logits}}
precision:
  {precision}
train: {{epochs: 1, batch: 16, optimizer: {{name: adam, lr: 0.05}}, loss: cross_entropy, seed: 5}}
output: {{model: {name}.onnx}}
"""
LAYER = """
struct {net}_{name}_config : nnet::dense_config {{
    static const unsigned n_in = {n_in}, n_out = {n_out}, multiplier_limit = 1000000;
    typedef ap_fixed<60, 30> accum_t;
    typedef {weight} weight_t;
    typedef {bias} bias_t;
    template <class x_T, class y_T, class C> using kernel = nnet::DenseLatency<x_T, y_T, C>;
}};
struct {net}_{name}_relu : nnet::activ_config {{ static const unsigned n_in = {n_out}; }};
static double {net}_{name}_w[] = {{{w}}}, {net}_{name}_b[] = {{{b}}};
template <class in_T, class sum_T> void {net}_{name}(in_T *x, sum_T *y) {{
    typedef {net}_{name}_config C;
    typename C::weight_t w[C::n_in * C::n_out];
    typename C::bias_t b[C::n_out];
    for (unsigned i = 0; i < C::n_in * C::n_out; i++) w[i] = {net}_{name}_w[i];
    for (unsigned i = 0; i < C::n_out; i++) b[i] = {net}_{name}_b[i];
    nnet::dense<in_T, sum_T, C>(x, y, w, b);
}}
"""
NET = """
static void {net}(const double *row) {{
    typedef {input} in_T;
    typedef {conv[2]} conv_T; typedef {conv[3]} conv_relu_T; typedef {fc[2]} fc_T; typedef {fc[3]} fc_relu_T;
    in_T x[12]; conv_T c[12]; conv_relu_T r[12]; fc_T f[8]; fc_relu_T g[8]; {logits[2]} y[3];
    for (int i = 0; i < 12; i++) x[i] = row[i];
    for (int p = 0; p < 4; p++) {{ // a convolution is a dense layer at every place
        {net}_conv(x + 2 * p, c + 3 * p);
        nnet::relu<conv_T, conv_relu_T, {net}_conv_relu>(c + 3 * p, r + 3 * p);
    }}
    {net}_fc(r, f);
    nnet::relu<fc_T, fc_relu_T, {net}_fc_relu>(f, g);
    {net}_logits(g, y);
    for (int i = 0; i < 3; i++) printf("%.17g ", (double)y[i]);
}}
"""
MAIN = """
int main() {
    double row[12];
    while (true) {
        for (int i = 0; i < 12; i++) if (scanf("%lf", row + i) != 1) return 0;
        NETS
        printf("\\n");
    }
}
"""


def numbers(a):
    return ", ".join(repr(float(v)) for v in np.asarray(a, dtype=np.float64).ravel())


def layers(name, types, model):
    """One reference net: hls4ml's dense layers with the model's weights, which ap_fixed brings into their formats."""
    data = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    text = ""
    for layer in ("conv", "fc", "logits"):
        w = data[f"{layer}.weight"]
        w = w.transpose(2, 1, 0).reshape(-1, w.shape[0]) if w.ndim == 3 else w
        text += LAYER.format(net=name, name=layer, n_in=w.shape[0], n_out=w.shape[1], weight=types[layer][0],
                             bias=types[layer][1], w=numbers(w), b=numbers(data[f"{layer}.bias"]))
    return text + NET.format(net=name, **types)


def main():
    templates = glob.glob(f"{SOURCE}/build/venv/lib/python3*/site-packages/hls4ml/templates/vivado")
    if not templates or not shutil.which("g++"):
        print("SKIPPED: hls4ml's headers are not in build/venv, or there is no C++ compiler")
        sys.exit(77)
    rng = np.random.default_rng(11)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rows = rng.normal(0, 3, (200, 12))
        pathlib.Path("data.csv").write_text("".join(
            ",".join(f"{v:.4f}" for v in r) + f",{int(r[0] > 0) + int(r[3] > 1)}\n" for r in rows))
        x = rng.normal(0, np.repeat([1, 4, 16, 40], 100)[:, None], (400, 12)).astype(np.float32)
        np.save("x.npy", x.reshape(400, 6, 2))
        reference, ours = "#include <cstdio>\n#include \"nnet_utils/nnet_dense.h\"\n#include \"nnet_utils/nnet_activation.h\"\n", {}
        for name, (precision, types) in NETS.items():
            pathlib.Path(f"{name}.yaml").write_text(RECIPE.format(name=name, precision=precision))
            subprocess.run([BITLATHE, "train", f"{name}.yaml", "--no-test", "--quiet"], check=True, stdout=subprocess.DEVNULL)
            for how in ("--exact", "--float"):
                subprocess.run([BITLATHE, "run", f"{name}.onnx", "--input", "x.npy", "--output", "y.npy", how, "--quiet"],
                               check=True, stdout=subprocess.DEVNULL)
                ours[name, how] = np.load("y.npy").astype(np.float64).reshape(400, 3)
            reference += layers(name, types, onnx.load(f"{name}.onnx"))
        pathlib.Path("reference.cpp").write_text(reference + MAIN.replace("NETS", " ".join(f"{n}(row);" for n in NETS)))
        subprocess.run(["g++", "-O0", "-w", "-std=c++14", f"-I{templates[0]}", f"-I{templates[0]}/ap_types", "reference.cpp",
                        "-o", "reference"], check=True)
        said = subprocess.run(["./reference"], input="\n".join(numbers(r).replace(",", "") for r in x), text=True,
                              capture_output=True, check=True).stdout
        expected = np.array([[float(v) for v in line.split()] for line in said.splitlines()])
        for k, name in enumerate(NETS):
            want = expected[:, 3 * k:3 * k + 3]
            assert np.unique(want).size > 50, f"{name}: the outputs hardly differ"
            for how in ("--exact", "--float"):
                apart = np.argwhere(ours[name, how] != want)
                assert apart.size == 0, f"{name} {how}: row, output {apart[0]}: {ours[name, how][tuple(apart[0])]}, " \
                                        f"hls4ml's {want[tuple(apart[0])]} ({len(apart)} differ)"
            print(f"{name}: 400 rows equal")


main()
