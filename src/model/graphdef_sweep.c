/* graphdef_sweep.c: a store lets go of large blocks that no graph needs any more.
 *
 * What a graph needs is found by walking its messages by their descriptors.  Of the messages that it was read from only
 * what is written back counts: their lists of nodes and attributes may name values that are gone.
 */
#include "model/graphdef_sweep.h"
#include "model/message.h"

static void reach_unknown(bli_tf_store *s, const bli_message *m)
{
    bli_tf_sweep_reach(s, m->unknown_fields);
    for (unsigned k = 0; k < m->n_unknown_fields; k++)
        bli_tf_sweep_reach(s, m->unknown_fields[k].data);
}

/* The depth is bounded by who decoded or built the message. */
static void reach_message(bli_tf_store *s, const bli_message *m)
{
    bli_tf_sweep_reach(s, m);
    for (unsigned k = 0; k < m->descriptor->n_fields; k++) {
        const bli_field *f = &m->descriptor->fields[k];
        size_t n = bli_field_count(m, f);
        if (n > 0 && bli_field_is_repeated(f))
            bli_tf_sweep_reach(s, bli_field_at(m, f, 0));
        for (size_t i = 0; i < n; i++) {
            const void *v = bli_field_at(m, f, i);
            if (f->type == PROTOBUF_C_TYPE_STRING)
                bli_tf_sweep_reach(s, *(char *const *)v);
            else if (f->type == PROTOBUF_C_TYPE_BYTES)
                bli_tf_sweep_reach(s, ((const ProtobufCBinaryData *)v)->data);
            else if (f->type == PROTOBUF_C_TYPE_MESSAGE && *(bli_message *const *)v)
                reach_message(s, *(bli_message *const *)v);
            else
                break; /* numbers */
        }
    }
    reach_unknown(s, m);
}

static void reach_node(bli_tf_store *s, const bli_tf_node *n)
{
    const void *const parts[] = {n, n->name, n->op, n->device, n->inputs, n->attrs};
    for (size_t i = 0; i < BLI_COUNT(parts); i++)
        bli_tf_sweep_reach(s, parts[i]);
    for (size_t i = 0; i < n->num_inputs; i++)
        bli_tf_sweep_reach(s, n->inputs[i]);
    for (size_t i = 0; i < n->num_attrs; i++) {
        bli_tf_sweep_reach(s, n->attrs[i].name);
        reach_message(s, &n->attrs[i].value->base);
    }
    if (!n->rest)
        return;
    bli_tf_sweep_reach(s, n->rest);
    reach_unknown(s, &n->rest->base);
    if (n->rest->experimental_debug_info)
        reach_message(s, &n->rest->experimental_debug_info->base);
    if (n->rest->experimental_type)
        reach_message(s, &n->rest->experimental_type->base);
}

static void reach_graph(bli_tf_store *s, const bli_tf_graph *g)
{
    bli_tf_sweep_reach(s, g);
    bli_tf_sweep_reach(s, g->nodes);
    for (size_t i = 0; i < g->num_nodes; i++)
        reach_node(s, g->nodes[i]);
    if (g->library)
        reach_message(s, &g->library->base);
    if (g->versions)
        reach_message(s, &g->versions->base);
    if (g->debug_info)
        reach_message(s, &g->debug_info->base);
    if (g->source)
        reach_unknown(s, &g->source->base);
}

void bli_tf_store_sweep(bli_tf_store *s, const bli_tf_graph *const *graphs, size_t count)
{
    bli_tf_sweep_begin(s);
    for (size_t i = 0; i < count; i++)
        reach_graph(s, graphs[i]);
    bli_tf_sweep_end(s);
}
