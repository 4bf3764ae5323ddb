/* fuzz_format.c: any bytes as a format's text: what is accepted prints, and the print parses to the same format, whose
 * values are their own roundings. */
#include <math.h>
#include <string.h>

#include "support/fuzz.h"

/* Quantizing twice is quantizing once, and the result has codes that decode to it. */
static void check_values(bl_context *ctx, const bl_format *f)
{
    double least, greatest, y[6], z[6], back[6];
    int64_t codes[6];
    bl_format_bounds(f, &least, &greatest);
    fuzz_check(least <= greatest, "bounds are in order");
    fuzz_check(bl_format_step(f) >= 0, "a step is not negative");
    const double x[6] = {least, greatest, 0.3, -1.7, 0, greatest / 3};
    if (bl_quantize_f64(ctx, f, NULL, NULL, x, y, 6) != BL_OK)
        return;
    fuzz_check(bl_quantize_f64(ctx, f, NULL, NULL, y, z, 6) == BL_OK, "quantized values quantize");
    fuzz_check(memcmp(y, z, sizeof y) == 0, "a value of the format stays");
    if (f->kind == BL_FORMAT_FLOAT32)
        return;
    fuzz_check(bl_encode(ctx, f, NULL, y, codes, 6) == BL_OK, "values have codes");
    fuzz_check(bl_decode(ctx, f, NULL, codes, back, 6) == BL_OK, "codes have values");
    fuzz_check(memcmp(y, back, sizeof y) == 0, "and these are the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[200], printed[200], again[200];
    bl_context *ctx;
    bl_format f, g;
    if (size >= sizeof text || bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (bl_format_parse(ctx, text, &f) == BL_OK) {
        fuzz_check(bl_format_print(&f, printed, sizeof printed) < sizeof printed, "a print is short");
        fuzz_check(bl_format_parse(ctx, printed, &g) == BL_OK, "a print parses");
        fuzz_check(bl_format_equal(&f, &g), "to the same format");
        bl_format_print(&g, again, sizeof again);
        fuzz_check(strcmp(printed, again) == 0, "which prints the same");
        check_values(ctx, &f);
    } else {
        fuzz_check(strlen(bl_context_message(ctx)) > 0, "a failure has a message");
    }
    bl_context_destroy(ctx);
    return 0;
}
