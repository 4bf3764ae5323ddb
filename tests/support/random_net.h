/* random_net.h: small quantized networks from a seed: operators x formats x granularities. */
#ifndef TESTS_RANDOM_NET_H
#define TESTS_RANDOM_NET_H

#include "bitlathe/bitlathe.h"

enum { NET_WORDS = 96 };

/* What a network is made of, for coverage tables: names of operators and of quantizers. */
typedef struct net_words {
    int count;
    const char *word[NET_WORDS];
} net_words;

/* A pure function of the seed; the input is "x".  words may be NULL.  A failure to build ends the test. */
bl_graph *random_net(bl_context *ctx, uint64_t seed, net_words *words);
/* Rows for it: random ones, then corners (all least, all greatest, zeros, ties of the input's grid, infinities). */
bl_tensor random_net_rows(bl_context *ctx, const bl_graph *g, int64_t rows, uint64_t seed);

#endif
