/* quantize_sum.c: BiasAdd, or a sum with a vector, behind a convolution or a matrix product: the vector joins the
 * product's sums of 32 bits, where it is exact to a step of the products, instead of bytes of both.
 *
 * Both nodes become one construction only where nobody else reads the product.
 */
#include <string.h>

#include "tf/quantize_op.h"

/* How many results each position of a product has; -1: not known. */
static int64_t units_of(const bli_tg_quantizer *q, const bli_tf_node *product)
{
    const bli_tf_value *turned = bli_tf_node_attr(product, "transpose_b");
    const bl_shape *w = bli_tg_data_inputs(product) == 2 ? bli_tg_shape_of(q, product->inputs[1]) : NULL;
    if (!w || w->rank < 2)
        return -1;
    if (product->op[0] == 'D')
        return w->dim[w->rank - 2] * w->dim[w->rank - 1];
    return w->dim[turned && turned->b ? 0 : w->rank - 1];
}

static bl_status products(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out, const char *wide[3],
                          bool *done)
{
    BLI_TRY(bli_tg_channel_products(q, n, out, wide, done));
    if (!*done)
        BLI_TRY(bli_tg_kernel_products(q, n, out, wide, done));
    return *done ? BL_OK : bli_tg_more_products(q, n, out, wide, done);
}

/* The product that is n's input k, if the other input is a vector for its units; NULL: it is not. */
static bl_status product_below(const bli_tg_quantizer *q, const bli_tf_node *n, int k, const bli_tf_node **out)
{
    const bli_tf_node *p = bli_tg_node_of(q, n->inputs[k]);
    const bl_shape *with = bli_tg_shape_of(q, n->inputs[1 - k]);
    bool yes = false;
    *out = NULL;
    if (!p || !bli_tg_op_is(p->op, "Conv2D|DepthwiseConv2dNative|MatMul") || bli_tg_only_reader(q, p) != n || !with ||
        bli_tg_is_control(n->inputs[k]) || with->rank != 1 || with->dim[0] != units_of(q, p))
        return BL_OK;
    BLI_TRY(products(q, p, NULL, NULL, &yes));
    *out = yes ? p : NULL;
    return BL_OK;
}

/* Whether n adds a vector to a product, *k its input. */
static bl_status find_product(const bli_tg_quantizer *q, const bli_tf_node *n, int *k, const bli_tf_node **out)
{
    bool floats = false;
    const bli_tf_value *format = bli_tf_node_attr(n, "data_format");
    *out = NULL;
    if (!bli_tg_op_is(n->op, "BiasAdd|Add|AddV2") || bli_tg_data_inputs(n) != 2 || bli_tg_is_ignored(q, n) ||
        (format && format->s.len == 4 && memcmp(format->s.data, "NCHW", 4) == 0))
        return BL_OK;
    BLI_TRY(bli_tg_all_float(q, n, 0, &floats));
    for (*k = 0; floats && !*out && *k < (n->op[0] == 'B' ? 1 : 2); ++*k)
        BLI_TRY(product_below(q, n, *k, out));
    --*k;
    return BL_OK;
}

/* n with the product first. */
static bl_status in_order(const bli_tg_quantizer *q, const bli_tf_node *n, int k, const bli_tf_node **out)
{
    bli_tf_node *copy = bli_tf_node_copy(q->job->store, n);
    if (!copy)
        return BL_NO_MEMORY;
    copy->inputs[0] = n->inputs[k];
    copy->inputs[1] = n->inputs[1 - k];
    *out = copy;
    return BL_OK;
}

/* A product by itself that nothing else stands for. */
static bl_status by_itself(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out, bool *done)
{
    const char *wide[3], *codes[3], *last;
    BLI_TRY(bli_tg_channel_products(q, n, out, wide, done));
    if (!*done)
        return BL_OK;
    last = bli_tf_text(out->store, "%s/eightbit", n->name);
    BLI_TRY(last ? bli_tg_narrow(q, &last, wide, out) : BL_NO_MEMORY);
    BLI_TRY(bli_tg_ports(out->store, last, codes));
    return bli_tg_end(n, codes, out);
}

/* A product that only an operator reads which is to stay float goes there from its 32 bits, not by way of bytes. */
static bl_status float_product(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out, bool *done)
{
    const bli_tf_node *reader = bli_tg_only_reader(q, n);
    const char *wide[3];
    bli_tf_node *made;
    if (!reader || !bli_tg_is_ignored(q, reader) || !bli_tg_op_is(n->op, "Conv2D|DepthwiseConv2dNative|MatMul"))
        return BL_OK;
    BLI_TRY(products(q, n, out, wide, done));
    if (!*done)
        return BL_OK;
    BLI_TRY(bli_tg_add_node(out, "Dequantize", n->name, (const char *[]){wide[0], wide[1], wide[2], NULL}, &made));
    return bli_tg_set_mode(q->job->store, made, BLI_DT_QINT32);
}

bl_status bli_tg_quantize_sum(const bli_tg_quantizer *q, const bli_tf_node *n, bli_tf_graph *out, bool *done)
{
    const bli_tf_node *product, *reader = bli_tg_only_reader(q, n);
    const char *wide[3];
    int k;
    *done = false;
    BLI_TRY(float_product(q, n, out, done));
    if (*done)
        return BL_OK;
    if (reader) {
        BLI_TRY(find_product(q, reader, &k, &product));
        *done = product == n;
    }
    if (*done)
        return BL_OK;
    BLI_TRY(find_product(q, n, &k, &product));
    if (!product)
        return by_itself(q, n, out, done);
    BLI_TRY(products(q, product, out, wide, done));
    BLI_TRY(in_order(q, n, k, &n));
    return bli_tg_add_offset(q, n, wide, out);
}
