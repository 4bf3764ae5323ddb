/* spell_blocks.c: mx formats of activations in ONNX's words.
 *
 * A block's scale is a power of two found by comparisons alone, so no rounding of any runner can get it wrong.  With m
 * the block's greatest finite magnitude, at least 2^L:
 *
 *     top  = greatest 2^(L + 16 i) <= m      = ReduceMax over i of 2^(L + 16 i) Clip(Floor(m 2^-(L + 16 i)), 0, 1)
 *     fine = greatest 2^j <= m / top, j < 16, the same way
 *     scale = top fine 2^-emax
 *
 * Products and quotients by powers of two are exact; where one overflows or underflows, Floor and Clip give the same
 * 1 or 0.  Blocks become the rows of a tensor [N, blocks, K] (zeros fill the last one of a line), a scale each.
 * Elements are the words of spell_words.c.  Blocks along the batch and scales beside the block's own have no words.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "num/num.h"
#include "pass/spell_quant.h"

enum { LEAST_EXP = -127, GREATEST_EXP = 127, STEPS = 16 };

static int with_ints(bli_chain *c, const char *word, const char *type, int x, const char *attr, const int64_t *list,
                     int count)
{
    const bl_attr a = {attr, BL_ATTR_INTS, (size_t)count, {.ints = list}};
    const bl_node n = {.type = type, .num_inputs = 1, .num_outputs = 1, .num_attrs = 1, .inputs = &x, .attrs = &a};
    return x < 0 ? -1 : bli_chain_add(c, &n, word);
}

/* The axis to the end of the line, or back from there. */
static int turn(bli_chain *c, const char *word, int x, int axis, bool back)
{
    int64_t perm[BL_MAX_RANK];
    bl_shape from = c->shape;
    const int rank = from.rank, last = rank - 1;
    for (int i = 0; i < rank; i++) {
        perm[i] = i < axis ? i : back ? (i == axis ? last : i - 1) : (i == last ? axis : i + 1);
        c->shape.dim[i] = from.dim[perm[i]];
    }
    return with_ints(c, word, "Transpose", x, "perm", perm, rank);
}

/* ---- the scale ---------------------------------------------------------------------------------------------- */

static int greatest(bli_chain *c, const char *word, int x)
{
    const int64_t last = 2;
    c->shape.dim[2] = 1;
    return with_ints(c, word, "ReduceMax", x, "axes", &last, 1);
}

/* The words of one search, so that every node and constant has a name of its own. */
typedef struct search {
    const char *inverses, *ratio, *floor, *reached, *powers, *below, *result;
} search;
static const search of_top = {"top/inverses", "top/ratio", "top/floor", "top/reached",
                              "top/powers",   "top/below", "top"};
static const search of_fine = {"fine/inverses", "fine/ratio", "fine/floor", "fine/reached",
                               "fine/powers",   "fine/below", "fine"};

static int power_below(bli_chain *c, const search *w, int m, int first, int stride, int count)
{
    float power[STEPS], inverse[STEPS];
    const bl_shape list = {1, {count}};
    for (int i = 0; i < count; i++) {
        power[i] = ldexpf(1, first + stride * i);
        inverse[i] = ldexpf(1, -(first + stride * i));
    }
    c->shape.dim[2] = count;
    int t = bli_chain_node(c, w->ratio, "Mul", m, bli_chain_tensor(c, w->inverses, &list, inverse), -1);
    t = bli_chain_node(c, w->floor, "Floor", t, -1, -1);
    int zero = bli_chain_number(c, "zero", 0), one = bli_chain_number(c, "one", 1);
    t = bli_chain_node(c, w->reached, "Clip", t, zero, one);
    t = bli_chain_node(c, w->below, "Mul", t, bli_chain_tensor(c, w->powers, &list, power), -1);
    return greatest(c, w->result, t);
}

/* |x| where it is finite, else 0. */
static int finite_part(bli_chain *c, int x)
{
    int zero = bli_chain_number(c, "zero", 0), one = bli_chain_number(c, "one", 1);
    int a = bli_chain_node(c, "abs", "Abs", x, -1, -1);
    int inside = bli_chain_node(c, "finite", "Clip", a, zero, bli_chain_number(c, "largest", (double)FLT_MAX));
    int over = bli_chain_node(c, "beyond", "Sub", a, inside, -1);
    over = bli_chain_node(c, "infinite", "Clip", over, zero, one);
    return bli_chain_node(c, "magnitude", "Mul", inside, bli_chain_node(c, "counts", "Sub", one, over, -1), -1);
}

/* Twice the scale where m / power, in [1, 2), is above the greatest element's: the difference is exact. */
static int covering(bli_chain *c, int m, int power, int shared, const bli_blocks *b)
{
    int lead = bli_chain_node(c, "lead", "Div", m, power, -1);
    int above =
        bli_chain_node(c, "above", "Sub", lead, bli_chain_number(c, "greatest_lead", bli_mx_lead(&b->format)), -1);
    above = bli_chain_node(c, "above_up", "Ceil", above, -1, -1);
    int zero = bli_chain_number(c, "zero", 0), one = bli_chain_number(c, "one", 1);
    above = bli_chain_node(c, "next", "Clip", above, zero, one);
    int more = bli_chain_node(c, "more", "Mul", shared, above, -1);
    shared = bli_chain_node(c, "covering", "Add", shared, more, -1);
    return bli_chain_node(c, "shared_scale", "Min", shared, bli_chain_number(c, "most_power", ldexp(1, GREATEST_EXP)),
                          -1);
}

static int scale_of(bli_chain *c, int x, const bli_blocks *b)
{
    const int emax = -bli_mx_exponent(&b->format, 1), least = LEAST_EXP + emax;
    int count = (GREATEST_EXP - least) / STEPS + 1;
    int m = greatest(c, "greatest", finite_part(c, x));
    m = bli_chain_node(c, "bounded", "Max", m, bli_chain_number(c, "least_power", ldexp(1, least)), -1);
    int top = power_below(c, &of_top, m, least, STEPS, count);
    int rest = bli_chain_node(c, "rest", "Div", m, top, -1);
    int fine = power_below(c, &of_fine, rest, 0, 1, STEPS);
    int power = bli_chain_node(c, "leading", "Mul", top, fine, -1);
    int shared = bli_chain_node(c, "shared", "Mul", power, bli_chain_number(c, "by", ldexp(1, -emax)), -1);
    return b->format.covers ? covering(c, m, power, shared, b) : shared;
}

/* ---- the blocks --------------------------------------------------------------------------------------------- */

static int elements(bli_chain *c, int x, const bli_blocks *b, const char **why)
{
    const bl_shape blocks = c->shape;
    bl_format element = bli_mx_element(&b->format);
    if (element.rounding == BL_STOCHASTIC)
        element.rounding = BL_RND_CONV; /* as in evaluation */
    const float step = element.kind == BL_FORMAT_FIXED ? (float)bl_format_step(&element) : 1;
    const bli_spelling words = {.format = element, .step = &step, .steps = 1};
    int scale = scale_of(c, x, b);
    c->shape = blocks;
    int t = bli_chain_node(c, "elements", "Div", x, scale, -1);
    t = bli_spell_activation(c, t, &words, why);
    t = bli_chain_node(c, "blocks", "Mul", t, scale, -1);
    if (!b->format.covers) /* a covering scale may carry the greatest element past float32's greatest: cut there */
        return t;
    const int least = bli_chain_number(c, "least_number", -(double)FLT_MAX);
    return bli_chain_node(c, "within", "Clip", t, least, bli_chain_number(c, "greatest_number", (double)FLT_MAX));
}

int bli_spell_reshape(bli_chain *c, const char *word, const char *list, int x, const bl_shape *shape)
{
    int64_t target[BL_MAX_RANK] = {0}; /* 0: the batch as it is */
    for (int i = 1; i < shape->rank; i++)
        target[i] = shape->dim[i];
    c->shape = *shape;
    return bli_chain_node(c, word, "Reshape", x, bli_chain_ints(c, list, target, shape->rank), -1);
}

static int pad(bli_chain *c, int x, int64_t more)
{
    int64_t pads[2 * BL_MAX_RANK] = {0};
    const int rank = c->shape.rank;
    pads[2 * rank - 1] = more;
    c->shape.dim[rank - 1] += more;
    return bli_chain_node(c, "padded", "Pad", x, bli_chain_ints(c, "pads", pads, 2 * rank), -1);
}

static int cut(bli_chain *c, int x, int64_t length)
{
    const int64_t start = 0, axis = c->shape.rank - 1;
    c->shape.dim[axis] = length;
    const int inputs[] = {x, bli_chain_ints(c, "start", &start, 1), bli_chain_ints(c, "end", &length, 1),
                          bli_chain_ints(c, "axis", &axis, 1)};
    const bl_node n = {.type = "Slice", .num_inputs = 4, .num_outputs = 1, .inputs = inputs};
    return x < 0 ? -1 : bli_chain_add(c, &n, "cut");
}

static int along_last(bli_chain *c, int x, const bli_blocks *b, const char **why)
{
    const int rank = c->shape.rank;
    const int64_t length = c->shape.dim[rank - 1], k = length < b->format.block ? length : b->format.block;
    const int64_t more = (k - length % k) % k;
    if (more > 0)
        x = pad(c, x, more);
    const bl_shape lines = c->shape;
    bl_shape blocks = {3, {lines.dim[0], 1, k}};
    for (int i = 1; i < rank; i++)
        blocks.dim[1] *= lines.dim[i];
    blocks.dim[1] /= k;
    int t = elements(c, bli_spell_reshape(c, "rows", "rows/shape", x, &blocks), b, why);
    t = bli_spell_reshape(c, "lines", "lines/shape", t, &lines);
    return more > 0 ? cut(c, t, length) : t;
}

static const char *unsuitable(const bli_blocks *b)
{
    if (b->axis == 0)
        return "blocks along the first axis, the batch, depend on how many rows there are; give it another axis";
    for (int i = 1; i < b->shape.rank; i++)
        if (b->shape.dim[i] <= 0)
            return "its shape is not known; only the batch may be open";
    return NULL;
}

int bli_spell_blocks(bli_chain *c, int x, const bli_blocks *b, const char **why)
{
    *why = unsuitable(b);
    if (*why)
        return -1;
    c->shape = b->shape;
    const bool turned = b->axis != b->shape.rank - 1;
    if (turned)
        x = turn(c, "turned", x, b->axis, false);
    x = along_last(c, x, b, why);
    return turned ? turn(c, "back", x, b->axis, true) : x;
}

/* ---- trying them -------------------------------------------------------------------------------------------- */

enum { ROWS = 277 * 4 + 4, MOST_K = 33 };

typedef struct trial {
    bli_blocks blocks;
    const char *why;
} trial;

static int trial_words(bli_chain *c, int x, const void *arg)
{
    const char *why;
    return bli_spell_blocks(c, x, &((const trial *)arg)->blocks, &why);
}

/* Lines of two blocks and a half, their greatest magnitude of every exponent, the others down to 2^-15 of it. */
static void fill(float *x, int64_t line)
{
    static const float mantissas[] = {1, 0x1.000002p0F, 1.5F, 0x1.fffffep0F};
    uint32_t r = 1;
    for (int64_t i = 0; i < ROWS * line; i++) {
        int row = (int)(i / line);
        float m = ldexpf(mantissas[row % 4], row / 4 - 149);
        r = r * 1664525 + 1013904223;
        int bits = (r >> 28) < 8 ? 5 : 20; /* short mantissas meet ties */
        float part = ldexpf((float)(1 + (r >> (32 - bits))), -bits);
        x[i] = i % line % 5 == 3 ? m : ldexpf(m * part, -(int)((r >> 4) & 15));
        if (r & 1)
            x[i] = -x[i];
        if (row >= ROWS - 4)
            x[i] = row == ROWS - 1 ? 0.0F : i % 3 == 0 ? INFINITY : i % 3 == 1 ? -INFINITY : (float)(row - ROWS);
    }
}

bl_status bli_spell_probe_blocks(bl_context *ctx, const bl_node *n, const bli_quant_spec *spec, const bli_blocks *b,
                                 bool *same)
{
    bli_quant_spec one = *spec;
    trial t = {.blocks = *b};
    const int k = b->format.block < MOST_K ? b->format.block : MOST_K;
    const bl_shape shape = {2, {ROWS, 2 * k + (k + 1) / 2}};
    bl_tensor x, ours = {.data = NULL}, theirs = {.data = NULL};
    one.axis = -1;
    one.format.block = t.blocks.format.block = k;
    t.blocks.shape = shape;
    t.blocks.axis = 1;
    *same = false;
    BLI_TRY(bl_tensor_create(ctx, BL_F32, &shape, &x));
    fill(x.data, shape.dim[1]);
    bl_status s = bl_tensor_create(ctx, BL_F32, &shape, &ours);
    if (s == BL_OK)
        s = bli_spell_reference(ctx, n, &one, NULL, &x, &ours);
    if (s == BL_OK)
        s = bli_spell_evaluate(ctx, &x, trial_words, &t, &theirs);
    *same = s == BL_OK && bli_spell_same(&ours, &theirs);
    bl_tensor_free(ctx, &theirs);
    bl_tensor_free(ctx, &ours);
    bl_tensor_free(ctx, &x);
    return s;
}
