/* loss.h: losses over rows of outputs, with their gradients; one table entry each. */
#ifndef BLI_LOSS_H
#define BLI_LOSS_H

#include "bitlathe/train.h"
#include "train/kernels/kernels.h"

typedef struct bli_loss_call {
    const bli_train_kernels *kernels;
    size_t rows, width;    /* outputs per row */
    const float *y;        /* rows * width outputs (logits for cross_entropy) */
    const int32_t *labels; /* classes, or NULL */
    const float *targets;  /* regression: rows * width, or NULL */
    float *grad;           /* rows * width: d(sum of row losses) / dy, NULL when only the value is wanted */
    float *scratch;        /* 3 * rows * width + rows */
    double smoothing;
    const double *class_weights;
    int64_t *correct; /* filled by cross_entropy, as bli_count_correct has it, where not NULL */
} bli_loss_call;

typedef struct bli_loss {
    const char *name, *help;
    bool classes;                          /* takes class labels (else targets; labels become one-hot +-1 or 0/1) */
    bool logits;                           /* a Softmax at the end of the network belongs to the loss */
    double (*run)(const bli_loss_call *c); /* returns the sum of row losses */
} bli_loss;

const bli_loss *bli_loss_find(const char *name); /* NULL if unknown */
int bli_loss_count(void);
const bli_loss *bli_loss_at(int i);
BL_MUST_CHECK bl_status bli_loss_get(bl_context *ctx, const char *name, const bli_loss **out);

/* Rows whose greatest output (the first of equals) is their label. */
int64_t bli_count_correct(const float *y, const int32_t *labels, size_t rows, size_t width);
/* Adds temperature^2 * weight * KL(softmax(teacher/T) || softmax(y/T)) per row to the loss, and its gradient to
 * (1 - weight) * grad (Hinton et al., arXiv:1503.02531).  Returns the mixed sum of losses. */
double bli_distill(const bli_loss_call *c, const float *teacher, double temperature, double weight, double loss);

#endif
