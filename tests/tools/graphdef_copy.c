/* graphdef_copy.c: reads a TensorFlow graph in any form and writes it: graphdef_copy binary|text IN OUT. */
#include <stdio.h>
#include <string.h>

#include "bitlathe/bitlathe.h"

static bl_status copy(bl_context *ctx, bool text, const char *in, const char *out)
{
    bl_graphdef *g;
    bl_status s = bl_graphdef_read(ctx, in, &g);
    if (s == BL_OK)
        s = text ? bl_graphdef_write_text(g, out) : bl_graphdef_write(g, out);
    bl_graphdef_destroy(g);
    return s;
}

int main(int argc, char **argv)
{
    bl_context *ctx;
    if (argc != 4 || (strcmp(argv[1], "text") != 0 && strcmp(argv[1], "binary") != 0)) {
        fprintf(stderr, "usage: graphdef_copy binary|text IN OUT\n");
        return 2;
    }
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    bl_status s = copy(ctx, argv[1][0] == 't', argv[2], argv[3]);
    if (s != BL_OK)
        fprintf(stderr, "%s\n", bl_context_message(ctx));
    bl_context_destroy(ctx);
    return bl_status_exit(s);
}
