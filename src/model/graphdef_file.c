/* graphdef_file.c: binary GraphDefs and frozen SavedModels, in and out.
 *
 * protobuf-c decodes into the store's memory behind the scan that bounds what it may take; afterwards the file's bytes
 * are let go.  Maps are brought into the order of their keys, the last of equal keys stays, as TensorFlow's own maps
 * do. Writing goes node by node, so that a graph never stands in memory a second time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/graphdef.h"
#include "model/wire.h"

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
    void *p = bli_tf_alloc(m->store, size);
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
        return BL_OK;
    return memory.failed ? BL_NO_MEMORY : bli_fail(ctx, BL_BAD_FILE, "not a GraphDef: its fields cannot be decoded");
}

/* ---- maps ------------------------------------------------------------------------------------------------------- */

typedef struct entry {
    bli_tf_attr attr;
    size_t at; /* in the file: equal keys keep their order */
} entry;

static int by_name(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = strcmp(x->attr.name, y->attr.name);
    return order ? order : x->at < y->at ? -1 : 1;
}

static const bli_tf_value *value_of(bli_tf_store *s, const BliTf__NodeDef__AttrEntry *from)
{
    if (from->value)
        return from->value;
    bli_tf_value *empty = bli_tf_alloc(s, sizeof *empty);
    if (empty)
        bli_tf__attr_value__init(empty);
    return empty;
}

static bl_status read_entries(bli_tf_store *s, const BliTf__NodeDef *from, entry *entries, bli_tf_node *n)
{
    for (size_t i = 0; i < from->n_attr; i++) {
        entries[i] = (entry){{from->attr[i]->key, value_of(s, from->attr[i])}, i};
        if (!entries[i].attr.value)
            return BL_NO_MEMORY;
    }
    qsort(entries, from->n_attr, sizeof *entries, by_name);
    for (size_t i = 0; i < from->n_attr; i++) {
        bool again = n->num_attrs > 0 && strcmp(n->attrs[n->num_attrs - 1].name, entries[i].attr.name) == 0;
        n->num_attrs += !again;
        n->attrs[n->num_attrs - 1] = entries[i].attr;
    }
    return BL_OK;
}

static bl_status read_attrs(bli_tf_store *s, const BliTf__NodeDef *from, bli_tf_node *n)
{
    bl_context *ctx = bli_tf_store_context(s);
    if (from->n_attr == 0)
        return BL_OK;
    n->attrs = bli_tf_alloc_array(s, from->n_attr, sizeof *n->attrs);
    entry *entries = n->attrs ? bli_alloc_array(ctx, from->n_attr, sizeof *entries) : NULL;
    if (!entries)
        return BL_NO_MEMORY;
    bl_status status = read_entries(s, from, entries, n);
    bli_free(ctx, entries);
    return status;
}

/* ---- graphs ---------------------------------------------------------------------------------------------------- */

static bl_status read_node(bli_tf_graph *g, const BliTf__NodeDef *from)
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
        BLI_TRY(read_node(g, from->node[i]));
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

/* A SavedModel begins with its version, an integer of field 1; what begins a GraphDef never is one. */
static bool is_saved_model(const uint8_t *data, size_t size)
{
    return size > 0 && data[0] == 0x08;
}

static bl_status decode(bli_tf_store *s, const void *data, size_t size, bli_tf_graph **out)
{
    ProtobufCMessage *m;
    if (!is_saved_model(data, size)) {
        BLI_TRY(unpack(s, &bli_tf__graph_def__descriptor, data, size, &m));
        return read_graph(s, (const BliTf__GraphDef *)m, out);
    }
    const BliTf__GraphDef *from = NULL;
    BLI_TRY(unpack(s, &bli_tf__saved_model__descriptor, data, size, &m));
    BLI_TRY(find_meta_graph(bli_tf_store_context(s), (const BliTf__SavedModel *)m, &from));
    BLI_TRY(read_graph(s, from, out));
    return check_frozen(*out);
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

/* ---- writing --------------------------------------------------------------------------------------------------- */

enum { TAG_NODE = 1 << 3 | 2 };

/* One node as a message in borrowed arrays. */
typedef struct node_message {
    BliTf__NodeDef def;
    BliTf__NodeDef__AttrEntry *entries, **pointers;
} node_message;

static bl_status node_message_make(const bli_tf_graph *g, node_message *m)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    size_t most = 1;
    for (size_t i = 0; i < g->num_nodes; i++)
        most = g->nodes[i]->num_attrs > most ? g->nodes[i]->num_attrs : most;
    m->entries = bli_alloc_array(ctx, most, sizeof *m->entries);
    m->pointers = m->entries ? bli_alloc_array(ctx, most, sizeof *m->pointers) : NULL;
    if (m->pointers)
        return BL_OK;
    bli_free(ctx, m->entries);
    return BL_NO_MEMORY;
}

static void node_message_free(const bli_tf_graph *g, node_message *m)
{
    bli_free(bli_tf_store_context(g->store), m->entries);
    bli_free(bli_tf_store_context(g->store), m->pointers);
}

/* protobuf-c's structs are not const; packing does not write. */
static void node_message_fill(node_message *m, const bli_tf_node *n)
{
    bli_tf__node_def__init(&m->def);
    if (n->rest) {
        m->def.experimental_debug_info = n->rest->experimental_debug_info;
        m->def.experimental_type = n->rest->experimental_type;
        m->def.base.n_unknown_fields = n->rest->base.n_unknown_fields;
        m->def.base.unknown_fields = n->rest->base.unknown_fields;
    }
    m->def.name = (char *)n->name;
    m->def.op = (char *)n->op;
    m->def.device = (char *)n->device;
    m->def.n_input = n->num_inputs;
    m->def.input = (char **)n->inputs;
    m->def.n_attr = n->num_attrs;
    m->def.attr = m->pointers;
    for (size_t i = 0; i < n->num_attrs; i++) {
        bli_tf__node_def__attr_entry__init(&m->entries[i]);
        m->entries[i].key = (char *)n->attrs[i].name;
        m->entries[i].value = (BliTf__AttrValue *)n->attrs[i].value;
        m->pointers[i] = &m->entries[i];
    }
}

static void write_rest(const bli_tf_graph *g, bli_wire_sink *sink)
{
    BliTf__GraphDef rest;
    bli_tf__graph_def__init(&rest);
    rest.library = (BliTf__FunctionDefLibrary *)g->library;
    rest.version = g->version;
    rest.versions = (BliTf__VersionDef *)g->versions;
    rest.debug_info = (BliTf__GraphDebugInfo *)g->debug_info;
    if (g->source) {
        rest.base.n_unknown_fields = g->source->base.n_unknown_fields;
        rest.base.unknown_fields = g->source->base.unknown_fields;
    }
    protobuf_c_message_pack_to_buffer(&rest.base, &sink->base);
}

static bl_status write_graph(const bli_tf_graph *g, bli_wire_sink *sink)
{
    node_message m;
    BLI_TRY(node_message_make(g, &m));
    for (size_t i = 0; i < g->num_nodes && sink->status == BL_OK; i++) {
        node_message_fill(&m, g->nodes[i]);
        bli_wire_sink_varint(sink, TAG_NODE);
        bli_wire_sink_varint(sink, protobuf_c_message_get_packed_size(&m.def.base));
        protobuf_c_message_pack_to_buffer(&m.def.base, &sink->base);
    }
    node_message_free(g, &m);
    write_rest(g, sink);
    if (sink->status == BL_OK && sink->size > most_bytes)
        return bli_fail(bli_tf_store_context(g->store), BL_LIMIT, "a graph of %zu bytes, at most %zu are possible",
                        sink->size, most_bytes);
    return sink->status;
}

bl_status bli_tf_graph_encode(const bli_tf_graph *g, char **data, size_t *size)
{
    bli_buf b;
    *data = NULL;
    *size = 0;
    bli_buf_init(&b, bli_tf_store_context(g->store), most_bytes);
    bli_wire_sink sink = bli_wire_sink_make(bli_wire_to_buf, &b);
    bl_status s = write_graph(g, &sink);
    if (s == BL_OK && b.capacity == 0)
        s = bli_buf_append(&b, "", 1), b.size = 0; /* an empty graph has a block of its own too */
    if (s != BL_OK) {
        bli_buf_free(&b);
        return s;
    }
    *data = b.data;
    *size = b.size;
    return BL_OK;
}

static bl_status to_file(void *writer, const void *data, size_t size)
{
    return bli_writer_write(writer, data, size);
}

bl_status bli_tf_graph_write(const bli_tf_graph *g, const char *path)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_writer *w;
    BLI_TRY(bli_writer_open(ctx, path, &w));
    bli_wire_sink sink = bli_wire_sink_make(to_file, w);
    bl_status s = write_graph(g, &sink);
    if (s == BL_OK)
        return bli_writer_commit(w);
    bli_writer_abandon(w);
    return bli_within(ctx, s, "write %s", path);
}
