/* graphdef_file.c: binary GraphDefs and frozen SavedModels, in and out.
 *
 * protobuf-c decodes into the store's memory behind the scan that bounds what it may take; afterwards the file's bytes
 * are let go.  Maps are brought into the order of their keys, the last of equal keys stays, as TensorFlow's own maps
 * do. Writing goes node by node, so that a graph never stands in memory a second time.
 */
#include <string.h>

#include "base/file.h"
#include "graph/text.h"
#include "model/graphdef.h"
#include "model/pbtext.h"

static const size_t most_bytes = ((size_t)1 << 31) - 1; /* protobuf's own limit */

/* Saved model > meta graph > graph > node > attribute > value > tensor > shape > dimension, and functions as values of
 * attributes, which may hold values again. */
static const bli_wire_limits limits = {
    .depth = 64, .messages = (size_t)1 << 23, .fields = (size_t)1 << 25, .utf8 = true};

/* ---- decoding -------------------------------------------------------------------------------------------------- */

typedef struct decode_memory {
    bli_tf_store *store;
    bool failed;
} decode_memory;

static void *take(void *memory, size_t size)
{
    decode_memory *m = memory;
    void *p = size < SIZE_MAX ? bli_tf_alloc(m->store, size + 1) : NULL; /* bytes get a NUL behind them: text_of */
    m->failed = m->failed || !p;
    return p;
}

static void leave(void *memory, void *ptr)
{
    (void)memory, (void)ptr; /* the store drops it with everything else */
}

static bl_status unpack(bli_tf_store *s, const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                        ProtobufCMessage **out)
{
    bl_context *ctx = bli_tf_store_context(s);
    decode_memory memory = {s, false};
    ProtobufCAllocator allocator = {take, leave, &memory};
    BLI_TRY(bli_within(ctx, bli_wire_scan(ctx, type, data, size, &limits), "not a GraphDef"));
    *out = protobuf_c_message_unpack(type, &allocator, size, data);
    if (*out)
        return bli_message_sort_maps(s, *out);
    return memory.failed ? BL_NO_MEMORY : bli_fail(ctx, BL_BAD_FILE, "not a GraphDef: its fields cannot be decoded");
}

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

static bl_status read_attrs(bli_tf_store *s, const BliTf__NodeDef *from, bli_tf_node *n)
{
    n->attrs = bli_tf_alloc_array(s, from->n_attr, sizeof *n->attrs);
    n->num_attrs = from->n_attr;
    for (size_t i = 0; n->attrs && i < from->n_attr; i++)
        n->attrs[i] = (bli_tf_attr){from->attr[i]->key, from->attr[i]->value};
    return n->attrs ? BL_OK : BL_NO_MEMORY;
}

bl_status bli_tf_graph_add_def(bli_tf_graph *g, const BliTf__NodeDef *from)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    if (!from->name[0])
        return bli_fail(ctx, BL_BAD_MODEL, "node %zu (%s) has no name", g->num_nodes, from->op);
    if (!from->op[0])
        return bli_fail(ctx, BL_BAD_MODEL, "node '%s' has no operator", from->name);
    bli_tf_node *n = bli_tf_alloc(g->store, sizeof *n);
    if (!n)
        return BL_NO_MEMORY;
    *n = (bli_tf_node){.name = from->name, .op = from->op, .device = from->device, .rest = from};
    n->inputs = (const char **)from->input;
    n->num_inputs = from->n_input;
    BLI_TRY(read_attrs(g->store, from, n));
    return bli_tf_graph_add(g, n);
}

static bl_status read_graph(bli_tf_store *s, const BliTf__GraphDef *from, bli_tf_graph **out)
{
    bli_tf_graph *g = bli_tf_graph_make(s);
    bli_tf_index ix;
    if (!g)
        return BL_NO_MEMORY;
    g->library = from->library;
    g->versions = from->versions;
    g->debug_info = from->debug_info;
    g->version = from->version;
    g->source = from;
    for (size_t i = 0; i < from->n_node; i++)
        BLI_TRY(bli_tf_graph_add_def(g, from->node[i]));
    BLI_TRY(bli_tf_index_make(g, &ix));
    bli_tf_index_free(&ix);
    *out = g;
    return BL_OK;
}

static bl_status find_meta_graph(bl_context *ctx, const BliTf__SavedModel *m, const BliTf__GraphDef **out)
{
    if (m->n_meta_graphs != 1)
        return bli_fail(ctx, BL_UNSUPPORTED, "a SavedModel with %zu graphs, expected one", m->n_meta_graphs);
    if (!m->meta_graphs[0]->graph_def)
        return bli_fail(ctx, BL_BAD_FILE, "a SavedModel without a graph");
    *out = m->meta_graphs[0]->graph_def;
    return BL_OK;
}

/* A frozen graph has its weights in it; a SavedModel's variables lie in files beside it. */
static bl_status check_frozen(const bli_tf_graph *g)
{
    static const char *const variables[] = {"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"};
    for (size_t i = 0; i < g->num_nodes; i++)
        for (size_t k = 0; k < BLI_COUNT(variables); k++)
            if (strcmp(g->nodes[i]->op, variables[k]) == 0)
                return bli_fail(bli_tf_store_context(g->store), BL_UNSUPPORTED,
                                "node '%s' (%s): a variable, whose values are in a checkpoint beside the SavedModel; "
                                "freeze it first",
                                g->nodes[i]->name, g->nodes[i]->op);
    return BL_OK;
}

static bl_status read_message(bli_tf_store *s, const bli_message *m, bli_tf_graph **out)
{
    const BliTf__GraphDef *from = NULL;
    if (m->descriptor == &bli_tf__graph_def__descriptor)
        return read_graph(s, (const BliTf__GraphDef *)m, out);
    BLI_TRY(find_meta_graph(bli_tf_store_context(s), (const BliTf__SavedModel *)m, &from));
    BLI_TRY(read_graph(s, from, out));
    return check_frozen(*out);
}

/* A SavedModel begins with its version, an integer of field 1; what begins a GraphDef never is one. */
static bl_status decode_binary(bli_tf_store *s, const void *data, size_t size, bli_message **out)
{
    bool saved_model = size > 0 && *(const uint8_t *)data == 0x08;
    return unpack(s, saved_model ? &bli_tf__saved_model__descriptor : &bli_tf__graph_def__descriptor, data, size, out);
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static bool looks_like_text(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size && i < 4096; i++)
        if (data[i] < 0x20 && !memchr("\t\n\v\f\r", data[i], 5))
            return false;
    return true;
}

static const ProtobufCMessageDescriptor *type_of_text(const void *text, size_t size)
{
    char name[64];
    bli_pbtext_first_name(text, size, name, sizeof name);
    bool saved_model = protobuf_c_message_descriptor_get_field_by_name(&bli_tf__saved_model__descriptor, name) != NULL;
    return saved_model ? &bli_tf__saved_model__descriptor : &bli_tf__graph_def__descriptor;
}

static bl_status decode_text(bli_tf_store *s, const void *text, size_t size, bli_message **out)
{
    bl_context *ctx = bli_tf_store_context(s);
    bli_c_locale locale;
    *out = bli_message_make(s, type_of_text(text, size));
    if (!*out)
        return BL_NO_MEMORY;
    BLI_TRY(bli_c_locale_enter(ctx, &locale));
    bl_status status = bli_pbtext_parse(s, text, size, &limits, *out);
    bli_c_locale_leave(&locale);
    BLI_TRY(bli_within(ctx, status, "not a GraphDef in text form"));
    return bli_message_sort_maps(s, *out);
}

/* With the number of ONNX's version of files, where a SavedModel has 1. */
static bool begins_as_onnx(const uint8_t *data, size_t size)
{
    return size > 2 && data[0] == 0x08 && data[1] >= 3 && data[1] < 32;
}

/* As TensorFlow does: binary if it can be, else text.  No name of a GraphDef's or SavedModel's field begins a binary
 * message, nor does the comment that the writer puts before a number.  The words of a failure are those of what the
 * file looks like. */
static bl_status decode(bli_tf_store *s, const void *data, size_t size, bli_tf_graph **out)
{
    bli_message *m = NULL;
    bl_status status = decode_binary(s, data, size, &m);
    if (status == BL_BAD_FILE && looks_like_text(data, size))
        status = decode_text(s, data, size, &m);
    if (status == BL_BAD_FILE && begins_as_onnx(data, size))
        return bli_fail(bli_tf_store_context(s), BL_BAD_FILE, "not a GraphDef: it begins as an ONNX model does");
    return status == BL_OK ? read_message(s, m, out) : status;
}

bl_status bli_tf_graph_decode(bli_tf_store *s, const void *data, size_t size, bli_tf_graph **out)
{
    *out = NULL;
    bli_tf_graph *g = NULL;
    if (size > most_bytes)
        return bli_fail(bli_tf_store_context(s), BL_LIMIT, "%zu bytes, at most %zu are possible", size, most_bytes);
    BLI_TRY(decode(s, data, size, &g));
    *out = g;
    return BL_OK;
}

bl_status bli_tf_graph_read(bli_tf_store *s, const char *path, bli_tf_graph **out)
{
    bl_context *ctx = bli_tf_store_context(s);
    char *data;
    size_t size;
    *out = NULL;
    BLI_TRY(bli_file_read(ctx, path, most_bytes, &data, &size));
    bl_status status = bli_within(ctx, bli_tf_graph_decode(s, data, size, out), "read %s", path);
    bli_free(ctx, data);
    return status;
}
