/* quantizer.h: what a Quantize node can do, one entry per quantizer, listed in op/quantizers.c.
 *
 * Node "Quantize" (domain "bitlathe"): inputs x, optional scale (scalar or per channel), optional bits (any shape that
 * broadcasts to x: one width per tensor, channel or element); output y of x's shape, always on the grid exactly.
 * Attributes: quantizer (name below; default "ste"), format (text), axis (channel axis, default -1 = last; only for
 * granularity "channel"), granularity "tensor" | "channel" | "element", start (step at which it begins; before it y = x
 * while training), place ("input", "weight", "bias", "activation", "accumulator", ...), and each quantizer's own
 * options, all as ONNX attributes: alpha ("auto", "auto_po2" or a number), threshold, ...
 *
 * Quantizers: ste (straight-through, gradient zero outside of the range), lsq (arXiv:1902.08153), pact
 * (arXiv:1805.06085), dorefa (arXiv:1606.06160), and QKeras' quantized_bits, quantized_relu, quantized_tanh,
 * quantized_sigmoid, quantized_po2, quantized_relu_po2, binary, ternary, stochastic_binary, stochastic_ternary,
 * bernoulli, and xnor (XNOR-Net's mean |w| scale, arXiv:1603.05279).
 */
#ifndef BLI_QUANTIZER_H
#define BLI_QUANTIZER_H

#include "op/op.h"

/* A quantizer on one call of a Quantize node: in[0] = x, in[1] = scale, in[2] = bits, out[0] = y; backward:
 * grad_out[0] = dy, grad_in[0] = dx, grad_in[1] = d scale. */
typedef struct bli_quantizer {
    const char *name;
    const char *help;
    bool has_scale;                                        /* takes a learned (PARAMETER) scale input */
    bool whole_tensor;                                     /* needs all of x at once (auto alpha): parameters only */
    const bli_attr_spec *attrs;                            /* its own options */
    bl_status (*check)(bl_context *ctx, const bl_node *n); /* option values; NULL: nothing to check */
    bl_status (*forward)(const bli_call *c);
    bl_status (*backward)(const bli_call *c);
    void (*range)(bli_range_call *r);
    /* A first scale from data x (n elements per channel group): LSQ's 2 mean|x| / sqrt(qmax), PACT's start. */
    bl_status (*init_scale)(const bli_call *c, double *scale);
} bli_quantizer;

const bli_quantizer *bli_quantizer_find(const char *name); /* NULL if unknown */
int bli_quantizer_count(void);
const bli_quantizer *bli_quantizer_at(int i);

#endif
