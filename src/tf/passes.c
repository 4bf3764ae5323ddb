/* passes.c: the table of transforms. */
#include "tf/transform.h"

#define BLI_TG_LIST(X)                                                                                                 \
    X(add_default_attributes)                                                                                          \
    X(backport_concatv2)                                                                                               \
    X(backport_tensor_array_v3)                                                                                        \
    X(calibrate)                                                                                                       \
    X(check)                                                                                                           \
    X(correct_biases)                                                                                                  \
    X(fake_quantize_training)                                                                                          \
    X(flatten_atrous_conv)                                                                                             \
    X(equalize)                                                                                                        \
    X(fold_batch_norms)                                                                                                \
    X(fold_batch_norms_algebraic)                                                                                      \
    X(fold_constants)                                                                                                  \
    X(fold_moments)                                                                                                    \
    X(fold_old_batch_norms)                                                                                            \
    X(fold_subdivmul_batch_norms)                                                                                      \
    X(freeze_requantization_ranges)                                                                                    \
    X(fuse_pad_and_conv)                                                                                               \
    X(fuse_resize_and_conv)                                                                                            \
    X(fuse_resize_pad_and_conv)                                                                                        \
    X(inline_partitionedcall)                                                                                          \
    X(insert_logging)                                                                                                  \
    X(merge_duplicate_nodes)                                                                                           \
    X(obfuscate_names)                                                                                                 \
    X(quantize_nodes)                                                                                                  \
    X(quantize_weights)                                                                                                \
    X(remove_attribute)                                                                                                \
    X(remove_control_dependencies)                                                                                     \
    X(remove_device)                                                                                                   \
    X(remove_ema)                                                                                                      \
    X(remove_nodes)                                                                                                    \
    X(rename_attribute)                                                                                                \
    X(rename_node)                                                                                                     \
    X(rename_op)                                                                                                       \
    X(round_weights)                                                                                                   \
    X(set_device)                                                                                                      \
    X(sort_by_execution_order)                                                                                         \
    X(sparsify_gather)                                                                                                 \
    X(strip_unused_nodes)

#define BLI_TG_DECLARE(name) extern const bli_tg_pass bli_tg_##name;
BLI_TG_LIST(BLI_TG_DECLARE)
#undef BLI_TG_DECLARE

static const bli_tg_pass *const table[] = {
#define BLI_TG_ENTRY(name) &bli_tg_##name,
    BLI_TG_LIST(BLI_TG_ENTRY)
#undef BLI_TG_ENTRY
};

const bli_tg_pass *bli_tg_pass_at(size_t i)
{
    return i < BLI_COUNT(table) ? table[i] : NULL;
}
