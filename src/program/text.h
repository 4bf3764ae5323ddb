/* text.h: the words that printing and parsing share.  print.c shows the form. */
#ifndef BLI_PROGRAM_TEXT_H
#define BLI_PROGRAM_TEXT_H

#include "program/prim.h"

extern const char *const bli_rounding_words[BL_ROUNDING_COUNT];
extern const char *const bli_overflow_words[BL_OVERFLOW_COUNT];

#endif
