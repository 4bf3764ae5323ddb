/* transform_api.c: what include/bitlathe/tf.h hands out of the transforms. */
#include <string.h>

#include "bitlathe/tf.h"
#include "tf/transform.h"

/* ---- what is asked for must be there ------------------------------------------------------------------------------
 */

/* The next of names with commas between; "x:1" is x. */
static bool next_name(const char **at, const char **name, size_t *size)
{
    while (**at == ',')
        (*at)++;
    *name = *at;
    *at += strcspn(*at, ",");
    *size = strcspn(*name, ",:");
    return *at > *name;
}

static bl_status no_such_node(const bli_tf_graph *g, const char *what, const char *name, size_t size)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    const char **names = bli_alloc_array(ctx, g->num_nodes + 1, sizeof *names);
    char *own = bli_tf_text_copy(g->store, name, size);
    if (!names || !own) {
        bli_free(ctx, names);
        return BL_NO_MEMORY;
    }
    for (size_t i = 0; i < g->num_nodes; i++)
        names[i] = g->nodes[i]->name;
    const char *near = bli_nearest(own, names, g->num_nodes);
    bl_status s = bli_fail(ctx, BL_NOT_FOUND, "%s '%s' names no node of the graph%s%s%s", what, own,
                           near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    bli_free(ctx, names);
    return s;
}

/* Inputs and outputs that a user names.  What is in neither the graph that came nor the one that goes is an error; a
 * transform may make it, or rename it away. */
typedef struct wanted {
    bl_context *ctx;
    const char *lists[2];
    bool *there; /* of each name */
} wanted;

static size_t names_in(const char *list)
{
    size_t n = 1;
    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

static bl_status look_for(const wanted *w, const bli_tf_graph *g, bool last)
{
    static const char *const what[2] = {"input", "output"};
    bli_tf_index ix;
    const char *name;
    size_t size, k = 0;
    BLI_TRY(bli_tf_index_make(g, &ix));
    bl_status s = BL_OK;
    for (int i = 0; i < 2; i++)
        for (const char *at = w->lists[i] ? w->lists[i] : ""; s == BL_OK && next_name(&at, &name, &size); k++) {
            w->there[k] = w->there[k] || bli_tf_index_find(&ix, name, size) != SIZE_MAX;
            if (last && !w->there[k])
                s = no_such_node(g, what[i], name, size);
        }
    bli_tf_index_free(&ix);
    return s;
}

/* Loops of control flow have a Merge, which need not wait for all its inputs. */
static bl_status check_order(const bli_tf_graph *g)
{
    size_t *order, count;
    return bli_tg_sort(g, false, &order, &count);
}

typedef bl_status (*transform_fn)(bli_tf_store *s, bli_tf_graph **g, const char *transforms, const bli_tg_options *o);

static bl_status checked(bl_graphdef *g, const char *transforms, const bli_tg_options *o, transform_fn run)
{
    bli_tf_graph *const before = g->graph, *empty = bli_tf_graph_make(g->store);
    bl_context *ctx = bli_tf_store_context(g->store);
    wanted w = {ctx, {o->inputs, o->outputs}, bli_alloc(ctx, names_in(o->inputs) + names_in(o->outputs))};
    bl_status s = w.there && empty ? look_for(&w, before, false) : BL_NO_MEMORY;
    if (s == BL_OK)
        s = check_order(before);
    if (s == BL_OK)
        s = run(g->store, &g->graph, transforms, o);
    if (s == BL_OK) {
        s = look_for(&w, g->graph, true);
        if (s != BL_OK)
            g->graph = run == bli_tg_transform ? before : empty;
    }
    bli_free(ctx, w.there);
    return s;
}

static bl_status transform(bl_graphdef *g, const char *transforms, const bl_tf_options *options, transform_fn run)
{
    static const bl_tf_options none = {NULL, NULL, false};
    const bl_tf_options *from = options ? options : &none;
    const bli_tg_options o = {from->compat, from->inputs, from->outputs};
    return o.compat ? run(g->store, &g->graph, transforms, &o) : checked(g, transforms, &o, run);
}

bl_status bl_tf_transform(bl_graphdef *g, const char *transforms, const bl_tf_options *options)
{
    return transform(g, transforms, options, bli_tg_transform);
}

bl_status bl_tf_transform_in_place(bl_graphdef *g, const char *transforms, const bl_tf_options *options)
{
    return transform(g, transforms, options, bli_tg_transform_in_place);
}

bool bl_tf_transform_at(size_t i, bl_tf_info *out)
{
    const bli_tg_pass *p = bli_tg_pass_at(i);
    if (p)
        *out = (bl_tf_info){p->name, p->help, NULL, p->ops, p->extension};
    return p != NULL;
}

bool bl_tf_parameter_at(size_t transform, size_t i, bl_tf_info *out)
{
    static const char *const kinds[][2] = {[BLI_TG_TEXT] = {"text", "list of texts"},
                                           [BLI_TG_INT] = {"whole number", "list of whole numbers"},
                                           [BLI_TG_FLOAT] = {"number", "list of numbers"},
                                           [BLI_TG_BOOL] = {"true or false", "list of truth values"}};
    const bli_tg_pass *p = bli_tg_pass_at(transform);
    const bli_tg_param *at = p ? p->params : NULL;
    for (; at && at->name && i > 0; i--)
        at++;
    if (!at || !at->name)
        return false;
    *out = (bl_tf_info){at->name, at->help, kinds[at->kind][at->many], NULL,
                        p->extension || (p->own && bli_tg_op_is(at->name, p->own))};
    return true;
}
