/* proof_table.c: what a network is made of, and the table operator x family of formats x way.
 *
 * An operator is in a cell with a family where it works on values that a quantizer of that family made (with no other
 * quantizer between), or makes values that go into one.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "graph/graph.h"
#include "support/proof.h"

enum { TEXT = 96 };

/* The first that a quantizer's text holds is its family. */
static const struct {
    const char *piece, *family;
    bool weights; /* of weights only */
} pieces[] = {
    {"mx<", "mx", true},
    {"float<", "minifloat", false},
    {"po2<", "po2", false},
    {"_po2 ", "po2", false},
    {"affine", "affine", false},
    {"xnor", "binary", false},
    {"binary", "binary", false},
    {"Bipolar", "binary", false},
    {"bits=1 ", "binary", false},
    {"ternary", "ternary", false},
    {"WRAP", "fixed wraps", false},
    {"fixed<", "fixed", false},
    {"Quant ", "qonnx", false},
    {"Trunc", "qonnx", false},
    {"=auto", "found scale", true},
    {"scale=po2", "found scale", true},
    {"learned", "learned scale", false},
    {"lsq", "learned scale", false},
    {"pact", "learned scale", false},
    {"scale=", "given scale", false},
    {"quantized_", "qkeras", false},
    {"dorefa", "dorefa", false},
};

static bool weights_only[PROOF_FAMILIES];
static char quantizer_text[PROOF_QUANTIZERS][TEXT], op_text[PROOF_OPS][TEXT], family_text[PROOF_FAMILIES][TEXT];
static const char *families[PROOF_FAMILIES], *quantizers[PROOF_QUANTIZERS], *ops[PROOF_OPS];

/* The place of a word in a list of words seen so far, whose text is kept. */
static int find(const char **list, char (*text)[TEXT], int room, const char *word)
{
    int i = 0;
    while (i < room - 1 && list[i] && strcmp(list[i], word) != 0)
        i++;
    if (!list[i]) {
        snprintf(text[i], TEXT, "%s", word);
        list[i] = text[i];
    }
    return i;
}

static int family_of(const char *text)
{
    for (size_t i = 0; i < BLI_COUNT(pieces); i++)
        if (strstr(text, pieces[i].piece)) {
            const int f = find(families, family_text, PROOF_FAMILIES, pieces[i].family);
            weights_only[f] = pieces[i].weights;
            return f;
        }
    return find(families, family_text, PROOF_FAMILIES, "other");
}

/* The quantizer as the generator spells it. */
static void spell(const bl_node *n, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "%s", strcmp(n->type, "Quantize") == 0 ? "" : n->type);
    const bool own = at == 0;
    for (int i = 0; own && i < n->num_attrs && at < size; i++) {
        const bl_attr *a = &n->attrs[i];
        if (strcmp(a->name, "place") == 0 || strcmp(a->name, "axis") == 0)
            continue;
        if (a->kind == BL_ATTR_STRING)
            at += (size_t)snprintf(text + at, size - at, "%s=%s ", a->name, a->u.s);
        else if (a->kind == BL_ATTR_INT)
            at += (size_t)snprintf(text + at, size - at, "%s=%lld ", a->name, (long long)a->u.i);
        else if (a->kind == BL_ATTR_FLOAT)
            at += (size_t)snprintf(text + at, size - at, "%s=%g ", a->name, a->u.f);
    }
    if (!own)
        snprintf(text + at, size - at, " ");
}

static bool is_quantizer(const bl_node *n)
{
    return strstr(n->type, "Quant") != NULL || strcmp(n->type, "Trunc") == 0;
}

static bool padded(const bl_node *n)
{
    const bl_attr *pads = bl_node_attr(n, "pads");
    for (size_t i = 0; pads && i < pads->count; i++)
        if (pads->u.ints[i] > 0)
            return true;
    return false;
}

static int op_of(const bl_graph *g, const bl_node *n)
{
    const bool two = n->num_inputs > 1 && n->inputs[1] >= 0 && bl_graph_value(g, n->inputs[1])->shape.rank > 0 &&
                     bl_graph_value(g, n->inputs[1])->shape.dim[0] < 0;
    static const char *const names[][2] = {{"MatMul", "MatMul of two"}, {"Add", "Add of two"}, {"Div", "Div of two"}};
    const char *name = n->type;
    if (strcmp(name, "Softmax") == 0 && !bli_graph_is_output(g, n->outputs[0]))
        name = "Softmax inside";
    for (size_t i = 0; i < BLI_COUNT(names); i++)
        if (two && strcmp(name, names[i][0]) == 0)
            name = names[i][1];
    for (int i = 0; i < n->num_attrs; i++)
        if (strcmp(n->attrs[i].name, "group") == 0 && n->attrs[i].u.i > 1)
            name = strcmp(name, "Conv") == 0 ? "Conv of groups" : "ConvTranspose of groups";
    if (strcmp(name, "Conv") == 0 && padded(n))
        name = "Conv with zeros around";
    return find(ops, op_text, PROOF_OPS, name);
}

/* Marks every operator between this value and the next quantizers, downwards. */
static void down(const bl_graph *g, int value, int family, proof_marks *m)
{
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        const bl_node *n = bl_graph_node(g, i);
        for (int k = 0; k < n->num_inputs; k++)
            if (n->inputs[k] == value && !is_quantizer(n)) {
                m->ops[family] |= (uint64_t)1 << op_of(g, n);
                for (int o = 0; o < n->num_outputs; o++)
                    down(g, n->outputs[o], family, m);
                break;
            }
    }
}

static void up(const bl_graph *g, int value, int family, proof_marks *m)
{
    const int producer = value < 0 ? -1 : bl_graph_value(g, value)->producer;
    const bl_node *n = producer < 0 ? NULL : bl_graph_node(g, producer);
    if (!n || is_quantizer(n))
        return;
    m->ops[family] |= (uint64_t)1 << op_of(g, n);
    for (int k = 0; k < n->num_inputs; k++)
        up(g, n->inputs[k], family, m);
}

void proof_mark(const bl_graph *g, proof_marks *m)
{
    *m = (proof_marks){.ops = {0}};
    for (int i = 0; i < bl_graph_num_nodes(g); i++) {
        char text[TEXT];
        const bl_node *n = bl_graph_node(g, i);
        if (!is_quantizer(n))
            continue;
        spell(n, text, sizeof text);
        const int family = family_of(text), q = find(quantizers, quantizer_text, PROOF_QUANTIZERS, text);
        m->quantizers[q / 64] |= (uint64_t)1 << q % 64;
        down(g, n->outputs[0], family, m);
        up(g, n->inputs[0], family, m);
    }
}

void proof_count(proof_table *t, int way, const proof_marks *m)
{
    t->nets[way]++;
    for (int f = 0; f < PROOF_FAMILIES; f++)
        for (int o = 0; o < PROOF_OPS; o++)
            t->cell[o][f][way] += (int)(m->ops[f] >> o & 1);
    for (int q = 0; q < PROOF_QUANTIZERS; q++)
        t->quantizer[q][way] += (int)(m->quantizers[q / 64] >> q % 64 & 1);
}

/* ---- what should be there --------------------------------------------------------------------------------------- */
/* What stands before a weight's quantizer and the next one. */
static bool behind_weights(const char *op)
{
    static const char *const names[] = {
        "MatMul", "Gemm", "Conv", "Conv with zeros around", "ConvTranspose", "Add", "BatchNormalization", "Relu"};
    for (size_t i = 0; i < BLI_COUNT(names); i++)
        if (strcmp(names[i], op) == 0)
            return true;
    return false;
}

static bool should(int op, int family)
{
    return ops[op] && families[family] && (!weights_only[family] || behind_weights(ops[op]));
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */
/* Ways over which compilers take their time answer for operators alone, unless every strategy is to see all. */
static bool whole(bool every, int way)
{
    return every || !proof_ways[way].strategy;
}

static int op_count(const proof_table *t, int op, int way)
{
    int n = 0;
    for (int f = 0; f < PROOF_FAMILIES; f++)
        n += t->cell[op][f][way];
    return n;
}

/* Their strategies answer together. */
static int backend_op_count(const proof_table *t, int op, int way)
{
    int n = 0;
    for (int w = 0; w < proof_way_count; w++)
        if (strcmp(proof_ways[w].backend, proof_ways[way].backend) == 0)
            n += op_count(t, op, w);
    return n;
}

static int quantizer_count(const proof_table *t, const bool *possible, bool every, int q, int way)
{
    int n = 0;
    for (int w = 0; w < proof_way_count; w++)
        if (w == way ||
            (!whole(every, way) && possible[w] && strcmp(proof_ways[w].backend, proof_ways[way].backend) == 0))
            n += t->quantizer[q][w];
    return n;
}

static bool hole(const proof_table *t, bool every, int op, int family, int way)
{
    return should(op, family) && (whole(every, way) ? t->cell[op][family][way] : backend_op_count(t, op, way)) == 0;
}

static int empty_cells(const proof_table *t, bool every, int op, int family, const bool *possible)
{
    int n = 0;
    for (int w = 0; w < proof_way_count; w++)
        n += possible[w] && hole(t, every, op, family, w);
    return n;
}

int proof_empty(const proof_table *t, const bool *possible, bool every)
{
    int empty = 0;
    for (int o = 0; o < PROOF_OPS && ops[o]; o++)
        for (int f = 0; f < PROOF_FAMILIES && families[f]; f++)
            empty += empty_cells(t, every, o, f, possible);
    for (int q = 0; q < PROOF_QUANTIZERS && quantizers[q]; q++)
        for (int w = 0; w < proof_way_count; w++)
            empty += possible[w] && quantizer_count(t, possible, every, q, w) == 0;
    return empty;
}

/* ---- print --------------------------------------------------------------------------------------------------------
 */
static void print_ways(const proof_table *t, const bool *possible)
{
    print_message("ways, and the networks that went through each:\n");
    for (int w = 0; w < proof_way_count; w++)
        if (possible[w])
            print_message("  %2d %-22s %6d\n", w, proof_ways[w].name, t->nets[w]);
        else
            print_message("  %2d %-22s not gone here\n", w, proof_ways[w].name);
}

static void print_number(int n, bool missing)
{
    print_message(missing ? " %5d!" : " %5d ", n);
}

static void print_head(const char *title, int width, const bool *possible)
{
    print_message("%-*s", width + 2, title);
    for (int w = 0; w < proof_way_count; w++)
        if (possible[w])
            print_message(" %5d ", w);
    print_message("\n");
}

static void print_families(const proof_table *t, const bool *possible, bool every)
{
    print_message("operator x family of formats: of the way with the fewest%s ('!': it should have some)\n%26s",
                  every ? "" : " (those with strategies apart)", "");
    for (int f = 0; f < PROOF_FAMILIES && families[f]; f++)
        print_message("%6.6s ", families[f]);
    print_message("\n");
    for (int o = 0; o < PROOF_OPS && ops[o]; o++) {
        print_message("  %-24s", ops[o]);
        for (int f = 0; f < PROOF_FAMILIES && families[f]; f++) {
            int least = -1;
            for (int w = 0; w < proof_way_count; w++)
                if (possible[w] && whole(every, w) && (least < 0 || t->cell[o][f][w] < least))
                    least = t->cell[o][f][w];
            print_number(least, empty_cells(t, every, o, f, possible) > 0);
        }
        print_message("\n");
    }
}

int proof_print(const proof_table *t, const bool *possible, bool every)
{
    print_ways(t, possible);
    print_head("operator x way", 24, possible);
    for (int o = 0; o < PROOF_OPS && ops[o]; o++) {
        print_message("  %-24s", ops[o]);
        for (int w = 0; w < proof_way_count; w++)
            if (possible[w])
                print_number(op_count(t, o, w), (whole(every, w) ? op_count : backend_op_count)(t, o, w) == 0);
        print_message("\n");
    }
    print_families(t, possible, every);
    print_head("quantizer x way", 56, possible);
    for (int q = 0; q < PROOF_QUANTIZERS && quantizers[q]; q++) {
        print_message("  %-56s", quantizers[q]);
        for (int w = 0; w < proof_way_count; w++)
            if (possible[w])
                print_number(t->quantizer[q][w], quantizer_count(t, possible, every, q, w) == 0);
        print_message("\n");
    }
    return proof_empty(t, possible, every);
}

int proof_fills(const proof_table *t, const bool *possible, bool every, int way, const proof_marks *m)
{
    int n = 0;
    for (int f = 0; f < PROOF_FAMILIES; f++)
        for (int o = 0; o < PROOF_OPS; o++)
            n += (m->ops[f] >> o & 1) && hole(t, every, o, f, way);
    for (int q = 0; q < PROOF_QUANTIZERS; q++)
        n += (m->quantizers[q / 64] >> q % 64 & 1) && quantizer_count(t, possible, every, q, way) == 0;
    return n;
}
