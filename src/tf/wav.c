/* wav.c: the chunks of a RIFF file: what may stand in front of "fmt ", that one, and one "data" among any others. */
#include "tf/wav.h"

#include <string.h>

#include "base/reader.h"

static const char *const before_format[] = {"JUNK", "bext", "iXML", "qlty", "mext", "levl", "link", "axml"};

static bl_status truncated(bl_context *ctx, const bli_reader *r)
{
    return bli_fail(ctx, BL_BAD_FILE, "it ends early, at byte %zu", r->pos);
}

static bool may_stand_before(const uint8_t *name)
{
    for (size_t i = 0; i < BLI_COUNT(before_format); i++)
        if (memcmp(name, before_format[i], 4) == 0)
            return true;
    return false;
}

static bl_status find_format(bl_context *ctx, bli_reader *r)
{
    uint32_t size;
    const uint8_t *name = bli_reader_take(r, 4);
    if (!name || memcmp(name, "RIFF", 4) != 0)
        return bli_fail(ctx, BL_BAD_FILE, "it does not begin with RIFF");
    if (!bli_reader_u32le(r, &size) || !(name = bli_reader_take(r, 4)))
        return truncated(ctx, r);
    if (memcmp(name, "WAVE", 4) != 0)
        return bli_fail(ctx, BL_BAD_FILE, "its kind is '%.4s', expected WAVE", (const char *)name);
    for (;;) {
        name = bli_reader_take(r, 4);
        if (!name || !bli_reader_u32le(r, &size))
            return truncated(ctx, r);
        if (memcmp(name, "fmt ", 4) == 0)
            break;
        if (!may_stand_before(name))
            return bli_fail(ctx, BL_BAD_FILE, "a chunk at byte %zu that is not known in front of the format",
                            r->pos - 8);
        if (!bli_reader_take(r, size))
            return truncated(ctx, r);
    }
    return size == 16 || size == 18 ? BL_OK
                                    : bli_fail(ctx, BL_BAD_FILE, "a format of %u bytes, expected 16 or 18", size);
}

/* The reader stands behind the size of "fmt ". */
static bl_status read_format(bl_context *ctx, bli_reader *r, bli_wav *out)
{
    const bool extended = r->pos >= 4 && r->data[r->pos - 4] == 18;
    uint16_t code, channels, frame, bits;
    uint32_t second;
    if (!bli_reader_u16le(r, &code) || !bli_reader_u16le(r, &channels) || !bli_reader_u32le(r, &out->rate) ||
        !bli_reader_u32le(r, &second) || !bli_reader_u16le(r, &frame) || !bli_reader_u16le(r, &bits) ||
        (extended && !bli_reader_take(r, 2)))
        return truncated(ctx, r);
    if (code != 1 || bits != 16)
        return bli_fail(ctx, BL_UNSUPPORTED, "samples of code %u and %u bits, expected PCM (1) of 16", code, bits);
    if (channels < 1 || frame != 2u * channels || second != frame * out->rate)
        return bli_fail(ctx, BL_BAD_FILE, "%u channels of %u bytes in all, %u bytes a second at %u samples a second",
                        channels, frame, second, out->rate);
    out->channels = channels;
    return BL_OK;
}

static bl_status find_data(bl_context *ctx, bli_reader *r, bli_wav *out)
{
    bool found = false;
    while (bli_reader_left(r) > 0) {
        const uint8_t *name = bli_reader_take(r, 4);
        uint32_t size;
        if (!name || !bli_reader_u32le(r, &size))
            return truncated(ctx, r);
        const bool data = memcmp(name, "data", 4) == 0;
        if (data && found)
            return bli_fail(ctx, BL_BAD_FILE, "more than one chunk of data");
        if (data) {
            found = true;
            out->count = size / (2u * (uint32_t)out->channels);
            size = (uint32_t)out->count * 2u * (uint32_t)out->channels; /* what is left over is no sample */
        }
        const uint8_t *body = bli_reader_take(r, size > bli_reader_left(r) && !data ? bli_reader_left(r) : size);
        if (!body)
            return truncated(ctx, r);
        if (data)
            out->samples = body;
    }
    return found ? BL_OK : bli_fail(ctx, BL_BAD_FILE, "it has no chunk of data");
}

bl_status bli_wav_read(bl_context *ctx, const void *data, size_t size, bli_wav *out)
{
    bli_reader r = bli_reader_make(data, size);
    *out = (bli_wav){.samples = NULL};
    BLI_TRY(find_format(ctx, &r));
    BLI_TRY(read_format(ctx, &r, out));
    return find_data(ctx, &r, out);
}
