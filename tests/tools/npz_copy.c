/* npz_copy.c: npz_copy IN.npz OUT.npz: reads one archive and writes it again, for tests against NumPy. */
#include <stdio.h>
#include <stdlib.h>

#include "bitlathe/tensor.h"

static bl_status copy(bl_context *ctx, const char *from, const char *to)
{
    bl_npz *z;
    bl_status s = bl_npz_read(ctx, from, &z);
    if (s != BL_OK)
        return s;
    size_t n = bl_npz_count(z);
    bl_npz_entry *entries = calloc(n + 1, sizeof *entries);
    for (size_t i = 0; entries != NULL && i < n; i++)
        entries[i] = (bl_npz_entry){bl_npz_name(z, i), *bl_npz_tensor(z, i)};
    s = entries != NULL ? bl_npz_write(ctx, to, entries, n) : BL_NO_MEMORY;
    free(entries);
    bl_npz_free(z);
    return s;
}

int main(int argc, char **argv)
{
    bl_context *ctx;
    if (argc != 3 || bl_context_create(NULL, &ctx) != BL_OK)
        return 2;
    bl_status s = copy(ctx, argv[1], argv[2]);
    if (s != BL_OK)
        printf("%s\n", bl_context_message(ctx));
    bl_context_destroy(ctx);
    return bl_status_exit(s);
}
