/* eight_op.h: what the eight-bit operators share. */
#ifndef BLI_TF_EIGHT_OP_H
#define BLI_TF_EIGHT_OP_H

#include "tf/eight.h"
#include "tf/window.h"

/* NULL: not a type of codes. */
const bli_codes *bli_tf_codes(int dtype);
BL_MUST_CHECK bl_status bli_tf_need_codes(const bli_tf_call *c, int input);
/* The numbers of inputs low and high, once known. */
BL_MUST_CHECK bl_status bli_tf_range_in(const bli_tf_call *c, int low, int high, float range[2]);
/* Outputs `first` and the next are floats, scalars. */
void bli_tf_range_infer(bli_tf_call *c, int first);
void bli_tf_range_out(bli_tf_call *c, int first, const float range[2]);
/* The shape of a sum or product of inputs 0 and 1, as far as it is known. */
bl_shape bli_tf_eight_result(const bli_tf_call *c);
/* How QuantizeV2 or Dequantize does it, by the node's attributes, for codes of that type. */
BL_MUST_CHECK bl_status bli_tf_eight_how(const bli_tf_call *c, int dtype, bli_eight_how *how);
/* Stretching as the eight-bit kernels know it: same shape, one value, or a vector against the last dimensions. */
BL_MUST_CHECK bl_status bli_tf_eight_spread(const bli_tf_call *c);

/* ---- sums of products of bytes --------------------------------------------------------------------------------- */
/* y[pixel][unit] = sum over the window and channels of (x - zero_x)(w - zero_w), modulo 2^32; outside of the picture x
 * is zero_x.  A matrix is a picture of one column with a kernel of one pixel. */
typedef struct bli_eight_conv {
    bli_tf_window w;
    int64_t units;
    int32_t zero_x, zero_w;
} bli_eight_conv;
/* w [kernel height][width][channel][unit].  Constant filters are kept at the node's site in the kernels' form.  ours: x
 * may be read BLI_ALIGN bytes beyond its end. */
BL_MUST_CHECK bl_status bli_eight_conv_run(bli_tf_call *c, const bli_eight_conv *v, const uint8_t *x, bool ours,
                                           const uint8_t *w, bool constant, int32_t *y);
/* The operators' nodes: geometry and zero points, known once all inputs are; also the range of the sums. */
BL_MUST_CHECK bl_status bli_eight_conv_read(const bli_tf_call *c, bli_eight_conv *v, float range[2]);
/* Not for transposed inputs. */
BL_MUST_CHECK bl_status bli_eight_matmul_read(const bli_tf_call *c, bli_eight_conv *v, float range[2], bool *turned);

/* Attribute `axis`: *count slices (-1: not known yet), a range of inputs 1 and 2 for each. */
BL_MUST_CHECK bl_status bli_tf_check_slices(const bli_tf_call *c, const bli_eight_how *how, int64_t axis,
                                            int64_t *count);
BL_MUST_CHECK bl_status bli_tf_quantize_slices(bli_tf_call *c, const bli_eight_how *how, int64_t axis);
BL_MUST_CHECK bl_status bli_tf_dequantize_slices(bli_tf_call *c, const bli_eight_how *how, int64_t axis);

#endif
