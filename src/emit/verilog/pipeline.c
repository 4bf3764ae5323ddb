/* pipeline.c: the delay model, and the cut into stages. */
#include <string.h>
#include <strings.h>

#include "emit/verilog/pipeline.h"

/* level, carry, clock.  xcup, xc7: 7-series cell delays as in prjxray's files, scaled, with as much again for wires;
 * ice40, ecp5: fitted to place-and-route of adder trees. */
static const bli_delay_model models[] = {
    {"xcup", 350, 15, 300}, {"xc7", 700, 30, 700}, {"ice40", 1150, 126, 1600}, {"ecp5", 800, 70, 1000}};

const bli_delay_model *bli_delay_model_find(const char *family)
{
    for (size_t i = 0; i < BLI_COUNT(models); i++)
        if (strcmp(models[i].family, family) == 0)
            return &models[i];
    return NULL;
}

const bli_delay_model *bli_delay_model_of_part(const char *part)
{
    static const char *const begins[][2] = {{"xcvu", "xcup"}, {"xcku", "xcup"},   {"xczu", "xcup"}, {"xcau", "xcup"},
                                            {"xc7", "xc7"},   {"ice40", "ice40"}, {"lfe5", "ecp5"}};
    for (size_t i = 0; i < BLI_COUNT(begins); i++)
        if (strncasecmp(part, begins[i][0], strlen(begins[i][0])) == 0)
            return bli_delay_model_find(begins[i][1]);
    return bli_delay_model_find(part);
}

/* LUTs one behind the other for a function of so many bits, six (four on the small families: the model's level is
 * larger there) at a time. */
static int levels(int bits)
{
    int count = 1;
    for (int64_t reach = 6; reach < bits; reach *= 6)
        count++;
    return count;
}

static int logarithm(int v)
{
    int bits = 0;
    for (; (1 << bits) < v; bits++)
        ;
    return bits;
}

static int operand_bits(const bli_net *n, const bli_net_signal *s, int i)
{
    return bli_net_bits(&n->signals[s->in[i]]);
}

static int compare_delay(const bli_net *n, const bli_delay_model *m, const bli_net_signal *s)
{
    int bits = operand_bits(n, s, 0);
    if (s->kind == BLI_NET_AT_LEAST && (s->k == 0 || (s->k & (s->k - 1)) == 0))
        return s->k == 0 ? 0 : levels(bits) * m->level;
    return m->level + bits * m->carry;
}

static int clamp_delay(const bli_net *n, const bli_delay_model *m, const bli_net_signal *s)
{
    const bli_net_signal *a = &n->signals[s->in[0]];
    bool top_is_bits = ((s->high_k + 1) & s->high_k) == 0 || a->high <= s->high_k;
    if (s->k == 0 && top_is_bits)
        return a->high <= s->high_k ? m->level : (1 + levels(bli_net_bits(a) - bli_net_bits(s))) * m->level;
    return 2 * m->level + bli_net_bits(a) * m->carry;
}

int bli_net_delay(const bli_net *n, const bli_delay_model *m, int signal)
{
    const bli_net_signal *s = &n->signals[signal];
    int bits = bli_net_bits(s);
    switch (s->kind) {
    case BLI_NET_ADD:
    case BLI_NET_SUB:
        return m->level + bits * m->carry;
    case BLI_NET_ADD3:
        return 2 * m->level + bits * m->carry;
    case BLI_NET_TIE:
        return levels((int)s->k) * m->level;
    case BLI_NET_AT_LEAST:
    case BLI_NET_LESS:
        return compare_delay(n, m, s);
    case BLI_NET_MUX:
        return m->level;
    case BLI_NET_CLAMP:
        return clamp_delay(n, m, s);
    case BLI_NET_TABLE:
        return m->level * (operand_bits(n, s, 0) <= 6 ? 1 : 1 + (operand_bits(n, s, 0) - 5) / 2);
    case BLI_NET_MUL:
        return (1 + logarithm(operand_bits(n, s, 0) < operand_bits(n, s, 1) ? operand_bits(n, s, 0)
                                                                            : operand_bits(n, s, 1))) *
                   m->level +
               bits * m->carry;
    default:
        return 0;
    }
}

/* As early as possible; the number of stages. */
static int assign(const bli_net *n, const int *delay, int period, int *stage, int *arrival)
{
    int stages = 1;
    for (int i = 0; i < n->count; i++) {
        const bli_net_signal *s = &n->signals[i];
        int at = 0, start = 0;
        for (int k = 0; k < bli_net_operands(s->kind); k++) {
            int in = s->in[k];
            if (stage[in] > at || (stage[in] == at && arrival[in] > start))
                start = arrival[in], at = stage[in];
        }
        bool next = start + delay[i] > period;
        stage[i] = at + next;
        arrival[i] = next ? delay[i] : start + delay[i];
        if (stage[i] >= stages)
            stages = stage[i] + 1;
    }
    return stages;
}

/* Where each signal is read last; outputs: at the end. */
static void find_last(const bli_net *n, bli_pipeline *p)
{
    const bli_program *program = n->program;
    memcpy(p->last, p->stage, (size_t)n->count * sizeof *p->last);
    for (int i = 0; i < n->count; i++)
        for (int k = 0; k < bli_net_operands(n->signals[i].kind); k++) {
            int *last = &p->last[n->signals[i].in[k]];
            *last = p->stage[i] > *last ? p->stage[i] : *last;
        }
    for (int o = 0; o < program->num_outputs; o++)
        for (int64_t e = 0; e < program->wires[program->outputs[o].wire].count; e++) {
            bli_net_ref r = n->wires[program->outputs[o].wire][e];
            if (!bli_net_is_constant(r))
                p->last[r.signal] = p->stages - 1;
        }
    p->bits = 0;
    for (int i = 0; i < n->count; i++)
        if (n->signals[i].kind != BLI_NET_CONST)
            p->bits += (int64_t)(p->last[i] - p->stage[i]) * bli_net_bits(&n->signals[i]);
}

static int greatest_delay(const bli_net *n, const int *delay)
{
    int at = 0;
    for (int i = 1; i < n->count; i++)
        if (delay[i] > delay[at])
            at = i;
    return at;
}

static bl_status refuse(const bli_net *n, const bli_delay_model *m, int64_t period, int slowest, int delay)
{
    const bli_net_signal *s = &n->signals[slowest];
    return bli_fail(
        n->ctx, BL_BAD_VALUE,
        "clock %.3f ns: no cut meets it on %s; one operation of %d bits for '%s' takes %.3f ns by the model, "
        "registers included",
        (double)period / 1000, m->family, bli_net_bits(s), n->program->wires[s->wire].name,
        (double)(delay + m->clock) / 1000);
}

/* The shortest period with as many stages. */
static int shorten(const bli_net *n, const int *delay, int low, int high, int stages, int *stage, int *arrival)
{
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (assign(n, delay, middle, stage, arrival) <= stages)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

bl_status bli_pipeline_cut(bli_net *n, const bli_delay_model *m, int64_t period, bli_pipeline *out)
{
    size_t count = (size_t)n->count + 1;
    int *delay = bli_arena_array(n->arena, count, sizeof *delay);
    int *arrival = bli_arena_array(n->arena, count, sizeof *arrival);
    *out = (bli_pipeline){.stage = bli_arena_array(n->arena, count, sizeof(int)),
                          .last = bli_arena_array(n->arena, count, sizeof(int))};
    if (!delay || !arrival || !out->stage || !out->last)
        return BL_NO_MEMORY;
    for (int i = 0; i < n->count; i++)
        delay[i] = bli_net_delay(n, m, i);
    int slowest = n->count > 0 ? greatest_delay(n, delay) : -1, longest = slowest < 0 ? 0 : delay[slowest];
    if (slowest >= 0 && longest + m->clock > period)
        return refuse(n, m, period, slowest, longest);
    int room = period - m->clock > 1000000000 ? 1000000000 : (int)(period - m->clock);
    out->stages = assign(n, delay, room, out->stage, arrival);
    room = shorten(n, delay, longest, room, out->stages, out->stage, arrival);
    out->stages = assign(n, delay, room, out->stage, arrival);
    out->period = room + m->clock;
    find_last(n, out);
    return BL_OK;
}
