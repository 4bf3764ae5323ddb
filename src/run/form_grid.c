/* form_grid.c: quantizers in evaluation form.
 *
 * What needs no input (a weight's quantizer) is computed here and now and becomes a constant; with a real scale its
 * integer codes do.  An activation's quantizer with a real scale is followed by a Codes node.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/functions.h"
#include "op/infer.h"
#include "op/quantizer.h"
#include "run/eval.h"
#include "run/form_impl.h"
#include "run/layout.h"
#include "run/plan.h"

/* The grids of a quantizing node: value = code * scale[group], group along axis. */
typedef struct grids {
    int64_t count;
    int axis;                             /* -1: one for all */
    double *scale, least, greatest, unit; /* scale: unit times what the node's scale input or attribute says */
    bool codes;                           /* values are integers times scale */
    bool powers;                          /* all scales are powers of two */
} grids;

static bool power_of_two(double v)
{
    int e;
    return frexp(v, &e) == 0.5;
}

static bool is_quantize(const bl_node *n)
{
    return strcmp(n->type, "Quantize") == 0;
}

/* ---- Quantize ------------------------------------------------------------------------------------------------- */
static bl_status scales_of(bli_form *f, const bl_node *n, const bli_quant_spec *spec, const bl_tensor *x, double *scale)
{
    const bli_op *op = bli_op_find("Quantize", BLI_DOMAIN_OWN);
    bli_call c = {.ctx = f->ctx, .node = n, .isa = bli_cpu_isa(), .state = spec};
    c.in[0] = *x;
    if (x->shape.rank > 0 && x->shape.dim[0] < 0)
        c.in[0].shape.dim[0] = 0;
    if (n->num_inputs > 1 && n->inputs[1] >= 0)
        c.in[1] = f->known[n->inputs[1]];
    c.scratch = bli_alloc(f->ctx, op->scratch(&c));
    if (!c.scratch)
        return BL_NO_MEMORY;
    const bl_status s = spec->quantizer->scales(&c, spec, scale);
    bli_free(f->ctx, c.scratch);
    return s;
}

/* The one axis along which scales differ; -2: no single one. */
static int axis_of(const bli_quant_spec *spec, const bl_shape *x, int64_t count)
{
    const int axis = spec->axis < 0 ? spec->axis + x->rank : spec->axis;
    if (count == 1)
        return -1;
    return spec->granularity == BLI_PER_CHANNEL ? axis : -2;
}

static bl_status quantize_grids(bli_form *f, const bl_node *n, bool batched, grids *g)
{
    bli_quant_spec *spec;
    bli_code_ends ends = {0, 0, 1};
    const bl_value *x = bli_form_value(f, n->inputs[0]);
    BLI_TRY(bli_quant_spec_parse(f->ctx, n, batched, f->arena, &spec));
    if (spec->has_format && spec->format.kind == BL_FORMAT_MX)
        return BL_OK;
    g->count = bli_quant_groups(spec, &x->shape);
    g->axis = axis_of(spec, &x->shape, g->count);
    g->codes = spec->quantizer->codes && spec->quantizer->codes(spec, &ends);
    if (n->num_inputs > 2 && n->inputs[2] >= 0 && spec->has_format && spec->format.kind != BL_FORMAT_INT)
        g->codes = false; /* a step of its own for each width */
    g->unit = ends.unit;
    g->least = ends.least;
    g->greatest = ends.greatest;
    g->scale = bli_form_numbers(f, g->count, spec->scale);
    if (!g->scale)
        return BL_NO_MEMORY;
    const bl_tensor t = f->known[n->inputs[0]].data ? f->known[n->inputs[0]] : (bl_tensor){BL_F32, x->shape, NULL};
    if (spec->quantizer->scales)
        BLI_TRY(scales_of(f, n, spec, &t, g->scale));
    for (int64_t i = 0; i < g->count; i++)
        g->scale[i] *= ends.unit;
    return BL_OK;
}

/* ---- QONNX's own ---------------------------------------------------------------------------------------------- */
static bool one_number(const bli_form *f, const bl_node *n, int k, double *out)
{
    const bl_tensor *t = n->num_inputs > k && n->inputs[k] >= 0 ? &f->known[n->inputs[k]] : NULL;
    if (!t || !t->data || bl_shape_count(&t->shape) != 1)
        return false;
    *out = bli_real_at(t->type, t->data, 0);
    return true;
}

/* Scales of a tensor that differ along one axis at most, aligned with x's last axes. */
static bl_status broadcast_scales(bli_form *f, const bl_tensor *t, int rank, grids *g)
{
    g->count = bl_shape_count(&t->shape);
    g->axis = -1;
    for (int d = 0; d < t->shape.rank; d++)
        if (t->shape.dim[d] != 1)
            g->axis = g->axis == -1 ? rank - t->shape.rank + d : -2;
    g->scale = bli_form_numbers(f, g->count, 1);
    if (!g->scale)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < g->count; i++)
        g->scale[i] = bli_real_at(t->type, t->data, (size_t)i);
    return BL_OK;
}

static bl_status qonnx_grids(bli_form *f, const bl_node *n, grids *g)
{
    const bool bipolar = strcmp(n->type, "BipolarQuant") == 0;
    double zero = 0, bits = 1;
    if (n->num_inputs < 2 || n->inputs[1] < 0 || !f->known[n->inputs[1]].data)
        return BL_OK;
    if (!bipolar && (!one_number(f, n, 2, &zero) || !one_number(f, n, 3, &bits) || zero != floor(zero) || bits > 22))
        return BL_OK;
    BLI_TRY(broadcast_scales(f, &f->known[n->inputs[1]], bli_form_value(f, n->inputs[0])->shape.rank, g));
    const double half = bli_fn_exp2(bits - 1);
    const bool is_signed = bl_node_int(n, "signed", 1) != 0;
    g->codes = true;
    g->least = bipolar || (bits == 1 && is_signed) ? -1 - zero : is_signed ? -half - zero : -zero;
    g->greatest = bipolar || (bits == 1 && is_signed) ? 1 - zero : (is_signed ? half : 2 * half) - 1 - zero;
    return BL_OK;
}

static bl_status grids_of(bli_form *f, const bl_node *n, bool batched, grids *g)
{
    *g = (grids){.axis = -2};
    if (is_quantize(n))
        BLI_TRY(quantize_grids(f, n, batched, g));
    else if (strcmp(n->type, "Quant") == 0 || strcmp(n->type, "IntQuant") == 0 || strcmp(n->type, "BipolarQuant") == 0)
        BLI_TRY(qonnx_grids(f, n, g));
    g->powers = g->count > 0;
    for (int64_t i = 0; i < g->count; i++) {
        g->powers = g->powers && power_of_two(g->scale[i]);
        g->codes = g->codes && isfinite(g->scale[i]) && g->scale[i] > 0;
    }
    if (fmax(fabs(g->least), fabs(g->greatest)) > BLI_FORM_MOST_CODE || g->axis == -2 || g->count < 1)
        g->codes = false;
    return BL_OK;
}

/* ---- what needs no input -------------------------------------------------------------------------------------- */
/* The codes of values y; false if some value is none. */
static bool codes_of(const grids *g, const bl_tensor *y, float *codes)
{
    const int64_t n = bl_shape_count(&y->shape);
    int64_t inner = 1;
    for (int d = g->axis + 1; g->axis >= 0 && d < y->shape.rank; d++)
        inner *= y->shape.dim[d];
    for (int64_t i = 0; i < n; i++) {
        const double s = g->scale[g->axis < 0 ? 0 : i / inner % g->count], v = (double)((const float *)y->data)[i];
        const double code = nearbyint(v / s);
        codes[i] = (float)code + 0.0f;
        if ((float)(code * s) != (float)v || !(fabs(code) <= BLI_FORM_MOST_CODE))
            return false;
    }
    return true;
}

static bl_status whole_codes(bli_form *f, const bl_node *n, const bl_tensor *y)
{
    grids g;
    const bl_value *v = bli_form_value(f, n->outputs[0]);
    BLI_TRY(grids_of(f, n, false, &g));
    if (!g.codes || g.powers || y->type != BL_F32)
        return BL_OK;
    float *codes = bli_arena_array(f->arena, (size_t)bl_shape_count(&y->shape) + 1, sizeof *codes);
    if (!codes)
        return BL_NO_MEMORY;
    if (!codes_of(&g, y, codes))
        return BL_OK;
    bli_linear *l = &f->linear[n->outputs[0]];
    *l = (bli_linear){.codes = -1, .n = g.count, .scale = g.scale, .axis = g.axis};
    return bli_form_constant(f, &(bl_tensor){BL_F32, y->shape, codes}, v->name, "codes", &l->codes);
}

/* Whether float64 gives the same values, so that the carrier does not matter. */
static bl_status same_in_double(bli_form *f, int node, const bl_tensor *in, const bl_tensor *y, bool *same)
{
    bl_tensor wide[BLI_MAX_IN], got = {.data = NULL};
    const bl_node *n = bl_graph_node(f->from, node);
    for (int i = 0; i < n->num_inputs; i++) {
        wide[i] = in[i];
        if (in[i].type != BL_F32 || !in[i].data)
            continue;
        const size_t count = (size_t)bl_shape_count(&in[i].shape);
        wide[i] = (bl_tensor){BL_F64, in[i].shape, bli_arena_array(f->arena, count + 1, sizeof(double))};
        if (!wide[i].data)
            return BL_NO_MEMORY;
        bli_convert(BL_F64, wide[i].data, BL_F32, in[i].data, count);
    }
    BLI_TRY(bli_eval_tensors(f->from, node, f->arena, wide, &got));
    *same = true;
    for (int64_t i = 0; i < bl_shape_count(&y->shape); i++)
        *same = *same && (double)((const float *)y->data)[i] == ((const double *)got.data)[i];
    bl_tensor_free(f->ctx, &got);
    return BL_OK;
}

static bl_status keep_known(bli_form *f, int value, const bl_tensor *y)
{
    const size_t bytes = (size_t)bl_shape_count(&y->shape) * bl_dtype_size(y->type);
    void *data = bli_arena_alloc(f->arena, bytes + 1);
    if (!data)
        return BL_NO_MEMORY;
    memcpy(data, y->data, bytes);
    f->known[value] = (bl_tensor){y->type, y->shape, data};
    return BL_OK;
}

/* Widths of their own that float32 cannot hold stay for the carrier to decide. */
static bool widths_fit(const bli_form *f, const bl_node *n)
{
    const bl_tensor *t = is_quantize(n) && n->num_inputs > 2 && n->inputs[2] >= 0 ? &f->known[n->inputs[2]] : NULL;
    for (int64_t i = 0; t && i < bl_shape_count(&t->shape); i++)
        if (!(bli_real_at(t->type, t->data, (size_t)i) <= 24))
            return false;
    return true;
}

bl_status bli_form_whole(bli_form *f, int node)
{
    const bl_node *n = bl_graph_node(f->from, node);
    const bl_value *v = bli_form_value(f, n->outputs[0]);
    const bli_op *op = bli_op_find(n->type, n->domain);
    bl_tensor in[BLI_MAX_IN], y;
    if (!op || (!op->forward && !(op->flags & BLI_OP_VIEW)) || n->num_outputs != 1 || n->num_inputs > BLI_MAX_IN ||
        n->inputs[0] < 0 || f->known[n->inputs[0]].type != BL_F32 || v->type != BL_F32 ||
        bl_shape_count(&v->shape) < 0 || !widths_fit(f, n))
        return BL_OK;
    for (int i = 0; i < n->num_inputs; i++)
        in[i] = n->inputs[i] < 0 ? (bl_tensor){.data = NULL} : f->known[n->inputs[i]];
    BLI_TRY(bli_eval_tensors(f->from, node, f->arena, in, &y));
    bl_status s = whole_codes(f, n, &y);
    bool same = bli_is_linear(f, n->outputs[0]) || (op->flags & BLI_OP_VIEW) ||
                (is_quantize(n) && bli_narrow_format(f->ctx, n));
    if (s == BL_OK && !same)
        s = same_in_double(f, node, in, &y, &same);
    if (s == BL_OK && same)
        s = keep_known(f, n->outputs[0], &y);
    bl_tensor_free(f->ctx, &y);
    return s;
}

/* ---- activations ---------------------------------------------------------------------------------------------- */
/* A trained power of two, written as the number that it is: its range can then be proven. */
static bl_status write_scale(bli_form *f, int node, const grids *g)
{
    const double step = g->scale[0], scale = step / g->unit;
    const bl_node *n = bl_graph_node(f->from, node);
    bl_attr *attrs = bli_arena_array(f->arena, (size_t)n->num_attrs + 1, sizeof *attrs);
    char text[64];
    int count = 0, x;
    if (!attrs)
        return BL_NO_MEMORY;
    snprintf(text, sizeof text, "%.17g", scale);
    for (int i = 0; i < n->num_attrs; i++) {
        attrs[count] = n->attrs[i];
        if (strcmp(n->attrs[i].name, "quantizer") == 0)
            attrs[count].u.s = "ste";
        count += strcmp(n->attrs[i].name, "scale") != 0 && strcmp(n->attrs[i].name, "granularity") != 0;
    }
    attrs[count++] = (bl_attr){.name = "scale", .kind = BL_ATTR_STRING, .count = 1, .u.s = text};
    BLI_TRY(bli_form_plain(f, n->inputs[0], &x));
    bl_node fixed = *n;
    fixed.inputs = &x;
    fixed.num_inputs = 1;
    fixed.attrs = attrs;
    fixed.num_attrs = count;
    const char *name = bli_form_value(f, n->outputs[0])->name;
    f->ranges[n->outputs[0]] = (bli_range){true, bli_step_of(step), g->least * step, g->greatest * step};
    return bl_graph_add_node(f->to, &fixed, &name, &f->plain[n->outputs[0]]);
}

static bool by_steps(const bl_node *n)
{
    const char *q = bl_node_string(n, "quantizer", "ste");
    return strcmp(q, "ste") == 0 || strcmp(q, "lsq") == 0;
}

static bl_status add_codes(bli_form *f, const bl_node *n, const grids *g)
{
    const bl_value *v = bli_form_value(f, n->outputs[0]);
    bli_linear *l = &f->linear[n->outputs[0]];
    int in[2] = {f->plain[n->outputs[0]]};
    BLI_TRY(bli_form_vector(f, g->scale, g->count, v->name, "step", &in[1]));
    const bl_attr ends[] = {{.name = "least", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = g->least},
                            {.name = "greatest", .kind = BL_ATTR_FLOAT, .count = 1, .u.f = g->greatest}};
    const bl_node codes = {
        .type = "Codes", .domain = BLI_DOMAIN_OWN, .inputs = in, .num_inputs = 2, .attrs = ends, .num_attrs = 2};
    *l = (bli_linear){.codes = -1, .n = g->count, .scale = g->scale, .axis = -1};
    return bli_form_emit(f, &codes, v->name, "codes", &l->codes);
}

bl_status bli_form_quantizer(bli_form *f, int node, bool *done)
{
    const bl_node *n = bl_graph_node(f->from, node);
    grids g;
    *done = false;
    const bl_shape *x = n->num_inputs > 0 && n->inputs[0] >= 0 ? &bli_form_value(f, n->inputs[0])->shape : NULL;
    if (!x || x->rank < 1 || x->dim[0] >= 0)
        return BL_OK;
    BLI_TRY(grids_of(f, n, true, &g));
    const int rank = x->rank;
    if (!g.codes || (g.axis >= 0 && g.axis != rank - 1))
        return BL_OK;
    *done = true;
    if (g.powers && is_quantize(n) && n->num_inputs == 2 && g.count == 1 && by_steps(n))
        return write_scale(f, node, &g);
    BLI_TRY(bli_form_copy(f, node));
    return g.powers ? BL_OK : add_codes(f, n, &g);
}
