#include "train/loss.h"
#include "num/functions.h"

#include <math.h>
#include <string.h>

#include "base/base.h"
#include "num/functions.h"

/* loss.c: cross-entropy, mean squared error, hinge and squared hinge.
 *
 * Row losses: cross-entropy is a sum over classes; the others are means over outputs, as in Keras.  Rows are added in
 * double, in order.
 */

/* e = exp(y - max), sum per row; returns nothing else than these. */
static void softmax_rows(const bli_loss_call *c, const float *y, double t, float *e, float *most)
{
    const size_t n = c->width;
    for (size_t r = 0; r < c->rows; r++) {
        float m = y[r * n];
        for (size_t j = 1; j < n; j++)
            m = y[r * n + j] > m ? y[r * n + j] : m;
        most[r] = m;
        for (size_t j = 0; j < n; j++)
            e[r * n + j] = (y[r * n + j] - m) * (float)(1 / t);
    }
    c->kernels->exp_f32(e, e, c->rows * n);
}

static double row_sum(const float *e, size_t n)
{
    double s = 0;
    for (size_t j = 0; j < n; j++)
        s += (double)e[j];
    return s;
}

/* The value of one row, from the logarithm of the sum of its exponentials beside the greatest output. */
static double row_loss(const bli_loss_call *c, size_t r, double log_rest, double most)
{
    const float *y = c->y + r * c->width;
    const double log_sum = log_rest + most, even = c->smoothing / (double)c->width;
    double row = (1 - c->smoothing) * (log_sum - (double)y[c->labels[r]]);
    for (size_t j = 0; c->smoothing > 0 && j < c->width; j++)
        row += even * (log_sum - (double)y[j]);
    return (c->class_weights ? c->class_weights[c->labels[r]] : 1) * row;
}

/* By blocks of rows side by side. */
static double cross_entropy_narrow(const bli_loss_call *c)
{
    const bli_cross_entropy k = {c->width, c->smoothing, c->class_weights};
    float most[BLI_LOSS_ROWS];
    double sum[BLI_LOSS_ROWS], log_sum[BLI_LOSS_ROWS], loss = 0;
    int64_t correct = 0;
    for (size_t r = 0, n; r < c->rows; r += n) {
        n = c->rows - r < BLI_LOSS_ROWS ? c->rows - r : BLI_LOSS_ROWS;
        correct += c->kernels->cross_entropy_f32(&k, c->y + r * c->width, c->labels + r, n,
                                                 c->grad ? c->grad + r * c->width : NULL, most, sum);
        c->kernels->log_f64(sum, log_sum, n);
        for (size_t i = 0; i < n; i++)
            loss += row_loss(c, r + i, log_sum[i], (double)most[i]);
    }
    if (c->correct)
        *c->correct = correct;
    return loss;
}

static double cross_entropy(const bli_loss_call *c)
{
    const size_t n = c->width;
    float *e = c->scratch, *most = c->scratch + c->rows * n;
    double loss = 0;
    if (n <= BLI_LOSS_WIDTH)
        return cross_entropy_narrow(c);
    softmax_rows(c, c->y, 1, e, most);
    for (size_t r = 0; r < c->rows; r++) {
        const double sum = row_sum(e + r * n, n), even = c->smoothing / (double)n;
        const double w = c->class_weights ? c->class_weights[c->labels[r]] : 1;
        double log_sum;
        c->kernels->log_f64(&sum, &log_sum, 1);
        loss += row_loss(c, r, log_sum, (double)most[r]);
        const float inverse = (float)(w / sum);
        for (size_t j = 0; c->grad && j < n; j++)
            c->grad[r * n + j] = e[r * n + j] * inverse - (float)(w * even);
        if (c->grad)
            c->grad[r * n + (size_t)c->labels[r]] -= (float)(w * (1 - c->smoothing));
    }
    if (c->correct)
        *c->correct = bli_count_correct(c->y, c->labels, c->rows, n);
    return loss;
}

static float target(const bli_loss_call *c, size_t r, size_t j, float on, float off)
{
    if (c->targets)
        return c->targets[r * c->width + j];
    return c->labels[r] == (int32_t)j ? on : off;
}

static double weight_of(const bli_loss_call *c, size_t r)
{
    return c->class_weights && c->labels ? c->class_weights[c->labels[r]] : 1;
}

static double mean_squared(const bli_loss_call *c)
{
    double loss = 0;
    for (size_t r = 0; r < c->rows; r++) {
        const double w = weight_of(c, r) / (double)c->width;
        for (size_t j = 0; j < c->width; j++) {
            const double d = (double)c->y[r * c->width + j] - (double)target(c, r, j, 1, 0);
            loss += w * d * d;
            if (c->grad)
                c->grad[r * c->width + j] = (float)(2 * w * d);
        }
    }
    return loss;
}

/* t = +-1: loss max(0, 1 - t y) to the power p (1 or 2). */
static double hinge_power(const bli_loss_call *c, int p)
{
    double loss = 0;
    for (size_t r = 0; r < c->rows; r++) {
        const double w = weight_of(c, r) / (double)c->width;
        for (size_t j = 0; j < c->width; j++) {
            const double t = (double)target(c, r, j, 1, -1);
            const double m = fmax(0, 1 - t * (double)c->y[r * c->width + j]);
            loss += w * (p == 1 ? m : m * m);
            if (c->grad)
                c->grad[r * c->width + j] = (float)(m > 0 ? w * (p == 1 ? -t : -2 * t * m) : 0);
        }
    }
    return loss;
}

static double hinge(const bli_loss_call *c)
{
    return hinge_power(c, 1);
}
static double squared_hinge(const bli_loss_call *c)
{
    return hinge_power(c, 2);
}

static const bli_loss table[] = {
    {.name = "cross_entropy",
     .help = "softmax cross-entropy on logits",
     .classes = true,
     .logits = true,
     .run = cross_entropy},
    {.name = "mse", .help = "mean squared error (classes: one-hot)", .run = mean_squared},
    {.name = "hinge", .help = "max(0, 1 - t y), t = +-1, mean over outputs", .run = hinge},
    {.name = "squared_hinge", .help = "max(0, 1 - t y)^2, t = +-1, mean over outputs", .run = squared_hinge},
};

int bli_loss_count(void)
{
    return (int)BLI_COUNT(table);
}
const bli_loss *bli_loss_at(int i)
{
    return &table[i];
}

const bli_loss *bli_loss_find(const char *name)
{
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        if (name && strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

bl_status bli_loss_get(bl_context *ctx, const char *name, const bli_loss **out)
{
    const char *names[BLI_COUNT(table)];
    *out = bli_loss_find(name);
    if (*out)
        return BL_OK;
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        names[i] = table[i].name;
    return bli_unknown_name(ctx, "loss", name ? name : "", names, BLI_COUNT(table));
}

int64_t bli_count_correct(const float *y, const int32_t *labels, size_t rows, size_t width)
{
    int64_t correct = 0;
    for (size_t r = 0; r < rows; r++) {
        size_t best = 0;
        for (size_t j = 1; j < width; j++)
            best = y[r * width + j] > y[r * width + best] ? j : best;
        correct += labels[r] == (int32_t)best;
    }
    return correct;
}

double bli_distill(const bli_loss_call *c, const float *teacher, double temperature, double weight, double loss)
{
    const size_t n = c->width, all = c->rows * n;
    float *mine = c->scratch, *theirs = c->scratch + all, *most = c->scratch + 2 * all;
    double divergence = 0;
    softmax_rows(c, c->y, temperature, mine, most);
    softmax_rows(c, teacher, temperature, theirs, most);
    for (size_t r = 0; r < c->rows; r++) {
        const double a = row_sum(mine + r * n, n), b = row_sum(theirs + r * n, n);
        for (size_t j = 0; j < n; j++) {
            const double p = (double)theirs[r * n + j] / b, q = (double)mine[r * n + j] / a;
            if (p > 0)
                divergence += p * (bli_fn_log(p) - bli_fn_log(fmax(q, 1e-30)));
            if (c->grad)
                c->grad[r * n + j] =
                    (float)((1 - weight) * (double)c->grad[r * n + j] + weight * temperature * (q - p));
        }
    }
    return (1 - weight) * loss + weight * temperature * temperature * divergence;
}
