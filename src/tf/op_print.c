/* op_print.c: Print: passes its first input on and says what the others hold: message[v v v...][v].  Floats have nine
 * significant digits. */
#include <string.h>

#include "tf/op.h"

static bl_status infer_print(bli_tf_call *c)
{
    return bli_tf_infer_same(c);
}

static bl_status put(const bli_tf_arg *a, int64_t i, bli_buf *b)
{
    switch (a->dtype) {
    case BLI_DT_FLOAT:
        return bli_buf_printf(b, "%.9g", (double)((const float *)a->data)[i]);
    case BLI_DT_DOUBLE:
        return bli_buf_printf(b, "%.17g", ((const double *)a->data)[i]);
    case BLI_DT_INT64:
        return bli_buf_printf(b, "%lld", (long long)((const int64_t *)a->data)[i]);
    case BLI_DT_INT32:
    case BLI_DT_QINT32:
        return bli_buf_printf(b, "%d", ((const int32_t *)a->data)[i]);
    case BLI_DT_UINT8:
    case BLI_DT_QUINT8:
    case BLI_DT_BOOL:
        return bli_buf_printf(b, "%d", ((const uint8_t *)a->data)[i]);
    case BLI_DT_INT8:
    case BLI_DT_QINT8:
        return bli_buf_printf(b, "%d", ((const int8_t *)a->data)[i]);
    default:
        return bli_buf_printf(b, "?");
    }
}

static bl_status line(const bli_tf_call *c, bli_buf *b)
{
    const char *message;
    int64_t summarize;
    BLI_TRY(bli_tf_string_or(c->ctx, c->node, "message", "", &message));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "summarize", 3, &summarize));
    BLI_TRY(bli_buf_printf(b, "%s", message));
    for (int i = 1; i < c->num_in; i++) {
        const int64_t n = bli_tf_count(&c->in[i]), shown = n < summarize ? n : summarize;
        BLI_TRY(bli_buf_printf(b, "["));
        for (int64_t k = 0; k < shown; k++) {
            BLI_TRY(bli_buf_printf(b, "%s", k ? " " : ""));
            BLI_TRY(put(&c->in[i], k, b));
        }
        BLI_TRY(bli_buf_printf(b, "%s]", shown < n ? "..." : ""));
    }
    return BL_OK;
}

static bl_status run_print(bli_tf_call *c)
{
    int64_t first;
    bli_buf b;
    memcpy(c->out[0].data, c->in[0].data, (size_t)bli_tf_count(&c->in[0]) * bli_tf_dtype_size(c->in[0].dtype));
    BLI_TRY(bli_tf_int_or(c->ctx, c->node, "first_n", -1, &first));
    if (!c->site->print || (first >= 0 && c->site->runs >= first))
        return BL_OK;
    bli_buf_init(&b, c->ctx, (size_t)1 << 26);
    bl_status s = line(c, &b);
    if (s == BL_OK)
        c->site->print(c->site->user, b.data ? b.data : "");
    bli_buf_free(&b);
    return s;
}

static const bli_tf_op ops[] = {
    {"Print", 1, -1, 1, NULL, infer_print, run_print, 0, true},
};
const bli_tf_family bli_tf_family_print = {ops, BLI_COUNT(ops)};
