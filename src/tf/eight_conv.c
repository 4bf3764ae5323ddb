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
#include "tf/eight_conv.h"
#include "tf/kernels/loops.h"

enum { STORE_32 = 2, LONG_SPAN = 128 }; /* log2 of bytes; bytes of a window's row */

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

static void plain_rows(const bli_eight_job *j, int64_t first, int64_t rows, uint32_t *y)
{
    const bli_tf_window *p = &j->v->w;
    for (int64_t i = first; i < first + rows; i++)
        for (int64_t q = 0; q < p->out[1]; q++, y += j->v->units)
            plain_pixel(j->v, j->picture, j->w, i, q, y);
}

/* ---- one convolution, laid out ------------------------------------------------------------------------------- */
/* What a node keeps of a constant filter; all but packed and sums belong to one geometry and one pair of zero points.
 */
typedef struct kept_filter {
    bli_eight_conv v;
    bool ready;
    bli_eight_layout l;
    void *packed;
    int32_t *sums; /* of each unit's weights */
    int32_t *offset, *init;
    bli_product_block *blocks;
    bli_product product;
} kept_filter;

enum { BUNDLE_FULL = 6, FEW_ROWS = 8 };

/* A tile takes as long for a few groups as for all that it has room for. */
static bool bundles_pay(const bli_eight_layout *l, const bli_exec_kernels *tiles)
{
    const bli_tf_window *w = &l->v->w;
    if (!tiles || !tiles->tiles8 || !l->bytes)
        return false;
    const int64_t bundles = (l->span_groups + tiles->bundle - 1) / tiles->bundle;
    return l->span_groups >= BUNDLE_FULL * bundles && w->out[0] * w->out[1] >= FEW_ROWS;
}

static bool has_border(const bli_eight_layout *l)
{
    const bli_tf_window *w = &l->v->w;
    return w->pad[0] || w->pad[1] || l->height > w->size[0] || l->width > w->size[1];
}

static bli_eight_layout lay_out(const bli_eight_conv *v, const bli_eight_products *set, bool ours, bool constant)
{
    const bli_tf_window *w = &v->w;
    const bli_exec_kernels *kernels = set->rows;
    bli_eight_layout l = {.v = v, .kernels = kernels, .bytes = kernels->pair_limit == 0 && kernels->lanes == 16};
    l.each = l.bytes ? 4 : 2;
    l.element = l.bytes ? 1 : 2;
    l.span = w->kernel[1] * w->channels;
    l.span_groups = (l.span + l.each - 1) / l.each;
    l.tiles = constant && bundles_pay(&l, set->tiles) ? set->tiles : NULL;
    if (l.tiles)
        l.span_groups = (l.span_groups + l.tiles->bundle - 1) / l.tiles->bundle * l.tiles->bundle;
    l.groups = w->kernel[0] * l.span_groups;
    l.panels = (v->units + kernels->lanes - 1) / kernels->lanes;
    l.columns = l.panels * kernels->lanes;
    l.height = (w->out[0] - 1) * w->stride[0] + w->kernel[0];
    l.width = (w->out[1] - 1) * w->stride[1] + w->kernel[1];
    l.copies = !l.bytes || has_border(&l) || (!ours && l.span != l.span_groups * l.each);
    if (!l.copies)
        l.width = w->size[1];
    return l;
}

/* Zero points beyond these cannot be a pad's byte, or do not fit into 16 bits beside a byte. */
static bool holds(const bli_eight_layout *l)
{
    const bli_eight_conv *v = l->v;
    if (l->bytes)
        return !(l->copies && has_border(l)) || (v->zero_x >= 0 && v->zero_x <= 255);
    return v->zero_x > -16384 && v->zero_x < 16384 && v->zero_w > -16384 && v->zero_w < 16384;
}

static size_t round_up(size_t n)
{
    return (n + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

static size_t packed_bytes(const bli_eight_layout *l)
{
    return round_up((size_t)(l->groups * l->columns * 4));
}

/* [block][group][panel][lane][each]. */
static void pack(const bli_eight_layout *l, const uint8_t *w, void *packed, int32_t *sums)
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

static void plan_product(kept_filter *k)
{
    const bli_eight_layout *l = &k->l;
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
    k->product = (bli_product){
        .num_blocks = blocks,
        .blocks = k->blocks,
        .init = k->init,
        .columns = l->columns,
        .finish = {.store = STORE_32, .columns = stored, .row = (size_t)stored * sizeof(int32_t)},
    };
}

/* ---- working memory ------------------------------------------------------------------------------------------ */
typedef struct parts {
    char *at; /* NULL: only counts */
    size_t bytes;
    bool fits;
} parts;

static void *part(parts *p, size_t bytes)
{
    void *here = p->at ? p->at + p->bytes : NULL;
    p->fits = p->fits && bytes < BLI_TF_MAX_BYTES && bli_add_size(p->bytes, round_up(bytes), &p->bytes);
    return here;
}

static void place_filter(const bli_eight_layout *l, parts *p, kept_filter *k)
{
    k->packed = part(p, packed_bytes(l) + BLI_ALIGN);
    k->sums = part(p, (size_t)l->v->units * sizeof(int32_t));
    k->offset = part(p, (size_t)l->groups * sizeof(int32_t));
    k->init = part(p, (size_t)l->columns * sizeof(int32_t));
    k->blocks = part(p, (size_t)l->panels * sizeof(bli_product_block));
}

static void place_job(const bli_eight_layout *l, parts *p, bli_eight_job *j)
{
    const bli_tf_window *w = &l->v->w;
    const size_t pixels = (size_t)(l->height * l->width), outs = (size_t)(w->out[0] * w->out[1]);
    const bool terms = l->bytes && l->v->zero_w != 128;
    j->copy = part(p, l->copies ? pixels * (size_t)w->channels * l->element + 2 * BLI_ALIGN : 0);
    j->wide = part(p, l->kernels->finishes ? 0 : outs * (size_t)l->columns * sizeof(int32_t));
    j->pixel = part(p, terms ? (size_t)(l->height * l->width) * sizeof(uint32_t) : 0);
    j->terms = part(p, terms ? outs * sizeof(uint32_t) : 0);
}

static bl_status no_room(const bli_tf_call *c)
{
    return bli_fail(c->ctx, BL_LIMIT, "a convolution of more memory than there can be");
}

/* A constant filter's, made once.  Its geometry decides whether tiles are used; the pack stays as it is. */
static bl_status keep_filter(bli_tf_call *c, const bli_eight_layout *l, const uint8_t *w, kept_filter **out)
{
    parts p = {.fits = true};
    kept_filter counted, *k = bli_arena_alloc(c->site->arena, sizeof *k);
    place_filter(l, &p, &counted);
    if (!p.fits)
        return no_room(c);
    void *memory = bli_arena_alloc(c->site->arena, p.bytes + BLI_ALIGN);
    if (!k || !memory)
        return BL_NO_MEMORY;
    p = (parts){.at = memory, .fits = true};
    place_filter(l, &p, k);
    pack(l, w, k->packed, k->sums);
    k->v = *l->v;
    c->site->kept = *out = k;
    return BL_OK;
}

/* Brings what is kept to this call's geometry and zero points. */
static void refresh(kept_filter *k, const bli_eight_layout *l, const bli_eight_conv *v, const uint8_t *w)
{
    if (k->ready && memcmp(&k->v, v, sizeof *v) == 0 && k->l.copies == l->copies)
        return;
    const bool repack = !l->bytes && k->v.zero_w != v->zero_w;
    k->v = *v;
    k->l = *l;
    k->l.v = &k->v;
    if (repack)
        pack(&k->l, w, k->packed, k->sums);
    plan_product(k);
    k->ready = true;
}

static bl_status start_kept(bli_tf_call *c, const bli_eight_layout *l, const bli_eight_conv *v, bli_eight_job *j)
{
    kept_filter *k = c->site->kept;
    parts p = {.fits = true};
    if (!k)
        BLI_TRY(keep_filter(c, l, j->w, &k));
    refresh(k, l, v, j->w);
    j->l = k->l;
    j->product = &k->product;
    place_job(&j->l, &p, j);
    if (!p.fits)
        return no_room(c);
    void *memory;
    BLI_TRY(bli_tf_scratch(c, p.bytes + BLI_ALIGN, &memory));
    p = (parts){.at = memory, .fits = true};
    place_job(&j->l, &p, j);
    return BL_OK;
}

static bl_status start_fresh(bli_tf_call *c, const bli_eight_layout *l, const bli_eight_conv *v, bli_eight_job *j)
{
    parts p = {.fits = true};
    kept_filter counted;
    void *memory;
    place_job(l, &p, j);
    place_filter(l, &p, &counted);
    (void)part(&p, sizeof counted);
    if (!p.fits)
        return no_room(c);
    BLI_TRY(bli_tf_scratch(c, p.bytes + BLI_ALIGN, &memory));
    p = (parts){.at = memory, .fits = true};
    place_job(l, &p, j);
    place_filter(l, &p, &counted);
    kept_filter *k = part(&p, sizeof counted);
    *k = counted;
    k->v = *v;
    k->l = *l;
    k->l.v = &k->v;
    pack(&k->l, j->w, k->packed, k->sums);
    plan_product(k);
    j->l = k->l;
    j->product = &k->product;
    return BL_OK;
}

/* The widest table whose products take any rows at any offset, and tiles, which want whole bundles. */
static const bli_eight_products *products(bli_tf_site *site)
{
    static const char *const names[] = {"avx512", "avx2", "generic"};
    bli_eight_products *set = &site->products;
    bool known;
    for (size_t i = 0; !set->rows && i < BLI_COUNT(names); i++)
        set->rows = bli_exec_kernels_named(names[i], &known);
    if (!set->looked && set->rows)
        set->tiles = bli_exec_kernels_named("amx", &known);
    set->looked = true;
    return set;
}

bl_status bli_eight_conv_start(bli_tf_call *c, const bli_eight_conv *v, bool ours, const uint8_t *w, bool constant,
                               bli_eight_job *j)
{
    *j = (bli_eight_job){.v = v, .w = w, .loops = bli_tf_loops_get(c->site->isa)};
    const bli_eight_layout l = lay_out(v, products(c->site), ours, constant);
    j->plain = v->w.channels == 0 || v->w.images * v->w.out[0] * v->w.out[1] * v->units == 0 || !holds(&l);
    if (j->plain)
        return BL_OK;
    if (!constant)
        return start_fresh(c, &l, v, j);
    const kept_filter *k = c->site->kept;
    if (!k || (l.tiles != NULL) == (k->l.tiles != NULL))
        return start_kept(c, &l, v, j);
    /* another size of picture, for which tiles pay or do not: the pack decides */
    const bli_eight_products as_packed = {.rows = c->site->products.rows, .tiles = k->l.tiles};
    bli_eight_layout same = lay_out(v, &as_packed, ours, constant);
    if ((same.tiles != NULL) != (k->l.tiles != NULL))
        return start_fresh(c, &same, v, j);
    return start_kept(c, &same, v, j);
}

/* ---- running ------------------------------------------------------------------------------------------------- */
static void copy_picture(const bli_eight_layout *l, const uint8_t *x, void *padded)
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

/* Where rows are long, of pixels first. */
static void terms_of_pixels(bli_eight_job *j, const uint8_t *x, uint32_t factor)
{
    const bli_tf_window *w = &j->v->w;
    const int64_t width = j->l.width;
    uint32_t *out = j->terms;
    j->loops->window_sums(x, 1, 0, w->channels, w->channels, j->l.height * width, factor, j->pixel);
    for (int64_t i = 0; i < w->out[0]; i++)
        for (int64_t q = 0; q < w->out[1]; q++) {
            uint32_t sum = 0;
            for (int64_t r = 0; r < w->kernel[0]; r++)
                for (int64_t k = 0; k < w->kernel[1]; k++)
                    sum += j->pixel[(i * w->stride[0] + r) * width + q * w->stride[1] + k];
            *out++ = sum;
        }
}

/* (128 - zw) times the sum of bytes of each window. */
static void find_terms(bli_eight_job *j, const uint8_t *x)
{
    const bli_tf_window *w = &j->v->w;
    const uint32_t factor = 128 - (uint32_t)j->v->zero_w;
    const int64_t row = j->l.width * w->channels;
    if (j->l.span > LONG_SPAN && w->kernel[0] * w->kernel[1] > 1) {
        terms_of_pixels(j, x, factor);
        return;
    }
    for (int64_t i = 0; i < w->out[0]; i++)
        j->loops->window_sums(x + i * w->stride[0] * row, w->kernel[0], row, j->l.span, w->stride[1] * w->channels,
                              w->out[1], factor, j->terms + i * w->out[1]);
}

void bli_eight_conv_picture(bli_eight_job *j, const uint8_t *x)
{
    j->picture = x;
    if (j->plain)
        return;
    if (j->l.copies) {
        copy_picture(&j->l, x, j->copy);
        j->picture = j->copy;
    }
    if (j->l.bytes && j->v->zero_w != 128)
        find_terms(j, j->picture);
}

const uint32_t *bli_eight_conv_terms(const bli_eight_job *j, int64_t first)
{
    if (j->plain || !j->l.bytes || j->v->zero_w == 128)
        return NULL;
    return j->terms + first * j->v->w.out[1];
}

void bli_eight_conv_rows(const bli_eight_job *j, int64_t first, int64_t rows, int32_t *y)
{
    const bli_tf_window *w = &j->v->w;
    const bli_eight_layout *l = &j->l;
    if (j->plain) {
        plain_rows(j, first, rows, (uint32_t *)y);
        return;
    }
    const int64_t pixel = w->channels * (int64_t)l->element, down = w->stride[0] * l->width * pixel;
    bli_rows in = {.x = (const char *)j->picture + first * down,
                   .stride = w->stride[1] * pixel,
                   .outer_stride = down,
                   .rows = w->out[1],
                   .outers = rows};
    if (in.outer_stride == in.rows * in.stride) { /* one row after the other, as if they were one */
        in.rows *= rows;
        in.outers = 1;
    }
    const bool many = l->tiles && in.rows >= FEW_ROWS;
    int32_t *to = l->kernels->finishes ? y : j->wide;
    (many ? l->tiles->tiles8 : l->bytes ? l->kernels->product8 : l->kernels->product16)(j->product, &in, to);
    for (int64_t i = 0; !l->kernels->finishes && i < rows * w->out[1]; i++)
        memcpy(y + i * j->v->units, j->wide + i * l->columns, (size_t)j->v->units * sizeof *y);
}

bl_status bli_eight_conv_run(bli_tf_call *c, const bli_eight_conv *v, const uint8_t *x, bool ours, const uint8_t *w,
                             bool constant, int32_t *y)
{
    const bli_tf_window *p = &v->w;
    const int64_t outs = p->out[0] * p->out[1];
    bli_eight_job j;
    if (p->images * outs * v->units == 0)
        return BL_OK;
    BLI_TRY(bli_eight_conv_start(c, v, ours, w, constant, &j));
    for (int64_t n = 0; n < p->images; n++, x += p->size[0] * p->size[1] * p->channels, y += outs * v->units) {
        bli_eight_conv_picture(&j, x);
        bli_eight_conv_rows(&j, 0, p->out[0], y);
        const uint32_t *add = bli_eight_conv_terms(&j, 0);
        for (int64_t i = 0; add && i < outs; i++)
            for (int64_t u = 0; u < v->units; u++)
                y[i * v->units + u] = (int32_t)((uint32_t)y[i * v->units + u] + add[i]);
    }
    return BL_OK;
}
