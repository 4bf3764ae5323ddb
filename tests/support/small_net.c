/* small_net.c: dense, ReLU, round, saturate, layer by layer, through the builder. */
#include "support/small_net.h"

#include <stdio.h>

#include "base/random.h"

const small_net small_net_16_8_5 = {2, {16, 8, 5}, 6, 30, 8, 6};
const small_net small_net_jet = {4, {16, 64, 32, 32, 5}, 6, 50, 8, 7};

enum { MOST_WEIGHTS = 1 << 16 };

typedef struct maker {
    bl_context *ctx;
    const small_net *n;
    bli_builder *b;
    bli_stream stream;
    uint64_t drawn;
    int64_t *weight, bias[256];
} maker;

static int64_t draw(maker *m, int64_t low, int64_t high)
{
    return low + (int64_t)(bli_stream_u32(&m->stream, m->drawn++) % (uint64_t)(high - low + 1));
}

static void draw_layer(maker *m, int inputs, int outputs)
{
    int64_t most = ((int64_t)1 << (m->n->weight_bits - 1)) - 1;
    for (int i = 0; i < inputs * outputs; i++)
        m->weight[i] = draw(m, 0, 99) < m->n->zero_percent ? 0 : draw(m, -most, most);
    for (int i = 0; i < outputs; i++)
        m->bias[i] = draw(m, -64, 64);
}

static bl_status activation(maker *m, int layer, int *wire)
{
    static const int64_t zero = 0;
    int64_t shift = m->n->weight_bits + 1, bits = m->n->activation_bits, most = INT64_MAX;
    char name[32], step[48];
    snprintf(name, sizeof name, "relu%d", layer);
    bli_prim_op relu = {.kind = BLI_PRIM_CLAMP, .num_in = 1, .in = {*wire}, .channels = 1, .low = &zero, .high = &most};
    snprintf(step, sizeof step, "%s/clamp", name);
    BLI_TRY(bli_builder_add(m->b, &relu, step, name, NULL, 0, wire));
    bli_prim_op round = {.kind = BLI_PRIM_ROUND, .num_in = 1, .in = {*wire}, .channels = 1, .shift = &shift};
    round.rounding = BL_RND;
    snprintf(step, sizeof step, "%s/round", name);
    BLI_TRY(bli_builder_add(m->b, &round, step, name, NULL, 0, wire));
    bli_prim_op over = {.kind = BLI_PRIM_OVERFLOW, .num_in = 1, .in = {*wire}, .channels = 1, .bits = &bits};
    over.overflow = BL_SAT;
    return bli_builder_add(m->b, &over, name, name, NULL, 0, wire);
}

static bl_status build(maker *m, bli_program **out)
{
    int wire;
    bl_shape shape = {1, {m->n->units[0]}};
    bli_input input = {.name = "x", .scale = 1, .grid = {1, 0}};
    input.format = (bl_format){.kind = BL_FORMAT_FIXED, .is_signed = true, .bits = m->n->input_bits};
    input.format.integer = m->n->input_bits;
    input.format.rounding = BL_RND;
    input.format.overflow = BL_SAT;
    BLI_TRY(bli_builder_input(m->b, &input, "x", &shape, &wire));
    for (int i = 0; i < m->n->layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "fc%d", i + 1);
        draw_layer(m, m->n->units[i], m->n->units[i + 1]);
        bli_prim_op dense = {.kind = BLI_PRIM_DENSE, .num_in = 1, .in = {wire}, .channels = m->n->units[i + 1]};
        dense.weight = m->weight;
        dense.bias = m->bias;
        BLI_TRY(bli_builder_add(m->b, &dense, name, name, NULL, 0, &wire));
        if (i + 1 < m->n->layers)
            BLI_TRY(activation(m, i + 1, &wire));
    }
    BLI_TRY(bli_builder_output(m->b, &(bli_output){.wire = wire, .name = "y"}));
    return bli_builder_finish(m->b, out);
}

bl_status small_net_make(bl_context *ctx, const small_net *n, uint64_t seed, bli_program **out)
{
    maker m = {.ctx = ctx, .n = n, .stream = bli_stream_make(seed, 0, "small net")};
    *out = NULL;
    m.weight = bli_alloc_array(ctx, MOST_WEIGHTS, sizeof *m.weight);
    bl_status s = m.weight ? bli_builder_create(ctx, "net", &m.b) : BL_NO_MEMORY;
    if (s == BL_OK)
        s = build(&m, out);
    bli_builder_destroy(m.b);
    bli_free(ctx, m.weight);
    return s;
}
