/* rename.c: inputs called by other names.
 *
 * A rename stands for one output ("x" or "x:2"), for a control edge ("^x"), or for all that a node gives ("x:*", where
 * port and '^' stay).  Renames chain.
 */
#include <string.h>

#include "tf/transform.h"

struct bli_tg_rename {
    const char *from; /* canonical: "^x:0", "x:2"; of the wild card the bare name */
    bool every;
    const char *to;
};

void bli_tg_renames_init(bli_tg_renames *r, bli_tf_store *s)
{
    *r = (bli_tg_renames){.store = s};
}

static size_t slot_of(const bli_tg_renames *r, const char *from, bool every)
{
    size_t i = (size_t)bli_hash_str(from) & r->mask;
    for (; r->slots[i]; i = (i + 1) & r->mask) {
        const struct bli_tg_rename *at = &r->at[r->slots[i] - 1];
        if (at->every == every && strcmp(at->from, from) == 0)
            break;
    }
    return i;
}

static bl_status grow(bli_tg_renames *r)
{
    size_t room = r->room ? 2 * r->room : 16;
    struct bli_tg_rename *at = bli_tf_alloc_array(r->store, room, sizeof *at);
    size_t *slots = bli_tf_alloc_array(r->store, 2 * room, sizeof *slots);
    if (!at || !slots)
        return BL_NO_MEMORY;
    if (r->count)
        memcpy(at, r->at, r->count * sizeof *at);
    r->at = at;
    r->room = room;
    r->slots = slots;
    r->mask = 2 * room - 1;
    for (size_t i = 0; i < r->count; i++)
        r->slots[slot_of(r, at[i].from, at[i].every)] = i + 1;
    return BL_OK;
}

bl_status bli_tg_renames_add(bli_tg_renames *r, const char *from, const char *to)
{
    size_t size = strlen(from);
    bool every = size > 2 && strcmp(from + size - 2, ":*") == 0;
    char *key = every ? bli_tf_text_copy(r->store, from, size - 2) : bli_tf_ref_canonical(r->store, from);
    char *value = bli_tf_text_copy(r->store, to, strlen(to));
    if (!key || !value)
        return BL_NO_MEMORY;
    if (r->count == r->room)
        BLI_TRY(grow(r));
    size_t slot = slot_of(r, key, every);
    if (r->slots[slot]) {
        r->at[r->slots[slot] - 1].to = value;
        return BL_OK;
    }
    r->at[r->count] = (struct bli_tg_rename){key, every, value};
    r->slots[slot] = ++r->count;
    return BL_OK;
}

/* What one rename makes of an input; NULL: none applies.  There is at least one. */
static bl_status step(const bli_tg_renames *r, const char *input, const char **out)
{
    bli_tf_ref ref = bli_tf_ref_parse(input);
    char *canonical = bli_tf_ref_canonical(r->store, input), *node = bli_tf_ref_node(r->store, input);
    *out = NULL;
    if (!canonical || !node)
        return BL_NO_MEMORY;
    size_t one = r->slots[slot_of(r, canonical, false)], all = r->slots[slot_of(r, node, true)];
    if (one) {
        *out = r->at[one - 1].to;
    } else if (all) {
        *out = bli_tf_text(r->store, "%s%s%s", ref.control ? "^" : "", r->at[all - 1].to, ref.rest);
        if (!*out)
            return BL_NO_MEMORY;
    }
    return BL_OK;
}

bl_status bli_tg_renames_once(const bli_tg_renames *r, const char *input, const char **out)
{
    const char *to = NULL;
    if (r->count)
        BLI_TRY(step(r, input, &to));
    *out = to ? to : input;
    return BL_OK;
}

/* The name that an input ends with; a chain that comes back to where it was is BL_BAD_MODEL. */
static bl_status apply_renames(const bli_tg_renames *r, const char *input, const char **out)
{
    *out = input;
    for (size_t i = 0; r->count && i <= r->count; i++) {
        const char *next;
        BLI_TRY(step(r, *out, &next));
        if (!next)
            return BL_OK;
        *out = next;
    }
    if (r->count == 0)
        return BL_OK;
    return bli_fail(bli_tf_store_context(r->store), BL_BAD_MODEL,
                    "input '%s' is to be called '%s', which is to be called otherwise again, in a cycle", input, *out);
}

bl_status bli_tg_rename_inputs(const bli_tg_renames *r, const bli_tf_graph *g, const bli_tg_names *keep,
                               bli_tf_graph *out)
{
    for (size_t i = 0; i < g->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(g->store, g->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        for (size_t k = 0; k < n->num_inputs && !(keep && bli_tg_names_has(keep, n->name)); k++) {
            const char *to;
            BLI_TRY(apply_renames(r, n->inputs[k], &to));
            n->inputs[k] = to;
        }
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}
