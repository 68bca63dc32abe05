/* Small things that both programs use: the clock, giving up, a growing buffer. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ull

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline struct timespec as_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void *grown(void *memory, size_t size) {
    memory = realloc(memory, size);
    if (!memory) die("realloc");
    return memory;
}

struct buffer {
    char *bytes;
    size_t length, capacity;
};

/* Make room for n more bytes. */
static inline void reserve(struct buffer *b, size_t n) {
    if (b->length + n <= b->capacity) return;
    b->capacity = (b->length + n) * 2 + 256;
    b->bytes = grown(b->bytes, b->capacity);
}

static inline void append(struct buffer *b, const char *bytes, size_t n) {
    if (!n) return;
    reserve(b, n);
    memcpy(b->bytes + b->length, bytes, n);
    b->length += n;
}

#endif
