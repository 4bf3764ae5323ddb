/* spec.c: a Quantize node's attributes, parsed and checked once.
 *
 * Attributes that neither every quantizer nor this one knows are refused with the nearest known name.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op/quantizer/families.h"

static const bli_attr_spec common[] = {
    {"quantizer", BL_ATTR_STRING, false}, {"format", BL_ATTR_STRING, false}, {"granularity", BL_ATTR_STRING, false},
    {"axis", BL_ATTR_INT, false},         {"scale", BL_ATTR_STRING, false},  {"start", BL_ATTR_INT, false},
    {"zero_point", BL_ATTR_INT, false},   {"place", BL_ATTR_STRING, false},  {"first_scale", BL_ATTR_STRING, false},
};

const bli_attr_spec *bli_quant_option(const bli_quantizer *q, const char *name)
{
    for (size_t i = 0; i < BLI_COUNT(common); i++)
        if (strcmp(common[i].name, name) == 0)
            return &common[i];
    for (const bli_attr_spec *a = q->attrs; a && a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

bl_status bli_quant_unknown_option(bl_context *ctx, const bli_quantizer *q, const char *name)
{
    const char *known[64];
    size_t count = 0;
    for (; count < BLI_COUNT(common); count++)
        known[count] = common[count].name;
    for (const bli_attr_spec *a = q->attrs; a && a->name && count < BLI_COUNT(known); a++)
        known[count++] = a->name;
    const char *near = bli_nearest(name, known, count);
    return bli_fail(ctx, BL_BAD_VALUE, "quantizer %s has no option '%s'%s%s%s", q->name, name,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bl_status bli_quant_unknown_name(bl_context *ctx, const char *name)
{
    const char *near = bli_quantizer_nearest(name);
    return bli_fail(ctx, BL_BAD_VALUE, "unknown quantizer '%s'%s%s%s", name, near ? "; did you mean '" : "",
                    near ? near : "", near ? "'?" : "");
}

static bl_status check_options(bl_context *ctx, const bl_node *n, const bli_quantizer *q)
{
    static const char *const kinds[] = {
        [BL_ATTR_INT] = "an integer", [BL_ATTR_FLOAT] = "a number", [BL_ATTR_STRING] = "text"};
    for (int i = 0; i < n->num_attrs; i++) {
        const bl_attr *a = &n->attrs[i];
        const bli_attr_spec *spec = bli_quant_option(q, a->name);
        if (!spec)
            return bli_quant_unknown_option(ctx, q, a->name);
        if (a->kind != spec->kind)
            return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: expected %s", a->name, kinds[spec->kind]);
        if (bl_node_attr(n, a->name) != a)
            return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: it is there twice", a->name);
    }
    return BL_OK;
}

/* The index of text in words; known lists them for the refusal. */
static bl_status word(bl_context *ctx, const char *what, const char *text, const char *const *words, size_t count,
                      const char *known, int *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = (int)i;
            return BL_OK;
        }
    }
    const char *near = bli_nearest(text, words, count);
    if (near)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: unknown word '%s'; did you mean '%s'?", what, text, near);
    return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: '%s' is none of %s", what, text, known);
}

/* A finite number that is all of text. */
static bool number(const char *text, double *out)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || *end != 0 || !isfinite(v))
        return false;
    *out = v;
    return true;
}

static bl_status parse_scale(bl_context *ctx, const bl_node *n, bli_quant_spec *s)
{
    static const char *const words[] = {"1", "learned", "learned_po2", "po2", "auto"};
    s->scale = 1;
    const bl_attr *a = bl_node_attr(n, "scale");
    if (!a)
        return BL_OK;
    if (number(a->u.s, &s->scale)) {
        if (s->scale <= 0)
            return bli_fail(ctx, BL_BAD_VALUE, "attribute scale: %s is not above zero", a->u.s);
        s->scale = (double)(float)s->scale;
        if (s->scale <= 0 || isinf(s->scale))
            return bli_fail(ctx, BL_BAD_VALUE, "attribute scale: %s is not a float32 value", a->u.s);
        return BL_OK;
    }
    int rule = 0;
    BLI_TRY(word(ctx, "scale", a->u.s, words, BLI_COUNT(words), "a number, learned, learned_po2, po2, auto", &rule));
    s->scale_rule = (bli_scale_rule)rule;
    return BL_OK;
}

static bl_status parse_granularity(bl_context *ctx, const bl_node *n, bli_quant_spec *s)
{
    static const char *const words[] = {"tensor", "channel", "element"};
    int g = 0;
    BLI_TRY(word(ctx, "granularity", bl_node_string(n, "granularity", "tensor"), words, BLI_COUNT(words),
                 "tensor, channel, element", &g));
    s->granularity = (bli_granularity)g;
    int64_t axis;
    BLI_TRY(bli_option_int(ctx, n, "axis", -1, -BL_MAX_RANK, BL_MAX_RANK - 1, &axis));
    s->axis = (int)axis;
    return BL_OK;
}

static bl_status parse_first_scale(bl_context *ctx, const bl_node *n, bli_quant_spec *s)
{
    static const char *const words[] = {"given", "batch"};
    int rule = 0;
    if (!bl_node_attr(n, "first_scale"))
        return BL_OK;
    BLI_TRY(word(ctx, "first_scale", bl_node_string(n, "first_scale", "given"), words, BLI_COUNT(words), "given, batch",
                 &rule));
    s->first_from_batch = rule == 1;
    if (!s->first_from_batch)
        return BL_OK;
    if (!bli_quant_needs_scale(s))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute first_scale: quantizer %s with this scale learns none",
                        s->quantizer->name);
    if (!s->batched)
        return bli_fail(ctx, BL_BAD_VALUE,
                        "attribute first_scale: a parameter's scale starts from the parameter, "
                        "batch is for inputs and activations");
    return BL_OK;
}

bl_status bli_quant_spec_parse(bl_context *ctx, const bl_node *n, bool batched, bli_arena *arena, bli_quant_spec **out)
{
    *out = NULL;
    const char *name = bl_node_string(n, "quantizer", "ste");
    const bli_quantizer *q = bli_quantizer_find(name);
    if (!q)
        return bli_quant_unknown_name(ctx, name);
    BLI_TRY(check_options(ctx, n, q));
    bli_quant_spec *s = bli_arena_alloc(arena, sizeof(*s));
    if (!s)
        return BL_NO_MEMORY;
    s->quantizer = q;
    s->batched = batched;
    const char *format = bl_node_string(n, "format", NULL);
    if (format) {
        BLI_TRY(bli_within(ctx, bl_format_parse(ctx, format, &s->format), "attribute format"));
        s->has_format = true;
    } else if (q->needs_format) {
        return bli_fail(ctx, BL_BAD_VALUE, "quantizer %s needs attribute format", q->name);
    }
    BLI_TRY(parse_scale(ctx, n, s));
    BLI_TRY(parse_granularity(ctx, n, s));
    BLI_TRY(bli_option_int(ctx, n, "start", 0, 0, INT64_MAX, &s->start));
    BLI_TRY(bli_option_int(ctx, n, "zero_point", 0, INT32_MIN, INT32_MAX, &s->zero_point));
    if (q->has_scale && bl_node_attr(n, "scale") && s->scale_rule != BLI_SCALE_LEARNED &&
        s->scale_rule != BLI_SCALE_LEARNED_PO2)
        return bli_fail(ctx, BL_BAD_VALUE,
                        "quantizer %s learns its scale: attribute scale may be learned or learned_po2", q->name);
    if (s->has_format && s->scale_rule != BLI_SCALE_NUMBER &&
        (s->format.kind == BL_FORMAT_MX || s->format.kind == BL_FORMAT_FLOAT32))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute scale: %s formats take a number only",
                        s->format.kind == BL_FORMAT_MX ? "mx" : "float32");
    if (q->has_scale && s->scale_rule == BLI_SCALE_NUMBER)
        s->scale_rule = BLI_SCALE_LEARNED;
    BLI_TRY(parse_first_scale(ctx, n, s));
    if (s->has_format)
        BLI_TRY(bli_within(ctx, bli_grid_check(ctx, &s->format, s->scale, s->zero_point, false), "attribute scale"));
    if (q->setup)
        BLI_TRY(bli_within(ctx, q->setup(ctx, n, arena, s), "quantizer %s", q->name));
    if (batched && bli_quant_whole_tensor(s))
        return bli_fail(ctx, BL_BAD_VALUE,
                        "quantizer %s takes its scale from the data, which only parameters allow; give activations a "
                        "number or a learned scale",
                        q->name);
    *out = s;
    return BL_OK;
}

bool bli_quant_needs_scale(const bli_quant_spec *s)
{
    return s->quantizer->has_scale || s->scale_rule == BLI_SCALE_LEARNED || s->scale_rule == BLI_SCALE_LEARNED_PO2;
}

bool bli_quant_whole_tensor(const bli_quant_spec *s)
{
    if (s->scale_rule == BLI_SCALE_PO2 || s->scale_rule == BLI_SCALE_AUTO)
        return true;
    return s->quantizer->whole_tensor && s->quantizer->whole_tensor(s);
}

static int axis_of(const bli_quant_spec *s, const bl_shape *x)
{
    return s->axis < 0 ? s->axis + x->rank : s->axis;
}

bli_groups bli_quant_grouping(const bli_quant_spec *s, const bl_shape *x)
{
    bli_groups g = {1, 1};
    int axis = axis_of(s, x);
    int first = s->granularity == BLI_PER_ELEMENT ? (s->batched ? 1 : 0) : axis;
    int last = s->granularity == BLI_PER_ELEMENT ? x->rank - 1 : axis;
    if (s->granularity == BLI_PER_TENSOR || first < 0 || last >= x->rank)
        return g;
    for (int d = first; d < x->rank; d++) {
        size_t dim = (size_t)(x->dim[d] < 0 ? 1 : x->dim[d]);
        if (d <= last)
            g.count *= dim;
        else
            g.inner *= dim;
    }
    return g;
}

int64_t bli_quant_groups(const bli_quant_spec *s, const bl_shape *x)
{
    return (int64_t)bli_quant_grouping(s, x).count;
}

uint64_t bli_quant_first(const bli_call *c, const bli_quant_spec *s)
{
    if (!s->batched || c->in[0].shape.rank == 0)
        return 0;
    uint64_t row = 1;
    for (int d = 1; d < c->in[0].shape.rank; d++)
        row *= (uint64_t)c->in[0].shape.dim[d];
    return (uint64_t)c->first_row * row;
}

bl_status bli_option_int(bl_context *ctx, const bl_node *n, const char *name, int64_t fallback, int64_t least,
                         int64_t greatest, int64_t *out)
{
    const bl_attr *a = bl_node_attr(n, name);
    *out = fallback;
    if (!a)
        return BL_OK;
    if (a->u.i < least || a->u.i > greatest)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: %lld is outside of [%lld, %lld]", name, (long long)a->u.i,
                        (long long)least, (long long)greatest);
    *out = a->u.i;
    return BL_OK;
}

bl_status bli_alpha_parse(bl_context *ctx, const bl_node *n, bli_alpha *out)
{
    static const char *const words[] = {"none", "1", "auto", "auto_po2"};
    *out = (bli_alpha){BLI_ALPHA_NONE, 1};
    const bl_attr *a = bl_node_attr(n, "alpha");
    if (!a)
        return BL_OK;
    if (number(a->u.s, &out->value)) {
        out->kind = BLI_ALPHA_NUMBER;
        out->value = (double)(float)out->value;
        return out->value > 0 ? BL_OK : bli_fail(ctx, BL_BAD_VALUE, "attribute alpha: %s is not above zero", a->u.s);
    }
    int kind = 0;
    BLI_TRY(word(ctx, "alpha", a->u.s, words, BLI_COUNT(words), "none, a number, auto, auto_po2", &kind));
    out->kind = (bli_alpha_kind)kind;
    return BL_OK;
}
