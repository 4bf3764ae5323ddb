"""The rows of docs/tensorflow.md's worked example that make weights small and leave calculations in floats.

Eight bits for each channel keep the first label of all 32 stored inputs; four bits that of 25, in at most 14 % of the file.
"""
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_worked_example import DEPLOY, IMAGES, MODEL, transform  # noqa: E402

FOUR = "quantize_weights(bits=4, per_channel=true, minimum_size=256, minimum_rank=2) "
# name, transforms, share of the file, error of the output, inputs whose first label stays
ROWS = [
    ("weights of 8 bits", "quantize_weights(minimum_size=1, minimum_rank=2, per_channel=true) "
     f"correct_biases({IMAGES}) ",
     0.27, 0.022, 32),
    ("weights of 4 bits", FOUR + f"correct_biases({IMAGES}) obfuscate_names ", 0.14, 0.435, 25),
]


def faults(name, transforms, share, error, labels, folder):
    out = folder / "out.pb"
    r = transform(out, DEPLOY + transforms + f"check({IMAGES}, tolerance={error + .0005})")
    found = re.search(r"largest element stayed in (\d+) of 32", r.stderr)
    if r.returncode or not found:
        yield f"{name}: exit status {r.returncode}, {r.stderr[-400:]}"
        return
    part = os.path.getsize(out) / os.path.getsize(MODEL / "frozen_graph.pb")
    print(f"{name}: {100 * part:.1f} % of the file, {found.group(1)} of 32")
    if part > share:
        yield f"{name}: {100 * part:.2f} % of the file, more than {100 * share:.0f} %"
    if int(found.group(1)) < labels:
        yield f"{name}: {found.group(1)} of 32 first labels stay, expected {labels}"


def main():
    if not MODEL.exists():
        print("SKIPPED: ../shared/data/tf_pb is not there")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        found = [f for row in ROWS for f in faults(*row, pathlib.Path(folder))]
    for f in found:
        print(f)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
