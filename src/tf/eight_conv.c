/* eight_conv.c: convolutions of bytes. */
#include <string.h>

#include "tf/eight_op.h"

/* The definition. */
static void plain(const bli_eight_conv *v, const uint8_t *x, const uint8_t *w, uint32_t *y)
{
    const bli_tf_window *p = &v->w;
    for (int64_t n = 0; n < p->images; n++, x += p->size[0] * p->size[1] * p->channels)
        for (int64_t i = 0; i < p->out[0]; i++)
            for (int64_t j = 0; j < p->out[1]; j++, y += v->units) {
                int64_t top, left;
                const int64_t rows = bli_tf_window_inside(p, 0, i, &top),
                              columns = bli_tf_window_inside(p, 1, j, &left);
                memset(y, 0, (size_t)v->units * sizeof *y);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t q = 0; q < columns; q++) {
                        const int64_t kr = top + r - (i * p->stride[0] - p->pad[0]),
                                      kq = left + q - (j * p->stride[1] - p->pad[1]);
                        const uint8_t *from = x + ((top + r) * p->size[1] + left + q) * p->channels;
                        const uint8_t *f = w + (kr * p->kernel[1] + kq) * p->channels * v->units;
                        for (int64_t k = 0; k < p->channels; k++, f += v->units) {
                            const uint32_t value = (uint32_t)from[k] - (uint32_t)v->zero_x;
                            for (int64_t u = 0; u < v->units; u++)
                                y[u] += value * ((uint32_t)f[u] - (uint32_t)v->zero_w);
                        }
                    }
            }
}

bl_status bli_eight_conv_run(bli_tf_call *c, const bli_eight_conv *v, const uint8_t *x, const uint8_t *w, bool constant,
                             int32_t *y)
{
    (void)c;
    (void)constant;
    plain(v, x, w, (uint32_t *)y);
    return BL_OK;
}
