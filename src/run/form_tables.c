/* form_tables.c: functions that are no chain up to a quantizer become tables of integers in evaluation form.
 *
 * A function of a value of at most 2^16 codes is a Table: its values are those of the function, rounded to the nearest
 * multiple of 2^-16 (coarser where float32 would not hold them).  They are taken from pairs of doubles
 * (num/functions.h), which make no use of the C library, so every machine finds the same table.  What comes behind is
 * exact.  A quotient is a product with a table of 1/x.  A Softmax is
 *
 *   e_i = exp(x_i - max x) by table, S = sum of e rounded to fewer bits, r = 1/S by table, y_i = e_i r
 *
 * and |y - softmax| <= 2^-16 + (n-1) 2^-17 + half a step of the rounded S: e, r and S are within 2^-17, 2^-17 and
 * (n-1) 2^-17 + that half step of their real numbers, and S >= 1.  Where a chain of functions ends in a quantizer it
 * stays as it is: lowering makes one table of all of it.  Behind the last quantizer functions stay real.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/functions.h"
#include "op/infer.h"
#include "run/form_impl.h"
#include "run/plan.h"

enum { FRACTION = 16, MOST_BITS = 23, MOST_CODES = 1 << 16, MOST_INVERSES = 1 << 12 };

/* What a table is indexed by: id of the new graph, a multiple of 2^exp; the value is that times scale, plus offset. */
typedef struct source {
    int id, exp;
    double least, greatest; /* of id, in steps */
    double scale, offset;
} source;

/* ---- where a value comes from ----------------------------------------------------------------------------------- */
/* The codes of a quantizer with one real scale. */
static bool from_codes(const bli_form *f, int value, source *s)
{
    const bli_linear *l = &f->linear[value];
    if (!bli_is_linear(f, value) || l->n != 1 || l->broken || l->divisor > 0)
        return false;
    const int producer = bl_graph_value(f->to, l->codes)->producer;
    const bl_node *n = producer < 0 ? NULL : bl_graph_node(f->to, producer);
    if (!n || strcmp(n->type, "Codes") != 0)
        return false;
    *s = (source){.id = l->codes,
                  .least = bl_node_float(n, "least", 0),
                  .greatest = bl_node_float(n, "greatest", 0),
                  .scale = l->scale[0],
                  .offset = l->offset ? l->offset[0] : 0};
    return true;
}

static bl_status source_of(bli_form *f, int value, source *s, bool *ok)
{
    const bli_range *r = &f->ranges[value];
    *ok = !f->known[value].data && from_codes(f, value, s);
    if (!*ok && !f->known[value].data && r->on_grid && r->step_exp > -200 && r->step_exp < 200) {
        *s = (source){.exp = r->step_exp, .scale = 1};
        s->least = ldexp(r->least, -r->step_exp);
        s->greatest = ldexp(r->greatest, -r->step_exp);
        BLI_TRY(bli_form_plain(f, value, &s->id));
        *ok = true;
    }
    *ok = *ok && s->greatest - s->least < MOST_CODES && fabs(s->least) < 0x1p40;
    return BL_OK;
}

/* ---- one table ----------------------------------------------------------------------------------------------------
 */
/* What a Table stands for, over `count` codes from `first` on. */
typedef struct table {
    const char *name, *says; /* the function, in words */
    bli_pair_function *of;
    double a;
    int64_t first, count;
    int exp;
    double scale, offset;
} table;

static int fraction_for(double most)
{
    int bits = 0;
    (void)frexp(most, &bits);
    return FRACTION + bits > MOST_BITS ? MOST_BITS - bits : FRACTION;
}

/* The function itself; false where a value is no number, or far too great. */
static bool compute(const table *t, bli_pair *y, double *most)
{
    *most = 0;
    for (int64_t i = 0; i < t->count; i++) {
        y[i] = t->of(bli_pair_affine(ldexp((double)(t->first + i), t->exp), t->scale, t->offset), t->a);
        if (!(fabs(y[i].high) < 0x1p20))
            return false;
        *most = fmax(*most, fabs(y[i].high));
    }
    return true;
}

/* Values on their grid, and how far the farthest is off. */
static void fill(const table *t, const bli_pair *y, double most, float *values, double *error)
{
    const int fraction = fraction_for(most);
    *error = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const double rounded = bli_pair_round(y[i], fraction);
        values[i] = (float)rounded + 0.0f;
        *error = fmax(*error, fabs((rounded - y[i].high) - y[i].low));
    }
}

/* Table over x; name NULL: a step on the way.  *y -1: the function has no such values. */
static bl_status add_table(bli_form *f, const table *t, int x, const char *base, const char *tail, int *y)
{
    double most, error;
    float *values = bli_arena_array(f->arena, (size_t)t->count + 1, sizeof *values);
    bli_pair *exact = bli_arena_array(f->arena, (size_t)t->count + 1, sizeof *exact);
    *y = -1;
    if (!values || !exact)
        return BL_NO_MEMORY;
    if (!compute(t, exact, &most))
        return BL_OK;
    fill(t, exact, most, values, &error);
    int in[2] = {x};
    char name[64];
    snprintf(name, sizeof name, "%s_values", t->name);
    BLI_TRY(bli_form_constant(f, &(bl_tensor){BL_F32, {1, {t->count}}, values}, base, name, &in[1]));
    const bl_attr attrs[] = {{.name = "first", .kind = BL_ATTR_INT, .count = 1, .u.i = t->first},
                             {.name = "exp", .kind = BL_ATTR_INT, .count = 1, .u.i = t->exp},
                             {.name = "function", .kind = BL_ATTR_STRING, .count = 1, .u.s = t->says},
                             {.name = "error", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = error}};
    bl_node n = {.type = "Table",
                 .domain = BLI_DOMAIN_OWN,
                 .inputs = in,
                 .num_inputs = 2,
                 .num_outputs = 1,
                 .attrs = attrs,
                 .num_attrs = 4};
    if (tail)
        return bli_form_emit(f, &n, base, tail, y);
    return bl_graph_add_node(f->to, &n, &base, y);
}

/* ---- functions ----------------------------------------------------------------------------------------------------
 */
static const struct {
    const char *type;
    bli_pair_function *of;
} functions[] = {
    {"Sigmoid", bli_pair_sigmoid}, {"Tanh", bli_pair_tanh}, {"Softplus", bli_pair_softplus},
    {"Elu", bli_pair_elu},         {"Pow", bli_pair_pow},
};

/* Element by element from value to a quantizer, with constants beside: lowering makes one table of that. */
static bool ends_in_quantizer(const bli_form *f, int value)
{
    for (int hops = 0; hops < 16 && bli_graph_num_uses(f->from, value) == 1; hops++) {
        if (bli_graph_is_output(f->from, value))
            return false;
        const bl_node *n = bl_graph_node(f->from, bli_graph_first_user(f->from, value));
        const bli_op *op = bli_op_find(n->type, n->domain);
        if (strstr(n->type, "Quant") || strcmp(n->type, "Trunc") == 0)
            return true;
        bool alone = op && (op->flags & (BLI_OP_ELEMENTWISE | BLI_OP_VIEW));
        for (int i = 0; alone && i < n->num_inputs; i++)
            alone = n->inputs[i] < 0 || n->inputs[i] == value || f->known[n->inputs[i]].data;
        if (!alone)
            return false;
        value = n->outputs[0];
    }
    return false;
}

/* The node's output is id, on a grid of which this is known. */
static void take(bli_form *f, int node, int id, bli_range range)
{
    const int y = bl_graph_node(f->from, node)->outputs[0];
    f->plain[y] = id;
    f->ranges[y] = range;
}

/* What a constant's values make of a range. */
static bli_range range_of(const bli_form *f, int id)
{
    const bl_node *n = bl_graph_node(f->to, bl_graph_value(f->to, id)->producer);
    return bli_constant_range(bl_graph_value(f->to, n->inputs[1]));
}

static bl_status apply(bli_form *f, int node, bli_pair_function *of, double a, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    source s;
    bool ok;
    int y;
    BLI_TRY(source_of(f, n->inputs[0], &s, &ok));
    if (!ok)
        return BL_OK;
    const table t = {n->type, n->type, of,      a, (int64_t)s.least, (int64_t)(s.greatest - s.least) + 1,
                     s.exp,   s.scale, s.offset};
    BLI_TRY(add_table(f, &t, s.id, bli_form_value(f, n->outputs[0])->name, NULL, &y));
    *done = y >= 0;
    if (*done)
        take(f, node, y, range_of(f, y));
    return BL_OK;
}

static bool constant_exponent(const bli_form *f, const bl_node *n, double *a)
{
    const bl_tensor *t = n->num_inputs > 1 && n->inputs[1] >= 0 ? &f->known[n->inputs[1]] : NULL;
    *a = bl_node_float(n, "alpha", 1);
    if (strcmp(n->type, "Pow") != 0)
        return true;
    if (!t || !t->data || bl_shape_count(&t->shape) != 1)
        return false;
    *a = bli_real_at(t->type, t->data, 0);
    return true;
}

/* ---- quotients ----------------------------------------------------------------------------------------------------
 */
static bl_status quotient(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_range *a = &f->ranges[n->inputs[0]];
    const char *name = bli_form_value(f, n->outputs[0])->name;
    source s;
    bool ok;
    int in[2];
    BLI_TRY(source_of(f, n->inputs[1], &s, &ok));
    if (!ok || !a->on_grid || f->known[n->inputs[0]].data || s.offset != 0 || (s.least <= 0 && s.greatest >= 0))
        return BL_OK;
    const table t = {"inverse", "1/x",   bli_pair_inverse, 0, (int64_t)s.least, (int64_t)(s.greatest - s.least) + 1,
                     s.exp,     s.scale, s.offset};
    BLI_TRY(add_table(f, &t, s.id, name, "inverse", &in[1]));
    if (in[1] < 0)
        return BL_OK;
    BLI_TRY(bli_form_plain(f, n->inputs[0], &in[0]));
    const bl_node mul = {.type = "Mul", .domain = "", .inputs = in, .num_inputs = 2, .num_outputs = 1};
    const bli_range r = range_of(f, in[1]);
    const double most = fmax(fabs(a->least), fabs(a->greatest)) * fmax(fabs(r.least), fabs(r.greatest));
    int y;
    BLI_TRY(bl_graph_add_node(f->to, &mul, &name, &y));
    take(f, node, y, (bli_range){true, a->step_exp + r.step_exp, -most, most});
    *done = true;
    return BL_OK;
}

/* ---- softmax ------------------------------------------------------------------------------------------------------
 */
static bl_status reduce(bli_form *f, const char *type, int x, int rank, const char *base, const char *tail, int *y)
{
    const int64_t axis = rank - 1;
    const bl_attr keep = {.name = "keepdims", .kind = BL_ATTR_INT, .count = 1, .u.i = 1};
    char axes[32];
    int in[2] = {x};
    snprintf(axes, sizeof axes, "%s_axis", tail);
    BLI_TRY(bli_form_constant(f, &(bl_tensor){BL_I64, {1, {1}}, (void *)(uintptr_t)&axis}, base, axes, &in[1]));
    const bl_node n = {.type = type, .domain = "", .inputs = in, .num_inputs = 2, .attrs = &keep, .num_attrs = 1};
    return bli_form_emit(f, &n, base, tail, y);
}

static bl_status clip(bli_form *f, int x, double low, double high, const char *base, const char *tail, int *y)
{
    const bl_attr ends[] = {{.name = "min", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = low},
                            {.name = "max", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = high}};
    const bl_node n = {.type = "Clip", .domain = "", .inputs = &x, .num_inputs = 1, .attrs = ends, .num_attrs = 2};
    return bli_form_emit(f, &n, base, tail, y);
}

/* exp(x - max x), of the distances below the greatest: those that give 0 share one entry. */
static bl_status exponentials(bli_form *f, const source *s, int rank, const char *base, int *e)
{
    int in[2] = {-1, s->id}, gap, cut;
    const double step = ldexp(s->scale, s->exp), none = ceil((FRACTION + 1) * M_LN2 / step) + 1;
    const double most = fmin(s->greatest - s->least, none);
    BLI_TRY(reduce(f, "ReduceMax", s->id, rank, base, "greatest", &in[0]));
    const bl_node sub = {.type = "Sub", .domain = "", .inputs = in, .num_inputs = 2};
    BLI_TRY(bli_form_emit(f, &sub, base, "below", &gap));
    BLI_TRY(clip(f, gap, 0, ldexp(most, s->exp), base, "reach", &cut));
    const table t = {"exp", "exp", bli_pair_exp, 0, 0, (int64_t)most + 1, s->exp, -s->scale, 0};
    return add_table(f, &t, cut, base, "exp", e);
}

/* 1 / sum: *half is half a step of the rounded sum. */
static bl_status inverse_of_sum(bli_form *f, int e, int64_t n, int rank, const char *base, int *r, double *half)
{
    int fraction = FRACTION, bits = 1, sum, cut, rounded;
    char format[64], says[64];
    while (fraction > 0 && (double)(n - 1) * ldexp(1, fraction) >= MOST_INVERSES)
        fraction--;
    while (n >= (int64_t)1 << bits)
        bits++;
    *half = fraction == FRACTION ? 0 : ldexp(0.5, -fraction);
    BLI_TRY(reduce(f, "ReduceSum", e, rank, base, "sum", &sum));
    BLI_TRY(clip(f, sum, 1, (double)n, base, "bounded_sum", &cut));
    snprintf(format, sizeof format, "ufixed<%d,%d,RND,SAT>", bits + fraction, bits);
    const bl_attr attr = {.name = "format", .kind = BL_ATTR_STRING, .count = 1, .u.s = format};
    const bl_node quantize = {
        .type = "Quantize", .domain = BLI_DOMAIN_OWN, .inputs = &cut, .num_inputs = 1, .attrs = &attr, .num_attrs = 1};
    BLI_TRY(bli_form_emit(f, &quantize, base, "rounded_sum", &rounded));
    snprintf(says, sizeof says, "1/x (the Softmax: at most %.3g off)",
             (0x1p-16 + (double)(n - 1) * 0x1p-17 + *half) * 1.005); /* upwards */
    const int64_t one = (int64_t)1 << fraction;
    const table t = {"inverse", says, bli_pair_inverse, 0, one, (n - 1) * one + 1, -fraction, 1, 0};
    return add_table(f, &t, rounded, base, "inverse", r);
}

static bl_status softmax(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bl_shape *shape = &bli_form_value(f, n->inputs[0])->shape;
    const char *name = bli_form_value(f, n->outputs[0])->name;
    const int64_t classes = shape->dim[shape->rank - 1];
    source s;
    bool ok;
    double half;
    int in[2], y;
    BLI_TRY(source_of(f, n->inputs[0], &s, &ok));
    if (!ok || !(s.scale > 0) || classes < 1 || classes > MOST_INVERSES)
        return BL_OK;
    BLI_TRY(exponentials(f, &s, shape->rank, name, &in[0]));
    BLI_TRY(inverse_of_sum(f, in[0], classes, shape->rank, name, &in[1], &half));
    const bl_node mul = {.type = "Mul", .domain = "", .inputs = in, .num_inputs = 2, .num_outputs = 1};
    BLI_TRY(bl_graph_add_node(f->to, &mul, &name, &y));
    take(f, node, y, (bli_range){true, -2 * FRACTION, 0, 1});
    *done = true;
    return BL_OK;
}

bl_status bli_form_table(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    double a;
    *done = false;
    if (n->domain[0] != '\0' || n->num_outputs != 1 || bli_form_leaves(f, n->outputs[0]))
        return BL_OK;
    if (strcmp(n->type, "Softmax") == 0)
        return softmax(f, node, done);
    if (strcmp(n->type, "Div") == 0 && !f->known[n->inputs[1]].data)
        return quotient(f, node, done);
    for (size_t i = 0; i < BLI_COUNT(functions); i++)
        if (strcmp(functions[i].type, n->type) == 0 && !ends_in_quantizer(f, n->outputs[0]) &&
            constant_exponent(f, n, &a))
            return apply(f, node, functions[i].of, a, done);
    return BL_OK;
}
