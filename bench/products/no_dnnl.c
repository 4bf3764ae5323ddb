/* no_dnnl.c: the build found no oneDNN; its columns stay zero. */
#include "products.h"

void bench_dnnl(const bench_layer *b, bench_rates *out)
{
    (void)b;
    *out = (bench_rates){0, 0, 0};
}
