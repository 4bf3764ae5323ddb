/* simulate.h: a bench of ours under Verilator or Icarus. */
#ifndef BLI_SIMULATE_H
#define BLI_SIMULATE_H

#include "base/base.h"

typedef struct bli_simulation {
    const char *folder;         /* where x.hex and y.hex are; the simulator runs here */
    const char *const *sources; /* relative to it; NULL at the end */
    const char *top;            /* NAME of NAME_tb */
    const char *products;       /* folder for what the simulator builds, relative to folder; made */
    bool icarus;                /* Icarus Verilog instead of Verilator */
    bool gates;                 /* the bench for a netlist read back from a bitstream */
    const char *argument;       /* of the simulation, "+SAMPLE=3", or NULL */
    bool wide;                  /* BITLATHE_WIDE */
    bool core_only;             /* no sample goes through the stream beside the core */
    double seconds;             /* limit */
    /* what came of it */
    int samples, streamed;
    char difference[1 << 14]; /* the first line "DIFF ..." or "FAIL ..." */
} bli_simulation;

/* BL_MISMATCH when the bench found a difference: its first line is in the message and in difference. */
BL_MUST_CHECK bl_status bli_simulate(bl_context *ctx, bli_simulation *sim);

/* The same for a bench without a verdict: all it says, freed with bli_free. */
BL_MUST_CHECK bl_status bli_simulate_said(bl_context *ctx, const bli_simulation *sim, char **said);

#endif
