/* fuzz_checkpoint.c: any bytes as a checkpoint: a trainer either goes on from it or is as it was. */
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

static const char recipe_text[] = "name: fuzz\n"
                                  "data: {source: none}\n"
                                  "network:\n"
                                  "  - Input: {shape: [3]}\n"
                                  "  - Dense: {units: 4, activation: relu, name: fc1}\n"
                                  "  - BatchNormalization: {name: norm}\n"
                                  "  - Dense: {units: 2, name: fc2}\n"
                                  "train: {epochs: 3, batch: 4, slices: 2}\n";

typedef struct training {
    bl_context *ctx;
    bl_recipe *recipe;
    bl_dataset *data;
    bl_graph *graph;
    bl_trainer *trainer;
} training;

static bool start(training *t)
{
    static float x[8 * 3];
    static int32_t y[8] = {0, 1, 1, 0, 1, 0, 0, 1};
    for (int i = 0; i < 8 * 3; i++)
        x[i] = (float)((i * 7) % 5) - 2;
    const bl_tensor xt = {BL_F32, {2, {8, 3}}, x}, yt = {BL_I32, {1, {8}}, y};
    return bl_context_create(NULL, &t->ctx) == BL_OK &&
           bl_recipe_parse(t->ctx, "fuzz", recipe_text, sizeof recipe_text - 1, NULL, 0, &t->recipe) == BL_OK &&
           bl_dataset_from_tensors(t->ctx, &xt, &yt, &t->data) == BL_OK &&
           bl_recipe_graph(t->recipe, t->data, &t->graph) == BL_OK &&
           bl_trainer_create(t->ctx, t->graph, t->data, bl_recipe_options(t->recipe), &t->trainer) == BL_OK;
}

/* All numbers of the model as it is now. */
static size_t numbers(training *t, float *out, size_t room)
{
    bl_graph *m;
    size_t n = 0;
    fuzz_check(bl_trainer_model(t->trainer, &m) == BL_OK, "a model can be made");
    for (int v = 0; v < bl_graph_num_values(m); v++) {
        const bl_value *x = bl_graph_value(m, v);
        const size_t count = x->role == BL_ROLE_PARAMETER ? (size_t)bl_shape_count(&x->shape) : 0;
        fuzz_check(n + count <= room, "a small model");
        if (count)
            memcpy(out + n, x->data, count * sizeof *out);
        n += count;
    }
    bl_graph_destroy(m);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static training t;
    static float before[256], after[256];
    if (!t.trainer && !start(&t)) /* one trainer serves all inputs: a refused one must leave no trace */
        abort();
    const size_t n = numbers(&t, before, 256);
    const bl_status s = bl_trainer_resume(t.trainer, fuzz_path(data, size));
    if (s == BL_OK) {
        (void)!bl_trainer_step(t.trainer);
        return 0;
    }
    fuzz_check(strlen(bl_context_message(t.ctx)) > 0, "a failure has a message");
    fuzz_check(numbers(&t, after, 256) == n && memcmp(before, after, n * sizeof *before) == 0,
               "a refused checkpoint changes nothing");
    return 0;
}
