/* tree_edit.c: overrides into a tree, and a tree back into text. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "train/recipe/tree.h"

/* ---- --set path=value ---------------------------------------------------------------------------------------- */
typedef struct setting {
    bli_arena *arena;
    bl_context *ctx;
    const char *text; /* the whole assignment: what messages show */
    char *path;
    bli_yaml *value;
} setting;

static bl_status parse_index(const setting *s, const bli_yaml *list, const char *step, int *out)
{
    char *end;
    long index = strtol(step, &end, 10);
    if (end == step || *end || index < 0 || index >= list->count)
        return bli_fail(s->ctx, BL_BAD_VALUE, "--set %s: '%s' is not an element of the list (expected 0 .. %d)",
                        s->text, step, list->count - 1);
    *out = (int)index;
    return BL_OK;
}

/* The child of node that step names; a map's may be missing (*out NULL). */
static bl_status descend(const setting *s, bli_yaml *node, const char *step, bli_yaml **out)
{
    if (node->kind == BLI_YAML_LIST) {
        int index = 0;
        BLI_TRY(parse_index(s, node, step, &index));
        *out = bli_yaml_at(node, index);
        return BL_OK;
    }
    if (node->kind == BLI_YAML_SCALAR) {
        char path[256];
        return bli_fail(s->ctx, BL_BAD_VALUE, "--set %s: %s is '%s', which has no '%s' in it", s->text,
                        bli_yaml_path(node, path, sizeof path), node->text, step);
    }
    node->kind = BLI_YAML_MAP; /* an empty value becomes a map */
    *out = bli_yaml_find(node, step);
    return BL_OK;
}

static bl_status make_map(const setting *s, bli_yaml *parent, const char *key, bli_yaml **out)
{
    bli_yaml *map = bli_arena_alloc(s->arena, sizeof *map);
    if (!map)
        return BL_NO_MEMORY;
    *map = (bli_yaml){.kind = BLI_YAML_MAP, .origin = s->value->origin, .text = ""};
    bli_yaml_put(parent, key, map);
    *out = map;
    return BL_OK;
}

static bl_status assign(setting *s, bli_yaml *root)
{
    bli_yaml *node = root;
    int depth = 0;
    for (char *step = s->path;;) {
        if (++depth > BLI_YAML_MAX_DEPTH)
            return bli_fail(s->ctx, BL_LIMIT, "--set %s: more than %d names in the path", s->text, BLI_YAML_MAX_DEPTH);
        char *dot = strchr(step, '.');
        if (dot)
            *dot = 0;
        if (!*step)
            return bli_fail(s->ctx, BL_USAGE, "--set %s: an empty name in the path", s->text);
        bli_yaml *child = NULL;
        BLI_TRY(descend(s, node, step, &child));
        if (!dot) {
            if (child)
                bli_yaml_replace(child, s->value);
            else
                bli_yaml_put(node, step, s->value);
            return BL_OK;
        }
        if (!child)
            BLI_TRY(make_map(s, node, step, &child));
        node = child;
        step = dot + 1;
    }
}

/* The value's places mean nothing in a file: line 0 everywhere. */
static void forget_lines(bli_yaml *node)
{
    node->line = node->column = node->key_line = 0;
    for (bli_yaml *n = node->first; n; n = n->next)
        forget_lines(n);
}

bl_status bli_yaml_override(bli_arena *arena, bli_yaml *root, const char *assignment)
{
    setting s = {.arena = arena, .ctx = bli_arena_context(arena), .text = assignment};
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return bli_fail(s.ctx, BL_USAGE, "--set %s: expected key=value, such as train.epochs=3", assignment);
    s.path = bli_arena_strdup(arena, assignment);
    if (!s.path)
        return BL_NO_MEMORY;
    s.path[equals - assignment] = 0;
    bli_buf origin;
    bli_buf_init(&origin, s.ctx, BLI_YAML_MAX_SIZE);
    bl_status status = bli_buf_printf(&origin, "--set %s", assignment);
    if (status == BL_OK)
        status = bli_yaml_parse(arena, origin.data, equals + 1, strlen(equals + 1), &s.value);
    bli_buf_free(&origin);
    BLI_TRY(status);
    if (s.value->kind == BLI_YAML_MAP && s.value->count == 0)
        s.value->kind = BLI_YAML_NULL;
    forget_lines(s.value);
    return assign(&s, root);
}

/* ---- printing ------------------------------------------------------------------------------------------------ */
/* Plain only when nobody could read it as anything else. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"~", "null", "Null", "NULL"};
    for (size_t i = 0; i < BLI_COUNT(words); i++)
        if (strcmp(text, words[i]) == 0)
            return false;
    if (!isalnum((unsigned char)text[0]) && text[0] != '-' && text[0] != '.' && text[0] != '_')
        return false;
    if (text[0] == '-' && !isdigit((unsigned char)text[1]) && text[1] != '.')
        return false;
    if (strcmp(text, "---") == 0 || strncmp(text, "...", 3) == 0)
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-+./", *c))
            return false;
    return true;
}

static bl_status print_text(bli_buf *out, const char *text)
{
    if (is_plain(text))
        return bli_buf_printf(out, "%s", text);
    BLI_TRY(bli_buf_append(out, "\"", 1));
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            BLI_TRY(bli_buf_printf(out, "\\%c", *c));
        else if (*c < 0x20 || *c == 0x7f)
            BLI_TRY(bli_buf_printf(out, "\\x%02X", *c));
        else
            BLI_TRY(bli_buf_append(out, c, 1));
    }
    return bli_buf_append(out, "\"", 1);
}

static bl_status print_children(bli_buf *out, const bli_yaml *node, int indent);

/* What follows "key:" or "-": on the same line, or as a block below. */
static bl_status print_value(bli_buf *out, const bli_yaml *n, int indent)
{
    if (n->kind == BLI_YAML_SCALAR) {
        BLI_TRY(bli_buf_append(out, " ", 1));
        BLI_TRY(print_text(out, n->text));
        return bli_buf_append(out, "\n", 1);
    }
    if (n->kind == BLI_YAML_NULL)
        return bli_buf_append(out, "\n", 1);
    if (n->count == 0)
        return bli_buf_printf(out, " %s\n", n->kind == BLI_YAML_MAP ? "{}" : "[]");
    BLI_TRY(bli_buf_append(out, "\n", 1));
    return print_children(out, n, indent + 2);
}

static bl_status print_children(bli_buf *out, const bli_yaml *node, int indent)
{
    for (const bli_yaml *n = node->first; n; n = n->next) {
        BLI_TRY(bli_buf_printf(out, "%*s", indent, ""));
        if (n->key) {
            BLI_TRY(print_text(out, n->key));
            BLI_TRY(bli_buf_append(out, ":", 1));
        } else {
            BLI_TRY(bli_buf_append(out, "-", 1));
        }
        BLI_TRY(print_value(out, n, indent));
    }
    return BL_OK;
}

bl_status bli_yaml_print(bli_buf *out, const bli_yaml *node)
{
    if (node->kind == BLI_YAML_SCALAR || node->kind == BLI_YAML_NULL || node->count == 0)
        return print_value(out, node, 0);
    return print_children(out, node, 0);
}
