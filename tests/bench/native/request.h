/* Cutting whole HTTP/1.1 requests out of the bytes that came. */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include "common.h"

#include <stdbool.h>

struct request {
    size_t length;       /* of the whole request; 0: not all of it has come */
    char method, path[512], query[512];
    size_t body_length;
    bool streams;        /* the body says "stream": true */
    bool wants_continue; /* head only, with `expect: 100-continue` */
};

/* Read the request at the front of `in`. Returns false when it is not HTTP. */
bool request_read(const struct buffer *in, struct request *r);

#endif
