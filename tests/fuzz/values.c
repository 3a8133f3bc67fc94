/* Packed column values and predicates over them, raw: the order of values is one, what is read is written the same, and
** a predicate admits what its ranges hold.
*/
#include "fuzz.h"

#include "predicate.h"

#include <string.h>

#define VALUES_MAX 24

typedef struct values {
    shx_value all[VALUES_MAX];
    uint32_t count;
} values;

static int sign(int number) { return (number > 0) - (number < 0); }

static void check_order(const values *read) {
    for (uint32_t a = 0; a < read->count; a++) {
        for (uint32_t b = 0; b < read->count; b++) {
            int order = sign(shx_value_compare(&read->all[a], &read->all[b]));
            fuzz_require(order == -sign(shx_value_compare(&read->all[b], &read->all[a])));
            for (uint32_t c = 0; c < read->count && order <= 0; c++) {
                if (sign(shx_value_compare(&read->all[b], &read->all[c])) > 0) continue;
                fuzz_require(sign(shx_value_compare(&read->all[a], &read->all[c])) <= 0);
            }
        }
    }
}

/* Numbers as the database gives them: whole ones as integers. */
static shx_value as_written(shx_value value) {
    return value.type == SHX_VALUE_REAL ? shx_value_of_real(value.is.real) : value;
}

static values read_all(const shx_packed *packed, uint32_t count) {
    values read = {0};
    const uint8_t *at = packed->bytes, *end = at + packed->size;
    uint8_t again[4096];
    for (uint32_t i = 0; i < count && read.count < VALUES_MAX; i++) {
        const uint8_t *from = at;
        shx_value value;
        shx_packed found;
        fuzz_require(shx_value_read(&at, end, &value));
        fuzz_require(shx_value_size(&value) == (uint64_t)(at - from));
        shx_value_put(&value, again);
        fuzz_require(memcmp(again, from, (size_t)(at - from)) == 0);
        fuzz_require(shx_packed_find(packed, i, &found) && found.bytes == from && found.size == at - from);
        read.all[read.count++] = as_written(value);
    }
    return read;
}

/* Ranges between the values that were read. */
static void check_predicate(const values *read, const shx_packed *packed, uint32_t columns, fuzz_input *input) {
    shx_predicate predicate = {0};
    shx_range ranges[4];
    uint64_t count = 1 + fuzz_number(input, 1) % 4;
    uint32_t column = (uint32_t)fuzz_number(input, 1) % columns;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t low = fuzz_number(input, 1), high = fuzz_number(input, 1);
        shx_value from = read->all[low / 4 % read->count], to = read->all[high / 4 % read->count];
        ranges[i].low = low % 4 == 0 ? shx_cut_start() : low % 4 == 1 ? shx_cut_after(from) : shx_cut_before(from);
        ranges[i].high = high % 4 == 0 ? shx_cut_end() : high % 4 == 1 ? shx_cut_before(to) : shx_cut_after(to);
    }
    bool admitted = false, expected = false;
    fuzz_require(shx_predicate_add(&predicate, column, ranges, count) == SHX_OK);
    fuzz_require(shx_predicate_test(&predicate, 1, packed, &admitted) == SHX_OK);
    if (column < read->count) {
        const shx_value *value = &read->all[column];
        for (uint64_t i = 0; i < count; i++) {
            expected = expected || (shx_cut_passed(&ranges[i].low, value) && !shx_cut_passed(&ranges[i].high, value));
        }
        fuzz_require(admitted == expected);
    }
    shx_predicate_clear(&predicate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    fuzz_input choices = {fuzz_bytes(&input, 10, &size), 0};
    choices.left = size;
    const shx_packed packed = {input.at, (uint32_t)(input.left < 4000 ? input.left : 4000)};
    uint32_t count = 0;
    if (shx_packed_check(&packed, &count) && count > 0) {
        values read = read_all(&packed, count);
        check_order(&read);
        /* The test reads the columns as they stand there. */
        bool plain = true;
        const uint8_t *at = packed.bytes;
        for (uint32_t i = 0; i < count; i++) {
            shx_value value;
            fuzz_require(shx_value_read(&at, packed.bytes + packed.size, &value));
            plain = plain && as_written(value).type == value.type;
        }
        if (plain) check_predicate(&read, &packed, count, &choices);
    }
    fuzz_finish();
    return 0;
}
