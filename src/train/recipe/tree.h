/* tree.h: a YAML text as a small bounded tree in which every node knows where it was written.
 *
 * Only what a recipe needs: maps, lists and scalars of one document.  Anchors, aliases, tags, merge keys and second
 * documents are refused; depth, nodes and size have ceilings.  A scalar keeps its text: what it means (number, word,
 * format) is for the key table (keys.h) to say.
 */
#ifndef BLI_RECIPE_TREE_H
#define BLI_RECIPE_TREE_H

#include "base/base.h"

enum {
    BLI_YAML_MAX_SIZE = 1 << 20, /* bytes of text: the largest recipe anybody writes by hand, a hundred times over */
    BLI_YAML_MAX_NODES = 50000,
    BLI_YAML_MAX_DEPTH = 32
};

typedef enum bli_yaml_kind { BLI_YAML_NULL, BLI_YAML_SCALAR, BLI_YAML_LIST, BLI_YAML_MAP } bli_yaml_kind;

/* A node and, through first and next, what is in it.  Everything lives in one arena. */
typedef struct bli_yaml bli_yaml;
struct bli_yaml {
    bli_yaml_kind kind;
    const char *origin; /* file name, or the text of an override */
    int line, column;   /* from 1; 0: the origin is not a file */
    const char *key;    /* its key when the parent is a map, else NULL */
    int key_line;       /* where that key stands */
    const char *text;   /* scalars; "" otherwise */
    bool quoted;        /* scalars: written in quotes or as a block, so never null */
    int count;          /* children */
    bli_yaml *parent, *first, *last, *next;
};

/* Parses text; origin names it in messages ("recipe.yaml").  An empty text is an empty map.  Fails with
 * "recipe.yaml:3: ..." */
BL_MUST_CHECK bl_status bli_yaml_parse(bli_arena *arena, const char *origin, const char *text, size_t size,
                                       bli_yaml **out);

bli_yaml *bli_yaml_find(const bli_yaml *map, const char *key); /* NULL if absent or not a map */
bli_yaml *bli_yaml_at(const bli_yaml *list, int index);        /* NULL if out of range */
/* Child goes last (in a map under key, taking the place of one that is there). */
void bli_yaml_put(bli_yaml *parent, const char *key, bli_yaml *child);
/* child takes old's place and key. */
void bli_yaml_replace(bli_yaml *old, bli_yaml *child);
/* Same kinds, keys in the same order, same texts; places do not count. */
bool bli_yaml_equal(const bli_yaml *a, const bli_yaml *b);

/* "path.key=value": value is YAML, maps on the way are made, list elements are given by number and must exist. */
BL_MUST_CHECK bl_status bli_yaml_override(bli_arena *arena, bli_yaml *root, const char *assignment);

/* Block style, two spaces a level, every text that could be misread in double quotes; parsing it gives an equal tree.
 */
BL_MUST_CHECK bl_status bli_yaml_print(bli_buf *out, const bli_yaml *node);

/* "train.optimizer.lr" or "network.2.Dense"; "the recipe" for the root. */
const char *bli_yaml_path(const bli_yaml *node, char *buf, size_t size);
/* Fails with "file.yaml:12: " and the words; the line is the node's, or its key's. */
bl_status bli_yaml_fail(bl_context *ctx, const bli_yaml *node, bl_status status, const char *fmt, ...) BL_PRINTF(4, 5);
bl_status bli_yaml_fail_key(bl_context *ctx, const bli_yaml *node, bl_status status, const char *fmt, ...)
    BL_PRINTF(4, 5);
/* Puts "file.yaml:12: " in front of a message from below unless status is BL_OK. */
bl_status bli_yaml_within(bl_context *ctx, const bli_yaml *node, bl_status status);

#endif
