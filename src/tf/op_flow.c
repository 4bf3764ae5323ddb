/* op_flow.c: operators of branches and loops: Switch, Merge, Enter, Exit, NextIteration, LoopCond, Assert.  They hand
 * arrays on as they are; which of them run, flow.c says. */
#include <string.h>

#include "tf/flow.h"

bl_status bli_tf_run_act(bli_tf_call *c)
{
    return bli_fail(c->ctx, BL_UNSUPPORTED, "it cannot run by itself");
}

bli_tf_act *bli_tf_act_find(const char *op)
{
    static const bli_tf_act_row *const tables[] = {bli_tf_acts_flow, bli_tf_acts_array, bli_tf_acts_list,
                                                   bli_tf_acts_call};
    for (size_t t = 0; t < BLI_COUNT(tables); t++)
        for (const bli_tf_act_row *r = tables[t]; r->op; r++)
            if (strcmp(r->op, op) == 0)
                return r->act;
    return NULL;
}

/* ---- what is known before --------------------------------------------------------------------------------------- */
static bl_status infer_switch(bli_tf_call *c)
{
    BLI_TRY(bli_tf_need_type(c, 1, BLI_DT_BOOL));
    for (int k = 0; k < 2; k++) {
        c->out[k].dtype = c->in[0].dtype;
        c->out[k].shape = c->in[0].shape;
    }
    return BL_OK;
}

/* Of unlike shapes, and of a loop's, nothing is known. */
static bl_status infer_merge(bli_tf_call *c)
{
    bl_shape *s = &c->out[0].shape;
    *s = c->in[0].shape;
    for (int i = 0; i < c->num_in; i++) {
        if (c->in[i].dtype)
            c->out[0].dtype = c->in[i].dtype;
        if (c->in[i].shape.rank != s->rank)
            s->rank = -1;
        for (int d = 0; d < s->rank; d++)
            if (c->in[i].shape.dim[d] != s->dim[d])
                s->dim[d] = -1;
    }
    c->out[1].dtype = BLI_DT_INT32;
    c->out[1].shape = (bl_shape){0, {0}};
    return BL_OK;
}

static bl_status infer_again(bli_tf_call *c)
{
    c->out[0].dtype = c->in[0].dtype; /* another shape, perhaps, in every turn */
    return BL_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
static bl_status act_pass(bli_tf_session *s, bli_tf_spot *p)
{
    p->out[0] = bli_tf_array_share(bli_tf_spot_input(s, p, 0));
    return BL_OK;
}

static bl_status act_switch(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *which = bli_tf_spot_input(s, p, 1);
    if (which->dtype != BLI_DT_BOOL || bl_shape_count(&which->shape) != 1)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input 1 is %s of %lld elements, expected one bool",
                        bli_tf_dtype_name(which->dtype), (long long)bl_shape_count(&which->shape));
    p->out[*(const uint8_t *)which->data != 0] = bli_tf_array_share(bli_tf_spot_input(s, p, 0));
    return BL_OK;
}

static bl_status act_merge(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *from = bli_tf_flow_pending(s, p);
    int32_t which = 0;
    for (int i = 0; i < p->num_in; i++) {
        const bool back = bli_tf_is_back(s, p, p->in[i].spot);
        if (from ? back : !back && !s->spots[p->in[i].spot].dead && bli_tf_spot_input(s, p, i)->data) {
            which = i;
            from = from ? from : bli_tf_spot_input(s, p, i);
            break;
        }
    }
    if (!from)
        return bli_fail(s->ctx, BL_BAD_MODEL, "none of its inputs has a value");
    BLI_TRY(bli_tf_act_scalar(s, BLI_DT_INT32, &p->out[1]));
    *(int32_t *)p->out[1].data = which;
    p->out[0] = bli_tf_array_share(from);
    return BL_OK;
}

static bl_status act_assert(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_array *x = bli_tf_spot_input(s, p, 0);
    if (x->dtype != BLI_DT_BOOL)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input 0 is %s, expected bool", bli_tf_dtype_name(x->dtype));
    for (int64_t i = 0; i < bl_shape_count(&x->shape); i++)
        if (!((const uint8_t *)x->data)[i])
            return bli_fail(s->ctx, BL_BAD_VALUE, "what is asserted is false");
    return BL_OK;
}

const bli_tf_act_row bli_tf_acts_flow[] = {
    {"Switch", act_switch},
    {"RefSwitch", act_switch},
    {"Merge", act_merge},
    {"RefMerge", act_merge},
    {"Enter", act_pass},
    {"RefEnter", act_pass},
    {"Exit", act_pass},
    {"RefExit", act_pass},
    {"NextIteration", act_pass},
    {"RefNextIteration", act_pass},
    {"LoopCond", act_pass},
    {"Assert", act_assert},
    {NULL, NULL},
};

static const bli_tf_op ops[] = {
    {"Switch", 2, 2, 2, NULL, infer_switch, bli_tf_run_act, 0, true},
    {"RefSwitch", 2, 2, 2, NULL, infer_switch, bli_tf_run_act, 0, true},
    {"Merge", 1, -1, 2, NULL, infer_merge, bli_tf_run_act, 0, true},
    {"RefMerge", 1, -1, 2, NULL, infer_merge, bli_tf_run_act, 0, true},
    {"Enter", 1, 1, 1, NULL, bli_tf_infer_same, bli_tf_run_act, 0, true},
    {"RefEnter", 1, 1, 1, NULL, bli_tf_infer_same, bli_tf_run_act, 0, true},
    {"Exit", 1, 1, 1, NULL, infer_again, bli_tf_run_act, 0, true},
    {"RefExit", 1, 1, 1, NULL, infer_again, bli_tf_run_act, 0, true},
    {"NextIteration", 1, 1, 1, NULL, infer_again, bli_tf_run_act, 0, true},
    {"RefNextIteration", 1, 1, 1, NULL, infer_again, bli_tf_run_act, 0, true},
    {"LoopCond", 1, 1, 1, NULL, bli_tf_infer_same, bli_tf_run_act, 0, true},
    {"Assert", 1, -1, 0, NULL, bli_tf_infer_nothing, bli_tf_run_act, 0, true},
};
const bli_tf_family bli_tf_family_flow = {ops, BLI_COUNT(ops)};
