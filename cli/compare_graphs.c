/* compare_graphs.c: whether two TensorFlow graphs are the same graph. */
#include "cli.h"

static const cli_option options[] = {{"ulps", CLI_COUNT, "N",
                                      "float32 elements of tensors may be N steps apart; default 0",
                                      offsetof(cli_options, ulps)},
                                     {NULL, CLI_FLAG, NULL, NULL, 0}};

static bl_status compare(cli *c, const bl_graphdef *a, const bl_graphdef *b)
{
    char *difference;
    bl_status s = bl_graphdef_compare(a, b, c->o.ulps, &difference);
    if (s != BL_OK)
        return s;
    if (!c->o.json)
        puts(difference ? difference : "Graphs are equal.");
    cli_add(c, "equal", json_boolean(difference == NULL));
    if (difference)
        cli_add(c, "difference", json_string(difference));
    s = difference ? cli_fail(c, BL_MISMATCH, "%s", c->o.json ? difference : "the graphs differ") : BL_OK;
    bl_text_free(c->ctx, difference);
    return s;
}

bl_status cli_compare_files(cli *c)
{
    bl_graphdef *a, *b;
    bl_status s = bl_graphdef_read(c->ctx, c->args[0], &a);
    if (s != BL_OK)
        return s;
    s = bl_graphdef_read(c->ctx, c->args[1], &b);
    if (s == BL_OK)
        s = compare(c, a, b);
    bl_graphdef_destroy(a);
    bl_graphdef_destroy(b);
    return s;
}

const cli_command cli_compare_graphs = {
    .name = "compare-graphs",
    .synopsis = "compare-graphs GRAPH GRAPH [--ulps N]",
    .help = "whether two TensorFlow graphs are the same",
    .text =
        "Compares two TensorFlow graphs, in binary or text form: nodes by name, operators, devices, inputs, "
        "attributes,\n"
        "tensors by value.  The order of nodes, versions, the function library and attributes that begin with '_' do\n"
        "not count.  Prints the first difference and ends with exit status 3 if there is one.  Called as\n"
        "compare_graphs, the program gives the original's exit status: 0 equal, 1 not, 255 a file could not be read.",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .run = cli_compare_files};
