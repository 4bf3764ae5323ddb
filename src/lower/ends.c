/* ends.c: where real numbers enter and leave the program.
 *
 * Between a graph's input and its quantizer there may be a scale, an offset and operators that only move elements; the
 * quantizer becomes the program's input, and the moves follow it.  At an output operations with constants may be left:
 * they go to the output.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lower/impl.h"
#include "op/infer.h"
#include "op/quantizer.h"

bl_status bli_lower_inputs(bli_lowering *l)
{
    l->entered = bli_arena_array(l->arena, (size_t)bl_graph_num_inputs(l->g) + 1, sizeof *l->entered);
    if (!l->entered)
        return BL_NO_MEMORY;
    for (int v = 0; v < bl_graph_num_values(l->g); v++) {
        l->values[v].at.wire = -1;
        l->values[v].entering.input = -1;
    }
    for (int i = 0; i < bl_graph_num_inputs(l->g); i++) {
        const int v = bl_graph_input(l->g, i);
        const bl_shape row = bli_lower_row(bl_graph_value(l->g, v));
        if (bl_shape_count(&row) < 0)
            return bli_fail(l->ctx, BL_UNSUPPORTED, "input '%s': only the batch may be unknown",
                            bl_graph_value(l->g, v)->name);
        l->values[v].entering = (bli_entering){.input = i, .scale = 1, .shape = row};
    }
    return BL_OK;
}

/* ---- between an input and its quantizer ----------------------------------------------------------------------- */
static bool one_number(const bli_lowering *l, int value, double *out)
{
    const bl_tensor *t = value >= 0 ? &l->known[value] : NULL;
    if (!t || !t->data || bl_shape_count(&t->shape) != 1)
        return false;
    *out = bli_real_at(t->type, t->data, 0);
    return true;
}

/* x * scale + offset, once each and in this order. */
static bool normalises(const bli_lowering *l, const bl_node *n, int slot, bli_entering *e)
{
    double v;
    if (n->num_inputs != 2 || !one_number(l, n->inputs[1 - slot], &v))
        return false;
    if (strcmp(n->type, "Mul") == 0 && !e->scaled && !e->shifted) {
        e->scale = v;
        e->scaled = true;
        return true;
    }
    const bool add = strcmp(n->type, "Add") == 0, sub = strcmp(n->type, "Sub") == 0 && slot == 0;
    if ((!add && !sub) || e->shifted)
        return false;
    e->offset = sub ? -v : v;
    e->shifted = true;
    return true;
}

static bool only_views(const bl_node *n)
{
    const bli_op *op = bli_op_find(n->type, n->domain);
    return op && (op->flags & BLI_OP_VIEW);
}

/* Where each element of a Transpose or Slice comes from in the graph's input. */
static bl_status move(bli_lowering *l, const bl_node *n, bli_entering *e)
{
    const bl_value *x = bl_graph_value(l->g, n->inputs[0]), *y = bl_graph_value(l->g, n->outputs[0]);
    const bli_op *op = bli_op_find(n->type, n->domain);
    bl_shape xs = x->shape, ys = y->shape;
    xs.dim[0] = ys.dim[0] = 1;
    const int64_t nx = bl_shape_count(&xs), ny = bl_shape_count(&ys);
    int64_t *from = bli_arena_array(l->arena, (size_t)nx + 1, sizeof *from);
    int64_t *to = bli_arena_array(l->arena, (size_t)ny + 1, sizeof *to);
    if (!from || !to)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < nx; i++)
        from[i] = e->index ? e->index[i] : i;
    bli_call c = {.ctx = l->ctx, .node = n, .isa = BLI_ISA_GENERIC};
    c.in[0] = (bl_tensor){BL_I64, xs, from};
    c.out[0] = (bl_tensor){BL_I64, ys, to};
    for (int i = 1; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0)
            c.in[i] = l->known[n->inputs[i]];
    BLI_TRY(op->forward(&c));
    e->index = to;
    return BL_OK;
}

/* ---- the quantizer -------------------------------------------------------------------------------------------- */
/* QONNX's Quant and BipolarQuant of one scale and no zero point, where a format of ours gives the same values. */
static bool qonnx_format(const bli_lowering *l, const bl_node *n, bli_input *in)
{
    static const struct {
        const char *word;
        bl_rounding rounding;
    } modes[] = {{"ROUND", BL_RND_CONV}, {"FLOOR", BL_TRN}, {"DOWN", BL_TRN_ZERO}};
    const bool bipolar = strcmp(n->type, "BipolarQuant") == 0, is_signed = bl_node_int(n, "signed", 1) != 0;
    const bool narrow = bl_node_int(n, "narrow", 1) != 0;
    double zero = 0, bits = 1;
    if ((!bipolar && strcmp(n->type, "Quant") != 0 && strcmp(n->type, "IntQuant") != 0) ||
        !one_number(l, n->inputs[1], &in->grid.scale) || !(in->grid.scale > 0))
        return false;
    if (!bipolar && (!one_number(l, n->inputs[2], &zero) || !one_number(l, n->inputs[3], &bits) || zero != 0 ||
                     bits != floor(bits) || bits < 1 || bits > 32 || (narrow && !is_signed)))
        return false;
    in->format = (bl_format){.kind = BL_FORMAT_BINARY, .is_signed = true, .bits = 1};
    if (bipolar || (bits == 1 && is_signed))
        return bl_format_parse(l->ctx, "binary", &in->format) == BL_OK;
    in->format = (bl_format){
        .kind = BL_FORMAT_INT, .is_signed = is_signed, .bits = (int)bits, .overflow = narrow ? BL_SAT_SYM : BL_SAT};
    for (size_t i = 0; i < BLI_COUNT(modes); i++)
        if (strcmp(bl_node_string(n, "rounding_mode", "ROUND"), modes[i].word) == 0) {
            in->format.rounding = modes[i].rounding;
            return true;
        }
    return false;
}

static bool is_quantizer(const bl_node *n)
{
    return strcmp(n->type, "Quantize") == 0 || strstr(n->type, "Quant") != NULL;
}

/* The node as format and grid; false: not one that an input can have. */
static bl_status input_format(bli_lowering *l, const bl_node *n, bli_input *in, bool *ok)
{
    bli_quant_spec *s;
    in->grid = (bl_grid){1, 0};
    *ok = strcmp(n->type, "Quantize") != 0 && qonnx_format(l, n, in);
    if (strcmp(n->type, "Quantize") != 0)
        return BL_OK;
    BLI_TRY(bli_quant_spec_parse(l->ctx, n, true, l->arena, &s));
    const char *q = s->quantizer->name;
    if (!s->has_format || (strcmp(q, "ste") != 0 && strcmp(q, "lsq") != 0) || (n->num_inputs > 2 && n->inputs[2] >= 0))
        return BL_OK;
    in->format = s->format;
    in->grid = (bl_grid){s->scale, s->zero_point};
    if (bli_quant_needs_scale(s)) {
        if (n->num_inputs < 2 || !one_number(l, n->inputs[1], &in->grid.scale) ||
            s->scale_rule == BLI_SCALE_LEARNED_PO2)
            return BL_OK;
        in->grid.scale = in->grid.scale > 0x1p-60 ? fmin(in->grid.scale, 0x1p60) : 0x1p-60;
    }
    *ok = true;
    return BL_OK;
}

static bool real_scale(const bli_input *in)
{
    int e;
    return frexp(in->grid.scale, &e) != 0.5;
}

/* Codes with a zero point become codes without; minifloats and powers of two become integers through a table. */
static bl_status plain_codes(bli_lowering *l, bli_lower_call *c, const bli_input *in, int exp, int *wire)
{
    const int64_t one = 1, zero = -in->grid.zero_point;
    const bli_prim_op shift = {
        .kind = BLI_PRIM_AFFINE, .num_in = 1, .in = {*wire}, .channels = 1, .weight = &one, .bias = &zero};
    if (zero != 0)
        return bli_lower_add(c, &shift, "zero", NULL, bli_builder_wire(l->b, *wire)->exp, wire);
    if (in->format.kind != BL_FORMAT_PO2 && in->format.kind != BL_FORMAT_FLOAT)
        return BL_OK;
    if (in->format.bits > 16)
        return bli_fail(l->ctx, BL_UNSUPPORTED, "a format of %d bits takes too large a table; at most 16",
                        in->format.bits);
    const int64_t n = (int64_t)1 << in->format.bits;
    int64_t *table = bli_lower_numbers(c, n, 0);
    bl_format saturates = in->format;
    if (!table)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        double v;
        if (bl_decode(l->ctx, &saturates, &in->grid, &i, &v, 1) != BL_OK || !isfinite(v))
            v = 0; /* a pattern that quantizing never gives */
        const double code = ldexp(v, -exp);
        if (code != floor(code) || fabs(code) >= 0x1p62)
            return bli_fail(l->ctx, BL_LIMIT, "the format's values span more than 62 bits");
        table[i] = (int64_t)code;
    }
    const bli_prim_op op = {
        .kind = BLI_PRIM_TABLE, .num_in = 1, .in = {*wire}, .channels = 1, .length = n, .table = table};
    return bli_lower_add(c, &op, "value", NULL, exp, wire);
}

static bl_status place(bli_lowering *l, bli_lower_call *c, const bli_entering *e, int *wire)
{
    const bl_shape row = bli_lower_row(c->out[0]);
    const bli_wire *w = bli_builder_wire(l->b, *wire);
    bli_prim_op op = {.kind = e->index ? BLI_PRIM_GATHER : BLI_PRIM_RESHAPE, .num_in = 1, .in = {*wire}};
    op.index = e->index;
    if (!e->index && bl_shape_equal(&row, &w->shape))
        return BL_OK;
    return bli_lower_add(c, &op, "placed", &row, w->exp, wire);
}

/* The codes' real scale, one multiplication as the quantizer does it. */
static bl_status scale_chain(bli_lowering *l, const bli_input *in, bli_lowered *x)
{
    static const bl_node times = {.name = "input", .type = "Mul", .domain = "", .num_inputs = 2, .num_outputs = 1};
    const double unit = in->format.kind == BL_FORMAT_FIXED ? bl_format_step(&in->format) : 1;
    bli_chain *chain = bli_arena_alloc(l->arena, sizeof *chain);
    double *scale = bli_arena_alloc(l->arena, sizeof *scale);
    if (!chain || !scale || !(chain->direction = bli_arena_alloc(l->arena, 1)))
        return BL_NO_MEMORY;
    *scale = in->grid.scale * unit;
    chain->count = 1;
    chain->groups = chain->direction[0] = 1;
    chain->links[0] = (bli_link){.node = &times};
    chain->links[0].in[1] = (bl_tensor){BL_F64, {1, {1}}, scale};
    x->chain = chain;
    return BL_OK;
}

static bl_status enter(bli_lowering *l, const bl_node *n, const bli_entering *e)
{
    const int value = bl_graph_input(l->g, e->input), y = n->outputs[0];
    const bl_value *v = bl_graph_value(l->g, value);
    bli_state *to = &l->values[y];
    bli_input in = {.name = v->name, .scale = e->scale, .offset = e->offset, .wide = l->real == BL_F64};
    bool ok;
    bli_lower_call c = {.ctx = l->ctx, .arena = l->arena, .b = l->b, .graph = l->g, .node = n};
    c.name = bl_graph_value(l->g, y)->name;
    c.layer = v->name;
    c.out[0] = bl_graph_value(l->g, y);
    BLI_TRY(input_format(l, n, &in, &ok));
    if (!ok)
        return bli_fail(l->ctx, BL_UNSUPPORTED,
                        "the input's quantizer must be a format with one scale (quantizer ste or lsq)");
    if (l->entered[e->input])
        return bli_fail(l->ctx, BL_UNSUPPORTED, "input '%s' has two quantizers; put one in front of both", v->name);
    l->entered[e->input] = true;
    BLI_TRY(bli_builder_input(l->b, &in, c.layer, &e->shape, &to->at.wire));
    if (real_scale(&in) && in.format.kind != BL_FORMAT_FIXED && in.format.kind != BL_FORMAT_INT &&
        in.format.kind != BL_FORMAT_AFFINE && in.format.kind != BL_FORMAT_BINARY && in.format.kind != BL_FORMAT_TERNARY)
        return bli_fail(l->ctx, BL_UNSUPPORTED, "this format with a scale that is no power of two");
    BLI_TRY(plain_codes(l, &c, &in, l->ranges[y].step_exp, &to->at.wire));
    BLI_TRY(place(l, &c, e, &to->at.wire));
    to->coded = real_scale(&in);
    return to->coded ? scale_chain(l, &in, &to->at) : BL_OK;
}

bl_status bli_lower_entering(bli_lowering *l, int node, bool *done)
{
    const bl_node *n = bl_graph_node(l->g, node);
    *done = false;
    for (int slot = 0; slot < n->num_inputs; slot++) {
        const bli_state *x = n->inputs[slot] < 0 ? NULL : &l->values[n->inputs[slot]];
        if (!x || x->entering.input < 0)
            continue;
        *done = true;
        bli_entering e = x->entering;
        if (strcmp(n->type, "Transpose") == 0 || strcmp(n->type, "Slice") == 0)
            BLI_TRY(move(l, n, &e));
        else if (!only_views(n) && !normalises(l, n, slot, &e)) {
            if (is_quantizer(n) && slot == 0)
                return enter(l, n, &e);
            return bli_fail(l->ctx, BL_UNSUPPORTED, "it reads the real numbers of input '%s'; give the input a format",
                            bl_graph_value(l->g, bl_graph_input(l->g, e.input))->name);
        }
        l->values[n->outputs[0]].entering = e;
        return BL_OK;
    }
    return BL_OK;
}

/* ---- outputs -------------------------------------------------------------------------------------------------- */
/* The constant of input `slot` of a link, one for each group, as the carrier holds it. */
static bl_status numbers_of(bli_lowering *l, const bli_link *link, int slot, int64_t n, const double **out)
{
    const bl_tensor *t = &link->in[slot];
    const int64_t count = t->data ? bl_shape_count(&t->shape) : 0;
    double *v = bli_arena_array(l->arena, (size_t)n + 1, sizeof *v);
    *out = v;
    if (!v)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n && count > 0; i++) {
        v[i] = bli_real_at(t->type, t->data, count == 1 ? 0 : (size_t)i);
        v[i] = l->real == BL_F64 ? v[i] : (double)(float)v[i];
    }
    return BL_OK;
}

/* A link as operations with a constant: which, and the slots of their constants; false: it is none. */
static bool operations(const bli_link *link, char op[2], int slot[2], int *count)
{
    static const struct {
        const char *type;
        char op;
        bool either; /* the chain may be the second operand */
    } known[] = {{"Add", '+', true}, {"Sub", '-', false}, {"Mul", '*', true}, {"Div", '/', false}};
    const char *type = link->node->type;
    if (strcmp(type, "Affine") == 0) {
        op[0] = '*';
        op[1] = '+';
        slot[0] = 1;
        slot[1] = 2;
        *count = link->in[2].data ? 2 : 1;
        return true;
    }
    for (size_t i = 0; i < BLI_COUNT(known); i++)
        if (strcmp(known[i].type, type) == 0 && (known[i].either || link->slot == 0)) {
            op[0] = known[i].op;
            slot[0] = 1 - link->slot;
            *count = 1;
            return true;
        }
    return false;
}

/* Its operations behind those that are there; *ok false: too many, or none of ours. */
static bl_status add_operations(bli_lowering *l, const bli_link *link, int64_t n, bli_output *o, bool *ok)
{
    char op[2];
    int slot[2], count = 0;
    *ok = operations(link, op, slot, &count) && o->num_steps + count <= BLI_OUTPUT_STEPS;
    for (int k = 0; *ok && k < count; k++) {
        bli_output_step *step = &o->steps[o->num_steps++];
        step->op = op[k];
        BLI_TRY(numbers_of(l, link, slot[k], n, &step->number));
        for (int64_t i = 0; i < n; i++)
            *ok = *ok && isfinite(step->number[i]) && (op[k] != '/' || step->number[i] != 0);
    }
    return BL_OK;
}

static void drop_step(bli_output *o)
{
    memmove(o->steps, o->steps + 1, (size_t)(o->num_steps - 1) * sizeof *o->steps);
    o->num_steps--;
}

/* A chain of operations with constants, each one operation of the carrier.  A first product is the scale, and a sum
 * behind it the offset. */
static bl_status tail(bli_lowering *l, const bli_lowered *x, bli_output *o, bool *ok)
{
    const bli_chain *chain = x->chain;
    const int exp = bli_builder_wire(l->b, x->wire)->exp;
    const bl_shape row = bli_builder_wire(l->b, x->wire)->shape;
    const int64_t n = chain->groups;
    double *scale = bli_arena_array(l->arena, (size_t)n + 1, sizeof *scale);
    if (!scale)
        return BL_NO_MEMORY;
    *ok = n == 1 || n == row.dim[row.rank - 1];
    for (int i = 0; *ok && i < chain->count; i++)
        BLI_TRY(add_operations(l, &chain->links[i], n, o, ok));
    if (!*ok) {
        o->num_steps = 0;
        return BL_OK;
    }
    const bool scaled = o->num_steps > 0 && o->steps[0].op == '*';
    for (int64_t i = 0; i < n; i++)
        scale[i] = ldexp(scaled ? o->steps[0].number[i] : 1, exp);
    if (scaled)
        drop_step(o);
    if (o->num_steps > 0 && o->steps[0].op == '+') {
        o->offset = o->steps[0].number;
        drop_step(o);
    }
    o->scale = scale;
    o->channels = n;
    return BL_OK;
}

/* A quantizer with a real scale at the end: its codes are there, beside it. */
static bl_status coded_output(bli_lowering *l, int value, bli_output *o, bool *ok)
{
    *ok = false;
    for (int u = 0; u < bl_graph_num_nodes(l->g); u++) {
        const bl_node *n = bl_graph_node(l->g, u);
        const bli_lowered *codes = &l->values[n->outputs[0]].at;
        if (strcmp(n->type, "Codes") != 0 || n->inputs[0] != value || codes->wire < 0 || codes->chain)
            continue;
        const bl_tensor *step = &l->known[n->inputs[1]];
        o->channels = bl_shape_count(&step->shape);
        double *scale = bli_arena_array(l->arena, (size_t)o->channels + 1, sizeof *scale);
        if (!scale)
            return BL_NO_MEMORY;
        for (int64_t i = 0; i < o->channels; i++)
            scale[i] = ldexp(bli_real_at(step->type, step->data, (size_t)i), bli_builder_wire(l->b, codes->wire)->exp);
        o->wire = codes->wire;
        o->scale = scale;
        *ok = true;
        return BL_OK;
    }
    return BL_OK;
}

static bl_status lower_output(bli_lowering *l, int value)
{
    const bl_value *v = bl_graph_value(l->g, value);
    const bli_state *s = &l->values[value];
    bli_output o = {.wire = s->at.wire, .name = v->name, .wide = l->real == BL_F64, .cut = l->cut};
    bool ok = true;
    if (s->at.wire < 0)
        return bli_fail(l->ctx, BL_UNSUPPORTED, "output '%s' is no integer: it needs a quantizer", v->name);
    if (s->at.chain && s->at.chain->count > 0)
        BLI_TRY(tail(l, &s->at, &o, &ok));
    if (!ok)
        BLI_TRY(coded_output(l, value, &o, &ok));
    if (!ok)
        return bli_fail(
            l->ctx, BL_UNSUPPORTED,
            "output '%s' is a real number behind '%s'; put a quantizer after it (products, sums and quotients "
            "with constants may stay)",
            v->name, s->at.chain->links[s->at.chain->count - 1].node->name);
    return bli_builder_output(l->b, &o);
}

bl_status bli_lower_outputs(bli_lowering *l)
{
    for (int i = 0; i < bl_graph_num_outputs(l->g); i++)
        BLI_TRY(lower_output(l, bl_graph_output(l->g, i)));
    return BL_OK;
}
