/* generate DIMENSIONS LATENT ROWS QUERIES SEED FOLDER: a hard synthetic set, the same wherever rounding is the same.
**
** Real embeddings are hard because they have no clean clusters: groups overlap, differ in size, shape and density, and
** lie on a bent surface of a few dozen dimensions. So each vector comes from LATENT dimensions (24 or more):
**   - a group, drawn by a Zipf-like law, its centre a child of one of PARENTS centres, with spreads that overlap;
**   - a spread in the group's own directions: eigenvalues fall by a power law, in an order of the group's own;
**   - a scale per vector with a heavy tail (log-normal);
**   - a linear map into DIMENSIONS, a bend (a rectified second map), and a little noise in all directions.
** Queries are drawn by the same law, after all rows. Nothing here was tuned to an engine: the constants give neighbours
** about as far, and recall about as hard, as 128-d image descriptors and 768-d text embeddings have. */
#include <math.h>

#include "measure.h"

enum { PARENTS = 60, GROUPS = 3000, LATENT_MAX = 256, PLANES = 4 };

typedef struct {
    size_t dimensions;
    size_t latent;
    float *centres; /* GROUPS x latent */
    float *normals; /* GROUPS x PLANES x latent: reflections that turn the group's axes */
    float *shares;  /* GROUPS, cumulated */
    float *spreads; /* latent */
    float *linear;  /* latent x dimensions */
    float *bent;    /* latent x dimensions */
} law;

static uint64_t random_state;

static double uniform(void) { return ((double)(random_bits(&random_state) >> 11) + 0.5) * 0x1p-53; }

static float normal(void) { return (float)(sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform())); }

static float *normals_of(size_t count, float scale) {
    float *values = need(malloc(count * sizeof *values));
    for (size_t i = 0; i < count; i++) values[i] = scale * normal();
    return values;
}

static void law_draw_groups(law *ret_law) {
    size_t latent = ret_law->latent;
    float *parents = normals_of(PARENTS * latent, 0.7f), sum = 0;
    ret_law->centres = normals_of(GROUPS * latent, 0.6f);
    ret_law->normals = normals_of(GROUPS * PLANES * latent, 1);
    ret_law->shares = need(malloc(GROUPS * sizeof(float)));
    for (size_t group = 0; group < GROUPS; group++) {
        const float *parent = parents + random_bits(&random_state) % PARENTS * latent;
        for (size_t i = 0; i < latent; i++) ret_law->centres[group * latent + i] += parent[i];
        sum += powf((float)(group + 10), -0.9f);
        ret_law->shares[group] = sum;
    }
    free(parents);
}

static void law_draw(law *ret_law) {
    size_t latent = ret_law->latent;
    law_draw_groups(ret_law);
    ret_law->spreads = need(malloc(latent * sizeof(float)));
    for (size_t i = 0; i < latent; i++) ret_law->spreads[i] = 1.6f * powf((float)(i + 1), -0.2f);
    ret_law->linear = normals_of(latent * ret_law->dimensions, 1);
    ret_law->bent = normals_of(latent * ret_law->dimensions, 0.8f);
}

static size_t pick_group(const law *from) {
    float at = (float)uniform() * from->shares[GROUPS - 1];
    size_t low = 0, high = GROUPS - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (from->shares[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Reflects `vector` at the plane across `axis`. */
static void reflect(float *vector, const float *axis, size_t count) {
    float product = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        product += vector[i] * axis[i];
        squares += axis[i] * axis[i];
    }
    for (size_t i = 0; i < count; i++) vector[i] -= 2 * product / squares * axis[i];
}

static void draw_latent(const law *from, float *latent) {
    size_t group = pick_group(from);
    float scale = expf(0.45f * normal());
    for (size_t i = 0; i < from->latent; i++) latent[i] = scale * from->spreads[i] * normal();
    for (size_t plane = 0; plane < PLANES; plane++)
        reflect(latent, from->normals + (group * PLANES + plane) * from->latent, from->latent);
    for (size_t i = 0; i < from->latent; i++) latent[i] += from->centres[group * from->latent + i];
}

static void draw_vector(const law *from, float *vector, float *bend) {
    float latent[LATENT_MAX];
    draw_latent(from, latent);
    memset(vector, 0, from->dimensions * sizeof *vector);
    memset(bend, 0, from->dimensions * sizeof *bend);
    for (size_t i = 0; i < from->latent; i++) {
        const float *linear = from->linear + i * from->dimensions, *bent = from->bent + i * from->dimensions;
        for (size_t j = 0; j < from->dimensions; j++) {
            vector[j] += latent[i] * linear[j];
            bend[j] += latent[i] * bent[j];
        }
    }
    for (size_t j = 0; j < from->dimensions; j++) vector[j] += (bend[j] > 0 ? bend[j] : 0) + 0.5f * normal();
}

static void write_vectors(const law *from, const char *folder, const char *name, size_t count) {
    char path[PATH_SIZE];
    FILE *file = need(fopen(path_in(path, folder, name), "wb"));
    float *vector = need(malloc(2 * from->dimensions * sizeof *vector));
    for (size_t i = 0; i < count; i++) {
        draw_vector(from, vector, vector + from->dimensions);
        if (fwrite(vector, sizeof *vector, from->dimensions, file) != from->dimensions) fail("cannot write");
    }
    if (fclose(file) != 0) fail("cannot write");
    free(vector);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 7) fail("usage: generate DIMENSIONS LATENT ROWS QUERIES SEED FOLDER");
    law drawn = {.dimensions = strtoul(arguments[1], NULL, 10), .latent = strtoul(arguments[2], NULL, 10)};
    if (drawn.dimensions == 0 || drawn.latent == 0 || drawn.latent > LATENT_MAX) fail("unusable dimensions");
    random_state = strtoull(arguments[5], NULL, 10);
    law_draw(&drawn);
    write_vectors(&drawn, arguments[6], "base.f32", strtoul(arguments[3], NULL, 10));
    write_vectors(&drawn, arguments[6], "queries.f32", strtoul(arguments[4], NULL, 10));
    return 0;
}
