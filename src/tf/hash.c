/* hash.c: the hash of a node that TensorFlow's tool orders nodes by when it merges duplicates.
 *
 * MurmurHash64A (Austin Appleby, public domain) over the parts of a node, joined in their order; observed in the
 * original.
 */
#include <string.h>

#include "tf/transform.h"

uint64_t bli_tg_hash64(const void *data, size_t size)
{
    const uint64_t m = 0xc6a4a7935bd1e995u;
    const unsigned char *p = data;
    uint64_t h = 0xDECAFCAFFEu ^ (size * m);
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t k = 0;
        for (int i = 7; i >= 0; i--)
            k = k << 8 | p[i];
        k *= m;
        k = (k ^ k >> 47) * m;
        h = (h ^ k) * m;
    }
    if (size) {
        uint64_t k = 0;
        while (size--)
            k = k << 8 | p[size];
        h = (h ^ k) * m;
    }
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

static uint64_t join(uint64_t a, uint64_t b)
{
    return a ^ (b + 0x9e3779b97f4a7800u + (a << 10) + (a >> 4));
}

static uint64_t join_text(uint64_t h, const char *text)
{
    return join(h, bli_tg_hash64(text, strlen(text)));
}

static bl_status join_attrs(const bli_tf_node *n, bli_buf *b, uint64_t *h)
{
    for (size_t i = 0; i < n->num_attrs; i++) {
        b->size = 0;
        BLI_TRY(bli_tf_value_encode(n->attrs[i].value, b));
        *h = join(*h, bli_tg_hash64(b->data, b->size));
    }
    return BL_OK;
}

bl_status bli_tg_node_hash(bli_tf_store *s, const bli_tf_node *n, bool nameless, uint64_t *out)
{
    uint64_t h = join_text(bli_tg_hash64(n->op, strlen(n->op)), nameless ? "" : n->name);
    for (size_t i = 0; i < n->num_inputs; i++) {
        char *input = bli_tf_ref_canonical(s, n->inputs[i]);
        if (!input)
            return BL_NO_MEMORY;
        h = join_text(h, input);
    }
    h = join_text(h, n->device);
    bli_buf b;
    bli_buf_init(&b, bli_tf_store_context(s), (size_t)1 << 31);
    bl_status status = join_attrs(n, &b, &h);
    bli_buf_free(&b);
    *out = h;
    return status;
}
