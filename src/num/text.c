/* text.c: a format's text into its fields: a name, then arguments between < and >.
 *
 * Cutting and the words of Q and O are here, what the arguments mean is the family's.  Blanks are allowed anywhere
 * between parts.  Messages quote the whole text and the part, and give the nearest word for a misspelt one.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "num/family.h"

static const char *const rounding_names[] = {
#define NAME(name, text) #name,
    BL_ROUNDING_LIST(NAME)};
static const char *const overflow_names[] = {BL_OVERFLOW_LIST(NAME)
#undef NAME
};

const char *bli_rounding_name(bl_rounding q)
{
    return (unsigned)q < BL_ROUNDING_COUNT ? rounding_names[q] : "?";
}

const char *bli_overflow_name(bl_overflow o)
{
    return (unsigned)o < BL_OVERFLOW_COUNT ? overflow_names[o] : "?";
}

/* What a name alone means. */
typedef struct start {
    const char *name;
    bl_format format;
} start;
static const start starts[] = {
    {"fixed", {.kind = BL_FORMAT_FIXED, .is_signed = true, .rounding = BL_TRN, .overflow = BL_WRAP}},
    {"ufixed", {.kind = BL_FORMAT_FIXED, .rounding = BL_TRN, .overflow = BL_WRAP}},
    {"ap_fixed", {.kind = BL_FORMAT_FIXED, .is_signed = true, .rounding = BL_TRN, .overflow = BL_WRAP}},
    {"ap_ufixed", {.kind = BL_FORMAT_FIXED, .rounding = BL_TRN, .overflow = BL_WRAP}},
    {"int", {.kind = BL_FORMAT_INT, .is_signed = true, .rounding = BL_RND_CONV, .overflow = BL_SAT}},
    {"uint", {.kind = BL_FORMAT_INT, .rounding = BL_RND_CONV, .overflow = BL_SAT}},
    {"affine", {.kind = BL_FORMAT_AFFINE, .rounding = BL_RND_CONV, .overflow = BL_SAT}},
    {"binary", {.kind = BL_FORMAT_BINARY, .is_signed = true, .rounding = BL_RND, .overflow = BL_SAT}},
    {"ternary", {.kind = BL_FORMAT_TERNARY, .is_signed = true, .rounding = BL_RND_CONV, .overflow = BL_SAT_SYM}},
    {"po2", {.kind = BL_FORMAT_PO2, .is_signed = true, .rounding = BL_RND, .overflow = BL_SAT}},
    {"upo2", {.kind = BL_FORMAT_PO2, .rounding = BL_RND, .overflow = BL_SAT}},
    {"float", {.kind = BL_FORMAT_FLOAT, .is_signed = true, .rounding = BL_RND_CONV, .overflow = BL_SAT}},
    {"bfloat16",
     {.kind = BL_FORMAT_FLOAT,
      .is_signed = true,
      .bits = 16,
      .rounding = BL_RND_CONV,
      .overflow = BL_INF,
      .exponent_bits = 8,
      .mantissa_bits = 7}},
    {"float16",
     {.kind = BL_FORMAT_FLOAT,
      .is_signed = true,
      .bits = 16,
      .rounding = BL_RND_CONV,
      .overflow = BL_INF,
      .exponent_bits = 5,
      .mantissa_bits = 10}},
    {"mx", {.kind = BL_FORMAT_MX, .is_signed = true, .rounding = BL_RND_CONV, .overflow = BL_SAT}},
    {"float32",
     {.kind = BL_FORMAT_FLOAT32, .is_signed = true, .bits = 32, .rounding = BL_RND_CONV, .overflow = BL_INF}},
};

/* ---- arguments ---------------------------------------------------------------------------------------------- */
bl_status bli_arg_fail(const bli_format_args *a, size_t i, const char *expected)
{
    if (i >= a->count)
        return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': expected %s", a->text, expected);
    return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': argument %zu is '%s', expected %s", a->text, i + 1,
                    a->arg[i], expected);
}

bl_status bli_arg_count(const bli_format_args *a, size_t least, size_t most, const char *form)
{
    if (a->count >= least && a->count <= most)
        return BL_OK;
    return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': %zu arguments, expected %zu to %zu: <%s>", a->text, a->count,
                    least, most, form);
}

bool bli_arg_is(const bli_format_args *a, size_t i, const char *word)
{
    return i < a->count && strcmp(a->arg[i], word) == 0;
}

bl_status bli_arg_int(const bli_format_args *a, size_t i, const char *what, int least, int greatest, int *out)
{
    const char *s = a->arg[i];
    bool negative = *s == '-';
    long value = 0;
    size_t digits = 0;
    for (s += negative; isdigit((unsigned char)*s) && digits < 9; s++, digits++)
        value = value * 10 + (*s - '0');
    value = negative ? -value : value;
    if (digits > 0 && *s == '\0' && value >= least && value <= greatest) {
        *out = (int)value;
        return BL_OK;
    }
    char expected[96];
    snprintf(expected, sizeof expected, "%s as an integer from %d to %d", what, least, greatest);
    return bli_arg_fail(a, i, expected);
}

static int word_index(const char *word, const char *const *words, int count)
{
    const char *bare = strncmp(word, "AP_", 3) == 0 ? word + 3 : word; /* AP_RND is ap_fixed's spelling of RND */
    for (int i = 0; i < count; i++)
        if (strcmp(bare, words[i]) == 0)
            return i;
    return -1;
}

static bl_status word_fail(const bli_format_args *a, size_t i, const char *what, const char *const *words, int count)
{
    char expected[256];
    const char *nearest = bli_nearest(a->arg[i], words, (size_t)count);
    size_t used = (size_t)snprintf(expected, sizeof expected, "a word for %s:", what);
    for (int w = 0; w < count && used < sizeof expected; w++)
        used += (size_t)snprintf(expected + used, sizeof expected - used, " %s", words[w]);
    if (nearest != NULL && used < sizeof expected)
        snprintf(expected + used, sizeof expected - used, "; did you mean %s?", nearest);
    return bli_arg_fail(a, i, expected);
}

bl_status bli_arg_modes(const bli_format_args *a, size_t from, bl_format *f)
{
    if (a->count > from) {
        int q = word_index(a->arg[from], rounding_names, BL_ROUNDING_COUNT);
        if (q < 0)
            return word_fail(a, from, "rounding", rounding_names, BL_ROUNDING_COUNT);
        f->rounding = (bl_rounding)q;
    }
    if (a->count > from + 1) {
        int o = word_index(a->arg[from + 1], overflow_names, BL_OVERFLOW_COUNT);
        if (o < 0)
            return word_fail(a, from + 1, "overflow", overflow_names, BL_OVERFLOW_COUNT);
        f->overflow = (bl_overflow)o;
    }
    return BL_OK;
}

/* ---- cutting ------------------------------------------------------------------------------------------------ */
/* s[0..n-1] without blanks around it, into an argument; false when it is too long or empty. */
static bool take(const char *s, size_t n, char *out, size_t size)
{
    while (n > 0 && isspace((unsigned char)*s))
        s++, n--;
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    if (n == 0 || n >= size)
        return false;
    memcpy(out, s, n);
    out[n] = '\0';
    return true;
}

/* inner: what is between < and >. */
static bl_status cut_arguments(bli_format_args *a, const char *inner, size_t n)
{
    for (;;) {
        const char *comma = memchr(inner, ',', n);
        size_t length = comma != NULL ? (size_t)(comma - inner) : n;
        if (a->count == BLI_FORMAT_ARGS)
            return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': more than %d arguments", a->text, BLI_FORMAT_ARGS);
        if (!take(inner, length, a->arg[a->count], sizeof a->arg[0]))
            return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': argument %zu is empty or too long", a->text,
                            a->count + 1);
        a->count++;
        if (comma == NULL)
            return BL_OK;
        n -= length + 1;
        inner = comma + 1;
    }
}

static bl_status cut(bli_format_args *a, char *name, size_t size)
{
    const char *open = strchr(a->text, '<'), *end = a->text + strlen(a->text);
    while (end > a->text && isspace((unsigned char)end[-1]))
        end--;
    if (!take(a->text, (size_t)((open != NULL ? open : end) - a->text), name, size))
        return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': expected a name such as fixed<8,3,RND,SAT>", a->text);
    if (open == NULL)
        return BL_OK;
    if (end[-1] != '>' || memchr(open, '>', (size_t)(end - 1 - open)) != NULL)
        return bli_fail(a->ctx, BL_BAD_VALUE, "format '%.80s': expected one '>' at its end", a->text);
    return cut_arguments(a, open + 1, (size_t)(end - 1 - (open + 1)));
}

static bl_status name_fail(bl_context *ctx, const char *text, const char *name)
{
    const char *names[BLI_COUNT(starts)];
    for (size_t i = 0; i < BLI_COUNT(starts); i++)
        names[i] = starts[i].name;
    const char *nearest = bli_nearest(name, names, BLI_COUNT(names));
    return bli_fail(ctx, BL_BAD_VALUE, "format '%.80s': unknown name '%s'%s%s%s", text, name,
                    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                    nearest != NULL ? "?" : "");
}

bl_status bl_format_parse(bl_context *ctx, const char *text, bl_format *out)
{
    bli_format_args a = {.ctx = ctx, .text = text};
    char name[24];
    *out = (bl_format){0};
    BLI_TRY(cut(&a, name, sizeof name));
    for (size_t i = 0; i < BLI_COUNT(starts); i++) {
        if (strcmp(name, starts[i].name) != 0)
            continue;
        bl_format f = starts[i].format;
        BLI_TRY(bli_family_of(&f)->parse(&a, &f));
        BLI_TRY(bli_within(ctx, bli_format_check(ctx, &f), "format '%.80s'", text));
        *out = f;
        return BL_OK;
    }
    return name_fail(ctx, text, name);
}

int bli_print_modes(const bl_format *f, bl_rounding q, bl_overflow o, char *buf, size_t size)
{
    if (f->rounding == q && f->overflow == o)
        return snprintf(buf, size, "%s", "");
    return snprintf(buf, size, ",%s,%s", bli_rounding_name(f->rounding), bli_overflow_name(f->overflow));
}
