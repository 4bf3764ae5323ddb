#!/usr/bin/env python3
"""The table of TensorFlow's operators, src/tf/opdefs.inc: what TensorFlow's registry says of each.

Usage: make_tf_opdefs.py > src/tf/opdefs.inc        (needs tensorflow-cpu 2.21; nothing else does)

One line an operator: name, whether it is stateful, arguments in and out, attributes.  An argument is name:T (the type is the
attribute T's), name:#int32 (that type), name:N*T (N of them), name:=Tin (types as the list Tin has them), name:&T (a reference).  An attribute is
name:kind, then =default if it has one.  Operators of input pipelines, of other devices and internal ones are left out.
"""
import re
import sys

import tensorflow as tf
from tensorflow.core.framework import op_def_pb2, types_pb2
from tensorflow.python.client import pywrap_tf_session

LEAVE_OUT = re.compile(r"Dataset|TPU|Tpu|Xla|Mkl|Boosted|Collective|Nccl|Batching|Ragged|Sparse(?!ToDense|Softmax)|Experimental|"
                       r"Iterator|Summary|Reader|Queue|Barrier|Stack|ResourceApply|ResourceSparse|ResourceScatter|^Apply|Stats|"
                       r"Cudnn|Debug|Tensor(?:Forest|Map)|Uniform(?:Quantized|Requ|Dequ)|StringTo|^Batch(?:Matrix|FFT|IFFT|"
                       r"Self|Svd|Chol)|Grad$|Deserialize|Serialize|Risc|Scatter(?!Nd$)|Strings|^String|^Regex|^Unicode|^Decode"
                       r"(?:CSV|JSON|Proto|Compressed)|Encode(?:Base64|Proto)|Generator|Stateless(?:Random|Multi|Trunc|Sample|"
                       r"Param)|Candidate|Unigram|Assign(?!$)|Bincount|Cholesky|Lmdb|Tridiag|Monitor|Device|Ops$|Embedding|Skip|"
                       r"^(?:Sdca|Rpc|Infeed|Outfeed|DTensor|Quantized(?:Conv2D|MatMul|DepthwiseConv2D)With|QuantizedConv2DAnd|Dedup)|"
                       r"Accumulator|Dedup|Stage|Resource(?!Gather)|Mutex|Session|Map(?:Clear|Size|Peek)|Relayout")
KEEP = {"_Arg", "_Retval", "_Send", "_Recv", "_FusedConv2D", "_FusedMatMul", "TensorArrayGradV2", "TensorArrayGradV3",
        "TensorArrayScatter", "TensorArrayScatterV2", "TensorArrayScatterV3", "TensorArrayGrad", "ScatterNd", "ScalarSummary",
        "TensorListStack"}


def dtype(number):
    return types_pb2.DataType.Name(number).removeprefix("DT_").lower()


def argument(a):
    if a.type_list_attr:
        return f"{a.name}:={a.type_list_attr}"
    kind = a.type_attr or "#" + dtype(a.type)
    kind = "&" + kind if a.is_ref else kind
    return f"{a.name}:{a.number_attr}*{kind}" if a.number_attr else f"{a.name}:{kind}"


def text(v):
    return "'" + v.decode().replace("\n", "\\\\n") + "'"


def listed(l):
    items = [text(v) for v in l.s] + [str(v) for v in l.i] + [repr(v) for v in l.f] + [str(v).lower() for v in l.b]
    items += [dtype(v) for v in l.type]
    if l.shape or l.tensor or l.func:
        raise ValueError("a list of these has no text")
    return "[" + ",".join(items) + "]"


def default(v):
    kind = v.WhichOneof("value")
    if kind == "list":
        return listed(v.list)
    if kind == "shape":
        return "?" if v.shape.unknown_rank else "[" + ",".join(str(d.size) for d in v.shape.dim) + "]"
    if kind in ("tensor", "func", "placeholder"):
        raise ValueError("a tensor has no text")
    return {"s": lambda: text(v.s), "i": lambda: str(v.i), "f": lambda: f"{v.f:.9g}", "b": lambda: str(v.b).lower(),
            "type": lambda: dtype(v.type)}[kind]()


def attribute(a):
    return f"{a.name}:{a.type}" + ("=" + default(a.default_value) if a.HasField("default_value") else "")


def line(op):
    parts = [",".join(map(argument, op.input_arg)), ",".join(map(argument, op.output_arg)), " ".join(map(attribute, op.attr))]
    return f'OP("{op.name}", {int(op.is_stateful)}, "{parts[0]}", "{parts[1]}", "{parts[2]}")'


def main():
    ops = op_def_pb2.OpList()
    ops.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    print("/* opdefs.inc: TensorFlow's operators, made by tools/make_tf_opdefs.py, which says how to read it; sorted by name.\n"
          " * Length: one line an operator. */\n/* clang-format off */")
    for op in sorted(ops.op, key=lambda o: o.name.encode()):
        if op.name not in KEEP and (not hasattr(tf.raw_ops, op.name) or LEAVE_OUT.search(op.name)):
            continue
        try:
            print(line(op))
        except ValueError as e:
            print(f"{op.name}: {e}", file=sys.stderr)


main()
