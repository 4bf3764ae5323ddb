/* samples.h: real data for a graph's input: pictures and npy arrays, as feeds of one run after the other.
 *
 * Parameters that transforms on samples share (BLI_TG_SAMPLE_PARAMS): images, input, mean, std.  A name that ends with
 * ".npy" is an array whose first dimension counts samples; every other one is a picture, decoded and resized as
 * label_image does.  Bytes, of pictures and arrays, become (byte - mean) / std; arrays of floats are taken as they are.
 * A run has one sample, or as many as the input's first dimension says.
 */
#ifndef BLI_TF_SAMPLES_H
#define BLI_TF_SAMPLES_H

#include "tf/session.h"
#include "tf/transform.h"

#define BLI_TG_SAMPLE_PARAMS                                                                                           \
    {"images", BLI_TG_TEXT, true,                                                                                      \
     "a picture, an .npy array of samples, or a pattern with * of such files (required)"},                             \
        {"input", BLI_TG_TEXT, false, "the output that is fed (the one of --inputs)"},                                 \
        {"mean", BLI_TG_FLOAT, false, "what is taken from every byte (0)"},                                            \
    {                                                                                                                  \
        "std", BLI_TG_FLOAT, false, "what it is then divided by (255)"                                                 \
    }

/* How a graph takes a sample: as floats, or as the bytes that quantize_nodes(input_min=, input_max=) made of them. */
typedef struct bli_tg_entry {
    const char *input; /* "node" or "node:port" */
    bl_shape shape;    /* rank -1: not known */
    bool bytes;
    float range[2]; /* of bytes */
} bli_tg_entry;
BL_MUST_CHECK bl_status bli_tg_entry_find(const bli_tg_job *job, const bli_tf_graph *g, const char *input,
                                          bli_tg_entry *out);
/* Runs a session of that graph on a feed of floats, for the job's outputs. */
BL_MUST_CHECK bl_status bli_tg_entry_run(const bli_tg_job *job, const bli_tg_entry *e, bli_tf_session *s,
                                         const bli_tf_feed *x, bli_tf_array *out);

typedef struct bli_tg_samples {
    const bli_tg_job *job;
    bli_tg_entry entry; /* of the graph that they are for */
    float mean, std;
    size_t num_files;
    const char **files; /* in the store */
} bli_tg_samples;

/* Reads the parameters, finds the files and what shape the input has in g.  Nothing is decoded yet. */
BL_MUST_CHECK bl_status bli_tg_samples_find(const bli_tg_job *job, const bli_tf_graph *g, bli_tg_samples *out);

/* Calls fn with the feed of every run, floats, in order; the array is gone afterwards. */
typedef bl_status (*bli_tg_sample_fn)(void *user, const bli_tf_feed *feed);
BL_MUST_CHECK bl_status bli_tg_samples_each(const bli_tg_samples *s, bli_tg_sample_fn fn, void *user);

#endif
