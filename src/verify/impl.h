/* impl.h: what the paths of a verification share. */
#ifndef BLI_VERIFY_IMPL_H
#define BLI_VERIFY_IMPL_H

#include "bitlathe/verify.h"
#include "emit/emit.h"
#include "program/program.h"

enum { BLI_VERIFY_ROOM = 4096, BLI_VERIFY_CHUNK = 16 };

typedef struct bli_verify {
    bl_context *ctx;
    const bl_graph *graph;
    bl_verify_options options; /* complete */
    bl_program *program;
    bli_arena *arena;
    bl_tensor *x;                 /* of each input: all samples as the graph's input */
    bli_vectors vectors;          /* the same as codes, and the interpreter's outputs */
    int64_t **wires;              /* room for BLI_VERIFY_CHUNK samples of every wire */
    int simulated;                /* samples that the path took, where it did not take all; 0: all */
    uint8_t *reached;             /* of each wire that is driven: 1 its proven least was seen, 2 its greatest */
    char folder[BLI_VERIFY_ROOM]; /* temporary; "": not made yet */
} bli_verify;

/* samples.c: x and vectors. */
BL_MUST_CHECK bl_status bli_verify_samples(bli_verify *v);
/* drive.c: how many samples there are (at most so many) that drive wires to the ends of their proven ranges; those
 * samples' codes, in the vectors' samples first .. first + count - 1; what count samples in v->wires reached; and what
 * all did. */
int bli_verify_drives(const bli_program *p, int most);
BL_MUST_CHECK bl_status bli_verify_drive(bli_verify *v, bli_vectors *to, int first, int count);
void bli_verify_reached(bli_verify *v, int count);
void bli_verify_count_reached(const bli_verify *v, int64_t *ends, int64_t *reached);
/* The interpreter's codes of every wire for samples first .. first + count - 1, into v->wires. */
BL_MUST_CHECK bl_status bli_verify_interpret(bli_verify *v, int first, int count);
/* Pointers to sample `first` of each input's codes. */
void bli_verify_inputs(const bli_verify *v, int first, const int64_t **x);
/* BL_MISMATCH with everything that is known about it. */
bl_status bli_verify_differs(bli_verify *v, const char *path, int64_t sample, int wire, int64_t element,
                             int64_t expected, int64_t found);
/* BL_MISMATCH at the first code of a wire that differs; codes: count samples. */
BL_MUST_CHECK bl_status bli_verify_wires(bli_verify *v, const char *path, int first, int count, int64_t *const *codes);

/* One path each.  BL_NOT_FOUND and BL_UNSUPPORTED, BL_LIMIT: skipped. */
typedef bl_status bli_verify_fn(bli_verify *v, const char *name);
bli_verify_fn bli_verify_graph, bli_verify_executor, bli_verify_c, bli_verify_hls, bli_verify_verilog;

/* A new folder below the temporary one. */
BL_MUST_CHECK bl_status bli_verify_folder(bli_verify *v, const char *name, char path[BLI_VERIFY_ROOM]);
void bli_verify_remove(bli_verify *v);
/* Runs a tool; a status other than 0 fails with its words, or with BL_MISMATCH where it said "DIFF". */
BL_MUST_CHECK bl_status bli_verify_run(bli_verify *v, const char *folder, const char *const *argv, char **said);

#endif
