/* list.h: what there is, by kind: operators, formats, quantizers, layers, ...  The lists are those that the library
 * itself works from.
 */
#ifndef BITLATHE_LIST_H
#define BITLATHE_LIST_H

#include "bitlathe/base.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bl_list_entry {
    const char *name;   /* as it is written in recipes and on the command line */
    const char *help;   /* one line */
    const char *source; /* where its definition comes from; NULL: none to name */
} bl_list_entry;

/* Kinds: "ops", "formats", ...; name and help of kind i, false past the last. */
bool bl_list_kind(int i, bl_list_entry *out);
/* Entry i of a kind; false past the last, or for an unknown kind. */
bool bl_list_at(const char *kind, int i, bl_list_entry *out);

/* The manual of recipes, in Markdown, from the tables that recipes are checked by.  Free with bl_text_free. */
BL_MUST_CHECK bl_status bl_recipe_manual(bl_context *ctx, char **text);

/* The candidate nearest to a misspelt name, or NULL when none is near. */
const char *bl_nearest(const char *name, const char *const *candidates, size_t count);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
