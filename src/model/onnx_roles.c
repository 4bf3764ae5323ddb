/* onnx_roles.c: what each tensor of a file is to training.
 *
 * Our own files say it in metadata, key "bitlathe.value.<name>", text "<role> <place>".  In others the operator that
 * reads a tensor, possibly through quantizers, says it: the table below.
 */
#include <string.h>

#include "model/onnx.h"

typedef struct rule {
    const char *type;
    int slot;
    bl_role role;
    const char *place;
} rule;

static const rule rules[] = {
    {"Conv", 1, BL_ROLE_PARAMETER, "weight"},
    {"Conv", 2, BL_ROLE_PARAMETER, "bias"},
    {"ConvTranspose", 1, BL_ROLE_PARAMETER, "weight"},
    {"ConvTranspose", 2, BL_ROLE_PARAMETER, "bias"},
    {"Gemm", 1, BL_ROLE_PARAMETER, "weight"},
    {"Gemm", 2, BL_ROLE_PARAMETER, "bias"},
    {"MatMul", 1, BL_ROLE_PARAMETER, "weight"},
    {"BatchNormalization", 1, BL_ROLE_PARAMETER, "gamma"},
    {"BatchNormalization", 2, BL_ROLE_PARAMETER, "beta"},
    {"BatchNormalization", 3, BL_ROLE_STATE, "mean"},
    {"BatchNormalization", 4, BL_ROLE_STATE, "variance"},
};

static const char *const words[] = {
    [BL_ROLE_CONSTANT] = "constant", [BL_ROLE_PARAMETER] = "parameter", [BL_ROLE_STATE] = "state"};

bl_status bli_onnx_store_role(bli_buf *b, const bl_value *v)
{
    return bli_buf_printf(b, "%s%s%s", words[v->role], v->place[0] ? " " : "", v->place);
}

static bl_status stored_role(bl_graph *g, int value, const char *text)
{
    bl_value *v = bli_graph_value_mut(g, value);
    for (int role = BL_ROLE_CONSTANT; role <= BL_ROLE_STATE; role++) {
        size_t n = strlen(words[role]);
        if (strncmp(text, words[role], n) != 0 || (text[n] && text[n] != ' '))
            continue;
        v->place = text[n] ? bli_arena_strdup(bli_graph_arena(g), text + n + 1) : "";
        v->role = (bl_role)role;
        return v->place ? BL_OK : BL_NO_MEMORY;
    }
    return bli_fail(bl_graph_context(g), BL_BAD_MODEL, "metadata of value '%s': '%s' is no role", v->name, text);
}

static bool through(const bl_node *n)
{
    static const char *const types[] = {"Quant", "BipolarQuant", "FloatQuant", "Quantize", "Identity", "Transpose"};
    for (size_t i = 0; i < BLI_COUNT(types); i++)
        if (strcmp(n->type, types[i]) == 0)
            return true;
    return false;
}

/* The rule for how the first reader of value uses it; quantizers in between are looked through. */
static const rule *rule_for(const bl_graph *g, int value)
{
    enum { FAR = 8 };
    for (int steps = 0; steps < FAR; steps++) {
        int node = bli_graph_first_user(g, value);
        if (node < 0)
            return NULL;
        const bl_node *n = bl_graph_node(g, node);
        for (size_t i = 0; i < BLI_COUNT(rules); i++)
            if (strcmp(n->type, rules[i].type) == 0 && n->num_inputs > rules[i].slot &&
                n->inputs[rules[i].slot] == value)
                return &rules[i];
        if (!through(n) || n->inputs[0] != value)
            return NULL;
        value = n->outputs[0];
    }
    return NULL;
}

/* The offset of a dense layer: a float row added to a product. */
static bool is_offset(const bl_graph *g, int value)
{
    int user = bli_graph_first_user(g, value);
    const bl_node *n = user < 0 ? NULL : bl_graph_node(g, user);
    if (!n || strcmp(n->type, "Add") != 0 || bl_graph_value(g, value)->shape.rank < 1)
        return false;
    int other = n->inputs[0] == value ? n->inputs[1] : n->inputs[0];
    const bl_value *v = bl_graph_value(g, other);
    return v->producer >= 0 && strcmp(bl_graph_node(g, v->producer)->type, "MatMul") == 0;
}

static bl_status find_role(bl_graph *g, int value)
{
    bl_value *v = bli_graph_value_mut(g, value);
    if (v->role != BL_ROLE_CONSTANT || v->type != BL_F32)
        return BL_OK;
    const rule *r = rule_for(g, value);
    if (r) {
        v->role = r->role;
        v->place = r->place;
    } else if (is_offset(g, value)) {
        v->role = BL_ROLE_PARAMETER;
        v->place = "bias";
    }
    return BL_OK;
}

static const char value_prefix[] = "bitlathe.value.";

static bl_status apply_stored(bl_graph *g)
{
    for (int i = bl_graph_num_meta(g) - 1; i >= 0; i--) {
        const char *key, *text;
        bl_graph_meta_at(g, i, &key, &text);
        if (strncmp(key, value_prefix, sizeof value_prefix - 1) != 0)
            continue;
        int value = bl_graph_find_value(g, key + sizeof value_prefix - 1);
        if (value >= 0 && bl_graph_value(g, value)->data)
            BLI_TRY(stored_role(g, value, text));
        BLI_TRY(bl_graph_set_meta(g, key, NULL));
    }
    return BL_OK;
}

bl_status bli_onnx_find_roles(bl_graph *g)
{
    if (bl_graph_meta(g, BLI_ONNX_MARK)) {
        BLI_TRY(apply_stored(g));
        return bl_graph_set_meta(g, BLI_ONNX_MARK, NULL);
    }
    for (int i = 0; i < bl_graph_num_values(g); i++)
        BLI_TRY(find_role(g, i));
    return BL_OK;
}
