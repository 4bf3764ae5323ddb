/* recipe.h (internal): a recipe that has been read and checked.
 *
 * root is the text as a tree, with presets underneath and overrides on top; spec is what the key tables made of it;
 * layers is the network, one entry a layer with repeats written out; rules is the precision section, flat.
 */
#ifndef BLI_RECIPE_H
#define BLI_RECIPE_H

#include "bitlathe/recipe.h"
#include "quant/precision.h"
#include "train/recipe/layers.h"

/* Everything under data, train and output, as the tables in sections.c fill it. */
typedef struct bli_recipe_spec {
    const char *name;
    const bli_yaml *network, *precision;
    const char *model; /* instead of network: a model file */
    struct {
        const char *source, *target, *features, *separator;
        bli_ints shape;
        bool header, regression;
        int classes;
    } data;
    struct {
        bli_numbers scale, offset;
        bool standardize;
    } normalize;
    bli_numbers class_weights;
    const char *teacher;
    struct {
        const char *model, *log, *checkpoint;
    } output;
    bl_train_options options;
} bli_recipe_spec;

extern const bli_key bli_recipe_keys[]; /* the whole recipe */

enum { BLI_MAX_LAYERS = 4096 };

/* What stands at a place: a quantizer (forward places), or a format and how it is scaled (places of the step). */
typedef struct bli_format_use bli_format_use;
struct bli_format_use {
    const bli_yaml *where;
    const bli_precision *precision; /* forward places */
    const char *format, *scale;     /* places of the step */
};

typedef struct bli_place {
    const char *name;
    bool forward; /* a Quantize node in the graph; else a place of the training step */
    const char *help;
} bli_place;
extern const bli_place bli_places[];
int bli_place_count(void);
const bli_place *bli_place_find_name(const char *name); /* NULL if unknown */

typedef struct bli_rule bli_rule;
struct bli_rule {
    const bli_rule *before; /* in the order of their force: this one overrides it */
    const char *place;
    const char *type, *layer; /* both NULL: everywhere */
    bli_format_use use;
};

typedef struct bli_preset {
    const char *name, *paper, *help;
    const char *text; /* a fragment of a recipe */
} bli_preset;
int bli_preset_count(void);
const bli_preset *bli_preset_at(int i);

struct bl_recipe {
    bl_context *ctx;
    bli_arena *arena;
    bli_yaml *root;
    bli_recipe_spec spec;
    bli_layer_use *layers;
    int num_layers;
    const bli_rule *rules; /* the last and strongest one */
    const char *fingerprint;
    const char *row_shape; /* "28x28x1" or NULL */
    bl_graph *teacher;     /* read by bl_recipe_graph */
};

/* network.c: the list of layers, read and checked; then as a graph. */
BL_MUST_CHECK bl_status bli_network_read(bl_recipe *r);
BL_MUST_CHECK bl_status bli_network_build(const bl_recipe *r, const bl_dataset *data, bl_graph **out);

/* imported.c: the graph of `model:`, its nodes as layers. */
BL_MUST_CHECK bl_status bli_imported_build(bl_recipe *r, const bl_dataset *data, bl_graph **out);

/* normalize.c: Sub, Mul and Add nodes behind value *at, which becomes their output. */
BL_MUST_CHECK bl_status bli_normalize_build(const bl_recipe *r, const bl_dataset *data, bl_graph *g, int *at);

/* places.c: the precision section as rules; reading one entry ("fixed<8,2>" or a map) as a Quantize node's attributes.
 */
BL_MUST_CHECK bl_status bli_precision_read(bl_recipe *r);
BL_MUST_CHECK bl_status bli_format_use_read(bl_context *ctx, bli_arena *arena, const bli_yaml *n,
                                            const bli_place *place, bli_format_use *out);
extern const bli_key bli_step_keys[];
/* The last rule for a place of a layer (type and base may be NULL); NULL: none, or float32. */
const bli_rule *bli_rule_find(const bl_recipe *r, const char *place, const bli_layer_use *layer);
/* The rules of the training step, types and repeated names written out layer by layer. */
BL_MUST_CHECK bl_status bli_rules_for_step(const bl_recipe *r, const bl_place_rule **places, int *count);
/* Fails when a rule names a layer that is not among r->layers. */
BL_MUST_CHECK bl_status bli_precision_check_layers(const bl_recipe *r);

/* quantizers.c: the forward rules as Quantize nodes of g. */
BL_MUST_CHECK bl_status bli_precision_build(const bl_recipe *r, bl_graph *g);

/* presets.c: precision.preset's fragment goes under what the recipe says itself. */
BL_MUST_CHECK bl_status bli_preset_merge(bl_context *ctx, bli_arena *arena, bli_yaml *root);

#endif
