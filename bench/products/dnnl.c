/* dnnl.c: the same layers through oneDNN, one thread, weights and activations in the layouts it asks for (weights) and
 * we use (activations, channels last), primitives made beforehand.  Slices as in ours; the dense weight gradient over
 * the whole batch. */
#include <stdlib.h>
#include <string.h>

#include "oneapi/dnnl/dnnl.h"
#include "products.h"

typedef struct run {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[4];
    int count, times;
} run;

static void must(dnnl_status_t s)
{
    if (s != dnnl_success)
        exit(1);
}

static void execute(void *arg)
{
    const run *r = arg;
    for (int i = 0; i < r->times; i++)
        must(dnnl_primitive_execute(r->primitive, r->stream, r->count, r->args));
    must(dnnl_stream_wait(r->stream));
}

static dnnl_memory_desc_t plain(int rank, const dnnl_dim_t *dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d;
    must(dnnl_memory_desc_init_by_tag(&d, rank, dims, dnnl_f32, tag));
    return d;
}

static void add_arg(run *r, dnnl_primitive_desc_t pd, int arg)
{
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
    dnnl_memory_t memory;
    void *data;
    must(dnnl_memory_create(&memory, d, r->engine, DNNL_MEMORY_ALLOCATE));
    must(dnnl_memory_get_data_handle(memory, &data));
    memset(data, 0, dnnl_memory_desc_get_size(d));
    r->args[r->count++] = (dnnl_exec_arg_t){arg, memory};
}

/* Times the primitive of desc with these three arguments. */
static double rate(const bench_layer *b, const_dnnl_op_desc_t desc, const int *args, int times)
{
    run r = {.times = times};
    dnnl_primitive_desc_t pd;
    must(dnnl_engine_create(&r.engine, dnnl_cpu, 0));
    must(dnnl_stream_create(&r.stream, r.engine, dnnl_stream_default_flags));
    must(dnnl_primitive_desc_create(&pd, desc, NULL, r.engine, NULL));
    for (int i = 0; i < 3; i++)
        add_arg(&r, pd, args[i]);
    must(dnnl_primitive_create(&r.primitive, pd));
    const double seconds = bench_seconds(execute, &r);
    for (int i = 0; i < r.count; i++)
        dnnl_memory_destroy(r.args[i].memory);
    dnnl_primitive_destroy(r.primitive);
    dnnl_primitive_desc_destroy(pd);
    dnnl_stream_destroy(r.stream);
    dnnl_engine_destroy(r.engine);
    return 1e-9 * bench_flops(b) / seconds;
}

static double product(const bench_layer *b, int64_t m, int64_t k, int64_t n, dnnl_format_tag_t a, dnnl_format_tag_t w,
                      int64_t slice)
{
    const dnnl_memory_desc_t x = plain(2, (dnnl_dims_t){m, k}, a), y = plain(2, (dnnl_dims_t){m, n}, dnnl_ab);
    const dnnl_memory_desc_t weight = plain(2, (dnnl_dims_t){k, n}, w);
    dnnl_matmul_desc_t d;
    must(dnnl_matmul_desc_init(&d, &x, &weight, NULL, &y));
    return rate(b, &d, (const int[]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, (int)(b->batch / slice));
}

static void dense(const bench_layer *b, bench_rates *out)
{
    const int64_t k = b->in[2], n = b->units;
    out->forward = product(b, b->slice, k, n, dnnl_ab, dnnl_format_tag_any, b->slice);
    out->data = product(b, b->slice, n, k, dnnl_ab, dnnl_format_tag_any, b->slice);
    out->weight = product(b, k, b->batch, n, dnnl_ba, dnnl_ab, b->batch);
}

static void convolution(const bench_layer *b, bench_rates *out)
{
    const int64_t size = b->in[0], to = (size + 2 * b->pad - b->kernel) / b->stride + 1;
    const dnnl_dims_t strides = {b->stride, b->stride}, left = {b->pad, b->pad};
    dnnl_dims_t right = {0};
    for (int d = 0; d < 2; d++)
        right[d] = (to - 1) * b->stride + b->kernel - size - b->pad;
    const dnnl_memory_desc_t x = plain(4, (dnnl_dims_t){b->slice, b->in[2], size, size}, dnnl_nhwc);
    const dnnl_memory_desc_t y = plain(4, (dnnl_dims_t){b->slice, b->units, to, to}, dnnl_nhwc);
    const dnnl_memory_desc_t w = plain(4, (dnnl_dims_t){b->units, b->in[2], b->kernel, b->kernel}, dnnl_format_tag_any);
    const int times = (int)(b->batch / b->slice);
    dnnl_convolution_desc_t d;
    must(dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct, &x, &w, NULL, &y,
                                            strides, left, right));
    out->forward = rate(b, &d, (const int[]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, times);
    must(dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &x, &w, &y, strides, left, right));
    out->data = rate(b, &d, (const int[]){DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST}, times);
    must(dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &x, &w, NULL, &y, strides, left,
                                                     right));
    out->weight = rate(b, &d, (const int[]){DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}, times);
}

void bench_dnnl(const bench_layer *b, bench_rates *out)
{
    (b->kernel ? convolution : dense)(b, out);
}
