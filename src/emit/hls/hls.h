/* hls.h: pieces of the HLS backend. */
#ifndef BLI_EMIT_HLS_H
#define BLI_EMIT_HLS_H

#include "emit/body.h"

typedef enum bli_strategy { BLI_LATENCY, BLI_RESOURCE, BLI_DA } bli_strategy;

/* A wire that stands for itself (no RESHAPE) as an array or a stream of the project. */
typedef struct bli_node {
    const char *type; /* typedef of one element (parallel) or one beat (stream) */
    const char *name; /* array or stream that its producer writes; a port, where that is the only reader */
    int64_t beat;     /* stream: elements of one beat, the last dimension */
    int num_sinks;    /* stream: who reads it, in the order of readers */
    const char **sinks;
    int next_sink; /* while calls are written */
    bool local;    /* name is a variable of the top function */
} bli_node;

typedef struct bli_hls {
    const bli_emit_job *job;
    const bli_program *p;
    bli_arena *arena;
    bli_strategy strategy;
    bool stream;
    bli_groups groups;
    bli_body body;
    bli_node *nodes;     /* per wire; of roots only */
    const char **x, **y; /* ports */
    bli_text code;       /* functions of <name>.cpp */
    bli_text weights;    /* the table in writing */
    bli_text parameters, defines;
    bool no_da;       /* the group in writing has no adder graph */
    bl_status failed; /* of a file of weights */
} bli_hls;

/* The wire whose elements wire has. */
static inline const bli_wire *bli_hls_root(const bli_hls *h, int wire)
{
    return &h->p->wires[h->groups.root[wire]];
}
static inline bool bli_hls_is_const(const bli_hls *h, int wire)
{
    return h->p->ops[bli_hls_root(h, wire)->producer].kind == BLI_PRIM_CONST;
}

/* nodes.c: names and types of arrays and streams; typedefs go to h->defines. */
BL_MUST_CHECK bl_status bli_hls_nodes(bli_hls *h);

/* mac.c: sums of products by strategy. */
/* One row: sums over `taps` (an array of the input's elements, in the order of a window) through the group's tail into
 * y[offset + c]. */
void bli_hls_core(bli_hls *h, const bli_group *g, const char *taps, const char *offset);
/* Writes what the core needs in front of the function: the adder graph of strategy da. */
void bli_hls_core_functions(bli_hls *h, const bli_group *g);
bool bli_hls_is_mac(const bli_group *g);
void bli_hls_da(bli_hls *h, const bli_group *g, const char *name); /* da.c */

/* parallel.c, stream.c: functions of the groups, and the body of the top function. */
void bli_hls_array_body(bli_hls *h, const bli_group *g); /* from arrays body.in to the array y */
void bli_hls_parallel_group(bli_hls *h, const bli_group *g);
void bli_hls_parallel_top(bli_hls *h);
void bli_hls_stream_group(bli_hls *h, const bli_group *g);
void bli_hls_stream_top(bli_hls *h);

/* bench.c, scripts.c: the files beside the firmware. */
BL_MUST_CHECK bl_status bli_hls_bench(bli_hls *h);
BL_MUST_CHECK bl_status bli_hls_scripts(bli_hls *h);
extern const char bli_hls_ops_header[], bli_hls_stream_header[]; /* ops.c: headers of the firmware */

#endif
