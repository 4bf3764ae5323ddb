/* sha256.h: SHA-256 (FIPS 180-4), to notice a torn or altered checkpoint.  Not meant to keep secrets. */
#ifndef BLI_SHA256_H
#define BLI_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct bli_sha256 {
    uint32_t hash[8];
    uint8_t block[64];
    uint64_t size; /* bytes so far */
} bli_sha256;

enum { BLI_SHA256_BYTES = 32, BLI_SHA256_TEXT = 65 };

void bli_sha256_init(bli_sha256 *s);
void bli_sha256_add(bli_sha256 *s, const void *data, size_t size);
void bli_sha256_end(bli_sha256 *s, uint8_t digest[BLI_SHA256_BYTES]);
/* The digest as 64 small hexadecimal digits and a NUL. */
void bli_sha256_print(const uint8_t digest[BLI_SHA256_BYTES], char text[BLI_SHA256_TEXT]);

#endif
