/* vectors.c: samples of codes, corners first, with the interpreter's answers. */
#include <string.h>

#include "base/random.h"
#include "emit/emit.h"

enum { CORNERS = 5 };

static int64_t nearest_to_zero(const bli_span *s)
{
    return s->low > 0 ? s->low : s->high < 0 ? s->high : 0;
}

/* Uniform over the multiples of 2^zeros in the span. */
static int64_t random_code(const bli_span *s, const bli_stream *stream, uint64_t index)
{
    uint64_t steps = ((uint64_t)s->high - (uint64_t)s->low) >> s->zeros;
    uint64_t bits = (uint64_t)bli_stream_u32(stream, 2 * index) << 32 | bli_stream_u32(stream, 2 * index + 1);
    uint64_t step = steps == UINT64_MAX ? bits : bits % (steps + 1);
    return (int64_t)((uint64_t)s->low + (step << s->zeros));
}

static int64_t code_of(const bli_span *s, int sample, int64_t element, const bli_stream *stream, uint64_t index)
{
    bool odd = element % 2 != 0;
    switch (sample) {
    case 0:
        return s->low;
    case 1:
        return s->high;
    case 2:
        return nearest_to_zero(s);
    case 3:
        return odd ? s->high : s->low;
    case 4:
        return odd ? s->low : s->high;
    default:
        return random_code(s, stream, index);
    }
}

static void fill_input(const bli_program *p, int input, int samples, uint64_t seed, int64_t *out)
{
    const bli_wire *w = &p->wires[p->inputs[input].wire];
    bli_stream stream = bli_stream_make(seed, (uint64_t)input, "emit vectors");
    for (int sample = 0; sample < samples; sample++)
        for (int64_t e = 0; e < w->count; e++) {
            bli_span span = bli_wire_span(w, e);
            int64_t at = sample * w->count + e;
            out[at] = code_of(&span, sample, e, &stream, (uint64_t)at);
            if (p->inputs[input].format.kind == BL_FORMAT_BINARY && out[at] == 0)
                out[at] = 1; /* the one code within a span that is none */
        }
}

/* Room for every wire of one sample. */
static bl_status scratch(bli_arena *arena, const bli_program *p, int64_t ***out)
{
    int64_t **wires = bli_arena_array(arena, (size_t)p->num_wires + 1, sizeof *wires);
    if (wires == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < p->num_wires; i++) {
        wires[i] = bli_arena_array(arena, (size_t)p->wires[i].count + 1, sizeof **wires);
        if (wires[i] == NULL)
            return BL_NO_MEMORY;
    }
    *out = wires;
    return BL_OK;
}

static bl_status run_sample(const bli_program *p, const bli_vectors *v, int sample, const int64_t **codes,
                            int64_t **wires)
{
    for (int i = 0; i < p->num_inputs; i++)
        codes[i] = v->inputs[i] + sample * p->wires[p->inputs[i].wire].count;
    BLI_TRY(bli_program_interpret(p, codes, wires));
    for (int i = 0; i < p->num_outputs; i++) {
        int64_t count = p->wires[p->outputs[i].wire].count;
        if (count > 0)
            memcpy(v->outputs[i] + sample * count, wires[p->outputs[i].wire], (size_t)count * sizeof(int64_t));
    }
    return BL_OK;
}

static bl_status room(bli_arena *arena, int samples, int64_t count, int64_t **out)
{
    size_t size;
    if (!bli_mul_size((size_t)samples, (size_t)count, &size))
        return bli_fail(bli_arena_context(arena), BL_LIMIT, "%d samples of %lld codes", samples, (long long)count);
    *out = bli_arena_array(arena, size + 1, sizeof **out);
    return *out == NULL ? BL_NO_MEMORY : BL_OK;
}

static bl_status make(const bli_program *p, int samples, uint64_t seed, bli_vectors *v)
{
    int64_t **wires;
    const int64_t **codes = bli_arena_array(v->arena, (size_t)p->num_inputs + 1, sizeof *codes);
    v->inputs = bli_arena_array(v->arena, (size_t)p->num_inputs + 1, sizeof *v->inputs);
    v->outputs = bli_arena_array(v->arena, (size_t)p->num_outputs + 1, sizeof *v->outputs);
    if (codes == NULL || v->inputs == NULL || v->outputs == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < p->num_inputs; i++) {
        BLI_TRY(room(v->arena, samples, p->wires[p->inputs[i].wire].count, &v->inputs[i]));
        fill_input(p, i, samples, seed, v->inputs[i]);
    }
    for (int i = 0; i < p->num_outputs; i++)
        BLI_TRY(room(v->arena, samples, p->wires[p->outputs[i].wire].count, &v->outputs[i]));
    BLI_TRY(scratch(v->arena, p, &wires));
    for (int sample = 0; sample < samples; sample++)
        BLI_TRY(run_sample(p, v, sample, codes, wires));
    return BL_OK;
}

bl_status bli_vectors_create(const bli_program *p, int samples, uint64_t seed, bli_vectors *out)
{
    *out = (bli_vectors){.samples = samples};
    BLI_TRY(bli_arena_create(p->ctx, &out->arena));
    bl_status s = make(p, samples, seed, out);
    if (s != BL_OK)
        bli_vectors_free(out);
    return s;
}

bl_status bli_vectors_of_job(const struct bli_emit_job *job, bli_vectors *out)
{
    if (job->vectors == NULL)
        return bli_vectors_create(job->program, job->options->samples, job->options->seed, out);
    *out = *job->vectors;
    out->arena = NULL; /* stays the owner's */
    return BL_OK;
}

void bli_vectors_free(bli_vectors *v)
{
    bli_arena_destroy(v->arena);
    *v = (bli_vectors){0};
}
