/* cmvm_queue.c: a bucket for each score, each a list through one growing block; what is taken makes room for what is
 * added. */
#include <string.h>

#include "program/cmvm_queue.h"

typedef struct bli_cmvm_queued {
    uint64_t key;
    int32_t weight;
    int32_t next; /* in its bucket, or among free ones */
} queued;

void bli_cmvm_queue_start(bli_cmvm_queue *q, bl_context *ctx, uint32_t seed)
{
    *q = (bli_cmvm_queue){.ctx = ctx, .seed = seed, .free_pattern = -1, .top = -1};
}

void bli_cmvm_queue_free(bli_cmvm_queue *q)
{
    bli_free(q->ctx, q->patterns);
    bli_free(q->ctx, q->buckets);
    bli_cmvm_queue_start(q, q->ctx, q->seed);
}

static bl_status grow_patterns(bli_cmvm_queue *q)
{
    if (q->num_patterns < q->pattern_room)
        return BL_OK;
    if (q->num_patterns > INT32_MAX / 2)
        return bli_fail(q->ctx, BL_LIMIT, "adder graph: more than %d pairs", INT32_MAX / 2);
    const size_t room = 2 * q->pattern_room + 64;
    queued *bigger = bli_alloc_array(q->ctx, room, sizeof *bigger);
    if (bigger == NULL)
        return BL_NO_MEMORY;
    if (q->num_patterns > 0)
        memcpy(bigger, q->patterns, q->num_patterns * sizeof *bigger);
    bli_free(q->ctx, q->patterns);
    q->patterns = bigger;
    q->pattern_room = room;
    return BL_OK;
}

static bl_status grow_buckets(bli_cmvm_queue *q, size_t need)
{
    if (need <= q->bucket_room)
        return BL_OK;
    const size_t room = need > 2 * q->bucket_room ? need : 2 * q->bucket_room;
    int32_t *bigger = bli_alloc_array(q->ctx, room, sizeof *bigger);
    if (bigger == NULL)
        return BL_NO_MEMORY;
    for (size_t b = 0; b < room; b++)
        bigger[b] = b < q->bucket_room ? q->buckets[b] : -1;
    bli_free(q->ctx, q->buckets);
    q->buckets = bigger;
    q->bucket_room = room;
    return BL_OK;
}

static uint32_t hash_key(uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(key >> 32);
}

/* In front, or behind the first one by the toss of the seed. */
static void link_pattern(bli_cmvm_queue *q, int32_t p, int32_t score)
{
    queued *x = &q->patterns[p];
    int32_t *at = &q->buckets[score];
    if (q->seed != 0 && *at >= 0 && (hash_key(x->key * q->seed) & 1))
        at = &q->patterns[*at].next;
    x->next = *at;
    *at = p;
    q->top = score > q->top ? score : q->top;
}

bl_status bli_cmvm_queue_add(bli_cmvm_queue *q, uint64_t key, int32_t weight, int32_t score)
{
    if (score < 0)
        return BL_OK;
    BLI_TRY(grow_buckets(q, (size_t)score + 1));
    int32_t p = q->free_pattern;
    if (p >= 0) {
        q->free_pattern = q->patterns[p].next;
    } else {
        BLI_TRY(grow_patterns(q));
        p = (int32_t)q->num_patterns++;
    }
    q->patterns[p] = (queued){.key = key, .weight = weight};
    link_pattern(q, p, score);
    return BL_OK;
}

/* The bucket's next one is likely to come next, and is not in the cache. */
bool bli_cmvm_queue_take(bli_cmvm_queue *q, bli_cmvm_pattern *out)
{
    while (q->top >= 0 && q->buckets[q->top] < 0)
        q->top--;
    if (q->top < 0)
        return false;
    const int32_t p = q->buckets[q->top], next = q->patterns[p].next;
    *out = (bli_cmvm_pattern){q->patterns[p].key, q->patterns[p].weight, q->top};
    q->buckets[q->top] = next;
    if (next >= 0)
        __builtin_prefetch(&q->patterns[next]);
    q->patterns[p].next = q->free_pattern;
    q->free_pattern = p;
    return true;
}
