/* fixed.c: ranges that are the same at every run, although the codes beside them are not.
 *
 * Where a graph's ranges have been frozen, a Requantize hands on constants beside its bytes, an activation or a pool
 * hands these on, and a product's range follows from its inputs'.  Who reads such a range reads the constant instead;
 * what then depends on constants alone is computed with the schedule.  Values are those of the nodes, which still run,
 * and still refuse what they refuse.
 */
#include <string.h>

#include "tf/eight_op.h"
#include "tf/session_impl.h"

/* Ports 1 and 2 are these inputs, as they are. */
static const struct {
    const char *op;
    int first;
} passes[] = {{"Requantize", 3},       {"QuantizedRelu", 1},    {"QuantizedRelu6", 1},
              {"QuantizedMaxPool", 1}, {"QuantizedAvgPool", 1}, {"QuantizedReshape", 2}};

static const float *scalar(const bli_tf_session *s, bli_tf_wire w)
{
    const bli_tf_spot *p = &s->spots[w.spot];
    if (!p->constant || w.port >= p->num_out)
        return NULL;
    const bli_tf_array *a = &p->out[w.port];
    return a->dtype == BLI_DT_FLOAT && a->shape.rank == 0 ? a->data : NULL;
}

static bool is_product(const bli_tf_spot *p)
{
    return strcmp(p->op->name, "QuantizedConv2D") == 0 || strcmp(p->op->name, "QuantizedMatMul") == 0;
}

bli_tf_wire bli_tf_fixed_wire(const bli_tf_session *s, bli_tf_wire w)
{
    const bli_tf_spot *p = &s->spots[w.spot];
    if (p->constant || p->fed || !p->op || w.port < 1 || w.port > 2)
        return w;
    if (p->range)
        return (bli_tf_wire){p->range, w.port};
    for (size_t i = 0; i < BLI_COUNT(passes); i++)
        if (strcmp(p->op->name, passes[i].op) == 0 && passes[i].first + w.port - 1 < p->num_in) {
            const bli_tf_wire from = p->in[passes[i].first + w.port - 1];
            return scalar(s, from) ? from : w;
        }
    return w;
}

/* A product's range as a constant of its own, in a spot behind those of the nodes. */
static bl_status fix_product(bli_tf_session *s, size_t at)
{
    bli_tf_spot *p = &s->spots[at];
    float v[4], range[2];
    for (int i = 0; i < 4; i++) {
        const float *x = p->num_in == 6 ? scalar(s, p->in[2 + i]) : NULL;
        if (!x)
            return BL_OK;
        v[i] = *x;
    }
    bli_product_range(v, &bli_quint8, v + 2, &bli_quint8, range);
    bli_tf_spot *made = &s->spots[s->g->num_nodes + at];
    float *data = bli_arena_array(s->plan, 2, sizeof *data);
    *made = (bli_tf_spot){.node = p->node, .op = p->op, .num_out = 3, .constant = true};
    made->out = bli_arena_array(s->plan, 3, sizeof *made->out);
    made->uses = bli_arena_array(s->plan, 3, sizeof *made->uses);
    made->uses_planned = bli_arena_array(s->plan, 3, sizeof *made->uses_planned);
    if (!data || !made->out || !made->uses || !made->uses_planned)
        return BL_NO_MEMORY;
    memcpy(data, range, sizeof range);
    for (int k = 1; k < 3; k++)
        made->out[k] = (bli_tf_array){BLI_DT_FLOAT, {0, {0}}, &data[k - 1], NULL};
    p->range = s->g->num_nodes + at;
    return BL_OK;
}

static bool read_fixed(bli_tf_session *s, bli_tf_spot *p)
{
    bool all = p->op && !p->fed && !p->op->stateful;
    for (int i = 0; i < p->num_in; i++) {
        const bli_tf_wire w = bli_tf_fixed_wire(s, p->in[i]);
        if (w.spot != p->in[i].spot) {
            s->spots[p->in[i].spot].uses_planned[p->in[i].port]--;
            s->spots[w.spot].uses_planned[w.port]++;
            p->in[i] = w;
        }
        all = all && s->spots[w.spot].constant;
    }
    return all;
}

bl_status bli_tf_fix_ranges(bli_tf_session *s)
{
    for (size_t i = 0; i < s->num_order; i++) {
        bli_tf_spot *p = &s->spots[s->order[i]];
        if (p->constant || !p->op || p->fed)
            continue;
        if (read_fixed(s, p)) {
            p->constant = true;
            BLI_TRY(bli_tf_session_node(s, p));
        } else if (is_product(p)) {
            BLI_TRY(fix_product(s, s->order[i]));
        }
    }
    return BL_OK;
}
