/* table.c: bytes that become floats, go through functions of one number, and become bytes again: a table of 256 bytes.
 *
 * Dequantize, up to some functions, QuantizeV2, and where that makes 32 bits a Requantize; nobody else reads what lies
 * between.  The table is what the nodes' own rules make of all codes, so its bits are theirs.  It is made once where
 * the ranges are constants, else in each run of a tensor that is worth it.  What the rules refuse, the nodes refuse one
 * by one.
 */
#include <string.h>

#include "tf/eight_op.h"
#include "tf/kernels/loops.h"
#include "tf/session_impl.h"

enum { CODES = 256, PARTS = 8, WORTH = 4 * CODES };

struct bli_tf_table {
    size_t parts[PARTS]; /* Dequantize first */
    int num_parts;
    bool fixed, made;
    int from, to; /* types of codes */
    float range[2];
    uint8_t byte[CODES];
};

/* Functions of one element, whatever stands beside it. */
static const char *const functions[] = {"Relu",    "Relu6",    "LeakyRelu", "Elu", "Tanh",
                                        "Sigmoid", "Softplus", "Neg",       "Abs"};

static bool is_op(const bli_tf_spot *p, const char *name)
{
    return p->op && !p->fed && !p->constant && !p->swallowed && !p->join && !p->early && p->num_before == 0 &&
           strcmp(p->op->name, name) == 0;
}

static bool is_function(const bli_tf_spot *p)
{
    bool found = false;
    for (size_t i = 0; i < BLI_COUNT(functions); i++)
        found = found || is_op(p, functions[i]);
    return found && p->num_in == 1 && p->op->run;
}

/* All outputs are read so often. */
static bool used(const bli_tf_spot *p, int times)
{
    bool yes = true;
    for (int k = 0; k < p->num_out; k++)
        yes = yes && p->uses_planned[k] == times;
    return yes;
}

static bool is_byte(int dtype)
{
    return dtype == BLI_DT_QUINT8 || dtype == BLI_DT_QINT8;
}

/* One range for all. */
static bool is_plain(const bli_tf_session *s, const bli_tf_spot *p, int dtype)
{
    bli_eight_how how;
    const bli_tf_call c = {.ctx = s->ctx, .node = p->node};
    return bli_tf_eight_how(&c, dtype, &how) == BL_OK;
}

/* ---- finding ------------------------------------------------------------------------------------------------- */
static bool reads(const bli_tf_spot *p, int input, size_t spot, int port)
{
    return p->in[input].spot == spot && p->in[input].port == port;
}

/* The QuantizeV2 at the end, or before a Requantize there. */
static bool find_end(const bli_tf_session *s, size_t at, size_t *quantize)
{
    const bli_tf_spot *p = &s->spots[at];
    int type;
    *quantize = at;
    if (is_op(p, "QuantizeV2"))
        return bli_tf_get_type(s->ctx, p->node, "T", &type) == BL_OK && is_byte(type) && is_plain(s, p, type);
    if (!is_op(p, "Requantize"))
        return false;
    const size_t from = *quantize = p->in[0].spot;
    return is_op(&s->spots[from], "QuantizeV2") && used(&s->spots[from], 1) && reads(p, 0, from, 0) &&
           reads(p, 1, from, 1) && reads(p, 2, from, 2) &&
           bli_tf_get_type(s->ctx, p->node, "out_type", &type) == BL_OK && is_byte(type) &&
           is_plain(s, &s->spots[from], BLI_DT_QINT32);
}

static bool ranges_are_constant(const bli_tf_session *s, const bli_tf_table *t)
{
    bool yes = true;
    for (int i = 0; i < t->num_parts; i++) {
        const bli_tf_spot *p = &s->spots[t->parts[i]];
        const int first = i == 0 || p->num_in == 3 ? 1 : 3; /* a Requantize's own range comes with the codes */
        for (int k = first; k < p->num_in; k++)
            yes = yes && s->spots[p->in[k].spot].constant;
    }
    return yes;
}

static void put_first(bli_tf_table *t, size_t spot)
{
    memmove(t->parts + 1, t->parts, (size_t)t->num_parts * sizeof *t->parts);
    t->parts[0] = spot;
    t->num_parts++;
}

static bool find(const bli_tf_session *s, size_t at, bli_tf_table *t)
{
    size_t spot;
    *t = (bli_tf_table){.parts = {at}, .num_parts = 1};
    if (!find_end(s, at, &spot))
        return false;
    if (spot != at)
        put_first(t, spot);
    for (;;) {
        if (s->spots[spot].in[0].port != 0)
            return false;
        spot = s->spots[spot].in[0].spot;
        const bli_tf_spot *p = &s->spots[spot];
        const bool starts = is_op(p, "Dequantize");
        if ((!starts && !is_function(p)) || !used(p, 1) || t->num_parts == PARTS)
            return false;
        put_first(t, spot);
        if (starts)
            break;
    }
    t->fixed = ranges_are_constant(s, t);
    return is_plain(s, &s->spots[spot], BLI_DT_QUINT8);
}

bl_status bli_tf_table_find(bli_tf_session *s)
{
    for (size_t i = 0; i < s->num_order; i++) {
        bli_tf_table found;
        if (!find(s, s->order[i], &found))
            continue;
        bli_tf_table *t = bli_arena_alloc(s->plan, sizeof *t);
        if (!t)
            return BL_NO_MEMORY;
        *t = found;
        for (int k = 0; k + 1 < t->num_parts; k++)
            s->spots[t->parts[k]].swallowed = true;
        s->spots[s->order[i]].table = t;
    }
    return BL_OK;
}

/* ---- making -------------------------------------------------------------------------------------------------- */
/* What the chain has come to with all codes. */
typedef struct all_codes {
    int dtype;
    void *data; /* with room for 32 bits each */
    float range[2];
} all_codes;

static bl_status step(bli_tf_session *s, bli_tf_spot *p, all_codes *a)
{
    bli_tf_arg *in = s->args, *out = s->results;
    _Alignas(BLI_ALIGN) uint32_t made[CODES];
    float range[2] = {0, 0};
    for (int i = 0; i < p->num_in; i++) {
        const bli_tf_spot *from = &s->spots[p->in[i].spot];
        const bli_tf_array *v = &from->out[p->in[i].port];
        in[i] = (bli_tf_arg){v->dtype, v->shape, v->data, from->constant, false};
    }
    in[0] = (bli_tf_arg){a->dtype, {1, {CODES}}, a->data, false, false};
    for (int i = 1; i < 3 && p->num_in == 5; i++) /* Requantize */
        in[i] = (bli_tf_arg){BLI_DT_FLOAT, {0, {0}}, &a->range[i - 1], false, false};
    for (int k = 0; k < p->num_out; k++)
        out[k] = (bli_tf_arg){.shape = BLI_TF_UNKNOWN_SHAPE};
    bli_tf_call c = {.ctx = s->ctx,
                     .node = p->node,
                     .store = s->g->store,
                     .in = in,
                     .out = out,
                     .num_in = p->num_in,
                     .num_out = p->num_out,
                     .site = &s->site};
    BLI_TRY(bli_tf_op_infer(p->op, &c));
    out[0].data = made;
    for (int k = 1; k < p->num_out; k++)
        out[k].data = &range[k - 1];
    bli_tf_session_enter(s, p);
    BLI_TRY(p->op->run(&c));
    bli_tf_session_leave(s, p);
    a->dtype = out[0].dtype;
    memcpy(a->data, made, sizeof made);
    memcpy(a->range, range, sizeof range);
    return BL_OK;
}

static bl_status make(bli_tf_session *s, bli_tf_table *t, int dtype)
{
    _Alignas(BLI_ALIGN) uint32_t room[CODES];
    all_codes a = {.dtype = dtype, .data = room};
    t->made = false;
    for (int i = 0; i < CODES; i++)
        ((uint8_t *)room)[i] = (uint8_t)i;
    for (int i = 0; i < t->num_parts; i++)
        BLI_TRY(step(s, &s->spots[t->parts[i]], &a));
    memcpy(t->byte, room, CODES);
    memcpy(t->range, a.range, sizeof a.range);
    t->from = dtype;
    t->to = a.dtype;
    t->made = t->fixed;
    return BL_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------- */
static bl_status look_up(bli_tf_session *s, const bli_tf_table *t, const bli_tf_array *x, bli_tf_spot *end)
{
    const int64_t n = bl_shape_count(&x->shape);
    BLI_TRY(bli_tf_array_make(s->pool, t->to, &x->shape, &end->out[0]));
    bli_tf_loops_get(s->site.isa)->look_up(t->byte, x->data, n, end->out[0].data);
    for (int k = 1; k < 3; k++) {
        BLI_TRY(bli_tf_array_make(s->pool, BLI_DT_FLOAT, &(bl_shape){0, {0}}, &end->out[k]));
        *(float *)end->out[k].data = t->range[k - 1];
    }
    return BL_OK;
}

bl_status bli_tf_table_run(bli_tf_session *s, bli_tf_spot *end)
{
    bli_tf_table *t = end->table;
    const bli_tf_wire w = s->spots[t->parts[0]].in[0];
    const bli_tf_array *x = &s->spots[w.spot].out[w.port];
    const bool bytes = is_byte(x->dtype) && x->data && bl_shape_count(&x->shape) > 0;
    bool ready = bytes && t->made && t->from == x->dtype;
    if (bytes && !ready && (t->fixed || bl_shape_count(&x->shape) >= WORTH))
        ready = make(s, t, x->dtype) == BL_OK;
    if (ready)
        BLI_TRY(look_up(s, t, x, end));
    else
        BLI_TRY(bli_tf_session_parts(s, t->parts, t->num_parts));
    for (int i = 0; i + 1 < t->num_parts; i++)
        bli_tf_session_release(s, &s->spots[t->parts[i]]);
    return BL_OK;
}
