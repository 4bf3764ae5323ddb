/* evaluate_program.c: an exact program over a data set.  Losses are added in the order of evaluate.c, so that equal
 * outputs give equal scores to the last bit. */
#include <string.h>

#include "bitlathe/exec.h"
#include "train/trainer.h"

enum { BLOCK_ROWS = 2048, SLICES = 32, SLICE_ROWS = BLOCK_ROWS / SLICES };

typedef struct evaluation {
    bl_context *ctx;
    const bl_program *p;
    const bl_dataset *data;
    const bli_loss *loss;
    bool classes;
    size_t in, width;
    bl_executor *executor;
    float *x, *y, *targets, *scratch;
    double *wide; /* y of a program that gives float64 */
    int32_t *labels;
    bl_scores *out;
} evaluation;

static bl_status check(evaluation *e)
{
    bl_port_info in, out;
    bl_wire_info x, y;
    if (bl_program_input_count(e->p) != 1 || bl_program_output_count(e->p) != 1 || !bl_program_input(e->p, 0, &in) ||
        !bl_program_output(e->p, 0, &out) || !bl_program_wire(e->p, in.wire, &x) ||
        !bl_program_wire(e->p, out.wire, &y))
        return bli_fail(e->ctx, BL_UNSUPPORTED, "a program to evaluate must have one input and one output");
    e->in = (size_t)bl_shape_count(&x.shape);
    e->width = (size_t)bl_shape_count(&y.shape);
    e->classes = bl_dataset_classes(e->data) > 0;
    const int64_t row = bl_shape_count(bl_dataset_row_shape(e->data));
    const size_t want = (size_t)(e->classes ? bl_dataset_classes(e->data) : bl_dataset_targets(e->data));
    if (row != (int64_t)e->in)
        return bli_fail(e->ctx, BL_BAD_MODEL, "input '%s' has %zu elements, a row of the data %lld", in.name, e->in,
                        (long long)row);
    if (e->classes ? e->width < want : e->width != want)
        return bli_fail(e->ctx, BL_BAD_MODEL, "the program gives %zu numbers a row, the data has %zu %s", e->width,
                        want, e->classes ? "classes" : "targets");
    if (out.cut && !e->loss->logits)
        return bli_fail(e->ctx, BL_UNSUPPORTED, "the program ends before %s, which loss %s needs", out.cut,
                        e->loss->name);
    if (e->loss->classes && !e->classes)
        return bli_fail(e->ctx, BL_BAD_MODEL, "loss %s needs classes, the data has real targets", e->loss->name);
    return BL_OK;
}

static bl_status make_room(evaluation *e, bli_arena *arena)
{
    e->x = bli_arena_array(arena, BLOCK_ROWS * (e->in + 1), sizeof *e->x);
    bl_port_info out;
    e->y = bli_arena_array(arena, BLOCK_ROWS * (e->width + 1), sizeof *e->y);
    e->wide = bl_program_output(e->p, 0, &out) && out.type == BL_F64
                  ? bli_arena_array(arena, BLOCK_ROWS * (e->width + 1), sizeof *e->wide)
                  : NULL;
    e->targets = bli_arena_array(arena, BLOCK_ROWS * (e->width + 1), sizeof *e->targets);
    e->scratch = bli_arena_array(arena, SLICE_ROWS * (5 * e->width + 1), sizeof *e->scratch);
    e->labels = bli_arena_array(arena, BLOCK_ROWS, sizeof *e->labels);
    const bool wide = out.type != BL_F64 || e->wide;
    return e->x && e->y && wide && e->targets && e->scratch && e->labels ? BL_OK : BL_NO_MEMORY;
}

static void score(evaluation *e, const float *y, int64_t rows)
{
    for (int s = 0; s < SLICES; s++) {
        const int64_t first = rows * s / SLICES, n = rows * (s + 1) / SLICES - first;
        if (n == 0)
            continue;
        const float *at = y + (size_t)first * e->width;
        const bli_loss_call c = {.kernels = bli_train_kernels_for(bli_cpu_isa()),
                                 .rows = (size_t)n,
                                 .width = e->width,
                                 .y = at,
                                 .labels = e->classes ? e->labels + first : NULL,
                                 .targets = e->classes ? NULL : e->targets + (size_t)first * e->width,
                                 .scratch = e->scratch};
        e->out->loss += e->loss->run(&c);
        e->out->correct += e->classes ? bli_count_correct(at, c.labels, (size_t)n, e->width) : 0;
    }
}

static bl_status run(evaluation *e)
{
    uint32_t rows[BLOCK_ROWS];
    for (int64_t first = 0; first < e->out->rows; first += BLOCK_ROWS) {
        const int64_t left = e->out->rows - first, n = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        for (int64_t i = 0; i < n; i++)
            rows[i] = (uint32_t)(first + i);
        BLI_TRY(bl_dataset_read(e->data, rows, (size_t)n, e->x, e->classes ? e->labels : NULL,
                                e->classes ? NULL : e->targets));
        const float *x = e->x;
        void *y = e->wide ? (void *)e->wide : (void *)e->y;
        BLI_TRY(bl_executor_run(e->executor, &x, n, &y));
        for (size_t i = 0; e->wide && i < (size_t)n * e->width; i++)
            e->y[i] = (float)e->wide[i];
        score(e, e->y, n);
    }
    return BL_OK;
}

bl_status bl_evaluate_program(bl_context *ctx, const bl_program *p, const bl_dataset *data, const char *loss,
                              bl_scores *out)
{
    bli_arena *arena;
    *out = (bl_scores){.rows = bl_dataset_rows(data)};
    evaluation e = {.ctx = ctx, .p = p, .data = data, .out = out};
    BLI_TRY(bli_loss_get(ctx, loss, &e.loss));
    BLI_TRY(check(&e));
    BLI_TRY(bli_arena_create(ctx, &arena));
    bl_status s = make_room(&e, arena);
    if (s == BL_OK)
        s = bl_executor_create(ctx, p, NULL, &e.executor);
    if (s == BL_OK)
        s = run(&e);
    bl_executor_destroy(e.executor);
    bli_arena_destroy(arena);
    if (s == BL_OK && out->rows > 0) {
        out->loss /= (double)out->rows;
        out->accuracy = (double)out->correct / (double)out->rows;
    }
    return s;
}
