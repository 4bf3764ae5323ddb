/* pass_quantize_nodes.c: float operators as eight-bit ones.
 *
 * Inputs that come as bytes; fake quantization moved below what keeps its order and made of quantizers; every operator
 * between quantizers of its own; then what lies between two eight-bit operators goes again.  Where defects are mended,
 * fake quantization moves only below operators that it commutes with, only float inputs become bytes, and ranges that
 * are constant do not take a way round through floats.
 */
#include <math.h>
#include <string.h>

#include "tf/quantize_op.h"

/* A pass of this file: it reads a graph and fills another. */
typedef bl_status (*step)(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out);

/* ---- inputs as bytes ----------------------------------------------------------------------------------------------
 */

static bl_status is_byte_input(const bli_tg_job *job, const bli_tf_node *n, bool *yes)
{
    int dtype;
    *yes = strcmp(n->op, "Placeholder") == 0;
    if (!*yes || job->compat)
        return BL_OK;
    BLI_TRY(bli_tf_get_type(job->ctx, n, "dtype", &dtype));
    *yes = dtype == BLI_DT_FLOAT;
    return BL_OK;
}

static bl_status quantize_placeholder(const bli_tf_node *n, const float range[2], bli_tg_renames *renames,
                                      bli_tf_graph *out)
{
    bli_tf_store *s = out->store;
    bli_tf_node *input = bli_tf_node_copy(s, n), *deq;
    char *min = bli_tf_text(s, "%s_eightbit/min", n->name), *max = bli_tf_text(s, "%s_eightbit/max", n->name);
    char *name = bli_tf_text(s, "%s_eightbit/dequantize", n->name), *from = bli_tf_text(s, "%s:0", n->name);
    if (!input || !min || !max || !name || !from)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_set_type(s, input, "dtype", BLI_DT_QUINT8));
    BLI_TRY(bli_tf_graph_add(out, input));
    BLI_TRY(bli_tg_add_float(out, min, range[0]));
    BLI_TRY(bli_tg_add_float(out, max, range[1]));
    BLI_TRY(bli_tg_add_node(out, "Dequantize", name, (const char *[]){n->name, min, max, NULL}, &deq));
    BLI_TRY(bli_tg_set_mode(s, deq, BLI_DT_QUINT8));
    return bli_tg_renames_add(renames, from, name);
}

/* The Dequantize that was made for an input reads it as it is. */
static bl_status read_dequantized(const bli_tg_renames *renames, const bli_tf_graph *g, bli_tf_graph *out)
{
    for (size_t i = 0; i < g->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(g->store, g->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        for (size_t k = 0; k < n->num_inputs; k++) {
            const char *to;
            BLI_TRY(bli_tg_renames_once(renames, n->inputs[k], &to));
            if (strcmp(to, n->name) != 0)
                n->inputs[k] = to;
        }
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static bl_status quantize_placeholders(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    float range[2] = {0, 0};
    bli_tg_renames renames;
    bli_tf_graph *made = bli_tf_graph_like(in);
    bli_tg_renames_init(&renames, in->store);
    if (!made)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_arg_float(q->job, "input_min", 0, &range[0]));
    BLI_TRY(bli_tg_arg_float(q->job, "input_max", 0, &range[1]));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bool bytes;
        BLI_TRY(is_byte_input(q->job, in->nodes[i], &bytes));
        if (bytes && bli_tg_arg_count(q->job, "input_min"))
            BLI_TRY(quantize_placeholder(in->nodes[i], range, &renames, made));
        else
            BLI_TRY(bli_tf_graph_add(made, in->nodes[i]));
    }
    return read_dequantized(&renames, made, out);
}

/* ---- fake quantization --------------------------------------------------------------------------------------------
 */

/* Operators that rounding and clamping commute with. */
static const char keeps_order[] = "Relu|MaxPool|Identity|Squeeze|StopGradient|CheckNumerics|PreventGradient";

/* A copy of the fake quantization below the chain, whose first node takes its name. */
static bl_status hoist(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *chain[3], *at = &f->match->inputs[0];
    const bli_tf_node *fq = f->match->node;
    size_t length = 0;
    for (; at->count == 1; at = &at->inputs[0])
        chain[length++] = at;
    for (size_t i = 0; i < length && !f->job->compat; i++)
        if (bli_tg_used_outside(f, chain[i]->node))
            return bli_tg_match_keep(f, out);
    bli_tf_node *moved = bli_tf_node_copy(f->store, fq);
    char *name = bli_tf_text(f->store, "%s_hoisted", fq->name);
    if (!moved || !name)
        return BL_NO_MEMORY;
    moved->name = name;
    BLI_TRY(bli_tg_add_copy(out, at->node));
    for (int k = 1; k <= 2; k++)
        BLI_TRY(bli_tg_add_copy(out, f->match->inputs[k].node));
    BLI_TRY(bli_tf_node_set_input(f->store, moved, 0, chain[length - 1]->node->inputs[0]));
    BLI_TRY(bli_tf_graph_add(out, moved));
    for (size_t i = length; i-- > 0;) {
        bli_tf_node *link = bli_tf_node_copy(f->store, chain[i]->node);
        if (!link)
            return BL_NO_MEMORY;
        if (i == length - 1)
            BLI_TRY(bli_tf_node_set_input(f->store, link, 0, name));
        if (i == 0)
            link->name = fq->name;
        BLI_TRY(bli_tf_graph_add(out, link));
    }
    return BL_OK;
}

static bl_status hoist_over(const bli_tg_quantizer *q, int links, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *op = q->job->compat ? "*" : keeps_order;
    const bli_tg_pattern any = {"*", 0, NULL}, one = {op, 1, &any}, two = {op, 1, &one}, three = {op, 1, &two};
    const bli_tg_pattern chain = links == 3 ? three : links == 2 ? two : one;
    const bli_tg_pattern pattern =
        BLI_TG_PATTERN("FakeQuantWithMinMaxVars", chain, {"Const", 0, NULL}, {"Const", 0, NULL});
    const bli_tg_rule rule = {&pattern, hoist, false, NULL};
    return bli_tg_replace(q->job, in, &rule, out, NULL);
}

static bl_status hoist3(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    return hoist_over(q, 3, in, out);
}

static bl_status hoist2(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    return hoist_over(q, 2, in, out);
}

static bl_status hoist1(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    return hoist_over(q, 1, in, out);
}

/* What the original passes over: bits and range of another kind. */
static bl_status is_plain_byte(const bli_tg_found *f, bool *yes)
{
    int64_t bits;
    bool narrow;
    BLI_TRY(bli_tf_int_or(f->job->ctx, f->match->node, "num_bits", 8, &bits));
    BLI_TRY(bli_tf_bool_or(f->job->ctx, f->match->node, "narrow_range", false, &narrow));
    *yes = f->job->compat || (bits == 8 && !narrow);
    return BL_OK;
}

static bl_status make_quantizers(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tf_node *fq = f->match->node;
    bli_tf_store *s = f->store;
    char *q = bli_tf_text(s, "%s_eightbit/quantize", fq->name), *r = bli_tf_text(s, "%s_eightbit/requantize", fq->name);
    bli_tf_node *n;
    bool yes;
    BLI_TRY(is_plain_byte(f, &yes));
    if (!yes)
        return bli_tg_match_keep(f, out);
    if (!q || !r)
        return BL_NO_MEMORY;
    for (int k = 0; k < 3; k++)
        if (k < 2 || f->match->inputs[1].node != f->match->inputs[2].node)
            BLI_TRY(bli_tg_add_copy(out, f->match->inputs[k].node));
    BLI_TRY(
        bli_tg_add_node(out, "QuantizeV2", q, (const char *[]){fq->inputs[0], fq->inputs[1], fq->inputs[2], NULL}, &n));
    BLI_TRY(bli_tg_set_mode(s, n, BLI_DT_QINT32));
    const char *const codes[] = {bli_tf_text(s, "%s:0", q),
                                 bli_tf_text(s, "%s:1", q),
                                 bli_tf_text(s, "%s:2", q),
                                 fq->inputs[1],
                                 fq->inputs[2],
                                 NULL};
    BLI_TRY(bli_tg_add_requantize(out, r, codes));
    const char *const bytes[] = {bli_tf_text(s, "%s:0", r), bli_tf_text(s, "%s:1", r), bli_tf_text(s, "%s:2", r), NULL};
    BLI_TRY(bli_tg_add_node(out, "Dequantize", fq->name, bytes, &n));
    return bytes[0] && bytes[1] && bytes[2] ? bli_tg_set_mode(s, n, BLI_DT_QUINT8) : BL_NO_MEMORY;
}

static bl_status convert_fake_quants(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern pattern =
        BLI_TG_PATTERN("FakeQuantWithMinMaxVars", {"*", 0, NULL}, {"Const", 0, NULL}, {"Const", 0, NULL});
    const bli_tg_rule rule = {&pattern, make_quantizers, false, NULL};
    return bli_tg_replace(q->job, in, &rule, out, NULL);
}

/* ---- operators ----------------------------------------------------------------------------------------------------
 */

/* The product at the end of what makes weights of packed codes (unpack.c): in bytes it would be rounded again. */
static bool unpacks(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    if (q->job->compat || strcmp(n->op, "Mul") != 0 || n->num_inputs != 2)
        return false;
    for (size_t k = 0; k < 2; k++) {
        const bli_tf_node *from = bli_tg_node_of(q, n->inputs[k]);
        if (!from || strcmp(from->op, "Cast") != 0)
            return false;
    }
    return true;
}

/* Whether a constant that n reads has an element that is no number, of which no range can be made. */
static bl_status reads_nonsense(const bli_tg_quantizer *q, const bli_tf_node *n, bool *yes)
{
    *yes = false;
    for (size_t k = 0; k < n->num_inputs && !q->job->compat; k++) {
        const bli_tf_node *from = bli_tg_node_of(q, n->inputs[k]);
        bli_tf_tensor t;
        if (!from || bli_tg_is_control(n->inputs[k]) || strcmp(from->op, "Const") != 0)
            continue;
        BLI_TRY(bli_tg_const_view(q->job->store, from, 0, &t));
        for (size_t i = 0; i < t.count && t.dtype == BLI_DT_FLOAT; i++) {
            const float v = ((const float *)t.data)[i];
            if (isfinite(v))
                continue;
            bli_log(
                q->job->ctx, BL_LOG_WARNING,
                "quantize_nodes: node '%s' (%s) stays float: element %zu of '%s' is %g, of which no range can be made",
                n->name, n->op, i, from->name, (double)v);
            *yes = true;
            return BL_OK;
        }
    }
    return BL_OK;
}

static bl_status quantize_one(const bli_tg_found *f, bli_tf_graph *out)
{
    bool nonsense;
    BLI_TRY(reads_nonsense(f->user, f->match->node, &nonsense));
    if (nonsense || unpacks(f->user, f->match->node))
        return bli_tg_match_keep(f, out);
    return bli_tg_quantize_node(f->user, f->match->node, out);
}

static bl_status quantize_known(bli_tg_quantizer *q, bli_tf_graph *out)
{
    const bli_tg_pattern pattern = {q->job->compat ? bli_tg_eight_ops : bli_tg_more_eight_ops, 0, NULL};
    const bli_tg_rule rule = {&pattern, quantize_one, true, q};
    return bli_tg_replace(q->job, q->g, &rule, out, NULL);
}

/* What with what is known of the graph. */
static bl_status knowing(const bli_tg_quantizer *q, const bli_tf_graph *in,
                         bl_status (*what)(bli_tg_quantizer *q, bli_tf_graph *out), bli_tf_graph *out)
{
    bli_tg_quantizer with = *q;
    bli_arena *arena;
    with.g = in;
    BLI_TRY(bli_arena_create(q->job->ctx, &arena));
    bl_status s = bli_tf_index_make(in, &with.ix);
    if (s == BL_OK) {
        if (!q->job->compat)
            s = bli_tg_know(&with, arena);
        if (s == BL_OK)
            s = what(&with, out);
        bli_tf_index_free(&with.ix);
    }
    bli_arena_destroy(arena);
    return s;
}

static bl_status quantize_ops(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    return knowing(q, in, quantize_known, out);
}

static bl_status keep(bli_tg_quantizer *q, bli_tf_graph *out)
{
    for (size_t i = 0; i < q->g->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, q->g->nodes[i]));
    return BL_OK;
}

static bl_status channels_last(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    return knowing(q, in, q->job->compat ? keep : bli_tg_channels_last, out);
}

/* ---- what lies between --------------------------------------------------------------------------------------------
 */

/* The later Requantize reads what the earlier one read. */
static bl_status join_requantize(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *later = f->match, *q = &later->inputs[0], *earlier = &q->inputs[0].inputs[0];
    const bli_tf_node *range[2] = {later->inputs[3].node, later->inputs[4].node};
    bli_tf_node *made = bli_tf_node_copy(f->store, later->node);
    if (!made)
        return BL_NO_MEMORY;
    for (size_t k = 0; k < 3; k++)
        BLI_TRY(bli_tf_node_set_input(f->store, made, k, earlier->node->inputs[k]));
    BLI_TRY(bli_tg_add_copy(out, earlier->inputs[0].node));
    for (int k = 0; k < 2; k++)
        if (k == 0 || range[0] != range[1])
            BLI_TRY(bli_tg_add_copy(out, range[k]));
    return bli_tf_graph_add(out, made);
}

static bl_status join_requantizes(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern any = {"*", 0, NULL}, fixed = {"Const", 0, NULL};
    const bli_tg_pattern range = {q->job->compat ? "RequantizationRange" : "RequantizationRange|Const", 0, NULL};
    const bli_tg_pattern earlier = BLI_TG_PATTERN("Requantize", any, any, any, range, range);
    const bli_tg_pattern deq = BLI_TG_PATTERN("Dequantize", earlier, any, any);
    const bli_tg_pattern quantize = BLI_TG_PATTERN("QuantizeV2", deq, fixed, fixed);
    const bli_tg_pattern later = BLI_TG_PATTERN("Requantize", quantize, any, any, fixed, fixed);
    const bli_tg_rule rule = {&later, join_requantize, false, NULL};
    return bli_tg_replace(q->job, in, &rule, out, NULL);
}

static bl_status merge(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tf_graph *merged;
    BLI_TRY(bli_tg_run_pass(q->job, "merge_duplicate_nodes", in, &merged));
    for (size_t i = 0; i < merged->num_nodes; i++)
        BLI_TRY(bli_tf_graph_add(out, merged->nodes[i]));
    return BL_OK;
}

/* A quantizer's outputs by the names of the bytes that were dequantized before it. */
static bl_status skip_pair(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tf_node *q = f->match->node, *deq = f->match->inputs[0].node;
    if (bli_tg_data_inputs(deq) != 3)
        return bli_tg_match_keep(f, out);
    for (int k = 0; k < 3; k++) {
        char *from = bli_tf_text(f->store, "%s:%d", q->name, k);
        if (!from)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_renames_add(f->user, from, deq->inputs[k]));
    }
    if (bli_tg_used_outside(f, deq) || bli_tg_names_has_node(&f->job->outputs, deq->name))
        return bli_tg_match_keep(f, out);
    return BL_OK;
}

static bl_status skip_pairs(const bli_tg_quantizer *q, const bli_tf_graph *in, bli_tf_graph *out)
{
    bli_tg_renames renames;
    bli_tf_graph *left = bli_tf_graph_like(in);
    const bli_tg_pattern pattern =
        BLI_TG_PATTERN("QuantizeV2", {"Dequantize", 0, NULL}, {"Min", 0, NULL}, {"Max", 0, NULL});
    const bli_tg_rule rule = {&pattern, skip_pair, true, &renames};
    bli_tg_renames_init(&renames, in->store);
    if (!left)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_replace(q->job, in, &rule, left, NULL));
    return bli_tg_rename_inputs(&renames, left, NULL, out);
}

/* ---- the whole ----------------------------------------------------------------------------------------------------
 */

static bl_status both_or_none(const bli_tg_job *job, const char *a, const char *b, bool *given)
{
    *given = bli_tg_arg_count(job, a) > 0;
    if (*given != (bli_tg_arg_count(job, b) > 0))
        return bli_fail(job->ctx, BL_USAGE, "parameters '%s' and '%s' come together; expected both or none", a, b);
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    static const step steps[] = {quantize_placeholders, channels_last, hoist3,           hoist2, hoist1,
                                 convert_fake_quants,   quantize_ops,  join_requantizes, merge,  skip_pairs};
    bli_tg_quantizer q = {.job = job, .keeps_ranges = !job->compat && !bli_tg_arg_count(job, "per_channel")};
    bool input;
    BLI_TRY(both_or_none(job, "input_min", "input_max", &input));
    BLI_TRY(both_or_none(job, "fallback_min", "fallback_max", &q.has_fallback));
    BLI_TRY(bli_tg_arg_bool(job, "per_channel", false, &q.per_channel));
    BLI_TRY(bli_tg_arg_float(job, "fallback_min", 0, &q.fallback_min));
    BLI_TRY(bli_tg_arg_float(job, "fallback_max", 0, &q.fallback_max));
    const bli_tf_graph *now = in;
    for (size_t i = 0; i < BLI_COUNT(steps); i++) {
        bli_tf_graph *next = i + 1 < BLI_COUNT(steps) ? bli_tf_graph_like(in) : out;
        if (!next)
            return BL_NO_MEMORY;
        BLI_TRY(steps[i](&q, now, next));
        BLI_TRY(bli_tg_check_inputs(next));
        now = next;
    }
    return BL_OK;
}

static const bli_tg_param params[] = {
    {"input_min", BLI_TG_FLOAT, false, "what the least byte of an input means (inputs stay floats)"},
    {"input_max", BLI_TG_FLOAT, false, "what the greatest means"},
    {"fallback_min", BLI_TG_FLOAT, false, "the range of all results of 32 bits (found while running)"},
    {"fallback_max", BLI_TG_FLOAT, false, "its other end"},
    {"ignore_op", BLI_TG_TEXT, true, "an operator that stays float"},
    {"per_channel", BLI_TG_BOOL, false,
     "weights have a range for each output channel (those that quantize_weights gave such ranges)"},
    {0},
};

const bli_tg_pass bli_tg_quantize_nodes = {.name = "quantize_nodes",
                                           .help = "float operators as eight-bit ones",
                                           .params = params,
                                           .own = "per_channel",
                                           .ops = bli_tg_eight_ops,
                                           .run = run};
