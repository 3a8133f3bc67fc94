#include "element.h"

#include "bytes.h"
#include "kernels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

size_t shx_element_bytes(shx_element element, uint32_t dim) {
    switch (element) {
    case SHX_FLOAT32: return (size_t)dim * 4;
    case SHX_FLOAT16:
    case SHX_BFLOAT16: return (size_t)dim * 2;
    case SHX_INT8: return dim;
    case SHX_BIT: return dim / 8;
    }
    assert(!"an element type");
    return 0;
}

const char *shx_element_name(shx_element element) {
    static const char *const names[] = {"float32", "float16", "bfloat16", "int8", "bit"};
    assert(element <= SHX_BIT);
    return names[element];
}

/* ---- out ---- */

static void element_decode_int8(const int8_t *vector, uint32_t dim, float *ret_floats) {
    for (uint32_t i = 0; i < dim; i++) ret_floats[i] = (float)vector[i];
}

static void element_decode_bits(const uint8_t *vector, uint32_t dim, float *ret_floats) {
    for (uint32_t i = 0; i < dim; i++) ret_floats[i] = (float)(vector[i / 8] >> i % 8 & 1) - 0.5f;
}

void shx_element_decode(shx_element element, const void *vector, uint32_t dim, float *ret_floats) {
    switch (element) {
    case SHX_FLOAT32: memcpy(ret_floats, vector, dim * sizeof *ret_floats); break;
    case SHX_FLOAT16: shx_kernels_get()->decode_float16(vector, dim, ret_floats); break;
    case SHX_BFLOAT16: shx_kernels_get()->decode_bfloat16(vector, dim, ret_floats); break;
    case SHX_INT8: element_decode_int8(vector, dim, ret_floats); break;
    case SHX_BIT: element_decode_bits(vector, dim, ret_floats); break;
    }
}

/* ---- in ---- */

/* `bits` shifted right by `count` (1 … 31), rounded to nearest, ties to even. */
static uint32_t element_shift_round(uint32_t bits, int count) {
    uint32_t kept = bits >> count, rest = bits & ((UINT32_C(1) << count) - 1), half = UINT32_C(1) << (count - 1);
    return kept + (rest > half || (rest == half && (kept & 1)));
}

/* A carry out of the mantissa raises the exponent, which is what rounding up means. */
static uint16_t element_to_float16(uint32_t bits) {
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    int exponent = (int)(magnitude >> 23) - 112; /* biases of 127 and 15 */
    if (exponent >= 31) return (uint16_t)(sign | 0x7c00);
    if (exponent >= 1) return (uint16_t)(sign | element_shift_round(magnitude - (UINT32_C(112) << 23), 13));
    int shift = 14 - exponent; /* of the mantissa, which becomes a multiple of 2^-24 */
    uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    return (uint16_t)(sign | (shift < 32 ? element_shift_round(mantissa, shift) : 0));
}

bool shx_element_encode(shx_element element, double number, void *ret_element) {
    assert(element != SHX_BIT);
    float value = (float)number;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (element == SHX_INT8) {
        if (!(number >= INT8_MIN && number <= INT8_MAX) || number != floor(number)) return false;
        *(int8_t *)ret_element = (int8_t)number;
        return true;
    }
    if (!isfinite(value)) return false;
    if (element == SHX_FLOAT32) {
        memcpy(ret_element, &value, sizeof value);
        return true;
    }
    uint16_t half = element == SHX_FLOAT16 ? element_to_float16(bits) : (uint16_t)element_shift_round(bits, 16);
    uint16_t infinity = element == SHX_FLOAT16 ? 0x7c00 : 0x7f80;
    if ((half & 0x7fff) >= infinity) return false;
    shx_put16(ret_element, half);
    return true;
}

static bool element_is_finite(shx_element element, const uint8_t *vector, uint32_t position) {
    if (element == SHX_FLOAT32) return (shx_get32(vector + (size_t)position * 4) & 0x7f800000) != 0x7f800000;
    uint16_t exponent = element == SHX_FLOAT16 ? 0x7c00 : 0x7f80;
    return (shx_get16(vector + (size_t)position * 2) & exponent) != exponent;
}

/* Whether any element is not finite: without a branch for each the compiler takes a register of them at once. */
static bool element_any_infinite(shx_element element, const uint8_t *vector, uint32_t dim) {
    const uint16_t exponent = element == SHX_FLOAT16 ? 0x7c00 : 0x7f80;
    uint32_t any = 0;
    uint16_t any_half = 0;
    if (element == SHX_FLOAT32) {
        for (size_t i = 0; i < dim; i++) any |= (shx_get32(vector + 4 * i) & 0x7f800000) == 0x7f800000;
    } else {
        for (size_t i = 0; i < dim; i++) any_half |= (uint16_t)((shx_get16(vector + 2 * i) & exponent) == exponent);
    }
    return any || any_half;
}

bool shx_element_find_infinite(shx_element element, const void *vector, uint32_t dim, uint32_t *ret_position) {
    if (element == SHX_INT8 || element == SHX_BIT || !element_any_infinite(element, vector, dim)) return false;
    uint32_t i = 0;
    while (element_is_finite(element, vector, i)) i++;
    *ret_position = i;
    return true;
}
