/* c.h: pieces of the C backend. */
#ifndef BLI_EMIT_C_H
#define BLI_EMIT_C_H

#include "emit/body.h"

/* Where a wire's elements stand (storage.c). */
typedef enum bli_place { BLI_PLACE_SCRATCH, BLI_PLACE_INPUT, BLI_PLACE_OUTPUT, BLI_PLACE_TABLE } bli_place;
typedef struct bli_slot {
    bli_place place;
    int64_t at;       /* SCRATCH: first element in its array; INPUT, OUTPUT: which */
    const char *name; /* TABLE */
} bli_slot;
enum { BLI_SIZES = 4 }; /* arrays of 1, 2, 4 and 8 bytes an element */
typedef struct bli_storage {
    bli_slot *slots; /* per wire; of the root where the wire is a RESHAPE */
    int64_t room[BLI_SIZES];
    bool *copied; /* per output: not written by the op itself, copied at the end */
} bli_storage;
/* Two wires share elements only if no group needs both. */
BL_MUST_CHECK bl_status bli_storage_make(bli_arena *arena, const bli_program *p, const bli_groups *groups,
                                         bli_storage *out);
static inline int bli_size_class(bli_reach r)
{
    int size = bli_type_size(r);
    return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

/* The small functions that elementwise ops call; only those in use (helpers.c). */
void bli_c_helpers(bli_text *t, uint64_t helpers);
BL_MUST_CHECK bl_status bli_c_take_helpers(bli_names *names);

/* <name>_encode and <name>_decode: what stands in bli_input and bli_output, for one port (real.c).  Returns whether
 * real numbers of this input have codes by a rule that is emitted. */
typedef struct bli_real {
    bli_text *code;
    bli_arena *arena;
    const bli_program *p;
    bool floors, orders, needs_string; /* helpers in use */
} bli_real;
BL_MUST_CHECK bl_status bli_c_encode(bli_real *r, int input, const char *function, const char *type, bool *possible);
void bli_c_decode(bli_real *r, int output, const char *function, const char *type);
void bli_c_real_helpers(bli_text *t, const bli_real *r);

#endif
