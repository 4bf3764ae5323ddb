/* to_qonnx.c: a frozen TensorFlow graph as a QONNX model, for everything else that bitlathe does. */
#include "cli.h"

static const cli_option options[] = {
    {"in_graph", CLI_TEXT, "FILE", "the graph, if it is not the argument", offsetof(cli_options, in_graph)},
    {"out", CLI_TEXT, "FILE", "the model to write", offsetof(cli_options, out)},
    {"inputs", CLI_TEXT, "NAMES", "nodes that are fed, with commas between; default: placeholders",
     offsetof(cli_options, inputs)},
    {"input_shapes", CLI_TEXT, "SHAPES", "their shapes, ':' between inputs; default: the graph's own",
     offsetof(cli_options, input_shapes)},
    {"outputs", CLI_TEXT, "NAMES", "nodes whose values are wanted; default: those that no other reads",
     offsetof(cli_options, outputs)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

static bl_status convert(cli *c, const bl_graphdef *from)
{
    const bl_graphdef_cut cut = {c->o.inputs, c->o.input_shapes, c->o.outputs};
    bl_graph *g;
    bl_status s = bl_graphdef_to_graph(from, &cut, &g);
    if (s != BL_OK)
        return s;
    s = bl_model_write(g, c->o.out);
    if (s == BL_OK) {
        cli_add(c, "nodes", json_integer(bl_graph_num_nodes(g)));
        cli_add(c, "out", json_string(c->o.out));
        if (!c->o.json)
            printf("%s: %d nodes\n", c->o.out, bl_graph_num_nodes(g));
    }
    bl_graph_destroy(g);
    return s;
}

static bl_status run(cli *c)
{
    bl_graphdef *g;
    if (c->num_args > 0)
        c->o.in_graph = c->args[0];
    if (!c->o.in_graph || !c->o.out)
        return cli_fail(c, BL_USAGE, "--%s is missing", c->o.out ? "in_graph" : "out");
    bl_status s = bl_graphdef_read(c->ctx, c->o.in_graph, &g);
    if (s != BL_OK)
        return s;
    s = convert(c, g);
    bl_graphdef_destroy(g);
    return s;
}

const cli_command cli_to_qonnx = {
    .name = "to-qonnx",
    .synopsis = "to-qonnx GRAPH --out MODEL.onnx [--inputs NAMES] [--input_shapes SHAPES] [--outputs NAMES]",
    .help = "turns a frozen TensorFlow graph into a model",
    .text =
        "Converts a frozen TensorFlow graph, or the part of it between --inputs and --outputs, into a model that the "
        "other\n"
        "commands take.  The first dimension of every input is the batch.  Constant parts are evaluated.  Operators\n"
        "without a counterpart (decoding, ArgMax, eight-bit ones) are named; cut the graph there.",
    .options = options,
    .min_args = 0,
    .max_args = 1,
    .run = run};
