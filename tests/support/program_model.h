/* program_model.h: what each primitive gives, written anew from the words in program/program.h: element by element, by
 * coordinates, in 128 bits.  Shares nothing with the interpreter; slow.
 */
#ifndef TESTS_PROGRAM_MODEL_H
#define TESTS_PROGRAM_MODEL_H

#include "program/program.h"

__extension__ typedef __int128 model_wide;

/* Element e of wire i, from the wires before it; codes: of the input, if wire i is one. */
model_wide program_model_element(const bli_program *p, int i, int64_t *const *wires, const int64_t *codes, int64_t e);

#endif
