/* num.h: number formats for the rooms above: checks, facts, and the kernels that training spends its time in.
 *
 * Every kernel gives the bits of the slow reference (bli_quantize_reference_*), on every instruction set, for every
 * length and alignment, and element i of a call draws element first + i of the random stream: results do not depend
 * on how a tensor is cut.  Kernels do not check: formats come from bl_format_parse or pass bli_format_check, scales
 * and zero points pass bli_grid_check.  y may equal x, but not overlap it otherwise.
 * rng NULL means no draw: STOCHASTIC then rounds like RND_CONV (evaluation).
 */
#ifndef BLI_NUM_H
#define BLI_NUM_H

#include "base/base.h"
#include "base/cpu.h"
#include "base/random.h"
#include "bitlathe/format.h"

/* Field values of a format that was filled in by hand; the message names the field. */
BL_MUST_CHECK bl_status bli_format_check(bl_context *ctx, const bl_format *f);
/* scale finite, positive and such that a step is a normal number of the carrier (float when f32); zero point fits. */
BL_MUST_CHECK bl_status bli_grid_check(bl_context *ctx, const bl_format *f, double scale, int64_t zero, bool f32);

/* What is known of every value of a format used with a scale and zero point. */
typedef struct bli_grid_facts {
    bool on_grid;      /* every value is an integer times 2^step_exp: never with a scale that is no power of two */
    int step_exp;      /* valid when on_grid */
    double least_code; /* least / 2^step_exp and greatest / 2^step_exp, valid when on_grid: code - zero_point */
    double greatest_code;
    double least, greatest; /* finite ends, scale included */
    int significand_bits;   /* a carrier with so many (24: float, 53: double) holds every value exactly; with a scale
                               that is no power of two: every code - zero_point */
    bool fits_f32;          /* every value is a float: significand and exponent */
} bli_grid_facts;
bli_grid_facts bli_format_facts(const bl_format *f, double scale, int64_t zero);

/* y[i] = Q(x[i]).  mx: x is one row. */
void bli_quantize_f32(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                      const float *x, float *y, size_t n, bli_isa isa);
void bli_quantize_f64(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                      const double *x, double *y, size_t n, bli_isa isa);

/* The same on rows of row elements: mx blocks start anew in each row.  Other kinds do not care. */
void bli_quantize_rows_f32(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                           const float *x, float *y, size_t rows, size_t row, bli_isa isa);
void bli_quantize_rows_f64(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                           const double *x, double *y, size_t rows, size_t row, bli_isa isa);

/* mx alone: blocks along the middle axis of [outer, length, inner], anew in each line.  Random bits go by the place in
 * memory, as everywhere. */
void bli_quantize_lines_f32(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const float *x,
                            float *y, size_t outer, size_t length, size_t inner, bli_isa isa);
void bli_quantize_lines_f64(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const double *x,
                            double *y, size_t outer, size_t length, size_t inner, bli_isa isa);

/* One scale (and zero point; NULL: all 0) per channel: x is [outer, channels, inner].  inner 1: channels last. */
void bli_quantize_channels_f32(const bl_format *f, const float *scale, const int64_t *zero, const bli_stream *rng,
                               uint64_t first, const float *x, float *y, size_t outer, size_t channels, size_t inner,
                               bli_isa isa);
void bli_quantize_channels_f64(const bl_format *f, const double *scale, const int64_t *zero, const bli_stream *rng,
                               uint64_t first, const double *x, double *y, size_t outer, size_t channels, size_t inner,
                               bli_isa isa);

/* Everything per element (learned bits): y = step * clamp(round(x / step), lo, hi); lo and hi are integers within
 * +-2^22 (float) or +-2^51 (double).  step is normal and positive. */
void bli_quantize_each_f32(bl_rounding rounding, const float *step, const float *lo, const float *hi,
                           const bli_stream *rng, uint64_t first, const float *x, float *y, size_t n, bli_isa isa);
void bli_quantize_each_f64(bl_rounding rounding, const double *step, const double *lo, const double *hi,
                           const bli_stream *rng, uint64_t first, const double *x, double *y, size_t n, bli_isa isa);

/* Straight-through gradient: dx[i] = dy[i] where the overflow step did not change the rounded x[i], 0 elsewhere (NaN
 * counts as changed).  Everywhere dy under WRAP, WRAP_SM and for float32; binary: where |x| <= scale.  dx may equal
 * dy or x.  STOCHASTIC: pass the stream of the forward pass.  mx: x is one row. */
void bli_quantize_grad_f32(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                           const float *x, const float *dy, float *dx, size_t n, bli_isa isa);
void bli_quantize_grad_f64(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                           const double *x, const double *dy, double *dx, size_t n, bli_isa isa);
void bli_quantize_grad_rows_f32(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                                const float *x, const float *dy, float *dx, size_t rows, size_t row, bli_isa isa);
void bli_quantize_grad_rows_f64(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                                const double *x, const double *dy, double *dx, size_t rows, size_t row, bli_isa isa);
void bli_quantize_grad_channels_f32(const bl_format *f, const float *scale, const int64_t *zero, const bli_stream *rng,
                                    uint64_t first, const float *x, const float *dy, float *dx, size_t outer,
                                    size_t channels, size_t inner, bli_isa isa);
void bli_quantize_grad_channels_f64(const bl_format *f, const double *scale, const int64_t *zero, const bli_stream *rng,
                                    uint64_t first, const double *x, const double *dy, double *dx, size_t outer,
                                    size_t channels, size_t inner, bli_isa isa);
void bli_quantize_grad_each_f32(bl_rounding rounding, const float *step, const float *lo, const float *hi,
                                const bli_stream *rng, uint64_t first, const float *x, const float *dy, float *dx,
                                size_t n, bli_isa isa);
void bli_quantize_grad_each_f64(bl_rounding rounding, const double *step, const double *lo, const double *hi,
                                const bli_stream *rng, uint64_t first, const double *x, const double *dy, double *dx,
                                size_t n, bli_isa isa);

/* The definition, one value at a time (not mx).  draw false: no random bits; random: the element's 32 bits; clipped
 * (may be NULL): whether the overflow step changed the value. */
float bli_quantize_reference_f32(const bl_format *f, double scale, int64_t zero, bool draw, uint32_t random, float x,
                                 bool *clipped);
double bli_quantize_reference_f64(const bl_format *f, double scale, int64_t zero, bool draw, uint32_t random, double x,
                                  bool *clipped);
/* The shared exponent of one mx block: floor(log2 m) - emax of the element, within E8M0's -127..127, for the greatest
 * finite magnitude m = |x| / scale in the block; -127 for m = 0. */
int bli_mx_exponent(const bl_format *f, double m);
/* m / 2^floor(log2 m) above this takes the next exponent: 2 (never), or with UP the greatest element's. */
double bli_mx_lead(const bl_format *f);
/* One element as a format of its own (a float, or fixed<W,2> for intW). */
bl_format bli_mx_element(const bl_format *f);

#endif
