/* program.h: the exact PROGRAM, a network as integers.
 *
 * A program is a list of integer primitives over wires.  A wire is one sample's tensor of codes, each in a proven
 * range: nothing overflows, nothing is rounded but where a primitive says so.  Every executor and every backend gives
 * the same codes on every wire.  The text form has one line an op with all its constants; parsing it gives an equal
 * program.
 */
#ifndef BITLATHE_PROGRAM_H
#define BITLATHE_PROGRAM_H

#include "bitlathe/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct bli_program bl_program;

void bl_program_destroy(bl_program *p);           /* NULL is fine */
const char *bl_program_name(const bl_program *p); /* the model's */

/* Free *text with bl_text_free. */
BL_MUST_CHECK bl_status bl_program_print(const bl_program *p, char **text);
/* Checks everything that a program promises; the message names line and wire. */
BL_MUST_CHECK bl_status bl_program_parse(bl_context *ctx, const char *text, size_t size, bl_program **out);

/* Wires, inputs and outputs are asked for by index, below. */
int bl_program_wire_count(const bl_program *p);
int bl_program_input_count(const bl_program *p);
int bl_program_output_count(const bl_program *p);

/* One wire and the primitive that makes it.  value = code * 2^exp, unless a real scale stands at an output. */
typedef struct bl_wire_info {
    const char *name, *layer, *op;
    bl_shape shape;    /* without the batch */
    int bits;          /* what the widest element needs; 0 for a constant 0 */
    bool is_signed;    /* some element can be negative */
    int exp;           /* of the binary point */
    int zeros;         /* every code is a multiple of 2^zeros */
    int64_t low, high; /* over all elements; both reachable as far as the elements before are independent */
    const char *note;  /* of a table: its function, and how far it is off; else NULL */
} bl_wire_info;
bool bl_program_wire(const bl_program *p, int i, bl_wire_info *out); /* false: no such wire */

/* An input or output: its name in the graph, its wire, and the type of its real numbers (F32 or F64).  Real numbers
 * become codes by y = x * scale + offset, then the format named here; codes become real numbers by an output's
 * scale and offset. */
typedef struct bl_port_info {
    const char *name;
    int wire;
    bl_dtype type;
    const char *cut; /* outputs: what of the graph was left behind it ("Softmax 'softmax'"), or NULL */
} bl_port_info;
bool bl_program_input(const bl_program *p, int i, bl_port_info *out);
bool bl_program_output(const bl_program *p, int i, bl_port_info *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
