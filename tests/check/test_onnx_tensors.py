"""Constants of every element type, wherever a file may keep them: raw bytes, the typed fields, files beside the model.  What
is read is what onnx itself reads; what does not fit or lies elsewhere has a message.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import ml_dtypes
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BITLATHE = os.environ["BITLATHE"]
COPY = pathlib.Path(os.environ["BITLATHE_BINARY"]) / "tests" / "tool_model_copy"
T = TensorProto
HALVES = {T.FLOAT16: np.float16, T.BFLOAT16: ml_dtypes.bfloat16}
REALS = {T.FLOAT: np.float32, T.DOUBLE: np.float64, **HALVES}
INTEGERS = {T.INT8: np.int8, T.UINT8: np.uint8, T.INT16: np.int16, T.UINT16: np.uint16, T.INT32: np.int32,
            T.UINT32: np.uint32, T.INT64: np.int64, T.UINT64: np.uint64, T.BOOL: np.bool_}
SHAPE = (3, 4)


def values(kind):
    random = np.random.default_rng(kind)
    if kind in REALS:
        v = random.normal(size=SHAPE) * 2.0 ** random.integers(-20, 5, size=SHAPE)
        v.ravel()[:4] = [0.0, -0.0, 2.0 ** -24, -(2.0 ** -14)]  # a half's subnormal and its least normal number
        if kind == T.DOUBLE:
            v.ravel()[4] = 1 / 3  # a value that float32 does not have
        return v.astype(REALS[kind])
    if kind == T.BOOL:
        return random.integers(0, 2, size=SHAPE).astype(bool)
    ends = np.iinfo(INTEGERS[kind])
    v = random.integers(ends.min, ends.max, size=SHAPE, dtype=INTEGERS[kind], endpoint=True)
    v.ravel()[:2] = [ends.min, ends.max]
    return v


def typed(kind, v):
    """The field of its own that ONNX has for the type."""
    t = T(name="w", data_type=kind, dims=v.shape)
    flat = v.ravel()
    if kind in HALVES:
        t.int32_data.extend(flat.view(np.uint16).tolist())
    elif kind == T.FLOAT:
        t.float_data.extend(flat.tolist())
    elif kind == T.DOUBLE:
        t.double_data.extend(flat.tolist())
    elif kind == T.INT64:
        t.int64_data.extend(flat.tolist())
    elif kind in (T.UINT32, T.UINT64):
        t.uint64_data.extend(flat.tolist())
    else:
        t.int32_data.extend(int(x) for x in flat)
    return t


def raw(kind, v):
    return T(name="w", data_type=kind, dims=v.shape, raw_data=v.tobytes())


def external(kind, v, location="w.bin", offset=None, length=None):
    t = T(name="w", data_type=kind, dims=v.shape, data_location=T.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            t.external_data.add(key=key, value=str(value))
    return t


def model(tensor, kind):
    """Reals are added to the input; integers pass as they are to a second output."""
    wide = kind == T.DOUBLE
    real = T.DOUBLE if wide else T.FLOAT
    x = helper.make_tensor_value_info("x", real, (1, *SHAPE))
    y = helper.make_tensor_value_info("y", real, (1, *SHAPE))
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="add")]
    m = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [tensor]), opset_imports=[helper.make_opsetid("", 13)])
    return m


def integer_model(tensor, kind):
    x = helper.make_tensor_value_info("x", T.FLOAT, (1, 2))
    outs = [helper.make_tensor_value_info("y", T.FLOAT, (1, 2)), helper.make_tensor_value_info("z", kind, SHAPE)]
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu"), helper.make_node("Identity", ["w"], ["z"], name="same")]
    return helper.make_model(helper.make_graph(nodes, "g", [x], outs, [tensor]), opset_imports=[helper.make_opsetid("", 13)])


def constant_of(path):
    m = onnx.load(path)
    assert len(m.graph.initializer) == 1, [i.name for i in m.graph.initializer]
    return numpy_helper.to_array(m.graph.initializer[0])


def copied(m, folder):
    source, target = folder / "m.onnx", folder / "out.onnx"
    source.write_bytes(m.SerializeToString())
    target.unlink(missing_ok=True)
    done = subprocess.run([COPY, source, target], capture_output=True, text=True, timeout=60)
    return done, target


def check_values(folder):
    count = 0
    for kind in list(REALS) + list(INTEGERS):
        v = values(kind)
        (folder / "w.bin").write_bytes(b"\x55" * 64 + v.tobytes())
        stored = {"raw": raw(kind, v), "typed": typed(kind, v), "external": external(kind, v, offset=64),
                  "external with length": external(kind, v, offset=64, length=v.nbytes)}
        for how, tensor in stored.items():
            what = f"{T.DataType.Name(kind)}, {how}"
            done, target = copied((model if kind in REALS else integer_model)(tensor, kind), folder)
            assert done.returncode == 0, f"{what}: {done.stdout}"
            got = constant_of(target)
            expected = v.astype(np.float32) if kind in HALVES else v
            assert got.dtype == expected.dtype, f"{what}: {got.dtype}"
            assert got.tobytes() == expected.tobytes(), f"{what}:\n{got}\n{expected}"
            count += 1
            if kind not in REALS:
                continue
            x = np.random.default_rng(1).normal(size=(5, *SHAPE)).astype(expected.dtype)
            np.save(folder / "x.npy", x)
            subprocess.run([BITLATHE, "run", folder / "m.onnx", "--input", folder / "x.npy", "--output", folder / "y.npy",
                            "--quiet"], check=True, stdout=subprocess.DEVNULL)
            assert np.array_equal(np.load(folder / "y.npy"), x + expected), what
    return count


def bad(folder):
    half, real = values(T.FLOAT16), values(T.FLOAT)
    over = typed(T.UINT8, values(T.UINT8))
    over.int32_data[5] = 256
    bits = typed(T.FLOAT16, half)
    bits.int32_data[0] = -1
    short = typed(T.DOUBLE, values(T.DOUBLE))
    del short.double_data[-1]
    os.mkfifo(folder / "pipe")
    with open(folder / "huge.bin", "wb") as f:
        f.truncate(1 << 40)  # holes only
    yield "a byte of 256", integer_model(over, T.UINT8), "initializer 'w': element 5 does not fit UINT8"
    yield "half of 17 bits", model(bits, T.FLOAT16), "initializer 'w': element 0 does not fit FLOAT16"
    yield "eleven doubles", model(short, T.DOUBLE), "initializer 'w': its shape has 12 elements, its data 11"
    yield "a pipe", model(external(T.FLOAT, real, "pipe"), T.FLOAT), "external data 'pipe' is not a regular file"
    yield "a tebibyte", model(external(T.FLOAT, real, "huge.bin", 0, 48), T.FLOAT), "external data 'huge.bin' has 1099511627776 bytes, at most"
    yield "a folder", model(external(T.FLOAT, real, "."), T.FLOAT), "external data '.'"
    yield "odd offset", model(external(T.FLOAT, real, "w.bin", "-4"), T.FLOAT), "external data: offset '-4' is no count of bytes"
    yield "too short", model(external(T.FLOAT, real, "w.bin", 64, 52), T.FLOAT), "initializer 'w': its shape needs 48 bytes, its data has 52"
    yield "float8", model(T(name="w", data_type=T.FLOAT8E4M3FN, dims=SHAPE, raw_data=bytes(12)), T.FLOAT), "its element type 17 (FLOAT8E4M3FN) is not supported"
    yield "strings", model(T(name="w", data_type=T.STRING, dims=SHAPE, string_data=[b"a"] * 12), T.FLOAT), "its element type 8 (STRING) is not supported"


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        print(check_values(folder), "constants read as onnx reads them")
        (folder / "w.bin").write_bytes(bytes(128))
        count = 0
        for what, m, expected in bad(folder):
            done, target = copied(m, folder)
            assert done.returncode == 1 and expected in done.stdout, f"{what}: '{done.stdout.strip()}', expected '{expected}'"
            assert str(folder / "m.onnx") in done.stdout and not target.exists(), f"{what}: {done.stdout}"
            count += 1
        print(count, "bad ones, each with its message")


main()
