/* Reading one HTTP/1.1 answer as its bytes come, and the time marks in it. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include "samples.h"

#include <stdbool.h>

struct answer {
    enum { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER } state;
    int status, marks;
    bool chunked, until_close, closes;
    uint64_t first_byte, first_mark; /* when they came; 0 before */
    size_t size, got;                /* of the body or of the chunk that is being read */
    size_t head_length, line_length, tail_length;
    int mark_length;
    char head[16384], line[32], mark[22], tail[4096]; /* tail: the last bytes of the body */
};

void answer_reset(struct answer *a);

/* Take `n` bytes that came at `now`. Each complete mark adds its age to `ages`, unless that is NULL.
 * Returns 1 when the answer is complete, 0 when more is to come, -1 when this is not HTTP. */
int answer_feed(struct answer *a, const char *bytes, size_t n, uint64_t now, struct samples *ages);

/* The connection was closed: was that the end of the answer? */
bool answer_ends_by_close(const struct answer *a);

bool answer_tail_holds(const struct answer *a, const char *text);

#endif
