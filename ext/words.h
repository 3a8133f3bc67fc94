/* The words of a table's arguments, one by one, and messages about them:
**
**     shardex: column "embedding": dimension 0 is out of range, expected 1 to 65535
**     shardex: WHERE: WHAT WAS READ, expected WHAT WAS EXPECTED
**
** where WHERE is `column "name"`, `option "name"`, `argument n` (before a name is known) or `table "name"`.
**
** Pure, like all of the declaration: text in, tokens or message out. Texts are the caller's and end with a zero byte;
** they must stay as long as the words and tokens of them.
*/
#ifndef SHX_WORDS_H
#define SHX_WORDS_H

#include "../engine/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum shx_token_kind {
    SHX_TOKEN_END,
    SHX_TOKEN_WORD,   /* a bare identifier or keyword */
    SHX_TOKEN_QUOTED, /* with its quotes */
    SHX_TOKEN_NUMBER, /* starts with a digit */
    SHX_TOKEN_SYMBOL, /* any other character, alone; also a quote that is never closed */
} shx_token_kind;

/* A part of an argument. */
typedef struct shx_token {
    shx_token_kind kind;
    const char *text;
    size_t size;
} shx_token;

/* Where a walk over the words of an argument stands. It starts as zeros, with the table's name; at the start of an
** argument `next` is its text, and shx_words_advance makes its first token the current one. */
typedef struct shx_words {
    const char *table;
    int argument;       /* 1-based; 0 when the table as a whole is judged */
    const char *column; /* the name being declared, NULL before it is known */
    const char *option;
    shx_token token;  /* the current one */
    const char *next; /* what follows it */
    char *message;    /* of the failure, once there is one; the owner's, shx_free */
} shx_words;

/* Composes the message, the first and only one, and returns SHX_MISUSE, or SHX_NOMEM. */
__attribute__((format(printf, 2, 3))) shx_status shx_words_fail(shx_words *words, const char *format, ...);

/* The same: `found "X", expected …`, with X the current token. */
shx_status shx_words_unexpected(shx_words *words, const char *expected);

/* As SQLite compares names: without regard to the case of ASCII letters. A list ends with NULL. */
bool shx_words_equal(const char *a, size_t a_size, const char *b);
bool shx_words_listed(const char *text, size_t size, const char *const *list);

/* Behind white space and SQL comments. */
const char *shx_words_skip_space(const char *at);

/* The part from `at` to `end` without space around it, as one word. */
shx_token shx_words_trim(const char *at, const char *end);

/* A copy of a part of an argument (shx_free); NULL when out of memory. */
char *shx_words_copy(const char *text, size_t size);

/* To the next token; what the one after the current will be. */
void shx_words_advance(shx_words *words);
shx_token shx_words_peek(const shx_words *words);

/* Whether a token, and the current one, is a certain word or symbol. */
bool shx_words_is(const shx_token *token, const char *word);
bool shx_words_at(const shx_words *words, const char *word);
bool shx_words_at_symbol(const shx_words *words, char symbol);

/* Takes the current word and the next when they are these two. */
bool shx_words_take_two(shx_words *words, const char *first, const char *second);

/* Takes a name, bare or quoted in any of SQLite's ways; *ret_name is without the quotes (shx_free). SHX_MISUSE with a
** message when the current token is none, SHX_NOMEM. */
shx_status shx_words_take_name(shx_words *words, char **ret_name);

/* Reads a whole number from minimum to maximum, or fails with a message that begins with `what`: "dimension " or "". */
shx_status shx_words_whole_number(shx_words *words, const char *what, const shx_token *text, uint32_t minimum,
                                  uint32_t maximum, uint32_t *ret_value);

#endif
