/* ops.c: the table of operators.  An operator is one line here and one bli_op in its family's file.
 *
 * Found by (type, domain); the table is small enough to be searched in order.
 */
#include <string.h>

#include "op/op.h"

/* One list makes the declarations and the table: X(name) is bli_op_name. */
/* clang-format off */
#define OPS(X) \
    /* element by element, two inputs */ \
    X(add) X(sub) X(mul) X(div) X(prelu) \
    X(min) X(max) X(pow) \
    /* steps: what exact spellings of quantizers are made of */ \
    X(floor) X(ceil) X(round) X(sign) X(abs) \
    /* element by element, one input */ \
    X(relu) X(clip) X(leaky_relu) X(sigmoid) X(tanh) X(hard_sigmoid) X(hard_swish) X(elu) X(softplus) \
    /* moved or summed elements */ \
    X(transpose) X(concat) X(split) X(slice) X(pad) X(reduce_sum) X(reduce_mean) X(reduce_max) X(softmax) \
    X(dropout) \
    /* normalisation and pools; without _last: channels first */ \
    X(batchnorm_last) X(batchnorm) X(maxpool_last) X(averagepool_last) X(global_maxpool_last) \
    X(global_averagepool_last) X(maxpool) X(averagepool) X(global_maxpool) X(global_averagepool) \
    /* the same bytes under another shape */ \
    X(identity) X(flatten) X(reshape) X(squeeze) X(unsqueeze) \
    /* sums of products */ \
    X(matmul) X(gemm) X(conv) X(conv_last) X(conv_transpose) X(conv_transpose_last) \
    /* number formats */ \
    X(affine) X(codes) X(table) X(quantize) X(quant) X(int_quant) X(bipolar_quant) X(float_quant) X(trunc)
/* clang-format on */

#define OP_DECLARE(name) extern const bli_op bli_op_##name;
OPS(OP_DECLARE)
#undef OP_DECLARE

#define OP_LINE(name) &bli_op_##name,
static const bli_op *const table[] = {OPS(OP_LINE)};
#undef OP_LINE

int bli_op_count(void)
{
    return (int)BLI_COUNT(table);
}

const bli_op *bli_op_at(int i)
{
    return i >= 0 && i < bli_op_count() ? table[i] : NULL;
}

const bli_op *bli_op_find(const char *type, const char *domain)
{
    for (size_t i = 0; i < BLI_COUNT(table); i++) {
        const bli_schema *s = &table[i]->schema;
        if (strcmp(s->type, type) == 0 && strcmp(s->domain, domain) == 0)
            return table[i];
    }
    return NULL;
}

const bli_schema *bli_op_schema(const char *type, const char *domain)
{
    const bli_op *op = bli_op_find(type, domain);
    return op ? &op->schema : NULL;
}

int bl_op_count(void)
{
    return bli_op_count();
}

bool bl_op_at(int i, bl_op_info *out)
{
    const bli_op *op = bli_op_at(i);
    if (!op)
        return false;
    const bool view = (op->flags & BLI_OP_VIEW) != 0;
    *out = (bl_op_info){.type = op->schema.type,
                        .domain = op->schema.domain,
                        .help = op->schema.help,
                        .runs = view || op->forward,
                        .trains = view || op->backward};
    return true;
}
