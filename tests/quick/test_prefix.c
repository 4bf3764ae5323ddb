/* The first steps on data of bytes, taken together: which ones, and that not a bit of the training changes. */
#include "support/test.h"

#include "bitlathe/bitlathe.h"
#include "support/data_files.h"
#include "train/engine.h"

enum { ROWS = 90, SIDE = 5, CHANNELS = 2, ELEMENTS = SIDE * SIDE * CHANNELS };

static bl_context *ctx;
static bl_tensor bytes, floats, labels;
static bl_dataset *byte_set, *float_set;

static int open_all(void **state)
{
    (void)state;
    const bl_shape x = {4, {ROWS, SIDE, SIDE, CHANNELS}}, y = {1, {ROWS}};
    uint32_t seed = 9;
    if (bl_context_create(NULL, &ctx) != BL_OK || bl_tensor_create(ctx, BL_U8, &x, &bytes) != BL_OK ||
        bl_tensor_create(ctx, BL_F32, &x, &floats) != BL_OK || bl_tensor_create(ctx, BL_I32, &y, &labels) != BL_OK)
        return -1;
    for (int i = 0; i < ROWS * ELEMENTS; i++) {
        ((uint8_t *)bytes.data)[i] = (uint8_t)(next_random(&seed) >> 8);
        ((float *)floats.data)[i] = (float)((uint8_t *)bytes.data)[i];
    }
    for (int i = 0; i < ROWS; i++)
        ((int32_t *)labels.data)[i] = i % 3;
    return bl_dataset_from_tensors(ctx, &bytes, &labels, &byte_set) == BL_OK &&
                   bl_dataset_from_tensors(ctx, &floats, &labels, &float_set) == BL_OK
               ? 0
               : -1;
}

static int close_all(void **state)
{
    (void)state;
    bl_dataset_close(byte_set);
    bl_dataset_close(float_set);
    bl_tensor_free(ctx, &bytes);
    bl_tensor_free(ctx, &floats);
    bl_tensor_free(ctx, &labels);
    bl_context_destroy(ctx);
    return 0;
}

typedef struct example {
    const char *name, *data, *layers, *precision;
    bool mapped, line;
} example;

#define HEAD "  - Flatten\n"
static const example examples[] = {
    {"a power of two within the format", "normalize: {scale: 0.00390625}", HEAD, "input: 'ufixed<8,0,RND,SAT>'", true,
     true},
    {"fewer bits than a byte", "normalize: {scale: 0.00390625}", HEAD, "input: 'ufixed<5,0,RND,SAT>'", true, false},
    {"from -1 to 1", "normalize: {scale: 0.0078125, offset: -1}", HEAD, "input: 'fixed<8,1,RND,SAT>'", true, true},
    {"saturated", "normalize: {scale: 0.0078125, offset: -1}", HEAD, "input: 'fixed<8,0,RND,SAT>'", true, false},
    {"a scale that rounds", "normalize: {scale: 0.1, offset: 0.3}", HEAD, "weight: 'fixed<5,1,RND,SAT>'", true, false},
    {"random bits only after the scale", "normalize: {scale: 0.0078125}", HEAD, "input: 'ufixed<5,1,STOCHASTIC,SAT>'",
     true, true},
    {"a number a channel", "normalize: {scale: [0.5, 0.25]}", HEAD, "input: 'ufixed<5,5,RND,SAT>'", false, false},
    {"nothing to do", "validation: 0", HEAD, "weight: 'fixed<5,1,RND,SAT>'", false, false},
    {"a learned scale", "validation: 0", HEAD, "input: {quantizer: lsq, bits: 4}", false, false},
    {"augmentation before it", "normalize: {scale: 0.0078125}, augment: {flip: true, shift: 1}", HEAD,
     "input: 'ufixed<5,1,RND,SAT>'", false, false},
    {"a relu and a branch after it", "normalize: {scale: 0.0625, offset: -8}",
     "  - ReLU: {name: a}\n  - Conv2D: {filters: 2, kernel_size: 1, name: b}\n  - Add: {inputs: [a, b]}\n" HEAD,
     "weight: 'fixed<5,1,RND,SAT>'", true, false},
};

static void build(const example *e, const bl_dataset *set, bl_recipe **r, bl_graph **g)
{
    char text[2000];
    const int n = snprintf(text, sizeof text,
                           "name: prefix\ndata: {source: none, %s}\nnetwork:\n  - Input: {shape: [%d, %d, %d]}\n%s"
                           "  - Dense: {units: 6, activation: relu}\n  - Dense: {units: 3}\n"
                           "precision: {default: {%s, activation: 'ufixed<4,2,RND,SAT>'}}\n"
                           "train: {epochs: 2, batch: 20, slices: 3, optimizer: {name: adam, lr: 0.01}}\n",
                           e->data, SIDE, SIDE, CHANNELS, e->layers, e->precision);
    assert_ok(ctx, bl_recipe_parse(ctx, e->name, text, (size_t)n, NULL, 0, r));
    assert_ok(ctx, bl_recipe_graph(*r, set, g));
}

static void prefixes_are_found_where_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(examples); i++) {
        const example *x = &examples[i];
        bl_recipe *r;
        bl_graph *g;
        bli_engine *e;
        build(x, byte_set, &r, &g);
        assert_ok(ctx, bli_engine_create(ctx, g, byte_set, bl_recipe_options(r), &e));
        if (e->prefix.mapped != x->mapped || (x->mapped && e->prefix.map.linear != x->line))
            print_error("%s: mapped %d, line %d\n", x->name, e->prefix.mapped, e->prefix.map.linear);
        assert_int_equal(e->prefix.mapped, x->mapped);
        assert_true(!x->mapped || e->prefix.map.linear == x->line);
        bli_engine_destroy(e);
        bl_graph_destroy(g);
        bl_recipe_free(r);
    }
}

/* All trained numbers. */
static uint64_t train_on(const example *x, const bl_dataset *set)
{
    bl_recipe *r;
    bl_graph *g, *m;
    bl_trainer *t;
    uint64_t h = 0;
    build(x, set, &r, &g);
    assert_ok(ctx, bl_trainer_create(ctx, g, set, bl_recipe_options(r), &t));
    assert_ok(ctx, bl_trainer_run(t, NULL, NULL));
    assert_ok(ctx, bl_trainer_model(t, &m));
    for (int v = 0; v < bl_graph_num_values(m); v++) {
        const bl_value *p = bl_graph_value(m, v);
        if (p->role == BL_ROLE_PARAMETER)
            h = h * 31 + bli_hash(p->data, (size_t)bl_shape_count(&p->shape) * bl_dtype_size(p->type));
    }
    bl_graph_destroy(m);
    bl_trainer_destroy(t);
    bl_graph_destroy(g);
    bl_recipe_free(r);
    return h;
}

static void training_is_that_of_the_same_numbers_as_floats(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(examples); i++) {
        const uint64_t a = train_on(&examples[i], byte_set), b = train_on(&examples[i], float_set);
        if (a != b)
            print_error("%s: bytes %016llx, floats %016llx\n", examples[i].name, (unsigned long long)a,
                        (unsigned long long)b);
        assert_true(a == b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_are_found_where_they_are),
        cmocka_unit_test(training_is_that_of_the_same_numbers_as_floats),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
