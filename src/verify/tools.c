/* tools.c: the temporary folder of a verification, and tools that run in it. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"
#include "verify/impl.h"

enum { KEPT = 1 << 20, WORDS = 400 };

static bl_status make_temporary(bli_verify *v)
{
    const char *base = getenv("TMPDIR");
    if (snprintf(v->folder, sizeof v->folder, "%s/bitlathe-verify-XXXXXX", base && *base ? base : "/tmp") >=
            BLI_VERIFY_ROOM / 2 ||
        !mkdtemp(v->folder)) {
        v->folder[0] = '\0';
        return bli_fail(v->ctx, BL_IO, "no temporary folder: %s (TMPDIR says where)", strerror(errno));
    }
    return BL_OK;
}

bl_status bli_verify_folder(bli_verify *v, const char *name, char path[BLI_VERIFY_ROOM])
{
    if (v->folder[0] == '\0')
        BLI_TRY(make_temporary(v));
    snprintf(path, BLI_VERIFY_ROOM, "%.2000s/%.1000s", v->folder, name);
    return BL_OK;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    remove(path);
    return 0;
}

void bli_verify_remove(bli_verify *v)
{
    if (v->folder[0] != '\0')
        nftw(v->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    v->folder[0] = '\0';
}

bl_status bli_verify_run(bli_verify *v, const char *folder, const char *const *argv, char **said)
{
    int status;
    char words[WORDS];
    bli_process p = {argv, folder, v->options.seconds, KEPT, NULL, NULL};
    BLI_TRY(bli_process_run(v->ctx, &p, &status, said));
    if (status == 0)
        return BL_OK;
    const char *difference = strstr(*said, "DIFF");
    snprintf(words, sizeof words, "%s", difference ? difference : *said);
    for (char *c = words; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    bli_free(v->ctx, *said);
    *said = NULL;
    return bli_fail(v->ctx, difference ? BL_MISMATCH : BL_BAD_VALUE, "%s ended with status %d: %s", argv[0], status,
                    words);
}
