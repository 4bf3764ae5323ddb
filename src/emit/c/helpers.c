/* helpers.c: small functions of the emitted C, each there only when called.  Right shifts of negative numbers and
 * conversions that do not fit are implementation-defined in C99; these avoid both, and compilers see through them. */
#include <stdio.h>
#include <string.h>

#include "emit/c/c.h"

static const char to_signed[] = "/* The number that u is modulo 2^64. */\n"
                                "static int64_t to_signed(uint64_t u)\n"
                                "{\n"
                                "    return u <= INT64_MAX ? (int64_t)u : -(int64_t)~u - 1;\n"
                                "}\n\n";

static const char floor_shift[] = "/* v / 2^shift, rounded down. */\n"
                                  "static int@N@_t floor_shift@N@(int@N@_t v, int shift)\n"
                                  "{\n"
                                  "    return v < 0 ? ~(~v >> shift) : v >> shift;\n"
                                  "}\n\n";

static const char wrap32[] =
    "/* The low bits of v. */\n"
    "static int32_t wrap32(int32_t v, int bits, int is_signed)\n"
    "{\n"
    "    const uint32_t sign = (uint32_t)1 << (bits - 1), low = (uint32_t)v & (sign | (sign - 1));\n"
    "    return is_signed && low >= sign ? (int32_t)(low - sign) - (int32_t)(sign - 1) - 1\n"
    "                                    : (int32_t)low;\n"
    "}\n\n";

static const char wrap64[] =
    "/* The low bits of v. */\n"
    "static int64_t wrap64(int64_t v, int bits, int is_signed)\n"
    "{\n"
    "    const uint64_t sign = (uint64_t)1 << (bits - 1), low = (uint64_t)v & (sign | (sign - 1));\n"
    "    return is_signed && low >= sign ? (int64_t)(low - sign) - (int64_t)(sign - 1) - 1\n"
    "                                    : (int64_t)low;\n"
    "}\n\n";

static const char wrap_sm[] =
    "/* Sign-magnitude wrap: the lowest dropped bit becomes the sign; where it differs from the top bit that stays, "
    "all\n"
    " * bits that stay are inverted. */\n"
    "static int@N@_t wrap_sm@N@(int@N@_t v, int bits)\n"
    "{\n"
    "    const uint@N@_t u = (uint@N@_t)v, above = bits < @N@ ? u >> bits : (uint@N@_t)(v < 0);\n"
    "    return wrap@N@((above & 1) == (u >> (bits - 1) & 1) ? v : ~v, bits, 1);\n"
    "}\n\n";

static const char packed[] =
    "/* Number i of a table of numbers of that many bits: what they hold, times 2^shift, and low. */\n"
    "static int32_t packed(const uint8_t *table, int32_t i, int bits, int shift, int32_t low)\n"
    "{\n"
    "    const uint32_t at = (uint32_t)i * (uint32_t)bits;\n"
    "    const uint32_t two = table[at / 8] | (uint32_t)table[at / 8 + 1] << 8;\n"
    "    return low + (int32_t)((two >> at % 8 & (((uint32_t)1 << bits) - 1)) << shift);\n"
    "}\n\n";

static const char round_any[] = "/* v / 2^shift, rounded: @WORDS@. */\n"
                                "static int@N@_t round_@MODE@@N@(int@N@_t v, int shift)\n"
                                "{\n"
                                "    if (shift <= 0)\n"
                                "        return @LEFT@;\n"
                                "    const int@N@_t down = v < 0 ? ~(~v >> shift) : v >> shift;\n"
                                "@REST@"
                                "    return @RESULT@;\n"
                                "}\n\n";

static const char rest_and_half[] =
    "    const uint@N@_t rest = (uint@N@_t)v & (((uint@N@_t)1 << shift) - 1), half = (uint@N@_t)1 << (shift - 1);\n";
static const char rest_only[] = "    const uint@N@_t rest = (uint@N@_t)v & (((uint@N@_t)1 << shift) - 1);\n";

typedef struct mode {
    const char *word, *words, *rest, *up;
} mode;
#define UP(condition) rest_and_half, "down + (" condition " ? 1 : 0)"
static const mode modes[BL_ROUNDING_COUNT] = {
    [BL_TRN] = {"trn", "down", "", "down"},
    [BL_TRN_ZERO] = {"trn_zero", "toward zero", rest_only, "down + (v < 0 && rest != 0 ? 1 : 0)"},
    [BL_RND] = {"rnd", "to nearest, ties up", UP("rest >= half")},
    [BL_RND_ZERO] = {"rnd_zero", "to nearest, ties to zero", UP("rest > half || (rest == half && v < 0)")},
    [BL_RND_INF] = {"rnd_inf", "to nearest, ties away from zero", UP("rest > half || (rest == half && v >= 0)")},
    [BL_RND_MIN_INF] = {"rnd_min_inf", "to nearest, ties down", UP("rest > half")},
    [BL_RND_CONV] = {"rnd_conv", "to nearest, ties to even", UP("rest > half || (rest == half && down % 2 != 0)")},
};

static void put(bli_text *t, const char *text, int bits)
{
    const bli_text_key keys[] = {{"N", bits == 32 ? "32" : "64"}};
    bli_text_template(t, text, keys, BLI_COUNT(keys));
}

static void put_round(bli_text *t, const mode *m, int bits)
{
    const char *n = bits == 32 ? "32" : "64";
    char rest[256];
    snprintf(rest, sizeof rest, "%s", m->rest);
    for (char *at; (at = strstr(rest, "@N@")) != NULL;) {
        memmove(at + 2, at + 3, strlen(at + 3) + 1);
        memcpy(at, n, 2);
    }
    const bli_text_key keys[] = {
        {"N", n},       {"MODE", m->word}, {"WORDS", m->words},
        {"REST", rest}, {"RESULT", m->up}, {"LEFT", bits == 32 ? "v" : "to_signed((uint64_t)v << -shift)"}};
    bli_text_template(t, round_any, keys, BLI_COUNT(keys));
}

void bli_c_helpers(bli_text *t, uint64_t helpers)
{
    const uint64_t one = 1;
    if (helpers >> BLI_HELPER_TO_SIGNED & 1)
        put(t, to_signed, 64);
    if (helpers >> BLI_HELPER_PACKED & 1)
        bli_text_put(t, "%s", packed);
    for (int wide = 0; wide < 2; wide++) {
        int bits = wide ? 64 : 32;
        if (helpers & one << (BLI_HELPER_FLOOR32 + wide))
            put(t, floor_shift, bits);
        if (helpers & (one << (BLI_HELPER_WRAP32 + wide) | one << (BLI_HELPER_WRAP_SM32 + wide)))
            put(t, wide ? wrap64 : wrap32, bits);
        if (helpers & one << (BLI_HELPER_WRAP_SM32 + wide))
            put(t, wrap_sm, bits);
        for (int m = 0; m < BL_ROUNDING_COUNT; m++)
            if (helpers & one << (BLI_HELPER_ROUND + 2 * m + wide))
                put_round(t, &modes[m], bits);
    }
}

bl_status bli_c_take_helpers(bli_names *names)
{
    static const char *const fixed[] = {"to_signed",
                                        "floor_shift32",
                                        "floor_shift64",
                                        "wrap32",
                                        "wrap64",
                                        "wrap_sm32",
                                        "wrap_sm64",
                                        "packed",
                                        "floor_of",
                                        "order_of",
                                        "sum",
                                        "best",
                                        "at",
                                        "h",
                                        "w",
                                        "kh",
                                        "kw",
                                        "oh",
                                        "ow",
                                        "s",
                                        "scratch",
                                        "order",
                                        "code",
                                        "place",
                                        "low",
                                        "high",
                                        "middle",
                                        "scale",
                                        "offset",
                                        "rest",
                                        "step",
                                        "down",
                                        "half",
                                        "bits",
                                        "cx",
                                        "cy"};
    const char *given;
    char word[64];
    for (size_t i = 0; i < BLI_COUNT(fixed); i++)
        BLI_TRY(bli_names_take(names, fixed[i], &given));
    for (int i = 0; i < 2 * BL_ROUNDING_COUNT; i++) {
        if (modes[i / 2].word == NULL)
            continue;
        snprintf(word, sizeof word, "round_%s%d", modes[i / 2].word, i % 2 ? 64 : 32);
        BLI_TRY(bli_names_take(names, word, &given));
    }
    return BL_OK;
}
