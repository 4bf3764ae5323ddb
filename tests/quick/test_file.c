/* test_file.c: a written file is the old one or the new one, whatever fails and whenever the process ends. */
#include "support/test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support/faults.h"
#include "support/folder.h"
#include "support/memory.h"

enum { NEW_SIZE = 200000 };
static char new_content[NEW_SIZE];
static const char old_content[] = "the old content";

static int setup(void **state)
{
    for (size_t i = 0; i < NEW_SIZE; i++)
        new_content[i] = (char)(i * 7 % 251);
    return bl_context_create(NULL, (bl_context **)state) != BL_OK;
}

static int teardown(void **state)
{
    bl_context_destroy(*state);
    return 0;
}

/* 1: the file holds the new content, 0: the old; anything else fails the test. */
static int which(const char *path)
{
    size_t size = 0;
    char *data = get_file(path, &size);
    assert_non_null(data);
    int is_new = size == NEW_SIZE && memcmp(data, new_content, NEW_SIZE) == 0;
    int is_old = size == strlen(old_content) && memcmp(data, old_content, size) == 0;
    free(data);
    assert_int_equal(is_new + is_old, 1);
    return is_new;
}

/* In several pieces, some above the writer's buffer. */
static bl_status write_new(bl_context *ctx, const char *path)
{
    bli_writer *w;
    BLI_TRY(bli_writer_open(ctx, path, &w));
    size_t at = 0;
    for (size_t piece = 1; at < NEW_SIZE; piece = piece * 5 + 1) {
        size_t n = piece < NEW_SIZE - at ? piece : NEW_SIZE - at;
        bl_status s = bli_writer_write(w, new_content + at, n);
        if (s != BL_OK) {
            bli_writer_abandon(w);
            return s;
        }
        at += n;
    }
    return bli_writer_commit(w);
}

static void what_is_written_is_read(void **state)
{
    bl_context *ctx = *state;
    const char *path = temp_path("a");
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, NEW_SIZE};
    for (size_t i = 0; i < BLI_COUNT(sizes); i++) {
        char *data;
        size_t size;
        assert_ok(ctx, bli_file_write(ctx, path, new_content, sizes[i]));
        assert_ok(ctx, bli_file_read(ctx, path, sizes[i], &data, &size));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(data, new_content, size);
        assert_int_equal(data[size], 0);
        bli_free(ctx, data);
    }
    assert_ok(ctx, write_new(ctx, path));
    assert_int_equal(which(path), 1);
    assert_int_equal(temp_count_files(), 1);
    unlink(path);
}

static void reading_says_what_is_wrong(void **state)
{
    bl_context *ctx = *state;
    char *data = NULL;
    size_t size;
    assert_fails(ctx, BL_NOT_FOUND, "No such file", bli_file_read(ctx, temp_path("none"), 10, &data, &size));
    assert_null(data);
    assert_fails(ctx, BL_IO, "is a folder", bli_file_read(ctx, temp_folder(), 10, &data, &size));
    put_file(temp_path("b"), "hello", 5);
    assert_fails(ctx, BL_LIMIT, "at most 4", bli_file_read(ctx, temp_path("b"), 4, &data, &size));
    faults f = {.kind = FAULT_ERROR, .at = 2, .error = EIO};
    faults_install(ctx, &f);
    assert_fails(ctx, BL_IO, "cannot read", bli_file_read(ctx, temp_path("b"), 10, &data, &size));
    f = (faults){.kind = FAULT_ERROR, .at = 1, .error = EACCES};
    assert_fails(ctx, BL_IO, "Permission denied", bli_file_read(ctx, temp_path("b"), 10, &data, &size));
    f = (faults){.kind = FAULT_ERROR, .at = 2, .error = EINTR};
    assert_ok(ctx, bli_file_read(ctx, temp_path("b"), 10, &data, &size));
    assert_string_equal(data, "hello");
    bli_free(ctx, data);
    bli_context_set_file_ops(ctx, NULL);
    unlink(temp_path("b"));
}

static void a_file_without_a_size_is_read_to_its_end_or_ceiling(void **state)
{
    bl_context *ctx = *state;
    char *data;
    size_t size;
    assert_ok(ctx, bli_file_read(ctx, "/proc/self/status", 1 << 20, &data, &size));
    assert_true(size > 100);
    bli_free(ctx, data);
    assert_fails(ctx, BL_LIMIT, "more than", bli_file_read(ctx, "/dev/zero", 1000000, &data, &size));
}

static void each_failing_call_leaves_the_old_file_and_nothing_else(void **state)
{
    bl_context *ctx = *state;
    const char *path = temp_path("c");
    put_file(path, old_content, strlen(old_content));
    int failures = 0;
    for (long k = 1;; k++) {
        faults f = {.kind = FAULT_ERROR, .at = k, .error = EIO};
        faults_install(ctx, &f);
        bl_status s = write_new(ctx, path);
        if (f.calls < k) {
            assert_ok(ctx, s);
            break;
        }
        assert_int_equal(temp_count_files(), 1);
        failures += s == BL_IO;
        if (s == BL_IO)
            assert_non_null(strstr(bl_context_message(ctx), "Input/output error"));
        if (which(path) == 1) /* after the rename: the folder's sync may still fail, its close may not matter */
            put_file(path, old_content, strlen(old_content));
        else
            assert_int_equal(s, BL_IO);
    }
    assert_true(failures >= 6);
    assert_int_equal(which(path), 1);
    bli_context_set_file_ops(ctx, NULL);
    unlink(path);
}

static void short_writes_and_a_full_disk(void **state)
{
    bl_context *ctx = *state;
    const char *path = temp_path("d");
    faults f = {.short_write = 1000};
    faults_install(ctx, &f);
    assert_ok(ctx, write_new(ctx, path));
    assert_int_equal(which(path), 1);
    put_file(path, old_content, strlen(old_content));
    for (size_t space = 0; space < NEW_SIZE; space += 33333) {
        f = (faults){.limited = true, .space_left = space};
        assert_fails(ctx, BL_IO, "No space left on device", write_new(ctx, path));
        assert_int_equal(which(path), 0);
        assert_int_equal(temp_count_files(), 1);
    }
    bli_context_set_file_ops(ctx, NULL);
    unlink(path);
}

static int write_in_child(void *arg)
{
    bl_context *ctx;
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    faults_install(ctx, arg);
    return write_new(ctx, temp_path("e")) == BL_OK ? 0 : 1;
}

static void a_process_that_ends_in_any_call_leaves_a_whole_file(void **state)
{
    (void)state;
    static const fault_kind kinds[] = {FAULT_EXIT_BEFORE, FAULT_EXIT_AMID, FAULT_EXIT_AFTER};
    const char *path = temp_path("e");
    int old = 0, new = 0;
    for (size_t i = 0; i < BLI_COUNT(kinds); i++) {
        int status = FAULT_EXIT_STATUS;
        for (long k = 1; status == FAULT_EXIT_STATUS; k++) {
            put_file(path, old_content, strlen(old_content));
            faults f = {.kind = kinds[i], .at = k};
            status = run_in_child(write_in_child, &f);
            assert_true(status == 0 || status == FAULT_EXIT_STATUS);
            if (which(path) == 1)
                new ++;
            else
                old++;
        }
    }
    assert_true(old >= 15 && new >= 6);
}

static void only_regular_files_are_replaced_and_links_are_followed(void **state)
{
    bl_context *ctx = *state;
    assert_fails(ctx, BL_IO, "not a regular file", bli_file_write(ctx, "/dev/null", "x", 1));
    assert_fails(ctx, BL_IO, "is a folder", bli_file_write(ctx, temp_folder(), "x", 1));
    assert_fails(ctx, BL_NOT_FOUND, "No such file", bli_file_write(ctx, temp_path("no/such"), "x", 1));
    put_file(temp_path("real"), "old", 3);
    assert_int_equal(symlink(temp_path("real"), temp_path("link")), 0);
    assert_ok(ctx, bli_file_write(ctx, temp_path("link"), "new", 3));
    struct stat st;
    assert_int_equal(lstat(temp_path("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    size_t size;
    char *data = get_file(temp_path("real"), &size);
    assert_string_equal(data, "new");
    free(data);
}

static void an_abandoned_write_leaves_nothing(void **state)
{
    bl_context *ctx = *state;
    bli_writer *w;
    int before = temp_count_files();
    assert_ok(ctx, bli_writer_open(ctx, temp_path("f"), &w));
    assert_ok(ctx, bli_writer_write(w, new_content, NEW_SIZE));
    bli_writer_abandon(w);
    bli_writer_abandon(NULL);
    assert_int_equal(temp_count_files(), before);
}

static bl_status write_and_read(bl_context *ctx, void *arg)
{
    char *data;
    size_t size;
    BLI_TRY(bli_file_write(ctx, arg, new_content, NEW_SIZE));
    BLI_TRY(bli_file_read(ctx, arg, NEW_SIZE, &data, &size));
    bli_free(ctx, data);
    return BL_OK;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    int before = temp_count_files();
    char *path = strdup(temp_path("g"));
    assert_true(fail_each_allocation(write_and_read, path) >= 4);
    free(path);
    assert_int_equal(temp_count_files(), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(reading_says_what_is_wrong),
        cmocka_unit_test(a_file_without_a_size_is_read_to_its_end_or_ceiling),
        cmocka_unit_test(each_failing_call_leaves_the_old_file_and_nothing_else),
        cmocka_unit_test(short_writes_and_a_full_disk),
        cmocka_unit_test(a_process_that_ends_in_any_call_leaves_a_whole_file),
        cmocka_unit_test(only_regular_files_are_replaced_and_links_are_followed),
        cmocka_unit_test(an_abandoned_write_leaves_nothing),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
