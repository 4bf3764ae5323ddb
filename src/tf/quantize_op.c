/* quantize_op.c: one float node as an eight-bit one.
 *
 * Every input gets the smallest and the greatest of its values and a QuantizeV2; a result of 32 bits gets a range,
 * found while running or given, and a Requantize; a Dequantize of the node's name ends it.  Where defects are mended, a
 * node whose attributes the eight-bit operator does not have stays as it is, control inputs stay control inputs, and a
 * tensor that comes twice is quantized once.
 */
#include "tf/quantize_op.h"

#include <string.h>

static const bli_tg_eight table[] = {
    {"Conv2D", "strides padding", "Tinput Tfilter", "out_type", 0},
    {"MatMul", "transpose_a transpose_b", "T1 T2", "Toutput", 0},
    {"BiasAdd", "", "T1 T2", "out_type", 0},
    {"Add", "", "T1 T2", "Toutput", 0},
    {"Mul", "", "T1 T2", "Toutput", 0},
    {"MaxPool", "ksize strides padding", "T", NULL, 0},
    {"AvgPool", "ksize strides padding", "T", NULL, 0},
    {"Relu", "", "Tinput", NULL, 0},
    {"Relu6", "", "Tinput", NULL, 0},
    {"Concat", "N", "T", NULL, 1},
    {"Reshape", "", "T", NULL, 2},
    {"ResizeBilinear", "align_corners", "T", NULL, 2},
};
const char bli_tg_eight_ops[] =
    "Conv2D|MatMul|BiasAdd|Add|Mul|MaxPool|AvgPool|Relu|Relu6|Concat|Reshape|ResizeBilinear";

const char bli_tg_more_eight_ops[] =
    "Conv2D|MatMul|BiasAdd|Add|Mul|MaxPool|AvgPool|Relu|Relu6|Concat|Reshape|ResizeBilinear|"
    "AddV2|ConcatV2|DepthwiseConv2dNative|Sub|Pad|Transpose|LeakyRelu|Mean|FusedBatchNorm|FusedBatchNormV2|"
    "FusedBatchNormV3|BatchMatMul|BatchMatMulV2";

static const bli_tg_eight *find_eight(const char *op)
{
    for (size_t i = 0; i < BLI_COUNT(table); i++)
        if (strcmp(table[i].op, op) == 0)
            return &table[i];
    return NULL;
}

/* Calls what for each word of a text. */
static bl_status each_word(const char *words, bl_status (*what)(void *user, const char *word), void *user)
{
    while (*words) {
        char word[32] = {0};
        size_t n = strcspn(words, " ");
        memcpy(word, words, n < sizeof word - 1 ? n : sizeof word - 1);
        words += n + (words[n] == ' ');
        BLI_TRY(what(user, word));
    }
    return BL_OK;
}

bl_status bli_tg_set_mode(bli_tf_store *s, bli_tf_node *n, int dtype)
{
    BLI_TRY(bli_tg_set_type(s, n, "T", dtype));
    return bli_tf_node_set(s, n, "mode", bli_tf_value_string(s, "MIN_FIRST"));
}

bl_status bli_tg_add_requantize(bli_tf_graph *out, const char *name, const char *const *inputs)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(out, "Requantize", name, inputs, &n));
    BLI_TRY(bli_tg_set_type(out->store, n, "Tinput", BLI_DT_QINT32));
    return bli_tg_set_type(out->store, n, "out_type", BLI_DT_QUINT8);
}

/* ---- may it? ------------------------------------------------------------------------------------------------------
 */

static bool is_raw(unsigned raw, size_t input)
{
    return input < 32 && (raw >> input & 1);
}

/* Types that are not there are the operator's defaults, where it has any. */
bl_status bli_tg_all_float(const bli_tg_quantizer *q, const bli_tf_node *n, unsigned raw, bool *yes)
{
    bli_tf_types in, out;
    bli_tf_node *filled = q->job->compat ? NULL : bli_tf_node_copy(q->job->store, n);
    if (!filled && !q->job->compat)
        return BL_NO_MEMORY;
    if (filled)
        BLI_TRY(bli_tf_opdef_fill(q->job->store, bli_tf_opdef_find(n->op), filled));
    BLI_TRY(bli_tf_node_types(q->g, filled ? filled : n, &in, &out));
    *yes = true;
    for (size_t i = 0; i < in.count; i++)
        *yes = *yes && (is_raw(raw, i) || in.at[i] == BLI_DT_FLOAT);
    for (size_t i = 0; i < out.count; i++)
        *yes = *yes && out.at[i] == BLI_DT_FLOAT;
    return BL_OK;
}

static bl_status ints_are(bl_context *ctx, const bli_tf_node *n, const char *attr, bool (*fit)(const int64_t *, size_t),
                          bool *yes)
{
    const int64_t *v;
    size_t count;
    if (!bli_tf_node_attr(n, attr))
        return BL_OK;
    BLI_TRY(bli_tf_get_ints(ctx, n, attr, &v, &count));
    *yes = *yes && (count == 0 || fit(v, count));
    return BL_OK;
}

static bool are_ones(const int64_t *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (v[i] != 1)
            return false;
    return true;
}

static bl_status text_is(bl_context *ctx, const bli_tf_node *n, const char *attr, const char *wanted, bool *yes)
{
    const char *text;
    BLI_TRY(bli_tf_string_or(ctx, n, attr, wanted, &text));
    *yes = *yes && strcmp(text, wanted) == 0;
    return BL_OK;
}

/* Whether the eight-bit operator does what the attributes ask for. */
static bl_status fits(const bli_tg_quantizer *q, const bli_tf_node *n, bool *yes)
{
    bl_context *ctx = q->job->ctx;
    bli_tg_conv_way way;
    const char *padding;
    bool half;
    *yes = true;
    if (strcmp(n->op, "Conv2D") == 0)
        return bli_tg_conv_find(q, n, &way, yes);
    BLI_TRY(text_is(ctx, n, "data_format", "NHWC", yes));
    BLI_TRY(ints_are(ctx, n, "dilations", are_ones, yes));
    BLI_TRY(bli_tf_string_or(ctx, n, "padding", "VALID", &padding));
    BLI_TRY(bli_tf_bool_or(ctx, n, "half_pixel_centers", false, &half));
    *yes = *yes && strcmp(padding, "EXPLICIT") != 0 && !half;
    return BL_OK;
}

/* ---- inputs -------------------------------------------------------------------------------------------------------
 */

/* "a/b:1" as "a/b__port__1", "^x" as "__hat__x". */
static char *unique_name(bli_tf_store *s, const bli_tf_node *n, const char *input)
{
    const char *colon = strchr(input, ':');
    bool control = bli_tg_is_control(input);
    int size = colon ? (int)(colon - input) : (int)strlen(input);
    return bli_tf_text(s, "%s_eightbit/%s%.*s%s%s", n->name, control ? "__hat__" : "", size - control, input + control,
                       colon ? "__port__" : "", colon ? colon + 1 : "");
}

static bl_status add_dims(bli_tf_graph *out, const char *name, const char *control, int32_t value)
{
    const int64_t one = 1;
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_const(out, name, BLI_DT_INT32, 1, &one, &value, NULL, &n));
    return bli_tf_node_add_input(out->store, n, control);
}

static bl_status add_extreme(bli_tf_graph *out, const char *op, const char *name, const char *x, const char *dims)
{
    bli_tf_node *n;
    BLI_TRY(bli_tg_add_node(out, op, name, (const char *[]){x, dims, NULL}, &n));
    BLI_TRY(bli_tg_set_type(out->store, n, "T", BLI_DT_FLOAT));
    return bli_tf_node_set(out->store, n, "keep_dims", bli_tf_value_bool(out->store, false));
}

/* A zero behind the elements, so that their extremes are numbers if there are none; ranges have zero anyway. */
static bl_status add_zero(bli_tf_graph *out, const char *u, const char **flat)
{
    static const int64_t dim[2] = {1, 2};
    static const int32_t one_behind[2] = {0, 1};
    char *pads = bli_tf_text(out->store, "%s/one_behind", u), *name = bli_tf_text(out->store, "%s/with_zero", u);
    bli_tf_node *n;
    if (!pads || !name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_const(out, pads, BLI_DT_INT32, 2, dim, one_behind, NULL, NULL));
    BLI_TRY(bli_tg_add_node(out, "Pad", name, (const char *[]){*flat, pads, NULL}, &n));
    BLI_TRY(bli_tg_set_type(out->store, n, "T", BLI_DT_FLOAT));
    *flat = name;
    return bli_tg_set_type(out->store, n, "Tpaddings", BLI_DT_INT32);
}

static bool may_be_empty(const bli_tg_quantizer *q, const char *input)
{
    const bl_shape *s = q->job->compat ? NULL : bli_tg_shape_of(q, input);
    return !q->job->compat && (!s || bl_shape_count(s) == 0);
}

/* Six nodes below u that bring an input to bytes. */
static bl_status quantize_input(const bli_tg_quantizer *q, bli_tf_graph *out, const char *u, const char *input)
{
    bli_tf_store *s = out->store;
    char *node = bli_tf_ref_node(s, input), *control = node ? bli_tf_text(s, "^%s", node) : NULL;
    char *shape = bli_tf_text(s, "%s/reshape_dims", u), *dims = bli_tf_text(s, "%s/reduction_dims", u);
    const char *flat = bli_tf_text(s, "%s/reshape", u), *min = bli_tf_text(s, "%s/min", u),
               *max = bli_tf_text(s, "%s/max", u);
    char *name = bli_tf_text(s, "%s/quantize", u);
    bli_tf_node *n;
    if (!control || !shape || !dims || !flat || !min || !max || !name)
        return BL_NO_MEMORY;
    BLI_TRY(add_dims(out, shape, control, -1));
    BLI_TRY(add_dims(out, dims, control, 0));
    BLI_TRY(bli_tg_add_node(out, "Reshape", flat, (const char *[]){input, shape, NULL}, &n));
    BLI_TRY(bli_tg_set_type(s, n, "T", BLI_DT_FLOAT));
    if (may_be_empty(q, input))
        BLI_TRY(add_zero(out, u, &flat));
    BLI_TRY(add_extreme(out, "Min", min, flat, dims));
    BLI_TRY(add_extreme(out, "Max", max, flat, dims));
    BLI_TRY(bli_tg_add_node(out, "QuantizeV2", name, (const char *[]){input, min, max, NULL}, &n));
    return bli_tg_set_mode(s, n, BLI_DT_QUINT8);
}

/* A tensor that came before has its quantizer. */
static bool came_before(const bli_tf_node *n, unsigned raw, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!is_raw(raw, k) && strcmp(n->inputs[k], n->inputs[i]) == 0)
            return true;
    return false;
}

bl_status bli_tg_quantize_inputs(const bli_tg_quantizer *q, const bli_tf_node *n, unsigned raw, bli_tg_bytes *in,
                                 bli_tf_graph *out)
{
    bli_tf_store *s = out->store;
    const char **all = bli_tf_alloc_array(s, 3 * n->num_inputs + 1, sizeof *all);
    *in = (bli_tg_bytes){.names = all, .minima = all + n->num_inputs, .maxima = all + 2 * n->num_inputs};
    if (!all)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n->num_inputs; i++) {
        if (is_raw(raw, i)) {
            in->names[in->count++] = n->inputs[i];
            continue;
        }
        if (!q->job->compat && bli_tg_is_control(n->inputs[i]))
            continue;
        char *u = unique_name(s, n, n->inputs[i]);
        if (!u)
            return BL_NO_MEMORY;
        if (q->job->compat || !came_before(n, raw, i))
            BLI_TRY(quantize_input(q, out, u, n->inputs[i]));
        in->names[in->count++] = bli_tf_text(s, "%s/quantize:0", u);
        in->minima[in->ranges] = bli_tf_text(s, "%s/quantize:1", u);
        in->maxima[in->ranges] = bli_tf_text(s, "%s/quantize:2", u);
        if (!in->names[in->count - 1] || !in->minima[in->ranges] || !in->maxima[in->ranges])
            return BL_NO_MEMORY;
        in->ranges++;
    }
    return BL_OK;
}

/* ---- the operator -------------------------------------------------------------------------------------------------
 */

typedef struct pair {
    bli_tf_store *store;
    bli_tf_node *to;
    const bli_tf_node *from;
    bool compat;
} pair;

/* A missing one is the operator's default; the original ends the process. */
static bl_status copy_one(void *user, const char *attr)
{
    pair *p = user;
    if (bli_tf_node_attr(p->from, attr) || p->compat)
        return bli_tg_copy_attr(p->store, p->to, attr, p->from);
    bli_tf_node *filled = bli_tf_node_copy(p->store, p->from);
    if (!filled)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_opdef_fill(p->store, bli_tf_opdef_find(p->from->op), filled));
    return bli_tg_copy_attr(p->store, p->to, attr, filled);
}

static bl_status set_bytes(void *user, const char *attr)
{
    pair *p = user;
    return bli_tg_set_type(p->store, p->to, attr, BLI_DT_QUINT8);
}

static bl_status add_ranges(const bli_tg_bytes *in, bool by_kind, bli_tf_store *s, bli_tf_node *made)
{
    for (size_t i = 0; i < in->ranges && by_kind; i++)
        BLI_TRY(bli_tf_node_add_input(s, made, in->minima[i]));
    for (size_t i = 0; i < in->ranges; i++) {
        if (!by_kind)
            BLI_TRY(bli_tf_node_add_input(s, made, in->minima[i]));
        BLI_TRY(bli_tf_node_add_input(s, made, in->maxima[i]));
    }
    return BL_OK;
}

static bl_status add_eight(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_eight *e,
                           const bli_tg_bytes *in, const char *name, bli_tf_graph *out)
{
    bli_tf_store *s = out->store;
    bli_tf_node *made;
    char *op = bli_tf_text(s, "Quantized%s", n->op);
    if (!op)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(out, op, name, NULL, &made));
    for (size_t i = 0; i < in->count; i++)
        BLI_TRY(bli_tf_node_add_input(s, made, in->names[i]));
    BLI_TRY(add_ranges(in, strcmp(n->op, "Concat") == 0, s, made));
    pair p = {s, made, n, q->job->compat};
    BLI_TRY(each_word(e->copied, copy_one, &p));
    BLI_TRY(each_word(e->bytes, set_bytes, &p));
    if (e->wide)
        BLI_TRY(bli_tg_set_type(s, made, e->wide, BLI_DT_QINT32));
    for (size_t i = 0; i < n->num_inputs && !q->job->compat; i++)
        if (bli_tg_is_control(n->inputs[i]))
            BLI_TRY(bli_tf_node_add_input(s, made, n->inputs[i]));
    return BL_OK;
}

bl_status bli_tg_ports(bli_tf_store *s, const char *name, const char *at[3])
{
    for (int k = 0; k < 3; k++)
        if (!(at[k] = bli_tf_text(s, "%s:%d", name, k)))
            return BL_NO_MEMORY;
    return BL_OK;
}

static bl_status fallback_range(const bli_tg_quantizer *q, const char *from, const char *wide[6], bli_tf_graph *out)
{
    char *min = bli_tf_text(out->store, "%s/fallback_min", from),
         *max = bli_tf_text(out->store, "%s/fallback_max", from);
    if (!min || !max)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_float(out, min, q->fallback_min));
    BLI_TRY(bli_tg_add_float(out, max, q->fallback_max));
    wide[3] = min;
    wide[4] = max;
    return BL_OK;
}

static bl_status found_range(const char *from, const char *wide[6], bli_tf_graph *out)
{
    char *name = bli_tf_text(out->store, "%s/requant_range", from);
    const char *found[3] = {NULL};
    bli_tf_node *range;
    if (!name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(out, "RequantizationRange", name, wide, &range));
    BLI_TRY(bli_tg_set_type(out->store, range, "Tinput", BLI_DT_QINT32));
    BLI_TRY(bli_tg_ports(out->store, name, found));
    wide[3] = found[0];
    wide[4] = found[1];
    return BL_OK;
}

bl_status bli_tg_narrow(const bli_tg_quantizer *q, const char **from, const char *const wide[3], bli_tf_graph *out)
{
    const char *inputs[6] = {wide[0], wide[1], wide[2], NULL, NULL, NULL};
    char *name = bli_tf_text(out->store, "%s/requantize", *from);
    BLI_TRY(q->has_fallback ? fallback_range(q, *from, inputs, out) : found_range(*from, inputs, out));
    *from = name;
    return name ? bli_tg_add_requantize(out, name, inputs) : BL_NO_MEMORY;
}

bl_status bli_tg_end(const bli_tf_node *n, const char *const codes[3], bli_tf_graph *out)
{
    const char *const inputs[4] = {codes[0], codes[1], codes[2], NULL};
    bli_tf_node *made;
    BLI_TRY(bli_tg_add_node(out, "Dequantize", n->name, inputs, &made));
    return bli_tg_set_mode(out->store, made, BLI_DT_QUINT8);
}

static bl_status quantize(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_eight *e, bli_tf_graph *out,
                          const char *codes[3])
{
    const char *last = bli_tf_text(out->store, "%s/eightbit", n->name);
    bli_tg_conv_way way = {.plain = true};
    bli_tg_bytes in;
    bool yes;
    if (!last)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_quantize_inputs(q, n, e->raw, &in, out));
    if (!q->job->compat && strcmp(n->op, "Conv2D") == 0)
        BLI_TRY(bli_tg_conv_find(q, n, &way, &yes));
    BLI_TRY(bli_tg_conv_front(q, n, &way, &in, &n, out));
    BLI_TRY(add_eight(q, n, e, &in, last, out));
    BLI_TRY(bli_tg_ports(out->store, last, codes));
    return bli_tg_conv_back(q, n, &way, &codes[0], out);
}

static bl_status quantize_to_end(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_eight *e,
                                 bli_tf_graph *out)
{
    const char *codes[3], *last = bli_tf_text(out->store, "%s/eightbit", n->name);
    BLI_TRY(last ? quantize(q, n, e, out, codes) : BL_NO_MEMORY);
    if (e->wide) {
        BLI_TRY(bli_tg_narrow(q, &last, codes, out));
        BLI_TRY(bli_tg_ports(out->store, last, codes));
    }
    return bli_tg_end(n, codes, out);
}

/* ---- which nodes ---------------------------------------------------------------------------------------------------
 */

/* The axis comes first. */
static bl_status concat_words(const bli_tg_quantizer *q, bli_tf_node *older, const bli_tf_node **out)
{
    const size_t data = bli_tg_data_inputs(older);
    int axis = BLI_DT_INT32;
    BLI_TRY(bli_tf_type_or(q->job->ctx, older, "Tidx", BLI_DT_INT32, &axis));
    if (axis != BLI_DT_INT32 || data < 2)
        return BL_OK;
    const char *last = older->inputs[data - 1];
    memmove(older->inputs + 1, older->inputs, (data - 1) * sizeof *older->inputs);
    older->inputs[0] = last;
    bli_tf_node_remove(older, "Tidx");
    older->op = "Concat";
    *out = older;
    return BL_OK;
}

/* Of matrices; other ranks have no eight-bit operator. */
static bl_status matmul_words(const bli_tg_quantizer *q, bli_tf_node *older, const bli_tf_node **out)
{
    static const char *const words[2][2] = {{"adj_x", "transpose_a"}, {"adj_y", "transpose_b"}};
    for (size_t i = 0; i < 2; i++) {
        bool turned;
        const bl_shape *s = bli_tg_data_inputs(older) == 2 ? bli_tg_some_shape_of(q, older->inputs[i]) : NULL;
        if (!s || s->rank != 2)
            return BL_OK;
        BLI_TRY(bli_tf_bool_or(q->job->ctx, older, words[i][0], false, &turned));
        BLI_TRY(bli_tf_node_set(q->job->store, older, words[i][1], bli_tf_value_bool(q->job->store, turned)));
        bli_tf_node_remove(older, words[i][0]);
    }
    older->op = "MatMul";
    *out = older;
    return BL_OK;
}

/* Newer operators in the words of those that have an eight-bit one, and BiasAdd in those of the better one, as
 * QuantizedBiasAdd gives sums that are low by 1/64 of the greatest value; *out NULL: it has none. */
static bl_status older_words(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tf_node **out)
{
    *out = n;
    if (q->job->compat || !bli_tg_op_is(n->op, "AddV2|BiasAdd|ConcatV2|BatchMatMul|BatchMatMulV2"))
        return BL_OK;
    bli_tf_node *older = bli_tf_node_copy(q->job->store, n);
    if (!older)
        return BL_NO_MEMORY;
    *out = NULL;
    if (n->op[0] == 'C')
        return concat_words(q, older, out);
    if (strncmp(n->op, "BatchMatMul", 11) == 0)
        return matmul_words(q, older, out);
    older->op = "Add";
    *out = older;
    return BL_OK;
}

static bl_status may(const bli_tg_quantizer *q, const bli_tf_node *n, const bli_tg_eight *e, bool *yes)
{
    *yes = e != NULL;
    if (*yes && !q->job->compat && (strcmp(n->op, "Add") == 0 || strcmp(n->op, "Mul") == 0))
        *yes = bli_tg_sum_fits(q, n);
    if (*yes)
        BLI_TRY(bli_tg_all_float(q, n, e->raw, yes));
    if (*yes && !q->job->compat)
        BLI_TRY(fits(q, n, yes));
    return BL_OK;
}

bl_status bli_tg_kernel_products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                 const char *wide[3], bool *done)
{
    const bli_tg_eight *e = strcmp(n->op, "Conv2D") == 0 || strcmp(n->op, "MatMul") == 0 ? find_eight(n->op) : NULL;
    BLI_TRY(may(q, n, bli_tg_is_ignored(q, n) ? NULL : e, done));
    return *done && out ? quantize(q, n, e, out, wide) : BL_OK;
}

bl_status bli_tg_quantize_node(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out)
{
    const bli_tf_node *older;
    bool yes = false;
    if (!q->job->compat)
        BLI_TRY(bli_tg_quantize_sum(q, n, out, &yes));
    if (!q->job->compat && !yes)
        BLI_TRY(bli_tg_quantize_more(q, n, out, &yes));
    if (yes)
        return BL_OK;
    BLI_TRY(older_words(q, n, &older));
    const bli_tg_eight *e = older && !bli_tg_is_ignored(q, n) ? find_eight(older->op) : NULL;
    if (e)
        BLI_TRY(may(q, older, e, &yes));
    return yes ? quantize_to_end(q, older, e, out) : bli_tg_add_copy(out, n);
}
