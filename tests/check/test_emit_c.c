/* test_emit_c.c: random programs as C sources, compiled without a warning, against the interpreter, code by code.
 *
 * A batch of programs is emitted, compiled together with a dispatcher that widens codes to int64_t, and loaded.
 * EMIT_PROGRAMS and EMIT_SEED in the environment run others than the usual ones.
 */
#include "support/test.h"

#include <dlfcn.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emit/body.h"
#include "support/folder.h"
#include "support/programs.h"

enum { SAMPLES = 40 };
static const char warnings[] = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror";

typedef void call_fn(const int64_t *const *x, int64_t *const *y);
typedef void float_fn(const float *const *x, double *const *y);

typedef struct batch {
    bl_context *ctx;
    const char *folder;
    int count;
    bli_program **programs;
    bool *has_float;
    FILE *dispatch;
    void *library;
} batch;

static void put_ports(FILE *f, const bli_program *p)
{
    for (int i = 0; i < p->num_inputs; i++) {
        const bli_wire *w = &p->wires[p->inputs[i].wire];
        fprintf(f, "    static %s x%d[%lld];\n", bli_type_stored(bli_reach_wire(w)), i, (long long)w->count + 1);
    }
    for (int i = 0; i < p->num_outputs; i++) {
        const bli_wire *w = &p->wires[p->outputs[i].wire];
        fprintf(f, "    static %s y%d[%lld];\n", bli_type_stored(bli_reach_wire(w)), i, (long long)w->count + 1);
    }
}

static void put_call(FILE *f, const bli_program *p, int k, const char *what, bool real)
{
    fprintf(f, "    net%d_%s(", k, what);
    for (int i = 0; i < p->num_inputs; i++)
        fprintf(f, real ? "%sx[%d]" : "%sx%d", i ? ", " : "", i);
    for (int i = 0; i < p->num_outputs; i++)
        fprintf(f, real ? ", y[%d]" : ", y%d", i);
    fprintf(f, ");\n");
}

/* call<k> and call_float<k>. */
static void put_dispatch(batch *b, int k)
{
    const bli_program *p = b->programs[k];
    FILE *f = b->dispatch;
    fprintf(f, "#include \"net%d/net%d.h\"\nvoid call%d(const int64_t *const *x, int64_t *const *y)\n{\n", k, k, k);
    put_ports(f, p);
    for (int i = 0; i < p->num_inputs; i++)
        fprintf(f, "    for (int i = 0; i < %lld; i++) x%d[i] = (%s)x[%d][i];\n",
                (long long)p->wires[p->inputs[i].wire].count, i,
                bli_type_stored(bli_reach_wire(&p->wires[p->inputs[i].wire])), i);
    put_call(f, p, k, "run", false);
    for (int i = 0; i < p->num_outputs; i++)
        fprintf(f, "    for (int i = 0; i < %lld; i++) y[%d][i] = y%d[i];\n",
                (long long)p->wires[p->outputs[i].wire].count, i, i);
    fprintf(f, "    (void)x; (void)y;\n}\n");
    if (!b->has_float[k])
        return;
    fprintf(f, "void call_float%d(const float *const *x, double *const *y)\n{\n", k);
    put_call(f, p, k, "run_float", true);
    fprintf(f, "    (void)x; (void)y;\n}\n");
}

static const char *in_folder(const batch *b, const char *fmt, int k)
{
    static char paths[4][600];
    static unsigned next;
    char name[64], *path = paths[next++ % 4];
    snprintf(name, sizeof name, fmt, k, k);
    snprintf(path, sizeof paths[0], "%s/%s", b->folder, name);
    return path;
}

static void emit_one(batch *b, int k)
{
    char name[32];
    size_t size;
    snprintf(name, sizeof name, "net%d", k);
    bl_emit_options o = {.target = "c", .name = name, .pack = k % 2 == 1};
    assert_ok(b->ctx, bl_emit(b->ctx, b->programs[k], in_folder(b, "net%d", k), &o));
    char *header = get_file(in_folder(b, "net%d/net%d.h", k), &size);
    assert_non_null(header);
    b->has_float[k] = strstr(header, "_run_float(") != NULL;
    free(header);
    put_dispatch(b, k);
}

/* Emits all programs of the batch and compiles them with one line of the compiler. */
static void build(batch *b, const char *compiler, const char *flags, const char *edit)
{
    static int number;
    static char folder[400];
    char command[2000];
    snprintf(folder, sizeof folder, "%s/batch%d", temp_folder(), number++);
    assert_int_equal(mkdir(folder, 0777), 0);
    b->folder = folder;
    b->has_float = calloc((size_t)b->count, sizeof *b->has_float);
    b->dispatch = fopen(in_folder(b, "dispatch.c", 0), "w");
    assert_non_null(b->dispatch);
    for (int k = 0; k < b->count; k++)
        emit_one(b, k);
    fclose(b->dispatch);
    snprintf(
        command, sizeof command,
        "cd %s && sed -i '%s' net*/*.c && ls -d net*/*.c | xargs -P 2 -n 8 sh -c 'for f; do %s -std=c99 %s %s -fPIC "
        "-c $f -o $(dirname $f).o || exit 255; done' sh && %s -std=c99 -w -fPIC -shared %s dispatch.c *.o -o all.so",
        folder, edit, compiler, warnings, flags, compiler, flags);
    assert_int_equal(system(command), 0);
    b->library = dlopen(in_folder(b, "all.so", 0), RTLD_NOW | RTLD_LOCAL);
    if (b->library == NULL)
        print_error("%s\n", dlerror());
    assert_non_null(b->library);
}

static void *symbol(const batch *b, const char *fmt, int k)
{
    char name[64];
    snprintf(name, sizeof name, fmt, k);
    return dlsym(b->library, name);
}

static int64_t **room_for_outputs(const bli_program *p)
{
    int64_t **y = calloc((size_t)p->num_outputs + 1, sizeof *y);
    for (int i = 0; i < p->num_outputs; i++)
        y[i] = calloc((size_t)p->wires[p->outputs[i].wire].count + 1, sizeof **y);
    return y;
}

static void free_outputs(const bli_program *p, void **y)
{
    for (int i = 0; i < p->num_outputs; i++)
        free(y[i]);
    free(y);
}

/* The number of codes that differ; the first is printed with its wire. */
static int differences(const bli_program *p, int64_t *const *wires, int64_t *const *y, int k, int sample)
{
    int n = 0;
    for (int i = 0; i < p->num_outputs; i++) {
        const bli_wire *w = &p->wires[p->outputs[i].wire];
        for (int64_t e = 0; e < w->count; e++)
            if (wires[p->outputs[i].wire][e] != y[i][e] && n++ == 0)
                print_error("program %d, sample %d, wire '%s', element %lld: expected %lld, found %lld\n", k, sample,
                            w->name, (long long)e, (long long)wires[p->outputs[i].wire][e], (long long)y[i][e]);
    }
    return n;
}

static int compare_codes(const batch *b, int k)
{
    const bli_program *p = b->programs[k];
    program_values *v = program_values_create(p);
    int64_t **y = room_for_outputs(p);
    call_fn *call;
    void *found = symbol(b, "call%d", k);
    int n = 0;
    assert_non_null(found);
    memcpy(&call, &found, sizeof call);
    for (int s = 0; s < SAMPLES && n == 0; s++) {
        program_values_draw(v, (uint64_t)k, s);
        assert_ok(b->ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
        call((const int64_t *const *)v->codes, y);
        n += differences(p, v->wires, y, k, s);
    }
    free_outputs(p, (void **)y);
    program_values_destroy(v);
    return n;
}

/* Real inputs: all sizes of numbers, ties of the grid, infinities, NaN. */
static float draw_real(draw *d, const bli_input *in)
{
    static const float odd[] = {
        0.0f, -0.0f, 1.0f, -1.0f, 0.5f, 1e-38f, 3e38f, -3e38f, (float)INFINITY, (float)-INFINITY, (float)NAN};
    if (draw_chance(d, 10))
        return odd[draw_between(d, 0, (int64_t)BLI_COUNT(odd) - 1)];
    double step = in->format.kind == BL_FORMAT_FIXED ? bl_format_step(&in->format) * in->grid.scale : in->grid.scale;
    double halves =
        (double)draw_between(d, -((int64_t)1 << draw_between(d, 1, 20)), (int64_t)1 << draw_between(d, 1, 20));
    double x = halves * step / 2;
    if (in->scale != 0 && draw_chance(d, 50))
        x = (x - in->offset) / in->scale;
    return (float)x;
}

static bool same_real(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a == 0 && b == 0);
}

static int compare_reals(const batch *b, int k)
{
    const bli_program *p = b->programs[k];
    program_values *v = program_values_create(p);
    float **x = calloc((size_t)p->num_inputs + 1, sizeof *x);
    double **y = (double **)(void *)room_for_outputs(p);
    float_fn *call;
    void *found = symbol(b, "call_float%d", k);
    draw d = {(uint64_t)k};
    int n = 0;
    assert_non_null(found);
    memcpy(&call, &found, sizeof call);
    for (int i = 0; i < p->num_inputs; i++)
        x[i] = calloc((size_t)p->wires[p->inputs[i].wire].count + 1, sizeof **x);
    for (int s = 0; s < 10 && n == 0; s++) {
        for (int i = 0; i < p->num_inputs; i++) {
            for (int64_t e = 0; e < p->wires[p->inputs[i].wire].count; e++)
                x[i][e] = draw_real(&d, &p->inputs[i]);
            assert_ok(b->ctx, bli_program_encode(p, i, x[i], v->codes[i]));
        }
        assert_ok(b->ctx, bli_program_interpret(p, (const int64_t *const *)v->codes, v->wires));
        call((const float *const *)x, y);
        for (int i = 0; i < p->num_outputs; i++) {
            int64_t count = p->wires[p->outputs[i].wire].count;
            double *expected = calloc((size_t)count + 1, sizeof *expected);
            bli_program_decode(p, i, v->wires[p->outputs[i].wire], expected);
            for (int64_t e = 0; e < count; e++)
                if (!same_real(expected[e], y[i][e]) && n++ == 0)
                    print_error("program %d, sample %d, output %d, element %lld: expected %.17g, found %.17g\n", k, s,
                                i, (long long)e, expected[e], y[i][e]);
            free(expected);
        }
    }
    for (int i = 0; i < p->num_inputs; i++)
        free(x[i]);
    free(x);
    free_outputs(p, (void **)y);
    program_values_destroy(v);
    return n;
}

static void destroy(batch *b)
{
    dlclose(b->library);
    for (int k = 0; k < b->count; k++)
        bli_program_destroy(b->programs[k]);
    free(b->programs);
    free(b->has_float);
    bl_context_destroy(b->ctx);
}

static batch draw_batch(int count, uint64_t seed, const program_wishes *wishes, uint32_t *kinds)
{
    batch b = {.count = count, .programs = calloc((size_t)count, sizeof *b.programs)};
    assert_int_equal(bl_context_create(NULL, &b.ctx), BL_OK);
    for (int k = 0; k < count; k++) {
        b.programs[k] = random_program_like(b.ctx, seed + (uint64_t)k, wishes);
        *kinds |= program_kinds(b.programs[k]);
    }
    return b;
}

static const program_wishes wide = {.ops = 14, .elements = 400}, narrow = {.ops = 14, .elements = 400, .narrow = true};

static void run_batch(int count, uint64_t seed, const program_wishes *wishes, const char *compiler, const char *flags,
                      uint32_t all_but)
{
    uint32_t kinds = 0;
    const uint32_t every = ((uint32_t)1 << BLI_PRIM_COUNT) - 1;
    int n = 0, floats = 0;
    batch b = draw_batch(count, seed, wishes, &kinds);
    assert_int_equal((kinds | all_but) & every, every);
    build(&b, compiler, flags, "");
    for (int k = 0; k < count; k++) {
        n += compare_codes(&b, k);
        n += b.has_float[k] ? compare_reals(&b, k) : 0;
        floats += b.has_float[k];
    }
    print_message("%d programs, %d with real inputs, %d differences\n", count, floats, n);
    destroy(&b);
    assert_int_equal(n, 0);
}

static int number_or(const char *variable, int usual)
{
    const char *text = getenv(variable);
    return text != NULL ? atoi(text) : usual;
}

static void random_programs_in_c_give_the_interpreters_codes(void **state)
{
    (void)state;
    int seed = number_or("EMIT_SEED", 1);
    run_batch(number_or("EMIT_PROGRAMS", 60), (uint64_t)seed, &wide, "gcc", "-O1", 0);
    run_batch(number_or("EMIT_PROGRAMS", 40), (uint64_t)seed + 1000000, &narrow, "gcc", "-O2", 0);
}

static void the_sanitizer_finds_nothing_undefined(void **state)
{
    (void)state;
    run_batch(24, 2000, &wide, "gcc", "-O1 -fsanitize=undefined -fno-sanitize-recover=all", ~(uint32_t)0);
}

static void clang_has_no_warning_either(void **state)
{
    (void)state;
    if (system("clang --version >/dev/null 2>&1") != 0)
        skip();
    run_batch(16, 3000, &wide, "clang", "-O1", ~(uint32_t)0);
}

/* A layer of constants low, low + step .. low + most step, the first and the last of which come up. */
static bli_program *layer_of(bl_context *ctx, draw *d, bool image, int64_t low, int64_t most, int64_t step)
{
    bli_builder *b;
    bli_program *p;
    bli_input in = {.name = "x", .scale = 1, .grid = {1, 0}};
    const int64_t n = image ? 3 * 3 * 3 : draw_between(d, 1, 40), m = 2 * draw_between(d, 1, 12) + (image ? 0 : 1);
    const bl_shape line = {1, {n}}, picture = {3, {4, 5, 6}};
    bli_prim_op op = {.kind = image ? BLI_PRIM_CONV : BLI_PRIM_DENSE, .num_in = 1, .channels = m};
    int64_t *w = calloc((size_t)(m * n), sizeof *w);
    for (int64_t i = 0; i < m * n; i++)
        w[i] = low + step * (i == 0 ? most : i + 1 == m * n ? 0 : draw_between(d, 0, most));
    op.weight = w;
    if (image)
        op.window = (bli_window){{3, 3}, {1, 1}, {1, 1}, {1, 0, 1, 0}, 2};
    bli_output out = {.name = "y"};
    assert_ok(ctx, bl_format_parse(ctx, "int<8>", &in.format));
    assert_ok(ctx, bli_builder_create(ctx, "layer", &b));
    assert_ok(ctx, bli_builder_input(b, &in, "x", image ? &picture : &line, &op.in[0]));
    assert_ok(ctx, bli_builder_add(b, &op, "y", "y", NULL, 0, &out.wire));
    assert_ok(ctx, bli_builder_output(b, &out));
    assert_ok(ctx, bli_builder_finish(b, &p));
    bli_builder_destroy(b);
    free(w);
    return p;
}

/* Of source k: "packed(y_weight, index, bits, shift, low)". */
static void assert_packed(const batch *b, int k, int64_t low, int width, int shift)
{
    char want[64];
    size_t size;
    char *text = get_file(in_folder(b, "net%d/net%d.c", k), &size);
    assert_non_null(text);
    snprintf(want, sizeof want, ", %d, %d, %d)", width, shift, (int)low);
    if (strstr(text, want) == NULL || strstr(text, "static const uint8_t y_weight[") == NULL)
        fail_msg("source %d has no '%s'", k, want);
    free(text);
}

static void constants_of_every_width_are_packed(void **state)
{
    (void)state;
    enum { WIDTHS = 7, EACH = 4 };
    static const int64_t step[EACH] = {1, 1, 2, 8};
    batch b = {.count = 2 * WIDTHS * EACH, .programs = calloc(2 * WIDTHS * EACH, sizeof *b.programs)};
    int64_t low[2 * WIDTHS * EACH];
    draw d = {9};
    int n = 0;
    assert_int_equal(bl_context_create(NULL, &b.ctx), BL_OK);
    for (int k = 0; k < b.count; k++) { /* odd ones are packed */
        const int64_t most = ((int64_t)1 << (k / 2 / EACH + 1)) - 1;
        low[k] = k / 2 % EACH == 0 ? 0 : -(most / 2) * step[k / 2 % EACH] - k / 2 % 3;
        b.programs[k] = layer_of(b.ctx, &d, k / 2 % 3 == 2, low[k], most, step[k / 2 % EACH]);
    }
    build(&b, "gcc", "-O1 -fsanitize=undefined -fno-sanitize-recover=all", "");
    for (int k = 0; k < b.count; k++) {
        const int64_t s = step[k / 2 % EACH];
        n += compare_codes(&b, k);
        if (k % 2 == 1)
            assert_packed(&b, k, low[k], k / 2 / EACH + 1, s == 8 ? 3 : (int)s - 1);
    }
    destroy(&b);
    assert_int_equal(n, 0);
}

/* The comparison sees a wrong code: one number of a source is changed. */
static void a_fault_on_purpose_is_seen(void **state)
{
    (void)state;
    uint32_t kinds = 0;
    int n = 0;
    batch b = draw_batch(8, 1, &narrow, &kinds);
    build(&b, "gcc", "-O0", "s/sum += /sum -= /");
    for (int k = 0; k < b.count; k++)
        n += compare_codes(&b, k);
    assert_true(n > 0);
    destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_in_c_give_the_interpreters_codes),
        cmocka_unit_test(the_sanitizer_finds_nothing_undefined),
        cmocka_unit_test(clang_has_no_warning_either),
        cmocka_unit_test(constants_of_every_width_are_packed),
        cmocka_unit_test(a_fault_on_purpose_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
