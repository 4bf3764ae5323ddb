/* pbtext.h (internal): protobuf's text format (https://protobuf.dev/reference/protobuf/textformat-spec/), both ways, by
 * the fields of the message's descriptor.
 *
 * Written as TextFormat of C++ writes it: two spaces a level, one value a line, maps by key, strings in C escapes with
 * three octal digits, the fewest of 6 or 9 (15 or 17) digits that give the same number back.  Fields that are not known
 * go by their number, bytes of any kind as a string; such fields are read back too.
 *
 * Read: all of the format, but for Any and extensions ("[type.url]"), which no graph has.  A field that may be there
 * once is refused the second time, unknown names are refused with the nearest known one; only a SavedModel, of which
 * nothing but the graphs is of interest, may hold fields of any name.
 */
#ifndef BLI_MODEL_PBTEXT_H
#define BLI_MODEL_PBTEXT_H

#include "model/message.h"

/* Prints m at a depth of so many levels.  The caller is in the C locale. */
void bli_pbtext_print(const bli_message *m, int level, bli_wire_sink *sink);
/* The same for a field's message: "node {", its content, "}". */
void bli_pbtext_print_field(const bli_field *f, const bli_message *m, int level, bli_wire_sink *sink);

/* Adds what the text says to m, which is fresh.  Messages name line and column.  The caller is in the C locale. */
BL_MUST_CHECK bl_status bli_pbtext_parse(bli_tf_store *s, const char *text, size_t size, const bli_wire_limits *limits,
                                         bli_message *m);
/* The first name in the text: which message it may be.  "" when there is none. */
void bli_pbtext_first_name(const char *text, size_t size, char *name, size_t room);

#endif
