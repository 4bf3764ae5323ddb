"""The corpus of graph x transform cases on which the compatible mode of transform-graph is compared with the original.
A case is (graph, transforms, inputs, outputs); {log} stands for a file with LOG's lines, {init} for a name in it."""
from tf_graphs import GRAPHS, real

LOG = """something else
I 12:00 ;rr__print__;__requant_min_max:[-1.5][3.25]
;rr__print__;__requant_min_max:[-2][4.5]
;rr__print__;__requant_min_max:[-0.5][1]
;rr__print__;__requant_min_max:[bad][1]
;deep/rr__print__;__requant_min_max:[-7.125][0.1]
;deep/rr__print__;__requant_min_max:[-8][1e3]
"""
STRIP = 'add_default_attributes strip_unused_nodes(type=float, shape="1,16,16,3") remove_nodes(op=Identity, op=CheckNumerics) '
FOLD = "fold_constants(ignore_errors=true) fold_batch_norms fold_old_batch_norms "
DEPLOY = STRIP + FOLD
EIGHT = "quantize_weights(minimum_size=100) quantize_nodes strip_unused_nodes sort_by_execution_order"
KERAS = "remove_control_dependencies strip_unused_nodes remove_nodes(op=Identity, op=CheckNumerics) fold_constants(ignore_errors=true) "
ADD = "rename_op(old_op_name=AddV2, new_op_name=Add) backport_concatv2 "
REAL = {
    "jet_3layer": (real("jet_3layer", "graph.pb"), ["input_1"], ["output_softmax/Softmax"]),
    "kws_cnn_s": (real("kws_cnn_s", "graph.pb"), ["Mfcc"], ["labels_softmax"]),
    "kws_dnn_s": (real("kws_dnn_s", "graph.pb"), ["Mfcc"], ["labels_softmax"]),
    "mnist_mlp_float": (real("mnist_mlp_float", "graph.pb"), ["x"], ["y_pred"]),
    "mnist_mlp_eightbit": (real("mnist_mlp_eightbit", "graph.pb"), ["x"], ["y_pred"]),
    "mobilenet": (real("mobilenet_v1_025_128", "frozen_graph.pb"), ["input"], ["MobilenetV1/Predictions/Reshape_1"]),
    "mobilenet_weights8": (real("mobilenet_v1_025_128", "quantized_graph.pb"), ["input"], ["MobilenetV1/Predictions/Reshape_1"]),
}
BATCH_NORMS = [g for g in GRAPHS if g.startswith("bn_")]
MULS = [g for g in GRAPHS if g.startswith("mul_")]
FAKE = [g for g in GRAPHS if g.startswith("fq")]
ODD = [g for g in GRAPHS if g.startswith("odd_")]
BAD = [g for g in GRAPHS if g.startswith("bad_")]
GATHERS = [g for g in GRAPHS if g.startswith("gather")]

# transforms: the graphs that they run on
PLAN = {
    "add_default_attributes": ["cnn", "old", "call", "devices", "loop", "gather", "residual", *BAD],
    "backport_concatv2": ["concat", "concat_control", "arithmetic", "cnn", "bn_concat_Fused_Conv2"],
    "backport_tensor_array_v3": ["tensor_arrays", "cnn"],
    "flatten_atrous_conv": ["atrous", "atrous_depthwise", "bn_batch_to_space_Fused_Conv2", "cnn"],
    "flatten_atrous_conv strip_unused_nodes": ["atrous", "atrous_depthwise"],
    "fold_batch_norms": [*MULS, "cnn", "siblings", "old"],
    "fold_batch_norms fold_batch_norms": ["siblings"],
    "fold_batch_norms(ignore_errors=true)": ["mul_scalar", "mul_4d"],
    "fold_old_batch_norms": [*BATCH_NORMS, "cnn", "old", "residual"],
    "fold_old_batch_norms(ignore_errors=TRUE)": ["bn_wrong_size"],
    "fold_constants": ["shapes", "arithmetic", "cnn", "old", "atrous", "loop", "residual", "call", "duplicates", "gather_v2", *BAD],
    "fold_constants(clear_output_shapes=true)": ["shapes"],
    "fold_constants(clear_output_shapes=false)": ["shapes"],
    "fold_constants(exclude_op=Add)": ["shapes"],
    "fold_constants(exclude_op=Mul, exclude_op=Sub)": ["arithmetic"],
    "fold_constants(exclude_node=scale)": ["arithmetic"],
    "fold_constants(max_constant_size_in_bytes=12)": ["arithmetic", "shapes"],
    "strip_unused_nodes fold_constants": ["old", "arithmetic", "cnn", "residual"],
    "freeze_requantization_ranges(min_max_log_file={log})": ["requant", "cnn"],
    "freeze_requantization_ranges(min_max_log_file={log}, min_percentile=0, max_percentile=0)": ["requant"],
    "freeze_requantization_ranges(min_max_log_file={log}, min_percentile=50, max_percentile=34)": ["requant"],
    "freeze_requantization_ranges(min_max_log_file={log}, min_percentile=60)": ["requant"],
    "freeze_requantization_ranges(min_max_log_file={log}, max_percentile=90)": ["requant"],
    "freeze_requantization_ranges(min_max_log_file=nowhere.txt)": ["requant"],
    "freeze_requantization_ranges": ["requant"],
    "freeze_requantization_ranges(ignore_errors=true)": ["requant"],
    "fuse_pad_and_conv": ["pad", "resize_pad", "resize", "cnn"],
    "fuse_resize_and_conv": ["pad", "resize_pad", "resize", "cnn"],
    "fuse_resize_pad_and_conv": ["pad", "resize_pad", "resize", "cnn"],
    "fuse_resize_pad_and_conv fuse_resize_and_conv fuse_pad_and_conv": ["pad", "resize_pad", "resize"],
    "inline_partitionedcall": ["call", "call_missing", "cnn"],
    "inline_partitionedcall(ignore_errors=true)": ["call_missing"],
    "insert_logging": ["cnn", "devices", "layers", "requant"],
    "insert_logging(op=RequantizationRange, show_name=true, message=\"__requant_min_max:\")": ["requant"],
    "insert_logging(op=Relu, op=Identity, show_op=true, show_name=1, message=hello, first_n=3, summarize=10)": ["devices", "cnn"],
    "insert_logging(prefix=c1/, prefix=fc)": ["cnn"],
    "insert_logging(prefix=c, op=Const, show_op=false)": ["cnn"],
    "insert_logging(first_n=-2, summarize=0)": ["shapes"],
    "merge_duplicate_nodes": ["cnn", "duplicates", "devices", "old", "resize_pad", "fq1", "loop", "layers", "weights", "call", *BAD],
    "obfuscate_names": ["cnn", "devices", "call", "old", "residual", *BAD],
    "quantize_weights": ["weights", "cnn", "weights_nan", "weights_inf", "weights_no_value", "layers"],
    "quantize_weights(minimum_size=17)": ["weights", "cnn"],
    "quantize_weights(minimum_size=1)": ["weights", "old"],
    "round_weights": ["weights", "cnn"],
    "round_weights(num_steps=4)": ["weights"],
    "round_weights(num_steps=256)": ["old", "weights_inf"],
    "quantize_nodes": ["layers", "cnn", "old", "residual", "siblings", *FAKE, *ODD, *BAD],
    "quantize_nodes(input_min=-1, input_max=1)": ["layers", "fq1", "cnn", "odd_ints"],
    "quantize_nodes(fallback_min=-6, fallback_max=6)": ["layers", "fq1"],
    "quantize_nodes(input_min=-1, input_max=1, fallback_min=-6, fallback_max=6.5)": ["fq2", "layers"],
    "quantize_nodes(ignore_op=MaxPool)": ["layers", "cnn"],
    "quantize_nodes(ignore_op=Add, ignore_op=Mul, ignore_op=Relu)": ["layers"],
    "quantize_nodes(input_min=-1)": ["layers"],
    "quantize_nodes(fallback_max=1)": ["layers"],
    "quantize_nodes(input_min=abc, input_max=1)": ["layers"],
    "quantize_nodes strip_unused_nodes": ["fq_sigmoid", "layers", "fq2"],
    "quantize_weights(minimum_size=100) quantize_nodes": ["layers", "cnn", "siblings", "fq2"],
    "remove_attribute(attribute_name=T)": ["cnn"],
    "remove_attribute(attribute_name=data_format, op_name=Conv2D)": ["cnn"],
    "remove_attribute(attribute_name=nothing, op_name=\"*\")": ["cnn"],
    "remove_attribute": ["cnn"],
    "rename_attribute(old_attribute_name=data_format, new_attribute_name=layout)": ["cnn"],
    "rename_attribute(old_attribute_name=T, new_attribute_name=S, op_name=MatMul)": ["cnn"],
    "rename_attribute(old_attribute_name=T)": ["cnn"],
    "rename_op(old_op_name=AddV2, new_op_name=Add)": ["arithmetic", "residual"],
    "rename_op(old_op_name=AddV2)": ["arithmetic"],
    "rename_node(old_node_name=c1, new_node_name=first)": ["cnn"],
    "rename_node(old_node_name=b, new_node_name=i9)": ["devices"],
    "rename_node(old_node_name=sp, new_node_name=sp2)": ["devices"],
    "rename_node(old_node_name=c1, new_node_name=c2)": ["cnn"],
    "rename_node(old_node_name=absent, new_node_name=c9)": ["cnn"],
    "rename_node(old_node_name=c1)": ["cnn"],
    "remove_control_dependencies": ["devices", "old", "residual", "duplicates"],
    "remove_device": ["devices", "cnn"],
    "set_device(device=\"/gpu:0\")": ["devices"],
    "set_device(device=\"/gpu:0\", if_default=true)": ["devices"],
    "set_device(device=\"/gpu:0\", if_default=false)": ["devices"],
    "set_device(device=x, if_default=True)": ["devices"],
    "set_device": ["devices"],
    "remove_nodes(op=Identity)": ["devices", "cnn", "old", "residual", "gather"],
    "remove_nodes(op=Identity, op=CheckNumerics)": ["cnn", "old"],
    "remove_nodes(op=Maximum, op=Identity, max_inputs=2)": ["devices"],
    "remove_nodes(op=Maximum, max_inputs=1)": ["devices"],
    "remove_nodes(op=Split, max_inputs=2)": ["devices"],
    "remove_nodes(op=Mul, max_inputs=2)": ["mul_conv", "siblings"],
    "remove_nodes(op=Relu)": ["cnn", "devices"],
    "remove_nodes(op=Placeholder, max_inputs=3)": ["cnn"],
    "remove_nodes": ["cnn"],
    "sort_by_execution_order": ["cnn", "old", "devices", "layers", "loop", "residual", *BAD],
    "sparsify_gather": GATHERS,
    "sparsify_gather(group_init_node=group_deps)": ["gather", "gather_tail"],
    "sparsify_gather(input_checkpoint=nowhere.ckpt)": ["gather", "gather_v2"],
    "strip_unused_nodes": ["cnn", "old", "devices", "shapes", "call", "residual", *BAD],
    "strip_unused_nodes(type=float, shape=\"1,16,16,3\")": ["old", "cnn"],
    "strip_unused_nodes(type=half)": ["old"],
    "strip_unused_nodes(shape=\"1,2\")": ["old"],
    "strip_unused_nodes(type=quint8, shape=\"-1,4\")": ["old"],
    "strip_unused_nodes(type=strange)": ["old"],
    "strip_unused_nodes(shape=\"1,x\")": ["old"],
    "strip_unused_nodes(name=Mul, type_for_name=int32, shape_for_name=\"3,4\")": ["old"],
    "strip_unused_nodes(name=Sub, type_for_name=int64, shape_for_name=\"3\", name=Mul, type_for_name=uint8, shape_for_name=\"\")": ["old"],
    "strip_unused_nodes(name=Mul, name=Sub, type_for_name=int32)": ["old"],
    # the driver and its string
    "remove_device remove_control_dependencies": ["devices"],
    "remove_device\n\tremove_control_dependencies ": ["devices"],
    "remove_device,obfuscate_names": ["devices"],
    "remove_device()": ["devices"],
    "remove_device()remove_control_dependencies": ["devices"],
    "remove_nodes(op=Identity": ["devices"],
    "remove_nodes(op=Identity ) remove_device": ["devices"],
    "remove_nodes(op=Maximum,op=Identity,max_inputs=2)": ["devices"],
    "remove_nodes( op=Maximum op=Identity  , max_inputs=2)": ["devices"],
    "remove_nodes(op = Identity)": ["devices"],
    "set_device(device='x')": ["devices"],
    "set_device(device=\"x\"\"')": ["devices"],
    "set_device(device=/gpu:0)": ["devices"],
    "set_device(device=a device=b)": ["devices"],
    "set_device(device=\"a\\\"b\")": ["devices"],
    "set_device(device=y, colour=red)": ["devices"],
    "remove_nodes(op=Identity, max_inputs=x)": ["devices"],
    "quantize_weights(minimum_size=1e3)": ["weights"],
    "no_such_transform": ["devices"],
    "fuse_quantized_convolution": ["devices"],
    "remove_device no_such_transform": ["devices"],
    "no_such_transform(ignore_errors=true)": ["devices"],
    # pipelines
    DEPLOY: ["cnn", "old"],
    DEPLOY + "round_weights(num_steps=256)": ["cnn", "old"],
    DEPLOY + "quantize_weights(minimum_size=100)": ["cnn", "old"],
    DEPLOY + EIGHT: ["cnn", "old"],
    DEPLOY + EIGHT + ' insert_logging(op=RequantizationRange, show_name=true, message="__requant_min_max:")': ["cnn", "old"],
    DEPLOY + "quantize_weights quantize_nodes(fallback_min=-30, fallback_max=30) strip_unused_nodes": ["cnn", "old"],
    KERAS + "fold_batch_norms(ignore_errors=true) fold_old_batch_norms": ["residual", "arithmetic"],
    KERAS + ADD + EIGHT: ["residual", "arithmetic", "layers", "concat"],
    DEPLOY + "merge_duplicate_nodes obfuscate_names": ["cnn", "old"],
    "strip_unused_nodes fold_constants flatten_atrous_conv fold_batch_norms": ["atrous"],
}
REAL_PLAN = {
    "add_default_attributes": REAL, "sort_by_execution_order": REAL, "merge_duplicate_nodes": REAL, "obfuscate_names": REAL,
    "strip_unused_nodes": REAL, "remove_nodes(op=Identity)": REAL, "quantize_weights": REAL, "round_weights": ["jet_3layer", "mobilenet"],
    "quantize_nodes": REAL, "strip_unused_nodes fold_constants": REAL, "insert_logging": ["kws_cnn_s", "mnist_mlp_eightbit"],
    "strip_unused_nodes remove_nodes(op=Identity) fold_constants fold_batch_norms fold_old_batch_norms": REAL,
    "strip_unused_nodes remove_nodes(op=Identity) fold_constants fold_batch_norms quantize_weights quantize_nodes strip_unused_nodes "
    "sort_by_execution_order": REAL,
}
# as PLAN's entries, with inputs and outputs of their own
SPECIAL = [
    ("cnn", "strip_unused_nodes", ["p1"], ["softmax"]),
    ("cnn", "strip_unused_nodes", ["p1:0", "c3/relu"], ["softmax:0", "cat"]),
    ("cnn", "strip_unused_nodes", ["absent"], ["softmax"]),
    ("cnn", "strip_unused_nodes", ["input"], ["absent"]),
    ("cnn", "strip_unused_nodes", [], []),
    ("cnn", "strip_unused_nodes(name=p1, type_for_name=float, shape_for_name=\"1,8,8,16\")", ["p1"], ["softmax"]),
    ("cnn", "fold_constants", ["p1"], ["softmax"]),
    ("cnn", "fold_constants", ["input"], ["absent"]),
    ("cnn", "fold_constants", ["input"], ["unused"]),
    ("cnn", "strip_unused_nodes fold_constants", ["p1"], ["softmax"]),
    ("shapes", "fold_constants", ["input:0"], ["output:0"]),
    ("shapes", "fold_constants", ["input"], ["flat", "shape"]),
    ("arithmetic", "fold_constants", ["input"], ["scale", "rr", "output"]),
    ("cnn", "obfuscate_names", ["input:0"], ["softmax:0"]),
    ("duplicates", "merge_duplicate_nodes", ["input"], ["r1", "r2", "output"]),
    ("duplicates", "merge_duplicate_nodes", ["input:0"], ["r1:0"]),
    ("devices", "remove_nodes(op=Identity)", ["i1"], ["output", "i3:0"]),
    ("cnn", "quantize_nodes", ["p1"], ["c2/relu6", "softmax"]),
    ("cnn", "quantize_weights(minimum_size=100) quantize_nodes", ["input"], ["c1/relu:0", "softmax"]),
    ("layers", "quantize_nodes", ["input:0"], ["add", "cat", "output"]),
]


# transforms of whatever operator there is: on graphs that between them have all of the corpus
EVERYWHERE = [
    "add_default_attributes", "fold_constants", "insert_logging", "merge_duplicate_nodes", "obfuscate_names",
    "remove_attribute(attribute_name=T)", "remove_control_dependencies", "remove_device", "sort_by_execution_order",
    "fold_constants(clear_output_shapes=true, exclude_node=input, max_constant_size_in_bytes=64)",
    "insert_logging(prefix=c, message=hello, show_op=true, show_name=true, first_n=2, summarize=5)",
    "remove_nodes(op=Identity, max_inputs=2)", "rename_attribute(old_attribute_name=T, new_attribute_name=S)",
    "rename_node(old_node_name=input, new_node_name=first)", "rename_op(old_op_name=Const, new_op_name=Constant)",
    "set_device(device=\"/gpu:0\", if_default=true)", "strip_unused_nodes",
    "strip_unused_nodes(type=float, shape=\"1,2\", name=input, type_for_name=int32, shape_for_name=\"3\")",
]
# a parameter that names an operator: each, on the smallest graph that has it
EACH_OP = [
    "fold_constants(exclude_op={op})", "insert_logging(op={op})", "remove_attribute(attribute_name=T, op_name={op})",
    "remove_nodes(op={op})", "rename_attribute(old_attribute_name=T, new_attribute_name=S, op_name={op})",
    "rename_op(old_op_name={op}, new_op_name=Other)",
]
EACH_EIGHT = "Conv2D MatMul BiasAdd Add Mul MaxPool AvgPool Relu Relu6 Concat Reshape ResizeBilinear".split()
EVERY = {name: make[0]() for name, make in GRAPHS.items()}
OPS = {name: {n.op for n in g.node} for name, g in EVERY.items()}
ALL_OPS = sorted(set().union(*OPS.values()))


def cover():
    """Few graphs that have all operators."""
    left, names = set(ALL_OPS), []
    while left:
        names.append(max(OPS, key=lambda name: len(OPS[name] & left)))
        left -= OPS[names[-1]]
    return names


def smallest(op):
    return min((name for name in OPS if op in OPS[name]), key=lambda name: len(EVERY[name].node))


def pairs():
    yield from ((name, transforms) for transforms, names in PLAN.items() for name in names)
    yield from ((name, transforms) for transforms in EVERYWHERE for name in cover())
    yield from ((smallest(op), transforms.format(op=op)) for transforms in EACH_OP for op in ALL_OPS)
    yield from (("layers", f"quantize_nodes(ignore_op={op})") for op in EACH_EIGHT)


def small():
    yield from ((name, transforms, *GRAPHS[name][1:]) for name, transforms in dict.fromkeys(pairs()))
    yield from SPECIAL


def large():
    for transforms, names in REAL_PLAN.items():
        for name in names:
            yield (name, transforms, *REAL[name][1:])


def key(case):
    return " :: ".join([case[0], case[1], ",".join(case[2]), ",".join(case[3])])


def graph(name):
    return EVERY[name] if name in EVERY else REAL[name][0]()
