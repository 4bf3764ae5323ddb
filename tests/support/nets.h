/* nets.h: small graphs and data sets for tests of training. */
#ifndef TESTS_NETS_H
#define TESTS_NETS_H

#include "bitlathe/bitlathe.h"

/* Fully connected: inputs -> widths[0] -> ... -> widths[layers-1], Relu between.  format texts: NULL for none.
 * Weights are uniform in +-sqrt(6 / (in + out)), from the seed. */
typedef struct net_spec {
    int inputs, layers;
    const int *widths;
    const char *input, *weight, *bias, *activation; /* formats */
    uint64_t seed;
    bool batch_norm;
    bool apart; /* an Identity between each Relu and what follows it */
} net_spec;
bl_graph *net_build(bl_context *ctx, const net_spec *s);

/* rows points in [-1, 1]^inputs, class = argmax of a fixed random linear map of the squares. */
typedef struct toy_data {
    bl_tensor x, y;
    bl_dataset *set;
} toy_data;
toy_data toy_make(bl_context *ctx, int rows, int inputs, int classes, uint64_t seed);
void toy_free(bl_context *ctx, toy_data *d);

#endif
