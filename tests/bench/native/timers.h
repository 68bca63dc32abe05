/* A heap of things that are due. An owner embeds `struct timer` as its first member. */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include "common.h"

struct timer {
    uint64_t due;
    size_t slot; /* 1-based place in the heap; 0: not set */
};

struct timers {
    struct timer **heap; /* heap[1] is due first */
    size_t count, capacity;
};

static inline void timer_place(struct timers *h, size_t slot, struct timer *t) {
    h->heap[slot] = t;
    t->slot = slot;
}

static inline void timer_rise(struct timers *h, size_t slot) {
    struct timer *t = h->heap[slot];
    for (; slot > 1 && h->heap[slot / 2]->due > t->due; slot /= 2)
        timer_place(h, slot, h->heap[slot / 2]);
    timer_place(h, slot, t);
}

static inline void timer_sink(struct timers *h, size_t slot) {
    struct timer *t = h->heap[slot];
    for (size_t child; (child = slot * 2) <= h->count; slot = child) {
        if (child < h->count && h->heap[child + 1]->due < h->heap[child]->due) child++;
        if (h->heap[child]->due >= t->due) break;
        timer_place(h, slot, h->heap[child]);
    }
    timer_place(h, slot, t);
}

static inline void timer_set(struct timers *h, struct timer *t, uint64_t due) {
    if (h->count + 2 > h->capacity) {
        h->capacity = h->capacity * 2 + 64;
        h->heap = grown(h->heap, h->capacity * sizeof *h->heap);
    }
    t->due = due;
    h->heap[++h->count] = t;
    timer_rise(h, h->count);
}

static inline void timer_clear(struct timers *h, struct timer *t) {
    size_t slot = t->slot;
    if (!slot) return;
    t->slot = 0;
    struct timer *last = h->heap[h->count--];
    if (last == t) return;
    timer_place(h, slot, last);
    timer_rise(h, slot);
    timer_sink(h, last->slot);
}

#endif
