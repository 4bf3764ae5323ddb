/* formats.c: formats that are for training only, refused by node, reason and what to change.
 *
 * A float of more than 8 bits spans more powers of two than an integer has bits: that some weights happen to fit is of
 * no use, since the next training would not.  Blocks (mx) have a scale that depends on the values: of weights it is
 * known, of activations it is not.  Looked for in the graph as it was given, because evaluation form makes constants
 * of weights.
 */
#include <string.h>

#include "lower/impl.h"

enum { MOST_FLOAT_BITS = 8 };

static bool of_batch(const bl_graph *g, const bl_node *n)
{
    const bl_shape *x = &bl_graph_value(g, n->inputs[0])->shape;
    return x->rank > 0 && x->dim[0] < 0;
}

static bl_status refuse(bl_context *ctx, const bl_graph *g, const bl_node *n)
{
    bl_format f;
    const char *text = bl_node_string(n, "format", NULL);
    if (strcmp(n->type, "Quantize") != 0 || !text)
        return BL_OK;
    BLI_TRY(bl_format_parse(ctx, text, &f));
    if (f.kind == BL_FORMAT_FLOAT32 || (f.kind == BL_FORMAT_FLOAT && f.bits > MOST_FLOAT_BITS))
        return bli_fail(ctx, BL_UNSUPPORTED,
                        "%s is for training only: its values are no integers of one step; give '%s' fixed<..>, int<..> "
                        "or a float of at most %d bits",
                        text, bl_graph_value(g, n->inputs[0])->name, (int)MOST_FLOAT_BITS);
    if (f.kind == BL_FORMAT_MX && of_batch(g, n))
        return bli_fail(
            ctx, BL_UNSUPPORTED,
            "%s has a scale for each block of an activation, which is not known before it is computed; give "
            "'%s' another format (weights may keep it)",
            text, bl_graph_value(g, n->inputs[0])->name);
    return BL_OK;
}

bl_status bli_lower_formats(bl_context *ctx, const bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        BLI_TRY(bli_within(ctx, refuse(ctx, g, n), "node '%s' (%s)", n->name, n->type));
    }
    return BL_OK;
}
