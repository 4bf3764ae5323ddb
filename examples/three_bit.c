/* three_bit.c: defines, trains, evaluates and saves a 3-bit network.
 * cc three_bit.c $(pkg-config --cflags --libs bitlathe) -o three_bit && ./three_bit */
#include <bitlathe/bitlathe.h>
#include <stdio.h>
#include <string.h>

static const char recipe_text[] = "data: {source: fashion-mnist, validation: 0.1, normalize: {scale: 0.00390625}}\n"
                                  "network:\n"
                                  "  - Flatten\n"
                                  "  - Dense: {units: 64, activation: relu, name: fc1}\n"
                                  "  - Dense: {units: 32, activation: relu, name: fc2}\n"
                                  "  - Dense: {units: 10, name: logits}\n"
                                  "precision:\n"
                                  "  default:\n"
                                  "    input: \"ufixed<3,0,RND,SAT>\"\n"
                                  "    weight: {quantizer: lsq, bits: 3}\n"
                                  "    activation: {quantizer: lsq, bits: 3}\n"
                                  "train: {epochs: 3, optimizer: {name: adam, lr: 0.002}, schedule: cosine}\n";

static void show(void *user, const bl_train_progress *p)
{
    (void)user;
    if (p->epoch_done)
        printf("epoch %d: loss %.3f, validation accuracy %.1f %%\n", p->epoch, p->loss, 100 * p->validation_accuracy);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "three_bit.onnx";
    bl_context *ctx = NULL;
    bl_recipe *recipe = NULL;
    bl_dataset *train = NULL, *test = NULL;
    bl_graph *network = NULL, *model = NULL;
    bl_trainer *trainer = NULL;
    bl_scores scores;
    bl_status s = bl_context_create(NULL, &ctx);
    s = s ? s : bl_recipe_parse(ctx, "three_bit", recipe_text, strlen(recipe_text), NULL, 0, &recipe);
    s = s ? s : bl_recipe_dataset(recipe, "train", &train);
    s = s ? s : bl_recipe_dataset(recipe, "test", &test);
    s = s ? s : bl_recipe_graph(recipe, train, &network);
    s = s ? s : bl_trainer_create(ctx, network, train, bl_recipe_options(recipe), &trainer);
    s = s ? s : bl_trainer_run(trainer, show, NULL);
    s = s ? s : bl_trainer_model(trainer, &model);
    s = s ? s : bl_evaluate(ctx, model, test, "cross_entropy", &scores);
    s = s ? s : bl_model_write(model, path);
    if (s == BL_OK)
        printf("test accuracy %.2f %%, saved as %s\n", 100 * scores.accuracy, path);
    else
        fprintf(stderr, "%s\n", ctx ? bl_context_message(ctx) : bl_status_text(s));
    bl_trainer_destroy(trainer);
    bl_graph_destroy(model);
    bl_graph_destroy(network);
    bl_dataset_close(test);
    bl_dataset_close(train);
    bl_recipe_free(recipe);
    bl_context_destroy(ctx);
    return bl_status_exit(s);
}
