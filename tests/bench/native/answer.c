#define _GNU_SOURCE
#include "answer.h"

#include <strings.h>

enum { MARK_START = 2, MARK_FULL = 21 }; /* "@T", and "@T" with 19 digits */

void answer_reset(struct answer *a) {
    memset(a, 0, offsetof(struct answer, head));
}

bool answer_ends_by_close(const struct answer *a) {
    return a->state == BODY && a->until_close;
}

bool answer_tail_holds(const struct answer *a, const char *text) {
    return memmem(a->tail, a->tail_length, text, strlen(text));
}

static void keep_tail(struct answer *a, const char *bytes, size_t n) {
    if (n > sizeof a->tail) {
        bytes += n - sizeof a->tail;
        n = sizeof a->tail;
    }
    if (a->tail_length + n > sizeof a->tail) {
        size_t old = a->tail_length + n - sizeof a->tail;
        a->tail_length -= old;
        memmove(a->tail, a->tail + old, a->tail_length);
    }
    memcpy(a->tail + a->tail_length, bytes, n);
    a->tail_length += n;
}

/* Find the marks, which may be cut between reads. */
static void find_marks(struct answer *a, const char *bytes, size_t n, uint64_t now, struct samples *ages) {
    for (const char *p = bytes, *end = bytes + n; p < end; p++) {
        if (a->mark_length == 0) {
            p = memchr(p, '@', (size_t)(end - p));
            if (!p) return;
            a->mark_length = 1;
        } else if (a->mark_length < MARK_START) {
            a->mark_length = *p == 'T' ? MARK_START : 0;
        } else if (a->mark_length < MARK_FULL && *p >= '0' && *p <= '9') {
            a->mark[a->mark_length++ - MARK_START] = *p;
        } else {
            if (a->mark_length == MARK_FULL && *p == ';') {
                a->mark[MARK_FULL - MARK_START] = 0;
                uint64_t written = strtoull(a->mark, NULL, 10);
                a->marks++;
                if (!a->first_mark) a->first_mark = now;
                if (ages) sample(ages, now > written ? now - written : 0);
            }
            a->mark_length = 0;
        }
    }
}

static void read_head(struct answer *a) {
    a->head[a->head_length] = 0;
    a->status = atoi(a->head + sizeof "HTTP/1.1");
    a->until_close = true;
    for (char *line = strchr(a->head, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        if (!strncasecmp(line + 1, "content-length:", 15)) {
            a->size = strtoul(line + 16, NULL, 10);
            a->until_close = false;
        } else if (!strncasecmp(line + 1, "transfer-encoding:", 18)) {
            a->chunked = true;
        } else if (!strncasecmp(line + 1, "connection:", 11)) {
            a->closes = !strncasecmp(line + 12 + strspn(line + 12, " "), "close", 5);
        }
    }
    if (a->chunked) a->until_close = false;
    if (a->until_close) a->closes = true;
    a->state = a->chunked ? CHUNK_SIZE : BODY;
}

static int feed_head(struct answer *a, char c) {
    if (a->head_length == sizeof a->head - 1) return -1;
    a->head[a->head_length++] = c;
    if (c != '\n' || a->head_length < 4 || memcmp(a->head + a->head_length - 4, "\r\n\r\n", 4)) return 0;
    read_head(a);
    if (a->status == 100) answer_reset(a);
    return a->state == BODY && !a->until_close && a->size == 0;
}

static void feed_chunk_size(struct answer *a, char c) {
    if (c != '\n') {
        if (a->line_length < sizeof a->line - 1) a->line[a->line_length++] = c;
        return;
    }
    a->line[a->line_length] = 0;
    a->size = strtoul(a->line, NULL, 16);
    a->got = a->line_length = 0;
    a->state = a->size ? CHUNK_DATA : TRAILER;
}

static int feed_trailer(struct answer *a, char c) {
    if (c == '\n' && a->line_length == 0) return 1;
    a->line_length = c == '\n' ? 0 : a->line_length + (c != '\r');
    return 0;
}

int answer_feed(struct answer *a, const char *bytes, size_t n, uint64_t now, struct samples *ages) {
    int done = 0;
    for (size_t i = 0; i < n && !done;) {
        if (a->state == BODY || a->state == CHUNK_DATA) {
            size_t take = n - i;
            if (!a->until_close && take > a->size - a->got) take = a->size - a->got;
            if (!a->first_byte) a->first_byte = now;
            keep_tail(a, bytes + i, take);
            find_marks(a, bytes + i, take, now, ages);
            a->got += take;
            i += take;
            if (a->until_close || a->got < a->size) continue;
            if (a->state == BODY) return 1;
            a->state = CHUNK_END;
            continue;
        }
        char c = bytes[i++];
        switch (a->state) {
        case HEAD: done = feed_head(a, c); break;
        case CHUNK_SIZE: feed_chunk_size(a, c); break;
        case CHUNK_END: if (c == '\n') a->state = CHUNK_SIZE; break;
        case TRAILER: done = feed_trailer(a, c); break;
        default: break;
        }
    }
    return done;
}
