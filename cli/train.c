/* train.c: a recipe becomes a model. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const cli_option options[] = {
    {"out", CLI_TEXT, "FILE", "where the model goes (output.model)", offsetof(cli_options, out)},
    {"resume", CLI_FLAG, NULL, "go on from the checkpoint (output.checkpoint), if there is one",
     offsetof(cli_options, resume)},
    {"set", CLI_SET, "KEY=VALUE", "replace a key of the recipe: train.epochs=3; may be repeated", 0},
    {"seed", CLI_TEXT, "N", "same as --set train.seed=N", offsetof(cli_options, seed)},
    {"no-test", CLI_FLAG, NULL, "do not evaluate the test part at the end", offsetof(cli_options, no_test)},
    {"no-model", CLI_FLAG, NULL, "train and evaluate, but write no model", offsetof(cli_options, no_model)},
    {"check", CLI_FLAG, NULL, "check the recipe, open its data and build the network; train nothing",
     offsetof(cli_options, check)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

typedef struct job {
    cli *c;
    bl_recipe *recipe;
    bl_dataset *data, *test;
    bl_graph *graph, *model;
    bl_trainer *trainer;
    cli_progress progress;
    const char *out;
} job;

static void job_free(job *j)
{
    bl_trainer_destroy(j->trainer);
    bl_graph_destroy(j->model);
    bl_graph_destroy(j->graph);
    bl_dataset_close(j->test);
    bl_dataset_close(j->data);
    bl_recipe_free(j->recipe);
}

static bl_status read_recipe(job *j)
{
    cli *c = j->c;
    const char *sets[CLI_MAX_SETS + 2];
    char seed[64];
    int count = 0;
    for (; count < c->o.num_sets; count++)
        sets[count] = c->o.sets[count];
    if (c->o.seed) {
        snprintf(seed, sizeof seed, "train.seed=%.40s", c->o.seed);
        sets[count++] = seed;
    }
    bl_status s = bl_recipe_read(c->ctx, c->args[0], sets, count, &j->recipe);
    if (s != BL_OK)
        return s;
    if (c->o.check || c->o.no_model)
        return BL_OK;
    j->out = c->o.out ? c->o.out : bl_recipe_output(j->recipe, "model");
    if (!j->out)
        return cli_fail(c, BL_USAGE,
                        "where should the model go?  The recipe has no output.model, and there is no --out");
    return BL_OK;
}

/* Before an hour of training rather than after it. */
static bl_status check_writable(job *j)
{
    bl_status s = bl_model_check(j->graph);
    if (s != BL_UNSUPPORTED)
        return s;
    return cli_fail(j->c, s, "%s: no model file can hold this network (--no-model trains it all the same): %s",
                    j->c->args[0], bl_context_message(j->c->ctx));
}

static bl_status check_paths(job *j)
{
    const char *checkpoint = bl_recipe_output(j->recipe, "checkpoint");
    bl_status s = j->out ? bl_file_check(j->c->ctx, j->out) : BL_OK;
    return s == BL_OK && checkpoint && !j->c->o.check ? bl_file_check(j->c->ctx, checkpoint) : s;
}

static bl_status build(job *j)
{
    bl_status s = check_paths(j);
    if (s == BL_OK)
        s = bl_recipe_dataset(j->recipe, "train", &j->data);
    if (s == BL_OK)
        s = bl_recipe_graph(j->recipe, j->data, &j->graph);
    if (s == BL_OK && !j->c->o.no_model) /* --check too */
        s = check_writable(j);
    if (s == BL_OK)
        s = bl_trainer_create(j->c->ctx, j->graph, j->data, bl_recipe_options(j->recipe), &j->trainer);
    return s;
}

/* A run that was stopped before its first checkpoint starts again: the result is the same. */
static bl_status resume(job *j)
{
    const char *path = bl_recipe_output(j->recipe, "checkpoint");
    if (!j->c->o.resume)
        return BL_OK;
    if (!path)
        return cli_fail(j->c, BL_USAGE, "--resume: the recipe has no output.checkpoint");
    if (access(path, F_OK) != 0) {
        cli_note(j->c, "no checkpoint %s yet: starting from the beginning", path);
        return BL_OK;
    }
    bl_status s = bl_trainer_resume(j->trainer, path);
    return s == BL_OK
               ? s
               : cli_fail(j->c, s, "%s; without --resume the training begins anew", bl_context_message(j->c->ctx));
}

static bl_status train(job *j)
{
    cli_progress_init(&j->progress, j->c);
    j->progress.classes = bl_dataset_classes(j->data) > 0;
    cli_interrupt_install(j->c->ctx);
    bl_status s = bl_trainer_run(j->trainer, cli_progress_show, &j->progress);
    cli_interrupt_install(NULL);
    cli_progress_end(&j->progress);
    if (s != BL_INTERRUPTED)
        return s;
    const char *path = bl_recipe_output(j->recipe, "checkpoint");
    if (!path)
        return cli_fail(j->c, s, "stopped; the recipe has no output.checkpoint, so nothing was kept");
    return cli_fail(j->c, s, "stopped; what was done is in %s.  To go on: bitlathe train %s --resume", path,
                    j->c->args[0]);
}

static json_t *scores(double loss, double accuracy)
{
    json_t *o = json_object();
    json_object_set_new(o, "loss", cli_number(loss));
    json_object_set_new(o, "accuracy", cli_number(accuracy));
    return o;
}

static void print_test(const bl_scores *got, bool classes)
{
    printf("test: loss %.4f", got->loss);
    if (classes)
        printf("  accuracy %.2f %%", 100 * got->accuracy);
    printf("  (%lld rows)\n", (long long)got->rows);
}

/* The test part, if the data has one. */
static bl_status test(job *j)
{
    bl_scores got;
    if (j->c->o.no_test)
        return BL_OK;
    bl_status s = bl_recipe_dataset(j->recipe, "test", &j->test);
    if (s == BL_NOT_FOUND || s == BL_UNSUPPORTED)
        return BL_OK;
    if (s == BL_OK)
        s = bl_evaluate(j->c->ctx, j->model, j->test, bl_recipe_options(j->recipe)->loss.name, &got);
    if (s != BL_OK)
        return s;
    cli_add(j->c, "test", scores(got.loss, got.accuracy));
    if (!j->c->o.json)
        print_test(&got, j->progress.classes);
    return BL_OK;
}

static bl_status save(job *j)
{
    bl_status s = bl_trainer_model(j->trainer, &j->model);
    if (s == BL_OK && j->out)
        s = bl_model_write(j->model, j->out);
    if (s != BL_OK)
        return s;
    const bl_train_progress *p = &j->progress.last;
    cli_add(j->c, "recipe", json_string(j->c->args[0]));
    if (j->out)
        cli_add(j->c, "model", json_string(j->out));
    cli_add(j->c, "epochs", json_integer(p->epoch));
    cli_add(j->c, "steps", json_integer(p->step));
    cli_add(j->c, "train", scores(p->loss, p->accuracy));
    if (isfinite(p->validation_loss))
        cli_add(j->c, "validation", scores(p->validation_loss, p->validation_accuracy));
    if (j->out && !j->c->o.json)
        printf("model: %s\n", j->out);
    return BL_OK;
}

static void show_check(job *j)
{
    int64_t parameters = 0;
    for (int i = 0; i < bl_graph_num_values(j->graph); i++)
        if (bl_graph_value(j->graph, i)->role == BL_ROLE_PARAMETER)
            parameters += bl_shape_count(&bl_graph_value(j->graph, i)->shape);
    cli_add(j->c, "nodes", json_integer(bl_graph_num_nodes(j->graph)));
    cli_add(j->c, "parameters", json_integer(parameters));
    cli_add(j->c, "rows", json_integer(bl_dataset_rows(j->data)));
    if (!j->c->o.json)
        printf("%s: in order; %d nodes, %lld parameters, %lld rows\n", j->c->args[0], bl_graph_num_nodes(j->graph),
               (long long)parameters, (long long)bl_dataset_rows(j->data));
}

static bl_status run(cli *c)
{
    static bl_status (*const stages[])(job *) = {read_recipe, build, resume, train, save, test};
    job j = {.c = c};
    bl_status s = BL_OK;
    size_t count = c->o.check ? 2 : sizeof stages / sizeof stages[0];
    for (size_t i = 0; i < count && s == BL_OK; i++)
        s = stages[i](&j);
    if (s == BL_OK && c->o.check)
        show_check(&j);
    job_free(&j);
    return s;
}

const cli_command cli_train = {
    .name = "train",
    .synopsis = "train RECIPE.yaml [--out MODEL.onnx] [--resume] [--set KEY=VALUE]...",
    .help = "train what a recipe says and write the model",
    .text =
        "Trains the network of a recipe on its data, at its precision, writes checkpoints and a run log on the way,\n"
        "the model (a QONNX file) at the end, and evaluates the test part once.  Ctrl-C finishes the step, saves, and\n"
        "says how to go on.  Same recipe, data and seed: same file, for any number of threads.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
