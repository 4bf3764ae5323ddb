/* channels_body.h: one scale per channel, for one real type; included by quantize.c after quantize_body.h.
 *
 * With channels last, step and ends are laid out for a tile of several rows, or of part of a long one.  Codes that
 * saturate take the loops that have all of them per element; other kinds with a loop are divided by the steps,
 * quantized with scale 1, and multiplied again.  Everything else is one call per channel.
 */

enum { NAME(TILE) = 1024 };

typedef enum NAME(way) { NAME(CALLS), NAME(EACH), NAME(SCALED) } NAME(way);

typedef struct NAME(tile) {
    NAME(way) way;
    size_t rows; /* of channels elements each */
    REAL step[NAME(TILE)], lo[NAME(TILE)], hi[NAME(TILE)];
} NAME(tile);

/* How this format may go with a tile, if its steps allow it. */
static NAME(way) NAME(way_of)(const bl_format *f, const int64_t *zero, const bli_stream *rng)
{
    bool clamps = f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
    if (bli_family_of(f)->has_step && clamps && f->bits < SIGNIFICAND)
        return NAME(EACH);
    if (f->kind == BL_FORMAT_MX || bli_family_of(f)->unit_exp(f) != 0 || zero != NULL)
        return NAME(CALLS);
    NAME(path) path = NAME(plan_of)(f, 1, 0, rng).path;
    return path == NAME(CODES) || path == NAME(FLOATS) ? NAME(SCALED) : NAME(CALLS);
}

/* One channel's entry; false where one call per channel has a meaning of its own. */
static bool NAME(tile_entry)(NAME(tile) * t, size_t i, const bl_format *f, REAL step, int64_t least, int64_t greatest)
{
    const REAL limit = (REAL)((int64_t)1 << (SIGNIFICAND - 2));
    t->step[i] = step;
    t->lo[i] = (REAL)least;
    t->hi[i] = (REAL)greatest;
    if (t->way == NAME(EACH) && !(t->lo[i] >= -limit && t->lo[i] <= 0 && t->hi[i] >= 0 && t->hi[i] <= limit))
        return false;
    return step >= REAL_LEAST && step <= REAL_MOST && (step <= 1 || f->rounding != BL_TRN);
}

static void NAME(tile_fill)(NAME(tile) * t, const bl_format *f, const REAL *scale, const int64_t *zero,
                            const bli_stream *rng, size_t channels, size_t outer)
{
    t->way = channels > 0 && channels <= NAME(TILE) ? NAME(way_of)(f, zero, rng) : NAME(CALLS);
    if (t->way == NAME(CALLS))
        return;
    const bool each = t->way == NAME(EACH);
    const REAL unit = (REAL)ldexp(1, bli_family_of(f)->unit_exp(f));
    const int64_t least = each ? (int64_t)bli_code_least(f) : 0, greatest = each ? (int64_t)bli_code_greatest(f) : 0;
    for (size_t c = 0; c < channels; c++) {
        int64_t z = zero != NULL ? zero[c] : 0;
        if (!NAME(tile_entry)(t, c, f, scale[c] * unit, least - z, greatest - z)) {
            t->way = NAME(CALLS);
            return;
        }
    }
    t->rows = NAME(TILE) / channels < outer ? NAME(TILE) / channels : outer;
    for (size_t have = channels, all = t->rows * channels; have < all; have *= 2) { /* doubling */
        size_t more = have < all - have ? have : all - have;
        memcpy(t->step + have, t->step, more * sizeof *t->step);
        memcpy(t->lo + have, t->lo, more * sizeof *t->lo);
        memcpy(t->hi + have, t->hi, more * sizeof *t->hi);
    }
}

static void NAME(quotients)(const NAME(tile) * t, const REAL *x, REAL *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = x[i] / t->step[i];
}

/* n elements, at most the tile's. */
static void NAME(tile_quantize)(const NAME(tile) * t, const bl_format *f, const bli_stream *rng, uint64_t first,
                                const REAL *x, REAL *y, size_t n, bli_isa isa)
{
    REAL v[NAME(TILE)];
    if (t->way == NAME(EACH)) {
        NAME(bli_quantize_each)(f->rounding, t->step, t->lo, t->hi, rng, first, x, y, n, isa);
        return;
    }
    NAME(quotients)(t, x, v, n);
    NAME(bli_quantize)(f, 1, 0, rng, first, v, v, n, isa);
    for (size_t i = 0; i < n; i++)
        y[i] = v[i] * t->step[i];
}

static void NAME(tile_grad)(const NAME(tile) * t, const bl_format *f, const bli_stream *rng, uint64_t first,
                            const REAL *x, const REAL *dy, REAL *dx, size_t n, bli_isa isa)
{
    REAL v[NAME(TILE)];
    if (t->way == NAME(EACH)) {
        NAME(bli_quantize_grad_each)(f->rounding, t->step, t->lo, t->hi, rng, first, x, dy, dx, n, isa);
        return;
    }
    NAME(quotients)(t, x, v, n);
    NAME(bli_quantize_grad)(f, 1, 0, rng, first, v, dy, dx, n, isa);
}

void NAME(bli_quantize_channels)(const bl_format *f, const REAL *scale, const int64_t *zero, const bli_stream *rng,
                                 uint64_t first, const REAL *x, REAL *y, size_t outer, size_t channels, size_t inner,
                                 bli_isa isa)
{
    if (inner == 1 && channels > NAME(TILE)) {
        for (size_t at = 0, n; at < outer * channels; at += n) {
            const size_t c = at % channels;
            n = channels - c < NAME(TILE) ? channels - c : NAME(TILE);
            NAME(bli_quantize_channels)
            (f, scale + c, zero != NULL ? zero + c : NULL, rng, first + at, x + at, y + at, 1, n, 1, isa);
        }
        return;
    }
    NAME(tile) t;
    t.way = NAME(CALLS);
    if (inner == 1)
        NAME(tile_fill)(&t, f, scale, zero, rng, channels, outer);
    if (t.way != NAME(CALLS)) {
        for (size_t o = 0; o < outer; o += t.rows) {
            size_t rows = outer - o < t.rows ? outer - o : t.rows, at = o * channels;
            NAME(tile_quantize)(&t, f, rng, first + at, x + at, y + at, rows * channels, isa);
        }
        return;
    }
    for (size_t i = 0; i < outer * channels; i++) {
        size_t c = i % channels, at = i * inner;
        NAME(bli_quantize)
        (f, (double)scale[c], zero != NULL ? zero[c] : 0, rng, first + at, x + at, y + at, inner, isa);
    }
}

void NAME(bli_quantize_grad_channels)(const bl_format *f, const REAL *scale, const int64_t *zero, const bli_stream *rng,
                                      uint64_t first, const REAL *x, const REAL *dy, REAL *dx, size_t outer,
                                      size_t channels, size_t inner, bli_isa isa)
{
    if (inner == 1 && channels > NAME(TILE)) {
        for (size_t at = 0, n; at < outer * channels; at += n) {
            const size_t c = at % channels;
            n = channels - c < NAME(TILE) ? channels - c : NAME(TILE);
            NAME(bli_quantize_grad_channels)
            (f, scale + c, zero != NULL ? zero + c : NULL, rng, first + at, x + at, dy + at, dx + at, 1, n, 1, isa);
        }
        return;
    }
    NAME(tile) t;
    t.way = NAME(CALLS);
    if (inner == 1)
        NAME(tile_fill)(&t, f, scale, zero, rng, channels, outer);
    if (t.way != NAME(CALLS)) {
        for (size_t o = 0; o < outer; o += t.rows) {
            size_t rows = outer - o < t.rows ? outer - o : t.rows, at = o * channels;
            NAME(tile_grad)(&t, f, rng, first + at, x + at, dy + at, dx + at, rows * channels, isa);
        }
        return;
    }
    for (size_t i = 0; i < outer * channels; i++) {
        size_t c = i % channels, at = i * inner;
        NAME(bli_quantize_grad)
        (f, (double)scale[c], zero != NULL ? zero[c] : 0, rng, first + at, x + at, dy + at, dx + at, inner, isa);
    }
}
