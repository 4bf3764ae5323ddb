/* synth.h (internal): what the synthesis drivers share. */
#ifndef BLI_SYNTH_H
#define BLI_SYNTH_H

#include <jansson.h>

#include "base/base.h"
#include "bitlathe/synth.h"

typedef struct bli_synth {
    bl_context *ctx;
    bli_arena *arena;
    const char *folder;
    bl_synth_options options; /* complete */
    json_t *manifest;         /* bitlathe.json */
    const char *name;         /* of the project: an identifier */
    bl_synth_report *report;
} bli_synth;

/* manifest.c: reads and checks folder/bitlathe.json. */
BL_MUST_CHECK bl_status bli_manifest_read(bl_context *ctx, const char *folder, json_t **out);
const char *bli_manifest_name(const json_t *manifest);

/* Runs a tool in the project's folder.  argv[0] is its name; output (may be NULL) is freed with bli_free.  A tool that
 * fails is BL_BAD_VALUE with its last words. */
BL_MUST_CHECK bl_status bli_synth_tool(bli_synth *s, const char *package, const char *step, const char **argv,
                                       char **output);

/* synth_count.c: cells, by layer, and depth, from the netlist that Yosys wrote. */
BL_MUST_CHECK bl_status bli_synth_count(bli_synth *s, const char *path, const char *top);
/* synth_ice40.c; synth_sim.c: the netlist read back, on the project's vectors. */
BL_MUST_CHECK bl_status bli_synth_simulate(bli_synth *s);
BL_MUST_CHECK bl_status bli_synth_place(bli_synth *s);

#endif
