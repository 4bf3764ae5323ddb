/* picture_jpeg.c: a JPEG through libjpeg-turbo, with smooth ("fancy") upsampling and, unless said otherwise, the fast
 * integer transform, as TensorFlow has it.  A file of very many scans is refused: each costs a pass over the picture.
 */
#include <stdio.h>
/* stdio before jpeglib, which uses FILE */
#include <jpeglib.h>
#include <setjmp.h>
#include <string.h>

#include "tf/picture.h"

enum { MAX_SCANS = 200 };

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    bl_context *ctx;
    const bli_picture_how *how;
    const uint8_t *data;
    size_t size;
    bli_picture *out;
    bool created;
    char words[JMSG_LENGTH_MAX];
    jmp_buf jump;
} decoder;

static void on_error(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    jpeg->err->format_message(jpeg, d->words);
    longjmp(d->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0)
        on_error(jpeg);
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number <= MAX_SCANS)
        return;
    snprintf(d->words, sizeof d->words, "more than %d scans", MAX_SCANS);
    longjmp(d->jump, 1);
}

static bl_status read_header(decoder *d)
{
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->errors.output_message = on_output;
    d->jpeg.client_data = d;
    jpeg_create_decompress(&d->jpeg);
    d->created = true;
    d->progress.progress_monitor = on_progress;
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, d->data, (unsigned long)d->size);
    jpeg_read_header(&d->jpeg, TRUE);
    const J_COLOR_SPACE space = d->jpeg.jpeg_color_space;
    if (space != JCS_GRAYSCALE && space != JCS_YCbCr && space != JCS_RGB)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "only grey and RGB pictures are known");
    const int channels = d->how->channels ? d->how->channels : space == JCS_GRAYSCALE ? 1 : 3;
    return bli_picture_start(d->ctx, d->how, d->jpeg.image_height, d->jpeg.image_width, channels, d->out);
}

static void read_pixels(decoder *d)
{
    d->jpeg.out_color_space = d->out->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    d->jpeg.dct_method = d->how->slow_dct ? JDCT_ISLOW : JDCT_IFAST;
    d->jpeg.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&d->jpeg);
    const size_t stride = (size_t)d->out->width * (size_t)d->out->channels;
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        JSAMPROW row = d->out->pixels + d->jpeg.output_scanline * stride;
        (void)jpeg_read_scanlines(&d->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&d->jpeg);
}

static bl_status decode(decoder *d)
{
    if (setjmp(d->jump))
        return bli_fail(d->ctx, BL_BAD_FILE, "%s", d->words);
    BLI_TRY(read_header(d));
    if (!d->how->only_size)
        read_pixels(d);
    return BL_OK;
}

bl_status bli_picture_jpeg(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
    if (size == 0)
        return bli_fail(ctx, BL_BAD_FILE, "it is empty");
    decoder *d = bli_alloc(ctx, sizeof *d);
    if (!d)
        return BL_NO_MEMORY;
    d->ctx = ctx;
    d->how = how;
    d->data = data;
    d->size = size;
    d->out = out;
    bl_status s = decode(d);
    if (d->created)
        jpeg_destroy_decompress(&d->jpeg);
    bli_free(ctx, d);
    return s;
}
