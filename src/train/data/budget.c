/* budget.c: how much of the machine's memory rows may take before they are read in place. */
#include <sys/resource.h>
#include <unistd.h>

#include "train/data/data.h"

enum { SHARE = 4 };

size_t bli_data_budget(const bl_dataset_options *o)
{
    if (o->memory > 0)
        return o->memory;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t memory = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 30;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < memory)
        memory = (size_t)limit.rlim_cur;
    return memory / SHARE;
}
