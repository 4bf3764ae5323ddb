/* unpack.c: packed codes in a Const, and standard operators that make floats of them.
 *
 *     2, 4 bits   codes[groups, 1] >> shifts[codes of a byte] & mask
 *     3, 5 to 7   8 codes of `bits` bytes: Sum(Cast(codes[groups, bits]) << bytes) >> shifts & mask, in int64
 *     8 bits      codes in the weights' shape
 *
 * then Reshape (behind a Slice where the last group is not full), Sub(zeros), Cast, Mul(Cast(scales)).  What all
 * weights share is made once.  Names are short, since in a small network they would weigh as much as the codes.
 */
#include <stdlib.h>
#include <string.h>

#include "tf/weights.h"

enum { ROWS = 16 }; /* channels that are brought together at a time, so that a cache line is read once */

/* ---- names and shared constants --------------------------------------------------------------------------------
 */
static bool taken(const bli_tf_graph *g, const char *prefix)
{
    const size_t size = strlen(prefix);
    for (size_t i = 0; i < g->num_nodes; i++)
        if (strncmp(g->nodes[i]->name, prefix, size) == 0 && strchr("/", g->nodes[i]->name[size]))
            return true;
    return false;
}

bl_status bli_tg_unpacker_init(bli_tg_unpacker *u, const bli_tg_job *job, const bli_tf_graph *in, int bits,
                               bli_tf_graph *out)
{
    *u = (bli_tg_unpacker){.job = job, .out = out, .bits = bits, .prefix = "unpack"};
    for (size_t i = 1; u->prefix && taken(in, u->prefix); i++)
        u->prefix = bli_tf_text(job->store, "unpack_%zu", i);
    return u->prefix ? BL_OK : BL_NO_MEMORY;
}

static bl_status shared_name(const bli_tg_unpacker *u, const char *role, const char **name)
{
    *name = bli_tf_text(u->job->store, "%s/%s", u->prefix, role);
    return *name ? BL_OK : BL_NO_MEMORY;
}

/* The whole numbers 0, step, 2 * step, ..., once. */
static bl_status share_steps(bli_tg_unpacker *u, const char *role, int dtype, size_t count, int step, const char **name)
{
    const int64_t dim = (int64_t)count;
    void *to;
    if (*name)
        return BL_OK;
    BLI_TRY(shared_name(u, role, name));
    BLI_TRY(bli_tg_add_const(u->out, *name, dtype, 1, &dim, NULL, &to, NULL));
    for (size_t i = 0; i < count; i++)
        if (dtype == BLI_DT_INT8)
            ((int8_t *)to)[i] = (int8_t)((int)i * step);
        else
            ((int64_t *)to)[i] = (int64_t)i * step;
    return BL_OK;
}

static bl_status share_number(bli_tg_unpacker *u, const char *role, int dtype, int rank, int value, const char **name)
{
    static const int64_t one = 1;
    void *to;
    if (*name)
        return BL_OK;
    BLI_TRY(shared_name(u, role, name));
    BLI_TRY(bli_tg_add_const(u->out, *name, dtype, rank, &one, NULL, &to, NULL));
    if (dtype == BLI_DT_INT8)
        *(int8_t *)to = (int8_t)value;
    else if (dtype == BLI_DT_INT32)
        *(int32_t *)to = value;
    else
        *(int64_t *)to = value;
    return BL_OK;
}

/* ---- one weight ------------------------------------------------------------------------------------------------
 */
typedef struct site {
    bli_tg_unpacker *u;
    const bli_tf_node *node;
    const bli_tf_tensor *t;
    bli_tg_channels at;
    size_t outer, channels, inner; /* t as [outer][channels][inner] */
    const char *now;               /* the node that has the value so far */
} site;

static site site_of(bli_tg_unpacker *u, const bli_tf_node *n, const bli_tf_tensor *t, bli_tg_channels at)
{
    site s = {.u = u, .node = n, .t = t, .at = at, .outer = 1, .channels = 1, .inner = 1};
    for (int i = 0; i < t->rank; i++)
        *(i < at.first ? &s.outer : i < at.last ? &s.channels : &s.inner) *= (size_t)t->dim[i];
    return s;
}

static const char *own(const site *s, const char *role)
{
    return bli_tf_text(s->u->job->store, "%s/%zu/%s", s->u->prefix, s->u->count, role);
}

/* A node on what there is so far and perhaps one more input; T is its attribute of that type. */
static bl_status put(site *s, const char *op, const char *name, const char *other, int dtype, bli_tf_node **made)
{
    bli_tf_node *n;
    if (!name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(s->u->out, op, name, (const char *[]){s->now, other, NULL}, &n));
    s->now = name;
    if (made)
        *made = n;
    return bli_tg_set_type(s->u->job->store, n, "T", dtype);
}

static bl_status cast(site *s, const char *name, int from, int to)
{
    bli_tf_node *n;
    BLI_TRY(put(s, "Cast", name, NULL, from, &n));
    bli_tf_node_remove(n, "T");
    BLI_TRY(bli_tg_set_type(s->u->job->store, n, "SrcT", from));
    return bli_tg_set_type(s->u->job->store, n, "DstT", to);
}

static bl_status reshape(site *s, const char *role, const char *shape, int dtype)
{
    bli_tf_node *n;
    BLI_TRY(put(s, "Reshape", own(s, role), shape, dtype, &n));
    return bli_tg_set_type(s->u->job->store, n, "Tshape", BLI_DT_INT32);
}

static bl_status add_dims(const site *s, const char *name, const int64_t *dim, int rank)
{
    const int64_t count = rank;
    void *to;
    if (!name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_const(s->u->out, name, BLI_DT_INT32, 1, &count, NULL, &to, NULL));
    for (int i = 0; i < rank; i++)
        ((int32_t *)to)[i] = (int32_t)dim[i];
    return BL_OK;
}

/* Reshape to the weights' shape, behind what drops the codes that fill the last group. */
static bl_status shape_codes(site *s, size_t padded)
{
    bli_tg_unpacker *u = s->u;
    const char *shape = own(s, "shape"), *size = own(s, "size");
    const int64_t count = (int64_t)s->t->count;
    if (padded != s->t->count) {
        bli_tf_node *n;
        BLI_TRY(share_number(u, "flat", BLI_DT_INT32, 1, -1, &u->flat));
        BLI_TRY(share_number(u, "start", BLI_DT_INT32, 1, 0, &u->start));
        BLI_TRY(reshape(s, "flat", u->flat, BLI_DT_INT8));
        BLI_TRY(add_dims(s, size, &count, 1));
        BLI_TRY(put(s, "Slice", own(s, "slice"), u->start, BLI_DT_INT8, &n));
        BLI_TRY(bli_tf_node_add_input(u->job->store, n, size));
        BLI_TRY(bli_tg_set_type(u->job->store, n, "Index", BLI_DT_INT32));
    }
    BLI_TRY(add_dims(s, shape, s->t->dim, s->t->rank));
    return reshape(s, "reshape", shape, BLI_DT_INT8);
}

/* Bytes as whole words of int64, the first byte lowest. */
static bl_status join_bytes(site *s)
{
    bli_tg_unpacker *u = s->u;
    bli_tf_node *n;
    BLI_TRY(share_steps(u, "bytes", BLI_DT_INT64, (size_t)u->bits, 8, &u->bytes));
    BLI_TRY(share_number(u, "axis", BLI_DT_INT32, 1, 1, &u->axis));
    BLI_TRY(cast(s, own(s, "wide"), BLI_DT_UINT8, BLI_DT_INT64));
    BLI_TRY(put(s, "LeftShift", own(s, "place"), u->bytes, BLI_DT_INT64, NULL));
    BLI_TRY(put(s, "Sum", own(s, "word"), u->axis, BLI_DT_INT64, &n));
    BLI_TRY(bli_tg_set_type(u->job->store, n, "Tidx", BLI_DT_INT32));
    return bli_tf_node_set(u->job->store, n, "keep_dims", bli_tf_value_bool(u->job->store, true));
}

/* From packed bytes to int8 codes in the weights' shape. */
static bl_status split_bytes(site *s, size_t groups)
{
    bli_tg_unpacker *u = s->u;
    const bli_tg_packing p = bli_tg_packing_of(u->bits);
    const int dtype = p.bytes == 1 ? BLI_DT_INT8 : BLI_DT_INT64;
    if (p.bytes > 1)
        BLI_TRY(join_bytes(s));
    BLI_TRY(share_steps(u, "shifts", dtype, p.codes, u->bits, &u->shifts));
    BLI_TRY(share_number(u, "mask", dtype, 0, (1 << u->bits) - 1, &u->mask));
    BLI_TRY(put(s, "RightShift", own(s, "shift"), u->shifts, dtype, NULL));
    BLI_TRY(put(s, "BitwiseAnd", own(s, "and"), u->mask, dtype, NULL));
    if (dtype != BLI_DT_INT8)
        BLI_TRY(cast(s, own(s, "narrow"), dtype, BLI_DT_INT8));
    return shape_codes(s, groups * p.codes);
}

static bl_status add_codes(site *s, const uint8_t *codes)
{
    const int bits = s->u->bits;
    const bli_tg_packing p = bli_tg_packing_of(bits);
    const size_t groups = (s->t->count + p.codes - 1) / p.codes;
    const int64_t dim[2] = {(int64_t)groups, (int64_t)p.bytes};
    const bool whole = bits == 8;
    void *to;
    s->now = own(s, "codes");
    if (!s->now)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_const(s->u->out, s->now, 8 % bits == 0 && !whole ? BLI_DT_INT8 : BLI_DT_UINT8,
                             whole ? s->t->rank : 2, whole ? s->t->dim : dim, NULL, &to, NULL));
    bli_tg_pack(codes, s->t->count, bits, to);
    return whole ? cast(s, own(s, "wide"), BLI_DT_UINT8, BLI_DT_INT16) : split_bytes(s, groups);
}

/* A value for each channel, in a shape that spreads over the weights. */
static bl_status add_grids(const site *s, const char *name, int dtype, void **to)
{
    int64_t dim[BLI_TF_MAX_RANK];
    int rank = 0;
    if (!name)
        return BL_NO_MEMORY;
    for (int i = s->at.first; i < s->t->rank && s->at.last > s->at.first; i++)
        dim[rank++] = i < s->at.last ? s->t->dim[i] : 1;
    return bli_tg_add_const(s->u->out, name, dtype, rank, dim, NULL, to, NULL);
}

/* (code - zero) * scale */
static bl_status apply_grids(site *s, const bli_tg_grid *grids)
{
    const int small = s->u->bits == 8 ? BLI_DT_INT16 : BLI_DT_INT8;
    const char *zeros = own(s, "zeros"), *scales = own(s, "scales"), *wide = own(s, "steps"), *real = own(s, "real");
    void *to;
    BLI_TRY(add_grids(s, zeros, small, &to));
    for (size_t c = 0; c < s->channels; c++)
        if (small == BLI_DT_INT8)
            ((int8_t *)to)[c] = (int8_t)grids[c].zero;
        else
            ((int16_t *)to)[c] = grids[c].zero;
    BLI_TRY(add_grids(s, scales, BLI_DT_BFLOAT16, &to));
    for (size_t c = 0; c < s->channels; c++)
        ((uint16_t *)to)[c] = grids[c].scale;
    BLI_TRY(put(s, "Sub", own(s, "sub"), zeros, small, NULL));
    BLI_TRY(cast(s, real, small, BLI_DT_FLOAT));
    s->now = scales;
    BLI_TRY(cast(s, wide, BLI_DT_BFLOAT16, BLI_DT_FLOAT));
    s->now = real;
    return put(s, "Mul", s->node->name, wide, BLI_DT_FLOAT, NULL);
}

/* ---- choosing --------------------------------------------------------------------------------------------------
 */
typedef struct rows {
    float *values;
    uint8_t *codes;
    size_t length; /* of a row: a channel's weights */
} rows;

/* Channels c .. c + n - 1, each in a row, or back from codes. */
static void gather(const site *s, size_t c, size_t n, const rows *r)
{
    const float *from = s->t->data;
    for (size_t o = 0; o < s->outer; o++)
        for (size_t k = 0; k < n; k++)
            memcpy(&r->values[k * r->length + o * s->inner], &from[(o * s->channels + c + k) * s->inner],
                   s->inner * sizeof *from);
}

static void scatter(const site *s, size_t c, size_t n, const rows *r, uint8_t *codes)
{
    for (size_t o = 0; o < s->outer; o++)
        for (size_t k = 0; k < n; k++)
            memcpy(&codes[(o * s->channels + c + k) * s->inner], &r->codes[k * r->length + o * s->inner], s->inner);
}

static bl_status check_range(const site *s, size_t channel, const float *row, size_t count)
{
    float min = 0, max = 0;
    for (size_t i = 0; i < count; i++) {
        min = row[i] < min ? row[i] : min;
        max = row[i] > max ? row[i] : max;
    }
    if (bli_tg_grid_possible(min, max, s->u->bits, s->at.symmetric))
        return BL_OK;
    return bli_fail(s->u->job->ctx, BL_BAD_VALUE,
                    "node '%s' (Const): channel %zu has values from %g to %g; their range is no float", s->node->name,
                    channel, (double)min, (double)max);
}

static bl_status choose(const site *s, const rows *r, bli_tg_grid *grids, uint8_t *codes)
{
    for (size_t c = 0; c < s->channels; c += ROWS) {
        const size_t n = s->channels - c < ROWS ? s->channels - c : ROWS;
        gather(s, c, n, r);
        for (size_t k = 0; k < n; k++) {
            const float *row = &r->values[k * r->length];
            BLI_TRY(check_range(s, c + k, row, r->length));
            grids[c + k] = bli_tg_grid_fit(row, r->length, s->u->bits, s->at.symmetric, &r->codes[k * r->length]);
        }
        scatter(s, c, n, r, codes);
    }
    return BL_OK;
}

bl_status bli_tg_unpack_weights(bli_tg_unpacker *u, const bli_tf_node *n, const bli_tf_tensor *t,
                                bli_tg_channels channels)
{
    site s = site_of(u, n, t, channels);
    bl_context *ctx = u->job->ctx;
    const size_t together = s.channels < ROWS ? s.channels : ROWS;
    rows r = {.length = s.outer * s.inner};
    r.values = bli_alloc_array(ctx, together * r.length, sizeof *r.values);
    r.codes = bli_alloc_array(ctx, together * r.length, 1);
    bli_tg_grid *grids = bli_alloc_array(ctx, s.channels, sizeof *grids);
    uint8_t *codes = bli_alloc_array(ctx, t->count, 1);
    bl_status status = r.values && r.codes && grids && codes ? choose(&s, &r, grids, codes) : BL_NO_MEMORY;
    if (status == BL_OK)
        status = add_codes(&s, codes);
    if (status == BL_OK)
        status = apply_grids(&s, grids);
    u->count++;
    bli_free(ctx, r.values);
    bli_free(ctx, r.codes);
    bli_free(ctx, grids);
    bli_free(ctx, codes);
    return status;
}
