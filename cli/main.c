/* main.c: finds the command and runs it. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_command *const commands[] = {&cli_train,
                                              &cli_eval,
                                              &cli_run,
                                              &cli_inspect,
                                              &cli_emit,
                                              &cli_synth,
                                              &cli_verify,
                                              &cli_summarize_graph,
                                              &cli_compare_graphs,
                                              &cli_to_qonnx,
                                              &cli_transform_graph,
                                              &cli_label_image,
                                              &cli_benchmark_model,
                                              &cli_list,
                                              &cli_help};

int cli_command_count(void)
{
    return (int)(sizeof commands / sizeof commands[0]);
}

const cli_command *cli_command_at(int i)
{
    return commands[i];
}

const cli_command *cli_command_find(const char *name)
{
    for (int i = 0; i < cli_command_count(); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const char *cli_command_nearest(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0]];
    for (int i = 0; i < cli_command_count(); i++)
        names[i] = commands[i]->name;
    return bl_nearest(name, names, (size_t)cli_command_count());
}

static int fail_command(const char *name)
{
    const char *near = cli_command_nearest(name);
    fprintf(stderr, "bitlathe: unknown command '%s'%s%s%s; 'bitlathe --help' lists all\n", name,
            near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return bl_status_exit(BL_USAGE);
}

static void print_result(cli *c, bl_status s)
{
    if (s != BL_OK && !c->o.json)
        fprintf(stderr, "bitlathe %s: %s\n", c->command->name, cli_message(c));
    if (!c->o.json)
        return;
    if (s != BL_OK) {
        json_object_clear(c->result);
        cli_add(c, "error", json_pack("{s:s, s:s}", "status", bl_status_name(s), "message", cli_message(c)));
    }
    json_dumpf(c->result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
}

static void on_log(void *user, bl_log_level level, const char *line)
{
    cli_note(user, "%s%s", level == BL_LOG_WARNING ? "warning: " : "", line);
}

static int run(cli *c)
{
    bl_status s = bl_context_create(NULL, &c->ctx);
    if (s != BL_OK) {
        fprintf(stderr, "bitlathe: %s\n", bl_status_text(s));
        return bl_status_exit(s);
    }
    c->result = json_object();
    bl_context_set_threads(c->ctx, c->o.threads);
    bl_context_set_log(c->ctx, on_log, c);
    s = c->command->run(c);
    print_result(c, s);
    if (s == BL_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "bitlathe: standard output could not be written\n");
        s = BL_IO;
    }
    json_decref(c->result);
    bl_context_destroy(c->ctx);
    return bl_status_exit(s);
}

int main(int argc, char **argv)
{
    cli c = {.command = NULL};
    int status;
    if (cli_old_name(argc, argv, &status))
        return status;
    if (argc < 2) {
        cli_print_usage(stderr);
        return bl_status_exit(BL_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("bitlathe %s\n", bl_version());
        return 0;
    }
    c.command = cli_command_find(argv[1]);
    if (!c.command)
        return fail_command(argv[1]);
    if (!cli_parse(&c, argc - 1, argv + 1))
        return bl_status_exit(BL_USAGE);
    if (c.o.help) {
        cli_print_help(stdout, c.command);
        return 0;
    }
    return run(&c);
}
