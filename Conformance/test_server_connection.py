# SignalBox: server connections: who may open one, its handshake, pings, and what may be wrong with what it says.
# SPDX-License-Identifier: Apache-2.0

import re

import msgpack
import pytest

from harness.appserver.endpoint import Endpoint
from harness.appserver.messages import Kind, body, decode, encode, frame, ping
from harness.http import eventually, request
from harness.server_connection import KEEP_ALIVE, WEAK, WELCOME, ServerConnection
from harness.tokens import sign
from harness.vectors import VECTORS
from harness.websocket import BINARY, CLOSE, PING, PONG, TEXT

HELLO = "0897010100a00080c2"


def connect(service, hub, **details) -> ServerConnection:
    return ServerConnection(service, hub, **details)


# The upgrade (§5.1)


@pytest.mark.parametrize("path", ["/server/", "/server"])
def test_the_path_may_end_in_a_slash(service, hub, path):
    """§23 trap 19."""
    with connect(service, hub, path=path) as server:
        server.shake_hands()


@pytest.mark.parametrize("audience", [
    "http://127.0.0.1/server/?hub={hub}", "http://127.0.0.1:1/server/?hub={hub}", "https://elsewhere.test/server/?hub={hub}",
    "http://127.0.0.1/server?hub={hub}", "http://127.0.0.1/server/?hub={HUB}", ["x", "http://127.0.0.1/server/?hub={hub}"],
], ids=str)
def test_the_audience_is_compared_as_sdks_write_it(service, hub, audience):
    """§3: without port, slash and case of the hub; §23 trap 1."""
    texts = [text.format(hub=hub, HUB=hub.upper()) for text in ([audience] if isinstance(audience, str) else audience)]
    with connect(service, hub, token=sign(service, texts, nameid="HOST_1")) as server:
        server.shake_hands()


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_both_algorithms_are_good(service, hub, algorithm):
    """§3; the key's id is random in every process, and must not matter."""
    token = Endpoint(service.connection_string).server_token(hub, "HOST_1", algorithm=algorithm)
    with connect(service, hub, token=token) as server:
        server.shake_hands()


def test_the_token_may_be_in_the_query(service, hub):
    """§3: `access_token` for upgrades to WebSocket."""
    token = Endpoint(service.connection_string).server_token(hub, "HOST_1")
    with connect(service, hub, query=f"&access_token={token}", headers={"Authorization": None}) as server:
        server.shake_hands()


@pytest.mark.parametrize("audience", [
    "http://127.0.0.1/client/?hub={hub}", "http://127.0.0.1/server/?hub=other", "http://127.0.0.1/server/",
    "http://127.0.0.1/api/hubs/{hub}/:send", "http://127.0.0.1/aspnetserver/?hub={hub}",
])
def test_a_token_for_another_place_is_refused(service, hub, audience):
    with connect(service, hub, token=sign(service, audience.format(hub=hub))) as server:
        assert server.socket.answer.status == 401


@pytest.mark.parametrize("details", [{"key": "another key of more than 32 characters"}, {"lifetime": -3600}], ids=str)
def test_a_token_that_is_not_good_is_refused(service, hub, details):
    token = Endpoint(service.connection_string).server_token(hub, "HOST_1", **details)
    with connect(service, hub, token=token) as server:
        assert server.socket.answer.status == 401


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "x" * 8000], ids=lambda token: str(token)[:5])
def test_a_token_is_needed(service, hub, token):
    authorization = None if token is None else f"Bearer {token}"
    with connect(service, hub, headers={"Authorization": authorization}) as server:
        assert server.socket.answer.status == 401


@pytest.mark.parametrize("query", ["", "?hub=", "?hub={hub}&hub=other"])
def test_a_hub_is_named_once(service, hub, query):
    """§3: 400, or 401 since no audience can agree with it."""
    token = Endpoint(service.connection_string).server_token(hub, "HOST_1")
    answer = request(service, "GET", f"/server/{query.format(hub=hub)}", headers={
        "Authorization": f"Bearer {token}", "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert answer.status in (400, 401)


def test_what_is_no_upgrade_is_refused(service, hub):
    token = Endpoint(service.connection_string).server_token(hub, "HOST_1")
    answer = request(service, "GET", f"/server/?hub={hub}", headers={"Authorization": f"Bearer {token}"})
    assert 400 <= answer.status < 500


def test_serverless_has_no_place_for_app_servers(start_server, hub):
    """§13: only Weak server connections are accepted; the type comes with the handshake."""
    serverless = start_server("--mode", "serverless")
    with connect(serverless, hub) as weak:
        weak.shake_hands(WEAK)
    with connect(serverless, hub) as server:
        if server.is_open:
            server.send(HELLO)
            assert server.expect_message(Kind.HANDSHAKE_RESPONSE)["errorMessage"]
        else:
            assert server.socket.answer.status == 403


# The handshake (§8.1, §6.1)


@pytest.mark.parametrize("vector", [
    pytest.param(vector, id=vector["name"]) for vector in VECTORS["messages"] if vector["message"]["type"] == 1])
def test_every_form_of_the_handshake_is_answered(service, hub, vector):
    """Arrays of 2, 4, 5, 6 and 7 items (§6). One of type OnDemand for a target that was not asked for may be refused
    (§6.1)."""
    with connect(service, hub) as server:
        server.send(vector["framedHex"])
        if vector["message"].get("target"):
            server.expect_message(Kind.HANDSHAKE_RESPONSE, ext={})
        else:
            server.expect(WELCOME)


def test_nothing_comes_before_the_handshake_response(service, hub, attach):
    """§23 trap 4: not even a ping, while another server connection gets its first."""
    with connect(service, hub) as late:
        attach().wait_for_ping()
        late.send(HELLO)
        late.expect(WELCOME)
        assert late.pings == 0


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_is_told_so(service, hub, version):
    with connect(service, hub) as server:
        server.say(Kind.HANDSHAKE_REQUEST, version=version)
        assert server.expect_message(Kind.HANDSHAKE_RESPONSE)["errorMessage"]


def test_a_handshake_may_come_byte_by_byte(service, hub):
    """§5.1: message boundaries mean nothing."""
    with connect(service, hub) as server:
        for byte in bytes.fromhex(HELLO):
            server.send(bytes([byte]))
        server.expect(WELCOME)


def test_messages_may_come_together_and_in_pieces(service, hub):
    """§5.1, with what follows the handshake in one WebSocket message."""
    with connect(service, hub) as server:
        stream = bytes.fromhex(HELLO) + 3 * encode(Kind.CHECK_GROUP, groupName="nobody", ackId=7)
        server.send(stream[:-20])
        server.expect(WELCOME)
        server.send(stream[-20:-3])
        server.send(stream[-3:])
        for _ in range(3):
            server.expect_ack(7, 2)


def test_fragments_are_joined(service, hub):
    """RFC 6455 §5.4, with a ping between them."""
    with connect(service, hub) as server:
        hello = bytes.fromhex(HELLO)
        server.socket.send(BINARY, hello[:3], final=False)
        server.socket.send(PING, b"between")
        server.socket.send(0, hello[3:])
        assert (server.socket.receive().opcode, server.next_frame()) == (PONG, WELCOME)


@pytest.mark.parametrize("first", [
    KEEP_ALIVE, ping("status", "1"), encode(Kind.BROADCAST, payloads={"json": b"{}\x1e"}), frame(b"\x91\x01"),
    frame(b"\x92\x01\xa1x"), frame(b"\x90"), frame(b"\xc0"), frame(b"\x80"), b"\x00", b"\x80" * 6,
], ids=lambda data: data.hex()[:16])
def test_who_does_not_shake_hands_is_let_in_nowhere(service, hub, attach, first):
    """§8: what comes first must be the handshake. Others do not notice."""
    with connect(service, hub) as server:
        server.send(first)
        server.expect_end()
    attach().expect_quiet()


# Pings (§7)


def test_the_service_pings_first_and_often(attach):
    """§7, §23 trap 3: every 5 seconds; 10 would do."""
    server = attach()
    first = server.wait_for_ping()
    assert server.wait_for_ping() - first < 10


def test_a_keep_alive_of_an_sdk_is_no_question(attach):
    server = attach()
    server.send("1b9503ac23636c69656e74496e487562a132a723636c69656e74a137")
    server.send(KEEP_ALIVE)
    server.expect_quiet()


def test_the_status_tells_how_much_is_there(attach, meet):
    """§7: status, clientcount, servercount, capacity, in this order and as strings; on the same server connection."""
    server, other = attach(), attach()
    meet(server)
    server.send("0b9303a6737461747573a131")
    framed = server.next_frame()
    assert framed.hex()[2:].startswith("9903a6737461747573a1")
    pairs = decode(body(framed))["pairs"]
    status = dict(zip(pairs[::2], pairs[1::2]))
    assert list(status) == ["status", "clientcount", "servercount", "capacity"]
    assert (status["status"], int(status["clientcount"])) == ("1", 1)
    assert int(status["servercount"]) >= 1 and int(status["capacity"]) >= 1
    other.expect_quiet()


def test_a_status_question_may_bring_more(attach):
    """§7: several pairs; an odd item at the end is ignored."""
    server = attach()
    server.send(ping("clientcount", "3", "status", "0", "odd"))
    assert server.expect_message(Kind.PING)["pairs"][0] == "status"


def test_the_names_of_servers_are_told(attach):
    """§7: `<ticks>:<id>;<id>`, each app server once; the colon must be there (§23 trap 10)."""
    first, second = attach("HOST_a"), attach("HOST_b")
    attach("HOST_b")
    for server in (first, second):
        server.send("0b9303a773657276657273a0")
        key, value = server.expect_message(Kind.PING)["pairs"]
        assert key == "servers"
        ticks, names = re.fullmatch(r"(\d+):(.*)", value).groups()
        assert sorted(names.split(";")) == ["HOST_a", "HOST_b"] and int(ticks) >= 0


def test_a_server_that_left_is_named_no_more(attach):
    first, second = attach("HOST_a"), attach("HOST_b")
    second.socket.send(CLOSE, b"\x03\xe8")
    second.expect_end()

    def names() -> str:
        first.send("0b9303a773657276657273a0")
        return first.expect_message(Kind.PING)["pairs"][1].split(":")[1]

    eventually(lambda: names() == "HOST_a")


@pytest.mark.parametrize("fin", [
    "119303a873687574646f776ea566696e3a30", "119303a873687574646f776ea566696e3a31", "119303a873687574646f776ea566696e3a32"])
def test_fin_is_acknowledged_every_time(attach, fin):
    """§7, §14.2: the SDK asks again every 5 seconds."""
    server = attach(migration=1)
    for _ in range(2):
        server.send(fin)
        server.expect("129303a873687574646f776ea666696e61636b")


# What may be wrong (§5.2, §5.3)

UNKNOWN = {
    "type 0": [0], "type 41": [41, "c", {}], "type 99": [99, {"a": [1, 2.5, None, True]}, b"x"], "a huge type": [1 << 60],
    "a negative type": [-1], "answer of a service": [2, "", {}, None], "service error": [15, "x"],
    "warning": [22, 1, "x", 3, "x", {}], "mapping": [37, "i", "c", "x", {}], "ack": [20, 1, 1, "", {}],
    "key request": [28, "token", None, {}],
}


@pytest.mark.parametrize("items", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_the_service_does_not_know_is_ignored(attach, items):
    """§5.3: the whole frame; §6 lists what only the service says."""
    server = attach()
    server.send(frame(msgpack.packb(items)))
    server.send(encode(Kind.CHECK_CONNECTION, connectionId="nobody", ackId=3))
    while (message := server.next())["type"] != Kind.ACK:
        assert message["type"] in (Kind.ACCESS_KEY_RESPONSE, Kind.SERVICE_EVENT), message
    assert (message["ackId"], message["status"]) == (3, 2)


@pytest.mark.parametrize("ext", [{99: [1, {"a": b"x"}]}, {1: 1 << 63}, {200: "value"}, {4: "", 7: None, 1: 5}], ids=str)
def test_members_that_the_service_does_not_know_are_skipped(attach, ext):
    """§5.4."""
    server = attach()
    server.say(Kind.CHECK_USER, userId="nobody", ackId=3, ext=ext)
    server.expect_ack(3, 2)


def test_surplus_items_are_ignored(attach):
    """§5.3."""
    server = attach()
    server.send(frame(msgpack.packb([25, "nobody", 3, {}, "more", [1], {"a": None}])))
    server.expect_ack(3, 2)


def test_what_follows_the_array_is_ignored(attach):
    """Vectors: trailingData."""
    server = attach()
    server.send(frame(msgpack.packb([25, "nobody", 3, {}]) + b"\xa2ex"))
    server.expect_ack(3, 2)


@pytest.mark.parametrize("number", ["03", "cc03", "cd0003", "ce00000003", "cf0000000000000003", "d003", "d10003",
                                    "d200000003", "d30000000000000003"])
def test_integers_may_have_any_width(attach, number):
    """§5.3."""
    server = attach()
    server.send(frame(bytes.fromhex("9419a66e6f626f6479" + number + "80")))
    server.expect_ack(3, 2)


@pytest.mark.parametrize("name", ["a66e6f626f6479", "d9066e6f626f6479", "da00066e6f626f6479", "db000000066e6f626f6479"])
def test_strings_may_have_any_width(attach, name):
    """§5.3."""
    server = attach()
    server.send(frame(bytes.fromhex("9419" + name + "0380")))
    server.expect_ack(3, 2)


NONSENSE = {
    "a type that is no number": b"\x91\xa1x", "no items": b"\x90", "no array": b"\xa1x", "nil for a map": b"\x94\x0a\x90\xc0\x80",
    "a number for an id": b"\x94\x06\x01\xc4\x00\x80", "half of a string": b"\x94\x19\xa9nobo", "a byte that means nothing": b"\x91\xc1",
    "an array that is not there": b"\xdd\xff\xff\xff\xff\x06", "a map that is not there": b"\x94\x0a\x90\xdf\xff\xff\xff\xff\x80",
    "bytes that are not there": b"\x94\x06\xa1c\xc6\xff\xff\xff\xff", "a deep well": b"\x94\x06\xa1c\xc4\x00" + b"\x91" * 100_000,
    "text that is no UTF-8": b"\x94\x19\xa2\xff\xfe\x03\x80", "nothing": b"",
}


@pytest.mark.parametrize("payload", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_harms_nobody_else(attach, meet, payload):
    """The connection may end or go on; other server connections and their clients do not notice."""
    victim, server = attach(), attach("HOST_b")
    victim.send(frame(payload))
    victim.close()
    server.expect_quiet()
    client = meet(server)
    server.data(client.connection_id, b'{"type":6}\x1e')
    client.expect_bytes(b'{"type":6}\x1e')


@pytest.mark.parametrize("prefix", ["808080808001", "ffffffff0f", "ffffffffff"])
def test_a_length_that_cannot_be_ends_the_connection(attach, prefix):
    """§5.2: a prefix of more than 5 bytes, or above 2^31-1, is fatal."""
    server, other = attach(), attach()
    server.send(prefix)
    server.expect_end()
    other.expect_quiet()


def test_text_harms_nobody(attach):
    """§5.1: text frames are not used."""
    server, other = attach(), attach()
    server.socket.send(TEXT, b"hello")
    other.expect_quiet()


def test_an_entra_key_cannot_be_had(attach):
    """§6.1: 28 is answered by a key or by an error, never by silence that breaks the rest."""
    server = attach()
    server.send("0a941ca5746f6b656ec080")
    server.say(Kind.CHECK_USER, userId="nobody", ackId=1)
    kinds = []
    while not kinds or kinds[-1]["type"] != Kind.ACK:
        kinds.append(server.next())
    assert [message["type"] for message in kinds[:-1]] in ([], [Kind.ACCESS_KEY_RESPONSE])
