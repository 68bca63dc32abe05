#define _GNU_SOURCE
#include "request.h"

#include <strings.h>

#define MAX_HEAD 65536

static bool asks_for_stream(const char *body, size_t length) {
    static const char key[] = "\"stream\"", blank[] = " \t\r\n";
    const char *end = body + length, *p = body;
    while ((p = memmem(p, (size_t)(end - p), key, sizeof key - 1))) {
        p += sizeof key - 1;
        while (p < end && strchr(blank, *p)) p++;
        if (p == end || *p != ':') continue;
        p++;
        while (p < end && strchr(blank, *p)) p++;
        if (p < end && *p == 't') return true;
    }
    return false;
}

/* Join the chunks that start at `p` into `body`. Returns the bytes they took, 0 when more are to come. */
static size_t join_chunks(const char *p, size_t length, struct buffer *body) {
    size_t at = 0;
    for (;;) {
        const char *line_end = memchr(p + at, '\n', length - at);
        if (!line_end) return 0;
        size_t size = strtoul(p + at, NULL, 16), start = (size_t)(line_end + 1 - p);
        if (length - start < size + 2) return 0;
        append(body, p + start, size);
        at = start + size + 2;
        if (!size) return at;
    }
}

static bool read_target(const char *head, size_t length, struct request *r) {
    const char *start = memchr(head, ' ', length);
    if (!start) return false;
    start++;
    const char *end = memchr(start, ' ', length - (size_t)(start - head));
    if (!end) return false;
    size_t size = (size_t)(end - start);
    const char *mark = memchr(start, '?', size);
    size_t path_size = mark ? (size_t)(mark - start) : size;
    snprintf(r->path, sizeof r->path, "%.*s", (int)path_size, start);
    snprintf(r->query, sizeof r->query, "%.*s", mark ? (int)(size - path_size - 1) : 0, mark ? mark + 1 : "");
    r->method = head[0];
    return true;
}

bool request_read(const struct buffer *in, struct request *r) {
    *r = (struct request){0};
    const char *head = in->bytes;
    if (!in->length) return true;
    const char *blank = memmem(head, in->length < MAX_HEAD ? in->length : MAX_HEAD, "\r\n\r\n", 4);
    if (!blank) return in->length < MAX_HEAD;
    size_t head_length = (size_t)(blank - head) + 4, size = 0;
    if (!read_target(head, head_length, r)) return false;
    bool chunked = false;
    for (const char *line = memchr(head, '\n', head_length); line && line < blank;
         line = memchr(line + 1, '\n', (size_t)(blank + 2 - line - 1))) {
        if (!strncasecmp(line + 1, "content-length:", 15)) size = strtoul(line + 16, NULL, 10);
        else if (!strncasecmp(line + 1, "transfer-encoding:", 18)) chunked = true;
        else if (!strncasecmp(line + 1, "expect:", 7)) r->wants_continue = in->length == head_length;
    }
    struct buffer joined = {0};
    const char *body = head + head_length;
    if (chunked) {
        size_t taken = join_chunks(body, in->length - head_length, &joined);
        if (taken) r->length = head_length + taken;
        body = joined.bytes;
        size = joined.length;
    } else if (in->length >= head_length + size) {
        r->length = head_length + size;
    }
    r->body_length = size;
    if (r->length && size) r->streams = asks_for_stream(body, size);
    free(joined.bytes);
    return true;
}
