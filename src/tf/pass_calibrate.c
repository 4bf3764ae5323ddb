/* pass_calibrate.c: ranges that a graph finds while running, as constants found on real data.
 *
 * Points are: RequantizationRange, QuantizeDownAndShrinkRange (which becomes Requantize), and QuantizeV2 and
 * FakeQuantWithMinMaxVars whose ranges are not constants.  The graph runs on every sample as it is, each point looking
 * at what it reads; then all ranges are frozen at once.  What computed them goes.
 *
 * A point that only QuantizedRelu or QuantizedRelu6 reads need not cover what those cut off: its range ends at 0 (and
 * at 6), so that all codes are left for the rest.  Constants keep their extremes, whatever the method.
 */
#include <math.h>
#include <string.h>

#include "tf/eight.h"
#include "tf/samples.h"
#include "tf/spread.h"
#include "tf/users.h"

#define SMALLEST 0.01f /* range, as QuantizeV2 makes it at least */

typedef struct point_kind {
    const char *op;
    bool codes; /* it reads codes of 32 bits with a range, not floats */
    bool given; /* the range is given by inputs 1 and 2: only those not constant are points */
} point_kind;

static const point_kind kinds[] = {{"RequantizationRange", true, false},
                                   {"QuantizeDownAndShrinkRange", true, false},
                                   {"QuantizeV2", false, true},
                                   {"FakeQuantWithMinMaxVars", false, true}};

typedef struct point {
    const bli_tf_node *node;
    const point_kind *kind;
    bli_spread spread;
    bool constant;
} point;

typedef struct calibration {
    const bli_tg_job *job;
    const bli_tf_graph *g;
    const bli_spread_method *method;
    float percentile;
    bli_tg_samples samples;
    bli_tg_users users;
    bli_arena *arena;
    size_t *point_of; /* of node i, + 1; 0: it is none */
    point *points;
    size_t num_points;
    bli_tf_session *session;
    bool counting; /* the second look */
    int64_t runs;
} calibration;

/* ---- parameters --------------------------------------------------------------------------------------------------
 */

static bl_status find_method(const bli_tg_job *job, const bli_spread_method **out)
{
    const char *text, *names[16];
    size_t count = 0;
    BLI_TRY(bli_tg_arg_text(job, "method", "minmax", &text));
    for (const bli_spread_method *m = bli_spread_methods; m->name; m++) {
        *out = m;
        if (strcmp(m->name, text) == 0)
            return BL_OK;
        names[count++] = m->name;
    }
    return bli_unknown_name(job->ctx, "method", text, names, count);
}

static bl_status read_params(calibration *c)
{
    BLI_TRY(find_method(c->job, &c->method));
    BLI_TRY(bli_tg_arg_float(c->job, "percentile", 99.99f, &c->percentile));
    if (!(c->percentile > 50 && c->percentile <= 100))
        return bli_fail(c->job->ctx, BL_USAGE, "parameter 'percentile' is %g; expected above 50, at most 100",
                        (double)c->percentile);
    if (c->job->outputs.count == 0)
        return bli_fail(c->job->ctx, BL_USAGE, "--outputs is missing: what is to be run?");
    return bli_tg_samples_find(c->job, c->g, &c->samples);
}

/* ---- points ------------------------------------------------------------------------------------------------------
 */

static bool is_const(const calibration *c, const char *input)
{
    const bli_tf_node *n = bli_tf_index_input(&c->users.ix, input);
    return n && strcmp(n->op, "Const") == 0;
}

static const point_kind *kind_of(const calibration *c, const bli_tf_node *n)
{
    for (size_t i = 0; i < BLI_COUNT(kinds); i++)
        if (strcmp(kinds[i].op, n->op) == 0)
            return bli_tg_data_inputs(n) == 3 &&
                           !(kinds[i].given && is_const(c, n->inputs[1]) && is_const(c, n->inputs[2]))
                       ? &kinds[i]
                       : NULL;
    return NULL;
}

/* What the readers of a node's codes leave of them; whoever reads them otherwise needs all. */
static void narrow(const calibration *c, const char *name, int depth, float clip[2])
{
    size_t count;
    const bli_tg_use *use = bli_tg_users_of(&c->users, name, &count);
    float kept[2] = {INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++) {
        float one[2] = {-INFINITY, INFINITY};
        if (strcmp(use[i].node->op, "QuantizedRelu") == 0 || strcmp(use[i].node->op, "QuantizedRelu6") == 0)
            one[0] = 0;
        if (strcmp(use[i].node->op, "QuantizedRelu6") == 0)
            one[1] = 6;
        if (depth > 0 && strcmp(use[i].node->op, "Requantize") == 0)
            narrow(c, use[i].node->name, 0, one);
        kept[0] = one[0] < kept[0] ? one[0] : kept[0];
        kept[1] = one[1] > kept[1] ? one[1] : kept[1];
    }
    if (count > 0 && !bli_tg_names_has_node(&c->job->outputs, name))
        memcpy(clip, kept, sizeof kept);
}

static bl_status find_points(calibration *c)
{
    const size_t n = c->g->num_nodes;
    c->point_of = bli_arena_array(c->arena, n + 1, sizeof *c->point_of);
    c->points = bli_arena_array(c->arena, n + 1, sizeof *c->points);
    if (!c->point_of || !c->points)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const point_kind *kind = kind_of(c, c->g->nodes[i]);
        if (!kind)
            continue;
        point *p = &c->points[c->num_points++];
        *p = (point){.node = c->g->nodes[i], .kind = kind};
        bli_spread_start(&p->spread);
        narrow(c, p->node->name, strcmp(kind->op, "RequantizationRange") == 0, p->spread.clip);
        c->point_of[i] = c->num_points;
    }
    if (c->num_points == 0)
        return bli_fail(c->job->ctx, BL_BAD_MODEL,
                        "the graph finds no range while running; calibrate comes behind quantize_nodes");
    return BL_OK;
}

/* ---- looking -----------------------------------------------------------------------------------------------------
 */

static float float_in(const bli_tf_call *c, int input)
{
    return *(const float *)c->in[input].data;
}

static void look_at_extremes(point *p, const bli_tf_call *c)
{
    p->constant = c->in[0].constant;
    if (strcmp(p->kind->op, "RequantizationRange") == 0)
        bli_spread_extremes(&p->spread, *(const float *)c->out[0].data, *(const float *)c->out[1].data);
    else if (p->kind->codes)
        bli_spread_extremes(&p->spread, *(const float *)c->out[1].data, *(const float *)c->out[2].data);
    else
        bli_spread_extremes_of(&p->spread, c->in[0].data, bli_tf_count(&c->in[0]));
}

static void count(point *p, const bli_tf_call *c)
{
    const int64_t n = bli_tf_count(&c->in[0]);
    if (!p->kind->codes) {
        bli_spread_count(&p->spread, c->in[0].data, n);
        return;
    }
    const double low = (double)float_in(c, 1), scale = ((double)float_in(c, 2) - low) / 4294967295.0;
    bli_spread_count_codes(&p->spread, c->in[0].data, n, scale, low + scale * 2147483648.0);
}

/* What the frozen graph will have: a range that ends where its readers cut.  Otherwise values that they drop would take
 * codes from all others while the ranges behind are found. */
static bl_status cut(const point *p, const bli_tf_call *c)
{
    const bool found = strcmp(p->kind->op, "RequantizationRange") == 0;
    const char *mode;
    if (p->constant || (!isfinite(p->spread.clip[0]) && !isfinite(p->spread.clip[1])) ||
        (!found && strcmp(p->kind->op, "QuantizeV2") != 0))
        return BL_OK;
    float *low = c->out[found ? 0 : 1].data, *high = c->out[found ? 1 : 2].data;
    float range[2] = {fmaxf(*low, p->spread.clip[0]), fminf(*high, p->spread.clip[1])};
    range[1] = fmaxf(range[0] + SMALLEST, range[1]);
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "mode", "MIN_COMBINED", &mode));
    if (!found && (strcmp(mode, "MIN_FIRST") != 0 || c->out[0].dtype != BLI_DT_QUINT8))
        return BL_OK;
    const bli_eight_how how = {.type = &bli_quint8, .mode = BLI_MIN_FIRST, .ensure_minimum_range = 0.01f};
    if (!found)
        bli_quantize(&how, c->in[0].data, bli_tf_count(&c->in[0]), range, c->out[0].data);
    *low = range[0];
    *high = range[1];
    return BL_OK;
}

static bl_status on_call(void *user, const bli_tf_call *call)
{
    calibration *c = user;
    const size_t at = bli_tf_index_find(&c->users.ix, call->node->name, strlen(call->node->name));
    if (at == SIZE_MAX || !c->point_of[at])
        return BL_OK;
    point *p = &c->points[c->point_of[at] - 1];
    if (p->kind->codes && call->in[0].dtype != BLI_DT_QINT32)
        return bli_fail(c->job->ctx, BL_UNSUPPORTED, "it reads %s; ranges are found of qint32",
                        bli_tf_dtype_name(call->in[0].dtype));
    if (c->counting && !p->constant)
        count(p, call);
    else if (!c->counting)
        look_at_extremes(p, call);
    if (p->spread.wrong)
        return bli_fail(c->job->ctx, BL_BAD_VALUE, "a value or a range that is not finite");
    return cut(p, call);
}

static bl_status run_sample(void *user, const bli_tf_feed *feed)
{
    calibration *c = user;
    const size_t n = c->job->outputs.count;
    bli_tf_array *out = bli_alloc_array(c->job->ctx, n + 1, sizeof *out);
    if (!out)
        return BL_NO_MEMORY;
    bl_status s = bli_tg_entry_run(c->job, &c->samples.entry, c->session, feed, out);
    for (size_t i = 0; i < n; i++)
        bli_tf_array_release(&out[i]);
    bli_free(c->job->ctx, out);
    c->runs++;
    return s;
}

static bl_status make_bins(calibration *c)
{
    for (size_t i = 0; i < c->num_points; i++)
        if (c->points[i].spread.found && !c->points[i].constant) {
            c->points[i].spread.bins = bli_arena_array(c->arena, BLI_SPREAD_BINS, sizeof(double));
            if (!c->points[i].spread.bins)
                return BL_NO_MEMORY;
        }
    return BL_OK;
}

static bl_status look_twice(calibration *c)
{
    BLI_TRY(bli_tg_samples_each(&c->samples, run_sample, c));
    if (!c->method->counts)
        return BL_OK;
    BLI_TRY(make_bins(c));
    c->counting = true;
    return bli_tg_samples_each(&c->samples, run_sample, c);
}

static bl_status look(calibration *c)
{
    const bli_tf_session_options o = {.plain = true, .on_call = on_call, .user = c};
    BLI_TRY(bli_tf_session_create(c->g, &o, &c->session));
    bl_status s = look_twice(c);
    bli_tf_session_destroy(c->session);
    return s;
}

/* ---- freezing ----------------------------------------------------------------------------------------------------
 */

static void choose(const calibration *c, const point *p, float range[2])
{
    const bool counted = p->spread.bins && p->spread.high > p->spread.low;
    (counted ? c->method : &bli_spread_methods[0])->choose(&p->spread, (double)c->percentile, range);
    range[1] = fmaxf(range[1], range[0] + SMALLEST); /* products refuse an empty one */
}

/* The node with a range that is there, or none where its readers take the constants. */
static bl_status freeze(calibration *c, const point *p, bli_tg_renames *renames, bli_tf_graph *out)
{
    bli_tf_store *s = c->job->store;
    float range[2];
    bli_tf_node *n = bli_tf_node_copy(s, p->node);
    const char *names[2] = {bli_tf_text(s, "%s/frozen_min", p->node->name),
                            bli_tf_text(s, "%s/frozen_max", p->node->name)};
    if (!n || !names[0] || !names[1])
        return BL_NO_MEMORY;
    choose(c, p, range);
    for (int k = 0; k < 2; k++) {
        BLI_TRY(bli_tg_add_float(out, names[k], range[k]));
        if (p->kind->given)
            BLI_TRY(bli_tf_node_set_input(s, n, (size_t)k + 1, names[k]));
    }
    if (strcmp(p->kind->op, "RequantizationRange") == 0) {
        for (int k = 0; k < 2; k++) {
            char *from = bli_tf_text(s, "%s:%d", p->node->name, k);
            if (!from)
                return BL_NO_MEMORY;
            BLI_TRY(bli_tg_renames_add(renames, from, names[k]));
        }
    } else if (p->kind->codes) {
        bli_tf_node *made;
        BLI_TRY(bli_tg_add_node(out, "Requantize", n->name,
                                (const char *[]){n->inputs[0], n->inputs[1], n->inputs[2], names[0], names[1], NULL},
                                &made));
        for (size_t k = 3; k < n->num_inputs; k++)
            BLI_TRY(bli_tf_node_add_input(s, made, n->inputs[k]));
        BLI_TRY(bli_tg_copy_attr(s, made, "Tinput", n));
        return bli_tg_copy_attr(s, made, "out_type", n);
    }
    return bli_tf_graph_add(out, n);
}

static bl_status freeze_all(calibration *c, bli_tf_graph *out)
{
    bli_tg_renames renames;
    bli_tf_graph *frozen = bli_tf_graph_like(c->g), *renamed = bli_tf_graph_like(c->g);
    size_t count = 0;
    bli_tg_renames_init(&renames, c->job->store);
    if (!frozen || !renamed)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < c->g->num_nodes; i++) {
        const point *p = c->point_of[i] ? &c->points[c->point_of[i] - 1] : NULL;
        const bool seen = p && p->spread.found;
        count += seen;
        BLI_TRY(seen ? freeze(c, p, &renames, frozen) : bli_tf_graph_add(frozen, c->g->nodes[i]));
    }
    BLI_TRY(bli_tg_rename_inputs(&renames, frozen, NULL, renamed));
    bli_log(c->job->ctx, BL_LOG_INFO, "calibrate: %zu ranges, by %s on %lld samples", count, c->method->name,
            (long long)c->runs / (c->counting ? 2 : 1));
    if (count < c->num_points)
        bli_log(c->job->ctx, BL_LOG_WARNING, "calibrate: %zu ranges stay, which the outputs do not need",
                c->num_points - count);
    return bli_tg_drop_unread(c->job, c->g, renamed, out);
}

static bl_status calibrate(calibration *c, bli_tf_graph *out)
{
    BLI_TRY(find_points(c));
    BLI_TRY(look(c));
    return freeze_all(c, out);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    calibration c = {.job = job, .g = in};
    BLI_TRY(read_params(&c));
    BLI_TRY(bli_tg_users_make(in, &c.users));
    bl_status s = bli_arena_create(job->ctx, &c.arena);
    if (s == BL_OK)
        s = calibrate(&c, out);
    bli_arena_destroy(c.arena);
    bli_tg_users_free(&c.users);
    return s;
}

static const bli_tg_param params[] = {
    BLI_TG_SAMPLE_PARAMS,
    {"method", BLI_TG_TEXT, false, "minmax, percentile, kl or mse (minmax)"},
    {"percentile", BLI_TG_FLOAT, false, "percent of all values that a range keeps at either end (99.99)"},
    {0},
};

const bli_tg_pass bli_tg_calibrate = {.name = "calibrate",
                                      .help = "freezes all ranges of an eight-bit graph by running it on real data",
                                      .params = params,
                                      .extension = true,
                                      .ops = "RequantizationRange|QuantizeDownAndShrinkRange|QuantizeV2|"
                                             "FakeQuantWithMinMaxVars",
                                      .run = run};
