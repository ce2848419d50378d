# SignalBox: the service: tokens, the client endpoint, REST, and what happens when it is asked to stop.
# SPDX-License-Identifier: Apache-2.0

import itertools
import socket
from concurrent.futures import FIRST_COMPLETED, wait
from urllib.parse import unquote

import jwt
import msgpack
import pytest

from harness.codec import JSON, MessagePack
from harness.http import Answer, eventually, request
from harness.hub import Hub
from harness.rest import call_rest
from harness.server import ACCESS_KEY, PATIENCE
from harness.tokens import bearer, client_token, rest_token, sign
from harness.transports import TRANSPORTS, EventStream, LongPollingTransport, TransportEnded, WebSocketTransport
from harness.websocket import WebSocket

PAIRS = [
    pytest.param(transport, codec, id=f"{transport.kind}-{codec.name}")
    for transport, codec in itertools.product(TRANSPORTS, [JSON, MessagePack])
    if not (transport.is_text_only and codec.is_binary)
]
VERSION = "api-version=2022-06-01"


@pytest.fixture
def connect(server, hub):
    """Connects clients to the test's hub with a token in the header."""
    clients = []

    def connect(transport=WebSocketTransport, codec=JSON, user=None, hub=hub, query="", **claims) -> Hub:
        headers = bearer(client_token(server, hub, user, **claims))
        clients.append(Hub(server, f"/client/?hub={hub}{query}", transport, codec, headers))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def rest(server, hub):
    """REST requests below the test's hub, signed for their path; `path` is what follows /api/hubs/{hub}."""
    return lambda method, path, *arguments, **options: call_rest(server, method, f"/api/hubs/{hub}{path}", *arguments, **options)


def news(*arguments) -> bytes:
    return JSON().encode({"target": "news", "arguments": list(arguments)})[:-1]


def expect_news(client: Hub, *arguments):
    assert client.receive() == {"type": 1, "target": "news", "arguments": list(arguments)}


def expect_error(answer: Answer, status: int, code: str | None = None):
    assert answer.status == status, answer
    if code is not None:
        assert answer.headers["x-ms-error-code"] == code


# Sends


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_a_broadcast_reaches_every_transport_and_protocol(connect, rest, transport, codec):
    client = connect(transport, codec)
    answer = rest("POST", "/:send", news("Zoë 🚦", 1, -1, 1 << 40, 2.5, None, True, {"a": [{}]}))
    assert (answer.status, answer.body) == (202, b"")
    expect_news(client, "Zoë 🚦", 1, -1, 1 << 40, 2.5, None, True, {"a": [{}]})


def test_json_arguments_arrive_as_they_were_written(connect, rest):
    arguments = '[1.50, 12345678901234567890123, "\\u00e9\\/", 1e2, {"b":1,"a":2}]'
    client = connect()
    assert rest("POST", "/:send", f'{{"target":"news","arguments":{arguments}}}'.encode()).status == 202
    record = client.transport.receive(False)
    compact = arguments.replace(", ", ",").encode()
    assert compact in record.replace(b", ", b",")


@pytest.mark.parametrize("body", [
    b'{"Target":"news","Arguments":["x"]}', b'{"TARGET":"news","ARGUMENTS":["x"]}',
    b'  {"arguments" : ["x"], "extra": {"target": 1}, "target" : "news" }  ',
])
def test_names_in_a_body_have_no_case_and_no_order(connect, rest, body):
    client = connect()
    assert rest("POST", "/:send", body).status == 202
    expect_news(client, "x")


@pytest.mark.parametrize("body", [b'{"target":"news"}', b'{"target":"news","arguments":null}', b'{"target":"news","arguments":[]}'])
def test_arguments_may_be_absent(connect, rest, body):
    client = connect()
    assert rest("POST", "/:send", body).status == 202
    expect_news(client)


def test_a_chunked_body_is_read(connect, rest):
    client = connect()
    body = news("x" * 5000)
    pieces = iter([body[:1], body[1:4000], body[4000:]])
    assert rest("POST", "/:send", pieces, headers={"Transfer-Encoding": "chunked"}, chunked=True).status == 202
    expect_news(client, "x" * 5000)


def test_a_body_may_bring_the_message_in_every_protocol(connect, rest):
    text, binary = connect(), connect(codec=MessagePack)
    message = {"type": 1, "target": "news", "arguments": ["ready made"]}
    body = msgpack.packb({"json": JSON().encode(message), "messagepack": MessagePack().encode(message)})
    assert rest("POST", "/:send", body, kind="application/octet-stream").status == 202
    for client in (text, binary):
        expect_news(client, "ready made")


def test_a_client_whose_protocol_is_missing_gets_nothing(connect, rest):
    text, binary = connect(), connect(codec=MessagePack)
    body = msgpack.packb({"json": JSON().encode({"type": 1, "target": "news", "arguments": [1]})})
    assert rest("POST", "/:send", body, kind="application/octet-stream").status == 202
    rest("POST", "/:send", news(2))
    expect_news(text, 1)
    expect_news(text, 2)
    expect_news(binary, 2)


def test_connections_can_be_left_out(connect, rest):
    first, second, third = connect(), connect(), connect()
    excluded = f"&excluded={first.connection_id}&excluded={second.connection_id}"
    assert rest("POST", "/:send", news("some"), excluded).status == 202
    rest("POST", "/:send", news("all"))
    expect_news(third, "some")
    for client in (first, second, third):
        expect_news(client, "all")


@pytest.mark.parametrize("name", ["bob", "b%2Fo%2Fb", "b%20%C3%B6%20b", "b+b", "%25"])
def test_a_user_gets_messages_on_every_connection(connect, rest, name):
    user = unquote(name)
    mine, other = [connect(user=user), connect(codec=MessagePack, user=user)], connect(user="other")
    assert rest("POST", f"/users/{name}/:send", news("for you")).status == 202
    rest("POST", "/:send", news("for all"))
    for client in mine:
        expect_news(client, "for you")
    expect_news(other, "for all")


def test_the_user_id_claim_of_the_sdk_wins(connect, rest):
    client = connect(user="by name", **{"asrs.s.uid": "by claim"})
    assert rest("POST", "/users/by%20name/:send", news(1)).status == 202
    assert rest("POST", "/users/by%20claim/:send", news(2)).status == 202
    expect_news(client, 2)


def test_one_connection_can_be_sent_to(connect, rest):
    first, second = connect(), connect()
    assert rest("POST", f"/connections/{first.connection_id}/:send", news("one")).status == 202
    rest("POST", "/:send", news("all"))
    expect_news(first, "one")
    expect_news(second, "all")


@pytest.mark.parametrize("path", ["/connections/nobody/:send", "/users/nobody/:send", "/groups/nobody/:send"])
def test_sending_to_nobody_is_accepted(rest, path):
    assert rest("POST", path, news("x")).status == 202


@pytest.mark.parametrize("group", ["g", "a%2Fb", "%C3%A4%20%F0%9F%9A%A6", "x" * 1024])
def test_a_group_has_the_connections_that_were_added(connect, rest, group):
    inside, outside = connect(), connect()
    path = f"/groups/{group}/connections/{inside.connection_id}"
    assert rest("PUT", path).status == 200
    assert rest("PUT", path).status == 200
    assert rest("POST", f"/groups/{group}/:send", news("members")).status == 202
    assert rest("POST", f"/groups/{group}/:send", news("nobody"), f"&excluded={inside.connection_id}").status == 202
    assert rest("DELETE", path).status == 200
    assert rest("POST", f"/groups/{group}/:send", news("nobody")).status == 202
    rest("POST", "/:send", news("all"))
    expect_news(inside, "members")
    for client in (inside, outside):
        expect_news(client, "all")


def test_a_user_in_a_group_brings_every_connection(connect, rest):
    mine, other = [connect(user="u"), connect(user="u")], connect(user="other")
    expect_error(rest("GET", "/users/u/groups/g"), 404, "Info.User.NotInGroup")
    assert rest("PUT", "/users/u/groups/g").status == 200
    assert rest("GET", "/users/u/groups/g").status == 200
    assert rest("HEAD", "/users/u/groups/g").status == 200
    rest("POST", "/groups/g/:send", news("members"))
    assert rest("DELETE", "/users/u/groups/g").status == 204
    assert rest("DELETE", "/users/u/groups/g").status == 204
    rest("POST", "/groups/g/:send", news("nobody"))
    rest("POST", "/:send", news("all"))
    for client in mine:
        expect_news(client, "members")
        expect_news(client, "all")
    expect_news(other, "all")


def test_a_connection_can_leave_all_groups(connect, rest):
    client = connect()
    for group in ("g1", "g2"):
        assert rest("PUT", f"/groups/{group}/connections/{client.connection_id}").status == 200
    assert rest("DELETE", f"/connections/{client.connection_id}/groups").status == 200
    for group in ("g1", "g2"):
        expect_error(rest("HEAD", f"/groups/{group}"), 404, "Warning.Group.NotExisted")


def test_a_user_can_leave_all_groups(connect, rest):
    connect(user="u")
    for group in ("g1", "g2"):
        assert rest("PUT", f"/users/u/groups/{group}").status == 200
    assert rest("DELETE", "/users/u/groups").status == 204
    for group in ("g1", "g2"):
        expect_error(rest("GET", f"/users/u/groups/{group}"), 404, "Info.User.NotInGroup")


def test_hubs_are_apart_and_their_names_have_no_case(server, connect, rest, hub):
    mine, other = connect(hub=hub.upper()), connect(hub=f"{hub}x")
    assert rest("POST", "/:send", news("mine")).status == 202
    expect_news(mine, "mine")
    path = f"/api/hubs/{hub}X/:send"
    request(server, "POST", f"{path}?{VERSION}", body=news("other"), headers=bearer(rest_token(server, path)))
    expect_news(other, "other")


def test_an_application_puts_its_name_before_the_hub(connect, rest, hub):
    client = connect(hub=f"app_{hub}")
    assert rest("POST", "/:send", news("x"), "&application=App").status == 202
    expect_news(client, "x")


@pytest.mark.parametrize("path", ["", "/users/u", "/groups/g"])
def test_the_older_api_sends_too(server, connect, rest, hub, path):
    client = connect(user="u")
    rest("PUT", f"/groups/g/connections/{client.connection_id}")
    full = f"/api/v1/hubs/{hub}{path}"
    answer = request(server, "POST", full, body=news(path), headers=bearer(rest_token(server, full)))
    assert answer.status == 202
    expect_news(client, path)


# Who is there


def test_connections_users_and_groups_exist_while_they_are_there(connect, rest):
    client = connect(user="u")
    rest("PUT", f"/groups/g/connections/{client.connection_id}")
    for path in (f"/connections/{client.connection_id}", "/users/u", "/groups/g"):
        for method in ("HEAD", "GET"):
            assert rest(method, path).status == 200
    client.close()
    eventually(lambda: rest("HEAD", "/users/u").status == 404)


@pytest.mark.parametrize(("path", "code"), [
    ("/connections/nobody", "Warning.Connection.NotExisted"), ("/users/nobody", "Warning.User.NotExisted"),
    ("/groups/nobody", "Warning.Group.NotExisted"),
])
def test_who_is_not_there_is_not_found(rest, path, code):
    for method in ("HEAD", "GET"):
        expect_error(rest(method, path), 404, code)
    assert rest("HEAD", path).body == b""


def test_a_connection_that_is_not_there_joins_no_group(rest):
    expect_error(rest("PUT", "/groups/g/connections/nobody"), 404, "Error.Connection.NotExisted")
    assert rest("DELETE", "/groups/g/connections/nobody").status == 200
    assert rest("DELETE", "/connections/nobody/groups").status == 200


@pytest.mark.parametrize("path", ["/api/health", f"/api/health?{VERSION}", "/api/v1/health"])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_anybody_may_ask_after_its_health(server, method, path):
    assert request(server, method, path).status == 200


# Closing


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_a_connection_can_be_closed_with_a_reason(connect, rest, transport, codec):
    client, other = connect(transport, codec), connect()
    assert rest("DELETE", f"/connections/{client.connection_id}", query="&reason=too%20loud").status == 200
    close = client.receive()
    assert (close["type"], close["error"], close.get("allowReconnect", False)) == (7, "too loud", True)
    client.expect_end()
    rest("POST", "/:send", news("x"))
    expect_news(other, "x")


@pytest.mark.parametrize("path", ["", "/users/u", "/groups/g"])
def test_many_can_be_closed_but_for_some(connect, rest, path):
    stays, goes = connect(user="u"), [connect(user="u"), connect(user="u")]
    for client in [stays] + goes:
        rest("PUT", f"/groups/g/connections/{client.connection_id}")
    query = f"&reason=over&excluded={stays.connection_id}"
    assert rest("POST", f"{path}/:closeConnections", query=query).status == 204
    for client in goes:
        assert client.receive() == {"type": 7, "error": "over", "allowReconnect": True}
        client.expect_end()
    rest("POST", "/:send", news("x"))
    expect_news(stays, "x")


# Wrong requests


@pytest.mark.parametrize("body", [
    b"", b"hello", b"[]", b"null", b"{", b"{}", b'{"arguments":[1]}', b'{"target":null}', b'{"target":1}', b'{"target":""}',
    b'{"target":"news","arguments":{}}', b'{"target":"news","arguments":"x"}', b'{"target":"news","arguments":[1,]}',
    b'{"target":"news","arguments":["\xff"]}', b'{"target":"news","arguments":[' + b"[" * 5000,
])
def test_a_body_that_is_no_message_is_a_bad_request(connect, rest, body):
    client = connect()
    answer = rest("POST", "/:send", body)
    assert answer.status == 400 and answer.body, "a refusal says what is wrong"
    rest("POST", "/:send", news("good"))
    expect_news(client, "good")


@pytest.mark.parametrize("body", [b"", b"hello", b"\x80\x00", b"\x81\xa4json", b"\xdf\xff\xff\xff\xff", b"\x91" * 50_000])
def test_a_broken_map_of_messages_is_a_bad_request(rest, body):
    assert rest("POST", "/:send", body, kind="application/octet-stream").status == 400


def test_a_body_may_have_a_megabyte(connect, rest):
    client = connect()
    assert rest("POST", "/:send", news("x" * 900_000)).status == 202
    expect_news(client, "x" * 900_000)
    assert rest("POST", "/:send", news("x" * (1 << 20))).status == 413


@pytest.mark.parametrize("hub", ["1chat", "_chat", "ch-at", "%20", "x" * 129, "%C3%A4", "a%2Fb"])
def test_hub_names_have_a_form(server, hub):
    path = f"/api/hubs/{hub}/:send"
    answer = request(server, "POST", f"{path}?{VERSION}", body=news(), headers=bearer(rest_token(server, path)))
    assert answer.status == 400
    headers = bearer(client_token(server, hub))
    assert request(server, "POST", f"/client/negotiate?hub={hub}", headers=headers).status == 400


@pytest.mark.parametrize("path", ["/groups/%20/:send", f"/groups/{'x' * 1025}/:send", "/groups//:send", "/users//:send"])
def test_names_of_groups_and_users_have_a_form(rest, path):
    assert rest("POST", path, news()).status in (400, 404)


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/:send", 405), ("POST", "/nothing/x", 404), ("PUT", "/groups/g", 405), ("POST", "/:nothing", 404),
])
def test_other_routes_are_not_there(rest, method, path, status):
    assert rest(method, path).status in {status, 404}


# Tokens

SEND = "/api/hubs/chat/:send"


def rest_with(server, headers) -> Answer:
    return request(server, "POST", f"{SEND}?{VERSION}", body=news(), headers=headers)


def negotiate_with(server, headers) -> Answer:
    return request(server, "POST", "/client/negotiate?hub=chat&negotiateVersion=1", headers=headers)


DOORS = [
    pytest.param(rest_with, SEND, id="REST"), pytest.param(negotiate_with, "/client/?hub=chat", id="client"),
]


@pytest.mark.parametrize(("ask", "path"), DOORS)
def test_a_token_is_needed(server, ask, path):
    answer = ask(server, {})
    assert answer.status == 401 and answer.reason == "Unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("ask", "path"), DOORS)
@pytest.mark.parametrize("token", ["", "x", "a.b.c", "." * 10, "x" * 20_000])
def test_a_token_is_not_anything(server, ask, path, token):
    assert ask(server, bearer(token)).status == 401


@pytest.mark.parametrize(("ask", "path"), DOORS)
@pytest.mark.parametrize("details", [
    {"key": "another key of more than 32 characters, it seems"}, {"lifetime": -3600}, {"nbf": 4_000_000_000},
    {"algorithm": "HS384"},
], ids=["foreign key", "expired", "too early", "other algorithm"])
def test_a_token_that_is_not_good_is_refused(server, ask, path, details):
    token = sign(server, f"{server.url}{path}", **details)
    assert ask(server, bearer(token)).status == 401


@pytest.mark.parametrize(("ask", "path"), DOORS)
def test_a_token_without_a_signature_is_refused(server, ask, path):
    token = jwt.encode({"aud": f"{server.url}{path}", "exp": 4_000_000_000}, None, algorithm="none")
    assert ask(server, bearer(token)).status == 401
    assert ask(server, bearer(token + "AAAA")).status == 401


@pytest.mark.parametrize(("ask", "path"), DOORS)
def test_a_token_needs_an_end(server, ask, path):
    token = jwt.encode({"aud": f"{server.url}{path}"}, ACCESS_KEY, algorithm="HS256")
    assert ask(server, bearer(token)).status == 401


@pytest.mark.parametrize(("ask", "path"), DOORS)
@pytest.mark.parametrize("audience", [
    "{url}/client/?hub=other", "{url}/client/?hub=chat&hub=other", "{url}/client/", "{url}/api/hubs/other/:send", "{url}/",
    "{url}/server/?hub=chat", "chat", "",
])
def test_a_token_for_another_place_is_refused(server, ask, path, audience):
    assert ask(server, bearer(sign(server, audience.format(url=server.url)))).status == 401


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
@pytest.mark.parametrize(("ask", "path"), DOORS)
def test_both_algorithms_are_good(server, ask, path, algorithm):
    token = sign(server, f"{server.url}{path}", algorithm=algorithm)
    assert ask(server, bearer(token)).status in (200, 202)


@pytest.mark.parametrize(("ask", "audience"), [
    (negotiate_with, "http://127.0.0.1/client/?hub=chat"), (negotiate_with, "https://127.0.0.1/client?hub=Chat"),
    (negotiate_with, "https://signalr.elsewhere.test/client/?hub=chat"),
    (negotiate_with, ["http://elsewhere.test", "http://127.0.0.1/client/?hub=chat"]),
    (rest_with, f"http://127.0.0.1{SEND}"), (rest_with, f"http://127.0.0.1{SEND}?{VERSION}"),
    (rest_with, "http://127.0.0.1/api/hubs/chat/%3Asend"),
])
def test_the_audience_is_compared_as_sdks_write_it(server, ask, audience):
    """Path and hub count: not the port, nor the host behind a proxy, a query, how it is escaped, or what else is listed."""
    assert ask(server, bearer(sign(server, audience))).status in (200, 202)


def test_a_little_clock_skew_is_forgiven(server):
    token = sign(server, f"{server.url}/client/?hub=chat", lifetime=-60)
    assert negotiate_with(server, bearer(token)).status == 200


def test_a_browser_brings_its_token_in_the_query(server, hub):
    token = client_token(server, hub)
    query = f"hub={hub}&access_token={token}"
    answer = request(server, "POST", f"/client/negotiate?{query}&negotiateVersion=1")
    assert answer.status == 200
    identifier = answer.json()["connectionToken"]
    with WebSocket(server, f"/client/?{query}&id={identifier}") as client:
        assert client.answer.status == 101
    with WebSocket(server, f"/client/?{query}") as client:
        assert client.answer.status == 101
    identifier = request(server, "POST", f"/client/negotiate?{query}&negotiateVersion=1").json()["connectionToken"]
    stream = EventStream(server, f"/client/?{query}&id={identifier}")
    assert stream.status == 200
    stream.close()


def test_every_request_needs_the_token(server, hub):
    headers = bearer(client_token(server, hub))
    path = f"/client/?hub={hub}"
    answer = request(server, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1", headers=headers)
    target = f"{path}&id={answer.json()['connectionToken']}"
    for method in ("GET", "POST", "DELETE"):
        assert request(server, method, target).status == 401
    assert EventStream(server, target).status == 401
    with WebSocket(server, target) as client:
        assert client.answer.status == 401
    assert request(server, "GET", target, headers=headers).status == 200


def test_a_token_of_one_hub_opens_no_connection_of_another(server, hub):
    mine = request(server, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1",
                   headers=bearer(client_token(server, hub))).json()["connectionToken"]
    answer = request(server, "GET", f"/client/?hub=other&id={mine}", headers=bearer(client_token(server, "other")))
    assert answer.status == 404


@pytest.mark.parametrize("query", ["", "?hub=", "?hub=chat&hub=chat", "?hub=chat&hub=other"])
def test_a_hub_is_named_once(server, query):
    headers = bearer(client_token(server))
    assert request(server, "POST", f"/client/negotiate{query}", headers=headers).status == 400


# Clients


def test_a_call_that_no_app_server_can_take_is_told_so(connect):
    client = connect()
    completion = client.invoke("send", "anything")
    assert "app server" in completion["error"]
    client.send({"type": 1, "target": "send", "arguments": []})
    assert client.invoke("again")["error"]


def test_no_auth_lets_everybody_in(start_server):
    open_house = start_server("--no-auth", "--mode", "classic")
    with Hub(open_house, "/client/?hub=chat") as client:
        assert request(open_house, "POST", f"{SEND}?{VERSION}", body=news("open")).status == 202
        expect_news(client, "open")


# The end


@pytest.mark.parametrize("path", ["/hubs/chat", "/client/?hub=chat"])
def test_a_server_that_stops_says_goodbye(start_server, poll, path):
    server = start_server("--playground", "--mode", "classic")
    headers = bearer(client_token(server))
    clients = [
        Hub(server, path, transport, codec, headers) for transport, codec in (pair.values for pair in PAIRS)
        if transport is not LongPollingTransport]
    polling = Hub(server, path, LongPollingTransport, headers=headers)
    polling.invoke("nobody")
    # Of two polls one is replaced, and the other is known to wait.
    replaced, waiting = wait([poll(server, polling.transport.target, headers) for _ in range(2)], PATIENCE, FIRST_COMPLETED)
    assert replaced.pop().result().status == 204

    server.terminate()
    for client in clients:
        assert client.receive() == {"type": 7, "allowReconnect": True}
        client.expect_end(or_loss=True)
    # What the playground announced before comes in front of it.
    assert waiting.pop().result(PATIENCE).body.endswith(b'{"type":7,"allowReconnect":true}\x1e')
    assert server.process.wait(PATIENCE) == 0, server.output()


def test_a_server_that_stops_takes_no_more_clients(start_server):
    server = start_server("--playground")
    with Hub(server, "/hubs/chat") as client:
        server.terminate()
        assert client.receive() == {"type": 7, "allowReconnect": True}
        with pytest.raises((ConnectionError, EOFError, TransportEnded)):
            while True:
                socket.create_connection((server.host, server.port), timeout=1).close()
    assert server.process.wait(PATIENCE) == 0, server.output()


def test_clients_that_do_not_leave_are_not_waited_for_long(start_server):
    """One that never answers the Close, and one that never finishes its request."""
    server = start_server("--playground")
    Hub(server, "/hubs/chat")
    half = socket.create_connection((server.host, server.port))
    half.sendall(b"POST /hubs/chat/negotiate HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
    server.terminate()
    assert server.process.wait(PATIENCE) == 0, server.output()
    half.close()


def test_who_negotiated_has_to_come_soon(start_server):
    """Within 5 s by default, else 404 (service reference §4)."""
    server = start_server("--negotiate-timeout", "1s")
    headers = bearer(client_token(server))
    answer = request(server, "POST", "/client/negotiate?hub=chat&negotiateVersion=1", headers=headers)
    target = "/client/?hub=chat&id=" + answer.json()["connectionToken"]
    # There is no transport to end yet, and soon no connection.
    eventually(lambda: request(server, "DELETE", target, headers=headers).status == 404)
    assert request(server, "GET", target, headers=headers).status == 404
    with WebSocket(server, target, headers) as late:
        assert late.answer.status == 404
