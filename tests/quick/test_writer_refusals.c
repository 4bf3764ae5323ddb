/* What no ONNX file can say: the message names the file, the node, its format and what would do instead, and no file is
 * left.  Beside each refusal stands the nearest thing that is written. */
#include "support/test.h"

#include <unistd.h>

#include "bitlathe/model.h"
#include "support/folder.h"

static bl_context *ctx;

static int set_up(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) == BL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

/* extra: lines before the node; inputs: after "x". */
static bl_status written(const char *extra, const char *inputs, const char *attrs, const char *type)
{
    char text[2048];
    bl_graph *g;
    const char *path = temp_path("refused.onnx");
    snprintf(text, sizeof text,
             "graph \"g\"\ninput \"x\" %s [N, 3, 4]\n%s"
             "node \"q\" \"Quantize\" \"bitlathe\" (\"x\" %s) -> (\"y\" %s ?) {%s}\noutput \"y\"\n",
             type, extra, inputs, type, attrs);
    bl_status s = bl_graph_parse(ctx, text, strlen(text), &g);
    if (s != BL_OK)
        fail_msg("%s: %s", attrs, bl_context_message(ctx));
    unlink(path);
    s = bl_model_write(g, path);
    assert_int_equal(s == BL_OK, access(path, F_OK) == 0);
    if (s != BL_OK) {
        assert_non_null(strstr(bl_context_message(ctx), path));
        assert_non_null(strstr(bl_context_message(ctx), "node 'q': "));
    }
    bl_graph_destroy(g);
    return s;
}

typedef struct refusal {
    const char *extra, *inputs, *refused, *written, *type, *message;
} refusal;

#define FORMAT(f) "\"format\" string \"" f "\""
#define SCALES    "parameter \"s\" F32 [4] \"scale\" = 0.3 0.2 0.1 0.4\n"
#define BITS      "constant \"b\" F32 [4] \"bits\" = 3 4 5 6\n"
#define CHANNEL   ", \"granularity\" string \"channel\", \"scale\" string \"learned\""

static const refusal refusals[] = {
    {"", "", FORMAT("float16"), FORMAT("float<e4m3>"), "F32", "ste float16 of activations"},
    {"", "", FORMAT("float<e5m10>"), FORMAT("float<e5m2>"), "F32",
     "use one of at most 256 values, or a float up to float<e7m8>"},
    {"", "", FORMAT("fixed<24,4,RND,WRAP_SM>"), FORMAT("fixed<23,4,RND,WRAP_SM>"), "F32",
     "fixed<24,4,RND,WRAP_SM> of activations cannot be written in standard operators: float32 operators count no "
     "further than 2^24; with WRAP_SM use at most 23 bits"},
    {"", "", FORMAT("int<30,RND,SAT>") ", \"scale\" string \"0.3\"", FORMAT("int<24,RND,SAT>"), "F32",
     "use at most 24 bits, or a step that is a power of two"},
    {"", "", FORMAT("mx<e4m3,8>") ", \"axis\" int 0", FORMAT("mx<e4m3,8>") ", \"axis\" int 1", "F32",
     "attribute axis: 0 is the batch, of which rows must not depend on each other; name another axis"},
    {"", "", FORMAT("mx<e4m3,8>") ", \"scale\" string \"2\"", FORMAT("mx<e4m3,8>"), "F32", "leave that scale at 1"},
    {BITS, "- \"b\"", FORMAT("fixed<4,2,RND,WRAP>"), FORMAT("fixed<4,2,RND,SAT>"), "F32",
     "a width for each element goes with saturation; use SAT or SAT_SYM"},
    {"constant \"b\" I64 [4] \"bits\" = 3 4 5 6\n", "- \"b\"", FORMAT("fixed<4,2,RND,SAT>"), NULL, "F32",
     "its widths are I64; only F32 can be written"},
    {SCALES, "\"s\"", FORMAT("float<e4m3>") CHANNEL, FORMAT("int<4>") CHANNEL, "F32",
     "a table of its values goes with one scale; use granularity tensor"},
    {SCALES "node \"n\" \"Abs\" \"\" (\"s\") -> (\"t\" F32 ?) {}\n", "\"t\"",
     FORMAT("int<4>") CHANNEL ", \"quantizer\" string \"lsq\"", NULL, "F32",
     "input 1 is computed; only a stored scale can be written"},
    {"", "", FORMAT("fixed<30,4,RND,WRAP>"), FORMAT("fixed<30,4,RND,SAT>"), "F64",
     "quantizer ste fixed<30,4,RND,WRAP>: the model needs double precision, in which only saturating"},
};

static void each_refusal_says_what_and_what_instead(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        const bl_status s = written(r->extra, r->inputs, r->refused, r->type);
        const char *message = s == BL_OK ? "(none)" : bl_context_message(ctx);
        if (s == BL_OK || !strstr(message, r->message))
            fail_msg("%s: '%s', expected '%s'", r->refused, message, r->message);
        if (r->written && written(r->extra, r->inputs, r->written, r->type) != BL_OK)
            fail_msg("%s: %s", r->written, bl_context_message(ctx));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_refusal_says_what_and_what_instead)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
