/* fuzz_tf_checkpoint.c: any bytes as the index of a TensorFlow checkpoint, whose variable sparsify_gather looks up. The
 * first byte's lowest bit chooses: the file as it is, or a block of entries around which a table with right sums is
 * put. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/fuzz.h"

enum { MOST = 1 << 16, DATA = 220 };
static char folder[] = "/tmp/bitlathe-fuzz-XXXXXX";
static const char *const files[] = {"c.index", "c.data-00000-of-00001"};

static void path_of(int i, char path[80])
{
    snprintf(path, 80, "%s/%s", folder, files[i]);
}

static void remove_folder(void)
{
    char path[80];
    for (int i = 0; i < 2; i++) {
        path_of(i, path);
        unlink(path);
    }
    rmdir(folder);
}

static void make_folder(const char *target)
{
    static bool made = false;
    static const char data[DATA];
    char path[80];
    if (made)
        return;
    fuzz_check(mkdtemp(folder) != NULL, "a folder");
    path_of(0, path);
    fuzz_check(symlink(target, path) == 0, "a link");
    path_of(1, path);
    FILE *f = fopen(path, "wb");
    fuzz_check(f && fwrite(data, sizeof data, 1, f) == 1 && fclose(f) == 0, "a file of data");
    made = atexit(remove_folder) == 0;
}

static uint32_t sum_of(const uint8_t *p, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put32(uint8_t *to, uint32_t v)
{
    for (int k = 0; k < 4; k++)
        to[k] = (uint8_t)(v >> (8 * k));
}

static size_t put_varint(uint8_t *to, size_t v)
{
    size_t n = 0;
    for (; v > 127; v >>= 7)
        to[n++] = (uint8_t)(v & 127) | 128;
    to[n++] = (uint8_t)v;
    return n;
}

/* Entries, one restart, how many of those, no compression, the sum; the size with and without the last two. */
static size_t put_block(uint8_t *to, const uint8_t *entries, size_t size)
{
    memcpy(to, entries, size);
    put32(to + size, 0);
    put32(to + size + 4, 1);
    to[size + 8] = 0;
    put32(to + size + 9, sum_of(to, size + 9));
    return size + 13;
}

static size_t put_table(uint8_t *to, const uint8_t *entries, size_t size)
{
    uint8_t index[32] = {0, 1, 0, 0xff};
    size_t at = put_block(to, entries, size), n = 4, footer;
    n += put_varint(index + n, 0);
    n += put_varint(index + n, at - 5);
    index[2] = (uint8_t)(n - 4);
    const size_t where = at;
    at += put_block(to + at, index, n);
    memset(to + at, 0, 48);
    footer = put_varint(to + at, 0);
    footer += put_varint(to + at + footer, 0);
    footer += put_varint(to + at + footer, where);
    put_varint(to + at + footer, n + 8);
    put32(to + at + 40, 0x8b80fb57u);
    put32(to + at + 44, 0xdb477524u);
    return at + 48;
}

static const char graph[] = "node { name: 'ids' op: 'Placeholder' attr { key: 'dtype' value { type: DT_INT64 } } }"
                            "node { name: 'w' op: 'VariableV2' attr { key: 'dtype' value { type: DT_FLOAT } } }"
                            "node { name: 'r' op: 'Identity' input: 'w' }"
                            "node { name: 'out' op: 'Gather' input: 'r' input: 'ids' }";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t table[MOST + 256];
    bl_context *ctx;
    bl_graphdef *g;
    char transforms[128];
    const bl_tf_options o = {"ids", "out", false};
    if (size == 0 || size > MOST || bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    const bool raw = data[0] & 1;
    const size_t bytes = raw ? size - 1 : put_table(table, data + 1, size - 1);
    make_folder(fuzz_path(raw ? data + 1 : table, bytes));
    snprintf(transforms, sizeof transforms, "sparsify_gather(input_checkpoint=%s/c)", folder);
    if (bl_graphdef_read_memory(ctx, graph, sizeof graph - 1, &g) == BL_OK) {
        if (bl_tf_transform(g, transforms, &o) != BL_OK)
            fuzz_check(strlen(bl_context_message(ctx)) > 0, "a failure has a message");
        bl_graphdef_destroy(g);
    }
    bl_context_destroy(ctx);
    return 0;
}
