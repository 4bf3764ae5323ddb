/* quantize_parts.h: nodes of a construction, from a table. */
#ifndef BLI_TF_QUANTIZE_PARTS_H
#define BLI_TF_QUANTIZE_PARTS_H

#include "tf/quantize_op.h"

/* A node to make.  Its name is below the site's; its inputs, with spaces between, are such names, or `$`, the codes of
 * the site's eight-bit input, and `$:1` and `$:2`, their range, or `#k`, the node's own input k as it is. */
typedef struct bli_tg_part {
    const char *name, *op, *inputs;
    const char *types; /* "T=float DstT=qint32" */
    double value;      /* of a Const, a scalar of its attribute dtype */
} bli_tg_part;

typedef struct bli_tg_site {
    const bli_tg_quantizer *q;
    const bli_tf_node *n; /* what is made of bytes */
    bli_tf_graph *out;
    const char *base;
    const char *codes[3]; /* and their range */
} bli_tg_site;

/* "<node>/eightbit", or "<node>/eightbit/<below>". */
BL_MUST_CHECK bl_status bli_tg_site_make(const bli_tg_quantizer *q, const bli_tf_node *n, const char *below,
                                         bli_tf_graph *out, bli_tg_site *s);
/* Whose codes `$` stands for. */
void bli_tg_site_read(bli_tg_site *s, const bli_tg_bytes *in, size_t input);
/* *last: the last node of the table; NULL: not asked. */
BL_MUST_CHECK bl_status bli_tg_add_parts(const bli_tg_site *s, const bli_tg_part *parts, size_t count,
                                         bli_tf_node **last);
BL_MUST_CHECK const char *bli_tg_part_name(const bli_tg_site *s, const char *part);
BL_MUST_CHECK bl_status bli_tg_part_names(const bli_tg_site *s, const char *const parts[3], const char *names[3]);
#define BLI_TG_ADD_PARTS(s, parts, last) bli_tg_add_parts(s, parts, BLI_COUNT(parts), last)
/* What n has of that attribute, or else the operator's default. */
BL_MUST_CHECK bl_status bli_tg_copy_or_default(bli_tf_store *s, bli_tf_node *to, const char *attr,
                                               const bli_tf_node *from);
/* Parts below the site's `below`: an input's codes less zero's, as floats, "centred", and their range's "span". */
BL_MUST_CHECK bl_status bli_tg_add_centred(const bli_tg_site *s, const char *below, const bli_tg_bytes *in,
                                           size_t input);
/* What the site's node waits for, to waits for too. */
BL_MUST_CHECK bl_status bli_tg_copy_controls(const bli_tg_site *s, bli_tf_node *to);
/* Codes and range, by their names as parts: as the node's floats, by 32 bits that become bytes first, or as they are.
 */
BL_MUST_CHECK bl_status bli_tg_end_wide(const bli_tg_site *s, const char *const parts[3]);
BL_MUST_CHECK bl_status bli_tg_end_bytes(const bli_tg_site *s, const char *const parts[3]);

#endif
