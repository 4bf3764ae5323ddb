/* box.c: copying boxes of elements. */
#include "op/box.h"

#include <string.h>

void bli_strides(const bl_shape *s, int64_t *stride)
{
    int64_t n = 1;
    for (int d = s->rank - 1; d >= 0; d--) {
        stride[d] = n;
        n *= s->dim[d];
    }
}

bli_box bli_box_of(const bl_shape *s)
{
    bli_box b = {.rank = s->rank};
    memcpy(b.dim, s->dim, sizeof b.dim);
    bli_strides(s, b.from);
    bli_strides(s, b.to);
    return b;
}

bli_box bli_box_reversed(const bli_box *b)
{
    bli_box r = *b;
    memcpy(r.from, b->to, sizeof r.from);
    memcpy(r.to, b->from, sizeof r.to);
    r.from_at = b->to_at;
    r.to_at = b->from_at;
    return r;
}

/* Dimensions of size 1 dropped, neighbours that are contiguous on both sides merged; at least one dimension. */
static bli_box merged(const bli_box *b)
{
    bli_box m = {.rank = 0, .from_at = b->from_at, .to_at = b->to_at};
    for (int d = 0; d < b->rank; d++) {
        if (b->dim[d] == 1)
            continue;
        const int last = m.rank - 1;
        const bool join = m.rank > 0 && m.from[last] == b->from[d] * b->dim[d] && m.to[last] == b->to[d] * b->dim[d];
        const int to = join ? last : m.rank++;
        m.dim[to] = join ? m.dim[last] * b->dim[d] : b->dim[d];
        m.from[to] = b->from[d];
        m.to[to] = b->to[d];
    }
    if (m.rank == 0)
        m = (bli_box){.rank = 1, .dim = {1}, .from = {1}, .to = {1}, .from_at = b->from_at, .to_at = b->to_at};
    return m;
}

#define COPY_RUN(type)                                                                                                 \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((type *)to)[i * to_step] = ((const type *)from)[i * from_step];

static void copy_run(const char *from, int64_t from_step, char *to, int64_t to_step, int64_t n, size_t size)
{
    if (from_step == 1 && to_step == 1)
        memcpy(to, from, (size_t)n * size);
    else if (size == 8)
        COPY_RUN(uint64_t)
    else if (size == 4)
        COPY_RUN(uint32_t)
    else if (size == 2)
        COPY_RUN(uint16_t)
    else
        COPY_RUN(uint8_t)
}
#undef COPY_RUN

void bli_box_copy(const bli_box *box, const void *from, void *to, size_t size)
{
    const bli_box b = merged(box);
    const int inner = b.rank - 1;
    int64_t runs = 1, index[BL_MAX_RANK] = {0}, f = b.from_at, t = b.to_at;
    for (int d = 0; d < b.rank; d++)
        runs *= d < inner || b.dim[d] == 0 ? b.dim[d] : 1;
    for (; runs > 0; runs--) {
        copy_run((const char *)from + f * (int64_t)size, b.from[inner], (char *)to + t * (int64_t)size, b.to[inner],
                 b.dim[inner], size);
        for (int d = inner - 1; d >= 0; d--) {
            f += b.from[d];
            t += b.to[d];
            if (++index[d] < b.dim[d])
                break;
            f -= b.from[d] * b.dim[d];
            t -= b.to[d] * b.dim[d];
            index[d] = 0;
        }
    }
}
