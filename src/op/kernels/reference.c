/* reference.c: the definitions, one sum at a time. */
#include "op/kernels/reference.h"

#include <math.h>

__extension__ typedef __int128 bli_int128;

/* A running sum in double, or in integers when steps are known. */
typedef struct total {
    const int *steps;
    double real;
    bli_int128 whole;
} total;

static double get(const void *p, bl_dtype t, int64_t i)
{
    return t == BL_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(void *p, bl_dtype t, int64_t i, double x)
{
    if (t == BL_F64)
        ((double *)p)[i] = x;
    else
        ((float *)p)[i] = (float)x;
}

static int64_t code(double x, int step)
{
    return (int64_t)ldexp(x, -step);
}

static void add_product(total *s, double x, double w)
{
    if (s->steps)
        s->whole += (bli_int128)code(x, s->steps[0]) * code(w, s->steps[1]);
    else
        s->real += x * w;
}

/* A bias on a finer step than the products' moves the whole sum to that step. */
static void put_total(const total *s, const void *bias, bl_dtype t, int64_t n, void *y, int64_t i)
{
    if (!s->steps) {
        put(y, t, i, s->real + (bias ? get(bias, t, n) : 0));
        return;
    }
    int step = s->steps[0] + s->steps[1];
    bli_int128 sum = s->whole;
    if (bias && s->steps[2] < step) {
        sum *= (bli_int128)1 << (step - s->steps[2]);
        step = s->steps[2];
    }
    if (bias)
        sum += (bli_int128)code(get(bias, t, n), s->steps[2]) * ((bli_int128)1 << (s->steps[2] - step));
    /* straight from 128 bits to the carrier: one rounding */
    if (t == BL_F64)
        ((double *)y)[i] = ldexp((double)sum, step);
    else
        ((float *)y)[i] = ldexpf((float)sum, step);
}

void bli_reference_dense_run(const bli_reference_dense *d)
{
    for (int64_t r = 0; r < d->rows; r++)
        for (int64_t n = 0; n < d->columns; n++) {
            total s = {.steps = d->steps};
            for (int64_t k = 0; k < d->depth; k++)
                add_product(&s, get(d->x, d->type, r * d->depth + k), get(d->w, d->type, k * d->w_k + n * d->w_n));
            put_total(&s, d->bias, d->type, n, d->y, r * d->columns + n);
        }
}

/* Where tap k of output o reads along dimension d; -1 in the padding. */
static int64_t source(const bli_conv_shape *s, int d, int64_t o, int64_t k)
{
    const int64_t i = o * s->stride[d] - s->pad[d] + k * s->dilation[d];
    return i >= 0 && i < s->size[d] ? i : -1;
}

/* Which output reads input i through tap k along dimension d; -1 if none does. */
static int64_t target(const bli_conv_shape *s, int d, int64_t i, int64_t k)
{
    const int64_t o = i + s->pad[d] - k * s->dilation[d];
    return o >= 0 && o % s->stride[d] == 0 && o / s->stride[d] < s->out[d] ? o / s->stride[d] : -1;
}

static int64_t x_at(const bli_conv_shape *s, int64_t image, int64_t i, int64_t j, int64_t ch)
{
    return ((image * s->size[0] + i) * s->size[1] + j) * s->channels + ch;
}

static int64_t y_at(const bli_conv_shape *s, int64_t image, int64_t i, int64_t j, int64_t u)
{
    return ((image * s->out[0] + i) * s->out[1] + j) * s->units + u;
}

static int64_t w_at(const bli_conv_shape *s, int64_t u, int64_t ch, int64_t i, int64_t j)
{
    return ((u * (s->channels / s->groups) + ch) * s->kernel[0] + i) * s->kernel[1] + j;
}

static void conv_one(const bli_reference_conv *c, int64_t image, int64_t oh, int64_t ow, int64_t u)
{
    const bli_conv_shape *s = c->shape;
    const int64_t depth = s->channels / s->groups, first = u / (s->units / s->groups) * depth;
    total sum = {.steps = c->steps};
    for (int64_t kh = 0; kh < s->kernel[0]; kh++)
        for (int64_t kw = 0; kw < s->kernel[1]; kw++) {
            const int64_t i = source(s, 0, oh, kh), j = source(s, 1, ow, kw);
            for (int64_t ch = 0; i >= 0 && j >= 0 && ch < depth; ch++)
                add_product(&sum, get(c->x, c->type, x_at(s, image, i, j, first + ch)),
                            get(c->w, c->type, w_at(s, u, ch, kh, kw)));
        }
    put_total(&sum, c->bias, c->type, u, c->y, y_at(s, image, oh, ow, u));
}

void bli_reference_conv_run(const bli_reference_conv *c)
{
    const bli_conv_shape *s = c->shape;
    for (int64_t image = 0; image < c->images; image++)
        for (int64_t oh = 0; oh < s->out[0]; oh++)
            for (int64_t ow = 0; ow < s->out[1]; ow++)
                for (int64_t u = 0; u < s->units; u++)
                    conv_one(c, image, oh, ow, u);
}

static void data_one(const bli_reference_conv *c, int64_t image, int64_t i, int64_t j, int64_t ch, void *x)
{
    const bli_conv_shape *s = c->shape;
    const int64_t depth = s->channels / s->groups, units = s->units / s->groups, first = ch / depth * units;
    total sum = {.steps = c->steps};
    for (int64_t kh = 0; kh < s->kernel[0]; kh++)
        for (int64_t kw = 0; kw < s->kernel[1]; kw++) {
            const int64_t oh = target(s, 0, i, kh), ow = target(s, 1, j, kw);
            for (int64_t u = first; oh >= 0 && ow >= 0 && u < first + units; u++)
                add_product(&sum, get(c->y, c->type, y_at(s, image, oh, ow, u)),
                            get(c->w, c->type, w_at(s, u, ch % depth, kh, kw)));
        }
    put_total(&sum, c->bias, c->type, ch, x, x_at(s, image, i, j, ch));
}

void bli_reference_conv_data(const bli_reference_conv *c, void *x)
{
    const bli_conv_shape *s = c->shape;
    for (int64_t image = 0; image < c->images; image++)
        for (int64_t i = 0; i < s->size[0]; i++)
            for (int64_t j = 0; j < s->size[1]; j++)
                for (int64_t ch = 0; ch < s->channels; ch++)
                    data_one(c, image, i, j, ch, x);
}

static double weight_one(const bli_reference_conv *c, int64_t u, int64_t ch, int64_t kh, int64_t kw)
{
    const bli_conv_shape *s = c->shape;
    const int64_t depth = s->channels / s->groups, first = u / (s->units / s->groups) * depth;
    double sum = 0;
    for (int64_t image = 0; image < c->images; image++)
        for (int64_t oh = 0; oh < s->out[0]; oh++)
            for (int64_t ow = 0; ow < s->out[1]; ow++) {
                const int64_t i = source(s, 0, oh, kh), j = source(s, 1, ow, kw);
                if (i >= 0 && j >= 0)
                    sum += get(c->x, c->type, x_at(s, image, i, j, first + ch)) *
                           get(c->y, c->type, y_at(s, image, oh, ow, u));
            }
    return sum;
}

void bli_reference_conv_weight(const bli_reference_conv *c, void *dw)
{
    const bli_conv_shape *s = c->shape;
    for (int64_t u = 0; u < s->units; u++)
        for (int64_t ch = 0; ch < s->channels / s->groups; ch++)
            for (int64_t kh = 0; kh < s->kernel[0]; kh++)
                for (int64_t kw = 0; kw < s->kernel[1]; kw++)
                    put(dw, c->type, w_at(s, u, ch, kh, kw), weight_one(c, u, ch, kh, kw));
}
