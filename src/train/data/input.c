/* input.c: files and .gz files as one stream of bytes.
 *
 * Deflate cannot expand beyond 1032 : 1 (RFC 1951: 258 bytes from two bits), so the packed size bounds what any header
 * inside may claim: bli_input_ceiling, asked before memory is.  Members of a .gz follow one another as one content
 * (RFC 1952); anything else behind the last one is refused.
 */
#include "train/data/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER = 65536, MAX_EXPANSION = 1032, GZIP_WINDOW = 15 + 16 };

struct bli_input {
    bl_context *ctx;
    const char *path;
    int fd;
    uint64_t size, consumed; /* of the file */
    bool packed, inside, ended;
    z_stream z;
    uint8_t buffer[BUFFER];
    char path_text[];
};

static bl_status refused(const bli_input *in, const char *what)
{
    bl_status s = errno == ENOENT ? BL_NOT_FOUND : BL_IO;
    return bli_fail(in->ctx, s, "%s: cannot %s: %s", in->path, what, strerror(errno));
}

/* ---- raw bytes ----------------------------------------------------------------------------------------------- */
static bl_status raw_read(bli_input *in, void *data, size_t n, size_t *got)
{
    *got = 0;
    while (*got < n) {
        ssize_t r = read(in->fd, (char *)data + *got, n - *got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return refused(in, "read");
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    in->consumed += *got;
    return BL_OK;
}

/* ---- gzip ---------------------------------------------------------------------------------------------------- */
static void *z_alloc(void *ctx, unsigned count, unsigned size)
{
    return bli_alloc_array(ctx, count, size);
}
static void z_free(void *ctx, void *ptr)
{
    bli_free(ctx, ptr);
}

static bl_status start_gzip(bli_input *in)
{
    in->z = (z_stream){.zalloc = z_alloc, .zfree = z_free, .opaque = in->ctx};
    if (inflateInit2(&in->z, GZIP_WINDOW) != Z_OK)
        return BL_NO_MEMORY;
    in->packed = in->inside = true;
    return BL_OK;
}

static bl_status truncated(const bli_input *in)
{
    return bli_fail(in->ctx, BL_BAD_FILE,
                    "%s: truncated: the gzip data stops at byte %llu in the middle of its content", in->path,
                    (unsigned long long)in->consumed);
}

static bl_status refill(bli_input *in)
{
    size_t got = 0;
    BLI_TRY(raw_read(in, in->buffer, BUFFER, &got));
    in->z.next_in = in->buffer;
    in->z.avail_in = (unsigned)got;
    return BL_OK;
}

/* After a member: another one, or the end. */
static bl_status next_member(bli_input *in)
{
    in->inside = false;
    if (in->z.avail_in == 0)
        BLI_TRY(refill(in));
    if (in->z.avail_in == 0) {
        in->ended = true;
        return BL_OK;
    }
    if (in->z.next_in[0] != 0x1f)
        return bli_fail(in->ctx, BL_BAD_FILE, "%s: bytes that are not gzip follow the packed content at byte %llu",
                        in->path, (unsigned long long)(in->consumed - in->z.avail_in));
    if (inflateReset(&in->z) != Z_OK)
        return bli_fail(in->ctx, BL_BAD_FILE, "%s: cannot start the next gzip member", in->path);
    in->inside = true;
    return BL_OK;
}

static bl_status inflate_some(bli_input *in)
{
    if (in->z.avail_in == 0)
        BLI_TRY(refill(in));
    if (in->z.avail_in == 0)
        return truncated(in);
    int r = inflate(&in->z, Z_NO_FLUSH);
    if (r == Z_STREAM_END)
        return next_member(in);
    if (r == Z_MEM_ERROR)
        return BL_NO_MEMORY;
    if (r != Z_OK && r != Z_BUF_ERROR)
        return bli_fail(in->ctx, BL_BAD_FILE, "%s: corrupt gzip data before byte %llu: %s", in->path,
                        (unsigned long long)(in->consumed - in->z.avail_in), in->z.msg ? in->z.msg : "unknown reason");
    return BL_OK;
}

static bl_status gzip_read(bli_input *in, uint8_t *data, size_t n, size_t *got)
{
    *got = 0;
    while (*got < n && !in->ended) {
        unsigned part = n - *got > (1u << 30) ? 1u << 30 : (unsigned)(n - *got);
        in->z.next_out = data + *got;
        in->z.avail_out = part;
        BLI_TRY(inflate_some(in));
        *got += part - in->z.avail_out;
    }
    return BL_OK;
}

/* ---- both ---------------------------------------------------------------------------------------------------- */
static bl_status examine(bli_input *in)
{
    struct stat st;
    if (fstat(in->fd, &st) != 0)
        return refused(in, "examine");
    if (S_ISDIR(st.st_mode))
        return bli_fail(in->ctx, BL_IO, "%s: is a folder, not a file", in->path);
    if (!S_ISREG(st.st_mode))
        return bli_fail(in->ctx, BL_IO, "%s: is not a regular file", in->path);
    in->size = (uint64_t)st.st_size;
    uint8_t magic[2] = {0};
    ssize_t got = pread(in->fd, magic, sizeof magic, 0);
    if (got < 0)
        return refused(in, "read");
    return magic[0] == 0x1f && magic[1] == 0x8b ? start_gzip(in) : BL_OK;
}

bl_status bli_input_open(bl_context *ctx, const char *path, bli_input **out)
{
    *out = NULL;
    size_t length = strlen(path) + 1;
    bli_input *in = bli_alloc(ctx, sizeof *in + length);
    if (!in)
        return BL_NO_MEMORY;
    in->ctx = ctx;
    in->path = memcpy(in->path_text, path, length);
    in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bl_status s = in->fd < 0 ? refused(in, "open") : examine(in);
    if (s != BL_OK) {
        bli_input_close(in);
        return s;
    }
    *out = in;
    return BL_OK;
}

void bli_input_close(bli_input *in)
{
    if (!in)
        return;
    if (in->packed)
        inflateEnd(&in->z);
    if (in->fd >= 0)
        close(in->fd);
    bli_free(in->ctx, in);
}

bool bli_input_packed(const bli_input *in)
{
    return in->packed;
}

uint64_t bli_input_file_size(const bli_input *in)
{
    return in->size;
}

uint64_t bli_input_ceiling(const bli_input *in)
{
    if (!in->packed)
        return in->size;
    return in->size > UINT64_MAX / MAX_EXPANSION ? UINT64_MAX : in->size * MAX_EXPANSION;
}

double bli_input_progress(const bli_input *in)
{
    return in->size == 0 ? 1.0 : (double)in->consumed / (double)in->size;
}

bl_status bli_input_read(bli_input *in, void *data, size_t n, size_t *got)
{
    return in->packed ? gzip_read(in, data, n, got) : raw_read(in, data, n, got);
}

int bli_input_take_fd(bli_input *in)
{
    int fd = in->fd;
    in->fd = -1;
    return fd;
}
