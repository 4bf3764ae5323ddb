/* sparsify_checkpoint.c: where in a checkpoint a variable's values are, by the saver that the graph brings along. */
#include <stdlib.h>
#include <string.h>

#include "tf/sparsify.h"

bool bli_tg_is_variable(const bli_tf_node *n)
{
    return bli_tg_op_is(n->op, "Variable|VariableV2");
}

/* The name of the whole: without "/part_3". */
static size_t whole_name(const char *name)
{
    const char *last = strrchr(name, '/');
    return last && strncmp(last + 1, "part_", 5) == 0 ? (size_t)(last - name) : strlen(name);
}

/* "save/Assign_1", with one slash. */
static bool restores(const bli_tf_node *n)
{
    const char *slash = strchr(n->name, '/');
    return strncmp(n->name, "save", 4) == 0 && slash && !strchr(slash + 1, '/') &&
           strncmp(slash + 1, "Assign", 6) == 0 && n->num_inputs >= 2;
}

static bl_status texts_of(const bli_tg_job *job, const bli_tf_index *ix, const char *input, bli_tf_tensor *t)
{
    const bli_tf_node *n = bli_tf_index_input(ix, input);
    if (!n || strcmp(n->op, "Const") != 0)
        return bli_fail(job->ctx, BL_BAD_MODEL, "input '%s' of a RestoreV2 is no constant", input);
    return bli_tg_const_view(job->store, n, BLI_DT_STRING, t);
}

bl_status bli_tg_find_slice(const bli_tg_job *job, const bli_tf_graph *g, const bli_tf_index *ix,
                            const bli_tf_node *variable, const char **slice)
{
    const bli_tf_node *restore = NULL;
    bli_tf_tensor names, slices;
    *slice = NULL;
    for (size_t i = 0; i < g->num_nodes && !restore; i++)
        if (restores(g->nodes[i]) && strcmp(g->nodes[i]->inputs[0], variable->name) == 0)
            restore = bli_tf_index_input(ix, g->nodes[i]->inputs[1]);
    if (!restore || strcmp(restore->op, "RestoreV2") != 0 || restore->num_inputs < 3)
        return BL_OK;
    BLI_TRY(texts_of(job, ix, restore->inputs[1], &names));
    BLI_TRY(texts_of(job, ix, restore->inputs[2], &slices));
    const ProtobufCBinaryData *name = names.data, *text = slices.data;
    const size_t size = whole_name(variable->name);
    for (size_t i = 0; i < names.count && i < slices.count; i++) {
        if (name[i].len != size || memcmp(name[i].data, variable->name, size) != 0)
            continue;
        *slice = bli_tf_text_copy(job->store, (const char *)text[i].data, text[i].len);
        return *slice ? BL_OK : BL_NO_MEMORY;
    }
    return BL_OK;
}

/* "30 1 0,15:0,1" or "30 1 0,15:-": the rows first .. first + count - 1 of 30; columns must be whole. */
static bool parse_slice(const char *text, int64_t rows, int64_t *first, int64_t *count)
{
    char *end;
    const long long all = strtoll(text, &end, 10);
    if (end == text || all != rows || strncmp(end, " 1 ", 3) != 0)
        return false;
    const char *p = end + 3;
    if (*p == '-') {
        *first = 0;
        *count = rows;
        end = (char *)(uintptr_t)p + 1;
    } else {
        *first = strtoll(p, &end, 10);
        if (end == p || *end != ',')
            return false;
        p = end + 1;
        *count = strtoll(p, &end, 10);
        if (end == p)
            return false;
    }
    const bool whole = strcmp(end, ":-") == 0 || strcmp(end, ":0,1") == 0;
    return whole && *first >= 0 && *count >= 0 && *first <= rows && *count <= rows - *first;
}

static bl_status cut(const bli_tg_job *job, const bli_tf_node *variable, const char *slice, bli_tf_saved *t)
{
    int64_t first = 0, count = t->dim[0];
    if (!slice || !slice[0])
        return BL_OK;
    if (!parse_slice(slice, t->dim[0], &first, &count))
        return bli_fail(job->ctx, BL_BAD_MODEL,
                        "node '%s' (%s): the saver's slice is '%s'; expected rows of a shape [%lld, 1]", variable->name,
                        variable->op, slice, (long long)t->dim[0]);
    memmove(t->data, t->data + first, (size_t)count * sizeof *t->data);
    t->dim[0] = count;
    return BL_OK;
}

bl_status bli_tg_read_column(const bli_tg_job *job, bli_tf_checkpoint *c, const bli_tf_node *variable,
                             const char *slice, bli_tf_saved *out)
{
    char *name = bli_tf_text_copy(job->store, variable->name, whole_name(variable->name));
    if (!name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_within(job->ctx, bli_tf_checkpoint_read(c, name, out), "node '%s' (%s)", variable->name, variable->op));
    bl_status s = BL_OK;
    if (out->rank != 2 || out->dim[1] != 1)
        s = bli_fail(job->ctx, BL_BAD_MODEL, "node '%s' (%s): weights of rank %d; expected the shape [N, 1]",
                     variable->name, variable->op, out->rank);
    if (s == BL_OK)
        s = cut(job, variable, slice, out);
    if (s != BL_OK) {
        bli_free(job->ctx, out->data);
        *out = (bli_tf_saved){.data = NULL};
    }
    return s;
}
