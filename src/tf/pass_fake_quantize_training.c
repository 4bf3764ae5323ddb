/* pass_fake_quantize_training.c: every input of MatMul and Conv2D through FakeQuantWithMinMaxVars, for training.
 *
 * Its range is known behind Relu6, Sigmoid and Tanh; elsewhere two variables hold moving averages of the extremes, as
 * nodes of the table below.  Not for graphs with a saver, which would have to learn of the variables.  The original
 * takes output 0 of whatever node is read; where defects are mended, each output has its own, and layers that are not
 * float stay.
 */
#include <string.h>

#include "tf/opdef.h"
#include "tf/transform.h"

enum { BITS = 8, UNKNOWN_INPUTS = 2, CHAIN = 10000 };

/* What an input's range is known to be. */
typedef struct range {
    bool given, known; /* known: not some input of the model */
    float min, max;
} range;

typedef struct training {
    const bli_tg_job *job;
    const bli_tf_graph *in;
    bli_tf_index ix;
    bli_tf_graph *out;
    const char **quantized; /* of node i's output 0: the node that quantizes it, or NULL */
    size_t unknown;
} training;

/* ---- ranges ---------------------------------------------------------------------------------------------------- */
static range range_behind(const training *w, const bli_tf_node *n)
{
    static const struct {
        const char *op;
        range range;
    } rows[] = {
        {"Const", {false, true, 0, 0}}, {"Variable", {false, true, 0, 0}}, {"VariableV2", {false, true, 0, 0}},
        {"Relu", {false, true, 0, 0}},  {"Relu6", {true, true, 0, 6}},     {"Sigmoid", {true, true, 0, 1}},
        {"Tanh", {true, true, -1, 1}},
    };
    bool passed = false;
    for (size_t hop = 0; n && hop < CHAIN; hop++) {
        for (size_t i = 0; i < BLI_COUNT(rows); i++)
            if (strcmp(rows[i].op, n->op) == 0)
                return rows[i].range;
        if (!bli_tg_op_is(n->op, "Reshape|ConcatV2|Identity|MaxPool|AvgPool|MaxPool3D|AvgPool3D") || n->num_inputs == 0)
            break;
        passed = true;
        n = bli_tf_index_input(&w->ix, n->inputs[0]);
    }
    return (range){.known = passed};
}

/* ---- nodes ------------------------------------------------------------------------------------------------------
 *
 * In texts of the table, @ is the name of what is quantized, * the same as an input, and $ the extreme, "@/Min". */
typedef struct made {
    const char *op, *name, *inputs[3];
    const char *type; /* its attribute that is set to float */
    float value;      /* of a Const */
} made;

static const made averages[] = {
    {"Const", "@/Decay", {NULL}, "dtype", 0.999f},
    {"Const", "@/ReductionAxes/RangeStart", {NULL}, NULL, 0},
    {"Const", "@/ReductionAxes/RangeDelta", {NULL}, NULL, 1},
    {"Rank", "@/ReductionAxes/InputRank", {"*"}, "T", 0},
    {"Range",
     "@/ReductionAxes/ReductionAxes",
     {"@/ReductionAxes/RangeStart", "@/ReductionAxes/InputRank", "@/ReductionAxes/RangeDelta"},
     NULL,
     0},
    {"Min", "@/Min", {"*", "@/ReductionAxes/ReductionAxes"}, "T", 0},
    {"Max", "@/Max", {"*", "@/ReductionAxes/ReductionAxes"}, "T", 0},
};
static const made variable[] = {
    {"VariableV2", "$/Variable", {NULL}, "dtype", 0},
    {"IsVariableInitialized", "$/IsInitialized", {"$/Variable"}, "dtype", 0},
    {"Switch", "$/Switch", {"$", "$/IsInitialized"}, "T", 0},
    {"Const", "$/EMA/OneConst", {NULL}, "dtype", 1},
    {"Sub", "$/EMA/DecayComplement", {"$/EMA/OneConst", "@/Decay"}, "T", 0},
    {"Sub", "$/EMA/ValueDiff", {"$/Variable", "$/Switch:1"}, "T", 0},
    {"Mul", "$/EMA/UpdateValue", {"$/EMA/ValueDiff", "$/EMA/DecayComplement"}, "T", 0},
    {"Sub", "$/EMA/EMAValue", {"$/Variable", "$/EMA/UpdateValue"}, "T", 0},
    {"Merge", "$/Merge", {"$/Switch", "$/EMA/EMAValue"}, "T", 0},
    {"Assign", "$/AssignValue", {"$/Variable", "$/Merge"}, "T", 0},
};
static const char quantizer[] = "FakeQuantWithMinMaxVars";

typedef struct names {
    const char *quantized, *input, *extreme;
} names;

static char *expand(bli_tf_store *s, const char *text, const names *n)
{
    switch (text[0]) {
    case '@':
        return bli_tf_text(s, "%s%s", n->quantized, text + 1);
    case '*':
        return bli_tf_text(s, "%s", n->input);
    default:
        return bli_tf_text(s, "%s/%s%s", n->quantized, n->extreme, text + 1);
    }
}

static bl_status set_const(bli_tf_store *s, bli_tf_node *n, const made *m)
{
    const int32_t whole = (int32_t)m->value;
    if (m->type)
        return bli_tf_node_set(s, n, "value", bli_tf_value_tensor(s, BLI_DT_FLOAT, 0, NULL, &m->value, NULL));
    BLI_TRY(bli_tg_set_type(s, n, "dtype", BLI_DT_INT32));
    return bli_tf_node_set(s, n, "value", bli_tf_value_tensor(s, BLI_DT_INT32, 0, NULL, &whole, NULL));
}

static bl_status fill(const training *w, bli_tf_node *n)
{
    const bli_tf_opdef *def;
    BLI_TRY(bli_tf_opdef_of(w->in, n, &def));
    return def ? bli_tf_opdef_fill(w->job->store, def, n) : BL_OK;
}

static bl_status make(const training *w, const made *m, const names *of)
{
    bli_tf_store *s = w->job->store;
    const char *inputs[4] = {NULL};
    char *name = expand(s, m->name, of);
    bli_tf_node *n;
    for (int i = 0; i < 3 && m->inputs[i]; i++)
        if (!(inputs[i] = expand(s, m->inputs[i], of)))
            return BL_NO_MEMORY;
    if (!name)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(w->out, m->op, name, inputs, &n));
    if (m->type)
        BLI_TRY(bli_tg_set_type(s, n, m->type, BLI_DT_FLOAT));
    if (strcmp(m->op, "Const") == 0)
        BLI_TRY(set_const(s, n, m));
    if (strcmp(m->op, "VariableV2") == 0)
        BLI_TRY(bli_tf_node_set(s, n, "shape", bli_tf_value_shape(s, 0, NULL)));
    if (strcmp(m->op, "Merge") == 0)
        BLI_TRY(bli_tf_node_set(s, n, "N", bli_tf_value_int(s, 2)));
    return fill(w, n);
}

static bl_status make_range(const training *w, const range *r, const names *n)
{
    const made given[] = {{"Const", "@/InputMin", {NULL}, "dtype", r->min},
                          {"Const", "@/InputMax", {NULL}, "dtype", r->max}};
    for (size_t i = 0; r->given && i < BLI_COUNT(given); i++)
        BLI_TRY(make(w, &given[i], n));
    for (size_t i = 0; !r->given && i < BLI_COUNT(averages); i++)
        BLI_TRY(make(w, &averages[i], n));
    for (int k = 0; !r->given && k < 2; k++) {
        const names of = {n->quantized, n->input, k ? "Max" : "Min"};
        for (size_t i = 0; i < BLI_COUNT(variable); i++)
            BLI_TRY(make(w, &variable[i], &of));
    }
    return BL_OK;
}

static bl_status make_quantizer(const training *w, const range *r, const names *n)
{
    const char *const end = r->given ? "Input" : "", *const value = r->given ? "" : "/AssignValue";
    bli_tf_store *s = w->job->store;
    bli_tf_node *q;
    BLI_TRY(make_range(w, r, n));
    const char *const name = bli_tf_text(s, "%s/%s", n->quantized, quantizer);
    const char *const min = bli_tf_text(s, "%s/%sMin%s", n->quantized, end, value);
    const char *const max = bli_tf_text(s, "%s/%sMax%s", n->quantized, end, value);
    if (!name || !min || !max)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tg_add_node(w->out, quantizer, name, (const char *[]){n->input, min, max, NULL}, &q));
    BLI_TRY(bli_tf_node_set(s, q, "num_bits", bli_tf_value_int(s, BITS)));
    return fill(w, q);
}

/* ---- the pass -------------------------------------------------------------------------------------------------- */
static bool stands_in(const bli_tf_graph *g, size_t from, const char *name)
{
    for (size_t i = from; i < g->num_nodes; i++)
        if (strcmp(g->nodes[i]->name, name) == 0)
            return true;
    return false;
}

/* Input k of a layer; nodes that are there already are taken again. */
static bl_status quantize_input(training *w, bli_tf_node *layer, size_t k)
{
    bli_tf_store *s = w->job->store;
    const bli_tf_ref ref = bli_tf_ref_parse(layer->inputs[k]);
    const bli_tf_node *from = bli_tf_index_input(&w->ix, layer->inputs[k]);
    const range r = range_behind(w, from);
    names n = {from->name, from->name, NULL};
    if (!r.known && ++w->unknown > UNKNOWN_INPUTS)
        return bli_fail(
            w->job->ctx, BL_UNSUPPORTED,
            "node '%s' (%s) is read by '%s': more than %d inputs of layers come from operators of which nothing is "
            "known; expected inputs of the model, constants, activations and what hands them on",
            from->name, from->op, layer->name, UNKNOWN_INPUTS);
    if (!w->job->compat && ref.port > 0) {
        n.input = layer->inputs[k];
        n.quantized = bli_tf_text(s, "%s__port__%d", from->name, ref.port);
    }
    const char *name = n.quantized ? bli_tf_text(s, "%s/%s", n.quantized, quantizer) : NULL;
    const char **first = n.input == from->name ? &w->quantized[bli_tf_index_find(&w->ix, ref.name, ref.size)] : NULL;
    if (!name)
        return BL_NO_MEMORY;
    if (first ? !*first : !stands_in(w->out, w->in->num_nodes, name))
        BLI_TRY(make_quantizer(w, &r, &n));
    if (first)
        *first = name;
    return bli_tf_node_set_input(s, layer, k, name);
}

static bl_status quantize_layer(training *w, bli_tf_node *layer)
{
    int dtype;
    BLI_TRY(bli_tf_get_type(w->job->ctx, layer, "T", &dtype));
    if (dtype != BLI_DT_FLOAT && !w->job->compat)
        return BL_OK;
    if (dtype != BLI_DT_FLOAT)
        return bli_fail(w->job->ctx, BL_BAD_MODEL, "node '%s' (%s): attribute 'T' is %s; expected float", layer->name,
                        layer->op, bli_tf_dtype_name(dtype));
    for (size_t k = 0; k < layer->num_inputs; k++)
        if (!bli_tg_is_control(layer->inputs[k]))
            BLI_TRY(quantize_input(w, layer, k));
    return BL_OK;
}

static bl_status copy_nodes(const training *w)
{
    for (size_t i = 0; i < w->in->num_nodes; i++) {
        const bli_tf_node *n = w->in->nodes[i];
        if (strcmp(n->op, "SaveV2") == 0)
            return bli_fail(w->job->ctx, BL_UNSUPPORTED,
                            "node '%s' (SaveV2): a graph with a saver; expected none, add it to the result", n->name);
        BLI_TRY(bli_tg_add_copy(w->out, n));
        if (w->job->compat)
            BLI_TRY(fill(w, w->out->nodes[i]));
    }
    return BL_OK;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    training w = {.job = job, .in = in, .out = out};
    BLI_TRY(bli_tg_check_inputs(in));
    w.quantized = bli_tf_alloc_array(job->store, in->num_nodes + 1, sizeof *w.quantized);
    if (!w.quantized)
        return BL_NO_MEMORY;
    BLI_TRY(copy_nodes(&w));
    BLI_TRY(bli_tf_index_make(in, &w.ix));
    bl_status s = BL_OK;
    for (size_t i = 0; i < in->num_nodes && s == BL_OK; i++)
        if (bli_tg_op_is(in->nodes[i]->op, "MatMul|Conv2D") && strncmp(in->nodes[i]->name, "gradients", 9) != 0)
            s = quantize_layer(&w, out->nodes[i]);
    bli_tf_index_free(&w.ix);
    return s;
}

const bli_tg_pass bli_tg_fake_quantize_training = {
    .name = "fake_quantize_training",
    .help = "inputs of MatMul and Conv2D through fake quantization with averaged ranges, for training",
    .ops = "MatMul|Conv2D",
    .extension = true,
    .run = run};
