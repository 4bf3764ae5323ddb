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

# every flag of benchmark_model
measure() { # FLAGS...
    "$folder/benchmark_model" --graph="$model/frozen_graph.pb" --input_layer=input:0 --input_layer_shape=1,128,128,3 \
        --input_layer_type=float --output_layer=MobilenetV1/Predictions/Reshape_1:0 --max_num_runs=2 "$@" \
        > "$folder/out" 2> "$folder/err"
}
shows() { # WORDS FLAGS...: they are printed
    words=$1; shift
    measure "$@" && grep -qE "$words" "$folder/out" || fail "$*: no '$words' in $(cat "$folder/out" "$folder/err")"
}
hides() { # WORDS FLAGS...: they are not
    words=$1; shift
    measure "$@" || fail "$*: $(cat "$folder/err")"
    ! grep -qE "$words" "$folder/out" || fail "$*: '$words' in $(cat "$folder/out")"
}
lines() { # TITLE: how long that table is
    sed -n "/^nodes by $1:/,/^$/p" "$folder/out" | sed '1,2d;/^$/d' | wc -l
}
shows "^nodes by run order:" --warmup_runs=0 --num_threads=1 --benchmark_name=b --output_prefix="$folder/result-"
[ "$(lines "run order")" -gt 30 ] && [ "$(lines time)" = 10 ] && [ "$(lines memory)" = 10 ] || fail "lengths of tables"
grep -q '"without_statistics"' "$folder/result-b" || fail "no file of results"
shows "^nodes by time:" --run_order_limit=3 --time_limit=4 --memory_limit=5 --show_time
[ "$(lines "run order")" = 3 ] && [ "$(lines time)" = 4 ] && [ "$(lines memory)" = 5 ] || fail "limits of tables"
hides "^nodes by run order:" --show_run_order=false
hides "^nodes by time:" --show_time=false
hides "^nodes by memory:" --show_memory=0
hides "^operators:" --show_type=false
hides "^without_statistics:|^tensors at once:" --show_summary=false
shows "Reshape_1 \[1, 1001\]" --show_sizes=true
shows "^FLOPs: [1-9]" --show_flops
shows "^warmup: 2 runs" --warmup_runs=2 --max_time=100
shows "^with_statistics: 1 runs" --max_num_runs=1 --input_layer_values=0.5
shows "Softmax" --target_layer=MobilenetV1/Predictions/Softmax --init_ops=MobilenetV1/Logits/Conv2d_1c_1x1/biases
start=$(date +%s%N)
measure --inference_delay=0.2 --inter_benchmark_delay=0.3 --warmup_runs=0 || fail "$(cat "$folder/err")"
[ $(($(date +%s%N) - start)) -gt 700000000 ] || fail "no delays"
status=0
measure --show_time=maybe || status=$?
[ $status = 255 ] && grep -q "expected true or false" "$folder/err" || fail "show_time=maybe: $status"
status=0
measure --target_layer=nowhere || status=$?
[ $status = 255 ] && grep -q "nowhere" "$folder/err" || fail "target_layer=nowhere: $status"

# root_dir joins graph and picture, not the labels
"$folder/label_image" --root_dir="$data" --graph="tf_pb/mobilenet_v1_025_128/frozen_graph.pb" --image=images/cat.bmp \
    --labels="$model/labels.txt" --input_width=128 --input_height=128 --input_mean=127.5 --input_std=127.5 \
    --input_layer=input --output_layer=MobilenetV1/Predictions/Reshape_1 2> "$folder/err" > /dev/null
[ "$(cat "$folder/err")" = "$(see frozen_graph cat.bmp)" ] || fail "root_dir: $(cat "$folder/err")"
echo done
