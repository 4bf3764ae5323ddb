/* transform_api.c: what include/bitlathe/tf.h hands out of the transforms. */
#include "bitlathe/tf.h"
#include "tf/transform.h"

static bli_tg_options inner_of(const bl_tf_options *o)
{
    return o ? (bli_tg_options){o->compat, o->inputs, o->outputs} : (bli_tg_options){false, NULL, NULL};
}

bl_status bl_tf_transform(bl_graphdef *g, const char *transforms, const bl_tf_options *options)
{
    const bli_tg_options o = inner_of(options);
    return bli_tg_transform(g->store, &g->graph, transforms, &o);
}

bl_status bl_tf_transform_in_place(bl_graphdef *g, const char *transforms, const bl_tf_options *options)
{
    const bli_tg_options o = inner_of(options);
    return bli_tg_transform_in_place(g->store, &g->graph, transforms, &o);
}

bool bl_tf_transform_at(size_t i, bl_tf_info *out)
{
    const bli_tg_pass *p = bli_tg_pass_at(i);
    if (p)
        *out = (bl_tf_info){p->name, p->help, NULL, p->ops, p->extension};
    return p != NULL;
}

bool bl_tf_parameter_at(size_t transform, size_t i, bl_tf_info *out)
{
    static const char *const kinds[][2] = {[BLI_TG_TEXT] = {"text", "list of texts"},
                                           [BLI_TG_INT] = {"whole number", "list of whole numbers"},
                                           [BLI_TG_FLOAT] = {"number", "list of numbers"},
                                           [BLI_TG_BOOL] = {"true or false", "list of truth values"}};
    const bli_tg_pass *p = bli_tg_pass_at(transform);
    const bli_tg_param *at = p ? p->params : NULL;
    for (; at && at->name && i > 0; i--)
        at++;
    if (!at || !at->name)
        return false;
    *out = (bl_tf_info){at->name, at->help, kinds[at->kind][at->many], NULL,
                        p->extension || (p->own && bli_tg_op_is(at->name, p->own))};
    return true;
}
