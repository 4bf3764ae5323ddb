/* fuzz_csv.c: any bytes as a table; the first two choose the options.  The same table read in place, row by row, gives
 * the numbers that it gave in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

enum { ROWS = 200 };

static const char *const targets[] = {NULL, "0", "-1", "y", "1"};

static bl_dataset_options options(const uint8_t *data, const char *path)
{
    return (bl_dataset_options){.source = path,
                                .target = targets[data[0] % (sizeof targets / sizeof targets[0])],
                                .regression = (data[1] & 1) != 0,
                                .header = (data[1] & 2) != 0,
                                .separator = data[1] & 4 ? ';' : 0,
                                .classes = data[1] & 8 ? 2 : 0};
}

static void compare(const bl_dataset *whole, const bl_dataset *in_place)
{
    int64_t elements = bl_shape_count(bl_dataset_row_shape(whole)), rows = bl_dataset_rows(whole);
    int classes = bl_dataset_classes(whole);
    fuzz_check(elements > 0 && rows > 0 && bl_dataset_rows(in_place) == rows, "both ways find the same rows");
    size_t bytes = (size_t)elements * sizeof(float);
    float *a = malloc(bytes), *b = malloc(bytes), t[2] = {0};
    for (int64_t i = 0; a && b && i < rows && i < ROWS; i++) {
        uint32_t row = (uint32_t)i;
        int32_t y[2] = {0};
        bl_status s = bl_dataset_read(whole, &row, 1, a, classes ? y : NULL, classes ? NULL : t);
        fuzz_check(s == BL_OK, "a checked row can be read");
        s = bl_dataset_read(in_place, &row, 1, b, classes ? y + 1 : NULL, classes ? NULL : t + 1);
        fuzz_check(s == BL_OK, "a checked row can be parsed again");
        fuzz_check(memcmp(a, b, bytes) == 0 && y[0] == y[1] && memcmp(t, t + 1, sizeof *t) == 0,
                   "both ways read the same numbers");
    }
    free(a);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    bl_context *ctx;
    bl_dataset *whole, *in_place = NULL;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    bl_dataset_options o = options(data, fuzz_path(data + 2, size - 2));
    if (bl_dataset_open(ctx, &o, &whole) == BL_OK) {
        o.memory = 1;
        bl_status s = bl_dataset_open(ctx, &o, &in_place);
        fuzz_check(s == BL_OK || s == BL_LIMIT, "what fits into memory can be read in place, unless it is packed");
        if (s == BL_OK)
            compare(whole, in_place);
    } else {
        fuzz_check(whole == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no set");
    }
    bl_dataset_close(in_place);
    bl_dataset_close(whole);
    bl_context_destroy(ctx);
    return 0;
}
