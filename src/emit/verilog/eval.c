/* eval.c: what each operation of a netlist means, in plain C. */
#include "emit/verilog/net_impl.h"

/* Whether rounding v / 2^k by the rule is one above the floor. */
int bli_net_tie(int64_t v, const bli_net_signal *s)
{
    uint64_t rest = (uint64_t)v & (((uint64_t)1 << s->k) - 1), half = (uint64_t)1 << (s->k - 1);
    bool negative = v < 0, odd = (v >> s->k & 1) != 0;
    switch ((bl_rounding)s->high_k) {
    case BL_TRN_ZERO:
        return negative && rest != 0;
    case BL_RND:
        return rest >= half;
    case BL_RND_ZERO:
        return rest > half || (rest == half && negative);
    case BL_RND_INF:
        return rest > half || (rest == half && !negative);
    case BL_RND_MIN_INF:
        return rest > half;
    case BL_RND_CONV:
        return rest > half || (rest == half && odd);
    default:
        return 0;
    }
}

static int64_t shifted(int64_t v, int shift)
{
    return (int64_t)((uint64_t)v << shift);
}

static int64_t wrapped(int64_t v, int64_t k, bool is_signed)
{
    uint64_t low = (uint64_t)v & (((uint64_t)1 << k) - 1);
    return is_signed && low >> (k - 1) ? (int64_t)low - ((int64_t)1 << k) : (int64_t)low;
}

static int64_t add3(const bli_net_signal *s, const int64_t *v)
{
    int64_t sum = 0;
    for (int i = 0; i < 3; i++)
        sum += s->minus[i] ? -shifted(v[i], s->shift[i]) : shifted(v[i], s->shift[i]);
    return sum;
}

static int64_t value_of(const bli_net_signal *s, const int64_t *x, const int64_t *v)
{
    switch (s->kind) {
    case BLI_NET_INPUT:
        return x[s->k] >> s->shift[0];
    case BLI_NET_CONST:
        return s->k;
    case BLI_NET_ADD:
        return shifted(v[0], s->shift[0]) + shifted(v[1], s->shift[1]) + s->k;
    case BLI_NET_SUB:
        return shifted(v[0], s->shift[0]) - shifted(v[1], s->shift[1]) + s->k;
    case BLI_NET_ADD3:
        return add3(s, v);
    case BLI_NET_SHL:
        return shifted(v[0], (int)s->k);
    case BLI_NET_SHR:
        return v[0] >> s->k;
    case BLI_NET_LOW:
        return wrapped(v[0], s->k, false);
    case BLI_NET_WRAP:
        return wrapped(v[0], s->k, true);
    case BLI_NET_NOT:
        return -1 - v[0];
    case BLI_NET_TIE:
        return bli_net_tie(v[0], s);
    case BLI_NET_AT_LEAST:
        return v[0] >= s->k;
    case BLI_NET_LESS:
        return v[0] < v[1];
    case BLI_NET_MUX:
        return v[0] ? v[1] : v[2];
    case BLI_NET_CLAMP:
        return v[0] < s->k ? s->k : v[0] > s->high_k ? s->high_k : v[0];
    case BLI_NET_TABLE:
        return s->table[v[0] - s->k];
    case BLI_NET_MUL:
        return v[0] * v[1];
    case BLI_NET_COUNT:
        break;
    }
    return 0;
}

void bli_net_eval(const bli_net *n, const int64_t *x, int64_t *values)
{
    for (int i = 0; i < n->count; i++) {
        const bli_net_signal *s = &n->signals[i];
        int64_t v[3] = {0};
        for (int k = 0; k < bli_net_operands(s->kind); k++)
            v[k] = values[s->in[k]];
        values[i] = value_of(s, x, v);
    }
}

int64_t bli_net_ref_value(bli_net_ref r, const int64_t *values)
{
    return (bli_net_is_constant(r) ? 0 : shifted(values[r.signal], r.shift)) + r.offset;
}
