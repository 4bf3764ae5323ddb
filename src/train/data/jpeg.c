/* jpeg.c: one JPEG through libjpeg-turbo.
 *
 * libjpeg calls truncated or damaged data a warning and invents pixels; here that is an error, since a network would
 * learn from them.  The slow integer transform is asked for: its result is the same on every processor.  A file of
 * very many scans (each costs a pass over the whole image) is refused.
 */
#include <stdio.h>
/* stdio before jpeglib, which uses FILE */
#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <string.h>

#include "train/data/image.h"

enum { MAX_SCANS = 200 };

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    bli_image_bytes *bytes;
    const bli_image_info *wanted;
    bli_image_info *info;
    uint8_t *out;
    bool created;
    char words[JMSG_LENGTH_MAX];
    jmp_buf jump;
} decoder;

static decoder *decoder_of(j_common_ptr jpeg)
{
    return jpeg->client_data;
}

/* ---- what libjpeg calls -------------------------------------------------------------------------------------- */
static void on_error(j_common_ptr jpeg)
{
    decoder *d = decoder_of(jpeg);
    jpeg->err->format_message(jpeg, d->words);
    longjmp(d->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_TOO_MUCH_DATA)
        on_error(jpeg);
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    if (decoder_of(jpeg)->jpeg.input_scan_number <= MAX_SCANS)
        return;
    snprintf(decoder_of(jpeg)->words, JMSG_LENGTH_MAX, "more than %d scans", MAX_SCANS);
    longjmp(decoder_of(jpeg)->jump, 1);
}

static void nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean on_fill(j_decompress_ptr jpeg)
{
    decoder *d = decoder_of((j_common_ptr)jpeg);
    size_t got = bli_image_take(d->bytes, d->bytes->buffer, sizeof d->bytes->buffer);
    if (got == 0)
        ERREXIT(jpeg, JERR_INPUT_EOF);
    jpeg->src->next_input_byte = d->bytes->buffer;
    jpeg->src->bytes_in_buffer = got;
    return TRUE;
}

static void on_skip(j_decompress_ptr jpeg, long n)
{
    while (n > (long)jpeg->src->bytes_in_buffer) {
        n -= (long)jpeg->src->bytes_in_buffer;
        (void)on_fill(jpeg);
    }
    if (n > 0) {
        jpeg->src->next_input_byte += n;
        jpeg->src->bytes_in_buffer -= (size_t)n;
    }
}

/* ---- steps --------------------------------------------------------------------------------------------------- */
static void create(decoder *d)
{
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->errors.output_message = on_output;
    d->jpeg.client_data = d;
    jpeg_create_decompress(&d->jpeg);
    d->created = true;
    d->source = (struct jpeg_source_mgr){.init_source = nothing,
                                         .fill_input_buffer = on_fill,
                                         .skip_input_data = on_skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = nothing};
    d->jpeg.src = &d->source;
    d->progress.progress_monitor = on_progress;
    d->jpeg.progress = &d->progress;
}

static const char *name_of_space(J_COLOR_SPACE space)
{
    return space == JCS_CMYK ? "CMYK" : space == JCS_YCCK ? "YCCK" : "an unknown colour space";
}

static bl_status read_header(decoder *d)
{
    jpeg_read_header(&d->jpeg, TRUE);
    J_COLOR_SPACE space = d->jpeg.jpeg_color_space;
    if (space != JCS_GRAYSCALE && space != JCS_YCbCr && space != JCS_RGB)
        return bli_fail(d->bytes->ctx, BL_UNSUPPORTED, "%s: is in %s; only grey and RGB images are read",
                        d->bytes->path, name_of_space(space));
    d->info->width = d->jpeg.image_width;
    d->info->height = d->jpeg.image_height;
    d->info->channels = space == JCS_GRAYSCALE ? 1 : 3;
    return bli_image_check(d->bytes, d->info, d->wanted);
}

static void read_pixels(decoder *d)
{
    d->jpeg.out_color_space = d->info->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    d->jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&d->jpeg);
    size_t stride = (size_t)d->info->width * (size_t)d->info->channels;
    while (d->jpeg.output_scanline < d->info->height) {
        JSAMPROW row = d->out + d->jpeg.output_scanline * stride;
        (void)jpeg_read_scanlines(&d->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&d->jpeg);
    if (d->info->channels == 1 && d->wanted->channels == 3)
        bli_image_grey_to_rgb(d->out, stride * d->info->height, d->out);
}

static bl_status decode(decoder *d)
{
    if (setjmp(d->jump))
        return bli_fail(d->bytes->ctx, BL_BAD_FILE, "%s: JPEG: %s", d->bytes->path, d->words);
    create(d);
    BLI_TRY(read_header(d));
    if (d->out)
        read_pixels(d);
    return BL_OK;
}

bl_status bli_jpeg_decode(bli_image_bytes *b, const bli_image_info *wanted, bli_image_info *info, uint8_t *out)
{
    decoder *d = bli_alloc(b->ctx, sizeof *d);
    if (!d)
        return BL_NO_MEMORY;
    d->bytes = b;
    d->wanted = wanted;
    d->info = info;
    d->out = out;
    bl_status s = decode(d);
    if (d->created)
        jpeg_destroy_decompress(&d->jpeg);
    bli_free(b->ctx, d);
    return s;
}
