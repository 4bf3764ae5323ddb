#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

/* optimizer.c: SGD, Adam and AdamW as tables of kernels, run in pieces that stay in the first-level cache. */

enum { PIECE = 1024 };

static void *at(const bli_param *p, void *base, size_t i)
{
    return base ? (char *)base + i * bl_dtype_size(p->type) : NULL;
}

static void common(const bl_train_options *o, double lr, bli_step_constants *k)
{
    k->lr = lr;
    k->momentum = o->optimizer.momentum;
    k->beta1 = o->optimizer.beta1;
    k->beta2 = o->optimizer.beta2;
    k->epsilon = o->optimizer.epsilon;
    k->clip_value = o->optimizer.clip_value;
    k->nesterov = o->optimizer.nesterov;
}

static void sgd_constants(const bl_train_options *o, double lr, int64_t t, bli_step_constants *k)
{
    common(o, lr, k);
    k->decay = o->optimizer.weight_decay;
    k->first = t == 1;
}

static void adam_constants(const bl_train_options *o, double lr, int64_t t, bli_step_constants *k)
{
    common(o, lr, k);
    k->decay = o->optimizer.weight_decay;
    k->bias1 = 1 - pow(k->beta1, (double)t);
    k->bias2 = 1 - pow(k->beta2, (double)t);
}

static void adamw_constants(const bl_train_options *o, double lr, int64_t t, bli_step_constants *k)
{
    adam_constants(o, lr, t, k);
    k->decay = 0;
    k->decoupled_decay = o->optimizer.weight_decay;
}

static void sgd_moments(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t i, size_t n)
{
    if (!p->moment[0])
        return;
    if (p->type == BL_F32)
        f->sgd_moments_f32(k, at(p, p->master, i), at(p, p->grad, i), at(p, p->moment[0], i), n);
    else
        f->sgd_moments_f64(k, at(p, p->master, i), at(p, p->grad, i), at(p, p->moment[0], i), n);
}

static void sgd_increment(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t i,
                          size_t n, void *d)
{
    if (p->type == BL_F32)
        f->sgd_delta_f32(k, at(p, p->master, i), at(p, p->grad, i), at(p, p->moment[0], i), d, n);
    else
        f->sgd_delta_f64(k, at(p, p->master, i), at(p, p->grad, i), at(p, p->moment[0], i), d, n);
}

static void adam_moments(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t i,
                         size_t n)
{
    void *w = at(p, p->master, i), *g = at(p, p->grad, i), *m = at(p, p->moment[0], i), *v = at(p, p->moment[1], i);
    if (p->type == BL_F32)
        f->adam_moments_f32(k, w, g, m, v, n);
    else
        f->adam_moments_f64(k, w, g, m, v, n);
}

static void adam_increment(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t i,
                           size_t n, void *d)
{
    void *w = at(p, p->master, i), *m = at(p, p->moment[0], i), *v = at(p, p->moment[1], i);
    if (p->type == BL_F32)
        f->adam_delta_f32(k, w, m, v, d, n);
    else
        f->adam_delta_f64(k, w, m, v, d, n);
}

static const bli_optimizer table[] = {
    {"sgd", "stochastic gradient descent; momentum, nesterov, weight_decay", 1, sgd_constants, sgd_moments,
     sgd_increment},
    {"adam", "Adam (arXiv:1412.6980); weight_decay is added to the gradient", 2, adam_constants, adam_moments,
     adam_increment},
    {"adamw", "Adam with decoupled weight decay (arXiv:1711.05101)", 2, adamw_constants, adam_moments, adam_increment},
};

int bli_optimizer_count(void)
{
    return (int)BLI_COUNT(table);
}
const bli_optimizer *bli_optimizer_at(int i)
{
    return &table[i];
}

bl_status bli_optimizer_get(bl_context *ctx, const bl_train_options *o, const bli_optimizer **out)
{
    const char *names[BLI_COUNT(table)], *name = o->optimizer.name ? o->optimizer.name : "";
    *out = NULL;
    for (size_t i = 0; i < BLI_COUNT(table); i++) {
        names[i] = table[i].name;
        if (strcmp(table[i].name, name) == 0)
            *out = &table[i];
    }
    if (*out)
        return BL_OK;
    const char *near = bli_nearest(name, names, BLI_COUNT(table));
    return bli_fail(ctx, BL_BAD_VALUE, "unknown optimizer '%s'%s%s%s", name, near ? " (did you mean '" : "",
                    near ? near : "", near ? "'?)" : "");
}

int bli_optimizer_moments(const bli_optimizer *opt, const bl_train_options *o)
{
    return opt->moments == 1 && o->optimizer.momentum == 0 ? 0 : opt->moments;
}

/* With a dynamic scale the caller has joined the greatest magnitude over the whole tensor: pieces share no scale here,
 * so a place inside the optimizer takes its scale per piece of PIECE elements, a constant of the format. */
static void place(const bli_update *u, const bli_param *p, bli_place_kind k, size_t first, void *x, size_t n)
{
    const bli_place_format *f = &p->place[k];
    if (!f->set || !x)
        return;
    const double scale = f->dynamic ? bli_place_scale(f, bli_greatest(p->type, x, n)) : 1;
    bli_place_apply(f, scale, u->isa, u->seed, u->step, first, p->type, x, 1, n);
}

static void update_piece(const bli_update *u, const bli_step_constants *k, const bli_param *p, size_t i, size_t n)
{
    double increment[PIECE]; /* holds PIECE of either carrier */
    u->optimizer->update_moments(u->kernels, k, p, i, n);
    place(u, p, BLI_PLACE_MOMENT1, i, at(p, p->moment[0], i), n);
    place(u, p, BLI_PLACE_MOMENT2, i, at(p, p->moment[1], i), n);
    u->optimizer->increment(u->kernels, k, p, i, n, increment);
    place(u, p, BLI_PLACE_UPDATE, i, increment, n);
    if (p->type == BL_F32)
        u->kernels->add_f32(at(p, p->master, i), (const float *)(const void *)increment, n);
    else
        u->kernels->add_f64(at(p, p->master, i), increment, n);
    if (p->limit > 0 && p->type == BL_F32)
        u->kernels->clamp_f32(at(p, p->master, i), p->limit, n);
    else if (p->limit > 0)
        u->kernels->clamp_f64(at(p, p->master, i), p->limit, n);
    place(u, p, BLI_PLACE_MASTER, i, at(p, p->master, i), n);
}

void bli_update_range(const bli_update *u, const bli_param *p, size_t first, size_t n)
{
    bli_step_constants k = u->constants;
    if (!p->decays)
        k.decay = k.decoupled_decay = 0;
    for (size_t i = first; i < first + n; i += PIECE)
        update_piece(u, &k, p, i, first + n - i < PIECE ? first + n - i : PIECE);
}
