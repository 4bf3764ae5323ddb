/* cmvm_tree.c: columns that resemble each other are built from each other.
 *
 * Prim's tree from the zero column; the distance of two columns is the number of signed digits of their difference or
 * sum, whichever is less.  Depth is capped by dc as da4ml's paper has it: a column at distance d from its parent stands
 * max(ceil log2 d, depth of the parent) + 1 deep (from the zero column: ceil log2 d), and none deeper than
 * 2^dc - 1 + ceil log2 of the greatest distance from zero.
 */
#include "program/cmvm_impl.h"
#include "program/csd.h"

static int ceil_log2(int64_t x)
{
    return x <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)x - 1);
}

typedef struct prim {
    const int64_t *columns; /* transposed: [column][input] */
    int32_t inputs, count;
    int32_t *parent, *distance, *depth; /* best way known to reach a column; distance -1: it is in the tree */
    bool *negative;
    int cap;
} prim;

static int32_t distance_of(const prim *p, int32_t a, int32_t b, bool *negative)
{
    int32_t minus = 0, plus = 0;
    const int64_t *x = p->columns + (size_t)a * (size_t)p->inputs, *y = p->columns + (size_t)b * (size_t)p->inputs;
    for (int32_t i = 0; i < p->inputs; i++) {
        minus += bli_csd_digits(x[i] - y[i]);
        plus += bli_csd_digits(x[i] + y[i]);
    }
    *negative = plus < minus;
    return *negative ? plus : minus;
}

static int32_t digits_of(const prim *p, int32_t a)
{
    int32_t digits = 0;
    for (int32_t i = 0; i < p->inputs; i++)
        digits += bli_csd_digits(p->columns[(size_t)a * (size_t)p->inputs + (size_t)i]);
    return digits;
}

static void reach_from_zero(prim *p, int dc)
{
    int greatest = 0;
    for (int32_t j = 0; j < p->count; j++) {
        p->parent[j] = -1;
        p->distance[j] = digits_of(p, j);
        p->depth[j] = ceil_log2(p->distance[j]);
        greatest = p->depth[j] > greatest ? p->depth[j] : greatest;
    }
    p->cap = dc < 0 ? greatest : greatest + (dc < 16 ? (1 << dc) - 1 : 1 << 16);
}

static int32_t nearest(const prim *p)
{
    int32_t best = -1;
    for (int32_t j = 0; j < p->count; j++)
        if (p->distance[j] >= 0 && (best < 0 || p->distance[j] < p->distance[best]))
            best = j;
    return best;
}

static void reach_from(prim *p, int32_t from)
{
    for (int32_t j = 0; j < p->count; j++) {
        bool negative;
        if (p->distance[j] < 0)
            continue;
        const int32_t d = distance_of(p, j, from, &negative);
        const int own = ceil_log2(d), below = p->depth[from];
        const int depth = (own > below ? own : below) + 1;
        if (d >= p->distance[j] || depth > p->cap)
            continue;
        p->parent[j] = from;
        p->negative[j] = negative;
        p->distance[j] = d;
        p->depth[j] = depth;
    }
}

static bl_status take_memory(bl_context *ctx, int32_t count, prim *p, bli_cmvm_tree *t)
{
    const size_t n = (size_t)count;
    t->parent = bli_alloc_array(ctx, n, sizeof *t->parent);
    t->order = bli_alloc_array(ctx, n, sizeof *t->order);
    t->negative = bli_alloc_array(ctx, n, sizeof *t->negative);
    p->distance = bli_alloc_array(ctx, n, sizeof *p->distance);
    p->depth = bli_alloc_array(ctx, n, sizeof *p->depth);
    const bool ok = t->parent && t->order && t->negative && p->distance && p->depth;
    return ok ? BL_OK : BL_NO_MEMORY;
}

bl_status bli_cmvm_tree_grow(bl_context *ctx, const int64_t *columns, int32_t inputs, int32_t count, int dc,
                             bli_cmvm_tree *out)
{
    prim p = {.columns = columns, .inputs = inputs, .count = count};
    *out = (bli_cmvm_tree){0};
    bl_status s = take_memory(ctx, count, &p, out);
    if (s == BL_OK) {
        p.parent = out->parent;
        p.negative = out->negative;
        reach_from_zero(&p, dc);
        for (int32_t k = 0; k < count; k++) {
            out->order[k] = nearest(&p);
            p.distance[out->order[k]] = -1;
            if (dc >= 0)
                reach_from(&p, out->order[k]);
        }
    }
    bli_free(ctx, p.distance);
    bli_free(ctx, p.depth);
    if (s != BL_OK)
        bli_cmvm_tree_free(ctx, out);
    return s;
}

void bli_cmvm_tree_free(bl_context *ctx, bli_cmvm_tree *t)
{
    bli_free(ctx, t->parent);
    bli_free(ctx, t->order);
    bli_free(ctx, t->negative);
    *t = (bli_cmvm_tree){0};
}
