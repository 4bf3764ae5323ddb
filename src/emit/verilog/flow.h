/* flow.h: a program as processes that hand beats to each other: what --io stream and strategy resource print.
 *
 * A link carries one wire: beats of its last dimension (all channels of a pixel), with valid and ready.  A process is a
 * group of primitives (emit/body.h) as one module: what gathers its operands (beats joined or split, a line buffer and
 * a window), its arithmetic, and nothing that looks beyond one sample.  The arithmetic of one step is a program of its
 * own, a *part*, unrolled and pipelined like a whole program is (net.h): so strategies, ranges and the delay model are
 * the same.  In strategy resource a product is a part too, used once a turn with weights out of a memory.
 */
#ifndef BLI_FLOW_H
#define BLI_FLOW_H

#include "emit/body.h"
#include "emit/verilog/verilog.h"

typedef struct bli_flow_link {
    const char *name; /* the identifier of its wire */
    int width;        /* of one element */
    bool is_signed;
    int64_t beat, beats;     /* elements a beat, beats a sample */
    int readers;             /* processes and outputs */
    int served;              /* of them, while the top is printed */
    const int64_t *constant; /* codes where no input is behind it; no process makes it */
} bli_flow_link;

typedef struct bli_flow {
    const bli_emit_job *job;
    const bli_program *p;
    bli_arena *arena;
    const bli_delay_model *model;
    bli_net_options net;
    int reuse;  /* wanted; 1: every product at once */
    bool whole; /* ports carry a sample a beat */
    bli_groups groups;
    const char **wires;   /* identifiers */
    bli_flow_link *links; /* by wire; only those of roots count */
    bli_text modules;     /* parts and processes */
    bli_text cells;       /* their tables */
    int widest;           /* bits of any signal */
    bool adder3;
    int64_t turns;   /* of the process that takes most of them */
    int64_t latency; /* clocks through all parts, one behind the other */
} bli_flow;

/* ---- the steps of a group (flow_plan.c) ---------------------------------------------------------------------------
 */
typedef enum bli_flow_way {
    BLI_FLOW_BEATS,   /* one beat of every input a step */
    BLI_FLOW_WINDOWS, /* one window of the input a step */
    BLI_FLOW_WHOLE    /* one sample a step */
} bli_flow_way;

typedef struct bli_flow_input {
    int wire, root;
    int64_t beat; /* elements that a step takes; of a window: a pixel */
} bli_flow_input;

typedef struct bli_flow_plan {
    const bli_group *group;
    bli_flow_way way;
    int num_in; /* distinct wires that flow in */
    bli_flow_input in[BLI_PRIM_MAX_IN];
    int64_t out_beat; /* elements that a step gives */
} bli_flow_plan;
void bli_flow_plan_make(const bli_flow *f, const bli_group *g, bli_flow_plan *out);
static inline const bli_flow_link *bli_flow_link_of(const bli_flow *f, int wire)
{
    return &f->links[f->groups.root[wire]];
}

/* ---- programs of one step (flow_part.c): bli_program_destroy ------------------------------------------------------
 */
/* The group's ops on what a step takes; inputs in the plan's order. */
BL_MUST_CHECK bl_status bli_flow_part_all(const bli_flow *f, const bli_flow_plan *plan, bli_program **out);
/* The span of pixels of channel c under a window, padding included; what stands for padding. */
bli_span bli_flow_pixel(const bli_flow *f, const bli_flow_plan *plan, int64_t c, int64_t *pad);

/* A product in turns: in turn t, multiplier i takes the element tap[select[i] * reuse + t] of what a step holds times
 * weight[t * multipliers + i].  Sums are complete after `steps` turns; there are slots of them, one after the other. */
typedef struct bli_flow_mac {
    int64_t outputs, terms, reuse, steps, slots, multipliers, sums; /* sums kept at once */
    int64_t selects;                                                /* distinct sequences of elements */
    int64_t *select, *tap, *weight;
    int weight_bits;
} bli_flow_mac;
int64_t bli_flow_reuse(const bli_flow *f, const bli_flow_plan *plan); /* 1: all at once; tells what was chosen */
BL_MUST_CHECK bl_status bli_flow_mac_make(const bli_flow *f, const bli_flow_plan *plan, int64_t reuse,
                                          bli_flow_mac *out);
/* One turn: inputs the selected elements, the weights; the output one addend for each sum. */
BL_MUST_CHECK bl_status bli_flow_part_turn(const bli_flow *f, const bli_flow_plan *plan, const bli_flow_mac *m,
                                           bli_program **out);
/* The group's ops behind the sums, bias first. */
BL_MUST_CHECK bl_status bli_flow_part_tail(const bli_flow *f, const bli_flow_plan *plan, bli_program **out);

/* ---- printing -----------------------------------------------------------------------------------------------------
 */
/* A part as module NAME__<group>__<what>; how its ports are packed. */
typedef struct bli_flow_core {
    char module[160];
    int latency;
    int64_t x_bits, y_bits;
    int y_width; /* of one element */
    bool y_signed;
} bli_flow_core;
int bli_flow_bits(int64_t n); /* bits that hold 0 .. n, at least 1 */
/* Codes of so many bits as one number in hexadecimal digits, the first lowest; in the arena, NULL without memory. */
const char *bli_flow_digits(const bli_flow *f, const int64_t *codes, int64_t count, int width);
/* A *hand* is three signals: NAME of some bits, NAME_valid, NAME_ready.  Declares one. */
void bli_flow_put_hand(bli_text *t, const char *name, int64_t bits);
/* A cell from one hand to another, which is declared with so many bits. */
void bli_flow_put_cell(const bli_flow *f, bli_text *t, const char *cell, const char *parameters, const char *from,
                       const char *to, int64_t bits);
/* Beats of `from` elements, count elements a sample, to beats of `to` elements; hand becomes what comes out. */
enum { BLI_FLOW_HAND = 96 };
void bli_flow_put_rebeat(const bli_flow *f, bli_text *t, int width, int64_t count, int64_t from, int64_t to,
                         char hand[BLI_FLOW_HAND]);
BL_MUST_CHECK bl_status bli_flow_put_process(bli_flow *f, const bli_group *g); /* flow_process.c */
void bli_flow_put_top(bli_flow *f, bli_text *t);                               /* flow_top.c */
void bli_flow_put_stream(const bli_flow *f, bli_text *t);
void bli_flow_put_bench(const bli_flow *f, int samples, bli_text *t); /* flow_bench.c */
extern const char *const bli_flow_cells[];                            /* flow_cells.c: templates; NULL at the end */

bool bli_flow_probe(const bli_flow *f, bli_text *t); /* probe.c: NAME_probe_tb; false: too large to be shown */

/* The wire and the beat of a port: a sample where ports are whole. */
typedef struct bli_flow_port {
    int wire; /* root */
    int64_t beat, beats;
    int64_t bits; /* of a beat */
} bli_flow_port;
bli_flow_port bli_flow_port_of(const bli_flow *f, bool input, int i);

/* flow.c: strategies and io that are not unrolled as a whole. */
BL_MUST_CHECK bl_status bli_flow_emit(const bli_emit_job *job);

#endif
