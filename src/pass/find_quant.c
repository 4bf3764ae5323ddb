/* find_quant.c: our own Quantize nodes in place of their spelling, from metadata.
 *
 * What stands in the graph is the truth.  An activation's node comes back only if the nodes between its input and its
 * output are, by their hash, those that were written; a parameter's only if quantizing the stored values gives what the
 * visible node gives.  Where another tool has changed something, the visible nodes stay.
 */
#include <stdlib.h>
#include <string.h>

#include "pass/pass.h"
#include "pass/spell_quant.h"
#include "run/eval.h"

enum { DEEP = 64 }; /* spellings are shorter; what lies deeper stays for dead_code */

/* The nodes that only made value go, down to x. */
static void remove_chain(bl_graph *g, int value, int x, int depth)
{
    int producer = value < 0 || value == x ? -1 : bl_graph_value(g, value)->producer;
    if (producer < 0 || depth > DEEP || bli_graph_num_uses(g, value) > 0)
        return;
    const bl_node *n = bl_graph_node(g, producer);
    int inputs[8], count = n->num_inputs < 8 ? n->num_inputs : 8;
    memcpy(inputs, n->inputs, (size_t)count * sizeof *inputs);
    bli_graph_remove_node(g, producer);
    for (int i = 0; i < count; i++)
        remove_chain(g, inputs[i], x, depth + 1);
}

/* Scale and widths of the description, added under their names unless the graph has them. */
static bl_status bring_tensor(bl_graph *g, const bl_graph *mini, int value, int *id)
{
    *id = -1;
    if (value < 0)
        return BL_OK;
    const bl_value *v = bl_graph_value(mini, value);
    *id = bl_graph_find_value(g, v->name);
    bl_tensor t = {v->type, v->shape, v->data};
    return *id >= 0 ? BL_OK : bl_graph_add_tensor(g, v->name, v->role, v->place, &t, id);
}

/* The node on x, beside anchor, under fresh names. */
static bl_status add_quantize(bl_graph *g, const bl_graph *mini, int x, int anchor, int *out)
{
    const bl_node *n = bl_graph_node(mini, 0);
    int ids[3] = {x, -1, -1};
    for (int i = 1; i < n->num_inputs; i++)
        BLI_TRY(bring_tensor(g, mini, n->inputs[i], &ids[i]));
    bl_node copy = *n;
    copy.name = NULL;
    copy.inputs = ids;
    copy.num_outputs = 1;
    BLI_TRY(bl_graph_add_node(g, &copy, NULL, out));
    bl_value *made = bli_graph_value_mut(g, *out);
    made->type = bl_graph_value(g, x)->type;
    made->shape = bl_graph_value(g, x)->shape;
    if (anchor >= 0)
        bli_graph_place_like(g, made->producer, anchor);
    return BL_OK;
}

static bl_status take_names(bl_graph *g, const bl_graph *mini, int made)
{
    const bl_node *n = bl_graph_node(mini, 0);
    BLI_TRY(bli_graph_rename_value(g, made, bl_graph_value(mini, n->outputs[0])->name));
    return bl_graph_find_node(g, n->name) >= 0 ? BL_OK
                                               : bli_graph_rename_node(g, bl_graph_value(g, made)->producer, n->name);
}

static bl_status restore_activation(bl_graph *g, const bl_graph *mini, int x, int y)
{
    int made;
    const char *stored = bl_graph_meta(mini, BLI_SPELL_HASH);
    if (y < 0 || bl_graph_value(g, y)->producer < 0 || !stored || strtoull(stored, NULL, 16) != bli_spell_hash(g, x, y))
        return BL_OK;
    BLI_TRY(add_quantize(g, mini, x, bl_graph_value(g, y)->producer, &made));
    bli_graph_replace_uses(g, y, made);
    remove_chain(g, y, x, 0);
    return take_names(g, mini, made);
}

/* What the file's own nodes give for y: x itself where there is none. */
static bl_status visible(bl_graph *g, int x, int y, bl_tensor *out, bool *known)
{
    *out = (bl_tensor){.data = NULL};
    *known = y < 0;
    if (y < 0)
        return BL_OK;
    int producer = bl_graph_value(g, y)->producer;
    *known = producer >= 0 && bl_graph_node(g, producer)->inputs[0] == x && bli_eval_possible(g, producer);
    return *known ? bli_eval_node(g, producer, out) : BL_OK;
}

static bl_status same_values(bl_graph *g, int x, int y, int made, bool *same)
{
    const bl_value *v = bl_graph_value(g, x);
    bl_tensor ours = {.data = NULL}, theirs, stored = {v->type, v->shape, v->data};
    bool known = false;
    *same = false;
    BLI_TRY(visible(g, x, y, &theirs, &known));
    bl_status s = known ? bli_eval_node(g, bl_graph_value(g, made)->producer, &ours) : BL_OK;
    *same = s == BL_OK && known && bli_spell_same(&ours, y < 0 ? &stored : &theirs);
    bl_tensor_free(bl_graph_context(g), &ours);
    bl_tensor_free(bl_graph_context(g), &theirs);
    return s;
}

static bl_status restore_parameter(bl_graph *g, const bl_graph *mini, int x, int y)
{
    int made, anchor = y >= 0 ? bl_graph_value(g, y)->producer : bli_graph_first_user(g, x);
    bool same;
    BLI_TRY(add_quantize(g, mini, x, anchor, &made));
    int node = bl_graph_value(g, made)->producer;
    BLI_TRY(same_values(g, x, y, made, &same));
    if (!same) {
        bli_graph_remove_node(g, node);
        return BL_OK;
    }
    bli_graph_replace_uses(g, y < 0 ? x : y, made);
    BLI_TRY(bli_graph_set_input(g, node, 0, x));
    if (y >= 0)
        remove_chain(g, y, x, 0);
    return take_names(g, mini, made);
}

/* A description is one Quantize node on the graph's one input. */
static bool well_formed(const bl_graph *mini)
{
    if (bl_graph_num_nodes(mini) != 1 || bl_graph_num_inputs(mini) != 1)
        return false;
    const bl_node *n = bl_graph_node(mini, 0);
    if (strcmp(n->type, "Quantize") != 0 || strcmp(n->domain, BLI_DOMAIN_OWN) != 0 || n->num_inputs < 1 ||
        n->num_inputs > 3 || n->num_outputs != 1 || n->inputs[0] != bl_graph_input(mini, 0))
        return false;
    for (int i = 1; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0 && !bl_graph_value(mini, n->inputs[i])->data)
            return false;
    return true;
}

static bl_status restore(bl_graph *g, const bl_graph *mini)
{
    if (!well_formed(mini))
        return bli_fail(bl_graph_context(g), BL_BAD_MODEL, "it does not describe a Quantize node");
    const bl_node *n = bl_graph_node(mini, 0);
    int x = bl_graph_find_value(g, bl_graph_value(mini, n->inputs[0])->name);
    int y = bl_graph_find_value(g, bl_graph_value(mini, n->outputs[0])->name);
    if (x < 0 || x == y)
        return BL_OK;
    return bl_graph_value(g, x)->data ? restore_parameter(g, mini, x, y) : restore_activation(g, mini, x, y);
}

static bl_status restore_entry(bl_graph *g, const char *key, const char *text)
{
    bl_context *ctx = bl_graph_context(g);
    bl_graph *mini;
    bl_status s = bl_graph_parse(ctx, text, strlen(text), &mini);
    if (s == BL_OK) {
        s = restore(g, mini);
        bl_graph_destroy(mini);
    }
    return bli_within(ctx, s, "metadata %s", key);
}

bl_status bli_pass_find_quant(bl_graph *g)
{
    bool inferred = false;
    for (int i = bl_graph_num_meta(g) - 1; i >= 0; i--) {
        const char *key, *text;
        bl_graph_meta_at(g, i, &key, &text);
        if (strncmp(key, BLI_SPELL_KEY, sizeof BLI_SPELL_KEY - 1) != 0)
            continue;
        if (!inferred)
            BLI_TRY(bl_graph_infer(g));
        inferred = true;
        BLI_TRY(restore_entry(g, key, text));
        BLI_TRY(bl_graph_set_meta(g, key, NULL));
    }
    return inferred ? bli_graph_clean(g) : BL_OK;
}
