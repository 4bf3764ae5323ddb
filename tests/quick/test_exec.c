/* test_exec.c: the executor gives the interpreter's bits: random programs, every instruction set here, 1 to 3 threads,
 * batches of odd sizes, fused and traced, real numbers and codes; and it allocates nothing once it is made.  Run under
 * TSan.
 */
#include <math.h>

#include "base/cpu.h"
#include "bitlathe/exec.h"
#include "exec/exec.h"
#include "support/memory.h"
#include "support/programs.h"
#include "support/test.h"

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

/* Everything for `rows` samples: inputs as codes and as real numbers, and what the interpreter makes of them. */
typedef struct rows_of {
    const bli_program *p;
    int64_t rows;
    int64_t **codes, **wires; /* [input], [wire]: rows samples, from codes */
    float **reals;
    void **real_out;     /* expected, of each output's type, from real numbers */
    int64_t **got_wires; /* room */
    int64_t **got_codes; /* of outputs */
    void **got_reals;
} rows_of;

static void *room(int64_t n, size_t size)
{
    void *v = calloc((size_t)n + 1, size);
    assert_non_null(v);
    return v;
}

static int64_t count_of_output(const bli_program *p, int k)
{
    return p->wires[p->outputs[k].wire].count;
}

static float real_for(draw *d)
{
    static const float special[] = {0,      -0.0f,    1,         -1,  0.5f,   -0.5f,  1e30f,
                                    -1e30f, INFINITY, -INFINITY, NAN, 1e-40f, -1e-40f};
    if (draw_chance(d, 10))
        return special[draw_between(d, 0, (int64_t)BLI_COUNT(special) - 1)];
    const float v = (float)draw_between(d, -100000, 100000);
    return draw_chance(d, 50) ? v / 4096.0f : draw_chance(d, 50) ? v / 100.0f : v / 3777.0f;
}

static void interpret_codes(rows_of *w, program_values *v, uint64_t seed, int64_t r)
{
    const bli_program *p = w->p;
    program_values_draw(v, seed, (int)r);
    assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
    for (int i = 0; i < p->num_inputs; i++)
        memcpy(w->codes[i] + r * p->wires[i].count, v->codes[i], (size_t)p->wires[i].count * sizeof(int64_t));
    for (int i = 0; i < p->num_wires; i++)
        memcpy(w->wires[i] + r * p->wires[i].count, v->wires[i], (size_t)p->wires[i].count * sizeof(int64_t));
}

static void interpret_reals(rows_of *w, program_values *v, int64_t r)
{
    const bli_program *p = w->p;
    for (int i = 0; i < p->num_inputs; i++)
        assert_ok(ctx, bli_program_encode(p, i, w->reals[i] + r * p->wires[i].count, v->codes[i]));
    assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
    for (int k = 0; k < p->num_outputs; k++) {
        const int64_t n = count_of_output(p, k);
        double *y = room(n, sizeof *y);
        bli_program_decode(p, k, v->wires[p->outputs[k].wire], y);
        for (int64_t e = 0; e < n; e++)
            if (p->outputs[k].wide)
                ((double *)w->real_out[k])[r * n + e] = y[e];
            else
                ((float *)w->real_out[k])[r * n + e] = (float)y[e];
        free(y);
    }
}

static rows_of rows_make(const bli_program *p, int64_t rows, uint64_t seed)
{
    rows_of w = {.p = p, .rows = rows};
    w.codes = room(p->num_inputs, sizeof *w.codes);
    w.reals = room(p->num_inputs, sizeof *w.reals);
    w.wires = room(p->num_wires, sizeof *w.wires);
    w.got_wires = room(p->num_wires, sizeof *w.wires);
    w.real_out = room(p->num_outputs, sizeof *w.real_out);
    w.got_reals = room(p->num_outputs, sizeof *w.real_out);
    w.got_codes = room(p->num_outputs, sizeof *w.got_codes);
    draw d = {seed + 77};
    for (int i = 0; i < p->num_inputs; i++) {
        w.codes[i] = room(rows * p->wires[i].count, sizeof **w.codes);
        w.reals[i] = room(rows * p->wires[i].count, sizeof **w.reals);
        for (int64_t e = 0; e < rows * p->wires[i].count; e++)
            w.reals[i][e] = real_for(&d);
    }
    for (int i = 0; i < p->num_wires; i++) {
        w.wires[i] = room(rows * p->wires[i].count, sizeof **w.wires);
        w.got_wires[i] = room(rows * p->wires[i].count, sizeof **w.wires);
    }
    for (int k = 0; k < p->num_outputs; k++) {
        w.real_out[k] = room(rows * count_of_output(p, k), sizeof(double));
        w.got_reals[k] = room(rows * count_of_output(p, k), sizeof(double));
        w.got_codes[k] = room(rows * count_of_output(p, k), sizeof(int64_t));
    }
    program_values *v = program_values_create(p);
    for (int64_t r = 0; r < rows; r++) {
        interpret_codes(&w, v, seed, r);
        interpret_reals(&w, v, r);
    }
    program_values_destroy(v);
    return w;
}

static void free_all(void *list, int n)
{
    for (int i = 0; i < n; i++)
        free(((void **)list)[i]);
    free(list);
}

static void rows_free(rows_of *w)
{
    free_all(w->codes, w->p->num_inputs);
    free_all(w->reals, w->p->num_inputs);
    free_all(w->wires, w->p->num_wires);
    free_all(w->got_wires, w->p->num_wires);
    free_all(w->real_out, w->p->num_outputs);
    free_all(w->got_reals, w->p->num_outputs);
    free_all(w->got_codes, w->p->num_outputs);
}

static void same_codes(const rows_of *w, const bl_executor *e, int wire, const int64_t *got, int64_t rows)
{
    const int64_t n = w->p->wires[wire].count;
    for (int64_t i = 0; i < rows * n; i++)
        if (got[i] != w->wires[wire][i]) {
            print_error("%s, %s: wire %d '%s' (%s), sample %lld, element %lld: %lld, expected %lld\n", w->p->name,
                        bl_executor_isa(e), wire, w->p->wires[wire].name, bli_prim_word(w->p->ops[wire].kind),
                        (long long)(i / n), (long long)(i % n), (long long)got[i], (long long)w->wires[wire][i]);
            fail();
        }
}

static void same_reals(const rows_of *w, const bl_executor *e, int64_t rows)
{
    for (int k = 0; k < w->p->num_outputs; k++) {
        const bool wide = w->p->outputs[k].wide;
        for (int64_t i = 0; i < rows * count_of_output(w->p, k); i++) {
            const double got = wide ? ((double *)w->got_reals[k])[i] : (double)((float *)w->got_reals[k])[i];
            const double want = wide ? ((double *)w->real_out[k])[i] : (double)((float *)w->real_out[k])[i];
            if (memcmp(&got, &want, sizeof got) != 0) {
                print_error("%s, %s: output %d element %lld: %g, expected %g\n", w->p->name, bl_executor_isa(e), k,
                            (long long)i, got, want);
                fail();
            }
        }
    }
}

static void check(const rows_of *w, bl_executor *e, int64_t rows, bool trace)
{
    assert_ok(ctx, bl_executor_run_codes(e, (const int64_t *const *)w->codes, rows, w->got_codes));
    for (int k = 0; k < w->p->num_outputs; k++)
        same_codes(w, e, w->p->outputs[k].wire, w->got_codes[k], rows);
    assert_ok(ctx, bl_executor_run(e, (const float *const *)w->reals, rows, w->got_reals));
    same_reals(w, e, rows);
    if (!trace)
        return;
    assert_ok(ctx, bl_executor_trace_codes(e, (const int64_t *const *)w->codes, rows, w->got_wires));
    for (int i = 0; i < w->p->num_wires; i++)
        same_codes(w, e, i, w->got_wires[i], rows);
}

static void check_program(const bli_program *p, uint64_t seed, const int64_t *sizes, int num_sizes)
{
    rows_of w = rows_make(p, sizes[num_sizes - 1], seed);
    for (bli_isa isa = BLI_ISA_GENERIC; isa <= bli_cpu_isa(); isa++)
        for (int variant = 0; variant < 2; variant++) {
            const bl_executor_options o = {1 + (int)(seed + (uint64_t)isa + (uint64_t)variant) % 3, bli_isa_name(isa),
                                           variant == 1};
            bl_executor *e;
            if (strcmp(bli_exec_kernels_get(isa)->name, bli_isa_name(isa)) != 0)
                continue;
            assert_ok(ctx, bl_executor_create(ctx, p, &o, &e));
            for (int k = 0; k < num_sizes; k++)
                check(&w, e, sizes[k], o.trace);
            bl_executor_destroy(e);
        }
    rows_free(&w);
}

static void random_programs_give_the_interpreters_bits(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 3, 7};
    for (uint64_t seed = 0; seed < 400; seed++) {
        bli_program *p = random_program(ctx, seed);
        check_program(p, seed, sizes, 4);
        bli_program_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_give_the_interpreters_bits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
