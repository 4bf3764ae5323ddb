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
"$BITLATHE" synth "$here/net" --family xcup --json > "$here/xcup.json" || fail "synth xcup"
python3 - "$here/xcup.json" <<'PY' || fail "figures of xcup"
import json, sys
r = json.load(open(sys.argv[1]))
lut, layers = r["total"]["lut"], r["layers"]
assert r["tool"].startswith("Yosys"), r
assert sum(l["lut"] for l in layers) == lut and sum(l["ff"] for l in layers) == r["total"]["ff"], r
assert {l["layer"] for l in layers} >= {"fc1", "relu1", "fc2"}, layers
assert r["total"]["dsp"] == 0
budget = 1526  # LUTs of this network; one percent either way is a change to look at
assert abs(lut - budget) <= budget / 100, f"{lut} LUT, the budget is {budget}"
PY

for need in nextpnr-ice40 icepack verilator; do
    command -v $need > /dev/null || { echo "SKIPPED: $need is not installed"; exit 77; }
done
"$BITLATHE" synth "$here/net" --family ice40 --place --json > "$here/ice40.json" || fail "synth ice40"
python3 - "$here/ice40.json" <<'PY' || fail "figures of ice40"
import json, os, sys
r = json.load(open(sys.argv[1]))
assert r["read_back"] == 200 and os.path.getsize(r["bitstream"]) > 100000, r
assert 0 < r["logic_cells"] < 7680 and r["mhz"] > 0, r
PY
echo "ok"
