/* pad.c: Pad with modes constant, reflect, edge and wrap; negative padding crops.
 *
 * Every output position has a source position per axis or none (constant mode).  These maps are made once a call, in
 * scratch; forward reads through them, backward adds through them.
 */
#include <string.h>

#include "op/infer.h"
#include "op/lower.h"

enum { DATA, PADS, VALUE, AXES };

typedef enum mode { CONSTANT, REFLECT, EDGE, WRAP, MODES } mode;
static const char *const mode_names[MODES] = {"constant", "reflect", "edge", "wrap"};

static mode mode_of(const bl_node *n)
{
    const char *name = bl_node_string(n, "mode", "constant");
    int m = 0;
    while (m < MODES && strcmp(name, mode_names[m]) != 0)
        m++;
    return (mode)m;
}

typedef struct pads {
    int64_t before[BL_MAX_RANK], after[BL_MAX_RANK];
} pads;

static bl_status place_pads(const bli_infer *i, const bli_ints *list, const bli_ints *axes, int rank, pads *p)
{
    const int count = axes->given ? axes->count : rank;
    *p = (pads){{0}, {0}};
    if (list->count != 2 * count)
        return bli_fail(i->ctx, BL_BAD_MODEL, "pads (input 1): %d values, expected %d", list->count, 2 * count);
    for (int k = 0; k < count; k++) {
        int d = k;
        if (axes->given)
            BLI_TRY(bli_infer_axis(i, "axes", axes->v[k], rank, &d));
        p->before[d] = list->v[k];
        p->after[d] = list->v[count + k];
    }
    return BL_OK;
}

static bl_status check_axis(const bli_infer *i, const bl_shape *x, const pads *p, int d)
{
    const mode m = mode_of(i->node);
    if (p->before[d] == 0 && p->after[d] == 0)
        return BL_OK;
    BLI_TRY(bli_infer_not_batch(i, x, d, "pads"));
    const int64_t most = p->before[d] > p->after[d] ? p->before[d] : p->after[d];
    if (most > INT32_MAX || x->dim[d] + p->before[d] < 0 || x->dim[d] + p->after[d] < 0 ||
        x->dim[d] + p->before[d] + p->after[d] < 0)
        return bli_fail(i->ctx, BL_BAD_MODEL, "pads: %lld and %lld for axis %d of size %lld", (long long)p->before[d],
                        (long long)p->after[d], d, (long long)x->dim[d]);
    const int64_t room = m == REFLECT ? x->dim[d] - 1 : m == WRAP ? x->dim[d] : INT32_MAX;
    if (most > 0 && (most > room || (m != CONSTANT && x->dim[d] == 0)))
        return bli_fail(i->ctx, BL_BAD_MODEL, "pads: %lld is too much for mode %s and axis %d of size %lld",
                        (long long)most, mode_names[m], d, (long long)x->dim[d]);
    return BL_OK;
}

static bl_status infer_pad(bli_infer *i)
{
    bli_ints list, axes;
    pads p;
    if (mode_of(i->node) == MODES)
        return bli_fail(i->ctx, BL_BAD_MODEL, "attribute mode: '%s', expected constant, reflect, edge or wrap",
                        bl_node_string(i->node, "mode", ""));
    if (i->in[VALUE] && (!i->in[VALUE]->data || bl_shape_count(&i->in[VALUE]->shape) != 1))
        return bli_fail(i->ctx, BL_BAD_MODEL, "constant_value (input 2) must be a constant of one element");
    BLI_TRY(bli_infer_real(i, DATA));
    BLI_TRY(bli_infer_ints_input(i, PADS, "pads", &list));
    BLI_TRY(bli_infer_ints_input(i, AXES, "axes", &axes));
    BLI_TRY(bli_infer_same(i));
    bl_shape *y = &i->out_shape[0];
    BLI_TRY(place_pads(i, &list, &axes, y->rank, &p));
    for (int d = 0; d < y->rank; d++) {
        BLI_TRY(check_axis(i, &i->in[DATA]->shape, &p, d));
        if (y->dim[d] >= 0)
            y->dim[d] += p.before[d] + p.after[d];
    }
    return BL_OK;
}

/* ---- maps --------------------------------------------------------------------------------------------------- */
static int64_t source(mode m, int64_t at, int64_t n)
{
    if (at >= 0 && at < n)
        return at;
    switch (m) {
    case REFLECT:
        return at < 0 ? -at : 2 * (n - 1) - at;
    case EDGE:
        return at < 0 ? 0 : n - 1;
    case WRAP:
        return at < 0 ? at + n : at - n;
    case CONSTANT:
    case MODES:
        break;
    }
    return -1;
}

typedef struct pad_plan {
    int rank;
    int64_t runs, run;               /* outer positions, and the innermost axis */
    int64_t dim[BL_MAX_RANK];        /* of the padded side */
    int64_t index[BL_MAX_RANK];      /* of the current run */
    const int64_t *map[BL_MAX_RANK]; /* source offset in elements, below 0: the constant */
    const int64_t *inner;            /* map of the innermost axis */
    double value;
} pad_plan;

static bl_status make_plan(const bli_call *c, const bl_shape *x, const bl_shape *y, pad_plan *plan)
{
    const bli_ints list = bli_call_ints(c, PADS, NULL), axes = bli_call_ints(c, AXES, NULL);
    const bli_infer i = {.ctx = c->ctx, .node = c->node};
    pads p;
    BLI_TRY(place_pads(&i, &list, &axes, x->rank, &p));
    *plan = (pad_plan){.rank = x->rank, .runs = 1, .run = 1, .value = bli_call_real(c, VALUE, 0, 0)};
    static const int64_t origin = 0;
    int64_t *map = c->scratch, stride = 1;
    plan->inner = x->rank > 0 ? map : &origin;
    for (int d = x->rank - 1; d >= 0; d--) {
        *(d == x->rank - 1 ? &plan->run : &plan->runs) *= y->dim[d];
        plan->dim[d] = y->dim[d];
        plan->map[d] = map;
        for (int64_t o = 0; o < y->dim[d]; o++) {
            const int64_t s = source(mode_of(c->node), o - p.before[d], x->dim[d]);
            *map++ = s < 0 ? -1 : s * stride;
        }
        stride *= x->dim[d];
    }
    return BL_OK;
}

/* Source offset of the current run (the innermost axis), below 0 when it is constant altogether; goes on to the next.
 */
static int64_t next_source(pad_plan *p)
{
    int64_t at = 0;
    bool none = false;
    for (int d = 0; d < p->rank - 1; d++) {
        const int64_t s = p->map[d][p->index[d]];
        none = none || s < 0;
        at += s;
    }
    for (int d = p->rank - 2; d >= 0; d--) {
        if (++p->index[d] < p->dim[d])
            break;
        p->index[d] = 0;
    }
    return none ? -1 : at;
}

#define REAL_TEMPLATE "op/pad.inc"
#include "op/real.h"

/* At most one map entry per position of every axis of the output. */
static size_t scratch(const bli_call *c)
{
    const bli_ints list = bli_call_ints(c, PADS, NULL);
    int64_t n = 0;
    for (int d = 0; d < c->in[DATA].shape.rank; d++)
        n += c->in[DATA].shape.dim[d];
    for (int k = 0; k < list.count; k++)
        n += list.v[k] > 0 ? list.v[k] : 0;
    return (size_t)n * sizeof(int64_t);
}

static bl_status forward(const bli_call *c)
{
    pad_plan p;
    BLI_TRY(make_plan(c, &c->in[DATA].shape, &c->out[0].shape, &p));
    BLI_REAL_CALL(c->out[0].type, pad, &p, c->in[DATA].data, c->out[0].data);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    const bl_tensor *dx = &c->grad_in[DATA];
    if (!dx->data)
        return BL_OK;
    pad_plan p;
    BLI_TRY(make_plan(c, &dx->shape, &c->grad_out[0].shape, &p));
    memset(dx->data, 0, bli_count(dx) * bl_dtype_size(dx->type));
    BLI_REAL_CALL(dx->type, pad_back, &p, c->grad_out[0].data, dx->data);
    return BL_OK;
}

static void range(bli_range_call *r)
{
    const bl_value *v = r->in[VALUE];
    r->range_out[0] = r->range_in[DATA];
    if (mode_of(r->node) == CONSTANT)
        r->range_out[0] =
            bli_range_join(r->range_in[DATA], bli_range_of_value(v ? bli_real_at(v->type, v->data, 0) : 0));
}

static const bli_attr_spec attrs[] = {{"mode", BL_ATTR_STRING, false}, {NULL, BL_ATTR_INT, false}};
const bli_op bli_op_pad = {
    .schema = {"Pad", BLI_DOMAIN_ONNX, 2, 4, 1, attrs, infer_pad, "elements added around (or cropped)"},
    .flags = BLI_OP_MOVES,
    .forward = forward,
    .lower = bli_lower_by_index,
    .backward = backward,
    .range = range,
    .scratch = scratch,
};
