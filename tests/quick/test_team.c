/* test_team.c: every member runs once, barriers hold, the first failure's message wins.  Run under TSan too. */
#include "support/test.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/team.h"

typedef struct shared {
    bl_context *ctx;
    bli_team *team;
    int plain[64]; /* written by one member, read by the next after a barrier */
    atomic_int runs[64];
    bool wrong;
} shared;

static void count(void *arg, int m, int members)
{
    shared *s = arg;
    (void)members;
    atomic_fetch_add(&s->runs[m], 1);
}

static void pass_round(void *arg, int m, int members)
{
    shared *s = arg;
    for (int round = 0; round < 20; round++) {
        s->plain[m] = round * 100 + m;
        bli_team_barrier(s->team, m);
        int other = (m + 1) % members;
        if (s->plain[other] != round * 100 + other)
            s->wrong = true;
        bli_team_barrier(s->team, m);
    }
}

static void fail_each(void *arg, int m, int members)
{
    shared *s = arg;
    (void)members;
    char *p = bli_alloc(s->ctx, 1000); /* allocation is safe too */
    bli_free(s->ctx, p);
    bl_status status = bli_fail(s->ctx, BL_BAD_VALUE, "member %d", m);
    (void)bli_within(s->ctx, status, "prefix of %d", m);
}

static void each_size_runs_all_members_every_time(void **state)
{
    bl_context *ctx = *state;
    for (int size = 1; size <= 9; size++) {
        shared s = {.ctx = ctx};
        assert_ok(ctx, bli_team_create(ctx, size, &s.team));
        assert_int_equal(bli_team_size(s.team), size);
        for (int i = 0; i < 200; i++)
            bli_team_run(s.team, count, &s);
        for (int m = 0; m < size; m++)
            assert_int_equal(s.runs[m], 200);
        bli_team_run(s.team, pass_round, &s);
        assert_false(s.wrong);
        bli_team_destroy(s.team);
    }
    bli_team_destroy(NULL);
}

static void sleeping_members_wake(void **state)
{
    bl_context *ctx = *state;
    shared s = {.ctx = ctx};
    assert_ok(ctx, bli_team_create(ctx, 3, &s.team));
    for (int i = 0; i < 5; i++) {
        usleep(2000); /* longer than anyone spins */
        bli_team_run(s.team, count, &s);
    }
    for (int m = 0; m < 3; m++)
        assert_int_equal(s.runs[m], 5);
    bli_team_destroy(s.team);
}

static void one_failure_owns_the_message(void **state)
{
    bl_context *ctx = *state;
    shared s = {.ctx = ctx};
    assert_ok(ctx, bli_team_create(ctx, 4, &s.team));
    for (int i = 0; i < 100; i++) {
        int who, prefix;
        bli_team_run(s.team, fail_each, &s);
        assert_int_equal(sscanf(bl_context_message(ctx), "prefix of %d: member %d", &prefix, &who), 2);
        assert_int_equal(who, prefix);
    }
    bli_team_destroy(s.team);
    (void)bli_fail(ctx, BL_BAD_VALUE, "later");
    assert_string_equal(bl_context_message(ctx), "later");
}

static void absurd_sizes_are_refused(void **state)
{
    bl_context *ctx = *state;
    bli_team *team;
    assert_fails(ctx, BL_LIMIT, "at most", bli_team_create(ctx, 1000000, &team));
    assert_null(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_size_runs_all_members_every_time),
        cmocka_unit_test(sleeping_members_wake),
        cmocka_unit_test(one_failure_owns_the_message),
        cmocka_unit_test(absurd_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
