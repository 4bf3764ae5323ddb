/* skip.h: exit status and words of a test that cannot run here. */
#ifndef TESTS_SKIP_H
#define TESTS_SKIP_H

/* Prints "SKIPPED: why" and ends the program with CTest's skip status, 77. */
_Noreturn void skip_all(const char *why);

#endif
