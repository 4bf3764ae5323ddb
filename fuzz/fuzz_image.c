/* fuzz_image.c: any bytes as the one image of a folder.  Sums of PNG chunks are put right first, or hardly an input
 * would get past them.  An image that is decoded when the set is opened and one decoded later are the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/fuzz.h"

static char folder[] = "/tmp/bitlathe-fuzz-XXXXXX";

static void in_folder(char path[64], const char *name)
{
    snprintf(path, 64, "%s%s", folder, name);
}

static void remove_folder(void)
{
    char path[64];
    in_folder(path, "/only/1.png");
    unlink(path);
    in_folder(path, "/only");
    rmdir(path);
    rmdir(folder);
}

/* A folder with one class and one link, to the file in memory. */
static void make_folder(const char *target)
{
    static bool made = false;
    char path[64];
    if (made)
        return;
    fuzz_check(mkdtemp(folder) != NULL, "a folder");
    in_folder(path, "/only");
    fuzz_check(mkdir(path, 0700) == 0, "a class");
    in_folder(path, "/only/1.png");
    fuzz_check(symlink(target, path) == 0, "a link");
    made = atexit(remove_folder) == 0;
}

static void compare(bl_context *ctx, bl_dataset_options *o, const bl_dataset *decoded)
{
    bl_dataset *later = NULL;
    o->memory = 1;
    fuzz_check(bl_dataset_open(ctx, o, &later) == BL_OK, "what was decoded can be decoded later");
    int64_t elements = bl_shape_count(bl_dataset_row_shape(decoded));
    fuzz_check(elements > 0 && bl_dataset_rows(decoded) == 1, "one image");
    size_t bytes = (size_t)elements * sizeof(float);
    float *a = malloc(bytes), *b = malloc(bytes);
    const uint32_t row = 0;
    if (a && b) {
        fuzz_check(bl_dataset_read(decoded, &row, 1, a, NULL, NULL) == BL_OK, "the decoded image can be read");
        fuzz_check(bl_dataset_read(later, &row, 1, b, NULL, NULL) == BL_OK, "the image can be decoded again");
        fuzz_check(memcmp(a, b, bytes) == 0, "both are the same");
    }
    free(a);
    free(b);
    bl_dataset_close(later);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_dataset *d;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes || bl_context_create(NULL, &ctx) != BL_OK) {
        free(bytes);
        return 0;
    }
    if (size > 0)
        memcpy(bytes, data, size);
    fuzz_png_sums(bytes, size);
    make_folder(fuzz_path(bytes, size));
    bl_dataset_options o = {.source = folder, .memory = 1 << 28};
    if (bl_dataset_open(ctx, &o, &d) == BL_OK)
        compare(ctx, &o, d);
    else
        fuzz_check(d == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no set");
    bl_dataset_close(d);
    bl_context_destroy(ctx);
    free(bytes);
    return 0;
}
