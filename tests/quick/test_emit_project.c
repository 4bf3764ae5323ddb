/* test_emit_project.c: a project's folder is there as a whole, or what was there before is. */
#include "support/test.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emit/emit.h"
#include "support/faults.h"
#include "support/folder.h"
#include "support/memory.h"

static bl_status write_project(bl_context *ctx, const char *folder, const char *content)
{
    bli_project *p;
    BLI_TRY(bli_project_open(ctx, folder, &p));
    bl_status s = bli_project_file(p, "a.c", content, strlen(content));
    if (s == BL_OK)
        s = bli_project_file(p, "deep/er/b.h", "b", 1);
    if (s == BL_OK)
        s = bli_project_script(p, "build.sh", "#!/bin/sh\n", 10);
    if (s == BL_OK)
        return bli_project_commit(p);
    bli_project_abandon(p);
    return s;
}

static void assert_content(const char *path, const char *expected)
{
    size_t size;
    char *data = get_file(path, &size);
    assert_non_null(data);
    assert_string_equal(data, expected);
    free(data);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void a_project_is_written_and_replaced(void **state)
{
    bl_context *ctx = *state;
    struct stat st;
    assert_ok(ctx, write_project(ctx, temp_path("p"), "one"));
    assert_content(temp_path("p/a.c"), "one");
    assert_content(temp_path("p/deep/er/b.h"), "b");
    assert_content(temp_path("p/.bitlathe"), "a.c\ndeep/er/b.h\nbuild.sh\n");
    assert_int_equal(stat(temp_path("p/build.sh"), &st), 0);
    assert_true(st.st_mode & S_IXUSR);
    assert_int_equal(mkdir(temp_path("p/build"), 0777), 0);
    put_file(temp_path("p/build/x.so"), "so", 2);
    assert_ok(ctx, write_project(ctx, temp_path("p/"), "two"));
    assert_content(temp_path("p/a.c"), "two");
    assert_false(exists(temp_path("p/build")));
    assert_int_equal(temp_count_files(), 1);
}

static void an_empty_folder_is_taken_and_a_link_followed(void **state)
{
    bl_context *ctx = *state;
    assert_int_equal(mkdir(temp_path("empty"), 0777), 0);
    assert_int_equal(symlink("empty", temp_path("link")), 0);
    assert_ok(ctx, write_project(ctx, temp_path("link"), "one"));
    assert_ok(ctx, write_project(ctx, temp_path("link"), "two"));
    assert_content(temp_path("empty/a.c"), "two");
}

static void what_is_in_the_way_is_named_and_left_alone(void **state)
{
    bl_context *ctx = *state;
    put_file(temp_path("file"), "x", 1);
    assert_fails(ctx, BL_IO, "is a file, not a folder", write_project(ctx, temp_path("file"), "n"));
    assert_fails(ctx, BL_NOT_FOUND, "No such file", write_project(ctx, temp_path("no/such/q"), "n"));
    assert_fails(ctx, BL_IO, "Not a directory", write_project(ctx, temp_path("file/q"), "n"));
    assert_fails(ctx, BL_USAGE, "no name", write_project(ctx, "", "n"));
    assert_int_equal(mkdir(temp_path("mine"), 0777), 0);
    put_file(temp_path("mine/thesis.txt"), "x", 1);
    assert_fails(ctx, BL_IO, "thesis.txt", write_project(ctx, temp_path("mine"), "n"));
    assert_ok(ctx, write_project(ctx, temp_path("ours"), "one"));
    put_file(temp_path("ours/deep/notes.txt"), "x", 1);
    int before = temp_count_files();
    assert_fails(ctx, BL_IO, "deep/notes.txt", write_project(ctx, temp_path("ours"), "two"));
    assert_content(temp_path("ours/a.c"), "one");
    assert_content(temp_path("mine/thesis.txt"), "x");
    assert_int_equal(temp_count_files(), before);
}

/* What could not be removed, because removing it failed on purpose. */
static void remove_rests(const char *path)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'.*", path);
    assert_int_equal(system(command), 0);
}

static void each_failing_call_leaves_the_old_project(void **state)
{
    bl_context *ctx = *state;
    faults f = {0};
    assert_ok(ctx, write_project(ctx, temp_path("f"), "old"));
    faults_install(ctx, &f);
    for (long at = 1;; at++) {
        f = (faults){.kind = FAULT_ERROR, .at = at, .error = EACCES};
        bl_status s = write_project(ctx, temp_path("f"), "new");
        if (f.calls < at)
            break;
        size_t size;
        char *data = get_file(temp_path("f/a.c"), &size);
        assert_non_null(data);
        assert_true(strcmp(data, "new") == 0 || (s != BL_OK && strcmp(data, "old") == 0));
        if (s != BL_OK && strcmp(data, "old") == 0)
            assert_non_null(strstr(bl_context_message(ctx), "Permission denied"));
        free(data);
        f = (faults){0};
        remove_rests(temp_path("f"));
        assert_ok(ctx, write_project(ctx, temp_path("f"), "old"));
    }
    bli_context_set_file_ops(ctx, NULL);
}

static void a_full_disk_leaves_nothing(void **state)
{
    bl_context *ctx = *state;
    faults f = {.limited = true, .space_left = 5};
    int before = temp_count_files();
    faults_install(ctx, &f);
    assert_fails(ctx, BL_IO, "No space left", write_project(ctx, temp_path("full"), "content"));
    bli_context_set_file_ops(ctx, NULL);
    assert_false(exists(temp_path("full")));
    assert_int_equal(temp_count_files(), before);
}

static bl_status write_one(bl_context *ctx, void *arg)
{
    return write_project(ctx, arg, "content");
}

static void failing_allocations_leave_nothing(void **state)
{
    (void)state;
    fail_each_allocation(write_one, (void *)(uintptr_t)temp_path("m"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_project_is_written_and_replaced, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(an_empty_folder_is_taken_and_a_link_followed, context_set_up,
                                        context_tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_the_way_is_named_and_left_alone, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(each_failing_call_leaves_the_old_project, context_set_up, context_tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, context_set_up, context_tear_down),
        cmocka_unit_test(failing_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
