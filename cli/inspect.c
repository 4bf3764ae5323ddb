/* inspect.c: what is in a model: nodes, shapes, formats, parameters with their ranges, zeros and size in bits.
 *
 * A parameter behind a quantizer is shown as the network sees it: its range and zeros are those of the quantized
 * values, its size that of their format.
 */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_option options[] = {
    {"adders", CLI_FLAG, NULL, "adders, cells of carry chains and depth of each layer without multipliers (a search)",
     offsetof(cli_options, adders)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

/* What a parameter holds, in its own values or in those behind its quantizer. */
typedef struct summary {
    const bl_node *quantizer;
    int64_t count, zeros;
    double least, greatest, bits; /* bits: of the whole parameter */
    bool seen;
} summary;

typedef struct job {
    cli *c;
    bl_graph *g;
    summary *of; /* one per value */
    json_t *nodes, *parameters;
    int64_t total_count;
    double total_bits;
} job;

static void summarize(summary *s, const bl_tensor *t)
{
    s->count = bl_shape_count(&t->shape);
    s->least = INFINITY;
    s->greatest = -INFINITY;
    s->zeros = 0;
    s->seen = true;
    for (int64_t i = 0; i < s->count; i++) {
        double v = t->type == BL_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
        s->least = v < s->least ? v : s->least;
        s->greatest = v > s->greatest ? v : s->greatest;
        s->zeros += v == 0;
    }
}

static const char *quantizer_format(const bl_node *n)
{
    return bl_node_string(n, "format", bl_node_string(n, "quantizer", ""));
}

/* The mean of a node's tensor of widths, each of which stands for as many elements; 0 without one. */
static double mean_width(const job *j, const bl_node *n)
{
    const bl_value *w = n->num_inputs > 2 && n->inputs[2] >= 0 ? bl_graph_value(j->g, n->inputs[2]) : NULL;
    if (!w || !w->data || w->type != BL_F32)
        return 0;
    double sum = 0;
    int64_t count = bl_shape_count(&w->shape);
    for (int64_t i = 0; i < count; i++)
        sum += (double)((const float *)w->data)[i];
    return count > 0 ? sum / (double)count : 0;
}

/* Bits of one value of a quantizer's output; 0 when its text does not say. */
static double bits_of(const job *j, const bl_node *n)
{
    bl_format f;
    double widths = mean_width(j, n);
    if (widths > 0)
        return widths;
    const char *text = bl_node_string(n, "format", NULL);
    if (text && bl_format_parse(j->c->ctx, text, &f) == BL_OK) {
        if (f.kind == BL_FORMAT_BINARY)
            return 1;
        if (f.kind == BL_FORMAT_TERNARY)
            return 2;
        return f.kind == BL_FORMAT_MX ? f.bits + 8.0 / f.block : f.bits > 0 ? f.bits : 32;
    }
    const char *name = bl_node_string(n, "quantizer", "");
    if (strstr(name, "binary") || strcmp(name, "xnor") == 0 || strcmp(name, "bernoulli") == 0)
        return 1;
    return strstr(name, "ternary") ? 2 : (double)bl_node_int(n, "bits", 0);
}

static bl_status on_value(void *user, const char *name, const bl_tensor *t)
{
    job *j = user;
    int id = bl_graph_find_value(j->g, name);
    if (id >= 0 && (t->type == BL_F32 || t->type == BL_F64))
        summarize(&j->of[id], t);
    return BL_OK;
}

/* Runs one row of zeros, so that every parameter's quantized values are seen. */
static bl_status look(job *j)
{
    bl_context *ctx = j->c->ctx;
    bl_runner *runner;
    bl_tensor x = {0}, y = {0};
    bl_shape shape = bl_graph_value(j->g, bl_graph_input(j->g, 0))->shape;
    shape.dim[0] = 1;
    bl_status s = bl_runner_create(ctx, j->g, 1, &runner);
    if (s != BL_OK)
        return s;
    s = bl_tensor_create(ctx, BL_F32, &shape, &x);
    bl_runner_trace(runner, on_value, j);
    if (s == BL_OK)
        s = bl_runner_run(runner, &x, &y);
    bl_tensor_free(ctx, &x);
    bl_tensor_free(ctx, &y);
    bl_runner_destroy(runner);
    return s;
}

/* ---- printing -------------------------------------------------------------------------------------------------- */
static void show_node(job *j, const bl_node *n)
{
    const bl_value *v = bl_graph_value(j->g, n->outputs[0]);
    bool quantizer = strcmp(n->type, "Quantize") == 0;
    char shape[128];
    bl_shape_print(&v->shape, shape, sizeof shape);
    json_t *o = json_pack("{s:s, s:s, s:s}", "name", n->name, "type", n->type, "shape", shape);
    if (quantizer)
        json_object_set_new(o, "format", json_string(quantizer_format(n)));
    json_array_append_new(j->nodes, o);
    if (!j->c->o.json)
        printf("  %-28s %-20s %-18s %s\n", n->name, n->type, shape, quantizer ? quantizer_format(n) : "");
}

static const bl_node *quantizer_of(const bl_graph *g, int value)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        if (strcmp(n->type, "Quantize") == 0 && n->num_inputs > 0 && n->inputs[0] == value)
            return n;
    }
    return NULL;
}

static void show_parameter(job *j, int id)
{
    const bl_value *v = bl_graph_value(j->g, id);
    const bl_node *q = quantizer_of(j->g, id);
    summary s = {0};
    if (q)
        s = j->of[q->outputs[0]];
    if (!s.seen)
        summarize(&s, &(bl_tensor){v->type, v->shape, v->data});
    double bits = q ? bits_of(j, q) : 0;
    s.bits = (double)s.count * (bits > 0 ? bits : 32);
    j->total_bits += s.bits;
    j->total_count += s.count;
    char shape[128], size[64];
    bl_shape_print(&v->shape, shape, sizeof shape);
    cli_size_text(s.bits, size, sizeof size);
    double share = s.count ? (double)s.zeros / (double)s.count : 0;
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:f, s:f}", "name", v->name, "shape", shape, "format",
                          q ? quantizer_format(q) : "float32", "count", (json_int_t)s.count, "least",
                          cli_number(s.least), "greatest", cli_number(s.greatest), "zeros", share, "bits", s.bits);
    json_array_append_new(j->parameters, o);
    if (!j->c->o.json)
        printf("  %-28s %-18s %-22s %10.4g .. %-10.4g %5.1f %% zeros  %s\n", v->name, shape,
               q ? quantizer_format(q) : "float32", s.least, s.greatest, 100 * share, size);
}

static void show(job *j)
{
    char size[64];
    bool text = !j->c->o.json;
    if (text)
        printf("%s\nnodes: name, operator, output, format\n", bl_graph_name(j->g));
    for (int i = 0; i < bl_graph_num_nodes(j->g); i++)
        show_node(j, bl_graph_node(j->g, i));
    if (text)
        printf("parameters: name, shape, format, range, zeros, size\n");
    for (int i = 0; i < bl_graph_num_values(j->g); i++) {
        const bl_value *v = bl_graph_value(j->g, i);
        if (v->role == BL_ROLE_PARAMETER && (v->type == BL_F32 || v->type == BL_F64))
            show_parameter(j, i);
    }
    cli_size_text(j->total_bits, size, sizeof size);
    if (text)
        printf("in all: %lld parameters, %s\n", (long long)j->total_count, size);
}

/* ---- the exact program ----------------------------------------------------------------------------------------- */
static void show_wire(job *j, const bl_program *p, int i, json_t *wires, double *multiplications, double *ebops)
{
    bl_wire_info w;
    bl_wire_cost cost;
    char shape[128], exp[24];
    if (!bl_program_wire(p, i, &w) || !bl_program_wire_cost(p, i, &cost))
        return;
    *multiplications += (double)cost.multiplications;
    *ebops += cost.ebops;
    bl_shape_print(&w.shape, shape, sizeof shape);
    json_array_append_new(wires,
                          json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:i, s:I, s:I, s:I, s:f}", "name", w.name, "layer",
                                    w.layer, "op", w.op, "shape", shape, "bits", w.bits, "signed", (int)w.is_signed,
                                    "exp", w.exp, "low", (json_int_t)w.low, "high", (json_int_t)w.high,
                                    "multiplications", (json_int_t)cost.multiplications, "ebops", cost.ebops));
    if (w.note)
        json_object_set_new(json_array_get(wires, json_array_size(wires) - 1), "note", json_string(w.note));
    if (j->c->o.json)
        return;
    snprintf(exp, sizeof exp, "2^%d", w.exp);
    printf("  %-28s %-10s %-14s %2d bits %-8s %-6s %11lld .. %-11lld", w.name, w.op, shape, w.bits,
           w.is_signed ? "signed" : "unsigned", exp, (long long)w.low, (long long)w.high);
    if (w.note)
        printf("  %s", w.note);
    if (cost.multiplications > 0)
        printf("  %lld products, %.0f EBOPs", (long long)cost.multiplications, cost.ebops);
    printf("\n");
}

/* A layer whose sums are too large for a graph is left out, with the reason. */
static void show_adders(job *j, const bl_program *p, int i, bool ternary, json_t *list)
{
    bl_wire_info w;
    bl_wire_adders a;
    if (!bl_program_wire(p, i, &w))
        return;
    if (bl_program_wire_adders(p, i, ternary, &a) != BL_OK) {
        cli_note(j->c, "%s", bl_context_message(j->c->ctx));
        return;
    }
    if (a.places == 0)
        return;
    json_array_append_new(list, json_pack("{s:s, s:b, s:I, s:i, s:i, s:I, s:I}", "name", w.name, "ternary", ternary,
                                          "places", (json_int_t)a.places, "adders", a.adders, "depth", a.depth, "cells",
                                          (json_int_t)a.cells, "luts", (json_int_t)a.luts));
    if (!j->c->o.json)
        printf("  %-28s %-8s %7d adders %9lld cells %9lld LUTs %3d deep, at %lld places\n", w.name,
               ternary ? "of three" : "of two", a.adders, (long long)a.cells, (long long)a.luts, a.depth,
               (long long)a.places);
}

/* Each layer's products as the strategies da and da3 of emit have them. */
static void show_all_adders(job *j, const bl_program *p)
{
    json_t *list = json_array();
    if (!j->c->o.json)
        printf("without multipliers: wire, adders of two or three operands, cells of carry chains, LUTs, depth\n");
    for (int i = 0; i < bl_program_wire_count(p); i++) {
        show_adders(j, p, i, false, list);
        show_adders(j, p, i, true, list);
    }
    cli_add(j->c, "adders", list);
}

/* Wires with their proven widths, or why there is no program. */
static void show_program(job *j)
{
    bl_program *p = NULL;
    double multiplications = 0, ebops = 0;
    json_t *wires = json_array();
    const bool text = !j->c->o.json;
    if (bl_lower(j->c->ctx, j->g, &p) != BL_OK) {
        if (text)
            printf("no exact program: %s\n", bl_context_message(j->c->ctx));
        cli_add(j->c, "not_exact", json_string(bl_context_message(j->c->ctx)));
    } else if (text) {
        printf("exact program: wire, operation, shape, width, value of code 1, range of codes, products\n");
    }
    for (int i = 0; p && i < bl_program_wire_count(p); i++)
        show_wire(j, p, i, wires, &multiplications, &ebops);
    if (p && text)
        printf("in all: %.0f products with weights other than 0, %.0f EBOPs (bits of the weight's magnitude without "
               "trailing zeros, times bits of the other factor)\n",
               multiplications, ebops);
    if (p && j->c->o.adders)
        show_all_adders(j, p);
    cli_say_cut(j->c, p);
    cli_add(j->c, "wires", wires);
    cli_add(j->c, "multiplications", json_real(multiplications));
    cli_add(j->c, "ebops", json_real(ebops));
    bl_program_destroy(p);
}

static bl_status run(cli *c)
{
    job j = {.c = c, .nodes = json_array(), .parameters = json_array()};
    bl_status s = bl_model_read(c->ctx, c->args[0], &j.g);
    if (s == BL_OK) {
        j.of = calloc((size_t)bl_graph_num_values(j.g) + 1, sizeof *j.of);
        s = j.of ? look(&j) : cli_fail(c, BL_NO_MEMORY, "out of memory");
    }
    if (s == BL_OK) {
        show(&j);
        show_program(&j);
    }
    cli_add(c, "nodes", j.nodes);
    cli_add(c, "parameters", j.parameters);
    cli_add(c, "count", json_integer(j.total_count));
    cli_add(c, "bits", json_real(j.total_bits));
    free(j.of);
    bl_graph_destroy(j.g);
    return s;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .synopsis = "inspect MODEL.onnx [--adders]",
    .help = "layers, formats, parameters, ranges, size in bits, exact widths, EBOPs, adders",
    .text =
        "Shows what is in a model: nodes with their shapes and formats; parameters, as the network sees them, with\n"
        "their ranges, share of zeros and size in bits; the wires of the exact program with their proven widths,\n"
        "products and effective bit operations (EBOPs), or why the model does not lower.  --adders searches for the\n"
        "adder graph of each layer, with adders of two and of three operands: a second for a small network, tens of\n"
        "seconds for layers of a million digits.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
