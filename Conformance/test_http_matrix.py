# SignalBox: negotiate and the status of every request that a hub's two routes can get.
# SPDX-License-Identifier: Apache-2.0

import json
import re
import socket
import threading
from concurrent.futures import FIRST_COMPLETED, wait

import pytest

from harness.codec import JSON
from harness.http import Answer, eventually, exchange, negotiate, open_connection, request
from harness.hub import Hub
from harness.server import PATIENCE, Server
from harness.transports import EventStream, LongPollingTransport, ServerSentEventsTransport, WebSocketTransport
from harness.websocket import TEXT, WebSocket

HUB = "/hubs/chat"
UNKNOWN = f"{HUB}?id=AAAAAAAAAAAAAAAAAAAAAA"
STREAM = {"Accept": "text/event-stream"}
HELLO = b'{"protocol":"json","version":1}\x1e'
TRANSPORTS = (
    '[{"transport":"WebSockets","transferFormats":["Text","Binary"]},'
    '{"transport":"ServerSentEvents","transferFormats":["Text"]},'
    '{"transport":"LongPolling","transferFormats":["Text","Binary"]}]'
)


def target(server, path=HUB) -> str:
    return f"{path}?id={negotiate(server, path)['connectionToken']}"


def expect(answer: Answer, status: int, body: str = "", kind: str | None = "text/plain"):
    assert (answer.status, answer.text, answer.headers["Content-Type"]) == (status, body, kind)


def expect_uncached(answer: Answer):
    assert answer.headers["Cache-Control"] == "no-cache, no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.headers["Expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"


# Negotiate


@pytest.mark.parametrize(("query", "version"), [
    ("", 0), ("?negotiateVersion=0", 0), ("?negotiateVersion=1", 1), ("?negotiateVersion=2", 1),
    ("?negotiateVersion=99", 1), ("?NegotiateVersion=1", 1), ("?x=y&NEGOTIATEVERSION=1&z", 1),
])
def test_negotiate_answers_the_version_that_both_know(server, query, version):
    answer = request(server, "POST", f"{HUB}/negotiate{query}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    token = r'"connectionToken":"([A-Za-z0-9_-]{22})",' if version else "()"
    found = re.fullmatch(
        rf'\{{"negotiateVersion":{version},"connectionId":"([A-Za-z0-9_-]{{22}})",{token}'
        rf'"availableTransports":{re.escape(TRANSPORTS)}\}}', answer.text)
    assert found, answer.text
    assert found[1] != found[2], "the public id must not be the token"


@pytest.mark.parametrize(("version", "error"), [
    ("abc", "The client requested a non-integer protocol version."),
    ("1.0", "The client requested a non-integer protocol version."),
    ("99999999999999999999", "The client requested a non-integer protocol version."),
    ("-1", "The client requested version '-1', but the server does not support this version."),
])
def test_negotiate_refuses_other_versions(server, version, error):
    answer = request(server, "POST", f"{HUB}/negotiate?negotiateVersion={version}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.body == json.dumps({"error": error}, separators=(",", ":")).encode()


def test_negotiate_ignores_a_body(server):
    answer = request(server, "POST", f"{HUB}/negotiate?negotiateVersion=1", body=b"{]", headers={"Content-Type": "x/y"})
    assert answer.status == 200 and "connectionToken" in answer.json()


def test_ids_do_not_repeat(server):
    answers = [negotiate(server) for _ in range(50)]
    assert len({answer[key] for answer in answers for key in ("connectionId", "connectionToken")}) == 100


def test_stateful_reconnect_is_not_offered_where_it_is_off(server):
    answer = request(server, "POST", f"{HUB}/negotiate?negotiateVersion=1&useStatefulReconnect=true")
    assert "useStatefulReconnect" not in answer.json()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_negotiate_is_a_post(server, method):
    expect(request(server, method, f"{HUB}/negotiate"), 405)


def test_paths_have_no_case_but_ids_do(server):
    answer = request(server, "POST", "/HUBS/Chat/NeGotiate?negotiateVersion=1").json()
    expect(request(server, "GET", f"{HUB}?id={answer['connectionToken'].swapcase()}"), 404, "No Connection with that ID")
    assert request(server, "GET", f"/hubs/CHAT?ID={answer['connectionToken']}").status == 200


def test_a_version_0_client_connects_with_its_id(server):
    answer = negotiate(server, version=None)
    with WebSocket(server, f"{HUB}?id={answer['connectionId']}") as client:
        client.send(TEXT, HELLO)
        assert client.receive_message().payload == b"{}\x1e"


def test_the_public_id_opens_nothing(server):
    answer = negotiate(server)
    expect(request(server, "GET", f"{HUB}?id={answer['connectionId']}"), 404, "No Connection with that ID")


def test_a_websocket_may_skip_negotiate(server):
    with WebSocket(server, HUB) as client:
        client.send(TEXT, HELLO)
        assert client.receive_message().payload == b"{}\x1e"


# Requests without a connection


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_other_methods_are_not_allowed(server, method):
    expect(request(server, method, HUB), 405)


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("GET", STREAM), ("POST", {}), ("DELETE", {})])
def test_a_request_needs_an_id(server, method, headers):
    for path in (HUB, f"{HUB}?id=", f"{HUB}?_=1"):
        answer = request(server, method, path, headers=headers)
        if path.endswith("id="):
            assert answer.status in (400, 404)
        else:
            expect(answer, 400, "Connection ID required")


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("GET", STREAM), ("POST", {}), ("DELETE", {})])
def test_an_unknown_id_is_not_found(server, method, headers):
    answer = request(server, method, UNKNOWN, headers=headers)
    expect(answer, 404, "No Connection with that ID")
    if method == "GET":
        expect_uncached(answer)


@pytest.mark.parametrize("identifier", ["x", "%00", "A" * 5000, "../../etc", "%F0%9F%9A%A6"])
def test_an_id_of_any_shape_is_not_found(server, identifier):
    expect(request(server, "GET", f"{HUB}?id={identifier}"), 404, "No Connection with that ID")


def test_an_unknown_id_is_not_upgraded(server):
    with WebSocket(server, UNKNOWN) as client:
        assert client.answer.status == 404
        assert client.answer.body == b"No Connection with that ID"


def test_other_paths_are_not_found(server):
    assert request(server, "GET", "/hubs/nothing").status == 404
    assert request(server, "POST", "/hubs/nothing/negotiate").status == 404


# One connection, one transport

OPEN = {"WebSockets": WebSocketTransport, "ServerSentEvents": ServerSentEventsTransport,
        "LongPolling": LongPollingTransport}


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in OPEN for b in OPEN if a != b])
def test_a_connection_keeps_its_transport(server, first, second):
    with Hub(server, transport=OPEN[first]) as hub:
        path = f"{HUB}?id={hub.transport.negotiated['connectionToken']}"
        if second == "WebSockets":
            with WebSocket(server, path) as client:
                answer = client.answer
                assert (answer.status, answer.body) == (400, b"Cannot change transports mid-connection")
        else:
            headers = STREAM if second == "ServerSentEvents" else {}
            answer = request(server, "GET", path, headers=headers)
            expect(answer, 400, "Cannot change transports mid-connection")
            expect_uncached(answer)
        assert hub.invoke("join", "r")["result"] is None


def test_a_second_event_stream_is_a_conflict(server):
    with Hub(server, transport=ServerSentEventsTransport) as hub:
        expect(request(server, "GET", hub.transport.target, headers=STREAM), 409)
        assert hub.invoke("join", "r")["result"] is None


def test_a_second_websocket_is_a_conflict(server):
    with Hub(server) as hub:
        with WebSocket(server, f"{HUB}?id={hub.transport.negotiated['connectionToken']}") as second:
            assert (second.answer.status, second.answer.body) == (409, b"")
        assert hub.invoke("join", "r")["result"] is None


def test_a_websocket_takes_no_posts(server):
    with Hub(server) as hub:
        path = f"{HUB}?id={hub.transport.negotiated['connectionToken']}"
        expect(request(server, "POST", path, body=JSON().encode({"type": 6})),
               405, "POST requests are not allowed for WebSocket connections.")
        assert hub.invoke("join", "r")["result"] is None


@pytest.mark.parametrize("kind", ["WebSockets", "ServerSentEvents"])
def test_only_long_polling_is_deleted(server, kind):
    with Hub(server, transport=OPEN[kind]) as hub:
        path = f"{HUB}?id={hub.transport.negotiated['connectionToken']}"
        expect(request(server, "DELETE", path), 400, "Cannot terminate this connection using the DELETE endpoint.")
        assert hub.invoke("join", "r")["result"] is None


def test_a_connection_without_a_transport_is_not_deleted(server):
    expect(request(server, "DELETE", target(server)), 400,
           "Cannot terminate this connection using the DELETE endpoint.")


# Long polling


def open_polling(server) -> tuple[str, Answer]:
    path = target(server)
    return path, request(server, "GET", path)


def test_the_first_poll_is_empty(server):
    _, first = open_polling(server)
    expect(first, 200, kind="application/octet-stream")
    assert first.headers["Content-Length"] == "0"
    expect_uncached(first)


def test_a_poll_brings_what_is_pending(server):
    path, _ = open_polling(server)
    sent = request(server, "POST", path, body=HELLO)
    expect(sent, 200)
    assert sent.headers["Content-Length"] == "0"
    poll = request(server, "GET", f"{path}&_=1700000000000")
    assert (poll.status, poll.headers["Content-Type"]) == (200, "application/octet-stream")
    assert int(poll.headers["Content-Length"]) == len(poll.body)
    assert poll.body.startswith(b"{}\x1e")
    expect_uncached(poll)


def test_a_post_may_come_before_the_first_poll(server):
    path = target(server)
    expect(request(server, "POST", path, body=HELLO[:10]), 200)
    expect(request(server, "POST", path, body=HELLO[10:]), 200)
    assert request(server, "GET", path).body == b""
    assert request(server, "GET", path).body.startswith(b"{}\x1e")


@pytest.fixture
def alone(start_server):
    """A server of one's own: nobody else's coming and going reaches the connection under test."""
    return start_server("--playground")


def open_quiet_polling(server) -> LongPollingTransport:
    """A polling connection with its handshake and the announcements that follow it behind it."""
    hub = Hub(server, transport=LongPollingTransport)
    hub.invoke("join", "r")
    return hub.transport


FAILING_CALL = JSON().encode({"type": 1, "target": "nobody", "invocationId": "1", "arguments": []})


def test_a_newer_poll_replaces_the_waiting_one(alone, poll):
    transport = open_quiet_polling(alone)
    waiting = {poll(alone, transport.target)}
    for _ in range(3):
        # Which of two requests comes first is up to the network; one of them gives way.
        waiting.add(poll(alone, transport.target))
        done, waiting = wait(waiting, PATIENCE, FIRST_COMPLETED)
        (replaced,) = done
        expect(replaced.result(), 204)
        expect_uncached(replaced.result())
    request(alone, "POST", transport.target, body=FAILING_CALL)
    (last,) = waiting
    assert last.result(PATIENCE).body.startswith(b'{"type":3,"invocationId":"1","error":')


def test_delete_ends_the_connection_and_its_poll(alone, poll):
    transport = open_quiet_polling(alone)
    waiting = poll(alone, transport.target)
    expect(request(alone, "DELETE", transport.target), 202)
    expect(waiting.result(PATIENCE), 204)
    eventually(lambda: request(alone, "POST", transport.target, body=b"").status == 404)


def test_delete_between_polls(server):
    path, _ = open_polling(server)
    expect(request(server, "DELETE", path), 202)
    eventually(lambda: request(server, "GET", path).status == 404)


def test_the_last_words_are_polled_before_the_end(server):
    hub = Hub(server, transport=LongPollingTransport)
    hub.invoke("join", "r")
    hub.send({"type": 7})
    assert hub.receive() == {"type": 7}
    over = request(server, "GET", hub.transport.target)
    assert (over.status, over.body) == (204, b"")
    expect_uncached(over)
    eventually(lambda: request(server, "GET", hub.transport.target).status == 404)


def test_an_aborted_poll_ends_nothing(alone):
    transport = open_quiet_polling(alone)
    connection = open_connection(alone)
    connection.request("GET", transport.target)
    connection.close()
    # The aborted poll may take a message with it; the connection is there all the same.
    expect(request(alone, "POST", transport.target, body=FAILING_CALL), 200)
    again = FAILING_CALL.replace(b'"1"', b'"2"')
    expect(request(alone, "POST", transport.target, body=again), 200)
    assert b'"invocationId":"2"' in request(alone, "GET", transport.target).body


def test_posts_at_the_same_time_are_taken_one_after_another(server):
    hub = Hub(server, transport=LongPollingTransport)
    call = hub.start(1, "sum", streamIds=["s"])
    statuses = []

    def send(number):
        item = JSON().encode({"type": 2, "invocationId": "s", "item": number})
        statuses.append(request(server, "POST", hub.transport.target, body=item).status)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert statuses == [200] * 20
    hub.send({"type": 3, "invocationId": "s"})
    assert hub.receive() == {"type": 3, "invocationId": call, "result": 210}
    hub.close()


def test_a_chunked_post_is_read(server):
    path, _ = open_polling(server)
    pieces = iter([HELLO[:5], HELLO[5:]])
    expect(request(server, "POST", path, pieces, {"Transfer-Encoding": "chunked"}, chunked=True), 200)
    assert request(server, "GET", path).body.startswith(b"{}\x1e")


def test_a_body_that_cannot_be_read_is_a_bad_request(server):
    path, _ = open_polling(server)
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_requests_share_a_connection(server):
    """Keep-alive over every kind of answer; a stray byte anywhere would break the next one."""
    connection = open_connection(server)
    path = target(server)
    first_socket = None
    for method, where, status in [
        ("POST", f"{HUB}/negotiate", 200), ("GET", UNKNOWN, 404), ("PUT", HUB, 405), ("GET", path, 200),
        ("POST", path, 200), ("GET", HUB, 400), ("DELETE", path, 202), ("POST", f"{HUB}/negotiate", 200),
    ]:
        assert exchange(connection, method, where).status == status
        first_socket = first_socket or connection.sock
        assert connection.sock is first_socket
    connection.close()


# Server-Sent Events


def test_an_event_stream_opens_at_once_and_carries_one_line_per_event(server):
    path = target(server)
    stream = EventStream(server, path)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache,no-store"
    assert stream.headers["pragma"] == "no-cache"
    assert stream.headers["content-encoding"] == "identity"
    assert stream.read_until(b"\r\n") == b":\r\n"
    expect(request(server, "POST", path, body=HELLO), 200)
    assert stream.read_until(b"\r\n\r\n").startswith(b"data: {}\x1e")
    call = b'{"type":1,"invocationId":"1","target":"nobody","arguments":[]}\x1e'
    expect(request(server, "POST", path, body=call), 200)
    answer = (b'{"type":3,"invocationId":"1","error":"Failed to invoke \'nobody\' due to an error on the server.'
              b' HubException: Method does not exist."}\x1e')
    while answer not in (event := stream.read_until(b"\r\n\r\n")):
        pass
    assert event.startswith(b"data: {") and event.endswith(b"\x1e\r\n\r\n") and event.count(b"\n") == 2
    stream.close()


def test_an_event_stream_comes_before_an_upgrade(server):
    path = target(server)
    stream = EventStream(server, path, {"Upgrade": "websocket", "Connection": "Upgrade"})
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
    stream.close()


def test_a_reader_that_leaves_ends_its_connection(server):
    hub = Hub(server, transport=ServerSentEventsTransport)
    hub.close()
    eventually(lambda: request(server, "POST", hub.transport.target, body=b"").status == 404)


# Cookies and other origins


def test_cookies_are_the_business_of_others(server):
    answer = request(server, "POST", f"{HUB}/negotiate", headers={"Cookie": "affinity=one; other=\"two\""})
    assert answer.status == 200 and answer.headers["Set-Cookie"] is None


ORIGIN = "http://example.test"


@pytest.fixture(scope="module")
def guarded():
    server = Server("--playground", "--allow-origin", ORIGIN)
    yield server
    server.stop()


def expect_allowed(headers):
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert "origin" in headers["Vary"].lower()


@pytest.mark.parametrize(("method", "path"), [("POST", f"{HUB}/negotiate"), ("GET", HUB), ("DELETE", HUB)])
def test_a_preflight_allows_what_clients_send(guarded, method, path):
    wanted = ["authorization", "content-type", "x-requested-with", "x-signalr-user-agent"]
    answer = request(guarded, "OPTIONS", path, headers={
        "Origin": ORIGIN, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(wanted)})
    assert answer.status in (200, 204) and answer.body == b""
    expect_allowed(answer.headers)
    methods = {name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")}
    assert {"GET", "POST", "DELETE"} <= methods
    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert set(wanted) <= allowed


def test_an_allowed_origin_gets_answers_and_errors_alike(guarded):
    origin = {"Origin": ORIGIN}
    expect_allowed(request(guarded, "POST", f"{HUB}/negotiate", headers=origin).headers)
    expect_allowed(request(guarded, "GET", UNKNOWN, headers=origin).headers)
    path = target(guarded)
    expect_allowed(request(guarded, "GET", path, headers=origin).headers)
    stream = EventStream(guarded, target(guarded), origin)
    assert stream.headers["access-control-allow-origin"] == ORIGIN
    assert stream.headers["access-control-allow-credentials"] == "true"
    stream.close()


def test_another_origin_gets_nothing(guarded):
    origin = {"Origin": "http://evil.test"}
    for method, path in (("POST", f"{HUB}/negotiate"), ("OPTIONS", f"{HUB}/negotiate"), ("GET", HUB)):
        assert request(guarded, method, path, headers=origin).headers["Access-Control-Allow-Origin"] is None
    with WebSocket(guarded, HUB, origin) as client:
        assert client.answer.status == 403


def test_a_program_without_an_origin_is_welcome(guarded):
    answer = request(guarded, "POST", f"{HUB}/negotiate")
    assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] is None
