/* csv_source.c: what kind of table a file holds: its separator, whether its first line has names, its target column;
 * and folders with a train.csv and a test.csv.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "train/data/csv.h"
#include "train/data/number.h"
#include "train/data/source.h"

static const char separators[] = ",;\t|";
static const char *const usual_targets[] = {"label", "target", "class", "y"};

/* ---- first look ---------------------------------------------------------------------------------------------- */
static bool is_text(const uint8_t *head, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (head[i] == 0 || (head[i] < 0x20 && !strchr("\t\n\r\f", head[i])))
            return false;
    return n > 0 && !(head[0] == 'P' && n > 1 && head[1] == 'K');
}

static bool is_utf16(const uint8_t *head, size_t n)
{
    return n >= 2 && ((head[0] == 0xff && head[1] == 0xfe) || (head[0] == 0xfe && head[1] == 0xff));
}

/* The one that stands most often outside of quotes in the first line. */
static char find_separator(const uint8_t *head, size_t n)
{
    size_t counts[sizeof separators] = {0}, best = 0;
    bool quoted = false, any = false;
    for (size_t i = 0; i < n && !(any && !quoted && (head[i] == '\n' || head[i] == '\r')); i++) {
        any = any || !isspace(head[i]);
        quoted = quoted != (head[i] == '"');
        const char *s = quoted || !head[i] ? NULL : strchr(separators, head[i]);
        if (s)
            counts[s - separators]++;
    }
    for (size_t i = 1; i < sizeof separators - 1; i++)
        best = counts[i] > counts[best] ? i : best;
    return separators[best];
}

/* ---- first line ---------------------------------------------------------------------------------------------- */
typedef struct first_line {
    const char **names;
    size_t columns;
    bool any_number;
} first_line;

static bl_status add_name(bl_dataset *d, const bli_csv_cursor *c, first_line *l)
{
    if (l->columns == BLI_CSV_MAX_COLUMNS)
        return bli_csv_at_cell(c, bli_fail(d->ctx, BL_LIMIT, "more than %d columns", BLI_CSV_MAX_COLUMNS));
    if ((l->columns & (l->columns - 1)) == 0) { /* a power of two is full: the next one, twice as large */
        const char **names = bli_arena_array(d->arena, l->columns ? 2 * l->columns : 1, sizeof *names);
        if (!names)
            return BL_NO_MEMORY;
        for (size_t i = 0; i < l->columns; i++)
            names[i] = l->names[i];
        l->names = names;
    }
    l->names[l->columns] = bli_arena_strdup(d->arena, c->text);
    double v;
    l->any_number = l->any_number || bli_number_parse(c->text, c->length, c->format->c_locale, &v) == BLI_NUMBER;
    return l->names[l->columns++] ? BL_OK : BL_NO_MEMORY;
}

static bl_status read_names(bl_dataset *d, bli_csv_cursor *c, first_line *l)
{
    bool more = false;
    uint64_t offset;
    BLI_TRY(bli_csv_next_row(c, &more, &offset));
    if (!more)
        return bli_fail(d->ctx, BL_BAD_FILE, "%s: has no rows", c->format->path);
    for (bli_csv_end end = BLI_CSV_SEPARATOR; end == BLI_CSV_SEPARATOR;) {
        BLI_TRY(bli_csv_cell(c, &end));
        BLI_TRY(add_name(d, c, l));
    }
    return BL_OK;
}

static bl_status read_first_line(bl_dataset *d, const bli_csv_format *f, first_line *l)
{
    bli_input *in = NULL;
    BLI_TRY(bli_input_open(d->ctx, f->path, &in));
    bli_csv_cursor *c = bli_alloc(d->ctx, sizeof *c);
    bl_status s = BL_NO_MEMORY;
    if (c) {
        bli_csv_start(c, d->ctx, f, in);
        s = read_names(d, c, l);
    }
    bli_free(d->ctx, c);
    bli_input_close(in);
    return s;
}

/* ---- target -------------------------------------------------------------------------------------------------- */
static bool is_column_number(const char *text, long *number)
{
    char *end = NULL;
    *number = strtol(text, &end, 10);
    return end != text && *end == '\0' && (isdigit((unsigned char)*text) || *text == '-');
}

static bool find_name(const first_line *l, const char *name, size_t *column)
{
    for (size_t i = 0; i < l->columns; i++)
        if (strcmp(l->names[i], name) == 0) {
            *column = i;
            return true;
        }
    return false;
}

static bl_status numbered_target(bl_dataset *d, const first_line *l, long number, size_t *target)
{
    long columns = (long)l->columns, at = number < 0 ? columns + number : number;
    if (at < 0 || at >= columns)
        return bli_fail(d->ctx, BL_BAD_VALUE, "%s: target column %ld; it has columns 0 to %ld", d->path, number,
                        columns - 1);
    *target = (size_t)at;
    return BL_OK;
}

static bl_status usual_target(bl_dataset *d, const bli_csv_format *f, const first_line *l, size_t *target)
{
    for (size_t i = 0; f->header && i < BLI_COUNT(usual_targets); i++)
        if (find_name(l, usual_targets[i], target))
            return BL_OK;
    return bli_fail(d->ctx, BL_BAD_VALUE, "%s: which of its %zu columns is the target? Give its %s as target", f->path,
                    l->columns, f->header ? "name" : "number, from 0");
}

static bl_status find_target(bl_dataset *d, const bli_csv_format *f, const first_line *l, const char *text,
                             size_t *target)
{
    long number;
    if (!text)
        return usual_target(d, f, l, target);
    if (is_column_number(text, &number))
        return numbered_target(d, l, number, target);
    if (find_name(l, text, target))
        return BL_OK;
    const char *nearest = bli_nearest(text, l->names, l->columns);
    return bli_fail(d->ctx, BL_NOT_FOUND, "%s: no column '%s' among the %zu of its first line%s%s%s", f->path, text,
                    l->columns, nearest ? "; perhaps '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* ---- the table ----------------------------------------------------------------------------------------------- */
static void free_locale(bl_context *ctx, void *l)
{
    (void)ctx;
    freelocale(l);
}

static bl_status name_features(bl_dataset *d, const bli_csv_format *f)
{
    const char **names = bli_arena_array(d->arena, f->columns, sizeof *names);
    if (!names)
        return BL_NO_MEMORY;
    for (size_t i = 0, k = 0; i < f->columns; i++)
        if (i != f->target)
            names[k++] = f->names[i];
    d->feature_names = names;
    return BL_OK;
}

static bl_status examine(bl_dataset *d, const bli_place *p, const bl_dataset_options *o, bli_csv_format *f)
{
    first_line line = {0};
    long number;
    f->path = p->path;
    f->separator = o->separator ? o->separator : find_separator(p->head, p->head_size);
    f->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!f->c_locale)
        return bli_fail(d->ctx, BL_NO_MEMORY, "%s: no C locale", p->path);
    bli_dataset_defer(d, free_locale, f->c_locale);
    BLI_TRY(read_first_line(d, f, &line));
    f->header = o->header || (o->target && !is_column_number(o->target, &number)) || !line.any_number;
    BLI_TRY(find_target(d, f, &line, o->target, &f->target));
    f->columns = line.columns;
    f->names = f->header ? line.names : NULL;
    if (f->columns < 2)
        return bli_fail(d->ctx, BL_BAD_FILE,
                        "%s: has a single column; expected features beside the target (separator "
                        "'%c')",
                        f->path, f->separator);
    return f->header ? name_features(d, f) : BL_OK;
}

static bl_status check_separator(bl_dataset *d, const bl_dataset_options *o)
{
    if (o->separator != '"' && o->separator != '\n' && o->separator != '\r')
        return BL_OK;
    return bli_fail(d->ctx, BL_BAD_VALUE, "%s: separator: expected one character, neither a quote nor a line's end",
                    d->path);
}

static bl_status open_table(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    BLI_TRY(check_separator(d, o));
    if (is_utf16(p->head, p->head_size))
        return bli_fail(d->ctx, BL_UNSUPPORTED, "%s: is UTF-16 text; save it as UTF-8", p->path);
    bli_csv_format *f = bli_arena_alloc(d->arena, sizeof *f);
    if (!f)
        return BL_NO_MEMORY;
    BLI_TRY(examine(d, p, o, f));
    return bli_csv_load(d, f, o);
}

static bool accepts_file(const bli_place *p)
{
    return is_text(p->head, p->head_size) || is_utf16(p->head, p->head_size);
}

static bl_status open_file(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    BLI_TRY(bli_split_single(d, o, "open the test file itself, or put train.csv and test.csv into one folder"));
    return open_table(d, p, o);
}

const bli_source bli_source_csv = {
    .name = "csv",
    .what = "a table of numbers in text (CSV)",
    .accepts = accepts_file,
    .open = open_file,
};

/* ---- folders ------------------------------------------------------------------------------------------------- */
static const char *const parts[2][3] = {{"train.csv", "train.tsv", "train.txt"}, {"test.csv", "test.tsv", "test.txt"}};

static const char *find_part(const bli_folder *f, bool test)
{
    for (size_t i = 0; i < BLI_COUNT(parts[0]); i++)
        if (bli_folder_has(f, parts[test][i], false))
            return parts[test][i];
    return NULL;
}

static bool accepts_folder(const bli_place *p)
{
    return find_part(&p->folder, false) || find_part(&p->folder, true);
}

static bl_status place_part(bl_dataset *d, const bli_place *folder, bool test, bli_place *out)
{
    const char *name = find_part(&folder->folder, test);
    if (!name)
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: has no %s", folder->path, parts[test][0]);
    out->path = bli_path_join(d->arena, folder->path, name);
    return out->path ? bli_place_read_head(d->ctx, out) : BL_NO_MEMORY;
}

/* The test part's columns must be the training part's. */
static bl_status same_columns(const bl_dataset *train, const bl_dataset *test, const char *path)
{
    if (train->row_elements != test->row_elements)
        return bli_fail(test->ctx, BL_BAD_FILE, "%s: has %zu feature columns, but the training part has %zu", path,
                        test->row_elements, train->row_elements);
    for (int64_t i = 0; i < (int64_t)test->row_elements; i++) {
        const char *a = bl_dataset_feature_name(train, i), *b = bl_dataset_feature_name(test, i);
        if (a && b && strcmp(a, b) != 0)
            return bli_fail(test->ctx, BL_BAD_FILE, "%s: feature %lld is '%s', but '%s' in the training part", path,
                            (long long)i, b, a);
    }
    return BL_OK;
}

/* Classes are those of the training part, so that both parts number them alike. */
static bl_status open_like(bl_dataset *d, const bli_place *test, const bl_dataset *train, const bl_dataset_options *o)
{
    bl_dataset_options like = *o;
    if (o->classes == 0 && !o->regression) {
        like.classes = train->classes;
        like.class_names = train->class_names;
    }
    BLI_TRY(open_table(d, test, &like));
    return same_columns(train, d, test->path);
}

static bl_status open_test(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    bli_place *both = bli_arena_array(d->arena, 2, sizeof *both);
    if (!both)
        return BL_NO_MEMORY;
    BLI_TRY(place_part(d, p, true, &both[1]));
    if (!find_part(&p->folder, false))
        return open_table(d, &both[1], o);
    BLI_TRY(place_part(d, p, false, &both[0]));
    bl_dataset *train = NULL;
    BLI_TRY(bli_dataset_create(d->ctx, both[0].path, &train));
    bl_status s = open_table(train, &both[0], o);
    if (s == BL_OK)
        s = open_like(d, &both[1], train, o);
    bl_dataset_close(train);
    return s;
}

static bl_status open_folder(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    if (o->split ? strcmp(o->split, "test") == 0 : find_part(&p->folder, true) != NULL)
        return open_test(d, p, o);
    bli_place *train = bli_arena_alloc(d->arena, sizeof *train);
    if (!train)
        return BL_NO_MEMORY;
    BLI_TRY(place_part(d, p, false, train));
    return open_table(d, train, o);
}

const bli_source bli_source_csv_folder = {
    .name = "csv-folder",
    .what = "a folder with train.csv and test.csv",
    .is_folder = true,
    .accepts = accepts_folder,
    .open = open_folder,
};
