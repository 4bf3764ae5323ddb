/* impl.h: what the files of the lowering share. */
#ifndef BLI_LOWER_IMPL_H
#define BLI_LOWER_IMPL_H

#include "op/lower.h"
#include "run/plan.h"

/* A graph input on its way to its quantizer: y = x * scale + offset, elements moved as index says. */
typedef struct bli_entering {
    int input; /* -1: this value is none */
    double scale, offset;
    bool scaled, shifted;
    bl_shape shape; /* of the graph input's row */
    int64_t *index; /* of each element, NULL: in order */
} bli_entering;

/* What is known of a value of the graph. */
typedef struct bli_state {
    bli_lowered at; /* at.wire -1 and entering.input -1: a constant */
    bli_entering entering;
    bool coded; /* a quantized input with a real scale: at.wire has the codes that Codes will give */
} bli_state;

typedef struct bli_lowering {
    bl_context *ctx;
    bli_arena *arena;
    bli_builder *b;
    bl_graph *g; /* in evaluation form, a trailing Softmax cut */
    bl_dtype real;
    bli_range *ranges;    /* per value */
    double *accumulators; /* per node */
    bli_state *values;    /* per value */
    bl_tensor *known;     /* per value: constants */
    bool *done;           /* per node: lowered with the node before */
    bool *entered;        /* per graph input: it has its quantizer */
    const char *cut;
} bli_lowering;

/* formats.c: refuses formats without integers, of weights too, whose quantizers evaluation form computes away. */
BL_MUST_CHECK bl_status bli_lower_formats(bl_context *ctx, const bl_graph *g);

/* chain.c: one more link on x; *out NULL with a message in the context when it cannot be. */
BL_MUST_CHECK bl_status bli_chain_append(bli_lowering *l, const bl_node *n, int slot, const bli_lowered *x,
                                         bli_chain **out);

/* probe.c: a chain as a function of codes. */
typedef struct bli_probe bli_probe;
/* row: the shape that constants broadcast to (the wire may be flat). */
BL_MUST_CHECK bl_status bli_probe_create(bli_lowering *l, const bli_chain *chain, int wire, const bl_shape *row,
                                         bli_probe **out);
void bli_probe_destroy(bli_probe *p);
/* y[r][group] = chain(codes[r][group] * 2^exp), for rows of all groups. */
BL_MUST_CHECK bl_status bli_probe_run(bli_probe *p, const int64_t *codes, double *y, int64_t rows);

/* realise.c: the wire whose codes are the chain's values on the grid 2^exp. */
BL_MUST_CHECK bl_status bli_realise(bli_lowering *l, bli_lower_call *c, const bli_lowered *x, int exp, int *wire);

/* ends.c */
BL_MUST_CHECK bl_status bli_lower_inputs(bli_lowering *l);
/* A node over an entering input: *done when it was one of the few that may stand there. */
BL_MUST_CHECK bl_status bli_lower_entering(bli_lowering *l, int node, bool *done);
BL_MUST_CHECK bl_status bli_lower_outputs(bli_lowering *l);

#endif
