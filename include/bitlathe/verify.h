/* verify.h: every path of a model against every other: graph, interpreter, executors, C, HLS C++, Verilog.
 *
 * The same samples go through all of them: corners (all least, all greatest, zero, least and greatest in turn), random
 * ones, some that drive each wire towards the ends of its proven range, and real ones if given.  What counts is bits:
 * of outputs and, where a path shows them, of every wire.
 */
#ifndef BITLATHE_VERIFY_H
#define BITLATHE_VERIFY_H

#include "bitlathe/graph.h"
#include "bitlathe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Called as each path begins. */
typedef void (*bl_verify_progress_fn)(void *user, const char *path);

/* Zero and NULL stand for defaults. */
typedef struct bl_verify_options {
    int samples;           /* corners and random ones, default 64; at most so many that drive wires come on top */
    const bl_tensor *rows; /* real samples as well: float32 rows in the graph's input shape */
    uint64_t seed;
    const char *folder; /* a Verilog project that emit wrote from this model: it is simulated instead of a fresh one */
    const char *simulator; /* "verilator" (default) or "icarus" */
    const char *strategy;  /* of HLS and Verilog; default "latency" */
    const char *ap_types;  /* folder of ap_int.h for HLS; default: the environment's AP_TYPES, else where
                            * the Python wheel hls4ml is usually found */
    double seconds;        /* limit of each tool; default 600 */
    bl_verify_progress_fn progress;
    void *user;
} bl_verify_options;

enum { BL_VERIFY_PATHS = 16 };

/* What came of each path, in the order tried. */
typedef struct bl_verify_report {
    int64_t samples;
    int64_t ends, reached; /* ends of wires' proven ranges (a wire has two), and those that some sample reached */
    int num_paths;
    struct {
        char name[32];   /* "graph", "executor avx2", "c", ... */
        char skip[200];  /* why it could not be tried; "": it was, and was equal */
        int64_t samples; /* fewer than all where a simulator has a large netlist */
        double seconds;
    } path[BL_VERIFY_PATHS];
} bl_verify_report;

/* BL_MISMATCH at the first difference: path, sample, wire, layer, element, expected and found stand in the message.
 * A path whose tool is not installed, or that refuses the model, is skipped and says why.  report may be NULL; it holds
 * the paths so far when the call fails. */
BL_MUST_CHECK bl_status bl_verify(bl_context *ctx, const bl_graph *g, const bl_verify_options *options,
                                  bl_verify_report *report);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
