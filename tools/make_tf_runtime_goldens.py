#!/usr/bin/env python3
"""Golden file of operators around pictures and sounds: small files of every kind, with what TensorFlow makes of them.

Usage: make_tf_runtime_goldens.py OUTPUT_FOLDER        (needs tensorflow-cpu 2.21 and Pillow; the tests do not)

Writes tf_runtime.pb, in the form of make_tf_goldens.py.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

from make_tf_goldens import Cases, np, tf  # first: it sets TensorFlow's environment
from PIL import Image

U8, U16 = tf.uint8, tf.uint16
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


# ---- PNG ----------------------------------------------------------------------------------------------------------
def packed(samples, bits):
    """Rows [height][values] as bytes, with filter 0 in front."""
    rows = b""
    for row in samples:
        if bits == 16:
            line = row.astype(">u2").tobytes()
        elif bits == 8:
            line = row.astype(np.uint8).tobytes()
        else:
            text = "".join(format(int(v), "0%db" % bits) for v in row)
            text += "0" * (-len(text) % 8)
            line = bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
        rows += b"\0" + line
    return rows


def png(rng, color, bits, width=7, height=5, interlaced=False, transparent=None):
    """color: PNG's number of the colour type; transparent: the body of tRNS."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    entries = min(1 << bits, 13)
    values = rng.randint(0, entries if color == 3 else 1 << bits, (height, width, channels))
    chunk = lambda name, body: struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced))
    if color == 3:
        out += chunk(b"PLTE", rng.randint(0, 256, 3 * entries).astype(np.uint8).tobytes())
    if transparent:
        out += chunk(b"tRNS", transparent)
    if interlaced:
        parts = [values[y::dy, x::dx] for x, y, dx, dy in ADAM7]
    else:
        parts = [values]
    data = b"".join(packed(p.reshape(p.shape[0], -1), bits) for p in parts if p.size)
    return out + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def png_cases(c, rng):
    forms = [(color, bits) for color, most in ((0, 5), (2, 2), (3, 4), (4, 2), (6, 2))
             for bits in (1, 2, 4, 8, 16)[(0 if color in (0, 3) else 3):(5 if color != 3 else 4)]]
    for number, (color, bits) in enumerate(forms):
        for interlaced in (False, True):
            data = (png(rng, color, bits, interlaced=interlaced), tf.string)
            for channels in (0, 1, 3, 4):
                for dtype in (U8, U16):
                    c.add("DecodePng", [data], channels=channels, dtype=dtype)
    for color, bits, body in ((0, 8, b"\0\7"), (0, 4, b"\0\3"), (0, 16, b"\1\2"), (2, 8, b"\0\1\0\2\0\3"), (3, 4, b"\0\x80\xff")):
        data = (png(rng, color, bits, transparent=body), tf.string)
        for channels in (0, 1, 3, 4):
            c.add("DecodePng", [data], channels=channels, dtype=U8)
    wide = (png(rng, 2, 16), tf.string)
    for dtype in (U8, U16, tf.float32):
        for data in (wide, (png(rng, 6, 8), tf.string)):
            c.add("DecodeImage", [data], channels=0, dtype=dtype, expand_animations=True, exact=True)
    c.add("DecodeJpeg", [(png(rng, 2, 8), tf.string)], channels=3)
    c.add("DecodeGif", [(png(rng, 2, 8), tf.string)])


# ---- BMP ----------------------------------------------------------------------------------------------------------
def bmp(rng, bits, width, height, from_top=False, header=40):
    row = (bits // 8 * width + 3) // 4 * 4
    body = rng.randint(0, 256, row * height).astype(np.uint8).tobytes()
    palette = rng.randint(0, 256, 1024).astype(np.uint8).tobytes() if bits == 8 else b""
    at = 14 + header + len(palette)
    info = struct.pack("<IiiHHIIiiII", header, width, -height if from_top else height, 1, bits, 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + info + bytes(header - 40) + palette + body


def bmp_cases(c, rng):
    for bits in (8, 24, 32):
        for width in (4, 5, 6, 7):
            for from_top in (False, True):
                data = (bmp(rng, bits, width, 3, from_top, 40 if width < 6 else 108), tf.string)
                for channels in (0, 3, 4):
                    if channels != 3 or bits != 8:
                        c.add("DecodeBmp", [data], channels=channels)
    c.add("DecodeBmp", [(bmp(rng, 8, 5, 2), tf.string)], channels=3)
    for dtype in (U8, U16, tf.float32):
        c.add("DecodeImage", [(bmp(rng, 24, 5, 3), tf.string)], channels=0, dtype=dtype, expand_animations=True, exact=True)


# ---- GIF and JPEG -------------------------------------------------------------------------------------------------
def gif(rng, frames, width=9, height=6, **how):
    made = []
    for k in range(frames):
        colors = rng.randint(0, 256, (17, 3)).astype(np.uint8)
        image = Image.fromarray(rng.randint(0, 17, (height, width)).astype(np.uint8), "P")
        image.putpalette(colors.tobytes())
        made.append(image)
    out = io.BytesIO()
    made[0].save(out, "GIF", save_all=frames > 1, append_images=made[1:], **how)
    return out.getvalue()


def patched(rng):
    """Two frames of which the second covers a part, with a transparent colour and a palette of its own."""
    first = gif(rng, 1)
    second = gif(rng, 1, 4, 3, transparency=5)
    flags = second[10]
    colors = second[13:13 + 3 * (2 << (flags & 7))]
    rest = second[13 + len(colors):-1]
    at = rest.index(b",\0\0\0\0")
    place = struct.pack("<HHHHB", 3, 2, 4, 3, 0x80 | (flags & 7))
    return first[:-1] + rest[:at] + b"," + place + colors + rest[at + 10:] + b";"


def gif_cases(c, rng):
    one, three, patch = (gif(rng, 1), tf.string), (gif(rng, 3), tf.string), (patched(rng), tf.string)
    seen = (gif(rng, 1, transparency=3, interlace=True), tf.string)
    two = Image.fromarray(rng.randint(0, 2, (4, 5)).astype(np.uint8) * 255).convert("1")
    out = io.BytesIO()
    two.save(out, "GIF")
    for data in (one, three, patch, seen, (out.getvalue(), tf.string)):
        c.add("DecodeGif", [data])
    for op in ("DecodeJpeg", "DecodePng"):
        c.add(op, [one], channels=3)
    for expands in (True, False):
        for dtype in (U8, U16, tf.float32):
            c.add("DecodeImage", [three], channels=0, dtype=dtype, expand_animations=expands, exact=True)


def jpeg(rng, mode, width=21, height=18, **how):
    y, x = np.mgrid[:height, :width]
    bands = [((x * a + y * b) % 256) for a, b in ((9, 4), (3, 11), (7, 7), (2, 5))[:{"L": 1, "RGB": 3, "CMYK": 4}[mode]]]
    pixels = np.stack(bands, -1) + rng.randint(-9, 9, (height, width, len(bands)))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8).squeeze(), mode)
    out = io.BytesIO()
    image.save(out, "JPEG", **how)
    return (out.getvalue(), tf.string)


def jpeg_cases(c, rng):
    color = jpeg(rng, "RGB", quality=80, subsampling=2)
    files = [color, jpeg(rng, "RGB", quality=90, subsampling=1), jpeg(rng, "RGB", quality=70, subsampling=0),
             jpeg(rng, "RGB", quality=75, progressive=True), jpeg(rng, "L", quality=80)]
    for data in files:
        for channels in (0, 1, 3):
            for dct in ("", "INTEGER_ACCURATE"):
                c.add("DecodeJpeg", [data], channels=channels, dct_method=dct, fancy_upscaling=True, ratio=1)
        c.add("DecodeJpeg", [data], channels=3, fancy_upscaling=False)
        for ratio in (2, 4, 8):
            c.add("DecodeJpeg", [data], channels=3, ratio=ratio)
    c.add("DecodeJpeg", [jpeg(rng, "CMYK", quality=90)], channels=0)
    for dtype in (U8, U16, tf.float32):
        c.add("DecodeImage", [color], channels=0, dtype=dtype, expand_animations=True, exact=True)
    c.add("DecodePng", [color], channels=3, dtype=U8)
    c.add("DecodeGif", [color])
    for y, x, height, width in ((0, 0, 18, 21), (3, 2, 9, 11), (1, 16, 16, 5)):
        window = np.array([y, x, height, width], np.int32)
        c.add("DecodeAndCropJpeg", [files[2], window], channels=3)


# ---- operators on pictures ----------------------------------------------------------------------------------------
def two_pictures(c, rng):
    """TensorFlow convolves pictures behind the first with rows of those before; what is right is MirrorPad, Conv2D."""
    x, w = (rng.randn(*shape).astype(np.float32) for shape in ((3, 6, 5, 4), (3, 3, 4, 3)))
    pads = np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32)
    for mode in ("REFLECT", "SYMMETRIC"):
        for stride, padding in ((1, "VALID"), (2, "SAME")):
            c.add("FusedPadConv2D", [x, pads, w], mode=mode, strides=[1, stride, stride, 1], padding=padding, terms=36,
                  T=tf.float32, want=tf.nn.conv2d(tf.pad(x, pads, mode=mode), w, stride, padding).numpy())


def moving_cases(c, rng):
    x = rng.randn(3, 4, 6, 8).astype(np.float32)
    t = dict(T=tf.float32, exact=True)
    for axes in ((0,), (-1, 1), ()):
        c.add("ReverseV2", [x, np.array(axes, np.int32)], Tidx=tf.int32, **t)
    for seq, batch, lengths in ((1, 0, (4, 0, 3)), (2, 3, (1, 2, 3, 4, 5, 6, 0, 1)), (0, 1, (3, 2, 1, 0))):
        c.add("ReverseSequence", [x, np.array(lengths, np.int64)], seq_dim=seq, batch_dim=batch, Tlen=tf.int64, **t)
    c.add("SpaceToDepth", [x], block_size=2, **t)
    c.add("DepthToSpace", [x], block_size=2, **t)
    c.add("AddN", [x[i % 3] for i in range(11)], N=11, **t)
    boxes = np.array([[0, 0, 1, 1], [.2, .1, .7, .9], [.9, .8, .1, .3], [-.3, .2, 1.4, .6], [.5, .5, .5, .5]], np.float32)
    which = np.array([2, 0, 1, 0, 2], np.int32)
    for size in ((3, 5), (1, 4), (7, 1)):
        for method in ("bilinear", "nearest"):
            c.add("CropAndResize", [x, boxes, which, np.array(size, np.int32)], method=method, extrapolation_value=-2.5, **t)
    bytes_ = rng.randint(0, 256, x.shape).astype(np.uint8)
    c.add("CropAndResize", [bytes_, boxes, which, np.array((4, 4), np.int32)], T=tf.uint8, exact=True)


def axis_cases(c, rng):
    """A range for each slice."""
    x = (rng.randn(3, 4, 5) * 3).astype(np.float32)
    codes = (rng.randint(-128, 128, x.shape), tf.qint8), (rng.randint(0, 256, x.shape), tf.quint8)
    for axis in (0, 1, 2):
        low = -rng.rand(x.shape[axis]).astype(np.float32)  # in a range of magnitudes too, the second is the larger
        high = 1 + 3 * rng.rand(x.shape[axis]).astype(np.float32)
        for mode in ("MIN_COMBINED", "SCALED"):
            for code, (values, _) in zip((tf.qint8, tf.quint8), codes):
                c.add("QuantizeV2", [x, low, high], 3, T=code, mode=mode, axis=axis, narrow_range=mode == "SCALED",
                      round_mode="HALF_AWAY_FROM_ZERO" if axis else "HALF_TO_EVEN" if mode == "SCALED" else
                      "HALF_AWAY_FROM_ZERO", ensure_minimum_range=.01, exact=True)
                c.add("Dequantize", [(values, code), low, high], T=code, mode=mode, axis=axis, exact=True)


# ---- sound --------------------------------------------------------------------------------------------------------
def wav(rng, channels, count, rate=8000, before=b"", behind=b"", extended=False, left_over=0):
    body = rng.randint(-2**15, 2**15, count * channels).astype("<i2").tobytes() + bytes(left_over)
    form = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16) + (b"\0\0" if extended else b"")
    rest = b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form + behind + b"data"
    rest += struct.pack("<I", len(body)) + body
    return (b"RIFF" + struct.pack("<I", len(rest)) + rest, tf.string)


def sound_cases(c, rng):
    junk, listed = b"JUNK\x05\0\0\0abcde", b"LIST\x04\0\0\0abcd"
    for data in (wav(rng, 1, 9), wav(rng, 2, 7), wav(rng, 3, 4, extended=True), wav(rng, 1, 0),
                 wav(rng, 2, 5, 16000, before=junk, behind=listed)):
        for samples in (-1, 4, 12):
            for channels in (-1, 1, 4):
                c.add("DecodeWav", [data], 2, desired_channels=channels, desired_samples=samples, exact=True)
    sound = (rng.randn(400, 2) * .3).astype(np.float32)
    for window, stride in ((64, 32), (100, 60), (400, 1), (401, 7), (2, 399)):
        for squared in (False, True):
            c.add("AudioSpectrogram", [sound], window_size=window, stride=stride, magnitude_squared=squared, terms=0)
    power = (rng.randn(2, 3, 257) ** 2).astype(np.float32)
    for rate, lower, upper, bands, kept in ((16000, 20., 4000., 40, 13), (8000, 0., 3900., 23, 23), (16000, 300., 7999., 5, 4),
                                            (16000, 20., 4000., 200, 3)):
        c.add("Mfcc", [power, np.int32(rate)], lower_frequency_limit=lower, upper_frequency_limit=upper,
              filterbank_channel_count=bands, dct_coefficient_count=kept, terms=0)


def main():
    c, rng = Cases(), np.random.RandomState(5)
    png_cases(c, rng)
    bmp_cases(c, rng)
    gif_cases(c, rng)
    jpeg_cases(c, rng)
    two_pictures(c, rng)
    moving_cases(c, rng)
    axis_cases(c, rng)
    sound_cases(c, rng)
    c.write(Path(sys.argv[1]) / "tf_runtime.pb")


if __name__ == "__main__":
    main()
