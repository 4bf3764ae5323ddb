/* fold_values.c: the values on the border of what is folded: the runtime's, and shapes as numbers. */
#include <string.h>

#include "tf/fold_constants.h"

/* ---- shapes as numbers --------------------------------------------------------------------------------------------
 */

static const bl_shape *shape_of_input(const bli_tg_folder *f, const bli_tf_node *n, size_t input)
{
    bli_tf_ref r = bli_tf_ref_parse(n->inputs[input]);
    return &f->shapes.out[bli_tf_index_find(&f->ix, r.name, r.size)][r.port].shape;
}

static void put(void *to, int dtype, int64_t at, int64_t value)
{
    if (dtype == BLI_DT_INT64)
        ((int64_t *)to)[at] = value;
    else
        ((int32_t *)to)[at] = (int32_t)value;
}

/* What Shape, ShapeN, Rank or Size gives at a port, as a Const of this name. */
static bl_status add_shape(const bli_tg_folder *f, const bli_tf_node *n, int port, const char *name, bli_tf_graph *out)
{
    const bl_shape *shape = shape_of_input(f, n, (size_t)port);
    bool whole = strncmp(n->op, "Shape", 5) == 0;
    const int64_t dim = shape->rank;
    int dtype = BLI_DT_INT32;
    void *content;
    if (strcmp(n->op, "Rank") != 0)
        BLI_TRY(bli_tf_type_or(f->job->ctx, n, "out_type", BLI_DT_INT32, &dtype));
    if (dtype != BLI_DT_INT32 && dtype != BLI_DT_INT64)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s): out_type is %s; expected int32 or int64", n->name,
                        n->op, bli_tf_dtype_name(dtype));
    BLI_TRY(bli_tg_add_const(out, name, dtype, whole ? 1 : 0, &dim, NULL, &content, NULL));
    for (int i = 0; whole && i < shape->rank; i++)
        put(content, dtype, i, shape->dim[i]);
    if (!whole)
        put(content, dtype, 0, strcmp(n->op, "Rank") == 0 ? shape->rank : bl_shape_count(shape));
    return BL_OK;
}

/* One Const a port; readers are told by renames. */
static bl_status add_shapes(const bli_tg_folder *f, const bli_tf_node *n, bli_tg_renames *renames, bli_tf_graph *out)
{
    for (size_t k = 0; k < n->num_inputs; k++) {
        char *name = bli_tf_text(f->job->store, "%s/shape_of_%zu", n->name, k);
        char *from = bli_tf_text(f->job->store, "%s:%zu", n->name, k);
        if (!name || !from)
            return BL_NO_MEMORY;
        if (bli_tg_is_control(n->inputs[k]))
            continue;
        BLI_TRY(add_shape(f, n, (int)k, name, out));
        BLI_TRY(bli_tg_renames_add(renames, from, name));
    }
    return BL_OK;
}

/* ---- running ------------------------------------------------------------------------------------------------------
 */

/* What is folded and nothing else, without control inputs. */
static bl_status make_graph(const bli_tg_folder *f, bli_tg_renames *renames, bli_tf_graph *out)
{
    for (size_t i = 0; i < f->g->num_nodes; i++)
        if (f->from_shape[i])
            BLI_TRY(add_shapes(f, f->g->nodes[i], renames, out));
    for (size_t i = 0; i < f->g->num_nodes; i++) {
        if (!f->folds[i] || f->from_shape[i])
            continue;
        bli_tf_node *n = bli_tf_node_copy(f->job->store, f->g->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (f->job->compat && strcmp(n->op, "Rsqrt") == 0)
            n->op = "_EightsOfRsqrt"; /* whose bits the original's are */
        for (size_t k = n->num_inputs; k-- > 0;) {
            if (bli_tg_is_control(n->inputs[k]))
                bli_tf_node_remove_input(n, k);
            else
                BLI_TRY(bli_tg_renames_once(renames, n->inputs[k], &n->inputs[k]));
        }
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

/* The array's bytes, kept in the store. */
static bl_status keep(const bli_tg_folder *f, const bli_tf_array *a, bli_tg_border *b)
{
    size_t count = (size_t)bl_shape_count(&a->shape), size = bli_tf_dtype_size(a->dtype) * count;
    int64_t *dim = bli_tf_alloc_array(f->job->store, (size_t)a->shape.rank + 1, sizeof *dim);
    void *data = bli_tf_alloc(f->job->store, size);
    if (!dim || !data)
        return BL_NO_MEMORY;
    for (int i = 0; i < a->shape.rank; i++)
        dim[i] = a->shape.dim[i];
    if (size)
        memcpy(data, a->data, size);
    b->dtype = a->dtype;
    b->rank = a->shape.rank;
    b->dim = dim;
    b->data = data;
    return BL_OK;
}

static bl_status run_session(bli_tg_folder *f, const bli_tf_graph *g, const bli_tg_renames *renames)
{
    bli_tf_session *session;
    const char **fetches = bli_tf_alloc_array(f->job->store, f->num_border + 1, sizeof *fetches);
    bli_tf_array *values = bli_tf_alloc_array(f->job->store, f->num_border + 1, sizeof *values);
    if (!fetches || !values)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < f->num_border; i++) {
        char *name = bli_tf_text(f->job->store, "%s:%d", f->border[i].node->name, f->border[i].port);
        if (!name)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_renames_once(renames, name, &fetches[i]));
    }
    BLI_TRY(bli_tf_session_create(g, NULL, &session));
    bl_status s = bli_tf_session_run(session, NULL, 0, fetches, f->num_border, values);
    bli_tf_session_destroy(session);
    for (size_t i = 0; i < f->num_border && s == BL_OK; i++)
        s = keep(f, &values[i], &f->border[i]);
    for (size_t i = 0; i < f->num_border; i++)
        bli_tf_array_release(&values[i]);
    return s;
}

bl_status bli_tg_evaluate_border(bli_tg_folder *f)
{
    bli_tg_renames renames;
    bli_tf_graph *g = bli_tf_graph_like(f->g);
    bli_tg_renames_init(&renames, f->job->store);
    if (!g)
        return BL_NO_MEMORY;
    if (f->num_border == 0)
        return BL_OK;
    BLI_TRY(make_graph(f, &renames, g));
    return run_session(f, g, &renames);
}
