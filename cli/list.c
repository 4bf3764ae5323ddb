/* list.c: what there is. */
#include <string.h>

#include "cli.h"

static const cli_option options[] = {{NULL, CLI_FLAG, NULL, NULL, 0}};

static const char transforms[] = "transforms"; /* of another room than the lists of bl_list_at */

static void add_entry(json_t *list, const bl_list_entry *e)
{
    json_t *o = json_pack("{s:s, s:s}", "name", e->name, "help", e->help);
    if (e->source)
        json_object_set_new(o, "source", json_string(e->source));
    json_array_append_new(list, o);
}

static void print_entry(const bl_list_entry *e, int width)
{
    printf("%-*s  %s", width, e->name, e->help);
    if (e->source)
        printf("  (%s)", e->source);
    putchar('\n');
}

static int width_of(const char *kind)
{
    bl_list_entry e;
    size_t width = 8;
    for (int i = 0; kind ? bl_list_at(kind, i, &e) : bl_list_kind(i, &e); i++)
        if (strlen(e.name) > width)
            width = strlen(e.name);
    return (int)width;
}

/* kind NULL: the kinds themselves. */
static void show(cli *c, const char *kind)
{
    bl_list_entry e;
    json_t *list = json_array();
    int width = width_of(kind);
    for (int i = 0; kind ? bl_list_at(kind, i, &e) : bl_list_kind(i, &e); i++) {
        add_entry(list, &e);
        if (!c->o.json)
            print_entry(&e, width);
    }
    if (!kind) {
        e = (bl_list_entry){transforms, "what rewrites a TensorFlow graph, with parameters", NULL};
        add_entry(list, &e);
        if (!c->o.json)
            print_entry(&e, width);
    }
    cli_add(c, kind ? kind : "kinds", list);
}

/* ---- transforms of TensorFlow graphs, which have parameters --------------------------------------------------------
 */
static json_t *parameters_of(cli *c, size_t transform)
{
    json_t *list = json_array();
    bl_tf_info p;
    for (size_t i = 0; bl_tf_parameter_at(transform, i, &p); i++) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "name", p.name, "kind", p.kind, "help", p.help,
                                              "extension", p.extension));
        if (!c->o.json)
            printf("    %s: %s; %s\n", p.name, p.help, p.kind);
    }
    return list;
}

static void show_transforms(cli *c)
{
    json_t *list = json_array();
    bl_tf_info t;
    for (size_t i = 0; bl_tf_transform_at(i, &t); i++) {
        if (!c->o.json)
            printf("%s  %s\n", t.name, t.help);
        json_t *o = json_pack("{s:s, s:s, s:o}", "name", t.name, "help", t.help, "parameters", parameters_of(c, i));
        json_object_set_new(o, "extension", json_boolean(t.extension));
        json_object_set_new(o, "ops", t.ops ? json_string(t.ops) : json_null());
        json_array_append_new(list, o);
    }
    cli_add(c, transforms, list);
}

static bl_status run(cli *c)
{
    const char *names[64] = {transforms};
    size_t count = 1;
    bl_list_entry e;
    if (c->num_args == 1 && strcmp(c->args[0], transforms) == 0) {
        show_transforms(c);
        return BL_OK;
    }
    if (c->num_args == 0) {
        show(c, NULL);
        return BL_OK;
    }
    for (; count < 64 && bl_list_kind((int)count - 1, &e); count++) {
        names[count] = e.name;
        if (strcmp(e.name, c->args[0]) != 0)
            continue;
        show(c, c->args[0]);
        return BL_OK;
    }
    const char *near = bl_nearest(c->args[0], names, count);
    return cli_fail(c, BL_USAGE, "no list '%s'%s%s%s; 'bitlathe list' names all", c->args[0],
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

const cli_command cli_list = {.name = "list",
                              .synopsis = "list [ops|layers|formats|quantizers|presets|...]",
                              .help = "what there is: operators, layers, formats, quantizers, ...",
                              .text = "Lists what there is of a kind; without one, the kinds.",
                              .options = options,
                              .max_args = 1,
                              .run = run};
