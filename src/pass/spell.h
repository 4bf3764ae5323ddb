/* spell.h: what writing and finding quantizers share. */
#ifndef BLI_PASS_SPELL_H
#define BLI_PASS_SPELL_H

#include "op/quantizer.h"

/* Metadata key of a spelled node: this and the node's name.  Its value is a graph in text form that has the node
 * itself, its scale and widths, and the hash of what stands for it. */
#define BLI_SPELL_KEY  "bitlathe.quantize."
#define BLI_SPELL_HASH "hash"

/* ---- a chain of nodes built beside another; the first failure sticks and later calls return -1 ---------------- */
typedef struct bli_chain {
    bl_graph *g;
    const char *base; /* names are base/word */
    int anchor;       /* node to stand beside, -1 none */
    bl_shape shape;   /* of every result */
    bl_status status;
} bli_chain;
int bli_chain_tensor(bli_chain *c, const char *word, const bl_shape *shape, const float *data);
int bli_chain_number(bli_chain *c, const char *word, double value);
int bli_chain_ints(bli_chain *c, const char *word, const int64_t *list, int count);
/* Any node with one output of c->shape; -1 after a failure. */
int bli_chain_add(bli_chain *c, const bl_node *spec, const char *word);
/* b, d: -1 where absent. */
int bli_chain_node(bli_chain *c, const char *word, const char *type, int a, int b, int d);
int bli_chain_quant(bli_chain *c, const char *type, const int *inputs, int count, const bl_attr *attrs, int num_attrs);

/* ---- what a Quantize node does, once its scales are known ------------------------------------------------------ */
typedef struct bli_spelling {
    bl_format format;      /* of the codes */
    bl_shape shape;        /* of step, broadcast to x */
    const float *step;     /* scale times the format's unit */
    int64_t steps;         /* how many */
    double gain;           /* 0, or what results are multiplied by, last */
    double zero;           /* zero point */
    const bl_tensor *bits; /* NULL, or a width per element of its shape (then the format's does not count) */
    bool near_ties_exact;  /* x is known to lie on a grid on which adding half a step is exact */
} bli_spelling;

/* The nodes for x; the value that has the result, -1 when there is no exact spelling (c->status stays BL_OK and *why
 * says what is missing). */
int bli_spell_activation(bli_chain *c, int x, const bli_spelling *s, const char **why);
/* t rounded to whole numbers in ONNX's words, exact for |t| below half of what the type's integers reach. */
int bli_spell_rounded(bli_chain *c, int t, bl_rounding q);
/* One QONNX node for values that lie in the format already; -1 if none can say it. */
int bli_spell_weight(bli_chain *c, int x, const bli_spelling *s);

/* The hash of the nodes between x and y: operators, attributes and constants, not names. */
uint64_t bli_spell_hash(const bl_graph *g, int x, int y);

#endif
