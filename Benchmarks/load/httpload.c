// SignalBox: load over Server-Sent Events and long polling: one client broadcasts, all receive, one line of JSON tells the cost
// SPDX-License-Identifier: Apache-2.0
//
// One thread, epoll, libc only:  gcc -O2 -Wall -Wextra -o httpload httpload.c
//   httpload --mode sse|poll --path /chat --port 5000 --conns 1000 --window 1 --server-pid PID
// Every client holds one connection: its event stream, or its poll. Negotiate, the hub handshake and the broadcasts are POSTs on a
// few connections that all clients share, as browsers share theirs. `window` broadcasts are outstanding at any time.
// It talks to 127.0.0.1 only, everything it buffers or repeats is bounded, and it ends by itself (--max-time).
// The result has the keys of wsload's. Exit status: 0 clean, 2 misuse, 3 not connected, 4 something was lost or wrong, 5 out of time.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { MODE_SSE, MODE_POLL };
static const char *const mode_names[] = {"sse", "poll"};

static struct {
    int mode, port, server_pid, quiet, spin;
    const char *path, *target, *label;
    char headers[2048];
    u32 conns, window, payload;
    double duration, warmup, settle, drain, connect_timeout, max_time;
} o = {
    .mode = -1, .port = 8080, .path = "/", .target = "Broadcast", .label = "", .conns = 100, .window = 1, .payload = 128,
    .duration = 5, .warmup = 1, .settle = 0.5, .drain = 2, .connect_timeout = 120, .max_time = 300,
};

#define MAX_ATTEMPTS 4
#define MAX_SETTING_UP 256       // clients in the making at a time
#define MAX_UNREAD (4u << 20)    // bytes of one answer or event
#define MAX_TOKEN 256
#define CONNS_PER_SOURCE 8000    // ports of one source address

// ---------------------------------------------------------------- small things

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static void die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("httpload: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(2);
}

static void *allocate(void *old, size_t count)
{
    void *made = realloc(old, count);
    if (!made) die("out of memory (%zu bytes)", count);
    return made;
}

struct bytes { size_t count, room; u8 data[]; };

static struct bytes *append(struct bytes *b, const void *p, size_t n)
{
    size_t count = b ? b->count : 0;
    if (!b || b->room - count < n) {
        size_t room = count + n < 256 ? 256 : 2 * (count + n);
        b = allocate(b, sizeof *b + room);
        b->room = room;
    }
    memcpy(b->data + count, p, n);
    b->count = count + n;
    return b;
}

// Times in buckets of 1/128 of their size.
#define SUB 128
static struct histogram { u64 count, sum, least, most, bucket[58 * SUB]; } latency;

static void record(struct histogram *h, u64 value)
{
    int shift = value < SUB ? 0 : 63 - __builtin_clzll(value) - 6;
    if (!h->count || value < h->least) h->least = value;
    if (value > h->most) h->most = value;
    h->count++;
    h->sum += value;
    h->bucket[(size_t)shift * SUB / 2 + (value >> shift)]++;
}

static double percentile(const struct histogram *h, double percent)
{
    u64 wanted = (u64)(percent / 100 * (double)h->count + 0.5), seen = 0;
    for (size_t i = 0; i < sizeof h->bucket / sizeof *h->bucket; i++) {
        seen += h->bucket[i];
        if (!h->bucket[i] || seen < wanted) continue;
        size_t shift = i < SUB ? 0 : i / (SUB / 2) - 1;
        double value = (double)((i - shift * SUB / 2) << shift) + (double)((1ull << shift) - 1) / 2;
        return value < (double)h->most ? value : (double)h->most;
    }
    return 0;
}

// ---------------------------------------------------------------- connections

enum role { CLIENT, CONTROL };
enum client_state { NEW, NEGOTIATING, OPENING, GREETING, READY, GONE };
enum job_kind { NO_JOB, NEGOTIATE, GREET, PUBLISH };

struct job { u32 client; u8 kind, attempt; };

struct conn {
    int fd;
    u32 generation;             // of the socket, so that late events of the one before are known
    u8 role, state, attempt, is_stream;
    u32 received;               // deliveries
    struct job job;             // of a control connection
    struct bytes *in, *out;     // an incomplete answer; what the socket did not take yet
    struct bytes *event;        // an incomplete event
    char token[MAX_TOKEN];
};

static struct conn *conns;      // the clients, then the control connections
static u32 control_count, *idle_controls, idle_count;
static struct job *jobs;        // a ring of what waits for a control connection
static u64 jobs_in, jobs_out;
static u32 jobs_room;
static u32 started, setting_up, ready_count;
static int epoll, is_ending;
static u8 *scratch, *joined;    // for reading; for events of several lines
static char *request;           // for writing
static size_t request_room;
static u8 *invocation;          // the body of a broadcast
static size_t invocation_length, stamp_at;
static const char mark[9] = "httpload";
#define STAMP 24                // the mark and 16 digits of time

static struct counters {
    u64 sent, deliveries, polls, empty_polls, bytes_in, bytes_out, reads, pings, closed, failed, retries, bad_replies, bad_protocol,
        bad_payloads, stalls;
} g;
static u64 measured_from, measured_to, written_off;
static char first_error[200];

static void complain(const char *format, ...)
{
    if (*first_error) return;
    va_list list;
    va_start(list, format);
    vsnprintf(first_error, sizeof first_error, format, list);
    va_end(list);
    if (!o.quiet) fprintf(stderr, "httpload: %s\n", first_error);
}

static u32 index_of(const struct conn *c) { return (u32)(c - conns); }
static int is_measuring(void) { return measured_from && !measured_to; }

static void forget_socket(struct conn *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->generation++;
    c->is_stream = 0;
    free(c->in);
    free(c->out);
    free(c->event);
    c->in = c->out = c->event = NULL;
}

static void enqueue(u32 client, u8 kind)
{
    if (jobs_in - jobs_out == jobs_room) die("too many requests wait"); // a client has one, and a stale one per attempt
    jobs[jobs_in++ % jobs_room] = (struct job){client, kind, conns[client].attempt};
}

static void set_up(struct conn *c)
{
    c->state = NEGOTIATING;
    enqueue(index_of(c), NEGOTIATE);
}

static void client_lost(struct conn *c, const char *why)
{
    if (c->state == GONE || is_ending) return;
    int was_ready = c->state == READY;
    forget_socket(c);
    if (was_ready) {
        complain("client %u lost its connection: %s", index_of(c), why);
        c->state = GONE;
        ready_count--;
        g.closed++;
        return;
    }
    complain("client %u failed in state %d: %s", index_of(c), c->state, why);
    if (++c->attempt < MAX_ATTEMPTS) {
        g.retries++;
        set_up(c);
    } else {
        c->state = GONE;
        setting_up--;
        g.failed++;
    }
}

static void control_done(struct conn *c)
{
    c->job.kind = NO_JOB;
    idle_controls[idle_count++] = index_of(c);
}

static int is_current(const struct job *job) { return conns[job->client].attempt == job->attempt; }

static void control_lost(struct conn *c, const char *why)
{
    struct job job = c->job;
    forget_socket(c);
    if (job.kind == NO_JOB || is_ending) return;
    control_done(c);
    if (job.kind == PUBLISH) {
        g.bad_replies++;
        complain("a broadcast was not answered: %s", why);
    } else if (is_current(&job)) {
        client_lost(&conns[job.client], why);
    }
}

static void lost(struct conn *c, const char *why)
{
    if (c->role == CLIENT) client_lost(c, why);
    else control_lost(c, why);
}

static void open_socket(struct conn *c)
{
    int one = 1;
    struct linger reset = {1, 0}; // leaves no TIME_WAIT behind
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (o.conns > CONNS_PER_SOURCE) {
        struct sockaddr_in from = {
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index_of(c) / CONNS_PER_SOURCE)};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = (u64)c->generation << 32 | index_of(c)};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) lost(c, strerror(errno));
}

static void flush(struct conn *c)
{
    if (!c->out) return;
    ssize_t n = send(c->fd, c->out->data, c->out->count, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ENOTCONN) lost(c, strerror(errno));
        return;
    }
    memmove(c->out->data, c->out->data + n, c->out->count - (size_t)n);
    c->out->count -= (size_t)n;
    if (c->out->count) return;
    free(c->out);
    c->out = NULL;
}

// Only ever one request is unanswered on a connection, which bounds what can be unsent.
static void send_bytes(struct conn *c, const void *p, size_t n)
{
    g.bytes_out += n;
    if (c->fd < 0) {
        c->out = append(c->out, p, n);
        open_socket(c);
        return;
    }
    ssize_t sent = c->out ? 0 : send(c->fd, p, n, MSG_NOSIGNAL);
    if (sent == (ssize_t)n) return;
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) return lost(c, strerror(errno));
        sent = 0;
    }
    c->out = append(c->out, (const u8 *)p + sent, n - (size_t)sent);
}

// ---------------------------------------------------------------- requests

static void get(struct conn *c)
{
    int n = snprintf(
        request, request_room, "GET %s?id=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: %s\r\n%s\r\n", o.path, c->token, o.port,
        o.mode == MODE_SSE ? "text/event-stream" : "*/*", o.headers);
    if (o.mode == MODE_POLL) g.polls++;
    send_bytes(c, request, (size_t)n);
}

static void post(struct conn *c, const char *suffix, const char *query, const char *token, const void *body, size_t length)
{
    int n = snprintf(
        request, request_room, "POST %s%s?%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: text/plain;charset=UTF-8\r\n"
        "Content-Length: %zu\r\n%s\r\n", o.path, suffix, query, token, o.port, length, o.headers);
    memcpy(request + n, body, length);
    send_bytes(c, request, (size_t)n + length);
}

static void stamp(u64 time)
{
    for (int i = 15; i >= 0; i--, time >>= 4) invocation[stamp_at + 8 + (size_t)i] = (u8) "0123456789abcdef"[time & 15];
}

static void run(struct conn *control, struct job job)
{
    static const char greeting[] = "{\"protocol\":\"json\",\"version\":1}\x1e";
    control->job = job;
    switch (job.kind) {
    case NEGOTIATE: return post(control, o.path[strlen(o.path) - 1] == '/' ? "negotiate" : "/negotiate", "negotiateVersion=1", "", "", 0);
    case GREET: return post(control, "", "id=", conns[job.client].token, greeting, sizeof greeting - 1);
    case PUBLISH:
        stamp(now_ns());
        g.sent++;
        return post(control, "", "id=", conns[job.client].token, invocation, invocation_length);
    }
}

static void run_jobs(void)
{
    while (started < o.conns && setting_up < MAX_SETTING_UP) {
        setting_up++;
        set_up(&conns[started++]);
    }
    while (jobs_out < jobs_in && idle_count) {
        struct job job = jobs[jobs_out++ % jobs_room];
        if (is_current(&job)) run(&conns[idle_controls[--idle_count]], job);
    }
}

// ---------------------------------------------------------------- hub messages

static u64 read_stamp(const u8 *p)
{
    u64 value = 0;
    for (int i = 0; i < 16; i++) value = value << 4 | (u64)((p[i] & 15) + (p[i] > '9' ? 9 : 0));
    return value;
}

static void greeted(struct conn *c, const u8 *p, size_t n)
{
    if (n != 2 || memcmp(p, "{}", 2)) return client_lost(c, "the handshake was refused");
    c->state = READY;
    setting_up--;
    ready_count++;
}

static void other_message(const u8 *p, size_t n)
{
    const u8 *type = memmem(p, n, "\"type\":", 7);
    int kind = type && type + 7 < p + n ? type[7] : 0;
    if (kind == '6') {
        g.pings++;
    } else if (kind == '7') {
        complain("the server closes: %.*s", (int)(n < 120 ? n : 120), p);
    } else if (kind == '3') {
        g.bad_replies++;
        complain("an unexpected completion: %.*s", (int)(n < 120 ? n : 120), p);
    } else {
        g.bad_protocol++;
        complain("no hub message: %.*s", (int)(n < 120 ? n : 120), p);
    }
}

// A whole hub message without its separator.
static void take_message(struct conn *c, const u8 *p, size_t n, u64 now)
{
    static size_t guess; // where the mark was last time
    if (c->state == GREETING) return greeted(c, p, n);
    if (c->state != READY) return;
    if (guess + o.payload > n || memcmp(p + guess, mark, 8)) {
        const u8 *found = memmem(p, n, mark, 8);
        if (!found || (size_t)(found - p) + o.payload > n) return other_message(p, n);
        guess = (size_t)(found - p);
    }
    p += guess;
    if (memcmp(p + STAMP, invocation + stamp_at + STAMP, o.payload - STAMP)) {
        g.bad_payloads++;
        complain("a payload came back changed");
    }
    c->received++;
    g.deliveries++;
    u64 sent = read_stamp(p + 8);
    if (is_measuring() && sent >= measured_from && sent <= now) record(&latency, now - sent);
}

// Whole messages, each with its separator.
static void take_messages(struct conn *c, const u8 *p, size_t n, u64 now)
{
    u32 generation = c->generation;
    while (n && c->generation == generation) {
        const u8 *end = memchr(p, 0x1e, n);
        if (!end) {
            g.bad_protocol++;
            complain("part of a hub message: %.*s", (int)(n < 120 ? n : 120), p);
            return;
        }
        take_message(c, p, (size_t)(end - p), now);
        n -= (size_t)(end - p) + 1;
        p = end + 1;
    }
}

// ---------------------------------------------------------------- HTTP answers

struct answer { int status, closes, is_chunked, is_event_stream; size_t head, body, total; };

static int has_name(const u8 *line, const u8 *colon, const char *name)
{
    return (size_t)(colon - line) == strlen(name) && !strncasecmp((const char *)line, name, strlen(name));
}

static int has_value(const u8 *value, const u8 *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - value) >= n && !strncasecmp((const char *)value, word, n);
}

// The results of the parsers: how it went.
enum { INVALID = -1, PARTIAL, WHOLE };

static int parse_head(const u8 *p, size_t n, struct answer *a)
{
    *a = (struct answer){0};
    if (n >= 9 && memcmp(p, "HTTP/1.1 ", 9)) return INVALID;
    const u8 *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end) return n > 32768 ? INVALID : PARTIAL;
    if (end - p < 12) return INVALID;
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') return INVALID;
        a->status = 10 * a->status + p[i] - '0';
    }
    a->head = (size_t)(end - p) + 4;
    for (const u8 *line = memchr(p, '\n', a->head); line && ++line < end;) {
        const u8 *stop = memmem(line, a->head - (size_t)(line - p), "\r\n", 2), *colon = memchr(line, ':', (size_t)(stop - line));
        if (!colon) return INVALID;
        const u8 *value = colon + 1;
        while (value < stop && *value == ' ') value++;
        if (has_name(line, colon, "content-length")) {
            for (; value < stop; value++) {
                if (*value < '0' || *value > '9' || a->body > MAX_UNREAD) return INVALID;
                a->body = 10 * a->body + (size_t)(*value - '0');
            }
        } else if (has_name(line, colon, "transfer-encoding")) {
            a->is_chunked = has_value(value, stop, "chunked");
        } else if (has_name(line, colon, "connection")) {
            a->closes = has_value(value, stop, "close");
        } else if (has_name(line, colon, "content-type")) {
            a->is_event_stream = has_value(value, stop, "text/event-stream");
        }
        line = stop + 1;
    }
    a->total = a->head + a->body;
    return WHOLE;
}

// One chunk at p: where its payload is, and where the next one starts.
static int parse_chunk(const u8 *p, size_t n, size_t *payload, size_t *length, size_t *next)
{
    size_t size = 0, i = 0;
    for (; i < n && p[i] != '\r'; i++) {
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : (p[i] | 32) >= 'a' && (p[i] | 32) <= 'f' ? (p[i] | 32) - 'a' + 10 : -1;
        if (digit < 0 || size > MAX_UNREAD) return INVALID;
        size = 16 * size + (size_t)digit;
    }
    if (size > MAX_UNREAD) return INVALID;
    if (i + 1 >= n) return PARTIAL;
    if (i == 0 || p[i + 1] != '\n') return INVALID;
    *payload = i + 2;
    *length = size;
    *next = *payload + size + 2;
    if (n < *next) return PARTIAL;
    return memcmp(p + *payload + size, "\r\n", 2) ? INVALID : WHOLE;
}

// A whole answer; a body of chunks is joined in place.
static int parse_answer(u8 *p, size_t n, struct answer *a)
{
    int result = parse_head(p, n, a);
    if (result != WHOLE) return result;
    if (a->status == 204) {
        a->body = 0;
        a->total = a->head;
    } else if (a->is_chunked) {
        size_t payload, length, next;
        for (size_t at = a->head;; at += next) { // first whether all is there
            if ((result = parse_chunk(p + at, n - at, &payload, &length, &next)) != WHOLE) return result;
            a->total = at + next;
            if (!length) break;
        }
        a->body = 0;
        for (size_t at = a->head; parse_chunk(p + at, n - at, &payload, &length, &next) == WHOLE && length; at += next) {
            memmove(p + a->head + a->body, p + at + payload, length);
            a->body += length;
        }
    }
    return n < a->total ? PARTIAL : WHOLE;
}

static void negotiated(struct conn *client, const u8 *body, size_t n)
{
    static const char key[] = "\"connectionToken\":\"";
    const u8 *token = memmem(body, n, key, sizeof key - 1), *end = NULL;
    if (token) {
        token += sizeof key - 1;
        end = memchr(token, '"', n - (size_t)(token - body));
    }
    size_t length = end ? (size_t)(end - token) : 0;
    if (!length || length >= MAX_TOKEN) return client_lost(client, "negotiate gave no token");
    static const char plain[] = "-_.~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"; // what a query takes as it is
    for (size_t i = 0; i < length; i++)
        if (!memchr(plain, token[i], sizeof plain - 1)) return client_lost(client, "an odd token");
    memcpy(client->token, token, length);
    client->token[length] = 0;
    client->state = OPENING;
    get(client);
}

static void control_answered(struct conn *c, const struct answer *a, const u8 *body)
{
    struct job job = c->job;
    if (a->closes) forget_socket(c);
    control_done(c);
    char why[120];
    snprintf(why, sizeof why, "%s answered %d", job.kind == NEGOTIATE ? "negotiate" : "a POST was", a->status);
    if (job.kind == PUBLISH) {
        if (a->status == 200) return;
        g.bad_replies++;
        complain("%s", why);
    } else if (is_current(&job)) {
        struct conn *client = &conns[job.client];
        if (a->status != 200) client_lost(client, why);
        else if (job.kind == NEGOTIATE) negotiated(client, body, a->body);
    }
}

static void opened(struct conn *c)
{
    c->state = GREETING;
    enqueue(index_of(c), GREET);
}

static void poll_answered(struct conn *c, const struct answer *a, const u8 *body, u64 now)
{
    char why[60];
    snprintf(why, sizeof why, "a poll was answered %d", a->status);
    if (a->status != 200) return client_lost(c, why);
    if (a->closes) forget_socket(c);
    get(c); // first, so that no time is lost
    if (c->state == OPENING) {
        if (a->body) g.bad_protocol++; // clients discard what the first poll brings
        return opened(c);
    }
    if (!a->body) g.empty_polls++;
    take_messages(c, body, a->body, now);
}

// ---------------------------------------------------------------- event streams

// Whole lines up to a blank one are an event. Returns what is used up.
static size_t take_event(struct conn *c, const u8 *p, size_t n, u64 now)
{
    const u8 *data = NULL, *line = p, *newline;
    size_t length = 0;
    for (; (newline = memchr(line, '\n', n - (size_t)(line - p))); line = newline + 1) {
        size_t count = (size_t)(newline - line);
        if (count && line[count - 1] == '\r') count--;
        if (!count) {
            if (data) take_messages(c, data, length, now);
            return (size_t)(newline + 1 - p);
        }
        if (count < 5 || memcmp(line, "data:", 5)) continue; // a comment, or a field of no interest here
        const u8 *value = line + 5;
        if ((count -= 5) && *value == ' ') value++, count--;
        if (data) { // lines are joined by a line feed; together they are shorter than the event
            if (data != joined) memcpy(joined, data, length);
            joined[length++] = '\n';
            memcpy(joined + length, value, count);
            data = joined;
        } else {
            data = value;
        }
        length += count;
    }
    return 0;
}

static void take_text(struct conn *c, const u8 *p, size_t n, u64 now)
{
    struct bytes *all = c->event;
    u32 generation = c->generation;
    c->event = NULL;
    if (all) {
        all = append(all, p, n);
        p = all->data;
        n = all->count;
    }
    size_t used = 0, step = 1;
    while (used < n && step && c->generation == generation) used += step = take_event(c, p + used, n - used, now);
    if (c->generation == generation && used < n) {
        if (n - used > MAX_UNREAD) client_lost(c, "an event is too long");
        else c->event = append(NULL, p + used, n - used);
    }
    free(all);
}

// ---------------------------------------------------------------- reading

// One answer or chunk. Returns how it went and what is used up.
static int take(struct conn *c, u8 *p, size_t n, size_t *used, u64 now)
{
    struct answer a;
    size_t payload, length;
    int result;
    if (c->is_stream) {
        if ((result = parse_chunk(p, n, &payload, &length, used)) != WHOLE) return result;
        if (length) take_text(c, p + payload, length, now);
        else client_lost(c, "the stream ended");
        return WHOLE;
    }
    if (c->role == CLIENT && o.mode == MODE_SSE) {
        if ((result = parse_head(p, n, &a)) != WHOLE) return result;
        *used = a.head;
        if (a.status != 200 || !a.is_event_stream || !a.is_chunked) {
            char why[60];
            snprintf(why, sizeof why, "the stream was answered %d", a.status);
            client_lost(c, why);
            return WHOLE;
        }
        c->is_stream = 1;
        opened(c);
        return WHOLE;
    }
    if (c->role == CONTROL && c->job.kind == NO_JOB) return INVALID;
    if ((result = parse_answer(p, n, &a)) != WHOLE) return result;
    *used = a.total;
    if (c->role == CONTROL) control_answered(c, &a, p + a.head);
    else poll_answered(c, &a, p + a.head, now);
    return WHOLE;
}

// False when the socket is gone.
static int take_all(struct conn *c, u8 *p, size_t n, u64 now)
{
    u32 generation = c->generation;
    size_t at = 0, used;
    while (at < n) {
        int result = take(c, p + at, n - at, &used, now);
        if (c->generation != generation) return 0;
        if (result == INVALID) {
            g.bad_protocol++;
            lost(c, "no valid HTTP");
            return 0;
        }
        if (result == PARTIAL) break;
        at += used;
    }
    if (n - at > MAX_UNREAD) {
        lost(c, "an answer is too long");
        return 0;
    }
    free(c->in);
    c->in = at < n ? append(NULL, p + at, n - at) : NULL;
    return 1;
}

static void on_readable(struct conn *c, int has_ended)
{
    const size_t room = 256 << 10;
    for (;;) {
        size_t kept = c->in ? c->in->count : 0;
        if (kept) memcpy(scratch, c->in->data, kept);
        ssize_t n = recv(c->fd, scratch + kept, room, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return lost(c, n ? strerror(errno) : "the server closed it");
        g.bytes_in += (u64)n;
        g.reads++;
        if (!take_all(c, scratch, kept + (size_t)n, now_ns())) return;
        if ((size_t)n < room && !has_ended) return; // nothing more, or there will be another event
    }
}

// ---------------------------------------------------------------- broadcasting

static u64 outstanding(void) { return g.sent * o.conns - g.deliveries - written_off; }

static void broadcast(u64 now)
{
    static u64 left_before, progress_at;
    while (idle_count && outstanding() + o.conns <= (u64)o.window * o.conns && conns[0].state == READY)
        run(&conns[idle_controls[--idle_count]], (struct job){0, PUBLISH, conns[0].attempt});
    u64 left = outstanding();
    if (left != left_before || !left) {
        left_before = left;
        progress_at = now;
    } else if (now - progress_at > 1000000000u) { // nothing came for a second: it is lost
        g.stalls++;
        written_off += left;
        progress_at = now;
    }
}

static void wait_for_events(int milliseconds)
{
    static struct epoll_event events[1024];
    int n = epoll_wait(epoll, events, 1024, o.spin ? 0 : milliseconds);
    for (int i = 0; i < n; i++) {
        struct conn *c = &conns[(u32)events[i].data.u64];
        u32 generation = (u32)(events[i].data.u64 >> 32), what = events[i].events;
        if (c->generation == generation && what & EPOLLOUT) flush(c);
        if (c->generation == generation && what & ~(u32)EPOLLOUT) on_readable(c, what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    }
}

static void run_for(double seconds, int broadcasts)
{
    u64 now = now_ns(), end = now + (u64)(seconds * 1e9);
    for (; now < end; now = now_ns()) {
        if (broadcasts) broadcast(now);
        u64 left = (end - now) / 1000000;
        wait_for_events(left < 10 ? (int)left : 10);
    }
}

// ---------------------------------------------------------------- what it costs

static size_t slurp(const char *path, char *text, size_t room)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, text, room - 1);
    if (file >= 0) close(file);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

struct usage { u64 ticks, rss; int processes, threads; };

static struct usage process_usage(int pid)
{
    struct usage sum = {0};
    char path[64], text[4096];
    unsigned long user, system;
    int threads;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    char *rest = slurp(path, text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %d", &user, &system, &threads) != 3)
        return sum;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    unsigned long resident = 0;
    if (slurp(path, text, sizeof text)) sscanf(text, "%*u %lu", &resident);
    return (struct usage){user + system, resident * (u64)sysconf(_SC_PAGESIZE), 1, threads};
}

struct moment { u64 at, server, own, busy, steal; struct counters counters; struct usage usage; };

// Times in microseconds, but for `at`.
static struct moment take_moment(void)
{
    struct moment m = {.counters = g};
    u64 tick = 1000000 / (u64)sysconf(_SC_CLK_TCK);
    char text[1024];
    unsigned long v[8] = {0};
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    m.own = (u64)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) * 1000000 + (u64)(own.ru_utime.tv_usec + own.ru_stime.tv_usec);
    if (o.server_pid) m.usage = process_usage(o.server_pid);
    m.server = m.usage.ticks * tick;
    if (slurp("/proc/stat", text, sizeof text))
        sscanf(text, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7);
    m.busy = (v[0] + v[1] + v[2] + v[5] + v[6]) * tick;
    m.steal = v[7] * tick;
    m.at = now_ns();
    return m;
}

static void print_text(const char *key, const char *text)
{
    printf(",\"%s\":\"", key);
    for (; *text; text++)
        if ((u8)*text >= 32 && (u8)*text < 127 && *text != '"' && *text != '\\') putchar(*text);
    putchar('"');
}

struct run { double connect_seconds; struct moment start, connected, from, to; };

static void report(const struct run *r)
{
    const struct counters *a = &r->from.counters, *b = &r->to.counters;
    double seconds = (double)(r->to.at - r->from.at) / 1e9, server = (double)(r->to.server - r->from.server);
    double own = (double)(r->to.own - r->from.own), other = (double)(r->to.busy - r->from.busy) - server - own;
    u64 deliveries = b->deliveries - a->deliveries;
    double units = deliveries ? (double)deliveries : 1;
    u32 least = ~0u, most = 0;
    for (u32 i = 0; i < o.conns; i++) {
        if (conns[i].received < least) least = conns[i].received;
        if (conns[i].received > most) most = conns[i].received;
    }
    printf("{\"tool\":\"httpload\",\"mode\":\"broadcast\",\"proto\":\"signalr-json\",\"transport\":\"%s\"", mode_names[o.mode]);
    print_text("label", o.label);
    printf(",\"conns\":%u,\"procs\":1,\"payload\":%u,\"message_bytes\":%zu", o.conns, o.payload, invocation_length);
    printf(",\"seconds\":%.3f,\"senders\":1,\"window\":%u,\"rate\":0.0,\"fanout\":%u", seconds, o.window, o.conns);
    printf(",\"sent_per_s\":%.1f", (double)(b->sent - a->sent) / seconds);
    printf(",\"deliveries\":%lu,\"deliveries_per_s\":%.0f", deliveries, (double)deliveries / seconds);
    printf(",\"missing\":%ld,\"stalls\":%lu,\"rx_min\":%u,\"rx_max\":%u", (long)(g.sent * o.conns - g.deliveries), g.stalls, least, most);
    if (o.mode == MODE_POLL)
        printf(",\"polls\":%lu,\"empty_polls\":%lu,\"deliveries_per_poll\":%.2f", b->polls - a->polls, b->empty_polls - a->empty_polls,
            b->polls > a->polls ? (double)deliveries / (double)(b->polls - a->polls) : 0);
    printf(",\"latency_us\":{\"n\":%lu,\"mean\":%.1f,\"min\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
        latency.count, latency.count ? (double)latency.sum / (double)latency.count / 1e3 : 0, (double)latency.least / 1e3,
        percentile(&latency, 50) / 1e3, percentile(&latency, 90) / 1e3, percentile(&latency, 99) / 1e3, percentile(&latency, 99.9) / 1e3,
        (double)latency.most / 1e3);
    printf(",\"connect_s\":%.3f,\"connects_per_s\":%.0f", r->connect_seconds, o.conns / r->connect_seconds);
    printf(",\"bytes_in\":%lu,\"bytes_out\":%lu", b->bytes_in - a->bytes_in, b->bytes_out - a->bytes_out);
    printf(",\"bytes_in_per_s\":%.0f,\"reads\":%lu", (double)(b->bytes_in - a->bytes_in) / seconds, b->reads - a->reads);
    printf(",\"gen_cpu_s\":%.3f,\"gen_cpu_us_per_unit\":%.3f", own / 1e6, own / units);
    if (o.server_pid) {
        const struct usage *before = &r->start.usage, *connected = &r->connected.usage, *after = &r->to.usage;
        printf(",\"server_cpu_us_per_connect\":%.2f", (double)(r->connected.server - r->start.server) / o.conns);
        printf(",\"server_cpu_s\":%.3f,\"server_cpu_us_per_unit\":%.3f", server / 1e6, server / units);
        printf(",\"server_procs\":%d,\"server_threads\":%d,\"server_rss_before\":%lu", after->processes, after->threads, before->rss);
        printf(",\"server_rss_connected\":%lu,\"server_rss_after\":%lu", connected->rss, after->rss);
        printf(",\"rss_per_conn\":%.0f", ((double)connected->rss - (double)before->rss) / o.conns);
    }
    printf(",\"other_cpu_s\":%.3f,\"steal_s\":%.3f", other / 1e6, (double)(r->to.steal - r->from.steal) / 1e6);
    printf(",\"closed\":%lu,\"failed\":%lu,\"retries\":%lu,\"err_replies\":%lu", g.closed, g.failed, g.retries, g.bad_replies);
    printf(",\"proto_errors\":%lu,\"pings_in\":%lu,\"verify_bad\":%lu", g.bad_protocol, g.pings, g.bad_payloads);
    if (*first_error) print_text("first_error", first_error);
    puts("}");
}

// ---------------------------------------------------------------- from start to end

static void usage(void)
{
    puts("usage: httpload --mode sse|poll [options]\n"
         "  --port 8080  --path /  --target Broadcast  --header 'K: v'  --conns N  --window W  --payload BYTES\n"
         "  --duration S  --warmup S  --settle S  --drain S  --connect-timeout S  --max-time S\n"
         "  --server-pid PID (one process)  --label TEXT  --quiet  --spin (never sleep)");
    exit(2);
}

static double number(const char *text, double least, double most, const char *name)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most)) die("--%s wants %g to %g", name, least, most);
    return value;
}

static void add_header(const char *line)
{
    size_t n = strlen(o.headers);
    if (strpbrk(line, "\r\n") || n + strlen(line) + 3 > sizeof o.headers) die("--header is too long, or more than a line");
    sprintf(o.headers + n, "%s\r\n", line);
}

static void parse_arguments(int count, char **words)
{
    static const char names[][16] = {
        "mode", "port", "path", "target", "header", "conns", "window", "payload", "duration", "warmup", "settle", "drain",
        "connect-timeout", "max-time", "server-pid", "label", "quiet", "spin", "help"};
    enum { N = sizeof names / sizeof *names };
    struct option known[N + 1] = {0};
    for (int i = 0; i < N; i++) known[i] = (struct option){names[i], i < N - 3, NULL, i};
    for (int k; (k = getopt_long(count, words, "", known, NULL)) != -1;) {
        const char *a = optarg, *name = k >= 0 && k < N ? names[k] : "";
        switch (k) {
        case 0: o.mode = !strcmp(a, "sse") ? MODE_SSE : !strcmp(a, "poll") ? MODE_POLL : -1; break;
        case 1: o.port = (int)number(a, 1, 65535, name); break;
        case 2: o.path = a; break;
        case 3: o.target = a; break;
        case 4: add_header(a); break;
        case 5: o.conns = (u32)number(a, 1, 100000, name); break;
        case 6: o.window = (u32)number(a, 1, 1000, name); break;
        case 7: o.payload = (u32)number(a, STAMP, 1 << 20, name); break;
        case 8: o.duration = number(a, 0.1, 3600, name); break;
        case 9: o.warmup = number(a, 0, 600, name); break;
        case 10: o.settle = number(a, 0, 600, name); break;
        case 11: o.drain = number(a, 0, 600, name); break;
        case 12: o.connect_timeout = number(a, 1, 600, name); break;
        case 13: o.max_time = number(a, 1, 7200, name); break;
        case 14: o.server_pid = (int)number(a, 1, 1 << 30, name); break;
        case 15: o.label = a; break;
        case 16: o.quiet = 1; break;
        case 17: o.spin = 1; break;
        default: usage();
        }
    }
    if (o.mode < 0 || optind < count) usage();
    if (*o.path != '/' || strpbrk(o.path, "? \r\n") || strlen(o.path) > 1024) die("--path wants a path without query");
    if (strpbrk(o.target, "\"\\") || strlen(o.target) > 1024) die("--target wants a plain name");
}

static void make_invocation(void)
{
    char head[1200];
    int n = snprintf(head, sizeof head, "{\"type\":1,\"target\":\"%s\",\"arguments\":[\"", o.target);
    stamp_at = (size_t)n;
    invocation_length = (size_t)n + o.payload + 4;
    invocation = allocate(NULL, invocation_length);
    memcpy(invocation, head, (size_t)n);
    memcpy(invocation + n, mark, 8);
    u32 random = (u32)now_ns() | 1;
    for (u32 i = STAMP; i < o.payload; i++, random = random * 1664525 + 1013904223)
        invocation[stamp_at + i] = (u8)('a' + (random >> 24) % 26);
    memcpy(invocation + stamp_at + o.payload, "\"]}\x1e", 4);
    request_room = invocation_length + sizeof o.headers + MAX_TOKEN + 2048;
    request = allocate(NULL, request_room);
}

static void make_connections(void)
{
    struct rlimit files;
    control_count = o.window > 32 ? o.window : 32;
    u32 total = o.conns + control_count;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < total + 32) die("RLIMIT_NOFILE is %lu, %u are needed", (unsigned long)files.rlim_cur, total + 32);
    conns = calloc(total, sizeof *conns);
    jobs_room = (MAX_ATTEMPTS + 1) * o.conns;
    jobs = allocate(NULL, jobs_room * sizeof *jobs);
    idle_controls = allocate(NULL, control_count * sizeof *idle_controls);
    scratch = allocate(NULL, MAX_UNREAD + (512 << 10));
    joined = allocate(NULL, 2 * MAX_UNREAD + (512 << 10));
    if (!conns) die("out of memory");
    for (u32 i = 0; i < total; i++) {
        conns[i].fd = -1;
        conns[i].role = i < o.conns ? CLIENT : CONTROL;
        if (i >= o.conns) idle_controls[idle_count++] = i;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1: %s", strerror(errno));
}

static void give_up(int signal)
{
    (void)signal;
    static const char text[] = "httpload: --max-time passed, giving up\n";
    if (write(2, text, sizeof text - 1) < 0) _exit(5);
    _exit(5);
}

static void connect_all(struct run *r)
{
    u64 start = now_ns(), limit = start + (u64)(o.connect_timeout * 1e9);
    while (ready_count + g.failed + g.closed < o.conns && now_ns() < limit) {
        run_jobs();
        wait_for_events(10);
    }
    r->connect_seconds = (double)(now_ns() - start) / 1e9;
    if (ready_count == o.conns) return;
    printf("{\"tool\":\"httpload\"");
    print_text("label", o.label);
    printf(",\"error\":\"%u of %u connections ready\"", ready_count, o.conns);
    print_text("first_error", first_error);
    puts("}");
    exit(3);
}

int main(int count, char **words)
{
    struct run r;
    parse_arguments(count, words);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, give_up);
    alarm((unsigned)o.max_time + 1);
    make_invocation();
    make_connections();
    r.start = take_moment();
    if (o.server_pid && !r.start.usage.processes) die("no process %d", o.server_pid);
    connect_all(&r);
    run_for(o.settle, 0);
    r.connected = take_moment();
    if (!o.quiet) fprintf(stderr, "%u connections ready in %.2f s\n", ready_count, r.connect_seconds);
    run_for(o.warmup, 1);
    r.from = take_moment();
    measured_from = r.from.at;
    run_for(o.duration, 1);
    r.to = take_moment();
    measured_to = r.to.at;
    for (u64 end = now_ns() + (u64)(o.drain * 1e9); outstanding() && now_ns() < end;) wait_for_events(10);
    is_ending = 1;
    report(&r);
    int is_bad = g.closed || g.failed || g.bad_replies || g.bad_protocol || g.bad_payloads || g.stalls || g.sent * o.conns != g.deliveries;
    return is_bad ? 4 : 0;
}
