/* op_cases.h: one list of operator cases, in the words of rig.h, for every test that goes over the whole table. */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct op_case {
    const char *text;
    bool training;
} op_case;

size_t op_case_count(void);
const op_case *op_case_at(size_t i);

#endif
