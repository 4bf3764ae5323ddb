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

static void adam_all(const bli_train_kernels *f, const bli_step_constants *k, const bli_param *p, size_t i, size_t n)
{
    void *w = at(p, p->master, i), *g = at(p, p->grad, i), *m = at(p, p->moment[0], i), *v = at(p, p->moment[1], i);
    if (p->type == BL_F32)
        f->adam_f32(k, w, g, m, v, n);
    else
        f->adam_f64(k, w, g, m, v, n);
}

static const bli_optimizer table[] = {
    {"sgd", "stochastic gradient descent; momentum, nesterov, weight_decay", 1, sgd_constants, sgd_moments,
     sgd_increment, NULL},
    {"adam", "Adam (arXiv:1412.6980); weight_decay is added to the gradient", 2, adam_constants, adam_moments,
     adam_increment, adam_all},
    {"adamw", "Adam with decoupled weight decay (arXiv:1711.05101)", 2, adamw_constants, adam_moments, adam_increment,
     adam_all},
};

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
    return bli_unknown_name(ctx, "optimizer", name, names, BLI_COUNT(table));
}

int bli_optimizer_moments(const bli_optimizer *opt, const bl_train_options *o)
{
    return opt->moments == 1 && o->optimizer.momentum == 0 ? 0 : opt->moments;
}

/* ---- stages -------------------------------------------------------------------------------------------------- */
static bool dynamic(const bli_param *p, bli_place_kind k)
{
    return p->place[k].set && p->place[k].dynamic;
}

bool bli_update_begins(const bli_param *p, bli_update_stage stage)
{
    switch (stage) {
    case BLI_STAGE_INCREMENT:
        return (p->moment[0] && dynamic(p, BLI_PLACE_MOMENT1)) || (p->moment[1] && dynamic(p, BLI_PLACE_MOMENT2));
    case BLI_STAGE_ADD:
        return dynamic(p, BLI_PLACE_UPDATE);
    case BLI_STAGE_MASTER:
        return dynamic(p, BLI_PLACE_MASTER);
    default:
        return stage == BLI_STAGE_MOMENTS;
    }
}

void bli_update_reset(const bli_param *p)
{
    for (int k = 0; p->most && k < BLI_PLACE_COUNT; k++)
        atomic_store_explicit(&p->most[k], 0, memory_order_relaxed);
}

static uint64_t bits_of(double v)
{
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

/* Before a dynamic place: what this piece adds to the greatest magnitude. */
static void look(const bli_param *p, bli_place_kind k, const void *x, size_t n)
{
    if (!x || !dynamic(p, k))
        return;
    const uint64_t mine = bits_of(bli_greatest(p->type, x, n));
    uint64_t most = atomic_load_explicit(&p->most[k], memory_order_relaxed);
    while (mine > most &&
           !atomic_compare_exchange_weak_explicit(&p->most[k], &most, mine, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void place(const bli_update *u, const bli_param *p, bli_place_kind k, size_t first, void *x, size_t n)
{
    const bli_place_format *f = &p->place[k];
    if (!f->set || !x)
        return;
    double most = 0;
    if (f->dynamic) {
        const uint64_t b = atomic_load_explicit(&p->most[k], memory_order_relaxed);
        memcpy(&most, &b, sizeof most);
    }
    bli_place_apply(f, bli_place_scale(f, most), u->isa, u->seed, u->step, first, p->type, x, 1, n);
}

static void limit(const bli_update *u, const bli_param *p, size_t i, size_t n)
{
    void *w = at(p, p->master, i);
    if (p->limit > 0 && p->type == BL_F32)
        u->kernels->clamp_f32(w, p->limit, n);
    else if (p->limit > 0)
        u->kernels->clamp_f64(w, p->limit, n);
}

static void add(const bli_update *u, const bli_param *p, size_t i, size_t n, const void *increment)
{
    void *w = at(p, p->master, i);
    if (p->type == BL_F32)
        u->kernels->add_f32(w, increment, n);
    else
        u->kernels->add_f64(w, increment, n);
    limit(u, p, i, n);
}

static void run_stage(const bli_update *u, const bli_step_constants *k, const bli_param *p, bli_update_stage stage,
                      size_t i, size_t n, void *increment)
{
    switch (stage) {
    case BLI_STAGE_MOMENTS:
        u->optimizer->update_moments(u->kernels, k, p, i, n);
        look(p, BLI_PLACE_MOMENT1, at(p, p->moment[0], i), n);
        look(p, BLI_PLACE_MOMENT2, at(p, p->moment[1], i), n);
        break;
    case BLI_STAGE_INCREMENT:
        place(u, p, BLI_PLACE_MOMENT1, i, at(p, p->moment[0], i), n);
        place(u, p, BLI_PLACE_MOMENT2, i, at(p, p->moment[1], i), n);
        u->optimizer->increment(u->kernels, k, p, i, n, increment);
        look(p, BLI_PLACE_UPDATE, increment, n);
        break;
    case BLI_STAGE_ADD:
        place(u, p, BLI_PLACE_UPDATE, i, increment, n);
        add(u, p, i, n, increment);
        look(p, BLI_PLACE_MASTER, at(p, p->master, i), n);
        break;
    default:
        place(u, p, BLI_PLACE_MASTER, i, at(p, p->master, i), n);
    }
}

/* Nothing between the gradient and the master has a format. */
bool bli_update_is_one(const bli_optimizer *o, const bli_param *p)
{
    for (int k = BLI_PLACE_MOMENT1; k <= BLI_PLACE_MASTER; k++)
        if (p->place[k].set)
            return false;
    return o->all != NULL;
}

void bli_update_range(const bli_update *u, const bli_param *p, bli_update_stage stage, size_t first, size_t n)
{
    double piece[PIECE]; /* holds PIECE of either carrier */
    bli_step_constants k = u->constants;
    if (p->scale)
        k.decay = k.decoupled_decay = 0;
    k.bounded = p->bounded;
    k.least = (double)p->pass_least;
    k.most = (double)p->pass_most;
    if (bli_update_is_one(u->optimizer, p)) {
        u->optimizer->all(u->kernels, &k, p, first, n);
        limit(u, p, first, n);
        return;
    }
    for (size_t i = first, m; i < first + n; i += m) {
        m = first + n - i < PIECE ? first + n - i : PIECE;
        bli_update_stage s = stage;
        do
            run_stage(u, &k, p, s++, i, m, p->increment ? at(p, p->increment, i) : piece);
        while (s < BLI_STAGE_COUNT && !bli_update_begins(p, s));
    }
}
