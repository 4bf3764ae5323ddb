/* verilog.h: what the files that print Verilog share.
 *
 * Modules of a project "net": net_core (clk, ce, x, y), net_stream around it, net_add and its like, one module for each
 * table, and the bench net_tb.  x and y are packed: element 0 in the lowest bits, the elements of one wire all as wide
 * as its widest, wires in the program's order.
 */
#ifndef BLI_VERILOG_H
#define BLI_VERILOG_H

#include "emit/emit.h"
#include "emit/verilog/net.h"
#include "emit/verilog/pipeline.h"

/* One wire's place in a packed vector. */
typedef struct bli_verilog_field {
    int wire;
    int width; /* of one element, >= 1 */
    bool is_signed;
    int64_t first; /* bit of element 0 */
} bli_verilog_field;

typedef struct bli_verilog {
    const bli_program *program;
    bli_net *net;
    bli_pipeline pipe;
    const bli_delay_model *model;
    const char *name;        /* of the project: begins the names of cells */
    char module[160];        /* of the module: NAME_core */
    char unit[160];          /* begins the names of its tables: NAME */
    const char **wires;      /* identifiers, by wire */
    int *local;              /* by signal: its number among its wire's steps */
    const int *table_signal; /* by table: the first signal that reads it */
    int *table;              /* by signal: which table */
    int num_tables;
    int64_t x_bits, y_bits;   /* >= 1 */
    bli_verilog_field *x, *y; /* by input, output */
    int latency;              /* clocks from x to y */
} bli_verilog;

/* verilog.c: what the options say. */
BL_MUST_CHECK bl_status bli_verilog_model(const bli_emit_job *job, const bli_delay_model **out);
bli_net_options bli_verilog_net_options(const bli_emit_job *job);

/* layout.c: fields, names and tables; memory from the net's arena. */
BL_MUST_CHECK bl_status bli_verilog_layout(const bli_emit_job *job, bli_net *net, bli_verilog *out);

/* Fields of all inputs or all outputs; the bits of the vector. */
int64_t bli_verilog_fields(const bli_program *p, bool inputs, bli_verilog_field *out);

/* A buffer for one expression or name; longer ones are cut, which cannot happen with names of BLI_NAME_LONGEST. */
enum { BLI_VERILOG_TEXT = 1024 };
typedef char bli_verilog_text[BLI_VERILOG_TEXT];
/* The signal's name in a stage (where it is computed, or later). */
void bli_verilog_name(const bli_verilog *v, int signal, int stage, bli_verilog_text out);

/* "`net_w(9) ", how the signal is declared; nothing for one bit.  The macro `net_w(n) is n bits, or, where
 * BITLATHE_WIDE is defined, a simulator's own integers: see bli_verilog_widths. */
enum { BLI_VERILOG_RANGE = 160 };
void bli_verilog_range(const bli_verilog *v, int signal, char range[BLI_VERILOG_RANGE]);
/* The macro for a project whose widest signal is so wide; at the head of each file that needs it. */
void bli_verilog_widths(const char *name, int widest, bli_text *t);
int bli_verilog_widest(const bli_net *n);
bool bli_verilog_plain(const bli_net *n);

/* core.c, cells.c, stream.c, bench.c: one file each. */
void bli_verilog_core(const bli_verilog *v, bli_text *t);
void bli_verilog_cells(const bli_verilog *v, bli_text *t);
bool bli_verilog_has_adder3(const bli_verilog *v);
void bli_verilog_adders(const char *name, bool three, int widest, bli_text *t);
void bli_verilog_tables(const bli_verilog *v, bli_text *t);
void bli_verilog_stream(const bli_verilog *v, bli_text *t);
void bli_verilog_bench(const bli_verilog *v, int samples, bli_text *t);
/* probe.c: NAME_probe_tb; false: too large to be shown. */
bool bli_verilog_probe(const bli_verilog *v, int samples, bli_text *t);
/* x.hex and y.hex. */
BL_MUST_CHECK bl_status bli_verilog_vector_files(const bli_emit_job *job, const bli_vectors *vectors,
                                                 const bli_verilog_field *x, const bli_verilog_field *y);
/* operation.c: one signal as declaration and assignment. */
void bli_verilog_signal(const bli_verilog *v, int signal, bli_text *t);

/* manifest.c: bitlathe.json for synth and verify. */
typedef struct bli_manifest_facts {
    const char *const *wires; /* identifiers */
    int stages, latency;      /* 0: not one number */
    int64_t x_bits, y_bits;
    bool plain; /* unrolled, without tables and products of two wires: nothing for memories and multipliers */
} bli_manifest_facts;
BL_MUST_CHECK bl_status bli_manifest_write(const bli_emit_job *job, const bli_manifest_facts *facts);

#endif
