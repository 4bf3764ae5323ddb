/* bench.c: the test bench and its data: codes of inputs and of the outputs that the interpreter gives. */
#include <stdio.h>

#include "emit/hls/hls.h"

/* One sample a line, ports one after the other. */
static void put_codes(bli_text *t, const bli_hls *h, const bli_vectors *v, bool inputs)
{
    int ports = inputs ? h->p->num_inputs : h->p->num_outputs;
    for (int s = 0; s < v->samples; s++) {
        bool first = true;
        for (int i = 0; i < ports; i++) {
            int64_t count = h->p->wires[inputs ? h->p->inputs[i].wire : h->p->outputs[i].wire].count;
            const int64_t *codes = (inputs ? v->inputs : v->outputs)[i] + s * count;
            for (int64_t e = 0; e < count; e++) {
                bli_text_put(t, first ? "%lld" : " %lld", (long long)codes[e]);
                first = false;
            }
        }
        bli_text_put(t, "\n");
    }
}

static bl_status write_data(bli_hls *h)
{
    static const char *const paths[] = {"tb_data/tb_output_predictions.dat", "tb_data/tb_input_features.dat"};
    bli_vectors v;
    BLI_TRY(bli_vectors_of_job(h->job, &v));
    bl_status s = BL_OK;
    for (int inputs = 1; inputs >= 0 && s == BL_OK; inputs--) {
        bli_text t;
        bli_text_init(&t, h->job->ctx);
        put_codes(&t, h, &v, inputs != 0);
        s = bli_project_text(h->job->project, paths[inputs], &t);
        bli_text_free(&t);
    }
    bli_vectors_free(&v);
    return s;
}

static const char head[] =
    "// @NAME@_test.cpp: test bench: every line of tb_data/tb_input_features.dat goes through @NAME@, and its codes "
    "are\n"
    "// compared with the same line of tb_data/tb_output_predictions.dat, bit by bit.\n"
    "//\n"
    "// Both files hold integers (codes): one sample a line.  Ends with 0 if all are equal.\n"
    "#include <cstdio>\n"
    "#include <fstream>\n"
    "#include <iostream>\n"
    "#include <sstream>\n"
    "#include <string>\n"
    "\n"
    "#include \"firmware/@NAME@.h\"\n"
    "\n"
    "// A stream of numbers: the next line of a file.\n"
    "static bool next_line(std::ifstream &file, std::istringstream &line)\n"
    "{\n"
    "    std::string text;\n"
    "    if (!std::getline(file, text))\n"
    "        return false;\n"
    "    line.clear();\n"
    "    line.str(text);\n"
    "    return true;\n"
    "}\n"
    "\n"
    "static long long next_code(std::istringstream &line)\n"
    "{\n"
    "    long long code = 0;\n"
    "    line >> code;\n"
    "    return code;\n"
    "}\n"
    "\n"
    "// Compares one code; the first ten differences are printed.\n"
    "static long differences = 0;\n"
    "static void check(const char *port, long sample, int element, long long found, long long expected)\n"
    "{\n"
    "    if (found == expected)\n"
    "        return;\n"
    "    if (differences++ < 10)\n"
    "        std::printf(\"sample %ld, %s[%d]: expected %lld, found %lld\\n\", sample, port, element, expected, "
    "found);\n"
    "}\n"
    "\n"
    "static void run(long sample, std::istringstream &in, std::istringstream &out)\n"
    "{\n";

static const char tail[] =
    "}\n"
    "\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    const std::string folder = argc > 1 ? argv[1] : \"tb_data\";\n"
    "    std::ifstream inputs(folder + \"/tb_input_features.dat\"), outputs(folder + \"/tb_output_predictions.dat\");\n"
    "    std::istringstream in, out;\n"
    "    long samples = 0;\n"
    "    while (next_line(inputs, in) && next_line(outputs, out))\n"
    "        run(samples++, in, out);\n"
    "    std::printf(\"@NAME@: %ld samples, %ld differences\\n\", samples, differences);\n"
    "    return samples > 0 && differences == 0 ? 0 : 1;\n"
    "}\n";

static void put_input(bli_hls *h, bli_text *t, int i)
{
    const bli_wire *w = &h->p->wires[h->p->inputs[i].wire];
    const bli_node *n = &h->nodes[h->p->inputs[i].wire];
    if (h->stream) {
        bli_text_line(t, "hls::stream<%s> %s(\"%s\");", n->type, h->x[i], h->x[i]);
        bli_text_open(t, "for (int i = 0; i < %lld; i++) {", (long long)(w->count / n->beat));
        bli_text_line(t, "%s beat;", n->type);
        bli_text_open(t, "for (int k = 0; k < %lld; k++)", (long long)n->beat);
        bli_text_line(t, "beat.data[k] = next_code(in);");
        t->depth--;
        bli_text_line(t, "%s.write(beat);", h->x[i]);
        bli_text_close(t, "}");
        return;
    }
    bli_text_line(t, "static %s %s[%lld];", n->type, h->x[i], (long long)w->count);
    bli_text_open(t, "for (int i = 0; i < %lld; i++)", (long long)w->count);
    bli_text_line(t, "%s[i] = next_code(in);", h->x[i]);
    t->depth--;
}

static void put_output(bli_hls *h, bli_text *t, int i)
{
    const bli_wire *w = bli_hls_root(h, h->p->outputs[i].wire);
    const bli_node *n = &h->nodes[h->groups.root[h->p->outputs[i].wire]];
    if (!h->stream) {
        bli_text_open(t, "for (int i = 0; i < %lld; i++)", (long long)w->count);
        bli_text_line(t, "check(\"%s\", sample, i, %s[i].to_int64(), next_code(out));", h->y[i], h->y[i]);
        t->depth--;
        return;
    }
    bli_text_open(t, "for (int i = 0; i < %lld; i++) {", (long long)(w->count / n->beat));
    bli_text_line(t, "const %s beat = %s.read();", n->type, h->y[i]);
    bli_text_open(t, "for (int k = 0; k < %lld; k++)", (long long)n->beat);
    bli_text_line(t, "check(\"%s\", sample, i * %lld + k, beat.data[k].to_int64(), next_code(out));", h->y[i],
                  (long long)n->beat);
    t->depth--;
    bli_text_close(t, "}");
}

static void put_run(bli_hls *h, bli_text *t)
{
    t->depth = 1;
    for (int i = 0; i < h->p->num_inputs; i++)
        put_input(h, t, i);
    for (int i = 0; i < h->p->num_outputs; i++) {
        const bli_node *n = &h->nodes[h->groups.root[h->p->outputs[i].wire]];
        if (h->stream)
            bli_text_line(t, "hls::stream<%s> %s(\"%s\");", n->type, h->y[i], h->y[i]);
        else
            bli_text_line(t, "static %s %s[%lld];", n->type, h->y[i],
                          (long long)bli_hls_root(h, h->p->outputs[i].wire)->count);
    }
    bli_text_put(t, "    %s(", h->job->name);
    for (int i = 0; i < h->p->num_inputs; i++)
        bli_text_put(t, "%s%s", i ? ", " : "", h->x[i]);
    for (int i = 0; i < h->p->num_outputs; i++)
        bli_text_put(t, ", %s", h->y[i]);
    bli_text_put(t, ");\n");
    for (int i = 0; i < h->p->num_outputs; i++)
        put_output(h, t, i);
    t->depth = 0;
}

bl_status bli_hls_bench(bli_hls *h)
{
    const bli_text_key keys[] = {{"NAME", h->job->name}};
    char path[BLI_NAME_LONGEST + 16];
    bli_text t;
    bli_text_init(&t, h->job->ctx);
    bli_text_template(&t, head, keys, BLI_COUNT(keys));
    put_run(h, &t);
    bli_text_template(&t, tail, keys, BLI_COUNT(keys));
    snprintf(path, sizeof path, "%s_test.cpp", h->job->name);
    bl_status s = bli_project_text(h->job->project, path, &t);
    bli_text_free(&t);
    return s == BL_OK ? write_data(h) : s;
}
