/* prefix.c: see prefix.h.  The map is written as a line, byte * scale + offset, where that gives every one of its 256
 * numbers to the bit: reading is then bound by memory alone.
 */
#include "train/prefix.h"

#include <string.h>

enum { BYTES = 256 };

bli_prefix bli_prefix_none(const bli_plan *p)
{
    return (bli_prefix){.value = bl_graph_input(p->graph, 0)};
}

/* Row i of the one element i: the call of a step that does the same to every element. */
static bli_call call_on_bytes(const bli_plan *p, const bli_pstep *s, float *x)
{
    const bli_place at = {.rows = BYTES, .batch_rows = BYTES, .training = true};
    bli_call c;
    bli_plan_call(p, s, &at, &c);
    c.in[0] = c.out[0] = (bl_tensor){BL_F32, {2, {BYTES, 1}}, x};
    return c;
}

/* Step i takes value v alone, gives the same to each of its elements, and nobody else takes v. */
static bool extends(const bli_plan *p, int i, int v)
{
    const bli_pstep *s = &p->steps[i];
    const bl_node *n = s->run;
    if (n->inputs[0] != v || n->num_outputs != 1 || bli_graph_num_uses(p->graph, v) != 1 ||
        p->values[n->outputs[0]].needs_grad)
        return false;
    for (int k = 1; k < n->num_inputs; k++)
        if (n->inputs[k] >= 0 && bl_graph_value(p->graph, n->inputs[k])->role != BL_ROLE_CONSTANT)
            return false;
    if (s->view)
        return true;
    const bli_call c = call_on_bytes(p, s, NULL);
    return s->op->same_for_all && s->op->same_for_all(&c);
}

static bl_status run_on_bytes(const bli_plan *p, const bli_pstep *s, float *x)
{
    bli_call c = call_on_bytes(p, s, x);
    const size_t size = s->op->scratch ? s->op->scratch(&c) : 0;
    c.scratch = bli_alloc(p->ctx, size + 1);
    if (!c.scratch)
        return BL_NO_MEMORY;
    const bl_status status = s->op->forward(&c);
    bli_free(p->ctx, c.scratch);
    return bli_within(p->ctx, status, "node '%s'", s->run->name);
}

static void find_line(bli_byte_map *m)
{
    m->offset = m->table[0];
    m->scale = m->table[1] - m->table[0];
    m->linear = true;
    for (int i = 0; i < BYTES && m->linear; i++) {
        const float y = (float)i * m->scale + m->offset;
        m->linear = memcmp(&y, &m->table[i], sizeof y) == 0;
    }
}

/* Values that are never made need no room; the last one is there from the start. */
static void take_storage(bli_plan *p, const bli_prefix *x)
{
    const int last = p->values[p->values[x->value].root].storage;
    const int in = p->values[bl_graph_input(p->graph, 0)].storage;
    for (int i = -1; i < x->steps; i++) {
        const int st = i < 0 ? in : p->values[p->values[p->steps[i].run->outputs[0]].root].storage;
        if (st >= 0 && st != last)
            p->storages[st].row_bytes = 0;
    }
    p->storages[last].first = p->storages[in].first;
}

bl_status bli_prefix_find(bli_plan *p, const bl_dataset *d, bli_prefix *out)
{
    bli_prefix x = bli_prefix_none(p);
    *out = x;
    if (p->real != BL_F32 || !bli_dataset_has_bytes(d))
        return BL_OK;
    for (int i = 0; i < BYTES; i++)
        x.map.table[i] = (float)i;
    for (int i = 0; i < p->num_steps && extends(p, i, x.value); i++) {
        if (!p->steps[i].view) {
            BLI_TRY(run_on_bytes(p, &p->steps[i], x.map.table));
            x.mapped = true;
        }
        x.steps = i + 1;
        x.value = p->steps[i].run->outputs[0];
    }
    if (!x.mapped)
        return BL_OK;
    find_line(&x.map);
    take_storage(p, &x);
    *out = x;
    return BL_OK;
}
