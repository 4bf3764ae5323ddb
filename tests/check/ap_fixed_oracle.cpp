// ap_fixed_oracle.cpp: every rounding x overflow mode of the ap_fixed C++ headers beside bl_quantize_f64.
//
// For each width, integer bits and sign, all quarter steps from -3 to +3 ranges are assigned to an ap_fixed; the result
// is compared with ours.  One line of output per format that differs anywhere: its text, how many inputs differ, and
// the first one.  docs/formats.md lists what may be printed here; test_num_ap_fixed.sh compares.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "ap_fixed.h"
#include "bitlathe/format.h"

static bl_context *ctx;
static int formats;

template <int W, int I, bool S, int Q, int O> struct make {
    typedef ap_fixed<W, I, (ap_q_mode)Q, (ap_o_mode)O, 0> type;
};
template <int W, int I, int Q, int O> struct make<W, I, false, Q, O> {
    typedef ap_ufixed<W, I, (ap_q_mode)Q, (ap_o_mode)O, 0> type;
};

// Names by the headers' own enum values, so that their order does not matter.
static const char *rounding_name(int q)
{
    switch (q) {
    case AP_TRN:
        return "TRN";
    case AP_TRN_ZERO:
        return "TRN_ZERO";
    case AP_RND:
        return "RND";
    case AP_RND_ZERO:
        return "RND_ZERO";
    case AP_RND_INF:
        return "RND_INF";
    case AP_RND_MIN_INF:
        return "RND_MIN_INF";
    default:
        return "RND_CONV";
    }
}
static const char *overflow_name(int o)
{
    switch (o) {
    case AP_WRAP:
        return "WRAP";
    case AP_SAT:
        return "SAT";
    case AP_SAT_ZERO:
        return "SAT_ZERO";
    case AP_SAT_SYM:
        return "SAT_SYM";
    default:
        return "WRAP_SM";
    }
}

template <int W, int I, bool S, int Q, int O> static void one_format()
{
    char text[64];
    snprintf(text, sizeof text, "%sfixed<%d,%d,%s,%s>", S ? "" : "u", W, I, rounding_name(Q), overflow_name(O));
    bl_format f;
    if (bl_format_parse(ctx, text, &f) != BL_OK) {
        fprintf(stderr, "%s\n", bl_context_message(ctx));
        exit(1);
    }
    long differ = 0;
    char first[160] = "";
    const long range = 3L << W;
    for (long j = -4 * range; j <= 4 * range; j++) {
        double x = std::ldexp((double)j, I - W - 2), ours;
        // a wide exact ap_fixed on the way: the conversion under test is from fixed to fixed, as in a design
        ap_fixed<40, 20> exact = x;
        typename make<W, I, S, Q, O>::type theirs = exact;
        if (bl_quantize_f64(ctx, &f, nullptr, nullptr, &x, &ours, 1) != BL_OK)
            exit(1);
        if (theirs.to_double() == ours)
            continue;
        if (differ++ == 0)
            snprintf(first, sizeof first, "x = %g: header %g, specification %g", x, theirs.to_double(), ours);
    }
    formats++;
    if (differ > 0)
        printf("%s: %ld differ, first %s\n", text, differ, first);
}

template <int W, int I, bool S, int Q> static void overflows()
{
    one_format<W, I, S, Q, AP_WRAP>();
    one_format<W, I, S, Q, AP_SAT>();
    one_format<W, I, S, Q, AP_SAT_ZERO>();
    one_format<W, I, S, Q, AP_SAT_SYM>();
    if constexpr (S)
        one_format<W, I, S, Q, AP_WRAP_SM>();
}

template <int W, int I, bool S> static void roundings()
{
    overflows<W, I, S, AP_TRN>();
    overflows<W, I, S, AP_TRN_ZERO>();
    overflows<W, I, S, AP_RND>();
    overflows<W, I, S, AP_RND_ZERO>();
    overflows<W, I, S, AP_RND_INF>();
    overflows<W, I, S, AP_RND_MIN_INF>();
    overflows<W, I, S, AP_RND_CONV>();
}

template <int W, int I> static void signs()
{
    roundings<W, I, true>();
    roundings<W, I, false>();
}

int main()
{
    if (bl_context_create(nullptr, &ctx) != BL_OK)
        return 1;
    signs<1, 0>();
    signs<1, 1>();
    signs<2, 1>();
    signs<3, 3>();
    signs<4, -2>();
    signs<4, 2>();
    signs<6, 8>();
    signs<8, 3>();
    signs<10, 5>();
    bl_context_destroy(ctx);
    fprintf(stderr, "%d formats compared\n", formats);
    return 0;
}
