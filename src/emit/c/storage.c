/* storage.c: one scratch array per size of element, its parts used again once nothing reads them. */
#include <string.h>

#include "emit/c/c.h"

typedef struct life {
    int from, to; /* groups */
} life;

/* From the group that makes a root to the last that reads it; outputs that are copied live to the end. */
static void find_lives(const bli_program *p, const bli_groups *g, const bli_storage *s, life *lives)
{
    for (int i = 0; i < p->num_wires; i++)
        lives[i] = (life){-1, -1};
    for (int i = 0; i < g->count; i++) {
        int made = g->at[i].out->producer;
        lives[p->ops[made].out] = (life){i, i};
        for (int k = 0; k < g->at[i].num_in; k++)
            lives[g->root[g->at[i].in[k]]].to = i;
    }
    for (int i = 0; i < p->num_outputs; i++)
        if (s->copied[i])
            lives[g->root[p->outputs[i].wire]].to = g->count;
}

/* The lowest place that no wire of the same size and time has, first fit over those placed before. */
static int64_t first_fit(const bli_program *p, const bli_storage *s, const life *lives, const int *placed, int count,
                         int wire)
{
    int size = bli_size_class(bli_reach_wire(&p->wires[wire]));
    int64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            int other = placed[i];
            const bli_wire *w = &p->wires[other];
            bool together = lives[other].from <= lives[wire].to && lives[wire].from <= lives[other].to;
            bool same = bli_size_class(bli_reach_wire(w)) == size;
            int64_t from = s->slots[other].at, to = from + w->count;
            if (!together || !same || at >= to || at + p->wires[wire].count <= from)
                continue;
            at = to;
            moved = true;
        }
    }
    return at;
}

static void place_ends(const bli_program *p, const bli_groups *g, bli_storage *s)
{
    for (int i = 0; i < p->num_ops; i++)
        if (p->ops[i].kind == BLI_PRIM_CONST)
            s->slots[p->ops[i].out].place = BLI_PLACE_TABLE;
    for (int i = 0; i < p->num_inputs; i++)
        s->slots[p->inputs[i].wire] = (bli_slot){BLI_PLACE_INPUT, i, NULL};
    for (int i = 0; i < p->num_outputs; i++) {
        bli_slot *slot = &s->slots[g->root[p->outputs[i].wire]];
        s->copied[i] = slot->place != BLI_PLACE_SCRATCH;
        if (!s->copied[i])
            *slot = (bli_slot){BLI_PLACE_OUTPUT, i, NULL};
    }
}

bl_status bli_storage_make(bli_arena *arena, const bli_program *p, const bli_groups *g, bli_storage *out)
{
    size_t wires = (size_t)p->num_wires + 1;
    life *lives = bli_arena_array(arena, wires, sizeof *lives);
    int *placed = bli_arena_array(arena, wires, sizeof *placed), count = 0;
    *out = (bli_storage){.slots = bli_arena_array(arena, wires, sizeof *out->slots)};
    out->copied = bli_arena_array(arena, (size_t)p->num_outputs + 1, sizeof *out->copied);
    if (lives == NULL || placed == NULL || out->slots == NULL || out->copied == NULL)
        return BL_NO_MEMORY;
    place_ends(p, g, out);
    find_lives(p, g, out, lives);
    for (int i = 0; i < g->count; i++) {
        int wire = p->ops[g->at[i].out->producer].out;
        if (out->slots[wire].place != BLI_PLACE_SCRATCH)
            continue;
        int size = bli_size_class(bli_reach_wire(&p->wires[wire]));
        int64_t at = first_fit(p, out, lives, placed, count, wire), end = at + p->wires[wire].count;
        end = end > 0 ? end : 1; /* there is an address, though nothing is at it */
        out->slots[wire].at = at;
        out->room[size] = end > out->room[size] ? end : out->room[size];
        placed[count++] = wire;
    }
    for (int i = 0; i < p->num_wires; i++)
        if (g->root[i] != i)
            out->slots[i] = out->slots[g->root[i]];
    return BL_OK;
}
