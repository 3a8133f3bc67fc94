/* Decimal text to double.
**
** The usual number has at most 19 digits, a mantissa up to 2^53 and a small power of ten: then one exact multiplication
** or division gives the correctly rounded value (Clinger, 1990). Any other is rewritten as <digits>e<exponent>, without
** a point, and given to strtod: the point is all that the locale could change.
*/
#include "number.h"

#include <assert.h>
#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_DIGITS 800     /* halfway cases between two doubles have at most 767 digits; more only break ties */
#define NUMBER_EXPONENT 50000 /* beyond it every text of NUMBER_DIGITS digits is 0 or infinite */
#define NUMBER_EXACT_POWER 22 /* 10^22 is the largest power of ten that a double holds exactly */

/* value = 0.d₁d₂d₃… × 10^point; leading zeros are not kept. */
typedef struct number_parts {
    bool negative;
    uint64_t mantissa; /* of the first 19 digits */
    size_t digit_count;
    int64_t point;
    const char *first; /* the first digit that is not 0 */
} number_parts;

static bool number_is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits with at most one point. Returns the bytes read, 0 without a digit. */
static size_t number_mantissa(const char *text, size_t size, number_parts *parts) {
    size_t at = 0, digits = 0;
    bool after_point = false;
    for (; at < size; at++) {
        if (text[at] == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (!number_is_digit(text[at])) break;
        digits++;
        if (parts->digit_count == 0 && text[at] == '0') {
            parts->point -= after_point;
            continue;
        }
        if (parts->digit_count == 0) parts->first = text + at;
        if (parts->digit_count < 19) parts->mantissa = parts->mantissa * 10 + (uint64_t)(text[at] - '0');
        parts->digit_count++;
        parts->point += !after_point;
    }
    return digits ? at : 0;
}

/* An exponent with its letter; 0 bytes when it has no digit, since the letter then belongs to what follows. */
static size_t number_exponent(const char *text, size_t size, int64_t *exponent) {
    if (size < 2 || (text[0] | 0x20) != 'e') return 0;
    size_t at = text[1] == '-' || text[1] == '+' ? 2 : 1, start = at;
    int64_t value = 0;
    for (; at < size && number_is_digit(text[at]); at++) {
        if (value < INT64_C(1000000000000)) value = value * 10 + (text[at] - '0');
    }
    if (at == start) return 0;
    *exponent = text[1] == '-' ? -value : value;
    return at;
}

static bool number_exact(const number_parts *parts, double *ret_value) {
    static const double powers[NUMBER_EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                          1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                          1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (FLT_EVAL_METHOD != 0 || parts->digit_count > 19 || parts->mantissa > (UINT64_C(1) << 53)) return false;
    int64_t power = parts->point - (int64_t)parts->digit_count;
    if (power < -NUMBER_EXACT_POWER || power > NUMBER_EXACT_POWER) return false;
    *ret_value = power < 0 ? (double)parts->mantissa / powers[-power] : (double)parts->mantissa * powers[power];
    return true;
}

/* The digits without their point. Of those that do not fit it only matters whether one is not 0. */
static size_t number_digits(const number_parts *parts, char digits[NUMBER_DIGITS]) {
    size_t kept = 0;
    const char *at = parts->first;
    for (size_t seen = 0; seen < parts->digit_count; at++) {
        if (*at == '.') continue;
        seen++;
        if (kept < NUMBER_DIGITS) {
            digits[kept++] = *at;
        } else if (*at != '0' && digits[kept - 1] == '0') {
            digits[kept - 1] = '1';
        }
    }
    return kept;
}

static double number_rounded(const number_parts *parts) {
    char text[NUMBER_DIGITS + 32];
    size_t kept = number_digits(parts, text);
    int64_t power = parts->point - (int64_t)kept;
    if (power > NUMBER_EXPONENT) power = NUMBER_EXPONENT;
    if (power < -NUMBER_EXPONENT) power = -NUMBER_EXPONENT;
    int tail = snprintf(text + kept, sizeof text - kept, "e%d", (int)power);
    assert(tail > 0 && (size_t)tail < sizeof text - kept);
    (void)tail;
    return strtod(text, NULL);
}

size_t shx_number_read(const char *text, size_t size, double *ret_value) {
    number_parts parts = {0};
    size_t sign = size && (text[0] == '-' || text[0] == '+');
    parts.negative = sign && text[0] == '-';
    size_t used = number_mantissa(text + sign, size - sign, &parts);
    if (used == 0) return 0;
    used += sign;
    int64_t exponent = 0;
    used += number_exponent(text + used, size - used, &exponent);
    parts.point += exponent;
    double value = 0;
    if (parts.digit_count && !number_exact(&parts, &value)) value = number_rounded(&parts);
    *ret_value = parts.negative ? -value : value;
    return used;
}
