/* picture_jpeg.c: a JPEG through libjpeg-turbo, with smooth ("fancy") upsampling and the fast integer transform unless
 * said otherwise, as TensorFlow has it; of CMYK the colours are multiplied by black.  A file of very many scans is
 * refused: each costs a pass over the picture.  A crop is cut from the whole picture.
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
    uint8_t *row; /* one of the file's, when it is not one of the picture's */
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

static void start_reading(decoder *d)
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
}

static bl_status check_crop(const decoder *d)
{
    const int64_t *c = d->how->crop, height = d->jpeg.output_height, width = d->jpeg.output_width;
    if (c[0] >= 0 && c[1] >= 0 && c[2] > 0 && c[3] > 0 && c[2] <= height - c[0] && c[3] <= width - c[1])
        return BL_OK;
    return bli_fail(d->ctx, BL_BAD_VALUE, "a crop of %lld x %lld pixels at (%lld, %lld) of %lld x %lld",
                    (long long)c[3], (long long)c[2], (long long)c[1], (long long)c[0], (long long)width,
                    (long long)height);
}

static bl_status read_header(decoder *d)
{
    start_reading(d);
    const J_COLOR_SPACE space = d->jpeg.jpeg_color_space;
    const bool four = space == JCS_CMYK || space == JCS_YCCK;
    const int channels = d->how->channels ? d->how->channels : d->jpeg.num_components == 1 ? 1 : 3;
    if (d->jpeg.num_components == 2 || (four && channels == 1))
        return bli_fail(d->ctx, BL_UNSUPPORTED, "of %d components no picture of %d channels can be made",
                        d->jpeg.num_components, channels);
    d->jpeg.out_color_space = channels == 1 ? JCS_GRAYSCALE : four ? JCS_CMYK : JCS_RGB;
    d->jpeg.dct_method = d->how->slow_dct ? JDCT_ISLOW : JDCT_IFAST;
    d->jpeg.do_fancy_upsampling = d->how->rough ? FALSE : TRUE;
    d->jpeg.scale_num = 1;
    d->jpeg.scale_denom = d->how->ratio > 1 ? (unsigned)d->how->ratio : 1;
    jpeg_calc_output_dimensions(&d->jpeg);
    *d->out = (bli_picture){1, d->jpeg.output_height, d->jpeg.output_width, channels, NULL};
    if (d->how->crops) {
        BLI_TRY(bli_picture_start(d->ctx, &(bli_picture_how){.only_size = true}, 8, d->out));
        BLI_TRY(check_crop(d));
        d->out->height = d->how->crop[2];
        d->out->width = d->how->crop[3];
    }
    return bli_picture_start(d->ctx, d->how, 8, d->out);
}

static void put_row(const decoder *d, int64_t y)
{
    const size_t x0 = d->how->crops ? (size_t)d->how->crop[1] : 0, n = (size_t)d->out->width;
    const size_t channels = (size_t)d->out->channels;
    uint8_t *to = (uint8_t *)d->out->pixels + (size_t)y * n * channels;
    if (d->jpeg.out_color_space != JCS_CMYK) {
        memcpy(to, d->row + x0 * channels, n * channels);
        return;
    }
    for (size_t x = 0; x < n; x++) {
        const uint8_t *from = d->row + (x0 + x) * 4;
        for (int k = 0; k < 3; k++) /* with Adobe's mark, ink is 255 - value */
            to[x * 3 + (size_t)k] =
                (uint8_t)(d->jpeg.saw_Adobe_marker ? from[3] * from[k] / 255 : (255 - from[3]) * (255 - from[k]) / 255);
    }
}

static bl_status read_pixels(decoder *d)
{
    const int64_t top = d->how->crops ? d->how->crop[0] : 0;
    jpeg_start_decompress(&d->jpeg);
    d->row = bli_alloc(d->ctx, (size_t)d->jpeg.output_width * (size_t)d->jpeg.output_components);
    if (!d->row)
        return BL_NO_MEMORY;
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        const int64_t y = (int64_t)d->jpeg.output_scanline - top;
        JSAMPROW row = d->row;
        (void)jpeg_read_scanlines(&d->jpeg, &row, 1);
        if (y >= 0 && y < d->out->height)
            put_row(d, y);
    }
    jpeg_finish_decompress(&d->jpeg);
    return BL_OK;
}

static bl_status decode(decoder *d)
{
    if (setjmp(d->jump))
        return bli_fail(d->ctx, BL_BAD_FILE, "%s", d->words);
    BLI_TRY(read_header(d));
    return d->how->only_size ? BL_OK : read_pixels(d);
}

bl_status bli_picture_jpeg(bl_context *ctx, const bli_picture_how *how, const void *data, size_t size, bli_picture *out)
{
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
    bli_free(ctx, d->row);
    bli_free(ctx, d);
    return s;
}
