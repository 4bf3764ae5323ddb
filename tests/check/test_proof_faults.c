/* A fault put in on purpose is seen: in lowering, in the interpreter, in emitted C, HLS C++ of every strategy, and
 * Verilog of every strategy.
 *
 * The ways and the comparisons are those of test_proof.c.  Emitted sources get their faults through an edit before they
 * are compiled, the others through a changed program.  Those of the executor's kernels: test_kernel_faults.c.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "support/proof.h"

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

/* ---- emitted sources ------------------------------------------------------------------------------------------------
 */
static const struct {
    const char *way;
    proof_fault fault;
} edits[] = {
    {"c", {".c", "sum += ", "sum -= ", 0}},
    {"hls latency", {"/firmware/net*.cpp", "acc[c] += ", "acc[c] -= ", 0}},
    {"hls latency stream", {"/firmware/net*.cpp", "acc[c] += ", "acc[c] -= ", 0}},
    {"hls resource", {"/firmware/net*.cpp", "acc[n / k_count] += ", "acc[n / k_count] -= ", 0}},
    {"hls resource stream", {"/firmware/net*.cpp", "acc[n / k_count] += ", "acc[n / k_count] -= ", 0}},
    {"hls da", {"/firmware/net*.cpp", ") + ap_", ") - ap_", 0}},
    {"hls da stream", {"/firmware/net*.cpp", ") + ap_", ") - ap_", 0}},
    {"verilog latency", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilog da", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilog da3", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilog da stream", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilog resource", {"_cells.v", "A] + addend", "A] - addend", 0}},
    {"verilog resource stream", {"_cells.v", "A] + addend", "A] - addend", 0}},
    {"verilog wide da", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilog wide da stream", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilog wide resource", {"_cells.v", "A] + addend", "A] - addend", 0}},
    {"verilator latency", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilator da stream", {"_core.v", "_add #(", "_sub #(", 0}},
    {"verilator resource", {"_cells.v", "A] + addend", "A] - addend", 0}},
};

static const proof_way *way_named(const char *name)
{
    for (int w = 0; w < proof_way_count; w++)
        if (strcmp(proof_ways[w].name, name) == 0)
            return &proof_ways[w];
    fail_msg("no way '%s'", name);
    return NULL;
}

static bool has_fault(const proof_way *way)
{
    for (size_t i = 0; i < BLI_COUNT(edits); i++)
        if (strcmp(edits[i].way, way->name) == 0)
            return true;
    return false;
}

static void every_way_of_emitted_sources_has_a_fault(void **state)
{
    (void)state;
    for (int w = 0; w < proof_way_count; w++)
        if (proof_ways[w].batch > 0 && !has_fault(&proof_ways[w]))
            fail_msg("no fault for '%s'", proof_ways[w].name);
}

static void a_fault_in_emitted_sources_is_seen(void **state)
{
    (void)state;
    enum { EACH = 4 }; /* of HLS projects two go through g++, two through clang++ */
    proof_net nets[EACH];
    uint64_t seed = 1;
    for (int k = 0; k < EACH; k++)
        nets[k] = next_dense(&seed);
    for (size_t i = 0; i < BLI_COUNT(edits); i++) {
        const proof_way *way = way_named(edits[i].way);
        const int result = proof_run(ctx, way, nets, EACH, &edits[i].fault);
        print_message("%s: %d of %d\n", way->name, result, EACH);
        assert_int_not_equal(result, 0);
        for (int k = 0; k < EACH && result > 0; k++)
            assert_false(nets[k].broken);
    }
    for (int k = 0; k < EACH; k++)
        proof_free(ctx, &nets[k]);
}

/* By itself, and the others of its batch get their verdicts. */
static void a_network_that_does_not_compile_is_named(void **state)
{
    (void)state;
    enum { EACH = 5, BAD = 2 };
    static const struct {
        const char *way;
        proof_fault fault;
    } breaks[] = {
        {"c", {".c", "sum += ", "sum = = ", 0}},
        {"verilog da", {"_core.v", "_add #(", "_add #((", 0}},
    };
    proof_net nets[EACH];
    uint64_t seed = 1;
    for (int k = 0; k < EACH; k++)
        nets[k] = next_dense(&seed);
    for (size_t i = 0; i < BLI_COUNT(breaks); i++) {
        proof_fault f = breaks[i].fault;
        f.seed = nets[BAD].seed;
        const int result = proof_run(ctx, way_named(breaks[i].way), nets, EACH, &f);
        assert_true(result == 1 || result < 0);
        for (int k = 0; k < EACH && result > 0; k++)
            assert_int_equal(nets[k].broken, k == BAD);
    }
    for (int k = 0; k < EACH; k++)
        proof_free(ctx, &nets[k]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_in_lowering_is_seen),
        cmocka_unit_test(a_fault_in_the_interpreter_is_seen),
        cmocka_unit_test(every_way_of_emitted_sources_has_a_fault),
        cmocka_unit_test(a_fault_in_emitted_sources_is_seen),
        cmocka_unit_test(a_network_that_does_not_compile_is_named),
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
