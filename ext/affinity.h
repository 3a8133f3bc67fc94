/* Type affinity, by the rules of SQLite (datatype3.html, section 3.1). Pure.
*/
#ifndef SHX_AFFINITY_H
#define SHX_AFFINITY_H

typedef enum shx_affinity {
    SHX_AFFINITY_BLOB, /* also: none */
    SHX_AFFINITY_TEXT,
    SHX_AFFINITY_NUMERIC,
    SHX_AFFINITY_INTEGER,
    SHX_AFFINITY_REAL,
} shx_affinity;

/* The affinity of a declared type, and the type name with which a shadow column gets the same one. */
shx_affinity shx_affinity_of(const char *type);
const char *shx_affinity_name(const char *type);

#endif
