/* quantize_more.c: eight bits for operators of which TensorFlow has no eight-bit kernel that runs everywhere.
 *
 * Each becomes a few standard operators on the codes of its inputs, listed in a table, so that any TensorFlow runs the
 * graph and all give the same bits.  Codes are whole numbers, and so is every step from them to the result: sums that
 * are taken in floats stay below 2^24, factors and offsets are rounded to 32 bits beforehand.  Ranges and parameters
 * are numbers or vectors of floats, computed by operators that IEEE 754 defines to the bit.  What cannot be said this
 * way is left to the caller.  (Conv2D, MatMul and the like, which have eight-bit kernels: quantize_op.c.)
 */
#include <string.h>

#include "tf/quantize_parts.h"

/* ---- what several of them begin with ------------------------------------------------------------------------------
 */

/* The code of zero, which need not be a byte's, less than 0 for ranges about zero: codes plus this are multiples of the
 * step, which is the span over 255. */
static const bli_tg_part zero_code[] = {
    {"levels", "Const", "", "dtype=float", 255}, {"span", "Sub", "$:2 $:1", "T=float", 0},
    {"low", "Mul", "$:1 levels", "T=float", 0},  {"steps", "DivNoNan", "low span", "T=float", 0},
    {"zero", "Round", "steps", "T=float", 0},
};
static const bli_tg_part centred_floats[] = {
    {"floats", "Cast", "$", "SrcT=quint8 DstT=float", 0},
    {"centred", "AddV2", "floats zero", "T=float", 0},
};
static const bli_tg_part whole_codes[] = {
    {"whole", "Cast", "$", "SrcT=quint8 DstT=int32", 0},
    {"zeros", "Cast", "zero", "SrcT=float DstT=int32", 0},
};

static bl_status add_axes(const bli_tg_site *s)
{
    static const int64_t one = 1;
    static const int32_t zero = 0;
    const char *name = bli_tg_part_name(s, "axes");
    return name ? bli_tg_add_const(s->out, name, BLI_DT_INT32, 1, &one, &zero, NULL, NULL) : BL_NO_MEMORY;
}

/* ---- DepthwiseConv2dNative ----------------------------------------------------------------------------------------
 */

/* Taps whose products of bytes floats can sum without rounding. */
enum { MOST_TAPS = (1 << 24) / (255 * 255) };

static bool depthwise_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const bl_shape *filter = bli_tg_data_inputs(n) == 2 ? bli_tg_shape_of(q, n->inputs[1]) : NULL;
    return filter && filter->rank == 4 && filter->dim[0] * filter->dim[1] <= MOST_TAPS;
}

bl_status bli_tg_add_centred(const bli_tg_site *s, const char *below, const bli_tg_bytes *in, size_t input)
{
    bli_tg_site side;
    BLI_TRY(bli_tg_site_make(s->q, s->n, below, s->out, &side));
    bli_tg_site_read(&side, in, input);
    BLI_TRY(BLI_TG_ADD_PARTS(&side, zero_code, NULL));
    return BLI_TG_ADD_PARTS(&side, centred_floats, NULL);
}

/* 2^31 of the products' steps a side are the range. */
static bl_status depthwise(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part conv[] = {{"sums", "DepthwiseConv2dNative", "x/centred w/centred", "", 0}};
    static const bli_tg_part rest[] = {
        {"codes", "Cast", "sums", "SrcT=float DstT=qint32", 0},
        {"area", "Mul", "x/span w/span", "T=float", 0},
        {"most", "Const", "", "dtype=float", 0x1p31 / 65025},
        {"max", "Mul", "area most", "T=float", 0},
        {"min", "Neg", "max", "T=float", 0},
    };
    BLI_TRY(bli_tg_add_centred(s, "x", in, 0));
    BLI_TRY(bli_tg_add_centred(s, "w", in, 1));
    BLI_TRY(BLI_TG_ADD_PARTS(s, conv, main));
    for (size_t i = 0; i < s->n->num_attrs; i++)
        BLI_TRY(bli_tf_node_set(s->out->store, *main, s->n->attrs[i].name, s->n->attrs[i].value));
    return BLI_TG_ADD_PARTS(s, rest, NULL);
}

/* ---- Sub ----------------------------------------------------------------------------------------------------------
 */

static bool sub_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    return bli_tg_sum_fits(q, n);
}

/* Codes turned round under the range turned round are the negated values, which QuantizedAdd adds. */
static bl_status sub(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part negated[] = {
        {"levels", "Const", "", "dtype=uint8", 255},
        {"bytes", "Bitcast", "$", "T=quint8 type=uint8", 0},
        {"turned", "BitwiseXor", "bytes levels", "T=uint8", 0},
        {"codes", "Bitcast", "turned", "T=uint8 type=quint8", 0},
        {"min", "Neg", "$:2", "T=float", 0},
        {"max", "Neg", "$:1", "T=float", 0},
    };
    static const bli_tg_part sum[] = {
        {"sum", "QuantizedAdd", "$ negated/codes $:1 $:2 negated/min negated/max", "T1=quint8 T2=quint8 Toutput=qint32",
         0},
    };
    bli_tg_site b;
    BLI_TRY(bli_tg_site_make(s->q, s->n, "negated", s->out, &b));
    bli_tg_site_read(&b, in, 1);
    BLI_TRY(BLI_TG_ADD_PARTS(&b, negated, NULL));
    return BLI_TG_ADD_PARTS(s, sum, main);
}

/* ---- Pad ----------------------------------------------------------------------------------------------------------
 */

static bl_status pad(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part nothing[] = {
        {"zero", "Const", "", "dtype=float", 0},
        {"nothing", "QuantizeV2", "zero $:1 $:2", "T=quint8", 0},
    };
    static const bli_tg_part padded[] = {{"codes", "PadV2", "$ #1 nothing", "T=quint8", 0}};
    bli_tf_node *n;
    (void)in;
    BLI_TRY(BLI_TG_ADD_PARTS(s, nothing, &n));
    BLI_TRY(bli_tg_set_mode(s->out->store, n, BLI_DT_QUINT8));
    /* the range is the codes' own, however narrow */
    BLI_TRY(bli_tf_node_set(s->out->store, n, "ensure_minimum_range", bli_tf_value_float(s->out->store, 1e-30f)));
    BLI_TRY(BLI_TG_ADD_PARTS(s, padded, main));
    return bli_tg_copy_or_default(s->out->store, *main, "Tpaddings", s->n);
}

/* ---- Transpose ----------------------------------------------------------------------------------------------------
 */

/* One that moves what has eight bits anyway. */
static bool transpose_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const bli_tf_node *from = bli_tg_node_of(q, n->inputs[0]);
    return from && bli_tg_op_is(from->op, bli_tg_more_eight_ops);
}

static bl_status transpose(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part bytes[] = {{"bytes", "Bitcast", "$", "T=quint8 type=uint8", 0}};
    static const bli_tg_part turned[] = {{"turned", "Transpose", "bytes #1", "T=uint8", 0}};
    static const bli_tg_part codes[] = {{"codes", "Bitcast", "turned", "T=uint8 type=quint8", 0}};
    bli_tf_node *n;
    (void)in;
    BLI_TRY(BLI_TG_ADD_PARTS(s, bytes, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, turned, &n));
    BLI_TRY(bli_tg_copy_or_default(s->out->store, n, "Tperm", s->n));
    return BLI_TG_ADD_PARTS(s, codes, main);
}

/* ---- LeakyRelu ----------------------------------------------------------------------------------------------------
 */

static bl_status add_all_codes(const bli_tg_site *s)
{
    static const int64_t count = 256;
    const char *name = bli_tg_part_name(s, "all");
    uint8_t all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    return name ? bli_tg_add_const(s->out, name, BLI_DT_QUINT8, 1, &count, all, NULL, NULL) : BL_NO_MEMORY;
}

/* A table: the function of what each code means, in codes of the range of all results. */
static bl_status leaky_relu(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part values[] = {{"values", "Dequantize", "all $:1 $:2", "", 0}};
    static const bli_tg_part results[] = {{"results", "LeakyRelu", "values", "T=float", 0}};
    static const bli_tg_part table[] = {
        {"least", "Min", "results axes", "T=float Tidx=int32", 0},
        {"greatest", "Max", "results axes", "T=float Tidx=int32", 0},
        {"table", "QuantizeV2", "results least greatest", "", 0},
    };
    static const bli_tg_part found[] = {
        {"axis", "Const", "", "dtype=int32", 0},
        {"index", "Cast", "$", "SrcT=quint8 DstT=int32", 0},
        {"codes", "GatherV2", "table index axis", "Tparams=quint8 Tindices=int32 Taxis=int32", 0},
    };
    bli_tf_node *n;
    (void)in;
    BLI_TRY(add_all_codes(s));
    BLI_TRY(add_axes(s));
    BLI_TRY(BLI_TG_ADD_PARTS(s, values, &n));
    BLI_TRY(bli_tg_set_mode(s->out->store, n, BLI_DT_QUINT8));
    BLI_TRY(BLI_TG_ADD_PARTS(s, results, &n));
    BLI_TRY(bli_tg_copy_or_default(s->out->store, n, "alpha", s->n));
    BLI_TRY(BLI_TG_ADD_PARTS(s, table, &n));
    BLI_TRY(bli_tg_set_mode(s->out->store, n, BLI_DT_QUINT8));
    return BLI_TG_ADD_PARTS(s, found, main);
}

/* ---- Mean ---------------------------------------------------------------------------------------------------------
 */

/* Elements whose bytes 32 bits can sum, and zero's code beside them. */
enum { MOST_SUMMED = 1 << 22 };

static bool mean_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const bli_tf_value *type = bli_tf_node_attr(n, "Tidx");
    if (bli_tg_data_inputs(n) != 2 || (type && type->type != (BliTf__DataType)BLI_DT_INT32))
        return false;
    const bl_shape *x = bli_tg_shape_of(q, n->inputs[0]);
    return !x || bl_shape_count(x) <= MOST_SUMMED;
}

/* How many elements a mean is of: the product of the dimensions that go. */
static const bli_tg_part counted[] = {
    {"rank", "Rank", "$", "T=quint8", 0},
    {"dims", "FloorMod", "#1 rank", "T=int32", 0},
    {"row", "Reshape", "dims row_shape", "T=int32 Tshape=int32", 0},
    {"shape", "Shape", "$", "T=quint8 out_type=int32", 0},
    {"axis", "Const", "", "dtype=int32", 0},
    {"sizes", "GatherV2", "shape row axis", "Tparams=int32 Tindices=int32 Taxis=int32", 0},
    {"count", "Prod", "sizes axes", "T=int32 Tidx=int32", 0},
};

/* -1: not known before running. */
static bl_status count_known(const bli_tg_site *s, int64_t *count)
{
    const bli_tf_node *axes = bli_tg_node_of(s->q, s->n->inputs[1]);
    const bl_shape *x = bli_tg_some_shape_of(s->q, s->n->inputs[0]);
    bli_tf_tensor t;
    *count = -1;
    if (!x || x->rank < 0 || !axes || strcmp(axes->op, "Const") != 0)
        return BL_OK;
    BLI_TRY(bli_tg_const_view(s->out->store, axes, BLI_DT_INT32, &t));
    int64_t product = 1;
    for (size_t i = 0; i < t.count; i++) {
        const int32_t axis = ((const int32_t *)t.data)[i];
        const int32_t at = axis < 0 ? axis + x->rank : axis;
        if (at < 0 || at >= x->rank || x->dim[at] < 1 || x->dim[at] > MOST_SUMMED / product)
            return BL_OK;
        product *= x->dim[at];
    }
    *count = product;
    return BL_OK;
}

static bl_status add_count(const bli_tg_site *s)
{
    static const int64_t one = 1;
    static const int32_t all = -1;
    const char *row = bli_tg_part_name(s, "row_shape");
    int64_t count;
    BLI_TRY(count_known(s, &count));
    if (count >= 0) {
        const bli_tg_part known[] = {{"count", "Const", "", "dtype=int32", (double)count}};
        return BLI_TG_ADD_PARTS(s, known, NULL);
    }
    BLI_TRY(add_axes(s));
    BLI_TRY(row ? bli_tg_add_const(s->out, row, BLI_DT_INT32, 1, &one, &all, NULL, NULL) : BL_NO_MEMORY);
    return BLI_TG_ADD_PARTS(s, counted, NULL);
}

static bl_status mean(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part sum[] = {{"sum", "Sum", "whole #1", "T=int32 Tidx=int32", 0}};
    static const bli_tg_part rest[] = {
        {"shift", "Mul", "zeros count", "T=int32", 0},
        {"centred", "AddV2", "sum shift", "T=int32", 0},
        {"codes", "Bitcast", "centred", "T=int32 type=qint32", 0},
        {"most", "Const", "", "dtype=float", 0x1p31 / 255},
        {"size", "Cast", "count", "SrcT=int32 DstT=float", 0},
        {"whole_span", "Mul", "span most", "T=float", 0},
        {"max", "DivNoNan", "whole_span size", "T=float", 0},
        {"min", "Neg", "max", "T=float", 0},
    };
    (void)in;
    BLI_TRY(BLI_TG_ADD_PARTS(s, zero_code, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, whole_codes, NULL));
    BLI_TRY(add_count(s));
    BLI_TRY(BLI_TG_ADD_PARTS(s, sum, main));
    BLI_TRY(bli_tg_copy_or_default(s->out->store, *main, "keep_dims", s->n));
    return BLI_TG_ADD_PARTS(s, rest, NULL);
}

/* ---- offsets of 32 bits -------------------------------------------------------------------------------------------
 */

/* `offset_steps` as whole numbers that leave room for what they are added to. */
static const bli_tg_part whole_offset[] = {
    {"room", "Const", "", "dtype=float", 0x1p30},
    {"room_below", "Const", "", "dtype=float", -0x1p30},
    {"offset_round", "Round", "offset_steps", "T=float", 0},
    {"offset_below", "Minimum", "offset_round room", "T=float", 0},
    {"offset_within", "Maximum", "offset_below room_below", "T=float", 0},
    {"offset_codes", "Cast", "offset_within", "SrcT=float DstT=int32", 0},
};

/* ---- FusedBatchNorm -----------------------------------------------------------------------------------------------
 */

static bool norm_fits(const bli_tg_quantizer *q, const bli_tf_node *n)
{
    const bli_tf_value *training = bli_tf_node_attr(n, "is_training"), *format = bli_tf_node_attr(n, "data_format");
    const bool nhwc = !format || (format->s.len == 4 && memcmp(format->s.data, "NHWC", 4) == 0);
    return training && !training->b && nhwc && bli_tg_data_inputs(n) == 5 && bli_tg_only_first_read(q, n);
}

/* y = x * factor + offset; factors in 2^-21 of the greatest, so that a code's product and an offset fit into 32 bits.
 */
static const bli_tg_part norm_parameters[] = {
    {"spread", "AddV2", "#4 epsilon", "T=float", 0},
    {"root", "Sqrt", "spread", "T=float", 0},
    {"factor", "RealDiv", "#1 root", "T=float", 0},
    {"moved", "Mul", "#3 factor", "T=float", 0},
    {"offset", "Sub", "#2 moved", "T=float", 0},
    {"size", "Abs", "factor", "T=float", 0},
    {"greatest", "Max", "size axes", "T=float Tidx=int32", 0},
    {"part", "Const", "", "dtype=float", 0x1p-21},
    {"fine", "Mul", "greatest part", "T=float", 0},
    {"factor_steps", "DivNoNan", "factor fine", "T=float", 0},
    {"factor_round", "Round", "factor_steps", "T=float", 0},
    {"factor_codes", "Cast", "factor_round", "SrcT=float DstT=int32", 0},
};

static bl_status add_epsilon(const bli_tg_site *s)
{
    float epsilon;
    const char *name = bli_tg_part_name(s, "epsilon");
    BLI_TRY(bli_tf_float_or(s->q->job->ctx, s->n, "epsilon", 1e-4f, &epsilon));
    return name ? bli_tg_add_float(s->out, name, epsilon) : BL_NO_MEMORY;
}

static bl_status norm(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main)
{
    static const bli_tg_part unit[] = {
        {"step", "RealDiv", "span levels", "T=float", 0},
        {"unit", "Mul", "step fine", "T=float", 0},
        {"offset_steps", "DivNoNan", "offset unit", "T=float", 0},
    };
    static const bli_tg_part sums[] = {
        {"centred", "AddV2", "whole zeros", "T=int32", 0},
        {"products", "Mul", "centred factor_codes", "T=int32", 0},
        {"sums", "AddV2", "products offset_codes", "T=int32", 0},
        {"most", "Const", "", "dtype=float", 0x1p31},
        {"max", "Mul", "unit most", "T=float", 0},
        {"min", "Neg", "max", "T=float", 0},
        {"codes", "Bitcast", "sums", "T=int32 type=qint32", 0},
    };
    (void)in;
    BLI_TRY(add_epsilon(s));
    BLI_TRY(add_axes(s));
    BLI_TRY(BLI_TG_ADD_PARTS(s, zero_code, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, whole_codes, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, norm_parameters, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, unit, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(s, whole_offset, NULL));
    return BLI_TG_ADD_PARTS(s, sums, main);
}

/* ---- sums behind products -----------------------------------------------------------------------------------------
 */

/* n's input 1 joins the sums of 32 bits below it in their own steps, which are 2^-31 of their range. */
bl_status bli_tg_add_offset(const bli_tg_quantizer *q, const bli_tf_node *n, const char *const wide[3],
                            bli_tf_graph *out)
{
    static const bli_tg_part steps[] = {
        {"part", "Const", "", "dtype=float", 0x1p-31},
        {"unit", "Mul", "$:2 part", "T=float", 0},
        {"offset_steps", "DivNoNan", "#1 unit", "T=float", 0},
    };
    static const bli_tg_part sums[] = {
        {"below", "Bitcast", "$", "T=qint32 type=int32", 0},
        {"sums", "AddV2", "below offset_codes", "T=int32", 0},
        {"codes", "Bitcast", "sums", "T=int32 type=qint32", 0},
    };
    bli_tg_site s;
    bli_tf_node *main;
    BLI_TRY(bli_tg_site_make(q, n, NULL, out, &s));
    memcpy(s.codes, wide, sizeof s.codes);
    BLI_TRY(BLI_TG_ADD_PARTS(&s, steps, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(&s, whole_offset, NULL));
    BLI_TRY(BLI_TG_ADD_PARTS(&s, sums, &main));
    BLI_TRY(bli_tg_copy_controls(&s, main));
    return bli_tg_end_wide(&s, (const char *const[]){"codes", "$:1", "$:2"});
}

/* ---- which --------------------------------------------------------------------------------------------------------
 */

typedef struct construction {
    const char *op;
    unsigned raw;                                                  /* inputs that stay as they are, by bits */
    const char *result[3];                                         /* codes and range */
    bool wide;                                                     /* of 32 bits */
    bool (*fits)(const bli_tg_quantizer *q, const bli_tf_node *n); /* NULL: any */
    /* *main: the node that waits for what n waits for. */
    bl_status (*make)(const bli_tg_site *s, const bli_tg_bytes *in, bli_tf_node **main);
} construction;

#define WIDE                                                                                                           \
    {                                                                                                                  \
        "codes", "min", "max"                                                                                          \
    }
#define NORM_PARAMETERS 0x1e
static const construction constructions[] = {
    {"DepthwiseConv2dNative", 0, WIDE, true, depthwise_fits, depthwise},
    {"Sub", 0, {"sum:0", "sum:1", "sum:2"}, true, sub_fits, sub},
    {"Pad", 2, {"codes", "$:1", "$:2"}, false, NULL, pad},
    {"Transpose", 2, {"codes", "$:1", "$:2"}, false, transpose_fits, transpose},
    {"LeakyRelu", 0, {"codes", "table:1", "table:2"}, false, NULL, leaky_relu},
    {"Mean", 2, WIDE, true, mean_fits, mean},
    {"FusedBatchNorm", NORM_PARAMETERS, WIDE, true, norm_fits, norm},
    {"FusedBatchNormV2", NORM_PARAMETERS, WIDE, true, norm_fits, norm},
    {"FusedBatchNormV3", NORM_PARAMETERS, WIDE, true, norm_fits, norm},
};

static bl_status find(const bli_tg_quantizer *q, const bli_tf_node *n, const construction **out)
{
    *out = NULL;
    for (size_t i = 0; i < BLI_COUNT(constructions); i++) {
        const construction *c = &constructions[i];
        bool floats = false;
        if (strcmp(c->op, n->op) != 0 || bli_tg_is_ignored(q, n))
            continue;
        BLI_TRY(bli_tg_all_float(q, n, c->raw, &floats));
        if (floats && (!c->fits || c->fits(q, n)))
            *out = c;
    }
    return BL_OK;
}

static bl_status make(const construction *c, bli_tg_site *s)
{
    bli_tg_bytes in;
    bli_tf_node *main;
    BLI_TRY(bli_tg_quantize_inputs(s->q, s->n, c->raw, &in, s->out));
    bli_tg_site_read(s, &in, 0);
    BLI_TRY(c->make(s, &in, &main));
    return bli_tg_copy_controls(s, main);
}

bl_status bli_tg_quantize_more(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out, bool *done)
{
    const construction *c;
    bli_tg_site s;
    BLI_TRY(find(q, n, &c));
    *done = c != NULL;
    if (!c)
        return BL_OK;
    BLI_TRY(bli_tg_site_make(q, n, NULL, out, &s));
    BLI_TRY(make(c, &s));
    return c->wide ? bli_tg_end_wide(&s, c->result) : bli_tg_end_bytes(&s, c->result);
}

bl_status bli_tg_more_products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out, const char *wide[3],
                               bool *done)
{
    const construction *c;
    bli_tg_site s;
    BLI_TRY(find(q, n, &c));
    *done = c != NULL && c->wide;
    if (!*done || !out)
        return BL_OK;
    BLI_TRY(bli_tg_site_make(q, n, NULL, out, &s));
    BLI_TRY(make(c, &s));
    return bli_tg_part_names(&s, c->result, wide);
}
