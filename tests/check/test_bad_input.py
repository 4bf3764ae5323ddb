"""Bad input as a user meets it: through the command line, each with its exit status and a message that names the file and
what is wrong with it.  Nothing is left behind by a command that failed.
"""
import gzip
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"SKIPPED: {e}")
    sys.exit(77)

F = TensorProto.FLOAT
ROWS, SIDE = 64, 4
RECIPE = """name: small
data: {source: good.npz, normalize: {scale: 0.00390625}}
network:
  - Input: {shape: [4, 4, 1]}
  - Flatten
  - Dense: {units: 8, activation: relu, name: fc1}
  - Dense: {units: 3, name: logits}
precision:
  default: {weight: "fixed<6,1,RND,SAT_SYM>", activation: "ufixed<6,2,RND,SAT>"}
train: {epochs: 2, batch: 16, slices: 2, seed: 1}
output: {model: out.onnx, checkpoint: out.ckpt.npz}
"""


def idx(a, magic=None):
    kind = {np.dtype(np.uint8): 8}[a.dtype]
    return struct.pack(">I", magic if magic is not None else kind << 8 | a.ndim) + struct.pack(f">{a.ndim}I", *a.shape) + a.tobytes()


class Place:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.binary = shutil.copy(os.environ["BITLATHE"], folder / "bitlathe")
        folder.chmod(0o755)
        self.failures = 0

    def call(self, *args, env=None, prefix=(), limit=None):
        def prepare():
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return subprocess.run([*prefix, self.binary, *map(str, args)], cwd=self.folder, capture_output=True, text=True,
                              env={**os.environ, **(env or {})}, preexec_fn=prepare, timeout=120)

    def bad(self, what, words, *args, status=1, **how):
        """The command fails with these words, and no file appears."""
        before = sorted(p.name for p in self.folder.rglob("*"))
        done = self.call(*args, "--quiet", **how)
        message = (done.stderr + done.stdout).strip()
        after = sorted(p.name for p in self.folder.rglob("*"))
        wrong = [f"exit status {done.returncode}, expected {status}"] if done.returncode != status else []
        wrong += [f"expected '{w}'" for w in ([words] if isinstance(words, str) else words) if w not in message]
        wrong += ["too many words"] if message.count("\n") > 3 else []
        wrong += [f"left {set(after) ^ set(before)}"] if after != before else []
        if wrong:
            self.failures += 1
            print(f"FAILED {what}: {'; '.join(wrong)}: '{message[-600:]}'")
        self.count += 1
        if os.environ.get("SHOW"):
            print(f"{what}: {message}")

    def put(self, name, data):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return name


def images(seed=1):
    r = np.random.default_rng(seed)
    return r.integers(0, 256, size=(ROWS, SIDE, SIDE, 1), dtype=np.uint8), r.integers(0, 3, size=ROWS).astype(np.uint8)


def npz(p, name, **arrays):
    np.savez(p.folder / name, **arrays)
    return name


def trainer(p):
    return lambda what, words, source, *more: p.bad(what, words, "train", "r.yaml", "--set", f"data.source={source}", *more)


def data_places(p):
    train = trainer(p)
    train("no such file", "data nowhere.npz: no such file or folder, and not a known data set (fashion-mnist)", "nowhere.npz")
    train("no such folder", "a/b.csv: cannot open: No such file or directory", "a/b.csv")
    p.bad("no data package", ["data set fashion-mnist is not in", "install the package dataset-fashion-mnist",
                              "BITLATHE_DATA"], "train", "r.yaml", "--set", "data.source=fashion-mnist",
          env={"BITLATHE_DATA": str(p.folder / "nothing")})
    p.bad("no data package, in eval", "install the package dataset-fashion-mnist", "eval", "good.onnx", "--data",
          "fashion-mnist", env={"BITLATHE_DATA": str(p.folder / "nothing")})
    train("empty file", "empty: this file is empty", p.put("empty", b""))
    train("wrong magic", "noise: this file is no data set; expected", p.put("noise", b"\x7fELF" + bytes(200)))
    (p.folder / "bare").mkdir()
    train("empty folder", "bare: this folder holds no data set; expected", "bare")


def idx_files(p):
    x, y = images()
    train = trainer(p)
    parts = {"train-images-idx3-ubyte": idx(x[..., 0]), "train-labels-idx1-ubyte": idx(y),
             "t10k-images-idx3-ubyte": idx(x[..., 0]), "t10k-labels-idx1-ubyte": idx(y)}

    def folder(name, part, content, packed=False):
        for k, v in {**parts, part: content}.items():
            if content is None and k == part:
                continue
            p.put(f"{name}/{k}" + (".gz" if packed and v is not content else ""), gzip.compress(v) if packed and v is not content else v)
        return name

    first, labels = list(parts)[:2]
    train("IDX cut short", [f"cut/{first}", "truncated"], folder("cut", first, parts[first][:-5]))
    train("IDX of another magic", [f"magic/{first}", "magic"], folder("magic", first, idx(x[..., 0], 0x12345678)))
    train("IDX of 2 GiB on paper", f"claims/{first}", folder("claims", first, struct.pack(">4I", 0x803, 1 << 31, 4, 4) + bytes(99)))
    train("labels missing", labels, folder("alone", labels, None))
    train("fewer labels than images", [f"fewer/{labels}", "has 60 labels"], folder("fewer", labels, idx(y[:60])))
    whole = gzip.compress(parts[first])
    train("gzip cut short", [f"short.gz/{first}.gz", "truncated"], folder("short.gz", first, None) and (p.put(f"short.gz/{first}.gz", whole[:-30]) and "short.gz"))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x55
    folder("damaged.gz", first, None)
    p.put(f"damaged.gz/{first}.gz", bytes(damaged))
    train("gzip damaged", [f"damaged.gz/{first}.gz", "corrupt"], "damaged.gz")


def tables(p):
    x, y = images()
    train = trainer(p)
    good = (p.folder / "good.npz").read_bytes()
    train("npz cut short", "cut.npz", p.put("cut.npz", good[:-100]))
    bent = bytearray(good)
    bent[200] ^= 1
    train("npz damaged", "bent.npz", p.put("bent.npz", bytes(bent)))
    train("negative label", ["minus.npz", "row 7: label -1 is out of range"],
          npz(p, "minus.npz", x_train=x, y_train=np.where(np.arange(ROWS) == 7, -1, y.astype(np.int32))))
    train("label that is no number", ["half.npz", "row 3: label 1.5 is not a class"],
          npz(p, "half.npz", x_train=x, y_train=np.where(np.arange(ROWS) == 3, 1.5, y)))
    train("more classes than outputs", ["the network's output has shape [N, 3], the data 7 classes"],
          npz(p, "seven.npz", x_train=x, y_train=np.where(np.arange(ROWS) == 3, 6, y)))
    p.bad("more classes than outputs, in eval", "good.onnx: the model gives 3 numbers a row, the data has 7 classes", "eval", "good.onnx", "--data", "seven.npz", "--split", "train")
    nan = x.astype(np.float32)
    nan[9, 1, 2, 0] = np.nan
    train("NaN in data", ["nan.npz", "row 9", "nan"], npz(p, "nan.npz", x_train=nan, y_train=y))
    nan[9, 1, 2, 0] = np.inf
    train("infinity in data", ["inf.npz", "row 9", "inf"], npz(p, "inf.npz", x_train=nan, y_train=y))
    train("no rows", "no rows", npz(p, "none.npz", x_train=x[:0], y_train=y[:0]))
    train("rows of another shape", "wide.npz: shape 4x4x1 has 16 elements, but a row has 25", npz(p, "wide.npz", x_train=np.zeros((8, 5, 5, 1), np.uint8), y_train=y[:8]))
    csv = "a,b,y\n1,2,0\n3,{},1\n"
    flat = ["--set", "network=[Flatten, {Dense: 2}]", "--set", "data.target=y"]
    train("NaN in CSV", "nan.csv:3:3: column 1 'b': 'nan' is not a finite number", p.put("nan.csv", csv.format("nan")), *flat)
    train("a word in CSV", "word.csv:3:3: column 1 'b': 'many' is not a number", p.put("word.csv", csv.format("many")), *flat)
    train("a cell too few", "few.csv:3:3: the row has 2 cells; expected 3", p.put("few.csv", csv.replace(",{}", "")), *flat)
    train("no such column", ["good.csv", "'z'"], p.put("good.csv", csv.format(4)), "--set", "network=[Flatten, {Dense: 2}]", "--set", "data.target=z")


def model_files(p):
    def info(name, shape):
        return helper.make_tensor_value_info(name, F, shape)

    def encode(nodes, shape=(16, 3)):
        w = numpy_helper.from_array(np.ones((16, 3), dtype=np.float32), "w")
        w.dims[:] = shape
        g = helper.make_graph(nodes, "g", [info("x", (1, 16))], [info("y", (1, 3))], [w])
        return helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()

    fc = helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")
    ring = [helper.make_node("Add", ["x", "b"], ["a"], name="first"), helper.make_node("Relu", ["a"], ["b"], name="second"),
            helper.make_node("MatMul", ["b", "w"], ["y"], name="fc")]
    good = (p.folder / "good.onnx").read_bytes()
    np.save(p.folder / "rows.npy", np.zeros((2, 4, 4, 1), dtype=np.float32))
    cases = [("missing", None, "cannot open: No such file or directory"), ("empty", b"", "it is empty"),
             ("of another kind", b"PK\x03\x04 a zip archive", "not a model"), ("cut short", good[:len(good) // 3], "are left"),
             ("with a cycle", encode(ring), "cycle through nodes (each feeds the next)"),
             ("of 2 GiB on paper", encode([fc], (1 << 15, 1 << 14)), "initializer 'w': its shape needs 2147483648 bytes, its data has 192"),
             ("with an unknown operator", encode([helper.make_node("Foo", ["x"], ["y"], name="odd")]), "node 'odd': operator Foo is not known"),
             ("whose shapes do not fit", encode([fc], (12, 4)), "node 'fc'")]
    for what, data, words in cases:
        name = "bad.onnx"
        (p.folder / name).unlink(missing_ok=True)
        if data is not None:
            p.put(name, data)
        for args in (["eval", name, "--data", "good.npz"], ["run", name, "--input", "rows.npy", "--output", "y.npy"], ["inspect", name]):
            p.bad(f"model {what}, {args[0]}", [name, words], *args)
        p.bad(f"model {what}, as a start", [name, words], "train", "r.yaml", "--set", f"model={name}", "--set", "network=")
    damaged = bytearray(good)
    for i in range(40, len(damaged), 97):
        damaged[i] ^= 0xff
    p.bad("model damaged", "bad.onnx", "eval", p.put("bad.onnx", bytes(damaged)), "--data", "good.npz")
    p.bad("model is a folder", "bare", "eval", "bare", "--data", "good.npz")
    score = ["eval", "good.onnx", "--data", "good.npz"]
    p.bad("loss of no list", "--loss 'mce' (expected one of: cross_entropy, mse, hinge, squared_hinge)", *score, "--loss", "mce", status=2)
    p.bad("split of no list", "--split 'tset' (expected train or test)", *score, "--split", "tset", status=2)
    p.bad("trace that cannot be written", "none/t.npz", "run", "good.onnx", "--input", "rows.npy", "--output", "y.npy", "--trace", "none/t.npz")
    run = ["run", "good.onnx", "--output", "y.npy", "--input"]
    p.bad("input missing", "none.npy: cannot open", *run, "none.npy")
    p.bad("input of another kind", "noise", *run, "noise")
    p.bad("input cut short", "cut.npy", *run, p.put("cut.npy", (p.folder / "rows.npy").read_bytes()[:-9]))
    np.save(p.folder / "wide.npy", np.zeros((2, 5, 5, 1), dtype=np.float32))
    p.bad("input of another shape", ["wide.npy: the array has shape [2, 5, 5, 1]", "expected [N, 4, 4, 1]"], *run, "wide.npy")


def recipes(p):
    check = lambda what, words, *sets: p.bad(what, words, "train", "r.yaml", *(a for s in sets for a in ("--set", s)))
    text = lambda what, words, t: p.bad(what, words, "train", p.put("bad.yaml", t))
    p.bad("recipe missing", "none.yaml: cannot open: No such file", "train", "none.yaml")
    text("recipe empty", "bad.yaml", "")
    text("recipe that is no YAML", "bad.yaml:2", "name: x\n\tdata: {\n")
    text("recipe that is a model", "bad.yaml", (p.folder / "good.onnx").read_bytes())
    text("unknown layer", ["bad.yaml:6", "'Dens' (did you mean 'Dense'?)"], RECIPE.replace("Dense", "Dens", 1))
    text("unknown key", ["bad.yaml:10", "unknown key 'epoch' in train (did you mean 'epochs'?)"], RECIPE.replace("epochs", "epoch"))
    text("a key twice", "bad.yaml:12: key 'train' is here twice (first in line 10)", RECIPE + "train: {epochs: 3}\n")
    for bits in ("fixed<65,1>", "fixed<0,1>", "int<99>", "uint<0>", "fixed<8>", "float<e2m30>", "mx<e4m3,0>", "foxed<8,1>"):
        check(f"format {bits}", bits, f'precision.default.weight="{bits}"')
    check("bits of a quantizer", "bits", "precision.default.weight={quantizer: quantized_bits, bits: 99}")
    check("bits of DoReFa", "bits", "precision.default.weight={quantizer: dorefa, bits: 0}")
    check("unknown quantizer", "'lqs'", "precision.default.weight={quantizer: lqs, format: int<4>}")
    check("unknown preset", "unknown preset 'wagge'", "precision={preset: wagge}")
    check("layer of no size", "network.2.Dense.units: '0' is not what is expected: a whole number", "network.2.Dense.units=0")
    check("shape against data", "r.yaml:2: good.npz: shape 5x5x1 has 25 elements, but a row has 16", "network.0.Input.shape=[5, 5, 1]")
    text("a convolution of a flat tensor", ["bad.yaml:6", "Conv2D"], RECIPE.replace("Dense: {units: 8, activation: relu, name: fc1}", "Conv2D: {filters: 2, kernel_size: 3}"))
    text("a kernel larger than the image", ["bad.yaml:5"], RECIPE.replace("- Flatten", "- Conv2D: {filters: 2, kernel_size: 9}\n  - Flatten"))
    text("a reshape that does not fit", ["bad.yaml:5", "Reshape"], RECIPE.replace("- Flatten", "- Reshape: {target_shape: [3, 3]}\n  - Flatten"))
    text("a sum of unequal shapes", ["bad.yaml:8"], RECIPE.replace("precision:", "  - Add: {inputs: [fc1, logits]}\nprecision:"))
    text("a layer that feeds itself", ["bad.yaml:8", "later"], RECIPE.replace("precision:", "  - Add: {inputs: [fc1, later], name: sum}\n  - ReLU: {name: later}\nprecision:"))
    check("batch of 0", "train.batch", "train.batch=0")
    check("more slices than rows", "train.slices: 64 slices of a batch of 16 rows", "train.slices=64")


def checkpoints(p):
    assert p.call("train", "r.yaml", "--quiet").returncode == 0
    whole = (p.folder / "out.ckpt.npz").read_bytes()
    resume = ["train", "r.yaml", "--resume"]
    anew = "without --resume the training begins anew"
    for what, data in (("cut short", whole[:-200]), ("empty", b""), ("of another kind", b"hello" * 99),
                       ("torn in the middle", whole[:900] + bytes(200) + whole[1100:])):
        p.put("out.ckpt.npz", data)
        p.bad(f"checkpoint {what}", ["out.ckpt.npz", anew], *resume)
        assert (p.folder / "out.ckpt.npz").read_bytes() == data, what
    shutil.copy(p.folder / "good.npz", p.folder / "out.ckpt.npz")
    p.bad("checkpoint that is a data set", "out.ckpt.npz", *resume)
    p.put("out.ckpt.npz", whole)
    p.bad("checkpoint of another recipe", "out.ckpt.npz", *resume, "--set", "network.2.Dense.units=9")


def permissions(p):
    nobody = []
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            print("no setpriv: permissions not tried as root")
            return
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    denied = "Permission denied"
    only = ["--no-model", "--set", "output.checkpoint="]
    for name in ("good.npz", "good.onnx", "r.yaml"):
        (p.folder / name).chmod(0)
    try:
        p.bad("recipe not to be read", ["r.yaml: cannot open", denied], "train", "r.yaml", prefix=nobody)
        p.bad("model not to be read", ["good.onnx: cannot open", denied], "inspect", "good.onnx", prefix=nobody)
        (p.folder / "r.yaml").chmod(0o644)
        p.bad("data not to be read", ["good.npz: cannot open", denied], "train", "r.yaml", *only, prefix=nobody)
    finally:
        for name in ("good.npz", "good.onnx", "r.yaml"):
            (p.folder / name).chmod(0o644)
    closed = p.folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    p.bad("model's folder not to be written", ["closed/m.onnx: cannot create", denied], "train", "r.yaml", "--out", "closed/m.onnx", prefix=nobody)
    p.bad("checkpoint's folder not to be written", ["closed/c.npz: cannot create", denied], "train", "r.yaml", "--no-model",
          "--set", "output.checkpoint=closed/c.npz", prefix=nobody)
    p.bad("output's folder not to be written", ["closed/y.npy: cannot create", denied], "run", "good.onnx", "--input",
          "rows.npy", "--output", "closed/y.npy", prefix=nobody)
    hidden = p.folder / "hidden"
    hidden.mkdir()
    shutil.copy(p.folder / "good.npz", hidden / "d.npz")
    hidden.chmod(0)
    try:
        p.bad("data's folder not to be entered", ["hidden/d.npz", denied], "train", "r.yaml", "--set", "data.source=hidden/d.npz", *only, prefix=nobody)
        p.bad("data's folder not to be listed", ["hidden", denied], "train", "r.yaml", "--set", "data.source=hidden", *only, prefix=nobody)
    finally:
        hidden.chmod(0o755)


def no_space(p):
    """A file system of 16 KiB where one may be mounted; else the limit on a file's size, which fails in write as well."""
    small = p.folder / "small"
    small.mkdir()
    wide = ["--set", "network.2.Dense.units=800", "--set", "output.checkpoint="]
    script = 'mount -t tmpfs -o size=16k none small && exec "$0" "$@"'
    mounted = ["unshare", "-m" if os.getuid() == 0 else "-rm", "sh", "-c", script]
    if subprocess.run([*mounted[:4], script, "true"], cwd=p.folder, capture_output=True).returncode == 0:
        p.bad("no space for the model", ["bitlathe train: small/m.onnx: cannot write: No space left on device"], "train", "r.yaml", "--out", "small/m.onnx", *wide, prefix=mounted)
        p.bad("no space for a checkpoint", ["small/c.npz: cannot write: No space left on device"], "train", "r.yaml", "--out",
              "small/m.onnx", *wide, "--set", "output.checkpoint=small/c.npz", prefix=mounted)
    else:
        print("no file system can be mounted here: the limit on a file's size stands in for a full one")
    p.bad("the model reaches a limit", ["m.onnx: cannot write: File too large"], "train", "r.yaml", "--out", "m.onnx", *wide, limit=16384)
    before = (p.folder / "good.onnx").read_bytes()
    p.bad("a model that was there stays", ["good.onnx: cannot write: File too large"], "train", "r.yaml", "--out", "good.onnx", *wide, limit=16384)
    assert (p.folder / "good.onnx").read_bytes() == before
    np.save(p.folder / "many.npy", np.zeros((4000, 4, 4, 1), dtype=np.float32))
    p.bad("outputs reach a limit", ["y.npy: cannot write: File too large"], "run", "good.onnx", "--input", "many.npy", "--output", "y.npy", limit=16384)


def main():
    with tempfile.TemporaryDirectory() as folder:
        p = Place(pathlib.Path(folder))
        x, y = images()
        npz(p, "good.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        p.put("r.yaml", RECIPE)
        done = p.call("train", "r.yaml", "--quiet", "--out", "good.onnx", "--set", "output.checkpoint=")
        assert done.returncode == 0, done.stderr + done.stdout
        for part in (data_places, idx_files, tables, model_files, recipes, checkpoints, permissions, no_space):
            before = p.count
            part(p)
            print(part.__name__, p.count - before)
        sys.exit(1 if p.failures else 0)


main()
