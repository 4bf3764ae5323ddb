#!/bin/bash
# label-image and benchmark-model, by their new names and by TensorFlow's: what they print, and their exit status.
set -euo pipefail
data=${BITLATHE_SOURCE:-..}/../shared/data
model=$data/tf_pb/mobilenet_v1_025_128
[ -e "$model/frozen_graph.pb" ] || { echo "SKIPPED: no shared data"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$(realpath "$BITLATHE")" "$folder/label_image"
ln -s "$(realpath "$BITLATHE")" "$folder/benchmark_model"

fail() { echo "$1"; exit 1; }
see() { # GRAPH IMAGE
    "$BITLATHE" label-image --graph "$model/$1.pb" --image "$data/images/$2" --labels "$model/labels.txt" \
        --input_width 128 --input_height 128 --input_mean 127.5 --input_std 127.5 \
        --output_layer MobilenetV1/Predictions/Reshape_1
}

# float and eight-bit agree on the cat; TensorFlow's score of it is 0.54322 in float
for graph in frozen_graph quantized_graph; do
    [[ $(see $graph cat.bmp | head -1) == *"Egyptian cat (286): 0.5"* ]] || fail "$graph: $(see $graph cat.bmp)"
done
[[ $(see frozen_graph cat.bmp | head -1) == "286:Egyptian cat (286): 0.5432"* ]] || fail "$(see frozen_graph cat.bmp)"
[ "$(see frozen_graph grace_hopper.jpg | wc -l)" = 5 ] || fail "not five lines"

old=(--graph="$model/frozen_graph.pb" --image="$data/images/cat.bmp" --labels="$model/labels.txt" --input_width=128
     --input_height=128 --input_mean=127.5 --input_std=127.5 --output_layer=MobilenetV1/Predictions/Reshape_1)
[ "$("$folder/label_image" "${old[@]}" 2>&1 >/dev/null)" = "$(see frozen_graph cat.bmp)" ] || fail "the old name differs"
status=0
"$folder/label_image" "${old[@]}" --self_test > /dev/null 2> "$folder/err" || status=$?
[ $status = 255 ] && grep -q "expected label #653 but got #286" "$folder/err" || fail "self_test: $status"
status=0
"$folder/label_image" --no_such_flag=1 > /dev/null 2>&1 || status=$?
[ $status = 255 ] || fail "an unknown flag: $status"
status=0
"$BITLATHE" label-image --graph "$data/images/cat.bmp" 2> "$folder/err" || status=$?
[ $status = 1 ] || fail "a picture as a graph: $status"

"$folder/benchmark_model" --graph="$model/frozen_graph.pb" --input_layer=input:0 --input_layer_shape=1,128,128,3 \
    --output_layer=MobilenetV1/Predictions/Reshape_1:0 --max_num_runs=3 > "$folder/out"
grep -q "^without_statistics: 3 runs" "$folder/out" && grep -q DepthwiseConv2dNative "$folder/out" || fail "benchmark_model"
echo done
