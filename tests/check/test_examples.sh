# test_examples.sh: every recipe of examples/ is in order at every row of the tables; the C program and the MLP run.
set -u
cli=$BITLATHE
examples=$BITLATHE_SOURCE/examples
[ -e /usr/share/datasets/fashion-mnist ] || [ -n "${BITLATHE_DATA:-}" ] || { echo "SKIPPED: no package dataset-fashion-mnist"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

try() {
    "$@" >out 2>&1 && return
    echo "FAILED: $*"
    tail -n 5 out
    failures=$((failures + 1))
}

# what resnet_finetune.yaml starts from, as far as --check looks: 16 rows and one epoch
awk 'BEGIN { srand(1); for (i = 0; i < 16; i++) { for (j = 0; j < 784; j++) printf "%d,", int(rand() * 256); print i % 10 } }' >rows.csv
try "$cli" train "$examples/resnet.yaml" --quiet --out resnet_float.onnx --set "$(sh "$examples/rows.sh" float)" \
    --set data.source=rows.csv --set data.target=784 --set data.validation=0 --set train.epochs=1

for recipe in "$examples"/*.yaml; do
    try "$cli" train "$recipe" --check
    for row in float 8 6 4 3 2 ternary binary; do
        try "$cli" train "$recipe" --check --set "$(sh "$examples/rows.sh" $row)"
    done
    for preset in $("$cli" list presets | cut -d' ' -f1); do
        try "$cli" train "$recipe" --check --no-model --set "precision={preset: $preset}"
    done
done

# few-bit networks learn: chance is 10 %
for row in float 6 3 binary; do
    try "$cli" train "$examples/mlp.yaml" --quiet --json --out m.onnx --set train.epochs=2 --set "$(sh "$examples/rows.sh" $row)"
    python3 -c 'import json; a = json.load(open("out"))["test"]["accuracy"]; assert a > 0.7, a' || { echo "FAILED: row $row"; failures=$((failures + 1)); }
done

lines=$(wc -l <"$examples/three_bit.c")
[ "$lines" -lt 60 ] || { echo "FAILED: three_bit.c has $lines lines (expected less than 60)"; failures=$((failures + 1)); }
try "$BITLATHE_BINARY/examples/three_bit" three_bit.onnx
grep -q "test accuracy 8" out || { echo "FAILED: three_bit:"; cat out; failures=$((failures + 1)); }
try "$cli" inspect three_bit.onnx

[ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
echo "all as expected"
