/* clean.c: the end of unrolling.  An element of an output becomes a plain signal (shift and offset in wires and
 * adders) or a constant; signals that no output needs are dropped and the rest renumbered in order. */
#include "emit/verilog/net_impl.h"
#include "emit/verilog/unroll.h"

static bl_status settle_outputs(bli_net *n)
{
    const bli_program *p = n->program;
    for (int i = 0; i < p->num_outputs; i++) {
        int wire = p->outputs[i].wire;
        n->at = wire;
        for (int64_t e = 0; e < p->wires[wire].count; e++) {
            bli_net_ref *r = &n->wires[wire][e];
            if (bli_net_is_constant(*r))
                continue;
            int signal;
            BLI_TRY(bli_net_plain(n, *r, &signal));
            if (signal != r->signal && n->signals[r->signal].wire == wire && n->signals[r->signal].element == e)
                n->signals[r->signal].element = -1; /* a step after all */
            *r = (bli_net_ref){signal, 0, 0};
            bli_net_narrow(n, r, bli_wire_span(&p->wires[wire], e));
            if (n->signals[signal].element < 0) {
                n->signals[signal].wire = wire;
                n->signals[signal].element = e;
            }
        }
    }
    return BL_OK;
}

static void mark_live(const bli_net *n, bool *live)
{
    const bli_program *p = n->program;
    for (int i = 0; i < p->num_outputs; i++)
        for (int64_t e = 0; e < p->wires[p->outputs[i].wire].count; e++)
            if (!bli_net_is_constant(n->wires[p->outputs[i].wire][e]))
                live[n->wires[p->outputs[i].wire][e].signal] = true;
    for (int i = n->count - 1; i >= 0; i--)
        for (int k = 0; live[i] && k < bli_net_operands(n->signals[i].kind); k++)
            live[n->signals[i].in[k]] = true;
}

/* A ref to a signal that is gone is known no more: its wire is dropped. */
static void renumber_wires(bli_net *n, const bool *live, const int *number)
{
    for (int w = 0; w < n->program->num_wires; w++) {
        bool known = n->wires[w] != NULL;
        for (int64_t e = 0; known && e < n->program->wires[w].count; e++)
            known = bli_net_is_constant(n->wires[w][e]) || live[n->wires[w][e].signal];
        if (!known)
            n->wires[w] = NULL;
        for (int64_t e = 0; known && e < n->program->wires[w].count; e++)
            if (!bli_net_is_constant(n->wires[w][e]))
                n->wires[w][e].signal = number[n->wires[w][e].signal];
    }
}

static void drop_dead(bli_net *n, const bool *live, int *number)
{
    int count = 0;
    for (int i = 0; i < n->count; i++) {
        if (!live[i])
            continue;
        bli_net_signal s = n->signals[i];
        for (int k = 0; k < bli_net_operands(s.kind); k++)
            s.in[k] = number[s.in[k]];
        number[i] = count;
        n->signals[count++] = s;
    }
    renumber_wires(n, live, number);
    n->count = count;
}

bl_status bli_net_finish(bli_net *n)
{
    BLI_TRY(settle_outputs(n));
    bool *live = bli_alloc_array(n->ctx, (size_t)n->count + 1, sizeof *live);
    int *number = bli_alloc_array(n->ctx, (size_t)n->count + 1, sizeof *number);
    bl_status s = live && number ? BL_OK : BL_NO_MEMORY;
    if (s == BL_OK) {
        mark_live(n, live);
        drop_dead(n, live, number);
    }
    bli_free(n->ctx, live);
    bli_free(n->ctx, number);
    bli_free(n->ctx, n->slots); /* nothing is made any more */
    n->slots = NULL;
    n->num_slots = 0;
    return s;
}
