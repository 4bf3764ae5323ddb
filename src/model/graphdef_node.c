/* graphdef_node.c: nodes: made, changed, asked for their attributes. */
#include <string.h>

#include "model/graphdef.h"

bli_tf_node *bli_tf_node_make(bli_tf_store *s, const char *name, const char *op)
{
    bli_tf_node *n = bli_tf_alloc(s, sizeof *n);
    if (!n)
        return NULL;
    n->name = bli_tf_text_copy(s, name, strlen(name));
    n->op = bli_tf_text_copy(s, op, strlen(op));
    n->device = "";
    return n->name && n->op ? n : NULL;
}

bli_tf_node *bli_tf_node_copy(bli_tf_store *s, const bli_tf_node *n)
{
    bli_tf_node *copy = bli_tf_alloc(s, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *n;
    copy->inputs = bli_tf_alloc_array(s, n->num_inputs, sizeof *copy->inputs);
    copy->attrs = bli_tf_alloc_array(s, n->num_attrs, sizeof *copy->attrs);
    if (!copy->inputs || !copy->attrs)
        return NULL;
    if (n->num_inputs)
        memcpy(copy->inputs, n->inputs, n->num_inputs * sizeof *copy->inputs);
    if (n->num_attrs)
        memcpy(copy->attrs, n->attrs, n->num_attrs * sizeof *copy->attrs);
    return copy;
}

bl_status bli_tf_node_rename(bli_tf_store *s, bli_tf_node *n, const char *name)
{
    char *copy = bli_tf_text_copy(s, name, strlen(name));
    if (!copy)
        return BL_NO_MEMORY;
    n->name = copy;
    return BL_OK;
}

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

bl_status bli_tf_node_add_input(bli_tf_store *s, bli_tf_node *n, const char *input)
{
    const char **inputs = bli_tf_alloc_array(s, n->num_inputs + 1, sizeof *inputs);
    char *copy = bli_tf_text_copy(s, input, strlen(input));
    if (!inputs || !copy)
        return BL_NO_MEMORY;
    if (n->num_inputs)
        memcpy(inputs, n->inputs, n->num_inputs * sizeof *inputs);
    inputs[n->num_inputs++] = copy;
    n->inputs = inputs;
    return BL_OK;
}

bl_status bli_tf_node_set_input(bli_tf_store *s, bli_tf_node *n, size_t i, const char *input)
{
    char *copy = bli_tf_text_copy(s, input, strlen(input));
    if (!copy)
        return BL_NO_MEMORY;
    n->inputs[i] = copy;
    return BL_OK;
}

void bli_tf_node_remove_input(bli_tf_node *n, size_t i)
{
    n->num_inputs--;
    memmove(n->inputs + i, n->inputs + i + 1, (n->num_inputs - i) * sizeof *n->inputs);
}

/* ---- attributes ------------------------------------------------------------------------------------------------ */

/* Where the attribute is, or where it would have to be. */
static size_t place(const bli_tf_node *n, const char *attr, bool *there)
{
    size_t low = 0, high = n->num_attrs;
    *there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(n->attrs[middle].name, attr);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bl_status bli_tf_node_set(bli_tf_store *s, bli_tf_node *n, const char *attr, const bli_tf_value *v)
{
    bool there;
    size_t at = place(n, attr, &there);
    if (!v)
        return BL_NO_MEMORY;
    if (there) {
        n->attrs[at].value = v;
        return BL_OK;
    }
    bli_tf_attr *attrs = bli_tf_alloc_array(s, n->num_attrs + 1, sizeof *attrs);
    char *name = bli_tf_text_copy(s, attr, strlen(attr));
    if (!attrs || !name)
        return BL_NO_MEMORY;
    if (at)
        memcpy(attrs, n->attrs, at * sizeof *attrs);
    if (at < n->num_attrs)
        memcpy(attrs + at + 1, n->attrs + at, (n->num_attrs - at) * sizeof *attrs);
    attrs[at] = (bli_tf_attr){name, v};
    n->attrs = attrs;
    n->num_attrs++;
    return BL_OK;
}

bl_status bli_tf_node_take(bli_tf_store *s, bli_tf_node *n, const char *attr, const bli_tf_node *from)
{
    const bli_tf_value *v = bli_tf_node_attr(from, attr);
    return v ? bli_tf_node_set(s, n, attr, v) : BL_OK;
}

bool bli_tf_node_remove(bli_tf_node *n, const char *attr)
{
    bool there;
    size_t at = place(n, attr, &there);
    if (!there)
        return false;
    n->num_attrs--;
    memmove(n->attrs + at, n->attrs + at + 1, (n->num_attrs - at) * sizeof *n->attrs);
    return true;
}

const bli_tf_value *bli_tf_node_attr(const bli_tf_node *n, const char *attr)
{
    bool there;
    size_t at = place(n, attr, &there);
    return there ? n->attrs[at].value : NULL;
}

/* ---- getters --------------------------------------------------------------------------------------------------- */

#define CASE(name) BLI_TF__ATTR_VALUE__VALUE_##name

static const char *const kinds[] = {
    [CASE(_NOT_SET)] = "nothing", [CASE(LIST)] = "a list",
    [CASE(S)] = "a string",       [CASE(I)] = "an integer",
    [CASE(F)] = "a float",        [CASE(B)] = "a truth value",
    [CASE(TYPE)] = "a type",      [CASE(SHAPE)] = "a shape",
    [CASE(TENSOR)] = "a tensor",  [CASE(PLACEHOLDER)] = "a placeholder",
    [CASE(FUNC)] = "a function",
};

static bl_status wrong(bl_context *ctx, const bli_tf_node *n, const char *attr, const char *found, const char *expected)
{
    return bli_fail(ctx, BL_BAD_MODEL, "node '%s' (%s): attribute '%s': it is %s; expected %s", n->name, n->op, attr,
                    found, expected);
}

/* The value, which is of that kind; *v NULL when it is absent and may be. */
static bl_status find(bl_context *ctx, const bli_tf_node *n, const char *attr, BliTf__AttrValue__ValueCase kind,
                      bool optional, const bli_tf_value **v)
{
    *v = bli_tf_node_attr(n, attr);
    if (!*v)
        return optional ? BL_OK : wrong(ctx, n, attr, "missing", kinds[kind]);
    return (*v)->value_case == kind ? BL_OK : wrong(ctx, n, attr, kinds[(*v)->value_case], kinds[kind]);
}

/* A getter, and one that takes a default.  Neither goes through the other: bool is a macro and would be expanded. */
#define GETTER(name, Type, KIND, expression)                                                                           \
    bl_status bli_tf_get_##name(bl_context *ctx, const bli_tf_node *n, const char *attr, Type *out)                    \
    {                                                                                                                  \
        const bli_tf_value *v;                                                                                         \
        BLI_TRY(find(ctx, n, attr, CASE(KIND), false, &v));                                                            \
        *out = (expression);                                                                                           \
        return BL_OK;                                                                                                  \
    }
#define GETTER_OR(name, Type, KIND, expression)                                                                        \
    bl_status bli_tf_##name##_or(bl_context *ctx, const bli_tf_node *n, const char *attr, Type other, Type *out)       \
    {                                                                                                                  \
        const bli_tf_value *v;                                                                                         \
        BLI_TRY(find(ctx, n, attr, CASE(KIND), true, &v));                                                             \
        *out = v ? (expression) : other;                                                                               \
        return BL_OK;                                                                                                  \
    }

GETTER(int, int64_t, I, v->i)
GETTER_OR(int, int64_t, I, v->i)
GETTER(float, float, F, v->f)
GETTER_OR(float, float, F, v->f)
GETTER(bool, bool, B, v->b != 0)
GETTER_OR(bool, bool, B, v->b != 0)
GETTER(type, int, TYPE, (int)v->type)
GETTER_OR(type, int, TYPE, (int)v->type)
GETTER(shape, const bli_tf_shape *, SHAPE, v->shape)
GETTER(list, const BliTf__AttrValue__ListValue *, LIST, v->list)

/* Bytes as a string; what is decoded has a NUL behind it. */
static bl_status text_of(bl_context *ctx, const bli_tf_node *n, const char *attr, const bli_tf_value *v,
                         const char **out)
{
    if (v->s.len && memchr(v->s.data, 0, v->s.len))
        return wrong(ctx, n, attr, "a string with a zero byte in it", "text");
    *out = v->s.len ? (const char *)v->s.data : "";
    return BL_OK;
}

bl_status bli_tf_get_string(bl_context *ctx, const bli_tf_node *n, const char *attr, const char **out)
{
    const bli_tf_value *v;
    BLI_TRY(find(ctx, n, attr, CASE(S), false, &v));
    return text_of(ctx, n, attr, v, out);
}

bl_status bli_tf_string_or(bl_context *ctx, const bli_tf_node *n, const char *attr, const char *other, const char **out)
{
    const bli_tf_value *v;
    BLI_TRY(find(ctx, n, attr, CASE(S), true, &v));
    *out = other;
    return v ? text_of(ctx, n, attr, v, out) : BL_OK;
}

bl_status bli_tf_get_ints(bl_context *ctx, const bli_tf_node *n, const char *attr, const int64_t **out, size_t *count)
{
    const BliTf__AttrValue__ListValue *l;
    BLI_TRY(bli_tf_get_list(ctx, n, attr, &l));
    if (l->n_i == 0 && (l->n_s || l->n_f || l->n_b || l->n_type || l->n_shape || l->n_tensor || l->n_func))
        return wrong(ctx, n, attr, "a list of something else", "a list of integers");
    *out = l->i;
    *count = l->n_i;
    return BL_OK;
}

bl_status bli_tf_get_tensor(bli_tf_store *s, const bli_tf_node *n, const char *attr, bli_tf_tensor *out)
{
    bl_context *ctx = bli_tf_store_context(s);
    const bli_tf_value *v;
    BLI_TRY(find(ctx, n, attr, CASE(TENSOR), false, &v));
    return bli_within(ctx, bli_tf_tensor_view(s, v->tensor, out), "node '%s' (%s): attribute '%s'", n->name, n->op,
                      attr);
}
