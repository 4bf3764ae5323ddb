/* pass_quantize_weights.c: large float constants as bytes with a range, and a Dequantize in their place; or, on
 * request, as codes of fewer bits or with a range for each channel (unpack.c).
 *
 * Codes of bytes follow TensorFlow's scalar rule for quint8 (eight.h).  Ranges hold zero.
 */
#include <float.h>
#include <math.h>

#include "tf/eight.h"
#include "tf/weights.h"

enum { STEPS = 255 };

typedef struct range {
    float min, max;
} range;

/* r moved by half a step at most, so that zero has a code, as fake quantization does.  Otherwise readers round zero's
 * code each for itself, and a range about zero, whose zero is between two, is a whole step off for some of them. */
static range with_zero(range r, bool symmetric)
{
    const float span = symmetric ? fmaxf(-r.min, r.max) / 127 * STEPS : r.max - r.min;
    const float step = span / STEPS, zero = symmetric ? 128 : roundf(-r.min / span * STEPS);
    if (!(step >= FLT_MIN) || (!symmetric && (r.min == 0 || r.max == 0)))
        return r;
    return (range){-zero * step, (STEPS - zero) * step};
}

/* The original begins its maximum at the smallest positive float, which is what weights without a positive one keep. */
static bl_status find_range(const bli_tg_job *job, const bli_tf_node *n, const bli_tf_tensor *t, bool symmetric,
                            range *r)
{
    const float *v = t->data;
    *r = (range){0, job->compat ? FLT_MIN : 0};
    for (size_t i = 0; i < t->count; i++) {
        r->min = v[i] < r->min ? v[i] : r->min;
        r->max = v[i] > r->max ? v[i] : r->max;
        if (!job->compat && !isfinite(v[i]))
            return bli_fail(job->ctx, BL_BAD_VALUE, "node '%s' (Const): element %zu is %g; expected finite weights",
                            n->name, i, (double)v[i]);
    }
    const range all = *r;
    if (r->min == r->max)
        r->max = 1; /* all zero: any range will do */
    if (job->compat)
        return BL_OK;
    *r = with_zero(*r, symmetric);
    return isfinite(r->max - r->min)
               ? BL_OK
               : bli_fail(job->ctx, BL_BAD_VALUE, "node '%s' (Const): values from %g to %g; their range is no float",
                          n->name, (double)all.min, (double)all.max);
}

static bl_status quantize_const(const bli_tg_job *job, const bli_tf_node *n, const bli_tf_tensor *t, bool symmetric,
                                bli_tf_graph *out)
{
    range r;
    void *codes;
    bli_tf_node *made;
    char *code = bli_tf_text(job->store, "%s_quantized_const", n->name);
    char *min = bli_tf_text(job->store, "%s_quantized_min", n->name);
    char *max = bli_tf_text(job->store, "%s_quantized_max", n->name);
    if (!code || !min || !max)
        return BL_NO_MEMORY;
    BLI_TRY(find_range(job, n, t, symmetric, &r));
    BLI_TRY(bli_tg_add_const(out, code, BLI_DT_QUINT8, t->rank, t->dim, NULL, &codes, NULL));
    bli_bytes_of(t->data, t->count, r.min, r.max, codes);
    BLI_TRY(bli_tg_add_float(out, min, r.min));
    BLI_TRY(bli_tg_add_float(out, max, r.max));
    BLI_TRY(bli_tg_add_node(out, "Dequantize", n->name, (const char *[]){code, min, max, NULL}, &made));
    BLI_TRY(bli_tg_set_type(job->store, made, "T", BLI_DT_QUINT8));
    return bli_tf_node_set(job->store, made, "mode", bli_tf_value_string(job->store, "MIN_FIRST"));
}

/* ---- few bits -----------------------------------------------------------------------------------------------------
 */

static bl_status check_finite(const bli_tg_job *job, const bli_tf_node *n, const bli_tf_tensor *t)
{
    const float *v = t->data;
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(v[i]))
            return bli_fail(job->ctx, BL_BAD_VALUE, "node '%s' (Const): element %zu is %g; expected finite weights",
                            n->name, i, (double)v[i]);
    return BL_OK;
}

/* What a loop's constants depend on cannot be said of all the nodes that unpack, so those stay. */
static bl_status pack(bli_tg_unpacker *u, bli_tf_node *n, const bli_tf_tensor *t, bli_tg_channels channels)
{
    if (n->num_inputs > 0)
        return bli_tf_graph_add(u->out, n);
    if (channels.one)
        return bli_fail(
            u->job->ctx, BL_BAD_MODEL,
            "node '%s' (Const): a range for each channel is lost in '%s' (QuantizeV2), which gives all "
            "channels one; expected quantize_weights before quantize_nodes, or quantize_nodes(per_channel=true)",
            n->name, channels.one->name);
    BLI_TRY(check_finite(u->job, n, t));
    return bli_tg_unpack_weights(u, n, t, channels);
}

/* ---- the pass -----------------------------------------------------------------------------------------------------
 */

typedef struct settings {
    int64_t least, rank, bits;
    bool per_channel, symmetric;
    bli_tg_unpacker unpacker;
} settings;

/* The original passes over what it does not know. */
static bl_status read_settings(const bli_tg_job *job, settings *s)
{
    *s = (settings){.bits = 8};
    BLI_TRY(bli_tg_arg_int(job, "minimum_size", 1024, &s->least));
    if (job->compat && (bli_tg_arg_count(job, "bits") || bli_tg_arg_count(job, "per_channel") ||
                        bli_tg_arg_count(job, "minimum_rank") || bli_tg_arg_count(job, "symmetric")))
        bli_log(
            job->ctx, BL_LOG_WARNING,
            "quantize_weights: the original has no 'bits', 'per_channel', 'minimum_rank' and 'symmetric'; passed over");
    if (job->compat)
        return BL_OK;
    BLI_TRY(bli_tg_arg_int(job, "minimum_rank", 0, &s->rank));
    BLI_TRY(bli_tg_arg_int(job, "bits", 8, &s->bits));
    BLI_TRY(bli_tg_arg_bool(job, "per_channel", false, &s->per_channel));
    BLI_TRY(bli_tg_arg_bool(job, "symmetric", false, &s->symmetric));
    if (s->bits < BLI_TG_LEAST_BITS || s->bits > BLI_TG_MOST_BITS)
        return bli_fail(job->ctx, BL_BAD_VALUE, "parameter 'bits' is %lld; expected %d .. %d", (long long)s->bits,
                        BLI_TG_LEAST_BITS, BLI_TG_MOST_BITS);
    return BL_OK;
}

static bl_status visit(const bli_tg_job *job, settings *s, bli_tf_node *n, bli_tg_channels channels, bli_tf_graph *out)
{
    int dtype;
    bli_tf_tensor t;
    BLI_TRY(bli_tf_get_type(job->ctx, n, "dtype", &dtype));
    if (!bli_tf_node_attr(n, "value"))
        return bli_tg_const_view(job->store, n, 0, &t);
    if (dtype != BLI_DT_FLOAT)
        return bli_tf_graph_add(out, n);
    BLI_TRY(bli_tg_const_view(job->store, n, BLI_DT_FLOAT, &t));
    if ((int64_t)t.count < s->least || t.rank < s->rank || (!job->compat && t.count == 0))
        return bli_tf_graph_add(out, n);
    channels.symmetric = channels.symmetric || s->symmetric;
    if (s->bits < 8 || s->per_channel)
        return pack(&s->unpacker, n, &t, channels);
    return quantize_const(job, n, &t, s->symmetric, out);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    settings s;
    bli_tg_channels *channels = NULL;
    BLI_TRY(read_settings(job, &s));
    BLI_TRY(bli_tg_unpacker_init(&s.unpacker, job, in, (int)s.bits, out));
    if (s.per_channel)
        BLI_TRY(bli_tg_find_channels(in, &channels));
    for (size_t i = 0; i < in->num_nodes; i++) {
        if (bli_tg_op_is(in->nodes[i]->op, "Const"))
            BLI_TRY(visit(job, &s, in->nodes[i], channels ? channels[i] : (bli_tg_channels){0}, out));
        else
            BLI_TRY(bli_tf_graph_add(out, in->nodes[i]));
    }
    return BL_OK;
}

static const bli_tg_param params[] = {
    {"minimum_size", BLI_TG_INT, false, "elements of the smallest (1024)"},
    {"minimum_rank", BLI_TG_INT, false, "dimensions of the smallest: 2 leaves vectors, as biases are (0)"},
    {"bits", BLI_TG_INT, false, "of a code, 2 .. 8 (8)"},
    {"per_channel", BLI_TG_BOOL, false, "a range for each output channel, not one for all (false)"},
    {"symmetric", BLI_TG_BOOL, false, "as many codes below zero as above, as products of bytes take them (false)"},
    {0},
};

const bli_tg_pass bli_tg_quantize_weights = {.name = "quantize_weights",
                                             .help = "stores large float constants as bytes, for a quarter of the size",
                                             .params = params,
                                             .ops = "Const",
                                             .own = "bits|per_channel|minimum_rank|symmetric",
                                             .run = run};
