/* outside.c: the paths that leave the library: emitted C and HLS C++ under a compiler. */
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "emit/body.h"
#include "verify/impl.h"

static bl_status emit(bli_verify *v, const char *target, const char *strategy, const char *folder)
{
    bl_emit_options o = {.target = target, .name = "net", .strategy = strategy};
    return bli_emit_with(v->ctx, v->program, folder, &o, &v->vectors);
}

/* ---- C ------------------------------------------------------------------------------------------------------------
 */
/* codes of all samples, one after the other, as a C program reads them with scanf */
static bl_status write_codes(bli_verify *v, const char *folder, const char *name, bool inputs)
{
    const bli_program *p = v->program;
    char path[BLI_VERIFY_ROOM];
    bli_text t;
    bli_text_init(&t, v->ctx);
    for (int s = 0; s < v->vectors.samples; s++)
        for (int i = 0; i < (inputs ? p->num_inputs : p->num_outputs); i++) {
            int64_t count = p->wires[inputs ? p->inputs[i].wire : p->outputs[i].wire].count;
            for (int64_t e = 0; e < count; e++)
                bli_text_put(&t, "%" PRId64 "\n", (inputs ? v->vectors.inputs : v->vectors.outputs)[i][s * count + e]);
        }
    snprintf(path, sizeof path, "%.3000s/%s", folder, name);
    bl_status s = bli_text_status(&t);
    if (s == BL_OK)
        s = bli_file_write(v->ctx, path, t.buf.data, t.buf.size);
    bli_text_free(&t);
    return s;
}

static const char *type_of(const bli_wire *w)
{
    return bli_type_stored(bli_reach_wire(w));
}

static void put_check(const bli_program *p, int samples, bli_text *t)
{
    bli_text_put(t, "#include <stdio.h>\n#include \"net.h\"\n");
    for (int i = 0; i < p->num_inputs; i++)
        bli_text_put(t, "static %s x%d[%" PRId64 "];\n", type_of(&p->wires[p->inputs[i].wire]), i,
                     p->wires[p->inputs[i].wire].count + 1);
    for (int i = 0; i < p->num_outputs; i++)
        bli_text_put(t, "static %s y%d[%" PRId64 "];\n", type_of(&p->wires[p->outputs[i].wire]), i,
                     p->wires[p->outputs[i].wire].count + 1);
    bli_text_put(t,
                 "int main(void)\n{\n    FILE *in = fopen(\"x.txt\", \"r\"), *out = fopen(\"y.txt\", \"r\");\n"
                 "    long long c;\n    if (!in || !out)\n        return 2;\n"
                 "    for (int s = 0; s < %d; s++) {\n",
                 samples);
    for (int i = 0; i < p->num_inputs; i++)
        bli_text_put(t,
                     "        for (long i = 0; i < %" PRId64
                     "; i++) {\n            if (fscanf(in, \"%%lld\", &c) != 1)\n"
                     "                return 2;\n            x%d[i] = (%s)c;\n        }\n",
                     p->wires[p->inputs[i].wire].count, i, type_of(&p->wires[p->inputs[i].wire]));
    bli_text_put(t, "        net_run(");
    for (int i = 0; i < p->num_inputs; i++)
        bli_text_put(t, i ? ", x%d" : "x%d", i);
    for (int i = 0; i < p->num_outputs; i++)
        bli_text_put(t, ", y%d", i);
    bli_text_put(t, ");\n");
    for (int i = 0; i < p->num_outputs; i++)
        bli_text_put(
            t,
            "        for (long i = 0; i < %" PRId64 "; i++)\n"
            "            if (fscanf(out, \"%%lld\", &c) != 1 || y%d[i] != c)\n"
            "                return printf(\"DIFF %%d %d %%ld %%lld %%lld\\n\", s, i, c, (long long)y%d[i]), 1;\n",
            p->wires[p->outputs[i].wire].count, i, i, i);
    bli_text_put(t, "    }\n    return 0;\n}\n");
}

static bl_status write_check(bli_verify *v, const char *folder)
{
    char path[BLI_VERIFY_ROOM];
    bli_text t;
    bli_text_init(&t, v->ctx);
    put_check(v->program, v->vectors.samples, &t);
    snprintf(path, sizeof path, "%.3000s/check.c", folder);
    bl_status s = bli_text_status(&t);
    if (s == BL_OK)
        s = bli_file_write(v->ctx, path, t.buf.data, t.buf.size);
    bli_text_free(&t);
    BLI_TRY(s);
    BLI_TRY(write_codes(v, folder, "x.txt", true));
    return write_codes(v, folder, "y.txt", false);
}

/* "DIFF sample output element expected found" */
static bl_status explain(bli_verify *v, const char *name, bl_status s)
{
    long long sample, element, expected, found;
    int output;
    const char *at = strstr(bl_context_message(v->ctx), "DIFF ");
    if (s != BL_MISMATCH || !at ||
        sscanf(at, "DIFF %lld %d %lld %lld %lld", &sample, &output, &element, &expected, &found) != 5 || output < 0 ||
        output >= v->program->num_outputs)
        return s;
    return bli_verify_differs(v, name, sample, v->program->outputs[output].wire, element, expected, found);
}

bl_status bli_verify_c(bli_verify *v, const char *name)
{
    char folder[BLI_VERIFY_ROOM], cc[BLI_PROCESS_PATH], program[BLI_VERIFY_ROOM + 16], *said;
    BLI_TRY(bli_process_find(v->ctx, "gcc", "gcc", cc));
    BLI_TRY(bli_verify_folder(v, "c", folder));
    BLI_TRY(emit(v, "c", NULL, folder));
    BLI_TRY(write_check(v, folder));
    const char *compile[] = {cc, "-std=c99", "-O1", "-w", "check.c", "net.c", "-o", "check", "-lm", NULL};
    BLI_TRY(bli_verify_run(v, folder, compile, &said));
    bli_free(v->ctx, said);
    snprintf(program, sizeof program, "%.4000s/check", folder);
    const char *run[] = {program, NULL};
    bl_status s = bli_verify_run(v, folder, run, &said);
    bli_free(v->ctx, s == BL_OK ? said : NULL);
    return explain(v, name, s);
}

/* ---- HLS ----------------------------------------------------------------------------------------------------------
 */
/* The folder of a file, from the root on: compilers run in folders of their own. */
static bool absolute(const char *file, char folder[BLI_VERIFY_ROOM])
{
    char full[PATH_MAX];
    if (!realpath(file, full))
        return false;
    *strrchr(full, '/') = '\0';
    snprintf(folder, BLI_VERIFY_ROOM, "%.3000s", full);
    return true;
}

/* Where the Python wheel hls4ml keeps ap_int.h: in the environment that is active, one in build/venv, the user's own,
 * the machine's; or Vitis HLS. */
static bool usual_types(char found[BLI_VERIFY_ROOM])
{
    static const char *const places[][2] = {{"VIRTUAL_ENV", "/lib/python3*/site-packages"},
                                            {NULL, "build/venv/lib/python3*/site-packages"},
                                            {"HOME", "/.local/lib/python3*/site-packages"},
                                            {NULL, "/usr/local/lib/python3*/dist-packages"},
                                            {NULL, "/usr/lib/python3*/dist-packages"}};
    for (size_t i = 0; i < BLI_COUNT(places); i++) {
        glob_t g;
        char pattern[BLI_VERIFY_ROOM];
        const char *base = places[i][0] ? getenv(places[i][0]) : "";
        if (!base || (places[i][0] && *base == '\0'))
            continue;
        snprintf(pattern, sizeof pattern, "%.3000s%s/hls4ml/templates/vivado/ap_types/ap_int.h", base, places[i][1]);
        const bool there = glob(pattern, 0, NULL, &g) == 0 && g.gl_pathc > 0;
        const bool known = there && absolute(g.gl_pathv[0], found);
        globfree(&g);
        if (known)
            return true;
    }
    return false;
}

static bl_status find_types(bli_verify *v, char types[BLI_VERIFY_ROOM])
{
    char header[BLI_VERIFY_ROOM], usual[BLI_VERIFY_ROOM];
    const char *given = v->options.ap_types ? v->options.ap_types : getenv("AP_TYPES");
    if ((!given || *given == '\0') && usual_types(usual))
        given = usual;
    if (!given || *given == '\0')
        return bli_fail(v->ctx, BL_NOT_FOUND,
                        "ap_int.h was not found: install the Python wheel hls4ml, or let AP_TYPES name the folder");
    snprintf(header, sizeof header, "%.3000s/ap_int.h", given);
    if (access(header, R_OK) != 0)
        return bli_fail(v->ctx, BL_NOT_FOUND, "%s is not there (AP_TYPES names its folder)", header);
    snprintf(types, BLI_VERIFY_ROOM, "-I%.3000s", given);
    return BL_OK;
}

bl_status bli_verify_hls(bli_verify *v, const char *name)
{
    char folder[BLI_VERIFY_ROOM], cxx[BLI_PROCESS_PATH], types[BLI_VERIFY_ROOM], program[BLI_VERIFY_ROOM + 16], *said;
    BLI_TRY(bli_process_find(v->ctx, "g++", "g++", cxx));
    BLI_TRY(find_types(v, types));
    BLI_TRY(bli_verify_folder(v, "hls", folder));
    BLI_TRY(emit(v, "hls", strcmp(v->options.strategy, "da3") == 0 ? "da" : v->options.strategy, folder));
    const char *compile[] = {cxx,  "-std=c++14", "-O1", "-w", types, "-I.", "firmware/net.cpp", "net_test.cpp",
                             "-o", "check",      NULL};
    BLI_TRY(bli_verify_run(v, folder, compile, &said));
    bli_free(v->ctx, said);
    snprintf(program, sizeof program, "%.4000s/check", folder);
    const char *run[] = {program, NULL};
    bl_status s = bli_verify_run(v, folder, run, &said);
    bli_free(v->ctx, s == BL_OK ? said : NULL);
    return s == BL_BAD_VALUE ? bli_within(v->ctx, BL_MISMATCH, "%s", name) : s;
}
