/* wide.c: whether a model's values need double precision, and bringing a graph to it.
 *
 * Formats of more than 24 bits are carried in float64.  A file in float32 would round what they hold, so the writer
 * asks here first.  What counts is values, not formats: a wide format whose parameters all happen to be floats stays
 * float32. Sums are not looked at: how exactly a sum is computed is the runner's choice.
 */
#include "pass/wide.h"

#include <math.h>
#include <string.h>

#include "op/infer.h"
#include "run/eval.h"
#include "run/layout.h"

static const double most_f32_steps = 0x1p24;

bool bli_wide_quantize(const bl_node *n)
{
    return n->type && strcmp(n->type, "Quantize") == 0 && strcmp(n->domain, BLI_DOMAIN_OWN) == 0;
}

static bool is_real(bl_dtype t)
{
    return t == BL_F32 || t == BL_F64;
}

/* ---- types -------------------------------------------------------------------------------------------------- */

static bl_status retype_tensor(bl_graph *g, int value, bl_dtype real)
{
    const bl_value *v = bl_graph_value(g, value);
    bl_tensor t;
    BLI_TRY(bl_tensor_create(bl_graph_context(g), real, &v->shape, &t));
    bli_convert(real, t.data, v->type, v->data, (size_t)bl_shape_count(&v->shape));
    bl_status s = bli_graph_set_tensor(g, value, &t);
    bl_tensor_free(bl_graph_context(g), &t);
    return s;
}

bl_status bli_wide_retype(bl_graph *g, bl_dtype real)
{
    for (int i = 0; i < bl_graph_num_values(g); i++) {
        const bl_value *v = bl_graph_value(g, i);
        if (!v->name || !is_real(v->type) || v->type == real)
            continue;
        if (v->data)
            BLI_TRY(retype_tensor(g, i, real));
        else
            bli_graph_value_mut(g, i)->type = real;
    }
    return bl_graph_infer(g);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

static bool holds(bl_dtype type, const void *data, int64_t count)
{
    const double *d = data;
    for (int64_t i = 0; type == BL_F64 && i < count; i++)
        if (!isnan(d[i]) && (double)(float)d[i] != d[i])
            return false;
    return true;
}

bool bli_wide_stored(const bl_graph *g, const bl_node *n)
{
    for (int i = 0; i < n->num_inputs; i++)
        if (n->inputs[i] >= 0 && !bl_graph_value(g, n->inputs[i])->data)
            return false;
    return true;
}

static bool widths_fit(const bl_value *bits)
{
    enum { MOST_BITS = 24 };
    for (int64_t i = 0; bits->data && i < bl_shape_count(&bits->shape); i++)
        if (bli_real_at(bits->type, bits->data, (size_t)i) > MOST_BITS)
            return false;
    return true;
}

/* Known of an integer grid by its steps, of one width for each element by the widest. */
static bool format_fits(bl_graph *g, const bl_node *n, const bli_range *r)
{
    if (!r->on_grid || ldexp(fmax(fabs(r->least), fabs(r->greatest)), -r->step_exp) <= most_f32_steps)
        return true;
    if (n->num_inputs > 2 && n->inputs[2] >= 0)
        return widths_fit(bl_graph_value(g, n->inputs[2]));
    return bli_narrow_format(bl_graph_context(g), n);
}

/* Of a stored parameter the quantized values count, of an activation all that its format has. */
static bl_status quantized_fits(bl_graph *g, int node, const bli_range *r, bool by_format, bool *fits)
{
    const bl_node *n = bl_graph_node(g, node);
    bl_tensor y;
    *fits = format_fits(g, n, r);
    if (*fits || by_format || !bli_wide_stored(g, n))
        return BL_OK;
    BLI_TRY(bli_eval_node(g, node, &y));
    *fits = holds(y.type, y.data, bl_shape_count(&y.shape));
    bl_tensor_free(bl_graph_context(g), &y);
    return BL_OK;
}

static bl_status find_quantizer(bl_graph *g, const bli_range *ranges, bool by_format, const char **name)
{
    bool fits = true;
    for (int i = 0; i < bl_graph_num_nodes(g) && fits; i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (!bli_wide_quantize(n))
            continue;
        BLI_TRY(quantized_fits(g, i, &ranges[n->outputs[0]], by_format, &fits));
        if (!fits)
            *name = n->name;
    }
    return BL_OK;
}

static void find_tensor(const bl_graph *g, const char **name)
{
    for (int i = 0; i < bl_graph_num_values(g) && !*name; i++) {
        const bl_value *v = bl_graph_value(g, i);
        if (v->data && !holds(v->type, v->data, bl_shape_count(&v->shape)))
            *name = v->name;
    }
}

static bool mixed(const bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_values(g); i++)
        if (bl_graph_value(g, i)->type == BL_F64)
            return true;
    return false;
}

/* In a graph all of float64. */
static bl_status find_in(bl_graph *g, bool by_format, const char **name)
{
    bl_context *ctx = bl_graph_context(g);
    bli_range *ranges = bli_alloc_array(ctx, (size_t)bl_graph_num_values(g) + 1, sizeof *ranges);
    double *accumulators = bli_alloc_array(ctx, (size_t)bl_graph_num_nodes(g) + 1, sizeof *accumulators);
    bl_status s = ranges && accumulators ? bli_infer_ranges(ctx, g, ranges, accumulators) : BL_NO_MEMORY;
    if (s == BL_OK)
        s = find_quantizer(g, ranges, by_format, name);
    bli_free(ctx, ranges);
    bli_free(ctx, accumulators);
    return s;
}

bl_status bli_wide_find(bl_graph *g, bool by_format, const char **name)
{
    bl_dtype real = BL_F64;
    bl_graph *wide;
    *name = NULL;
    if (!mixed(g)) {
        BLI_TRY(bl_graph_infer(g));
        BLI_TRY(bli_training_carrier(bl_graph_context(g), g, &real));
    }
    find_tensor(g, name);
    if (real == BL_F32 || *name)
        return BL_OK;
    BLI_TRY(bl_graph_clone(g, &wide));
    const char *found = NULL;
    bl_status s = bli_wide_retype(wide, BL_F64);
    if (s == BL_OK)
        s = bli_training_carrier(bl_graph_context(g), wide, &real);
    if (s == BL_OK && real == BL_F64)
        s = find_in(wide, by_format, &found);
    int node = found ? bl_graph_find_node(wide, found) : -1;
    *name = node >= 0 ? bl_graph_node(g, node)->name : NULL;
    bl_graph_destroy(wide);
    return s;
}
