/* tree.c: libyaml's events become nodes.
 *
 * The event loop is a small push-down: `top` is the map or list being filled, `key` the key that waits for its value.
 * libyaml allocates with malloc and frees all it has in yaml_parser_delete; nodes come from the recipe's arena.
 */
#include "train/recipe/tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

typedef struct loader {
    bli_arena *arena;
    bl_context *ctx;
    const char *origin;
    yaml_parser_t parser;
    yaml_event_t event;
    bli_yaml *root, *top;
    const char *key; /* NULL: the next scalar in a map is a key */
    int key_line;
    int depth, nodes;
} loader;

/* ---- where --------------------------------------------------------------------------------------------------- */
static bl_status fail_at(bl_context *ctx, const char *origin, int line, bl_status status, const char *words)
{
    if (line > 0)
        return bli_fail(ctx, status, "%s:%d: %s", origin, line, words);
    return bli_fail(ctx, status, "%s: %s", origin, words);
}

static bl_status fail_event(const loader *l, const char *words)
{
    return fail_at(l->ctx, l->origin, (int)l->event.start_mark.line + 1, BL_BAD_FILE, words);
}

bl_status bli_yaml_fail(bl_context *ctx, const bli_yaml *node, bl_status status, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return fail_at(ctx, node->origin, node->line, status, words);
}

bl_status bli_yaml_fail_key(bl_context *ctx, const bli_yaml *node, bl_status status, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return fail_at(ctx, node->origin, node->key ? node->key_line : node->line, status, words);
}

bl_status bli_yaml_within(bl_context *ctx, const bli_yaml *node, bl_status status)
{
    if (node->line > 0)
        return bli_within(ctx, status, "%s:%d", node->origin, node->line);
    return bli_within(ctx, status, "%s", node->origin);
}

static size_t path_append(const bli_yaml *node, char *buf, size_t size)
{
    if (!node->parent)
        return 0;
    size_t at = path_append(node->parent, buf, size);
    if (at > 0 && at + 1 < size)
        buf[at++] = '.';
    char number[16];
    const char *step = node->key;
    if (!step) {
        int index = 0;
        for (const bli_yaml *n = node->parent->first; n && n != node; n = n->next)
            index++;
        snprintf(number, sizeof number, "%d", index);
        step = number;
    }
    for (; *step && at + 1 < size; step++)
        buf[at++] = *step;
    buf[at] = 0;
    return at;
}

const char *bli_yaml_path(const bli_yaml *node, char *buf, size_t size)
{
    if (path_append(node, buf, size) == 0)
        snprintf(buf, size, "the recipe");
    return buf;
}

/* ---- nodes --------------------------------------------------------------------------------------------------- */
bli_yaml *bli_yaml_find(const bli_yaml *map, const char *key)
{
    if (!map || map->kind != BLI_YAML_MAP)
        return NULL;
    for (bli_yaml *n = map->first; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return n;
    return NULL;
}

bli_yaml *bli_yaml_at(const bli_yaml *list, int index)
{
    if (list->kind != BLI_YAML_LIST || index < 0)
        return NULL;
    bli_yaml *n = list->first;
    while (n && index-- > 0)
        n = n->next;
    return n;
}

static void append(bli_yaml *parent, bli_yaml *child)
{
    child->parent = parent;
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

void bli_yaml_replace(bli_yaml *old, bli_yaml *child)
{
    bli_yaml *parent = old->parent, **link = &parent->first;
    while (*link != old)
        link = &(*link)->next;
    child->parent = parent;
    child->next = old->next;
    child->key = old->key;
    *link = child;
    if (parent->last == old)
        parent->last = child;
}

void bli_yaml_put(bli_yaml *parent, const char *key, bli_yaml *child)
{
    bli_yaml *old = key ? bli_yaml_find(parent, key) : NULL;
    if (old) {
        bli_yaml_replace(old, child);
        return;
    }
    child->key = key;
    append(parent, child);
}

static bool same_key(const bli_yaml *a, const bli_yaml *b)
{
    return a->key && b->key ? strcmp(a->key, b->key) == 0 : a->key == b->key;
}

bool bli_yaml_equal(const bli_yaml *a, const bli_yaml *b)
{
    if (a->kind != b->kind || a->count != b->count || strcmp(a->text, b->text) != 0)
        return false;
    const bli_yaml *m = a->first, *n = b->first;
    for (; m && n; m = m->next, n = n->next)
        if (!same_key(m, n) || !bli_yaml_equal(m, n))
            return false;
    return true;
}

/* ---- events -> nodes ----------------------------------------------------------------------------------------- */
static bool is_null_text(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < BLI_COUNT(nulls); i++)
        if (strcmp(text, nulls[i]) == 0)
            return true;
    return false;
}

static bl_status new_node(loader *l, bli_yaml_kind kind, bli_yaml **out)
{
    *out = NULL;
    if (++l->nodes > BLI_YAML_MAX_NODES)
        return bli_fail(l->ctx, BL_LIMIT, "%s: more than %d values", l->origin, BLI_YAML_MAX_NODES);
    bli_yaml *n = bli_arena_alloc(l->arena, sizeof *n);
    if (!n)
        return BL_NO_MEMORY;
    n->kind = kind;
    n->origin = l->origin;
    n->line = (int)l->event.start_mark.line + 1;
    n->column = (int)l->event.start_mark.column + 1;
    n->text = "";
    *out = n;
    return BL_OK;
}

/* Hangs n where the parser stands: as the root, into the list, or under the waiting key. */
static bl_status attach(loader *l, bli_yaml *n)
{
    if (!l->top) {
        l->root = n;
        return BL_OK;
    }
    if (l->top->kind == BLI_YAML_MAP) {
        if (!l->key)
            return fail_event(l, "a key must be a plain word");
        n->key = l->key;
        n->key_line = l->key_line;
        l->key = NULL;
    }
    append(l->top, n);
    return BL_OK;
}

/* The text of a scalar event; a NUL inside is refused, since it would hide what follows. */
static bl_status scalar_text(loader *l, const char **out)
{
    const char *text = (const char *)l->event.data.scalar.value;
    if (strlen(text) != l->event.data.scalar.length)
        return fail_event(l, "a text contains a zero byte");
    *out = bli_arena_strdup(l->arena, text);
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status on_key(loader *l, const char *text)
{
    if (strcmp(text, "<<") == 0)
        return fail_event(l, "merge keys (<<) are not used in recipes");
    const bli_yaml *twin = bli_yaml_find(l->top, text);
    if (twin)
        return bli_fail(l->ctx, BL_BAD_FILE, "%s:%d: key '%s' is here twice (first in line %d)", l->origin,
                        (int)l->event.start_mark.line + 1, text, twin->key_line);
    l->key = text;
    l->key_line = (int)l->event.start_mark.line + 1;
    return BL_OK;
}

static bl_status on_scalar(loader *l)
{
    if (l->event.data.scalar.anchor)
        return fail_event(l, "anchors (&name) are not used in recipes");
    if (l->event.data.scalar.tag)
        return fail_event(l, "tags (!name) are not used in recipes");
    const char *text = "";
    BLI_TRY(scalar_text(l, &text));
    if (l->top && l->top->kind == BLI_YAML_MAP && !l->key)
        return on_key(l, text);
    bool quoted = l->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    bli_yaml *n = NULL;
    BLI_TRY(new_node(l, !quoted && is_null_text(text) ? BLI_YAML_NULL : BLI_YAML_SCALAR, &n));
    n->quoted = quoted;
    if (n->kind == BLI_YAML_SCALAR)
        n->text = text;
    return attach(l, n);
}

static bl_status on_start(loader *l, bli_yaml_kind kind, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return fail_event(l, "anchors (&name) are not used in recipes");
    if (tag)
        return fail_event(l, "tags (!name) are not used in recipes");
    if (++l->depth > BLI_YAML_MAX_DEPTH)
        return bli_fail(l->ctx, BL_LIMIT, "%s:%d: nested more than %d levels deep", l->origin,
                        (int)l->event.start_mark.line + 1, BLI_YAML_MAX_DEPTH);
    bli_yaml *n = NULL;
    BLI_TRY(new_node(l, kind, &n));
    BLI_TRY(attach(l, n));
    l->top = n;
    return BL_OK;
}

static bl_status on_end(loader *l)
{
    l->depth--;
    l->top = l->top->parent;
    return BL_OK;
}

static bl_status on_event(loader *l)
{
    switch (l->event.type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(l);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(l, BLI_YAML_LIST, l->event.data.sequence_start.anchor, l->event.data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_start(l, BLI_YAML_MAP, l->event.data.mapping_start.anchor, l->event.data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(l);
    case YAML_ALIAS_EVENT:
        return fail_event(l, "aliases (*name) are not used in recipes");
    case YAML_DOCUMENT_START_EVENT:
        return l->root ? fail_event(l, "a second document; a recipe is one") : BL_OK;
    default:
        return BL_OK;
    }
}

static bl_status fail_syntax(const loader *l)
{
    const yaml_parser_t *p = &l->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return bli_fail(l->ctx, BL_NO_MEMORY, "%s: out of memory", l->origin);
    bool marked = p->error != YAML_READER_ERROR;
    int line = marked ? (int)p->problem_mark.line + 1 : (int)p->mark.line + 1;
    char words[512];
    snprintf(words, sizeof words, "not YAML: %s%s%s", p->problem ? p->problem : "unreadable", p->context ? " " : "",
             p->context ? p->context : "");
    return fail_at(l->ctx, l->origin, line, BL_BAD_FILE, words);
}

static bl_status load(loader *l)
{
    for (bool done = false; !done;) {
        if (!yaml_parser_parse(&l->parser, &l->event))
            return fail_syntax(l);
        done = l->event.type == YAML_STREAM_END_EVENT;
        bl_status s = on_event(l);
        yaml_event_delete(&l->event);
        BLI_TRY(s);
    }
    if (l->root)
        return BL_OK;
    return new_node(l, BLI_YAML_MAP, &l->root);
}

bl_status bli_yaml_parse(bli_arena *arena, const char *origin, const char *text, size_t size, bli_yaml **out)
{
    *out = NULL;
    loader l = {.arena = arena, .ctx = bli_arena_context(arena)};
    if (size > BLI_YAML_MAX_SIZE)
        return bli_fail(l.ctx, BL_LIMIT, "%s: %zu bytes; a recipe has at most %d", origin, size, BLI_YAML_MAX_SIZE);
    l.origin = bli_arena_strdup(arena, origin);
    if (!l.origin)
        return BL_NO_MEMORY;
    if (!yaml_parser_initialize(&l.parser))
        return bli_fail(l.ctx, BL_NO_MEMORY, "%s: out of memory", origin);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, size);
    bl_status s = load(&l);
    yaml_parser_delete(&l.parser);
    if (s == BL_OK)
        *out = l.root;
    return s;
}
