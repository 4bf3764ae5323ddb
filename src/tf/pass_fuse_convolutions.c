/* pass_fuse_convolutions.c: what prepares a picture and the convolution behind it, as one node.
 *
 * Three transforms: padding, resizing, and both.  The fused operators know channels-last pictures without dilation and
 * no half-pixel centers; what is otherwise stays, where defects are mended.
 */
#include <string.h>

#include "tf/transform.h"

static const bli_tf_node *find(const bli_tg_match *m, const char *op)
{
    if (strcmp(m->node->op, op) == 0)
        return m->node;
    for (size_t i = 0; i < m->count; i++) {
        const bli_tf_node *n = find(&m->inputs[i], op);
        if (n)
            return n;
    }
    return NULL;
}

static bl_status says(const bli_tg_found *f, const bli_tf_node *n, const char *attr, const char *text, bool *yes)
{
    const char *v;
    BLI_TRY(bli_tf_string_or(f->job->ctx, n, attr, text, &v));
    *yes = *yes && strcmp(v, text) == 0;
    return BL_OK;
}

/* Whether the fused operator computes the same. */
static bl_status fits(const bli_tg_found *f, const bli_tf_node *resize, const bli_tf_node *conv, bool *yes)
{
    const int64_t *d;
    size_t count = 0;
    bool half = false;
    *yes = true;
    if (f->job->compat)
        return BL_OK;
    BLI_TRY(says(f, conv, "data_format", "NHWC", yes));
    if (bli_tf_node_attr(conv, "dilations"))
        BLI_TRY(bli_tf_get_ints(f->job->ctx, conv, "dilations", &d, &count));
    for (size_t i = 0; i < count; i++)
        *yes = *yes && d[i] == 1;
    if (resize)
        BLI_TRY(bli_tf_bool_or(f->job->ctx, resize, "half_pixel_centers", false, &half));
    *yes = *yes && !half;
    const char *padding;
    BLI_TRY(bli_tf_get_string(f->job->ctx, conv, "padding", &padding));
    *yes = *yes && strcmp(padding, "EXPLICIT") != 0;
    return BL_OK;
}

static bl_status set_conv_attrs(const bli_tg_found *f, const bli_tf_node *conv, bli_tf_node *made)
{
    BLI_TRY(bli_tg_copy_attr(f->store, made, "T", conv));
    BLI_TRY(bli_tg_copy_attr(f->store, made, "padding", conv));
    return bli_tg_copy_attr(f->store, made, "strides", conv);
}

static bl_status add_paddings(const bli_tg_found *f, const bli_tf_node *conv, const char **name, bli_tf_graph *out)
{
    static const int64_t dim[2] = {4, 2};
    void *zeros;
    *name = bli_tf_text(f->store, "%s_dummy_paddings", conv->name);
    return *name ? bli_tg_add_const(out, *name, BLI_DT_INT32, 2, dim, NULL, &zeros, NULL) : BL_NO_MEMORY;
}

/* The node that takes a picture into the first fused one, and the constants beside it, as they are. */
static bl_status copy_inputs(const bli_tf_node *const *nodes, size_t count, bli_tf_graph *out)
{
    for (size_t i = 0; i < count; i++)
        BLI_TRY(bli_tg_add_copy(out, nodes[i]));
    return BL_OK;
}

static bl_status fuse_pad(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tg_match *pad = &f->match->inputs[0];
    const bli_tf_node *conv = f->match->node;
    bli_tf_node *made;
    bool yes;
    BLI_TRY(fits(f, NULL, conv, &yes));
    if (!yes)
        return bli_tg_match_keep(f, out);
    BLI_TRY(copy_inputs((const bli_tf_node *[]){f->match->inputs[1].node, pad->inputs[0].node, pad->inputs[1].node}, 3,
                        out));
    BLI_TRY(bli_tg_add_node(out, "FusedPadConv2D", conv->name,
                            (const char *[]){pad->node->inputs[0], pad->node->inputs[1], conv->inputs[1], NULL},
                            &made));
    BLI_TRY(bli_tg_copy_attr(f->store, made, "mode", pad->node));
    return set_conv_attrs(f, conv, made);
}

/* With or without padding between. */
static bl_status fuse_resize(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tf_node *conv = f->match->node, *resize = find(f->match, "ResizeBilinear"),
                      *pad = find(f->match, "MirrorPad");
    const bli_tg_match *r = pad ? &f->match->inputs[0].inputs[0] : &f->match->inputs[0];
    const bli_tf_node *const inputs[] = {r->inputs[0].node, r->inputs[1].node, f->match->inputs[1].node,
                                         pad ? f->match->inputs[0].inputs[1].node : NULL};
    const char *pads = pad ? pad->inputs[1] : NULL;
    bli_tf_node *made;
    bool yes;
    BLI_TRY(fits(f, resize, conv, &yes));
    if (!yes)
        return bli_tg_match_keep(f, out);
    BLI_TRY(copy_inputs(inputs, pad ? 4 : 3, out));
    if (!pad)
        BLI_TRY(add_paddings(f, conv, &pads, out));
    BLI_TRY(bli_tg_add_node(out, "FusedResizeAndPadConv2D", conv->name,
                            (const char *[]){resize->inputs[0], resize->inputs[1], pads, conv->inputs[1], NULL},
                            &made));
    const bli_tf_value *align = bli_tf_node_attr(resize, "align_corners");
    if (align || f->job->compat)
        BLI_TRY(bli_tf_node_set(f->store, made, "resize_align_corners", align));
    if (pad)
        BLI_TRY(bli_tg_copy_attr(f->store, made, "mode", pad));
    else
        BLI_TRY(bli_tf_node_set(f->store, made, "mode", bli_tf_value_string(f->store, "REFLECT")));
    return set_conv_attrs(f, conv, made);
}

static const bli_tg_pattern any = {"*", 0, NULL};
static const bli_tg_pattern resize_pattern = BLI_TG_PATTERN("ResizeBilinear", {"*", 0, NULL}, {"*", 0, NULL});

static bl_status run_pad(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern pattern =
        BLI_TG_PATTERN("Conv2D", BLI_TG_PATTERN("MirrorPad", {"*", 0, NULL}, {"*", 0, NULL}), {"*", 0, NULL});
    const bli_tg_rule rule = {&pattern, fuse_pad, false, NULL};
    return bli_tg_replace(job, in, &rule, out, NULL);
}

static bl_status run_resize(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern pattern = BLI_TG_PATTERN("Conv2D", resize_pattern, any);
    const bli_tg_rule rule = {&pattern, fuse_resize, false, NULL};
    return bli_tg_replace(job, in, &rule, out, NULL);
}

static bl_status run_both(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern pad = BLI_TG_PATTERN("MirrorPad", resize_pattern, any);
    const bli_tg_pattern pattern = BLI_TG_PATTERN("Conv2D", pad, any);
    const bli_tg_rule rule = {&pattern, fuse_resize, false, NULL};
    return bli_tg_replace(job, in, &rule, out, NULL);
}

const bli_tg_pass bli_tg_fuse_pad_and_conv = {
    .name = "fuse_pad_and_conv", .help = "MirrorPad and Conv2D as one node", .ops = "MirrorPad|Conv2D", .run = run_pad};
const bli_tg_pass bli_tg_fuse_resize_and_conv = {.name = "fuse_resize_and_conv",
                                                 .help = "ResizeBilinear and Conv2D as one node",
                                                 .ops = "ResizeBilinear|Conv2D",
                                                 .run = run_resize};
const bli_tg_pass bli_tg_fuse_resize_pad_and_conv = {.name = "fuse_resize_pad_and_conv",
                                                     .help = "ResizeBilinear, MirrorPad and Conv2D as one node",
                                                     .ops = "ResizeBilinear|MirrorPad|Conv2D",
                                                     .run = run_both};
