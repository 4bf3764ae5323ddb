"""transform-graph --compat on an Inception v3 of full size: the nodes that TensorFlow 2.21's own tool made of the same graph,
in the same order, every attribute and every byte of weights and codes (tests/golden/tf_inception.json.xz,
tools/make_inception_goldens.py).
"""
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "support"))
BINARY = os.environ.get("BITLATHE", str(HERE.parent / "build/release/bitlathe"))

DEPLOY = ('strip_unused_nodes(type=float, shape="1,299,299,3") remove_nodes(op=Identity, op=CheckNumerics) '
          "fold_constants(ignore_errors=true) fold_batch_norms fold_old_batch_norms")
PIPELINES = {
    "for deployment, rounded": DEPLOY + " round_weights(num_steps=256)",
    "eight bits": "add_default_attributes " + DEPLOY + " quantize_weights quantize_nodes strip_unused_nodes sort_by_execution_order",
}


def main():
    from tf_inception import inception
    from tf_messages import GraphDef, graph_text
    golden = json.loads(lzma.decompress((HERE / "golden/tf_inception.json.xz").read_bytes()))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        source, out = pathlib.Path(folder, "in.pb"), pathlib.Path(folder, "out.pb")
        source.write_bytes(inception().SerializeToString())
        for name, transforms in PIPELINES.items():
            subprocess.run([BINARY, "transform-graph", "--compat", f"--in_graph={source}", f"--out_graph={out}", "--inputs=Mul",
                            "--outputs=softmax", f"--transforms={transforms}"], check=True, capture_output=True, timeout=600)
            ours, theirs = graph_text(GraphDef.FromString(out.read_bytes())), golden[name]
            differ = [(a, b) for a, b in zip(theirs, ours) if a != b]
            print(f"{name}: {len(theirs)} nodes, {len(ours)} here, {len(differ)} differ")
            for a, b in differ[:3]:
                print(f"  TensorFlow {a[:300]}\n  here       {b[:300]}")
            bad += bool(differ) or len(theirs) != len(ours)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
