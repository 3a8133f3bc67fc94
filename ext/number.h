/* Decimal numbers in text, read the same way whatever the locale of the host. */
#ifndef SHX_NUMBER_H
#define SHX_NUMBER_H

#include <stddef.h>

/* Reads the number that starts at `text`: perhaps a sign; digits, perhaps with a point (a digit on at least one side of
** it); perhaps an exponent. Returns how many bytes it takes, 0 when none stands there. The value is correctly rounded:
** infinite when too large for a double, 0 when too small. */
size_t shx_number_read(const char *text, size_t size, double *ret_value);

#endif
