/* pass_correct_biases.c: biases that make up for what rounding does to the means of a layer's sums.
 *
 * M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight Equalization and Bias
 * Correction", 2019, section 4.2, measured on data: layer by layer in the order of execution, the mean of every channel
 * behind the bias becomes that of the graph that came in.  A layer is Conv2D, DepthwiseConv2dNative or MatMul with a
 * constant vector added, whose name both graphs have; a vector that others read too stays.  Behind quantize_weights
 * that makes up for rounded weights, behind quantize_nodes for rounded values too: there a vector joins sums of 32 bits
 * (quantize_sum.c), whose means are taken before they become bytes.  Channels that equalize scaled are compared as they
 * were.
 */
#include <string.h>

#include "tf/array.h"
#include "tf/samples.h"
#include "tf/users.h"

typedef struct biased {
    const char *name; /* of the sum in the graph that came in */
    const char *seen; /* the node by which its values are seen now: it gives them, or reads them as codes */
    size_t vector;    /* the constant, a node of the graph as it is now */
    size_t channels;
    double *was, *is; /* sums over all values of each channel */
    double count, count_now;
} biased;

typedef struct correcting {
    const bli_tg_job *job;
    bli_tf_graph *g; /* grows better; its nodes are replaced one by one */
    bli_tg_samples samples;
    bli_tg_users users;  /* of the graph as it was handed in */
    bli_tf_index origin; /* of the graph that came in */
    bli_arena *arena;
    biased *layers;
    size_t num_layers;
    size_t *order, num_order;
    biased **of_origin; /* of the node of that place in origin, NULL: none */
    bli_tg_entry entry; /* of the graph that runs */
    bli_tf_session *session;
    const biased *now; /* the one that is looked at; NULL: all, in the graph that came in */
} correcting;

/* ---- layers ------------------------------------------------------------------------------------------------------
 */

static const bli_tf_node *from(const correcting *c, const char *input)
{
    return bli_tf_index_input(&c->users.ix, input);
}

/* Whether n is a constant vector of floats that is read once. */
static bl_status is_vector(const correcting *c, const bli_tf_node *n, bool *yes)
{
    bli_tf_tensor t;
    size_t readers;
    *yes = false;
    if (!n || strcmp(n->op, "Const") != 0)
        return BL_OK;
    bli_tg_users_of(&c->users, n->name, &readers);
    BLI_TRY(bli_tf_get_tensor(c->job->store, n, "value", &t));
    *yes = t.dtype == BLI_DT_FLOAT && t.rank == 1 && t.count > 0 && readers == 1;
    return BL_OK;
}

/* As floats, perhaps of sums of 32 bits. */
static bool is_product(const bli_tf_node *n)
{
    const bli_tf_value *type = n ? bli_tf_node_attr(n, "T") : NULL;
    return n && (bli_tg_op_is(n->op, "Conv2D|DepthwiseConv2dNative|MatMul") ||
                 (strcmp(n->op, "Dequantize") == 0 && type && type->type == (BliTf__DataType)BLI_DT_QINT32));
}

/* The constant vector that n adds to a product; NULL: it does not. */
static bl_status vector_of(const correcting *c, const bli_tf_node *n, const bli_tf_node **out)
{
    *out = NULL;
    if (!bli_tg_op_is(n->op, "BiasAdd|Add|AddV2") || bli_tg_data_inputs(n) != 2)
        return BL_OK;
    for (size_t k = 0; k < 2 && !*out; k++) {
        const bli_tf_node *product = from(c, n->inputs[k]), *vector = from(c, n->inputs[1 - k]);
        bool yes;
        if (product && strcmp(product->op, "Mul") == 0 && bli_tg_data_inputs(product) > 0)
            product = from(c, product->inputs[0]); /* equalize(columns=true) */
        BLI_TRY(is_vector(c, vector, &yes));
        *out = yes && is_product(product) ? vector : NULL;
    }
    return BL_OK;
}

/* The sum whose 32 bits n brings to bytes, and the constant vector that joined them; NULL: there is none. */
static bl_status joined_vector_of(const correcting *c, const bli_tf_node *n, const char **sum, const bli_tf_node **out)
{
    static const char end[] = "/eightbit/requantize";
    const size_t size = strlen(n->name), tail = sizeof end - 1;
    bool yes;
    *out = NULL;
    if (strcmp(n->op, "Requantize") != 0 || bli_tg_data_inputs(n) != 5 || size <= tail ||
        strcmp(n->name + size - tail, end) != 0)
        return BL_OK;
    *sum = bli_tf_text_copy(c->job->store, n->name, size - tail);
    const char *steps = *sum ? bli_tf_text(c->job->store, "%s/eightbit/offset_steps", *sum) : NULL;
    if (!steps)
        return BL_NO_MEMORY;
    const bli_tf_node *division = from(c, steps);
    if (!division || strcmp(division->op, "DivNoNan") != 0 || bli_tg_data_inputs(division) != 2)
        return BL_OK;
    const bli_tf_node *vector = from(c, division->inputs[0]);
    BLI_TRY(is_vector(c, vector, &yes));
    *out = yes ? vector : NULL;
    return BL_OK;
}

static bl_status add_layer(correcting *c, const bli_tf_node *n)
{
    const bli_tf_node *vector;
    const char *name = n->name;
    bli_tf_tensor t;
    BLI_TRY(vector_of(c, n, &vector));
    if (!vector)
        BLI_TRY(joined_vector_of(c, n, &name, &vector));
    const size_t at = vector ? bli_tf_index_find(&c->origin, name, strlen(name)) : SIZE_MAX;
    if (at == SIZE_MAX)
        return BL_OK;
    BLI_TRY(bli_tg_const_view(c->job->store, vector, BLI_DT_FLOAT, &t));
    biased *l = &c->layers[c->num_layers++];
    *l = (biased){.name = name,
                  .seen = n->name,
                  .vector = bli_tf_index_find(&c->users.ix, vector->name, strlen(vector->name)),
                  .channels = t.count,
                  .was = bli_arena_array(c->arena, t.count, sizeof *l->was),
                  .is = bli_arena_array(c->arena, t.count, sizeof *l->is)};
    c->of_origin[at] = l;
    return l->was && l->is ? BL_OK : BL_NO_MEMORY;
}

static bl_status find_layers(correcting *c)
{
    c->layers = bli_arena_array(c->arena, c->g->num_nodes + 1, sizeof *c->layers);
    c->of_origin = bli_arena_array(c->arena, c->job->origin->num_nodes + 1, sizeof *c->of_origin);
    if (!c->layers || !c->of_origin)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_sort(c->g, true, &c->order, &c->num_order));
    for (size_t i = 0; i < c->num_order; i++)
        BLI_TRY(add_layer(c, c->g->nodes[c->order[i]]));
    if (c->num_layers == 0)
        return bli_fail(c->job->ctx, BL_BAD_MODEL,
                        "no layer of the graph has a bias of its own that could be corrected");
    return BL_OK;
}

/* ---- means -------------------------------------------------------------------------------------------------------
 */

static bool has_channels(const bli_tf_arg *v, size_t channels)
{
    return v->shape.rank >= 1 && (size_t)v->shape.dim[v->shape.rank - 1] == channels;
}

static void add_values(const bli_tf_arg *v, size_t channels, double *sums, double *count)
{
    const float *x = v->data;
    const int64_t n = bli_tf_count(v);
    if (v->dtype != BLI_DT_FLOAT || !has_channels(v, channels))
        return;
    for (int64_t i = 0; i < n; i++)
        sums[(size_t)i % channels] += (double)x[i];
    *count += (double)n / (double)channels;
}

/* Codes of 32 bits, and their range. */
static void add_codes(const bli_tf_arg in[3], size_t channels, double *sums, double *count)
{
    const int64_t n = bli_tf_count(&in[0]);
    if (in[0].dtype != BLI_DT_QINT32 || !has_channels(&in[0], channels))
        return;
    const int32_t *codes = in[0].data;
    const double low = (double)*(const float *)in[1].data, high = (double)*(const float *)in[2].data;
    const double scale = (high - low) / 4294967295.0, offset = low + scale * 2147483648.0;
    for (int64_t i = 0; i < n; i++)
        sums[(size_t)i % channels] += scale * codes[i] + offset;
    *count += (double)n / (double)channels;
}

static bl_status on_call(void *user, const bli_tf_call *call)
{
    correcting *c = user;
    const biased *now = c->now;
    if (now && strcmp(call->node->name, now->seen) == 0) {
        biased *l = &c->layers[now - c->layers];
        if (strcmp(call->node->op, "Requantize") == 0)
            add_codes(call->in, l->channels, l->is, &l->count_now);
        else
            add_values(&call->out[0], l->channels, l->is, &l->count_now);
    } else if (!now) {
        const size_t at = bli_tf_index_find(&c->origin, call->node->name, strlen(call->node->name));
        biased *l = at == SIZE_MAX ? NULL : c->of_origin[at];
        if (l)
            add_values(&call->out[0], l->channels, l->was, &l->count);
    }
    return BL_OK;
}

static bl_status run_sample(void *user, const bli_tf_feed *feed)
{
    correcting *c = user;
    bli_tg_job job = *c->job;
    const char *seen = c->now ? c->now->seen : NULL;
    if (seen)
        job.outputs = (bli_tg_names){1, &seen};
    const size_t n = job.outputs.count;
    bli_tf_array *out = bli_alloc_array(job.ctx, n + 1, sizeof *out);
    if (!out)
        return BL_NO_MEMORY;
    bl_status s = bli_tg_entry_run(&job, &c->entry, c->session, feed, out);
    for (size_t i = 0; i < n; i++)
        bli_tf_array_release(&out[i]);
    bli_free(job.ctx, out);
    return s;
}

/* That layer of the graph as it is, or all of the graph that came in. */
static bl_status measure(correcting *c, const bli_tf_graph *g, const biased *now)
{
    const bli_tf_session_options o = {.plain = true, .on_call = on_call, .user = c};
    c->now = now;
    BLI_TRY(bli_tg_entry_find(c->job, g, c->samples.entry.input, &c->entry));
    BLI_TRY(bli_tf_session_create(g, &o, &c->session));
    bl_status s = bli_tg_samples_each(&c->samples, run_sample, c);
    bli_tf_session_destroy(c->session);
    return s;
}

static bl_status correct(correcting *c, biased *l)
{
    const bli_tg_scaled *scaled = bli_tg_scaled_find(c->job, l->name);
    bli_tf_store *s = c->job->store;
    bli_tf_tensor t;
    void *values;
    BLI_TRY(measure(c, c->g, l));
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
    bl_status s = bli_tf_index_make(job->origin, &c.origin);
    if (s == BL_OK) {
        s = bli_arena_create(job->ctx, &c.arena);
        if (s == BL_OK)
            s = work(&c);
        bli_arena_destroy(c.arena);
        bli_tf_index_free(&c.origin);
    }
    bli_tg_users_free(&c.users);
    return s;
}

static const bli_tg_param params[] = {BLI_TG_SAMPLE_PARAMS, {0}};

const bli_tg_pass bli_tg_correct_biases = {
    .name = "correct_biases",
    .help = "gives layers with rounded weights or values the means that they had, by their biases, on real data",
    .params = params,
    .extension = true,
    .looks_back = true,
    .ops = "BiasAdd|Add|AddV2",
    .run = run};
