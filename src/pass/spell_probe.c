/* spell_probe.c: whether nodes in ONNX's words do what a quantizer does, tried where it could go wrong.
 *
 * A quantizer to a grid is a staircase.  Both sides are computed, by the kernels that run networks, at every stair's
 * middle and edge and at the floats beside them (of wide formats, at several thousand of the stairs), and at zeros,
 * huge values and infinities.  Equal there, with both sides monotone between stairs, is equal everywhere.
 */
#include <math.h>
#include <string.h>

#include "pass/spell_quant.h"
#include "run/eval.h"

enum { STAIRS = 4096, BESIDE = 2, MANTISSAS = 16 };

typedef struct points {
    float *v;
    size_t count, room;
} points;

static void put(points *p, double v)
{
    if (p->count < p->room)
        p->v[p->count++] = (float)v;
}

/* v and its neighbours; only v itself when x is known to lie on a grid. */
static void put_around(points *p, double v, bool exactly)
{
    put(p, v);
    float up = (float)v, down = (float)v;
    for (int i = 0; i < BESIDE && !exactly; i++) {
        up = nextafterf(up, INFINITY);
        down = nextafterf(down, -INFINITY);
        put(p, (double)up);
        put(p, (double)down);
    }
}

static void stairs(points *p, const bli_spelling *s, bool exactly)
{
    const int most = (1 << (s->format.bits > 24 ? 24 : s->format.bits)) + 2;
    const int stride = 2 * most > STAIRS ? 2 * most / STAIRS : 1;
    const double step = (double)s->step[0];
    for (int k = -most; k <= most; k += stride) {
        put_around(p, k * step, exactly);
        put_around(p, (k + 0.5) * step, exactly);
    }
    for (int k = -32; k <= 32; k++) {
        put_around(p, k * step, exactly);
        put_around(p, (k + 0.5) * step, exactly);
    }
}

/* Floats of all magnitudes around the step, with mantissas that end in halves of short ones. */
static void magnitudes(points *p, const bli_spelling *s)
{
    for (int e = -20; e <= 40; e++)
        for (int m = 0; m < MANTISSAS; m++) {
            double v = ldexp(1 + m / (double)MANTISSAS, e) * (double)s->step[0] * 0x1p-12;
            put_around(p, v, false);
            put_around(p, -v, false);
        }
}

static bool make_points(bl_context *ctx, const bli_spelling *s, bool exactly, points *p)
{
    p->room = (size_t)(2 * STAIRS + 200) * 2 * (2 * BESIDE + 1) + 61 * MANTISSAS * 2 * (2 * BESIDE + 1) + 16;
    p->v = bli_alloc_array(ctx, p->room, sizeof *p->v); /* 400 KiB, most of it for wide formats */
    if (!p->v)
        return false;
    if (s->format.kind != BL_FORMAT_FLOAT)
        stairs(p, s, exactly);
    if (!exactly)
        magnitudes(p, s);
    static const double ends[] = {0.0, -0.0, 1e30, -1e30, 3e38, -3e38, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < BLI_COUNT(ends); i++)
        put(p, exactly && fabs(ends[i]) > 1 ? 0 : ends[i]);
    return true;
}

bl_status bli_spell_reference(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec, const bl_tensor *scale,
                              const bl_tensor *x, const bl_tensor *y)
{
    const bli_op *op = bli_op_find("Quantize", BLI_DOMAIN_OWN);
    bli_quant_spec one = *spec;
    one.granularity = BLI_PER_TENSOR;
    bli_call c = {.ctx = ctx, .node = n, .isa = bli_cpu_isa(), .state = &one};
    c.in[0] = *x;
    if (scale)
        c.in[1] = *scale;
    c.out[0] = *y;
    c.scratch = bli_alloc(ctx, op->scratch ? op->scratch(&c) : 0);
    if (!c.scratch)
        return BL_NO_MEMORY;
    bl_status s = op->forward(&c);
    bli_free(ctx, c.scratch);
    return s;
}

bl_status bli_spell_evaluate(bl_context *ctx, const bl_tensor *x, bli_spell_fn spell, const void *arg, bl_tensor *y)
{
    bl_graph *g;
    int input;
    *y = (bl_tensor){.data = NULL};
    BLI_TRY(bl_graph_create(ctx, "", &g));
    bl_status s = bl_graph_add_tensor(g, "x", BL_ROLE_CONSTANT, "", x, &input);
    bli_chain chain = {.g = g, .base = "", .anchor = -1, .shape = x->shape, .status = s};
    int output = s == BL_OK ? spell(&chain, input, arg) : -1;
    s = chain.status;
    for (int i = 0; s == BL_OK && output >= 0 && i < bl_graph_num_nodes(g); i++) {
        bl_tensor t;
        int made = bl_graph_node(g, i)->outputs[0];
        s = bli_eval_node(g, i, &t);
        if (s != BL_OK)
            break;
        bli_graph_remove_node(g, i);
        if (made == output) {
            *y = t;
            break;
        }
        s = bli_graph_make_tensor(g, made, BL_ROLE_CONSTANT, "", &t);
        bl_tensor_free(ctx, &t);
    }
    bl_graph_destroy(g);
    return s;
}

static double real_at(const bl_tensor *t, int64_t i)
{
    return t->type == BL_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

bool bli_spell_same(const bl_tensor *a, const bl_tensor *b)
{
    int64_t count = bl_shape_count(&a->shape);
    if (!a->data || !b->data || count != bl_shape_count(&b->shape) || a->type != b->type ||
        (a->type != BL_F32 && a->type != BL_F64))
        return false;
    for (int64_t i = 0; i < count; i++) {
        double u = real_at(a, i), v = real_at(b, i);
        if (!(u == v || (isnan(u) && isnan(v))))
            return false;
    }
    return true;
}

bl_status bli_spell_probe(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec, const bl_tensor *scale,
                          const bli_spelling *s, bli_spell_fn spell, bool exactly, bool *same)
{
    points p = {0};
    *same = false;
    if (!make_points(ctx, s, exactly, &p))
        return BL_NO_MEMORY;
    bl_tensor x = {BL_F32, {2, {(int64_t)p.count, 1}}, p.v}, ours = {.data = NULL}, theirs = {.data = NULL};
    bl_status status = bl_tensor_create(ctx, BL_F32, &x.shape, &ours);
    if (status == BL_OK)
        status = bli_spell_reference(ctx, n, spec, scale, &x, &ours);
    if (status == BL_OK)
        status = bli_spell_evaluate(ctx, &x, spell, s, &theirs);
    *same = status == BL_OK && bli_spell_same(&ours, &theirs);
    bl_tensor_free(ctx, &ours);
    bl_tensor_free(ctx, &theirs);
    bli_free(ctx, p.v);
    return status;
}
