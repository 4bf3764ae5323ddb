/* real.c: real numbers to codes and back in the emitted C, with the bits of bli_program_encode and _decode.
 *
 * A volatile variable keeps a compiler from fusing a product and a sum.  Formats of integer codes are rounded by their
 * definition, in double, where every step is exact.  Other kinds (minifloats, powers of two, binary, ternary) have few
 * codes, which rise or fall with the real number: their steps are found here by bisection over all floats, and emitted.
 * Formats wider than the carrier's significand, and wrapping in double, have no function.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "emit/c/c.h"

enum { MOST_STEPS = 4096 };

/* A literal that reads back as v, of type float or double. */
static const char *literal(double v, bool narrow, char buf[64])
{
    snprintf(buf, 64, v < 0 ? "(%.17g)" : "%.17g", v);
    const char *end = strpbrk(buf, ".en") == NULL ? ".0" : "";
    size_t used = strlen(buf) - (v < 0);
    snprintf(buf + used, 64 - used, "%s%s%s", end, narrow ? "f" : "", v < 0 ? ")" : "");
    return buf;
}

/* ---- integer codes ---------------------------------------------------------------------------------------------- */
static bool has_definition(const bli_input *in)
{
    const bl_format *f = &in->format;
    bool wraps = f->overflow == BL_WRAP || f->overflow == BL_WRAP_SM;
    bool integer = f->kind == BL_FORMAT_FIXED || f->kind == BL_FORMAT_INT || f->kind == BL_FORMAT_AFFINE;
    int64_t zero = in->grid.zero_point < 0 ? -in->grid.zero_point : in->grid.zero_point;
    return integer && f->bits <= (in->wide ? 50 : 24) && !(in->wide && wraps) && zero < (int64_t)1 << f->bits;
}

/* "const double v = ...": the real number in steps of the grid. */
static void put_quotient(bli_real *r, const bli_input *in)
{
    const char *carrier = in->wide ? "double" : "float";
    char scale[64], offset[64], step[64];
    int exponent, unit = in->format.kind == BL_FORMAT_FIXED ? in->format.integer - in->format.bits : 0;
    double g = in->wide ? in->grid.scale : (double)(float)in->grid.scale;
    bli_text_line(r->code, "volatile %s y = x * %s;", carrier, literal(in->scale, !in->wide, scale));
    bli_text_line(r->code, "y = y + %s;", literal(in->offset, !in->wide, offset));
    if (frexp(in->grid.scale, &exponent) == 0.5) {
        literal(ldexp(1, -(exponent - 1 + unit)), false, step);
        bli_text_line(r->code, "double v = (double)y * %s;", step);
        return;
    }
    bli_text_line(r->code, "y = y / %s;", literal(g, !in->wide, scale));
    bli_text_line(r->code, "double v = (double)y * %s;", literal(ldexp(1, -unit), false, step));
}

static const char *const up_rule[BL_ROUNDING_COUNT] = {[BL_TRN] = NULL,
                                                       [BL_TRN_ZERO] = "rest > 0.0 && v < 0.0",
                                                       [BL_RND] = "rest >= 0.5",
                                                       [BL_RND_ZERO] = "rest > 0.5 || (rest == 0.5 && v < 0.0)",
                                                       [BL_RND_INF] = "rest > 0.5 || (rest == 0.5 && v > 0.0)",
                                                       [BL_RND_MIN_INF] = "rest > 0.5",
                                                       [BL_RND_CONV] = "rest > 0.5 || (rest == 0.5 && code % 2 != 0)",
                                                       [BL_STOCHASTIC] =
                                                           "rest > 0.5 || (rest == 0.5 && code % 2 != 0)"};

typedef struct ends {
    int64_t least, greatest, zero; /* zero: what the real 0 becomes */
} ends;

static ends ends_of(const bli_input *in)
{
    const bl_format *f = &in->format;
    ends e = {.greatest = ((int64_t)1 << (f->bits - f->is_signed)) - 1};
    e.least = !f->is_signed ? 0 : f->overflow == BL_SAT_SYM ? -e.greatest : -e.greatest - 1;
    int64_t z = in->grid.zero_point;
    e.zero = z < e.least ? e.least : z > e.greatest ? e.greatest : z;
    return e;
}

/* What has no code near: NaN and infinities, and numbers so large that nothing is left of them. */
static void put_specials(bli_real *r, const bl_format *f, ends e)
{
    bool saturates = f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
    bli_text_open(r->code, "if (v != v)");
    bli_text_line(r->code, "return %lld;", (long long)e.zero);
    r->code->depth--;
    const char *const sides[] = {"v >= 4611686018427387904.0", "v <= -4611686018427387904.0"};
    const int64_t codes[] = {saturates ? e.greatest : e.zero, saturates ? e.least : e.zero};
    for (int i = 0; i < 2; i++) {
        bli_text_open(r->code, "if (%s)", sides[i]);
        if (f->overflow == BL_SAT_ZERO)
            bli_text_line(r->code, "return v - v == 0.0 ? 0 : %lld;", (long long)e.zero);
        else
            bli_text_line(r->code, "return %lld;", (long long)codes[i]);
        r->code->depth--;
    }
}

static void put_overflow(bli_real *r, const bl_format *f, ends e)
{
    long long least = e.least, greatest = e.greatest, modulus = (long long)1 << f->bits;
    bli_text *t = r->code;
    if (f->overflow == BL_WRAP_SM) {
        bli_text_open(t, "if ((code >= 0 ? code / %lld %% 2 : (~code / %lld + 1) %% 2) != ", modulus, modulus);
        bli_text_line(t, "(code >= 0 ? code / %lld %% 2 : (~code / %lld + 1) %% 2))", modulus / 2, modulus / 2);
        bli_text_line(t, "code = ~code;");
        t->depth--;
    }
    if (f->overflow == BL_WRAP || f->overflow == BL_WRAP_SM) {
        bli_text_line(t, "code %%= %lld;", modulus);
        bli_text_line(t, "code += code < %lld ? %lld : 0;", least, modulus);
        bli_text_line(t, "code -= code > %lld ? %lld : 0;", greatest, modulus);
        bli_text_line(t, "return code;");
    } else if (f->overflow == BL_SAT_ZERO) {
        bli_text_line(t, "return code < %lld || code > %lld ? 0 : code;", least, greatest);
    } else {
        bli_text_line(t, "return code < %lld ? %lld : code > %lld ? %lld : code;", least, least, greatest, greatest);
    }
}

static void put_definition(bli_real *r, const bli_input *in)
{
    const char *rule = up_rule[in->format.rounding];
    ends e = ends_of(in);
    put_quotient(r, in);
    put_specials(r, &in->format, e);
    bli_text_line(r->code, "int64_t code = (int64_t)v;");
    bli_text_line(r->code, "code -= (double)code > v ? 1 : 0;");
    if (rule != NULL) {
        bli_text_line(r->code, "const double rest = v - (double)code;");
        bli_text_line(r->code, "code += %s ? 1 : 0;", rule);
    }
    if (in->grid.zero_point != 0)
        bli_text_line(r->code, "code += %lld;", (long long)in->grid.zero_point);
    put_overflow(r, &in->format, e);
}

/* ---- few codes: steps over all floats -----------------------------------------------------------------------------
 */
/* Floats in order: negative ones from -infinity up, then positive ones. */
static float float_at(int32_t order)
{
    uint32_t bits = order < 0 ? 0x80000000u | (uint32_t)(-(int64_t)order - 1) : (uint32_t)order;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static bl_status code_of(const bli_real *r, const bli_input *in, float x, int64_t *code)
{
    double y;
    if (in->wide) {
        y = (double)x * in->scale + in->offset;
        BLI_TRY(bl_quantize_f64(r->p->ctx, &in->format, &in->grid, NULL, &y, &y, 1));
    } else {
        float product = x * (float)in->scale, narrow = product + (float)in->offset;
        BLI_TRY(bl_quantize(r->p->ctx, &in->format, &in->grid, NULL, &narrow, &narrow, 1));
        y = (double)narrow;
    }
    return bl_encode(r->p->ctx, &in->format, &in->grid, &y, code, 1);
}

typedef struct steps {
    int64_t *order, *code; /* from order[i] on, the code is code[i] */
    int count;
} steps;

/* The first float behind `from` of another code than `code`; to, whose code differs, bounds the search. */
static bl_status next_step(const bli_real *r, const bli_input *in, int32_t from, int32_t to, int64_t code, int32_t *at)
{
    int64_t low = from, high = to, c;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2 - ((low + high) < 0 && (low + high) % 2 != 0);
        BLI_TRY(code_of(r, in, float_at((int32_t)middle), &c));
        if (c == code)
            low = middle;
        else
            high = middle;
    }
    *at = (int32_t)high;
    return BL_OK;
}

static bl_status find_steps(const bli_real *r, const bli_input *in, steps *s)
{
    const int32_t last = 0x7f800000, first = -last - 1; /* the infinities */
    int64_t code, end;
    int32_t at = first;
    BLI_TRY(code_of(r, in, float_at(last), &end));
    BLI_TRY(code_of(r, in, float_at(first), &code));
    for (s->count = 0;; s->count++) {
        if (s->count == MOST_STEPS)
            return BL_LIMIT;
        s->order[s->count] = at;
        s->code[s->count] = code;
        if (code == end)
            break;
        BLI_TRY(next_step(r, in, at, last, code, &at));
        BLI_TRY(code_of(r, in, float_at(at), &code));
    }
    s->count++;
    return BL_OK;
}

static void put_array(bli_real *r, const char *type, const char *name, const int64_t *values, int count)
{
    bli_text_open(r->code, "static const %s %s[%d] = {", type, name, count);
    bli_text_numbers(r->code, values, count);
    bli_text_close(r->code, "};");
}

static bl_status put_steps(bli_real *r, const bli_input *in, const steps *s)
{
    int64_t nan;
    BLI_TRY(code_of(r, in, NAN, &nan));
    bli_text *t = r->code;
    for (int i = 0; i < s->count; i++)
        if (s->order[i] == INT32_MIN)
            return BL_LIMIT;
    put_array(r, "int32_t", "order", s->order, s->count);
    put_array(r, bli_type_stored(bli_reach_values(s->code, s->count)), "code", s->code, s->count);
    bli_text_line(t, "int32_t place, low = 0, high = %d;", s->count);
    bli_text_open(t, "if (x != x)");
    bli_text_line(t, "return %lld;", (long long)nan);
    t->depth--;
    bli_text_line(t, "place = order_of(x);");
    bli_text_open(t, "while (high - low > 1) {");
    bli_text_line(t, "const int32_t middle = (low + high) / 2;");
    bli_text_open(t, "if (order[middle] <= place)");
    bli_text_line(t, "low = middle;");
    t->depth--;
    bli_text_open(t, "else");
    bli_text_line(t, "high = middle;");
    t->depth--;
    bli_text_close(t, "}");
    bli_text_line(t, "return code[low];");
    r->orders = true;
    return BL_OK;
}

/* ---- both ends ------------------------------------------------------------------------------------------------------
 */
bl_status bli_c_encode(bli_real *r, int input, const char *function, const char *type, bool *possible)
{
    const bli_input *in = &r->p->inputs[input];
    steps s = {.count = 0};
    bool defined = has_definition(in);
    (void)type;
    *possible = true;
    if (!defined) {
        s.order = bli_arena_array(r->arena, MOST_STEPS, sizeof *s.order);
        s.code = bli_arena_array(r->arena, MOST_STEPS, sizeof *s.code);
        if (s.order == NULL || s.code == NULL)
            return BL_NO_MEMORY;
        bool integer = in->format.kind == BL_FORMAT_FIXED || in->format.kind == BL_FORMAT_INT ||
                       in->format.kind == BL_FORMAT_AFFINE;
        bl_status found = integer ? BL_LIMIT : find_steps(r, in, &s);
        *possible = found == BL_OK;
        if (found != BL_OK)
            return found == BL_LIMIT || found == BL_BAD_VALUE ? BL_OK : found;
    }
    char format[80], name[96];
    bl_format_print(&in->format, format, sizeof format);
    bli_text_line(r->code, "/* A real number of input %s as its code: %s. */",
                  bli_text_safe(in->name != NULL ? in->name : "", name, sizeof name), format);
    bli_text_line(r->code, "static int64_t %s(float x)", function);
    bli_text_open(r->code, "{");
    if (defined)
        put_definition(r, in);
    else
        BLI_TRY(put_steps(r, in, &s));
    bli_text_close(r->code, "}");
    bli_text_blank(r->code);
    return BL_OK;
}

static void put_real_array(bli_real *r, const char *name, const double *values, int64_t count, bool narrow)
{
    char number[64];
    bli_text_open(r->code, "static const %s %s[%lld] = {", narrow ? "float" : "double", name, (long long)count);
    for (int64_t i = 0; i < count; i++)
        bli_text_line(r->code, "%s%s", literal(narrow ? (double)(float)values[i] : values[i], narrow, number),
                      i + 1 < count ? "," : "");
    bli_text_close(r->code, "};");
}

/* A power of two that double may not hold as one factor. */
static void put_power(bli_real *r, int exp)
{
    char first[64], second[64];
    int half = exp / 2;
    if (exp >= -1022 && exp <= 1023)
        bli_text_line(r->code, "return (double)code * %s;", literal(ldexp(1, exp), false, first));
    else
        bli_text_line(r->code, "return (double)code * %s * %s;", literal(ldexp(1, half), false, first),
                      literal(ldexp(1, exp - half), false, second));
}

void bli_c_decode(bli_real *r, int output, const char *function, const char *type)
{
    const bli_output *o = &r->p->outputs[output];
    char name[96];
    bool narrow = !o->wide;
    const char *carrier = narrow ? "float" : "double";
    bli_text_line(r->code, "/* A code of output %s as its real number. */",
                  bli_text_safe(o->name != NULL ? o->name : "", name, sizeof name));
    bli_text_line(r->code, "static double %s(%s code, int32_t c)", function, type);
    bli_text_open(r->code, "{");
    if (o->scale == NULL) {
        bli_text_line(r->code, "(void)c;");
        put_power(r, r->p->wires[o->wire].exp);
    } else {
        put_real_array(r, "scale", o->scale, o->channels, narrow);
        if (o->offset != NULL)
            put_real_array(r, "offset", o->offset, o->channels, narrow);
        for (int k = 0; k < o->num_steps; k++) {
            snprintf(name, sizeof name, "step%d", k);
            put_real_array(r, name, o->steps[k].number, o->channels, narrow);
        }
        bli_text_line(r->code, "volatile %s y = (%s)code;", carrier, carrier);
        bli_text_line(r->code, "y = y * scale[c];");
        if (o->offset != NULL)
            bli_text_line(r->code, "y = y + offset[c];");
        for (int k = 0; k < o->num_steps; k++)
            bli_text_line(r->code, "y = y %c step%d[c];", o->steps[k].op, k);
        bli_text_line(r->code, narrow ? "return (double)y;" : "return y;");
    }
    bli_text_close(r->code, "}");
    bli_text_blank(r->code);
}

static const char order_of[] = "/* The place of x among all floats, -infinity to infinity: order of integers. */\n"
                               "static int32_t order_of(float x)\n"
                               "{\n"
                               "    uint32_t bits;\n"
                               "    memcpy(&bits, &x, sizeof bits);\n"
                               "    return bits < 0x80000000u ? (int32_t)bits : -(int32_t)(bits - 0x80000000u) - 1;\n"
                               "}\n\n";

void bli_c_real_helpers(bli_text *t, const bli_real *r)
{
    if (r->orders)
        bli_text_put(t, "%s", order_of);
}
