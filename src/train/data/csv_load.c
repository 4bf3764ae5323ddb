/* csv_load.c: one pass over a table, in which every cell is checked.
 *
 * Rows go into memory as float32 while they fit; all along, an index of where each begins is kept: 32 bits a row from
 * the beginning of its block of 1024, which a row's length limit makes enough, and 64 bits a block.  When memory is
 * passed, the floats are dropped and rows are parsed again on demand.  (The other way, a binary file beside the table,
 * would read faster but leaves something behind that can go stale.)  Labels stay in memory, 4 bytes a row.
 */
#include <string.h>

#include "train/data/csv.h"

enum { CHECK_INTERRUPT = 4096, FIRST_CAPACITY = 1 << 16 };

/* ---- growing arrays ------------------------------------------------------------------------------------------ */
typedef struct growing {
    bl_context *ctx;
    char *data;
    size_t used, capacity;
} growing;

/* Room for `more` bytes; `expected` is a guess of the final size, so that most arrays are moved once. */
static bl_status reserve(growing *g, size_t more, size_t expected)
{
    size_t need;
    if (!bli_add_size(g->used, more, &need))
        return bli_fail(g->ctx, BL_LIMIT, "too many rows for this machine");
    if (need <= g->capacity)
        return BL_OK;
    size_t capacity = g->capacity + g->capacity / 2 + FIRST_CAPACITY;
    capacity = capacity < need ? need : capacity;
    capacity = capacity < expected ? expected : capacity;
    char *data = bli_alloc(g->ctx, capacity);
    if (!data)
        return BL_NO_MEMORY;
    if (g->used)
        memcpy(data, g->data, g->used);
    bli_free(g->ctx, g->data);
    g->data = data;
    g->capacity = capacity;
    return BL_OK;
}

static void drop(growing *g)
{
    bli_free(g->ctx, g->data);
    *g = (growing){.ctx = g->ctx};
}

/* ---- loading ------------------------------------------------------------------------------------------------- */
typedef struct table {
    bl_context *ctx;
    const bli_csv_format *format;
    const bl_dataset_options *options;
    size_t budget;
    bool keep; /* rows are kept in memory */
    uint64_t rows, end;
    growing values, labels, offsets, blocks;
    bli_csv_classes *classes;
    bli_csv_cursor *cursor;
    bli_input *in;
} table;

static size_t guess(const table *t, size_t bytes_per_row)
{
    double progress = bli_input_progress(t->in);
    if (t->rows < 256 || progress < 1e-9)
        return 0;
    double rows = (double)t->rows / progress * 1.01;
    return rows * (double)bytes_per_row < 1e12 ? (size_t)(rows * (double)bytes_per_row) : 0;
}

/* Memory is passed: from here on only the index. */
static bl_status stop_keeping(table *t)
{
    if (bli_input_packed(t->in))
        return bli_fail(t->ctx, BL_LIMIT,
                        "%s: rows take more than the %zu bytes that they may in memory; gunzip it, then it is read in "
                        "place",
                        t->format->path, t->budget);
    t->keep = false;
    drop(&t->values);
    return BL_OK;
}

static bl_status room_for_row(table *t)
{
    size_t row = (t->format->columns - 1) * sizeof(float);
    BLI_TRY(reserve(&t->labels, 4, guess(t, 4)));
    BLI_TRY(reserve(&t->offsets, 4, guess(t, 4)));
    BLI_TRY(reserve(&t->blocks, 8, 0));
    if (t->keep && t->values.used + row > t->budget)
        BLI_TRY(stop_keeping(t));
    size_t expected = guess(t, row);
    return t->keep ? reserve(&t->values, row, expected < t->budget ? expected : t->budget) : BL_OK;
}

static void push_u32(growing *g, uint32_t v)
{
    memcpy(g->data + g->used, &v, sizeof v);
    g->used += sizeof v;
}
static void push_float(growing *g, float v)
{
    memcpy(g->data + g->used, &v, sizeof v);
    g->used += sizeof v;
}

static void push_offset(table *t, uint64_t offset)
{
    if (t->rows % BLI_CSV_BLOCK == 0) {
        memcpy(t->blocks.data + t->blocks.used, &offset, sizeof offset);
        t->blocks.used += sizeof offset;
    }
    uint64_t block;
    memcpy(&block, t->blocks.data + t->blocks.used - sizeof block, sizeof block);
    push_u32(&t->offsets, (uint32_t)(offset - block));
}

static bl_status take_cell(table *t, size_t column)
{
    double v = 0;
    if (column == t->format->target && !t->options->regression) {
        uint32_t id = 0;
        BLI_TRY(bli_csv_classes_add(t->classes, t->cursor, &id));
        push_u32(&t->labels, id);
        return BL_OK;
    }
    BLI_TRY(bli_csv_number(t->cursor, column, &v));
    if (column == t->format->target)
        push_float(&t->labels, (float)v);
    else if (t->keep)
        push_float(&t->values, (float)v);
    return BL_OK;
}

static bl_status ragged(const table *t, size_t cells)
{
    const bli_csv_format *f = t->format;
    bool more = cells > f->columns;
    return bli_csv_at_cell(t->cursor, bli_fail(t->ctx, BL_BAD_FILE, "the row has %s%zu cells; expected %zu",
                                               more ? "at least " : "", cells, f->columns));
}

static bl_status take_row(table *t, uint64_t offset)
{
    BLI_TRY(room_for_row(t));
    push_offset(t, offset);
    bli_csv_end end = BLI_CSV_SEPARATOR;
    size_t column = 0;
    for (; end == BLI_CSV_SEPARATOR; column++) {
        BLI_TRY(bli_csv_cell(t->cursor, &end));
        if (column == t->format->columns)
            return ragged(t, column + 1);
        BLI_TRY(take_cell(t, column));
    }
    if (column < t->format->columns)
        return ragged(t, column);
    t->rows++;
    return BL_OK;
}

static bl_status check_length(table *t, uint64_t from, uint64_t to)
{
    if (to - from <= BLI_CSV_MAX_ROW)
        return BL_OK;
    return bli_csv_at_cell(t->cursor, bli_fail(t->ctx, BL_LIMIT, "the row is longer than %d bytes", BLI_CSV_MAX_ROW));
}

static bl_status skip_header(table *t)
{
    bool more = false;
    uint64_t offset;
    BLI_TRY(bli_csv_next_row(t->cursor, &more, &offset));
    bli_csv_end end = BLI_CSV_SEPARATOR;
    while (t->format->header && more && end == BLI_CSV_SEPARATOR)
        BLI_TRY(bli_csv_cell(t->cursor, &end));
    return BL_OK;
}

static bl_status take_rows(table *t)
{
    bool more = false;
    uint64_t offset = 0, last = 0;
    BLI_TRY(skip_header(t));
    for (;;) {
        BLI_TRY(bli_csv_next_row(t->cursor, &more, &offset));
        if (t->rows > 0)
            BLI_TRY(check_length(t, last, offset));
        if (!more)
            break;
        if (t->rows == UINT32_MAX)
            return bli_fail(t->ctx, BL_LIMIT, "%s: has more than %u rows", t->format->path, UINT32_MAX);
        if (t->rows % CHECK_INTERRUPT == 0 && bli_interrupted(t->ctx))
            return bli_fail(t->ctx, BL_INTERRUPTED, "%s: reading interrupted", t->format->path);
        BLI_TRY(take_row(t, offset));
        last = offset;
    }
    t->end = offset;
    if (t->rows == 0)
        return bli_fail(t->ctx, BL_BAD_FILE, "%s: has no rows%s", t->format->path,
                        t->format->header ? " after the line of names" : "");
    return BL_OK;
}

/* ---- reading in place ---------------------------------------------------------------------------------------- */
typedef struct row_index {
    const bli_csv_format *format;
    int fd;
    uint64_t rows, end;
    const uint32_t *offsets;
    const uint64_t *blocks;
} row_index;

static uint64_t offset_of(const row_index *x, uint64_t row)
{
    return row == x->rows ? x->end : x->blocks[row / BLI_CSV_BLOCK] + x->offsets[row];
}

static bl_status parse_row(const row_index *x, bli_csv_cursor *c, float *out)
{
    bli_csv_end end = BLI_CSV_SEPARATOR;
    for (size_t column = 0; column < x->format->columns; column++) {
        double v = 0;
        if (end != BLI_CSV_SEPARATOR)
            return bli_fail(c->ctx, BL_BAD_FILE, "the row has only %zu cells", column);
        BLI_TRY(bli_csv_cell(c, &end));
        if (column == x->format->target)
            continue;
        BLI_TRY(bli_csv_number(c, column, &v));
        *out++ = (float)v;
    }
    return BL_OK;
}

static bl_status read_in_place(const bl_dataset *d, const uint32_t *rows, size_t n, float *out)
{
    const row_index *x = d->state;
    bli_csv_cursor c;
    for (size_t i = 0; i < n; i++) {
        bli_csv_start_at(&c, d->ctx, x->format, x->fd, offset_of(x, rows[i]), offset_of(x, rows[i] + (uint64_t)1));
        bl_status s = parse_row(x, &c, out + i * d->row_elements);
        BLI_TRY(bli_within(d->ctx, s, "row %u", rows[i]));
    }
    return BL_OK;
}

/* ---- the set ------------------------------------------------------------------------------------------------- */
/* From here on the set frees it. */
static void *give(bl_dataset *d, growing *g)
{
    void *data = g->data;
    bli_dataset_defer(d, bli_free, data);
    *g = (growing){.ctx = g->ctx};
    return data;
}

static bl_status set_rows(bl_dataset *d, table *t)
{
    size_t elements = t->format->columns - 1;
    bl_shape row = {1, {(int64_t)elements}};
    bli_block b = bli_block_make(t->format->path, BL_F32, t->rows, elements, NULL);
    if (t->keep) {
        b.data = give(d, &t->values);
        return bli_dataset_set_features(d, &b, &row, t->options->shape);
    }
    row_index *x = bli_arena_alloc(d->arena, sizeof *x);
    if (!x)
        return BL_NO_MEMORY;
    int fd = bli_input_take_fd(t->in);
    bli_dataset_defer_fd(d, fd);
    *x = (row_index){t->format, fd, t->rows, t->end, give(d, &t->offsets), give(d, &t->blocks)};
    BLI_TRY(bli_dataset_set_features(d, &b, &row, t->options->shape));
    d->read_features = read_in_place;
    d->state = x;
    return BL_OK;
}

static bl_status set_labels(bl_dataset *d, table *t)
{
    bl_dataset_options o = *t->options;
    bl_shape one = {0};
    bl_dtype type = o.regression ? BL_F32 : BL_I32;
    if (!o.regression) {
        uint32_t *ids = (uint32_t *)(void *)t->labels.data;
        BLI_TRY(bli_csv_classes_settle(t->classes, t->format->path, ids, (size_t)t->rows, &o));
    }
    bli_block b = bli_block_make(t->format->path, type, t->rows, 1, give(d, &t->labels));
    return bli_dataset_set_labels(d, &b, &one, &o);
}

static bl_status load(bl_dataset *d, table *t)
{
    const bl_dataset_options *o = t->options;
    if (!o->regression)
        BLI_TRY(bli_csv_classes_create(t->ctx, o->classes > 0 ? o->class_names : NULL, o->classes, &t->classes));
    t->cursor = bli_alloc(t->ctx, sizeof *t->cursor);
    if (!t->cursor)
        return BL_NO_MEMORY;
    BLI_TRY(bli_input_open(t->ctx, t->format->path, &t->in));
    bli_csv_start(t->cursor, t->ctx, t->format, t->in);
    BLI_TRY(take_rows(t));
    BLI_TRY(set_rows(d, t));
    return set_labels(d, t);
}

bl_status bli_csv_load(bl_dataset *d, const bli_csv_format *f, const bl_dataset_options *o)
{
    growing empty = {.ctx = d->ctx};
    table t = {.ctx = d->ctx, .format = f, .options = o, .budget = bli_data_budget(o), .keep = true};
    t.values = t.labels = t.offsets = t.blocks = empty;
    bl_status s = load(d, &t);
    drop(&t.values);
    drop(&t.labels);
    drop(&t.offsets);
    drop(&t.blocks);
    bli_csv_classes_destroy(t.classes);
    bli_input_close(t.in);
    bli_free(d->ctx, t.cursor);
    return s;
}
