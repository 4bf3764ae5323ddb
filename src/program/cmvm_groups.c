/* cmvm_groups.c: see the header. */
#include "program/cmvm_groups.h"
#include "program/csd.h"

static void count_uses(bli_cmvm_groups *s)
{
    const bli_adder_graph *g = s->g;
    for (int32_t v = g->num_inputs; v < g->num_nodes; v++)
        for (int t = 0; t < g->nodes[v].num_terms; t++)
            s->uses[g->nodes[v].term[t].node]++;
    for (int32_t j = 0; j < g->num_outputs; j++)
        if (g->outputs[j].node >= 0)
            s->uses[g->outputs[j].node] += 2;
}

bl_status bli_cmvm_groups_make(const bli_adder_graph *g, bli_cmvm_groups *out)
{
    const size_t n = (size_t)g->num_nodes;
    *out = (bli_cmvm_groups){.g = g};
    BLI_TRY(bli_arena_create(g->ctx, &out->arena));
    out->uses = bli_arena_array(out->arena, n, sizeof *out->uses);
    out->gone = bli_arena_array(out->arena, n, sizeof *out->gone);
    out->factor = bli_arena_array(out->arena, n, sizeof *out->factor);
    out->listed = bli_arena_array(out->arena, n, sizeof *out->listed);
    out->touched = bli_arena_array(out->arena, n, sizeof *out->touched);
    if (!out->uses || !out->gone || !out->factor || !out->listed || !out->touched) {
        bli_cmvm_groups_free(out);
        return BL_NO_MEMORY;
    }
    count_uses(out);
    return BL_OK;
}

void bli_cmvm_groups_free(bli_cmvm_groups *s)
{
    bli_arena_destroy(s->arena);
    s->arena = NULL;
}

/* Adds factor x (the node's sum) to the row. */
static void gather(bli_cmvm_groups *s, const bli_adder_node *n, int64_t factor, int64_t *constant)
{
    *constant += factor * n->constant;
    for (int t = 0; t < n->num_terms; t++) {
        const bli_adder_term *x = &n->term[t];
        const int64_t own = factor * ((int64_t)1 << x->shift) * (x->negative ? -1 : 1);
        if (bli_cmvm_is_inside(s, x->node)) {
            gather(s, &s->g->nodes[x->node], own, constant);
            continue;
        }
        if (!s->listed[x->node]) {
            s->listed[x->node] = true;
            s->touched[s->num_touched++] = x->node;
        }
        s->factor[x->node] += own;
    }
}

static int64_t mapped_factor(const bli_cmvm_groups *s, int32_t v, const bli_adder_term *map)
{
    if (map == NULL)
        return s->factor[v];
    return s->factor[v] * ((int64_t)1 << map[v].shift) * (map[v].negative ? -1 : 1);
}

bl_status bli_cmvm_groups_row(bli_cmvm_groups *s, int32_t v, const bli_adder_term *map, bli_cmvm_row *row)
{
    size_t digits = 0;
    *row = (bli_cmvm_row){.limit = s->g->nodes[v].depth};
    s->num_touched = 0;
    gather(s, &s->g->nodes[v], 1, &row->constant);
    for (int32_t k = 0; k < s->num_touched; k++)
        digits += (size_t)bli_csd_digits(s->factor[s->touched[k]]);
    row->terms = bli_arena_array(s->arena, digits, sizeof *row->terms);
    for (int32_t k = 0; k < s->num_touched; k++) {
        const int32_t w = s->touched[k];
        if (row->terms != NULL && s->factor[w] != 0)
            bli_cmvm_add_digits(row, map == NULL ? w : map[w].node, mapped_factor(s, w, map));
        s->factor[w] = 0;
        s->listed[w] = false;
    }
    return row->terms == NULL ? BL_NO_MEMORY : BL_OK;
}

void bli_cmvm_groups_outputs(const bli_cmvm_groups *s, const bli_adder_term *map, bli_adder_graph *to)
{
    for (int32_t j = 0; j < s->g->num_outputs; j++) {
        const bli_adder_output *y = &s->g->outputs[j];
        to->outputs[j] = *y;
        if (y->node < 0)
            continue;
        const bli_adder_term *t = &map[y->node];
        to->outputs[j] = (bli_adder_output){t->node, y->shift + t->shift, y->negative != t->negative, 0};
    }
}
