/* augment.c: flip, shift and crop of images in place.
 *
 * Each row draws from its own eight places of the stream (seed, epoch, "augment"), so a row's change depends neither on
 * its place in the batch nor on the thread.  A crop back out of a zero border is a shift of the image, once more.
 */
#include <string.h>

#include "base/random.h"
#include "train/data/data.h"

enum { DRAWS = 8 }; /* flip, shift y, shift x, crop y, crop x; the rest is kept for later ones */

typedef struct image {
    float *x;
    int64_t h, w, c;
} image;

static void flip(const image *m)
{
    for (int64_t y = 0; y < m->h; y++) {
        float *row = m->x + y * m->w * m->c;
        for (int64_t a = 0, b = m->w - 1; a < b; a++, b--)
            for (int64_t k = 0; k < m->c; k++) {
                float t = row[a * m->c + k];
                row[a * m->c + k] = row[b * m->c + k];
                row[b * m->c + k] = t;
            }
    }
}

/* Moves a line right by `by` pixels (left if negative), zeros coming in. */
static void shift_line(float *row, const image *m, int64_t by)
{
    int64_t kept = m->w - (by < 0 ? -by : by);
    if (kept < 0)
        kept = 0;
    size_t kept_bytes = (size_t)(kept * m->c) * sizeof *row, lost_bytes = (size_t)((m->w - kept) * m->c) * sizeof *row;
    if (by > 0) {
        memmove(row + (m->w - kept) * m->c, row, kept_bytes);
        memset(row, 0, lost_bytes);
    } else {
        memmove(row, row + (m->w - kept) * m->c, kept_bytes);
        memset(row + kept * m->c, 0, lost_bytes);
    }
}

static void shift(const image *m, int64_t dy, int64_t dx)
{
    image lines = {m->x, 1, m->h, m->w * m->c};
    if (dy != 0)
        shift_line(m->x, &lines, dy);
    for (int64_t y = 0; dx != 0 && y < m->h; y++)
        shift_line(m->x + y * m->w * m->c, m, dx);
}

/* Uniform in -range .. range; the bias of the multiplication is below range / 2^31. */
static int64_t draw(const bli_stream *s, uint64_t index, int range)
{
    uint64_t width = 2 * (uint64_t)range + 1;
    return (int64_t)((bli_stream_u32(s, index) * width) >> 32) - range;
}

static void augment(const bl_augment *a, const bli_stream *s, uint64_t first, const image *m)
{
    if (a->flip && (bli_stream_u32(s, first) & 1))
        flip(m);
    if (a->shift > 0) {
        int64_t dy = draw(s, first + 1, a->shift), dx = draw(s, first + 2, a->shift);
        shift(m, dy, dx);
    }
    if (a->crop > 0) {
        int64_t dy = draw(s, first + 3, a->crop), dx = draw(s, first + 4, a->crop);
        shift(m, dy, dx);
    }
}

void bl_augment_rows(const bl_augment *a, uint64_t seed, uint64_t epoch, const uint32_t *rows, size_t n,
                     const bl_shape *row_shape, float *x)
{
    if (row_shape->rank != 2 && row_shape->rank != 3)
        return;
    image m = {x, row_shape->dim[0], row_shape->dim[1], row_shape->rank == 3 ? row_shape->dim[2] : 1};
    bli_stream s = bli_stream_make(seed, epoch, "augment");
    for (size_t i = 0; i < n; i++) {
        m.x = x + (int64_t)i * m.h * m.w * m.c;
        augment(a, &s, (uint64_t)rows[i] * DRAWS, &m);
    }
}
