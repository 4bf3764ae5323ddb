/* synth_sim.c: the netlist of the bitstream under Verilator, on the vectors that emit put beside the bench. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emit/verilog/simulate.h"
#include "emit/verilog/synth.h"

enum { PATH_ROOM = 4096 };

bl_status bli_synth_simulate(bli_synth *s)
{
    char bench[128], netlist[128];
    snprintf(bench, sizeof bench, "%s_tb.v", s->name);
    snprintf(netlist, sizeof netlist, "../build/%s_back.v", s->name);
    const char *sources[] = {bench, netlist, NULL};
    char folder[PATH_ROOM];
    bli_simulation sim = {.folder = folder, .sources = sources, .top = s->name, .gates = true};
    snprintf(folder, sizeof folder, "%.3800s/tb", s->folder);
    sim.seconds = s->options.seconds;
    sim.products = "../build/gates";
    if (s->options.progress)
        s->options.progress(s->options.user, "simulate the bitstream", "");
    BLI_TRY(bli_simulate(s->ctx, &sim));
    s->report->read_back = sim.streamed;
    return BL_OK;
}
