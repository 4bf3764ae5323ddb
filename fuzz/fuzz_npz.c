/* fuzz_npz.c: any bytes as an npz: what is accepted has names that are found again. */
#include <string.h>

#include "support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_npz *z;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    bl_status s = bl_npz_read(ctx, fuzz_path(data, size), &z);
    fuzz_check((s == BL_OK) == (z != NULL), "an archive exactly on success");
    fuzz_check(s == BL_OK || strlen(bl_context_message(ctx)) > 0, "a failure has a message");
    for (size_t i = 0; z != NULL && i < bl_npz_count(z); i++) {
        fuzz_check(bl_npz_find(z, bl_npz_name(z, i)) == bl_npz_tensor(z, i), "each member is found by its name");
        fuzz_check(bl_shape_count(&bl_npz_tensor(z, i)->shape) >= 0, "a read shape is known");
    }
    bl_npz_free(z);
    bl_context_destroy(ctx);
    return 0;
}
