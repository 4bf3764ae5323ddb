/* pass_set_device.c: a device for all nodes, or for those that ask for none. */
#include "tf/transform.h"

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const char *device;
    bool if_default;
    BLI_TRY(bli_tg_arg_text(job, "device", "", &device));
    BLI_TRY(bli_tg_arg_bool(job, "if_default", false, &if_default));
    for (size_t i = 0; i < in->num_nodes; i++) {
        bli_tf_node *n = bli_tf_node_copy(job->store, in->nodes[i]);
        if (!n)
            return BL_NO_MEMORY;
        if (!if_default || !n->device[0])
            n->device = device;
        BLI_TRY(bli_tf_graph_add(out, n));
    }
    return BL_OK;
}

static const bli_tg_param params[] = {{"device", BLI_TG_TEXT, false, "the device (none)"},
                                      {"if_default", BLI_TG_BOOL, false, "only where there is none (false)"},
                                      {0}};

const bli_tg_pass bli_tg_set_device = {
    .name = "set_device", .help = "puts nodes on a device", .params = params, .run = run};
