/* keys.h: what may stand in a recipe, as tables; and what reads a map by its table.
 *
 * One line says a key's name, type, range, default and help, and where its value goes.  Checking, reading, the default,
 * the manual (docs/recipe.md) and the nearest name of a misspelt key all come from that line.
 */
#ifndef BLI_RECIPE_KEYS_H
#define BLI_RECIPE_KEYS_H

#include "bitlathe/tensor.h"
#include "train/recipe/tree.h"

typedef enum bli_key_type {
    BLI_KEY_INT,     /* int */
    BLI_KEY_SEED,    /* uint64_t */
    BLI_KEY_NUMBER,  /* double */
    BLI_KEY_BOOL,    /* bool */
    BLI_KEY_TEXT,    /* const char *; NULL when absent */
    BLI_KEY_WORD,    /* const char *, one of words */
    BLI_KEY_INTS,    /* bli_ints: one number or a list */
    BLI_KEY_NUMBERS, /* bli_numbers: one number or a list */
    BLI_KEY_TEXTS,   /* bli_texts: one text or a list */
    BLI_KEY_NODE,    /* const bli_yaml *: somebody else reads it */
    BLI_KEY_MAP      /* its own keys, whose offsets count from the same place */
} bli_key_type;

typedef struct bli_ints {
    int count; /* 0: absent */
    int64_t at[BL_MAX_RANK];
} bli_ints;
typedef struct bli_numbers {
    int count;
    const double *at;
} bli_numbers;
enum { BLI_MAX_TEXTS = 8 };
typedef struct bli_texts {
    int count;
    const char *at[BLI_MAX_TEXTS];
} bli_texts;

typedef struct bli_key bli_key;
struct bli_key {
    const char *name; /* NULL ends a table */
    bli_key_type type;
    const char *fallback;   /* the default, as it would be written; NULL: none */
    double least, greatest; /* of every number; both 0: any finite one */
    const char *help;
    size_t offset;
    bool required;
    const char *const *words; /* WORD: ends with NULL */
    bool calls;               /* WORD: "name(...)" is for somebody else to read */
    const bli_key *keys;      /* MAP */
    bool brief;               /* MAP: a lone scalar stands for its first key */
};

/* Reads map (NULL: everything at its default) by its table into out, which is zeroed where nothing is said. */
BL_MUST_CHECK bl_status bli_keys_read(bli_arena *arena, const bli_key *keys, const bli_yaml *map, void *out);
/* Unknown key: fails with its line and the nearest key of the table. */
BL_MUST_CHECK bl_status bli_keys_check(bl_context *ctx, const bli_key *keys, const bli_yaml *map);
/* "loss: mse" becomes "loss: {name: mse}" where path, such as "train.loss.teacher" (up to '=' or its end), leads into
 * it.  Root is a map read by keys. */
BL_MUST_CHECK bl_status bli_keys_spell_out(bli_arena *arena, const bli_key *keys, bli_yaml *root, const char *path);
/* "(did you mean 'epochs'?)" with a blank in front, or "". */
const char *bli_hint(const char *name, const char *const *candidates, size_t count, char *buf, size_t size);

/* "whole number 1 .. 1000", "one of: valid, same", ...: for messages and the manual. */
const char *bli_key_expects(const bli_key *key, char *buf, size_t size);

#endif
