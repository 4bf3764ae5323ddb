/* cpu.h: what this processor can do.  The instruction-set folders are chosen by this, once, at planning. */
#ifndef BLI_CPU_H
#define BLI_CPU_H

#include <stdbool.h>

typedef enum bli_isa { BLI_ISA_GENERIC, BLI_ISA_AVX2, BLI_ISA_AVX512, BLI_ISA_COUNT } bli_isa;

/* The widest of the above that the CPU and the operating system support and that environment variable BITLATHE_ISA
 * ("generic", "avx2", "avx512", "amx"; "neon", "dotprod") does not forbid. */
bli_isa bli_cpu_isa(void);
/* Beyond AVX-512's base: products of bytes (VNNI) and counts of bits (VPOPCNTDQ). */
bool bli_cpu_counts_bytes(void);
/* Beyond that: tiles of products of bytes (AMX), which the process has to ask the operating system for; this does.  Not
 * where BITLATHE_ISA names anything but "amx". */
bool bli_cpu_has_tiles(void);
/* ARM's, beside BLI_ISA_GENERIC: NEON, and its products of bytes.  Not where BITLATHE_ISA names something less. */
bool bli_cpu_has_neon(void);
bool bli_cpu_has_dotprod(void);
const char *bli_isa_name(bli_isa isa);
/* CPUs this process may run on. */
int bli_cpu_count(void);

#endif
