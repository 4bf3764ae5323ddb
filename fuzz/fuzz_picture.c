/* fuzz_picture.c: any bytes as a picture that label_image is shown: the first byte chooses the decoder, by the end of
 * the file's name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fuzz.h"

enum { KINDS = 4 };
static const char *const ends[KINDS] = {".jpg", ".png", ".gif", ".bmp"};
static char folder[] = "/tmp/bitlathe-fuzz-XXXXXX";

static void path_of(int kind, char path[64])
{
    snprintf(path, 64, "%s/picture%s", folder, ends[kind]);
}

static void remove_folder(void)
{
    char path[64];
    for (int k = 0; k < KINDS; k++) {
        path_of(k, path);
        unlink(path);
    }
    rmdir(folder);
}

static void make_folder(const char *target)
{
    static bool made = false;
    char path[64];
    if (made)
        return;
    fuzz_check(mkdtemp(folder) != NULL, "a folder");
    for (int k = 0; k < KINDS; k++) {
        path_of(k, path);
        fuzz_check(symlink(target, path) == 0, "a link");
    }
    made = atexit(remove_folder) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_tensor x;
    char path[64];
    if (size == 0 || bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    make_folder(fuzz_path(data + 1, size - 1));
    path_of(data[0] % KINDS, path);
    if (bl_tf_picture_read(ctx, path, 7, 5, 1, 2, &x) == BL_OK)
        fuzz_check(x.shape.rank == 4 && x.shape.dim[1] == 7 && x.shape.dim[2] == 5, "the size that was asked for");
    else
        fuzz_check(x.data == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no picture");
    bl_tensor_free(ctx, &x);
    bl_context_destroy(ctx);
    return 0;
}
