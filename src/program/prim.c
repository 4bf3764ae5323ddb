/* prim.c: the table of primitives, the table of their fields, and what rules share: inference of one op. */
#include "program/prim.h"

#include <stdio.h>
#include <string.h>

const bli_prim_rule *const bli_prim_rules[BLI_PRIM_COUNT] = {
    [BLI_PRIM_INPUT] = &bli_rule_input,
    [BLI_PRIM_CONST] = &bli_rule_const,
    [BLI_PRIM_DENSE] = &bli_rule_dense,
    [BLI_PRIM_CONV] = &bli_rule_conv,
    [BLI_PRIM_ADD] = &bli_rule_add,
    [BLI_PRIM_SUB] = &bli_rule_sub,
    [BLI_PRIM_MUL] = &bli_rule_mul,
    [BLI_PRIM_DOT] = &bli_rule_dot,
    [BLI_PRIM_AFFINE] = &bli_rule_affine,
    [BLI_PRIM_ROUND] = &bli_rule_round,
    [BLI_PRIM_OVERFLOW] = &bli_rule_overflow,
    [BLI_PRIM_CLAMP] = &bli_rule_clamp,
    [BLI_PRIM_MIN] = &bli_rule_min,
    [BLI_PRIM_MAX] = &bli_rule_max,
    [BLI_PRIM_ABS] = &bli_rule_abs,
    [BLI_PRIM_THRESHOLD] = &bli_rule_threshold,
    [BLI_PRIM_RESCALE] = &bli_rule_rescale,
    [BLI_PRIM_TABLE] = &bli_rule_table,
    [BLI_PRIM_MAXPOOL] = &bli_rule_maxpool,
    [BLI_PRIM_SUMPOOL] = &bli_rule_sumpool,
    [BLI_PRIM_REDUCE_SUM] = &bli_rule_reduce_sum,
    [BLI_PRIM_REDUCE_MAX] = &bli_rule_reduce_max,
    [BLI_PRIM_GATHER] = &bli_rule_gather,
    [BLI_PRIM_RESHAPE] = &bli_rule_reshape,
    [BLI_PRIM_CONCAT] = &bli_rule_concat,
    [BLI_PRIM_ARGMAX] = &bli_rule_argmax,
};

static const struct {
    const char *word;
    int inputs;
} words[BLI_PRIM_COUNT] = {
#define WORD(name, word, inputs, text) [BLI_PRIM_##name] = {word, inputs},
    BLI_PRIM_LIST(WORD)
#undef WORD
};

const bli_field_info bli_fields[BLI_FIELD_COUNT] = {
#define INFO(name, word, member, type, count)                                                                          \
    [BLI_FIELD_##                                                                                                      \
        name] = {word, offsetof(bli_prim_op, member), sizeof(((bli_prim_op *)0)->member), BLI_FIELD_IS_##type, count},
    BLI_FIELD_LIST(INFO)
#undef INFO
};

const char *bli_prim_word(bli_prim kind)
{
    return (unsigned)kind < BLI_PRIM_COUNT ? words[kind].word : "unknown";
}

bl_status bli_call_fail(const bli_call *c, bl_status s, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return bli_fail(c->ctx, s, "wire '%s' (%s): %s", c->name, bli_prim_word(c->op->kind), text);
}

static int64_t product(int64_t a, int64_t b)
{
    int64_t v;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &v) ? -1 : v;
}

int64_t bli_call_extent(const bli_call *c, bli_field f)
{
    const bli_prim_op *op = c->op;
    const int *kernel = op->window.kernel;
    switch (bli_prim_rules[op->kind]->extent[f]) {
    case BLI_EXTENT_CHANNELS:
    case BLI_EXTENT_OPTIONAL:
        return op->channels;
    case BLI_EXTENT_LENGTHS:
        return product(op->channels, op->length);
    case BLI_EXTENT_COUNT:
        return c->count;
    case BLI_EXTENT_DENSE:
        return product(bli_last(&c->in[0]->shape), op->channels);
    case BLI_EXTENT_CONV:
        if (op->window.groups < 1)
            return -1;
        return product(product(op->channels, bli_last(&c->in[0]->shape) / op->window.groups),
                       product(kernel[0], kernel[1]));
    default:
        return 0;
    }
}

/* ---- spans of a result ------------------------------------------------------------------------------------------ */

bl_status bli_call_spans(bli_call *c, int64_t n)
{
    c->num_spans = n;
    c->spans = bli_arena_array(c->scratch, (size_t)n, sizeof *c->spans);
    return c->spans != NULL ? BL_OK : BL_NO_MEMORY;
}

bl_status bli_call_set(bli_call *c, int64_t i, bli_wide_span s)
{
    if (bli_span_narrow(s, &c->spans[i]))
        return BL_OK;
    if (s.over)
        return bli_call_fail(c, BL_LIMIT, "element %lld needs more than 128 bits, past the 64 of a wire", (long long)i);
    return bli_call_fail(c, BL_LIMIT, "element %lld lies in %.6g .. %.6g, past the 64 bits of a wire", (long long)i,
                         (double)s.low, (double)s.high);
}

bl_status bli_call_elementwise(bli_call *c)
{
    const int64_t last = bli_last(&c->shape);
    int64_t n = c->op->channels > 1 ? last : 1;
    for (int k = 0; k < c->op->num_in; k++) {
        const bli_wire *w = c->in[k];
        if (w->num_spans == 1)
            continue;
        bool channel = w->num_spans == last && bli_last(&w->shape) == last;
        n = channel && n != c->count ? last : c->count;
    }
    return bli_call_spans(c, n);
}

bli_wide_span bli_call_in(const bli_call *c, int k, int64_t i)
{
    return bli_call_at(c, k, bli_broadcast_index(&c->shape, &c->in[k]->shape, i));
}

/* Equal spans throughout become one, rows that are alike become one row. */
static void shorten(bli_call *c)
{
    const int64_t last = bli_last(&c->shape), n = c->num_spans;
    bool one = true, row = true;
    for (int64_t i = 0; i < n; i++) {
        one = one && bli_span_equal(c->spans[i], c->spans[0]);
        row = row && bli_span_equal(c->spans[i], c->spans[i % last]);
    }
    c->num_spans = one ? 1 : row ? last : n;
}

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

int64_t bli_broadcast_index(const bl_shape *out, const bl_shape *in, int64_t i)
{
    if (bl_shape_equal(out, in))
        return i;
    int64_t index = 0, stride = 1;
    for (int d = out->rank - 1, e = in->rank - 1; e >= 0; d--, e--) {
        index += in->dim[e] == 1 ? 0 : i % out->dim[d] * stride;
        stride *= in->dim[e];
        i /= out->dim[d];
    }
    return index;
}

bl_status bli_shape_same(bli_call *c)
{
    c->shape = c->in[0]->shape;
    return BL_OK;
}

bl_status bli_shape_broadcast(bli_call *c)
{
    const bl_shape *a = &c->in[0]->shape, *b = &c->in[1]->shape;
    c->shape = a->rank >= b->rank ? *a : *b;
    for (int k = 1; k <= a->rank && k <= b->rank; k++) {
        int64_t p = a->dim[a->rank - k], q = b->dim[b->rank - k];
        if (p != q && p != 1 && q != 1)
            return bli_call_fail(c, BL_BAD_MODEL, "sizes %lld and %lld, %d from the end, do not broadcast",
                                 (long long)p, (long long)q, k);
        c->shape.dim[c->shape.rank - k] = p == 1 ? q : p;
    }
    return BL_OK;
}

static bl_status check_shape(bli_call *c)
{
    char text[200];
    bl_shape_print(&c->shape, text, sizeof text);
    if (c->shape.rank < 1 || c->shape.rank > BL_MAX_RANK)
        return bli_call_fail(c, BL_BAD_MODEL, "rank %d, expected 1 to %d", c->shape.rank, BL_MAX_RANK);
    c->count = bl_shape_count(&c->shape);
    if (c->count < 0)
        return bli_call_fail(c, BL_BAD_MODEL, "shape %s is not one of known sizes", text);
    if (c->count > BLI_WIRE_ELEMENTS)
        return bli_call_fail(c, BL_LIMIT, "shape %s has more than %lld elements", text, (long long)BLI_WIRE_ELEMENTS);
    return BL_OK;
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static bl_status check_unused(const bli_call *c)
{
    static const char zeros[sizeof(bli_prim_op)];
    const bli_prim_rule *rule = bli_prim_rules[c->op->kind];
    for (int f = 0; f < BLI_FIELD_COUNT; f++) {
        const bli_field_info *info = &bli_fields[f];
        bool used = (rule->fields >> f & 1) != 0 || rule->extent[f] != BLI_EXTENT_NONE;
        if (!used && memcmp((const char *)c->op + info->offset, zeros, info->size) != 0)
            return bli_call_fail(c, BL_BAD_MODEL, "field %s is given, but not used", info->word);
    }
    return BL_OK;
}

static bl_status check_inputs(const bli_call *c)
{
    int want = words[c->op->kind].inputs;
    if (want < 0 ? c->op->num_in < 1 || c->op->num_in > BLI_PRIM_MAX_IN : c->op->num_in != want)
        return bli_call_fail(c, BL_BAD_MODEL, "%d inputs, expected %d%s", c->op->num_in, want < 0 ? 1 : want,
                             want < 0 ? " to 16" : "");
    return BL_OK;
}

static bl_status check_arrays(const bli_call *c)
{
    const bli_prim_rule *rule = bli_prim_rules[c->op->kind];
    for (int f = 0; f < BLI_FIELD_COUNT; f++) {
        if (rule->extent[f] == BLI_EXTENT_NONE)
            continue;
        const int64_t *array = *bli_field_array((bli_prim_op *)(uintptr_t)c->op, (bli_field)f);
        int64_t n = bli_call_extent(c, (bli_field)f);
        if (n < 0 || n > BLI_WIRE_ELEMENTS)
            return bli_call_fail(c, BL_LIMIT, "%s has too many elements", bli_fields[f].word);
        if (array == NULL && n > 0 && rule->extent[f] != BLI_EXTENT_OPTIONAL)
            return bli_call_fail(c, BL_BAD_MODEL, "%s is missing", bli_fields[f].word);
    }
    return BL_OK;
}

static bl_status check_channels(const bli_call *c)
{
    const bli_prim_rule *rule = bli_prim_rules[c->op->kind];
    if ((rule->fields & BLI_HAS(LENGTH)) != 0 && c->op->length < 0)
        return bli_call_fail(c, BL_BAD_MODEL, "length is %lld", (long long)c->op->length);
    if ((rule->fields & BLI_HAS(CHANNELS)) == 0 || c->op->channels == 1 || c->op->channels == bli_last(&c->shape))
        return BL_OK;
    return bli_call_fail(c, BL_BAD_MODEL, "channels is %lld, expected 1 or %lld", (long long)c->op->channels,
                         (long long)bli_last(&c->shape));
}

bl_status bli_call_infer(bli_call *c)
{
    if ((unsigned)c->op->kind >= BLI_PRIM_COUNT)
        return bli_fail(c->ctx, BL_BAD_MODEL, "wire '%s': kind %d is no primitive", c->name, (int)c->op->kind);
    const bli_prim_rule *rule = bli_prim_rules[c->op->kind];
    BLI_TRY(check_inputs(c));
    BLI_TRY(check_unused(c));
    BLI_TRY(rule->shape(c));
    BLI_TRY(check_shape(c));
    BLI_TRY(check_channels(c));
    BLI_TRY(check_arrays(c));
    if (rule->check != NULL)
        BLI_TRY(rule->check(c));
    if (c->count == 0) {
        BLI_TRY(bli_call_spans(c, 1));
        return bli_call_set(c, 0, bli_span_exact(0));
    }
    BLI_TRY(rule->span(c));
    shorten(c);
    return BL_OK;
}
