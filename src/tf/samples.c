/* samples.c: which files there are, and what of them goes into a run.  One file is in memory at a time. */
#include "tf/samples.h"

#include <glob.h>
#include <math.h>
#include <string.h>

#include "bitlathe/tfrun.h"
#include "tf/eight.h"

enum { MOST_FILES = 1 << 20 };

/* ---- parameters --------------------------------------------------------------------------------------------------
 */

static bl_status need_std(const bli_tg_samples *s)
{
    if (s->std != 0 && isfinite(s->std) && isfinite(s->mean))
        return BL_OK;
    return bli_fail(s->job->ctx, BL_USAGE, "parameters 'mean' and 'std' are %g and %g; expected numbers, and no std 0",
                    (double)s->mean, (double)s->std);
}

/* Of --inputs, or the graph's only placeholder. */
static bl_status only_input(const bli_tg_job *job, const bli_tf_graph *g, const char **out)
{
    size_t count = job->inputs.count;
    *out = count ? job->inputs.at[0] : NULL;
    for (size_t i = 0; i < g->num_nodes && job->inputs.count == 0; i++)
        if (strcmp(g->nodes[i]->op, "Placeholder") == 0) {
            *out = g->nodes[i]->name;
            count++;
        }
    if (count == 1)
        return BL_OK;
    return bli_fail(job->ctx, BL_USAGE,
                    "the graph has %zu inputs; say by parameter 'input' which one the images are for", count);
}

static bl_status unknown_input(const bli_tg_job *job, const bli_tf_graph *g, const char *name)
{
    const char **names = bli_tf_alloc_array(job->store, g->num_nodes + 1, sizeof *names);
    if (!names)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < g->num_nodes; i++)
        names[i] = g->nodes[i]->name;
    return bli_within(job->ctx, bli_unknown_name(job->ctx, "node", name, names, g->num_nodes), "parameter 'input'");
}

/* A graph whose shapes contradict each other has an input of no known shape. */
static bl_status input_shape(const bli_tg_job *job, const bli_tf_graph *g, size_t at, int port, bli_tf_arg *out)
{
    bli_tf_shapes shapes;
    bli_arena *arena;
    *out = (bli_tf_arg){.shape = BLI_TF_UNKNOWN_SHAPE};
    BLI_TRY(bli_arena_create(job->ctx, &arena));
    bl_status s = bli_tf_infer_graph(g, arena, &shapes);
    if (s == BL_OK && port >= 0 && port < shapes.num_out[at])
        *out = shapes.out[at][port];
    bli_arena_destroy(arena);
    return s == BL_NO_MEMORY ? s : BL_OK;
}

/* The range that quantize_nodes gave to the bytes of an input: constants of known names. */
static bl_status byte_range(const bli_tg_job *job, const bli_tf_index *ix, bli_tg_entry *e)
{
    static const char *const ends[] = {"min", "max"};
    const bli_tf_ref r = bli_tf_ref_parse(e->input);
    for (size_t k = 0; k < 2; k++) {
        const char *name = bli_tf_text(job->store, "%.*s_eightbit/%s", (int)r.size, r.name, ends[k]);
        if (!name)
            return BL_NO_MEMORY;
        const bli_tf_node *n = bli_tf_index_input(ix, name);
        bli_tf_tensor t;
        if (!n || strcmp(n->op, "Const") != 0)
            return BL_OK;
        BLI_TRY(bli_tg_const_view(job->store, n, BLI_DT_FLOAT, &t));
        e->range[k] = t.count == 1 ? *(const float *)t.data : 0;
    }
    e->bytes = e->range[1] > e->range[0];
    return BL_OK;
}

bl_status bli_tg_entry_find(const bli_tg_job *job, const bli_tf_graph *g, const char *input, bli_tg_entry *out)
{
    bli_tf_index ix;
    bli_tf_arg found = {.shape = BLI_TF_UNKNOWN_SHAPE};
    *out = (bli_tg_entry){.input = input};
    const bli_tf_ref r = bli_tf_ref_parse(input);
    BLI_TRY(bli_tf_index_make(g, &ix));
    const size_t at = bli_tf_index_find(&ix, r.name, r.size);
    bl_status s = at == SIZE_MAX ? unknown_input(job, g, input) : input_shape(job, g, at, r.port, &found);
    if (s == BL_OK && found.dtype == BLI_DT_QUINT8)
        s = byte_range(job, &ix, out);
    bli_tf_index_free(&ix);
    if (s != BL_OK)
        return s;
    if (found.dtype != BLI_DT_INVALID && found.dtype != BLI_DT_FLOAT && !out->bytes)
        return bli_fail(job->ctx, BL_UNSUPPORTED,
                        "input '%s' takes %s; expected float, or what quantize_nodes makes of it", input,
                        bli_tf_dtype_name(found.dtype));
    out->shape = found.shape;
    return BL_OK;
}

bl_status bli_tg_entry_run(const bli_tg_job *job, const bli_tg_entry *e, bli_tf_session *s, const bli_tf_feed *x,
                           bli_tf_array *out)
{
    const bli_tg_names *fetches = &job->outputs;
    bli_tf_feed feed = {e->input, x->value};
    if (!e->bytes)
        return bli_tf_session_run(s, &feed, 1, fetches->at, fetches->count, out);
    const int64_t n = bl_shape_count(&x->value.shape);
    uint8_t *codes = bli_alloc(job->ctx, (size_t)n);
    if (!codes)
        return BL_NO_MEMORY;
    const bli_encoder to_codes = bli_encoder_make(e->range[0], e->range[1], &bli_quint8);
    bli_eight_encode(&to_codes, &bli_quint8, x->value.data, n, codes);
    feed.value.dtype = BLI_DT_QUINT8;
    feed.value.data = codes;
    bl_status status = bli_tf_session_run(s, &feed, 1, fetches->at, fetches->count, out);
    bli_free(job->ctx, codes);
    return status;
}

static bl_status find_input(bli_tg_samples *s, const bli_tf_graph *g)
{
    const char *input;
    BLI_TRY(bli_tg_arg_text(s->job, "input", NULL, &input));
    if (!input)
        BLI_TRY(only_input(s->job, g, &input));
    return bli_tg_entry_find(s->job, g, input, &s->entry);
}

/* ---- files -------------------------------------------------------------------------------------------------------
 */

static bl_status add_file(bli_tg_samples *s, const char *path, size_t *room)
{
    if (s->num_files == MOST_FILES)
        return bli_fail(s->job->ctx, BL_LIMIT, "more than %d images", MOST_FILES);
    if (s->num_files == *room) {
        const size_t more = *room ? 2 * *room : 16;
        const char **files = bli_tf_alloc_array(s->job->store, more, sizeof *files);
        if (!files)
            return BL_NO_MEMORY;
        if (*room)
            memcpy(files, s->files, *room * sizeof *files);
        s->files = files;
        *room = more;
    }
    s->files[s->num_files] = bli_tf_text_copy(s->job->store, path, strlen(path));
    return s->files[s->num_files++] ? BL_OK : BL_NO_MEMORY;
}

/* Names without a wildcard are taken as they are, so that reading them says what is wrong with them. */
static bl_status add_files(bli_tg_samples *s, const char *pattern, size_t *room)
{
    glob_t found;
    if (!strpbrk(pattern, "*?["))
        return add_file(s, pattern, room);
    const int failed = glob(pattern, 0, NULL, &found);
    bl_status status = BL_OK;
    if (failed == GLOB_NOSPACE)
        status = bli_fail(s->job->ctx, BL_NO_MEMORY, "out of memory while looking for '%s'", pattern);
    else if (failed)
        status = bli_fail(s->job->ctx, BL_NOT_FOUND, "parameter 'images': no file is called '%s'", pattern);
    for (size_t i = 0; status == BL_OK && i < found.gl_pathc; i++)
        status = add_file(s, found.gl_pathv[i], room);
    if (!failed)
        globfree(&found);
    return status;
}

bl_status bli_tg_samples_find(const bli_tg_job *job, const bli_tf_graph *g, bli_tg_samples *out)
{
    const size_t count = bli_tg_arg_count(job, "images");
    size_t room = 0;
    *out = (bli_tg_samples){.job = job};
    if (count == 0)
        return bli_fail(job->ctx, BL_USAGE, "parameter 'images' is missing");
    BLI_TRY(bli_tg_arg_float(job, "mean", 0, &out->mean));
    BLI_TRY(bli_tg_arg_float(job, "std", 255, &out->std));
    BLI_TRY(need_std(out));
    for (size_t i = 0; i < count; i++)
        BLI_TRY(add_files(out, bli_tg_arg_value(job, "images", i), &room));
    return find_input(out, g);
}

/* ---- runs --------------------------------------------------------------------------------------------------------
 */

static bl_status wrong_shape(const bli_tg_samples *s, const bl_shape *shape)
{
    char have[160], want[160] = "a shape that is not known";
    bl_shape_print(shape, have, sizeof have);
    if (s->entry.shape.rank >= 0)
        bl_shape_print(&s->entry.shape, want, sizeof want);
    return bli_fail(s->job->ctx, BL_BAD_VALUE, "samples of shape %s; input '%s' takes %s", have, s->entry.input, want);
}

/* What one run takes of an array: all but the first dimension, and how many of that. */
static bl_status run_shape(const bli_tg_samples *s, const bl_shape *all, bl_shape *run)
{
    const int rank = s->entry.shape.rank < 0 ? all->rank : s->entry.shape.rank, skip = all->rank - rank;
    if (all->rank < 1 || skip < 0 || skip > 1)
        return wrong_shape(s, all);
    run->rank = rank;
    for (int i = 0; i < rank; i++) {
        const int64_t want = s->entry.shape.rank < 0 ? -1 : s->entry.shape.dim[i], have = all->dim[i + skip];
        const bool counts = i + skip == 0;
        run->dim[i] = counts ? want < 0 ? 1 : want : have;
        if (!counts && want >= 0 && want != have)
            return wrong_shape(s, all);
    }
    const int64_t batch = skip ? 1 : run->dim[0];
    if (batch < 1 || all->dim[0] < 1 || all->dim[0] % batch != 0)
        return wrong_shape(s, all);
    return BL_OK;
}

typedef struct slicing {
    const bli_tg_samples *s;
    bli_tg_sample_fn fn;
    void *user;
    float *x;
} slicing;

static void to_float(const bli_tg_samples *s, const bl_tensor *t, int64_t at, int64_t n, float *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = t->type == BL_U8    ? ((float)((const uint8_t *)t->data)[at + i] - s->mean) / s->std
               : t->type == BL_F64 ? (float)((const double *)t->data)[at + i]
                                   : ((const float *)t->data)[at + i];
}

static bl_status each_slice(slicing *w, const bl_tensor *t)
{
    bl_context *ctx = w->s->job->ctx;
    bl_shape run;
    if (t->type != BL_U8 && t->type != BL_F32 && t->type != BL_F64)
        return bli_fail(ctx, BL_UNSUPPORTED, "an array of %s; expected U8, F32 or F64", bl_dtype_name(t->type));
    BLI_TRY(run_shape(w->s, &t->shape, &run));
    const int64_t all = bl_shape_count(&t->shape), n = bl_shape_count(&run);
    if (n < 1 || all < n)
        return wrong_shape(w->s, &t->shape);
    w->x = bli_alloc_array(ctx, (size_t)n, sizeof *w->x);
    if (!w->x)
        return BL_NO_MEMORY;
    const bli_tf_feed feed = {w->s->entry.input, {BLI_DT_FLOAT, run, w->x, NULL}};
    bl_status status = BL_OK;
    for (int64_t at = 0; status == BL_OK && at < all; at += n) {
        to_float(w->s, t, at, n, w->x);
        status = bli_within(ctx, w->fn(w->user, &feed), "sample %lld", (long long)(at / n));
    }
    bli_free(ctx, w->x);
    return status;
}

static bl_status picture(slicing *w, const char *path)
{
    const bli_tg_samples *s = w->s;
    bl_tensor t;
    if (s->entry.shape.rank != 4 || s->entry.shape.dim[1] < 1 || s->entry.shape.dim[2] < 1)
        return bli_within(s->job->ctx, wrong_shape(s, &(bl_shape){4, {1, -1, -1, 3}}),
                          "%s: pictures need an input of known height and width", path);
    BLI_TRY(bl_tf_picture_read(s->job->ctx, path, (int)s->entry.shape.dim[1], (int)s->entry.shape.dim[2], s->mean,
                               s->std, &t));
    bl_status status = bli_within(s->job->ctx, each_slice(w, &t), "%s", path);
    bl_tensor_free(s->job->ctx, &t);
    return status;
}

static bl_status array(slicing *w, const char *path)
{
    bl_tensor t;
    BLI_TRY(bl_npy_read(w->s->job->ctx, path, &t));
    bl_status status = bli_within(w->s->job->ctx, each_slice(w, &t), "%s", path);
    bl_tensor_free(w->s->job->ctx, &t);
    return status;
}

bl_status bli_tg_samples_each(const bli_tg_samples *s, bli_tg_sample_fn fn, void *user)
{
    slicing w = {s, fn, user, NULL};
    for (size_t i = 0; i < s->num_files; i++) {
        const size_t n = strlen(s->files[i]);
        const bool is_array = n >= 4 && strcmp(s->files[i] + n - 4, ".npy") == 0;
        BLI_TRY(is_array ? array(&w, s->files[i]) : picture(&w, s->files[i]));
    }
    return BL_OK;
}
