/* quant_call.h: one Quantize node on arrays, described as in a recipe. */
#ifndef TESTS_QUANT_CALL_H
#define TESTS_QUANT_CALL_H

#include "op/quantizer.h"
#include "support/op_call.h"

enum { QUANT_ATTRS = 24 };

typedef struct quant_call {
    bl_context *ctx;
    bli_arena *arena;
    const bli_op *op;
    bl_node node;
    const bli_quant_spec *spec;
    bli_call call;
    bl_tensor t[7]; /* x, scale, bits, y, dy, dx, dscale; freed by quant_close */
} quant_call;

/* text: an entry as in a recipe ("fixed<6,1,RND,SAT>", "quantized_bits(4,0)"), or "key: value; key: value".  x, y, dy
 * and dx are made with these dims (ended by -1).  place decides whether x has a batch. */
void quant_open(quant_call *q, bl_context *ctx, const char *place, const char *text, bl_dtype type,
                const int64_t *dims);
/* Adds a scale input (and its gradient) or a tensor of widths. */
void quant_scale(quant_call *q, const int64_t *dims, double value);
void quant_bits(quant_call *q, const int64_t *dims, int64_t value);
void quant_forward(quant_call *q);
void quant_backward(quant_call *q);
void quant_close(quant_call *q);

#endif
