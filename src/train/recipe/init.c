/* init.c: the first values of parameters.
 *
 * Keras' initializers by name; element i is a pure function of (seed, parameter name, i), so neither the order in which
 * layers are made nor other layers change it.  Glorot and Bengio 2010; He et al., arXiv:1502.01852; LeCun 1998.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "train/recipe/layers.h"

typedef enum shape_kind { CONSTANT, UNIFORM, NORMAL, TRUNCATED } shape_kind;
typedef enum fan_kind { FAN_NONE, FAN_IN, FAN_MEAN } fan_kind;

/* value: the constant, the uniform limit, or the deviation; with a fan: the variance is value / fan. */
typedef struct initializer {
    const char *name;
    shape_kind kind;
    fan_kind fan;
    double value;
} initializer;

static const initializer initializers[] = {
    {"glorot_uniform", UNIFORM, FAN_MEAN, 1},
    {"glorot_normal", TRUNCATED, FAN_MEAN, 1},
    {"he_uniform", UNIFORM, FAN_IN, 2},
    {"he_normal", TRUNCATED, FAN_IN, 2},
    {"lecun_uniform", UNIFORM, FAN_IN, 1},
    {"lecun_normal", TRUNCATED, FAN_IN, 1},
    {"random_uniform", UNIFORM, FAN_NONE, 0.05},
    {"random_normal", NORMAL, FAN_NONE, 0.05},
    {"zeros", CONSTANT, FAN_NONE, 0},
    {"ones", CONSTANT, FAN_NONE, 1},
};
const char *const bli_initializer_words[] = {
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "random_uniform",
    "random_normal",  "zeros",         "ones",       NULL};

static const initializer *find(const char *name)
{
    for (size_t i = 0; i < BLI_COUNT(initializers); i++)
        if (strcmp(initializers[i].name, name) == 0)
            return &initializers[i];
    return &initializers[0];
}

/* A standard normal cut at two deviations: draws i, i + n, i + 2n, ... until one is inside (1 in 22 is not). */
static double truncated_normal(const bli_stream *s, uint64_t i, uint64_t n)
{
    double z = bli_stream_normal(s, i);
    while (fabs(z) > 2)
        z = bli_stream_normal(s, i += n);
    return z;
}

static double uniform(const bli_stream *s, uint64_t i)
{
    return 2 * (double)bli_unit_float(bli_stream_u32(s, i)) - 1;
}

static double fan_of(const initializer *init, const bli_fill *fill)
{
    double fan = init->fan == FAN_IN ? fill->fan_in : (fill->fan_in + fill->fan_out) / 2;
    return fan < 1 ? 1 : fan;
}

void bli_initialize(const bli_fill *fill, uint64_t seed, const char *name, float *out, size_t n)
{
    const initializer *init = find(fill->initializer);
    bli_stream s = bli_stream_make(seed, 0, name);
    double variance = init->fan ? init->value / fan_of(init, fill) : 0;
    double limit = init->fan ? sqrt(3 * variance) : init->value;
    /* 0.87962566...: the deviation of a standard normal cut at two deviations */
    double deviation = init->fan ? sqrt(variance) / 0.87962566103423978 : init->value;
    for (size_t i = 0; i < n; i++) {
        double v = init->value;
        if (init->kind == UNIFORM)
            v = limit * uniform(&s, i);
        else if (init->kind == NORMAL)
            v = deviation * bli_stream_normal(&s, i);
        else if (init->kind == TRUNCATED)
            v = deviation * truncated_normal(&s, i, n);
        out[i] = (float)v;
    }
}
