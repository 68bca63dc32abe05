/* What the fake upstream says: ready-made answers in both wire formats. */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include "common.h"

#include <stdbool.h>

enum dialect { ANTHROPIC, OPENAI, DIALECTS };

struct settings {
    int chunks;          /* text deltas of a streamed answer */
    int tool_chunks;     /* deltas of tool arguments after them; above 0 every answer calls a tool */
    int text;            /* bytes of text in one delta, besides its time mark */
    int batch;           /* deltas in one write */
    int answer;          /* bytes of text in an answer that is not streamed */
    int64_t interval_us; /* between writes; 0: as fast as the socket takes them */
    int64_t first_us;    /* before the first byte */
};

/* Make the answers for these settings; to be called before the others and after every change. */
void payload_build(const struct settings *s);

/* Append the whole JSON answer, HTTP head included. */
void payload_answer(struct buffer *out, enum dialect dialect, const struct settings *s);

/* A streamed answer has steps 0 .. payload_last_step: the head and the opening events, one delta
 * a step, the closing events. Each delta holds "@T<19 digits>;": the clock at this call. */
int payload_last_step(const struct settings *s);
void payload_step(struct buffer *out, enum dialect dialect, const struct settings *s, int step);

#endif
