/* to_graph_constant.c: what depends on constants alone and has no counterpart is computed by TensorFlow's own rules:
 * weights that standard operators unpack, Dequantize of bytes.  What has a counterpart is left to our own folding of
 * constants.
 */
#include <string.h>

#include "tf/to_graph.h"

/* What unpacking may take: bits as whole numbers of 32 bits, several at a time. */
enum { GROWTH = 256, ANYWAY = 1 << 16 };

static size_t content_of(const bli_tf_node *n)
{
    const bli_tf_value *v = bli_tf_node_attr(n, "value");
    return v && v->value_case == BLI_TF__ATTR_VALUE__VALUE_TENSOR ? v->tensor->tensor_content.len : 0;
}

/* Whether nothing that node `at` needs is fed, has a state, or is beyond the runtime; *content: the bytes of constants
 * that it needs. */
static bl_status is_constant(bli_tf_door *d, size_t at, bool *yes, size_t *content)
{
    const bli_tf_graph *g = d->ix->g;
    size_t count = 0;
    if (!d->seen) {
        d->seen = bli_tf_alloc_array(d->store, g->num_nodes, sizeof *d->seen);
        d->stack = bli_tf_alloc_array(d->store, g->num_nodes, sizeof *d->stack);
    }
    if (!d->seen || !d->stack)
        return BL_NO_MEMORY;
    memset(d->seen, 0, g->num_nodes * sizeof *d->seen);
    d->stack[count++] = at;
    d->seen[at] = *yes = true;
    *content = 0;
    while (*yes && count > 0) {
        const size_t top = d->stack[--count];
        const bli_tf_node *n = g->nodes[top];
        *yes = !d->fed[top] && bli_tf_foldable(n->op);
        *content += content_of(n);
        for (size_t i = 0; *yes && i < n->num_inputs; i++) {
            const bli_tf_ref r = bli_tf_ref_parse(n->inputs[i]);
            const size_t from = bli_tf_index_find(d->ix, r.name, r.size);
            *yes = from != SIZE_MAX;
            if (*yes && !r.control && !d->seen[from]) {
                d->seen[from] = true;
                d->stack[count++] = from;
            }
        }
    }
    return BL_OK;
}

static bl_status run(const bli_tf_door *d, const bli_tf_node *n, size_t content, bli_tf_array *out)
{
    const size_t most = content < SIZE_MAX / GROWTH - ANYWAY ? ANYWAY + GROWTH * content : SIZE_MAX;
    bli_tf_session *session;
    BLI_TRY(bli_tf_session_create(d->ix->g, &(bli_tf_session_options){.most_bytes = most}, &session));
    const bl_status s = bli_tf_session_run(session, NULL, 0, &n->name, 1, out);
    bli_tf_session_destroy(session);
    return bli_within(d->ctx, s, "node '%s' (%s)", n->name, n->op);
}

bl_status bli_tf_door_compute(bli_tf_door *d, size_t at, bool *done)
{
    const bli_tf_node *n = d->ix->g->nodes[at];
    bli_tf_array a;
    size_t content;
    *done = false;
    if (bli_tf_door_knows(n->op))
        return BL_OK;
    BLI_TRY(is_constant(d, at, done, &content));
    if (!*done)
        return BL_OK;
    BLI_TRY(run(d, n, content, &a));
    const bl_status s = bli_tf_door_add_tensor(d, n, a.dtype, &a.shape, a.data);
    bli_tf_array_release(&a);
    return s;
}

/* Into the store, where constants of the file are too. */
static bl_status copy(bli_tf_door *d, const bli_tf_array *a, bli_tf_tensor *t)
{
    if (a->dtype == BLI_DT_STRING)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "it is text, expected numbers");
    const size_t count = (size_t)bl_shape_count(&a->shape), bytes = count * bli_tf_dtype_size(a->dtype);
    int64_t *dim = bli_tf_alloc_array(d->store, BL_MAX_RANK, sizeof *dim);
    void *data = bli_tf_alloc_array(d->store, bytes + 1, 1);
    if (!dim || !data)
        return BL_NO_MEMORY;
    memcpy(dim, a->shape.dim, (size_t)a->shape.rank * sizeof *dim);
    memcpy(data, a->data, bytes);
    *t = (bli_tf_tensor){.dtype = a->dtype, .rank = a->shape.rank, .dim = dim, .count = count, .data = data};
    t->element = bli_tf_dtype_size(a->dtype);
    return BL_OK;
}

bl_status bli_tf_door_tensor(bli_tf_door *d, const char *input, bli_tf_tensor *t)
{
    const bli_tf_ref r = bli_tf_ref_parse(bli_tf_door_source(d, input));
    const size_t at = bli_tf_index_find(d->ix, r.name, r.size);
    bool yes = false;
    size_t content = 0;
    bli_tf_array a;
    if (at != SIZE_MAX && r.port == 0 && strcmp(d->ix->g->nodes[at]->op, "Const") == 0)
        return bli_tf_get_tensor(d->store, d->ix->g->nodes[at], "value", t);
    if (at != SIZE_MAX && r.port == 0)
        BLI_TRY(is_constant(d, at, &yes, &content));
    if (!yes)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "'%s' is no constant", input);
    BLI_TRY(run(d, d->ix->g->nodes[at], content, &a));
    const bl_status s = copy(d, &a, t);
    bli_tf_array_release(&a);
    return s;
}
