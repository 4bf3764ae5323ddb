/* step_product.c: DENSE and CONV: rows of codes times packed constants, quantized while they are near.
 *
 * A convolution is a product over rows that overlap: the taps of one kernel row lie side by side in a channels-last
 * image, so that a row of the product is a few runs of bytes, found at constant offsets from an output position.  A
 * border is made by copying the image into a frame of its own whose edge was filled once.  Groups of constants that are
 * all zero for a block of results are left out, which is also what makes grouped convolutions no special case.
 */
#include <string.h>

#include "exec/exec.h"

/* ---- sums of windows as convolutions
 * ---------------------------------------------------------------------------------- */

/* Axes 0 .. rank-2: every position of every channel. */
static bool sums_positions(const bli_prim_op *op, int rank)
{
    bool all = op->kind == BLI_PRIM_REDUCE_SUM && (rank == 2 || rank == 3) && op->num_axes == rank - 1;
    for (int k = 0; all && k < op->num_axes; k++)
        all = op->axes[k] == k;
    return all;
}

/* SUMPOOL, and REDUCE_SUM over all positions, as the grouped CONV by ones that they are; other ops as they are.  NULL:
 * not a product. */
static bl_status as_product(const bli_exec_plan *plan, int i, bli_prim_op *room, const bli_prim_op **out)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op = &p->ops[i];
    const bl_shape *in = op->num_in > 0 ? &p->wires[op->in[0]].shape : NULL;
    *out = op->kind == BLI_PRIM_DENSE || op->kind == BLI_PRIM_CONV ? op : NULL;
    if (*out != NULL || (op->kind != BLI_PRIM_SUMPOOL && (in == NULL || !sums_positions(op, in->rank))) ||
        p->wires[i].count == 0 || p->wires[op->in[0]].count == 0)
        return BL_OK;
    *room = *op;
    room->kind = BLI_PRIM_CONV;
    room->channels = bli_last(in);
    if (op->kind == BLI_PRIM_REDUCE_SUM)
        room->window = (bli_window){{(int)in->dim[0], in->rank == 3 ? (int)in->dim[1] : 1}, {1, 1}, {1, 1}, {0}, 1};
    room->window.groups = (int)room->channels;
    const int64_t n = room->channels * room->window.kernel[0] * room->window.kernel[1];
    int64_t *ones = bli_arena_array(plan->arena, (size_t)n, sizeof *ones);
    if (ones == NULL)
        return BL_NO_MEMORY;
    for (int64_t k = 0; k < n; k++)
        ones[k] = 1;
    room->weight = ones;
    *out = room;
    return BL_OK;
}

/* ---- which product --------------------------------------------------------------------------------------------------
 */

/* Runs of consecutive input elements that one result reads: one for DENSE, one a kernel row (or tap) for CONV. */
typedef struct runs {
    int64_t count, length; /* runs, elements in each */
    int64_t taps;          /* in a run */
    int64_t channels;      /* elements of a tap */
    int outer, inner;      /* axes of the kernel: an image of one row for [L, C] */
} runs;

static runs runs_of(const bli_program *p, const bli_prim_op *op)
{
    const bl_shape *in = &p->wires[op->in[0]].shape;
    if (op->kind == BLI_PRIM_DENSE)
        return (runs){1, bli_last(in), 1, bli_last(in), 0, 0};
    const int inner = in->rank == 3 ? 1 : 0, outer = 1 - inner;
    const int64_t kernel = op->window.kernel[inner], channels = bli_last(in);
    if (op->window.dilation[inner] == 1)
        return (runs){op->window.kernel[outer], kernel * channels, kernel, channels, outer, inner};
    return (runs){op->window.kernel[outer] * kernel, channels, 1, channels, outer, inner};
}

/* The constant that result m has for element e of run i. */
static int64_t weight_at(const bli_prim_op *op, const runs *r, int64_t m, int64_t i, int64_t e)
{
    if (op->kind == BLI_PRIM_DENSE)
        return op->weight[e * op->channels + m];
    const bli_window *w = &op->window;
    const int64_t each = r->channels / w->groups, group = m / (op->channels / w->groups);
    const int64_t c = e % r->channels - group * each;
    if (c < 0 || c >= each)
        return 0;
    int64_t k[2];
    k[r->outer] = r->taps > 1 || w->kernel[r->inner] == 1 ? i : i / w->kernel[r->inner];
    k[r->inner] = r->taps > 1 || w->kernel[r->inner] == 1 ? e / r->channels : i % w->kernel[r->inner];
    return op->weight[((m * w->kernel[0] + k[0]) * w->kernel[1] + k[1]) * each + c];
}

static int64_t num_weights(const bli_program *p, const bli_prim_op *op)
{
    const int64_t channels = bli_last(&p->wires[op->in[0]].shape);
    if (op->kind == BLI_PRIM_DENSE)
        return channels * op->channels;
    return op->channels * (channels / op->window.groups) * op->window.kernel[0] * op->window.kernel[1];
}

/* Greatest sum of magnitudes of two neighbours on the same side of 0: what saturates in 16 bits. */
static int64_t pair_most(const bli_program *p, const bli_prim_op *op)
{
    const runs r = runs_of(p, op);
    int64_t most = 0;
    for (int64_t m = 0; m < op->channels; m++)
        for (int64_t i = 0; i < r.count; i++)
            for (int64_t e = 0; e < r.length; e += 2) {
                const int64_t a = weight_at(op, &r, m, i, e), b = e + 1 < r.length ? weight_at(op, &r, m, i, e + 1) : 0;
                const int64_t up = (a > 0 ? a : 0) + (b > 0 ? b : 0), down = (a < 0 ? -a : 0) + (b < 0 ? -b : 0);
                most = up > most ? up : most;
                most = down > most ? down : most;
            }
    return most;
}

bli_store bli_product_store(const bli_exec_plan *plan, int i)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op = &p->ops[i];
    const bli_span out = bli_wire_hull(&p->wires[i]), in = bli_wire_hull(&p->wires[op->in[0]]);
    int64_t low = 0, high = 0;
    if (out.low < INT32_MIN || out.high > INT32_MAX)
        return BLI_STORE_64;
    if (op->kind != BLI_PRIM_DENSE && op->kind != BLI_PRIM_CONV)
        return BLI_STORE_8; /* ones */
    for (int64_t k = 0; k < num_weights(p, op); k++) {
        low = op->weight[k] < low ? op->weight[k] : low;
        high = op->weight[k] > high ? op->weight[k] : high;
    }
    if (low < INT32_MIN || high > INT32_MAX)
        return BLI_STORE_64;
    if (low < INT16_MIN || high > INT16_MAX)
        return BLI_STORE_32;
    if (low < INT8_MIN || high > INT8_MAX)
        return BLI_STORE_16;
    const int64_t limit = plan->kernels->pair_limit, bytes = (in.high > 0 ? in.high : 0) - (in.low < 0 ? in.low : 0);
    return bytes <= 255 && limit > 0 && bytes * pair_most(p, op) > limit ? BLI_STORE_16 : BLI_STORE_8;
}

bool bli_product_takes_bits(const bli_exec_plan *plan, int i)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op = &p->ops[i];
    int64_t zero, one;
    if (op->kind != BLI_PRIM_DENSE || !bli_two_codes(p, op->in[0], &zero, &one) ||
        bli_product_store(plan, i) > BLI_STORE_16)
        return false;
    for (int64_t k = 0; k < num_weights(p, op); k++)
        if (op->weight[k] < -1 || op->weight[k] > 1)
            return false;
    return num_weights(p, op) > 0;
}

/* ---- packing
 * --------------------------------------------------------------------------------------------------------- */

typedef struct packing {
    bli_exec_plan *plan;
    const bli_prim_op *op;
    runs r;
    const int64_t *run_offset; /* elements from the row's start */
    bli_store store;
    int each;       /* elements of a group */
    bool single;    /* bits: no constant is 0 */
    int64_t groups; /* of a run */
    bool halves;    /* constants of 4 bits, two groups in one vector */
} packing;

static size_t group_bytes(const packing *k)
{
    return k->store == BLI_STORE_64 ? 8 : 4;
}

static bool group_is_zero(const packing *k, int64_t m0, int64_t m1, int64_t run, int64_t g)
{
    for (int64_t m = m0; m < m1; m++)
        for (int64_t e = g * k->each; e < (g + 1) * k->each && e < k->r.length; e++)
            if (weight_at(k->op, &k->r, m, run, e) != 0)
                return false;
    return true;
}

static int64_t weight_or_zero(const packing *k, int64_t m, int64_t run, int64_t e)
{
    return m < k->op->channels && e < k->r.length ? weight_at(k->op, &k->r, m, run, e) : 0;
}

static void pack_lane(const packing *k, int64_t m, int64_t run, int64_t g, char *to)
{
    for (int j = 0; j < k->each; j++) {
        const int64_t w = weight_or_zero(k, m, run, g * k->each + j);
        if (k->store == BLI_STORE_8)
            ((int8_t *)to)[j] = (int8_t)w;
        else if (k->store == BLI_STORE_16)
            ((int16_t *)(void *)to)[j] = (int16_t)w;
        else if (k->store == BLI_STORE_32)
            *(int32_t *)(void *)to = (int32_t)w;
        else
            *(int64_t *)(void *)to = w;
    }
}

/* sign 0: where the constant is 1; 1: where it is -1. */
static void pack_bits(const packing *k, int64_t m, int64_t run, int64_t g, int sign, char *to)
{
    uint32_t word = 0;
    for (int j = 0; j < 32; j++)
        word |= (uint32_t)(weight_or_zero(k, m, run, g * 32 + j) == (sign == 0 ? 1 : -1)) << j;
    memcpy(to, &word, sizeof word);
}

static char *pack_panel(const packing *k, int64_t m, int64_t run, int64_t g, char *to)
{
    const int lanes = k->plan->kernels->lanes, signs = k->store == BLI_STORE_BITS && !k->single ? 2 : 1;
    for (int sign = 0; sign < signs; sign++)
        for (int l = 0; l < lanes; l++, to += group_bytes(k))
            if (k->store == BLI_STORE_BITS)
                pack_bits(k, m + l, run, g, sign, to);
            else
                pack_lane(k, m + l, run, g, to);
    return to;
}

static bl_status pack_block(const packing *k, bli_product_block *b)
{
    const int lanes = k->plan->kernels->lanes;
    const int64_t all = k->r.count * k->groups, m0 = (int64_t)b->first * lanes;
    int64_t m1 = m0 + (int64_t)b->panels * lanes;
    m1 = m1 < k->op->channels ? m1 : k->op->channels;
    int32_t *offset = bli_arena_array(k->plan->arena, (size_t)all + 1, sizeof *offset);
    size_t size;
    if (!bli_mul_size((size_t)all, (size_t)b->panels * (size_t)lanes * group_bytes(k) * 2, &size))
        return bli_fail(k->plan->program->ctx, BL_LIMIT, "constants of more bytes than there are addresses");
    if (k->store != BLI_STORE_BITS || k->single)
        size /= 2;
    char *weight = bli_arena_alloc(k->plan->arena, size);
    if (offset == NULL || weight == NULL)
        return BL_NO_MEMORY;
    b->offset = offset;
    b->weight = weight;
    for (int64_t run = 0; run < k->r.count; run++)
        for (int64_t g = 0; g < k->groups; g++) {
            if (!k->single && group_is_zero(k, m0, m1, run, g))
                continue;
            offset[b->groups++] = k->store == BLI_STORE_BITS
                                      ? (int32_t)(g * 4)
                                      : (int32_t)((k->run_offset[run] + g * k->each) * ((int64_t)1 << k->store));
            for (int q = 0; q < b->panels; q++)
                weight = pack_panel(k, m0 + (int64_t)q * lanes, run, g, weight);
        }
    return BL_OK;
}

/* Two neighbouring groups into one, in place: the first's constants in the low halves.  An odd one gets a partner of
 * zeros. */
static void pair_up(const packing *k, bli_product_block *b)
{
    const size_t size = (size_t)b->panels * (size_t)k->plan->kernels->lanes * 4;
    char *to = (char *)(uintptr_t)b->weight;
    int32_t *offset = (int32_t *)(uintptr_t)b->offset;
    if (b->groups % 2 != 0)
        offset[b->groups] = offset[b->groups - 1];
    for (int g = 0; g < b->groups; g += 2) {
        const char *first = to + (size_t)g * size, *second = first + size;
        for (size_t i = 0; i < size; i++) {
            const int high = g + 1 < b->groups ? second[i] : 0;
            to[(size_t)(g / 2) * size + i] = (char)((first[i] & 15) | (high & 15) << 4);
        }
    }
    b->groups = (b->groups + 1) / 2;
}

static bl_status pack(const packing *k, bli_step *step)
{
    const int lanes = k->plan->kernels->lanes;
    const int panels = (int)((k->op->channels + lanes - 1) / lanes);
    const int blocks = (panels + BLI_BLOCK_PANELS - 1) / BLI_BLOCK_PANELS;
    bli_product_block *b = bli_arena_array(k->plan->arena, (size_t)blocks, sizeof *b);
    if (b == NULL)
        return BL_NO_MEMORY;
    step->product.blocks = b;
    step->product.num_blocks = blocks;
    for (int i = 0; i < blocks; i++) {
        b[i].first = i * BLI_BLOCK_PANELS;
        b[i].panels = panels - b[i].first < BLI_BLOCK_PANELS ? panels - b[i].first : BLI_BLOCK_PANELS;
        BLI_TRY(pack_block(k, &b[i]));
        if (k->halves)
            pair_up(k, &b[i]);
    }
    return BL_OK;
}

/* ---- what sums start from
 * ---------------------------------------------------------------------------------------------- */

/* Modulo 2^64: sum of constants, and how many are 1. */
static uint64_t constants_of(const packing *k, int64_t m, int64_t *ones)
{
    uint64_t sum = 0;
    *ones = 0;
    for (int64_t run = 0; run < k->r.count; run++)
        for (int64_t e = 0; e < k->r.length; e++) {
            const int64_t w = weight_at(k->op, &k->r, m, run, e);
            sum += (uint64_t)w;
            *ones += w == 1;
        }
    return sum;
}

/* Codes are stored as code - bias: sum w code = sum w stored + bias sum w.  Of bits u, code = zero + (one - zero) u,
 * and with constants +-1:  sum w u = ones - count(u xor [w = 1]). */
static int64_t start_of(const packing *k, const bli_place *in, int64_t m)
{
    int64_t ones;
    const uint64_t sum = constants_of(k, m, &ones), bias = k->op->bias != NULL ? (uint64_t)k->op->bias[m] : 0;
    if (k->store == BLI_STORE_8)
        return (int64_t)(bias + (uint64_t)in->bias * sum);
    if (k->store != BLI_STORE_BITS)
        return (int64_t)bias;
    const uint64_t between = (uint64_t)in->one - (uint64_t)in->zero;
    return (int64_t)(bias + (uint64_t)in->zero * sum + (k->single ? between * (uint64_t)ones : 0));
}

static bl_status start(const packing *k, bli_step *step, const bli_place *in)
{
    const int64_t n = step->product.columns;
    char *init = bli_arena_array(k->plan->arena, (size_t)n, step->product_wide ? 8 : 4);
    if (init == NULL)
        return BL_NO_MEMORY;
    for (int64_t m = 0; m < k->op->channels; m++) {
        const int64_t v = start_of(k, in, m);
        if (step->product_wide)
            ((int64_t *)(void *)init)[m] = v;
        else
            ((int32_t *)(void *)init)[m] = (int32_t)(uint32_t)(uint64_t)v;
    }
    step->product.init = init;
    step->product.factor = (int32_t)(k->single ? in->zero - in->one : in->one - in->zero);
    return BL_OK;
}

/* ---- running
 * ------------------------------------------------------------------------------------------------------------ */

static size_t out_row_bytes(const bli_step *s)
{
    return s->out->store == BLI_STORE_BITS ? s->out->row : (size_t)s->m << s->out->store;
}

/* rows rows of results from x, through the chain, to y. */
static void product_rows(const bli_step *s, const bli_run *r, const char *x, ptrdiff_t stride, int64_t rows, char *y)
{
    const bli_exec_kernels *k = r->plan->kernels;
    const int64_t columns = s->product.columns;
    char *lanes = r->scratch;
    s->fn(&s->product, x, stride, rows, lanes);
    if (s->chain.wide && !s->product_wide) { /* behind the narrow sums */
        char *wide = lanes + (size_t)(rows * columns) * 4;
        k->load64[BLI_STORE_32](lanes, rows * columns, 0, (int64_t *)(void *)wide);
        lanes = wide;
    }
    bli_chain_run(k, &s->chain, s->out, lanes, rows);
    const size_t lane_row = (size_t)columns * (s->chain.wide ? 8 : 4), out_row = out_row_bytes(s);
    if (columns == s->m && s->out->store != BLI_STORE_BITS) {
        bli_chain_store(k, &s->chain, s->out, lanes, rows * columns, y);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        bli_chain_store(k, &s->chain, s->out, lanes + (size_t)i * lane_row, s->m, y + (size_t)i * out_row);
}

static void run_rows(const bli_step *s, const bli_run *r, const char *x, ptrdiff_t stride, int64_t rows, char *y)
{
    for (int64_t i = 0; i < rows; i += s->rows) {
        const int64_t n = rows - i < s->rows ? rows - i : s->rows;
        product_rows(s, r, x + i * stride, stride, n, y + (size_t)i * out_row_bytes(s));
    }
}

static void run_dense(const bli_step *s, const bli_run *r)
{
    const ptrdiff_t stride = s->row_bytes;
    const int64_t rows = s->m > 0 ? s->out->count / s->m : 0;
    if (s->in[0]->constant == NULL) {
        run_rows(s, r, bli_place_at(s->in[0], r, 0), stride, rows * r->samples, bli_place_at(s->out, r, 0));
        return;
    }
    for (int64_t i = 0; i < r->samples; i++)
        run_rows(s, r, s->in[0]->constant, stride, rows, bli_place_at(s->out, r, i));
}

/* The image in its frame. */
static const char *framed(const bli_step *s, const bli_run *r, const char *x)
{
    if (!s->bordered)
        return x;
    char *frame = r->own + s->own;
    const size_t size = (size_t)1 << s->in[0]->store, row = (size_t)(s->image[1] * s->in[0]->last) * size;
    char *to = frame + s->border[0] * s->row_bytes + (size_t)(s->border[1] * s->in[0]->last) * size;
    for (int64_t h = 0; h < s->image[0]; h++)
        memcpy(to + h * s->row_bytes, x + (size_t)h * row, row);
    return frame;
}

static void run_conv(const bli_step *s, const bli_run *r)
{
    for (int64_t i = 0; i < r->samples; i++) {
        const char *x = framed(s, r, bli_place_at(s->in[0], r, i));
        char *y = bli_place_at(s->out, r, i);
        for (int64_t h = 0; h < s->out_size[0]; h++)
            run_rows(s, r, x + h * s->move[0], s->move[1], s->out_size[1],
                     y + (size_t)(h * s->out_size[1]) * out_row_bytes(s));
    }
}

void bli_product_border(const bli_step *s, char *own)
{
    if (!s->bordered)
        return;
    const int64_t height = s->image[0] + s->border[0] + s->border[2];
    if (s->in[0]->store == BLI_STORE_8) /* the byte of code 0; wider stores have no bias, and memory begins as 0 */
        memset(own + s->own, (int)-s->in[0]->bias, (size_t)(height * s->row_bytes) + BLI_SLACK);
}

/* ---- planning
 * ----------------------------------------------------------------------------------------------------------- */

enum { HALVES_FROM = 1 << 20 };

/* Constants of 4 bits in half a byte: worth it where bytes would not stay in a core's own cache.  The sums, times 16,
 * fit 32 bits. */
static bool halves_pay(const packing *k)
{
    const bli_program *p = k->plan->program;
    const int64_t n = num_weights(p, k->op), most = k->r.count * k->r.length * 255 * 8;
    bool pays = k->store == BLI_STORE_8 && k->plan->kernels->product4 != NULL && n >= HALVES_FROM && most < 1 << 27;
    for (int64_t i = 0; pays && i < n; i++)
        pays = k->op->weight[i] >= -8 && k->op->weight[i] <= 7;
    return pays;
}

static void choose_kernel(const packing *k, bli_step *step)
{
    const bli_exec_kernels *t = k->plan->kernels;
    const bli_product_fn fns[] = {t->product8, t->product16, t->product32, t->product64,
                                  k->single ? t->bits1 : t->bits2};
    step->fn = k->halves ? t->product4 : fns[k->store];
    step->product_wide = k->store == BLI_STORE_64;
}

static void plan_image(const bli_program *p, const bli_prim_op *op, const runs *r, bli_step *step)
{
    const bli_window *w = &op->window;
    const bl_shape *in = &p->wires[op->in[0]].shape, *out = &p->wires[op->out].shape;
    const int64_t size = (int64_t)1 << step->in[0]->store, channels = bli_last(in);
    const bool flat = in->rank == 2;
    step->image[0] = flat ? 1 : in->dim[0];
    step->image[1] = flat ? in->dim[0] : in->dim[1];
    step->out_size[0] = flat ? 1 : out->dim[0];
    step->out_size[1] = flat ? out->dim[0] : out->dim[1];
    for (int side = 0; side < 2; side++) {
        step->border[side * 2] = flat ? 0 : w->pad[side * 2];
        step->border[side * 2 + 1] = w->pad[side * 2 + r->inner];
    }
    for (int side = 0; side < 4; side++)
        step->bordered = step->bordered || step->border[side] > 0;
    step->row_bytes = (ptrdiff_t)((step->image[1] + step->border[1] + step->border[3]) * channels * size);
    step->move[0] = (flat ? 1 : w->stride[0]) * step->row_bytes;
    step->move[1] = (ptrdiff_t)(w->stride[r->inner] * channels * size);
}

static bl_status plan_offsets(packing *k, const bli_step *step)
{
    int64_t *offset = bli_arena_array(k->plan->arena, (size_t)k->r.count, sizeof *offset);
    if (offset == NULL)
        return BL_NO_MEMORY;
    k->run_offset = offset;
    if (k->op->kind == BLI_PRIM_DENSE)
        return BL_OK;
    const bli_window *w = &k->op->window;
    const int64_t row = step->row_bytes / ((int64_t)1 << k->store);
    const bool whole = k->r.taps > 1 || w->kernel[k->r.inner] == 1;
    for (int64_t i = 0; i < k->r.count; i++) {
        const int64_t outer = whole ? i : i / w->kernel[k->r.inner], inner = whole ? 0 : i % w->kernel[k->r.inner];
        offset[i] = outer * w->dilation[k->r.outer] * row + inner * w->dilation[k->r.inner] * k->r.channels;
    }
    return BL_OK;
}

static bool no_zero(const bli_program *p, const bli_prim_op *op)
{
    for (int64_t k = 0; k < num_weights(p, op); k++)
        if (op->weight[k] == 0)
            return false;
    return true;
}

static void plan_memory(bli_exec_plan *plan, bli_step *step)
{
    const size_t lanes = (size_t)(step->rows * step->product.columns);
    const size_t need = lanes * (step->product_wide ? 8 : step->chain.wide ? 12 : 4) + BLI_SLACK;
    plan->scratch_bytes = need > plan->scratch_bytes ? need : plan->scratch_bytes;
    if (!step->bordered)
        return;
    step->own = plan->own_bytes;
    const int64_t height = step->image[0] + step->border[0] + step->border[2];
    plan->own_bytes += ((size_t)(height * step->row_bytes) + 2 * BLI_SLACK - 1) / BLI_SLACK * BLI_SLACK;
}

bl_status bli_step_product(bli_exec_plan *plan, int i, bli_step *step, int *last, bool *made)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op;
    bli_prim_op *room = bli_arena_alloc(plan->arena, sizeof *room);
    if (room == NULL)
        return BL_NO_MEMORY;
    BLI_TRY(as_product(plan, i, room, &op));
    *made = op != NULL && op->channels > 0;
    if (!*made)
        return BL_OK;
    static const int each[] = {4, 2, 1, 1, 32};
    const bli_place *in = &plan->places[op->in[0]];
    packing k = {.plan = plan, .op = op, .r = runs_of(p, op), .store = in->store, .each = each[in->store]};
    k.single = in->store == BLI_STORE_BITS && no_zero(p, op);
    k.groups = (k.r.length + k.each - 1) / k.each;
    step->in[0] = in;
    step->m = op->channels;
    step->row_bytes = (ptrdiff_t)(in->store == BLI_STORE_BITS ? in->row : (size_t)in->last << in->store);
    step->run = op->kind == BLI_PRIM_DENSE ? run_dense : run_conv;
    if (op->kind == BLI_PRIM_CONV)
        plan_image(p, op, &k.r, step);
    const int lanes = plan->kernels->lanes;
    step->product.columns = ((op->channels + lanes - 1) / lanes * lanes + 15) / 16 * 16;
    k.halves = halves_pay(&k);
    choose_kernel(&k, step);
    BLI_TRY(plan_offsets(&k, step));
    BLI_TRY(pack(&k, step));
    BLI_TRY(start(&k, step, in));
    step->chain.wide = step->product_wide;
    BLI_TRY(bli_chain_make(plan, i, false, step->product.columns,
                           step->product_wide ? NULL : (int32_t *)(uintptr_t)step->product.init, &step->chain, last));
    step->rows = BLI_TILE_LANES / step->product.columns / 24 * 24;
    step->rows = step->rows < 24 ? 12 : step->rows;
    step->out = &plan->places[*last];
    plan_memory(plan, step);
    plan->cost += (double)p->wires[i].count * (double)(k.r.count * k.r.length);
    return BL_OK;
}
