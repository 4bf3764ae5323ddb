/* convolve_weight.c: the weight gradient.  Sums are gathered as [group][channel, tap][unit], the layout in which their
 * rows are vectors, and turned into the weight's own in the end. */
#include "op/convolve_impl.h"

#include <string.h>

/* From this many channels on, the rows of a tap fill register tiles of their own; below, rows of all taps mix. */
enum { OWN_ROWS = 8, CACHE_BYTES = 256 * 1024 };

static bli_outer outer_of(const bli_convolve_call *c, int64_t images, const void *x, const void *dy, void *sums)
{
    const bli_sweep *f = &c->plan->forward;
    const bli_phase *p = &f->phases[0];
    return (bli_outer){
        .a = x,
        .b = dy,
        .c = sums,
        .positions = {p->rows[0], p->rows[1], images},
        .a_step = {p->source_step[0], p->source_step[1], bli_sweep_image(f)},
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
        .x_step = {p->source_step[0], p->source_step[1], bli_sweep_image(f)},
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
    int64_t step; /* images at a time: as many as stay in the caches */
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
    void *sums = (char *)c->scratch + bli_sweep_copy_bytes(c, f);
    if (way.borders)
        memset(c->scratch, 0, bli_sweep_copy_bytes(c, f));
    for (int64_t i = 0; i == 0 || i < c->images; i += way.step) {
        const void *from = bli_at(x, c->type, i * image);
        if (way.borders && c->images > 0) {
            bli_sweep_copy(c, f, from, c->scratch);
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
