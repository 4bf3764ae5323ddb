/* test_exec.c: the executor gives the interpreter's bits: random programs, every instruction set here, 1 to 3 threads,
 * batches of odd sizes, fused and traced, real numbers and codes; and it allocates nothing once it is made.
 * Run under TSan.
 *
 * Length: a maker for each kind of layer and quantizer stands beside what it is for.
 */
#include <math.h>

#include "base/cpu.h"
#include "bitlathe/exec.h"
#include "exec/exec.h"
#include "support/memory.h"
#include "support/programs.h"
#include "support/test.h"

static bl_context *ctx;

/* Under an emulator, a part of the programs: TEST_PART=10, every tenth. */
static uint64_t part(void)
{
    const char *v = getenv("TEST_PART");
    const int n = v != NULL ? atoi(v) : 1;
    return n > 0 ? (uint64_t)n : 1;
}

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

/* Two plans for each instruction set; pack: of either. */
static void check_plans(const bli_program *p, uint64_t seed, const int64_t *sizes, int num_sizes, const bl_pack pack[2])
{
    rows_of w = rows_make(p, sizes[num_sizes - 1], seed);
    for (int set = 0; bli_exec_kernels_at(set) != NULL; set++)
        for (int variant = 0; variant < 2; variant++) {
            const bl_executor_options o = {1 + (int)(seed + (uint64_t)set + (uint64_t)variant) % 3,
                                           bli_exec_kernels_at(set)->name, variant == 1, pack[variant]};
            bl_executor *e;
            assert_ok(ctx, bl_executor_create(ctx, p, &o, &e));
            for (int k = 0; k < num_sizes; k++)
                check(&w, e, sizes[k], o.trace);
            bl_executor_destroy(e);
        }
    rows_free(&w);
}

static void check_program(const bli_program *p, uint64_t seed, const int64_t *sizes, int num_sizes)
{
    const bl_pack both[] = {BL_PACK_FAST, BL_PACK_ALWAYS};
    check_plans(p, seed, sizes, num_sizes, seed % 2 == 0 ? both : (bl_pack[]){BL_PACK_ALWAYS, BL_PACK_FAST});
}

static void random_programs_give_the_interpreters_bits(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 3, 7};
    for (uint64_t seed = 0; seed < 400; seed += part()) {
        bli_program *p = random_program(ctx, seed);
        check_program(p, seed, sizes, 4);
        bli_program_destroy(p);
    }
}

/* ---- wide layers: panels, blocks, tiles and chunks of every remainder -----------------------------------------------
 */

static int64_t *numbers(draw *d, int64_t n, int64_t low, int64_t high, bool no_zero)
{
    int64_t *v = room(n, sizeof *v);
    for (int64_t i = 0; i < n; i++)
        do
            v[i] = draw_between(d, low, high);
        while (no_zero && v[i] == 0);
    return v;
}

static int add_op(bli_builder *b, bli_prim_op op, int in, const bl_shape *shape)
{
    int out;
    op.num_in = 1;
    op.in[0] = in;
    assert_ok(ctx, bli_builder_add(b, &op, "wire", "layer", shape, 0, &out));
    return out;
}

static int64_t last_of(const bli_builder *b, int wire)
{
    const bl_shape *s = &bli_builder_wire(b, wire)->shape;
    return s->dim[s->rank - 1];
}

/* Signs, ternary, sparse, a byte, 16 bits, 30 bits, 40 bits. */
static int64_t *weights(draw *d, int64_t n)
{
    static const int64_t most[] = {1, 1, 31, 127, 30000, 1 << 29, (int64_t)1 << 39};
    const int style = draw_chance(d, 75) ? (int)draw_between(d, 0, 3) : (int)draw_between(d, 4, 6);
    int64_t *v = numbers(d, n, -most[style], most[style], style == 0);
    for (int64_t i = 0; style == 2 && i < n; i++)
        v[i] = i / 64 % 3 == 0 ? v[i] : 0;
    return v;
}

static int dense(draw *d, bli_builder *b, int in)
{
    const int64_t m = draw_chance(d, 30) ? draw_between(d, 1, 200) : draw_between(d, 1, 40);
    int64_t *w = weights(d, last_of(b, in) * m), *bias = numbers(d, m, -500, 500, false);
    const int out =
        add_op(b, (bli_prim_op){.kind = BLI_PRIM_DENSE, .channels = m, .weight = w, .bias = bias}, in, NULL);
    free(w);
    free(bias);
    return out;
}

static int conv(draw *d, bli_builder *b, int in)
{
    const int64_t from = last_of(b, in);
    bli_window w = {{(int)draw_between(d, 1, 4), 1},
                    {(int)draw_between(d, 1, 2), 1},
                    {(int)draw_between(d, 1, 2), 1},
                    {(int)draw_between(d, 0, 2), 0, (int)draw_between(d, 0, 2), 0},
                    1};
    if (bli_builder_wire(b, in)->shape.rank == 3) {
        w.kernel[1] = (int)draw_between(d, 1, 3);
        w.stride[1] = (int)draw_between(d, 1, 2);
        w.dilation[1] = (int)draw_between(d, 1, 2);
        w.pad[1] = (int)draw_between(d, 0, 2);
        w.pad[3] = (int)draw_between(d, 0, 2);
    }
    if (draw_chance(d, 40))
        memset(w.pad, 0, sizeof w.pad);
    w.groups = draw_chance(d, 25) ? (int)from : 1;
    const int64_t m = w.groups * (w.groups > 1 ? draw_between(d, 1, 2) : draw_between(d, 1, 70));
    int64_t *weight = weights(d, m * (from / w.groups) * w.kernel[0] * w.kernel[1]);
    const int out =
        add_op(b, (bli_prim_op){.kind = BLI_PRIM_CONV, .channels = m, .weight = weight, .window = w}, in, NULL);
    free(weight);
    return out;
}

static int by_value(const void *a, const void *b)
{
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

static int sign(draw *d, bli_builder *b, int in)
{
    const bli_span hull = bli_wire_hull(bli_builder_wire(b, in));
    const int64_t m = last_of(b, in), base[1] = {draw_chance(d, 70) ? -1 : 0}, step[1] = {2};
    int64_t *t = numbers(d, m, hull.low / 4, hull.high / 4 + 1, false), *bases = numbers(d, m, base[0], base[0], false);
    int64_t *steps = numbers(d, m, step[0], step[0], false);
    if (draw_chance(d, 20)) /* some fall instead: the other value first */
        for (int64_t c = 0; c < m; c += 2) {
            bases[c] += 2;
            steps[c] = -2;
        }
    const int out = add_op(
        b,
        (bli_prim_op){
            .kind = BLI_PRIM_THRESHOLD, .channels = m, .length = 1, .threshold = t, .base = bases, .step = steps},
        in, NULL);
    free(t);
    free(bases);
    free(steps);
    return out;
}

/* Evenly spaced thresholds, as a quantizer with a real scale has them, rising or falling. */
static int stairs(draw *d, bli_builder *b, int in)
{
    const bli_span hull = bli_wire_hull(bli_builder_wire(b, in));
    const int64_t m = last_of(b, in), n = draw_between(d, 4, 63);
    int64_t *t = room(m * n, sizeof *t), *base = numbers(d, m, -9, 9, false);
    int64_t *step = numbers(d, m * n, 1, 1, false);
    const int64_t up = draw_chance(d, 60) ? 1 : -1;
    for (int64_t c = 0; c < m; c++) {
        const double scale = (double)(hull.high / 4 - hull.low / 4) / (double)n * (double)draw_between(d, 1, 100) / 100;
        for (int64_t k = 0; k < n; k++) {
            t[c * n + k] = hull.low / 8 + (int64_t)ceil((double)k * scale + 0.37);
            step[c * n + k] = up;
        }
        qsort(t + c * n, (size_t)n, sizeof *t, by_value);
    }
    const int out =
        add_op(b,
               (bli_prim_op){
                   .kind = BLI_PRIM_THRESHOLD, .channels = m, .length = n, .threshold = t, .base = base, .step = step},
               in, NULL);
    free(t);
    free(base);
    free(step);
    return out;
}

static int saturate(draw *d, bli_builder *b, int in)
{
    const bli_span hull = bli_wire_hull(bli_builder_wire(b, in));
    int64_t shift = 0;
    while (hull.high >> shift > 127)
        shift++;
    const int64_t bits = draw_between(d, 2, 9), shifts[1] = {shift};
    const int rounded = add_op(b,
                               (bli_prim_op){.kind = BLI_PRIM_ROUND,
                                             .channels = 1,
                                             .shift = shifts,
                                             .rounding = (bl_rounding)draw_between(d, 0, BL_STOCHASTIC - 1)},
                               in, NULL);
    return add_op(b,
                  (bli_prim_op){.kind = BLI_PRIM_OVERFLOW,
                                .channels = 1,
                                .bits = &bits,
                                .is_signed = draw_chance(d, 50),
                                .overflow = draw_chance(d, 70) ? BL_SAT : BL_WRAP},
                  rounded, NULL);
}

static int rescale(draw *d, bli_builder *b, int in)
{
    const bli_span hull = bli_wire_hull(bli_builder_wire(b, in));
    const int64_t m = last_of(b, in);
    int64_t shift = 20;
    while (hull.high >> shift > 0 && shift < 50)
        shift++;
    const int64_t top = ((int64_t)1 << draw_between(d, 1, 9)) - 1, factor = draw_chance(d, 30) ? 1 << 8 : 1 << 18;
    int64_t *a = numbers(d, m, draw_chance(d, 80) ? 1 : -factor, factor, false),
            *bias = numbers(d, m, 0, 1 << 12, false);
    int64_t *s = numbers(d, m, shift - 14, shift - 6, false), *low = numbers(d, m, 0, 0, false);
    int64_t *high = numbers(d, m, top, top, false);
    int out = in;
    const bl_status status = bli_builder_add(b,
                                             &(bli_prim_op){.kind = BLI_PRIM_RESCALE,
                                                            .num_in = 1,
                                                            .in = {in},
                                                            .channels = m,
                                                            .weight = a,
                                                            .bias = bias,
                                                            .shift = s,
                                                            .low = low,
                                                            .high = high},
                                             "scaled", "layer", NULL, 0, &out);
    assert_true(status == BL_OK || status == BL_LIMIT);
    free(a);
    free(bias);
    free(s);
    free(low);
    free(high);
    return status == BL_OK ? out : saturate(d, b, in);
}

static int quantizer(draw *d, bli_builder *b, int in)
{
    int (*const makers[])(draw *, bli_builder *, int) = {sign, stairs, rescale, saturate};
    return bli_builder_wire(b, in)->count == 0 ? in : makers[draw_between(d, 0, 3)](d, b, in);
}

static bli_program *wide_program(uint64_t seed)
{
    static const char *const formats[] = {"ufixed<8,0,RND,SAT>", "int<8>", "binary", "ternary", "uint<1>", "int<12>",
                                          "fixed<7,1,TRN,WRAP>"};
    draw d = {seed};
    bli_builder *b;
    bli_program *p;
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    const bool image = draw_chance(&d, 50);
    bl_shape shape = {1, {draw_between(&d, 1, 300)}};
    if (image)
        shape = draw_chance(&d, 60)
                    ? (bl_shape){3, {draw_between(&d, 4, 9), draw_between(&d, 4, 9), draw_between(&d, 1, 9)}}
                    : (bl_shape){2, {draw_between(&d, 8, 40), draw_between(&d, 1, 20)}};
    char name[40];
    snprintf(name, sizeof name, "wide %llu", (unsigned long long)seed);
    assert_ok(ctx, bli_builder_create(ctx, name, &b));
    assert_ok(ctx, bl_format_parse(ctx, formats[draw_between(&d, 0, (int64_t)BLI_COUNT(formats) - 1)], &in.format));
    int wire;
    assert_ok(ctx, bli_builder_input(b, &in, "x", &shape, &wire));
    for (int layer = 0; layer < 3; layer++) {
        if (image && layer == 2) {
            const bl_shape flat = {1, {bli_builder_wire(b, wire)->count}};
            wire = add_op(b, (bli_prim_op){.kind = BLI_PRIM_RESHAPE}, wire, &flat);
        }
        wire = image && layer < 2 ? conv(&d, b, wire) : dense(&d, b, wire);
        wire = layer < 2 || draw_chance(&d, 50) ? quantizer(&d, b, wire) : wire;
        if (image && layer == 0 && draw_chance(&d, 50) && bli_builder_wire(b, wire)->count > 0)
            wire = add_op(b,
                          (bli_prim_op){.kind = BLI_PRIM_MAXPOOL,
                                        .window = {{2, shape.rank == 3 ? 2 : 1}, {1, 1}, {1, 1}, {1, 0, 0, 0}, 1}},
                          wire, NULL);
    }
    const bli_output o = {.wire = wire, .name = "y"};
    assert_ok(ctx, bli_builder_output(b, &o));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    return p;
}

static void wide_layers_give_the_interpreters_bits(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 13, 30};
    static const int64_t many[] = {101, 200};
    for (uint64_t seed = 0; seed < 60; seed += part()) {
        bli_program *p = wide_program(seed);
        const bool small = p->wires[0].count < 40;
        check_program(p, seed, small ? many : sizes, small ? 2 : 4);
        bli_program_destroy(p);
    }
}

/* ---- constants packed as fields -------------------------------------------------------------------------------------
 */

/* One layer of constants from low to high, each of which comes up; among them runs of zeros. */
static bli_program *packed_layer(draw *d, bool image, int64_t low, int64_t high)
{
    bli_builder *b;
    bli_program *p;
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    const int groups = image && draw_chance(d, 50) ? 2 : 1;
    const bl_shape line = {1, {draw_between(d, 1, 90)}};
    const bl_shape picture = {3, {draw_between(d, 3, 5), draw_between(d, 3, 5), groups * draw_between(d, 1, 9)}};
    const int64_t m = groups * draw_between(d, 2, 70), n = image ? picture.dim[2] / groups * 9 : line.dim[0];
    int wire;
    assert_ok(ctx, bli_builder_create(ctx, "packed", &b));
    assert_ok(ctx, bl_format_parse(ctx, draw_chance(d, 50) ? "int<8>" : "uint<8>", &in.format));
    assert_ok(ctx, bli_builder_input(b, &in, "x", image ? &picture : &line, &wire));
    int64_t *w = numbers(d, m * n, low, high, false);
    w[0] = low;
    w[m * n - 1] = high;
    for (int64_t i = 1; i + 1 < m * n; i++)
        w[i] = i / (8 * m) % 3 == 2 ? 0 : w[i];
    bli_prim_op op = {.kind = image ? BLI_PRIM_CONV : BLI_PRIM_DENSE, .channels = m, .weight = w};
    if (image)
        op.window = (bli_window){{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, groups};
    const bli_output o = {.wire = add_op(b, op, wire, NULL), .name = "y"};
    assert_ok(ctx, bli_builder_output(b, &o));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    free(w);
    return p;
}

static void packed_constants_of_every_width_give_the_interpreters_bits(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 2, 3, 5, 18};
    const bl_pack always[] = {BL_PACK_ALWAYS, BL_PACK_ALWAYS};
    draw d = {3};
    for (int width = 1; width <= 7; width++) {
        const int64_t most = ((int64_t)1 << width) - 1, half = most / 2;
        const int64_t lows[] = {0, -half - 1, -half, -most, -1, width > 1 ? 1 - most : 0};
        for (uint64_t k = 0; k<BLI_COUNT(lows); k += part()> 1 ? 2 : 1)
            for (int image = 0; image < 2; image++) {
                bli_program *p = packed_layer(&d, image == 1, lows[k], lows[k] + most);
                check_plans(p, k, sizes, image ? 3 : 6, always);
                bli_program_destroy(p);
            }
    }
}

/* The width that the first product of p has. */
static int width_of(const bli_program *p, const char *isa, bl_pack pack)
{
    const bl_executor_options o = {.threads = 1, .isa = isa, .pack = pack};
    bl_executor *e;
    assert_ok(ctx, bl_executor_create(ctx, p, &o, &e));
    const int width = bli_executor_plan(e)->steps[0].product.width;
    bl_executor_destroy(e);
    return width;
}

static void the_narrowest_width_is_taken_and_only_when_wished(void **state)
{
    (void)state;
    static const struct {
        int64_t low, high;
        int width;
    } cases[] = {{0, 0, 0},  {0, 1, 1},  {-1, 0, 1},   {-1, 1, 2},   {-2, 1, 2}, {0, 3, 2},    {-2, 2, 3},  {3, 5, 3},
                 {-8, 7, 4}, {-8, 8, 5}, {-31, 31, 6}, {-33, 31, 7}, {0, 63, 6}, {-64, 63, 7}, {-64, 64, 0}};
    draw d = {8};
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_program *p = packed_layer(&d, false, cases[i].low, cases[i].high);
        assert_int_equal(width_of(p, "generic", BL_PACK_ALWAYS), cases[i].width);
        assert_int_equal(width_of(p, "generic", BL_PACK_NEVER), 0);
        assert_int_equal(width_of(p, NULL, BL_PACK_FAST), 0); /* few */
        bli_program_destroy(p);
    }
}

/* A million of them are packed unasked where there are kernels for it. */
static void many_small_constants_give_the_interpreters_bits(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 7};
    enum { DEPTH = 1035, WIDTH = 1021 };
    draw d = {11};
    bli_builder *b;
    bli_program *p;
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    const bl_shape shape = {1, {DEPTH}};
    int wire;
    assert_ok(ctx, bli_builder_create(ctx, "million", &b));
    assert_ok(ctx, bl_format_parse(ctx, "int<8>", &in.format));
    assert_ok(ctx, bli_builder_input(b, &in, "x", &shape, &wire));
    int64_t *w = numbers(&d, (int64_t)DEPTH * WIDTH, -8, 7, false);
    for (int64_t i = 0; i < (int64_t)4 * 4 * WIDTH; i++)
        w[i] = i / (4 * WIDTH) % 2 == 0 ? 0 : w[i];
    wire = add_op(b, (bli_prim_op){.kind = BLI_PRIM_DENSE, .channels = WIDTH, .weight = w}, wire, NULL);
    const bli_output o = {.wire = wire, .name = "y"};
    assert_ok(ctx, bli_builder_output(b, &o));
    assert_ok(ctx, bli_builder_finish(b, &p));
    for (int set = 0; bli_exec_kernels_at(set) != NULL; set++) {
        const bli_exec_kernels *k = bli_exec_kernels_at(set);
        assert_int_equal(width_of(p, k->name, BL_PACK_FAST), k->packed8 != NULL ? 4 : 0);
    }
    check_plans(p, 3, sizes, 3, (bl_pack[]){BL_PACK_FAST, BL_PACK_FAST});
    bli_program_destroy(p);
    bli_builder_destroy(b);
    free(w);
}

/* Rounding alone, without ends of its own, from sums to bytes: in tiles of any number of rows. */
static void rounded_sums_become_bytes(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 4, 11, 64, 130};
    static const int64_t shift[] = {7};
    enum { DEPTH = 16 };
    for (int64_t columns = 10; columns <= 80; columns += 1 + columns / 4) {
        draw d = {(uint64_t)columns};
        bli_builder *b;
        bli_program *p;
        bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
        const bl_shape shape = {1, {DEPTH}};
        int wire;
        assert_ok(ctx, bli_builder_create(ctx, "rounded", &b));
        assert_ok(ctx, bl_format_parse(ctx, "uint<8>", &in.format));
        assert_ok(ctx, bli_builder_input(b, &in, "x", &shape, &wire));
        int64_t *w = numbers(&d, DEPTH * columns, -3, 3, false);
        wire = add_op(b, (bli_prim_op){.kind = BLI_PRIM_DENSE, .channels = columns, .weight = w}, wire, NULL);
        wire = add_op(b, (bli_prim_op){.kind = BLI_PRIM_ROUND, .rounding = BL_RND, .channels = 1, .shift = shift}, wire,
                      NULL);
        const bli_output o = {.wire = wire, .name = "y"};
        assert_ok(ctx, bli_builder_output(b, &o));
        assert_ok(ctx, bli_builder_finish(b, &p));
        check_program(p, (uint64_t)columns, sizes, 5);
        bli_program_destroy(p);
        bli_builder_destroy(b);
        free(w);
    }
}

/* ---- a quantizer as one multiplication ------------------------------------------------------------------------------
 */

static void a_fitted_rescale_is_the_stair_everywhere(void **state)
{
    (void)state;
    draw d = {5};
    int fitted[2] = {0, 0};
    for (int round = 0; round < 4000; round++) {
        const bool in64 = round % 2;
        int64_t t[40];
        const int64_t n = draw_between(&d, 0, 40), base = draw_between(&d, -20, 20);
        const bli_span x = {draw_between(&d, -2000, 0), draw_between(&d, 0, 2000), 0};
        const double step = (double)draw_between(&d, 0, 6000) / 97, from = (double)draw_between(&d, -2500, 2000);
        for (int64_t k = 0; k < n; k++)
            t[k] = (int64_t)floor(from + step * (double)k) + (draw_chance(&d, 3) ? 1 : 0);
        qsort(t, (size_t)n, sizeof *t, by_value);
        bli_fitted f;
        if (!bli_fit_rescale(t, n, base, x, in64, &f))
            continue;
        fitted[in64]++;
        for (int64_t v = x.low; v <= x.high; v++) {
            int64_t want = base;
            for (int64_t k = 0; k < n; k++)
                want += v >= t[k];
            const int64_t wide = v * f.a + f.b, shifted = wide >> f.shift;
            assert_true(in64 || (wide >= INT32_MIN && wide <= INT32_MAX));
            assert_true(f.a >= 0 && f.a <= INT32_MAX);
            assert_int_equal(shifted < f.low ? f.low : shifted > f.high ? f.high : shifted, want);
        }
    }
    assert_true(fitted[0] > 700 && fitted[1] >= fitted[0]);
}

/* ---- memory and mistakes
 * --------------------------------------------------------------------------------------------- */

static bl_status run_some(bl_context *c, void *arg)
{
    bli_program *p;
    BLI_TRY(bli_program_parse(c, arg, strlen(arg), &p));
    const bl_executor_options o = {.threads = 2, .pack = BL_PACK_ALWAYS};
    bl_executor *e;
    bl_status s = bl_executor_create(c, p, &o, &e);
    if (s == BL_OK) {
        float x[3 * 40] = {0}, y[3 * 3];
        const float *in[1] = {x};
        void *out[1] = {y};
        s = bl_executor_run(e, in, 3, out);
    }
    bl_executor_destroy(e);
    bli_program_destroy(p);
    return s;
}

static char small[] =
    "program \"small\"\n"
    "%0 = input \"x\" \"x\" [5, 4, 2] exp 0 scale 1 offset 0 format \"int<4>\" grid 1 0\n"
    "%1 = conv (%0) \"c\" \"c\" exp 0 kernel [3 1] stride [2 1] dilation [1 1] pad [1 0 1 0] groups 1 channels 3 "
    "weight [1 -2 3 4 5 -6 1 2 3 4 5 6 7 6 5 4 3 2] bias [1 -1 2]\n"
    "%2 = threshold (%1) \"t\" \"t\" exp 0 channels 1 length 2 threshold [0 9] base [-1] step [1 1]\n"
    "%3 = maxpool (%2) \"m\" \"m\" exp 0 kernel [3 4] stride [1 1] dilation [1 1] pad [0 0 0 0] groups 1\n"
    "%4 = argmax (%3) \"a\" \"a\" exp 0\n"
    "output %3 \"y\" channels 1 scale [0.25]\n";

static void every_failed_allocation_is_an_answer(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(run_some, small) > 20);
}

static void running_allocates_nothing(void **state)
{
    (void)state;
    counting_allocator counts = {0};
    bl_allocator a = counting_allocator_of(&counts);
    bl_context *c;
    assert_int_equal(bl_context_create(&a, &c), BL_OK);
    for (uint64_t seed = 0; seed < 20; seed++) {
        bli_program *p = random_program(c, seed);
        rows_of w = rows_make(p, 3, seed);
        bl_executor *e;
        const bl_executor_options o = {.threads = 1 + (int)(seed % 2),
                                       .pack = seed % 3 == 0 ? BL_PACK_FAST : BL_PACK_ALWAYS};
        assert_ok(c, bl_executor_create(c, p, &o, &e));
        const long before = counts.calls;
        assert_ok(c, bl_executor_run(e, (const float *const *)w.reals, 3, w.got_reals));
        assert_ok(c, bl_executor_run_codes(e, (const int64_t *const *)w.codes, 3, w.got_codes));
        assert_int_equal(counts.calls, before);
        bl_executor_destroy(e);
        rows_free(&w);
        bli_program_destroy(p);
    }
    bl_context_destroy(c);
    assert_int_equal(counts.live_blocks, 0);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    bli_program *p;
    bl_executor *e;
    assert_ok(ctx, bli_program_parse(ctx, small, strlen(small), &p));
    assert_fails(ctx, BL_NOT_FOUND, "instruction set 'sse9'",
                 bl_executor_create(ctx, p, &(bl_executor_options){.isa = "sse9"}, &e));
    assert_null(e);
    assert_ok(ctx, bl_executor_create(ctx, p, NULL, &e));
    int64_t x[40] = {0}, y[9];
    x[7] = 8;
    const int64_t *in[1] = {x};
    int64_t *out[1] = {y};
    assert_fails(ctx, BL_BAD_VALUE, "input 'x': code 8 of element 7", bl_executor_run_codes(e, in, 1, out));
    assert_fails(ctx, BL_USAGE, "-1 rows", bl_executor_run_codes(e, in, -1, out));
    assert_fails(ctx, BL_USAGE, "not created to trace", bl_executor_trace_codes(e, in, 1, out));
    x[7] = 7;
    assert_ok(ctx, bl_executor_run_codes(e, in, 1, out));
    bl_executor_destroy(e);
    bli_program_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_give_the_interpreters_bits),
        cmocka_unit_test(wide_layers_give_the_interpreters_bits),
        cmocka_unit_test(packed_constants_of_every_width_give_the_interpreters_bits),
        cmocka_unit_test(the_narrowest_width_is_taken_and_only_when_wished),
        cmocka_unit_test(many_small_constants_give_the_interpreters_bits),
        cmocka_unit_test(rounded_sums_become_bytes),
        cmocka_unit_test(a_fitted_rescale_is_the_stair_everywhere),
        cmocka_unit_test(every_failed_allocation_is_an_answer),
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
