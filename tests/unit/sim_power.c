#include "sim_power.h"

#include "bytes.h"
#include "fixture.h"

#include <stdlib.h>

void sim_replay_open(const sim_image *start, const sim_log *log, sim_replay *ret_replay) {
    *ret_replay = (sim_replay){.log = log};
    sim_image_copy(start, &ret_replay->now);
    sim_image_copy(start, &ret_replay->durable);
}

void sim_replay_close(sim_replay *replay) {
    sim_image_free(&replay->now);
    sim_image_free(&replay->durable);
    free(replay->pending);
}

/* Is `op` made durable by `sync`? */
static bool sim_replay_covers(const sim_op *sync, const sim_op *op) {
    bool named = op->kind == SIM_CREATE || op->kind == SIM_MAKE_DIRECTORY || op->kind == SIM_REMOVE;
    if (sync->kind == SIM_SYNC) return !named && op->inode == sync->inode;
    return named && sim_parent(op->name) == sync->name;
}

void sim_replay_step(sim_replay *replay) {
    const sim_op *op = &replay->log->ops[replay->at];
    sim_image_apply(&replay->now, op);
    if (op->kind != SIM_SYNC && op->kind != SIM_SYNC_DIRECTORY) {
        if (replay->pending_count == replay->pending_capacity) {
            replay->pending_capacity = 2 * replay->pending_capacity + 64;
            replay->pending = sim_resize(replay->pending, replay->pending_capacity * sizeof *replay->pending);
        }
        replay->pending[replay->pending_count++] = (uint32_t)replay->at;
    } else {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < replay->pending_count; i++) {
            const sim_op *done = &replay->log->ops[replay->pending[i]];
            if (sim_replay_covers(op, done)) {
                sim_image_apply(&replay->durable, done);
            } else {
                replay->pending[kept++] = replay->pending[i];
            }
        }
        replay->pending_count = kept;
    }
    replay->at++;
}

void sim_replay_killed(const sim_replay *replay, sim_image *ret_image) {
    sim_image_copy(&replay->now, ret_image);
    sim_image_prune(ret_image);
}

/* Applies an operation if it survives and nothing that it cannot overtake was lost. */
static void sim_replay_survive(const sim_op *op, bool survives, bool *lost_removal, sim_image *image) {
    if (op->kind == SIM_REMOVE && !survives) *lost_removal = true;
    if (survives && !(op->kind == SIM_TRUNCATE && *lost_removal)) sim_image_apply(image, op);
}

/* Some of a write's sectors. */
static void sim_replay_tear(const sim_op *op, uint64_t sector, fixture_random *random, sim_image *image) {
    for (uint64_t from = 0; from < op->size;) {
        uint64_t part = sector - (op->offset + from) % sector;
        if (part > op->size - from) part = op->size - from;
        if (fixture_below(random, 2)) {
            sim_image_write(image, op->inode, op->offset + from, op->bytes + from, part);
        }
        from += part;
    }
}

/* A random choice: nearly all, nearly none or half of the operations survive; every other time, writes are torn. */
static void sim_replay_choose(const sim_replay *replay, uint64_t variant, sim_image *image) {
    static const uint64_t shares[] = {2, 10, 18};
    fixture_random random = {shx_hash64(&variant, sizeof variant, replay->at)};
    uint64_t share = shares[fixture_below(&random, 3)], tearing = fixture_below(&random, 2);
    uint64_t sector = fixture_below(&random, 2) ? 512 : 4096;
    bool lost_removal = false;
    for (uint32_t i = 0; i < replay->pending_count; i++) {
        const sim_op *op = &replay->log->ops[replay->pending[i]];
        bool survives = fixture_below(&random, 20) < share;
        if (op->kind == SIM_WRITE && tearing && fixture_below(&random, 4) == 0) {
            sim_replay_tear(op, sector, &random, image);
        } else {
            sim_replay_survive(op, survives, &lost_removal, image);
        }
    }
}

void sim_replay_cut(const sim_replay *replay, uint64_t variant, sim_image *ret_image) {
    sim_image_copy(&replay->durable, ret_image);
    uint32_t count = replay->pending_count;
    if (count <= SIM_EXHAUSTIVE && variant < UINT64_C(1) << count) {
        bool lost_removal = false;
        for (uint32_t i = 0; i < count; i++) {
            sim_replay_survive(&replay->log->ops[replay->pending[i]], variant >> i & 1, &lost_removal, ret_image);
        }
    } else {
        sim_replay_choose(replay, variant, ret_image);
    }
    sim_image_prune(ret_image);
}
