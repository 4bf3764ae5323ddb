/* A fault put in on purpose is seen: in lowering, in the interpreter, in each kernel of the executor on each
 * instruction set, in emitted C, HLS C++ of every strategy, and Verilog of every strategy.
 *
 * The ways and the comparisons are those of test_proof.c.  Kernels get their faults through a changed copy of their
 * table, emitted sources through an edit before they are compiled, the others through a changed program.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "exec/exec.h"
#include "support/programs.h"
#include "support/proof.h"

enum { MOST_NETS = 700 };
static bl_context *ctx;

/* The next network of seeds *seed .. that lowers to a small program with products. */
static proof_net next_dense(uint64_t *seed)
{
    for (;; (*seed)++) {
        char reason[200];
        proof_net n;
        if (proof_draw(ctx, *seed, &n, reason, sizeof reason) && n.size < 400)
            for (int i = 0; i < n.program->num_ops; i++)
                if (n.program->ops[i].kind == BLI_PRIM_DENSE) {
                    (*seed)++;
                    return n;
                }
        proof_free(ctx, &n);
    }
}

/* ---- lowering, interpreter ------------------------------------------------------------------------------------------
 */
/* The first weight of the first product is one more, as if lowered so. */
static bl_program *changed(const bl_program *p)
{
    char *text, *rest;
    bl_program *out = NULL;
    assert_ok(ctx, bl_program_print(p, &text));
    char *at = strstr(strstr(text, " = dense "), "weight [") + strlen("weight [");
    const long long weight = strtoll(at, &rest, 10);
    char *to = calloc(strlen(text) + 32, 1);
    sprintf(to, "%.*s%lld%s", (int)(at - text), text, weight + 1, rest);
    assert_ok(ctx, bl_program_parse(ctx, to, strlen(to), &out));
    free(to);
    bl_text_free(ctx, text);
    return out;
}

static void a_fault_in_lowering_is_seen(void **state)
{
    (void)state;
    uint64_t seed = 1;
    int seen = 0;
    for (int k = 0; k < 5; k++) {
        proof_net n = next_dense(&seed), wrong = n;
        wrong.program = changed(n.program);
        seen += proof_run(ctx, &proof_ways[3], &wrong, 1, NULL) == 0;
        assert_int_equal(proof_run(ctx, &proof_ways[0], &n, 1, NULL), 0);
        bl_program_destroy(wrong.program);
        proof_free(ctx, &n);
    }
    assert_true(seen < 5);
}

/* One code of all that the interpreter gave is another. */
static void a_fault_in_the_interpreter_is_seen(void **state)
{
    (void)state;
    uint64_t seed = 1;
    proof_net n = next_dense(&seed);
    n.vectors.outputs[0][5] ^= 1;
    for (int w = 0; w < proof_way_count; w++)
        if (!proof_ways[w].strategy) {
            const int result = proof_run(ctx, &proof_ways[w], &n, 1, NULL);
            assert_true(result == 1 || result < 0);
        }
    proof_free(ctx, &n);
}

/* ---- kernels --------------------------------------------------------------------------------------------------------
 */
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
#define PRODUCTS(X) X(product8) X(product16) X(product32) X(product64) X(bits1) X(bits2) X(tiles8) X(product4)
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

/* One kernel of a table: its name, and how it is spoiled in a copy. */
typedef struct spoiling {
    const char *name;
    void (*put)(bli_exec_kernels *k, bli_exec_plan *plan);
} spoiling;

static void replace_product(bli_exec_plan *plan, bli_product_fn from, bli_product_fn to)
{
    for (int i = 0; i < plan->num_steps; i++)
        if (from && plan->steps[i].fn == from)
            plan->steps[i].fn = to;
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
    X(combine32) X(combine64) X(bits32) X(reach32) X(shift8) X(encode) X(encode8) X(decode) X(max8) X(taps8)
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

/* What goes through: real numbers of a network, or codes of a program. */
typedef struct load {
    const bl_program *program;
    const float *real;
    const int64_t *codes;
} load;

/* Through an executor with fault i (-1: none), into room for doubles. */
static void run_with(const load *l, const char *isa, int i, void *y)
{
    const bl_executor_options o = {.isa = isa, .threads = 1};
    bl_executor *e;
    bli_exec_kernels k;
    int64_t *codes = y;
    assert_ok(ctx, bl_executor_create(ctx, l->program, &o, &e));
    bli_exec_plan *plan = bli_executor_plan(e);
    truth = plan->kernels;
    if (i >= 0)
        put_fault(plan, i, &k);
    if (l->real)
        assert_ok(ctx, bl_executor_run(e, &l->real, PROOF_ROWS, &y));
    else
        assert_ok(ctx, bl_executor_run_codes(e, &l->codes, PROOF_ROWS, &codes));
    bl_executor_destroy(e);
}

/* Kernels that nothing drawn here needs: products in tiles and by constants of 4 bits are for larger layers; codes are
 * made into bytes at once on some machines only; lanes of 32 bits come from codes of 64 by no plan; four stages in
 * lanes of 64 bits stand behind sums that are seldom so wide. */
static bool needed(int i)
{
    static const char *const large[] = {"product4", "tiles8", "encode8", "load32[3]"};
    static const bli_stage_kind seldom[] = {BLI_STAGE_SHIFT, BLI_STAGE_ROUND_ZERO, BLI_STAGE_SEARCH, BLI_STAGE_ABS};
    const char *name = i < PLAIN ? spoilings[i].name : "";
    for (size_t k = 0; k < BLI_COUNT(seldom); k++)
        if (i == (int)PLAIN + (int)BLI_STAGE_COUNT + (int)seldom[k])
            return false;
    for (size_t k = 0; k < BLI_COUNT(large); k++)
        if (strcmp(name, large[k]) == 0)
            return false;
    return true;
}

static void spoil_each(const load *l, const char *isa, bool *seen)
{
    const bl_program *p = l->program;
    const size_t bytes = (size_t)(PROOF_ROWS * p->wires[p->outputs[0].wire].count) * sizeof(double);
    void *want = calloc(bytes + 1, 1), *y = calloc(bytes + 1, 1);
    run_with(l, isa, -1, want);
    for (int i = 0; i < ALL; i++)
        if (!seen[i]) {
            run_with(l, isa, i, y);
            seen[i] = memcmp(want, y, bytes) != 0;
        }
    free(want);
    free(y);
}

/* Programs have what networks seldom need: products and elements of 32 and 64 bits. */
static void spoil_program(uint64_t seed, const char *isa, bool *seen)
{
    const program_wishes wishes = {.ops = 14, .elements = 400, .single = true, .narrow = seed % 2 == 0};
    bl_program *p = random_program_like(ctx, seed, &wishes);
    program_values *v = program_values_create(p);
    const int64_t n = p->wires[p->inputs[0].wire].count;
    int64_t *codes = calloc((size_t)(PROOF_ROWS * n) + 1, sizeof *codes);
    for (int r = 0; r < PROOF_ROWS; r++) {
        program_values_draw(v, seed, r);
        memcpy(codes + r * n, v->codes[0], (size_t)n * sizeof *codes);
    }
    spoil_each(&(load){.program = p, .codes = codes}, isa, seen);
    free(codes);
    program_values_destroy(v);
    bl_program_destroy(p);
}

static bool all_seen(const bool *seen)
{
    for (int i = 0; i < ALL; i++)
        if (!seen[i] && needed(i))
            return false;
    return true;
}

static void spoil_all(const char *isa, bool *seen)
{
    for (uint64_t seed = 1; seed <= MOST_NETS && !all_seen(seen); seed++) {
        char reason[200];
        proof_net n;
        if (proof_draw(ctx, seed, &n, reason, sizeof reason))
            spoil_each(&(load){.program = n.program, .real = n.x.data}, isa, seen);
        proof_free(ctx, &n);
        spoil_program(seed, isa, seen);
    }
}

static void a_fault_in_any_kernel_is_seen(void **state)
{
    (void)state;
    static const char *const isas[] = {"generic", "avx2", "avx512"};
    int missing = 0;
    for (size_t s = 0; s < BLI_COUNT(isas); s++) {
        bool seen[ALL] = {false};
        const bl_executor_options o = {.isa = isas[s]};
        bl_executor *e;
        uint64_t seed = 1;
        proof_net n = next_dense(&seed);
        const bl_status can = bl_executor_create(ctx, n.program, &o, &e);
        bl_executor_destroy(can == BL_OK ? e : NULL);
        proof_free(ctx, &n);
        if (can != BL_OK)
            continue;
        spoil_all(isas[s], seen);
        for (int i = 0; i < ALL; i++)
            if (!seen[i] && needed(i)) {
                print_error("%s: a fault in %s %d was not seen\n", isas[s], i < PLAIN ? spoilings[i].name : "stage",
                            i < PLAIN ? 0 : i - PLAIN);
                missing++;
            }
    }
    assert_int_equal(missing, 0);
}

/* ---- emitted sources ------------------------------------------------------------------------------------------------
 */
static const struct {
    const char *way;
    proof_fault fault;
} edits[] = {
    {"c", {".c", "sum += ", "sum -= "}},
    {"hls latency", {"/firmware/net*.cpp", "acc[c] += ", "acc[c] -= "}},
    {"hls latency stream", {"/firmware/net*.cpp", "acc[c] += ", "acc[c] -= "}},
    {"hls resource", {"/firmware/net*.cpp", "acc[n / k_count] += ", "acc[n / k_count] -= "}},
    {"hls resource stream", {"/firmware/net*.cpp", "acc[n / k_count] += ", "acc[n / k_count] -= "}},
    {"hls da", {"/firmware/net*.cpp", ") + ap_", ") - ap_"}},
    {"hls da stream", {"/firmware/net*.cpp", ") + ap_", ") - ap_"}},
    {"verilog latency", {"_core.v", "_add #(", "_sub #("}},
    {"verilog da", {"_core.v", "_add #(", "_sub #("}},
    {"verilog da3", {"_core.v", "_add #(", "_sub #("}},
    {"verilog da stream", {"_core.v", "_add #(", "_sub #("}},
    {"verilog resource", {"_cells.v", " : q) + addend", " : q) - addend"}},
    {"verilog resource stream", {"_cells.v", " : q) + addend", " : q) - addend"}},
    {"verilator latency", {"_core.v", "_add #(", "_sub #("}},
};

static const proof_way *way_named(const char *name)
{
    for (int w = 0; w < proof_way_count; w++)
        if (strcmp(proof_ways[w].name, name) == 0)
            return &proof_ways[w];
    fail_msg("no way '%s'", name);
    return NULL;
}

static void a_fault_in_emitted_sources_is_seen(void **state)
{
    (void)state;
    enum { EACH = 3 };
    proof_net nets[EACH];
    uint64_t seed = 1;
    for (int k = 0; k < EACH; k++)
        nets[k] = next_dense(&seed);
    for (size_t i = 0; i < BLI_COUNT(edits); i++) {
        const proof_way *way = way_named(edits[i].way);
        const int result = proof_run(ctx, way, nets, EACH, &edits[i].fault);
        print_message("%s: %d of %d\n", way->name, result, EACH);
        assert_int_not_equal(result, 0);
    }
    for (int k = 0; k < EACH; k++)
        proof_free(ctx, &nets[k]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_in_lowering_is_seen),
        cmocka_unit_test(a_fault_in_the_interpreter_is_seen),
        cmocka_unit_test(a_fault_in_any_kernel_is_seen),
        cmocka_unit_test(a_fault_in_emitted_sources_is_seen),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    bl_context_set_threads(ctx, 1);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bl_context_destroy(ctx);
    return failed;
}
