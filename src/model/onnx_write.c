/* onnx_write.c: a graph's bytes as an ONNX file.
 *
 * The messages are built in a scratch arena, pointing into the graph wherever they can, and packed once: the same graph
 * gives the same bytes.  The batch is written as 1, which every tool accepts; readers here take it for the batch
 * whatever it is.  The nodes must already be ones that a file may hold (layout and quantizers spelled out).
 */
#include <stdio.h>
#include <string.h>

#include "model/onnx.h"

/* Protobuf's own limit; parsers refuse more. */
static const size_t most_bytes = ((size_t)1 << 31) - 1;

typedef struct encoder {
    bl_context *ctx;
    const bl_graph *g;
    bli_arena *arena;
    bl_status status; /* the first failure; later calls return NULL */
} encoder;

static void *make(encoder *e, size_t count, size_t size)
{
    void *p = e->status == BL_OK ? bli_arena_array(e->arena, count, size) : NULL;
    if (!p && e->status == BL_OK)
        e->status = BL_NO_MEMORY;
    return p;
}

#define NEW(e, var, Type, INIT)                                                                                        \
    BliOnnx__##Type *var = make(e, 1, sizeof *var);                                                                    \
    if (!var)                                                                                                          \
        return NULL;                                                                                                   \
    *var = (BliOnnx__##Type)INIT;

static char *text(const char *s)
{
    return (char *)s; /* protobuf-c's structs are not const, packing does not write */
}

/* ---- types and tensors -------------------------------------------------------------------------------------- */

static BliOnnx__Dimension *encode_dimension(encoder *e, int64_t dim)
{
    NEW(e, d, Dimension, BLI_ONNX__DIMENSION__INIT)
    d->has_dim_value = 1;
    d->dim_value = dim < 0 ? 1 : dim;
    return d;
}

static BliOnnx__ValueInfo *encode_value_info(encoder *e, const bl_value *v)
{
    NEW(e, info, ValueInfo, BLI_ONNX__VALUE_INFO__INIT)
    NEW(e, type, Type, BLI_ONNX__TYPE__INIT)
    NEW(e, tensor, TensorType, BLI_ONNX__TENSOR_TYPE__INIT)
    NEW(e, shape, Shape, BLI_ONNX__SHAPE__INIT)
    info->name = text(v->name);
    info->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = bli_onnx_data_type(v->type);
    tensor->shape = shape;
    shape->n_dim = (size_t)v->shape.rank;
    shape->dim = make(e, shape->n_dim, sizeof(void *));
    for (size_t i = 0; e->status == BL_OK && i < shape->n_dim; i++)
        shape->dim[i] = encode_dimension(e, v->shape.dim[i]);
    return info;
}

static BliOnnx__Tensor *encode_tensor(encoder *e, const char *name, bl_dtype type, const bl_shape *shape, void *data)
{
    NEW(e, tensor, Tensor, BLI_ONNX__TENSOR__INIT)
    tensor->name = text(name);
    tensor->n_dims = (size_t)shape->rank;
    tensor->dims = (int64_t *)shape->dim;
    tensor->has_data_type = 1;
    tensor->data_type = bli_onnx_data_type(type);
    tensor->has_raw_data = 1;
    tensor->raw_data.len = (size_t)bl_shape_count(shape) * bl_dtype_size(type);
    tensor->raw_data.data = data;
    return tensor;
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

enum { A_FLOAT = 1, A_INT, A_STRING, A_TENSOR, A_FLOATS = 6, A_INTS, A_STRINGS };
static const int32_t attribute_types[] = {
    [BL_ATTR_INT] = A_INT,       [BL_ATTR_FLOAT] = A_FLOAT,     [BL_ATTR_STRING] = A_STRING, [BL_ATTR_INTS] = A_INTS,
    [BL_ATTR_FLOATS] = A_FLOATS, [BL_ATTR_STRINGS] = A_STRINGS, [BL_ATTR_TENSOR] = A_TENSOR};

static ProtobufCBinaryData bytes_of(const char *s)
{
    return (ProtobufCBinaryData){strlen(s), (uint8_t *)text(s)};
}

static void encode_lists(encoder *e, const bl_attr *a, BliOnnx__Attribute *out)
{
    if (a->kind == BL_ATTR_INTS) {
        out->n_ints = a->count;
        out->ints = (int64_t *)a->u.ints;
    } else if (a->kind == BL_ATTR_FLOATS) {
        out->n_floats = a->count;
        out->floats = make(e, a->count, sizeof *out->floats);
        for (size_t i = 0; out->floats && i < a->count; i++)
            out->floats[i] = (float)a->u.floats[i];
    } else if (a->kind == BL_ATTR_STRINGS) {
        out->n_strings = a->count;
        out->strings = make(e, a->count, sizeof *out->strings);
        for (size_t i = 0; out->strings && i < a->count; i++)
            out->strings[i] = bytes_of(a->u.strings[i]);
    }
}

static BliOnnx__Attribute *encode_attribute(encoder *e, const bl_attr *a)
{
    NEW(e, out, Attribute, BLI_ONNX__ATTRIBUTE__INIT)
    out->name = text(a->name);
    out->has_type = 1;
    out->type = attribute_types[a->kind];
    out->has_i = a->kind == BL_ATTR_INT;
    out->has_f = a->kind == BL_ATTR_FLOAT;
    out->has_s = a->kind == BL_ATTR_STRING;
    if (a->kind == BL_ATTR_INT)
        out->i = a->u.i;
    else if (a->kind == BL_ATTR_FLOAT)
        out->f = (float)a->u.f;
    else if (a->kind == BL_ATTR_STRING)
        out->s = bytes_of(a->u.s);
    else if (a->kind == BL_ATTR_TENSOR)
        out->t = encode_tensor(e, NULL, a->u.tensor.type, &a->u.tensor.shape, a->u.tensor.data);
    else
        encode_lists(e, a, out);
    return out;
}

static char **encode_names(encoder *e, const int *ids, int count)
{
    char **names = make(e, (size_t)count, sizeof(char *));
    for (int i = 0; names && i < count; i++)
        names[i] = text(ids[i] < 0 ? "" : bl_graph_value(e->g, ids[i])->name);
    return names;
}

static BliOnnx__Node *encode_node(encoder *e, const bl_node *n)
{
    NEW(e, out, Node, BLI_ONNX__NODE__INIT)
    out->name = text(n->name);
    out->op_type = text(n->type);
    out->domain = text(n->domain);
    out->n_input = (size_t)n->num_inputs;
    out->input = encode_names(e, n->inputs, n->num_inputs);
    out->n_output = (size_t)n->num_outputs;
    out->output = encode_names(e, n->outputs, n->num_outputs);
    out->n_attribute = (size_t)n->num_attrs;
    out->attribute = make(e, out->n_attribute, sizeof(void *));
    for (int i = 0; e->status == BL_OK && i < n->num_attrs; i++)
        out->attribute[i] = encode_attribute(e, &n->attrs[i]);
    return out;
}

/* ---- graph -------------------------------------------------------------------------------------------------- */

/* Constants go in as initializers, computed values that are no outputs as value_info, each in the graph's order. */
static void encode_values(encoder *e, BliOnnx__Graph *out)
{
    size_t count = (size_t)bl_graph_num_values(e->g);
    out->initializer = make(e, count, sizeof(void *));
    out->value_info = make(e, count, sizeof(void *));
    for (int i = 0; e->status == BL_OK && i < (int)count; i++) {
        const bl_value *v = bl_graph_value(e->g, i);
        if (v->data) {
            out->initializer[out->n_initializer++] = encode_tensor(e, v->name, v->type, &v->shape, v->data);
        } else if (v->role == BL_ROLE_COMPUTED && v->shape.rank >= 0 && !bli_graph_is_output(e->g, i)) {
            out->value_info[out->n_value_info++] = encode_value_info(e, v);
        }
    }
}

static BliOnnx__Graph *encode_graph(encoder *e)
{
    NEW(e, out, Graph, BLI_ONNX__GRAPH__INIT)
    out->name = text(bl_graph_name(e->g)[0] ? bl_graph_name(e->g) : "bitlathe");
    out->n_input = (size_t)bl_graph_num_inputs(e->g);
    out->n_output = (size_t)bl_graph_num_outputs(e->g);
    out->n_node = (size_t)bl_graph_num_nodes(e->g);
    out->input = make(e, out->n_input, sizeof(void *));
    out->output = make(e, out->n_output, sizeof(void *));
    out->node = make(e, out->n_node, sizeof(void *));
    encode_values(e, out);
    for (size_t i = 0; e->status == BL_OK && i < out->n_input; i++)
        out->input[i] = encode_value_info(e, bl_graph_value(e->g, bl_graph_input(e->g, (int)i)));
    for (size_t i = 0; e->status == BL_OK && i < out->n_output; i++)
        out->output[i] = encode_value_info(e, bl_graph_value(e->g, bl_graph_output(e->g, (int)i)));
    for (size_t i = 0; e->status == BL_OK && i < out->n_node; i++)
        out->node[i] = encode_node(e, bl_graph_node(e->g, (int)i));
    return out;
}

/* ---- model -------------------------------------------------------------------------------------------------- */

static BliOnnx__Entry *encode_entry(encoder *e, const char *key, const char *value)
{
    NEW(e, entry, Entry, BLI_ONNX__ENTRY__INIT)
    entry->key = text(key);
    entry->value = text(value);
    return entry;
}

static char *join(encoder *e, const char *a, const char *b)
{
    size_t size = strlen(a) + strlen(b) + 1;
    char *s = make(e, size, 1);
    if (s)
        snprintf(s, size, "%s%s", a, b);
    return s;
}

static BliOnnx__Entry *encode_role(encoder *e, const bl_value *v)
{
    bli_buf b;
    bli_buf_init(&b, e->ctx, 4096);
    bl_status s = bli_onnx_store_role(&b, v);
    char *value = s == BL_OK ? join(e, b.data, "") : NULL;
    bli_buf_free(&b);
    if (s != BL_OK && e->status == BL_OK)
        e->status = s;
    char *key = value ? join(e, "bitlathe.value.", v->name) : NULL;
    return key ? encode_entry(e, key, value) : NULL;
}

static void encode_meta(encoder *e, BliOnnx__Model *m)
{
    size_t most = (size_t)bl_graph_num_meta(e->g) + (size_t)bl_graph_num_values(e->g) + 1;
    m->metadata_props = make(e, most, sizeof(void *));
    if (!m->metadata_props)
        return;
    m->metadata_props[m->n_metadata_props++] = encode_entry(e, BLI_ONNX_MARK, "1");
    for (int i = 0; e->status == BL_OK && i < bl_graph_num_meta(e->g); i++) {
        const char *key, *value;
        bl_graph_meta_at(e->g, i, &key, &value);
        m->metadata_props[m->n_metadata_props++] = encode_entry(e, key, value);
    }
    for (int i = 0; e->status == BL_OK && i < bl_graph_num_values(e->g); i++) {
        const bl_value *v = bl_graph_value(e->g, i);
        if (v->data && (v->role != BL_ROLE_CONSTANT || v->place[0]))
            m->metadata_props[m->n_metadata_props++] = encode_role(e, v);
    }
}

static BliOnnx__Opset *encode_opset(encoder *e, const char *domain, int64_t version)
{
    NEW(e, o, Opset, BLI_ONNX__OPSET__INIT)
    o->domain = text(domain);
    o->has_version = 1;
    o->version = version;
    return o;
}

static bool uses_domain(const bl_graph *g, const char *domain)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++)
        if (strcmp(bl_graph_node(g, i)->domain, domain) == 0)
            return true;
    return false;
}

static BliOnnx__Model *encode_model(encoder *e)
{
    NEW(e, m, Model, BLI_ONNX__MODEL__INIT)
    m->has_ir_version = 1;
    m->ir_version = BLI_ONNX_IR;
    m->producer_name = text("bitlathe");
    m->producer_version = text(bl_version());
    m->opset_import = make(e, 2, sizeof(void *));
    if (!m->opset_import)
        return NULL;
    m->opset_import[m->n_opset_import++] = encode_opset(e, "", BLI_ONNX_OPSET);
    if (uses_domain(e->g, BLI_DOMAIN_QONNX))
        m->opset_import[m->n_opset_import++] = encode_opset(e, BLI_DOMAIN_QONNX, 2);
    m->graph = encode_graph(e);
    encode_meta(e, m);
    return m;
}

static bl_status check_size(const bl_graph *g)
{
    size_t total = 0;
    for (int i = 0; i < bl_graph_num_values(g); i++) {
        const bl_value *v = bl_graph_value(g, i);
        size_t bytes = v->data ? (size_t)bl_shape_count(&v->shape) * bl_dtype_size(v->type) : 0;
        if (!bli_add_size(total, bytes, &total) || total > most_bytes)
            return bli_fail(bl_graph_context(g), BL_LIMIT,
                            "value '%s': the model's tensors pass 2 GiB, which an ONNX "
                            "file cannot hold",
                            v->name);
    }
    return BL_OK;
}

static bl_status check_nodes(const bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (strcmp(n->domain, "") != 0 && strcmp(n->domain, BLI_DOMAIN_QONNX) != 0)
            return bli_fail(bl_graph_context(g), BL_UNSUPPORTED, "node '%s': %s.%s has no spelling in an ONNX file",
                            n->name, n->domain, n->type);
    }
    return BL_OK;
}

static bl_status pack(bl_context *ctx, const BliOnnx__Model *m, char **data, size_t *size)
{
    *size = bli_onnx__model__get_packed_size(m);
    if (*size > most_bytes)
        return bli_fail(ctx, BL_LIMIT, "the model's %zu bytes pass the 2 GiB that an ONNX file can hold", *size);
    *data = bli_alloc(ctx, *size);
    if (!*data)
        return BL_NO_MEMORY;
    bli_onnx__model__pack(m, (uint8_t *)*data);
    return BL_OK;
}

bl_status bli_onnx_encode(const bl_graph *g, char **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    encoder e = {.ctx = bl_graph_context(g), .g = g};
    BLI_TRY(check_nodes(g));
    BLI_TRY(check_size(g));
    BLI_TRY(bli_arena_create(e.ctx, &e.arena));
    BliOnnx__Model *m = encode_model(&e);
    bl_status s = e.status;
    if (s == BL_OK)
        s = pack(e.ctx, m, data, size);
    bli_arena_destroy(e.arena);
    return s;
}
