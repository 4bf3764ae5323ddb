/* precision.c: recipe entries into Quantize attributes.
 *
 * Both forms of an entry become one list of keys and texts; each text is turned into the kind that the quantizer's own
 * option list says, and the whole is checked by parsing it as the operator will.
 */
#include "quant/precision.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "op/quantizer.h"

enum { MAX_ENTRIES = BLI_PRECISION_ATTRS - 2 };

typedef struct work {
    bl_context *ctx;
    bli_arena *arena;
    const char *place;
    bli_precision_entry entries[MAX_ENTRIES];
    size_t count;
} work;

static bl_status add(work *w, const char *key, const char *value)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->entries[i].key, key) == 0)
            return bli_fail(w->ctx, BL_BAD_VALUE, "option '%s' is there twice", key);
    if (w->count == MAX_ENTRIES)
        return bli_fail(w->ctx, BL_LIMIT, "more than %d options", (int)MAX_ENTRIES);
    w->entries[w->count++] = (bli_precision_entry){key, value};
    return BL_OK;
}

static const char *find(const work *w, const char *key)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->entries[i].key, key) == 0)
            return w->entries[i].value;
    return NULL;
}

/* ---- "name(a, key=b)" ---------------------------------------------------------------------------------------- */
/* A copy of text[0..n-1] without blanks and quotes at its ends. */
static char *trimmed(work *w, const char *text, size_t n)
{
    while (n > 0 && isspace((unsigned char)*text)) {
        text++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    if (n >= 2 && (*text == '\'' || *text == '"') && text[n - 1] == *text) {
        text++;
        n -= 2;
    }
    char *copy = bli_arena_alloc(w->arena, n + 1);
    if (copy && n > 0)
        memcpy(copy, text, n);
    return copy;
}

static bl_status add_argument(work *w, const bli_quantizer *q, const char *text, size_t n, size_t position)
{
    const char *equals = memchr(text, '=', n);
    char *value = equals ? trimmed(w, equals + 1, n - (size_t)(equals - text) - 1) : trimmed(w, text, n);
    if (!value)
        return BL_NO_MEMORY;
    if (equals) {
        char *key = trimmed(w, text, (size_t)(equals - text));
        return key ? add(w, key, value) : BL_NO_MEMORY;
    }
    if (q->needs_format && position == 0) /* lsq(4) */
        return add(w, "bits", value);
    size_t known = 0;
    while (q->attrs && q->attrs[known].name)
        known++;
    if (position >= known)
        return bli_fail(w->ctx, BL_BAD_VALUE, "%s takes at most %zu options, '%s' is one more", q->name, known, value);
    return add(w, q->attrs[position].name, value);
}

/* End of the argument that starts at text: the next comma or closing parenthesis outside of <>. */
static const char *argument_end(const char *text)
{
    int depth = 0;
    for (; *text; text++) {
        depth += *text == '<';
        depth -= *text == '>';
        if (depth == 0 && (*text == ',' || *text == ')'))
            return text;
    }
    return NULL;
}

static bl_status expand_call(work *w, const char *text)
{
    const char *open = strchr(text, '(');
    char *name = trimmed(w, text, (size_t)(open - text));
    if (!name)
        return BL_NO_MEMORY;
    const bli_quantizer *q = bli_quantizer_find(name);
    if (!q)
        return bli_quant_unknown_name(w->ctx, name);
    BLI_TRY(add(w, "quantizer", q->name));
    const char *at = open + 1;
    for (size_t position = 0;; position++) {
        const char *end = argument_end(at);
        if (!end)
            return bli_fail(w->ctx, BL_BAD_VALUE, "'%s': the closing ')' is missing", text);
        size_t blank = strspn(at, " \t");
        if (at + blank != end)
            BLI_TRY(add_argument(w, q, at, (size_t)(end - at), position));
        else if (*end == ',' || position > 0)
            return bli_fail(w->ctx, BL_BAD_VALUE, "'%s': option %zu is empty", text, position + 1);
        at = end + 1;
        if (*end == ')')
            break;
    }
    if (at[strspn(at, " \t")])
        return bli_fail(w->ctx, BL_BAD_VALUE, "'%s': '%s' follows the closing ')'", text, at);
    return BL_OK;
}

/* ---- texts into attributes ----------------------------------------------------------------------------------- */
static bool is_none(const char *v)
{
    return strcmp(v, "None") == 0 || strcmp(v, "none") == 0 || strcmp(v, "null") == 0 || strcmp(v, "~") == 0;
}

static bool to_int(const char *v, int64_t *out)
{
    if (strcmp(v, "True") == 0 || strcmp(v, "true") == 0 || strcmp(v, "False") == 0 || strcmp(v, "false") == 0) {
        *out = *v == 'T' || *v == 't';
        return true;
    }
    char *end;
    errno = 0;
    long long n = strtoll(v, &end, 10);
    *out = n;
    return end != v && *end == 0 && errno == 0;
}

static bool to_float(const char *v, double *out)
{
    char *end;
    *out = strtod(v, &end);
    return end != v && *end == 0;
}

static bl_status convert(work *w, const bli_quantizer *q, const bli_precision_entry *e, bl_attr *out)
{
    const bli_attr_spec *spec = bli_quant_option(q, e->key);
    if (!spec)
        return bli_quant_unknown_option(w->ctx, q, e->key);
    *out = (bl_attr){.name = spec->name, .kind = spec->kind, .count = 1};
    if (spec->kind == BL_ATTR_INT && !to_int(e->value, &out->u.i))
        return bli_fail(w->ctx, BL_BAD_VALUE, "option %s: '%s' is not a whole number", e->key, e->value);
    if (spec->kind == BL_ATTR_FLOAT && !to_float(e->value, &out->u.f))
        return bli_fail(w->ctx, BL_BAD_VALUE, "option %s: '%s' is not a number", e->key, e->value);
    if (spec->kind == BL_ATTR_STRING) {
        out->u.s = bli_arena_strdup(w->arena, e->value);
        return out->u.s ? BL_OK : BL_NO_MEMORY;
    }
    return BL_OK;
}

static bool is_parameter(const char *place)
{
    static const char *const parameters[] = {"weight", "bias", "gamma", "beta"};
    for (size_t i = 0; i < BLI_COUNT(parameters); i++)
        if (strcmp(place, parameters[i]) == 0)
            return true;
    return false;
}

static bl_status describe(work *w, bli_precision *out)
{
    bl_node node = {.name = "", .type = "Quantize", .domain = BLI_DOMAIN_OWN};
    node.attrs = out->attrs;
    node.num_attrs = out->num_attrs;
    bli_quant_spec *s;
    BLI_TRY(bli_quant_spec_parse(w->ctx, &node, !is_parameter(w->place), w->arena, &s));
    out->needs_scale = bli_quant_needs_scale(s);
    out->scale_per_channel = s->granularity == BLI_PER_CHANNEL;
    out->scale_per_element = s->granularity == BLI_PER_ELEMENT;
    out->axis = s->axis;
    out->whole_tensor = bli_quant_whole_tensor(s);
    out->is_mx = s->has_format && s->format.kind == BL_FORMAT_MX;
    return BL_OK;
}

static bl_status finish(work *w, bli_precision *out)
{
    const char *name = find(w, "quantizer");
    const bli_quantizer *q = bli_quantizer_find(name ? name : "ste");
    if (!q)
        return bli_quant_unknown_name(w->ctx, name);
    for (size_t i = 0; i < w->count; i++)
        if (!is_none(w->entries[i].value))
            BLI_TRY(convert(w, q, &w->entries[i], &out->attrs[out->num_attrs++]));
    bl_attr *place = &out->attrs[out->num_attrs++];
    *place = (bl_attr){.name = "place", .kind = BL_ATTR_STRING, .count = 1};
    place->u.s = bli_arena_strdup(w->arena, w->place);
    if (!place->u.s)
        return BL_NO_MEMORY;
    return describe(w, out);
}

/* bits without a format, for the quantizers that take both. */
static bl_status format_from_bits(work *w)
{
    const char *name = find(w, "quantizer"), *bits = find(w, "bits");
    const bli_quantizer *q = name ? bli_quantizer_find(name) : NULL;
    if (!q || !q->needs_format || !bits || find(w, "format"))
        return BL_OK;
    int64_t width;
    if (!to_int(bits, &width) || width < 1 || width > 32)
        return bli_fail(w->ctx, BL_BAD_VALUE, "option bits: '%s' is not a whole number from 1 to 32", bits);
    bool plain = strcmp(w->place, "input") == 0 || strcmp(w->place, "activation") == 0;
    bli_buf text;
    bli_buf_init(&text, w->ctx, 32);
    bl_status status = bli_buf_printf(&text, "%s<%d>", plain ? "uint" : "int", (int)width);
    char *copy = status == BL_OK ? bli_arena_strdup(w->arena, text.data) : NULL;
    bli_buf_free(&text);
    if (!copy)
        return status == BL_OK ? BL_NO_MEMORY : status;
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->entries[i].key, "bits") == 0)
            w->entries[i] = (bli_precision_entry){"format", copy};
    return BL_OK;
}

static bl_status resolve(work *w, const bli_precision_entry *entries, size_t count, bli_precision *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].key, "quantizer") == 0 && strchr(entries[i].value, '('))
            BLI_TRY(expand_call(w, entries[i].value));
        else if (strcmp(entries[i].key, "place") == 0)
            return bli_fail(w->ctx, BL_BAD_VALUE, "'place' is not an option of an entry");
        else
            BLI_TRY(add(w, entries[i].key, entries[i].value));
    }
    BLI_TRY(format_from_bits(w));
    return finish(w, out);
}

bl_status bli_precision_resolve(bl_context *ctx, bli_arena *arena, const char *place,
                                const bli_precision_entry *entries, size_t count, bli_precision *out)
{
    memset(out, 0, sizeof *out);
    if (count == 1 && strcmp(entries[0].key, "format") == 0)
        return bli_precision_parse(ctx, arena, place, entries[0].value, out);
    work w = {.ctx = ctx, .arena = arena, .place = place};
    return resolve(&w, entries, count, out);
}

/* A text that is neither a call nor a format: perhaps a quantizer's bare name, else what the format parser says. */
static bl_status parse_bare(work *w, const char *text, bli_precision *out)
{
    bl_format f;
    if (bl_format_parse(w->ctx, text, &f) != BL_OK && bli_quantizer_find(text)) {
        BLI_TRY(add(w, "quantizer", text));
        return finish(w, out);
    }
    BLI_TRY(bl_format_parse(w->ctx, text, &f));
    if (f.kind == BL_FORMAT_FLOAT32) {
        out->none = true;
        return BL_OK;
    }
    BLI_TRY(add(w, "format", text));
    return finish(w, out);
}

bl_status bli_precision_parse(bl_context *ctx, bli_arena *arena, const char *place, const char *text,
                              bli_precision *out)
{
    memset(out, 0, sizeof *out);
    work w = {.ctx = ctx, .arena = arena, .place = place};
    if (!strchr(text, '('))
        return parse_bare(&w, text, out);
    const bli_precision_entry entry = {"quantizer", text};
    return resolve(&w, &entry, 1, out);
}

bl_status bli_precision_set_axis(bl_context *ctx, bli_precision *p, int axis)
{
    for (int i = 0; i < p->num_attrs; i++)
        if (strcmp(p->attrs[i].name, "axis") == 0 || strcmp(p->attrs[i].name, "scale_axis") == 0)
            return BL_OK;
    if (p->none)
        return BL_OK;
    if (p->num_attrs == BLI_PRECISION_ATTRS)
        return bli_fail(ctx, BL_LIMIT, "more than %d options", (int)BLI_PRECISION_ATTRS);
    p->attrs[p->num_attrs] = (bl_attr){.name = "axis", .kind = BL_ATTR_INT, .count = 1};
    p->attrs[p->num_attrs++].u.i = axis;
    p->axis = axis;
    return BL_OK;
}

/* ---- widths -------------------------------------------------------------------------------------------------- */
static bl_status check_has_widths(bl_context *ctx, bli_arena *arena, const bli_precision *p)
{
    const bl_node node = {
        .name = "", .type = "Quantize", .domain = BLI_DOMAIN_OWN, .attrs = p->attrs, .num_attrs = p->num_attrs};
    bli_quant_spec *s;
    if (p->none)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: float32 has no widths");
    BLI_TRY(bli_quant_spec_parse(ctx, &node, false, arena, &s));
    if (strcmp(s->quantizer->name, "ste") != 0)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: quantizer %s takes none, only ste does", s->quantizer->name);
    const bl_format_kind kind = s->format.kind;
    if (kind != BL_FORMAT_FIXED && kind != BL_FORMAT_INT && kind != BL_FORMAT_AFFINE)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: only fixed, int and affine formats take them");
    return BL_OK;
}

static bl_status to_width(bl_context *ctx, const bl_tensor *t, size_t i, float *out)
{
    double w = 0;
    switch (t->type) {
#define WIDTH(name, ctype, npy, onnx)                                                                                  \
    case BL_##name:                                                                                                    \
        w = (double)((const ctype *)t->data)[i];                                                                       \
        break;
        BL_DTYPE_LIST(WIDTH)
#undef WIDTH
    case BL_DTYPE_COUNT:
        break;
    }
    if (!(w >= 1 && w <= 32) || w != (double)(int)w)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: number %zu is %g, expected a whole number from 1 to 32", i,
                        w);
    *out = (float)w;
    return BL_OK;
}

bl_status bli_precision_set_widths(bl_context *ctx, bli_arena *arena, const bl_tensor *widths, bli_precision *p)
{
    BLI_TRY(check_has_widths(ctx, arena, p));
    size_t n = (size_t)bl_shape_count(&widths->shape);
    if (n == 0)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: there are none");
    bl_tensor *copy = bli_arena_alloc(arena, sizeof *copy);
    float *w = bli_arena_array(arena, n, sizeof *w);
    if (!copy || !w)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        BLI_TRY(to_width(ctx, widths, i, &w[i]));
    *copy = (bl_tensor){.type = BL_F32, .shape = widths->shape, .data = w}; /* the type that model files have */
    p->widths = copy;
    return BL_OK;
}

bl_status bli_precision_widths_shape(bl_context *ctx, const bli_precision *p, const bl_shape *x, bl_shape *out)
{
    *out = p->widths->shape;
    if (out->rank != 1 || out->dim[0] == 1)
        return BL_OK;
    int axis = p->axis < 0 ? p->axis + x->rank : p->axis;
    int64_t widths = out->dim[0];
    if (axis < 0 || axis >= x->rank || x->dim[axis] < 0)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: axis %d is no channel of a tensor of rank %d", p->axis,
                        x->rank);
    if (x->dim[axis] != widths)
        return bli_fail(ctx, BL_BAD_VALUE, "option widths: %lld for %lld channels (axis %d)", (long long)widths,
                        (long long)x->dim[axis], axis);
    out->rank = x->rank - axis;
    for (int d = 1; d < out->rank; d++)
        out->dim[d] = 1;
    return BL_OK;
}

/* ---- first scales -------------------------------------------------------------------------------------------- */
static bl_status init_groups(bl_context *ctx, bli_arena *arena, const bl_node *node, const bl_tensor *x, float *scale,
                             size_t count)
{
    bli_quant_spec *s;
    BLI_TRY(bli_quant_spec_parse(ctx, node, false, arena, &s));
    if (!bli_quant_needs_scale(s) || !s->quantizer->init_scale)
        return bli_fail(ctx, BL_USAGE, "node '%s' has no learned scale", node->name);
    size_t groups = (size_t)bli_quant_groups(s, &x->shape);
    if (count != groups && count != 1)
        return bli_fail(ctx, BL_USAGE, "node '%s': %zu scales asked for, it has %zu", node->name, count, groups);
    double *first = bli_arena_array(arena, groups, sizeof *first);
    if (!first)
        return BL_NO_MEMORY;
    bli_call c = {.ctx = ctx, .node = node, .state = s};
    c.in[0] = *x;
    BLI_TRY(s->quantizer->init_scale(&c, s, first));
    double mean = 0;
    for (size_t i = 0; i < groups; i++)
        mean += first[i] / (double)groups;
    for (size_t i = 0; i < count; i++)
        scale[i] = (float)(count == groups ? first[i] : mean);
    return BL_OK;
}

bl_status bli_precision_init_scale(bl_context *ctx, const bl_node *node, const bl_tensor *x, float *scale, size_t count)
{
    bli_arena *arena;
    BLI_TRY(bli_arena_create(ctx, &arena));
    bl_status status = init_groups(ctx, arena, node, x, scale, count);
    bli_arena_destroy(arena);
    return status;
}
