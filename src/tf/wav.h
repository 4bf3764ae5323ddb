/* wav.h: sounds of 16 bits in memory, as TensorFlow's DecodeWav reads them. */
#ifndef BLI_TF_WAV_H
#define BLI_TF_WAV_H

#include "base/base.h"

typedef struct bli_wav {
    const uint8_t *samples; /* int16, little-endian, [count][channels]; of the file's bytes */
    int64_t count;
    int channels;
    uint32_t rate; /* a second */
} bli_wav;

/* Refuses what is not PCM of 16 bits, numbers that contradict each other, chunks that are cut off, and any chunk before
 * the format that is not known to stand there. */
BL_MUST_CHECK bl_status bli_wav_read(bl_context *ctx, const void *data, size_t size, bli_wav *out);

#endif
