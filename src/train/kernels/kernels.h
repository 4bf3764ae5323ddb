/* kernels.h: the arithmetic of losses and optimizers, compiled once per instruction set from step.inc.
 *
 * All are element by element in the order written, without contraction, so every instruction set gives the same bits.
 */
#ifndef BLI_TRAIN_KERNELS_H
#define BLI_TRAIN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* What an optimizer needs per element of a parameter; see optimizer.h for the meaning. */
typedef struct bli_step_constants {
    double lr, momentum, beta1, beta2, epsilon;
    double decay;           /* added to the gradient: decay * w */
    double decoupled_decay; /* w -= lr * decoupled_decay * w */
    double bias1, bias2;    /* 1 - beta^t */
    double unscale;         /* gradient factor: 1 / loss scale, clipping */
    double clip_value;      /* 0: none */
    int nesterov, first;    /* first: momentum starts as the gradient */
    bool bounded;           /* a gradient counts only where least <= w <= most (adam alone looks at this) */
    double least, most;
} bli_step_constants;

/* Cross-entropy of rows of few outputs, a block of rows at a time. */
enum { BLI_LOSS_ROWS = 16, BLI_LOSS_WIDTH = 32 };
typedef struct bli_cross_entropy {
    size_t width; /* at most BLI_LOSS_WIDTH */
    double smoothing;
    const double *class_weights; /* NULL: 1 */
} bli_cross_entropy;

/* m, v: moments (may be NULL where unused); d: the increment to be added to w. */
typedef struct bli_train_kernels {
    void (*sgd_moments_f32)(const bli_step_constants *k, const float *w, const float *g, float *m, size_t n);
    void (*sgd_delta_f32)(const bli_step_constants *k, const float *w, const float *g, const float *m, float *d,
                          size_t n);
    void (*adam_moments_f32)(const bli_step_constants *k, const float *w, const float *g, float *m, float *v, size_t n);
    void (*adam_delta_f32)(const bli_step_constants *k, const float *w, const float *m, const float *v, float *d,
                           size_t n);
    /* All of Adam's step at once: adam_moments, adam_delta and add. */
    void (*adam_f32)(const bli_step_constants *k, float *w, const float *g, float *m, float *v, size_t n);
    void (*add_f32)(float *w, const float *d, size_t n);
    void (*sgd_moments_f64)(const bli_step_constants *k, const double *w, const double *g, double *m, size_t n);
    void (*sgd_delta_f64)(const bli_step_constants *k, const double *w, const double *g, const double *m, double *d,
                          size_t n);
    void (*adam_moments_f64)(const bli_step_constants *k, const double *w, const double *g, double *m, double *v,
                             size_t n);
    void (*adam_delta_f64)(const bli_step_constants *k, const double *w, const double *m, const double *v, double *d,
                           size_t n);
    void (*adam_f64)(const bli_step_constants *k, double *w, const double *g, double *m, double *v, size_t n);
    void (*add_f64)(double *w, const double *d, size_t n);
    /* w[i] into [-limit, limit]. */
    void (*clamp_f32)(float *w, double limit, size_t n);
    void (*clamp_f64)(double *w, double limit, size_t n);
    /* e[i] = exp(x[i]) for x <= 0, relative error below 2^-22. */
    void (*exp_f32)(const float *x, float *e, size_t n);
    /* y[i] = ln(x[i]) for finite x >= 1 to a few units in the last place, NaN for NaN; the C library's differs from
     * machine to machine */
    void (*log_f64)(const double *x, double *y, size_t n);
    /* Of at most BLI_LOSS_ROWS rows: the gradient (unless NULL) of cross-entropy, each row's greatest output, the sum
     * of exp(output - greatest) in double and in order; returns how many rows have their greatest output (the first of
     * equals) at their label. */
    int (*cross_entropy_f32)(const bli_cross_entropy *c, const float *y, const int32_t *labels, size_t rows,
                             float *grad, float *most, double *sum);
    /* Sum of squares in double (four interleaved sums, then in order). */
    double (*square_sum_f32)(const float *g, size_t n);
} bli_train_kernels;

const bli_train_kernels *bli_train_kernels_for(bli_isa isa);
extern const bli_train_kernels bli_train_kernels_generic, bli_train_kernels_avx2, bli_train_kernels_avx512;

#endif
