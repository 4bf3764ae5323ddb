/* test_tf_checkpoint.c: TensorFlow's checkpoints, and sparsify_gather on variables in them: the golden ones of
 * tools/make_checkpoint_goldens.py, whole and damaged. */
#include "base/file.h"
#include "bitlathe/tf.h"
#include "model/sstable.h"
#include "model/tf_checkpoint.h"
#include "support/folder.h"
#include "support/memory.h"
#include "support/test.h"
#include "tf/transform.h"

static const char golden[] = "golden/tf_checkpoint/model";
enum { INDEX, DATA };
static const char *const ends[] = {".index", ".data-00000-of-00001"};

static bl_context *context(void)
{
    bl_context *ctx;
    assert_ok(NULL, bl_context_create(NULL, &ctx));
    return ctx;
}

static void sums_are_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(bli_crc32c("123456789", 9, 0), 0xe3069283);
    assert_int_equal(bli_crc32c("6789", 4, bli_crc32c("12345", 5, 0)), 0xe3069283);
    assert_int_equal(bli_crc32c("", 0, 0), 0);
    assert_int_equal(bli_crc32c_masked(0), 0xa282ead8);
}

static float column(int i)
{
    return i % 3 == 1 ? (float)i * 0.25f - 1 : 0;
}

static void tensors_come_whole_also_from_parts(void **state)
{
    (void)state;
    bl_context *ctx = context();
    bli_tf_checkpoint *c;
    bli_tf_saved t;
    assert_ok(ctx, bli_tf_checkpoint_open(ctx, golden, &c));
    assert_ok(ctx, bli_tf_checkpoint_read(c, "parts", &t));
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dim[0], 30);
    assert_int_equal(t.dim[1], 1);
    for (int i = 0; i < 30; i++)
        assert_true(t.data[i] == column(i));
    bli_free(ctx, t.data);
    assert_ok(ctx, bli_tf_checkpoint_read(c, "other", &t));
    assert_int_equal(t.dim[0], 5);
    assert_true(t.data[4] == 4);
    bli_free(ctx, t.data);
    assert_fails(ctx, BL_NOT_FOUND, "golden/tf_checkpoint/model.index: no tensor 'v'",
                 bli_tf_checkpoint_read(c, "v", &t));
    assert_fails(ctx, BL_NOT_FOUND, "no tensor ''", bli_tf_checkpoint_read(c, "", &t));
    bli_tf_checkpoint_close(c);
    bl_context_destroy(ctx);
}

/* ---- damaged files -------------------------------------------------------------------------------------------- */
typedef struct copy {
    bl_context *ctx;
    char *data[2];
    size_t size[2];
} copy;

static copy copy_make(void)
{
    copy c = {.ctx = context()};
    char path[400];
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s%s", golden, ends[k]);
        assert_ok(c.ctx, bli_file_read(c.ctx, path, 1 << 20, &c.data[k], &c.size[k]));
    }
    return c;
}

static bl_status open_copy(copy *c, const char *name)
{
    char path[64];
    bli_tf_checkpoint *at;
    bli_tf_saved t = {.data = NULL};
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "m%s", ends[k]);
        put_file(temp_path(path), c->data[k], c->size[k]);
    }
    bl_status s = bli_tf_checkpoint_open(c->ctx, temp_path("m"), &at);
    if (s == BL_OK)
        s = bli_tf_checkpoint_read(at, name, &t);
    bli_free(c->ctx, t.data);
    bli_tf_checkpoint_close(at);
    return s;
}

static void copy_free(copy *c)
{
    for (int k = 0; k < 2; k++)
        bli_free(c->ctx, c->data[k]);
    bl_context_destroy(c->ctx);
}

static void damage_is_told(void **state)
{
    (void)state;
    copy c = copy_make();
    assert_ok(c.ctx, open_copy(&c, "w"));
    c.data[DATA][c.size[DATA] - 1] ^= 1;
    assert_fails(c.ctx, BL_BAD_FILE, "tensor 'w' has another sum than the index says", open_copy(&c, "w"));
    c.data[DATA][c.size[DATA] - 1] ^= 1;
    c.size[DATA]--;
    assert_fails(c.ctx, BL_BAD_FILE, "m.data-00000-of-00001: 219 bytes; expected 220", open_copy(&c, "w"));
    c.size[DATA]++;
    c.data[INDEX][3] ^= 1;
    assert_fails(c.ctx, BL_BAD_FILE, "m.index: the block at byte 0 has another sum than it says", open_copy(&c, "w"));
    c.data[INDEX][3] ^= 1;
    for (size_t n = 0; n < c.size[INDEX]; n++) { /* cut anywhere */
        const size_t whole = c.size[INDEX];
        c.size[INDEX] = n;
        assert_fails(c.ctx, BL_BAD_FILE, "m.index: ", open_copy(&c, "w"));
        c.size[INDEX] = whole;
    }
    copy_free(&c);
}

static void what_is_not_there_is_named(void **state)
{
    (void)state;
    bl_context *ctx = context();
    bli_tf_checkpoint *c;
    assert_fails(ctx, BL_NOT_FOUND, "nowhere/model.index: cannot open",
                 bli_tf_checkpoint_open(ctx, "nowhere/model", &c));
    assert_fails(
        ctx, BL_BAD_FILE, "its last 48 bytes are not those of a table",
        bli_sstable_open(ctx, "                                                          ", 58, &(bli_sstable){0}));
    bl_context_destroy(ctx);
}

static bl_status read_parts(bl_context *ctx, void *user)
{
    bli_tf_checkpoint *c;
    bli_tf_saved t;
    (void)user;
    BLI_TRY(bli_tf_checkpoint_open(ctx, golden, &c));
    bl_status s = bli_tf_checkpoint_read(c, "parts", &t);
    bli_free(ctx, t.data);
    bli_tf_checkpoint_close(c);
    return s;
}

static void a_lack_of_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(read_parts, NULL) > 4);
}

/* ---- sparsify_gather ------------------------------------------------------------------------------------------ */
static bl_status sparsify(bl_graphdef *g, const char *transforms, bool compat)
{
    const bl_tf_options o = {"ids", "out", compat};
    return bl_tf_transform(g, transforms, &o);
}

static void variables_become_tables_as_in_tensorflow(void **state)
{
    (void)state;
    bl_context *ctx = context();
    bl_graphdef *g, *want;
    char *difference;
    assert_ok(ctx, bl_graphdef_read(ctx, "golden/tf_checkpoint/sparse.pb", &want));
    for (int compat = 0; compat < 2; compat++) {
        assert_ok(ctx, bl_graphdef_read(ctx, "golden/tf_checkpoint/graph.pb", &g));
        assert_ok(
            ctx,
            sparsify(g, "sparsify_gather(input_checkpoint=golden/tf_checkpoint/model, group_init_node=start)", compat));
        assert_ok(ctx, bl_graphdef_compare(g, want, 0, &difference));
        if (difference)
            fail_msg("%s", difference);
        bl_graphdef_destroy(g);
    }
    bl_graphdef_destroy(want);
    bl_context_destroy(ctx);
}

static void variables_want_their_checkpoint(void **state)
{
    (void)state;
    bl_context *ctx = context();
    bl_graphdef *g;
    assert_ok(ctx, bl_graphdef_read(ctx, "golden/tf_checkpoint/graph.pb", &g));
    assert_fails(ctx, BL_USAGE, "node 'w' (VariableV2): its weights are in a checkpoint; expected input_checkpoint",
                 sparsify(g, "sparsify_gather", false));
    assert_fails(ctx, BL_NOT_FOUND, "sparsify_gather: nowhere.index: cannot open",
                 sparsify(g, "sparsify_gather(input_checkpoint=nowhere)", true));
    assert_ok(ctx, sparsify(g, "rename_node(old_node_name=parts/part_0, new_node_name=lost/part_0)", false));
    assert_fails(ctx, BL_NOT_FOUND,
                 "node 'lost/part_0' (VariableV2): golden/tf_checkpoint/model.index: no tensor 'lost'",
                 sparsify(g, "sparsify_gather(input_checkpoint=golden/tf_checkpoint/model)", false));
    assert_fails(ctx, BL_BAD_MODEL, "node 'lost/part_0' (VariableV2): no RestoreV2 of the graph has it",
                 sparsify(g, "sparsify_gather(input_checkpoint=golden/tf_checkpoint/model)", true));
    bl_graphdef_destroy(g);
    bl_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_castagnolis),
        cmocka_unit_test(tensors_come_whole_also_from_parts),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(a_lack_of_memory_is_an_error),
        cmocka_unit_test(variables_become_tables_as_in_tensorflow),
        cmocka_unit_test(variables_want_their_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
