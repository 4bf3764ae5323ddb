/* kernels.c: which table of kernels belongs to an instruction set and a carrier, and matrices as panels. */
#include "op/kernels/product.h"

#define TABLE(isa) extern const bli_kernels bli_kernels_f32_##isa, bli_kernels_f64_##isa;
TABLE(generic)
#if defined(__x86_64__)
TABLE(avx2)
TABLE(avx512)
#endif

const bli_kernels *bli_kernels_get(bli_isa isa, bl_dtype type)
{
    static const bli_kernels *const tables[BLI_ISA_COUNT][2] = {
        [BLI_ISA_GENERIC] = {&bli_kernels_f32_generic, &bli_kernels_f64_generic},
#if defined(__x86_64__)
        [BLI_ISA_AVX2] = {&bli_kernels_f32_avx2, &bli_kernels_f64_avx2},
        [BLI_ISA_AVX512] = {&bli_kernels_f32_avx512, &bli_kernels_f64_avx512},
#endif
    };
    const bli_kernels *k = tables[isa][type == BL_F64];
    return k ? k : tables[BLI_ISA_GENERIC][type == BL_F64];
}

int64_t bli_panels_size(const bli_kernels *kernels, int64_t rows, int64_t columns)
{
    return (columns + kernels->lanes - 1) / kernels->lanes * kernels->lanes * rows;
}

void bli_panels_pack(const bli_kernels *kernels, bl_dtype type, const void *src, ptrdiff_t row_step,
                     ptrdiff_t column_step, int64_t rows, int64_t columns, void *panels)
{
    for (int64_t n = 0; n < columns; n += kernels->lanes) {
        const bli_pack p = {
            .src = bli_at(src, type, n * column_step),
            .panel = bli_at_mut(panels, type, n * rows),
            .row_step = row_step,
            .column_step = column_step,
            .rows = rows,
            .columns = columns - n < kernels->lanes ? columns - n : kernels->lanes,
            .inner = rows > 0 ? rows : 1,
            .inner_step = 1,
        };
        kernels->pack(&p);
    }
}
