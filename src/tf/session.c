/* session.c: sessions: what is wired to what, in which order, and running it.
 *
 * A schedule belongs to one set of feeds and fetches; the next run with the same names takes it again.  What depends on
 * constants alone is computed when the schedule is made.
 */
#include "tf/session.h"

#include <string.h>
#include <time.h>

#include "tf/array.h"
#include "tf/flow.h"

/* ---- life ---------------------------------------------------------------------------------------------------- */
bl_status bli_tf_scratch(const bli_tf_call *c, size_t bytes, void **out)
{
    bli_tf_site *site = c->site;
    if (bytes > BLI_TF_MAX_BYTES)
        return bli_fail(c->ctx, BL_LIMIT, "working memory of %zu bytes; the limit is %zu", bytes, BLI_TF_MAX_BYTES);
    if (bytes > site->scratch_bytes) {
        bli_free(c->ctx, site->scratch);
        site->scratch_bytes = 0;
        site->scratch = bli_alloc(c->ctx, bytes);
        if (!site->scratch)
            return BL_NO_MEMORY;
        site->scratch_bytes = bytes;
    }
    *out = site->scratch;
    return BL_OK;
}

static bl_status make_spots(bli_tf_session *s)
{
    s->spots = bli_arena_array(s->arena, 2 * s->g->num_nodes + 1, sizeof *s->spots);
    if (!s->spots)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < s->g->num_nodes; i++)
        s->spots[i].node = s->g->nodes[i];
    return bli_tf_index_make(s->g, &s->index);
}

bl_status bli_tf_session_create(const bli_tf_graph *g, const bli_tf_session_options *options, bli_tf_session **out)
{
    bl_context *ctx = bli_tf_store_context(g->store);
    bli_tf_session *s = *out = NULL;
    s = bli_alloc(ctx, sizeof *s);
    if (!s)
        return BL_NO_MEMORY;
    s->ctx = ctx;
    s->g = g;
    if (options)
        s->options = *options;
    s->turns = &s->own_turns;
    s->site.isa = bli_cpu_isa();
    s->site.print = s->options.on_print;
    s->site.user = s->options.user;
    bl_status status = bli_arena_create(ctx, &s->arena);
    if (status == BL_OK)
        status =
            bli_tf_pool_create(ctx, s->options.most_bytes ? s->options.most_bytes : BLI_TF_SESSION_BYTES, &s->pool);
    if (status == BL_OK)
        status = make_spots(s);
    if (status != BL_OK) {
        bli_tf_session_destroy(s);
        return status;
    }
    *out = s;
    return BL_OK;
}

void bli_tf_session_forget(bli_tf_session *s)
{
    for (size_t i = 0; s->spots && i < s->g->num_nodes; i++) {
        bli_tf_spot *p = &s->spots[i];
        for (int k = 0; p->out && k < p->num_out; k++)
            bli_tf_array_release(&p->out[k]);
        *p = (bli_tf_spot){.node = p->node};
    }
    while (s->inner) {
        bli_tf_session *next = s->inner->sibling;
        bli_tf_session_destroy(s->inner);
        s->inner = next;
    }
    bli_arena_destroy(s->plan);
    s->plan = NULL;
    s->flow = NULL;
    s->flows = false;
    s->order = NULL;
    s->num_order = s->num_later = 0;
    s->ready = false;
}

void bli_tf_session_destroy(bli_tf_session *s)
{
    if (!s)
        return;
    bli_tf_session_forget(s);
    bli_tf_pool_destroy(s->pool);
    bli_tf_index_free(&s->index);
    bli_free(s->ctx, s->site.scratch);
    bli_arena_destroy(s->arena);
    bli_free(s->ctx, s);
}

/* ---- one node ------------------------------------------------------------------------------------------------ */
static bl_status fill_outputs(bli_tf_session *s, bli_tf_spot *p, bli_tf_call *c)
{
    for (int k = 0; k < p->num_out; k++) {
        if (c->out[k].data) { /* infer has found it: a constant */
            p->out[k] = (bli_tf_array){c->out[k].dtype, c->out[k].shape, c->out[k].data, NULL};
        } else if (!p->op->run && k == 0) {
            const bli_tf_spot *from = &s->spots[p->in[p->op->alias].spot];
            p->out[0] = bli_tf_array_share(&from->out[p->in[p->op->alias].port]);
            p->out[0].shape = c->out[0].shape;
            p->out[0].dtype = c->out[0].dtype;
        } else {
            BLI_TRY(bli_tf_array_make(s->pool, c->out[k].dtype, &c->out[k].shape, &p->out[k]));
        }
    }
    for (int k = 0; k < p->num_out; k++)
        c->out[k].data = p->out[k].data;
    return BL_OK;
}

static void release(bli_tf_session *s, bli_tf_wire w)
{
    bli_tf_spot *p = &s->spots[w.spot];
    if (p->constant || --p->uses[w.port] > 0)
        return;
    bli_tf_array_release(&p->out[w.port]);
}

static void gather(bli_tf_session *s, const bli_tf_spot *p, bli_tf_arg *in)
{
    for (int i = 0; i < p->num_in; i++) {
        const bli_tf_spot *from = &s->spots[p->in[i].spot];
        const bli_tf_array *a = &from->out[p->in[i].port];
        in[i] = (bli_tf_arg){a->dtype, a->shape, a->data, from->constant, a->block != NULL};
    }
}

static bl_status infer_spot(const bli_tf_spot *p, bli_tf_call *c)
{
    for (int k = 0; k < p->num_out; k++)
        c->out[k] = (bli_tf_arg){.shape = BLI_TF_UNKNOWN_SHAPE};
    return bli_tf_op_infer(p->op, c);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bl_status bli_tf_session_infer(bli_tf_session *s, const bli_tf_spot *p, bli_tf_call *c)
{
    *c = (bli_tf_call){.ctx = s->ctx,
                       .node = p->node,
                       .store = s->g->store,
                       .in = s->args,
                       .out = s->results,
                       .num_in = p->num_in,
                       .num_out = p->num_out,
                       .site = &s->site};
    gather(s, p, s->args);
    return infer_spot(p, c);
}

void bli_tf_session_enter(bli_tf_session *s, bli_tf_spot *p)
{
    s->site.arena = s->plan;
    s->site.kept = p->kept;
    s->site.runs = p->runs++;
}

void bli_tf_session_leave(bli_tf_session *s, bli_tf_spot *p)
{
    p->kept = s->site.kept;
}

bl_status bli_tf_session_rule(bli_tf_session *s, bli_tf_spot *p)
{
    bli_tf_call c;
    if (p->act)
        return p->act(s, p);
    BLI_TRY(bli_tf_session_infer(s, p, &c));
    BLI_TRY(fill_outputs(s, p, &c));
    if (p->op->run) {
        bli_tf_session_enter(s, p);
        BLI_TRY(p->op->run(&c));
        bli_tf_session_leave(s, p);
    }
    return s->options.on_call ? s->options.on_call(s->options.user, &c) : BL_OK;
}

bl_status bli_tf_session_node(bli_tf_session *s, bli_tf_spot *p)
{
    const int64_t start = s->options.on_node ? now() : 0;
    bl_status status = p->join ? bli_tf_join_run(s, p) : p->table ? bli_tf_table_run(s, p) : bli_tf_session_rule(s, p);
    if (status != BL_OK && (p->join || p->table))
        return status;
    if (status != BL_OK)
        return bli_within(s->ctx, status, "node '%s' (%s)", p->node->name, p->node->op);
    if (s->options.on_node)
        s->options.on_node(s->options.user, p->node, now() - start, p->out, p->num_out);
    return BL_OK;
}

bl_status bli_tf_session_parts(bli_tf_session *s, const size_t *parts, int num_parts)
{
    for (int i = 0; i < num_parts; i++) {
        bli_tf_spot *p = &s->spots[parts[i]];
        for (int k = 0; k < p->num_out; k++)
            bli_tf_array_release(&p->out[k]);
        const bl_status status = bli_tf_session_rule(s, p);
        if (status != BL_OK)
            return bli_within(s->ctx, status, "node '%s' (%s)", p->node->name, p->node->op);
    }
    return BL_OK;
}

/* ---- a run --------------------------------------------------------------------------------------------------- */
static void clear_run(bli_tf_session *s)
{
    for (size_t i = 0; i < s->num_order; i++) {
        bli_tf_spot *p = &s->spots[s->order[i]];
        for (int k = 0; !p->constant && k < p->num_out; k++)
            bli_tf_array_release(&p->out[k]);
    }
    if (s->flow)
        bli_tf_flow_clear(s);
}

static void set_feeds(bli_tf_session *s, const bli_tf_feed *feeds)
{
    for (size_t i = 0; i < s->num_feeds; i++) {
        bli_tf_spot *p = &s->spots[s->feeds[i].spot];
        if (s->feeds[i].port < p->num_out && p->needed)
            p->out[s->feeds[i].port] = bli_tf_array_share(&feeds[i].value);
    }
}

void bli_tf_session_release(bli_tf_session *s, bli_tf_spot *p)
{
    for (int i = 0; i < p->num_in; i++)
        release(s, p->in[i]);
    for (int k = 0; k < p->num_out; k++)
        if (p->uses[k] == 0 && !p->constant)
            bli_tf_array_release(&p->out[k]);
}

static bl_status run_order(bli_tf_session *s)
{
    for (size_t i = 0; i < s->num_order; i++) {
        bli_tf_spot *p = &s->spots[s->order[i]];
        memcpy(p->uses, p->uses_planned, (size_t)p->num_out * sizeof *p->uses);
    }
    if (s->flow)
        return bli_tf_flow_run(s);
    for (size_t i = 0; i < s->num_order; i++) {
        bli_tf_spot *p = &s->spots[s->order[i]];
        if (p->early)
            BLI_TRY(bli_tf_join_early(s, p));
        if (p->constant || p->swallowed)
            continue;
        if (bli_interrupted(s->ctx)) {
            bli_interrupt_clear(s->ctx);
            return bli_fail(s->ctx, BL_INTERRUPTED, "interrupted");
        }
        if (!p->fed)
            BLI_TRY(bli_tf_session_node(s, p));
        if (!p->fed)
            bli_tf_session_release(s, p);
    }
    return BL_OK;
}

static bl_status fetch(bli_tf_session *s, bli_tf_array *out)
{
    for (size_t i = 0; i < s->num_fetches; i++) {
        const bli_tf_spot *p = &s->spots[s->fetches[i].spot];
        if (p->num_out == 0) /* a node that is run for its effects */
            continue;
        out[i] = bli_tf_array_share(&p->out[s->fetches[i].port]);
    }
    return BL_OK;
}

static bl_status check_feed(bli_tf_session *s, const bli_tf_feed *f)
{
    if (f->value.data && bli_tf_known(&f->value.shape) && f->value.shape.rank <= BL_MAX_RANK)
        return bli_within(s->ctx, bli_tf_check_shape(s->ctx, &f->value.shape), "the feed '%s'", f->name);
    return bli_fail(s->ctx, BL_USAGE, "the feed '%s' is not a whole tensor", f->name);
}

bl_status bli_tf_session_run(bli_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds, const char *const *fetches,
                             size_t num_fetches, bli_tf_array *out)
{
    for (size_t i = 0; i < num_fetches; i++)
        out[i] = (bli_tf_array){.dtype = 0};
    for (size_t i = 0; i < num_feeds; i++)
        BLI_TRY(check_feed(s, &feeds[i]));
    BLI_TRY(bli_tf_schedule(s, feeds, num_feeds, fetches, num_fetches));
    s->own_turns = 0;
    set_feeds(s, feeds);
    bl_status status = run_order(s);
    if (status == BL_OK)
        status = fetch(s, out);
    clear_run(s);
    return status;
}
