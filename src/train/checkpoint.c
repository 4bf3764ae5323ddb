/* checkpoint.c: writing and reading checkpoints.  A read changes nothing until every member was found good. */
#include "train/checkpoint.h"

#include <string.h>

#include "base/sha256.h"

static const char format_text[] = "bitlathe-checkpoint-1";

/* ---- a growing list of entries ---------------------------------------------------------------------------------- */
typedef struct entries {
    bl_context *ctx;
    bli_arena *arena;
    bl_npz_entry *list;
    size_t count, room;
} entries;

static bl_status add(entries *e, const char *prefix, const char *name, bl_dtype type, size_t n, const void *data)
{
    if (e->count == e->room)
        return bli_fail(e->ctx, BL_LIMIT, "checkpoint: more than %zu members", e->room);
    char *full = bli_arena_alloc(e->arena, strlen(prefix) + strlen(name) + 1);
    if (!full)
        return BL_NO_MEMORY;
    strcpy(full, prefix);
    strcat(full, name);
    e->list[e->count++] = (bl_npz_entry){full, {type, {.rank = 1, .dim = {(int64_t)n}}, (void *)(uintptr_t)data}};
    return BL_OK;
}

static bl_status add_scalar(entries *e, const char *name, bl_dtype type, const void *value)
{
    void *copy = bli_arena_alloc(e->arena, 8);
    if (!copy)
        return BL_NO_MEMORY;
    memcpy(copy, value, 8);
    return add(e, "", name, type, 1, copy);
}

static bl_status add_text(entries *e, const char *name, const char *text)
{
    return add(e, "", name, BL_U8, strlen(text), text);
}

void bli_checkpoint_digest(const bl_npz_entry *list, size_t count, char *text)
{
    bli_sha256 s;
    uint8_t out[BLI_SHA256_BYTES];
    bli_sha256_init(&s);
    for (size_t i = 0; i < count; i++) {
        const bl_tensor *t = &list[i].tensor;
        const int64_t head[2] = {t->type, bl_shape_count(&t->shape)};
        bli_sha256_add(&s, list[i].name, strlen(list[i].name) + 1);
        bli_sha256_add(&s, bl_dtype_name(t->type), strlen(bl_dtype_name(t->type)) + 1);
        bli_sha256_add(&s, &head[1], sizeof head[1]);
        bli_sha256_add(&s, t->data, (size_t)head[1] * bl_dtype_size(t->type));
    }
    bli_sha256_end(&s, out);
    bli_sha256_print(out, text);
}

static bl_status add_counters(entries *e, const bl_trainer *t)
{
    BLI_TRY(add_text(e, "format", format_text));
    BLI_TRY(add_text(e, "fingerprint", t->opt.fingerprint ? t->opt.fingerprint : ""));
#define ADD_COUNTER(member, name)                                                                                      \
    {                                                                                                                  \
        const int64_t value = (int64_t)(member);                                                                       \
        BLI_TRY(add_scalar(e, name, BL_I64, &value));                                                                  \
    }
#define ADD_FIGURE(member, name) BLI_TRY(add_scalar(e, name, BL_F64, &(member)));
    BLI_CHECKPOINT_COUNTERS(ADD_COUNTER)
    BLI_CHECKPOINT_FIGURES(ADD_FIGURE)
#undef ADD_COUNTER
#undef ADD_FIGURE
    return BL_OK;
}

static bl_status add_tensors(entries *e, const bl_trainer *t)
{
    const bli_plan *p = t->engine->plan;
    for (int v = 0; v < p->num_values; v++) {
        if (!bli_trainer_keeps(t, v))
            continue;
        const char *name = bl_graph_value(p->graph, v)->name;
        BLI_TRY(add(e, "value:", name, p->real, p->values[v].elements, p->values[v].data));
        if (t->best[v])
            BLI_TRY(add(e, "best:", name, p->real, p->values[v].elements, t->best[v]));
    }
    for (int i = 0; i < t->engine->num_params; i++) {
        const bli_param *q = &t->engine->params[i];
        if (q->moment[0])
            BLI_TRY(add(e, "moment1:", q->name, q->type, q->elements, q->moment[0]));
        if (q->moment[1])
            BLI_TRY(add(e, "moment2:", q->name, q->type, q->elements, q->moment[1]));
    }
    return BL_OK;
}

static bl_status save(const bl_trainer *t, entries *e, const char *path)
{
    char sha[BLI_SHA256_TEXT];
    e->room = 4 * (size_t)t->engine->plan->num_values + 64;
    e->list = bli_arena_array(e->arena, e->room, sizeof *e->list);
    if (!e->list)
        return BL_NO_MEMORY;
    BLI_TRY(add_counters(e, t));
    BLI_TRY(add_tensors(e, t));
    bli_checkpoint_digest(e->list, e->count, sha);
    BLI_TRY(add_text(e, "sha256", sha));
    return bl_npz_write(t->ctx, path, e->list, e->count);
}

bl_status bl_trainer_save(bl_trainer *t, const char *path)
{
    entries e = {.ctx = t->ctx};
    BLI_TRY(bli_arena_create(t->ctx, &e.arena));
    const bl_status s = save(t, &e, path);
    bli_arena_destroy(e.arena);
    return bli_within(t->ctx, s, "checkpoint");
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */
static bool text_is(const bl_npz *z, const char *name, const char *want)
{
    const bl_tensor *t = bl_npz_find(z, name);
    const size_t n = strlen(want);
    return t && t->type == BL_U8 && bl_shape_count(&t->shape) == (int64_t)n &&
           (n == 0 || memcmp(t->data, want, n) == 0);
}

static bl_status check_digest(bl_context *ctx, const bl_npz *z, const char *path)
{
    char sha[BLI_SHA256_TEXT];
    const size_t n = bl_npz_count(z);
    if (!text_is(z, "format", format_text))
        return bli_fail(ctx, BL_BAD_FILE, "%s: not a bitlathe checkpoint (no member format = %s)", path, format_text);
    bl_npz_entry *list = bli_alloc_array(ctx, n, sizeof *list);
    if (!list)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        list[i] = (bl_npz_entry){bl_npz_name(z, i), *bl_npz_tensor(z, i)};
    bli_checkpoint_digest(list, n - 1, sha);
    bli_free(ctx, list);
    if (strcmp(bl_npz_name(z, n - 1), "sha256") != 0 || !text_is(z, "sha256", sha))
        return bli_fail(ctx, BL_BAD_FILE, "%s: its content does not match its SHA-256: torn or altered", path);
    return BL_OK;
}

static bl_status want_tensor(const bl_npz *z, bl_context *ctx, const char *path, const char *prefix, const char *name,
                             bl_dtype type, size_t n, const void **data)
{
    char full[512];
    if (strlen(prefix) + strlen(name) >= sizeof full)
        return bli_fail(ctx, BL_LIMIT, "%s: name '%s' is too long", path, name);
    strcpy(full, prefix);
    strcat(full, name);
    const bl_tensor *t = bl_npz_find(z, full);
    if (!t || t->type != type || bl_shape_count(&t->shape) != (int64_t)n)
        return bli_fail(ctx, BL_BAD_FILE, "%s: member '%s': expected %zu numbers of type %s, found %s", path, full, n,
                        bl_dtype_name(type), t ? "another shape or type" : "none");
    *data = t->data;
    return BL_OK;
}

static bl_status load_counters(bl_trainer *t, const bl_npz *z, const char *path, bool apply)
{
    const void *d;
#define LOAD_COUNTER(member, name)                                                                                     \
    BLI_TRY(want_tensor(z, t->ctx, path, "", name, BL_I64, 1, &d));                                                    \
    if (apply)                                                                                                         \
        member = (__typeof__(member))*(const int64_t *)d;
#define LOAD_FIGURE(member, name)                                                                                      \
    BLI_TRY(want_tensor(z, t->ctx, path, "", name, BL_F64, 1, &d));                                                    \
    if (apply)                                                                                                         \
        member = *(const double *)d;
    BLI_CHECKPOINT_COUNTERS(LOAD_COUNTER)
    BLI_CHECKPOINT_FIGURES(LOAD_FIGURE)
#undef LOAD_COUNTER
#undef LOAD_FIGURE
    return BL_OK;
}

static bl_status check_counters(bl_trainer *t, const bl_npz *z, const char *path)
{
    const void *epoch, *epoch_step, *step;
    BLI_TRY(want_tensor(z, t->ctx, path, "", "epoch", BL_I64, 1, &epoch));
    BLI_TRY(want_tensor(z, t->ctx, path, "", "epoch_step", BL_I64, 1, &epoch_step));
    BLI_TRY(want_tensor(z, t->ctx, path, "", "step", BL_I64, 1, &step));
    const int64_t e = *(const int64_t *)epoch, es = *(const int64_t *)epoch_step, s = *(const int64_t *)step;
    if (e < 0 || es < 0 || es >= t->epoch_steps || e > t->opt.epochs || s != e * t->epoch_steps + es)
        return bli_fail(t->ctx, BL_BAD_FILE,
                        "%s: epoch %lld, step %lld of it, step %lld in all do not fit this training", path,
                        (long long)e, (long long)es, (long long)s);
    return BL_OK;
}

static bl_status load_value(bl_trainer *t, const bl_npz *z, const char *path, int v, bool apply)
{
    const bli_plan *p = t->engine->plan;
    const char *name = bl_graph_value(p->graph, v)->name;
    const size_t n = p->values[v].elements, bytes = n * bl_dtype_size(p->real);
    const void *d;
    BLI_TRY(want_tensor(z, t->ctx, path, "value:", name, p->real, n, &d));
    if (apply)
        memcpy(p->values[v].data, d, bytes);
    const void *epoch;
    BLI_TRY(want_tensor(z, t->ctx, path, "", "best_epoch", BL_I64, 1, &epoch));
    if (!t->opt.keep_best || *(const int64_t *)epoch == 0)
        return BL_OK;
    BLI_TRY(want_tensor(z, t->ctx, path, "best:", name, p->real, n, &d));
    if (!t->best[v] && !(t->best[v] = bli_alloc(t->ctx, bytes)))
        return BL_NO_MEMORY;
    if (apply)
        memcpy(t->best[v], d, bytes);
    return BL_OK;
}

static bl_status load_moments(bl_trainer *t, const bl_npz *z, const char *path, const bli_param *q, bool apply)
{
    static const char *const prefix[2] = {"moment1:", "moment2:"};
    for (int m = 0; m < 2; m++) {
        const void *d;
        if (!q->moment[m])
            continue;
        BLI_TRY(want_tensor(z, t->ctx, path, prefix[m], q->name, q->type, q->elements, &d));
        if (apply)
            memcpy(q->moment[m], d, q->elements * bl_dtype_size(q->type));
    }
    return BL_OK;
}

static bl_status load(bl_trainer *t, const bl_npz *z, const char *path, bool apply)
{
    for (int v = 0; v < t->engine->plan->num_values; v++)
        if (bli_trainer_keeps(t, v))
            BLI_TRY(load_value(t, z, path, v, apply));
    for (int i = 0; i < t->engine->num_params; i++)
        BLI_TRY(load_moments(t, z, path, &t->engine->params[i], apply));
    return load_counters(t, z, path, apply);
}

bl_status bl_trainer_resume(bl_trainer *t, const char *path)
{
    bl_npz *z = NULL;
    BLI_TRY(bl_npz_read(t->ctx, path, &z));
    bl_status s = check_digest(t->ctx, z, path);
    if (s == BL_OK && !text_is(z, "fingerprint", t->opt.fingerprint ? t->opt.fingerprint : ""))
        s = bli_fail(t->ctx, BL_BAD_FILE, "%s: made by another recipe (or other data); not resumed", path);
    if (s == BL_OK)
        s = check_counters(t, z, path);
    if (s == BL_OK)
        s = load(t, z, path, false);
    t->engine->fresh = false;
    if (s == BL_OK)
        s = load(t, z, path, true);
    t->order_epoch = -1;
    bl_npz_free(z);
    return s;
}
