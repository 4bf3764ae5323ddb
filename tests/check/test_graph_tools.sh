#!/bin/bash
# The commands for TensorFlow graphs: what they print, and their exit status.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# expect STATUS WORDS COMMAND...
expect() {
    local status=$1 words=$2 got=0
    shift 2
    "$@" >out 2>&1 || got=$?
    if [ "$got" != "$status" ] || ! grep -qF -- "$words" out; then
        echo "'$*': expected $status and '$words', got $got:"
        cat out
        exit 1
    fi
}

cat >a.pbtxt <<'G'
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: -1 } dim { size: 3 } } } } }
node { name: "w" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 3 } dim { size: 400 } } float_val: 0.5 } } } }
node { name: "y" op: "MatMul" input: ["x", "w", "^x"] device: "/cpu:0" attr { key: "T" value { type: DT_FLOAT } } }
G
sed 's/float_val: 0.5/float_val: 0.50000006/; s/"x", "w"/"x:0", "w"/' a.pbtxt >b.pbtxt
sed 's/"\^x"/"^gone"/' a.pbtxt >bad.pbtxt
printf '\x0a\x05\x0a\x01' >cut.pb

expect 0 "Found 1 possible inputs: (name=x, type=float(1), shape=[?,3])" "$BITLATHE" summarize-graph a.pbtxt
expect 0 "No variables spotted." "$BITLATHE" summarize-graph a.pbtxt
expect 0 "Found 1 possible outputs: (name=y, op=MatMul)" "$BITLATHE" summarize-graph a.pbtxt
expect 0 "Found 1200 (1.20k) const parameters, 0 (0) variable parameters, and 1 control_edges" "$BITLATHE" summarize-graph a.pbtxt
expect 0 "1 nodes assigned to device '/cpu:0'" "$BITLATHE" summarize-graph a.pbtxt
expect 0 "Op types used: 1 Const, 1 MatMul, 1 Placeholder" "$BITLATHE" summarize-graph a.pbtxt
expect 0 "--graph=a.pbtxt --show_flops --input_layer=x --input_layer_type=float --input_layer_shape=-1,3 --output_layer=y" \
    "$BITLATHE" summarize-graph --in_graph a.pbtxt
expect 0 '"const_parameters": 1200' "$BITLATHE" summarize-graph a.pbtxt --json
expect 1 "Invalid input ^gone for node y" "$BITLATHE" summarize-graph bad.pbtxt
expect 1 "5 bytes are claimed, 2 are left" "$BITLATHE" summarize-graph cut.pb
expect 1 "No such file" "$BITLATHE" summarize-graph none.pb
expect 2 "--in_graph is missing" "$BITLATHE" summarize-graph

expect 0 "Graphs are equal." "$BITLATHE" compare-graphs a.pbtxt a.pbtxt
expect 0 '"equal": true' "$BITLATHE" compare-graphs a.pbtxt a.pbtxt --json
expect 3 "node 'w' (Const): attribute 'value' has another value" "$BITLATHE" compare-graphs a.pbtxt b.pbtxt
expect 3 '"status": "MISMATCH"' "$BITLATHE" compare-graphs a.pbtxt b.pbtxt --json
expect 0 "Graphs are equal." "$BITLATHE" compare-graphs a.pbtxt b.pbtxt --ulps 1
expect 1 "read cut.pb" "$BITLATHE" compare-graphs a.pbtxt cut.pb
expect 2 "usage: bitlathe compare-graphs" "$BITLATHE" compare-graphs a.pbtxt

expect 0 "m.onnx: 1 nodes" "$BITLATHE" to-qonnx a.pbtxt --out m.onnx
expect 0 "w" "$BITLATHE" inspect m.onnx

# a constant, what reads it, and a node that waits for both
expect 0 "w (Const): [], value=Tensor<type: float shape: [3,400] values: 0.5 0.5 0.5...>" \
    "$BITLATHE" summarize-graph a.pbtxt --print_structure
expect 0 "y (MatMul): [x, w, ^x]" "$BITLATHE" summarize-graph a.pbtxt --print_structure
"$BITLATHE" summarize-graph a.pbtxt --print_structure | tail -n 3 | cut -d' ' -f1 | tr '\n' ' ' >order
[ "$(cat order)" = "w x y " ] || { cat order; exit 1; }
sed 's/"x", "w", "^x"/"y"/' a.pbtxt >cycle.pbtxt
expect 1 "node 'y' (MatMul): one of 1 nodes that wait for each other in a cycle" "$BITLATHE" summarize-graph cycle.pbtxt --print_structure

# under the old names
ln -s "$BITLATHE" summarize_graph
ln -s "$BITLATHE" compare_graphs
expect 0 "Found 1 possible inputs: (name=x" ./summarize_graph --in_graph=a.pbtxt
expect 0 "y (MatMul): [x, w, ^x]" ./summarize_graph --in_graph=a.pbtxt --print_structure
expect 0 "y (MatMul): [x, w, ^x]" ./summarize_graph --in_graph=a.pbtxt --print_structure=true
expect 0 '"control_edges": 1' ./summarize_graph --in_graph=a.pbtxt --json
expect 255 "unknown argument or bad value: --print_structure=maybe" ./summarize_graph --in_graph=a.pbtxt --print_structure=maybe
expect 255 "usage: summarize_graph" ./summarize_graph --in_graph a.pbtxt
expect 255 "usage: summarize_graph" ./summarize_graph
expect 255 "Invalid input ^gone for node y" ./summarize_graph --in_graph=bad.pbtxt
expect 0 "Graphs are equal." ./compare_graphs a.pbtxt a.pbtxt
expect 1 "attribute 'value' has another value" ./compare_graphs a.pbtxt b.pbtxt
expect 255 "read cut.pb" ./compare_graphs a.pbtxt cut.pb
expect 255 "usage: compare_graphs GRAPH GRAPH" ./compare_graphs a.pbtxt
expect 255 "usage: compare_graphs GRAPH GRAPH" ./compare_graphs a.pbtxt b.pbtxt b.pbtxt
