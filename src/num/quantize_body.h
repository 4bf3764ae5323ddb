/* quantize_body.h: which loop serves a format, for one real type; included by quantize.c with REAL, NAME and the like
 * defined.
 *
 * A plan is made per call, a few dozen instructions.  In order of preference: copy (float32), the loops of kernels.h,
 * the same loops in double (float only), one value at a time by the definition.
 */

/* Chunks live on the stack: random bits, quotients of a scale that is no power of two. */
enum { NAME(CHUNK) = 512 };

typedef enum NAME(path) {
    NAME(COPY),
    NAME(CODES),
    NAME(FLOATS),
    NAME(SAME_RANGE), /* floats with the carrier's exponents */
    NAME(POWERS),
    NAME(SIGNS),
    NAME(WIDER),
    NAME(SLOW)
} NAME(path);

typedef struct NAME(plan) {
    NAME(path) path;
    bl_format f; /* STOCHASTIC without a stream replaced */
    bool draw, divide;
    REAL scale; /* divide: by this before, times this after */
    bli_end end;
    NAME(bli_codes) codes;
    NAME(bli_floats) floats;
    NAME(bli_powers) powers;
} NAME(plan);

/* Codes without a zero point lie in [lo, hi] after clamping; false when a loop cannot hold them. */
static bool NAME(plan_codes)(NAME(plan) * p, int64_t zero)
{
    /* cutting to halves and adding one needs a bit more room */
    bool halves = p->f.rounding == BL_RND || p->f.rounding == BL_RND_ZERO || p->f.rounding == BL_RND_INF ||
                  p->f.rounding == BL_RND_MIN_INF;
    /* as does twice the range of folding */
    bool folds = p->f.overflow == BL_WRAP_SM;
    const bli_wide limit = (bli_wide)1 << (SIGNIFICAND - 1 - halves - 2 * folds);
    bli_wide lo = bli_code_least(&p->f) - zero, hi = bli_code_greatest(&p->f) - zero;
    static const int ends[BL_OVERFLOW_COUNT] = {
        [BL_WRAP] = BLI_END_WRAP,     [BL_SAT] = BLI_END_CLAMP,    [BL_SAT_ZERO] = BLI_END_ZERO,
        [BL_SAT_SYM] = BLI_END_CLAMP, [BL_WRAP_SM] = BLI_END_FOLD, [BL_INF] = BLI_END_COUNT};
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

static NAME(path) NAME(plan_floats)(NAME(plan) * p)
{
    bli_float_layout l = bli_float_layout_of(&p->f);
    int m = p->f.mantissa_bits;
    p->floats.greatest = (REAL)l.greatest;
    p->floats.over = p->f.overflow != BL_INF ? p->floats.greatest : l.has_inf ? (REAL)HUGE_VAL : (REAL)NAN;
    p->floats.nan = l.has_nan ? (REAL)NAN : p->floats.greatest;
    if (l.bias == BIAS && m < SIGNIFICAND && l.greatest_exp <= BIAS) {
        p->floats.cut = (UINT)(SIGNIFICAND - 1 - m);
        return NAME(SAME_RANGE);
    }
    if (m > SIGNIFICAND - 2 || l.least_exp - m < LEAST_ULP || l.greatest_exp > -LEAST_ULP)
        return NAME(WIDER);
    p->floats.least = (UINT)(l.least_exp + BIAS) << (SIGNIFICAND - 1);
    p->floats.most = (UINT)(l.greatest_exp + 1 + BIAS) << (SIGNIFICAND - 1);
    p->floats.mantissa = (UINT)m << (SIGNIFICAND - 1);
    return NAME(FLOATS);
}

static NAME(path) NAME(plan_powers)(NAME(plan) * p)
{
    int half = 1 << (p->f.bits - p->f.is_signed - 1);
    if (half >= BIAS)
        return NAME(SLOW);
    p->powers.least = (UINT)(BIAS - half) << (SIGNIFICAND - 1);
    p->powers.most = (UINT)(BIAS + half - 1) << (SIGNIFICAND - 1);
    p->powers.sign = p->f.is_signed;
    return NAME(POWERS);
}

static NAME(path) NAME(plan_path)(NAME(plan) * p, int64_t zero)
{
    switch (p->f.kind) {
    case BL_FORMAT_FLOAT32:
        return NAME(COPY);
    case BL_FORMAT_BINARY:
        return NAME(SIGNS);
    case BL_FORMAT_FLOAT:
        return NAME(plan_floats)(p);
    case BL_FORMAT_PO2:
        return NAME(plan_powers)(p);
    case BL_FORMAT_MX:
        return NAME(SLOW);
    default:
        return NAME(plan_codes)(p, zero) ? NAME(CODES) : NAME(WIDER);
    }
}

/* Whether times 2^-exponent before and 2^exponent after are exact wherever it matters. */
static bool NAME(power_fits)(const NAME(plan) * p, int exponent)
{
    if (exponent <= -BIAS || exponent >= BIAS)
        return false;
    if (p->path == NAME(SAME_RANGE))
        return exponent == 0;
    if (p->path == NAME(POWERS)) /* signs must not vanish, nor results */
        return exponent <= 0 && exponent - (1 << (p->f.bits - p->f.is_signed - 1)) > -BIAS;
    const REAL most = p->path == NAME(FLOATS)      ? p->floats.greatest
                      : p->codes.hi > -p->codes.lo ? p->codes.hi
                                                   : -p->codes.lo;
    if (most > 0 && ilogb((double)most) + exponent > BIAS) /* results above the carrier's greatest are cut */
        return false;
    return exponent <= 0 || p->f.rounding != BL_TRN; /* only TRN looks at what vanishes */
}

static void NAME(plan_scale)(NAME(plan) * p, REAL step)
{
    p->codes.step = p->floats.step = p->powers.step = step;
    p->codes.inverse = p->floats.inverse = p->powers.inverse = 1 / step;
}

static NAME(plan) NAME(plan_of)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng)
{
    NAME(plan) p = {.f = without_draw(f, rng != NULL), .draw = rng != NULL && f->rounding == BL_STOCHASTIC};
    int unit = bli_family_of(f)->unit_exp(f), exponent;
    bool power = frexp(scale, &exponent) == 0.5;
    exponent += unit - 1;
    p.path = NAME(plan_path)(&p, zero);
    p.scale = (REAL)ldexp((double)(REAL)scale, unit);
    p.divide = !power || p.path == NAME(SIGNS);
    NAME(plan_scale)(&p, 1);
    if (p.path == NAME(COPY) || p.path == NAME(SIGNS))
        return p;
    if (power && !NAME(power_fits)(&p, exponent))
        p.path = NAME(WIDER);
    else if (power) {
        NAME(plan_scale)(&p, (REAL)ldexp(1, exponent));
        p.floats.nan *= p.floats.step;
    }
    if (!power && p.path == NAME(POWERS)) /* a vanishing quotient would lose its sign */
        p.path = NAME(SLOW);
    if (p.path == NAME(WIDER))
        p.path = power && sizeof(REAL) < sizeof(double) ? NAME(WIDER) : NAME(SLOW);
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
    const bl_rounding q = p->f.rounding;
    if (p->path == NAME(CODES))
        k->codes[q][p->end](&p->codes, x, y, random, n);
    else if (p->path == NAME(FLOATS))
        k->floats[q](&p->floats, x, y, random, n);
    else if (p->path == NAME(SAME_RANGE))
        k->same_range[q](&p->floats, x, y, random, n);
    else if (p->path == NAME(POWERS))
        k->powers[q](&p->powers, x, y, random, n);
    else
        k->sign_draw(1, x, y, random, n);
}

/* In chunks, where something besides x and y is needed. */
static void NAME(loop_chunks)(const NAME(plan) * p, const NAME(bli_num_kernels) * k, const bli_stream *rng,
                              uint64_t first, const REAL *x, REAL *y, size_t n, bli_isa isa)
{
    uint32_t random[NAME(CHUNK)];
    REAL quotient[NAME(CHUNK)];
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (p->draw)
            bli_random_fill_of[isa](rng, first + i, random, m);
        if (p->divide) {
            k->divide(p->scale, x + i, quotient, m);
            NAME(loop)(p, k, quotient, quotient, random, m);
            k->multiply(p->scale, quotient, y + i, m);
        } else {
            NAME(loop)(p, k, x + i, y + i, random, m);
        }
    }
}

/* One chunk; v: quotients where the plan divides, else x. */
static void NAME(grad_loop)(const NAME(plan) * p, const NAME(bli_num_kernels) * k, const REAL *v, const REAL *dy,
                            REAL *dx, const uint32_t *random, size_t n)
{
    const bl_rounding q = p->f.rounding;
    if (p->path == NAME(CODES)) {
        k->codes_grad[q](&p->codes, v, dy, dx, random, n);
    } else if (p->path == NAME(FLOATS)) {
        k->floats_grad[q](&p->floats, v, dy, dx, random, n);
    } else if (p->path == NAME(POWERS)) {
        k->powers_grad[q](&p->powers, v, dy, dx, random, n);
    } else { /* the same range: whatever overflows becomes NaN */
        REAL y[NAME(CHUNK)];
        NAME(bli_floats) floats = p->floats;
        floats.over = floats.nan = (REAL)NAN;
        k->same_range[q](&floats, v, y, random, n);
        for (size_t i = 0; i < n; i++)
            dx[i] = y[i] == y[i] ? dy[i] : 0;
    }
}

/* In mx_body.h, which needs what is here. */
static void NAME(mx_grad_row)(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const REAL *x,
                              const REAL *dy, REAL *dx, size_t n, bli_isa isa);

void NAME(bli_quantize)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                        const REAL *x, REAL *y, size_t n, bli_isa isa)
{
    if (f->kind == BL_FORMAT_MX) {
        NAME(bli_quantize_lines)(f, scale, rng, first, x, y, 1, n, 1, isa);
        return;
    }
    const NAME(plan) p = NAME(plan_of)(f, scale, zero, rng);
    const NAME(bli_num_kernels) *k = KERNELS[isa];
    if (p.path == NAME(COPY))
        NAME(copy)(x, y, n);
    else if (p.path == NAME(SIGNS) && !p.draw)
        k->sign((REAL)scale, x, y, n);
    else if (p.path == NAME(WIDER))
        NAME(wider)(&p.f, scale, zero, rng, first, x, y, n, isa);
    else if (p.path == NAME(SLOW))
        NAME(slow)(&p, scale, zero, rng, first, x, y, n);
    else if (p.draw || p.divide)
        NAME(loop_chunks)(&p, k, rng, first, x, y, n, isa);
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
    NAME(bli_quantize_lines)(f, scale, rng, first, x, y, rows, row, 1, isa);
}

void NAME(bli_quantize_each)(bl_rounding rounding, const REAL *step, const REAL *lo, const REAL *hi,
                             const bli_stream *rng, uint64_t first, const REAL *x, REAL *y, size_t n, bli_isa isa)
{
    const NAME(bli_num_kernels) *k = KERNELS[isa];
    uint32_t random[NAME(CHUNK)];
    if (rounding == BL_STOCHASTIC && rng == NULL)
        rounding = BL_RND_CONV;
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (rounding == BL_STOCHASTIC)
            bli_random_fill_of[isa](rng, first + i, random, m);
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

static void NAME(grad_chunks)(const NAME(plan) * p, const bli_stream *rng, uint64_t first, const REAL *x,
                              const REAL *dy, REAL *dx, size_t n, bli_isa isa)
{
    const NAME(bli_num_kernels) *k = KERNELS[isa];
    uint32_t random[NAME(CHUNK)];
    REAL quotient[NAME(CHUNK)];
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (p->draw)
            bli_random_fill_of[isa](rng, first + i, random, m);
        if (p->divide)
            k->divide(p->scale, x + i, quotient, m);
        NAME(grad_loop)(p, k, p->divide ? quotient : x + i, dy + i, dx + i, random, m);
    }
}

void NAME(bli_quantize_grad)(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                             const REAL *x, const REAL *dy, REAL *dx, size_t n, bli_isa isa)
{
    if (f->kind == BL_FORMAT_MX) {
        NAME(mx_grad_row)(f, scale, rng, first, x, dy, dx, n, isa);
        return;
    }
    const NAME(plan) p = NAME(plan_of)(f, scale, zero, rng);
    if (f->kind == BL_FORMAT_FLOAT32 || f->overflow == BL_WRAP || f->overflow == BL_WRAP_SM) {
        if (dx != dy)
            memmove(dx, dy, n * sizeof *dx);
        return;
    }
    if (p.path == NAME(SIGNS))
        KERNELS[isa]->sign_grad((REAL)scale, x, dy, dx, n);
    else if (p.path != NAME(WIDER) && p.path != NAME(SLOW))
        NAME(grad_chunks)(&p, rng, first, x, dy, dx, n, isa);
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
        NAME(mx_grad_row)(f, scale, rng, first + r * row, x + r * row, dy + r * row, dx + r * row, row, isa);
}

void NAME(bli_quantize_grad_each)(bl_rounding rounding, const REAL *step, const REAL *lo, const REAL *hi,
                                  const bli_stream *rng, uint64_t first, const REAL *x, const REAL *dy, REAL *dx,
                                  size_t n, bli_isa isa)
{
    const NAME(bli_num_kernels) *k = KERNELS[isa];
    uint32_t random[NAME(CHUNK)];
    if (rounding == BL_STOCHASTIC && rng == NULL)
        rounding = BL_RND_CONV;
    for (size_t i = 0; i < n; i += NAME(CHUNK)) {
        size_t m = n - i < NAME(CHUNK) ? n - i : NAME(CHUNK);
        if (rounding == BL_STOCHASTIC)
            bli_random_fill_of[isa](rng, first + i, random, m);
        k->each_grad[rounding](step + i, lo + i, hi + i, x + i, dy + i, dx + i, random, m);
    }
}
