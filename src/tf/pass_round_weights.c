/* pass_round_weights.c: weights brought to few values, so that the file packs well. */
#include <float.h>
#include <math.h>

#include "tf/transform.h"

enum { LEAST_ELEMENTS = 16 };

/* The original begins its maximum at the smallest positive float: of negative weights the buckets are wrong. */
static void find_range(const bli_tg_job *job, const float *v, size_t count, float *min, float *max)
{
    *min = FLT_MAX;
    *max = job->compat ? FLT_MIN : -FLT_MAX;
    for (size_t i = 0; i < count; i++) {
        *min = v[i] < *min ? v[i] : *min;
        *max = v[i] > *max ? v[i] : *max;
    }
    if (*min == *max) /* the original's way out; where defects are mended, such a tensor stays */
        *max = fabsf(*min) < 1e-6f ? *min + 1 : *min > 0 ? 2 * *min : *min / 2;
}

/* To int32 as x86 has it. */
static int32_t whole(float v)
{
    return v >= -0x1p31f && v < 0x1p31f ? (int32_t)v : INT32_MIN;
}

/* The middle of the bucket that v is in.  The original puts the maximum into a bucket behind the last. */
static float round_one(const bli_tg_job *job, float v, float min, float width, int64_t steps)
{
    int32_t bucket = whole(floorf((v - min) / width));
    if (!job->compat && bucket > steps - 1)
        bucket = (int32_t)(steps - 1);
    return min + width * ((float)bucket + 0.5f);
}

static bool is_flat(const float *v, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (v[i] != v[0])
            return false;
    return true;
}

static bool is_finite(const float *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

static bl_status round_const(const bli_tg_job *job, const bli_tf_node *n, int64_t steps, bli_tf_graph *out)
{
    bli_tf_tensor t;
    void *content;
    float min, max;
    BLI_TRY(bli_tg_const_view(job->store, n, BLI_DT_FLOAT, &t));
    if (t.count < LEAST_ELEMENTS)
        return bli_tf_graph_add(out, (bli_tf_node *)n);
    const float *v = t.data;
    bli_tf_node *copy = bli_tf_node_copy(job->store, n);
    find_range(job, v, t.count, &min, &max);
    if (!job->compat && (is_flat(v, t.count) || !is_finite(v, t.count) || !isfinite(max - min)))
        return bli_tf_graph_add(out, (bli_tf_node *)n);
    if (!copy)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_node_set(job->store, copy, "value",
                            bli_tf_value_tensor(job->store, t.dtype, t.rank, t.dim, NULL, &content)));
    float width = (max - min) / (float)steps, *to = content;
    for (size_t i = 0; i < t.count; i++)
        to[i] = round_one(job, v[i], min, width, steps);
    return bli_tf_graph_add(out, copy);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    int64_t steps;
    BLI_TRY(bli_tg_arg_int(job, "num_steps", 256, &steps));
    if (!job->compat && (steps < 1 || steps > 1 << 20))
        return bli_fail(job->ctx, BL_BAD_VALUE, "parameter 'num_steps' is %lld; expected 1 .. %d", (long long)steps,
                        1 << 20);
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = in->nodes[i];
        int dtype;
        if (!bli_tg_op_is(n->op, "Const")) {
            BLI_TRY(bli_tf_graph_add(out, n));
            continue;
        }
        BLI_TRY(bli_tf_get_type(job->ctx, n, "dtype", &dtype));
        if (dtype == BLI_DT_FLOAT)
            BLI_TRY(round_const(job, n, steps, out));
        else
            BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static const bli_tg_param params[] = {{"num_steps", BLI_TG_INT, false, "how many values a tensor may have (256)"}, {0}};

const bli_tg_pass bli_tg_round_weights = {.name = "round_weights",
                                          .help = "brings float constants to few values, so that the file packs well",
                                          .params = params,
                                          .ops = "Const",
                                          .run = run};
