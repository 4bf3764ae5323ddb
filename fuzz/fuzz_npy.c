/* fuzz_npy.c: any bytes as an npy: what is accepted has a known shape and all its bytes. */
#include <string.h>

#include "support/fuzz.h"

static void check(const bl_tensor *t)
{
    int64_t count = bl_shape_count(&t->shape);
    fuzz_check(count >= 0, "a read shape is known");
    const uint8_t *bytes = t->data;
    uint8_t sum = 0;
    for (size_t i = 0; i < (size_t)count * bl_dtype_size(t->type); i++)
        sum ^= bytes[i]; /* touches all of it */
    fuzz_check(t->type != BL_BOOL || sum <= 1, "booleans are 0 or 1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_tensor t;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    if (bl_npy_read(ctx, fuzz_path(data, size), &t) == BL_OK)
        check(&t);
    else
        fuzz_check(t.data == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no tensor");
    bl_tensor_free(ctx, &t);
    bl_context_destroy(ctx);
    return 0;
}
