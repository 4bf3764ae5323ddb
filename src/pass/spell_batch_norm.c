/* spell_batch_norm.c: a batch normalisation whose scale and offset have formats, in ONNX's own words.
 *
 * Its gamma and beta become scale and offset on their grids, mean 0, variance 1 and epsilon 0: the same function bit
 * for bit, and an ordinary node.  For evaluation only; the file that is written cannot be trained at those formats
 * again.
 */
#include <string.h>

#include "op/batchnorm.h"
#include "pass/pass.h"

enum { PARTS = 4 };

bool bli_keeps_own_formats(const bl_node *n)
{
    return bl_node_attr(n, "scale_format") || bl_node_attr(n, "offset_format");
}

static bl_status put_numbers(bl_graph *g, int node, const double *scale, const double *offset, int64_t count)
{
    static const char *const places[PARTS] = {"gamma", "beta", "mean", "variance"};
    bl_context *ctx = bl_graph_context(g);
    const bl_shape shape = {1, {count}};
    for (int k = 0; k < PARTS; k++) {
        bl_tensor t;
        int id;
        BLI_TRY(bl_tensor_create(ctx, BL_F32, &shape, &t));
        for (int64_t j = 0; j < count; j++)
            ((float *)t.data)[j] = k == 0 ? (float)scale[j] : k == 1 ? (float)offset[j] : k == 2 ? 0.0f : 1.0f;
        bl_status s = bl_graph_add_tensor(g, NULL, k < 2 ? BL_ROLE_PARAMETER : BL_ROLE_STATE, places[k], &t, &id);
        bl_tensor_free(ctx, &t);
        BLI_TRY(s);
        BLI_TRY(bli_graph_set_input(g, node, 1 + k, id));
    }
    const bl_attr epsilon = {.name = "epsilon", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = 0};
    return bli_graph_set_attrs(g, node, &epsilon, 1);
}

static bl_status spell(bl_graph *g, int node)
{
    bl_context *ctx = bl_graph_context(g);
    const bl_node *n = bl_graph_node(g, node);
    bl_tensor in[PARTS];
    for (int k = 0; k < PARTS; k++) {
        const bl_value *v = bl_graph_value(g, n->inputs[1 + k]);
        if (!v->data || v->type != BL_F32)
            return bli_fail(ctx, BL_UNSUPPORTED,
                            "node '%s': formats of a batch normalisation without float32 constants", n->name);
        in[k] = (bl_tensor){.type = v->type, .shape = v->shape, .data = v->data};
    }
    const int64_t count = bl_shape_count(&in[0].shape);
    double *scale = bli_alloc_array(ctx, 2 * (size_t)count + 1, sizeof *scale);
    if (!scale)
        return BL_NO_MEMORY;
    bl_status s = bli_batchnorm_affine(ctx, n, in, scale, scale + count);
    if (s == BL_OK)
        s = put_numbers(g, node, scale, scale + count, count);
    bli_free(ctx, scale);
    return s;
}

bl_status bli_pass_spell_batch_norm(bl_graph *g)
{
    const int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (n->type && strcmp(n->type, "BatchNormalization") == 0 && bli_keeps_own_formats(n))
            BLI_TRY(spell(g, i));
    }
    return bli_graph_clean(g);
}
