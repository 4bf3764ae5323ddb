/* channels_body.h: one scale per channel, for one real type; included by quantize.c after quantize_body.h.
 *
 * With channels last, step and ends are laid out for a tile of several rows and the loops that take all of them per
 * element run over it.
 */

enum { NAME(TILE) = 1024 };

typedef struct NAME(tile) {
    size_t rows; /* of channels elements each; 0: this format has no such loop */
    REAL step[NAME(TILE)], lo[NAME(TILE)], hi[NAME(TILE)];
} NAME(tile);

/* Whether the loops "each" have the same meaning as one call per channel. */
static bool NAME(tile_fits)(const bl_format *f, REAL step, REAL lo, REAL hi)
{
    const REAL limit = (REAL)((int64_t)1 << (SIGNIFICAND - 2));
    return lo >= -limit && lo <= 0 && hi >= 0 && hi <= limit && (step <= 1 || f->rounding != BL_TRN) &&
           step >= REAL_LEAST && step <= REAL_MOST;
}

static void NAME(tile_fill)(NAME(tile) * t, const bl_format *f, const REAL *scale, const int64_t *zero, size_t channels,
                            size_t outer)
{
    const bli_family *family = bli_family_of(f);
    bool clamps = f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
    t->rows = 0;
    if (!family->has_step || !clamps || channels > NAME(TILE) || f->bits > SIGNIFICAND)
        return;
    size_t rows = NAME(TILE) / channels;
    rows = rows < outer ? rows : outer;
    for (size_t i = 0; i < rows * channels; i++) {
        int64_t z = zero != NULL ? zero[i % channels] : 0;
        t->step[i] = (REAL)ldexp((double)scale[i % channels], family->unit_exp(f));
        t->lo[i] = (REAL)(int64_t)(bli_code_least(f) - z);
        t->hi[i] = (REAL)(int64_t)(bli_code_greatest(f) - z);
        if (!NAME(tile_fits)(f, t->step[i], t->lo[i], t->hi[i]))
            return;
    }
    t->rows = rows;
}

void NAME(bli_quantize_channels)(const bl_format *f, const REAL *scale, const int64_t *zero, const bli_stream *rng,
                                 uint64_t first, const REAL *x, REAL *y, size_t outer, size_t channels, size_t inner,
                                 bli_isa isa)
{
    NAME(tile) t;
    t.rows = 0;
    if (inner == 1 && channels > 0)
        NAME(tile_fill)(&t, f, scale, zero, channels, outer);
    if (t.rows > 0) {
        for (size_t o = 0; o < outer; o += t.rows) {
            size_t rows = outer - o < t.rows ? outer - o : t.rows, at = o * channels;
            NAME(bli_quantize_each)
            (f->rounding, t.step, t.lo, t.hi, rng, first + at, x + at, y + at, rows * channels, isa);
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
    NAME(tile) t;
    t.rows = 0;
    if (inner == 1 && channels > 0)
        NAME(tile_fill)(&t, f, scale, zero, channels, outer);
    if (t.rows > 0) {
        for (size_t o = 0; o < outer; o += t.rows) {
            size_t rows = outer - o < t.rows ? outer - o : t.rows, at = o * channels;
            NAME(bli_quantize_grad_each)
            (f->rounding, t.step, t.lo, t.hi, rng, first + at, x + at, dy + at, dx + at, rows * channels, isa);
        }
        return;
    }
    for (size_t i = 0; i < outer * channels; i++) {
        size_t c = i % channels, at = i * inner;
        NAME(bli_quantize_grad)
        (f, (double)scale[c], zero != NULL ? zero[c] : 0, rng, first + at, x + at, dy + at, dx + at, inner, isa);
    }
}
