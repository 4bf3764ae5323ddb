/* csv_classes.c: from the texts of a target column to classes.
 *
 * While a file is read, each different text gets a number in the order of appearance (an open-addressing table keyed by
 * FNV-1a); only at the end is it known whether the texts are whole numbers, and which name sorts where.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "train/data/csv.h"
#include "train/data/number.h"

enum { FIRST_SLOTS = 64, MAX_CLASSES = BLI_DATA_MAX_CLASSES };

typedef struct class_text {
    const char *text;
    double value;
    bool whole; /* a whole number */
    uint32_t id, rank;
} class_text;

struct bli_csv_classes {
    bl_context *ctx;
    bli_arena *arena;
    bool fixed;
    class_text *texts;
    uint32_t count, capacity;
    uint32_t *slots; /* id + 1, or 0; a power of two of them, at least twice capacity */
    size_t num_slots;
    const char **names;
};

/* ---- table --------------------------------------------------------------------------------------------------- */
static size_t find_slot(const bli_csv_classes *k, const char *text)
{
    size_t at = (size_t)bli_hash_str(text) & (k->num_slots - 1);
    while (k->slots[at] && strcmp(k->texts[k->slots[at] - 1].text, text) != 0)
        at = (at + 1) & (k->num_slots - 1);
    return at;
}

/* The arena keeps the smaller tables too: together no larger than the last. */
static bl_status make_room(bli_csv_classes *k)
{
    if (k->count < k->capacity)
        return BL_OK;
    uint32_t capacity = k->capacity ? 2 * k->capacity : FIRST_SLOTS;
    class_text *texts = bli_arena_array(k->arena, capacity, sizeof *texts);
    uint32_t *slots = texts ? bli_arena_array(k->arena, 2 * (size_t)capacity, sizeof *slots) : NULL;
    if (!slots)
        return BL_NO_MEMORY;
    for (uint32_t i = 0; i < k->count; i++)
        texts[i] = k->texts[i];
    k->texts = texts;
    k->slots = slots;
    k->capacity = capacity;
    k->num_slots = 2 * (size_t)capacity;
    for (uint32_t i = 0; i < k->count; i++)
        k->slots[find_slot(k, texts[i].text)] = i + 1;
    return BL_OK;
}

static bl_status insert(bli_csv_classes *k, const char *text, uint32_t *id)
{
    BLI_TRY(make_room(k));
    class_text *t = &k->texts[k->count];
    *t = (class_text){.text = bli_arena_strdup(k->arena, text), .id = k->count};
    if (!t->text)
        return BL_NO_MEMORY;
    *id = k->count++;
    k->slots[find_slot(k, text)] = *id + 1;
    return BL_OK;
}

static bl_status insert_fixed(bli_csv_classes *k, const char *const *names, int count)
{
    k->fixed = true;
    for (int i = 0; i < count; i++) {
        uint32_t id;
        BLI_TRY(make_room(k));
        if (k->slots[find_slot(k, names[i])])
            return bli_fail(k->ctx, BL_BAD_VALUE, "class name '%s' is given twice", names[i]);
        BLI_TRY(insert(k, names[i], &id));
    }
    return BL_OK;
}

bl_status bli_csv_classes_create(bl_context *ctx, const char *const *names, int count, bli_csv_classes **out)
{
    *out = NULL;
    bli_arena *arena = NULL;
    BLI_TRY(bli_arena_create(ctx, &arena));
    bli_csv_classes *k = bli_arena_alloc(arena, sizeof *k);
    bl_status s = k ? BL_OK : BL_NO_MEMORY;
    if (k) {
        *k = (bli_csv_classes){.ctx = ctx, .arena = arena};
        s = names ? insert_fixed(k, names, count) : make_room(k);
    }
    if (s != BL_OK) {
        bli_arena_destroy(arena);
        return s;
    }
    *out = k;
    return BL_OK;
}

void bli_csv_classes_destroy(bli_csv_classes *k)
{
    if (k)
        bli_arena_destroy(k->arena);
}

/* ---- adding -------------------------------------------------------------------------------------------------- */
static bool whole_number(const bli_csv_cursor *c, double *value)
{
    return bli_number_parse(c->text, c->length, c->format->c_locale, value) == BLI_NUMBER && *value == floor(*value) &&
           fabs(*value) < 0x1p53;
}

/* "07" and "7.0" are the class "7" of a file that had it so. */
static uint32_t find_fixed(const bli_csv_classes *k, const bli_csv_cursor *c)
{
    uint32_t found = k->slots[find_slot(k, c->text)];
    double value;
    if (found || !whole_number(c, &value))
        return found;
    char canonical[32];
    snprintf(canonical, sizeof canonical, "%.0f", value);
    return k->slots[find_slot(k, canonical)];
}

static bl_status not_a_class(const bli_csv_classes *k, const bli_csv_cursor *c)
{
    const char **names = bli_arena_array(k->arena, k->count, sizeof *names);
    if (!names)
        return BL_NO_MEMORY;
    for (uint32_t i = 0; i < k->count; i++)
        names[i] = k->texts[i].text;
    const char *nearest = bli_nearest(c->text, names, k->count);
    return bli_csv_at_cell(c, bli_fail(k->ctx, BL_BAD_FILE, "class '%.60s' is out of range; expected one of %u%s%s%s",
                                       c->text, k->count, nearest ? ", perhaps '" : "", nearest ? nearest : "",
                                       nearest ? "'" : ""));
}

bl_status bli_csv_classes_add(bli_csv_classes *k, const bli_csv_cursor *c, uint32_t *id)
{
    if (c->length == 0 || strcasecmp(c->text, "nan") == 0)
        return bli_csv_at_cell(c, bli_fail(k->ctx, BL_BAD_FILE, "the class is %s; every row must have one",
                                           c->length ? c->text : "empty"));
    uint32_t found = k->fixed ? find_fixed(k, c) : k->slots[find_slot(k, c->text)];
    if (found) {
        *id = found - 1;
        return BL_OK;
    }
    if (k->fixed)
        return not_a_class(k, c);
    if (k->count == MAX_CLASSES)
        return bli_csv_at_cell(c, bli_fail(k->ctx, BL_LIMIT,
                                           "more than %d different classes (for real targets say regression)",
                                           MAX_CLASSES));
    BLI_TRY(insert(k, c->text, id));
    class_text *t = &k->texts[*id];
    t->whole = whole_number(c, &t->value);
    bool number = bli_number_parse(c->text, c->length, c->format->c_locale, &t->value) == BLI_NUMBER;
    if (number && !t->whole)
        return bli_csv_at_cell(c, bli_fail(k->ctx, BL_BAD_FILE,
                                           "target '%.60s' is not a class (for real targets say regression)", c->text));
    return BL_OK;
}

/* ---- settling ------------------------------------------------------------------------------------------------ */
static int by_value(const void *a, const void *b)
{
    const class_text *p = a, *q = b;
    return (p->value > q->value) - (p->value < q->value);
}
static int by_text(const void *a, const void *b)
{
    return strcmp(((const class_text *)a)->text, ((const class_text *)b)->text);
}

/* Ranks the texts; texts of equal value ("-1", "-1.0") share one. */
static uint32_t rank(bli_csv_classes *k, bool whole, uint32_t *class_of)
{
    uint32_t ranks = 0;
    qsort(k->texts, k->count, sizeof *k->texts, whole ? by_value : by_text);
    for (uint32_t i = 0; i < k->count; i++) {
        bool same = whole && i > 0 && k->texts[i].value == k->texts[i - 1].value;
        if (!same)
            k->names[ranks++] = k->texts[i].text;
        class_of[k->texts[i].id] = ranks - 1;
    }
    return ranks;
}

static bl_status name_by_rank(bli_csv_classes *k, bool whole, uint32_t *class_of, bl_dataset_options *o)
{
    k->names = bli_arena_array(k->arena, k->count, sizeof *k->names);
    if (!k->names)
        return BL_NO_MEMORY;
    uint32_t ranks = rank(k, whole, class_of);
    if (o->classes == 0 || o->classes == (int)ranks) {
        o->classes = (int)ranks;
        o->class_names = k->names;
    }
    return BL_OK;
}

bl_status bli_csv_classes_settle(bli_csv_classes *k, const char *path, uint32_t *ids, size_t n, bl_dataset_options *o)
{
    if (k->fixed)
        return BL_OK;
    bool whole = true, natural = true;
    for (uint32_t i = 0; i < k->count; i++) {
        whole = whole && k->texts[i].whole;
        natural = natural && k->texts[i].whole && k->texts[i].value >= 0;
    }
    uint32_t *class_of = bli_arena_array(k->arena, k->count, sizeof *class_of);
    if (!class_of)
        return BL_NO_MEMORY;
    for (uint32_t i = 0; natural && i < k->count; i++) {
        if (k->texts[i].value >= MAX_CLASSES)
            return bli_fail(k->ctx, BL_BAD_FILE, "%s: label %.0f is out of range; expected 0 to %d", path,
                            k->texts[i].value, MAX_CLASSES - 1);
        class_of[i] = (uint32_t)k->texts[i].value;
    }
    if (!natural)
        BLI_TRY(name_by_rank(k, whole, class_of, o));
    for (size_t i = 0; i < n; i++)
        ids[i] = class_of[ids[i]];
    return BL_OK;
}
