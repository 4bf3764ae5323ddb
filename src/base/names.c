/* names.c: the nearest known word for a misspelt one, and hashes of names. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum { LONGEST = 63 }; /* longer words have no nearest */

static size_t least3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static char folded(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

/* Edits that make b of a: a letter more, less or another, and two neighbours swapped (optimal string alignment).  Three
 * rows of the table are kept.  Case does not count, '-' is '_'. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][LONGEST + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            char x = folded(a[i - 1]), y = folded(b[j - 1]);
            row[j] = least3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]);
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return rows[na % 3][nb];
}

const char *bli_nearest(const char *name, const char *const *candidates, size_t count)
{
    size_t length = strlen(name), best_distance = SIZE_MAX;
    const char *best = NULL;
    if (length > LONGEST)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t n = candidates[i] != NULL ? strlen(candidates[i]) : LONGEST + 1;
        if (n > LONGEST)
            continue;
        size_t d = distance(name, length, candidates[i], n);
        size_t longer = n > length ? n : length;
        if (d * 3 <= longer && d < best_distance) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}

bl_status bli_unknown_name(bl_context *ctx, const char *what, const char *name, const char *const *candidates,
                           size_t count)
{
    const char *near = bli_nearest(name, candidates, count);
    char all[256] = "";
    if (near)
        return bli_fail(ctx, BL_BAD_VALUE, "unknown %s '%s' (did you mean '%s'?)", what, name, near);
    size_t at = 0;
    for (size_t i = 0; i < count && at < sizeof all; i++)
        if (candidates[i] != NULL)
            at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", at == 0 ? "; expected one of: " : ", ",
                                   candidates[i]);
    return bli_fail(ctx, BL_BAD_VALUE, "unknown %s '%s'%s", what, name, at < sizeof all ? all : "");
}

uint64_t bli_hash(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

uint64_t bli_hash_str(const char *s)
{
    return bli_hash(s, strlen(s));
}
