#!/usr/bin/env python3
"""One ternary or binary row of docs/results.md in QKeras or Brevitas: run by bench/peers.py inside the peer's environment.

    python peer_row.py --scripts ../../shared/peers_bench --net mlp --framework qkeras --row binary --seed 1

Networks, data, batch (128), epochs (10) and optimizer (Adam, 1e-3) are those of the folder's qat.py.  Weights: QKeras'
binary and ternary with alpha `auto` (one scale a tensor from the data), Brevitas' constant-scale binary and ternary.
Activations: QKeras' quantized_relu and Brevitas' QuantReLU of one bit (binary) or two (ternary).  Biases stay float.
Prints one JSON line.
"""
import argparse
import json
import os
import sys


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--scripts', required=True)
    p.add_argument('--net', choices=['mlp', 'cnn'], required=True)
    p.add_argument('--framework', choices=['qkeras', 'brevitas'], required=True)
    p.add_argument('--row', choices=['ternary', 'binary'], required=True)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--epochs', type=int, default=10)
    return p.parse_args()


def qkeras_model(a, shape, spec):
    os.environ['TF_USE_LEGACY_KERAS'] = '1'
    import qkeras
    import tensorflow as tf
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(a.seed)

    def weight():
        return qkeras.binary(alpha='auto') if a.row == 'binary' else qkeras.ternary(alpha='auto')

    act = (1, 1) if a.row == 'binary' else (2, 2)
    make = {'dense': lambda n: qkeras.QDense(n, kernel_quantizer=weight()),
            'conv': lambda n: qkeras.QConv2D(n, 3, kernel_quantizer=weight()),
            'relu': lambda: qkeras.QActivation(qkeras.quantized_relu(*act)),
            'pool': lambda: layers.MaxPooling2D(2), 'flatten': lambda: layers.Flatten()}
    model = tf.keras.Sequential([layers.Input(shape)] + [make[op](*n) for op, *n in spec])
    model.compile(tf.keras.optimizers.Adam(1e-3), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def run_qkeras(a, data, shape, spec):
    model = qkeras_model(a, shape, spec)
    x, y, xt, yt = data
    model.fit(x, y, batch_size=128, epochs=a.epochs, verbose=0)
    return float((model.predict(xt, batch_size=1000, verbose=0).argmax(1) == yt).mean())


def brevitas_model(a, shape, spec):
    import brevitas.nn as qnn
    from brevitas.quant import SignedBinaryWeightPerTensorConst, SignedTernaryWeightPerTensorConst
    from torch import nn
    quant = SignedBinaryWeightPerTensorConst if a.row == 'binary' else SignedTernaryWeightPerTensorConst
    layers, c = [], shape[-1]
    for op, *n in spec:
        if op == 'dense':
            layers.append(qnn.QuantLinear(c, n[0], bias=True, weight_quant=quant))
        elif op == 'conv':
            layers.append(qnn.QuantConv2d(c, n[0], 3, bias=True, weight_quant=quant))
        elif op == 'relu':
            layers.append(qnn.QuantReLU(bit_width=1 if a.row == 'binary' else 2))
        else:
            layers.append(nn.MaxPool2d(2) if op == 'pool' else nn.Flatten())
        c = n[0] if n else 216 if op == 'flatten' else c
    return nn.Sequential(*layers)


def run_brevitas(a, data, shape, spec):
    import torch
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    model = brevitas_model(a, shape, spec)
    x, y, xt, yt = (torch.from_numpy(v) for v in data)
    if a.net == 'cnn':
        x, xt = x.permute(0, 3, 1, 2).contiguous(), xt.permute(0, 3, 1, 2).contiguous()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for _ in range(a.epochs):
        model.train()
        for i in torch.randperm(len(x)).split(128):
            opt.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x[i]), y[i]).backward()
            opt.step()
    model.eval()
    with torch.no_grad():
        return sum(int((model(xt[i:i + 1000]).argmax(1) == yt[i:i + 1000]).sum()) for i in range(0, len(xt), 1000)) / len(xt)


def main():
    a = arguments()
    sys.path.insert(0, a.scripts)
    import qat
    qat.pin(1)
    shape, spec = qat.NETS[a.net]
    run = run_qkeras if a.framework == 'qkeras' else run_brevitas
    acc = run(a, qat.load_data(a.net, a.seed), shape, spec)
    print(json.dumps({'bench': a.net, 'framework': a.framework, 'row': a.row, 'seed': a.seed, 'epochs': a.epochs,
                      'test_acc': round(acc, 4)}), flush=True)


if __name__ == '__main__':
    main()
