/* op_call.c: operators that run functions of the graph's library: PartitionedCall, If, Case, While and their like.
 *
 * A function's body becomes a graph whose arguments are placeholders, and that graph a session, made at the first call
 * and kept with the schedule.
 */
#include <stdlib.h>
#include <string.h>

#include "tf/flow.h"
#include "tf/opdef.h"

/* One function as a node calls it. */
typedef struct callee {
    const char *name;
    bli_tf_session *session;
    bli_tf_feed *feeds;
    const char **fetches;
    size_t num_feeds, num_fetches;
} callee;

/* What a node keeps. */
typedef struct call {
    callee *of; /* in the order of the attributes */
    size_t count;
} call;

static bl_status infer_call(bli_tf_call *c)
{
    const BliTf__AttrValue__ListValue *types;
    BLI_TRY(bli_tf_get_list(c->ctx, c->node, bli_tf_node_attr(c->node, "Tout") ? "Tout" : "T", &types));
    for (int k = 0; k < c->num_out && (size_t)k < types->n_type; k++)
        c->out[k].dtype = (int)types->type[k];
    return BL_OK;
}

/* ---- a function as a graph --------------------------------------------------------------------------------------- */
static const BliTf__NodeDef *body_node(const BliTf__FunctionDef *f, const bli_tf_ref *r)
{
    for (size_t i = 0; i < f->n_node_def; i++)
        if (f->node_def[i]->name && bli_tf_ref_is(r, f->node_def[i]->name))
            return f->node_def[i];
    return NULL;
}

/* "a:out:1" as "a:4"; arguments and control inputs as they are. */
static bl_status plain_input(bli_tf_session *s, const BliTf__FunctionDef *f, const bli_tf_graph *body,
                             const char *input, const char **out)
{
    const bli_tf_ref r = bli_tf_ref_parse(input);
    char name[128] = {0}, *end;
    int port;
    *out = input;
    if (r.control || r.port >= 0 || strlen(r.rest) >= sizeof name)
        return BL_OK;
    memcpy(name, r.rest + 1, strlen(r.rest + 1));
    char *colon = strchr(name, ':');
    const BliTf__NodeDef *n = body_node(f, &r);
    if (!n || !colon)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input '%s' is not an output of the function's nodes", input);
    *colon = 0;
    const long index = strtol(colon + 1, &end, 10);
    const bli_tf_node *made = NULL;
    for (size_t i = 0; i < body->num_nodes && !made; i++)
        made = strcmp(body->nodes[i]->name, n->name) == 0 ? body->nodes[i] : NULL;
    if (!made || *end || index < 0 || index >= BLI_TF_MAX_PORTS)
        return bli_fail(s->ctx, BL_BAD_MODEL, "input '%s'", input);
    BLI_TRY(bli_tf_output_port(s->g, made, name, (int)index, &port));
    *out = bli_tf_text(s->g->store, "%s:%d", n->name, port);
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status add_argument(bli_tf_session *s, bli_tf_graph *body, const BliTf__OpDef__ArgDef *arg)
{
    bli_tf_node *n = bli_tf_node_make(s->g->store, arg->name ? arg->name : "", "Placeholder");
    if (!n)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_node_set(s->g->store, n, "dtype", bli_tf_value_type(s->g->store, (int)arg->type)));
    return bli_tf_graph_add(body, n);
}

static bl_status make_body(bli_tf_session *s, const BliTf__FunctionDef *f, bli_tf_graph **out)
{
    bli_tf_graph *body = *out = bli_tf_graph_like(s->g);
    if (!body)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < f->signature->n_input_arg; i++)
        BLI_TRY(add_argument(s, body, f->signature->input_arg[i]));
    const size_t arguments = body->num_nodes;
    for (size_t i = 0; i < f->n_node_def; i++) {
        BLI_TRY(bli_tf_graph_add_def(body, f->node_def[i]));
        bli_tf_node *n = bli_tf_node_copy(s->g->store, body->nodes[arguments + i]);
        if (!n)
            return BL_NO_MEMORY;
        body->nodes[arguments + i] = n;
    }
    for (size_t i = arguments; i < body->num_nodes; i++)
        for (size_t k = 0; k < body->nodes[i]->num_inputs; k++) {
            const char *plain;
            BLI_TRY(plain_input(s, f, body, body->nodes[i]->inputs[k], &plain));
            BLI_TRY(bli_tf_node_set_input(s->g->store, body->nodes[i], k, plain));
        }
    return BL_OK;
}

static const char *returned(const BliTf__FunctionDef *f, const char *name)
{
    for (size_t i = 0; name && i < f->n_ret; i++)
        if (strcmp(f->ret[i]->key, name) == 0)
            return f->ret[i]->value;
    return NULL;
}

static bl_status name_ends(bli_tf_session *s, const BliTf__FunctionDef *f, const bli_tf_graph *body, callee *c)
{
    const BliTf__OpDef *sign = f->signature;
    c->num_feeds = sign->n_input_arg;
    c->num_fetches = sign->n_output_arg;
    c->feeds = bli_arena_array(s->plan, c->num_feeds + 1, sizeof *c->feeds);
    c->fetches = bli_arena_array(s->plan, c->num_fetches + 1, sizeof *c->fetches);
    if (!c->feeds || !c->fetches)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < c->num_feeds; i++)
        c->feeds[i].name = sign->input_arg[i]->name;
    for (size_t i = 0; i < c->num_fetches; i++) {
        const char *ret = returned(f, sign->output_arg[i]->name);
        if (!ret)
            return bli_fail(s->ctx, BL_BAD_MODEL, "nothing is returned for output %zu", i);
        BLI_TRY(plain_input(s, f, body, ret, &c->fetches[i]));
    }
    return BL_OK;
}

static bl_status open_callee(bli_tf_session *s, callee *c)
{
    const BliTf__FunctionDef *f = bli_tf_find_function(s->g, c->name);
    bli_tf_graph *body;
    if (!f)
        return bli_fail(s->ctx, BL_NOT_FOUND, "it is not in the graph's library");
    if (s->depth == BLI_TF_MOST_DEPTH)
        return bli_fail(s->ctx, BL_LIMIT, "functions call each other %d deep", BLI_TF_MOST_DEPTH);
    BLI_TRY(make_body(s, f, &body));
    BLI_TRY(bli_tf_session_create(body, &s->options, &c->session));
    c->session->depth = s->depth + 1;
    c->session->turns = s->turns;
    c->session->sibling = s->inner;
    s->inner = c->session;
    return name_ends(s, f, body, c);
}

/* ---- calling ----------------------------------------------------------------------------------------------------- */
static bl_status call_inside(bli_tf_session *s, callee *c, const bli_tf_array *in, size_t num_in, bli_tf_array *out,
                             size_t num_out)
{
    if (!c->session)
        BLI_TRY(open_callee(s, c));
    if (num_in != c->num_feeds || num_out != c->num_fetches)
        return bli_fail(s->ctx, BL_BAD_MODEL, "%zu inputs and %zu outputs; it has %zu and %zu", num_in, num_out,
                        c->num_feeds, c->num_fetches);
    for (size_t i = 0; i < num_in; i++)
        c->feeds[i].value = in[i];
    return bli_tf_session_run(c->session, c->feeds, num_in, c->fetches, num_out, out);
}

static bl_status call_function(bli_tf_session *s, callee *c, const bli_tf_array *in, size_t num_in, bli_tf_array *out,
                               size_t num_out)
{
    return bli_within(s->ctx, call_inside(s, c, in, num_in, out, num_out), "function '%s'", c->name);
}

static bl_status add_name(bli_tf_session *s, const bli_tf_value *v, callee *to)
{
    if (!v || v->value_case != BLI_TF__ATTR_VALUE__VALUE_FUNC || !v->func->name)
        return bli_fail(s->ctx, BL_BAD_MODEL, "an attribute that names no function");
    to->name = v->func->name;
    return BL_OK;
}

/* Keeps the functions of the attributes first, second (NULL: none), or of a list. */
static bl_status open_call(bli_tf_session *s, bli_tf_spot *p, const char *first, const char *second, call **out)
{
    const BliTf__AttrValue__ListValue *list = NULL;
    call *k = *out = p->kept;
    if (k)
        return BL_OK;
    if (!second && strcmp(first, "branches") == 0)
        BLI_TRY(bli_tf_get_list(s->ctx, p->node, first, &list));
    k = bli_arena_alloc(s->plan, sizeof *k);
    if (!k)
        return BL_NO_MEMORY;
    k->count = list ? list->n_func : second ? 2 : 1;
    k->of = bli_arena_array(s->plan, k->count + 1, sizeof *k->of);
    if (!k->of)
        return BL_NO_MEMORY;
    for (size_t i = 0; list && i < k->count; i++)
        k->of[i].name = list->func[i]->name ? list->func[i]->name : "";
    if (!list)
        BLI_TRY(add_name(s, bli_tf_node_attr(p->node, first), &k->of[0]));
    if (second)
        BLI_TRY(add_name(s, bli_tf_node_attr(p->node, second), &k->of[1]));
    *out = p->kept = k;
    return BL_OK;
}

static bl_status gather_inputs(bli_tf_session *s, const bli_tf_spot *p, int from, bli_tf_array **out)
{
    *out = bli_alloc_array(s->ctx, (size_t)p->num_in + 1, sizeof **out);
    for (int i = from; *out && i < p->num_in; i++)
        (*out)[i - from] = *bli_tf_spot_input(s, p, i);
    return *out ? BL_OK : BL_NO_MEMORY;
}

static bl_status call_once(bli_tf_session *s, bli_tf_spot *p, callee *c, int from)
{
    bli_tf_array *in;
    BLI_TRY(gather_inputs(s, p, from, &in));
    bl_status status = call_function(s, c, in, (size_t)(p->num_in - from), p->out, (size_t)p->num_out);
    bli_free(s->ctx, in);
    return status;
}

static bl_status act_call(bli_tf_session *s, bli_tf_spot *p)
{
    call *k;
    BLI_TRY(open_call(s, p, "f", NULL, &k));
    return call_once(s, p, &k->of[0], 0);
}

/* A number is true unless it is 0; any other tensor when it has elements. */
static bl_status is_true(bl_context *ctx, const bli_tf_array *a, bool *out)
{
    const size_t bytes = bli_tf_dtype_size(a->dtype);
    *out = bl_shape_count(&a->shape) > 0;
    if (a->shape.rank > 0)
        return BL_OK;
    if (bytes == 0 || a->dtype == BLI_DT_HALF || a->dtype == BLI_DT_BFLOAT16)
        return bli_fail(ctx, BL_UNSUPPORTED, "a condition of type %s", bli_tf_dtype_name(a->dtype));
    *out = false;
    if (a->dtype == BLI_DT_FLOAT)
        *out = *(const float *)a->data != 0;
    else if (a->dtype == BLI_DT_DOUBLE)
        *out = *(const double *)a->data != 0;
    for (size_t i = 0; a->dtype != BLI_DT_FLOAT && a->dtype != BLI_DT_DOUBLE && i < bytes; i++)
        *out |= ((const uint8_t *)a->data)[i] != 0;
    return BL_OK;
}

static bl_status act_if(bli_tf_session *s, bli_tf_spot *p)
{
    call *k;
    bool yes;
    BLI_TRY(open_call(s, p, "then_branch", "else_branch", &k));
    BLI_TRY(is_true(s->ctx, bli_tf_spot_input(s, p, 0), &yes));
    return call_once(s, p, &k->of[!yes], 1);
}

/* An index that is out of bounds takes the last branch. */
static bl_status act_case(bli_tf_session *s, bli_tf_spot *p)
{
    call *k;
    int64_t which;
    BLI_TRY(open_call(s, p, "branches", NULL, &k));
    BLI_TRY(bli_tf_act_int(s, p, 0, &which));
    if (k->count == 0)
        return bli_fail(s->ctx, BL_BAD_MODEL, "it has no branches");
    return call_once(s, p, &k->of[which < 0 || (size_t)which >= k->count ? k->count - 1 : (size_t)which], 1);
}

static void release_all(bli_tf_array *a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bli_tf_array_release(&a[i]);
}

/* x goes round until cond is false of it. */
static bl_status turn_round(bli_tf_session *s, call *k, bli_tf_array *x, bli_tf_array *next, size_t n)
{
    for (;;) {
        bli_tf_array again = {.dtype = 0};
        bool more = false;
        BLI_TRY(bli_tf_flow_turn(s));
        BLI_TRY(call_function(s, &k->of[0], x, n, &again, 1));
        bl_status status = is_true(s->ctx, &again, &more);
        bli_tf_array_release(&again);
        if (status != BL_OK || !more)
            return status;
        BLI_TRY(call_function(s, &k->of[1], x, n, next, n));
        release_all(x, n);
        memcpy(x, next, n * sizeof *x);
        memset(next, 0, n * sizeof *next);
    }
}

static bl_status act_while(bli_tf_session *s, bli_tf_spot *p)
{
    const size_t n = (size_t)p->num_in;
    call *k;
    bli_tf_array *x;
    BLI_TRY(open_call(s, p, "cond", "body", &k));
    if (p->num_in != p->num_out)
        return bli_fail(s->ctx, BL_BAD_MODEL, "%d inputs and %d outputs", p->num_in, p->num_out);
    BLI_TRY(gather_inputs(s, p, 0, &x));
    for (size_t i = 0; i < n; i++)
        x[i] = bli_tf_array_share(&x[i]);
    bli_tf_array *next = bli_alloc_array(s->ctx, n + 1, sizeof *next);
    bl_status status = next ? turn_round(s, k, x, next, n) : BL_NO_MEMORY;
    for (size_t i = 0; status == BL_OK && i < n; i++)
        p->out[i] = bli_tf_array_share(&x[i]);
    release_all(x, n);
    bli_free(s->ctx, x);
    bli_free(s->ctx, next);
    return status;
}

const bli_tf_act_row bli_tf_acts_call[] = {
    {"PartitionedCall", act_call},
    {"StatefulPartitionedCall", act_call},
    {"If", act_if},
    {"StatelessIf", act_if},
    {"Case", act_case},
    {"StatelessCase", act_case},
    {"While", act_while},
    {"StatelessWhile", act_while},
    {NULL, NULL},
};

static const bli_tf_op ops[] = {
    {"PartitionedCall", 0, -1, 0, "Tout", infer_call, bli_tf_run_act, 0, true},
    {"StatefulPartitionedCall", 0, -1, 0, "Tout", infer_call, bli_tf_run_act, 0, true},
    {"If", 1, -1, 0, "Tout", infer_call, bli_tf_run_act, 0, true},
    {"StatelessIf", 1, -1, 0, "Tout", infer_call, bli_tf_run_act, 0, true},
    {"Case", 1, -1, 0, "Tout", infer_call, bli_tf_run_act, 0, true},
    {"StatelessCase", 1, -1, 0, "Tout", infer_call, bli_tf_run_act, 0, true},
    {"While", 0, -1, 0, "T", infer_call, bli_tf_run_act, 0, true},
    {"StatelessWhile", 0, -1, 0, "T", infer_call, bli_tf_run_act, 0, true},
};
const bli_tf_family bli_tf_family_call = {ops, BLI_COUNT(ops)};
