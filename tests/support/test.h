/* test.h: cmocka with what it wants included first, and the checks that nearly every test uses. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

/* cmocka's set-up and tear-down of tests that want a context: *state. */
static inline int context_set_up(void **state)
{
    return bl_context_create(NULL, (bl_context **)state) == BL_OK ? 0 : -1;
}

static inline int context_tear_down(void **state)
{
    bl_context_destroy(*state);
    return 0;
}

/* The call succeeds; prints the library's words when it does not. */
#define assert_ok(ctx, call)                                                                                           \
    do {                                                                                                               \
        bl_status assert_s = (call);                                                                                   \
        if (assert_s != BL_OK)                                                                                         \
            print_error("%s: %s\n", bl_status_name(assert_s), bl_context_message(ctx));                                \
        assert_int_equal(assert_s, BL_OK);                                                                             \
    } while (0)

/* The call fails with this status and a message that contains these words. */
#define assert_fails(ctx, status, words, call)                                                                         \
    do {                                                                                                               \
        bl_status assert_s = (call);                                                                                   \
        if (assert_s != (status) || strstr(bl_context_message(ctx), words) == NULL)                                    \
            print_error("expected %s with '%s', got %s: %s\n", bl_status_name(status), words,                          \
                        bl_status_name(assert_s), bl_context_message(ctx));                                            \
        assert_int_equal(assert_s, status);                                                                            \
        assert_non_null(strstr(bl_context_message(ctx), words));                                                       \
    } while (0)

#endif
