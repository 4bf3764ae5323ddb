/* to_graph.c: a frozen TensorFlow graph as a graph of ours: the door to quantization, exact programs and firmware.
 *
 * What the outputs need of the graph, up to the inputs, is converted operator by operator (to_graph_ops.c); constant
 * parts are then evaluated, tensors get their roles, and shapes are inferred.  Dimension 0 of every input is the batch,
 * whatever size the file gives it.  Pictures are channels-last in both worlds.
 */
#include <stdlib.h>
#include <string.h>

#include "bitlathe/graphdef.h"
#include "model/onnx.h"
#include "pass/pass.h"
#include "tf/to_graph.h"

typedef struct job {
    bli_tf_door d;
    const bli_tf_graph *g;
    const bl_graphdef_cut *cut;
    bool *fed, *kept;
    const char **outputs; /* as the user wrote them */
    size_t num_outputs;
} job;

/* ---- lists of names ---------------------------------------------------------------------------------------------- */

/* The next word up to a separator, copied into the store; NULL at the end or when memory is short. */
static const char *next_word(bli_tf_store *s, const char **list, char separator)
{
    const char *from = *list, *end;
    if (!from || !*from)
        return NULL;
    end = strchr(from, separator);
    *list = end ? end + 1 : from + strlen(from);
    return bli_tf_text_copy(s, from, end ? (size_t)(end - from) : strlen(from));
}

static size_t count_words(const char *list)
{
    size_t n = list && *list ? 1 : 0;
    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

static bl_status find_node(const job *j, const char *name, size_t *at)
{
    bli_tf_ref r = bli_tf_ref_parse(name);
    *at = bli_tf_index_find(j->d.ix, r.name, r.size);
    if (*at == SIZE_MAX)
        return bli_fail(j->d.ctx, BL_NOT_FOUND, "'%s' is no node of this graph", name);
    return BL_OK;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

static bl_status parse_shape(const job *j, const char *text, bl_shape *shape)
{
    const char *word;
    shape->rank = 0;
    while ((word = next_word(j->d.store, &text, ','))) {
        char *end;
        long long v = strtoll(word, &end, 10);
        if (shape->rank == BL_MAX_RANK || end == word || *end || v < -1)
            return bli_fail(j->d.ctx, BL_BAD_VALUE, "shape '%s': expected at most %d numbers with commas", word,
                            BL_MAX_RANK);
        shape->dim[shape->rank++] = v;
    }
    return BL_OK;
}

static bl_status own_shape(const job *j, const bli_tf_node *n, bl_shape *shape)
{
    const bli_tf_value *v = bli_tf_node_attr(n, "shape");
    if (!v || v->value_case != BLI_TF__ATTR_VALUE__VALUE_SHAPE || v->shape->unknown_rank ||
        v->shape->n_dim > BL_MAX_RANK)
        return bli_fail(j->d.ctx, BL_BAD_VALUE, "the graph does not say its shape; give it");
    shape->rank = (int)v->shape->n_dim;
    for (int i = 0; i < shape->rank; i++)
        shape->dim[i] = v->shape->dim[i]->size;
    return BL_OK;
}

static bl_status add_input(job *j, const char *name, const char *shape_text)
{
    bl_shape shape = {.rank = 0};
    size_t at;
    BLI_TRY(find_node(j, name, &at));
    const bli_tf_node *n = j->g->nodes[at];
    BLI_TRY(shape_text && *shape_text ? parse_shape(j, shape_text, &shape) : own_shape(j, n, &shape));
    if (shape.rank < 1)
        return bli_fail(j->d.ctx, BL_UNSUPPORTED, "it has no dimensions, expected the batch first");
    shape.dim[0] = -1;
    for (int i = 1; i < shape.rank; i++)
        if (shape.dim[i] < 0)
            return bli_fail(j->d.ctx, BL_BAD_VALUE, "dimension %d is not known; only the batch may be", i);
    j->fed[at] = true;
    return bl_graph_add_input(j->d.out, n->name, BL_F32, &shape, NULL);
}

static bl_status add_inputs(job *j)
{
    const char *names = j->cut->inputs, *shapes = j->cut->shapes, *name;
    if (count_words(names) == 0) {
        for (size_t i = 0; i < j->g->num_nodes; i++)
            if (strcmp(j->g->nodes[i]->op, "Placeholder") == 0)
                BLI_TRY(bli_within(j->d.ctx, add_input(j, j->g->nodes[i]->name, next_word(j->d.store, &shapes, ':')),
                                   "input '%s'", j->g->nodes[i]->name));
        return BL_OK;
    }
    while ((name = next_word(j->d.store, &names, ',')))
        BLI_TRY(bli_within(j->d.ctx, add_input(j, name, next_word(j->d.store, &shapes, ':')), "input '%s'", name));
    return BL_OK;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

/* Without names: what no other node reads, but for constants and the like. */
static bl_status last_nodes(job *j)
{
    bool *used = bli_tf_alloc_array(j->d.store, j->g->num_nodes, sizeof *used);
    if (!used)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < j->g->num_nodes; i++)
        for (size_t k = 0; k < j->g->nodes[i]->num_inputs; k++) {
            bli_tf_ref r = bli_tf_ref_parse(j->g->nodes[i]->inputs[k]);
            size_t at = bli_tf_index_find(j->d.ix, r.name, r.size);
            if (at != SIZE_MAX)
                used[at] = true;
        }
    for (size_t i = 0; i < j->g->num_nodes; i++) {
        const char *op = j->g->nodes[i]->op;
        bool none = strcmp(op, "Const") == 0 || strcmp(op, "NoOp") == 0 || strcmp(op, "Placeholder") == 0;
        if (!used[i] && !none)
            j->outputs[j->num_outputs++] = j->g->nodes[i]->name;
    }
    return BL_OK;
}

static bl_status list_outputs(job *j)
{
    const char *names = j->cut->outputs, *name;
    size_t given = count_words(names), room = given ? given : j->g->num_nodes, at;
    j->outputs = bli_tf_alloc_array(j->d.store, room, sizeof *j->outputs);
    if (!j->outputs)
        return BL_NO_MEMORY;
    while ((name = next_word(j->d.store, &names, ',')))
        j->outputs[j->num_outputs++] = name;
    if (given == 0)
        BLI_TRY(last_nodes(j));
    for (size_t i = 0; i < j->num_outputs; i++) {
        BLI_TRY(bli_within(j->d.ctx, find_node(j, j->outputs[i], &at), "output"));
        j->kept[at] = true;
    }
    return j->num_outputs ? BL_OK : bli_fail(j->d.ctx, BL_BAD_MODEL, "no node is an output: every node is read");
}

static bl_status set_outputs(const job *j)
{
    int *ids = bli_tf_alloc_array(j->d.store, j->num_outputs, sizeof *ids);
    if (!ids)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < j->num_outputs; i++)
        BLI_TRY(bli_tf_door_value(&j->d, j->outputs[i], &ids[i]));
    return bl_graph_set_outputs(j->d.out, ids, (int)j->num_outputs);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

enum { NEW, OPEN, DONE };

typedef struct visit {
    size_t node, next; /* next: the input to look at */
} visit;

/* Depth first without recursion: a graph may be as deep as it is long. */
static bl_status walk(job *j, size_t root, uint8_t *state, visit *stack)
{
    size_t depth = 0, at;
    if (state[root] == DONE)
        return BL_OK;
    stack[depth++] = (visit){root, 0};
    state[root] = OPEN;
    while (depth > 0) {
        visit *v = &stack[depth - 1];
        const bli_tf_node *n = j->g->nodes[v->node];
        bool computed = false;
        if (!j->fed[v->node] && v->next == 0)
            BLI_TRY(bli_tf_door_compute(&j->d, v->node, &computed));
        if (computed) {
            state[v->node] = DONE;
            depth--;
            continue;
        }
        if (!j->fed[v->node] && v->next < n->num_inputs) {
            const char *input = n->inputs[v->next++];
            if (input[0] == '^')
                continue; /* an order of execution; nothing here has effects */
            BLI_TRY(bli_within(j->d.ctx, find_node(j, input, &at), "node '%s' (%s): input", n->name, n->op));
            if (state[at] == OPEN)
                return bli_fail(j->d.ctx, BL_BAD_MODEL, "node '%s' (%s): it reads itself, by way of '%s'", n->name,
                                n->op, input);
            if (state[at] == NEW) {
                state[at] = OPEN;
                stack[depth++] = (visit){at, 0};
            }
            continue;
        }
        if (!j->fed[v->node])
            BLI_TRY(bli_within(j->d.ctx, bli_tf_door_node(&j->d, n), "node '%s' (%s)", n->name, n->op));
        state[v->node] = DONE;
        depth--;
    }
    return BL_OK;
}

static bl_status convert_nodes(job *j)
{
    uint8_t *state = bli_tf_alloc_array(j->d.store, j->g->num_nodes, sizeof *state);
    visit *stack = bli_tf_alloc_array(j->d.store, j->g->num_nodes, sizeof *stack);
    size_t at;
    if (!state || !stack)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < j->num_outputs; i++) {
        BLI_TRY(find_node(j, j->outputs[i], &at));
        BLI_TRY(walk(j, at, state, stack));
    }
    return BL_OK;
}

static bl_status convert(job *j)
{
    BLI_TRY(add_inputs(j));
    BLI_TRY(list_outputs(j));
    BLI_TRY(convert_nodes(j));
    BLI_TRY(set_outputs(j));
    BLI_TRY(bli_graph_clean(j->d.out));
    BLI_TRY(bli_pass_run(j->d.out, "fold_constants"));
    BLI_TRY(bli_onnx_find_roles(j->d.out));
    BLI_TRY(bli_pass_run(j->d.out, "dead_code"));
    BLI_TRY(bl_graph_infer(j->d.out));
    return bl_graph_verify(j->d.out);
}

static bl_status with_index(job *j)
{
    bli_tf_index ix;
    size_t n = j->g->num_nodes;
    j->fed = bli_tf_alloc_array(j->d.store, n, sizeof *j->fed);
    j->kept = bli_tf_alloc_array(j->d.store, n, sizeof *j->kept);
    if (!j->fed || !j->kept)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_index_make(j->g, &ix));
    j->d.ix = &ix;
    j->d.fed = j->fed;
    j->d.kept = j->kept;
    bl_status s = convert(j);
    bli_tf_index_free(&ix);
    return s;
}

bl_status bl_graphdef_to_graph(const bl_graphdef *g, const bl_graphdef_cut *cut, bl_graph **out)
{
    job j = {.d = {.ctx = bli_tf_store_context(g->store), .store = g->store}, .g = g->graph, .cut = cut};
    *out = NULL;
    BLI_TRY(bl_graph_create(j.d.ctx, "", &j.d.out));
    bl_status s = with_index(&j);
    if (s != BL_OK) {
        bl_graph_destroy(j.d.out);
        return s;
    }
    *out = j.d.out;
    return BL_OK;
}
