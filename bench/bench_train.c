/* bench_train.c: seconds per epoch of training, as one JSON line.
 *
 * Usage: bench_train NET [6|float] [THREADS] [BATCH] [EPOCHS]
 * NET is mlp, cnn, binary, residual (on Fashion-MNIST) or jet (16-64-32-32-5 on a million seeded random rows).  The
 * figure is the median of the epochs after the first; processor seconds beside wall seconds, since machines are shared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bitlathe/bitlathe.h"

enum { MAX_EPOCHS = 64, JET_ROWS = 1000000 };

#define HEAD  "name: bench\ndata: {source: fashion-mnist, normalize: {scale: 0.00390625}}\nnetwork:\n"
#define IMAGE "  - Input: {shape: [28, 28, 1]}\n"
#define DENSE3                                                                                                         \
    "  - Dense: {units: 64, activation: relu}\n  - Dense: {units: 32, activation: relu}\n"                             \
    "  - Dense: {units: 32, activation: relu}\n"
#define CONV(f)    "  - Conv2D: {filters: " #f ", kernel_size: 3, activation: relu}\n"
#define SAME(f, s) "  - Conv2D: {filters: " #f ", kernel_size: 3, strides: " #s ", padding: same, use_bias: false}\n"
#define NORM       "  - BatchNormalization\n"
#define SIX                                                                                                            \
    "precision: {default: {input: \"ufixed<8,0,RND,SAT>\", weight: \"fixed<6,1,RND_CONV,SAT_SYM>\","                   \
    " bias: \"fixed<6,1,RND_CONV,SAT_SYM>\", activation: \"ufixed<6,2,RND_CONV,SAT>\"}}\n"

typedef struct net {
    const char *name, *layers, *precision;
} net;

static const net nets[] = {
    {"mlp", HEAD IMAGE "  - Flatten\n" DENSE3 "  - Dense: {units: 10}\n", SIX},
    {"cnn",
     HEAD IMAGE CONV(16) "  - MaxPooling2D\n" CONV(16) "  - MaxPooling2D\n" CONV(
         24) "  - Flatten\n"
             "  - Dense: {units: 42, activation: relu}\n  - Dense: {units: 64, activation: relu}\n  - Dense: {units: "
             "10}\n",
     SIX},
    {"binary",
     HEAD IMAGE "  - Flatten\n  - Dense: {units: 512, use_bias: false}\n" NORM "  - Quantize: {format: binary}\n"
                "  - Dense: {units: 512, use_bias: false}\n" NORM "  - Quantize: {format: binary}\n"
                "  - Dense: {units: 10, use_bias: false}\n" NORM,
     "precision: {default: {weight: binary}}\n"},
    {"residual",
     HEAD IMAGE SAME(16, 1) NORM "  - ReLU: {name: a}\n" SAME(16, 1) NORM
     "  - ReLU\n" SAME(16, 1) "  - BatchNormalization: {name: b}\n  - Add: {inputs: [a, b]}\n  - ReLU\n" SAME(32, 2)
         NORM "  - ReLU\n" SAME(64, 2) NORM "  - ReLU\n  - GlobalAveragePooling2D\n  - Dense: {units: 10}\n",
     SIX},
    {"jet", "name: bench\ndata: {source: none}\nnetwork:\n  - Input: {shape: [16]}\n" DENSE3 "  - Dense: {units: 5}\n",
     "precision: {default: {weight: \"fixed<6,1,RND_CONV,SAT_SYM>\", bias: \"fixed<6,1,RND_CONV,SAT_SYM>\","
     " activation: \"ufixed<6,2,RND_CONV,SAT>\"}}\n"},
};

typedef struct clocks {
    double wall[MAX_EPOCHS], cpu[MAX_EPOCHS], last_wall, last_cpu, loss;
    int count;
} clocks;

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void on_progress(void *user, const bl_train_progress *p)
{
    clocks *c = user;
    if (!p->epoch_done || c->count == MAX_EPOCHS)
        return;
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    c->wall[c->count] = wall - c->last_wall;
    c->cpu[c->count++] = cpu - c->last_cpu;
    c->last_wall = wall;
    c->last_cpu = cpu;
    c->loss = p->loss;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

static bl_status jet_data(bl_context *ctx, bl_tensor *x, bl_tensor *y, bl_dataset **out)
{
    const bl_shape xs = {2, {JET_ROWS, 16}}, ys = {1, {JET_ROWS}};
    uint64_t state = 1;
    bl_status s = bl_tensor_create(ctx, BL_F32, &xs, x);
    if (s == BL_OK)
        s = bl_tensor_create(ctx, BL_I32, &ys, y);
    if (s != BL_OK)
        return s;
    for (int i = 0; i < 17 * JET_ROWS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (i < 16 * JET_ROWS)
            ((float *)x->data)[i] = (float)(state >> 40) * 0x1p-24f;
        else
            ((int32_t *)y->data)[i - 16 * JET_ROWS] = (int32_t)((state >> 33) % 5);
    }
    return bl_dataset_from_tensors(ctx, x, y, out);
}

static bl_status run(bl_context *ctx, const net *n, bool quantized, int batch, int epochs, clocks *c)
{
    char text[4096];
    bl_recipe *recipe;
    bl_dataset *data = NULL;
    bl_tensor x = {0}, y = {0};
    bl_graph *g = NULL;
    bl_trainer *t = NULL;
    const int size = snprintf(text, sizeof text,
                              "%s%strain: {epochs: %d, batch: %d, slices: %d, optimizer: {name: adam, lr: 0.001}}\n",
                              n->layers, quantized ? n->precision : "", epochs, batch, 8);
    bl_status s = bl_recipe_parse(ctx, "bench", text, (size_t)size, NULL, 0, &recipe);
    if (s != BL_OK)
        return s;
    s = strcmp(n->name, "jet") == 0 ? jet_data(ctx, &x, &y, &data) : bl_recipe_dataset(recipe, "train", &data);
    if (s == BL_OK)
        s = bl_recipe_graph(recipe, data, &g);
    if (s == BL_OK)
        s = bl_trainer_create(ctx, g, data, bl_recipe_options(recipe), &t);
    c->last_wall = seconds(CLOCK_MONOTONIC);
    c->last_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (s == BL_OK)
        s = bl_trainer_run(t, on_progress, c);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    bl_dataset_close(data);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_recipe_free(recipe);
    return s;
}

int main(int argc, char **argv)
{
    const net *n = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof nets / sizeof *nets; i++)
        if (strcmp(argv[1], nets[i].name) == 0)
            n = &nets[i];
    const bool quantized = argc < 3 || strcmp(argv[2], "float") != 0;
    const int threads = argc > 3 ? atoi(argv[3]) : 1, batch = argc > 4 ? atoi(argv[4]) : 128;
    const int epochs = argc > 5 ? atoi(argv[5]) : 5;
    if (!n || epochs < 1 || epochs > MAX_EPOCHS) {
        fprintf(stderr, "usage: bench_train mlp|cnn|binary|residual|jet [6|float] [THREADS] [BATCH] [EPOCHS]\n");
        return argc > 1 ? 2 : 0;
    }
    bl_context *ctx;
    clocks c = {0};
    if (bl_context_create(NULL, &ctx) != BL_OK)
        return 1;
    bl_context_set_threads(ctx, threads);
    const bl_status s = run(ctx, n, quantized, batch, epochs, &c);
    if (s != BL_OK) {
        fprintf(stderr, "bench_train: %s\n", bl_context_message(ctx));
        bl_context_destroy(ctx);
        return bl_status_exit(s);
    }
    const int skip = c.count > 1;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("{\"net\": \"%s\", \"bits\": \"%s\", \"threads\": %d, \"batch\": %d, \"epoch_wall_s\": %.4f, "
           "\"epoch_cpu_s\": %.4f, \"loss\": %.4f, \"peak_rss_mib\": %.1f}\n",
           n->name, quantized ? argc > 2 ? argv[2] : "6" : "float", threads, batch,
           median(c.wall + skip, c.count - skip), median(c.cpu + skip, c.count - skip), c.loss,
           (double)u.ru_maxrss / 1024);
    bl_context_destroy(ctx);
    return 0;
}
