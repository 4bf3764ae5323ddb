/* small_verilog FOLDER NETWORK CLOCK STRATEGY PART SAMPLES: the Verilog project of a network of
 * tests/support/small_net.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bitlathe/emit.h"
#include "support/small_net.h"

int main(int argc, char **argv)
{
    bl_context *ctx;
    bli_program *p = NULL;
    if (argc != 7 || bl_context_create(NULL, &ctx) != BL_OK)
        return 2;
    bl_emit_options o = {
        .target = "verilog", .name = "net", .clock = atof(argv[3]), .strategy = argv[4], .part = argv[5]};
    o.samples = atoi(argv[6]);
    const small_net *n = strcmp(argv[2], "jet") == 0 ? &small_net_jet : &small_net_16_8_5;
    bl_status s = small_net_make(ctx, n, 7, &p);
    if (s == BL_OK)
        s = bl_emit(ctx, p, argv[1], &o);
    if (s != BL_OK)
        fprintf(stderr, "%s\n", bl_context_message(ctx));
    bl_program_destroy(p);
    bl_context_destroy(ctx);
    return bl_status_exit(s);
}
