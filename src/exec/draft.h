/* draft.h: a stage while it is being thought about: constants per channel in 64 bits. */
#ifndef BLI_EXEC_DRAFT_H
#define BLI_EXEC_DRAFT_H

#include "exec/exec.h"

typedef struct bli_draft {
    bli_stage_kind kind;
    bli_span in;                     /* hull of what comes in */
    int64_t channels;                /* 1 or the last dimension */
    int64_t *a, *b, *s, *low, *high; /* [channels]; STAIR, SEARCH: low [channels][length], a [channels][length] steps */
    int64_t length, first;
} bli_draft;

enum { BLI_DRAFTS = 24 };
typedef struct bli_drafts {
    bli_arena *arena;
    int num;
    bli_draft d[BLI_DRAFTS];
} bli_drafts;

/* The stages of one op behind those that are there; false (and nothing added): no stage can say it in 64 bits. */
BL_MUST_CHECK bl_status bli_draft_add(bli_drafts *all, const bli_program *p, int op, bool *added);
/* Joins neighbours, turns stairs into multiplications where one says the same. */
BL_MUST_CHECK bl_status bli_drafts_improve(bli_drafts *all);
/* Whether 32-bit lanes hold everything. */
bool bli_drafts_fit32(const bli_drafts *all);
static inline int64_t bli_draft_of(const bli_draft *d, const int64_t *array, int64_t channel)
{
    return array[d->channels == 1 ? 0 : channel];
}

#endif
