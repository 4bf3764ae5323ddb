"""Number formats beside other people's implementations: ml_dtypes (minifloats), onnxruntime (affine).

Minifloats: every code of the 4, 6 and 8-bit types and of the 16-bit ones decodes to the same number; float32 numbers
(all ties between neighbours, their own neighbours, subnormals, infinities, NaN, random bits) round to the same number.
Affine: QuantizeLinear and DequantizeLinear, per tensor and per axis, give the same codes and the same float32 values.
"""
import ctypes
import os
import sys

try:
    import ml_dtypes
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as error:
    print("SKIPPED:", error)
    sys.exit(77)

LIBRARY = os.path.join(os.environ["BITLATHE_BINARY"], "src", "libbitlathe.so")
try:
    lib = ctypes.CDLL(LIBRARY, mode=os.RTLD_LAZY)
except OSError as error:  # a sanitizer's library wants its runtime first
    print("SKIPPED:", error)
    sys.exit(77 if "asan" in str(error) or "tsan" in str(error) else 1)


class Grid(ctypes.Structure):
    _fields_ = [("scale", ctypes.c_double), ("zero_point", ctypes.c_int64)]


lib.bl_context_message.restype = ctypes.c_char_p
context = ctypes.c_void_p()
assert lib.bl_context_create(None, ctypes.byref(context)) == 0


def ok(status):
    if status != 0:
        raise RuntimeError(lib.bl_context_message(context).decode())


def pointer(a):
    return a.ctypes.data_as(ctypes.c_void_p)


class Format:
    def __init__(self, text, scale=1.0, zero_point=0):
        self.f = ctypes.create_string_buffer(256)
        self.text = text
        self.grid = Grid(scale, zero_point)
        ok(lib.bl_format_parse(context, text.encode(), self.f))

    def quantize(self, x):
        x = np.ascontiguousarray(x, np.float32)
        y = np.empty_like(x)
        ok(lib.bl_quantize(context, self.f, ctypes.byref(self.grid), None, pointer(x), pointer(y),
                           ctypes.c_size_t(x.size)))
        return y

    def encode(self, x):
        x = np.ascontiguousarray(x, np.float64)
        codes = np.empty(x.shape, np.int64)
        ok(lib.bl_encode(context, self.f, ctypes.byref(self.grid), pointer(x), pointer(codes), ctypes.c_size_t(x.size)))
        return codes

    def decode(self, codes):
        codes = np.ascontiguousarray(codes, np.int64)
        x = np.empty(codes.shape, np.float64)
        ok(lib.bl_decode(context, self.f, ctypes.byref(self.grid), pointer(codes), pointer(x),
                         ctypes.c_size_t(codes.size)))
        return x


def same(got, want, what, x=None):
    """Equal bit by bit as numbers (any NaN is NaN, -0 is not 0)."""
    equal = (np.isnan(got) & np.isnan(want)) | ((got == want) & (np.signbit(got) == np.signbit(want)))
    if not equal.all():
        i = int(np.argmin(equal))
        sys.exit(f"{what}: element {i}{'' if x is None else f', x = {float(x[i]).hex()}'}: got {got[i]!r}, "
                 f"expected {want[i]!r}; {int((~equal).sum())} differ")


# Our text, theirs, bits, whether the type overflows to something else than its greatest number.
MINIFLOATS = [
    ("float<e4m3,RND_CONV,INF>", "float8_e4m3fn", 8, True),
    ("float<e5m2,RND_CONV,INF>", "float8_e5m2", 8, True),
    ("float<e4m3,RND_CONV,INF,ieee>", "float8_e4m3", 8, True),
    ("float<e3m4,RND_CONV,INF>", "float8_e3m4", 8, True),
    ("float<e2m3>", "float6_e2m3fn", 6, False),
    ("float<e3m2>", "float6_e3m2fn", 6, False),
    ("float<e2m1>", "float4_e2m1fn", 4, False),
    ("bfloat16", "bfloat16", 16, True),
    ("float16", None, 16, True),
]


def minifloats():
    rng = np.random.default_rng(1)
    for text, name, bits, overflows in MINIFLOATS:
        dtype = np.float16 if name is None else getattr(ml_dtypes, name, None)
        if dtype is None:
            print(f"ml_dtypes has no {name}")
            continue
        f = Format(text)
        codes = np.arange(1 << bits)
        raw = codes.astype(np.uint8 if bits <= 8 else np.uint16)
        values = raw.view(dtype).astype(np.float64)
        same(f.decode(codes), values, f"decode {text}")
        numbers = ~np.isnan(values)
        assert (f.encode(values[numbers]) == codes[numbers]).all(), text

        finite = np.sort(values[np.isfinite(values)])
        between = (finite[1:] + finite[:-1]) / 2
        special = np.array([np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38])
        x = np.concatenate([values[numbers], between, special, finite[-1] * np.linspace(0.9, 2.5, 1000)])
        x = x.astype(np.float32)
        x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))])
        x = np.concatenate([x, rng.integers(0, 2**32, 1_000_000, dtype=np.uint32).view(np.float32),
                            rng.standard_normal(200_000).astype(np.float32) * np.float32(finite[-1] / 4)])
        x = x[~np.isnan(x)]
        theirs = x.astype(dtype).astype(np.float32)
        if overflows:
            same(f.quantize(x), theirs, f"quantize {text}", x)
            saturating = text.split(",")[0].rstrip(">") + ",RND_CONV,SAT" + (",ieee>" if "ieee" in text else ">")
            if text.startswith("float<"):
                clipped = np.clip(x, np.float32(finite[0]), np.float32(finite[-1]))
                same(Format(saturating).quantize(x), clipped.astype(dtype).astype(np.float32), saturating, x)
        else:
            inside = np.isfinite(x)  # what ml_dtypes makes of an infinity here is its own affair
            same(f.quantize(x[inside]), theirs[inside], f"quantize {text}", x[inside])
        nan = f.quantize(np.array([np.nan], np.float32))[0]
        assert np.isnan(nan) == overflows, text
        print(f"{text}: {len(codes)} codes, {len(x)} numbers")


def quantize_linear(x, scale, zero, axis, dtype):
    """Codes and values by onnxruntime."""
    helper = onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"], axis=axis),
             helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["y"], axis=axis)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("codes", kind, x.shape),
         helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, x.shape)],
        [onnx.numpy_helper.from_array(np.asarray(scale, np.float32), "scale"),
         onnx.numpy_helper.from_array(np.asarray(zero, dtype), "zero")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def affine():
    rng = np.random.default_rng(2)
    cases = [("affine<8>", np.uint8), ("affine<8,signed>", np.int8), ("affine<16>", np.uint16),
             ("affine<16,signed>", np.int16)]
    for text, dtype in cases:
        info = np.iinfo(dtype)
        for scale in [1.0, 0.25, 0.1, 0.0078431377, 3.7e-4, 12.5, 1e-20, 3e10]:
            scale = float(np.float32(scale))
            for zero in [0, info.min, info.max, int(rng.integers(info.min, info.max))]:
                # ties, their neighbours, and far outside
                x = (np.arange(-2000, 2000) / 2 * scale).astype(np.float32)
                x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf)),
                                    rng.standard_normal(8000).astype(np.float32) * np.float32(scale * 300),
                                    np.array([0.0, -0.0, 1e-42, -1e-42], np.float32)])
                # onnxruntime converts to int32 on the way: keep the quotient inside
                x = x[np.abs(x / np.float32(scale)) < 2.0**30]
                codes, values = quantize_linear(x, scale, zero, 0, dtype)
                f = Format(text, scale, zero)
                y = f.quantize(x)
                values = np.where(values == 0, np.float32(0), values)  # our zeros are +0
                same(y, values, f"{text} scale {scale!r} zero {zero}", x)
                assert (f.encode(y) == codes.astype(np.int64)).all(), (text, scale, zero)
        scales = np.array([0.1, 0.25, 3.0, 0.007], np.float32)
        zeros = np.array([0, 1, info.max, info.min], dtype)
        x = (rng.standard_normal((50, 4)).astype(np.float32) * 40).astype(np.float32)
        codes, values = quantize_linear(x, scales, zeros, 1, dtype)
        for c in range(4):
            same(Format(text, float(scales[c]), int(zeros[c])).quantize(x[:, c]),
                 np.where(values[:, c] == 0, np.float32(0), values[:, c]), f"{text} channel {c}", x[:, c])
        print(f"{text}: onnxruntime agrees")


with np.errstate(all="ignore"):
    minifloats()
    affine()
