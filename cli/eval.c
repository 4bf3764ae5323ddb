/* eval.c: accuracy and loss of a model over a data set. */
#include <stddef.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {
    {"data", CLI_TEXT, "DATA", "a known name (fashion-mnist), a path, or a recipe whose data it is",
     offsetof(cli_options, data)},
    {"split", CLI_TEXT, "NAME", "train or test (test; of a single file all rows)", offsetof(cli_options, split)},
    {"target", CLI_TEXT, "NAME", "csv, npz: the target column or label array", offsetof(cli_options, target)},
    {"loss", CLI_TEXT, "NAME", "cross_entropy, mse, hinge, squared_hinge (as it was trained)",
     offsetof(cli_options, loss)},
    CLI_EXACT_OPTIONS,
    {NULL, CLI_FLAG, NULL, NULL, 0}};

typedef struct job {
    cli *c;
    bl_graph *g;
    bl_recipe *recipe;
    bl_dataset *data;
    bl_program *program;
} job;

static bool is_recipe(const char *path)
{
    size_t n = strlen(path);
    return (n > 5 && strcmp(path + n - 5, ".yaml") == 0) || (n > 4 && strcmp(path + n - 4, ".yml") == 0);
}

/* "28x28x1", as a row of the model's input. */
static void row_shape(const bl_graph *g, char *text, size_t size)
{
    const bl_shape *s = &bl_graph_value(g, bl_graph_input(g, 0))->shape;
    size_t at = 0;
    text[0] = 0;
    for (int i = 1; i < s->rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i > 1 ? "x" : "", (long long)s->dim[i]);
}

static bl_status open_data(job *j)
{
    cli *c = j->c;
    const char *split = c->o.split; /* none: the test part, or all there is */
    char shape[256];
    if (is_recipe(c->o.data)) {
        bl_status s = bl_recipe_read(c->ctx, c->o.data, NULL, 0, &j->recipe);
        return s == BL_OK ? bl_recipe_dataset(j->recipe, split, &j->data) : s;
    }
    row_shape(j->g, shape, sizeof shape);
    bl_dataset_options o = {.source = c->o.data, .split = split, .target = c->o.target, .shape = shape};
    return bl_dataset_open(c->ctx, &o, &j->data);
}

static const char *loss_of(const job *j)
{
    const char *trained = bl_graph_meta(j->g, "bitlathe.loss");
    if (j->c->o.loss)
        return j->c->o.loss;
    return trained ? trained : "cross_entropy";
}

/* Through the program; a loss that needs what the program leaves out (a softmax) takes the graph, unless --exact. */
static bl_status score(job *j, bl_scores *got)
{
    cli *c = j->c;
    bl_status s = cli_exact(c, j->g, &j->program);
    if (s != BL_OK || !j->program)
        return s == BL_OK ? bl_evaluate(c->ctx, j->g, j->data, loss_of(j), got) : s;
    s = bl_evaluate_program(c->ctx, j->program, j->data, loss_of(j), got);
    if (s != BL_UNSUPPORTED || c->o.exact)
        return s;
    cli_note(c, "not exact: %s", bl_context_message(c->ctx));
    cli_add(c, "not_exact", json_string(bl_context_message(c->ctx)));
    bl_program_destroy(j->program);
    j->program = NULL;
    return bl_evaluate(c->ctx, j->g, j->data, loss_of(j), got);
}

static bl_status evaluate(job *j)
{
    cli *c = j->c;
    bl_scores got;
    bl_status s = score(j, &got);
    if (s != BL_OK)
        return cli_fail(c, s, "%s: %s", c->args[0], bl_context_message(c->ctx));
    cli_add(c, "model", json_string(c->args[0]));
    cli_add(c, "through", json_string(cli_through(j->program)));
    cli_add(c, "rows", json_integer(got.rows));
    cli_add(c, "correct", json_integer(got.correct));
    cli_add(c, "accuracy", cli_number(got.accuracy));
    cli_add(c, "loss", cli_number(got.loss));
    if (!c->o.json && bl_dataset_classes(j->data) > 0)
        printf("accuracy %.2f %%  (%lld of %lld)  ", 100 * got.accuracy, (long long)got.correct, (long long)got.rows);
    if (!c->o.json)
        printf("loss %.4f  through the %s\n", got.loss, cli_through_words(j->program));
    return BL_OK;
}

static bl_status run(cli *c)
{
    job j = {.c = c};
    if (!c->o.data)
        return cli_fail(c, BL_USAGE, "--data is missing: a known name, a path, or a recipe");
    if (c->o.split && strcmp(c->o.split, "train") != 0 && strcmp(c->o.split, "test") != 0)
        return cli_fail(c, BL_USAGE, "--split '%s' (expected train or test)", c->o.split);
    bl_status s = cli_listed(c, "loss", c->o.loss, "losses");
    if (s == BL_OK)
        s = cli_exact_check(c);
    if (s == BL_OK)
        s = bl_model_read(c->ctx, c->args[0], &j.g);
    if (s == BL_OK)
        s = open_data(&j);
    if (s == BL_OK)
        s = evaluate(&j);
    bl_dataset_close(j.data);
    bl_recipe_free(j.recipe);
    bl_program_destroy(j.program);
    bl_graph_destroy(j.g);
    return s;
}

const cli_command cli_eval = {
    .name = "eval",
    .synopsis = "eval MODEL.onnx --data DATA [--split test] [--exact | --float]",
    .help = "accuracy and loss of a model over a data set",
    .text = "Evaluates a model over a data set: through the exact integer program where the model lowers, else\n"
            "through the float graph (the training engine's own kernels). Both give the same bits.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
