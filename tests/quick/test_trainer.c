/* Training: it learns, it does not depend on threads, a checkpoint goes on byte for byte. Run under TSan too. */
#include "support/test.h"

#include <math.h>

#include "base/sha256.h"
#include "support/faults.h"
#include "support/folder.h"
#include "support/memory.h"
#include "support/nets.h"
#include "train/checkpoint.h"

enum { ROWS = 600, INPUTS = 6, CLASSES = 3 };

static bl_context *new_context(int threads)
{
    bl_context *ctx;
    assert_int_equal(bl_context_create(NULL, &ctx), BL_OK);
    bl_context_set_threads(ctx, threads);
    return ctx;
}

static bl_graph *small_net(bl_context *ctx, bool batch_norm)
{
    static const int widths[] = {17, 8, CLASSES};
    return net_build(ctx,
                     &(net_spec){.inputs = INPUTS, .layers = 3, .widths = widths, .seed = 3, .batch_norm = batch_norm});
}

static bl_train_options small_options(void)
{
    bl_train_options o;
    bl_train_options_init(&o);
    o.epochs = 3;
    o.batch = 50;
    o.slices = 4;
    o.optimizer.lr = 0.01;
    return o;
}

/* Every trained number of the model, in order. */
static uint64_t fingerprint(const bl_graph *g)
{
    uint64_t h = 0;
    for (int v = 0; v < bl_graph_num_values(g); v++) {
        const bl_value *x = bl_graph_value(g, v);
        if (x->role == BL_ROLE_PARAMETER || x->role == BL_ROLE_STATE)
            h = h * 31 + bli_hash(x->data, (size_t)bl_shape_count(&x->shape) * bl_dtype_size(x->type));
    }
    return h;
}

static uint64_t train_once(int threads, bool batch_norm, const bl_train_options *o)
{
    bl_context *ctx = new_context(threads);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, batch_norm), *m;
    bl_trainer *t;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, o, &t));
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    const uint64_t h = fingerprint(m);
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
    return h;
}

static void learns_a_toy_problem(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    toy_data d = toy_make(ctx, 2000, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, false), *m;
    bl_train_options o = small_options();
    bl_trainer *t;
    bl_scores before, after;
    o.epochs = 15;
    assert_ok(ctx, bl_evaluate(ctx, g, d.set, "cross_entropy", &before));
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    assert_ok(ctx, bl_evaluate(ctx, m, d.set, "cross_entropy", &after));
    assert_true(after.loss < 0.4 * before.loss);
    assert_true(after.accuracy > 0.9);
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static void threads_change_no_bit(void **state)
{
    const bool batch_norm = *state != NULL;
    bl_train_options o = small_options();
    for (int batch = 50; batch <= 51; batch++) { /* 51: a short last batch */
        o.batch = batch;
        o.optimizer.clip_norm = batch == 51 ? 0.5 : 0;
        const uint64_t one = train_once(1, batch_norm, &o);
        assert_int_equal(train_once(2, batch_norm, &o), one);
        assert_int_equal(train_once(3, batch_norm, &o), one);
        assert_int_equal(train_once(7, batch_norm, &o), one);
    }
}

/* A limit on the norm, even one that is never reached, has the gradients finished before the update; without one they
 * pass their quantizers in pieces of it. */
static uint64_t train_quantized(bool apart, bool small, double clip_norm)
{
    static const int widths[] = {17, 8, CLASSES};
    bl_context *ctx = new_context(2);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_train_options o = small_options();
    o.optimizer.clip_norm = clip_norm;
    bl_graph *m, *g = net_build(ctx, &(net_spec){.inputs = INPUTS,
                                                 .layers = 3,
                                                 .widths = widths,
                                                 .seed = 3,
                                                 .weight = "fixed<6,1,RND_CONV,SAT_SYM>",
                                                 .activation = small ? "fixed<3,0,TRN,SAT>" : "ufixed<4,1,RND,SAT>",
                                                 .apart = apart});
    bl_trainer *t;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    const uint64_t h = fingerprint(m);
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
    return h;
}

static void relu_and_quantizer_in_one_step_change_no_bit(void **state)
{
    (void)state;
    const uint64_t wide = train_quantized(true, false, 0), small = train_quantized(true, true, 0);
    assert_true(wide != small);
    assert_int_equal(train_quantized(false, false, 0), wide);
    assert_int_equal(train_quantized(false, true, 0), small);
    assert_int_equal(train_quantized(false, false, 1e9), wide);
    assert_int_equal(train_quantized(false, true, 1e9), small);
}

/* Of a softmax with itself nothing is to be learnt.  Formats of inputs make the network's memory begin with something
 * else than the rows, which its teacher sees. */
static void who_learns_from_himself_stays_as_he_is(void **state)
{
    (void)state;
    static const int widths[] = {17, 8, CLASSES};
    bl_context *ctx = new_context(2);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    const net_spec net = {.inputs = INPUTS, .layers = 3, .widths = widths, .input = "fixed<9,1>", .seed = 3};
    bl_graph *m, *g = net_build(ctx, &net);
    bl_train_options o = small_options();
    bl_trainer *t;
    o.batch = 70; /* and a last one of 40 */
    o.loss.teacher = g;
    o.loss.teacher_weight = 1;
    o.optimizer.name = "sgd";
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    assert_int_equal(fingerprint(m), fingerprint(g));
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static void seeds_and_slices_do_change_bits(void **state)
{
    (void)state;
    bl_train_options o = small_options();
    const uint64_t one = train_once(1, false, &o);
    o.seed = 2;
    assert_true(train_once(1, false, &o) != one);
}

static void last_batch_may_have_fewer_rows_than_slices(void **state)
{
    (void)state;
    bl_train_options o = small_options();
    o.batch = 599; /* leaves one row */
    o.slices = 16;
    assert_int_equal(train_once(1, true, &o), train_once(3, true, &o));
}

typedef struct resume_case {
    const char *path;
    bool batch_norm;
} resume_case;

static bl_train_options resume_options(const char *path)
{
    bl_train_options o = small_options();
    o.checkpoint = path;
    o.checkpoint_every = 5;
    o.validation = 0.1;
    o.patience = 50;
    o.keep_best = true;
    o.loss_scale.mode = "dynamic";
    o.loss_scale.window = 7;
    o.fingerprint = "test";
    return o;
}

/* Trains from whatever the checkpoint holds; the fault ends the process somewhere. */
static int train_until_fault(void *arg)
{
    faults *f = arg;
    bl_context *ctx;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    const char *path = temp_path("resume.npz");
    const bl_train_options o = resume_options(path);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, true);
    bl_trainer *t;
    size_t size;
    char *old = get_file(path, &size);
    if (bl_trainer_create(ctx, g, d.set, &o, &t) != BL_OK || (old && bl_trainer_resume(t, path) != BL_OK))
        return 2;
    faults_install(ctx, f);
    return bl_trainer_run(t, NULL, NULL) == BL_OK ? 0 : 3;
}

static uint64_t finish_from_checkpoint(void)
{
    bl_context *ctx = new_context(2);
    const bl_train_options o = resume_options(temp_path("resume.npz"));
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, true), *m;
    bl_trainer *t;
    size_t size;
    char *old = get_file(o.checkpoint, &size);
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    if (old)
        assert_ok(ctx, bl_trainer_resume(t, o.checkpoint));
    free(old);
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    const uint64_t h = fingerprint(m);
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
    remove(o.checkpoint);
    return h;
}

static void a_process_that_dies_anywhere_goes_on_to_the_same_model(void **state)
{
    (void)state;
    const uint64_t whole = finish_from_checkpoint();
    for (int i = 0; i < 24; i++) {
        faults f = {.kind = (fault_kind)(FAULT_EXIT_BEFORE + i % 3), .at = 1 + i * 2};
        assert_int_equal(run_in_child(train_until_fault, &f), FAULT_EXIT_STATUS);
        if (i % 4 == 0) { /* dies twice */
            faults again = {.kind = FAULT_EXIT_AMID, .at = 5};
            run_in_child(train_until_fault, &again);
        }
        assert_true(finish_from_checkpoint() == whole);
    }
}

static void a_full_disk_leaves_the_previous_checkpoint(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    bl_train_options o = resume_options(temp_path("full.npz"));
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, false);
    bl_trainer *t;
    size_t before_size, after_size;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_ok(ctx, bl_trainer_step(t));
    assert_ok(ctx, bl_trainer_save(t, o.checkpoint));
    char *before = get_file(o.checkpoint, &before_size);
    faults f = {.limited = true, .space_left = 700};
    faults_install(ctx, &f);
    assert_fails(ctx, BL_IO, "full.npz", bl_trainer_save(t, o.checkpoint));
    char *after = get_file(o.checkpoint, &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static void torn_and_foreign_checkpoints_are_refused(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    bl_train_options o = resume_options(temp_path("torn.npz"));
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, false);
    bl_trainer *t;
    size_t size;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_ok(ctx, bl_trainer_save(t, o.checkpoint));
    char *bytes = get_file(o.checkpoint, &size);
    bytes[size / 2] ^= 1;
    put_file(o.checkpoint, bytes, size);
    assert_int_equal(bl_trainer_resume(t, o.checkpoint), BL_BAD_FILE);
    put_file(o.checkpoint, bytes, size / 3);
    assert_int_equal(bl_trainer_resume(t, o.checkpoint), BL_BAD_FILE);
    bytes[size / 2] ^= 1;
    put_file(o.checkpoint, bytes, size);
    assert_ok(ctx, bl_trainer_resume(t, o.checkpoint));
    bl_trainer_destroy(t);
    o.fingerprint = "another";
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_fails(ctx, BL_BAD_FILE, "another recipe", bl_trainer_resume(t, o.checkpoint));
    free(bytes);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

/* A checkpoint with a right hash and a wrong member: drop one, or cut it, or give it another type. */
static bl_status resume_altered(bl_trainer *t, const bl_npz *z, size_t member, int how)
{
    const size_t n = bl_npz_count(z);
    bl_npz_entry *list = calloc(n, sizeof *list);
    char sha[BLI_SHA256_TEXT];
    size_t count = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        if (i == member && how == 0)
            continue;
        list[count] = (bl_npz_entry){bl_npz_name(z, i), *bl_npz_tensor(z, i)};
        if (i == member && how == 1)
            list[count].tensor.shape.dim[0] -= list[count].tensor.shape.dim[0] > 0;
        if (i == member && how == 2)
            list[count].tensor.type = BL_U16;
        count++;
    }
    bli_checkpoint_digest(list, count, sha);
    list[count++] = (bl_npz_entry){"sha256", {BL_U8, {1, {BLI_SHA256_TEXT - 1}}, sha}};
    assert_ok(t->ctx, bl_npz_write(t->ctx, temp_path("altered.npz"), list, count));
    free(list);
    return bl_trainer_resume(t, temp_path("altered.npz"));
}

static void every_member_of_a_checkpoint_is_checked(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    const bl_train_options o = resume_options(temp_path("members.npz"));
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, true);
    bl_trainer *t;
    bl_npz *z;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    for (int i = 0; i < 3; i++)
        assert_ok(ctx, bl_trainer_step(t));
    assert_ok(ctx, bl_trainer_save(t, o.checkpoint));
    assert_ok(ctx, bl_npz_read(ctx, o.checkpoint, &z));
    for (size_t m = 0; m + 1 < bl_npz_count(z); m++)
        for (int how = 0; how < 3; how++)
            if (resume_altered(t, z, m, how) != BL_BAD_FILE) {
                print_error("member %s, change %d: not refused\n", bl_npz_name(z, m), how);
                fail();
            }
    bl_npz_free(z);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static void an_interrupt_saves_and_says_where(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    bl_train_options o = resume_options(temp_path("interrupt.npz"));
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, false);
    bl_trainer *t;
    size_t size;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    bl_context_interrupt(ctx);
    assert_fails(ctx, BL_INTERRUPTED, "interrupt.npz", bl_trainer_run(t, NULL, NULL));
    char *bytes = get_file(o.checkpoint, &size);
    assert_non_null(bytes);
    free(bytes);
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL)); /* asked once, stopped once */
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static void bad_options_are_named(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    toy_data d = toy_make(ctx, 20, INPUTS, CLASSES, 1);
    bl_graph *g = small_net(ctx, false);
    bl_trainer *t;
    bl_train_options o = small_options();
    o.optimizer.name = "adamm";
    assert_fails(ctx, BL_BAD_VALUE, "adam", bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_null(t);
    o = small_options();
    o.loss.name = "crossentropy";
    assert_fails(ctx, BL_BAD_VALUE, "cross_entropy", bl_trainer_create(ctx, g, d.set, &o, &t));
    o = small_options();
    o.slices = 51;
    assert_fails(ctx, BL_BAD_VALUE, "51 slices", bl_trainer_create(ctx, g, d.set, &o, &t));
    o = small_options();
    o.places = &(bl_place_rule){"eror", NULL, "fixed<8,2>", NULL};
    o.num_places = 1;
    assert_fails(ctx, BL_BAD_VALUE, "error", bl_trainer_create(ctx, g, d.set, &o, &t));
    o = small_options();
    o.optimizer.lr = 1e30;
    o.optimizer.name = "sgd";
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &t));
    assert_fails(ctx, BL_BAD_VALUE, "not finite", bl_trainer_run(t, NULL, NULL));
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

static bl_status train_briefly(bl_context *ctx, void *arg)
{
    const toy_data *d = arg;
    bl_train_options o = small_options();
    bl_graph *m = NULL;
    bl_trainer *t;
    o.epochs = 1;
    o.batch = 300;
    o.validation = 0.2;
    o.keep_best = true;
    extern bl_graph *memory_graph;
    bl_status s = bl_trainer_create(ctx, memory_graph, d->set, &o, &t);
    if (s == BL_OK)
        s = bl_trainer_run(t, NULL, NULL);
    if (s == BL_OK)
        s = bl_trainer_model(t, &m);
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    return s;
}

bl_graph *memory_graph;

static void every_allocation_may_fail(void **state)
{
    (void)state;
    bl_context *ctx = new_context(1);
    toy_data d = toy_make(ctx, ROWS, INPUTS, CLASSES, 1);
    memory_graph = small_net(ctx, true);
    assert_true(fail_each_allocation(train_briefly, &d) > 20);
    bl_graph_destroy(memory_graph);
    toy_free(ctx, &d);
    bl_context_destroy(ctx);
}

int main(void)
{
    static int with_batch_norm = 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_a_toy_problem),
        cmocka_unit_test_prestate(threads_change_no_bit, NULL),
        cmocka_unit_test_prestate(threads_change_no_bit, &with_batch_norm),
        cmocka_unit_test(relu_and_quantizer_in_one_step_change_no_bit),
        cmocka_unit_test(who_learns_from_himself_stays_as_he_is),
        cmocka_unit_test(seeds_and_slices_do_change_bits),
        cmocka_unit_test(last_batch_may_have_fewer_rows_than_slices),
        cmocka_unit_test(a_process_that_dies_anywhere_goes_on_to_the_same_model),
        cmocka_unit_test(a_full_disk_leaves_the_previous_checkpoint),
        cmocka_unit_test(torn_and_foreign_checkpoints_are_refused),
        cmocka_unit_test(every_member_of_a_checkpoint_is_checked),
        cmocka_unit_test(an_interrupt_saves_and_says_where),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
