/* layout.c: storages packed by lifetime; arenas and scratch of a plan.
 *
 * Storages whose intervals do not meet may share bytes.  Greedy by size is within a few percent of the best packing
 * for networks (Pisarchyk and Lee, arXiv:2001.03288) and quadratic in the number of values.
 */
#include "run/layout.h"

#include <stdlib.h>
#include <string.h>

typedef struct placed {
    size_t size;
    int index;
} placed;

static int larger_first(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->index - y->index;
}

static size_t rounded(size_t n)
{
    return (n + BLI_ALIGN - 1) & ~(size_t)(BLI_ALIGN - 1);
}

/* The lowest offset at which order[k] meets none of the earlier ones in both time and place. */
static size_t lowest_fit(const bli_storage *s, const placed *order, int k)
{
    const bli_storage *me = &s[order[k].index];
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int j = 0; j < k; j++) {
            const bli_storage *o = &s[order[j].index];
            const bool together = me->first <= o->last && o->first <= me->last;
            if (together && offset < o->offset + order[j].size && o->offset < offset + order[k].size) {
                offset = o->offset + order[j].size;
                moved = true;
            }
        }
    }
    return offset;
}

bl_status bli_layout(bl_context *ctx, bli_storage *s, int count, bool global, size_t rows, size_t *bytes)
{
    placed *order = bli_alloc_array(ctx, (size_t)count + 1, sizeof *order);
    if (!order)
        return BL_NO_MEMORY;
    int n = 0;
    for (int i = 0; i < count; i++) {
        size_t size;
        if (s[i].global != global)
            continue;
        if (!bli_mul_size(s[i].row_bytes, rows, &size) || size > SIZE_MAX / 4) {
            bli_free(ctx, order);
            return bli_fail(ctx, BL_LIMIT, "a batch of %zu rows of %zu bytes does not fit memory", rows,
                            s[i].row_bytes);
        }
        order[n++] = (placed){rounded(size), i};
    }
    qsort(order, (size_t)n, sizeof *order, larger_first);
    *bytes = 0;
    for (int k = 0; k < n; k++) {
        bli_storage *me = &s[order[k].index];
        me->offset = lowest_fit(s, order, k);
        if (me->offset + order[k].size > *bytes)
            *bytes = me->offset + order[k].size;
    }
    bli_free(ctx, order);
    return BL_OK;
}

static double as_double(bl_dtype t, const void *p, size_t i)
{
    switch (t) {
#define AS_DOUBLE(name, ctype, npy, onnx)                                                                              \
    case BL_##name:                                                                                                    \
        return (double)((const ctype *)p)[i];
        BL_DTYPE_LIST(AS_DOUBLE)
#undef AS_DOUBLE
    case BL_DTYPE_COUNT:
        break;
    }
    return 0;
}

static void store_double(bl_dtype t, void *p, size_t i, double v)
{
    switch (t) {
#define STORE_DOUBLE(name, ctype, npy, onnx)                                                                           \
    case BL_##name:                                                                                                    \
        ((ctype *)p)[i] = (ctype)v;                                                                                    \
        break;
        BL_DTYPE_LIST(STORE_DOUBLE)
#undef STORE_DOUBLE
    case BL_DTYPE_COUNT:
        break;
    }
}

void bli_convert(bl_dtype to_type, void *to, bl_dtype from_type, const void *from, size_t n)
{
    if (to_type == from_type) {
        if (n)
            memcpy(to, from, n * bl_dtype_size(to_type));
        return;
    }
    for (size_t i = 0; i < n; i++)
        store_double(to_type, to, i, as_double(from_type, from, i));
}

/* Shapes only: the largest slice, no data yet. */
static size_t most_scratch(const bli_plan *p, const bli_pstep *steps, int count)
{
    const bli_place at = {.rows = p->slice_rows, .batch_rows = p->opt.rows, .training = p->opt.training};
    size_t most = 0;
    for (int i = 0; i < count; i++) {
        if (steps[i].view || !steps[i].op->scratch)
            continue;
        bli_call c;
        bli_plan_call(p, &steps[i], &at, &c);
        const size_t n = steps[i].op->scratch(&c);
        most = n > most ? n : most;
    }
    return most;
}

static bl_status size_steps(bli_plan *p)
{
    const bli_place at = {.rows = p->slice_rows, .batch_rows = p->opt.rows, .training = p->opt.training};
    for (int i = 0; i < p->num_steps; i++) {
        bli_pstep *s = &p->steps[i];
        bli_call c;
        bli_plan_call(p, s, &at, &c);
        s->prep_size = s->op->prep_size ? s->op->prep_size(&c) : 0;
        if (s->prep_size && !(s->prep = bli_arena_alloc(p->arena, s->prep_size)))
            return BL_NO_MEMORY;
    }
    return BL_OK;
}

bl_status bli_plan_layout(bli_plan *p)
{
    const int64_t rows = p->opt.rows;
    BLI_TRY(bli_layout(p->ctx, p->storages, p->num_storages, true, (size_t)rows, &p->global_bytes));
    BLI_TRY(bli_layout(p->ctx, p->storages, p->num_storages, false, (size_t)p->slice_rows, &p->local_bytes));
    p->global = bli_arena_alloc(p->arena, p->global_bytes + BLI_ALIGN);
    if (!p->global)
        return BL_NO_MEMORY;
    BLI_TRY(size_steps(p));
    p->scratch_bytes = most_scratch(p, p->steps, p->num_steps);
    const size_t whole = most_scratch(p, p->whole_steps, p->num_whole_steps);
    p->scratch_bytes = whole > p->scratch_bytes ? whole : p->scratch_bytes;
    const size_t threads = (size_t)p->opt.threads;
    p->scratch = bli_arena_array(p->arena, threads, sizeof *p->scratch);
    char **locals = bli_arena_array(p->arena, threads, sizeof *locals);
    if (!locals || !p->scratch)
        return BL_NO_MEMORY;
    for (size_t t = 0; t < threads; t++) {
        locals[t] = bli_arena_alloc(p->arena, p->local_bytes + BLI_ALIGN);
        p->scratch[t] = bli_arena_alloc(p->arena, p->scratch_bytes + BLI_ALIGN);
        if (!locals[t] || !p->scratch[t])
            return BL_NO_MEMORY;
    }
    p->locals = locals;
    p->calls = bli_plan_make_calls(p);
    return p->calls ? BL_OK : BL_NO_MEMORY;
}
