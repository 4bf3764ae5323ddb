/* spell_stairs.c: a quantizer of few steps as a table.
 *
 * Powers of two, dead bands and the like have no operator of their own, but each rises from one value to the next at
 * some float T_i, found by bisection with the quantizer itself.  From the first value u_0 on:
 *
 *     y = ReduceMax over i of (u_i where x >= T_i, else u_0)
 *
 * x >= T is r = Clip(Floor(x / T), 0, 1) for T above zero (a quotient reaches 1 exactly when x reaches T, in any
 * rounding to nearest); for others it is 1 - r with x / -T', T' the float after |T|.  Either way the choice is
 * r a_i + (1 - r) b_i, products by 0 and 1.  What does not only rise is found out by trying.
 */
#include <math.h>
#include <string.h>

#include "pass/spell_quant.h"

enum { MOST = 256, BESIDE = 2, MANTISSAS = 8, RANDOM = 4096, GREATEST_BITS = 0x7f7fffff };

typedef struct quantizer {
    bl_context *ctx;
    const bl_node *n;
    const bli_quant_spec *spec;
    const bl_tensor *scale;
} quantizer;

/* Floats in their order as integers; 0 and -0 are one. */
static float float_at(int32_t key)
{
    const int32_t bits = key < 0 ? -key : key;
    float f;
    memcpy(&f, &bits, sizeof f);
    return key < 0 ? -f : f;
}

static bl_status value_at(const quantizer *q, int32_t key, float *y)
{
    float x = float_at(key);
    const bl_tensor in = {BL_F32, {2, {1, 1}}, &x}, out = {BL_F32, {2, {1, 1}}, y};
    return bli_spell_reference(q->ctx, q->n, q->spec, q->scale, &in, &out);
}

/* The first key above from, up to GREATEST_BITS, whose value is not u. */
static bl_status next_step(const quantizer *q, int32_t from, float u, int32_t *at)
{
    int64_t low = from, high = GREATEST_BITS;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        float y;
        BLI_TRY(value_at(q, (int32_t)middle, &y));
        if (y == u)
            low = middle;
        else
            high = middle;
    }
    *at = (int32_t)high;
    return BL_OK;
}

/* Fills s->divisor with the thresholds and s->if_reached with the values, the first value apart. */
static bl_status climb(const quantizer *q, bli_stairs *s, float *first)
{
    int32_t key = -GREATEST_BITS;
    float last, u;
    BLI_TRY(value_at(q, key, &u));
    BLI_TRY(value_at(q, GREATEST_BITS, &last));
    *first = u;
    while (u < last && s->count < MOST) {
        BLI_TRY(next_step(q, key, u, &key));
        float y;
        BLI_TRY(value_at(q, key, &y));
        if (!(y > u))
            break;
        u = y;
        s->divisor[s->count] = float_at(key);
        s->if_reached[s->count++] = u;
    }
    if (u != last || !isfinite(u))
        s->count = 0;
    return BL_OK;
}

static void choose(bli_stairs *s, float first)
{
    for (int i = 0; i < s->count; i++) {
        const float t = s->divisor[i], u = s->if_reached[i];
        const bool above = t > 0;
        s->divisor[i] = above ? t : -nextafterf(-t, INFINITY);
        s->if_reached[i] = above ? u : first;
        s->if_not[i] = above ? first : u;
    }
}

int bli_spell_stairs(bli_chain *c, int x, const void *arg)
{
    const bli_stairs *s = arg;
    const bl_shape list = {1, {s->count}};
    bl_shape flat = {3, {s->shape.dim[0], 1, 1}};
    const int64_t last = 2;
    for (int i = 1; i < s->shape.rank; i++)
        flat.dim[1] *= s->shape.dim[i];
    int t = bli_spell_reshape(c, "flat", "flat/shape", x, &flat);
    c->shape.dim[2] = s->count;
    t = bli_chain_node(c, "ratio", "Div", t, bli_chain_tensor(c, "thresholds", &list, s->divisor), -1);
    t = bli_chain_node(c, "floor", "Floor", t, -1, -1);
    int zero = bli_chain_number(c, "zero", 0), one = bli_chain_number(c, "one", 1);
    int r = bli_chain_node(c, "reached", "Clip", t, zero, one);
    int a = bli_chain_node(c, "above", "Mul", r, bli_chain_tensor(c, "if_reached", &list, s->if_reached), -1);
    int not = bli_chain_node(c, "not_reached", "Sub", one, r, -1);
    int b = bli_chain_node(c, "below", "Mul", not, bli_chain_tensor(c, "if_not", &list, s->if_not), -1);
    t = bli_chain_node(c, "steps", "Add", a, b, -1);
    const bl_attr axes = {"axes", BL_ATTR_INTS, 1, {.ints = &last}};
    const bl_node n = {
        .type = "ReduceMax", .num_inputs = 1, .num_outputs = 1, .num_attrs = 1, .inputs = &t, .attrs = &axes};
    c->shape.dim[2] = 1;
    t = t < 0 ? -1 : bli_chain_add(c, &n, "highest");
    return bli_spell_reshape(c, "quant", "quant/shape", t, &s->shape);
}

/* ---- trying it ---------------------------------------------------------------------------------------------- */

static size_t fill(const bli_stairs *s, float *x)
{
    size_t n = 0;
    for (int i = 0; i < s->count; i++) {
        float up = fabsf(s->divisor[i]), down = up;
        for (int k = 0; k <= BESIDE; k++) {
            x[n++] = up, x[n++] = -up, x[n++] = down, x[n++] = -down;
            up = nextafterf(up, INFINITY);
            down = nextafterf(down, 0);
        }
    }
    for (int e = -149; e < 128; e++)
        for (int m = 0; m < MANTISSAS; m++) {
            x[n++] = ldexpf(1 + (float)m / MANTISSAS, e);
            x[n] = -x[n - 1];
            n++;
        }
    uint32_t r = 1;
    for (int i = 0; i < RANDOM; i++) {
        r = r * 1664525 + 1013904223;
        const int32_t magnitude = (int32_t)(r >> 1) & GREATEST_BITS;
        x[n++] = float_at(i % 2 ? magnitude : -magnitude);
        x[n++] = (float)(r >> 8) * 0x1p-20F - 8;
    }
    const float ends[] = {0, -0.0F, INFINITY, -INFINITY};
    memcpy(x + n, ends, sizeof ends);
    return n + BLI_COUNT(ends);
}

static bl_status verify(const quantizer *q, bli_stairs *s)
{
    const size_t room = (size_t)s->count * 4 * (BESIDE + 1) + (size_t)277 * MANTISSAS * 2 + 2 * RANDOM + 4;
    float *v = bli_alloc_array(q->ctx, room, sizeof *v);
    if (!v)
        return BL_NO_MEMORY;
    bli_stairs on_points = *s;
    bl_tensor ours = {.data = NULL}, theirs = {.data = NULL};
    const bl_tensor x = {BL_F32, {2, {(int64_t)fill(s, v), 1}}, v};
    on_points.shape = x.shape;
    bl_status status = bl_tensor_create(q->ctx, BL_F32, &x.shape, &ours);
    if (status == BL_OK)
        status = bli_spell_reference(q->ctx, q->n, q->spec, q->scale, &x, &ours);
    if (status == BL_OK)
        status = bli_spell_evaluate(q->ctx, &x, bli_spell_stairs, &on_points, &theirs);
    if (status == BL_OK && !bli_spell_same(&ours, &theirs))
        s->count = 0;
    bl_tensor_free(q->ctx, &theirs);
    bl_tensor_free(q->ctx, &ours);
    bli_free(q->ctx, v);
    return status;
}

bl_status bli_spell_find_stairs(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec, const bl_tensor *scale,
                                const bl_shape *shape, bli_arena *arena, bli_stairs *s)
{
    const quantizer q = {ctx, n, spec, scale};
    float first;
    *s = (bli_stairs){.shape = *shape};
    for (int i = 1; i < shape->rank; i++)
        if (shape->dim[i] <= 0)
            return BL_OK;
    if (shape->rank < 1)
        return BL_OK;
    s->divisor = bli_arena_array(arena, MOST, sizeof *s->divisor);
    s->if_reached = bli_arena_array(arena, MOST, sizeof *s->if_reached);
    s->if_not = bli_arena_array(arena, MOST, sizeof *s->if_not);
    if (!s->divisor || !s->if_reached || !s->if_not)
        return BL_NO_MEMORY;
    BLI_TRY(climb(&q, s, &first));
    choose(s, first);
    return s->count > 0 ? verify(&q, s) : BL_OK;
}
