/* op_call.h: one operator called by hand, without a graph or an engine. */
#ifndef TESTS_OP_CALL_H
#define TESTS_OP_CALL_H

#include "op/op.h"

/* A fresh tensor; dims end with -1 (so they are at most BL_MAX_RANK non-negative numbers). */
bl_tensor tensor_new(bl_context *ctx, bl_dtype type, const int64_t *dims);
#define DIMS(...) ((const int64_t[]){__VA_ARGS__, -1})
/* Whole numbers in [-bound, bound] (times step), or uniform reals in [-1, 1); the sequence goes on in *seed. */
void fill_codes(bl_tensor *t, uint64_t *seed, int64_t bound, double step);
void fill_reals(bl_tensor *t, uint64_t *seed);
uint64_t random_below(uint64_t *seed, uint64_t n);

double tensor_get(const bl_tensor *t, int64_t i);
void tensor_set(bl_tensor *t, int64_t i, double x);
/* Same type, shape and bits; prints the first difference. */
void assert_tensor_equal(const bl_tensor *a, const bl_tensor *b, const char *what);
/* Rows first .. first + rows - 1 of t, which keeps the data. */
bl_tensor tensor_rows(const bl_tensor *t, int64_t first, int64_t rows);

/* Allocates scratch and prep as the engine does and runs prepare; call_done frees them. */
void call_prepare(const bli_op *op, bli_call *c);
void call_done(bli_call *c);

#endif
