/* memory.h: an allocator that counts, checks what it is told, and fails on demand. */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include "bitlathe/base.h"

typedef struct counting_allocator {
    long calls;       /* allocations asked for so far */
    long fail_at;     /* the allocation that fails, counted from 1; 0: none */
    long live_blocks; /* not yet freed */
    size_t live_bytes, peak_bytes;
    bool wrong_size; /* a block was freed with another size than it was made with */
} counting_allocator;
bl_allocator counting_allocator_of(counting_allocator *c);

/* Runs fn on a fresh context whose first, then whose second ... allocation fails, until it succeeds.  Checks (cmocka)
 * that each failure is BL_NO_MEMORY with a message and leaves nothing behind, and that the success does not either;
 * returns the number of allocations.  fn frees what it made; the same call must make the same allocations. */
typedef bl_status (*memory_fn)(bl_context *ctx, void *arg);
long fail_each_allocation(memory_fn fn, void *arg);

#endif
