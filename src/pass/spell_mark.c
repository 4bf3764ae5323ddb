/* spell_mark.c: which Quantize nodes read values that lie on a grid.
 *
 * QONNX's HALF_UP adds one half before it rounds down.  On a grid of step 2^e that is exact in float32 as long as the
 * clipped code, one half and the grid's step fit 24 bits together.  Ranges are inferred on channels-last graphs only,
 * so this is noted before the layout changes.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pass/spell_quant.h"
#include "run/plan.h"

/* The exponent of a power of two; false for other steps. */
static bool exponent_of(double step, int *e)
{
    double m = frexp(step, e);
    *e -= 1;
    return m == 0.5;
}

static bool near_ties_exact(const bl_node *n, const bli_range *x)
{
    bl_format f;
    int e;
    const char *text = bl_node_string(n, "format", NULL);
    if (!text || !x->on_grid || n->num_inputs > 1 || bl_node_attr(n, "scale"))
        return false;
    bl_context *scratch;
    if (bl_context_create(NULL, &scratch) != BL_OK)
        return false;
    bool parsed = bl_format_parse(scratch, text, &f) == BL_OK;
    bl_context_destroy(scratch);
    if (!parsed || (f.rounding != BL_RND && f.rounding != BL_RND_INF) || !exponent_of(bl_format_step(&f), &e))
        return false;
    int below = e - 1 < x->step_exp ? 1 : e - x->step_exp;
    return below + f.bits < 24;
}

static bl_status mark(bl_graph *g, const bli_range *ranges)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (strcmp(n->type, "Quantize") != 0 || !near_ties_exact(n, &ranges[n->inputs[0]]))
            continue;
        size_t size = sizeof BLI_SPELL_MARK + strlen(n->name);
        char *key = bli_arena_alloc(bli_graph_arena(g), size);
        if (!key)
            return BL_NO_MEMORY;
        snprintf(key, size, "%s%s", BLI_SPELL_MARK, n->name);
        BLI_TRY(bl_graph_set_meta(g, key, "1"));
    }
    return BL_OK;
}

bl_status bli_spell_mark(bl_graph *g)
{
    bl_context *ctx = bl_graph_context(g);
    bli_range *ranges = bli_alloc_array(ctx, (size_t)bl_graph_num_values(g), sizeof *ranges);
    double *accumulators = bli_alloc_array(ctx, (size_t)bl_graph_num_nodes(g), sizeof *accumulators);
    bl_status s = ranges && accumulators ? bli_infer_ranges(ctx, g, ranges, accumulators) : BL_NO_MEMORY;
    if (s == BL_OK)
        s = mark(g, ranges);
    bli_free(ctx, ranges);
    bli_free(ctx, accumulators);
    return s;
}
