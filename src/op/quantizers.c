/* quantizers.c: the one list of quantizers; a new one is a file under op/quantizer/ and a line here. */
#include <string.h>

#include "op/quantizer.h"
#include "op/quantizer/families.h"

/* clang-format off */
static const bli_quantizer *const quantizers[] = {
    &bli_quantizer_ste,
    &bli_quantizer_lsq,
    &bli_quantizer_pact,
    &bli_quantizer_dorefa,
    &bli_quantizer_xnor,
    &bli_quantizer_quantized_bits,
    &bli_quantizer_quantized_relu,
    &bli_quantizer_quantized_tanh,
    &bli_quantizer_quantized_sigmoid,
    &bli_quantizer_quantized_po2,
    &bli_quantizer_quantized_relu_po2,
    &bli_quantizer_binary,
    &bli_quantizer_ternary,
    &bli_quantizer_stochastic_binary,
    &bli_quantizer_stochastic_ternary,
    &bli_quantizer_bernoulli,
};
/* clang-format on */

int bli_quantizer_count(void)
{
    return (int)BLI_COUNT(quantizers);
}

const bli_quantizer *bli_quantizer_at(int i)
{
    return i >= 0 && i < bli_quantizer_count() ? quantizers[i] : NULL;
}

const bli_quantizer *bli_quantizer_find(const char *name)
{
    for (size_t i = 0; i < BLI_COUNT(quantizers); i++)
        if (strcmp(quantizers[i]->name, name) == 0)
            return quantizers[i];
    return NULL;
}

const char *bli_quantizer_nearest(const char *name)
{
    const char *names[BLI_COUNT(quantizers)];
    for (size_t i = 0; i < BLI_COUNT(quantizers); i++)
        names[i] = quantizers[i]->name;
    return bli_nearest(name, names, BLI_COUNT(quantizers));
}
