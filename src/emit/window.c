/* window.c: convolutions and pools as loops over output positions, taps outside of the image left out. */
#include <stdio.h>

#include "emit/body.h"

static int64_t positions(const bli_window *w, int a, int64_t in)
{
    int64_t room = in + w->pad[a] + w->pad[a + 2] - ((int64_t)(w->kernel[a] - 1) * w->dilation[a] + 1);
    return room < 0 ? 0 : room / w->stride[a] + 1;
}

bli_view bli_view_of(const bli_program *p, const bli_prim_op *op)
{
    const bl_shape *s = &p->wires[op->in[0]].shape;
    bli_view v = {{s->dim[0], s->rank == 3 ? s->dim[1] : 1}, {0, 0}, s->dim[s->rank - 1]};
    for (int a = 0; a < 2; a++)
        v.out[a] = positions(&op->window, a, v.in[a]);
    return v;
}

const int64_t *bli_body_rows(bli_body *b, const bli_prim_op *op, int64_t *rows, int64_t *terms)
{
    const bl_shape *s = &b->p->wires[op->in[0]].shape;
    int64_t m = op->channels, last = s->dim[s->rank - 1];
    *rows = m;
    *terms = op->kind == BLI_PRIM_DENSE
                 ? last
                 : (int64_t)op->window.kernel[0] * op->window.kernel[1] * (last / op->window.groups);
    if (op->kind == BLI_PRIM_CONV)
        return op->weight;
    int64_t *turned = bli_arena_array(b->arena, (size_t)(m * last) + 1, sizeof *turned);
    if (turned == NULL) {
        b->code->status = BL_NO_MEMORY;
        return NULL;
    }
    for (int64_t k = 0; k < last; k++)
        for (int64_t c = 0; c < m; c++)
            turned[c * last + k] = op->weight[k * m + c];
    return turned;
}

/* Tap "kh" at output position "oh": the row h that it reads, skipped where there is none. */
static void tap(bli_body *b, int axis, const bli_window *w, int64_t in, bool may_miss)
{
    static const char *const names[2][3] = {{"kh", "oh", "h"}, {"kw", "ow", "w"}};
    const char *k = names[axis][0], *o = names[axis][1], *at = names[axis][2];
    bli_body_loop(b, k, w->kernel[axis]);
    bli_text_line(b->code, "const %s %s = %s * %d + %s * %d - %d;", bli_body_int(b), at, o, w->stride[axis], k,
                  w->dilation[axis], w->pad[axis]);
    if (!may_miss)
        return;
    bli_text_open(b->code, "if (%s < 0 || %s >= %lld)", at, at, (long long)in);
    bli_text_line(b->code, "continue;");
    b->code->depth--;
}

void bli_body_taps(bli_body *b, const bli_window *w, const bli_view *v)
{
    for (int a = 0; a < 2; a++) {
        int64_t reach = (v->out[a] - 1) * w->stride[a] + (int64_t)(w->kernel[a] - 1) * w->dilation[a] - w->pad[a];
        tap(b, a, w, v->in[a], w->pad[a] > 0 || reach >= v->in[a]);
    }
}

/* Whether there is anything to read. */
static bool is_empty(const bli_view *v)
{
    return v->in[0] == 0 || v->in[1] == 0 || v->channels == 0;
}

static void positions_loops(bli_body *b, const bli_view *v)
{
    bli_body_loop(b, "oh", v->out[0]);
    bli_body_loop(b, "ow", v->out[1]);
}

void bli_body_conv(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    const bli_wire *in = &b->p->wires[op->in[0]], *out = &b->p->wires[op->out];
    const bli_view v = bli_view_of(b->p, op);
    int64_t m, k, per_group = v.channels / op->window.groups, outputs = op->channels / op->window.groups;
    const int64_t *weight = bli_body_rows(b, op, &m, &k);
    bli_reach x = bli_reach_wire(in), r = bli_reach_sums(x, weight, op->bias, m, k, k, 1);
    char bias[BLI_EXPR_ROOM] = "0", first[96] = "", type[BLI_TYPE_ROOM];
    r = bli_reach_join(bli_reach_join(r, x), bli_reach_values(weight, m * k));
    const char *cast = bli_body_cast(b, r);
    const bli_weights table = is_empty(&v) ? (bli_weights){0} : bli_body_weights(b, op, weight, m * k);
    if (op->bias != NULL)
        bli_body_param(b, op, "bias", op->bias, m, bias);
    if (op->window.groups > 1)
        snprintf(first, sizeof first, " + c / %lld * %lld", (long long)outputs, (long long)per_group);
    positions_loops(b, &v);
    bli_body_work_loop(b, "c", m);
    bli_text_line(b->code, "%s sum = %s%s;", bli_body_type(b, r, type), bli_body_cast_more(b, r), bias);
    if (!is_empty(&v)) {
        bli_body_taps(b, &op->window, &v);
        bli_body_loop(b, "k", per_group);
        bli_text_line(b->code, "sum += %s%s[(h * %lld + w) * %lld%s + k] *", cast, b->in[0], (long long)v.in[1],
                      (long long)v.channels, first);
        bli_text_line(b->code, "       %s%s((c * %d + kh) * %d + kw) * %lld + k%s;", bli_body_cast_more(b, r),
                      table.open, op->window.kernel[0], op->window.kernel[1], (long long)per_group, table.close);
        bli_body_end(b, 3);
    }
    b->var = -1;
    bli_body_value(b, r, bli_reach_wire(out), "sum");
    bli_body_finish(b, "(oh * %lld + ow) * %lld + c", (long long)v.out[1], (long long)m);
    bli_body_end(b, 3);
}

static void pool_taps(bli_body *b, const bli_prim_op *op, const bli_view *v, const char *cast)
{
    const bool sum = op->kind == BLI_PRIM_SUMPOOL;
    char at[96];
    snprintf(at, sizeof at, "%s[(h * %lld + w) * %lld + c]", b->in[0], (long long)v->in[1], (long long)v->channels);
    bli_body_taps(b, &op->window, v);
    if (!sum)
        bli_text_open(b->code, "if (%s > sum)", at);
    bli_text_line(b->code, "sum %s %s%s;", sum ? "+=" : "=", cast, at);
    b->code->depth -= sum ? 0 : 1;
    bli_body_end(b, 2);
}

void bli_body_pool(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    const bli_view v = bli_view_of(b->p, op);
    const bool sum = op->kind == BLI_PRIM_SUMPOOL;
    bli_reach x = bli_reach_wire(&b->p->wires[op->in[0]]), r = x;
    char type[BLI_TYPE_ROOM], number[BLI_TYPE_ROOM];
    if (sum)
        r = bli_reach_join(x, bli_reach_mul(x, (bli_reach){0, (bli_big)op->window.kernel[0] * op->window.kernel[1]}));
    const char *cast = bli_body_cast(b, r);
    positions_loops(b, &v);
    bli_body_work_loop(b, "c", v.channels);
    bli_text_line(b->code, "%s sum = %s%s;", bli_body_type(b, r, type), bli_body_cast_more(b, r),
                  sum ? "0" : bli_body_number(b, (int64_t)x.low, number));
    if (!is_empty(&v))
        pool_taps(b, op, &v, cast);
    b->var = -1;
    bli_body_value(b, r, bli_reach_wire(&b->p->wires[op->out]), "sum");
    bli_body_finish(b, "(oh * %lld + ow) * %lld + c", (long long)v.out[1], (long long)v.channels);
    bli_body_end(b, 3);
}
