/* pass_insert_logging.c: a Print behind each node of some sorts, which writes what the node gives. */
#include <string.h>

#include "tf/opdef.h"
#include "tf/transform.h"

typedef struct style {
    const char *message;
    bool show_op, show_name;
    int64_t first_n, summarize;
} style;

/* Which ports of each node are used: port k of node i is a bit of words[i]; more than 64 ports share the last. */
static bl_status find_ports(const bli_tf_graph *g, uint64_t *words)
{
    bli_tf_index ix;
    BLI_TRY(bli_tf_index_make(g, &ix));
    for (size_t i = 0; i < g->num_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->num_inputs; k++) {
            bli_tf_ref r = bli_tf_ref_parse(g->nodes[i]->inputs[k]);
            size_t from = bli_tf_index_find(&ix, r.name, r.size);
            int port = r.port < 0 ? 0 : r.port > 63 ? 63 : r.port;
            if (from != SIZE_MAX)
                words[from] |= (uint64_t)1 << port;
        }
    bli_tf_index_free(&ix);
    return BL_OK;
}

static bool has_prefix(const bli_tg_job *job, const char *name)
{
    size_t count = bli_tg_arg_count(job, "prefix");
    for (size_t i = 0; i < count; i++) {
        const char *prefix = bli_tg_arg_value(job, "prefix", i);
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            return true;
    }
    return count == 0;
}

static bl_status add_inputs(const bli_tg_job *job, const bli_tf_node *n, uint64_t ports, bli_tf_node *print)
{
    BLI_TRY(bli_tf_node_add_input(job->store, print, bli_tf_text(job->store, "%s:0", n->name)));
    for (int k = 0; k < 64; k++) {
        char *input = bli_tf_text(job->store, "%s:%d", n->name, k);
        if (!input)
            return BL_NO_MEMORY;
        if (ports >> k & 1)
            BLI_TRY(bli_tf_node_add_input(job->store, print, input));
    }
    return BL_OK;
}

/* The types that Print is told: those of all outputs in the original, where a Print of some of them cannot run. */
static bl_status set_types(const bli_tg_job *job, const bli_tf_types *out, uint64_t ports, bli_tf_node *print)
{
    int *types = bli_tf_alloc_array(job->store, out->count + 1, sizeof *types);
    size_t count = 0;
    if (!types)
        return BL_NO_MEMORY;
    for (size_t k = 0; k < out->count; k++)
        if (job->compat || (ports >> (k < 63 ? k : 63) & 1))
            types[count++] = out->at[k];
    BLI_TRY(bli_tg_set_type(job->store, print, "T", out->count ? out->at[0] : BLI_DT_FLOAT));
    return bli_tf_node_set(job->store, print, "U", bli_tf_value_types(job->store, types, count));
}

static bl_status add_print(const bli_tg_job *job, const bli_tf_graph *g, const bli_tf_node *n, uint64_t ports,
                           const style *s, bli_tg_renames *renames, bli_tg_names *prints, bli_tf_graph *out)
{
    bli_tf_types in, types;
    bli_tf_node *print;
    char *name = bli_tf_text(job->store, "%s__print__", n->name), *from = bli_tf_text(job->store, "%s:0", n->name);
    char *message =
        bli_tf_text(job->store, "%s%s%s%s%s%s%s", s->show_op ? ";" : "", s->show_op ? n->op : "", s->show_op ? ";" : "",
                    s->show_name ? ";" : "", s->show_name && name ? name : "", s->show_name ? ";" : "", s->message);
    if (!name || !from || !message)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_node_types(g, n, &in, &types));
    if (types.count == 0 && !job->compat)
        return BL_OK; /* nothing to print: used through control edges only */
    BLI_TRY(bli_tg_add_node(out, "Print", name, NULL, &print));
    BLI_TRY(add_inputs(job, n, ports, print));
    BLI_TRY(set_types(job, &types, ports, print));
    BLI_TRY(bli_tf_node_set(job->store, print, "message", bli_tf_value_string(job->store, message)));
    BLI_TRY(bli_tf_node_set(job->store, print, "first_n", bli_tf_value_int(job->store, s->first_n)));
    BLI_TRY(bli_tf_node_set(job->store, print, "summarize", bli_tf_value_int(job->store, s->summarize)));
    prints->at[prints->count++] = name;
    return bli_tg_renames_add(renames, from, name);
}

static bl_status read_style(const bli_tg_job *job, style *s)
{
    BLI_TRY(bli_tg_arg_text(job, "message", "", &s->message));
    BLI_TRY(bli_tg_arg_bool(job, "show_op", false, &s->show_op));
    BLI_TRY(bli_tg_arg_bool(job, "show_name", false, &s->show_name));
    BLI_TRY(bli_tg_arg_int(job, "first_n", -1, &s->first_n));
    return bli_tg_arg_int(job, "summarize", 1024, &s->summarize);
}

/* Inputs of Prints stay; every other node reads the Print. */
static bl_status read_prints(const bli_tg_job *job, const bli_tg_renames *renames, const bli_tf_graph *g,
                             const bli_tg_names *prints, bli_tf_graph *out)
{
    for (size_t i = 0, p = 0; i < g->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, g->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        bool print = p < prints->count && strcmp(n->name, prints->at[p]) == 0;
        p += print;
        for (size_t k = 0; k < n->num_inputs && !print; k++)
            BLI_TRY(bli_tg_renames_once(renames, n->inputs[k], &n->inputs[k]));
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    style s;
    bli_tg_renames renames;
    bli_tg_names prints = {0, bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *prints.at)};
    uint64_t *ports = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *ports);
    bli_tf_graph *logged = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, job->store);
    if (!prints.at || !ports || !logged)
        return BL_NO_MEMORY;
    BLI_TRY(read_style(job, &s));
    BLI_TRY(find_ports(in, ports));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = in->nodes[i];
        BLI_TRY(bli_tf_graph_add(logged, n));
        if (ports[i] && bli_tg_arg_has(job, "op", n->op) && has_prefix(job, n->name))
            BLI_TRY(add_print(job, in, n, ports[i], &s, &renames, &prints, logged));
    }
    return read_prints(job, &renames, logged, &prints, out);
}

static const bli_tg_param params[] = {{"op", BLI_TG_TEXT, true, "of nodes to log (all)"},
                                      {"prefix", BLI_TG_TEXT, true, "how the names of nodes to log begin (anything)"},
                                      {"message", BLI_TG_TEXT, false, "in front of each line (none)"},
                                      {"show_op", BLI_TG_BOOL, false, "the operator's name before the message (false)"},
                                      {"show_name", BLI_TG_BOOL, false, "the node's name before the message (false)"},
                                      {"first_n", BLI_TG_INT, false, "most lines of a node, -1 for any (-1)"},
                                      {"summarize", BLI_TG_INT, false, "most elements of a line (1024)"},
                                      {0}};

const bli_tg_pass bli_tg_insert_logging = {
    .name = "insert_logging", .help = "writes the values of nodes while the graph runs", .params = params, .run = run};
