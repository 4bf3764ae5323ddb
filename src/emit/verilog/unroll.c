/* unroll.c: each primitive of a program, element by element, as operations of a netlist.
 *
 * The order of things within a primitive is that of interpret.c.  What a primitive's only reader makes superfluous is
 * not computed: a bias in front of thresholds moves into them, half a unit in front of a rounding joins the bias.
 */
#include "emit/verilog/unroll.h"
#include "emit/verilog/net_impl.h"

/* ---- what the reader of a wire wants
 * --------------------------------------------------------------------------------- */
/* How much of a sum's constant may stay an offset beside the signal. */
int64_t bli_unroll_offset(const bli_unroll *u, int wire, int64_t channel, int64_t constant)
{
    const bli_program *p = u->net->program;
    int reader = u->reader[wire];
    if (reader < 0)
        return 0;
    const bli_prim_op *op = &p->ops[reader];
    int64_t c = op->channels > 1 ? channel : 0;
    switch (op->kind) {
    case BLI_PRIM_THRESHOLD:
    case BLI_PRIM_RESCALE:
    case BLI_PRIM_AFFINE:
    case BLI_PRIM_ADD:
    case BLI_PRIM_SUB:
    case BLI_PRIM_DENSE:
    case BLI_PRIM_SUMPOOL:
    case BLI_PRIM_REDUCE_SUM:
        return constant;
    case BLI_PRIM_MAXPOOL:
        return bli_unroll_offset(u, op->out, channel, constant);
    case BLI_PRIM_CLAMP:
        return u->later[reader] ? bli_unroll_offset(u, op->out, channel, constant) : 0;
    case BLI_PRIM_ROUND:
        return op->rounding == BL_RND && op->shift[c] > 0 ? -((int64_t)1 << (op->shift[c] - 1)) : 0;
    default:
        return 0;
    }
}

bl_status bli_unroll_finish(bli_unroll *u, bli_net_sum *sum, const bli_prim_op *op, int64_t channel, bli_net_ref *out)
{
    int64_t offset = bli_unroll_offset(u, op->out, channel, sum->constant);
    return bli_net_sum_finish(u->net, sum, offset, out);
}

/* ---- shapes ----------------------------------------------------------------------------------------------------- */
/* The element of a broadcast operand that stands beside element e of the result. */
static int64_t broadcast(const bl_shape *result, const bl_shape *operand, int64_t e)
{
    int64_t index = 0, stride = 1;
    for (int i = 1; i <= result->rank; i++) {
        int64_t dim = result->dim[result->rank - i], at = e % dim;
        e /= dim;
        if (i > operand->rank)
            continue;
        int64_t own = operand->dim[operand->rank - i];
        index += own == 1 ? 0 : at * stride;
        stride *= own;
    }
    return index;
}

/* ---- sources and moves ----------------------------------------------------------------------------------------------
 */
static bl_status do_input(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_program *p = u->net->program;
    const bli_wire *w = bli_unroll_out(u, op);
    int64_t first = 0;
    for (int i = 0; i < p->num_inputs && p->inputs[i].wire != op->out; i++)
        first += p->wires[p->inputs[i].wire].count;
    for (int64_t e = 0; e < w->count; e++) {
        bli_span span = bli_wire_span(w, e);
        out[e] = bli_net_constant(span.low);
        if (span.low == span.high)
            continue;
        bli_net_signal spec = {.kind = BLI_NET_INPUT, .k = first + e, .shift = {span.zeros, 0, 0}};
        spec.low = span.low >> span.zeros;
        spec.high = span.high >> span.zeros;
        BLI_TRY(bli_net_make(u->net, &spec, &out[e]));
        BLI_TRY(bli_net_shift(u->net, out[e], span.zeros, &out[e]));
    }
    return BL_OK;
}

static bl_status do_const(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    for (int64_t e = 0; e < bli_unroll_out(u, op)->count; e++)
        out[e] = bli_net_constant(op->weight[e]);
    return BL_OK;
}

static bl_status do_gather(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_net_ref *x = u->net->wires[op->in[0]];
    for (int64_t e = 0; e < bli_unroll_out(u, op)->count; e++)
        out[e] = op->index[e] < 0 ? bli_net_constant(op->fill) : x[op->index[e]];
    return BL_OK;
}

static bl_status do_reshape(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    for (int64_t e = 0; e < bli_unroll_out(u, op)->count; e++)
        out[e] = u->net->wires[op->in[0]][e];
    return BL_OK;
}

static bl_status do_concat(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bl_shape *shape = &bli_unroll_out(u, op)->shape;
    int64_t outer = 1, at = 0;
    for (int i = 0; i < op->axis; i++)
        outer *= shape->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int i = 0; i < op->num_in; i++) {
            int64_t run = bli_unroll_in(u, op, i)->count / outer;
            for (int64_t e = 0; e < run; e++)
                out[at++] = u->net->wires[op->in[i]][o * run + e];
        }
    return BL_OK;
}

/* ---- element by element ---------------------------------------------------------------------------------------------
 */
static bl_status join_two(bli_unroll *u, const bli_prim_op *op, bli_net_ref a, bli_net_ref b, bli_net_ref *out)
{
    bli_net *n = u->net;
    switch (op->kind) {
    case BLI_PRIM_MUL:
        return bli_net_multiply(n, a, b, out);
    case BLI_PRIM_MIN:
        return bli_net_less_mux(n, a, b, a, b, out);
    case BLI_PRIM_MAX:
        return bli_net_less_mux(n, a, b, b, a, out);
    default:
        BLI_TRY(bli_net_shift(n, a, op->shift_a, &a));
        BLI_TRY(bli_net_shift(n, b, op->shift_b, &b));
        return bli_net_add(n, a, b, op->kind == BLI_PRIM_SUB, out);
    }
}

static bl_status do_two(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_wire *w = bli_unroll_out(u, op), *a = bli_unroll_in(u, op, 0), *b = bli_unroll_in(u, op, 1);
    for (int64_t e = 0; e < w->count; e++)
        BLI_TRY(join_two(u, op, u->net->wires[op->in[0]][broadcast(&w->shape, &a->shape, e)],
                         u->net->wires[op->in[1]][broadcast(&w->shape, &b->shape, e)], &out[e]));
    return BL_OK;
}

static bl_status absolute(bli_net *n, bli_net_ref a, bli_net_ref *out)
{
    bli_net_ref bit, negative;
    if (bli_net_range(n, a).low >= 0)
        return *out = a, BL_OK;
    BLI_TRY(bli_net_add(n, bli_net_constant(0), a, true, &negative));
    BLI_TRY(bli_net_at_least(n, a, 0, &bit));
    return bli_net_mux(n, bit, a, negative, out);
}

static bl_status scaled(bli_unroll *u, const bli_prim_op *op, int64_t c, int64_t channel, bli_net_ref a,
                        bli_net_ref *out)
{
    bli_net_sum sum = {.constant = op->bias ? op->bias[c] : 0};
    bl_status s = bli_net_sum_add(u->net, &sum, a, op->weight[c]);
    if (s != BL_OK)
        return bli_net_sum_free(u->net, &sum), s;
    if (op->kind == BLI_PRIM_AFFINE)
        return bli_unroll_finish(u, &sum, op, channel, out);
    BLI_TRY(bli_net_sum_finish(u->net, &sum, 0, out));
    BLI_TRY(bli_net_round(u->net, *out, BL_TRN, op->shift[c], out));
    return bli_net_clamp(u->net, *out, op->low[c], op->high[c], out);
}

/* Rounding is monotone: round(clamp(a)) is clamp(round(a)) with rounded ends, and the clamp then has fewer bits. */
static bl_status round_and_clamp(bli_unroll *u, const bli_prim_op *op, int64_t channel, bli_net_ref a, bli_net_ref *out)
{
    const bli_program *p = u->net->program;
    const bli_prim_op *clamp = &p->ops[p->wires[op->in[0]].producer];
    int64_t c = op->channels > 1 ? channel : 0, k = clamp->channels > 1 ? channel : 0;
    bli_net_ref low, high;
    bl_rounding rule = bli_net_rounding(op->rounding, clamp->low[k] < 0); /* below low anything low enough will do */
    BLI_TRY(bli_net_round(u->net, bli_net_constant(clamp->low[k]), rule, op->shift[c], &low));
    BLI_TRY(bli_net_round(u->net, bli_net_constant(clamp->high[k]), rule, op->shift[c], &high));
    BLI_TRY(bli_net_round(u->net, a, rule, op->shift[c], out));
    return bli_net_clamp(u->net, *out, low.offset, high.offset, out);
}

static bl_status one(bli_unroll *u, const bli_prim_op *op, int64_t channel, bli_net_ref a, bli_net_ref *out)
{
    bli_net *n = u->net;
    int64_t c = op->channels > 1 ? channel : 0;
    switch (op->kind) {
    case BLI_PRIM_ROUND:
        return bli_net_round(n, a, op->rounding, op->shift[c], out);
    case BLI_PRIM_OVERFLOW:
        return bli_net_overflow(n, a, op->overflow, (int)op->bits[c], op->is_signed, out);
    case BLI_PRIM_CLAMP:
        return bli_net_clamp(n, a, op->low[c], op->high[c], out);
    case BLI_PRIM_THRESHOLD:
        return bli_net_stair(n, a, op->base[c], op->threshold + c * op->length, op->step + c * op->length, op->length,
                             out);
    case BLI_PRIM_TABLE:
        return bli_net_table(n, a, op->first, op->table + c * op->length, op->length, out);
    case BLI_PRIM_ABS:
        return absolute(n, a, out);
    default:
        return scaled(u, op, c, channel, a, out);
    }
}

static bl_status do_one(bli_unroll *u, const bli_prim_op *op, bli_net_ref *out)
{
    const bli_program *p = u->net->program;
    const bli_wire *w = bli_unroll_out(u, op);
    int producer = bli_unroll_in(u, op, 0)->producer;
    bool later = op->kind == BLI_PRIM_ROUND && u->later[producer];
    const bli_net_ref *x = u->net->wires[later ? p->ops[producer].in[0] : op->in[0]];
    for (int64_t e = 0; e < w->count; e++)
        BLI_TRY((later ? round_and_clamp : one)(u, op, e % bli_unroll_last(w), x[e], &out[e]));
    return BL_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------
 */
static bli_unroll_fn *const unrolls[BLI_PRIM_COUNT] = {[BLI_PRIM_INPUT] = do_input,
                                                       [BLI_PRIM_CONST] = do_const,
                                                       [BLI_PRIM_DENSE] = bli_unroll_dense,
                                                       [BLI_PRIM_CONV] = bli_unroll_conv,
                                                       [BLI_PRIM_ADD] = do_two,
                                                       [BLI_PRIM_SUB] = do_two,
                                                       [BLI_PRIM_MUL] = do_two,
                                                       [BLI_PRIM_DOT] = bli_unroll_dot,
                                                       [BLI_PRIM_AFFINE] = do_one,
                                                       [BLI_PRIM_ROUND] = do_one,
                                                       [BLI_PRIM_OVERFLOW] = do_one,
                                                       [BLI_PRIM_CLAMP] = do_one,
                                                       [BLI_PRIM_MIN] = do_two,
                                                       [BLI_PRIM_MAX] = do_two,
                                                       [BLI_PRIM_ABS] = do_one,
                                                       [BLI_PRIM_THRESHOLD] = do_one,
                                                       [BLI_PRIM_RESCALE] = do_one,
                                                       [BLI_PRIM_TABLE] = do_one,
                                                       [BLI_PRIM_MAXPOOL] = bli_unroll_pool,
                                                       [BLI_PRIM_SUMPOOL] = bli_unroll_pool,
                                                       [BLI_PRIM_REDUCE_SUM] = bli_unroll_reduce_sum,
                                                       [BLI_PRIM_GATHER] = do_gather,
                                                       [BLI_PRIM_REDUCE_MAX] = bli_unroll_reduce_max,
                                                       [BLI_PRIM_RESHAPE] = do_reshape,
                                                       [BLI_PRIM_CONCAT] = do_concat,
                                                       [BLI_PRIM_ARGMAX] = bli_unroll_argmax};

/* The wire's proven spans narrow the signals, and its elements name them. */
static void settle_wire(bli_net *n, int wire)
{
    const bli_wire *w = &n->program->wires[wire];
    for (int64_t e = 0; e < w->count; e++) {
        bli_net_narrow(n, &n->wires[wire][e], bli_wire_span(w, e));
        if (bli_net_is_constant(n->wires[wire][e]))
            continue;
        bli_net_signal *s = &n->signals[n->wires[wire][e].signal];
        if (s->element < 0 && s->wire == wire)
            s->element = e;
    }
}

static bl_status unroll_op(bli_unroll *u, const bli_prim_op *op)
{
    bli_net *n = u->net;
    if (u->later[op - n->program->ops])
        return BL_OK;
    bli_net_ref *out = bli_arena_array(n->arena, (size_t)bli_unroll_out(u, op)->count + 1, sizeof *out);
    if (!out)
        return BL_NO_MEMORY;
    if (bli_interrupted(n->ctx))
        return bli_fail(n->ctx, BL_INTERRUPTED, "unrolling was interrupted");
    n->at = op->out;
    BLI_TRY(bli_within(n->ctx, unrolls[op->kind](u, op, out), "unroll '%s'", bli_unroll_out(u, op)->name));
    n->wires[op->out] = out;
    settle_wire(n, op->out);
    return BL_OK;
}

/* The one op that reads a wire, or -1. */
static void find_readers(const bli_program *p, int *reader)
{
    for (int w = 0; w < p->num_wires; w++)
        reader[w] = -1;
    for (int i = 0; i < p->num_ops; i++)
        for (int k = 0; k < p->ops[i].num_in; k++)
            if (p->wires[p->ops[i].in[k]].uses == 1)
                reader[p->ops[i].in[k]] = i;
    for (int i = 0; i < p->num_outputs; i++)
        reader[p->outputs[i].wire] = -1;
}

static void find_later(const bli_program *p, const int *reader, bool *later)
{
    for (int i = 0; i < p->num_ops; i++) {
        int next = reader[p->ops[i].out];
        later[i] = p->ops[i].kind == BLI_PRIM_CLAMP && next >= 0 && p->ops[next].kind == BLI_PRIM_ROUND;
        for (int64_t c = 0; later[i] && c < p->ops[next].channels; c++)
            later[i] = p->ops[next].shift[c] > 0;
    }
}

static bl_status unroll_all(bli_unroll *u)
{
    const bli_program *p = u->net->program;
    u->reader = bli_arena_array(u->net->arena, (size_t)p->num_wires + 1, sizeof *u->reader);
    u->later = bli_arena_array(u->net->arena, (size_t)p->num_ops + 1, sizeof *u->later);
    if (!u->reader || !u->later)
        return BL_NO_MEMORY;
    find_readers(p, u->reader);
    find_later(p, u->reader, u->later);
    for (int i = 0; i < p->num_ops; i++)
        BLI_TRY(unroll_op(u, &p->ops[i]));
    return bli_net_finish(u->net);
}

bl_status bli_net_create(const bli_program *p, const bli_net_options *options, bli_net **out)
{
    bli_unroll u = {.options = options};
    *out = NULL;
    BLI_TRY(bli_net_empty(p, &u.net));
    bl_status s = unroll_all(&u);
    if (s != BL_OK)
        return bli_net_destroy(u.net), s;
    *out = u.net;
    return BL_OK;
}
