/* test_tf_ops.c: operators of TensorFlow graphs against TensorFlow: every case of tools/make_tf_goldens.py, bit by bit,
 * or within the error that float arithmetic in another order can make (derived there). */
#include "support/test.h"

#include <math.h>

#include "tf/session.h"

enum { MOST_OUT = 8 };

typedef struct golden {
    bl_context *ctx;
    bli_tf_store *store;
    bli_tf_graph *graph;
    bli_tf_index index;
    bli_tf_session *session;
} golden;

static void open_golden(golden *g, const char *name)
{
    char path[256];
    assert_ok(NULL, bl_context_create(NULL, &g->ctx));
    assert_ok(g->ctx, bli_tf_store_create(g->ctx, &g->store));
    snprintf(path, sizeof path, "golden/%s", name);
    assert_ok(g->ctx, bli_tf_graph_read(g->store, path, &g->graph));
    assert_ok(g->ctx, bli_tf_index_make(g->graph, &g->index));
    assert_ok(g->ctx, bli_tf_session_create(g->graph, NULL, &g->session));
}

static void close_golden(golden *g)
{
    bli_tf_session_destroy(g->session);
    bli_tf_index_free(&g->index);
    bli_tf_store_destroy(g->store);
    bl_context_destroy(g->ctx);
}

/* The constant of that name; false: there is none. */
static bool constant(golden *g, const char *name, bli_tf_tensor *t)
{
    const size_t at = bli_tf_index_find(&g->index, name, strlen(name));
    if (at == SIZE_MAX)
        return false;
    assert_ok(g->ctx, bli_tf_get_tensor(g->store, g->graph->nodes[at], "value", t));
    return true;
}

static double value_at(int dtype, const void *data, size_t i)
{
    switch (dtype) {
    case BLI_DT_FLOAT:
        return (double)((const float *)data)[i];
    case BLI_DT_DOUBLE:
        return ((const double *)data)[i];
    case BLI_DT_INT64:
        return (double)((const int64_t *)data)[i];
    case BLI_DT_INT32:
    case BLI_DT_QINT32:
        return ((const int32_t *)data)[i];
    case BLI_DT_INT16:
    case BLI_DT_QINT16:
        return ((const int16_t *)data)[i];
    case BLI_DT_UINT16:
    case BLI_DT_QUINT16:
        return ((const uint16_t *)data)[i];
    case BLI_DT_INT8:
    case BLI_DT_QINT8:
        return ((const int8_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

static void compare(golden *g, const char *name, const char *op, int port, const bli_tf_array *got)
{
    char text[64];
    bli_tf_tensor want, error;
    snprintf(text, sizeof text, "%s/want/%d", name, port);
    assert_true(constant(g, text, &want));
    snprintf(text, sizeof text, "%s/error/%d", name, port);
    const double limit = constant(g, text, &error) ? (double)*(const float *)error.data : 0;
    assert_int_equal(got->dtype, want.dtype);
    assert_int_equal(got->shape.rank, want.rank);
    for (int d = 0; d < want.rank; d++)
        assert_int_equal(got->shape.dim[d], want.dim[d]);
    for (size_t i = 0; i < want.count; i++) {
        const double a = value_at(got->dtype, got->data, i), b = value_at(got->dtype, want.data, i);
        if (!(fabs(a - b) <= limit) && !(isnan(a) && isnan(b)) && a != b)
            print_error("%s (%s), output %d, element %zu of %zu: %.9g, TensorFlow has %.9g, %.3g may differ\n", name,
                        op, port, i, want.count, a, b, limit);
        assert_true(fabs(a - b) <= limit || (isnan(a) && isnan(b)) || a == b);
    }
}

/* All outputs that have a golden. */
static void run_case(golden *g, const char *name, const char *op)
{
    char fetches[MOST_OUT][64], text[64];
    const char *names[MOST_OUT];
    bli_tf_array out[MOST_OUT];
    bli_tf_tensor want;
    size_t count = 0;
    for (; count < MOST_OUT; count++) {
        snprintf(text, sizeof text, "%s/want/%zu", name, count);
        if (!constant(g, text, &want))
            break;
        snprintf(fetches[count], sizeof fetches[count], "%s:%zu", name, count);
        names[count] = fetches[count];
    }
    assert_ok(g->ctx, bli_tf_session_run(g->session, NULL, 0, names, count, out));
    for (size_t i = 0; i < count; i++) {
        compare(g, name, op, (int)i, &out[i]);
        bli_tf_array_release(&out[i]);
    }
}

static void run_file(const char *file, size_t at_least)
{
    golden g;
    size_t cases = 0;
    open_golden(&g, file);
    for (;; cases++) {
        char name[32];
        snprintf(name, sizeof name, "c%zu", cases);
        const size_t at = bli_tf_index_find(&g.index, name, strlen(name));
        if (at == SIZE_MAX)
            break;
        run_case(&g, name, g.graph->nodes[at]->op);
    }
    assert_true(cases >= at_least);
    close_golden(&g);
}

static void eight_bit_operators_give_tensorflows_bits(void **state)
{
    (void)state;
    run_file("tf_eight.pb", 144);
}

static void other_operators_give_tensorflows_values(void **state)
{
    (void)state;
    run_file("tf_ops.pb", 150);
}

static void pictures_and_sounds_are_decoded_as_tensorflow_decodes_them(void **state)
{
    (void)state;
    run_file("tf_runtime.pb", 500);
}

/* tools/make_low_bits_goldens.py: what quantize_weights packed. */
static void weights_of_few_bits_are_what_tensorflow_unpacks(void **state)
{
    (void)state;
    run_file("tf_low_bits.pb", 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_bit_operators_give_tensorflows_bits),
        cmocka_unit_test(other_operators_give_tensorflows_values),
        cmocka_unit_test(pictures_and_sounds_are_decoded_as_tensorflow_decodes_them),
        cmocka_unit_test(weights_of_few_bits_are_what_tensorflow_unpacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
