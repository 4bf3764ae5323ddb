/* proof.h: random networks on their way through every path that a model can take, many at a time, and the table of what
 * went through which.
 *
 *   proof_net n;
 *   if (proof_draw(ctx, seed, &n, reason, sizeof reason))        graph, program, rows, the interpreter's codes
 *       for (int w = 0; w < proof_way_count; w++)
 *           different += proof_run(ctx, &proof_ways[w], &n, 1, NULL);
 *
 * What all ways are compared with are the codes that the interpreter gives.
 */
#ifndef TESTS_PROOF_H
#define TESTS_PROOF_H

#include "bitlathe/bitlathe.h"
#include "emit/emit.h"

enum { PROOF_ROWS = 64, PROOF_OPS = 64, PROOF_FAMILIES = 20, PROOF_QUANTIZERS = 128, PROOF_WAYS = 32 };

/* What a network is made of: which operators work on values of which family of formats, or bring values into one. */
typedef struct proof_marks {
    uint64_t ops[PROOF_FAMILIES]; /* bit: operator of proof_op_name */
    uint64_t quantizers[PROOF_QUANTIZERS / 64];
} proof_marks;

typedef struct proof_net {
    uint64_t seed;
    bl_graph *graph;     /* without what lowering cuts */
    bl_program *program; /* NULL: refused */
    bl_tensor x;         /* PROOF_ROWS rows */
    bli_vectors vectors; /* the same as codes, and what the interpreter makes of them */
    bool refused;        /* by the last way that emitted it */
    bool broken;         /* there was no verdict: what that way emitted was not compiled, or did not end well */
    int64_t size;        /* numbers in it: constants and elements of wires */
    proof_marks marks;
} proof_net;

/* false: refused, for this reason.  The marks are there in both cases.  A failure of another kind ends the test. */
bool proof_draw(bl_context *ctx, uint64_t seed, proof_net *out, char *reason, size_t size);
void proof_free(bl_context *ctx, proof_net *n);

/* ---- ways ----------------------------------------------------------------------------------------------------- */
/* A fault: in the file of an emitted project whose name ends so, the first `from` becomes `to`. */
typedef struct proof_fault {
    const char *file, *from, *to;
    uint64_t seed; /* of the network that gets it; 0: all */
} proof_fault;

struct proof_way;
/* The number of networks whose bits differ, each with a line on standard error; -1: this way cannot be gone here. */
typedef int proof_fn(bl_context *ctx, const struct proof_way *way, proof_net *nets, int count,
                     const proof_fault *fault);
typedef struct proof_way {
    const char *name, *backend; /* "hls da stream", "hls" */
    proof_fn *run;
    const char *isa;           /* of graph and executor */
    const char *strategy, *io; /* of emitted sources */
    int reuse;
    const char *defined; /* -D.. for Icarus */
    int batch, usual;    /* networks that go together; that go in an ordinary run; 0: each alone, all */
    int64_t most;        /* of a network's size; 0: any */
} proof_way;
extern const proof_way proof_ways[];
extern const int proof_way_count;
int proof_run(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault);
/* Whether the network is small enough for it. */
bool proof_fits(const proof_way *way, const proof_net *n);

/* within the library: proof_net.c; emitted sources: proof_outside.c */
proof_fn proof_graph, proof_interpreter, proof_executor;
proof_fn proof_c, proof_hls, proof_verilog, proof_verilator;

void proof_differs(const proof_way *way, const proof_net *n, int64_t sample, int64_t element, double expected,
                   double found);

/* ---- table: proof_table.c --------------------------------------------------------------------------------------- */
typedef struct proof_table {
    int cell[PROOF_OPS][PROOF_FAMILIES][PROOF_WAYS];
    int quantizer[PROOF_QUANTIZERS][PROOF_WAYS];
    int nets[PROOF_WAYS];
} proof_table;
void proof_mark(const bl_graph *g, proof_marks *m);
void proof_count(proof_table *t, int way, const proof_marks *m);
/* A way must have seen every operator with every family of formats, and every quantizer.  Ways with
 * strategies, which compilers take their time over, must have seen every operator and every quantizer with those of
 * their backend together, unless `every`: then they are ways like others.  possible[way]: what is gone here. */
/* Empty cells of this way that the network would fill. */
int proof_fills(const proof_table *t, const bool *possible, bool every, int way, const proof_marks *m);
/* Cells that should be there and are empty; print: shows them all. */
int proof_empty(const proof_table *t, const bool *possible, bool every);
int proof_print(const proof_table *t, const bool *possible, bool every);

#endif
