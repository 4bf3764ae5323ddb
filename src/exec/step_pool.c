/* step_pool.c: the greatest of each window, on bytes: rows of the window first, all columns at once, then its columns.
 */
#include <string.h>

#include "exec/exec.h"

typedef struct bli_alike {
    int64_t from, taps, positions; /* first element of the first window's row */
} bli_alike;

static void run_maxpool(const bli_step *s, const bli_run *r)
{
    const bli_exec_kernels *k = r->plan->kernels;
    const bli_window *w = &s->op->window;
    const bli_field_of_view v = {{s->image[0], s->image[1]}, {s->out_size[0], s->out_size[1]}, s->in[0]->last};
    const size_t row = (size_t)(v.in[1] * v.channels);
    uint8_t *most = (uint8_t *)r->scratch;
    for (int64_t i = 0; i < r->samples; i++) {
        const uint8_t *x = (const uint8_t *)bli_place_at(s->in[0], r, i);
        uint8_t *y = (uint8_t *)bli_place_at(s->out, r, i);
        for (int64_t h = 0; h < v.out[0]; h++) {
            const bli_taps t = bli_window_taps(w, &v, 0, h);
            memcpy(most, x + (size_t)bli_window_at(w, 0, h, t.from) * row, row);
            for (int64_t kh = t.from + 1; kh < t.to; kh++)
                k->max8(x + (size_t)bli_window_at(w, 0, h, kh) * row, (int64_t)row, most);
            for (int j = 0; j < s->num_alike; j++) {
                const bli_alike *a = &s->alike[j];
                k->taps8(most + a->from, w->dilation[1] * v.channels, a->taps, w->stride[1] * v.channels, a->positions,
                         v.channels, y);
                y += a->positions * v.channels;
            }
        }
    }
}

static bl_status find_alike(bli_exec_plan *plan, bli_step *step, const bli_field_of_view *v)
{
    const bli_window *w = &step->op->window;
    step->alike = bli_arena_array(plan->arena, (size_t)v->out[1], sizeof *step->alike);
    if (step->alike == NULL)
        return BL_NO_MEMORY;
    bli_taps before = {-1, -1, -1};
    for (int64_t o = 0; o < v->out[1]; o++) {
        const bli_taps t = bli_window_taps(w, v, 1, o);
        if (t.from != before.from || t.to != before.to)
            step->alike[step->num_alike++] =
                (bli_alike){bli_window_at(w, 1, o, t.from) * v->channels, t.to - t.from, 0};
        step->alike[step->num_alike - 1].positions++;
        before = t;
    }
    return BL_OK;
}

bl_status bli_step_pool(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op = &p->ops[i];
    *made = false;
    if (op->kind != BLI_PRIM_MAXPOOL)
        return BL_OK;
    step->in[0] = &plan->places[op->in[0]];
    step->out = &plan->places[i];
    *made = p->wires[i].count > 0 && step->in[0]->store == BLI_STORE_8 && step->out->store == BLI_STORE_8 &&
            step->in[0]->bias == step->out->bias;
    if (!*made)
        return BL_OK;
    const bli_field_of_view v = bli_window_view(&op->window, &p->wires[op->in[0]].shape);
    for (int a = 0; a < 2; a++) {
        step->image[a] = v.in[a];
        step->out_size[a] = v.out[a];
    }
    BLI_TRY(find_alike(plan, step, &v));
    step->run = run_maxpool;
    *last = i;
    const size_t need = (size_t)(v.in[1] * v.channels) + BLI_SLACK;
    plan->scratch_bytes = need > plan->scratch_bytes ? need : plan->scratch_bytes;
    plan->cost += (double)p->wires[op->in[0]].count / 8;
    return BL_OK;
}
