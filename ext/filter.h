/* The conditions of one query that its cursor evaluates. Those on columns and rowids are there twice: as SQL on the
** shadow tables, which means exactly what it means to SQLite, and, as far as it goes, as a predicate that the engine's
** scan evaluates. Where the predicate does not say it all (`beyond`), rows that the engine finds are tested in SQL.
*/
#ifndef SHX_FILTER_H
#define SHX_FILTER_H

#include "filter_scan.h"
#include "plan.h"
#include "table.h"

/* A condition that the predicate has and the text has not: it is written only when the database has to be asked. The
** argument of a comparison is that of xFilter and ends with it; a list is `count` of the filter's values. */
typedef struct shx_filter_late {
    shx_term term;
    sqlite3_value *argument;
    uint64_t from, count;
    bool ambiguous; /* it can be read in several ways */
} shx_filter_late;

typedef struct shx_rowid_list {
    int64_t *rowids;
    uint64_t count, capacity;
} shx_rowid_list;

typedef struct shx_filter {
    shx_table *table;
    bool nearest;           /* for a search; otherwise for a scan of the rows, all of it in SQL */
    sqlite3_str *text;      /* conditions being assembled; NULL: none yet */
    char *where;            /* " AND …", NULL for none; parameters from ?2 on */
    sqlite3_value **values; /* what they are bound to */
    uint64_t value_count, value_capacity;
    bool listed;           /* an IN list of more than a few values: testing row by row is dear */
    bool restricted;       /* only the rows that are named */
    shx_rowid_list named;  /* ascending, each once */
    shx_rowid_list coming; /* on the way into `named` */
    double above, below;   /* distances, and whether equal ones belong */
    bool above_equal, below_equal;
    bool nothing; /* no row can satisfy it */
    bool loose;   /* it accepts rows that SQLite may still drop */
    shx_filter_late *late;
    uint64_t late_count, late_capacity;
    shx_predicate predicate;
    bool beyond; /* the predicate leaves conditions out */
    sqlite3_stmt *check;
} shx_filter;

/* Starts anew, from zeros or after shx_filter_clear, which keeps memory for the next query. */
void shx_filter_init(shx_filter *filter, shx_table *table, bool nearest);
void shx_filter_clear(shx_filter *filter);
void shx_filter_free(shx_filter *filter);

/* Adds a condition with its argument. Codes of SQLite. */
int shx_filter_add(shx_filter *filter, const shx_term *term, sqlite3_value *argument);

/* Writes all conditions as text, with copies of their values. Before xFilter returns, unless nobody will ask for it;
** then shx_filter_forget_late does. */
int shx_filter_write(shx_filter *filter);
static inline void shx_filter_forget_late(shx_filter *filter) { filter->late_count = 0; }

/* The conditions, once they are written, to be put behind others: "" for none. */
static inline const char *shx_filter_where(const shx_filter *filter) { return filter->where ? filter->where : ""; }

/* Binds the values to a statement that holds `where`. */
int shx_filter_bind(const shx_filter *filter, sqlite3_stmt *statement);

/* Does the row satisfy the conditions on rowid and columns? *ret_accepted. */
int shx_filter_test(shx_filter *filter, int64_t rowid, bool *ret_accepted);

/* Turns the conditions on columns into a set of rowids, by one scan of the rows. */
int shx_filter_select(shx_filter *filter);

#endif
