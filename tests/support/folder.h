/* folder.h: a temporary folder per test program, and small file helpers. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <stddef.h>

/* The program's own folder, made at the first call and removed with all it holds at exit. */
const char *temp_folder(void);
/* A path in it.  Valid until eight more were asked for. */
const char *temp_path(const char *name);
int temp_count_files(void);
void put_file(const char *path, const void *data, size_t size);
/* The whole file, NUL-terminated, to free(); NULL when absent. */
char *get_file(const char *path, size_t *size);

#endif
