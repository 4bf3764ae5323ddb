#!/bin/bash
# A training that is killed (SIGKILL) at more than a hundred random instants ends with the model file of one that was
# never stopped, byte for byte; so does one of another number of threads.  The recipe has everything that has state:
# shuffling, dropout, stochastic rounding, batch normalisation, a dynamic loss scale, early stopping, the best epoch.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
seed=${TEST_SEED:-$(date +%s)}
echo "random seed: $seed"
RANDOM=$((seed % 32768))

awk 'BEGIN { srand(1); print "a,b,c,d,e,f,kind"
    for (i = 0; i < 800; i++) { s = 0; line = ""
        for (j = 0; j < 6; j++) { x = rand() * 2 - 1; s += (j % 2 ? 1 : -1) * x * x; line = line sprintf("%.6f,", x) }
        print line (s > 0.3 ? "up" : s < -0.3 ? "down" : "flat") } }' > rows.csv
cat > recipe.yaml <<'EOT'
name: kill
data: {source: rows.csv, target: kind, validation: 0.1, normalize: {standardize: true}}
network:
  - Input: {shape: [6]}
  - Dense: {units: 40, name: fc1}
  - BatchNormalization: {name: norm1}
  - ReLU
  - Dropout: {rate: 0.1}
  - Dense: {units: 24, name: fc2}
  - ReLU
  - Dense: {units: 3, name: logits}
precision:
  default:
    weight: "fixed<5,1,RND_CONV,SAT_SYM>"
    activation: "ufixed<5,2,STOCHASTIC,SAT>"
    master: "fixed<16,2,STOCHASTIC,SAT>"
    error: "float<e5m2>"
train:
  epochs: 150
  batch: 32
  slices: 4
  optimizer: {name: adam, lr: 0.005}
  schedule: {name: cosine, period: 10, warmup: 0.05}
  loss_scale: {mode: dynamic, window: 50}
  patience: 1000
  keep_best: true
  checkpoint_every: 7
output: {model: model.onnx, checkpoint: model.ckpt.npz, log: model.jsonl}
EOT
"$BITLATHE" train recipe.yaml --quiet --no-test --out whole.onnx
rm -f model.ckpt.npz
"$BITLATHE" train recipe.yaml --quiet --no-test --threads 3 --out threads.onnx
cmp whole.onnx threads.onnx

kills=0
while [ "$kills" -lt 104 ]; do
    rm -f model.ckpt.npz model.onnx
    while [ "$kills" -lt 104 ]; do
        "$BITLATHE" train recipe.yaml --quiet --no-test --resume --threads $((1 + RANDOM % 2)) 2> messages &
        pid=$!
        sleep "0.$(printf '%03d' $((RANDOM % 180)))"
        if kill -9 "$pid" 2> /dev/null; then kills=$((kills + 1)); fi
        status=0
        wait "$pid" 2> /dev/null || status=$?
        if [ "$status" -eq 0 ]; then break; fi
        [ "$status" -eq 137 ] || { cat messages; echo "after a kill, resuming failed with status $status"; exit 1; }
    done
    "$BITLATHE" train recipe.yaml --quiet --no-test --resume
    cmp whole.onnx model.onnx || { echo "the model differs after $kills kills"; exit 1; }
done
echo "killed $kills times, model equal to the uninterrupted one"
