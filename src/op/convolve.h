/* convolve.h: convolutions of channels-last images as products, for Conv and ConvTranspose.
 *
 * A sweep computes one image from another: forward reads x and writes y, the data gradient reads dy and writes dx.  The
 * data gradient of stride s falls apart into s x s phases, each an ordinary stride-1 correlation that writes every s-th
 * pixel; forward is a sweep of one phase.  There are two ways through a sweep, and the cheaper one is taken:
 *   - along the rows of a picture; a source with borders is copied into scratch with real zeros around it first;
 *   - along the images of the slice, one pixel at a time, where taps that fall outside are left out.  Small pictures
 * are mostly border: the data gradient of a 3x3 convolution to 3x3 pixels would multiply zeros two times out of three.
 * Both add the same terms in the same order (zeros apart), so results do not depend on the choice.
 * ConvTranspose is the same plan with forward and data gradient exchanged.
 */
#ifndef BLI_CONVOLVE_H
#define BLI_CONVOLVE_H

#include "op/kernels/product.h"
#include "op/kernels/reference.h"
#include "op/op.h"

typedef struct bli_span_list {
    bli_stretch *spans;
    int count;
} bli_span_list;

typedef struct bli_phase {
    bli_span_list list;
    int64_t rows[2]; /* sink pixels: across, down */
    ptrdiff_t source_step[2], sink_at, sink_step[2];
} bli_phase;

typedef struct bli_sweep {
    int64_t size[2], padded[2], lead[2]; /* of the source: height, width */
    bool copy;                           /* the source needs a padded copy */
    int64_t channels, sink_channels, sink_size;
    int64_t depth, width; /* channels of the source and of the sink per group */
    bli_phase *phases;
    int num_phases;
    bli_span_list *pixels; /* of every sink pixel, taps outside of the picture left out; NULL for large pictures */
    int64_t clipped;       /* terms of all of them */
} bli_sweep;

typedef struct bli_convolve {
    bli_conv_shape shape;
    bool depthwise; /* one input and one output channel per group */
    int64_t taps;
    bli_sweep forward, data;
    bli_stretch *tap_spans; /* a: where tap t is in the padded x; b: t */
    ptrdiff_t *row_at;      /* where weight element (ch, tap) finds its input in the padded x */
} bli_convolve;

/* Made once of a checked shape; lives in the arena. */
BL_MUST_CHECK bl_status bli_convolve_create(bli_arena *arena, const bli_conv_shape *shape, const bli_convolve **out);

/* What a sweep runs on. */
typedef struct bli_convolve_call {
    const bli_convolve *plan;
    const bli_kernels *kernels;
    bl_dtype type;
    int64_t images;
    void *scratch;
} bli_convolve_call;

/* Bytes of packed weights of one sweep (0 forward, 1 data), and packing; w [units][channels / groups][kh][kw]. */
size_t bli_convolve_packed_bytes(const bli_convolve_call *c, bool data);
void bli_convolve_pack(const bli_convolve_call *c, bool data, const void *w, void *packed);
size_t bli_convolve_scratch_bytes(const bli_convolve_call *c);

/* Forward (x -> y) or data (y -> x) of all images; bias may be NULL. */
void bli_convolve_sweep(const bli_convolve_call *c, bool data, const void *source, const void *packed, const void *bias,
                        void *sink);
/* dw, overwritten, in the layout of w. */
void bli_convolve_weight(const bli_convolve_call *c, const void *x, const void *dy, void *dw);

#endif
