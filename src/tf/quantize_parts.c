/* quantize_parts.c: nodes of a construction, from a table, as quantize_parts.h says. */
#include "tf/quantize_parts.h"

#include <string.h>

enum { LONGEST_WORD = 31 };

/* Copies the first word and says where the next begins. */
static const char *next_word(const char *at, char word[LONGEST_WORD + 1])
{
    size_t n = strcspn(at, " ");
    memset(word, 0, LONGEST_WORD + 1);
    memcpy(word, at, n < LONGEST_WORD ? n : LONGEST_WORD);
    return at + n + (at[n] == ' ');
}

const char *bli_tg_part_name(const bli_tg_site *s, const char *part)
{
    if (part[0] == '$')
        return s->codes[part[1] == ':' ? part[2] - '0' : 0];
    return part[0] == '#' ? s->n->inputs[part[1] - '0'] : bli_tf_text(s->out->store, "%s/%s", s->base, part);
}

static bl_status set_types(bli_tf_store *s, bli_tf_node *n, const char *types)
{
    char word[LONGEST_WORD + 1];
    while (*types) {
        int dtype = BLI_DT_INVALID;
        types = next_word(types, word);
        char *equals = strchr(word, '=');
        if (!equals || !bli_tf_dtype_parse(equals + 1, &dtype))
            return bli_fail(bli_tf_store_context(s), BL_USAGE, "part %s: '%s' is no type", n->name, word);
        const char *attr = bli_tf_text_copy(s, word, (size_t)(equals - word));
        if (!attr)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_set_type(s, n, attr, dtype));
    }
    return BL_OK;
}

static bl_status add_scalar(const bli_tg_site *s, const bli_tg_part *p, const char *name)
{
    const float real = (float)p->value;
    const int32_t whole = (int32_t)p->value;
    const uint8_t byte = (uint8_t)whole;
    int dtype = BLI_DT_INVALID;
    const char *equals = strchr(p->types, '=');
    if (!equals || !bli_tf_dtype_parse(equals + 1, &dtype))
        return bli_fail(s->q->job->ctx, BL_USAGE, "part %s: '%s' is no type", name, p->types);
    const void *data = dtype == BLI_DT_FLOAT   ? (const void *)&real
                       : dtype == BLI_DT_INT32 ? (const void *)&whole
                                               : (const void *)&byte;
    return bli_tg_add_const(s->out, name, dtype, 0, NULL, data, NULL, NULL);
}

static bl_status add_part(const bli_tg_site *s, const bli_tg_part *p, bli_tf_node **made)
{
    char word[LONGEST_WORD + 1];
    const char *name = bli_tg_part_name(s, p->name);
    *made = NULL;
    if (!name)
        return BL_NO_MEMORY;
    if (strcmp(p->op, "Const") == 0)
        return add_scalar(s, p, name);
    BLI_TRY(bli_tg_add_node(s->out, p->op, name, NULL, made));
    for (const char *at = p->inputs; *at;) {
        at = next_word(at, word);
        const char *input = bli_tg_part_name(s, word);
        if (!input)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tf_node_add_input(s->out->store, *made, input));
    }
    return set_types(s->out->store, *made, p->types);
}

bl_status bli_tg_add_parts(const bli_tg_site *s, const bli_tg_part *parts, size_t count, bli_tf_node **last)
{
    bli_tf_node *made = NULL;
    for (size_t i = 0; i < count; i++)
        BLI_TRY(add_part(s, &parts[i], &made));
    if (last)
        *last = made;
    return BL_OK;
}

bl_status bli_tg_site_make(const bli_tg_quantizer *q, const bli_tf_node *n, const char *below, bli_tf_graph *out,
                           bli_tg_site *s)
{
    *s = (bli_tg_site){
        q, n, out, bli_tf_text(out->store, "%s/eightbit%s%s", n->name, below ? "/" : "", below ? below : ""), {NULL}};
    return s->base ? BL_OK : BL_NO_MEMORY;
}

void bli_tg_site_read(bli_tg_site *s, const bli_tg_bytes *in, size_t input)
{
    s->codes[0] = in->names[input];
    s->codes[1] = in->minima[input];
    s->codes[2] = in->maxima[input];
}

bl_status bli_tg_copy_or_default(bli_tf_store *s, bli_tf_node *to, const char *attr, const bli_tf_node *from)
{
    if (bli_tf_node_attr(from, attr))
        return bli_tg_copy_attr(s, to, attr, from);
    bli_tf_node *filled = bli_tf_node_copy(s, from);
    if (!filled)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_opdef_fill(s, bli_tf_opdef_find(from->op), filled));
    return bli_tg_copy_attr(s, to, attr, filled);
}

bl_status bli_tg_copy_controls(const bli_tg_site *s, bli_tf_node *to)
{
    for (size_t i = 0; i < s->n->num_inputs; i++)
        if (bli_tg_is_control(s->n->inputs[i]))
            BLI_TRY(bli_tf_node_add_input(s->out->store, to, s->n->inputs[i]));
    return BL_OK;
}

bl_status bli_tg_part_names(const bli_tg_site *s, const char *const parts[3], const char *names[3])
{
    for (int k = 0; k < 3; k++)
        if (!(names[k] = bli_tg_part_name(s, parts[k])))
            return BL_NO_MEMORY;
    return BL_OK;
}

bl_status bli_tg_end_bytes(const bli_tg_site *s, const char *const parts[3])
{
    const char *codes[3];
    BLI_TRY(bli_tg_part_names(s, parts, codes));
    return bli_tg_end(s->n, codes, s->out);
}

bl_status bli_tg_end_wide(const bli_tg_site *s, const char *const parts[3])
{
    const char *last = s->base, *codes[3];
    BLI_TRY(bli_tg_part_names(s, parts, codes));
    BLI_TRY(bli_tg_narrow(s->q, &last, codes, s->out));
    BLI_TRY(bli_tg_ports(s->out->store, last, codes));
    return bli_tg_end(s->n, codes, s->out);
}
