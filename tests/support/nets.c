/* nets.c: see nets.h.  A failure to build ends the test. */
#include "support/nets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static void must(bl_context *ctx, bl_status s)
{
    if (s == BL_OK)
        return;
    fprintf(stderr, "test network: %s: %s\n", bl_status_name(s), bl_context_message(ctx));
    exit(1);
}

static int add_node(bl_graph *g, const char *type, const char *domain, const char *name, const int *in, int num_in,
                    const bl_attr *attrs, int num_attrs)
{
    const bl_node n = {.name = name,
                       .type = type,
                       .domain = domain,
                       .inputs = in,
                       .num_inputs = num_in,
                       .num_outputs = 1,
                       .attrs = attrs,
                       .num_attrs = num_attrs};
    int out;
    must(bl_graph_context(g), bl_graph_add_node(g, &n, NULL, &out));
    return out;
}

static int quantize(bl_graph *g, int x, const char *format, const char *place, const char *name)
{
    if (!format)
        return x;
    const bl_attr attrs[] = {{.name = "format", .kind = BL_ATTR_STRING, .count = 1, .u.s = format},
                             {.name = "quantizer", .kind = BL_ATTR_STRING, .count = 1, .u.s = "ste"},
                             {.name = "place", .kind = BL_ATTR_STRING, .count = 1, .u.s = place}};
    return add_node(g, "Quantize", "bitlathe", name, &x, 1, attrs, 3);
}

static int add_tensor(bl_graph *g, const char *name, const char *place, bl_role role, const bl_shape *shape,
                      double limit, double centre, uint64_t seed)
{
    bl_tensor t;
    int id;
    bl_context *ctx = bl_graph_context(g);
    must(ctx, bl_tensor_create(ctx, BL_F32, shape, &t));
    const bli_stream s = bli_stream_make(seed, 0, name);
    for (int64_t i = 0; i < bl_shape_count(shape); i++)
        ((float *)t.data)[i] =
            (float)(centre + limit * (2 * (double)bli_unit_float(bli_stream_u32(&s, (uint64_t)i)) - 1));
    must(ctx, bl_graph_add_tensor(g, name, role, place, &t, &id));
    bl_tensor_free(ctx, &t);
    return id;
}

static int batch_norm(bl_graph *g, int x, int width, int layer)
{
    static const char *const names[] = {"gamma", "beta", "mean", "variance"};
    const bl_shape shape = {1, {width}};
    int in[5] = {x};
    char name[64];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "bn%d.%s", layer, names[i]);
        in[1 + i] = add_tensor(g, name, names[i], i < 2 ? BL_ROLE_PARAMETER : BL_ROLE_STATE, &shape, 0,
                               i == 0 || i == 3 ? 1 : 0, 1);
    }
    snprintf(name, sizeof name, "bn%d", layer);
    return add_node(g, "BatchNormalization", "qonnx.custom_op.channels_last", name, in, 5, NULL, 0);
}

static int dense(bl_graph *g, const net_spec *s, int x, int in, int out, int layer)
{
    char name[64];
    const bl_shape wshape = {2, {in, out}}, bshape = {1, {out}};
    snprintf(name, sizeof name, "fc%d.weight", layer);
    int w = add_tensor(g, name, "weight", BL_ROLE_PARAMETER, &wshape, sqrt(6.0 / (in + out)), 0, s->seed);
    snprintf(name, sizeof name, "fc%d/weight_quant", layer);
    w = quantize(g, w, s->weight, "weight", name);
    snprintf(name, sizeof name, "fc%d", layer);
    x = add_node(g, "MatMul", "", name, (int[]){x, w}, 2, NULL, 0);
    snprintf(name, sizeof name, "fc%d.bias", layer);
    int b = add_tensor(g, name, "bias", BL_ROLE_PARAMETER, &bshape, 0, 0, s->seed);
    snprintf(name, sizeof name, "fc%d/bias_quant", layer);
    b = quantize(g, b, s->bias, "bias", name);
    snprintf(name, sizeof name, "fc%d/bias", layer);
    return add_node(g, "Add", "", name, (int[]){x, b}, 2, NULL, 0);
}

bl_graph *net_build(bl_context *ctx, const net_spec *s)
{
    bl_graph *g;
    int x, width = s->inputs;
    char name[64];
    const bl_shape shape = {2, {-1, s->inputs}};
    must(ctx, bl_graph_create(ctx, "net", &g));
    must(ctx, bl_graph_add_input(g, "x", BL_F32, &shape, &x));
    x = quantize(g, x, s->input, "input", "input_quant");
    for (int l = 0; l < s->layers; l++) {
        x = dense(g, s, x, width, s->widths[l], l + 1);
        width = s->widths[l];
        if (l + 1 == s->layers)
            break;
        if (s->batch_norm)
            x = batch_norm(g, x, width, l + 1);
        snprintf(name, sizeof name, "relu%d", l + 1);
        x = add_node(g, "Relu", "", name, &x, 1, NULL, 0);
        snprintf(name, sizeof name, "same%d", l + 1);
        x = s->apart ? add_node(g, "Identity", "", name, &x, 1, NULL, 0) : x;
        snprintf(name, sizeof name, "relu%d/activation_quant", l + 1);
        x = quantize(g, x, s->activation, "activation", name);
    }
    must(ctx, bl_graph_set_outputs(g, &x, 1));
    must(ctx, bl_graph_infer(g));
    return g;
}

toy_data toy_make(bl_context *ctx, int rows, int inputs, int classes, uint64_t seed)
{
    toy_data d;
    const bl_shape xs = {2, {rows, inputs}}, ys = {1, {rows}};
    must(ctx, bl_tensor_create(ctx, BL_F32, &xs, &d.x));
    must(ctx, bl_tensor_create(ctx, BL_I32, &ys, &d.y));
    const bli_stream s = bli_stream_make(seed, 0, "toy"), m = bli_stream_make(7, 0, "map");
    for (int r = 0; r < rows; r++) {
        double best = -1e9;
        for (int c = 0; c < classes; c++) {
            double sum = 0;
            for (int i = 0; i < inputs; i++) {
                const uint64_t at = (uint64_t)(r * inputs + i);
                const float x = 2 * bli_unit_float(bli_stream_u32(&s, at)) - 1;
                ((float *)d.x.data)[at] = x;
                sum += bli_stream_normal(&m, (uint64_t)(c * inputs + i)) * (double)(x * x);
            }
            if (sum > best) {
                best = sum;
                ((int32_t *)d.y.data)[r] = c;
            }
        }
    }
    must(ctx, bl_dataset_from_tensors(ctx, &d.x, &d.y, &d.set));
    return d;
}

void toy_free(bl_context *ctx, toy_data *d)
{
    bl_dataset_close(d->set);
    bl_tensor_free(ctx, &d->x);
    bl_tensor_free(ctx, &d->y);
}
