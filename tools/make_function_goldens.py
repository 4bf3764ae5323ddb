#!/usr/bin/env python3
"""What tests compare functions and their tables with, by decimal arithmetic of 80 digits.  For tests/quick/test_functions.c
some values as sums of two doubles, and hashes (FNV-1a of 64-bit little-endian integers) of tables in multiples of 2^-16;
for test_tables.c hashes of tables up to a quantizer: function, nearest float, fixed<16,2,RND,SAT>."""
import math
import struct
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 80

FUNCTIONS = {
    "sigmoid": lambda x, a: 1 / (1 + (-x).exp()),
    "tanh": lambda x, a: 1 - 2 / ((2 * x).exp() + 1),
    "softplus": lambda x, a: (1 + x.exp()).ln(),
    "elu": lambda x, a: a * (x.exp() - 1) if x < 0 else x,
    "exp": lambda x, a: x.exp(),
    "pow": lambda x, a: (a * x.ln()).exp(),
    "inverse": lambda x, a: 1 / x,
}
VALUES = [
    ("sigmoid", "0.3125", "0"), ("sigmoid", "-7.75", "0"), ("tanh", "0.015625", "0"), ("tanh", "-1.375", "0"),
    ("tanh", "12.5", "0"), ("softplus", "0", "0"), ("softplus", "-6.125", "0"), ("softplus", "9.03125", "0"),
    ("elu", "-0.0078125", "1.25"), ("elu", "-8.5", "1"), ("exp", "1", "0"), ("exp", "-11.0625", "0"),
    ("exp", "600", "0"), ("pow", "10", "0.5"), ("pow", "0.0390625", "-1.75"), ("pow", "1000000", "0.9375"),
    ("inverse", "3", "0"), ("inverse", "-1.375", "0"),
]
# function, a, first code, scale, offset; 4096 codes each
TABLES = [
    ("sigmoid", 0.0, -2048, 2 / 255, 0.01), ("tanh", 0.0, -2048, 0.0009765625, 0.0), ("softplus", 0.0, -2048, 1 / 300, -0.3),
    ("elu", 0.7, -2048, 0.003, 0.0), ("exp", 0.0, -4095, 0.0029296875, 0.0), ("pow", 0.75, 1, 0.01, 0.0),
    ("pow", 2.0, 1, 0.0009765625, 0.0), ("pow", -0.5, 1, 0.0078125, 0.0), ("inverse", 0.0, 1, 0.0078125, 0.0),
    ("inverse", 0.0, -4096, 1 / 3, 0.0),
]


def decimal(v):
    f = Fraction(v)
    return Decimal(f.numerator) / Decimal(f.denominator)


def pair(v):
    high = float(Fraction(v))
    return "{%s, %s}" % (high.hex(), float(Fraction(v) - Fraction(high)).hex())


def code(v):
    """v 2^16 to the nearest integer; what 80 digits cannot tell from a tie is one."""
    f = Fraction(v) * 65536
    twice = round(f * 2)
    return round(Fraction(twice, 2) if abs(f * 2 - twice) < Fraction(1, 2**200) else f)


def fnv(codes):
    h = 0xCBF29CE484222325
    for byte in b"".join(c.to_bytes(8, "little", signed=True) for c in codes):
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


for name, x, a in VALUES:
    print("    {bli_pair_%s, %s, %s, %s}," % (name, x, a, pair(FUNCTIONS[name](Decimal(x), Decimal(a)))))
for name, a, first, scale, offset in TABLES:
    codes = [code(FUNCTIONS[name](decimal(Fraction(c) * Fraction(scale) + Fraction(offset)), decimal(a)))
             for c in range(first, first + 4096)]
    print("    {bli_pair_%s, %s, %d, %s, %s, 0x%016xu}," % (name, a, first, scale.hex(), offset.hex(), fnv(codes)))
for name in ["tanh", "sigmoid", "softplus", "elu"]:
    floats = [struct.unpack("f", struct.pack("f", FUNCTIONS[name](Decimal(c) / 128, Decimal(1))))[0]
              for c in range(-2048, 2048)]
    print('        {"%s", 0x%016xu},' % (name.capitalize(), fnv([max(-32768, min(32767, math.floor(v * 16384 + 0.5))) for v in floats])))
