/* pass_remove_ema.c: fake quantization with moving averages, as fake_quantize_training makes it and freezing leaves it,
 * with the averages themselves as its range.
 *
 * The original loses the port of the quantized input and its control inputs; where defects are mended, both stay.
 */
#include "tf/transform.h"

#define AVERAGE(extreme)                                                                                               \
    BLI_TG_PATTERN(                                                                                                    \
        "Assign", {"Const", 0, NULL},                                                                                  \
        BLI_TG_PATTERN("Merge", BLI_TG_PATTERN("Switch", extreme, {"IsVariableInitialized", 0, NULL}),                 \
                       BLI_TG_PATTERN("Sub", {"Const", 0, NULL},                                                       \
                                      BLI_TG_PATTERN("Mul", {"Sub", 0, NULL},                                          \
                                                     BLI_TG_PATTERN("Sub", {"Const", 0, NULL}, {"Const", 0, NULL})))))

/* As in the original, only the minimum's inputs are looked at. */
static const bli_tg_pattern least =
    BLI_TG_PATTERN("Min", {"*", 0, NULL}, BLI_TG_PATTERN("Range", {"*", 0, NULL}, {"*", 0, NULL}, {"*", 0, NULL}));
static const bli_tg_pattern greatest = {"Max", 0, NULL};

static bl_status take_attr(const bli_tg_found *f, bli_tf_node *n, const char *attr)
{
    return f->job->compat ? bli_tg_copy_attr(f->store, n, attr, f->match->node)
                          : bli_tf_node_take(f->store, n, attr, f->match->node);
}

static bl_status replace(const bli_tg_found *f, bli_tf_graph *out)
{
    const bli_tf_node *fq = f->match->node, *x = f->match->inputs[0].node;
    const bli_tf_node *min = f->match->inputs[1].inputs[0].node, *max = f->match->inputs[2].inputs[0].node;
    bli_tf_node *n;
    const char *from = f->job->compat ? x->name : fq->inputs[0];
    BLI_TRY(bli_tg_add_node(out, fq->op, fq->name, (const char *[]){from, min->name, max->name, NULL}, &n));
    for (size_t k = 3; k < fq->num_inputs && !f->job->compat; k++)
        BLI_TRY(bli_tf_node_add_input(f->store, n, fq->inputs[k]));
    BLI_TRY(take_attr(f, n, "narrow_range"));
    BLI_TRY(take_attr(f, n, "num_bits"));
    BLI_TRY(bli_tg_add_copy(out, x));
    BLI_TRY(bli_tg_add_copy(out, min));
    return bli_tg_add_copy(out, max);
}

static bl_status run(const bli_tg_job *job, const bli_tf_graph *in, bli_tf_graph *out)
{
    const bli_tg_pattern pattern =
        BLI_TG_PATTERN("FakeQuantWithMinMaxVars", {"*", 0, NULL}, AVERAGE(least), AVERAGE(greatest));
    const bli_tg_rule rule = {&pattern, replace, false, NULL};
    return bli_tg_replace(job, in, &rule, out, NULL);
}

const bli_tg_pass bli_tg_remove_ema = {.name = "remove_ema",
                                       .help = "the ranges that fake_quantize_training averaged, as constants",
                                       .ops = "FakeQuantWithMinMaxVars",
                                       .extension = true,
                                       .run = run};
