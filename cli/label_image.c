/* label_image.c: what a TensorFlow graph sees on a picture. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { SHOWN = 5, TEST_LABEL = 653 };

static const cli_option options[] = {
    {"image", CLI_TEXT, "FILE", "picture to look at (.png, .gif, .bmp; everything else is JPEG)",
     offsetof(cli_options, image)},
    {"graph", CLI_TEXT, "FILE", "frozen graph, float or eight-bit", offsetof(cli_options, graph)},
    {"labels", CLI_TEXT, "FILE", "names of the outputs, one a line", offsetof(cli_options, labels)},
    {"input_width", CLI_TEXT, "N", "width of the graph's input; default 299", offsetof(cli_options, input_width)},
    {"input_height", CLI_TEXT, "N", "height of the graph's input; default 299", offsetof(cli_options, input_height)},
    {"input_mean", CLI_TEXT, "X", "what is taken from every pixel; default 0", offsetof(cli_options, input_mean)},
    {"input_std", CLI_TEXT, "X", "what it is then divided by; default 255", offsetof(cli_options, input_std)},
    {"input_layer", CLI_TEXT, "NAME", "default: input", offsetof(cli_options, input_layer)},
    {"output_layer", CLI_TEXT, "NAME", "default: InceptionV3/Predictions/Reshape_1",
     offsetof(cli_options, output_layer)},
    {"root_dir", CLI_TEXT, "DIR", "folder of picture and graph", offsetof(cli_options, root_dir)},
    {"self_test", CLI_FLAG, NULL, "fail unless the first label is 653", offsetof(cli_options, self_test)},
    {NULL, CLI_FLAG, NULL, NULL, 0}};

typedef struct job {
    cli *c;
    bl_graphdef *g;
    bl_tf_session *session;
    bl_tf_labels *labels;
    bl_tensor x, y;
} job;

static const char *or_default(const char *given, const char *fallback)
{
    return given ? given : fallback;
}

static bl_status in_root(cli *c, const char *path, char *out, size_t size)
{
    const char *root = or_default(c->o.root_dir, "");
    const bool joins = root[0] && path[0] != '/';
    const int n =
        snprintf(out, size, "%s%s%s", joins ? root : "", joins && root[strlen(root) - 1] != '/' ? "/" : "", path);
    return n >= 0 && (size_t)n < size ? BL_OK : cli_fail(c, BL_LIMIT, "%s/%s: the path is too long", root, path);
}

static bl_status load(job *j)
{
    cli *c = j->c;
    char path[4096];
    double height, width, mean, std;
    bl_status s = cli_number_of(c, "input_height", c->o.input_height, 299, &height);
    if (s == BL_OK)
        s = cli_number_of(c, "input_width", c->o.input_width, 299, &width);
    if (s == BL_OK)
        s = cli_number_of(c, "input_mean", c->o.input_mean, 0, &mean);
    if (s == BL_OK)
        s = cli_number_of(c, "input_std", c->o.input_std, 255, &std);
    if (s != BL_OK)
        return s;
    if (!(height >= 1 && height <= 16384 && width >= 1 && width <= 16384))
        return cli_fail(c, BL_BAD_VALUE, "--input_width and --input_height: expected 1 to 16384");
    s = in_root(c, or_default(c->o.graph, "tensorflow/examples/label_image/data/inception_v3_2016_08_28_frozen.pb"),
                path, sizeof path);
    if (s == BL_OK)
        s = bl_graphdef_read(c->ctx, path, &j->g);
    if (s == BL_OK)
        s = bl_tf_session_create(j->g, &j->session);
    if (s == BL_OK)
        s = in_root(c, or_default(c->o.image, "tensorflow/examples/label_image/data/grace_hopper.jpg"), path,
                    sizeof path);
    if (s == BL_OK)
        s = bl_tf_picture_read(c->ctx, path, (int)height, (int)width, (float)mean, (float)std, &j->x);
    if (s == BL_OK)
        s = bl_tf_labels_read(c->ctx,
                              or_default(c->o.labels, "tensorflow/examples/label_image/data/imagenet_slim_labels.txt"),
                              &j->labels);
    return s;
}

static bl_status see(job *j)
{
    const bl_npz_entry feed = {or_default(j->c->o.input_layer, "input"), j->x};
    const char *fetch = or_default(j->c->o.output_layer, "InceptionV3/Predictions/Reshape_1");
    bl_status s = bl_tf_session_run(j->session, &feed, 1, &fetch, 1, &j->y);
    if (s == BL_OK && j->y.type != BL_F32)
        return cli_fail(j->c, BL_BAD_MODEL, "'%s' is %s, expected scores in F32", fetch, bl_dtype_name(j->y.type));
    return s;
}

static bl_status say(job *j)
{
    cli *c = j->c;
    const size_t count = bl_tf_labels_count(j->labels), n = (size_t)bl_shape_count(&j->y.shape);
    const size_t k = count < SHOWN ? count : SHOWN;
    const float *scores = j->y.data;
    size_t top[SHOWN];
    if (k > n)
        return cli_fail(c, BL_BAD_VALUE, "%zu labels are asked for, but the graph has %zu outputs", k, n);
    bl_tf_top(scores, n, k, top);
    json_t *list = json_array();
    for (size_t i = 0; i < k; i++) {
        const char *label = bl_tf_labels_at(j->labels, top[i]);
        if (!c->o.json)
            fprintf(c->command ? stdout : stderr, "%s (%zu): %g\n", label, top[i], (double)scores[top[i]]);
        json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "label", label, "index", (json_int_t)top[i], "score",
                                              cli_number((double)scores[top[i]])));
    }
    cli_add(c, "labels", list);
    if (c->o.self_test && (k == 0 || top[0] != TEST_LABEL))
        return cli_fail(c, c->command ? BL_MISMATCH : BL_BAD_VALUE, "expected label #%d but got #%zu", TEST_LABEL,
                        k ? top[0] : 0); /* the old name knows no difference: 255 */
    return BL_OK;
}

bl_status cli_label_file(cli *c)
{
    job j = {.c = c};
    bl_status s = load(&j);
    if (s == BL_OK)
        s = see(&j);
    if (s == BL_OK)
        s = say(&j);
    bl_tensor_free(c->ctx, &j.x);
    bl_tensor_free(c->ctx, &j.y);
    bl_tf_labels_free(j.labels);
    bl_tf_session_destroy(j.session);
    bl_graphdef_destroy(j.g);
    return s;
}

const cli_command cli_label_image = {
    .name = "label-image",
    .synopsis = "label-image --graph FILE --image FILE --labels FILE [--input_layer NAME] [--output_layer NAME]",
    .help = "what a TensorFlow graph sees on a picture",
    .text = "Decodes a picture, scales it as TensorFlow's label_image does, runs a frozen graph, float or eight-bit,\n"
            "and prints the five labels with the largest scores.",
    .options = options,
    .run = cli_label_file};
