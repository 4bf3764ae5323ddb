/* cmvm.h: from a constant matrix to an adder graph.
 *
 * y[j] = sum over i of matrix[i * outputs + j] x[i] + constant[j].  The driver tries several ways (spanning trees over
 * columns of different depth, then sharing with different scores; docs/adder-graphs.md) and keeps the graph of the
 * lowest counted cost.  The same call gives the same graph on every machine: effort is counted in work, not in time.
 */
#ifndef BLI_CMVM_H
#define BLI_CMVM_H

#include "program/adder_graph.h"

/* x is a multiple of 2^zeros in [lo, hi].  The graph's input is x >> zeros. */
typedef struct bli_cmvm_input {
    int64_t lo, hi;
    int zeros;
} bli_cmvm_input;

typedef struct bli_cmvm_problem {
    int32_t inputs, outputs;
    const int64_t *matrix;
    const bli_cmvm_input *input;
    const int64_t *constant; /* NULL: 0 */
} bli_cmvm_problem;

typedef struct bli_cmvm_options {
    int extra_depth; /* levels allowed above the least possible depth without sharing; < 0: any depth */
    bool ternary;    /* three-input adders: one LUT6_2 a bit on Xilinx */
    int effort;      /* 0: digits only, nothing shared; 1: one way; 2: usual; 3: more ways */
    bool by_adders;  /* fewest adders, whatever their width: for software, where each is one operation */
} bli_cmvm_options;

/* BL_LIMIT when an output may pass 2^59 (before lo == hi is used); names the output.  BL_BAD_VALUE on lo > hi or zeros
 * outside of 0..62. */
BL_MUST_CHECK bl_status bli_cmvm_solve(bl_context *ctx, const bli_cmvm_problem *p, const bli_cmvm_options *o,
                                       bli_adder_graph **out);

#endif
