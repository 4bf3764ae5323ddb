/* index.c: the hash from names to ids, and the growing of tables.
 *
 * Open addressing with linear probing; the names themselves stay with their owners.  Nothing is ever deleted: a slot
 * whose owner was renamed or removed simply stops matching.
 */
#include <string.h>

#include "graph/impl.h"

bl_status bli_grow(bl_context *ctx, void *array, size_t *capacity, size_t count, size_t extra, size_t size)
{
    void *old;
    memcpy(&old, array, sizeof old);
    if (extra > BLI_GRAPH_CEILING || count + extra > BLI_GRAPH_CEILING)
        return bli_fail(ctx, BL_LIMIT, "a graph holds at most %d values, nodes or links", BLI_GRAPH_CEILING);
    if (count + extra <= *capacity)
        return BL_OK;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    while (wanted < count + extra)
        wanted *= 2;
    void *fresh = bli_alloc_array(ctx, wanted, size);
    if (!fresh)
        return BL_NO_MEMORY;
    if (count)
        memcpy(fresh, old, count * size);
    bli_free(ctx, old);
    memcpy(array, &fresh, sizeof fresh);
    *capacity = wanted;
    return BL_OK;
}

static void put(struct bli_index_slot *slots, size_t capacity, uint64_t hash, int id_plus_one)
{
    size_t at = (size_t)hash & (capacity - 1);
    while (slots[at].id_plus_one)
        at = (at + 1) & (capacity - 1);
    slots[at] = (struct bli_index_slot){hash, id_plus_one};
}

bl_status bli_index_reserve(bl_context *ctx, bli_index *ix, size_t extra)
{
    size_t wanted = ix->capacity ? ix->capacity : 32;
    while (wanted / 2 < ix->used + extra)
        wanted *= 2;
    if (wanted == ix->capacity)
        return BL_OK;
    struct bli_index_slot *slots = bli_alloc_array(ctx, wanted, sizeof *slots);
    if (!slots)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < ix->capacity; i++)
        if (ix->slots[i].id_plus_one)
            put(slots, wanted, ix->slots[i].hash, ix->slots[i].id_plus_one);
    bli_free(ctx, ix->slots);
    ix->slots = slots;
    ix->capacity = wanted;
    return BL_OK;
}

void bli_index_put(bli_index *ix, const char *name, int id)
{
    put(ix->slots, ix->capacity, bli_hash_str(name), id + 1);
    ix->used++;
}

int bli_index_find(const bli_index *ix, const bl_graph *g, bli_name_fn name_of, const char *name)
{
    if (!name || !ix->capacity)
        return -1;
    uint64_t hash = bli_hash_str(name);
    for (size_t at = (size_t)hash & (ix->capacity - 1); ix->slots[at].id_plus_one; at = (at + 1) & (ix->capacity - 1)) {
        if (ix->slots[at].hash != hash)
            continue;
        int id = ix->slots[at].id_plus_one - 1;
        const char *owned = name_of(g, id);
        if (owned && strcmp(owned, name) == 0)
            return id;
    }
    return -1;
}

void bli_index_clear(bli_index *ix)
{
    if (ix->capacity)
        memset(ix->slots, 0, ix->capacity * sizeof *ix->slots);
    ix->used = 0;
}
