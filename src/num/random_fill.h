/* random_fill.h: bli_stream_fill with an instruction set: the same bits, several counters at a time. */
#ifndef BLI_RANDOM_FILL_H
#define BLI_RANDOM_FILL_H

#include "base/random.h"

void bli_random_fill_avx2(const bli_stream *s, uint64_t first, uint32_t *out, size_t n);
void bli_random_fill_avx512(const bli_stream *s, uint64_t first, uint32_t *out, size_t n);

#endif
