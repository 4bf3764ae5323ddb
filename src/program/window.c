/* window.c: the geometry that convolutions and pools share. */
#include "program/prim.h"

enum { WINDOW_MOST = 1 << 20 }; /* kernel, stride, dilation, padding */

static bl_status check_axis(const bli_call *c, int a, bool flat)
{
    const bli_window *w = &c->op->window;
    const int field[5] = {w->kernel[a], w->stride[a], w->dilation[a], w->pad[a], w->pad[a + 2]};
    static const char *const words[5] = {"kernel", "stride", "dilation", "pad", "pad"};
    for (int i = 0; i < 5; i++) {
        int least = i < 3, most = flat ? least : WINDOW_MOST;
        if (field[i] < least || field[i] > most)
            return bli_call_fail(c, BL_BAD_MODEL, "%s of %s is %d, expected %d to %d", words[i],
                                 a == 0 ? "rows" : "columns", field[i], least, most);
    }
    return BL_OK;
}

static int64_t positions(const bli_window *w, int a, int64_t in)
{
    int64_t room = in + w->pad[a] + w->pad[a + 2] - ((int64_t)(w->kernel[a] - 1) * w->dilation[a] + 1);
    return room < 0 ? 0 : room / w->stride[a] + 1;
}

bl_status bli_window_shape(bli_call *c, int64_t channels)
{
    const bl_shape *in = &c->in[0]->shape;
    if (in->rank != 2 && in->rank != 3)
        return bli_call_fail(c, BL_BAD_MODEL, "an input of rank %d, expected [L, C] or [H, W, C]", in->rank);
    for (int a = 0; a < 2; a++)
        BLI_TRY(check_axis(c, a, a == in->rank - 1));
    const int64_t groups = c->op->window.groups, from = bli_last(in);
    if (groups < 1 || from % groups != 0 || channels % groups != 0)
        return bli_call_fail(c, BL_BAD_MODEL, "%lld groups of %lld input and %lld output channels", (long long)groups,
                             (long long)from, (long long)channels);
    c->shape = *in;
    for (int a = 0; a < in->rank - 1; a++)
        c->shape.dim[a] = positions(&c->op->window, a, in->dim[a]);
    c->shape.dim[in->rank - 1] = channels;
    return BL_OK;
}

bli_field_of_view bli_window_view(const bli_window *w, const bl_shape *in)
{
    bli_field_of_view v = {{in->dim[0], in->rank == 3 ? in->dim[1] : 1}, {0, 1}, bli_last(in)};
    v.out[0] = positions(w, 0, v.in[0]);
    v.out[1] = positions(w, 1, v.in[1]);
    return v;
}

static int64_t within(int64_t v, int64_t most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

bli_taps bli_window_taps(const bli_window *w, const bli_field_of_view *v, int a, int64_t o)
{
    const int64_t first = bli_window_at(w, a, o, 0), dilation = w->dilation[a];
    const int64_t from = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
    const int64_t to = first >= v->in[a] ? 0 : (v->in[a] - first + dilation - 1) / dilation;
    return (bli_taps){o, within(from, w->kernel[a]), within(to, w->kernel[a])};
}

bl_status bli_window_kinds(bli_call *c, const bli_field_of_view *v, int a, bli_taps **out, int *count)
{
    const bli_window *w = &c->op->window;
    int64_t most = 2 * (int64_t)w->kernel[a] + 2; /* both ends only fall as o grows */
    most = most < v->out[a] ? most : v->out[a];
    *count = 0;
    *out = bli_arena_array(c->scratch, (size_t)most, sizeof **out);
    if (*out == NULL)
        return BL_NO_MEMORY;
    for (int64_t o = 0; o < v->out[a]; o++) {
        bli_taps t = bli_window_taps(w, v, a, o), *last = *out + *count - 1;
        if (*count == 0 || t.from != last->from || t.to != last->to)
            (*out)[(*count)++] = t;
    }
    return BL_OK;
}
