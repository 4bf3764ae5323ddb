/* step_product.c: DENSE and CONV: rows of codes times packed constants, quantized while they are near.
 *
 * A convolution is a product over rows that overlap: the taps of one kernel row lie side by side in a channels-last
 * image, so that a row of the product is a few runs of bytes, found at constant offsets from an output position.  A
 * border is made by copying the image into a frame of its own whose edge was filled once.  Groups of constants that are
 * all zero for a block of results are left out, which is also what makes grouped convolutions no special case.
 */
#include <string.h>

#include "exec/pack.h"

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

/* Greatest sum of magnitudes of two neighbours on the same side of 0: what saturates in 16 bits. */
static int64_t pair_most(const bli_program *p, const bli_prim_op *op)
{
    const bli_runs r = bli_runs_of(p, op, false);
    int64_t most = 0;
    for (int64_t m = 0; m < op->channels; m++)
        for (int64_t i = 0; i < r.count; i++)
            for (int64_t e = 0; e < r.length; e += 2) {
                const int64_t a = bli_weight_at(op, &r, m, i, e),
                              b = e + 1 < r.length ? bli_weight_at(op, &r, m, i, e + 1) : 0;
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
    for (int64_t k = 0; k < bli_num_weights(p, op); k++) {
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

enum { BIT_CHANNELS = 8 }; /* each pixel fills words of 32 */

/* A border is of code 0, whose bit must be 0. */
static bool conv_takes_bits(const bli_program *p, const bli_prim_op *op, int64_t zero)
{
    bool bordered = false;
    for (int side = 0; side < 4; side++)
        bordered = bordered || op->window.pad[side] > 0;
    return op->window.groups == 1 && bli_last(&p->wires[op->in[0]].shape) >= BIT_CHANNELS && (!bordered || zero == 0);
}

int64_t bli_product_constants(const bli_program *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->num_ops; i++)
        if (p->ops[i].kind == BLI_PRIM_DENSE || p->ops[i].kind == BLI_PRIM_CONV)
            n += bli_num_weights(p, &p->ops[i]);
    return n;
}

bool bli_product_takes_bits(const bli_exec_plan *plan, int i)
{
    const bli_program *p = plan->program;
    const bli_prim_op *op = &p->ops[i];
    int64_t zero, one;
    if ((op->kind != BLI_PRIM_DENSE && op->kind != BLI_PRIM_CONV) || !bli_two_codes(p, op->in[0], &zero, &one) ||
        bli_product_store(plan, i) > BLI_STORE_16)
        return false;
    if (op->kind == BLI_PRIM_CONV && !conv_takes_bits(p, op, zero))
        return false;
    for (int64_t k = 0; k < bli_num_weights(p, op); k++)
        if (op->weight[k] < -1 || op->weight[k] > 1)
            return false;
    return bli_num_weights(p, op) > 0;
}

/* ---- running
 * ------------------------------------------------------------------------------------------------------------ */

static size_t out_row_bytes(const bli_step *s)
{
    return s->out->store == BLI_STORE_BITS ? s->out->row : (size_t)s->m << s->out->store;
}

enum { MANY_ROWS = 8, UNPACK_ROWS = 4 }; /* of a run: half a tile; of all: from so many on, bytes repay unpacking */
enum { UNPACKED_BYTES = 256 << 10 };

/* By as many panels as stay near as bytes. */
static int panels_at_once(const bli_exec_kernels *k, const bli_product_block *b)
{
    const int64_t panel = (int64_t)b->groups * k->lanes * 4, panels = panel > 0 ? UNPACKED_BYTES / panel : b->panels;
    return panels < 1 ? 1 : panels < b->panels ? (int)panels : b->panels;
}

static void multiply_unpacked(const bli_step *s, const bli_run *r, bli_product_fn fn, const bli_rows *in, void *y)
{
    const bli_exec_kernels *k = r->plan->kernels;
    char *bytes = r->scratch + s->unpacked;
    for (int i = 0; i < s->product.num_blocks; i++) {
        const bli_product_block *b = &s->product.blocks[i];
        const int most = panels_at_once(k, b);
        for (int q = 0; q < b->panels; q += most) {
            const int panels = b->panels - q < most ? b->panels - q : most;
            const bli_product_block block = {panels, b->groups, b->first + q, b->offset, bytes};
            bli_product one = s->product;
            one.num_blocks = 1;
            one.blocks = &block;
            k->unpack(&s->product, b, q, panels, bytes);
            fn(&one, in, y);
        }
    }
}

static void multiply(const bli_step *s, const bli_run *r, const bli_rows *in, void *y)
{
    const int64_t rows = in->rows * in->outers;
    const bool many = s->fn_many != NULL && in->rows >= MANY_ROWS && rows >= s->many;
    const bli_product_fn fn = many ? s->fn_many : s->fn;
    if (s->product.width == 0)
        fn(&s->product, in, y);
    else if (s->fields != NULL && rows < UNPACK_ROWS)
        s->fields(&s->product, in, y);
    else
        multiply_unpacked(s, r, fn, in, y);
}

/* Results from rows of the input, through the chain, to y. */
static void product_rows(const bli_step *s, const bli_run *r, const bli_rows *in, char *y)
{
    const bli_exec_kernels *k = r->plan->kernels;
    const int64_t columns = s->product.columns, rows = in->rows * in->outers;
    char *lanes = r->scratch;
    multiply(s, r, in, s->finishes ? y : lanes);
    if (s->finishes)
        return;
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

/* So many rows at a time as the scratch has room for: parts of a run, or a few runs. */
static void run_rows(const bli_step *s, const bli_run *r, bli_rows in, char *y)
{
    const int64_t rows = in.rows, outers = in.outers, most = s->rows / (rows > 0 ? rows : 1);
    const bli_rows whole = in;
    in.outers = most > 1 ? most : 1;
    for (int64_t o = 0; o < outers; o += in.outers) {
        in.outers = outers - o < in.outers ? outers - o : in.outers;
        for (int64_t i = 0; i < rows; i += in.rows) {
            in.rows = rows - i < s->rows ? rows - i : s->rows;
            in.x = whole.x + o * in.outer_stride + i * in.stride;
            product_rows(s, r, &in, y + (size_t)(o * rows + i) * out_row_bytes(s));
        }
    }
}

static void run_dense(const bli_step *s, const bli_run *r)
{
    const int64_t rows = s->m > 0 ? s->out->count / s->m : 0;
    bli_rows in = {.stride = s->row_bytes, .rows = rows, .outers = 1};
    if (s->in[0]->constant == NULL) {
        in.x = bli_place_at(s->in[0], r, 0);
        in.rows *= r->samples;
        run_rows(s, r, in, bli_place_at(s->out, r, 0));
        return;
    }
    in.x = s->in[0]->constant;
    for (int64_t i = 0; i < r->samples; i++)
        run_rows(s, r, in, bli_place_at(s->out, r, i));
}

/* The image in its frame. */
static const char *framed(const bli_step *s, const bli_run *r, const char *x)
{
    if (!s->bordered)
        return x;
    char *frame = r->own + s->own;
    const size_t row = (size_t)(s->image[1] * s->pixel_bytes);
    char *to = frame + s->border[0] * s->row_bytes + s->border[1] * s->pixel_bytes;
    for (int64_t h = 0; h < s->image[0]; h++)
        memcpy(to + h * s->row_bytes, x + (size_t)h * row, row);
    return frame;
}

static void run_conv(const bli_step *s, const bli_run *r)
{
    for (int64_t i = 0; i < r->samples; i++) {
        const char *x = framed(s, r, bli_place_at(s->in[0], r, i));
        const bli_rows in = {x, s->move[1], s->move[0], s->out_size[1], s->out_size[0]};
        run_rows(s, r, in, bli_place_at(s->out, r, i));
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

/* Fields are faster for single rows where the constants of all layers do not stay in a core's own cache, and this
 * layer's are worth it.  Of 6 and 7 bits they save little there, and cost more in batches. */
enum { FIELDS_LAYER = 1 << 16, FIELDS_WIDTH = 5 };

static bool fields_pay(const bli_packing *k, int width)
{
    const bli_exec_plan *plan = k->plan;
    if (k->store != BLI_STORE_8 || plan->kernels->unpack == NULL || plan->pack == BL_PACK_NEVER)
        return false;
    return plan->pack == BL_PACK_ALWAYS ||
           (width <= FIELDS_WIDTH && plan->kernels->packed8 != NULL && plan->num_constants >= BLI_MANY_CONSTANTS &&
            bli_num_weights(plan->program, k->op) >= FIELDS_LAYER);
}

/* The narrowest that hold the constants, and 0, which fills bundles up. */
static void choose_fields(bli_packing *k, bli_step *step)
{
    int64_t low = 0, high = 0;
    for (int64_t i = 0; i < bli_num_weights(k->plan->program, k->op); i++) {
        low = k->op->weight[i] < low ? k->op->weight[i] : low;
        high = k->op->weight[i] > high ? k->op->weight[i] : high;
    }
    int width = 0;
    while ((high - low) >> width > 0)
        width++;
    if (width == 0 || width > BLI_PACKED_MOST || !fields_pay(k, width))
        return;
    k->width = step->product.width = width;
    k->low = step->product.low = (int)low;
}

enum { BUNDLE_FULL = 6, BUNDLE_REST = 4 };

/* A tile takes as long for a few groups as for all that it has room for; starting and taking sums costs as much as the
 * products of some groups. */
static bool bundles_pay(const bli_packing *k)
{
    const bli_exec_kernels *t = k->plan->kernels;
    if (t->tiles8 == NULL || k->store != BLI_STORE_8 || (k->op->kind == BLI_PRIM_CONV && k->op->window.groups > 1))
        return false;
    const int64_t bundles = (k->groups + t->bundle - 1) / t->bundle;
    return k->r.count * k->groups >= BUNDLE_FULL * k->r.count * bundles + BUNDLE_REST;
}

enum { TILES_COST = 1000 }; /* a shape for them takes as long as so many of a row's products, by panels and groups */

static void choose_kernel(const bli_packing *k, bli_step *step)
{
    const bli_exec_kernels *t = k->plan->kernels;
    const bli_product_fn fns[] = {t->product8, t->product16, t->product32, t->product64,
                                  k->single ? t->bits1 : t->bits2};
    step->fn = fns[k->store];
    step->fields = k->width > 0 ? t->packed8 : NULL;
    if (k->bundle > 1) {
        const int64_t panels = (k->op->channels + t->lanes - 1) / t->lanes;
        step->fn_many = t->tiles8;
        step->many = MANY_ROWS + TILES_COST / (k->r.count * k->groups * panels);
    }
    step->product_wide = k->store == BLI_STORE_64;
}

static void plan_image(const bli_program *p, const bli_prim_op *op, const bli_runs *r, bli_step *step)
{
    const bli_window *w = &op->window;
    const bl_shape *in = &p->wires[op->in[0]].shape, *out = &p->wires[op->out].shape;
    const bli_place *from = step->in[0];
    const size_t pixel = from->store == BLI_STORE_BITS ? from->row : (size_t)from->last << from->store;
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
    step->pixel_bytes = (ptrdiff_t)pixel;
    step->row_bytes = (step->image[1] + step->border[1] + step->border[3]) * step->pixel_bytes;
    step->move[0] = (flat ? 1 : w->stride[0]) * step->row_bytes;
    step->move[1] = w->stride[r->inner] * step->pixel_bytes;
}

static bl_status plan_offsets(bli_packing *k, const bli_step *step)
{
    int64_t *offset = bli_arena_array(k->plan->arena, (size_t)k->r.count, sizeof *offset);
    if (offset == NULL)
        return BL_NO_MEMORY;
    k->run_offset = offset;
    if (k->op->kind == BLI_PRIM_DENSE)
        return BL_OK;
    const bli_window *w = &k->op->window;
    const bool whole = k->r.taps > 1 || w->kernel[k->r.inner] == 1;
    for (int64_t i = 0; i < k->r.count; i++) {
        const int64_t outer = whole ? i : i / w->kernel[k->r.inner], inner = whole ? 0 : i % w->kernel[k->r.inner];
        offset[i] =
            outer * w->dilation[k->r.outer] * step->row_bytes + inner * w->dilation[k->r.inner] * step->pixel_bytes;
    }
    return BL_OK;
}

static bool no_zero(const bli_program *p, const bli_prim_op *op)
{
    for (int64_t k = 0; k < bli_num_weights(p, op); k++)
        if (op->weight[k] == 0)
            return false;
    return true;
}

static bool fits_32(bli_int128 v)
{
    return v >= INT32_MIN && v <= INT32_MAX;
}

/* One RESCALE of 64-bit lanes, of factors that fit 32 bits, and so does what it shifts to. */
static bool rescales_to_32(const bli_chain *c, int64_t channels)
{
    if (!c->wide || c->num != 1 || c->stages[0].kind != BLI_STAGE_RESCALE || !fits_32(c->in.low) ||
        !fits_32(c->in.high))
        return false;
    const int64_t *a = c->stages[0].a, *b = c->stages[0].b, *s = c->stages[0].s;
    const int64_t *low = c->stages[0].low, *high = c->stages[0].high;
    for (int64_t m = 0; m < channels; m++)
        if (!fits_32(a[m]) || !fits_32(low[m]) || !fits_32(high[m]) ||
            !fits_32(((bli_int128)c->in.low * a[m] + b[m]) >> s[m]) ||
            !fits_32(((bli_int128)c->in.high * a[m] + b[m]) >> s[m]))
            return false;
    return true;
}

/* What is left to do is one stage of 32-bit lanes at most, which the kernel does with the sums in its registers; else
 * it leaves lanes. */
static void plan_finish(const bli_exec_plan *plan, bli_step *step, const bli_place *out)
{
    const bli_chain *c = &step->chain;
    bli_finish *f = &step->product.finish;
    const int64_t columns = step->product.columns;
    *f = (bli_finish){.store = BLI_STORE_32, .columns = columns, .row = (size_t)columns * (step->product_wide ? 8 : 4)};
    const bool narrow =
        !c->wide && (c->num == 0 ||
                     (c->num == 1 && (c->stages[0].kind == BLI_STAGE_SHIFT || c->stages[0].kind == BLI_STAGE_RESCALE)));
    const bool fits = out->store == BLI_STORE_BITS ? c->limit != NULL && c->num == 0 : out->store <= BLI_STORE_32;
    step->finishes = plan->kernels->finishes && !step->product_wide && fits && (narrow || rescales_to_32(c, step->m));
    if (!step->finishes)
        return;
    *f = (bli_finish){.stage = c->num > 0 ? c->stages : NULL,
                      .wide = c->wide,
                      .store = (int)out->store,
                      .bias = (int32_t)out->bias,
                      .columns = step->m,
                      .row = out->store == BLI_STORE_BITS ? out->row : (size_t)step->m << out->store,
                      .limit = c->limit};
}

static void plan_memory(bli_exec_plan *plan, bli_step *step)
{
    const size_t lanes = (size_t)(step->rows * step->product.columns);
    step->unpacked = (lanes * (step->product_wide ? 8
                               : step->chain.wide ? 12
                                                  : 4) +
                      2 * BLI_SLACK - 1) /
                     BLI_SLACK * BLI_SLACK;
    size_t bytes = 0;
    for (int i = 0; step->product.width > 0 && i < step->product.num_blocks; i++) {
        const bli_product_block *b = &step->product.blocks[i];
        const size_t of =
            (size_t)panels_at_once(plan->kernels, b) * (size_t)b->groups * (size_t)plan->kernels->lanes * 4;
        bytes = of > bytes ? of : bytes;
    }
    const size_t need = step->unpacked + bytes;
    plan->scratch_bytes = need > plan->scratch_bytes ? need : plan->scratch_bytes;
    if (!step->bordered)
        return;
    step->own = plan->own_bytes;
    const int64_t height = step->image[0] + step->border[0] + step->border[2];
    plan->own_bytes += ((size_t)(height * step->row_bytes) + 2 * BLI_SLACK - 1) / BLI_SLACK * BLI_SLACK;
}

enum { WIDE_COLUMNS = 256 };

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
    bli_packing k = {.plan = plan,
                     .op = op,
                     .r = bli_runs_of(p, op, in->store == BLI_STORE_BITS),
                     .store = in->store,
                     .each = each[in->store]};
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
    choose_fields(&k, step);
    k.bundle = bundles_pay(&k) ? plan->kernels->bundle : 1;
    choose_kernel(&k, step);
    BLI_TRY(plan_offsets(&k, step));
    BLI_TRY(bli_pack(&k, step));
    BLI_TRY(bli_pack_start(&k, step, in));
    step->chain.wide = step->product_wide;
    BLI_TRY(bli_chain_make(plan, i, false, step->product.columns,
                           step->product_wide ? NULL : (int32_t *)(uintptr_t)step->product.init, &step->chain, last));
    plan_finish(plan, step, &plan->places[*last]);
    step->rows = BLI_TILE_LANES / step->product.columns / 24 * 24;
    step->rows = step->rows < 24 ? 12 : step->rows;
    if (step->finishes && step->product.columns >= WIDE_COLUMNS) /* no room for lanes is needed */
        step->rows = BLI_CHUNK_MOST;
    step->out = &plan->places[*last];
    plan_memory(plan, step);
    plan->cost += (double)p->wires[i].count * (double)(k.r.count * k.r.length);
    return BL_OK;
}
