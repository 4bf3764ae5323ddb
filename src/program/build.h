/* build.h: what building, verifying and parsing share. */
#ifndef BLI_PROGRAM_BUILD_H
#define BLI_PROGRAM_BUILD_H

#include "program/prim.h"

/* The span of every code of an input's format. */
BL_MUST_CHECK bl_status bli_input_span(bl_context *ctx, const bli_input *input, bli_span *out);
/* The power of two that a code of the input stands for; 0 where a real scale is left, or the code is a bit pattern. */
int bli_input_exp(const bli_input *input);
/* The rules of an output of that wire. */
BL_MUST_CHECK bl_status bli_output_check(bl_context *ctx, const bli_output *output, const bli_wire *wire);
/* exp within what a double can scale by. */
BL_MUST_CHECK bl_status bli_exp_check(bl_context *ctx, const char *name, int exp);

#endif
