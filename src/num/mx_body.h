/* mx_body.h: mx blocks, for one real type; included by quantize.c after quantize_body.h.
 *
 * One plan of the element with scale 1 serves all blocks of a call: a block's greatest magnitude gives its power of
 * two, which the loops of blocks_body.h take in place of the plan's.  A block of nothing but zeros takes 1 instead of
 * 2^-127, with the same result.  Blocks whose power has no normal number of the carrier or no normal inverse, and
 * elements without such a loop, take one call per block, or one value at a time.
 */

typedef struct NAME(mx) {
    NAME(plan) p;
    NAME(bli_shared) shared;
    bl_format format, element;
    double scale;
    const bli_stream *rng;
    bli_isa isa;
    bool fast;
} NAME(mx);

static UINT NAME(exponent_bits)(int exponent)
{
    return (UINT)(BIAS + exponent) << (SIGNIFICAND - 1);
}

static int NAME(lesser)(int a, int b)
{
    return a < b ? a : b;
}

/* Steps from 2^least to 2^most: normal, as their inverses, within E8M0, and with no element above the carrier's
 * greatest.  Only TRN looks at what vanishes when a step above 1 divides. */
static NAME(bli_shared) NAME(shared_of)(const bl_format *f, const bl_format *element)
{
    const int unit = bli_family_of(element)->unit_exp(element), emax = -bli_mx_exponent(f, 1);
    const int least = -NAME(lesser)(127 - unit, BIAS - 1);
    const int top = NAME(lesser)(NAME(lesser)(127, BIAS - emax) + unit, BIAS - 1);
    const int most = element->rounding == BL_TRN ? NAME(lesser)(top, 0) : top;
    const double lead = bli_mx_lead(f); /* below 2 or none */
    const UINT fraction = ((UINT)1 << (SIGNIFICAND - 1)) - 1;
    return (NAME(bli_shared)){.down = (UINT)(emax - unit) << (SIGNIFICAND - 1),
                              .lead = lead < 2 ? (UINT)ldexp(lead - 1, SIGNIFICAND - 1) : fraction,
                              .least = NAME(exponent_bits)(least),
                              .range = NAME(exponent_bits)(most) - NAME(exponent_bits)(least)};
}

static NAME(mx) NAME(mx_of)(const bl_format *f, double scale, const bli_stream *rng, bli_isa isa)
{
    NAME(mx) m = {.format = *f, .element = bli_mx_element(f), .scale = scale, .rng = rng, .isa = isa};
    m.shared = NAME(shared_of)(f, &m.element);
    m.p = NAME(plan_of)(&m.element, 1, 0, rng);
    m.fast = scale == 1 && ((m.p.path == NAME(CODES) && m.p.end == BLI_END_CLAMP) || m.p.path == NAME(FLOATS));
    m.p.floats.nan /= m.p.floats.step;
    return m;
}

/* A block as a plain call: any power, any length. */
static void NAME(mx_block)(const NAME(mx) * m, uint64_t first, const REAL *x, REAL *y, size_t n)
{
    const double most = (double)KERNELS[m->isa]->greatest_magnitude(x, n) / m->scale;
    const int shared = bli_mx_exponent(&m->format, most);
    NAME(bli_quantize)(&m->element, ldexp(m->scale, shared), 0, m->rng, first, x, y, n, m->isa);
}

/* ---- blocks that follow one another ------------------------------------------------------------------------- */
typedef struct NAME(chunk) {
    uint32_t size[NAME(CHUNK)], random[NAME(CHUNK)];
    REAL step[NAME(CHUNK)];
    size_t count, elements;
} NAME(chunk);

/* As many blocks as fit, from `at` on in its row; none when the next one is longer than a chunk. */
static void NAME(chunk_fill)(NAME(chunk) * c, size_t block, size_t row, size_t at, size_t left)
{
    c->count = c->elements = 0;
    while (left > 0) {
        const size_t n = row - at < block ? row - at : block;
        if (c->elements + n > NAME(CHUNK))
            return;
        c->size[c->count++] = (uint32_t)n;
        c->elements += n;
        left -= n;
        at = at + n == row ? 0 : at + n;
    }
}

static void NAME(chunk_loop)(const NAME(mx) * m, const NAME(chunk) * c, size_t from, size_t to, size_t at,
                             const REAL *x, REAL *y)
{
    const NAME(bli_num_kernels) *k = KERNELS[m->isa];
    const NAME(bli_blocks) blocks = {c->size + from, c->step + from, to - from};
    if (from == to)
        return;
    if (m->p.path == NAME(CODES))
        k->codes_blocks[m->p.f.rounding](&m->p.codes, &blocks, x + at, y + at, c->random + at);
    else
        k->floats_blocks[m->p.f.rounding](&m->p.floats, &blocks, x + at, y + at, c->random + at);
}

/* Runs of blocks between those that want a call of their own. */
static void NAME(chunk_runs)(const NAME(mx) * m, const NAME(chunk) * c, uint64_t first, const REAL *x, REAL *y)
{
    size_t from = 0, from_at = 0, at = 0;
    for (size_t b = 0; b < c->count; at += c->size[b++])
        if (c->step[b] == 0) {
            NAME(chunk_loop)(m, c, from, b, from_at, x, y);
            NAME(mx_block)(m, first + at, x + at, y + at, c->size[b]);
            from = b + 1;
            from_at = at + c->size[b];
        }
    NAME(chunk_loop)(m, c, from, c->count, from_at, x, y);
}

static void NAME(chunk_quantize)(const NAME(mx) * m, NAME(chunk) * c, uint64_t first, const REAL *x, REAL *y)
{
    if (m->p.draw)
        bli_random_fill_of[m->isa](m->rng, first, c->random, c->elements);
    if (KERNELS[m->isa]->steps_of_blocks(&m->shared, c->size, x, c->step, c->count))
        NAME(chunk_loop)(m, c, 0, c->count, 0, x, y);
    else
        NAME(chunk_runs)(m, c, first, x, y);
}

static void NAME(mx_rows)(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const REAL *x,
                          REAL *y, size_t rows, size_t row, bli_isa isa)
{
    const NAME(mx) m = NAME(mx_of)(f, scale, rng, isa);
    const size_t block = (size_t)f->block, total = rows * row;
    NAME(chunk) c;
    for (size_t i = 0, n; i < total; i += n) {
        const size_t at = i % row, rest = row - at;
        n = rest < block ? rest : block;
        if (m.fast && n <= NAME(CHUNK)) {
            NAME(chunk_fill)(&c, block, row, at, total - i);
            NAME(chunk_quantize)(&m, &c, first + i, x + i, y + i);
            n = c.elements;
        } else {
            NAME(mx_block)(&m, first + i, x + i, y + i, n);
        }
    }
}

static void NAME(mx_grad_row)(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const REAL *x,
                              const REAL *dy, REAL *dx, size_t n, bli_isa isa)
{
    const bl_format element = bli_mx_element(f);
    for (size_t i = 0, m; i < n; i += m) {
        m = n - i < (size_t)f->block ? n - i : (size_t)f->block;
        const int shared = bli_mx_exponent(f, (double)KERNELS[isa]->greatest_magnitude(x + i, m) / scale);
        NAME(bli_quantize_grad)(&element, ldexp(scale, shared), 0, rng, first + i, x + i, dy + i, dx + i, m, isa);
    }
}

/* ---- blocks that lie side by side --------------------------------------------------------------------------- */
static REAL NAME(greatest_strided)(const REAL *x, size_t n, size_t stride)
{
    REAL most = 0;
    for (size_t i = 0; i < n; i++) {
        const REAL v = x[i * stride] < 0 ? -x[i * stride] : x[i * stride];
        most = v > most && v - v == 0 ? v : most;
    }
    return most;
}

/* One block of n elements, stride apart, by the definition. */
static void NAME(mx_strided)(const NAME(mx) * m, uint64_t first, const REAL *x, REAL *y, size_t n, size_t stride)
{
    const double most = (double)NAME(greatest_strided)(x, n, stride) / m->scale;
    const double scale = ldexp(m->scale, bli_mx_exponent(&m->format, most));
    for (size_t i = 0, at = 0; i < n; i++, at += stride) {
        const uint32_t random = m->p.draw ? bli_stream_u32(m->rng, first + at) : 0;
        y[at] = NAME(bli_quantize_reference)(&m->element, scale, 0, m->p.draw, random, x[at], NULL);
    }
}

/* A panel of one block's height, at most a chunk wide; false when some column is not for the loops. */
static bool NAME(panel_steps)(const NAME(mx) * m, const REAL *x, REAL *step, size_t height, size_t width, size_t stride)
{
    UINT most[NAME(CHUNK)] = {0}, any[NAME(CHUNK)] = {0};
    for (size_t r = 0; r < height; r++)
        KERNELS[m->isa]->greatest_across(x + r * stride, most, any, width);
    return KERNELS[m->isa]->steps_across(&m->shared, most, any, step, width);
}

static void NAME(panel)(const NAME(mx) * m, uint64_t first, const REAL *x, REAL *y, size_t height, size_t width,
                        size_t stride)
{
    const NAME(bli_num_kernels) *k = KERNELS[m->isa];
    const bl_rounding q = m->p.f.rounding;
    uint32_t random[NAME(CHUNK)];
    REAL step[NAME(CHUNK)];
    if (!m->fast || !NAME(panel_steps)(m, x, step, height, width, stride)) {
        for (size_t c = 0; c < width; c++)
            NAME(mx_strided)(m, first + c, x + c, y + c, height, stride);
        return;
    }
    for (size_t r = 0; r < height; r++) {
        const size_t at = r * stride;
        if (m->p.draw)
            bli_random_fill_of[m->isa](m->rng, first + at, random, width);
        if (m->p.path == NAME(CODES))
            k->codes_across[q](&m->p.codes, step, x + at, y + at, random, width);
        else
            k->floats_across[q](&m->p.floats, step, x + at, y + at, random, width);
    }
}

void NAME(bli_quantize_lines)(const bl_format *f, double scale, const bli_stream *rng, uint64_t first, const REAL *x,
                              REAL *y, size_t outer, size_t length, size_t inner, bli_isa isa)
{
    const size_t block = (size_t)f->block;
    if (length == 1 || (inner == 1 && block == 1)) { /* all side by side */
        inner *= outer * length;
        outer = length = 1;
    } else if (inner == 1) {
        NAME(mx_rows)(f, scale, rng, first, x, y, outer, length, isa);
        return;
    }
    const NAME(mx) m = NAME(mx_of)(f, scale, rng, isa);
    for (size_t o = 0; o < outer; o++)
        for (size_t r = 0; r < length; r += block)
            for (size_t c = 0; c < inner; c += NAME(CHUNK)) {
                const size_t at = (o * length + r) * inner + c, height = length - r < block ? length - r : block;
                const size_t width = inner - c < NAME(CHUNK) ? inner - c : NAME(CHUNK);
                NAME(panel)(&m, first + at, x + at, y + at, height, width, inner);
            }
}
