/* layout.c: where elements lie in the packed vectors, and what signals are called.
 *
 * A signal that carries element 7 of wire fc1/bias is fc1_bias__7, a step towards it fc1_bias__n12, its copy in a later
 * stage fc1_bias__7__r2.  Identifiers of wires have single underscores only, so that nothing can collide.
 */
#include <stdio.h>
#include <string.h>

#include "emit/verilog/verilog.h"

void bli_verilog_name(const bli_verilog *v, int signal, int stage, bli_verilog_text out)
{
    const bli_net_signal *s = &v->net->signals[signal];
    char late[24] = "";
    if (stage > v->pipe.stage[signal])
        snprintf(late, sizeof late, "__r%d", stage);
    if (s->element >= 0)
        snprintf(out, BLI_VERILOG_TEXT, "%s__%lld%s", v->wires[s->wire], (long long)s->element, late);
    else
        snprintf(out, BLI_VERILOG_TEXT, "%s__n%d%s", v->wires[s->wire], v->local[signal], late);
}

void bli_verilog_range(const bli_verilog *v, int signal, char range[BLI_VERILOG_RANGE])
{
    const int bits = bli_net_bits(&v->net->signals[signal]);
    range[0] = '\0';
    if (bits > 1)
        snprintf(range, BLI_VERILOG_RANGE, "`%s_w(%d) ", v->name, bits);
}

int bli_verilog_widest(const bli_net *n)
{
    int widest = 1;
    for (int i = 0; i < n->count; i++)
        widest = bli_net_bits(&n->signals[i]) > widest ? bli_net_bits(&n->signals[i]) : widest;
    return widest;
}

bool bli_verilog_plain(const bli_net *n)
{
    bool plain = true;
    for (int i = 0; i < n->count; i++)
        plain = plain && n->signals[i].kind != BLI_NET_TABLE && n->signals[i].kind != BLI_NET_MUL;
    return plain;
}

void bli_verilog_widths(const char *name, int widest, bli_text *t)
{
    bli_text_put(t, "`ifdef BITLATHE_WIDE // for simulators: nothing is cut to its width, which the ranges prove\n"
                    "/* verilator lint_off WIDTH */\n");
    bli_text_put(t, "`define %s_w(n) [((n) > 1 ? %d : 1)-1:0]\n", name, widest < 32 ? 32 : 64);
    bli_text_put(t, "`else\n`define %s_w(n) [(n)-1:0]\n`endif\n\n", name);
}

static bli_verilog_field field_of(const bli_program *p, int wire, int64_t *bits)
{
    bli_span hull = bli_wire_hull(&p->wires[wire]);
    int width = bli_span_bits(&hull);
    bli_verilog_field f = {wire, width > 0 ? width : 1, hull.low < 0, *bits};
    *bits += f.width * p->wires[wire].count;
    return f;
}

int64_t bli_verilog_fields(const bli_program *p, bool inputs, bli_verilog_field *out)
{
    int64_t bits = 0;
    for (int i = 0; i < (inputs ? p->num_inputs : p->num_outputs); i++)
        out[i] = field_of(p, inputs ? p->inputs[i].wire : p->outputs[i].wire, &bits);
    return bits;
}

static bl_status place_fields(bli_verilog *v)
{
    const bli_program *p = v->program;
    v->x = bli_arena_array(v->net->arena, (size_t)p->num_inputs + 1, sizeof *v->x);
    v->y = bli_arena_array(v->net->arena, (size_t)p->num_outputs + 1, sizeof *v->y);
    if (!v->x || !v->y)
        return BL_NO_MEMORY;
    v->x_bits = bli_verilog_fields(p, true, v->x);
    v->y_bits = bli_verilog_fields(p, false, v->y);
    if (v->x_bits == 0 || v->y_bits == 0)
        return bli_fail(p->ctx, BL_UNSUPPORTED, "program '%s' has an %s without elements: there is nothing to build",
                        p->name, v->x_bits == 0 ? "input" : "output");
    return BL_OK;
}

static bl_status number_steps(bli_verilog *v)
{
    const bli_net *n = v->net;
    int *next = bli_arena_array(n->arena, (size_t)v->program->num_wires + 1, sizeof *next);
    v->local = bli_arena_array(n->arena, (size_t)n->count + 1, sizeof *v->local);
    if (!next || !v->local)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->count; i++)
        if (n->signals[i].element < 0 && n->signals[i].kind != BLI_NET_CONST)
            v->local[i] = next[n->signals[i].wire]++;
    return BL_OK;
}

static bool same_table(const bli_net_signal *a, const bli_net_signal *b)
{
    return a->length == b->length && a->k == b->k &&
           memcmp(a->table, b->table, (size_t)a->length * sizeof *a->table) == 0;
}

/* v->tables[i] is the first signal's table of each kind; found by walking, tables are few. */
static bl_status number_tables(bli_verilog *v)
{
    const bli_net *n = v->net;
    int *first = bli_arena_array(n->arena, (size_t)n->count + 1, sizeof *first);
    v->table = bli_arena_array(n->arena, (size_t)n->count + 1, sizeof *v->table);
    if (!first || !v->table)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->count; i++) {
        const bli_net_signal *s = &n->signals[i];
        if (s->kind != BLI_NET_TABLE)
            continue;
        int t = v->num_tables - 1;
        while (t >= 0 &&
               !(same_table(s, &n->signals[first[t]]) &&
                 bli_net_bits(&n->signals[s->in[0]]) == bli_net_bits(&n->signals[n->signals[first[t]].in[0]])))
            t--;
        if (t < 0)
            first[t = v->num_tables++] = i;
        v->table[i] = t;
    }
    v->table_signal = first;
    return BL_OK;
}

bl_status bli_verilog_layout(const bli_emit_job *job, bli_net *net, bli_verilog *out)
{
    out->program = job->program;
    out->net = net;
    out->name = job->name;
    snprintf(out->module, sizeof out->module, "%.63s_core", job->name);
    snprintf(out->unit, sizeof out->unit, "%.63s", job->name);
    out->wires = bli_arena_array(net->arena, (size_t)job->program->num_wires + 1, sizeof *out->wires);
    if (!out->wires)
        return BL_NO_MEMORY;
    BLI_TRY(bli_names_wires(job->names, job->program, out->wires));
    BLI_TRY(place_fields(out));
    BLI_TRY(number_steps(out));
    return number_tables(out);
}
