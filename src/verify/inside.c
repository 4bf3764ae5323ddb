/* inside.c: the paths within the library: the graph in evaluation mode and the executors. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bitlathe/exec.h"
#include "bitlathe/lower.h"
#include "bitlathe/run.h"
#include "verify/impl.h"

/* ---- graph --------------------------------------------------------------------------------------------------------
 */
/* The interpreter's codes as the numbers that the graph must give. */
static bl_status compare_outputs(bli_verify *v, const char *name, const bl_tensor *y)
{
    const bli_program *p = v->program;
    int wire = p->outputs[0].wire;
    int64_t size = p->wires[wire].count, rows = v->vectors.samples;
    double *expected = bli_alloc_array(v->ctx, (size_t)size + 1, sizeof *expected);
    bl_status s = expected ? BL_OK : BL_NO_MEMORY;
    if (s == BL_OK && bl_shape_count(&y->shape) != rows * size)
        s = bli_fail(v->ctx, BL_MISMATCH, "%s: the output has another shape than wire '%s'", name, p->wires[wire].name);
    for (int64_t r = 0; r < rows && s == BL_OK; r++) {
        const int64_t *codes = v->vectors.outputs[0] + r * size;
        bli_program_decode(p, 0, codes, expected);
        for (int64_t e = 0; e < size && s == BL_OK; e++) {
            double found =
                y->type == BL_F32 ? (double)((float *)y->data)[r * size + e] : ((double *)y->data)[r * size + e];
            if (memcmp(&found, &expected[e], sizeof found) != 0 && found != expected[e])
                s = bli_fail(v->ctx, BL_MISMATCH,
                             "%s: sample %" PRId64 ": wire '%s' (layer '%s') element %" PRId64
                             ": expected %.17g, found %.17g",
                             name, r, p->wires[wire].name, p->wires[wire].layer, e, expected[e], found);
        }
    }
    bli_free(v->ctx, expected);
    return s;
}

/* A tail that lowering cut (a softmax behind the logits) is no part of the program's output. */
bl_status bli_verify_graph(bli_verify *v, const char *name)
{
    bl_runner *runner;
    bl_tensor y = {.data = NULL};
    if (v->program->outputs[0].cut)
        return bli_fail(v->ctx, BL_UNSUPPORTED, "%s stands behind the program's output: compare without it",
                        v->program->outputs[0].cut);
    if (v->program->num_inputs != 1)
        return bli_fail(v->ctx, BL_UNSUPPORTED, "graphs run on one input; this one has %d", v->program->num_inputs);
    BLI_TRY(bl_runner_create(v->ctx, v->graph, 256, &runner));
    bl_status s = bl_runner_run(runner, &v->x[0], &y);
    if (s == BL_OK)
        s = compare_outputs(v, name, &y);
    bl_tensor_free(v->ctx, &y);
    bl_runner_destroy(runner);
    return s;
}

/* ---- executors ----------------------------------------------------------------------------------------------------
 */
static bl_status run_chunks(bli_verify *v, const char *name, bl_executor *e, int64_t **codes)
{
    const int64_t **x = bli_arena_array(v->arena, (size_t)v->program->num_inputs + 1, sizeof *x);
    if (!x)
        return BL_NO_MEMORY;
    for (int first = 0; first < v->vectors.samples; first += BLI_VERIFY_CHUNK) {
        int left = v->vectors.samples - first, count = left < BLI_VERIFY_CHUNK ? left : BLI_VERIFY_CHUNK;
        bli_verify_inputs(v, first, x);
        BLI_TRY(bl_executor_trace_codes(e, x, count, codes));
        BLI_TRY(bli_verify_interpret(v, first, count));
        BLI_TRY(bli_verify_wires(v, name, first, count, codes));
    }
    return BL_OK;
}

/* Without a trace, where kernels join what the trace keeps apart: outputs only. */
static bl_status run_outputs(bli_verify *v, const char *name, const bl_executor_options *o)
{
    const bli_program *p = v->program;
    bl_executor *e;
    int64_t **y = bli_arena_array(v->arena, (size_t)p->num_outputs + 1, sizeof *y);
    for (int i = 0; y && i < p->num_outputs; i++) {
        size_t size = (size_t)v->vectors.samples * (size_t)p->wires[p->outputs[i].wire].count;
        y[i] = bli_arena_array(v->arena, size + 1, sizeof **y);
        if (!y[i])
            return BL_NO_MEMORY;
    }
    if (!y)
        return BL_NO_MEMORY;
    BLI_TRY(bl_executor_create(v->ctx, p, o, &e));
    bl_status s = bl_executor_run_codes(e, (const int64_t *const *)v->vectors.inputs, v->vectors.samples, y);
    bl_executor_destroy(e);
    for (int i = 0; i < p->num_outputs && s == BL_OK; i++) {
        int64_t size = p->wires[p->outputs[i].wire].count;
        for (int64_t k = 0; k < v->vectors.samples * size && s == BL_OK; k++)
            if (y[i][k] != v->vectors.outputs[i][k])
                s = bli_verify_differs(v, name, k / size, p->outputs[i].wire, k % size, v->vectors.outputs[i][k],
                                       y[i][k]);
    }
    return s;
}

bl_status bli_verify_executor(bli_verify *v, const char *name)
{
    const bli_program *p = v->program;
    bl_executor_options o = {.isa = strchr(name, ' ') + 1, .trace = true};
    bl_executor *e;
    int64_t **codes = bli_arena_array(v->arena, (size_t)p->num_wires + 1, sizeof *codes);
    for (int w = 0; codes && w < p->num_wires; w++)
        if (!(codes[w] = bli_arena_array(v->arena, (size_t)p->wires[w].count * BLI_VERIFY_CHUNK + 1, sizeof **codes)))
            return BL_NO_MEMORY;
    if (!codes)
        return BL_NO_MEMORY;
    BLI_TRY(bl_executor_create(v->ctx, p, &o, &e));
    bl_status s = run_chunks(v, name, e, codes);
    bl_executor_destroy(e);
    o.trace = false;
    return s == BL_OK ? run_outputs(v, name, &o) : s;
}
