/* format.h: number formats, the set of values that a tensor may take, and how a real number is brought into it.
 *
 * Text form, the same in recipes, on the command line, in model metadata and in messages:
 *   fixed<W,I,Q,O> ufixed<W,I,Q,O>   also ap_fixed, ap_ufixed; Q and O may be left out (TRN, WRAP)
 *   int<W> uint<W>                   codes -2^(W-1)..2^(W-1)-1, 0..2^W-1; Q and O may follow (RND_CONV, SAT)
 *   affine<W>                        unsigned codes with zero point; affine<W,signed>; ONNX QuantizeLinear
 *   binary ternary                   {-1,+1} with 0 -> +1; {-1,0,+1}
 *   po2<W> upo2<W>                   sign and power of two; power of two
 *   float<eEmM> bfloat16 float16     any minifloat up to 32 bits; OCP names e4m3 (no infinity), e5m2, e2m1, ...
 *   mx<elem,K>                       block of K elements with one shared power-of-two scale (OCP MX v1.0)
 *   float32                          the carrier itself
 * docs/formats.md has the table of their values, bounds and special cases.
 *
 * Scale and granularity belong to the format's use (bl_grid), not to the format.  Rounding happens first, then
 * overflow.  Rounding and overflow words are hls4ml's (ap_fixed's).
 */
#ifndef BITLATHE_FORMAT_H
#define BITLATHE_FORMAT_H

#include "bitlathe/base.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef enum bl_format_kind {
    BL_FORMAT_FLOAT32,
    BL_FORMAT_FIXED,
    BL_FORMAT_INT,
    BL_FORMAT_AFFINE,
    BL_FORMAT_BINARY,
    BL_FORMAT_TERNARY,
    BL_FORMAT_PO2,
    BL_FORMAT_FLOAT,
    BL_FORMAT_MX
} bl_format_kind;

/* X(NAME, ties and direction) */
#define BL_ROUNDING_LIST(X)                                                                                            \
    X(TRN, "floor")                                                                                                    \
    X(TRN_ZERO, "toward zero")                                                                                         \
    X(RND, "nearest, ties to plus infinity")                                                                           \
    X(RND_ZERO, "nearest, ties to zero")                                                                               \
    X(RND_INF, "nearest, ties away from zero")                                                                         \
    X(RND_MIN_INF, "nearest, ties to minus infinity")                                                                  \
    X(RND_CONV, "nearest, ties to even")                                                                               \
    X(STOCHASTIC, "away from zero with probability equal to the fraction")
#define BL_OVERFLOW_LIST(X)                                                                                            \
    X(WRAP, "drop the high bits")                                                                                      \
    X(SAT, "nearest end of the range")                                                                                 \
    X(SAT_ZERO, "zero")                                                                                                \
    X(SAT_SYM, "nearest end of the symmetric range")                                                                   \
    X(WRAP_SM, "sign-magnitude wrap (ap_fixed's, N = 0)")                                                              \
    X(INF, "infinity, or NaN where the kind has no infinity (float kinds only)")

typedef enum bl_rounding {
#define BL_ROUNDING_ENUM(name, text) BL_##name,
    BL_ROUNDING_LIST(BL_ROUNDING_ENUM)
#undef BL_ROUNDING_ENUM
        BL_ROUNDING_COUNT
} bl_rounding;
typedef enum bl_overflow {
#define BL_OVERFLOW_ENUM(name, text) BL_##name,
    BL_OVERFLOW_LIST(BL_OVERFLOW_ENUM)
#undef BL_OVERFLOW_ENUM
        BL_OVERFLOW_COUNT
} bl_overflow;

/* How a minifloat spends its topmost exponent: IEEE infinities and NaNs; OCP E4M3 (all-ones is the only NaN, no
 * infinity); FN without either (E2M1, E3M2, E2M3). */
typedef enum bl_float_special { BL_SPECIAL_IEEE, BL_SPECIAL_NAN_ONLY, BL_SPECIAL_NONE } bl_float_special;

/* A plain value: copy and store it freely, compare with bl_format_equal.  Fields that a kind does not use are zero. */
typedef struct bl_format {
    bl_format_kind kind;
    bool is_signed;
    int bits;    /* W: 1..64 (element bits for mx) */
    int integer; /* I, fixed only; may be negative or above W: -256..256 */
    bl_rounding rounding;
    bl_overflow overflow;
    int exponent_bits, mantissa_bits; /* float, mx of float; both 0 for mx of int */
    bl_float_special special;
    int block;   /* K, mx only */
    bool covers; /* mx only: the shared scale is rounded up where the block's greatest would saturate ("UP") */
} bl_format;

/* The use of a format: value = scale * (code - zero_point).  {1, 0} for fixed and float formats by default.  The
 * quotient x / scale is one correctly rounded operation of the carrier (float or double), as in ONNX QuantizeLinear;
 * for a power of two it is exact.  scale is finite and positive; zero_point is 0 except for int and affine, and within
 * +-2^52. */
typedef struct bl_grid {
    double scale;
    int64_t zero_point;
} bl_grid;

/* What there is: one entry per family, for listings and documentation. */
typedef struct bl_format_family {
    const char *name, *text, *help; /* "fixed", "fixed<W,I,Q,O> ...", one sentence */
    bool lowers;                    /* becomes integers in the exact program */
} bl_format_family;
int bl_format_family_count(void);
const bl_format_family *bl_format_family_at(int i); /* NULL when out of range */

/* Parses text; the message names the offending part and what was expected (nearest word for a misspelt one). */
BL_MUST_CHECK bl_status bl_format_parse(bl_context *ctx, const char *text, bl_format *out);
/* Canonical text into buf (always terminated); returns the length that was needed, as snprintf does.
 * Parsing it gives the same format. */
size_t bl_format_print(const bl_format *f, char *buf, size_t size);
bool bl_format_equal(const bl_format *a, const bl_format *b);

/* Least and greatest finite value for scale 1 (cut to a double when W > 53; SAT_SYM's symmetric range); the step
 * between codes (0 for po2, float and mx, which have none).  Step of fixed<W,I> is 2^(I-W), exact in double. */
void bl_format_bounds(const bl_format *f, double *least, double *greatest);
double bl_format_step(const bl_format *f);

/* Brings n values into the format: y[i] = nearest (by Q, O) member of the grid to x[i].  x may equal y, not overlap
 * otherwise.  STOCHASTIC draws element i of the stream (seed, step, name); key NULL, and no draw, rounds it like
 * RND_CONV.  grid NULL: {1, 0}.  For mx, x is one row: blocks start at x[0], the last may be short.
 * NaN -> 0 for integer-coded kinds (binary: +1), NaN where the kind has one, else its greatest; po2: its least
 * magnitude.  +-infinity saturates; under WRAP, WRAP_SM and SAT_ZERO it gives 0, under INF what INF gives.
 * A zero result of an integer-coded kind is +0; floats keep the sign.  A value too long for the carrier (W > 24 in
 * float, W > 53 in double) is cut toward zero to one that fits. */
typedef struct bl_random_key {
    uint64_t seed, step;
    const char *name; /* NULL: "" */
} bl_random_key;
BL_MUST_CHECK bl_status bl_quantize(bl_context *ctx, const bl_format *f, const bl_grid *grid, const bl_random_key *key,
                                    const float *x, float *y, size_t n);
BL_MUST_CHECK bl_status bl_quantize_f64(bl_context *ctx, const bl_format *f, const bl_grid *grid,
                                        const bl_random_key *key, const double *x, double *y, size_t n);

/* Integer view of values that lie on the grid: two's complement codes for the integer-coded kinds (uint<64> as its
 * bits), -1/+1 and -1/0/+1 for binary and ternary, the bit pattern for po2 and floats; mx: the block's E8M0 exponent
 * above the element's bits.  A value off the grid (code times scale as
 * a double or as a float) is BL_BAD_VALUE with its index.  float32 has no codes. */
BL_MUST_CHECK bl_status bl_encode(bl_context *ctx, const bl_format *f, const bl_grid *grid, const double *x,
                                  int64_t *codes, size_t n);
/* The way back; codes that the format does not have are BL_BAD_VALUE.  Values with W > 53 are cut to a double. */
BL_MUST_CHECK bl_status bl_decode(bl_context *ctx, const bl_format *f, const bl_grid *grid, const int64_t *codes,
                                  double *x, size_t n);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
