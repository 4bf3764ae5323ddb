/* model.c: models in files: which reader, and the steps between a file's graph and ours.
 *
 * Reading: the file as it stands; older opsets' words; shape arithmetic; roles; our own quantizers found again; images
 * to channels-last; inference and verification.  Writing is the reverse on a copy.
 */
#include <string.h>

#include "base/file.h"
#include "bitlathe/model.h"
#include "model/onnx.h"
#include "pass/pass.h"
#include "pass/spell_quant.h"
#include "pass/wide.h"

/* Protobuf's limit for the model itself; tensors beyond it live in external files. */
static const size_t most_bytes = ((size_t)1 << 31) - 1;

static bl_status read_onnx(bl_context *ctx, const void *data, size_t size, const char *folder, bl_graph **out)
{
    bl_graph *g;
    bli_onnx_facts facts = {0};
    BLI_TRY(bli_onnx_read(ctx, data, size, folder, &g, &facts));
    bl_status s = bli_onnx_modernize(g, &facts);
    if (s == BL_OK)
        s = bli_onnx_fold_shapes(g);
    if (s == BL_OK)
        s = bli_onnx_find_roles(g);
    if (s == BL_OK)
        s = bli_pass_run(g, "find_quant");
    if (s == BL_OK)
        s = bli_pass_run(g, "fold_constants");
    if (s == BL_OK)
        s = bli_onnx_check_softmax(g, &facts);
    if (s == BL_OK)
        s = bli_pass_run(g, "channels_last");
    if (s != BL_OK) {
        bl_graph_destroy(g);
        return s;
    }
    *out = g;
    return BL_OK;
}

static bl_status read_text(bl_context *ctx, const void *data, size_t size, const char *folder, bl_graph **out)
{
    (void)folder;
    bl_graph *g;
    BLI_TRY(bl_graph_parse(ctx, data, size, &g));
    bl_status s = bl_graph_infer(g);
    if (s != BL_OK) {
        bl_graph_destroy(g);
        return s;
    }
    *out = g;
    return BL_OK;
}

static bool is_text(const uint8_t *data, size_t size)
{
    return size >= 7 && memcmp(data, "graph \"", 7) == 0;
}

/* A ModelProto starts with one of its few fields; the scan finds out about the rest. */
static bool is_onnx(const uint8_t *data, size_t size)
{
    return size >= 2 && (data[0] == 0x08 || data[0] == 0x12 || data[0] == 0x1a || data[0] == 0x22 || data[0] == 0x3a ||
                         data[0] == 0x42);
}

static const struct {
    const char *name, *help;
    bool (*accepts)(const uint8_t *data, size_t size);
    /* folder: where the model's external files may lie, NULL for none */
    bl_status (*read)(bl_context *ctx, const void *data, size_t size, const char *folder, bl_graph **out);
} readers[] = {
    {"onnx", "ONNX and QONNX models (.onnx)", is_onnx, read_onnx},
    {"text", "the text form of a graph", is_text, read_text},
};

bool bl_reader_at(int i, bl_model_info *out)
{
    bool there = i >= 0 && i < (int)BLI_COUNT(readers);
    *out = there ? (bl_model_info){readers[i].name, readers[i].help} : (bl_model_info){NULL, NULL};
    return there;
}

bool bl_pass_at(int i, bl_model_info *out)
{
    const bli_pass *p = bli_pass_at(i);
    *out = p ? (bl_model_info){p->name, p->help} : (bl_model_info){NULL, NULL};
    return p != NULL;
}

bl_status bl_graph_pass(bl_graph *g, const char *name)
{
    return bli_pass_run(g, name);
}

static bl_status read_bytes(bl_context *ctx, const void *data, size_t size, const char *folder, bl_graph **out)
{
    *out = NULL;
    if (size == 0)
        return bli_fail(ctx, BL_BAD_FILE, "it is empty");
    for (size_t i = 0; i < BLI_COUNT(readers); i++)
        if (readers[i].accepts(data, size))
            return readers[i].read(ctx, data, size, folder, out);
    const bool graphdef = *(const uint8_t *)data == 0x0a; /* its first field, a node */
    return bli_fail(ctx, BL_BAD_FILE, "not a model: it does not begin as an ONNX file does%s",
                    graphdef ? "; a TensorFlow graph has to become a model first (to-qonnx)" : "");
}

/* The folder of path into a block of its own. */
static bl_status folder_of(bl_context *ctx, const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;
    *out = bli_alloc(ctx, n + 2);
    if (!*out)
        return BL_NO_MEMORY;
    memcpy(*out, slash ? path : ".", n);
    if (slash == path)
        (*out)[0] = '/', (*out)[1] = 0;
    return BL_OK;
}

bl_status bl_model_read(bl_context *ctx, const char *path, bl_graph **out)
{
    *out = NULL;
    char *data = NULL, *folder = NULL;
    size_t size;
    BLI_TRY(bli_within(ctx, folder_of(ctx, path, &folder), "read %s", path));
    bl_status s = bli_file_read(ctx, path, most_bytes, &data, &size);
    if (s == BL_OK)
        s = bli_within(ctx, read_bytes(ctx, data, size, folder, out), "read %s", path);
    bli_free(ctx, data);
    bli_free(ctx, folder);
    return s;
}

bl_status bl_model_read_memory(bl_context *ctx, const void *data, size_t size, bl_graph **out)
{
    *out = NULL;
    if (size > most_bytes)
        return bli_fail(ctx, BL_LIMIT, "read model: %zu bytes, at most %zu are possible", size, most_bytes);
    return bli_within(ctx, read_bytes(ctx, data, size, NULL, out), "read model");
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static bool takes_double(const bl_graph *g)
{
    for (int i = 0; i < bl_graph_num_inputs(g); i++)
        if (bl_graph_value(g, bl_graph_input(g, i))->type == BL_F64)
            return true;
    return false;
}

/* The whole file is of one floating type: float32 where that holds every value. */
static bl_status choose_type(bl_graph *g, bool by_format, bool *wide)
{
    const char *name = NULL;
    *wide = takes_double(g);
    if (!*wide)
        BLI_TRY(bli_wide_find(g, by_format, &name));
    *wide = *wide || name;
    return bli_wide_retype(g, *wide ? BL_F64 : BL_F32);
}

static bl_status prepare(bl_graph *g, bool by_format)
{
    bool wide;
    BLI_TRY(bli_pass_run(g, "spell_batch_norm"));
    BLI_TRY(choose_type(g, by_format, &wide));
    if (wide) {
        BLI_TRY(bli_pass_run(g, "channels_first"));
        BLI_TRY(bli_wide_spell(g));
        return bli_wide_check(g);
    }
    BLI_TRY(bli_spell_mark(g));
    BLI_TRY(bli_pass_run(g, "channels_first"));
    return bli_pass_run(g, "spell_quant");
}

static bl_status encode(const bl_graph *g, bool by_format, char **data, size_t *size)
{
    bl_graph *copy;
    BLI_TRY(bl_graph_clone(g, &copy));
    bl_status s = prepare(copy, by_format);
    if (s == BL_OK)
        s = bli_onnx_encode(copy, data, size);
    bl_graph_destroy(copy);
    return s;
}

bl_status bl_model_write(const bl_graph *g, const char *path)
{
    bl_context *ctx = bl_graph_context(g);
    char *data = NULL;
    size_t size = 0;
    BLI_TRY(bli_within(ctx, encode(g, false, &data, &size), "write %s", path));
    bl_status s = bli_file_write(ctx, path, data, size);
    bli_free(ctx, data);
    return s;
}

bl_status bl_model_check(const bl_graph *g)
{
    char *data = NULL;
    size_t size = 0;
    bl_status s = encode(g, true, &data, &size);
    bli_free(bl_graph_context(g), data);
    return s;
}
