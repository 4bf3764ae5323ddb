/* join_source.c: what a chain's first node says of its sums; shapes that have not changed since the last run are not
 * looked at again. */
#include "tf/join_source.h"

#include <math.h>

#include "tf/conv.h"

static bool same_shapes(const bli_join_memory *m, const bl_shape *x, const bl_shape *w)
{
    return m && m->shaped && bl_shape_equal(&m->x_shape, x) && bl_shape_equal(&m->w_shape, w);
}

/* As if its picture were there as floats. */
static bl_status infer_depth(const bli_join_work *w, const bli_tf_spot *p, bli_eight_conv *v, bl_shape *shape)
{
    const bli_tf_array *f = bli_join_value(w->s, p, 1);
    bli_tf_conv conv;
    const bli_tf_arg in[2] = {{BLI_DT_FLOAT, w->x->shape, NULL, false, false},
                              {f->dtype, f->shape, f->data, true, false}};
    const bli_tf_call c = {.ctx = w->s->ctx, .node = p->node, .in = in, .num_in = 2};
    BLI_TRY(bli_tf_conv_read(&c, &conv));
    *shape = bli_tf_window_shape(&conv.w, conv.units);
    *v = (bli_eight_conv){.w = conv.w, .units = conv.units};
    return BL_OK;
}

static bl_status infer_product(const bli_join_work *w, bli_join_kind kind, const bli_tf_spot *p, bli_eight_conv *v,
                               bl_shape *shape, bool *fine)
{
    bli_tf_call c;
    float range[2];
    bool turned = false;
    *fine = false;
    if (kind == BLI_JOIN_DEPTH) {
        BLI_TRY(infer_depth(w, p, v, shape));
        *fine = v->units == v->w.channels && !v->w.nchw;
        return BL_OK;
    }
    BLI_TRY(bli_tf_session_infer(w->s, p, &c));
    *shape = c.out[0].shape;
    if (kind == BLI_JOIN_MATMUL)
        BLI_TRY(bli_eight_matmul_read(&c, v, range, &turned));
    else
        BLI_TRY(bli_eight_conv_read(&c, v, range));
    *fine = !turned;
    return BL_OK;
}

static int32_t zero_point(const float range[2])
{
    return (int32_t)(uint32_t)(uint64_t)bli_code_of(0, range[0], range[1], &bli_quint8);
}

/* Zero points and the range of the sums; false: not for one pass. */
static bool read_ranges(const bli_join_work *w, const bli_join_stage *g, bli_join_source *from)
{
    const bli_tf_spot *p = &w->s->spots[g->sum];
    float a[2], b[2];
    if (g->kind == BLI_JOIN_DEPTH)
        return bli_join_numbers(w->s, &w->s->spots[g->narrow], 1, from->range);
    if (!bli_join_numbers(w->s, p, 2, a) || !bli_join_numbers(w->s, p, 4, b) ||
        (g->kind == BLI_JOIN_MATMUL && (!(a[1] > a[0]) || !(b[1] > b[0]))))
        return false;
    from->v.zero_x = zero_point(a);
    from->v.zero_w = zero_point(b);
    if (g->factors != SIZE_MAX)
        return bli_join_numbers(w->s, &w->s->spots[g->narrow], 1, from->range);
    bli_product_range(a, &bli_quint8, b, &bli_quint8, from->range);
    return true;
}

/* The greatest that a byte less its zero point can be. */
static double reach(int32_t zero)
{
    const double low = fabs((double)zero), high = fabs(255 - (double)zero);
    return low > high ? low : high;
}

/* A number for each channel, so that no sum's product leaves 32 bits. */
static bool read_factors(const bli_join_work *w, const bli_join_stage *g, bli_join_source *from)
{
    from->factors = NULL;
    if (g->factors == SIZE_MAX)
        return true;
    const bli_tf_array *v = bli_join_value(w->s, &w->s->spots[g->factors], 1);
    if (v->dtype != BLI_DT_FLOAT || !v->data || v->shape.rank != 1 || v->shape.dim[0] != w->channels ||
        w->shape.rank < 1)
        return false;
    const bli_eight_conv *c = &from->v;
    const double terms = (double)(c->w.kernel[0] * c->w.kernel[1]) * (from->depthwise ? 1 : (double)c->w.channels);
    const double most = terms * (from->depthwise ? 255.0 * 255.0 : reach(c->zero_x) * reach(c->zero_w));
    from->factors = v->data;
    for (int64_t u = 0; u < w->channels; u++)
        if (!(most * fmax(1, fabs((double)from->factors[u])) < 0x1.ffffp30))
            return false;
    return true;
}

static bool read_lift(const bli_join_work *w, const bli_join_stage *g, bli_join_source *from)
{
    from->lift = NULL;
    if (g->lift == SIZE_MAX)
        return true;
    const bli_tf_array *v = bli_join_value(w->s, &w->s->spots[g->lift], 1);
    from->lift = v->data;
    return v->dtype == BLI_DT_INT32 && v->data && v->shape.rank >= 1 && v->shape.rank <= w->shape.rank &&
           bl_shape_count(&v->shape) == w->channels && v->shape.dim[v->shape.rank - 1] == w->channels;
}

static bl_status read_product(bli_join_work *w, bli_tf_join *j, bli_join_source *from, bool *fine)
{
    const bli_join_stage *g = &j->stages[0];
    const bli_tf_spot *p = &w->s->spots[g->sum];
    const bli_tf_array *f = bli_join_value(w->s, p, 1);
    from->depthwise = g->kind == BLI_JOIN_DEPTH;
    *fine = w->x->dtype == BLI_DT_QUINT8 && f->dtype == (from->depthwise ? BLI_DT_FLOAT : BLI_DT_QUINT8) &&
            w->x->data && f->data;
    if (*fine && same_shapes(j->memory, &w->x->shape, &f->shape)) {
        from->v = j->memory->conv;
        w->shape = j->memory->out_shape;
    } else if (*fine) {
        BLI_TRY(infer_product(w, g->kind, p, &from->v, &w->shape, fine));
    }
    *fine = *fine && read_ranges(w, g, from);
    if (!*fine)
        return BL_OK;
    from->w = from->v.w;
    w->channels = from->v.units;
    w->pixels = from->w.images * from->w.out[0] * from->w.out[1];
    *fine = w->channels > 0 && w->channels <= BLI_JOIN_CHANNELS && w->pixels > 0 && read_factors(w, g, from) &&
            read_lift(w, g, from);
    if (!*fine)
        return BL_OK;
    BLI_TRY(bli_join_room(w->s, j, w->channels, !w->loops->stage_rows));
    w->m = j->memory;
    w->m->shaped = true;
    w->m->x_shape = w->x->shape;
    w->m->w_shape = f->shape;
    w->m->out_shape = w->shape;
    w->m->conv = from->v;
    return BL_OK;
}

/* What is kept of the filter is the chain's: the node's own place is for its own rule. */
static bl_status start_depth(const bli_join_work *w, bli_tf_join *j, bli_join_source *from, bool *fine)
{
    const bli_join_stage *g = &j->stages[0];
    const bli_tf_spot *p = &w->s->spots[g->sum];
    const bli_tf_array *zero = bli_join_value(w->s, &w->s->spots[bli_join_centred(g)], 1);
    const bli_tf_call c = {.ctx = w->s->ctx, .node = p->node, .site = &w->s->site};
    *fine = zero->dtype == BLI_DT_FLOAT && zero->data && bl_shape_count(&zero->shape) == 1 && zero->shape.rank <= 4;
    if (!*fine)
        return BL_OK;
    w->s->site.arena = w->s->plan;
    w->s->site.kept = j->kept;
    const bl_status status = bli_eight_depth_start(&c, &from->w, bli_join_value(w->s, p, 1)->data,
                                                   -*(const float *)zero->data, &from->depth, fine);
    j->kept = w->s->site.kept;
    return status;
}

bl_status bli_join_source_start(bli_join_work *w, bli_tf_join *j, bli_join_source *from, bool *fine)
{
    BLI_TRY(read_product(w, j, from, fine));
    if (!*fine)
        return BL_OK;
    if (from->depthwise)
        return start_depth(w, j, from, fine);
    bli_tf_spot *p = &w->s->spots[j->stages[0].sum];
    bli_tf_call c = {.ctx = w->s->ctx, .node = p->node, .site = &w->s->site};
    bli_tf_session_enter(w->s, p);
    const bl_status status = bli_eight_conv_start(&c, &from->v, w->x->block != NULL, bli_join_value(w->s, p, 1)->data,
                                                  w->s->spots[p->in[1].spot].constant, &from->job);
    bli_tf_session_leave(w->s, p);
    return status;
}

void bli_join_source_picture(bli_join_source *from, const bli_join_work *w, int64_t n)
{
    const uint8_t *x = (const uint8_t *)w->x->data + n * from->w.size[0] * from->w.size[1] * from->w.channels;
    if (from->depthwise)
        bli_eight_depth_picture(&from->depth, x);
    else
        bli_eight_conv_picture(&from->job, x);
}

void bli_join_source_rows(const bli_join_source *from, const bli_join_work *w, int64_t first, int64_t rows,
                          int32_t *sums)
{
    const uint32_t *terms = from->depthwise ? NULL : bli_eight_conv_terms(&from->job, first);
    if (from->depthwise)
        bli_eight_depth_rows(&from->depth, first, rows, sums);
    else
        bli_eight_conv_rows(&from->job, first, rows, sums);
    if (from->factors) {
        w->loops->multiply(sums, terms, from->factors, rows * from->w.out[1], w->channels);
        terms = NULL;
    }
    w->loops->lift(sums, terms, from->lift, rows * from->w.out[1], w->channels, w->m->least_sum, w->m->greatest_sum);
}
