/* Closed-loop HTTP/1.1 load generator for LLM proxies on 127.0.0.1: one thread, one epoll loop.
 *
 *   loadgen -u http://127.0.0.1:PORT/v1/messages -b BODY.json [options]
 *     -c N      connections, each of which sends its next request when the last answer is whole (1)
 *     -d S, -w S    seconds to measure (3), and to warm up before that (0.3)
 *     -H 'name: value'    a header; may be repeated
 *     -m TEXT   the last 4 KiB of every answer must hold it, else the answer counts as bad
 *     -S N      every answer must hold N time marks "@T<19 digits>;", the upstream's clock when it
 *               wrote the delta; arrival less mark is the delay of that delta
 *     -g US     connection number i starts i * US later
 *     -r RATE   requests per second over all connections; latency then counts from the due time
 *     -t S      time-out of one answer (60)
 *
 * Prints one JSON object; times in microseconds.
 */
#define _GNU_SOURCE
#include "answer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_NS 100000000ull
#define MAX_FAILURES 2000

struct connection {
    enum { IDLE, WAITING, BUSY } state;
    int fd;
    bool is_fresh, waits_for_room; /* fresh: has not carried an answer yet */
    uint64_t due, began;
    size_t sent;
    struct answer answer;
};

static struct {
    const char *url, *body, *must_hold;
    int connections, marks;
    double seconds, warm_up, rate, timeout;
    uint64_t stagger_ns;
    struct buffer headers;
} options = {.connections = 1, .marks = -1, .seconds = 3, .warm_up = 0.3, .timeout = 60};

static struct buffer request;
static struct sockaddr_in address;
static struct connection *connections;
static int epoll_fd, waiting;
static bool stopping;
static uint64_t measure_from, measure_until, next_due;
static unsigned long measured, finished, bad, errors, connect_errors, reconnects;
static struct samples latency, first_byte, first_mark, delay;
static int bad_status;
static char bad_sample[301];

static void watch(struct connection *c, int operation, bool room) {
    struct epoll_event e = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, operation, c->fd, &e);
    c->waits_for_room = room;
}

static bool dial(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (void *)&address, sizeof address)) {
        connect_errors++;
        close(c->fd);
        c->fd = -1;
        return false;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(c, EPOLL_CTL_ADD, false);
    c->is_fresh = true;
    return true;
}

static void hang_up(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static bool send_rest(struct connection *c) {
    while (c->sent < request.length) {
        ssize_t n = send(c->fd, request.bytes + c->sent, request.length - c->sent, MSG_NOSIGNAL);
        if (n >= 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!c->waits_for_room) watch(c, EPOLL_CTL_MOD, true);
            return true;
        } else if (errno != EINTR) {
            return false;
        }
    }
    if (c->waits_for_room) watch(c, EPOLL_CTL_MOD, false);
    return true;
}

static void begin(struct connection *c, uint64_t at) {
    for (int attempt = 0; attempt < 3; attempt++) {
        if (c->fd < 0 && !dial(c)) {
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
            continue;
        }
        c->state = BUSY;
        c->began = at;
        c->sent = 0;
        answer_reset(&c->answer);
        if (send_rest(c)) return;
        hang_up(c);
        reconnects++;
    }
    c->state = IDLE;
    errors++;
    finished++;
    if (errors > MAX_FAILURES) stopping = true;
}

static void wait_until(struct connection *c, uint64_t due) {
    c->state = WAITING;
    c->due = due;
    waiting++;
}

static void next_request(struct connection *c) {
    uint64_t now = now_ns();
    c->state = IDLE;
    if (now >= measure_until) stopping = true;
    if (stopping) return;
    if (options.rate <= 0) {
        begin(c, now);
        return;
    }
    uint64_t due = next_due;
    next_due += (uint64_t)(1e9 / options.rate);
    if (due > now) wait_until(c, due);
    else begin(c, due);
}

static void note_bad(const struct answer *a) {
    if (bad++) return;
    bad_status = a->status;
    size_t n = a->tail_length < sizeof bad_sample - 1 ? a->tail_length : sizeof bad_sample - 1;
    memcpy(bad_sample, a->tail + a->tail_length - n, n);
    for (char *c = bad_sample; *c; c++)
        if (*c < 32 || *c > 126 || *c == '"' || *c == '\\') *c = '\'';
}

static void finish(struct connection *c, bool is_whole) {
    const struct answer *a = &c->answer;
    uint64_t now = now_ns();
    finished++;
    if (!is_whole) {
        errors++;
    } else if (a->status != 200 || (options.marks >= 0 && a->marks != options.marks) ||
               (options.must_hold && !answer_tail_holds(a, options.must_hold))) {
        note_bad(a);
    } else if (now >= measure_from) { /* by its end: a slow target's first answers count too */
        measured++;
        sample(&latency, now - c->began);
        sample(&first_byte, a->first_byte - c->began);
        if (a->first_mark) sample(&first_mark, a->first_mark - c->began);
    }
    if (!is_whole || a->closes) hang_up(c);
    c->is_fresh = false;
    if (errors + bad > MAX_FAILURES) stopping = true;
    next_request(c);
}

static void on_closed(struct connection *c) {
    if (c->state != BUSY) {
        hang_up(c);
    } else if (answer_ends_by_close(&c->answer)) {
        finish(c, true);
    } else if (!c->is_fresh && c->answer.head_length == 0) { /* kept alive here, closed there */
        hang_up(c);
        reconnects++;
        begin(c, c->began);
    } else {
        finish(c, false);
    }
}

static void on_event(struct connection *c, uint32_t events) {
    static char bytes[1 << 18];
    if (c->fd < 0) return;
    if (events & EPOLLOUT && c->state == BUSY && !send_rest(c)) {
        finish(c, false);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        on_closed(c);
    } else if (c->state == BUSY) {
        uint64_t now = now_ns();
        int done = answer_feed(&c->answer, bytes, (size_t)n, now, now >= measure_from ? &delay : NULL);
        if (done) finish(c, done > 0);
    }
}

/* Begin what is due and drop what takes too long. Returns when the next request is due, 0 for none;
 * sets *busy to the connections that are under way or will be. */
static uint64_t look_around(uint64_t now, int *busy) {
    uint64_t soonest = 0;
    *busy = 0;
    for (int i = 0; i < options.connections; i++) {
        struct connection *c = &connections[i];
        if (c->state == WAITING && (stopping || now >= measure_until)) {
            c->state = IDLE;
            waiting--;
        } else if (c->state == WAITING && c->due <= now) {
            waiting--;
            begin(c, options.rate > 0 ? c->due : now);
        } else if (c->state == BUSY && now > c->began + (uint64_t)(options.timeout * 1e9)) {
            finish(c, false);
        }
        *busy += c->state != IDLE;
        if (c->state == WAITING && (!soonest || c->due < soonest)) soonest = c->due;
    }
    return soonest;
}

static void run(void) {
    struct epoll_event events[256];
    uint64_t looked = 0, soonest = 0;
    for (;;) {
        uint64_t now = now_ns();
        int busy = 1;
        if (stopping || waiting || now > looked + TICK_NS) {
            soonest = look_around(now, &busy);
            looked = now;
        }
        if (!busy) return;
        struct timespec wait = as_timespec(TICK_NS);
        now = now_ns();
        if (soonest && soonest < now + TICK_NS) wait = as_timespec(soonest > now ? soonest - now : 0);
        int n = epoll_pwait2(epoll_fd, events, 256, &wait, NULL);
        for (int i = 0; i < n; i++) on_event(events[i].data.ptr, events[i].events);
    }
}

static void read_options(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "u:b:c:d:w:H:m:S:g:r:t:")) != -1) switch (option) {
        case 'u': options.url = optarg; break;
        case 'b': options.body = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 'd': options.seconds = atof(optarg); break;
        case 'w': options.warm_up = atof(optarg); break;
        case 'm': options.must_hold = optarg; break;
        case 'S': options.marks = atoi(optarg); break;
        case 'g': options.stagger_ns = strtoull(optarg, NULL, 10) * 1000; break;
        case 'r': options.rate = atof(optarg); break;
        case 't': options.timeout = atof(optarg); break;
        case 'H':
            append(&options.headers, optarg, strlen(optarg));
            append(&options.headers, "\r\n", 2);
            break;
        default: exit(2);
        }
}

static void compose_request(void) {
    char host[64], path[512], head[1024];
    int port;
    if (!options.url || !options.body ||
        sscanf(options.url, "http://%63[^:/]:%d%511s", host, &port, path) != 3 || strncmp(host, "127.", 4)) {
        fprintf(stderr, "loadgen: needs -u http://127.0.0.1:PORT/path -b BODY.json\n");
        exit(2);
    }
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    FILE *file = fopen(options.body, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(options.body);
    size_t size = (size_t)ftell(file);
    rewind(file);
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nhost: %s:%d\r\n"
                     "content-type: application/json\r\ncontent-length: %zu\r\n", path, host, port, size);
    append(&request, head, (size_t)n);
    append(&request, options.headers.bytes, options.headers.length);
    append(&request, "\r\n", 2);
    reserve(&request, size);
    if (fread(request.bytes + request.length, 1, size, file) != size) die(options.body);
    request.length += size;
    fclose(file);
}

static void report(uint64_t ended) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    double span = (double)(ended - measure_from) / 1e9;
    printf("{\"requests\":%lu,\"all\":%lu,\"bad\":%lu,\"errors\":%lu,\"connect_errors\":%lu,\"reconnects\":%lu,"
           "\"seconds\":%.4f,\"rps\":%.2f,\"loadgen_cpu_s\":%.3f,\"request_bytes\":%zu",
           measured, finished, bad, errors, connect_errors, reconnects, span, (double)measured / span, cpu_s,
           request.length);
    samples_print("latency", &latency);
    samples_print("first_byte", &first_byte);
    samples_print("first_mark", &first_mark);
    samples_print("delay", &delay);
    if (bad) printf(",\"bad_status\":%d,\"bad_sample\":\"%s\"", bad_status, bad_sample);
    printf("}\n");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    compose_request();
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){65536, 65536});
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)options.connections, sizeof *connections);
    if (!connections) die("calloc");
    uint64_t now = now_ns();
    measure_from = now + (uint64_t)(options.warm_up * 1e9);
    measure_until = measure_from + (uint64_t)(options.seconds * 1e9);
    next_due = now;
    for (int i = 0; i < options.connections; i++) {
        connections[i].fd = -1;
        if (options.stagger_ns) wait_until(&connections[i], now + (uint64_t)i * options.stagger_ns);
        else next_request(&connections[i]);
    }
    run();
    report(now_ns());
    return 0;
}
