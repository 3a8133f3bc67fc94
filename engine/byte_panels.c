#include "byte_panels.h"

#include "bytes.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define PANELS_ROW_ZERO 64 /* the byte of 0 in a row */
#define PANELS_ROW_MOST 63
#define PANELS_CENTROID_MOST 127

size_t shx_byte_panels_bytes(uint32_t count, size_t dim) {
    return shx_align(count, 16) / 16 * shx_byte_panel_bytes(dim);
}

/* Points are shorter (quantizer.h); up to here no score overflows, so that none is ever NaN. */
#define PANELS_STEP_MAX 1e14f

/* The step in which the largest component, less the origin's, becomes `most`; 0 where all shall be rounded to zero:
** denormal steps have no inverse, and not all numbers may be finite. */
static float panels_step(const float *values, const float *origin, size_t dim, float most) {
    float largest[16] = {0}, nothing[16] = {0}; /* NaN where a number is not finite */
    for (size_t i = 0; i < dim; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            float size = fabsf(origin ? values[i + j] - origin[i + j] : values[i + j]);
            largest[j] = size > largest[j] ? size : largest[j];
            nothing[j] += size * 0;
        }
    }
    for (size_t j = 1; j < 16; j++) {
        largest[0] = largest[j] > largest[0] ? largest[j] : largest[0];
        nothing[0] += nothing[j];
    }
    float step = largest[0] / most;
    return step >= FLT_MIN && step <= PANELS_STEP_MAX && nothing[0] == 0 ? step : 0;
}

/* Rounds a number between -most and most, or a trifle beyond. */
static inline int panels_round(float number, int most) { return (int)(number + ((float)most + 0.5f)) - most; }

/* The centroid c of one lane, as r = c - o: |x - c|² = |x - o|² - 2 <x, r> + |r|² + 2 <o, r>. */
static void panels_put(const float *centroid, const float *origin, size_t dim, size_t lane, shx_byte_panel *panel) {
    float step = panels_step(centroid, origin, dim, PANELS_CENTROID_MOST), per_step = step > 0 ? 1 / step : 0;
    int32_t sum = 0;
    double norm2 = 0, along = 0;
    for (size_t d = 0; d < dim; d++) {
        float from = origin ? origin[d] : 0;
        int number = step > 0 ? panels_round((centroid[d] - from) * per_step, PANELS_CENTROID_MOST) : 0;
        panel->bytes[d / 4 * 64 + lane * 4 + d % 4] = (int8_t)number;
        sum += number;
        norm2 += (double)(number * number);
        along += (double)number * (double)from;
    }
    panel->shifts[lane] = PANELS_ROW_ZERO * sum;
    panel->scales[lane] = -2 * step;
    float norm = (float)(norm2 * step * step + 2 * along * step);
    panel->norms[lane] = norm < INFINITY ? norm : INFINITY; /* NaN, of an origin that is, too */
}

void shx_byte_panels_fill(const float *centroids, uint32_t count, size_t dim, const float *origin, void *ret_panels) {
    for (size_t first = 0; first < count; first += 16) {
        shx_byte_panel *panel = (void *)((uint8_t *)ret_panels + first / 16 * shx_byte_panel_bytes(dim));
        memset(panel, 0, shx_byte_panel_bytes(dim));
        for (size_t lane = 0; lane < 16; lane++) {
            panel->norms[lane] = INFINITY;
            if (first + lane < count) panels_put(centroids + (first + lane) * dim, origin, dim, lane, panel);
        }
    }
}

float shx_byte_row(const float *point, size_t dim, uint8_t *ret_row) {
    float step = panels_step(point, NULL, dim, PANELS_ROW_MOST), per_step = 1 / step;
    if (!(step > 0)) {
        memset(ret_row, PANELS_ROW_ZERO, dim);
        return 0;
    }
    for (size_t i = 0; i < dim; i++) {
        ret_row[i] = (uint8_t)(panels_round(point[i] * per_step, PANELS_ROW_MOST) + PANELS_ROW_ZERO);
    }
    return step;
}
