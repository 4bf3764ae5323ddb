/* The quantizers' loops: the same bits from every instruction set, and near what plain C in double gives. */
#include "support/test.h"

#include "op/kernels/loops.h"
#include "support/quant_call.h"

#include <math.h>
#include <string.h>

enum { X, SCALE, BITS, Y, DY, DX, DSCALE };

static bl_context *ctx;

static int set_up(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) != BL_OK;
}

static int tear_down(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

static void fill_x(bl_tensor *x, uint64_t *seed, bool specials)
{
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1e30, -1e30, 1e-40, -1e-40, 1, -1, 0.5};
    int64_t n = bl_shape_count(&x->shape);
    for (int64_t i = 0; i < n; i++) {
        bool rare = specials && random_below(seed, 7) == 0;
        double even = (double)random_below(seed, 2001) / 1000 - 1;
        tensor_set(x, i, rare ? special[random_below(seed, BLI_COUNT(special))] : 2 * even);
    }
}

typedef struct entry {
    const char *place, *text;
    int64_t dims[5], scales; /* 0: no scale input */
} entry;

static const entry entries[] = {
    {"activation", "quantizer: lsq; format: int<4>", {7, 13, -1}, 1},
    {"activation", "quantizer: lsq; format: uint<3>", {9, 1031, -1}, 1},
    {"activation", "quantizer: lsq; format: fixed<6,2,RND_CONV,SAT_SYM>", {3, 700, -1}, 1},
    {"activation", "quantizer: lsq; format: int<4>; granularity: channel", {5, 30, 6, -1}, 6},
    {"activation", "quantizer: lsq; format: int<4>; granularity: channel", {3, 11, 1, -1}, 1},
    {"activation", "quantizer: lsq; format: int<4>; granularity: channel", {3, 1500, -1}, 1500},
    {"weight", "quantizer: lsq; format: int<4>; granularity: channel", {31, 65, -1}, 65},
    {"weight", "quantizer: lsq; format: int<4>; granularity: channel; axis: 0", {4, 3, 3, 3, -1}, 4},
    {"weight", "quantizer: lsq; format: int<4>; granularity: channel; axis: 0", {3, 1100, -1}, 3},
    {"weight", "quantizer: lsq; format: int<4>; granularity: element", {4, 9, -1}, 36},
    {"weight", "quantizer: lsq; format: int<4>; granularity: channel", {0, 5, -1}, 5},
    {"weight", "format: fixed<5,2,RND_CONV,SAT>; scale: learned", {11, 9, -1}, 1},
    {"activation", "pact(4)", {4, 333, -1}, 1},
    {"activation", "quantizer: pact; format: uint<3>; granularity: channel", {4, 50, 10, -1}, 10},
    {"activation", "binary()", {4, 33, -1}, 0},
    {"weight", "binary(use_01=True,alpha=0.3)", {4, 33, -1}, 0},
    {"weight", "binary(alpha='auto')", {40, 33, -1}, 0},
    {"weight", "quantizer: xnor; axis: 0", {5, 3, 3, 3, -1}, 0},
    {"activation", "dorefa(4)", {4, 33, -1}, 0},
    {"weight", "dorefa(3)", {40, 33, -1}, 0},
    {"weight", "dorefa(1)", {7, 9, -1}, 0},
    {"weight", "dorefa(2)", {0, 9, -1}, 0},
};

static void open_entry(quant_call *q, const entry *e, bl_dtype type, bool specials)
{
    uint64_t seed = 17;
    quant_open(q, ctx, e->place, e->text, type, e->dims);
    fill_x(&q->t[X], &seed, specials);
    fill_reals(&q->t[DY], &seed);
    if (e->scales > 0)
        quant_scale(q, DIMS(e->scales), 0.3);
    for (int64_t i = 0; i < e->scales; i++)
        tensor_set(&q->t[SCALE], i, 0.05 + 0.01 * (double)(i % 37));
}

static void same_bits(const quant_call *a, const quant_call *b, int which, const entry *e)
{
    const bl_tensor *p = &a->t[which], *q = &b->t[which];
    size_t bytes = (size_t)bl_shape_count(&p->shape) * bl_dtype_size(p->type);
    if (bytes > 0 && p->data && memcmp(p->data, q->data, bytes) != 0)
        fail_msg("%s %s: tensor %d differs on %s", e->place, e->text, which, bli_isa_name(b->call.isa));
}

static void every_instruction_set_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < 4 * BLI_COUNT(entries); k++) {
        const entry *e = &entries[k / 4];
        quant_call plain, wide;
        open_entry(&plain, e, k % 2 ? BL_F64 : BL_F32, k & 2);
        plain.call.isa = BLI_ISA_GENERIC;
        quant_forward(&plain);
        quant_backward(&plain);
        for (bli_isa isa = BLI_ISA_AVX2; isa <= bli_cpu_isa(); isa++) {
            open_entry(&wide, e, k % 2 ? BL_F64 : BL_F32, k & 2);
            wide.call.isa = isa;
            quant_forward(&wide);
            quant_backward(&wide);
            same_bits(&plain, &wide, Y, e);
            same_bits(&plain, &wide, DX, e);
            same_bits(&plain, &wide, DSCALE, e);
            quant_close(&wide);
        }
        quant_close(&plain);
    }
}

/* The learned step's gradients as their papers write them, one element after the other in double. */
static void check_learned(const entry *e, bl_dtype type)
{
    quant_call q;
    open_entry(&q, e, type, false);
    quant_backward(&q);
    double lo = strstr(e->text, "uint") ? 0 : -8, hi = strstr(e->text, "uint<3>") ? 7
                                                       : strstr(e->text, "uint")  ? 15
                                                                                  : 7;
    double *want = calloc((size_t)e->scales, sizeof *want), *size = calloc((size_t)e->scales, sizeof *size);
    assert_true(want && size);
    int64_t n = bl_shape_count(&q.t[X].shape), inner = strstr(e->text, "axis: 0") ? n / e->dims[0] : 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t g = i / inner % e->scales;
        double s = tensor_get(&q.t[SCALE], g), dy = tensor_get(&q.t[DY], i), v = tensor_get(&q.t[X], i) / s;
        v = type == BL_F32 ? (double)(float)v : v;
        bool inside = v > lo && v < hi;
        double code = nearbyint(fmin(fmax(v, lo), hi));
        want[g] += dy * (inside ? code - v : code);
        size[g] += fabs(dy);
        if (tensor_get(&q.t[DX], i) != (inside ? dy : 0))
            fail_msg("%s: gradient at %a (%a steps): %a", e->text, tensor_get(&q.t[X], i), v, tensor_get(&q.t[DX], i));
    }
    double factor = 1 / sqrt((double)n / (double)(e->place[0] == 'a' ? e->dims[0] : 1) / (double)e->scales * hi);
    for (int64_t g = 0; g < e->scales; g++) {
        double got = tensor_get(&q.t[DSCALE], g), error = fabs(got - want[g] * factor);
        if (!(error <= (type == BL_F32 ? 0x1p-19 : 0x1p-46) * size[g] * factor))
            fail_msg("%s: scale %lld: %a, expected %a", e->text, (long long)g, got, want[g] * factor);
    }
    free(want);
    free(size);
    quant_close(&q);
}

static void learned_steps_have_their_paper_s_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < BLI_COUNT(entries); k++) {
        bool learned =
            strstr(entries[k].text, "lsq; format: int<4>") || strstr(entries[k].text, "lsq; format: uint<3>");
        for (int type = BL_F32; learned && type <= BL_F64 && entries[k].dims[0] > 0; type += BL_F64 - BL_F32)
            check_learned(&entries[k], (bl_dtype)type);
    }
}

static void tanh_is_within_four_units_of_its_last_place(void **state)
{
    (void)state;
    enum { N = 4096 };
    static double x[N], y[N];
    static float x32[N], y32[N];
    static const double special[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1e-310, 19.99, 20.01, 1e300, -1e-20, 0x1p-30};
    uint64_t seed = 4;
    for (size_t i = 0; i < N; i++) {
        double even = (double)random_below(&seed, 1u << 20) * 0x1p-19 - 1;
        x[i] = i < BLI_COUNT(special) ? special[i] : even * (i % 3 ? 25 : ldexp(1, -(int)(i % 60)));
        x32[i] = (float)x[i];
    }
    for (bli_isa isa = BLI_ISA_GENERIC; isa <= bli_cpu_isa(); isa++) {
        bli_loops_get(isa, BL_F64)->tanh(x, y, N);
        bli_loops_get(isa, BL_F32)->tanh(x32, y32, N);
        for (size_t i = 0; i < N; i++) {
            double want = tanh(x[i]), want32 = (double)(float)tanh((double)x32[i]);
            bool nan = isnan(want) && isnan(y[i]) && isnan(y32[i]);
            if (!nan && (!(fabs(y[i] - want) <= 0x1p-50 * fabs(want)) || signbit(y[i]) != signbit(want)))
                fail_msg("tanh(%a) = %a, expected %a", x[i], y[i], want);
            if (!nan && !(fabs((double)y32[i] - want32) <= 0x1p-23 * fabs(want32)))
                fail_msg("tanhf(%a) = %a, expected %a", (double)x32[i], (double)y32[i], want32);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(learned_steps_have_their_paper_s_gradients),
        cmocka_unit_test(tanh_is_within_four_units_of_its_last_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
