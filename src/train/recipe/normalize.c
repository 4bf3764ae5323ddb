/* normalize.c: bringing raw inputs to a common size, as nodes of the model: Sub, Mul, Add, those that do something. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "train/recipe/recipe.h"

/* A constant of one number, or of one per channel. */
static bl_status add_constant(bl_graph *g, const char *name, const double *v, int count, int *id)
{
    bl_context *ctx = bl_graph_context(g);
    float *f = bli_alloc_array(ctx, (size_t)count, sizeof *f);
    if (!f)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++)
        f[i] = (float)v[i];
    bl_tensor t = {.type = BL_F32, .shape = {count > 1 ? 1 : 0, {count}}, .data = f};
    bl_status s = bl_graph_add_tensor(g, name, BL_ROLE_CONSTANT, "", &t, id);
    bli_free(ctx, f);
    return s;
}

static bl_status apply(bl_graph *g, const char *type, const char *name, const double *v, int count, int *at)
{
    char node[64], constant[64];
    snprintf(node, sizeof node, "normalize/%s", name);
    snprintf(constant, sizeof constant, "normalize.%s", name);
    int in[2] = {*at, -1};
    BLI_TRY(add_constant(g, constant, v, count, &in[1]));
    bl_node spec = {
        .name = node, .type = type, .domain = BLI_DOMAIN_ONNX, .num_inputs = 2, .num_outputs = 1, .inputs = in};
    const char *output = node;
    return bl_graph_add_node(g, &spec, &output, at);
}

static bool all_equal(const bli_numbers *v, double what)
{
    for (int i = 0; i < v->count; i++)
        if (v->at[i] != what)
            return false;
    return true;
}

static const bli_yaml *where(const bl_recipe *r, const char *key)
{
    return bli_yaml_find(bli_yaml_find(bli_yaml_find(r->root, "data"), "normalize"), key);
}

/* A factor of 0 leaves nothing to learn from. */
static bl_status check_float32(const bl_recipe *r, const char *key, const bli_numbers *v, bool factor)
{
    for (int i = 0; i < v->count; i++)
        if (!isfinite((float)v->at[i]) || (factor && (float)v->at[i] == 0))
            return bli_yaml_fail(r->ctx, where(r, key), BL_BAD_VALUE,
                                 "data.normalize.%s: %g is not what is expected: a number of float32%s", key, v->at[i],
                                 factor ? " that is not 0" : "");
    return BL_OK;
}

static bl_status check_count(const bl_recipe *r, const char *key, const bli_numbers *v, int64_t channels)
{
    if (v->count <= 1 || v->count == channels)
        return BL_OK;
    return bli_yaml_fail(r->ctx, where(r, key), BL_BAD_MODEL,
                         "data.normalize.%s has %d numbers (expected 1 or %lld, one per channel)", key, v->count,
                         (long long)channels);
}

static bl_status scale_and_offset(const bl_recipe *r, bl_graph *g, int64_t channels, int *at)
{
    const bli_numbers *scale = &r->spec.normalize.scale, *offset = &r->spec.normalize.offset;
    BLI_TRY(check_count(r, "scale", scale, channels));
    BLI_TRY(check_count(r, "offset", offset, channels));
    BLI_TRY(check_float32(r, "scale", scale, true));
    BLI_TRY(check_float32(r, "offset", offset, false));
    if (scale->count && !all_equal(scale, 1))
        BLI_TRY(apply(g, "Mul", "scale", scale->at, scale->count, at));
    if (offset->count && !all_equal(offset, 0))
        BLI_TRY(apply(g, "Add", "offset", offset->at, offset->count, at));
    return BL_OK;
}

/* The channel's mean and deviation from those of its elements: Var = E[var] + Var[mean].  In place. */
static void pool_channels(double *mean, double *factor, int64_t count, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0, square = 0, n = (double)(count / channels);
        for (int64_t i = c; i < count; i += channels)
            sum += mean[i];
        for (int64_t i = c; i < count; i += channels)
            square += factor[i] * factor[i] + (mean[i] - sum / n) * (mean[i] - sum / n);
        mean[c] = sum / n;
        factor[c] = square > 0 ? 1 / sqrt(square / n) : 1; /* a constant channel stays as it is, moved to zero */
    }
}

static bl_status standardize(const bl_recipe *r, const bl_dataset *data, bl_graph *g, int64_t channels, int *at)
{
    int64_t count = bl_shape_count(bl_dataset_row_shape(data));
    double *mean = bli_alloc_array(r->ctx, (size_t)count * 2, sizeof *mean);
    if (!mean)
        return BL_NO_MEMORY;
    double *factor = mean + count;
    bl_status s = bl_dataset_statistics(data, NULL, 0, mean, factor);
    if (s == BL_OK) {
        pool_channels(mean, factor, count, channels);
        s = apply(g, "Sub", "mean", mean, (int)channels, at);
    }
    if (s == BL_OK)
        s = apply(g, "Mul", "factor", factor, (int)channels, at);
    bli_free(r->ctx, mean);
    return s;
}

bl_status bli_normalize_build(const bl_recipe *r, const bl_dataset *data, bl_graph *g, int *at)
{
    const bl_shape *shape = &bl_graph_value(g, *at)->shape;
    int64_t channels = shape->rank > 1 ? shape->dim[shape->rank - 1] : 1;
    if (r->spec.normalize.standardize)
        return standardize(r, data, g, channels, at);
    return scale_and_offset(r, g, channels, at);
}
