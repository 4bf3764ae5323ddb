/* image_source.c: a folder of folders of images; a folder's name is its class.
 *
 * Rows are in order of class, then of file name.  Every header is looked at when the set is opened, so that a wrong
 * size is not found in the tenth epoch; pixels are decoded then too if they fit into memory, else when they are read.
 */
#include <string.h>
#include <strings.h>

#include "train/data/image_cache.h"
#include "train/data/source.h"

static const char *const taken[] = {".png", ".jpg", ".jpeg"};
static const char *const refused[] = {".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"};

typedef struct image_set {
    bl_dataset *d;
    const char *part; /* the folder that holds the classes */
    const char **classes;
    int num_classes;
    bli_image_file *files;
    size_t count, left_out;
    bli_image_info info;
    bli_image_cache *cache;
} image_set;

static bool has_ending(const char *name, const char *const *endings, size_t count)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < count; i++) {
        size_t k = strlen(endings[i]);
        if (n > k && strcasecmp(name + n - k, endings[i]) == 0)
            return true;
    }
    return false;
}

/* ---- classes ------------------------------------------------------------------------------------------------- */
static bl_status class_folders(image_set *s, const bli_folder *f)
{
    s->classes = bli_arena_array(s->d->arena, f->count + 1, sizeof *s->classes);
    if (!s->classes)
        return BL_NO_MEMORY;
    s->num_classes = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->entries[i].folder && s->num_classes <= BLI_DATA_MAX_CLASSES)
            s->classes[s->num_classes++] = f->entries[i].name;
    if (s->num_classes == 0)
        return bli_fail(s->d->ctx, BL_BAD_FILE, "%s: holds no folder; expected one for each class", f->path);
    if (s->num_classes > BLI_DATA_MAX_CLASSES)
        return bli_fail(s->d->ctx, BL_LIMIT, "%s: holds more than %d folders", f->path, BLI_DATA_MAX_CLASSES);
    return BL_OK;
}

static bl_status given_classes(image_set *s, const bl_dataset_options *o)
{
    s->classes = bli_arena_array(s->d->arena, (size_t)o->classes, sizeof *s->classes);
    if (!s->classes)
        return BL_NO_MEMORY;
    s->num_classes = o->classes;
    for (int c = 0; c < o->classes; c++)
        s->classes[c] = o->class_names[c];
    return BL_OK;
}

static bl_status class_number(const image_set *s, const char *folder, uint32_t *number)
{
    for (int c = 0; c < s->num_classes; c++)
        if (strcmp(s->classes[c], folder) == 0) {
            *number = (uint32_t)c;
            return BL_OK;
        }
    const char *nearest = bli_nearest(folder, s->classes, (size_t)s->num_classes);
    return bli_fail(s->d->ctx, BL_BAD_FILE, "%s: folder '%s' is not one of the %d classes%s%s%s", s->part, folder,
                    s->num_classes, nearest ? "; perhaps '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* ---- files --------------------------------------------------------------------------------------------------- */
static bl_status check_entry(const image_set *s, const bli_folder *f, const bli_entry *e)
{
    if (!has_ending(e->name, refused, BLI_COUNT(refused)))
        return BL_OK;
    return bli_fail(s->d->ctx, BL_UNSUPPORTED, "%s/%s: only PNG and JPEG are read", f->path, e->name);
}

static bl_status add_class(image_set *s, const bli_folder *f, uint32_t number, size_t room)
{
    for (size_t i = 0; i < f->count; i++) {
        const bli_entry *e = &f->entries[i];
        bool image = !e->folder && has_ending(e->name, taken, BLI_COUNT(taken));
        BLI_TRY(check_entry(s, f, e));
        s->left_out += !image;
        if (image && s->count < room)
            s->files[s->count++] = (bli_image_file){f->path, e->name, number};
    }
    return BL_OK;
}

static bl_status list_files(image_set *s, const bli_folder *part)
{
    bli_folder *folders = bli_arena_array(s->d->arena, part->count, sizeof *folders);
    size_t room = 0;
    if (!folders)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < part->count; i++) {
        if (!part->entries[i].folder)
            continue;
        char *path = bli_path_join(s->d->arena, part->path, part->entries[i].name);
        if (!path)
            return BL_NO_MEMORY;
        BLI_TRY(bli_folder_list(s->d->ctx, s->d->arena, path, &folders[i]));
        room += folders[i].count;
    }
    s->files = bli_arena_array(s->d->arena, room, sizeof *s->files);
    if (!s->files)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < part->count; i++) {
        uint32_t number = 0;
        if (!part->entries[i].folder)
            continue;
        BLI_TRY(class_number(s, part->entries[i].name, &number));
        BLI_TRY(add_class(s, &folders[i], number, room));
    }
    if (s->count == 0)
        return bli_fail(s->d->ctx, BL_BAD_FILE, "%s: its folders hold no PNG or JPEG file", part->path);
    if (s->left_out > 0)
        bli_log(s->d->ctx, BL_LOG_WARNING, "%s: %zu entries that are not PNG or JPEG files are left out", part->path,
                s->left_out);
    return BL_OK;
}

/* ---- pixels -------------------------------------------------------------------------------------------------- */
static bl_status different(const image_set *s, const bli_image_file *f, const bli_image_info *info)
{
    return bli_fail(s->d->ctx, BL_BAD_FILE,
                    "%s/%s: is %u x %u pixels, but the first image (%s/%s) is %u x %u; all must have one size",
                    f->folder, f->name, info->width, info->height, s->files[0].folder, s->files[0].name, s->info.width,
                    s->info.height);
}

/* One size; colour if any image has colour. */
static bl_status look_at_headers(image_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        bli_image_info info;
        if (bli_interrupted(s->d->ctx))
            return bli_fail(s->d->ctx, BL_INTERRUPTED, "%s: reading interrupted", s->part);
        BLI_TRY(bli_image_file_read(s->d->ctx, &s->files[i], NULL, &info, NULL));
        if (i == 0)
            s->info = info;
        if (info.width != s->info.width || info.height != s->info.height)
            return different(s, &s->files[i], &info);
        if (info.channels > s->info.channels)
            s->info.channels = info.channels;
    }
    return BL_OK;
}

static bl_status decode_all(image_set *s, size_t bytes, bli_block *b)
{
    uint8_t *pixels = bli_alloc_array(s->d->ctx, s->count, bytes);
    if (!pixels)
        return BL_NO_MEMORY;
    bli_dataset_defer(s->d, bli_free, pixels);
    for (size_t i = 0; i < s->count; i++) {
        bli_image_info info;
        if (bli_interrupted(s->d->ctx))
            return bli_fail(s->d->ctx, BL_INTERRUPTED, "%s: reading interrupted", s->part);
        BLI_TRY(bli_image_file_read(s->d->ctx, &s->files[i], &s->info, &info, pixels + i * bytes));
    }
    b->data = pixels;
    return BL_OK;
}

static void free_cache(bl_context *ctx, void *cache)
{
    (void)ctx;
    bli_image_cache_destroy(cache);
}

static bl_status read_images(const bl_dataset *d, const uint32_t *rows, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++)
        BLI_TRY(bli_image_cache_read(d->state, rows[i], x + i * d->row_elements));
    return BL_OK;
}

static bl_status set_pixels(image_set *s, const bl_dataset_options *o)
{
    bl_shape row = {3, {s->info.height, s->info.width, s->info.channels}};
    size_t bytes = (size_t)bl_shape_count(&row), all = 0, budget = bli_data_budget(o);
    bli_block b = bli_block_make(s->part, BL_U8, s->count, bytes, NULL);
    bool fits = bli_mul_size(bytes, s->count, &all) && all <= budget;
    if (fits)
        BLI_TRY(decode_all(s, bytes, &b));
    BLI_TRY(bli_dataset_set_features(s->d, &b, &row, o->shape));
    if (fits)
        return BL_OK;
    BLI_TRY(bli_image_cache_create(s->d->ctx, s->files, &s->info, budget, s->count, &s->cache));
    bli_dataset_defer(s->d, free_cache, s->cache);
    s->d->state = s->cache;
    s->d->read_features = read_images;
    return BL_OK;
}

static bl_status set_classes(image_set *s, const bl_dataset_options *o)
{
    int32_t *labels = bli_arena_array(s->d->arena, s->count, sizeof *labels);
    if (!labels)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < s->count; i++)
        labels[i] = (int32_t)s->files[i].class_number;
    bl_dataset_options with = *o;
    with.classes = s->num_classes;
    with.class_names = s->classes;
    bli_block b = bli_block_make(s->part, BL_I32, s->count, 1, labels);
    return bli_dataset_set_labels(s->d, &b, &(bl_shape){0}, &with);
}

/* ---- the source ---------------------------------------------------------------------------------------------- */
/* Lists the folder of one part; the set itself where there are no parts. */
static bl_status list_part(bl_dataset *d, const bli_place *p, const char *part, bli_folder *out)
{
    const char *path = part ? bli_path_join(d->arena, p->path, part) : p->path;
    return path ? bli_folder_list(d->ctx, d->arena, path, out) : BL_NO_MEMORY;
}

static bl_status open_part(bl_dataset *d, const bli_folder *part, const bli_folder *class_part,
                           const bl_dataset_options *o)
{
    image_set *s = bli_arena_alloc(d->arena, sizeof *s);
    if (!s)
        return BL_NO_MEMORY;
    *s = (image_set){.d = d, .part = part->path};
    BLI_TRY(o->classes > 0 && o->class_names ? given_classes(s, o) : class_folders(s, class_part));
    BLI_TRY(list_files(s, part));
    BLI_TRY(look_at_headers(s));
    BLI_TRY(set_pixels(s, o));
    return set_classes(s, o);
}

static bl_status open_images(bl_dataset *d, const bli_place *p, const bl_dataset_options *o)
{
    if (o->regression)
        return bli_fail(d->ctx, BL_UNSUPPORTED, "%s: folders of images have classes, not real targets", p->path);
    bool train = bli_folder_has(&p->folder, "train", true), test = bli_folder_has(&p->folder, "test", true);
    bool want_test = o->split ? strcmp(o->split, "test") == 0 : test;
    if (!train && !test) {
        BLI_TRY(bli_split_single(d, o, "put the classes' folders into two folders named train and test"));
        return open_part(d, &p->folder, &p->folder, o);
    }
    if (want_test ? !test : !train)
        return bli_fail(d->ctx, BL_NOT_FOUND, "%s: has no folder %s", p->path, want_test ? "test" : "train");
    bli_folder part, class_part;
    BLI_TRY(list_part(d, p, want_test ? "test" : "train", &part));
    BLI_TRY(list_part(d, p, train ? "train" : "test", &class_part));
    return open_part(d, &part, &class_part, o);
}

static bool accepts(const bli_place *p)
{
    for (size_t i = 0; i < p->folder.count; i++)
        if (p->folder.entries[i].folder)
            return true;
    return false;
}

const bli_source bli_source_images = {
    .name = "images",
    .what = "a folder with a folder of PNG or JPEG files for each class",
    .is_folder = true,
    .accepts = accepts,
    .open = open_images,
};
