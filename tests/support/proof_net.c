/* proof_net.c: one network with its rows, and the ways within the library: the graph's own kernels and the executors.
 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "bitlathe/exec.h"
#include "graph/graph.h"
#include "op/infer.c"
#include "support/proof.h"
#include "support/random_net.h"

#define HLS .backend = "hls", .run = proof_hls, .batch = 100, .usual = 20
/* Batches of 20 took Icarus half as long again: elaboration grows faster than the modules. */
#define UNROLLED  .backend = "verilog", .run = proof_verilog, .batch = 5, .usual = 20
#define PROCESSES .backend = "verilog", .run = proof_verilog, .batch = 5, .usual = 5
#define VERILATOR .backend = "verilog", .run = proof_verilator, .batch = 8, .usual = 4, .most = 1500
#define WIDE      .defined = "-DBITLATHE_WIDE"

const proof_way proof_ways[] = {
    {.name = "graph generic", .backend = "graph", .run = proof_graph, .isa = "generic"},
    {.name = "graph avx2", .backend = "graph", .run = proof_graph, .isa = "avx2"},
    {.name = "graph avx512", .backend = "graph", .run = proof_graph, .isa = "avx512"},
    {.name = "interpreter", .backend = "interpreter", .run = proof_interpreter},
    {.name = "executor generic", .backend = "executor", .run = proof_executor, .isa = "generic"},
    {.name = "executor avx2", .backend = "executor", .run = proof_executor, .isa = "avx2"},
    {.name = "executor avx512", .backend = "executor", .run = proof_executor, .isa = "avx512"},
    {.name = "executor amx", .backend = "executor", .run = proof_executor, .isa = "amx"},
    {.name = "executor neon", .backend = "executor", .run = proof_executor, .isa = "neon"},
    {.name = "executor dotprod", .backend = "executor", .run = proof_executor, .isa = "dotprod"},
    {.name = "c", .backend = "c", .run = proof_c, .batch = 100, .usual = 120, .most = 1 << 17},
    {.name = "hls latency", HLS, .strategy = "latency"},
    {.name = "hls latency stream", HLS, .strategy = "latency", .io = "stream"},
    {.name = "hls resource", HLS, .strategy = "resource", .reuse = 3},
    {.name = "hls resource stream", HLS, .strategy = "resource", .io = "stream", .reuse = 4},
    {.name = "hls da", HLS, .strategy = "da"},
    {.name = "hls da stream", HLS, .strategy = "da", .io = "stream"},
    {.name = "verilog latency", UNROLLED, .strategy = "latency"},
    {.name = "verilog da", UNROLLED, .strategy = "da"},
    {.name = "verilog da3", UNROLLED, .strategy = "da3"},
    {.name = "verilog da stream", PROCESSES, .strategy = "da", .io = "stream"},
    {.name = "verilog resource", PROCESSES, .strategy = "resource", .reuse = 3},
    {.name = "verilog resource stream", PROCESSES, .strategy = "resource", .io = "stream", .reuse = 4},
    {.name = "verilog wide da", UNROLLED, .strategy = "da", WIDE},
    {.name = "verilog wide da stream", PROCESSES, .strategy = "da", .io = "stream", WIDE},
    {.name = "verilog wide resource", PROCESSES, .strategy = "resource", .reuse = 4, WIDE},
    {.name = "verilator latency", VERILATOR, .strategy = "latency"},
    {.name = "verilator da stream", VERILATOR, .strategy = "da", .io = "stream"},
    {.name = "verilator resource", VERILATOR, .strategy = "resource", .reuse = 3},
};
const int proof_way_count = (int)BLI_COUNT(proof_ways);
_Static_assert(BLI_COUNT(proof_ways) <= PROOF_WAYS, "PROOF_WAYS has room for every way");

enum { MOST_COMPILED = 6000 };

/* What a compiler has to read and a netlist unrolls: elements, products, entries of tables. */
static int64_t size_of(const bl_program *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->num_ops; i++) {
        const bli_prim_op *op = &p->ops[i];
        const bli_wire *y = &p->wires[op->out], *x = op->num_in > 0 ? &p->wires[op->in[0]] : y;
        const int64_t depth = x->shape.rank > 0 ? x->shape.dim[x->shape.rank - 1] : 1;
        const int64_t taps = (int64_t)op->window.kernel[0] * op->window.kernel[1];
        n += y->count + op->channels * op->length;
        if (op->kind == BLI_PRIM_DENSE || op->kind == BLI_PRIM_DOT)
            n += y->count * depth;
        if (op->kind == BLI_PRIM_CONV)
            n += y->count * depth * taps / op->window.groups;
    }
    return n;
}

bool proof_fits(const proof_way *way, const proof_net *n)
{
    const bool compiled = way->strategy != NULL;
    const int64_t most = compiled && way->most == 0 ? MOST_COMPILED : way->most;
    return most == 0 || n->size <= most;
}

int proof_run(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    return way->run(ctx, way, nets, count, fault);
}

/* ---- networks --------------------------------------------------------------------------------------------------- */
/* The graph as far as the program goes. */
static void cut_off(bl_context *ctx, bl_graph *g)
{
    const int softmax = bl_graph_value(g, bl_graph_output(g, 0))->producer;
    const int logits = bl_graph_node(g, softmax)->inputs[0];
    bli_graph_remove_node(g, softmax);
    assert_ok(ctx, bl_graph_set_outputs(g, &logits, 1));
    assert_ok(ctx, bli_graph_clean(g));
    assert_ok(ctx, bl_graph_infer(g));
}

static void make_vectors(bl_context *ctx, proof_net *n)
{
    const bl_program *p = n->program;
    const int64_t in = p->wires[p->inputs[0].wire].count, out = p->wires[p->outputs[0].wire].count;
    bli_vectors *v = &n->vectors;
    *v = (bli_vectors){.samples = PROOF_ROWS};
    assert_ok(ctx, bli_arena_create(ctx, &v->arena));
    int64_t **wires = bli_arena_array(v->arena, (size_t)p->num_wires + 1, sizeof *wires);
    for (int w = 0; w < p->num_wires; w++)
        wires[w] = bli_arena_array(v->arena, (size_t)p->wires[w].count + 1, sizeof **wires);
    v->inputs = bli_arena_array(v->arena, 1, sizeof *v->inputs);
    v->outputs = bli_arena_array(v->arena, 1, sizeof *v->outputs);
    v->inputs[0] = bli_arena_array(v->arena, (size_t)(in * PROOF_ROWS) + 1, sizeof **v->inputs);
    v->outputs[0] = bli_arena_array(v->arena, (size_t)(out * PROOF_ROWS) + 1, sizeof **v->outputs);
    for (int r = 0; r < PROOF_ROWS; r++) {
        int64_t *codes = v->inputs[0] + r * in;
        assert_ok(ctx, bli_program_encode(p, 0, (const float *)n->x.data + r * in, codes));
        assert_ok(ctx, bli_program_interpret(p, (const int64_t *const *)&codes, wires));
        memcpy(v->outputs[0] + r * out, wires[p->outputs[0].wire], (size_t)out * sizeof **wires);
    }
}

bool proof_draw(bl_context *ctx, uint64_t seed, proof_net *out, char *reason, size_t size)
{
    *out = (proof_net){.seed = seed, .graph = random_net(ctx, seed, NULL)};
    proof_mark(out->graph, &out->marks);
    const bl_status s = bl_lower(ctx, out->graph, &out->program);
    if (s != BL_OK && s != BL_UNSUPPORTED && s != BL_LIMIT)
        fail_msg("seed %llu: %s: %s", (unsigned long long)seed, bl_status_name(s), bl_context_message(ctx));
    if (s != BL_OK) {
        snprintf(reason, size, "%s", bl_context_message(ctx));
        return false;
    }
    if (out->program->outputs[0].cut)
        cut_off(ctx, out->graph);
    out->x = random_net_rows(ctx, out->graph, PROOF_ROWS, seed);
    out->size = size_of(out->program);
    make_vectors(ctx, out);
    return true;
}

void proof_free(bl_context *ctx, proof_net *n)
{
    bl_tensor_free(ctx, &n->x);
    if (n->program)
        bli_vectors_free(&n->vectors);
    bl_program_destroy(n->program);
    bl_graph_destroy(n->graph);
    *n = (proof_net){0};
}

/* ---- within the library ------------------------------------------------------------------------------------------ */
void proof_differs(const proof_way *way, const proof_net *n, int64_t sample, int64_t element, double expected,
                   double found)
{
    print_error("%s: seed %llu: sample %lld, element %lld: expected %.17g, found %.17g\n", way->name,
                (unsigned long long)n->seed, (long long)sample, (long long)element, expected, found);
}

/* Real numbers against the interpreter's codes; +0 and -0 are one code. */
static int compare_reals(bl_context *ctx, const proof_way *way, const proof_net *n, const bl_tensor *y)
{
    const bl_program *p = n->program;
    const int64_t size = p->wires[p->outputs[0].wire].count;
    double *expected = calloc((size_t)size + 1, sizeof *expected);
    int different = bl_shape_count(&y->shape) != PROOF_ROWS * size;
    (void)ctx;
    for (int64_t r = 0; r < PROOF_ROWS && !different; r++) {
        bli_program_decode(p, 0, n->vectors.outputs[0] + r * size, expected);
        for (int64_t e = 0; e < size && !different; e++) {
            const double found = bli_real_at(y->type, y->data, (size_t)(r * size + e));
            const double want = y->type == BL_F32 ? (double)(float)expected[e] : expected[e];
            different = found != want;
            if (different)
                proof_differs(way, n, r, e, want, found);
        }
    }
    free(expected);
    return different;
}

static int compare_codes(const proof_way *way, const proof_net *n, const int64_t *y)
{
    const bl_program *p = n->program;
    const int64_t size = p->wires[p->outputs[0].wire].count;
    for (int64_t k = 0; k < PROOF_ROWS * size; k++)
        if (y[k] != n->vectors.outputs[0][k]) {
            proof_differs(way, n, k / size, k % size, (double)n->vectors.outputs[0][k], (double)y[k]);
            return 1;
        }
    return 0;
}

int proof_graph(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    int different = 0;
    (void)fault;
    setenv("BITLATHE_ISA", way->isa, 1);
    for (int k = 0; k < count; k++) {
        bl_runner *r;
        bl_tensor y;
        bl_context_set_threads(ctx, 1 + (int)(nets[k].seed % 3));
        assert_ok(ctx, bl_runner_create(ctx, nets[k].graph, 1 + (int64_t)(nets[k].seed % 40), &r));
        assert_ok(ctx, bl_runner_run(r, &nets[k].x, &y));
        different += compare_reals(ctx, way, &nets[k], &y);
        bl_tensor_free(ctx, &y);
        bl_runner_destroy(r);
    }
    bl_context_set_threads(ctx, 1);
    unsetenv("BITLATHE_ISA");
    return different;
}

/* Through its public face: real numbers in and out. */
int proof_interpreter(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    int different = 0;
    (void)fault;
    for (int k = 0; k < count; k++) {
        bl_tensor y;
        assert_ok(ctx, bl_program_run(ctx, nets[k].program, &nets[k].x, &y));
        different += compare_reals(ctx, way, &nets[k], &y);
        bl_tensor_free(ctx, &y);
    }
    return different;
}

/* Every other network with packed weights. */
int proof_executor(bl_context *ctx, const proof_way *way, proof_net *nets, int count, const proof_fault *fault)
{
    int different = 0;
    (void)fault;
    for (int k = 0; k < count; k++) {
        const bl_program *p = nets[k].program;
        const bl_executor_options o = {.isa = way->isa, .pack = nets[k].seed % 2 == 1 ? BL_PACK_ALWAYS : BL_PACK_FAST};
        bl_executor *e;
        const bl_status s = bl_executor_create(ctx, p, &o, &e);
        if (s == BL_UNSUPPORTED)
            return -1;
        assert_ok(ctx, s);
        int64_t *y = calloc((size_t)(PROOF_ROWS * p->wires[p->outputs[0].wire].count) + 1, sizeof *y);
        const int64_t *const x = nets[k].vectors.inputs[0];
        assert_ok(ctx, bl_executor_run_codes(e, &x, PROOF_ROWS, &y));
        different += compare_codes(way, &nets[k], y);
        free(y);
        bl_executor_destroy(e);
    }
    return different;
}
