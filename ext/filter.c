#include "filter.h"

#include "../engine/memory.h"
#include "../engine/rowid_order.h"
#include "affinity.h"
#include "statements.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILTER_LIST_FEW 16   /* values of an IN list that a test by row goes through gladly */
#define FILTER_FIRST_VALUE 2 /* ?1 is the row */
#define FILTER_KEPT 16384    /* elements of an array that waits for the next query, at most */

/* All zeros but for the memory that the next query uses. */
static void filter_start(shx_filter *filter) {
    shx_predicate_reset(&filter->predicate);
    *filter = (shx_filter){.values = filter->values,
                           .value_capacity = filter->value_capacity,
                           .named = {filter->named.rowids, 0, filter->named.capacity},
                           .coming = {filter->coming.rowids, 0, filter->coming.capacity},
                           .late = filter->late,
                           .late_capacity = filter->late_capacity,
                           .predicate = filter->predicate};
}

void shx_filter_init(shx_filter *filter, shx_table *table, bool nearest) {
    filter_start(filter);
    filter->table = table;
    filter->nearest = nearest;
    filter->above = -(double)INFINITY;
    filter->below = (double)INFINITY;
    filter->above_equal = filter->below_equal = true;
}

static sqlite3_str *filter_text(shx_filter *filter) {
    if (!filter->text) filter->text = sqlite3_str_new(NULL);
    return filter->text;
}

/* Forgets the values from `from` on. */
static void filter_drop_values(shx_filter *filter, uint64_t from) {
    while (filter->value_count > from) sqlite3_value_free(filter->values[--filter->value_count]);
}

static void filter_free_rowids(shx_rowid_list *list) {
    shx_free(list->rowids);
    *list = (shx_rowid_list){0};
}

static void filter_free_values(shx_filter *filter) {
    shx_free(filter->values);
    filter->values = NULL;
    filter->value_capacity = 0;
}

void shx_filter_clear(shx_filter *filter) {
    if (!filter->table) return;
    shx_statement_give_back(filter->table, filter->check);
    if (filter->text) sqlite3_free(sqlite3_str_finish(filter->text));
    sqlite3_free(filter->where);
    filter_drop_values(filter, 0);
    if (filter->value_capacity > FILTER_KEPT) filter_free_values(filter);
    if (filter->named.capacity > FILTER_KEPT) filter_free_rowids(&filter->named);
    if (filter->coming.capacity > FILTER_KEPT) filter_free_rowids(&filter->coming);
    filter_start(filter);
}

void shx_filter_free(shx_filter *filter) {
    shx_filter_clear(filter);
    filter_free_values(filter);
    filter_free_rowids(&filter->named);
    filter_free_rowids(&filter->coming);
    shx_free(filter->late);
    shx_predicate_clear(&filter->predicate);
    memset(filter, 0, sizeof *filter);
}

/* ---- rowid sets ---- */

static bool filter_has_rowid(const shx_filter *filter, int64_t rowid) {
    const shx_rowid_list *named = &filter->named;
    return named->count > 0 && bsearch(&rowid, named->rowids, named->count, sizeof rowid, shx_rowid_compare);
}

/* Makes the rowids that came, in any order, a further restriction. */
static void filter_restrict(shx_filter *filter) {
    shx_rowid_list coming = filter->coming;
    int64_t *rowids = coming.rowids;
    uint64_t kept = 0;
    if (coming.count > 0) qsort(rowids, coming.count, sizeof *rowids, shx_rowid_compare);
    for (uint64_t i = 0; i < coming.count; i++) {
        bool twice = kept > 0 && rowids[kept - 1] == rowids[i];
        if (!twice && (!filter->restricted || filter_has_rowid(filter, rowids[i]))) rowids[kept++] = rowids[i];
    }
    coming.count = kept;
    filter->coming = filter->named;
    filter->named = coming;
    filter->restricted = true;
    filter->predicate.rowids = rowids;
    filter->predicate.rowid_count = kept;
    filter->predicate.restricted = true;
}

static int filter_append_rowid(shx_rowid_list *list, int64_t rowid) {
    void *block = list->rowids;
    if (shx_grow(&block, &list->capacity, list->count + 1, sizeof rowid) != SHX_OK) return SQLITE_NOMEM;
    list->rowids = block;
    list->rowids[list->count++] = rowid;
    return SQLITE_OK;
}

/* Appends a value, unless no rowid can be equal to it. */
static int filter_append_value(shx_rowid_list *list, sqlite3_value *value) {
    int type = sqlite3_value_numeric_type(value);
    if (type == SQLITE_FLOAT) {
        double real = sqlite3_value_double(value);
        if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) return SQLITE_OK;
        if ((double)(int64_t)real != real) return SQLITE_OK;
    } else if (type != SQLITE_INTEGER) {
        return SQLITE_OK;
    }
    return filter_append_rowid(list, sqlite3_value_int64(value));
}

static int filter_add_rowids(shx_filter *filter, const shx_term *term, sqlite3_value *argument) {
    shx_rowid_list *list = &filter->coming;
    int rc = SQLITE_OK;
    list->count = 0;
    if (term->compare == SHX_COMPARE_EQ) {
        rc = filter_append_value(list, argument);
    } else {
        sqlite3_value *value;
        for (rc = sqlite3_vtab_in_first(argument, &value); rc == SQLITE_OK && value;
             rc = sqlite3_vtab_in_next(argument, &value)) {
            int appended = filter_append_value(list, value);
            if (appended != SQLITE_OK) return appended;
        }
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE) return rc;
    filter_restrict(filter);
    return SQLITE_OK;
}

/* ---- conditions in SQL ---- */

static int filter_keep_value(shx_filter *filter, sqlite3_value *value) {
    void *block = filter->values;
    if (shx_grow(&block, &filter->value_capacity, filter->value_count + 1, sizeof value) != SHX_OK) return SQLITE_NOMEM;
    filter->values = block;
    sqlite3_value *copy = sqlite3_value_dup(value);
    if (!copy) return SQLITE_NOMEM;
    filter->values[filter->value_count++] = copy;
    return SQLITE_OK;
}

static char *filter_subject(const shx_filter *filter, const shx_term *term) {
    const shx_table *table = filter->table;
    switch (term->subject) {
    case SHX_SUBJECT_ROWID: return sqlite3_mprintf(SHX_SQL_SUBJECT_ROWID);
    case SHX_SUBJECT_PLAIN: return sqlite3_mprintf(SHX_SQL_SUBJECT_PLAIN, (int)term->slot);
    default: return sqlite3_mprintf(SHX_SQL_SUBJECT_AUXILIARY, (int)term->slot, table->schema, table->name);
    }
}

static shx_affinity filter_affinity(const shx_filter *filter, const shx_term *term) {
    const shx_declaration *declaration = filter->table->declaration;
    shx_column_role role = term->subject == SHX_SUBJECT_PLAIN ? SHX_COLUMN_PLAIN : SHX_COLUMN_AUXILIARY;
    for (uint32_t i = 0; i < declaration->column_count && term->subject != SHX_SUBJECT_ROWID; i++) {
        const shx_column *column = &declaration->columns[i];
        if (column->role == role && filter->table->slots[i] == term->slot) return shx_affinity_of(column->type);
    }
    return SHX_AFFINITY_INTEGER;
}

static bool filter_is_number(sqlite3_value *value) {
    int type = sqlite3_value_type(value);
    return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

/* A number does not tell which affinity the expression had that it came from. With a numeric one, SQLite takes text of
** the column that looks like a number for one; a column without affinity leaves both as they are, and text is greater
** than numbers. So all readings are accepted (SQLite checks again). */
static bool filter_is_ambiguous(const shx_filter *filter, const shx_term *term, sqlite3_value *const *values,
                                uint64_t count) {
    bool compared = term->compare <= SHX_COMPARE_IS_NOT || term->compare == SHX_COMPARE_IN;
    if (!compared || filter_affinity(filter, term) >= SHX_AFFINITY_NUMERIC) return false;
    for (uint64_t i = 0; i < count; i++) {
        if (filter_is_number(values[i])) return true;
    }
    return false;
}

static int filter_write_comparison(shx_filter *filter, const shx_filter_late *late, const char *subject) {
    shx_compare compare = late->term.compare;
    const char *symbol = shx_compare_sql(compare);
    if (compare == SHX_COMPARE_IS_NULL || compare == SHX_COMPARE_NOT_NULL) {
        sqlite3_str_appendf(filter_text(filter), SHX_SQL_CONDITION_NULL, subject, symbol);
        return SQLITE_OK;
    }
    int slot = FILTER_FIRST_VALUE + (int)filter->value_count;
    const char *form = late->ambiguous                     ? SHX_SQL_CONDITION_OR_NUMERIC
                       : compare == SHX_COMPARE_LT_OR_BLOB ? SHX_SQL_CONDITION_OR_BLOB
                                                           : SHX_SQL_CONDITION;
    sqlite3_str_appendf(filter_text(filter), form, subject, symbol, slot, subject, symbol, slot, subject, symbol, slot);
    return filter_keep_value(filter, late->argument);
}

/* Whether the engine's order of text, which is that of UTF-8, answers a condition as SQLite would. A pattern reads
** blobs as text of the database's encoding. */
static int filter_order_agrees(const shx_filter *filter, const shx_term *term, sqlite3_value *value, bool *ret_agrees) {
    bool ordered = term->compare >= SHX_COMPARE_LT && term->compare <= SHX_COMPARE_GE;
    bool pattern = term->compare == SHX_COMPARE_LIKE || term->compare == SHX_COMPARE_GLOB;
    *ret_agrees = true;
    if (!(ordered || pattern) || sqlite3_value_type(value) != SQLITE_TEXT) return SQLITE_OK;
    return shx_connection_utf8(filter->table->connection, ret_agrees);
}

/* Hands a condition on a column or the rowid, with its values, to the predicate too, if that can tell: *ret_taken. */
static int filter_scan(shx_filter *filter, const shx_term *term, sqlite3_value *const *values, uint64_t count,
                       bool *ret_taken) {
    bool agrees = true;
    int rc = count == 1 ? filter_order_agrees(filter, term, values[0], &agrees) : SQLITE_OK;
    if (rc != SQLITE_OK || !agrees || term->subject == SHX_SUBJECT_AUXILIARY) return rc;
    const shx_column_condition condition = {
        .column = term->subject == SHX_SUBJECT_ROWID ? SHX_COLUMN_ROWID : term->slot,
        .affinity = filter_affinity(filter, term),
        .compare = term->compare,
        .values = values,
        .count = count,
    };
    return shx_filter_scan(&filter->predicate, &condition, ret_taken);
}

/* Turns the text so far into filter->where. */
static int filter_end_text(shx_filter *filter) {
    sqlite3_free(filter->where);
    filter->where = shx_statement_finish(filter->text);
    filter->text = NULL;
    return filter->where ? SQLITE_OK : SQLITE_NOMEM;
}

/* Appends to `list` the rows that satisfy the filter's conditions on columns. */
static int filter_collect(shx_filter *filter, shx_rowid_list *list) {
    shx_table *table = filter->table;
    int rc = shx_filter_write(filter);
    if (rc != SQLITE_OK) return rc;
    char *text =
        sqlite3_mprintf(SHX_SQL_SCAN_ROWS, "", table->schema, table->name, shx_filter_where(filter), SHX_SQL_ORDER_UP);
    sqlite3_stmt *statement = NULL;
    rc = shx_statement_lend_text(table, text, &statement);
    if (rc == SQLITE_OK) rc = shx_filter_bind(filter, statement);
    while (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        rc = filter_append_rowid(list, sqlite3_column_int64(statement, 0));
    }
    if (rc == SQLITE_OK) rc = sqlite3_reset(statement);
    shx_statement_give_back(table, statement);
    return rc;
}

/* The slots of a list's numbers, if they are to be compared as numbers, too. */
static char *filter_number_slots(const shx_filter_late *late, sqlite3_value *const *values) {
    sqlite3_str *slots = sqlite3_str_new(NULL);
    for (uint64_t i = 0; i < late->count && late->ambiguous; i++) {
        if (!filter_is_number(values[i])) continue;
        sqlite3_str_appendf(slots, SHX_SQL_NUMBER_SLOT, FILTER_FIRST_VALUE + (int)(late->from + i));
    }
    return shx_statement_finish(slots);
}

/* An IN condition; `values` are its own. */
static int filter_write_in(sqlite3_str *text, const char *subject, const shx_filter_late *late,
                           sqlite3_value *const *values) {
    char *slots = shx_statement_list(SHX_SQL_VALUE_SLOT, FILTER_FIRST_VALUE + (int)late->from, (uint32_t)late->count);
    char *numbers = filter_number_slots(late, values);
    int rc = slots && numbers ? SQLITE_OK : SQLITE_NOMEM;
    if (rc == SQLITE_OK && numbers[0]) {
        sqlite3_str_appendf(text, SHX_SQL_CONDITION_IN_OR_NUMERIC, subject, slots + 1, subject, numbers + 1);
    } else if (rc == SQLITE_OK) {
        sqlite3_str_appendf(text, SHX_SQL_CONDITION_IN, subject, slots + (late->count > 0 ? 1 : 0));
    }
    sqlite3_free(slots);
    sqlite3_free(numbers);
    return rc;
}

/* An IN list with more values than a statement has parameters: the rows are looked up in portions. */
static int filter_add_long_list(shx_filter *filter, const shx_filter_late *late, uint64_t portion) {
    uint64_t end = late->from + late->count;
    char *subject = filter_subject(filter, &late->term);
    int rc = subject ? SQLITE_OK : SQLITE_NOMEM;
    filter->coming.count = 0;
    for (uint64_t at = late->from; at < end && rc == SQLITE_OK; at += portion) {
        shx_filter part = {0};
        shx_filter_init(&part, filter->table, true);
        shx_filter_late some = {.count = end - at < portion ? end - at : portion, .ambiguous = late->ambiguous};
        sqlite3_value *const *values = filter->values + at;
        rc = filter_write_in(filter_text(&part), subject, &some, values);
        for (uint64_t i = 0; i < some.count && rc == SQLITE_OK; i++) rc = filter_keep_value(&part, values[i]);
        if (rc == SQLITE_OK) rc = filter_end_text(&part);
        if (rc == SQLITE_OK) rc = filter_collect(&part, &filter->coming);
        shx_filter_free(&part);
    }
    sqlite3_free(subject);
    filter_drop_values(filter, late->from);
    if (rc == SQLITE_OK) filter_restrict(filter);
    return rc;
}

static int filter_add_late(shx_filter *filter, const shx_filter_late *late) {
    void *block = filter->late;
    if (shx_grow(&block, &filter->late_capacity, filter->late_count + 1, sizeof *late) != SHX_OK) return SQLITE_NOMEM;
    filter->late = block;
    filter->late[filter->late_count++] = *late;
    return SQLITE_OK;
}

/* Adds a condition with its values, for the database and, as far as it goes, for the predicate. */
static int filter_add_condition(shx_filter *filter, const shx_filter_late *late, sqlite3_value *const *values,
                                uint64_t count) {
    bool taken = false;
    int rc = filter_add_late(filter, late);
    if (rc != SQLITE_OK || !filter->nearest) return rc;
    if (!late->ambiguous) rc = filter_scan(filter, &late->term, values, count, &taken);
    filter->beyond |= !taken;
    return rc;
}

static int filter_add_list(shx_filter *filter, const shx_term *term, sqlite3_value *argument) {
    uint64_t from = filter->value_count;
    sqlite3_value *value;
    int rc = sqlite3_vtab_in_first(argument, &value);
    while (rc == SQLITE_OK && value) {
        int kept = filter_keep_value(filter, value);
        rc = kept == SQLITE_OK ? sqlite3_vtab_in_next(argument, &value) : kept;
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE) return rc;
    shx_filter_late late = {.term = *term, .from = from, .count = filter->value_count - from};
    late.ambiguous = filter_is_ambiguous(filter, term, filter->values + from, late.count);
    filter->loose |= late.ambiguous;
    filter->listed |= late.count > FILTER_LIST_FEW;
    sqlite3 *db = filter->table->connection->db;
    uint64_t room = (uint64_t)sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, -1) / 2;
    if (room == 0) room = 1; /* for SQLite to refuse */
    if (filter->value_count > room) return filter_add_long_list(filter, &late, room);
    return filter_add_condition(filter, &late, filter->values + from, late.count);
}

/* ---- distances ---- */

/* A distance is a number, and so is text that looks like one; it is less than any other text or blob. */
static void filter_add_distance(shx_filter *filter, const shx_term *term, sqlite3_value *argument) {
    int type = sqlite3_value_numeric_type(argument);
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    bool less = term->compare == SHX_COMPARE_LT || term->compare == SHX_COMPARE_LE;
    if (type == SQLITE_NULL || (!number && !less)) filter->nothing = true;
    if (!number) return;
    double bound = sqlite3_value_double(argument);
    bool equal = term->compare == SHX_COMPARE_LE || term->compare == SHX_COMPARE_GE;
    if (less) {
        if (bound > filter->below) return;
        filter->below_equal = bound < filter->below ? equal : filter->below_equal && equal;
        filter->below = bound;
    } else {
        if (bound < filter->above) return;
        filter->above_equal = bound > filter->above ? equal : filter->above_equal && equal;
        filter->above = bound;
    }
}

/* ---- use ---- */

int shx_filter_add(shx_filter *filter, const shx_term *term, sqlite3_value *argument) {
    if (term->subject == SHX_SUBJECT_DISTANCE) {
        filter_add_distance(filter, term, argument);
        return SQLITE_OK;
    }
    bool set = term->compare == SHX_COMPARE_EQ || term->compare == SHX_COMPARE_IN;
    if (term->subject == SHX_SUBJECT_ROWID && filter->nearest && set) {
        return filter_add_rowids(filter, term, argument);
    }
    if (term->compare == SHX_COMPARE_IN) return filter_add_list(filter, term, argument);
    shx_filter_late late = {.term = *term, .argument = argument};
    late.ambiguous = filter_is_ambiguous(filter, term, &argument, 1);
    filter->loose |= late.ambiguous;
    return filter_add_condition(filter, &late, &argument, 1);
}

static int filter_write_late(shx_filter *filter, const shx_filter_late *late) {
    char *subject = filter_subject(filter, &late->term);
    if (!subject) return SQLITE_NOMEM;
    int rc = late->term.compare == SHX_COMPARE_IN
                 ? filter_write_in(filter_text(filter), subject, late, filter->values + late->from)
                 : filter_write_comparison(filter, late, subject);
    sqlite3_free(subject);
    return rc;
}

int shx_filter_write(shx_filter *filter) {
    int rc = SQLITE_OK;
    if (filter->late_count == 0) return rc;
    sqlite3_str_appendall(filter_text(filter), shx_filter_where(filter));
    for (uint64_t i = 0; i < filter->late_count && rc == SQLITE_OK; i++) {
        rc = filter_write_late(filter, &filter->late[i]);
    }
    filter->late_count = 0;
    return rc == SQLITE_OK ? filter_end_text(filter) : rc;
}

int shx_filter_bind(const shx_filter *filter, sqlite3_stmt *statement) {
    int rc = SQLITE_OK;
    for (uint64_t i = 0; i < filter->value_count && rc == SQLITE_OK; i++) {
        rc = sqlite3_bind_value(statement, FILTER_FIRST_VALUE + (int)i, filter->values[i]);
    }
    return rc;
}

int shx_filter_test(shx_filter *filter, int64_t rowid, bool *ret_accepted) {
    int written = shx_filter_write(filter);
    if (written != SQLITE_OK) return written;
    *ret_accepted = !filter->restricted || filter_has_rowid(filter, rowid);
    if (!*ret_accepted || !filter->where) return SQLITE_OK;
    if (!filter->check) {
        shx_table *table = filter->table;
        char *text = sqlite3_mprintf(SHX_SQL_CHECK_ROW, table->schema, table->name, shx_filter_where(filter));
        int rc = shx_statement_lend_text(table, text, &filter->check);
        if (rc == SQLITE_OK) rc = shx_filter_bind(filter, filter->check);
        if (rc != SQLITE_OK) return rc;
    }
    sqlite3_bind_int64(filter->check, 1, rowid);
    *ret_accepted = sqlite3_step(filter->check) == SQLITE_ROW;
    return sqlite3_reset(filter->check);
}

int shx_filter_select(shx_filter *filter) {
    filter->coming.count = 0;
    int rc = filter_collect(filter, &filter->coming);
    if (rc != SQLITE_OK) return rc;
    filter_restrict(filter);
    sqlite3_free(filter->where);
    filter->where = NULL;
    filter->beyond = false;
    filter_drop_values(filter, 0);
    return SQLITE_OK;
}
