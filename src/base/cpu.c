/* cpu.c: the instruction sets of this machine, through the compiler's own probe (which asks the operating system too).
 */
#include "base/cpu.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

static const char *const isa_names[BLI_ISA_COUNT] = {
    [BLI_ISA_GENERIC] = "generic",
    [BLI_ISA_AVX2] = "avx2",
    [BLI_ISA_AVX512] = "avx512",
};

static bli_isa widest(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return BLI_ISA_GENERIC;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return BLI_ISA_AVX512;
    return BLI_ISA_AVX2;
#else
    return BLI_ISA_GENERIC;
#endif
}

bli_isa bli_cpu_isa(void)
{
    bli_isa isa = widest();
    const char *wish = getenv("BITLATHE_ISA");
    if (wish == NULL)
        return isa;
    for (bli_isa i = BLI_ISA_GENERIC; i < isa; i++)
        if (strcmp(wish, isa_names[i]) == 0)
            return i;
    return isa;
}

bool bli_cpu_counts_bytes(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
#else
    return false;
#endif
}

#if defined(__x86_64__)
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
enum { AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };      /* leaf 7, EDX */

bool bli_cpu_has_tiles(void)
{
    unsigned a, b, c, d;
    const char *wish = getenv("BITLATHE_ISA");
    if ((wish != NULL && strcmp(wish, "amx") != 0) || bli_cpu_isa() != BLI_ISA_AVX512 || !bli_cpu_counts_bytes())
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX_TILE) == 0 || (d & AMX_INT8) == 0)
        return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#else
bool bli_cpu_has_tiles(void)
{
    return false;
}
#endif

#if defined(__aarch64__)
enum { HAS_DOTPROD = 1 << 20 }; /* HWCAP_ASIMDDP */

static bool wished(const char *name)
{
    const char *wish = getenv("BITLATHE_ISA");
    return wish == NULL || strcmp(wish, name) == 0;
}

bool bli_cpu_has_neon(void)
{
    return wished("neon") || wished("dotprod");
}

bool bli_cpu_has_dotprod(void)
{
    return wished("dotprod") && (getauxval(AT_HWCAP) & HAS_DOTPROD) != 0;
}
#else
bool bli_cpu_has_neon(void)
{
    return false;
}

bool bli_cpu_has_dotprod(void)
{
    return false;
}
#endif

const char *bli_isa_name(bli_isa isa)
{
    return (unsigned)isa < BLI_ISA_COUNT ? isa_names[isa] : "unknown";
}

int bli_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n < 4096 ? (int)n : 1;
}
