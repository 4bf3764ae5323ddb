/* fuzz_decode.c: any bytes as what a graph's operators decode: pictures and sounds.  The first byte chooses the
 * operator and its attributes; what is decoded twice is the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

static const char *const nodes[] = {
    "op: 'DecodeImage' attr { key: 'dtype' value { type: DT_FLOAT } }",
    "op: 'DecodeImage' attr { key: 'dtype' value { type: DT_UINT16 } } attr { key: 'channels' value { i: 3 } }",
    "op: 'DecodePng' attr { key: 'channels' value { i: 4 } }",
    "op: 'DecodePng' attr { key: 'channels' value { i: 1 } }",
    "op: 'DecodeJpeg' attr { key: 'channels' value { i: 1 } } attr { key: 'ratio' value { i: 4 } }",
    "op: 'DecodeJpeg' attr { key: 'fancy_upscaling' value { b: false } }",
    "op: 'DecodeGif'",
    "op: 'DecodeBmp' attr { key: 'channels' value { i: 4 } }",
    "op: 'DecodeWav'",
    "op: 'DecodeWav' attr { key: 'desired_samples' value { i: 40 } } attr { key: 'desired_channels' value { i: 2 } }",
};
enum { KINDS = sizeof nodes / sizeof nodes[0] };

static bl_status decode(bl_context *ctx, const char *text, const bl_npz_entry *feed, bl_tensor *y)
{
    const char *fetch = "y";
    bl_graphdef *g = NULL;
    bl_tf_session *s = NULL;
    *y = (bl_tensor){.type = BL_F32};
    bl_status status = bl_graphdef_read_memory(ctx, text, strlen(text), &g);
    fuzz_check(status == BL_OK, "the graph is one");
    status = bl_tf_session_create(g, &s);
    if (status == BL_OK)
        status = bl_tf_session_run(s, feed, 1, &fetch, 1, y);
    bl_tf_session_destroy(s);
    bl_graphdef_destroy(g);
    return status;
}

static void check(bl_context *ctx, const char *text, const bl_npz_entry *feed)
{
    bl_tensor a, b;
    const bl_status status = decode(ctx, text, feed, &a);
    fuzz_check(status == BL_OK || (strlen(bl_context_message(ctx)) > 0 && !a.data), "a failure has a message only");
    fuzz_check(decode(ctx, text, feed, &b) == status, "the second time is as the first");
    if (status == BL_OK)
        fuzz_check(memcmp(a.data, b.data, (size_t)bl_shape_count(&a.shape) * bl_dtype_size(a.type)) == 0,
                   "what is decoded twice is the same");
    bl_tensor_free(ctx, &a);
    bl_tensor_free(ctx, &b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    bl_context *ctx;
    uint8_t *bytes = size > 1 ? malloc(size - 1) : NULL;
    if (!bytes || bl_context_create(NULL, &ctx) != BL_OK) {
        free(bytes);
        return 0;
    }
    memcpy(bytes, data + 1, size - 1);
    if (bytes[0] == 0x89)
        fuzz_png_sums(bytes, size - 1);
    snprintf(text, sizeof text,
             "node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_STRING } } }\n"
             "node { name: 'y' input: 'x' %s }",
             nodes[data[0] % KINDS]);
    check(ctx, text, &(bl_npz_entry){"x", {BL_U8, {1, {(int64_t)size - 1}}, bytes}});
    bl_context_destroy(ctx);
    free(bytes);
    return 0;
}
