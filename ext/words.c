#include "words.h"

#include "../engine/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- messages ---- */

shx_status shx_words_fail(shx_words *words, const char *format, ...) {
    char number[16];
    const char *kind = "table", *name = words->table, *quote = "\"";
    if (words->column || words->option) {
        kind = words->column ? "column" : "option";
        name = words->column ? words->column : words->option;
    } else if (words->argument) {
        snprintf(number, sizeof number, "%d", words->argument);
        kind = "argument", name = number, quote = "";
    }
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int head = snprintf(NULL, 0, "shardex: %s %s%s%s: ", kind, quote, name, quote);
    int body = vsnprintf(NULL, 0, format, list);
    size_t size = head < 0 || body < 0 ? 0 : (size_t)head + (size_t)body + 1;
    assert(!words->message);
    words->message = size ? shx_alloc(size) : NULL;
    if (words->message) {
        snprintf(words->message, size, "shardex: %s %s%s%s: ", kind, quote, name, quote);
        vsnprintf(words->message + head, size - (size_t)head, format, again);
    }
    va_end(again);
    va_end(list);
    return words->message ? SHX_MISUSE : SHX_NOMEM;
}

shx_status shx_words_unexpected(shx_words *words, const char *expected) {
    const shx_token *token = &words->token;
    const char *quote = token->kind == SHX_TOKEN_QUOTED ? "" : "\"";
    if (token->kind == SHX_TOKEN_END) return shx_words_fail(words, "found the end, expected %s", expected);
    return shx_words_fail(words, "found %s%.*s%s, expected %s", quote, (int)token->size, token->text, quote, expected);
}

/* ---- words ---- */

static bool words_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool words_is_digit(char c) { return c >= '0' && c <= '9'; }

static bool words_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static char words_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

bool shx_words_equal(const char *a, size_t a_size, const char *b) {
    if (a_size != strlen(b)) return false;
    for (size_t i = 0; i < a_size; i++) {
        if (words_lower(a[i]) != words_lower(b[i])) return false;
    }
    return true;
}

bool shx_words_listed(const char *text, size_t size, const char *const *list) {
    for (; *list; list++) {
        if (shx_words_equal(text, size, *list)) return true;
    }
    return false;
}

const char *shx_words_skip_space(const char *at) {
    for (;;) {
        if (words_is_space(*at)) {
            at++;
        } else if (at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end ? end + 2 : at + strlen(at);
        } else {
            return at;
        }
    }
}

/* Bytes of a quoted name with its quotes; 1 when the closing one is missing. A doubled quote stands for one. */
static size_t words_quoted_size(const char *at) {
    char close = *at == '[' ? ']' : *at;
    for (const char *end = at + 1; *end; end++) {
        if (*end != close) continue;
        if (close == ']' || end[1] != close) return (size_t)(end - at) + 1;
        end++;
    }
    return 1;
}

void shx_words_advance(shx_words *words) {
    const char *at = shx_words_skip_space(words->next), *end = at;
    shx_token_kind kind = SHX_TOKEN_SYMBOL;
    if (*at == '\0') {
        kind = SHX_TOKEN_END;
    } else if (words_is_letter(*at) || words_is_digit(*at)) {
        kind = words_is_digit(*at) ? SHX_TOKEN_NUMBER : SHX_TOKEN_WORD;
        while (words_is_letter(*end) || words_is_digit(*end) || *end == '$') end++;
    } else if (*at == '"' || *at == '`' || *at == '\'') {
        end += words_quoted_size(at);
        if (end - at > 1 && *at != '\'') kind = SHX_TOKEN_QUOTED;
    } else {
        end++;
    }
    words->token = (shx_token){kind, at, (size_t)(end - at)};
    words->next = end;
}

bool shx_words_is(const shx_token *token, const char *word) {
    return token->kind == SHX_TOKEN_WORD && shx_words_equal(token->text, token->size, word);
}

bool shx_words_at(const shx_words *words, const char *word) { return shx_words_is(&words->token, word); }

bool shx_words_at_symbol(const shx_words *words, char symbol) {
    return words->token.kind == SHX_TOKEN_SYMBOL && *words->token.text == symbol;
}

shx_token shx_words_peek(const shx_words *words) {
    shx_words ahead = *words;
    shx_words_advance(&ahead);
    return ahead.token;
}

bool shx_words_take_two(shx_words *words, const char *first, const char *second) {
    shx_token next = shx_words_peek(words);
    if (!shx_words_at(words, first) || !shx_words_is(&next, second)) return false;
    shx_words_advance(words);
    shx_words_advance(words);
    return true;
}

char *shx_words_copy(const char *text, size_t size) {
    char *copy = shx_alloc(size + 1);
    if (!copy) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* The name without its quotes. */
static char *words_unquoted(const shx_token *token) {
    if (token->kind == SHX_TOKEN_WORD) return shx_words_copy(token->text, token->size);
    char *name = shx_words_copy(token->text + 1, token->size - 2), quote = *token->text;
    if (!name || quote == '[') return name;
    size_t kept = 0;
    for (size_t i = 0; name[i]; i++) {
        if (name[i] == quote) i++;
        name[kept++] = name[i];
    }
    name[kept] = '\0';
    return name;
}

shx_status shx_words_take_name(shx_words *words, char **ret_name) {
    shx_token *token = &words->token;
    if (shx_words_at_symbol(words, '[')) {
        token->size = words_quoted_size(token->text);
        words->next = token->text + token->size;
        if (token->size > 1) token->kind = SHX_TOKEN_QUOTED;
    }
    if (token->kind != SHX_TOKEN_WORD && token->kind != SHX_TOKEN_QUOTED) return shx_words_unexpected(words, "a name");
    char *name = words_unquoted(token);
    SHX_CHECK(name, SHX_NOMEM);
    shx_words_advance(words);
    *ret_name = name;
    return SHX_OK;
}

shx_token shx_words_trim(const char *at, const char *end) {
    while (at < end && words_is_space(*at)) at++;
    while (end > at && words_is_space(end[-1])) end--;
    return (shx_token){SHX_TOKEN_WORD, at, (size_t)(end - at)};
}

/* ---- whole numbers ---- */

shx_status shx_words_whole_number(shx_words *words, const char *what, const shx_token *text, uint32_t minimum,
                                  uint32_t maximum, uint32_t *ret_value) {
    size_t at = text->size && (*text->text == '-' || *text->text == '+'), digits = at;
    bool negative = at && *text->text == '-';
    uint64_t value = 0;
    for (; digits < text->size && words_is_digit(text->text[digits]); digits++) {
        if (value <= UINT32_MAX) value = value * 10 + (uint64_t)(text->text[digits] - '0');
    }
    if (digits == at || digits < text->size) {
        return shx_words_fail(words, "%s\"%.*s\" is not a whole number, expected %u to %u", what, (int)text->size,
                              text->text, minimum, maximum);
    }
    if (value < minimum || value > maximum || (negative && value)) {
        return shx_words_fail(words, "%s%.*s is out of range, expected %u to %u", what, (int)text->size, text->text,
                              minimum, maximum);
    }
    *ret_value = (uint32_t)value;
    return SHX_OK;
}
