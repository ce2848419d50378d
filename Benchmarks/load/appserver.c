// SignalBox: an app server for measuring the service: it attaches as an ASP.NET Core app does, and answers Echo and Broadcast
// SPDX-License-Identifier: Apache-2.0
//
// usage: appserver --port P [--hub H] [--connections S] [--life SECONDS]
//
// Opens S server connections to 127.0.0.1:P/server/?hub=H (service protocol, MessagePack over WebSockets; the service must run
// with --no-auth) and prints "ready" once all are in. Echo(x) is answered with x; Broadcast(x) is sent to all clients as
// message(x). JSON clients only. It ends by itself after SECONDS (default 600), or when a connection is lost.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    uint8_t *at;
    size_t size, room;
} Bytes;

// What a client sent of a message so far.
typedef struct {
    uint8_t id[64];
    size_t id_size;
    Bytes bytes;
} Piece;

typedef struct {
    Piece *pieces; // few at a time
    size_t piece_count;
    int fd, is_upgraded, is_in, is_writing;
    Bytes in, payload, out; // raw bytes; service messages without WebSocket frames; service messages to send
    Bytes waiting;          // frames that the socket did not take
    time_t last_sent;
} Server;

static int epoll_fd, ready_count, server_count = 5;

static void fail(const char *what) {
    fprintf(stderr, "appserver: %s\n", what);
    exit(1);
}

static void reserve(Bytes *b, size_t more) {
    if (b->size + more <= b->room) return;
    b->room = (b->size + more) * 2;
    if (!(b->at = realloc(b->at, b->room))) fail("out of memory");
}

static void add(Bytes *b, const void *from, size_t count) {
    reserve(b, count);
    memcpy(b->at + b->size, from, count);
    b->size += count;
}

static void drop(Bytes *b, size_t count) {
    memmove(b->at, b->at + count, b->size - count);
    b->size -= count;
}

// ---- MessagePack, as much as is needed

static void add_byte(Bytes *b, uint8_t value) { add(b, &value, 1); }

static void add_text(Bytes *b, const uint8_t *text, size_t count) {
    if (count < 32) add_byte(b, 0xa0 | (uint8_t)count);
    else if (count < 256) { add_byte(b, 0xd9); add_byte(b, (uint8_t)count); }
    else fail("a text is too long");
    add(b, text, count);
}

static void add_binary_head(Bytes *b, size_t count) {
    uint8_t head[5] = {0xc6, (uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count};
    add(b, head, 5);
}

// The text or binary at *at; moves behind it. NULL when it is neither.
static const uint8_t *read_bytes(const uint8_t **at, const uint8_t *end, size_t *count) {
    const uint8_t *p = *at;
    if (p >= end) return NULL;
    uint8_t kind = *p++;
    int width = 0;
    if ((kind & 0xe0) == 0xa0) *count = kind & 0x1f;
    else if (kind == 0xd9 || kind == 0xc4) width = 1;
    else if (kind == 0xda || kind == 0xc5) width = 2;
    else if (kind == 0xdb || kind == 0xc6) width = 4;
    else return NULL;
    if (width) {
        if (end - p < width) return NULL;
        *count = 0;
        while (width--) *count = *count << 8 | *p++;
    }
    if ((size_t)(end - p) < *count) return NULL;
    *at = p + *count;
    return p;
}

// ---- Service messages

static size_t begin(Bytes *out) {
    size_t start = out->size;
    reserve(out, 5);
    out->size += 5; // the length, once it is known
    return start;
}

static void end(Bytes *out, size_t start) {
    size_t count = out->size - start - 5;
    for (int i = 0; i < 5; i++) out->at[start + i] = (uint8_t)((count >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

static void add_connection_data(Bytes *out, const uint8_t *id, size_t id_size, const void *parts[], const size_t sizes[], int count) {
    size_t start = begin(out), total = 0;
    for (int i = 0; i < count; i++) total += sizes[i];
    add(out, "\x94\x06", 2);
    add_text(out, id, id_size);
    add_binary_head(out, total);
    for (int i = 0; i < count; i++) add(out, parts[i], sizes[i]);
    add_byte(out, 0x80);
    end(out, start);
}

static void add_broadcast(Bytes *out, const uint8_t *arguments, size_t size) {
    static const char head[] = "{\"type\":1,\"target\":\"message\",\"arguments\":";
    size_t start = begin(out);
    add(out, "\x94\x0a\x90\x81\xa4json", 9);
    add_binary_head(out, sizeof head - 1 + size + 2);
    add(out, head, sizeof head - 1);
    add(out, arguments, size);
    add(out, "}\x1e", 2);
    add_byte(out, 0x80);
    end(out, start);
}

// Calls come as load generators write them: no spaces, arguments last.
static void answer(Server *s, const uint8_t *id, size_t id_size, const uint8_t *record, size_t size) {
    const char *arguments = memmem(record, size, "\"arguments\":", 12), *call;
    const uint8_t *last = record + size - 1;
    if (!memmem(record, size, "\"type\":1", 8) || !arguments || *last != '}') return;
    arguments += 12;
    size_t count = (size_t)(last - (const uint8_t *)arguments);
    const char *result = "null";
    size_t result_size = 4;
    if (memmem(record, size, "\"target\":\"Broadcast\"", 20)) {
        add_broadcast(&s->out, (const uint8_t *)arguments, count);
    } else if (count > 2) {
        result = arguments + 1;
        result_size = count - 2;
    }
    if (!(call = memmem(record, size, "\"invocationId\":\"", 16))) return;
    call += 16;
    const char *quote = memchr(call, '"', size - (size_t)((const uint8_t *)call - record));
    if (!quote) return;
    const void *parts[] = {"{\"type\":3,\"invocationId\":\"", call, "\",\"result\":", result, "}\x1e"};
    const size_t sizes[] = {26, (size_t)(quote - call), 11, result_size, 2};
    add_connection_data(&s->out, id, id_size, parts, sizes, 5);
}

static Piece *piece_of(Server *s, const uint8_t *id, size_t id_size) {
    for (size_t i = 0; i < s->piece_count; i++)
        if (s->pieces[i].id_size == id_size && !memcmp(s->pieces[i].id, id, id_size)) return s->pieces + i;
    return NULL;
}

static void keep(Server *s, const uint8_t *id, size_t id_size, const uint8_t *data, size_t size) {
    if (id_size > sizeof s->pieces->id) fail("a connection id is too long");
    if (!(s->pieces = realloc(s->pieces, (s->piece_count + 1) * sizeof *s->pieces))) fail("out of memory");
    Piece *piece = s->pieces + s->piece_count++;
    *piece = (Piece){.id_size = id_size};
    memcpy(piece->id, id, id_size);
    add(&piece->bytes, data, size);
}

static void receive_data(Server *s, const uint8_t *id, size_t id_size, const uint8_t *data, size_t size) {
    Piece *piece = piece_of(s, id, id_size);
    Bytes whole = {0};
    if (piece) {
        add(&piece->bytes, data, size);
        if (!memchr(data, 0x1e, size)) return;
        whole = piece->bytes;
        *piece = s->pieces[--s->piece_count];
        data = whole.at;
        size = whole.size;
    }
    while (size) {
        const uint8_t *stop = memchr(data, 0x1e, size);
        if (!stop) {
            keep(s, id, id_size, data, size);
            break;
        }
        if (memmem(data, (size_t)(stop - data), "\"protocol\":", 11)) {
            const void *parts[] = {"{}\x1e"};
            add_connection_data(&s->out, id, id_size, parts, (size_t[]){3}, 1);
        } else {
            answer(s, id, id_size, data, (size_t)(stop - data));
        }
        size -= (size_t)(stop + 1 - data);
        data = stop + 1;
    }
    free(whole.at);
}

static void receive_message(Server *s, const uint8_t *at, const uint8_t *end) {
    if (end - at < 2) fail("a message is too short");
    uint8_t type = at[1];
    at += 2;
    if (type == 2) {
        size_t count = 0;
        const uint8_t *error = read_bytes(&at, end, &count);
        if (error && count) fail("the service refused the handshake");
        if (!s->is_in && ++ready_count == server_count) { puts("ready"); fflush(stdout); }
        s->is_in = 1;
    } else if (type == 6) {
        size_t id_size, size;
        const uint8_t *id = read_bytes(&at, end, &id_size), *data = id ? read_bytes(&at, end, &size) : NULL;
        if (!data) fail("a message cannot be read");
        receive_data(s, id, id_size, data, size);
    }
}

static void receive_messages(Server *s) {
    size_t at = 0;
    for (;;) {
        size_t length = 0, used = 0;
        int more = 1;
        while (more && used < 5 && at + used < s->payload.size) {
            uint8_t byte = s->payload.at[at + used];
            length |= (size_t)(byte & 0x7f) << (7 * used++);
            more = byte & 0x80;
        }
        if (more || s->payload.size - at - used < length) break;
        receive_message(s, s->payload.at + at + used, s->payload.at + at + used + length);
        at += used + length;
    }
    drop(&s->payload, at);
}

// ---- WebSocket

static void receive_frames(Server *s) {
    size_t at = 0;
    for (;;) {
        const uint8_t *p = s->in.at + at;
        size_t left = s->in.size - at, head = 2, length;
        if (left < 2) break;
        length = p[1] & 0x7f;
        if (length == 126) { if (left < (head = 4)) break; length = (size_t)p[2] << 8 | p[3]; }
        else if (length == 127) {
            if (left < (head = 10)) break;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | p[i];
        }
        if (left - head < length) break;
        if ((p[0] & 0x0f) == 8) fail("the service closed a connection");
        if ((p[0] & 0x0f) <= 2) add(&s->payload, p + head, length);
        at += head + length;
    }
    drop(&s->in, at);
}

static void watch(Server *s, int writes) {
    if (s->is_writing == writes) return;
    s->is_writing = writes;
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
}

static void send_waiting(Server *s) {
    ssize_t sent = s->waiting.size ? send(s->fd, s->waiting.at, s->waiting.size, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (sent < 0 && errno != EAGAIN) fail("a connection was lost");
    if (sent > 0) drop(&s->waiting, (size_t)sent);
    watch(s, s->waiting.size > 0);
}

// All that one read brought about leaves as one frame; its mask is zero, which changes nothing.
static void flush(Server *s) {
    if (s->out.size) {
        uint8_t head[14] = {0x82};
        size_t size = s->out.size, used = 2;
        if (size < 126) head[1] = 0x80 | (uint8_t)size;
        else if (size < 65536) { head[1] = 0xfe; head[2] = (uint8_t)(size >> 8); head[3] = (uint8_t)size; used = 4; }
        else {
            head[1] = 0xff;
            for (int i = 0; i < 8; i++) head[2 + i] = (uint8_t)(size >> (8 * (7 - i)));
            used = 10;
        }
        add(&s->waiting, head, used + 4);
        add(&s->waiting, s->out.at, size);
        s->out.size = 0;
        s->last_sent = time(NULL);
    }
    send_waiting(s);
}

static void upgraded(Server *s) {
    uint8_t *stop = memmem(s->in.at, s->in.size, "\r\n\r\n", 4);
    if (!stop) return;
    if (s->in.size < 12 || memcmp(s->in.at, "HTTP/1.1 101", 12)) fail("the service refused the upgrade; it must run with --no-auth");
    s->is_upgraded = 1;
    drop(&s->in, (size_t)(stop + 4 - s->in.at));
    size_t start = begin(&s->out);
    add(&s->out, "\x96\x01\x01\x00\xa0\x00\x80", 7);
    end(&s->out, start);
}

static void readable(Server *s) {
    reserve(&s->in, 65536);
    ssize_t count = recv(s->fd, s->in.at + s->in.size, s->in.room - s->in.size, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("a connection was lost");
    s->in.size += (size_t)count;
    if (!s->is_upgraded) upgraded(s);
    if (s->is_upgraded) {
        receive_frames(s);
        receive_messages(s);
    }
    flush(s);
}

static void attach(Server *s, int port, const char *hub) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s->fd, (struct sockaddr *)&place, sizeof place)) fail("cannot connect");
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char request[512];
    int size = snprintf(request, sizeof request,
        "GET /server/?hub=%s&cid=%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-ASRS-Server-Id: load_1\r\n\r\n",
        hub, s->fd, port);
    add(&s->waiting, request, (size_t)size);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &event);
    flush(s);
}

int main(int count, char **words) {
    int port = 0, life = 600;
    const char *hub = "bench";
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--port")) port = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--hub")) hub = words[i + 1];
        else if (!strcmp(words[i], "--connections")) server_count = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--life")) life = atoi(words[i + 1]);
        else fail("unknown option");
    }
    if (!port || server_count < 1) fail("usage: appserver --port P [--hub H] [--connections S] [--life SECONDS]");
    epoll_fd = epoll_create1(0);
    Server *servers = calloc((size_t)server_count, sizeof *servers);
    for (int i = 0; i < server_count; i++) attach(servers + i, port, hub);
    time_t stop = time(NULL) + life;
    while (time(NULL) < stop) {
        struct epoll_event events[64];
        int found = epoll_wait(epoll_fd, events, 64, 1000);
        for (int i = 0; i < found; i++) {
            if (events[i].events & EPOLLOUT) send_waiting(events[i].data.ptr);
            if (events[i].events & ~(uint32_t)EPOLLOUT) readable(events[i].data.ptr);
        }
        for (int i = 0; i < server_count; i++) {
            Server *s = servers + i;
            if (!s->is_in || time(NULL) - s->last_sent < 5) continue;
            size_t start = begin(&s->out);
            add(&s->out, "\x91\x03", 2);
            end(&s->out, start);
            flush(s);
        }
    }
}
