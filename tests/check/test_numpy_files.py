"""NumPy reads what bitlathe writes, and bitlathe reads what NumPy writes, bit for bit, through a small C program."""
import os
import pathlib
import subprocess
import tempfile
import zipfile

import numpy as np

BINARY = pathlib.Path(os.environ["BITLATHE_BINARY"])
TOOL = BINARY / "tests" / "tool_npz_copy"
TYPES = ["<f4", "<f8", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "|b1"]
SHAPES = [(), (5,), (0,), (3, 4), (2, 3, 4), (1, 0, 2), (2, 1, 2, 1, 2, 1, 2, 3)]


def arrays():
    random = np.random.default_rng(1)
    for descr in TYPES:
        for shape in SHAPES:
            raw = random.integers(0, 256, size=(*shape, np.dtype(descr).itemsize), dtype=np.uint8)
            a = raw.view(descr)[..., 0] if descr != "|b1" else (raw[..., 0] & 1).astype(bool)
            name = f"{descr[1:]}_{'x'.join(map(str, shape))}"
            yield name + "_c", np.ascontiguousarray(a).reshape(shape)
            yield name + "_f", np.asfortranarray(a)
            yield name + "_big", a.astype(a.dtype.newbyteorder(">"))


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def main():
    want = dict(arrays())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for save, label in ((np.savez, "stored"), (np.savez_compressed, "deflated")):
            source, copy = folder / f"{label}.npz", folder / f"{label}.copy.npz"
            save(source, **want)
            subprocess.run([TOOL, source, copy], check=True)
            got = np.load(copy, allow_pickle=False)
            assert got.files == list(want), f"{label}: names or their order differ"
            for name, a in want.items():
                assert same(got[name], a.astype(a.dtype.newbyteorder("<"))), f"{label}: {name} differs"
        assert zipfile.ZipFile(folder / "stored.copy.npz").testzip() is None
        assert (folder / "stored.copy.npz").read_bytes() == (folder / "deflated.copy.npz").read_bytes()
        bad = folder / "objects.npz"
        np.savez(bad, a=np.array([{}], dtype=object))
        refused = subprocess.run([TOOL, bad, folder / "x.npz"], capture_output=True, text=True)
        assert refused.returncode == 1 and "'|O'" in refused.stdout, refused.stdout
    print(f"{len(want)} arrays, stored and deflated: equal")


main()
