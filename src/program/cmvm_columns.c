/* cmvm_columns.c: checks a problem and brings it into its plain form. */
#include <string.h>

#include "program/cmvm_columns.h"
#include "program/csd.h"

/* What an output may reach: intermediate sums of signed digits may be a few times as large. */
#define MOST ((int64_t)1 << 59)

int bli_cmvm_ceil_log2(int64_t x)
{
    return x <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)x - 1);
}

static bl_status check_sizes(bl_context *ctx, const bli_cmvm_problem *p)
{
    size_t total;
    if (p->inputs < 0 || p->outputs < 0 || p->inputs > BLI_ADDER_NODES_MAX || p->outputs > BLI_ADDER_NODES_MAX ||
        !bli_mul_size((size_t)p->inputs, (size_t)p->outputs, &total) || total > INT32_MAX)
        return bli_fail(ctx, BL_LIMIT, "adder graph: a matrix of %d x %d", p->inputs, p->outputs);
    for (int32_t i = 0; i < p->inputs; i++) {
        const bli_cmvm_input *x = &p->input[i];
        if (x->lo > x->hi || x->zeros < 0 || x->zeros > 62)
            return bli_fail(ctx, BL_BAD_VALUE, "adder graph: input %d: range [%lld, %lld], %d zero bits", i,
                            (long long)x->lo, (long long)x->hi, x->zeros);
    }
    return BL_OK;
}

static bl_status take_memory(bl_context *ctx, bli_cmvm_columns *c)
{
    const size_t n = (size_t)c->inputs, m = (size_t)c->outputs;
    c->range = bli_alloc_array(ctx, n, sizeof *c->range);
    c->matrix = bli_alloc_array(ctx, n * m, sizeof *c->matrix);
    c->constant = bli_alloc_array(ctx, m, sizeof *c->constant);
    c->columns = bli_alloc_array(ctx, n * m, sizeof *c->columns);
    c->of = bli_alloc_array(ctx, m, sizeof *c->of);
    c->shift = bli_alloc_array(ctx, m, sizeof *c->shift);
    c->negative = bli_alloc_array(ctx, m, sizeof *c->negative);
    const bool ok = c->range && c->matrix && c->constant && c->columns && c->of && c->shift && c->negative;
    return ok ? BL_OK : BL_NO_MEMORY;
}

static bool add_product(int64_t a, int64_t b, int64_t *sum)
{
    int64_t product;
    return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(*sum, product, sum);
}

static int64_t magnitude(int64_t x)
{
    return x == INT64_MIN ? INT64_MAX : x < 0 ? -x : x;
}

/* Column j scaled, fixed inputs taken out; false when it may grow too large. */
static bool scale_column(const bli_cmvm_problem *p, bli_cmvm_columns *c, int32_t j)
{
    int64_t reach = magnitude(p->constant == NULL ? 0 : p->constant[j]);
    c->constant[j] = p->constant == NULL ? 0 : p->constant[j];
    for (int32_t i = 0; i < p->inputs; i++) {
        const size_t at = (size_t)i * (size_t)p->outputs + (size_t)j;
        const bli_adder_range x = c->range[i];
        const int64_t most = magnitude(x.lo) > magnitude(x.hi) ? magnitude(x.lo) : magnitude(x.hi);
        int64_t w;
        if (__builtin_mul_overflow(p->matrix[at], (int64_t)1 << p->input[i].zeros, &w))
            return false;
        if (!add_product(magnitude(w), most > 0 ? most : 1, &reach))
            return false;
        if (x.lo == x.hi)
            c->constant[j] += w * x.lo;
        c->matrix[at] = x.lo == x.hi ? 0 : w;
    }
    return reach <= MOST;
}

/* ---- unique columns --------------------------------------------------------------------------------------------- */
/* Column j without its common shift and with a positive first factor into place unique; false for a zero column. */
static bool normalise(bli_cmvm_columns *c, int32_t j)
{
    int64_t *to = c->columns + (size_t)c->unique * (size_t)c->inputs;
    uint64_t any = 0;
    for (int32_t i = 0; i < c->inputs; i++) {
        to[i] = c->matrix[(size_t)i * (size_t)c->outputs + (size_t)j];
        if (any == 0)
            c->negative[j] = to[i] < 0;
        any |= (uint64_t)to[i];
    }
    if (any == 0)
        return false;
    c->shift[j] = __builtin_ctzll(any);
    const int64_t factor = (c->negative[j] ? -1 : 1) * ((int64_t)1 << c->shift[j]);
    for (int32_t i = 0; i < c->inputs; i++)
        to[i] /= factor;
    return true;
}

static void measure(bli_cmvm_columns *c, int32_t u)
{
    int64_t digits = 0;
    for (int32_t i = 0; i < c->inputs; i++)
        digits += bli_csd_digits(c->columns[(size_t)u * (size_t)c->inputs + (size_t)i]);
    c->pairs += digits * digits;
    const int depth = bli_cmvm_ceil_log2(digits);
    c->depth = depth > c->depth ? depth : c->depth;
}

/* hash: room for one number a column. */
static void find_unique(bli_cmvm_columns *c, uint64_t *hash)
{
    const size_t bytes = (size_t)c->inputs * sizeof *c->columns;
    for (int32_t j = 0; j < c->outputs; j++) {
        c->of[j] = -1;
        if (!normalise(c, j))
            continue;
        const int64_t *mine = c->columns + (size_t)c->unique * (size_t)c->inputs;
        hash[c->unique] = bli_hash(mine, bytes);
        for (int32_t u = 0; u < c->unique && c->of[j] < 0; u++)
            if (hash[u] == hash[c->unique] && memcmp(c->columns + (size_t)u * (size_t)c->inputs, mine, bytes) == 0)
                c->of[j] = u;
        if (c->of[j] < 0) {
            c->of[j] = c->unique;
            measure(c, c->unique++);
        }
    }
}

static bl_status make(bl_context *ctx, const bli_cmvm_problem *p, bli_cmvm_columns *c)
{
    BLI_TRY(check_sizes(ctx, p));
    c->inputs = p->inputs;
    c->outputs = p->outputs;
    BLI_TRY(take_memory(ctx, c));
    for (int32_t i = 0; i < p->inputs; i++) /* an arithmetic shift: exact, x is a multiple */
        c->range[i] = (bli_adder_range){p->input[i].lo >> p->input[i].zeros, p->input[i].hi >> p->input[i].zeros};
    for (int32_t j = 0; j < p->outputs; j++)
        if (!scale_column(p, c, j))
            return bli_fail(ctx, BL_LIMIT, "adder graph: output %d may pass 2^59", j);
    uint64_t *hash = bli_alloc_array(ctx, (size_t)p->outputs, sizeof *hash);
    if (hash == NULL)
        return BL_NO_MEMORY;
    find_unique(c, hash);
    bli_free(ctx, hash);
    return BL_OK;
}

bl_status bli_cmvm_columns_make(bl_context *ctx, const bli_cmvm_problem *p, bli_cmvm_columns *out)
{
    *out = (bli_cmvm_columns){.ctx = ctx};
    bl_status s = make(ctx, p, out);
    if (s != BL_OK)
        bli_cmvm_columns_free(out);
    return s;
}

void bli_cmvm_columns_free(bli_cmvm_columns *c)
{
    bli_free(c->ctx, c->range);
    bli_free(c->ctx, c->matrix);
    bli_free(c->ctx, c->constant);
    bli_free(c->ctx, c->columns);
    bli_free(c->ctx, c->of);
    bli_free(c->ctx, c->shift);
    bli_free(c->ctx, c->negative);
    *c = (bli_cmvm_columns){.ctx = c->ctx};
}
