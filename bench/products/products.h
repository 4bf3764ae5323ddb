/* products.h: what bench_products.c asks of a library that it compares with. */
#ifndef BENCH_PRODUCTS_PRODUCTS_H
#define BENCH_PRODUCTS_PRODUCTS_H

#include <stdint.h>

/* kernel 0: dense, in[2] -> units; else a square convolution of in = height, width, channels. */
typedef struct bench_layer {
    const char *net;
    int64_t batch, slice, in[3], units, kernel, pad, stride;
} bench_layer;
typedef struct bench_rates {
    double forward, data, weight; /* GFLOP/s; 0: not measured */
} bench_rates;

double bench_flops(const bench_layer *b);
double bench_seconds(void (*fn)(void *arg), void *arg); /* best of several trials */
void bench_dnnl(const bench_layer *b, bench_rates *out);

#endif
