#!/bin/bash
# The residual example that lowers: made small (fewer channels, 4 x 4 pictures, few steps), it trains, counts the same
# images right through the exact program and the float graph, and goes through every path that verify knows; the one with
# real scales is refused with the remedy.
set -u
here=$(mktemp -d) && trap 'rm -rf "$here"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

python3 - "$here" <<'PY'
import random, struct, sys
random.seed(3)
for part, n in (("train", 256), ("t10k", 64)):
    labels = [random.randrange(10) for _ in range(n)]
    bright = lambda c, k: min(255, max(0, int(random.gauss(40, 30) + 180 * (k == c))))
    with open(f"{sys.argv[1]}/{part}-images-idx3-ubyte", "wb") as f:
        f.write(struct.pack(">4I", 2051, n, 4, 4) + bytes(bright(c, k) for c in labels for k in range(16)))
    with open(f"{sys.argv[1]}/{part}-labels-idx1-ubyte", "wb") as f:
        f.write(struct.pack(">2I", 2049, n) + bytes(labels))
PY
small() { # RECIPE: the same network on small pictures
    sed -e "s|source: fashion-mnist|source: $here|" -e 's/shape: \[28, 28, 1\]/shape: [4, 4, 1]/' \
        -e 's/filters: 16/filters: 2/; s/filters: 32/filters: 3/; s/filters: 96/filters: 4/' -e 's/batch: 128/batch: 32/' \
        "$BITLATHE_SOURCE/examples/$1"
}
small resnet_exact.yaml > "$here/exact.yaml"
small resnet.yaml > "$here/real.yaml"
for name in exact real; do
    (cd "$here" && "$BITLATHE" train "$name.yaml" --set train.epochs=1 --no-test --quiet --out "$name.onnx") > "$here/log" 2>&1 ||
        fail "train $name: $(cat "$here/log")"
done

fields='import json, sys; d = json.load(sys.stdin); print(d["correct"], repr(d["loss"]))'
through() { "$BITLATHE" eval "$here/exact.onnx" --data "$here/exact.yaml" "$1" --json | python3 -c "$fields"; }
exact=$(through --exact) float=$(through --float)
echo "exact: $exact, float: $float"
[ -n "$exact" ] && [ "$exact" = "$float" ] || fail "the exact program and the float graph differ"

"$BITLATHE" eval "$here/real.onnx" --data "$here/real.yaml" --exact > "$here/out" 2>&1 && fail "real scales were added"
grep -q "node 'add1a'.*powers of two.*learned_po2" "$here/out" || fail "the refusal says: $(cat "$here/out")"

cd "$BITLATHE_SOURCE" # where the wheel with ap_int.h is looked for
"$BITLATHE" verify "$here/exact.onnx" --samples 2 --simulator icarus --quiet > "$here/out" 2>&1 || fail "verify: $(cat "$here/out")"
cat "$here/out"
grep -q '^c  *equal' "$here/out" || fail "C was not gone through"
echo "all as expected"
