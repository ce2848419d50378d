# SignalBox: limits of connections and messages, storms, and what is kept out of logs (service reference §3, §4, §9.3, §23).
# SPDX-License-Identifier: Apache-2.0

import asyncio
import time
from urllib.parse import quote

import pytest

from harness.appserver.crowd import Crowd
from harness.appserver.endpoint import Endpoint
from harness.appserver.messages import Kind
from harness.classic import ClassicSocket
from harness.codec import JSON
from harness.http import eventually, open_connection, read_answer, request
from harness.hub import Hub
from harness.rest import rest_send
from harness.server import ACCESS_KEY, PATIENCE, lasting_port
from harness.server_connection import ServerConnection
from harness.tokens import bearer, client_token, rest_token, sign
from harness.transports import TRANSPORTS, EventStream, WebSocketTransport
from harness.websocket import TEXT, WebSocket
from test_config import reload
from test_server_clients import PAIRS

TOO_MUCH = "Connection closed: the rate limit of what a client may send was exceeded."
SECOND_KEY = "another-conformance-key-of-more-than-32-characters"
PING = b'{"type":6}\x1e'


def knock(server, hub="chat", user=None, token=None):
    headers = bearer(token or client_token(server, hub, user))
    return request(server, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1", headers=headers)


def at_once(server, method, target, requests, body=None):
    """The answers to requests that are all under way before the first is answered; each is a dictionary of headers."""
    connections = [open_connection(server) for _ in requests]
    for connection in connections:
        connection.connect()
    for connection, headers in zip(connections, requests):
        connection.request(method, target, body=body, headers=headers)
    return [read_answer(connection) for connection in connections]


def expect_refusal(answer):
    """429 says when to come again, in whole seconds (§4)."""
    assert answer.status == 429, answer
    assert answer.headers["Retry-After"].isdecimal() and 1 <= int(answer.headers["Retry-After"]) <= 90
    assert answer.body


def connect(server, hub="chat", user=None, transport=WebSocketTransport, codec=JSON):
    return Hub(server, f"/client/?hub={hub}", transport, codec, bearer(client_token(server, hub, user)))


# App servers


def test_app_servers_have_a_limit(start_server, tmp_path):
    """Whether they have shaken hands or not; who is refused may come when another one left, or when there may be more."""
    file = tmp_path / "signalbox.json"
    file.write_text('{"limits": {"serverConnections": 2}}')
    service = start_server("--mode", "default", "--config", str(file))
    with ServerConnection(service, "one").shake_hands() as first, ServerConnection(service, "two"):
        assert first.is_open
        refused = ServerConnection(service, "three").socket.answer
        assert refused.status == 429 and 1 <= int(refused.headers["retry-after"]) <= 90
        assert b"app servers" in refused.body
        assert ServerConnection(service, "three", token="not a token").socket.answer.status == 401
        file.write_text('{"limits": {"serverConnections": 3}}')
        reload(service, "Configuration read again")
        with ServerConnection(service, "three").shake_hands():
            assert ServerConnection(service, "three").socket.answer.status == 429
    eventually(lambda: ServerConnection(service, "three").is_open)


# Connections


@pytest.mark.parametrize(("option", "same_hub", "same_user"), [
    ("--maximum-connections", False, False), ("--maximum-connections-per-hub", True, False),
    ("--maximum-connections-per-user", True, True)])
def test_connections_are_limited(start_server, option, same_hub, same_user):
    """The last one who leaves makes room."""
    server = start_server(option, "2")
    names = [("chat" if same_hub else f"hub{number}", "ann" if same_user else f"u{number}") for number in range(3)]
    first, second = (connect(server, *name) for name in names[:2])
    expect_refusal(knock(server, *names[2]))
    if same_user:
        assert knock(server, names[2][0], "bob").status == 200
    if same_hub:
        assert knock(server, "elsewhere", names[2][1]).status == 200
    first.close()
    eventually(lambda: knock(server, *names[2]).status == 200)
    with connect(server, *names[2]):
        expect_refusal(knock(server, *names[2]))
    second.close()


def classic(server, user="ann"):
    return ClassicSocket(server, "chat", path="/aspnetclient", token=client_token(server, "chat", user))


def test_clients_of_both_generations_count(start_server):
    server = start_server("--maximum-connections-per-hub", "1")
    client = classic(server).connect()
    expect_refusal(knock(server))
    target = "/aspnetclient/negotiate?clientProtocol=2.1&connectionData=" + quote('[{"name":"chat"}]')
    expect_refusal(request(server, "GET", target, headers=bearer(client_token(server, "chat", "bob"))))
    client.abort(client.transport)
    eventually(lambda: knock(server).status == 200)
    with connect(server):
        expect_refusal(request(server, "GET", target, headers=bearer(client_token(server, "chat", "bob"))))


@pytest.mark.parametrize("limit", ["messagesPerSecond", "messagesPerSecondPerUser"])
def test_rates_that_change_reach_classic_clients(start_server, tmp_path, limit):
    """Those who are there when the configuration is read again."""
    file = tmp_path / "signalbox.json"
    file.write_text("{}")
    server = start_server("--config", str(file))
    client = classic(server).connect()
    for _ in range(30):
        client.say("chat", "anything")
    while client.frame().get("I") is None:
        pass
    file.write_text('{"limits": {"%s": "1:3"}}' % limit)
    assert limit in reload(server, "Configuration read again")
    for _ in range(30):
        client.say("chat", "anything")
    assert client.at_end()


def test_app_servers_do_not_count(start_server, attach, hub):
    """§20: leave them out."""
    server = start_server("--mode", "default", "--maximum-connections", "1")
    for _ in range(3):
        attach(to=server)
    assert knock(server, hub).status == 200


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_end_makes_room(start_server, transport):
    """Whether a client leaves, is kicked, says nonsense, or never shakes hands."""
    server = start_server("--maximum-connections", "1", "--handshake-timeout", "1")
    path, headers = "/client/?hub=chat", bearer(client_token(server))

    def has_room():
        eventually(lambda: knock(server).status == 200)

    with connect(server, transport=transport) as client:
        target = f"/api/hubs/chat/connections/{client.connection_id}"
        assert request(server, "DELETE", target, headers=bearer(rest_token(server, target))).status == 200
    has_room()
    with connect(server, transport=transport) as client:
        client.send_bytes(b"nonsense\x1e")
    has_room()
    mute = transport(server, path, headers)
    has_room()
    mute.close()
    with connect(server, transport=transport) as client:
        client.send({"type": 7})
        assert client.receive()["type"] == 7
        client.expect_end()
    has_room()


def test_refused_requests_take_no_place(start_server):
    server = start_server("--maximum-connections", "1")
    for token in ("", "x", client_token(server, "other")):
        assert knock(server, token=token or "none").status == 401
        assert WebSocket(server, "/client/?hub=chat", bearer(token)).answer.status == 401
    headers = bearer(client_token(server))
    # Upgrades that are none.
    for change in ({"Sec-WebSocket-Version": "12"}, {"Sec-WebSocket-Key": None}):
        assert WebSocket(server, "/client/?hub=chat", headers | change).answer.status in (400, 426)
    assert EventStream(server, "/client/?hub=chat&id=AAAAAAAAAAAAAAAAAAAAAA", headers).status == 404
    with connect(server):
        pass


# Storms


def test_a_storm_is_told_when_to_come(start_server):
    server = start_server("--connects-per-second", "1:3")
    answers = at_once(server, "POST", "/client/negotiate?hub=chat", [bearer(client_token(server))] * 50)
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {200, 429} and len(refused) >= 20
    for answer in refused:
        expect_refusal(answer)
    # One a second: who came last is told to wait longer.
    waits = [int(answer.headers["Retry-After"]) for answer in refused]
    assert max(waits) > 10 and min(waits) < 10
    # Before anybody looks at a token.
    strangers = at_once(server, "POST", "/client/negotiate?hub=chat", [bearer(client_token(server))] * 5 + [bearer("x")] * 50)
    assert 429 in [answer.status for answer in strangers[5:]]
    # Who is there already, app servers and REST callers are not held up.
    assert rest_send(server, "chat", "", b'{"target":"x"}').status == 202
    assert request(server, "GET", "/api/health").status == 200


def test_who_has_no_token_uses_up_no_turn(start_server):
    server = start_server("--connects-per-second", "1:2")
    for _ in range(10):
        assert knock(server, token="nonsense").status == 401
    assert knock(server).status == 200


def test_a_thousand_clients_come_back_after_the_service_was_killed(start_server, start_app, hub, tmp_path):
    """The whole town at once: app servers and clients come back, user groups are as they were, nobody waits for long."""
    options = ["--mode", "default", "--data-folder", str(tmp_path / "data"), "--database", str(tmp_path / "groups.sqlite"),
               "--connects-per-second", "200:200"]
    service = start_server(*options, port=lasting_port())
    app = start_app(to=service, links=2)
    endpoint, count = Endpoint(service.connection_string), 1000
    user = "ann of the town"
    path = f"/api/hubs/{hub}/users/{user.replace(' ', '%20')}/groups/town"
    assert request(service, "PUT", path, headers=bearer(rest_token(service, path))).status == 200

    async def storm():
        async with Crowd(endpoint, hub, count, user) as crowd:
            await crowd.until(lambda crowd: len(crowd.present) == count, 120)
            first = crowd.refusals
            service.kill()
            await crowd.until(lambda crowd: not crowd.present, PATIENCE)
            again = await asyncio.to_thread(start_server, *options, port=service.port)
            await asyncio.to_thread(app.wait, "link lost", 2)
            await asyncio.to_thread(app.wait, "link", 2)
            start = time.monotonic()
            await crowd.until(lambda crowd: len(crowd.present) == count, 120)
            assert time.monotonic() - start < 60
            assert first > 0 and crowd.refusals > first
            assert (await asyncio.to_thread(rest_send, again, hub, "/groups/town", b'{"target":"news"}')).status == 202
            await crowd.until(lambda crowd: crowd.heard >= count, PATIENCE)

    asyncio.run(storm())


# What clients send


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_who_sends_too_often_is_ended(start_server, attach, meet, transport, codec):
    service = start_server("--mode", "default", "--messages-per-second", "1:20")
    server = attach(to=service)
    loud, calm = (meet(server, to=service, transport=transport, codec=codec) for _ in range(2))
    call = loud.codec.encode({"type": 1, "target": "x", "arguments": []})
    loud.send_bytes(call * 10)
    server.expect_data(loud.connection_id, call * 10)
    loud.send_bytes(call * 21)
    loud.expect_close(TOO_MUCH)
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=loud.connection_id)
    calm.send_bytes(call)
    server.expect_data(calm.connection_id, call)


def test_a_classic_client_that_sends_too_often_is_ended(start_server):
    server = start_server("--messages-per-second", "1:20")
    loud, calm = classic(server, "ann").connect(), classic(server, "bob").connect()
    for _ in range(21):
        loud.say("chat", "x")
    assert loud.at_end()
    assert calm.call("chat", "x", call=1)["E"]


def test_bytes_are_limited_over_all_connections_of_a_user(start_server, attach, meet):
    service = start_server("--mode", "default", "--bytes-per-second-per-user", "1:1k")
    server = attach(to=service)
    one, other = (meet(server, to=service, user="ann") for _ in range(2))
    stranger = meet(server, to=service, user="bob")
    half = JSON().encode({"type": 1, "target": "x" * 500, "arguments": []})
    one.send_bytes(half)
    server.expect_data(one.connection_id, half)
    other.send_bytes(half)
    other.expect_close(TOO_MUCH)
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=other.connection_id)
    stranger.send_bytes(half)
    server.expect_data(stranger.connection_id, half)


def test_without_a_limit_nothing_is_counted(attach, meet):
    server = attach()
    client = meet(server)
    client.send_bytes(PING * 20_000)
    server.expect_data(client.connection_id, PING * 20_000)


# REST


def test_each_key_has_a_rate_of_requests(start_server):
    """§15.7: 429 as usual; the other key is not held up."""
    server = start_server("--requests-per-second", "1:3", "--secondary-access-key", SECOND_KEY)
    path = "/api/hubs/chat/:send"

    def send(key, count):
        headers = bearer(sign(server, f"{server.url}{path}", key=key)) | {"Content-Type": "application/json"}
        return at_once(server, "POST", path, [headers] * count, b'{"target":"x"}')

    answers = send(ACCESS_KEY, 30)
    assert {answer.status for answer in answers} == {202, 429}
    refused = [answer for answer in answers if answer.status == 429]
    for answer in refused:
        expect_refusal(answer)
        assert answer.headers["x-ms-error-code"] == answer.json()["code"]
    assert send(SECOND_KEY, 1)[0].status == 202


# Requests (§4)


@pytest.mark.parametrize(("target", "headers", "status"), [
    ("/client/negotiate?hub=chat&x=" + "a" * 70_000, {}, 414), ("/client/negotiate?hub=chat", {"X": "a" * 40_000}, 431),
    ("/client/negotiate?hub=chat&x=" + "a" * 20_000, {"X": "a" * 40_000}, 431),
    ("/api/hubs/chat/:send?x=" + "a" * 70_000, {}, 414)], ids=["request line", "headers", "headers, after all", "REST"])
@pytest.mark.parametrize("before", [0, 2])
def test_requests_have_limits(server, target, headers, status, before):
    """The second and third request of a connection as well as its first."""
    connection = open_connection(server)
    for _ in range(before):
        connection.request("GET", "/api/health")
        assert read_answer(connection).status == 200
    connection.request("POST", target, headers=headers)
    assert read_answer(connection).status == status


def test_bodies_have_limits(server):
    path = "/api/hubs/chat/:send"
    headers = bearer(rest_token(server, path)) | {"Content-Type": "application/json"}
    assert request(server, "POST", path, body=b" " * (1 << 20) + b"{}", headers=headers).status == 413


# Secrets


def test_no_secret_is_in_any_log(start_server, attach, meet, hub):
    """Everything that knows a secret happens once, with the most talkative log there is."""
    key = "a-key-that-nobody-should-ever-see-in-a-log-0123"
    service = start_server(
        "--mode", "default", "--log-level", "trace", "--secondary-access-key", SECOND_KEY, "--detailed-errors",
        "--connects-per-second", "100:200", access_key=key)
    secrets = [key, SECOND_KEY]

    def secret(token: str) -> str:
        secrets.append(token)
        # Parts give access, too, if the rest is guessed.
        secrets.extend(part for part in token.split(".")[1:] if len(part) > 20)
        return token

    server = attach(to=service)
    for user in ("ann", "bob"):
        token = secret(client_token(service, hub, user))
        for transport in TRANSPORTS:
            opened = transport(service, f"/client/?hub={hub}", bearer(token))
            secrets.append(opened.negotiated["connectionToken"])
            opened.close()
    # In the query, as browsers do; good, wrong, expired, of another key, and broken.
    good = secret(client_token(service, hub, "cid"))
    wrong = secret(client_token(service, "other"))
    expired = secret(sign(service, f"{service.url}/client/?hub={hub}", lifetime=-4000))
    forged = secret(sign(service, f"{service.url}/client/?hub={hub}", key="x" * 40))
    second = secret(sign(service, f"{service.url}/client/?hub={hub}", key=SECOND_KEY))
    for token in (good, wrong, expired, forged, second, secret("no.token-at-all-but-long-enough.really")):
        with WebSocket(service, f"/client/?hub={hub}&access_token={token}") as socket:
            if socket.answer.status == 101:
                socket.send(TEXT, b'{"protocol":"json","version":1}\x1e')
                opened = server.take_client()
                socket.close()
                server.expect_message(Kind.CLOSE_CONNECTION, connectionId=opened["connectionId"])
        request(service, "POST", f"/client/negotiate?hub={hub}&access_token={token}")
        request(service, "GET", f"/api/hubs/{hub}/users/u", headers=bearer(token))
        request(service, "GET", f"/api/hubs/{hub}/users/u?access_token={token}")
        request(service, "GET", f"/server/?hub={hub}&access_token={token}")
        ServerConnection(service, hub, token=token).close()
    path = f"/api/hubs/{hub}/:generateToken"
    made = request(service, "POST", path, headers=bearer(secret(rest_token(service, path))))
    secret(made.json()["token"])
    # A call that fails, a client that sends nonsense, an app server that does.
    client = meet(server, to=service)
    client.send_bytes(b"nonsense\x1e")
    server.send(b"\x80" * 6)
    server.close()
    assert service.stop() == 0
    log = service.output()
    assert "An app server connected" in log and len(log) > 1_000
    ready = next(line for line in log.splitlines() if "AccessKey=" in line)
    for text in secrets:
        # The line that says where the service is holds the key for scripts; it goes to standard output, not to the log.
        assert text not in log.replace(ready, ""), f"{text[:12]}… is in the log"


def test_headers_of_the_service_are_its_own(attach, visit):
    """§23.16: a client that says it comes from another server, is a diagnostic client, or has another instance."""
    server = attach()
    lies = {"Asrs-Migrate-From": "HOST_x", "ASRS-Instance-Id": "mine", "asrs-is-diagnostic-client": "true", "Asrs-X": "y"}
    visitor = visit(headers=lies)
    opened = server.take_client()
    names = {name.lower(): values for name, values in opened["headers"].items()}
    assert names.pop("asrs-instance-id") != ["mine"]
    assert not [name for name in names if name.startswith("asrs-")]
    assert "authorization" not in names
    visitor.expect_welcome()
