/* text.h: what printing and parsing the text form share. */
#ifndef BLI_GRAPH_TEXT_H
#define BLI_GRAPH_TEXT_H

#include <locale.h>

#include "graph/impl.h"

/* The words for roles and attribute kinds, indexed by the enums. */
extern const char *const bli_role_words[5];
extern const char *const bli_kind_words[7];

/* Numbers are written with a point whatever the program's locale: the calling thread uses the C locale in between. */
typedef struct bli_c_locale {
    locale_t ours, before;
} bli_c_locale;
bl_status bli_c_locale_enter(bl_context *ctx, bli_c_locale *l);
void bli_c_locale_leave(bli_c_locale *l);

#endif
