"""Damaged and hostile ONNX files: each has a message that names what is wrong, and nothing is allocated on its word."""
import os
import pathlib
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

COPY = pathlib.Path(os.environ["BITLATHE_BINARY"]) / "tests" / "tool_model_copy"
F = TensorProto.FLOAT


def info(name, shape=(1, 4)):
    return helper.make_tensor_value_info(name, F, shape)


def weight(name="w", shape=(4, 3)):
    return numpy_helper.from_array(np.ones(shape, dtype=np.float32), name)


def model(nodes=None, inputs=None, outputs=None, tensors=None, opset=13):
    nodes = nodes or [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")]
    graph = helper.make_graph(nodes, "g", inputs or [info("x")], outputs or [info("y", (1, 3))],
                              [weight()] if tensors is None else tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def changed(change):
    m = model()
    change(m)
    return m.SerializeToString()


def external(location):
    m = model()
    w = m.graph.initializer[0]
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "48")):
        w.external_data.add(key=key, value=value)
    return m.SerializeToString()


def two_gib():
    def change(m):
        m.graph.initializer[0].dims[:] = [1 << 15, 1 << 14]
    return changed(change)


def overflow():
    def change(m):
        m.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]
    return changed(change)


def cycle():
    return model([helper.make_node("Add", ["x", "b"], ["a"], name="first"),
                  helper.make_node("Relu", ["a"], ["b"], name="second"),
                  helper.make_node("MatMul", ["b", "w"], ["y"], name="fc")]).SerializeToString()


def cases(good):
    deep = b"".join([b"\x3a", (60).to_bytes(1, "little")]) + b"\x0a\x3a" * 29 + b"\x00\x00"
    yield "empty", b"", "it is empty"
    yield "no model", b"PK\x03\x04 a zip", "not a model"
    yield "truncated", good[:len(good) // 2], "are left"
    yield "length of 2 GiB", b"\x08\x08\x3a\xff\xff\xff\xff\x07abc", "graph: byte 3: 2147483647 bytes are claimed, 3 are left"
    yield "number without end", b"\x08" + b"\xff" * 12, "more than 10 bytes"
    yield "group", b"\x08\x08\x3b", "wire type 3"
    yield "nested", deep, "not an ONNX file"
    yield "tensor of 2 GiB", two_gib(), "initializer 'w': its shape needs 2147483648 bytes, its data has 48"
    yield "overflowing dims", overflow(), "initializer 'w': its shape [1099511627776, 1099511627776] is larger than any memory"
    yield "negative dim", changed(lambda m: m.graph.initializer[0].dims.__setitem__(0, -4)), "initializer 'w': dimension 0 is -4"
    yield "element type", changed(lambda m: setattr(m.graph.initializer[0], "data_type", 8)), "initializer 'w': its element type 8 (STRING)"
    yield "cycle", cycle(), "cycle through nodes (each feeds the next)"
    yield "duplicate name", changed(lambda m: m.graph.initializer.append(weight("w"))), "initializer 'w': value 'w': the name is taken"
    yield "duplicate output", model([helper.make_node("Relu", ["x"], ["y"], name="a"), helper.make_node("Relu", ["x"], ["y"], name="b")]).SerializeToString(), "node 'b': value 'y': the name is taken"
    yield "unknown input", model([helper.make_node("MatMul", ["x", "v"], ["y"], name="fc")]).SerializeToString(), "node 'fc': input 1, 'v', is neither an input, an initializer nor made by a node"
    yield "unknown operator", model([helper.make_node("Foo", ["x"], ["y"], name="odd")]).SerializeToString(), "node 'odd': operator Foo is not known"
    yield "unknown domain", model([helper.make_node("Foo", ["x"], ["y"], name="odd", domain="com.x")]).SerializeToString(), "operator com.x.Foo is not known"
    yield "unknown attribute", model([helper.make_node("Relu", ["x"], ["y"], name="r", alpha=1.0)]).SerializeToString(), "node 'r': Relu has no attribute 'alpha'"
    yield "shapes", changed(lambda m: m.graph.initializer[0].dims.__setitem__(slice(None), [3, 4])), "node 'fc'"
    yield "no outputs", changed(lambda m: m.graph.ClearField("output")), "the graph has no outputs"
    yield "IR version", changed(lambda m: setattr(m, "ir_version", 99)), "IR version 99, expected 3 to 14"
    yield "opset", model(opset=2).SerializeToString(), "operator set 2, expected 6 to"
    yield "sparse", changed(lambda m: m.graph.sparse_initializer.add()), "sparse initializers are not supported"
    yield "absolute path", external("/etc/passwd"), "external data '/etc/passwd' leads out of the model's folder"
    yield "parent path", external("../secret"), "external data '../secret' leads out of the model's folder"
    yield "hidden parent", external("a/../../secret"), "leads out of the model's folder"
    yield "link", external("link"), "external data 'link' leads out of the model's folder"
    yield "missing external", external("nowhere.bin"), "external data 'nowhere.bin' is not there"
    yield "short external", external("short.bin"), "are asked for, it has 8"
    yield "subgraph", model([helper.make_node("If", ["x"], ["y"], name="branch", then_branch=model().graph)]).SerializeToString(), "node 'branch': attribute then_branch: its type 5"


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        inner = folder / "models"
        inner.mkdir()
        (folder / "secret").write_bytes(bytes(48))
        (inner / "link").symlink_to(folder / "secret")
        (inner / "short.bin").write_bytes(bytes(8))
        (inner / "good.bin").write_bytes(np.ones(12, dtype=np.float32).tobytes())
        path, out = inner / "m.onnx", folder / "out.onnx"
        count = 0
        for what, data, expected in cases(model().SerializeToString()):
            path.write_bytes(data)
            done = subprocess.run([COPY, path, out], capture_output=True, text=True)
            assert done.returncode == 1, f"{what}: exit status {done.returncode}: {done.stdout}"
            assert expected in done.stdout and str(path) in done.stdout, f"{what}: '{done.stdout.strip()}', expected '{expected}'"
            assert not out.exists(), f"{what}: something was written"
            count += 1
        path.write_bytes(external("good.bin"))
        assert subprocess.run([COPY, path, out]).returncode == 0, "external data beside the model is read"
        assert np.array_equal(numpy_helper.to_array(onnx.load(out).graph.initializer[0]), np.ones((4, 3)))
        print(count, "bad files, each with its message")


main()
