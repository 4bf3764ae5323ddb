/* dropout.c: Dropout (Srivastava et al., JMLR 15, 2014), inverted: what stays is scaled by 1 / (1 - ratio).
 *
 * The mask is a pure function of (seed, step, node name, index in the global batch), so it depends on neither threads
 * nor slices, and backward draws it again instead of keeping it.  In evaluation the operator is the identity.
 */
#include <string.h>

#include "op/infer.h"

enum { CHUNK = 1024 };

#define REAL_TEMPLATE "op/dropout.inc"
#include "op/real.h"

static bl_status infer_dropout(bli_infer *i)
{
    BLI_TRY(bli_infer_real(i, 0));
    if (i->in[1]) {
        if (!i->in[1]->data || bl_shape_count(&i->in[1]->shape) != 1)
            return bli_fail(i->ctx, BL_BAD_MODEL, "ratio (input 1) must be a constant of one element");
        const double ratio = bli_real_at(i->in[1]->type, i->in[1]->data, 0);
        if (!(ratio >= 0 && ratio <= 1))
            return bli_fail(i->ctx, BL_BAD_MODEL, "ratio (input 1): %g is outside of 0 .. 1", ratio);
    }
    if (i->in[2] && (!i->in[2]->data || bl_shape_count(&i->in[2]->shape) != 1))
        return bli_fail(i->ctx, BL_BAD_MODEL, "training_mode (input 2) must be a constant of one element");
    i->out_type[1] = BL_BOOL;
    i->out_shape[1] = i->in[0]->shape;
    return bli_infer_same(i);
}

static double ratio_of(const bli_call *c)
{
    return c->training ? bli_call_real(c, 1, 0, 0.5) : 0;
}

/* y = x * mask / (1 - ratio) for n elements from global index first; keep gets the mask where it is wanted. */
static void drop(const bli_call *c, const bl_tensor *x, void *y, uint8_t *keep)
{
    const double ratio = ratio_of(c);
    const size_t n = bli_count(x), size = bl_dtype_size(x->type);
    const uint64_t first = (uint64_t)c->first_row * (n ? bli_shape_row(&x->shape) : 0);
    const uint64_t seed = c->seed ^ (uint64_t)bl_node_int(c->node, "seed", 0);
    const bli_stream stream = bli_stream_make(seed, c->step, c->node->name);
    uint32_t bits[CHUNK];
    for (size_t at = 0; at < n; at += CHUNK) {
        const size_t m = n - at < CHUNK ? n - at : CHUNK;
        bli_stream_fill(&stream, first + at, bits, m);
        BLI_REAL_CALL(x->type, drop_chunk, (const char *)x->data + at * size, bits, ratio, (char *)y + at * size, m);
        for (size_t i = 0; keep && i < m; i++)
            keep[at + i] = bli_unit_float(bits[i]) >= (float)ratio;
    }
}

static bl_status forward(const bli_call *c)
{
    const size_t n = bli_count(&c->in[0]);
    if (ratio_of(c) > 0) {
        drop(c, &c->in[0], c->out[0].data, c->out[1].data);
        return BL_OK;
    }
    if (c->out[0].data != c->in[0].data)
        memcpy(c->out[0].data, c->in[0].data, n * bl_dtype_size(c->in[0].type));
    if (c->out[1].data)
        memset(c->out[1].data, 1, n);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    const bl_tensor *dy = &c->grad_out[0], *dx = &c->grad_in[0];
    if (!dx->data)
        return BL_OK;
    if (ratio_of(c) > 0)
        drop(c, dy, dx->data, NULL);
    else if (dx->data != dy->data)
        memcpy(dx->data, dy->data, bli_count(dy) * bl_dtype_size(dy->type));
    return BL_OK;
}

static const bli_attr_spec attrs[] = {{"seed", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};
const bli_op bli_op_dropout = {
    .schema = {"Dropout", BLI_DOMAIN_ONNX, 1, 3, 2, attrs, infer_dropout,
               "random zeros while training, the identity otherwise"},
    .forward = forward,
    .backward = backward,
    .range = bli_range_same, /* of evaluation: what stays is off the grid while training */
};
