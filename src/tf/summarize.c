/* summarize.c: what is in a TensorFlow graph, as its summarize_graph sees it.
 *
 * Inputs are placeholders; outputs are nodes that no other reads, whatever the port, but for constants, assignments,
 * NoOps and placeholders.  Parameters are the elements of constants, be they weights or shapes, and of variables whose
 * shape is known.  Operators are counted in the bodies of functions as well.
 */
#include <stdlib.h>
#include <string.h>

#include "bitlathe/graphdef.h"
#include "model/graphdef.h"

struct bl_graphdef_summary {
    bl_context *ctx;
    bli_arena *arena;
    bl_graphdef_summary_info info;
};

typedef struct job {
    bl_graphdef_summary *s;
    const bli_tf_graph *g;
    const bli_tf_index *ix;
    bool *used; /* one per node */
} job;

static bool is_op(const bli_tf_node *n, const char *const *ops)
{
    for (; *ops; ops++)
        if (strcmp(n->op, *ops) == 0)
            return true;
    return false;
}

static const char *const placeholders[] = {"Placeholder", NULL};
static const char *const variables[] = {"Variable", "VariableV2", NULL};
static const char *const no_outputs[] = {"Const", "Assign", "NoOp", "Placeholder", NULL};

/* ---- tensors --------------------------------------------------------------------------------------------------- */

/* "[1,?,3]", "<unknown>", "None" without the attribute; shape of the command line: "1,-1,3". */
static bl_status shape_text(bli_buf *b, const bli_tf_shape *s, bool plain)
{
    if (!s || s->unknown_rank)
        return plain ? BL_OK : bli_buf_printf(b, s ? "<unknown>" : "None");
    for (size_t i = 0; i < s->n_dim; i++) {
        const char *before = i ? "," : plain ? "" : "[";
        long long size = (long long)s->dim[i]->size;
        if (size < 0 && !plain)
            BLI_TRY(bli_buf_printf(b, "%s?", before));
        else
            BLI_TRY(bli_buf_printf(b, "%s%lld", before, size));
    }
    return plain ? BL_OK : bli_buf_printf(b, s->n_dim ? "]" : "[]");
}

static bl_status keep_shape(job *j, const bli_tf_shape *s, bool plain, const char **out)
{
    bli_buf b;
    bli_buf_init(&b, j->s->ctx, (size_t)1 << 20);
    bl_status status = shape_text(&b, s, plain);
    *out = status == BL_OK ? bli_arena_strdup(j->s->arena, b.data) : NULL;
    bli_buf_free(&b);
    return status == BL_OK && !*out ? BL_NO_MEMORY : status;
}

/* The elements of a shape; 0 when they are not known or too many to count. */
static uint64_t elements(const bli_tf_shape *s)
{
    uint64_t count = 1;
    if (s && s->unknown_rank)
        return 0;
    for (size_t i = 0; s && i < s->n_dim; i++)
        if (s->dim[i]->size < 0 || __builtin_mul_overflow(count, (uint64_t)s->dim[i]->size, &count))
            return 0;
    return count;
}

static const bli_tf_shape *shape_of(const bli_tf_node *n)
{
    const bli_tf_value *v = bli_tf_node_attr(n, "shape");
    return v && v->value_case == BLI_TF__ATTR_VALUE__VALUE_SHAPE ? v->shape : NULL;
}

/* ---- lists ----------------------------------------------------------------------------------------------------- */

static bl_status fill_node(job *j, const bli_tf_node *n, bl_graphdef_node_info *out)
{
    const bli_tf_value *type = bli_tf_node_attr(n, "dtype");
    bool typed = type && type->value_case == BLI_TF__ATTR_VALUE__VALUE_TYPE;
    *out = (bl_graphdef_node_info){.name = n->name, .op = n->op, .dtype = typed ? (int)type->type : 0};
    out->type = typed ? bli_tf_dtype_name(out->dtype) : "INVALID";
    BLI_TRY(keep_shape(j, shape_of(n), false, &out->shape));
    return keep_shape(j, shape_of(n), true, &out->sizes);
}

static bool is_listed(const job *j, size_t i, const char *const *ops)
{
    const bli_tf_node *n = j->g->nodes[i];
    return ops == no_outputs ? !j->used[i] && !is_op(n, ops) : is_op(n, ops);
}

/* Nodes of those operators, or with no_outputs the graph's outputs. */
static bl_status list_nodes(job *j, const char *const *ops, const bl_graphdef_node_info **out, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < j->g->num_nodes; i++)
        *count += is_listed(j, i, ops);
    bl_graphdef_node_info *nodes = bli_arena_array(j->s->arena, *count, sizeof *nodes);
    if (!nodes)
        return BL_NO_MEMORY;
    for (size_t i = 0, k = 0; i < j->g->num_nodes; i++)
        if (is_listed(j, i, ops))
            BLI_TRY(fill_node(j, j->g->nodes[i], &nodes[k++]));
    *out = nodes;
    return BL_OK;
}

/* ---- counts ---------------------------------------------------------------------------------------------------- */

static int by_word(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const bl_graphdef_count *)a)->name, ((const bl_graphdef_count *)b)->name);
}

/* Most first, equal ones by name. */
static int by_count(const void *a, const void *b)
{
    const bl_graphdef_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : by_name(a, b);
}

/* How often each word is there. */
static bl_status count_words(job *j, const char **words, size_t n, int (*order)(const void *, const void *),
                             const bl_graphdef_count **out, size_t *count)
{
    bl_graphdef_count *counts = bli_arena_array(j->s->arena, n, sizeof *counts);
    *count = 0;
    if (!counts)
        return BL_NO_MEMORY;
    if (n)
        qsort(words, n, sizeof *words, by_word);
    for (size_t i = 0; i < n; i++) {
        if (*count == 0 || strcmp(counts[*count - 1].name, words[i]) != 0)
            counts[(*count)++].name = words[i];
        counts[*count - 1].count++;
    }
    if (*count)
        qsort(counts, *count, sizeof *counts, order);
    *out = counts;
    return BL_OK;
}

static size_t all_nodes(const bli_tf_graph *g)
{
    size_t n = g->num_nodes;
    for (size_t i = 0; g->library && i < g->library->n_function; i++)
        n += g->library->function[i]->n_node_def;
    return n;
}

static bl_status count_ops(job *j)
{
    size_t n = 0;
    const BliTf__FunctionDefLibrary *library = j->g->library;
    const char **words = bli_arena_array(j->s->arena, all_nodes(j->g), sizeof *words);
    if (!words)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < j->g->num_nodes; i++)
        words[n++] = j->g->nodes[i]->op;
    for (size_t i = 0; library && i < library->n_function; i++)
        for (size_t k = 0; k < library->function[i]->n_node_def; k++)
            words[n++] = library->function[i]->node_def[k]->op;
    return count_words(j, words, n, by_count, &j->s->info.ops, &j->s->info.num_ops);
}

static bl_status count_devices(job *j)
{
    size_t n = 0;
    const char **words = bli_arena_array(j->s->arena, j->g->num_nodes, sizeof *words);
    if (!words)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < j->g->num_nodes; i++)
        if (j->g->nodes[i]->device[0])
            words[n++] = j->g->nodes[i]->device;
    return count_words(j, words, n, by_name, &j->s->info.devices, &j->s->info.num_devices);
}

static void count_parameters(job *j)
{
    bl_graphdef_summary_info *info = &j->s->info;
    for (size_t i = 0; i < j->g->num_nodes; i++) {
        const bli_tf_node *n = j->g->nodes[i];
        const bli_tf_value *v = bli_tf_node_attr(n, "value");
        if (strcmp(n->op, "Const") == 0 && v && v->value_case == BLI_TF__ATTR_VALUE__VALUE_TENSOR)
            info->const_parameters += elements(v->tensor->tensor_shape);
        else if (is_op(n, variables) && shape_of(n))
            info->variable_parameters += elements(shape_of(n));
    }
}

/* Who is read, by what, and inputs that name nothing. */
static bl_status follow_inputs(job *j)
{
    bl_graphdef_summary_info *info = &j->s->info;
    size_t total = 0;
    for (size_t i = 0; i < j->g->num_nodes; i++)
        total += j->g->nodes[i]->num_inputs;
    bl_graphdef_bad_input *bad = bli_arena_array(j->s->arena, total, sizeof *bad);
    if (!bad)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < j->g->num_nodes; i++)
        for (size_t k = 0; k < j->g->nodes[i]->num_inputs; k++) {
            bli_tf_ref r = bli_tf_ref_parse(j->g->nodes[i]->inputs[k]);
            size_t at = bli_tf_index_find(j->ix, r.name, r.size);
            info->control_edges += r.control;
            if (at == SIZE_MAX)
                bad[info->num_bad_inputs++] = (bl_graphdef_bad_input){j->g->nodes[i]->name, j->g->nodes[i]->inputs[k]};
            else
                j->used[at] = true;
        }
    info->bad_inputs = bad;
    return BL_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static bl_status summarize(job *j)
{
    bl_graphdef_summary_info *info = &j->s->info;
    BLI_TRY(follow_inputs(j));
    BLI_TRY(list_nodes(j, placeholders, &info->inputs, &info->num_inputs));
    BLI_TRY(list_nodes(j, variables, &info->variables, &info->num_variables));
    BLI_TRY(list_nodes(j, no_outputs, &info->outputs, &info->num_outputs));
    count_parameters(j);
    BLI_TRY(count_ops(j));
    return count_devices(j);
}

static bl_status with_index(bl_graphdef_summary *s, const bli_tf_graph *g)
{
    bli_tf_index ix;
    job j = {.s = s, .g = g, .ix = &ix};
    BLI_TRY(bli_tf_index_make(g, &ix));
    j.used = bli_arena_array(s->arena, g->num_nodes, sizeof *j.used);
    bl_status status = j.used ? summarize(&j) : BL_NO_MEMORY;
    bli_tf_index_free(&ix);
    return status;
}

bl_status bl_graphdef_summarize(const bl_graphdef *g, bl_graphdef_summary **out)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    bl_graphdef_summary *s = bli_alloc(ctx, sizeof *s);
    *out = NULL;
    if (!s)
        return BL_NO_MEMORY;
    s->ctx = ctx;
    bl_status status = bli_arena_create(ctx, &s->arena);
    if (status == BL_OK)
        status = with_index(s, g->graph);
    if (status != BL_OK) {
        bl_graphdef_summary_destroy(s);
        return status;
    }
    *out = s;
    return BL_OK;
}

const bl_graphdef_summary_info *bl_graphdef_summary_get(const bl_graphdef_summary *s)
{
    return &s->info;
}

void bl_graphdef_summary_destroy(bl_graphdef_summary *s)
{
    if (!s)
        return;
    bli_arena_destroy(s->arena);
    bli_free(s->ctx, s);
}
