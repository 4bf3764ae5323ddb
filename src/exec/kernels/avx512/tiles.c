/* tiles.c: products of bytes by AMX: 16 rows of results by 16 channels, 64 bytes of the rows at a time.
 *
 * Constants lie as VNNI reads them, in bundles of 16 groups, filled up with zeros: a bundle is a tile.  Sums start from
 * init, loaded with a stride of 0.  Where a run has more than 16 rows but no multiple, its last tile lies over the one
 * before.  Reading a bundle may go 60 bytes beyond a row, never beyond what every place has behind its end.
 */
#include "exec/kernels/avx512/tiles.h"

#include <immintrin.h>
#include <string.h>

#define TILE __attribute__((target("avx512vnni,avx512vpopcntdq,amx-tile,amx-int8")))
#include "exec/kernels/avx512/finish.inc"

enum { MOST_TILES = 4, TILE_BYTES = 64 };

typedef struct shape { /* what LDTILECFG reads */
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} shape;

/* Tiles 0 to 3 hold sums, 4 and 5 rows of the input, 6 and 7 constants. */
TILE static void set_shape(int rows)
{
    shape s = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        s.row_bytes[i] = TILE_BYTES;
        s.rows[i] = (uint8_t)(i < 6 ? rows : BLI_TILE_GROUPS);
    }
    _tile_loadconfig(&s);
}

/* A few tiles of rows, and where their results go. */
typedef struct group {
    const char *x[MOST_TILES];
    char *y[MOST_TILES];
    ptrdiff_t stride;
    int tiles;
} group;

#define EACH_SUM(what) what(0) what(1) what(2) what(3)

/* Some of a block's panels: at most 4 tiles of sums, tile i of which belongs to tile i / panels of the rows. */
typedef struct part {
    const bli_product_block *block;
    int first, panels;
} part;

TILE static void start_sums(const int32_t *init, int panels, int sums)
{
#define START(i)                                                                                                       \
    if (i < sums)                                                                                                      \
        _tile_loadd(i, init + i % panels * LANES, 0);
    EACH_SUM(START)
#undef START
}

TILE static void take_sums(const bli_product *p, const part *b, const group *g, int rows)
{
    _Alignas(64) vec sum[MOST_TILES][BLI_TILE_ROWS];
#define TAKE(i)                                                                                                        \
    if (i < g->tiles * b->panels)                                                                                      \
        _tile_stored(i, sum[i], TILE_BYTES);
    EACH_SUM(TAKE)
#undef TAKE
    for (int i = 0; i < g->tiles * b->panels; i++)
        finish_rows(&p->finish, sum[i], (b->block->first + b->first + i % b->panels) * LANES, g->y[i / b->panels],
                    rows);
}

static const char *constants(const part *b, int bundle)
{
    const int64_t tile = (int64_t)BLI_TILE_GROUPS * TILE_BYTES;
    return (const char *)b->block->weight + bundle * b->block->panels * tile + b->first * TILE_BYTES;
}

/* The constants stay, the rows change. */
TILE static void one_panel(const part *b, const group *g)
{
    const ptrdiff_t step = (ptrdiff_t)b->block->panels * TILE_BYTES;
    for (int k = 0; k < b->block->groups / BLI_TILE_GROUPS; k++) {
        const ptrdiff_t at = b->block->offset[k * BLI_TILE_GROUPS];
        _tile_loadd(6, constants(b, k), step);
        _tile_loadd(4, g->x[0] + at, g->stride);
        _tile_dpbusd(0, 4, 6);
        if (g->tiles > 1) {
            _tile_loadd(5, g->x[1] + at, g->stride);
            _tile_dpbusd(1, 5, 6);
        }
        if (g->tiles > 2) {
            _tile_loadd(4, g->x[2] + at, g->stride);
            _tile_dpbusd(2, 4, 6);
        }
        if (g->tiles > 3) {
            _tile_loadd(5, g->x[3] + at, g->stride);
            _tile_dpbusd(3, 5, 6);
        }
    }
}

TILE static void two_panels(const part *b, const group *g)
{
    const ptrdiff_t step = (ptrdiff_t)b->block->panels * TILE_BYTES;
    for (int k = 0; k < b->block->groups / BLI_TILE_GROUPS; k++) {
        const ptrdiff_t at = b->block->offset[k * BLI_TILE_GROUPS];
        const char *w = constants(b, k);
        _tile_loadd(6, w, step);
        _tile_loadd(4, g->x[0] + at, g->stride);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, w + TILE_BYTES, step);
        _tile_dpbusd(1, 4, 7);
        if (g->tiles > 1) {
            _tile_loadd(5, g->x[1] + at, g->stride);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    }
}

/* Three or four, of one tile of rows. */
TILE static void four_panels(const part *b, const group *g)
{
    const ptrdiff_t step = (ptrdiff_t)b->block->panels * TILE_BYTES;
    for (int k = 0; k < b->block->groups / BLI_TILE_GROUPS; k++) {
        const char *w = constants(b, k);
        _tile_loadd(4, g->x[0] + b->block->offset[k * BLI_TILE_GROUPS], g->stride);
        _tile_loadd(6, w, step);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, w + TILE_BYTES, step);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(6, w + 2 * TILE_BYTES, step);
        _tile_dpbusd(2, 4, 6);
        if (b->panels > 3) {
            _tile_loadd(7, w + 3 * TILE_BYTES, step);
            _tile_dpbusd(3, 4, 7);
        }
    }
}

TILE static void group_of(const bli_product *p, const part *b, const group *g, int rows)
{
    const int32_t *init = (const int32_t *)p->init + (b->block->first + b->first) * LANES;
    start_sums(init, b->panels, g->tiles * b->panels);
    if (b->panels == 1)
        one_panel(b, g);
    else if (b->panels == 2)
        two_panels(b, g);
    else
        four_panels(b, g);
    take_sums(p, b, g, rows);
}

/* Tile t of all: its rows and its results. */
static void place_tile(const bli_product *p, const bli_rows *in, int64_t t, int64_t rows, void *y, group *g)
{
    const int64_t each = (in->rows + BLI_TILE_ROWS - 1) / BLI_TILE_ROWS, outer = t / each;
    int64_t first = t % each * BLI_TILE_ROWS;
    first = first + rows > in->rows ? in->rows - rows : first;
    g->x[g->tiles] = in->x + outer * in->outer_stride + first * in->stride;
    g->y[g->tiles++] = (char *)y + (size_t)(outer * in->rows + first) * p->finish.row;
}

/* All rows, for some panels. */
TILE static void part_of(const bli_product *p, const part *b, const bli_rows *in, int64_t rows, void *y)
{
    const int64_t all = in->outers * ((in->rows + BLI_TILE_ROWS - 1) / BLI_TILE_ROWS);
    for (int64_t t = 0; t < all;) {
        group g = {.stride = in->stride};
        while (g.tiles < MOST_TILES / b->panels && t < all)
            place_tile(p, in, t++, rows, y, &g);
        group_of(p, b, &g, (int)rows);
    }
}

/* Two panels at a time, so that two tiles of rows share the constants that they load; a lone tile takes four. */
TILE void bli_tiles8(const bli_product *p, const bli_rows *in, void *y)
{
    const int64_t rows = in->rows < BLI_TILE_ROWS ? in->rows : BLI_TILE_ROWS;
    const int together = in->rows * in->outers > BLI_TILE_ROWS ? 2 : MOST_TILES;
    set_shape((int)rows);
    for (int i = 0; i < p->num_blocks; i++)
        for (int q = 0; q < p->blocks[i].panels; q += together) {
            const int left = p->blocks[i].panels - q;
            const part b = {&p->blocks[i], q, left < together ? left : together};
            part_of(p, &b, in, rows, y);
        }
    _tile_release();
}
