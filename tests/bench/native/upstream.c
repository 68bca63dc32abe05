/* A small, fast fake LLM upstream on 127.0.0.1: one thread, one epoll loop.
 *
 *   POST …/messages            Anthropic Messages, JSON or SSE
 *   POST …/chat/completions    OpenAI Chat Completions, JSON or SSE
 *   POST …/count_tokens, GET …/models, GET /health
 *   GET  /__ctl?chunks=200&interval_us=5000&…    change the settings (names: `struct settings`)
 *   GET  /__stats                                what it has served
 *
 * upstream [PORT]      0, the default, takes any free port. Prints {"port":N} once it listens.
 */
#define _GNU_SOURCE
#include "payload.h"
#include "request.h"
#include "timers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS 65536
#define READ_SIZE 65536
#define STEPS_PER_TURN 16 /* a burst gives way to the others after so many writes */

struct connection {
    struct timer timer; /* first, so that a timer is its connection */
    int fd;
    bool answers, streams, waits_for_room;
    enum dialect dialect;
    int step;
    uint64_t began;
    struct settings settings; /* those in force when the request came */
    struct buffer in, out;
    size_t written; /* of `out` */
};

static struct settings settings = {.chunks = 50, .text = 24, .batch = 1, .answer = 1500};
static struct connection *connections[MAX_FDS];
static struct timers timers;
static int epoll_fd;
static struct {
    unsigned long requests, streams, connections, bytes_in;
} served;

static void serve(struct connection *c);

static void hang_up(struct connection *c) {
    timer_clear(&timers, &c->timer);
    connections[c->fd] = NULL;
    close(c->fd);
    free(c->in.bytes);
    free(c->out.bytes);
    free(c);
}

static void watch(struct connection *c, bool room) {
    if (c->waits_for_room == room) return;
    c->waits_for_room = room;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (room ? EPOLLOUT : 0), .data.fd = c->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

enum flushed { ALL, SOME, GONE };

static enum flushed flush(struct connection *c) {
    while (c->written < c->out.length) {
        ssize_t n = send(c->fd, c->out.bytes + c->written, c->out.length - c->written, MSG_NOSIGNAL);
        if (n >= 0) {
            c->written += (size_t)n;
        } else if (errno == EAGAIN) {
            watch(c, true);
            return SOME;
        } else if (errno != EINTR) {
            hang_up(c);
            return GONE;
        }
    }
    c->out.length = c->written = 0;
    watch(c, false);
    return ALL;
}

/* Put the steps of one write into `out`: the head of a paced stream goes alone, the end with the last delta. */
static void compose_write(struct connection *c) {
    int last = payload_last_step(&c->settings);
    for (int n = 0; n < c->settings.batch && c->step <= last; n++) {
        payload_step(&c->out, c->dialect, &c->settings, c->step++);
        if (c->step == 1 && c->settings.interval_us) break;
        if (c->step == last) payload_step(&c->out, c->dialect, &c->settings, c->step++);
    }
    c->streams = c->step <= last;
}

/* The time for the next bytes of the answer has come. */
static void go_on(struct connection *c) {
    if (c->answers) {
        c->answers = false;
        payload_answer(&c->out, c->dialect, &c->settings);
        if (flush(c) == ALL) serve(c);
        return;
    }
    uint64_t due = now_ns();
    for (int n = 0; n < STEPS_PER_TURN && c->streams; n++) {
        compose_write(c);
        if (flush(c) != ALL) return; /* gone, or resumed by EPOLLOUT */
        if (!c->settings.interval_us) continue;
        due = c->began + (uint64_t)(c->settings.first_us + (c->step - 1) * c->settings.interval_us) * 1000;
        if (due > now_ns()) break;
    }
    if (c->streams) timer_set(&timers, &c->timer, due);
    else serve(c);
}

static void say(struct connection *c, int status, bool has_body, const char *body) {
    char head[256];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                     status, status == 200 ? "OK" : "Not Found", strlen(body));
    append(&c->out, head, (size_t)n);
    if (has_body) append(&c->out, body, strlen(body));
    flush(c);
}

static void change_settings(char *query) {
    struct { const char *name; int *value; } numbers[] = {
        {"chunks", &settings.chunks}, {"tool_chunks", &settings.tool_chunks}, {"text", &settings.text},
        {"batch", &settings.batch}, {"answer", &settings.answer},
    };
    for (char *rest, *pair = strtok_r(query, "&", &rest); pair; pair = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(pair, '=');
        if (!value) continue;
        *value++ = 0;
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            if (!strcmp(pair, numbers[i].name)) *numbers[i].value = atoi(value);
        if (!strcmp(pair, "interval_us")) settings.interval_us = atol(value);
        if (!strcmp(pair, "first_us")) settings.first_us = atol(value);
    }
    if (settings.batch < 1) settings.batch = 1;
    payload_build(&settings);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static void begin_answer(struct connection *c, enum dialect dialect, bool streams) {
    c->dialect = dialect;
    c->settings = settings;
    c->began = now_ns();
    c->step = 0;
    c->streams = streams;
    c->answers = !streams;
    served.streams += streams;
    if (settings.first_us) timer_set(&timers, &c->timer, c->began + (uint64_t)settings.first_us * 1000);
    else go_on(c);
}

static void handle(struct connection *c, struct request *r) {
    bool has_body = r->method != 'H';
    char text[512];
    served.requests++;
    served.bytes_in += r->body_length;
    if (!strcmp(r->path, "/__ctl")) {
        change_settings(r->query);
        say(c, 200, has_body, "{}");
    } else if (!strcmp(r->path, "/__stats")) {
        snprintf(text, sizeof text, "{\"requests\":%lu,\"streams\":%lu,\"connections\":%lu,\"bytes_in\":%lu}",
                 served.requests, served.streams, served.connections, served.bytes_in);
        say(c, 200, has_body, text);
    } else if (ends_with(r->path, "/messages")) {
        begin_answer(c, ANTHROPIC, r->streams);
    } else if (ends_with(r->path, "/chat/completions")) {
        begin_answer(c, OPENAI, r->streams);
    } else if (ends_with(r->path, "/count_tokens")) {
        say(c, 200, has_body, "{\"input_tokens\":20123}");
    } else if (ends_with(r->path, "/models")) {
        say(c, 200, has_body, "{\"object\":\"list\",\"data\":[{\"id\":\"claude-bench\",\"object\":\"model\",\"type\":\"model\"}]}");
    } else if (!strcmp(r->path, "/health")) {
        say(c, 200, has_body, "{\"status\":\"ok\"}");
    } else {
        say(c, 404, has_body, "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"no such path\"}}");
    }
}

/* Serve the whole requests that have come, one after the other. */
static void serve(struct connection *c) {
    int fd = c->fd;
    while (connections[fd] == c && !c->streams && !c->answers && c->out.length == c->written) {
        struct request r;
        if (!request_read(&c->in, &r)) {
            hang_up(c);
            return;
        }
        if (!r.length) {
            if (r.wants_continue) send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
            return;
        }
        c->in.length -= r.length; /* consumed before it is answered */
        memmove(c->in.bytes, c->in.bytes + r.length, c->in.length);
        handle(c, &r);
    }
}

static void take_connections(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        connections[fd] = c;
        served.connections++;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

/* Read what there is. Returns false when the peer is gone. */
static bool fill(struct connection *c) {
    for (;;) {
        reserve(&c->in, READ_SIZE);
        ssize_t n = recv(c->fd, c->in.bytes + c->in.length, c->in.capacity - c->in.length, 0);
        if (n > 0) {
            c->in.length += (size_t)n;
            if (n < READ_SIZE) return true;
        } else if (n == 0 || errno != EINTR) {
            return n < 0 && errno == EAGAIN;
        }
    }
}

static void on_event(struct connection *c, uint32_t events) {
    int fd = c->fd;
    if (events & EPOLLOUT && flush(c) == ALL) {
        if (c->streams && !c->timer.slot) timer_set(&timers, &c->timer, now_ns());
        else if (!c->streams) serve(c);
    }
    if (connections[fd] != c || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))) return;
    if (fill(c)) serve(c);
    else hang_up(c);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(fd, (void *)&address, size) || listen(fd, 4096)) die("listen");
    if (getsockname(fd, (void *)&address, &size)) die("getsockname");
    printf("{\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    payload_build(&settings);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct timespec wait = {0};
        uint64_t now = now_ns();
        if (timers.count && timers.heap[1]->due > now) wait = as_timespec(timers.heap[1]->due - now);
        int n = epoll_pwait2(epoll_fd, events, 256, timers.count ? &wait : NULL, NULL);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) take_connections(listener);
            else if (connections[fd]) on_event(connections[fd], events[i].events);
        }
        now = now_ns();
        for (int k = 0; k < 4096 && timers.count && timers.heap[1]->due <= now; k++) {
            struct connection *c = (struct connection *)timers.heap[1];
            timer_clear(&timers, &c->timer);
            go_on(c);
        }
    }
}
