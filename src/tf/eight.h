/* eight.h: the arithmetic of TensorFlow's legacy eight-bit operators, on plain arrays.
 *
 * A tensor of codes has a range [low, high] of floats beside it.  Two rules bring numbers to codes and back: a scalar
 * one, in double (weights, zero points, bounds of Relu), and one for whole tensors, in float.  They differ in the last
 * bit, and both are part of what a graph means: every function below gives the bits that TensorFlow on x86 gives, with
 * its oneDNN kernels off.  Rounding is half away from zero.  Sums of int32 wrap.
 */
#ifndef BLI_TF_EIGHT_H
#define BLI_TF_EIGHT_H

#include "base/base.h"
#include "bitlathe/tensor.h"

/* What codes a type has. */
typedef struct bli_codes {
    int64_t low, high;
    int bits;
    bl_dtype store;
} bli_codes;
extern const bli_codes bli_quint8, bli_qint8, bli_quint16, bli_qint16, bli_qint32;

/* Scalar rule.  The unclamped code may lie outside of the type's. */
int64_t bli_code_of(float x, float low, float high, const bli_codes *t);
int64_t bli_code_clamped(float x, float low, float high, const bli_codes *t);
/* The clamped codes of quint8 of n numbers; low < high. */
void bli_bytes_of(const float *x, size_t n, float low, float high, uint8_t *codes);
float bli_value_of(int64_t code, float low, float high, const bli_codes *t);

/* Rule for tensors. */
typedef struct bli_decoder { /* offset + code * scale */
    float scale, offset;
} bli_decoder;
bli_decoder bli_decoder_make(float low, float high, const bli_codes *t);
typedef struct bli_encoder { /* clamp(round(x * scale) - subtract) */
    float scale, subtract, low, high;
} bli_encoder;
bli_encoder bli_encoder_make(float low, float high, const bli_codes *t);
static inline float bli_encode_one(const bli_encoder *e, float x)
{
    const float scaled = x * e->scale, rounded = __builtin_truncf(scaled + __builtin_copysignf(0x1.fffffep-2f, scaled));
    const float code = rounded - e->subtract, least = code > e->low ? code : e->low;
    return least < e->high ? least : e->high;
}
void bli_eight_decode(const bli_decoder *d, const bli_codes *t, const void *codes, int64_t n, float *x);
void bli_eight_encode(const bli_encoder *e, const bli_codes *t, const float *x, int64_t n, void *codes);

/* QuantizeV2's and Dequantize's modes. */
typedef enum bli_eight_mode { BLI_MIN_COMBINED, BLI_MIN_FIRST, BLI_SCALED } bli_eight_mode;
typedef struct bli_eight_how {
    const bli_codes *type;
    bli_eight_mode mode;
    bool to_even, narrow;
    float ensure_minimum_range;
} bli_eight_how;
/* The range that codes get: zero is within, and it is never empty. */
void bli_eight_adjust(const bli_eight_how *how, float range[2]);
/* range: in, what was asked; out, what the codes mean. */
void bli_quantize(const bli_eight_how *how, const float *x, int64_t n, float range[2], void *codes);
void bli_dequantize(const bli_eight_how *how, const void *codes, int64_t n, const float range[2], float *x);

/* The range of products of codes of a and b in int32. */
void bli_product_range(const float a[2], const bli_codes *ta, const float b[2], const bli_codes *tb, float out[2]);

/* Requantize to bytes. */
typedef struct bli_requantizer {
    int64_t factor, offset;
} bli_requantizer;
bli_requantizer bli_requantizer_make(const float from[2], const float to[2]);
/* TensorFlow takes codes through floats, which beyond 2^24 rounds them. */
static inline uint8_t bli_requantize_one(const bli_requantizer *r, int32_t code)
{
    const int64_t rounded = (int64_t)(float)code;
    const int64_t product = (int64_t)((uint64_t)rounded * (uint64_t)r->factor);
    const int64_t v = (int64_t)((uint64_t)(product >> 32) + (uint64_t)r->offset) >> 16;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}
/* Whether 32 bits are enough behind the products of codes within these. */
static inline bool bli_requantizer_narrow(const bli_requantizer *r, int64_t least, int64_t greatest)
{
    const double size = (double)(-least > greatest ? -least : greatest);
    return r->factor >= 0 && r->factor < (int64_t)1 << 53 && size * (double)r->factor < 0x1p61 &&
           r->offset > -(1 << 29) && r->offset < 1 << 29;
}
/* Whether floats hold all codes within these. */
static inline bool bli_requantizer_exact(int64_t least, int64_t greatest)
{
    return least >= -(1 << 24) && greatest <= 1 << 24;
}
/* RequantizationRange: what range the codes fill. */
void bli_range_of_extremes(int32_t least, int32_t greatest, const float from[2], float out[2]);

/* QuantizedBiasAdd: what each byte of x, and of the bias, is worth in int32 codes of the result's range. */
void bli_bias_tables(const float x[2], const bli_codes *tx, const float bias[2], const bli_codes *tb, int32_t *x_table,
                     int32_t *bias_table, float out[2]);
/* QuantizedAdd's likewise. */
void bli_add_tables(const float x[2], const float y[2], int32_t x_table[256], int32_t y_table[256], float out[2]);

/* 1 / sqrt as Eigen takes it of eight numbers at once: the processor's own estimate and one step of Newton's method. */
float bli_estimated_rsqrt(float v);

/* Axis of a picture as QuantizedResizeBilinear reads it. */
typedef struct bli_eight_axis {
    int64_t low, high;
    int16_t part; /* of 128 */
} bli_eight_axis;
void bli_eight_axis_make(int64_t in, int64_t out, bool align, bool half, bli_eight_axis *axis);

#endif
