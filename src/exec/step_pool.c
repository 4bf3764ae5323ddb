/* step_pool.c: the greatest of each window, on bytes: rows of the window first, all columns at once, then its columns.
 */
#include <string.h>

#include "exec/exec.h"

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
            for (int64_t o = 0; o < v.out[1];) {
                const bli_taps u = bli_window_taps(w, &v, 1, o);
                int64_t n = 1; /* positions alike */
                while (o + n < v.out[1]) {
                    const bli_taps next = bli_window_taps(w, &v, 1, o + n);
                    if (next.from != u.from || next.to != u.to)
                        break;
                    n++;
                }
                k->taps8(most + bli_window_at(w, 1, o, u.from) * v.channels, w->dilation[1] * v.channels, u.to - u.from,
                         w->stride[1] * v.channels, n, v.channels, y);
                y += n * v.channels;
                o += n;
            }
        }
    }
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
    step->run = run_maxpool;
    *last = i;
    const size_t need = (size_t)(v.in[1] * v.channels) + BLI_SLACK;
    plan->scratch_bytes = need > plan->scratch_bytes ? need : plan->scratch_bytes;
    plan->cost += (double)p->wires[op->in[0]].count / 8;
    return BL_OK;
}
