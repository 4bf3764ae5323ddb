/* status.c: the words and the exit status of each status code. */
#include "base/base.h"

static const struct {
    const char *name, *text;
    int exit_status;
} statuses[] = {
#define STATUS_ROW(name, text, code) [BL_##name] = {#name, text, code},
    BL_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

static bool known(bl_status s)
{
    return (int)s >= 0 && (size_t)s < BLI_COUNT(statuses);
}

const char *bl_status_name(bl_status s)
{
    return known(s) ? statuses[s].name : "UNKNOWN";
}

const char *bl_status_text(bl_status s)
{
    return known(s) ? statuses[s].text : "not a status";
}

int bl_status_exit(bl_status s)
{
    return known(s) ? statuses[s].exit_status : 1;
}

const char *bl_version(void)
{
    return BITLATHE_VERSION;
}
