/* quantize_op.h: one float node as an eight-bit one between a quantizer a side. */
#ifndef BLI_TF_QUANTIZE_OP_H
#define BLI_TF_QUANTIZE_OP_H

#include "tf/opdef.h"
#include "tf/session.h"
#include "tf/transform.h"

/* How a float operator is done with bytes. */
typedef struct bli_tg_eight {
    const char *op;     /* the eight-bit one is "Quantized" and this */
    const char *copied; /* attributes, with spaces between */
    const char *bytes;  /* attributes that are set to quint8 */
    const char *wide;   /* attribute that is set to qint32; NULL: the result is quint8 */
    unsigned raw;       /* inputs that stay as they are, by bits */
} bli_tg_eight;

/* Who reads the outputs of each node. */
typedef struct bli_tg_readers {
    size_t *count; /* inputs that do, control inputs too; a requested output is one more */
    size_t *last;  /* a node that does */
    bool *others;  /* whether outputs but the first are read */
} bli_tg_readers;

typedef struct bli_tg_quantizer {
    const bli_tg_job *job;
    bool has_fallback, per_channel;
    bool keeps_ranges; /* of weights that are packed with one for each channel */
    float fallback_min, fallback_max;
    const bli_tf_graph *g; /* whose nodes are quantized */
    bli_tf_index ix;
    bli_tf_shapes shapes; /* out NULL: not known */
    bli_tg_readers readers;
} bli_tg_quantizer;

extern const char bli_tg_more_eight_ops[]; /* with those that the original leaves float */
extern const char bli_tg_eight_ops[];      /* their names, with '|' between */
/* Adds to out what stands for n: n itself where it is no float operator of the table, or one that eight bits would
 * change. */
BL_MUST_CHECK bl_status bli_tg_quantize_node(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out);

/* ---- what is known of the graph (quantize_known.c) ----------------------------------------------------------------
 */

/* Shapes and readers of q->g; a graph whose shapes contradict each other has none. */
BL_MUST_CHECK bl_status bli_tg_know(bli_tg_quantizer *q, bli_arena *arena);
const bli_tf_node *bli_tg_node_of(const bli_tg_quantizer *q, const char *input);    /* NULL: there is none */
const bl_shape *bli_tg_some_shape_of(const bli_tg_quantizer *q, const char *input); /* NULL: not even the rank */
const bl_shape *bli_tg_shape_of(const bli_tg_quantizer *q, const char *input);      /* NULL: not known in full */
/* The one node that reads n, and nothing but its first output; NULL: none, several, or n is a requested output. */
const bli_tf_node *bli_tg_only_reader(const bli_tg_quantizer *q, const bli_tf_node *n);
bool bli_tg_only_first_read(const bli_tg_quantizer *q, const bli_tf_node *n);
/* Whether QuantizedAdd and QuantizedMul know shapes like those of n's inputs: scalars, equal ones, and a vector along
 * the last dimension; unknown ones are taken to be such. */
bool bli_tg_sum_fits(const bli_tg_quantizer *q, const bli_tf_node *n);
bool bli_tg_is_ignored(const bli_tg_quantizer *q, const bli_tf_node *n);

/* ---- what constructions of eight bits share (quantize_op.c) -------------------------------------------------------
 */

/* A node's inputs as bytes. */
typedef struct bli_tg_bytes {
    size_t count;
    const char **names; /* as the eight-bit operator reads them: codes, or a raw input */
    const char **minima, **maxima;
    size_t ranges;
} bli_tg_bytes;
/* Whether all of a node's inputs, but for the raw ones, and outputs are floats. */
BL_MUST_CHECK bl_status bli_tg_all_float(const bli_tg_quantizer *q, const bli_tf_node *n, unsigned raw, bool *yes);
/* Quantizers of n's data inputs, but for the raw ones. */
BL_MUST_CHECK bl_status bli_tg_quantize_inputs(const bli_tg_quantizer *q, const bli_tf_node *n, unsigned raw,
                                               bli_tg_bytes *in, bli_tf_graph *out);
/* From 32 bits to 8: *from becomes the node that has the bytes. */
BL_MUST_CHECK bl_status bli_tg_narrow(const bli_tg_quantizer *q, const char **from, const char *const wide[3],
                                      bli_tf_graph *out);
/* The Dequantize that has n's name. */
BL_MUST_CHECK bl_status bli_tg_end(const bli_tf_node *n, const char *const codes[3], bli_tf_graph *out);
/* Names of a node's first three outputs. */
BL_MUST_CHECK bl_status bli_tg_ports(bli_tf_store *s, const char *name, const char *at[3]);
/* An operator with an eight-bit kernel whose result has 32 bits, up to these: names of the codes and their range.
 * *done: whether n is such a one, and may be; out NULL: only asked. */
BL_MUST_CHECK bl_status bli_tg_kernel_products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                               const char *wide[3], bool *done);

/* ---- convolutions that QuantizedConv2D does not know (quantize_conv.c) ----------------------------------------------
 */

typedef struct bli_tg_conv_way {
    bool plain; /* it does */
    int64_t stride, pads[2][2], block[2], crop[2], step[2];
} bli_tg_conv_way;
/* *yes: there is a way to do Conv2D n. */
BL_MUST_CHECK bl_status bli_tg_conv_find(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tg_conv_way *way,
                                         bool *yes);
/* What comes before it, which in's first input then is; *kernel: n with the attributes that QuantizedConv2D gets. */
BL_MUST_CHECK bl_status bli_tg_conv_front(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_conv_way *way,
                                          bli_tg_bytes *in, const bli_tf_node **kernel, bli_tf_graph *out);
/* What comes behind: *sums becomes the 32 bits that n's are. */
BL_MUST_CHECK bl_status bli_tg_conv_back(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_conv_way *way,
                                         const char **sums, bli_tf_graph *out);

/* ---- operators without an eight-bit one of their own (quantize_more.c) --------------------------------------------
 */

/* Adds to out what stands for n, and says whether it did. */
BL_MUST_CHECK bl_status bli_tg_quantize_more(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                             bool *done);
/* As bli_tg_kernel_products. */
BL_MUST_CHECK bl_status bli_tg_more_products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                             const char *wide[3], bool *done);
/* n's input 1, a vector, added to sums of 32 bits; the result as n's bytes. */
BL_MUST_CHECK bl_status bli_tg_add_offset(const bli_tg_quantizer *q, const bli_tf_node *n, const char *const wide[3],
                                          bli_tf_graph *out);

/* ---- weights with a range for each channel (quantize_channels.c) --------------------------------------------------
 */

/* As bli_tg_kernel_products; none unless q->per_channel, or q->keeps_ranges and the weights have such ranges. */
BL_MUST_CHECK bl_status bli_tg_channel_products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                                const char *wide[3], bool *done);

/* ---- sums behind products (quantize_sum.c) ------------------------------------------------------------------------
 */

/* Where n is a convolution or a matrix product whose only reader adds a vector, nothing is added for it; where n is
 * that reader, what stands for both is.  *done: whether n was one of them, or a product whose weights have a range for
 * each channel. */
BL_MUST_CHECK bl_status bli_tg_quantize_sum(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                            bool *done);

/* ---- channels first (quantize_nchw.c) -----------------------------------------------------------------------------
 */

/* q->g with pictures whose channels come last, as far as eight-bit operators are concerned. */
BL_MUST_CHECK bl_status bli_tg_channels_last(bli_tg_quantizer *q, bli_tf_graph *out);

/* What quantizers have in common. */
BL_MUST_CHECK bl_status bli_tg_set_mode(bli_tf_store *s, bli_tf_node *n, int dtype); /* T, MIN_FIRST */
BL_MUST_CHECK bl_status bli_tg_add_requantize(bli_tf_graph *out, const char *name, const char *const *inputs);

#endif
