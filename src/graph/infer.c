/* infer.c: types and shapes of computed values, and every rule of a graph.
 *
 * Inference works on a view, a copy of the values' descriptions, so that checking a graph (verify) and filling it in
 * (infer) are one walk: infer copies the view back, verify compares it.
 */
#include <string.h>

#include "graph/impl.h"

enum { MAX_IN = 8, MAX_OUT = 4 };

static const char *const kind_names[] = {"an integer",        "a number",        "a text",  "a list of integers",
                                         "a list of numbers", "a list of texts", "a tensor"};

static const bli_attr_spec *find_spec(const bli_schema *schema, const char *name)
{
    for (const bli_attr_spec *a = schema->attrs; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static bl_status check_attrs(bl_graph *g, const bl_node *n, const bli_schema *schema)
{
    if (!schema->attrs)
        return BL_OK;
    for (int i = 0; i < n->num_attrs; i++) {
        const bl_attr *a = &n->attrs[i];
        const bli_attr_spec *spec = find_spec(schema, a->name);
        if (!spec)
            return bli_fail(g->ctx, BL_BAD_MODEL, "%s has no attribute '%s'", n->type, a->name);
        if (a->kind != spec->kind)
            return bli_fail(g->ctx, BL_BAD_MODEL, "attribute %s: it is %s, expected %s", a->name, kind_names[a->kind],
                            kind_names[spec->kind]);
        for (int k = 0; k < i; k++)
            if (strcmp(n->attrs[k].name, a->name) == 0)
                return bli_fail(g->ctx, BL_BAD_MODEL, "attribute %s: it is there twice", a->name);
    }
    for (const bli_attr_spec *a = schema->attrs; a->name; a++)
        if (a->required && !bl_node_attr(n, a->name))
            return bli_fail(g->ctx, BL_BAD_MODEL, "attribute %s is missing", a->name);
    return BL_OK;
}

static bl_status check_counts(bl_graph *g, const bl_node *n, const bli_schema *schema)
{
    if (n->num_inputs < schema->min_inputs || n->num_inputs > schema->max_inputs)
        return bli_fail(g->ctx, BL_BAD_MODEL, "%s has %d inputs, expected %d to %d", n->type, n->num_inputs,
                        schema->min_inputs, schema->max_inputs);
    if (n->num_inputs > MAX_IN)
        return bli_fail(g->ctx, BL_LIMIT, "%s has %d inputs, at most %d are possible", n->type, n->num_inputs, MAX_IN);
    if (n->num_outputs < 1 || n->num_outputs > schema->num_outputs || n->num_outputs > MAX_OUT)
        return bli_fail(g->ctx, BL_BAD_MODEL, "%s has %d outputs, expected 1 to %d", n->type, n->num_outputs,
                        schema->num_outputs);
    for (int i = 0; i < schema->min_inputs; i++)
        if (n->inputs[i] < 0)
            return bli_fail(g->ctx, BL_BAD_MODEL, "input %d is absent, but %s needs it", i, n->type);
    return BL_OK;
}

static bl_status fill_inputs(const bl_graph *g, int id, const bl_value *view, bli_infer *call)
{
    const bl_node *n = call->node;
    for (int i = 0; i < n->num_inputs; i++) {
        if (n->inputs[i] < 0)
            continue;
        const bl_value *v = &view[n->inputs[i]];
        if (!v->name)
            return bli_fail(g->ctx, BL_BAD_MODEL, "input %d was removed", i);
        if (v->role == BL_ROLE_COMPUTED && (v->producer < 0 || v->producer >= id))
            return bli_fail(g->ctx, BL_BAD_MODEL, "input %d, '%s', is used before it is made", i, v->name);
        call->in[i] = v;
    }
    return BL_OK;
}

static bl_status check_shapes(const bl_graph *g, const bl_node *n, const bli_infer *call)
{
    for (int i = 0; i < n->num_outputs; i++) {
        const bl_shape *s = &call->out_shape[i];
        if (s->rank < 0 || s->rank > BL_MAX_RANK || (unsigned)call->out_type[i] >= BL_DTYPE_COUNT)
            return bli_fail(g->ctx, BL_BAD_MODEL, "output %d has no shape of rank 0 to %d", i, BL_MAX_RANK);
    }
    return BL_OK;
}

static bl_status infer_node(bl_graph *g, int id, bli_schema_fn schemas, bl_value *view)
{
    const bl_node *n = &g->nodes[id]->node;
    const bli_schema *schema = schemas(n->type, n->domain);
    if (!schema)
        return bli_fail(g->ctx, BL_UNSUPPORTED, "operator %s%s%s is not known", n->domain, n->domain[0] ? "." : "",
                        n->type);
    BLI_TRY(check_counts(g, n, schema));
    BLI_TRY(check_attrs(g, n, schema));
    bli_infer call = {.ctx = g->ctx, .node = n};
    BLI_TRY(fill_inputs(g, id, view, &call));
    for (int i = 0; i < MAX_OUT; i++)
        call.out_shape[i].rank = -1;
    BLI_TRY(schema->infer(&call));
    BLI_TRY(check_shapes(g, n, &call));
    for (int i = 0; i < n->num_outputs; i++) {
        view[n->outputs[i]].type = call.out_type[i];
        view[n->outputs[i]].shape = call.out_shape[i];
    }
    return BL_OK;
}

/* A view of all values after inference; freed with bli_free. */
static bl_status infer_view(bl_graph *g, bli_schema_fn schemas, bl_value **out)
{
    bl_value *view = bli_alloc_array(g->ctx, g->num_values, sizeof *view);
    if (!view)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < g->num_values; i++) {
        view[i] = g->values[i]->value;
        if (view[i].role == BL_ROLE_COMPUTED)
            view[i].shape.rank = -1;
    }
    bl_status s = BL_OK;
    for (size_t i = 0; i < g->num_nodes && s == BL_OK; i++)
        if (g->nodes[i]->node.type)
            s = bli_within(g->ctx, infer_node(g, (int)i, schemas, view), "node '%s'", g->nodes[i]->node.name);
    if (s != BL_OK) {
        bli_free(g->ctx, view);
        return s;
    }
    *out = view;
    return BL_OK;
}

bl_status bli_graph_infer(bl_graph *g, bli_schema_fn schemas)
{
    bl_value *view;
    BLI_TRY(infer_view(g, schemas, &view));
    for (size_t i = 0; i < g->num_values; i++) {
        g->values[i]->value.type = view[i].type;
        g->values[i]->value.shape = view[i].shape;
    }
    bli_free(g->ctx, view);
    return BL_OK;
}

/* ---- verify ------------------------------------------------------------------------------------------------- */

static bl_status verify_value(bl_graph *g, int id)
{
    const bl_value *v = &g->values[id]->value;
    if (bl_graph_find_value(g, v->name) != id)
        return bli_fail(g->ctx, BL_BAD_MODEL, "the name belongs to another value too");
    if ((unsigned)v->type >= BL_DTYPE_COUNT || v->shape.rank < -1 || v->shape.rank > BL_MAX_RANK)
        return bli_fail(g->ctx, BL_BAD_MODEL, "its type or rank is out of range");
    bool holds = v->role != BL_ROLE_INPUT && v->role != BL_ROLE_COMPUTED;
    if (holds && (v->shape.rank < 0 || bl_shape_count(&v->shape) < 0 || !v->data))
        return bli_fail(g->ctx, BL_BAD_MODEL, "it needs data and a shape without unknowns");
    if (!holds && v->data)
        return bli_fail(g->ctx, BL_BAD_MODEL, "an input or computed value cannot hold data");
    if ((v->role == BL_ROLE_COMPUTED) != (v->producer >= 0))
        return bli_fail(g->ctx, BL_BAD_MODEL,
                        v->producer < 0 ? "nothing makes it" : "a node makes it, yet it has data");
    return BL_OK;
}

static bl_status verify_links(bl_graph *g, int id)
{
    const bli_node_slot *n = g->nodes[id];
    if (bl_graph_find_node(g, n->node.name) != id)
        return bli_fail(g->ctx, BL_BAD_MODEL, "the name belongs to another node too");
    for (int i = 0; i < n->node.num_inputs; i++) {
        if (n->inputs[i] < -1 || n->inputs[i] >= (int)g->num_values)
            return bli_fail(g->ctx, BL_BAD_MODEL, "input %d is value %d, of %zu", i, n->inputs[i], g->num_values);
        if (n->inputs[i] >= 0 && (n->uses[i] < 0 || g->uses[n->uses[i]].node != id))
            return bli_fail(g->ctx, BL_BAD_MODEL, "input %d is not among its value's uses", i);
    }
    for (int i = 0; i < n->node.num_outputs; i++)
        if (g->values[n->outputs[i]]->value.producer != id)
            return bli_fail(g->ctx, BL_BAD_MODEL, "output %d is made by another node", i);
    return BL_OK;
}

static bl_status verify_structure(bl_graph *g)
{
    for (size_t i = 0; i < g->num_values; i++)
        if (g->values[i]->value.name)
            BLI_TRY(bli_within(g->ctx, verify_value(g, (int)i), "value '%s'", g->values[i]->value.name));
    for (size_t i = 0; i < g->num_nodes; i++)
        if (g->nodes[i]->node.type)
            BLI_TRY(bli_within(g->ctx, verify_links(g, (int)i), "node '%s'", g->nodes[i]->node.name));
    for (size_t i = 0; i < g->num_outputs; i++)
        if (!g->values[g->outputs[i]]->value.name)
            return bli_fail(g->ctx, BL_BAD_MODEL, "output %zu was removed", i);
    return BL_OK;
}

static bl_status compare_view(bl_graph *g, const bl_value *view)
{
    for (size_t i = 0; i < g->num_values; i++) {
        const bl_value *v = &g->values[i]->value;
        if (!v->name || v->role != BL_ROLE_COMPUTED || v->shape.rank < 0)
            continue;
        if (v->type == view[i].type && bl_shape_equal(&v->shape, &view[i].shape))
            continue;
        char has[160], should[160];
        bl_shape_print(&v->shape, has, sizeof has);
        bl_shape_print(&view[i].shape, should, sizeof should);
        return bli_fail(g->ctx, BL_BAD_MODEL, "value '%s' is %s %s, but its node makes %s %s", v->name,
                        bl_dtype_name(v->type), has, bl_dtype_name(view[i].type), should);
    }
    return BL_OK;
}

bl_status bli_graph_verify(const bl_graph *g, bli_schema_fn schemas)
{
    bl_graph *checked = (bl_graph *)g; /* read only below: operators' infer and messages need the context */
    BLI_TRY(verify_structure(checked));
    bl_value *view;
    BLI_TRY(infer_view(checked, schemas, &view));
    bl_status s = compare_view(checked, view);
    bli_free(g->ctx, view);
    return s;
}
