/* cmocka.h: as much of cmocka as the executor's tests want, for machines whose cmocka is not installed here.  A failed
 * check ends the program.
 */
#ifndef CROSS_CMOCKA_H
#define CROSS_CMOCKA_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f)                                                                                            \
    {                                                                                                                  \
#f, f                                                                                                          \
    }

static inline void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void print_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

#define print_message printf

static inline void check_that(bool holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    exit(1);
}

#define assert_true(c)                check_that((c), #c, __FILE__, __LINE__)
#define assert_false(c)               check_that(!(c), "!(" #c ")", __FILE__, __LINE__)
#define assert_null(p)                check_that((p) == NULL, #p " is null", __FILE__, __LINE__)
#define assert_non_null(p)            check_that((p) != NULL, #p " is not null", __FILE__, __LINE__)
#define assert_int_equal(a, b)        check_that((long long)(a) == (long long)(b), #a " == " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b)     check_that(strcmp(a, b) == 0, #a " == " #b, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) check_that(strcmp(a, b) != 0, #a " != " #b, __FILE__, __LINE__)
#define fail()                        check_that(false, "fail()", __FILE__, __LINE__)

static inline int cross_run(const struct CMUnitTest *tests, size_t count, int (*set_up)(void **),
                            int (*tear_down)(void **))
{
    void *state = NULL;
    if (set_up != NULL && set_up(&state) != 0)
        return 1;
    for (size_t i = 0; i < count; i++) {
        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].run(&state);
    }
    printf("%zu passed\n", count);
    return tear_down != NULL ? tear_down(&state) : 0;
}

#define cmocka_run_group_tests(tests, set_up, tear_down)                                                               \
    cross_run(tests, sizeof(tests) / sizeof(tests)[0], set_up, tear_down)

#endif
