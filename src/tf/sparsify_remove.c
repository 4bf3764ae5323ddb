/* sparsify_remove.c: nodes out of a graph that others still read: whoever does loses that input, and goes with them
 * when it has no use without.  Readers are counted by input string, as in the original. */
#include <string.h>

#include "tf/sparsify.h"

typedef struct reader {
    const char *input; /* NULL: an empty slot */
    int64_t count;
} reader;

typedef struct remover {
    const bli_tg_job *job;
    bli_tf_graph *g;
    reader *slots;
    size_t mask;
    const char **names; /* a stack of what goes */
    size_t count, room;
} remover;

static const char *bare(const char *input)
{
    return input[0] == '^' ? input + 1 : input;
}

static reader *slot_of(const remover *r, const char *input)
{
    size_t at = (size_t)bli_tg_hash64(input, strlen(input)) & r->mask;
    while (r->slots[at].input && strcmp(r->slots[at].input, input) != 0)
        at = (at + 1) & r->mask;
    r->slots[at].input = input;
    return &r->slots[at];
}

static bool is_wanted(const bli_tg_job *job, const char *name)
{
    if (job->compat)
        return bli_tg_names_has(&job->outputs, name) || bli_tg_names_has(&job->inputs, name);
    return bli_tg_names_has_node(&job->outputs, name) || bli_tg_names_has_node(&job->inputs, name);
}

static bl_status push(remover *r, const char *name)
{
    if (r->count == r->room) {
        const size_t room = 2 * r->room + 64;
        const char **moved = bli_tf_alloc_array(r->job->store, room, sizeof *moved);
        if (!moved)
            return BL_NO_MEMORY;
        if (r->count)
            memcpy(moved, r->names, r->count * sizeof *moved);
        r->names = moved;
        r->room = room;
    }
    r->names[r->count++] = name;
    return BL_OK;
}

static size_t inputs_of(const bli_tf_graph *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->num_nodes; i++)
        n += g->nodes[i]->num_inputs;
    return n;
}

static bl_status count_readers(remover *r, const bli_tf_graph *before)
{
    const size_t edges = inputs_of(before) + inputs_of(r->g);
    for (r->mask = 64; r->mask < 2 * edges; r->mask *= 2) {
    }
    r->slots = bli_tf_alloc_array(r->job->store, r->mask, sizeof *r->slots);
    if (!r->slots)
        return BL_NO_MEMORY;
    r->mask--;
    for (size_t i = 0; i < r->g->num_nodes; i++)
        for (size_t k = 0; k < r->g->nodes[i]->num_inputs; k++)
            slot_of(r, bare(r->g->nodes[i]->inputs[k]))->count++;
    for (size_t i = 0; i < before->num_nodes; i++)
        for (size_t k = 0; k < before->nodes[i]->num_inputs; k++) {
            const char *input = bare(before->nodes[i]->inputs[k]);
            if (slot_of(r, input)->count == 0 && !is_wanted(r->job, input))
                BLI_TRY(push(r, input));
        }
    return BL_OK;
}

/* A node of that name goes, and is one reader less of its inputs. */
static bl_status drop(remover *r, const bli_tf_node *n)
{
    for (size_t k = 0; k < n->num_inputs; k++) {
        reader *s = slot_of(r, bare(n->inputs[k]));
        if (--s->count == 0 && !is_wanted(r->job, s->input))
            BLI_TRY(push(r, s->input));
    }
    return BL_OK;
}

/* A ConcatV2 with one part left hands it on. */
static bl_status mend_concat(remover *r, bli_tf_node *n)
{
    bli_tf_store *s = r->job->store;
    if (n->num_inputs > 2)
        return bli_tf_node_set(s, n, "N", bli_tf_value_int(s, (int64_t)n->num_inputs - 1));
    if (n->num_inputs < 2)
        return bli_fail(r->job->ctx, BL_BAD_MODEL, "node '%s' (ConcatV2): nothing of it is left", n->name);
    BLI_TRY(push(r, bare(n->inputs[1])));
    bli_tf_node_remove_input(n, 1);
    bli_tf_node_remove(n, "N");
    n->op = "Identity";
    return BL_OK;
}

/* The node at i loses inputs of that name. */
static bl_status lose(remover *r, size_t i, const char *name)
{
    bli_tf_node *n = r->g->nodes[i];
    bool lost = false;
    for (size_t k = 0; k < n->num_inputs;) {
        if (strcmp(bare(n->inputs[k]), name) != 0) {
            k++;
            continue;
        }
        if (!lost)
            n = bli_tf_node_copy(r->job->store, n);
        if (!n)
            return BL_NO_MEMORY;
        lost = true;
        bli_tf_node_remove_input(n, k);
    }
    if (!lost)
        return BL_OK;
    r->g->nodes[i] = n;
    if (strcmp(n->op, "ConcatV2") == 0)
        BLI_TRY(mend_concat(r, n));
    if (n->num_inputs == 0 || (n->num_inputs == 1 && bli_tg_op_is(n->op, "Assign|Reshape|Equal|Mean|ScalarSummary")))
        return push(r, n->name);
    return BL_OK;
}

static bl_status take_one(remover *r, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->g->num_nodes; i++) {
        const bli_tf_node *n = r->g->nodes[i];
        if (strcmp(n->name, name) == 0 && strcmp(n->op, "RestoreV2") != 0) {
            BLI_TRY(drop(r, n));
            continue;
        }
        BLI_TRY(lose(r, i, name));
        r->g->nodes[kept++] = r->g->nodes[i];
    }
    r->g->num_nodes = kept;
    return BL_OK;
}

bl_status bli_tg_take_out(const bli_tg_job *job, const bli_tf_graph *before, bli_tg_names *names, bli_tf_graph *g)
{
    remover r = {.job = job, .g = g};
    BLI_TRY(count_readers(&r, before));
    for (size_t i = 0; i < names->count; i++)
        BLI_TRY(push(&r, names->at[i]));
    while (r.count > 0)
        BLI_TRY(take_one(&r, r.names[--r.count]));
    return BL_OK;
}
