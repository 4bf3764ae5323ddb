/* join.c: finds chains of eight-bit operators that one kernel does together (join_run.c).
 *
 * A stage is a node that makes 32-bit sums, the RequantizationRange of these unless the range is given, the Requantize,
 * and an activation; or a QuantizeV2 with the Reshape, Min and Max that find its range.  A chain is stages of which
 * each reads what the one before makes, and nobody else does.  Only the first may be a convolution, a matrix product or
 * a QuantizeV2; the others are sums and products with a vector.  The last node of a chain does the work of all.
 * Between a product's sums and the Requantize there may be what quantize_nodes makes of weights with a range for each
 * channel: the sums as floats, times a vector, rounded to 32 bits; and a vector of int32 that is added.
 */
#include "tf/join.h"

#include <string.h>

enum { NONE = -1 };

/* ---- what reads what ----------------------------------------------------------------------------------------- */
static bool is_op(const bli_tf_spot *p, const char *name)
{
    return p->op && !p->fed && !p->constant && strcmp(p->op->name, name) == 0;
}

static bool is_wire(const bli_tf_spot *p, int input, size_t spot, int port)
{
    return p->in[input].spot == spot && p->in[input].port == port;
}

/* The range `port` of a node's codes, or the constant that stands for it (fixed.c). */
static bool is_range(const bli_tf_session *s, const bli_tf_spot *p, int input, size_t spot, int port)
{
    const bli_tf_wire w = bli_tf_fixed_wire(s, (bli_tf_wire){spot, port});
    return is_wire(p, input, spot, port) || is_wire(p, input, w.spot, w.port);
}

/* Inputs first, first + 1, first + 2 are a's outputs. */
static bool reads_all(const bli_tf_session *s, const bli_tf_spot *p, const int inputs[3], size_t spot)
{
    return is_wire(p, inputs[0], spot, 0) && is_range(s, p, inputs[1], spot, 1) && is_range(s, p, inputs[2], spot, 2);
}

/* All outputs so often; ranges never, where constants stand for them: only fetches still read those. */
static bool used(const bli_tf_session *s, const bli_tf_spot *p, int times)
{
    for (int k = 0; k < p->num_out; k++) {
        const bli_tf_wire w = {(size_t)(p - s->spots), k};
        const bool fixed = bli_tf_fixed_wire(s, w).spot != w.spot;
        if (p->uses_planned[k] != (fixed ? 0 : times))
            return false;
    }
    return p->num_before == 0;
}

static void add_part(bli_join_stage *g, size_t spot)
{
    g->parts[g->num_parts++] = spot;
}

/* ---- stages -------------------------------------------------------------------------------------------------- */
static const struct {
    const char *op;
    bli_join_kind kind;
} sums[] = {{"QuantizedBiasAdd", BLI_JOIN_BIAS},
            {"QuantizedAdd", BLI_JOIN_ADD},
            {"QuantizedMul", BLI_JOIN_MUL},
            {"QuantizedConv2D", BLI_JOIN_CONV},
            {"QuantizedMatMul", BLI_JOIN_MATMUL}};

static bool find_sum(const bli_tf_spot *p, bli_join_stage *g)
{
    for (size_t i = 0; i < BLI_COUNT(sums); i++)
        if (is_op(p, sums[i].op)) {
            g->kind = sums[i].kind;
            return true;
        }
    return false;
}

static bool casts_to(const bli_tf_session *s, const bli_tf_spot *p, const char *op, const char *attr, int dtype)
{
    int type;
    return is_op(p, op) && bli_tf_get_type(s->ctx, p->node, attr, &type) == BL_OK && type == dtype;
}

/* Codes less their zero point, convolved as floats: Cast, AddV2, DepthwiseConv2dNative. */
static bool find_depth(const bli_tf_session *s, size_t conv, bli_join_stage *g)
{
    if (!is_op(&s->spots[conv], "DepthwiseConv2dNative") || !used(s, &s->spots[conv], 1) ||
        !s->spots[s->spots[conv].in[1].spot].constant)
        return false;
    const size_t centred = s->spots[conv].in[0].spot;
    if (!is_op(&s->spots[centred], "AddV2") || !used(s, &s->spots[centred], 1))
        return false;
    const size_t floats = s->spots[centred].in[0].spot;
    if (!casts_to(s, &s->spots[floats], "Cast", "DstT", BLI_DT_FLOAT) || !used(s, &s->spots[floats], 1))
        return false;
    g->kind = BLI_JOIN_DEPTH;
    g->sum = conv;
    g->x = floats;
    const size_t parts[] = {floats, centred, conv};
    for (size_t i = 0; i < BLI_COUNT(parts); i++)
        add_part(g, parts[i]);
    return true;
}

/* Sums of 32 bits as floats: of a depthwise convolution as they are, of others by a Bitcast and a Cast. */
static bool find_real_sums(const bli_tf_session *s, size_t real, bli_join_stage *g)
{
    if (!casts_to(s, &s->spots[real], "Cast", "DstT", BLI_DT_FLOAT))
        return find_depth(s, real, g);
    const size_t whole = s->spots[real].in[0].spot;
    if (!used(s, &s->spots[real], 1) || !casts_to(s, &s->spots[whole], "Bitcast", "type", BLI_DT_INT32) ||
        !used(s, &s->spots[whole], 1) || s->spots[whole].in[0].port != 0)
        return false;
    const size_t sum = s->spots[whole].in[0].spot;
    if (s->spots[sum].num_before > 0 || s->spots[sum].num_out == 0 || s->spots[sum].uses_planned[0] != 1 ||
        !find_sum(&s->spots[sum], g) || !bli_join_is_product(g))
        return false;
    g->sum = g->x = sum;
    add_part(g, sum);
    add_part(g, whole);
    add_part(g, real);
    return true;
}

/* Floats as codes again, perhaps times a constant vector and rounded: Mul, Round, Cast. */
static bool find_floats(const bli_tf_session *s, size_t codes, bli_join_stage *g)
{
    if (!casts_to(s, &s->spots[codes], "Cast", "DstT", BLI_DT_QINT32))
        return false;
    const size_t from = s->spots[codes].in[0].spot;
    if (is_op(&s->spots[from], "Round")) {
        const size_t scaled = s->spots[from].in[0].spot;
        const bli_tf_spot *p = &s->spots[scaled];
        if (!used(s, &s->spots[from], 1) || !is_op(p, "Mul") || !used(s, p, 1) || !s->spots[p->in[1].spot].constant ||
            !find_real_sums(s, p->in[0].spot, g))
            return false;
        g->factors = scaled;
        add_part(g, scaled);
        add_part(g, from);
    } else if (!find_depth(s, from, g)) {
        return false;
    }
    add_part(g, codes);
    return true;
}

/* What makes the 32 bits that node `codes` hands on; `times`: how often they are read. */
static bool find_source(const bli_tf_session *s, size_t codes, int times, bli_join_stage *g)
{
    if (s->spots[codes].num_out == 0 || s->spots[codes].num_before > 0 || s->spots[codes].uses_planned[0] != times)
        return false;
    if (find_sum(&s->spots[codes], g)) {
        g->sum = g->x = codes;
        add_part(g, codes);
        return true;
    }
    return find_floats(s, codes, g);
}

/* A vector of int32 is added to the 32 bits: Bitcast, AddV2, Bitcast. */
static bool find_lift(const bli_tf_session *s, size_t codes, int times, bli_join_stage *g)
{
    if (!casts_to(s, &s->spots[codes], "Bitcast", "type", BLI_DT_QINT32) || !used(s, &s->spots[codes], times))
        return false;
    const size_t lift = s->spots[codes].in[0].spot;
    if (!is_op(&s->spots[lift], "AddV2") || !used(s, &s->spots[lift], 1))
        return false;
    const size_t below = s->spots[lift].in[0].spot;
    if (!casts_to(s, &s->spots[below], "Bitcast", "type", BLI_DT_INT32) || !used(s, &s->spots[below], 1) ||
        s->spots[below].in[0].port != 0 || !find_source(s, s->spots[below].in[0].spot, 1, g) || !bli_join_is_product(g))
        return false;
    g->lift = lift;
    add_part(g, below);
    add_part(g, lift);
    add_part(g, codes);
    return true;
}

/* Whether the range beside the sums is the sum's own, and only the chain reads it; what others read too a product gives
 * before its turn. */
static bool find_range_of_sums(const bli_tf_session *s, const bli_tf_spot *q, int times, bli_join_stage *g)
{
    if (g->kind == BLI_JOIN_DEPTH)
        return true;
    if (g->factors != SIZE_MAX) {
        g->early = s->spots[g->sum].uses_planned[1] > 0 || s->spots[g->sum].uses_planned[2] > 0;
        return true;
    }
    if (!is_range(s, q, 1, g->sum, 1) || !is_range(s, q, 2, g->sum, 2))
        return false;
    const int *uses = s->spots[g->sum].uses_planned;
    if (s->spots[g->sum].range)
        times = 0;
    g->early = uses[1] != times || uses[2] != times;
    return !g->early || bli_join_is_product(g);
}

/* The stage whose Requantize is at `at`. */
static bool find_requantize(const bli_tf_session *s, size_t at, bli_join_stage *g)
{
    const bli_tf_spot *q = &s->spots[at];
    if (!is_op(q, "Requantize") || q->num_before > 0 || q->in[0].port != 0)
        return false;
    const size_t codes = q->in[0].spot, range = q->in[3].spot;
    const bool found = is_op(&s->spots[range], "RequantizationRange");
    const int times = found ? 2 : 1;
    *g = (bli_join_stage){.narrow = at, .range = SIZE_MAX, .lift = SIZE_MAX, .factors = SIZE_MAX, .relu = SIZE_MAX};
    if ((!find_lift(s, codes, times, g) && !find_source(s, codes, times, g)) || !find_range_of_sums(s, q, times, g))
        return false;
    if (found) {
        const bli_tf_spot *r = &s->spots[range];
        g->range = range;
        add_part(g, range);
        if (!is_wire(q, 3, range, 0) || !is_wire(q, 4, range, 1) || !used(s, r, 1) || !is_wire(r, 0, codes, 0) ||
            !is_wire(r, 1, q->in[1].spot, q->in[1].port) || !is_wire(r, 2, q->in[2].spot, q->in[2].port))
            return false;
    }
    add_part(g, at);
    return found || (s->spots[range].constant && s->spots[q->in[4].spot].constant);
}

/* A constant of one whole number. */
static bool is_number(const bli_tf_session *s, bli_tf_wire w, int64_t n)
{
    const bli_tf_spot *p = &s->spots[w.spot];
    if (!p->constant || w.port >= p->num_out || !p->out[w.port].data || bl_shape_count(&p->out[w.port].shape) != 1)
        return false;
    const bli_tf_array *a = &p->out[w.port];
    return a->dtype == BLI_DT_INT32 ? *(const int32_t *)a->data == n
                                    : a->dtype == BLI_DT_INT64 && *(const int64_t *)a->data == n;
}

/* Min or Max, of a flat tensor's only dimension. */
static bool is_extreme(const bli_tf_session *s, size_t at, const char *name)
{
    const bli_tf_spot *p = &s->spots[at];
    bool keep;
    return is_op(p, name) && used(s, p, 1) && is_number(s, p->in[1], 0) &&
           bli_tf_bool_or(s->ctx, p->node, "keep_dims", false, &keep) == BL_OK && !keep;
}

static bool to_bytes(const bli_tf_session *s, const bli_tf_spot *p, bli_eight_how *how)
{
    int type;
    const bli_tf_call c = {.ctx = s->ctx, .node = p->node};
    return bli_tf_get_type(s->ctx, p->node, "T", &type) == BL_OK && type == BLI_DT_QUINT8 &&
           bli_tf_eight_how(&c, type, how) == BL_OK && how->mode == BLI_MIN_FIRST;
}

/* The stage whose QuantizeV2 is at `at`: its range is that of its input, by Reshape, Min, Max. */
static bool find_quantize(const bli_tf_session *s, size_t at, bli_join_stage *g, bli_eight_how *how)
{
    const bli_tf_spot *q = &s->spots[at];
    if (!is_op(q, "QuantizeV2") || q->num_before > 0)
        return false;
    const size_t min = q->in[1].spot, max = q->in[2].spot;
    *g = (bli_join_stage){.kind = BLI_JOIN_QUANTIZE,
                          .sum = at,
                          .x = at,
                          .narrow = at,
                          .range = min,
                          .lift = SIZE_MAX,
                          .factors = SIZE_MAX,
                          .relu = SIZE_MAX};
    if (!is_extreme(s, min, "Min") || !is_extreme(s, max, "Max") || !to_bytes(s, q, how))
        return false;
    const size_t flat = s->spots[min].in[0].spot;
    const bli_tf_spot *f = &s->spots[flat];
    if (!is_op(f, "Reshape") || !used(s, f, 2) || s->spots[max].in[0].spot != flat || !is_number(s, f->in[1], -1) ||
        f->in[0].spot != q->in[0].spot || f->in[0].port != q->in[0].port)
        return false;
    add_part(g, flat);
    add_part(g, min);
    add_part(g, max);
    add_part(g, at);
    return true;
}

static void find_relu(const bli_tf_session *s, size_t at, bli_join_stage *g)
{
    static const int front[3] = {0, 1, 2};
    const bli_tf_spot *p = &s->spots[at];
    if ((!is_op(p, "QuantizedRelu") && !is_op(p, "QuantizedRelu6")) || p->num_before > 0 ||
        !reads_all(s, p, front, g->narrow) || !used(s, &s->spots[g->narrow], 1))
        return;
    g->relu = at;
    add_part(g, at);
}

/* ---- chains -------------------------------------------------------------------------------------------------- */
typedef struct found {
    bli_join_stage *stages;
    bli_eight_how *how;
    int *next, *before; /* in the chain; NONE */
    int *at;            /* of each node: the stage that ends there; NONE */
    int num;
} found;

static bl_status make_room(bli_tf_session *s, found *f)
{
    const size_t nodes = s->g->num_nodes + 1;
    f->stages = bli_alloc_array(s->ctx, s->num_order + 1, sizeof *f->stages);
    f->how = bli_alloc_array(s->ctx, s->num_order + 1, sizeof *f->how);
    f->next = bli_alloc_array(s->ctx, s->num_order + 1, sizeof *f->next);
    f->before = bli_alloc_array(s->ctx, s->num_order + 1, sizeof *f->before);
    f->at = bli_alloc_array(s->ctx, nodes, sizeof *f->at);
    if (!f->stages || !f->how || !f->next || !f->before || !f->at)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < nodes; i++)
        f->at[i] = NONE;
    return BL_OK;
}

static void find_stages(const bli_tf_session *s, found *f)
{
    for (size_t i = 0; i < s->num_order && f->num < INT32_MAX; i++) {
        const size_t at = s->order[i];
        const bli_tf_spot *p = &s->spots[at];
        bli_join_stage *g = &f->stages[f->num];
        const size_t from = p->num_in == 3 ? p->in[0].spot : SIZE_MAX; /* an activation's */
        if (from != SIZE_MAX && f->at[from] != NONE && f->stages[f->at[from]].narrow == from &&
            f->stages[f->at[from]].kind != BLI_JOIN_QUANTIZE) {
            bli_join_stage *of = &f->stages[f->at[from]];
            find_relu(s, at, of);
            if (of->relu == at) {
                f->at[at] = f->at[from];
                f->at[from] = NONE;
                continue;
            }
        }
        if (find_requantize(s, at, g) || find_quantize(s, at, g, &f->how[f->num]))
            f->at[at] = f->num++;
    }
}

static void link_stages(const bli_tf_session *s, found *f)
{
    static const int front[3] = {0, 2, 3};
    for (int i = 0; i < f->num; i++)
        f->next[i] = f->before[i] = NONE;
    for (int i = 0; i < f->num; i++) {
        const bli_join_stage *g = &f->stages[i];
        if (g->kind > BLI_JOIN_MUL)
            continue;
        const bli_tf_spot *sum = &s->spots[g->sum];
        const int from = f->at[sum->in[0].spot];
        if (from == NONE || !used(s, &s->spots[bli_join_end(&f->stages[from])], 1) ||
            !reads_all(s, sum, front, bli_join_end(&f->stages[from])))
            continue;
        f->next[from] = i;
        f->before[i] = from;
    }
}

/* The chain from stage `first` on, as many stages as a join holds; *rest: where another begins. */
static bl_status close_chain(bli_tf_session *s, const found *f, int first, int *rest)
{
    bli_tf_join *j = bli_arena_alloc(s->plan, sizeof *j);
    if (!j)
        return BL_NO_MEMORY;
    j->how = f->how[first];
    for (*rest = first; *rest != NONE && j->num < BLI_JOIN_STAGES; *rest = f->next[*rest])
        j->stages[j->num++] = f->stages[*rest];
    for (int i = 0; i < j->num; i++)
        for (int k = 0; k < j->stages[i].num_parts; k++)
            s->spots[j->stages[i].parts[k]].swallowed = true;
    const size_t end = bli_join_end(&j->stages[j->num - 1]);
    s->spots[j->stages[0].sum].early = j->stages[0].early;
    s->spots[end].swallowed = false;
    s->spots[end].join = j;
    return BL_OK;
}

static bl_status find_chains(bli_tf_session *s, found *f)
{
    BLI_TRY(make_room(s, f));
    find_stages(s, f);
    link_stages(s, f);
    for (int i = 0; i < f->num; i++)
        for (int rest = f->before[i] == NONE ? i : NONE; rest != NONE;)
            BLI_TRY(close_chain(s, f, rest, &rest));
    return BL_OK;
}

bl_status bli_tf_join_find(bli_tf_session *s)
{
    found f = {.num = 0};
    const bl_status status = find_chains(s, &f);
    bli_free(s->ctx, f.stages);
    bli_free(s->ctx, f.how);
    bli_free(s->ctx, f.next);
    bli_free(s->ctx, f.before);
    bli_free(s->ctx, f.at);
    return status;
}
