"""README's command lines for Inception v3, as they stand there, on a graph of full size with seeded weights.

The file becomes at most 26 % of what it was, its inputs and outputs stay, and label_image, by its old name and flags, names
the same first label for the float graph and the eight-bit one on every shared picture.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "support"))
from tf_inception import inception  # noqa: E402

BINARY = pathlib.Path(os.environ.get("BITLATHE", HERE.parent / "build/release/bitlathe")).resolve()
SOURCE = pathlib.Path(os.environ.get("BITLATHE_SOURCE", HERE.parent)).resolve()
PICTURES = ["grace_hopper.jpg", "parrot.jpg", "cat.bmp"]
COUNTS = "Found 23885411 (23.89M) const parameters, 0 (0) variable parameters, and 99 control_edges"


def commands():
    """README's block of shell that begins with transform_graph: that command, and label_image's."""
    block = re.search(r"```sh\n(transform_graph .*?)(label_image .*?)```", (SOURCE / "README.md").read_text(), re.S)
    return block.group(1), block.group(2)


def shell(folder, command):
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.run(["sh", "-c", command], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600)


def first_label(folder, command, graph, picture):
    """label_image's first line, without the score."""
    r = shell(folder, command.replace("eightbit.pb", graph).replace("picture.jpg", picture))
    print(f"{picture}, {graph}: {r.stderr.splitlines()[0] if r.stderr else ''}")
    return r.stderr.split("\n")[0].rsplit(":", 1)[0] if r.returncode == 0 else f"exit status {r.returncode}: {r.stderr}"


def prepare(folder):
    (folder / "tensorflow_inception_graph.pb").write_bytes(inception().SerializeToString())
    (folder / "labels.txt").write_text("".join(f"class {i}\n" for i in range(1008)))
    for name in ("transform_graph", "label_image", "summarize_graph"):
        (folder / name).symlink_to(BINARY)
    for name in PICTURES:
        (folder / name).symlink_to((SOURCE / "../shared/data/images" / name).resolve())


def faults(folder):
    transform, label = commands()
    prepare(folder)
    summary = shell(folder, "summarize_graph --in_graph=tensorflow_inception_graph.pb").stdout
    if COUNTS not in summary:
        yield f"the graph is not as large as the published one, '{COUNTS}': {summary}"
    r = shell(folder, transform)
    if r.returncode:
        yield f"{transform}: exit status {r.returncode}, {r.stderr[-400:]}"
        return
    before, after = ((folder / f).stat().st_size for f in ("tensorflow_inception_graph.pb", "eightbit.pb"))
    print(f"{before} bytes become {after}, {100 * after / before:.2f} %")
    if after > 0.26 * before:
        yield f"{before} bytes become {after}, {100 * after / before:.2f} %, more than 26 %"
    summary = shell(folder, "summarize_graph --in_graph=eightbit.pb").stdout
    for words in ("(name=Mul, type=float(1), shape=[1,299,299,3])", "(name=softmax, op=Softmax)", "94 QuantizedConv2D"):
        if words not in summary:
            yield f"no '{words}' in {summary}"
    for picture in PICTURES:
        floats, ours = (first_label(folder, label, g, picture) for g in ("tensorflow_inception_graph.pb", "eightbit.pb"))
        if ours != floats or "class" not in ours:
            yield f"{picture}: '{ours}' in eight bits, '{floats}' in floats"


def main():
    if not (SOURCE / "../shared/data/images").exists():
        print("SKIPPED: ../shared/data/images is not there")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        found = list(faults(pathlib.Path(folder)))
    for f in found:
        print(f)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
