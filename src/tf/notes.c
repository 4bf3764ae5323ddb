/* notes.c: what transforms of one string tell those behind them; gone when the last has run. */
#include <string.h>

#include "tf/transform.h"

static bli_tg_scaled *find(const bli_tg_job *job, const char *node)
{
    for (bli_tg_scaled *s = job->notes->scaled; s; s = s->next)
        if (strcmp(s->node, node) == 0)
            return s;
    return NULL;
}

static bl_status add(bli_tg_notes *notes, const char *node, size_t count, bli_tg_scaled **out)
{
    bli_tg_scaled *s = *out = bli_arena_alloc(notes->arena, sizeof *s);
    if (!s)
        return BL_NO_MEMORY;
    *s = (bli_tg_scaled){bli_arena_strdup(notes->arena, node), count,
                         bli_arena_array(notes->arena, count, sizeof(float)), notes->scaled};
    if (!s->node || !s->by)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        s->by[i] = 1;
    notes->scaled = s;
    return BL_OK;
}

bl_status bli_tg_scaled_add(const bli_tg_job *job, const char *node, const float *by, size_t count)
{
    bli_tg_scaled *s = find(job, node);
    if (!job->notes->arena)
        BLI_TRY(bli_arena_create(job->ctx, &job->notes->arena));
    if (!s || s->count != count)
        BLI_TRY(add(job->notes, node, count, &s));
    for (size_t i = 0; i < count; i++)
        s->by[i] *= by[i];
    return BL_OK;
}

const bli_tg_scaled *bli_tg_scaled_find(const bli_tg_job *job, const char *node)
{
    return find(job, node);
}
