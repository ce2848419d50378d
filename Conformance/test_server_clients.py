# SignalBox: the life of a client in Default mode, byte for byte, with the test as the app server.
# SPDX-License-Identifier: Apache-2.0

import contextlib
import itertools
import json
import time

import pytest

from harness.appserver.messages import Kind, body, decode, encode
from harness.codec import JSON, MessagePack
from harness.rest import rest_send
from harness.tokens import bearer, client_token
from harness.transports import TRANSPORTS, LongPollingTransport, ServerSentEventsTransport, TransportEnded
from harness.vectors import VECTORS, renamed, scenario
from harness.websocket import TEXT, WebSocket

NAME_ID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
PAIRS = [
    pytest.param(transport, codec, id=f"{transport.kind}-{codec.name}")
    for transport, codec in itertools.product(TRANSPORTS, [JSON, MessagePack])
    if not (transport.is_text_only and codec.is_binary)
]
CALL = {"type": 1, "invocationId": "0", "target": "Echo", "arguments": ["hi"]}


def test_a_client_echoes(attach, visit, hub):
    """The scenario of the vectors, byte for byte but for ids, claims and headers."""
    steps = scenario("server connects, client echoes (json)")
    hello, answer, call, echo, completion, left, fin, acknowledged = *steps[5:7], *steps[7:11], *steps[11:]
    server = attach()
    visitor = visit(hello=decode(body(hello))["payload"])
    opened = server.next()
    identifier = opened["connectionId"]
    assert (opened["type"], identifier, opened["ext"]) == (4, visitor.connection_id, {"protocol": "json"})
    server.expect(renamed(hello, identifier))
    server.send(renamed(answer, identifier))
    visitor.expect_welcome()
    visitor.send_bytes(decode(body(call))["payload"])
    server.expect(renamed(call, identifier))
    server.say(Kind.MULTI_CONNECTION_DATA, connectionIds=[identifier], payloads=decode(body(echo))["payloads"])
    visitor.expect_bytes(decode(body(echo))["payloads"]["json"])
    server.send(renamed(completion, identifier))
    visitor.expect_bytes(decode(body(completion))["payload"])
    visitor.leave()
    server.expect(renamed(left, identifier))
    server.send(fin)
    server.expect(acknowledged)


# OpenConnection (§9.3)


def test_the_frame_of_open_connection(attach, visit):
    """Six items; `ext` has the protocol and nothing else, or old SDKs lose sync (§5.4)."""
    server = attach()
    visit()
    framed = body(server.next_frame())
    assert framed[0] == 0x96 and framed.endswith(bytes.fromhex("8103a46a736f6e"))


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_the_protocol_is_named(attach, meet, codec):
    """§23 trap 6."""
    meet(attach(), codec=codec)


def opened_with(server, visit, **details) -> dict:
    visit(**details)
    return server.expect_message(Kind.OPEN_CONNECTION)


def test_claims_have_their_long_names(attach, visit):
    """§9.3, §23 trap 7: nameid and role are mapped, arrays are one pair each, the service's own claims stay."""
    claims = opened_with(attach(), visit, user="u1", role=["a", "b"], **{"asrs.s.uid": "u1", "plain": "x"})["claims"]
    assert [value for name, value in claims if name == ROLE] == ["a", "b"]
    assert (NAME_ID, "u1") in claims and ("asrs.s.uid", "u1") in claims and ("plain", "x") in claims


@pytest.mark.parametrize(("short", "long"), VECTORS["claimTypeMapInbound"], ids=lambda name: name[-20:])
def test_every_short_name_is_mapped(attach, visit, short, long):
    """The table of the vectors (§9.3)."""
    claims = opened_with(attach(), visit, **{short: "value"})["claims"]
    assert (long, "value") in claims


def test_claims_that_are_no_text(attach, visit):
    """§3: true and false, numbers, and JSON text for what is inside."""
    claims = opened_with(attach(), visit, yes=True, no=False, number=17, thing={"a": [1]}, several=["x", 2, False])["claims"]
    for pair in [("yes", "true"), ("no", "false"), ("number", "17")]:
        assert pair in claims
    assert json.loads(dict(claims)["thing"]) == {"a": [1]}
    assert [value for name, value in claims if name == "several"] == ["x", "2", "false"]


def test_claims_of_the_user_that_collide_stay_as_they_are(attach, visit):
    """§3.1: the SDK renames them."""
    claims = opened_with(attach(), visit, **{"asrs.u.jti": "B", "asrs.s.nt": "n", "asrs.s.rt": "r"})["claims"]
    assert {("asrs.u.jti", "B"), ("asrs.s.nt", "n"), ("asrs.s.rt", "r")} <= set(claims)


def headers_of(opened: dict) -> dict[str, list[str]]:
    return {name.lower(): values for name, values in opened["headers"].items()}


def test_headers_are_those_of_the_client(service, attach, visit):
    """§9.3: but for hop-by-hop ones and Authorization; with the client's address and this node's name."""
    headers = headers_of(opened_with(attach(), visit, headers={"X-Test": "one, two", "User-Agent": "visitor/1"}))
    assert (headers["x-test"], headers["user-agent"]) in ((["one, two"], ["visitor/1"]), (["one", "two"], ["visitor/1"]))
    assert headers["x-forwarded-for"][0].split(",")[0].strip() == "127.0.0.1"
    assert headers["host"] == [f"{service.host}:{service.port}"]
    assert len(headers["asrs-instance-id"]) == 1 and headers["asrs-instance-id"][0]
    assert not headers.keys() & {
        "authorization", "connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding", "proxy-authorization",
        "proxy-connection", "asrs-is-diagnostic-client", "asrs-migrate-from"}


def test_clients_cannot_speak_for_the_service(attach, visit):
    """§9.3, §23 trap 16."""
    mine = {"Asrs-Migrate-From": "HOST_x", "asrs-instance-id": "mine", "ASRS-Is-Diagnostic-Client": "true", "Asrs-Other": "x"}
    headers = headers_of(opened_with(attach(), visit, headers=mine))
    assert not headers.keys() & {"asrs-migrate-from", "asrs-is-diagnostic-client", "asrs-other"}
    assert headers["asrs-instance-id"] != ["mine"]


def test_a_diagnostic_client_is_marked(attach, visit):
    """§3.1."""
    headers = headers_of(opened_with(attach(), visit, **{"asrs.s.dc": "true"}))
    assert headers["asrs-is-diagnostic-client"] == ["true"]


def test_the_query_is_that_of_the_client(attach, visit, hub):
    """§9.3, §23 trap 13: with `?`, without the token and the id of the connection."""
    query = "&asrs.op=%2Fuser%2Fpath&customKey=a%20b&asrs_request_id=%3Fa%3Dc"
    text = opened_with(attach(), visit, query=query)["queryString"]
    assert text.startswith("?") and f"hub={hub}" in text and query.lstrip("&") in text
    assert "access_token=" not in text and "&id=" not in text and "?id=" not in text


def test_a_token_in_the_query_does_not_leak(service, attach, hub):
    server = attach()
    token = client_token(service, hub)
    with WebSocket(service, f"/client/?access_token={token}&hub={hub}&mine=1") as client:
        assert client.answer.status == 101
        client.send(TEXT, b'{"protocol":"json","version":1}\x1e')
        opened = server.expect_message(Kind.OPEN_CONNECTION)
        assert token not in str(opened)
        assert opened["queryString"] in (f"?hub={hub}&mine=1", f"?mine=1&hub={hub}")


def test_ids_are_opaque_and_new(attach, visit):
    """§4."""
    server, ids = attach(), set()
    for _ in range(5):
        visit()
        ids.add(server.take_client()["connectionId"])
    assert len(ids) == 5
    assert all(len(identifier) >= 20 and identifier.replace("-", "").replace("_", "").isalnum() for identifier in ids)


# The handshake of the hub (§9.2)


@pytest.mark.parametrize("hello", [
    b'{"protocol":"json","version":1}\x1e', b' { "version" : 1 , "x" : [ {} ] , "protocol" : "json" } \x1e',
    b'{"protocol":"json","version":2}\x1e', '{"protocol":"json","version":1,"name":"Zoë"}\x1e'.encode(),
])
def test_the_handshake_is_handed_on_as_it_is(attach, visit, hello):
    """§9.2.3: the raw bytes."""
    server = attach()
    visitor = visit(hello=hello)
    opened = server.expect_message(Kind.OPEN_CONNECTION, ext={"protocol": "json"})
    server.expect(encode(Kind.CONNECTION_DATA, connectionId=opened["connectionId"], payload=hello))
    assert visitor.connection_id == opened["connectionId"]


def test_a_handshake_may_come_in_pieces(attach, visit):
    server = attach()
    visitor = visit(hello=b'{"prot')
    visitor.send_bytes(b'ocol":"json","version":1}')
    visitor.send_bytes(b"\x1e")
    server.take_client()
    visitor.expect_welcome()


def test_what_follows_the_handshake_waits_for_nothing(attach, visit):
    """§9.2.3: handed on behind it, though the app server has not answered yet."""
    server = attach()
    call = JSON().encode(CALL)
    visitor = visit(hello=b'{"protocol":"json","version":1}\x1e' + call)
    opened = server.expect_message(Kind.OPEN_CONNECTION)
    server.expect_data(opened["connectionId"], b'{"protocol":"json","version":1}\x1e' + call)
    visitor.send_bytes(call)
    server.expect_data(opened["connectionId"], call)


@pytest.mark.parametrize("error", ["Zoë", "The protocol 'json' is not supported."])
def test_a_refusal_of_the_app_server_reaches_the_client(attach, visit, error):
    """§9.2.4."""
    server, answer = attach(), json.dumps({"error": error}, ensure_ascii=False).encode() + b"\x1e"
    visitor = visit()
    identifier = server.take_client(answer)["connectionId"]
    server.say(Kind.CLOSE_CONNECTION, connectionId=identifier)
    assert visitor.expect_refusal() == error
    visitor.expect_end()
    server.expect_quiet()


def test_a_client_that_says_nothing_is_nobodys_client(attach, service, hub):
    """§9.2.1, §3.1: asrs.s.cht seconds; the app server never hears of it."""
    server = attach()
    headers = bearer(client_token(service, hub, **{"asrs.s.cht": 1}))
    with WebSocket(service, f"/client/?hub={hub}", headers) as client:
        client.receive_close()
    server.expect_quiet()


@pytest.mark.parametrize("hello", [
    b"hello\x1e", b"{}\x1e", b"[]\x1e", b'{"protocol":1,"version":1}\x1e', b'{"protocol":"json"}\x1e', b"\x1e", b"\xff\x1e",
    b'{"protocol":"","version":1}\x1e', b'{"type":6}\x1e'])
def test_what_is_no_handshake_ends_the_client(attach, visit, hello):
    """§9.2.1: the app server never hears of it."""
    server = attach()
    visitor = visit(hello=hello)
    with contextlib.suppress(TransportEnded, AssertionError):
        while True:
            assert b'"error"' in visitor.receive_bytes()
    server.expect_quiet()


# Both ways (§9.2.5)


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_bytes_go_both_ways_as_they_are(attach, meet, transport, codec):
    server = attach()
    client = meet(server, transport=transport, codec=codec)
    call = client.codec.encode(CALL | {"arguments": ["Zoë 🚦", 1.5, None, [{}]]})
    client.send_bytes(call)
    server.expect_data(client.connection_id, call)
    answer = client.codec.encode({"type": 3, "invocationId": "0", "result": "Zoë 🚦"})
    server.data(client.connection_id, answer)
    client.expect_bytes(answer)


@pytest.mark.parametrize("codec", [JSON, MessagePack])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_slices_are_put_together_for_the_client(attach, meet, codec, size):
    """§9.2, §23 trap 9: every WebSocket message ends where a message ends."""
    server = attach()
    client = meet(server, codec=codec)
    messages = [client.codec.encode({"type": 1, "target": "news", "arguments": ["x" * length]}) for length in (0, 5, 300, 2)]
    stream = b"".join(messages)
    for start in range(0, len(stream), size):
        server.data(client.connection_id, stream[start:start + size])
    client.expect_bytes(stream)


def test_slices_of_the_handshake_answer_are_put_together(attach, visit):
    server = attach()
    visitor = visit()
    identifier = server.take_client(b"{")["connectionId"]
    server.data(identifier, b"}")
    server.data(identifier, b'\x1e{"type":')
    server.data(identifier, b"6}\x1e")
    visitor.expect_welcome()
    visitor.expect_bytes(b'{"type":6}\x1e')


def test_pieces_that_are_marked_partial_are_put_together(attach, meet):
    """§12, §5.4 key 6."""
    server = attach()
    client = meet(server)
    server.data(client.connection_id, b'{"type"', ext={"isPartial": True})
    server.data(client.connection_id, b":6}\x1e", ext={"dataMessageType": 3, "isPartial": False})
    client.expect_bytes(b'{"type":6}\x1e')


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_large_messages_go_both_ways(attach, meet, codec):
    """§20: in pieces towards the app server, whole towards the client."""
    server = attach()
    client = meet(server, codec=codec)
    large = client.codec.encode(CALL | {"arguments": ["x" * 20_000]})
    client.send_bytes(large)
    server.expect_data(client.connection_id, large)
    large = client.codec.encode({"type": 1, "target": "news", "arguments": ["y" * 800_000]})
    server.data(client.connection_id, large)
    client.expect_bytes(large)


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_what_a_client_says_may_be_large(attach, meet, transport, codec):
    """§20: 1 MB over SSE and long polling, no limit is stated for WebSockets; the app server's hub has its own (§9.1)."""
    server = attach()
    client = meet(server, transport=transport, codec=codec)
    large = client.codec.encode(CALL | {"arguments": ["x" * 900_000]})
    client.send_bytes(large)
    server.expect_data(client.connection_id, large)


def test_the_order_is_kept(attach, meet):
    """§10: one server connection, one client, several kinds of messages."""
    server = attach()
    client = meet(server, user="u")
    server.say(Kind.JOIN_GROUP, connectionId=client.connection_id, groupName="g")
    expected = []
    for number in range(300):
        payload = b'{"type":1,"target":"n","arguments":[%d]}\x1e' % number
        expected.append(payload)
        [lambda: server.data(client.connection_id, payload),
         lambda: server.say(Kind.BROADCAST, payloads={"json": payload}),
         lambda: server.say(Kind.MULTI_CONNECTION_DATA, connectionIds=[client.connection_id], payloads={"json": payload}),
         lambda: server.say(Kind.GROUP_BROADCAST, groupName="g", payloads={"json": payload}),
         lambda: server.say(Kind.USER_DATA, userId="u", payloads={"json": payload})][number % 5]()
    client.expect_bytes(*expected)


@pytest.mark.parametrize("fields", [
    {"connectionId": "nobody", "payload": b"{}\x1e"}, {"connectionId": "", "payload": b""}], ids=str)
def test_data_for_nobody_is_ignored(attach, meet, fields):
    """§9.2.7."""
    server = attach()
    client = meet(server)
    server.say(Kind.CONNECTION_DATA, **fields)
    server.say(Kind.CLOSE_CONNECTION, connectionId=fields["connectionId"])
    server.data(client.connection_id, b'{"type":6}\x1e')
    client.expect_bytes(b'{"type":6}\x1e')
    server.expect_quiet()


# The gate (§9.2.4, §9.2.5, §23 trap 8)


def test_nothing_overtakes_the_answer_to_the_handshake(attach, visit, hub):
    """Joins and acks at once; data waits for the gate, in order, and reaches the client behind the answer."""
    server = attach()
    visitor = visit(user="u")
    identifier = server.expect_message(Kind.OPEN_CONNECTION)["connectionId"]
    server.expect_message(Kind.CONNECTION_DATA)
    server.say(Kind.JOIN_GROUP_WITH_ACK, connectionId=identifier, groupName="g", ackId=1)
    server.expect_ack(1, 1)
    records = [b'{"type":1,"target":"n","arguments":[%d]}\x1e' % number for number in range(6)]
    payloads = [{"json": record} for record in records]
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads[0])
    server.say(Kind.BROADCAST, payloads=payloads[1])
    server.say(Kind.USER_DATA, userId="u", payloads=payloads[2])
    server.say(Kind.MULTI_CONNECTION_DATA, connectionIds=[identifier], payloads=payloads[3])
    server.say(Kind.MULTI_USER_DATA, userIds=["u"], payloads=payloads[4])
    server.say(Kind.MULTI_GROUP_BROADCAST, groupNames=["g"], payloads=payloads[5])
    server.say(Kind.CHECK_USER, userId="u", ackId=2)
    server.expect_ack(2, 1)
    server.data(identifier, b"{}\x1e", ext={"dataMessageType": 1})
    visitor.expect_welcome()
    visitor.expect_bytes(*records)


def test_rest_waits_at_the_gate_too(attach, visit, service, hub):
    server = attach()
    visitor = visit()
    identifier = server.expect_message(Kind.OPEN_CONNECTION)["connectionId"]
    server.expect_message(Kind.CONNECTION_DATA)
    assert rest_send(service, hub, body=b'{"target":"news"}').status == 202
    server.data(identifier, b"{}\x1e")
    visitor.expect_welcome()
    assert visitor.receive() == {"type": 1, "target": "news", "arguments": []}


def test_keeping_alive_is_between_the_app_and_its_client(start_server, attach, meet):
    """§9.1: no pings and no timeout of the service's own; two of its pings to the app server are more than 4 seconds."""
    service = start_server("--mode", "default", "--keep-alive-interval", "1", "--client-timeout", "2")
    server = attach(to=service)
    client = meet(server, to=service)
    for _ in range(2):
        server.wait_for_ping()
    server.data(client.connection_id, b'{"type":1,"target":"n","arguments":[]}\x1e')
    client.expect_bytes(b'{"type":1,"target":"n","arguments":[]}\x1e')


def test_a_polling_client_that_pauses_for_too_long_is_gone(attach, meet):
    """§3.1: asrs.s.ttl, the longest time between two polls in seconds."""
    server = attach()
    patient, quick = (meet(server, transport=LongPollingTransport, **{"asrs.s.ttl": seconds}) for seconds in (4, 1))
    for client in (quick, patient):
        server.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.connection_id)


# The end (§9.2.6)


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.kind)
def test_a_client_that_leaves_is_reported(attach, meet, transport):
    """§9.2.6: 5 with an empty error; at once gone from users."""
    server = attach()
    client = meet(server, user="u", transport=transport)
    client.leave()
    message = server.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.connection_id, headers={}, ext={})
    if transport is not ServerSentEventsTransport:  # which cannot say goodbye
        assert message["errorMessage"] == ""
    server.say(Kind.CHECK_USER, userId="u", ackId=1)
    server.expect_ack(1, 2)
    server.say(Kind.CHECK_CONNECTION, connectionId=client.connection_id, ackId=2)
    server.expect_ack(2, 2)


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_an_app_server_can_end_a_client(attach, meet, transport, codec):
    """§9.2.6: what is pending goes out first; 5 is not answered by 5."""
    server = attach()
    client = meet(server, transport=transport, codec=codec)
    close = client.codec.encode({"type": 7, "error": "enough"})
    server.data(client.connection_id, close, ext={"dataMessageType": 4})
    server.say(Kind.CLOSE_CONNECTION, connectionId=client.connection_id)
    client.expect_bytes(close)
    client.expect_end()
    server.expect_quiet()


@pytest.mark.parametrize("vector", [
    pytest.param(vector, id=vector["name"]) for vector in VECTORS["messages"]
    if vector["message"]["type"] == 5 and not vector["message"].get("headers")])
def test_every_form_of_close_is_read(attach, meet, vector):
    """§6: 3, 4 and 5 items."""
    server = attach()
    client = meet(server)
    message = {name: value for name, value in vector["message"].items() if name not in ("typeName", "$itemCount", "type")}
    server.send(encode(5, item_count=vector["message"]["$itemCount"], **(message | {"connectionId": client.connection_id})))
    while True:
        try:
            client.receive_bytes()
        except TransportEnded:
            break
    server.expect_quiet()


def test_a_client_has_a_last_word(attach, meet):
    """What it sent before it left reaches the app server before its end is told."""
    server = attach()
    client = meet(server)
    call = JSON().encode(CALL)
    for _ in range(100):
        client.send_bytes(call)
    client.leave()
    server.expect_data(client.connection_id, 100 * call)
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.connection_id)


def test_an_expired_login_ends_the_client(attach, meet):
    """§3.1: asrs.s.coae with asrs.s.aeo; a Close that lets it come back."""
    server = attach()
    client = meet(server, **{"asrs.s.coae": "true", "asrs.s.aeo": str(int(time.time()) + 2)})
    close = client.receive()
    assert (close["type"], close.get("allowReconnect")) == (7, True)
    client.expect_end()
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.connection_id)
