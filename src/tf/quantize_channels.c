/* quantize_channels.c: products whose weights have a range for each output channel (quantize_nodes(per_channel=true),
 * and weights that quantize_weights(per_channel=true) packed, whose ranges are kept unless per_channel=false is said).
 *
 * Weights become -127 ... 127 times a step of their channel, which a table of standard operators finds; the products
 * of codes are exact sums, of QuantizedConv2D and QuantizedMatMul or, of a depthwise convolution, of floats below 2^24,
 * whose weights then have as many codes as that allows.
 * Each channel's sums are then scaled by its step beside the greatest, in floats, and rounded to 32 bits of one range.
 * Packed weights (unpack.c) bring their steps, where products hold their codes.  Weights that come as bytes have a
 * range already and are left to the operators that know it.
 */
#include <math.h>
#include <string.h>

#include "tf/quantize_parts.h"

enum { GREATEST = 127, ZERO = 128, GREATEST_OF_FLOATS = 0x7fff, HOPS = 8 };

/* A product, and which dimensions of its weights are summed: the first so many. */
typedef struct product {
    const char *op, *eight, *types, *copied;
    int rank, summed;
} product;
static const product products[] = {
    {"Conv2D", "QuantizedConv2D", "Tinput=quint8 Tfilter=quint8 out_type=qint32", "strides padding", 4, 3},
    {"MatMul", "QuantizedMatMul", "T1=quint8 T2=quint8 Toutput=qint32", "transpose_a transpose_b", 2, 1},
    {"DepthwiseConv2dNative", NULL, "", "", 4, 2},
};

/* Products of bytes that a sum has. */
static int64_t terms_of(const product *p, const bl_shape *w)
{
    int64_t terms = 1;
    for (int i = 0; i < p->summed; i++)
        terms *= w->dim[i];
    return terms;
}

/* The weights' greatest code: of floats as much as their sums can hold exactly. */
static int64_t greatest_of(const product *p, const bl_shape *w)
{
    const int64_t most = (1 << 24) / 255 / terms_of(p, w);
    return p->eight ? GREATEST : most < GREATEST_OF_FLOATS ? most : GREATEST_OF_FLOATS;
}

static const product *find(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const bli_tf_node *from = bli_tg_data_inputs(n) == 2 ? bli_tg_node_of(q, n->inputs[1]) : NULL;
    const bl_shape *w = from ? bli_tg_shape_of(q, n->inputs[1]) : NULL;
    const bli_tf_value *turned = bli_tf_node_attr(n, "transpose_b");
    if (!w || strcmp(from->op, "Dequantize") == 0 || (turned && turned->b) || bl_shape_count(w) == 0)
        return NULL;
    for (size_t i = 0; i < BLI_COUNT(products); i++) {
        const product *p = &products[i];
        const int64_t most = p->eight ? INT64_C(1) << 30 : INT64_C(1) << 24;
        if (strcmp(p->op, n->op) == 0)
            return w->rank == p->rank && terms_of(p, w) <= most / (255 * GREATEST) ? p : NULL;
    }
    return NULL;
}

/* ---- packed weights (unpack.c) ------------------------------------------------------------------------------------
 */

/* The product at the end of what unpacks an input, a scale for each channel; NULL: something else. */
static const bli_tf_node *packed_by_channel(const bli_tg_quantizer *q, const char *input)
{
    const bli_tf_node *n = bli_tg_node_of(q, input);
    for (int hop = 0; n && hop < HOPS && strcmp(n->op, "Identity") == 0 && n->num_inputs > 0; hop++)
        n = bli_tg_node_of(q, n->inputs[0]);
    if (!n || strcmp(n->op, "Mul") != 0 || n->num_inputs != 2)
        return NULL;
    const bli_tf_node *codes = bli_tg_node_of(q, n->inputs[0]), *scales = bli_tg_node_of(q, n->inputs[1]);
    const bl_shape *shape = bli_tg_shape_of(q, n->inputs[1]);
    const bool both = codes && scales && strcmp(codes->op, "Cast") == 0 && strcmp(scales->op, "Cast") == 0;
    return both && shape && bl_shape_count(shape) > 1 ? n : NULL;
}

/* The constant that is taken from packed codes; NULL: there is none. */
static const bli_tf_node *zeros_of(const bli_tg_quantizer *q, const bli_tf_node *packed)
{
    const bli_tf_node *real = bli_tg_node_of(q, packed->inputs[0]);
    const bli_tf_node *sub = real && real->num_inputs == 1 ? bli_tg_node_of(q, real->inputs[0]) : NULL;
    const bli_tf_node *zeros =
        sub && strcmp(sub->op, "Sub") == 0 && sub->num_inputs == 2 ? bli_tg_node_of(q, sub->inputs[1]) : NULL;
    return zeros && strcmp(zeros->op, "Const") == 0 ? zeros : NULL;
}

/* The greatest size of a packed code: of seven bits or fewer 127, of eight 128 if zero is in the middle; *at is else a
 * channel where it is not.  0: not known. */
static bl_status packed_greatest(const bli_tg_quantizer *q, const bli_tf_node *packed, int64_t *greatest, size_t *at)
{
    const bli_tf_node *zeros = zeros_of(q, packed);
    bli_tf_tensor t;
    *greatest = 0;
    if (!zeros)
        return BL_OK;
    BLI_TRY(bli_tg_const_view(q->job->store, zeros, 0, &t));
    *greatest = t.dtype == BLI_DT_INT8 ? 127 : t.dtype == BLI_DT_INT16 ? 128 : 0;
    for (size_t i = 0; t.dtype == BLI_DT_INT16 && i < t.count; i++)
        if (((const int16_t *)t.data)[i] != ZERO) {
            *greatest = 255;
            *at = i;
        }
    return BL_OK;
}

/* The packed weights' scales where they may be the steps of a product, its greatest code with them; else *steps stays
 * NULL. */
static bl_status packed_steps(const bli_tg_quantizer *q, const bli_tf_node *n, const product *p, int64_t *greatest,
                              const char **steps)
{
    const bli_tf_node *packed = packed_by_channel(q, n->inputs[1]);
    int64_t most = 0;
    size_t at = 0;
    if (packed)
        BLI_TRY(packed_greatest(q, packed, &most, &at));
    if (most == 0)
        return BL_OK;
    if (most <= (p->eight ? ZERO : *greatest)) {
        *greatest = most;
        *steps = packed->inputs[1];
    } else {
        bli_log(
            q->job->ctx, BL_LOG_WARNING,
            "quantize_nodes: node '%s' (%s): its weights are rounded a second time, as zero's code of channel %zu is "
            "not %d, a product's; quantize_weights(symmetric=true) spares that",
            n->name, n->op, at, ZERO);
    }
    return BL_OK;
}

/* ---- weights ------------------------------------------------------------------------------------------------------
 */

static bl_status add_dims(const bli_tg_site *s, const char *part, int count)
{
    static const int32_t dims[4] = {0, 1, 2, 3};
    const int64_t dim = count;
    const char *name = bli_tg_part_name(s, part);
    return name ? bli_tg_add_const(s->out, name, BLI_DT_INT32, 1, &dim, dims, NULL, NULL) : BL_NO_MEMORY;
}

/* Given by `$`, or so that the greatest weight has the greatest code. */
static bl_status add_steps(const bli_tg_site *s, const product *p, int64_t greatest)
{
    static const bli_tg_part given[] = {{"steps", "Identity", "$", "T=float", 0}};
    const bli_tg_part found[] = {
        {"part", "Const", "", "dtype=float", 1.0 / (double)greatest},
        {"size", "Abs", "#1", "T=float", 0},
        {"greatest", "Max", "size summed", "T=float Tidx=int32", 0},
        {"steps", "Mul", "greatest part", "T=float", 0},
    };
    if (s->codes[0])
        return BLI_TG_ADD_PARTS(s, given, NULL);
    BLI_TRY(add_dims(s, "summed", p->summed));
    return BLI_TG_ADD_PARTS(s, found, NULL);
}

/* bits: what the scaled sums have more than the sums, as far as 30 bits take them. */
static bl_status add_weights(const bli_tg_site *s, const product *p, int64_t greatest, int bits)
{
    const bli_tg_part room[] = {{"room", "Const", "", "dtype=float", ldexp(1, bits)}};
    static const bli_tg_part codes[] = {
        {"over", "DivNoNan", "#1 steps", "T=float", 0},
        {"centred", "Round", "over", "T=float", 0},
        {"most", "Max", "steps kept", "T=float Tidx=int32", 0},
        {"ratio", "DivNoNan", "steps most", "T=float", 0},
        {"scaled", "Mul", "ratio room", "T=float", 0},
        {"factors", "Reshape", "scaled row", "T=float Tshape=int32", 0},
    };
    static const int64_t one = 1;
    static const int32_t all = -1;
    const char *row = bli_tg_part_name(s, "row");
    BLI_TRY(add_steps(s, p, greatest));
    BLI_TRY(add_dims(s, "kept", p->rank - p->summed));
    BLI_TRY(row ? bli_tg_add_const(s->out, row, BLI_DT_INT32, 1, &one, &all, NULL, NULL) : BL_NO_MEMORY);
    BLI_TRY(BLI_TG_ADD_PARTS(s, room, NULL));
    return BLI_TG_ADD_PARTS(s, codes, NULL);
}

static bl_status copy_words(const bli_tg_site *s, const char *words, bli_tf_node *to)
{
    while (*words) {
        const size_t size = strcspn(words, " ");
        const char *attr = bli_tf_text_copy(s->out->store, words, size);
        if (!attr)
            return BL_NO_MEMORY;
        BLI_TRY(bli_tg_copy_or_default(s->out->store, to, attr, s->n));
        words += size + (words[size] == ' ');
    }
    return BL_OK;
}

/* ---- sums ---------------------------------------------------------------------------------------------------------
 */

/* As floats, "real". */
static bl_status add_kernel_sums(const bli_tg_site *s, const product *p, const bli_tg_conv_way *way, bli_tf_node **main)
{
    static const bli_tg_part codes[] = {
        {"zero", "Const", "", "dtype=float", ZERO},
        {"w_min", "Const", "", "dtype=float", -ZERO},
        {"w_max", "Const", "", "dtype=float", 255 - ZERO},
        {"moved", "AddV2", "w/centred zero", "T=float", 0},
        {"w_codes", "Cast", "moved", "SrcT=float DstT=quint8", 0},
    };
    const bli_tg_part kernel[] = {{"sums", p->eight, "$ w_codes $:1 $:2 w_min w_max", p->types, 0}};
    static const bli_tg_part real[] = {
        {"whole", "Bitcast", "$", "T=qint32 type=int32", 0},
        {"real", "Cast", "whole", "SrcT=int32 DstT=float", 0},
    };
    bli_tg_site behind = *s;
    BLI_TRY(BLI_TG_ADD_PARTS(s, codes, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, kernel, main));
    BLI_TRY(copy_words(s, p->copied, *main));
    behind.codes[0] = bli_tg_part_name(s, "sums");
    if (!behind.codes[0])
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_conv_back(s->q, s->n, way, &behind.codes[0], s->out));
    return BLI_TG_ADD_PARTS(&behind, real, NULL);
}

static bl_status add_float_sums(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part conv[] = {{"real", "DepthwiseConv2dNative", "x/centred w/centred", "", 0}};
    BLI_TRY(bli_tg_add_centred(s, "x", in, 0));
    BLI_TRY(BLI_TG_ADD_PARTS(s, conv, main));
    for (size_t i = 0; i < s->n->num_attrs; i++)
        BLI_TRY(bli_tf_node_set(s->out->store, *main, s->n->attrs[i].name, s->n->attrs[i].value));
    return BL_OK;
}

static bl_status scale(const bli_tg_site *s, int bits)
{
    const bli_tg_part rest[] = {
        {"scaled", "Mul", "real w/factors", "T=float", 0},
        {"rounded", "Round", "scaled", "T=float", 0},
        {"codes", "Cast", "rounded", "SrcT=float DstT=qint32", 0},
        {"span", "Sub", "$:2 $:1", "T=float", 0},
        {"area", "Mul", "span w/most", "T=float", 0},
        {"codes_span", "Const", "", "dtype=float", ldexp(1, 31 - bits) / 255},
        {"max", "Mul", "area codes_span", "T=float", 0},
        {"min", "Neg", "max", "T=float", 0},
    };
    return BLI_TG_ADD_PARTS(s, rest, NULL);
}

/* ---- the whole ----------------------------------------------------------------------------------------------------
 */

static bl_status make(const bli_tg_quantizer *q, const bli_tf_node *n, const product *p, bli_tf_graph *out,
                      const char *wide[3])
{
    static const char *const result[3] = {"codes", "min", "max"};
    const bl_shape *shape = bli_tg_shape_of(q, n->inputs[1]);
    int64_t greatest = greatest_of(p, shape);
    bli_tg_conv_way way = {.plain = true};
    bli_tg_site s, w;
    bli_tg_bytes in;
    bli_tf_node *main;
    bool yes;
    BLI_TRY(bli_tg_site_make(q, n, NULL, out, &s));
    BLI_TRY(bli_tg_site_make(q, n, "w", out, &w));
    BLI_TRY(packed_steps(q, n, p, &greatest, &w.codes[0]));
    const double sums = (double)(terms_of(p, shape) * 255 * greatest);
    const int bits = (int)floor(log2((double)(INT64_C(1) << 30) / sums));
    BLI_TRY(bli_tg_quantize_inputs(q, n, 2, &in, out));
    if (strcmp(n->op, "Conv2D") == 0)
        BLI_TRY(bli_tg_conv_find(q, n, &way, &yes));
    BLI_TRY(bli_tg_conv_front(q, n, &way, &in, &s.n, out));
    bli_tg_site_read(&s, &in, 0);
    BLI_TRY(add_weights(&w, p, greatest, bits));
    BLI_TRY(p->eight ? add_kernel_sums(&s, p, &way, &main) : add_float_sums(&s, &in, &main));
    BLI_TRY(bli_tg_copy_controls(&s, main));
    BLI_TRY(scale(&s, bits));
    return bli_tg_part_names(&s, result, wide);
}

bl_status bli_tg_channel_products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out,
                                  const char *wide[3], bool *done)
{
    const bool kept = q->keeps_ranges && bli_tg_data_inputs(n) == 2 && packed_by_channel(q, n->inputs[1]);
    const product *p = q->per_channel || kept ? find(q, n) : NULL;
    *done = false;
    if (!p || bli_tg_is_ignored(q, n))
        return BL_OK;
    if (p->eight)
        BLI_TRY(bli_tg_kernel_products(q, n, NULL, NULL, done));
    else
        BLI_TRY(bli_tg_more_products(q, n, NULL, NULL, done));
    return *done && out ? make(q, n, p, out, wide) : BL_OK;
}
