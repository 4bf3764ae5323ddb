/* batchnorm.c: BatchNormalization over the last axis (Ioffe and Szegedy, arXiv:1502.03167).
 *
 * In training the statistics are those of the whole batch, however it is cut: reduce adds up x and x^2 (reduce_backward
 * dy and dy x) per channel in double, and forward and backward are then affine functions per channel, computed in
 * double and applied in the carrier.  The running variance is the unbiased one, as in PyTorch and Keras' fused kernel.
 *
 * scale = gamma / sqrt(variance + epsilon) and offset = beta - mean * scale are what firmware stores; with the
 * attributes scale_format and offset_format they are numbers of those formats: scale is rounded first, and offset is
 * that of the rounded scale.  The same holds in training, with the batch's statistics; the gradient passes straight
 * through.
 *
 * Domain "" means channels first in ONNX; with rank 2 both are the same and the kernels serve it, above that the
 * operator is only read, to be rewritten.
 */
#include "op/batchnorm.h"

#include <math.h>
#include <string.h>

#include "num/num.h"
#include "op/broadcast.h"
#include "op/infer.h"
#include "op/kernels/loops.h"

enum { X, GAMMA, BETA, MEAN, VARIANCE };
enum { PERIOD = 256 }; /* elements: shorter channel vectors are repeated up to this */

static double epsilon_of(const bl_node *n)
{
    return bl_node_float(n, "epsilon", (double)1e-5f);
}

/* ---- formats of scale and offset ---------------------------------------------------------------------------- */
typedef struct formats {
    bl_format scale, offset; /* float32: none */
} formats;

static bl_status format_of(bl_context *ctx, const bl_node *n, const char *attr, bl_format *f)
{
    const char *text = bl_node_string(n, attr, NULL);
    *f = (bl_format){.kind = BL_FORMAT_FLOAT32};
    if (!text)
        return BL_OK;
    BLI_TRY(bli_within(ctx, bl_format_parse(ctx, text, f), "attribute %s", attr));
    if (f->kind == BL_FORMAT_MX)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: %s has no single step, expected another format", attr, text);
    if (f->rounding == BL_STOCHASTIC)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: %s draws at random, expected another rounding", attr, text);
    if (f->kind != BL_FORMAT_FLOAT32 && !bli_format_facts(f, 1, 0).fits_f32)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute %s: %s has numbers that float32 cannot carry", attr, text);
    return BL_OK;
}

static bl_status formats_of(bl_context *ctx, const bl_node *n, formats *f)
{
    BLI_TRY(format_of(ctx, n, "scale_format", &f->scale));
    return format_of(ctx, n, "offset_format", &f->offset);
}

/* Formats see what the carrier would hold. */
static double on_grid(const bl_format *f, bl_dtype carrier, double v)
{
    if (f->kind == BL_FORMAT_FLOAT32)
        return v;
    if (carrier == BL_F64)
        return bli_quantize_reference_f64(f, 1, 0, false, 0, v, NULL);
    return (double)bli_quantize_reference_f32(f, 1, 0, false, 0, (float)v, NULL);
}

static size_t channels(const bli_call *c)
{
    return bli_count(&c->in[GAMMA]);
}

/* ---- inference ---------------------------------------------------------------------------------------------- */
static bl_status infer_axis(bli_infer *i, int axis)
{
    for (int k = 0; k <= VARIANCE; k++)
        BLI_TRY(bli_infer_real(i, k));
    const bl_shape *x = &i->in[X]->shape;
    if (x->rank < 2)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 has rank %d, expected at least 2", x->rank);
    const int64_t c = x->dim[axis < 0 ? x->rank - 1 : axis];
    for (int k = GAMMA; k <= VARIANCE; k++) {
        const bl_shape *s = &i->in[k]->shape;
        if (s->rank != 1 || s->dim[0] != c)
            return bli_fail(i->ctx, BL_BAD_MODEL, "input %d must be a vector of %lld channels", k, (long long)c);
    }
    formats f;
    BLI_TRY(formats_of(i->ctx, i->node, &f));
    if (epsilon_of(i->node) < 0)
        return bli_fail(i->ctx, BL_BAD_MODEL, "attribute epsilon: %g is negative", epsilon_of(i->node));
    return bli_infer_same(i);
}

static bl_status infer_last(bli_infer *i)
{
    return infer_axis(i, -1);
}

static bl_status infer_first(bli_infer *i)
{
    return infer_axis(i, 1);
}

/* ---- statistics --------------------------------------------------------------------------------------------- */
static size_t reduce_count(const bli_call *c)
{
    return 2 * channels(c);
}

static bl_status reduce(const bli_call *c, double *partial)
{
    const size_t n = channels(c), rows = n ? bli_count(&c->in[X]) / n : 0;
    bli_loops_get(c->isa, c->in[X].type)->column_moments(c->in[X].data, c->in[X].data, rows, n, partial, partial + n);
    return BL_OK;
}

static bl_status reduce_backward(const bli_call *c, double *partial)
{
    const size_t n = channels(c), rows = n ? bli_count(&c->in[X]) / n : 0;
    bli_loops_get(c->isa, c->in[X].type)
        ->column_moments(c->grad_out[0].data, c->in[X].data, rows, n, partial, partial + n);
    return BL_OK;
}

/* Values per channel in the whole batch. */
static double population(const bli_call *c)
{
    const bl_shape *s = &c->in[X].shape;
    double n = (double)c->rows_total;
    for (int d = 1; d < s->rank - 1; d++)
        n *= (double)s->dim[d];
    return n;
}

/* Of all channels, in scratch. */
typedef struct stats {
    double *mean, *variance, *inverse; /* inverse: 1 / sqrt(variance + epsilon) */
} stats;

/* A vector of the call as doubles, or the fallback where it is absent. */
static void load(const bli_call *c, int k, double fallback, double *to)
{
    const size_t n = channels(c);
    const float *narrow = c->in[k].data;
    for (size_t j = 0; !narrow && j < n; j++)
        to[j] = fallback;
    for (size_t j = 0; narrow && c->in[k].type == BL_F32 && j < n; j++)
        to[j] = (double)narrow[j];
    if (narrow && c->in[k].type == BL_F64)
        memcpy(to, c->in[k].data, n * sizeof *to);
}

static void batch_stats(const bli_call *c, const stats *s)
{
    const size_t n = channels(c);
    const double m = population(c), *sum = c->reduced, *squares = sum + n;
    for (size_t j = 0; j < n; j++) {
        const double mean = m > 0 ? sum[j] / m : 0, variance = m > 0 ? squares[j] / m - mean * mean : 0;
        s->mean[j] = mean;
        s->variance[j] = variance > 0 ? variance : 0;
    }
}

/* Into three vectors from `memory` on. */
static stats stats_of(const bli_call *c, double *memory)
{
    const size_t n = channels(c);
    const stats s = {memory, memory + n, memory + 2 * n};
    const double epsilon = epsilon_of(c->node);
    if (c->training) {
        batch_stats(c, &s);
    } else {
        load(c, MEAN, 0, s.mean);
        load(c, VARIANCE, 1, s.variance);
    }
    for (size_t j = 0; j < n; j++)
        s.inverse[j] = 1 / sqrt(s.variance[j] + epsilon);
    return s;
}

bl_status bli_batchnorm_affine(bl_context *ctx, const bl_node *n, const bl_tensor inputs[4], double *scale,
                               double *offset)
{
    formats f;
    BLI_TRY(formats_of(ctx, n, &f));
    const int64_t count = bl_shape_count(&inputs[0].shape);
    for (int64_t j = 0; j < count; j++) {
        double v[4];
        for (int k = 0; k < 4; k++)
            v[k] = bli_real_at(inputs[k].type, inputs[k].data, (size_t)j);
        scale[j] = on_grid(&f.scale, inputs[0].type, v[0] * (1 / sqrt(v[3] + epsilon_of(n))));
        offset[j] = on_grid(&f.offset, inputs[0].type, v[1] - v[2] * scale[j]);
    }
    return BL_OK;
}

/* ---- kernels ------------------------------------------------------------------------------------------------ */
/* Scratch is three vectors of the carrier, each repeated to a period, and behind them doubles: what those vectors hold,
 * two parameters, the statistics. */
static size_t period(size_t n)
{
    return n == 0 || n >= PERIOD ? n : PERIOD / n * n;
}

enum { DOUBLES = 3 + 2 + 3 };

static size_t scratch(const bli_call *c)
{
    return (3 * period(channels(c)) + DOUBLES * channels(c)) * sizeof(double);
}

typedef struct vectors {
    size_t size; /* bytes of an element */
    char *v[3];
    double *exact[3], *param[2], *stats;
} vectors;

static vectors vectors_of(const bli_call *c)
{
    const size_t size = bl_dtype_size(c->in[X].type), step = period(channels(c)) * size, n = channels(c);
    char *base = c->scratch;
    double *d = (double *)c->scratch + 3 * period(n);
    return (vectors){
        size, {base, base + step, base + 2 * step}, {d, d + n, d + 2 * n}, {d + 3 * n, d + 4 * n}, d + 5 * n};
}

/* Brings the first `count` vectors into the carrier and repeats them. */
static void finish(const bli_call *c, const vectors *v, int count)
{
    const size_t n = channels(c) * v->size, all = period(channels(c)) * v->size;
    for (int k = 0; k < count; k++)
        bli_store(c->in[X].type, v->exact[k], channels(c), 1, v->v[k]);
    for (int k = 0; k < count; k++)
        for (size_t at = n; at < all; at += n)
            memcpy(v->v[k] + at, v->v[k], n);
}

static bl_status refuse_channels_first(const bli_call *c)
{
    if (c->node->domain[0] != '\0' || c->in[X].shape.rank == 2)
        return BL_OK;
    return bli_fail(c->ctx, BL_UNSUPPORTED, "BatchNormalization with channels first cannot run; it must be rewritten");
}

static bl_status forward(const bli_call *c)
{
    formats f;
    BLI_TRY(refuse_channels_first(c));
    BLI_TRY(formats_of(c->ctx, c->node, &f));
    const bl_dtype carrier = c->in[X].type;
    const vectors v = vectors_of(c);
    const stats s = stats_of(c, v.stats);
    const size_t n = channels(c);
    load(c, GAMMA, 1, v.param[0]);
    load(c, BETA, 0, v.param[1]);
    for (size_t j = 0; j < n; j++) {
        const double scale = on_grid(&f.scale, carrier, v.param[0][j] * s.inverse[j]);
        v.exact[0][j] = scale;
        v.exact[1][j] = on_grid(&f.offset, carrier, v.param[1][j] - s.mean[j] * scale);
    }
    finish(c, &v, 2);
    bli_loops_get(c->isa, c->in[X].type)
        ->affine(c->in[X].data, v.v[0], v.v[1], period(channels(c)), c->out[0].data, bli_count(&c->in[X]));
    return BL_OK;
}

/* With xhat = (x - mean) inverse, m values per channel and sums over them:
 *     dx = gamma inverse (dy - sum(dy) / m - xhat sum(dy xhat) / m)
 * and without the two means when the statistics are constants.  A rounded scale stands for gamma inverse where that
 * multiplies x or the mean; what goes through the variance is as without. */
static void backward_x(const bli_call *c, const bl_format *scale_format)
{
    const vectors v = vectors_of(c);
    const stats s = stats_of(c, v.stats);
    const size_t n = channels(c);
    const double m = population(c);
    load(c, GAMMA, 1, v.param[0]);
    for (size_t j = 0; j < n; j++) {
        const double exact = v.param[0][j] * s.inverse[j];
        const double a = on_grid(scale_format, c->in[X].type, exact);
        double b = 0, d = 0;
        if (c->training) {
            const double sum = c->reduced[2 * n + j];
            const double dot = (c->reduced[3 * n + j] - s.mean[j] * sum) * s.inverse[j];
            b = -exact * s.inverse[j] * dot / m;
            d = -a * sum / m - b * s.mean[j];
        }
        v.exact[0][j] = a;
        v.exact[1][j] = b;
        v.exact[2][j] = d;
    }
    finish(c, &v, 3);
    bli_loops_get(c->isa, c->in[X].type)
        ->affine2(c->grad_out[0].data, c->in[X].data, v.v[0], v.v[1], v.v[2], period(n), c->grad_in[X].data,
                  bli_count(&c->in[X]));
}

static void store_gradient(const bli_call *c, int k, const double *x)
{
    if (c->grad_in[k].data && x)
        bli_store(c->in[X].type, x, channels(c), 1, c->grad_in[k].data);
    else if (c->grad_in[k].data)
        memset(c->grad_in[k].data, 0, channels(c) * bl_dtype_size(c->in[X].type));
}

/* In training the sums of all rows are there already; the slice that holds row 0 gives them, the others give zero. */
static void backward_gamma_beta(const bli_call *c)
{
    const size_t n = channels(c);
    const vectors v = vectors_of(c);
    double *sums = v.exact[0], *dots = v.exact[1]; /* one after the other */
    if (c->training && (c->first_row != 0 || c->in[X].shape.dim[0] == 0)) {
        store_gradient(c, GAMMA, NULL);
        store_gradient(c, BETA, NULL);
        return;
    }
    memset(sums, 0, 2 * n * sizeof *sums);
    if (c->training)
        memcpy(sums, c->reduced + 2 * n, 2 * n * sizeof *sums);
    else
        (void)reduce_backward(c, sums);
    const stats s = stats_of(c, v.stats);
    for (size_t j = 0; j < n; j++)
        dots[j] = (dots[j] - s.mean[j] * sums[j]) * s.inverse[j];
    store_gradient(c, GAMMA, dots);
    store_gradient(c, BETA, sums);
}

static bl_status backward(const bli_call *c)
{
    formats f;
    BLI_TRY(refuse_channels_first(c));
    BLI_TRY(formats_of(c->ctx, c->node, &f));
    if (c->grad_in[GAMMA].data || c->grad_in[BETA].data)
        backward_gamma_beta(c);
    if (c->grad_in[X].data)
        backward_x(c, &f.scale);
    return BL_OK;
}

/* running = running * momentum + batch * (1 - momentum).  A batch of one value has no unbiased variance; it then
 * counts as it is. */
static bl_status update_state(const bli_call *c)
{
    const double keep = bl_node_float(c->node, "momentum", (double)0.9f), m = population(c);
    if (!c->training || m < 1)
        return BL_OK;
    const vectors v = vectors_of(c);
    const stats s = stats_of(c, v.stats);
    const size_t n = channels(c);
    load(c, MEAN, 0, v.param[0]);
    load(c, VARIANCE, 1, v.param[1]);
    for (size_t j = 0; j < n; j++) {
        const double variance = m > 1 ? s.variance[j] * m / (m - 1) : s.variance[j];
        v.exact[0][j] = v.param[0][j] * keep + s.mean[j] * (1 - keep);
        v.exact[1][j] = v.param[1][j] * keep + variance * (1 - keep);
    }
    bli_store(c->in[X].type, v.exact[0], n, 1, c->in[MEAN].data);
    bli_store(c->in[X].type, v.exact[1], n, 1, c->in[VARIANCE].data);
    return BL_OK;
}

static const bli_attr_spec attrs[] = {{"epsilon", BL_ATTR_FLOAT, false},
                                      {"momentum", BL_ATTR_FLOAT, false},
                                      {"training_mode", BL_ATTR_INT, false},
                                      {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec last_attrs[] = {
    {"epsilon", BL_ATTR_FLOAT, false},        {"momentum", BL_ATTR_FLOAT, false},
    {"training_mode", BL_ATTR_INT, false},    {"scale_format", BL_ATTR_STRING, false},
    {"offset_format", BL_ATTR_STRING, false}, {NULL, BL_ATTR_INT, false}};
#define BATCHNORM(name, domain, attrs, infer, help)                                                                    \
    const bli_op bli_op_##name = {                                                                                     \
        .schema = {"BatchNormalization", domain, 5, 5, 1, attrs, infer, help},                                         \
        .flags = BLI_OP_NEEDS_IN | BLI_OP_WHOLE_BATCH | BLI_OP_ELEMENTWISE,                                            \
        .forward = forward,                                                                                            \
        .backward = backward,                                                                                          \
        .scratch = scratch,                                                                                            \
        .reduce_count = reduce_count,                                                                                  \
        .reduce = reduce,                                                                                              \
        .reduce_backward = reduce_backward,                                                                            \
        .update_state = update_state,                                                                                  \
    }
BATCHNORM(batchnorm_last, BLI_DOMAIN_LAST, last_attrs, infer_last,
          "normalised per channel, statistics of the whole batch");
BATCHNORM(batchnorm, BLI_DOMAIN_ONNX, attrs, infer_first,
          "the same for [N, C]; images with channels first are rewritten");
