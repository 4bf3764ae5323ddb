"""How far two float32 runners may differ on one ONNX model, proven for each row.

Every value is followed as v, computed in double precision, and e: any runner's value lies in [v - e, v + e].  A sum of n
products, in any order and with or without fused operations, is within gamma(n) sum |w| |x| of the real one (Higham, Accuracy
and Stability of Numerical Algorithms, section 3.1: gamma(n) = n u / (1 - n u), u = 2^-24); a few more roundings are granted
to runners that sum codes and apply scale and bias afterwards.  A quantizer is the same function of a float32 everywhere (that
is compared exactly in test_model_executors.py) and does not fall, so its result lies between its values at the ends of its
input: within nothing, or as many steps apart as the input may reach over.
"""
import numpy as np
from qonnx.custom_op.general.quant import quant
from onnx import numpy_helper

U = 2.0 ** -24
MORE = 8  # roundings of a runner that applies scales and bias behind the sum: scales' product, product, sum, codes
TINY = 2.0 ** -120  # underflow

ELEMENTWISE = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Floor": np.floor, "Round": np.round,
    "Relu": lambda x: np.maximum(x, np.float32(0)), "Abs": np.abs, "Sign": np.sign, "Min": np.minimum, "Max": np.maximum,
    "Clip": np.clip,
}


def attributes(node):
    return {a.name: a.i or list(a.ints) or a.s.decode() or a.f for a in node.attribute}


def gamma(n):
    return n * U / (1 - n * U)


def convolve(x, w, stride):
    """NCHW without padding, as float64."""
    rows, cols = w.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, (rows, cols), axis=(2, 3))[:, :, ::stride[0], ::stride[1]]
    return np.einsum("ncijkl,ockl->noij", windows, w, optimize=True)


class Bound:
    def __init__(self, model):
        self.graph = model.graph
        self.makers = {o: n for n in self.graph.node for o in n.output}
        self.constants = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}
        self.chains, self.inside = {}, set()
        for p in model.metadata_props:
            if p.key.startswith("bitlathe.quantize."):
                self.add_chain(p.value)

    def add_chain(self, text):
        """The nodes between a quantizer's input and output, which its description in the metadata names."""
        lines = [line.split('"') for line in text.splitlines()]
        x = next(line[1] for line in lines if line[0] == "input ")
        y = next(line[1] for line in lines if line[0] == "output ")
        nodes, todo = [], [y] if y in self.makers else []
        while todo:
            node = self.makers.get(todo.pop())
            if node is not None and node not in nodes:
                nodes.append(node)
                todo += [i for i in node.input if i != x]
        order = [n for n in self.graph.node if n in nodes]
        self.chains[y] = (x, order)
        self.inside |= {o for n in order for o in n.output} - {y}

    def float32(self, node, values):
        inputs = [values[i] if i in values else self.constants[i] for i in node.input if i]
        a = attributes(node)
        if node.op_type == "Quant":
            y = quant(*inputs, a["signed"], a["narrow"], a["rounding_mode"]).astype(np.float32)
        elif node.op_type == "BipolarQuant":
            y = np.where(inputs[0] >= 0, np.float32(1), np.float32(-1)) * inputs[1]
        else:
            y = ELEMENTWISE[node.op_type](*inputs)
        assert np.asarray(y).dtype == np.float32, node.op_type
        return y

    def quantize(self, chain, v, e):
        x, nodes = chain

        def at(points):
            values = {x: points}
            for n in nodes:
                values[n.output[0]] = self.float32(n, values)
            return values[nodes[-1].output[0]].astype(np.float64) if nodes else points.astype(np.float64)

        middle = at(v.astype(np.float32))
        low = at(np.nextafter((v - e).astype(np.float32), np.float32(-np.inf)))
        high = at(np.nextafter((v + e).astype(np.float32), np.float32(np.inf)))
        assert (low <= middle).all() and (middle <= high).all(), "a quantizer that falls"
        spread = np.maximum(high - middle, middle - low) if e.any() else np.zeros_like(middle)
        return middle, spread + U * np.maximum(np.abs(low), np.abs(high))  # the product of code and step rounds

    def linear(self, node, a, b):
        (x, ex), (w, ew) = a, b
        if node.op_type == "MatMul":
            product, terms = np.matmul, w.shape[0]
        else:
            at = attributes(node)
            assert not any(at.get("pads", [])) and at.get("group", 1) == 1 and at.get("dilations", [1, 1]) == [1, 1]
            product, terms = (lambda p, q: convolve(p, q, at.get("strides", [1, 1]))), int(np.prod(w.shape[1:]))
        most = product(np.abs(x) + ex, np.abs(w) + ew)
        least = product(np.abs(x), np.abs(w))
        return product(x, w), (most - least) + (gamma(terms + MORE) + 2.0 ** -45) * most + TINY

    def step(self, node, known):
        get = lambda i: known[i] if i in known else (self.constants[i].astype(np.float64), np.zeros(self.constants[i].shape))
        kind, at = node.op_type, attributes(node)
        if node.output[0] in self.chains:
            return self.quantize(self.chains[node.output[0]], *get(self.chains[node.output[0]][0]))
        v, e = get(node.input[0])
        if kind in ("Quant", "BipolarQuant"):
            return self.quantize((node.input[0], [node]), v, e)
        if kind in ("MatMul", "Conv"):
            y, ey = self.linear(node, (v, e), get(node.input[1]))
            if len(node.input) < 3:
                return y, ey
            c, ec = (t.reshape(1, -1, 1, 1) for t in get(node.input[2]))
            return y + c, ey + ec + 2 * U * (np.abs(y + c) + ey + ec) + TINY
        if kind in ("Add", "Mul"):
            c, ec = get(node.input[1])
            y = v + c if kind == "Add" else v * c
            ey = e + ec if kind == "Add" else np.abs(v) * ec + np.abs(c) * e + e * ec
            exact = ey == 0  # of known floats there is one rounded sum or product
            return np.where(exact, y.astype(np.float32), y), np.where(exact, 0, ey + 2 * U * (np.abs(y) + ey) + TINY)
        if kind == "Relu":
            return np.maximum(v, 0), e
        if kind == "MaxPool":
            return self.pool(v, at), self.pool(e, at)
        if kind == "Transpose":
            return v.transpose(at["perm"]), e.transpose(at["perm"])
        assert kind == "Flatten", f"{kind}: no bound is known"
        return v.reshape(len(v), -1), e.reshape(len(e), -1)

    def pool(self, v, at):
        """|max a - max b| is at most the greatest |a - b| of the window."""
        assert not any(at.get("pads", [])) and not at.get("ceil_mode", 0)
        s = at.get("strides", [1, 1])
        windows = np.lib.stride_tricks.sliding_window_view(v, at["kernel_shape"], axis=(2, 3))
        return windows[:, :, ::s[0], ::s[1]].max(axis=(4, 5))

    def run(self, x):
        """v and e of the output; each is a row a row."""
        name = self.graph.input[0].name
        known = {name: (x.astype(np.float64), np.zeros(x.shape))}
        for y, (source, nodes) in self.chains.items():
            if not nodes:  # a parameter whose quantized values are stored
                v = self.constants[source].astype(np.float64)
                known[source] = (v, U * np.abs(v))
        for node in self.graph.node:
            if node.output[0] not in self.inside:
                known[node.output[0]] = self.step(node, known)
        v, e = known[self.graph.output[0].name]
        return v.reshape(len(x), -1), e.reshape(len(x), -1)


def disagreement(model, x, here, there):
    """What rules out that here and there are both right, or None; what was proven, in words; how many classes are certain."""
    v, e = Bound(model).run(x)
    for who, y in (("ours", here), ("the other runner's", there)):
        over = np.abs(y - v) > e
        if over.any():
            i = tuple(np.argwhere(over)[0])
            return f"{who} output {i} is {y[i]!r}, the bound allows {v[i]} +- {e[i]:.3g}", "", 0
    a, b = here.argmax(1), there.argmax(1)
    rows = np.arange(len(v))
    for i in np.flatnonzero(a != b):  # each class wins in one of them: both must be within reach of each other
        if v[i, a[i]] - e[i, a[i]] > v[i, b[i]] + e[i, b[i]] or v[i, b[i]] - e[i, b[i]] > v[i, a[i]] + e[i, a[i]]:
            return f"row {i}: classes {a[i]} and {b[i]} differ by more than the bound", "", 0
    best = v.argmax(1)
    rivals = v + e
    rivals[rows, best] = -np.inf
    sure = int((v[rows, best] - e[rows, best] > rivals.max(1)).sum())
    return None, (f"values differ by up to {np.abs(here - there).max():.2g}, proven {2 * e.min():.2g} .. {2 * e.max():.2g}; "
                  f"{sure} of {len(v)} classes certain, {int((a != b).sum())} differ"), sure
