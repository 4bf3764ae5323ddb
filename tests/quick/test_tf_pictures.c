/* test_tf_pictures.c: pictures that claim more than their bytes can hold are refused before memory is taken for them;
 * the most that bytes can hold is read.  What whole pictures give is compared with TensorFlow in test_tf_ops.c. */
#include "support/test.h"

#include "support/memory.h"
#include "tf/picture.h"

enum { MOST = 4096, SMALL = 1 << 16 };

typedef struct file {
    uint8_t at[MOST];
    size_t size;
} file;

static void put(file *f, const void *bytes, size_t n)
{
    assert_true(f->size + n <= MOST);
    memcpy(f->at + f->size, bytes, n);
    f->size += n;
}

static void put_number(file *f, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        put(f, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

/* A GIF with one frame, black, as `codes` codes of growing strings make it: 1 + 2 + ... pixels. */
static void put_gif(file *f, uint32_t screen_width, uint32_t screen_height, uint32_t width, uint32_t height,
                    uint32_t codes)
{
    uint8_t bits[MOST] = {0};
    size_t used = 0;
    f->size = 0;
    put(f, "GIF89a", 6);
    put_number(f, screen_width, 2);
    put_number(f, screen_height, 2);
    put(f, "\x80\0\0\x07\x08\x09\xff\xff\xff\x2c\0\0\0\0", 14);
    put_number(f, width, 2);
    put_number(f, height, 2);
    put(f, "\0\x02", 2);
    for (uint32_t i = 0, next = 5, wide = 3; i <= codes; i++, next++) {
        const uint32_t code = i == 0 ? 4 : i == 1 ? 0 : next - 1; /* clear, black, then the string that is made by it */
        for (uint32_t k = 0; k < wide; k++, used++)
            bits[used / 8] |= (uint8_t)((code >> k & 1) << used % 8);
        if (i > 0 && next == 1u << wide)
            wide++;
    }
    for (size_t at = 0, n = (used + 7) / 8; at < n; at += 255) {
        const uint8_t here = (uint8_t)(n - at < 255 ? n - at : 255);
        put(f, &here, 1);
        put(f, bits + at, here);
    }
    put(f, "\0\x3b", 2);
}

static void put_chunk(file *f, const char *name, const uint8_t *data, uint32_t n)
{
    const uint8_t size[4] = {0, 0, 0, (uint8_t)n};
    put(f, size, 4);
    const size_t start = f->size;
    put(f, name, 4);
    put(f, data, n);
    uint32_t crc = ~0u;
    for (size_t i = start; i < f->size; i++) {
        crc ^= f->at[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc;
    put(f, (const uint8_t[]){(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc}, 4);
}

/* Fails with these words, and never had much memory. */
static void refused(const file *f, bli_picture_op op, const char *words)
{
    counting_allocator counter = {0};
    const bl_allocator allocator = counting_allocator_of(&counter);
    const bli_picture_how how = {.op = op};
    bl_context *ctx;
    bli_picture p;
    assert_int_equal(bl_context_create(&allocator, &ctx), BL_OK);
    assert_fails(ctx, BL_BAD_FILE, words, bli_picture_decode(ctx, &how, f->at, f->size, &p));
    assert_true(counter.peak_bytes < SMALL);
    bl_context_destroy(ctx);
    assert_int_equal(counter.live_blocks, 0);
}

static void frames_beyond_their_codes_take_no_memory(void **state)
{
    (void)state;
    file f;
    put_gif(&f, 3, 2, 9000, 9000, 3);
    refused(&f, BLI_PICTURE_GIF, "a frame of 9000 x 9000 pixels in 2 bytes of codes");
}

static void screens_beyond_the_file_take_no_memory(void **state)
{
    (void)state;
    file f;
    put_gif(&f, 9000, 9000, 3, 2, 3);
    refused(&f, BLI_PICTURE_GIF, "9000 x 9000 pixels, 1 times, in 35 bytes");
}

static void pngs_beyond_their_bytes_take_no_memory(void **state)
{
    (void)state;
    file f = {.size = 0};
    put(&f, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&f, "IHDR", (const uint8_t[]){0, 0, 0x20, 0, 0, 0, 0x20, 0, 8, 2, 0, 0, 0}, 13);
    put_chunk(&f, "IDAT", (const uint8_t[]){0x78, 0x9c, 3, 0, 0, 0, 0, 1}, 8);
    put_chunk(&f, "IEND", (const uint8_t[]){0}, 0);
    refused(&f, BLI_PICTURE_PNG, "8192 x 8192 pixels, 1 times, in 65 bytes");
}

static void what_codes_can_hold_is_read(void **state)
{
    (void)state;
    const bli_picture_how how = {.op = BLI_PICTURE_GIF};
    for (uint32_t codes = 1; codes < 900; codes = codes * 2 + 1) {
        file f;
        bl_context *ctx;
        bli_picture p;
        const uint32_t height = codes % 2 ? codes : codes / 2, width = codes % 2 ? (codes + 1) / 2 : codes + 1;
        put_gif(&f, width, height, width, height, codes);
        assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
        assert_ok(ctx, bli_picture_decode(ctx, &how, f.at, f.size, &p));
        assert_int_equal(p.width * p.height, codes * (codes + 1) / 2);
        for (int64_t i = 0; i < p.width * p.height; i++)
            assert_memory_equal((uint8_t *)p.pixels + 3 * i, "\x07\x08\x09", 3);
        bli_picture_free(ctx, &p);
        bl_context_destroy(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_beyond_their_codes_take_no_memory),
        cmocka_unit_test(screens_beyond_the_file_take_no_memory),
        cmocka_unit_test(pngs_beyond_their_bytes_take_no_memory),
        cmocka_unit_test(what_codes_can_hold_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
