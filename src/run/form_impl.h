/* form_impl.h: what the files of the evaluation form share. */
#ifndef BLI_FORM_IMPL_H
#define BLI_FORM_IMPL_H

#include "op/op.h"
#include "run/form.h"

/* Codes above this stay as they are: y / scale must round to the code (op/affine.inc). */
#define BLI_FORM_MOST_CODE 0x1p21

/* value = codes / divisor * scale[c] + offset[c]; c runs along the last axis (n > 1), of a weight along `axis`. */
typedef struct bli_linear {
    int codes;              /* id in the new graph; -1: there are none */
    double divisor;         /* of a mean; 0: none.  Kept apart so that a mean that is a tie stays one */
    bool broken;            /* codes are quotients, no integers: no sums of products over them */
    int64_t n;              /* elements of scale and offset: 1, or the axis' dimension */
    double *scale, *offset; /* offset NULL: none */
    int axis;               /* weights: of the scale; -1 where n is 1 */
} bli_linear;

typedef struct bli_form {
    bl_context *ctx;
    bl_graph *from; /* inferred copy of the original */
    bl_graph *to;
    bli_arena *arena;
    int *plain;         /* per value of from: its id in to, -1: not there (yet) */
    bli_linear *linear; /* per value */
    bl_tensor *known;   /* per value: data of what needs no input; data NULL: not known */
    bli_range *ranges;  /* per value */
} bli_form;

/* The value itself in the new graph, made of codes where it is not there yet. */
BL_MUST_CHECK bl_status bli_form_plain(bli_form *f, int value, int *id);
/* The node as it stands. */
BL_MUST_CHECK bl_status bli_form_copy(bli_form *f, int node);
/* The node over other inputs (ids of the new graph); its one output is the codes of the old one's. */
BL_MUST_CHECK bl_status bli_form_over_codes(bli_form *f, int node, const int *inputs, int count, int *codes);
/* A node of our own; name is base with tail behind it where that is free. */
BL_MUST_CHECK bl_status bli_form_emit(bli_form *f, const bl_node *spec, const char *base, const char *tail, int *id);
BL_MUST_CHECK bl_status bli_form_constant(bli_form *f, const bl_tensor *t, const char *base, const char *tail, int *id);
/* A float32 vector of n numbers (n 1: of one element). */
BL_MUST_CHECK bl_status bli_form_vector(bli_form *f, const double *v, int64_t n, const char *base, const char *tail,
                                        int *id);
/* Room for n numbers, all fill; NULL when out of memory. */
double *bli_form_numbers(bli_form *f, int64_t n, double fill);

static inline double bli_divisor(const bli_linear *l)
{
    return l->divisor > 0 ? l->divisor : 1;
}
static inline const bl_value *bli_form_value(const bli_form *f, int value)
{
    return bl_graph_value(f->from, value);
}
static inline bool bli_is_linear(const bli_form *f, int value)
{
    return value >= 0 && f->linear[value].codes >= 0;
}

/* An exact value as its own codes, with a scale of one.  Its plain value stays. */
BL_MUST_CHECK bl_status bli_form_begin(bli_form *f, int value);

/* Whether no quantizer reads value: real operations, one after the other, take it to an output.  Before a quantizer a
 * sum stays exact, in float64 if it must, so that the quantizer sees no rounded one. */
bool bli_form_leaves(const bli_form *f, int value);

/* Quantizers (form_grid.c): a weight becomes a constant, with codes where its scale is real; an activation's codes. */
BL_MUST_CHECK bl_status bli_form_whole(bli_form *f, int node);
BL_MUST_CHECK bl_status bli_form_quantizer(bli_form *f, int node, bool *done);
/* Every other operator (form_rules.c, form_products.c): *done false: no rule applies, the node is to be copied. */
BL_MUST_CHECK bl_status bli_form_rule(bli_form *f, int node, bool *done);
BL_MUST_CHECK bl_status bli_form_product(bli_form *f, int node, bool *done);
/* Functions between quantizers that are no chain (form_tables.c): Softmax, quotients, and those that a sum reads. */
BL_MUST_CHECK bl_status bli_form_table(bli_form *f, int node, bool *done);

#endif
