/* flow_process.c: one group as a module: its parts first, then NAME__<group> around them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emit/verilog/flow.h"

int bli_flow_bits(int64_t n)
{
    int bits = 1;
    while (n >> bits)
        bits++;
    return bits;
}

const char *bli_flow_digits(const bli_flow *f, const int64_t *codes, int64_t count, int width)
{
    size_t size = (size_t)((count * width + 3) / 4);
    char *text = bli_arena_alloc(f->arena, size + 1);
    if (!text)
        return NULL;
    memset(text, 0, size + 1);
    for (int64_t i = 0; i < count * width; i++) {
        int bit = i % width < 64 ? (int)((uint64_t)codes[i / width] >> (i % width) & 1) : 0;
        text[size - 1 - (size_t)(i / 4)] = (char)(text[size - 1 - (size_t)(i / 4)] | bit << i % 4);
    }
    for (size_t i = 0; i < size; i++)
        text[i] = "0123456789abcdef"[(int)text[i]];
    return text;
}

/* ---- parts --------------------------------------------------------------------------------------------------------
 */
static void describe(const bli_verilog *v, bli_flow_core *out)
{
    memcpy(out->module, v->module, sizeof out->module);
    out->latency = v->latency;
    out->x_bits = v->x_bits;
    out->y_bits = v->y_bits;
    out->y_width = v->y[0].width;
    out->y_signed = v->y[0].is_signed;
}

static bl_status put_net(bli_flow *f, const bli_emit_job *job, const bli_group *g, const char *what, bli_net *net,
                         bli_flow_core *out)
{
    bli_verilog v = {.model = f->model};
    BLI_TRY(bli_pipeline_cut(net, v.model, (int64_t)(job->options->clock * 1000), &v.pipe));
    v.latency = v.pipe.stages + 1;
    BLI_TRY(bli_verilog_layout(job, net, &v));
    snprintf(v.module, sizeof v.module, "%.63s__%.63s__%.20s", job->name, g->name, what);
    snprintf(v.unit, sizeof v.unit, "%.63s__%.63s__%.20s_", job->name, g->name, what);
    bli_verilog_core(&v, &f->modules);
    bli_text_put(&f->modules, "\n");
    bli_verilog_tables(&v, &f->cells);
    f->widest = bli_verilog_widest(net) > f->widest ? bli_verilog_widest(net) : f->widest;
    f->adder3 = f->adder3 || bli_verilog_has_adder3(&v);
    f->latency += v.latency;
    describe(&v, out);
    return BL_OK;
}

static bl_status put_core(bli_flow *f, const bli_group *g, const char *what, const bli_program *part,
                          bli_flow_core *out)
{
    bli_emit_job job = *f->job;
    bli_net *net;
    BLI_TRY(bli_net_create(part, &f->net, &net));
    job.program = part;
    bl_status s = bli_names_create(job.ctx, &job.names);
    if (s == BL_OK)
        s = put_net(f, &job, g, what, net, out);
    bli_names_destroy(job.names);
    bli_net_destroy(net);
    return s;
}

/* ---- hands --------------------------------------------------------------------------------------------------------
 */
void bli_flow_put_hand(bli_text *t, const char *name, int64_t bits)
{
    bli_text_line(t, "wire [%" PRId64 ":0] %s;", bits - 1, name);
    bli_text_line(t, "wire %s_valid, %s_ready;", name, name);
}

void bli_flow_put_cell(const bli_flow *f, bli_text *t, const char *cell, const char *parameters, const char *from,
                       const char *to, int64_t bits)
{
    bli_flow_put_hand(t, to, bits);
    bli_text_line(t, "%s_%s #(%s) %s_%s (.clk(clk), .rst(rst),", f->job->name, cell, parameters, to, cell);
    bli_text_line(
        t, "    .x(%s), .x_valid(%s_valid), .x_ready(%s_ready), .y(%s), .y_valid(%s_valid), .y_ready(%s_ready));", from,
        from, from, to, to, to);
}

/* n beats of so many bits are joined, or one is split into n; hand gets a letter behind it. */
static void put_change(const bli_flow *f, bli_text *t, bool join, int64_t bits, int64_t n, char hand[BLI_FLOW_HAND])
{
    char parameters[160], to[BLI_FLOW_HAND];
    snprintf(parameters, sizeof parameters, ".W(%" PRId64 "), .N(%" PRId64 "), .B(%d)", bits, n, bli_flow_bits(n));
    snprintf(to, sizeof to, "%.80s%c", hand, join ? 'j' : 's');
    bli_flow_put_cell(f, t, join ? "join" : "split", parameters, hand, to, join ? bits * n : bits);
    memcpy(hand, to, sizeof to);
}

void bli_flow_put_rebeat(const bli_flow *f, bli_text *t, int width, int64_t count, int64_t from, int64_t to,
                         char hand[BLI_FLOW_HAND])
{
    if (from == to)
        return;
    if (to % from == 0) {
        put_change(f, t, true, from * width, to / from, hand);
    } else if (from % to == 0) {
        put_change(f, t, false, to * width, from / to, hand);
    } else {
        put_change(f, t, true, from * width, count / from, hand);
        put_change(f, t, false, to * width, count / to, hand);
    }
}

/* ---- operands -----------------------------------------------------------------------------------------------------
 */
typedef struct window_text {
    int tall, wide; /* dilation included */
    int64_t rows, columns, channels;
    int width;
} window_text;

static window_text measure(const bli_flow *f, const bli_prim_op *op)
{
    const bli_window *w = &op->window;
    const bli_view v = bli_view_of(f->p, op);
    return (window_text){(w->kernel[0] - 1) * w->dilation[0] + 1,
                         (w->kernel[1] - 1) * w->dilation[1] + 1,
                         v.in[0] + w->pad[0] + w->pad[2],
                         v.in[1] + w->pad[1] + w->pad[3],
                         v.channels,
                         bli_flow_link_of(f, op->in[0])->width};
}

static const char *padding(const bli_flow *f, const bli_flow_plan *plan, const window_text *m)
{
    int64_t *pad = bli_arena_array(f->arena, (size_t)m->channels, sizeof *pad);
    for (int64_t c = 0; pad && c < m->channels; c++)
        bli_flow_pixel(f, plan, c, &pad[c]);
    return pad ? bli_flow_digits(f, pad, m->channels, m->width) : NULL;
}

/* The taps of a dilated kernel out of all that the window holds; the last is highest. */
static void put_taps(const bli_prim_op *op, const window_text *m, bli_text *t)
{
    const bli_window *w = &op->window;
    int64_t pixel = m->channels * m->width;
    bli_flow_put_hand(t, "taps", w->kernel[0] * w->kernel[1] * pixel);
    bli_text_line(t, "assign taps_valid = window_valid;");
    bli_text_line(t, "assign window_ready = taps_ready;");
    for (int i = 0; i < w->kernel[0]; i++)
        for (int j = 0; j < w->kernel[1]; j++)
            bli_text_line(t, "assign taps[%" PRId64 " +: %" PRId64 "] = window[%" PRId64 " +: %" PRId64 "];",
                          (i * w->kernel[1] + j) * pixel, pixel,
                          ((int64_t)i * w->dilation[0] * m->wide + (int64_t)j * w->dilation[1]) * pixel, pixel);
}

static bl_status put_window(const bli_flow *f, const bli_flow_plan *plan, bli_text *t, char hand[BLI_FLOW_HAND])
{
    const bli_prim_op *op = plan->group->ops[0];
    const bli_window *w = &op->window;
    const window_text m = measure(f, op);
    const bli_view v = bli_view_of(f->p, op);
    const char *pad = padding(f, plan, &m);
    bli_text parameters;
    if (!pad)
        return BL_NO_MEMORY;
    bli_text_init(&parameters, f->job->ctx);
    bli_text_put(&parameters,
                 ".W(%" PRId64 "), .TALL(%d), .WIDE(%d), .ROWS(%" PRId64 "), .COLUMNS(%" PRId64 "), .HIGH(%" PRId64
                 "), .ACROSS(%" PRId64 "), .TOP(%d), .LEFT(%d), .DOWN(%d), .RIGHT(%d), .B(%d), .C(%d), .PAD(%" PRId64
                 "'h%s)",
                 m.channels * m.width, m.tall, m.wide, m.rows, m.columns, v.in[0], v.in[1], w->pad[0], w->pad[1],
                 w->stride[0], w->stride[1], bli_flow_bits(m.rows > m.columns ? m.rows : m.columns),
                 bli_flow_bits(m.columns - 1), m.channels * m.width, pad);
    bl_status s = bli_text_status(&parameters);
    if (s == BL_OK)
        bli_flow_put_cell(f, t, "window", parameters.buf.data, hand, "window",
                          (int64_t)m.tall * m.wide * m.channels * m.width);
    bli_text_free(&parameters);
    bool dilated = w->dilation[0] > 1 || w->dilation[1] > 1;
    snprintf(hand, BLI_FLOW_HAND, dilated ? "taps" : "window");
    if (dilated)
        put_taps(op, &m, t);
    return s;
}

/* All operands of a step as one hand: valid when all are there, taken together. */
static void put_meeting(const bli_flow *f, const bli_flow_plan *plan, char hands[][BLI_FLOW_HAND], bli_text *t)
{
    int64_t bits = 0;
    for (int i = 0; i < plan->num_in; i++)
        bits += plan->in[i].beat * bli_flow_link_of(f, plan->in[i].wire)->width;
    bli_flow_put_hand(t, "all", bits);
    bli_text_put(t, "    assign all = {");
    for (int i = plan->num_in - 1; i >= 0; i--)
        bli_text_put(t, "%s%s", hands[i], i ? ", " : "};\n");
    bli_text_put(t, "    assign all_valid = ");
    for (int i = 0; i < plan->num_in; i++)
        bli_text_put(t, "%s%s_valid", i ? " && " : "", hands[i]);
    bli_text_put(t, ";\n");
    for (int i = 0; i < plan->num_in; i++)
        bli_text_line(t, "assign %s_ready = all_ready && all_valid;", hands[i]);
    snprintf(hands[0], BLI_FLOW_HAND, "all");
}

static bl_status put_operands(const bli_flow *f, const bli_flow_plan *plan, bli_text *t, char hand[BLI_FLOW_HAND])
{
    char hands[BLI_PRIM_MAX_IN][BLI_FLOW_HAND];
    for (int i = 0; i < plan->num_in; i++) {
        const bli_flow_link *l = bli_flow_link_of(f, plan->in[i].wire);
        snprintf(hands[i], BLI_FLOW_HAND, "x%d", i);
        bli_flow_put_rebeat(f, t, l->width, l->beat * l->beats, l->beat, plan->in[i].beat, hands[i]);
    }
    if (plan->way == BLI_FLOW_WINDOWS)
        BLI_TRY(put_window(f, plan, t, hands[0]));
    if (plan->num_in > 1)
        put_meeting(f, plan, hands, t);
    memcpy(hand, hands[0], BLI_FLOW_HAND);
    return BL_OK;
}

/* ---- arithmetic ---------------------------------------------------------------------------------------------------
 */
/* A part that takes a step a clock, from hand to `to`. */
static void put_piped(const bli_flow *f, const bli_flow_core *core, const char *from, const char *to, bli_text *t)
{
    bli_flow_put_hand(t, to, core->y_bits);
    bli_text_line(t, "%s_pipe #(.L(%d)) %s_pipe (.clk(clk), .rst(rst), .x_valid(%s_valid), .x_ready(%s_ready),",
                  f->job->name, core->latency, to, from, from);
    bli_text_line(t, "    .y_valid(%s_valid), .y_ready(%s_ready));", to, to);
    bli_text_line(t, "%s %s_core (.clk(clk), .ce(%s_ready), .x(%s), .y(%s));", core->module, to, from, from, to);
}

static bl_status put_rom(bli_flow *f, const bli_group *g, const bli_flow_mac *m)
{
    bli_text *t = &f->modules;
    int64_t bits = m->multipliers * m->weight_bits;
    bli_text_line(t, "// weights, one word a turn: %" PRId64 " of %d bits", m->multipliers, m->weight_bits);
    bli_text_open(t, "module %s__%s__rom (", f->job->name, g->name);
    bli_text_line(t, "input wire clk,");
    bli_text_line(t, "input wire ce,");
    bli_text_line(t, "input wire [%d:0] turn,", bli_flow_bits(m->reuse - 1) - 1);
    bli_text_line(t, "output reg [%" PRId64 ":0] q", bits - 1);
    bli_text_close(t, ");");
    t->depth++;
    bli_text_line(t, "reg [%" PRId64 ":0] rom [0:%" PRId64 "];", bits - 1, m->reuse - 1);
    bli_text_open(t, "initial begin");
    for (int64_t turn = 0; turn < m->reuse; turn++) {
        const char *digits = bli_flow_digits(f, m->weight + turn * m->multipliers, m->multipliers, m->weight_bits);
        if (!digits)
            return BL_NO_MEMORY;
        bli_text_line(t, "rom[%" PRId64 "] = %" PRId64 "'h%s;", turn, bits, digits);
    }
    bli_text_close(t, "end");
    bli_text_line(t, "always @(posedge clk) if (ce) q <= rom[turn];");
    bli_text_close(t, "endmodule");
    bli_text_put(t, "\n");
    return BL_OK;
}

/* The turn whose element stands for that of turn t, where there is none: bits of t below the highest are cleared, from
 * the top, until it is one.  Where the halving (lowest bit first) comes to such a bit, both halves are then the same.
 */
static int64_t stand_in(int64_t t, int64_t reuse, int bits)
{
    for (int b = bits - 2; b >= 0 && t >= reuse; b--)
        t &= ~((int64_t)1 << b);
    return t;
}

static int64_t reversed(int64_t place, int bits)
{
    int64_t t = 0;
    for (int b = 0; b < bits; b++)
        t |= (place >> b & 1) << (bits - 1 - b);
    return t;
}

/* The elements of held that one multiplier meets, for the cell `select`: the last place is highest. */
static void put_sequence(const int64_t *tap, int64_t reuse, int bits, int width, bli_text *t)
{
    for (int64_t place = ((int64_t)1 << bits) - 1; place >= 0; place--) {
        const int64_t first = tap[stand_in(reversed(place, bits), reuse, bits)] * width;
        bli_text_put(t, "held[%" PRId64 ":%" PRId64 "]%s", first + width - 1, first, place > 0 ? ", " : "");
    }
}

/* Element `turn` of each sequence, in registers. */
static void put_selections(const bli_flow *f, const bli_flow_mac *m, int width, bli_text *t)
{
    const int bits = bli_flow_bits(m->reuse - 1);
    for (int64_t s = 0; s < m->selects; s++) {
        bli_text_line(t, "wire [%d:0] select_%" PRId64 "__y;", width - 1, s);
        bli_text_put(t, "    %s_select #(.W(%d), .B(%d)) select_%" PRId64 " (.turn(turn), .x({", f->job->name, width,
                     bits, s);
        put_sequence(m->tap + s * m->reuse, m->reuse, bits, width, t);
        bli_text_put(t, "}), .y(select_%" PRId64 "__y));\n", s);
    }
    bli_text_line(t, "reg [%" PRId64 ":0] selected;", m->selects * width - 1);
    bli_text_put(t, "    always @(posedge clk) if (ce) selected <= {");
    for (int64_t s = m->selects - 1; s >= 0; s--)
        bli_text_put(t, "select_%" PRId64 "__y%s", s, s > 0 ? ", " : "};\n");
}

/* From hand to "sums". */
static void put_turns(const bli_flow *f, const bli_flow_plan *plan, const bli_flow_mac *m, const bli_flow_core *core,
                      int sum_bits, int64_t held, const char *from, bli_text *t)
{
    const char *name = f->job->name;
    int width = bli_flow_link_of(f, plan->in[0].wire)->width, bits = bli_flow_bits(m->reuse - 1);
    bli_text_line(t, "// %" PRId64 " turns of %" PRId64 " multipliers", m->reuse, m->multipliers);
    bli_flow_put_hand(t, "sums", m->outputs * sum_bits);
    bli_text_line(t, "wire load, ce, add, first, complete;");
    bli_text_line(t, "wire [%d:0] turn;", bits - 1);
    bli_text_line(t,
                  "%s_turns #(.REUSE(%" PRId64 "), .STEPS(%" PRId64 "), .SLOTS(%" PRId64
                  "), .L(%d), .B(%d)) turns (.clk(clk), .rst(rst),",
                  name, m->reuse, m->steps, m->slots, core->latency, bits);
    bli_text_line(t, "    .x_valid(%s_valid), .x_ready(%s_ready), .load(load), .ce(ce), .turn(turn), .add(add),", from,
                  from);
    bli_text_line(t, "    .first(first), .complete(complete), .y_valid(sums_valid), .y_ready(sums_ready));");
    bli_text_line(t, "reg [%" PRId64 ":0] held;", held - 1);
    bli_text_line(t, "always @(posedge clk) if (load) held <= %s;", from);
    bli_text_line(t, "wire [%" PRId64 ":0] weights;", m->multipliers * m->weight_bits - 1);
    bli_text_line(t, "%s__%s__rom memory (.clk(clk), .ce(ce), .turn(turn), .q(weights));", name, plan->group->name);
    put_selections(f, m, width, t);
    bli_text_line(t, "wire [%" PRId64 ":0] addends;", core->y_bits - 1);
    bli_text_line(t, "%s products (.clk(clk), .ce(ce), .x({weights, selected}), .y(addends));", core->module);
    bli_text_line(t, "wire [%" PRId64 ":0] latest;", m->sums * sum_bits - 1);
    bli_text_line(t, "%s_accumulate #(.N(%" PRId64 "), .P(%d), .S(%d), .A(%d)) accumulate (.clk(clk), .ce(ce),", name,
                  m->sums, core->y_width, core->y_signed, sum_bits);
    bli_text_line(t, "    .add(add), .first(first), .x(addends), .y(latest));");
    if (m->slots == 1)
        bli_text_line(t, "assign sums = latest;");
    else
        bli_text_line(t,
                      "%s_collect #(.N(%" PRId64 "), .A(%d), .SLOTS(%" PRId64
                      ")) collect (.clk(clk), .ce(ce), .take(complete), .x(latest), .y(sums));",
                      name, m->sums, sum_bits, m->slots);
}

/* ---- the module ---------------------------------------------------------------------------------------------------
 */
typedef struct parts {
    int64_t reuse;
    bli_flow_mac mac;
    bli_flow_core turn, rest; /* rest: all of it, or what is behind the sums */
} parts;

/* The part is given away. */
static bl_status put_part(bli_flow *f, const bli_group *g, const char *what, bli_program *part, bli_flow_core *out)
{
    bl_status s = put_core(f, g, what, part, out);
    bli_program_destroy(part);
    return s;
}

static bl_status put_parts(bli_flow *f, const bli_flow_plan *plan, parts *out)
{
    bli_program *part;
    const bli_group *g = plan->group;
    out->reuse = bli_flow_reuse(f, plan);
    if (out->reuse == 1) {
        BLI_TRY(bli_flow_part_all(f, plan, &part));
        return put_part(f, g, "core", part, &out->rest);
    }
    BLI_TRY(bli_flow_mac_make(f, plan, out->reuse, &out->mac));
    BLI_TRY(put_rom(f, g, &out->mac));
    BLI_TRY(bli_flow_part_turn(f, plan, &out->mac, &part));
    BLI_TRY(put_part(f, g, "turn", part, &out->turn));
    BLI_TRY(bli_flow_part_tail(f, plan, &part));
    return put_part(f, g, "core", part, &out->rest);
}

static void put_ports(const bli_flow *f, const bli_flow_plan *plan, bli_text *t)
{
    const bli_group *g = plan->group;
    const bli_flow_link *y = bli_flow_link_of(f, g->ops[g->num_ops - 1]->out);
    char text[512];
    bli_group_describe(f->p, g, text, sizeof text);
    bli_text_line(t, "// %s", text);
    bli_text_open(t, "module %s__%s (", f->job->name, g->name);
    bli_text_line(t, "input wire clk,");
    bli_text_line(t, "input wire rst,");
    for (int i = 0; i < plan->num_in; i++) {
        const bli_flow_link *x = bli_flow_link_of(f, plan->in[i].wire);
        bli_text_line(t, "input wire [%" PRId64 ":0] x%d, // %s", x->beat * x->width - 1, i, x->name);
        bli_text_line(t, "input wire x%d_valid,", i);
        bli_text_line(t, "output wire x%d_ready,", i);
    }
    bli_text_line(t, "output wire [%" PRId64 ":0] y, // %s", y->beat * y->width - 1, y->name);
    bli_text_line(t, "output wire y_valid,");
    bli_text_line(t, "input wire y_ready");
    bli_text_close(t, ");");
    t->depth++;
}

/* Bits of one step's operands. */
static int64_t step_bits(const bli_flow *f, const bli_flow_plan *plan)
{
    const bli_prim_op *op = plan->group->ops[0];
    int64_t bits = 0;
    for (int i = 0; i < plan->num_in; i++)
        bits += plan->in[i].beat * bli_flow_link_of(f, plan->in[i].wire)->width;
    return plan->way == BLI_FLOW_WINDOWS ? bits * op->window.kernel[0] * op->window.kernel[1] : bits;
}

static bl_status check_widths(const bli_flow *f, const bli_flow_plan *plan, const parts *p)
{
    const bli_group *g = plan->group;
    const bli_flow_link *y = bli_flow_link_of(f, g->ops[g->num_ops - 1]->out);
    bool in = p->reuse > 1 || p->rest.x_bits == step_bits(f, plan);
    if (in && p->rest.y_bits == plan->out_beat * y->width)
        return BL_OK;
    return bli_fail(f->job->ctx, BL_BAD_MODEL, "wire '%s': its elements and those of a step have different widths",
                    g->out->name);
}

static bl_status put_module(bli_flow *f, const bli_flow_plan *plan, const parts *p)
{
    const bli_group *g = plan->group;
    const bli_flow_link *y = bli_flow_link_of(f, g->ops[g->num_ops - 1]->out);
    char hand[BLI_FLOW_HAND];
    bli_text *t = &f->modules;
    BLI_TRY(check_widths(f, plan, p));
    put_ports(f, plan, t);
    BLI_TRY(put_operands(f, plan, t, hand));
    if (p->reuse > 1) {
        put_turns(f, plan, &p->mac, &p->turn, (int)(p->rest.x_bits / p->mac.outputs), step_bits(f, plan), hand, t);
        snprintf(hand, sizeof hand, "sums");
    }
    put_piped(f, &p->rest, hand, "result", t);
    snprintf(hand, sizeof hand, "result");
    bli_flow_put_rebeat(f, t, y->width, y->beat * y->beats, plan->out_beat, y->beat, hand);
    bli_text_line(t, "assign y = %s;", hand);
    bli_text_line(t, "assign y_valid = %s_valid;", hand);
    bli_text_line(t, "assign %s_ready = y_ready;", hand);
    bli_text_close(t, "endmodule");
    bli_text_put(t, "\n");
    return BL_OK;
}

bl_status bli_flow_put_process(bli_flow *f, const bli_group *g)
{
    bli_flow_plan plan;
    parts p = {0};
    bli_flow_plan_make(f, g, &plan);
    BLI_TRY(bli_within(f->job->ctx, put_parts(f, &plan, &p), "layer '%s'", g->out->layer));
    f->turns = p.reuse > f->turns ? p.reuse : f->turns;
    return put_module(f, &plan, &p);
}
