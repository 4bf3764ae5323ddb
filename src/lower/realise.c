/* realise.c: a chain that ends on a grid becomes primitives.
 *
 * A monotone chain is a staircase; few steps become THRESHOLD, many RESCALE where a multiplier is proven equal, else
 * TABLE or THRESHOLD by size.  A chain of which nothing is known becomes a TABLE of at most 2^16 entries.  All are
 * exact over the wire's proven range.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lower/stairs.h"

enum { FEW_STAIRS = 64, TABLE_BITS = 16, MOST_ENTRIES = 1 << 22 };

typedef struct realise {
    bli_lowering *l;
    bli_lower_call *c;
    const bli_chain *chain;
    int wire, exp; /* in; out exponent */
    bl_shape row;
    const char *tail;
    int *out;
} realise;

static bl_status add(realise *r, bli_prim_op op)
{
    op.num_in = 1;
    op.in[0] = r->wire;
    op.channels = r->chain->groups;
    return bli_lower_add(r->c, &op, r->tail, NULL, r->exp, r->out);
}

static bl_status add_constant(realise *r, const bli_stairs *s)
{
    return add(r, (bli_prim_op){.kind = BLI_PRIM_CLAMP, .low = s->first, .high = s->first});
}

static bl_status add_thresholds(realise *r, const bli_stairs *s)
{
    const int64_t length = s->most;
    int64_t *at = bli_lower_numbers(r->c, s->groups * length, INT64_MAX);
    int64_t *step = bli_lower_numbers(r->c, s->groups * length, 0);
    if (!at || !step)
        return BL_NO_MEMORY;
    for (int64_t g = 0; g < s->groups; g++) {
        int64_t before = s->first[g];
        for (int64_t i = s->start[g]; i < s->start[g + 1]; i++) {
            const int64_t k = g * length + i - s->start[g];
            at[k] = s->stair[i].x;
            step[k] = s->stair[i].value - before;
            before = s->stair[i].value;
        }
    }
    return add(r, (bli_prim_op){
                      .kind = BLI_PRIM_THRESHOLD, .length = length, .threshold = at, .step = step, .base = s->first});
}

/* Codes that are multiples of 2^zeros are divided by it: a shorter table. */
static bl_status drop_zeros(realise *r, int zeros)
{
    const int64_t shift = zeros;
    const bli_prim_op op = {.kind = BLI_PRIM_ROUND, .num_in = 1, .in = {r->wire}, .channels = 1, .shift = &shift};
    if (zeros == 0)
        return BL_OK;
    return bli_lower_add(r->c, &op, "index", NULL, bli_builder_wire(r->l->b, r->wire)->exp + zeros, &r->wire);
}

static int64_t entries_of(const bli_span *s)
{
    const uint64_t n = ((uint64_t)s->high - (uint64_t)s->low) >> s->zeros;
    return n >= (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)n + 1;
}

/* What the chain gives before its quantizer, in float64. */
static bl_status before_quantizer(realise *r, const int64_t *codes, int64_t n, double *z)
{
    const bl_dtype real = r->l->real;
    bli_chain open = *r->chain;
    bli_probe *p;
    open.count--;
    r->l->real = BL_F64;
    bl_status s = bli_probe_create(r->l, &open, r->wire, &r->row, &p);
    r->l->real = real;
    BLI_TRY(s);
    s = bli_probe_run(p, codes, z, n);
    bli_probe_destroy(p);
    return s;
}

/* "Tanh, Quantize: at most 0.0156 off": how far the quantized values y are from those before. */
static bl_status say_error(realise *r, const double *y, const double *z, int64_t n)
{
    char note[256];
    size_t at = 0;
    double worst = 0;
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs(y[i] - z[i]));
    for (int i = 0; i < r->chain->count && at < sizeof note - 64; i++)
        at += (size_t)snprintf(note + at, sizeof note - at, "%s%s", i == 0 ? "" : ", ", r->chain->links[i].node->type);
    snprintf(note + (at < sizeof note - 64 ? at : sizeof note - 64), 64, ": at most %.3g off", worst * 1.005);
    return bli_builder_note(r->l->b, *r->out, note);
}

static bl_status add_table(realise *r)
{
    const int64_t groups = r->chain->groups;
    bli_span hull = bli_wire_hull(bli_builder_wire(r->l->b, r->wire));
    BLI_TRY(drop_zeros(r, hull.low == hull.high ? 0 : hull.zeros));
    hull = bli_wire_hull(bli_builder_wire(r->l->b, r->wire));
    const int64_t n = hull.high - hull.low + 1;
    int64_t *codes = bli_lower_numbers(r->c, n * groups, 0), *table = bli_lower_numbers(r->c, n * groups, 0);
    double *y = bli_arena_array(r->l->arena, (size_t)(n * groups) + 1, sizeof *y);
    double *z = bli_arena_array(r->l->arena, (size_t)(n * groups) + 1, sizeof *z);
    const bool ends = r->chain->count > 0 && strstr(r->chain->links[r->chain->count - 1].node->type, "Quant");
    bli_probe *p;
    if (!codes || !table || !y || !z)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n * groups; i++)
        codes[i] = hull.low + i / groups;
    BLI_TRY(bli_probe_create(r->l, r->chain, r->wire, &r->row, &p));
    const bl_status s = bli_probe_run(p, codes, y, n);
    bli_probe_destroy(p);
    BLI_TRY(s);
    if (ends)
        BLI_TRY(before_quantizer(r, codes, n, z));
    BLI_TRY(bli_value_codes(r->l, y, n * groups, r->exp, codes));
    for (int64_t i = 0; i < n; i++)
        for (int64_t g = 0; g < groups; g++)
            table[g * n + i] = codes[i * groups + g];
    BLI_TRY(add(r, (bli_prim_op){.kind = BLI_PRIM_TABLE, .first = hull.low, .length = n, .table = table}));
    return ends ? say_error(r, y, z, n * groups) : BL_OK;
}

static bl_status add_stairs(realise *r, const bli_stairs *s)
{
    const bli_span hull = bli_wire_hull(bli_builder_wire(r->l->b, r->wire));
    const int64_t entries = entries_of(&hull);
    const bool table = entries <= (int64_t)1 << TABLE_BITS && entries * s->groups <= MOST_ENTRIES;
    bli_rescale m;
    bool found = false;
    if (s->count == 0)
        return add_constant(r, s);
    if (s->most <= FEW_STAIRS && s->most < entries)
        return add_thresholds(r, s);
    BLI_TRY(bli_rescale_find(r->l, s, &m, &found));
    if (found)
        return add(r, (bli_prim_op){.kind = BLI_PRIM_RESCALE,
                                    .weight = m.weight,
                                    .bias = m.bias,
                                    .shift = m.shift,
                                    .low = m.low,
                                    .high = m.high});
    if (table)
        return add_table(r);
    return s->most * s->groups <= MOST_ENTRIES
               ? add_thresholds(r, s)
               : bli_fail(r->l->ctx, BL_LIMIT, "%lld steps for each of %lld channels; use a coarser quantizer",
                          (long long)s->most, (long long)s->groups);
}

static bl_status by_stairs(realise *r)
{
    bli_probe *p;
    bli_stairs s;
    BLI_TRY(bli_probe_create(r->l, r->chain, r->wire, &r->row, &p));
    const bl_status status = bli_stairs_find(r->l, p, bli_builder_wire(r->l->b, r->wire), r->chain, r->exp, &s);
    bli_probe_destroy(p);
    return status == BL_OK ? add_stairs(r, &s) : status;
}

static bool monotone(const bli_chain *chain)
{
    for (int64_t g = 0; g < chain->groups; g++)
        if (chain->direction[g] == 0)
            return false;
    return true;
}

static bl_status flat_or_refused(realise *r)
{
    const bli_wire *w = bli_builder_wire(r->l->b, r->wire);
    const bli_span hull = bli_wire_hull(w);
    const int64_t entries = entries_of(&hull);
    if (monotone(r->chain))
        return by_stairs(r);
    if (entries > (int64_t)1 << TABLE_BITS || entries * r->chain->groups > MOST_ENTRIES)
        return bli_fail(r->l->ctx, BL_UNSUPPORTED,
                        "'%s' has %lld values, a table takes %d; put a quantizer of at most %d bits in front", w->name,
                        (long long)entries, 1 << TABLE_BITS, (int)TABLE_BITS);
    return add_table(r);
}

/* Functions per element stand on a flat wire, whose last dimension they are. */
bl_status bli_realise(bli_lowering *l, bli_lower_call *c, const bli_lowered *x, int exp, int *wire)
{
    const bli_wire *w = bli_builder_wire(l->b, x->wire);
    realise r = {.l = l, .c = c, .chain = x->chain, .wire = x->wire, .exp = exp, .row = w->shape, .out = wire};
    int made;
    if (w->count == 0)
        return bli_fail(l->ctx, BL_UNSUPPORTED, "'%s' has no elements", w->name);
    if (x->chain->groups == 1 || x->chain->groups == r.row.dim[r.row.rank - 1])
        return flat_or_refused(&r);
    const bl_shape flat = {1, {w->count}};
    bli_prim_op op = {.kind = BLI_PRIM_RESHAPE, .num_in = 1, .in = {x->wire}};
    BLI_TRY(bli_lower_add(c, &op, "flat", &flat, w->exp, &r.wire));
    r.out = &made;
    r.tail = "elements";
    BLI_TRY(flat_or_refused(&r));
    op.in[0] = made;
    return bli_lower_add(c, &op, NULL, &r.row, exp, wire);
}
