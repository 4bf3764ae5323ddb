#!/usr/bin/env bash
# Trained on Fashion-MNIST for one epoch, then through the exact program and through the float graph: the same images
# right, the same loss to the last digit.  Skipped where the data set is not installed.
set -euo pipefail
bitlathe=${BITLATHE:?}
examples=${BITLATHE_SOURCE:?}/examples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

[ -e /usr/share/datasets/fashion-mnist ] || [ -n "${BITLATHE_DATA:-}" ] || { echo "SKIPPED: no package dataset-fashion-mnist"; exit 77; }

fields='import json, sys; d = json.load(sys.stdin); print(d["through"], d["correct"], repr(d["loss"]))'
compare() { # NAME RECIPE [OPTION]...
  local name=$1 recipe=$2 exact float
  shift 2
  "$bitlathe" train "$recipe" --set train.epochs=1 --no-test "$@" --out "$name.onnx" --quiet > "$name.log"
  exact=$("$bitlathe" eval "$name.onnx" --data "$recipe" --exact --json | python3 -c "$fields")
  float=$("$bitlathe" eval "$name.onnx" --data "$recipe" --float --json | python3 -c "$fields")
  echo "$name: $exact | $float"
  [ "${exact#exact }" = "${float#float }" ] || { echo "$name: the exact program and the float graph differ"; exit 1; }
}

for row in 8 6 4 3 2 ternary binary; do # how each row is quantized: rows.sh
  compare "row-$row" "$examples/mlp.yaml" --set "$(sh "$examples/rows.sh" "$row")"
done
compare binary "$examples/binary.yaml"
compare cnn "$examples/cnn.yaml"
