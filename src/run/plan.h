/* plan.h: a graph made ready to run on slices of a batch.
 *
 * Every value is one of
 *   - whole:   constants, parameters, states and what is computed from them alone (quantized weights): the plan owns a
 *              copy in the carrier type; "whole" nodes run once a step;
 *   - batched: rows x elements.  Its storage is *global* (all rows of the batch, one buffer) or *local* (the rows of
 * one slice, in a thread's own arena, so that a slice passes through the network without leaving the cache). Views
 * share the storage of their root.  Values between nodes that run as one step (a Relu, its Quantize, a MaxPool) have
 * no storage, unless all values are to be kept.  Storages that are never alive together share bytes: lifetimes are
 * intervals of a time line that the owner of the plan lays out (forward steps, loss, backward steps).
 *
 * Building: bli_plan_create analyses; the owner may lengthen lifetimes, add storages and mark them global; then
 * bli_plan_layout fixes offsets and allocates.
 */
#ifndef BLI_PLAN_H
#define BLI_PLAN_H

#include "base/team.h"
#include "op/op.h"

typedef struct bli_storage {
    size_t row_bytes;
    int first, last; /* time of first write and last use, inclusive */
    bool global;
    size_t offset; /* after layout */
} bli_storage;

typedef struct bli_pvalue {
    bool batched;
    bool needs_grad; /* a parameter is upstream */
    int root;        /* the value whose bytes these are (itself unless a view) */
    int storage;     /* of the root, batched values; -1 otherwise */
    size_t elements; /* of a row when batched, else of the whole */
    bl_dtype type;   /* the carrier for floating values */
    bl_shape shape;  /* dim[0] is set per slice when batched */
    void *data;      /* whole values */
} bli_pvalue;

typedef struct bli_pstep {
    int node;
    const bl_node *run; /* that node as it is run: of a fused pair with the inputs of its first node */
    const bli_op *op;
    bool view;
    int saved;           /* storage of what forward leaves for backward, -1 if none */
    size_t reduce_count; /* doubles of whole-batch statistics, 0 if none */
    void *prep;          /* made once a step from whole inputs */
    size_t prep_size;
    const void *state;     /* op->setup's, for the life of the plan */
    const int *wide_steps; /* see bli_call; NULL where float64 holds every sum */
} bli_pstep;

/* How a node runs whose predecessors are fused into it and have no step; run NULL: as itself. */
typedef struct bli_fusion {
    const bl_node *run;
    const bli_op *op;
    bool inside; /* between the first and the last of a fusion: no step of its own */
} bli_fusion;

typedef struct bli_plan_options {
    bool training;
    int64_t rows; /* most rows of one batch */
    int slices;   /* a batch is cut into so many */
    int threads;
    bool all_global; /* keep every batched value whole and apart (tracing) */
    bool apart;      /* gradients of products and sums are looked at: dense layers do not run as one step */
} bli_plan_options;

typedef struct bli_plan {
    bl_context *ctx;
    bl_graph *graph; /* own copy, inferred */
    bli_plan_options opt;
    bl_dtype real; /* carrier */
    bli_isa isa;
    bli_arena *arena;
    int num_values, num_whole_steps, num_steps, num_storages, max_storages;
    bli_pvalue *values;
    bli_fusion *fused;      /* per node */
    bli_pstep *whole_steps; /* in order */
    bli_pstep *steps;       /* batched, in order */
    bli_storage *storages;
    size_t local_bytes, global_bytes, scratch_bytes;
    char *global;       /* all rows */
    char **locals;      /* per thread */
    char **scratch;     /* per thread */
    bli_call **calls;   /* per thread: a call of each batched step, made at layout and moved from slice to slice */
    int64_t slice_rows; /* most rows of one slice */
} bli_plan;

/* The graph is copied.  real: BL_F32 or BL_F64 (see bli_choose_carrier). */
BL_MUST_CHECK bl_status bli_plan_create(bl_context *ctx, const bl_graph *g, bl_dtype real, const bli_plan_options *o,
                                        bli_plan **out);
void bli_plan_destroy(bli_plan *p); /* NULL is fine */
/* A further storage (gradients, temporaries), alive from first to last.  -1 when out of memory (message set). */
int bli_plan_add_storage(bli_plan *p, size_t row_bytes, int first, int last, bool global);
/* Offsets, arenas, scratch (for forward, and for backward when training). */
BL_MUST_CHECK bl_status bli_plan_layout(bli_plan *p);

/* Slice s of n rows is rows [first, first + count). */
void bli_plan_slice(const bli_plan *p, int64_t n, int s, int64_t *first, int64_t *count);

/* Where one slice is being computed. */
typedef struct bli_place {
    int thread;
    int64_t first_row, rows; /* in the batch */
    int64_t batch_rows;      /* of the whole batch */
    int64_t row_base;        /* index of the batch's first row in the global numbering of random draws */
    bool training;
    uint64_t seed, step;
} bli_place;

/* Start of storage st's rows for this place. */
char *bli_plan_rows(const bli_plan *p, int st, const bli_place *at);
/* Value v as a tensor: the slice's rows, or the whole; id -1 gives an absent tensor. */
bl_tensor bli_plan_tensor(const bli_plan *p, int v, const bli_place *at);
/* A call of step s with in[] and out[] filled. */
void bli_plan_call(const bli_plan *p, const bli_pstep *s, const bli_place *at, bli_call *c);

/* The same for a call that bli_plan_call made of s on this thread: only what changes from slice to slice. */
void bli_plan_move_call(const bli_plan *p, const bli_pstep *s, const bli_place *at, bli_call *c);
/* A call of each batched step, by thread.  NULL when out of memory (message set). */
bli_call **bli_plan_make_calls(const bli_plan *p);

/* Forward of the whole nodes, then prep of all steps: once a training step, or once for a fixed model. */
BL_MUST_CHECK bl_status bli_plan_forward_whole(bli_plan *p, const bli_place *at);
BL_MUST_CHECK bl_status bli_plan_forward_whole_step(bli_plan *p, int i, const bli_place *at);
BL_MUST_CHECK bl_status bli_plan_prepare(bli_plan *p, int step, const bli_place *at);
/* Forward of batched step i on one slice. */
BL_MUST_CHECK bl_status bli_plan_forward(const bli_plan *p, int i, const bli_place *at, const double *reduced);

/* Ranges of all values (ranges[num_values]) from constants and formats, and each node's accumulator in steps
 * (accumulators[num_nodes], 0 where it has none or nothing is known). */
BL_MUST_CHECK bl_status bli_infer_ranges(bl_context *ctx, const bl_graph *g, bli_range *ranges, double *accumulators);
/* One constant's, and one node's outputs' where its inputs' are known. */
bli_range bli_constant_range(const bl_value *v);
BL_MUST_CHECK bl_status bli_infer_node_ranges(bl_context *ctx, const bl_graph *g, const bl_node *n, bli_range *ranges,
                                              double *accumulator);
/* In a float64 plan for evaluation: wide_steps of the steps that need them. */
BL_MUST_CHECK bl_status bli_plan_find_wide(bli_plan *p);
/* Whether float32 holds every value of a Quantize node's format, however far its steps reach (minifloats). */
bool bli_narrow_format(bl_context *ctx, const bl_node *n);
/* The carrier that holds every sum and every format exactly (float32 unless proof says otherwise). */
BL_MUST_CHECK bl_status bli_choose_carrier(bl_context *ctx, const bl_graph *g, bl_dtype *real);
/* The same for training, where weights move: float64 only when a format has values that float32 cannot hold. */
BL_MUST_CHECK bl_status bli_training_carrier(bl_context *ctx, const bl_graph *g, bl_dtype *real);

#endif
