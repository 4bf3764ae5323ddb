/* affine.c: Affine and Codes, the two sides of a real scale in evaluation (run/form.h).
 *
 * A value on a grid with a real scale s is an integer code times s.  Sums of products are taken over the codes, where
 * they are exact in any order; Codes takes a quantizer's output apart (code = y / s, rounded to the integer that it
 * is), Affine puts scale and offset on a sum: y = x scale + offset, two correctly rounded operations of the carrier.
 * scale and offset have one element, or one per channel (the last axis).  No gradient: training has neither.
 */
#include <math.h>
#include <string.h>

#include "op/broadcast.h"
#include "op/infer.h"
#include "op/kernels/loops.h"

enum { PERIOD = 256 }; /* elements: shorter channel vectors are repeated up to this */

#define REAL_TEMPLATE "op/affine.inc"
#include "op/real.h"

static bl_status infer(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    const bl_shape *x = &i->in[0]->shape;
    const int64_t last = x->rank > 0 ? x->dim[x->rank - 1] : 1;
    for (int k = 1; k < 3; k++) {
        if (!i->in[k])
            continue;
        BLI_TRY(bli_infer_real(i, k));
        const int64_t n = bl_shape_count(&i->in[k]->shape);
        if (n != 1 && n != last)
            return bli_fail(i->ctx, BL_BAD_MODEL, "input %d has %lld elements, expected 1 or %lld", k, (long long)n,
                            (long long)last);
    }
    return bli_infer_same(i);
}

static bool has_offset(const bli_call *c)
{
    return c->node->num_inputs > 2 && c->node->inputs[2] >= 0;
}

static size_t channels(const bli_call *c)
{
    const size_t a = bli_count(&c->in[1]), b = has_offset(c) ? bli_count(&c->in[2]) : 1;
    return a > b ? a : b;
}

static size_t period(const bli_call *c)
{
    const size_t n = channels(c);
    return n == 0 || n >= PERIOD ? n : PERIOD / n * n;
}

/* Scale and offset, each repeated to a period. */
static size_t prep_size(const bli_call *c)
{
    return 2 * period(c) * sizeof(double);
}

static bl_status prepare(const bli_call *c, void *prep)
{
    const bl_dtype type = c->in[1].type;
    const size_t n = period(c), size = bl_dtype_size(type);
    for (size_t k = 0; k < 2; k++) {
        const size_t count = k == 0 || has_offset(c) ? bli_count(&c->in[1 + k]) : 1;
        for (size_t j = 0; j < n; j++) {
            const double v = bli_call_real(c, (int)k + 1, j % count, 0);
            bli_store(type, &v, 1, 1, (char *)prep + (k * n + j) * size);
        }
    }
    return BL_OK;
}

static bl_status affine_forward(const bli_call *c)
{
    const size_t n = period(c);
    const char *prep = c->prep;
    bli_loops_get(c->isa, c->in[0].type)
        ->affine(c->in[0].data, prep, prep + n * bl_dtype_size(c->in[0].type), n, c->out[0].data, bli_count(&c->in[0]));
    return BL_OK;
}

static bl_status codes_forward(const bli_call *c)
{
    BLI_REAL_CALL(c->in[0].type, codes, c->in[0].data, c->prep, period(c), c->out[0].data, bli_count(&c->in[0]));
    return BL_OK;
}

/* The code's ends are attributes: they come from the format. */
static void codes_range(bli_range_call *r)
{
    r->range_out[0] = (bli_range){true, 0, bl_node_float(r->node, "least", 0), bl_node_float(r->node, "greatest", 0)};
}

static const bli_attr_spec none[] = {{NULL, BL_ATTR_INT, false}};
static const bli_attr_spec ends[] = {
    {"least", BL_ATTR_FLOAT, true}, {"greatest", BL_ATTR_FLOAT, true}, {NULL, BL_ATTR_INT, false}};

const bli_op bli_op_affine = {
    .schema = {"Affine", BLI_DOMAIN_OWN, 2, 3, 1, none, infer, "x scale + offset per channel (evaluation only)"},
    .flags = BLI_OP_ELEMENTWISE,
    .forward = affine_forward,
    .prep_size = prep_size,
    .prepare = prepare,
};
const bli_op bli_op_codes = {
    .schema = {"Codes", BLI_DOMAIN_OWN, 2, 2, 1, ends, infer, "integer codes of values on a grid (evaluation only)"},
    .flags = BLI_OP_ELEMENTWISE,
    .forward = codes_forward,
    .range = codes_range,
    .prep_size = prep_size,
    .prepare = prepare,
};
