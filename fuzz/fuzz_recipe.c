/* fuzz_recipe.c: any bytes as a recipe, and as an override of one: what is accepted prints as a recipe that is
 * accepted too and prints the same; what is refused has a message.
 */
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

static void check_round_trip(bl_context *ctx, const bl_recipe *r)
{
    bl_recipe *again;
    char *once, *twice;
    fuzz_check(bl_recipe_print(r, &once) == BL_OK, "a recipe prints");
    fuzz_check(bl_recipe_parse(ctx, "printed", once, strlen(once), NULL, 0, &again) == BL_OK,
               "a printed recipe is one");
    fuzz_check(bl_recipe_print(again, &twice) == BL_OK, "it prints again");
    fuzz_check(strcmp(once, twice) == 0, "and says the same");
    bl_text_free(ctx, once);
    bl_text_free(ctx, twice);
    bl_recipe_free(again);
}

static void try_parse(bl_context *ctx, const char *text, size_t size, const char *override)
{
    bl_recipe *r;
    bl_status s = bl_recipe_parse(ctx, "fuzz.yaml", text, size, &override, override ? 1 : 0, &r);
    fuzz_check((s == BL_OK) == (r != NULL), "a recipe comes with success alone");
    fuzz_check(s == BL_OK || bl_context_message(ctx)[0], "a failure has a message");
    if (r)
        check_round_trip(ctx, r);
    bl_recipe_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char base[] = "data: {source: x}\nnetwork: [Flatten, Dense: {units: 3, name: a}]\n";
    bl_context *ctx;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 0;
    try_parse(ctx, (const char *)data, size, NULL);
    char *override = malloc(size + 1);
    if (override) {
        memcpy(override, data, size);
        override[size] = 0;
        try_parse(ctx, base, sizeof base - 1, override);
    }
    free(override);
    bl_context_destroy(ctx);
    return 0;
}
