/* product_template.h: the kernels of product.h, written once; included for each instruction set and carrier with REAL,
 * REAL_NAME and that instruction set's vec.h.  FINISHES: this carrier has bli_finish.
 *
 * A register tile holds R rows by V vectors of C in registers.  For every k it loads V vectors of B and, for each row,
 * one element of A, splat.  Tiles are generated for every R and V of BLI_TILE_LIST, so that any row count is cut into
 * tiles of nearly equal height.
 */
#include "op/kernels/product.h"

#define CAT_(a, b, c, d) a##b##c##d
#define CAT(a, b, c, d)  CAT_(a, b, c, d)
#define NAME(x)          CAT(x, _, REAL_NAME, )
#define VECTOR           CAT(bli_v, REAL_NAME, , )
#define MASK             CAT(bli_m, REAL_NAME, , )
#define OP(x)            CAT(bli_, REAL_NAME, _, x)
#define LANES            ((int)(BLI_VEC_BYTES / sizeof(REAL)))
#define INLINE           static inline __attribute__((always_inline))

#ifndef BLI_PRODUCT_TEMPLATE
#define BLI_PRODUCT_TEMPLATE
/* BLOCK_ROWS is a multiple of every tile's height. */
enum { MAX_TILE = 24, MAX_ROWS = 16, MAX_VECTORS = 4, SCATTER_ROWS = 10, BLOCK_ROWS = 48 };
static const int tile_rows[MAX_VECTORS] = BLI_TILE_ROWS;
/* Keeps the compiler from making one induction variable per row of A, more than there are registers. */
#define OPAQUE(p) __asm__("" : "+r"(p))

/* How many vectors wide the next tile is, of `left` still to do. */
static int tile_width(int64_t rows, int64_t left)
{
    if (rows <= tile_rows[3] && left >= 4)
        return 4;
    return left == 3 ? 3 : left >= 2 ? 2 : 1;
}

/* Height of the first of the tiles of nearly equal height that cover rows. */
static int tile_height(int64_t rows, int limit)
{
    if (rows <= limit)
        return (int)rows;
    const int64_t tiles = (rows + limit - 1) / limit;
    return (int)((rows + tiles - 1) / tiles);
}
#endif

/* ---- product ------------------------------------------------------------------------------------------------ */

#ifdef FINISHES
/* The sums of a tile that is stored `at` elements into C; what is done is the same for all of them. */
INLINE void NAME(finish_tile)(int R, int V, const bli_product *p, const REAL *bias, ptrdiff_t at, int tail, VECTOR *acc)
{
    const bli_finish *f = p->finish;
    const ptrdiff_t ldc = p->c_step[0];
    if (f->keep) {
#pragma GCC unroll 24
        for (int i = 0; i < R * V; i++)
            acc[i] = OP(kept)(acc[i], f->keep + at + i / V * ldc + i % V * LANES, i % V < V - 1 ? LANES : tail);
        return;
    }
#pragma GCC unroll 4
    for (int j = 0; bias && j < V; j++) {
        const VECTOR b = OP(load_n)(bias + j * LANES, OP(first)(j < V - 1 ? LANES : tail));
#pragma GCC unroll 16
        for (int r = 0; r < R; r++)
            acc[r * V + j] += b;
    }
    if (!f->codes)
        return;
    uint8_t *pass = f->pass;
    const VECTOR least = OP(splat)(0x1p-149f), most = OP(splat)(f->most), far = OP(splat)(f->far);
#pragma GCC unroll 24
    for (int i = 0; i < R * V; i++) {
        const VECTOR v = OP(clamp)(acc[i], least, most);
        if (pass)
            OP(store_equal)(pass + at + i / V * ldc + i % V * LANES, v, acc[i], i % V < V - 1 ? LANES : tail);
        acc[i] = (v + far) - far;
    }
}
#endif

INLINE void NAME(product_tile)(int R, int V, const bli_product *p, const REAL *a, const REAL *b, const REAL *bias,
                               REAL *c, int tail)
{
    const ptrdiff_t lda = p->a_step[0], ldc = p->c_step[0], panel = p->panel;
    const MASK mask = OP(first)(tail);
    VECTOR acc[MAX_TILE], bv[MAX_VECTORS];
#pragma GCC unroll 4
    for (int j = 0; j < V; j++) {
        VECTOR start = OP(splat)(0);
        if (bias && !p->finish)
            start = j < V - 1 ? OP(load)(bias + j * LANES) : OP(load_n)(bias + j * LANES, mask);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++)
            acc[r * V + j] = start;
    }
    for (int s = 0; s < p->num_spans; s++) {
        const REAL *as = a + p->spans[s].a, *bs = b + p->spans[s].b * LANES;
        for (int64_t k = 0; k < p->spans[s].len; k++, bs += LANES) {
            const REAL *row[(MAX_ROWS + 2) / 3]; /* every third row; the two behind it are one step away */
#pragma GCC unroll 6
            for (int r = 0; r < (R + 2) / 3; r++) {
                row[r] = r == 0 ? as + k : row[r - 1] + 3 * lda;
                OPAQUE(row[r]);
            }
#pragma GCC unroll 4
            for (int j = 0; j < V; j++)
                bv[j] = OP(load)(bs + j * panel);
#pragma GCC unroll 16
            for (int r = 0; r < R; r++) {
                const VECTOR av = OP(splat)(row[r / 3][(r % 3) * lda]);
#pragma GCC unroll 4
                for (int j = 0; j < V; j++)
                    acc[r * V + j] = OP(fma)(av, bv[j], acc[r * V + j]);
            }
        }
    }
#ifdef FINISHES
    if (p->finish)
        NAME(finish_tile)(R, V, p, bias, c - (const REAL *)p->c, tail, acc);
#endif
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int j = 0; j < V - 1; j++)
            OP(store)(c + r * ldc + j * LANES, acc[r * V + j]);
        OP(store_n)(c + r * ldc + (V - 1) * LANES, acc[r * V + V - 1], mask);
    }
}

typedef void (*NAME(product_fn))(const bli_product *p, const REAL *a, const REAL *b, const REAL *bias, REAL *c,
                                 int tail);
#define TILE(R, V)                                                                                                     \
    static void NAME(product_##R##x##V)(const bli_product *p, const REAL *a, const REAL *b, const REAL *bias, REAL *c, \
                                        int tail)                                                                      \
    {                                                                                                                  \
        NAME(product_tile)(R, V, p, a, b, bias, c, tail);                                                              \
    }
BLI_TILE_LIST(TILE)
#undef TILE
static const NAME(product_fn) NAME(product_tiles)[MAX_VECTORS][MAX_ROWS + 1] = {
#define TILE(R, V) [V - 1][R] = NAME(product_##R##x##V),
    BLI_TILE_LIST(TILE)
#undef TILE
};

/* All rows of the innermost loop for V vectors of columns. */
static void NAME(product_rows)(const bli_product *p, int V, const REAL *a, const REAL *b, const REAL *bias, REAL *c,
                               int tail)
{
    for (int64_t r = 0; r < p->rows[0];) {
        int R = tile_height(p->rows[0] - r, tile_rows[V - 1]);
        NAME(product_tiles)[V - 1][R](p, a + r * p->a_step[0], b, bias, c + r * p->c_step[0], tail);
        r += R;
    }
}

static void NAME(product)(const bli_product *p)
{
    const int64_t panels = (p->columns + LANES - 1) / LANES;
    for (int64_t j = 0; j < panels;) {
        const int V = tile_width(p->rows[0], panels - j);
        const int tail = j + V < panels ? LANES : (int)(p->columns - (panels - 1) * LANES);
        const REAL *b = (const REAL *)p->b + j * p->panel, *bias = p->bias ? (const REAL *)p->bias + j * LANES : NULL;
        for (int64_t r2 = 0; r2 < p->rows[2]; r2++)
            for (int64_t r1 = 0; r1 < p->rows[1]; r1++)
                NAME(product_rows)
        (p, V, (const REAL *)p->a + r2 * p->a_step[2] + r1 * p->a_step[1], b, bias,
         (REAL *)p->c + r2 * p->c_step[2] + r1 * p->c_step[1] + j * LANES, tail);
        j += V;
    }
}

/* Two vector loads or two multiply-adds a cycle, and a chain of four cycles. */
static int64_t NAME(row_cost)(int64_t rows, int64_t columns)
{
    int64_t cost = 0;
    for (int64_t left = (columns + LANES - 1) / LANES; left > 0;) {
        const int V = tile_width(rows, left);
        for (int64_t r = 0; r < rows;) {
            const int R = tile_height(rows - r, tile_rows[V - 1]), work = R * V > R + V ? R * V : R + V;
            cost += work > 8 ? work : 8;
            r += R;
        }
        left -= V;
    }
    return cost;
}

/* ---- outer -------------------------------------------------------------------------------------------------- */

INLINE void NAME(outer_load)(int R, int V, const bli_outer *o, const REAL *c, MASK mask, VECTOR *acc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int j = 0; j < V; j++)
            acc[r * V + j] = !o->add     ? OP(splat)(0)
                             : j < V - 1 ? OP(load)(c + r * o->c_step + j * LANES)
                                         : OP(load_n)(c + r * o->c_step + j * LANES, mask);
    }
}

INLINE void NAME(outer_store)(int R, int V, const bli_outer *o, REAL *c, MASK mask, const VECTOR *acc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int j = 0; j < V - 1; j++)
            OP(store)(c + r * o->c_step + j * LANES, acc[r * V + j]);
        OP(store_n)(c + r * o->c_step + (V - 1) * LANES, acc[r * V + V - 1], mask);
    }
}

/* Rows lie side by side in A (at == NULL) or R rows at the offsets at[]. */
INLINE void NAME(outer_tile)(int R, int V, const bli_outer *o, const REAL *a, const REAL *b, const ptrdiff_t *at,
                             REAL *c, int tail)
{
    const MASK mask = OP(first)(tail);
    VECTOR acc[MAX_TILE], bv[MAX_VECTORS];
    ptrdiff_t row[MAX_ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
        row[r] = at ? at[r] : r;
    NAME(outer_load)(R, V, o, c, mask, acc);
    for (int64_t p2 = 0; p2 < o->positions[2]; p2++)
        for (int64_t p1 = 0; p1 < o->positions[1]; p1++) {
            const REAL *ap = a + p2 * o->a_step[2] + p1 * o->a_step[1];
            const REAL *bp = b + p2 * o->b_step[2] + p1 * o->b_step[1];
            for (int64_t p0 = 0; p0 < o->positions[0]; p0++, ap += o->a_step[0], bp += o->b_step[0]) {
#pragma GCC unroll 4
                for (int j = 0; j < V; j++)
                    bv[j] = j < V - 1 ? OP(load)(bp + j * LANES) : OP(load_n)(bp + j * LANES, mask);
#pragma GCC unroll 16
                for (int r = 0; r < R; r++) {
                    const VECTOR av = OP(splat)(ap[at ? row[r] : r]);
#pragma GCC unroll 4
                    for (int j = 0; j < V; j++)
                        acc[r * V + j] = OP(fma)(av, bv[j], acc[r * V + j]);
                }
            }
        }
    NAME(outer_store)(R, V, o, c, mask, acc);
}

typedef void (*NAME(outer_fn))(const bli_outer *o, const REAL *a, const REAL *b, const ptrdiff_t *at, REAL *c,
                               int tail);
#define TILE(R, V)                                                                                                     \
    static void NAME(outer_##R##x##V)(const bli_outer *o, const REAL *a, const REAL *b, const ptrdiff_t *at, REAL *c,  \
                                      int tail)                                                                        \
    {                                                                                                                  \
        (void)at;                                                                                                      \
        NAME(outer_tile)(R, V, o, a, b, NULL, c, tail);                                                                \
    }
BLI_TILE_LIST(TILE)
#undef TILE
/* Scattered rows need one address register each: at most SCATTER_ROWS. */
#define SCATTER_LIST(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1)
#define TILE(R, V)                                                                                                     \
    static void NAME(scatter_##R##x##V)(const bli_outer *o, const REAL *a, const REAL *b, const ptrdiff_t *at,         \
                                        REAL *c, int tail)                                                             \
    {                                                                                                                  \
        NAME(outer_tile)(R, V, o, a, b, at, c, tail);                                                                  \
    }
SCATTER_LIST(TILE)
#undef TILE
static const NAME(outer_fn) NAME(outer_tiles)[MAX_VECTORS + 1][MAX_ROWS + 1] = {
#define TILE(R, V) [V][R] = NAME(outer_##R##x##V),
    BLI_TILE_LIST(TILE)
#undef TILE
#define TILE(R, V) [0][R] = NAME(scatter_##R##x##V),
        SCATTER_LIST(TILE)
#undef TILE
};

/* One tile's width of columns for rows m .. end - 1. */
static void NAME(outer_columns)(const bli_outer *o, int64_t m, int64_t end, int64_t j, int V, int tail)
{
    const int limit = o->row_at ? SCATTER_ROWS : tile_rows[V - 1];
    while (m < end) {
        const int R = tile_height(end - m, limit);
        NAME(outer_tiles)
        [o->row_at ? 0 : V][R](o, (const REAL *)o->a + (o->row_at ? 0 : m), (const REAL *)o->b + j * LANES,
                               o->row_at ? o->row_at + m : NULL, (REAL *)o->c + m * o->c_step + j * LANES, tail);
        m += R;
    }
}

/* Rows go in blocks, so that their part of A is still in the first cache for the next columns. */
static void NAME(outer)(const bli_outer *o)
{
    const int64_t vectors = (o->columns + LANES - 1) / LANES;
    const int last = (int)(o->columns - (vectors - 1) * LANES);
    for (int64_t m = 0; m < o->rows; m += BLOCK_ROWS) {
        const int64_t end = m + BLOCK_ROWS < o->rows ? m + BLOCK_ROWS : o->rows;
        for (int64_t j = 0; j < vectors;) {
            const int V = o->row_at ? 1 : tile_width(end - m, vectors - j);
            NAME(outer_columns)(o, m, end, j, V, j + V < vectors ? LANES : last);
            j += V;
        }
    }
}

/* ---- packing ------------------------------------------------------------------------------------------------ */

/* A square block turned over its diagonal: log2(LANES) riffles of the whole block rotate the bits of an element's
 * number by half their count, which exchanges row and column. */
INLINE void NAME(turn)(VECTOR *v)
{
    VECTOR t[LANES];
#pragma GCC unroll 4
    for (int n = 1; n < LANES; n *= 2) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES / 2; i++) {
            t[2 * i] = OP(low)(v[i], v[i + LANES / 2]);
            t[2 * i + 1] = OP(high)(v[i], v[i + LANES / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            v[i] = t[i];
    }
}

/* Loads rows x columns elements (at most LANES each) of a matrix and leaves its transpose in v. */
INLINE void NAME(load_turned)(const REAL *src, ptrdiff_t row_step, int rows, int columns, VECTOR *v)
{
    const MASK mask = OP(first)(columns);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        v[i] = i < rows ? OP(load_n)(src + i * row_step, mask) : OP(splat)(0);
    NAME(turn)(v);
}

static int NAME(at_most_lanes)(int64_t n)
{
    return n < LANES ? (int)n : LANES;
}

static REAL *NAME(packed_row)(const bli_pack *p, int64_t k)
{
    return (REAL *)p->panel + (k % p->inner * p->inner_step + k / p->inner * p->outer_step) * LANES;
}

static void NAME(pack_plain)(const bli_pack *p)
{
    for (int64_t k = 0; k < p->rows; k++)
        for (int64_t i = 0; i < LANES; i++)
            NAME(packed_row)
    (p, k)[i] = i < p->columns ? ((const REAL *)p->src)[k * p->row_step + i * p->column_step] : 0;
}

/* The two layouts that occur: columns side by side, or rows side by side. */
static void NAME(pack)(const bli_pack *p)
{
    VECTOR v[LANES];
    if (p->columns > 0 && p->column_step == 1 && p->inner >= p->rows) {
        const MASK mask = OP(first)((int)p->columns);
        REAL *to = p->panel;
        for (int64_t k = 0; k < p->rows; k++, to += p->inner_step * LANES)
            OP(store)(to, OP(load_n)((const REAL *)p->src + k * p->row_step, mask));
    } else if (p->columns > 0 && p->row_step == 1) {
        for (int64_t k = 0; k < p->rows; k += LANES) {
            const int rows = NAME(at_most_lanes)(p->rows - k);
            NAME(load_turned)((const REAL *)p->src + k, p->column_step, (int)p->columns, rows, v);
            for (int i = 0; i < rows; i++)
                OP(store)(NAME(packed_row)(p, k + i), v[i]);
        }
    } else {
        NAME(pack_plain)(p);
    }
}

/* ---- depthwise ---------------------------------------------------------------------------------------------- */

INLINE VECTOR NAME(depthwise_pixel)(const bli_depthwise *d, const REAL *x, int64_t ch, MASK mask, VECTOR acc)
{
    for (int t = 0; t < d->num_spans; t++)
        acc = OP(fma)(OP(load_n)(x + d->spans[t].a, mask),
                      OP(load_n)((const REAL *)d->w + d->spans[t].b * d->channels + ch, mask), acc);
    return acc;
}

/* Four pixels side by side: their chains of multiply-adds do not wait for each other. */
INLINE void NAME(depthwise_four)(const bli_depthwise *d, const REAL *x, REAL *y, int64_t ch, MASK mask, VECTOR start)
{
    VECTOR a = start, b = start, c = start, e = start;
    const ptrdiff_t step = d->x_step[0], to = d->y_step[0];
    for (int t = 0; t < d->num_spans; t++) {
        const VECTOR w = OP(load_n)((const REAL *)d->w + d->spans[t].b * d->channels + ch, mask);
        const REAL *from = x + d->spans[t].a;
        a = OP(fma)(OP(load_n)(from, mask), w, a);
        b = OP(fma)(OP(load_n)(from + step, mask), w, b);
        c = OP(fma)(OP(load_n)(from + 2 * step, mask), w, c);
        e = OP(fma)(OP(load_n)(from + 3 * step, mask), w, e);
    }
    OP(store_n)(y, a, mask);
    OP(store_n)(y + to, b, mask);
    OP(store_n)(y + 2 * to, c, mask);
    OP(store_n)(y + 3 * to, e, mask);
}

static void NAME(depthwise)(const bli_depthwise *d)
{
    const REAL *bias = d->bias;
    for (int64_t ch = 0; ch < d->channels; ch += LANES) {
        const MASK mask = OP(first)(d->channels - ch < LANES ? (int)(d->channels - ch) : LANES);
        const VECTOR start = bias ? OP(load_n)(bias + ch, mask) : OP(splat)(0);
        for (int64_t p2 = 0; p2 < d->pixels[2]; p2++)
            for (int64_t p1 = 0; p1 < d->pixels[1]; p1++) {
                const REAL *x = (const REAL *)d->x + p2 * d->x_step[2] + p1 * d->x_step[1] + ch;
                REAL *y = (REAL *)d->y + p2 * d->y_step[2] + p1 * d->y_step[1] + ch;
                int64_t p0 = 0;
                for (; p0 + 4 <= d->pixels[0]; p0 += 4, x += 4 * d->x_step[0], y += 4 * d->y_step[0])
                    NAME(depthwise_four)(d, x, y, ch, mask, start);
                for (; p0 < d->pixels[0]; p0++, x += d->x_step[0], y += d->y_step[0])
                    OP(store_n)(y, NAME(depthwise_pixel)(d, x, ch, mask, start), mask);
            }
    }
}

static void NAME(depthwise_grad)(const bli_depthwise *d, void *dw, bool add)
{
    for (int64_t ch = 0; ch < d->channels; ch += LANES) {
        const MASK mask = OP(first)(d->channels - ch < LANES ? (int)(d->channels - ch) : LANES);
        for (int t = 0; t < d->num_spans; t++) {
            REAL *sum = (REAL *)dw + d->spans[t].b * d->channels + ch;
            VECTOR acc = add ? OP(load_n)(sum, mask) : OP(splat)(0);
            for (int64_t p2 = 0; p2 < d->pixels[2]; p2++)
                for (int64_t p1 = 0; p1 < d->pixels[1]; p1++) {
                    const REAL *x = (const REAL *)d->x + p2 * d->x_step[2] + p1 * d->x_step[1] + d->spans[t].a + ch;
                    const REAL *y = (const REAL *)d->y + p2 * d->y_step[2] + p1 * d->y_step[1] + ch;
                    for (int64_t p0 = 0; p0 < d->pixels[0]; p0++, x += d->x_step[0], y += d->y_step[0])
                        acc = OP(fma)(OP(load_n)(x, mask), OP(load_n)(y, mask), acc);
                }
            OP(store_n)(sum, acc, mask);
        }
    }
}

static void NAME(transpose)(const void *src, int64_t rows, int64_t columns, void *dst)
{
    VECTOR v[LANES];
    for (int64_t c = 0; c < columns; c += LANES)
        for (int64_t r = 0; r < rows; r += LANES) {
            const int height = NAME(at_most_lanes)(rows - r), width = NAME(at_most_lanes)(columns - c);
            const MASK mask = OP(first)(height);
            NAME(load_turned)((const REAL *)src + r * columns + c, columns, height, width, v);
            for (int i = 0; i < width; i++)
                OP(store_n)((REAL *)dst + (c + i) * rows + r, v[i], mask);
        }
}

/* ---- rows and columns --------------------------------------------------------------------------------------- */

static void NAME(scale_add)(void *y, int64_t rows, int64_t columns, double alpha, const void *c, ptrdiff_t c_step,
                            double beta)
{
    const REAL *add = c, a = (REAL)alpha, b = (REAL)beta;
    for (int64_t r = 0; r < rows; r++) {
        REAL *row = (REAL *)y + r * columns;
        for (int64_t n = 0; n < columns; n++)
            row[n] = a * row[n] + (add ? b * add[n * c_step] : 0);
    }
}

/* Rows r, r + 4, ... are one chain of additions, so that four are in flight. */
INLINE VECTOR NAME(column_sum)(const REAL *y, int64_t rows, int64_t columns, MASK mask)
{
    enum { CHAINS = 4 };
    VECTOR acc[CHAINS];
#pragma GCC unroll 4
    for (int i = 0; i < CHAINS; i++)
        acc[i] = OP(splat)(0);
    int64_t r = 0;
    for (; r + CHAINS <= rows; r += CHAINS) {
#pragma GCC unroll 4
        for (int i = 0; i < CHAINS; i++)
            acc[i] = OP(load_n)(y + (r + i) * columns, mask) + acc[i];
    }
    for (; r < rows; r++)
        acc[0] = OP(load_n)(y + r * columns, mask) + acc[0];
    return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}

static void NAME(column_sums)(const void *y, int64_t rows, int64_t columns, void *sum)
{
    for (int64_t n = 0; n < columns; n += LANES) {
        const MASK mask = OP(first)(columns - n < LANES ? (int)(columns - n) : LANES);
        OP(store_n)((REAL *)sum + n, NAME(column_sum)((const REAL *)y + n, rows, columns, mask), mask);
    }
}

extern const bli_kernels CAT(bli_kernels_, REAL_NAME, _, BLI_ISA_SUFFIX);
const bli_kernels CAT(bli_kernels_, REAL_NAME, _, BLI_ISA_SUFFIX) = {
    .lanes = LANES,
    .product = NAME(product),
    .outer = NAME(outer),
    .pack = NAME(pack),
    .depthwise = NAME(depthwise),
    .depthwise_grad = NAME(depthwise_grad),
    .transpose = NAME(transpose),
    .row_cost = NAME(row_cost),
    .scale_add = NAME(scale_add),
    .column_sums = NAME(column_sums),
};
