/* opdef.c: the table of operators, and what it says of a node. */
#include "tf/opdef.h"

#include <stdlib.h>
#include <string.h>

static const bli_tf_opdef table[] = {
#define OP(name, stateful, inputs, outputs, attrs) {name, stateful, inputs, outputs, attrs},
#include "tf/opdefs.inc"
#undef OP
};

static int by_name(const void *key, const void *def)
{
    return strcmp(key, ((const bli_tf_opdef *)def)->name);
}

const bli_tf_opdef *bli_tf_opdef_find(const char *op)
{
    return bsearch(op, table, BLI_COUNT(table), sizeof table[0], by_name);
}

const BliTf__FunctionDef *bli_tf_find_function(const bli_tf_graph *g, const char *name)
{
    for (size_t i = 0; g->library && i < g->library->n_function; i++) {
        const BliTf__FunctionDef *f = g->library->function[i];
        if (f->signature && f->signature->name && strcmp(f->signature->name, name) == 0)
            return f;
    }
    return NULL;
}

bl_status bli_tf_opdef_of(const bli_tf_graph *g, const bli_tf_node *n, const bli_tf_opdef **def)
{
    *def = bli_tf_opdef_find(n->op);
    if (*def || bli_tf_find_function(g, n->op))
        return BL_OK;
    const char *names[BLI_COUNT(table)];
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        names[i] = table[i].name;
    const char *near = bli_nearest(n->op, names, BLI_COUNT(table));
    return bli_fail(bli_tf_store_context(g->store), BL_BAD_MODEL, "node '%s': no operator '%s'%s%s%s", n->name, n->op,
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* ---- defaults -----------------------------------------------------------------------------------------------------
 */

/* One attribute of the text "name:kind=default name:kind ..."; false past the last.  A default's quotes hide spaces. */
typedef struct piece {
    const char *at;
    size_t size;
} piece;

static bool next_attr(const char **text, piece *name, piece *kind, piece *value)
{
    const char *p = *text;
    if (!*p)
        return false;
    *name = (piece){p, strcspn(p, ":")};
    p += name->size + 1;
    *kind = (piece){p, strcspn(p, "= ")};
    p += kind->size;
    *value = (piece){NULL, 0};
    if (*p == '=') {
        *value = (piece){++p, 0};
        for (bool quoted = false; *p && (quoted || *p != ' '); p++)
            quoted ^= *p == '\'';
        value->size = (size_t)(p - value->at);
    }
    *text = p + (*p == ' ');
    return true;
}

static bool piece_is(const piece *p, const char *text)
{
    return p->size == strlen(text) && memcmp(p->at, text, p->size) == 0;
}

/* What stands between quotes; "\n" is a new line. */
static const bli_tf_value *text_value(bli_tf_store *s, piece v)
{
    return memchr(v.at, '\\', v.size) ? bli_tf_value_string(s, "\n") : bli_tf_value_bytes(s, v.at + 1, v.size - 2);
}

static const bli_tf_value *ints_value(bli_tf_store *s, piece v)
{
    int64_t i[16];
    size_t count = 0;
    const char *p = v.at + 1;
    for (char *end; count < BLI_COUNT(i) && *p != ']'; p = end + (*end == ','))
        i[count++] = strtoll(p, &end, 10);
    return bli_tf_value_ints(s, i, count);
}

static const bli_tf_value *floats_value(bli_tf_store *s, piece v)
{
    float f[16];
    size_t count = 0;
    const char *p = v.at + 1;
    for (char *end; count < BLI_COUNT(f) && *p != ']'; p = end + (*end == ','))
        f[count++] = strtof(p, &end);
    return bli_tf_value_floats(s, f, count);
}

static const bli_tf_value *default_value(bli_tf_store *s, const piece *kind, piece v)
{
    char word[32] = {0};
    int dtype;
    memcpy(word, v.at, v.size < sizeof word - 1 ? v.size : sizeof word - 1);
    if (piece_is(kind, "bool"))
        return bli_tf_value_bool(s, word[0] == 't');
    if (piece_is(kind, "int"))
        return bli_tf_value_int(s, strtoll(word, NULL, 10));
    if (piece_is(kind, "float"))
        return bli_tf_value_float(s, strtof(word, NULL));
    if (piece_is(kind, "string"))
        return text_value(s, v);
    if (piece_is(kind, "type"))
        return bli_tf_dtype_parse(word, &dtype) ? bli_tf_value_type(s, dtype) : NULL;
    if (piece_is(kind, "shape"))
        return bli_tf_value_shape(s, word[0] == '?' ? -1 : 0, NULL);
    if (piece_is(kind, "list(float)"))
        return floats_value(s, v);
    return ints_value(s, v); /* lists: of integers, or empty */
}

bl_status bli_tf_opdef_fill(bli_tf_store *s, const bli_tf_opdef *def, bli_tf_node *n)
{
    const char *text = def->attrs;
    piece name, kind, value;
    while (next_attr(&text, &name, &kind, &value)) {
        char word[64] = {0};
        memcpy(word, name.at, name.size < sizeof word - 1 ? name.size : sizeof word - 1);
        if (value.at && !bli_tf_node_attr(n, word))
            BLI_TRY(bli_tf_node_set(s, n, word, default_value(s, &kind, value)));
    }
    return BL_OK;
}

bl_status bli_tf_opdef_check(bl_context *ctx, const bli_tf_opdef *def, const bli_tf_node *n)
{
    const char *text = def->attrs;
    piece name, kind, value;
    while (next_attr(&text, &name, &kind, &value)) {
        char word[64] = {0};
        memcpy(word, name.at, name.size < sizeof word - 1 ? name.size : sizeof word - 1);
        if (!value.at && !bli_tf_node_attr(n, word))
            return bli_fail(ctx, BL_BAD_MODEL, "node '%s' (%s): attribute '%s' is missing", n->name, n->op, word);
    }
    return BL_OK;
}

/* ---- types --------------------------------------------------------------------------------------------------------
 */

static bl_status add_type(bli_tf_store *s, bli_tf_types *types, int dtype)
{
    if ((types->count & (types->count - 1)) == 0) { /* room doubles at 0, 1, 2, 4, ... */
        size_t room = types->count ? 2 * types->count : 1;
        int *at = bli_tf_alloc_array(s, room, sizeof *at);
        if (!at)
            return BL_NO_MEMORY;
        if (types->count)
            memcpy(at, types->at, types->count * sizeof *at);
        types->at = at;
    }
    types->at[types->count++] = dtype;
    return BL_OK;
}

static bl_status add_list(bli_tf_store *s, const bli_tf_node *n, const char *attr, bli_tf_types *types)
{
    const BliTf__AttrValue__ListValue *l;
    BLI_TRY(bli_tf_get_list(bli_tf_store_context(s), n, attr, &l));
    for (size_t i = 0; i < l->n_type; i++)
        BLI_TRY(add_type(s, types, (int)l->type[i]));
    return BL_OK;
}

enum { MOST_TENSORS = 1 << 20 };

/* One argument: "T", "#float", "N*T", "=Tin", "&T". */
static bl_status add_argument(bli_tf_store *s, const bli_tf_node *n, char *kind, bli_tf_types *types)
{
    bl_context *ctx = bli_tf_store_context(s);
    int64_t count = 1;
    int dtype, ref = 0;
    if (kind[0] == '=')
        return add_list(s, n, kind + 1, types);
    char *star = strchr(kind, '*');
    if (star) {
        *star = '\0';
        BLI_TRY(bli_tf_get_int(ctx, n, kind, &count));
        kind = star + 1;
        if (count < 0 || count > MOST_TENSORS)
            return bli_fail(ctx, BL_BAD_MODEL, "node '%s' (%s): %lld tensors of one argument; expected 0 .. %d",
                            n->name, n->op, (long long)count, MOST_TENSORS);
    }
    if (kind[0] == '&') {
        ref = BLI_DT_REF;
        kind++;
    }
    if (kind[0] == '#') {
        if (!bli_tf_dtype_parse(kind + 1, &dtype))
            return bli_fail(ctx, BL_BAD_MODEL, "operator '%s': no type '%s'", n->op, kind + 1);
    } else {
        BLI_TRY(bli_tf_get_type(ctx, n, kind, &dtype));
    }
    for (int64_t i = 0; i < count; i++)
        BLI_TRY(add_type(s, types, dtype + ref));
    return BL_OK;
}

static bl_status add_arguments(bli_tf_store *s, const bli_tf_node *n, const char *text, bli_tf_types *types)
{
    *types = (bli_tf_types){0, NULL};
    while (*text) {
        char kind[80] = {0};
        text += strcspn(text, ":") + 1;
        size_t size = strcspn(text, ",");
        memcpy(kind, text, size < sizeof kind - 1 ? size : sizeof kind - 1);
        text += size + (text[size] == ',');
        BLI_TRY(add_argument(s, n, kind, types));
    }
    return BL_OK;
}

static bl_status function_types(bli_tf_store *s, const BliTf__FunctionDef *f, bli_tf_types *inputs,
                                bli_tf_types *outputs)
{
    for (size_t i = 0; i < f->signature->n_input_arg; i++)
        BLI_TRY(add_type(s, inputs, (int)f->signature->input_arg[i]->type));
    for (size_t i = 0; i < f->signature->n_output_arg; i++)
        BLI_TRY(add_type(s, outputs, (int)f->signature->output_arg[i]->type));
    return BL_OK;
}

bl_status bli_tf_node_types(const bli_tf_graph *g, const bli_tf_node *n, bli_tf_types *inputs, bli_tf_types *outputs)
{
    const bli_tf_opdef *def;
    *inputs = *outputs = (bli_tf_types){0, NULL};
    BLI_TRY(bli_tf_opdef_of(g, n, &def));
    if (!def)
        return function_types(g->store, bli_tf_find_function(g, n->op), inputs, outputs);
    BLI_TRY(add_arguments(g->store, n, def->inputs, inputs));
    return add_arguments(g->store, n, def->outputs, outputs);
}

bl_status bli_tf_output_port(const bli_tf_graph *g, const bli_tf_node *n, const char *name, int index, int *port)
{
    const bli_tf_opdef *def = bli_tf_opdef_find(n->op);
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_tf_types types = {0, NULL};
    for (const char *text = def ? def->outputs : ""; *text;) {
        const size_t before = types.count, size = strcspn(text, ":"), kind_size = strcspn(text + size + 1, ",");
        char kind[80] = {0};
        memcpy(kind, text + size + 1, kind_size < sizeof kind - 1 ? kind_size : sizeof kind - 1);
        BLI_TRY(add_argument(g->store, n, kind, &types));
        if (strlen(name) == size && strncmp(text, name, size) == 0) {
            if (before + (size_t)index >= types.count)
                break;
            *port = (int)before + index;
            return BL_OK;
        }
        text += size + 1 + kind_size;
        text += *text == ',';
    }
    return bli_fail(ctx, BL_BAD_MODEL, "node '%s' (%s): no output '%s:%d'", n->name, n->op, name, index);
}
