/* session_api.c: sessions and pictures for users: plain tensors in and out. */
#include <string.h>

#include "base/file.h"
#include "bitlathe/tfrun.h"
#include "tf/array.h"
#include "tf/picture.h"
#include "tf/resize.h"
#include "tf/session_impl.h"

struct bl_tf_session {
    bl_context *ctx;
    const bl_graphdef *g;
    bli_tf_session *inner;
    bl_tf_watch_fn watch;
    void *user;
};

static void on_node(void *user, const bli_tf_node *n, int64_t nanoseconds, const bli_tf_array *out, int num_out)
{
    const bl_tf_session *s = user;
    size_t bytes = 0;
    bl_tensor first = {.type = BL_F32};
    if (!s->watch)
        return;
    for (int k = 0; k < num_out; k++)
        bytes += bli_tf_array_bytes(&out[k]);
    if (num_out > 0 && out[0].data && bli_tf_store_type(out[0].dtype) != BL_DTYPE_COUNT)
        first = (bl_tensor){bli_tf_store_type(out[0].dtype), out[0].shape, out[0].data};
    s->watch(s->user, n->name, n->op, nanoseconds, bytes, first.data ? &first : NULL);
}

static void on_print(void *user, const char *line)
{
    const bl_tf_session *s = user;
    bli_log(s->ctx, BL_LOG_INFO, "%s", line);
}

static bl_status open_inner(bl_tf_session *s)
{
    const bli_tf_session_options o = {.on_node = s->watch ? on_node : NULL, .on_print = on_print, .user = s};
    return bli_tf_session_create(s->g->graph, &o, &s->inner);
}

bl_status bl_tf_session_create(const bl_graphdef *g, bl_tf_session **out)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    *out = NULL;
    bl_tf_session *s = bli_alloc(ctx, sizeof *s);
    if (!s)
        return BL_NO_MEMORY;
    *s = (bl_tf_session){.ctx = ctx, .g = g};
    bl_status status = open_inner(s);
    if (status != BL_OK) {
        bl_tf_session_destroy(s);
        return status;
    }
    *out = s;
    return BL_OK;
}

void bl_tf_session_destroy(bl_tf_session *s)
{
    if (!s)
        return;
    bli_tf_session_destroy(s->inner);
    bli_free(s->ctx, s);
}

void bl_tf_session_watch(bl_tf_session *s, bl_tf_watch_fn fn, void *user)
{
    s->watch = fn;
    s->user = user;
    s->inner->options.on_node = fn ? on_node : NULL;
}

size_t bl_tf_session_peak(const bl_tf_session *s)
{
    return bli_tf_pool_peak(s->inner->pool);
}

static int dtype_of(bl_dtype t)
{
    static const int types[BL_DTYPE_COUNT] = {
        [BL_F32] = BLI_DT_FLOAT, [BL_F64] = BLI_DT_DOUBLE, [BL_I8] = BLI_DT_INT8,   [BL_U8] = BLI_DT_UINT8,
        [BL_I16] = BLI_DT_INT16, [BL_U16] = BLI_DT_UINT16, [BL_I32] = BLI_DT_INT32, [BL_U32] = BLI_DT_UINT32,
        [BL_I64] = BLI_DT_INT64, [BL_U64] = BLI_DT_UINT64, [BL_BOOL] = BLI_DT_BOOL,
    };
    return types[t];
}

static bl_status as_tensor(bl_context *ctx, const char *name, const bli_tf_array *a, bl_tensor *out)
{
    const bl_dtype type = bli_tf_store_type(a->dtype);
    if (name[0] == '^') /* run, not fetched */
        return BL_OK;
    if (!a->data)
        return bli_fail(ctx, BL_BAD_MODEL, "'%s' has no value to fetch", name);
    if (type == BL_DTYPE_COUNT)
        return bli_fail(ctx, BL_UNSUPPORTED, "'%s' is a tensor of %s, which cannot be fetched", name,
                        bli_tf_dtype_name(a->dtype));
    BLI_TRY(bl_tensor_create(ctx, type, &a->shape, out));
    memcpy(out->data, a->data, bli_tf_array_bytes(a));
    return BL_OK;
}

static bl_status run_inner(bl_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds, const char *const *fetches,
                           size_t num_fetches, bli_tf_array *arrays, bl_tensor *out)
{
    BLI_TRY(bli_tf_session_run(s->inner, feeds, num_feeds, fetches, num_fetches, arrays));
    bl_status status = BL_OK;
    for (size_t i = 0; status == BL_OK && i < num_fetches; i++)
        status = as_tensor(s->ctx, fetches[i], &arrays[i], &out[i]);
    for (size_t i = 0; i < num_fetches; i++) {
        bli_tf_array_release(&arrays[i]);
        if (status != BL_OK)
            bl_tensor_free(s->ctx, &out[i]);
    }
    return status;
}

/* Bytes for a node of strings are one string. */
static bool wants_string(const bl_tf_session *s, const bl_npz_entry *feed)
{
    const bli_tf_node *n = bli_tf_index_input(&s->inner->index, feed->name);
    const bli_tf_value *v = n ? bli_tf_node_attr(n, "dtype") : NULL;
    return v && v->value_case == BLI_TF__ATTR_VALUE__VALUE_TYPE && (int)v->type == BLI_DT_STRING &&
           feed->tensor.type == BL_U8 && feed->tensor.shape.rank == 1;
}

static void as_feed(const bl_tf_session *s, const bl_npz_entry *from, bli_tf_bytes *bytes, bli_tf_feed *to)
{
    const bl_tensor *t = &from->tensor;
    *to = (bli_tf_feed){from->name, {dtype_of(t->type), t->shape, t->data, NULL}};
    if (!wants_string(s, from))
        return;
    *bytes = (bli_tf_bytes){t->data, (size_t)t->shape.dim[0]};
    to->value = (bli_tf_array){BLI_DT_STRING, {0, {0}}, bytes, NULL};
}

bl_status bl_tf_session_run(bl_tf_session *s, const bl_npz_entry *feeds, size_t num_feeds, const char *const *fetches,
                            size_t num_fetches, bl_tensor *out)
{
    for (size_t i = 0; i < num_fetches; i++)
        out[i] = (bl_tensor){.type = BL_F32};
    bli_tf_feed *in = bli_alloc_array(s->ctx, num_feeds + 1, sizeof *in);
    bli_tf_bytes *bytes = bli_alloc_array(s->ctx, num_feeds + 1, sizeof *bytes);
    bli_tf_array *arrays = bli_alloc_array(s->ctx, num_fetches + 1, sizeof *arrays);
    bl_status status = in && bytes && arrays ? BL_OK : BL_NO_MEMORY;
    for (size_t i = 0; status == BL_OK && i < num_feeds; i++)
        as_feed(s, &feeds[i], &bytes[i], &in[i]);
    if (status == BL_OK)
        status = run_inner(s, in, num_feeds, fetches, num_fetches, arrays, out);
    bli_free(s->ctx, in);
    bli_free(s->ctx, bytes);
    bli_free(s->ctx, arrays);
    return status;
}

/* ---- pictures ------------------------------------------------------------------------------------------------ */
enum { PICTURE_FILE = 1 << 28, LABELS_FILE = 1 << 26, LABELS_ROUND = 16 };

static bl_status normalise(bl_context *ctx, const bli_picture *p, const int64_t size[2], float mean, float std,
                           bl_tensor *out)
{
    const int64_t n = p->height * p->width * p->channels, m = size[0] * size[1] * p->channels;
    bli_tf_site site = {.isa = bli_cpu_isa()};
    const bli_tf_call c = {.ctx = ctx, .site = &site};
    const bl_shape shape = {4, {1, p->height, p->width, p->channels}};
    float *x = bli_alloc_array(ctx, (size_t)n, sizeof *x), *y = out->data;
    if (!x)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((const uint8_t *)p->pixels)[i];
    bl_status s = bli_tf_resize_bilinear(&c, &(bli_tf_resize){false, false}, &shape, x, size, y);
    for (int64_t i = 0; s == BL_OK && i < m; i++)
        y[i] = (y[i] - mean) / std;
    bli_free(ctx, site.scratch);
    bli_free(ctx, x);
    return s;
}

static bl_status decode(bl_context *ctx, const char *path, const char *data, size_t size, const int64_t to[2],
                        float mean, float std, bl_tensor *out)
{
    bli_picture p;
    bli_picture_how how = {.op = bli_picture_op_of(path)};
    how.channels = how.op == BLI_PICTURE_BMP ? 0 : 3;
    BLI_TRY(bli_picture_decode(ctx, &how, data, size, &p));
    bl_status s = BL_OK;
    if (p.frames != 1)
        s = bli_fail(ctx, BL_UNSUPPORTED, "GIF: %lld frames, expected one", (long long)p.frames);
    if (s == BL_OK)
        s = bl_tensor_create(ctx, BL_F32, &(bl_shape){4, {1, to[0], to[1], p.channels}}, out);
    if (s == BL_OK)
        s = normalise(ctx, &p, to, mean, std, out);
    bli_picture_free(ctx, &p);
    if (s != BL_OK)
        bl_tensor_free(ctx, out);
    return s;
}

bl_status bl_tf_picture_read(bl_context *ctx, const char *path, int height, int width, float mean, float std,
                             bl_tensor *out)
{
    char *data;
    size_t size;
    *out = (bl_tensor){.type = BL_F32};
    if (height < 1 || width < 1 || height > BLI_PICTURE_MAX_SIDE || width > BLI_PICTURE_MAX_SIDE)
        return bli_fail(ctx, BL_BAD_VALUE, "a size of %d x %d, expected 1 to %d", width, height, BLI_PICTURE_MAX_SIDE);
    BLI_TRY(bli_file_read(ctx, path, PICTURE_FILE, &data, &size));
    bl_status s = decode(ctx, path, data, size, (const int64_t[]){height, width}, mean, std, out);
    bli_free(ctx, data);
    return bli_within(ctx, s, "%s", path);
}

struct bl_tf_labels {
    bl_context *ctx;
    char *text;
    const char **line;
    size_t count;
};

bl_status bl_tf_labels_read(bl_context *ctx, const char *path, bl_tf_labels **out)
{
    size_t size, lines = 1;
    *out = NULL;
    bl_tf_labels *l = bli_alloc(ctx, sizeof *l);
    if (!l)
        return BL_NO_MEMORY;
    l->ctx = ctx;
    bl_status s = bli_file_read(ctx, path, LABELS_FILE, &l->text, &size);
    for (size_t i = 0; s == BL_OK && i < size; i++)
        lines += l->text[i] == '\n';
    if (s == BL_OK && !(l->line = bli_alloc_array(ctx, lines, sizeof *l->line)))
        s = BL_NO_MEMORY;
    if (s != BL_OK) {
        bl_tf_labels_free(l);
        return s;
    }
    for (size_t at = 0; at < size;) {
        char *end = memchr(l->text + at, '\n', size - at);
        l->line[l->count++] = l->text + at;
        at = end ? (size_t)(end - l->text) + 1 : size;
        if (end)
            *end = 0;
    }
    *out = l;
    return BL_OK;
}

size_t bl_tf_labels_count(const bl_tf_labels *l)
{
    return (l->count + LABELS_ROUND - 1) / LABELS_ROUND * LABELS_ROUND;
}

const char *bl_tf_labels_at(const bl_tf_labels *l, size_t i)
{
    return i < l->count ? l->line[i] : "";
}

void bl_tf_labels_free(bl_tf_labels *l)
{
    if (!l)
        return;
    bli_free(l->ctx, l->text);
    bli_free(l->ctx, l->line);
    bli_free(l->ctx, l);
}

void bl_tf_top(const float *scores, size_t n, size_t k, size_t *index)
{
    for (size_t i = 0; i < k; i++) {
        size_t best = SIZE_MAX;
        for (size_t j = 0; j < n; j++) {
            bool taken = false;
            for (size_t t = 0; t < i; t++)
                taken |= index[t] == j;
            if (!taken && (best == SIZE_MAX || scores[j] > scores[best]))
                best = j;
        }
        index[i] = best;
    }
}
