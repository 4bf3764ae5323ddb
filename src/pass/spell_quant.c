/* spell_quant.c: Quantize nodes in QONNX's and ONNX's own words.
 *
 * A parameter's Quantize stores the quantized values and leaves a QONNX node that changes them no more, or nothing
 * where QONNX has no word for them.  An activation's becomes the nodes of spell_words.c; every spelling is tried
 * against the quantizer itself before it is used (spell_probe.c), and a node without an equal one is refused by name.
 * Metadata keeps the node for find_quant.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pass/pass.h"
#include "pass/spell_quant.h"
#include "run/eval.h"

/* One Quantize node at work. */
typedef struct job {
    bl_graph *g;
    bl_context *ctx;
    bli_arena *arena;
    int node;
    const bl_node *n;
    const bl_value *x;
    bli_quant_spec *spec;
    bool has_words; /* spelling says something: a format, or what a QKeras quantizer amounts to */
    bli_known known;
    bli_spelling spelling;
    float *step; /* spelling's */
} job;

static bl_tensor input_tensor(const job *j, int slot)
{
    int id = slot < j->n->num_inputs ? j->n->inputs[slot] : -1;
    if (id < 0)
        return (bl_tensor){.data = NULL};
    const bl_value *v = bl_graph_value(j->g, id);
    return (bl_tensor){v->type, v->shape, v->data};
}

/* ---- scales ------------------------------------------------------------------------------------------------- */

/* One dimension of groups in x's rank, all others 1; a scalar for one group. */
static bl_shape group_shape(const job *j, int64_t groups)
{
    bl_shape s = {.rank = 0};
    if (groups == 1)
        return s;
    int axis = j->spec->axis < 0 ? j->spec->axis + j->x->shape.rank : j->spec->axis;
    s.rank = j->x->shape.rank;
    for (int i = 0; i < s.rank; i++) {
        int64_t dim = j->x->shape.dim[i] < 0 ? 1 : j->x->shape.dim[i];
        s.dim[i] = j->spec->granularity == BLI_PER_ELEMENT || i == axis ? dim : 1;
    }
    return s;
}

static bl_status ask_scales(const job *j, double *scale)
{
    bli_call c = {.ctx = j->ctx, .node = j->n, .isa = bli_cpu_isa(), .state = j->spec};
    bl_tensor row = {.data = NULL};
    bl_shape shape = j->x->shape;
    if (shape.rank > 0 && shape.dim[0] < 0)
        shape.dim[0] = 1;
    BLI_TRY(bl_tensor_create(j->ctx, BL_F32, &shape, &row));
    c.in[0] = j->x->data ? input_tensor(j, 0) : row;
    c.in[1] = input_tensor(j, 1);
    c.in[2] = input_tensor(j, 2);
    c.scratch = bli_alloc(j->ctx, j->spec->quantizer->scratch ? j->spec->quantizer->scratch(&c, j->spec) : 0);
    bl_status s = c.scratch ? j->spec->quantizer->scales(&c, j->spec, scale) : BL_NO_MEMORY;
    bli_free(j->ctx, c.scratch);
    bl_tensor_free(j->ctx, &row);
    return s;
}

/* The format in the node, or the one that a QKeras quantizer amounts to; gives the step of a code for scale 1. */
static double propose(job *j, double *scale, int64_t groups)
{
    j->has_words = j->spec->has_format;
    if (j->spec->has_format)
        return j->spec->format.kind == BL_FORMAT_FIXED ? bl_format_step(&j->spec->format) : 1;
    j->has_words = bli_spell_known(j->n, j->spec->quantizer->name, &j->known);
    const char *alpha = bl_node_string(j->n, "alpha", "none");
    double own = j->known.alpha && strcmp(alpha, "none") != 0 ? strtod(alpha, NULL) : 1;
    for (int64_t i = 0; i < groups && (j->known.own_scale || j->known.alpha); i++)
        scale[i] = own;
    return j->has_words ? j->known.unit : 1;
}

static bl_status resolve(job *j)
{
    int64_t groups = bli_quant_groups(j->spec, &j->x->shape);
    double *scale = bli_arena_array(j->arena, (size_t)groups, sizeof *scale);
    float *step = bli_arena_array(j->arena, (size_t)groups, sizeof *step);
    if (!scale || !step)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < groups; i++)
        scale[i] = j->spec->scale;
    if (j->spec->quantizer->scales)
        BLI_TRY(ask_scales(j, scale));
    double unit = propose(j, scale, groups);
    bool one = true;
    for (int64_t i = 0; i < groups; i++) {
        step[i] = (float)(scale[i] * unit);
        one = one && step[i] == step[0];
    }
    if (one && groups > 0)
        groups = 1;
    j->step = step;
    j->spelling = (bli_spelling){.format = j->spec->has_format ? j->spec->format : j->known.format,
                                 .shape = group_shape(j, groups),
                                 .step = step,
                                 .steps = groups,
                                 .zero = (double)j->spec->zero_point};
    return BL_OK;
}

/* Widths as float32, which Quantize takes in any type. */
static bl_status resolve_bits(job *j)
{
    bl_tensor bits = input_tensor(j, 2);
    if (!bits.data)
        return BL_OK;
    bl_tensor *copy = bli_arena_alloc(j->arena, sizeof *copy);
    float *v = copy ? bli_arena_array(j->arena, (size_t)bl_shape_count(&bits.shape), sizeof *v) : NULL;
    if (!v)
        return BL_NO_MEMORY;
    if (bits.type != BL_F32)
        return bli_fail(j->ctx, BL_UNSUPPORTED, "its widths are %s; only F32 can be written", bl_dtype_name(bits.type));
    memcpy(v, bits.data, (size_t)bl_shape_count(&bits.shape) * sizeof *v);
    *copy = (bl_tensor){BL_F32, bits.shape, v};
    j->spelling.bits = copy;
    return BL_OK;
}

/* ---- metadata ----------------------------------------------------------------------------------------------- */

static bl_status describe(bl_graph *mini, const bl_graph *g, const bl_node *n, uint64_t hash)
{
    int ids[3] = {-1, -1, -1}, out;
    char text[24];
    const bl_value *x = bl_graph_value(g, n->inputs[0]);
    BLI_TRY(bl_graph_add_input(mini, x->name, x->type, &x->shape, &ids[0]));
    for (int i = 1; i < n->num_inputs && i < 3; i++) {
        if (n->inputs[i] < 0)
            continue;
        const bl_value *v = bl_graph_value(g, n->inputs[i]);
        bl_tensor t = {v->type, v->shape, v->data};
        BLI_TRY(bl_graph_add_tensor(mini, v->name, v->role, v->place, &t, &ids[i]));
    }
    bl_node copy = *n;
    copy.inputs = ids;
    copy.num_outputs = 1;
    const char *names[] = {bl_graph_value(g, n->outputs[0])->name};
    BLI_TRY(bl_graph_add_node(mini, &copy, names, &out));
    BLI_TRY(bl_graph_set_outputs(mini, &out, 1));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return bl_graph_set_meta(mini, BLI_SPELL_HASH, text);
}

bl_status bli_spell_describe(const bl_graph *g, const bl_node *n, uint64_t hash, char **text)
{
    *text = NULL;
    bl_graph *mini;
    BLI_TRY(bl_graph_create(bl_graph_context(g), "quantize", &mini));
    bl_status s = describe(mini, g, n, hash);
    if (s == BL_OK)
        s = bl_graph_print(mini, text);
    bl_graph_destroy(mini);
    return s;
}

static bl_status remember(const job *j, char *text)
{
    size_t size = sizeof BLI_SPELL_KEY + strlen(j->n->name);
    char *key = bli_arena_alloc(j->arena, size);
    if (!key)
        return BL_NO_MEMORY;
    snprintf(key, size, "%s%s", BLI_SPELL_KEY, j->n->name);
    return bl_graph_set_meta(j->g, key, text);
}

/* ---- parameters --------------------------------------------------------------------------------------------- */

static int weight_words(bli_chain *c, int x, const void *arg)
{
    return bli_spell_weight(c, x, arg);
}

/* The node's output becomes what the chain made, under its old name; metadata may bring the node back. */
static bl_status replace_node(job *j, int made, bool restorable)
{
    const char *node_name = j->n->name, *value_name = bl_graph_value(j->g, j->n->outputs[0])->name;
    int old = j->n->outputs[0], x = j->n->inputs[0];
    char *text = NULL;
    if (restorable) {
        BLI_TRY(bli_spell_describe(j->g, j->n, bli_spell_hash(j->g, x, made), &text));
        bl_status s = remember(j, text);
        bl_text_free(j->ctx, text);
        BLI_TRY(s);
    }
    bli_graph_replace_uses(j->g, old, made);
    bli_graph_remove_node(j->g, j->node);
    if (made == x)
        return BL_OK;
    BLI_TRY(bli_graph_rename_value(j->g, made, value_name));
    return bli_graph_rename_node(j->g, bl_graph_value(j->g, made)->producer, node_name);
}

/* Whether quantizing y, now stored in place of x, gives y. */
static bl_status stays(job *j, const bl_tensor *y, bool *same)
{
    bl_tensor again;
    BLI_TRY(bli_eval_node(j->g, j->node, &again));
    *same = bli_spell_same(y, &again);
    bl_tensor_free(j->ctx, &again);
    return BL_OK;
}

static bl_status spell_stored(job *j, const bl_tensor *y)
{
    bool same = false;
    bl_tensor theirs = {.data = NULL};
    int x = j->n->inputs[0], made = x;
    BLI_TRY(bli_graph_set_tensor(j->g, x, y));
    BLI_TRY(stays(j, y, &same));
    if (j->has_words && !j->spelling.bits)
        BLI_TRY(bli_spell_evaluate(j->ctx, y, weight_words, &j->spelling, &theirs));
    bool words = theirs.data && bli_spell_same(y, &theirs);
    bl_tensor_free(j->ctx, &theirs);
    if (words) {
        bli_chain c = {.g = j->g, .base = j->n->name, .anchor = j->node, .shape = y->shape};
        made = bli_spell_weight(&c, x, &j->spelling);
        BLI_TRY(c.status);
    }
    return replace_node(j, made, same);
}

static bl_status spell_parameter(job *j)
{
    bl_tensor y;
    int x = j->n->inputs[0], out = j->n->outputs[0];
    BLI_TRY(bli_eval_node(j->g, j->node, &y));
    bl_status s;
    if (bli_graph_num_uses(j->g, x) == 1 && !bli_graph_is_output(j->g, out)) {
        s = spell_stored(j, &y);
    } else { /* others read x as it is: the result is a constant of its own */
        bli_graph_remove_node(j->g, j->node);
        s = bl_graph_value(j->g, out)->name ? bli_graph_make_tensor(j->g, out, BL_ROLE_CONSTANT, "", &y) : BL_OK;
    }
    bl_tensor_free(j->ctx, &y);
    return s;
}

/* ---- activations -------------------------------------------------------------------------------------------- */

static int activation_words(bli_chain *c, int x, const void *arg)
{
    const char *why;
    const bli_spelling *s = arg;
    int y = bli_spell_activation(c, x, s, &why);
    return s->gain != 0 ? bli_chain_node(c, "alpha", "Mul", y, bli_chain_number(c, "gain", s->gain), -1) : y;
}

/* DoReFa's quantize_k multiplies by its levels, which rounds otherwise than dividing by the step. */
static int dorefa_words(bli_chain *c, int x, const void *arg)
{
    const bli_spelling *s = arg;
    double levels = ldexp(1, s->format.bits) - 1;
    int least = bli_chain_number(c, "least", 0), most = bli_chain_number(c, "most", 1);
    int t = bli_chain_node(c, "clipped", "Clip", x, least, most);
    t = bli_chain_node(c, "scaled", "Mul", t, bli_chain_number(c, "levels", levels), -1);
    t = bli_chain_node(c, "code", "Round", t, -1, -1);
    return bli_chain_node(c, "quant", "Mul", t, bli_chain_number(c, "step", (double)s->step[0]), -1);
}

/* The spelling holds for each of its scales (of many, the first and last few are tried). */
static bl_status probe_all(job *j, bli_spell_fn words, bool exactly, bool *same)
{
    enum { FEW = 4 };
    bl_tensor scale = input_tensor(j, 1);
    int64_t scales = scale.data ? bl_shape_count(&scale.shape) : 0;
    *same = true;
    for (int64_t i = 0; i < j->spelling.steps && *same; i++) {
        if (i >= FEW && i < j->spelling.steps - FEW)
            continue;
        bli_spelling one = j->spelling;
        one.shape = (bl_shape){.rank = 0};
        one.step = j->spelling.step + i;
        bl_tensor its = scale;
        if (scale.data) {
            its.shape = (bl_shape){1, {1}};
            its.data = (char *)scale.data + (scales > 1 ? (size_t)i : 0) * bl_dtype_size(scale.type);
        }
        BLI_TRY(bli_spell_probe(j->ctx, j->n, j->spec, &its, &one, words, exactly, same));
    }
    return BL_OK;
}

static bl_status emit(job *j, bli_spell_fn words)
{
    bli_chain c = {.g = j->g, .base = j->n->name, .anchor = j->node, .shape = j->x->shape};
    int made = words(&c, j->n->inputs[0], &j->spelling);
    BLI_TRY(c.status);
    return replace_node(j, made, true);
}

static bool marked(const job *j)
{
    size_t size = sizeof BLI_SPELL_MARK + strlen(j->n->name);
    char *key = bli_arena_alloc(j->arena, size);
    if (!key)
        return false;
    snprintf(key, size, "%s%s", BLI_SPELL_MARK, j->n->name);
    return bl_graph_meta(j->g, key) != NULL;
}

static bl_status refuse_because(const job *j, const char *why)
{
    char format[80] = "";
    if (j->spec->has_format)
        bl_format_print(&j->spec->format, format, sizeof format);
    return bli_fail(j->ctx, BL_UNSUPPORTED,
                    "quantizer %s %s of activations cannot be written in standard operators: %s",
                    j->spec->quantizer->name, format,
                    why ? why : "none of them gives the same values; saturating fixed<W,I> and int<W> can be written");
}

static bl_status refuse(const job *j, const char *otherwise)
{
    const char *why = NULL;
    if (j->spec->has_format) { /* ask again, on a graph of no importance, for what is missing */
        bl_graph *g;
        BLI_TRY(bl_graph_create(j->ctx, "", &g));
        bli_chain c = {.g = g, .base = "", .anchor = -1};
        (void)bli_spell_activation(&c, -1, &j->spelling, &why);
        bl_graph_destroy(g);
    }
    return refuse_because(j, why ? why : otherwise);
}

static bl_status spell_blocks(job *j)
{
    bool same = false;
    const char *why = NULL;
    const int axis = j->spec->axis < 0 ? j->spec->axis + j->x->shape.rank : j->spec->axis;
    const bli_blocks b = {.format = j->spec->format, .shape = j->x->shape, .axis = axis};
    if (j->spec->scale != 1)
        return refuse_because(j, "it has a scale beside those of its blocks; leave that scale at 1");
    BLI_TRY(bli_spell_probe_blocks(j->ctx, j->n, j->spec, &b, &same));
    if (!same)
        return refuse_because(j, NULL);
    bli_chain c = {.g = j->g, .base = j->n->name, .anchor = j->node};
    int made = bli_spell_blocks(&c, j->n->inputs[0], &b, &why);
    BLI_TRY(c.status);
    return made < 0 ? refuse_because(j, why) : replace_node(j, made, true);
}

/* The last resort: a table of the quantizer's steps. */
static bl_status spell_stairs(job *j)
{
    bli_stairs stairs = {.count = 0};
    const bl_tensor scale = input_tensor(j, 1);
    if (j->spelling.steps != 1)
        return refuse(j, "a table of its values goes with one scale; use granularity tensor");
    BLI_TRY(bli_spell_find_stairs(j->ctx, j->n, j->spec, &scale, &j->x->shape, j->arena, &stairs));
    if (stairs.count == 0)
        return refuse(j, NULL);
    bli_chain c = {.g = j->g, .base = j->n->name, .anchor = j->node};
    int made = bli_spell_stairs(&c, j->n->inputs[0], &stairs);
    BLI_TRY(c.status);
    return replace_node(j, made, true);
}

/* A staircase along a line of slope `slope`: the stairs of x are wider than those of y. */
static bl_status spell_squash(job *j)
{
    bool same = false;
    bli_squash words = {.known = j->known, .spelling = j->spelling};
    float step = (float)((double)j->spelling.step[0] / j->known.slope / (j->known.format.is_signed ? 2 : 1));
    words.spelling.step = &step;
    bl_tensor none = {.data = NULL};
    BLI_TRY(bli_spell_probe(j->ctx, j->n, j->spec, &none, &words.spelling, bli_spell_squash, false, &same));
    if (!same)
        return spell_stairs(j);
    bli_chain c = {.g = j->g, .base = j->n->name, .anchor = j->node, .shape = j->x->shape};
    int made = bli_spell_squash(&c, j->n->inputs[0], &words);
    BLI_TRY(c.status);
    return replace_node(j, made, true);
}

static bl_status spell_activation(job *j)
{
    bool same = false, exactly = marked(j);
    bli_spell_fn words = activation_words;
    if (j->spec->has_format && j->spec->format.kind == BL_FORMAT_MX)
        return spell_blocks(j);
    if (strcmp(j->spec->quantizer->name, "dorefa") == 0) {
        words = dorefa_words;
        j->spelling.format = (bl_format){.kind = BL_FORMAT_INT, .bits = (int)bl_node_int(j->n, "bits", 8)};
    } else if (!j->has_words) {
        return spell_stairs(j);
    } else if (j->known.slope > 0) {
        return spell_squash(j);
    } else if (j->known.alpha && j->spelling.step[0] != (float)j->known.unit && !j->spec->has_format) {
        j->spelling.gain = (double)j->spelling.step[0] / j->known.unit; /* alpha comes after the grid, not with it */
        *j->step = (float)j->known.unit;
    }
    if (j->spec->has_format && j->spec->format.kind == BL_FORMAT_FLOAT32) { /* as it is */
        BLI_TRY(bli_graph_set_attrs(j->g, j->node, NULL, 0));
        return bli_graph_set_type(j->g, j->node, "Identity", BLI_DOMAIN_ONNX);
    }
    if (j->spelling.bits) { /* derived, not tried: every width would be a case of its own */
        const char *why;
        bli_chain c = {.g = j->g, .base = j->n->name, .anchor = j->node, .shape = j->x->shape};
        int made = bli_spell_activation(&c, j->n->inputs[0], &j->spelling, &why);
        BLI_TRY(c.status);
        return made < 0 ? refuse(j, NULL) : replace_node(j, made, true);
    }
    for (int grid = exactly ? 1 : 0; grid >= 0; grid--) {
        j->spelling.near_ties_exact = grid != 0;
        BLI_TRY(probe_all(j, words, grid != 0, &same));
        if (same)
            return emit(j, words);
    }
    return spell_stairs(j);
}

/* ---- the pass ----------------------------------------------------------------------------------------------- */

static bl_status check_inputs(const job *j)
{
    for (int i = 1; i < j->n->num_inputs; i++)
        if (j->n->inputs[i] >= 0 && !bl_graph_value(j->g, j->n->inputs[i])->data)
            return bli_fail(j->ctx, BL_UNSUPPORTED,
                            "input %d is computed; only a stored scale can be written: a parameter or a constant", i);
    if (j->x->type != BL_F32)
        return bli_fail(j->ctx, BL_UNSUPPORTED, "its values are %s, only F32 can be written",
                        bl_dtype_name(j->x->type));
    return BL_OK;
}

static bl_status spell_node(job *j)
{
    bool batched = j->x->shape.rank > 0 && j->x->shape.dim[0] < 0;
    BLI_TRY(check_inputs(j));
    BLI_TRY(bli_quant_spec_parse(j->ctx, j->n, batched, j->arena, &j->spec));
    BLI_TRY(resolve(j));
    BLI_TRY(resolve_bits(j));
    return j->x->data ? spell_parameter(j) : spell_activation(j);
}

static bl_status spell_one(bl_graph *g, int node)
{
    job j = {.g = g, .ctx = bl_graph_context(g), .node = node, .n = bl_graph_node(g, node)};
    const char *name = j.n->name;
    j.x = bl_graph_value(g, j.n->inputs[0]);
    BLI_TRY(bli_arena_create(j.ctx, &j.arena));
    bl_status s = bli_within(j.ctx, spell_node(&j), "node '%s'", name);
    bli_arena_destroy(j.arena);
    return s;
}

static bl_status drop_marks(bl_graph *g)
{
    for (int i = bl_graph_num_meta(g) - 1; i >= 0; i--) {
        const char *key, *value;
        bl_graph_meta_at(g, i, &key, &value);
        if (strncmp(key, BLI_SPELL_MARK, sizeof BLI_SPELL_MARK - 1) == 0)
            BLI_TRY(bl_graph_set_meta(g, key, NULL));
    }
    return BL_OK;
}

bl_status bli_pass_spell_quant(bl_graph *g)
{
    BLI_TRY(bl_graph_infer(g));
    int count = bl_graph_num_nodes(g);
    for (int i = 0; i < count; i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (n->type && strcmp(n->type, "Quantize") == 0 && strcmp(n->domain, BLI_DOMAIN_OWN) == 0)
            BLI_TRY(spell_one(g, i));
    }
    BLI_TRY(drop_marks(g));
    BLI_TRY(bli_graph_clean(g));
    return bl_graph_infer(g);
}
