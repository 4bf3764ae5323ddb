"""GraphDef messages for Python tests, without TensorFlow: descriptors made here, in a pool of their own, and a canonical
text of a graph in which big tensors are a hash.  Field numbers are TensorFlow's; what the tests never set is left out."""
import hashlib

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS = {"string": FIELD.TYPE_STRING, "bytes": FIELD.TYPE_BYTES, "int32": FIELD.TYPE_INT32, "int64": FIELD.TYPE_INT64,
           "float": FIELD.TYPE_FLOAT, "double": FIELD.TYPE_DOUBLE, "bool": FIELD.TYPE_BOOL, "uint32": FIELD.TYPE_UINT32,
           "uint64": FIELD.TYPE_UINT64}
# message: (number, name, type, "*" repeated, "o" member of the oneof, "m" a map from string to the type)
MESSAGES = {
    "GraphDef": [(1, "node", "NodeDef", "*"), (2, "library", "Library", ""), (4, "versions", "VersionDef", "")],
    "VersionDef": [(1, "producer", "int32", ""), (2, "min_consumer", "int32", ""), (3, "bad_consumers", "int32", "*")],
    "NodeDef": [(1, "name", "string", ""), (2, "op", "string", ""), (3, "input", "string", "*"), (4, "device", "string", ""),
                (5, "attr", "AttrValue", "m")],
    "AttrValue": [(1, "list", "ListValue", "o"), (2, "s", "bytes", "o"), (3, "i", "int64", "o"), (4, "f", "float", "o"),
                  (5, "b", "bool", "o"), (6, "type", "int32", "o"), (7, "shape", "Shape", "o"), (8, "tensor", "Tensor", "o"),
                  (10, "func", "NameAttrList", "o")],
    "ListValue": [(2, "s", "bytes", "*"), (3, "i", "int64", "*"), (4, "f", "float", "*"), (5, "b", "bool", "*"),
                  (6, "type", "int32", "*"), (7, "shape", "Shape", "*"), (8, "tensor", "Tensor", "*")],
    "NameAttrList": [(1, "name", "string", ""), (2, "attr", "AttrValue", "m")],
    "Shape": [(2, "dim", "Dim", "*"), (3, "unknown_rank", "bool", "")],
    "Dim": [(1, "size", "int64", ""), (2, "name", "string", "")],
    "Tensor": [(1, "dtype", "int32", ""), (2, "tensor_shape", "Shape", ""), (3, "version_number", "int32", ""),
               (4, "tensor_content", "bytes", ""), (5, "float_val", "float", "*"), (6, "double_val", "double", "*"),
               (7, "int_val", "int32", "*"), (8, "string_val", "bytes", "*"), (10, "int64_val", "int64", "*"),
               (11, "bool_val", "bool", "*"), (13, "half_val", "int32", "*")],
    "Library": [(1, "function", "FunctionDef", "*")],
    "FunctionDef": [(1, "signature", "OpDef", ""), (3, "node_def", "NodeDef", "*"), (4, "ret", "string", "m"),
                    (5, "attr", "AttrValue", "m")],
    "OpDef": [(1, "name", "string", ""), (2, "input_arg", "ArgDef", "*"), (3, "output_arg", "ArgDef", "*")],
    "ArgDef": [(1, "name", "string", ""), (3, "type", "int32", "")],
}
TYPES = {"float": 1, "double": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7, "int64": 9, "bool": 10,
         "qint8": 11, "quint8": 12, "qint32": 13, "half": 19}
NUMPY = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 5: np.int16, 6: np.int8, 9: np.int64, 10: np.bool_,
         11: np.int8, 12: np.uint8, 13: np.int32, 19: np.float16}
TYPED_LIST = {1: "float_val", 2: "double_val", 3: "int_val", 4: "int_val", 5: "int_val", 6: "int_val", 9: "int64_val",
              10: "bool_val", 11: "int_val", 12: "int_val", 13: "int_val"}
OF_NUMPY = {np.dtype(t): n for n, t in NUMPY.items() if n < 11}


def field(message, number, name, kind, how):
    f = message.field.add(name=name, number=number, label=FIELD.LABEL_REPEATED if how in ("*", "m") else FIELD.LABEL_OPTIONAL)
    if how == "m":
        entry = message.nested_type.add(name=name.capitalize() + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=FIELD.LABEL_OPTIONAL, type=FIELD.TYPE_STRING)
        field(entry, 2, "value", kind, "")
        kind = f"{message.name}.{entry.name}"
    if kind in SCALARS:
        f.type = SCALARS[kind]
    else:
        f.type, f.type_name = FIELD.TYPE_MESSAGE, f".bitlathe.tf.{kind}"
    if how == "o":
        f.oneof_index = 0


def make_classes():
    file = descriptor_pb2.FileDescriptorProto(name="bitlathe_tf.proto", package="bitlathe.tf", syntax="proto3")
    for name, fields in MESSAGES.items():
        m = file.message_type.add(name=name)
        if any(how == "o" for *_, how in fields):
            m.oneof_decl.add(name="value")
        for f in fields:
            field(m, *f)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName("bitlathe.tf." + n)) for n in MESSAGES}


CLASSES = make_classes()
GraphDef = CLASSES["GraphDef"]


def dims(shape):
    if shape.unknown_rank:
        return "?"
    return "[" + ",".join(str(d.size) for d in shape.dim) + "]"


def values(t):
    """The elements of a TensorProto, whatever way they are written; None for what is not numbers."""
    if t.dtype not in NUMPY:
        return None
    kind = np.dtype(NUMPY[t.dtype])
    shape = [d.size for d in t.tensor_shape.dim]
    count = int(np.prod(shape, dtype=np.int64))
    if t.tensor_content:
        return np.frombuffer(t.tensor_content, kind)[:count].reshape(shape)
    got = np.array(getattr(t, TYPED_LIST[t.dtype]), kind)[:count]
    if len(got) < count:
        got = np.concatenate([got, np.full(count - len(got), got[-1] if len(got) else 0, kind)])
    return got.reshape(shape)


def tensor_text(t, most):
    v = values(t)
    if v is None:
        return f"tensor {t.dtype} {dims(t.tensor_shape)} {list(t.string_val)}"
    if v.size <= most:
        body = v.tobytes().hex()
    else:
        body = "#" + hashlib.sha1(v.tobytes()).hexdigest()[:12]
    return f"tensor {t.dtype} {dims(t.tensor_shape)} {body}"


def attr_text(a, most):
    which = a.WhichOneof("value")
    if which == "tensor":
        return tensor_text(a.tensor, most)
    if which == "shape":
        return "shape " + dims(a.shape)
    if which == "f":
        return "f " + np.float32(a.f).tobytes().hex()
    if which == "list":
        parts = [f"{f.name}:{[dims(s) for s in v] if f.name == 'shape' else list(v)}" for f, v in a.list.ListFields()]
        return "list " + " ".join(parts)
    if which == "func":
        return "func " + a.func.name
    return f"{which} {getattr(a, which)}" if which else "nothing"


def node_text(n, most):
    """One line; a data input x:0 is written x, attributes that begin with _ are kept."""
    inputs = [i[:-2] if i.endswith(":0") and not i.startswith("^") else i for i in n.input]
    attrs = [f"{k}={attr_text(n.attr[k], most)}" for k in sorted(n.attr)]
    return " | ".join([n.name, n.op, ",".join(inputs), n.device] + attrs)


def graph_text(g, most=64):
    return [node_text(n, most) for n in g.node]
