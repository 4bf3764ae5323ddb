/* form_products.c: sums of products in evaluation form: taken over codes, the product of the scales behind them. */
#include <string.h>

#include "op/infer.h"
#include "run/form_impl.h"

/* How a product's operands meet: along which axis of the weight its output channels lie, and how often these repeat
 * (groups of a transposed convolution). */
typedef struct product {
    int weight_axis;
    int64_t channels, repeat;
    bool depthwise; /* output channel m reads input channel m / (channels / inputs) only */
} product;

static bool product_of(const bli_form *f, const bl_node *n, product *p)
{
    const bl_value *y = bli_form_value(f, n->outputs[0]);
    const bl_shape *w = &bli_form_value(f, n->inputs[1])->shape;
    const int64_t groups = bl_node_int(n, "group", 1);
    *p = (product){.channels = y->shape.dim[y->shape.rank - 1], .repeat = 1};
    if (strcmp(n->type, "MatMul") == 0) {
        p->weight_axis = w->rank - 1;
        return true;
    }
    if (strcmp(n->type, "Gemm") == 0) {
        p->weight_axis = bl_node_int(n, "transB", 0) ? 0 : 1;
        return bl_node_float(n, "alpha", 1) == 1 && bl_node_float(n, "beta", 1) == 1;
    }
    if (strcmp(n->domain, BLI_DOMAIN_LAST) != 0)
        return false;
    if (strcmp(n->type, "Conv") == 0) {
        p->weight_axis = 0;
        p->depthwise = groups > 1 && w->dim[1] == 1;
        return true;
    }
    p->weight_axis = 1;
    p->repeat = groups;
    return strcmp(n->type, "ConvTranspose") == 0;
}

/* Activations' scales that can leave the sum. */
static bool data_leaves(const bli_form *f, int value, const product *p)
{
    const bli_linear *l = &f->linear[value];
    return bli_is_linear(f, value) && !l->offset && !l->broken &&
           (l->n == 1 || (p->depthwise && p->channels % l->n == 0));
}

static bool weight_leaves(const bli_form *f, int value, const product *p)
{
    const bli_linear *l = &f->linear[value];
    if (!bli_is_linear(f, value) || l->offset || l->broken)
        return false;
    return l->n == 1 || (f->known[value].data && l->axis == p->weight_axis && l->n * p->repeat == p->channels);
}

/* The bias as numbers; false when it is not known yet or no vector. */
static bl_status bias_of(bli_form *f, const bl_node *n, int64_t channels, double **out, bool *ok)
{
    *ok = true;
    *out = NULL;
    if (n->num_inputs < 3 || n->inputs[2] < 0)
        return BL_OK;
    const bl_tensor *t = &f->known[n->inputs[2]];
    const int64_t count = t->data ? bl_shape_count(&t->shape) : 0;
    *ok = count == 1 || (count > 0 && count == channels);
    if (!*ok)
        return BL_OK;
    *out = bli_form_numbers(f, channels, 0);
    if (!*out)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < channels; i++)
        (*out)[i] = bli_real_at(t->type, t->data, count == 1 ? 0 : (size_t)i);
    return BL_OK;
}

static bl_status scales_of(bli_form *f, const product *p, const bli_linear *a, const bli_linear *b, bool offset,
                           bli_linear *y)
{
    const bool one = (!a || a->n == 1) && (!b || b->n == 1) && !offset;
    y->n = one ? 1 : p->channels;
    y->scale = bli_form_numbers(f, y->n, 1);
    if (!y->scale)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < y->n; i++) {
        const double sa = !a ? 1 : a->scale[a->n == 1 ? 0 : i / (p->channels / a->n)] / bli_divisor(a);
        y->scale[i] = sa * (!b ? 1 : b->scale[b->n == 1 ? 0 : i % b->n] / bli_divisor(b));
    }
    return BL_OK;
}

/* A bias on no common grid makes an exact sum depend on its order, or a number without a format makes it wide: it comes
 * after the sum. */
static bool spoils(const bli_form *f, const bl_node *n)
{
    const bli_range *y = &f->ranges[n->outputs[0]];
    if (n->num_inputs < 3 || n->inputs[2] < 0 || !f->ranges[n->inputs[0]].on_grid ||
        !(f->ranges[n->inputs[1]].on_grid || bli_is_linear(f, n->inputs[1])))
        return false;
    const bool raw = bli_form_value(f, n->inputs[2])->producer < 0;
    return !y->on_grid || (raw && bli_range_steps(y) > 0x1p24 && bli_form_leaves(f, n->outputs[0]));
}

bl_status bli_form_product(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    product p;
    bool ok;
    static const char *const types[] = {"MatMul", "Gemm", "Conv", "ConvTranspose"};
    *done = false;
    for (size_t i = 0; i < BLI_COUNT(types); i++)
        *done = *done || strcmp(n->type, types[i]) == 0;
    if (!*done || !product_of(f, n, &p)) {
        *done = false;
        return BL_OK;
    }
    const bool a = data_leaves(f, n->inputs[0], &p), b = weight_leaves(f, n->inputs[1], &p);
    double *bias;
    BLI_TRY(bias_of(f, n, p.channels, &bias, &ok));
    *done = (a || b || spoils(f, n)) && ok;
    if (!*done)
        return BL_OK;
    int in[2] = {f->linear[n->inputs[0]].codes, f->linear[n->inputs[1]].codes};
    bli_linear *y = &f->linear[n->outputs[0]];
    if (!a)
        BLI_TRY(bli_form_plain(f, n->inputs[0], &in[0]));
    if (!b)
        BLI_TRY(bli_form_plain(f, n->inputs[1], &in[1]));
    BLI_TRY(
        scales_of(f, &p, a ? &f->linear[n->inputs[0]] : NULL, b ? &f->linear[n->inputs[1]] : NULL, bias != NULL, y));
    y->offset = bias;
    y->axis = -1;
    return bli_form_over_codes(f, node, in, 2, &y->codes);
}
