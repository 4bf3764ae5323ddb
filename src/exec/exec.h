/* exec.h: the executor's plan.
 *
 * A plan is a list of steps over places.  A place is where a wire's codes are kept for the samples of one chunk, in the
 * narrowest form that its range and its readers allow.  A step is one op, or an op and the quantizers behind it, which
 * then work on its results before these leave the registers' neighbourhood.  Everything is decided here; running
 * allocates nothing.  An op that no step is made for is run by its rule's plain loop (program/prim.h).
 */
#ifndef BLI_EXEC_H
#define BLI_EXEC_H

#include "bitlathe/exec.h"
#include "exec/kernels/kernels.h"
#include "program/prim.h"

typedef enum bli_store {
    BLI_STORE_8, /* log2 of bytes */
    BLI_STORE_16,
    BLI_STORE_32,
    BLI_STORE_64,
    BLI_STORE_BITS /* of two codes (BLI_FINISH_BITS); each row of the last dimension fills 32-bit words */
} bli_store;

typedef struct bli_place {
    bli_store store;
    int64_t bias;      /* 8: byte = code - bias; 0 is always among the codes that have a byte */
    int64_t zero, one; /* bits: the two codes */
    int64_t count, last;
    size_t row;           /* bits: bytes of a row */
    size_t stride;        /* bytes of a sample, exactly */
    size_t offset;        /* in a workspace */
    const void *constant; /* one sample for all, instead */
    int root;             /* the wire whose memory it is: a reshaped wire's input */
    bool kept;            /* false: it never leaves its step */
    int from, to;         /* steps between which it holds something; of a root */
} bli_place;

typedef struct bli_chain {
    bool wide;     /* lanes of 64 bits */
    int64_t width; /* lanes of a row, a multiple of 16 */
    int num;
    bli_stage *stages;
    bli_span in;          /* of the first stage */
    const int32_t *limit; /* a last stair of one step, into bits: not a stage, but done while storing */
} bli_chain;

struct bli_exec_plan;
typedef struct bli_run {
    const struct bli_exec_plan *plan;
    char *work;    /* places */
    char *scratch; /* of the step at hand */
    char *own;     /* of each step for good: images with their borders */
    int64_t samples;
} bli_run;

typedef struct bli_step bli_step;
struct bli_step {
    void (*run)(const bli_step *s, const bli_run *r);
    const bli_prim_op *op;
    const bli_place *in[2], *out;
    bli_chain chain;
    /* products */
    bli_product product;
    bli_product_fn fn, fn_many; /* fn_many: from `many` rows on; NULL: no other */
    bli_product_fn fields;      /* constants lie packed: for few rows; NULL: fn behind unpacking, for any */
    int64_t many;
    size_t unpacked;   /* where in the scratch a block's bytes are */
    bool product_wide; /* sums of 64 bits */
    bool finishes;     /* the kernel does the chain too */
    int64_t m;         /* results of a row */
    /* CONV: the image as read, with borders where it has any */
    int64_t image[2], border[4], out_size[2];
    ptrdiff_t pixel_bytes;
    ptrdiff_t row_bytes, move[2]; /* of a row of the image; from one output position to the next */
    bool bordered;
    size_t own; /* offset in bli_run.own */
    /* MAXPOOL: output columns whose taps are alike */
    struct bli_alike *alike;
    int num_alike;
    /* elementwise */
    bli_combine combine;
    bool combines, row_operand;
    bool padded;  /* each row of the last dimension fills its own row of lanes */
    int64_t rows; /* rows of lanes at a time */
    bool plain;   /* by its rule's plain loop */
};

typedef struct bli_exec_plan {
    const bli_program *program;
    const bli_exec_kernels *kernels;
    bli_isa isa;
    bool trace;
    bl_pack pack;
    int64_t num_constants; /* of all products */
    bli_arena *arena;
    int num_steps;
    bli_step *steps;
    bli_place *places; /* of each wire */
    int64_t chunk;     /* samples at a time */
    size_t work_bytes, scratch_bytes, own_bytes;
    double cost;        /* of a sample: products and the like, to weigh against waking threads */
    bli_encode *encode; /* of each input */
    bli_decode *decode; /* of each output */
} bli_exec_plan;

/* An executor's own, for tests that put faults into it. */
bli_exec_plan *bli_executor_plan(bl_executor *e);

enum { BLI_SLACK = 64, BLI_TILE_LANES = 4096, BLI_CHUNK_MOST = 192 };
enum { BLI_MANY_CONSTANTS = 1 << 20 }; /* as bytes they would not stay in a core's own cache */

/* ---- plan.c ------------------------------------------------------------------------------------------------------ */
BL_MUST_CHECK bl_status bli_exec_plan_create(bl_context *ctx, const bli_program *p, const bli_exec_kernels *kernels,
                                             const bl_executor_options *o, bli_exec_plan **out);
void bli_exec_plan_destroy(bli_exec_plan *plan);

/* ---- places.c ---------------------------------------------------------------------------------------------------- */
/* Chooses every wire's store. */
BL_MUST_CHECK bl_status bli_places_choose(bli_exec_plan *plan);
/* Offsets in the workspace, once every step is known. */
BL_MUST_CHECK bl_status bli_places_arrange(bli_exec_plan *plan);
static inline char *bli_place_at(const bli_place *p, const bli_run *r, int64_t sample)
{
    if (p->constant != NULL)
        return (char *)(uintptr_t)p->constant;
    return r->work + p->offset + (size_t)sample * p->stride;
}
void bli_place_load(const bli_exec_kernels *k, const bli_place *p, const void *x, int64_t *codes);
void bli_place_store(const bli_exec_kernels *k, const bli_place *p, const int64_t *codes, void *x);
/* Whether wire i has but two codes, and which. */
bool bli_two_codes(const bli_program *p, int wire, int64_t *zero, int64_t *one);

/* ---- chain.c: the quantizers behind an op ------------------------------------------------------------------------ */
/* chain->wide says whether lanes must have 64 bits.  Makes stages of the ops behind wire `from` (its own op first if
 * `own`), as many as can follow in one step; *last is the wire that the chain ends with.  init (may be NULL): what
 * 32-bit products start from, which takes a bias over. */
BL_MUST_CHECK bl_status bli_chain_make(bli_exec_plan *plan, int from, bool own, int64_t width, int32_t *init,
                                       bli_chain *chain, int *last);
/* Runs the stages over rows of lanes, but for what storing to that place does. */
void bli_chain_run(const bli_exec_kernels *k, const bli_chain *c, const bli_place *to, void *lanes, int64_t rows);
/* n lanes to x, of a place, from a row's beginning; of bits: at most one row. */
void bli_chain_store(const bli_exec_kernels *k, const bli_chain *c, const bli_place *p, const void *lanes, int64_t n,
                     void *x);
/* A stair over x in low .. high as one multiplication, addition and shift that fit 32 bits (wide: whose factor does,
 * the product 62); false where none does. */
typedef struct bli_fitted {
    int64_t a, b, shift, low, high; /* clamp((x a + b) >> shift, low, high) */
} bli_fitted;
bool bli_fit_rescale(const int64_t *threshold, int64_t length, int64_t base, bli_span x, bool wide, bli_fitted *out);

/* ---- step_*.c: each makes the step of op i, or leaves *made false --------------------------------------------------
 */
typedef bl_status (*bli_step_maker)(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
bl_status bli_step_product(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
bl_status bli_step_element(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
bl_status bli_step_pool(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
bl_status bli_step_move(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
bl_status bli_step_copy(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
bl_status bli_step_plain(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made);
/* What a product of wire x and these constants needs x to be stored as. */
bli_store bli_product_store(const bli_exec_plan *plan, int i);
bool bli_product_takes_bits(const bli_exec_plan *plan, int i);
int64_t bli_product_constants(const bli_program *p);   /* of all products */
void bli_product_border(const bli_step *s, char *own); /* fills an image's border, once */

/* ---- encode.c ------------------------------------------------------------------------------------------------------
 */
BL_MUST_CHECK bl_status bli_encode_plan(bli_exec_plan *plan);
/* samples rows of real numbers into their place. */
BL_MUST_CHECK bl_status bli_encode_run(const bli_exec_plan *plan, const bli_run *r, int input, const float *x);
BL_MUST_CHECK bl_status bli_decode_plan(bli_exec_plan *plan);
/* samples rows of an output to real numbers, of its type. */
void bli_decode_run(const bli_exec_plan *plan, const bli_run *r, int output, void *y);

#endif
