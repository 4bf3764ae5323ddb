/* graphdef_write.c: graphs as binary or text, in TensorFlow's own bytes.
 *
 * Writing goes node by node, so that a graph never stands in memory a second time.
 */
#include "base/file.h"
#include "graph/text.h"
#include "model/pbtext.h"

static const size_t most_bytes = ((size_t)1 << 31) - 1; /* protobuf's own limit */

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

/* All but the nodes. */
static BliTf__GraphDef rest_of(const bli_tf_graph *g)
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
    return rest;
}

static void write_node(const bli_message *m, bool text, bli_wire_sink *sink)
{
    if (text) {
        bli_pbtext_print_field(&bli_tf__graph_def__descriptor.fields[0], m, 0, sink);
        return;
    }
    bli_wire_sink_varint(sink, TAG_NODE);
    bli_wire_sink_varint(sink, bli_message_size(m));
    bli_message_write(m, sink);
}

/* Whether the text of m begins with the number of an unknown field. */
static bool begins_with_number(const bli_message *m)
{
    for (unsigned k = 0; k < m->descriptor->n_fields; k++)
        if (bli_field_count(m, &m->descriptor->fields[k]) > 0)
            return false;
    return m->n_unknown_fields > 0;
}

static void write_rest(const bli_tf_graph *g, const bli_message *rest, bool text, bli_wire_sink *sink)
{
    static const char comment[] =
        "# A GraphDef\n"; /* no binary message begins so, but one may begin as a number does */
    if (!text) {
        bli_message_write(rest, sink);
        return;
    }
    if (g->num_nodes == 0 && begins_with_number(rest))
        sink->base.append(&sink->base, sizeof comment - 1, (const uint8_t *)comment);
    bli_pbtext_print(rest, 0, sink);
}

static bl_status write_nodes(const bli_tf_graph *g, bool text, bli_wire_sink *sink)
{
    node_message m;
    BliTf__GraphDef rest = rest_of(g);
    BLI_TRY(node_message_make(g, &m));
    for (size_t i = 0; i < g->num_nodes && sink->status == BL_OK; i++) {
        node_message_fill(&m, g->nodes[i]);
        write_node(&m.def.base, text, sink);
    }
    node_message_free(g, &m);
    write_rest(g, &rest.base, text, sink);
    return sink->status;
}

static bl_status write_graph(const bli_tf_graph *g, bool text, bli_wire_sink *sink)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_c_locale locale;
    BLI_TRY(bli_c_locale_enter(ctx, &locale));
    bl_status s = write_nodes(g, text, sink);
    bli_c_locale_leave(&locale);
    if (s == BL_OK && !text && sink->size > most_bytes)
        return bli_fail(ctx, BL_LIMIT, "a graph of %zu bytes, at most %zu are possible", sink->size, most_bytes);
    return s;
}

static bl_status to_memory(const bli_tf_graph *g, bool text, char **data, size_t *size)
{
    bli_buf b;
    *data = NULL;
    *size = 0;
    bli_buf_init(&b, bli_tf_store_context(g->store), text ? 8 * most_bytes : most_bytes);
    bli_wire_sink sink = bli_wire_sink_make(bli_wire_to_buf, &b);
    bl_status s = write_graph(g, text, &sink);
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

static bl_status append_to_file(void *writer, const void *data, size_t size)
{
    return bli_writer_write(writer, data, size);
}

static bl_status to_file(const bli_tf_graph *g, bool text, const char *path)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_writer *w;
    BLI_TRY(bli_writer_open(ctx, path, &w));
    bli_wire_sink sink = bli_wire_sink_make(append_to_file, w);
    bl_status s = write_graph(g, text, &sink);
    if (s == BL_OK)
        return bli_writer_commit(w);
    bli_writer_abandon(w);
    return bli_within(ctx, s, "write %s", path);
}

bl_status bli_tf_graph_encode(const bli_tf_graph *g, char **data, size_t *size)
{
    return to_memory(g, false, data, size);
}

bl_status bli_tf_graph_print(const bli_tf_graph *g, char **text, size_t *size)
{
    return to_memory(g, true, text, size);
}

bl_status bli_tf_graph_write(const bli_tf_graph *g, const char *path)
{
    return to_file(g, false, path);
}

bl_status bli_tf_graph_write_text(const bli_tf_graph *g, const char *path)
{
    return to_file(g, true, path);
}
