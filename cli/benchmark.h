/* benchmark.h: what the parts of benchmark-model share: the job, and what it found. */
#ifndef CLI_BENCHMARK_H
#define CLI_BENCHMARK_H

#include "cli.h"

enum { MOST_INPUTS = 16, MOST_LAYERS = 16, MOST_LISTS = 6 };

/* One node's share, over all runs. */
typedef struct node_time {
    char *name, *op;
    int64_t runs, nanoseconds;
    size_t bytes, place; /* of all outputs; in the order of running */
    bl_shape shape;      /* of the first output */
} node_time;

typedef struct stats {
    node_time *nodes;
    size_t count, room, next; /* next: nodes come in the same order at every run */
    bool failed;
} stats;

typedef struct shown {
    bool sizes, order, time, memory, type, summary, flops;
    long order_limit, time_limit, memory_limit; /* 0: all */
} shown;

typedef struct job {
    cli *c;
    bl_graphdef *g;
    bl_tf_session *session;
    char *text[MOST_LISTS]; /* copies of lists, cut */
    char *owned[2 * MOST_LAYERS];
    size_t num_owned;
    bl_npz_entry in[MOST_INPUTS];
    size_t num_in;
    const char *out[2 * MOST_LAYERS];
    size_t num_out;
    double inference_delay;
    shown show;
    stats stats;
} job;

/* The tables that are asked for, and the file of results. */
bl_status cli_benchmark_say(job *j);

#endif
