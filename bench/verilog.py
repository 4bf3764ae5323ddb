#!/usr/bin/env python3
"""An emitted Verilog project under Verilator: seconds to build, samples a second; with --yosys also the time and memory
of its synthesis.

    bench/verilog.py DIR [--samples N] [--wide] [--opt=-O1] [--yosys FAMILY]

DIR is a project of `emit --target verilog` that is unrolled (NAME_core with ce).  The jet-shaped network of
docs/verilog.md is made by `build/release/tests/tool_small_verilog DIR jet 5 da xcup 1000`.  --wide defines
BITLATHE_WIDE: wires are the simulator's own integers instead of being cut to their widths.  The model is first run on
the project's own vectors (every result is compared), then on N random samples, one a clock, of whose results a hash is
printed.  Seconds are processor seconds: of the build all processes', of the run those of one thread.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

BENCH = r"""
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include "V@NAME@_core.h"
#include "verilated.h"

enum { X = @X@, Y = @Y@, LATENCY = @LATENCY@, XW = (X + 31) / 32, YW = (Y + 31) / 32 };
template <class T> static void put(T &port, const uint32_t *w) {
    port = (T)((uint64_t)w[0] | (sizeof(T) > 4 ? (uint64_t)w[XW > 1 ? 1 : 0] << 32 : 0));
}
template <std::size_t N> static void put(VlWide<N> &port, const uint32_t *w) { memcpy(&port[0], w, 4 * N); }
template <class T> static void get(const T &port, uint32_t *w) {
    w[0] = (uint32_t)port;
    if (YW > 1)
        w[YW - 1] = (uint32_t)((uint64_t)port >> 32);
}
template <std::size_t N> static void get(const VlWide<N> &port, uint32_t *w) { memcpy(w, &port[0], 4 * N); }

static V@NAME@_core top;
static void clock_once(const uint32_t *x) {
    put(top.x, x);
    top.clk = 1;
    top.eval();
    top.clk = 0;
    top.eval();
}
static bool read(FILE *f, int words, uint32_t *w) {
    static char line[1 << 16];
    if (!fgets(line, sizeof line, f))
        return false;
    memset(w, 0, 4 * words);
    int n = (int)strcspn(line, "\n");
    for (int i = 0; i < n; i++) {
        char c = line[n - 1 - i];
        w[i / 8] |= (uint32_t)(c >= 'a' ? c - 'a' + 10 : c - '0') << 4 * (i % 8);
    }
    return true;
}
static int compare(const char *folder) {
    static uint32_t x[100000][XW], y[100000][YW], found[YW];
    char path[4096];
    snprintf(path, sizeof path, "%s/tb/x.hex", folder);
    FILE *fx = fopen(path, "r");
    snprintf(path, sizeof path, "%s/tb/y.hex", folder);
    FILE *fy = fopen(path, "r");
    int n = 0;
    while (n < 100000 && read(fx, XW, x[n]) && read(fy, YW, y[n]))
        n++;
    for (int i = 0; i < n + LATENCY; i++) {
        clock_once(x[i < n ? i : 0]);
        get(top.y, found);
        if (i + 1 > LATENCY - 1 && i + 1 - LATENCY >= 0 && i + 1 - LATENCY < n &&
            memcmp(found, y[i + 1 - LATENCY], sizeof found) != 0)
            return printf("sample %d differs\n", i + 1 - LATENCY), -1;
    }
    return n;
}
int main(int, char **argv) {
    static uint32_t x[XW], y[YW];
    long n = atol(argv[2]);
    uint64_t state = 1, hash = 14695981039346656037u;
    uint32_t last = X % 32 ? ((uint32_t)1 << X % 32) - 1 : UINT32_MAX;
    top.ce = 1;
    top.eval(); // what clk is before its first edge
    int compared = compare(argv[1]);
    if (compared < 0)
        return 1;
    clock_t start = clock();
    for (long i = 0; i < n; i++) {
        for (int k = 0; k < XW; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            x[k] = (uint32_t)(state >> 32) & (k == XW - 1 ? last : UINT32_MAX);
        }
        clock_once(x);
        get(top.y, y);
        for (int k = 0; k < YW; k++)
            hash = (hash ^ y[k]) * 1099511628211u;
    }
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("%d vectors equal; %ld samples, %.2f s, %.0f a second, hash %016" PRIx64 "\n", compared, n, seconds, n / seconds,
           hash);
}
"""


def children():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


# verilator's own makefile compiles each small file alone (a second each) and never changes with -CFLAGS -O1: it puts
# its -Os behind.  What runs once, and Verilator's library, is not optimised.
UNITS = """set -e
cd {folder}/obj
for f in *.cpp; do
    case $f in *Slow.cpp) echo "#include \\"$f\\"" >> ../slow.cc;; *) echo "#include \\"$f\\"" >> ../fast.cc;; esac
done
echo '#include "../bench.cpp"' >> ../fast.cc
printf '#include "verilated.cpp"\\n#include "verilated_threads.cpp"\\n' >> ../slow.cc
flags="-std=gnu++17 -I. -I{root}/include -I{root}/include/vltstd -DVM_COVERAGE=0 -DVM_SC=0 -DVM_TRACE=0
    -DVM_TRACE_FST=0 -DVM_TRACE_VCD=0 -fcf-protection=none -w"
g++ $flags {optimise} -c ../fast.cc -o fast.o
g++ $flags -O0 -c ../slow.cc -o slow.o
g++ fast.o slow.o -pthread -o bench
"""


def build(project, manifest, options, folder):
    name = manifest["name"]
    text = BENCH.replace("@NAME@", name).replace("@X@", str(manifest["x_bits"]))
    text = text.replace("@Y@", str(manifest["y_bits"])).replace("@LATENCY@", str(manifest["latency"]))
    (folder / "bench.cpp").write_text(text)
    sources = [str(project / "rtl" / f"{name}_{part}.v") for part in ("core", "cells")]
    command = ["verilator", "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal",
               "-Wno-UNOPTFLAT", "--Mdir", str(folder / "obj"), "--top-module", f"{name}_core", *sources]
    command += ["-DBITLATHE_WIDE"] if options.wide else []
    root = subprocess.run(["verilator", "--getenv", "VERILATOR_ROOT"], check=True, capture_output=True, text=True)
    before, start = children(), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["sh", "-c", UNITS.format(folder=folder, root=root.stdout.strip(), optimise=options.opt)], check=True)
    print(f"{'wide' if options.wide else 'exact'} wires, {options.opt}: built in {children() - before:.1f} processor seconds "
          f"({time.monotonic() - start:.1f} s)", flush=True)
    return folder / "obj" / "bench"


def synthesise(project, family):
    program = os.environ.get("BITLATHE", "build/release/bitlathe")
    before = children()
    said = subprocess.run([program, "synth", str(project), "--family", family, "--json", "--quiet"], check=True,
                          capture_output=True, text=True).stdout
    report = json.loads(said)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{report['tool']}, {family}: {report['total']}, depth {report['depth']}")
    print(f"{children() - before:.1f} processor seconds; the largest of all processes took {peak:.0f} MiB")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("project", type=pathlib.Path)
    p.add_argument("--samples", type=int, default=1000000)
    p.add_argument("--wide", action="store_true")
    p.add_argument("--opt", default="-O1")
    p.add_argument("--yosys", metavar="FAMILY")
    a = p.parse_args()
    manifest = json.loads((a.project / "bitlathe.json").read_text())
    if "latency" not in manifest:
        sys.exit(f"{a.project}: not unrolled: its latency is not one number")
    if a.yosys:
        synthesise(a.project, a.yosys)
    with tempfile.TemporaryDirectory() as folder:
        program = build(a.project.absolute(), manifest, a, pathlib.Path(folder))
        subprocess.run([str(program), str(a.project), str(a.samples)], check=True)


if __name__ == "__main__":
    main()
