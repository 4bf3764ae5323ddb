/* exec.c: the executor's loops with AVX-512 and its products of bytes (VNNI) and counts of bits (VPOPCNTDQ). */
#include <immintrin.h>

#include "exec/kernels/loops.inc"

#define TILE __attribute__((target("avx512vnni,avx512vpopcntdq")))
enum { LANES = 16, WIDE_1 = 8, WIDE_2 = 8, WIDE_3 = 8, WIDE_4 = 6, CHAINS_1 = 6, CHAINS_2 = 4, CHAINS_4 = 3 };

typedef __m512i vec;

TILE static inline vec vec_zero(void)
{
    return _mm512_setzero_si512();
}
TILE static inline vec vec_load(const void *x)
{
    return _mm512_loadu_si512(x);
}
TILE static inline void vec_store(void *x, vec v)
{
    _mm512_storeu_si512(x, v);
}
TILE static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_epi32(a, b);
}
TILE static inline vec vec_scale(vec a, int32_t factor)
{
    return _mm512_mullo_epi32(a, _mm512_set1_epi32(factor));
}
TILE static inline vec broadcast(const void *x)
{
    int32_t v;
    memcpy(&v, x, sizeof v);
    return _mm512_set1_epi32(v);
}

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

static inline __attribute__((always_inline)) TILE vec multiply(int kind, vec sum, vec x, const char *w)
{
    switch (kind) {
    case 0: /* 4 bytes: unsigned times signed */
        return DOT(vpdpbusd, _mm512_dpbusd_epi32, sum, x, vec_load(w));
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

/* ---- constants of 4 bits
 * ------------------------------------------------------------------------------------------------ */

/* A pair of groups from one vector: each constant times 16, which the end takes away. */
INLINE void tile4(const bli_product *p, const bli_product_block *b, const char *x, ptrdiff_t stride, int32_t *y,
                  const int R, const int P)
{
    const vec high = _mm512_set1_epi8((char)0xf0);
    vec sum[16], first[4], second[4];
    const char *w = b->weight;
#pragma GCC unroll 16
    for (int i = 0; i < R * P; i++)
        sum[i] = vec_zero();
    for (int g = 0; g < b->groups; g++) {
#pragma GCC unroll 4
        for (int q = 0; q < P; q++, w += sizeof(vec)) {
            const vec both = vec_load(w);
            first[q] = _mm512_and_si512(_mm512_slli_epi16(both, 4), high);
            second[q] = _mm512_and_si512(both, high);
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            const vec u = broadcast(x + r * stride + b->offset[2 * g]);
            const vec v = broadcast(x + r * stride + b->offset[2 * g + 1]);
#pragma GCC unroll 4
            for (int q = 0; q < P; q++) {
                sum[r * P + q] = DOT(vpdpbusd, _mm512_dpbusd_epi32, sum[r * P + q], u, first[q]);
                sum[r * P + q] = DOT(vpdpbusd, _mm512_dpbusd_epi32, sum[r * P + q], v, second[q]);
            }
        }
    }
    const int32_t *init = (const int32_t *)p->init + b->first * LANES;
    y += b->first * LANES;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int q = 0; q < P; q++)
            vec_store(y + r * p->columns + q * LANES,
                      vec_add(_mm512_srai_epi32(sum[r * P + q], 4), vec_load(init + q * LANES)));
}

INLINE void rows4(const bli_product *p, const bli_product_block *b, const char *x, ptrdiff_t stride, int64_t rows,
                  int32_t *y, const int P)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
        tile4(p, b, x + r * stride, stride, y + r * p->columns, 4, P);
    for (; r + 2 <= rows; r += 2)
        tile4(p, b, x + r * stride, stride, y + r * p->columns, 2, P);
    for (; r < rows; r++)
        tile4(p, b, x + r * stride, stride, y + r * p->columns, 1, P);
}

TILE static void product4(const bli_product *p, const void *x, ptrdiff_t stride, int64_t rows, void *y)
{
    for (int i = 0; i < p->num_blocks; i++)
        switch (p->blocks[i].panels) {
        case 1:
            rows4(p, &p->blocks[i], x, stride, rows, y, 1);
            break;
        case 2:
            rows4(p, &p->blocks[i], x, stride, rows, y, 2);
            break;
        case 3:
            rows4(p, &p->blocks[i], x, stride, rows, y, 3);
            break;
        default:
            rows4(p, &p->blocks[i], x, stride, rows, y, 4);
            break;
        }
}

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

const bli_exec_kernels bli_exec_kernels_avx512 = {
    .name = "avx512",
    .lanes = LANES,
    .product4 = product4,
    .product8 = product8,
    .product16 = product16,
    .product32 = product32,
    .product64 = product64,
    .bits1 = bits1,
    .bits2 = bits2,
    .reach32 = reach,
    COMMON_LOOPS,
};
