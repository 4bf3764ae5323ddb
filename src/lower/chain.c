/* chain.c: chains of element-by-element operators, and which of them are known to rise or to fall.
 *
 * An operator of the list below is monotone as it is computed, rounding included: each is one correctly rounded
 * operation, or a selection, of the carrier.  Functions of the C library (exp, tanh) promise no such thing to the last
 * bit and are not on it: their chains become tables.
 */
#include <math.h>
#include <string.h>

#include "lower/impl.h"
#include "op/batchnorm.h"
#include "op/infer.h"
#include "op/quantizer.h"

/* ---- groups --------------------------------------------------------------------------------------------------- */
/* How many functions a constant makes of one: 1, channels, or all elements of the row; 0: it has a batch. */
static int64_t groups_of(const bl_tensor *t, const bl_shape *row)
{
    const int64_t n = bl_shape_count(&t->shape), channels = row->dim[row->rank - 1];
    if (n == 1)
        return 1;
    if (t->shape.rank > 0 && t->shape.dim[t->shape.rank - 1] == n && n == channels)
        return channels;
    return t->shape.rank > row->rank && t->shape.dim[0] != 1 ? 0 : bl_shape_count(row);
}

/* ---- directions ----------------------------------------------------------------------------------------------- */
typedef struct place {
    const bl_node *node;
    const bli_link *link;
    const bl_shape *row;
    int64_t groups, group;
    bl_context *ctx;
    bli_arena *arena;
} place;

/* Constant k as this group sees it. */
static double constant_at(const place *p, int k)
{
    const bl_tensor *t = &p->link->in[k];
    const int64_t n = bl_shape_count(&t->shape);
    if (n == 1)
        return bli_real_at(t->type, t->data, 0);
    if (p->groups == p->row->dim[p->row->rank - 1] && t->shape.dim[t->shape.rank - 1] == n)
        return bli_real_at(t->type, t->data, (size_t)p->group);
    int64_t index = 0, stride = 1, left = p->group;
    for (int d = 0; d < p->row->rank && d < t->shape.rank; d++) {
        const int64_t xdim = p->row->dim[p->row->rank - 1 - d], dim = t->shape.dim[t->shape.rank - 1 - d];
        index += dim == 1 ? 0 : left % xdim * stride;
        stride *= dim;
        left /= xdim;
    }
    return bli_real_at(t->type, t->data, (size_t)index);
}

static int sign_of(double v)
{
    return isnan(v) ? 0 : v < 0 ? -1 : 1;
}

static int rises(const place *p)
{
    (void)p;
    return 1;
}

static int by_factor(const place *p)
{
    return sign_of(constant_at(p, 1 - p->link->slot));
}

static int by_second(const place *p)
{
    return p->link->slot == 0 ? sign_of(constant_at(p, 1)) : 0;
}

static int by_difference(const place *p)
{
    return p->link->slot == 0 ? 1 : -1;
}

static int by_slope(const place *p)
{
    return bl_node_float(p->node, "alpha", (double)0.01f) >= 0 ? 1 : 0;
}

static int by_slopes(const place *p)
{
    return p->link->slot == 0 && constant_at(p, 1) >= 0 ? 1 : 0;
}

static int by_alpha(const place *p)
{
    return sign_of(bl_node_float(p->node, "alpha", (double)0.2f));
}

static int by_norm(const place *p)
{
    return sign_of(constant_at(p, 1));
}

static bool saturates(const bl_format *f)
{
    return f->kind == BL_FORMAT_BINARY || f->kind == BL_FORMAT_TERNARY || f->kind == BL_FORMAT_PO2 ||
           f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
}

static int by_format(const place *p)
{
    static const char *const known[] = {"ste",
                                        "lsq",
                                        "pact",
                                        "dorefa",
                                        "quantized_bits",
                                        "binary",
                                        "ternary",
                                        "stochastic_binary",
                                        "stochastic_ternary",
                                        "bernoulli"};
    const char *q = bl_node_string(p->node, "quantizer", "ste"), *text = bl_node_string(p->node, "format", NULL);
    bl_format f;
    if (text && (bl_format_parse(p->ctx, text, &f) != BL_OK || !saturates(&f) || f.kind == BL_FORMAT_MX))
        return 0;
    for (size_t i = 0; i < BLI_COUNT(known); i++)
        if (strcmp(known[i], q) == 0)
            return 1;
    return strcmp(q, "quantized_relu") == 0 && bl_node_int(p->node, "use_sigmoid", 0) == 0;
}

static const struct {
    const char *type;
    int (*of)(const place *p);
} directions[] = {
    {"Affine", by_factor},   {"Codes", rises},        {"Mul", by_factor},        {"Div", by_second},
    {"Add", rises},          {"Sub", by_difference},  {"Relu", rises},           {"Clip", rises},
    {"LeakyRelu", by_slope}, {"PRelu", by_slopes},    {"HardSigmoid", by_alpha}, {"BatchNormalization", by_norm},
    {"Floor", rises},        {"Ceil", rises},         {"Round", rises},          {"Sign", rises},
    {"Min", rises},          {"Max", rises},          {"Quantize", by_format},   {"Quant", rises},
    {"IntQuant", rises},     {"BipolarQuant", rises},
};

static int direction_of(const place *p)
{
    for (size_t i = 0; i < BLI_COUNT(directions); i++)
        if (strcmp(directions[i].type, p->node->type) == 0)
            return directions[i].of(p);
    return 0;
}

/* ---- links ---------------------------------------------------------------------------------------------------- */
static bl_status take_constants(bli_lowering *l, const bl_node *n, int slot, const bl_shape *row, bli_link *link,
                                int64_t *groups)
{
    *link = (bli_link){.node = n, .slot = slot};
    for (int i = 0; i < n->num_inputs && i < BLI_MAX_IN; i++) {
        if (i == slot || n->inputs[i] < 0)
            continue;
        link->in[i] = l->known[n->inputs[i]];
        const int64_t more = link->in[i].data ? groups_of(&link->in[i], row) : 0;
        if (more == 0)
            return bli_fail(l->ctx, BL_UNSUPPORTED, "'%s' meets a value without a step; put a quantizer after '%s'",
                            bl_graph_value(l->g, n->inputs[i])->name, bl_graph_value(l->g, n->inputs[slot])->name);
        if (strcmp(n->type, "Clip") != 0)
            *groups = more > *groups ? more : *groups;
    }
    return BL_OK;
}

static bl_status combine_directions(bli_lowering *l, const bli_chain *old, const bl_shape *row, bli_chain *c)
{
    c->direction = bli_arena_array(l->arena, (size_t)c->groups + 1, 1);
    if (!c->direction)
        return BL_NO_MEMORY;
    place p = {.node = c->links[c->count - 1].node,
               .link = &c->links[c->count - 1],
               .row = row,
               .groups = c->groups,
               .ctx = l->ctx,
               .arena = l->arena};
    const int64_t channels = row->dim[row->rank - 1];
    for (p.group = 0; p.group < c->groups; p.group++) {
        const int64_t from = !old || old->groups == 1 ? 0 : old->groups == channels ? p.group % channels : p.group;
        c->direction[p.group] = (signed char)(direction_of(&p) * (old ? old->direction[from] : 1));
    }
    return BL_OK;
}

bl_status bli_chain_append(bli_lowering *l, const bl_node *n, int slot, const bli_lowered *x, bli_chain **out)
{
    const bl_shape row = bli_builder_wire(l->b, x->wire)->shape;
    const bli_chain *old = x->chain;
    *out = NULL;
    bli_chain *c = bli_arena_alloc(l->arena, sizeof *c);
    if (!c)
        return BL_NO_MEMORY;
    if (old)
        *c = *old;
    else
        c->groups = 1;
    if (c->count == BLI_CHAIN_MOST)
        return bli_fail(l->ctx, BL_UNSUPPORTED, "more than %d real operations in a row; put a quantizer between",
                        (int)BLI_CHAIN_MOST);
    BLI_TRY(take_constants(l, n, slot, &row, &c->links[c->count++], &c->groups));
    BLI_TRY(combine_directions(l, old, &row, c));
    *out = c;
    return BL_OK;
}
