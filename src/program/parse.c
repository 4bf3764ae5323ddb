/* parse.c: the text form back into a program (print.c shows it).
 *
 * One pass with a bounded cursor.  Lines go through the builder, which checks everything that a program must be; here
 * only the form is checked, and that arrays have the length that their op asks for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/cursor.h"
#include "graph/text.h"
#include "program/text.h"

typedef struct parser {
    bli_cursor at; /* its scratch is of the line at hand */
    bli_builder *b;
    int line, num_wires;
} parser;

/* ---- words and numbers ------------------------------------------------------------------------------------------ */

enum { WORD_SIZE = 64 };

/* What stands at the cursor up to a blank or bracket, advancing; empty at the end of the line. */
static bl_status word(parser *p, char out[WORD_SIZE])
{
    bli_cursor_skip_blanks(&p->at);
    size_t n = 0;
    while (p->at.pos + n < p->at.size && strchr(" \n,()[]\";", p->at.text[p->at.pos + n]) == NULL &&
           p->at.text[p->at.pos + n] != '\0') {
        if (n + 1 >= WORD_SIZE)
            return bli_cursor_expected(&p->at, "a shorter word");
        out[n] = p->at.text[p->at.pos + n];
        n++;
    }
    out[n] = '\0';
    p->at.pos += n;
    return BL_OK;
}

static bl_status parse_int64(parser *p, int64_t least, int64_t most, int64_t *out)
{
    char text[WORD_SIZE], *end;
    *out = 0;
    const size_t at = p->at.pos;
    BLI_TRY(word(p, text));
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || v < least || v > most) {
        p->at.pos = at;
        return bli_cursor_expected(&p->at, "an integer that its field can hold");
    }
    *out = v;
    return BL_OK;
}

static bl_status parse_int(parser *p, int *out)
{
    int64_t v;
    BLI_TRY(parse_int64(p, INT32_MIN, INT32_MAX, &v));
    *out = (int)v;
    return BL_OK;
}

static bl_status parse_real(parser *p, double *out)
{
    char text[WORD_SIZE], *end;
    *out = 0;
    const size_t at = p->at.pos;
    BLI_TRY(word(p, text));
    *out = strtod(text, &end);
    if (*end != '\0' || end == text) {
        p->at.pos = at;
        return bli_cursor_expected(&p->at, "a number");
    }
    return BL_OK;
}

/* How many elements the bracket at the cursor can hold at most: no two without something between them. */
static size_t room_of(const parser *p)
{
    size_t n = 0;
    while (p->at.pos + n < p->at.size && p->at.text[p->at.pos + n] != ']' && p->at.text[p->at.pos + n] != '\n')
        n++;
    return n / 2 + 1;
}

static bl_status parse_array(parser *p, const int64_t **out, int64_t *count)
{
    *out = NULL;
    *count = 0;
    BLI_TRY(bli_cursor_need(&p->at, "["));
    int64_t *v = bli_arena_array(p->at.scratch, room_of(p), sizeof *v);
    if (v == NULL)
        return BL_NO_MEMORY;
    while (!bli_cursor_take(&p->at, "]"))
        BLI_TRY(parse_int64(p, INT64_MIN, INT64_MAX, &v[(*count)++]));
    *out = v;
    return BL_OK;
}

static bl_status parse_reals(parser *p, const double **out, int64_t *count)
{
    *out = NULL;
    *count = 0;
    BLI_TRY(bli_cursor_need(&p->at, "["));
    double *v = bli_arena_array(p->at.scratch, room_of(p), sizeof *v);
    if (v == NULL)
        return BL_NO_MEMORY;
    while (!bli_cursor_take(&p->at, "]"))
        BLI_TRY(parse_real(p, &v[(*count)++]));
    *out = v;
    return BL_OK;
}

static bl_status parse_shape(parser *p, bl_shape *s)
{
    *s = (bl_shape){.rank = 0};
    BLI_TRY(bli_cursor_need(&p->at, "["));
    while (!bli_cursor_take(&p->at, "]")) {
        if (s->rank == BL_MAX_RANK)
            return bli_cursor_expected(&p->at, "at most 8 dimensions");
        if (s->rank > 0)
            BLI_TRY(bli_cursor_need(&p->at, ","));
        BLI_TRY(parse_int64(p, 0, INT64_MAX, &s->dim[s->rank++]));
    }
    return BL_OK;
}

static bl_status parse_choice(parser *p, const char *const *words, int count, int *out)
{
    char text[WORD_SIZE];
    const size_t at = p->at.pos;
    BLI_TRY(word(p, text));
    for (*out = 0; *out < count; (*out)++)
        if (strcmp(words[*out], text) == 0)
            return BL_OK;
    p->at.pos = at;
    const char *near = bli_nearest(text, words, (size_t)count);
    return bli_cursor_expected(&p->at, near != NULL ? near : words[0]);
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static bl_status parse_ints(parser *p, int *v, int count)
{
    if (count == 1)
        return parse_int(p, v);
    BLI_TRY(bli_cursor_need(&p->at, "["));
    for (int i = 0; i < count; i++)
        BLI_TRY(parse_int(p, &v[i]));
    return bli_cursor_need(&p->at, "]");
}

static bl_status parse_field(parser *p, bli_field f, bli_prim_op *op, int64_t *count)
{
    const bli_field_info *info = &bli_fields[f];
    void *at = (char *)op + info->offset;
    int choice = 0;
    switch (info->type) {
    case BLI_FIELD_IS_INT:
        return parse_ints(p, at, info->count);
    case BLI_FIELD_IS_INT64:
        return parse_int64(p, INT64_MIN, INT64_MAX, at);
    case BLI_FIELD_IS_BOOL:
        BLI_TRY(parse_int(p, &choice));
        op->is_signed = choice != 0;
        return choice == 0 || choice == 1 ? BL_OK : bli_cursor_expected(&p->at, "0 or 1");
    case BLI_FIELD_IS_ROUNDING:
        BLI_TRY(parse_choice(p, bli_rounding_words, BL_ROUNDING_COUNT, &choice));
        op->rounding = (bl_rounding)choice;
        return BL_OK;
    case BLI_FIELD_IS_OVERFLOW:
        BLI_TRY(parse_choice(p, bli_overflow_words, BL_OVERFLOW_COUNT, &choice));
        op->overflow = (bl_overflow)choice;
        return BL_OK;
    default:
        return parse_array(p, bli_field_array(op, f), count);
    }
}

static bool ends(parser *p)
{
    bli_cursor_skip_blanks(&p->at);
    return bli_cursor_peek(&p->at) == '\n' || bli_cursor_peek(&p->at) == ';' || bli_cursor_peek(&p->at) < 0;
}

/* Fields up to the end of the line; count[f]: elements of array f. */
static bl_status parse_fields(parser *p, bli_prim_op *op, int64_t *count)
{
    static const char *const field_words[BLI_FIELD_COUNT] = {
#define WORD(name, word, member, type, count) word,
        BLI_FIELD_LIST(WORD)
#undef WORD
    };
    uint32_t seen = 0;
    while (!ends(p)) {
        int f = 0;
        BLI_TRY(parse_choice(p, field_words, BLI_FIELD_COUNT, &f));
        if ((seen >> f & 1) != 0)
            return bli_fail(p->at.ctx, BL_BAD_FILE, "field %s is given twice", field_words[f]);
        seen |= 1u << f;
        BLI_TRY(bli_within(p->at.ctx, parse_field(p, (bli_field)f, op, &count[f]), "%s", field_words[f]));
    }
    return BL_OK;
}

/* The builder believes the lengths of arrays: here they are known. */
static bl_status check_lengths(parser *p, const bli_prim_op *op, const bl_shape *shape, const int64_t *count)
{
    bli_call c = {.ctx = p->at.ctx, .op = op};
    for (int k = 0; k < op->num_in; k++) {
        c.in[k] = bli_builder_wire(p->b, op->in[k]);
        if (c.in[k] == NULL)
            return bli_fail(p->at.ctx, BL_BAD_FILE, "input %d is wire %d, of %d so far", k, op->in[k], p->num_wires);
    }
    const bli_prim_rule *rule = bli_prim_rules[op->kind];
    c.count = rule->shape_given ? bl_shape_count(shape) : 0;
    for (int f = 0; f < BLI_FIELD_COUNT; f++) {
        const int64_t *array = bli_fields[f].type == BLI_FIELD_IS_ARRAY
                                   ? *bli_field_array((bli_prim_op *)(uintptr_t)op, (bli_field)f)
                                   : NULL;
        if (array == NULL || rule->extent[f] == BLI_EXTENT_NONE)
            continue; /* the builder's to say */
        if (op->num_in == 0 && (rule->extent[f] == BLI_EXTENT_DENSE || rule->extent[f] == BLI_EXTENT_CONV))
            return bli_fail(p->at.ctx, BL_BAD_FILE, "no input");
        const int64_t want = bli_call_extent(&c, (bli_field)f);
        if (want != count[f])
            return bli_fail(p->at.ctx, BL_BAD_FILE, "%s has %lld elements, expected %lld", bli_fields[f].word,
                            (long long)count[f], (long long)want);
    }
    return BL_OK;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

static bl_status parse_kind(parser *p, bli_prim *out)
{
    static const char *const kinds[BLI_PRIM_COUNT] = {
#define WORD(name, word, inputs, text) word,
        BLI_PRIM_LIST(WORD)
#undef WORD
    };
    int kind = 0;
    BLI_TRY(parse_choice(p, kinds, BLI_PRIM_COUNT, &kind));
    *out = (bli_prim)kind;
    return BL_OK;
}

static bl_status parse_wires(parser *p, bli_prim_op *op)
{
    if (!bli_cursor_take(&p->at, "("))
        return BL_OK;
    while (!bli_cursor_take(&p->at, ")")) {
        if (op->num_in == BLI_PRIM_MAX_IN)
            return bli_cursor_expected(&p->at, "at most 16 inputs");
        BLI_TRY(bli_cursor_need(&p->at, "%"));
        BLI_TRY(parse_int(p, &op->in[op->num_in++]));
    }
    return BL_OK;
}

static bl_status parse_input(parser *p, bli_input *in)
{
    const char *format;
    BLI_TRY(bli_cursor_need(&p->at, "scale"));
    BLI_TRY(parse_real(p, &in->scale));
    BLI_TRY(bli_cursor_need(&p->at, "offset"));
    BLI_TRY(parse_real(p, &in->offset));
    in->wide = bli_cursor_take(&p->at, "wide");
    BLI_TRY(bli_cursor_need(&p->at, "format"));
    BLI_TRY(bli_cursor_string(&p->at, &format));
    BLI_TRY(bl_format_parse(p->at.ctx, format, &in->format));
    BLI_TRY(bli_cursor_need(&p->at, "grid"));
    BLI_TRY(parse_real(p, &in->grid.scale));
    return parse_int64(p, INT64_MIN, INT64_MAX, &in->grid.zero_point);
}

/* A name that is taken would get a number and the text would not be the program's. */
static bl_status check_name(parser *p, int wire, const char *name)
{
    if (strcmp(bli_builder_wire(p->b, wire)->name, name) == 0)
        return BL_OK;
    return bli_fail(p->at.ctx, BL_BAD_FILE, "the name '%s' is empty or taken", name);
}

static bl_status parse_op(parser *p)
{
    bli_prim_op op = {.num_in = 0};
    int number, exp, out;
    const char *name, *layer;
    bl_shape shape = {.rank = 0};
    int64_t count[BLI_FIELD_COUNT] = {0};
    BLI_TRY(parse_int(p, &number));
    if (number != p->num_wires)
        return bli_fail(p->at.ctx, BL_BAD_FILE, "wire %d, expected %d", number, p->num_wires);
    BLI_TRY(bli_cursor_need(&p->at, "="));
    BLI_TRY(parse_kind(p, &op.kind));
    BLI_TRY(parse_wires(p, &op));
    BLI_TRY(bli_cursor_string(&p->at, &name));
    BLI_TRY(bli_cursor_string(&p->at, &layer));
    const bool given = bli_prim_rules[op.kind]->shape_given;
    if (given)
        BLI_TRY(parse_shape(p, &shape));
    BLI_TRY(bli_cursor_need(&p->at, "exp"));
    BLI_TRY(parse_int(p, &exp));
    if (op.kind == BLI_PRIM_INPUT) {
        bli_input in = {.name = name};
        BLI_TRY(parse_input(p, &in));
        BLI_TRY(bli_builder_input(p->b, &in, layer, &shape, &out));
    } else {
        BLI_TRY(parse_fields(p, &op, count));
        BLI_TRY(check_lengths(p, &op, &shape, count));
        BLI_TRY(bli_builder_add(p->b, &op, name, layer, given ? &shape : NULL, exp, &out));
    }
    if (bli_builder_wire(p->b, out)->exp != exp)
        return bli_fail(p->at.ctx, BL_BAD_FILE, "exp is %d, the format's is %d", exp, bli_builder_wire(p->b, out)->exp);
    p->num_wires++;
    return check_name(p, out, name);
}

/* "then / [2 3]" */
static bl_status parse_steps(parser *p, bli_output *o)
{
    int64_t count;
    while (bli_cursor_take(&p->at, "then")) {
        if (o->num_steps == BLI_OUTPUT_STEPS)
            return bli_cursor_expected(&p->at, "no more than 8 steps");
        bli_output_step *step = &o->steps[o->num_steps++];
        bli_cursor_skip_blanks(&p->at);
        step->op = bli_cursor_peek(&p->at) < 0 ? '\0' : (char)bli_cursor_peek(&p->at);
        p->at.pos++;
        BLI_TRY(parse_reals(p, &step->number, &count));
        if (count != o->channels)
            return bli_fail(p->at.ctx, BL_BAD_FILE, "%lld numbers of a step, expected %lld", (long long)count,
                            (long long)o->channels);
    }
    return BL_OK;
}

static bl_status parse_output(parser *p)
{
    bli_output o = {.wire = -1};
    int64_t scales, offsets;
    BLI_TRY(bli_cursor_need(&p->at, "%"));
    BLI_TRY(parse_int(p, &o.wire));
    BLI_TRY(bli_cursor_string(&p->at, &o.name));
    if (bli_cursor_take(&p->at, "channels"))
        BLI_TRY(parse_int64(p, 0, INT64_MAX, &o.channels));
    scales = offsets = o.channels;
    if (bli_cursor_take(&p->at, "scale"))
        BLI_TRY(parse_reals(p, &o.scale, &scales));
    if (bli_cursor_take(&p->at, "offset"))
        BLI_TRY(parse_reals(p, &o.offset, &offsets));
    if (scales != o.channels || offsets != o.channels)
        return bli_fail(p->at.ctx, BL_BAD_FILE, "%lld scales and %lld offsets, expected %lld", (long long)scales,
                        (long long)offsets, (long long)o.channels);
    BLI_TRY(parse_steps(p, &o));
    o.wide = bli_cursor_take(&p->at, "wide");
    if (bli_cursor_take(&p->at, "cut"))
        BLI_TRY(bli_cursor_string(&p->at, &o.cut));
    return bli_builder_output(p->b, &o);
}

static bl_status parse_line(parser *p)
{
    if (bli_cursor_take(&p->at, "%"))
        BLI_TRY(parse_op(p));
    else if (bli_cursor_take(&p->at, "output"))
        BLI_TRY(parse_output(p));
    if (!ends(p))
        return bli_cursor_expected(&p->at, "the end of the line");
    while (bli_cursor_peek(&p->at) >= 0 && bli_cursor_peek(&p->at) != '\n')
        p->at.pos++;
    p->at.pos++;
    p->line++;
    return BL_OK;
}

/* Each line has its own scratch, so that memory follows the longest line. */
static bl_status parse_lines(parser *p)
{
    bl_status s = BL_OK;
    while (s == BL_OK && p->at.pos < p->at.size) {
        BLI_TRY(bli_arena_create(p->at.ctx, &p->at.scratch));
        const int line = p->line;
        s = bli_within(p->at.ctx, parse_line(p), "line %d", line);
        bli_arena_destroy(p->at.scratch);
    }
    return s;
}

static bl_status parse_head(parser *p)
{
    const char *name = NULL;
    BLI_TRY(bli_arena_create(p->at.ctx, &p->at.scratch));
    bl_status s = bli_cursor_need(&p->at, "program");
    if (s == BL_OK)
        s = bli_cursor_string(&p->at, &name);
    if (s == BL_OK)
        s = bli_builder_create(p->at.ctx, name, &p->b);
    if (s == BL_OK)
        s = parse_line(p);
    bli_arena_destroy(p->at.scratch);
    return bli_within(p->at.ctx, s, "line 1");
}

bl_status bli_program_parse(bl_context *ctx, const char *text, size_t size, bli_program **out)
{
    *out = NULL;
    parser p = {.at = {.ctx = ctx, .text = text, .size = size}, .line = 1};
    bli_c_locale locale;
    BLI_TRY(bli_c_locale_enter(ctx, &locale));
    bl_status s = parse_head(&p);
    if (s == BL_OK)
        s = parse_lines(&p);
    if (s == BL_OK)
        s = bli_builder_finish(p.b, out);
    bli_builder_destroy(p.b);
    bli_c_locale_leave(&locale);
    return s;
}
