#!/bin/sh
# rows.sh: the rows of the accuracy tables: prints the --set option that makes a recipe of this folder train at a row's
# precision.
#
#   bitlathe train mlp.yaml --seed 2 --out mlp4.onnx --set "$(sh rows.sh 4)"
#
# Rows: float 8 6 4 3 2 ternary binary.  8 and 6 bits are fixed point; below, scales are learned.
case "${1:-}" in
float) echo 'precision=' ;;
8) echo 'precision.default={input: "ufixed<8,0,RND,SAT>", weight: "fixed<8,1,RND,SAT_SYM>", bias: "fixed<8,1,RND,SAT>", activation: "ufixed<8,3,RND,SAT>"}' ;;
6) echo 'precision.default={input: "ufixed<8,0,RND,SAT>", weight: "fixed<6,1,RND,SAT_SYM>", bias: "fixed<6,1,RND,SAT>", activation: "ufixed<6,3,RND,SAT>"}' ;;
4 | 3 | 2)
    echo "precision.default={input: \"ufixed<8,0,RND,SAT>\", weight: {quantizer: lsq, bits: $1}, bias: \"fixed<8,2,RND,SAT>\", activation: {quantizer: lsq, bits: $1}}" ;;
ternary) echo 'precision.default={input: "ufixed<8,0,RND,SAT>", weight: {quantizer: lsq, format: "int<2,RND_CONV,SAT_SYM>"}, bias: "fixed<8,2,RND,SAT>", activation: {quantizer: lsq, bits: 2}}' ;;
binary) echo 'precision.default={input: "ufixed<8,0,RND,SAT>", weight: {quantizer: xnor}, bias: "fixed<8,2,RND,SAT>", activation: {quantizer: lsq, bits: 1}}' ;;
*)
    echo "rows.sh: no row '${1:-}' (expected float, 8, 6, 4, 3, 2, ternary or binary)" >&2
    exit 2
    ;;
esac
