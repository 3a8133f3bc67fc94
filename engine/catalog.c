#include "catalog.h"

#include "memory.h"
#include "planted.h"

#include <string.h>

#define CATALOG_ID_MAX INT64_MAX /* a file with a higher id is not ours: new ids count on from the highest one */

void shx_catalog_free(shx_catalog *catalog) {
    shx_free(catalog->entries);
    shx_rowmap_free(&catalog->by_commit);
    shx_free(catalog->files);
    shx_free(catalog->bases);
    shx_free(catalog->segments);
    shx_free(catalog->shards);
    memset(catalog, 0, sizeof *catalog);
}

static int64_t catalog_key(const shx_id *commit) { return (int64_t)shx_get64(commit->bytes); }

static int64_t catalog_key_at(const void *entries, uint32_t position) {
    return catalog_key(&((const shx_wal_entry *)entries)[position].commit);
}

static shx_rowmap_keys catalog_keys(const shx_catalog *catalog) {
    return (shx_rowmap_keys){catalog->entries, catalog_key_at};
}

/* Files are listed in no order: what is newer shows in the ids that files got. */
static bool catalog_is_newer(const shx_wal_entry *a, const shx_wal_entry *b) {
    return a->file > b->file || (a->file == b->file && a->offset > b->offset);
}

/* Makes the map name an entry unless it names a newer one of the same commit. */
static shx_status catalog_map_entry(shx_catalog *catalog, uint64_t position) {
    const shx_wal_entry *entry = &catalog->entries[position], *known = shx_catalog_find(catalog, &entry->commit);
    if (known && (catalog_is_newer(known, entry) || SHX_PLANTED(33))) return SHX_OK;
    return shx_rowmap_put(&catalog->by_commit, catalog_keys(catalog), (uint32_t)position);
}

static shx_status catalog_map_all(shx_catalog *catalog) {
    shx_rowmap_clear(&catalog->by_commit);
    for (uint64_t i = 0; i < catalog->entry_count; i++) SHX_TRY(catalog_map_entry(catalog, i));
    return SHX_OK;
}

/* A record from a commit to itself says nothing, and would hide how that commit came to be. */
static shx_status catalog_put_entry(shx_catalog *catalog, const shx_wal_entry *entry) {
    if (shx_id_equal(&entry->commit, &entry->parent)) return SHX_OK;
    SHX_TRY(shx_grow((void **)&catalog->entries, &catalog->entry_capacity, catalog->entry_count + 1, sizeof *entry));
    catalog->entries[catalog->entry_count] = *entry;
    SHX_TRY(catalog_map_entry(catalog, catalog->entry_count));
    catalog->entry_count++;
    return SHX_OK;
}

static shx_status catalog_visit_record(void *context, const shx_wal_entry *entry) {
    return catalog_put_entry(context, entry);
}

static shx_catalog_file *catalog_file(shx_catalog *catalog, uint64_t id) {
    for (uint64_t i = 0; i < catalog->file_count; i++) {
        if (catalog->files[i].extent.file == id) return &catalog->files[i];
    }
    return NULL;
}

static shx_status catalog_note_wal(shx_catalog *catalog, uint64_t id) {
    shx_catalog_file *file = catalog_file(catalog, id);
    if (!file) {
        SHX_TRY(shx_grow((void **)&catalog->files, &catalog->file_capacity, catalog->file_count + 1, sizeof *file));
        file = &catalog->files[catalog->file_count++];
        *file = (shx_catalog_file){.extent = {.file = id}};
    }
    file->present = true;
    return SHX_OK;
}

static shx_status catalog_note_base(shx_catalog *catalog, uint64_t id) {
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        if (catalog->bases[i].file != id) continue;
        catalog->bases[i].present = true;
        return SHX_OK;
    }
    SHX_TRY(
        shx_grow((void **)&catalog->bases, &catalog->base_capacity, catalog->base_count + 1, sizeof *catalog->bases));
    catalog->bases[catalog->base_count++] = (shx_catalog_base){.file = id, .present = true};
    return SHX_OK;
}

static shx_status catalog_note_id(uint64_t **ids, uint64_t *count, uint64_t *capacity, uint64_t id) {
    SHX_TRY(shx_grow((void **)ids, capacity, *count + 1, sizeof **ids));
    (*ids)[(*count)++] = id;
    return SHX_OK;
}

static shx_status catalog_visit_name(void *context, const char *name) {
    shx_catalog *catalog = context;
    shx_file_kind kind;
    uint64_t id;
    bool ours = shx_file_name_parse(name, &kind, &id) && id > 0 && id <= CATALOG_ID_MAX;
    if (!ours) return SHX_OK;
    if (id > catalog->last_id) catalog->last_id = id;
    switch (kind) {
    case SHX_FILE_WAL: return catalog_note_wal(catalog, id);
    case SHX_FILE_BASE: return catalog_note_base(catalog, id);
    case SHX_FILE_SEGMENT:
        return catalog_note_id(&catalog->segments, &catalog->segment_count, &catalog->segment_capacity, id);
    case SHX_FILE_SHARDS:
        return catalog_note_id(&catalog->shards, &catalog->shards_count, &catalog->shards_capacity, id);
    }
    return SHX_OK;
}

/* Entries of files that are gone are dropped, and the map is built anew. */
static shx_status catalog_forget_gone(shx_catalog *catalog) {
    uint64_t files = 0, bases = 0, entries = 0;
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        if (catalog->bases[i].present) catalog->bases[bases++] = catalog->bases[i];
    }
    catalog->base_count = bases;
    for (uint64_t i = 0; i < catalog->file_count; i++) files += catalog->files[i].present;
    if (files == catalog->file_count) return SHX_OK;
    for (uint64_t i = 0; i < catalog->entry_count; i++) {
        if (catalog_file(catalog, catalog->entries[i].file)->present) {
            catalog->entries[entries++] = catalog->entries[i];
        }
    }
    catalog->entry_count = entries;
    files = 0;
    for (uint64_t i = 0; i < catalog->file_count; i++) {
        if (catalog->files[i].present) catalog->files[files++] = catalog->files[i];
    }
    catalog->file_count = files;
    return catalog_map_all(catalog);
}

static shx_status catalog_list(shx_catalog *catalog, shx_store *store) {
    for (uint64_t i = 0; i < catalog->file_count; i++) catalog->files[i].present = false;
    for (uint64_t i = 0; i < catalog->base_count; i++) catalog->bases[i].present = false;
    catalog->segment_count = catalog->shards_count = 0;
    shx_status status = shx_store_list(store, catalog_visit_name, catalog);
    if (status != SHX_OK && status != SHX_NOTFOUND) return status;
    return catalog_forget_gone(catalog);
}

shx_status shx_catalog_refresh(shx_catalog *catalog, shx_store *store, const shx_id *uuid, size_t vector_bytes) {
    SHX_TRY(catalog_list(catalog, store));
    for (uint64_t i = 0; i < catalog->file_count; i++) {
        shx_catalog_file *file = &catalog->files[i];
        shx_status status = shx_wal_scan(store, uuid, vector_bytes, &file->extent, catalog_visit_record, catalog);
        if (status == SHX_NOMEM) return status;
    }
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        shx_catalog_base *base = &catalog->bases[i];
        if (base->names.generation != 0) continue;
        shx_status status = shx_base_read_names(store, uuid, base->file, &base->names);
        if (status == SHX_NOMEM) return status;
    }
    return SHX_OK;
}

shx_status shx_catalog_add(shx_catalog *catalog, const shx_wal_entry *entry) {
    SHX_TRY(catalog_note_wal(catalog, entry->file));
    shx_catalog_file *file = catalog_file(catalog, entry->file);
    SHX_TRY(catalog_put_entry(catalog, entry));
    file->extent.end = file->extent.size = entry->offset + entry->length;
    if (entry->file > catalog->last_id) catalog->last_id = entry->file;
    return SHX_OK;
}

const shx_wal_entry *shx_catalog_find(const shx_catalog *catalog, const shx_id *commit) {
    uint32_t position;
    if (!shx_rowmap_get(&catalog->by_commit, catalog_keys(catalog), catalog_key(commit), &position)) return NULL;
    const shx_wal_entry *entry = &catalog->entries[position];
    return shx_id_equal(&entry->commit, commit) ? entry : NULL;
}

shx_status shx_catalog_forget(shx_catalog *catalog, const shx_wal_entry *entry) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < catalog->entry_count; i++) {
        const shx_wal_entry *known = &catalog->entries[i];
        if (known->file == entry->file && known->offset == entry->offset) continue;
        catalog->entries[kept++] = *known;
    }
    catalog->entry_count = kept;
    return catalog_map_all(catalog);
}

shx_catalog_base *shx_catalog_best_base(shx_catalog *catalog, const shx_id *commit, uint64_t floor) {
    shx_catalog_base *best = NULL;
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        shx_catalog_base *base = &catalog->bases[i];
        if (base->damaged || base->names.generation == 0 || base->names.generation < floor) continue;
        if (!shx_id_equal(&base->names.commit, commit) && !SHX_PLANTED(29)) continue;
        if (!best || base->names.generation > best->names.generation) best = base;
    }
    return best;
}

const shx_catalog_base *shx_catalog_due_base(const shx_catalog *catalog, const shx_id *commit) {
    shx_id id = *commit;
    for (uint64_t steps = 0; steps <= catalog->entry_count; steps++) {
        const shx_catalog_base *newest = NULL;
        for (uint64_t i = 0; i < catalog->base_count; i++) {
            const shx_catalog_base *base = &catalog->bases[i];
            bool newer = base->names.generation > (newest ? newest->names.generation : 0);
            if (newer && shx_id_equal(&base->names.commit, &id)) newest = base;
        }
        const shx_wal_entry *entry = newest ? NULL : shx_catalog_find(catalog, &id);
        if (!entry) return newest;
        id = entry->parent;
    }
    return NULL;
}

uint64_t shx_catalog_generation(const shx_catalog *catalog) {
    uint64_t highest = 0;
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        if (catalog->bases[i].names.generation > highest) highest = catalog->bases[i].names.generation;
    }
    return highest;
}

uint64_t shx_catalog_wal_floor(const shx_catalog *catalog) {
    uint64_t highest = 0;
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        if (catalog->bases[i].names.wal_floor > highest) highest = catalog->bases[i].names.wal_floor;
    }
    return highest;
}

const shx_catalog_file *shx_catalog_newest_file(const shx_catalog *catalog) {
    const shx_catalog_file *newest = NULL;
    for (uint64_t i = 0; i < catalog->file_count; i++) {
        if (!newest || catalog->files[i].extent.file > newest->extent.file) newest = &catalog->files[i];
    }
    return newest;
}
