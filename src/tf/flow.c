/* flow.c: runs a graph with branches and loops.
 *
 * Every node belongs to a frame: that of its inputs, or, an Enter, the one that it opens.  For the order, a frame is
 * one item of the frame around it: it waits for all that its nodes read from outside, and whoever reads an Exit waits
 * for all of it.  So frames run as in a program, one inside another, and no tokens travel.  Nothing is let go of before
 * the end of a turn, or of the run.
 */
#include "tf/flow.h"

#include <string.h>

enum { MOST_FRAMES = 4096 };

typedef struct frame {
    const char *name;
    size_t parent;
    int depth;
    size_t *order, num_order, room; /* items: a spot, or spots + a frame */
    size_t turn;
    size_t *members, num_members, member_room; /* spots of this frame and those in it */
} frame;

struct bli_tf_flow {
    frame *frames; /* 0: the graph */
    size_t num_frames;
    size_t *level;         /* of each spot, the frame in which it runs */
    bli_tf_array *pending; /* of each spot: a Merge's value in the next turn */
};

/* ---- what kind of node ----------------------------------------------------------------------------------------- */
static bool is_op(const bli_tf_spot *p, const char *name)
{
    const char *op = p->node->op;
    if (strncmp(op, "Ref", 3) == 0)
        op += 3;
    return !p->fed && strcmp(op, name) == 0;
}

bool bli_tf_is_flow(const bli_tf_spot *p)
{
    return is_op(p, "Switch") || is_op(p, "Merge") || is_op(p, "Enter") || is_op(p, "Exit");
}

bool bli_tf_is_back(const bli_tf_session *s, const bli_tf_spot *p, size_t from)
{
    return is_op(p, "Merge") && is_op(&s->spots[from], "NextIteration");
}

/* ---- frames ---------------------------------------------------------------------------------------------------- */
static bl_status find_frame(bli_tf_session *s, const bli_tf_spot *p, size_t parent, size_t *out)
{
    bli_tf_flow *fl = s->flow;
    const char *name;
    BLI_TRY(bli_tf_get_string(s->ctx, p->node, "frame_name", &name));
    for (*out = 1; *out < fl->num_frames; ++*out)
        if (fl->frames[*out].parent == parent && strcmp(fl->frames[*out].name, name) == 0)
            return BL_OK;
    if (fl->frames[parent].depth == BLI_TF_MOST_DEPTH || fl->num_frames == MOST_FRAMES)
        return bli_fail(s->ctx, BL_LIMIT, "more than %d loops, or %d inside each other", MOST_FRAMES,
                        BLI_TF_MOST_DEPTH);
    fl->frames[fl->num_frames++] = (frame){.name = name, .parent = parent, .depth = fl->frames[parent].depth + 1};
    return BL_OK;
}

/* Where a node's outputs are: an Exit's outside. */
static size_t outside(const bli_tf_session *s, size_t spot)
{
    const size_t level = s->flow->level[spot];
    return is_op(&s->spots[spot], "Exit") ? s->flow->frames[level].parent : level;
}

static size_t num_inputs(const bli_tf_spot *p)
{
    return (size_t)p->num_in + p->num_before;
}

static size_t input_spot(const bli_tf_spot *p, size_t i)
{
    return i < (size_t)p->num_in ? p->in[i].spot : p->before[i - (size_t)p->num_in];
}

static bool is_around(const bli_tf_flow *fl, size_t outer, size_t inner)
{
    while (fl->frames[inner].depth > fl->frames[outer].depth)
        inner = fl->frames[inner].parent;
    return inner == outer;
}

/* The innermost frame of the inputs: all others must be around it. */
static bl_status place(bli_tf_session *s, size_t at)
{
    const bli_tf_spot *p = &s->spots[at];
    bli_tf_flow *fl = s->flow;
    size_t level = 0;
    for (size_t i = 0; i < num_inputs(p); i++) {
        const size_t from = input_spot(p, i);
        if (bli_tf_is_back(s, p, from))
            continue;
        const size_t its = outside(s, from);
        if (!is_around(fl, level, its) && !is_around(fl, its, level))
            return bli_fail(s->ctx, BL_BAD_MODEL, "its inputs are from loops '%s' and '%s'", fl->frames[level].name,
                            fl->frames[its].name);
        level = fl->frames[its].depth > fl->frames[level].depth ? its : level;
    }
    if (is_op(p, "Enter"))
        BLI_TRY(find_frame(s, p, level, &level));
    if (is_op(p, "Exit") && level == 0)
        return bli_fail(s->ctx, BL_BAD_MODEL, "it leaves no loop");
    fl->level[at] = level;
    return BL_OK;
}

static bl_status append(bli_arena *arena, size_t **list, size_t *count, size_t *room, size_t v)
{
    if (*count == *room) {
        size_t *more = bli_arena_array(arena, *room ? 2 * *room : 16, sizeof *more);
        if (!more)
            return BL_NO_MEMORY;
        if (*count)
            memcpy(more, *list, *count * sizeof *more);
        *room = *room ? 2 * *room : 16;
        *list = more;
    }
    (*list)[(*count)++] = v;
    return BL_OK;
}

static bl_status add_members(bli_tf_session *s)
{
    bli_tf_flow *fl = s->flow;
    for (size_t i = 0; i < s->num_order; i++)
        for (size_t f = fl->level[s->order[i]]; f != 0; f = fl->frames[f].parent)
            BLI_TRY(append(s->plan, &fl->frames[f].members, &fl->frames[f].num_members, &fl->frames[f].member_room,
                           s->order[i]));
    return BL_OK;
}

/* ---- order ----------------------------------------------------------------------------------------------------- */
/* Items that wait for others, as lists of edges. */
typedef struct waits {
    size_t *waiting, *first, *next, *to, count;
} waits;

/* The item of the frame `level` that holds a spot of that frame or of one inside it. */
static size_t item_of(const bli_tf_session *s, size_t spot, size_t level)
{
    const bli_tf_flow *fl = s->flow;
    size_t f = fl->level[spot];
    if (f == level)
        return spot;
    while (fl->frames[f].parent != level)
        f = fl->frames[f].parent;
    return s->g->num_nodes + f;
}

static void add_edge(const bli_tf_session *s, waits *w, size_t from, size_t to)
{
    const bli_tf_flow *fl = s->flow;
    size_t a = fl->level[from], b = fl->level[to];
    while (a != b)
        if (fl->frames[a].depth >= fl->frames[b].depth)
            a = fl->frames[a].parent;
        else
            b = fl->frames[b].parent;
    const size_t first = item_of(s, from, a), second = item_of(s, to, a);
    w->to[++w->count] = second;
    w->next[w->count] = w->first[first];
    w->first[first] = w->count;
    w->waiting[second]++;
}

static bl_status add_edges(bli_tf_session *s, waits *w)
{
    size_t edges = 1;
    const size_t items = s->g->num_nodes + s->flow->num_frames;
    for (size_t i = 0; i < s->num_order; i++)
        edges += num_inputs(&s->spots[s->order[i]]);
    w->waiting = bli_arena_array(s->plan, items, sizeof *w->waiting);
    w->first = bli_arena_array(s->plan, items, sizeof *w->first);
    w->next = bli_arena_array(s->plan, edges, sizeof *w->next);
    w->to = bli_arena_array(s->plan, edges, sizeof *w->to);
    if (!w->waiting || !w->first || !w->next || !w->to)
        return BL_NO_MEMORY;
    for (size_t i = 0; i < s->num_order; i++) {
        const bli_tf_spot *p = &s->spots[s->order[i]];
        for (size_t k = 0; k < num_inputs(p); k++)
            if (!bli_tf_is_back(s, p, input_spot(p, k)))
                add_edge(s, w, input_spot(p, k), s->order[i]);
    }
    return BL_OK;
}

static bl_status put_item(bli_tf_session *s, size_t item)
{
    bli_tf_flow *fl = s->flow;
    const size_t n = s->g->num_nodes;
    frame *f = &fl->frames[item < n ? fl->level[item] : fl->frames[item - n].parent];
    return append(s->plan, &f->order, &f->num_order, &f->room, item);
}

static bl_status make_orders(bli_tf_session *s)
{
    const size_t n = s->g->num_nodes, all = s->num_order + s->flow->num_frames - 1;
    size_t done = 0, next = 0, *queue = bli_arena_array(s->plan, all + 1, sizeof *queue);
    waits w = {.count = 0};
    if (!queue)
        return BL_NO_MEMORY;
    BLI_TRY(add_edges(s, &w));
    for (size_t i = 0; i < s->num_order; i++)
        if (w.waiting[s->order[i]] == 0)
            queue[done++] = s->order[i];
    for (size_t f = 1; f < s->flow->num_frames; f++)
        if (w.waiting[n + f] == 0)
            queue[done++] = n + f;
    while (next < done) {
        const size_t item = queue[next++];
        BLI_TRY(put_item(s, item));
        for (size_t e = w.first[item]; e; e = w.next[e])
            if (--w.waiting[w.to[e]] == 0)
                queue[done++] = w.to[e];
    }
    return done == all ? BL_OK : bli_fail(s->ctx, BL_BAD_MODEL, "loops that wait for each other");
}

bl_status bli_tf_flow_make(bli_tf_session *s)
{
    bli_tf_flow *fl = bli_arena_alloc(s->plan, sizeof *fl);
    if (!fl)
        return BL_NO_MEMORY;
    fl->frames = bli_arena_array(s->plan, s->num_order + 1, sizeof *fl->frames);
    fl->level = bli_arena_array(s->plan, s->g->num_nodes + 1, sizeof *fl->level);
    fl->pending = bli_arena_array(s->plan, s->g->num_nodes + 1, sizeof *fl->pending);
    if (!fl->frames || !fl->level || !fl->pending)
        return BL_NO_MEMORY;
    fl->frames[0].name = "";
    fl->num_frames = 1;
    s->flow = fl;
    for (size_t i = 0; i < s->num_order; i++) {
        const bli_tf_node *n = s->spots[s->order[i]].node;
        BLI_TRY(bli_within(s->ctx, place(s, s->order[i]), "node '%s' (%s)", n->name, n->op));
    }
    BLI_TRY(add_members(s));
    return make_orders(s);
}

/* ---- running --------------------------------------------------------------------------------------------------- */
static bool alive(const bli_tf_session *s, bli_tf_wire w)
{
    const bli_tf_spot *p = &s->spots[w.spot];
    return !p->dead && (p->constant || p->out[w.port].data); /* constants that nobody reads any more are gone */
}

const bli_tf_array *bli_tf_flow_pending(const bli_tf_session *s, const bli_tf_spot *p)
{
    const size_t at = (size_t)(p - s->spots);
    return s->flow && s->flow->frames[s->flow->level[at]].turn > 0 && s->flow->pending[at].data ? &s->flow->pending[at]
                                                                                                : NULL;
}

/* A Merge lives by any of its inputs, in a later turn by what comes back; all others need all. */
static bool is_dead(const bli_tf_session *s, const bli_tf_spot *p)
{
    const size_t at = (size_t)(p - s->spots);
    if (p->fed)
        return false;
    for (size_t i = 0; i < p->num_before; i++)
        if (s->spots[p->before[i]].dead)
            return true;
    if (!is_op(p, "Merge")) {
        for (int i = 0; i < p->num_in; i++)
            if (!alive(s, p->in[i]))
                return true;
        return false;
    }
    bool loops = false;
    for (int i = 0; i < p->num_in; i++) {
        const bool back = bli_tf_is_back(s, p, p->in[i].spot);
        loops |= back;
        if (!back && s->flow->frames[s->flow->level[at]].turn == 0 && alive(s, p->in[i]))
            return false;
    }
    if (loops)
        return !bli_tf_flow_pending(s, p);
    for (int i = 0; i < p->num_in; i++)
        if (alive(s, p->in[i]))
            return false;
    return true;
}

static bl_status run_spot(bli_tf_session *s, bli_tf_spot *p)
{
    if (p->fed)
        return BL_OK;
    const bool leaves = is_op(p, "Exit");
    p->dead = is_dead(s, p);
    if (p->constant || p->dead)
        return BL_OK;
    if (leaves)
        bli_tf_array_release(&p->out[0]);
    return bli_tf_session_node(s, p);
}

/* What comes back for the next turn; whether there is one. */
static bool collect(bli_tf_session *s, const frame *f)
{
    bool more = false;
    for (size_t i = 0; i < f->num_members; i++) {
        const size_t at = f->members[i];
        const bli_tf_spot *p = &s->spots[at];
        if (&s->flow->frames[s->flow->level[at]] != f)
            continue;
        bli_tf_array_release(&s->flow->pending[at]);
        for (int k = 0; is_op(p, "Merge") && k < p->num_in; k++)
            if (bli_tf_is_back(s, p, p->in[k].spot) && alive(s, p->in[k])) {
                s->flow->pending[at] = bli_tf_array_share(&s->spots[p->in[k].spot].out[p->in[k].port]);
                more = true;
            }
    }
    return more;
}

/* Lets go of what a turn made; the frame's own Enters and Exits stay. */
static void clear_turn(bli_tf_session *s, const frame *f)
{
    for (size_t i = 0; i < f->num_members; i++) {
        bli_tf_spot *p = &s->spots[f->members[i]];
        const bool own = &s->flow->frames[s->flow->level[f->members[i]]] == f;
        if (p->constant || p->fed || (own && (is_op(p, "Enter") || is_op(p, "Exit"))))
            continue;
        for (int k = 0; k < p->num_out; k++)
            bli_tf_array_release(&p->out[k]);
    }
}

bl_status bli_tf_flow_turn(bli_tf_session *s)
{
    if (bli_interrupted(s->ctx)) {
        bli_interrupt_clear(s->ctx);
        return bli_fail(s->ctx, BL_INTERRUPTED, "interrupted");
    }
    const size_t most = s->options.most_turns ? s->options.most_turns : BLI_TF_SESSION_TURNS;
    if (++*s->turns > most)
        return bli_fail(s->ctx, BL_LIMIT, "loops turned more than %zu times", most);
    return BL_OK;
}

static bl_status run_item(bli_tf_session *s, size_t item);

/* Enters run in the first turn only: what they brought in stays. */
static bl_status run_turn(bli_tf_session *s, const frame *f)
{
    for (size_t i = 0; i < f->num_order; i++) {
        const size_t item = f->order[i];
        if (f->turn > 0 && item < s->g->num_nodes && is_op(&s->spots[item], "Enter"))
            continue;
        BLI_TRY(run_item(s, item));
    }
    return BL_OK;
}

/* An Exit counts as alive when it was in any turn. */
static void settle_exits(bli_tf_session *s, const frame *f)
{
    for (size_t i = 0; i < f->num_members; i++) {
        bli_tf_spot *p = &s->spots[f->members[i]];
        if (&s->flow->frames[s->flow->level[f->members[i]]] == f && is_op(p, "Exit"))
            p->dead = !p->out[0].data;
    }
}

static bl_status run_frame(bli_tf_session *s, frame *f)
{
    for (f->turn = 0;; f->turn++) {
        BLI_TRY(bli_within(s->ctx, bli_tf_flow_turn(s), "loop '%s'", f->name));
        BLI_TRY(run_turn(s, f));
        if (!collect(s, f))
            break;
        clear_turn(s, f);
    }
    settle_exits(s, f);
    f->turn = 0;
    return BL_OK;
}

static bl_status run_item(bli_tf_session *s, size_t item)
{
    const size_t n = s->g->num_nodes;
    return item < n ? run_spot(s, &s->spots[item]) : run_frame(s, &s->flow->frames[item - n]);
}

bl_status bli_tf_flow_run(bli_tf_session *s)
{
    return run_turn(s, &s->flow->frames[0]);
}

void bli_tf_flow_clear(bli_tf_session *s)
{
    for (size_t i = 0; i < s->num_order; i++)
        bli_tf_array_release(&s->flow->pending[s->order[i]]);
    for (size_t f = 0; f < s->flow->num_frames; f++)
        s->flow->frames[f].turn = 0;
}
