/* family.h: what each family of formats answers, one const table entry per kind (formats.c lists them).
 *
 * A family works in units: a real number divided by scale * 2^unit_exp, so that integer-coded families see codes.
 */
#ifndef BLI_FAMILY_H
#define BLI_FAMILY_H

#include "num/num.h"

/* The arguments between < and >, cut at commas, blanks removed. */
enum { BLI_FORMAT_ARGS = 8 };
typedef struct bli_format_args {
    bl_context *ctx;
    const char *text; /* the whole, for messages */
    size_t count;
    char arg[BLI_FORMAT_ARGS][24];
} bli_format_args;

/* A value on its way through a quantizer: in units, with what it needs besides. */
typedef struct bli_draw {
    int64_t zero;
    uint32_t random;
    bool *clipped; /* never NULL */
} bli_draw;

typedef struct bli_family {
    bl_format_family listing;
    bl_status (*parse)(const bli_format_args *a, bl_format *f); /* f: what the name alone means */
    int (*print)(const bl_format *f, char *buf, size_t size);
    bl_status (*check)(bl_context *ctx, const bl_format *f);
    void (*bounds)(const bl_format *f, double *least, double *greatest); /* scale 1, not in units */
    int (*unit_exp)(const bl_format *f);
    bool has_step; /* values are all the integers (times the unit) between the bounds */
    bool has_zero; /* takes a zero point */
    /* Rounds v, then overflows; the result is in units, cut toward zero if it is longer than a double. */
    double (*quantize)(const bl_format *f, double v, const bli_draw *d);
    /* Between a value in units and its code; false: no such value, no such code. */
    bool (*encode)(const bl_format *f, double v, int64_t zero, int64_t *code);
    bool (*decode)(const bl_format *f, int64_t code, int64_t zero, double *v);
    void (*facts)(const bl_format *f, int64_t zero, bli_grid_facts *facts); /* for scale 1 */
} bli_family;

const bli_family *bli_family_of(const bl_format *f);
extern const bli_family bli_family_float32, bli_family_fixed, bli_family_int, bli_family_affine, bli_family_binary,
    bli_family_ternary, bli_family_po2, bli_family_float, bli_family_mx;

/* ---- text.c: words and numbers of arguments, with messages -------------------------------------------------- */
BL_MUST_CHECK bl_status bli_arg_int(const bli_format_args *a, size_t i, const char *what, int least, int greatest,
                                    int *out);
/* Arguments from..from+1 as Q and O where present, in that order. */
BL_MUST_CHECK bl_status bli_arg_modes(const bli_format_args *a, size_t from, bl_format *f);
BL_MUST_CHECK bl_status bli_arg_count(const bli_format_args *a, size_t least, size_t most, const char *form);
bool bli_arg_is(const bli_format_args *a, size_t i, const char *word);
/* exponent and mantissa of "e4m3"; false when it is not of that shape. */
bool bli_float_shape(const char *s, bl_format *f);
BL_MUST_CHECK bl_status bli_arg_fail(const bli_format_args *a, size_t i, const char *expected);
/* "name<numbers" + ",Q,O" unless both are the defaults + ">". */
int bli_print_modes(const bl_format *f, bl_rounding q, bl_overflow o, char *buf, size_t size);
const char *bli_rounding_name(bl_rounding q);
const char *bli_overflow_name(bl_overflow o);

/* ---- round.c: the definitions of rounding and overflow on codes --------------------------------------------- */
__extension__ typedef __int128 bli_wide;
/* v finite, rounded; what is larger than 2^120 comes back as 2^120, which wraps and saturates alike. */
bli_wide bli_round_reference(double v, bl_rounding q, uint32_t random);
bli_wide bli_code_least(const bl_format *f);
bli_wide bli_code_greatest(const bl_format *f);
bli_wide bli_overflow_reference(const bl_format *f, bli_wide code);
/* Integer-coded families share these. */
double bli_codes_quantize(const bl_format *f, double v, const bli_draw *d);
bool bli_codes_encode(const bl_format *f, double v, int64_t zero, int64_t *code);
bool bli_codes_decode(const bl_format *f, int64_t code, int64_t zero, double *v);
void bli_codes_facts(const bl_format *f, int64_t zero, bli_grid_facts *facts);
double bli_wide_to_double(bli_wide v);   /* cut toward zero */
float bli_double_to_float_cut(double v); /* cut toward zero; infinities stay */

/* ---- minifloat.c -------------------------------------------------------------------------------------------- */
typedef struct bli_float_layout {
    int bias, least_exp, greatest_exp; /* exponents of the least and greatest normal numbers */
    double greatest;
    bool has_nan, has_inf;
} bli_float_layout;
bli_float_layout bli_float_layout_of(const bl_format *f);

#endif
