/* test_base.c: contexts, messages, memory, arenas, buffers, names, the bounded reader, the CPU probe. */
#include "support/test.h"

#include "base/cpu.h"
#include "base/reader.h"
#include "base/team.h"
#include "support/memory.h"

static bl_context *ctx;

static int setup(void **state)
{
    (void)state;
    return bl_context_create(NULL, &ctx) != BL_OK;
}

static int teardown(void **state)
{
    (void)state;
    bl_context_destroy(ctx);
    return 0;
}

static void every_status_has_words(void **state)
{
    (void)state;
    for (int s = BL_OK; s <= BL_INTERRUPTED; s++) {
        assert_true(strlen(bl_status_name((bl_status)s)) > 1);
        assert_true(strlen(bl_status_text((bl_status)s)) > 3);
    }
    assert_string_equal(bl_status_name(BL_BAD_FILE), "BAD_FILE");
    assert_int_equal(bl_status_exit(BL_OK), 0);
    assert_int_equal(bl_status_exit(BL_USAGE), 2);
    assert_int_equal(bl_status_exit(BL_MISMATCH), 3);
    assert_string_equal(bl_status_name((bl_status)-1), "UNKNOWN");
    assert_string_equal(bl_status_name((bl_status)1000), "UNKNOWN");
}

static void messages_are_built_from_the_inside_out(void **state)
{
    (void)state;
    assert_string_equal(bl_context_message(ctx), "");
    assert_int_equal(bli_fail(ctx, BL_BAD_FILE, "value %d", -1), BL_BAD_FILE);
    assert_int_equal(bli_within(ctx, BL_BAD_FILE, "node '%s'", "c1"), BL_BAD_FILE);
    assert_int_equal(bli_within(ctx, BL_OK, "not this"), BL_OK);
    assert_string_equal(bl_context_message(ctx), "node 'c1': value -1");
    (void)bli_fail(ctx, BL_BAD_FILE, "again: %s", bl_context_message(ctx));
    assert_string_equal(bl_context_message(ctx), "again: node 'c1': value -1");
}

static void an_endless_message_keeps_its_beginning(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++)
        (void)bli_within(ctx, BL_BAD_FILE, "node %04d", i);
    assert_memory_equal(bl_context_message(ctx), "node 2999: node 2998: ", 22);
}

static void log_line(void *user, bl_log_level level, const char *line)
{
    snprintf(user, 64, "%d %s", (int)level, line);
}

static void log_lines_reach_the_sink(void **state)
{
    (void)state;
    char got[64] = "";
    bli_log(ctx, BL_LOG_INFO, "nobody listens");
    bl_context_set_log(ctx, log_line, got);
    bli_log(ctx, BL_LOG_WARNING, "%d rows", 3);
    assert_string_equal(got, "1 3 rows");
    bl_context_set_log(ctx, NULL, NULL);
}

static void threads_and_interrupt_are_remembered(void **state)
{
    (void)state;
    assert_int_equal(bl_context_threads(ctx), 1);
    bl_context_set_threads(ctx, 3);
    assert_int_equal(bl_context_threads(ctx), 3);
    bl_context_set_threads(ctx, 0);
    assert_int_equal(bl_context_threads(ctx), bli_cpu_count());
    bl_context_set_threads(ctx, 1);
    assert_false(bli_interrupted(ctx));
    bl_context_interrupt(ctx);
    assert_true(bli_interrupted(ctx));
    bli_interrupt_clear(ctx);
    assert_false(bli_interrupted(ctx));
}

static void blocks_are_aligned_and_zero(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100000};
    for (size_t i = 0; i < BLI_COUNT(sizes); i++) {
        unsigned char *p = bli_alloc(ctx, sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % BLI_ALIGN, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xff, sizes[i]);
        bli_free(ctx, p);
    }
    bli_free(ctx, NULL);
}

static void impossible_sizes_are_out_of_memory(void **state)
{
    (void)state;
    assert_null(bli_alloc(ctx, SIZE_MAX));
    assert_null(bli_alloc_array(ctx, SIZE_MAX / 2, 3));
    assert_non_null(strstr(bl_context_message(ctx), "out of memory"));
    bli_arena *arena;
    assert_ok(ctx, bli_arena_create(ctx, &arena));
    assert_null(bli_arena_alloc(arena, SIZE_MAX));
    assert_null(bli_arena_alloc(arena, SIZE_MAX - 70));
    assert_null(bli_arena_array(arena, SIZE_MAX / 4, 5));
    bli_arena_destroy(arena);
}

static void an_arena_hands_out_separate_zeroed_aligned_pieces(void **state)
{
    (void)state;
    bli_arena *arena;
    assert_ok(ctx, bli_arena_create(ctx, &arena));
    assert_ptr_equal(bli_arena_context(arena), ctx);
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i * 7 % 500 + (i % 1000 == 999 ? 3000000 : 0);
        unsigned char *p = bli_arena_alloc(arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (size >= BLI_ALIGN ? BLI_ALIGN : 16), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xff, size);
    }
    assert_string_equal(bli_arena_strdup(arena, "word"), "word");
    bli_arena_destroy(arena);
    bli_arena_destroy(NULL);
}

static void a_buffer_grows_to_its_ceiling_and_not_past_it(void **state)
{
    (void)state;
    bli_buf b;
    bli_buf_init(&b, ctx, 1000);
    assert_string_equal(b.data, "");
    for (int i = 0; i < 100; i++)
        assert_ok(ctx, bli_buf_printf(&b, "%09d ", i));
    assert_int_equal(b.size, 1000);
    assert_int_equal(strlen(b.data), 1000);
    assert_fails(ctx, BL_LIMIT, "1000 bytes", bli_buf_append(&b, "x", 1));
    assert_ok(ctx, bli_buf_append(&b, "", 0));
    assert_int_equal(b.size, 1000);
    assert_memory_equal(b.data + 990, "000000099 ", 11);
    bli_buf_free(&b);
    bli_buf_free(&b);
}

static void the_nearest_word_is_found(void **state)
{
    (void)state;
    static const char *const words[] = {"epochs", "batch", "optimizer", NULL, "seed"};
    assert_string_equal(bli_nearest("epoch", words, 5), "epochs");
    assert_string_equal(bli_nearest("Optimiser", words, 5), "optimizer");
    assert_string_equal(bli_nearest("sede", (const char *const[]){"side", "seed"}, 2), "side");
    assert_null(bli_nearest("zzz", words, 5));
    assert_null(bli_nearest("", words, 5));
    assert_null(bli_nearest("x", NULL, 0));
    char longest[200];
    memset(longest, 'a', 199);
    longest[199] = '\0';
    assert_null(bli_nearest(longest, words, 5));
}

static void an_unknown_name_says_what_would_do(void **state)
{
    (void)state;
    static const char *const words[] = {"mse", NULL, "hinge"};
    static const char *many[100];
    for (size_t i = 0; i < BLI_COUNT(many); i++)
        many[i] = "something";
    assert_fails(ctx, BL_BAD_VALUE, "unknown loss 'hing' (did you mean 'hinge'?)",
                 bli_unknown_name(ctx, "loss", "hing", words, 3));
    assert_int_equal(bli_unknown_name(ctx, "loss", "zz", words, 3), BL_BAD_VALUE);
    assert_string_equal(bl_context_message(ctx), "unknown loss 'zz'; expected one of: mse, hinge");
    assert_int_equal(bli_unknown_name(ctx, "loss", "zz", many, 100), BL_BAD_VALUE);
    assert_string_equal(bl_context_message(ctx), "unknown loss 'zz'");
    assert_int_equal(bli_unknown_name(ctx, "loss", "zz", NULL, 0), BL_BAD_VALUE);
    assert_string_equal(bl_context_message(ctx), "unknown loss 'zz'");
}

static void hashes_are_fnv_1a(void **state)
{
    (void)state;
    assert_true(bli_hash("", 0) == 0xcbf29ce484222325u);
    assert_true(bli_hash_str("a") == 0xaf63dc4c8601ec8cu);
    assert_true(bli_hash_str("foobar") == 0x85944171f73967e8u);
}

static void the_reader_never_passes_the_end(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    bli_reader r = bli_reader_make(bytes, sizeof bytes);
    uint32_t u32;
    uint16_t u16;
    uint8_t u8;
    assert_non_null(bli_reader_take(&r, 8));
    assert_false(bli_reader_u16le(&r, &u16));
    assert_int_equal(bli_reader_left(&r), 1);
    assert_true(bli_reader_u8(&r, &u8) && u8 == 9);
    assert_false(bli_reader_u8(&r, &u8));
    assert_null(bli_reader_take(&r, 1));
    assert_null(bli_reader_take(&r, SIZE_MAX));
    r = bli_reader_make(bytes, 6);
    assert_true(bli_reader_u32be(&r, &u32) && u32 == 0x01020304u);
    assert_false(bli_reader_u32le(&r, &u32));
    assert_true(bli_reader_u16le(&r, &u16) && u16 == 0x0605);
}

static bool varint(const char *bytes, size_t size, uint64_t *out)
{
    bli_reader r = bli_reader_make(bytes, size);
    bool ok = bli_reader_varint(&r, out);
    assert_int_equal(r.pos, ok ? size : 0);
    return ok;
}

static void varints_are_at_most_ten_bytes_and_64_bits(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(varint("\x00", 1, &v) && v == 0);
    assert_true(varint("\xac\x02", 2, &v) && v == 300);
    assert_true(varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &v) && v == UINT64_MAX);
    assert_false(varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &v));
    assert_false(varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11, &v));
    assert_false(varint("\xac", 1, &v));
    assert_false(varint("", 0, &v));
}

static void the_environment_can_forbid_instruction_sets(void **state)
{
    (void)state;
    bli_isa widest = bli_cpu_isa();
    setenv("BITLATHE_ISA", "generic", 1);
    assert_int_equal(bli_cpu_isa(), BLI_ISA_GENERIC);
    setenv("BITLATHE_ISA", "avx512", 1);
    assert_int_equal(bli_cpu_isa(), widest);
    assert_false(bli_cpu_has_tiles());
    unsetenv("BITLATHE_ISA");
    assert_string_equal(bli_isa_name(BLI_ISA_AVX2), "avx2");
    assert_true(bli_cpu_count() >= 1);
}

static bl_status allocate_in_all_ways(bl_context *c, void *arg)
{
    (void)arg;
    bli_arena *arena = NULL;
    bli_buf b;
    bli_team *team = NULL;
    bli_buf_init(&b, c, 100000);
    bl_status s = bli_arena_create(c, &arena);
    for (int i = 0; i < 20 && s == BL_OK; i++)
        if (bli_arena_alloc(arena, 3000) == NULL)
            s = BL_NO_MEMORY;
    for (int i = 0; i < 20 && s == BL_OK; i++)
        s = bli_buf_printf(&b, "%1000d", i);
    if (s == BL_OK)
        s = bli_team_create(c, 3, &team);
    bli_team_destroy(team);
    bli_buf_free(&b);
    bli_arena_destroy(arena);
    return s;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(allocate_in_all_ways, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_words),
        cmocka_unit_test(messages_are_built_from_the_inside_out),
        cmocka_unit_test(an_endless_message_keeps_its_beginning),
        cmocka_unit_test(log_lines_reach_the_sink),
        cmocka_unit_test(threads_and_interrupt_are_remembered),
        cmocka_unit_test(blocks_are_aligned_and_zero),
        cmocka_unit_test(impossible_sizes_are_out_of_memory),
        cmocka_unit_test(an_arena_hands_out_separate_zeroed_aligned_pieces),
        cmocka_unit_test(a_buffer_grows_to_its_ceiling_and_not_past_it),
        cmocka_unit_test(the_nearest_word_is_found),
        cmocka_unit_test(an_unknown_name_says_what_would_do),
        cmocka_unit_test(hashes_are_fnv_1a),
        cmocka_unit_test(the_reader_never_passes_the_end),
        cmocka_unit_test(varints_are_at_most_ten_bytes_and_64_bits),
        cmocka_unit_test(the_environment_can_forbid_instruction_sets),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
