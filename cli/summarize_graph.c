/* summarize_graph.c: inputs, outputs, parameters and operators of a TensorFlow graph, in its summarize_graph's words.
 */
#include <stdlib.h>

#include "cli.h"

static const cli_option options[] = {
    {"in_graph", CLI_TEXT, "FILE", "the graph, if it is not the argument", offsetof(cli_options, in_graph)},
    {"print_structure", CLI_FLAG, NULL, "every node with its inputs, in an order in which they can run",
     offsetof(cli_options, print_structure)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

/* 999, 1.00k, 23.89M. */
static void human(uint64_t n, char *text, size_t size)
{
    static const char units[] = "kMBT";
    double v = (double)n / 1000;
    int unit = 0;
    for (; v >= 1000 && unit < 3; unit++)
        v /= 1000;
    if (n < 1000)
        snprintf(text, size, "%llu", (unsigned long long)n);
    else
        snprintf(text, size, "%.2f%c", v, units[unit]);
}

/* ---- for people ------------------------------------------------------------------------------------------------ */
static void print_inputs(const char *what, const bl_graphdef_node_info *nodes, size_t count)
{
    if (count == 0) {
        printf("No %s spotted.\n", what[0] == 'p' ? "inputs" : what);
        return;
    }
    printf("Found %zu %s: ", count, what);
    for (size_t i = 0; i < count; i++)
        printf("(name=%s, type=%s(%d), shape=%s) ", nodes[i].name, nodes[i].type, nodes[i].dtype, nodes[i].shape);
    printf("\n");
}

static void print_outputs(const bl_graphdef_summary_info *info)
{
    if (info->num_outputs == 0) {
        printf("No outputs spotted.\n");
        return;
    }
    printf("Found %zu possible outputs: ", info->num_outputs);
    for (size_t i = 0; i < info->num_outputs; i++)
        printf("(name=%s, op=%s) ", info->outputs[i].name, info->outputs[i].op);
    printf("\n");
}

static void print_counts(const bl_graphdef_summary_info *info)
{
    char consts[32], variables[32];
    human(info->const_parameters, consts, sizeof consts);
    human(info->variable_parameters, variables, sizeof variables);
    printf("Found %llu (%s) const parameters, %llu (%s) variable parameters, and %zu control_edges\n",
           (unsigned long long)info->const_parameters, consts, (unsigned long long)info->variable_parameters, variables,
           info->control_edges);
    for (size_t i = 0; i < info->num_devices; i++)
        printf("%s%zu nodes assigned to device '%s'", i ? ", " : "", info->devices[i].count, info->devices[i].name);
    if (info->num_devices)
        printf("\n");
}

static void print_ops(const bl_graphdef_summary_info *info)
{
    printf("Op types used: ");
    for (size_t i = 0; i < info->num_ops; i++)
        printf("%s%zu %s", i ? ", " : "", info->ops[i].count, info->ops[i].name);
    printf("\n");
}

typedef const char *(*word_fn)(const bl_graphdef_node_info *n);

static const char *name_of(const bl_graphdef_node_info *n)
{
    return n->name;
}

static const char *type_of(const bl_graphdef_node_info *n)
{
    return n->type;
}

static const char *sizes_of(const bl_graphdef_node_info *n)
{
    return n->sizes;
}

static void print_flag(const char *flag, word_fn word, const char *between, const bl_graphdef_node_info *a,
                       size_t num_a, const bl_graphdef_node_info *b, size_t num_b)
{
    printf(" --%s=", flag);
    for (size_t i = 0; i < num_a + num_b; i++)
        printf("%s%s", i ? between : "", word(i < num_a ? &a[i] : &b[i - num_a]));
}

static void print_benchmark(const cli *c, const bl_graphdef_summary_info *i)
{
    printf("To use with benchmark_model try these arguments:\nbenchmark_model --graph=%s --show_flops", c->o.in_graph);
    print_flag("input_layer", name_of, ",", i->inputs, i->num_inputs, i->variables, i->num_variables);
    print_flag("input_layer_type", type_of, ",", i->inputs, i->num_inputs, i->variables, i->num_variables);
    print_flag("input_layer_shape", sizes_of, ":", i->inputs, i->num_inputs, i->variables, i->num_variables);
    print_flag("output_layer", name_of, ",", i->outputs, i->num_outputs, NULL, 0);
    printf("\n");
}

/* ---- for programs ---------------------------------------------------------------------------------------------- */
static json_t *json_nodes(const bl_graphdef_node_info *nodes, size_t count, bool typed)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *o = json_pack("{s:s, s:s}", "name", nodes[i].name, "op", nodes[i].op);
        if (typed) {
            json_object_set_new(o, "type", json_string(nodes[i].type));
            json_object_set_new(o, "shape", json_string(nodes[i].shape));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_counts(const bl_graphdef_count *counts, size_t count)
{
    json_t *o = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(o, counts[i].name, json_integer((json_int_t)counts[i].count));
    return o;
}

static void add(cli *c, const bl_graphdef_summary_info *i)
{
    cli_add(c, "inputs", json_nodes(i->inputs, i->num_inputs, true));
    cli_add(c, "variables", json_nodes(i->variables, i->num_variables, true));
    cli_add(c, "outputs", json_nodes(i->outputs, i->num_outputs, false));
    cli_add(c, "const_parameters", json_integer((json_int_t)i->const_parameters));
    cli_add(c, "variable_parameters", json_integer((json_int_t)i->variable_parameters));
    cli_add(c, "control_edges", json_integer((json_int_t)i->control_edges));
    cli_add(c, "devices", json_counts(i->devices, i->num_devices));
    cli_add(c, "ops", json_counts(i->ops, i->num_ops));
}

/* ---- the command ----------------------------------------------------------------------------------------------- */
static bl_status check_inputs(cli *c, const bl_graphdef_summary_info *info)
{
    for (size_t i = 0; i < info->num_bad_inputs && !c->o.json; i++)
        fprintf(stderr, "Invalid input %s for node %s\n", info->bad_inputs[i].input, info->bad_inputs[i].node);
    if (info->num_bad_inputs == 0)
        return BL_OK;
    return cli_fail(c, BL_BAD_MODEL, "%s: node '%s': input '%s' is no node of this graph; %zu such inputs in all",
                    c->o.in_graph, info->bad_inputs[0].node, info->bad_inputs[0].input, info->num_bad_inputs);
}

static bl_status show(cli *c, const bl_graphdef_summary_info *info)
{
    if (!c->o.json) {
        print_inputs("possible inputs", info->inputs, info->num_inputs);
        print_inputs("variables", info->variables, info->num_variables);
        print_outputs(info);
        print_counts(info);
    }
    bl_status s = check_inputs(c, info);
    if (s != BL_OK)
        return s;
    if (c->o.json) {
        add(c, info);
        return BL_OK;
    }
    print_ops(info);
    print_benchmark(c, info);
    return BL_OK;
}

static bl_status show_structure(cli *c, const bl_graphdef *g)
{
    char *text;
    bl_status s = bl_graphdef_structure(g, &text);
    if (s != BL_OK)
        return s;
    if (c->o.json)
        cli_add(c, "structure", json_string(text));
    else
        fputs(text, stdout);
    bl_text_free(c->ctx, text);
    return BL_OK;
}

bl_status cli_summarize_file(cli *c)
{
    bl_graphdef *g;
    bl_graphdef_summary *summary;
    if (c->num_args > 0)
        c->o.in_graph = c->args[0];
    if (!c->o.in_graph || !c->o.in_graph[0])
        return cli_fail(c, BL_USAGE, "--in_graph is missing");
    bl_status s = bl_graphdef_read(c->ctx, c->o.in_graph, &g);
    if (s != BL_OK)
        return s;
    s = bl_graphdef_summarize(g, &summary);
    if (s == BL_OK)
        s = show(c, bl_graphdef_summary_get(summary));
    if (s == BL_OK && c->o.print_structure)
        s = show_structure(c, g);
    bl_graphdef_summary_destroy(summary);
    bl_graphdef_destroy(g);
    return s;
}

const cli_command cli_summarize_graph = {
    .name = "summarize-graph",
    .synopsis = "summarize-graph GRAPH [--print_structure]",
    .help = "inputs, outputs, parameters and operators of a TensorFlow graph",
    .text =
        "Shows what is in a TensorFlow graph, in binary or text form: placeholders, variables, nodes that no other\n"
        "reads, elements of constants, operators by their number, and arguments for benchmark_model.  Called as\n"
        "summarize_graph, the program takes the original's flags, --in_graph=FILE and --print_structure.",
    .options = options,
    .min_args = 0,
    .max_args = 1,
    .run = cli_summarize_file};
