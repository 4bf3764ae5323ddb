#!/bin/sh
# rows.sh: the rows of the accuracy tables: prints the --set option that makes a recipe of this folder train at a row's
# precision.
#
#   bitlathe train mlp.yaml --seed 2 --out mlp4.onnx --set "$(sh rows.sh 4)"
#
# Rows: float 8 6 4 3 2 ternary binary.  Step sizes are learned (LSQ): weights per output channel, activations per tensor.
input='input: "ufixed<8,0,RND,SAT>"'
row() { echo "precision.default={$input, weight: $1, bias: float32, activation: $2}"; }
case "${1:-}" in
float) row float32 float32 ;;
8 | 6 | 4 | 3 | 2) row "{quantizer: lsq, bits: $1, granularity: channel}" "{quantizer: lsq, bits: $1}" ;;
ternary) row '{quantizer: lsq, format: "int<2,RND_CONV,SAT_SYM>"}' '{quantizer: lsq, bits: 2}' ;;
binary) row '{quantizer: dorefa, bits: 1}' '{quantizer: lsq, bits: 1}' ;;
*)
    echo "rows.sh: no row '${1:-}' (expected float, 8, 6, 4, 3, 2, ternary or binary)" >&2
    exit 2
    ;;
esac
