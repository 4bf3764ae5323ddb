/* samples.c: what goes in, and what the interpreter says must come out. */
#include <inttypes.h>
#include <string.h>

#include "verify/impl.h"

/* ---- rows ---------------------------------------------------------------------------------------------------------
 */
/* Real numbers that the input's quantizer brings to the codes: exact or not, the codes that count are encoded again. */
static bl_status fill_rows(bli_verify *v, const bli_vectors *made, int input, float *x)
{
    const bli_input *in = &v->program->inputs[input];
    int64_t count = made->samples * v->program->wires[in->wire].count;
    double *values = bli_arena_array(v->arena, (size_t)count + 1, sizeof *values);
    if (!values)
        return BL_NO_MEMORY;
    BLI_TRY(bl_decode(v->ctx, &in->format, &in->grid, made->inputs[input], values, (size_t)count));
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((values[i] - in->offset) / in->scale);
    return BL_OK;
}

static bl_status make_rows(bli_verify *v, const bli_vectors *made, int input)
{
    const bl_tensor *real = v->options.rows;
    const bli_wire *w = &v->program->wires[v->program->inputs[input].wire];
    bl_shape shape = {.rank = w->shape.rank + 1};
    int64_t extra = real ? real->shape.dim[0] : 0;
    memcpy(shape.dim + 1, w->shape.dim, (size_t)w->shape.rank * sizeof *shape.dim);
    shape.dim[0] = made->samples + extra;
    if (real && v->program->num_inputs != 1)
        return bli_fail(v->ctx, BL_UNSUPPORTED, "rows: they are for one input, and the model has %d",
                        v->program->num_inputs);
    if (real && (real->type != BL_F32 || bl_shape_count(&real->shape) != extra * w->count))
        return bli_fail(v->ctx, BL_BAD_VALUE, "rows: expected float32 in the model's input shape");
    if (shape.dim[0] > 1000000)
        return bli_fail(v->ctx, BL_LIMIT, "%" PRId64 " samples (at most 1000000)", shape.dim[0]);
    BLI_TRY(bl_tensor_create(v->ctx, BL_F32, &shape, &v->x[input]));
    float *x = v->x[input].data;
    BLI_TRY(fill_rows(v, made, input, x));
    if (extra * w->count > 0)
        memcpy(x + made->samples * w->count, real->data, (size_t)(extra * w->count) * sizeof(float));
    v->vectors.samples = (int)shape.dim[0];
    return BL_OK;
}

/* ---- codes --------------------------------------------------------------------------------------------------------
 */
static bl_status room_for(bli_verify *v, int count, const int *wires, int64_t samples, int64_t **out)
{
    for (int i = 0; i < count; i++) {
        size_t size;
        if (!bli_mul_size((size_t)samples, (size_t)v->program->wires[wires[i]].count, &size))
            return bli_fail(v->ctx, BL_LIMIT, "%" PRId64 " samples", samples);
        if (!(out[i] = bli_arena_array(v->arena, size + 1, sizeof **out)))
            return BL_NO_MEMORY;
    }
    return BL_OK;
}

static bl_status make_room(bli_verify *v)
{
    const bli_program *p = v->program;
    const size_t most = (size_t)p->num_wires + (size_t)p->num_inputs + (size_t)p->num_outputs + 1;
    int *wires = bli_arena_array(v->arena, most, sizeof *wires);
    v->wires = bli_arena_array(v->arena, (size_t)p->num_wires + 1, sizeof *v->wires);
    v->reached = bli_arena_array(v->arena, (size_t)p->num_wires + 1, sizeof *v->reached);
    v->vectors.inputs = bli_arena_array(v->arena, (size_t)p->num_inputs + 1, sizeof *v->vectors.inputs);
    v->vectors.outputs = bli_arena_array(v->arena, (size_t)p->num_outputs + 1, sizeof *v->vectors.outputs);
    if (!wires || !v->wires || !v->reached || !v->vectors.inputs || !v->vectors.outputs)
        return BL_NO_MEMORY;
    for (int w = 0; w < p->num_wires; w++)
        wires[w] = w;
    BLI_TRY(room_for(v, p->num_wires, wires, BLI_VERIFY_CHUNK, v->wires));
    for (int i = 0; i < p->num_inputs; i++)
        wires[i] = p->inputs[i].wire;
    BLI_TRY(room_for(v, p->num_inputs, wires, v->vectors.samples, v->vectors.inputs));
    for (int i = 0; i < p->num_outputs; i++)
        wires[i] = p->outputs[i].wire;
    return room_for(v, p->num_outputs, wires, v->vectors.samples, v->vectors.outputs);
}

void bli_verify_inputs(const bli_verify *v, int first, const int64_t **x)
{
    for (int i = 0; i < v->program->num_inputs; i++)
        x[i] = v->vectors.inputs[i] + first * v->program->wires[v->program->inputs[i].wire].count;
}

bl_status bli_verify_interpret(bli_verify *v, int first, int count)
{
    const bli_program *p = v->program;
    int64_t **row = bli_alloc_array(v->ctx, (size_t)p->num_wires + 1, sizeof *row);
    const int64_t **codes = bli_alloc_array(v->ctx, (size_t)p->num_inputs + 1, sizeof *codes);
    bl_status s = row && codes ? BL_OK : BL_NO_MEMORY;
    for (int k = 0; k < count && s == BL_OK; k++) {
        bli_verify_inputs(v, first + k, codes);
        for (int w = 0; w < p->num_wires; w++)
            row[w] = v->wires[w] + k * p->wires[w].count;
        s = bli_interrupted(v->ctx) ? bli_fail(v->ctx, BL_INTERRUPTED, "stopped")
                                    : bli_program_interpret(p, codes, row);
    }
    bli_free(v->ctx, row);
    bli_free(v->ctx, codes);
    return s;
}

static bl_status interpret_all(bli_verify *v)
{
    const bli_program *p = v->program;
    for (int first = 0; first < v->vectors.samples; first += BLI_VERIFY_CHUNK) {
        int left = v->vectors.samples - first, count = left < BLI_VERIFY_CHUNK ? left : BLI_VERIFY_CHUNK;
        BLI_TRY(bli_verify_interpret(v, first, count));
        bli_verify_reached(v, count);
        for (int i = 0; i < p->num_outputs; i++) {
            int64_t size = p->wires[p->outputs[i].wire].count;
            if (size > 0)
                memcpy(v->vectors.outputs[i] + first * size, v->wires[p->outputs[i].wire],
                       (size_t)(count * size) * sizeof(int64_t));
        }
    }
    return BL_OK;
}

/* Corners and random samples, then those that drive wires to their ends. */
static bl_status make_samples(bli_verify *v, bli_vectors *made)
{
    const int drives = bli_verify_drives(v->program, v->options.samples);
    BLI_TRY(bli_vectors_create(v->program, v->options.samples + drives, v->options.seed, made));
    bl_status s = bli_verify_drive(v, made, v->options.samples, drives);
    for (int i = 0; i < v->program->num_inputs && s == BL_OK; i++)
        s = make_rows(v, made, i);
    return s;
}

bl_status bli_verify_samples(bli_verify *v)
{
    const bli_program *p = v->program;
    bli_vectors made;
    v->x = bli_arena_array(v->arena, (size_t)p->num_inputs + 1, sizeof *v->x);
    if (!v->x)
        return BL_NO_MEMORY;
    bl_status s = make_samples(v, &made);
    bli_vectors_free(&made);
    BLI_TRY(s);
    BLI_TRY(make_room(v));
    for (int i = 0; i < p->num_inputs; i++) {
        const int64_t count = p->wires[p->inputs[i].wire].count;
        for (int k = 0; k < v->vectors.samples; k++)
            BLI_TRY(
                bli_program_encode(p, i, (const float *)v->x[i].data + k * count, v->vectors.inputs[i] + k * count));
    }
    return interpret_all(v);
}

/* ---- differences --------------------------------------------------------------------------------------------------
 */
bl_status bli_verify_differs(bli_verify *v, const char *path, int64_t sample, int wire, int64_t element,
                             int64_t expected, int64_t found)
{
    const bli_wire *w = &v->program->wires[wire];
    return bli_fail(v->ctx, BL_MISMATCH,
                    "%s: sample %" PRId64 ": wire '%s' (layer '%s') element %" PRId64 ": expected %" PRId64
                    ", found %" PRId64,
                    path, sample, w->name, w->layer ? w->layer : "", element, expected, found);
}

bl_status bli_verify_wires(bli_verify *v, const char *path, int first, int count, int64_t *const *codes)
{
    for (int k = 0; k < count; k++)
        for (int w = 0; w < v->program->num_wires; w++) {
            int64_t size = v->program->wires[w].count;
            for (int64_t e = k * size; e < (k + 1) * size; e++)
                if (codes[w][e] != v->wires[w][e])
                    return bli_verify_differs(v, path, first + k, w, e - k * size, v->wires[w][e], codes[w][e]);
        }
    return BL_OK;
}
