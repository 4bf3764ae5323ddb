/* transform_graph.c: TensorFlow graphs rewritten: a file, a string of transforms, a file. */
#include "cli.h"

static const cli_option options[] = {
    {"in_graph", CLI_TEXT, "FILE", "a GraphDef, binary or text, or a frozen SavedModel",
     offsetof(cli_options, in_graph)},
    {"out_graph", CLI_TEXT, "FILE", "where the result goes", offsetof(cli_options, out_graph)},
    {"inputs", CLI_TEXT, "NAMES", "nodes that are fed, with commas between", offsetof(cli_options, inputs)},
    {"outputs", CLI_TEXT, "NAMES", "nodes whose values are wanted, with commas between",
     offsetof(cli_options, outputs)},
    {"transforms", CLI_TEXT, "LIST", "what to do, as in 'remove_nodes(op=Identity) quantize_weights'",
     offsetof(cli_options, transforms)},
    {"output_as_text", CLI_FLAG, NULL, "write the text form", offsetof(cli_options, output_as_text)},
    {"compat", CLI_FLAG, NULL, "node for node what TensorFlow's tool gives, its known defects included",
     offsetof(cli_options, compat)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

static bl_status transform(cli *c, bl_graphdef *g)
{
    const bl_tf_options o = {c->o.inputs, c->o.outputs, c->o.compat};
    cli_add(c, "nodes_before", json_integer((json_int_t)bl_graphdef_num_nodes(g)));
    bl_status s = bl_tf_transform_in_place(g, c->o.transforms, &o);
    if (s == BL_OK)
        s = c->o.output_as_text ? bl_graphdef_write_text(g, c->o.out_graph) : bl_graphdef_write(g, c->o.out_graph);
    if (s == BL_OK)
        cli_add(c, "nodes", json_integer((json_int_t)bl_graphdef_num_nodes(g)));
    return s;
}

bl_status cli_transform_file(cli *c)
{
    const char *const needed[][2] = {
        {"in_graph", c->o.in_graph}, {"out_graph", c->o.out_graph}, {"transforms", c->o.transforms}};
    bl_graphdef *g;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i][1] || !needed[i][1][0])
            return cli_fail(c, BL_USAGE, "--%s is missing", needed[i][0]);
    bl_status s = bl_graphdef_read(c->ctx, c->o.in_graph, &g);
    if (s != BL_OK)
        return s;
    s = transform(c, g);
    bl_graphdef_destroy(g);
    if (s == BL_MISMATCH && !c->command)
        return cli_fail(c, BL_BAD_VALUE, "%s", bl_context_message(c->ctx)); /* the old name knows no difference: 255 */
    return s;
}

static bl_status run(cli *c)
{
    bl_status s = cli_transform_file(c);
    if (s == BL_OK && !c->o.json)
        printf("%s: %lld nodes\n", c->o.out_graph, (long long)json_integer_value(json_object_get(c->result, "nodes")));
    return s;
}

const cli_command cli_transform_graph = {
    .name = "transform-graph",
    .synopsis = "transform-graph --in_graph FILE --out_graph FILE --transforms LIST [--inputs NAMES] [--outputs NAMES]",
    .help = "rewrites a TensorFlow graph",
    .text =
        "Runs transforms on a frozen TensorFlow graph, in the words of TensorFlow's Graph Transform Tool:\n"
        "  --transforms='strip_unused_nodes remove_nodes(op=Identity) quantize_weights(minimum_size=100)'\n"
        "'bitlathe list transforms' names them with their parameters.  Known defects of the original are mended;\n"
        "--compat keeps them (docs/tensorflow.md).  Called as transform_graph, the program takes the original's flags.",
    .options = options,
    .run = run};
