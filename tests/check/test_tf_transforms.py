"""transform-graph --compat beside TensorFlow's Graph Transform Tool on a corpus of graphs and transforms.

tests/golden/tf_transforms.json.xz is what the original made of tests/support/tf_cases.py (tools/make_transform_goldens.py).  Nodes
are equal in name, operator, device, inputs and attributes, and stand in the same order; floats that are folded may differ by
2 units in the last place, all else is exact.  Where the original fails this fails; where it crashes or hangs, this ends.
Then: the corpus has every transform with every parameter on every operator that it is about.

Usage by hand: test_tf_transforms.py [WORD]...   only cases that have all words in their key, with the differences in full
"""
import difflib
import json
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "support"))
try:
    import numpy as np
    import tf_cases
    from tf_messages import GraphDef, graph_text
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

BINARY = os.environ.get("BITLATHE", str(HERE.parent / "build/release/bitlathe"))
GOLDEN = HERE / "golden/tf_transforms.json.xz"
TENSOR = re.compile(r"value=tensor 1 (\[[\d,]*\]) ([0-9a-f]+)$")


def call(case, log, out):
    name, transforms, inputs, outputs = case
    source = pathlib.Path(out).with_name("in.pb")
    source.write_bytes(tf_cases.graph(name).SerializeToString())
    pathlib.Path(out).unlink(missing_ok=True)
    return subprocess.run([BINARY, "transform-graph", "--compat", f"--in_graph={source}", f"--out_graph={out}",
                           f"--inputs={','.join(inputs)}", f"--outputs={','.join(outputs)}",
                           f"--transforms={transforms.replace('{log}', log)}"], capture_output=True, text=True, timeout=60)


def ulps(a, b):
    """The greatest distance of two hex texts of floats, in units in the last place."""
    x, y = (np.frombuffer(bytes.fromhex(t), np.int32).astype(np.int64) for t in (a, b))
    order = [np.where(v < 0, -(v & 0x7fffffff), v) for v in (x, y)]
    return int(np.abs(order[0] - order[1]).max()) if len(x) == len(y) and len(x) else 0 if len(x) == len(y) else 1 << 40


# a Print of what has no outputs: the original takes its type from beyond the end of an empty list
OF_NOTHING = re.compile(r"(\| Print \| .* )T=type \d+( \| U=list  \|)")


def same_line(ours, theirs):
    if OF_NOTHING.sub(r"\1\2", ours) == OF_NOTHING.sub(r"\1\2", theirs):
        return True
    a, b = TENSOR.search(ours), TENSOR.search(theirs)
    return bool(a and b and "__cf__" in ours and ours[:a.start()] == theirs[:b.start()] and a[1] == b[1]
                and ulps(a[2], b[2]) <= 2)


def compare(golden, nodes):
    golden = list(dict.fromkeys(golden))  # the original may write a node twice
    if len(golden) == len(nodes) and all(map(same_line, nodes, golden)):
        return None
    moved = sorted(golden) == sorted(nodes)
    diff = [line for line in difflib.unified_diff(golden, nodes, "original", "ours", lineterm="", n=0)
            if not line.startswith("@@")]
    return ("another order\n" if moved else "") + "\n".join(line[:260] for line in diff[2:])


def check(case, golden, log, out):
    r = call(case, log, out)
    if r.returncode not in (0, 1, 2):
        return f"exit status {r.returncode}: {r.stderr}"
    if r.returncode and not r.stderr.strip():
        return "failed without a word"
    if "crash" in golden or "hang" in golden:
        return None
    if "error" in golden:
        return None if r.returncode else f"done, where the original said: {golden['error']}"
    if r.returncode:
        return f"failed: {r.stderr.strip()}"
    g = GraphDef()
    g.ParseFromString(pathlib.Path(out).read_bytes())
    if (g.versions.producer, len(g.library.function)) != (golden["producer"], golden["functions"]):
        return f"producer {g.versions.producer} and {len(g.library.function)} functions, the original {golden}"[:200]
    return compare(golden["nodes"], graph_text(g))


def other_estimate(case):
    """The original's reciprocal roots begin with the processor's estimate, and the goldens were made on Intel's."""
    intel = pathlib.Path("/proc/cpuinfo").exists() and "GenuineIntel" in pathlib.Path("/proc/cpuinfo").read_text()
    return not intel and "fold_constants" in case[1] and any(n.op == "Rsqrt" for n in tf_cases.graph(case[0]).node)


# parameters whose value is an operator
OP_VALUED = {"op", "op_name", "exclude_op", "old_op_name", "ignore_op"}


def has(case, transform, parameter, op):
    """Whether a case runs the transform on that operator, with that parameter; where that names an operator, with it."""
    value = re.escape(op) + r"\b" if parameter in OP_VALUED else ""
    inside = rf"\([^()]*\b{parameter}={value}" if parameter else ""
    return re.search(rf"\b{transform}\b{inside}", case[1]) and op in tf_cases.OPS.get(case[0], ())


def coverage(cases):
    """Every operator x transform x parameter that no case has.  A transform that is about no operators in particular is
    run on all of the corpus."""
    listed = json.loads(subprocess.run([BINARY, "list", "transforms", "--json"], capture_output=True, text=True,
                                       check=True).stdout)["transforms"]
    for t in listed:
        mine = [c for c in cases if re.search(rf"\b{t['name']}\b", c[1])]
        if t["extension"]:  # what the original does not have
            continue
        ops = t["ops"].split("|") if t["ops"] else tf_cases.ALL_OPS
        for p in [None, *(p["name"] for p in t["parameters"] if not p["extension"])]:
            yield from (f"no case has {t['name']}{f'({p}=...)' if p else ''} on {op}" for op in ops
                        if not any(has(c, t["name"], p, op) for c in mine))


def old_name(folder):
    """Called as transform_graph: flags as --name=value only, exit status 0 or 255, the usage with all transforms."""
    program, source, out = folder / "transform_graph", folder / "in.pb", folder / "out.pb"
    program.symlink_to(pathlib.Path(BINARY).resolve())
    source.write_bytes(tf_cases.graph("devices").SerializeToString())
    good = [f"--in_graph={source}", f"--out_graph={out}", "--inputs=input", "--outputs=output", "--transforms=remove_device"]
    for what, flags, status, words in [
            ("a good call", good, 0, ""), ("truth values bare", [*good, "--output_as_text"], 0, ""),
            ("truth values", [*good, "--compat=1", "--output_as_text=false"], 0, ""),
            ("no transforms", good[:-1], 255, "--transforms is missing"), ("no such file", [f"--in_graph={folder}/no", *good[1:]], 255, "no"),
            ("an unknown flag", [*good, "--colour=red"], 255, "--colour=red"), ("a flag without =", [*good, "--inputs", "x"], 255, "usage"),
            ("a bad truth value", [*good, "--output_as_text=maybe"], 255, "quantize_weights"),
            ("an unknown transform", [*good[:-1], "--transforms=remove_devise"], 255, "remove_device")]:
        out.unlink(missing_ok=True)
        r = subprocess.run([program, *flags], capture_output=True, text=True, timeout=60)
        if r.returncode != status or words not in r.stderr or out.exists() != (status == 0):
            yield f"transform_graph, {what}: exit status {r.returncode}, {r.stderr[:200]!r}"
        text = out.exists() and out.read_bytes().startswith(b"node {")
        if text != ("--output_as_text" in flags):
            yield f"transform_graph, {what}: text {text}"


def main():
    words = sys.argv[1:]
    golden = json.loads(lzma.decompress(GOLDEN.read_bytes()))
    cases = list(tf_cases.small())
    faults = [] if words else list(coverage(cases))
    try:
        tf_cases.graph("jet_3layer")
        cases += tf_cases.large()
    except FileNotFoundError:
        print("../shared/data/tf_pb is not there: without the real graphs")
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        if not words:
            faults += old_name(pathlib.Path(folder))
        log = folder + "/log.txt"
        pathlib.Path(log).write_text(tf_cases.LOG)
        for case in cases:
            key = tf_cases.key(case)
            if not all(w in key for w in words):
                continue
            if other_estimate(case):
                print(f"left out on this processor: {key}")
                continue
            fault = check(case, golden[key], log, folder + "/out.pb") if key in golden else "no golden"
            passed += not fault
            if fault:
                faults.append(f"{key}\n{fault if words else fault[:300]}")
    print("\n".join(faults))
    print(f"{passed} cases agree, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
