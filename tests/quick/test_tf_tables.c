/* test_tf_tables.c: bytes that go through floats to bytes again give the bits of the nodes one by one: random chains of
 * Dequantize, functions, QuantizeV2 and Requantize, on every instruction set; ranges that are constants, or fed. */
#include "support/test.h"

#include "support/tf_rig.h"
#include "tf/array.h"

enum { CHAINS = 300, MOST = 3000 };

typedef struct chain {
    rig *r;
    uint32_t state;
    char at[16]; /* what the chain has come to */
    bool shared; /* somebody else reads what lies between */
    bool fed;    /* the first range is */
    int from;    /* type of the input's codes */
    int nodes;
    char log[256]; /* operators that ran */
} chain;

static uint32_t below(chain *c, uint32_t n)
{
    c->state = c->state * 1664525u + 1013904223u;
    return (c->state >> 8) % n;
}

static void set(const chain *c, bli_tf_node *n, const char *attr, const bli_tf_value *v)
{
    assert_ok(c->r->ctx, bli_tf_node_set(c->r->store, n, attr, v));
}

static bli_tf_node *placeholder(const chain *c, const char *name, int dtype)
{
    bli_tf_node *n;
    assert_ok(c->r->ctx, bli_tg_add_node(c->r->g, "Placeholder", name, NULL, &n));
    set(c, n, "dtype", bli_tf_value_type(c->r->store, dtype));
    return n;
}

static void number(chain *c, const char *name, float v)
{
    assert_ok(c->r->ctx, bli_tg_add_float(c->r->g, name, v));
}

/* Of nodes `name`_a and `name`_b. */
static void range(chain *c, const char *name)
{
    static const float ends[][2] = {{-1, 1}, {-0.5f, 3}, {0, 6}, {-30, 0.01f}, {0.2f, 5}, {-4, -1}, {0, 0}, {2, -1}};
    const uint32_t k = below(c, below(c, 6) == 0 ? 8 : 4);
    char a[32], b[32];
    snprintf(a, sizeof a, "%s_a", name);
    snprintf(b, sizeof b, "%s_b", name);
    number(c, a, ends[k][0]);
    number(c, b, ends[k][1]);
}

/* The next node, of these further inputs. */
static bli_tf_node *then(chain *c, const char *op, const char *const *more)
{
    const char *inputs[8] = {c->at};
    bli_tf_node *n;
    char name[16];
    for (size_t i = 0; more && more[i]; i++)
        inputs[i + 1] = more[i];
    snprintf(name, sizeof name, "n%d", c->nodes++);
    assert_ok(c->r->ctx, bli_tg_add_node(c->r->g, op, name, inputs, &n));
    memcpy(c->at, name, sizeof name);
    return n;
}

static void quantizer(chain *c, bli_tf_node *n, int dtype)
{
    static const char *const modes[] = {"MIN_FIRST", "MIN_COMBINED", "SCALED"}, *const roundings[] = {
                                                                                    "HALF_AWAY_FROM_ZERO",
                                                                                    "HALF_TO_EVEN"};
    const uint32_t mode = below(c, 3);
    set(c, n, "T", bli_tf_value_type(c->r->store, dtype));
    set(c, n, "mode", bli_tf_value_string(c->r->store, modes[mode]));
    if (strcmp(n->op, "QuantizeV2") == 0)
        set(c, n, "round_mode", bli_tf_value_string(c->r->store, roundings[mode == 2 ? below(c, 2) : 0]));
}

static void make_chain(chain *c)
{
    static const char *const functions[] = {"Relu",    "Relu6",    "LeakyRelu", "Elu", "Tanh",
                                            "Sigmoid", "Softplus", "Neg",       "Abs"};
    (void)placeholder(c, "x", c->from);
    range(c, "first");
    if (c->fed)
        (void)placeholder(c, "high", BLI_DT_FLOAT);
    strcpy(c->at, "x");
    quantizer(c, then(c, "Dequantize", (const char *const[]){"first_a", c->fed ? "high" : "first_b", NULL}), c->from);
    for (uint32_t k = below(c, 4); k > 0; k--)
        set(c, then(c, functions[below(c, BLI_COUNT(functions))], NULL), "T",
            bli_tf_value_type(c->r->store, BLI_DT_FLOAT));
    if (c->shared) {
        bli_tf_node *n;
        assert_ok(c->r->ctx, bli_tg_add_node(c->r->g, "Neg", "other", (const char *[]){c->at, NULL}, &n));
        set(c, n, "T", bli_tf_value_type(c->r->store, BLI_DT_FLOAT));
    }
    range(c, "second");
    const bool wide = below(c, 3) == 0;
    quantizer(c, then(c, "QuantizeV2", (const char *const[]){"second_a", "second_b", NULL}),
              wide          ? BLI_DT_QINT32
              : below(c, 3) ? BLI_DT_QUINT8
                            : BLI_DT_QINT8);
    if (!wide)
        return;
    char ports[2][32];
    for (int k = 0; k < 2; k++)
        snprintf(ports[k], sizeof ports[k], "%s:%d", c->at, k + 1);
    range(c, "third");
    bli_tf_node *n = then(c, "Requantize", (const char *const[]){ports[0], ports[1], "third_a", "third_b", NULL});
    set(c, n, "Tinput", bli_tf_value_type(c->r->store, BLI_DT_QINT32));
    set(c, n, "out_type", bli_tf_value_type(c->r->store, below(c, 2) ? BLI_DT_QUINT8 : BLI_DT_QINT8));
}

/* ---- both ways ----------------------------------------------------------------------------------------------- */
static void note(void *user, const bli_tf_node *n, int64_t nanoseconds, const bli_tf_array *out, int num_out)
{
    chain *c = user;
    (void)nanoseconds;
    (void)out;
    (void)num_out;
    if (strlen(c->log) + strlen(n->op) + 2 < sizeof c->log)
        strcat(strcat(c->log, n->op), " ");
}

enum { FETCHES = 4 };

static bl_status run(chain *c, bool plain, const bl_shape *shape, bli_tf_array *out, char *message, size_t size)
{
    static uint8_t x[MOST];
    float high = 2.5f;
    char ports[2][32];
    bli_tf_session *s;
    const bli_tf_feed feeds[] = {{"x", {c->from, *shape, x, NULL}}, {"high", {BLI_DT_FLOAT, {0, {0}}, &high, NULL}}};
    const char *names[FETCHES] = {c->at, ports[0], ports[1], "other"};
    for (int k = 0; k < 2; k++)
        snprintf(ports[k], sizeof ports[k], "%s:%d", c->at, k + 1);
    for (int i = 0; i < MOST; i++)
        x[i] = (uint8_t)(i * 7);
    assert_ok(c->r->ctx, bli_tf_session_create(
                             c->r->g, &(bli_tf_session_options){.plain = plain, .on_node = note, .user = c}, &s));
    c->log[0] = '\0';
    bl_status status = BL_OK;
    for (int turn = 0; turn < 2 && status == BL_OK; turn++) { /* the second finds the table */
        for (int i = 0; i < FETCHES && turn; i++)
            bli_tf_array_release(&out[i]);
        status = bli_tf_session_run(s, feeds, c->fed ? 2 : 1, names, c->shared ? 4 : 3, out);
    }
    snprintf(message, size, "%s", status == BL_OK ? "" : bl_context_message(c->r->ctx));
    bli_tf_session_destroy(s);
    return status;
}

static void compare(chain *c, uint32_t seed, const bl_shape *shape)
{
    static const char *const sets[] = {"generic", "avx2", "avx512"};
    bli_tf_array want[FETCHES] = {{0}}, got[FETCHES] = {{0}};
    char expected[512], message[512];
    unsetenv("BITLATHE_ISA");
    const bl_status status = run(c, true, shape, want, expected, sizeof expected);
    const bool table =
        !c->shared && status == BL_OK && bl_shape_count(shape) > 0 && (!c->fed || bl_shape_count(shape) >= 1024);
    for (size_t k = 0; k < BLI_COUNT(sets); k++) {
        setenv("BITLATHE_ISA", sets[k], 1);
        assert_int_equal(run(c, false, shape, got, message, sizeof message), status);
        assert_string_equal(message, expected);
        if (table && strstr(c->log, "Dequantize"))
            print_error("seed %u: %s\n", seed, c->log);
        assert_true(!table || !strstr(c->log, "Dequantize"));
        for (int i = 0; i < FETCHES; i++) {
            assert_int_equal(got[i].dtype, want[i].dtype);
            assert_int_equal(bli_tf_array_bytes(&got[i]), bli_tf_array_bytes(&want[i]));
            for (size_t b = 0; b < bli_tf_array_bytes(&want[i]); b++)
                if (((const uint8_t *)got[i].data)[b] != ((const uint8_t *)want[i].data)[b]) {
                    print_error("seed %u, %s, output %d: byte %zu is %d, single nodes give %d\n", seed, sets[k], i, b,
                                ((const uint8_t *)got[i].data)[b], ((const uint8_t *)want[i].data)[b]);
                    fail();
                }
            bli_tf_array_release(&got[i]);
        }
    }
    for (int i = 0; i < FETCHES; i++)
        bli_tf_array_release(&want[i]);
    unsetenv("BITLATHE_ISA");
}

static void tables_have_the_bits_of_single_nodes(void **state)
{
    static const bl_shape shapes[] = {{2, {60, 50}}, {1, {300}}, {1, {0}}, {0, {0}}};
    for (uint32_t seed = 1; seed <= CHAINS; seed++) {
        rig_tear_down(state);
        assert_int_equal(rig_set_up(state), 0);
        chain c = {.r = *state, .state = seed * 7919};
        c.shared = seed % 7 == 0;
        c.fed = seed % 5 == 0;
        c.from = below(&c, 3) ? BLI_DT_QUINT8 : BLI_DT_QINT8;
        make_chain(&c);
        compare(&c, seed, &shapes[seed % 13 < 10 ? 0 : seed % 13 - 9]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables_have_the_bits_of_single_nodes, rig_set_up, rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
