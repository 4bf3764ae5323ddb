/* fuzz_idx.c: any bytes as an IDX file, plain or packed, features and labels at once; the first byte chooses how.
 * What is accepted can be read, every row.
 */
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

static void read_rows(const bl_dataset *d)
{
    int64_t elements = bl_shape_count(bl_dataset_row_shape(d)), rows = bl_dataset_rows(d);
    int targets = bl_dataset_targets(d), classes = bl_dataset_classes(d);
    fuzz_check(elements > 0 && rows > 0, "a set has rows and elements");
    fuzz_check(targets > 0 || classes > 0, "a set has classes or targets");
    float *x = malloc((size_t)elements * sizeof *x), *t = malloc((size_t)(targets + 1) * sizeof *t);
    for (int64_t i = 0; x && t && i < rows && i < 1000; i++) {
        uint32_t row = (uint32_t)i;
        int32_t label = 0;
        bl_status s = bl_dataset_read(d, &row, 1, x, classes ? &label : NULL, targets ? t : NULL);
        fuzz_check(s == BL_OK || s == BL_BAD_FILE, "reading a row succeeds or finds the file bad");
        fuzz_check(s != BL_OK || !classes || (label >= 0 && label < classes), "labels are classes");
    }
    free(x);
    free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bl_context *ctx;
    bl_dataset *d;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    const char *path = fuzz_path(data + 1, size - 1);
    bl_dataset_options o = {.source = path,
                            .target = path,
                            .regression = (data[0] & 1) != 0,
                            .memory = data[0] & 2 ? 16 : 1 << 20,
                            .classes = data[0] & 4 ? 3 : 0};
    if (bl_dataset_open(ctx, &o, &d) == BL_OK)
        read_rows(d);
    else
        fuzz_check(d == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no set");
    bl_dataset_close(d);
    bl_context_destroy(ctx);
    return 0;
}
