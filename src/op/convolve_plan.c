/* convolve_plan.c: a checked shape becomes sweeps: phases, spans, and how much of the padding there is. */
#include "op/convolve_impl.h"

/* The width of a source row in memory. */
static int64_t pitch(const bli_sweep *s)
{
    return s->copy ? s->padded[WIDTH] : s->size[WIDTH];
}

int64_t bli_sweep_image(const bli_sweep *s)
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

static void plan_copy(bli_sweep *s)
{
    s->copy = false;
    for (int d = 0; d < 2; d++)
        s->copy |= s->lead[d] > 0 || s->padded[d] > s->size[d];
}

/* Appends len elements at a, rows b on; joins the span before when both go on where it ended. */
static void append_span(bli_span_list *l, bool join, bli_stretch next)
{
    bli_stretch *last = l->count > 0 ? &l->spans[l->count - 1] : NULL;
    if (join && last && last->a + last->len == next.a && last->b + last->len == next.b)
        last->len += next.len;
    else
        l->spans[l->count++] = next;
}

static bl_status alloc_list(bli_arena *arena, int64_t spans, bli_span_list *l)
{
    *l = (bli_span_list){bli_arena_array(arena, (size_t)spans, sizeof *l->spans), 0};
    return l->spans ? BL_OK : BL_NO_MEMORY;
}

static bl_status plan_forward_phase(bli_arena *arena, bli_convolve *c)
{
    const bli_conv_shape *s = &c->shape;
    bli_sweep *f = &c->forward;
    bli_phase *p = f->phases = bli_arena_array(arena, 1, sizeof *p);
    if (!p)
        return BL_NO_MEMORY;
    BLI_TRY(alloc_list(arena, c->taps, &p->list));
    f->num_phases = 1;
    for (int64_t t = 0; t < c->taps; t++) {
        const bli_stretch tap = c->tap_spans[t];
        append_span(&p->list, !c->depthwise, (bli_stretch){tap.a, c->depthwise ? t : t * f->depth, f->depth});
    }
    p->rows[0] = s->out[WIDTH];
    p->rows[1] = s->out[HEIGHT];
    p->source_step[0] = s->stride[WIDTH] * f->channels;
    p->source_step[1] = s->stride[HEIGHT] * pitch(f) * f->channels;
    p->sink_step[0] = f->sink_channels;
    p->sink_step[1] = s->out[WIDTH] * f->sink_channels;
    return BL_OK;
}

static bl_status plan_data_phase(bli_arena *arena, bli_convolve *c, bli_phase *p, int64_t ph, int64_t pw)
{
    const bli_conv_shape *s = &c->shape;
    const bli_sweep *b = &c->data;
    BLI_TRY(alloc_list(arena, c->taps, &p->list));
    for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++)
        for (int64_t kw = s->kernel[WIDTH] - 1; kw >= 0; kw--) {
            int64_t oh, ow;
            if (!phase_tap(s, HEIGHT, ph, kh, &oh) || !phase_tap(s, WIDTH, pw, kw, &ow))
                continue;
            const int64_t tap = bli_data_tap(s, kh, kw);
            append_span(&p->list, !c->depthwise,
                        (bli_stretch){((oh + b->lead[HEIGHT]) * pitch(b) + ow + b->lead[WIDTH]) * b->channels,
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

/* The taps that sink pixel (i, j) reads inside of the picture, in the order of packing. */
static bl_status clip_pixel(bli_arena *arena, const bli_convolve *c, bool data, int64_t i, int64_t j, bli_span_list *l)
{
    const bli_conv_shape *s = &c->shape;
    const bli_sweep *w = data ? &c->data : &c->forward;
    BLI_TRY(alloc_list(arena, c->taps, l));
    for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++)
        for (int64_t k = 0; k < s->kernel[WIDTH]; k++) {
            const int64_t kw = data ? s->kernel[WIDTH] - 1 - k : k, tap = kh * s->kernel[WIDTH] + k;
            int64_t down, across;
            if (tap_source(s, data, HEIGHT, i, kh, &down) && tap_source(s, data, WIDTH, j, kw, &across))
                append_span(l, true,
                            (bli_stretch){(down * w->size[WIDTH] + across) * w->channels, tap * w->depth, w->depth});
        }
    return BL_OK;
}

/* Larger pictures have little border, and lists of their pixels would be long. */
enum { CLIPPED_PIXELS = 1024, CLIPPED_TAPS = 64 };

static bl_status plan_pixels(bli_arena *arena, bli_convolve *c, bool data)
{
    bli_sweep *w = data ? &c->data : &c->forward;
    const int64_t *size = data ? c->shape.size : c->shape.out;
    const int64_t pixels = size[HEIGHT] * size[WIDTH];
    if (c->depthwise || pixels > CLIPPED_PIXELS || c->taps > CLIPPED_TAPS)
        return BL_OK;
    if (!(w->pixels = bli_arena_array(arena, (size_t)pixels, sizeof *w->pixels)))
        return BL_NO_MEMORY;
    for (int64_t n = 0; n < pixels; n++) {
        BLI_TRY(clip_pixel(arena, c, data, n / size[WIDTH], n % size[WIDTH], &w->pixels[n]));
        for (int k = 0; k < w->pixels[n].count; k++)
            w->clipped += w->pixels[n].spans[k].len;
    }
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
        c->tap_spans[t] = (bli_stretch){at, t, 1};
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
    BLI_TRY(plan_taps(arena, c));
    BLI_TRY(plan_forward_phase(arena, c));
    BLI_TRY(plan_data_phases(arena, c));
    BLI_TRY(plan_pixels(arena, c, false));
    BLI_TRY(plan_pixels(arena, c, true));
    *out = c;
    return BL_OK;
}
