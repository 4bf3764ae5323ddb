/* op_audio.c: what stands in front of networks that hear: DecodeWav, AudioSpectrogram, Mfcc.
 *
 * Spectra are computed in double, by a transform of our own: they agree with TensorFlow's within the rounding of such
 * sums, not bit for bit.
 */
#include <math.h>
#include <string.h>

#include "tf/op.h"
#include "tf/wav.h"

enum { MOST_WINDOW = 1 << 20, MOST_BANDS = 1 << 16 };
#define PI 3.14159265358979323846

/* ---- DecodeWav ----------------------------------------------------------------------------------------------- */
static bl_status read_wav(const bli_tf_call *c, bli_wav *w, int64_t *samples, int64_t *channels)
{
    const bli_tf_bytes *b = c->in[0].data;
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "desired_channels", -1, channels));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "desired_samples", -1, samples));
    if (*channels < -1 || *channels > UINT16_MAX || *samples < -1 || *samples > INT32_MAX)
        return bli_fail(c->ctx, BL_BAD_MODEL, "attributes 'desired_channels' %lld and 'desired_samples' %lld",
                        (long long)*channels, (long long)*samples);
    *w = (bli_wav){.samples = NULL};
    if (b)
        BLI_TRY(bli_wav_read(c->ctx, b->data, b->size, w));
    *channels = *channels != -1 ? *channels : b ? w->channels : -1;
    *samples = *samples != -1 ? *samples : b ? w->count : -1;
    return BL_OK;
}

static bl_status infer_wav(bli_tf_call *c)
{
    bli_wav w;
    bl_shape *s = &c->out[0].shape;
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_STRING));
    BLI_TRY(bli_tf_need_rank(c, 0, 0));
    c->out[0].dtype = BLI_DT_FLOAT;
    s->rank = 2;
    BLI_TRY(read_wav(c, &w, &s->dim[0], &s->dim[1]));
    c->out[1].dtype = BLI_DT_INT32;
    c->out[1].shape = (bl_shape){0, {0}};
    return BL_OK;
}

/* Channels that the file lacks repeat its last, samples that it lacks are silence. */
static bl_status run_wav(bli_tf_call *c)
{
    bli_wav w;
    int64_t samples, channels;
    float *y = c->out[0].data;
    BLI_TRY(read_wav(c, &w, &samples, &channels));
    for (int64_t i = 0; i < samples; i++)
        for (int64_t k = 0; k < channels; k++) {
            const int64_t from = k < w.channels ? k : w.channels - 1;
            const uint8_t *b = w.samples + (i * w.channels + from) * 2;
            y[i * channels + k] = i < w.count ? (float)(int16_t)(b[0] | b[1] << 8) * 0x1p-15f : 0;
        }
    *(int32_t *)c->out[1].data = (int32_t)w.rate;
    return BL_OK;
}

/* ---- AudioSpectrogram ---------------------------------------------------------------------------------------- */
typedef struct spectrogram {
    int64_t window, stride, length; /* of the transform: the next power of two */
    bool squared;
} spectrogram;

static bl_status read_spectrogram(const bli_tf_call *c, spectrogram *s)
{
    BLI_TRY(bli_tf_get_int(c->ctx, c->node, "window_size", &s->window));
    BLI_TRY(bli_tf_get_int(c->ctx, c->node, "stride", &s->stride));
    BLI_TRY(bli_tf_bool_or(c->ctx, c->node, "magnitude_squared", false, &s->squared));
    if (s->window < 2 || s->window > MOST_WINDOW || s->stride < 1)
        return bli_fail(c->ctx, BL_BAD_MODEL, "a window of %lld samples every %lld; expected 2 to %d, every 1 or more",
                        (long long)s->window, (long long)s->stride, MOST_WINDOW);
    for (s->length = 1; s->length < s->window;)
        s->length *= 2;
    return BL_OK;
}

static bl_status infer_spectrogram(bli_tf_call *c)
{
    spectrogram s;
    BLI_TRY(read_spectrogram(c, &s));
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    BLI_TRY(bli_tf_need_rank(c, 0, 2));
    const bl_shape *in = &c->in[0].shape;
    const int64_t samples = in->rank == 2 ? in->dim[0] : -1;
    c->out[0].dtype = BLI_DT_FLOAT;
    c->out[0].shape = (bl_shape){3, {in->rank == 2 ? in->dim[1] : -1, -1, 1 + s.length / 2}};
    if (samples >= 0)
        c->out[0].shape.dim[1] = samples < s.window ? 0 : 1 + (samples - s.window) / s.stride;
    return BL_OK;
}

/* Tables of a spectrogram: its window (Hann, periodic), and cosines and sines around the circle. */
typedef struct tables {
    double *window, *cosine, *sine, *re, *im;
} tables;

static bl_status make_tables(const bli_tf_call *c, const spectrogram *s, tables *t)
{
    const size_t n = (size_t)s->length;
    double *at;
    BLI_TRY(bli_tf_scratch(c, (size_t)(s->window + 4 * s->length) * sizeof(double), (void **)&at));
    *t = (tables){at, at + s->window, at + s->window + n, at + s->window + 2 * n, at + s->window + 3 * n};
    for (int64_t i = 0; i < s->window; i++)
        t->window[i] = 0.5 - 0.5 * cos(2 * PI * (double)i / (double)s->window);
    for (size_t i = 0; i < n; i++) {
        t->cosine[i] = cos(2 * PI * (double)i / (double)n);
        t->sine[i] = sin(2 * PI * (double)i / (double)n);
    }
    return BL_OK;
}

static size_t reversed(size_t i, size_t n)
{
    size_t r = 0;
    for (size_t bit = 1; bit < n; bit *= 2, i /= 2)
        r = 2 * r + i % 2;
    return r;
}

/* Cooley and Tukey's transform of n values, n a power of two, in place; they stand in the order of reversed bits. */
static void transform(const tables *t, size_t n)
{
    for (size_t half = 1; half < n; half *= 2)
        for (size_t start = 0; start < n; start += 2 * half)
            for (size_t k = 0; k < half; k++) {
                const size_t a = start + k, b = a + half, turn = k * (n / (2 * half));
                const double re = t->re[b] * t->cosine[turn] + t->im[b] * t->sine[turn];
                const double im = t->im[b] * t->cosine[turn] - t->re[b] * t->sine[turn];
                t->re[b] = t->re[a] - re;
                t->im[b] = t->im[a] - im;
                t->re[a] += re;
                t->im[a] += im;
            }
}

static bl_status run_spectrogram(bli_tf_call *c)
{
    const bl_shape *o = &c->out[0].shape;
    const int64_t channels = o->dim[0];
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    spectrogram s;
    tables t;
    BLI_TRY(read_spectrogram(c, &s));
    BLI_TRY(make_tables(c, &s, &t));
    for (int64_t k = 0; k < channels; k++)
        for (int64_t f = 0; f < o->dim[1]; f++) {
            memset(t.re, 0, (size_t)s.length * 2 * sizeof *t.re);
            for (int64_t i = 0; i < s.window; i++)
                t.re[reversed((size_t)i, (size_t)s.length)] =
                    t.window[i] * (double)x[(f * s.stride + i) * channels + k];
            transform(&t, (size_t)s.length);
            for (int64_t i = 0; i < o->dim[2]; i++, y++) {
                const double power = t.re[i] * t.re[i] + t.im[i] * t.im[i];
                *y = s.squared ? (float)power : sqrtf((float)power);
            }
        }
    return BL_OK;
}

/* ---- Mfcc ---------------------------------------------------------------------------------------------------- */
typedef struct mfcc {
    float upper, lower;
    int64_t bands, kept;
} mfcc;

static bl_status read_mfcc(const bli_tf_call *c, mfcc *m)
{
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "upper_frequency_limit", 4000, &m->upper));
    BLI_TRY(bli_tf_float_or(c->ctx, c->node, "lower_frequency_limit", 20, &m->lower));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "filterbank_channel_count", 40, &m->bands));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "dct_coefficient_count", 13, &m->kept));
    if (!(m->lower >= 0 && m->upper > m->lower && m->upper < 1e9f) || m->bands < 1 || m->bands > MOST_BANDS ||
        m->kept < 1 || m->kept > m->bands)
        return bli_fail(c->ctx, BL_BAD_MODEL, "%lld of %lld bands from %g to %g Hz", (long long)m->kept,
                        (long long)m->bands, (double)m->lower, (double)m->upper);
    return BL_OK;
}

static bl_status infer_mfcc(bli_tf_call *c)
{
    mfcc m;
    BLI_TRY(read_mfcc(c, &m));
    BLI_TRY(bli_tf_need_type(c, 0, BLI_DT_FLOAT));
    BLI_TRY(bli_tf_need_rank(c, 0, 3));
    BLI_TRY(bli_tf_need_type(c, 1, BLI_DT_INT32));
    if (bli_tf_known(&c->in[1].shape) && bli_tf_count(&c->in[1]) != 1)
        return bli_tf_refuse(c, 1, "one number");
    if (c->in[0].shape.rank == 3 && c->in[0].shape.dim[2] >= 0 && c->in[0].shape.dim[2] < 2)
        return bli_tf_refuse(c, 0, "two frequencies or more");
    c->out[0].dtype = BLI_DT_FLOAT;
    c->out[0].shape = c->in[0].shape;
    if (c->in[0].shape.rank == 3)
        c->out[0].shape.dim[2] = m.kept;
    return BL_OK;
}

/* Triangles over frequencies, evenly wide in mel: frequency i gives `weight` of itself to band `band`, the rest to the
 * next.  Only first to last count. */
typedef struct filterbank {
    int64_t first, last;
    double *weight, *cosine, *level;
    int32_t *band;
} filterbank;

static double mel_of(double hertz)
{
    return 1127 * log1p(hertz / 700);
}

static void make_triangles(const mfcc *m, double hertz, filterbank *f)
{
    const double low = mel_of((double)m->lower), step = (mel_of((double)m->upper) - low) / (double)(m->bands + 1);
    int64_t band = 0;
    for (int64_t i = f->first; i <= f->last; i++) {
        const double mel = mel_of((double)i * hertz);
        while (band < m->bands && low + step * (double)(band + 1) < mel)
            band++;
        const double left = band > 0 ? low + step * (double)band : low, right = low + step * (double)(band + 1);
        f->band[i] = (int32_t)(band - 1);
        f->weight[i] = (right - mel) / (right - left);
    }
}

static bl_status make_filterbank(const bli_tf_call *c, const mfcc *m, int64_t bins, filterbank *f)
{
    const int32_t rate = *(const int32_t *)c->in[1].data;
    const double hertz = 0.5 * rate / (double)(bins - 1);
    const int64_t cosines = m->bands * m->kept;
    double *at;
    if (rate < 1)
        return bli_fail(c->ctx, BL_BAD_VALUE, "%d samples a second", rate);
    f->first = (int64_t)(1.5 + (double)m->lower / hertz);
    f->last = (int64_t)((double)m->upper / hertz);
    if (f->last >= bins)
        return bli_fail(c->ctx, BL_BAD_VALUE, "%lld frequencies of %g Hz do not reach %g Hz", (long long)bins, hertz,
                        (double)m->upper);
    BLI_TRY(bli_tf_scratch(c, (size_t)(bins + cosines + m->bands) * sizeof(double) + (size_t)bins * sizeof(int32_t),
                           (void **)&at));
    *f = (filterbank){f->first, f->last, at, at + bins, at + bins + cosines, NULL};
    f->band = (int32_t *)(void *)(f->level + m->bands);
    make_triangles(m, hertz, f);
    for (int64_t k = 0; k < m->kept; k++)
        for (int64_t j = 0; j < m->bands; j++)
            f->cosine[k * m->bands + j] =
                sqrt(2 / (double)m->bands) * cos((double)k * PI / (double)m->bands * ((double)j + 0.5));
    return BL_OK;
}

static void one_frame(const mfcc *m, const filterbank *f, const float *power, float *y)
{
    memset(f->level, 0, (size_t)m->bands * sizeof *f->level);
    for (int64_t i = f->first; i <= f->last; i++) {
        const double size = sqrt((double)power[i]), part = size * f->weight[i];
        if (f->band[i] >= 0)
            f->level[f->band[i]] += part;
        if (f->band[i] + 1 < m->bands)
            f->level[f->band[i] + 1] += size - part;
    }
    for (int64_t j = 0; j < m->bands; j++)
        f->level[j] = log(f->level[j] < 1e-12 ? 1e-12 : f->level[j]);
    for (int64_t k = 0; k < m->kept; k++) {
        double sum = 0;
        for (int64_t j = 0; j < m->bands; j++)
            sum += f->cosine[k * m->bands + j] * f->level[j];
        y[k] = (float)sum;
    }
}

static bl_status run_mfcc(bli_tf_call *c)
{
    const bl_shape *s = &c->in[0].shape;
    mfcc m;
    filterbank f = {.first = 0};
    BLI_TRY(read_mfcc(c, &m));
    BLI_TRY(make_filterbank(c, &m, s->dim[2], &f));
    for (int64_t i = 0; i < s->dim[0] * s->dim[1]; i++)
        one_frame(&m, &f, (const float *)c->in[0].data + i * s->dim[2], (float *)c->out[0].data + i * m.kept);
    return BL_OK;
}

static const bli_tf_op ops[] = {
    {"DecodeWav", 1, 1, 2, NULL, infer_wav, run_wav, 0, false},
    {"AudioSpectrogram", 1, 1, 1, NULL, infer_spectrogram, run_spectrogram, 0, false},
    {"Mfcc", 2, 2, 1, NULL, infer_mfcc, run_mfcc, 0, false},
};
const bli_tf_family bli_tf_family_audio = {ops, BLI_COUNT(ops)};
