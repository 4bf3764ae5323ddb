/* heads.c: the loops of a group's head over plain arrays; each element goes through the group's tail and is stored. */
#include <stdio.h>
#include <string.h>

#include "emit/body.h"

static const bli_wire *input(const bli_body *b, int k)
{
    return &b->p->wires[b->group->in[k]];
}

static bli_reach input_range(const bli_body *b, int k)
{
    return bli_reach_wire(input(b, k));
}

static int64_t last_of(const bl_shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

/* Begins a value v0 with one element of input k. */
static void load(bli_body *b, int k, const char *index)
{
    b->var = -1;
    bli_body_value(b, input_range(b, k), input_range(b, k), "%s[%s]", b->in[k], index);
}

/* ---- loops over shapes ------------------------------------------------------------------------------------------ */
/* Nested loops d0, d1 ... over the dimensions of a shape that are not 1, with strides of arrays beside them. */
typedef struct nest {
    int rank;
    int64_t size[BL_MAX_RANK];
    int64_t stride[3][BL_MAX_RANK]; /* of up to three arrays */
} nest;

static void append_index(char *buf, size_t size, const char *var, int64_t stride)
{
    size_t used = strlen(buf);
    const char *join = used > 0 ? " + " : "";
    if (stride == 1)
        snprintf(buf + used, size - used, "%s%s", join, var);
    else if (stride != 0)
        snprintf(buf + used, size - used, "%s%s * %lld", join, var, (long long)stride);
}

enum { INDEX_ROOM = 320 };

static void nest_index(const nest *n, int array, int64_t offset, char buf[INDEX_ROOM])
{
    char var[16];
    buf[0] = '\0';
    for (int d = 0; d < n->rank; d++) {
        snprintf(var, sizeof var, "d%d", d);
        if (n->size[d] != 1)
            append_index(buf, INDEX_ROOM, var, n->stride[array][d]);
    }
    size_t used = strlen(buf);
    if (used == 0)
        snprintf(buf, INDEX_ROOM, "%lld", (long long)offset);
    else if (offset != 0)
        snprintf(buf + used, INDEX_ROOM - used, " %c %lld", offset < 0 ? '-' : '+',
                 (long long)(offset < 0 ? -offset : offset));
}

static int nest_loops(bli_body *b, const nest *n)
{
    int depth = 0, last = -1;
    char var[16];
    for (int d = 0; d < n->rank; d++)
        last = n->size[d] != 1 ? d : last;
    for (int d = 0; d < n->rank; d++) {
        if (n->size[d] == 1)
            continue;
        snprintf(var, sizeof var, "d%d", d);
        (d == last ? bli_body_work_loop : bli_body_loop)(b, var, n->size[d]);
        depth++;
    }
    return depth;
}

/* The last coordinate as c, where the tail (or the head) looks at it. */
static void name_channel(bli_body *b, const nest *n, bool with_head)
{
    if (!bli_body_needs_channel(b->group, with_head))
        return;
    int last = n->rank - 1;
    if (n->size[last] != 1)
        bli_text_line(b->code, "const %s c = d%d;", bli_body_int(b), last);
    else
        bli_text_line(b->code, "const %s c = 0;", bli_body_int(b));
    bli_text_line(b->code, "(void)c;"); /* an op that changes nothing is left out, and so may its table */
}

static void strides_of(const bl_shape *shape, const bl_shape *like, int64_t *stride)
{
    int64_t step = 1;
    for (int d = like->rank - 1, e = shape->rank - 1; d >= 0; d--, e--) {
        stride[d] = e < 0 || shape->dim[e] == 1 ? 0 : step;
        step *= e < 0 ? 1 : shape->dim[e];
    }
}

/* Neighbouring dimensions that all arrays pass through in one stride become one; the last stays if it is the channel.
 */
static void merge(nest *n, int arrays, bool keep_last)
{
    for (int d = n->rank - 2; d >= 0; d--) {
        bool fits = !(keep_last && d == n->rank - 2);
        for (int a = 0; a < arrays && fits; a++)
            fits = n->size[d] == 1 || n->size[d + 1] == 1 || n->stride[a][d] == n->stride[a][d + 1] * n->size[d + 1];
        if (!fits)
            continue;
        for (int a = 0; a < arrays; a++)
            n->stride[a][d] = n->size[d + 1] == 1 ? n->stride[a][d] : n->stride[a][d + 1];
        n->size[d] *= n->size[d + 1];
        for (int e = d + 1; e + 1 < n->rank; e++) {
            n->size[e] = n->size[e + 1];
            for (int a = 0; a < arrays; a++)
                n->stride[a][e] = n->stride[a][e + 1];
        }
        n->rank--;
    }
}

static nest nest_of(const bl_shape *shape)
{
    nest n = {.rank = shape->rank};
    for (int d = 0; d < shape->rank; d++)
        n.size[d] = shape->dim[d];
    return n;
}

/* ---- one input, element by element ------------------------------------------------------------------------------- */
static void head_elementwise(bli_body *b)
{
    int64_t c = last_of(&b->group->out->shape), rows = c > 0 ? b->group->out->count / c : 0;
    bool channel = bli_body_needs_channel(b->group, true);
    rows = b->rows > 0 ? b->rows : rows;
    char index[64] = "i";
    if (channel) {
        if (rows != 1)
            bli_body_loop(b, "r", rows);
        bli_body_work_loop(b, "c", c);
        snprintf(index, sizeof index, rows != 1 ? "r * %lld + c" : "c", (long long)c);
    } else {
        bli_body_work_loop(b, "i", rows * c);
    }
    load(b, 0, index);
    bli_body_apply(b, b->group->ops[0]);
    bli_body_finish(b, "%s", index);
    bli_body_end(b, channel && rows != 1 ? 2 : 1);
}

/* ---- two inputs, broadcast --------------------------------------------------------------------------------------- */
static void combine(bli_body *b, const char *p, const char *q)
{
    const bli_prim_op *op = b->group->ops[0];
    bli_reach x = input_range(b, 0), y = input_range(b, 1), out = bli_reach_wire(&b->p->wires[op->out]), r;
    char type[BLI_TYPE_ROOM], cast[BLI_TYPE_ROOM + 2] = "", left[BLI_TYPE_ROOM], right[BLI_TYPE_ROOM];
    b->var = -1;
    if (op->kind == BLI_PRIM_MUL) {
        r = bli_reach_join(bli_reach_join(x, y), bli_reach_mul(x, y));
        bli_body_value(b, r, out, "%s%s * %s%s", bli_body_cast(b, r), p, bli_body_cast_more(b, r), q);
        return;
    }
    if (op->kind == BLI_PRIM_MIN || op->kind == BLI_PRIM_MAX) {
        r = bli_reach_join(x, y);
        snprintf(cast, sizeof cast, "(%s)", bli_body_type(b, r, type));
        bli_body_value(b, r, out, "%s%s %s %s%s ? %s%s : %s%s", cast, p, op->kind == BLI_PRIM_MIN ? "<" : ">", cast, q,
                       cast, p, cast, q);
        return;
    }
    bool sub = op->kind == BLI_PRIM_SUB;
    bli_reach a = bli_reach_shift(x, op->shift_a), c = bli_reach_shift(y, op->shift_b);
    bli_reach negated = {-c.high, -c.low};
    r = bli_reach_join(bli_reach_join(a, c), bli_reach_add(a, sub ? negated : c));
    r = bli_reach_join(r, (bli_reach){0, (bli_big)1 << (op->shift_a > op->shift_b ? op->shift_a : op->shift_b)});
    snprintf(cast, sizeof cast, "%s", bli_body_cast(b, r));
    bli_body_value(b, r, out, "%s%s * %s%s %s %s%s * %s%s", cast, p, cast,
                   bli_body_number(b, (int64_t)1 << op->shift_a, left), sub ? "-" : "+", cast, q, cast,
                   bli_body_number(b, (int64_t)1 << op->shift_b, right));
}

static void head_binary(bli_body *b)
{
    const bl_shape *shape = &b->group->out->shape;
    char p[INDEX_ROOM + 80], q[INDEX_ROOM + 80], index[INDEX_ROOM];
    nest n = nest_of(shape);
    strides_of(shape, shape, n.stride[0]);
    strides_of(&input(b, 0)->shape, shape, n.stride[1]);
    strides_of(&input(b, 1)->shape, shape, n.stride[2]);
    merge(&n, 3, bli_body_needs_channel(b->group, false));
    int loops = nest_loops(b, &n);
    name_channel(b, &n, false);
    nest_index(&n, 1, 0, index);
    snprintf(p, sizeof p, "%s[%s]", b->in[0], index);
    nest_index(&n, 2, 0, index);
    snprintf(q, sizeof q, "%s[%s]", b->in[1], index);
    nest_index(&n, 0, 0, index);
    combine(b, p, q);
    bli_body_finish(b, "%s", index);
    bli_body_end(b, loops);
}

/* ---- sums of products ---------------------------------------------------------------------------------------------
 */
/* "T sum = first;" of the type that holds every partial sum. */
static void begin_sum(bli_body *b, bli_reach r, const char *first)
{
    char type[BLI_TYPE_ROOM];
    const char *t = bli_body_type(b, r, type);
    bli_text_line(b->code, "%s sum = %s%s;", t, bli_body_cast_more(b, r), first);
}

static void end_sum(bli_body *b, bli_reach r, const bli_prim_op *op)
{
    b->var = -1;
    bli_body_value(b, r, bli_reach_wire(&b->p->wires[op->out]), "sum");
}

static void head_dense(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    int64_t m, k, rows;
    const int64_t *weight = bli_body_rows(b, op, &m, &k);
    if (weight == NULL)
        return;
    bli_reach r = bli_reach_join(bli_reach_sums(input_range(b, 0), weight, op->bias, m, k, k, 1), input_range(b, 0));
    r = bli_reach_join(r, bli_reach_values(weight, m * k));
    char bias[BLI_EXPR_ROOM] = "0", row[64] = "", out[64] = "";
    const char *cast = bli_body_cast(b, r);
    const bli_weights w = bli_body_weights(b, op, weight, m * k);
    if (op->bias != NULL)
        bli_body_param(b, op, "bias", op->bias, m, bias);
    rows = m > 0 ? b->p->wires[op->out].count / m : 0;
    if (rows != 1) {
        bli_body_loop(b, "r", rows);
        snprintf(row, sizeof row, "r * %lld + ", (long long)k);
        snprintf(out, sizeof out, "r * %lld + ", (long long)m);
    }
    bli_body_work_loop(b, "c", m);
    begin_sum(b, r, bias);
    bli_body_loop(b, "k", k);
    bli_text_line(b->code, "sum += %s%s[%sk] * %s%sc * %lld + k%s;", cast, b->in[0], row, bli_body_cast_more(b, r),
                  w.open, (long long)k, w.close);
    bli_body_end(b, 1);
    end_sum(b, r, op);
    bli_body_finish(b, "%sc", out);
    bli_body_end(b, rows != 1 ? 2 : 1);
}

static void head_dot(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    const bl_shape *s = &input(b, 0)->shape;
    int64_t n = s->dim[s->rank - 2], k = last_of(s), m = last_of(&b->group->out->shape), outer = 1;
    for (int d = 0; d < s->rank - 2; d++)
        outer *= s->dim[d];
    bli_reach p = bli_reach_mul(input_range(b, 0), input_range(b, 1)), times = {0, k};
    bli_reach r = bli_reach_join(bli_reach_mul(p, times), bli_reach_join(input_range(b, 0), input_range(b, 1)));
    r = bli_reach_join(r, p);
    const char *cast = bli_body_cast(b, r);
    bli_body_loop(b, "g", outer);
    bli_body_loop(b, "r", n);
    bli_body_work_loop(b, "c", m);
    begin_sum(b, r, "0");
    bli_body_loop(b, "k", k);
    bli_text_line(b->code, "sum += %s%s[(g * %lld + r) * %lld + k] * %s%s[(g * %lld + k) * %lld + c];", cast, b->in[0],
                  (long long)n, (long long)k, bli_body_cast_more(b, r), b->in[1], (long long)k, (long long)m);
    bli_body_end(b, 1);
    end_sum(b, r, op);
    bli_body_finish(b, "(g * %lld + r) * %lld + c", (long long)n, (long long)m);
    bli_body_end(b, 3);
}

/* ---- axes ----------------------------------------------------------------------------------------------------------
 */
static bool is_reduced(const bli_prim_op *op, int d)
{
    for (int k = 0; k < op->num_axes; k++)
        if (op->axes[k] == d)
            return true;
    return false;
}

/* The element of the input: kept coordinates d, reduced ones e. */
static void reduced_index(const bli_prim_op *op, const nest *kept, const nest *inner, char buf[INDEX_ROOM])
{
    char var[16];
    buf[0] = '\0';
    for (int d = 0; d < kept->rank; d++) {
        bool reduced = is_reduced(op, d);
        snprintf(var, sizeof var, "%c%d", reduced ? 'e' : 'd', d);
        if ((reduced ? inner : kept)->size[d] != 1)
            append_index(buf, INDEX_ROOM, var, kept->stride[1][d]);
    }
    if (buf[0] == '\0')
        snprintf(buf, INDEX_ROOM, "0");
}

static int inner_loops(bli_body *b, const nest *inner)
{
    char var[16];
    int depth = 0;
    for (int d = 0; d < inner->rank; d++) {
        snprintf(var, sizeof var, "e%d", d);
        if (inner->size[d] == 1)
            continue;
        bli_body_loop(b, var, inner->size[d]);
        depth++;
    }
    return depth;
}

static void head_reduce(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    const bl_shape *in = &input(b, 0)->shape, *out = &b->group->out->shape;
    bool sum = op->kind == BLI_PRIM_REDUCE_SUM;
    nest kept = nest_of(out), inner = nest_of(in);
    char from[INDEX_ROOM], to[INDEX_ROOM], number[BLI_TYPE_ROOM];
    bli_reach x = input_range(b, 0), r = x;
    int64_t times = 1;
    strides_of(out, out, kept.stride[0]);
    strides_of(in, in, kept.stride[1]);
    for (int d = 0; d < in->rank; d++) {
        inner.size[d] = is_reduced(op, d) ? in->dim[d] : 1;
        times *= inner.size[d];
    }
    if (sum)
        r = bli_reach_join(bli_reach_mul(x, (bli_reach){0, times}), x);
    int loops = nest_loops(b, &kept);
    name_channel(b, &kept, false);
    begin_sum(b, r, sum ? "0" : bli_body_number(b, (int64_t)x.low, number));
    int depth = inner_loops(b, &inner);
    reduced_index(op, &kept, &inner, from);
    if (sum) {
        bli_text_line(b->code, "sum += %s%s[%s];", bli_body_cast(b, r), b->in[0], from);
    } else {
        bli_text_open(b->code, "if (%s[%s] > sum)", b->in[0], from);
        bli_text_line(b->code, "sum = %s[%s];", b->in[0], from);
        b->code->depth--;
    }
    bli_body_end(b, depth);
    end_sum(b, r, op);
    nest_index(&kept, 0, 0, to);
    bli_body_finish(b, "%s", to);
    bli_body_end(b, loops);
}

static void head_argmax(bli_body *b)
{
    const bl_shape *s = &input(b, 0)->shape;
    int64_t n = last_of(s), rows = n > 0 ? input(b, 0)->count / n : 0;
    bli_reach r = bli_reach_join(bli_reach_wire(&b->p->wires[b->group->ops[0]->out]), (bli_reach){0, n});
    bli_body_work_loop(b, "r", rows);
    name_channel(b, &(nest){.rank = 1, .size = {1}}, false);
    bli_text_line(b->code, "%s best = 0;", bli_body_int(b));
    bli_body_loop(b, "k", n);
    bli_text_open(b->code, "if (%s[r * %lld + k] > %s[r * %lld + best])", b->in[0], (long long)n, b->in[0],
                  (long long)n);
    bli_text_line(b->code, "best = k;");
    b->code->depth--;
    bli_body_end(b, 1);
    b->var = -1;
    bli_body_value(b, r, r, "best");
    bli_body_finish(b, "r");
    bli_body_end(b, 1);
}

/* ---- elements that go elsewhere
 * -------------------------------------------------------------------------------------- */
/* Whether index[i] is one linear form in the coordinates of i; then its strides and offset. */
static bool is_linear(const bli_prim_op *op, const bl_shape *shape, int64_t count, nest *n, int64_t *offset)
{
    int64_t step[BL_MAX_RANK];
    strides_of(shape, shape, step);
    *offset = count > 0 ? op->index[0] : 0;
    for (int d = 0; d < shape->rank; d++)
        n->stride[1][d] = shape->dim[d] > 1 && count > 0 ? op->index[step[d]] - *offset : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = *offset;
        for (int d = 0; d < shape->rank; d++)
            at += shape->dim[d] > 1 ? i / step[d] % shape->dim[d] * n->stride[1][d] : 0;
        if (op->index[i] < 0 || op->index[i] != at)
            return false;
    }
    return true;
}

static void gather_by_table(bli_body *b, const bli_prim_op *op, const char *index)
{
    char number[BLI_TYPE_ROOM], type[BLI_TYPE_ROOM], cast[BLI_TYPE_ROOM + 2] = "";
    int64_t count = b->p->wires[op->out].count;
    if (input(b, 0)->count == 0) { /* nothing but filling */
        bli_reach one = {op->fill, op->fill};
        b->var = -1;
        bli_body_value(b, one, one, "%s", bli_body_number(b, op->fill, number));
        return;
    }
    const char *table = bli_body_table(b, op, "index", op->index, count);
    bool fills = bli_reach_values(op->index, count).low < 0;
    bli_reach r = bli_reach_join(input_range(b, 0), (bli_reach){fills ? op->fill : 0, fills ? op->fill : 0});
    bli_reach out = bli_reach_wire(&b->p->wires[op->out]);
    if (b->hls)
        bli_text_line(b->code, "const int at = int(%s[%s]);", table, index);
    else
        bli_text_line(b->code, "const int32_t at = (int32_t)%s[%s];", table, index);
    b->var = -1;
    if (!fills) {
        bli_body_value(b, r, out, "%s[at]", b->in[0]);
        return;
    }
    snprintf(cast, sizeof cast, "(%s)", bli_body_type(b, r, type));
    const char *fill = bli_body_number(b, op->fill, number);
    bli_body_value(b, r, out, "at < 0 ? %s%s : %s%s[at < 0 ? 0 : at]", cast, fill, cast, b->in[0]);
}

static void head_gather(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    const bl_shape *shape = &b->group->out->shape;
    int64_t count = b->p->wires[op->out].count, offset;
    nest n = nest_of(shape);
    char from[INDEX_ROOM], to[INDEX_ROOM];
    strides_of(shape, shape, n.stride[0]);
    bool linear = is_linear(op, shape, count, &n, &offset);
    merge(&n, linear ? 2 : 1, bli_body_needs_channel(b->group, false));
    int loops = nest_loops(b, &n);
    name_channel(b, &n, false);
    nest_index(&n, 0, 0, to);
    if (linear) {
        nest_index(&n, 1, offset, from);
        load(b, 0, from);
    } else {
        gather_by_table(b, op, to);
    }
    bli_body_finish(b, "%s", to);
    bli_body_end(b, loops);
}

static void head_concat(bli_body *b)
{
    const bli_prim_op *op = b->group->ops[0];
    const bl_shape *out = &b->group->out->shape;
    int64_t outer = 1, whole = 1, at = 0;
    for (int d = 0; d < out->rank; d++)
        *(d < op->axis ? &outer : &whole) *= out->dim[d];
    for (int k = 0; k < op->num_in; k++) {
        int64_t part = outer > 0 ? input(b, k)->count / outer : 0;
        char index[96];
        bli_body_loop(b, "r", outer);
        bli_body_work_loop(b, "i", part);
        snprintf(index, sizeof index, "r * %lld + i", (long long)part);
        load(b, k, index);
        bli_body_finish(b, "r * %lld + i + %lld", (long long)whole, (long long)at);
        bli_body_end(b, 2);
        at += part;
    }
}

void bli_body_group(bli_body *b)
{
    static void (*const heads[BLI_PRIM_COUNT])(bli_body *) = {
        [BLI_PRIM_DENSE] = head_dense,      [BLI_PRIM_CONV] = bli_body_conv,     [BLI_PRIM_ADD] = head_binary,
        [BLI_PRIM_SUB] = head_binary,       [BLI_PRIM_MUL] = head_binary,        [BLI_PRIM_MIN] = head_binary,
        [BLI_PRIM_MAX] = head_binary,       [BLI_PRIM_DOT] = head_dot,           [BLI_PRIM_MAXPOOL] = bli_body_pool,
        [BLI_PRIM_SUMPOOL] = bli_body_pool, [BLI_PRIM_REDUCE_SUM] = head_reduce, [BLI_PRIM_REDUCE_MAX] = head_reduce,
        [BLI_PRIM_GATHER] = head_gather,    [BLI_PRIM_CONCAT] = head_concat,     [BLI_PRIM_ARGMAX] = head_argmax,
    };
    bli_prim kind = b->group->ops[0]->kind;
    (heads[kind] != NULL ? heads[kind] : head_elementwise)(b);
}
