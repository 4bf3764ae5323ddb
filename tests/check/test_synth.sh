#!/bin/bash
# synth through the command line: figures by layer, an iCE40 bitstream whose netlist gives the right results, and what is
# said when something is missing.
set -u
here=$(mktemp -d) && trap 'rm -rf "$here"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
tool=$BITLATHE_BINARY/tests/tool_small_verilog

"$BITLATHE" synth "$here/nothing" 2> "$here/err" && fail "a folder that is not there"
grep -q "no project of emit" "$here/err" || fail "words: $(cat "$here/err")"

"$tool" "$here/net" 16-8-5 8 da ice40 200 || fail "emit"
PATH=/nowhere "$BITLATHE" synth "$here/net" 2> "$here/err" && fail "without yosys"
grep -q "yosys is not installed (package yosys)" "$here/err" || fail "words: $(cat "$here/err")"
"$BITLATHE" synth "$here/net" --family virtex2 2> "$here/err" && fail "a family that there is not"
grep -q "expected xcup, xc7, ice40 or ecp5" "$here/err" || fail "words: $(cat "$here/err")"

command -v yosys > /dev/null || { echo "SKIPPED: yosys is not installed (package yosys)"; exit 77; }
"$BITLATHE" synth "$here/net" --io stream 2> "$here/err" && fail "an option of emit for a project that is there"
grep -q "io goes with a model file" "$here/err" || fail "words: $(cat "$here/err")"

# LUTs, carry cells, registers of this network; one percent either way is a change to look at.
cat > "$here/budgets.py" <<'PY'
import json, sys
budgets = {"xcup": (1534, 502, 1607), "xc7": (1534, 502, 1607), "ecp5": (453, 903, 1610), "ice40": (2276, 1530, 1610),
           "three": (1086, 326, 253)}
r = json.load(open(sys.argv[1]))
name = sys.argv[2] if len(sys.argv) > 2 else r["family"]
total, layers = r["total"], r["layers"]
assert r["tool"].startswith("Yosys"), r
for key in ("lut", "ff", "carry"):
    assert sum(l[key] for l in layers) == total[key], r
assert {l["layer"] for l in layers} >= {"fc1", "relu1", "fc2"}, layers
assert total["dsp"] == 0 and 5 < r["depth"] < 25, r
for key, budget in zip(("lut", "carry", "ff"), budgets[name]):
    assert abs(total[key] - budget) <= budget / 100, f"{name}: {key} {total[key]}, the budget is {budget}"
PY
for family in xcup xc7 ecp5; do
    "$BITLATHE" synth "$here/net" --family $family --json > "$here/$family.json" || fail "synth $family"
    python3 "$here/budgets.py" "$here/$family.json" || fail "figures of $family"
done

# With adders of three inputs.
"$tool" "$here/three" 16-8-5 8 da3 xcup 2 || fail "emit da3"
"$BITLATHE" synth "$here/three" --family xcup --json > "$here/three.json" || fail "synth da3"
python3 "$here/budgets.py" "$here/three.json" three || fail "figures of da3"

# A model: a project in a temporary folder that is gone behind it.
python3 - "$here/data.csv" <<'PY'
import random, sys
random.seed(1)
with open(sys.argv[1], "w") as f:
    f.write("a,b,c,d,label\n")
    for _ in range(100):
        x = [random.gauss(0, 2) for _ in range(4)]
        f.write(",".join("%.4f" % v for v in x) + ",%d\n" % (x[0] + x[1] > 0))
PY
cat > "$here/tiny.yaml" <<YAML
name: tiny
data: {source: $here/data.csv, validation: 0.1}
network: [{Input: {shape: [4]}}, {Dense: {units: 3, name: fc1}}, {ReLU: {name: relu1}}, {Dense: {units: 2, name: logits}}]
precision:
  default: {input: "fixed<6,4,RND,SAT>", weight: "fixed<4,1,RND,SAT_SYM>", bias: "fixed<6,3,RND,SAT>", activation: "ufixed<4,3,RND,SAT>"}
train: {epochs: 2, batch: 32, optimizer: {name: adam, lr: 0.01}, loss: cross_entropy, seed: 1}
output: {model: $here/tiny.onnx}
YAML
(cd "$here" && "$BITLATHE" train tiny.yaml --quiet > /dev/null) || fail "train"
mkdir "$here/tmp"
TMPDIR=$here/tmp "$BITLATHE" synth "$here/tiny.onnx" --family ice40 --strategy resource --reuse 4 --clock 20 --json \
    > "$here/tiny.json" || fail "synth of a model"
[ -z "$(ls "$here/tmp")" ] || fail "the temporary folder is still there"
python3 - "$here/tiny.json" <<'PY' || fail "figures of a model in turns"
import json, sys
r = json.load(open(sys.argv[1]))
layers = {l["layer"]: l for l in r["layers"]}
assert layers["fc1"]["ff"] + layers["relu1"]["ff"] > 20 and layers["logits"]["lut"] > 20, layers
assert layers["fc1"]["lut"] > 2 * layers["input"]["lut"], layers # what is within a process is its layer's
PY

for need in nextpnr-ice40 icepack verilator; do
    command -v $need > /dev/null || { echo "SKIPPED: $need is not installed"; exit 77; }
done
"$BITLATHE" synth "$here/net" --family ice40 --place --seeds 2 --json > "$here/ice40.json" || fail "synth ice40"
python3 "$here/budgets.py" "$here/ice40.json" || fail "figures of ice40"
python3 - "$here/ice40.json" <<'PY' || fail "figures of ice40"
import json, os, sys
r = json.load(open(sys.argv[1]))
assert r["read_back"] == 200 and os.path.getsize(r["bitstream"]) > 100000, r
assert 0 < r["logic_cells"] < 7680 and r["mhz"] > 0, r
assert len(r["seed_mhz"]) == 2 and r["mhz"] == max(r["seed_mhz"]), r
PY
echo "ok"
