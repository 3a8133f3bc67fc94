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
** An argument is an option when `=` follows its first name. What belongs to a later version of the grammar (keys of
** other kinds, content=) is told apart from what is unknown. How words are read and how messages read: words.h.
*/
#include "declare.h"

#include "../engine/limits.h"
#include "../engine/memory.h"
#include "number.h"
#include "words.h"

#include <assert.h>
#include <string.h>

#define DECLARE_RECALL_DEFAULT 0.95

typedef struct declare_parser {
    shx_declaration *declaration;
    uint64_t column_capacity;
    uint32_t options_seen; /* a bit per declare_option_name */
    shx_words words;
} declare_parser;

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

static shx_status declare_recall(declare_parser *parser, const shx_token *text) {
    double recall = 0;
    size_t used = shx_number_read(text->text, text->size, &recall);
    if (used == 0 || used < text->size) {
        return shx_words_fail(&parser->words, "\"%.*s\" is not a number, expected more than 0 and at most 1",
                              (int)text->size, text->text);
    }
    if (!(recall > 0 && recall <= 1)) {
        return shx_words_fail(&parser->words, "%.*s is out of range, expected more than 0 and at most 1",
                              (int)text->size, text->text);
    }
    parser->declaration->recall = recall;
    return SHX_OK;
}

/* One of the router's ways; auto is 0. */
static shx_status declare_router(declare_parser *parser, const shx_token *text) {
    uint32_t way = SHX_ROUTE_WAYS;
    if (shx_words_equal(text->text, text->size, "auto")) way = 0;
    for (uint32_t w = SHX_ROUTE_FLAT; w < SHX_ROUTE_WAYS; w++) {
        if (shx_words_equal(text->text, text->size, shx_route_way_name((shx_route_way)w))) way = w;
    }
    if (way == SHX_ROUTE_WAYS) {
        return shx_words_fail(&parser->words, "\"%.*s\" is unknown, expected auto, flat, levels or graph",
                              (int)text->size, text->text);
    }
    parser->declaration->routing.way = way;
    return SHX_OK;
}

/* Which option the name means; SHX_MISUSE when none. */
static shx_status declare_option_find(declare_parser *parser, declare_option_name *ret_option) {
    static const char *const later[] = {"content", "content_rowid", "content_vector", NULL};
    size_t size = strlen(parser->words.option);
    for (int i = 0; i < DECLARE_OPTION_COUNT; i++) {
        if (!shx_words_equal(parser->words.option, size, declare_options[i].name)) continue;
        if (parser->options_seen & (1u << i)) return shx_words_fail(&parser->words, "given twice, expected once");
        parser->options_seen |= 1u << i;
        *ret_option = (declare_option_name)i;
        return SHX_OK;
    }
    if (shx_words_listed(parser->words.option, size, later)) {
        return shx_words_fail(&parser->words,
                              "not supported in this version, expected the vectors in the table itself");
    }
    return shx_words_fail(&parser->words,
                          "unknown, expected recall, shard_size, flush_rows, threads, memory_only, router, graph_m, "
                          "graph_ef or chunk_size");
}

/* Reads the value after the current `=`, bare or quoted. */
static shx_status declare_option(declare_parser *parser) {
    declare_option_name option = DECLARE_OPTION_COUNT;
    SHX_TRY(declare_option_find(parser, &option));
    const char *start = shx_words_skip_space(parser->words.next);
    shx_token text = shx_words_trim(start, start + strlen(start));
    if (text.size > 1 && (*text.text == '\'' || *text.text == '"') && text.text[text.size - 1] == *text.text) {
        text = shx_words_trim(text.text + 1, text.text + text.size - 1);
    }
    if (option == DECLARE_RECALL) return declare_recall(parser, &text);
    if (option == DECLARE_ROUTER) return declare_router(parser, &text);
    uint32_t value = 0;
    SHX_TRY(shx_words_whole_number(&parser->words, "", &text, declare_options[option].minimum,
                                   declare_options[option].maximum, &value));
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
    shx_words_advance(&parser->words);
    if (!shx_words_at_symbol(&parser->words, '='))
        return shx_words_unexpected(&parser->words, "\"=\" after distance_metric");
    shx_words_advance(&parser->words);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (!shx_words_at(&parser->words, shx_metric_name(metrics[i]))) continue;
        parser->declaration->metric = metrics[i];
        shx_words_advance(&parser->words);
        return SHX_OK;
    }
    if (parser->words.token.kind != SHX_TOKEN_WORD) {
        return shx_words_unexpected(&parser->words, "distance_metric l2, cosine, ip, l1 or hamming");
    }
    return shx_words_fail(&parser->words, "distance_metric \"%.*s\" is unknown, expected l2, cosine, ip, l1 or hamming",
                          (int)parser->words.token.size, parser->words.token.text);
}

static shx_status declare_check_metric(declare_parser *parser) {
    const shx_declaration *declaration = parser->declaration;
    if (shx_metric_fits(declaration->metric, declaration->element)) return SHX_OK;
    const char *expected = declaration->element == SHX_BIT ? "hamming" : "l2, cosine, ip or l1";
    return shx_words_fail(&parser->words, "distance_metric %s does not go with %s vectors, expected %s",
                          shx_metric_name(declaration->metric), shx_element_name(declaration->element), expected);
}

/* The current token is the index's name; what stands in its parentheses is not looked at. */
static shx_status declare_index_hint(declare_parser *parser) {
    static const char *const known[] = {"flat", "rescore", "diskann", "ivf", NULL};
    if (parser->words.token.kind != SHX_TOKEN_WORD ||
        !shx_words_listed(parser->words.token.text, parser->words.token.size, known)) {
        return shx_words_unexpected(&parser->words, "flat, rescore, diskann or ivf after INDEXED BY");
    }
    shx_words_advance(&parser->words);
    if (!shx_words_at_symbol(&parser->words, '(')) return SHX_OK;
    int depth = 0;
    do {
        if (parser->words.token.kind == SHX_TOKEN_END)
            return shx_words_unexpected(&parser->words, "\")\" after the index's parameters");
        depth += shx_words_at_symbol(&parser->words, '(') - shx_words_at_symbol(&parser->words, ')');
        shx_words_advance(&parser->words);
    } while (depth > 0);
    return SHX_OK;
}

static shx_status declare_vector_clauses(declare_parser *parser, shx_column *column) {
    bool metric = false, index = false;
    while (parser->words.token.kind != SHX_TOKEN_END) {
        if (!metric && shx_words_at(&parser->words, "distance_metric")) {
            SHX_TRY(declare_metric(parser));
            metric = true;
        } else if (!index && shx_words_take_two(&parser->words, "indexed", "by")) {
            SHX_TRY(declare_index_hint(parser));
            index = true;
        } else if (!column->not_null && shx_words_take_two(&parser->words, "not", "null")) {
            column->not_null = true;
        } else {
            return shx_words_unexpected(&parser->words,
                                        "distance_metric=…, INDEXED BY …, NOT NULL (each once) or the end");
        }
    }
    return declare_check_metric(parser);
}

static shx_status declare_element(declare_parser *parser, const shx_token *word) {
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
        if (!shx_words_listed(word->text, word->size, known[i].words)) continue;
        parser->declaration->element = known[i].element;
        if (known[i].element == SHX_BIT) parser->declaration->metric = SHX_HAMMING;
        return SHX_OK;
    }
    return shx_words_fail(&parser->words,
                          "element type \"%.*s\" is unknown, expected float (also f32), f16, bf16, int8 (also i8) "
                          "or bit",
                          (int)word->size, word->text);
}

/* The element type has been read, the current token is the `[` after it. */
static shx_status declare_vector(declare_parser *parser, shx_column *column, const shx_token *element) {
    shx_declaration *declaration = parser->declaration;
    if (column->role == SHX_COLUMN_AUXILIARY) {
        return shx_words_fail(&parser->words,
                              "found a vector after \"+\", expected an auxiliary column such as +title TEXT");
    }
    if (declaration->dim) {
        return shx_words_fail(&parser->words,
                              "a second vector column is not supported in this version, expected only \"%s\"",
                              declaration->columns[declaration->vector_column].name);
    }
    SHX_TRY(declare_element(parser, element));
    const char *close = strchr(parser->words.next, ']');
    if (!close) return shx_words_fail(&parser->words, "the dimension is not closed, expected \"]\"");
    shx_token text = shx_words_trim(parser->words.next, close);
    SHX_TRY(shx_words_whole_number(&parser->words, "dimension ", &text, 1, SHX_DIM_MAX, &declaration->dim));
    if (declaration->element == SHX_BIT && declaration->dim % 8 != 0) {
        return shx_words_fail(&parser->words, "dimension %u of a bit vector, expected a multiple of 8",
                              declaration->dim);
    }
    column->role = SHX_COLUMN_VECTOR;
    column->type = shx_words_copy(element->text, element->size);
    SHX_CHECK(column->type, SHX_NOMEM);
    declaration->vector_column = declaration->column_count - 1;
    parser->words.next = close + 1;
    shx_words_advance(&parser->words);
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
    shx_token next = shx_words_peek(&parser->words);
    return parser->words.token.kind == SHX_TOKEN_WORD &&
           shx_words_listed(parser->words.token.text, parser->words.token.size, roles) && shx_words_is(&next, "key");
}

/* Moves the current token to the end of the type, which has room for the whole argument; separator 0 is none. */
static void declare_type_take(declare_parser *parser, char *type, char separator) {
    size_t length = strlen(type);
    if (length && separator) type[length++] = separator;
    memcpy(type + length, parser->words.token.text, parser->words.token.size);
    type[length + parser->words.token.size] = '\0';
    shx_words_advance(&parser->words);
}

/* `(20)` or `(10,5)`; the current token is the parenthesis. */
static shx_status declare_type_size(declare_parser *parser, char *type) {
    uint32_t size;
    do {
        declare_type_take(parser, type, 0);
        if (parser->words.token.kind != SHX_TOKEN_NUMBER)
            return shx_words_unexpected(&parser->words, "a size such as (20) or (10,5)");
        SHX_TRY(shx_words_whole_number(&parser->words, "size ", &parser->words.token, 0, INT32_MAX, &size));
        declare_type_take(parser, type, 0);
    } while (shx_words_at_symbol(&parser->words, ','));
    if (!shx_words_at_symbol(&parser->words, ')'))
        return shx_words_unexpected(&parser->words, "\")\" after the size of the type");
    declare_type_take(parser, type, 0);
    return SHX_OK;
}

static shx_status declare_type(declare_parser *parser, char *type) {
    shx_token first = parser->words.token;
    bool complete = false;
    while (parser->words.token.kind == SHX_TOKEN_WORD && !declare_at_role(parser)) {
        bool base = shx_words_listed(parser->words.token.text, parser->words.token.size, declare_type_words);
        if (!base && !shx_words_listed(parser->words.token.text, parser->words.token.size, declare_type_modifiers))
            break;
        complete = complete || base;
        declare_type_take(parser, type, ' ');
    }
    if (complete) return shx_words_at_symbol(&parser->words, '(') ? declare_type_size(parser, type) : SHX_OK;
    if (!*type && (first.kind != SHX_TOKEN_WORD || shx_words_at(&parser->words, "not") || declare_at_role(parser))) {
        return SHX_OK;
    }
    return shx_words_fail(&parser->words,
                          "unknown type \"%.*s\", expected an SQL type such as INTEGER, REAL, TEXT, BLOB, NUMERIC, "
                          "BOOLEAN or DATE, or a vector such as float[384]",
                          (int)first.size, first.text);
}

static shx_status declare_key(declare_parser *parser, shx_column *column) {
    shx_declaration *declaration = parser->declaration;
    if (declaration->key_column >= 0) {
        return shx_words_fail(&parser->words, "a second primary key, expected only \"%s\"",
                              declaration->columns[declaration->key_column].name);
    }
    size_t size = strlen(column->type);
    if (!shx_words_equal(column->type, size, "integer") && !shx_words_equal(column->type, size, "int")) {
        return shx_words_fail(&parser->words,
                              "a primary key of type \"%s\" is not supported in this version, expected INTEGER PRIMARY "
                              "KEY",
                              column->type);
    }
    column->role = SHX_COLUMN_KEY;
    declaration->key_column = (int32_t)declaration->column_count - 1;
    return SHX_OK;
}

/* `partition key` and `document key` are ordinary columns: the index knows the rows of each value of every column, so a
** query on one value touches only its rows. Of the first such key their vectors stand side by side as well. */
static bool declare_take_group_key(declare_parser *parser) {
    return shx_words_take_two(&parser->words, "partition", "key") ||
           shx_words_take_two(&parser->words, "document", "key");
}

static shx_status declare_clauses(declare_parser *parser, shx_column *column) {
    bool grouped = false;
    while (parser->words.token.kind != SHX_TOKEN_END) {
        if (column->role == SHX_COLUMN_AUXILIARY)
            return shx_words_unexpected(&parser->words, "the end of the auxiliary column");
        if (!grouped && column->role == SHX_COLUMN_PLAIN && declare_take_group_key(parser)) {
            grouped = true;
            if (!parser->declaration->group) parser->declaration->group = parser->declaration->plain_count + 1;
        } else if (!grouped && shx_words_take_two(&parser->words, "primary", "key")) {
            SHX_TRY(declare_key(parser, column));
        } else if (declare_at_role(parser)) {
            return shx_words_fail(&parser->words,
                                  "\"%.*s key\" is not supported in this version, expected INTEGER PRIMARY KEY or no "
                                  "key",
                                  (int)parser->words.token.size, parser->words.token.text);
        } else if (!column->not_null && shx_words_take_two(&parser->words, "not", "null")) {
            column->not_null = true;
        } else {
            return shx_words_unexpected(&parser->words, "NOT NULL, PRIMARY KEY (each once) or the end");
        }
    }
    return SHX_OK;
}

/* Everything after the name. */
static shx_status declare_definition(declare_parser *parser, shx_column *column) {
    shx_token next = shx_words_peek(&parser->words);
    if (parser->words.token.kind == SHX_TOKEN_WORD && next.kind == SHX_TOKEN_SYMBOL && *next.text == '[') {
        shx_token element = parser->words.token;
        shx_words_advance(&parser->words);
        return declare_vector(parser, column, &element);
    }
    if (shx_words_at_symbol(&parser->words, '['))
        return shx_words_unexpected(&parser->words, "an element type before it, as in float[384]");
    column->type = shx_alloc_zero(1, parser->words.token.size + strlen(parser->words.next) + 1);
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
    SHX_CHECK(shx_words_equal(parser->words.column, strlen(parser->words.column), parser->words.table), SHX_OK);
    return shx_words_fail(&parser->words,
                          "the name is that of the table, which the column for commands has, expected another");
}

/* Judges the name of the last column, whose role is known by now. */
static shx_status declare_check_name(declare_parser *parser) {
    const shx_declaration *declaration = parser->declaration;
    const shx_column *column = &declaration->columns[declaration->column_count - 1];
    size_t size = strlen(column->name);
    if (size == 0) return shx_words_fail(&parser->words, "the name is empty, expected at least one character");
    if (shx_words_listed(column->name, size, declare_hidden)) {
        return shx_words_fail(&parser->words, "the name is that of a hidden column, expected another");
    }
    if (shx_words_listed(column->name, size, declare_hidden_later)) {
        return shx_words_fail(&parser->words,
                              "the name is that of a hidden column of a later version, expected another");
    }
    if (column->role != SHX_COLUMN_KEY && shx_words_listed(column->name, size, declare_rowid)) {
        return shx_words_fail(&parser->words, "the name means the row's id, expected another or INTEGER PRIMARY KEY");
    }
    SHX_TRY(declare_check_command(parser));
    for (uint32_t i = 0; i + 1 < declaration->column_count; i++) {
        if (!shx_words_equal(column->name, size, declaration->columns[i].name)) continue;
        return shx_words_fail(&parser->words, "a second column of this name (case does not matter), expected another");
    }
    return SHX_OK;
}

/* Hidden columns must not meet each other either: the one for commands is named as the table. */
static shx_status declare_check_table(declare_parser *parser) {
    size_t size = strlen(parser->words.table);
    if (shx_words_listed(parser->words.table, size, declare_hidden) ||
        shx_words_listed(parser->words.table, size, declare_hidden_later)) {
        return shx_words_fail(&parser->words, "the name is that of a hidden column, expected another");
    }
    if (shx_words_listed(parser->words.table, size, declare_rowid)) {
        return shx_words_fail(&parser->words, "the name means the row's id, expected another");
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
    parser->words.column = name;
    SHX_TRY(declare_definition(parser, column));
    SHX_TRY(declare_check_name(parser));
    declaration->plain_count += column->role == SHX_COLUMN_PLAIN;
    declaration->auxiliary_count += column->role == SHX_COLUMN_AUXILIARY;
    return SHX_OK;
}

static shx_status declare_argument(declare_parser *parser, const char *text) {
    char *name = NULL;
    parser->words.column = parser->words.option = NULL;
    parser->words.next = text;
    shx_words_advance(&parser->words);
    if (parser->words.token.kind == SHX_TOKEN_END)
        return shx_words_fail(&parser->words, "empty, expected a column or an option");
    shx_column_role role = shx_words_at_symbol(&parser->words, '+') ? SHX_COLUMN_AUXILIARY : SHX_COLUMN_PLAIN;
    if (role == SHX_COLUMN_AUXILIARY) shx_words_advance(&parser->words);
    SHX_TRY(shx_words_take_name(&parser->words, &name));
    if (role == SHX_COLUMN_AUXILIARY || !shx_words_at_symbol(&parser->words, '='))
        return declare_column(parser, name, role);
    parser->words.option = name;
    shx_status status = declare_option(parser);
    shx_free(name);
    return status;
}

static shx_status declare_arguments(declare_parser *parser, int count, const char *const *arguments) {
    SHX_TRY(declare_check_table(parser));
    for (int i = 0; i < count; i++) {
        parser->words.argument = i + 1;
        SHX_TRY(declare_argument(parser, arguments[i]));
    }
    parser->words.column = parser->words.option = NULL;
    parser->words.argument = 0;
    if (parser->declaration->dim) return SHX_OK;
    return shx_words_fail(&parser->words, "no vector column, expected one such as embedding float[384]");
}

shx_status shx_declare(const char *table, int argument_count, const char *const *arguments,
                       shx_declaration **ret_declaration, char **ret_message) {
    shx_declaration *declaration = shx_alloc_zero(1, sizeof *declaration);
    SHX_CHECK(declaration, SHX_NOMEM);
    declaration->metric = SHX_L2;
    declaration->key_column = -1;
    declaration->recall = DECLARE_RECALL_DEFAULT;
    declare_parser parser = {.declaration = declaration, .words = {.table = table}};
    shx_status status = declare_arguments(&parser, argument_count, arguments);
    if (status == SHX_OK) {
        *ret_declaration = declaration;
        return SHX_OK;
    }
    shx_declaration_destroy(declaration);
    if (status == SHX_MISUSE) *ret_message = parser.words.message;
    return status;
}

shx_status shx_declaration_rename(const shx_declaration *declaration, const char *table, char **ret_message) {
    declare_parser parser = {.words = {.table = table}};
    shx_status status = declare_check_table(&parser);
    for (uint32_t i = 0; i < declaration->column_count && status == SHX_OK; i++) {
        parser.words.column = declaration->columns[i].name;
        status = declare_check_command(&parser);
    }
    if (status == SHX_MISUSE) *ret_message = parser.words.message;
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
