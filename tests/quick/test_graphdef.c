/* test_graphdef.c: TensorFlow graphs in memory and in binary files. */
#include "support/test.h"

#include "base/file.h"
#include "model/graphdef.h"
#include "support/folder.h"
#include "support/memory.h"

typedef struct rig {
    bl_context *ctx;
    bli_tf_store *store;
} rig;

static rig rig_make(void)
{
    rig r;
    assert_int_equal(bl_context_create(NULL, &r.ctx), BL_OK);
    assert_ok(r.ctx, bli_tf_store_create(r.ctx, &r.store));
    return r;
}

static void rig_free(rig *r)
{
    bli_tf_store_destroy(r->store);
    bl_context_destroy(r->ctx);
}

/* a Const of two floats and an Identity of it, with attributes of many kinds. */
static bl_status make_graph(bli_tf_store *s, bli_tf_graph **out)
{
    const int64_t two = 2, strides[] = {1, 2, 2, 1};
    const float values[] = {1.5f, -2};
    const char *const classes[] = {"loc:@a", ""};
    const int types[] = {BLI_DT_FLOAT, BLI_DT_QUINT8};
    bli_tf_graph *g = bli_tf_graph_make(s);
    bli_tf_node *a = bli_tf_node_make(s, "a", "Const"), *b = bli_tf_node_make(s, "b/c", "Identity");
    if (!g || !a || !b)
        return BL_NO_MEMORY;
    BLI_TRY(bli_tf_graph_add(g, a));
    BLI_TRY(bli_tf_graph_add(g, b));
    BLI_TRY(bli_tf_node_set(s, a, "value", bli_tf_value_tensor(s, BLI_DT_FLOAT, 1, &two, values, NULL)));
    BLI_TRY(bli_tf_node_set(s, a, "dtype", bli_tf_value_type(s, BLI_DT_FLOAT)));
    BLI_TRY(bli_tf_node_add_input(s, b, "a"));
    BLI_TRY(bli_tf_node_add_input(s, b, "^a"));
    BLI_TRY(bli_tf_node_set(s, b, "T", bli_tf_value_type(s, BLI_DT_FLOAT)));
    BLI_TRY(bli_tf_node_set(s, b, "strides", bli_tf_value_ints(s, strides, 4)));
    BLI_TRY(bli_tf_node_set(s, b, "_class", bli_tf_value_strings(s, classes, 2)));
    BLI_TRY(bli_tf_node_set(s, b, "types", bli_tf_value_types(s, types, 2)));
    BLI_TRY(bli_tf_node_set(s, b, "scales", bli_tf_value_floats(s, values, 2)));
    BLI_TRY(bli_tf_node_set(s, b, "shape", bli_tf_value_shape(s, 4, (const int64_t[]){-1, 8, 8, 3})));
    BLI_TRY(bli_tf_node_set(s, b, "n", bli_tf_value_int(s, -3)));
    BLI_TRY(bli_tf_node_set(s, b, "eps", bli_tf_value_float(s, 0.25f)));
    BLI_TRY(bli_tf_node_set(s, b, "on", bli_tf_value_bool(s, true)));
    BLI_TRY(bli_tf_node_set(s, b, "padding", bli_tf_value_string(s, "SAME")));
    *out = g;
    return BL_OK;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static void attributes_are_sorted_found_replaced_and_removed(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_tf_graph *g;
    int64_t n;
    const int64_t *ints;
    size_t count;
    const char *text;
    assert_ok(r.ctx, make_graph(r.store, &g));
    bli_tf_node *b = g->nodes[1];
    for (size_t i = 1; i < b->num_attrs; i++)
        assert_true(strcmp(b->attrs[i - 1].name, b->attrs[i].name) < 0);
    assert_ok(r.ctx, bli_tf_get_int(r.ctx, b, "n", &n));
    assert_int_equal(n, -3);
    assert_ok(r.ctx, bli_tf_node_set(r.store, b, "n", bli_tf_value_int(r.store, 5)));
    assert_ok(r.ctx, bli_tf_int_or(r.ctx, b, "n", 1, &n));
    assert_int_equal(n, 5);
    assert_true(bli_tf_node_remove(b, "n"));
    assert_false(bli_tf_node_remove(b, "n"));
    assert_ok(r.ctx, bli_tf_int_or(r.ctx, b, "n", 1, &n));
    assert_int_equal(n, 1);
    assert_ok(r.ctx, bli_tf_get_ints(r.ctx, b, "strides", &ints, &count));
    assert_int_equal(count, 4);
    assert_int_equal(ints[2], 2);
    assert_ok(r.ctx, bli_tf_string_or(r.ctx, b, "padding", "VALID", &text));
    assert_string_equal(text, "SAME");
    rig_free(&r);
}

static void a_getter_names_node_attribute_and_what_it_wanted(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_tf_graph *g;
    int64_t n;
    int type;
    const int64_t *ints;
    size_t count;
    assert_ok(r.ctx, make_graph(r.store, &g));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'b/c' (Identity): attribute 'axis': it is missing; expected an integer",
                 bli_tf_get_int(r.ctx, g->nodes[1], "axis", &n));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'b/c' (Identity): attribute 'padding': it is a string; expected a type",
                 bli_tf_type_or(r.ctx, g->nodes[1], "padding", 1, &type));
    assert_fails(r.ctx, BL_BAD_MODEL, "attribute 'types': it is a list of something else; expected a list of integers",
                 bli_tf_get_ints(r.ctx, g->nodes[1], "types", &ints, &count));
    rig_free(&r);
}

static void a_value_has_the_bytes_of_deterministic_serialisation(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_buf b;
    const float one = 1;
    bli_buf_init(&b, r.ctx, 1000);
    assert_ok(r.ctx, bli_tf_value_encode(bli_tf_value_tensor(r.store, BLI_DT_FLOAT, 0, NULL, &one, NULL), &b));
    const uint8_t tensor[] = {0x42, 10, 0x08, 1, 0x12, 0, 0x22, 4, 0, 0, 0x80, 0x3f};
    assert_int_equal(b.size, sizeof tensor);
    assert_memory_equal(b.data, tensor, sizeof tensor);
    b.size = 0;
    assert_ok(r.ctx, bli_tf_value_encode(bli_tf_value_int(r.store, 0), &b)); /* a member of a oneof, zero or not */
    assert_memory_equal(b.data, "\x18\x00", 2);
    bli_buf_free(&b);
    rig_free(&r);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static void written_and_read_is_the_same(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_tf_graph *g, *again;
    char *data, *data2;
    size_t size, size2;
    assert_ok(r.ctx, make_graph(r.store, &g));
    assert_ok(r.ctx, bli_tf_graph_encode(g, &data, &size));
    assert_ok(r.ctx, bli_tf_graph_decode(r.store, data, size, &again));
    assert_ok(r.ctx, bli_tf_graph_check(again));
    assert_ok(r.ctx, bli_tf_graph_encode(again, &data2, &size2));
    assert_int_equal(size, size2);
    assert_memory_equal(data, data2, size);
    assert_int_equal(again->num_nodes, 2);
    assert_string_equal(again->nodes[1]->inputs[1], "^a");
    bli_free(r.ctx, data);
    bli_free(r.ctx, data2);
    rig_free(&r);
}

static void a_text_of_any_length_that_was_read_has_an_end(void **state)
{
    (void)state;
    rig r = rig_make();
    char text[65] = "";
    for (size_t n = 1; n < sizeof text; n++) { /* rooms of every size, that of an allocation among them */
        bli_tf_graph *g = bli_tf_graph_make(r.store), *again;
        bli_tf_node *node = bli_tf_node_make(r.store, "a", "DecodeJpeg");
        const char *got;
        char *data;
        size_t size;
        text[n - 1] = 'x';
        assert_true(g && node);
        assert_ok(r.ctx, bli_tf_node_set(r.store, node, "method", bli_tf_value_string(r.store, text)));
        assert_ok(r.ctx, bli_tf_node_set(r.store, node, "next", bli_tf_value_string(r.store, "yyyyyyyyyyyyyyyy")));
        assert_ok(r.ctx, bli_tf_graph_add(g, node));
        assert_ok(r.ctx, bli_tf_graph_encode(g, &data, &size));
        assert_ok(r.ctx, bli_tf_graph_decode(r.store, data, size, &again));
        assert_ok(r.ctx, bli_tf_get_string(r.ctx, again->nodes[0], "method", &got));
        assert_string_equal(got, text);
        bli_free(r.ctx, data);
    }
    rig_free(&r);
}

static void unknown_fields_versions_and_library_survive(void **state)
{
    (void)state;
    /* node {name: "a", op: "b", attr {"k": {unknown 1000: 1}}, unknown 99: 7}, library {function {signature {name:
     * "f"}}}, versions {producer: 27}, unknown 100: "xyz" */
    const uint8_t bytes[] = "\x0a\x13\x0a\x01"
                            "a\x12\x01"
                            "b\x2a\x08\x0a\x01k\x12\x03\xc0\x3e\x01\x98\x06\x07"
                            "\x12\x07\x0a\x05\x0a\x03\x0a\x01"
                            "f\x22\x02\x08\x1b\xa2\x06\x03xyz";
    const size_t size = sizeof bytes - 1;
    rig r = rig_make();
    bli_tf_graph *g;
    char *data;
    size_t written;
    assert_ok(r.ctx, bli_tf_graph_decode(r.store, bytes, size, &g));
    assert_int_equal(g->versions->producer, 27);
    assert_ok(r.ctx, bli_tf_graph_encode(g, &data, &written));
    assert_int_equal(written, size);
    assert_memory_equal(data, bytes, size);
    bli_free(r.ctx, data);
    rig_free(&r);
}

static void golden(rig *r, const char *name, bli_tf_graph **g, char **file, size_t *size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/golden/graphdef/%s", getenv("BITLATHE_SOURCE"), name);
    assert_ok(r->ctx, bli_file_read(r->ctx, path, 1 << 20, file, size));
    assert_ok(r->ctx, bli_tf_graph_read(r->store, path, g));
}

/* Files that TensorFlow wrote come back byte for byte. */
static void what_tensorflow_wrote_is_written_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {"values.pb", "tensors.pb", "library.pb", "unknown.pb"};
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(names); i++) {
        bli_tf_graph *g;
        char *file, *data;
        size_t size, written;
        golden(&r, names[i], &g, &file, &size);
        assert_ok(r.ctx, bli_tf_graph_encode(g, &data, &written));
        assert_int_equal(written, size);
        assert_memory_equal(data, file, size);
        bli_free(r.ctx, data);
        bli_free(r.ctx, file);
    }
    rig_free(&r);
}

/* The text form of a float list is compared by value only: Python's, which made the file, has other digits. */
static void tensorflows_text_is_the_same_graph(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"values.pb", "values.pbtxt"}, {"tensors.pb", "tensors.pbtxt"}, {"library.pb", "library.pbtxt"}};
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(names); i++) {
        bli_tf_graph *g;
        char *file, *text, *data;
        size_t size, text_size, written;
        golden(&r, names[i][1], &g, &text, &text_size);
        bli_free(r.ctx, text);
        assert_ok(r.ctx, bli_tf_graph_encode(g, &data, &written));
        golden(&r, names[i][0], &g, &file, &size);
        assert_int_equal(written, size);
        assert_memory_equal(data, file, size);
        bli_free(r.ctx, data);
        bli_free(r.ctx, file);
    }
    rig_free(&r);
}

static void text_brings_back_the_same_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"values.pb", "tensors.pb", "library.pb", "unknown.pb"};
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(names); i++) {
        bli_tf_graph *g, *again;
        char *file, *text, *data;
        size_t size, text_size, written;
        golden(&r, names[i], &g, &file, &size);
        assert_ok(r.ctx, bli_tf_graph_print(g, &text, &text_size));
        assert_int_equal(strlen(text), text_size);
        assert_ok(r.ctx, bli_tf_graph_decode(r.store, text, text_size, &again));
        assert_ok(r.ctx, bli_tf_graph_encode(again, &data, &written));
        assert_int_equal(written, size);
        assert_memory_equal(data, file, size);
        bli_free(r.ctx, data);
        bli_free(r.ctx, text);
        bli_free(r.ctx, file);
    }
    rig_free(&r);
}

/* What each text means, in the words that are printed. */
static void all_of_the_text_format_is_read(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"", ""},
        {"# nothing\n", ""},
        {"version: 0x1F", "version: 31\n"},
        {"version: 017;", "version: 15\n"},
        {"version:-1,", "version: -1\n"},
        {"version: - 2147483648", "version: -2147483648\n"},
        {"versions{producer:1}", "versions {\n  producer: 1\n}\n"},
        {"versions: < producer: 1; bad_consumers: [1, 2] bad_consumers: 3 >",
         "versions {\n  producer: 1\n  bad_consumers: 1\n  bad_consumers: 2\n  bad_consumers: 3\n}\n"},
        {"versions { bad_consumers: [] }", "versions {\n}\n"},
        {"library { gradient [ { function_name: 'f' }, < > ] }",
         "library {\n  gradient {\n    function_name: \"f\"\n  }\n  gradient {\n  }\n}\n"},
        {"library { gradient { function_name: 'a\\x41\\101\\?\\u00e9' # joined\n \"b\" 'c' } }",
         "library {\n  gradient {\n    function_name: \"aAA?\\303\\251bc\"\n  }\n}\n"},
        {"library { gradient { function_name: '\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\U0001f642\\ud83d\\ude42' } }",
         "library {\n  gradient {\n    function_name: "
         "\"\\007\\010\\014\\n\\r\\t\\013\\\\\\'\\\"\\360\\237\\231\\202\\360\\237\\231\\202\"\n  }\n}\n"},
        {"10: 4319\n", "# A GraphDef\n6: 0x0a39313334203a30\n"}, /* a binary message is one, whatever it looks like */
        {"# A GraphDef\n10: 4319\n", "# A GraphDef\n10: 4319\n"},
        {"55:\"\x9eP\xd8\"", "# A GraphDef\n6: 0x9e223a35\n10: 4440\n"},
        {"1000: 7 1001: 0x00000001 1002: 0x0000000000000001 1003: '\\377'",
         "# A GraphDef\n1000: 7\n1001: 0x00000001\n1002: 0x0000000000000001\n1003: \"\\377\"\n"},
    };
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(same); i++) {
        bli_tf_graph *g;
        char *text;
        size_t size;
        assert_ok(r.ctx, bli_tf_graph_decode(r.store, same[i][0], strlen(same[i][0]), &g));
        assert_ok(r.ctx, bli_tf_graph_print(g, &text, &size));
        assert_string_equal(text, same[i][1]);
        bli_free(r.ctx, text);
    }
    rig_free(&r);
}

/* A value of an attribute as text, and as it is printed. */
static void numbers_and_names_of_every_form_are_read(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"f: 1f", "f: 1"},
        {"f: 1.5F", "f: 1.5"},
        {"f: .5", "f: 0.5"},
        {"f: 1.", "f: 1"},
        {"f: -1e-3", "f: -0.001"},
        {"f: inf", "f: inf"},
        {"f: -Infinity", "f: -inf"},
        {"f: NaN", "f: nan"},
        {"f: 1e39", "f: inf"},
        {"f: 0.1", "f: 0.1"},
        {"f: 16777217", "f: 16777216"},
        {"f: 123456.78", "f: 123456.781"},
        {"b: true", "b: true"},
        {"b: t", "b: true"},
        {"b: 0", "b: false"},
        {"b: False", "b: false"},
        {"type: DT_FLOAT", "type: DT_FLOAT"},
        {"type: 12", "type: DT_QUINT8"},
        {"type: 77", "type: 77"},
        {"type: -5", "type: -5"},
        {"i: -9223372036854775808", "i: -9223372036854775808"},
    };
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(same); i++) {
        bli_tf_graph *g;
        char *text, whole[200], want[300];
        size_t size;
        snprintf(whole, sizeof whole, "node { name: 'a' op: 'b' attr { value { %s } key: 'k' } }", same[i][0]);
        snprintf(want, sizeof want,
                 "node {\n  name: \"a\"\n  op: \"b\"\n  attr {\n    key: \"k\"\n    value {\n      %s\n    }\n  }\n}\n",
                 same[i][1]);
        assert_ok(r.ctx, bli_tf_graph_decode(r.store, whole, strlen(whole), &g));
        assert_ok(r.ctx, bli_tf_graph_print(g, &text, &size));
        assert_string_equal(text, want);
        bli_free(r.ctx, text);
    }
    rig_free(&r);
}

static void wrong_text_is_refused_with_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bl_status status;
        const char *words;
    } cases[] = {
        {"node {\n  nam: 'a' }", BL_BAD_FILE, "line 2, column 3: NodeDef has no field 'nam' (did you mean 'name'?)"},
        {"version: 1 version: 2", BL_BAD_FILE, "line 1, column 12: version: it is there twice"},
        {"node { attr { value { i: 1 f: 2 } } }", BL_BAD_FILE, "f: i is there already, only one of them may be"},
        {"version: 2147483648", BL_BAD_FILE, "2147483648 is out of range"},
        {"version: 99999999999999999999", BL_BAD_FILE, "is out of range"},
        {"version: 08", BL_BAD_FILE, "expected an integer, found '08' (no word of this format)"},
        {"version: 1.5", BL_BAD_FILE, "expected an integer, found '1.5'"},
        {"version 1", BL_BAD_FILE, "expected ':', found '1'"},
        {"node { attr { value { f:", BL_BAD_FILE, "expected a decimal number, the text ends"},
        {"node {", BL_BAD_FILE, "expected a field's name, the text ends"},
        {"node { name: 'a }", BL_BAD_FILE, "expected a string, found ''a }' (no word of this format)"},
        {"node { name: 'a\\q' }", BL_BAD_FILE, "line 1, column 14: a string with an escape that is none"},
        {"node { name: 'a\\xff' }", BL_BAD_FILE, "a string is not UTF-8: byte 1 of it is 0xff"},
        {"node { name: '\\0' }", BL_BAD_FILE, "a string has a zero byte"},
        {"node { attr { value { type: DT_FLOAT77 } } }", BL_BAD_FILE, "'DT_FLOAT77' is no value of DataType"},
        {"node { attr { value { b: 2 } } }", BL_BAD_FILE, "2 is out of range"},
        {"node { attr { value { f: 0x10 } } }", BL_BAD_FILE, "expected a decimal number, found '0x10'"},
        {"[type.googleapis.com/x] { }", BL_UNSUPPORTED, "extensions, '[name]', are not read"},
        {"1: 5", BL_BAD_FILE, "field number 1 of GraphDef: a field that is known goes by its name"},
        {"node { name: 'a' op: 'b' } node { name: 'a' op: 'b' }", BL_BAD_MODEL, "node 'a' is there twice"},
        {"saved_model_schema_version: 1 meta_graphs { meta_info_def { tags: ['a'] x < y: -1 > } graph_def { node { "
         "name: "
         "'v' op: 'VarHandleOp' } } }",
         BL_UNSUPPORTED, "node 'v' (VarHandleOp): a variable"},
        {"saved_model_schema_version: 1 meta_graphs { other { ", BL_BAD_FILE, "expected the end of a message"},
    };
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_tf_graph *g;
        assert_fails(r.ctx, cases[i].status, cases[i].words,
                     bli_tf_graph_decode(r.store, cases[i].text, strlen(cases[i].text), &g));
        assert_null(g);
    }
    rig_free(&r);
}

static void messages_nest_only_so_deep(void **state)
{
    (void)state;
    static const char open[] = "attr { value { func { ";
    rig r = rig_make();
    bli_buf b;
    bli_tf_graph *g;
    bli_buf_init(&b, r.ctx, 10000);
    assert_ok(r.ctx, bli_buf_printf(&b, "node { "));
    for (int i = 0; i < 100; i++)
        assert_ok(r.ctx, bli_buf_append(&b, open, sizeof open - 1));
    assert_fails(r.ctx, BL_LIMIT, "messages nest deeper than 64", bli_tf_graph_decode(r.store, b.data, b.size, &g));
    bli_buf_free(&b);
    rig_free(&r);
}

static void bad_files_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bl_status status;
        const char *words;
    } cases[] = {
        {"\x0a\x05\x0a\x01", 4, BL_BAD_FILE, "5 bytes are claimed, 2 are left"},
        {"\x0a\x04\x0a\x02\xff\x61", 6, BL_BAD_FILE, "node: name: a string is not UTF-8: byte 0 of it is 0xff"},
        {"\x0a\x05\x0a\x03\x61\x00\x61", 7, BL_BAD_FILE, "node: name: a string has a zero byte"},
        {"\x0a\x03\x12\x01\x61", 5, BL_BAD_MODEL, "node 0 (a) has no name"},
        {"\x0a\x03\x0a\x01\x61", 5, BL_BAD_MODEL, "node 'a' has no operator"},
        {"\x0a\x06\x0a\x01\x61\x12\x01\x62\x0a\x06\x0a\x01\x61\x12\x01\x63", 16, BL_BAD_MODEL,
         "node 'a' is there twice: node 0 (b) and node 1 (c)"},
        {"\x22\x00\x22\x00", 4, BL_BAD_FILE, "versions: it is there twice"},
        {"\x08\x01", 2, BL_UNSUPPORTED, "a SavedModel with 0 graphs, expected one"},
        {"\x08\x01\x12\x13\x12\x11\x0a\x0f\x0a\x01\x61\x12\x0aVariableV2", 23, BL_UNSUPPORTED,
         "node 'a' (VariableV2): a variable"},
    };
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_tf_graph *g;
        assert_fails(r.ctx, cases[i].status, cases[i].words,
                     bli_tf_graph_decode(r.store, cases[i].bytes, cases[i].size, &g));
        assert_null(g);
    }
    rig_free(&r);
}

static void links_to_no_node_are_found(void **state)
{
    (void)state;
    rig r = rig_make();
    bli_tf_graph *g;
    assert_ok(r.ctx, make_graph(r.store, &g));
    assert_ok(r.ctx, bli_tf_node_add_input(r.store, g->nodes[1], "a:1"));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'b/c' (Identity): input 2, 'a:1', comes after a control input",
                 bli_tf_graph_check(g));
    bli_tf_node_remove_input(g->nodes[1], 2);
    assert_ok(r.ctx, bli_tf_node_set_input(r.store, g->nodes[1], 0, "gone:1"));
    assert_fails(r.ctx, BL_BAD_MODEL, "node 'b/c' (Identity): input 0, 'gone:1', is no node of this graph",
                 bli_tf_graph_check(g));
    rig_free(&r);
}

static bl_status build_write_read(bl_context *ctx, void *arg)
{
    (void)arg;
    bli_tf_store *s;
    bli_tf_graph *g, *again;
    char *data = NULL;
    size_t size;
    BLI_TRY(bli_tf_store_create(ctx, &s));
    bl_status status = make_graph(s, &g);
    if (status == BL_OK)
        status = bli_tf_graph_encode(g, &data, &size);
    if (status == BL_OK)
        status = bli_tf_graph_decode(s, data, size, &again);
    bli_free(ctx, data);
    bli_tf_store_destroy(s);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(build_write_read, NULL) > 5);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static void a_sweep_keeps_what_a_graph_needs_and_no_more(void **state)
{
    (void)state;
    counting_allocator counter = {0};
    bl_allocator allocator = counting_allocator_of(&counter);
    const int64_t large = 1 << 18;
    bl_context *ctx;
    bli_tf_store *s;
    void *content;
    char *data;
    size_t size;
    assert_int_equal(bl_context_create(&allocator, &ctx), BL_OK);
    assert_ok(ctx, bli_tf_store_create(ctx, &s));
    bli_tf_graph *g = bli_tf_graph_make(s), *read;
    bli_tf_node *n = bli_tf_node_make(s, "a", "Const");
    assert_ok(ctx, bli_tf_graph_add(g, n));
    assert_ok(ctx, bli_tf_node_set(s, n, "value", bli_tf_value_tensor(s, BLI_DT_UINT8, 1, &large, NULL, &content)));
    memset(content, 7, (size_t)large);
    assert_ok(ctx, bli_tf_graph_encode(g, &data, &size));
    assert_ok(ctx, bli_tf_graph_decode(s, data, size, &read));
    size_t both = counter.live_bytes;
    bli_tf_store_sweep(s, (const bli_tf_graph *const *)&read, 1);
    assert_true(counter.live_bytes <= both - (size_t)large);
    assert_true(counter.live_bytes > (size_t)large);
    bli_free(ctx, data);
    assert_ok(ctx, bli_tf_graph_encode(read, &data, &size));
    assert_int_equal(data[size - 1], 7);
    bli_free(ctx, data);
    bli_tf_store_sweep(s, NULL, 0);
    assert_true(counter.live_bytes < (size_t)large);
    bli_tf_store_destroy(s);
    bl_context_destroy(ctx);
    assert_int_equal(counter.live_blocks, 0);
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static void inputs_come_apart(void **state)
{
    (void)state;
    static const struct {
        const char *input, *node, *canonical, *rest;
        int port;
        bool control;
    } cases[] = {
        {"a", "a", "a:0", "", 0, false},
        {"a/b:12", "a/b", "a/b:12", ":12", 12, false},
        {"^a", "a", "^a:0", "", 0, true},
        {"a:out:0", "a", "a:out:0", ":out:0", -1, false},
        {"a:99999999999", "a", "a:99999999999", ":99999999999", -1, false},
    };
    rig r = rig_make();
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bli_tf_ref ref = bli_tf_ref_parse(cases[i].input);
        assert_int_equal(ref.port, cases[i].port);
        assert_int_equal(ref.control, cases[i].control);
        assert_string_equal(ref.rest, cases[i].rest);
        assert_true(bli_tf_ref_is(&ref, cases[i].node));
        assert_string_equal(bli_tf_ref_node(r.store, cases[i].input), cases[i].node);
        assert_string_equal(bli_tf_ref_canonical(r.store, cases[i].input), cases[i].canonical);
    }
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_sorted_found_replaced_and_removed),
        cmocka_unit_test(a_getter_names_node_attribute_and_what_it_wanted),
        cmocka_unit_test(a_value_has_the_bytes_of_deterministic_serialisation),
        cmocka_unit_test(written_and_read_is_the_same),
        cmocka_unit_test(a_text_of_any_length_that_was_read_has_an_end),
        cmocka_unit_test(unknown_fields_versions_and_library_survive),
        cmocka_unit_test(what_tensorflow_wrote_is_written_the_same),
        cmocka_unit_test(tensorflows_text_is_the_same_graph),
        cmocka_unit_test(text_brings_back_the_same_bytes),
        cmocka_unit_test(all_of_the_text_format_is_read),
        cmocka_unit_test(numbers_and_names_of_every_form_are_read),
        cmocka_unit_test(wrong_text_is_refused_with_line_and_column),
        cmocka_unit_test(messages_nest_only_so_deep),
        cmocka_unit_test(bad_files_are_refused_by_name),
        cmocka_unit_test(links_to_no_node_are_found),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_sweep_keeps_what_a_graph_needs_and_no_more),
        cmocka_unit_test(inputs_come_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
