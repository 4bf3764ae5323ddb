/* pipeline.h: how long each operation takes, and where registers cut the netlist.
 *
 * A signal is computed in one stage, not before any of its operands.  From stage to stage a signal that is still needed
 * passes through a register; within a stage the modelled delay of every path stays within the period.  The number of
 * stages is the least that the model allows, and the period is then made as short as that number allows (bisection).
 * Delays are those of a part without its routing known: good for ranking and cutting, no promise of a frequency.
 */
#ifndef BLI_PIPELINE_H
#define BLI_PIPELINE_H

#include "emit/verilog/net.h"

/* All in picoseconds. */
typedef struct bli_delay_model {
    const char *family; /* "xcup" */
    int level;          /* one LUT and the wires to it */
    int carry;          /* one bit of a carry chain */
    int clock;          /* out of a register, into the next one */
} bli_delay_model;
/* NULL: no such family. */
const bli_delay_model *bli_delay_model_find(const char *family);
/* The family of a part's name ("xcvu13p-..." is of xcup), or a family itself. */
const bli_delay_model *bli_delay_model_of_part(const char *part);
int bli_net_delay(const bli_net *n, const bli_delay_model *m, int signal);

typedef struct bli_pipeline {
    int stages;   /* >= 1; latency in clocks is stages + 1: a register at the input, one at the output */
    int *stage;   /* by signal: in which it is computed */
    int *last;    /* by signal: the last stage in which it is read */
    int period;   /* ps, of the slowest stage by the model, registers included */
    int64_t bits; /* of registers between stages */
} bli_pipeline;

/* period in ps.  BL_BAD_VALUE when one operation alone takes longer: names it.  Memory from the net's arena. */
BL_MUST_CHECK bl_status bli_pipeline_cut(bli_net *n, const bli_delay_model *m, int64_t period, bli_pipeline *out);

#endif
