/* onnx_read.c: an ONNX file's model as a graph, operator for operator.
 *
 * It builds what the file says and checks what a file can get wrong: versions, names, links, sizes.  It knows no
 * operator; older spellings (onnx_modernize.c), roles of tensors (roles.c) and layout come after it.
 */
#include <string.h>

#include "model/onnx.h"
#include "model/wire.h"

/* Model > graph > value info > type > tensor type > shape > dimension is the deepest; counts allow for the largest
 * published models ten times over, and keep what decoding takes below a few GiB. */
static const bli_wire_limits limits = {.depth = 8, .messages = (size_t)1 << 22, .fields = (size_t)1 << 24};

typedef struct reader {
    bl_context *ctx;
    bl_graph *g;
    bli_arena *scratch;
    bli_onnx_external external;
    bli_onnx_facts facts;
} reader;

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* ---- versions ----------------------------------------------------------------------------------------------- */

/* Other tools' names for the domains that we know. */
static const char *domain_of(const char *domain)
{
    static const char *const same[][2] = {
        {"ai.onnx", ""}, {"onnx.brevitas", BLI_DOMAIN_QONNX}, {"finn.custom_op.general", BLI_DOMAIN_QONNX}};
    for (size_t i = 0; i < BLI_COUNT(same); i++)
        if (strcmp(or_empty(domain), same[i][0]) == 0)
            return same[i][1];
    return or_empty(domain);
}

static bl_status check_versions(reader *r, const BliOnnx__Model *m)
{
    if (m->ir_version < BLI_ONNX_LEAST_IR || m->ir_version > BLI_ONNX_MOST_IR)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "IR version %lld, expected %d to %d", (long long)m->ir_version,
                        BLI_ONNX_LEAST_IR, BLI_ONNX_MOST_IR);
    if (m->n_functions || m->n_training_info)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "models with their own functions or training parts are not supported");
    int64_t opset = 0;
    for (size_t i = 0; i < m->n_opset_import; i++)
        if (strcmp(domain_of(m->opset_import[i]->domain), "") == 0)
            opset = m->opset_import[i]->version;
    if (opset < BLI_ONNX_LEAST_OPSET || opset > BLI_ONNX_MOST_OPSET)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "operator set %lld, expected %d to %d", (long long)opset,
                        BLI_ONNX_LEAST_OPSET, BLI_ONNX_MOST_OPSET);
    r->facts.opset = (int)opset;
    return BL_OK;
}

/* ---- tensors and inputs ------------------------------------------------------------------------------------- */

static bl_status read_initializer(reader *r, const BliOnnx__Tensor *t)
{
    bl_tensor tensor;
    void *owned = NULL;
    if (!t->name || !t->name[0])
        return bli_fail(r->ctx, BL_BAD_MODEL, "it has no name");
    BLI_TRY(bli_onnx_tensor(r->ctx, t, &r->external, &tensor, &owned));
    bl_status s = bl_graph_add_tensor(r->g, t->name, BL_ROLE_CONSTANT, "", &tensor, NULL);
    bli_free(r->ctx, owned);
    return s;
}

/* Dimension 0 is the batch, whatever size the file was exported with. */
static bl_status read_dimensions(reader *r, const BliOnnx__Shape *from, bl_shape *s)
{
    if (from->n_dim < 1 || from->n_dim > BL_MAX_RANK)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "it has %zu dimensions, expected 1 to %d with the batch first",
                        from->n_dim, BL_MAX_RANK);
    s->rank = (int)from->n_dim;
    for (size_t i = 0; i < from->n_dim; i++) {
        const BliOnnx__Dimension *d = from->dim[i];
        s->dim[i] = i > 0 && d->has_dim_value ? d->dim_value : -1;
        if (i > 0 && (!d->has_dim_value || d->dim_value < 0))
            return bli_fail(r->ctx, BL_UNSUPPORTED, "dimension %zu ('%s') is not known; only the batch may be", i,
                            or_empty(d->dim_param));
    }
    return BL_OK;
}

static bl_status read_input(reader *r, const BliOnnx__ValueInfo *v)
{
    bl_dtype type;
    bl_shape shape = {.rank = 0};
    if (!v->name || !v->name[0])
        return bli_fail(r->ctx, BL_BAD_MODEL, "it has no name");
    if (!v->type || !v->type->tensor_type || !v->type->tensor_type->shape)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "it is no tensor of known rank");
    int32_t data_type = v->type->tensor_type->elem_type;
    if (!bli_onnx_dtype(data_type, &type) || bli_onnx_data_type(type) != data_type)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "its element type %d (%s) is not supported", data_type,
                        bli_onnx_type_name(data_type));
    BLI_TRY(read_dimensions(r, v->type->tensor_type->shape, &shape));
    const BliOnnx__Dimension *batch = v->type->tensor_type->shape->dim[0];
    if (batch->has_dim_value && r->facts.batch <= 0)
        r->facts.batch = batch->dim_value;
    return bl_graph_add_input(r->g, v->name, type, &shape, NULL);
}

static bl_status read_inputs(reader *r, const BliOnnx__Graph *g)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        BLI_TRY(bli_within(r->ctx, read_initializer(r, g->initializer[i]), "initializer '%s'",
                           or_empty(g->initializer[i]->name)));
    for (size_t i = 0; i < g->n_input; i++) {
        int id = bl_graph_find_value(r->g, or_empty(g->input[i]->name));
        if (id >= 0 && bl_graph_value(r->g, id)->role == BL_ROLE_CONSTANT)
            continue; /* an input with a default, as old files list every initializer */
        BLI_TRY(bli_within(r->ctx, read_input(r, g->input[i]), "input '%s'", or_empty(g->input[i]->name)));
    }
    return BL_OK;
}

/* ---- attributes --------------------------------------------------------------------------------------------- */

enum { A_FLOAT = 1, A_INT, A_STRING, A_TENSOR, A_GRAPH, A_FLOATS, A_INTS, A_STRINGS };

/* Files of the first IR versions leave the type out. */
static int attribute_type(const BliOnnx__Attribute *a)
{
    if (a->has_type && a->type != 0)
        return a->type;
    return a->has_f       ? A_FLOAT
           : a->has_i     ? A_INT
           : a->has_s     ? A_STRING
           : a->t         ? A_TENSOR
           : a->has_g     ? A_GRAPH
           : a->n_floats  ? A_FLOATS
           : a->n_strings ? A_STRINGS
                          : A_INTS;
}

static bl_status read_text(reader *r, const ProtobufCBinaryData *b, const char **out)
{
    if (b->len && memchr(b->data, 0, b->len))
        return bli_fail(r->ctx, BL_BAD_FILE, "its text has a zero byte");
    char *s = bli_arena_alloc(r->scratch, b->len + 1);
    if (!s)
        return BL_NO_MEMORY;
    if (b->len)
        memcpy(s, b->data, b->len);
    *out = s;
    return BL_OK;
}

static bl_status read_lists(reader *r, const BliOnnx__Attribute *from, bl_attr *a)
{
    if (a->kind == BL_ATTR_INTS) {
        a->count = from->n_ints;
        a->u.ints = from->ints;
        return BL_OK;
    }
    a->count = a->kind == BL_ATTR_FLOATS ? from->n_floats : from->n_strings;
    double *floats = bli_arena_array(r->scratch, a->count, sizeof *floats);
    const char **strings = bli_arena_array(r->scratch, a->count, sizeof *strings);
    if (!floats || !strings)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind == BL_ATTR_FLOATS)
            floats[i] = (double)from->floats[i];
        else
            BLI_TRY(read_text(r, &from->strings[i], &strings[i]));
    }
    if (a->kind == BL_ATTR_FLOATS)
        a->u.floats = floats;
    else
        a->u.strings = strings;
    return BL_OK;
}

static bl_status read_attribute_tensor(reader *r, const BliOnnx__Tensor *t, bl_tensor *out)
{
    void *owned = NULL;
    if (!t)
        return bli_fail(r->ctx, BL_BAD_FILE, "it has no tensor");
    BLI_TRY(bli_onnx_tensor(r->ctx, t, &r->external, out, &owned));
    if (!owned && !(t->has_data_location && t->data_location))
        return BL_OK;
    size_t bytes = (size_t)bl_shape_count(&out->shape) * bl_dtype_size(out->type);
    void *copy = bli_arena_alloc(r->scratch, bytes);
    if (copy && bytes)
        memcpy(copy, out->data, bytes);
    out->data = copy;
    bli_free(r->ctx, owned);
    return copy ? BL_OK : BL_NO_MEMORY;
}

static bl_status read_attribute(reader *r, const BliOnnx__Attribute *from, bl_attr *a)
{
    *a = (bl_attr){.name = from->name, .count = 1};
    if (!from->name || !from->name[0])
        return bli_fail(r->ctx, BL_BAD_MODEL, "an attribute without a name");
    if (from->ref_attr_name && from->ref_attr_name[0])
        return bli_fail(r->ctx, BL_UNSUPPORTED, "it refers to a function's attribute");
    switch (attribute_type(from)) {
    case A_FLOAT:
        a->kind = BL_ATTR_FLOAT;
        a->u.f = (double)from->f;
        return BL_OK;
    case A_INT:
        a->kind = BL_ATTR_INT;
        a->u.i = from->i;
        return BL_OK;
    case A_STRING:
        a->kind = BL_ATTR_STRING;
        return read_text(r, &from->s, &a->u.s);
    case A_TENSOR:
        a->kind = BL_ATTR_TENSOR;
        return read_attribute_tensor(r, from->t, &a->u.tensor);
    case A_FLOATS:
        a->kind = BL_ATTR_FLOATS;
        return read_lists(r, from, a);
    case A_INTS:
        a->kind = BL_ATTR_INTS;
        return read_lists(r, from, a);
    case A_STRINGS:
        a->kind = BL_ATTR_STRINGS;
        return read_lists(r, from, a);
    default:
        return bli_fail(r->ctx, BL_UNSUPPORTED, "its type %d (a graph, list of tensors or the like) is not supported",
                        attribute_type(from));
    }
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

/* Outputs are declared before any node is read, so that nodes may come in any order. */
static bl_status declare_outputs(reader *r, const BliOnnx__Node *n)
{
    for (size_t i = 0; i < n->n_output; i++) {
        int id;
        if (n->output[i][0])
            BLI_TRY(bli_graph_declare(r->g, n->output[i], &id));
    }
    return BL_OK;
}

/* A node's name for messages: its own, or that of what it makes. */
static const char *node_name(const BliOnnx__Node *n)
{
    if (n->name && n->name[0])
        return n->name;
    return n->n_output ? n->output[0] : "";
}

static bl_status find_inputs(reader *r, const BliOnnx__Node *n, int *ids, int *count)
{
    *count = 0;
    for (size_t i = 0; i < n->n_input; i++) {
        ids[i] = -1;
        if (!n->input[i][0])
            continue;
        ids[i] = bl_graph_find_value(r->g, n->input[i]);
        if (ids[i] < 0)
            return bli_fail(r->ctx, BL_BAD_MODEL,
                            "input %zu, '%s', is neither an input, an initializer nor made by a "
                            "node",
                            i, n->input[i]);
        *count = (int)i + 1; /* trailing absent inputs are left out */
    }
    return BL_OK;
}

/* Trailing outputs without a name are left out; one in between gets a name. */
static bl_status find_outputs(reader *r, const BliOnnx__Node *n, int *ids, int *count)
{
    *count = 0;
    for (size_t i = 0; i < n->n_output; i++)
        if (n->output[i][0])
            *count = (int)i + 1;
    for (int i = 0; i < *count; i++) {
        if (n->output[i][0])
            ids[i] = bl_graph_find_value(r->g, n->output[i]);
        else
            BLI_TRY(bli_graph_declare(r->g, NULL, &ids[i]));
    }
    return BL_OK;
}

static bl_status read_node(reader *r, const BliOnnx__Node *n)
{
    if (!n->op_type || !n->op_type[0])
        return bli_fail(r->ctx, BL_BAD_MODEL, "it has no operator type");
    if (n->overload && n->overload[0])
        return bli_fail(r->ctx, BL_UNSUPPORTED, "it calls a function");
    if (n->n_input > INT32_MAX / 2 || n->n_output > INT32_MAX / 2)
        return bli_fail(r->ctx, BL_LIMIT, "too many inputs or outputs");
    bl_node spec = {.type = n->op_type, .domain = domain_of(n->domain), .num_attrs = (int)n->n_attribute};
    int *inputs = bli_arena_array(r->scratch, n->n_input, sizeof *inputs);
    int *outputs = bli_arena_array(r->scratch, n->n_output, sizeof *outputs);
    bl_attr *attrs = bli_arena_array(r->scratch, n->n_attribute, sizeof *attrs);
    if (!inputs || !outputs || !attrs)
        return BL_NO_MEMORY;
    BLI_TRY(find_inputs(r, n, inputs, &spec.num_inputs));
    BLI_TRY(find_outputs(r, n, outputs, &spec.num_outputs));
    if (spec.num_outputs == 0)
        return BL_OK; /* it makes nothing that anyone could use */
    for (size_t i = 0; i < n->n_attribute; i++)
        BLI_TRY(bli_within(r->ctx, read_attribute(r, n->attribute[i], &attrs[i]), "attribute %s",
                           or_empty(n->attribute[i]->name)));
    spec.inputs = inputs;
    spec.attrs = attrs;
    /* ONNX does not ask for unique node names: a second one gets a fresh name */
    const char *name = node_name(n);
    spec.name = bl_graph_find_node(r->g, name) < 0 ? name : NULL;
    return bli_graph_add_node_at(r->g, &spec, outputs);
}

static bl_status read_nodes(reader *r, const BliOnnx__Graph *g)
{
    for (size_t i = 0; i < g->n_node; i++)
        BLI_TRY(bli_within(r->ctx, declare_outputs(r, g->node[i]), "node '%s'", node_name(g->node[i])));
    for (size_t i = 0; i < g->n_node; i++)
        BLI_TRY(bli_within(r->ctx, read_node(r, g->node[i]), "node '%s'", node_name(g->node[i])));
    return BL_OK;
}

/* ---- the rest ----------------------------------------------------------------------------------------------- */

static bl_status read_outputs(reader *r, const BliOnnx__Graph *g)
{
    int *ids = bli_arena_array(r->scratch, g->n_output, sizeof *ids);
    if (!ids)
        return BL_NO_MEMORY;
    if (g->n_output == 0)
        return bli_fail(r->ctx, BL_BAD_MODEL, "the graph has no outputs");
    for (size_t i = 0; i < g->n_output; i++) {
        ids[i] = bl_graph_find_value(r->g, or_empty(g->output[i]->name));
        if (ids[i] < 0)
            return bli_fail(r->ctx, BL_BAD_MODEL, "output '%s' is made by no node", or_empty(g->output[i]->name));
    }
    return bl_graph_set_outputs(r->g, ids, (int)g->n_output);
}

static bl_status read_model(reader *r, const BliOnnx__Model *m)
{
    BLI_TRY(check_versions(r, m));
    if (!m->graph)
        return bli_fail(r->ctx, BL_BAD_FILE, "it has no graph");
    if (m->graph->n_sparse_initializer)
        return bli_fail(r->ctx, BL_UNSUPPORTED, "sparse initializers are not supported");
    BLI_TRY(bl_graph_create(r->ctx, or_empty(m->graph->name), &r->g));
    for (size_t i = 0; i < m->n_metadata_props; i++)
        if (m->metadata_props[i]->key)
            BLI_TRY(bl_graph_set_meta(r->g, m->metadata_props[i]->key, or_empty(m->metadata_props[i]->value)));
    BLI_TRY(read_inputs(r, m->graph));
    BLI_TRY(read_nodes(r, m->graph));
    BLI_TRY(read_outputs(r, m->graph));
    return bli_graph_clean(r->g);
}

bl_status bli_onnx_read(bl_context *ctx, const void *data, size_t size, const char *folder, bl_graph **out,
                        bli_onnx_facts *facts)
{
    *out = NULL;
    bli_wire_memory memory = {.ctx = ctx};
    ProtobufCAllocator allocator = bli_wire_allocator(&memory);
    reader r = {.ctx = ctx, .external = {.folder = folder}};
    BLI_TRY(bli_within(ctx, bli_wire_scan(ctx, &bli_onnx__model__descriptor, data, size, &limits), "not an ONNX file"));
    BliOnnx__Model *m = bli_onnx__model__unpack(&allocator, size, data);
    if (!m)
        return memory.failed ? BL_NO_MEMORY
                             : bli_fail(ctx, BL_BAD_FILE, "not an ONNX file: its fields cannot be decoded");
    bl_status s = bli_arena_create(ctx, &r.scratch);
    if (s == BL_OK)
        s = read_model(&r, m);
    bli_onnx__model__free_unpacked(m, &allocator);
    bli_onnx_external_free(ctx, &r.external);
    bli_arena_destroy(r.scratch);
    if (s != BL_OK) {
        bl_graph_destroy(r.g);
        return s;
    }
    *out = r.g;
    *facts = r.facts;
    return BL_OK;
}
