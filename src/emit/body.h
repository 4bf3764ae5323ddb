/* body.h: what the C and HLS backends share: ops as loops and expressions in a language of the C family.
 *
 * A group is one emitted function: a head, and the elementwise ops behind it that nothing else reads, applied to each
 * element before it is stored.  A value is held in a variable v0, v1 ... of a type that its range fits: int32_t or
 * int64_t in C, ap_int or ap_uint of the exact width in HLS.  Where a C expression could leave int64_t on the way to a
 * result that fits, it is computed in uint64_t, whose wrapping is defined.
 */
#ifndef BLI_EMIT_BODY_H
#define BLI_EMIT_BODY_H

#include "emit/emit.h"

__extension__ typedef __int128 bli_big;

/* ---- ranges and types (types.c) -------------------------------------------------------------------------------- */
typedef struct bli_reach {
    bli_big low, high;
} bli_reach;
bli_reach bli_reach_wire(const bli_wire *w);
bli_reach bli_reach_values(const int64_t *values, int64_t count);
bli_reach bli_reach_join(bli_reach a, bli_reach b);
bli_reach bli_reach_add(bli_reach a, bli_reach b);
bli_reach bli_reach_mul(bli_reach a, bli_reach b);
bli_reach bli_reach_shift(bli_reach a, int64_t shift); /* a * 2^shift */
/* All partial sums of weight[m, ..] x + bias[m], x anywhere in x. */
bli_reach bli_reach_sums(bli_reach x, const int64_t *weight, const int64_t *bias, int64_t rows, int64_t terms,
                         int64_t row_step, int64_t term_step);
int bli_reach_bits(bli_reach r); /* of two's complement (low < 0) or a plain number; at least 1 */

enum { BLI_TYPE_ROOM = 40 };
/* The narrowest type of C that stores r; of computing: int32_t, int64_t, uint64_t (computed modulo 2^64). */
const char *bli_type_stored(bli_reach r);
const char *bli_type_computed(bli_reach r);
int bli_type_size(bli_reach r);                                   /* bytes of bli_type_stored: 1, 2, 4, 8 */
const char *bli_type_exact(bli_reach r, char buf[BLI_TYPE_ROOM]); /* ap_int<W> or ap_uint<W> */

/* ---- groups (groups.c) ----------------------------------------------------------------------------------------- */
typedef struct bli_group {
    const char *name; /* of its function */
    int num_ops;
    const bli_prim_op **ops; /* the head first; INPUT, CONST and RESHAPE are in no group */
    const bli_wire *out;
    int num_in;
    int in[BLI_PRIM_MAX_IN]; /* wires the head reads */
} bli_group;
typedef struct bli_groups {
    int count;
    bli_group *at; /* in an order in which they can run */
    int *root;     /* per wire: the wire whose elements it is, RESHAPE being none of its own */
} bli_groups;
/* One function per layer, named after it, where the layer's ops make one; names are taken from names. */
BL_MUST_CHECK bl_status bli_groups_make(bli_arena *arena, const bli_program *p, bli_names *names, bli_groups *out);
/* A comment's text: what the group does, over which shapes.  Into buf. */
void bli_group_describe(const bli_program *p, const bli_group *g, char *buf, size_t size);

/* ---- one function's body (element.c, heads.c, window.c) --------------------------------------------------------- */
typedef enum bli_helper {
    BLI_HELPER_TO_SIGNED,
    BLI_HELPER_FLOOR32,
    BLI_HELPER_FLOOR64,
    BLI_HELPER_WRAP32,
    BLI_HELPER_WRAP64,
    BLI_HELPER_WRAP_SM32,
    BLI_HELPER_WRAP_SM64,
    BLI_HELPER_PACKED,
    BLI_HELPER_ROUND /* + 2 * bl_rounding, + 1 for 64 bits */
} bli_helper;
enum { BLI_HELPER_COUNT = BLI_HELPER_ROUND + 2 * BL_ROUNDING_COUNT };

typedef struct bli_body {
    bl_context *ctx;
    bli_arena *arena;
    const bli_program *p;
    bli_names *names;
    bool hls;
    const char *work_pragma; /* HLS: stands in the loop over a result's elements; NULL: none */
    bli_text *code;          /* functions */
    bli_text *data;          /* constant tables */
    void (*table)(struct bli_body *b, const char *name, const int64_t *values, int64_t count); /* writes one to data */
    void *owner;                                                                               /* of table() */
    bool packs;       /* C: weights of few bits through helper PACKED */
    uint64_t helpers; /* bit per bli_helper in use */
    /* while a group is written */
    const bli_group *group;
    char in[BLI_PRIM_MAX_IN][BLI_NAME_LONGEST + 1]; /* expressions of the arrays that its head reads */
    bool in_const[BLI_PRIM_MAX_IN];
    int var;            /* the value is v<var> */
    bli_reach range;    /* of it, as far as its type goes */
    const char *stores; /* the array of results */
    int64_t rows;       /* HLS stream: elementwise heads work on so many rows; 0: all */
} bli_body;

/* "int" or "int32_t": of loop variables. */
const char *bli_body_int(const bli_body *b);
void bli_body_loop(bli_body *b, const char *var, int64_t count);
void bli_body_work_loop(bli_body *b, const char *var, int64_t count);
void bli_body_end(bli_body *b, int loops);
/* The type of a value of range r. */
const char *bli_body_type(bli_body *b, bli_reach r, char buf[BLI_TYPE_ROOM]);
/* "(int64_t)" where an operand must be widened to compute in range r; "" in HLS, whose operators widen. */
const char *bli_body_cast(const bli_body *b, bli_reach r);
/* The same for what stands beside a widened operand: only arithmetic modulo 2^64 needs it. */
const char *bli_body_cast_more(const bli_body *b, bli_reach r);
/* Declares the next v as the expression, computed in range `computed`, whose value lies in `value`. */
void bli_body_value(bli_body *b, bli_reach computed, bli_reach value, const char *fmt, ...) BL_PRINTF(4, 5);
/* A number that depends on the channel: a literal where all are equal, else table[c].  Into buf. */
enum { BLI_EXPR_ROOM = 160 };
const char *bli_body_param(bli_body *b, const bli_prim_op *op, const char *what, const int64_t *values, int64_t count,
                           char buf[BLI_EXPR_ROOM]);
const char *bli_body_number(const bli_body *b, int64_t v, char buf[BLI_TYPE_ROOM]);
/* Writes a table called <wire>_<what> and gives its name. */
const char *bli_body_table(bli_body *b, const bli_prim_op *op, const char *what, const int64_t *values, int64_t count);
/* Writes a table of weights, packed where the backend packs; element i is open, i, close. */
typedef struct bli_weights {
    char open[BLI_NAME_LONGEST + 16], close[64];
} bli_weights;
bli_weights bli_body_weights(bli_body *b, const bli_prim_op *op, const int64_t *values, int64_t count);
/* Whether the ops behind the head (with_head: the head too) need the channel, as variable c. */
bool bli_body_needs_channel(const bli_group *g, bool with_head);
/* Applies one elementwise op to the value. */
void bli_body_apply(bli_body *b, const bli_prim_op *op);
bool bli_is_elementwise(bli_prim kind);
/* The ops behind the head, then the store into element `index`. */
void bli_body_finish(bli_body *b, const char *index_fmt, ...) BL_PRINTF(2, 3);
/* The whole group by plain loops over arrays.  In HLS, CONV and DENSE are the backend's own. */
void bli_body_group(bli_body *b);
void bli_body_pool(bli_body *b);
void bli_body_conv(bli_body *b);

/* The geometry of a window over a wire. */
typedef struct bli_view {
    int64_t in[2], out[2], channels;
} bli_view;
bli_view bli_view_of(const bli_program *p, const bli_prim_op *op);
/* The loops kh, kw over a window's taps that lie inside, with their place h, w; closed by bli_body_end(b, 2). */
void bli_body_taps(bli_body *b, const bli_window *w, const bli_view *v);
/* Per-row sums of DENSE and CONV with weights as [M, K]: the transposed copy for DENSE.  In the arena. */
const int64_t *bli_body_rows(bli_body *b, const bli_prim_op *op, int64_t *rows, int64_t *terms);

#endif
