#!/bin/bash
# The Fashion-MNIST network's shape on small images through Verilog with line buffers, at once and in turns, through the
# command line: every path gives the same bits, with both sides of every port stopping at random.
set -u
here=$(mktemp -d) && trap 'rm -rf "$here"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
command -v iverilog > /dev/null || { echo "SKIPPED: iverilog is not installed"; exit 77; }

mkdir "$here/data"
python3 - "$here" <<'PY'
import random, struct, sys
def npy(path, kind, shape, data):
    head = ("{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)).encode()
    head += b" " * (117 - len(head)) + b"\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
random.seed(1)
n, side = 300, 18
images, labels = bytearray(), bytearray()
for i in range(n):
    c = random.randrange(10)
    labels.append(c)
    images += bytes(min(255, random.randrange(90) + (140 if (x * c + y) % (c + 2) == 0 else 0))
                    for y in range(side) for x in range(side))
npy(sys.argv[1] + "/data/x.npy", "|u1", (n, side, side, 1), bytes(images))
npy(sys.argv[1] + "/data/y.npy", "|u1", (n,), bytes(labels))
PY
sed -e "s|source: fashion-mnist|source: $here/data|" -e 's/28, 28/18, 18/' \
    -e 's/filters: 16/filters: 4/; s/filters: 24/filters: 5/; s/units: 42/units: 8/; s/units: 64/units: 8/' \
    "$BITLATHE_SOURCE/examples/cnn.yaml" > "$here/cnn.yaml"
cd "$here" || fail "cd"
"$BITLATHE" train "$here/cnn.yaml" --set train.epochs=12 --set train.batch=16 --out "$here/cnn.onnx" --quiet > /dev/null || fail "train"

# Reuse 9 suits the convolutions only: elsewhere the nearest valid factor is taken and told.
"$BITLATHE" emit "$here/cnn.onnx" --target verilog --io stream --strategy resource --reuse 9 --clock 20 --part ice40 \
    --name cnn --out "$here/resource" > "$here/out" 2> "$here/err" || fail "emit: $(cat "$here/err")"
cat "$here/err"
grep -q "layer 'fc2': reuse 9 is not valid for 8 inputs and 8 outputs; 8 is used" "$here/err" || fail "the reuse factor that is taken"
"$BITLATHE" emit "$here/cnn.onnx" --target verilog --io stream --clock 20 --part ice40 --name cnn --out "$here/latency" \
    > /dev/null || fail "emit"
for way in resource latency; do
    "$BITLATHE" verify "$here/cnn.onnx" "$here/$way" --samples 6 --simulator icarus --quiet > "$here/out" 2> "$here/err" ||
        fail "verify $way: $(cat "$here/out" "$here/err")"
    grep -q "^verilog  *equal" "$here/out" || fail "$way: $(cat "$here/out")"
done

# A fault: sums go the wrong way.
sed -i 's/A] + addend/A] - addend/' "$here/resource/rtl/cnn_cells.v"
"$BITLATHE" verify "$here/cnn.onnx" "$here/resource" --samples 6 --simulator icarus --quiet > "$here/out" 2> "$here/err"
[ $? = 3 ] || fail "a fault: exit status"
cat "$here/err"
grep -q "verilog: sample .* wire 'conv1.*' (layer 'conv1') element .*: expected .*, found " "$here/err" ||
    fail "a fault: it is in every layer, the first is to be named"
echo ok
