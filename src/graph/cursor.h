/* cursor.h: a bounded cursor over the text of a graph or a program, and the words that both forms are made of.
 *
 * Nothing is read past size; pos may come to stand behind it.  What a word means is the parsers' to say.
 */
#ifndef BLI_GRAPH_CURSOR_H
#define BLI_GRAPH_CURSOR_H

#include "base/base.h"

typedef struct bli_cursor {
    bl_context *ctx;
    bli_arena *scratch; /* strings */
    const char *text;
    size_t size, pos;
} bli_cursor;

/* Fails: "expected an integer, found '...'", with the rest of the line, at most 20 bytes. */
BL_MUST_CHECK bl_status bli_cursor_expected(const bli_cursor *c, const char *what);
/* The byte at the cursor; -1 at the end. */
int bli_cursor_peek(const bli_cursor *c);
void bli_cursor_skip_blanks(bli_cursor *c);
/* Whether word stands here, behind blanks; the cursor passes it if so. */
bool bli_cursor_take(bli_cursor *c, const char *word);
BL_MUST_CHECK bl_status bli_cursor_need(bli_cursor *c, const char *word);
/* "text" on one line, with the escapes \", \\ and \x01; *out is in scratch. */
BL_MUST_CHECK bl_status bli_cursor_string(bli_cursor *c, const char **out);

#endif
