#!/usr/bin/env python3
"""Where a training step's time goes: products against all else, from samples of bench_train (needs perf).

    python3 bench/shares.py [--build build/release] [--top N] [mlp cnn jet binary ...]

Products are the register tiles of dense layers and convolutions with what they need (packing, borders); all else is
everything that is not a product and belongs to training: input, quantizers, activations, pooling, normalisation, loss,
optimizer, calls.  Opening and unpacking the data before the first epoch is left out.  Shares hold on a busy machine,
where seconds do not.
"""
import argparse
import os
import re
import subprocess
import tempfile

PRODUCTS = re.compile(r"^(product_|outer_|scatter_|pack_|transpose_f|depthwise|bli_panels|bli_convolve|bli_sweep|add_taps|"
                      r"add_scattered|run_(product|outer|clipped|groups|depthwise))")
STARTUP = re.compile(r"libz|^(crc32|adler32|inflate|read_file|check_class|jet_data|main$|compare_rows|msort|double_from|bli_block_doubles)")
NETS = {"mlp": (128, 40), "mlp-1024": (1024, 40), "cnn": (128, 5), "jet": (1024, 8), "binary": (128, 4)}


def sample(build, net):
    batch, epochs = NETS[net]
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf.data")
        bench = os.path.join(build, "bench", "bench_train")
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock:u", "-F", "4999", "-o", data, "--", bench,
                        net.split("-")[0], "6", "1", str(batch), str(epochs)], check=True, stdout=subprocess.DEVNULL)
        text = subprocess.run(["perf", "report", "-i", data, "--stdio", "-F", "overhead,sample,dso,symbol", "-t", "|"], check=True, capture_output=True, text=True).stdout
    rows = []
    for line in text.splitlines():
        part = [p.strip() for p in line.split("|")]
        if len(part) == 4 and part[1].isdigit():
            rows.append((int(part[1]), part[2], re.sub(r"^\[.\]\s*", "", part[3])))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nets", nargs="*", default=list(NETS), metavar="NET", help=", ".join(NETS))
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--top", type=int, default=0, help="name the N largest of all else")
    args = parser.parse_args()
    print(f"{'network':<10} {'products %':>10} {'all else %':>10} {'all else adds %':>16}")
    for net in args.nets:
        rows = [r for r in sample(args.build, net) if not STARTUP.search(r[1]) and not STARTUP.search(r[2])]
        total = sum(r[0] for r in rows)
        products = sum(r[0] for r in rows if PRODUCTS.search(r[2]))
        rest = total - products
        print(f"{net:<10} {100 * products / total:>10.1f} {100 * rest / total:>10.1f} {100 * rest / products:>16.1f}")
        others = sorted((r for r in rows if not PRODUCTS.search(r[2])), reverse=True)
        for period, _, name in others[:args.top]:
            print(f"    {100 * period / products:5.2f}  {name}")


if __name__ == "__main__":
    main()
