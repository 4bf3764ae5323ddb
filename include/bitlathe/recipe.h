/* recipe.h: a recipe is one YAML file that says everything about a training: data, network, precision, step, outputs.
 * It is checked whole before anything runs; every message has file, line and, for a misspelt key, the nearest one. */
#ifndef BITLATHE_RECIPE_H
#define BITLATHE_RECIPE_H

#include "bitlathe/train.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_recipe bl_recipe;

/* overrides: "train.epochs=3" texts, applied after parsing. */
BL_MUST_CHECK bl_status bl_recipe_read(bl_context *ctx, const char *path, const char *const *overrides, int count,
                                       bl_recipe **out);
BL_MUST_CHECK bl_status bl_recipe_parse(bl_context *ctx, const char *name, const char *text, size_t size,
                                        const char *const *overrides, int count, bl_recipe **out);
void bl_recipe_free(bl_recipe *r); /* NULL is fine */

/* The recipe as YAML, with overrides and preset in it: parsing it gives the same recipe.  Free with bl_text_free. */
BL_MUST_CHECK bl_status bl_recipe_print(const bl_recipe *r, char **text);

/* Opens the recipe's data ("train" or "test" split; NULL as in bl_dataset_options). */
BL_MUST_CHECK bl_status bl_recipe_dataset(const bl_recipe *r, const char *split, bl_dataset **out);
/* Builds the network for rows of that data set, initialised from the recipe's seed, quantizers in place, normalisation
 * as its first nodes.  A teacher model, if the recipe names one, is read here too. */
BL_MUST_CHECK bl_status bl_recipe_graph(bl_recipe *r, const bl_dataset *data, bl_graph **out);
/* Training options, complete after bl_recipe_graph; strings are the recipe's own. */
const bl_train_options *bl_recipe_options(const bl_recipe *r);
const char *bl_recipe_output(const bl_recipe *r, const char *what); /* "model", "log", "checkpoint"; NULL if absent */

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
