/* print.c: the text form of a program, one line an op.
 *
 *   program "name"
 *   %0 = input "x" "x" [784] exp -8 scale 1 offset 0 format "ufixed<8,0,RND,SAT>" grid 1 0 ; 0 .. 255
 *   %1 = dense (%0) "fc1" "fc1" exp -13 channels 2 weight [1 -2 3 ...] bias [0 5] ; -1020 .. 2040, 2 spans
 *   output %1 "logits" channels 1 scale [0.5] offset [1] then / [3] wide cut "Softmax 'softmax'"
 *
 * After the name comes the layer; a shape stands where the kind does not compute it; fields that are 0 or absent are
 * left out, an empty array is [].  From ; to the end of a line is for the reader: spans follow from the rest.
 */
#include <string.h>

#include "graph/text.h"
#include "program/text.h"

const char *const bli_rounding_words[BL_ROUNDING_COUNT] = {
#define WORD(name, text) [BL_##name] = #name,
    BL_ROUNDING_LIST(WORD)
#undef WORD
};
const char *const bli_overflow_words[BL_OVERFLOW_COUNT] = {
#define WORD(name, text) [BL_##name] = #name,
    BL_OVERFLOW_LIST(WORD)
#undef WORD
};

static bl_status print_string(bli_buf *b, const char *before, const char *s)
{
    BLI_TRY(bli_buf_printf(b, "%s\"", before));
    for (; *s != '\0'; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            BLI_TRY(bli_buf_printf(b, "\\%c", c));
        else if (c < 32 || c == 127)
            BLI_TRY(bli_buf_printf(b, "\\x%02x", c));
        else
            BLI_TRY(bli_buf_append(b, s, 1));
    }
    return bli_buf_append(b, "\"", 1);
}

static bl_status print_shape(bli_buf *b, const bl_shape *s)
{
    BLI_TRY(bli_buf_printf(b, " ["));
    for (int d = 0; d < s->rank; d++)
        BLI_TRY(bli_buf_printf(b, "%s%lld", d == 0 ? "" : ", ", (long long)s->dim[d]));
    return bli_buf_printf(b, "]");
}

static bl_status print_array(bli_buf *b, const char *word, const int64_t *v, int64_t n)
{
    BLI_TRY(bli_buf_printf(b, " %s [", word));
    for (int64_t i = 0; i < n; i++)
        BLI_TRY(bli_buf_printf(b, i == 0 ? "%lld" : " %lld", (long long)v[i]));
    return bli_buf_printf(b, "]");
}

static bl_status print_reals(bli_buf *b, const char *word, const double *v, int64_t n)
{
    if (v == NULL)
        return BL_OK;
    BLI_TRY(bli_buf_printf(b, " %s [", word));
    for (int64_t i = 0; i < n; i++)
        BLI_TRY(bli_buf_printf(b, i == 0 ? "%.17g" : " %.17g", v[i]));
    return bli_buf_printf(b, "]");
}

/* Numbers of an int field: one as it is, several in brackets. */
static bl_status print_ints(bli_buf *b, const bli_field_info *info, const int *v)
{
    int n = info->count;
    bool zero = true;
    for (int i = 0; i < n; i++)
        zero = zero && v[i] == 0;
    if (zero)
        return BL_OK;
    if (n == 1)
        return bli_buf_printf(b, " %s %d", info->word, v[0]);
    BLI_TRY(bli_buf_printf(b, " %s [", info->word));
    for (int i = 0; i < n; i++)
        BLI_TRY(bli_buf_printf(b, i == 0 ? "%d" : " %d", v[i]));
    return bli_buf_printf(b, "]");
}

static bl_status print_scalar(bli_buf *b, const bli_field_info *info, const bli_prim_op *op)
{
    const void *at = (const char *)op + info->offset;
    int64_t wide;
    switch (info->type) {
    case BLI_FIELD_IS_INT:
        return print_ints(b, info, at);
    case BLI_FIELD_IS_INT64:
        memcpy(&wide, at, sizeof wide);
        return wide == 0 ? BL_OK : bli_buf_printf(b, " %s %lld", info->word, (long long)wide);
    case BLI_FIELD_IS_BOOL:
        return op->is_signed ? bli_buf_printf(b, " %s 1", info->word) : BL_OK;
    case BLI_FIELD_IS_ROUNDING:
        return bli_buf_printf(b, " %s %s", info->word, bli_rounding_words[op->rounding]);
    case BLI_FIELD_IS_OVERFLOW:
        return bli_buf_printf(b, " %s %s", info->word, bli_overflow_words[op->overflow]);
    default:
        return BL_OK;
    }
}

static bl_status print_fields(bli_buf *b, const bli_program *p, int i)
{
    const bli_prim_op *op = &p->ops[i];
    const bli_prim_rule *rule = bli_prim_rules[op->kind];
    bli_call c = {.ctx = p->ctx, .op = op, .count = p->wires[i].count};
    for (int k = 0; k < op->num_in; k++)
        c.in[k] = &p->wires[op->in[k]];
    for (int f = 0; f < BLI_FIELD_COUNT; f++) {
        if ((rule->fields >> f & 1) != 0)
            BLI_TRY(print_scalar(b, &bli_fields[f], op));
        if (rule->extent[f] == BLI_EXTENT_NONE)
            continue;
        const int64_t *array = *bli_field_array((bli_prim_op *)(uintptr_t)op, (bli_field)f);
        if (array != NULL)
            BLI_TRY(print_array(b, bli_fields[f].word, array, bli_call_extent(&c, (bli_field)f)));
    }
    return BL_OK;
}

static bl_status print_input(bli_buf *b, const bli_input *in)
{
    char text[64];
    bl_format_print(&in->format, text, sizeof text);
    BLI_TRY(bli_buf_printf(b, " scale %.17g offset %.17g", in->scale, in->offset));
    BLI_TRY(print_string(b, in->wide ? " wide format " : " format ", text));
    return bli_buf_printf(b, " grid %.17g %lld", in->grid.scale, (long long)in->grid.zero_point);
}

static bl_status print_spans(bli_buf *b, const bli_wire *w)
{
    const bli_span hull = bli_wire_hull(w);
    BLI_TRY(bli_buf_printf(b, " ; %lld .. %lld", (long long)hull.low, (long long)hull.high));
    if (hull.zeros > 0 && hull.zeros < BLI_ZEROS_OF_ZERO)
        BLI_TRY(bli_buf_printf(b, " by 2^%d", hull.zeros));
    if (w->num_spans > 1)
        BLI_TRY(bli_buf_printf(b, ", %lld spans", (long long)w->num_spans));
    if (w->note != NULL)
        BLI_TRY(print_string(b, ", ", w->note));
    return bli_buf_append(b, "\n", 1);
}

static bl_status print_op(bli_buf *b, const bli_program *p, int i)
{
    const bli_prim_op *op = &p->ops[i];
    const bli_wire *w = &p->wires[i];
    BLI_TRY(bli_buf_printf(b, "%%%d = %s", i, bli_prim_word(op->kind)));
    for (int k = 0; k < op->num_in; k++)
        BLI_TRY(bli_buf_printf(b, "%s%%%d%s", k == 0 ? " (" : " ", op->in[k], k + 1 == op->num_in ? ")" : ""));
    BLI_TRY(print_string(b, " ", w->name));
    BLI_TRY(print_string(b, " ", w->layer));
    if (bli_prim_rules[op->kind]->shape_given)
        BLI_TRY(print_shape(b, &w->shape));
    BLI_TRY(bli_buf_printf(b, " exp %d", w->exp));
    BLI_TRY(i < p->num_inputs ? print_input(b, &p->inputs[i]) : print_fields(b, p, i));
    return print_spans(b, w);
}

static bl_status print_output(bli_buf *b, const bli_output *o)
{
    BLI_TRY(bli_buf_printf(b, "output %%%d", o->wire));
    BLI_TRY(print_string(b, " ", o->name));
    if (o->channels > 0 || o->scale != NULL)
        BLI_TRY(bli_buf_printf(b, " channels %lld", (long long)o->channels));
    BLI_TRY(print_reals(b, "scale", o->scale, o->channels));
    BLI_TRY(print_reals(b, "offset", o->offset, o->channels));
    for (int k = 0; k < o->num_steps; k++) {
        const char word[] = {'t', 'h', 'e', 'n', ' ', o->steps[k].op, '\0'};
        BLI_TRY(print_reals(b, word, o->steps[k].number, o->channels));
    }
    if (o->wide)
        BLI_TRY(bli_buf_printf(b, " wide"));
    if (o->cut != NULL)
        BLI_TRY(print_string(b, " cut ", o->cut));
    return bli_buf_append(b, "\n", 1);
}

static bl_status print_program(bli_buf *b, const bli_program *p)
{
    BLI_TRY(print_string(b, "program ", p->name));
    BLI_TRY(bli_buf_append(b, "\n", 1));
    for (int i = 0; i < p->num_ops; i++)
        BLI_TRY(print_op(b, p, i));
    for (int i = 0; i < p->num_outputs; i++)
        BLI_TRY(print_output(b, &p->outputs[i]));
    return BL_OK;
}

bl_status bli_program_print(const bli_program *p, char **text)
{
    *text = NULL;
    bli_c_locale locale;
    BLI_TRY(bli_c_locale_enter(p->ctx, &locale));
    bli_buf b;
    bli_buf_init(&b, p->ctx, SIZE_MAX / 4);
    bl_status s = print_program(&b, p);
    bli_c_locale_leave(&locale);
    if (s == BL_OK)
        *text = b.data;
    else
        bli_buf_free(&b);
    return s;
}
