/* net_impl.h: what the files that build a netlist share. */
#ifndef BLI_NET_IMPL_H
#define BLI_NET_IMPL_H

#include <string.h>

#include "emit/verilog/net.h"

__extension__ typedef __int128 bli_net_wide;

/* floor(v / 2^shift) */
static inline bli_net_wide bli_net_floor_div(bli_net_wide v, int shift)
{
    return v >> shift;
}

bl_status bli_net_too_wide(const bli_net *n); /* BL_LIMIT, names the wire at hand */

int bli_net_tie(int64_t v, const bli_net_signal *s); /* TIE's meaning */
/* a as far as its values lie within low..high; whatever fits elsewhere. */
BL_MUST_CHECK bl_status bli_net_wrap_known(bli_net *n, bli_net_ref a, int64_t low, int64_t high, bli_net_ref *out);

/* sum.c: ADD, SUB or ADD3 of spec's operands with its constant k: range, common shift, sharing. */
BL_MUST_CHECK bl_status bli_net_sum_of(bli_net *n, bli_net_signal *spec, bli_net_ref *out);

#endif
