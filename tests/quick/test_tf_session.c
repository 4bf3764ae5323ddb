/* test_tf_session.c: sessions over TensorFlow graphs: order, feeds, constants, refusals; and the shared real graphs. */
#include "support/test.h"

#include <math.h>

#include "support/folder.h"
#include "support/memory.h"
#include "tf/array.h"

typedef struct rig {
    bl_context *ctx;
    bli_tf_store *store;
    bli_tf_graph *g;
} rig;

static rig rig_make(void)
{
    rig r;
    assert_int_equal(bl_context_create(NULL, &r.ctx), BL_OK);
    assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
    r.g = bli_tf_graph_make(r.store);
    assert_non_null(r.g);
    return r;
}

static void rig_free(rig *r)
{
    bli_tf_store_destroy(r->store);
    bl_context_destroy(r->ctx);
}

/* A node "name op input input ..." with type attribute T. */
static bli_tf_node *add(rig *r, const char *text)
{
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    const char *name = strtok_r(copy, " ", &save), *op = strtok_r(NULL, " ", &save);
    bli_tf_node *n = bli_tf_node_make(r->store, name, op);
    assert_non_null(n);
    for (const char *input; (input = strtok_r(NULL, " ", &save));)
        assert_ok(r->ctx, bli_tf_node_add_input(r->store, n, input));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "T", bli_tf_value_type(r->store, BLI_DT_FLOAT)));
    assert_ok(r->ctx, bli_tf_graph_add(r->g, n));
    return n;
}

static void constant(rig *r, const char *name, int dtype, int rank, const int64_t *dim, const void *data)
{
    bli_tf_node *n = bli_tf_node_make(r->store, name, "Const");
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "dtype", bli_tf_value_type(r->store, dtype)));
    assert_ok(r->ctx,
              bli_tf_node_set(r->store, n, "value", bli_tf_value_tensor(r->store, dtype, rank, dim, data, NULL)));
    assert_ok(r->ctx, bli_tf_graph_add(r->g, n));
}

static void placeholder(rig *r, const char *name)
{
    bli_tf_node *n = add(r, "x Placeholder");
    assert_ok(r->ctx, bli_tf_node_rename(r->store, n, name));
    assert_ok(r->ctx, bli_tf_node_set(r->store, n, "dtype", bli_tf_value_type(r->store, BLI_DT_FLOAT)));
}

static bli_tf_array floats(int rank, const int64_t *dim, float *data)
{
    bli_tf_array a = {.dtype = BLI_DT_FLOAT, .shape = {.rank = rank}, .data = data};
    for (int i = 0; i < rank; i++)
        a.shape.dim[i] = dim[i];
    return a;
}

static bl_status run(rig *r, const bli_tf_feed *feed, const char *fetch, bli_tf_array *out)
{
    bli_tf_session *s;
    *out = (bli_tf_array){.dtype = 0};
    bl_status status = bli_tf_session_create(r->g, NULL, &s);
    if (status == BL_OK)
        status = bli_tf_session_run(s, feed, feed ? 1 : 0, &fetch, 1, out);
    bli_tf_session_destroy(s);
    return status;
}

static void a_graph_runs_in_the_order_of_its_inputs(void **state)
{
    (void)state;
    rig r = rig_make();
    float x[3] = {1, -2, 3}, two = 2;
    add(&r, "z Relu y"); /* behind what comes later in the file */
    add(&r, "y Mul x c ^n");
    add(&r, "n NoOp ^x");
    constant(&r, "c", BLI_DT_FLOAT, 0, NULL, &two);
    placeholder(&r, "x");
    bli_tf_array out;
    const bli_tf_feed feed = {"x:0", floats(1, (const int64_t[]){3}, x)};
    assert_ok(r.ctx, run(&r, &feed, "z", &out));
    assert_int_equal(out.shape.dim[0], 3);
    assert_true(((float *)out.data)[0] == 2 && ((float *)out.data)[1] == 0 && ((float *)out.data)[2] == 6);
    bli_tf_array_release(&out);
    const bli_tf_feed inside = {"y", floats(1, (const int64_t[]){3}, x)};
    assert_ok(r.ctx, run(&r, &inside, "z:0", &out));
    assert_true(((float *)out.data)[2] == 3);
    bli_tf_array_release(&out);
    rig_free(&r);
}

static void one_session_takes_pictures_of_several_sizes(void **state)
{
    (void)state;
    rig r = rig_make();
    const char *fetch = "y";
    float w[9 * 2] = {0}, x[8 * 8 * 2];
    for (int i = 0; i < 128; i++)
        x[i] = (float)i;
    w[8] = 1; /* the middle tap, channel 0 */
    constant(&r, "w", BLI_DT_FLOAT, 4, (const int64_t[]){3, 3, 2, 1}, w);
    placeholder(&r, "x");
    bli_tf_node *n = add(&r, "y Conv2D x w");
    const int64_t ones[4] = {1, 1, 1, 1};
    assert_ok(r.ctx, bli_tf_node_set(r.store, n, "strides", bli_tf_value_ints(r.store, ones, 4)));
    assert_ok(r.ctx, bli_tf_node_set(r.store, n, "padding", bli_tf_value_string(r.store, "SAME")));
    bli_tf_session *s;
    assert_ok(r.ctx, bli_tf_session_create(r.g, NULL, &s));
    for (int64_t size = 4; size <= 8; size++) {
        bli_tf_array out;
        const bli_tf_feed feed = {"x", floats(4, (const int64_t[]){1, size, size, 2}, x)};
        assert_ok(r.ctx, bli_tf_session_run(s, &feed, 1, &fetch, 1, &out));
        for (int64_t i = 0; i < size * size; i++)
            assert_true(((float *)out.data)[i] == x[2 * i]);
        bli_tf_array_release(&out);
    }
    bli_tf_session_destroy(s);
    rig_free(&r);
}

static void refusals_name_the_node(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_tf_array out;
    const float c[4] = {0};
    add(&r, "a Relu b");
    add(&r, "b Relu a");
    add(&r, "loop Relu loop2 ^loop");
    add(&r, "loop2 Relu c");
    add(&r, "odd Frobnicate c");
    add(&r, "lost Relu nowhere");
    add(&r, "port Relu c:3");
    add(&r, "wide MatMul c m");
    add(&r, "one Add c");
    add(&r, "none NoOp");
    add(&r, "of_none Relu none");
    placeholder(&r, "p");
    add(&r, "q Relu p");
    constant(&r, "c", BLI_DT_FLOAT, 2, (const int64_t[]){2, 2}, c);
    constant(&r, "m", BLI_DT_FLOAT, 2, (const int64_t[]){4, 1}, c);
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'b' (Relu): it is part of a cycle", run(&r, NULL, "a", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "cycle", run(&r, NULL, "loop", &out));
    assert_fails(r.ctx, BL_UNSUPPORTED, "node 'odd' (Frobnicate)", run(&r, NULL, "odd", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'lost' (Relu): input 'nowhere'", run(&r, NULL, "lost", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "output 3 of node 'c' (Const), which has 1", run(&r, NULL, "port", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'wide' (MatMul)", run(&r, NULL, "wide", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "1 inputs, expected 2", run(&r, NULL, "one", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "no outputs", run(&r, NULL, "of_none", &out));
    assert_fails(r.ctx, BL_BAD_MODEL, "'nobody' names no node", run(&r, NULL, "nobody", &out));
    assert_fails(r.ctx, BL_USAGE, "node 'p' (Placeholder): a placeholder that is not fed", run(&r, NULL, "q", &out));
    assert_ok(r.ctx, run(&r, NULL, "none", &out));
    rig_free(&r);
}

static void shapes_are_known_before_running(void **state)
{
    (void)state;
    rig r = rig_make();
    const float w[6] = {0};
    const int32_t axis[1] = {1};
    bli_arena *arena;
    bli_tf_shapes shapes;
    constant(&r, "w", BLI_DT_FLOAT, 2, (const int64_t[]){2, 3}, w);
    constant(&r, "axis", BLI_DT_INT32, 1, (const int64_t[]){1}, axis);
    placeholder(&r, "x");
    add(&r, "y MatMul x w");
    add(&r, "m Mean y axis");
    add(&r, "f Frobnicate y");
    add(&r, "g Relu f");
    assert_ok(r.ctx, bli_arena_create(r.ctx, &arena));
    assert_ok(r.ctx, bli_tf_infer_graph(r.g, arena, &shapes));
    assert_int_equal(shapes.out[3][0].shape.rank, 2);
    assert_int_equal(shapes.out[3][0].shape.dim[0], -1);
    assert_int_equal(shapes.out[3][0].shape.dim[1], 3);
    assert_int_equal(shapes.out[4][0].shape.rank, 1);
    assert_int_equal(shapes.num_out[5], 0);
    assert_int_equal(shapes.out[6][0].shape.rank, -1);
    bli_arena_destroy(arena);
    assert_true(bli_tf_foldable("Mul") && !bli_tf_foldable("Placeholder") && !bli_tf_evaluable("Frobnicate"));
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_runs_in_the_order_of_its_inputs),
        cmocka_unit_test(one_session_takes_pictures_of_several_sizes),
        cmocka_unit_test(refusals_name_the_node),
        cmocka_unit_test(shapes_are_known_before_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
