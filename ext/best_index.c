#include "best_index.h"

#include "affinity.h"
#include "plan.h"
#include "table.h"

#include <string.h>

static shx_compare best_compare(unsigned char op) {
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_MATCH:
    case SQLITE_INDEX_CONSTRAINT_LIMIT:
    case SQLITE_INDEX_CONSTRAINT_OFFSET: return SHX_COMPARE_EQ;
    case SQLITE_INDEX_CONSTRAINT_NE: return SHX_COMPARE_NE;
    case SQLITE_INDEX_CONSTRAINT_LT: return SHX_COMPARE_LT;
    case SQLITE_INDEX_CONSTRAINT_LE: return SHX_COMPARE_LE;
    case SQLITE_INDEX_CONSTRAINT_GT: return SHX_COMPARE_GT;
    case SQLITE_INDEX_CONSTRAINT_GE: return SHX_COMPARE_GE;
    case SQLITE_INDEX_CONSTRAINT_IS: return SHX_COMPARE_IS;
    case SQLITE_INDEX_CONSTRAINT_ISNOT: return SHX_COMPARE_IS_NOT;
    case SQLITE_INDEX_CONSTRAINT_ISNULL: return SHX_COMPARE_IS_NULL;
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: return SHX_COMPARE_NOT_NULL;
    case SQLITE_INDEX_CONSTRAINT_LIKE: return SHX_COMPARE_LIKE;
    case SQLITE_INDEX_CONSTRAINT_GLOB: return SHX_COMPARE_GLOB;
    default: return SHX_COMPARE_OTHER;
    }
}

/* What the column with this number of the declared schema is. */
static shx_subject best_subject(const shx_table *table, int column, unsigned char op, uint32_t *ret_slot) {
    const shx_schema_columns *columns = &table->columns;
    if (op == SQLITE_INDEX_CONSTRAINT_LIMIT) return SHX_SUBJECT_LIMIT;
    if (op == SQLITE_INDEX_CONSTRAINT_OFFSET) return SHX_SUBJECT_OFFSET;
    if (column == columns->first + (int)table->declaration->vector_column) {
        return op == SQLITE_INDEX_CONSTRAINT_MATCH ? SHX_SUBJECT_MATCH : SHX_SUBJECT_OTHER;
    }
    if (op == SQLITE_INDEX_CONSTRAINT_MATCH) return SHX_SUBJECT_OTHER;
    if (column == -1 || column == columns->rowid) return SHX_SUBJECT_ROWID;
    if (column == columns->k) return SHX_SUBJECT_K;
    if (column == columns->recall) return SHX_SUBJECT_RECALL;
    if (column == columns->exact) return SHX_SUBJECT_EXACT;
    if (column == columns->distance) return SHX_SUBJECT_DISTANCE;
    if (column >= columns->command || column < columns->first) return SHX_SUBJECT_OTHER;
    uint32_t position = (uint32_t)(column - columns->first);
    *ret_slot = table->slots[position];
    return table->declaration->columns[position].role == SHX_COLUMN_PLAIN ? SHX_SUBJECT_PLAIN : SHX_SUBJECT_AUXILIARY;
}

/* Whether a comparison of a declared column can mean but one thing: with the affinity of a number it turns both sides
** into numbers; text that stands in the query is equal to what it is. A parameter may be anything when it runs. */
static bool best_is_clear(const shx_table *table, sqlite3_index_info *info, int position) {
    const struct sqlite3_index_constraint *constraint = &info->aConstraint[position];
    uint32_t column = (uint32_t)(constraint->iColumn - table->columns.first);
    shx_affinity affinity = shx_affinity_of(table->declaration->columns[column].type);
    bool equality = constraint->op == SQLITE_INDEX_CONSTRAINT_EQ || constraint->op == SQLITE_INDEX_CONSTRAINT_IS;
    sqlite3_value *value;
    if (affinity >= SHX_AFFINITY_NUMERIC) return true;
    if (affinity != SHX_AFFINITY_TEXT || !equality) return false;
    return sqlite3_vtab_rhs_value(info, position, &value) == SQLITE_OK && sqlite3_value_type(value) == SQLITE_TEXT;
}

static void best_constraint(const shx_table *table, sqlite3_index_info *info, int position,
                            shx_constraint *ret_constraint) {
    const struct sqlite3_index_constraint *from = &info->aConstraint[position];
    *ret_constraint = (shx_constraint){.compare = best_compare(from->op), .usable = from->usable};
    ret_constraint->subject = best_subject(table, from->iColumn, from->op, &ret_constraint->slot);
    bool column = ret_constraint->subject == SHX_SUBJECT_PLAIN || ret_constraint->subject == SHX_SUBJECT_AUXILIARY;
    if (column) {
        const char *collation = sqlite3_vtab_collation(info, position);
        ret_constraint->binary = collation && sqlite3_stricmp(collation, "BINARY") == 0;
    }
    ret_constraint->clear = column && best_is_clear(table, info, position);
    sqlite3_value *value;
    ret_constraint->literal = sqlite3_vtab_rhs_value(info, position, &value) == SQLITE_OK;
    bool listable = column || ret_constraint->subject == SHX_SUBJECT_ROWID;
    if (listable && from->usable && from->op == SQLITE_INDEX_CONSTRAINT_EQ) {
        ret_constraint->is_in = sqlite3_vtab_in(info, position, -1);
    }
}

static bool best_same_column(const shx_constraint *a, const shx_constraint *b) {
    bool column = a->subject == SHX_SUBJECT_PLAIN || a->subject == SHX_SUBJECT_AUXILIARY;
    return column && a->subject == b->subject && a->slot == b->slot;
}

/* With column GLOB 'abc*' come, as if the query had them, column >= 'abc' and column < 'abd'. No blob is less than any
** text, not even one that GLOB takes for text with that start. So beside GLOB and LIKE < lets blobs pass; SQLite drops
** those that the query's own < excludes. */
static void best_let_blobs_pass(shx_constraint *constraints, int count) {
    for (int i = 0; i < count; i++) {
        bool pattern = constraints[i].compare == SHX_COMPARE_LIKE || constraints[i].compare == SHX_COMPARE_GLOB;
        for (int j = 0; j < count && pattern; j++) {
            shx_constraint *bound = &constraints[j];
            if (bound->compare != SHX_COMPARE_LT || !best_same_column(&constraints[i], bound)) continue;
            bound->compare = SHX_COMPARE_LT_OR_BLOB;
            bound->clear = false;
        }
    }
}

static shx_order best_order(const shx_table *table, const sqlite3_index_info *info) {
    if (info->nOrderBy == 0) return SHX_ORDER_NONE;
    int column = info->aOrderBy[0].iColumn;
    bool descending = info->aOrderBy[0].desc;
    if (column == -1 || column == table->columns.rowid) return descending ? SHX_ORDER_ROWID_DESC : SHX_ORDER_ROWID;
    if (column != table->columns.distance || descending || info->nOrderBy > 2) return SHX_ORDER_OTHER;
    if (info->nOrderBy == 1) return SHX_ORDER_DISTANCE;
    int then = info->aOrderBy[1].iColumn; /* ties come by rowid anyway */
    bool by_rowid = (then == -1 || then == table->columns.rowid) && !info->aOrderBy[1].desc;
    return by_rowid ? SHX_ORDER_DISTANCE : SHX_ORDER_OTHER;
}

/* How many rows k or LIMIT asks for, when that stands in the query. */
static double best_k(sqlite3_index_info *info, const shx_constraint *constraints) {
    for (int i = 0; i < info->nConstraint; i++) {
        sqlite3_value *value;
        bool k = constraints[i].subject == SHX_SUBJECT_K || constraints[i].subject == SHX_SUBJECT_LIMIT;
        if (k && sqlite3_vtab_rhs_value(info, i, &value) == SQLITE_OK) return sqlite3_value_double(value);
    }
    return 0;
}

static int best_report(sqlite3_index_info *info, const shx_plan *plan, const shx_plan_use *uses) {
    for (int i = 0; i < info->nConstraint; i++) {
        info->aConstraintUsage[i].argvIndex = uses[i].argument;
        info->aConstraintUsage[i].omit = uses[i].omit;
        if (uses[i].argument && uses[i].all) sqlite3_vtab_in(info, i, 1);
    }
    info->idxStr = sqlite3_mprintf("%s", plan->text);
    if (!info->idxStr) return SQLITE_NOMEM;
    info->needToFreeIdxStr = 1;
    info->orderByConsumed = plan->ordered;
    info->estimatedCost = plan->cost;
    info->estimatedRows = plan->rows < 1 ? 1 : (sqlite3_int64)plan->rows;
    if (plan->unique) info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
    return SQLITE_OK;
}

int shx_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    shx_table *table = (shx_table *)vtab;
    size_t count = (size_t)info->nConstraint + 1;
    shx_constraint *constraints = sqlite3_malloc64(count * sizeof *constraints);
    shx_plan_use *uses = sqlite3_malloc64(count * sizeof *uses);
    int rc = SQLITE_NOMEM;
    if (constraints && uses) {
        for (int i = 0; i < info->nConstraint; i++) best_constraint(table, info, i, &constraints[i]);
        best_let_blobs_pass(constraints, info->nConstraint);
        shx_plan_request request = {constraints, info->nConstraint, best_order(table, info), best_k(info, constraints)};
        shx_plan plan;
        const char *message = "";
        switch (shx_plan_make(&request, uses, &plan, &message)) {
        case SHX_PLAN_OK: rc = best_report(info, &plan, uses); break;
        case SHX_PLAN_IMPOSSIBLE: rc = SQLITE_CONSTRAINT; break;
        case SHX_PLAN_ERROR: rc = shx_table_error(table, SQLITE_ERROR, "%s", message); break;
        }
    }
    sqlite3_free(constraints);
    sqlite3_free(uses);
    return rc;
}
