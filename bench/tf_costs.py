#!/usr/bin/env python3
"""What transform-graph costs: time and memory of usual chains on one graph, and the size of the stripped program.

Usage: tf_costs.py BITLATHE [GRAPH INPUT OUTPUT]
       tf_costs.py build/release/bitlathe                       (the seeded Inception v3 of tests/support/tf_inception.py)
       tf_costs.py build/release/bitlathe inception.pb input Identity

Processor and wall seconds of the whole program, reading and writing included; the most memory that it held, and how many
times the graph's file that is.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CLEAN = ("add_default_attributes remove_control_dependencies strip_unused_nodes STRIP remove_nodes(op=Identity, op=CheckNumerics) "
         "fold_constants(ignore_errors=true) fold_batch_norms fold_old_batch_norms ")
CHAINS = {"for deployment": CLEAN, "round_weights": CLEAN + "round_weights(num_steps=256)",
          "quantize_weights": CLEAN + "quantize_weights", "4 bits a channel": CLEAN + "quantize_weights(bits=4, per_channel=true)",
          "eight bits": CLEAN + "quantize_weights quantize_nodes strip_unused_nodes sort_by_execution_order",
          "eight bits, TensorFlow's README": CLEAN.replace("remove_control_dependencies ", "") +
          "quantize_weights quantize_nodes strip_unused_nodes sort_by_execution_order"}


def run(command):
    """Seconds of the processor and of the wall, and bytes, of one child."""
    start = time.time()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return used.ru_utime + used.ru_stime, time.time() - start, used.ru_maxrss * 1024


def seeded(folder):
    """The Inception v3 of 2015 with seeded weights, and between what it is transformed; made by another process, as a child's
    memory begins with its parent's."""
    path = folder + "/inception.pb"
    subprocess.run([sys.executable, pathlib.Path(__file__).resolve().parents[1] / "tests/support/tf_inception.py", path], check=True)
    return path, "Mul", "softmax", '(type=float, shape="1,299,299,3")'


def main():
    program = sys.argv[1]
    print("| chain | processor s | s | MB | times the file | share of the file |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        graph, name_in, name_out, strip = seeded(folder) if len(sys.argv) < 5 else (*sys.argv[2:5], "")
        size = os.path.getsize(graph)
        for name, transforms in CHAINS.items():
            transforms = transforms.replace(" STRIP", strip)
            cpu, wall, memory = run([program, "transform-graph", "--in_graph", graph, "--out_graph", folder + "/out.pb", "--inputs",
                                     name_in, "--outputs", name_out, "--transforms", transforms])
            share = 100 * os.path.getsize(folder + "/out.pb") / size
            print("| %s | %.2f | %.2f | %.0f | %.2f | %.1f %% |" % (name, cpu, wall, memory / 1e6, memory / size, share), flush=True)
        subprocess.run(["strip", "-o", folder + "/program", program], check=True)
        print("\nthe stripped program: %.2f MB" % (os.path.getsize(folder + "/program") / 1e6))


main()
