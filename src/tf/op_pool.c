/* op_pool.c: MaxPool and AvgPool of floats.  Averages leave out what lies outside of the picture. */
#include <math.h>
#include <string.h>

#include "tf/window.h"

static bl_status read_pool(const bli_tf_call *c, bli_tf_window *w)
{
    BLI_TRY(bli_tf_window_picture(c, 0, w));
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    BLI_TRY(bli_tf_window_pair(c, "ksize", true, w->nchw, w->kernel));
    BLI_TRY(bli_tf_window_pair(c, "strides", true, w->nchw, w->stride));
    return bli_tf_window_pads(c, w);
}

static bl_status infer_pool(bli_tf_call *c)
{
    bli_tf_window w;
    BLI_TRY(read_pool(c, &w));
    c->out[0].dtype = c->in[0].dtype;
    c->out[0].shape = bli_tf_window_shape(&w, w.channels);
    return BL_OK;
}

static void pool_pixel(const bli_tf_window *w, const float *x, int64_t i, int64_t j, bool average, float *y)
{
    int64_t top, left;
    const int64_t rows = bli_tf_window_inside(w, 0, i, &top), columns = bli_tf_window_inside(w, 1, j, &left),
                  channels = w->channels;
    for (int64_t k = 0; k < channels; k++)
        y[k] = average ? 0 : -INFINITY;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q++) {
            const float *p = x + ((top + r) * w->size[1] + left + q) * channels;
            if (average)
                for (int64_t k = 0; k < channels; k++)
                    y[k] += p[k];
            else
                for (int64_t k = 0; k < channels; k++)
                    y[k] = p[k] > y[k] ? p[k] : y[k];
        }
    const float count = (float)(rows * columns);
    for (int64_t k = 0; average && k < channels; k++)
        y[k] /= count;
}

static void pool(const bli_tf_window *w, const float *x, bool average, float *y)
{
    const int64_t in = w->size[0] * w->size[1] * w->channels;
    for (int64_t n = 0; n < w->images; n++)
        for (int64_t i = 0; i < w->out[0]; i++)
            for (int64_t j = 0; j < w->out[1]; j++) {
                pool_pixel(w, x + n * in, i, j, average, y);
                y += w->channels;
            }
}

static bl_status run_pool(bli_tf_call *c)
{
    bli_tf_window w;
    const bool average = c->node->op[0] == 'A';
    BLI_TRY(read_pool(c, &w));
    if (bli_tf_count(&c->out[0]) == 0)
        return BL_OK;
    if (w.nchw) { /* each channel is a picture of one channel */
        w.images *= w.channels;
        w.channels = 1;
    }
    pool(&w, c->in[0].data, average, c->out[0].data);
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"MaxPool", 1, 1, 1, NULL, infer_pool, run_pool, 0, false},
    {"AvgPool", 1, 1, 1, NULL, infer_pool, run_pool, 0, false},
};
const bli_tf_family bli_tf_family_pool = {ops, BLI_COUNT(ops)};
