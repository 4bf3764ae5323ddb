/* adder_forms.c: linear forms as lists of (input, coefficient), sorted by input, all in one growing block.  The
 * constant is the factor of one more input, which is 1.
 *
 * probe leaves the form behind the kept ones; keep moves the mark past it.
 */
#include <string.h>

#include "program/adder_forms.h"

typedef struct part {
    int32_t input;
    int64_t factor;
} part;

struct bli_adder_forms {
    bl_context *ctx;
    const bli_adder_range *inputs; /* a copy */
    int32_t num_inputs;
    size_t count, room; /* nodes kept, room in start */
    size_t *start;      /* count + 1 */
    part *parts;
    size_t probed, parts_room; /* end of the probed form */
};

/* A block of at least need elements with the old content; the old one is freed. */
static bl_status grow(bl_context *ctx, void **block, size_t used, size_t need, size_t size, size_t *room)
{
    if (need <= *room)
        return BL_OK;
    const size_t wanted = need > 2 * *room ? need : 2 * *room;
    void *bigger = bli_alloc_array(ctx, wanted, size);
    if (bigger == NULL)
        return BL_NO_MEMORY;
    if (used > 0)
        memcpy(bigger, *block, used * size);
    bli_free(ctx, *block);
    *block = bigger;
    *room = wanted;
    return BL_OK;
}

static bl_status grow_parts(bli_adder_forms *f, size_t need)
{
    void *block = f->parts;
    bl_status s = grow(f->ctx, &block, f->start[f->count], need, sizeof(part), &f->parts_room);
    f->parts = block;
    return s;
}

static bl_status grow_start(bli_adder_forms *f, size_t need)
{
    void *block = f->start;
    bl_status s = grow(f->ctx, &block, f->start == NULL ? 0 : f->count + 1, need, sizeof(size_t), &f->room);
    f->start = block;
    return s;
}

static bl_status fill_inputs(bli_adder_forms *f, const bli_adder_range *inputs)
{
    const size_t n = (size_t)f->num_inputs;
    bli_adder_range *copy = bli_alloc_array(f->ctx, n + 1, sizeof *copy);
    if (copy == NULL)
        return BL_NO_MEMORY;
    if (n > 0)
        memcpy(copy, inputs, n * sizeof *copy);
    copy[n] = (bli_adder_range){1, 1};
    f->inputs = copy;
    BLI_TRY(grow_start(f, n + 16));
    BLI_TRY(grow_parts(f, 2 * n + 16));
    for (size_t i = 0; i < n; i++) {
        f->parts[i] = (part){(int32_t)i, 1};
        f->start[i + 1] = i + 1;
    }
    f->count = n;
    return BL_OK;
}

bl_status bli_adder_forms_create(bl_context *ctx, const bli_adder_range *inputs, int32_t num_inputs,
                                 bli_adder_forms **out)
{
    *out = NULL;
    bli_adder_forms *f = bli_alloc(ctx, sizeof *f);
    if (f == NULL)
        return BL_NO_MEMORY;
    *f = (bli_adder_forms){.ctx = ctx, .num_inputs = num_inputs};
    bl_status s = fill_inputs(f, inputs);
    if (s == BL_OK)
        *out = f;
    else
        bli_adder_forms_destroy(f);
    return s;
}

static bl_status fill_like(bli_adder_forms *f, const bli_adder_forms *from)
{
    const size_t n = (size_t)from->num_inputs + 1, parts = from->start[from->count];
    bli_adder_range *inputs = bli_alloc_array(f->ctx, n, sizeof *inputs);
    f->inputs = inputs;
    BLI_TRY(grow_start(f, from->room));
    BLI_TRY(grow_parts(f, parts + 1));
    if (inputs == NULL)
        return BL_NO_MEMORY;
    memcpy(inputs, from->inputs, n * sizeof *inputs);
    memcpy(f->start, from->start, (from->count + 1) * sizeof *f->start);
    memcpy(f->parts, from->parts, parts * sizeof *f->parts);
    f->count = from->count;
    return BL_OK;
}

bl_status bli_adder_forms_copy(const bli_adder_forms *from, bli_adder_forms **out)
{
    *out = NULL;
    bli_adder_forms *f = bli_alloc(from->ctx, sizeof *f);
    if (f == NULL)
        return BL_NO_MEMORY;
    *f = (bli_adder_forms){.ctx = from->ctx, .num_inputs = from->num_inputs};
    bl_status s = fill_like(f, from);
    if (s == BL_OK)
        *out = f;
    else
        bli_adder_forms_destroy(f);
    return s;
}

void bli_adder_forms_destroy(bli_adder_forms *f)
{
    if (f == NULL)
        return;
    union {
        const void *in;
        void *out;
    } inputs = {f->inputs};
    bli_free(f->ctx, inputs.out);
    bli_free(f->ctx, f->start);
    bli_free(f->ctx, f->parts);
    bli_free(f->ctx, f);
}

/* ---- sums ------------------------------------------------------------------------------------------------------- */
static bool add_scaled(int64_t *sum, int64_t factor, const bli_adder_term *t)
{
    int64_t scaled;
    if (__builtin_mul_overflow(factor, t->negative ? -((int64_t)1 << t->shift) : (int64_t)1 << t->shift, &scaled))
        return false;
    return !__builtin_add_overflow(*sum, scaled, sum);
}

static bool add_constant(bli_adder_forms *f, int64_t constant)
{
    const bool there = f->probed > f->start[f->count] && f->parts[f->probed - 1].input == f->num_inputs;
    if (constant == 0)
        return true;
    if (!there)
        f->parts[f->probed++] = (part){f->num_inputs, 0};
    return !__builtin_add_overflow(f->parts[f->probed - 1].factor, constant, &f->parts[f->probed - 1].factor);
}

/* Two terms' forms merged behind the kept ones, as most nodes have two; false on overflow. */
static bool merge_two(bli_adder_forms *f, const bli_adder_term *t)
{
    const part *a = f->parts + f->start[t[0].node], *const a_end = f->parts + f->start[t[0].node + 1];
    const part *b = f->parts + f->start[t[1].node], *const b_end = f->parts + f->start[t[1].node + 1];
    part *to = f->parts + f->start[f->count];
    while (a < a_end || b < b_end) {
        const bool has_a = b == b_end || (a < a_end && a->input <= b->input);
        const bool has_b = a == a_end || (b < b_end && b->input <= a->input);
        *to = (part){has_a ? a->input : b->input, 0};
        if ((has_a && !add_scaled(&to->factor, (a++)->factor, &t[0])) ||
            (has_b && !add_scaled(&to->factor, (b++)->factor, &t[1])))
            return false;
        to += to->factor != 0;
    }
    f->probed = (size_t)(to - f->parts);
    return true;
}

/* The terms' forms merged behind the kept ones; false on overflow. */
static bool merge(bli_adder_forms *f, const bli_adder_node *spec)
{
    const part *at[BLI_ADDER_TERMS], *end[BLI_ADDER_TERMS];
    if (spec->num_terms == 2)
        return merge_two(f, spec->term) && add_constant(f, spec->constant);
    for (int t = 0; t < spec->num_terms; t++) {
        at[t] = f->parts + f->start[spec->term[t].node];
        end[t] = f->parts + f->start[spec->term[t].node + 1];
    }
    f->probed = f->start[f->count];
    for (;;) {
        int32_t input = INT32_MAX;
        for (int t = 0; t < spec->num_terms; t++)
            if (at[t] < end[t] && at[t]->input < input)
                input = at[t]->input;
        if (input == INT32_MAX)
            return add_constant(f, spec->constant);
        int64_t sum = 0;
        for (int t = 0; t < spec->num_terms; t++)
            if (at[t] < end[t] && at[t]->input == input && !add_scaled(&sum, (at[t]++)->factor, &spec->term[t]))
                return false;
        if (sum != 0)
            f->parts[f->probed++] = (part){input, sum};
    }
}

static bool add_product(int64_t *sum, int64_t a, int64_t b)
{
    int64_t product;
    return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(*sum, product, sum);
}

/* Inputs are independent, so both ends are reached. */
static bool range_of(const bli_adder_forms *f, bli_adder_node *spec)
{
    spec->lo = spec->hi = 0;
    for (size_t k = f->start[f->count]; k < f->probed; k++) {
        const int64_t c = f->parts[k].factor;
        const bli_adder_range x = f->inputs[f->parts[k].input];
        if (!add_product(&spec->lo, c, c > 0 ? x.lo : x.hi) || !add_product(&spec->hi, c, c > 0 ? x.hi : x.lo))
            return false;
    }
    const int64_t most = (int64_t)1 << 62;
    return spec->lo >= -most && spec->hi <= most;
}

bl_status bli_adder_forms_probe(bli_adder_forms *f, bli_adder_node *spec)
{
    size_t need = f->start[f->count] + 1;
    for (int t = 0; t < spec->num_terms; t++)
        need += f->start[spec->term[t].node + 1] - f->start[spec->term[t].node];
    BLI_TRY(grow_parts(f, need));
    if (!merge(f, spec) || !range_of(f, spec))
        return bli_fail(f->ctx, BL_LIMIT, "adder graph: a sum passes 62 bits");
    return BL_OK;
}

bl_status bli_adder_forms_keep(bli_adder_forms *f)
{
    /* The probed form lies past what grow_start copies of start only, so parts stay as they are. */
    BLI_TRY(grow_start(f, f->count + 2));
    f->count++;
    f->start[f->count] = f->probed;
    return BL_OK;
}
