/* quant_call.c: one Quantize node on arrays, described as in a recipe. */
#include "support/quant_call.h"

#include "support/test.h"

#include "quant/precision.h"

#include <stdlib.h>
#include <string.h>

enum { X, SCALE, BITS, Y, DY, DX, DSCALE };

/* "key: value; key: value" cut into entries, in place. */
static size_t cut(char *text, bli_precision_entry *entries)
{
    size_t n = 0;
    for (char *at = text; at; n++) {
        char *next = strstr(at, "; ");
        if (next)
            *next = 0;
        char *colon = strstr(at, ": ");
        assert_non_null(colon);
        *colon = 0;
        entries[n] = (bli_precision_entry){at, colon + 2};
        at = next ? next + 2 : NULL;
    }
    return n;
}

void quant_open(quant_call *q, bl_context *ctx, const char *place, const char *text, bl_dtype type, const int64_t *dims)
{
    *q = (quant_call){.ctx = ctx};
    bli_precision p;
    bli_precision_entry entries[16];
    assert_int_equal(bli_arena_create(ctx, &q->arena), BL_OK);
    char *copy = bli_arena_strdup(q->arena, text);
    bl_status status = strstr(text, ": ") ? bli_precision_resolve(ctx, q->arena, place, entries, cut(copy, entries), &p)
                                          : bli_precision_parse(ctx, q->arena, place, text, &p);
    if (status != BL_OK)
        fail_msg("%s: %s", text, bl_context_message(ctx));
    q->op = bli_op_find("Quantize", BLI_DOMAIN_OWN);
    bl_attr *attrs = bli_arena_array(q->arena, (size_t)p.num_attrs, sizeof(bl_attr));
    memcpy(attrs, p.attrs, (size_t)p.num_attrs * sizeof(bl_attr));
    q->node =
        (bl_node){.name = "q", .type = "Quantize", .domain = BLI_DOMAIN_OWN, .num_attrs = p.num_attrs, .attrs = attrs};
    bli_quant_spec *spec;
    bool batched = strcmp(place, "weight") != 0 && strcmp(place, "bias") != 0;
    assert_int_equal(bli_quant_spec_parse(ctx, &q->node, batched, q->arena, &spec), BL_OK);
    q->spec = spec;
    q->t[X] = tensor_new(ctx, type, dims);
    q->t[Y] = tensor_new(ctx, type, dims);
    q->t[DY] = tensor_new(ctx, type, dims);
    q->t[DX] = tensor_new(ctx, type, dims);
    q->call = (bli_call){.ctx = ctx, .node = &q->node, .state = spec, .training = true, .isa = bli_cpu_isa()};
}

void quant_scale(quant_call *q, const int64_t *dims, double value)
{
    q->t[SCALE] = tensor_new(q->ctx, q->t[X].type, dims);
    q->t[DSCALE] = tensor_new(q->ctx, q->t[X].type, dims);
    for (int64_t i = 0; i < bl_shape_count(&q->t[SCALE].shape); i++)
        tensor_set(&q->t[SCALE], i, value);
}

void quant_bits(quant_call *q, const int64_t *dims, int64_t value)
{
    q->t[BITS] = tensor_new(q->ctx, BL_I64, dims);
    for (int64_t i = 0; i < bl_shape_count(&q->t[BITS].shape); i++)
        ((int64_t *)q->t[BITS].data)[i] = value;
}

static void run(quant_call *q, bl_status (*kernel)(const bli_call *c))
{
    for (int i = 0; i < 3; i++)
        q->call.in[i] = q->t[i];
    q->call.out[0] = q->t[Y];
    q->call.grad_out[0] = q->t[DY];
    q->call.grad_in[0] = q->t[DX];
    q->call.grad_in[1] = q->t[DSCALE];
    size_t size = q->op->scratch(&q->call);
    q->call.scratch = malloc(size + 1);
    assert_non_null(q->call.scratch);
    memset(q->call.scratch, 0xa5, size + 1); /* its content is undefined */
    if (kernel(&q->call) != BL_OK)
        fail_msg("%s", bl_context_message(q->ctx));
    free(q->call.scratch);
    q->call.scratch = NULL;
}

void quant_forward(quant_call *q)
{
    run(q, q->op->forward);
}

void quant_backward(quant_call *q)
{
    run(q, q->op->backward);
}

void quant_close(quant_call *q)
{
    for (size_t i = 0; i < BLI_COUNT(q->t); i++)
        bl_tensor_free(q->ctx, &q->t[i]);
    bli_arena_destroy(q->arena);
}
