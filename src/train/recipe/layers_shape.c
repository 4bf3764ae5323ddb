/* layers_shape.c: normalisation, global pools, layers that move or join values. */
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "train/recipe/layers.h"

/* Over the last axis, as Keras' default. */
bl_status bli_build_batch_norm(bli_build *b)
{
    int64_t channels = b->shape->dim[b->shape->rank - 1];
    static const struct {
        const char *name, *initializer;
        bl_role role;
    } parts[] = {{"gamma", "ones", BL_ROLE_PARAMETER},
                 {"beta", "zeros", BL_ROLE_PARAMETER},
                 {"mean", "zeros", BL_ROLE_STATE},
                 {"variance", "ones", BL_ROLE_STATE}};
    int in[5] = {b->in[0], -1, -1, -1, -1};
    for (int i = 0; i < 4; i++) {
        bool fixed = (i == 0 && !b->o->scaling) || (i == 1 && !b->o->center);
        bli_fill fill = {parts[i].name,
                         parts[i].name,
                         parts[i].initializer,
                         fixed ? BL_ROLE_CONSTANT : parts[i].role,
                         {1, {channels}},
                         0,
                         0};
        BLI_TRY(bli_build_parameter(b, &fill, &in[1 + i]));
    }
    bl_attr attrs[] = {bli_attr_float("epsilon", b->o->epsilon), bli_attr_float("momentum", b->o->momentum)};
    return bli_build_node(b, "", "BatchNormalization", BLI_DOMAIN_LAST, in, 5, attrs, 2);
}

/* [N, ..., C] to [N, 1, .., C], then, unless keepdims, to [N, C]: the flattened one is the main value. */
static bl_status global_pool(bli_build *b, const char *type)
{
    if (b->o->keepdims)
        return bli_build_node(b, "", type, BLI_DOMAIN_LAST, b->in, 1, NULL, 0);
    BLI_TRY(bli_build_node(b, "/pool", type, BLI_DOMAIN_LAST, b->in, 1, NULL, 0));
    bl_attr axis = bli_attr_int("axis", 1);
    return bli_build_node(b, "", "Flatten", BLI_DOMAIN_ONNX, &b->out, 1, &axis, 1);
}

bl_status bli_build_global_max(bli_build *b)
{
    return global_pool(b, "GlobalMaxPool");
}

bl_status bli_build_global_average(bli_build *b)
{
    return global_pool(b, "GlobalAveragePool");
}

/* Keras' three spellings of amounts per side: n, [rows, columns], [top, bottom, left, right]. */
static bl_status sides(const bli_build *b, const char *what, int64_t begin[2], int64_t end[2])
{
    int spatial = b->use->layer->spatial;
    const bli_ints *v = &b->o->amount;
    if (v->count != 1 && v->count != spatial && v->count != 2 * spatial)
        return bli_build_fail(b, BL_BAD_MODEL, "%s has %d numbers (expected 1, %d or %d)", what, v->count, spatial,
                              2 * spatial);
    bool both = v->count == 2 * spatial && v->count > 1;
    for (int i = 0; i < spatial; i++) {
        begin[i] = v->at[both ? 2 * i : v->count == 1 ? 0 : i];
        end[i] = v->at[both ? 2 * i + 1 : v->count == 1 ? 0 : i];
    }
    return BL_OK;
}

bl_status bli_build_zero_padding(bli_build *b)
{
    int64_t begin[2] = {0}, end[2] = {0}, pads[2 * BL_MAX_RANK] = {0};
    int rank = b->shape->rank;
    BLI_TRY(sides(b, "padding", begin, end));
    for (int i = 0; i < b->use->layer->spatial; i++) {
        pads[1 + i] = begin[i];
        pads[rank + 1 + i] = end[i];
    }
    int in[2] = {b->in[0], -1};
    BLI_TRY(bli_build_ints(b, "pads", pads, 2 * rank, &in[1]));
    return bli_build_node(b, "", "Pad", BLI_DOMAIN_ONNX, in, 2, NULL, 0);
}

bl_status bli_build_cropping(bli_build *b)
{
    int spatial = b->use->layer->spatial;
    int64_t begin[2] = {0}, end[2] = {0}, axes[2] = {1, 2};
    BLI_TRY(sides(b, "cropping", begin, end));
    for (int i = 0; i < spatial; i++) {
        int64_t size = b->shape->dim[1 + i];
        if (begin[i] + end[i] >= size)
            return bli_build_fail(b, BL_BAD_MODEL,
                                  "cropping %lld + %lld leaves nothing of dimension %d, which has %lld",
                                  (long long)begin[i], (long long)end[i], i + 1, (long long)size);
        end[i] = size - end[i];
    }
    int in[4] = {b->in[0], -1, -1, -1};
    BLI_TRY(bli_build_ints(b, "starts", begin, spatial, &in[1]));
    BLI_TRY(bli_build_ints(b, "ends", end, spatial, &in[2]));
    BLI_TRY(bli_build_ints(b, "axes", axes, spatial, &in[3]));
    return bli_build_node(b, "", "Slice", BLI_DOMAIN_ONNX, in, 4, NULL, 0);
}

bl_status bli_build_flatten(bli_build *b)
{
    bl_attr axis = bli_attr_int("axis", 1);
    return bli_build_node(b, "", "Flatten", BLI_DOMAIN_ONNX, b->in, 1, &axis, 1);
}

/* The elements of one row, for messages and the -1 of Reshape. */
static int64_t row_count(const bl_shape *s)
{
    bl_shape row = *s;
    row.dim[0] = 1;
    return bl_shape_count(&row);
}

bl_status bli_build_reshape(bli_build *b)
{
    const bli_ints *target = &b->o->shape;
    int64_t have = row_count(b->shape), known = 1, dims[BL_MAX_RANK + 1] = {0};
    int open = -1;
    for (int i = 0; i < target->count; i++) {
        dims[1 + i] = target->at[i];
        if (target->at[i] == -1 && open < 0)
            open = 1 + i;
        else if (target->at[i] < 1 || __builtin_mul_overflow(known, target->at[i], &known))
            return bli_build_fail(b, BL_BAD_MODEL,
                                  "target_shape: value %lld at index %d (expected sizes, one may be -1)",
                                  (long long)target->at[i], i);
    }
    if (target->count + 1 > BL_MAX_RANK || (open < 0 ? known != have : have % known != 0))
        return bli_build_fail(b, BL_BAD_MODEL, "target_shape has %lld elements, its input %lld", (long long)known,
                              (long long)have);
    if (open >= 0)
        dims[open] = have / known;
    dims[0] = -1; /* the batch */
    int in[2] = {b->in[0], -1};
    BLI_TRY(bli_build_ints(b, "shape", dims, target->count + 1, &in[1]));
    return bli_build_node(b, "", "Reshape", BLI_DOMAIN_ONNX, in, 2, NULL, 0);
}

/* dims count from 1, without the batch, as in Keras. */
bl_status bli_build_permute(bli_build *b)
{
    int64_t perm[BL_MAX_RANK] = {0};
    unsigned seen = 1;
    const bli_ints *dims = &b->o->dims;
    for (int i = 0; i < dims->count && dims->count + 1 == b->shape->rank; i++) {
        perm[1 + i] = dims->at[i];
        seen |= dims->at[i] > 0 && dims->at[i] < b->shape->rank ? 1u << dims->at[i] : 0;
    }
    if (seen != (1u << b->shape->rank) - 1)
        return bli_build_fail(b, BL_BAD_MODEL, "dims must name each of 1 .. %d once", b->shape->rank - 1);
    bl_attr attr = bli_attr_ints("perm", perm, b->shape->rank);
    return bli_build_node(b, "", "Transpose", BLI_DOMAIN_ONNX, b->in, 1, &attr, 1);
}

/* Inputs must agree in every dimension but `except` (-1: in all). */
static bl_status check_same(const bli_build *b, int except)
{
    for (int i = 1; i < b->num_in; i++) {
        const bl_value *v = bl_graph_value(b->g, b->in[i]);
        bool same = v->shape.rank == b->shape->rank;
        for (int d = 1; same && d < v->shape.rank; d++)
            same = d == except || v->shape.dim[d] == b->shape->dim[d];
        char first[128], other[128];
        if (same)
            continue;
        bl_shape_print(b->shape, first, sizeof first);
        bl_shape_print(&v->shape, other, sizeof other);
        return bli_build_fail(b, BL_BAD_MODEL, "inputs '%s' and '%s' have shapes %s and %s, which do not go together",
                              bl_graph_value(b->g, b->in[0])->name, v->name, first, other);
    }
    return BL_OK;
}

bl_status bli_build_concatenate(bli_build *b)
{
    int rank = b->shape->rank, axis = b->o->axis < 0 ? b->o->axis + rank : b->o->axis;
    if (axis < 1 || axis >= rank)
        return bli_build_fail(b, BL_BAD_MODEL, "axis %d of a rank %d input (expected 1 .. %d, or negative)", b->o->axis,
                              rank, rank - 1);
    BLI_TRY(check_same(b, axis));
    bl_attr attr = bli_attr_int("axis", axis);
    return bli_build_node(b, "", "Concat", BLI_DOMAIN_ONNX, b->in, b->num_in, &attr, 1);
}

/* (a + b) + c ...: the last one is the main node. */
static bl_status fold(bli_build *b, const char *type)
{
    BLI_TRY(check_same(b, -1));
    int sum = b->in[0];
    for (int i = 1; i < b->num_in; i++) {
        char suffix[16] = "";
        if (i + 1 < b->num_in)
            snprintf(suffix, sizeof suffix, "/%d", i);
        BLI_TRY(bli_build_node(b, suffix, type, BLI_DOMAIN_ONNX, (int[]){sum, b->in[i]}, 2, NULL, 0));
        sum = b->out;
    }
    return BL_OK;
}

bl_status bli_build_add(bli_build *b)
{
    return fold(b, "Add");
}

bl_status bli_build_subtract(bli_build *b)
{
    return fold(b, "Sub");
}

bl_status bli_build_multiply(bli_build *b)
{
    return fold(b, "Mul");
}
