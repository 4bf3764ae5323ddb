/* join.c: nodes that one kernel can do together. */
#include "tf/session_impl.h"

bl_status bli_tf_join_find(bli_tf_session *s)
{
    (void)s;
    return BL_OK;
}

bl_status bli_tf_join_run(bli_tf_session *s, bli_tf_spot *p)
{
    (void)p;
    return bli_fail(s->ctx, BL_USAGE, "no join");
}
