/* help.c: the manual pages, from the tables. */
#include <stddef.h>

#include "cli.h"

static const cli_option options[] = {
    {"man", CLI_FLAG, NULL, "print the manual page (roff)", offsetof(cli_options, man)},
    {"recipe", CLI_FLAG, NULL, "print the manual of recipes (Markdown)", offsetof(cli_options, recipe)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

static bl_status print_recipe_manual(cli *c)
{
    char *text;
    bl_status s = bl_recipe_manual(c->ctx, &text);
    if (s != BL_OK)
        return s;
    fputs(text, stdout);
    bl_text_free(c->ctx, text);
    return BL_OK;
}

static bl_status fail_command(cli *c)
{
    const char *near = cli_command_nearest(c->args[0]);
    return cli_fail(c, BL_USAGE, "no command '%s'%s%s%s", c->args[0], near ? " (did you mean '" : "", near ? near : "",
                    near ? "'?)" : "");
}

static bl_status run(cli *c)
{
    if (c->o.recipe)
        return print_recipe_manual(c);
    if (c->o.man)
        cli_print_man(stdout);
    else if (c->num_args == 0)
        cli_print_usage(stdout);
    else if (cli_command_find(c->args[0]))
        cli_print_help(stdout, cli_command_find(c->args[0]));
    else
        return fail_command(c);
    return BL_OK;
}

const cli_command cli_help = {.name = "help",
                              .synopsis = "help [COMMAND] [--man | --recipe]",
                              .help = "help on a command, the manual page, the manual of recipes",
                              .text = "Prints help on a command, or the list of commands.",
                              .options = options,
                              .max_args = 1,
                              .run = run};
