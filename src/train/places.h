/* places.h: the formats inside the training step, resolved from bl_place_rule texts.
 *
 * A rule for layer L applies to nodes and parameters named L, "L/..." or "L....".  "scale: dynamic" gives the format a
 * power-of-two scale per tensor and step, the least 2^e with max|x| <= greatest * 2^e.
 */
#ifndef BLI_PLACES_H
#define BLI_PLACES_H

#include "base/cpu.h"
#include "base/random.h"
#include "bitlathe/train.h"

typedef enum bli_place_kind {
    BLI_PLACE_ERROR,
    BLI_PLACE_GRADIENT,
    BLI_PLACE_MOMENT1,
    BLI_PLACE_MOMENT2,
    BLI_PLACE_UPDATE,
    BLI_PLACE_MASTER,
    BLI_PLACE_COUNT
} bli_place_kind;

typedef struct bli_place_format {
    bool set;
    bool dynamic;
    bl_format format;
    char key[64]; /* names the random stream: "error:fc1" (long names end in their hash) */
} bli_place_format;

/* Checks every rule: a known place, a format that parses. */
BL_MUST_CHECK bl_status bli_places_check(bl_context *ctx, const bl_train_options *o);
/* The format for a node or parameter name at a place; not set where no rule applies or it says float32. */
BL_MUST_CHECK bl_status bli_place_find(bl_context *ctx, const bl_train_options *o, bli_place_kind k, const char *name,
                                       bli_place_format *out);
/* The scale for greatest magnitude `most`. */
double bli_place_scale(const bli_place_format *f, double most);
/* Brings rows * row values (carrier type) into the format in place; element i draws random number first + i, blocks of
 * an mx format begin anew in each row. */
void bli_place_apply(const bli_place_format *f, double scale, bli_isa isa, uint64_t seed, uint64_t step, uint64_t first,
                     bl_dtype type, void *x, size_t rows, size_t row);
/* Largest finite magnitude. */
double bli_greatest(bl_dtype type, const void *x, size_t n);

#endif
