/* quantize_body.h: which loop serves a format, for one real type; included by quantize.c with REAL, NAME and the like
 * defined.
 *
 * A plan is made per call, a few dozen instructions.  In order of preference: copy (float32), the loops of kernels.h,
 * the same loops in double (float only), one value at a time by the definition.
 */

/* Chunks live on the stack: random bits, quotients of a scale that is no power of two. */
enum { NAME(CHUNK) = 512 };

typedef enum NAME(path) { NAME(COPY), NAME(CODES), NAME(FLOATS), NAME(SIGNS), NAME(WIDER), NAME(SLOW) } NAME(path);

typedef struct NAME(plan) {
    NAME(path) path;
    bl_format f; /* STOCHASTIC without a stream replaced */
    bool draw, divide;
    REAL scale; /* divide: by this before, times this after */
    bli_end end;
    NAME(bli_codes) codes;
    NAME(bli_floats) floats;
} NAME(plan);

/* Codes without a zero point lie in [lo, hi] after clamping; false when a loop cannot hold them. */
static bool NAME(plan_codes)(NAME(plan) * p, int64_t zero)
{
    /* cutting to halves and adding one needs a bit more room */
    bool halves = p->f.rounding == BL_RND || p->f.rounding == BL_RND_ZERO || p->f.rounding == BL_RND_INF ||
                  p->f.rounding == BL_RND_MIN_INF;
    const bli_wide limit = (bli_wide)1 << (SIGNIFICAND - 1 - halves);
    bli_wide lo = bli_code_least(&p->f) - zero, hi = bli_code_greatest(&p->f) - zero;
    static const int ends[BL_OVERFLOW_COUNT] = {
        [BL_WRAP] = BLI_END_WRAP,     [BL_SAT] = BLI_END_CLAMP,     [BL_SAT_ZERO] = BLI_END_ZERO,
        [BL_SAT_SYM] = BLI_END_CLAMP, [BL_WRAP_SM] = BLI_END_COUNT, [BL_INF] = BLI_END_COUNT};
    p->end = (bli_end)ends[p->f.overflow];
    if (lo < -limit || hi >= limit || lo > 0 || hi < 0 || p->end == BLI_END_COUNT)
        return false;
    if (p->end != BLI_END_CLAMP && zero != 0)
        return false;
    p->codes.lo = (REAL)(int64_t)lo;
    p->codes.hi = (REAL)(int64_t)hi;
    p->codes.modulus = (REAL)((int64_t)1 << p->f.bits);
    p->codes.inverse_modulus = 1 / p->codes.modulus;
    return true;
}

static bool NAME(plan_floats)(NAME(plan) * p)
{
    bli_float_layout l = bli_float_layout_of(&p->f);
    int m = p->f.mantissa_bits;
    if (m > SIGNIFICAND - 2 || l.least_exp - m < LEAST_ULP || l.greatest_exp > -LEAST_ULP)
        return false;
    REAL nan = l.has_nan ? (REAL)NAN : (REAL)l.greatest;
    p->floats.greatest = (REAL)l.greatest;
    p->floats.over = p->f.overflow != BL_INF ? p->floats.greatest : l.has_inf ? (REAL)HUGE_VAL : (REAL)NAN;
    p->floats.nan = nan;
    p->floats.least = (UINT)(l.least_exp + BIAS) << (SIGNIFICAND - 1);
    p->floats.most = (UINT)(l.greatest_exp + 1 + BIAS) << (SIGNIFICAND - 1);
    p->floats.mantissa = (UINT)m << (SIGNIFICAND - 1);
    return true;
}

static NAME(path) NAME(plan_path)(NAME(plan) * p, int64_t zero)
{
    switch (p->f.kind) {
    case BL_FORMAT_FLOAT32:
        return NAME(COPY);
    case BL_FORMAT_BINARY:
        return p->f.rounding == BL_STOCHASTIC ? NAME(SLOW) : NAME(SIGNS);
    case BL_FORMAT_FLOAT:
        return NAME(plan_floats)(p) ? NAME(FLOATS) : NAME(WIDER);
    case BL_FORMAT_PO2:
    case BL_FORMAT_MX:
        return NAME(SLOW);
    default:
        return NAME(plan_codes)(p, zero) ? NAME(CODES) : NAME(WIDER);
    }
}

static NAME(plan) NAME(plan_of)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng)
{
    NAME(plan) p = {.f = bli_without_draw(f, rng != NULL), .draw = rng != NULL && f->rounding == BL_STOCHASTIC};
    int unit = bli_family_of(f)->unit_exp(f), exponent;
    bool power = frexp(scale, &exponent) == 0.5;
    exponent += unit - 1;
    REAL step = power ? (REAL)1 : (REAL)scale, inverse = 1;
    p.path = NAME(plan_path)(&p, zero);
    p.divide = !power;
    p.scale = (REAL)ldexp((double)step, unit);
    if (power) {
        /* a tiny x may vanish in x * inverse below the normal numbers: only TRN would notice */
        bool fits = exponent > -BIAS && exponent < BIAS && (exponent <= 0 || p.f.rounding != BL_TRN);
        step = fits ? (REAL)ldexp(1, exponent) : 1;
        inverse = 1 / step;
        p.path = fits || p.path == NAME(COPY) || p.path == NAME(SLOW) ? p.path : NAME(WIDER);
        p.scale = step;
    }
    if (p.path == NAME(WIDER))
        p.path = power && sizeof(REAL) < sizeof(double) ? NAME(WIDER) : NAME(SLOW);
    p.codes.inverse = p.floats.inverse = inverse;
    p.codes.step = p.floats.step = p.divide ? 1 : step;
    p.floats.nan = p.divide ? p.floats.nan : p.floats.nan * step;
    return p;
}

static void NAME(slow)(const NAME(plan) * p, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                       const REAL *x, REAL *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t random = p->draw ? bli_stream_u32(rng, first + i) : 0;
        y[i] = NAME(bli_quantize_reference)(&p->f, scale, zero, p->draw, random, x[i], NULL);
    }
}

static void NAME(loop)(const NAME(plan) * p, const NAME(bli_num_kernels) * k, const REAL *x, REAL *y,
                       const uint32_t *random, size_t n)
{
    if (p->path == NAME(CODES))
        k->codes[p->f.rounding][p->end](&p->codes, x, y, random, n);
    else
        k->floats[p->f.rounding](&p->floats, x, y, random, n);
}

/* In chunks, where something besides x and y is needed. */
static void NAME(loop_chunks)(const NAME(plan) * p, const NAME(bli_num_kernels) * k, const bli_stream *rng,
                              uint64_t first, const REAL *x, REAL *y, size_t n)
{
    uint32_t random[NAME(CHUNK)];
    REAL quotient[NAME(CHUNK)];
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (p->draw)
            bli_stream_fill(rng, first + i, random, m);
        if (p->divide) {
            k->divide(p->scale, x + i, quotient, m);
            NAME(loop)(p, k, quotient, quotient, random, m);
            k->multiply(p->scale, quotient, y + i, m);
        } else {
            NAME(loop)(p, k, x + i, y + i, random, m);
        }
    }
}

static void NAME(mx_row)(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const REAL *x,
                         REAL *y, size_t n, bli_isa isa)
{
    const bl_format element = bli_mx_element(f);
    for (size_t i = 0; i < n; i += (size_t)f->block) {
        size_t m = n - i < (size_t)f->block ? n - i : (size_t)f->block;
        double block_scale = ldexp(scale, NAME(block_exponent)(f, scale, x + i, m, isa));
        NAME(bli_quantize)(&element, block_scale, 0, rng, first + i, x + i, y + i, m, isa);
    }
}

void NAME(bli_quantize)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                        const REAL *x, REAL *y, size_t n, bli_isa isa)
{
    if (f->kind == BL_FORMAT_MX) {
        NAME(mx_row)(f, scale, rng, first, x, y, n, isa);
        return;
    }
    const NAME(plan) p = NAME(plan_of)(f, scale, zero, rng);
    const NAME(bli_num_kernels) *k = NAME(kernels)[isa];
    if (p.path == NAME(COPY))
        NAME(copy)(x, y, n);
    else if (p.path == NAME(SIGNS))
        k->sign((REAL)scale, x, y, n);
    else if (p.path == NAME(WIDER))
        NAME(wider)(&p.f, scale, zero, rng, first, x, y, n, isa);
    else if (p.path == NAME(SLOW))
        NAME(slow)(&p, scale, zero, rng, first, x, y, n);
    else if (p.draw || p.divide)
        NAME(loop_chunks)(&p, k, rng, first, x, y, n);
    else
        NAME(loop)(&p, k, x, y, NULL, n);
}

void NAME(bli_quantize_rows)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                             const REAL *x, REAL *y, size_t rows, size_t row, bli_isa isa)
{
    if (f->kind != BL_FORMAT_MX) {
        NAME(bli_quantize)(f, scale, zero, rng, first, x, y, rows * row, isa);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        NAME(mx_row)(f, scale, rng, first + r * row, x + r * row, y + r * row, row, isa);
}

void NAME(bli_quantize_each)(bl_rounding rounding, const REAL *step, const REAL *lo, const REAL *hi,
                             const bli_stream *rng, uint64_t first, const REAL *x, REAL *y, size_t n, bli_isa isa)
{
    const NAME(bli_num_kernels) *k = NAME(kernels)[isa];
    uint32_t random[NAME(CHUNK)];
    if (rounding == BL_STOCHASTIC && rng == NULL)
        rounding = BL_RND_CONV;
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (rounding == BL_STOCHASTIC)
            bli_stream_fill(rng, first + i, random, m);
        k->each[rounding](step + i, lo + i, hi + i, x + i, y + i, random, m);
    }
}

/* ---- gradients ---------------------------------------------------------------------------------------------- */
static void NAME(grad_slow)(const NAME(plan) * p, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                            const REAL *x, const REAL *dy, REAL *dx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t random = p->draw ? bli_stream_u32(rng, first + i) : 0;
        bool clipped;
        (void)NAME(bli_quantize_reference)(&p->f, scale, zero, p->draw, random, x[i], &clipped);
        dx[i] = clipped ? 0 : dy[i];
    }
}

static void NAME(grad_chunks)(const NAME(plan) * p, const NAME(bli_num_kernels) * k, const bli_stream *rng,
                              uint64_t first, const REAL *x, const REAL *dy, REAL *dx, size_t n)
{
    uint32_t random[NAME(CHUNK)];
    REAL quotient[NAME(CHUNK)];
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        const REAL *v = x + i;
        if (p->draw)
            bli_stream_fill(rng, first + i, random, m);
        if (p->divide) {
            k->divide(p->scale, v, quotient, m);
            v = quotient;
        }
        if (p->path == NAME(CODES))
            k->codes_grad[p->f.rounding](&p->codes, v, dy + i, dx + i, random, m);
        else
            k->floats_grad[p->f.rounding](&p->floats, v, dy + i, dx + i, random, m);
    }
}

static void NAME(grad_mx_row)(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const REAL *x,
                              const REAL *dy, REAL *dx, size_t n, bli_isa isa)
{
    const bl_format element = bli_mx_element(f);
    for (size_t i = 0; i < n; i += (size_t)f->block) {
        size_t m = n - i < (size_t)f->block ? n - i : (size_t)f->block;
        double block_scale = ldexp(scale, NAME(block_exponent)(f, scale, x + i, m, isa));
        NAME(bli_quantize_grad)(&element, block_scale, 0, rng, first + i, x + i, dy + i, dx + i, m, isa);
    }
}

void NAME(bli_quantize_grad)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                             const REAL *x, const REAL *dy, REAL *dx, size_t n, bli_isa isa)
{
    if (f->kind == BL_FORMAT_MX) {
        NAME(grad_mx_row)(f, scale, rng, first, x, dy, dx, n, isa);
        return;
    }
    const NAME(plan) p = NAME(plan_of)(f, scale, zero, rng);
    if (f->kind == BL_FORMAT_FLOAT32 || f->overflow == BL_WRAP || f->overflow == BL_WRAP_SM) {
        if (dx != dy)
            memmove(dx, dy, n * sizeof *dx);
        return;
    }
    if (p.path == NAME(CODES) || p.path == NAME(FLOATS))
        NAME(grad_chunks)(&p, NAME(kernels)[isa], rng, first, x, dy, dx, n);
    else
        NAME(grad_slow)(&p, scale, zero, rng, first, x, dy, dx, n);
}

void NAME(bli_quantize_grad_rows)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                                  const REAL *x, const REAL *dy, REAL *dx, size_t rows, size_t row, bli_isa isa)
{
    if (f->kind != BL_FORMAT_MX) {
        NAME(bli_quantize_grad)(f, scale, zero, rng, first, x, dy, dx, rows * row, isa);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        NAME(grad_mx_row)(f, scale, rng, first + r * row, x + r * row, dy + r * row, dx + r * row, row, isa);
}

void NAME(bli_quantize_grad_each)(bl_rounding rounding, const REAL *step, const REAL *lo, const REAL *hi,
                                  const bli_stream *rng, uint64_t first, const REAL *x, const REAL *dy, REAL *dx,
                                  size_t n, bli_isa isa)
{
    const NAME(bli_num_kernels) *k = NAME(kernels)[isa];
    uint32_t random[NAME(CHUNK)];
    if (rounding == BL_STOCHASTIC && rng == NULL)
        rounding = BL_RND_CONV;
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (rounding == BL_STOCHASTIC)
            bli_stream_fill(rng, first + i, random, m);
        k->each_grad[rounding](step + i, lo + i, hi + i, x + i, dy + i, dx + i, random, m);
    }
}
