/* options.c: option tables: parsed, printed as help and as a man page. */
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MOST = 48 };

const cli_option cli_common[] = {
    {"json", CLI_FLAG, NULL, "print one JSON object on standard output", offsetof(cli_options, json)},
    {"quiet", CLI_FLAG, NULL, "no progress and no notes", offsetof(cli_options, quiet)},
    {"threads", CLI_COUNT, "N", "threads to use; default: all (results do not depend on it)",
     offsetof(cli_options, threads)},
    {"help", CLI_FLAG, NULL, "this text", offsetof(cli_options, help)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

/* The command's options, then the common ones. */
static int all_options(const cli_command *command, const cli_option *out[MOST])
{
    int count = 0;
    for (const cli_option *o = command->options; o->name; o++)
        out[count++] = o;
    for (const cli_option *o = cli_common; o->name; o++)
        out[count++] = o;
    return count;
}

/* ---- parsing ------------------------------------------------------------------------------------------------- */
static bool store(cli *c, const cli_option *o, const char *value)
{
    void *at = (char *)&c->o + o->offset;
    char *end;
    if (o->kind == CLI_FLAG) {
        *(bool *)at = true;
    } else if (o->kind == CLI_TEXT) {
        *(const char **)at = value;
    } else if (o->kind == CLI_COUNT) {
        long v = strtol(value, &end, 10);
        if (end == value || *end || v < 0 || v > 1024) {
            fprintf(stderr, "bitlathe %s: --%s '%s' (expected a whole number 0 .. 1024)\n", c->command->name, o->name,
                    value);
            return false;
        }
        *(int *)at = (int)v;
    } else if (c->o.num_sets == CLI_MAX_SETS) {
        fprintf(stderr, "bitlathe %s: more than %d times --%s\n", c->command->name, CLI_MAX_SETS, o->name);
        return false;
    } else {
        c->o.sets[c->o.num_sets++] = value;
    }
    return true;
}

static bool fail_option(const cli *c, const cli_option *const *options, int count, const char *given)
{
    const char *names[MOST];
    char name[64];
    snprintf(name, sizeof name, "%s", given + strspn(given, "-"));
    name[strcspn(name, "=")] = 0;
    for (int i = 0; i < count; i++)
        names[i] = options[i]->name;
    const char *near = bl_nearest(name, names, (size_t)count);
    fprintf(stderr, "bitlathe %s: unknown option '%s'%s%s%s; 'bitlathe %s --help' lists all\n", c->command->name, given,
            near ? " (did you mean '--" : "", near ? near : "", near ? "'?)" : "", c->command->name);
    return false;
}

static bool check_arguments(cli *c)
{
    if (c->o.help || (c->num_args >= c->command->min_args && c->num_args <= c->command->max_args))
        return true;
    fprintf(stderr, "bitlathe %s: %s; usage: bitlathe %s\n", c->command->name,
            c->num_args < c->command->min_args ? "an argument is missing" : "too many arguments", c->command->synopsis);
    return false;
}

bool cli_parse(cli *c, int argc, char **argv)
{
    const cli_option *options[MOST];
    struct option table[MOST + 1] = {0};
    int count = all_options(c->command, options), index, got;
    for (int i = 0; i < count; i++)
        table[i] = (struct option){options[i]->name, options[i]->kind == CLI_FLAG ? no_argument : required_argument,
                                   NULL, 256 + i};
    opterr = 0;
    while ((got = getopt_long(argc, argv, ":h", table, &index)) != -1) {
        if (got == 'h')
            c->o.help = true;
        else if (got == ':') {
            fprintf(stderr, "bitlathe %s: option '%s' needs a value\n", c->command->name, argv[optind - 1]);
            return false;
        } else if (got == '?')
            return fail_option(c, options, count, argv[optind - 1]);
        else if (!store(c, options[got - 256], optarg))
            return false;
    }
    for (; optind < argc && c->num_args < CLI_MAX_ARGS; optind++)
        c->args[c->num_args++] = argv[optind];
    return check_arguments(c);
}

/* ---- printing ------------------------------------------------------------------------------------------------ */
void cli_print_usage(FILE *to)
{
    fprintf(to,
            "bitlathe %s: trains neural networks of a few bits and keeps them as QONNX files\n\n"
            "usage: bitlathe COMMAND [OPTIONS]\n\ncommands:\n",
            bl_version());
    for (int i = 0; i < cli_command_count(); i++)
        fprintf(to, "  %-15s %s\n", cli_command_at(i)->name, cli_command_at(i)->help);
    fprintf(to, "\n'bitlathe COMMAND --help' says more.  Exit status: 0 done, 1 the input or the model is at fault, "
                "2 wrong usage.\n");
}

static void print_option(FILE *to, const cli_option *o)
{
    char name[64];
    snprintf(name, sizeof name, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(to, "  %-18s %s\n", name, o->help);
}

void cli_print_help(FILE *to, const cli_command *command)
{
    fprintf(to, "usage: bitlathe %s\n\n%s\n", command->synopsis, command->text);
    fprintf(to, "\noptions:\n");
    const cli_option *options[MOST];
    int count = all_options(command, options);
    for (int i = 0; i < count; i++)
        print_option(to, options[i]);
}

/* roff: a leading dot or quote and every backslash and dash would be read as markup. */
static void print_roff(FILE *to, const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", to);
        if (*text == '\\' || *text == '-')
            fputc('\\', to);
        fputc(*text, to);
        at_start = *text == '\n';
    }
}

static void print_man_options(FILE *to, const cli_option *o)
{
    for (; o->name; o++) {
        fputs(".TP\n\\fB\\-\\-", to);
        print_roff(to, o->name);
        fprintf(to, "\\fR%s%s\n", o->value ? " " : "", o->value ? o->value : "");
        print_roff(to, o->help);
        fputc('\n', to);
    }
}

void cli_print_man(FILE *to)
{
    fprintf(to,
            ".TH BITLATHE 1 \"\" \"bitlathe %s\" \"User Commands\"\n.SH NAME\nbitlathe \\- trains neural networks of a "
            "few bits and keeps them as QONNX files\n.SH SYNOPSIS\n.B bitlathe\n.I COMMAND\n[\\fIOPTIONS\\fR]\n"
            ".SH COMMANDS\n",
            bl_version());
    for (int i = 0; i < cli_command_count(); i++) {
        const cli_command *command = cli_command_at(i);
        fputs(".SS \"bitlathe ", to);
        print_roff(to, command->synopsis);
        fputs("\"\n", to);
        print_roff(to, command->text);
        fputc('\n', to);
        print_man_options(to, command->options);
    }
    fputs(".SH \"OPTIONS OF EVERY COMMAND\"\n", to);
    print_man_options(to, cli_common);
    fputs(".SH \"EXIT STATUS\"\n0 done; 1 the input or the model is at fault; 2 wrong usage; 3 a verification found a "
          "difference.\n",
          to);
}
