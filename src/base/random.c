/* random.c: Philox4x32-10 and what is drawn from it.  Names and constants are the paper's. */
#include "base/random.h"

#include <math.h>

#include "base/base.h"

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

void bli_philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * c0, p1 = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

bli_stream bli_stream_make(uint64_t seed, uint64_t step, const char *name)
{
    uint64_t hash = bli_hash_str(name);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)hash, (uint32_t)(hash >> 32), 0, 0};
    uint32_t mixed[4];
    bli_philox4x32(key, counter, mixed);
    return (bli_stream){{mixed[0], mixed[1]}, {(uint32_t)step, (uint32_t)(step >> 32)}};
}

/* The four elements 4 block .. 4 block + 3. */
static void block_at(const bli_stream *s, uint64_t block, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), s->high[0], s->high[1]};
    bli_philox4x32(s->key, counter, out);
}

uint32_t bli_stream_u32(const bli_stream *s, uint64_t index)
{
    uint32_t out[4];
    block_at(s, index / 4, out);
    return out[index % 4];
}

void bli_stream_fill(const bli_stream *s, uint64_t first, uint32_t *out, size_t n)
{
    size_t i = 0;
    while (i < n && (first + i) % 4 != 0) {
        out[i] = bli_stream_u32(s, first + i);
        i++;
    }
    for (; n - i >= 4; i += 4)
        block_at(s, (first + i) / 4, out + i);
    for (; i < n; i++)
        out[i] = bli_stream_u32(s, first + i);
}

double bli_stream_normal(const bli_stream *s, uint64_t index)
{
    const double two_pi = 6.283185307179586476925;
    uint32_t u[2] = {bli_stream_u32(s, 2 * index), bli_stream_u32(s, 2 * index + 1)};
    double radius = sqrt(-2.0 * log(((double)u[0] + 0.5) * 0x1p-32)); /* + 0.5: never the logarithm of zero */
    return radius * cos(two_pi * (double)u[1] * 0x1p-32);
}

enum { DRAWS = 64 };

/* Fisher and Yates.  The number below i that a draw stands for is equally likely as any other: draws that fall into the
 * incomplete last run of i are thrown away.  Draws are made many at a time, so that the places where they (almost
 * always) lead are on their way from memory when they are needed. */
void bli_stream_permutation(const bli_stream *s, uint32_t *order, uint32_t n)
{
    uint32_t draw[DRAWS], at[DRAWS];
    uint64_t next = 0;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1;) {
        const uint32_t count = i - 1 < DRAWS ? i - 1 : DRAWS;
        bli_stream_fill(s, next, draw, count);
        next += count;
        for (uint32_t k = 0; k < count; k++) {
            at[k] = draw[k] % (i - k);
            __builtin_prefetch(&order[at[k]], 1);
        }
        for (uint32_t k = 0, unused = 0; k < count; k++) {
            if (draw[k] > UINT32_MAX - i && draw[k] > UINT32_MAX - (0 - i) % i) { /* 2^32 mod i */
                unused++;
                continue;
            }
            const uint32_t j = unused ? draw[k] % i : at[k], kept = order[--i];
            order[i] = order[j];
            order[j] = kept;
        }
    }
}
