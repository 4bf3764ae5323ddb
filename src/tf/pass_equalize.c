/* pass_equalize.c: channels scaled against each other across layers, so that one range a tensor fits all of them.
 *
 * M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-Free Quantization Through Weight Equalization and Bias
 * Correction", 2019, section 4.1.  Where a layer's channels go to the next layer through what is homogeneous (a bias
 * that is scaled too, Relu, LeakyRelu, pools, zeros around, nothing), channel c of the first is divided by s[c] and
 * channel c of the second multiplied by it: s = sqrt(r1 / r2) makes the greatest weights of both equal.  Rounds over
 * all links until nothing moves.  What the network computes stays, but for the rounding of floats.
 *
 * Relu6 is not homogeneous.  It stays, and a channel moves only as far as it never meets 6, before or after: a channel
 * whose values end at u <= 6 has s >= u / 6, every other one has s = 1.  The bound u follows from the weights where the
 * layer's inputs come from Relu6 themselves; with images it is what they give, and then no channel, of Relu either,
 * grows above the greatest of its tensor, which keeps the range that eight bits have to cover.
 *
 * It does not touch biases that are too large for their channel, nor layers that several read.  Length: pairs, bounds,
 * scales and what is written of them share one state.
 */
#include <math.h>
#include <string.h>

#include "tf/samples.h"
#include "tf/users.h"

typedef struct layer {
    const bli_tf_node *node, *weights;
    bli_tf_tensor view;
    float *w;               /* NULL: as they were */
    size_t outs, ins;       /* channels */
    size_t per_out, per_in; /* element i belongs to output channel i / per_out % outs, and so on */
    float *columns;         /* what the output channels were multiplied by; NULL: nothing */
    bool bounded;           /* what it reads lies within [0, 6] */
    const float *bias;      /* behind it; NULL: none */
} layer;

typedef struct link {
    size_t from, to; /* layers */
    size_t channels;
    const bli_tf_node *bias, *act; /* the constant; Relu, Relu6 or LeakyRelu; NULL: none */
    const bli_tf_node *bias_reader;
    size_t bias_input;
    const bli_tf_node *last; /* what the second layer reads */
    float *b;                /* the scaled bias */
    float *by, *bound;       /* all scales so far; the greatest value of each channel before any */
    float top;               /* no channel may grow above; INFINITY: any may */
    bool six;
} link;

/* A constant with other values, for one who reads it. */
typedef struct change {
    const bli_tf_node *from, *reader;
    size_t input;
    const char *what;
    const float *values;
} change;

typedef struct equalizing {
    const bli_tg_job *job;
    const bli_tf_graph *g;
    bli_tg_users users;
    bli_arena *arena;
    layer *layers;
    link *links;
    size_t num_layers, num_links;
    size_t *layer_of, *link_of; /* of node i, + 1; link_of: by its act, or its last node where it has none */
    bli_tf_session *session;
    bli_tg_samples samples;
    bool columns;
} equalizing;

/* ---- layers ------------------------------------------------------------------------------------------------------
 */

static const bli_tf_node *const_input(const equalizing *e, const bli_tf_node *n, size_t k)
{
    const bli_tf_node *from = k < bli_tg_data_inputs(n) ? bli_tf_index_input(&e->users.ix, n->inputs[k]) : NULL;
    return from && strcmp(from->op, "Const") == 0 ? from : NULL;
}

static bl_status float_const(const equalizing *e, const bli_tf_node *n, int rank, bli_tf_tensor *out, bool *yes)
{
    *yes = false;
    if (!n)
        return BL_OK;
    BLI_TRY(bli_tf_get_tensor(e->job->store, n, "value", out));
    *yes = out->dtype == BLI_DT_FLOAT && out->rank == rank && out->count > 0;
    return BL_OK;
}

/* Which channels an element of the weights belongs to. */
static bl_status lay_out(const equalizing *e, layer *l, bool *yes)
{
    const int64_t *d = l->view.dim;
    bool turned = false, turned_x = false;
    if (strcmp(l->node->op, "MatMul") == 0) {
        BLI_TRY(bli_tf_bool_or(e->job->ctx, l->node, "transpose_b", false, &turned));
        BLI_TRY(bli_tf_bool_or(e->job->ctx, l->node, "transpose_a", false, &turned_x));
        *yes = !turned_x;
        l->outs = (size_t)d[turned ? 0 : 1];
        l->ins = (size_t)d[turned ? 1 : 0];
    } else {
        l->ins = (size_t)d[2];
        l->outs = (size_t)d[3] * (strcmp(l->node->op, "Conv2D") == 0 ? 1 : l->ins);
    }
    l->per_out = turned ? l->ins : 1;
    l->per_in = turned ? 1 : (size_t)d[l->view.rank - 1];
    return BL_OK;
}

static bl_status find_layers(equalizing *e)
{
    const size_t n = e->g->num_nodes;
    e->layers = bli_arena_array(e->arena, n + 1, sizeof *e->layers);
    e->layer_of = bli_arena_array(e->arena, n + 1, sizeof *e->layer_of);
    e->link_of = bli_arena_array(e->arena, n + 1, sizeof *e->link_of);
    if (!e->layers || !e->layer_of || !e->link_of)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        layer l = {.node = e->g->nodes[i]};
        bool yes;
        if (!bli_tg_op_is(l.node->op, "Conv2D|DepthwiseConv2dNative|MatMul") || bli_tg_data_inputs(l.node) != 2)
            continue;
        l.weights = const_input(e, l.node, 1);
        BLI_TRY(float_const(e, l.weights, strcmp(l.node->op, "MatMul") == 0 ? 2 : 4, &l.view, &yes));
        if (yes)
            BLI_TRY(lay_out(e, &l, &yes));
        if (!yes)
            continue;
        e->layers[e->num_layers++] = l;
        e->layer_of[i] = e->num_layers;
    }
    return BL_OK;
}

/* ---- links -------------------------------------------------------------------------------------------------------
 */

static size_t place(const equalizing *e, const bli_tf_node *n)
{
    return bli_tf_index_find(&e->users.ix, n->name, strlen(n->name));
}

/* The one reader of n's first output, if nobody else sees n at all. */
static const bli_tf_node *only_reader(const equalizing *e, const bli_tf_node *n, size_t *input)
{
    size_t count;
    const bli_tg_use *use = bli_tg_users_of(&e->users, n->name, &count);
    if (count != 1 || use[0].port != 0 || bli_tg_names_has_node(&e->job->outputs, n->name) ||
        bli_tg_names_has_node(&e->job->inputs, n->name))
        return NULL;
    *input = use[0].input;
    return use[0].node;
}

/* No zeros beside the channels themselves. */
static bl_status pads_outside_only(const equalizing *e, const bli_tf_node *n, bool *yes)
{
    const bli_tf_node *pads = const_input(e, n, 1);
    bli_tf_tensor t;
    *yes = false;
    if (!pads)
        return BL_OK;
    BLI_TRY(bli_tf_get_tensor(e->job->store, pads, "value", &t));
    const int32_t *at = t.data;
    *yes = t.dtype == BLI_DT_INT32 && t.count >= 2 && at[t.count - 1] == 0 && at[t.count - 2] == 0;
    return BL_OK;
}

static bl_status is_last_channel(const equalizing *e, const bli_tf_node *n, bool *yes)
{
    const char *format;
    BLI_TRY(bli_tf_string_or(e->job->ctx, n, "data_format", "NHWC", &format));
    *yes = strcmp(format, "NHWC") == 0;
    return BL_OK;
}

/* Whether the link may go on through n, read at that input; notes bias and act. */
static bl_status goes_through(const equalizing *e, const bli_tf_node *n, size_t input, link *l, bool *yes)
{
    *yes = false;
    if (bli_tg_op_is(n->op, "BiasAdd|Add|AddV2")) {
        const bool either = strcmp(n->op, "BiasAdd") != 0;
        bli_tf_tensor t;
        const bli_tf_node *bias = input < 2 && (either || input == 0) ? const_input(e, n, 1 - input) : NULL;
        if (!l->bias && !l->act)
            BLI_TRY(float_const(e, bias, 1, &t, yes));
        *yes = *yes && t.count == l->channels;
        if (*yes) {
            l->bias = bias;
            l->bias_reader = n;
            l->bias_input = 1 - input;
        }
    } else if (bli_tg_op_is(n->op, "Relu|Relu6|LeakyRelu")) {
        *yes = !l->act;
        l->act = l->act ? l->act : n;
    } else if (bli_tg_op_is(n->op, "MaxPool|AvgPool")) {
        return is_last_channel(e, n, yes);
    } else if (strcmp(n->op, "Pad") == 0 && input == 0) {
        return pads_outside_only(e, n, yes);
    } else {
        *yes = bli_tg_op_is(n->op, "Identity|StopGradient|CheckNumerics");
    }
    return BL_OK;
}

/* From a layer to the next that reads it and nothing else. */
static bl_status follow(const equalizing *e, size_t from, link *l, bool *found)
{
    size_t input = 0;
    const bli_tf_node *at = e->layers[from].node, *next;
    bool through = true;
    *l = (link){.from = from, .channels = e->layers[from].outs, .top = INFINITY};
    *found = false;
    BLI_TRY(is_last_channel(e, at, &through));
    while (through && (next = only_reader(e, at, &input))) {
        const size_t to = e->layer_of[place(e, next)];
        l->last = at;
        if (to) {
            l->to = to - 1;
            *found = input == 0 && e->layers[l->to].ins == l->channels;
            return is_last_channel(e, next, &through);
        }
        BLI_TRY(goes_through(e, next, input, l, &through));
        at = next;
    }
    return BL_OK;
}

static bl_status copy_floats(bli_arena *arena, const bli_tf_tensor *t, float **out)
{
    if (*out)
        return BL_OK;
    *out = bli_arena_array(arena, t->count, sizeof **out);
    if (!*out)
        return BL_NO_MEMORY;
    memcpy(*out, t->data, t->count * sizeof **out);
    return BL_OK;
}

static bl_status open_link(equalizing *e, link *l)
{
    layer *a = &e->layers[l->from], *b = &e->layers[l->to];
    l->by = bli_arena_array(e->arena, l->channels, sizeof *l->by);
    l->bound = bli_arena_array(e->arena, l->channels, sizeof *l->bound);
    if (!l->by || !l->bound)
        return BL_NO_MEMORY;
    l->six = l->act && strcmp(l->act->op, "Relu6") == 0;
    b->bounded = l->six;
    for (size_t c = 0; c < l->channels; c++) {
        l->by[c] = 1;
        l->bound[c] = INFINITY;
    }
    if (l->bias) {
        bli_tf_tensor t;
        BLI_TRY(bli_tg_const_view(e->job->store, l->bias, BLI_DT_FLOAT, &t));
        a->bias = t.data;
        BLI_TRY(copy_floats(e->arena, &t, &l->b));
    }
    BLI_TRY(copy_floats(e->arena, &a->view, &a->w));
    BLI_TRY(copy_floats(e->arena, &b->view, &b->w));
    e->link_of[place(e, l->act ? l->act : l->last)] = e->num_links;
    return BL_OK;
}

static bl_status find_links(equalizing *e)
{
    e->links = bli_arena_array(e->arena, e->num_layers + 1, sizeof *e->links);
    if (!e->links)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < e->num_layers; i++) {
        link *l = &e->links[e->num_links];
        bool found;
        BLI_TRY(follow(e, i, l, &found));
        if (!found)
            continue;
        e->num_links++;
        BLI_TRY(open_link(e, l));
    }
    return BL_OK;
}

/* ---- bounds ------------------------------------------------------------------------------------------------------
 */

/* All inputs at the end that makes the channel greatest. */
static void bound_by_weights(const equalizing *e, link *l)
{
    const layer *a = &e->layers[l->from];
    const float *w = a->view.data;
    if (!l->six || !a->bounded)
        return;
    for (size_t c = 0; c < l->channels; c++)
        l->bound[c] = a->bias ? a->bias[c] : 0;
    for (size_t i = 0; i < a->view.count; i++)
        l->bound[i / a->per_out % a->outs] += w[i] > 0 ? 6 * w[i] : 0;
}

static bl_status on_call(void *user, const bli_tf_call *call)
{
    equalizing *e = user;
    const size_t at = place(e, call->node), k = at == SIZE_MAX ? 0 : e->link_of[at];
    link *l = k ? &e->links[k - 1] : NULL;
    const bli_tf_arg *v = !l ? NULL : l->act ? &call->in[0] : &call->out[0];
    if (!v || v->dtype != BLI_DT_FLOAT)
        return BL_OK;
    const int64_t n = bli_tf_count(v);
    const float *x = v->data;
    const bool both = !l->act || l->act->op[0] == 'L'; /* the sign is no matter */
    for (int64_t i = 0; i < n; i++) {
        float *most = &l->bound[(size_t)i % l->channels], size = both ? fabsf(x[i]) : x[i];
        *most = size > *most ? size : *most;
    }
    return BL_OK;
}

static bl_status run_sample(void *user, const bli_tf_feed *feed)
{
    equalizing *e = user;
    const size_t n = e->job->outputs.count;
    bli_tf_array *out = bli_alloc_array(e->job->ctx, n + 1, sizeof *out);
    if (!out)
        return BL_NO_MEMORY;
    bl_status s = bli_tg_entry_run(e->job, &e->samples.entry, e->session, feed, out);
    for (size_t i = 0; i < n; i++)
        bli_tf_array_release(&out[i]);
    bli_free(e->job->ctx, out);
    return s;
}

static bl_status bound_by_images(equalizing *e)
{
    const bli_tf_session_options o = {.plain = true, .on_call = on_call, .user = e};
    BLI_TRY(bli_tg_samples_find(e->job, e->g, &e->samples));
    for (size_t k = 0; k < e->num_links; k++)
        memset(e->links[k].bound, 0, e->links[k].channels * sizeof(float));
    BLI_TRY(bli_tf_session_create(e->g, &o, &e->session));
    bl_status s = bli_tg_samples_each(&e->samples, run_sample, e);
    bli_tf_session_destroy(e->session);
    for (size_t k = 0; k < e->num_links; k++) {
        link *l = &e->links[k];
        l->top = 0;
        for (size_t c = 0; c < l->channels; c++)
            l->top = l->bound[c] > l->top ? l->bound[c] : l->top;
    }
    return s;
}

static bl_status find_bounds(equalizing *e)
{
    if (bli_tg_arg_count(e->job, "images")) {
        if (e->job->outputs.count == 0)
            return bli_fail(e->job->ctx, BL_USAGE, "--outputs is missing: what is to be run?");
        BLI_TRY(bound_by_images(e));
    } else {
        for (size_t k = 0; k < e->num_links; k++)
            bound_by_weights(e, &e->links[k]);
    }
    for (size_t k = 0; k < e->num_links; k++)
        if (e->links[k].six)
            e->links[k].top = e->links[k].top < 6 ? e->links[k].top : 6;
    return BL_OK;
}

/* ---- scales ------------------------------------------------------------------------------------------------------
 */

/* The greatest weight of each channel: per i / per % channels. */
static void greatest(const layer *l, size_t per, size_t channels, float *out)
{
    memset(out, 0, channels * sizeof *out);
    for (size_t i = 0; i < l->view.count; i++) {
        float *most = &out[i / per % channels];
        *most = fabsf(l->w[i]) > *most ? fabsf(l->w[i]) : *most;
    }
}

static void scale(layer *l, size_t per, size_t channels, const float *by)
{
    for (size_t i = 0; i < l->view.count; i++)
        l->w[i] *= by[i / per % channels];
}

/* What channel c may still be divided by, nearest to the wish. */
static float allowed(const link *l, size_t c, float wish)
{
    if (l->six && !(l->bound[c] <= 6))
        return 1;
    const float least = isfinite(l->top) && l->top > 0 ? l->bound[c] / l->top / l->by[c] : 0;
    return wish > least ? wish : least;
}

/* One link; *moved: the farthest that a channel went, as a factor. */
static bl_status equalize_link(equalizing *e, link *l, float *moved)
{
    layer *a = &e->layers[l->from], *b = &e->layers[l->to];
    const size_t n = l->channels;
    float *r1 = bli_alloc_array(e->job->ctx, 4 * n, sizeof *r1), *r2 = r1 + n, *up = r1 + 2 * n, *down = r1 + 3 * n;
    if (!r1)
        return BL_NO_MEMORY;
    greatest(a, a->per_out, n, r1);
    greatest(b, b->per_in, n, r2);
    float most[2] = {0, 0};
    for (size_t c = 0; c < n; c++) {
        most[0] = r1[c] > most[0] ? r1[c] : most[0];
        most[1] = r2[c] > most[1] ? r2[c] : most[1];
    }
    for (size_t c = 0; c < n; c++) {
        const float wish = r1[c] > 0 && r2[c] > 0 ? sqrtf(r1[c] / most[0] * (most[1] / r2[c])) : 1;
        const float s = r1[c] > 0 && r2[c] > 0 && isfinite(wish) ? allowed(l, c, wish) : 1;
        const float far = s > 1 ? s : 1 / s;
        up[c] = s > 0 && isfinite(far) ? s : 1;
        down[c] = 1 / up[c];
        l->by[c] *= up[c];
        if (l->b)
            l->b[c] *= down[c];
        *moved = isfinite(far) && far > *moved ? far : *moved;
    }
    scale(a, a->per_out, n, down);
    scale(b, b->per_in, n, up);
    bli_free(e->job->ctx, r1);
    return BL_OK;
}

static bl_status equalize(equalizing *e, int64_t rounds, int64_t *done)
{
    const float still = 1.001f;
    float moved = INFINITY;
    for (*done = 0; *done < rounds && moved > still; ++*done) {
        moved = 1;
        for (size_t k = 0; k < e->num_links; k++)
            BLI_TRY(equalize_link(e, &e->links[k], &moved));
    }
    return BL_OK;
}

/* ---- columns -----------------------------------------------------------------------------------------------------
 */

/* Every output channel's greatest weight becomes the layer's; the graph multiplies the sums back.  Negative weights get
 * 128 codes and positive ones 127: then zero has a code, and no rounding decides which. */
static bl_status even_columns(equalizing *e, layer *l)
{
    const size_t n = l->outs;
    float *r = bli_arena_array(e->arena, n, sizeof *r), most = 0;
    l->columns = bli_arena_array(e->arena, n, sizeof *l->columns);
    if (!r || !l->columns)
        return BL_NO_MEMORY;
    BLI_TRY(copy_floats(e->arena, &l->view, &l->w));
    memset(r, 0, n * sizeof *r);
    for (size_t i = 0; i < l->view.count; i++) {
        float *size = &r[i / l->per_out % n];
        *size = fmaxf(*size, l->w[i] < 0 ? -l->w[i] : l->w[i] * (128.0f / 127));
    }
    for (size_t c = 0; c < n; c++)
        most = fmaxf(most, r[c]);
    for (size_t c = 0; c < n; c++) {
        l->columns[c] = r[c] > 0 && isfinite(most / r[c]) ? r[c] / most : 1;
        r[c] = 1 / l->columns[c];
    }
    scale(l, l->per_out, n, r);
    return BL_OK;
}

static bl_status all_columns(equalizing *e)
{
    for (size_t i = 0; e->columns && i < e->num_layers; i++) {
        bool nhwc;
        BLI_TRY(is_last_channel(e, e->layers[i].node, &nhwc));
        if (nhwc)
            BLI_TRY(even_columns(e, &e->layers[i]));
    }
    return BL_OK;
}

/* The layer by another name, and its product with the columns' scales by the old one. */
static bl_status add_layer(const equalizing *e, const layer *l, bli_tf_node *n, bli_tf_graph *out)
{
    bli_tf_store *s = e->job->store;
    const int64_t count = (int64_t)l->outs;
    const char *name = bli_tf_text(s, "%s/columns", n->name), *scales = bli_tf_text(s, "%s/column_scales", n->name);
    bli_tf_node *product, *copy = bli_tf_node_copy(s, n);
    if (!name || !scales || !copy)
        return BL_NO_MEMORY;
    copy->name = name;
    BLI_TRY(bli_tf_graph_add(out, copy));
    BLI_TRY(bli_tg_add_const(out, scales, BLI_DT_FLOAT, 1, &count, l->columns, NULL, NULL));
    BLI_TRY(bli_tg_add_node(out, "Mul", n->name, (const char *[]){name, scales, NULL}, &product));
    return bli_tg_set_type(s, product, "T", BLI_DT_FLOAT);
}

/* ---- the graph ---------------------------------------------------------------------------------------------------
 */

static bool is_alone(const equalizing *e, const bli_tf_node *n)
{
    size_t count;
    bli_tg_users_of(&e->users, n->name, &count);
    return count == 1 && !bli_tg_names_has_node(&e->job->outputs, n->name);
}

static bl_status add_values(const equalizing *e, const change *c, const char *name, bli_tf_graph *out)
{
    bli_tf_store *s = e->job->store;
    bli_tf_node *n = bli_tf_node_copy(s, c->from);
    bli_tf_tensor t;
    if (!n || !name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_const_view(s, c->from, BLI_DT_FLOAT, &t));
    n->name = name;
    BLI_TRY(bli_tf_node_set(s, n, "value", bli_tf_value_tensor(s, BLI_DT_FLOAT, t.rank, t.dim, c->values, NULL)));
    return bli_tf_graph_add(out, n);
}

/* A constant with its new values, or a reader of one that others read as it was: that gets a copy. */
static bl_status add_node(const equalizing *e, const change *changes, size_t count, bli_tf_node *n, bli_tf_graph *out)
{
    bli_tf_store *s = e->job->store;
    bli_tf_node *changed = NULL;
    for (size_t k = 0; k < count; k++) {
        const change *c = &changes[k];
        const bool alone = is_alone(e, c->from);
        if (alone && c->from == n)
            return add_values(e, c, n->name, out);
        if (alone || c->reader != n)
            continue;
        const char *name = bli_tf_text(s, "%s_equalized_%s", n->name, c->what);
        changed = changed ? changed : bli_tf_node_copy(s, n);
        if (!changed)
            return BL_NO_MEMORY;
        BLI_TRY(add_values(e, c, name, out));
        BLI_TRY(bli_tf_node_set_input(s, changed, c->input, name));
    }
    const size_t at = place(e, n), k = at == SIZE_MAX ? 0 : e->layer_of[at];
    if (k && e->layers[k - 1].columns)
        return add_layer(e, &e->layers[k - 1], changed ? changed : n, out);
    return bli_tf_graph_add(out, changed ? changed : n);
}

static bl_status find_changes(const equalizing *e, change *changes, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < e->num_layers; i++)
        if (e->layers[i].w)
            changes[(*count)++] = (change){e->layers[i].weights, e->layers[i].node, 1, "weights", e->layers[i].w};
    for (size_t k = 0; k < e->num_links; k++)
        if (e->links[k].b)
            changes[(*count)++] =
                (change){e->links[k].bias, e->links[k].bias_reader, e->links[k].bias_input, "bias", e->links[k].b};
    return BL_OK;
}

static bl_status write(const equalizing *e, bli_tf_graph *out)
{
    size_t count;
    bli_tf_graph *made = bli_tf_graph_like(e->g);
    change *changes = bli_arena_array(e->arena, e->num_layers + e->num_links + 1, sizeof *changes);
    if (!changes || !made)
        return BL_NO_MEMORY;
    BLI_TRY(find_changes(e, changes, &count));
    for (size_t i = 0; i < e->g->num_nodes; i++)
        BLI_TRY(add_node(e, changes, count, e->g->nodes[i], made));
    return bli_tg_drop_unread(e->job, e->g, made, out);
}

/* Tells check which values are not what they were. */
static bl_status note(const equalizing *e, const link *l)
{
    size_t input;
    for (const bli_tf_node *at = e->layers[l->from].node;; at = only_reader(e, at, &input)) {
        BLI_TRY(bli_tg_scaled_add(e->job, at->name, l->by, l->channels));
        if (at == l->last)
            return BL_OK;
    }
}

static bl_status work(equalizing *e, bli_tf_graph *out)
{
    int64_t rounds, done;
    BLI_TRY(bli_tg_arg_int(e->job, "rounds", 20, &rounds));
    if (rounds < 1 || rounds > 1000)
        return bli_fail(e->job->ctx, BL_USAGE, "parameter 'rounds' is %lld; expected 1 to 1000", (long long)rounds);
    BLI_TRY(bli_tg_arg_bool(e->job, "columns", false, &e->columns));
    BLI_TRY(find_layers(e));
    BLI_TRY(find_links(e));
    BLI_TRY(find_bounds(e));
    BLI_TRY(equalize(e, rounds, &done));
    BLI_TRY(all_columns(e));
    for (size_t k = 0; k < e->num_links; k++)
        BLI_TRY(note(e, &e->links[k]));
    bli_log(e->job->ctx, BL_LOG_INFO, "equalize: %zu pairs of layers, %lld rounds", e->num_links, (long long)done);
    return write(e, out);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    equalizing e = {.job = job, .g = in};
    BLI_TRY(bli_tg_users_make(in, &e.users));
    bl_status s = bli_arena_create(job->ctx, &e.arena);
    if (s == BL_OK)
        s = work(&e, out);
    bli_arena_destroy(e.arena);
    bli_tg_users_free(&e.users);
    return s;
}

static const bli_tg_param params[] = {
    BLI_TG_SAMPLE_PARAMS,
    {"rounds", BLI_TG_INT, false, "over all layers, unless nothing moves before (20)"},
    {"columns", BLI_TG_BOOL, false, "every output channel's weights to the layer's greatest, and a Mul behind (false)"},
    {0},
};

const bli_tg_pass bli_tg_equalize = {.name = "equalize",
                                     .help = "scales channels across layers, so that eight bits a tensor fit them all",
                                     .params = params,
                                     .extension = true,
                                     .ops = "Conv2D|DepthwiseConv2dNative|MatMul",
                                     .run = run};
