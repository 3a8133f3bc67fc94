#include "affinity.h"

#include "sqlite_api.h"

#include <stdbool.h>
#include <string.h>

static bool affinity_contains(const char *type, const char *word) {
    size_t size = strlen(word);
    for (; *type; type++) {
        if (sqlite3_strnicmp(type, word, (int)size) == 0) return true;
    }
    return false;
}

shx_affinity shx_affinity_of(const char *type) {
    if (affinity_contains(type, "INT")) return SHX_AFFINITY_INTEGER;
    if (affinity_contains(type, "CHAR") || affinity_contains(type, "CLOB") || affinity_contains(type, "TEXT")) {
        return SHX_AFFINITY_TEXT;
    }
    if (!type[0] || affinity_contains(type, "BLOB")) return SHX_AFFINITY_BLOB;
    if (affinity_contains(type, "REAL") || affinity_contains(type, "FLOA") || affinity_contains(type, "DOUB")) {
        return SHX_AFFINITY_REAL;
    }
    return SHX_AFFINITY_NUMERIC;
}

const char *shx_affinity_name(const char *type) {
    switch (shx_affinity_of(type)) {
    case SHX_AFFINITY_BLOB: return "BLOB";
    case SHX_AFFINITY_TEXT: return "TEXT";
    case SHX_AFFINITY_NUMERIC: return "NUMERIC";
    case SHX_AFFINITY_INTEGER: return "INTEGER";
    case SHX_AFFINITY_REAL: return "REAL";
    }
    return "BLOB";
}
