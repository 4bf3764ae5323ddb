/* picture_gif.c: a GIF and its frames: a reader of its blocks and a decoder of its LZW codes (GIF89a specification),
 * every access bounded.  Transparent pixels, and those that a frame leaves out, are those of the frame before, black in
 * the first, as in TensorFlow: what a frame asks to be done after it is not looked at. */
#include <string.h>

#include "base/reader.h"
#include "tf/picture.h"

/* The shortest codes have two bits, the longest strings as many bytes as there are codes. */
enum { CODES = 4096, PIXELS_OF_A_BYTE = 4 * CODES };
enum { END_OF_BLOCKS = 0x3b, IMAGE = 0x2c, EXTENSION = 0x21, CONTROL = 0xf9 };

typedef struct gif {
    bl_context *ctx;
    bli_reader r;
    const uint8_t *colors, *own; /* three bytes each: for all frames; of this one, or NULL */
    int num_colors, num_own, transparent;
    int64_t left, top, width, height, frames;
    bool interlaced;
} gif;

static bl_status truncated(gif *g)
{
    return bli_fail(g->ctx, BL_BAD_FILE, "it ends early, at byte %zu", g->r.pos);
}

static bl_status take_colors(gif *g, uint8_t flags, const uint8_t **colors, int *count)
{
    *colors = NULL;
    *count = 0;
    if (!(flags & 0x80))
        return BL_OK;
    *count = 2 << (flags & 7);
    *colors = bli_reader_take(&g->r, (size_t)*count * 3);
    return *colors ? BL_OK : truncated(g);
}

/* *bytes: how many are in them. */
static bl_status skip_blocks(gif *g, int64_t *bytes)
{
    *bytes = 0;
    for (uint8_t n;;) {
        if (!bli_reader_u8(&g->r, &n) || !bli_reader_take(&g->r, n))
            return truncated(g);
        if (n == 0)
            return BL_OK;
        *bytes += n;
    }
}

static bl_status read_extension(gif *g)
{
    uint8_t label;
    int64_t bytes;
    if (!bli_reader_u8(&g->r, &label))
        return truncated(g);
    if (label == CONTROL && bli_reader_left(&g->r) >= 5 && g->r.data[g->r.pos] == 4)
        g->transparent = g->r.data[g->r.pos + 1] & 1 ? g->r.data[g->r.pos + 4] : -1;
    return skip_blocks(g, &bytes);
}

static bl_status read_place(gif *g)
{
    uint16_t v[4];
    uint8_t flags;
    for (int i = 0; i < 4; i++)
        if (!bli_reader_u16le(&g->r, &v[i]))
            return truncated(g);
    if (!bli_reader_u8(&g->r, &flags))
        return truncated(g);
    g->left = v[0];
    g->top = v[1];
    g->width = v[2];
    g->height = v[3];
    g->interlaced = flags & 0x40;
    return take_colors(g, flags, &g->own, &g->num_own);
}

/* ---- codes --------------------------------------------------------------------------------------------------- */
typedef struct bits {
    gif *g;
    uint32_t held;
    int count, block; /* bytes left of the block */
} bits;

/* -1: there are no more. */
static int next_code(bits *b, int width)
{
    while (b->count < width) {
        uint8_t byte;
        if (b->block == 0) {
            if (!bli_reader_u8(&b->g->r, &byte) || byte == 0)
                return -1;
            b->block = byte;
        }
        if (!bli_reader_u8(&b->g->r, &byte))
            return -1;
        b->block--;
        b->held |= (uint32_t)byte << b->count;
        b->count += 8;
    }
    const int code = (int)(b->held & ((1u << width) - 1));
    b->held >>= width;
    b->count -= width;
    return code;
}

/* A code is the string of its prefix and one more byte. */
typedef struct table {
    uint16_t prefix[CODES];
    uint8_t last[CODES], string[CODES];
} table;

/* The string of a code, written from the end; where it begins.  A prefix is always a smaller code, so it ends. */
static int spell(table *t, int code, int clear)
{
    int at = CODES;
    while (code >= clear && at > 1) {
        t->string[--at] = t->last[code];
        code = t->prefix[code];
    }
    t->string[--at] = (uint8_t)code;
    return at;
}

static bl_status decode_codes(gif *g, table *t, int size, uint8_t *indices, int64_t count)
{
    const int clear = 1 << size;
    int next = clear + 2, width = size + 1, before = -1;
    int64_t done = 0;
    bits b = {.g = g};
    while (done < count) {
        const int code = next_code(&b, width);
        if (code < 0 || code == clear + 1)
            return bli_fail(g->ctx, BL_BAD_FILE, "codes for %lld of %lld pixels", (long long)done, (long long)count);
        if (code == clear) {
            next = clear + 2;
            width = size + 1;
            before = -1;
            continue;
        }
        if (code > next || (before < 0 && code >= clear) || (code == next && (before < 0 || next == CODES)))
            return bli_fail(g->ctx, BL_BAD_FILE, "code %d, where at most %d can be", code, next);
        const int first = t->string[spell(t, code == next ? before : code, clear)];
        if (before >= 0 && next < CODES) {
            t->prefix[next] = (uint16_t)before;
            t->last[next] = (uint8_t)first;
            next++;
        }
        for (int at = spell(t, code, clear); at < CODES && done < count; at++)
            indices[done++] = t->string[at];
        before = code;
        if (next == 1 << width && width < 12)
            width++;
    }
    return BL_OK;
}

/* ---- pixels -------------------------------------------------------------------------------------------------- */
static int64_t row_of(const gif *g, int64_t i)
{
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    if (!g->interlaced)
        return i;
    for (int pass = 0; pass < 4; pass++) {
        const int64_t rows = g->height > first[pass] ? (g->height - first[pass] + step[pass] - 1) / step[pass] : 0;
        if (i < rows)
            return first[pass] + i * step[pass];
        i -= rows;
    }
    return 0;
}

static bl_status paint(const gif *g, const uint8_t *indices, const bli_picture *out)
{
    const uint8_t *colors = g->own ? g->own : g->colors;
    const int count = g->own ? g->num_own : g->num_colors;
    uint8_t *frame = (uint8_t *)out->pixels + g->frames * out->height * out->width * 3;
    if (!colors)
        return bli_fail(g->ctx, BL_BAD_FILE, "frame %lld has no colours", (long long)g->frames);
    for (int64_t i = 0; i < g->height; i++)
        for (int64_t j = 0; j < g->width; j++) {
            const int64_t y = g->top + row_of(g, i), x = g->left + j;
            const int index = indices[i * g->width + j];
            if (y >= out->height || x >= out->width || index == g->transparent)
                continue;
            if (index >= count)
                return bli_fail(g->ctx, BL_BAD_FILE, "colour %d of %d", index, count);
            memcpy(frame + (y * out->width + x) * 3, colors + 3 * index, 3);
        }
    return BL_OK;
}

static bl_status read_codes(gif *g, int size, const bli_picture *out)
{
    const size_t frame = (size_t)(out->height * out->width * 3), start = g->r.pos;
    uint8_t *indices = bli_alloc(g->ctx, (size_t)(g->width * g->height)), *to = out->pixels;
    table *t = bli_alloc(g->ctx, sizeof *t);
    if (g->frames > 0)
        memcpy(to + (size_t)g->frames * frame, to + (size_t)(g->frames - 1) * frame, frame);
    bl_status s = indices && t ? decode_codes(g, t, size, indices, g->width * g->height) : BL_NO_MEMORY;
    if (s == BL_OK)
        s = paint(g, indices, out);
    bli_free(g->ctx, t);
    bli_free(g->ctx, indices);
    g->r.pos = start;
    return s;
}

/* Whether so many bytes of codes can say the frame: a code's string has at most a byte more than codes came before. */
static bl_status check_codes(gif *g, int size, int64_t bytes)
{
    const int64_t codes = 8 * bytes / (size + 1), longest = codes < CODES ? codes : CODES;
    if (g->width * g->height <= codes * longest)
        return BL_OK;
    return bli_fail(g->ctx, BL_BAD_FILE, "a frame of %lld x %lld pixels in %lld bytes of codes", (long long)g->width,
                    (long long)g->height, (long long)bytes);
}

/* out NULL, or beyond its frames: only looked at. */
static bl_status read_image(gif *g, const bli_picture *out)
{
    int64_t bytes;
    uint8_t size;
    BLI_TRY(read_place(g));
    if (!bli_reader_u8(&g->r, &size))
        return truncated(g);
    if (size < 1 || size > 8 || g->width * g->height == 0 || g->width * g->height > BLI_PICTURE_MAX_BYTES)
        return bli_fail(g->ctx, BL_BAD_FILE, "a frame of %lld x %lld pixels in codes of %d bits", (long long)g->width,
                        (long long)g->height, size);
    if (out && g->frames < out->frames)
        BLI_TRY(read_codes(g, size, out));
    g->frames++;
    g->transparent = -1;
    BLI_TRY(skip_blocks(g, &bytes));
    return out ? BL_OK : check_codes(g, size, bytes);
}

static bl_status read_blocks(gif *g, const bli_picture *out)
{
    g->frames = 0;
    for (uint8_t block; bli_reader_u8(&g->r, &block) && block != END_OF_BLOCKS;) {
        if (block == IMAGE)
            BLI_TRY(read_image(g, out));
        else if (block == EXTENSION)
            BLI_TRY(read_extension(g));
        else
            return bli_fail(g->ctx, BL_BAD_FILE, "a block of kind %d", block);
    }
    return g->frames ? BL_OK : bli_fail(g->ctx, BL_BAD_FILE, "it has no frame");
}

bl_status bli_picture_gif(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
    gif g = {.ctx = ctx, .r = bli_reader_make(data, size), .transparent = -1};
    uint16_t width, height;
    uint8_t flags;
    if (!bli_reader_take(&g.r, 6) || !bli_reader_u16le(&g.r, &width) || !bli_reader_u16le(&g.r, &height) ||
        !bli_reader_u8(&g.r, &flags) || !bli_reader_take(&g.r, 2))
        return truncated(&g);
    BLI_TRY(take_colors(&g, flags, &g.colors, &g.num_colors));
    const size_t start = g.r.pos;
    BLI_TRY(read_blocks(&g, NULL));
    if (g.frames > 1 && (how->op == BLI_PICTURE_JPEG || how->op == BLI_PICTURE_PNG))
        return bli_fail(ctx, BL_UNSUPPORTED, "%lld frames, expected one", (long long)g.frames);
    *out = (bli_picture){how->first_only ? 1 : g.frames, height, width, 3, NULL};
    BLI_TRY(bli_picture_can_hold(ctx, size, PIXELS_OF_A_BYTE, out));
    BLI_TRY(bli_picture_start(ctx, how, 8, out));
    if (how->only_size)
        return BL_OK;
    g.r.pos = start;
    return read_blocks(&g, out);
}
