/* run.c: a program over rows of a tensor, by the executor, with every wire's values by name if asked.
 *
 * The traced wires come out of an executor that keeps them all; their codes become real numbers in place.
 */
#include <math.h>

#include "bitlathe/exec.h"
#include "bitlathe/lower.h"
#include "program/program.h"
#include "run/layout.h"

typedef struct job {
    bl_context *ctx;
    bli_arena *arena;
    const bl_program *p;
    const bl_tensor *x;
    bl_executor *e;
    const float *rows_in; /* x as float32 */
    bl_tensor *y;
    int64_t **kept; /* per wire: all rows, or NULL */
    int64_t rows;
    size_t in, out; /* elements of a row */
} job;

static bl_status check_rows(job *j)
{
    const bl_program *p = j->p;
    const bl_tensor *x = j->x;
    if (p->num_inputs != 1 || p->num_outputs != 1)
        return bli_fail(j->ctx, BL_UNSUPPORTED,
                        "a program to run must have one input and one output, this has %d and %d", p->num_inputs,
                        p->num_outputs);
    const bli_wire *in = &p->wires[p->inputs[0].wire];
    j->in = (size_t)in->count;
    j->out = (size_t)p->wires[p->outputs[0].wire].count;
    j->rows = x->shape.rank > 0 ? x->shape.dim[0] : 0;
    char want[128], got[128];
    bl_shape_print(&in->shape, want, sizeof want);
    bl_shape_print(&x->shape, got, sizeof got);
    return x->shape.rank > 0 && bl_shape_count(&x->shape) == j->rows * in->count
               ? BL_OK
               : bli_fail(j->ctx, BL_BAD_VALUE, "input '%s' has rows of shape %s, the data has %s", p->inputs[0].name,
                          want, got);
}

static bl_status take_input(job *j)
{
    const size_t n = (size_t)j->rows * j->in;
    j->rows_in = j->x->data;
    if (j->x->type == BL_F32)
        return BL_OK;
    float *rows = bli_arena_array(j->arena, n, sizeof *rows);
    if (rows == NULL)
        return BL_NO_MEMORY;
    bli_convert(BL_F32, rows, j->x->type, j->x->data, n);
    j->rows_in = rows;
    return BL_OK;
}

static bl_status make_result(job *j)
{
    const bl_shape *row = &j->p->wires[j->p->outputs[0].wire].shape;
    bl_shape shape = {1, {j->rows}};
    for (int d = 0; d < row->rank && shape.rank < BL_MAX_RANK; d++)
        shape.dim[shape.rank++] = row->dim[d];
    return bl_tensor_create(j->ctx, BL_F32, &shape, j->y);
}

static bl_status run(job *j)
{
    const size_t n = (size_t)j->rows * j->out;
    void *to = j->y->data;
    if (!j->p->outputs[0].wide)
        return bl_executor_run(j->e, &j->rows_in, j->rows, &to);
    if ((to = bli_arena_array(j->arena, n, sizeof(double))) == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(bl_executor_run(j->e, &j->rows_in, j->rows, &to));
    bli_convert(BL_F32, j->y->data, BL_F64, to, n);
    return BL_OK;
}

static bl_status trace(job *j)
{
    j->kept = bli_arena_array(j->arena, (size_t)j->p->num_wires, sizeof *j->kept);
    if (j->kept == NULL)
        return BL_NO_MEMORY;
    for (int w = 0; w < j->p->num_wires; w++)
        if (!(j->kept[w] = bli_arena_array(j->arena, (size_t)(j->rows * j->p->wires[w].count), sizeof **j->kept)))
            return BL_NO_MEMORY;
    return bl_executor_trace(j->e, &j->rows_in, j->rows, j->kept);
}

static bl_status hand_out(const job *j, bl_wire_fn fn, void *user)
{
    for (int w = 0; w < j->p->num_wires; w++) {
        const bli_wire *wire = &j->p->wires[w];
        double *values = bli_alloc_array(j->ctx, (size_t)(j->rows * wire->count), sizeof *values);
        if (values == NULL)
            return BL_NO_MEMORY;
        bl_tensor t = {BL_F64, {1, {j->rows}}, values};
        for (int d = 0; d < wire->shape.rank && t.shape.rank < BL_MAX_RANK; d++)
            t.shape.dim[t.shape.rank++] = wire->shape.dim[d];
        for (int64_t i = 0; i < j->rows * wire->count; i++)
            values[i] = ldexp((double)j->kept[w][i], wire->exp);
        const bl_status s = fn(user, wire->name, &t);
        bli_free(j->ctx, values);
        BLI_TRY(s);
    }
    return BL_OK;
}

static bl_status run_in(job *j, bl_wire_fn fn, void *user)
{
    const bl_executor_options o = {.trace = fn != NULL};
    BLI_TRY(check_rows(j));
    BLI_TRY(take_input(j));
    BLI_TRY(make_result(j));
    BLI_TRY(bl_executor_create(j->ctx, j->p, &o, &j->e));
    BLI_TRY(run(j));
    if (fn == NULL)
        return BL_OK;
    BLI_TRY(trace(j));
    return hand_out(j, fn, user);
}

bl_status bl_program_trace(bl_context *ctx, const bl_program *p, const bl_tensor *x, bl_wire_fn fn, void *user,
                           bl_tensor *y)
{
    job j = {.ctx = ctx, .p = p, .x = x, .y = y};
    *y = (bl_tensor){.data = NULL};
    BLI_TRY(bli_arena_create(ctx, &j.arena));
    const bl_status s = run_in(&j, fn, user);
    bl_executor_destroy(j.e);
    bli_arena_destroy(j.arena);
    if (s != BL_OK)
        bl_tensor_free(ctx, y);
    return s;
}

bl_status bl_program_run(bl_context *ctx, const bl_program *p, const bl_tensor *x, bl_tensor *y)
{
    return bl_program_trace(ctx, p, x, NULL, NULL, y);
}
