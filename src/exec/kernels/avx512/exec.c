/* exec.c: the executor's loops with AVX-512 and its products of bytes (VNNI) and counts of bits (VPOPCNTDQ). */
#include <immintrin.h>

#include "exec/kernels/avx512/tiles.h"
#include "exec/kernels/loops.inc"

#define TILE __attribute__((target("avx512vnni,avx512vpopcntdq")))
enum { HIGH_1 = 12, HIGH_2 = 12, FIELD_ROWS = 2 };
enum { WIDE_1 = 8, WIDE_2 = 8, WIDE_3 = 8, WIDE_4 = 6, CHAINS_1 = 6, CHAINS_2 = 4, CHAINS_4 = 3 };

#include "exec/kernels/avx512/finish.inc"

/* By their names and not by their intrinsics: gcc copies a sum to another register before each and back after it, which
 * takes half of the speed.  clang does not, and would load a constant anew for each asm. */
#if defined(__clang__)
#define DOT(name, intrinsic, sum, x, w) intrinsic(sum, x, w)
#else
#define DOT(name, intrinsic, sum, x, w) dot_##name(sum, x, w)
TILE static inline vec dot_vpdpbusd(vec sum, vec x, vec w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}
TILE static inline vec dot_vpdpwssd(vec sum, vec x, vec w)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}
#endif

/* 4 bytes: unsigned times signed. */
TILE static inline vec multiply_bytes(vec sum, vec x, vec w)
{
    return DOT(vpdpbusd, _mm512_dpbusd_epi32, sum, x, w);
}

static inline __attribute__((always_inline)) TILE vec multiply(int kind, vec sum, vec x, const char *w)
{
    switch (kind) {
    case 0:
        return multiply_bytes(sum, x, vec_load(w));
    case 1: /* 2 of 16 bits */
        return DOT(vpdpwssd, _mm512_dpwssd_epi32, sum, x, vec_load(w));
    case 2:
        return _mm512_add_epi32(sum, _mm512_mullo_epi32(x, vec_load(w)));
    case 3:
        return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(x, vec_load(w))));
    default:
        sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_and_si512(x, vec_load(w))));
        return _mm512_sub_epi32(sum, _mm512_popcnt_epi32(_mm512_and_si512(x, vec_load(w + sizeof(vec)))));
    }
}

#include "exec/kernels/tiles.inc"

/* ---- constants as fields
 * ------------------------------------------------------------------------------------------------------------ */

#include "exec/kernels/packed.inc"

PLAIN_PRODUCT(product64, int64_t, int64_t, int64_t, uint64_t, 1, (uint64_t)v[k] * (uint64_t)w[l])

static void reach(const int32_t *v, const int32_t *limit, int64_t n, uint32_t *x)
{
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __mmask16 low = _mm512_cmpge_epi32_mask(vec_load(v + i), vec_load(limit + i));
        const __mmask16 high = _mm512_cmpge_epi32_mask(vec_load(v + i + 16), vec_load(limit + i + 16));
        x[i / 32] = (uint32_t)_mm512_kunpackw(high, low); /* gcc 12 spills 16 bits of a mask, and reads 32 back */
    }
    plain_reach(v + i, limit + i, n - i, x + i / 32);
}

/* ---- real numbers to bytes
 * ------------------------------------------------------------------------------------------------------------ */

/* What encode8 needs, in registers: bytes that are written could lie anywhere. */
typedef struct encoder {
    __m512 scale, offset, step, most;
    vec low, high, add;
} encoder;

/* Codes less the zero point, not yet within their ends, but for those beyond 32 bits.  Rounding to the nearest, ties
 * up, is the half of the floor of twice the value and 1 more. */
FINISH vec rounded(const encoder *e, __m512 v, const bool plain, const bool divide, const int rounding)
{
    if (!plain)
        v = _mm512_add_ps(_mm512_mul_ps(v, e->scale), e->offset);
    v = divide ? _mm512_div_ps(v, e->step) : _mm512_mul_ps(v, e->step);
    v = _mm512_maskz_min_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v, e->most);
    if (rounding == BL_RND_CONV)
        return _mm512_cvt_roundps_epi32(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    if (rounding == BL_TRN)
        return _mm512_cvt_roundps_epi32(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const vec twice = _mm512_cvt_roundps_epi32(_mm512_add_ps(v, v), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    return _mm512_srai_epi32(vec_add(twice, _mm512_set1_epi32(1)), 1);
}

/* 32 elements within their ends, of 16 bits, in the order that _mm512_packs_epi32 makes. */
FINISH vec ended(const encoder *e, vec a, vec b)
{
    const vec v = _mm512_min_epi16(_mm512_max_epi16(_mm512_packs_epi32(a, b), e->low), e->high);
    return _mm512_add_epi16(v, e->add);
}

FINISH void encode8_as(const bli_encode *from, const float *x, int64_t n, int32_t bias, uint8_t *y, const bool plain,
                       const bool divide, const int rounding)
{
    const vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const encoder e = {.scale = _mm512_set1_ps(from->scale),
                       .offset = _mm512_set1_ps(from->offset),
                       .step = _mm512_set1_ps(divide ? from->step : from->inverse),
                       .most = _mm512_set1_ps(from->high + 1),
                       .low = _mm512_set1_epi16((int16_t)from->low),
                       .high = _mm512_set1_epi16((int16_t)from->high),
                       .add = _mm512_set1_epi16((int16_t)(from->add - bias))};
    for (int64_t i = 0; i < n; i += 64) {
        const __mmask64 mask = n - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        vec v[4];
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const __m512 at = _mm512_maskz_loadu_ps((__mmask16)(mask >> (16 * k)), x + i + 16 * k);
            v[k] = rounded(&e, at, plain, divide, rounding);
        }
        const vec bytes = _mm512_packus_epi16(ended(&e, v[0], v[1]), ended(&e, v[2], v[3]));
        _mm512_mask_storeu_epi8(y + i, mask, _mm512_permutexvar_epi32(order, bytes));
    }
}

TILE static void encode8(const bli_encode *e, const float *x, int64_t n, int32_t bias, uint8_t *y)
{
    const bool divides = e->inverse == 0.0f;
#define CASE(is_plain, is_divide, q)                                                                                   \
    if (e->plain == is_plain && divides == is_divide && e->rounding == q) {                                            \
        encode8_as(e, x, n, bias, y, is_plain, is_divide, q);                                                          \
        return;                                                                                                        \
    }
#define CASES(q) CASE(true, true, q) CASE(true, false, q) CASE(false, true, q) CASE(false, false, q)
    CASES(BL_TRN)
    CASES(BL_RND)
    CASES(BL_RND_CONV)
#undef CASES
#undef CASE
}

#define TABLE                                                                                                          \
    .isa = BLI_ISA_AVX512, .lanes = LANES, .finishes = true, .packed8 = packed8, .unpack = unpack,                     \
    .product8 = product8, .product16 = product16, .product32 = product32, .product64 = product64, .bits1 = bits1,      \
    .bits2 = bits2, .reach32 = reach, .encode8 = encode8, COMMON_LOOPS

const bli_exec_kernels bli_exec_kernels_avx512 = {.name = "avx512", TABLE};
/* And tiles of products, where rows are many. */
const bli_exec_kernels bli_exec_kernels_amx = {.name = "amx", .bundle = BLI_TILE_GROUPS, .tiles8 = bli_tiles8, TABLE};
