/* cmvm_queue.h: patterns by score, the best one first.  For cmvm_share.c only.
 *
 * A pattern is a key and a weight; what they mean is the caller's.  Of equal scores the newest comes first, unless a
 * seed tosses it behind the newest.  The order depends on nothing but the calls.
 */
#ifndef BLI_CMVM_QUEUE_H
#define BLI_CMVM_QUEUE_H

#include "base/base.h"

enum { BLI_CMVM_SCORE_MAX = (1 << 22) - 1 };

typedef struct bli_cmvm_pattern {
    uint64_t key;
    int32_t weight, score;
} bli_cmvm_pattern;

typedef struct bli_cmvm_queue {
    bl_context *ctx;
    uint32_t seed;
    struct bli_cmvm_queued *patterns;
    size_t num_patterns, pattern_room;
    int32_t free_pattern;
    int32_t *buckets; /* first pattern of a score */
    size_t bucket_room;
    int32_t top; /* no bucket above has anything */
} bli_cmvm_queue;

/* Takes no memory; free gives back what add took. */
void bli_cmvm_queue_start(bli_cmvm_queue *q, bl_context *ctx, uint32_t seed);
void bli_cmvm_queue_free(bli_cmvm_queue *q);

/* Scores go up to BLI_CMVM_SCORE_MAX; one below 0 is dropped. */
BL_MUST_CHECK bl_status bli_cmvm_queue_add(bli_cmvm_queue *q, uint64_t key, int32_t weight, int32_t score);
/* The best one, which is gone then; false when there is none. */
bool bli_cmvm_queue_take(bli_cmvm_queue *q, bli_cmvm_pattern *out);

#endif
