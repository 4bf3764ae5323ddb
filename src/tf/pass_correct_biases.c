/* pass_correct_biases.c: biases that make up for what rounding the weights does to the means of a layer's sums.
 *
 * M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight Equalization and Bias
 * Correction", 2019, section 4.2, measured on data: behind quantize_weights, layer by layer in the order of execution,
 * the mean of every channel behind the bias becomes that of the graph that came in.  A layer is Conv2D,
 * DepthwiseConv2dNative or MatMul with a constant vector added, whose name both graphs have; a vector that others read
 * too stays.  Channels that equalize scaled are compared as they were.
 */
#include <string.h>

#include "tf/array.h"
#include "tf/samples.h"
#include "tf/users.h"

typedef struct biased {
    size_t at, vector; /* nodes of the graph as it is now: the sum, and the constant */
    size_t channels;
    double *was, *is; /* sums over all values of each channel */
    double count, count_now;
} biased;

typedef struct correcting {
    const bli_tg_job *job;
    bli_tf_graph *g; /* grows better; its nodes are replaced one by one */
    bli_tg_samples samples;
    bli_tg_users users; /* of the graph as it was handed in */
    bli_arena *arena;
    biased *layers;
    size_t num_layers;
    size_t *order, num_order;
    biased **of_name; /* of the node of that place in users, NULL: none */
    bli_tf_session *session;
    const char *fetch;
} correcting;

/* ---- layers ------------------------------------------------------------------------------------------------------
 */

static const bli_tf_node *from(const correcting *c, const char *input)
{
    return bli_tf_index_input(&c->users.ix, input);
}

static size_t place(const correcting *c, const bli_tf_node *n)
{
    return bli_tf_index_find(&c->users.ix, n->name, strlen(n->name));
}

/* The constant vector that n adds to a product; NULL: it does not. */
static bl_status vector_of(const correcting *c, const bli_tf_node *n, const bli_tf_node **out)
{
    *out = NULL;
    if (!bli_tg_op_is(n->op, "BiasAdd|Add|AddV2") || bli_tg_data_inputs(n) != 2)
        return BL_OK;
    for (size_t k = 0; k < 2 && !*out; k++) {
        const bli_tf_node *product = from(c, n->inputs[k]), *vector = from(c, n->inputs[1 - k]);
        bli_tf_tensor t;
        size_t readers;
        if (product && strcmp(product->op, "Mul") == 0)
            product = from(c, product->inputs[0]); /* equalize(columns=true) */
        if (!product || !vector || strcmp(vector->op, "Const") != 0 ||
            !bli_tg_op_is(product->op, "Conv2D|DepthwiseConv2dNative|MatMul"))
            continue;
        bli_tg_users_of(&c->users, vector->name, &readers);
        BLI_TRY(bli_tf_get_tensor(c->job->store, vector, "value", &t));
        if (t.dtype == BLI_DT_FLOAT && t.rank == 1 && t.count > 0 && readers == 1)
            *out = vector;
    }
    return BL_OK;
}

static bl_status add_layer(correcting *c, size_t at, const bli_tf_index *origin)
{
    const bli_tf_node *n = c->g->nodes[at], *vector;
    bli_tf_tensor t;
    BLI_TRY(vector_of(c, n, &vector));
    if (!vector || bli_tf_index_find(origin, n->name, strlen(n->name)) == SIZE_MAX)
        return BL_OK;
    BLI_TRY(bli_tg_const_view(c->job->store, vector, BLI_DT_FLOAT, &t));
    biased *l = &c->layers[c->num_layers++];
    *l = (biased){at,
                  place(c, vector),
                  t.count,
                  bli_arena_array(c->arena, t.count, sizeof *l->was),
                  bli_arena_array(c->arena, t.count, sizeof *l->is),
                  0,
                  0};
    c->of_name[at] = l;
    return l->was && l->is ? BL_OK : BL_NO_MEMORY;
}

static bl_status find_layers(correcting *c)
{
    bli_tf_index origin;
    c->layers = bli_arena_array(c->arena, c->g->num_nodes + 1, sizeof *c->layers);
    c->of_name = bli_arena_array(c->arena, c->g->num_nodes + 1, sizeof *c->of_name);
    if (!c->layers || !c->of_name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_sort(c->g, true, &c->order, &c->num_order));
    BLI_TRY(bli_tf_index_make(c->job->origin, &origin));
    bl_status s = BL_OK;
    for (size_t i = 0; s == BL_OK && i < c->num_order; i++)
        s = add_layer(c, c->order[i], &origin);
    bli_tf_index_free(&origin);
    if (s == BL_OK && c->num_layers == 0)
        return bli_fail(c->job->ctx, BL_BAD_MODEL,
                        "no layer of the graph has a bias of its own that could be corrected");
    return s;
}

/* ---- means -------------------------------------------------------------------------------------------------------
 */

static void add_values(const bli_tf_arg *v, size_t channels, double *sums, double *count)
{
    const float *x = v->data;
    const int64_t n = bli_tf_count(v);
    if (v->dtype != BLI_DT_FLOAT || v->shape.rank < 1 || (size_t)v->shape.dim[v->shape.rank - 1] != channels)
        return;
    for (int64_t i = 0; i < n; i++)
        sums[(size_t)i % channels] += (double)x[i];
    *count += (double)n / (double)channels;
}

static bl_status on_call(void *user, const bli_tf_call *call)
{
    correcting *c = user;
    const size_t at = place(c, call->node);
    biased *l = at == SIZE_MAX ? NULL : c->of_name[at];
    if (l && !c->fetch)
        add_values(&call->out[0], l->channels, l->was, &l->count);
    else if (l && strcmp(call->node->name, c->fetch) == 0)
        add_values(&call->out[0], l->channels, l->is, &l->count_now);
    return BL_OK;
}

static bl_status run_sample(void *user, const bli_tf_feed *feed)
{
    correcting *c = user;
    const char *const *fetches = c->fetch ? &c->fetch : c->job->outputs.at;
    const size_t n = c->fetch ? 1 : c->job->outputs.count;
    bli_tf_array *out = bli_alloc_array(c->job->ctx, n + 1, sizeof *out);
    if (!out)
        return BL_NO_MEMORY;
    bl_status s = bli_tf_session_run(c->session, feed, 1, fetches, n, out);
    for (size_t i = 0; i < n; i++)
        bli_tf_array_release(&out[i]);
    bli_free(c->job->ctx, out);
    return s;
}

/* All layers of the graph that came in, or the one that is fetched. */
static bl_status measure(correcting *c, const bli_tf_graph *g, const char *fetch)
{
    const bli_tf_session_options o = {.plain = true, .on_call = on_call, .user = c};
    c->fetch = fetch;
    BLI_TRY(bli_tf_session_create(g, &o, &c->session));
    bl_status s = bli_tg_samples_each(&c->samples, run_sample, c);
    bli_tf_session_destroy(c->session);
    return s;
}

static bl_status correct(correcting *c, biased *l)
{
    const bli_tf_node *sum = c->g->nodes[l->at];
    const bli_tg_scaled *scaled = bli_tg_scaled_find(c->job, sum->name);
    bli_tf_store *s = c->job->store;
    bli_tf_tensor t;
    void *values;
    BLI_TRY(measure(c, c->g, sum->name));
    bli_tf_node *n = bli_tf_node_copy(s, c->g->nodes[l->vector]);
    if (!n || l->count == 0 || l->count_now == 0)
        return n ? BL_OK : BL_NO_MEMORY; /* the outputs do not need it */
    BLI_TRY(bli_tg_const_view(s, n, BLI_DT_FLOAT, &t));
    const bli_tf_value *v = bli_tf_value_tensor(s, BLI_DT_FLOAT, t.rank, t.dim, NULL, &values);
    BLI_TRY(bli_tf_node_set(s, n, "value", v));
    for (size_t i = 0; i < l->channels; i++) {
        const double by = scaled && scaled->count == l->channels ? (double)scaled->by[i] : 1;
        const double off = l->is[i] / l->count_now - l->was[i] / l->count / by;
        ((float *)values)[i] = (float)((double)((const float *)t.data)[i] - off);
    }
    c->g->nodes[l->vector] = n;
    return BL_OK;
}

/* ---- the pass ----------------------------------------------------------------------------------------------------
 */

static bl_status work(correcting *c)
{
    if (c->job->outputs.count == 0)
        return bli_fail(c->job->ctx, BL_USAGE, "--outputs is missing: what is to be run?");
    BLI_TRY(bli_tg_samples_find(c->job, c->g, &c->samples));
    if (c->samples.entry.bytes)
        return bli_fail(c->job->ctx, BL_UNSUPPORTED,
                        "the input takes bytes; correct_biases comes before quantize_nodes");
    BLI_TRY(find_layers(c));
    BLI_TRY(bli_within(c->job->ctx, measure(c, c->job->origin, NULL), "the graph as it came in"));
    for (size_t i = 0; i < c->num_layers; i++)
        BLI_TRY(correct(c, &c->layers[i]));
    bli_log(c->job->ctx, BL_LOG_INFO, "correct_biases: %zu layers", c->num_layers);
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    correcting c = {.job = job, .g = out};
    for (size_t i = 0; i < in->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, in->nodes[i]));
    BLI_TRY(bli_tg_users_make(in, &c.users));
    bl_status s = bli_arena_create(job->ctx, &c.arena);
    if (s == BL_OK)
        s = work(&c);
    bli_arena_destroy(c.arena);
    bli_tg_users_free(&c.users);
    return s;
}

static const bli_tg_param params[] = {BLI_TG_SAMPLE_PARAMS, {0}};

const bli_tg_pass bli_tg_correct_biases = {
    .name = "correct_biases",
    .help = "gives layers with rounded weights the means that they had, by their biases, on real data",
    .params = params,
    .extension = true,
    .looks_back = true,
    .ops = "BiasAdd|Add|AddV2",
    .run = run};
