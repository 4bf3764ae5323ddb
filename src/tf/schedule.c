/* schedule.c: which nodes a set of fetches needs, in an order that respects all inputs, and what of them is constant.
 *
 * The search for an order keeps its own stack, so that the depth of a graph is bounded by memory and not by the
 * thread's stack.
 */
#include <string.h>

#include "tf/flow.h"

enum { UNSEEN, OPEN, DONE };

/* ---- wires --------------------------------------------------------------------------------------------------- */
static bl_status find(bli_tf_session *s, const char *input, const char *what, bli_tf_ref *r, size_t *spot)
{
    *r = bli_tf_ref_parse(input);
    *spot = bli_tf_index_find(&s->index, r->name, r->size);
    if (*spot == SIZE_MAX)
        return bli_fail(s->ctx, BL_BAD_MODEL, "%s '%s' names no node of the graph", what, input);
    if (r->port < 0 || r->port >= BLI_TF_MAX_PORTS)
        return bli_fail(s->ctx, BL_BAD_MODEL, "%s '%s' is not a node's output", what, input);
    return BL_OK;
}

static bl_status check_port(bli_tf_session *s, const bli_tf_spot *p, int port)
{
    if (port < p->num_out || (p->num_out == 0 && port == 0 && p->op && p->op->outputs == 0 && !p->op->counts))
        return BL_OK;
    return bli_fail(s->ctx, BL_BAD_MODEL, "output %d of node '%s' (%s), which has %d%s", port, p->node->name,
                    p->node->op, p->num_out, p->fed ? " fed" : "");
}

static bl_status make_outputs(bli_tf_session *s, bli_tf_spot *p)
{
    const size_t n = (size_t)p->num_out + 1;
    p->out = bli_arena_array(s->plan, n, sizeof *p->out);
    p->uses = bli_arena_array(s->plan, n, sizeof *p->uses);
    p->uses_planned = bli_arena_array(s->plan, n, sizeof *p->uses_planned);
    return p->out && p->uses && p->uses_planned ? BL_OK : BL_NO_MEMORY;
}

static bl_status wire_feeds(bli_tf_session *s, const bli_tf_feed *feeds)
{
    bli_tf_ref r;
    for (size_t i = 0; i < s->num_feeds; i++) {
        size_t spot;
        BLI_TRY(find(s, feeds[i].name, "the feed", &r, &spot));
        bli_tf_spot *p = &s->spots[spot];
        s->feeds[i] = (bli_tf_wire){spot, r.port};
        p->fed = true;
        p->num_out = p->num_out > r.port ? p->num_out : r.port + 1;
    }
    for (size_t i = 0; i < s->num_feeds; i++)
        if (!s->spots[s->feeds[i].spot].out)
            BLI_TRY(make_outputs(s, &s->spots[s->feeds[i].spot]));
    return BL_OK;
}

static bl_status split_inputs(bli_tf_session *s, bli_tf_spot *p)
{
    const bli_tf_node *n = p->node;
    bli_tf_ref r;
    size_t spot;
    p->in = bli_arena_array(s->plan, n->num_inputs + 1, sizeof *p->in);
    p->before = bli_arena_array(s->plan, n->num_inputs + 1, sizeof *p->before);
    if (!p->in || !p->before)
        return BL_NO_MEMORY;
    if (n->num_inputs > (size_t)BLI_TF_MAX_PORTS * 16)
        return bli_fail(s->ctx, BL_LIMIT, "%zu inputs", n->num_inputs);
    for (size_t i = 0; i < n->num_inputs; i++) {
        BLI_TRY(find(s, n->inputs[i], "input", &r, &spot));
        if (r.control)
            p->before[p->num_before++] = spot;
        else
            p->in[p->num_in++] = (bli_tf_wire){spot, r.port};
    }
    return BL_OK;
}

/* A node on its first visit. */
static bl_status enter(bli_tf_session *s, bli_tf_spot *p)
{
    p->needed = true;
    if (p->fed)
        return BL_OK;
    p->op = bli_tf_op_find(p->node->op);
    if (!p->op)
        return bli_fail(s->ctx, BL_UNSUPPORTED, "the operator '%s' is not one that can be run here", p->node->op);
    BLI_TRY(split_inputs(s, p));
    BLI_TRY(bli_tf_op_outputs(s->ctx, p->op, p->node, p->num_in, &p->num_out));
    p->act = p->op->run == bli_tf_run_act ? bli_tf_act_find(p->op->name) : NULL;
    s->flows = s->flows || bli_tf_is_flow(p);
    return make_outputs(s, p);
}

/* ---- order --------------------------------------------------------------------------------------------------- */
typedef struct frame {
    size_t spot, next;
} frame;

static size_t input_spot(const bli_tf_spot *p, size_t i)
{
    return i < (size_t)p->num_in ? p->in[i].spot : p->before[i - (size_t)p->num_in];
}

static bl_status leave(bli_tf_session *s, size_t at)
{
    bli_tf_spot *p = &s->spots[at];
    p->mark = DONE;
    p->constant = !p->fed && p->op && !p->op->stateful;
    for (int i = 0; i < p->num_in; i++) {
        if (bli_tf_is_back(s, p, p->in[i].spot))
            continue;
        BLI_TRY(check_port(s, &s->spots[p->in[i].spot], p->in[i].port));
        if (s->spots[p->in[i].spot].num_out == 0)
            return bli_fail(s->ctx, BL_BAD_MODEL, "input %d is node '%s', which has no outputs", i,
                            s->spots[p->in[i].spot].node->name);
        s->spots[p->in[i].spot].uses_planned[p->in[i].port]++;
        p->constant = p->constant && s->spots[p->in[i].spot].constant;
    }
    s->order[s->num_order++] = at;
    return BL_OK;
}

/* What comes back in a loop is visited once all that goes forward has been. */
static void put_later(bli_tf_session *s, size_t spot)
{
    if (!s->spots[spot].queued)
        s->later[s->num_later++] = spot;
    s->spots[spot].queued = true;
}

static bl_status visit(bli_tf_session *s, size_t root, frame *stack)
{
    size_t depth = 0;
    bl_status status = BL_OK;
    if (s->spots[root].mark == DONE)
        return BL_OK;
    stack[depth++] = (frame){root, 0};
    while (depth > 0 && status == BL_OK) {
        frame *f = &stack[depth - 1];
        bli_tf_spot *p = &s->spots[f->spot];
        if (p->mark == UNSEEN) {
            p->mark = OPEN;
            status = enter(s, p);
        } else if (f->next < (size_t)p->num_in + p->num_before) {
            const size_t to = input_spot(p, f->next++);
            if (bli_tf_is_back(s, p, to))
                put_later(s, to);
            else if (s->spots[to].mark == OPEN)
                status =
                    bli_fail(s->ctx, BL_BAD_MODEL, "it is part of a cycle, through node '%s'", s->spots[to].node->name);
            else if (s->spots[to].mark == UNSEEN)
                stack[depth++] = (frame){to, 0};
        } else {
            depth--;
            status = leave(s, f->spot);
        }
        if (status != BL_OK)
            return bli_within(s->ctx, status, "node '%s' (%s)", p->node->name, p->node->op);
    }
    return BL_OK;
}

static bl_status wire_fetches(bli_tf_session *s, const char *const *fetches, frame *stack)
{
    bli_tf_ref r;
    for (size_t i = 0; i < s->num_fetches; i++) {
        size_t spot;
        BLI_TRY(find(s, fetches[i], "the output", &r, &spot));
        s->fetches[i] = (bli_tf_wire){spot, r.port};
        BLI_TRY(visit(s, spot, stack));
        BLI_TRY(check_port(s, &s->spots[spot], r.port));
        s->spots[spot].uses_planned[r.port]++;
    }
    return BL_OK;
}

static bl_status wire_later(bli_tf_session *s, frame *stack)
{
    for (size_t i = 0; i < s->num_later; i++)
        BLI_TRY(visit(s, s->later[i], stack));
    for (size_t i = 0; i < s->num_order; i++) {
        const bli_tf_spot *p = &s->spots[s->order[i]];
        for (int k = 0; k < p->num_in; k++)
            if (bli_tf_is_back(s, p, p->in[k].spot))
                BLI_TRY(check_port(s, &s->spots[p->in[k].spot], p->in[k].port));
    }
    return s->flows ? bli_tf_flow_make(s) : BL_OK;
}

/* ---- schedules ----------------------------------------------------------------------------------------------- */
static bl_status make_key(bli_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds, const char *const *fetches,
                          size_t num_fetches, bli_buf *b)
{
    bli_buf_init(b, s->ctx, (size_t)1 << 24);
    for (size_t i = 0; i < num_feeds; i++)
        BLI_TRY(bli_buf_printf(b, "<%s\n", feeds[i].name));
    for (size_t i = 0; i < num_fetches; i++)
        BLI_TRY(bli_buf_printf(b, ">%s\n", fetches[i]));
    return BL_OK;
}

static bl_status make_room(bli_tf_session *s)
{
    size_t most = 1;
    for (size_t i = 0; i < s->num_order; i++) {
        const bli_tf_spot *p = &s->spots[s->order[i]];
        most = most > (size_t)p->num_in ? most : (size_t)p->num_in;
        most = most > (size_t)p->num_out ? most : (size_t)p->num_out;
    }
    s->args = bli_arena_array(s->plan, most, sizeof *s->args);
    s->results = bli_arena_array(s->plan, most, sizeof *s->results);
    return s->args && s->results ? BL_OK : BL_NO_MEMORY;
}

/* What led to a constant and has no other reader goes: the codes that weights were unpacked from. */
static void drop_read(bli_tf_session *s, const bli_tf_spot *p)
{
    for (int i = 0; i < p->num_in; i++) {
        bli_tf_spot *from = &s->spots[p->in[i].spot];
        if (--from->uses[p->in[i].port] == 0)
            bli_tf_array_release(&from->out[p->in[i].port]);
    }
}

static bl_status run_constants(bli_tf_session *s)
{
    for (size_t i = 0; i < s->num_order; i++) {
        bli_tf_spot *p = &s->spots[s->order[i]];
        if (!p->constant)
            continue;
        memcpy(p->uses, p->uses_planned, (size_t)p->num_out * sizeof *p->uses);
        BLI_TRY(bli_tf_session_node(s, p));
        drop_read(s, p);
    }
    return BL_OK;
}

static bl_status build(bli_tf_session *s, const bli_tf_feed *feeds, const char *const *fetches, frame *stack)
{
    BLI_TRY(wire_feeds(s, feeds));
    BLI_TRY(wire_fetches(s, fetches, stack));
    BLI_TRY(wire_later(s, stack));
    BLI_TRY(make_room(s));
    BLI_TRY(run_constants(s));
    if (s->options.plain || s->flow)
        return BL_OK;
    BLI_TRY(bli_tf_fix_ranges(s));
    BLI_TRY(bli_tf_join_find(s));
    return bli_tf_table_find(s);
}

static bl_status start(bli_tf_session *s, const bli_tf_feed *feeds, const char *const *fetches, const bli_buf *key)
{
    BLI_TRY(bli_arena_create(s->ctx, &s->plan));
    s->key = bli_arena_strdup(s->plan, key->data ? key->data : "");
    s->order = bli_arena_array(s->plan, s->g->num_nodes + 1, sizeof *s->order);
    s->later = bli_arena_array(s->plan, s->g->num_nodes + 1, sizeof *s->later);
    s->feeds = bli_arena_array(s->plan, s->num_feeds + 1, sizeof *s->feeds);
    s->fetches = bli_arena_array(s->plan, s->num_fetches + 1, sizeof *s->fetches);
    frame *stack = bli_alloc_array(s->ctx, s->g->num_nodes + 1, sizeof *stack);
    bl_status status = s->key && s->order && s->later && s->feeds && s->fetches && stack ? BL_OK : BL_NO_MEMORY;
    if (status == BL_OK)
        status = build(s, feeds, fetches, stack);
    bli_free(s->ctx, stack);
    return status;
}

/* Whether `key` goes on with mark, name and the line's end; *key: behind that. */
static bool reads(const char **key, char mark, const char *name)
{
    const size_t n = strlen(name);
    if (**key != mark || strncmp(*key + 1, name, n) != 0 || (*key)[1 + n] != '\n')
        return false;
    *key += n + 2;
    return true;
}

/* Whether the present schedule is for these. */
static bool is_present(const bli_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds, const char *const *fetches,
                       size_t num_fetches)
{
    const char *at = s->key;
    bool same = s->ready;
    for (size_t i = 0; same && i < num_feeds; i++)
        same = reads(&at, '<', feeds[i].name);
    for (size_t i = 0; same && i < num_fetches; i++)
        same = reads(&at, '>', fetches[i]);
    return same && *at == '\0';
}

bl_status bli_tf_schedule(bli_tf_session *s, const bli_tf_feed *feeds, size_t num_feeds, const char *const *fetches,
                          size_t num_fetches)
{
    bli_buf key;
    if (is_present(s, feeds, num_feeds, fetches, num_fetches))
        return BL_OK;
    bl_status status = make_key(s, feeds, num_feeds, fetches, num_fetches, &key);
    if (status == BL_OK) {
        bli_tf_session_forget(s);
        s->num_feeds = num_feeds;
        s->num_fetches = num_fetches;
        status = start(s, feeds, fetches, &key);
        s->ready = status == BL_OK;
        if (status != BL_OK)
            bli_tf_session_forget(s);
    }
    bli_buf_free(&key);
    return status;
}
