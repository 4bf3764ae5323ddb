/* rig.c: one operator, run the way the engine runs it. */
#include "support/rig.h"

#include "op/infer.h"

/* ---- values ------------------------------------------------------------------------------------------------- */
double rig_random(uint64_t seed, uint64_t index, double least, double greatest)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), 0, 7};
    uint32_t bits[4];
    bli_philox4x32(key, counter, bits);
    return least + (greatest - least) * ((double)bits[0] * 0x1p-32);
}

double rig_get(const bl_tensor *t, size_t i)
{
    return bli_real_at(t->type, t->data, i);
}

void rig_set(bl_tensor *t, size_t i, double v)
{
    if (t->type == BL_F64)
        ((double *)t->data)[i] = v;
    else
        ((float *)t->data)[i] = (float)v;
}

static void fill(bl_tensor *t, uint64_t seed, double least, double greatest)
{
    for (size_t i = 0; i < bli_count(t); i++)
        rig_set(t, i, rig_random(seed, i, least, greatest));
}

/* ---- reading a case ----------------------------------------------------------------------------------------- */
typedef struct parsed {
    bl_node spec;
    int inputs[BLI_MAX_IN];
    bl_attr attrs[16];
    char names[16][64], strings[16][64];
    int64_t ints[16][16];
    bool batched[BLI_MAX_IN];
    char kind[BLI_MAX_IN];
} parsed;

static int read_ints(const char *s, int64_t *out)
{
    int n = 0;
    while (*s && *s != ']' && *s != '}') {
        char *end;
        out[n++] = *s == 'N' ? -1 : strtoll(s, &end, 10);
        s = *s == 'N' ? s + 1 : end;
        s += *s == ',';
    }
    return n;
}

static bl_status read_input(bl_graph *g, const char *token, bl_dtype carrier, parsed *p)
{
    const int slot = p->spec.num_inputs++;
    bl_shape shape = {.rank = 0};
    int64_t ints[16];
    p->kind[slot] = token[0];
    p->inputs[slot] = -1;
    if (token[0] == '-')
        return BL_OK;
    if (token[0] == 'f') {
        double d = strtod(token + 2, NULL);
        float f = (float)d;
        const bl_tensor t = {carrier, shape, carrier == BL_F64 ? (void *)&d : (void *)&f};
        return bl_graph_add_tensor(g, NULL, BL_ROLE_CONSTANT, "", &t, &p->inputs[slot]);
    }
    const int n = read_ints(token + 2, ints);
    if (token[0] == 'i') {
        const bl_tensor t = {BL_I64, {.rank = 1, .dim = {n}}, ints};
        return bl_graph_add_tensor(g, NULL, BL_ROLE_CONSTANT, "", &t, &p->inputs[slot]);
    }
    shape.rank = n;
    memcpy(shape.dim, ints, (size_t)n * sizeof ints[0]);
    p->batched[slot] = n > 0 && ints[0] < 0;
    if (token[0] == 'x' || token[0] == 'u')
        return bl_graph_add_input(g, NULL, carrier, &shape, &p->inputs[slot]);
    bl_tensor t;
    BLI_TRY(bl_tensor_create(bl_graph_context(g), carrier, &shape, &t));
    bl_status s =
        bl_graph_add_tensor(g, NULL, token[0] == 's' ? BL_ROLE_STATE : BL_ROLE_PARAMETER, "", &t, &p->inputs[slot]);
    bl_tensor_free(bl_graph_context(g), &t);
    return s;
}

static void read_attr(const char *token, parsed *p)
{
    const int k = p->spec.num_attrs++;
    const size_t length = strcspn(token, ":~=@");
    const char *value = token + length + 1;
    memcpy(p->names[k], token, length);
    bl_attr *a = &p->attrs[k];
    *a = (bl_attr){.name = p->names[k], .count = 1};
    if (token[length] == ':') {
        a->kind = BL_ATTR_INT;
        a->u.i = strtoll(value, NULL, 10);
    } else if (token[length] == '~') {
        a->kind = BL_ATTR_FLOAT;
        a->u.f = (double)strtof(value, NULL);
    } else if (token[length] == '=') {
        a->kind = BL_ATTR_INTS;
        a->count = (size_t)read_ints(value, p->ints[k]);
        a->u.ints = p->ints[k];
    } else {
        a->kind = BL_ATTR_STRING;
        snprintf(p->strings[k], sizeof p->strings[k], "%s", value);
        a->u.s = p->strings[k];
    }
}

static const char *domain_of(const char *word)
{
    return strcmp(word, "last") == 0    ? BLI_DOMAIN_LAST
           : strcmp(word, "own") == 0   ? BLI_DOMAIN_OWN
           : strcmp(word, "qonnx") == 0 ? BLI_DOMAIN_QONNX
                                        : BLI_DOMAIN_ONNX;
}

static bl_status read_case(bl_graph *g, const char *text, bl_dtype carrier, parsed *p)
{
    char line[512], *save = NULL;
    snprintf(line, sizeof line, "%s", text);
    *p = (parsed){.spec = {.name = "node", .num_outputs = 1}};
    p->spec.type = strtok_r(line, " ", &save);
    p->spec.domain = domain_of(strtok_r(NULL, " ", &save));
    for (char *token; (token = strtok_r(NULL, " ", &save));) {
        if (strcmp(token, "y") == 0)
            p->spec.num_outputs++;
        else if (token[1] == '[' || token[1] == '{' || strcmp(token, "-") == 0)
            BLI_TRY(read_input(g, token, carrier, p));
        else
            read_attr(token, p);
    }
    p->spec.inputs = p->inputs;
    p->spec.attrs = p->attrs;
    int outputs[BLI_MAX_OUT];
    const char *names[BLI_MAX_OUT] = {NULL};
    BLI_TRY(bl_graph_add_node(g, &p->spec, names, outputs));
    BLI_TRY(bl_graph_set_outputs(g, outputs, p->spec.num_outputs));
    return bl_graph_infer(g);
}

/* ---- opening ------------------------------------------------------------------------------------------------ */
static bl_status new_tensor(rig *r, const bl_value *v, bl_tensor *t)
{
    bl_shape s = v->shape;
    if (s.rank > 0 && s.dim[0] < 0)
        s.dim[0] = r->rows;
    return bl_tensor_create(r->ctx, v->type, &s, t);
}

static bl_status open_input(rig *r, const parsed *p, int k, uint64_t seed)
{
    rig_input *in = &r->in[k];
    in->present = r->node->inputs[k] >= 0;
    if (!in->present)
        return BL_OK;
    const bl_value *v = bl_graph_value(r->g, r->node->inputs[k]);
    const char kind = p->kind[k];
    in->role = v->role;
    in->real = kind != 'i';
    in->batched = p->batched[k];
    in->greatest = kind == 'x' || kind == 'p' ? 1 : 1.5;
    in->least = kind == 'x' || kind == 'p' ? -1 : 0.5;
    BLI_TRY(new_tensor(r, v, &in->t));
    if (v->role == BL_ROLE_CONSTANT) {
        memcpy(in->t.data, v->data, bli_count(&in->t) * bl_dtype_size(v->type));
        return BL_OK;
    }
    fill(&in->t, seed * 16 + (uint64_t)k, in->least, in->greatest);
    return v->role == BL_ROLE_STATE ? BL_OK : new_tensor(r, v, &in->grad);
}

static bl_status open_values(rig *r, const parsed *p, uint64_t seed)
{
    r->num_in = r->node->num_inputs;
    r->num_out = r->node->num_outputs;
    for (int k = 0; k < r->num_in; k++)
        BLI_TRY(open_input(r, p, k, seed));
    for (int k = 0; k < r->num_out; k++) {
        const bl_value *v = bl_graph_value(r->g, r->node->outputs[k]);
        r->out_batched = v->shape.rank > 0 && v->shape.dim[0] < 0;
        BLI_TRY(new_tensor(r, v, &r->out[k]));
        BLI_TRY(new_tensor(r, v, &r->grad_out[k]));
        fill(&r->grad_out[k], seed * 16 + 8 + (uint64_t)k, -1, 1);
    }
    if (r->op->setup)
        BLI_TRY(r->op->setup(r->ctx, r->g, r->node, r->arena, &r->state));
    return BL_OK;
}

bl_status rig_open(bl_context *ctx, const char *text, bl_dtype carrier, int64_t rows, uint64_t seed, rig *r)
{
    static parsed p;
    *r = (rig){.ctx = ctx, .carrier = carrier, .rows = rows, .seed = 5, .step = 3, .isa = bli_cpu_isa()};
    BLI_TRY(bli_arena_create(ctx, &r->arena));
    BLI_TRY(bl_graph_create(ctx, "case", &r->g));
    BLI_TRY(read_case(r->g, text, carrier, &p));
    r->node = bl_graph_node(r->g, 0);
    r->op = bli_op_find(r->node->type, r->node->domain);
    return open_values(r, &p, seed);
}

void rig_close(rig *r)
{
    for (int k = 0; k < r->num_in; k++) {
        bl_tensor_free(r->ctx, &r->in[k].t);
        bl_tensor_free(r->ctx, &r->in[k].grad);
    }
    for (int k = 0; k < r->num_out; k++) {
        bl_tensor_free(r->ctx, &r->out[k]);
        bl_tensor_free(r->ctx, &r->grad_out[k]);
    }
    free(r->prep);
    free(r->reduced);
    bl_graph_destroy(r->g);
    bli_arena_destroy(r->arena);
}

/* ---- calls -------------------------------------------------------------------------------------------------- */
static bl_tensor rows_of(const bl_tensor *t, bool batched, int64_t first, int64_t count)
{
    bl_tensor s = *t;
    if (!batched || !t->data)
        return s;
    s.shape.dim[0] = count;
    s.data = (char *)t->data + (size_t)first * bli_shape_row(&t->shape) * bl_dtype_size(t->type);
    return s;
}

static bli_call slice_call(const rig *r, int slice, int slices, bool backward)
{
    const int64_t first = r->rows * slice / slices, count = r->rows * (slice + 1) / slices - first;
    bli_call c = {.ctx = r->ctx,
                  .node = r->node,
                  .training = r->training,
                  .seed = r->seed,
                  .step = r->step,
                  .first_row = first,
                  .isa = r->isa,
                  .prep = r->prep,
                  .state = r->state,
                  .reduced = r->reduced,
                  .rows_total = r->rows};
    for (int k = 0; k < r->num_in; k++) {
        c.in[k] = rows_of(&r->in[k].t, r->in[k].batched, first, count);
        if (backward)
            c.grad_in[k] = rows_of(&r->in[k].grad, r->in[k].batched, first, count);
    }
    for (int k = 0; k < r->num_out; k++) {
        c.out[k] = rows_of(&r->out[k], r->out_batched, first, count);
        if (backward)
            c.grad_out[k] = rows_of(&r->grad_out[k], r->out_batched, first, count);
    }
    return c;
}

/* Scratch of exactly the promised size, full of what another call left behind. */
static void call_scratch(const rig *r, bli_call *c)
{
    const size_t size = r->op->scratch ? r->op->scratch(c) : 0;
    c->scratch = aligned_alloc(BLI_ALIGN, (size + BLI_ALIGN) / BLI_ALIGN * BLI_ALIGN);
    memset(c->scratch, 0xA5, size);
}

static void reduce_slices(rig *r, int slices, bool backward)
{
    if (!r->training || !(r->op->flags & BLI_OP_WHOLE_BATCH))
        return;
    bli_call c = slice_call(r, 0, 1, backward);
    const size_t n = r->op->reduce_count(&c);
    double *sums = calloc(2 * n + 1, sizeof *sums), *partial = malloc((n + 1) * sizeof *partial);
    if (backward)
        memcpy(sums, r->reduced, n * sizeof *sums);
    for (int s = 0; s < slices; s++) {
        memset(partial, 0, n * sizeof *partial);
        c = slice_call(r, s, slices, backward);
        assert_ok(r->ctx, backward ? r->op->reduce_backward(&c, partial) : r->op->reduce(&c, partial));
        for (size_t i = 0; i < n; i++)
            sums[(backward ? n : 0) + i] += partial[i];
    }
    free(partial);
    free(r->reduced);
    r->reduced = sums;
}

static void prepare(rig *r)
{
    bli_call c = slice_call(r, 0, 1, true);
    for (int k = 0; k < r->num_in; k++)
        if (r->in[k].batched)
            c.in[k].data = NULL;
    free(r->prep);
    r->prep = NULL;
    const size_t size = r->op->prep_size ? r->op->prep_size(&c) : 0;
    if (size == 0)
        return;
    r->prep = aligned_alloc(BLI_ALIGN, (size + BLI_ALIGN) / BLI_ALIGN * BLI_ALIGN);
    assert_ok(r->ctx, r->op->prepare(&c, r->prep));
}

void rig_forward(rig *r, int slices)
{
    if (r->op->flags & BLI_OP_VIEW) {
        assert_true(bl_dtype_size(r->out[0].type) * bli_count(&r->out[0]) ==
                    bl_dtype_size(r->in[0].t.type) * bli_count(&r->in[0].t));
        memcpy(r->out[0].data, r->in[0].t.data, bl_dtype_size(r->out[0].type) * bli_count(&r->out[0]));
        return;
    }
    prepare(r);
    reduce_slices(r, slices, false);
    for (int s = 0; s < slices; s++) {
        bli_call c = slice_call(r, s, slices, false);
        call_scratch(r, &c);
        assert_ok(r->ctx, r->op->forward(&c));
        free(c.scratch);
    }
}

/* The gradients of parameters come from each slice alone: here they are added up. */
static void backward_slice(rig *r, int s, int slices)
{
    bli_call c = slice_call(r, s, slices, true);
    bl_tensor own[BLI_MAX_IN] = {{.data = NULL}};
    for (int k = 0; k < r->num_in; k++) {
        if (r->in[k].batched || !r->in[k].grad.data)
            continue;
        if (r->op->weight_grad && r->op->weight_input == k) {
            c.grad_in[k].data = NULL;
            continue;
        }
        assert_ok(r->ctx, bl_tensor_create(r->ctx, r->carrier, &r->in[k].grad.shape, &own[k]));
        memset(own[k].data, 0x7B, bli_count(&own[k]) * bl_dtype_size(own[k].type));
        c.grad_in[k] = own[k];
    }
    call_scratch(r, &c);
    assert_ok(r->ctx, r->op->backward(&c));
    free(c.scratch);
    for (int k = 0; k < r->num_in; k++) {
        for (size_t i = 0; own[k].data && i < bli_count(&own[k]); i++)
            rig_set(&r->in[k].grad, i, rig_get(&r->in[k].grad, i) + rig_get(&own[k], i));
        bl_tensor_free(r->ctx, &own[k]);
    }
}

void rig_backward(rig *r, int slices)
{
    for (int k = 0; k < r->num_in; k++)
        if (r->in[k].grad.data)
            memset(r->in[k].grad.data, 0, bli_count(&r->in[k].grad) * bl_dtype_size(r->carrier));
    if (r->op->flags & BLI_OP_VIEW) {
        memcpy(r->in[0].grad.data, r->grad_out[0].data, bl_dtype_size(r->out[0].type) * bli_count(&r->out[0]));
        return;
    }
    if (!r->op->backward)
        return;
    reduce_slices(r, slices, true);
    for (int s = 0; s < slices; s++)
        backward_slice(r, s, slices);
    if (!r->op->weight_grad || !r->in[r->op->weight_input].grad.data || r->in[r->op->weight_input].batched)
        return;
    for (int part = 0; part < 3; part++) {
        bli_call c = slice_call(r, 0, 1, true);
        call_scratch(r, &c);
        assert_ok(r->ctx, r->op->weight_grad(&c, part, 3));
        free(c.scratch);
    }
}

void rig_update_state(rig *r)
{
    if (!r->op->update_state)
        return;
    bli_call c = slice_call(r, 0, 1, false);
    call_scratch(r, &c);
    assert_ok(r->ctx, r->op->update_state(&c));
    free(c.scratch);
}
