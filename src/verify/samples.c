/* samples.c: what goes in, and what the interpreter says must come out. */
#include <inttypes.h>
#include <string.h>

#include "verify/impl.h"

/* ---- rows ---------------------------------------------------------------------------------------------------------
 */
/* A real number that the input's quantizer brings to the code: exact or not, the code that counts is encoded again. */
static bl_status fill_rows(bli_verify *v, const bli_vectors *made, float *x)
{
    const bli_input *in = &v->program->inputs[0];
    int64_t count = made->samples * v->program->wires[in->wire].count;
    double *values = bli_arena_array(v->arena, (size_t)count + 1, sizeof *values);
    if (!values)
        return BL_NO_MEMORY;
    BLI_TRY(bl_decode(v->ctx, &in->format, &in->grid, made->inputs[0], values, (size_t)count));
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((values[i] - in->offset) / in->scale);
    return BL_OK;
}

static bl_status make_rows(bli_verify *v, const bli_vectors *made)
{
    const bl_tensor *real = v->options.rows;
    const bli_wire *w = &v->program->wires[v->program->inputs[0].wire];
    bl_shape shape = {.rank = w->shape.rank + 1};
    int64_t extra = real ? real->shape.dim[0] : 0;
    memcpy(shape.dim + 1, w->shape.dim, (size_t)w->shape.rank * sizeof *shape.dim);
    shape.dim[0] = made->samples + extra;
    if (real && (real->type != BL_F32 || bl_shape_count(&real->shape) != extra * w->count))
        return bli_fail(v->ctx, BL_BAD_VALUE, "rows: expected float32 in the model's input shape");
    if (shape.dim[0] > 1000000)
        return bli_fail(v->ctx, BL_LIMIT, "%" PRId64 " samples (at most 1000000)", shape.dim[0]);
    BLI_TRY(bl_tensor_create(v->ctx, BL_F32, &shape, &v->x));
    BLI_TRY(fill_rows(v, made, v->x.data));
    if (extra * w->count > 0)
        memcpy((float *)v->x.data + made->samples * w->count, real->data, (size_t)(extra * w->count) * sizeof(float));
    v->vectors.samples = (int)shape.dim[0];
    return BL_OK;
}

/* ---- codes --------------------------------------------------------------------------------------------------------
 */
static bl_status make_room(bli_verify *v)
{
    const bli_program *p = v->program;
    size_t samples = (size_t)v->vectors.samples;
    v->wires = bli_arena_array(v->arena, (size_t)p->num_wires + 1, sizeof *v->wires);
    v->vectors.inputs = bli_arena_array(v->arena, 2, sizeof *v->vectors.inputs);
    v->vectors.outputs = bli_arena_array(v->arena, (size_t)p->num_outputs + 1, sizeof *v->vectors.outputs);
    if (!v->wires || !v->vectors.inputs || !v->vectors.outputs)
        return BL_NO_MEMORY;
    for (int w = 0; w < p->num_wires; w++)
        if (!(v->wires[w] =
                  bli_arena_array(v->arena, (size_t)p->wires[w].count * BLI_VERIFY_CHUNK + 1, sizeof(int64_t))))
            return BL_NO_MEMORY;
    for (int i = 0; i < p->num_outputs; i++)
        if (!(v->vectors.outputs[i] =
                  bli_arena_array(v->arena, samples * (size_t)p->wires[p->outputs[i].wire].count + 1, sizeof(int64_t))))
            return BL_NO_MEMORY;
    size_t codes = samples * (size_t)p->wires[p->inputs[0].wire].count;
    v->vectors.inputs[0] = bli_arena_array(v->arena, codes + 1, sizeof(int64_t));
    return v->vectors.inputs[0] ? BL_OK : BL_NO_MEMORY;
}

bl_status bli_verify_interpret(bli_verify *v, int first, int count)
{
    const bli_program *p = v->program;
    int64_t inputs = p->wires[p->inputs[0].wire].count;
    int64_t **row = bli_alloc_array(v->ctx, (size_t)p->num_wires + 1, sizeof *row);
    bl_status s = row ? BL_OK : BL_NO_MEMORY;
    for (int k = 0; k < count && s == BL_OK; k++) {
        const int64_t *codes[] = {v->vectors.inputs[0] + (first + k) * inputs};
        for (int w = 0; w < p->num_wires; w++)
            row[w] = v->wires[w] + k * p->wires[w].count;
        s = bli_interrupted(v->ctx) ? bli_fail(v->ctx, BL_INTERRUPTED, "stopped")
                                    : bli_program_interpret(p, codes, row);
    }
    bli_free(v->ctx, row);
    return s;
}

static bl_status interpret_all(bli_verify *v)
{
    const bli_program *p = v->program;
    for (int first = 0; first < v->vectors.samples; first += BLI_VERIFY_CHUNK) {
        int left = v->vectors.samples - first, count = left < BLI_VERIFY_CHUNK ? left : BLI_VERIFY_CHUNK;
        BLI_TRY(bli_verify_interpret(v, first, count));
        for (int i = 0; i < p->num_outputs; i++) {
            int64_t size = p->wires[p->outputs[i].wire].count;
            if (size > 0)
                memcpy(v->vectors.outputs[i] + first * size, v->wires[p->outputs[i].wire],
                       (size_t)(count * size) * sizeof(int64_t));
        }
    }
    return BL_OK;
}

bl_status bli_verify_samples(bli_verify *v)
{
    const bli_program *p = v->program;
    int64_t inputs = p->wires[p->inputs[0].wire].count;
    bli_vectors made;
    BLI_TRY(bli_vectors_create(p, v->options.samples, v->options.seed, &made));
    bl_status s = make_rows(v, &made);
    bli_vectors_free(&made);
    BLI_TRY(s);
    BLI_TRY(make_room(v));
    for (int k = 0; k < v->vectors.samples; k++)
        BLI_TRY(bli_program_encode(p, 0, (const float *)v->x.data + k * inputs, v->vectors.inputs[0] + k * inputs));
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
