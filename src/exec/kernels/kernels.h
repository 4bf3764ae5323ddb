/* kernels.h: the loops of the executor, one table per instruction set; all give the same bits.
 *
 * Products.  A row of the input is read in groups at given byte offsets; a group holds 4 bytes of codes (times s8), 2
 * 16-bit ones, one of 32 or 64 bits, or 32 single bits.  Weights lie in blocks of up to BLI_BLOCK_PANELS panels of
 * `lanes` result channels, each block with its own list of groups, so that groups without weights are skipped.  Sums
 * are modulo 2^32 (2^64): what a partial sum does is of no matter, the whole is proven to fit.
 *
 * Where the table says that its products finish, they also do the one stage that most quantizers come down to, and
 * store the results where they belong, while they are in registers.
 *
 * Stages work in place on `rows` rows of `width` lanes of 32 or 64 bits; per-channel constants are rows of as many.
 */
#ifndef BLI_EXEC_KERNELS_H
#define BLI_EXEC_KERNELS_H

#include "base/base.h"
#include "base/cpu.h"

enum { BLI_BLOCK_PANELS = 4 };

struct bli_stage;

/* What happens to the sums. */
typedef struct bli_finish {
    const struct bli_stage *stage; /* SHIFT or RESCALE; NULL: none */
    bool wide;                     /* of 64-bit lanes: a RESCALE whose a, and what it shifts to, fit 32 bits */
    int store;                     /* log2 of bytes, at most 2; BLI_FINISH_BITS: those that reach limit */
    int32_t bias;                  /* of bytes */
    int64_t columns;               /* of a row that are stored */
    size_t row;                    /* bytes from a row of results to the next */
    const int32_t *limit;          /* bits */
} bli_finish;
enum { BLI_FINISH_BITS = 4 };

/* Rows of an input: `outers` times `rows` of them, `stride` bytes apart, `outer_stride` from one run to the next. */
typedef struct bli_rows {
    const char *x;
    ptrdiff_t stride, outer_stride;
    int64_t rows, outers;
} bli_rows;

typedef struct bli_product_block {
    int panels, groups;
    int first;             /* panel */
    const int32_t *offset; /* bytes from the row's start, of each group */
    const void *weight;    /* [groups][panels][lanes of a group each]; bits: [groups][panels][signs][lanes]; fields:
                              [groups / BLI_PACKED_GROUPS][panels][width vectors] */
} bli_product_block;

/* Bytes of constants packed as fields of `width` bits: constant - low.  The vectors of 8 groups are packed into `width`
 * of them, byte by byte, by parts of the width as a sum of 4, 2 and 1: a part of 4 bits fills 4 vectors, 2 groups a
 * byte; one of 2 bits 2 vectors, 4 groups a byte; one of 1 bit 1 vector.  So that shifts, ands and ors of whole vectors
 * bring them back, whatever the instruction set and the width. */
enum { BLI_PACKED_GROUPS = 8, BLI_PACKED_MOST = 7 };
typedef struct bli_packed_part {
    int vector, bit; /* where the part lies */
    int to;          /* its first bit in the field */
} bli_packed_part;
/* Part 4, 2 or 1 of group 0 .. 7's field. */
static inline bli_packed_part bli_packed_part_of(int width, int part, int group)
{
    return (bli_packed_part){(width & -2 * part) + group * part / 8, group * part % 8, width & (part - 1)};
}

typedef struct bli_product {
    int num_blocks;
    const bli_product_block *blocks;
    const void *init; /* [columns] what a row's sums start from: int32_t, int64_t for 64-bit products */
    int64_t columns;  /* panels * lanes: the stride of a row of results */
    int32_t factor;   /* bits: y = init + factor * count */
    int width, low;   /* fields; 0: bytes */
    bli_finish finish;
} bli_product;

/* As many rows of results, one behind the other.  Tables that do not finish write lanes, columns of them a row. */
typedef void (*bli_product_fn)(const bli_product *p, const bli_rows *in, void *y);

typedef enum bli_stage_kind {
    BLI_STAGE_RESCALE, /* clamp((v a + b) >> s, low, high) */
    BLI_STAGE_SHIFT,   /* clamp(v >> s, low, high), each one number for all */
    BLI_STAGE_CLAMP,
    BLI_STAGE_ROUND_ZERO, /* v / 2^s toward zero */
    BLI_STAGE_ROUND_HALF, /* nearest; b: what is added where v is below 0, a: where it is not, before the shift */
    BLI_STAGE_ROUND_EVEN, /* nearest, ties to even */
    BLI_STAGE_WRAP,       /* keep the low bits, s = lane bits - bits: signed */
    BLI_STAGE_WRAP_PLAIN, /* unsigned */
    BLI_STAGE_WRAP_SM,    /* a: 2^bits, b: 2^(bits-1), s as WRAP */
    BLI_STAGE_ZERO,       /* 0 outside of low .. high */
    BLI_STAGE_STAIR,      /* b + sum over k of a[k] where v >= low[k]; length rows of a and low */
    BLI_STAGE_SEARCH,     /* the same by halving: low [channels][length], a [channels][length + 1] heights */
    BLI_STAGE_TABLE,      /* a[channel][v - first] */
    BLI_STAGE_ABS,
    BLI_STAGE_COUNT
} bli_stage_kind;

typedef struct bli_stage {
    bli_stage_kind kind;
    const void *a, *b, *s, *low, *high; /* of the chain's lane; WRAP_SM, STAIR and the like as said above */
    int64_t one_s, one_low, one_high;   /* SHIFT */
    int64_t length, channels, first;    /* channel = column % channels */
} bli_stage;

typedef enum bli_combine_kind {
    BLI_COMBINE_ADD,
    BLI_COMBINE_SUB,
    BLI_COMBINE_MUL,
    BLI_COMBINE_MIN,
    BLI_COMBINE_MAX
} bli_combine_kind;
typedef struct bli_combine {
    bli_combine_kind kind;
    int shift_a, shift_b;
} bli_combine;

typedef struct bli_encode {
    int way;             /* encode.c's business */
    float scale, offset; /* y = x scale + offset */
    bool plain;          /* scale 1, offset 0 */
    float step;          /* v = y / step; or, a power of two: y * inverse */
    float inverse;       /* 0: divide */
    int rounding;        /* bl_rounding: TRN, RND, RND_CONV */
    float low, high;     /* of v after rounding */
    int32_t add;         /* zero point */
} bli_encode;

typedef struct bli_decode {
    bool by_reference;
    float factor;                /* y = v factor; or: */
    const float *scale, *offset; /* y = v scale + offset, of a block's elements; offset may be NULL */
    int64_t block;               /* elements, a multiple of the channels */
} bli_decode;

typedef struct bli_exec_kernels {
    const char *name;
    bli_isa isa; /* what the rest of the library uses beside it */
    int lanes;
    int code_shift;     /* of bytes: products are of codes as stored, less this */
    int64_t pair_limit; /* 8-bit products need |x0 w0 + x1 w1| within this; 0: no limit */
    bool finishes;
    bli_product_fn product8, product16, product32, product64, bits1, bits2;
    bli_product_fn tiles8;  /* product8 for many rows, of whole bundles; NULL: there is none */
    int bundle;             /* groups of a bundle */
    bli_product_fn packed8; /* product8 of fields, for few rows; NULL: there is none */
    /* The fields of some panels of a block as bytes, for many rows. */
    void (*unpack)(const bli_product *p, const bli_product_block *b, int first, int panels, void *bytes);
    void (*const *stage32)(const bli_stage *s, int32_t *v, int64_t rows, int64_t width);
    void (*const *stage64)(const bli_stage *s, int64_t *v, int64_t rows, int64_t width);
    /* v = v op b; a row of b is at b + r * b_step. */
    void (*combine32)(const bli_combine *c, int32_t *v, const int32_t *b, int64_t b_step, int64_t rows, int64_t width);
    void (*combine64)(const bli_combine *c, int64_t *v, const int64_t *b, int64_t b_step, int64_t rows, int64_t width);
    /* Between storage and lanes.  By log2 of the bytes of an element: 8 bits are unsigned, bias added. */
    void (*load32[4])(const void *x, int64_t n, int32_t bias, int32_t *v);
    void (*load64[4])(const void *x, int64_t n, int64_t bias, int64_t *v);
    void (*store32[4])(const int32_t *v, int64_t n, int32_t bias, void *x);
    void (*store64[4])(const int64_t *v, int64_t n, int64_t bias, void *x);
    /* v != zero as bits, 32 to a word, n padded with 0 bits. */
    void (*bits32)(const int32_t *v, int64_t n, int32_t zero, uint32_t *x);
    /* v >= limit as bits, likewise. */
    void (*reach32)(const int32_t *v, const int32_t *limit, int64_t n, uint32_t *x);
    /* BLI_STAGE_SHIFT and store32[0] in one. */
    void (*shift8)(const bli_stage *s, const int32_t *v, int64_t n, int32_t bias, uint8_t *x);
    void (*encode)(const bli_encode *e, const float *x, int64_t n, int32_t *v);
    /* encode and store32[0] in one, codes less the zero point within 16 bits; NULL: there is none. */
    void (*encode8)(const bli_encode *e, const float *x, int64_t n, int32_t bias, uint8_t *y);
    /* At most a block. */
    void (*decode)(const bli_decode *d, const int32_t *v, int64_t n, float *y);
    /* y = max(y, x), bytes. */
    void (*max8)(const uint8_t *x, int64_t n, uint8_t *y);
    /* For each of `positions`: n channels, the greatest of `taps` rows at x + step, a position's first at x + move. */
    void (*taps8)(const uint8_t *x, int64_t step, int64_t taps, int64_t move, int64_t positions, int64_t n, uint8_t *y);
} bli_exec_kernels;

/* The i-th of the tables that this machine has and BITLATHE_ISA does not forbid, the narrowest first; NULL: no more. */
const bli_exec_kernels *bli_exec_kernels_at(int i);
/* By its name; NULL where the machine has not got it.  *known: whether any has. */
const bli_exec_kernels *bli_exec_kernels_named(const char *name, bool *known);

#endif
