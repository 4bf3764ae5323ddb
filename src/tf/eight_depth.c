/* eight_depth.c: a border of the zero point's byte around the picture, and then one loop for all rows. */
#include "tf/eight_depth.h"

#include <string.h>

enum { MOST_TAPS = (1 << 24) / (255 * 255), MOST_CODE = 255 };

/* What a node keeps of its filter. */
typedef struct kept_depth {
    bool whole;  /* weights are differences of bytes */
    float *sums; /* of each channel's weights */
} kept_depth;

static void sum_weights(const bli_eight_depth *d, int64_t taps, kept_depth *k)
{
    const int64_t n = d->w.channels;
    k->whole = true;
    for (int64_t t = 0; t < taps && k->whole; t++)
        for (int64_t c = 0; c < n; c++) {
            const float w = d->filter[t * n + c];
            k->whole = k->whole && w >= -MOST_CODE && w <= MOST_CODE && (float)(int)w == w;
            k->sums[c] += w;
        }
}

static bl_status keep_sums(const bli_tf_call *c, const bli_eight_depth *d, int64_t taps, const kept_depth **out)
{
    kept_depth *k = c->site->kept;
    *out = k;
    if (k)
        return BL_OK;
    k = bli_arena_alloc(c->site->arena, sizeof *k);
    if (!k)
        return BL_NO_MEMORY;
    k->sums = bli_arena_array(c->site->arena, (size_t)d->w.channels + 1, sizeof *k->sums);
    if (!k->sums)
        return BL_NO_MEMORY;
    sum_weights(d, taps, k);
    *out = c->site->kept = k;
    return BL_OK;
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
    const kept_depth *kept;
    BLI_TRY(keep_sums(c, d, taps, &kept));
    for (int64_t k = 0; k < w->channels; k++)
        d->start[k] = -kept->sums[k] * (float)d->zero;
    find_offsets(d);
    *fine = kept->whole;
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
