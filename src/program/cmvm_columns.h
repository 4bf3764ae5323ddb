/* cmvm_columns.h: a problem brought into the form that the stages work on.
 *
 * Rows are scaled by the inputs' powers of two, inputs of one value go into the constants, and columns that are equal
 * up to a sign and a shift are one.
 */
#ifndef BLI_CMVM_COLUMNS_H
#define BLI_CMVM_COLUMNS_H

#include "program/cmvm.h"

/* Output j is ±(unique column of[j] << shift[j]) + constant[j]; of[j] < 0: a zero column. */
typedef struct bli_cmvm_columns {
    bl_context *ctx;
    int32_t inputs, outputs, unique;
    bli_adder_range *range; /* of x >> zeros */
    int64_t *matrix;        /* [input][output], scaled; rows of fixed inputs are zero */
    int64_t *constant;      /* [output] */
    int64_t *columns;       /* [unique][input] */
    int32_t *of, *shift;
    bool *negative;
    int64_t pairs; /* of digits, in all unique columns */
    int depth;     /* least possible without sharing */
} bli_cmvm_columns;

BL_MUST_CHECK bl_status bli_cmvm_columns_make(bl_context *ctx, const bli_cmvm_problem *p, bli_cmvm_columns *out);
void bli_cmvm_columns_free(bli_cmvm_columns *c);

int bli_cmvm_ceil_log2(int64_t x);

#endif
