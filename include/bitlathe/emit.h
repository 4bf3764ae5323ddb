/* emit.h: an exact program as source code: C for a processor, HLS C++ or Verilog for an FPGA.
 *
 * The project is a folder that appears as a whole: on failure nothing is there that was not there before.  The same
 * program and options give the same bytes.
 */
#ifndef BITLATHE_EMIT_H
#define BITLATHE_EMIT_H

#include "bitlathe/program.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Zero and NULL stand for defaults.  An option that a target does not know must be left at its default. */
typedef struct bl_emit_options {
    const char *target;   /* "c" (default), "hls", "verilog" */
    const char *name;     /* of functions and files; default: the program's name */
    const char *strategy; /* hls, verilog: "latency" (default), "resource", "da" (adder graphs); verilog: "da3"
                           * (with adders of three inputs) */
    int reuse;            /* resource: multiplications that share a multiplier; the nearest valid one is taken */
    double clock;         /* period in ns; default 5 */
    const char *io;       /* hls, verilog: "parallel" (default), "stream" */
    const char *part;     /* default xcvu13p-flga2577-2-e */
    int samples;          /* test vectors; default 64 */
    uint64_t seed;        /* of the random ones; default 0 */
    bool pack;            /* c: constants of 1 to 7 bits in as many: less flash, more time */
} bl_emit_options;

/* What a model can be emitted as, by index. */
typedef struct bl_emit_target {
    const char *name, *help;
} bl_emit_target;
int bl_emit_target_count(void);
bool bl_emit_target_at(int i, bl_emit_target *out); /* false: no such index */

/* Writes the project into folder, which must be new, empty, or an earlier project of emit (then it is replaced); its
 * parent must be there.  options NULL: all defaults.  What was chosen for the caller (a reuse factor that is valid) is
 * logged. */
BL_MUST_CHECK bl_status bl_emit(bl_context *ctx, const bl_program *program, const char *folder,
                                const bl_emit_options *options);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
