/* adder_forms.h: the exact linear form of every node of an adder graph, sparse; ranges come from it, so that terms that
 * share inputs cancel as they do in the values.  For adder_graph.c and its neighbours only. */
#ifndef BLI_ADDER_FORMS_H
#define BLI_ADDER_FORMS_H

#include "program/adder_graph.h"

typedef struct bli_adder_forms bli_adder_forms;

BL_MUST_CHECK bl_status bli_adder_forms_create(bl_context *ctx, const bli_adder_range *inputs, int32_t num_inputs,
                                               bli_adder_forms **out);
BL_MUST_CHECK bl_status bli_adder_forms_copy(const bli_adder_forms *from, bli_adder_forms **out);
void bli_adder_forms_destroy(bli_adder_forms *f); /* NULL is fine */
/* The form and range of a node that is to be number f's next; bli_adder_forms_keep then keeps it. */
BL_MUST_CHECK bl_status bli_adder_forms_probe(bli_adder_forms *f, bli_adder_node *spec);
BL_MUST_CHECK bl_status bli_adder_forms_keep(bli_adder_forms *f);

#endif
