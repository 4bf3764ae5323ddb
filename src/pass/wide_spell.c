/* wide_spell.c: Quantize nodes of a float64 graph in ONNX's own operators.
 *
 * QONNX's executor rounds what Quant and its kin give to float32, so a file in double precision has none of them: a
 * parameter's quantized values are stored, an activation's quantizer becomes Div, Clip, Round ... Mul, of which every
 * step is exact in double precision.  Only operators for which onnxruntime has double kernels may stand in such a file.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op/infer.h"
#include "pass/spell_quant.h"
#include "pass/wide.h"
#include "run/eval.h"

enum { MOST_BITS = 51 }; /* codes and their halves are exact in float64 */

/* ---- operators ---------------------------------------------------------------------------------------------- */

/* As onnxruntime 1.23 has them on CPUs, found by trying each. */
static const char *const in_double[] = {"Abs",       "Add",       "BatchNormalization",
                                        "Ceil",      "Clip",      "Concat",
                                        "Div",       "Dropout",   "Flatten",
                                        "Floor",     "Gemm",      "Identity",
                                        "LeakyRelu", "MatMul",    "Max",
                                        "MaxPool",   "Min",       "Mul",
                                        "PRelu",     "Pad",       "Pow",
                                        "ReduceSum", "Relu",      "ReduceMean",
                                        "Reshape",   "Round",     "Sigmoid",
                                        "Sign",      "Slice",     "Softmax",
                                        "Split",     "Squeeze",   "Sub",
                                        "Tanh",      "Transpose", "Unsqueeze"};

bl_status bli_wide_check(const bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        bool known = false;
        for (size_t k = 0; k < BLI_COUNT(in_double) && strcmp(n->domain, BLI_DOMAIN_ONNX) == 0; k++)
            known = known || strcmp(n->type, in_double[k]) == 0;
        if (!known)
            return bli_fail(bl_graph_context(g), BL_UNSUPPORTED,
                            "node '%s': the model needs double precision, in which no runner computes %s; with "
                            "formats of at most 24 bits it would not",
                            n->name, n->type);
    }
    return BL_OK;
}

/* ---- a quantizer -------------------------------------------------------------------------------------------- */

/* made stands for node's output, under the old names; metadata brings the node back. */
static bl_status stand_for(bl_graph *g, int node, int made)
{
    const bl_node *n = bl_graph_node(g, node);
    const char *name = n->name, *value_name = bl_graph_value(g, n->outputs[0])->name;
    int x = n->inputs[0], y = n->outputs[0];
    size_t size = sizeof BLI_SPELL_KEY + strlen(name);
    char *text, *key = bli_arena_alloc(bli_graph_arena(g), size);
    if (!key)
        return BL_NO_MEMORY;
    snprintf(key, size, "%s%s", BLI_SPELL_KEY, name);
    BLI_TRY(bli_spell_describe(g, n, bli_spell_hash(g, x, made), &text));
    bl_status s = bl_graph_set_meta(g, key, text);
    bl_text_free(bl_graph_context(g), text);
    BLI_TRY(s);
    bli_graph_replace_uses(g, y, made);
    bli_graph_remove_node(g, node);
    if (made == x)
        return BL_OK;
    BLI_TRY(bli_graph_rename_value(g, made, value_name));
    return bli_graph_rename_node(g, bl_graph_value(g, made)->producer, name);
}

static bl_status spell_stored(bl_graph *g, int node)
{
    const bl_node *n = bl_graph_node(g, node);
    bl_tensor y;
    int x = n->inputs[0], out = n->outputs[0];
    bool alone = bli_graph_num_uses(g, x) == 1 && !bli_graph_is_output(g, out);
    BLI_TRY(bli_eval_node(g, node, &y));
    bl_status s;
    if (alone) {
        s = bli_graph_set_tensor(g, x, &y);
        s = s == BL_OK ? stand_for(g, node, x) : s;
    } else { /* others read x as it is: the result is a constant of its own */
        bli_graph_remove_node(g, node);
        s = bl_graph_value(g, out)->name ? bli_graph_make_tensor(g, out, BL_ROLE_CONSTANT, "", &y) : BL_OK;
    }
    bl_tensor_free(bl_graph_context(g), &y);
    return s;
}

static int number(bli_chain *c, const char *word, double value)
{
    int id = -1;
    size_t size = strlen(c->base) + strlen(word) + 2;
    char *name = bli_arena_alloc(bli_graph_arena(c->g), size);
    if (!name)
        c->status = BL_NO_MEMORY;
    if (c->status != BL_OK)
        return -1;
    snprintf(name, size, "%s/%s", c->base, word);
    bl_tensor t = {BL_F64, {.rank = 0}, &value};
    c->status =
        bl_graph_add_tensor(c->g, bl_graph_find_value(c->g, name) < 0 ? name : NULL, BL_ROLE_CONSTANT, "", &t, &id);
    return id;
}

static bool plain_grid(const bl_node *n, const bli_quant_spec *s)
{
    const bl_format *f = &s->format;
    return s->has_format && strcmp(s->quantizer->name, "ste") == 0 && n->num_inputs == 1 &&
           (f->kind == BL_FORMAT_FIXED || f->kind == BL_FORMAT_INT) && f->bits <= MOST_BITS &&
           (f->overflow == BL_SAT || f->overflow == BL_SAT_SYM) && s->scale_rule == BLI_SCALE_NUMBER &&
           s->granularity == BLI_PER_TENSOR && s->zero_point == 0;
}

static bl_status spell_activation(bl_graph *g, int node, const bli_quant_spec *s)
{
    const bl_node *n = bl_graph_node(g, node);
    const bl_format *f = &s->format;
    char format[80] = "";
    if (s->has_format)
        bl_format_print(f, format, sizeof format);
    if (!plain_grid(n, s))
        return bli_fail(bl_graph_context(g), BL_UNSUPPORTED,
                        "quantizer %s %s: the model needs double precision, in which only saturating fixed<W,I> and "
                        "int<W> of activations, W up to %d, with one fixed scale can be written",
                        s->quantizer->name, format, MOST_BITS);
    bli_chain c = {.g = g, .base = n->name, .anchor = node, .shape = bl_graph_value(g, n->inputs[0])->shape};
    double most = ldexp(1, f->bits - (f->is_signed ? 1 : 0)) - 1;
    double least = f->is_signed ? (f->overflow == BL_SAT_SYM ? -most : -most - 1) : 0;
    int step = number(&c, "step", s->scale * (f->kind == BL_FORMAT_FIXED ? bl_format_step(f) : 1));
    int t = bli_chain_node(&c, "scaled", "Div", n->inputs[0], step, -1);
    t = bli_chain_node(&c, "clipped", "Clip", t, number(&c, "least", least), number(&c, "most", most));
    t = bli_chain_node(&c, "quant", "Mul", bli_spell_rounded(&c, t, f->rounding), step, -1);
    BLI_TRY(c.status);
    return stand_for(g, node, t);
}

static bl_status spell(bl_graph *g, int node)
{
    const bl_node *n = bl_graph_node(g, node);
    bl_context *ctx = bl_graph_context(g);
    bli_quant_spec *spec;
    bli_arena *arena;
    if (bli_wide_stored(g, n))
        return spell_stored(g, node);
    BLI_TRY(bli_arena_create(ctx, &arena));
    bl_status s = bli_quant_spec_parse(ctx, n, true, arena, &spec);
    if (s == BL_OK)
        s = spell_activation(g, node, spec);
    bli_arena_destroy(arena);
    return s;
}

bl_status bli_wide_spell(bl_graph *g)
{
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (!bli_wide_quantize(n))
            continue;
        const char *name = n->name;
        BLI_TRY(bli_within(bl_graph_context(g), spell(g, i), "node '%s'", name));
    }
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}
