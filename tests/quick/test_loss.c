/* Losses: values against their definition in double, gradients against differences, ties and extremes. */
#include "support/test.h"

#include <math.h>

#include "base/random.h"
#include "train/loss.h"

enum { MAX_ROWS = 9, MAX_WIDTH = 13 };

typedef struct example {
    size_t rows, width;
    float y[MAX_ROWS * MAX_WIDTH], targets[MAX_ROWS * MAX_WIDTH], grad[MAX_ROWS * MAX_WIDTH];
    float scratch[4 * MAX_ROWS * MAX_WIDTH];
    int32_t labels[MAX_ROWS];
    double weights[MAX_WIDTH];
} example;

static example make_example(size_t rows, size_t width, uint64_t seed)
{
    example e = {.rows = rows, .width = width};
    const bli_stream s = bli_stream_make(seed, 0, "loss");
    for (size_t i = 0; i < rows * width; i++) {
        e.y[i] = (float)bli_stream_normal(&s, i);
        e.targets[i] = (float)bli_stream_normal(&s, 1000 + i);
    }
    for (size_t r = 0; r < rows; r++)
        e.labels[r] = (int32_t)(bli_stream_u32(&s, 5000 + r) % width);
    for (size_t j = 0; j < width; j++)
        e.weights[j] = 0.5 + (double)j;
    return e;
}

static bli_loss_call call_of(example *e)
{
    return (bli_loss_call){.kernels = bli_train_kernels_for(bli_cpu_isa()),
                           .rows = e->rows,
                           .width = e->width,
                           .y = e->y,
                           .labels = e->labels,
                           .grad = e->grad,
                           .scratch = e->scratch};
}

static double cross_entropy_in_double(const example *e, double smoothing, bool weighted)
{
    double loss = 0;
    for (size_t r = 0; r < e->rows; r++) {
        double sum = 0;
        for (size_t j = 0; j < e->width; j++)
            sum += exp((double)e->y[r * e->width + j]);
        const double w = weighted ? e->weights[e->labels[r]] : 1;
        for (size_t j = 0; j < e->width; j++) {
            const double t = smoothing / (double)e->width + (e->labels[r] == (int32_t)j ? 1 - smoothing : 0);
            loss -= w * t * ((double)e->y[r * e->width + j] - log(sum));
        }
    }
    return loss;
}

static void check_gradient(const bli_loss *loss, bli_loss_call c, example *e)
{
    c.grad = NULL;
    for (size_t i = 0; i < e->rows * e->width; i++) {
        const float y = e->y[i], h = 0.01f;
        e->y[i] = y + h;
        const double up = loss->run(&c);
        e->y[i] = y - h;
        const double down = loss->run(&c);
        e->y[i] = y;
        const double slope = (up - down) / (2 * (double)h);
        if (fabs(slope - (double)e->grad[i]) > 0.002 * (1 + fabs(slope)) + (loss->classes ? 0 : 0.02))
            print_error("%s element %zu: slope %g, gradient %g\n", loss->name, i, slope, (double)e->grad[i]);
        assert_true(fabs(slope - (double)e->grad[i]) <= 0.002 * (1 + fabs(slope)) + (loss->classes ? 0 : 0.02));
    }
}

static void cross_entropy_is_its_definition(void **state)
{
    (void)state;
    const bli_loss *loss = bli_loss_find("cross_entropy");
    for (size_t width = 1; width <= MAX_WIDTH; width++)
        for (int k = 0; k < 4; k++) {
            example e = make_example(1 + width % MAX_ROWS, width, width);
            bli_loss_call c = call_of(&e);
            c.smoothing = k & 1 ? 0.1 : 0;
            c.class_weights = k & 2 ? e.weights : NULL;
            const double want = cross_entropy_in_double(&e, c.smoothing, k & 2);
            const double got = loss->run(&c);
            /* exp_f32 is good to 2^-22, sums of at most 13 terms in double */
            assert_true(fabs(got - want) <= 1e-6 * (fabs(want) + (double)e.rows * 14));
            check_gradient(loss, c, &e);
        }
}

static void every_loss_has_the_gradient_of_its_value(void **state)
{
    (void)state;
    for (int i = 0; i < bli_loss_count(); i++)
        for (int regression = 0; regression < 2; regression++) {
            const bli_loss *loss = bli_loss_at(i);
            if (regression && loss->classes)
                continue;
            example e = make_example(7, 5, (uint64_t)i);
            bli_loss_call c = call_of(&e);
            c.targets = regression ? e.targets : NULL;
            c.labels = regression ? NULL : e.labels;
            loss->run(&c);
            check_gradient(loss, c, &e);
        }
}

static void far_logits_neither_overflow_nor_lose_the_loss(void **state)
{
    (void)state;
    const bli_loss *loss = bli_loss_find("cross_entropy");
    example e = make_example(1, 3, 1);
    memcpy(e.y, (float[]){3e38f, -3e38f, 0}, 3 * sizeof(float));
    e.labels[0] = 0;
    bli_loss_call c = call_of(&e);
    assert_true(loss->run(&c) == 0);
    assert_true(e.grad[0] == 0 && e.grad[1] < 1e-30f && e.grad[2] < 1e-30f);
}

static void exp_is_within_its_bound_on_every_isa(void **state)
{
    (void)state;
    enum { N = 4096 };
    static float x[N], e[BLI_ISA_COUNT][N];
    for (int i = 0; i < N; i++)
        x[i] = -(float)i * (87.0f / N);
    for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++)
        bli_train_kernels_for((bli_isa)isa)->exp_f32(x, e[isa], N);
    for (int i = 0; i < N; i++) {
        const double want = exp((double)x[i]);
        assert_true(fabs((double)e[0][i] - want) <= want * 0x1p-22);
    }
    for (int isa = 1; isa <= (int)bli_cpu_isa(); isa++)
        assert_memory_equal(e[0], e[isa], sizeof e[0]);
}

static void log_is_within_its_bound_on_every_isa(void **state)
{
    (void)state;
    enum { N = 4096 };
    static double x[N], y[BLI_ISA_COUNT][N];
    for (int i = 0; i < N; i++)
        x[i] = i < 64 ? 1 + (double)i * 0x1p-52 : 1 + (double)(i - 64) * (i - 64) * 0x1p-19;
    x[N - 1] = NAN;
    for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++)
        bli_train_kernels_for((bli_isa)isa)->log_f64(x, y[isa], N);
    for (int i = 0; i < N - 1; i++) {
        const double want = log(x[i]);
        if (!(fabs(y[0][i] - want) <= 4 * 0x1p-52 * want))
            print_error("ln %.17g: %.17g, the C library has %.17g\n", x[i], y[0][i], want);
        assert_true(fabs(y[0][i] - want) <= 4 * 0x1p-52 * want);
    }
    assert_true(isnan(y[0][N - 1]));
    for (int isa = 1; isa <= (int)bli_cpu_isa(); isa++)
        assert_memory_equal(y[0], y[isa], (N - 1) * sizeof y[0][0]);
}

static void distillation_mixes_value_and_gradient(void **state)
{
    (void)state;
    example e = make_example(4, 6, 9);
    float teacher[24];
    for (int i = 0; i < 24; i++)
        teacher[i] = e.targets[i];
    const bli_loss *loss = bli_loss_find("cross_entropy");
    bli_loss_call c = call_of(&e);
    const double t = 3, w = 0.7;
    const double hard = loss->run(&c);
    bli_distill(&c, teacher, t, w, hard);
    c.grad = NULL;
    for (size_t i = 0; i < 24; i++) {
        const float y = e.y[i];
        e.y[i] = y + 0.01f;
        const double up = bli_distill(&c, teacher, t, w, loss->run(&c));
        e.y[i] = y - 0.01f;
        const double down = bli_distill(&c, teacher, t, w, loss->run(&c));
        e.y[i] = y;
        assert_true(fabs((up - down) / 0.02 - (double)e.grad[i]) < 0.005);
    }
}

static void the_first_of_equal_outputs_counts(void **state)
{
    (void)state;
    const float y[] = {1, 1, 0, 0, 2, 2};
    const int32_t labels[] = {0, 2};
    assert_int_equal(bli_count_correct(y, labels, 2, 3), 1);
    assert_int_equal(bli_count_correct(y, labels, 0, 3), 0);
}

/* Row by row, with the exponentials and logarithms of the baseline's kernels: what the loop over rows side by side has
 * to equal. */
static double by_rows(const bli_loss_call *c, float *grad, int64_t *correct)
{
    double loss = 0;
    *correct = bli_count_correct(c->y, c->labels, c->rows, c->width);
    for (size_t r = 0; r < c->rows; r++) {
        const float *y = c->y + r * c->width;
        const double w = c->class_weights ? c->class_weights[c->labels[r]] : 1, even = c->smoothing / (double)c->width;
        float most = y[0], e[MAX_WIDTH * 4];
        double sum = 0;
        for (size_t j = 1; j < c->width; j++)
            most = y[j] > most ? y[j] : most;
        for (size_t j = 0; j < c->width; j++)
            e[j] = y[j] - most;
        bli_train_kernels_generic.exp_f32(e, e, c->width);
        for (size_t j = 0; j < c->width; j++)
            sum += (double)e[j];
        double log_sum;
        bli_train_kernels_generic.log_f64(&sum, &log_sum, 1);
        log_sum += (double)most;
        double row = (1 - c->smoothing) * (log_sum - (double)y[c->labels[r]]);
        for (size_t j = 0; c->smoothing > 0 && j < c->width; j++)
            row += even * (log_sum - (double)y[j]);
        loss += w * row;
        for (size_t j = 0; j < c->width; j++)
            grad[r * c->width + j] = e[j] * (float)(w / sum) - (float)(w * even);
        grad[r * c->width + (size_t)c->labels[r]] -= (float)(w * (1 - c->smoothing));
    }
    return loss;
}

/* 32 outputs are the most that lie side by side; 33 go row by row. */
static void rows_side_by_side_change_no_bit(void **state)
{
    (void)state;
    enum { ROWS = 37, WIDTH = 33 };
    static float y[ROWS * WIDTH], grad[ROWS * WIDTH], want[ROWS * WIDTH], scratch[4 * ROWS * WIDTH];
    static int32_t labels[ROWS];
    static double weights[WIDTH];
    const bli_stream s = bli_stream_make(4, 0, "rows");
    for (size_t j = 0; j < WIDTH; j++)
        weights[j] = 0.25 * (double)(j + 1);
    for (size_t width = 1; width <= WIDTH; width += width < 6 ? 1 : 9)
        for (size_t rows = 1; rows <= ROWS; rows += 6)
            for (int isa = 0; isa <= (int)bli_cpu_isa(); isa++) {
                int64_t correct = 0, correct_want;
                for (size_t i = 0; i < rows * width; i++) /* halves: many are equal */
                    y[i] = (float)round(bli_stream_normal(&s, i + rows) * 4) / 2;
                y[rows * width / 2] = (float)width - 100;
                for (size_t r = 0; r < rows; r++)
                    labels[r] = (int32_t)(bli_stream_u32(&s, 5000 + r) % width);
                const bli_loss_call c = {.kernels = bli_train_kernels_for((bli_isa)isa),
                                         .rows = rows,
                                         .width = width,
                                         .y = y,
                                         .labels = labels,
                                         .grad = grad,
                                         .scratch = scratch,
                                         .smoothing = rows % 2 ? 0 : 0.1,
                                         .class_weights = width % 2 ? NULL : weights,
                                         .correct = &correct};
                const double loss = bli_loss_find("cross_entropy")->run(&c),
                             loss_want = by_rows(&c, want, &correct_want);
                assert_true(loss == loss_want);
                assert_int_equal(correct, correct_want);
                assert_memory_equal(grad, want, rows * width * sizeof *grad);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy_is_its_definition),
        cmocka_unit_test(every_loss_has_the_gradient_of_its_value),
        cmocka_unit_test(far_logits_neither_overflow_nor_lose_the_loss),
        cmocka_unit_test(exp_is_within_its_bound_on_every_isa),
        cmocka_unit_test(log_is_within_its_bound_on_every_isa),
        cmocka_unit_test(distillation_mixes_value_and_gradient),
        cmocka_unit_test(the_first_of_equal_outputs_counts),
        cmocka_unit_test(rows_side_by_side_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
