/* test_graph.c: building, editing, cleaning, cloning and inferring graphs, with a tiny operator table of its own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

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

static bl_status infer_same(bli_infer *i)
{
    i->out_type[0] = i->in[0]->type;
    i->out_shape[0] = i->in[0]->shape;
    return BL_OK;
}

static const bli_attr_spec flag_attrs[] = {{"flag", BL_ATTR_INT, true}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec no_attrs[] = {{NULL, BL_ATTR_INT, false}};

static const bli_schema *schemas(const char *type, const char *domain)
{
    static const bli_schema table[] = {{"Relu", "", 1, 1, 1, no_attrs, infer_same, "test"},
                                       {"Add", "", 2, 2, 1, no_attrs, infer_same, "test"},
                                       {"Flagged", "", 1, 1, 1, flag_attrs, infer_same, "test"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].type, type) == 0 && strcmp(table[i].domain, domain) == 0)
            return &table[i];
    return NULL;
}

static bl_graph *fresh(void)
{
    bl_graph *g;
    assert_int_equal(bl_graph_create(ctx, "test", &g), BL_OK);
    return g;
}

static int input(bl_graph *g, const char *name)
{
    int id;
    bl_shape s = {2, {-1, 4}};
    assert_int_equal(bl_graph_add_input(g, name, BL_F32, &s, &id), BL_OK);
    return id;
}

static int constant(bl_graph *g, const char *name, float v)
{
    int id;
    bl_tensor t = {BL_F32, {1, {1}}, &v};
    assert_int_equal(bl_graph_add_tensor(g, name, BL_ROLE_PARAMETER, "weight", &t, &id), BL_OK);
    return id;
}

static int node(bl_graph *g, const char *name, const char *type, int a, int b)
{
    int in[2] = {a, b}, out;
    bl_node n = {.name = name, .type = type, .domain = "", .num_inputs = b < 0 ? 1 : 2, .num_outputs = 1, .inputs = in};
    const char *names[1] = {name};
    assert_int_equal(bl_graph_add_node(g, &n, names, &out), BL_OK);
    return out;
}

static void test_build(void **state)
{
    (void)state;
    bl_graph *g = fresh();
    int x = input(g, "x"), w = constant(g, "w", 2.5f), a = node(g, "a", "Add", x, w), r = node(g, NULL, "Relu", a, -1);
    assert_int_equal(bl_graph_set_outputs(g, &r, 1), BL_OK);
    assert_int_equal(bl_graph_num_values(g), 4);
    assert_int_equal(bl_graph_num_nodes(g), 2);
    assert_int_equal(bl_graph_find_value(g, "w"), w);
    assert_int_equal(bl_graph_find_node(g, "w"), -1);
    assert_int_equal(bl_graph_node(g, 1)->inputs[0], a);
    assert_int_equal(bl_graph_value(g, a)->producer, 0);
    assert_true(*(const float *)bl_graph_value(g, w)->data == 2.5f);
    assert_int_equal(bli_graph_infer(g, schemas), BL_OK);
    assert_int_equal(bl_graph_value(g, r)->shape.rank, 2);
    assert_int_equal(bli_graph_verify(g, schemas), BL_OK);
    bl_graph_destroy(g);
}

static void test_taken_name(void **state)
{
    (void)state;
    bl_graph *g = fresh();
    input(g, "x");
    bl_shape s = {0};
    int id = 7;
    assert_int_equal(bl_graph_add_input(g, "x", BL_F32, &s, &id), BL_BAD_MODEL);
    assert_int_equal(id, -1);
    assert_string_equal(bl_context_message(ctx), "value 'x': the name is taken");
    bl_graph_destroy(g);
}

static void test_uses(void **state)
{
    (void)state;
    bl_graph *g = fresh();
    int x = input(g, "x"), y = input(g, "y"), a = node(g, "a", "Add", x, x), b = node(g, "b", "Add", x, a);
    assert_int_equal(bl_graph_set_outputs(g, &b, 1), BL_OK);
    assert_int_equal(bli_graph_num_uses(g, x), 3);
    assert_int_equal(bli_graph_first_user(g, a), 1);
    assert_int_equal(bli_graph_set_input(g, 0, 1, y), BL_OK);
    assert_int_equal(bli_graph_num_uses(g, x), 2);
    bli_graph_replace_uses(g, b, a);
    assert_int_equal(bl_graph_output(g, 0), a);
    bli_graph_remove_node(g, 1);
    assert_true(bli_graph_node_dead(g, 1));
    assert_int_equal(bl_graph_find_value(g, "b"), -1);
    assert_int_equal(bli_graph_rename_value(g, a, "b"), BL_OK);
    assert_int_equal(bli_graph_clean(g), BL_OK);
    assert_int_equal(bl_graph_num_nodes(g), 1);
    assert_int_equal(bl_graph_num_values(g), 3);
    assert_int_equal(bl_graph_find_value(g, "b"), bl_graph_output(g, 0));
    assert_int_equal(bli_graph_infer(g, schemas), BL_OK);
    assert_int_equal(bli_graph_verify(g, schemas), BL_OK);
    bl_graph_destroy(g);
}

static void test_sort(void **state)
{
    (void)state;
    bl_graph *g = fresh();
    int x = input(g, "x"), late, out;
    assert_int_equal(bli_graph_declare(g, "late", &late), BL_OK);
    out = node(g, "user", "Relu", late, -1);
    node(g, "other", "Relu", x, -1);
    bl_node n = {.name = "maker", .type = "Relu", .num_inputs = 1, .num_outputs = 1, .inputs = &x};
    assert_int_equal(bli_graph_add_node_at(g, &n, &late), BL_OK);
    n.name = "again";
    assert_int_equal(bli_graph_add_node_at(g, &n, &late), BL_BAD_MODEL);
    assert_int_equal(bl_graph_set_outputs(g, &out, 1), BL_OK);
    assert_int_equal(bli_graph_verify(g, schemas), BL_BAD_MODEL);
    assert_string_equal(bl_context_message(ctx), "node 'user': input 0, 'late', is used before it is made");
    assert_int_equal(bli_graph_clean(g), BL_OK);
    assert_string_equal(bl_graph_node(g, 0)->name, "other");
    assert_string_equal(bl_graph_node(g, 1)->name, "maker");
    assert_string_equal(bl_graph_node(g, 2)->name, "user");
    assert_int_equal(bli_graph_infer(g, schemas), BL_OK);
    bl_graph_destroy(g);
}

static void test_cycle(void **state)
{
    (void)state;
    bl_graph *g = fresh();
    int x = input(g, "x"), a = node(g, "a", "Add", x, x), b = node(g, "b", "Relu", a, -1);
    node(g, "c", "Relu", b, -1);
    assert_int_equal(bli_graph_set_input(g, 0, 1, b), BL_OK);
    assert_int_equal(bli_graph_clean(g), BL_BAD_MODEL);
    assert_non_null(strstr(bl_context_message(ctx), "cycle"));
    assert_non_null(strstr(bl_context_message(ctx), "'a'"));
    assert_non_null(strstr(bl_context_message(ctx), "'b'"));
    assert_null(strstr(bl_context_message(ctx), "'c'"));
    bl_graph_destroy(g);
}

static void test_schema_messages(void **state)
{
    (void)state;
    const struct {
        const char *type;
        bl_attr attr;
        int attrs;
        const char *message;
    } cases[] = {
        {"Nope", {0}, 0, "node 'n': operator Nope is not known"},
        {"Flagged", {0}, 0, "node 'n': attribute flag is missing"},
        {"Flagged",
         {.name = "flag", .kind = BL_ATTR_FLOAT},
         1,
         "node 'n': attribute flag: it is a number, expected an integer"},
        {"Relu", {.name = "flag", .kind = BL_ATTR_INT}, 1, "node 'n': Relu has no attribute 'flag'"},
        {"Add", {0}, 0, "node 'n': Add has 1 inputs, expected 2 to 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bl_graph *g = fresh();
        int x = input(g, "x");
        bl_node n = {.name = "n",
                     .type = cases[i].type,
                     .num_inputs = 1,
                     .num_outputs = 1,
                     .inputs = &x,
                     .num_attrs = cases[i].attrs,
                     .attrs = &cases[i].attr};
        assert_int_equal(bl_graph_add_node(g, &n, NULL, NULL), BL_OK);
        assert_int_not_equal(bli_graph_infer(g, schemas), BL_OK);
        assert_string_equal(bl_context_message(ctx), cases[i].message);
        bl_graph_destroy(g);
    }
}

static void test_meta(void **state)
{
    (void)state;
    bl_graph *g = fresh();
    char key[16];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(bl_graph_set_meta(g, key, key), BL_OK);
    }
    assert_int_equal(bl_graph_set_meta(g, "k3", "other"), BL_OK);
    assert_int_equal(bl_graph_set_meta(g, "k4", NULL), BL_OK);
    assert_int_equal(bl_graph_num_meta(g), 99);
    assert_string_equal(bl_graph_meta(g, "k3"), "other");
    assert_null(bl_graph_meta(g, "k4"));
    assert_string_equal(bl_graph_meta(g, "k99"), "k99");
    bl_graph_destroy(g);
}

static void test_large_is_linear(void **state)
{
    (void)state;
    enum { NODES = 100000 };
    bl_graph *g = fresh();
    int x = input(g, "x"), w = constant(g, "w", 1), at = x;
    for (int i = 0; i < NODES; i++)
        at = node(g, NULL, "Add", at, w);
    assert_int_equal(bl_graph_set_outputs(g, &at, 1), BL_OK);
    for (int i = 0; i < NODES; i += 2) { /* every second node goes */
        const bl_node *n = bl_graph_node(g, i);
        bli_graph_replace_uses(g, n->outputs[0], n->inputs[0]);
        bli_graph_remove_node(g, i);
    }
    assert_int_equal(bli_graph_clean(g), BL_OK);
    assert_int_equal(bl_graph_num_nodes(g), NODES / 2);
    bl_graph *copy;
    assert_int_equal(bl_graph_clone(g, &copy), BL_OK);
    assert_int_equal(bli_graph_infer(copy, schemas), BL_OK);
    assert_int_equal(bli_graph_verify(copy, schemas), BL_OK);
    bl_graph_destroy(copy);
    bl_graph_destroy(g);
}

/* A graph with every role, attribute kind and awkward number. */
static bl_graph *awkward(void)
{
    bl_graph *g = fresh();
    int x = input(g, "x \"quoted\" \\ \n");
    const float f[] = {0.1f, -0.0f, 1e-45f, NAN, INFINITY, -INFINITY, 3.4e38f};
    const double d[] = {0.1, -0.0, 5e-324, -NAN};
    const int8_t i8[] = {-128, 127};
    const uint64_t u64[] = {UINT64_MAX, 0};
    const uint8_t flags[] = {1, 0};
    const struct {
        const char *name;
        bl_role role;
        bl_tensor t;
    } tensors[] = {{"f", BL_ROLE_PARAMETER, {BL_F32, {1, {7}}, (void *)f}},
                   {"d", BL_ROLE_STATE, {BL_F64, {2, {2, 2}}, (void *)d}},
                   {"i", BL_ROLE_CONSTANT, {BL_I8, {1, {2}}, (void *)i8}},
                   {"u", BL_ROLE_CONSTANT, {BL_U64, {1, {2}}, (void *)u64}},
                   {"b", BL_ROLE_CONSTANT, {BL_BOOL, {1, {2}}, (void *)flags}},
                   {"none", BL_ROLE_CONSTANT, {BL_F32, {2, {0, 3}}, NULL}}};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        assert_int_equal(bl_graph_add_tensor(g, tensors[i].name, tensors[i].role, "", &tensors[i].t, NULL), BL_OK);
    const int64_t ints[] = {1, -2, INT64_MIN};
    const double floats[] = {0.1, 1e300};
    const char *const strings[] = {"a", "", "b, } c"};
    const bl_attr attrs[] = {{"int", BL_ATTR_INT, 1, {.i = -7}},
                             {"float", BL_ATTR_FLOAT, 1, {.f = 0.1}},
                             {"string", BL_ATTR_STRING, 1, {.s = "x y"}},
                             {"ints", BL_ATTR_INTS, 3, {.ints = ints}},
                             {"no ints", BL_ATTR_INTS, 0, {.ints = NULL}},
                             {"floats", BL_ATTR_FLOATS, 2, {.floats = floats}},
                             {"strings", BL_ATTR_STRINGS, 3, {.strings = strings}},
                             {"tensor", BL_ATTR_TENSOR, 1, {.tensor = tensors[0].t}}};
    int in[] = {x, -1, bl_graph_find_value(g, "f")}, out[2];
    bl_node n = {"n", "Odd", "some.where", 3, 2, 8, in, NULL, attrs};
    assert_int_equal(bl_graph_add_node(g, &n, NULL, out), BL_OK);
    bli_graph_value_mut(g, out[0])->shape = (bl_shape){2, {-1, 4}};
    assert_int_equal(bl_graph_set_outputs(g, out, 2), BL_OK);
    assert_int_equal(bl_graph_set_meta(g, "key", "two\nlines"), BL_OK);
    return g;
}

static char *printed(const bl_graph *g)
{
    char *text;
    assert_int_equal(bl_graph_print(g, &text), BL_OK);
    return text;
}

static void test_text_round_trip(void **state)
{
    (void)state;
    bl_graph *g = awkward(), *again, *copy;
    char *text = printed(g);
    assert_non_null(strstr(text, "\"tensor\" tensor F32 [7] 0.100000001 -0 1.40129846e-45 nan:"));
    bl_status s = bl_graph_parse(ctx, text, strlen(text), &again);
    assert_string_equal(s == BL_OK ? "" : bl_context_message(ctx), "");
    char *text2 = printed(again);
    assert_string_equal(text, text2);
    assert_int_equal(bl_graph_clone(g, &copy), BL_OK);
    char *text3 = printed(copy);
    assert_string_equal(text, text3);
    for (size_t n = 0; n < strlen(text); n++) { /* no prefix crashes; none but a whole one is a graph with outputs */
        bl_graph *part;
        if (bl_graph_parse(ctx, text, n, &part) == BL_OK)
            assert_true(bl_graph_num_outputs(part) < 2);
        bl_graph_destroy(part);
    }
    bl_text_free(ctx, text);
    bl_text_free(ctx, text2);
    bl_text_free(ctx, text3);
    bl_graph_destroy(copy);
    bl_graph_destroy(again);
    bl_graph_destroy(g);
}

static void test_text_messages(void **state)
{
    (void)state;
    const struct {
        const char *text, *message;
    } cases[] = {
        {"", "graph text, line 1: expected graph , found ''"},
        {"graph \"g\"\ninput \"x\" F33 [1]\n", "graph text, line 2: expected an element type, found 'F33 [1]'"},
        {"graph \"g\"\nconstant \"c\" F32 [99999999999] \"\" = 1\n",
         "graph text, line 2: expected as many numbers as the shape says, found ' 1'"},
        {"graph \"g\"\nnode \"n\" \"Relu\" \"\" (\"y\") -> (\"y\" F32 ?) {}\n",
         "graph text, line 2: value 'y' is used before it is made"},
        {"graph \"g\"\noutput \"y\"\n", "graph text, line 2: output 'y' is no value of the graph"},
        {"graph \"g\"\nconstant \"c\" U8 [1] \"\" = 256\n",
         "graph text, line 2: expected an integer that its type can hold, found '256'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bl_graph *g;
        assert_int_not_equal(bl_graph_parse(ctx, cases[i].text, strlen(cases[i].text), &g), BL_OK);
        assert_null(g);
        assert_string_equal(bl_context_message(ctx), cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_taken_name),
        cmocka_unit_test(test_uses),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_schema_messages),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_large_is_linear),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_text_messages),
    };
    return cmocka_run_group_tests_name("graph", tests, set_up, tear_down);
}
