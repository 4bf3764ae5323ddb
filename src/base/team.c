/* team.c: threads that wait at gates.
 *
 * A gate is a counter that only goes up; waiting means waiting for it to change.  A waiter spins for some tens of
 * microseconds, then sleeps on a condition variable.  It announces itself in `sleepers` before it looks at the counter
 * for the last time, and the opener looks at `sleepers` after it moved the counter (all sequentially consistent): one
 * of them sees the other.  Data handed over a gate is ordered by the counter itself.
 *
 * Deliberately no work stealing and no queue: what a member does depends on its number only.
 */
#include "base/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/context.h"
#include "base/cpu.h"

enum { SPINS = 1000, MOST_THREADS = 1024 };

typedef struct gate {
    _Alignas(BLI_ALIGN) atomic_uint count;
    atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t opened;
} gate;

typedef struct member {
    bli_team *team;
    pthread_t thread;
    int index;
} member;

struct bli_team {
    gate start, done, barrier;
    _Alignas(BLI_ALIGN) atomic_int working; /* members 1.. that have not finished the run */
    _Alignas(BLI_ALIGN) atomic_int missing; /* members that have not reached the barrier */
    bl_context *ctx;
    bli_team_fn fn; /* NULL: end */
    void *arg;
    int size, started, spins;
    member *members;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static bl_status gate_init(bl_context *ctx, gate *g)
{
    atomic_init(&g->count, 0);
    atomic_init(&g->sleepers, 0);
    if (pthread_mutex_init(&g->lock, NULL) != 0)
        return bli_fail(ctx, BL_NO_MEMORY, "no mutex for a team of threads");
    if (pthread_cond_init(&g->opened, NULL) != 0) {
        pthread_mutex_destroy(&g->lock);
        return bli_fail(ctx, BL_NO_MEMORY, "no condition variable for a team of threads");
    }
    return BL_OK;
}

static void gate_destroy(gate *g)
{
    pthread_cond_destroy(&g->opened);
    pthread_mutex_destroy(&g->lock);
}

static void gate_open(gate *g)
{
    atomic_fetch_add(&g->count, 1);
    if (atomic_load(&g->sleepers) == 0)
        return;
    pthread_mutex_lock(&g->lock);
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

/* Returns when the count is no longer `old`. */
static void gate_wait(gate *g, unsigned old, int spins)
{
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&g->count, memory_order_acquire) != old)
            return;
        relax();
    }
    pthread_mutex_lock(&g->lock);
    atomic_fetch_add(&g->sleepers, 1);
    while (atomic_load(&g->count) == old)
        pthread_cond_wait(&g->opened, &g->lock);
    atomic_fetch_sub(&g->sleepers, 1);
    pthread_mutex_unlock(&g->lock);
}

static void *work(void *arg)
{
    const member *m = arg;
    bli_team *t = m->team;
    for (unsigned seen = 0;; seen++) {
        gate_wait(&t->start, seen, t->spins);
        if (t->fn == NULL)
            return NULL;
        t->fn(t->arg, m->index, t->size);
        if (atomic_fetch_sub(&t->working, 1) == 1)
            gate_open(&t->done);
    }
}

/* Signals are for the caller's threads: a worker must not be the one that runs a handler. */
static int start_thread(member *m)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&m->thread, NULL, work, m);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

static bl_status start_all(bli_team *t)
{
    for (int i = 1; i < t->size; i++) {
        t->members[i] = (member){.team = t, .index = i};
        int error = start_thread(&t->members[i]);
        if (error != 0)
            return bli_fail(t->ctx, BL_LIMIT, "cannot start thread %d of %d: %s", i + 1, t->size, strerror(error));
        t->started++;
    }
    return BL_OK;
}

static bl_status init_gates(bli_team *t)
{
    BLI_TRY(gate_init(t->ctx, &t->start));
    bl_status s = gate_init(t->ctx, &t->done);
    if (s != BL_OK)
        goto done_failed;
    s = gate_init(t->ctx, &t->barrier);
    if (s != BL_OK)
        goto barrier_failed;
    return BL_OK;
barrier_failed:
    gate_destroy(&t->done);
done_failed:
    gate_destroy(&t->start);
    return s;
}

bl_status bli_team_create(bl_context *ctx, int threads, bli_team **out)
{
    *out = NULL;
    int size = threads > 0 ? threads : bli_cpu_count();
    if (size > MOST_THREADS)
        return bli_fail(ctx, BL_LIMIT, "%d threads: at most %d", size, MOST_THREADS);
    bli_team *t = bli_alloc(ctx, sizeof *t);
    if (t == NULL)
        return BL_NO_MEMORY;
    t->ctx = ctx;
    t->size = size;
    t->spins = size <= bli_cpu_count() ? SPINS : 0; /* spinning would only keep the awaited one from running */
    atomic_init(&t->working, 0);
    atomic_init(&t->missing, size);
    bl_status s = init_gates(t);
    if (s != BL_OK) {
        bli_free(ctx, t);
        return s;
    }
    t->members = bli_alloc_array(ctx, (size_t)size, sizeof *t->members);
    s = t->members != NULL ? start_all(t) : BL_NO_MEMORY;
    if (s != BL_OK) {
        bli_team_destroy(t);
        return s;
    }
    *out = t;
    return BL_OK;
}

void bli_team_destroy(bli_team *t)
{
    if (t == NULL)
        return;
    t->fn = NULL;
    gate_open(&t->start);
    for (int i = 1; i <= t->started; i++)
        pthread_join(t->members[i].thread, NULL);
    gate_destroy(&t->barrier);
    gate_destroy(&t->done);
    gate_destroy(&t->start);
    bli_free(t->ctx, t->members);
    bli_free(t->ctx, t);
}

int bli_team_size(const bli_team *team)
{
    return team->size;
}

void bli_team_run(bli_team *t, bli_team_fn fn, void *arg)
{
    if (t->size == 1) {
        fn(arg, 0, 1);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    bli_context_share(t->ctx, true);
    unsigned before = atomic_load(&t->done.count);
    atomic_store(&t->working, t->size - 1);
    gate_open(&t->start);
    fn(arg, 0, t->size);
    gate_wait(&t->done, before, t->spins);
    bli_context_share(t->ctx, false);
}

void bli_team_barrier(bli_team *t, int m)
{
    (void)m;
    if (t->size == 1)
        return;
    unsigned before = atomic_load(&t->barrier.count);
    if (atomic_fetch_sub(&t->missing, 1) == 1) {
        atomic_store(&t->missing, t->size);
        gate_open(&t->barrier);
        return;
    }
    gate_wait(&t->barrier, before, t->spins);
}
