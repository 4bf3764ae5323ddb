/* Lowering as one call, for fail_each_allocation.  Apart from programs.h: the cross build has programs, no lowering. */
#ifndef TESTS_LOWER_TEXT_H
#define TESTS_LOWER_TEXT_H

#include "bitlathe/bitlathe.h"

/* Parses the text of a graph, lowers the graph, and destroys both.  text: a string. */
bl_status lower_text(bl_context *ctx, void *text);

#endif
