/* convolve.c: plans of sweeps, packing, and running them. */
#include "op/convolve.h"

#include <string.h>

/* Kernels work on rows of the picture from left to right: index 0 of their loops is the width. */
enum { HEIGHT, WIDTH };

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- plans -------------------------------------------------------------------------------------------------- */

/* The width of a source row in memory. */
static int64_t pitch(const bli_sweep *s)
{
    return s->copy ? s->padded[WIDTH] : s->size[WIDTH];
}

static int64_t image_size(const bli_sweep *s)
{
    return (s->copy ? s->padded[HEIGHT] * s->padded[WIDTH] : s->size[HEIGHT] * s->size[WIDTH]) * s->channels;
}

static void plan_forward(bli_sweep *f, const bli_conv_shape *s)
{
    for (int d = 0; d < 2; d++) {
        f->size[d] = s->size[d];
        f->lead[d] = s->pad[d];
        f->padded[d] = s->out[d] > 0 ? (s->out[d] - 1) * s->stride[d] + (s->kernel[d] - 1) * s->dilation[d] + 1 : 0;
    }
    f->channels = s->channels;
    f->sink_channels = s->units;
    f->sink_size = s->out[HEIGHT] * s->out[WIDTH] * s->units;
    f->depth = s->channels / s->groups;
    f->width = s->units / s->groups;
}

/* Which output pixel tap k gives to input pixel 0 of phase p along dimension d: *at; false if to none. */
static bool phase_tap(const bli_conv_shape *s, int d, int64_t p, int64_t k, int64_t *at)
{
    const int64_t o = p + s->pad[d] - k * s->dilation[d];
    *at = o / s->stride[d];
    return o % s->stride[d] == 0;
}

/* Pixels p, p + stride, ... below size. */
static int64_t phase_rows(const bli_conv_shape *s, int d, int64_t p)
{
    return s->size[d] > p ? (s->size[d] - p + s->stride[d] - 1) / s->stride[d] : 0;
}

static void plan_data(bli_sweep *b, const bli_conv_shape *s)
{
    for (int d = 0; d < 2; d++) {
        int64_t first = 0, end = s->out[d], at;
        for (int64_t p = 0; p < s->stride[d]; p++)
            for (int64_t k = 0; phase_rows(s, d, p) > 0 && k < s->kernel[d]; k++)
                if (phase_tap(s, d, p, k, &at)) {
                    first = min64(first, at);
                    end = max64(end, at + phase_rows(s, d, p));
                }
        b->size[d] = s->out[d];
        b->lead[d] = -first;
        b->padded[d] = end - first;
    }
    b->channels = s->units;
    b->sink_channels = s->channels;
    b->sink_size = s->size[HEIGHT] * s->size[WIDTH] * s->channels;
    b->depth = s->units / s->groups;
    b->width = s->channels / s->groups;
}

/* Where sink pixel i of a sweep reads its source through tap k along dimension d; false: outside. */
static bool tap_source(const bli_conv_shape *s, bool data, int d, int64_t i, int64_t k, int64_t *at)
{
    if (!data) {
        *at = i * s->stride[d] - s->pad[d] + k * s->dilation[d];
        return *at >= 0 && *at < s->size[d];
    }
    const int64_t o = i + s->pad[d] - k * s->dilation[d];
    *at = o / s->stride[d];
    return o >= 0 && o % s->stride[d] == 0 && *at < s->out[d];
}

static int64_t count_clipped(const bli_conv_shape *s, bool data)
{
    int64_t count[2] = {0, 0}, at;
    for (int d = 0; d < 2; d++)
        for (int64_t i = 0; i < (data ? s->size[d] : s->out[d]); i++)
            for (int64_t k = 0; k < s->kernel[d]; k++)
                count[d] += tap_source(s, data, d, i, k, &at);
    return count[HEIGHT] * count[WIDTH];
}

static void plan_copy(bli_sweep *s)
{
    s->copy = false;
    for (int d = 0; d < 2; d++)
        s->copy |= s->lead[d] > 0 || s->padded[d] > s->size[d];
}

/* Appends len elements at a, rows b on; joins the span before when both go on where it ended. */
static void append_span(bli_phase *p, bool join, bli_span next)
{
    bli_span *last = p->num_spans > 0 ? &p->spans[p->num_spans - 1] : NULL;
    if (join && last && last->a + last->len == next.a && last->b + last->len == next.b)
        last->len += next.len;
    else
        p->spans[p->num_spans++] = next;
}

static bl_status plan_forward_phase(bli_arena *arena, bli_convolve *c)
{
    const bli_conv_shape *s = &c->shape;
    bli_sweep *f = &c->forward;
    bli_phase *p = f->phases = bli_arena_array(arena, 1, sizeof *p);
    if (!p || !(p->spans = bli_arena_array(arena, (size_t)c->taps, sizeof *p->spans)))
        return BL_NO_MEMORY;
    f->num_phases = 1;
    for (int64_t t = 0; t < c->taps; t++) {
        const bli_span tap = c->tap_spans[t];
        append_span(p, !c->depthwise, (bli_span){tap.a, c->depthwise ? t : t * f->depth, f->depth});
    }
    p->rows[0] = s->out[WIDTH];
    p->rows[1] = s->out[HEIGHT];
    p->source_step[0] = s->stride[WIDTH] * f->channels;
    p->source_step[1] = s->stride[HEIGHT] * pitch(f) * f->channels;
    p->sink_step[0] = f->sink_channels;
    p->sink_step[1] = s->out[WIDTH] * f->sink_channels;
    return BL_OK;
}

/* Taps across are packed from right to left, the order in which they meet dy from left to right. */
static int64_t data_tap(const bli_conv_shape *s, int64_t kh, int64_t kw)
{
    return kh * s->kernel[WIDTH] + s->kernel[WIDTH] - 1 - kw;
}

static bl_status plan_data_phase(bli_arena *arena, bli_convolve *c, bli_phase *p, int64_t ph, int64_t pw)
{
    const bli_conv_shape *s = &c->shape;
    const bli_sweep *b = &c->data;
    if (!(p->spans = bli_arena_array(arena, (size_t)c->taps, sizeof *p->spans)))
        return BL_NO_MEMORY;
    for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++)
        for (int64_t kw = s->kernel[WIDTH] - 1; kw >= 0; kw--) {
            int64_t oh, ow;
            if (!phase_tap(s, HEIGHT, ph, kh, &oh) || !phase_tap(s, WIDTH, pw, kw, &ow))
                continue;
            const int64_t tap = data_tap(s, kh, kw);
            append_span(p, !c->depthwise,
                        (bli_span){((oh + b->lead[HEIGHT]) * pitch(b) + ow + b->lead[WIDTH]) * b->channels,
                                   c->depthwise ? tap : tap * b->depth, b->depth});
        }
    p->rows[0] = phase_rows(s, WIDTH, pw);
    p->rows[1] = phase_rows(s, HEIGHT, ph);
    p->source_step[0] = b->channels;
    p->source_step[1] = pitch(b) * b->channels;
    p->sink_at = (ph * s->size[WIDTH] + pw) * b->sink_channels;
    p->sink_step[0] = s->stride[WIDTH] * b->sink_channels;
    p->sink_step[1] = s->stride[HEIGHT] * s->size[WIDTH] * b->sink_channels;
    return BL_OK;
}

static bl_status plan_data_phases(bli_arena *arena, bli_convolve *c)
{
    const bli_conv_shape *s = &c->shape;
    bli_sweep *b = &c->data;
    const int64_t down = min64(s->stride[HEIGHT], s->size[HEIGHT]), across = min64(s->stride[WIDTH], s->size[WIDTH]);
    if (!(b->phases = bli_arena_array(arena, (size_t)(down * across), sizeof *b->phases)))
        return BL_NO_MEMORY;
    for (int64_t ph = 0; ph < down; ph++)
        for (int64_t pw = 0; pw < across; pw++)
            BLI_TRY(plan_data_phase(arena, c, &b->phases[b->num_phases++], ph, pw));
    return BL_OK;
}

static bl_status plan_taps(bli_arena *arena, bli_convolve *c)
{
    const bli_conv_shape *s = &c->shape;
    const bli_sweep *f = &c->forward;
    c->tap_spans = bli_arena_array(arena, (size_t)c->taps, sizeof *c->tap_spans);
    c->row_at = bli_arena_array(arena, (size_t)(c->taps * f->depth), sizeof *c->row_at);
    if (!c->tap_spans || !c->row_at)
        return BL_NO_MEMORY;
    for (int64_t t = 0; t < c->taps; t++) {
        const int64_t kh = t / s->kernel[WIDTH], kw = t % s->kernel[WIDTH];
        const ptrdiff_t at = (kh * s->dilation[HEIGHT] * pitch(f) + kw * s->dilation[WIDTH]) * f->channels;
        c->tap_spans[t] = (bli_span){at, t, 1};
        for (int64_t ch = 0; ch < f->depth; ch++)
            c->row_at[ch * c->taps + t] = at + ch;
    }
    return BL_OK;
}

bl_status bli_convolve_create(bli_arena *arena, const bli_conv_shape *shape, const bli_convolve **out)
{
    bli_convolve *c = bli_arena_alloc(arena, sizeof *c);
    *out = NULL;
    if (!c)
        return BL_NO_MEMORY;
    c->shape = *shape;
    c->taps = shape->kernel[HEIGHT] * shape->kernel[WIDTH];
    c->depthwise = shape->groups == shape->channels && shape->units == shape->channels && shape->channels > 1;
    plan_forward(&c->forward, shape);
    plan_data(&c->data, shape);
    plan_copy(&c->forward);
    plan_copy(&c->data);
    c->forward.clipped = count_clipped(shape, false) * c->forward.depth;
    c->data.clipped = count_clipped(shape, true) * c->data.depth;
    BLI_TRY(plan_taps(arena, c));
    BLI_TRY(plan_forward_phase(arena, c));
    BLI_TRY(plan_data_phases(arena, c));
    *out = c;
    return BL_OK;
}

/* ---- packing ------------------------------------------------------------------------------------------------ */

/* Elements of one group's panels. */
static int64_t group_panels(const bli_convolve_call *c, const bli_sweep *s)
{
    return bli_panels_size(c->kernels, c->plan->taps * s->depth, s->width);
}

size_t bli_convolve_packed_bytes(const bli_convolve_call *c, bool data)
{
    const bli_sweep *s = data ? &c->plan->data : &c->plan->forward;
    const int64_t elements =
        c->plan->depthwise ? c->plan->taps * s->channels : c->plan->shape.groups * group_panels(c, s);
    return (size_t)elements * bl_dtype_size(c->type);
}

/* [channel][tap] becomes [tap][channel], for the data sweep with the taps across turned round. */
static void pack_depthwise(const bli_convolve_call *c, bool data, const void *w, void *packed)
{
    const bli_conv_shape *s = &c->plan->shape;
    for (int64_t t = 0; t < c->plan->taps; t++) {
        const int64_t to = data ? data_tap(s, t / s->kernel[WIDTH], t % s->kernel[WIDTH]) : t;
        for (int64_t ch = 0; ch < s->channels; ch++)
            memcpy(bli_at_mut(packed, c->type, to * s->channels + ch), bli_at(w, c->type, ch * c->plan->taps + t),
                   bl_dtype_size(c->type));
    }
}

/* Units first .. first + columns - 1 of a group; rows in the order kh, kw, channel. */
static void pack_forward(const bli_convolve_call *c, const void *w, int64_t columns, void *panel)
{
    const int64_t depth = c->plan->forward.depth, taps = c->plan->taps;
    const bli_pack p = {
        .src = w,
        .panel = panel,
        .column_step = depth * taps,
        .row_step = 1,
        .rows = depth * taps,
        .columns = columns,
        .inner = taps,
        .inner_step = depth,
        .outer_step = 1,
    };
    c->kernels->pack(&p);
}

/* Channels of a group; rows in the order kh, kw from right to left, unit. */
static void pack_data(const bli_convolve_call *c, const void *w, int64_t columns, void *panel)
{
    const bli_conv_shape *s = &c->plan->shape;
    const int64_t depth = c->plan->data.depth, taps = c->plan->taps, across = s->kernel[WIDTH];
    for (int64_t u = 0; u < depth; u++) {
        const bli_pack p = {
            .src = bli_at(w, c->type, u * c->plan->data.width * taps),
            .panel = bli_at_mut(panel, c->type, ((across - 1) * depth + u) * c->kernels->lanes),
            .column_step = taps,
            .row_step = 1,
            .rows = taps,
            .columns = columns,
            .inner = across,
            .inner_step = -depth,
            .outer_step = across * depth,
        };
        c->kernels->pack(&p);
    }
}

void bli_convolve_pack(const bli_convolve_call *c, bool data, const void *w, void *packed)
{
    const bli_sweep *s = data ? &c->plan->data : &c->plan->forward;
    if (c->plan->depthwise) {
        pack_depthwise(c, data, w, packed);
        return;
    }
    const int64_t rows = c->plan->taps * s->depth, column = data ? c->plan->taps : rows, lanes = c->kernels->lanes;
    for (int64_t g = 0; g < c->plan->shape.groups; g++)
        for (int64_t n = 0; n < s->width; n += lanes) {
            const void *from = bli_at(w, c->type, g * rows * s->width + n * column);
            void *panel = bli_at_mut(packed, c->type, g * group_panels(c, s) + n * rows);
            (data ? pack_data : pack_forward)(c, from, min64(lanes, s->width - n), panel);
        }
}

/* ---- padded copies ------------------------------------------------------------------------------------------ */

static size_t round_up(size_t bytes)
{
    return (bytes + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

static size_t copy_bytes(const bli_convolve_call *c, const bli_sweep *s)
{
    return s->copy ? round_up((size_t)image_size(s) * bl_dtype_size(c->type)) : 0;
}

static size_t weight_bytes(const bli_convolve_call *c)
{
    const bli_conv_shape *s = &c->plan->shape;
    return round_up((size_t)(s->units * (s->channels / s->groups) * c->plan->taps) * bl_dtype_size(c->type));
}

size_t bli_convolve_scratch_bytes(const bli_convolve_call *c)
{
    const size_t f = copy_bytes(c, &c->plan->forward), b = copy_bytes(c, &c->plan->data);
    const size_t spans = round_up((size_t)c->plan->taps * sizeof(bli_span)), sweep = (f > b ? f : b) + spans;
    return sweep + weight_bytes(c);
}

/* Into borders that are already zero. */
static void copy_inside(const bli_convolve_call *c, const bli_sweep *s, const void *image, void *padded)
{
    const int64_t height = min64(s->size[HEIGHT], s->padded[HEIGHT] - s->lead[HEIGHT]);
    const int64_t width = min64(s->size[WIDTH], s->padded[WIDTH] - s->lead[WIDTH]);
    for (int64_t i = 0; width > 0 && i < height; i++)
        memcpy(bli_at_mut(padded, c->type, ((i + s->lead[HEIGHT]) * s->padded[WIDTH] + s->lead[WIDTH]) * s->channels),
               bli_at(image, c->type, i * s->size[WIDTH] * s->channels),
               (size_t)(width * s->channels) * bl_dtype_size(c->type));
}

/* ---- sweeps ------------------------------------------------------------------------------------------------- */

static void run_depthwise(const bli_convolve_call *c, const bli_sweep *s, const bli_phase *p, int64_t images,
                          const void *source, const void *packed, const void *bias, void *sink)
{
    const bli_depthwise d = {
        .x = source,
        .w = packed,
        .bias = bias,
        .y = bli_at_mut(sink, c->type, p->sink_at),
        .pixels = {p->rows[0], p->rows[1], images},
        .x_step = {p->source_step[0], p->source_step[1], image_size(s)},
        .y_step = {p->sink_step[0], p->sink_step[1], s->sink_size},
        .spans = p->spans,
        .num_spans = p->num_spans,
        .channels = s->channels,
    };
    c->kernels->depthwise(&d);
}

static void run_groups(const bli_convolve_call *c, const bli_sweep *s, const bli_phase *p, int64_t images,
                       const void *source, const void *packed, const void *bias, void *sink)
{
    for (int64_t g = 0; g < c->plan->shape.groups; g++) {
        const bli_product product = {
            .a = bli_at(source, c->type, g * s->depth),
            .b = bli_at(packed, c->type, g * group_panels(c, s)),
            .bias = bias ? bli_at(bias, c->type, g * s->width) : NULL,
            .c = bli_at_mut(sink, c->type, p->sink_at + g * s->width),
            .rows = {p->rows[0], p->rows[1], images},
            .a_step = {p->source_step[0], p->source_step[1], image_size(s)},
            .c_step = {p->sink_step[0], p->sink_step[1], s->sink_size},
            .spans = p->spans,
            .num_spans = p->num_spans,
            .panel = c->plan->taps * s->depth * c->kernels->lanes,
            .columns = s->width,
        };
        c->kernels->product(&product);
    }
}

static void run_phases(const bli_convolve_call *c, const bli_sweep *s, int64_t images, const void *source,
                       const void *packed, const void *bias, void *sink)
{
    for (int i = 0; i < s->num_phases; i++)
        (c->plan->depthwise ? run_depthwise : run_groups)(c, s, &s->phases[i], images, source, packed, bias, sink);
}

/* Along the rows of each picture. */
static void run_rows(const bli_convolve_call *c, const bli_sweep *s, const void *source, const void *packed,
                     const void *bias, void *sink)
{
    if (!s->copy) {
        run_phases(c, s, c->images, source, packed, bias, sink);
        return;
    }
    const int64_t image = s->size[HEIGHT] * s->size[WIDTH] * s->channels;
    memset(c->scratch, 0, copy_bytes(c, s));
    for (int64_t i = 0; i < c->images; i++) {
        copy_inside(c, s, bli_at(source, c->type, i * image), c->scratch);
        run_phases(c, s, 1, c->scratch, packed, bias, bli_at_mut(sink, c->type, i * s->sink_size));
    }
}

/* The taps that sink pixel (i, j) reads inside of the picture, in the order of packing. */
static int clip_spans(const bli_convolve_call *c, bool data, int64_t i, int64_t j, bli_span *spans)
{
    const bli_conv_shape *s = &c->plan->shape;
    const bli_sweep *w = data ? &c->plan->data : &c->plan->forward;
    bli_phase list = {.spans = spans};
    for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++)
        for (int64_t k = 0; k < s->kernel[WIDTH]; k++) {
            const int64_t kw = data ? s->kernel[WIDTH] - 1 - k : k, tap = kh * s->kernel[WIDTH] + k;
            int64_t down, across;
            if (tap_source(s, data, HEIGHT, i, kh, &down) && tap_source(s, data, WIDTH, j, kw, &across))
                append_span(&list, true,
                            (bli_span){(down * w->size[WIDTH] + across) * w->channels, tap * w->depth, w->depth});
        }
    return list.num_spans;
}

/* Pictures a multiple of the first cache's 4 KiB apart share one set of it: no more of them at a time than it has ways
 * to spare. */
static int64_t images_per_tile(const bli_convolve_call *c, const bli_sweep *s)
{
    const size_t bytes = (size_t)(s->size[HEIGHT] * s->size[WIDTH] * s->channels) * bl_dtype_size(c->type);
    return bytes % 4096 == 0 ? 8 : 4096;
}

/* One sink pixel of all images. */
static void run_pixel(const bli_convolve_call *c, const bli_sweep *s, const bli_product *pixel)
{
    const int64_t step = images_per_tile(c, s);
    for (int64_t i = 0; i < c->images; i += step) {
        bli_product p = *pixel;
        p.a = bli_at(p.a, c->type, i * p.a_step[0]);
        p.c = bli_at_mut(p.c, c->type, i * p.c_step[0]);
        p.rows[0] = min64(step, c->images - i);
        c->kernels->product(&p);
    }
}

/* Along the images, pixel by pixel. */
static void run_clipped(const bli_convolve_call *c, bool data, const void *source, const void *packed, const void *bias,
                        void *sink)
{
    const bli_sweep *s = data ? &c->plan->data : &c->plan->forward;
    const int64_t *size = data ? c->plan->shape.size : c->plan->shape.out;
    for (int64_t n = 0; n < size[HEIGHT] * size[WIDTH]; n++) {
        bli_span *spans = c->scratch;
        const int num_spans = clip_spans(c, data, n / size[WIDTH], n % size[WIDTH], spans);
        for (int64_t g = 0; g < c->plan->shape.groups; g++) {
            const bli_product p = {
                .a = bli_at(source, c->type, g * s->depth),
                .b = bli_at(packed, c->type, g * group_panels(c, s)),
                .bias = bias ? bli_at(bias, c->type, g * s->width) : NULL,
                .c = bli_at_mut(sink, c->type, n * s->sink_channels + g * s->width),
                .rows = {0, 1, 1},
                .a_step = {s->size[HEIGHT] * s->size[WIDTH] * s->channels},
                .c_step = {s->sink_size},
                .spans = spans,
                .num_spans = num_spans,
                .panel = c->plan->taps * s->depth * c->kernels->lanes,
                .columns = s->width,
            };
            run_pixel(c, s, &p);
        }
    }
}

/* Cycles of both ways, roughly; a call for one pixel costs about a hundred. */
static bool clipping_pays(const bli_convolve_call *c, const bli_sweep *s)
{
    int64_t rows = 0, terms = 0, pixels = 0;
    for (int i = 0; i < s->num_phases; i++) {
        const bli_phase *p = &s->phases[i];
        for (int k = 0; k < p->num_spans; k++)
            terms += p->spans[k].len;
        rows += c->kernels->row_cost(p->rows[0], s->width) * p->rows[1] * terms * c->images;
        pixels += p->rows[0] * p->rows[1];
        terms = 0;
    }
    if (s->copy)
        rows += 2 * image_size(s) / c->kernels->lanes * c->images;
    return !c->plan->depthwise && 2 * c->kernels->row_cost(c->images, s->width) * s->clipped + 200 * pixels < 2 * rows;
}

void bli_convolve_sweep(const bli_convolve_call *c, bool data, const void *source, const void *packed, const void *bias,
                        void *sink)
{
    const bli_sweep *s = data ? &c->plan->data : &c->plan->forward;
    if (clipping_pays(c, s))
        run_clipped(c, data, source, packed, bias, sink);
    else
        run_rows(c, s, source, packed, bias, sink);
}

/* ---- weight gradient ---------------------------------------------------------------------------------------- */

/* From this many channels on, the rows of a tap fill register tiles of their own; below, rows of all taps mix. */
enum { OWN_ROWS = 8, CACHE_BYTES = 24 * 1024 };

static bli_outer outer_of(const bli_convolve_call *c, int64_t images, const void *x, const void *dy, void *sums)
{
    const bli_sweep *f = &c->plan->forward;
    const bli_phase *p = &f->phases[0];
    return (bli_outer){
        .a = x,
        .b = dy,
        .c = sums,
        .positions = {p->rows[0], p->rows[1], images},
        .a_step = {p->source_step[0], p->source_step[1], image_size(f)},
        .b_step = {p->sink_step[0], p->sink_step[1], f->sink_size},
        .columns = f->width,
    };
}

/* Rows of all taps mixed; x with its borders. */
static void add_scattered(const bli_convolve_call *c, int64_t images, const void *x, const void *dy, void *sums,
                          bool add)
{
    const bli_sweep *f = &c->plan->forward;
    const int64_t rows = f->depth * c->plan->taps;
    for (int64_t g = 0; g < c->plan->shape.groups; g++) {
        bli_outer o = outer_of(c, images, bli_at(x, c->type, g * f->depth), bli_at(dy, c->type, g * f->width),
                               bli_at_mut(sums, c->type, g * rows * f->width));
        o.add = add;
        o.rows = rows;
        o.c_step = f->width;
        o.row_at = c->plan->row_at;
        c->kernels->outer(&o);
    }
}

/* The outputs first .. first + count - 1 that tap k gives a place inside of the picture along dimension d. */
static int64_t outputs_inside(const bli_conv_shape *s, int d, int64_t k, int64_t *first)
{
    const int64_t shift = s->pad[d] - k * s->dilation[d], last = s->size[d] - 1 + shift;
    *first = shift > 0 ? (shift + s->stride[d] - 1) / s->stride[d] : 0;
    return last < 0 ? 0 : max64(0, min64(s->out[d], last / s->stride[d] + 1) - *first);
}

/* Short rows run along the images instead. */
static void choose_inner(bli_outer *o)
{
    if (o->positions[0] >= 8 || o->positions[2] <= o->positions[0])
        return;
    const int64_t n = o->positions[0];
    const ptrdiff_t a = o->a_step[0], b = o->b_step[0];
    o->positions[0] = o->positions[2], o->a_step[0] = o->a_step[2], o->b_step[0] = o->b_step[2];
    o->positions[2] = o->positions[1], o->a_step[2] = o->a_step[1], o->b_step[2] = o->b_step[1];
    o->positions[1] = n, o->a_step[1] = a, o->b_step[1] = b;
}

/* Tap by tap; only the outputs whose input lies inside of the picture, so that x needs no borders. */
static void add_taps(const bli_convolve_call *c, int64_t images, const void *x, const void *dy, void *sums, bool add)
{
    const bli_conv_shape *s = &c->plan->shape;
    const bli_sweep *f = &c->plan->forward;
    const int64_t taps = c->plan->taps;
    for (int64_t t = 0; t < taps; t++) {
        const int64_t kh = t / s->kernel[WIDTH], kw = t % s->kernel[WIDTH];
        int64_t top, left;
        const int64_t down = outputs_inside(s, HEIGHT, kh, &top), across = outputs_inside(s, WIDTH, kw, &left);
        const int64_t i = top * s->stride[HEIGHT] - s->pad[HEIGHT] + kh * s->dilation[HEIGHT];
        const int64_t j = left * s->stride[WIDTH] - s->pad[WIDTH] + kw * s->dilation[WIDTH];
        for (int64_t g = 0; g < s->groups; g++) {
            bli_outer o = {
                .a = bli_at(x, c->type, (i * s->size[WIDTH] + j) * f->channels + g * f->depth),
                .b = bli_at(dy, c->type, (top * s->out[WIDTH] + left) * f->sink_channels + g * f->width),
                .c = bli_at_mut(sums, c->type, (g * f->depth * taps + t) * f->width),
                .positions = {across, across > 0 ? down : 0, images},
                .a_step = {s->stride[WIDTH] * f->channels, s->stride[HEIGHT] * s->size[WIDTH] * f->channels,
                           s->size[HEIGHT] * s->size[WIDTH] * f->channels},
                .b_step = {f->sink_channels, s->out[WIDTH] * f->sink_channels, f->sink_size},
                .rows = f->depth,
                .columns = f->width,
                .c_step = taps * f->width,
                .add = add,
            };
            choose_inner(&o);
            c->kernels->outer(&o);
        }
    }
}

static void add_depthwise(const bli_convolve_call *c, int64_t images, const void *x, const void *dy, void *sums,
                          bool add)
{
    const bli_sweep *f = &c->plan->forward;
    const bli_phase *p = &f->phases[0];
    union {
        const void *in;
        void *out;
    } y = {dy};
    const bli_depthwise d = {
        .x = x,
        .y = y.out,
        .pixels = {p->rows[0], p->rows[1], images},
        .x_step = {p->source_step[0], p->source_step[1], image_size(f)},
        .y_step = {p->sink_step[0], p->sink_step[1], f->sink_size},
        .spans = c->plan->tap_spans,
        .num_spans = (int)c->plan->taps,
        .channels = f->channels,
    };
    c->kernels->depthwise_grad(&d, sums, add);
}

/* How the weight gradient of these layers goes over its images. */
typedef struct weight_way {
    void (*add)(const bli_convolve_call *c, int64_t images, const void *x, const void *dy, void *sums, bool add);
    bool borders; /* needs them around x */
    int64_t step; /* images at a time: as many as fit into the first cache */
} weight_way;

static weight_way weight_way_of(const bli_convolve_call *c)
{
    const bli_sweep *f = &c->plan->forward;
    const int64_t image = f->size[HEIGHT] * f->size[WIDTH] * f->channels + f->sink_size;
    const int64_t fit = CACHE_BYTES / (max64(image, 1) * (int64_t)bl_dtype_size(c->type));
    weight_way w = {c->plan->depthwise ? add_depthwise : f->depth < OWN_ROWS ? add_scattered : add_taps, false, 1};
    w.borders = w.add != add_taps && f->copy;
    w.step = w.borders ? 1 : max64(1, fit);
    return w;
}

void bli_convolve_weight(const bli_convolve_call *c, const void *x, const void *dy, void *dw)
{
    const bli_sweep *f = &c->plan->forward;
    const weight_way way = weight_way_of(c);
    const int64_t image = f->size[HEIGHT] * f->size[WIDTH] * f->channels, rows = f->depth * c->plan->taps;
    void *sums = (char *)c->scratch + copy_bytes(c, f);
    if (way.borders)
        memset(c->scratch, 0, copy_bytes(c, f));
    for (int64_t i = 0; i == 0 || i < c->images; i += way.step) {
        const void *from = bli_at(x, c->type, i * image);
        if (way.borders && c->images > 0) {
            copy_inside(c, f, from, c->scratch);
            from = c->scratch;
        }
        way.add(c, min64(way.step, c->images - i), from, bli_at(dy, c->type, i * f->sink_size), sums, i > 0);
    }
    if (c->plan->depthwise) {
        c->kernels->transpose(sums, c->plan->taps, f->channels, dw);
        return;
    }
    for (int64_t g = 0; g < c->plan->shape.groups; g++)
        c->kernels->transpose(bli_at(sums, c->type, g * rows * f->width), rows, f->width,
                              bli_at_mut(dw, c->type, g * rows * f->width));
}
