/* run.c: a model's outputs for an array of inputs, and every value on the way if asked. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { ROWS_AT_ONCE = 256 };

static const cli_option options[] = {
    {"input", CLI_TEXT, "X.npy", "rows of input", offsetof(cli_options, input)},
    {"output", CLI_TEXT, "Y.npy", "where the outputs go", offsetof(cli_options, output)},
    {"trace", CLI_TEXT, "T.npz", "where every layer's values go, by name", offsetof(cli_options, trace)},
    CLI_EXACT_OPTIONS,
    {NULL, CLI_FLAG, NULL, NULL, 0}};

typedef struct job {
    cli *c;
    bl_graph *g;
    bl_runner *runner;
    bl_program *program;
    bl_tensor x, y;
    bl_npz_entry *entries;
    size_t count, room;
} job;

static bl_status keep_entry(job *j, const char *name, const bl_tensor *t)
{
    if (j->count == j->room) {
        size_t room = j->room ? 2 * j->room : 64;
        bl_npz_entry *grown = realloc(j->entries, room * sizeof *grown);
        if (!grown)
            return cli_fail(j->c, BL_NO_MEMORY, "out of memory");
        j->entries = grown;
        j->room = room;
    }
    bl_npz_entry *e = &j->entries[j->count];
    bl_status s = bl_tensor_create(j->c->ctx, t->type, &t->shape, &e->tensor);
    if (s != BL_OK)
        return s;
    memcpy(e->tensor.data, t->data, (size_t)bl_shape_count(&t->shape) * bl_dtype_size(t->type));
    e->name = strdup(name);
    if (!e->name)
        return bl_tensor_free(j->c->ctx, &e->tensor), cli_fail(j->c, BL_NO_MEMORY, "out of memory");
    j->count++;
    return BL_OK;
}

static bl_status on_value(void *user, const char *name, const bl_tensor *t)
{
    return keep_entry(user, name, t);
}

static void job_free(job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        free((void *)(uintptr_t)j->entries[i].name);
        bl_tensor_free(j->c->ctx, &j->entries[i].tensor);
    }
    free(j->entries);
    bl_tensor_free(j->c->ctx, &j->x);
    bl_tensor_free(j->c->ctx, &j->y);
    bl_runner_destroy(j->runner);
    bl_program_destroy(j->program);
    bl_graph_destroy(j->g);
}

/* The file's rows in the model's shape: [n, 28, 28] is as good as [n, 28, 28, 1]. */
static bl_status fit_rows(job *j)
{
    bl_shape want = bl_graph_value(j->g, bl_graph_input(j->g, 0))->shape, have = j->x.shape;
    char a[128], b[128];
    want.dim[0] = have.rank > 0 ? have.dim[0] : 0;
    if (have.rank > 0 && bl_shape_count(&want) == bl_shape_count(&have)) {
        j->x.shape = want;
        return BL_OK;
    }
    bl_shape_print(&have, a, sizeof a);
    bl_shape_print(&bl_graph_value(j->g, bl_graph_input(j->g, 0))->shape, b, sizeof b);
    return cli_fail(j->c, BL_BAD_VALUE, "%s: the array has shape %s (expected %s)", j->c->o.input, a, b);
}

static bl_status load(job *j)
{
    cli *c = j->c;
    if (!c->o.input || !c->o.output)
        return cli_fail(c, BL_USAGE, "--%s is missing", c->o.input ? "output" : "input");
    bl_status s = cli_exact_check(c);
    if (s == BL_OK)
        s = bl_model_read(c->ctx, c->args[0], &j->g);
    if (s == BL_OK)
        s = bl_npy_read(c->ctx, c->o.input, &j->x);
    return s == BL_OK ? fit_rows(j) : s;
}

static bl_status run_program(job *j)
{
    cli_say_cut(j->c, j->program);
    return bl_program_trace(j->c->ctx, j->program, &j->x, j->c->o.trace ? on_value : NULL, j, &j->y);
}

static bl_status run_graph(job *j)
{
    bl_status s = bl_runner_create(j->c->ctx, j->g, ROWS_AT_ONCE, &j->runner);
    if (s != BL_OK)
        return s;
    if (j->c->o.trace)
        bl_runner_trace(j->runner, on_value, j);
    return bl_runner_run(j->runner, &j->x, &j->y);
}

static bl_status work(job *j)
{
    cli *c = j->c;
    bl_status s = load(j);
    if (s == BL_OK)
        s = cli_exact(c, j->g, &j->program);
    if (s == BL_OK)
        s = j->program ? run_program(j) : run_graph(j);
    if (s == BL_OK)
        s = c->o.trace ? bl_npz_write(c->ctx, c->o.trace, j->entries, j->count) : BL_OK;
    if (s == BL_OK)
        s = bl_npy_write(c->ctx, c->o.output, &j->y);
    return s;
}

static json_t *shape_json(const bl_shape *s)
{
    json_t *list = json_array();
    for (int i = 0; i < s->rank; i++)
        json_array_append_new(list, json_integer(s->dim[i]));
    return list;
}

static bl_status run(cli *c)
{
    job j = {.c = c};
    bl_status s = work(&j);
    if (s == BL_OK) {
        char shape[128];
        bl_shape_print(&j.y.shape, shape, sizeof shape);
        cli_add(c, "output", json_string(c->o.output));
        cli_add(c, "shape", shape_json(&j.y.shape));
        cli_add(c, "through", json_string(cli_through(j.program)));
        if (c->o.trace)
            cli_add(c, "trace", json_string(c->o.trace));
        if (!c->o.json)
            printf("%s: %s through the %s\n", c->o.output, shape, cli_through_words(j.program));
    }
    job_free(&j);
    return s;
}

const cli_command cli_run = {
    .name = "run",
    .synopsis = "run MODEL.onnx --input X.npy --output Y.npy [--trace T.npz] [--exact | --float]",
    .help = "a model's outputs for an array of inputs",
    .text = "Runs a model over the rows of a NumPy array and writes its outputs; with --trace, every\n"
            "layer's values by name.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
