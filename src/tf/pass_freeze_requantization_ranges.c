/* pass_freeze_requantization_ranges.c: ranges that were logged, as constants in place of RequantizationRange. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tf/transform.h"

static const char mark[] = "__print__;__requant_min_max:";
#define MOST_LOG ((size_t)1 << 30)

typedef struct record {
    const char *name; /* of the node, not ended by NUL */
    size_t size;
    float min, max;
} record;

typedef struct records {
    size_t count;
    record *at;
} records;

/* "[1.5][2]": two numbers in brackets and nothing else. */
static bool parse_bracket(const char **p, float *out)
{
    char *end;
    if (**p != '[')
        return false;
    *out = strtof(*p + 1, &end);
    if (end == *p + 1 || *end != ']')
        return false;
    *p = end + 1;
    return true;
}

/* A line is pieces with ';' between; the piece before the numbers is the node's name and "__print__". */
static bool parse_line(const char *line, record *r)
{
    const char *at = strstr(line, mark), *name = at;
    if (!at)
        return false;
    while (name > line && name[-1] != ';')
        name--;
    *r = (record){name, (size_t)(at - name), 0, 0};
    const char *p = at + strlen(mark);
    return parse_bracket(&p, &r->min) && parse_bracket(&p, &r->max) && (*p == '\0' || *p == ';' || *p == '\r');
}

static bl_status read_log(const bli_tg_job *job, const char *path, records *out)
{
    char *raw;
    size_t size, lines = 1;
    BLI_TRY(bli_file_read(job->ctx, path, MOST_LOG, &raw, &size));
    char *text = bli_tf_text_copy(job->store, raw, size);
    bli_free(job->ctx, raw);
    if (!text)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    *out = (records){0, bli_tf_alloc_array(job->store, lines, sizeof *out->at)};
    if (!out->at)
        return BL_NO_MEMORY;
    for (char *line = text, *end = text + size; line < end;) {
        size_t n = strcspn(line, "\n");
        line[n] = '\0';
        if (parse_line(line, &out->at[out->count]))
            out->count++;
        line += n + 1;
    }
    if (out->count == 0)
        return bli_fail(job->ctx, BL_BAD_FILE, "%s: no line has '%s[MIN][MAX]'", path, mark);
    return BL_OK;
}

/* ---- percentiles --------------------------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* From the least of mins and of maxs, sorted, those that leave so many percent outside. */
static void choose(float *mins, float *maxs, size_t count, float min_percent, float max_percent, float *min, float *max)
{
    double low = round((double)count * ((double)min_percent / 100)), last = (double)count - 1;
    double high = round((double)count * (1 - (double)max_percent / 100));
    qsort(mins, count, sizeof *mins, by_value);
    qsort(maxs, count, sizeof *maxs, by_value);
    low = low < 0 ? 0 : low > last ? last : low;
    high = high > last ? last : high < 0 ? 0 : high;
    *min = mins[(size_t)low];
    *max = maxs[(size_t)high];
}

static bool is_of(const record *r, const char *name)
{
    return strlen(name) == r->size && memcmp(name, r->name, r->size) == 0;
}

typedef struct freezer {
    const bli_tg_job *job;
    records log;
    float min_percent, max_percent;
    float *mins, *maxs;
    bli_tg_renames renames;
} freezer;

static bl_status freeze(freezer *f, const bli_tf_node *n, size_t count, bli_tf_graph *out)
{
    float low, high;
    char *min = bli_tf_text(f->job->store, "%s/frozen_min", n->name),
         *from = bli_tf_text(f->job->store, "%s:0", n->name);
    char *max = bli_tf_text(f->job->store, "%s/frozen_max", n->name), *to = bli_tf_text(f->job->store, "%s:1", n->name);
    if (!min || !max || !from || !to)
        return BL_NO_MEMORY;
    choose(f->mins, f->maxs, count, f->min_percent, f->max_percent, &low, &high);
    BLI_TRY(bli_tg_add_float(out, min, low));
    BLI_TRY(bli_tg_add_float(out, max, high));
    BLI_TRY(bli_tg_renames_add(&f->renames, from, min));
    return bli_tg_renames_add(&f->renames, to, max);
}

static bl_status visit(freezer *f, bli_tf_node *n, bli_tf_graph *out)
{
    size_t count = 0;
    for (size_t i = 0; i < f->log.count; i++)
        if (is_of(&f->log.at[i], n->name)) {
            f->mins[count] = f->log.at[i].min;
            f->maxs[count++] = f->log.at[i].max;
        }
    if (count == 0)
        return bli_tf_graph_add(out, n);
    if (strcmp(n->op, "RequantizationRange") != 0)
        return bli_fail(f->job->ctx, BL_BAD_MODEL, "node '%s' (%s) is in the log; expected a RequantizationRange",
                        n->name, n->op);
    return freeze(f, n, count, out);
}

static bl_status check_names(const freezer *f, const bli_tf_graph *g)
{
    bli_tf_index ix;
    bl_status s = BL_OK;
    BLI_TRY(bli_tf_index_make(g, &ix));
    for (size_t i = 0; i < f->log.count && s == BL_OK; i++)
        if (bli_tf_index_find(&ix, f->log.at[i].name, f->log.at[i].size) == SIZE_MAX)
            s = bli_fail(f->job->ctx, BL_NOT_FOUND, "the log has node '%.*s', the graph has none of that name",
                         (int)f->log.at[i].size, f->log.at[i].name);
    bli_tf_index_free(&ix);
    return s;
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    freezer f = {.job = job};
    const char *path;
    bli_tf_graph *frozen = bli_tf_graph_like(in);
    BLI_TRY(bli_tg_arg_required(job, "min_max_log_file", &path));
    BLI_TRY(bli_tg_arg_float(job, "min_percentile", 5, &f.min_percent));
    BLI_TRY(bli_tg_arg_float(job, "max_percentile", 5, &f.max_percent));
    BLI_TRY(read_log(job, path, &f.log));
    f.mins = bli_tf_alloc_array(job->store, f.log.count, sizeof *f.mins);
    f.maxs = bli_tf_alloc_array(job->store, f.log.count, sizeof *f.maxs);
    bli_tg_renames_init(&f.renames, job->store);
    if (!f.mins || !f.maxs || !frozen)
        return BL_NO_MEMORY;
    BLI_TRY(check_names(&f, in));
    for (size_t i = 0; i < in->num_nodes; i++)
        BLI_TRY(visit(&f, in->nodes[i], frozen));
    return bli_tg_rename_inputs(&f.renames, frozen, NULL, out);
}

static const bli_tg_param params[] = {
    {"min_max_log_file", BLI_TG_TEXT, false, "what insert_logging's Prints wrote (required)"},
    {"min_percentile", BLI_TG_FLOAT, false, "percent of logged minima that may lie outside (5)"},
    {"max_percentile", BLI_TG_FLOAT, false, "percent of logged maxima that may lie outside (5)"},
    {0},
};

const bli_tg_pass bli_tg_freeze_requantization_ranges = {.name = "freeze_requantization_ranges",
                                                         .help = "puts logged ranges in place of RequantizationRange",
                                                         .params = params,
                                                         .ops = "RequantizationRange",
                                                         .run = run};
