/* synth.h: an emitted Verilog project through open synthesis: Yosys for xcup, xc7, ice40, ecp5; for ice40 on to place
 * and route, a bitstream, and the netlist read back out of it.
 *
 * The figures are those of the tool that is named with them, not of a vendor's.  The project's folder "build" takes
 * what the tools write.
 */
#ifndef BITLATHE_SYNTH_H
#define BITLATHE_SYNTH_H

#include "bitlathe/base.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Called when a step begins ("yosys", "place and route", ...) and, with what it says, while it runs. */
typedef void (*bl_synth_progress_fn)(void *user, const char *step, const char *line);

/* Zero and NULL stand for defaults. */
typedef struct bl_synth_options {
    const char *family; /* "xcup" (default), "xc7", "ice40", "ecp5" */
    double seconds;     /* limit of each tool; default 900 */
    bool place;         /* ice40: place, route, bitstream, and its netlist simulated on the project's vectors */
    int seeds;          /* of the placer, the best is kept; default 1 */
    bl_synth_progress_fn progress;
    void *user;
} bl_synth_options;

typedef struct bl_synth_cells {
    int64_t lut;    /* LUT1 .. LUT6, LUT4; LUT6_2 too */
    int64_t lut6_2; /* of these, those of two outputs */
    int64_t inv;    /* inverters: most are absorbed elsewhere */
    int64_t carry;  /* CARRY4; SB_CARRY, CCU2C: one, two bits */
    int64_t ff, dsp, ram;
    int64_t other; /* buffers, wide multiplexers */
} bl_synth_cells;

typedef struct bl_synth_layer {
    const char *name;
    bl_synth_cells cells;
} bl_synth_layer;

typedef struct bl_synth_report {
    const char *tool; /* "Yosys 0.23 ..." */
    const char *family, *top;
    bl_synth_cells total;
    int depth; /* cells one behind the other between registers */
    int num_layers;
    bl_synth_layer *layers; /* in the program's order; sum to total */
    double seconds;
    /* after place and route */
    bool placed;
    const char *placer;        /* "nextpnr-ice40 ..." */
    const char *device;        /* "hx8k-ct256" */
    const char *bitstream;     /* path */
    int64_t logic_cells, room; /* used, of */
    double mhz;                /* the placer's own estimate, the best seed's */
    int num_seeds;             /* 1, 2 ...: their estimates */
    double *seed_mhz;
    double mhz_timing; /* icetime's */
    int read_back;     /* samples through the bitstream's netlist, all equal */
} bl_synth_report;

/* folder: what emit wrote with target verilog.  A missing tool is BL_NOT_FOUND and names its package; a design that
 * does not fit is BL_LIMIT; a difference is BL_MISMATCH.  Free with bl_synth_report_free (NULL is fine). */
BL_MUST_CHECK bl_status bl_synth(bl_context *ctx, const char *folder, const bl_synth_options *options,
                                 bl_synth_report **out);
void bl_synth_report_free(bl_synth_report *r);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
