/* test_recipe.c: recipes are read, checked whole, and built as they say.
 *
 * Length: one recipe after the other, each with what it must become or the words that it must be refused with.
 */
#include "support/test.h"

#include <math.h>

#include "bitlathe/bitlathe.h"
#include "support/folder.h"
#include "support/memory.h"
#include "train/recipe/recipe.h"

/* ---- what most tests need ---------------------------------------------------------------------------------------- */
static bl_context *ctx;

static int open_context(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) == BL_OK ? 0 : -1;
}

static int close_context(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

static bl_status parse_with(const char *text, const char *set, bl_recipe **out)
{
    return bl_recipe_parse(ctx, "r.yaml", text, strlen(text), &set, set ? 1 : 0, out);
}

static bl_recipe *parse(const char *text)
{
    bl_recipe *r;
    assert_ok(ctx, parse_with(text, NULL, &r));
    return r;
}

/* A few rows of some shape in 10 classes. */
typedef struct rows {
    bl_tensor x, y;
    bl_dataset *set;
} rows;

static rows rows_of(bl_shape shape)
{
    rows d;
    bl_shape labels = {1, {20}};
    for (int i = shape.rank; i-- > 0;)
        shape.dim[i + 1] = shape.dim[i];
    shape.dim[0] = 20;
    shape.rank++;
    assert_ok(ctx, bl_tensor_create(ctx, BL_F32, &shape, &d.x));
    assert_ok(ctx, bl_tensor_create(ctx, BL_I32, &labels, &d.y));
    for (int64_t i = 0; i < bl_shape_count(&shape); i++)
        ((float *)d.x.data)[i] = (float)(i * 7 % 256);
    for (int i = 0; i < 20; i++)
        ((int32_t *)d.y.data)[i] = i % 10;
    assert_ok(ctx, bl_dataset_from_tensors(ctx, &d.x, &d.y, &d.set));
    return d;
}

static void rows_free(rows *d)
{
    bl_dataset_close(d->set);
    bl_tensor_free(ctx, &d->x);
    bl_tensor_free(ctx, &d->y);
}

static bl_status build_on(const char *text, bl_shape shape, bl_graph **out)
{
    rows d = rows_of(shape);
    bl_recipe *r = parse(text);
    bl_status s = bl_recipe_graph(r, d.set, out);
    bl_recipe_free(r);
    rows_free(&d);
    return s;
}

static const bl_shape image = {3, {28, 28, 1}};

static const char design_example[] =
    "name: fashion-mlp\n"
    "data:\n"
    "  source: fashion-mnist\n"
    "  validation: 0.1\n"
    "  normalize: {scale: 0.00390625, offset: 0}\n"
    "network:\n"
    "  - Input: {shape: [28, 28, 1]}\n"
    "  - Flatten\n"
    "  - Dense: {units: 64, name: fc1}\n"
    "  - ReLU: {name: relu1}\n"
    "  - Dense: {units: 10, name: logits}\n"
    "precision:\n"
    "  default: {input: \"ufixed<8,0,RND,SAT>\", weight: \"fixed<6,1,RND,SAT_SYM>\", bias: \"fixed<8,2,RND,SAT>\", "
    "activation: \"ufixed<6,3,RND,SAT>\"}\n"
    "  type: {Conv2D: {weight: \"fixed<4,1,RND,SAT_SYM>\"}}\n"
    "  name: {fc1: {weight: {quantizer: lsq, format: \"int<4>\", scale: learned, granularity: channel}}}\n"
    "train: {epochs: 10, batch: 128, slices: 8, optimizer: {name: adam, lr: 0.001}, schedule: {name: cosine, warmup: "
    "0.05}, "
    "loss: cross_entropy, seed: 1}\n"
    "output: {model: fashion-mlp.onnx, log: fashion-mlp.jsonl, checkpoint: fashion-mlp.ckpt.npz}\n";

#define HEAD "data: {source: fashion-mnist}\n"
#define NET  HEAD "network:\n  - Flatten\n  - Dense: {units: 10, name: fc}\n"

/* ---- keys -------------------------------------------------------------------------------------------------------- */
static void test_an_empty_train_section_means_the_library_s_defaults(void **state)
{
    (void)state;
    bl_train_options want;
    bl_train_options_init(&want);
    bl_recipe *r = parse(NET);
    const bl_train_options *got = bl_recipe_options(r);
    assert_int_equal(got->epochs, want.epochs);
    assert_int_equal(got->batch, want.batch);
    assert_int_equal(got->slices, want.slices);
    assert_int_equal(got->seed, want.seed);
    assert_string_equal(got->optimizer.name, want.optimizer.name);
    assert_true(got->optimizer.lr == want.optimizer.lr && got->optimizer.momentum == want.optimizer.momentum);
    assert_true(got->optimizer.beta1 == want.optimizer.beta1 && got->optimizer.beta2 == want.optimizer.beta2);
    assert_true(got->optimizer.epsilon == want.optimizer.epsilon);
    assert_true(got->optimizer.weight_decay == want.optimizer.weight_decay);
    assert_true(got->optimizer.nesterov == want.optimizer.nesterov);
    assert_true(got->optimizer.clip_norm == want.optimizer.clip_norm);
    assert_true(got->optimizer.clip_value == want.optimizer.clip_value);
    assert_string_equal(got->schedule.name, want.schedule.name);
    assert_true(got->schedule.warmup == want.schedule.warmup && got->schedule.gamma == want.schedule.gamma);
    assert_true(got->schedule.period == want.schedule.period && got->schedule.final == want.schedule.final);
    assert_true(got->schedule.period_factor == want.schedule.period_factor);
    assert_string_equal(got->loss.name, want.loss.name);
    assert_true(got->loss.label_smoothing == want.loss.label_smoothing);
    assert_true(got->loss.temperature == want.loss.temperature);
    assert_true(got->loss.teacher_weight == want.loss.teacher_weight);
    assert_string_equal(got->loss_scale.mode, want.loss_scale.mode);
    assert_true(got->loss_scale.scale == want.loss_scale.scale && got->loss_scale.window == want.loss_scale.window);
    assert_true(got->validation == want.validation && got->patience == want.patience);
    assert_true(got->keep_best == want.keep_best && got->checkpoint_every == want.checkpoint_every);
    bl_recipe_free(r);
}

static void test_the_design_s_example_says_what_it_says(void **state)
{
    (void)state;
    bl_recipe *r = parse(design_example);
    const bl_train_options *o = bl_recipe_options(r);
    assert_int_equal(o->epochs, 10);
    assert_string_equal(o->schedule.name, "cosine");
    assert_true(o->schedule.warmup == 0.05 && o->validation == 0.1);
    assert_string_equal(bl_recipe_output(r, "model"), "fashion-mlp.onnx");
    assert_string_equal(o->log, "fashion-mlp.jsonl");
    assert_string_equal(o->checkpoint, "fashion-mlp.ckpt.npz");
    assert_null(bl_recipe_output(r, "nothing"));
    bl_recipe_free(r);
}

static void test_overrides_reach_every_kind_of_place(void **state)
{
    (void)state;
    bl_recipe *r;
    assert_ok(ctx, parse_with(design_example, "train.epochs=3", &r));
    assert_int_equal(bl_recipe_options(r)->epochs, 3);
    bl_recipe_free(r);
    assert_ok(ctx, parse_with(design_example, "network.2.Dense.units=32", &r));
    assert_int_equal(r->layers[2].options.units, 32);
    bl_recipe_free(r);
    assert_ok(ctx, parse_with(design_example, "network.4={Dense: {units: 7, name: last}}", &r));
    assert_int_equal(r->layers[4].options.units, 7);
    bl_recipe_free(r);
    assert_ok(ctx, parse_with(NET, "train.optimizer={name: sgd, lr: 0.5, momentum: 0.9}", &r));
    assert_string_equal(bl_recipe_options(r)->optimizer.name, "sgd");
    assert_true(bl_recipe_options(r)->optimizer.lr == 0.5);
    bl_recipe_free(r);
    /* into a name that stands for a map: the rest of it is added */
    assert_ok(ctx, parse_with(NET "train: {loss: mse, optimizer: sgd}\n", "train.loss.teacher=t.onnx", &r));
    assert_string_equal(bl_recipe_options(r)->loss.name, "mse");
    assert_string_equal(r->spec.teacher, "t.onnx");
    bl_recipe_free(r);
    assert_ok(ctx, parse_with(NET "train: {optimizer: sgd}\n", "train.optimizer.name=adamw", &r));
    assert_string_equal(bl_recipe_options(r)->optimizer.name, "adamw");
    bl_recipe_free(r);
    assert_ok(ctx, parse_with(NET, "precision.default.weight=fixed<4,1,RND,SAT_SYM>", &r));
    assert_string_equal(r->rules->place, "weight");
    bl_recipe_free(r);
    assert_ok(ctx, parse_with(design_example, "precision=", &r));
    assert_null(r->rules);
    bl_recipe_free(r);
}

/* ---- text ---------------------------------------------------------------------------------------------------------
 */
static char *printed(const bl_recipe *r)
{
    char *text;
    assert_ok(ctx, bl_recipe_print(r, &text));
    return text;
}

static void test_a_printed_recipe_is_the_same_recipe(void **state)
{
    (void)state;
    const char *const texts[] = {design_example, NET,
                                 NET "precision: {preset: wage2888, default: {bias: \"fixed<9,2>\"}}\n",
                                 HEAD "network:\n  - Dense: 10\n  - ReLU:\nname: \"a: b\\n\\\"c\\\" #\"\n"};
    for (size_t i = 0; i < BLI_COUNT(texts); i++) {
        bl_recipe *a = parse(texts[i]);
        char *once = printed(a);
        bl_recipe *b = parse(once);
        char *twice = printed(b);
        assert_string_equal(once, twice);
        assert_true(bli_yaml_equal(a->root, b->root));
        assert_string_equal(bl_recipe_options(a)->fingerprint, bl_recipe_options(b)->fingerprint);
        bl_text_free(ctx, once);
        bl_text_free(ctx, twice);
        bl_recipe_free(a);
        bl_recipe_free(b);
    }
}

static uint32_t next(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % n;
}

static bli_yaml *random_tree(bli_arena *arena, uint32_t *seed, int depth)
{
    static const char *const texts[] = {"1",    "-2.5e3",    "fixed<6,1,RND,SAT>",
                                        "a b",  "null",      "~",
                                        "true", "- x",       "{",
                                        "#",    "x: y",      "\"q\"",
                                        "'",    "tab\there", "end\n",
                                        "*a",   "&b",        "!c",
                                        "%",    "é",         "0x1f",
                                        "...",  "---",       "-",
                                        "?",    "|",         "@",
                                        "a\\b"};
    bli_yaml *n = bli_arena_alloc(arena, sizeof *n);
    *n = (bli_yaml){.origin = "t", .line = 1, .text = ""};
    n->kind = depth == 0 ? BLI_YAML_MAP : (bli_yaml_kind)next(seed, depth > 4 ? 2 : 4);
    if (n->kind == BLI_YAML_SCALAR) {
        n->text = texts[next(seed, BLI_COUNT(texts))];
        n->quoted = true;
    }
    int count = n->kind >= BLI_YAML_LIST ? (int)next(seed, 4) : 0;
    for (int i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%d", texts[next(seed, BLI_COUNT(texts))], i);
        bli_yaml_put(n, n->kind == BLI_YAML_MAP ? bli_arena_strdup(arena, key) : NULL,
                     random_tree(arena, seed, depth + 1));
    }
    return n;
}

static void test_any_tree_survives_printing_and_parsing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t seed = i;
        bli_arena *arena;
        bli_buf text;
        assert_ok(ctx, bli_arena_create(ctx, &arena));
        bli_buf_init(&text, ctx, 1 << 20);
        bli_yaml *tree = random_tree(arena, &seed, 0), *back;
        assert_ok(ctx, bli_yaml_print(&text, tree));
        assert_ok(ctx, bli_yaml_parse(arena, "t", text.data, text.size, &back));
        if (!bli_yaml_equal(tree, back))
            print_error("seed %u:\n%s", i, text.data);
        assert_true(bli_yaml_equal(tree, back));
        bli_buf_free(&text);
        bli_arena_destroy(arena);
    }
}

static void test_every_node_knows_its_line_and_column(void **state)
{
    (void)state;
    bli_arena *arena;
    bli_yaml *root;
    static const char text[] = "a:\n  b: 1\n  c: [x,\n      y]\n";
    assert_ok(ctx, bli_arena_create(ctx, &arena));
    assert_ok(ctx, bli_yaml_parse(arena, "t", text, sizeof text - 1, &root));
    const bli_yaml *y = bli_yaml_at(bli_yaml_find(bli_yaml_find(root, "a"), "c"), 1);
    char path[64];
    assert_int_equal(y->line, 4);
    assert_int_equal(y->column, 7);
    assert_int_equal(y->parent->key_line, 3);
    assert_string_equal(bli_yaml_path(y, path, sizeof path), "a.c.1");
    bli_arena_destroy(arena);
}

/* ---- what is refused, and how it is said ---------------------------------------------------------------------------
 */
typedef struct refusal {
    const char *text, *set, *words;
} refusal;

static const refusal refusals[] = {
    /* YAML */
    {"a: [1, 2\nb: 3\n", NULL, "r.yaml:2: not YAML"},
    {"a: 1\n\tb: 2\n", NULL, "r.yaml:2: not YAML"},
    {"- 1\n- 2\n", NULL, "r.yaml:1: a recipe is a map"},
    {"just words\n", NULL, "r.yaml:1: a recipe is a map"},
    {"a: &x 1\nb: *x\n", NULL, "r.yaml:1: anchors"},
    {"a: 1\nb: *x\n", NULL, "r.yaml:2: aliases"},
    {"a: !!int 1\n", NULL, "r.yaml:1: tags"},
    {"a: {<<: 1}\n", NULL, "merge keys"},
    {"a: 1\n---\nb: 2\n", NULL, "a second document"},
    {"train: {epochs: 1}\ntrain: {epochs: 2}\n", NULL, "r.yaml:2: key 'train' is here twice (first in line 1)"},
    {"[a]: 1\n", NULL, "a key must be a plain word"},
    {"a: \"x\\0y\"\n", NULL, "zero byte"},
    {"a: \"\xff\"\n", NULL, "not YAML"},
    {"a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n", NULL, "more than 32 levels deep"},
    /* keys */
    {"", NULL, "the recipe has no key 'data'"},
    {NET "train: {epoch: 3}\n", NULL, "r.yaml:5: unknown key 'epoch' in train (did you mean 'epochs'?)"},
    {NET "trian: {epochs: 3}\n", NULL, "r.yaml:5: unknown key 'trian' in the recipe (did you mean 'train'?)"},
    {NET "train:\n  epochs: ten\n", NULL,
     "r.yaml:6: train.epochs: 'ten' is not what is expected: a whole number 0 .. 1000000"},
    {NET "train: {batch: 0}\n", NULL, "train.batch: '0' is not what is expected: a whole number 1 .. 1048576"},
    {NET "train: {batch: 1.5}\n", NULL, "train.batch: '1.5'"},
    {NET "train: {seed: -1}\n", NULL, "train.seed: '-1'"},
    {NET "train: {seed: 18446744073709551616}\n", NULL, "train.seed"},
    {NET "train: {optimizer: adma}\n", NULL,
     "r.yaml:5: train.optimizer: unknown word 'adma' (did you mean 'adam'?); expected one of: sgd, adam, adamw"},
    {NET "train: {optimizer: {name: lbfgs}}\n", NULL, "train.optimizer.name: unknown word 'lbfgs'"},
    {NET "train: {optimizer: {lr: nan}}\n", NULL, "train.optimizer.lr: 'nan'"},
    {NET "train: {optimizer: {lr: 1e999}}\n", NULL, "train.optimizer.lr: '1e999'"},
    {NET "train: {optimizer: {lr: -1}}\n", NULL,
     "train.optimizer.lr: '-1' is not what is expected: a number 0 .. 1000"},
    {NET "train: {optimizer: [1]}\n", NULL, "train.optimizer: a list is not what is expected: a map"},
    {NET "train: {keep_best: maybe}\n", NULL, "train.keep_best: 'maybe' is not what is expected: true or false"},
    {NET "train: {schedule: cosin}\n", NULL, "(did you mean 'cosine'?)"},
    {NET "train: {loss: crossentropy}\n", NULL, "unknown word 'crossentropy' (did you mean 'cross_entropy'?)"},
    {NET "train: 3\n", NULL, "train: '3' is not what is expected: a map"},
    {"data: {sorce: x}\nnetwork: [Flatten]\n", NULL, "unknown key 'sorce' in data (did you mean 'source'?)"},
    {"data: {validation: 0.1}\nnetwork: [Flatten]\n", NULL, "r.yaml:1: data has no key 'source'"},
    {"data: {source: x, validation: 1}\nnetwork: [Flatten]\n", NULL, "data.validation: '1'"},
    {"data: {source: x, separator: ab}\nnetwork: [Flatten]\n", NULL, "data.separator: 'ab' (expected one character)"},
    {"data: {source: x, normalize: {standardize: true, scale: 2}}\nnetwork: [Flatten]\n", NULL,
     "standardize and numbers"},
    {HEAD, NULL, "one of the keys 'network' and 'model'"},
    {NET "model: x.onnx\n", NULL, "not both"},
    /* layers */
    {HEAD "network: []\n", NULL, "network must be a list of layers"},
    {HEAD "network: Dense\n", NULL, "network must be a list of layers"},
    {HEAD "network:\n  - Dens: {units: 3}\n", NULL, "r.yaml:3: unknown layer 'Dens' (did you mean 'Dense'?)"},
    {HEAD "network:\n  - Flaten\n", NULL, "r.yaml:3: unknown layer 'Flaten' (did you mean 'Flatten'?)"},
    {HEAD "network:\n  - Dense: {unit: 3}\n", NULL,
     "r.yaml:3: unknown key 'unit' in network.0.Dense (did you mean 'units'?)"},
    {HEAD "network:\n  - Dense\n", NULL, "has no key 'units' (outputs)"},
    {HEAD "network:\n  - Dense: {units: 0}\n", NULL, "network.0.Dense.units: '0'"},
    {HEAD "network:\n  - Dense: {units: 3, activation: rleu}\n", NULL, "unknown word 'rleu' (did you mean 'relu'?)"},
    {HEAD "network:\n  - Activation: \"quantized_rleu(6,2)\"\n", NULL, "r.yaml:3: "},
    {HEAD "network:\n  - Dense: {units: 3, activation: \"quantized_relu(99,2)\"}\n", NULL, "r.yaml:3: "},
    {HEAD "network:\n  - Conv2D: {filters: 3, kernel_size: 3, padding: sam}\n", NULL, "(did you mean 'same'?)"},
    {HEAD "network:\n  - Dense: 3\n    ReLU:\n", NULL, "a layer is a name"},
    {HEAD "network:\n  - [Dense]\n", NULL, "a layer is a name"},
    {HEAD "network:\n  - Flatten\n  - Input: {shape: [3]}\n", NULL, "r.yaml:4: Input comes first, and once"},
    {HEAD "network:\n  - Dense: {units: 3, name: a}\n  - Dense: {units: 3, name: a}\n", NULL,
     "r.yaml:4: layer name 'a' is taken by Dense in line 3"},
    {HEAD "network:\n  - Dense: {units: 3, name: \"a/b\"}\n", NULL, "layer name 'a/b'"},
    {HEAD "network:\n  - Dense: {units: 3, name: fc1}\n  - ReLU: {input: fc2}\n", NULL,
     "r.yaml:4: layer 'relu_1': no layer 'fc2' before it (did you mean 'fc1'?)"},
    {HEAD "network:\n  - Dense: {units: 3, name: a}\n  - Add: {inputs: [a]}\n", NULL, "Add takes 2 to 8 inputs, not 1"},
    {HEAD "network:\n  - Dense: {units: 3, name: a}\n  - Add: {name: s}\n", NULL, "has no key 'inputs'"},
    {HEAD "network:\n  - Repeat: {times: 5000, layers: [Flatten]}\n", NULL, "network.0.Repeat.times: '5000'"},
    {HEAD "network:\n  - Repeat: {times: 900, layers: [{Repeat: {times: 900, layers: [Flatten]}}]}\n", NULL,
     "more than 4096 layers"},
    {HEAD "network:\n  - Quantize\n", NULL, "Quantize needs a format or a quantizer"},
    {HEAD "network:\n  - Quantize: {format: \"fixed<0,1>\"}\n", NULL, "r.yaml:3: "},
    /* precision */
    {NET "precision: {defualt: {weight: \"fixed<6,1>\"}}\n", NULL,
     "unknown key 'defualt' in precision (did you mean 'default'?)"},
    {NET "precision: {default: {wieght: \"fixed<6,1>\"}}\n", NULL,
     "unknown place 'wieght' in precision.default (did you mean 'weight'?)"},
    {NET "precision: {default: {weight: fixed<6,1>}}\n", NULL, "needs quotes"},
    {NET "precision: {default: {weight: \"fixed<99,1>\"}}\n", NULL, "99"},
    {NET "precision: {default: {weight: \"fxed<6,1>\"}}\n", NULL, "r.yaml:5: "},
    {NET "precision: {default: {weight: \"fixed<6,1,RUND>\"}}\n", NULL, "RUND"},
    {NET "precision: {default: {weight: [1]}}\n", NULL, "expected a format"},
    {NET "precision: {default: [1]}\n", NULL, "expected formats by place"},
    {NET "precision: 3\n", NULL, "expected a map with the keys preset"},
    {NET "precision: {type: {Dens: {weight: \"fixed<6,1>\"}}}\n", NULL,
     "unknown layer type 'Dens' in precision.type (did you mean 'Dense'?)"},
    {NET "precision: {name: {fd: {weight: \"fixed<6,1>\"}}}\n", NULL,
     "r.yaml:5: precision.name: there is no layer 'fd'"},
    {NET "precision: {default: {weight: {quantizer: lsk, bits: 4}}}\n", NULL, "lsk"},
    {NET "precision: {default: {weight: {quantizer: lsq, bits: 99}}}\n", NULL, "99"},
    {NET "precision: {default: {weight: {quantizer: lsq, bits: 4, granulrity: channel}}}\n", NULL, "granularity"},
    {NET "precision: {default: {weight: {quantizer: lsq, bits: 4, widths: [3]}}}\n", NULL,
     "r.yaml:5: option widths: quantizer lsq takes none, only ste does"},
    {NET "precision: {default: {weight: {format: \"float<e4m3>\", widths: [3]}}}\n", NULL,
     "only fixed, int and affine"},
    {NET "precision: {default: {weight: {format: float32, widths: [3]}}}\n", NULL, "float32 has no widths"},
    {NET "precision: {default: {weight: {format: int<4>, widths: [3, 33]}}}\n", NULL,
     "number 1 is 33, expected a whole"},
    {NET "precision: {default: {weight: {format: int<4>, widths: [2.5]}}}\n", NULL, "number 0 is 2.5"},
    {NET "precision: {default: {weight: {format: int<4>, widths: [four]}}}\n", NULL,
     "expected a list of whole numbers"},
    {NET "precision: {default: {weight: {format: int<4>, widths: []}}}\n", NULL, "option widths: there are none"},
    {NET "precision: {default: {weight: {format: int<4>, widths: 3}}}\n", NULL, "or the name of a .npy file"},
    {NET "precision: {default: {weight: {format: int<4>, widths: none/such.npy}}}\n", NULL, "none/such.npy"},
    {NET "precision: {default: {error: {format: \"float<e5m2>\", scale: dinamic}}}\n", NULL,
     "(did you mean 'dynamic'?)"},
    {NET "precision: {default: {error: \"float<e9>\"}}\n", NULL, "r.yaml:5: "},
    {NET "precision: {preset: fp9}\n", NULL, "unknown preset 'fp9' (did you mean 'fp8'?)"},
    /* --set */
    {NET, "train.epochs", "--set train.epochs: expected key=value"},
    {NET, "train..epochs=3", "an empty name in the path"},
    {NET, "train.epochs=x", "--set train.epochs=x: train.epochs: 'x'"},
    {NET, "train.epoch=3", "--set train.epoch=3: unknown key 'epoch' in train (did you mean 'epochs'?)"},
    {NET, "network.7.Dense.units=3",
     "--set network.7.Dense.units=3: '7' is not an element of the list (expected 0 .. 1)"},
    {NET, "network.x=3", "'x' is not an element"},
    {NET, "network.0.Dense=3", "network.0 is 'Flatten', which has no 'Dense' in it"},
    {NET, "train={a: [}", "--set train={a: [}:1: not YAML"},
    {NET, "=3", "expected key=value"},
};

static void test_what_is_wrong_is_refused_with_its_place(void **state)
{
    (void)state;
    int missing = 0;
    for (size_t i = 0; i < BLI_COUNT(refusals); i++) {
        bl_recipe *r = (bl_recipe *)&ctx;
        bl_status s = parse_with(refusals[i].text, refusals[i].set, &r);
        bool said = s != BL_OK && strstr(bl_context_message(ctx), refusals[i].words);
        if (!said)
            print_error("%s--set %s\nexpected '%s', got %s: %s\n", refusals[i].text,
                        refusals[i].set ? refusals[i].set : "", refusals[i].words, bl_status_name(s),
                        s ? bl_context_message(ctx) : "");
        missing += !said;
        assert_null(r);
    }
    assert_int_equal(missing, 0);
}

static const refusal unbuildable[] = {
    {HEAD "network:\n  - Input: {shape: [28, 28, 3]}\n  - Flatten\n  - Dense: 10\n", NULL,
     "r.yaml:3: Input has shape [28, 28, 3], a row of the data [28, 28, 1]"},
    {HEAD "network:\n  - Flatten\n  - Conv2D: {filters: 3, kernel_size: 3, name: c}\n", NULL,
     "r.yaml:4: layer 'c' (Conv2D): its input has shape [N, 784] (expected [N, rows, columns, channels])"},
    {HEAD "network:\n  - Conv2D: {filters: 3, kernel_size: 29}\n", NULL,
     "kernel_size spans 29 in dimension 1, its input has only 28"},
    {HEAD "network:\n  - Conv2D: {filters: 3, kernel_size: [3, 3, 3]}\n", NULL,
     "kernel_size has 3 numbers (expected 1 or 2)"},
    {HEAD "network:\n  - Conv2D: {filters: 3, kernel_size: 3, groups: 2}\n", NULL,
     "groups 2 must divide the 1 input channels"},
    {HEAD "network:\n  - Flatten\n  - Dense: {units: 7, name: last}\n", NULL,
     "r.yaml:4: the network's output has shape [N, 7], the data 10 classes (expected [N, 10])"},
    {HEAD "network:\n  - Dense: 10\n", NULL, "expected [N, 10]"},
    {HEAD "network:\n  - Reshape: {target_shape: [5, -1]}\n", NULL, "target_shape has 5 elements, its input 784"},
    {HEAD "network:\n  - Reshape: {target_shape: [-1, -1]}\n", NULL, "value -1 at index 1"},
    {HEAD "network:\n  - Permute: {dims: [1, 1, 2]}\n", NULL, "dims must name each of 1 .. 3 once"},
    {HEAD "network:\n  - Cropping2D: 14\n", NULL, "cropping 14 + 14 leaves nothing of dimension 1, which has 28"},
    {HEAD "network:\n  - Flatten\n  - Dense: {units: 10, name: a}\n  - Dense: {units: 9, name: b}\n  - Add: {inputs: "
          "[a, b]}\n",
     NULL, "r.yaml:6: layer 'add_1' (Add): inputs 'a/bias' and 'b/bias' have shapes [N, 10] and [N, 9]"},
    {HEAD
     "network:\n  - Flatten: {name: a}\n  - Dense: {units: 10, name: b}\n  - Concatenate: {inputs: [a, b], axis: 2}\n",
     NULL, "axis 2 of a rank 2 input"},
    {NET "train: {loss: {class_weights: [1, 2]}}\n", NULL, "class_weights has 2 numbers (expected 10, one per class)"},
    {"data: {source: x, normalize: {scale: [1, 2, 3]}}\nnetwork: [Flatten, Dense: 10]\n", NULL,
     "data.normalize.scale has 3 numbers (expected 1 or 1, one per channel)"},
    {"data: {source: x, normalize: {scale: 0}}\nnetwork: [Flatten, Dense: 10]\n", NULL,
     "data.normalize.scale: 0 is not what is expected: a number of float32 that is not 0"},
    {"data: {source: x, normalize: {scale: [1e-60]}}\nnetwork: [Flatten, Dense: 10]\n", NULL,
     "data.normalize.scale: 1e-60"},
    {"data: {source: x, normalize: {offset: 1e60}}\nnetwork: [Flatten, Dense: 10]\n", NULL,
     "data.normalize.offset: 1e+60 is not what is expected: a number of float32"},
    {NET "precision: {default: {activation: {format: \"int<4>\", scale: auto}}}\n", NULL,
     "which only parameters allow"},
};

static void test_what_does_not_fit_the_data_is_refused_with_its_place(void **state)
{
    (void)state;
    int missing = 0;
    for (size_t i = 0; i < BLI_COUNT(unbuildable); i++) {
        rows d = rows_of(image);
        bl_recipe *r;
        bl_graph *g = NULL;
        bl_status s = parse_with(unbuildable[i].text, NULL, &r);
        if (s == BL_OK) {
            s = bl_recipe_graph(r, d.set, &g);
            assert_null(g);
        }
        bool said = s != BL_OK && strstr(bl_context_message(ctx), unbuildable[i].words);
        if (!said)
            print_error("%s\nexpected '%s', got %s: %s\n", unbuildable[i].text, unbuildable[i].words, bl_status_name(s),
                        s ? bl_context_message(ctx) : "");
        missing += !said;
        bl_recipe_free(r);
        rows_free(&d);
    }
    assert_int_equal(missing, 0);
}

static void test_files_that_are_not_there_are_named(void **state)
{
    (void)state;
    bl_recipe *r;
    assert_fails(ctx, BL_NOT_FOUND, "nowhere/r.yaml", bl_recipe_read(ctx, "/nowhere/r.yaml", NULL, 0, &r));
    rows d = rows_of(image);
    bl_graph *g;
    r = parse(HEAD "model: /nowhere/m.onnx\n");
    assert_fails(ctx, BL_NOT_FOUND, "r.yaml:2: ", bl_recipe_graph(r, d.set, &g));
    bl_recipe_free(r);
    r = parse(NET "train: {loss: {teacher: /nowhere/t.onnx}}\n");
    assert_fails(ctx, BL_NOT_FOUND, "r.yaml:5: ", bl_recipe_graph(r, d.set, &g));
    bl_recipe_free(r);
    rows_free(&d);
    bl_dataset *set;
    r = parse("data:\n  source: /nowhere/at-all\nnetwork: [Flatten]\n");
    assert_int_not_equal(bl_recipe_dataset(r, "train", &set), BL_OK);
    assert_non_null(strstr(bl_context_message(ctx), "r.yaml:2: "));
    bl_recipe_free(r);
}

/* ---- layers ---------------------------------------------------------------------------------------------------------
 */
/* Layers on [28, 28, 1] unless the text begins with an Input; the shape of the last one, as Keras has it. */
typedef struct shaped {
    const char *layers, *shape;
} shaped;
static const shaped shapes[] = {
    {"[Flatten]", "[N, 784]"},
    {"[Dense: 5]", "[N, 28, 28, 5]"},
    {"[Conv2D: {filters: 4, kernel_size: 3}]", "[N, 26, 26, 4]"},
    {"[Conv2D: {filters: 4, kernel_size: 3, padding: same}]", "[N, 28, 28, 4]"},
    {"[Conv2D: {filters: 4, kernel_size: [3, 5], strides: 2, padding: same}]", "[N, 14, 14, 4]"},
    {"[Conv2D: {filters: 4, kernel_size: 3, strides: [2, 3]}]", "[N, 13, 9, 4]"},
    {"[Conv2D: {filters: 4, kernel_size: 3, dilation_rate: 2}]", "[N, 24, 24, 4]"},
    {"[Conv2D: {filters: 4, kernel_size: 3}, Conv2D: {filters: 6, kernel_size: 3, groups: 2}]", "[N, 24, 24, 6]"},
    {"[Conv2D: {filters: 4, kernel_size: 3}, DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2}]",
     "[N, 24, 24, 8]"},
    {"[Conv2D: {filters: 4, kernel_size: 3}, SeparableConv2D: {filters: 5, kernel_size: 3}]", "[N, 24, 24, 5]"},
    {"[Conv2DTranspose: {filters: 3, kernel_size: 3, strides: 2}]", "[N, 57, 57, 3]"},
    {"[Conv2DTranspose: {filters: 3, kernel_size: 3, strides: 2, padding: same}]", "[N, 56, 56, 3]"},
    {"[Conv2DTranspose: {filters: 3, kernel_size: 2, strides: 3}]", "[N, 84, 84, 3]"},
    {"[MaxPooling2D]", "[N, 14, 14, 1]"},
    {"[MaxPooling2D: {pool_size: 3, strides: 2, padding: same}]", "[N, 14, 14, 1]"},
    {"[AveragePooling2D: 3]", "[N, 9, 9, 1]"},
    {"[GlobalAveragePooling2D]", "[N, 1]"},
    {"[GlobalMaxPooling2D: {keepdims: true}]", "[N, 1, 1, 1]"},
    {"[ZeroPadding2D]", "[N, 30, 30, 1]"},
    {"[ZeroPadding2D: {padding: [1, 2]}]", "[N, 30, 32, 1]"},
    {"[ZeroPadding2D: {padding: [1, 2, 3, 4]}]", "[N, 31, 35, 1]"},
    {"[Cropping2D: {cropping: [1, 2, 3, 4]}]", "[N, 25, 21, 1]"},
    {"[Reshape: {target_shape: [14, -1]}]", "[N, 14, 56]"},
    {"[Permute: {dims: [3, 1, 2]}]", "[N, 1, 28, 28]"},
    {"[BatchNormalization, ReLU, LeakyReLU, Activation: tanh, Dropout: 0.5, Identity, Softmax]", "[N, 28, 28, 1]"},
    {"[ReLU: {max_value: 6}, Activation: relu6, Activation: hard_tanh, Activation: hard_sigmoid, Activation: "
     "hard_swish, "
     "Activation: sigmoid, Activation: leaky_relu, Activation: linear]",
     "[N, 28, 28, 1]"},
    {"[Identity: {name: a}, ReLU: {name: b}, Add: {inputs: [a, b, a]}, Subtract: {inputs: [a, b]}, Multiply: {inputs: "
     "[a, b]}]",
     "[N, 28, 28, 1]"},
    {"[Identity: {name: a}, ReLU: {name: b}, Concatenate: {inputs: [a, b]}]", "[N, 28, 28, 2]"},
    {"[Identity: {name: a}, ReLU: {name: b}, Concatenate: {inputs: [a, b], axis: 1}]", "[N, 56, 28, 1]"},
    {"[Quantize: \"ufixed<8,8>\"]", "[N, 28, 28, 1]"},
    {"[Activation: \"quantized_relu(6,2)\", Dense: {units: 3, activation: \"quantized_bits(4,0)\", name: d}]",
     "[N, 28, 28, 3]"},
    {"[Repeat: {times: 3, layers: [Conv2D: {filters: 2, kernel_size: 3, name: c}]}]", "[N, 22, 22, 2]"},
    {"[Input: {shape: [784]}, Dense: 3]", "[N, 3]"},
    {"[Input: {shape: [49, 16]}, Conv1D: {filters: 4, kernel_size: 3}]", "[N, 47, 4]"},
    {"[Input: {shape: [49, 16]}, DepthwiseConv1D: {kernel_size: 3, padding: same}]", "[N, 49, 16]"},
    {"[Input: {shape: [49, 16]}, SeparableConv1D: {filters: 4, kernel_size: 4, strides: 2, padding: same}]",
     "[N, 25, 4]"},
    {"[Input: {shape: [49, 16]}, MaxPooling1D, AveragePooling1D: 4]", "[N, 6, 16]"},
    {"[Input: {shape: [49, 16]}, GlobalAveragePooling1D]", "[N, 16]"},
    {"[Input: {shape: [49, 16]}, GlobalMaxPooling1D]", "[N, 16]"},
    {"[Input: {shape: [49, 16]}, ZeroPadding1D: {padding: [2, 3]}, Cropping1D: 1]", "[N, 52, 16]"},
};

static void test_layers_have_keras_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLI_COUNT(shapes); i++) {
        char text[1024], got[128];
        rows d = rows_of(image);
        bl_graph *g;
        snprintf(text, sizeof text, HEAD "network: %s\n", shapes[i].layers);
        bl_recipe *r = parse(text);
        bl_status s = bli_network_build(r, d.set, &g);
        if (s != BL_OK)
            print_error("%s\n", shapes[i].layers);
        assert_ok(ctx, s);
        bl_shape_print(&bl_graph_value(g, bl_graph_output(g, 0))->shape, got, sizeof got);
        if (strcmp(got, shapes[i].shape) != 0)
            print_error("%s\n", shapes[i].layers);
        assert_string_equal(got, shapes[i].shape);
        assert_ok(ctx, bl_graph_verify(g));
        bl_graph_destroy(g);
        bl_recipe_free(r);
        rows_free(&d);
    }
}

static bool has_node(const bl_graph *g, const char *name, const char *type)
{
    int id = bl_graph_find_node(g, name);
    if (id < 0 || strcmp(bl_graph_node(g, id)->type, type) != 0)
        print_error("no %s '%s'\n", type, name);
    return id >= 0 && strcmp(bl_graph_node(g, id)->type, type) == 0;
}

static const char *format_at(const bl_graph *g, const char *name)
{
    int id = bl_graph_find_node(g, name);
    return id < 0 ? NULL : bl_node_string(bl_graph_node(g, id), "format", "");
}

static void test_names_follow_the_layer(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(ctx, build_on(design_example, image, &g));
    assert_true(has_node(g, "fc1", "MatMul"));
    assert_true(has_node(g, "fc1/bias", "Add"));
    assert_true(has_node(g, "fc1/weight_quant", "Quantize"));
    assert_true(has_node(g, "fc1/bias_quant", "Quantize"));
    assert_true(has_node(g, "relu1", "Relu"));
    assert_true(has_node(g, "relu1/activation_quant", "Quantize"));
    assert_true(has_node(g, "input/input_quant", "Quantize"));
    assert_true(has_node(g, "normalize/scale", "Mul"));
    assert_int_equal(bl_graph_find_node(g, "normalize/offset"), -1);
    assert_int_equal(bl_graph_find_node(g, "logits/activation_quant"), -1);
    const bl_value *w = bl_graph_value(g, bl_graph_find_value(g, "fc1.weight"));
    const bl_value *s = bl_graph_value(g, bl_graph_find_value(g, "fc1.weight_scale"));
    assert_string_equal(w->place, "weight");
    assert_int_equal(w->role, BL_ROLE_PARAMETER);
    assert_string_equal(s->place, "scale");
    assert_int_equal(s->shape.rank, 1);
    assert_int_equal(s->shape.dim[0], 64);
    assert_true(((const float *)s->data)[0] > 0);
    assert_string_equal(bl_graph_meta(g, "bitlathe.loss"), "cross_entropy");
    bl_graph_destroy(g);
}

static void test_repeated_blocks_refer_to_their_own_round(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(ctx,
              build_on(HEAD "network:\n"
                            "  - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: stem}\n"
                            "  - Repeat:\n"
                            "      times: 2\n"
                            "      layers:\n"
                            "        - Identity: {name: skip}\n"
                            "        - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: conv}\n"
                            "        - Add: {inputs: [skip, conv], name: sum}\n"
                            "  - GlobalAveragePooling2D\n"
                            "  - Dense: 10\n"
                            "precision: {name: {conv: {weight: \"fixed<4,1>\"}, conv_2: {weight: \"fixed<3,1>\"}}}\n",
                       image, &g));
    const bl_node *sum = bl_graph_node(g, bl_graph_find_node(g, "sum_2"));
    assert_string_equal(bl_graph_value(g, sum->inputs[0])->name, "skip_2");
    assert_string_equal(bl_graph_value(g, sum->inputs[1])->name, "conv_2");
    const bl_node *skip = bl_graph_node(g, bl_graph_find_node(g, "skip_2"));
    assert_string_equal(bl_graph_value(g, skip->inputs[0])->name, "sum_1");
    assert_string_equal(format_at(g, "conv_1/weight_quant"), "fixed<4,1>");
    assert_string_equal(format_at(g, "conv_2/weight_quant"), "fixed<3,1>");
    bl_graph_destroy(g);
}

/* ---- first values ---------------------------------------------------------------------------------------------------
 */
static void test_first_values_depend_on_seed_and_name_alone(void **state)
{
    (void)state;
    bl_graph *a, *b, *c;
    assert_ok(ctx, build_on(NET, image, &a));
    assert_ok(ctx,
              build_on(HEAD "network: [Flatten, Dense: {units: 5, name: other}, Flatten, Dense: {units: 10, name: fc, "
                            "input: flatten_1}]\n",
                       image, &b));
    assert_ok(ctx, build_on(NET "train: {seed: 2}\n", image, &c));
    const bl_value *wa = bl_graph_value(a, bl_graph_find_value(a, "fc.weight"));
    const bl_value *wb = bl_graph_value(b, bl_graph_find_value(b, "fc.weight"));
    const bl_value *wc = bl_graph_value(c, bl_graph_find_value(c, "fc.weight"));
    size_t bytes = (size_t)bl_shape_count(&wa->shape) * sizeof(float);
    assert_memory_equal(wa->data, wb->data, bytes);
    assert_int_not_equal(memcmp(wa->data, wc->data, bytes), 0);
    bl_graph_destroy(a);
    bl_graph_destroy(b);
    bl_graph_destroy(c);
}

/* Deviation and greatest magnitude that each initializer promises for fans 300 and 100. */
static void test_initializers_have_their_spread(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double deviation, most;
    } want[] = {{"glorot_uniform", 0.0707107, 0.1224745},
                {"glorot_normal", 0.0707107, 0.1608},
                {"he_uniform", 0.0816497, 0.1414214},
                {"he_normal", 0.0816497, 0.18566},
                {"lecun_uniform", 0.0577350, 0.1},
                {"lecun_normal", 0.0577350, 0.13128},
                {"random_uniform", 0.0288675, 0.05},
                {"random_normal", 0.05, 0.35},
                {"zeros", 0, 0},
                {"ones", 0, 1}};
    enum { N = 30000 };
    static float x[N];
    for (size_t i = 0; i < BLI_COUNT(want); i++) {
        bli_fill fill = {.initializer = want[i].name, .fan_in = 300, .fan_out = 100};
        double sum = 0, square = 0, most = 0;
        bli_initialize(&fill, 5, "w", x, N);
        for (int k = 0; k < N; k++) {
            sum += (double)x[k];
            most = fmax(most, fabs((double)x[k]));
        }
        for (int k = 0; k < N; k++)
            square += ((double)x[k] - sum / N) * ((double)x[k] - sum / N);
        double deviation = sqrt(square / N);
        /* the deviation of a sample of N scatters by 1 / sqrt(2 N) at most: 0.41 %; 5 of those */
        if (fabs(deviation - want[i].deviation) > 0.021 * want[i].deviation || most > want[i].most * 1.0001)
            print_error("%s: deviation %g, greatest %g\n", want[i].name, deviation, most);
        assert_true(fabs(deviation - want[i].deviation) <= 0.021 * want[i].deviation);
        assert_true(most <= want[i].most * 1.0001);
    }
}

/* ---- normalisation
 * ---------------------------------------------------------------------------------------------------- */
static void test_standardize_takes_mean_and_deviation_per_channel(void **state)
{
    (void)state;
    rows d = rows_of((bl_shape){2, {5, 2}});
    bl_recipe *r = parse("data: {source: x, normalize: {standardize: true}}\nnetwork: [Flatten, Dense: 10]\n");
    bl_graph *g;
    assert_ok(ctx, bl_recipe_graph(r, d.set, &g));
    const float *mean = bl_graph_value(g, bl_graph_find_value(g, "normalize.mean"))->data;
    const float *factor = bl_graph_value(g, bl_graph_find_value(g, "normalize.factor"))->data;
    for (int c = 0; c < 2; c++) {
        double sum = 0, square = 0;
        for (int i = c; i < 200; i += 2)
            sum += (double)((float *)d.x.data)[i];
        for (int i = c; i < 200; i += 2)
            square += pow((double)((float *)d.x.data)[i] - sum / 100, 2);
        assert_true(fabs((double)mean[c] - sum / 100) < 1e-4);
        assert_true(fabs((double)factor[c] - 1 / sqrt(square / 100)) < 1e-8);
    }
    bl_graph_destroy(g);
    bl_recipe_free(r);
    rows_free(&d);
}

static void test_normalisation_per_channel_becomes_nodes(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(ctx, build_on("data: {source: x, normalize: {scale: [0.5, 2], offset: [1, -1]}}\n"
                            "network: [Flatten, Dense: 10]\n",
                            (bl_shape){2, {5, 2}}, &g));
    assert_true(has_node(g, "normalize/scale", "Mul"));
    assert_true(has_node(g, "normalize/offset", "Add"));
    const float *offset = bl_graph_value(g, bl_graph_find_value(g, "normalize.offset"))->data;
    assert_true(offset[0] == 1 && offset[1] == -1);
    bl_graph_destroy(g);
}

/* ---- precision
 * -------------------------------------------------------------------------------------------------------- */
#define CNN                                                                                                            \
    HEAD "network:\n  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: c1}\n  - Flatten\n"               \
         "  - Dense: {units: 8, name: fc1}\n  - ReLU: {name: relu1}\n  - Dense: {units: 10, name: fc2}\n  - Softmax: " \
         "{name: sm}\n"

static void test_name_beats_type_beats_default(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(
        ctx,
        build_on(CNN "precision:\n"
                     "  default: {weight: \"fixed<8,1>\", activation: \"ufixed<8,4>\"}\n"
                     "  type: {Dense: {weight: \"fixed<6,1>\"}}\n"
                     "  name: {fc2: {weight: \"fixed<4,1>\", activation: \"fixed<9,5>\"}, c1: {activation: float32}}\n",
                 image, &g));
    assert_string_equal(format_at(g, "c1/weight_quant"), "fixed<8,1>");
    assert_string_equal(format_at(g, "fc1/weight_quant"), "fixed<6,1>");
    assert_string_equal(format_at(g, "fc2/weight_quant"), "fixed<4,1>");
    assert_string_equal(format_at(g, "relu1/activation_quant"), "ufixed<8,4>");
    assert_string_equal(format_at(g, "fc2/activation_quant"), "fixed<9,5>");
    assert_null(format_at(g, "c1/activation_quant"));
    assert_null(format_at(g, "sm/activation_quant"));
    assert_null(format_at(g, "fc1/bias_quant"));
    assert_null(format_at(g, "input/input_quant"));
    bl_graph_destroy(g);
}

static void test_each_place_alone_is_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *place, *nodes[5];
    } want[] = {{"input", {"input/input_quant"}},
                {"weight", {"c1/weight_quant", "fc1/weight_quant", "fc2/weight_quant"}},
                {"bias", {"c1/bias_quant", "fc1/bias_quant", "fc2/bias_quant"}},
                {"activation", {"c1/activation_quant", "relu1/activation_quant"}},
                {"accumulator", {"c1/accumulator_quant", "fc1/accumulator_quant", "fc2/accumulator_quant"}},
                {"error", {NULL}}};
    for (size_t i = 0; i < BLI_COUNT(want); i++) {
        char text[1024];
        bl_graph *g;
        int quantizers = 0, expected = 0;
        snprintf(text, sizeof text, CNN "precision: {default: {%s: \"fixed<16,6,RND,SAT>\"}}\n", want[i].place);
        assert_ok(ctx, build_on(text, image, &g));
        for (int n = 0; n < bl_graph_num_nodes(g); n++)
            quantizers += strcmp(bl_graph_node(g, n)->type, "Quantize") == 0;
        for (; want[i].nodes[expected]; expected++)
            assert_true(has_node(g, want[i].nodes[expected], "Quantize"));
        assert_int_equal(quantizers, expected);
        bl_graph_destroy(g);
    }
}

static void test_everything_is_one_line(void **state)
{
    (void)state;
    bl_recipe *r = parse(CNN "precision: {default: \"fixed<16,6,STOCHASTIC,SAT>\"}\n");
    const bl_train_options *o = bl_recipe_options(r);
    assert_int_equal(o->num_places, 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(o->places[i].format, "fixed<16,6,STOCHASTIC,SAT>");
        assert_null(o->places[i].layer);
    }
    for (int i = 0; i < bli_place_count(); i++)
        assert_non_null(bli_rule_find(r, bli_places[i].name, NULL));
    bl_recipe_free(r);
}

static void test_rules_of_the_step_name_their_layers_in_order_of_force(void **state)
{
    (void)state;
    bl_recipe *r = parse(CNN "precision:\n"
                             "  default: {error: \"float<e5m2>\"}\n"
                             "  type: {Dense: {error: {format: \"int<8>\", scale: dynamic}}}\n"
                             "  name: {fc2: {error: float32}}\n");
    const bl_train_options *o = bl_recipe_options(r);
    assert_int_equal(o->num_places, 4);
    assert_null(o->places[0].layer);
    assert_string_equal(o->places[1].layer, "fc1");
    assert_string_equal(o->places[1].scale, "dynamic");
    assert_string_equal(o->places[2].layer, "fc2");
    assert_string_equal(o->places[3].layer, "fc2");
    assert_string_equal(o->places[3].format, "float32");
    bl_recipe_free(r);
}

static void test_sums_are_quantized_behind_their_bias(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(ctx,
              build_on(CNN "precision: {default: {accumulator: \"fixed<16,6>\", bias: \"fixed<8,2>\"}}\n", image, &g));
    const bl_node *q = bl_graph_node(g, bl_graph_find_node(g, "fc1/accumulator_quant"));
    assert_string_equal(bl_graph_value(g, q->inputs[0])->name, "fc1/bias");
    q = bl_graph_node(g, bl_graph_find_node(g, "c1/accumulator_quant"));
    assert_string_equal(bl_graph_value(g, q->inputs[0])->name, "c1");
    const bl_node *relu = bl_graph_node(g, bl_graph_find_node(g, "relu1"));
    assert_string_equal(bl_graph_value(g, relu->inputs[0])->name, "fc1/accumulator_quant");
    bl_graph_destroy(g);
}

static void test_channel_scales_follow_the_output_channels(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(ctx, build_on(CNN "precision: {default: {weight: {quantizer: lsq, bits: 4, granularity: channel}}}\n",
                            image, &g));
    assert_int_equal(bl_graph_value(g, bl_graph_find_value(g, "c1.weight_scale"))->shape.dim[0], 4);
    assert_int_equal(bl_graph_value(g, bl_graph_find_value(g, "fc1.weight_scale"))->shape.dim[0], 8);
    assert_int_equal(bl_node_int(bl_graph_node(g, bl_graph_find_node(g, "c1/weight_quant")), "axis", -9), 0);
    bl_graph_destroy(g);
}

static void assert_widths(const bl_graph *g, const char *node, bl_shape want, float first, float last)
{
    const bl_node *q = bl_graph_node(g, bl_graph_find_node(g, node));
    assert_int_equal(q->num_inputs, 3);
    const bl_value *w = bl_graph_value(g, q->inputs[2]);
    assert_int_equal(w->type, BL_F32); /* which model files hold */
    assert_int_equal(w->shape.rank, want.rank);
    for (int d = 0; d < want.rank; d++)
        assert_int_equal(w->shape.dim[d], want.dim[d]);
    const float *n = w->data;
    assert_true(n[0] == first);
    assert_true(n[bl_shape_count(&want) - 1] == last);
}

static void test_listed_widths_follow_the_channels(void **state)
{
    (void)state;
    bl_graph *g;
    assert_ok(ctx,
              build_on(CNN "precision:\n  name:\n"
                           "    c1: {weight: {format: \"fixed<8,1>\", widths: [2, 3, 4, 5]},\n"
                           "         activation: {format: \"ufixed<8,3>\", widths: [6, 6, 6, 7]}}\n"
                           "    fc1: {weight: {format: int<8>, scale: learned, widths: [1, 2, 3, 4, 5, 6, 7, 8]}}\n"
                           "    fc2: {weight: {format: int<8>, widths: [5]}}\n",
                       image, &g));
    assert_widths(g, "c1/weight_quant", (bl_shape){4, {4, 1, 1, 1}}, 2, 5);
    assert_widths(g, "c1/activation_quant", (bl_shape){1, {4}}, 6, 7);
    assert_widths(g, "fc1/weight_quant", (bl_shape){1, {8}}, 1, 8);
    assert_widths(g, "fc2/weight_quant", (bl_shape){1, {1}}, 5, 5);
    bl_graph_destroy(g);
    assert_int_equal(build_on(CNN "precision: {default: {weight: {format: int<8>, widths: [5, 6]}}}\n", image, &g),
                     BL_BAD_VALUE);
    assert_non_null(strstr(bl_context_message(ctx), "'c1/weight_quant'"));
    assert_non_null(strstr(bl_context_message(ctx), "2 for 4 channels (axis 0)"));
}

/* Read, built, and trained for an epoch: widths above 24 bits take the float64 carrier. */
static void test_widths_of_elements_come_from_beside_the_recipe(void **state)
{
    (void)state;
    int32_t widths[8 * 10];
    for (int i = 0; i < 80; i++)
        widths[i] = 1 + i % 30;
    const bl_tensor t = {.type = BL_I32, .shape = {2, {8, 10}}, .data = widths};
    assert_ok(ctx, bl_npy_write(ctx, temp_path("widths.npy"), &t));
    const char *text = CNN "precision: {name: {fc2: {weight: {format: \"fixed<8,1>\", widths: widths.npy}}}}\n";
    put_file(temp_path("widths.yaml"), text, strlen(text));
    bl_recipe *r;
    bl_graph *g;
    rows d = rows_of(image);
    assert_ok(ctx, bl_recipe_read(ctx, temp_path("widths.yaml"), NULL, 0, &r));
    assert_ok(ctx, bl_recipe_graph(r, d.set, &g));
    assert_widths(g, "fc2/weight_quant", (bl_shape){2, {8, 10}}, 1, 1 + 79 % 30);
    bl_train_options o = *bl_recipe_options(r);
    bl_trainer *trainer;
    o.epochs = 1;
    assert_ok(ctx, bl_trainer_create(ctx, g, d.set, &o, &trainer));
    assert_ok(ctx, bl_trainer_run(trainer, NULL, NULL));
    bl_trainer_destroy(trainer);
    bl_graph_destroy(g);
    bl_recipe_free(r);
    rows_free(&d);
}

static void test_every_preset_builds_and_gives_way(void **state)
{
    (void)state;
    for (int i = 0; i < bli_preset_count(); i++) {
        char text[1024];
        bl_graph *g;
        snprintf(text, sizeof text,
                 CNN "precision: {preset: %s, default: {weight: \"fixed<11,1>\"}}\ntrain: {optimizer: {lr: 0.125}}\n",
                 bli_preset_at(i)->name);
        bl_recipe *r = parse(text);
        assert_true(bl_recipe_options(r)->optimizer.lr == 0.125);
        assert_true(bl_recipe_options(r)->num_places > 0);
        bl_recipe_free(r);
        assert_ok(ctx, build_on(text, image, &g));
        assert_string_equal(format_at(g, "fc1/weight_quant"), "fixed<11,1>");
        bl_graph_destroy(g);
    }
}

static void test_the_fingerprint_is_the_recipe_s_without_its_outputs(void **state)
{
    (void)state;
    bl_recipe *a = parse(NET), *b, *c;
    assert_ok(ctx, parse_with(NET, "output.model=elsewhere.onnx", &b));
    assert_ok(ctx, parse_with(NET, "train.seed=7", &c));
    assert_string_equal(bl_recipe_options(a)->fingerprint, bl_recipe_options(b)->fingerprint);
    assert_string_not_equal(bl_recipe_options(a)->fingerprint, bl_recipe_options(c)->fingerprint);
    bl_recipe_free(a);
    bl_recipe_free(b);
    bl_recipe_free(c);
}

/* ---- lists, manual, memory
 * ---------------------------------------------------------------------------------------------- */
static void test_lists_are_whole(void **state)
{
    (void)state;
    bl_list_entry kind, e;
    int kinds = 0;
    for (; bl_list_kind(kinds, &kind); kinds++) {
        int count = 0;
        while (bl_list_at(kind.name, count, &e)) {
            assert_true(e.name[0] && e.help[0]);
            count++;
        }
        assert_true(count > 0);
    }
    assert_true(kinds >= 12);
    assert_false(bl_list_at("nothing", 0, &e));
    assert_false(bl_list_at("layers", -1, &e));
    assert_int_equal(bli_initializer_words[10] == NULL, 1);
}

static void test_the_manual_is_up_to_date(void **state)
{
    (void)state;
    const char *source = getenv("BITLATHE_SOURCE");
    char path[4096], *made;
    size_t size;
    assert_ok(ctx, bl_recipe_manual(ctx, &made));
    snprintf(path, sizeof path, "%s/docs/recipe.md", source ? source : "..");
    char *kept = get_file(path, &size);
    if (!kept || strcmp(kept, made) != 0)
        print_error("docs/recipe.md differs from 'bitlathe help --recipe': write it anew\n");
    assert_non_null(kept);
    assert_string_equal(kept, made);
    free(kept);
    bl_text_free(ctx, made);
}

static bl_status parse_once(bl_context *c, void *arg)
{
    bl_recipe *r;
    const char *set = "precision.preset=fp8";
    bl_status s = bl_recipe_parse(c, "r.yaml", arg, strlen(arg), &set, 1, &r);
    bl_recipe_free(r);
    return s;
}

static bl_status build_once(bl_context *c, void *arg)
{
    bl_recipe *r = NULL;
    bl_graph *g = NULL;
    bl_dataset *set = NULL;
    rows *d = arg;
    bl_status s = bl_dataset_from_tensors(c, &d->x, &d->y, &set);
    if (s == BL_OK)
        s = bl_recipe_parse(c, "r.yaml", design_example, strlen(design_example), NULL, 0, &r);
    if (s == BL_OK)
        s = bl_recipe_graph(r, set, &g);
    bl_graph_destroy(g);
    bl_recipe_free(r);
    bl_dataset_close(set);
    return s;
}

static void test_every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(parse_once, (void *)(uintptr_t)design_example) > 5);
    rows d = rows_of(image);
    assert_true(fail_each_allocation(build_once, &d) > 50);
    rows_free(&d);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_context, close_context)
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_train_section_means_the_library_s_defaults),
        TEST(test_the_design_s_example_says_what_it_says),
        TEST(test_overrides_reach_every_kind_of_place),
        TEST(test_a_printed_recipe_is_the_same_recipe),
        TEST(test_any_tree_survives_printing_and_parsing),
        TEST(test_every_node_knows_its_line_and_column),
        TEST(test_what_is_wrong_is_refused_with_its_place),
        TEST(test_what_does_not_fit_the_data_is_refused_with_its_place),
        TEST(test_files_that_are_not_there_are_named),
        TEST(test_layers_have_keras_shapes),
        TEST(test_names_follow_the_layer),
        TEST(test_repeated_blocks_refer_to_their_own_round),
        TEST(test_first_values_depend_on_seed_and_name_alone),
        TEST(test_initializers_have_their_spread),
        TEST(test_standardize_takes_mean_and_deviation_per_channel),
        TEST(test_normalisation_per_channel_becomes_nodes),
        TEST(test_name_beats_type_beats_default),
        TEST(test_each_place_alone_is_one_line),
        TEST(test_everything_is_one_line),
        TEST(test_rules_of_the_step_name_their_layers_in_order_of_force),
        TEST(test_sums_are_quantized_behind_their_bias),
        TEST(test_channel_scales_follow_the_output_channels),
        TEST(test_listed_widths_follow_the_channels),
        TEST(test_widths_of_elements_come_from_beside_the_recipe),
        TEST(test_every_preset_builds_and_gives_way),
        TEST(test_the_fingerprint_is_the_recipe_s_without_its_outputs),
        TEST(test_lists_are_whole),
        TEST(test_the_manual_is_up_to_date),
        TEST(test_every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
