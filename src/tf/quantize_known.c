/* quantize_known.c: what quantize_nodes knows of the graph whose nodes it quantizes: shapes, and who reads what. */
#include <string.h>

#include "tf/quantize_op.h"

static void read_by(const bli_tg_readers *r, size_t at, int port, size_t reader)
{
    r->count[at]++;
    r->last[at] = reader;
    if (port != 0)
        r->others[at] = true;
}

static bl_status find_readers(bli_tg_quantizer *q, bli_arena *arena)
{
    const bli_tf_graph *g = q->g;
    bli_tg_readers *r = &q->readers;
    r->count = bli_arena_array(arena, g->num_nodes + 1, sizeof *r->count);
    r->last = bli_arena_array(arena, g->num_nodes + 1, sizeof *r->last);
    r->others = bli_arena_array(arena, g->num_nodes + 1, sizeof *r->others);
    if (!r->count || !r->last || !r->others)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < g->num_nodes; i++) {
        r->count[i] = 0;
        r->others[i] = false;
    }
    for (size_t i = 0; i < g->num_nodes; i++)
        for (size_t k = 0; k < g->nodes[i]->num_inputs; k++) {
            const bli_tf_ref ref = bli_tf_ref_parse(g->nodes[i]->inputs[k]);
            const size_t at = bli_tf_index_find(&q->ix, ref.name, ref.size);
            if (at != SIZE_MAX)
                read_by(r, at, ref.port, i);
        }
    for (size_t i = 0; i < q->job->outputs.count; i++) {
        const bli_tf_ref ref = bli_tf_ref_parse(q->job->outputs.at[i]);
        const size_t at = bli_tf_index_find(&q->ix, ref.name, ref.size);
        if (at != SIZE_MAX)
            read_by(r, at, ref.port, SIZE_MAX);
    }
    return BL_OK;
}

bl_status bli_tg_know(bli_tg_quantizer *q, bli_arena *arena)
{
    const bl_status s = bli_tf_infer_graph(q->g, arena, &q->shapes);
    return s == BL_NO_MEMORY ? s : find_readers(q, arena);
}

static size_t place_of(const bli_tg_quantizer *q, const char *input)
{
    const bli_tf_ref r = bli_tf_ref_parse(input);
    return bli_tf_index_find(&q->ix, r.name, r.size);
}

const bli_tf_node *bli_tg_node_of(const bli_tg_quantizer *q, const char *input)
{
    const size_t at = place_of(q, input);
    return at == SIZE_MAX ? NULL : q->g->nodes[at];
}

const bl_shape *bli_tg_some_shape_of(const bli_tg_quantizer *q, const char *input)
{
    const int port = bli_tf_ref_parse(input).port;
    const size_t at = q->shapes.out ? place_of(q, input) : SIZE_MAX;
    const bool there = at != SIZE_MAX && port >= 0 && port < q->shapes.num_out[at];
    const bl_shape *s = there ? &q->shapes.out[at][port].shape : NULL;
    return s && s->rank >= 0 ? s : NULL;
}

const bl_shape *bli_tg_shape_of(const bli_tg_quantizer *q, const char *input)
{
    const bl_shape *s = bli_tg_some_shape_of(q, input);
    return s && bli_tf_known(s) ? s : NULL;
}

const bli_tf_node *bli_tg_only_reader(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const size_t at = place_of(q, n->name);
    const bli_tg_readers *r = &q->readers;
    const bool one = r->count && at != SIZE_MAX && r->count[at] == 1 && !r->others[at] && r->last[at] != SIZE_MAX;
    return one ? q->g->nodes[r->last[at]] : NULL;
}

bool bli_tg_only_first_read(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const size_t at = place_of(q, n->name);
    return q->readers.count && at != SIZE_MAX && !q->readers.others[at];
}

static bool is_row_of(const bl_shape *row, const bl_shape *all)
{
    return row->rank == 1 && all->rank > 0 && row->dim[0] == all->dim[all->rank - 1];
}

bool bli_tg_sum_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    if (bli_tg_data_inputs(n) != 2)
        return true;
    const bl_shape *a = bli_tg_shape_of(q, n->inputs[0]), *b = bli_tg_shape_of(q, n->inputs[1]);
    if (!a || !b || bl_shape_count(a) == 1 || bl_shape_count(b) == 1 || is_row_of(a, b) || is_row_of(b, a))
        return true;
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dim[i] == b->dim[i];
    return same;
}

bool bli_tg_is_ignored(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    return bli_tg_arg_count(q->job, "ignore_op") && bli_tg_arg_has(q->job, "ignore_op", n->op);
}
