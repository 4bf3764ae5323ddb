/* broadcast.c: shapes that are stretched to each other, and loops over them. */
#include "tf/broadcast.h"

#include "op/box.h"

static int64_t dim_of(const bl_shape *s, int rank, int i)
{
    const int at = i - (rank - s->rank);
    return at < 0 ? 1 : s->dim[at];
}

bl_status bli_tf_spread_shape(const bli_tf_call *c, int ia, int ib, bl_shape *out)
{
    const bl_shape *a = &c->in[ia].shape, *b = &c->in[ib].shape;
    char text[BL_MAX_RANK * 24 + 3];
    *out = BLI_TF_UNKNOWN_SHAPE;
    if (a->rank < 0 || b->rank < 0)
        return BL_OK;
    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < out->rank; i++) {
        const int64_t x = dim_of(a, out->rank, i), y = dim_of(b, out->rank, i);
        if (x >= 0 && y >= 0 && x != y && x != 1 && y != 1) {
            bl_shape_print(a, text, sizeof text);
            return bli_tf_refuse(c, ib, text);
        }
        out->dim[i] = x < 0 || y < 0 ? (x > 1 ? x : y > 1 ? y : -1) : x == 1 ? y : x;
    }
    return BL_OK;
}

bli_tf_spread bli_tf_spread_make(const bl_shape *a, const bl_shape *b, const bl_shape *out)
{
    int64_t sa[BL_MAX_RANK], sb[BL_MAX_RANK];
    bli_tf_spread s = {.rank = 0};
    bli_strides(a, sa);
    bli_strides(b, sb);
    for (int i = 0; i < out->rank; i++) {
        const int ka = i - (out->rank - a->rank), kb = i - (out->rank - b->rank);
        const int64_t n = out->dim[i], step_a = ka >= 0 && a->dim[ka] != 1 ? sa[ka] : 0,
                      step_b = kb >= 0 && b->dim[kb] != 1 ? sb[kb] : 0;
        if (n == 1)
            continue;
        const int last = s.rank - 1;
        if (last >= 0 && s.a[last] == step_a * n && s.b[last] == step_b * n) {
            s.dim[last] *= n;
            s.a[last] = step_a;
            s.b[last] = step_b;
        } else {
            s.dim[s.rank] = n;
            s.a[s.rank] = step_a;
            s.b[s.rank++] = step_b;
        }
    }
    if (s.rank == 0)
        s = (bli_tf_spread){.rank = 1, .dim = {1}, .a = {1}, .b = {1}};
    return s;
}

void bli_tf_spread_run(const bli_tf_spread *s, bli_tf_pair_fn fn, const void *a, size_t size_a, const void *b,
                       size_t size_b, void *out, size_t size_out)
{
    const int inner = s->rank - 1;
    int64_t at[BL_MAX_RANK] = {0}, rows = 1, ia = 0, ib = 0;
    char *to = out;
    for (int d = 0; d < inner; d++)
        rows *= s->dim[d];
    for (int64_t r = 0; r < rows && s->dim[inner] > 0; r++) {
        fn((const char *)a + (size_t)ia * size_a, s->a[inner], (const char *)b + (size_t)ib * size_b, s->b[inner],
           s->dim[inner], to);
        to += (size_t)s->dim[inner] * size_out;
        for (int d = inner - 1; d >= 0; d--) {
            ia += s->a[d];
            ib += s->b[d];
            if (++at[d] < s->dim[d])
                break;
            ia -= s->a[d] * s->dim[d];
            ib -= s->b[d] * s->dim[d];
            at[d] = 0;
        }
    }
}
