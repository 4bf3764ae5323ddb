/* Equal bits by every path: random networks through the graph's kernels, the interpreter, the executors, emitted C, HLS
 * C++ and Verilog, with fresh seeds each time; and the table of what went where has no empty cell.
 *
 * All networks go through the library's own ways; emitted sources, which a compiler takes its time over, get a share,
 * chosen so that cells which are still empty are filled, until none is.  PROOF_SEED=n begins at a seed that was
 * printed, PROOF_NETS=n draws at least so many, PROOF_C=n and PROOF_COMPILED=n take at least so many through C and each
 * way of HLS C++ and Verilog, PROOF_EVERY=1 wants every operator x family of formats in every single strategy,
 * PROOF_DEAL=1 deals the networks out in turn, each to one way of HLS C++, of Verilog under Icarus, and of Verilog
 * under Verilator, PROOF_ONLY="graph c" goes through these alone (first words of ways' names).
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/proof.h"

enum { NETS = 600, MOST_NETS = 8000, ROUND = 100, MOST_BATCH = 100 };

static bl_context *ctx;
static proof_table table;
static bool possible[PROOF_WAYS], every, deal;
static int different, refused, drawn;

/* Networks that wait until a way has a batch of them. */
typedef struct queue {
    int count, sent;
    proof_net net[MOST_BATCH];
} queue;
static queue queues[PROOF_WAYS];

static long number(const char *variable, long usual)
{
    return getenv(variable) ? atol(getenv(variable)) : usual;
}

static void flush(int w)
{
    queue *q = &queues[w];
    const int n = q->count > 0 ? proof_run(ctx, &proof_ways[w], q->net, q->count, NULL) : 0;
    if (n < 0)
        possible[w] = false;
    different += n > 0 ? n : 0;
    for (int k = 0; k < q->count; k++) {
        if (n >= 0 && !q->net[k].refused)
            proof_count(&table, w, &q->net[k].marks);
        proof_free(ctx, &q->net[k]);
    }
    q->count = 0;
}

/* Cells that the waiting ones will fill count as filled, those of a backend's other ways too: they answer together. */
static bool worth(int w, const proof_net *n)
{
    proof_table then = table;
    for (int o = 0; o < proof_way_count; o++)
        for (int k = 0; k < queues[o].count && strcmp(proof_ways[o].backend, proof_ways[w].backend) == 0; k++)
            proof_count(&then, o, &queues[o].net[k].marks);
    return proof_fills(&then, possible, every, w, &n->marks) > 0;
}

static void send(int w, uint64_t seed)
{
    char reason[200];
    queue *q = &queues[w];
    if (!proof_draw(ctx, seed, &q->net[q->count], reason, sizeof reason))
        fail_msg("seed %llu lowers once and not twice", (unsigned long long)seed);
    q->sent++;
    if (++q->count == proof_ways[w].batch)
        flush(w);
}

static bool same_kind(int a, int b)
{
    const char *x = proof_ways[a].name, *y = proof_ways[b].name;
    const size_t n = strcspn(x, " ");
    return n == strcspn(y, " ") && strncmp(x, y, n) == 0;
}

/* Of ways that begin with the same word each network gets one. */
static bool dealt(int w, uint64_t seed)
{
    uint64_t ways = 0, before = 0;
    for (int o = 0; o < proof_way_count; o++)
        if (same_kind(o, w)) {
            before += o < w;
            ways++;
        }
    return seed % ways == before;
}

/* How many of the networks drawn so far should be on their way; extra: none beyond what fills the table. */
static long due(int w, bool extra)
{
    const bool is_c = strcmp(proof_ways[w].backend, "c") == 0;
    return extra
               ? 0
               : number(is_c ? "PROOF_C" : "PROOF_COMPILED", proof_ways[w].usual) * drawn / number("PROOF_NETS", NETS);
}

/* Ways within the library are gone at once, by one network; emitted sources wait for others. */
static void go(int w, proof_net *n, bool extra)
{
    if (!possible[w] || !proof_fits(&proof_ways[w], n))
        return;
    if (proof_ways[w].batch > 0) {
        if (deal ? dealt(w, n->seed) : queues[w].sent < due(w, extra) || worth(w, n))
            send(w, n->seed);
        return;
    }
    const int result = proof_run(ctx, &proof_ways[w], n, 1, NULL);
    possible[w] = result >= 0;
    different += result > 0;
    if (result >= 0)
        proof_count(&table, w, &n->marks);
}

static void one(uint64_t seed, bool extra)
{
    char reason[200];
    proof_net n;
    drawn++;
    if (!proof_draw(ctx, seed, &n, reason, sizeof reason)) {
        refused++;
        if (getenv("SHOW_REFUSED"))
            print_message("seed %llu: %s\n", (unsigned long long)seed, reason);
    } else {
        for (int w = 0; w < proof_way_count; w++)
            go(w, &n, extra);
    }
    proof_free(ctx, &n);
}

static bool has_word(const char *words, const char *name)
{
    char word[32];
    const size_t n = strcspn(name, " ");
    snprintf(word, sizeof word, "%.*s", (int)n, name);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static uint64_t first_seed(void)
{
    const char *text = getenv("PROOF_SEED");
    return text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) * 100000;
}

static void flush_all(void)
{
    for (int w = 0; w < proof_way_count; w++)
        flush(w);
}

/* Whether some way has gone: where all are impossible nothing is empty and nothing differs. */
static bool any_possible(void)
{
    for (int w = 0; w < proof_way_count; w++)
        if (possible[w])
            return true;
    return false;
}

static void every_path_gives_the_same_bits(void **state)
{
    (void)state;
    const uint64_t first = first_seed();
    const long nets = number("PROOF_NETS", NETS);
    every = number("PROOF_EVERY", 0) != 0;
    deal = number("PROOF_DEAL", 0) != 0;
    print_message("PROOF_SEED=%llu\n", (unsigned long long)first);
    const char *only = getenv("PROOF_ONLY");
    for (int w = 0; w < proof_way_count; w++)
        possible[w] = !only || has_word(only, proof_ways[w].name);
    while (drawn < nets)
        one(first + (uint64_t)drawn, false);
    flush_all();
    while (drawn < nets + number("PROOF_MORE", MOST_NETS) && proof_empty(&table, possible, every) > 0) {
        for (int k = 0; k < ROUND; k++)
            one(first + (uint64_t)drawn, true);
        flush_all();
    }
    const int empty = proof_print(&table, possible, every);
    print_message("%d networks x %d inputs, %d refused, %d empty cells, %d differ\n", drawn, PROOF_ROWS, refused, empty,
                  different);
    assert_true(any_possible());
    assert_int_equal(different, 0);
    assert_true(10 * refused <= drawn);
    assert_int_equal(empty, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_path_gives_the_same_bits)};
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    bl_context_set_threads(ctx, 1);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bl_context_destroy(ctx);
    return failed;
}
