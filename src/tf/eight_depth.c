/* eight_depth.c: a border of the zero point's byte around the picture, and then one loop for all rows. */
#include "tf/eight_depth.h"

#include <string.h>

enum { MOST_TAPS = (1 << 24) / (255 * 255), MOST_CODE = 255 };

/* What each channel's sum starts from; false: weights that are no differences of bytes. */
static bool start_sums(bli_eight_depth *d, int64_t taps)
{
    const int64_t n = d->w.channels;
    bool whole = true;
    for (int64_t c = 0; c < n; c++)
        d->start[c] = 0;
    for (int64_t t = 0; t < taps && whole; t++)
        for (int64_t c = 0; c < n; c++) {
            const float w = d->filter[t * n + c];
            whole = whole && w >= -MOST_CODE && w <= MOST_CODE && (float)(int)w == w;
            d->start[c] -= w * (float)d->zero;
        }
    return whole;
}

static void find_offsets(bli_eight_depth *d)
{
    const bli_tf_window *w = &d->w;
    for (int64_t r = 0; r < w->kernel[0]; r++)
        for (int64_t q = 0; q < w->kernel[1]; q++)
            d->offset[r * w->kernel[1] + q] = (r * w->dilation[0] * d->width + q * w->dilation[1]) * w->channels;
}

static size_t round_up(size_t n)
{
    return (n + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

bl_status bli_eight_depth_start(const bli_tf_call *c, const bli_tf_window *w, const float *filter, float zero,
                                bli_eight_depth *d, bool *fine)
{
    const int64_t taps = w->kernel[0] * w->kernel[1];
    *fine = zero >= 0 && zero <= MOST_CODE && (float)(int)zero == zero && taps <= MOST_TAPS;
    if (!*fine)
        return BL_OK;
    *d = (bli_eight_depth){.loops = bli_tf_loops_get(c->site->isa), .w = *w, .filter = filter, .zero = (int)zero};
    d->height = (w->out[0] - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    d->width = (w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    d->copies = w->pad[0] || w->pad[1] || d->height > w->size[0] || d->width > w->size[1];
    if (!d->copies)
        d->width = w->size[1];
    size_t picture = 0;
    if (d->copies &&
        (!bli_mul_size((size_t)(d->height * d->width), (size_t)w->channels, &picture) || picture > BLI_TF_MAX_BYTES))
        return bli_fail(c->ctx, BL_LIMIT, "a convolution of more memory than there can be");
    const size_t start = round_up((size_t)w->channels * sizeof *d->start);
    const size_t offsets = round_up((size_t)taps * sizeof *d->offset);
    void *memory;
    BLI_TRY(bli_tf_scratch(c, start + offsets + round_up(picture) + BLI_ALIGN, &memory));
    d->start = memory;
    d->offset = (ptrdiff_t *)(void *)((char *)memory + start);
    d->copy = (uint8_t *)memory + start + offsets;
    *fine = start_sums(d, taps);
    find_offsets(d);
    return BL_OK;
}

void bli_eight_depth_picture(bli_eight_depth *d, const uint8_t *x)
{
    const bli_tf_window *w = &d->w;
    const int64_t row = d->width * w->channels, inner = w->size[1] * w->channels, lead = w->pad[1] * w->channels;
    const int64_t room = row - lead < inner ? row - lead : inner;
    d->picture = x;
    if (!d->copies)
        return;
    d->picture = d->copy;
    for (int64_t i = 0; i < d->height; i++) {
        uint8_t *to = d->copy + i * row;
        const int64_t from = i - w->pad[0];
        if (from < 0 || from >= w->size[0] || room <= 0) {
            memset(to, d->zero, (size_t)row);
            continue;
        }
        memset(to, d->zero, (size_t)lead);
        memcpy(to + lead, x + from * inner, (size_t)room);
        memset(to + lead + room, d->zero, (size_t)(row - lead - room));
    }
}

void bli_eight_depth_rows(const bli_eight_depth *d, int64_t first, int64_t rows, int32_t *y)
{
    const bli_tf_window *w = &d->w;
    const int64_t down = w->stride[0] * d->width * w->channels;
    for (int64_t i = first; i < first + rows; i++, y += w->out[1] * w->channels)
        d->loops->depth_row(d->picture + i * down, d->offset, w->kernel[0] * w->kernel[1], w->stride[1] * w->channels,
                            w->out[1], d->filter, d->start, w->channels, y);
}
