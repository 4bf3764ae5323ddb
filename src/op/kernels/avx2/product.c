/* product.c (avx2): the product kernels of product_template.h for this instruction set, in both carriers. */
#include "op/kernels/avx2/vec.h"

#define REAL      float
#define REAL_NAME f32
#define FINISHES  1
#include "op/kernels/product_template.h"

#undef REAL
#undef REAL_NAME
#undef FINISHES
#define REAL      double
#define REAL_NAME f64
#include "op/kernels/product_template.h"
