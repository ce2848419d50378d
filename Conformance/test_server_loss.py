# SignalBox: app servers that stop, break and come back, and what their clients see (service reference §8, §12 to §14).
# SPDX-License-Identifier: Apache-2.0

import select
import socket

import pytest

from harness.appserver.messages import Kind, encode
from harness.codec import JSON, MessagePack
from harness.http import negotiate
from harness.server import PATIENCE
from harness.tokens import bearer, client_token
from harness.websocket import CLOSE, TEXT, WebSocket, frame
from test_server_clients import PAIRS

FIN_ACK = "129303a873687574646f776ea666696e61636b"
LOST = "Connection closed with an error."
WAYS = {
    "reset": lambda server: (server.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"), server.close()),
    "the end of TCP": lambda server: server.close(),
    "an error": lambda server: server.socket.send(CLOSE, b"\x03\xf3"),
    "nonsense": lambda server: server.send(b"\x80" * 6),
}


# Loss (§8.5)


@pytest.mark.parametrize("lose", WAYS.values(), ids=WAYS.keys())
def test_clients_of_a_lost_connection_may_come_back(attach, meet, lose):
    """The Close lets them reconnect (§23 trap 20); those of other server connections do not notice."""
    lost, stays = attach("HOST_a"), attach("HOST_b")
    gone = [meet(lost, codec=codec) for codec in (JSON, MessagePack)]
    other = meet(stays)
    lose(lost)
    for client in gone:
        client.expect_close(LOST)
    for client in gone:
        stays.say(Kind.CHECK_CONNECTION, connectionId=client.connection_id, ackId=1)
        stays.expect_ack(1, 2)
    stays.data(other.connection_id, b'{"type":6}\x1e')
    other.expect_bytes(b'{"type":6}\x1e')


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_the_bytes_of_the_close(attach, meet, transport, codec):
    """§8.5, §9.5: byte for byte."""
    server = attach()
    client = meet(server, transport=transport, codec=codec)
    server.close()
    client.expect_bytes({
        "json": b'{"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e',
        "messagepack": bytes.fromhex("259307d920") + LOST.encode() + b"\xc3"}[codec.name])
    client.expect_end()


def test_a_client_that_was_not_answered_yet_is_ended(attach, visit):
    """§8.5: before the answer to its handshake there is no Close; the transport ends or the handshake fails."""
    server = attach()
    visitor = visit()
    server.expect_message(Kind.OPEN_CONNECTION)
    server.close()
    frame = visitor.transport.socket.receive()
    while frame.opcode != CLOSE:
        assert b'"error"' in frame.payload, frame
        frame = visitor.transport.socket.receive()


def test_groups_of_lost_clients_are_empty(attach, meet):
    lost, stays = attach("HOST_a"), attach("HOST_b")
    client = meet(lost, user="u")
    stays.say(Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g", ackId=1)
    stays.expect_ack(1, 1)
    lost.close()
    client.expect_close(LOST)
    for number, (kind, fields) in enumerate([(Kind.CHECK_GROUP, {"groupName": "g"}), (Kind.CHECK_USER, {"userId": "u"})]):
        stays.say(kind, ackId=number, **fields)
        stays.expect_ack(number, 2)


def test_the_last_words_of_a_lost_server_arrive(attach, meet):
    """What it sent before its end goes to its clients before the Close."""
    server = attach()
    client = meet(server)
    records = [JSON().encode({"type": 1, "target": "n", "arguments": [number]}) for number in range(50)]
    server.send(b"".join(encode(Kind.CONNECTION_DATA, connectionId=client.connection_id, payload=record) for record in records))
    server.close()
    client.expect_bytes(*records)
    client.expect_close(LOST)


def test_an_unfinished_message_is_no_message(attach, meet):
    server = attach()
    client = meet(server)
    server.data(client.connection_id, b'{"type":1,"target":"n","argu')
    server.send(encode(Kind.BROADCAST, payloads={"json": b'{"type":6}\x1e'})[:-4])
    server.close()
    client.expect_close(LOST)


# Graceful shutdown (§14)


def fin(server, mode: int):
    server.say(Kind.PING, pairs=["shutdown", f"fin:{mode}"])
    server.expect(FIN_ACK)


def test_clients_stay_until_they_leave(attach, meet):
    """§14.2, fin:2: existing clients are served; then the server connection ends in order."""
    server = attach()
    client = meet(server)
    fin(server, 2)
    client.send({"type": 1, "target": "x", "arguments": []})
    server.expect_data(client.connection_id, JSON().encode({"type": 1, "target": "x", "arguments": []}))
    server.data(client.connection_id, b'{"type":6}\x1e')
    client.expect_bytes(b'{"type":6}\x1e')
    client.leave()
    server.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.connection_id)
    server.socket.send(CLOSE, b"\x03\xe8")
    assert server.expect_end() == 1000


@pytest.mark.parametrize("mode", [0, 2])
def test_who_stayed_may_come_back(attach, meet, mode):
    """§14.4: what remains when the server connection closes gets a Close with allowReconnect."""
    server = attach()
    client = meet(server)
    fin(server, mode)
    server.socket.send(CLOSE, b"\x03\xe8")
    close = client.receive()
    assert (close["type"], close.get("allowReconnect")) == (7, True)
    client.expect_end()


def test_new_clients_are_refused_while_the_only_server_leaves(attach, visit):
    """§14.2."""
    server = attach()
    fin(server, 2)
    assert visit().expect_refusal()
    server.expect_quiet()


# Migration (§12)


def test_clients_move_to_another_server(attach, meet):
    """fin:1: 5 with Asrs-Migrate-To on the old one, 4 with Asrs-Migrate-From and the same handshake on the new one."""
    old, new = attach("HOST_a", migration=1), attach("HOST_b", migration=1)
    client = meet(old, user="u", **{"asrs.s.sn": "HOST_a", "asrs.s.ssticky": "Preferred"})
    mine = client.connection_id
    old.say(Kind.JOIN_GROUP_WITH_ACK, connectionId=mine, groupName="g", ackId=1)
    old.expect_ack(1, 1)
    fin(old, 1)
    message = old.next()
    if message["type"] == Kind.FLOW_CONTROL:
        assert (message["connectionId"], message["connectionType"], message["operation"]) == (mine, 1, 1)
        old.say(Kind.FLOW_CONTROL, connectionId=mine, connectionType=1, operation=2)
        message = old.next()
    assert (message["type"], message["connectionId"], message["headers"]) == (5, mine, {"Asrs-Migrate-To": ["HOST_b"]})
    opened = new.expect_message(Kind.OPEN_CONNECTION, connectionId=mine, ext={"protocol": "json"})
    assert opened["headers"]["Asrs-Migrate-From"] == ["HOST_a"]
    new.expect(encode(Kind.CONNECTION_DATA, connectionId=mine, payload=client.hello))
    client.send({"type": 1, "target": "x", "arguments": []})
    new.expect_data(mine, JSON().encode({"type": 1, "target": "x", "arguments": []}))
    new.say(Kind.GROUP_BROADCAST, groupName="g", payloads={"json": b'{"type":6}\x1e'})
    client.expect_bytes(b'{"type":6}\x1e')
    old.socket.send(CLOSE, b"\x03\xe8")
    assert old.expect_end() == 1000
    new.data(mine, b'{"type":6}\x1e')
    client.expect_bytes(b'{"type":6}\x1e')


def test_without_another_server_nobody_moves(attach, meet):
    server = attach(migration=1)
    client = meet(server)
    fin(server, 1)
    server.data(client.connection_id, b'{"type":6}\x1e')
    client.expect_bytes(b'{"type":6}\x1e')
    server.expect_quiet()


# The service stops (§14.5)


def test_a_service_that_stops_says_goodbye(start_server, attach, meet):
    """§14.5: server connections end with 1000, clients may come back."""
    service = start_server("--mode", "default")
    server = attach(to=service)
    client = meet(server, to=service)
    service.terminate()
    close = client.receive()
    assert (close["type"], close.get("allowReconnect")) == (7, True)
    assert server.expect_end() == 1000
    assert service.process.wait(PATIENCE) == 0, service.output()


# Coming back


def test_a_server_that_comes_back_gets_clients_again(attach, meet, visit):
    first = attach("HOST_a")
    client = meet(first)
    first.close()
    client.expect_close(LOST)
    meet(attach("HOST_a"))


# Back-pressure (§9.6)


def test_a_server_that_does_not_read_holds_up_only_its_clients(attach, meet):
    """Nothing is dropped: reading from its clients stops, and goes on when it reads again."""
    stuck, quick = attach("HOST_a"), attach("HOST_b")
    # A second client of the stuck server, that says nothing, must still get what others send.
    sender, listener = (meet(stuck) for _ in range(2))
    other = meet(quick)
    record = JSON().encode({"type": 1, "target": "x", "arguments": ["x" * 20_000]})
    wire = sender.transport.socket.socket
    wire.setblocking(False)
    pending, count = b"", 0
    while select.select([], [wire], [], 2)[1]:
        if not pending:
            pending, count = frame(TEXT, record), count + 1
        pending = pending[wire.send(pending):]
        assert count < 20_000, "the service reads for ever, though the app server does not"
    # The others live.
    quick.say(Kind.BROADCAST, payloads={"json": b'{"type":6}\x1e'})
    listener.expect_bytes(b'{"type":6}\x1e')
    call = JSON().encode({"type": 1, "target": "y", "arguments": []})
    other.send_bytes(call)
    quick.expect_data(other.connection_id, call)
    # All of it arrives.
    total, received = count * len(record), 0
    while received < total:
        received += len(stuck.expect_message(Kind.CONNECTION_DATA, connectionId=sender.connection_id)["payload"])
        if pending and select.select([], [wire], [], 0)[1]:
            pending = pending[wire.send(pending):]
    assert received == total


# Stateful reconnect (§12)


def stateful(service, hub) -> tuple[dict, dict]:
    headers = bearer(client_token(service, hub))
    path = f"/client/?hub={hub}&useStatefulReconnect=true"
    return negotiate(service, path, headers=headers), headers


@pytest.mark.parametrize(("allowed", "answer"), [([True, True], True), ([True, False], None), ([False], None), ([], None)])
def test_stateful_reconnect_needs_all_servers(service, hub, attach, allowed, answer):
    """§12: only if the client asks and all candidates allow it."""
    for allows in allowed:
        attach(allowStatefulReconnects=allows)
    assert stateful(service, hub)[0].get("useStatefulReconnect") is answer


def test_a_client_comes_back_with_another_socket(service, hub, attach):
    """§12: no 5; 38 when it is back; what was relayed meanwhile is the app server's to send again."""
    server = attach(allowStatefulReconnects=True)
    negotiated, headers = stateful(service, hub)
    target = f"/client/?hub={hub}&id={negotiated['connectionToken']}"
    mine = negotiated["connectionId"]
    with WebSocket(service, target, headers) as first:
        first.send(TEXT, b'{"protocol":"json","version":2}\x1e')
        assert server.take_client()["connectionId"] == mine
        assert first.receive_message().payload == b"{}\x1e"
    with WebSocket(service, target, headers) as second:
        assert second.answer.status == 101
        server.expect(encode(Kind.CONNECTION_RECONNECT, connectionId=mine))
        sequence = b'{"type":9,"sequenceId":1}\x1e'
        second.send(TEXT, sequence)
        server.expect_data(mine, sequence)
        server.data(mine, sequence)
        assert second.receive_message().payload == sequence
        second.send(TEXT, b'{"type":7}\x1e')
        server.expect_data(mine, b'{"type":7}\x1e')
