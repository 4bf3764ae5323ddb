/* fuzz_program.c: any bytes as the text form of a program: what parses prints, and the print is a fixed point. */
#include <string.h>

#include "support/fuzz.h"

static void check(bl_context *ctx, const bl_program *p)
{
    char *text, *second;
    bl_program *again;
    if (bl_program_print(p, &text) != BL_OK)
        return;
    bl_status s = bl_program_parse(ctx, text, strlen(text), &again);
    fuzz_check(s == BL_OK || s == BL_NO_MEMORY, "a printed program parses");
    if (s == BL_OK && bl_program_print(again, &second) == BL_OK) {
        fuzz_check(strcmp(text, second) == 0, "printing what was parsed prints the same");
        bl_text_free(ctx, second);
    }
    bl_program_destroy(again);
    bl_text_free(ctx, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bl_context *ctx;
    bl_program *p;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    if (bl_program_parse(ctx, (const char *)data, size, &p) == BL_OK)
        check(ctx, p);
    else
        fuzz_check(p == NULL && strlen(bl_context_message(ctx)) > 0, "a failure has a message and no program");
    bl_program_destroy(p);
    bl_context_destroy(ctx);
    return 0;
}
