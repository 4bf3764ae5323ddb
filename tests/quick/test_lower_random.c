/* Random networks give the same bits through the float graph, on every instruction set, and through the exact program;
 * and few of them are refused.  SEED=n runs one of them, SHOW=1 prints what differs, SHOW_REFUSED=1 why one is refused,
 * NETS=n and TABLE=1 are for longer runs with the table of what was covered. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/bitlathe.h"
#include "support/random_net.h"

enum { NETS = 400, ROWS = 48, WORDS = 256, WAYS = 120 };

typedef struct table {
    const char *word[WORDS];
    int built[WORDS], lowered[WORDS], count;
} table;

static void count_words(table *t, const net_words *w, bool lowered)
{
    for (int i = 0; i < w->count; i++) {
        int k = 0;
        while (k < t->count && strcmp(t->word[k], w->word[i]) != 0)
            k++;
        if (k == t->count && t->count < WORDS)
            t->word[t->count++] = w->word[i];
        t->built[k]++;
        t->lowered[k] += lowered;
    }
}

static int64_t differences(const bl_tensor *a, const bl_tensor *b)
{
    int64_t n = 0;
    for (int64_t i = 0; i < bl_shape_count(&a->shape); i++) {
        const float u = ((const float *)a->data)[i], v = ((const float *)b->data)[i];
        if (u != v && !(isnan(u) && isnan(v))) /* +0 and -0 are one code */
            n++;
    }
    return n;
}

static void show_difference(const bl_graph *g, const bl_program *p, uint64_t seed, const bl_tensor *a,
                            const bl_tensor *b)
{
    char *text = NULL;
    print_error("seed %llu: float and exact differ\n", (unsigned long long)seed);
    for (int64_t i = 0, shown = 0; a->data && i < bl_shape_count(&a->shape) && shown < 6; i++)
        if (((const float *)a->data)[i] != ((const float *)b->data)[i]) {
            print_error("  element %lld: float %.9g exact %.9g\n", (long long)i, (double)((const float *)a->data)[i],
                        (double)((const float *)b->data)[i]);
            shown++;
        }
    if (getenv("SHOW") && bl_graph_print(g, &text) == BL_OK)
        fputs(text, stderr);
    if (p && getenv("SHOW") && bl_program_print(p, &text) == BL_OK)
        fputs(text, stderr);
}

/* 1: lowered and equal; 0: refused; -1: different. */
static int one_net(bl_context *ctx, uint64_t seed, net_words *words)
{
    bl_graph *g = random_net(ctx, seed, words);
    bl_program *p = NULL;
    bl_runner *r;
    bl_tensor x = random_net_rows(ctx, g, ROWS, seed), a = {0}, b = {0};
    int result = 0;
    const bl_status s = bl_lower(ctx, g, &p);
    if (s != BL_OK && s != BL_UNSUPPORTED && s != BL_LIMIT) {
        print_error("seed %llu: %s: %s\n", (unsigned long long)seed, bl_status_name(s), bl_context_message(ctx));
        result = -1;
    }
    if (s != BL_OK && getenv("SHOW"))
        show_difference(g, NULL, seed, &a, &b);
    if (s != BL_OK && getenv("SHOW_REFUSED"))
        print_message("seed %llu: %s\n", (unsigned long long)seed, bl_context_message(ctx));
    bl_port_info out = {0};
    if (s == BL_OK && bl_program_output(p, 0, &out) && !out.cut) {
        assert_ok(ctx, bl_runner_create(ctx, g, 20, &r));
        assert_ok(ctx, bl_runner_run(r, &x, &a));
        assert_ok(ctx, bl_program_run(ctx, p, &x, &b));
        result = bl_shape_equal(&a.shape, &b.shape) && differences(&a, &b) == 0 ? 1 : -1;
        if (result < 0)
            show_difference(g, p, seed, &a, &b);
        bl_runner_destroy(r);
    } else if (s == BL_OK)
        result = 1;
    bl_program_destroy(p);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &a);
    bl_tensor_free(ctx, &b);
    bl_graph_destroy(g);
    return result;
}

/* Instruction set, threads and pieces of another size change no bit. */
static bool ways_agree(bl_context *ctx, const bl_graph *g, const bl_tensor *x, const bl_tensor *want)
{
    static const struct {
        const char *isa;
        int threads, pieces;
    } ways[] = {{"generic", 1, 48}, {"generic", 3, 7}, {"avx2", 2, 11}, {"avx512", 2, 1}};
    bool same = true;
    for (size_t i = 0; i < BLI_COUNT(ways); i++) {
        bl_runner *r;
        bl_tensor y;
        setenv("BITLATHE_ISA", ways[i].isa, 1);
        bl_context_set_threads(ctx, ways[i].threads);
        assert_ok(ctx, bl_runner_create(ctx, g, ways[i].pieces, &r));
        assert_ok(ctx, bl_runner_run(r, x, &y));
        same = same && differences(want, &y) == 0;
        bl_tensor_free(ctx, &y);
        bl_runner_destroy(r);
        unsetenv("BITLATHE_ISA");
        bl_context_set_threads(ctx, 1);
    }
    return same;
}

static void evaluation_is_the_same_every_way(void **state)
{
    (void)state;
    bl_context *ctx;
    int different = 0;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, 1);
    for (uint64_t seed = 1; seed <= WAYS; seed++) {
        bl_graph *g = random_net(ctx, seed, NULL);
        bl_tensor x = random_net_rows(ctx, g, ROWS, seed), y;
        bl_runner *r;
        assert_ok(ctx, bl_runner_create(ctx, g, 20, &r));
        assert_ok(ctx, bl_runner_run(r, &x, &y));
        bl_runner_destroy(r);
        if (!ways_agree(ctx, g, &x, &y)) {
            print_error("seed %llu: the ways differ\n", (unsigned long long)seed);
            different++;
        }
        bl_tensor_free(ctx, &x);
        bl_tensor_free(ctx, &y);
        bl_graph_destroy(g);
    }
    assert_int_equal(different, 0);
    bl_context_destroy(ctx);
}

static void networks_lower_to_equal_bits(void **state)
{
    (void)state;
    bl_context *ctx;
    table t = {.count = 0};
    int refused = 0, different = 0, count = NETS;
    uint64_t first = 1;
    if (getenv("SEED"))
        first = strtoull(getenv("SEED"), NULL, 10), count = 1;
    if (getenv("NETS"))
        count = atoi(getenv("NETS"));
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, 1);
    for (uint64_t seed = first; seed < first + (uint64_t)count; seed++) {
        net_words words;
        const int got = one_net(ctx, seed, &words);
        refused += got == 0;
        different += got < 0;
        count_words(&t, &words, got > 0);
    }
    print_message("seeds %llu .. : %d networks, %d refused, %d different\n", (unsigned long long)first, count, refused,
                  different);
    for (int i = 0; i < t.count; i++)
        if (count >= NETS && (t.lowered[i] == 0 || getenv("TABLE")))
            print_message("  %-60s built %4d lowered %4d\n", t.word[i], t.built[i], t.lowered[i]);
    assert_int_equal(different, 0);
    assert_true(count < NETS || 10 * refused <= count);
    if (count >= NETS)
        for (int i = 0; i < t.count; i++)
            assert_true(t.lowered[i] > 0);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(networks_lower_to_equal_bits),
                                       cmocka_unit_test(evaluation_is_the_same_every_way)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
