/* form.c: the new graph, built node by node beside the old one. */
#include <stdio.h>
#include <string.h>

#include "op/infer.h"
#include "run/form_impl.h"
#include "run/plan.h"

double *bli_form_numbers(bli_form *f, int64_t n, double fill)
{
    double *v = bli_arena_array(f->arena, (size_t)n + 1, sizeof *v);
    for (int64_t i = 0; v && i < n; i++)
        v[i] = fill;
    return v;
}

/* base/tail, or NULL (a fresh name) where either graph has it. */
static const char *free_name(const bli_form *f, const char *base, const char *tail, char *buf, size_t size)
{
    snprintf(buf, size, "%s/%s", base, tail);
    const bool taken = bl_graph_find_value(f->from, buf) >= 0 || bl_graph_find_value(f->to, buf) >= 0 ||
                       bl_graph_find_node(f->from, buf) >= 0 || bl_graph_find_node(f->to, buf) >= 0;
    return taken ? NULL : buf;
}

bl_status bli_form_emit(bli_form *f, const bl_node *spec, const char *base, const char *tail, int *id)
{
    char buf[256];
    bl_node n = *spec;
    n.num_outputs = 1;
    n.name = tail ? free_name(f, base, tail, buf, sizeof buf) : base;
    return bl_graph_add_node(f->to, &n, n.name && tail ? (const char *[]){buf} : NULL, id);
}

bl_status bli_form_constant(bli_form *f, const bl_tensor *t, const char *base, const char *tail, int *id)
{
    char buf[256];
    const char *name = tail ? free_name(f, base, tail, buf, sizeof buf) : base;
    return bl_graph_add_tensor(f->to, name, BL_ROLE_CONSTANT, "", t, id);
}

bl_status bli_form_vector(bli_form *f, const double *v, int64_t n, const char *base, const char *tail, int *id)
{
    float *data = bli_arena_array(f->arena, (size_t)n + 1, sizeof *data);
    if (!data)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)v[i];
    return bli_form_constant(f, &(bl_tensor){BL_F32, {1, {n}}, data}, base, tail, id);
}

/* ---- values --------------------------------------------------------------------------------------------------- */
static bl_status affine_of(bli_form *f, int value, int *id)
{
    const bli_linear *l = &f->linear[value];
    const char *name = bli_form_value(f, value)->name;
    int in[3] = {l->codes, -1, -1};
    const bool quotient = l->divisor > 0, only = quotient && l->n == 1 && l->scale[0] == 1 && !l->offset;
    if (quotient) {
        BLI_TRY(bli_form_vector(f, &l->divisor, 1, name, "count", &in[1]));
        const bl_node mean = {.type = "Div", .domain = "", .inputs = in, .num_inputs = 2, .num_outputs = 1};
        if (only)
            return bl_graph_add_node(f->to, &mean, &name, id);
        BLI_TRY(bli_form_emit(f, &mean, name, "mean", &in[0]));
    }
    BLI_TRY(bli_form_vector(f, l->scale, l->n, name, "scale", &in[1]));
    if (l->offset)
        BLI_TRY(bli_form_vector(f, l->offset, l->n, name, "offset", &in[2]));
    bl_node n = {
        .type = "Affine", .domain = BLI_DOMAIN_OWN, .inputs = in, .num_inputs = l->offset ? 3 : 2, .num_outputs = 1};
    char buf[256];
    n.name = free_name(f, name, "affine", buf, sizeof buf);
    return bl_graph_add_node(f->to, &n, &name, id);
}

bl_status bli_form_plain(bli_form *f, int value, int *id)
{
    *id = -1;
    if (value < 0)
        return BL_OK;
    const bl_value *v = bli_form_value(f, value);
    if (f->plain[value] < 0 && bli_is_linear(f, value) && v->producer >= 0 && !f->known[value].data)
        BLI_TRY(affine_of(f, value, &f->plain[value]));
    else if (f->plain[value] < 0 && v->role == BL_ROLE_COMPUTED && f->known[value].data)
        BLI_TRY(bli_form_constant(f, &f->known[value], v->name, NULL, &f->plain[value]));
    else if (f->plain[value] < 0 && v->data)
        BLI_TRY(bl_graph_add_tensor(f->to, v->name, v->role, v->place, &(bl_tensor){v->type, v->shape, v->data},
                                    &f->plain[value]));
    *id = f->plain[value];
    return *id >= 0 ? BL_OK : bli_fail(f->ctx, BL_BAD_MODEL, "value '%s' is used before it is computed", v->name);
}

bl_status bli_form_begin(bli_form *f, int value)
{
    bli_linear *l = &f->linear[value];
    int id;
    BLI_TRY(bli_form_plain(f, value, &id));
    *l = (bli_linear){.codes = -1, .n = 1, .scale = bli_form_numbers(f, 1, 1), .axis = -1};
    if (!l->scale)
        return BL_NO_MEMORY;
    l->codes = id;
    return BL_OK;
}

bool bli_form_leaves(const bli_form *f, int value)
{
    static const char *const real[] = {"Add",  "Sub",      "Mul",     "Div",     "BatchNormalization",
                                       "Relu", "Identity", "Flatten", "Reshape", "Softmax"};
    for (int hops = 0; hops < 16; hops++) {
        if (bli_graph_num_uses(f->from, value) != 1)
            return false;
        if (bli_graph_is_output(f->from, value))
            return true;
        const bl_node *n = bl_graph_node(f->from, bli_graph_first_user(f->from, value));
        bool known = false;
        for (size_t i = 0; i < BLI_COUNT(real); i++)
            known = known || strcmp(real[i], n->type) == 0;
        if (!known)
            return false;
        value = n->outputs[0];
    }
    return false;
}

bl_status bli_form_copy(bli_form *f, int node)
{
    const bl_node *n = bl_graph_node(f->from, node);
    int *in = bli_arena_array(f->arena, (size_t)n->num_inputs + 1, sizeof *in);
    int *out = bli_arena_array(f->arena, (size_t)n->num_outputs + 1, sizeof *out);
    const char **names = bli_arena_array(f->arena, (size_t)n->num_outputs + 1, sizeof *names);
    if (!in || !out || !names)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->num_inputs; i++)
        BLI_TRY(bli_form_plain(f, n->inputs[i], &in[i]));
    for (int o = 0; o < n->num_outputs; o++)
        names[o] = bli_form_value(f, n->outputs[o])->name;
    bl_node copy = *n;
    copy.inputs = in;
    BLI_TRY(bl_graph_add_node(f->to, &copy, names, out));
    for (int o = 0; o < n->num_outputs; o++)
        f->plain[n->outputs[o]] = out[o];
    return BL_OK;
}

bl_status bli_form_over_codes(bli_form *f, int node, const int *inputs, int count, int *codes)
{
    bl_node n = *bl_graph_node(f->from, node);
    const char *name = bli_form_value(f, n.outputs[0])->name;
    n.inputs = inputs;
    n.num_inputs = count;
    return bli_form_emit(f, &n, name, "codes", codes);
}

/* ---- walk ----------------------------------------------------------------------------------------------------- */
static bool is_whole(const bli_form *f, const bl_node *n)
{
    for (int i = 0; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0 && !f->known[n->inputs[i]].data)
            return false;
    return n->num_inputs > 0;
}

static bl_status walk_node(bli_form *f, int node, bool keep)
{
    const bl_node *n = bl_graph_node(f->from, node);
    bool done = false;
    double accumulator;
    BLI_TRY(bli_infer_node_ranges(f->ctx, f->from, n, f->ranges, &accumulator));
    if (is_whole(f, n)) {
        BLI_TRY(bli_form_whole(f, node));
        const bl_tensor *t = &f->known[n->outputs[0]];
        if (t->data)
            f->ranges[n->outputs[0]] =
                bli_constant_range(&(bl_value){.type = t->type, .shape = t->shape, .data = t->data});
        done = f->known[n->outputs[0]].data != NULL && !keep;
    } else {
        BLI_TRY(bli_form_quantizer(f, node, &done));
        if (!done)
            BLI_TRY(bli_form_product(f, node, &done));
        if (!done)
            BLI_TRY(bli_form_table(f, node, &done));
        if (!done)
            BLI_TRY(bli_form_rule(f, node, &done));
    }
    if (!done)
        BLI_TRY(bli_form_copy(f, node));
    for (int o = 0; keep && o < n->num_outputs; o++) {
        int unused;
        BLI_TRY(bli_form_plain(f, n->outputs[o], &unused));
    }
    return BL_OK;
}

static bl_status start_values(bli_form *f)
{
    for (int v = 0; v < bl_graph_num_values(f->from); v++) {
        const bl_value *value = bli_form_value(f, v);
        f->plain[v] = f->linear[v].codes = -1;
        f->ranges[v] = bli_constant_range(value);
        if (value->data)
            f->known[v] = (bl_tensor){value->type, value->shape, value->data};
    }
    for (int i = 0; i < bl_graph_num_inputs(f->from); i++) {
        const int v = bl_graph_input(f->from, i);
        const bl_value *value = bli_form_value(f, v);
        BLI_TRY(bl_graph_add_input(f->to, value->name, value->type, &value->shape, &f->plain[v]));
    }
    return BL_OK;
}

static bl_status finish(bli_form *f)
{
    const int count = bl_graph_num_outputs(f->from);
    int *outputs = bli_arena_array(f->arena, (size_t)count + 1, sizeof *outputs);
    if (!outputs)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++)
        BLI_TRY(bli_form_plain(f, bl_graph_output(f->from, i), &outputs[i]));
    for (int i = 0; i < bl_graph_num_meta(f->from); i++) {
        const char *key, *value;
        bl_graph_meta_at(f->from, i, &key, &value);
        BLI_TRY(bl_graph_set_meta(f->to, key, value));
    }
    BLI_TRY(bl_graph_set_outputs(f->to, outputs, count));
    return bl_graph_infer(f->to);
}

/* Quantizers whose codes are all that is used are dead, but not kept values. */
static bl_status build(bli_form *f, bool keep)
{
    const size_t values = (size_t)bl_graph_num_values(f->from) + 1;
    f->plain = bli_arena_array(f->arena, values, sizeof *f->plain);
    f->linear = bli_arena_array(f->arena, values, sizeof *f->linear);
    f->known = bli_arena_array(f->arena, values, sizeof *f->known);
    f->ranges = bli_arena_array(f->arena, values, sizeof *f->ranges);
    if (!f->plain || !f->linear || !f->known || !f->ranges)
        return BL_NO_MEMORY;
    BLI_TRY(start_values(f));
    for (int i = 0; i < bl_graph_num_nodes(f->from); i++)
        BLI_TRY(bli_within(f->ctx, walk_node(f, i, keep), "node '%s'", bl_graph_node(f->from, i)->name));
    return finish(f);
}

bl_status bli_evaluation_form(const bl_graph *g, bool keep, bl_graph **out)
{
    *out = NULL;
    bli_form f = {.ctx = bl_graph_context(g)};
    bl_status s = bli_arena_create(f.ctx, &f.arena);
    if (s == BL_OK)
        s = bl_graph_clone(g, &f.from);
    if (s == BL_OK)
        s = bl_graph_infer(f.from);
    if (s == BL_OK)
        s = bl_graph_create(f.ctx, bl_graph_name(g), &f.to);
    if (s == BL_OK)
        s = build(&f, keep);
    bl_graph_destroy(f.from);
    bli_arena_destroy(f.arena);
    if (s != BL_OK) {
        bl_graph_destroy(f.to);
        return s;
    }
    *out = f.to;
    return BL_OK;
}
