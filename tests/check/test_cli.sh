# test_cli.sh: what the command line says and returns: commands, options, JSON, results, resuming, wrong usage.
set -u
cli=$BITLATHE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# expect STATUS WORDS COMMAND...: the command's exit status, and words in what it prints on either stream.
expect() {
    local status=$1 words=$2 got
    shift 2
    "$@" >out 2>err
    got=$?
    if [ "$got" != "$status" ] || ! cat out err | grep -F -- "$words" >/dev/null; then
        echo "FAILED: $* : status $got (expected $status), expected words '$words' in:"
        cat out err | tail -n 5
        failures=$((failures + 1))
    fi
}

# One JSON object with this value under this path, and nothing else on standard output.
expect_json() {
    local path=$1 value=$2
    shift 2
    "$@" >out 2>err
    if ! python3 - "$path" "$value" 2>why <<'PY'
import json, sys
o = json.load(open("out"))
for step in sys.argv[1].split("."):
    o = o[int(step)] if isinstance(o, list) else o[step]
assert str(o) == sys.argv[2], (o, sys.argv[2])
PY
    then
        echo "FAILED: $* : $path is not '$value' in:"
        cat out err why | tail -n 8
        failures=$((failures + 1))
    fi
}

# Two classes in the plane, 400 rows.
awk 'BEGIN { print "a,b,label"; for (i = 0; i < 400; i++) { a = (i * 37 % 101) / 50 - 1; b = (i * 53 % 103) / 51 - 1;
     print a "," b "," (a * a + b * b > 0.6) } }' >plane.csv
cat >plane.yaml <<'Y'
name: plane
data: {source: plane.csv, target: label, validation: 0.2, normalize: {standardize: true}}
network:
  - Dense: {units: 16, name: fc1}
  - ReLU: {name: relu1}
  - Dense: {units: 2, name: logits}
precision:
  default: {input: "fixed<8,3,RND,SAT>", weight: "fixed<6,2,RND,SAT_SYM>", activation: "ufixed<6,3,RND,SAT>"}
train: {epochs: 4, batch: 32, optimizer: {name: adam, lr: 0.02}}
output: {model: plane.onnx, log: plane.jsonl, checkpoint: plane.npz}
Y

# usage
expect 2 "usage: bitlathe COMMAND" "$cli"
expect 0 "train what a recipe says and write the model" "$cli" --help
expect 0 "bitlathe " "$cli" --version
expect 2 "unknown command 'trian' (did you mean 'train'?)" "$cli" trian
expect 2 "unknown option '--rseume' (did you mean '--resume'?)" "$cli" train --rseume x
expect 2 "option '--out' needs a value" "$cli" train plane.yaml --out
expect 2 "--threads 'x' (expected a whole number" "$cli" train plane.yaml --threads x
expect 2 "an argument is missing; usage: bitlathe train RECIPE" "$cli" train
expect 2 "too many arguments; usage: bitlathe eval MODEL" "$cli" eval a b
expect 2 "eval: --exact and --float exclude each other" "$cli" eval none.onnx --data plane.csv --exact --float
expect 2 "run: --exact and --float exclude each other" "$cli" run none.onnx --input x --output y --exact --float
expect 2 "--seed '99999999999999999999' (expected a whole number" "$cli" emit none.onnx --out x --seed 99999999999999999999
expect 1 "synth: none: no project of emit: none/bitlathe.json: cannot open" "$cli" synth none
for command in train eval run inspect emit list help; do
    expect 0 "usage: bitlathe $command" "$cli" "$command" --help
    expect 0 "usage: bitlathe $command" "$cli" help "$command"
done
expect 2 "no command 'tran' (did you mean 'train'?)" "$cli" help tran
expect 0 ".SH COMMANDS" "$cli" help --man
expect 0 "# Recipes" "$cli" help --recipe

# lists
expect 0 "quantizers" "$cli" list
expect 2 "no list 'formts' (did you mean 'formats'?)" "$cli" list formts
for kind in $("$cli" list | cut -d' ' -f1); do
    expect_json "$kind.0.name" "$("$cli" list "$kind" | head -n 1 | sed 's/  .*//')" "$cli" list "$kind" --json
done

# wrong recipes and files
expect 1 "nowhere.yaml: cannot open" "$cli" train nowhere.yaml
sed 's/epochs/epoch/' plane.yaml >wrong.yaml
expect 1 "wrong.yaml:9: unknown key 'epoch' in train (did you mean 'epochs'?)" "$cli" train wrong.yaml
expect 1 "--set train.epochs=few: train.epochs: 'few'" "$cli" train plane.yaml --set train.epochs=few
expect 1 "plane.csv" "$cli" train plane.yaml --set data.source=nowhere/plane.csv
expect 1 "'xyz'" "$cli" train plane.yaml --set data.target=xyz
expect 1 "the network's output has shape [N, 3], the data 2 classes" \
    "$cli" train plane.yaml --set network.2.Dense.units=3
expect 2 "no output.model" "$cli" train plane.yaml --set output=
expect 1 "nowhere/x.onnx: cannot create: No such file" "$cli" train plane.yaml --out nowhere/x.onnx
mkdir -p taken
expect 1 "taken: is a folder, not a file" "$cli" train plane.yaml --out taken
expect 1 "nowhere/c.npz: cannot create: No such file" "$cli" train plane.yaml --set output.checkpoint=nowhere/c.npz
if grep -q epoch out err; then echo "FAILED: it trained before it looked at the checkpoint's path"; failures=$((failures + 1)); fi
expect_json error.status NOT_FOUND "$cli" train nowhere.yaml --json
expect 1 "no model file can hold this network (--no-model trains it all the same)" \
    "$cli" train plane.yaml --set 'precision={default: {activation: "float16"}}'
expect 0 "epoch 4/4" "$cli" train plane.yaml --set 'precision={default: {activation: "float16"}}' --no-model
expect 0 "plane.yaml: in order" "$cli" train plane.yaml --check
expect_json parameters 82 "$cli" train plane.yaml --check --json

# training, the same for any number of threads, and what is in the files
expect 0 "model: plane.onnx" "$cli" train plane.yaml --threads 1
grep -q "epoch 4/4" err || { echo "FAILED: no progress line of epoch 4"; failures=$((failures + 1)); }
for n in 2 3; do
    expect 0 "model: again.onnx" "$cli" train plane.yaml --threads $n --out again.onnx
    cmp plane.onnx again.onnx || failures=$((failures + 1))
done
expect 0 "" "$cli" train plane.yaml --quiet --seed 2 --out other.onnx
[ -s err ] && { echo "FAILED: --quiet is not"; cat err; failures=$((failures + 1)); }
cmp -s plane.onnx other.onnx && { echo "FAILED: another seed, same model"; failures=$((failures + 1)); }
expect_json epochs 4 "$cli" train plane.yaml --json --quiet
expect_json model named.onnx "$cli" train plane.yaml --json --quiet --out named.onnx

# an interrupted run goes on to the same bytes
rm -f plane.npz
"$cli" train plane.yaml --set train.epochs=100 --set train.checkpoint_every=5 --quiet --out whole.onnx >out
rm -f plane.npz
"$cli" train plane.yaml --set train.epochs=100 --set train.checkpoint_every=5 --out broken.onnx >out 2>err &
job=$!
while [ ! -e plane.npz ] && kill -0 $job 2>/dev/null; do sleep 0.02; done
kill -INT $job
wait $job
status=$?
if [ $status = 1 ]; then
    grep -q -- "To go on: bitlathe train plane.yaml --resume" err || { echo "FAILED: no word how to go on"; cat err; failures=$((failures + 1)); }
    expect 0 "model: broken.onnx" "$cli" train plane.yaml --set train.epochs=100 --set train.checkpoint_every=5 --resume \
        --out broken.onnx
fi
cmp whole.onnx broken.onnx || failures=$((failures + 1))
rm -f plane.npz
expect 0 "starting from the beginning" "$cli" train plane.yaml --resume

# regression has a loss and no accuracy
awk -F, 'NR == 1 { print "a,b,y" } NR > 1 { print $1 "," $2 "," $1 * $2 + $1 }' plane.csv >slope.csv
cat >slope.yaml <<'Y'
data: {source: slope.csv, target: y, regression: true, validation: 0.2}
network: [Dense: {units: 16, activation: relu}, Dense: 1]
train: {epochs: 20, batch: 16, loss: mse, optimizer: {lr: 0.02}}
Y
expect 0 "epoch 20/20  loss 0.0" "$cli" train slope.yaml --out slope.onnx
grep -q accuracy err && { echo "FAILED: regression has an accuracy"; failures=$((failures + 1)); }
expect 0 "model: wide.onnx" "$cli" train slope.yaml --quiet --set train.epochs=1 \
    --set 'precision={name: {dense_2: {weight: {format: "fixed<8,2>", widths: [3]}}}}' --out wide.onnx
expect 0 "48 bits" "$cli" inspect wide.onnx

# a model's use
expect 1 "read plane.onnx: not a GraphDef: it begins as an ONNX model does" "$cli" summarize-graph --in_graph=plane.onnx
printf '\nnode' >graph.pb
expect 1 "it does not begin as an ONNX file does; a TensorFlow graph has to become a model first" "$cli" inspect graph.pb
expect 0 "accuracy " "$cli" eval plane.onnx --data plane.csv --split train --target label
expect_json rows 400 "$cli" eval plane.onnx --data plane.csv --split train --target label --json
expect_json rows 400 "$cli" eval plane.onnx --data plane.yaml --split train --json
expect 2 "--data is missing" "$cli" eval plane.onnx
expect 1 "nowhere" "$cli" eval nowhere.onnx --data plane.csv
expect 1 "plane.csv" "$cli" eval plane.csv --data plane.csv
expect 0 "fixed<6,2,RND,SAT_SYM>" "$cli" inspect plane.onnx
expect_json count 82 "$cli" inspect plane.onnx --json

# emission
sed 's/, normalize: {standardize: true}//; s/activation: /bias: "fixed<8,3,RND,SAT>", activation: /' plane.yaml >whole.yaml
expect 0 "model: whole.onnx" "$cli" train whole.yaml --quiet --set train.epochs=1 --out whole.onnx
expect 0 "of three" "$cli" inspect whole.onnx --adders
expect_json adders.0.places 1 "$cli" inspect whole.onnx --adders --json
expect 0 "c project of whole.onnx" "$cli" emit whole.onnx --out sources
expect 0 "hls project of whole.onnx" "$cli" emit whole.onnx --target hls --strategy resource --reuse 5 --io stream --out project
expect_json target hls "$cli" emit whole.onnx --target hls --strategy da --clock 4 --out project --json
expect 2 "expected one of c, hls" "$cli" emit whole.onnx --target vhdl --out other
expect 2 "--out DIR is missing" "$cli" emit whole.onnx
expect 2 "--clock '0'" "$cli" emit whole.onnx --target hls --clock 0 --out other
expect 2 "--reuse 'x'" "$cli" emit whole.onnx --target hls --strategy resource --reuse x --out other
expect 1 "is a file, not a folder" "$cli" emit whole.onnx --out plane.csv
expect 1 "thesis" sh -c "mkdir mine && touch mine/thesis && '$cli' emit whole.onnx --out mine"
[ ! -e other ] || { echo "FAILED: a refused emission left something"; failures=$((failures + 1)); }
python=${BITLATHE_SOURCE:-.}/build/venv/bin/python
if "$python" -c 'import numpy' 2>/dev/null; then
    "$python" -c 'import numpy as n; n.save("x.npy", n.linspace(-1, 1, 20, dtype="f4").reshape(10, 2)); n.save("bad.npy", n.zeros((4, 3), "f4"))'
    expect 0 "y.npy: [10, 2]" "$cli" run plane.onnx --input x.npy --output y.npy --trace t.npz
    "$python" - <<'PY' || failures=$((failures + 1))
import numpy as n
y, t = n.load("y.npy"), n.load("t.npz")
assert y.shape == (10, 2) and y.dtype == "f4", (y.shape, y.dtype)
assert len(t.files) > 5 and any((t[k].shape == y.shape and (t[k].astype("f4") == y).all()) for k in t.files), t.files
PY
    expect_json shape.0 10 "$cli" run plane.onnx --input x.npy --output y.npy --json
    expect 1 "bad.npy: the array has shape [4, 3] (expected [N, 2])" "$cli" run plane.onnx --input bad.npy --output y.npy
fi
expect 2 "--output is missing" "$cli" run plane.onnx --input x.npy
expect 2 "--input is missing" "$cli" run plane.onnx

# a model to start from: the same network, other formats
expect 0 "model: six.onnx" "$cli" train plane.yaml --quiet --set precision= --out float.onnx --out six.onnx
sed '/^network/,/logits/d; s/^data/model: six.onnx\ndata/' plane.yaml | sed 's/, normalize: {standardize: true}//' >from.yaml
expect 0 "model: from.onnx" "$cli" train from.yaml --quiet --out from.onnx
expect 0 "fixed<6,2,RND,SAT_SYM>" "$cli" inspect from.onnx

# --help is quick: 20 runs in less than 20 x 20 ms
start=$(date +%s%N)
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$cli" --help >/dev/null; done
spent=$((($(date +%s%N) - start) / 20000000))
[ "$spent" -lt 20 ] || { echo "FAILED: --help takes $spent ms"; failures=$((failures + 1)); }

[ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
echo "all as expected"
