/* form_rules.c: how scale and offset pass the other operators.
 *
 * y of codes c: scale c + offset.  A rule makes codes of the result and its scale and offset, or leaves *done false;
 * then the operator sees the values themselves.  Constants are combined in double; they are rounded once, when an
 * Affine is made of them.
 */
#include <math.h>
#include <string.h>

#include "op/batchnorm.h"
#include "op/infer.h"
#include "run/form_impl.h"

typedef bl_status rule(bli_form *f, int node, bool *done);

static bli_linear *of(bli_form *f, int node, int input)
{
    return &f->linear[bl_graph_node(f->from, node)->inputs[input]];
}

static bli_linear *result(bli_form *f, int node)
{
    return &f->linear[bl_graph_node(f->from, node)->outputs[0]];
}

static const bl_shape *shape_of(const bli_form *f, int value)
{
    return &bli_form_value(f, value)->shape;
}

static int64_t last_of(const bl_shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

static bool rising(const bli_linear *l)
{
    for (int64_t i = 0; i < l->n; i++)
        if (!(l->scale[i] > 0))
            return false;
    return true;
}

/* Codes, or the value itself where it is exact and its result would not be, or only in float64 for the sake of a
 * number that no format has touched: a constant then starts a scale of one. */
static bl_status start(bli_form *f, int node, int input, bool *ok)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const int v = n->inputs[input], other = n->num_inputs > 1 ? n->inputs[1 - (input > 1 ? 1 : input)] : -1;
    const bli_range *x = &f->ranges[v], *y = &f->ranges[n->outputs[0]];
    *ok = bli_is_linear(f, v);
    const bool raw = other >= 0 && bli_form_value(f, other)->producer < 0;
    const bool widens =
        raw && bli_range_steps(x) <= 0x1p24 && bli_range_steps(y) > 0x1p24 && bli_form_leaves(f, n->outputs[0]);
    if (*ok || f->known[v].data || !x->on_grid || (y->on_grid && !widens))
        return BL_OK;
    *ok = true;
    return bli_form_begin(f, v);
}

/* The same scale and offset on other codes. */
static bl_status over(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    int *in = bli_arena_array(f->arena, (size_t)n->num_inputs + 1, sizeof *in);
    if (!in)
        return BL_NO_MEMORY;
    bli_linear *x = of(f, node, 0), *y = result(f, node);
    in[0] = x->codes;
    for (int i = 1; i < n->num_inputs; i++)
        BLI_TRY(bli_form_plain(f, n->inputs[i], &in[i]));
    const int codes = y->codes;
    *y = *x;
    y->codes = codes;
    *done = true;
    return bli_form_over_codes(f, node, in, n->num_inputs, &y->codes);
}

/* ---- constants beside a value --------------------------------------------------------------------------------- */
/* A known operand as one number per channel of x (or one for all); NULL: it is none of these. */
static bl_status channel_numbers(bli_form *f, int operand, const bl_shape *x, const double **out, int64_t *count)
{
    *out = NULL;
    const bl_tensor *t = operand >= 0 ? &f->known[operand] : NULL;
    if (!t || !t->data || (t->type != BL_F32 && t->type != BL_F64))
        return BL_OK;
    *count = bl_shape_count(&t->shape);
    if (t->shape.rank > x->rank || (*count != 1 && (*count != last_of(x) || last_of(&t->shape) != *count)))
        return BL_OK;
    double *v = bli_form_numbers(f, *count, 0);
    if (!v)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < *count; i++)
        v[i] = bli_real_at(t->type, t->data, (size_t)i);
    *out = v;
    return BL_OK;
}

/* The constant beside a value that has, or can begin, a scale. */
static bl_status beside(bli_form *f, int node, int input, const double **c, int64_t *count, bool *ok)
{
    const bl_node *n = bl_graph_node(f->from, node);
    *ok = false;
    if (!bl_shape_equal(shape_of(f, n->inputs[input]), shape_of(f, n->outputs[0])))
        return BL_OK;
    BLI_TRY(channel_numbers(f, n->inputs[1 - input], shape_of(f, n->outputs[0]), c, count));
    return *c ? start(f, node, input, ok) : BL_OK;
}

/* scale' = scale a, offset' = offset a + b, per channel where any of them is. */
static bl_status after(bli_form *f, int node, int input, const double *a, int64_t na, const double *b, int64_t nb)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_linear *x = &f->linear[n->inputs[input]];
    bli_linear *y = result(f, node);
    const int64_t channels = last_of(shape_of(f, n->outputs[0])),
                  count = x->n == 1 && na == 1 && nb == 1 ? 1 : channels;
    double *scale = bli_form_numbers(f, count, 0), *offset = bli_form_numbers(f, count, 0);
    if (!scale || !offset)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        const double by = a[na == 1 ? 0 : i], old = x->offset ? x->offset[x->n == 1 ? 0 : i] : 0;
        scale[i] = x->scale[x->n == 1 ? 0 : i] * by;
        offset[i] = old * by + (b ? b[nb == 1 ? 0 : i] : 0);
    }
    *y = *x;
    y->n = count;
    y->scale = scale;
    y->offset = x->offset || b ? offset : NULL;
    return BL_OK;
}

/* Both values on codes of one scale: their codes are added or subtracted. */
static bl_status join(bli_form *f, int node, double sign, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_linear *a = of(f, node, 0), *b = of(f, node, 1);
    bli_linear *y = result(f, node);
    if (!bl_shape_equal(shape_of(f, n->inputs[0]), shape_of(f, n->inputs[1])) || a->n != b->n ||
        a->divisor != b->divisor || memcmp(a->scale, b->scale, (size_t)a->n * sizeof *a->scale) != 0)
        return BL_OK;
    const int in[2] = {a->codes, b->codes};
    double *offset = a->offset || b->offset ? bli_form_numbers(f, a->n, 0) : NULL;
    if ((a->offset || b->offset) && !offset)
        return BL_NO_MEMORY;
    for (int64_t i = 0; offset && i < a->n; i++)
        offset[i] = (a->offset ? a->offset[i] : 0) + sign * (b->offset ? b->offset[i] : 0);
    *y = (bli_linear){.codes = -1,
                      .divisor = a->divisor,
                      .broken = a->broken || b->broken,
                      .n = a->n,
                      .scale = a->scale,
                      .offset = offset,
                      .axis = -1};
    *done = true;
    return bli_form_over_codes(f, node, in, 2, &y->codes);
}

static bool is_arithmetic(const bl_node *n)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Div", "Identity"};
    for (size_t i = 0; i < BLI_COUNT(types); i++)
        if (strcmp(types[i], n->type) == 0)
            return true;
    return false;
}

/* Nothing but operations with constants from here to an output: each stays an operation of its own, as the graph's
 * other runners have it. */
static bool arithmetic_leaves(const bli_form *f, int node)
{
    for (int hops = 0; hops < 8; hops++) {
        const bl_node *n = bl_graph_node(f->from, node);
        if (!is_arithmetic(n) || bli_graph_num_uses(f->from, n->outputs[0]) != 1)
            return false;
        if (bli_graph_is_output(f->from, n->outputs[0]))
            return true;
        node = bli_graph_first_user(f->from, n->outputs[0]);
    }
    return false;
}

static bl_status add_or_sub(bli_form *f, int node, double sign, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    if (bli_is_linear(f, n->inputs[0]) && bli_is_linear(f, n->inputs[1]) && !f->known[n->inputs[0]].data &&
        !f->known[n->inputs[1]].data)
        return join(f, node, sign, done);
    if (arithmetic_leaves(f, node))
        return BL_OK;
    const int input = f->known[n->inputs[0]].data ? 1 : 0;
    const double *c, *offset, by = input == 1 ? sign : 1;
    int64_t count;
    bool ok;
    BLI_TRY(beside(f, node, input, &c, &count, &ok));
    if (!ok)
        return BL_OK;
    double *signed_c = bli_form_numbers(f, count, 0);
    if (!signed_c)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < count; i++)
        signed_c[i] = input == 0 ? sign * c[i] : c[i];
    offset = signed_c;
    *done = true;
    return after(f, node, input, &by, 1, offset, count);
}

static bl_status add(bli_form *f, int node, bool *done)
{
    return add_or_sub(f, node, 1, done);
}

static bl_status sub(bli_form *f, int node, bool *done)
{
    return add_or_sub(f, node, -1, done);
}

static bl_status mul(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_linear *a = of(f, node, 0), *b = of(f, node, 1);
    const bool known = f->known[n->inputs[0]].data || f->known[n->inputs[1]].data;
    if (!known && bli_is_linear(f, n->inputs[0]) && bli_is_linear(f, n->inputs[1])) {
        if (a->n != 1 || b->n != 1 || a->offset || b->offset || a->broken || b->broken)
            return BL_OK;
        const int in[2] = {a->codes, b->codes};
        double *scale = bli_form_numbers(f, 1, a->scale[0] / bli_divisor(a) * (b->scale[0] / bli_divisor(b)));
        if (!scale)
            return BL_NO_MEMORY;
        bli_linear *y = result(f, node);
        *y = (bli_linear){.codes = -1, .n = 1, .scale = scale, .axis = -1};
        *done = true;
        return bli_form_over_codes(f, node, in, 2, &y->codes);
    }
    if (arithmetic_leaves(f, node))
        return BL_OK;
    const int input = f->known[n->inputs[0]].data ? 1 : 0;
    const double *c;
    int64_t count;
    BLI_TRY(beside(f, node, input, &c, &count, done));
    return *done ? after(f, node, input, c, count, NULL, 1) : BL_OK;
}

static bl_status divide(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const double *c;
    int64_t count;
    bool ok;
    if (arithmetic_leaves(f, node) ||
        !bli_is_linear(f, n->inputs[0])) /* a quotient of an exact value is left one operation */
        return BL_OK;
    BLI_TRY(beside(f, node, 0, &c, &count, &ok));
    if (!ok)
        return BL_OK;
    double *inverse = bli_form_numbers(f, count, 0);
    if (!inverse)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        if (c[i] == 0)
            return BL_OK;
        inverse[i] = 1 / c[i];
    }
    *done = true;
    return after(f, node, 0, inverse, count, NULL, 1);
}

static bl_status batch_norm(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const int64_t channels = last_of(shape_of(f, n->outputs[0]));
    const bool last = n->domain[0] != '\0' || shape_of(f, n->inputs[0])->rank == 2;
    if (!last)
        return BL_OK;
    for (int k = 1; k < 5; k++)
        if (!f->known[n->inputs[k]].data || f->known[n->inputs[k]].type != BL_F32)
            return BL_OK;
    bool ok;
    BLI_TRY(start(f, node, 0, &ok));
    if (!ok)
        return BL_OK;
    double *scale = bli_form_numbers(f, channels, 0), *offset = bli_form_numbers(f, channels, 0);
    if (!scale || !offset)
        return BL_NO_MEMORY;
    bl_tensor inputs[4];
    for (int k = 0; k < 4; k++)
        inputs[k] = f->known[n->inputs[1 + k]];
    BLI_TRY(bli_batchnorm_affine(bl_graph_context(f->from), n, inputs, scale, offset));
    *done = true;
    return after(f, node, 0, scale, channels, offset, channels);
}

/* ---- activations and maxima ----------------------------------------------------------------------------------- */
static bl_status relu(bli_form *f, int node, bool *done)
{
    const bli_linear *x = of(f, node, 0);
    return !x->offset && rising(x) ? over(f, node, done) : BL_OK;
}

/* The greatest element comes from the greatest code, offset or not: both operations of an Affine are monotone. */
static bl_status maximum(bli_form *f, int node, bool *done)
{
    return rising(of(f, node, 0)) ? over(f, node, done) : BL_OK;
}

static bl_status reduce_max(bli_form *f, int node, bool *done)
{
    const bli_linear *x = of(f, node, 0);
    return x->n == 1 && rising(x) ? over(f, node, done) : BL_OK;
}

/* ---- sums and means ------------------------------------------------------------------------------------------- */
static bl_status pool_mean(bli_form *f, int node, bool *done)
{
    if (of(f, node, 0)->offset)
        return BL_OK;
    BLI_TRY(over(f, node, done));
    result(f, node)->broken = true;
    return BL_OK;
}

static bool power_of_two(double v)
{
    int e;
    return frexp(v, &e) == 0.5;
}

/* A mean over whole axes is a sum of codes, to be divided by their number; of a power of two it stays on a grid. */
static bl_status mean(bli_form *f, int node, const int64_t *axes, int num_axes, bool keepdims, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bl_shape *x = shape_of(f, n->inputs[0]);
    const bool linear = bli_is_linear(f, n->inputs[0]);
    double count = 1;
    bool channels = false;
    for (int k = 0; k < num_axes; k++) {
        const int64_t axis = axes[k] < 0 ? axes[k] + x->rank : axes[k];
        count *= (double)x->dim[axis];
        channels = channels || axis == x->rank - 1;
    }
    if (count < 1 || (!linear && (!f->ranges[n->inputs[0]].on_grid || power_of_two(count))) ||
        (linear && channels && of(f, node, 0)->n != 1))
        return BL_OK;
    bli_linear y = {.codes = -1, .n = 1, .axis = -1};
    if (linear)
        y = *of(f, node, 0);
    else if (!(y.scale = bli_form_numbers(f, 1, 1)))
        return BL_NO_MEMORY;
    int in[2] = {y.codes, -1};
    if (!linear)
        BLI_TRY(bli_form_plain(f, n->inputs[0], &in[0]));
    const bl_tensor list = {BL_I64, {1, {num_axes}}, (void *)(uintptr_t)axes};
    const char *name = bli_form_value(f, n->outputs[0])->name;
    BLI_TRY(bli_form_constant(f, &list, name, "axes", &in[1]));
    const bl_attr keep = {.name = "keepdims", .kind = BL_ATTR_INT, .count = 1, .u.i = keepdims};
    const bl_node sum = {
        .type = "ReduceSum", .domain = "", .inputs = in, .num_inputs = 2, .attrs = &keep, .num_attrs = 1};
    y.divisor = bli_divisor(&y) * count;
    *result(f, node) = y;
    *done = true;
    return bli_form_emit(f, &sum, name, "codes", &result(f, node)->codes);
}

static bl_status global_mean(bli_form *f, int node, bool *done)
{
    const int rank = shape_of(f, bl_graph_node(f->from, node)->inputs[0])->rank;
    int64_t axes[BL_MAX_RANK];
    for (int d = 1; d < rank - 1; d++)
        axes[d - 1] = d;
    return mean(f, node, axes, rank - 2, true, done);
}

static bl_status reduce_mean(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bl_attr *a = bl_node_attr(n, "axes");
    const bl_tensor *t = n->num_inputs > 1 && n->inputs[1] >= 0 ? &f->known[n->inputs[1]] : NULL;
    const int64_t count = t && t->data && t->type == BL_I64 ? bl_shape_count(&t->shape) : a ? (int64_t)a->count : 0;
    int64_t axes[BL_MAX_RANK];
    if (count < 1 || count > BL_MAX_RANK)
        return BL_OK;
    for (int64_t k = 0; k < count; k++)
        axes[k] = t && t->data ? ((const int64_t *)t->data)[k] : a->u.ints[k];
    return mean(f, node, axes, (int)count, bl_node_int(n, "keepdims", 1) != 0, done);
}

static bl_status reduce_sum(bli_form *f, int node, bool *done)
{
    const bli_linear *x = of(f, node, 0);
    return x->n == 1 && !x->offset ? over(f, node, done) : BL_OK;
}

/* ---- moves ---------------------------------------------------------------------------------------------------- */
/* Row-major order stays: channels repeat along a longer last axis. */
static bl_status view(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_linear *x = of(f, node, 0);
    const int64_t last = last_of(shape_of(f, n->outputs[0]));
    if (x->n != 1 && (last < x->n || last % x->n != 0))
        return BL_OK;
    BLI_TRY(over(f, node, done));
    bli_linear *y = result(f, node);
    if (x->n == 1 || last == x->n)
        return BL_OK;
    y->n = last;
    y->scale = bli_form_numbers(f, last, 0);
    y->offset = x->offset ? bli_form_numbers(f, last, 0) : NULL;
    if (!y->scale || (x->offset && !y->offset))
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < last; i++) {
        y->scale[i] = x->scale[i % x->n];
        if (y->offset)
            y->offset[i] = x->offset[i % x->n];
    }
    return BL_OK;
}

static bl_status transpose(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bl_attr *perm = bl_node_attr(n, "perm");
    const int last = shape_of(f, n->outputs[0])->rank - 1;
    return of(f, node, 0)->n == 1 || (perm && perm->u.ints[last] == last) ? over(f, node, done) : BL_OK;
}

static bl_status uniform(bli_form *f, int node, bool *done)
{
    return of(f, node, 0)->n == 1 ? over(f, node, done) : BL_OK;
}

static bl_status pad(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_linear *x = of(f, node, 0);
    const int value = n->num_inputs > 2 ? n->inputs[2] : -1;
    const bool fills = strcmp(bl_node_string(n, "mode", "constant"), "constant") == 0;
    const bool zero =
        value < 0 || (f->known[value].data && bli_real_at(f->known[value].type, f->known[value].data, 0) == 0);
    return x->n == 1 && (!fills || (zero && !x->offset)) ? over(f, node, done) : BL_OK;
}

static bl_status split(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bli_linear *x = of(f, node, 0);
    if (x->n != 1)
        return BL_OK;
    int in[2] = {x->codes, -1}, out[BLI_MAX_OUT];
    bl_node over_codes = *n;
    if (n->num_inputs > 1)
        BLI_TRY(bli_form_plain(f, n->inputs[1], &in[1]));
    over_codes.inputs = in;
    over_codes.name = NULL;
    BLI_TRY(bl_graph_add_node(f->to, &over_codes, NULL, out));
    for (int o = 0; o < n->num_outputs; o++) {
        f->linear[n->outputs[o]] = *x;
        f->linear[n->outputs[o]].codes = out[o];
    }
    *done = true;
    return BL_OK;
}

/* Equal scales stay as they are; along the last axis each part keeps its own. */
static bl_status concat(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bl_shape *s = shape_of(f, n->outputs[0]);
    int64_t axis = bl_node_int(n, "axis", 0), at = 0;
    axis += axis < 0 ? s->rank : 0;
    bool equal = true;
    int in[BLI_MAX_IN];
    const bli_linear *first = of(f, node, 0);
    for (int k = 0; k < n->num_inputs; k++) {
        const bli_linear *x = of(f, node, k);
        if (!bli_is_linear(f, n->inputs[k]))
            return BL_OK;
        in[k] = x->codes;
        if (x->divisor > 0 || x->broken)
            return BL_OK;
        equal = equal && x->n == 1 && !x->offset && !first->offset && x->scale[0] == first->scale[0];
    }
    if (!equal && axis != s->rank - 1)
        return BL_OK;
    const int64_t count = equal ? 1 : last_of(s);
    bli_linear y = {.codes = -1, .n = count, .axis = -1};
    y.scale = bli_form_numbers(f, count, first->scale[0]);
    y.offset = equal ? NULL : bli_form_numbers(f, count, 0);
    if (!y.scale || (!equal && !y.offset))
        return BL_NO_MEMORY;
    for (int k = 0; k < n->num_inputs && !equal; k++) {
        const bli_linear *x = of(f, node, k);
        const int64_t part = last_of(shape_of(f, n->inputs[k]));
        for (int64_t i = 0; i < part; i++) {
            y.scale[at + i] = x->scale[x->n == 1 ? 0 : i];
            y.offset[at + i] = x->offset ? x->offset[x->n == 1 ? 0 : i] : 0;
        }
        at += part;
    }
    *result(f, node) = y;
    *done = true;
    return bli_form_over_codes(f, node, in, n->num_inputs, &result(f, node)->codes);
}

/* ---- table ---------------------------------------------------------------------------------------------------- */
static const struct {
    const char *type;
    rule *apply;
    bool either; /* either operand may be the one on codes */
    bool always; /* where none is, too */
} rules[] = {
    {"Add", add, true, true},
    {"Sub", sub, true, true},
    {"Mul", mul, true, true},
    {"Div", divide, false, false},
    {"BatchNormalization", batch_norm, false, true},
    {"Relu", relu, false, false},
    {"MaxPool", maximum, false, false},
    {"GlobalMaxPool", maximum, false, false},
    {"ReduceMax", reduce_max, false, false},
    {"AveragePool", pool_mean, false, false},
    {"GlobalAveragePool", global_mean, false, true},
    {"ReduceMean", reduce_mean, false, true},
    {"ReduceSum", reduce_sum, false, false},
    {"Identity", view, false, false},
    {"Dropout", view, false, false},
    {"Flatten", view, false, false},
    {"Reshape", view, false, false},
    {"Squeeze", view, false, false},
    {"Unsqueeze", view, false, false},
    {"Transpose", transpose, false, false},
    {"Slice", uniform, false, false},
    {"Pad", pad, false, false},
    {"Split", split, false, false},
    {"Concat", concat, false, false},
};

bl_status bli_form_rule(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    *done = false;
    for (size_t i = 0; i < BLI_COUNT(rules); i++) {
        if (strcmp(rules[i].type, n->type) != 0)
            continue;
        const bool first = bli_is_linear(f, n->inputs[0]);
        const bool second = rules[i].either && n->num_inputs > 1 && bli_is_linear(f, n->inputs[1]);
        return first || second || rules[i].always ? rules[i].apply(f, node, done) : BL_OK;
    }
    return BL_OK;
}
