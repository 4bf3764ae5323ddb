"""The cell of three-input adders, LUT6_2 and CARRY4 by hand, adds up: random widths, shifts and signs under Icarus with
Yosys' models of the primitives, all values of narrow operands, and of the same cells without primitives.
"""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

BINARY = pathlib.Path(os.environ.get("BITLATHE_BINARY", pathlib.Path(__file__).resolve().parents[2] / "build/release"))
CELLS = 80
HEAD = """module test;
reg [8:0] x;
integer i, wrong;
initial begin
    wrong = 0;
    for (i = 0; i < 512; i = i + 1) begin
        x = i; #1000;
"""


def draw(r):
    """One cell: its parameters, and what it is in whole numbers."""
    width, signed, shift = [r.randint(1, 3) for _ in range(3)], [r.randint(0, 1) for _ in range(3)], [r.randint(0, 4) for _ in range(3)]
    shift[r.randrange(3)] = 0
    constant = r.choice([None, None, r.randint(1, 6)])
    minus = [0, r.randint(0, 1), r.randint(0, 1) if constant is None else 0]
    if constant is not None:
        width[2], signed[2] = constant.bit_length(), 0
    lo = hi = 0
    for k in range(3):
        ends = [-(signed[k] << width[k] - 1) << shift[k], ((1 << width[k] - signed[k]) - 1) << shift[k]]
        if k == 2 and constant is not None:
            ends = [constant << shift[k]] * 2
        lo, hi = (lo - ends[1], hi - ends[0]) if minus[k] else (lo + ends[0], hi + ends[1])
    bits = 1
    while not (0 <= lo and hi < 1 << bits) and not (-(1 << bits - 1) <= lo and hi < 1 << bits - 1):
        bits += 1
    lowest = shift.index(min(shift))
    passing = 0 if minus[lowest] else min(bits, *(s for k, s in enumerate(shift) if k != lowest))
    return dict(width=width, signed=signed, shift=shift, constant=constant, minus=minus, bits=bits, passing=passing)


def instance(k, c):
    """Operand o is three bits of x from 3 o on, of which it takes the lowest."""
    ports = [f"x[{3 * o + c['width'][o] - 1}:{3 * o}]" for o in range(3)]
    if c["constant"] is not None:
        ports[2] = f"{c['width'][2]}'d{c['constant']}"
    names = "ABC"
    parameters = [f".{p}{names[o]}({c[what][o]})" for o in range(3) for p, what in (("W", "width"), ("S", "signed"), ("L", "shift"))]
    parameters += [f".W({c['bits']}), .PASS({c['passing']}), .MB({c['minus'][1]}), .MC({c['minus'][2]}), .KC({int(c['constant'] is not None)})"]
    sum_of = " ".join(f"{'-' if c['minus'][o] else '+'} (v{k}_{o} <<< {c['shift'][o]})" for o in range(3))
    lines = [f"wire signed [31:0] v{k}_{o} = {'$signed' if c['signed'][o] else ''}({port});" for o, port in enumerate(ports)]
    lines += [f"wire [{c['bits'] - 1}:0] y{k}; wire signed [31:0] e{k} = 0 {sum_of};",
              f"net_add3 #({', '.join(parameters)}) c{k} (.a({ports[0]}), .b({ports[1]}), .c({ports[2]}), .y(y{k}));"]
    check = (f"if (y{k} !== e{k}[{c['bits'] - 1}:0]) begin wrong = wrong + 1; "
             f'$display("cell {k}: x %b: %b, expected %b", x, y{k}, e{k}[{c["bits"] - 1}:0]); end')
    return lines, check


def run(folder, sources, defines):
    out = folder / "test.vvp"
    subprocess.run(["iverilog", "-g2001", *defines, "-s", "test", "-o", out, *sources], check=True, timeout=600)
    return subprocess.run(["vvp", "-n", out], check=True, capture_output=True, text=True, timeout=900).stdout


def main():
    for tool in ("iverilog", "yosys"):
        if shutil.which(tool) is None:
            print(f"SKIPPED: {tool} is not installed")
            sys.exit(77)
    models = pathlib.Path(shutil.which("yosys")).resolve().parents[1] / "share/yosys/xilinx/cells_sim.v"
    cells = [draw(random.Random(k)) for k in range(CELLS)]
    assert any(c["constant"] is not None for c in cells) and any(sum(c["minus"]) == 2 for c in cells)
    made = [instance(k, c) for k, c in enumerate(cells)]
    text = HEAD + "\n".join(check for _, check in made) + '\n    end\n    $display("%0d wrong", wrong);\nend\n'
    text += "\n".join(line for lines, _ in made for line in lines) + "\nendmodule\n"
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d)
        subprocess.run([BINARY / "tests/tool_small_verilog", folder / "net", "16-8-5", "8", "da3", "xcup", "2"], check=True, timeout=600)
        (folder / "test.v").write_text(text)
        sources = [folder / "test.v", folder / "net/rtl/net_cells.v"]
        for way in (["-DBITLATHE_LUT6_2"], []):
            said = run(folder, sources + [models] * ("-DBITLATHE_LUT6_2" in way), way)
            assert said.endswith("\n0 wrong\n") or said == "0 wrong\n", f"{way}: {said[:2000]}"
        broken = (folder / "net/rtl/net_cells.v").read_text().replace("p[i] & b_i |", "")
        (folder / "net/rtl/net_cells.v").write_text(broken)
        said = run(folder, sources + [models], ["-DBITLATHE_LUT6_2"])
        assert "expected" in said, "a fault in the cell's plain bits is not found"
    print("ok")


if __name__ == "__main__":
    main()
