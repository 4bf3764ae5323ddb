/* emit_c.c: --target c: one .c and one .h that compute the program's codes on any processor with a C99 compiler.
 *
 * Each group of ops is a static function over arrays of the narrowest integer types; between functions stand parts of
 * a scratch structure that the caller may provide.  Nothing is allocated and nothing is included but stdint.h (string.h
 * where floats are taken apart).
 */
#include <stdio.h>
#include <string.h>

#include "emit/c/c.h"

enum { MOST_ELEMENTS = 1 << 30 };

typedef struct unit {
    const bli_emit_job *job;
    const bli_program *p;
    bli_arena *arena;
    bli_groups groups;
    bli_storage storage;
    bli_body body;
    bli_real real;
    bli_text data, code, reals, main, header;
    bool can_encode;
    const char **inputs, **outputs; /* parameters */
    const char *run, *run_with, *run_float, *scratch;
    char guard[BLI_NAME_LONGEST + 4];
} unit;

/* ---- types and names ----------------------------------------------------------------------------------------------
 */
static const char *wire_type(const unit *u, int wire)
{
    return bli_type_stored(bli_reach_wire(&u->p->wires[u->groups.root[wire]]));
}

static bl_status take(unit *u, const char *after, const char **out)
{
    char wanted[BLI_NAME_LONGEST + 32];
    snprintf(wanted, sizeof wanted, "%s_%s", u->job->name, after);
    return bli_names_take(u->job->names, wanted, out);
}

static bl_status name_ports(unit *u, const char *letter, int count, const char ***out)
{
    *out = bli_arena_array(u->arena, (size_t)count + 1, sizeof **out);
    if (*out == NULL)
        return BL_NO_MEMORY;
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, count == 1 ? "%s" : "%s%d", letter, i);
        (*out)[i] = bli_arena_strdup(u->arena, name);
        if ((*out)[i] == NULL)
            return BL_NO_MEMORY;
    }
    return BL_OK;
}

static bl_status make_names(unit *u)
{
    const char *given;
    char port[32];
    BLI_TRY(bli_c_take_helpers(u->job->names));
    for (int i = 0; i < u->p->num_inputs + u->p->num_outputs; i++) {
        bool in = i < u->p->num_inputs;
        snprintf(port, sizeof port, in ? "cx%d" : "cy%d", in ? i : i - u->p->num_inputs);
        BLI_TRY(bli_names_take(u->job->names, port, &given));
        BLI_TRY(bli_names_take(u->job->names, port + 1, &given));
    }
    BLI_TRY(name_ports(u, "x", u->p->num_inputs, &u->inputs));
    BLI_TRY(name_ports(u, "y", u->p->num_outputs, &u->outputs));
    BLI_TRY(take(u, "run", &u->run));
    BLI_TRY(take(u, "run_with", &u->run_with));
    BLI_TRY(take(u, "run_float", &u->run_float));
    BLI_TRY(take(u, "scratch", &u->scratch));
    snprintf(u->guard, sizeof u->guard, "%s_h", u->job->name);
    for (char *c = u->guard; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    return BL_OK;
}

/* ---- tables and functions -------------------------------------------------------------------------------------------
 */
static void put_table(bli_body *b, const char *name, const int64_t *values, int64_t count)
{
    bli_reach r = bli_reach_values(values, count);
    if (r.high > UINT16_MAX && r.high <= UINT32_MAX) /* no uint32_t: it would not compare with an int32_t */
        r = bli_reach_join(r, (bli_reach){-1, r.high});
    bli_text_open(b->data, "static const %s %s[%lld] = {", bli_type_stored(r), name,
                  (long long)(count > 0 ? count : 1));
    if (count > 0)
        bli_text_numbers(b->data, values, count);
    else
        bli_text_line(b->data, "0");
    bli_text_close(b->data, "};");
}

static void put_signature(unit *u, const bli_group *g)
{
    bli_text *t = &u->code;
    char names[BLI_PRIM_MAX_IN][32];
    bli_text_put(t, "static void %s(", g->name);
    for (int k = 0; k < g->num_in; k++) {
        snprintf(names[k], sizeof names[k], g->num_in == 1 ? "x" : "x%d", k);
        bli_text_put(t, "const %s *%s, ", wire_type(u, g->in[k]), names[k]);
        snprintf(u->body.in[k], sizeof u->body.in[k], "%s", names[k]);
    }
    bli_text_put(t, "%s *y)\n", bli_type_stored(bli_reach_wire(g->out)));
}

/* An op on no elements reads nothing. */
static void put_unused(unit *u, const bli_group *g)
{
    for (int k = 0; k < g->num_in; k++)
        if (g->out->count == 0 || u->p->wires[g->in[k]].count == 0)
            bli_text_line(&u->code, "(void)%s;", u->body.in[k]);
}

static void put_group(unit *u, const bli_group *g)
{
    char text[512];
    bli_group_describe(u->p, g, text, sizeof text);
    bli_text_line(&u->code, "/* %s */", text);
    u->body.group = g;
    u->body.stores = "y";
    put_signature(u, g);
    bli_text_open(&u->code, "{");
    put_unused(u, g);
    bli_body_group(&u->body);
    bli_text_close(&u->code, "}");
    bli_text_blank(&u->code);
}

static void put_constants(unit *u)
{
    for (int i = 0; i < u->p->num_ops; i++) {
        const bli_prim_op *op = &u->p->ops[i];
        if (op->kind != BLI_PRIM_CONST)
            continue;
        const bli_wire *w = &u->p->wires[op->out];
        if (u->data.status == BL_OK)
            u->data.status = bli_names_take(u->job->names, w->name, &u->storage.slots[op->out].name);
        bli_text_open(&u->data, "static const %s %s[%lld] = {", wire_type(u, op->out),
                      u->data.status == BL_OK ? u->storage.slots[op->out].name : "",
                      (long long)(w->count > 0 ? w->count : 1));
        if (w->count > 0)
            bli_text_numbers(&u->data, op->weight, w->count);
        else
            bli_text_line(&u->data, "0");
        bli_text_close(&u->data, "};");
    }
}

/* ---- run
 * -------------------------------------------------------------------------------------------------------------- */
static const char *const scratch_arrays[BLI_SIZES] = {"b1", "b2", "b4", "b8"};

/* Where wire's elements are, as an expression of its own pointer type. */
static void place(const unit *u, int wire, bool to_write, char buf[160])
{
    const bli_slot *s = &u->storage.slots[u->groups.root[wire]];
    bli_reach r = bli_reach_wire(&u->p->wires[u->groups.root[wire]]);
    char cast[40] = "";
    if (r.low >= 0 && bli_type_size(r) < 8)
        snprintf(cast, sizeof cast, "(%s%s *)", to_write ? "" : "const ", bli_type_stored(r));
    if (s->place == BLI_PLACE_INPUT)
        snprintf(buf, 160, "%s", u->inputs[s->at]);
    else if (s->place == BLI_PLACE_OUTPUT)
        snprintf(buf, 160, "%s", u->outputs[s->at]);
    else if (s->place == BLI_PLACE_TABLE)
        snprintf(buf, 160, "%s", s->name);
    else
        snprintf(buf, 160, "%s(s->%s + %lld)", cast, scratch_arrays[bli_size_class(r)], (long long)s->at);
}

static void put_calls(unit *u)
{
    char at[160];
    for (int i = 0; i < u->groups.count; i++) {
        const bli_group *g = &u->groups.at[i];
        bli_text_put(&u->main, "    %s(", g->name);
        for (int k = 0; k < g->num_in; k++) {
            place(u, g->in[k], false, at);
            bli_text_put(&u->main, "%s, ", at);
        }
        place(u, u->p->ops[g->out->producer].out, true, at);
        bli_text_put(&u->main, "%s);\n", at);
    }
}

static void put_copies(unit *u)
{
    char from[160];
    for (int i = 0; i < u->p->num_outputs; i++) {
        int wire = u->p->outputs[i].wire;
        if (!u->storage.copied[i])
            continue;
        place(u, wire, false, from);
        bli_text_open(&u->main, "for (int32_t i = 0; i < %lld; i++)", (long long)u->p->wires[wire].count);
        bli_text_line(&u->main, "%s[i] = (%s)[i];", u->outputs[i], from);
        u->main.depth--;
    }
}

/* "const uint8_t *x, int16_t *y" */
static void put_parameters(const unit *u, bli_text *t, bool real)
{
    for (int i = 0; i < u->p->num_inputs; i++)
        bli_text_put(t, "%sconst %s *%s", i ? ", " : "", real ? "float" : wire_type(u, u->p->inputs[i].wire),
                     u->inputs[i]);
    for (int i = 0; i < u->p->num_outputs; i++)
        bli_text_put(t, ", %s *%s", real ? "double" : wire_type(u, u->p->outputs[i].wire), u->outputs[i]);
}

static void put_arguments(const unit *u, bli_text *t)
{
    for (int i = 0; i < u->p->num_inputs; i++)
        bli_text_put(t, "%s%s", i ? ", " : "", u->inputs[i]);
    for (int i = 0; i < u->p->num_outputs; i++)
        bli_text_put(t, ", %s", u->outputs[i]);
}

static void put_run(unit *u)
{
    bli_text *t = &u->main;
    bli_text_put(t, "void %s(%s *s, ", u->run_with, u->scratch);
    put_parameters(u, t, false);
    bli_text_put(t, ")\n{\n");
    t->depth = 1;
    bli_text_line(t, "(void)s;");
    for (int i = 0; i < u->p->num_inputs; i++)
        if (u->p->wires[u->p->inputs[i].wire].uses == 0)
            bli_text_line(t, "(void)%s;", u->inputs[i]);
    put_calls(u);
    put_copies(u);
    bli_text_put(t, "}\n\nvoid %s(", u->run);
    put_parameters(u, t, false);
    bli_text_put(t, ")\n{\n    static %s s;\n    %s(&s, ", u->scratch, u->run_with);
    put_arguments(u, t);
    bli_text_put(t, ");\n}\n");
    t->depth = 0;
}

/* ---- real numbers
 * --------------------------------------------------------------------------------------------------------- */
static bl_status put_real_ends(unit *u)
{
    char name[96];
    u->real = (bli_real){.code = &u->reals, .arena = u->arena, .p = u->p};
    u->can_encode = true;
    for (int i = 0; i < u->p->num_inputs && u->can_encode; i++) {
        snprintf(name, sizeof name, "%s_encode%d", u->job->name, i);
        BLI_TRY(bli_c_encode(&u->real, i, name, wire_type(u, u->p->inputs[i].wire), &u->can_encode));
    }
    for (int i = 0; i < u->p->num_outputs && u->can_encode; i++) {
        snprintf(name, sizeof name, "%s_decode%d", u->job->name, i);
        bli_c_decode(&u->real, i, name, wire_type(u, u->p->outputs[i].wire));
    }
    return bli_text_status(&u->reals);
}

static int64_t port_count(const unit *u, int wire)
{
    int64_t count = u->p->wires[wire].count;
    return count > 0 ? count : 1;
}

static void put_run_float(unit *u)
{
    bli_text *t = &u->reals;
    bli_text_put(t, "void %s(", u->run_float);
    put_parameters(u, t, true);
    bli_text_put(t, ")\n{\n");
    t->depth = 1;
    for (int i = 0; i < u->p->num_inputs; i++)
        bli_text_line(t, "static %s c%s[%lld];", wire_type(u, u->p->inputs[i].wire), u->inputs[i],
                      (long long)port_count(u, u->p->inputs[i].wire));
    for (int i = 0; i < u->p->num_outputs; i++)
        bli_text_line(t, "static %s c%s[%lld];", wire_type(u, u->p->outputs[i].wire), u->outputs[i],
                      (long long)port_count(u, u->p->outputs[i].wire));
    for (int i = 0; i < u->p->num_inputs; i++) {
        bli_text_open(t, "for (int32_t i = 0; i < %lld; i++)", (long long)u->p->wires[u->p->inputs[i].wire].count);
        bli_text_line(t, "c%s[i] = (%s)%s_encode%d(%s[i]);", u->inputs[i], wire_type(u, u->p->inputs[i].wire),
                      u->job->name, i, u->inputs[i]);
        t->depth--;
    }
    bli_text_put(t, "    %s(", u->run);
    for (int i = 0; i < u->p->num_inputs; i++)
        bli_text_put(t, "%sc%s", i ? ", " : "", u->inputs[i]);
    for (int i = 0; i < u->p->num_outputs; i++)
        bli_text_put(t, ", c%s", u->outputs[i]);
    bli_text_put(t, ");\n");
    for (int i = 0; i < u->p->num_outputs; i++) {
        const bli_output *o = &u->p->outputs[i];
        bli_text_open(t, "for (int32_t i = 0; i < %lld; i++)", (long long)u->p->wires[o->wire].count);
        bli_text_line(t, "%s[i] = %s_decode%d(c%s[i], i %% %lld);", u->outputs[i], u->job->name, i, u->outputs[i],
                      (long long)(o->scale != NULL ? o->channels : 1));
        t->depth--;
    }
    t->depth = 0;
    bli_text_line(t, "}");
}

/* ---- files
 * ------------------------------------------------------------------------------------------------------------------ */
static void describe_port(unit *u, bool in, int i)
{
    const bli_wire *w = &u->p->wires[in ? u->p->inputs[i].wire : u->p->outputs[i].wire];
    const char *name = in ? u->p->inputs[i].name : u->p->outputs[i].name;
    char shape[128], safe[96];
    bli_reach r = bli_reach_wire(w);
    bl_shape_print(&w->shape, shape, sizeof shape);
    bli_text_line(&u->header, " * %s: %s %s, %s, codes %lld .. %lld", in ? u->inputs[i] : u->outputs[i],
                  in ? "input" : "output", bli_text_safe(name != NULL ? name : "", safe, sizeof safe), shape,
                  (long long)r.low, (long long)r.high);
    if (in) {
        bl_format_print(&u->p->inputs[i].format, safe, sizeof safe);
        bli_text_line(&u->header, " *     of format %s", safe);
    } else if (u->p->outputs[i].scale == NULL) {
        bli_text_line(&u->header, " *     value = code * 2^%d", w->exp);
    }
    if (!in && u->p->outputs[i].cut != NULL)
        bli_text_line(&u->header, " *     left out behind it: %s",
                      bli_text_safe(u->p->outputs[i].cut, safe, sizeof safe));
}

static void put_scratch(unit *u)
{
    static const char *const types[BLI_SIZES] = {"int8_t", "int16_t", "int32_t", "int64_t"};
    int64_t bytes = 0;
    bool any = false;
    for (int i = 0; i < BLI_SIZES; i++)
        bytes += u->storage.room[i] << i;
    bli_text_line(&u->header, "/* What stands between layers: %lld bytes.  Its content means nothing between calls. */",
                  (long long)bytes);
    bli_text_open(&u->header, "typedef struct %s {", u->scratch);
    for (int i = BLI_SIZES - 1; i >= 0; i--) {
        if (u->storage.room[i] > 0)
            bli_text_line(&u->header, "%s %s[%lld];", types[i], scratch_arrays[i], (long long)u->storage.room[i]);
        any = any || u->storage.room[i] > 0;
    }
    if (!any)
        bli_text_line(&u->header, "int8_t none;");
    bli_text_close(&u->header, "} %s;", u->scratch);
}

static void put_prototypes(unit *u)
{
    bli_text *t = &u->header;
    bli_text_blank(t);
    bli_text_line(t,
                  "/* One sample: codes in, codes out.  Not for two threads at once: it has a scratch of its own. */");
    bli_text_put(t, "void %s(", u->run);
    put_parameters(u, t, false);
    bli_text_put(t, ");\n/* The same with the caller's scratch, for any number of threads. */\nvoid %s(%s *s, ",
                 u->run_with, u->scratch);
    put_parameters(u, t, false);
    bli_text_put(t, ");\n");
    if (u->can_encode) {
        bli_text_line(t,
                      "/* Real numbers in and out: input quantizer, codes, output scale; not for two threads at once.");
        bli_text_line(t, " * Needs IEEE floats. */");
        bli_text_put(t, "void %s(", u->run_float);
        put_parameters(u, t, true);
        bli_text_put(t, ");\n");
    }
}

static void put_header(unit *u)
{
    bli_text *t = &u->header;
    char safe[96];
    bli_text_line(t, "/* %s.h: network %s as integers, written by bitlathe; change the model, not this file.",
                  u->job->name, bli_text_safe(u->p->name, safe, sizeof safe));
    bli_text_line(t, " *");
    for (int i = 0; i < u->p->num_inputs; i++)
        describe_port(u, true, i);
    for (int i = 0; i < u->p->num_outputs; i++)
        describe_port(u, false, i);
    bli_text_line(t, " */");
    bli_text_line(t, "#ifndef %s", u->guard);
    bli_text_line(t, "#define %s", u->guard);
    bli_text_put(t, "\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    put_scratch(u);
    put_prototypes(u);
    bli_text_put(t, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

static bl_status write_source(unit *u)
{
    bli_text t;
    char path[BLI_NAME_LONGEST + 8], safe[96];
    const bli_text *const parts[] = {&u->data, &u->code, &u->main, &u->reals};
    bli_text_init(&t, u->job->ctx);
    bli_text_line(&t, "/* %s.c: network %s as integers, written by bitlathe; change the model, not this file. */",
                  u->job->name, bli_text_safe(u->p->name, safe, sizeof safe));
    bli_text_line(&t, "#include \"%s.h\"", u->job->name);
    bli_text_blank(&t);
    if (u->real.orders)
        bli_text_put(&t, "#include <string.h>\n\n");
    bli_c_helpers(&t, u->body.helpers);
    if (u->can_encode)
        bli_c_real_helpers(&t, &u->real);
    for (size_t i = 0; i < BLI_COUNT(parts); i++) {
        if (parts[i]->status != BL_OK)
            t.status = parts[i]->status;
        bool wanted = parts[i] != &u->reals || u->can_encode;
        if (wanted && parts[i]->buf.size > 0)
            bli_text_put(&t, "%s%s", parts[i]->buf.data, i + 1 < BLI_COUNT(parts) ? "\n" : "");
    }
    snprintf(path, sizeof path, "%s.c", u->job->name);
    bl_status s = bli_project_text(u->job->project, path, &t);
    bli_text_free(&t);
    return s;
}

static bl_status check_sizes(const unit *u)
{
    for (int i = 0; i < u->p->num_wires; i++)
        if (u->p->wires[i].count > MOST_ELEMENTS)
            return bli_fail(u->job->ctx, BL_LIMIT, "wire '%s' has %lld elements, C sources take at most %d",
                            u->p->wires[i].name, (long long)u->p->wires[i].count, MOST_ELEMENTS);
    return BL_OK;
}

static bl_status write_all(unit *u)
{
    char path[BLI_NAME_LONGEST + 8];
    BLI_TRY(check_sizes(u));
    BLI_TRY(make_names(u));
    BLI_TRY(bli_groups_make(u->arena, u->p, u->job->names, &u->groups));
    BLI_TRY(bli_storage_make(u->arena, u->p, &u->groups, &u->storage));
    u->body = (bli_body){.ctx = u->job->ctx,
                         .arena = u->arena,
                         .p = u->p,
                         .names = u->job->names,
                         .code = &u->code,
                         .data = &u->data,
                         .table = put_table,
                         .packs = u->job->options->pack};
    put_constants(u);
    for (int i = 0; i < u->groups.count; i++)
        put_group(u, &u->groups.at[i]);
    put_run(u);
    BLI_TRY(put_real_ends(u));
    if (u->can_encode)
        put_run_float(u);
    put_header(u);
    BLI_TRY(write_source(u));
    snprintf(path, sizeof path, "%s.h", u->job->name);
    return bli_project_text(u->job->project, path, &u->header);
}

static bl_status emit(const bli_emit_job *job)
{
    unit u = {.job = job, .p = job->program};
    bli_text *const texts[] = {&u.data, &u.code, &u.reals, &u.main, &u.header};
    BLI_TRY(bli_arena_create(job->ctx, &u.arena));
    for (size_t i = 0; i < BLI_COUNT(texts); i++)
        bli_text_init(texts[i], job->ctx);
    bl_status s = write_all(&u);
    for (size_t i = 0; i < BLI_COUNT(texts); i++)
        bli_text_free(texts[i]);
    bli_arena_destroy(u.arena);
    return s;
}

const bli_emit_backend bli_emit_c = {
    .name = "c", .help = "one .c and one .h: C99, no dependency, no allocation; for any processor", .emit = emit};
