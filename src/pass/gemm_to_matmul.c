/* gemm_to_matmul.c: Gemm (Y = alpha A B + beta C) as MatMul and Add.
 *
 * B that is stored as [out, in] is transposed once, here.  Other alpha and beta than 1, a transposed A, and a B that is
 * computed or read by others as well stay Gemm.
 */
#include <string.h>

#include "pass/pass.h"

static bool convertible(const bl_graph *g, const bl_node *n)
{
    if (!n->type || strcmp(n->type, "Gemm") != 0 || n->domain[0])
        return false;
    const bl_value *b = bl_graph_value(g, n->inputs[1]);
    bool turned = bl_node_int(n, "transB", 0) != 0;
    return bl_node_float(n, "alpha", 1) == 1 && bl_node_float(n, "beta", 1) == 1 && bl_node_int(n, "transA", 0) == 0 &&
           (!turned ||
            (b->data && b->type == BL_F32 && b->shape.rank == 2 && bli_graph_num_uses(g, n->inputs[1]) == 1));
}

static bl_status turn(bl_graph *g, int value)
{
    const bl_value *v = bl_graph_value(g, value);
    int64_t rows = v->shape.dim[0], columns = v->shape.dim[1];
    bl_tensor t;
    bl_shape turned = {2, {columns, rows}};
    BLI_TRY(bl_tensor_create(bl_graph_context(g), BL_F32, &turned, &t));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            ((float *)t.data)[c * rows + r] = ((const float *)v->data)[r * columns + c];
    bl_status s = bli_graph_set_tensor(g, value, &t);
    bl_tensor_free(bl_graph_context(g), &t);
    return s;
}

static bl_status convert(bl_graph *g, int node)
{
    const bl_node *n = bl_graph_node(g, node);
    const char *name = n->name;
    int a = n->inputs[0], b = n->inputs[1], c = n->num_inputs > 2 ? n->inputs[2] : -1, y = n->outputs[0], product, sum;
    if (bl_node_int(n, "transB", 0))
        BLI_TRY(turn(g, b));
    int operands[2] = {a, b};
    bl_node product_node = {.type = "MatMul", .num_inputs = 2, .num_outputs = 1, .inputs = operands};
    BLI_TRY(bl_graph_add_node(g, &product_node, NULL, &product));
    bli_graph_place_like(g, bl_graph_value(g, product)->producer, node);
    sum = product;
    if (c >= 0) {
        int terms[2] = {product, c};
        bl_node sum_node = {.type = "Add", .num_inputs = 2, .num_outputs = 1, .inputs = terms};
        BLI_TRY(bl_graph_add_node(g, &sum_node, NULL, &sum));
        bli_graph_place_like(g, bl_graph_value(g, sum)->producer, node);
    }
    const char *value_name = bl_graph_value(g, y)->name;
    bli_graph_replace_uses(g, y, sum);
    bli_graph_remove_node(g, node);
    BLI_TRY(bli_graph_rename_value(g, sum, value_name));
    return bli_graph_rename_node(g, bl_graph_value(g, product)->producer, name);
}

bl_status bli_pass_gemm_to_matmul(bl_graph *g)
{
    BLI_TRY(bl_graph_infer(g));
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++)
        if (!bli_graph_node_dead(g, i) && convertible(g, bl_graph_node(g, i)))
            BLI_TRY(convert(g, i));
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}
