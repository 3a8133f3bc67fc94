#include "sim_image.h"

#include "bytes.h"

#include <stdlib.h>
#include <string.h>

#define SIM_PAGE_BYTES 4096
#define SIM_NAME_SLOTS 8192 /* a power of two, far above the number of names of one simulation */

void *sim_alloc(uint64_t size) { return sim_resize(NULL, size); }

void *sim_resize(void *block, uint64_t size) {
    void *grown = realloc(block, size ? (size_t)size : 1);
    if (!grown) abort();
    return grown;
}

/* ---- names ---- */

typedef struct sim_name_slot {
    char *path;
    uint32_t parent, number;
} sim_name_slot;

static sim_name_slot sim_slots[SIM_NAME_SLOTS];
static sim_name_slot *sim_numbers[SIM_NAME_SLOTS];
static uint32_t sim_name_count;

static uint32_t sim_name_of(const char *path, size_t length) {
    uint64_t at = shx_hash64(path, length, 0);
    for (;; at++) {
        sim_name_slot *slot = &sim_slots[at & (SIM_NAME_SLOTS - 1)];
        if (slot->path && strncmp(slot->path, path, length) == 0 && slot->path[length] == '\0') return slot->number;
        if (slot->path) continue;
        if (sim_name_count > SIM_NAME_SLOTS / 2) abort();
        slot->path = sim_alloc(length + 1);
        memcpy(slot->path, path, length);
        slot->path[length] = '\0';
        slot->number = sim_name_count++;
        sim_numbers[slot->number] = slot;
        const char *slash = strrchr(slot->path, '/');
        slot->parent = slash && slash > slot->path ? sim_name_of(path, (size_t)(slash - slot->path)) : SIM_NONE;
        return slot->number;
    }
}

uint32_t sim_name(const char *path) { return sim_name_of(path, strlen(path)); }
const char *sim_path(uint32_t name) { return sim_numbers[name]->path; }
uint32_t sim_parent(uint32_t name) { return sim_numbers[name]->parent; }

void sim_names_clear(void) {
    for (uint32_t i = 0; i < SIM_NAME_SLOTS; i++) free(sim_slots[i].path);
    memset(sim_slots, 0, sizeof sim_slots);
    sim_name_count = 0;
}

void sim_log_free(sim_log *log) {
    for (uint64_t i = 0; i < log->count; i++) free(log->ops[i].bytes);
    free(log->ops);
    *log = (sim_log){0};
}

/* ---- pages and contents ---- */

typedef struct sim_page {
    uint32_t references;
    bool hashed;
    uint64_t hash;
    uint8_t bytes[SIM_PAGE_BYTES];
} sim_page;

struct sim_content {
    uint32_t references;
    bool directory;
    uint64_t size;
    uint32_t page_count, page_capacity;
    sim_page **pages; /* NULL: zeros */
};

static void sim_page_drop(sim_page *page) {
    if (page && --page->references == 0) free(page);
}

static sim_content *sim_content_create(bool directory) {
    sim_content *content = sim_alloc(sizeof *content);
    *content = (sim_content){.references = 1, .directory = directory};
    return content;
}

static void sim_content_drop(sim_content *content) {
    if (!content || --content->references > 0) return;
    for (uint32_t i = 0; i < content->page_count; i++) sim_page_drop(content->pages[i]);
    free(content->pages);
    free(content);
}

static sim_content *sim_content_clone(const sim_content *content) {
    sim_content *clone = sim_content_create(content->directory);
    clone->size = content->size;
    clone->page_count = clone->page_capacity = content->page_count;
    clone->pages = sim_alloc(content->page_count * sizeof *clone->pages);
    for (uint32_t i = 0; i < content->page_count; i++) {
        clone->pages[i] = content->pages[i];
        if (clone->pages[i]) clone->pages[i]->references++;
    }
    return clone;
}

/* A page that only this content has, ready to be written. */
static sim_page *sim_content_page(sim_content *content, uint32_t number) {
    sim_page *page = content->pages[number];
    if (page && page->references == 1) {
        page->hashed = false;
        return page;
    }
    sim_page *copy = sim_alloc(sizeof *copy);
    if (page) {
        memcpy(copy->bytes, page->bytes, SIM_PAGE_BYTES);
        page->references--;
    } else {
        memset(copy->bytes, 0, SIM_PAGE_BYTES);
    }
    copy->references = 1;
    copy->hashed = false;
    content->pages[number] = copy;
    return copy;
}

static void sim_content_resize(sim_content *content, uint64_t size) {
    uint32_t pages = (uint32_t)((size + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES);
    for (uint32_t i = pages; i < content->page_count; i++) sim_page_drop(content->pages[i]);
    if (pages > content->page_capacity) {
        content->page_capacity = pages + pages / 2 + 2;
        content->pages = sim_resize(content->pages, content->page_capacity * sizeof *content->pages);
    }
    for (uint32_t i = content->page_count; i < pages; i++) content->pages[i] = NULL;
    content->page_count = pages;
    uint64_t rest = size % SIM_PAGE_BYTES; /* what a later growth uncovers reads as zeros */
    if (size < content->size && rest && content->pages[pages - 1]) {
        memset(sim_content_page(content, pages - 1)->bytes + rest, 0, (size_t)(SIM_PAGE_BYTES - rest));
    }
    content->size = size;
}

static uint64_t sim_content_hash(sim_content *content) {
    uint64_t hash = content->size * 2 + content->directory;
    for (uint32_t i = 0; i < content->page_count; i++) {
        sim_page *page = content->pages[i];
        if (page && !page->hashed) page->hash = shx_hash64(page->bytes, SIM_PAGE_BYTES, 0);
        if (page) page->hashed = true;
        uint64_t link[2] = {hash, page ? page->hash : 0};
        hash = shx_hash64(link, sizeof link, i);
    }
    return hash;
}

/* ---- images ---- */

void sim_image_copy(const sim_image *from, sim_image *ret_image) {
    *ret_image = (sim_image){.inode_count = from->inode_count,
                             .inode_capacity = from->inode_count,
                             .entry_count = from->entry_count,
                             .entry_capacity = from->entry_count};
    ret_image->inodes = sim_alloc(from->inode_count * sizeof *from->inodes);
    ret_image->entries = sim_alloc(from->entry_count * sizeof *from->entries);
    if (from->entry_count) memcpy(ret_image->entries, from->entries, from->entry_count * sizeof *from->entries);
    for (uint32_t i = 0; i < from->inode_count; i++) {
        ret_image->inodes[i] = from->inodes[i];
        if (from->inodes[i]) from->inodes[i]->references++;
    }
}

void sim_image_free(sim_image *image) {
    for (uint32_t i = 0; i < image->inode_count; i++) sim_content_drop(image->inodes[i]);
    free(image->inodes);
    free(image->entries);
    *image = (sim_image){0};
}

uint32_t sim_image_find(const sim_image *image, uint32_t name) {
    for (uint32_t i = 0; i < image->entry_count; i++) {
        if (image->entries[i].name == name) return image->entries[i].inode;
    }
    return SIM_NONE;
}

static bool sim_image_reachable(const sim_image *image, uint32_t name) {
    for (uint32_t parent = sim_parent(name); parent != SIM_NONE; parent = sim_parent(parent)) {
        if (sim_image_find(image, parent) == SIM_NONE) return false;
    }
    return true;
}

void sim_image_prune(sim_image *image) {
    uint32_t kept = 0;
    sim_entry *entries = sim_alloc(image->entry_count * sizeof *entries);
    sim_content **inodes = sim_alloc(image->entry_count * sizeof *inodes);
    for (uint32_t i = 0; i < image->entry_count; i++) {
        if (!sim_image_reachable(image, image->entries[i].name)) continue;
        inodes[kept] = image->inodes[image->entries[i].inode];
        inodes[kept]->references++;
        entries[kept] = (sim_entry){image->entries[i].name, kept};
        kept++;
    }
    sim_image_free(image);
    *image = (sim_image){inodes, kept, kept, entries, kept, kept};
}

uint64_t sim_image_hash(sim_image *image) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < image->entry_count; i++) {
        uint64_t file[2] = {image->entries[i].name, sim_content_hash(image->inodes[image->entries[i].inode])};
        hash += shx_hash64(file, sizeof file, 0);
    }
    return hash;
}

/* The content of an inode, its own and not shared; made when there is none. */
static sim_content *sim_image_content(sim_image *image, uint32_t inode, bool directory) {
    if (inode >= image->inode_capacity) {
        image->inode_capacity = inode + inode / 2 + 8;
        image->inodes = sim_resize(image->inodes, image->inode_capacity * sizeof *image->inodes);
    }
    while (image->inode_count <= inode) image->inodes[image->inode_count++] = NULL;
    sim_content *content = image->inodes[inode];
    if (content && content->references == 1) return content;
    image->inodes[inode] = content ? sim_content_clone(content) : sim_content_create(directory);
    sim_content_drop(content);
    return image->inodes[inode];
}

static void sim_image_enter(sim_image *image, uint32_t name, uint32_t inode) {
    for (uint32_t i = 0; i < image->entry_count; i++) {
        if (image->entries[i].name != name) continue;
        image->entries[i].inode = inode;
        return;
    }
    if (image->entry_count == image->entry_capacity) {
        image->entry_capacity = 2 * image->entry_capacity + 8;
        image->entries = sim_resize(image->entries, image->entry_capacity * sizeof *image->entries);
    }
    image->entries[image->entry_count++] = (sim_entry){name, inode};
}

static void sim_image_remove(sim_image *image, uint32_t name) {
    for (uint32_t i = 0; i < image->entry_count; i++) {
        if (image->entries[i].name != name) continue;
        image->entries[i] = image->entries[--image->entry_count];
        return;
    }
}

void sim_image_write(sim_image *image, uint32_t inode, uint64_t offset, const uint8_t *bytes, uint64_t size) {
    sim_content *content = sim_image_content(image, inode, false);
    if (offset + size > content->size) sim_content_resize(content, offset + size);
    while (size > 0) {
        uint64_t within = offset % SIM_PAGE_BYTES, part = SIM_PAGE_BYTES - within;
        if (part > size) part = size;
        memcpy(sim_content_page(content, (uint32_t)(offset / SIM_PAGE_BYTES))->bytes + within, bytes, (size_t)part);
        offset += part;
        bytes += part;
        size -= part;
    }
}

void sim_image_apply(sim_image *image, const sim_op *op) {
    switch (op->kind) {
    case SIM_CREATE:
    case SIM_MAKE_DIRECTORY:
        sim_image_content(image, op->inode, op->kind == SIM_MAKE_DIRECTORY);
        sim_image_enter(image, op->name, op->inode);
        break;
    case SIM_REMOVE: sim_image_remove(image, op->name); break;
    case SIM_WRITE: sim_image_write(image, op->inode, op->offset, op->bytes, op->size); break;
    case SIM_TRUNCATE: sim_content_resize(sim_image_content(image, op->inode, false), op->size); break;
    case SIM_SYNC:
    case SIM_SYNC_DIRECTORY: break;
    }
}

uint64_t sim_image_size(const sim_image *image, uint32_t inode) { return image->inodes[inode]->size; }
bool sim_image_is_directory(const sim_image *image, uint32_t inode) { return image->inodes[inode]->directory; }

uint64_t sim_image_read(const sim_image *image, uint32_t inode, uint64_t offset, uint8_t *bytes, uint64_t size) {
    const sim_content *content = image->inodes[inode];
    if (offset >= content->size) return 0;
    if (size > content->size - offset) size = content->size - offset;
    for (uint64_t done = 0; done < size;) {
        uint64_t within = (offset + done) % SIM_PAGE_BYTES, part = SIM_PAGE_BYTES - within;
        if (part > size - done) part = size - done;
        const sim_page *page = content->pages[(offset + done) / SIM_PAGE_BYTES];
        if (page) {
            memcpy(bytes + done, page->bytes + within, (size_t)part);
        } else {
            memset(bytes + done, 0, (size_t)part);
        }
        done += part;
    }
    return size;
}
