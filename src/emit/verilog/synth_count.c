/* synth_count.c: what a synthesised netlist holds.
 *
 * Yosys writes it as JSON: cells, and the bits that their ports carry.  A cell belongs to the layer whose wire its
 * output is named after (what stands before "__"); a cell that synthesis invented belongs to that of the first cell
 * that reads it.  Depth is the longest way in cells from registers to registers; a LUT6_2 counts as its two outputs
 * apart.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "emit/verilog/synth.h"

enum { MOST_JSON = 1 << 30 };

/* ---- kinds of cells -----------------------------------------------------------------------------------------------
 */
typedef enum kind { LUT, LUT6_2, INV, CARRY, FF, DSP, RAM, OTHER } kind;

static const struct {
    const char *begin;
    kind kind;
} kinds[] = {{"LUT6_2", LUT6_2},  {"LUT", LUT},        {"SB_LUT4", LUT}, {"INV", INV},   {"CARRY", CARRY},
             {"SB_CARRY", CARRY}, {"CCU2C", CARRY},    {"FD", FF},       {"SB_DFF", FF}, {"TRELLIS_FF", FF},
             {"DSP", DSP},        {"SB_MAC16", DSP},   {"MULT", DSP},    {"RAM", RAM},   {"SB_RAM", RAM},
             {"DP16KD", RAM},     {"TRELLIS_DPR", RAM}};

static kind kind_of(const char *type)
{
    for (size_t i = 0; i < BLI_COUNT(kinds); i++)
        if (strncmp(type, kinds[i].begin, strlen(kinds[i].begin)) == 0)
            return kinds[i].kind;
    return OTHER;
}

static void count_cell(bl_synth_cells *c, kind k)
{
    int64_t *const field[] = {[LUT] = &c->lut, [LUT6_2] = &c->lut, [INV] = &c->inv, [CARRY] = &c->carry,
                              [FF] = &c->ff,   [DSP] = &c->dsp,    [RAM] = &c->ram, [OTHER] = &c->other};
    ++*field[k];
    c->lut6_2 += k == LUT6_2;
}

/* ---- the netlist as lists -----------------------------------------------------------------------------------------
 */
typedef struct cell {
    kind kind;
    int layer;        /* -1: not known yet */
    int first_output; /* bit; -1: none */
    json_t *ports, *directions;
} cell;

typedef struct netlist {
    bli_synth *s;
    json_t *module;
    int num_cells, num_bits;
    cell *cells;
    int *driver; /* by bit: cell, or -1 */
    int *reader; /* by bit: the first cell that reads it, or -1 */
    int *layer;  /* by bit: from its name, or -1 */
    int *depth;  /* by bit: 0 not known, else 1 + cells */
} netlist;

static int bit_number(const json_t *bit)
{
    return json_is_integer(bit) ? (int)json_integer_value(bit) : -1;
}

static int greatest_bit(json_t *cells)
{
    const char *name, *port;
    json_t *value, *bits, *bit;
    size_t i;
    int most = 0;
    json_object_foreach(cells, name, value) json_object_foreach(json_object_get(value, "connections"), port, bits)
        json_array_foreach(bits, i, bit) most = bit_number(bit) > most ? bit_number(bit) : most;
    return most;
}

/* The layer of the wire whose identifier stands before "__". */
static int layer_of_name(const bli_synth *s, const char *name)
{
    char wire[128];
    const char *end = strstr(name, "__");
    size_t length = end ? (size_t)(end - name) : strlen(name);
    if (length >= sizeof wire)
        return -1;
    memcpy(wire, name, length);
    wire[length] = '\0';
    const char *layer = json_string_value(json_object_get(json_object_get(s->manifest, "wires"), wire));
    for (int i = 0; layer && i < s->report->num_layers; i++)
        if (strcmp(s->report->layers[i].name, layer) == 0)
            return i;
    return -1;
}

/* Names of the core's own wires first; those within its modules are their readers'. */
static void name_bits(netlist *n, bool within)
{
    const char *name;
    json_t *net, *bit;
    size_t i;
    json_object_foreach(json_object_get(n->module, "netnames"), name, net)
    {
        if (json_integer_value(json_object_get(net, "hide_name")) || (strchr(name, '.') != NULL) != within)
            continue;
        int layer = layer_of_name(n->s, name);
        json_array_foreach(json_object_get(net, "bits"), i, bit)
        {
            int b = bit_number(bit);
            if (layer >= 0 && b >= 0 && b < n->num_bits && n->layer[b] < 0)
                n->layer[b] = layer;
        }
    }
}

static void connect(netlist *n, int index)
{
    cell *c = &n->cells[index];
    const char *port;
    json_t *bits, *bit;
    size_t i;
    json_object_foreach(c->ports, port, bits)
    {
        const char *direction = json_string_value(json_object_get(c->directions, port));
        bool output = direction && strcmp(direction, "output") == 0;
        json_array_foreach(bits, i, bit)
        {
            int b = bit_number(bit);
            if (b < 0 || b >= n->num_bits)
                continue;
            if (output && c->first_output < 0)
                c->first_output = b;
            int *slot = output ? &n->driver[b] : &n->reader[b];
            if (*slot < 0)
                *slot = index;
            if (output && c->layer < 0)
                c->layer = n->layer[b];
        }
    }
}

static bl_status load(netlist *n)
{
    json_t *cells = json_object_get(n->module, "cells"), *value;
    const char *name;
    bli_arena *arena = n->s->arena;
    n->num_bits = greatest_bit(cells) + 1;
    size_t bits = (size_t)n->num_bits, index = 0, count = json_object_size(cells);
    n->cells = bli_arena_array(arena, count + 1, sizeof *n->cells);
    n->driver = bli_arena_array(arena, 4 * bits + 1, sizeof *n->driver);
    if (!n->cells || !n->driver)
        return BL_NO_MEMORY;
    n->reader = n->driver + bits;
    n->layer = n->reader + bits;
    n->depth = n->layer + bits;
    for (size_t i = 0; i < 3 * bits; i++)
        n->driver[i] = -1;
    name_bits(n, false);
    name_bits(n, true);
    json_object_foreach(cells, name, value)
    {
        const char *type = json_string_value(json_object_get(value, "type"));
        n->cells[index] = (cell){kind_of(type ? type : ""), -1, -1, json_object_get(value, "connections"),
                                 json_object_get(value, "port_directions")};
        connect(n, (int)index++);
    }
    n->num_cells = (int)index;
    return BL_OK;
}

/* ---- layers -------------------------------------------------------------------------------------------------------
 */
/* Along readers to a cell whose layer is known; all cells on the way get it. */
static int find_layer(netlist *n, int index)
{
    int at = index, steps = 0;
    while (n->cells[at].layer < 0 && steps++ < n->num_cells) {
        int bit = n->cells[at].first_output, next = bit < 0 ? -1 : n->reader[bit];
        if (next < 0)
            break;
        at = next;
    }
    int layer = n->cells[at].layer;
    for (int i = index; i != at && n->cells[i].layer < 0; i = n->reader[n->cells[i].first_output])
        n->cells[i].layer = layer;
    return layer;
}

/* ---- depth --------------------------------------------------------------------------------------------------------
 */
static bool counts(const netlist *n, int bit, const char *port)
{
    const cell *c = &n->cells[n->driver[bit]];
    if (c->kind == FF || c->kind == RAM)
        return false;
    const json_t *o5 = c->kind == LUT6_2 ? json_array_get(json_object_get(c->ports, "O5"), 0) : NULL;
    return !(o5 && bit_number(o5) == bit && strcmp(port, "I3") == 0); /* a LUT6_2's O5 does not see I3: see cells.c */
}

/* Depth-first with a stack of our own: chains are thousands of cells long.  depth -1: being looked at. */
static int deepest_input(netlist *n, int bit, int *pending)
{
    const cell *c = &n->cells[n->driver[bit]];
    const char *port;
    json_t *bits, *value;
    size_t i;
    int most = 0;
    *pending = -1;
    json_object_foreach(c->ports, port, bits)
    {
        const char *direction = json_string_value(json_object_get(c->directions, port));
        if (!direction || strcmp(direction, "input") != 0 || !counts(n, bit, port))
            continue;
        json_array_foreach(bits, i, value)
        {
            int b = bit_number(value);
            if (b < 0 || b >= n->num_bits || n->driver[b] < 0 || n->depth[b] < 0)
                continue;
            if (n->depth[b] == 0)
                *pending = b;
            else if (n->depth[b] - 1 > most)
                most = n->depth[b] - 1;
        }
    }
    return most;
}

static void find_depth(netlist *n, int start, int *stack)
{
    int size = 0;
    stack[size++] = start;
    while (size > 0) {
        int bit = stack[size - 1], pending;
        kind k = n->cells[n->driver[bit]].kind;
        int most = k == FF || k == RAM ? -1 : deepest_input(n, bit, &pending);
        if (most >= 0 && pending >= 0 && size < n->num_bits) {
            n->depth[bit] = -1;
            stack[size++] = pending;
            n->depth[pending] = 0;
            continue;
        }
        n->depth[bit] = most + 2; /* 1 + cells; a register has none */
        size--;
    }
}

static bl_status longest_way(netlist *n, int *out)
{
    int *stack = bli_alloc_array(n->s->ctx, (size_t)n->num_bits + 1, sizeof *stack);
    if (!stack)
        return BL_NO_MEMORY;
    *out = 0;
    for (int b = 0; b < n->num_bits; b++) {
        if (n->driver[b] < 0)
            continue;
        if (n->depth[b] == 0)
            find_depth(n, b, stack);
        *out = n->depth[b] - 1 > *out ? n->depth[b] - 1 : *out;
    }
    bli_free(n->s->ctx, stack);
    return BL_OK;
}

/* ---- the report ---------------------------------------------------------------------------------------------------
 */
/* Layers in the manifest's order, each once, and one more for what none claims. */
static bl_status make_layers(bli_synth *s)
{
    json_t *wires = json_object_get(s->manifest, "wires"), *value;
    const char *key;
    bl_synth_report *r = s->report;
    r->layers = bli_arena_array(s->arena, json_object_size(wires) + 1, sizeof *r->layers);
    if (!r->layers)
        return BL_NO_MEMORY;
    json_object_foreach(wires, key, value)
    {
        const char *layer = json_string_value(value);
        int i = 0;
        while (i < r->num_layers && strcmp(r->layers[i].name, layer ? layer : "") != 0)
            i++;
        if (i == r->num_layers && !(r->layers[r->num_layers++].name = bli_arena_strdup(s->arena, layer ? layer : "")))
            return BL_NO_MEMORY;
    }
    return BL_OK;
}

static void count_all(netlist *n)
{
    bl_synth_report *r = n->s->report;
    for (int i = 0; i < n->num_cells; i++) {
        int layer = find_layer(n, i);
        count_cell(&r->total, n->cells[i].kind);
        count_cell(&r->layers[layer >= 0 ? layer : r->num_layers].cells, n->cells[i].kind);
    }
    r->layers[r->num_layers++].name = "(around)";
}

static bl_status analyse(bli_synth *s, json_t *root, const char *path, const char *top)
{
    netlist n = {.s = s, .module = json_object_get(json_object_get(root, "modules"), top)};
    if (!json_is_object(json_object_get(n.module, "cells")))
        return bli_fail(s->ctx, BL_BAD_FILE, "%s: no module '%s' with cells", path, top);
    BLI_TRY(make_layers(s));
    BLI_TRY(load(&n));
    count_all(&n);
    return longest_way(&n, &s->report->depth);
}

bl_status bli_synth_count(bli_synth *s, const char *path, const char *top)
{
    char *text;
    size_t size;
    json_error_t error;
    BLI_TRY(bli_file_read(s->ctx, path, MOST_JSON, &text, &size));
    json_t *root = json_loadb(text, size, 0, &error);
    bli_free(s->ctx, text);
    if (!root)
        return bli_fail(s->ctx, BL_BAD_FILE, "%s: line %d: %s", path, error.line, error.text);
    bl_status status = analyse(s, root, path, top);
    json_decref(root);
    return status;
}
