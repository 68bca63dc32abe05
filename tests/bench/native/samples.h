/* All samples of one quantity, in nanoseconds, for exact percentiles. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include "common.h"

struct samples {
    uint64_t *values;
    size_t count, capacity;
};

static inline void sample(struct samples *s, uint64_t value) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity * 2 + 4096;
        s->values = grown(s->values, s->capacity * sizeof *s->values);
    }
    s->values[s->count++] = value;
}

static inline int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Print `,"name":{…}` in microseconds, or null when there is none. */
static inline void samples_print(const char *name, struct samples *s) {
    static const struct { const char *name; double at; } quantiles[] = {
        {"min", 0}, {"p50", .5}, {"p90", .9}, {"p95", .95}, {"p99", .99}, {"max", 1},
    };
    if (!s->count) {
        printf(",\"%s\":null", name);
        return;
    }
    qsort(s->values, s->count, sizeof *s->values, by_value);
    double sum = 0;
    for (size_t i = 0; i < s->count; i++) sum += (double)s->values[i];
    printf(",\"%s\":{\"n\":%zu,\"mean\":%.2f", name, s->count, sum / (double)s->count / 1e3);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        size_t place = (size_t)((double)(s->count - 1) * quantiles[i].at);
        printf(",\"%s\":%.2f", quantiles[i].name, (double)s->values[place] / 1e3);
    }
    printf("}");
}

#endif
