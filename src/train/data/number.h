/* number.h (internal): decimal text to double. */
#ifndef BLI_TRAIN_NUMBER_H
#define BLI_TRAIN_NUMBER_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum bli_number_kind {
    BLI_NUMBER,
    BLI_NUMBER_EMPTY,
    BLI_NUMBER_TEXT,    /* not a number at all */
    BLI_NUMBER_INFINITE /* nan, inf, or too large for a double */
} bli_number_kind;

/* text[0..n-1], NUL-terminated at n: [+-] digits [. digits] [e [+-] digits], correctly rounded to double.  c_locale is
 * a locale whose decimal point is '.', whatever the program's is. */
bli_number_kind bli_number_parse(const char *text, size_t n, locale_t c_locale, double *out);

#endif
