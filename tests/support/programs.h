/* programs.h: random legal programs over every primitive, and inputs for them: what backends are compared on.
 *
 *   bli_program *p = random_program(ctx, seed);              fails the test when it cannot
 *   program_values *v = program_values_create(p);            room for one sample's wires
 *   program_values_draw(v, seed, k);                         input codes: k = 0 all least, 1 all greatest, else random
 *   bli_program_interpret(p, v->codes, v->wires);
 */
#ifndef TESTS_PROGRAMS_H
#define TESTS_PROGRAMS_H

#include "program/program.h"

/* A small random number generator with state, for tests only (splitmix64). */
typedef struct draw {
    uint64_t state;
} draw;
uint64_t draw_bits(draw *d);
int64_t draw_between(draw *d, int64_t low, int64_t high); /* both ends included */
bool draw_chance(draw *d, int percent);

/* What a random program may hold. */
typedef struct program_wishes {
    int ops;          /* attempts; about so many ops come out */
    int64_t elements; /* of a wire, at most */
    bool narrow;      /* codes of at most 20 bits or so: what small hardware has */
    bool single;      /* one input, and one output: the last wire */
    bool tiny;        /* one input of few elements and bits, all of whose codes can be tried, perhaps shifted left */
} program_wishes;

/* Seed in, program out; the same seed and wishes give the same program.  wishes NULL: 14 ops, 400 elements. */
bli_program *random_program(bl_context *ctx, uint64_t seed);
bli_program *random_program_like(bl_context *ctx, uint64_t seed, const program_wishes *wishes);
/* Bit k: primitive k occurs. */
uint32_t program_kinds(const bli_program *p);

typedef struct program_values {
    const bli_program *p;
    int64_t **codes; /* of each input */
    int64_t **wires; /* of each wire */
} program_values;
program_values *program_values_create(const bli_program *p); /* plain malloc */
void program_values_destroy(program_values *v);
/* k 0: every input code least; 1: greatest; 2: each one of both; else random, corners among them. */
void program_values_draw(program_values *v, uint64_t seed, int k);

#endif
