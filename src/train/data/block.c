/* block.c: reading rows of a block as numbers.
 *
 * Two ways in: rows in memory are converted where they stand; rows in a file are read with pread through a buffer on
 * the stack, so a block of any size costs no memory and a file cut short behind our back is a message, not a fault of
 * the process (which is why nothing is mapped).  Deliberately not here: caching of paged rows; the system's page cache
 * does that better.
 */
#include "train/data/gather_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"

enum { PAGE_BUFFER = 16384, AHEAD = 4 };

/* ---- element types ------------------------------------------------------------------------------------------ */
#define CONVERTERS(name, ctype, npy, onnx)                                                                             \
    static void float_from_##name(const uint8_t *src, size_t n, float *out)                                            \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            ctype v;                                                                                                   \
            memcpy(&v, src + i * sizeof(v), sizeof(v));                                                                \
            out[i] = (float)v;                                                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    static void double_from_##name(const uint8_t *src, size_t n, double *out)                                          \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            ctype v;                                                                                                   \
            memcpy(&v, src + i * sizeof(v), sizeof(v));                                                                \
            out[i] = (double)v;                                                                                        \
        }                                                                                                              \
    }
BL_DTYPE_LIST(CONVERTERS)
#undef CONVERTERS

static const struct {
    size_t size;
    void (*to_float)(const uint8_t *src, size_t n, float *out);
    void (*to_double)(const uint8_t *src, size_t n, double *out);
} types[] = {
#define TYPE_ENTRY(name, ctype, npy, onnx) [BL_##name] = {sizeof(ctype), float_from_##name, double_from_##name},
    BL_DTYPE_LIST(TYPE_ENTRY)
#undef TYPE_ENTRY
};

void bli_swap_elements(void *data, size_t count, size_t element_size)
{
    uint8_t *p = data;
    for (size_t i = 0; element_size > 1 && i < count; i++, p += element_size)
        for (size_t a = 0, b = element_size - 1; a < b; a++, b--) {
            uint8_t t = p[a];
            p[a] = p[b];
            p[b] = t;
        }
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */
const bli_byte_map bli_byte_identity = {.linear = true, .scale = 1};

void bli_gather_u8_generic(const uint8_t *data, size_t row_bytes, const uint32_t *rows, size_t n,
                           const bli_byte_map *map, float *x)
{
    const float scale = map->scale, offset = map->offset;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            for (size_t at = 0; at < row_bytes; at += BLI_ALIGN)
                __builtin_prefetch(data + rows[i + AHEAD] * row_bytes + at);
        const uint8_t *src = data + rows[i] * row_bytes;
        for (size_t k = 0; k < row_bytes; k++)
            x[i * row_bytes + k] = map->linear ? (float)src[k] * scale + offset : map->table[src[k]];
    }
}

bool bli_gather_f32_generic(const uint8_t *data, size_t width, const uint32_t *rows, size_t n, float *x)
{
    return gather_rows_f32(data, width, rows, n, x);
}

static const struct {
    bli_gather_u8_fn *u8;
    bli_gather_f32_fn *f32;
} gathers[BLI_ISA_COUNT] = {
    [BLI_ISA_GENERIC] = {bli_gather_u8_generic, bli_gather_f32_generic},
#if defined(__x86_64__)
    [BLI_ISA_AVX2] = {bli_gather_u8_avx2, bli_gather_f32_avx2},
    [BLI_ISA_AVX512] = {bli_gather_u8_avx512, bli_gather_f32_avx512},
#endif
};

bli_block bli_block_make(const char *path, bl_dtype type, uint64_t rows, size_t elements, const void *data)
{
    return (bli_block){.type = type,
                       .rows = rows,
                       .elements = elements,
                       .data = data,
                       .fd = -1,
                       .path = path,
                       .gather = gathers[bli_cpu_isa()].u8,
                       .gather_f32 = gathers[bli_cpu_isa()].f32};
}

/* ---- files --------------------------------------------------------------------------------------------------- */
/* n elements from element `first` on, in our byte order, into buf. */
static bl_status page_in(bl_context *ctx, const bli_block *b, uint64_t first, size_t n, uint8_t *buf)
{
    size_t size = types[b->type].size, want = n * size, got = 0;
    uint64_t at = b->offset + first * size;
    if (want == 0)
        return BL_OK;
    while (got < want) {
        ssize_t r = pread(b->fd, buf + got, want - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return bli_fail(ctx, BL_IO, "%s: reading at byte %llu: %s", b->path, (unsigned long long)at + got,
                            strerror(errno));
        if (r == 0)
            return bli_fail(ctx, BL_BAD_FILE, "%s: ends at byte %llu since it was opened; row %llu is gone", b->path,
                            (unsigned long long)at + got, (unsigned long long)(b->elements ? first / b->elements : 0));
        got += (size_t)r;
    }
    if (b->swapped)
        bli_swap_elements(buf, n, size);
    return BL_OK;
}

static bl_status read_paged_row(bl_context *ctx, const bli_block *b, uint32_t row, float *x)
{
    uint8_t buf[PAGE_BUFFER];
    size_t step = PAGE_BUFFER / types[b->type].size;
    for (size_t done = 0; done < b->elements; done += step) {
        size_t n = b->elements - done < step ? b->elements - done : step;
        BLI_TRY(page_in(ctx, b, (uint64_t)row * b->elements + done, n, buf));
        types[b->type].to_float(buf, n, x + done);
    }
    return BL_OK;
}

/* The disk works on all rows of the call while the first ones are converted. */
static void announce(const bli_block *b, const uint32_t *rows, size_t n)
{
    size_t bytes = b->elements * types[b->type].size;
    for (size_t i = 0; n > 1 && i < n; i++)
        (void)posix_fadvise(b->fd, (off_t)(b->offset + rows[i] * (uint64_t)bytes), (off_t)bytes, POSIX_FADV_WILLNEED);
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */
/* All bits of the exponent set in any element: NaN or infinity. */
static bool has_nonfinite(const float *x, size_t n)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        seen |= ((bits & 0x7f800000u) + 0x00800000u) & 0x80000000u;
    }
    return seen != 0;
}

static bl_status report_nonfinite(bl_context *ctx, const bli_block *b, const uint32_t *rows, const float *x)
{
    size_t i = 0;
    while (isfinite(x[i]))
        i++;
    uint32_t row = rows[i / b->elements];
    size_t column = i % b->elements;
    double stored = 0;
    BLI_TRY(bli_block_doubles(ctx, b, (uint64_t)row * b->elements + column, 1, &stored));
    if (isfinite(stored))
        return bli_fail(ctx, BL_BAD_FILE, "%s: row %u, column %zu: value %g does not fit float32", b->path, row, column,
                        stored);
    return bli_fail(ctx, BL_BAD_FILE, "%s: row %u, column %zu: value is %s; every value must be finite", b->path, row,
                    column, isnan(stored) ? "NaN" : "infinite");
}

static bool read_memory_rows(const bli_block *b, const uint32_t *rows, size_t n, float *x)
{
    if (b->type == BL_F32)
        return b->gather_f32(b->data, b->elements, rows, n, x);
    if (b->type == BL_U8) {
        b->gather(b->data, b->elements, rows, n, &bli_byte_identity, x);
        return true;
    }
    size_t bytes = b->elements * types[b->type].size;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            for (size_t at = 0; at < bytes; at += BLI_ALIGN)
                __builtin_prefetch(b->data + rows[i + AHEAD] * bytes + at);
        types[b->type].to_float(b->data + rows[i] * bytes, b->elements, x + i * b->elements);
    }
    return b->type != BL_F64 || !has_nonfinite(x, n * b->elements);
}

bl_status bli_block_read(bl_context *ctx, const bli_block *b, const uint32_t *rows, size_t n, float *x)
{
    if (b->elements == 0 || n == 0)
        return BL_OK;
    if (b->data)
        return read_memory_rows(b, rows, n, x) ? BL_OK : report_nonfinite(ctx, b, rows, x);
    announce(b, rows, n);
    for (size_t i = 0; i < n; i++)
        BLI_TRY(read_paged_row(ctx, b, rows[i], x + i * b->elements));
    if ((b->type == BL_F32 || b->type == BL_F64) && has_nonfinite(x, n * b->elements))
        return report_nonfinite(ctx, b, rows, x);
    return BL_OK;
}

bl_status bli_block_doubles(bl_context *ctx, const bli_block *b, uint64_t first, size_t n, double *out)
{
    size_t size = types[b->type].size;
    if (b->data) {
        types[b->type].to_double(b->data + first * size, n, out);
        return BL_OK;
    }
    uint8_t buf[PAGE_BUFFER];
    size_t step = PAGE_BUFFER / size;
    for (size_t done = 0; done < n; done += step) {
        size_t part = n - done < step ? n - done : step;
        BLI_TRY(page_in(ctx, b, first + done, part, buf));
        types[b->type].to_double(buf, part, out + done);
    }
    return BL_OK;
}
