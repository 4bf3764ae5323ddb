/* spell_quant.h: trying a spelling before it is written. */
#ifndef BLI_PASS_SPELL_QUANT_H
#define BLI_PASS_SPELL_QUANT_H

#include "pass/spell.h"

/* Builds nodes for x and returns their result, -1 if there are none. */
typedef int (*bli_spell_fn)(bli_chain *c, int x, const void *arg);

/* What the nodes of a spelling give for x; y->data is NULL when there is no spelling, else freed by the caller. */
BL_MUST_CHECK bl_status bli_spell_evaluate(bl_context *ctx, const bl_tensor *x, bli_spell_fn spell, const void *arg,
                                           bl_tensor *y);
/* Equal as numbers (0 is -0), NaN where NaN is. */
bool bli_spell_same(const bl_tensor *a, const bl_tensor *b);
/* Whether a spelling by one scale does what the quantizer does with it.  scale: input 1 for that scale, data NULL if
 * none. exactly: x is known to lie on a grid, so only points of the staircase itself count. */
BL_MUST_CHECK bl_status bli_spell_probe(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec,
                                        const bl_tensor *scale, const bli_spelling *s, bli_spell_fn spell, bool exactly,
                                        bool *same);

/* The quantizer itself, one group for all of x, as it treats an activation.  scale: input 1, NULL if none. */
BL_MUST_CHECK bl_status bli_spell_reference(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec,
                                            const bl_tensor *scale, const bl_tensor *x, const bl_tensor *y);

/* What a QKeras quantizer amounts to, as a proposal to be tried. */
typedef struct bli_known {
    bl_format format;
    double unit;    /* step of a code for scale 1 */
    bool own_scale; /* unit is the step: scales do not count */
    bool alpha;     /* the scale is attribute alpha, 1 when it is none */
    double slope;   /* above 0: not a staircase of x but of a piecewise linear sigmoid (bli_spell_squash) */
    int low_code;   /* 1: without its least code */
} bli_known;
/* What bli_spell_squash gets; spelling stands first, for the probe (its step is that of the stairs along x). */
typedef struct bli_squash {
    bli_spelling spelling;
    bli_known known;
} bli_squash;
/* False for a quantizer that is none of QKeras' or has no such form. */
bool bli_spell_known(const bl_node *n, const char *quantizer, bli_known *k);
int bli_spell_squash(bli_chain *c, int x, const void *arg);

/* Blocks that share a scale (mx formats) along axis of a value of this shape. */
typedef struct bli_blocks {
    bl_format format;
    bl_shape shape; /* dim[0] may be the batch */
    int axis;       /* 0 or above */
} bli_blocks;
/* The nodes for x (arg: bli_blocks), -1 when the elements or the shape have no words (*why then says so). */
int bli_spell_blocks(bli_chain *c, int x, const bli_blocks *b, const char **why);
/* Whether they do what the quantizer does, on values of every size. */
BL_MUST_CHECK bl_status bli_spell_probe_blocks(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec,
                                               const bli_blocks *b, bool *same);

/* x as shape, whose dim[0] is that of x; list names the constant. */
int bli_spell_reshape(bli_chain *c, const char *word, const char *list, int x, const bl_shape *shape);

/* Any quantizer that is a staircase of few steps, as a table found by trying. */
typedef struct bli_stairs {
    bl_shape shape; /* of x */
    int count;
    float *divisor, *if_reached, *if_not; /* spell_stairs.c */
} bli_stairs;
/* s->count is 0 when it is no such staircase. */
BL_MUST_CHECK bl_status bli_spell_find_stairs(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec,
                                              const bl_tensor *scale, const bl_shape *shape, bli_arena *arena,
                                              bli_stairs *s);
int bli_spell_stairs(bli_chain *c, int x, const void *arg);

/* Before channels_first, while ranges can be inferred: notes in metadata which Quantize nodes read values on a grid on
 * which adding half a step is exact. */
BL_MUST_CHECK bl_status bli_spell_mark(bl_graph *g);
#define BLI_SPELL_MARK "bitlathe.mark."

/* The node's own description for metadata, with the hash; *text is freed with bl_text_free. */
BL_MUST_CHECK bl_status bli_spell_describe(const bl_graph *g, const bl_node *n, uint64_t hash, char **text);

#endif
