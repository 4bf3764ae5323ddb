/* grid_range.c: what is known of a quantizer before anything runs: the range of its output, a first learned scale. */
#include <math.h>

#include "op/quantizer/families.h"

void bli_format_range(bli_range_call *r, const bl_format *f, double scale, int64_t zero)
{
    bli_grid_facts facts = bli_format_facts(f, scale, zero);
    if (!facts.on_grid)
        return;
    r->range_out[0] = (bli_range){true, facts.step_exp, facts.least, facts.greatest};
}

/* The widest width of a constant tensor; 32 when it is not constant. */
static int widest(const bl_value *bits)
{
    int64_t n = bl_shape_count(&bits->shape);
    if (!bits->data || bits->role != BL_ROLE_CONSTANT || n < 0)
        return 32;
    bl_tensor t = {bits->type, bits->shape, bits->data};
    double most = 1;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, bli_width_value(&t, (size_t)i));
    return most <= 32 ? (int)most : 32;
}

void bli_grid_range(bli_range_call *r, const bli_quant_spec *s)
{
    if (s->scale_rule != BLI_SCALE_NUMBER || bli_quant_needs_scale(s))
        return;
    bl_format f = s->format;
    if (r->in[2])
        f.bits = widest(r->in[2]);
    bli_format_range(r, &f, s->scale, s->zero_point);
}

bool bli_grid_codes(const bli_quant_spec *s, bli_code_ends *ends)
{
    const bl_format *f = &s->format;
    if (f->kind == BL_FORMAT_BINARY || f->kind == BL_FORMAT_TERNARY) {
        *ends = (bli_code_ends){-1, 1, 1};
        return true;
    }
    if (!bli_integer_coded(f))
        return false;
    bli_code_bounds(f, &ends->least, &ends->greatest);
    ends->least -= (double)s->zero_point;
    ends->greatest -= (double)s->zero_point;
    ends->unit = f->kind == BL_FORMAT_FIXED ? bl_format_step(f) : 1;
    return true;
}

/* Mean |x| of each group; without data that of a normal distribution of deviation one. */
static void mean_magnitudes(const bli_call *c, const bli_quant_spec *s, double *mean)
{
    bli_groups g = bli_quant_grouping(s, &c->in[0].shape);
    for (size_t k = 0; k < g.count; k++)
        mean[k] = c->in[0].data ? 0 : sqrt(2 / M_PI);
    if (!c->in[0].data)
        return;
    size_t n = bli_tensor_count(&c->in[0]);
    bli_group_walk walk = bli_group_first(&g);
    for (size_t i = 0; i < n; i++)
        mean[bli_group_next(&walk)] += bli_finite_magnitude(bli_value_get(&c->in[0], i)) * (double)g.count / (double)n;
}

bl_status bli_grid_init_scale(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    double least, greatest, step = bl_format_step(&s->format);
    bl_format_bounds(&s->format, &least, &greatest);
    size_t count = bli_quant_grouping(s, &c->in[0].shape).count;
    mean_magnitudes(c, s, scale);
    for (size_t k = 0; k < count; k++) {
        if (bli_integer_coded(&s->format))
            scale[k] *= 2 / sqrt(fmax(greatest / step, 1)) / step;
        if (!(scale[k] > 0))
            scale[k] = 1;
        scale[k] = bli_usable_scale(scale[k]);
    }
    return BL_OK;
}
