/* quantize_more.c: eight bits for operators of which TensorFlow has no eight-bit kernel that runs everywhere.
 *
 * Each becomes a few standard operators on the codes of its inputs, listed in a table, so that any TensorFlow runs the
 * graph and all give the same bits.  Codes are whole numbers, and so is every step from them to the result: sums that
 * are taken in floats stay below 2^24.  What cannot be said this way is left to the caller.
 */
#include <string.h>

#include "tf/quantize_op.h"

/* ---- tables of nodes ----------------------------------------------------------------------------------------------
 */

/* A node to make.  Its name is below the site's; its inputs are such names, or the codes of the site's input, `$`, and
 * their range, `$:1` and `$:2`. */
typedef struct part {
    const char *name, *op, *inputs;
    const char *types; /* "T=float DstT=qint32" */
    float value;       /* of a Const */
} part;

typedef struct site {
    bli_tf_graph *out;
    const char *base;
    const char *input[3]; /* codes and range */
} site;

static const char *next_word(const char *at, char word[32])
{
    size_t n = strcspn(at, " ");
    memset(word, 0, 32);
    memcpy(word, at, n < 31 ? n : 31);
    return at + n + (at[n] == ' ');
}

static const char *input_of(const site *s, const char *word)
{
    if (word[0] != '$')
        return bli_tf_text(s->out->store, "%s/%s", s->base, word);
    return s->input[word[1] == ':' ? word[2] - '0' : 0];
}

static bl_status set_types(bli_tf_store *s, bli_tf_node *n, const char *types)
{
    char word[32];
    while (*types) {
        types = next_word(types, word);
        char *equals = strchr(word, '=');
        int dtype = BLI_DT_FLOAT;
        *equals = '\0';
        bool known = bli_tf_dtype_parse(equals + 1, &dtype);
        char *attr = bli_tf_text_copy(s, word, strlen(word));
        if (!known || !attr)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_set_type(s, n, attr, dtype));
    }
    return BL_OK;
}

static bl_status add_part(const site *s, const part *p, bli_tf_node **made)
{
    char *name = bli_tf_text(s->out->store, "%s/%s", s->base, p->name), word[32];
    *made = NULL;
    if (!name)
        return BL_NO_MEMORY;
    if (strcmp(p->op, "Const") == 0)
        return bli_tg_add_float(s->out, name, p->value);
    BLI_TRY(bli_tg_add_node(s->out, p->op, name, NULL, made));
    for (const char *at = p->inputs; *at;) {
        at = next_word(at, word);
        const char *input = input_of(s, word);
        if (!input)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tf_node_add_input(s->out->store, *made, input));
    }
    return set_types(s->out->store, *made, p->types);
}

/* *last: the last node of the table, NULL: not asked. */
static bl_status add_parts(const site *s, const part *parts, size_t count, bli_tf_node **last)
{
    bli_tf_node *made;
    for (size_t i = 0; i < count; i++)
        BLI_TRY(add_part(s, &parts[i], &made));
    if (last)
        *last = made;
    return BL_OK;
}

static bl_status site_below(const site *s, const char *name, const bli_tg_bytes *in, size_t input, site *out)
{
    *out = (site){s->out,
                  bli_tf_text(s->out->store, "%s/%s", s->base, name),
                  {in->names[input], in->minima[input], in->maxima[input]}};
    return out->base ? BL_OK : BL_NO_MEMORY;
}

/* ---- products -----------------------------------------------------------------------------------------------------
 */

/* Codes less the one that stands for zero, which need not be a byte's. */
static const part centred[] = {
    {"levels", "Const", "", "", 255},
    {"span", "Sub", "$:2 $:1", "T=float", 0},
    {"low", "Mul", "$:1 levels", "T=float", 0},
    {"steps", "DivNoNan", "low span", "T=float", 0},
    {"zero", "Round", "steps", "T=float", 0},
    {"codes", "Cast", "$", "SrcT=quint8 DstT=float", 0},
    {"centred", "AddV2", "codes zero", "T=float", 0},
};

/* What the 32 bits of a sum of products of such codes mean: 2^31 / 255^2 of the spans' product a side. */
static const part product_range[] = {
    {"area", "Mul", "x/span w/span", "T=float", 0},
    {"most", "Const", "", "", 0x1p31f / 65025},
    {"max", "Mul", "area most", "T=float", 0},
    {"min", "Neg", "max", "T=float", 0},
};
static const part to_32_bits = {"codes", "Cast", "sums", "SrcT=float DstT=qint32", 0};

/* ---- DepthwiseConv2dNative ----------------------------------------------------------------------------------------
 */

/* Taps whose products of bytes floats can sum without rounding. */
enum { MOST_TAPS = (1 << 24) / (255 * 255) };

static bl_status copy_attrs(bli_tf_store *s, const bli_tf_node *from, bli_tf_node *to)
{
    for (size_t i = 0; i < from->num_attrs; i++)
        BLI_TRY(bli_tf_node_set(s, to, from->attrs[i].name, from->attrs[i].value));
    return BL_OK;
}

static bl_status add_depthwise(const bli_tf_node *n, const site *s)
{
    const part conv = {"sums", "DepthwiseConv2dNative", "x/centred w/centred", "", 0};
    bli_tf_node *made;
    BLI_TRY(add_part(s, &conv, &made));
    BLI_TRY(copy_attrs(s->out->store, n, made));
    for (size_t i = 2; i < n->num_inputs; i++)
        BLI_TRY(bli_tf_node_add_input(s->out->store, made, n->inputs[i]));
    return add_part(s, &to_32_bits, &made);
}

static bl_status depthwise(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out)
{
    site s = {out, bli_tf_text(out->store, "%s/eightbit", n->name), {NULL}}, x, w;
    const char *wide[3], *codes[3], *last = s.base;
    bli_tg_bytes in;
    if (!s.base)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_quantize_inputs(q, n, -1, &in, out));
    BLI_TRY(site_below(&s, "x", &in, 0, &x));
    BLI_TRY(site_below(&s, "w", &in, 1, &w));
    BLI_TRY(add_parts(&x, centred, BLI_COUNT(centred), NULL));
    BLI_TRY(add_parts(&w, centred, BLI_COUNT(centred), NULL));
    BLI_TRY(add_parts(&s, product_range, BLI_COUNT(product_range), NULL));
    BLI_TRY(add_depthwise(n, &s));
    for (int k = 0; k < 3; k++)
        if (!(wide[k] = input_of(&s, k == 0 ? "codes" : k == 1 ? "min" : "max")))
            return BL_NO_MEMORY;
    BLI_TRY(bli_tg_narrow(q, &last, wide, out));
    BLI_TRY(bli_tg_ports(out->store, last, codes));
    return bli_tg_end(n, codes, out);
}

static bool depthwise_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const bl_shape *filter = bli_tg_data_inputs(n) == 2 ? bli_tg_shape_of(q, n->inputs[1]) : NULL;
    return filter && filter->rank == 4 && filter->dim[0] * filter->dim[1] <= MOST_TAPS;
}

/* ---- which --------------------------------------------------------------------------------------------------------
 */

typedef struct construction {
    const char *op;
    bool (*fits)(const bli_tg_quantizer *q, const bli_tf_node *n);
    bl_status (*make)(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out);
} construction;

static const construction constructions[] = {
    {"DepthwiseConv2dNative", depthwise_fits, depthwise},
};

bl_status bli_tg_quantize_more(const bli_tg_quantizer *q, const bli_tf_graph *g, const bli_tf_node *n,
                               bli_tf_graph *out, bool *done)
{
    *done = false;
    for (size_t i = 0; i < BLI_COUNT(constructions); i++) {
        const construction *c = &constructions[i];
        if (strcmp(c->op, n->op) != 0 || !c->fits(q, n))
            continue;
        BLI_TRY(bli_tg_all_float(g, n, -1, done));
        return *done ? c->make(q, n, out) : BL_OK;
    }
    return BL_OK;
}
