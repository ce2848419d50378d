# SignalBox: what app servers send to many: payloads, users, groups, and what is acknowledged (service reference §10).
# SPDX-License-Identifier: Apache-2.0

import json

import pytest

from harness.appserver.messages import LAYOUTS, Kind, encode
from harness.codec import JSON, MessagePack
from harness.rest import call_rest, rest_send
from harness.sends import SOON, ask, end, ids, number_of, payloads
from harness.server_connection import WEAK
from harness.transports import TransportEnded
from harness.vectors import VECTORS
from test_server_clients import PAIRS

# Payloads


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_a_broadcast_reaches_every_transport_and_protocol(attach, meet, transport, codec):
    """The bytes of the app server, as they are."""
    server = attach()
    client = meet(server, transport=transport, codec=codec)
    # No encoder would write these like that.
    strange = {"json": b' {"arguments" : [ 1.50 ], "target":"\\u006e","type":1 }\x1e',
               "messagepack": bytes.fromhex("0d96d20000000180c0d9016e9090")}
    record = strange[codec.name]
    server.say(Kind.BROADCAST, payloads=strange)
    client.expect_bytes(record)


@pytest.mark.parametrize(("kind", "fields"), [
    (Kind.BROADCAST, {"excludedConnectionIds": [None, "nobody"]}),
    (Kind.GROUP_BROADCAST, {"groupName": "g", "excludedConnectionIds": [None], "excludedUserIds": [None]}),
    (Kind.MULTI_GROUP_BROADCAST, {"groupNames": [None, "g"]}), (Kind.MULTI_USER_DATA, {"userIds": ["u", None]})],
    ids=lambda value: value.name if isinstance(value, Kind) else "")
def test_nil_in_a_list_of_names_is_no_name(attach, meet, kind, fields):
    """App code can put it there (§5.3: nil for a string is legal), and must not take all clients of the connection with it."""
    server = attach()
    client = meet(server, user="u")
    server.say(Kind.JOIN_GROUP, connectionId=client.connection_id, groupName="g")
    server.say(kind, payloads={"json": b'{"type":6}\x1e'}, **fields)
    client.expect_bytes(b'{"type":6}\x1e')


def test_the_name_of_a_protocol_has_no_case(attach, meet):
    server = attach()
    client = meet(server)
    server.say(Kind.BROADCAST, payloads={"MessagePack": b"x", "JSON": b'{"type":6}\x1e'})
    client.expect_bytes(b'{"type":6}\x1e')


def test_a_client_whose_protocol_is_missing_gets_nothing(attach, meet):
    server = attach()
    text, binary = meet(server), meet(server, codec=MessagePack)
    server.say(Kind.BROADCAST, payloads={"json": payloads(1)["json"]})
    server.say(Kind.BROADCAST, payloads={"messagepack": payloads(2)["messagepack"]})
    server.say(Kind.BROADCAST, payloads={})
    assert (number_of(text), number_of(binary)) == (1, 2)
    end(server, text, binary)


def test_a_protocol_of_ones_own_is_relayed(attach, visit):
    """§9.5: blazorpack has the layout of MessagePack; only its name differs."""
    server = attach()
    visitor = visit(codec=MessagePack, hello=b'{"protocol":"blazorpack","version":1}\x1e')
    identifier = server.take_client(protocol="blazorpack")["connectionId"]
    visitor.expect_welcome()
    server.say(Kind.BROADCAST, payloads={"blazorpack": payloads(1)["messagepack"], "messagepack": payloads(2)["messagepack"]})
    server.data(identifier, payloads(3)["messagepack"])
    assert (number_of(visitor), number_of(visitor)) == (1, 3)


# To whom


def test_a_broadcast_leaves_some_out(attach, meet):
    server, other = attach("HOST_a"), attach("HOST_b")
    first, second, third = meet(other), meet(other, codec=MessagePack), meet(other)
    server.say(Kind.BROADCAST, payloads=payloads(1), excludedConnectionIds=ids(first, second) + ["nobody"])
    assert number_of(third) == 1
    end(server, first, second, third)


def test_some_connections(attach, meet):
    server = attach()
    first, second, third = meet(server), meet(server, codec=MessagePack), meet(server)
    server.say(Kind.MULTI_CONNECTION_DATA, connectionIds=[*ids(first, second), "nobody", ""], payloads=payloads(1))
    server.say(Kind.MULTI_CONNECTION_DATA, connectionIds=[], payloads=payloads(2))
    assert (number_of(first), number_of(second)) == (1, 1)
    end(server, first, second, third)


def test_users(attach, meet):
    """§10: case-sensitive, every connection of a user; nobody is no error."""
    server = attach()
    mine, too, upper, nobody = meet(server, user="u"), meet(server, user="u", codec=MessagePack), meet(server, user="U"), meet(server)
    server.say(Kind.USER_DATA, userId="u", payloads=payloads(1))
    server.say(Kind.USER_DATA, userId="nobody", payloads=payloads(2))
    server.say(Kind.USER_DATA, userId="", payloads=payloads(3))
    server.say(Kind.MULTI_USER_DATA, userIds=["U", "u", "nobody"], payloads=payloads(4))
    assert [number_of(mine), number_of(mine), number_of(too), number_of(too), number_of(upper)] == [1, 4, 1, 4, 4]
    end(server, mine, too, upper, nobody)


@pytest.mark.parametrize("claims", [
    {"asrs.s.uid": "me", "nameid": "other"}, {"nameid": "me"}, {"sub": "me"}, {"asrs.s.uid": "me", "sub": "other"},
    {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": "me"}], ids=str)
def test_who_a_user_is(attach, meet, claims):
    """§3.1: asrs.s.uid first."""
    server = attach()
    meet(server, **claims)
    assert ask(server, Kind.CHECK_USER, userId="me") == 1
    assert ask(server, Kind.CHECK_USER, userId="other") == 2


def test_a_user_with_an_empty_name_is_nobody(attach, meet):
    """§3.1: empty means anonymous, whatever the other claims say."""
    server = attach()
    meet(server, **{"asrs.s.uid": "", "nameid": "other"})
    assert ask(server, Kind.CHECK_USER, userId="") == 2


# Closing


CLOSINGS = {
    "a connection": lambda server, gone, stays: server.say(
        Kind.CLOSE_CONNECTION_WITH_ACK, connectionId=gone.connection_id, reason="over", ackId=1),
    "all": lambda server, gone, stays: server.say(
        Kind.CLOSE_CONNECTIONS, reason="over", ackId=1, excludedConnectionIds=ids(stays)),
    "a user": lambda server, gone, stays: server.say(
        Kind.CLOSE_USER_CONNECTIONS, userId="u", reason="over", ackId=1, excludedConnectionIds=ids(stays)),
    "a group": lambda server, gone, stays: server.say(
        Kind.CLOSE_GROUP_CONNECTIONS, groupName="g", reason="over", ackId=1, excludedConnectionIds=ids(stays)),
}


@pytest.mark.parametrize("close", CLOSINGS.values(), ids=CLOSINGS.keys())
def test_clients_can_be_closed(attach, meet, close):
    """§6: 30 to 33; the owner hears of it, the reason reaches the client."""
    owner, weak = attach(), attach(kind=WEAK)
    gone, stays = meet(owner, user="u"), meet(owner, user="u")
    for client in (gone, stays):
        ask(owner, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    close(weak, gone, stays)
    weak.expect_ack(1, 1)
    message = gone.receive()
    assert (message["type"], message["error"]) == (7, "over")
    gone.expect_end()
    owner.expect_message(Kind.CLOSE_CONNECTION, connectionId=gone.connection_id)
    end(owner, stays)


def test_a_weak_connection_closes_any_client(attach, meet):
    """§10: 5 with a reason, from who does not own the client."""
    owner, weak = attach(), attach(kind=WEAK)
    gone, stays = meet(owner, codec=MessagePack), meet(owner)
    weak.say(Kind.CLOSE_CONNECTION, connectionId=gone.connection_id, errorMessage="Zoë says no")
    message = gone.receive()
    assert (message["type"], message["error"]) == (7, "Zoë says no")
    gone.expect_end()
    owner.expect_message(Kind.CLOSE_CONNECTION, connectionId=gone.connection_id)
    end(owner, stays)


def test_a_weak_connection_may_send_everything(attach, meet):
    """§8.2."""
    owner, weak = attach(), attach(kind=WEAK)
    client = meet(owner, user="u")
    assert ask(weak, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g") == 1
    weak.say(Kind.BROADCAST, payloads=payloads(1))
    weak.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(2))
    weak.say(Kind.USER_DATA, userId="u", payloads=payloads(3))
    weak.say(Kind.MULTI_CONNECTION_DATA, connectionIds=ids(client), payloads=payloads(4))
    assert [number_of(client) for _ in range(4)] == [1, 2, 3, 4]
    end(owner, client)


# Older SDKs


@pytest.mark.parametrize("kind", [7, 8, 9, 10, 13, 14])
def test_sends_of_older_sdks(attach, meet, kind):
    """§6: 3 items, 4 to 6 for a group."""
    server = attach()
    client = meet(server, user="u")
    ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    fields = {"connectionIds": ids(client), "userId": "u", "userIds": ["u"], "excludedConnectionIds": [], "groupName": "g",
              "groupNames": ["g"], "payloads": payloads(1)}
    mine = {name: fields[name] for name in LAYOUTS[kind] if name in fields}
    counts = (4, 5, 6) if kind == 13 else (3, 4)
    for count in counts:
        server.send(encode(kind, item_count=count, **mine))
    assert [number_of(client) for _ in counts] == [1] * len(counts)


@pytest.mark.parametrize("kind", [11, 12, 16, 17, 18, 19])
def test_groups_of_older_sdks(attach, meet, kind):
    """§6: without `ext`."""
    server = attach()
    client = meet(server, user="u")
    owner = {"userId": "u"} if kind in (16, 17) else {"connectionId": client.connection_id}
    if kind in (12, 17, 19):
        server.say(kind - 1, **owner, groupName="g", **({"ackId": 9} if kind == 19 else {}))
        if kind == 19:
            server.expect_ack(9, 1)
    acked = {"ackId": 8} if kind in (18, 19) else {}
    server.send(encode(kind, item_count=4 if acked else 3, **owner, groupName="g", **acked))
    if acked:
        server.expect_ack(8, 1)
    assert ask(server, Kind.CHECK_GROUP, groupName="g") == (2 if kind in (12, 17, 19) else 1)


@pytest.mark.parametrize("vector", [
    pytest.param(vector, id=vector["name"]) for vector in VECTORS["messages"]
    if 7 <= vector["message"]["type"] <= 27 and vector["message"]["type"] not in (15, 20, 22)])
def test_every_vector_can_be_sent(attach, vector):
    """§6: read, answered where an ackId asks for it, and nothing else happens."""
    server = attach()
    server.send(vector["framedHex"])
    if "ackId" in vector["message"]:
        server.expect_message(Kind.ACK, ackId=vector["message"]["ackId"])
    server.expect_quiet()


# REST


def test_rest_and_app_servers_see_the_same(attach, meet, service, hub):
    """§9.1: groups, users and fan-out belong to the service."""
    server = attach()
    text, binary = meet(server, user="u"), meet(server, codec=MessagePack)
    for client in (text, binary):
        ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    for path, clients in [("", [text, binary]), ("/groups/g", [text, binary]), ("/users/u", [text]),
                          (f"/connections/{binary.connection_id}", [binary])]:
        assert rest_send(service, hub, path, json.dumps({"target": "news", "arguments": [path]}).encode()).status == 202
        for client in clients:
            assert client.receive() == {"type": 1, "target": "news", "arguments": [path]}
    path = f"/api/hubs/{hub}/groups/h/connections/{text.connection_id}"
    assert call_rest(service, "PUT", path).status == 200
    assert ask(server, Kind.CHECK_GROUP, groupName="h") == 1
    end(server, text, binary)


def test_rest_closes_a_client_of_an_app_server(attach, meet, service, hub):
    """§15.3; the owner hears of it (§9.2.6)."""
    server = attach()
    client = meet(server)
    path = f"/api/hubs/{hub}/connections/{client.connection_id}"
    assert call_rest(service, "DELETE", path, query="&reason=over").status == 200
    assert client.receive()["error"] == "over"
    client.expect_end()
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.connection_id)


# Slow clients


def test_a_slow_client_holds_up_nobody(attach, meet):
    """§10: its queue has a bound, and it is closed; the server connection goes on for everybody else."""
    server = attach()
    slow, quick = meet(server), meet(server)
    record = JSON().encode(SOON | {"arguments": ["x" * 100_000]})
    for _ in range(400):
        server.say(Kind.BROADCAST, payloads={"json": record})
        quick.expect_bytes(record)
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=slow.connection_id)
    with pytest.raises((TransportEnded, EOFError, ConnectionError, AssertionError)):
        while True:
            slow.receive_bytes()
