#!/usr/bin/env python3
"""make_models.py: small model files as other exporters write them, for fuzzing and for tests where no data is at hand.

Needs Python's onnx package.  Writes fuzz/corpus/onnx/*.onnx; the same bytes each time.
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
QONNX = "qonnx.custom_op.general"


def tensor(name, a):
    return numpy_helper.from_array(np.asarray(a), name)


def ramp(*shape):
    n = int(np.prod(shape))
    return ((np.arange(n) * 7 % 13 - 6) / 8).astype(np.float32).reshape(shape)


def model(name, nodes, x, y, tensors, opset=13, ir=7, extra=()):
    graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)], tensors)
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in extra]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="make_models")
    made.ir_version = ir
    return made


def gemm():
    return model("gemm", [helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
                          helper.make_node("Clip", ["h"], ["y"], min=0.0, max=6.0)], [1, 4], [1, 3],
                 [tensor("w", ramp(3, 4)), tensor("b", ramp(3))], opset=9, ir=4)


def convolution():
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
             helper.make_node("BatchNormalization", ["c", "g", "o", "m", "v"], ["n"], epsilon=1e-3),
             helper.make_node("Relu", ["n"], ["r"]),
             helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("GlobalAveragePool", ["p"], ["a"]), helper.make_node("Flatten", ["a"], ["y"])]
    return model("convolution", nodes, ["batch", 2, 4, 4], ["batch", 3],
                 [tensor("w", ramp(3, 2, 3, 3)), tensor("g", np.abs(ramp(3)) + 1), tensor("o", ramp(3)),
                  tensor("m", ramp(3)), tensor("v", np.abs(ramp(3)) + 1)])


def quantized():
    one, zero, bits = (tensor(n, np.float32(v)) for n, v in (("s", 0.25), ("z", 0), ("k", 4)))
    nodes = [helper.make_node("Quant", ["x", "s", "z", "k"], ["q"], domain=QONNX, signed=1, narrow=0, rounding_mode="ROUND"),
             helper.make_node("BipolarQuant", ["w", "s"], ["b"], domain=QONNX),
             helper.make_node("MatMul", ["q", "b"], ["y"])]
    return model("quantized", nodes, [1, 4], [1, 3], [one, zero, bits, tensor("w", ramp(4, 3))], extra=[QONNX])


def shapes():
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "i"], ["n"], axis=0),
             helper.make_node("Unsqueeze", ["n"], ["u"], axes=[0]),
             helper.make_node("Concat", ["u", "r"], ["t"], axis=0), helper.make_node("Reshape", ["x", "t"], ["y"])]
    return model("shapes", nodes, [1, 2, 3], [1, 6], [tensor("i", np.int64(0)), tensor("r", np.int64([-1]))], opset=11, ir=6)


def main():
    folder = ROOT / "fuzz" / "corpus" / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    for make in (gemm, convolution, quantized, shapes):
        made = make()
        onnx.checker.check_model(made) if make is not quantized else None
        (folder / f"{make.__name__}.onnx").write_bytes(made.SerializeToString(deterministic=True))


main()
