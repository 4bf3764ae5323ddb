/* quantizer.h: what a Quantize node can do, one entry per quantizer, listed in op/quantizers.c.
 *
 * Node "Quantize" (domain "bitlathe"): inputs x, optional scale (scalar, per channel or per element), optional bits
 * (any shape that broadcasts to x: one width per tensor, channel or element); output y of x's shape, always on the grid
 * exactly: y = code * scale, rounded once to the carrier, never x + (q - x).
 * Common attributes: quantizer (name below; default "ste"), format (text), granularity "tensor" | "channel" |
 * "element", axis (channel axis, default -1 = last; for mx formats the axis along which the blocks run), scale
 * ("learned", "learned_po2", "po2", "auto" or a number; see bli_scale_rule), zero_point, start (step at which it
 * begins; before it y = x while training), first_scale ("given", the default: input 1 as it is; "batch": training
 * starts it from x), place ("input", "weight", "bias", "activation", "accumulator", ...), and each quantizer's own
 * options, all as ONNX attributes: alpha ("none", "auto", "auto_po2" or a number, as a string), threshold, ...
 *
 * Quantizers: ste (straight-through, gradient zero outside of the range), lsq (arXiv:1902.08153), pact
 * (arXiv:1805.06085), dorefa (arXiv:1606.06160), xnor (XNOR-Net's mean |w| scale, arXiv:1603.05279), and QKeras'
 * quantized_bits, quantized_relu, quantized_tanh, quantized_sigmoid, quantized_po2, quantized_relu_po2, binary,
 * ternary, stochastic_binary, stochastic_ternary, bernoulli.  docs/quantizers.md has their definitions and gradients.
 */
#ifndef BLI_QUANTIZER_H
#define BLI_QUANTIZER_H

#include "bitlathe/format.h"
#include "num/kernels.h"
#include "op/op.h"

typedef enum bli_granularity { BLI_PER_TENSOR, BLI_PER_CHANNEL, BLI_PER_ELEMENT } bli_granularity;

/* Where the scale of an integer-coded format comes from. */
typedef enum bli_scale_rule {
    BLI_SCALE_NUMBER,      /* attribute scale, 1 when absent */
    BLI_SCALE_LEARNED,     /* input 1, trained */
    BLI_SCALE_LEARNED_PO2, /* input 1 brought to the nearest power of two (in the logarithm), trained */
    BLI_SCALE_PO2,         /* parameters: the least power of two that covers max |x| */
    BLI_SCALE_AUTO         /* parameters: max |x| / greatest code; affine: min-max with zero point */
} bli_scale_rule;

/* alpha of QKeras' quantizers. */
typedef enum bli_alpha_kind { BLI_ALPHA_NONE, BLI_ALPHA_NUMBER, BLI_ALPHA_AUTO, BLI_ALPHA_AUTO_PO2 } bli_alpha_kind;
typedef struct bli_alpha {
    bli_alpha_kind kind;
    double value;
} bli_alpha;

typedef struct bli_quantizer bli_quantizer;

/* Values as integer codes: value = code * unit * scale in force. */
typedef struct bli_code_ends {
    double least, greatest, unit;
} bli_code_ends;

/* What a Quantize node says, parsed once when planning; c->state of every call. */
typedef struct bli_quant_spec {
    const bli_quantizer *quantizer;
    bool has_format;
    bl_format format;
    bli_granularity granularity;
    int axis; /* may be negative: from the end */
    bli_scale_rule scale_rule;
    double scale;
    int64_t zero_point;
    int64_t start;
    bool batched;          /* dim[0] of x is the batch */
    bool first_from_batch; /* training starts the learned scale from x of the batch of step `start` */
    const void *own;       /* the quantizer's parsed options */
} bli_quant_spec;

/* A quantizer on one call of a Quantize node: in[0] = x, in[1] = scale, in[2] = bits, out[0] = y; backward:
 * grad_out[0] = dy, grad_in[0] = dx, grad_in[1] = d scale. */
struct bli_quantizer {
    const char *name;
    const char *help;
    const char *source;         /* where its definition comes from */
    bool has_scale;             /* always takes a learned (PARAMETER) scale input */
    bool needs_format;          /* attribute format is required */
    const bli_attr_spec *attrs; /* its own options, in QKeras' positional order; ends with name NULL */
    /* Parses and checks the own options into s->own; may fill s->format with the format of its codes.  NULL: none. */
    bl_status (*setup)(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s);
    bl_status (*forward)(const bli_call *c, const bli_quant_spec *s);
    bl_status (*backward)(const bli_call *c, const bli_quant_spec *s);
    void (*range)(bli_range_call *r, const bli_quant_spec *s); /* NULL: off every grid */
    size_t (*scratch)(const bli_call *c, const bli_quant_spec *s);
    /* True if forward looks at all of x (auto alpha): then x must be a parameter.  NULL: never. */
    bool (*whole_tensor)(const bli_quant_spec *s);
    /* The scales in force for the data c->in, one per group (bli_quant_groups): what a writer puts beside the codes.
     * NULL: the spec's own. */
    bl_status (*scales)(const bli_call *c, const bli_quant_spec *s, double *scale);
    /* The codes that values have beside the scales in force; false where values are no integers times one unit
     * (minifloats).  NULL: never. */
    bool (*codes)(const bli_quant_spec *s, bli_code_ends *ends);
    /* First learned scales, one per group, from data c->in[0]; its data NULL: for values of about one in magnitude. */
    bl_status (*init_scale)(const bli_call *c, const bli_quant_spec *s, double *scale);
};

const bli_quantizer *bli_quantizer_find(const char *name); /* NULL if unknown */
int bli_quantizer_count(void);
const bli_quantizer *bli_quantizer_at(int i);
/* The nearest known name, or NULL. */
const char *bli_quantizer_nearest(const char *name);

/* Parses and checks a Quantize node's attributes into arena memory. */
BL_MUST_CHECK bl_status bli_quant_spec_parse(bl_context *ctx, const bl_node *n, bool batched, bli_arena *arena,
                                             bli_quant_spec **out);
/* An option that quantizer q takes (the common ones included), NULL if it has none of that name; and the refusal, with
 * the nearest name. */
const bli_attr_spec *bli_quant_option(const bli_quantizer *q, const char *name);
bl_status bli_quant_unknown_option(bl_context *ctx, const bli_quantizer *q, const char *name);
bl_status bli_quant_unknown_name(bl_context *ctx, const char *name);
/* True if the node reads a trained scale (input 1). */
bool bli_quant_needs_scale(const bli_quant_spec *s);
/* True if forward needs all of x at once: only parameters may be quantized so. */
bool bli_quant_whole_tensor(const bli_quant_spec *s);
/* Number of scales for x of this shape (dim[0] ignored when batched and per element). */
int64_t bli_quant_groups(const bli_quant_spec *s, const bl_shape *x);

/* Where the quantizer of a Quantize node without further inputs lets a gradient pass in float32: dx = dy for
 * least <= x <= most, else 0, at all steps.  false: not an interval, or not always the same. */
bool bli_pass_range(const bli_quant_spec *s, float *least, float *most);

/* relu and a per-tensor fixed or int format in one pass, for plans that fuse them: q = format(max(z, 0)), bit for bit
 * what Relu and then Quantize give; dz = dq where z > 0 and the format does not clip, else 0.  Made by
 * bli_relu_quantize_init; ok false: not something this can do (a rounding that draws, a learned scale, a delayed start,
 * another quantizer): run Relu and Quantize apart then.  q may equal z; dz may equal dq. */
typedef struct bli_relu_quantize {
    bool ok;
    bl_format format;
    double scale;
    float hi; /* gradient passes while 0 < z <= hi */
    bli_isa isa;
    bool short_calls; /* loop is what the format does */
    bli_code_loop loop;
} bli_relu_quantize;
bli_relu_quantize bli_relu_quantize_init(const bli_quant_spec *s, bli_isa isa);
void bli_relu_quantize_f32(const bli_relu_quantize *r, const float *z, float *q, size_t n);
void bli_relu_quantize_backward_f32(const bli_relu_quantize *r, const float *z, const float *dq, float *dz, size_t n);
/* The same as the operator of a step, for a Quantize node that reads what the Relu reads.  No node has this operator:
 * plans put it in place of the two.  Its setup leaves state NULL where they must run apart; float32 only. */
extern const bli_op bli_op_relu_quantize;
/* A dense layer as one step (dense_layer.c), for nodes whose inputs are MatMul's two and Add's bias: the Add, or the
 * Quantize behind Add and Relu.  float32 only; the latter's setup leaves state NULL where they must run apart. */
extern const bli_op bli_op_dense_bias, bli_op_dense_quantize;
/* The two, and a MaxPool of 2 x 2 windows side by side behind them, for a MaxPool node that reads what the Relu reads;
 * it finds the Quantize in front of the MaxPool in the graph. */
extern const bli_op bli_op_relu_quantize_pool;

#endif
