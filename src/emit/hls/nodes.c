/* nodes.c: what every wire is called and of which type it is. */
#include <stdio.h>

#include "emit/hls/hls.h"

static bl_status take(bli_hls *h, const char *base, const char *after, const char **out)
{
    char wanted[BLI_NAME_LONGEST + 64];
    snprintf(wanted, sizeof wanted, "%s%s", base, after);
    return bli_names_take(h->job->names, wanted, out);
}

/* Ports are called after the graph's inputs and outputs. */
static bl_status name_ports(bli_hls *h)
{
    h->x = bli_arena_array(h->arena, (size_t)h->p->num_inputs + 1, sizeof *h->x);
    h->y = bli_arena_array(h->arena, (size_t)h->p->num_outputs + 1, sizeof *h->y);
    if (h->x == NULL || h->y == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < h->p->num_inputs; i++) {
        const char *name = h->p->inputs[i].name;
        BLI_TRY(take(h, name != NULL ? name : "input", "", &h->x[i]));
        h->nodes[h->p->inputs[i].wire].name = h->x[i];
    }
    for (int i = 0; i < h->p->num_outputs; i++) {
        const char *name = h->p->outputs[i].name;
        BLI_TRY(take(h, name != NULL ? name : "output", "_output", &h->y[i]));
    }
    return BL_OK;
}

static void put_type(bli_hls *h, const bli_node *n, const bli_wire *w)
{
    char exact[BLI_TYPE_ROOM], shape[128], name[96];
    bli_type_exact(bli_reach_wire(w), exact);
    bl_shape_print(&w->shape, shape, sizeof shape);
    bli_text_put(&h->defines, "// %s: %s, codes", bli_text_safe(w->name, name, sizeof name), shape);
    if (w->exp != 0)
        bli_text_put(&h->defines, " times 2^%d", w->exp);
    bli_text_put(&h->defines, "\n");
    if (h->stream)
        bli_text_line(&h->defines, "typedef bl_beat<%s, %lld> %s;", exact, (long long)n->beat, n->type);
    else
        bli_text_line(&h->defines, "typedef %s %s;", exact, n->type);
}

static bl_status make_node(bli_hls *h, const bli_wire *w, const char *base)
{
    bli_node *n = &h->nodes[h->p->ops[w->producer].out];
    BLI_TRY(take(h, base, "_t", &n->type));
    n->beat = w->shape.rank > 0 ? w->shape.dim[w->shape.rank - 1] : 1;
    put_type(h, n, w);
    return BL_OK;
}

/* What is done outside: a real number of an input to its code. */
static void describe_input(bli_hls *h, int i)
{
    const bli_input *in = &h->p->inputs[i];
    char format[80];
    bl_format_print(&in->format, format, sizeof format);
    bli_text_line(&h->defines, "// input %s: real * %.9g + %.9g, then %s with step %.9g and zero point %lld", h->x[i],
                  in->scale, in->offset, format, in->grid.scale * bl_format_step(&in->format),
                  (long long)in->grid.zero_point);
}

static void put_reals(bli_hls *h, const char *what, const double *values, int64_t count)
{
    bli_text_put(&h->defines, "//     %s:", what);
    for (int64_t c = 0; c < count; c++)
        bli_text_put(&h->defines, " %.17g", values[c]);
    bli_text_put(&h->defines, "\n");
}

/* And a code of an output to its real number. */
static void describe_output(bli_hls *h, int i)
{
    const bli_output *o = &h->p->outputs[i];
    char cut[96];
    if (o->scale == NULL)
        bli_text_line(&h->defines, "// output %s: real = code * 2^%d", h->y[i], h->p->wires[o->wire].exp);
    else
        bli_text_line(&h->defines, "// output %s: real = code * scale%s, in %s", h->y[i],
                      o->offset != NULL ? " + offset" : "", o->wide ? "float64" : "float32");
    if (o->scale != NULL)
        put_reals(h, "scale", o->scale, o->channels);
    if (o->scale != NULL && o->offset != NULL)
        put_reals(h, "offset", o->offset, o->channels);
    for (int k = 0; k < o->num_steps; k++) {
        const char what[] = {'t', 'h', 'e', 'n', ' ', o->steps[k].op, '\0'};
        put_reals(h, what, o->steps[k].number, o->channels);
    }
    if (o->cut != NULL)
        bli_text_line(&h->defines, "//     left out behind it: %s", bli_text_safe(o->cut, cut, sizeof cut));
}

/* How many read each root: group inputs, then outputs. */
static void count_sinks(bli_hls *h)
{
    for (int i = 0; i < h->groups.count; i++)
        for (int k = 0; k < h->groups.at[i].num_in; k++)
            h->nodes[h->groups.root[h->groups.at[i].in[k]]].num_sinks++;
    for (int i = 0; i < h->p->num_outputs; i++)
        h->nodes[h->groups.root[h->p->outputs[i].wire]].num_sinks++;
}

static bl_status add_sink(bli_hls *h, int wire, const char *name)
{
    bli_node *n = &h->nodes[h->groups.root[wire]];
    if (n->sinks == NULL) {
        n->sinks = bli_arena_array(h->arena, (size_t)n->num_sinks + 1, sizeof *n->sinks);
        if (n->sinks == NULL)
            return BL_NO_MEMORY;
        n->num_sinks = 0;
    }
    n->sinks[n->num_sinks++] = name;
    return BL_OK;
}

/* A stream has one reader: one that has more is copied to one stream for each. */
static bl_status make_sinks(bli_hls *h)
{
    count_sinks(h);
    for (int i = 0; i < h->groups.count; i++)
        for (int k = 0; k < h->groups.at[i].num_in; k++) {
            int root = h->groups.root[h->groups.at[i].in[k]];
            const bli_node *n = &h->nodes[root];
            const char *name = n->name;
            bool many = n->sinks != NULL || n->num_sinks > 1;
            if (bli_hls_is_const(h, root))
                continue;
            if (many)
                BLI_TRY(take(h, n->name, "_copy", &name));
            BLI_TRY(add_sink(h, root, name));
        }
    for (int i = 0; i < h->p->num_outputs; i++)
        BLI_TRY(add_sink(h, h->p->outputs[i].wire, h->y[i]));
    for (int i = 0; i < h->p->num_wires; i++)
        if (h->nodes[i].sinks == NULL)
            h->nodes[i].num_sinks = 0; /* tables are read where they are */
    return BL_OK;
}

/* Where an output is the only reader, its port is what the producer writes; in parallel, the first of several too. */
static void meet_ports(bli_hls *h)
{
    for (int i = h->p->num_outputs - 1; i >= 0; i--) {
        int root = h->groups.root[h->p->outputs[i].wire];
        bli_node *n = &h->nodes[root];
        bli_prim kind = h->p->ops[bli_hls_root(h, root)->producer].kind;
        if (kind == BLI_PRIM_INPUT || kind == BLI_PRIM_CONST || (h->stream && n->num_sinks != 1))
            continue;
        n->name = h->y[i];
        n->local = false;
    }
}

bl_status bli_hls_nodes(bli_hls *h)
{
    h->nodes = bli_arena_array(h->arena, (size_t)h->p->num_wires + 1, sizeof *h->nodes);
    if (h->nodes == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(name_ports(h));
    for (int i = 0; i < h->p->num_inputs; i++)
        BLI_TRY(make_node(h, &h->p->wires[h->p->inputs[i].wire], h->x[i]));
    for (int i = 0; i < h->p->num_ops; i++)
        if (h->p->ops[i].kind == BLI_PRIM_CONST) {
            const bli_wire *w = &h->p->wires[h->p->ops[i].out];
            bli_node *n = &h->nodes[h->p->ops[i].out];
            BLI_TRY(make_node(h, w, w->name));
            n->name = bli_body_table(&h->body, &h->p->ops[i], "value", h->p->ops[i].weight, w->count);
        }
    for (int i = 0; i < h->groups.count; i++) {
        const bli_group *g = &h->groups.at[i];
        bli_node *n = &h->nodes[h->p->ops[g->out->producer].out];
        BLI_TRY(make_node(h, g->out, g->name));
        BLI_TRY(take(h, g->name, "_out", &n->name));
        n->local = true;
    }
    for (int i = 0; i < h->p->num_inputs; i++)
        describe_input(h, i);
    for (int i = 0; i < h->p->num_outputs; i++)
        describe_output(h, i);
    BLI_TRY(make_sinks(h));
    meet_ports(h);
    return h->failed;
}
