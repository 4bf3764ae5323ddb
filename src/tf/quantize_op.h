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

/* What quantizers have in common. */
BL_MUST_CHECK bl_status bli_tg_set_mode(bli_tf_store *s, bli_tf_node *n, int dtype); /* T, MIN_FIRST */
BL_MUST_CHECK bl_status bli_tg_add_requantize(bli_tf_graph *out, const char *name, const char *const *inputs);

#endif
