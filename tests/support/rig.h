/* rig.h: one operator, run the way the engine runs it: planned from a graph, cut into slices, statistics reduced,
 * gradients of parameters added up.
 *
 * A case is a line of text: operator, domain (onnx, last, own, qonnx), inputs, attributes.
 *     x[N,4,6]  batched input in -1 .. 1         u[N,4]  the same in 0.5 .. 1.5
 *     p[6]      parameter in -1 .. 1             q[6]    parameter in 0.5 .. 1.5
 *     s[6]      state in 0.5 .. 1.5              i{-1,24}  constant of int64       f{0.5}  constant number
 *     -         absent input                     y       one more output
 *     axis:1  alpha~0.5  pads=1,1,0,0  mode@edge   attributes: integer, float, integers, string
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "support/test.h"

#include "op/op.h"

typedef struct rig_input {
    bl_role role;
    bool present, real, batched;
    double least, greatest;
    bl_tensor t, grad;
} rig_input;

typedef struct rig {
    bl_context *ctx;
    bl_graph *g;
    bli_arena *arena;
    const bli_op *op;
    const bl_node *node;
    const void *state;
    void *prep;
    bl_dtype carrier;
    bli_isa isa;
    int64_t rows;
    bool training;
    uint64_t seed, step;
    int num_in, num_out;
    rig_input in[BLI_MAX_IN];
    bl_tensor out[BLI_MAX_OUT], grad_out[BLI_MAX_OUT];
    bool out_batched;
    double *reduced;
} rig;

/* Fails as the graph's inference fails.  Real tensors are filled from seed; grad_out too. */
bl_status rig_open(bl_context *ctx, const char *text, bl_dtype carrier, int64_t rows, uint64_t seed, rig *r);
void rig_close(rig *r);
/* Rows are cut into slices of nearly equal size (some empty when there are more slices than rows). */
void rig_forward(rig *r, int slices);
void rig_backward(rig *r, int slices);
void rig_update_state(rig *r); /* after rig_forward in training */
/* Uniform in [least, greatest), a pure function of its arguments. */
double rig_random(uint64_t seed, uint64_t index, double least, double greatest);
double rig_get(const bl_tensor *t, size_t i);
void rig_set(bl_tensor *t, size_t i, double v);

#endif
