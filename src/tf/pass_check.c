/* pass_check.c: the graph as it is now beside the graph as it came in, on real data; one that got worse is refused.
 *
 * Both run on every sample.  An output's error is the root mean square of the difference as a share of the root mean
 * square of what it was; where values are no floats, the share of those that differ.  Layers that both graphs have, by
 * name, are compared alike, for the table only: floats as they are, bytes by what their range makes of them, channels
 * that equalize scaled by what they would have been.  The graph itself goes through unchanged.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tf/array.h"
#include "tf/eight.h"
#include "tf/samples.h"
#include "tf/users.h"

typedef struct sums {
    double wrong, size; /* of squares; or of elements */
    bool squares, bad;  /* bad: not finite where it was */
} sums;

typedef struct layer {
    const bli_tf_node *node; /* of the graph that came in */
    bool bytes;              /* now: codes with a range in outputs 1 and 2 */
    const bli_tg_scaled *scaled;
    float *was; /* in the run that is on; NULL: not seen */
    int64_t count;
    sums error;
} layer;

/* One of the two graphs. */
typedef struct side {
    struct checking *all;
    const bli_tf_graph *g;
    bli_tf_index ix;
    bli_tg_entry entry;
    bli_tf_session *session;
    size_t *layer_of; /* of node i, + 1; 0: none */
    bli_tf_array *out;
    bl_status (*look)(struct checking *c, layer *l, const bli_tf_call *call);
} side;

typedef struct checking {
    const bli_tg_job *job;
    bli_tg_samples samples;
    bli_arena *arena;
    side before, now;
    layer *layers;
    size_t num_layers;
    sums *errors;             /* of each output */
    int64_t runs, rows, kept; /* rows of the first output; those whose largest element stayed */
    float tolerance, agreement;
} checking;

/* ---- differences -------------------------------------------------------------------------------------------------
 */

static double error_of(const sums *s)
{
    if (s->bad)
        return INFINITY;
    const double share = s->wrong == 0 ? 0 : s->wrong / s->size;
    return s->squares ? sqrt(share) : share;
}

static void add_one(sums *s, double was, double is)
{
    s->squares = true;
    if (!isfinite(was))
        return;
    s->bad = s->bad || !isfinite(is);
    s->wrong += (is - was) * (is - was);
    s->size += was * was;
}

/* What is not float is right or wrong. */
static void add_elements(sums *s, const bli_tf_array *was, const bli_tf_array *is)
{
    const size_t element = bli_tf_dtype_size(was->dtype), all = bli_tf_array_bytes(was);
    for (size_t at = 0; element && at < all; at += element) {
        s->wrong += memcmp((const char *)was->data + at, (const char *)is->data + at, element) != 0;
        s->size++;
    }
}

static int64_t largest(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static void count_rows(checking *c, const bli_tf_array *was, const bli_tf_array *is)
{
    const int64_t n = bl_shape_count(&was->shape), row = was->shape.rank ? was->shape.dim[was->shape.rank - 1] : 1;
    for (int64_t at = 0; row > 0 && at < n; at += row) {
        c->rows++;
        c->kept += largest((const float *)was->data + at, row) == largest((const float *)is->data + at, row);
    }
}

static bl_status add_output(checking *c, size_t i)
{
    const bli_tf_array *was = &c->before.out[i], *is = &c->now.out[i];
    if (!was->data || !is->data || was->dtype != is->dtype || !bl_shape_equal(&was->shape, &is->shape)) {
        char shapes[2][160];
        bl_shape_print(&was->shape, shapes[0], sizeof shapes[0]);
        bl_shape_print(&is->shape, shapes[1], sizeof shapes[1]);
        return bli_fail(c->job->ctx, BL_MISMATCH, "output '%s' is %s %s, and was %s %s", c->job->outputs.at[i],
                        bli_tf_dtype_name(is->dtype), shapes[1], bli_tf_dtype_name(was->dtype), shapes[0]);
    }
    if (was->dtype != BLI_DT_FLOAT) {
        add_elements(&c->errors[i], was, is);
        return BL_OK;
    }
    const float *a = was->data, *b = is->data;
    for (int64_t k = 0; k < bl_shape_count(&was->shape); k++)
        add_one(&c->errors[i], (double)a[k], (double)b[k]);
    if (i == 0)
        count_rows(c, was, is);
    return BL_OK;
}

/* ---- layers ------------------------------------------------------------------------------------------------------
 */

static bl_status keep(checking *c, layer *l, const bli_tf_call *call)
{
    l->count = bli_tf_count(&call->out[0]);
    bli_free(c->job->ctx, l->was);
    l->was = bli_alloc_array(c->job->ctx, (size_t)l->count + 1, sizeof *l->was);
    if (!l->was)
        return BL_NO_MEMORY;
    memcpy(l->was, call->out[0].data, (size_t)l->count * sizeof *l->was);
    return BL_OK;
}

static bl_status compare(checking *c, layer *l, const bli_tf_call *call)
{
    const bl_shape *shape = &call->out[0].shape;
    const int64_t n = bli_tf_count(&call->out[0]), channels = shape->rank ? shape->dim[shape->rank - 1] : 1;
    const bool bytes = l->bytes && call->num_out == 3 && call->out[0].dtype == BLI_DT_QUINT8;
    const float *scale = l->scaled && (int64_t)l->scaled->count == channels ? l->scaled->by : NULL;
    bli_decoder d = {1, 0};
    (void)c;
    if (!l->was || n != l->count || (!bytes && call->out[0].dtype != BLI_DT_FLOAT))
        return BL_OK;
    if (bytes)
        d = bli_decoder_make(*(const float *)call->out[1].data, *(const float *)call->out[2].data, &bli_quint8);
    for (int64_t i = 0; i < n; i++) {
        const float v = bytes ? d.offset + (float)((const uint8_t *)call->out[0].data)[i] * d.scale
                              : ((const float *)call->out[0].data)[i];
        add_one(&l->error, (double)l->was[i], (double)v * (scale ? (double)scale[i % channels] : 1));
    }
    return BL_OK;
}

static bl_status on_call(void *user, const bli_tf_call *call)
{
    const side *s = user;
    const size_t at = bli_tf_index_find(&s->ix, call->node->name, strlen(call->node->name));
    const size_t k = at == SIZE_MAX ? 0 : s->layer_of[at];
    return k ? s->look(s->all, &s->all->layers[k - 1], call) : BL_OK;
}

/* The node that stands for n now: the one of its name, or what quantize_nodes made of it. */
static size_t counterpart(const checking *c, const bli_tf_node *n, bool *bytes)
{
    static const char *const ends[] = {"", "/eightbit/requantize", "/eightbit"};
    size_t at = SIZE_MAX;
    for (size_t i = 0; i < BLI_COUNT(ends) && at == SIZE_MAX; i++) {
        char name[1024];
        const int size = snprintf(name, sizeof name, "%s%s", n->name, ends[i]);
        *bytes = i > 0;
        if (size > 0 && (size_t)size < sizeof name)
            at = bli_tf_index_find(&c->now.ix, name, (size_t)size);
    }
    return at;
}

/* What only Relu and Relu6 read is compared behind them: calibrate leaves out what they cut off. */
static bool is_cut_off(const bli_tg_users *users, const bli_tf_node *n)
{
    size_t count;
    const bli_tg_use *use = bli_tg_users_of(users, n->name, &count);
    bool all = count > 0;
    for (size_t i = 0; i < count; i++)
        all = all && bli_tg_op_is(use[i].node->op, "Relu|Relu6");
    return all;
}

/* Layers are what computes floats: no constants, nothing that hands on its input. */
static void add_layer(checking *c, size_t i, const bli_tf_shapes *shapes, const bli_tg_users *users)
{
    const bli_tf_node *n = c->before.g->nodes[i];
    const bli_tf_op *op = bli_tf_op_find(n->op);
    bool bytes;
    if (!op || !op->run || bli_tg_data_inputs(n) == 0 || is_cut_off(users, n) ||
        (shapes->out && (shapes->num_out[i] < 1 || shapes->out[i][0].dtype != BLI_DT_FLOAT)))
        return;
    const size_t at = counterpart(c, n, &bytes);
    if (at == SIZE_MAX || c->now.layer_of[at])
        return;
    c->layers[c->num_layers++] = (layer){.node = n, .bytes = bytes, .scaled = bli_tg_scaled_find(c->job, n->name)};
    c->before.layer_of[i] = c->now.layer_of[at] = c->num_layers;
}

static bl_status find_layers(checking *c)
{
    bli_tf_shapes shapes = {NULL, NULL};
    bli_tg_users users;
    size_t *order, count;
    c->layers = bli_arena_array(c->arena, c->before.g->num_nodes + 1, sizeof *c->layers);
    if (!c->layers)
        return BL_NO_MEMORY;
    bl_status s = bli_tf_infer_graph(c->before.g, c->arena, &shapes); /* what is not known is found while running */
    if (s == BL_NO_MEMORY)
        return s;
    BLI_TRY(bli_tg_sort(c->before.g, true, &order, &count));
    BLI_TRY(bli_tg_users_make(c->before.g, &users));
    for (size_t i = 0; i < count; i++)
        add_layer(c, order[i], &shapes, &users);
    bli_tg_users_free(&users);
    return BL_OK;
}

/* ---- running -----------------------------------------------------------------------------------------------------
 */

static bl_status run_side(checking *c, side *s, const bli_tf_feed *x, const char *which)
{
    return bli_within(c->job->ctx, bli_tg_entry_run(c->job, &s->entry, s->session, x, s->out), "the graph %s", which);
}

static void release(checking *c)
{
    for (size_t i = 0; i < c->job->outputs.count; i++) {
        bli_tf_array_release(&c->before.out[i]);
        bli_tf_array_release(&c->now.out[i]);
    }
    for (size_t i = 0; i < c->num_layers; i++) {
        bli_free(c->job->ctx, c->layers[i].was);
        c->layers[i].was = NULL;
    }
}

static bl_status run_sample(void *user, const bli_tf_feed *x)
{
    checking *c = user;
    bl_status s = run_side(c, &c->before, x, "as it came in");
    if (s == BL_OK)
        s = run_side(c, &c->now, x, "as it is now");
    for (size_t i = 0; s == BL_OK && i < c->job->outputs.count; i++)
        s = add_output(c, i);
    release(c);
    c->runs++;
    return s;
}

static bl_status open_side(checking *c, side *s)
{
    const bli_tf_session_options o = {.plain = true, .on_call = on_call, .user = s};
    s->all = c;
    s->out = bli_arena_array(c->arena, c->job->outputs.count + 1, sizeof *s->out);
    s->layer_of = bli_arena_array(c->arena, s->g->num_nodes + 1, sizeof *s->layer_of);
    if (!s->out || !s->layer_of)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(s->g, &s->ix));
    BLI_TRY(bli_tg_entry_find(c->job, s->g, c->samples.entry.input, &s->entry));
    return bli_tf_session_create(s->g, &o, &s->session);
}

static void close_side(side *s)
{
    bli_tf_session_destroy(s->session);
    bli_tf_index_free(&s->ix);
}

/* ---- the verdict -------------------------------------------------------------------------------------------------
 */

static void say(const checking *c)
{
    bl_context *ctx = c->job->ctx;
    bli_log(ctx, BL_LOG_INFO, "check: errors on %lld samples, as a share of each layer's root mean square",
            (long long)c->runs);
    for (size_t i = 0; i < c->num_layers; i++)
        if (c->layers[i].error.squares)
            bli_log(ctx, BL_LOG_INFO, "%12.3e  %s (%s)", error_of(&c->layers[i].error), c->layers[i].node->name,
                    c->layers[i].node->op);
    for (size_t i = 0; i < c->job->outputs.count; i++)
        bli_log(ctx, BL_LOG_INFO, "%12.3e  output %s", error_of(&c->errors[i]), c->job->outputs.at[i]);
    if (c->rows)
        bli_log(ctx, BL_LOG_INFO, "check: the largest element stayed in %lld of %lld", (long long)c->kept,
                (long long)c->rows);
}

static bl_status judge(const checking *c)
{
    for (size_t i = 0; i < c->job->outputs.count; i++)
        if (!(error_of(&c->errors[i]) <= (double)c->tolerance))
            return bli_fail(c->job->ctx, BL_MISMATCH, "output '%s' has an error of %.3g; the tolerance is %g",
                            c->job->outputs.at[i], error_of(&c->errors[i]), (double)c->tolerance);
    if ((double)c->kept < (double)c->agreement * (double)c->rows)
        return bli_fail(c->job->ctx, BL_MISMATCH, "the largest element stayed in %lld of %lld; expected a share of %g",
                        (long long)c->kept, (long long)c->rows, (double)c->agreement);
    return BL_OK;
}

static bl_status check(checking *c)
{
    c->errors = bli_arena_array(c->arena, c->job->outputs.count + 1, sizeof *c->errors);
    if (!c->errors)
        return BL_NO_MEMORY;
    BLI_TRY(bli_within(c->job->ctx, open_side(c, &c->before), "the graph as it came in"));
    BLI_TRY(bli_within(c->job->ctx, open_side(c, &c->now), "the graph as it is now"));
    BLI_TRY(find_layers(c));
    BLI_TRY(bli_tg_samples_each(&c->samples, run_sample, c));
    say(c);
    return judge(c);
}

static bl_status read_params(checking *c)
{
    BLI_TRY(bli_tg_arg_float(c->job, "tolerance", 0.1f, &c->tolerance));
    BLI_TRY(bli_tg_arg_float(c->job, "agreement", 0, &c->agreement));
    if (!(c->tolerance >= 0))
        return bli_fail(c->job->ctx, BL_USAGE, "parameter 'tolerance' is %g; expected 0 or more", (double)c->tolerance);
    if (!(c->agreement >= 0 && c->agreement <= 1))
        return bli_fail(c->job->ctx, BL_USAGE, "parameter 'agreement' is %g; expected 0 to 1", (double)c->agreement);
    if (c->job->outputs.count == 0)
        return bli_fail(c->job->ctx, BL_USAGE, "--outputs is missing: what is to be compared?");
    return bli_tg_samples_find(c->job, c->before.g, &c->samples);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    checking c = {.job = job, .before = {.g = job->origin, .look = keep}, .now = {.g = in, .look = compare}};
    BLI_TRY(read_params(&c));
    BLI_TRY(bli_arena_create(job->ctx, &c.arena));
    bl_status s = check(&c);
    close_side(&c.before);
    close_side(&c.now);
    bli_arena_destroy(c.arena);
    for (size_t i = 0; s == BL_OK && i < in->num_nodes; i++)
        s = bli_tf_graph_add(out, in->nodes[i]);
    return s;
}

static const bli_tg_param params[] = {
    BLI_TG_SAMPLE_PARAMS,
    {"tolerance", BLI_TG_FLOAT, false, "the greatest error of an output, as a share of its root mean square (0.1)"},
    {"agreement", BLI_TG_FLOAT, false, "the least share of samples whose largest output stays (0)"},
    {0},
};

const bli_tg_pass bli_tg_check = {.name = "check",
                                  .help = "refuses a graph that got worse: runs it beside the one that came in",
                                  .params = params,
                                  .extension = true,
                                  .looks_back = true,
                                  .run = run};
