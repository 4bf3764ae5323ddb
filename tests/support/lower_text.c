/* lower_text.c: from a graph's text to a program, and nothing of it kept. */
#include "support/lower_text.h"

#include <string.h>

#include "support/test.h"

bl_status lower_text(bl_context *ctx, void *text)
{
    bl_graph *g;
    bl_program *p = NULL;
    BLI_TRY(bl_graph_parse(ctx, text, strlen(text), &g));
    const bl_status s = bl_lower(ctx, g, &p);
    bl_program_destroy(p);
    bl_graph_destroy(g);
    return s;
}
