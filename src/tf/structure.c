/* structure.c: a TensorFlow graph as lines of text, a node each, in an order in which they can run.
 *
 * A constant shows its type, shape and first values; half-width floats and the like show no values.
 */
#include <string.h>

#include "bitlathe/graphdef.h"
#include "graph/text.h"
#include "tf/transform.h"

enum { SHOWN = 3 };

/* ---- values ---------------------------------------------------------------------------------------------------- */

static bl_status print_text(bli_buf *b, const ProtobufCBinaryData *s)
{
    for (size_t i = 0; i < s->len && i < 64; i++) {
        uint8_t c = s->data[i];
        BLI_TRY(c >= 0x20 && c < 0x7f && c != '\\' ? bli_buf_printf(b, "%c", c) : bli_buf_printf(b, "\\%03o", c));
    }
    return s->len > 64 ? bli_buf_printf(b, "...") : BL_OK;
}

#define INTEGER(Type) ((long long)((const Type *)t->data)[i])

/* An integer of any width; false: it is none. */
static bool integer_at(const bli_tf_tensor *t, size_t i, long long *out)
{
    switch (t->dtype) {
    case BLI_DT_INT8:
    case BLI_DT_QINT8:
        *out = INTEGER(int8_t);
        return true;
    case BLI_DT_UINT8:
    case BLI_DT_QUINT8:
    case BLI_DT_BOOL:
        *out = INTEGER(uint8_t);
        return true;
    case BLI_DT_INT16:
    case BLI_DT_QINT16:
        *out = INTEGER(int16_t);
        return true;
    case BLI_DT_UINT16:
    case BLI_DT_QUINT16:
        *out = INTEGER(uint16_t);
        return true;
    case BLI_DT_INT32:
    case BLI_DT_QINT32:
        *out = INTEGER(int32_t);
        return true;
    case BLI_DT_UINT32:
        *out = INTEGER(uint32_t);
        return true;
    case BLI_DT_INT64:
        *out = INTEGER(int64_t);
        return true;
    default:
        return false;
    }
}

static bl_status print_element(bli_buf *b, const bli_tf_tensor *t, size_t i)
{
    long long number;
    if (t->dtype == BLI_DT_FLOAT)
        return bli_buf_printf(b, "%g", (double)((const float *)t->data)[i]);
    if (t->dtype == BLI_DT_DOUBLE)
        return bli_buf_printf(b, "%g", ((const double *)t->data)[i]);
    if (t->dtype == BLI_DT_STRING)
        return print_text(b, &((const ProtobufCBinaryData *)t->data)[i]);
    return integer_at(t, i, &number) ? bli_buf_printf(b, "%lld", number) : bli_buf_printf(b, "?");
}

static bl_status print_tensor(bli_buf *b, const bli_tf_tensor *t)
{
    BLI_TRY(bli_buf_printf(b, ", value=Tensor<type: %s shape: [", bli_tf_dtype_name(t->dtype)));
    for (int i = 0; i < t->rank; i++)
        BLI_TRY(bli_buf_printf(b, "%s%lld", i ? "," : "", (long long)t->dim[i]));
    BLI_TRY(bli_buf_printf(b, "] values:"));
    for (size_t i = 0; i < t->count && i < SHOWN; i++) {
        BLI_TRY(bli_buf_printf(b, " "));
        BLI_TRY(print_element(b, t, i));
    }
    return bli_buf_printf(b, t->count > SHOWN ? "...>" : ">");
}

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

static bl_status print_value(bli_buf *b, const bli_tf_graph *g, const bli_tf_node *n)
{
    const bli_tf_value *v = bli_tf_node_attr(n, "value");
    bli_tf_tensor t;
    if (strcmp(n->op, "Const") != 0 || !v || v->value_case != BLI_TF__ATTR_VALUE__VALUE_TENSOR)
        return BL_OK;
    bl_status s = bli_tf_tensor_view(g->store, v->tensor, &t);
    if (s == BL_OK)
        return print_tensor(b, &t);
    return s == BL_NO_MEMORY ? s : bli_buf_printf(b, ", value cannot be read");
}

static bl_status print_node(bli_buf *b, const bli_tf_graph *g, const bli_tf_node *n)
{
    BLI_TRY(bli_buf_printf(b, "%s (%s): [", n->name, n->op));
    for (size_t i = 0; i < n->num_inputs; i++)
        BLI_TRY(bli_buf_printf(b, "%s%s", i ? ", " : "", n->inputs[i]));
    BLI_TRY(bli_buf_printf(b, "]"));
    BLI_TRY(print_value(b, g, n));
    return bli_buf_printf(b, "\n");
}

static bl_status print_nodes(bli_buf *b, const bli_tf_graph *g)
{
    size_t *order, count;
    bli_c_locale locale;
    BLI_TRY(bli_tg_sort(g, false, &order, &count));
    BLI_TRY(bli_c_locale_enter(b->ctx, &locale));
    bl_status s = BL_OK;
    for (size_t i = 0; s == BL_OK && i < count; i++)
        s = print_node(b, g, g->nodes[order[i]]);
    bli_c_locale_leave(&locale);
    return s;
}

bl_status bl_graphdef_structure(const bl_graphdef *g, char **text)
{
    bli_buf b;
    *text = NULL;
    bli_buf_init(&b, bli_tf_store_context(g->store), SIZE_MAX / 2);
    bl_status s = print_nodes(&b, g->graph);
    if (s == BL_OK && b.capacity == 0)
        s = bli_buf_append(&b, "", 1), b.size = 0;
    if (s != BL_OK)
        bli_buf_free(&b);
    else
        *text = b.data;
    return s;
}
