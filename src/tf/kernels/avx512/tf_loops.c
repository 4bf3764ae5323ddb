/* tf_loops.c: the eight-bit operators' loops (avx512).
 *
 * A requantization is the floor of (sum factor + offset 2^32) / 2^48: where nothing wraps, one multiply-add in double,
 * rounded down, has the same floor, since whole numbers are doubles.  So 16 sums take two multiply-adds, whatever the
 * width of the factor; and a byte's sum with its channel's number, or its product, is one more, which is exact.
 */
#include <immintrin.h>

#include "tf/kernels/loops.inc"

#define INLINE static inline __attribute__((always_inline))
#define DOWN   (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
enum { BLOCK = 64, VECTOR = 16 };

/* ---- requantizing -------------------------------------------------------------------------------------------- */
typedef struct narrower {
    __m512d factor, offset;
    __m512i low, high, order;
} narrower;

INLINE narrower narrower_make(int64_t factor, int64_t offset, uint8_t low, uint8_t high)
{
    return (narrower){.factor = _mm512_set1_pd((double)factor * 0x1p-48),
                      .offset = _mm512_set1_pd((double)offset * 0x1p-16),
                      .low = _mm512_set1_epi8((char)low),
                      .high = _mm512_set1_epi8((char)high),
                      .order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)};
}

INLINE __m256i narrow8(const narrower *k, __m512d sum)
{
    return _mm512_cvt_roundpd_epi32(_mm512_fmadd_round_pd(sum, k->factor, k->offset, DOWN), DOWN);
}

INLINE __m512i narrow16(const narrower *k, __m512d first, __m512d second)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(narrow8(k, first)), narrow8(k, second), 1);
}

/* 64 numbers as bytes within the ends. */
INLINE __m512i clamped(const narrower *k, const __m512i v[4])
{
    const __m512i ab = _mm512_packs_epi32(v[0], v[1]), cd = _mm512_packs_epi32(v[2], v[3]);
    const __m512i bytes = _mm512_permutexvar_epi32(k->order, _mm512_packus_epi16(ab, cd));
    return _mm512_min_epu8(_mm512_max_epu8(bytes, k->low), k->high);
}

INLINE __mmask64 mask_of(int64_t left)
{
    return left >= BLOCK ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
}

static void narrow(const bli_requantizer *r, const int32_t *sums, int64_t n, uint8_t low, uint8_t high, uint8_t *y)
{
    const narrower k = narrower_make(r->factor, r->offset, low, high);
    for (int64_t i = 0; i < n; i += BLOCK) {
        const __mmask64 mask = mask_of(n - i);
        __m512i v[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            const __m512i x = _mm512_maskz_loadu_epi32((__mmask16)(mask >> (VECTOR * q)), sums + i + VECTOR * q);
            const __m512 rounded = _mm512_cvtepi32_ps(x);
            v[q] = narrow16(&k, _mm512_cvtps_pd(_mm512_castps512_ps256(rounded)),
                            _mm512_cvtps_pd(_mm512_extractf32x8_ps(rounded, 1)));
        }
        _mm512_mask_storeu_epi8(y + i, mask, clamped(&k, v));
    }
}

/* ---- a stage ------------------------------------------------------------------------------------------------- */
/* sum = x slope + start, of each of 64 channels (products), or of all, floored, and the channel's number (sums). */
typedef struct summer {
    __m512d slope[8], start[8];
} summer;

INLINE void summer_make(const bli_tf_stage *t, const int32_t *channel, __mmask64 mask, summer *s)
{
#pragma GCC unroll 8
    for (int q = 0; q < 8; q++) {
        const __m256i c = _mm256_maskz_loadu_epi32((__mmask8)(mask >> (8 * q)), channel + 8 * q);
        const __m512d number = _mm512_cvtepi32_pd(c);
        s->slope[q] = t->table ? _mm512_set1_pd(t->slope) : number;
        s->start[q] = t->table ? number : _mm512_mul_pd(number, _mm512_set1_pd(-(double)t->zero_x));
    }
}

/* kind 0: products; 1: a line of whole numbers; 2: one that is floored. */
INLINE __m512d sum8(const summer *s, int q, __m256i x, __m512d slope, __m512d start, const int kind)
{
    const __m512d v = _mm512_cvtepi32_pd(x);
    if (kind == 0)
        return _mm512_fmadd_pd(v, s->slope[q], s->start[q]);
    const __m512d line = _mm512_fmadd_pd(v, slope, kind == 1 ? s->start[q] : start);
    return kind == 1 ? line : _mm512_add_pd(_mm512_roundscale_pd(line, DOWN), s->start[q]);
}

INLINE void stage_block(const bli_tf_stage *t, const uint8_t *x, const int32_t *channel, int64_t rows, int64_t n,
                        __mmask64 mask, uint8_t *y, const int kind)
{
    const narrower k = narrower_make(t->factor, t->offset, t->low, t->high);
    const __m512d slope = _mm512_set1_pd(t->slope), start = _mm512_set1_pd(t->start);
    summer s;
    summer_make(t, channel, mask, &s);
    for (int q = 0; kind == 1 && q < 8; q++)
        s.start[q] = _mm512_add_pd(s.start[q], start);
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        const __m512i bytes = _mm512_maskz_loadu_epi8(mask, x);
        const __m128i part[4] = {_mm512_castsi512_si128(bytes), _mm512_extracti32x4_epi32(bytes, 1),
                                 _mm512_extracti32x4_epi32(bytes, 2), _mm512_extracti32x4_epi32(bytes, 3)};
        __m512i v[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            const __m512i wide = _mm512_cvtepu8_epi32(part[q]);
            v[q] = narrow16(&k, sum8(&s, 2 * q, _mm512_castsi512_si256(wide), slope, start, kind),
                            sum8(&s, 2 * q + 1, _mm512_extracti64x4_epi64(wide, 1), slope, start, kind));
        }
        _mm512_mask_storeu_epi8(y, mask, clamped(&k, v));
    }
}

static void stage_rows(const bli_tf_stage *t, const uint8_t *x, const int32_t *channel, int64_t rows, int64_t n,
                       uint8_t *y)
{
    const bool whole = t->slope == (double)(int64_t)t->slope && t->start == (double)(int64_t)t->start;
    for (int64_t c = 0; c < n; c += BLOCK) {
        const __mmask64 mask = mask_of(n - c);
        if (!t->table)
            stage_block(t, x + c, channel + c, rows, n, mask, y + c, 0);
        else if (whole)
            stage_block(t, x + c, channel + c, rows, n, mask, y + c, 1);
        else
            stage_block(t, x + c, channel + c, rows, n, mask, y + c, 2);
    }
}

/* ---- extremes ------------------------------------------------------------------------------------------------ */
INLINE void lift_block(int32_t *sums, const uint32_t *add, const int32_t *channel, int64_t rows, int64_t n,
                       int64_t left, int32_t *least, int32_t *greatest, const int Q)
{
    __m512i a[4], b[4], number[4];
    __mmask16 mask[4];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) {
        mask[q] = (__mmask16)(mask_of(left) >> (VECTOR * q));
        a[q] = _mm512_maskz_loadu_epi32(mask[q], least + VECTOR * q);
        b[q] = _mm512_maskz_loadu_epi32(mask[q], greatest + VECTOR * q);
        number[q] = channel ? _mm512_maskz_loadu_epi32(mask[q], channel + VECTOR * q) : _mm512_setzero_si512();
    }
    for (int64_t r = 0; r < rows; r++, sums += n) {
        const __m512i more = _mm512_set1_epi32(add ? (int32_t)add[r] : 0);
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++) {
            __m512i v = _mm512_maskz_loadu_epi32(mask[q], sums + VECTOR * q);
            if (add || channel) {
                v = _mm512_add_epi32(_mm512_add_epi32(v, more), number[q]);
                _mm512_mask_storeu_epi32(sums + VECTOR * q, mask[q], v);
            }
            a[q] = _mm512_min_epi32(a[q], v);
            b[q] = _mm512_max_epi32(b[q], v);
        }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) {
        _mm512_mask_storeu_epi32(least + VECTOR * q, mask[q], a[q]);
        _mm512_mask_storeu_epi32(greatest + VECTOR * q, mask[q], b[q]);
    }
}

/* 8, 16 or 32 channels: rows side by side fill four vectors.  Returns the rows that are done. */
static int64_t lift_few(int32_t *sums, const uint32_t *add, const int32_t *channel, int64_t rows, int64_t n,
                        int32_t *least, int32_t *greatest)
{
    const int64_t each = BLOCK / n, blocks = rows / each;
    int32_t lane[BLOCK], number[BLOCK], low[BLOCK], high[BLOCK];
    __m512i a[4], b[4], of[4], more[4];
    for (int64_t k = 0; k < BLOCK; k++) {
        lane[k] = (int32_t)(k / n);
        number[k] = channel ? channel[k % n] : 0;
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        a[q] = _mm512_set1_epi32(INT32_MAX);
        b[q] = _mm512_set1_epi32(INT32_MIN);
        of[q] = _mm512_loadu_si512(lane + VECTOR * q);
        more[q] = _mm512_loadu_si512(number + VECTOR * q);
    }
    for (int64_t r = 0; r < blocks; r++, sums += BLOCK) {
        const __m512i terms =
            add ? _mm512_maskz_loadu_epi32((__mmask16)((1u << each) - 1), add + r * each) : _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            __m512i v = _mm512_loadu_si512(sums + VECTOR * q);
            if (add || channel) {
                v = _mm512_add_epi32(_mm512_add_epi32(v, more[q]), _mm512_permutexvar_epi32(of[q], terms));
                _mm512_storeu_si512(sums + VECTOR * q, v);
            }
            a[q] = _mm512_min_epi32(a[q], v);
            b[q] = _mm512_max_epi32(b[q], v);
        }
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        _mm512_storeu_si512(low + VECTOR * q, a[q]);
        _mm512_storeu_si512(high + VECTOR * q, b[q]);
    }
    for (int64_t k = 0; k < BLOCK; k++) {
        least[k % n] = low[k] < least[k % n] ? low[k] : least[k % n];
        greatest[k % n] = high[k] > greatest[k % n] ? high[k] : greatest[k % n];
    }
    return blocks * each;
}

static void lift(int32_t *sums, const uint32_t *add, const int32_t *channel, int64_t rows, int64_t n, int32_t *least,
                 int32_t *greatest)
{
    if (n == 8 || n == 16 || n == 32) {
        const int64_t done = lift_few(sums, add, channel, rows, n, least, greatest);
        sums += done * n;
        rows -= done;
        add = add ? add + done : NULL;
    }
    for (int64_t c = 0; c < n && rows > 0; c += BLOCK) {
        const int64_t left = n - c;
        const int32_t *number = channel ? channel + c : NULL;
        if (left > 3 * VECTOR)
            lift_block(sums + c, add, number, rows, n, left, least + c, greatest + c, 4);
        else if (left > 2 * VECTOR)
            lift_block(sums + c, add, number, rows, n, left, least + c, greatest + c, 3);
        else if (left > VECTOR)
            lift_block(sums + c, add, number, rows, n, left, least + c, greatest + c, 2);
        else
            lift_block(sums + c, add, number, rows, n, left, least + c, greatest + c, 1);
    }
}

static void extremes8_block(const uint8_t *x, int64_t rows, int64_t n, __mmask64 mask, uint8_t *least,
                            uint8_t *greatest)
{
    __m512i a = _mm512_maskz_loadu_epi8(mask, least), b = _mm512_maskz_loadu_epi8(mask, greatest);
    for (int64_t r = 0; r < rows; r++, x += n) {
        const __m512i v = _mm512_maskz_loadu_epi8(mask, x);
        a = _mm512_min_epu8(a, v);
        b = _mm512_max_epu8(b, v);
    }
    _mm512_mask_storeu_epi8(least, mask, a);
    _mm512_mask_storeu_epi8(greatest, mask, b);
}

static void extremes8(const uint8_t *x, int64_t rows, int64_t n, uint8_t *least, uint8_t *greatest)
{
    for (int64_t c = 0; c < n; c += BLOCK)
        extremes8_block(x + c, rows, n, mask_of(n - c), least + c, greatest + c);
}

/* ---- sums of bytes ------------------------------------------------------------------------------------------- */
/* Windows of 8, 16 or 32 bytes, one behind the other.  Returns those that are done. */
static int64_t few_sums(const uint8_t *x, int64_t span, int64_t n, uint32_t factor, uint32_t *sums)
{
    const int64_t each = BLOCK / span, blocks = n / each;
    const __m512i first = _mm512_setr_epi64(0, span / 8, 2 * (span / 8), 3 * (span / 8), 4, 5, 6, 7);
    for (int64_t i = 0; i < blocks; i++, x += BLOCK, sums += each) {
        __m512i v = _mm512_sad_epu8(_mm512_loadu_si512(x), _mm512_setzero_si512());
        if (span > 8)
            v = _mm512_add_epi64(v, _mm512_permutex_epi64(v, 0xb1));
        if (span > 16)
            v = _mm512_add_epi64(v, _mm512_permutex_epi64(v, 0x4e));
        const __m256i few = _mm512_cvtepi64_epi32(span > 8 ? _mm512_permutexvar_epi64(first, v) : v);
        _mm256_mask_storeu_epi32(sums, (__mmask8)((1u << each) - 1),
                                 _mm256_mullo_epi32(few, _mm256_set1_epi32((int32_t)factor)));
    }
    return blocks * each;
}

static void window_sums(const uint8_t *x, int64_t rows, int64_t row_bytes, int64_t span, int64_t step, int64_t n,
                        uint32_t factor, uint32_t *sums)
{
    const __m512i zero = _mm512_setzero_si512();
    int64_t i = 0;
    if (rows == 1 && step == span && (span == 8 || span == 16 || span == 32))
        i = few_sums(x, span, n, factor, sums);
    for (x += i * step; i < n; i++, x += step) {
        __m512i sum = zero;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < span; k += BLOCK)
                sum = _mm512_add_epi64(
                    sum, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(mask_of(span - k), x + r * row_bytes + k), zero));
        sums[i] = factor * (uint32_t)_mm512_reduce_add_epi64(sum);
    }
}

/* ---- depthwise ----------------------------------------------------------------------------------------------- */
INLINE __m512 floats_of(const uint8_t *x, __mmask16 mask)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, x)));
}

/* P pixels of a vector of channels. */
INLINE void depth_pixels(const uint8_t *x, const ptrdiff_t *offset, int64_t taps, int64_t step, const float *w,
                         __m512 start, int64_t n, __mmask16 mask, int32_t *y, const int P)
{
    __m512 sum[4];
#pragma GCC unroll 4
    for (int p = 0; p < P; p++)
        sum[p] = start;
    for (int64_t t = 0; t < taps; t++, w += n) {
        const __m512 weight = _mm512_maskz_loadu_ps(mask, w);
        const uint8_t *from = x + offset[t];
#pragma GCC unroll 4
        for (int p = 0; p < P; p++)
            sum[p] = _mm512_fmadd_ps(floats_of(from + p * step, mask), weight, sum[p]);
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; p++)
        _mm512_mask_storeu_epi32(y + p * n, mask, _mm512_cvtps_epi32(sum[p]));
}

static void depth_row(const uint8_t *x, const ptrdiff_t *offset, int64_t taps, int64_t step, int64_t pixels,
                      const float *w, const float *start, int64_t n, int32_t *y)
{
    for (int64_t c = 0; c < n; c += VECTOR) {
        const __mmask16 mask = (__mmask16)mask_of(n - c);
        const __m512 from = _mm512_maskz_loadu_ps(mask, start + c);
        int64_t i = 0;
        for (; i + 4 <= pixels; i += 4)
            depth_pixels(x + i * step + c, offset, taps, step, w + c, from, n, mask, y + i * n + c, 4);
        for (; i < pixels; i++)
            depth_pixels(x + i * step + c, offset, taps, step, w + c, from, n, mask, y + i * n + c, 1);
    }
}

/* A table is 128 pairs of bytes in four vectors: the upper seven bits of x find the pair, the lowest the byte. */
static void look_up(const uint8_t table[256], const uint8_t *x, int64_t n, uint8_t *y)
{
    const __m512i one = _mm512_set1_epi16(1), upper = _mm512_set1_epi16(128);
    __m512i pairs[4];
    for (int k = 0; k < 4; k++)
        pairs[k] = _mm512_loadu_si512(table + 64 * k);
    for (int64_t i = 0; i < n; i += BLOCK / 2) {
        const __mmask32 mask = (__mmask32)mask_of(n - i);
        const __m512i v = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, x + i)), at = _mm512_srli_epi16(v, 1);
        const __m512i below = _mm512_permutex2var_epi16(pairs[0], at, pairs[1]),
                      above = _mm512_permutex2var_epi16(pairs[2], at, pairs[3]),
                      pair = _mm512_mask_blend_epi16(_mm512_test_epi16_mask(v, upper), below, above),
                      byte = _mm512_srlv_epi16(pair, _mm512_slli_epi16(_mm512_and_si512(v, one), 3));
        _mm256_mask_storeu_epi8(y + i, mask, _mm512_cvtepi16_epi8(byte));
    }
}

extern const bli_tf_loops bli_tf_loops_avx512;
const bli_tf_loops bli_tf_loops_avx512 = {COMMON_LOOPS,           .stage_rows = stage_rows, .narrow = narrow,
                                          .lift = lift,           .extremes8 = extremes8,   .window_sums = window_sums,
                                          .depth_row = depth_row, .look_up = look_up};
