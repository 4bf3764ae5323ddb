/* emit_hls.c: --target hls: a project in the shape that hls4ml's users know, in ap_int and ap_uint of exact widths.
 *
 * firmware/<name>.cpp has one function per group of ops (groups.c) and the top function, which calls them.  Constants
 * are integers, one file each in firmware/weights.
 */
#include <stdio.h>
#include <string.h>

#include "emit/hls/hls.h"

enum { MOST_ELEMENTS = 1 << 26, LARGE_TABLE = 1024 };

/* ---- tables -------------------------------------------------------------------------------------------------------
 */
/* The type of plain C++ that holds the numbers. */
static const char *plain_type(bli_reach r)
{
    int size = bli_type_size((bli_reach){r.low < 0 ? r.low : -1, r.high});
    return size == 1 ? "signed char" : size == 2 ? "short" : size == 4 ? "int" : "long long";
}

static void write_table(bli_hls *h, const char *name, const int64_t *values, int64_t count)
{
    char path[BLI_NAME_LONGEST + 32], type[BLI_TYPE_ROOM];
    bli_text t;
    if (h->failed != BL_OK)
        return;
    bli_text_init(&t, h->job->ctx);
    bli_type_exact(bli_reach_values(values, count), type);
    bli_text_line(&t, "// %s: %lld constants", name, (long long)count);
    if (count > LARGE_TABLE) { /* g++ would make a constructor's call of every ap_int: a minute for 50,000 */
        bli_text_put(&t, "#ifdef __SYNTHESIS__\n#define TABLE_TYPE %s\n#else\n#define TABLE_TYPE %s\n#endif\n", type,
                     plain_type(bli_reach_values(values, count)));
        snprintf(type, sizeof type, "TABLE_TYPE");
    }
    bli_text_open(&t, "static const %s %s[%lld] = {", type, name, (long long)(count > 0 ? count : 1));
    if (count > 0)
        bli_text_numbers(&t, values, count);
    else
        bli_text_line(&t, "0");
    bli_text_close(&t, "};");
    if (count > LARGE_TABLE)
        bli_text_put(&t, "#undef TABLE_TYPE\n");
    snprintf(path, sizeof path, "firmware/weights/%s.h", name);
    h->failed = bli_project_text(h->job->project, path, &t);
    bli_text_free(&t);
    bli_text_line(&h->parameters, "#include \"weights/%s.h\"", name);
}

static void put_table(bli_body *b, const char *name, const int64_t *values, int64_t count)
{
    write_table(b->owner, name, values, count);
}

/* ---- checks
 * ------------------------------------------------------------------------------------------------------------ */
static bl_status check_sizes(const bli_hls *h)
{
    char name[96];
    for (int i = 0; i < h->p->num_wires; i++) {
        const bli_wire *w = &h->p->wires[i];
        bli_text_safe(w->name, name, sizeof name);
        if (w->count == 0)
            return bli_fail(h->job->ctx, BL_UNSUPPORTED, "wire '%s' has no elements: an HLS array has some", name);
        if (w->count > MOST_ELEMENTS)
            return bli_fail(h->job->ctx, BL_LIMIT, "wire '%s' has %lld elements, HLS arrays have at most %d", name,
                            (long long)w->count, MOST_ELEMENTS);
    }
    return BL_OK;
}

/* Words that emitted functions use inside, so that no layer is called like one. */
static bl_status take_words(bli_names *names)
{
    static const char *const words[] = {"taps",
                                        "row",
                                        "turn",
                                        "window",
                                        "line",
                                        "pixel",
                                        "inside",
                                        "beat",
                                        "from",
                                        "to",
                                        "at",
                                        "sum",
                                        "best",
                                        "reuse",
                                        "multipliers",
                                        "k_count",
                                        "h",
                                        "w",
                                        "kh",
                                        "kw",
                                        "oh",
                                        "ow",
                                        "x_in",
                                        "y_out",
                                        "wrap",
                                        "wrap_plain",
                                        "wrap_sm",
                                        "bl_beat",
                                        "bl_quotient",
                                        "copy_stream",
                                        "table_stream",
                                        "put_beat",
                                        "round_trn",
                                        "round_trn_zero",
                                        "round_rnd",
                                        "round_rnd_zero",
                                        "round_rnd_inf",
                                        "round_rnd_min_inf",
                                        "round_rnd_conv",
                                        "run",
                                        "check",
                                        "next_line",
                                        "next_code",
                                        "differences",
                                        "sample",
                                        "in",
                                        "out"};
    const char *given;
    for (size_t i = 0; i < BLI_COUNT(words); i++)
        BLI_TRY(bli_names_take(names, words[i], &given));
    return BL_OK;
}

/* ---- files
 * ----------------------------------------------------------------------------------------------------------------- */
static void put_ports(bli_hls *h, bli_text *t)
{
    for (int i = 0; i < h->p->num_inputs + h->p->num_outputs; i++) {
        bool in = i < h->p->num_inputs;
        int at = in ? i : i - h->p->num_inputs, wire = in ? h->p->inputs[at].wire : h->p->outputs[at].wire;
        const bli_node *n = &h->nodes[h->groups.root[wire]];
        const char *name = in ? h->x[at] : h->y[at];
        if (h->stream)
            bli_text_put(t, "%shls::stream<%s> &%s", i ? ", " : "", n->type, name);
        else
            bli_text_put(t, "%s%s %s[%lld]", i ? ", " : "", n->type, name, (long long)bli_hls_root(h, wire)->count);
    }
}

static void put_top(bli_hls *h)
{
    bli_text_put(&h->code, "void %s(", h->job->name);
    put_ports(h, &h->code);
    bli_text_put(&h->code, ")\n");
    bli_text_open(&h->code, "{");
    (h->stream ? bli_hls_stream_top : bli_hls_parallel_top)(h);
    bli_text_close(&h->code, "}");
}

static void guard_of(const char *name, char guard[BLI_NAME_LONGEST + 8])
{
    snprintf(guard, BLI_NAME_LONGEST + 8, "%s_H_", name);
    for (char *c = guard; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
}

/* A header of the firmware: guard, what it includes, its text. */
static bl_status write_header(bli_hls *h, const char *name, const char *about, const char *includes,
                              const bli_text *body)
{
    char path[BLI_NAME_LONGEST + 32], guard[BLI_NAME_LONGEST + 8];
    bli_text t;
    guard_of(name, guard);
    bli_text_init(&t, h->job->ctx);
    bli_text_put(&t, "// %s.h: %s; written by bitlathe.\n#ifndef %s\n#define %s\n\n%s\n%s\n#endif\n", name, about,
                 guard, guard, includes, body->buf.data);
    snprintf(path, sizeof path, "firmware/%s.h", name);
    bl_status s = bli_text_status(body);
    if (s == BL_OK)
        s = bli_project_text(h->job->project, path, &t);
    bli_text_free(&t);
    return s;
}

static bl_status write_prototype(bli_hls *h)
{
    bli_text t;
    bli_text_init(&t, h->job->ctx);
    bli_text_put(&t, "void %s(", h->job->name);
    put_ports(h, &t);
    bli_text_put(&t, ");\n");
    bl_status s = write_header(h, h->job->name, "the top function", "#include \"defines.h\"\n", &t);
    bli_text_free(&t);
    return s;
}

static bl_status write_source(bli_hls *h)
{
    char path[BLI_NAME_LONGEST + 32], safe[96];
    bli_text t;
    bli_text_init(&t, h->job->ctx);
    bli_text_put(&t, "// %s.cpp: network %s as integers, written by bitlathe; change the model, not this file.\n",
                 h->job->name, bli_text_safe(h->p->name, safe, sizeof safe));
    bli_text_put(&t, "#include \"%s.h\"\n\n#include \"parameters.h\"\n\n", h->job->name);
    if (h->code.status != BL_OK)
        t.status = h->code.status;
    bli_text_put(&t, "%s", h->code.buf.data);
    snprintf(path, sizeof path, "firmware/%s.cpp", h->job->name);
    bl_status s = bli_project_text(h->job->project, path, &t);
    bli_text_free(&t);
    return s;
}

static bl_status write_firmware(bli_hls *h)
{
    BLI_TRY(write_source(h));
    BLI_TRY(write_prototype(h));
    BLI_TRY(write_header(h, "defines", "types of arrays and streams",
                         h->stream ? "#include \"bitlathe_ops.h\"\n#include \"bitlathe_stream.h\"\n"
                                   : "#include \"bitlathe_ops.h\"\n",
                         &h->defines));
    BLI_TRY(write_header(h, "parameters", "constants", "#include \"ap_int.h\"\n", &h->parameters));
    if (h->stream)
        BLI_TRY(bli_project_file(h->job->project, "firmware/bitlathe_stream.h", bli_hls_stream_header,
                                 strlen(bli_hls_stream_header)));
    return bli_project_file(h->job->project, "firmware/bitlathe_ops.h", bli_hls_ops_header, strlen(bli_hls_ops_header));
}

static bl_status write_all(bli_hls *h)
{
    BLI_TRY(check_sizes(h));
    BLI_TRY(take_words(h->job->names));
    h->body = (bli_body){.ctx = h->job->ctx,
                         .arena = h->arena,
                         .p = h->p,
                         .names = h->job->names,
                         .hls = true,
                         .code = &h->code,
                         .data = &h->weights,
                         .table = put_table,
                         .owner = h};
    BLI_TRY(bli_groups_make(h->arena, h->p, h->job->names, &h->groups));
    BLI_TRY(bli_hls_nodes(h));
    for (int i = 0; i < h->groups.count; i++)
        (h->stream ? bli_hls_stream_group : bli_hls_parallel_group)(h, &h->groups.at[i]);
    put_top(h);
    BLI_TRY(h->failed);
    BLI_TRY(bli_text_status(&h->weights));
    BLI_TRY(write_firmware(h));
    BLI_TRY(bli_hls_bench(h));
    return bli_hls_scripts(h);
}

static bl_status emit(const bli_emit_job *job)
{
    const bl_emit_options *o = job->options;
    bli_hls h = {.job = job, .p = job->program, .stream = strcmp(o->io, "stream") == 0};
    h.strategy = strcmp(o->strategy, "resource") == 0 ? BLI_RESOURCE
                 : strcmp(o->strategy, "da") == 0     ? BLI_DA
                                                      : BLI_LATENCY;
    bli_text *const texts[] = {&h.code, &h.weights, &h.parameters, &h.defines};
    BLI_TRY(bli_arena_create(job->ctx, &h.arena));
    for (size_t i = 0; i < BLI_COUNT(texts); i++)
        bli_text_init(texts[i], job->ctx);
    bl_status s = write_all(&h);
    for (size_t i = 0; i < BLI_COUNT(texts); i++)
        bli_text_free(texts[i]);
    bli_arena_destroy(h.arena);
    return s;
}

const bli_emit_backend bli_emit_hls = {.name = "hls",
                                       .help = "HLS C++ for Vivado HLS and Vitis HLS; compiles with g++ too",
                                       .strategies = true,
                                       .io = true,
                                       .clock = true,
                                       .emit = emit};
