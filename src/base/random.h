/* random.h: counter-based random numbers, Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC'11).  A stream is keyed by (seed, step, tensor name); element i of it is a pure function of the key
 * and i, so results depend neither on threads nor on vector width.
 */
#ifndef BLI_RANDOM_H
#define BLI_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void bli_philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

typedef struct bli_stream {
    uint32_t key[2];  /* from the seed and the name */
    uint32_t high[2]; /* upper half of the counter: from the step */
} bli_stream;

bli_stream bli_stream_make(uint64_t seed, uint64_t step, const char *name);
/* 32 random bits of element index (counter = index / 4, lane = index % 4). */
uint32_t bli_stream_u32(const bli_stream *s, uint64_t index);
/* out[i] = bits of element first + i; by the plain loop; num/random_fill.h has it for each instruction set, with the
 * same bits. */
void bli_stream_fill(const bli_stream *s, uint64_t first, uint32_t *out, size_t n);
/* Uniform in [0, 1) on the grid 2^-24. */
static inline float bli_unit_float(uint32_t bits)
{
    return (float)(bits >> 8) * 0x1p-24f;
}
/* Standard normal of element index (Box-Muller on two 32-bit words, computed in double). */
double bli_stream_normal(const bli_stream *s, uint64_t index);
/* A uniformly random permutation of 0..n-1 into order (Fisher-Yates on the stream). */
void bli_stream_permutation(const bli_stream *s, uint32_t *order, uint32_t n);

#endif
