#!/bin/bash
# verify through the command line: every path of a trained model gives the same bits; a fault put into an emitted project
# is found, named with its wire, and gives exit status 3.
set -u
here=$(mktemp -d) && trap 'rm -rf "$here"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
command -v iverilog > /dev/null || { echo "SKIPPED: iverilog is not installed"; exit 77; }

python3 - "$here/data.csv" <<'PY'
import random, sys
random.seed(1)
with open(sys.argv[1], "w") as f:
    f.write("a,b,c,d,e,f,label\n")
    for _ in range(400):
        x = [random.gauss(0, 2) for _ in range(6)]
        f.write(",".join("%.4f" % v for v in x) + ",%d\n" % ((x[0] + x[1] > 0) + (x[2] * x[3] > 1)))
PY
cat > "$here/net.yaml" <<YAML
name: tiny
data: {source: $here/data.csv, validation: 0.1}
network:
  - Input: {shape: [6]}
  - Dense: {units: 8, name: fc1}
  - ReLU: {name: relu1}
  - Dense: {units: 3, name: logits}
precision:
  default: {input: "fixed<8,4,RND,SAT>", weight: "fixed<5,1,RND,SAT_SYM>", bias: "fixed<8,3,RND,SAT>", activation: "ufixed<5,3,RND,SAT>"}
train: {epochs: 2, batch: 32, optimizer: {name: adam, lr: 0.01}, loss: cross_entropy, seed: 1}
output: {model: $here/tiny.onnx}
YAML
"$BITLATHE" train "$here/net.yaml" --quiet > /dev/null || fail "train"
python3 -c "
import struct, sys, random
random.seed(2)
rows = [random.gauss(0, 3) for _ in range(60)]
head = b\"{'descr': '<f4', 'fortran_order': False, 'shape': (10, 6), }\"
head += b' ' * (117 - len(head)) + b'\n'
open(sys.argv[1], 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head + struct.pack('<60f', *rows))
" "$here/x.npy"
types=$(ls -d "$BITLATHE_SOURCE"/build/venv/lib/python3*/site-packages/hls4ml/templates/vivado/ap_types 2> /dev/null)
AP_TYPES=$types "$BITLATHE" verify "$here/tiny.onnx" --input "$here/x.npy" --samples 30 --simulator icarus --quiet > "$here/out" ||
    fail "verify: $(cat "$here/out")"
cat "$here/out"
# 30 corners and random ones, two for each of five wires, 10 rows
grep -q "^50 samples" "$here/out" || fail "the rows of --input are missing"
# the first product's ends and its bias' are reached exactly
reached=$(sed -n 's/.*; \([0-9]*\) of 10 ends of proven ranges were reached/\1/p' "$here/out")
[ "${reached:-0}" -ge 4 ] || fail "ends of ranges: $(tail -1 "$here/out")"
for path in graph "executor generic" c verilog; do
    grep -q "^$path  *equal" "$here/out" || fail "$path"
done

"$BITLATHE" emit "$here/tiny.onnx" --target verilog --strategy da --clock 4 --name tiny --out "$here/p" > /dev/null || fail "emit"
"$BITLATHE" verify "$here/tiny.onnx" "$here/p" --simulator icarus --quiet > "$here/out" || fail "verify of a project"
sed -i '0,/tiny_sub/s//tiny_add/' "$here/p/rtl/tiny_core.v"
"$BITLATHE" verify "$here/tiny.onnx" "$here/p" --simulator icarus --quiet > "$here/out" 2> "$here/err"
[ $? = 3 ] || fail "a fault: exit status"
grep -q "verilog: sample .* wire 'fc1.*' (layer 'fc1') element .*: expected .*, found " "$here/err" ||
    fail "a fault in the first layer: $(cat "$here/err")"
cat "$here/err"
"$BITLATHE" verify "$here/tiny.onnx" --simulator vcs 2> "$here/err" && fail "a simulator that there is not"
grep -q "expected verilator or icarus" "$here/err" || fail "words: $(cat "$here/err")"
echo ok
