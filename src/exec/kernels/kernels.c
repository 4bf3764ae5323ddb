/* kernels.c: the tables of loops, and which of them this machine has. */
#include "exec/kernels/kernels.h"

#include <string.h>

extern const bli_exec_kernels bli_exec_kernels_generic;
#if defined(__x86_64__)
extern const bli_exec_kernels bli_exec_kernels_avx2, bli_exec_kernels_avx512, bli_exec_kernels_amx;
#elif defined(__aarch64__)
extern const bli_exec_kernels bli_exec_kernels_neon, bli_exec_kernels_dotprod;
#endif
#if defined(__x86_64__)
#define X86(table) &(table)
#else
#define X86(table) NULL
#endif
#if defined(__aarch64__)
#define ARM(table) &(table)
#else
#define ARM(table) NULL
#endif

static bool always(void)
{
    return true;
}

static const struct {
    const char *name;
    const bli_exec_kernels *table; /* NULL: of other machines */
    bli_isa isa;                   /* at least */
    bool (*there)(void);
} sets[] = {
    {"generic", &bli_exec_kernels_generic, BLI_ISA_GENERIC, always},
    {"avx2", X86(bli_exec_kernels_avx2), BLI_ISA_AVX2, always},
    {"avx512", X86(bli_exec_kernels_avx512), BLI_ISA_AVX512, bli_cpu_counts_bytes},
    {"amx", X86(bli_exec_kernels_amx), BLI_ISA_AVX512, bli_cpu_has_tiles},
    {"neon", ARM(bli_exec_kernels_neon), BLI_ISA_GENERIC, bli_cpu_has_neon},
    {"dotprod", ARM(bli_exec_kernels_dotprod), BLI_ISA_GENERIC, bli_cpu_has_dotprod},
};

static bool is_here(size_t k)
{
    return sets[k].table != NULL && sets[k].isa <= bli_cpu_isa() && sets[k].there();
}

const bli_exec_kernels *bli_exec_kernels_at(int i)
{
    for (size_t k = 0; k < BLI_COUNT(sets); k++)
        if (is_here(k) && i-- == 0)
            return sets[k].table;
    return NULL;
}

const bli_exec_kernels *bli_exec_kernels_named(const char *name, bool *known)
{
    *known = false;
    for (size_t k = 0; k < BLI_COUNT(sets); k++)
        if (strcmp(sets[k].name, name) == 0) {
            *known = true;
            return is_here(k) ? sets[k].table : NULL;
        }
    return NULL;
}
