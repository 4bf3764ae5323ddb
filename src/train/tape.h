/* tape.h: the order of one training step, as a list of small moves over slices, cut where the whole batch must meet.
 *
 *   GATHER, FORWARD 0..F-1, LOSS, BACKWARD F-1..0 on each slice; REDUCE (batch normalisation's sums, an error's
 * greatest magnitude) ends a segment: all slices finish it, the sums are joined in a fixed tree, and the next segment
 * begins.
 *
 * The tape also owns the gradients: a storage per batched value, a buffer per whole value, and one contribution per use
 * of a whole value by a batched step (summed over slices, or computed in tiles over the whole batch).
 */
#ifndef BLI_TAPE_H
#define BLI_TAPE_H

#include "run/plan.h"

typedef enum bli_move_kind {
    BLI_MOVE_GATHER,
    BLI_MOVE_FORWARD,
    BLI_MOVE_LOSS,
    BLI_MOVE_ERROR,     /* bring the gradient of a step's output into the "error" format */
    BLI_MOVE_ERROR_MAX, /* its greatest magnitude, for a dynamic scale; ends a segment */
    BLI_MOVE_BACKWARD,
    BLI_MOVE_REDUCE,         /* forward statistics; ends a segment */
    BLI_MOVE_REDUCE_BACKWARD /* backward statistics; ends a segment */
} bli_move_kind;

typedef struct bli_move {
    bli_move_kind kind;
    int step;
    bool ends_segment;
} bli_move;

/* The gradient that one batched step gives to one whole input. */
typedef struct bli_contribution {
    int step, input, value;
    bool tiled; /* through op->weight_grad over the whole batch */
    size_t elements;
    size_t slice_offset; /* bytes into each slice's gradient block */
    void *sum;           /* carrier type; the value's own gradient when it is the first contribution */
} bli_contribution;

typedef struct bli_tape {
    bli_plan *plan;
    int num_moves, num_contributions;
    bli_move *moves;
    bli_contribution *contributions;
    int *grad_storage;      /* per value (of the root): storage or -1 */
    void **grad;            /* per value: gradient of a whole value, or NULL */
    bool *live;             /* per value: a gradient arrives */
    int *temp_storage;      /* per step * BLI_MAX_IN: where a further gradient of the same value goes first, or -1 */
    int *contribution_at;   /* per step * BLI_MAX_IN, where the input is whole and wants a gradient */
    int *pass_from;         /* per step: the step whose saved bytes its backward heeds (bli_call.pass), or -1 */
    bool *passed;           /* per step: the step after heeds what it saved */
    bool *piecewise;        /* per whole step: its gradient replaces its output's, element by element */
    void **whole_temp;      /* per whole step * BLI_MAX_IN, where a further gradient of the same value goes first */
    bli_call **calls;       /* of backward: per thread and batched step */
    bli_call **piece_calls; /* of piecewise steps: per thread and whole step */
    size_t slice_bytes;     /* of each slice's gradient block */
    char *slice_grads;      /* slices * slice_bytes */
    double *reduced;        /* per step: forward's then backward's sums, at reduced_at[step] */
    size_t *reduced_at;
    size_t reduced_count;
    double *partials; /* slices * the largest reduce_count */
    size_t partial_count;
} bli_tape;

/* The plan's first `first_step` steps are left out: their work is done by whoever gathers.  wants_error[step]: 0 no
 * error format there, 1 fixed, 2 with a dynamic scale.  Lengthens the plan's lifetimes and lays it out.  Memory is the
 * plan's. */
BL_MUST_CHECK bl_status bli_tape_create(bli_plan *p, int first_step, const char *wants_error, bli_tape *out);

/* Runs move m on one slice (all kinds but GATHER, LOSS, ERROR). */
BL_MUST_CHECK bl_status bli_tape_move(const bli_tape *t, const bli_move *m, int slice, const bli_place *at);
/* Joins the slices' partial sums of move m into reduced (a fixed tree), single-threaded. */
BL_MUST_CHECK bl_status bli_tape_join(const bli_tape *t, const bli_move *m, const bli_place *whole);
/* The same, but states (running statistics) stay as they are. */
void bli_tape_join_sums(const bli_tape *t, const bli_move *m);
/* The gradient of batched value v on this slice. */
bl_tensor bli_tape_grad(const bli_tape *t, int v, const bli_place *at);

/* Contribution c: tile part of parts, or elements [first, first + n) of the sum over `slices` slices. */
BL_MUST_CHECK bl_status bli_tape_tile(const bli_tape *t, int c, const bli_place *whole, int part, int parts);
void bli_tape_sum(const bli_tape *t, int c, size_t first, size_t n);
/* After all contributions are summed: adds second contributions, then backward of whole step i. */
void bli_tape_merge(const bli_tape *t);
BL_MUST_CHECK bl_status bli_tape_backward_whole(const bli_tape *t, int i, const bli_place *at);
/* The same, and forward, for elements [first, first + n) of a piecewise step. */
BL_MUST_CHECK bl_status bli_tape_backward_piece(const bli_tape *t, int i, const bli_place *at, size_t first, size_t n);
BL_MUST_CHECK bl_status bli_tape_forward_piece(const bli_tape *t, int i, const bli_place *at, size_t first, size_t n);

#endif
