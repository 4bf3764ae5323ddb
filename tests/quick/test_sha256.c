/* test_sha256.c: the example messages of FIPS 180-4's companion (NIST's SHA-256 examples), and any splitting. */
#include "support/test.h"

#include "base/sha256.h"

static void digest_of(const void *data, size_t size, char text[BLI_SHA256_TEXT])
{
    bli_sha256 s;
    uint8_t digest[BLI_SHA256_BYTES];
    bli_sha256_init(&s);
    bli_sha256_add(&s, data, size);
    bli_sha256_end(&s, digest);
    bli_sha256_print(digest, text);
}

static void published_digests(void **state)
{
    (void)state;
    static const struct {
        const char *message, *digest;
    } examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "st"
         "u",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    for (size_t i = 0; i < BLI_COUNT(examples); i++) {
        char text[BLI_SHA256_TEXT];
        digest_of(examples[i].message, strlen(examples[i].message), text);
        assert_string_equal(text, examples[i].digest);
    }
}

static void a_million_letters_in_any_pieces(void **state)
{
    (void)state;
    static const char want[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    static char letters[1000];
    memset(letters, 'a', sizeof letters);
    for (size_t piece = 1; piece <= sizeof letters; piece = piece * 3 + 1) {
        bli_sha256 s;
        uint8_t digest[BLI_SHA256_BYTES];
        char text[BLI_SHA256_TEXT];
        bli_sha256_init(&s);
        for (size_t left = 1000000; left > 0;) {
            size_t n = piece < left ? piece : left;
            bli_sha256_add(&s, letters, n);
            left -= n;
        }
        bli_sha256_end(&s, digest);
        bli_sha256_print(digest, text);
        assert_string_equal(text, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_digests),
        cmocka_unit_test(a_million_letters_in_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
