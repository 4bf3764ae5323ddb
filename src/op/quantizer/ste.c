/* ste.c: the straight-through estimator (Bengio, arXiv:1308.3432) for every number format.
 *
 * Forward brings x into the format.  Backward hands dy on where the rounded value stayed in the format's range and
 * stops it elsewhere; for binary that is BinaryNet's |x| <= 1 (arXiv:1602.02830).  A learned scale s has the gradient
 * of s * clip(round(x / s)) with the rounding's derivative taken as one.
 */
#include "op/quantizer/families.h"

const bli_quantizer bli_quantizer_ste = {
    .name = "ste",
    .help = "rounds into the format; gradient passes where it does not clip",
    .source = "arXiv:1308.3432, arXiv:1602.02830",
    .needs_format = true,
    .forward = bli_grid_forward,
    .backward = bli_grid_backward,
    .range = bli_grid_range,
    .scratch = bli_grid_scratch,
    .scales = bli_grid_scales,
    .codes = bli_grid_codes,
    .init_scale = bli_grid_init_scale,
};
