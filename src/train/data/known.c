/* known.c: data sets known by name, and the distribution packages that bring them.
 *
 * Looked for in $BITLATHE_DATA if that is set and nowhere else, so that a test can hide an installed package.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "train/data/source.h"

static const char system_folder[] = "/usr/share/datasets";

static const char *const fashion_classes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                              "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

static const bli_known_set known[] = {
    {.name = "fashion-mnist",
     .folder = "fashion-mnist",
     .package = "dataset-fashion-mnist",
     .shape = "28x28x1",
     .classes = BLI_COUNT(fashion_classes),
     .class_names = fashion_classes},
};

const bli_known_set *bli_known_set_find(const char *name)
{
    for (size_t i = 0; i < BLI_COUNT(known); i++)
        if (strcmp(name, known[i].name) == 0)
            return &known[i];
    return NULL;
}

bl_status bli_known_set_names(bli_buf *out)
{
    for (size_t i = 0; i < BLI_COUNT(known); i++)
        BLI_TRY(bli_buf_printf(out, "%s%s", i ? ", " : "", known[i].name));
    return BL_OK;
}

bl_status bli_known_set_locate(bl_dataset *d, const bli_known_set *k, const char **path)
{
    const char *chosen = getenv("BITLATHE_DATA");
    *path = bli_path_join(d->arena, chosen && *chosen ? chosen : system_folder, k->folder);
    if (!*path)
        return BL_NO_MEMORY;
    struct stat st;
    if (stat(*path, &st) == 0 && S_ISDIR(st.st_mode))
        return BL_OK;
    return bli_fail(
        d->ctx, BL_NOT_FOUND,
        "data set %s is not in %s: install the package %s (apt-get install %s), or set BITLATHE_DATA to the "
        "folder that holds %s",
        k->name, *path, k->package, k->package, k->folder);
}
