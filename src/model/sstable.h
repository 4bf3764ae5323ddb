/* sstable.h: the sorted table of keys and values that TensorFlow's checkpoints are indexed by (LevelDB's table format,
 * https://github.com/google/leveldb/blob/main/doc/table_format.md), read from untrusted bytes that are in memory.
 *
 * Opening checks the form and the sum of every block, so that walking cannot fail any more.  Compressed blocks, which
 * checkpoints do not have, are refused.
 */
#ifndef BLI_MODEL_SSTABLE_H
#define BLI_MODEL_SSTABLE_H

#include "base/base.h"
#include "base/reader.h"

enum { BLI_SSTABLE_KEY = 4096 }; /* bytes of the longest key */

typedef struct bli_sstable {
    const uint8_t *data;
    size_t size;
    bli_reader blocks; /* entries of the index: where the blocks are */
} bli_sstable;

BL_MUST_CHECK bl_status bli_sstable_open(bl_context *ctx, const void *data, size_t size, bli_sstable *out);

typedef struct bli_sstable_entry {
    const uint8_t *key, *value; /* the key until the next call, the value as long as the data */
    size_t key_size, value_size;
} bli_sstable_entry;
/* In the order of keys until the visitor returns false. */
typedef bool (*bli_sstable_visit)(void *user, const bli_sstable_entry *e);
void bli_sstable_walk(const bli_sstable *t, bli_sstable_visit visit, void *user);

uint32_t bli_crc32c(const void *data, size_t size, uint32_t before); /* before: of the bytes in front, 0 at first */
uint32_t bli_crc32c_masked(uint32_t crc);                            /* as such files store it */

#endif
