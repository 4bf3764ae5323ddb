/* small_net.h: a dense network as a program, with weights from a seed, for tests of firmware. */
#ifndef TESTS_SMALL_NET_H
#define TESTS_SMALL_NET_H

#include "program/program.h"

typedef struct small_net {
    int layers, units[6]; /* units[0]: inputs */
    int weight_bits, zero_percent;
    int input_bits, activation_bits;
} small_net;

/* 16-8-5: 6-bit weights, signed 8-bit inputs, ReLU, round half up and saturate to 6 bits. */
extern const small_net small_net_16_8_5;
/* 16-64-32-32-5 with 6-bit weights, half of them zero: the jet-shaped network of docs/firmware.md. */
extern const small_net small_net_jet;
BL_MUST_CHECK bl_status small_net_make(bl_context *ctx, const small_net *n, uint64_t seed, bli_program **out);

#endif
