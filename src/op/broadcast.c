/* broadcast.c: walking and summing over broadcast operands. */
#include "op/broadcast.h"

#include <string.h>

#include "op/infer.h"
#include "op/kernels/loops.h"

/* Steps of an operand of shape s under a result of rank; s's dimensions are right-aligned. */
static void operand_steps(const bl_shape *y, const bl_shape *s, int64_t *step)
{
    int64_t stride = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        const int from = s ? d - (y->rank - s->rank) : -1;
        const int64_t dim = from < 0 ? 1 : s->dim[from];
        step[d] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
}

bli_walk bli_walk_start(const bl_shape *y, const bl_shape *a, const bl_shape *b)
{
    bli_walk w = {.rank = 0, .runs = 1};
    int64_t step[2][BL_MAX_RANK];
    operand_steps(y, a, step[0]);
    operand_steps(y, b, step[1]);
    for (int d = 0; d < y->rank; d++) {
        if (y->dim[d] == 1)
            continue;
        const int last = w.rank - 1;
        bool merge = w.rank > 0;
        for (int k = 0; k < 2 && merge; k++)
            merge = w.step[k][last] == step[k][d] * y->dim[d];
        const int to = merge ? last : w.rank++;
        w.dim[to] = merge ? w.dim[last] * y->dim[d] : y->dim[d];
        for (int k = 0; k < 2; k++)
            w.step[k][to] = step[k][d];
    }
    if (w.rank == 0)
        w.dim[w.rank++] = 1;
    for (int d = 0; d < w.rank; d++)
        if (d < w.rank - 1 || w.dim[d] == 0)
            w.runs *= w.dim[d];
    return w;
}

void bli_walk_next(bli_walk *w)
{
    w->runs--;
    for (int d = w->rank - 2; d >= 0; d--) {
        for (int k = 0; k < 2; k++)
            w->at[k] += w->step[k][d];
        if (++w->index[d] < w->dim[d])
            return;
        for (int k = 0; k < 2; k++)
            w->at[k] -= w->step[k][d] * w->dim[d];
        w->index[d] = 0;
    }
}

size_t bli_walk_run(const bli_walk *w)
{
    return (size_t)w->dim[w->rank - 1];
}

#define REAL_TEMPLATE "op/broadcast.inc"
#include "op/real.h"

/* Target is a parameter under all rows: y is a matrix of whole targets.  A target that could be the batch's own (as
 * many dimensions, the same first one) is left to the walk, whatever the number of rows. */
static bool sums_columns(const bl_shape *y, const bl_shape *target)
{
    int skip = y->rank - target->rank;
    if (skip == 0 && (y->rank == 0 || target->dim[0] == y->dim[0]))
        return false;
    int first = 0; /* target's leading ones */
    while (first < target->rank && target->dim[first] == 1)
        first++;
    for (int d = first; d < target->rank; d++)
        if (target->dim[d] != y->dim[d + skip])
            return false;
    return true;
}

void bli_store(bl_dtype type, const double *sums, size_t n, double factor, void *to)
{
    BLI_REAL_CALL(type, store, sums, n, factor, to);
}

void bli_reduce_to(bli_isa isa, bl_dtype type, const void *from, const bl_shape *y, const bl_shape *target, double sign,
                   double *sums, void *to)
{
    const size_t n = (size_t)bl_shape_count(target), all = (size_t)bl_shape_count(y);
    memset(sums, 0, n * sizeof *sums);
    if (n > 0 && sums_columns(y, target)) {
        bli_loops_get(isa, type)->column_sum(from, all / n, n, sums);
    } else {
        bli_walk w = bli_walk_start(y, target, y);
        BLI_REAL_CALL(type, sum_walk, &w, from, sums);
    }
    bli_store(type, sums, n, sign, to);
}
