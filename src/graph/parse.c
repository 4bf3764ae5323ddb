/* parse.c: the text form back into a graph (print.c shows it).
 *
 * One pass with a bounded cursor; every list is checked against what is left of the text before room is made for it.
 * It checks names and order of definition, not operators: that is bl_graph_infer's and bl_graph_verify's work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/cursor.h"
#include "graph/text.h"

typedef struct parser {
    bli_cursor at; /* its scratch has strings and lists, dropped with the parse */
    bl_graph *g;
    int line;
} parser;

/* The number at the cursor as a terminated word of at most 63 characters. */
static bl_status number_word(parser *p, char word[64])
{
    bli_cursor_skip_blanks(&p->at);
    size_t n = 0;
    while (p->at.pos + n < p->at.size && !strchr(" \n,}])", p->at.text[p->at.pos + n]) && n < 63) {
        word[n] = p->at.text[p->at.pos + n];
        n++;
    }
    word[n] = 0;
    if (n == 0)
        return bli_cursor_expected(&p->at, "a number");
    return BL_OK;
}

static bl_status number_done(parser *p, const char *word, const char *end)
{
    if (*end || end == word)
        return bli_cursor_expected(&p->at, "a number");
    p->at.pos += strlen(word);
    return BL_OK;
}

static bl_status parse_int(parser *p, int64_t least, int64_t most, int64_t *out)
{
    char word[64], *end;
    *out = 0;
    BLI_TRY(number_word(p, word));
    errno = 0;
    long long v = strtoll(word, &end, 10);
    if (errno || v < least || v > most)
        return bli_cursor_expected(&p->at, "an integer that its type can hold");
    *out = v;
    return number_done(p, word, end);
}

static bl_status parse_u64(parser *p, uint64_t *out)
{
    char word[64], *end;
    *out = 0;
    BLI_TRY(number_word(p, word));
    errno = 0;
    *out = strtoull(word, &end, 10);
    if (errno || word[0] == '-')
        return bli_cursor_expected(&p->at, "an integer that its type can hold");
    return number_done(p, word, end);
}

static bl_status parse_f64(parser *p, double *out)
{
    char word[64], *end;
    BLI_TRY(number_word(p, word));
    if (strncmp(word, "nan:", 4) == 0) {
        uint64_t bits = strtoull(word + 4, &end, 16);
        memcpy(out, &bits, sizeof bits);
    } else {
        *out = strtod(word, &end);
    }
    return number_done(p, word, end);
}

static bl_status parse_f32(parser *p, float *out)
{
    char word[64], *end;
    BLI_TRY(number_word(p, word));
    if (strncmp(word, "nan:", 4) == 0) {
        uint32_t bits = (uint32_t)strtoul(word + 4, &end, 16);
        memcpy(out, &bits, sizeof bits);
    } else {
        *out = strtof(word, &end);
    }
    return number_done(p, word, end);
}

static bl_status parse_dtype(parser *p, bl_dtype *out)
{
    *out = BL_F32;
    bli_cursor_skip_blanks(&p->at);
    for (int t = 0; t < BL_DTYPE_COUNT; t++) {
        const char *name = bl_dtype_name((bl_dtype)t);
        size_t n = strlen(name);
        if (p->at.size - p->at.pos > n && memcmp(p->at.text + p->at.pos, name, n) == 0 &&
            p->at.text[p->at.pos + n] == ' ') {
            p->at.pos += n;
            *out = (bl_dtype)t;
            return BL_OK;
        }
    }
    return bli_cursor_expected(&p->at, "an element type");
}

static bl_status parse_shape(parser *p, bl_shape *s)
{
    *s = (bl_shape){.rank = 0};
    if (bli_cursor_take(&p->at, "?")) {
        s->rank = -1;
        return BL_OK;
    }
    BLI_TRY(bli_cursor_need(&p->at, "["));
    while (!bli_cursor_take(&p->at, "]")) {
        if (s->rank == BL_MAX_RANK)
            return bli_cursor_expected(&p->at, "at most 8 dimensions");
        if (s->rank > 0)
            BLI_TRY(bli_cursor_need(&p->at, ","));
        if (bli_cursor_take(&p->at, "N"))
            s->dim[s->rank] = -1;
        else
            BLI_TRY(parse_int(p, 0, INT64_MAX, &s->dim[s->rank]));
        s->rank++;
    }
    return BL_OK;
}

#define INTEGER_CASE(NAME, ctype, least, most)                                                                         \
    case BL_##NAME: {                                                                                                  \
        int64_t wide;                                                                                                  \
        BLI_TRY(parse_int(p, least, most, &wide));                                                                     \
        ((ctype *)data)[i] = (ctype)wide;                                                                              \
        return BL_OK;                                                                                                  \
    }

static bl_status parse_element(parser *p, bl_dtype type, void *data, size_t i)
{
    switch (type) {
    case BL_F32:
        return parse_f32(p, &((float *)data)[i]);
    case BL_F64:
        return parse_f64(p, &((double *)data)[i]);
    case BL_U64:
        return parse_u64(p, &((uint64_t *)data)[i]);
        INTEGER_CASE(I8, int8_t, INT8_MIN, INT8_MAX)
        INTEGER_CASE(U8, uint8_t, 0, UINT8_MAX)
        INTEGER_CASE(BOOL, uint8_t, 0, 1)
        INTEGER_CASE(I16, int16_t, INT16_MIN, INT16_MAX)
        INTEGER_CASE(U16, uint16_t, 0, UINT16_MAX)
        INTEGER_CASE(I32, int32_t, INT32_MIN, INT32_MAX)
        INTEGER_CASE(U32, uint32_t, 0, UINT32_MAX)
        INTEGER_CASE(I64, int64_t, INT64_MIN, INT64_MAX)
    case BL_DTYPE_COUNT:
        break;
    }
    return bli_cursor_expected(&p->at, "an element type");
}

static bl_status parse_elements(parser *p, bl_tensor *t)
{
    int64_t count = bl_shape_count(&t->shape);
    if (t->shape.rank < 0 || count < 0 || (uint64_t)count > (p->at.size - p->at.pos) / 2)
        return bli_cursor_expected(&p->at, "as many numbers as the shape says");
    t->data = bli_arena_array(p->at.scratch, (size_t)count, bl_dtype_size(t->type));
    if (!t->data)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < count; i++)
        BLI_TRY(parse_element(p, t->type, t->data, (size_t)i));
    return BL_OK;
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

static bl_status parse_value(parser *p, bl_role role)
{
    const char *name, *place;
    bl_tensor t = {0};
    BLI_TRY(bli_cursor_string(&p->at, &name));
    BLI_TRY(parse_dtype(p, &t.type));
    BLI_TRY(parse_shape(p, &t.shape));
    if (role == BL_ROLE_INPUT)
        return bl_graph_add_input(p->g, name, t.type, &t.shape, NULL);
    BLI_TRY(bli_cursor_string(&p->at, &place));
    BLI_TRY(bli_cursor_need(&p->at, "="));
    BLI_TRY(parse_elements(p, &t));
    return bl_graph_add_tensor(p->g, name, role, place, &t, NULL);
}

/* Elements of a list attribute, up to the comma or brace that ends it. */
static bl_status parse_list(parser *p, bl_attr *a)
{
    bli_buf list;
    bli_buf_init(&list, p->at.ctx, p->at.size * sizeof(double));
    bl_status s = BL_OK;
    for (bli_cursor_skip_blanks(&p->at); s == BL_OK && bli_cursor_peek(&p->at) != ',' && bli_cursor_peek(&p->at) != '}';
         bli_cursor_skip_blanks(&p->at)) {
        union {
            int64_t i;
            double f;
            const char *s;
        } item;
        s = a->kind == BL_ATTR_INTS     ? parse_int(p, INT64_MIN, INT64_MAX, &item.i)
            : a->kind == BL_ATTR_FLOATS ? parse_f64(p, &item.f)
                                        : bli_cursor_string(&p->at, &item.s);
        if (s == BL_OK)
            s = bli_buf_append(&list, &item, sizeof item);
        a->count++;
    }
    void *copy = s == BL_OK ? bli_arena_alloc(p->at.scratch, list.size + 1) : NULL;
    if (copy && list.size)
        memcpy(copy, list.data, list.size);
    bli_buf_free(&list);
    if (!copy)
        return s == BL_OK ? BL_NO_MEMORY : s;
    if (a->kind == BL_ATTR_INTS)
        a->u.ints = copy;
    else if (a->kind == BL_ATTR_FLOATS)
        a->u.floats = copy;
    else
        a->u.strings = copy;
    return BL_OK;
}

static bl_status parse_kind(parser *p, bl_attr *a)
{
    /* the plural words come first: "int" begins "ints" */
    static const bl_attr_kind order[] = {BL_ATTR_INTS,  BL_ATTR_FLOATS, BL_ATTR_STRINGS, BL_ATTR_INT,
                                         BL_ATTR_FLOAT, BL_ATTR_STRING, BL_ATTR_TENSOR};
    for (size_t i = 0; i < BLI_COUNT(order); i++)
        if (bli_cursor_take(&p->at, bli_kind_words[order[i]])) {
            a->kind = order[i];
            return BL_OK;
        }
    return bli_cursor_expected(&p->at, "an attribute's kind");
}

static bl_status parse_attr(parser *p, bl_attr *a)
{
    BLI_TRY(bli_cursor_string(&p->at, &a->name));
    BLI_TRY(parse_kind(p, a));
    switch (a->kind) {
    case BL_ATTR_INT:
        a->count = 1;
        return parse_int(p, INT64_MIN, INT64_MAX, &a->u.i);
    case BL_ATTR_FLOAT:
        a->count = 1;
        return parse_f64(p, &a->u.f);
    case BL_ATTR_STRING:
        a->count = 1;
        return bli_cursor_string(&p->at, &a->u.s);
    case BL_ATTR_TENSOR:
        a->count = 1;
        BLI_TRY(parse_dtype(p, &a->u.tensor.type));
        BLI_TRY(parse_shape(p, &a->u.tensor.shape));
        return parse_elements(p, &a->u.tensor);
    case BL_ATTR_INTS:
    case BL_ATTR_FLOATS:
    case BL_ATTR_STRINGS:
        break;
    }
    return parse_list(p, a);
}

static bl_status parse_inputs(parser *p, bli_buf *ids)
{
    BLI_TRY(bli_cursor_need(&p->at, "("));
    while (!bli_cursor_take(&p->at, ")")) {
        int id = -1;
        if (!bli_cursor_take(&p->at, "-")) {
            const char *name;
            BLI_TRY(bli_cursor_string(&p->at, &name));
            id = bl_graph_find_value(p->g, name);
            if (id < 0)
                return bli_fail(p->at.ctx, BL_BAD_MODEL, "value '%s' is used before it is made", name);
        }
        BLI_TRY(bli_buf_append(ids, &id, sizeof id));
    }
    return BL_OK;
}

static bl_status parse_outputs(parser *p, bli_buf *ids)
{
    BLI_TRY(bli_cursor_need(&p->at, "->"));
    BLI_TRY(bli_cursor_need(&p->at, "("));
    while (!bli_cursor_take(&p->at, ")")) {
        const char *name;
        bl_dtype type;
        bl_shape shape;
        int id;
        BLI_TRY(bli_cursor_string(&p->at, &name));
        BLI_TRY(parse_dtype(p, &type));
        BLI_TRY(parse_shape(p, &shape));
        BLI_TRY(bli_graph_declare(p->g, name, &id));
        bli_graph_value_mut(p->g, id)->type = type;
        bli_graph_value_mut(p->g, id)->shape = shape;
        BLI_TRY(bli_buf_append(ids, &id, sizeof id));
    }
    return BL_OK;
}

static bl_status parse_attrs(parser *p, bli_buf *attrs)
{
    BLI_TRY(bli_cursor_need(&p->at, "{"));
    for (bool first = true; !bli_cursor_take(&p->at, "}"); first = false) {
        if (!first)
            BLI_TRY(bli_cursor_need(&p->at, ","));
        bl_attr a = {0};
        BLI_TRY(parse_attr(p, &a));
        BLI_TRY(bli_buf_append(attrs, &a, sizeof a));
    }
    return BL_OK;
}

static bl_status parse_node(parser *p)
{
    bl_node n = {0};
    BLI_TRY(bli_cursor_string(&p->at, &n.name));
    BLI_TRY(bli_cursor_string(&p->at, &n.type));
    BLI_TRY(bli_cursor_string(&p->at, &n.domain));
    bli_buf inputs, outputs, attrs;
    bli_buf_init(&inputs, p->at.ctx, p->at.size * sizeof(int));
    bli_buf_init(&outputs, p->at.ctx, p->at.size * sizeof(int));
    bli_buf_init(&attrs, p->at.ctx, p->at.size * sizeof(bl_attr));
    bl_status s = parse_inputs(p, &inputs);
    if (s == BL_OK)
        s = parse_outputs(p, &outputs);
    if (s == BL_OK)
        s = parse_attrs(p, &attrs);
    if (s == BL_OK) {
        n.num_inputs = (int)(inputs.size / sizeof(int));
        n.num_outputs = (int)(outputs.size / sizeof(int));
        n.num_attrs = (int)(attrs.size / sizeof(bl_attr));
        n.inputs = (const int *)(const void *)inputs.data;
        n.attrs = (const bl_attr *)(const void *)attrs.data;
        s = bli_graph_add_node_at(p->g, &n, (const int *)(const void *)outputs.data);
    }
    bli_buf_free(&inputs);
    bli_buf_free(&outputs);
    bli_buf_free(&attrs);
    return s;
}

static bl_status parse_meta(parser *p)
{
    const char *key, *value;
    BLI_TRY(bli_cursor_string(&p->at, &key));
    BLI_TRY(bli_cursor_string(&p->at, &value));
    return bl_graph_set_meta(p->g, key, value);
}

static bl_status parse_output(parser *p, bli_buf *outputs)
{
    const char *name;
    BLI_TRY(bli_cursor_string(&p->at, &name));
    int id = bl_graph_find_value(p->g, name);
    if (id < 0)
        return bli_fail(p->at.ctx, BL_BAD_MODEL, "output '%s' is no value of the graph", name);
    return bli_buf_append(outputs, &id, sizeof id);
}

static bl_status parse_line(parser *p, bli_buf *outputs)
{
    if (bli_cursor_take(&p->at, "node "))
        return parse_node(p);
    if (bli_cursor_take(&p->at, "meta "))
        return parse_meta(p);
    if (bli_cursor_take(&p->at, "output "))
        return parse_output(p, outputs);
    for (int role = 0; role < (int)BLI_COUNT(bli_role_words); role++)
        if (role != BL_ROLE_COMPUTED && bli_cursor_take(&p->at, bli_role_words[role]))
            return parse_value(p, (bl_role)role);
    return bli_cursor_expected(&p->at, "meta, input, constant, parameter, state, node or output");
}

static bl_status parse_lines(parser *p, bli_buf *outputs)
{
    const char *name;
    BLI_TRY(bli_cursor_need(&p->at, "graph "));
    BLI_TRY(bli_cursor_string(&p->at, &name));
    BLI_TRY(bl_graph_create(p->at.ctx, name, &p->g));
    BLI_TRY(bli_cursor_need(&p->at, "\n"));
    p->line++;
    for (; p->at.pos < p->at.size; p->line++) {
        if (bli_cursor_take(&p->at, "\n"))
            continue;
        BLI_TRY(parse_line(p, outputs));
        BLI_TRY(bli_cursor_need(&p->at, "\n"));
    }
    return bl_graph_set_outputs(p->g, (const int *)(const void *)outputs->data, (int)(outputs->size / sizeof(int)));
}

bl_status bl_graph_parse(bl_context *ctx, const char *text, size_t size, bl_graph **out)
{
    *out = NULL;
    parser p = {.at = {.ctx = ctx, .text = text, .size = size}, .line = 1};
    if (size > SIZE_MAX / sizeof(bl_attr))
        return bli_fail(ctx, BL_LIMIT, "graph text: %zu bytes are too many", size);
    BLI_TRY(bli_arena_create(ctx, &p.at.scratch));
    bli_c_locale locale;
    bl_status s = bli_c_locale_enter(ctx, &locale);
    if (s == BL_OK) {
        bli_buf outputs;
        bli_buf_init(&outputs, ctx, size);
        s = parse_lines(&p, &outputs);
        s = bli_within(ctx, s, "graph text, line %d", p.line);
        bli_buf_free(&outputs);
        bli_c_locale_leave(&locale);
    }
    bli_arena_destroy(p.at.scratch);
    if (s != BL_OK) {
        bl_graph_destroy(p.g);
        return s;
    }
    *out = p.g;
    return BL_OK;
}
