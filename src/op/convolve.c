/* convolve.c: packing weights, and sweeps. */
#include "op/convolve_impl.h"

#include <string.h>

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
        const int64_t to = data ? bli_data_tap(s, t / s->kernel[WIDTH], t % s->kernel[WIDTH]) : t;
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

size_t bli_sweep_copy_bytes(const bli_convolve_call *c, const bli_sweep *s)
{
    return s->copy ? bli_round_up((size_t)bli_sweep_image(s) * bl_dtype_size(c->type)) : 0;
}

static size_t weight_bytes(const bli_convolve_call *c)
{
    const bli_conv_shape *s = &c->plan->shape;
    return bli_round_up((size_t)(s->units * (s->channels / s->groups) * c->plan->taps) * bl_dtype_size(c->type));
}

size_t bli_convolve_scratch_bytes(const bli_convolve_call *c)
{
    const size_t f = bli_sweep_copy_bytes(c, &c->plan->forward), b = bli_sweep_copy_bytes(c, &c->plan->data);
    return (f > b ? f : b) + weight_bytes(c);
}

void bli_sweep_copy(const bli_convolve_call *c, const bli_sweep *s, const void *image, void *padded)
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
        .x_step = {p->source_step[0], p->source_step[1], bli_sweep_image(s)},
        .y_step = {p->sink_step[0], p->sink_step[1], s->sink_size},
        .spans = p->list.spans,
        .num_spans = p->list.count,
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
            .a_step = {p->source_step[0], p->source_step[1], bli_sweep_image(s)},
            .c_step = {p->sink_step[0], p->sink_step[1], s->sink_size},
            .spans = p->list.spans,
            .num_spans = p->list.count,
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
    memset(c->scratch, 0, bli_sweep_copy_bytes(c, s));
    for (int64_t i = 0; i < c->images; i++) {
        bli_sweep_copy(c, s, bli_at(source, c->type, i * image), c->scratch);
        run_phases(c, s, 1, c->scratch, packed, bias, bli_at_mut(sink, c->type, i * s->sink_size));
    }
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
        for (int64_t g = 0; g < c->plan->shape.groups; g++) {
            const bli_product p = {
                .a = bli_at(source, c->type, g * s->depth),
                .b = bli_at(packed, c->type, g * group_panels(c, s)),
                .bias = bias ? bli_at(bias, c->type, g * s->width) : NULL,
                .c = bli_at_mut(sink, c->type, n * s->sink_channels + g * s->width),
                .rows = {0, 1, 1},
                .a_step = {s->size[HEIGHT] * s->size[WIDTH] * s->channels},
                .c_step = {s->sink_size},
                .spans = s->pixels[n].spans,
                .num_spans = s->pixels[n].count,
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
    if (!s->pixels)
        return false;
    for (int i = 0; i < s->num_phases; i++) {
        const bli_phase *p = &s->phases[i];
        for (int k = 0; k < p->list.count; k++)
            terms += p->list.spans[k].len;
        rows += c->kernels->row_cost(p->rows[0], s->width) * p->rows[1] * terms * c->images;
        pixels += p->rows[0] * p->rows[1];
        terms = 0;
    }
    if (s->copy)
        rows += 2 * bli_sweep_image(s) / c->kernels->lanes * c->images;
    return 2 * c->kernels->row_cost(c->images, s->width) * s->clipped + 200 * pixels < 2 * rows;
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
