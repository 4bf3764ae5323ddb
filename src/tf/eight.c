/* eight.c: codes and values, by the scalar rule and by the rule for tensors; requantizing; tables of bytes. */
#include "tf/eight.h"

#include <float.h>
#include <math.h>
#include <string.h>

const bli_codes bli_quint8 = {0, 255, 8, BL_U8};
const bli_codes bli_qint8 = {-128, 127, 8, BL_I8};
const bli_codes bli_quint16 = {0, 65535, 16, BL_U16};
const bli_codes bli_qint16 = {-32768, 32767, 16, BL_I16};
const bli_codes bli_qint32 = {INT32_MIN, INT32_MAX, 32, BL_I32};

enum { BLOCK = 256 };

/* v as int64, out of range as x86 converts it. */
static int64_t int64_of(double v)
{
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

static int32_t int32_of(float v)
{
    return v >= -0x1p31f && v < 0x1p31f ? (int32_t)v : INT32_MIN;
}

static int32_t wrap32(int64_t v)
{
    return (int32_t)(uint32_t)(uint64_t)v;
}

/* 0.5 less one bit, added before cutting, rounds half away from zero without a wrong step at 0.49999997. */
static float round_away(float v)
{
    return truncf(v + copysignf(0x1.fffffep-2f, v));
}

static float least(float a, float b)
{
    return b < a ? b : a;
}

static float most(float a, float b)
{
    return a < b ? b : a;
}

static int64_t add64(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* ---- scalar rule --------------------------------------------------------------------------------------------- */
static double stretched(float low, float high, const bli_codes *t)
{
    const double steps = ldexp(1, t->bits);
    return (double)(high - low) * (steps / (steps - 1));
}

static double steps_of(float low, float high, const bli_codes *t)
{
    return ldexp(1, t->bits) / stretched(low, high, t);
}

static int64_t code_at(float x, double scale, double base, const bli_codes *t)
{
    return add64(int64_of(round((double)x * scale) - base), t->low);
}

static int64_t clamped(int64_t code, const bli_codes *t)
{
    return code < t->low ? t->low : code > t->high ? t->high : code;
}

int64_t bli_code_of(float x, float low, float high, const bli_codes *t)
{
    if (low == high)
        return t->low;
    const double scale = steps_of(low, high, t);
    return code_at(x, scale, round((double)low * scale), t);
}

int64_t bli_code_clamped(float x, float low, float high, const bli_codes *t)
{
    return clamped(bli_code_of(x, low, high, t), t);
}

void bli_bytes_of(const float *x, size_t n, float low, float high, uint8_t *codes)
{
    const double scale = steps_of(low, high, &bli_quint8), base = round((double)low * scale);
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint8_t)clamped(code_at(x[i], scale, base, &bli_quint8), &bli_quint8);
}

/* Codes of 32 bits lose bits on their way, as TensorFlow's type for them becomes a number by way of a float. */
float bli_value_of(int64_t code, float low, float high, const bli_codes *t)
{
    if (low == high)
        return low;
    const double scale = stretched(low, high, t) / ldexp(1, t->bits);
    const double base = (double)(round_away(low / (float)scale) * (float)scale);
    return (float)(base + ((double)(float)code - (double)t->low) * scale);
}

/* ---- rule for tensors ---------------------------------------------------------------------------------------- */
bli_decoder bli_decoder_make(float low, float high, const bli_codes *t)
{
    const float scale = (float)((double)(high - low) / (ldexp(1, t->bits) - 1));
    const float from = low == high ? low : round_away(low / scale) * scale;
    return (bli_decoder){scale, from - (float)t->low * scale};
}

bli_encoder bli_encoder_make(float low, float high, const bli_codes *t)
{
    const float scale = low == high ? 0 : (float)((ldexp(1, t->bits) - 1) / (double)(high - low));
    return (bli_encoder){scale, round_away(low * scale) - (float)t->low, (float)t->low,
                         t->bits == 32 ? 2147483520.0f : (float)t->high};
}

#define LOAD(type)                                                                                                     \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        x[i] = (float)((const type *)codes)[i];                                                                        \
    break
static void load(const bli_codes *t, const void *codes, int64_t n, float *x)
{
    switch (t->store) {
    case BL_U8:
        LOAD(uint8_t);
    case BL_I8:
        LOAD(int8_t);
    case BL_U16:
        LOAD(uint16_t);
    case BL_I16:
        LOAD(int16_t);
    default:
        LOAD(int32_t);
    }
}

#define STORE(type)                                                                                                    \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((type *)codes)[i] = (type)int32_of(x[i]);                                                                     \
    break
static void store(const bli_codes *t, const float *x, int64_t n, void *codes)
{
    switch (t->store) {
    case BL_U8:
        STORE(uint8_t);
    case BL_I8:
        STORE(int8_t);
    case BL_U16:
        STORE(uint16_t);
    case BL_I16:
        STORE(int16_t);
    default:
        STORE(int32_t);
    }
}

static const void *from(const void *codes, const bli_codes *t, int64_t i)
{
    return (const char *)codes + i * (t->bits / 8);
}

void bli_eight_decode(const bli_decoder *d, const bli_codes *t, const void *codes, int64_t n, float *x)
{
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        load(t, from(codes, t, at), m, x + at);
        for (int64_t i = at; i < at + m; i++)
            x[i] = d->offset + x[i] * d->scale;
    }
}

void bli_eight_encode(const bli_encoder *e, const bli_codes *t, const float *x, int64_t n, void *codes)
{
    float block[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        for (int64_t i = 0; i < m; i++)
            block[i] = bli_encode_one(e, x[at + i]);
        store(t, block, m, (char *)codes + at * (t->bits / 8));
    }
}

/* ---- modes --------------------------------------------------------------------------------------------------- */
void bli_eight_adjust(const bli_eight_how *how, float range[2])
{
    const float low = least(0, range[0]), size = most(1, most(fabsf(range[0]), fabsf(range[1])));
    const float high = most(range[1], low + size * how->ensure_minimum_range);
    range[0] = low;
    range[1] = most(0, high);
}

/* One block: x becomes codes, still floats. */
typedef struct mode_call {
    const bli_eight_how *how;
    float low, high, scale;
} mode_call;

static float clip(const mode_call *c, float x)
{
    return most(least(x, c->high), c->low);
}

static float combined(const mode_call *c, float x)
{
    const bli_codes *t = c->how->type;
    const float v = (clip(c, x) - c->low) * c->scale;
    if (t->low == 0)
        return truncf(v + 0.5f);
    return round_away(v - (float)(((double)t->high - (double)t->low + 1) / 2));
}

static float scaled(const mode_call *c, float x)
{
    const float v = clip(c, x) * c->scale;
    return c->how->to_even ? rintf(v) : round_away(v);
}

static float scale_of(const bli_eight_how *how, const float range[2])
{
    const bli_codes *t = how->type;
    const float low = (float)(t->low + how->narrow), high = (float)t->high;
    const float a = low * range[0] > 0 ? low / range[0] : FLT_MAX, b = high * range[1] > 0 ? high / range[1] : FLT_MAX;
    return least(a, b);
}

void bli_quantize(const bli_eight_how *how, const float *x, int64_t n, float range[2], void *codes)
{
    const bli_codes *t = how->type;
    bli_eight_adjust(how, range);
    if (how->mode == BLI_MIN_FIRST) {
        const bli_encoder e = bli_encoder_make(range[0], range[1], t);
        bli_eight_encode(&e, t, x, n, codes);
        return;
    }
    mode_call c = {.how = how};
    if (how->mode == BLI_SCALED) {
        c.scale = scale_of(how, range);
        range[0] = (float)(t->low + how->narrow) / c.scale;
        range[1] = (float)t->high / c.scale;
    } else {
        c.scale = (float)(((double)t->high - (double)t->low) / (double)(range[1] - range[0]));
    }
    c.low = range[0];
    c.high = range[1];
    float block[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        for (int64_t i = 0; i < m; i++)
            block[i] = (how->mode == BLI_SCALED ? scaled : combined)(&c, x[at + i]);
        store(t, block, m, (char *)codes + at * (t->bits / 8));
    }
}

void bli_dequantize(const bli_eight_how *how, const void *codes, int64_t n, const float range[2], float *x)
{
    const bli_codes *t = how->type;
    const float low = (float)t->low, high = (float)t->high;
    if (how->mode == BLI_MIN_FIRST) {
        const bli_decoder d = bli_decoder_make(range[0], range[1], t);
        bli_eight_decode(&d, t, codes, n, x);
        return;
    }
    load(t, codes, n, x);
    if (how->mode == BLI_SCALED) {
        const float up = range[1] / high;
        const float scale = t->low == 0 ? up : most(range[0] / (float)(t->low + how->narrow), up);
        for (int64_t i = 0; i < n; i++)
            x[i] *= scale;
        return;
    }
    const float half = t->low == 0 ? 0 : (high - low + 1) / 2, scale = (range[1] - range[0]) / (high - low);
    for (int64_t i = 0; i < n; i++)
        x[i] = (x[i] + half) * scale + range[0];
}

/* ---- products ------------------------------------------------------------------------------------------------ */
static float level(const float range[2], const bli_codes *t)
{
    return (range[1] - range[0]) / (float)(t->high - t->low);
}

void bli_product_range(const float a[2], const bli_codes *ta, const float b[2], const bli_codes *tb, float out[2])
{
    const float step = level(a, ta) * level(b, tb);
    out[0] = step * (float)INT32_MIN;
    out[1] = step * (float)INT32_MAX;
}

/* ---- requantizing -------------------------------------------------------------------------------------------- */
bli_requantizer bli_requantizer_make(const float from_range[2], const float to[2])
{
    const float in = from_range[1] - from_range[0], out = to[1] - to[0],
                zero = (float)((double)(from_range[0] + from_range[1]) / 2);
    if (out == 0)
        return (bli_requantizer){0, 1 << 15};
    const float per = (float)(255.0 / (double)out);
    const int64_t factor = int64_of(255.0 * 65536 * (double)in / (double)out);
    const int64_t in_offset = int64_of((double)(zero * per * 65536.0f));
    const int64_t out_offset = int64_of(round(65536.0 * ((double)to[0] * 255.0) / (double)out));
    return (bli_requantizer){factor, (int64_t)((uint64_t)in_offset - (uint64_t)out_offset + (1u << 15))};
}

void bli_range_of_extremes(int32_t low, int32_t high, const float from_range[2], float out[2])
{
    out[0] = least(0, bli_value_of(low, from_range[0], from_range[1], &bli_qint32));
    out[1] = bli_value_of(high, from_range[0], from_range[1], &bli_qint32);
}

/* ---- bytes that are added ------------------------------------------------------------------------------------ */
/* Every code of t, by the rules for tensors, in int32 codes of out. */
static void lift_table(const float range[2], const bli_codes *t, const float out[2], int32_t zero, int32_t *table)
{
    const bli_decoder d = bli_decoder_make(range[0], range[1], t);
    const bli_encoder e = bli_encoder_make(out[0], out[1], &bli_qint32);
    for (int i = 0; i < 256; i++) {
        const int64_t code = t->store == BL_I8 ? (int8_t)(uint8_t)i : i;
        const float code_in = bli_encode_one(&e, d.offset + (float)code * d.scale);
        table[i] = wrap32((int64_t)int32_of(code_in) + zero);
    }
}

void bli_bias_tables(const float x[2], const bli_codes *tx, const float bias[2], const bli_codes *tb, int32_t *x_table,
                     int32_t *bias_table, float out[2])
{
    const float size = most(x[1], most(-x[0], most(bias[1], -bias[0]))) * (float)(1 << 17);
    out[0] = -size;
    out[1] = size;
    const int32_t zero = (int32_t)bli_code_clamped(0, -size, size, &bli_qint32);
    lift_table(x, tx, out, 0, x_table);
    lift_table(bias, tb, out, zero, bias_table);
}

static void line_table(const float range[2], const float out[2], int32_t table[256])
{
    int64_t at[2];
    for (int i = 0; i < 2; i++)
        at[i] = bli_code_of(bli_value_of(i, range[0], range[1], &bli_quint8), out[0], out[1], &bli_qint32);
    const int64_t step = (int64_t)((uint64_t)at[1] - (uint64_t)at[0]);
    for (int i = 0; i < 256; i++) {
        const int64_t v = add64(at[0], (int64_t)((uint64_t)i * (uint64_t)step));
        table[i] = (int32_t)(v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : v);
    }
}

void bli_add_tables(const float x[2], const float y[2], int32_t x_table[256], int32_t y_table[256], float out[2])
{
    const float size = most(fabsf(least(x[0], y[0])), fabsf(most(x[1], y[1]))) * (float)(1 << 14);
    out[0] = -size;
    out[1] = size;
    line_table(x, out, x_table);
    line_table(y, out, y_table);
}

/* ---- pictures ------------------------------------------------------------------------------------------------ */
void bli_eight_axis_make(int64_t in, int64_t out, bool align, bool half, bli_eight_axis *axis)
{
    const float scale = align && out > 1 ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;
    for (int64_t i = 0; i < out; i++) {
        const float at = half ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale, floor_at = floorf(at);
        int64_t low = (int64_t)floor_at, high = (int64_t)ceilf(at);
        high = high > in - 1 ? in - 1 : high;
        low = low < 0 ? 0 : low > high ? high : low;
        axis[i] = (bli_eight_axis){low, high, (int16_t)((at - floor_at) * 128.0f)};
    }
}
