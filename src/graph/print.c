/* print.c: the text form of a graph, one line a value or node.
 *
 *   graph "name"
 *   meta "key" "value"
 *   input "x" F32 [N, 4]
 *   parameter "w" F32 [2] "weight" = 0.5 -0.25
 *   node "fc" "MatMul" "" ("x" "w" -) -> ("y" F32 [N, 2]) {"axis" int 1, "pads" ints 0 0, "t" tensor I64 [1] 3}
 *   output "y"
 *
 * Floats carry the digits that bring back the same bits; a NaN is nan:<bits in hex>.  "?" stands for a shape that has
 * not been inferred.  The form leaves out ids: values come in their order, then nodes in theirs.
 */
#include <math.h>
#include <string.h>

#include "graph/text.h"

const char *const bli_role_words[5] = {"input", "computed", "constant", "parameter", "state"};
const char *const bli_kind_words[7] = {"int", "float", "string", "ints", "floats", "strings", "tensor"};

bl_status bli_c_locale_enter(bl_context *ctx, bli_c_locale *l)
{
    l->before = (locale_t)0;
    l->ours = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (l->ours == (locale_t)0)
        return bli_fail(ctx, BL_NO_MEMORY, "the C locale is not available");
    l->before = uselocale(l->ours);
    return BL_OK;
}

void bli_c_locale_leave(bli_c_locale *l)
{
    uselocale(l->before);
    freelocale(l->ours);
}

static bl_status print_string(bli_buf *b, const char *s)
{
    BLI_TRY(bli_buf_append(b, "\"", 1));
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            BLI_TRY(bli_buf_printf(b, "\\%c", c));
        else if (c < 32 || c == 127)
            BLI_TRY(bli_buf_printf(b, "\\x%02x", c));
        else
            BLI_TRY(bli_buf_append(b, s, 1));
    }
    return bli_buf_append(b, "\"", 1);
}

static bl_status print_f32(bli_buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return isnan(v) ? bli_buf_printf(b, " nan:%08x", bits) : bli_buf_printf(b, " %.9g", (double)v);
}

static bl_status print_f64(bli_buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return isnan(v) ? bli_buf_printf(b, " nan:%016llx", (unsigned long long)bits) : bli_buf_printf(b, " %.17g", v);
}

#define INTEGER_CASE(NAME, ctype)                                                                                      \
    case BL_##NAME: {                                                                                                  \
        ctype v;                                                                                                       \
        memcpy(&v, (const char *)data + i * sizeof v, sizeof v);                                                       \
        return bli_buf_printf(b, " %lld", (long long)v);                                                               \
    }

static bl_status print_element(bli_buf *b, bl_dtype type, const void *data, size_t i)
{
    switch (type) {
    case BL_F32:
        return print_f32(b, ((const float *)data)[i]);
    case BL_F64:
        return print_f64(b, ((const double *)data)[i]);
    case BL_U64:
        return bli_buf_printf(b, " %llu", (unsigned long long)((const uint64_t *)data)[i]);
        INTEGER_CASE(I8, int8_t)
        INTEGER_CASE(U8, uint8_t)
        INTEGER_CASE(BOOL, uint8_t)
        INTEGER_CASE(I16, int16_t)
        INTEGER_CASE(U16, uint16_t)
        INTEGER_CASE(I32, int32_t)
        INTEGER_CASE(U32, uint32_t)
        INTEGER_CASE(I64, int64_t)
    case BL_DTYPE_COUNT:
        break;
    }
    return bli_fail(b->ctx, BL_USAGE, "%d is no element type", (int)type);
}

static bl_status print_type(bli_buf *b, bl_dtype type, const bl_shape *shape)
{
    if (shape->rank < 0)
        return bli_buf_printf(b, " %s ?", bl_dtype_name(type));
    char text[BL_MAX_RANK * 24 + 8];
    bl_shape_print(shape, text, sizeof text);
    return bli_buf_printf(b, " %s %s", bl_dtype_name(type), text);
}

static bl_status print_elements(bli_buf *b, bl_dtype type, const bl_shape *shape, const void *data)
{
    int64_t count = bl_shape_count(shape);
    for (int64_t i = 0; i < count; i++)
        BLI_TRY(print_element(b, type, data, (size_t)i));
    return BL_OK;
}

static bl_status print_value(bli_buf *b, const bl_value *v)
{
    BLI_TRY(bli_buf_printf(b, "%s ", bli_role_words[v->role]));
    BLI_TRY(print_string(b, v->name));
    BLI_TRY(print_type(b, v->type, &v->shape));
    if (v->role != BL_ROLE_INPUT) {
        BLI_TRY(bli_buf_append(b, " ", 1));
        BLI_TRY(print_string(b, v->place));
        BLI_TRY(bli_buf_append(b, " =", 2));
        BLI_TRY(print_elements(b, v->type, &v->shape, v->data));
    }
    return bli_buf_append(b, "\n", 1);
}

static bl_status print_attr(bli_buf *b, const bl_attr *a)
{
    BLI_TRY(print_string(b, a->name));
    BLI_TRY(bli_buf_printf(b, " %s", bli_kind_words[a->kind]));
    switch (a->kind) {
    case BL_ATTR_INT:
        return bli_buf_printf(b, " %lld", (long long)a->u.i);
    case BL_ATTR_FLOAT:
        return print_f64(b, a->u.f);
    case BL_ATTR_STRING:
        BLI_TRY(bli_buf_append(b, " ", 1));
        return print_string(b, a->u.s);
    case BL_ATTR_TENSOR:
        BLI_TRY(print_type(b, a->u.tensor.type, &a->u.tensor.shape));
        return print_elements(b, a->u.tensor.type, &a->u.tensor.shape, a->u.tensor.data);
    case BL_ATTR_INTS:
    case BL_ATTR_FLOATS:
    case BL_ATTR_STRINGS:
        break;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind == BL_ATTR_INTS) {
            BLI_TRY(bli_buf_printf(b, " %lld", (long long)a->u.ints[i]));
        } else if (a->kind == BL_ATTR_FLOATS) {
            BLI_TRY(print_f64(b, a->u.floats[i]));
        } else {
            BLI_TRY(bli_buf_append(b, " ", 1));
            BLI_TRY(print_string(b, a->u.strings[i]));
        }
    }
    return BL_OK;
}

static bl_status print_node(bli_buf *b, const bl_graph *g, const bl_node *n)
{
    const char *words[] = {n->name, n->type, n->domain};
    BLI_TRY(bli_buf_append(b, "node", 4));
    for (size_t i = 0; i < BLI_COUNT(words); i++) {
        BLI_TRY(bli_buf_append(b, " ", 1));
        BLI_TRY(print_string(b, words[i]));
    }
    BLI_TRY(bli_buf_append(b, " (", 2));
    for (int i = 0; i < n->num_inputs; i++) {
        if (i)
            BLI_TRY(bli_buf_append(b, " ", 1));
        const char *name = n->inputs[i] < 0 ? NULL : bli_value_name(g, n->inputs[i]);
        BLI_TRY(name ? print_string(b, name) : bli_buf_append(b, "-", 1));
    }
    BLI_TRY(bli_buf_append(b, ") -> (", 6));
    for (int i = 0; i < n->num_outputs; i++) {
        const bl_value *v = &g->values[n->outputs[i]]->value;
        if (i)
            BLI_TRY(bli_buf_append(b, " ", 1));
        BLI_TRY(print_string(b, v->name));
        BLI_TRY(print_type(b, v->type, &v->shape));
    }
    BLI_TRY(bli_buf_append(b, ") {", 3));
    for (int i = 0; i < n->num_attrs; i++) {
        if (i)
            BLI_TRY(bli_buf_append(b, ", ", 2));
        BLI_TRY(print_attr(b, &n->attrs[i]));
    }
    return bli_buf_append(b, "}\n", 2);
}

static bl_status print_graph(bli_buf *b, const bl_graph *g)
{
    BLI_TRY(bli_buf_append(b, "graph ", 6));
    BLI_TRY(print_string(b, g->name));
    BLI_TRY(bli_buf_append(b, "\n", 1));
    for (size_t i = 0; i < g->num_meta; i++) {
        BLI_TRY(bli_buf_append(b, "meta ", 5));
        BLI_TRY(print_string(b, g->meta[i].key));
        BLI_TRY(bli_buf_append(b, " ", 1));
        BLI_TRY(print_string(b, g->meta[i].value));
        BLI_TRY(bli_buf_append(b, "\n", 1));
    }
    for (size_t i = 0; i < g->num_inputs; i++)
        BLI_TRY(print_value(b, &g->values[g->inputs[i]]->value));
    for (size_t i = 0; i < g->num_values; i++) {
        const bl_value *v = &g->values[i]->value;
        if (v->name && v->role != BL_ROLE_COMPUTED && v->role != BL_ROLE_INPUT)
            BLI_TRY(print_value(b, v));
    }
    for (size_t i = 0; i < g->num_nodes; i++)
        if (g->nodes[i]->node.type)
            BLI_TRY(print_node(b, g, &g->nodes[i]->node));
    for (size_t i = 0; i < g->num_outputs; i++) {
        BLI_TRY(bli_buf_append(b, "output ", 7));
        BLI_TRY(print_string(b, g->values[g->outputs[i]]->value.name));
        BLI_TRY(bli_buf_append(b, "\n", 1));
    }
    return BL_OK;
}

bl_status bl_graph_print(const bl_graph *g, char **text)
{
    *text = NULL;
    bli_c_locale locale;
    BLI_TRY(bli_c_locale_enter(g->ctx, &locale));
    bli_buf b;
    bli_buf_init(&b, g->ctx, SIZE_MAX / 4); /* a graph that is in memory has no other ceiling */
    bl_status s = print_graph(&b, g);
    bli_c_locale_leave(&locale);
    if (s != BL_OK) {
        bli_buf_free(&b);
        return s;
    }
    *text = b.data;
    return BL_OK;
}

void bl_text_free(bl_context *ctx, char *text)
{
    bli_free(ctx, text);
}
