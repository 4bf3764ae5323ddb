/* Other programs: what they print, how they end, and that they end when they must. */
#include "support/test.h"

#include <time.h>

#include "base/process.h"

static bl_status shell(bl_context *ctx, const char *script, double seconds, size_t ceiling, int *status, char **said)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    bli_process p = {.argv = argv, .folder = "/", .seconds = seconds, .ceiling = ceiling};
    return bli_process_run(ctx, &p, status, said);
}

static void output_and_status_come_back(void **state)
{
    int status;
    char *said;
    assert_ok(*state, shell(*state, "pwd; echo err >&2; exit 7", 20, 1000, &status, &said));
    assert_int_equal(status, 7);
    assert_string_equal(said, "/\nerr\n");
    bli_free(*state, said);
    assert_ok(*state, shell(*state, "exit 0", 20, 1000, &status, &said));
    assert_string_equal(said, "");
    bli_free(*state, said);
    assert_ok(*state, shell(*state, "kill -9 $$", 20, 1000, &status, NULL));
    assert_int_equal(status, 128 + 9);
}

static void of_long_output_the_end_is_kept(void **state)
{
    int status;
    char *said;
    assert_ok(*state,
              shell(*state, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", 20, 8192, &status, &said));
    assert_true(strlen(said) <= 8192);
    assert_non_null(strstr(said, "line 2999\n"));
    bli_free(*state, said);
}

static void a_program_that_takes_too_long_is_ended_with_its_children(void **state)
{
    time_t start = time(NULL);
    int status;
    assert_fails(*state, BL_LIMIT, "took longer", shell(*state, "sleep 50 & sleep 50; wait", 0.2, 100, &status, NULL));
    assert_fails(*state, BL_LIMIT, "took longer", shell(*state, "sleep 50", 0.2, 100, &status, NULL));
    assert_true(time(NULL) - start < 40);
}

static void an_interrupt_ends_it(void **state)
{
    int status;
    bl_context_interrupt(*state);
    assert_fails(*state, BL_INTERRUPTED, "stopped", shell(*state, "sleep 50", 60, 100, &status, NULL));
    bli_interrupt_clear(*state);
}

static void what_is_not_there_is_named(void **state)
{
    char path[BLI_PROCESS_PATH];
    int status;
    const char *argv[] = {"/no/such/program", NULL};
    bli_process p = {.argv = argv, .seconds = 5, .ceiling = 100};
    assert_fails(*state, BL_NOT_FOUND, "no-such-tool is not installed (package some-package)",
                 bli_process_find(*state, "no-such-tool", "some-package", path));
    assert_ok(*state, bli_process_find(*state, "sh", "dash", path));
    assert_fails(*state, BL_IO, "could not be started", bli_process_run(*state, &p, &status, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status_come_back),
        cmocka_unit_test(of_long_output_the_end_is_kept),
        cmocka_unit_test(a_program_that_takes_too_long_is_ended_with_its_children),
        cmocka_unit_test(an_interrupt_ends_it),
        cmocka_unit_test(what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
