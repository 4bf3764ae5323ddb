#include "train/places.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "num/num.h"

/* places.c: rules to formats, and the formats applied to gradients, moments and weights. */

static const char *const place_names[BLI_PLACE_COUNT] = {
    [BLI_PLACE_ERROR] = "error",     [BLI_PLACE_GRADIENT] = "gradient", [BLI_PLACE_MOMENT1] = "moment1",
    [BLI_PLACE_MOMENT2] = "moment2", [BLI_PLACE_UPDATE] = "update",     [BLI_PLACE_MASTER] = "master",
};

static bl_status check_rule(bl_context *ctx, const bl_place_rule *r)
{
    bl_format f;
    bool known = false;
    for (int k = 0; k < BLI_PLACE_COUNT; k++)
        known |= r->place && strcmp(r->place, place_names[k]) == 0;
    if (!known)
        return bli_unknown_name(ctx, "place of the training step", r->place ? r->place : "", place_names,
                                BLI_PLACE_COUNT);
    if (r->scale && strcmp(r->scale, "none") != 0 && strcmp(r->scale, "dynamic") != 0)
        return bli_fail(ctx, BL_BAD_VALUE, "place %s: scale '%s' is neither 'none' nor 'dynamic'", r->place, r->scale);
    return bli_within(ctx, bl_format_parse(ctx, r->format, &f), "place %s", r->place);
}

bl_status bli_places_check(bl_context *ctx, const bl_train_options *o)
{
    for (int i = 0; i < o->num_places; i++)
        BLI_TRY(check_rule(ctx, &o->places[i]));
    return BL_OK;
}

static bool applies(const char *layer, const char *name)
{
    if (!layer)
        return true;
    const size_t n = strlen(layer);
    return strncmp(layer, name, n) == 0 && (name[n] == 0 || name[n] == '/' || name[n] == '.');
}

bl_status bli_place_find(bl_context *ctx, const bl_train_options *o, bli_place_kind k, const char *name,
                         bli_place_format *out)
{
    const bl_place_rule *rule = NULL;
    *out = (bli_place_format){0};
    for (int i = 0; i < o->num_places; i++)
        if (strcmp(o->places[i].place, place_names[k]) == 0 && applies(o->places[i].layer, name))
            rule = &o->places[i];
    if (!rule)
        return BL_OK;
    BLI_TRY(bl_format_parse(ctx, rule->format, &out->format));
    out->set = out->format.kind != BL_FORMAT_FLOAT32;
    out->dynamic = rule->scale && strcmp(rule->scale, "dynamic") == 0;
    const int n = snprintf(out->key, sizeof out->key, "%s:%s", place_names[k], name);
    if (n >= (int)sizeof out->key)
        snprintf(out->key + 40, sizeof out->key - 40, "#%016llx", (unsigned long long)bli_hash_str(name));
    return BL_OK;
}

double bli_place_scale(const bli_place_format *f, double most)
{
    double least, greatest;
    if (!f->dynamic || most <= 0)
        return 1;
    bl_format_bounds(&f->format, &least, &greatest);
    int e;
    const double m = frexp(most / greatest, &e); /* most / greatest = m * 2^e, m in [0.5, 1) */
    return ldexp(1, m == 0.5 ? e - 1 : e);
}

void bli_place_apply(const bli_place_format *f, double scale, bli_isa isa, uint64_t seed, uint64_t step, uint64_t first,
                     bl_dtype type, void *x, size_t rows, size_t row)
{
    const bli_stream s = bli_stream_make(seed, step, f->key);
    if (type == BL_F32)
        bli_quantize_rows_f32(&f->format, scale, 0, &s, first, x, x, rows, row, isa);
    else
        bli_quantize_rows_f64(&f->format, scale, 0, &s, first, x, x, rows, row, isa);
}

double bli_greatest(bl_dtype type, const void *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double v = fabs(type == BL_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i]);
        most = v > most && v < (double)INFINITY ? v : most;
    }
    return most;
}
