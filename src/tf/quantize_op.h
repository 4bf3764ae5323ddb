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
    int raw;            /* the input that stays as it is; -1: none */
} bli_tg_eight;

typedef struct bli_tg_quantizer {
    const bli_tg_job *job;
    bool has_fallback;
    float fallback_min, fallback_max;
    bli_tf_shapes shapes; /* of the graph whose nodes are quantized; out NULL: not known */
    bli_tf_index ix;
} bli_tg_quantizer;

extern const char bli_tg_more_eight_ops[]; /* with those that the original leaves float */
extern const char bli_tg_eight_ops[];      /* their names, with '|' between */
/* Adds to out what stands for n: n itself where it is no float operator of the table, or one that eight bits would
 * change. */
BL_MUST_CHECK bl_status bli_tg_quantize_node(const bli_tg_quantizer *q, const bli_tf_graph *g, const bli_tf_node *n,
                                             bli_tf_graph *out);

/* ---- what constructions of eight bits share (quantize_op.c) -------------------------------------------------------
 */

/* A node's inputs as bytes. */
typedef struct bli_tg_bytes {
    size_t count;
    const char **names; /* as the eight-bit operator reads them: codes, or a raw input */
    const char **minima, **maxima;
    size_t ranges;
} bli_tg_bytes;
/* Whether all of a node's inputs, but for `raw`, and outputs are floats. */
BL_MUST_CHECK bl_status bli_tg_all_float(const bli_tf_graph *g, const bli_tf_node *n, int raw, bool *yes);
/* Quantizers of n's data inputs, but for `raw` (-1: none). */
BL_MUST_CHECK bl_status bli_tg_quantize_inputs(const bli_tg_quantizer *q, const bli_tf_node *n, int raw,
                                               bli_tg_bytes *in, bli_tf_graph *out);
/* From 32 bits to 8: *from becomes the node that has the bytes. */
BL_MUST_CHECK bl_status bli_tg_narrow(const bli_tg_quantizer *q, const char **from, const char *const wide[3],
                                      bli_tf_graph *out);
/* The Dequantize that has n's name. */
BL_MUST_CHECK bl_status bli_tg_end(const bli_tf_node *n, const char *const codes[3], bli_tf_graph *out);
/* Names of a node's first three outputs. */
BL_MUST_CHECK bl_status bli_tg_ports(bli_tf_store *s, const char *name, const char *at[3]);
/* NULL: not known in full. */
const bl_shape *bli_tg_shape_of(const bli_tg_quantizer *q, const char *input);

/* ---- operators without an eight-bit one of their own (quantize_more.c) --------------------------------------------
 */

/* Adds to out what stands for n, and says whether it did. */
BL_MUST_CHECK bl_status bli_tg_quantize_more(const bli_tg_quantizer *q, const bli_tf_graph *g, const bli_tf_node *n,
                                             bli_tf_graph *out, bool *done);

/* What quantizers have in common. */
BL_MUST_CHECK bl_status bli_tg_set_mode(bli_tf_store *s, bli_tf_node *n, int dtype); /* T, MIN_FIRST */
BL_MUST_CHECK bl_status bli_tg_add_requantize(bli_tf_graph *out, const char *name, const char *const *inputs);

#endif
