/* pbtext_lex.h (internal): the words of protobuf's text format. */
#ifndef BLI_MODEL_PBTEXT_LEX_H
#define BLI_MODEL_PBTEXT_LEX_H

#include "base/base.h"

typedef enum bli_token_kind {
    BLI_TOKEN_END,
    BLI_TOKEN_NAME,
    BLI_TOKEN_INTEGER, /* decimal, 0x.., octal; without a sign */
    BLI_TOKEN_FLOAT,
    BLI_TOKEN_STRING, /* with its quotes, one literal */
    BLI_TOKEN_SYMBOL, /* one character */
    BLI_TOKEN_BAD     /* an open string, a character that begins nothing, a malformed number */
} bli_token_kind;

typedef struct bli_lexer {
    const char *text;
    size_t size, at; /* at: behind the token */
    bli_token_kind kind;
    const char *start; /* the token */
    size_t length;
} bli_lexer;

bli_lexer bli_lexer_make(const char *text, size_t size); /* stands on the first token */
void bli_lexer_next(bli_lexer *l);
bool bli_lexer_is(const bli_lexer *l, char symbol);
bool bli_lexer_is_name(const bli_lexer *l, const char *name);
void bli_lexer_position(const bli_lexer *l, size_t *line, size_t *column); /* of the token, from 1 */

/* Bytes of a string token's content, into out if that is not NULL; false at a wrong escape. */
bool bli_lexer_unescape(const bli_lexer *l, uint8_t *out, size_t *size);

#endif
