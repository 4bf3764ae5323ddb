/* test_npy.c: tensors; npy and npz round trips, the bytes they are made of, and files that are not what they claim. */
#include "support/test.h"

#include <math.h>

#include "bitlathe/tensor.h"
#include "support/faults.h"
#include "support/folder.h"
#include "support/memory.h"
#include "tensor/npy.h"
#include "tensor/npz.h"

/* ---- tensors ------------------------------------------------------------------------------------------------- */
static void shapes_count_compare_and_print(void **state)
{
    (void)state;
    char text[64];
    const bl_shape s = {3, {60000, -1, 28}}, scalar = {0, {0}}, empty = {2, {0, 5}};
    const bl_shape huge = {3, {INT64_MAX, 2, 3}}, empty_huge = {3, {INT64_MAX, 2, 0}};
    assert_int_equal(bl_shape_print(&s, text, sizeof text), 14);
    assert_string_equal(text, "[60000, N, 28]");
    assert_int_equal(bl_shape_print(&s, text, 4), 14);
    assert_string_equal(text, "[60");
    assert_int_equal(bl_shape_print(&scalar, NULL, 0), 2);
    assert_int_equal(bl_shape_count(&s), -1);
    assert_int_equal(bl_shape_count(&scalar), 1);
    assert_int_equal(bl_shape_count(&empty), 0);
    assert_int_equal(bl_shape_count(&huge), -1);
    assert_int_equal(bl_shape_count(&empty_huge), 0);
    assert_true(bl_shape_equal(&s, &s));
    assert_false(bl_shape_equal(&s, &empty));
    assert_false(bl_shape_equal(&huge, &empty_huge));
}

static void tensors_that_cannot_be_are_refused(void **state)
{
    bl_context *ctx = *state;
    bl_tensor t;
    assert_fails(ctx, BL_BAD_VALUE, "rank 9", bl_tensor_create(ctx, BL_F32, &(bl_shape){.rank = 9}, &t));
    assert_fails(ctx, BL_BAD_VALUE, "[N]", bl_tensor_create(ctx, BL_F32, &(bl_shape){1, {-1}}, &t));
    assert_fails(ctx, BL_LIMIT, "too large", bl_tensor_create(ctx, BL_F64, &(bl_shape){1, {INT64_MAX}}, &t));
    assert_fails(ctx, BL_NO_MEMORY, "bytes", bl_tensor_create(ctx, BL_U8, &(bl_shape){1, {INT64_MAX}}, &t));
    assert_null(t.data);
    assert_fails(ctx, BL_USAGE, "no such type", bl_tensor_create(ctx, (bl_dtype)99, &(bl_shape){0, {0}}, &t));
    assert_int_equal(bl_dtype_size(BL_F64), 8);
    assert_string_equal(bl_dtype_name(BL_U16), "U16");
}

/* ---- npy ----------------------------------------------------------------------------------------------------- */
static void make(bl_context *ctx, bl_dtype type, const bl_shape *shape, bl_tensor *t)
{
    assert_ok(ctx, bl_tensor_create(ctx, type, shape, t));
    size_t bytes = (size_t)bl_shape_count(shape) * bl_dtype_size(type);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)t->data)[i] = (uint8_t)(type == BL_BOOL ? i % 2 : i * 37 + 11);
}

static void assert_same_tensor(const bl_tensor *a, const bl_tensor *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(bl_shape_equal(&a->shape, &b->shape));
    assert_memory_equal(a->data, b->data, (size_t)bl_shape_count(&a->shape) * bl_dtype_size(a->type));
}

static const bl_shape shapes[] = {{0, {0}},    {1, {7}},       {1, {0}},
                                  {2, {3, 5}}, {3, {2, 0, 4}}, {8, {1, 2, 1, 3, 1, 2, 2, 1}}};

static void every_type_and_shape_comes_back(void **state)
{
    bl_context *ctx = *state;
    for (int type = 0; type < BL_DTYPE_COUNT; type++)
        for (size_t i = 0; i < BLI_COUNT(shapes); i++) {
            bl_tensor t, back;
            make(ctx, (bl_dtype)type, &shapes[i], &t);
            assert_ok(ctx, bl_npy_write(ctx, temp_path("t.npy"), &t));
            assert_ok(ctx, bl_npy_read(ctx, temp_path("t.npy"), &back));
            assert_same_tensor(&t, &back);
            bl_tensor_free(ctx, &t);
            bl_tensor_free(ctx, &back);
        }
}

static void the_bytes_are_those_of_the_format(void **state)
{
    bl_context *ctx = *state;
    int16_t values[] = {1, -2, 0x1234};
    bl_tensor t = {BL_I16, {1, {3}}, values};
    assert_ok(ctx, bl_npy_write(ctx, temp_path("t.npy"), &t));
    size_t size;
    char *data = get_file(temp_path("t.npy"), &size);
    assert_int_equal(size, 128 + 6);
    assert_memory_equal(data, "\x93NUMPY\x01\x00\x76\x00{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }  ",
                        66);
    assert_int_equal(data[127], '\n');
    assert_memory_equal(data + 128, "\x01\x00\xfe\xff\x34\x12", 6);
    free(data);
}

/* An npy with this dictionary and these elements, of format version `major`. */
static bl_status parse(bl_context *ctx, int major, const char *dictionary, const void *data, size_t size,
                       bl_tensor *out)
{
    size_t length = strlen(dictionary), fixed = major == 1 ? 10 : 12;
    char *block = bli_alloc(ctx, fixed + length + size);
    memcpy(block, "\x93NUMPY", 6);
    block[6] = (char)major;
    for (size_t i = 8; i < fixed; i++)
        block[i] = (char)(length >> (8 * (i - 8)));
    memcpy(block + fixed, dictionary, length);
    memcpy(block + fixed + length, data, size);
    return bli_npy_adopt(ctx, block, fixed + length + size, out);
}

static void other_spellings_of_the_header_are_understood(void **state)
{
    bl_context *ctx = *state;
    static const char *const headers[] = {
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }",
        "{\"shape\":(2L,),\"fortran_order\":False,\"descr\":\"<u2\"}  \n",
        " {'fortran_order' : True , 'shape' : ( 2 , ) , 'descr' : '=u2' }\n",
    };
    static const uint8_t data[] = {1, 2, 3, 4};
    for (size_t i = 0; i < BLI_COUNT(headers); i++)
        for (int major = 1; major <= 3; major++) {
            bl_tensor t;
            assert_ok(ctx, parse(ctx, major, headers[i], data, 4, &t));
            assert_int_equal(((uint16_t *)t.data)[1], 0x0403);
            bl_tensor_free(ctx, &t);
        }
}

static void big_endian_elements_are_swapped(void **state)
{
    bl_context *ctx = *state;
    bl_tensor t;
    assert_ok(ctx, parse(ctx, 1, "{'descr': '>i4', 'fortran_order': False, 'shape': (2,)}", "\0\0\0\1\xff\xff\xff\xfe",
                         8, &t));
    assert_int_equal(((int32_t *)t.data)[0], 1);
    assert_int_equal(((int32_t *)t.data)[1], -2);
    bl_tensor_free(ctx, &t);
}

static void fortran_order_is_transposed(void **state)
{
    bl_context *ctx = *state;
    /* a[i, j, k] = 100 i + 10 j + k of shape (2, 3, 2), first index fastest. */
    static const uint8_t data[] = {0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121};
    static const uint8_t want[] = {0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121};
    bl_tensor t;
    assert_ok(ctx, parse(ctx, 1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2)}", data, 12, &t));
    assert_memory_equal(t.data, want, 12);
    bl_tensor_free(ctx, &t);
}

static void any_byte_but_zero_is_true(void **state)
{
    bl_context *ctx = *state;
    bl_tensor t;
    assert_ok(ctx, parse(ctx, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (4,)}", "\0\1\2\xff", 4, &t));
    assert_memory_equal(t.data, "\0\1\1\1", 4);
    bl_tensor_free(ctx, &t);
}

static void broken_headers_are_refused_with_their_reason(void **state)
{
    bl_context *ctx = *state;
#define SHAPE_9 "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}"
    static const struct {
        const char *dictionary;
        bl_status status;
        const char *words;
    } cases[] = {
        {"", BL_BAD_FILE, "expected '{'"},
        {"{", BL_BAD_FILE, "expected a string"},
        {"{}", BL_BAD_FILE, "is missing"},
        {"{'descr': '<f4', 'shape': (1,)}", BL_BAD_FILE, "is missing"},
        {"{'descr': '<f4', 'descr': '<f4'}", BL_BAD_FILE, "there twice"},
        {"{'order': 1}", BL_BAD_FILE, "'order' is unknown"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': ()}", BL_UNSUPPORTED, "'<c8'"},
        {"{'descr': '', 'fortran_order': False, 'shape': ()}", BL_UNSUPPORTED, "''"},
        {"{'descr': '<U9', 'fortran_order': False, 'shape': ()}", BL_UNSUPPORTED, "'<U9'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", BL_UNSUPPORTED, "'|O'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", BL_UNSUPPORTED, "records"},
        {"{'descr': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}", BL_BAD_FILE, "too long"},
        {"{'descr': '<f4", BL_BAD_FILE, "unfinished"},
        {"{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", BL_BAD_FILE, "neither True nor False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 1}", BL_BAD_FILE, "expected '('"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", BL_BAD_FILE, "expected a number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", BL_BAD_FILE, "expected ')'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,", BL_BAD_FILE, "expected a number"},
        {SHAPE_9, BL_UNSUPPORTED, "more than 8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", BL_BAD_FILE, "above 2^63"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", BL_BAD_FILE, "than any file"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 4000000000)}", BL_BAD_FILE, "than any file"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", BL_BAD_FILE, "promises 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", BL_BAD_FILE, "promises 0"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", BL_BAD_FILE, "text after"},
    };
    for (size_t i = 0; i < BLI_COUNT(cases); i++) {
        bl_tensor t = {.data = &t};
        assert_fails(ctx, cases[i].status, cases[i].words, parse(ctx, 1, cases[i].dictionary, "1234", 4, &t));
        assert_null(t.data);
    }
}

static void broken_files_name_themselves(void **state)
{
    bl_context *ctx = *state;
    bl_tensor t;
    put_file(temp_path("bad.npy"), "no numpy here at all", 20);
    assert_fails(ctx, BL_BAD_FILE, "bad.npy: not an npy file", bl_npy_read(ctx, temp_path("bad.npy"), &t));
    put_file(temp_path("bad.npy"), "\x93NUMPY\x01\x00\xff\xff{", 11);
    assert_fails(ctx, BL_BAD_FILE, "cut short", bl_npy_read(ctx, temp_path("bad.npy"), &t));
    put_file(temp_path("bad.npy"), "\x93NUMPY\x09\x00\x01\x00{", 11);
    assert_fails(ctx, BL_UNSUPPORTED, "version 9.0", bl_npy_read(ctx, temp_path("bad.npy"), &t));
    put_file(temp_path("bad.npy"), "", 0);
    assert_fails(ctx, BL_BAD_FILE, "not an npy file", bl_npy_read(ctx, temp_path("bad.npy"), &t));
    char *dictionary = malloc(BLI_NPY_HEADER_CEILING + 2);
    memset(dictionary, ' ', BLI_NPY_HEADER_CEILING + 1);
    dictionary[BLI_NPY_HEADER_CEILING + 1] = '\0';
    assert_fails(ctx, BL_LIMIT, "65537 bytes", parse(ctx, 2, dictionary, "", 0, &t));
    free(dictionary);
}

static void tensors_without_data_or_shape_are_not_written(void **state)
{
    bl_context *ctx = *state;
    assert_fails(ctx, BL_USAGE, "without data",
                 bl_npy_write(ctx, temp_path("x.npy"), &(bl_tensor){BL_F32, {1, {1}}, NULL}));
    assert_fails(ctx, BL_USAGE, "unknown shape",
                 bl_npy_write(ctx, temp_path("x.npy"), &(bl_tensor){BL_F32, {1, {-1}}, state}));
    assert_ok(ctx, bl_npy_write(ctx, temp_path("x.npy"), &(bl_tensor){BL_F32, {1, {0}}, NULL}));
}

/* ---- npz ----------------------------------------------------------------------------------------------------- */
static float weights[6] = {1, -2.5f, 0, -0.0f, INFINITY, 1e-40f};
static int64_t step = 1234567890123;
static const bl_npz_entry entries[] = {
    {"fc1.weight", {BL_F32, {2, {2, 3}}, weights}},
    {"step", {BL_I64, {0, {0}}, &step}},
    {"folder/\xc3\xa4", {BL_U8, {1, {0}}, NULL}},
};

static void an_archive_comes_back_in_order_and_twice_the_same(void **state)
{
    bl_context *ctx = *state;
    bl_npz *z;
    assert_ok(ctx, bl_npz_write(ctx, temp_path("a.npz"), entries, BLI_COUNT(entries)));
    assert_ok(ctx, bl_npz_write(ctx, temp_path("b.npz"), entries, BLI_COUNT(entries)));
    size_t na, nb;
    char *a = get_file(temp_path("a.npz"), &na), *b = get_file(temp_path("b.npz"), &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a);
    free(b);
    assert_ok(ctx, bl_npz_read(ctx, temp_path("a.npz"), &z));
    assert_int_equal(bl_npz_count(z), BLI_COUNT(entries));
    for (size_t i = 0; i < BLI_COUNT(entries); i++) {
        assert_string_equal(bl_npz_name(z, i), entries[i].name);
        assert_same_tensor(&entries[i].tensor, bl_npz_tensor(z, i));
        assert_ptr_equal(bl_npz_find(z, entries[i].name), bl_npz_tensor(z, i));
    }
    assert_null(bl_npz_find(z, "fc2.weight"));
    assert_null(bl_npz_name(z, 3));
    assert_null(bl_npz_tensor(z, 3));
    bl_npz_free(z);
    bl_npz_free(NULL);
}

static void an_empty_archive_is_one(void **state)
{
    bl_context *ctx = *state;
    bl_npz *z;
    assert_ok(ctx, bl_npz_write(ctx, temp_path("a.npz"), NULL, 0));
    assert_ok(ctx, bl_npz_read(ctx, temp_path("a.npz"), &z));
    assert_int_equal(bl_npz_count(z), 0);
    assert_null(bl_npz_find(z, "x"));
    bl_npz_free(z);
}

static void names_that_cannot_be_are_refused(void **state)
{
    bl_context *ctx = *state;
    const bl_npz_entry twice[] = {entries[1], entries[0], entries[1]};
    assert_fails(ctx, BL_USAGE, "two members are named 'step'", bl_npz_write(ctx, temp_path("n.npz"), twice, 3));
    const bl_npz_entry unnamed[] = {{"", entries[1].tensor}};
    assert_fails(ctx, BL_USAGE, "name of 0 bytes", bl_npz_write(ctx, temp_path("n.npz"), unnamed, 1));
    assert_null(get_file(temp_path("n.npz"), &(size_t){0}));
}

static bl_status decode(bl_context *ctx, const char *data, size_t size, size_t ceiling)
{
    bl_npz *z;
    bl_status s = bli_npz_decode(ctx, data, size, ceiling, &z);
    bl_npz_free(z);
    return s;
}

static void every_cut_and_every_flipped_byte_is_survived(void **state)
{
    bl_context *ctx = *state;
    assert_ok(ctx, bl_npz_write(ctx, temp_path("a.npz"), entries, BLI_COUNT(entries)));
    size_t size;
    char *whole = get_file(temp_path("a.npz"), &size);
    for (size_t n = 0; n < size; n++)
        assert_int_not_equal(decode(ctx, whole, n, 1 << 20), BL_OK);
    for (size_t i = 0; i < size; i++) {
        whole[i] = (char)(whole[i] ^ 0x40);
        bl_status s = decode(ctx, whole, size, 1 << 20);
        assert_true(s == BL_OK || s == BL_BAD_FILE || s == BL_UNSUPPORTED || s == BL_LIMIT);
        whole[i] = (char)(whole[i] ^ 0x40);
    }
    /* A flipped bit among the elements is caught by the CRC. */
    char *element = memmem(whole, size, weights, sizeof weights);
    assert_non_null(element);
    element[3] ^= 1;
    assert_fails(ctx, BL_BAD_FILE, "member 'fc1.weight.npy': cannot unpack", decode(ctx, whole, size, 1 << 20));
    free(whole);
}

static void claims_are_checked_before_memory_is_taken(void **state)
{
    bl_context *ctx = *state;
    assert_ok(ctx, bl_npz_write(ctx, temp_path("a.npz"), entries, 1));
    size_t size;
    char *whole = get_file(temp_path("a.npz"), &size);
    assert_fails(ctx, BL_LIMIT, "only 100 more", decode(ctx, whole, size, 100));
    char *entry = memmem(whole, size, "PK\1\2", 4);
    assert_non_null(entry);
    memcpy(entry + 24, "\xff\xff\xff\x7f", 4); /* unpacked size */
    assert_fails(ctx, BL_BAD_FILE, "member 'fc1.weight.npy': claims to unpack", decode(ctx, whole, size, SIZE_MAX));
    memcpy(entry + 20, "\xff\xff\xff\x7f", 4); /* packed size */
    assert_int_equal(decode(ctx, whole, size, SIZE_MAX), BL_BAD_FILE);
    free(whole);
}

static bl_status write_and_read(bl_context *ctx, void *arg)
{
    bl_npz *z;
    BLI_TRY(bl_npz_write(ctx, arg, entries, BLI_COUNT(entries)));
    BLI_TRY(bl_npz_read(ctx, arg, &z));
    bl_npz_free(z);
    return BL_OK;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    char *path = strdup(temp_path("m.npz"));
    assert_true(fail_each_allocation(write_and_read, path) > 10);
    free(path);
}

static void a_full_disk_leaves_the_archive_before(void **state)
{
    bl_context *ctx = *state;
    bl_npz *z;
    assert_ok(ctx, bl_npz_write(ctx, temp_path("d.npz"), entries, 2));
    faults f = {.limited = true, .space_left = 300};
    faults_install(ctx, &f);
    assert_fails(ctx, BL_IO, "d.npz: cannot write: No space", bl_npz_write(ctx, temp_path("d.npz"), entries, 3));
    bli_context_set_file_ops(ctx, NULL);
    assert_ok(ctx, bl_npz_read(ctx, temp_path("d.npz"), &z));
    assert_int_equal(bl_npz_count(z), 2);
    bl_npz_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_count_compare_and_print),
        cmocka_unit_test(tensors_that_cannot_be_are_refused),
        cmocka_unit_test(every_type_and_shape_comes_back),
        cmocka_unit_test(the_bytes_are_those_of_the_format),
        cmocka_unit_test(other_spellings_of_the_header_are_understood),
        cmocka_unit_test(big_endian_elements_are_swapped),
        cmocka_unit_test(fortran_order_is_transposed),
        cmocka_unit_test(any_byte_but_zero_is_true),
        cmocka_unit_test(broken_headers_are_refused_with_their_reason),
        cmocka_unit_test(broken_files_name_themselves),
        cmocka_unit_test(tensors_without_data_or_shape_are_not_written),
        cmocka_unit_test(an_archive_comes_back_in_order_and_twice_the_same),
        cmocka_unit_test(an_empty_archive_is_one),
        cmocka_unit_test(names_that_cannot_be_are_refused),
        cmocka_unit_test(every_cut_and_every_flipped_byte_is_survived),
        cmocka_unit_test(claims_are_checked_before_memory_is_taken),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(a_full_disk_leaves_the_archive_before),
    };
    return cmocka_run_group_tests(tests, context_set_up, context_tear_down);
}
