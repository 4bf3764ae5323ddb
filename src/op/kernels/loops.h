/* loops.h: the loops that decide the speed of a training step, one set per instruction set and carrier.
 *
 * Every set is compiled from the same source (loops.inc) and gives the same bits: sums are added in an order that is
 * written in the source, and nothing is contracted.  Arrays may be equal (in place) but not otherwise overlap.
 */
#ifndef BLI_OP_LOOPS_H
#define BLI_OP_LOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "bitlathe/tensor.h"

typedef enum bli_binary { BLI_ADD, BLI_SUB, BLI_MUL, BLI_DIV, BLI_PRELU, BLI_BINARY_COUNT } bli_binary;
/* Which operand is one number for the whole loop. */
typedef enum bli_operands { BLI_VEC_VEC, BLI_VEC_ONE, BLI_ONE_VEC, BLI_OPERANDS_COUNT } bli_operands;

/* Codes with ties to even that saturate: multiples of step (a power of two) from least to greatest, in units of a
 * scale.  strict: only what lies strictly between the end values passes its gradient. */
typedef struct bli_code_grid {
    double step, least, greatest;
    bool strict;
} bli_code_grid;

/* Both gradients of y = clip(x, scale) from dy: dx, and in term what each element adds to the scale's.  scale is one
 * number or one per element.  dx may be dy. */
typedef void bli_scaled_back(const bli_code_grid *g, const void *x, const void *dy, const void *scale, bool one,
                             void *dx, void *term, size_t n);

typedef struct bli_loops {
    void (*binary[BLI_BINARY_COUNT][BLI_OPERANDS_COUNT])(const void *a, const void *b, void *y, size_t n);
    /* pass = whether above < x <= most; dx = dy where pass is 1, else 0 */
    void (*range_pass)(const void *x, double above, double most, uint8_t *pass, size_t n);
    void (*pass_back)(const uint8_t *pass, const void *dy, void *dx, size_t n);
    void (*relu)(const void *x, void *y, size_t n);
    void (*relu_back)(const void *y, const void *dy, void *dx, size_t n);
    void (*clip)(const void *x, double least, double greatest, void *y, size_t n);
    /* y = x * scale + offset, both of period elements; n is any number of elements, starting at phase 0 */
    void (*affine)(const void *x, const void *scale, const void *offset, size_t period, void *y, size_t n);
    /* dx = a * dy + b * x + d, likewise */
    void (*affine2)(const void *dy, const void *x, const void *a, const void *b, const void *d, size_t period, void *dx,
                    size_t n);
    /* sum[j] += sum over rows of x[row][j], j < columns */
    void (*column_sum)(const void *x, size_t rows, size_t columns, double *sum);
    /* s1[j] += sum of a[.][j], s2[j] += sum of a[.][j] * b[.][j], in double throughout */
    void (*column_moments)(const void *a, const void *b, size_t rows, size_t columns, double *s1, double *s2);
    /* One image [h, w, c], windows 2 x 2 with stride 2, no padding: y is [h / 2, w / 2, c]. */
    void (*maxpool2)(const void *x, void *y, size_t h, size_t w, size_t c);
    void (*maxpool2_back)(const void *x, const void *y, const void *dy, void *dx, size_t h, size_t w, size_t c);
    /* The same of y's elements x, which came from z: in code (numbers of the carrier) the window's element that is y,
     * in row-major order, or 4 where not above < z <= most.  Back: dy to that element, 0 to the others. */
    void (*maxpool2_choose)(const void *x, const void *z, double above, double most, void *y, void *code, size_t h,
                            size_t w, size_t c);
    void (*maxpool2_give)(const void *code, const void *dy, void *dx, size_t h, size_t w, size_t c);
    /* A learned step: |least| and greatest at most 2^22 in float32, 2^51 in float64.  Then dy * (q - x) / scale, or
     * dy * q / scale outside. */
    bli_scaled_back *grid_back;
    /* A learned clip to [0, scale] (PACT); g is not read.  dy where x >= scale. */
    bli_scaled_back *clip_back;
    /* dx = dy where above < x <= most, else 0 */
    void (*range_back)(const void *x, double above, double most, const void *dy, void *dx, size_t n);
    /* y = scale for x >= 0 and NaN, low * scale for x < 0 */
    void (*sign)(const void *x, double low, const void *scale, bool one, void *y, size_t n);
    /* y = round(clip(x, 0, 1) * levels) * step, ties to even, levels below 2^22; NaN: 0 */
    void (*unit_codes)(const void *x, double levels, double step, void *y, size_t n);
    /* y = tanh(x), computed in double to a few units in the last place and rounded to the carrier; dx = dy (1 - y y) */
    void (*tanh)(const void *x, void *y, size_t n);
    void (*tanh_back)(const void *x, const void *dy, void *dx, size_t n);
    /* y = (2 round((t / range + 1/2) * levels) - levels) * step, t / range being in -1/2 .. 1/2; NaN as t = 0 */
    void (*signed_codes)(const void *t, double range, double levels, double step, void *y, size_t n);
    /* dx = (dy / most - (sign(t) * share where |t| = most)) * (1 - t t) in double */
    void (*signed_codes_back)(const void *t, const void *dy, double most, double share, void *dx, size_t n);
} bli_loops;

/* The set for an instruction set and a carrier (F32 or F64). */
const bli_loops *bli_loops_get(bli_isa isa, bl_dtype type);

/* [0] float32, [1] float64 */
extern const bli_loops bli_loops_generic[2];
extern const bli_loops bli_loops_avx2[2];
extern const bli_loops bli_loops_avx512[2];

#endif
