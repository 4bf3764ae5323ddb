/* compare.c: whether two TensorFlow graphs are the same graph.
 *
 * The order of nodes, versions, function library and attributes whose name begins with '_' do not count, as for
 * TensorFlow's compare_graphs.  Inputs are compared with their ports written out, control inputs as a set; tensors by
 * type, shape and elements, however they are stored; all other values by their bytes.  The first difference is told, by
 * the first graph's order.
 */
#include <stdlib.h>
#include <string.h>

#include "bitlathe/graphdef.h"
#include "model/graphdef.h"

typedef struct comparison {
    bl_context *ctx;
    bli_tf_store *a, *b;
    int64_t ulps; /* float32 elements may be so many steps apart */
    bli_buf *difference;
} comparison;

/* Tells a difference: *same false, and BL_OK unless memory is short. */
#define DIFFER(c, same, ...) (*(same) = false, bli_buf_printf((c)->difference, __VA_ARGS__))

/* ---- tensors --------------------------------------------------------------------------------------------------- */

/* Floats in the order of their values, as integers one apart. */
static int64_t rank_of(float v)
{
    int32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
}

static bool floats_near(const float *x, const float *y, size_t count, int64_t ulps)
{
    for (size_t i = 0; i < count; i++)
        if (x[i] != x[i] || y[i] != y[i] ? (x[i] == x[i]) != (y[i] == y[i])
                                         : llabs(rank_of(x[i]) - rank_of(y[i])) > ulps)
            return false;
    return true;
}

static bool strings_equal(const ProtobufCBinaryData *x, const ProtobufCBinaryData *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (x[i].len != y[i].len || (x[i].len && memcmp(x[i].data, y[i].data, x[i].len) != 0))
            return false;
    return true;
}

static bool elements_equal(const comparison *c, const bli_tf_tensor *x, const bli_tf_tensor *y)
{
    if (x->count == 0)
        return true;
    if (x->dtype == BLI_DT_STRING)
        return strings_equal(x->data, y->data, x->count);
    if (x->dtype == BLI_DT_FLOAT && c->ulps > 0)
        return floats_near(x->data, y->data, x->count, c->ulps);
    return memcmp(x->data, y->data, x->count * x->element) == 0;
}

static bool shapes_equal(const bli_tf_tensor *x, const bli_tf_tensor *y)
{
    return x->dtype == y->dtype && x->rank == y->rank &&
           (x->rank == 0 || memcmp(x->dim, y->dim, (size_t)x->rank * sizeof *x->dim) == 0);
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bl_status bytes_equal(const comparison *c, const bli_tf_value *v, const bli_tf_value *w, bool *same)
{
    bli_buf x, y;
    bli_buf_init(&x, c->ctx, SIZE_MAX / 2);
    bli_buf_init(&y, c->ctx, SIZE_MAX / 2);
    bl_status s = bli_tf_value_encode(v, &x);
    if (s == BL_OK)
        s = bli_tf_value_encode(w, &y);
    *same = s == BL_OK && x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    bli_buf_free(&x);
    bli_buf_free(&y);
    return s;
}

static bool is_tensor(const bli_tf_value *v)
{
    return v->value_case == BLI_TF__ATTR_VALUE__VALUE_TENSOR;
}

/* Tensors that cannot be read (a resource, a wrong number of bytes) are compared by their bytes too. */
static bl_status values_equal(const comparison *c, const bli_tf_value *v, const bli_tf_value *w, bool *same)
{
    bli_tf_tensor x, y;
    if (!is_tensor(v) || !is_tensor(w))
        return bytes_equal(c, v, w, same);
    bl_status s = bli_tf_tensor_view(c->a, v->tensor, &x);
    if (s == BL_OK)
        s = bli_tf_tensor_view(c->b, w->tensor, &y);
    if (s == BL_NO_MEMORY)
        return s;
    if (s != BL_OK)
        return bytes_equal(c, v, w, same);
    *same = shapes_equal(&x, &y) && elements_equal(c, &x, &y);
    return BL_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

static size_t data_inputs(const bli_tf_node *n)
{
    size_t count = n->num_inputs;
    while (count > 0 && n->inputs[count - 1][0] == '^')
        count--;
    return count;
}

static bool inputs_same(const char *x, const char *y)
{
    bli_tf_ref p = bli_tf_ref_parse(x), q = bli_tf_ref_parse(y);
    return p.control == q.control && p.size == q.size && memcmp(p.name, q.name, p.size) == 0 && p.port == q.port &&
           (p.port >= 0 || strcmp(p.rest, q.rest) == 0);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A control input of n that m lacks; NULL: none. */
static bl_status missing_control(const comparison *c, const bli_tf_node *n, const bli_tf_node *m, const char **out)
{
    size_t from = data_inputs(m), count = m->num_inputs - from;
    const char **sorted = bli_alloc_array(c->ctx, count, sizeof *sorted);
    *out = NULL;
    if (!sorted)
        return BL_NO_MEMORY;
    if (count) {
        memcpy(sorted, m->inputs + from, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_text);
    }
    for (size_t i = data_inputs(n); !*out && i < n->num_inputs; i++)
        if (!count || !bsearch(&n->inputs[i], sorted, count, sizeof *sorted, by_text))
            *out = n->inputs[i];
    bli_free(c->ctx, sorted);
    return BL_OK;
}

static bl_status compare_controls(const comparison *c, const bli_tf_node *n, const bli_tf_node *m, bool *same)
{
    const char *missing;
    BLI_TRY(missing_control(c, n, m, &missing));
    if (missing)
        return DIFFER(c, same, "node '%s': the control input '%s' is only in the first graph", n->name, missing);
    BLI_TRY(missing_control(c, m, n, &missing));
    if (missing)
        return DIFFER(c, same, "node '%s': the control input '%s' is only in the second graph", n->name, missing);
    return BL_OK;
}

static bl_status compare_inputs(const comparison *c, const bli_tf_node *n, const bli_tf_node *m, bool *same)
{
    size_t count = data_inputs(n);
    if (count != data_inputs(m))
        return DIFFER(c, same, "node '%s' has %zu inputs, and %zu in the second graph", n->name, count, data_inputs(m));
    for (size_t i = 0; i < count; i++)
        if (!inputs_same(n->inputs[i], m->inputs[i]))
            return DIFFER(c, same, "node '%s': input %zu is '%s', and '%s' in the second graph", n->name, i,
                          n->inputs[i], m->inputs[i]);
    return compare_controls(c, n, m, same);
}

/* n's attributes in m; `which` graph m is of, to say where one is missing. */
static bl_status compare_attrs(const comparison *c, const bli_tf_node *n, const bli_tf_node *m, bool *same)
{
    for (size_t i = 0; *same && i < n->num_attrs; i++) {
        const bli_tf_attr *a = &n->attrs[i];
        const bli_tf_value *other = bli_tf_node_attr(m, a->name);
        bool equal = true;
        if (a->name[0] == '_')
            continue;
        if (!other)
            return DIFFER(c, same, "node '%s': attribute '%s' is only in the first graph", n->name, a->name);
        BLI_TRY(values_equal(c, a->value, other, &equal));
        if (!equal)
            return DIFFER(c, same, "node '%s' (%s): attribute '%s' has another value", n->name, n->op, a->name);
    }
    for (size_t i = 0; *same && i < m->num_attrs; i++)
        if (m->attrs[i].name[0] != '_' && !bli_tf_node_attr(n, m->attrs[i].name))
            return DIFFER(c, same, "node '%s': attribute '%s' is only in the second graph", n->name, m->attrs[i].name);
    return BL_OK;
}

static bl_status compare_nodes(const comparison *c, const bli_tf_node *n, const bli_tf_node *m, bool *same)
{
    if (strcmp(n->op, m->op) != 0)
        return DIFFER(c, same, "node '%s' is %s, and %s in the second graph", n->name, n->op, m->op);
    if (strcmp(n->device, m->device) != 0)
        return DIFFER(c, same, "node '%s' is on device '%s', and on '%s' in the second graph", n->name, n->device,
                      m->device);
    BLI_TRY(compare_inputs(c, n, m, same));
    return *same ? compare_attrs(c, n, m, same) : BL_OK;
}

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

static bl_status compare_graphs(const comparison *c, const bli_tf_index *first, const bli_tf_index *second, bool *same)
{
    for (size_t i = 0; *same && i < first->g->num_nodes; i++) {
        const bli_tf_node *n = first->g->nodes[i];
        size_t at = bli_tf_index_find(second, n->name, strlen(n->name));
        if (at == SIZE_MAX)
            return DIFFER(c, same, "node '%s' (%s) is only in the first graph", n->name, n->op);
        BLI_TRY(compare_nodes(c, n, second->g->nodes[at], same));
    }
    for (size_t i = 0; *same && i < second->g->num_nodes; i++) {
        const bli_tf_node *n = second->g->nodes[i];
        if (bli_tf_index_find(first, n->name, strlen(n->name)) == SIZE_MAX)
            return DIFFER(c, same, "node '%s' (%s) is only in the second graph", n->name, n->op);
    }
    return BL_OK;
}

static bl_status compare(const comparison *c, const bli_tf_graph *a, const bli_tf_graph *b, bool *same)
{
    bli_tf_index first, second;
    BLI_TRY(bli_tf_index_make(a, &first));
    bl_status s = bli_tf_index_make(b, &second);
    if (s == BL_OK) {
        s = compare_graphs(c, &first, &second, same);
        bli_tf_index_free(&second);
    }
    bli_tf_index_free(&first);
    return s;
}

bl_status bl_graphdef_compare(const bl_graphdef *a, const bl_graphdef *b, int ulps, char **difference)
{
    bli_buf text;
    bool same = true;
    comparison c = {bli_tf_store_context(a->store), a->store, b->store, ulps, &text};
    *difference = NULL;
    bli_buf_init(&text, c.ctx, SIZE_MAX / 2);
    bl_status s = compare(&c, a->graph, b->graph, &same);
    if (s != BL_OK || same)
        bli_buf_free(&text);
    else
        *difference = text.data;
    return s;
}
