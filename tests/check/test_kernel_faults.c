/* A fault put in on purpose is seen in each kernel of the executor on each instruction set of this machine.
 *
 * Kernels get their faults through a changed copy of their table; what is compared are an executor's results with and
 * without.  Programs are random, and layers that have what those lack.  test_cross.sh runs it on ARM.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "support/programs.h"

enum { ROWS = 64, MOST = 400 };
static int64_t rows_run = ROWS;
static bl_context *ctx;
static const bli_exec_kernels *truth;

static void spoil(void *first, int64_t n)
{
    if (n > 0)
        *(uint8_t *)first ^= 1;
}

#define PRODUCT(name)                                                                                                  \
    static void bad_##name(const bli_product *p, const bli_rows *in, void *y)                                          \
    {                                                                                                                  \
        truth->name(p, in, y);                                                                                         \
        spoil(y, 1);                                                                                                   \
    }
#define STAGE(bits)                                                                                                    \
    static void bad_stage##bits(const bli_stage *s, int##bits##_t *v, int64_t rows, int64_t width)                     \
    {                                                                                                                  \
        truth->stage##bits[s->kind](s, v, rows, width);                                                                \
        spoil(v, rows);                                                                                                \
    }                                                                                                                  \
    static void bad_combine##bits(const bli_combine *c, int##bits##_t *v, const int##bits##_t *b, int64_t step,        \
                                  int64_t rows, int64_t width)                                                         \
    {                                                                                                                  \
        truth->combine##bits(c, v, b, step, rows, width);                                                              \
        spoil(v, rows);                                                                                                \
    }
#define MOVE(bits, k)                                                                                                  \
    static void bad_load##bits##_##k(const void *x, int64_t n, int##bits##_t bias, int##bits##_t *v)                   \
    {                                                                                                                  \
        truth->load##bits[k](x, n, bias, v);                                                                           \
        spoil(v, n);                                                                                                   \
    }                                                                                                                  \
    static void bad_store##bits##_##k(const int##bits##_t *v, int64_t n, int##bits##_t bias, void *x)                  \
    {                                                                                                                  \
        truth->store##bits[k](v, n, bias, x);                                                                          \
        spoil(x, n);                                                                                                   \
    }
#define PRODUCTS(X) X(product8) X(product16) X(product32) X(product64) X(bits1) X(bits2) X(tiles8) X(packed8)
#define MOVES(X)    X(32, 0) X(32, 1) X(32, 2) X(32, 3) X(64, 0) X(64, 1) X(64, 2) X(64, 3)
PRODUCTS(PRODUCT)
STAGE(32)
STAGE(64)
MOVES(MOVE)

static void bad_bits32(const int32_t *v, int64_t n, int32_t zero, uint32_t *x)
{
    truth->bits32(v, n, zero, x);
    spoil(x, n);
}
static void bad_reach32(const int32_t *v, const int32_t *limit, int64_t n, uint32_t *x)
{
    truth->reach32(v, limit, n, x);
    spoil(x, n);
}
static void bad_shift8(const bli_stage *s, const int32_t *v, int64_t n, int32_t bias, uint8_t *x)
{
    truth->shift8(s, v, n, bias, x);
    spoil(x, n);
}
static void bad_encode(const bli_encode *e, const float *x, int64_t n, int32_t *v)
{
    truth->encode(e, x, n, v);
    spoil(v, n);
}
static void bad_encode8(const bli_encode *e, const float *x, int64_t n, int32_t bias, uint8_t *y)
{
    truth->encode8(e, x, n, bias, y);
    spoil(y, n);
}
static void bad_decode(const bli_decode *d, const int32_t *v, int64_t n, float *y)
{
    truth->decode(d, v, n, y);
    spoil(y, n);
}
static void bad_max8(const uint8_t *x, int64_t n, uint8_t *y)
{
    truth->max8(x, n, y);
    spoil(y, n);
}
static void bad_taps8(const uint8_t *x, int64_t step, int64_t taps, int64_t move, int64_t positions, int64_t n,
                      uint8_t *y)
{
    truth->taps8(x, step, taps, move, positions, n, y);
    spoil(y, positions * n);
}

static void bad_unpack(const bli_product *p, const bli_product_block *b, int first, int panels, void *bytes)
{
    truth->unpack(p, b, first, panels, bytes);
    spoil(bytes, b->groups);
}

/* One kernel of a table: its name, and how it is spoiled in a copy. */
typedef struct spoiling {
    const char *name;
    void (*put)(bli_exec_kernels *k, bli_exec_plan *plan);
} spoiling;

static void replace_product(bli_exec_plan *plan, bli_product_fn from, bli_product_fn to)
{
    for (int i = 0; i < plan->num_steps; i++)
        if (from) {
            plan->steps[i].fn = plan->steps[i].fn == from ? to : plan->steps[i].fn;
            plan->steps[i].fn_many = plan->steps[i].fn_many == from ? to : plan->steps[i].fn_many;
            plan->steps[i].fields = plan->steps[i].fields == from ? to : plan->steps[i].fields;
        }
}
#define PUT_PRODUCT(name)                                                                                              \
    static void put_##name(bli_exec_kernels *k, bli_exec_plan *plan)                                                   \
    {                                                                                                                  \
        (void)k;                                                                                                       \
        replace_product(plan, truth->name, bad_##name);                                                                \
    }
#define PUT(name)                                                                                                      \
    static void put_##name(bli_exec_kernels *k, bli_exec_plan *plan)                                                   \
    {                                                                                                                  \
        (void)plan;                                                                                                    \
        k->name = truth->name ? bad_##name : NULL;                                                                     \
    }
#define PUT_MOVE(bits, i)                                                                                              \
    static void put_load##bits##_##i(bli_exec_kernels *k, bli_exec_plan *plan)                                         \
    {                                                                                                                  \
        (void)plan;                                                                                                    \
        k->load##bits[i] = bad_load##bits##_##i;                                                                       \
    }                                                                                                                  \
    static void put_store##bits##_##i(bli_exec_kernels *k, bli_exec_plan *plan)                                        \
    {                                                                                                                  \
        (void)plan;                                                                                                    \
        k->store##bits[i] = bad_store##bits##_##i;                                                                     \
    }
#define SIMPLE(X)                                                                                                      \
    X(combine32) X(combine64) X(bits32) X(reach32) X(shift8) X(encode) X(encode8) X(decode) X(max8) X(taps8) X(unpack)
PRODUCTS(PUT_PRODUCT)
SIMPLE(PUT)
MOVES(PUT_MOVE)

#define LINE(name) {#name, put_##name},
#define LINE_MOVE(bits, i)                                                                                             \
    {"load" #bits "[" #i "]", put_load##bits##_##i}, {"store" #bits "[" #i "]", put_store##bits##_##i},
static const spoiling spoilings[] = {PRODUCTS(LINE) SIMPLE(LINE) MOVES(LINE_MOVE)};
enum { PLAIN = BLI_COUNT(spoilings), ALL = PLAIN + 2 * BLI_STAGE_COUNT };

/* Kernel i of the plan is spoiled; stages come after the others. */
static void put_fault(bli_exec_plan *plan, int i, bli_exec_kernels *k)
{
    static void (*stages32[BLI_STAGE_COUNT])(const bli_stage *, int32_t *, int64_t, int64_t);
    static void (*stages64[BLI_STAGE_COUNT])(const bli_stage *, int64_t *, int64_t, int64_t);
    *k = *truth;
    plan->kernels = k;
    if (i < PLAIN) {
        spoilings[i].put(k, plan);
        return;
    }
    memcpy(stages32, truth->stage32, sizeof stages32);
    memcpy(stages64, truth->stage64, sizeof stages64);
    if (i - PLAIN < BLI_STAGE_COUNT)
        stages32[i - PLAIN] = bad_stage32;
    else
        stages64[i - PLAIN - BLI_STAGE_COUNT] = bad_stage64;
    k->stage32 = stages32;
    k->stage64 = stages64;
}

/* One program and rows for it: codes, and real numbers whose codes the executor finds. */
typedef struct load {
    bl_program *program;
    int64_t *codes;
    float *real;
} load;

static load load_of(bl_program *p, uint64_t seed)
{
    draw d = {seed};
    load l = {.program = p};
    const int64_t n = p->wires[p->inputs[0].wire].count;
    program_values *v = program_values_create(p);
    l.codes = calloc((size_t)(ROWS * n) + 1, sizeof *l.codes);
    l.real = calloc((size_t)(ROWS * n) + 1, sizeof *l.real);
    for (int r = 0; r < ROWS; r++) {
        program_values_draw(v, seed, r);
        memcpy(l.codes + r * n, v->codes[0], (size_t)n * sizeof *l.codes);
    }
    for (int64_t i = 0; i < ROWS * n; i++)
        l.real[i] = (float)draw_between(&d, -1000, 1000) / (float)((int64_t)1 << draw_between(&d, 0, 10));
    program_values_destroy(v);
    return l;
}

static void free_load(load *l)
{
    free(l->codes);
    free(l->real);
    bl_program_destroy(l->program);
}

/* Through an executor with fault i (-1: none): real numbers into *y, or codes. */
static void run_with(const load *l, const char *isa, int i, bool real, void *y)
{
    const bl_executor_options o = {.isa = isa, .threads = 1, .pack = BL_PACK_ALWAYS};
    bl_executor *e;
    bli_exec_kernels k;
    int64_t *codes = y;
    const float *x = l->real;
    const int64_t *c = l->codes;
    assert_ok(ctx, bl_executor_create(ctx, l->program, &o, &e));
    bli_exec_plan *plan = bli_executor_plan(e);
    truth = plan->kernels;
    if (i >= 0)
        put_fault(plan, i, &k);
    if (real)
        assert_ok(ctx, bl_executor_run(e, &x, rows_run, &y));
    else
        assert_ok(ctx, bl_executor_run_codes(e, &c, rows_run, &codes));
    bl_executor_destroy(e);
}

/* Lanes of 32 bits come from codes of 64 by no plan; some tables have no products in tiles, by packed constants in
 * registers, or codes made into bytes at once. */
static bool needed(int i)
{
    const char *name = i < PLAIN ? spoilings[i].name : "";
    return strcmp(name, "load32[3]") != 0 && (strcmp(name, "tiles8") != 0 || truth->tiles8) &&
           (strcmp(name, "packed8") != 0 || truth->packed8) && (strcmp(name, "encode8") != 0 || truth->encode8);
}

static void spoil_each(load l, const char *isa, bool *seen)
{
    const size_t bytes = (size_t)(ROWS * l.program->wires[l.program->outputs[0].wire].count) * sizeof(double);
    void *want = calloc(bytes + 1, 1), *y = calloc(bytes + 1, 1);
    for (int real = 0; real < 2; real++) {
        memset(want, 0, bytes);
        memset(y, 0, bytes);
        run_with(&l, isa, -1, real, want);
        for (int i = 0; i < ALL; i++)
            if (!seen[i]) {
                run_with(&l, isa, i, real, y);
                seen[i] = memcmp(want, y, bytes) != 0;
            }
    }
    free(want);
    free(y);
    free_load(&l);
}

/* One operation on as many codes of this format. */
static bl_program *single(const char *format, int64_t length, bli_prim_op op)
{
    bli_builder *b;
    bl_program *p;
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    bli_output out = {.name = "y"};
    op.num_in = op.kind == BLI_PRIM_ADD ? 2 : 1;
    assert_ok(ctx, bl_format_parse(ctx, format, &in.format));
    assert_ok(ctx, bli_builder_create(ctx, format, &b));
    assert_ok(ctx, bli_builder_input(b, &in, "x", &(bl_shape){1, {length}}, &op.in[0]));
    op.in[1] = op.in[0];
    assert_ok(ctx, bli_builder_add(b, &op, "y", "y", NULL, 0, &out.wire));
    assert_ok(ctx, bli_builder_output(b, &out));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    return p;
}

/* Constants from -most to most; signs: without 0. */
static bl_program *layer(const char *format, int64_t length, int64_t columns, int64_t most, bool signs)
{
    draw d = {(uint64_t)(length * columns)};
    int64_t *w = calloc((size_t)(length * columns), sizeof *w);
    for (int64_t i = 0; i < length * columns; i++)
        w[i] = signs ? draw_between(&d, 0, 1) * 2 - 1 : draw_between(&d, -most, most);
    bl_program *p = single(format, length, (bli_prim_op){.kind = BLI_PRIM_DENSE, .channels = columns, .weight = w});
    free(w);
    return p;
}

/* What random programs are too small for: products in tiles, by packed constants, of single bits, of wide codes. */
static void spoil_products(const char *isa, bool *seen)
{
    spoil_each(load_of(layer("uint<8>", 256, 64, 127, false), 1), isa, seen);
    spoil_each(load_of(layer("binary", 128, 32, 1, true), 2), isa, seen);
    spoil_each(load_of(layer("binary", 128, 32, 1, false), 3), isa, seen);
    spoil_each(load_of(layer("int<40>", 16, 16, 9, false), 4), isa, seen);
    spoil_each(load_of(layer("uint<8>", 200, 48, 7, false), 5), isa, seen);
    rows_run = 1; /* in registers */
    spoil_each(load_of(layer("uint<8>", 200, 48, 7, false), 6), isa, seen);
    rows_run = ROWS;
}

/* What they seldom hold: stages in lanes of 64 bits. */
enum { MANY = 40, BYTES = 256 };
static const int64_t three = 3, thirty = 30, zero = 0;
#define ONE .channels = 1
#define ROUND(how)                                                                                                     \
    {                                                                                                                  \
        .kind = BLI_PRIM_ROUND, ONE, .rounding = how, .shift = &three                                                  \
    }
#define OVERFLOW(how, sign)                                                                                            \
    {                                                                                                                  \
        .kind = BLI_PRIM_OVERFLOW, ONE, .overflow = how, .is_signed = sign, .bits = &thirty                            \
    }
static const bli_prim_op wide_ops[] = {ROUND(BL_TRN),
                                       ROUND(BL_TRN_ZERO),
                                       ROUND(BL_RND_INF),
                                       ROUND(BL_RND_CONV),
                                       OVERFLOW(BL_WRAP, true),
                                       OVERFLOW(BL_WRAP, false),
                                       OVERFLOW(BL_WRAP_SM, true),
                                       OVERFLOW(BL_SAT_ZERO, true),
                                       {.kind = BLI_PRIM_ABS},
                                       {.kind = BLI_PRIM_CLAMP, ONE, .low = &zero, .high = &thirty},
                                       {.kind = BLI_PRIM_ADD, .shift_a = 1}};

static void spoil_stages(const char *isa, bool *seen)
{
    static int64_t one[MANY], rising[MANY], wide[BYTES];
    for (int64_t i = 0; i < MANY; i++) {
        one[i] = 1;
        rising[i] = i * i - MANY;
    }
    for (int64_t i = 0; i < BYTES; i++)
        wide[i] = i << 32 | i;
    bli_prim_op stairs = {
        .kind = BLI_PRIM_THRESHOLD, ONE, .length = MANY, .threshold = rising, .base = &zero, .step = one};
    spoil_each(load_of(single("int<40>", MANY, stairs), 1), isa, seen);
    spoil_each(load_of(single("int<12>", MANY, stairs), 2), isa, seen);
    stairs.length = 4;
    spoil_each(load_of(single("int<40>", MANY, stairs), 3), isa, seen);
    const bli_prim_op table = {.kind = BLI_PRIM_TABLE, ONE, .length = BYTES, .table = wide};
    spoil_each(load_of(single("uint<8>", MANY, table), 4), isa, seen);
    spoil_each(load_of(single("fixed<12,12,RND,SAT>", MANY, (bli_prim_op){.kind = BLI_PRIM_ABS}), 5), isa, seen);
    for (size_t i = 0; i < BLI_COUNT(wide_ops); i++)
        spoil_each(load_of(single("int<40>", MANY, wide_ops[i]), 6 + i), isa, seen);
}

static bool all_seen(const bool *seen)
{
    for (int i = 0; i < ALL; i++)
        if (!seen[i] && needed(i))
            return false;
    return true;
}

static void spoil_random(uint64_t seed, const char *isa, bool *seen)
{
    const program_wishes wishes = {.ops = 14, .elements = 400, .single = true, .narrow = seed % 2 == 0};
    spoil_each(load_of(random_program_like(ctx, seed, &wishes), seed), isa, seen);
}

static int spoil_all(const char *isa)
{
    static const uint64_t rare[] = {271, 118, 83, 59, 45}; /* programs that have what few have */
    bool seen[ALL] = {false};
    int missing = 0;
    spoil_products(isa, seen);
    spoil_stages(isa, seen);
    for (size_t i = 0; i < BLI_COUNT(rare); i++)
        spoil_random(rare[i], isa, seen);
    uint64_t seed = 1;
    for (; seed <= MOST && !all_seen(seen); seed++)
        spoil_random(seed, isa, seen);
    print_message("%s: %d random programs\n", isa, (int)(seed - 1 + BLI_COUNT(rare)));
    for (int i = 0; i < ALL; i++)
        if (!seen[i] && needed(i)) {
            print_error("%s: a fault in %s %d was not seen\n", isa, i < PLAIN ? spoilings[i].name : "stage",
                        i < PLAIN ? 0 : i - PLAIN);
            missing++;
        }
    return missing;
}

static int num_wanted;
static char **wanted;

static bool is_wanted(const char *isa)
{
    for (int i = 0; i < num_wanted; i++)
        if (strcmp(wanted[i], isa) == 0)
            return true;
    return num_wanted == 0;
}

static void a_fault_in_any_kernel_is_seen(void **state)
{
    (void)state;
    int missing = 0;
    for (int i = 0; bli_exec_kernels_at(i) != NULL; i++)
        if (is_wanted(bli_exec_kernels_at(i)->name))
            missing += spoil_all(bli_exec_kernels_at(i)->name);
    assert_int_equal(missing, 0);
}

/* Arguments: the instruction sets to go through; none: all. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_fault_in_any_kernel_is_seen)};
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    num_wanted = argc - 1;
    wanted = argv + 1;
    bl_context_set_threads(ctx, 1);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bl_context_destroy(ctx);
    return failed;
}
