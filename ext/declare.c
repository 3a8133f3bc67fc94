/* The grammar of a table's arguments, each a column or an option; keywords in any case, SQL comments as white space:
**
**     argument  := option | vector | key | plain | auxiliary
**     option    := recall = r  |  shard_size = n  |  flush_rows = n  |  threads = n  |  memory_only = 0|1
**                | router = auto|flat|levels|graph  |  graph_m = n  |  graph_ef = n
**                | chunk_size = n                                                                     a hint, ignored
**     vector    := name ELEMENT '[' dimension ']' { distance_metric = METRIC | indexed by INDEX [( … )] | not null }
**     key       := name INTEGER { primary key | not null }
**     plain     := name [TYPE] [not null]
**     auxiliary := '+' name [TYPE]
**     name      := letter or _ or any non-ASCII, then also digits and $  |  "…"  |  […]  |  `…`
**     ELEMENT   := float | f32 | float32 | f16 | bf16 | int8 | i8 | bit
**     METRIC    := l2 | cosine | ip | l1 | hamming       hamming for bit, and nothing else for bit
**     INDEX     := flat | rescore | diskann | ivf    a hint, ignored: there is one kind of index
**     TYPE      := words of declare_type_words [ '(' number [, number] ')' ]
**
** An argument is an option when `=` follows its first name. Messages read
**
**     shardex: column "embedding": dimension 0 is out of range, expected 1 to 65535
**     shardex: WHERE: WHAT WAS READ, expected WHAT WAS EXPECTED
**
** where WHERE is `column "name"`, `option "name"`, `argument n` (before a name is known) or `table "name"`. What
** belongs to a later version of the grammar (keys of other kinds, content=) is told
** apart from what is unknown.
*/
#include "declare.h"

#include "../engine/limits.h"
#include "../engine/memory.h"
#include "number.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DECLARE_RECALL_DEFAULT 0.95

typedef enum declare_kind {
    DECLARE_END,
    DECLARE_WORD,   /* a bare identifier or keyword */
    DECLARE_QUOTED, /* with its quotes */
    DECLARE_NUMBER, /* starts with a digit */
    DECLARE_SYMBOL, /* any other character, alone; also a quote that is never closed */
} declare_kind;

typedef struct declare_token {
    declare_kind kind;
    const char *text;
    size_t size;
} declare_token;

typedef struct declare_parser {
    shx_declaration *declaration;
    const char *table;
    uint64_t column_capacity;
    uint32_t options_seen; /* a bit per declare_option_name */
    int argument;          /* 1-based; 0 when the table as a whole is judged */
    const char *column;    /* the name being declared, NULL before it is known */
    const char *option;
    declare_token token; /* the current one */
    const char *next;    /* what follows it */
    char *message;       /* of the failure */
} declare_parser;

/* ---- messages ---- */

/* Composes the message and returns SHX_MISUSE, or SHX_NOMEM. */
__attribute__((format(printf, 2, 3))) static shx_status declare_fail(declare_parser *parser, const char *format, ...) {
    char number[16];
    const char *kind = "table", *name = parser->table, *quote = "\"";
    if (parser->column || parser->option) {
        kind = parser->column ? "column" : "option";
        name = parser->column ? parser->column : parser->option;
    } else if (parser->argument) {
        snprintf(number, sizeof number, "%d", parser->argument);
        kind = "argument", name = number, quote = "";
    }
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int head = snprintf(NULL, 0, "shardex: %s %s%s%s: ", kind, quote, name, quote);
    int body = vsnprintf(NULL, 0, format, list);
    size_t size = head < 0 || body < 0 ? 0 : (size_t)head + (size_t)body + 1;
    assert(!parser->message);
    parser->message = size ? shx_alloc(size) : NULL;
    if (parser->message) {
        snprintf(parser->message, size, "shardex: %s %s%s%s: ", kind, quote, name, quote);
        vsnprintf(parser->message + head, size - (size_t)head, format, again);
    }
    va_end(again);
    va_end(list);
    return parser->message ? SHX_MISUSE : SHX_NOMEM;
}

/* `found "X", expected …`, with X the current token. */
static shx_status declare_unexpected(declare_parser *parser, const char *expected) {
    const declare_token *token = &parser->token;
    const char *quote = token->kind == DECLARE_QUOTED ? "" : "\"";
    if (token->kind == DECLARE_END) return declare_fail(parser, "found the end, expected %s", expected);
    return declare_fail(parser, "found %s%.*s%s, expected %s", quote, (int)token->size, token->text, quote, expected);
}

/* ---- words ---- */

static bool declare_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool declare_is_digit(char c) { return c >= '0' && c <= '9'; }

static bool declare_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static char declare_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

/* As SQLite compares names: without regard to the case of ASCII letters. */
static bool declare_equal(const char *a, size_t a_size, const char *b) {
    if (a_size != strlen(b)) return false;
    for (size_t i = 0; i < a_size; i++) {
        if (declare_lower(a[i]) != declare_lower(b[i])) return false;
    }
    return true;
}

static bool declare_listed(const char *text, size_t size, const char *const *list) {
    for (; *list; list++) {
        if (declare_equal(text, size, *list)) return true;
    }
    return false;
}

static const char *declare_skip_space(const char *at) {
    for (;;) {
        if (declare_is_space(*at)) {
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
static size_t declare_quoted_size(const char *at) {
    char close = *at == '[' ? ']' : *at;
    for (const char *end = at + 1; *end; end++) {
        if (*end != close) continue;
        if (close == ']' || end[1] != close) return (size_t)(end - at) + 1;
        end++;
    }
    return 1;
}

static void declare_advance(declare_parser *parser) {
    const char *at = declare_skip_space(parser->next), *end = at;
    declare_kind kind = DECLARE_SYMBOL;
    if (*at == '\0') {
        kind = DECLARE_END;
    } else if (declare_is_letter(*at) || declare_is_digit(*at)) {
        kind = declare_is_digit(*at) ? DECLARE_NUMBER : DECLARE_WORD;
        while (declare_is_letter(*end) || declare_is_digit(*end) || *end == '$') end++;
    } else if (*at == '"' || *at == '`' || *at == '\'') {
        end += declare_quoted_size(at);
        if (end - at > 1 && *at != '\'') kind = DECLARE_QUOTED;
    } else {
        end++;
    }
    parser->token = (declare_token){kind, at, (size_t)(end - at)};
    parser->next = end;
}

static bool declare_is_word(const declare_token *token, const char *word) {
    return token->kind == DECLARE_WORD && declare_equal(token->text, token->size, word);
}

static bool declare_at_word(const declare_parser *parser, const char *word) {
    return declare_is_word(&parser->token, word);
}

static bool declare_at_symbol(const declare_parser *parser, char symbol) {
    return parser->token.kind == DECLARE_SYMBOL && *parser->token.text == symbol;
}

/* The token after the current one. */
static declare_token declare_peek(const declare_parser *parser) {
    declare_parser ahead = *parser;
    declare_advance(&ahead);
    return ahead.token;
}

/* Takes the current word and the next when they are these two. */
static bool declare_take_words(declare_parser *parser, const char *first, const char *second) {
    declare_token next = declare_peek(parser);
    if (!declare_at_word(parser, first) || !declare_is_word(&next, second)) return false;
    declare_advance(parser);
    declare_advance(parser);
    return true;
}

/* A copy of a part of an argument; NULL when out of memory. */
static char *declare_copy(const char *text, size_t size) {
    char *copy = shx_alloc(size + 1);
    if (!copy) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* The name without its quotes. */
static char *declare_unquoted(const declare_token *token) {
    if (token->kind == DECLARE_WORD) return declare_copy(token->text, token->size);
    char *name = declare_copy(token->text + 1, token->size - 2), quote = *token->text;
    if (!name || quote == '[') return name;
    size_t kept = 0;
    for (size_t i = 0; name[i]; i++) {
        if (name[i] == quote) i++;
        name[kept++] = name[i];
    }
    name[kept] = '\0';
    return name;
}

static shx_status declare_take_name(declare_parser *parser, char **ret_name) {
    declare_token *token = &parser->token;
    if (declare_at_symbol(parser, '[')) {
        token->size = declare_quoted_size(token->text);
        parser->next = token->text + token->size;
        if (token->size > 1) token->kind = DECLARE_QUOTED;
    }
    if (token->kind != DECLARE_WORD && token->kind != DECLARE_QUOTED) return declare_unexpected(parser, "a name");
    char *name = declare_unquoted(token);
    SHX_CHECK(name, SHX_NOMEM);
    declare_advance(parser);
    *ret_name = name;
    return SHX_OK;
}

/* The rest of the argument, without space around it. */
static void declare_rest(const char *at, const char *end, declare_token *ret_rest) {
    while (at < end && declare_is_space(*at)) at++;
    while (end > at && declare_is_space(end[-1])) end--;
    *ret_rest = (declare_token){DECLARE_WORD, at, (size_t)(end - at)};
}

/* ---- whole numbers ---- */

/* A whole number from minimum to maximum. `what` begins the message: "dimension " or "". */
static shx_status declare_whole(declare_parser *parser, const char *what, const declare_token *text, uint32_t minimum,
                                uint32_t maximum, uint32_t *ret_value) {
    size_t at = text->size && (*text->text == '-' || *text->text == '+'), digits = at;
    bool negative = at && *text->text == '-';
    uint64_t value = 0;
    for (; digits < text->size && declare_is_digit(text->text[digits]); digits++) {
        if (value <= UINT32_MAX) value = value * 10 + (uint64_t)(text->text[digits] - '0');
    }
    if (digits == at || digits < text->size) {
        return declare_fail(parser, "%s\"%.*s\" is not a whole number, expected %u to %u", what, (int)text->size,
                            text->text, minimum, maximum);
    }
    if (value < minimum || value > maximum || (negative && value)) {
        return declare_fail(parser, "%s%.*s is out of range, expected %u to %u", what, (int)text->size, text->text,
                            minimum, maximum);
    }
    *ret_value = (uint32_t)value;
    return SHX_OK;
}

/* ---- options ---- */

typedef enum declare_option_name {
    DECLARE_RECALL,
    DECLARE_SHARD_SIZE,
    DECLARE_FLUSH_ROWS,
    DECLARE_THREADS,
    DECLARE_MEMORY_ONLY,
    DECLARE_CHUNK_SIZE,
    DECLARE_ROUTER,
    DECLARE_GRAPH_M,
    DECLARE_GRAPH_EF,
    DECLARE_OPTION_COUNT,
} declare_option_name;

static const struct {
    const char *name;
    uint32_t minimum, maximum;
} declare_options[DECLARE_OPTION_COUNT] = {
    [DECLARE_RECALL] = {"recall", 0, 1},
    [DECLARE_SHARD_SIZE] = {"shard_size", 32, 65536},
    [DECLARE_FLUSH_ROWS] = {"flush_rows", 64, INT32_MAX},
    [DECLARE_THREADS] = {"threads", 0, 1024},
    [DECLARE_MEMORY_ONLY] = {"memory_only", 0, 1},
    [DECLARE_CHUNK_SIZE] = {"chunk_size", 1, INT32_MAX},
    [DECLARE_ROUTER] = {"router", 0, 0},
    [DECLARE_GRAPH_M] = {"graph_m", SHX_GRAPH_M_MIN, SHX_GRAPH_M_MAX},
    [DECLARE_GRAPH_EF] = {"graph_ef", 8, 4096},
};

static shx_status declare_recall(declare_parser *parser, const declare_token *text) {
    double recall = 0;
    size_t used = shx_number_read(text->text, text->size, &recall);
    if (used == 0 || used < text->size) {
        return declare_fail(parser, "\"%.*s\" is not a number, expected more than 0 and at most 1", (int)text->size,
                            text->text);
    }
    if (!(recall > 0 && recall <= 1)) {
        return declare_fail(parser, "%.*s is out of range, expected more than 0 and at most 1", (int)text->size,
                            text->text);
    }
    parser->declaration->recall = recall;
    return SHX_OK;
}

/* One of the router's ways; auto is 0. */
static shx_status declare_router(declare_parser *parser, const declare_token *text) {
    uint32_t way = SHX_ROUTE_WAYS;
    if (declare_equal(text->text, text->size, "auto")) way = 0;
    for (uint32_t w = SHX_ROUTE_FLAT; w < SHX_ROUTE_WAYS; w++) {
        if (declare_equal(text->text, text->size, shx_route_way_name((shx_route_way)w))) way = w;
    }
    if (way == SHX_ROUTE_WAYS) {
        return declare_fail(parser, "\"%.*s\" is unknown, expected auto, flat, levels or graph", (int)text->size,
                            text->text);
    }
    parser->declaration->routing.way = way;
    return SHX_OK;
}

/* Which option the name means; SHX_MISUSE when none. */
static shx_status declare_option_find(declare_parser *parser, declare_option_name *ret_option) {
    static const char *const later[] = {"content", "content_rowid", "content_vector", NULL};
    size_t size = strlen(parser->option);
    for (int i = 0; i < DECLARE_OPTION_COUNT; i++) {
        if (!declare_equal(parser->option, size, declare_options[i].name)) continue;
        if (parser->options_seen & (1u << i)) return declare_fail(parser, "given twice, expected once");
        parser->options_seen |= 1u << i;
        *ret_option = (declare_option_name)i;
        return SHX_OK;
    }
    if (declare_listed(parser->option, size, later)) {
        return declare_fail(parser, "not supported in this version, expected the vectors in the table itself");
    }
    return declare_fail(parser,
                        "unknown, expected recall, shard_size, flush_rows, threads, memory_only, router, graph_m, "
                        "graph_ef or chunk_size");
}

/* Reads the value after the current `=`, bare or quoted. */
static shx_status declare_option(declare_parser *parser) {
    declare_option_name option = DECLARE_OPTION_COUNT;
    SHX_TRY(declare_option_find(parser, &option));
    declare_token text;
    const char *start = declare_skip_space(parser->next);
    declare_rest(start, start + strlen(start), &text);
    if (text.size > 1 && (*text.text == '\'' || *text.text == '"') && text.text[text.size - 1] == *text.text) {
        declare_rest(text.text + 1, text.text + text.size - 1, &text);
    }
    if (option == DECLARE_RECALL) return declare_recall(parser, &text);
    if (option == DECLARE_ROUTER) return declare_router(parser, &text);
    uint32_t value = 0;
    SHX_TRY(declare_whole(parser, "", &text, declare_options[option].minimum, declare_options[option].maximum, &value));
    shx_declaration *declaration = parser->declaration;
    switch (option) {
    case DECLARE_SHARD_SIZE: declaration->shard_size = value; break;
    case DECLARE_FLUSH_ROWS: declaration->flush_rows = value; break;
    case DECLARE_THREADS: declaration->threads = value; break;
    case DECLARE_MEMORY_ONLY: declaration->memory_only = value; break;
    case DECLARE_GRAPH_M: declaration->routing.m = value; break;
    case DECLARE_GRAPH_EF: declaration->routing.ef = value; break;
    default: assert(option == DECLARE_CHUNK_SIZE); break;
    }
    return SHX_OK;
}

/* ---- the vector column ---- */

static shx_status declare_metric(declare_parser *parser) {
    static const shx_metric metrics[] = {SHX_L2, SHX_COSINE, SHX_IP, SHX_L1, SHX_HAMMING};
    declare_advance(parser);
    if (!declare_at_symbol(parser, '=')) return declare_unexpected(parser, "\"=\" after distance_metric");
    declare_advance(parser);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (!declare_at_word(parser, shx_metric_name(metrics[i]))) continue;
        parser->declaration->metric = metrics[i];
        declare_advance(parser);
        return SHX_OK;
    }
    if (parser->token.kind != DECLARE_WORD) {
        return declare_unexpected(parser, "distance_metric l2, cosine, ip, l1 or hamming");
    }
    return declare_fail(parser, "distance_metric \"%.*s\" is unknown, expected l2, cosine, ip, l1 or hamming",
                        (int)parser->token.size, parser->token.text);
}

static shx_status declare_check_metric(declare_parser *parser) {
    const shx_declaration *declaration = parser->declaration;
    if (shx_metric_fits(declaration->metric, declaration->element)) return SHX_OK;
    const char *expected = declaration->element == SHX_BIT ? "hamming" : "l2, cosine, ip or l1";
    return declare_fail(parser, "distance_metric %s does not go with %s vectors, expected %s",
                        shx_metric_name(declaration->metric), shx_element_name(declaration->element), expected);
}

/* The current token is the index's name; what stands in its parentheses is not looked at. */
static shx_status declare_index_hint(declare_parser *parser) {
    static const char *const known[] = {"flat", "rescore", "diskann", "ivf", NULL};
    if (parser->token.kind != DECLARE_WORD || !declare_listed(parser->token.text, parser->token.size, known)) {
        return declare_unexpected(parser, "flat, rescore, diskann or ivf after INDEXED BY");
    }
    declare_advance(parser);
    if (!declare_at_symbol(parser, '(')) return SHX_OK;
    int depth = 0;
    do {
        if (parser->token.kind == DECLARE_END) return declare_unexpected(parser, "\")\" after the index's parameters");
        depth += declare_at_symbol(parser, '(') - declare_at_symbol(parser, ')');
        declare_advance(parser);
    } while (depth > 0);
    return SHX_OK;
}

static shx_status declare_vector_clauses(declare_parser *parser, shx_column *column) {
    bool metric = false, index = false;
    while (parser->token.kind != DECLARE_END) {
        if (!metric && declare_at_word(parser, "distance_metric")) {
            SHX_TRY(declare_metric(parser));
            metric = true;
        } else if (!index && declare_take_words(parser, "indexed", "by")) {
            SHX_TRY(declare_index_hint(parser));
            index = true;
        } else if (!column->not_null && declare_take_words(parser, "not", "null")) {
            column->not_null = true;
        } else {
            return declare_unexpected(parser, "distance_metric=…, INDEXED BY …, NOT NULL (each once) or the end");
        }
    }
    return declare_check_metric(parser);
}

static shx_status declare_element(declare_parser *parser, const declare_token *word) {
    static const struct {
        const char *words[4];
        shx_element element;
    } known[] = {
        {{"float", "f32", "float32", NULL}, SHX_FLOAT32},
        {{"f16", NULL}, SHX_FLOAT16},
        {{"bf16", NULL}, SHX_BFLOAT16},
        {{"int8", "i8", NULL}, SHX_INT8},
        {{"bit", NULL}, SHX_BIT},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!declare_listed(word->text, word->size, known[i].words)) continue;
        parser->declaration->element = known[i].element;
        if (known[i].element == SHX_BIT) parser->declaration->metric = SHX_HAMMING;
        return SHX_OK;
    }
    return declare_fail(parser,
                        "element type \"%.*s\" is unknown, expected float (also f32), f16, bf16, int8 (also i8) "
                        "or bit",
                        (int)word->size, word->text);
}

/* The element type has been read, the current token is the `[` after it. */
static shx_status declare_vector(declare_parser *parser, shx_column *column, const declare_token *element) {
    shx_declaration *declaration = parser->declaration;
    if (column->role == SHX_COLUMN_AUXILIARY) {
        return declare_fail(parser, "found a vector after \"+\", expected an auxiliary column such as +title TEXT");
    }
    if (declaration->dim) {
        return declare_fail(parser, "a second vector column is not supported in this version, expected only \"%s\"",
                            declaration->columns[declaration->vector_column].name);
    }
    SHX_TRY(declare_element(parser, element));
    const char *close = strchr(parser->next, ']');
    if (!close) return declare_fail(parser, "the dimension is not closed, expected \"]\"");
    declare_token text;
    declare_rest(parser->next, close, &text);
    SHX_TRY(declare_whole(parser, "dimension ", &text, 1, SHX_DIM_MAX, &declaration->dim));
    if (declaration->element == SHX_BIT && declaration->dim % 8 != 0) {
        return declare_fail(parser, "dimension %u of a bit vector, expected a multiple of 8", declaration->dim);
    }
    column->role = SHX_COLUMN_VECTOR;
    column->type = declare_copy(element->text, element->size);
    SHX_CHECK(column->type, SHX_NOMEM);
    declaration->vector_column = declaration->column_count - 1;
    parser->next = close + 1;
    declare_advance(parser);
    return declare_vector_clauses(parser, column);
}

/* ---- the other columns ---- */

/* Words that SQLite's documentation, vec0 and common schemas use as types. One of the first group must be there: a type
** that SQLite does not know gets NUMERIC affinity, and a misspelled clause would pass for one. */
static const char *const declare_type_words[] = {
    "int",     "integer",   "tinyint", "smallint", "mediumint", "bigint",  "int2",      "int4",  "int8",
    "int64",   "integer64", "real",    "double",   "float",     "float32", "float64",   "f64",   "numeric",
    "decimal", "number",    "boolean", "bool",     "character", "char",    "varchar",   "nchar", "nvarchar",
    "text",    "clob",      "blob",    "date",     "datetime",  "time",    "timestamp", "json",  NULL,
};

static const char *const declare_type_modifiers[] = {"unsigned", "big", "precision", "varying", "native", NULL};

/* True at the first word of a role, which is not a type (`time` can be both). */
static bool declare_at_role(const declare_parser *parser) {
    static const char *const roles[] = {"primary", "partition", "document", "time", NULL};
    declare_token next = declare_peek(parser);
    return parser->token.kind == DECLARE_WORD && declare_listed(parser->token.text, parser->token.size, roles) &&
           declare_is_word(&next, "key");
}

/* Moves the current token to the end of the type, which has room for the whole argument; separator 0 is none. */
static void declare_type_take(declare_parser *parser, char *type, char separator) {
    size_t length = strlen(type);
    if (length && separator) type[length++] = separator;
    memcpy(type + length, parser->token.text, parser->token.size);
    type[length + parser->token.size] = '\0';
    declare_advance(parser);
}

/* `(20)` or `(10,5)`; the current token is the parenthesis. */
static shx_status declare_type_size(declare_parser *parser, char *type) {
    uint32_t size;
    do {
        declare_type_take(parser, type, 0);
        if (parser->token.kind != DECLARE_NUMBER) return declare_unexpected(parser, "a size such as (20) or (10,5)");
        SHX_TRY(declare_whole(parser, "size ", &parser->token, 0, INT32_MAX, &size));
        declare_type_take(parser, type, 0);
    } while (declare_at_symbol(parser, ','));
    if (!declare_at_symbol(parser, ')')) return declare_unexpected(parser, "\")\" after the size of the type");
    declare_type_take(parser, type, 0);
    return SHX_OK;
}

static shx_status declare_type(declare_parser *parser, char *type) {
    declare_token first = parser->token;
    bool complete = false;
    while (parser->token.kind == DECLARE_WORD && !declare_at_role(parser)) {
        bool base = declare_listed(parser->token.text, parser->token.size, declare_type_words);
        if (!base && !declare_listed(parser->token.text, parser->token.size, declare_type_modifiers)) break;
        complete = complete || base;
        declare_type_take(parser, type, ' ');
    }
    if (complete) return declare_at_symbol(parser, '(') ? declare_type_size(parser, type) : SHX_OK;
    if (!*type && (first.kind != DECLARE_WORD || declare_at_word(parser, "not") || declare_at_role(parser))) {
        return SHX_OK;
    }
    return declare_fail(parser,
                        "unknown type \"%.*s\", expected an SQL type such as INTEGER, REAL, TEXT, BLOB, NUMERIC, "
                        "BOOLEAN or DATE, or a vector such as float[384]",
                        (int)first.size, first.text);
}

static shx_status declare_key(declare_parser *parser, shx_column *column) {
    shx_declaration *declaration = parser->declaration;
    if (declaration->key_column >= 0) {
        return declare_fail(parser, "a second primary key, expected only \"%s\"",
                            declaration->columns[declaration->key_column].name);
    }
    size_t size = strlen(column->type);
    if (!declare_equal(column->type, size, "integer") && !declare_equal(column->type, size, "int")) {
        return declare_fail(parser,
                            "a primary key of type \"%s\" is not supported in this version, expected INTEGER PRIMARY "
                            "KEY",
                            column->type);
    }
    column->role = SHX_COLUMN_KEY;
    declaration->key_column = (int32_t)declaration->column_count - 1;
    return SHX_OK;
}

/* `partition key` and `document key` are ordinary columns: the index holds the rows of each value of every such column
** together, so a query on one value touches only its rows. */
static bool declare_take_group_key(declare_parser *parser) {
    return declare_take_words(parser, "partition", "key") || declare_take_words(parser, "document", "key");
}

static shx_status declare_clauses(declare_parser *parser, shx_column *column) {
    bool grouped = false;
    while (parser->token.kind != DECLARE_END) {
        if (column->role == SHX_COLUMN_AUXILIARY) return declare_unexpected(parser, "the end of the auxiliary column");
        if (!grouped && column->role == SHX_COLUMN_PLAIN && declare_take_group_key(parser)) {
            grouped = true;
        } else if (!grouped && declare_take_words(parser, "primary", "key")) {
            SHX_TRY(declare_key(parser, column));
        } else if (declare_at_role(parser)) {
            return declare_fail(parser,
                                "\"%.*s key\" is not supported in this version, expected INTEGER PRIMARY KEY or no "
                                "key",
                                (int)parser->token.size, parser->token.text);
        } else if (!column->not_null && declare_take_words(parser, "not", "null")) {
            column->not_null = true;
        } else {
            return declare_unexpected(parser, "NOT NULL, PRIMARY KEY (each once) or the end");
        }
    }
    return SHX_OK;
}

/* Everything after the name. */
static shx_status declare_definition(declare_parser *parser, shx_column *column) {
    declare_token next = declare_peek(parser);
    if (parser->token.kind == DECLARE_WORD && next.kind == DECLARE_SYMBOL && *next.text == '[') {
        declare_token element = parser->token;
        declare_advance(parser);
        return declare_vector(parser, column, &element);
    }
    if (declare_at_symbol(parser, '['))
        return declare_unexpected(parser, "an element type before it, as in float[384]");
    column->type = shx_alloc_zero(1, parser->token.size + strlen(parser->next) + 1);
    SHX_CHECK(column->type, SHX_NOMEM);
    SHX_TRY(declare_type(parser, column->type));
    return declare_clauses(parser, column);
}

/* ---- names ---- */

static const char *const declare_hidden[] = {"distance", "k", "recall", "exact", NULL};
static const char *const declare_hidden_later[] = {"per_document", NULL};
static const char *const declare_rowid[] = {"rowid", "_rowid_", "oid", NULL};

/* The column at hand is not named as the table. */
static shx_status declare_check_command(declare_parser *parser) {
    SHX_CHECK(declare_equal(parser->column, strlen(parser->column), parser->table), SHX_OK);
    return declare_fail(parser, "the name is that of the table, which the column for commands has, expected another");
}

/* Judges the name of the last column, whose role is known by now. */
static shx_status declare_check_name(declare_parser *parser) {
    const shx_declaration *declaration = parser->declaration;
    const shx_column *column = &declaration->columns[declaration->column_count - 1];
    size_t size = strlen(column->name);
    if (size == 0) return declare_fail(parser, "the name is empty, expected at least one character");
    if (declare_listed(column->name, size, declare_hidden)) {
        return declare_fail(parser, "the name is that of a hidden column, expected another");
    }
    if (declare_listed(column->name, size, declare_hidden_later)) {
        return declare_fail(parser, "the name is that of a hidden column of a later version, expected another");
    }
    if (column->role != SHX_COLUMN_KEY && declare_listed(column->name, size, declare_rowid)) {
        return declare_fail(parser, "the name means the row's id, expected another or INTEGER PRIMARY KEY");
    }
    SHX_TRY(declare_check_command(parser));
    for (uint32_t i = 0; i + 1 < declaration->column_count; i++) {
        if (!declare_equal(column->name, size, declaration->columns[i].name)) continue;
        return declare_fail(parser, "a second column of this name (case does not matter), expected another");
    }
    return SHX_OK;
}

/* Hidden columns must not meet each other either: the one for commands is named as the table. */
static shx_status declare_check_table(declare_parser *parser) {
    size_t size = strlen(parser->table);
    if (declare_listed(parser->table, size, declare_hidden) ||
        declare_listed(parser->table, size, declare_hidden_later)) {
        return declare_fail(parser, "the name is that of a hidden column, expected another");
    }
    if (declare_listed(parser->table, size, declare_rowid)) {
        return declare_fail(parser, "the name means the row's id, expected another");
    }
    return SHX_OK;
}

/* ---- the whole ---- */

/* Adds a column, which now owns the name. */
static shx_status declare_column(declare_parser *parser, char *name, shx_column_role role) {
    shx_declaration *declaration = parser->declaration;
    void *columns = declaration->columns;
    uint64_t count = declaration->column_count;
    shx_status status = shx_grow(&columns, &parser->column_capacity, count + 1, sizeof *declaration->columns);
    if (status != SHX_OK) {
        shx_free(name);
        return status;
    }
    declaration->columns = columns;
    shx_column *column = &declaration->columns[count];
    *column = (shx_column){.name = name, .role = role};
    declaration->column_count++;
    parser->column = name;
    SHX_TRY(declare_definition(parser, column));
    SHX_TRY(declare_check_name(parser));
    declaration->plain_count += column->role == SHX_COLUMN_PLAIN;
    declaration->auxiliary_count += column->role == SHX_COLUMN_AUXILIARY;
    return SHX_OK;
}

static shx_status declare_argument(declare_parser *parser, const char *text) {
    char *name = NULL;
    parser->column = parser->option = NULL;
    parser->next = text;
    declare_advance(parser);
    if (parser->token.kind == DECLARE_END) return declare_fail(parser, "empty, expected a column or an option");
    shx_column_role role = declare_at_symbol(parser, '+') ? SHX_COLUMN_AUXILIARY : SHX_COLUMN_PLAIN;
    if (role == SHX_COLUMN_AUXILIARY) declare_advance(parser);
    SHX_TRY(declare_take_name(parser, &name));
    if (role == SHX_COLUMN_AUXILIARY || !declare_at_symbol(parser, '=')) return declare_column(parser, name, role);
    parser->option = name;
    shx_status status = declare_option(parser);
    shx_free(name);
    return status;
}

static shx_status declare_arguments(declare_parser *parser, int count, const char *const *arguments) {
    SHX_TRY(declare_check_table(parser));
    for (int i = 0; i < count; i++) {
        parser->argument = i + 1;
        SHX_TRY(declare_argument(parser, arguments[i]));
    }
    parser->column = parser->option = NULL;
    parser->argument = 0;
    if (parser->declaration->dim) return SHX_OK;
    return declare_fail(parser, "no vector column, expected one such as embedding float[384]");
}

shx_status shx_declare(const char *table, int argument_count, const char *const *arguments,
                       shx_declaration **ret_declaration, char **ret_message) {
    shx_declaration *declaration = shx_alloc_zero(1, sizeof *declaration);
    SHX_CHECK(declaration, SHX_NOMEM);
    declaration->metric = SHX_L2;
    declaration->key_column = -1;
    declaration->recall = DECLARE_RECALL_DEFAULT;
    declare_parser parser = {.declaration = declaration, .table = table};
    shx_status status = declare_arguments(&parser, argument_count, arguments);
    if (status == SHX_OK) {
        *ret_declaration = declaration;
        return SHX_OK;
    }
    shx_declaration_destroy(declaration);
    if (status == SHX_MISUSE) *ret_message = parser.message;
    return status;
}

shx_status shx_declaration_rename(const shx_declaration *declaration, const char *table, char **ret_message) {
    declare_parser parser = {.table = table};
    shx_status status = declare_check_table(&parser);
    for (uint32_t i = 0; i < declaration->column_count && status == SHX_OK; i++) {
        parser.column = declaration->columns[i].name;
        status = declare_check_command(&parser);
    }
    if (status == SHX_MISUSE) *ret_message = parser.message;
    return status;
}

void shx_declaration_destroy(shx_declaration *declaration) {
    if (!declaration) return;
    for (uint32_t i = 0; i < declaration->column_count; i++) {
        shx_free(declaration->columns[i].name);
        shx_free(declaration->columns[i].type);
    }
    shx_free(declaration->columns);
    shx_free(declaration);
}
