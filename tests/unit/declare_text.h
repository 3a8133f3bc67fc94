/* Declarations for tests: as the arguments that SQLite splits a statement into, written with bars between them. */
#ifndef SHX_TEST_DECLARE_TEXT_H
#define SHX_TEST_DECLARE_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "declare.h"

#define ARGUMENTS_MAX 16

/* Splits "a|b|c" in place. */
static inline int split(char *text, const char *arguments[ARGUMENTS_MAX]) {
    int count = 0;
    for (char *at = text; at; count++) {
        assert_true(count < ARGUMENTS_MAX);
        arguments[count] = at;
        at = strchr(at, '|');
        if (at) *at++ = '\0';
    }
    return count;
}

static inline shx_status declare(const char *table, const char *statement, shx_declaration **ret_declaration,
                          char **ret_message) {
    const char *arguments[ARGUMENTS_MAX];
    char *text = strdup(statement);
    int count = split(text, arguments);
    shx_status status = shx_declare(table, count, arguments, ret_declaration, ret_message);
    free(text);
    return status;
}

#endif
