/* eight_conv.c: convolutions of bytes on the executor's products.
 *
 * With products of bytes (VNNI) the picture goes in as it is and weights less 128:
 *   sum (x - zx)(w - zw) = sum x (w - 128) + (128 - zw) sum x - zx sum (w - zw)
 * where the last term is a constant of the unit and the middle one a number of the pixel, both modulo 2^32, as all is.
 * Elsewhere both factors are brought to 16 bits first.  Borders are real: a padded copy of the picture holds zx there,
 * so that they add nothing.  What neither form can hold is left to the definition.
 */
#include <string.h>

#include "exec/kernels/kernels.h"
#include "tf/eight_op.h"

enum { STORE_32 = 2 }; /* log2 of bytes */

/* ---- the definition ------------------------------------------------------------------------------------------ */
static void plain_pixel(const bli_eight_conv *v, const uint8_t *x, const uint8_t *w, int64_t i, int64_t j, uint32_t *y)
{
    const bli_tf_window *p = &v->w;
    int64_t top, left;
    const int64_t rows = bli_tf_window_inside(p, 0, i, &top), columns = bli_tf_window_inside(p, 1, j, &left);
    const int64_t first_row = top - (i * p->stride[0] - p->pad[0]), first = left - (j * p->stride[1] - p->pad[1]);
    memset(y, 0, (size_t)v->units * sizeof *y);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q++) {
            const uint8_t *from = x + ((top + r) * p->size[1] + left + q) * p->channels;
            const uint8_t *f = w + ((first_row + r) * p->kernel[1] + first + q) * p->channels * v->units;
            for (int64_t k = 0; k < p->channels; k++, f += v->units) {
                const uint32_t value = (uint32_t)from[k] - (uint32_t)v->zero_x;
                for (int64_t u = 0; u < v->units; u++)
                    y[u] += value * ((uint32_t)f[u] - (uint32_t)v->zero_w);
            }
        }
}

static void plain(const bli_eight_conv *v, const uint8_t *x, const uint8_t *w, uint32_t *y)
{
    const bli_tf_window *p = &v->w;
    for (int64_t n = 0; n < p->images; n++, x += p->size[0] * p->size[1] * p->channels)
        for (int64_t i = 0; i < p->out[0]; i++)
            for (int64_t j = 0; j < p->out[1]; j++, y += v->units)
                plain_pixel(v, x, w, i, j, y);
}

/* ---- one convolution, laid out ------------------------------------------------------------------------------- */
typedef struct layout {
    const bli_eight_conv *v;
    const bli_exec_kernels *kernels;
    bool bytes;                /* or 16 bits */
    bool copies;               /* the picture, into a padded one */
    int64_t each;              /* elements of a group */
    int64_t span, span_groups; /* elements and groups of a kernel row */
    int64_t groups, panels, columns;
    int64_t height, width; /* of the padded picture */
    size_t element;
} layout;

/* What a node keeps of a constant filter. */
typedef struct kept_filter {
    void *packed;
    int32_t *sums; /* of each unit's weights */
    int32_t zero_w;
} kept_filter;

static layout lay_out(const bli_eight_conv *v, const bli_exec_kernels *kernels)
{
    const bli_tf_window *w = &v->w;
    layout l = {.v = v, .kernels = kernels, .bytes = kernels->pair_limit == 0 && kernels->lanes == 16};
    l.each = l.bytes ? 4 : 2;
    l.element = l.bytes ? 1 : 2;
    l.span = w->kernel[1] * w->channels;
    l.span_groups = (l.span + l.each - 1) / l.each;
    l.groups = w->kernel[0] * l.span_groups;
    l.panels = (v->units + kernels->lanes - 1) / kernels->lanes;
    l.columns = l.panels * kernels->lanes;
    l.height = (w->out[0] - 1) * w->stride[0] + w->kernel[0];
    l.width = (w->out[1] - 1) * w->stride[1] + w->kernel[1];
    l.copies = !l.bytes || w->pad[0] || w->pad[1] || l.span % 4 != 0 || l.height > w->size[0] || l.width > w->size[1];
    if (!l.copies)
        l.width = w->size[1];
    return l;
}

/* Zero points beyond these cannot be a pad's byte, or do not fit into 16 bits beside a byte. */
static bool holds(const layout *l)
{
    const bli_eight_conv *v = l->v;
    const bool pads = l->copies && (v->w.pad[0] || v->w.pad[1] || l->height > v->w.size[0] || l->width > v->w.size[1]);
    if (l->bytes)
        return !pads || (v->zero_x >= 0 && v->zero_x <= 255);
    return v->zero_x > -16384 && v->zero_x < 16384 && v->zero_w > -16384 && v->zero_w < 16384;
}

static size_t round_up(size_t n)
{
    return (n + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

static size_t packed_bytes(const layout *l)
{
    return round_up((size_t)(l->groups * l->columns * 4));
}

/* [block][group][panel][lane][each]. */
static void pack(const layout *l, const uint8_t *w, void *packed, int32_t *sums)
{
    const int64_t units = l->v->units, lanes = l->kernels->lanes;
    int8_t *to8 = packed;
    int16_t *to16 = packed;
    memset(packed, 0, packed_bytes(l));
    for (int64_t first = 0; first < l->panels; first += BLI_BLOCK_PANELS) {
        const int64_t panels = l->panels - first < BLI_BLOCK_PANELS ? l->panels - first : BLI_BLOCK_PANELS;
        const int64_t base = first * lanes, width = panels * lanes;
        const int64_t used = units - base < width ? units - base : width;
        for (int64_t r = 0; r < l->v->w.kernel[0]; r++)
            for (int64_t q = 0; q < l->span; q++) {
                const int64_t g = r * l->span_groups + q / l->each;
                const int64_t at = base * l->groups * l->each + g * width * l->each + q % l->each;
                const uint8_t *from = w + (r * l->span + q) * units + base;
                for (int64_t u = 0; u < used; u++)
                    if (l->bytes)
                        to8[at + u * l->each] = (int8_t)(from[u] - 128);
                    else
                        to16[at + u * l->each] = (int16_t)(from[u] - l->v->zero_w);
            }
    }
    for (int64_t u = 0; u < units; u++)
        sums[u] = 0;
    for (int64_t k = 0; k < l->v->w.kernel[0] * l->span; k++)
        for (int64_t u = 0; u < units; u++)
            sums[u] += w[k * units + u];
}

static void copy_picture(const layout *l, const uint8_t *x, void *padded)
{
    const bli_tf_window *w = &l->v->w;
    const int64_t row = l->width * w->channels, inner = w->size[1] * w->channels;
    const int64_t lead = w->pad[1] * w->channels, room = row - lead < inner ? row - lead : inner;
    uint8_t *to8 = padded;
    int16_t *to16 = padded;
    if (l->bytes)
        memset(to8, (uint8_t)l->v->zero_x, (size_t)(l->height * row));
    else
        memset(to16, 0, (size_t)(l->height * row) * sizeof *to16);
    for (int64_t i = 0; i < w->size[0] && i + w->pad[0] < l->height; i++) {
        const int64_t at = (i + w->pad[0]) * row + lead;
        if (l->bytes && room > 0)
            memcpy(to8 + at, x + i * inner, (size_t)room);
        for (int64_t k = 0; !l->bytes && k < room; k++)
            to16[at + k] = (int16_t)(x[i * inner + k] - l->v->zero_x);
    }
}

/* The sum of bytes of each window. */
static void window_sums(const layout *l, const uint8_t *x, uint32_t *pixel, uint32_t *out)
{
    const bli_tf_window *w = &l->v->w;
    for (int64_t p = 0; p < l->height * l->width; p++) {
        uint32_t sum = 0;
        for (int64_t k = 0; k < w->channels; k++)
            sum += x[p * w->channels + k];
        pixel[p] = sum;
    }
    for (int64_t i = 0; i < w->out[0]; i++)
        for (int64_t j = 0; j < w->out[1]; j++) {
            uint32_t sum = 0;
            for (int64_t r = 0; r < w->kernel[0]; r++)
                for (int64_t q = 0; q < w->kernel[1]; q++)
                    sum += pixel[(i * w->stride[0] + r) * l->width + j * w->stride[1] + q];
            *out++ = sum;
        }
}

/* ---- working memory ------------------------------------------------------------------------------------------ */
typedef struct work {
    void *picture, *packed;
    int32_t *offset, *init, *sums, *wide;
    uint32_t *pixel, *window;
    bli_product_block *blocks;
} work;

static void *part(char **at, size_t bytes)
{
    char *p = *at;
    *at += round_up(bytes);
    return p;
}

static bl_status make_room(const bli_tf_call *c, const layout *l, bool fresh, work *w)
{
    const bli_tf_window *p = &l->v->w;
    const size_t pixels = (size_t)(l->height * l->width), outs = (size_t)(p->out[0] * p->out[1]);
    const size_t bytes[] = {
        l->copies ? pixels * (size_t)p->channels * l->element + BLI_ALIGN : 0,
        fresh ? packed_bytes(l) : 0,
        (size_t)l->groups * sizeof(int32_t),
        (size_t)l->columns * sizeof(int32_t),
        fresh ? (size_t)l->v->units * sizeof(int32_t) : 0,
        l->kernels->finishes ? 0 : outs * (size_t)l->columns * sizeof(int32_t),
        l->bytes ? pixels * sizeof(uint32_t) : 0,
        l->bytes ? outs * sizeof(uint32_t) : 0,
        (size_t)l->panels * sizeof(bli_product_block),
    };
    void **const parts[] = {&w->picture,        (void **)&w->packed, (void **)&w->offset,
                            (void **)&w->init,  (void **)&w->sums,   (void **)&w->wide,
                            (void **)&w->pixel, (void **)&w->window, (void **)&w->blocks};
    size_t all = BLI_ALIGN;
    void *scratch;
    for (size_t i = 0; i < BLI_COUNT(bytes); i++)
        if (!bli_add_size(all, round_up(bytes[i]), &all))
            return bli_fail(c->ctx, BL_LIMIT, "a convolution of more memory than there can be");
    BLI_TRY(bli_tf_scratch(c, all, &scratch));
    char *at = scratch;
    for (size_t i = 0; i < BLI_COUNT(bytes); i++)
        *parts[i] = part(&at, bytes[i]);
    return BL_OK;
}

static bl_status filter_of(bli_tf_call *c, const layout *l, const uint8_t *w, bool constant, work *k)
{
    kept_filter *kept = c->site->kept;
    if (!constant) {
        pack(l, w, k->packed, k->sums);
        return BL_OK;
    }
    if (!kept) {
        kept = bli_arena_alloc(c->site->arena, sizeof *kept);
        void *packed = bli_arena_alloc(c->site->arena, packed_bytes(l) + BLI_ALIGN);
        int32_t *sums = bli_arena_array(c->site->arena, (size_t)l->v->units + 1, sizeof *sums);
        if (!kept || !packed || !sums)
            return BL_NO_MEMORY;
        *kept = (kept_filter){packed, sums, l->v->zero_w};
        pack(l, w, packed, sums);
        c->site->kept = kept;
    } else if (!l->bytes && kept->zero_w != l->v->zero_w) {
        pack(l, w, kept->packed, kept->sums);
        kept->zero_w = l->v->zero_w;
    }
    k->packed = kept->packed;
    k->sums = kept->sums;
    return BL_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------- */
static bli_product product_of(const layout *l, work *k)
{
    const bli_eight_conv *v = l->v;
    const int64_t lanes = l->kernels->lanes, terms = v->w.kernel[0] * l->span;
    const int64_t stored = l->kernels->finishes ? v->units : l->columns;
    int blocks = 0;
    for (int64_t g = 0; g < l->groups; g++)
        k->offset[g] = (int32_t)((g / l->span_groups * l->width * v->w.channels + g % l->span_groups * l->each) *
                                 (int64_t)l->element);
    for (int64_t first = 0; first < l->panels; first += BLI_BLOCK_PANELS, blocks++)
        k->blocks[blocks] = (bli_product_block){
            .panels = (int)(l->panels - first < BLI_BLOCK_PANELS ? l->panels - first : BLI_BLOCK_PANELS),
            .groups = (int)l->groups,
            .first = (int)first,
            .offset = k->offset,
            .weight = (const char *)k->packed + first * lanes * l->groups * 4,
        };
    memset(k->init, 0, (size_t)l->columns * sizeof *k->init);
    for (int64_t u = 0; l->bytes && u < v->units; u++)
        k->init[u] =
            (int32_t)(0 - (uint32_t)v->zero_x * ((uint32_t)k->sums[u] - (uint32_t)terms * (uint32_t)v->zero_w));
    return (bli_product){
        .num_blocks = blocks,
        .blocks = k->blocks,
        .init = k->init,
        .columns = l->columns,
        .finish = {.store = STORE_32, .columns = stored, .row = (size_t)stored * sizeof(int32_t)},
    };
}

static void one_image(const layout *l, const bli_product *product, work *k, const uint8_t *x, int32_t *y)
{
    const bli_tf_window *w = &l->v->w;
    const int64_t units = l->v->units, outs = w->out[0] * w->out[1];
    const int64_t pixel = w->channels * (int64_t)l->element;
    const void *from = x;
    if (l->copies) {
        copy_picture(l, x, k->picture);
        from = k->picture;
    }
    const bli_rows rows = {.x = from,
                           .stride = w->stride[1] * pixel,
                           .outer_stride = w->stride[0] * l->width * pixel,
                           .rows = w->out[1],
                           .outers = w->out[0]};
    (l->bytes ? l->kernels->product8 : l->kernels->product16)(product, &rows, l->kernels->finishes ? y : k->wide);
    for (int64_t i = 0; !l->kernels->finishes && i < outs; i++)
        memcpy(y + i * units, k->wide + i * l->columns, (size_t)units * sizeof *y);
    if (!l->bytes || l->v->zero_w == 128)
        return;
    window_sums(l, from, k->pixel, k->window);
    for (int64_t i = 0; i < outs; i++) {
        const uint32_t add = (128 - (uint32_t)l->v->zero_w) * k->window[i];
        uint32_t *row = (uint32_t *)y + i * units;
        for (int64_t u = 0; u < units; u++)
            row[u] += add;
    }
}

/* The widest table whose products take any rows at any offset; AMX's want whole tiles. */
static const bli_exec_kernels *widest(void)
{
    static const char *const names[] = {"avx512", "avx2", "generic"};
    const bli_exec_kernels *k = NULL;
    bool known;
    for (size_t i = 0; !k && i < BLI_COUNT(names); i++)
        k = bli_exec_kernels_named(names[i], &known);
    return k;
}

bl_status bli_eight_conv_run(bli_tf_call *c, const bli_eight_conv *v, const uint8_t *x, const uint8_t *w, bool constant,
                             int32_t *y)
{
    const bli_tf_window *p = &v->w;
    work k;
    if (p->images * p->out[0] * p->out[1] * v->units == 0)
        return BL_OK;
    const layout l = lay_out(v, widest());
    if (p->channels == 0 || !holds(&l)) {
        plain(v, x, w, (uint32_t *)y);
        return BL_OK;
    }
    BLI_TRY(make_room(c, &l, !constant, &k));
    BLI_TRY(filter_of(c, &l, w, constant, &k));
    const bli_product product = product_of(&l, &k);
    for (int64_t n = 0; n < p->images; n++)
        one_image(&l, &product, &k, x + n * p->size[0] * p->size[1] * p->channels,
                  y + n * p->out[0] * p->out[1] * v->units);
    return BL_OK;
}
