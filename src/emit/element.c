/* element.c: elementwise ops on a value that is held in a variable.
 *
 * In HLS both sides of ?: are cast to the result's type, since ap_int has no common type for them.
 */
#include <stdio.h>
#include <string.h>

#include "emit/body.h"

/* ---- pieces ---------------------------------------------------------------------------------------------------- */
const char *bli_body_int(const bli_body *b)
{
    return b->hls ? "int" : "int32_t";
}

void bli_body_loop(bli_body *b, const char *var, int64_t count)
{
    bli_text_open(b->code, "for (%s %s = 0; %s < %lld; %s++) {", bli_body_int(b), var, var, (long long)count, var);
}

void bli_body_work_loop(bli_body *b, const char *var, int64_t count)
{
    bli_body_loop(b, var, count);
    if (b->work_pragma != NULL)
        bli_text_put(b->code, "%s\n", b->work_pragma);
}

void bli_body_end(bli_body *b, int loops)
{
    while (loops-- > 0)
        bli_text_close(b->code, "}");
}

const char *bli_body_type(bli_body *b, bli_reach r, char buf[BLI_TYPE_ROOM])
{
    return b->hls ? bli_type_exact(r, buf) : bli_type_computed(r);
}

const char *bli_body_cast(const bli_body *b, bli_reach r)
{
    if (b->hls)
        return "";
    const char *type = bli_type_computed(r);
    return strcmp(type, "int32_t") == 0 ? "(int32_t)" : strcmp(type, "int64_t") == 0 ? "(int64_t)" : "(uint64_t)";
}

const char *bli_body_cast_more(const bli_body *b, bli_reach r)
{
    return b->hls || strcmp(bli_type_computed(r), "uint64_t") != 0 ? "" : "(uint64_t)";
}

const char *bli_body_number(const bli_body *b, int64_t v, char buf[BLI_TYPE_ROOM])
{
    const char *open = v < 0 ? "(" : "", *close = v < 0 ? ")" : "";
    if (v == INT64_MIN)
        snprintf(buf, BLI_TYPE_ROOM, b->hls ? "(-9223372036854775807LL - 1)" : "INT64_MIN");
    else if (v > INT32_MIN && v <= INT32_MAX)
        snprintf(buf, BLI_TYPE_ROOM, "%s%lld%s", open, (long long)v, close);
    else if (b->hls)
        snprintf(buf, BLI_TYPE_ROOM, "%s%lldLL%s", open, (long long)v, close);
    else
        snprintf(buf, BLI_TYPE_ROOM, "INT64_C(%lld)", (long long)v);
    return buf;
}

const char *bli_body_table(bli_body *b, const bli_prim_op *op, const char *what, const int64_t *values, int64_t count)
{
    char wanted[256];
    const char *name = "";
    snprintf(wanted, sizeof wanted, "%.200s_%s", b->p->wires[op->out].name, what);
    if (b->data->status == BL_OK)
        b->data->status = bli_names_take(b->names, wanted, &name);
    if (b->data->status == BL_OK)
        b->table(b, name, values, count);
    return name;
}

enum { MOST_BITS = 7, MOST_PACKED = 1 << 29 }; /* the bits of all are counted in 32 */

/* Fields of 1 to 7 bits: constant = low + (field << shift).  False: they are no such. */
static bool fields_of(const int64_t *values, int64_t count, int64_t *low, int *width, int *shift)
{
    uint64_t all = 0;
    *low = count > 0 ? values[0] : 0;
    for (int64_t i = 0; i < count; i++)
        *low = values[i] < *low ? values[i] : *low;
    for (int64_t i = 0; i < count; i++)
        all |= (uint64_t)values[i] - (uint64_t)*low;
    for (*shift = 0; all != 0 && all % 2 == 0; all /= 2)
        ++*shift;
    for (*width = 0; *width < 64 && all >> *width != 0; ++*width)
        continue;
    return *width > 0 && *width <= MOST_BITS && *shift < 16 && *low > INT32_MIN / 2 && *low < INT32_MAX / 2 &&
           count <= MOST_PACKED;
}

/* Field after field, the low bits first, and a byte behind the last since reading takes two. */
static const char *packed_table(bli_body *b, const bli_prim_op *op, const int64_t *values, int64_t count, int64_t low,
                                int width, int shift)
{
    const int64_t bytes = (count * width + 7) / 8 + 1;
    int64_t *to = bli_arena_array(b->arena, (size_t)bytes, sizeof *to);
    if (to == NULL) {
        b->data->status = b->data->status == BL_OK ? BL_NO_MEMORY : b->data->status;
        return "";
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = i * width, two = ((values[i] - low) >> shift) << at % 8;
        to[at / 8] |= two & 255;
        to[at / 8 + 1] |= two >> 8;
    }
    return bli_body_table(b, op, "weight", to, bytes);
}

bli_weights bli_body_weights(bli_body *b, const bli_prim_op *op, const int64_t *values, int64_t count)
{
    bli_weights w;
    int64_t low;
    int width, shift;
    if (b->packs && fields_of(values, count, &low, &width, &shift)) {
        b->helpers |= (uint64_t)1 << BLI_HELPER_PACKED;
        snprintf(w.open, sizeof w.open, "packed(%s, ", packed_table(b, op, values, count, low, width, shift));
        snprintf(w.close, sizeof w.close, ", %d, %d, %d)", width, shift, (int)low);
        return w;
    }
    snprintf(w.open, sizeof w.open, "%s[", bli_body_table(b, op, "weight", values, count));
    snprintf(w.close, sizeof w.close, "]");
    return w;
}

static bool all_equal(const int64_t *values, int64_t count)
{
    for (int64_t i = 1; i < count; i++)
        if (values[i] != values[0])
            return false;
    return true;
}

const char *bli_body_param(bli_body *b, const bli_prim_op *op, const char *what, const int64_t *values, int64_t count,
                           char buf[BLI_EXPR_ROOM])
{
    char number[BLI_TYPE_ROOM];
    if (all_equal(values, count))
        snprintf(buf, BLI_EXPR_ROOM, "%s", bli_body_number(b, count > 0 ? values[0] : 0, number));
    else
        snprintf(buf, BLI_EXPR_ROOM, "%s[c]", bli_body_table(b, op, what, values, count));
    return buf;
}

void bli_body_value(bli_body *b, bli_reach computed, bli_reach value, const char *fmt, ...)
{
    char expr[1024], type[BLI_TYPE_ROOM];
    va_list args;
    va_start(args, fmt);
    vsnprintf(expr, sizeof expr, fmt, args);
    va_end(args);
    bli_body_type(b, value, type);
    const char *t = b->hls ? type : bli_type_computed(value), *from = b->hls ? t : bli_type_computed(computed);
    b->var++;
    b->range = value;
    if (strcmp(from, "uint64_t") == 0) {
        b->helpers |= 1u << BLI_HELPER_TO_SIGNED;
        const char *narrow = strcmp(t, "int32_t") == 0 ? "(int32_t)" : "";
        bli_text_line(b->code, "const %s v%d = %sto_signed(%s);", t, b->var, narrow, expr);
    } else if (strcmp(from, t) != 0) {
        bli_text_line(b->code, "const %s v%d = (%s)(%s);", t, b->var, t, expr);
    } else {
        bli_text_line(b->code, "const %s v%d = %s;", t, b->var, expr);
    }
}

bool bli_body_needs_channel(const bli_group *g, bool with_head)
{
    for (int i = with_head ? 0 : 1; i < g->num_ops; i++) {
        const bli_prim_op *op = g->ops[i];
        const int64_t *arrays[] = {op->weight, op->bias,      op->low,  op->high, op->shift,
                                   op->bits,   op->threshold, op->base, op->step, op->table};
        for (size_t k = 0; bli_is_elementwise(op->kind) && op->channels > 1 && k < BLI_COUNT(arrays); k++) {
            bool long_one =
                arrays[k] != NULL && (arrays[k] == op->threshold || arrays[k] == op->step || arrays[k] == op->table);
            if (arrays[k] != NULL && (long_one || !all_equal(arrays[k], op->channels)))
                return true;
        }
    }
    return false;
}

static void use_helper(bli_body *b, int helper)
{
    b->helpers |= (uint64_t)1 << helper;
}

static bool is_wide(const bli_body *b)
{
    return strcmp(bli_type_computed(b->range), "int32_t") != 0;
}

static const char *suffix(const bli_body *b)
{
    return b->hls ? "" : is_wide(b) ? "64" : "32";
}

/* What an op makes of the value lies in its wire's range. */
static bli_reach result(const bli_body *b, const bli_prim_op *op)
{
    return bli_reach_wire(&b->p->wires[op->out]);
}

/* ---- ops ------------------------------------------------------------------------------------------------------- */
/* x weight[c] + bias[c] over all channels. */
static bli_reach affine_range(const bli_body *b, const bli_prim_op *op)
{
    bli_reach all = b->range;
    for (int64_t c = 0; c < op->channels; c++) {
        bli_big w = op->weight[c], add = op->bias != NULL ? op->bias[c] : 0;
        bli_reach p = bli_reach_mul(b->range, (bli_reach){w, w});
        all = bli_reach_join(all, bli_reach_join(p, bli_reach_add(p, (bli_reach){add, add})));
        all = bli_reach_join(all, (bli_reach){w < 0 ? w : 0, w > 0 ? w : 0});
        all = bli_reach_join(all, (bli_reach){add < 0 ? add : 0, add > 0 ? add : 0});
    }
    return all;
}

static void multiply_add(bli_body *b, const bli_prim_op *op, bli_reach r, bli_reach value)
{
    char weight[BLI_EXPR_ROOM], bias[BLI_EXPR_ROOM] = "0";
    const char *cast = bli_body_cast(b, r), *more = bli_body_cast_more(b, r);
    bli_body_param(b, op, "scale", op->weight, op->channels, weight);
    if (op->bias != NULL)
        bli_body_param(b, op, "offset", op->bias, op->channels, bias);
    bli_body_value(b, r, value, "%sv%d * %s%s + %s%s", cast, b->var, more, weight, more, bias);
}

static void apply_affine(bli_body *b, const bli_prim_op *op)
{
    bli_reach r = bli_reach_join(affine_range(b, op), result(b, op));
    multiply_add(b, op, r, result(b, op));
}

/* v between low and high, each a literal or an element of a table; a bound that v cannot pass is left out. */
static void clamp_to(bli_body *b, const bli_prim_op *op, const int64_t *low, const int64_t *high, bli_reach value)
{
    char lo[BLI_EXPR_ROOM], hi[BLI_EXPR_ROOM], type[BLI_TYPE_ROOM], cast[BLI_TYPE_ROOM + 2] = "";
    bool cuts_low = bli_reach_values(low, op->channels).high > b->range.low;
    bool cuts_high = bli_reach_values(high, op->channels).low < b->range.high;
    bli_reach wide = bli_reach_join(b->range, value);
    wide =
        bli_reach_join(wide, bli_reach_join(bli_reach_values(low, op->channels), bli_reach_values(high, op->channels)));
    if (!cuts_low && !cuts_high)
        return;
    if (b->hls)
        snprintf(cast, sizeof cast, "(%s)", bli_body_type(b, wide, type));
    if (cuts_low)
        bli_body_param(b, op, "low", low, op->channels, lo);
    if (cuts_high)
        bli_body_param(b, op, "high", high, op->channels, hi);
    int v = b->var;
    if (cuts_low && cuts_high)
        bli_body_value(b, wide, value, "v%d < %s ? %s%s : v%d > %s ? %s%s : %sv%d", v, lo, cast, lo, v, hi, cast, hi,
                       cast, v);
    else
        bli_body_value(b, wide, value, "v%d %s %s ? %s%s : %sv%d", v, cuts_low ? "<" : ">", cuts_low ? lo : hi, cast,
                       cuts_low ? lo : hi, cast, v);
}

static void apply_clamp(bli_body *b, const bli_prim_op *op)
{
    clamp_to(b, op, op->low, op->high, result(b, op));
}

/* v / 2^shift, downward. */
static void floor_shift(bli_body *b, const bli_prim_op *op)
{
    char shift[BLI_EXPR_ROOM];
    bli_reach s = bli_reach_values(op->shift, op->channels), value = {b->range.low >> s.low, b->range.high >> s.low};
    if (s.high == 0)
        return;
    value = bli_reach_join(value, (bli_reach){b->range.low >> s.high, b->range.high >> s.high});
    bli_body_param(b, op, "shift", op->shift, op->channels, shift);
    if (b->hls) {
        bli_body_value(b, value, value, "v%d >> %s", b->var, shift);
        return;
    }
    use_helper(b, is_wide(b) ? BLI_HELPER_FLOOR64 : BLI_HELPER_FLOOR32);
    bli_body_value(b, b->range, value, "floor_shift%s(v%d, %s)", suffix(b), b->var, shift);
}

static void apply_rescale(bli_body *b, const bli_prim_op *op)
{
    bli_reach r = affine_range(b, op);
    multiply_add(b, op, r, r);
    floor_shift(b, op);
    clamp_to(b, op, op->low, op->high, result(b, op));
}

/* Words of helpers; the order of bl_rounding. */
static const char *const rounding_word[BL_ROUNDING_COUNT] = {
    [BL_TRN] = "trn",         [BL_TRN_ZERO] = "trn_zero",       [BL_RND] = "rnd",          [BL_RND_ZERO] = "rnd_zero",
    [BL_RND_INF] = "rnd_inf", [BL_RND_MIN_INF] = "rnd_min_inf", [BL_RND_CONV] = "rnd_conv"};

/* A shift to the left is exact; the helpers do both, for channels that differ in it. */
static void apply_round(bli_body *b, const bli_prim_op *op)
{
    char shift[BLI_EXPR_ROOM], type[BLI_TYPE_ROOM];
    bli_reach s = bli_reach_values(op->shift, op->channels);
    int64_t left = s.low < 0 ? (int64_t)-s.low : 0, by = (int64_t)1 << left;
    if (s.low == 0 && s.high == 0)
        return;
    if (s.low == s.high && left > 0) {
        bli_reach r = bli_reach_join(bli_reach_shift(b->range, left), (bli_reach){0, by});
        bli_body_value(b, r, result(b, op), "%sv%d * %s", bli_body_cast(b, r), b->var, bli_body_number(b, by, type));
        return;
    }
    bli_body_param(b, op, "shift", op->shift, op->channels, shift);
    int word = (int)op->rounding;
    bli_reach wide = bli_reach_join(bli_reach_add(b->range, (bli_reach){0, 1}), result(b, op));
    if (b->hls) {
        int bits = bli_reach_bits(wide) + 1;
        bits = bits > s.high + 2 ? bits : (int)s.high + 2;
        bli_body_value(b, result(b, op), result(b, op), "round_%s<%d>(v%d, %s)", rounding_word[word], bits, b->var,
                       shift);
        return;
    }
    bool big = strcmp(bli_type_computed(wide), "int32_t") != 0 || s.high > 30 || s.low < 0;
    if (big)
        use_helper(b, BLI_HELPER_TO_SIGNED);
    use_helper(b, BLI_HELPER_ROUND + 2 * word + big);
    bli_body_value(b, big ? (bli_reach){INT64_MIN, INT64_MAX} : (bli_reach){0, 0}, result(b, op), "round_%s%s(v%d, %s)",
                   rounding_word[word], big ? "64" : "32", b->var, shift);
}

/* Bounds per channel, where they fit int64_t; a plain number of 64 bits has none above that a wire could pass. */
static bl_status overflow_bounds(bli_body *b, const bli_prim_op *op, int64_t **low, int64_t **high)
{
    *low = bli_arena_array(b->arena, (size_t)op->channels, sizeof **low);
    *high = bli_arena_array(b->arena, (size_t)op->channels, sizeof **high);
    if (*low == NULL || *high == NULL)
        return BL_NO_MEMORY;
    for (int64_t c = 0; c < op->channels; c++) {
        int magnitude = (int)op->bits[c] - (op->is_signed ? 1 : 0);
        int64_t most = magnitude >= 63 ? INT64_MAX : ((int64_t)1 << magnitude) - 1;
        (*high)[c] = most;
        (*low)[c] = !op->is_signed ? 0 : op->overflow == BL_SAT_SYM ? -most : -most - 1;
    }
    return BL_OK;
}

static void wrap(bli_body *b, const bli_prim_op *op)
{
    char bits[BLI_EXPR_ROOM];
    bool sm = op->overflow == BL_WRAP_SM;
    bli_reach n = bli_reach_values(op->bits, op->channels);
    const char *how = sm ? "wrap_sm" : op->is_signed ? "wrap" : "wrap_plain";
    bli_body_param(b, op, "bits", op->bits, op->channels, bits);
    if (b->hls) {
        int width = bli_reach_bits(b->range) + 1;
        width = width > n.high + 2 ? width : (int)n.high + 2;
        bli_body_value(b, result(b, op), result(b, op), "%s<%d>(v%d, %s)", how, width, b->var, bits);
        return;
    }
    bool big = is_wide(b) || n.high > 31;
    use_helper(b, (sm ? BLI_HELPER_WRAP_SM32 : BLI_HELPER_WRAP32) + big);
    bli_body_value(b, big ? (bli_reach){INT64_MIN, INT64_MAX} : (bli_reach){0, 0}, result(b, op), "%s%s(v%d, %s%s)",
                   sm ? "wrap_sm" : "wrap", big ? "64" : "32", b->var, bits,
                   sm              ? ""
                   : op->is_signed ? ", 1"
                                   : ", 0");
}

/* Outside of the bounds: 0. */
static void zero_outside(bli_body *b, const bli_prim_op *op, const int64_t *low, const int64_t *high)
{
    char lo[BLI_EXPR_ROOM], hi[BLI_EXPR_ROOM], type[BLI_TYPE_ROOM], cast[BLI_TYPE_ROOM + 2] = "";
    if (b->hls)
        snprintf(cast, sizeof cast, "(%s)", bli_body_type(b, b->range, type));
    bli_body_param(b, op, "low", low, op->channels, lo);
    bli_body_param(b, op, "high", high, op->channels, hi);
    bli_body_value(b, bli_reach_join(b->range, (bli_reach){0, 0}), result(b, op), "v%d < %s || v%d > %s ? %s0 : %sv%d",
                   b->var, lo, b->var, hi, cast, cast, b->var);
}

static void apply_overflow(bli_body *b, const bli_prim_op *op)
{
    int64_t *low, *high;
    if (b->code->status != BL_OK || (b->code->status = overflow_bounds(b, op, &low, &high)) != BL_OK)
        return;
    if (bli_reach_values(low, op->channels).high <= b->range.low &&
        bli_reach_values(high, op->channels).low >= b->range.high)
        return;
    if (op->overflow == BL_WRAP || op->overflow == BL_WRAP_SM)
        wrap(b, op);
    else if (op->overflow == BL_SAT_ZERO)
        zero_outside(b, op, low, high);
    else
        clamp_to(b, op, low, high, result(b, op));
}

static void apply_abs(bli_body *b, const bli_prim_op *op)
{
    char type[BLI_TYPE_ROOM], cast[BLI_TYPE_ROOM + 2] = "";
    bli_reach wide = bli_reach_join(b->range, result(b, op));
    if (b->range.low >= 0)
        return;
    if (b->hls)
        snprintf(cast, sizeof cast, "(%s)", bli_body_type(b, wide, type));
    bli_body_value(b, wide, result(b, op), "v%d < 0 ? %s-v%d : %sv%d", b->var, cast, b->var, cast, b->var);
}

/* ---- thresholds and tables -------------------------------------------------------------------------------------- */
/* Every height on the way, whichever thresholds are passed. */
static bli_reach stair_range(const bli_prim_op *op)
{
    bli_reach all = {0, 0};
    for (int64_t c = 0; c < op->channels; c++) {
        bli_reach height = {op->base[c], op->base[c]};
        for (int64_t k = 0; k < op->length; k++) {
            bli_big s = op->step[c * op->length + k];
            height = bli_reach_add(height, (bli_reach){s < 0 ? s : 0, s > 0 ? s : 0});
        }
        all = bli_reach_join(all, height);
    }
    return all;
}

/* Thresholds cut to what tells values of the range apart, so that they are stored narrowly. */
static int64_t *cut_thresholds(bli_body *b, const bli_prim_op *op, bool *all_steps_equal)
{
    int64_t n = op->channels * op->length, first = 0;
    int64_t *cut = bli_arena_array(b->arena, (size_t)n + 1, sizeof *cut);
    bool seen = false;
    *all_steps_equal = true;
    for (int64_t i = 0; cut != NULL && i < n; i++) {
        bli_big t = op->threshold[i] < b->range.low ? b->range.low : op->threshold[i];
        bool never = t > b->range.high;
        cut[i] = (int64_t)(never && b->range.high < INT64_MAX ? b->range.high + 1 : t);
        if (never)
            continue;
        first = seen ? first : op->step[i];
        seen = true;
        *all_steps_equal = *all_steps_equal && op->step[i] == first;
    }
    if (n > 0 && !seen)
        *all_steps_equal = true;
    return cut;
}

static int64_t step_of(const bli_body *b, const bli_prim_op *op)
{
    for (int64_t i = 0; i < op->channels * op->length; i++)
        if (op->threshold[i] <= b->range.high)
            return op->step[i];
    return 0;
}

static void apply_threshold(bli_body *b, const bli_prim_op *op)
{
    char base[BLI_EXPR_ROOM], step[BLI_EXPR_ROOM], at[64] = "", type[BLI_TYPE_ROOM], number[BLI_TYPE_ROOM];
    bool equal;
    int64_t *cut = cut_thresholds(b, op, &equal), n = op->channels * op->length;
    bli_reach r = bli_reach_join(stair_range(op), result(b, op));
    int v = b->var, sum = v + 1;
    if (cut == NULL) {
        b->code->status = BL_NO_MEMORY;
        return;
    }
    if (op->channels > 1)
        snprintf(at, sizeof at, "c * %lld + ", (long long)op->length);
    const char *thresholds = bli_body_table(b, op, "threshold", cut, n);
    if (equal)
        snprintf(step, sizeof step, "%s", bli_body_number(b, step_of(b, op), number));
    else
        snprintf(step, sizeof step, "%s[%sk]", bli_body_table(b, op, "step", op->step, n), at);
    bli_body_param(b, op, "base", op->base, op->channels, base);
    const char *t = bli_body_type(b, r, type), *cast = bli_body_cast_more(b, r);
    bli_text_line(b->code, "%s s%d = %s%s;", t, sum, cast, base);
    bli_body_loop(b, "k", op->length);
    bli_text_open(b->code, "if (v%d >= %s[%sk])", v, thresholds, at);
    bli_text_line(b->code, "s%d += %s%s;", sum, cast, step);
    b->code->depth--;
    bli_body_end(b, 1);
    bli_body_value(b, r, result(b, op), "s%d", sum);
}

static void apply_table(bli_body *b, const bli_prim_op *op)
{
    char at[64] = "", number[BLI_TYPE_ROOM], from[BLI_TYPE_ROOM + 4] = "";
    bli_reach r = result(b, op);
    if (op->channels > 1)
        snprintf(at, sizeof at, "c * %lld + ", (long long)op->length);
    const char *table = bli_body_table(b, op, "table", op->table, op->channels * op->length);
    if (op->first != 0)
        snprintf(from, sizeof from, " - %s", bli_body_number(b, op->first, number));
    if (b->hls)
        bli_body_value(b, r, r, "%s[%s(v%d%s).to_int()]", table, at, b->var, from);
    else
        bli_body_value(b, r, r, "%s[%s(v%d%s)]", table, at, b->var, from);
}

void bli_body_apply(bli_body *b, const bli_prim_op *op)
{
    static void (*const apply[BLI_PRIM_COUNT])(bli_body *, const bli_prim_op *) = {
        [BLI_PRIM_AFFINE] = apply_affine,   [BLI_PRIM_ROUND] = apply_round, [BLI_PRIM_OVERFLOW] = apply_overflow,
        [BLI_PRIM_CLAMP] = apply_clamp,     [BLI_PRIM_ABS] = apply_abs,     [BLI_PRIM_THRESHOLD] = apply_threshold,
        [BLI_PRIM_RESCALE] = apply_rescale, [BLI_PRIM_TABLE] = apply_table,
    };
    apply[op->kind](b, op);
}

void bli_body_finish(bli_body *b, const char *index_fmt, ...)
{
    char index[512];
    va_list args;
    va_start(args, index_fmt);
    vsnprintf(index, sizeof index, index_fmt, args);
    va_end(args);
    for (int i = 1; i < b->group->num_ops; i++)
        bli_body_apply(b, b->group->ops[i]);
    const char *type = bli_type_stored(bli_reach_wire(b->group->out));
    if (b->hls || strcmp(type, bli_type_computed(b->range)) == 0)
        bli_text_line(b->code, "%s[%s] = v%d;", b->stores, index, b->var);
    else
        bli_text_line(b->code, "%s[%s] = (%s)v%d;", b->stores, index, type, b->var);
}
