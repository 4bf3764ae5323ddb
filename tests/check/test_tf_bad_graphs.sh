#!/bin/bash
# Graphs and words that make no sense: what is said, the exit status under both names, and that no file is touched.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
ln -s "$BITLATHE" transform_graph
ln -s "$BITLATHE" summarize_graph
ln -s "$BITLATHE" compare_graphs
ln -s "$BITLATHE" benchmark_model
ln -s "$BITLATHE" label_image
failed=0

# expect STATUS WORDS COMMAND...
expect() {
    local status=$1 words=$2 got=0
    shift 2
    "$@" >said 2>&1 || got=$?
    if [ "$got" != "$status" ] || ! grep -qF -- "$words" said; then
        echo "'$*': expected $status and '$words', got $got:"
        cat said
        failed=1
    fi
}

# refuse STATUS WORDS GRAPH TRANSFORMS [OUTPUTS]: under the new name with that status, under the old with 255; the file that
# is there stays, and none is made where none is
refuse() {
    local status=$1 words=$2 graph=$3 transforms=$4 outputs=${5:-y}
    echo before >out.pb
    expect "$status" "$words" "$BITLATHE" transform-graph --in_graph "$graph" --out_graph out.pb --inputs x \
        --outputs "$outputs" --transforms "$transforms"
    expect 255 "$words" ./transform_graph --in_graph="$graph" --out_graph=new.pb --inputs=x --outputs="$outputs" \
        --transforms="$transforms"
    if [ "$(cat out.pb)" != before ] || [ -e new.pb ]; then
        echo "$graph, $transforms: a file was touched"
        failed=1
    fi
}

x="node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } } attr { key: 'shape' value { shape { dim { size: 2 } } } } }"
t="attr { key: 'T' value { type: DT_FLOAT } }"
# weights SHAPE VALUES: a graph that adds them
weights() {
    echo "$x node { name: 'w' op: 'Const' attr { key: 'dtype' value { type: DT_FLOAT } }
        attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { $1 } $2 } } } }
        node { name: 'y' op: 'Add' input: 'x' input: 'w' $t }"
}
echo "$x node { name: 'y' op: 'Relu' input: 'x' $t }" >good
echo "$x node { name: 'a' op: 'Add' input: 'x' input: 'b' $t } node { name: 'b' op: 'Relu' input: 'a' $t }
    node { name: 'y' op: 'Relu' input: 'b' $t }" >cyclic
echo "$x node { name: 'y' op: 'Relu' input: 'x' $t } node { name: 'y' op: 'Relu6' input: 'x' $t }" >twice
echo "$x node { name: 'y' op: 'Reluu' input: 'x' $t }" >unknown
echo "$x node { name: 'y' op: 'Relu' input: 'z' $t }" >missing
weights "dim { size: 2 }" "float_val: 1 float_val: nan" >nan
weights "dim { size: 2 }" "float_val: -inf float_val: 1" >infinite
weights "dim { size: 1000000 } dim { size: 1000000 }" "float_val: 1" >huge
weights "dim { size: -2 }" "float_val: 1" >negative
weights "dim { size: 2 }" "tensor_content: 'abc'" >short
"$BITLATHE" transform-graph --in_graph good --out_graph good.pb --transforms remove_device >said
head -c 40 good.pb >cut.pb
printf '\x0a\xff\xff\xff\xff\x7f\x0a\x00\x00' >claims.pb
echo "node { name: 'output' op: 'NoOp' }" >long
: >empty

# files
refuse 1 "cut.pb: not a GraphDef: node: byte 1: " cut.pb remove_device
refuse 1 "claims.pb: not a GraphDef: node: byte 1: 34359738367 bytes are claimed, 3 are left" claims.pb remove_device
refuse 1 "no-such-file: cannot open: No such file" no-such-file remove_device
refuse 1 "node 'y' is there twice: node 1 (Relu) and node 2 (Relu6)" twice remove_device
# order
for transforms in remove_device quantize_weights quantize_nodes merge_duplicate_nodes fold_constants sort_by_execution_order; do
    refuse 1 "node 'a' (Add): one of 3 nodes that wait for each other in a cycle" cyclic $transforms
    refuse 1 "node 'y' (Relu): input 'z' names no node of the graph" missing $transforms
done
# operators
for transforms in add_default_attributes merge_duplicate_nodes quantize_nodes; do
    refuse 1 "node 'y': no operator 'Reluu' (did you mean 'Relu'?)" unknown $transforms
done
# weights
for transforms in "quantize_weights(minimum_size=1)" "quantize_weights(minimum_size=1, bits=4, per_channel=true)"; do
    refuse 1 "node 'w' (Const): element 1 is nan; expected finite weights" nan "$transforms"
    refuse 1 "node 'w' (Const): element 0 is -inf; expected finite weights" infinite "$transforms"
done
for transforms in "quantize_weights(minimum_size=1)" round_weights fold_constants; do
    refuse 1 "node 'w' (Const): attribute 'value': 1000000000000 elements of 4 bytes, at most 2147483648" huge "$transforms"
    refuse 1 "node 'w' (Const): attribute 'value': " negative "$transforms"
    refuse 1 "node 'w' (Const): attribute 'value': tensor_content has 3 bytes, expected 8" short "$transforms"
done
expect 0 "node 'y' (Add) stays float: element 1 of 'w' is nan" "$BITLATHE" transform-graph --in_graph nan --out_graph kept.pb \
    --inputs x --outputs y --transforms quantize_nodes
# words
refuse 1 "no transform 'quantise_weights' (did you mean 'quantize_weights'?)" good quantise_weights
refuse 1 "did you mean 'minimum_size'" good "quantize_weights(minimumsize=1)"
refuse 1 "output 'nowhere' names no node of the graph" good remove_device nowhere:0
refuse 1 "output 'nowhere:0' names no node of the graph" good strip_unused_nodes x,nowhere:0
refuse 2 "no closing ')'" good "remove_nodes(op=Identity"
refuse 2 "parameter 'op' is missing" good remove_nodes
refuse 1 "parameter 'bits' is 9; expected 2 .. 8" good "quantize_weights(bits=9)"
expect 0 "2 nodes" "$BITLATHE" transform-graph --in_graph good --out_graph kept.pb --inputs x --outputs z \
    --transforms "rename_node(old_node_name=y, new_node_name=z)"
expect 1 "input 'inputs' names no node of the graph" "$BITLATHE" transform-graph --in_graph good --out_graph kept.pb \
    --inputs inputs --outputs y --transforms remove_device
expect 1 "output 'outptu' names no node of the graph (did you mean 'output'?)" "$BITLATHE" transform-graph --in_graph long \
    --out_graph kept.pb --outputs outptu --transforms remove_device

# the other programs
for graph in cyclic missing unknown; do
    expect 255 "node '" ./benchmark_model --graph=$graph --input_layer=x --input_layer_shape=2 --output_layer=y
done
expect 255 "'nowhere' names no node of the graph" ./benchmark_model --graph=good --input_layer=x --input_layer_shape=2 \
    --output_layer=nowhere
expect 255 "not a GraphDef" ./summarize_graph --in_graph=cut.pb
expect 255 "node 'y' is there twice" ./compare_graphs good twice
printf 'one\n' >labels
for image in picture.jpg picture.png picture.gif picture.bmp; do
    printf 'GIF89a\xff\xff\xff\xff\xf0\x00\x00BM' >$image
    expect 255 "$image" ./label_image --graph=good --image=$image --labels=labels --input_layer=x --output_layer=y
done
exit $failed
