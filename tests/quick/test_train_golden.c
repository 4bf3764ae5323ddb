/* Losses and optimizers against PyTorch (tools/make_torch_goldens.py): values, gradients, six steps of weights. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/tensor.h"
#include "train/loss.h"
#include "train/optimizer.h"

static const bl_tensor *find(const bl_npz *z, const char *name, const char *part)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", name, part);
    const bl_tensor *t = bl_npz_find(z, full);
    if (!t)
        print_error("no member %s\n", full);
    assert_non_null(t);
    return t;
}

/* Sums of at most nine rows of seven terms: a hundred roundings of numbers of the size of the largest. */
static void assert_close(const char *name, double got, double want, double size)
{
    if (!(fabs(got - want) <= 100 * 0x1p-24 * size))
        print_error("%s: %.9g, PyTorch has %.9g\n", name, got, want);
    assert_true(fabs(got - want) <= 100 * 0x1p-24 * size);
}

/* ---- losses ------------------------------------------------------------------------------------------------- */
typedef struct loss_case {
    const char *member, *name;
    bool targets, weights, per_output; /* per_output: ours is the mean over a row's outputs, PyTorch's the sum */
    double smoothing, temperature, teacher_weight;
} loss_case;

static const loss_case loss_cases[] = {
    {"cross_entropy", "cross_entropy", .smoothing = 0},
    {"cross_entropy_smoothing_0.1", "cross_entropy", .smoothing = 0.1},
    {"cross_entropy_weights", "cross_entropy", .weights = true},
    {"mse_sum", "mse", .targets = true, .per_output = true},
    {"hinge_sum", "hinge", .per_output = true},
    {"squared_hinge_sum", "squared_hinge", .per_output = true},
    {"distill_T3_weight_0.75", "cross_entropy", .temperature = 3, .teacher_weight = 0.75},
};

static void check_loss(const bl_npz *z, const loss_case *lc, bli_isa isa)
{
    const bl_tensor *y = find(z, "y", ""), *want = find(z, lc->member, "/grad");
    const size_t rows = (size_t)y->shape.dim[0], width = (size_t)y->shape.dim[1];
    float grad[128], scratch[512];
    const bli_loss_call c = {
        .kernels = bli_train_kernels_for(isa),
        .rows = rows,
        .width = width,
        .y = y->data,
        .labels = lc->targets ? NULL : find(z, "labels", "")->data,
        .targets = lc->targets ? find(z, "target", "")->data : NULL,
        .grad = grad,
        .scratch = scratch,
        .smoothing = lc->smoothing,
        .class_weights = lc->weights ? find(z, "class_weights", "")->data : NULL,
    };
    assert_true(rows * width <= 128);
    double loss = bli_loss_find(lc->name)->run(&c);
    if (lc->temperature > 0)
        loss = bli_distill(&c, find(z, "teacher", "")->data, lc->temperature, lc->teacher_weight, loss);
    const double factor = lc->per_output ? (double)width : 1, value = *(double *)find(z, lc->member, "/loss")->data;
    assert_close(lc->member, loss * factor, value, fabs(value));
    for (size_t i = 0; i < rows * width; i++)
        assert_close(lc->member, (double)grad[i] * factor, (double)((float *)want->data)[i], 10);
}

static void test_losses_agree_with_pytorch(void **state)
{
    bl_npz *z;
    assert_ok(*state, bl_npz_read(*state, "golden/torch_losses.npz", &z));
    for (size_t i = 0; i < BLI_COUNT(loss_cases); i++)
        for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++)
            check_loss(z, &loss_cases[i], (bli_isa)isa);
    bl_npz_free(z);
}

/* ---- optimizers --------------------------------------------------------------------------------------------- */
typedef struct optimizer_case {
    const char *member, *name;
    double lr, momentum, decay, beta1, beta2, epsilon;
    bool nesterov;
} optimizer_case;

static const optimizer_case optimizer_cases[] = {
    {"sgd", "sgd", .lr = 0.1},
    {"sgd_decay", "sgd", .lr = 0.1, .decay = 0.01},
    {"momentum", "sgd", .lr = 0.1, .momentum = 0.9},
    {"nesterov", "sgd", .lr = 0.1, .momentum = 0.9, .nesterov = true},
    {"nesterov_decay", "sgd", .lr = 0.1, .momentum = 0.9, .nesterov = true, .decay = 0.01},
    {"adam", "adam", .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
    {"adam_decay", "adam", .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.01},
    {"adamw", "adamw", .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.1},
    {"adam_betas", "adam", .lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3},
};

static bl_train_options options_of(const optimizer_case *oc)
{
    bl_train_options o;
    bl_train_options_init(&o);
    o.optimizer.name = oc->name;
    o.optimizer.lr = oc->lr;
    o.optimizer.momentum = oc->momentum;
    o.optimizer.nesterov = oc->nesterov;
    o.optimizer.weight_decay = oc->decay;
    o.optimizer.beta1 = oc->beta1;
    o.optimizer.beta2 = oc->beta2;
    o.optimizer.epsilon = oc->epsilon;
    return o;
}

static void check_optimizer(bl_context *ctx, const bl_npz *z, const optimizer_case *oc, bli_isa isa)
{
    const bl_tensor *start = find(z, "start", ""), *grads = find(z, "grads", ""), *want = find(z, oc->member, "");
    const size_t n = (size_t)start->shape.dim[0];
    const bl_train_options o = options_of(oc);
    const bli_optimizer *opt;
    float w[64], g[64], m[64] = {0}, v[64] = {0};
    assert_true(n <= 64);
    memcpy(w, start->data, n * sizeof *w);
    assert_ok(ctx, bli_optimizer_get(ctx, &o, &opt));
    const int moments = bli_optimizer_moments(opt, &o);
    const bli_param p = {.name = "w",
                         .type = BL_F32,
                         .elements = n,
                         .row = n,
                         .master = w,
                         .grad = g,
                         .moment = {moments > 0 ? m : NULL, moments > 1 ? v : NULL}};
    for (size_t t = 0; t < (size_t)grads->shape.dim[0]; t++) {
        bli_update u = {.optimizer = opt, .kernels = bli_train_kernels_for(isa), .isa = isa, .step = t + 1};
        memcpy(g, (const float *)grads->data + t * n, n * sizeof *g);
        opt->constants(&o, oc->lr, (int64_t)t + 1, &u.constants);
        u.constants.unscale = 1;
        bli_update_range(&u, &p, BLI_STAGE_MOMENTS, 0, n);
        for (size_t i = 0; i < n; i++)
            assert_close(oc->member, (double)w[i], (double)((const float *)want->data)[t * n + i], 2);
    }
}

static void test_optimizers_agree_with_pytorch(void **state)
{
    bl_npz *z;
    assert_ok(*state, bl_npz_read(*state, "golden/torch_optimizers.npz", &z));
    for (size_t i = 0; i < BLI_COUNT(optimizer_cases); i++)
        for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++)
            check_optimizer(*state, z, &optimizer_cases[i], (bli_isa)isa);
    bl_npz_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_agree_with_pytorch),
        cmocka_unit_test(test_optimizers_agree_with_pytorch),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
