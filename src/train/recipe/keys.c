/* keys.c: a map read by its table. */
#include "train/recipe/keys.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words for people ---------------------------------------------------------------------------------------- */
const char *bli_hint(const char *name, const char *const *candidates, size_t count, char *buf, size_t size)
{
    const char *near = bli_nearest(name, candidates, count);
    buf[0] = 0;
    if (near)
        snprintf(buf, size, " (did you mean '%s'?)", near);
    return buf;
}

static const char *range_text(const bli_key *key, char *buf, size_t size)
{
    buf[0] = 0;
    if (key->least == 0 && key->greatest == 0)
        return buf;
    if (isinf(key->greatest))
        snprintf(buf, size, " >= %.10g", key->least);
    else if (isinf(key->least))
        snprintf(buf, size, " <= %.10g", key->greatest);
    else
        snprintf(buf, size, " %.10g .. %.10g", key->least, key->greatest);
    return buf;
}

static const char *word_list(const char *const *words, char *buf, size_t size)
{
    size_t at = (size_t)snprintf(buf, size, "one of:");
    for (size_t i = 0; words[i] && at < size; i++)
        at += (size_t)snprintf(buf + at, size - at, "%s %s", i ? "," : "", words[i]);
    return buf;
}

const char *bli_key_expects(const bli_key *key, char *buf, size_t size)
{
    static const char *const names[] = {
        [BLI_KEY_INT] = "a whole number",
        [BLI_KEY_SEED] = "a whole number 0 .. 2^64-1",
        [BLI_KEY_NUMBER] = "a number",
        [BLI_KEY_BOOL] = "true or false",
        [BLI_KEY_TEXT] = "a text",
        [BLI_KEY_WORD] = "",
        [BLI_KEY_INTS] = "whole numbers",
        [BLI_KEY_NUMBERS] = "a number or a list of numbers",
        [BLI_KEY_TEXTS] = "a name or a list of names",
        [BLI_KEY_NODE] = "see below",
        [BLI_KEY_MAP] = "a map",
    };
    char range[80];
    if (key->type == BLI_KEY_WORD) {
        word_list(key->words, buf, size);
        size_t at = strlen(buf);
        if (key->calls && at < size)
            snprintf(buf + at, size - at, ", or a quantizer with its options in ()");
        return buf;
    }
    snprintf(buf, size, "%s%s", names[key->type], range_text(key, range, sizeof range));
    return buf;
}

static bl_status fail_value(bl_context *ctx, const bli_key *key, const bli_yaml *n)
{
    static const char *const kinds[] = {"nothing", "", "a list", "a map"};
    char path[256], expects[512], value[128];
    if (n->kind == BLI_YAML_SCALAR)
        snprintf(value, sizeof value, "'%.100s'", n->text);
    else
        snprintf(value, sizeof value, "%s", kinds[n->kind]);
    return bli_yaml_fail(ctx, n, BL_BAD_VALUE, "%s: %s is not what is expected: %s",
                         bli_yaml_path(n, path, sizeof path), value, bli_key_expects(key, expects, sizeof expects));
}

/* ---- scalars ------------------------------------------------------------------------------------------------- */
static bool text_number(const char *text, double *out)
{
    char *end;
    if (!*text || strchr(text, 'x') || strchr(text, 'X'))
        return false;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

static bool in_range(const bli_key *key, double v)
{
    return (key->least == 0 && key->greatest == 0) || (v >= key->least && v <= key->greatest);
}

static bool text_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *out = v;
    return end != text && !*end && errno == 0 && text[0] != ' ';
}

static bool text_bool(const char *text, bool *out)
{
    static const char *const no[] = {"false", "False", "no", "off"}, *const yes[] = {"true", "True", "yes", "on"};
    for (size_t i = 0; i < BLI_COUNT(no); i++) {
        if (strcmp(text, no[i]) && strcmp(text, yes[i]))
            continue;
        *out = strcmp(text, yes[i]) == 0;
        return true;
    }
    return false;
}

static bool text_seed(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return end != text && !*end && errno == 0 && text[0] >= '0' && text[0] <= '9';
}

/* ---- one reader per type: text or node into its place -------------------------------------------------------- */
typedef struct target {
    bli_arena *arena;
    bl_context *ctx;
    const bli_key *key;
    void *at;
} target;

static bl_status read_int(const target *t, const bli_yaml *n)
{
    int64_t v;
    if (n->kind != BLI_YAML_SCALAR || !text_int(n->text, &v) || v < INT32_MIN || v > INT32_MAX ||
        !in_range(t->key, (double)v))
        return fail_value(t->ctx, t->key, n);
    *(int *)t->at = (int)v;
    return BL_OK;
}

static bl_status read_seed(const target *t, const bli_yaml *n)
{
    if (n->kind != BLI_YAML_SCALAR || !text_seed(n->text, t->at))
        return fail_value(t->ctx, t->key, n);
    return BL_OK;
}

static bl_status read_number(const target *t, const bli_yaml *n)
{
    if (n->kind != BLI_YAML_SCALAR || !text_number(n->text, t->at) || !in_range(t->key, *(double *)t->at))
        return fail_value(t->ctx, t->key, n);
    return BL_OK;
}

static bl_status read_bool(const target *t, const bli_yaml *n)
{
    if (n->kind != BLI_YAML_SCALAR || !text_bool(n->text, t->at))
        return fail_value(t->ctx, t->key, n);
    return BL_OK;
}

static bl_status read_text(const target *t, const bli_yaml *n)
{
    if (n->kind != BLI_YAML_SCALAR)
        return fail_value(t->ctx, t->key, n);
    *(const char **)t->at = n->text;
    return BL_OK;
}

static bl_status read_word(const target *t, const bli_yaml *n)
{
    size_t count = 0;
    for (; t->key->words[count]; count++)
        if (n->kind == BLI_YAML_SCALAR && strcmp(t->key->words[count], n->text) == 0) {
            *(const char **)t->at = t->key->words[count];
            return BL_OK;
        }
    if (n->kind != BLI_YAML_SCALAR)
        return fail_value(t->ctx, t->key, n);
    if (t->key->calls && strchr(n->text, '(')) {
        *(const char **)t->at = n->text;
        return BL_OK;
    }
    char hint[96], path[256], list[512];
    return bli_yaml_fail(t->ctx, n, BL_NOT_FOUND, "%s: unknown word '%.64s'%s; expected %s",
                         bli_yaml_path(n, path, sizeof path), n->text,
                         bli_hint(n->text, t->key->words, count, hint, sizeof hint),
                         word_list(t->key->words, list, sizeof list));
}

/* A list, or a scalar as a list of one.  NULL: neither. */
static const bli_yaml *as_list(const bli_yaml *n, int *count)
{
    *count = n->kind == BLI_YAML_LIST ? n->count : 1;
    if (n->kind == BLI_YAML_LIST)
        return n->first;
    return n->kind == BLI_YAML_SCALAR ? n : NULL;
}

static bl_status read_ints(const target *t, const bli_yaml *n)
{
    bli_ints *out = t->at;
    int count;
    const bli_yaml *item = as_list(n, &count);
    if (!item || count > BL_MAX_RANK)
        return fail_value(t->ctx, t->key, n);
    *out = (bli_ints){.count = count};
    for (int i = 0; i < count; i++, item = item->next)
        if (item->kind != BLI_YAML_SCALAR || !text_int(item->text, &out->at[i]) ||
            !in_range(t->key, (double)out->at[i]))
            return fail_value(t->ctx, t->key, item);
    return BL_OK;
}

static bl_status read_numbers(const target *t, const bli_yaml *n)
{
    bli_numbers *out = t->at;
    int count;
    const bli_yaml *item = as_list(n, &count);
    if (!item)
        return fail_value(t->ctx, t->key, n);
    double *at = bli_arena_array(t->arena, (size_t)count, sizeof *at);
    if (!at)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++, item = item->next)
        if (item->kind != BLI_YAML_SCALAR || !text_number(item->text, &at[i]) || !in_range(t->key, at[i]))
            return fail_value(t->ctx, t->key, item);
    *out = (bli_numbers){count, at};
    return BL_OK;
}

static bl_status read_texts(const target *t, const bli_yaml *n)
{
    bli_texts *out = t->at;
    int count;
    const bli_yaml *item = as_list(n, &count);
    if (!item || count > BLI_MAX_TEXTS)
        return fail_value(t->ctx, t->key, n);
    *out = (bli_texts){.count = count};
    for (int i = 0; i < count; i++, item = item->next) {
        if (item->kind != BLI_YAML_SCALAR)
            return fail_value(t->ctx, t->key, item);
        out->at[i] = item->text;
    }
    return BL_OK;
}

static bl_status read_node(const target *t, const bli_yaml *n)
{
    *(const bli_yaml **)t->at = n;
    return BL_OK;
}

static bl_status (*const readers[])(const target *t, const bli_yaml *n) = {
    [BLI_KEY_INT] = read_int,   [BLI_KEY_SEED] = read_seed,       [BLI_KEY_NUMBER] = read_number,
    [BLI_KEY_BOOL] = read_bool, [BLI_KEY_TEXT] = read_text,       [BLI_KEY_WORD] = read_word,
    [BLI_KEY_INTS] = read_ints, [BLI_KEY_NUMBERS] = read_numbers, [BLI_KEY_TEXTS] = read_texts,
    [BLI_KEY_NODE] = read_node,
};

/* ---- maps ---------------------------------------------------------------------------------------------------- */
static const bli_key *find_key(const bli_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

static bl_status fail_unknown(bl_context *ctx, const bli_key *keys, const bli_yaml *n)
{
    enum { MOST = 64 };
    const char *names[MOST];
    size_t count = 0;
    for (; keys->name && count < MOST; keys++)
        names[count++] = keys->name;
    char hint[96], path[256];
    bli_yaml_path(n->parent, path, sizeof path);
    if (strchr(n->key, '>'))
        snprintf(hint, sizeof hint, " (a format with commas needs quotes inside of {})");
    else
        bli_hint(n->key, names, count, hint, sizeof hint);
    return bli_yaml_fail_key(ctx, n, BL_NOT_FOUND, "unknown key '%.64s' in %s%s", n->key, path, hint);
}

bl_status bli_keys_check(bl_context *ctx, const bli_key *keys, const bli_yaml *map)
{
    for (const bli_yaml *n = map->first; n; n = n->next)
        if (!find_key(keys, n->key))
            return fail_unknown(ctx, keys, n);
    return BL_OK;
}

/* The default is read by the same function as a written value. */
static bl_status read_fallback(const target *t)
{
    bli_yaml *n = bli_arena_alloc(t->arena, sizeof *n);
    if (!n)
        return BL_NO_MEMORY;
    *n = (bli_yaml){.kind = BLI_YAML_SCALAR, .origin = "default", .key = t->key->name, .text = t->key->fallback};
    return readers[t->key->type](t, n);
}

static bl_status read_key(bli_arena *arena, const bli_key *key, const bli_yaml *map, void *out);

static bl_status read_map(bli_arena *arena, const bli_key *key, const bli_yaml *n, void *out)
{
    if (!n || n->kind == BLI_YAML_NULL)
        return bli_keys_read(arena, key->keys, NULL, out);
    if (n->kind == BLI_YAML_MAP)
        return bli_keys_read(arena, key->keys, n, out);
    if (n->kind != BLI_YAML_SCALAR || !key->brief)
        return fail_value(bli_arena_context(arena), key, n);
    BLI_TRY(bli_keys_read(arena, key->keys, NULL, out));
    target t = {arena, bli_arena_context(arena), key->keys, (char *)out + key->keys->offset};
    return readers[key->keys->type](&t, n);
}

static bl_status read_key(bli_arena *arena, const bli_key *key, const bli_yaml *map, void *out)
{
    const bli_yaml *n = bli_yaml_find(map, key->name);
    if (key->type == BLI_KEY_MAP)
        return read_map(arena, key, n, out);
    target t = {arena, bli_arena_context(arena), key, (char *)out + key->offset};
    if (n && n->kind != BLI_YAML_NULL)
        return readers[key->type](&t, n);
    char path[256];
    if (key->required && map)
        return bli_yaml_fail(t.ctx, map, BL_BAD_MODEL, "%s has no key '%s' (%s)", bli_yaml_path(map, path, sizeof path),
                             key->name, key->help);
    return key->fallback ? read_fallback(&t) : BL_OK;
}

bl_status bli_keys_read(bli_arena *arena, const bli_key *keys, const bli_yaml *map, void *out)
{
    if (map)
        BLI_TRY(bli_keys_check(bli_arena_context(arena), keys, map));
    for (; keys->name; keys++)
        BLI_TRY(read_key(arena, keys, map, out));
    return BL_OK;
}

/* ---- a brief map, whole ------------------------------------------------------------------------------------------ */
static bl_status spell_out(bli_arena *arena, const bli_key *key, bli_yaml *n)
{
    if (n->kind != BLI_YAML_SCALAR || !key->brief)
        return BL_OK;
    bli_yaml *lone = bli_arena_alloc(arena, sizeof *lone), *map = bli_arena_alloc(arena, sizeof *map);
    if (!lone || !map)
        return BL_NO_MEMORY;
    *lone = *n;
    lone->parent = lone->next = NULL;
    *map = (bli_yaml){.kind = BLI_YAML_MAP, .origin = n->origin, .line = n->line, .column = n->column, .text = ""};
    map->key_line = n->key_line;
    bli_yaml_replace(n, map);
    bli_yaml_put(map, key->keys->name, lone);
    return BL_OK;
}

bl_status bli_keys_spell_out(bli_arena *arena, const bli_key *keys, bli_yaml *root, const char *path)
{
    char name[64];
    for (size_t n = strcspn(path, ".="); path[n] == '.' && n < sizeof name; n = strcspn(path, ".=")) {
        memcpy(name, path, n);
        name[n] = 0;
        const bli_key *key = find_key(keys, name);
        bli_yaml *child = bli_yaml_find(root, name);
        if (!key || key->type != BLI_KEY_MAP || !child)
            return BL_OK;
        BLI_TRY(spell_out(arena, key, child));
        root = bli_yaml_find(root, name);
        keys = key->keys;
        path += n + 1;
    }
    return BL_OK;
}
