/* run.c: a program over rows, by the interpreter: inputs quantized, codes through every op, outputs as real numbers.
 *
 * Rows are independent, so members of the team take them in turn; what a member computes depends on the row only.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/team.h"
#include "bitlathe/lower.h"
#include "op/infer.h"
#include "program/program.h"
#include "run/layout.h"

typedef struct job {
    const bl_program *p;
    const bl_tensor *x;
    bl_tensor *y;
    double **kept; /* per wire: all rows, or NULL */
    int64_t rows;
    size_t in, out;   /* elements of a row */
    int64_t ***wires; /* per member and wire */
    float **row;      /* per member */
    double **result;  /* per member */
    atomic_llong next;
    _Atomic bl_status status;
} job;

static bl_status run_row(job *j, int64_t r, int member)
{
    const bl_program *p = j->p;
    int64_t **wires = j->wires[member];
    bli_convert(BL_F32, j->row[member], j->x->type,
                (const char *)j->x->data + (size_t)r * j->in * bl_dtype_size(j->x->type), j->in);
    int64_t *codes = wires[p->inputs[0].wire];
    BLI_TRY(bli_program_encode(p, 0, j->row[member], codes));
    const int64_t *first = codes;
    BLI_TRY(bli_program_interpret(p, &first, wires));
    bli_program_decode(p, 0, wires[p->outputs[0].wire], j->result[member]);
    bli_convert(j->y->type, (char *)j->y->data + (size_t)r * j->out * bl_dtype_size(j->y->type), BL_F64,
                j->result[member], j->out);
    for (int w = 0; j->kept && w < p->num_wires; w++)
        for (int64_t i = 0; i < p->wires[w].count; i++)
            j->kept[w][r * p->wires[w].count + i] = ldexp((double)wires[w][i], p->wires[w].exp);
    return BL_OK;
}

static void run_member(void *arg, int member, int members)
{
    job *j = arg;
    (void)members;
    for (;;) {
        const long long r = atomic_fetch_add(&j->next, 1);
        if (r >= j->rows || atomic_load(&j->status) != BL_OK)
            return;
        const bl_status s = run_row(j, r, member);
        if (s != BL_OK)
            atomic_store(&j->status, s);
    }
}

static bl_status make_rooms(bli_arena *arena, int threads, job *j)
{
    const bl_program *p = j->p;
    j->wires = bli_arena_array(arena, (size_t)threads, sizeof *j->wires);
    j->row = bli_arena_array(arena, (size_t)threads, sizeof *j->row);
    j->result = bli_arena_array(arena, (size_t)threads, sizeof *j->result);
    if (!j->wires || !j->row || !j->result)
        return BL_NO_MEMORY;
    for (int t = 0; t < threads; t++) {
        j->wires[t] = bli_arena_array(arena, (size_t)p->num_wires + 1, sizeof **j->wires);
        j->row[t] = bli_arena_array(arena, j->in + 1, sizeof **j->row);
        j->result[t] = bli_arena_array(arena, j->out + 1, sizeof **j->result);
        if (!j->wires[t] || !j->row[t] || !j->result[t])
            return BL_NO_MEMORY;
        for (int w = 0; w < p->num_wires; w++)
            if (!(j->wires[t][w] = bli_arena_array(arena, (size_t)p->wires[w].count + 1, sizeof(int64_t))))
                return BL_NO_MEMORY;
    }
    return BL_OK;
}

static bl_status check_rows(bl_context *ctx, const bl_program *p, const bl_tensor *x, job *j)
{
    if (p->num_inputs != 1 || p->num_outputs != 1)
        return bli_fail(ctx, BL_UNSUPPORTED, "a program to run must have one input and one output, this has %d and %d",
                        p->num_inputs, p->num_outputs);
    const bli_wire *in = &p->wires[p->inputs[0].wire];
    j->in = (size_t)in->count;
    j->out = (size_t)p->wires[p->outputs[0].wire].count;
    j->rows = x->shape.rank > 0 ? x->shape.dim[0] : 0;
    char want[128], got[128];
    bl_shape_print(&in->shape, want, sizeof want);
    bl_shape_print(&x->shape, got, sizeof got);
    return x->shape.rank > 0 && bl_shape_count(&x->shape) == j->rows * in->count
               ? BL_OK
               : bli_fail(ctx, BL_BAD_VALUE, "input '%s' has rows of shape %s, the data has %s", p->inputs[0].name,
                          want, got);
}

static bl_status run(bl_context *ctx, bli_arena *arena, job *j)
{
    const bl_program *p = j->p;
    const int threads = bl_context_threads(ctx);
    bl_shape shape = {1, {j->rows}};
    const bl_shape *row = &p->wires[p->outputs[0].wire].shape;
    bli_team *team = NULL;
    for (int d = 0; d < row->rank && shape.rank < BL_MAX_RANK; d++)
        shape.dim[shape.rank++] = row->dim[d];
    BLI_TRY(make_rooms(arena, threads, j));
    BLI_TRY(bl_tensor_create(ctx, BL_F32, &shape, j->y));
    BLI_TRY(bli_team_create(ctx, threads, &team));
    bli_team_run(team, run_member, j);
    bli_team_destroy(team);
    return atomic_load(&j->status);
}

static bl_status hand_out(const job *j, bl_wire_fn fn, void *user)
{
    for (int w = 0; w < j->p->num_wires; w++) {
        const bli_wire *wire = &j->p->wires[w];
        bl_tensor t = {BL_F64, {1, {j->rows}}, j->kept[w]};
        for (int d = 0; d < wire->shape.rank && t.shape.rank < BL_MAX_RANK; d++)
            t.shape.dim[t.shape.rank++] = wire->shape.dim[d];
        BLI_TRY(fn(user, wire->name, &t));
    }
    return BL_OK;
}

static bl_status run_in(bl_context *ctx, bli_arena *arena, job *j, bl_wire_fn fn, void *user)
{
    BLI_TRY(check_rows(ctx, j->p, j->x, j));
    if (fn && !(j->kept = bli_arena_array(arena, (size_t)j->p->num_wires + 1, sizeof *j->kept)))
        return BL_NO_MEMORY;
    for (int w = 0; fn && w < j->p->num_wires; w++)
        if (!(j->kept[w] = bli_arena_array(arena, (size_t)(j->rows * j->p->wires[w].count) + 1, sizeof(double))))
            return BL_NO_MEMORY;
    BLI_TRY(run(ctx, arena, j));
    return fn ? hand_out(j, fn, user) : BL_OK;
}

bl_status bl_program_trace(bl_context *ctx, const bl_program *p, const bl_tensor *x, bl_wire_fn fn, void *user,
                           bl_tensor *y)
{
    bli_arena *arena;
    *y = (bl_tensor){.data = NULL};
    BLI_TRY(bli_arena_create(ctx, &arena));
    job j = {.p = p, .x = x, .y = y};
    const bl_status s = run_in(ctx, arena, &j, fn, user);
    bli_arena_destroy(arena);
    if (s != BL_OK)
        bl_tensor_free(ctx, y);
    return s;
}

bl_status bl_program_run(bl_context *ctx, const bl_program *p, const bl_tensor *x, bl_tensor *y)
{
    return bl_program_trace(ctx, p, x, NULL, NULL, y);
}
