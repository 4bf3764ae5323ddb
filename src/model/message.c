/* message.c: values of messages by descriptor, and maps in order. */
#include "model/message.h"

#include <stdlib.h>
#include <string.h>

static bool is_entry(const ProtobufCMessageDescriptor *type)
{
    size_t n = strlen(type->short_name);
    return n > 5 && strcmp(type->short_name + n - 5, "Entry") == 0;
}

static bool is_map(const bli_field *f)
{
    return f->type == PROTOBUF_C_TYPE_MESSAGE && f->label == PROTOBUF_C_LABEL_REPEATED && is_entry(f->descriptor);
}

bool bli_field_is_repeated(const bli_field *f)
{
    return f->label == PROTOBUF_C_LABEL_REPEATED;
}

size_t bli_field_size(const bli_field *f)
{
    static const uint8_t sizes[] = {
        [PROTOBUF_C_TYPE_INT32] = 4,
        [PROTOBUF_C_TYPE_SINT32] = 4,
        [PROTOBUF_C_TYPE_SFIXED32] = 4,
        [PROTOBUF_C_TYPE_INT64] = 8,
        [PROTOBUF_C_TYPE_SINT64] = 8,
        [PROTOBUF_C_TYPE_SFIXED64] = 8,
        [PROTOBUF_C_TYPE_UINT32] = 4,
        [PROTOBUF_C_TYPE_FIXED32] = 4,
        [PROTOBUF_C_TYPE_UINT64] = 8,
        [PROTOBUF_C_TYPE_FIXED64] = 8,
        [PROTOBUF_C_TYPE_FLOAT] = 4,
        [PROTOBUF_C_TYPE_DOUBLE] = 8,
        [PROTOBUF_C_TYPE_BOOL] = sizeof(protobuf_c_boolean),
        [PROTOBUF_C_TYPE_ENUM] = 4,
        [PROTOBUF_C_TYPE_STRING] = sizeof(char *),
        [PROTOBUF_C_TYPE_BYTES] = sizeof(ProtobufCBinaryData),
        [PROTOBUF_C_TYPE_MESSAGE] = sizeof(bli_message *),
    };
    return sizes[f->type];
}

/* ---- presence -------------------------------------------------------------------------------------------------- */

static void *member(const bli_message *m, unsigned offset)
{
    return (char *)m + offset;
}

/* Bit by bit: -0.0 is a value. */
static bool is_zero(const bli_field *f, const void *v)
{
    static const char zeros[16];
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return !*(char *const *)v || !**(char *const *)v;
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)v)->len == 0;
    return memcmp(v, zeros, bli_field_size(f)) == 0;
}

size_t bli_field_count(const bli_message *m, const bli_field *f)
{
    const void *v = member(m, f->offset);
    if (bli_field_is_repeated(f))
        return *(size_t *)member(m, f->quantifier_offset);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(uint32_t *)member(m, f->quantifier_offset) == f->id;
    if (is_entry(m->descriptor))
        return 1;
    if (f->label != PROTOBUF_C_LABEL_OPTIONAL)
        return !is_zero(f, v);
    bool pointer = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;
    return pointer ? *(void *const *)v != NULL && *(void *const *)v != f->default_value
                   : *(protobuf_c_boolean *)member(m, f->quantifier_offset) != 0;
}

const void *bli_field_at(const bli_message *m, const bli_field *f, size_t i)
{
    const char *v = member(m, f->offset);
    return bli_field_is_repeated(f) ? *(char *const *)v + i * bli_field_size(f) : v;
}

/* ---- making ---------------------------------------------------------------------------------------------------- */

bli_message *bli_message_make(bli_tf_store *s, const ProtobufCMessageDescriptor *type)
{
    bli_message *m = bli_tf_alloc(s, type->sizeof_message);
    if (m)
        protobuf_c_message_init(type, m);
    return m;
}

/* Arrays have room for a power of two of values, which their count tells. */
static void *add_repeated(bli_tf_store *s, bli_message *m, const bli_field *f)
{
    size_t *count = member(m, f->quantifier_offset), size = bli_field_size(f);
    char **values = member(m, f->offset);
    if ((*count & (*count - 1)) == 0) {
        char *more = bli_tf_alloc_array(s, *count ? *count : 1, 2 * size);
        if (!more)
            return NULL;
        if (*count)
            memcpy(more, *values, *count * size);
        *values = more;
    }
    return *values + (*count)++ * size;
}

void *bli_field_add(bli_tf_store *s, bli_message *m, const bli_field *f)
{
    if (bli_field_is_repeated(f))
        return add_repeated(s, m, f);
    void *v = member(m, f->offset);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)member(m, f->quantifier_offset) = f->id;
    else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->quantifier_offset)
        *(protobuf_c_boolean *)member(m, f->quantifier_offset) = 1;
    memset(v, 0, bli_field_size(f));
    return v;
}

/* ---- maps ------------------------------------------------------------------------------------------------------ */

typedef struct slot {
    bli_message *entry;
    size_t at; /* equal keys keep their order */
} slot;

static const void *key_of(const bli_message *entry)
{
    return bli_field_at(entry, &entry->descriptor->fields[0], 0);
}

static int compare_keys(const bli_message *a, const bli_message *b)
{
    const bli_field *f = &a->descriptor->fields[0];
    const void *x = key_of(a), *y = key_of(b);
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *s = *(char *const *)x, *t = *(char *const *)y;
        return strcmp(s ? s : "", t ? t : "");
    }
    uint64_t i = 0, k = 0; /* other keys here are unsigned */
    memcpy(&i, x, bli_field_size(f));
    memcpy(&k, y, bli_field_size(f));
    return i < k ? -1 : i > k;
}

static int by_key(const void *a, const void *b)
{
    const slot *x = a, *y = b;
    int order = compare_keys(x->entry, y->entry);
    return order ? order : x->at < y->at ? -1 : 1;
}

static bl_status sort_entries(bli_tf_store *s, bli_message **entries, size_t *count)
{
    bl_context *ctx = bli_tf_store_context(s);
    size_t sorted = 1, kept = 0;
    while (sorted < *count && compare_keys(entries[sorted - 1], entries[sorted]) < 0)
        sorted++;
    if (sorted >= *count)
        return BL_OK;
    slot *slots = bli_alloc_array(ctx, *count, sizeof *slots);
    if (!slots)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < *count; i++)
        slots[i] = (slot){entries[i], i};
    qsort(slots, *count, sizeof *slots, by_key);
    for (size_t i = 0; i < *count; i++) {
        bool again = kept > 0 && compare_keys(entries[kept - 1], slots[i].entry) == 0;
        kept += !again;
        entries[kept - 1] = slots[i].entry;
    }
    *count = kept;
    bli_free(ctx, slots);
    return BL_OK;
}

static bl_status fill_value(bli_tf_store *s, bli_message *entry)
{
    const bli_field *f = &entry->descriptor->fields[1];
    bli_message **value = member(entry, f->offset);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE && !*value && !(*value = bli_message_make(s, f->descriptor)))
        return BL_NO_MEMORY;
    return BL_OK;
}

/* The depth is bounded by who decoded the message. */
bl_status bli_message_sort_maps(bli_tf_store *s, bli_message *m)
{
    for (unsigned k = 0; k < m->descriptor->n_fields; k++) {
        const bli_field *f = &m->descriptor->fields[k];
        if (f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (is_map(f))
            BLI_TRY(sort_entries(s, *(bli_message ***)member(m, f->offset), member(m, f->quantifier_offset)));
        for (size_t i = 0, n = bli_field_count(m, f); i < n; i++) {
            bli_message *below = *(bli_message *const *)bli_field_at(m, f, i);
            if (below && is_map(f))
                BLI_TRY(fill_value(s, below));
            if (below)
                BLI_TRY(bli_message_sort_maps(s, below));
        }
    }
    return BL_OK;
}
