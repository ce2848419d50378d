# SignalBox: a connection that outlives its WebSocket (core protocol reference, "Stateful reconnect").
# SPDX-License-Identifier: Apache-2.0

import json
import uuid

import pytest

from harness.codec import JSON, MessagePack
from harness.http import eventually, negotiate
from harness.hub import Hub
from harness.server import Server
from harness.websocket import TEXT, WebSocket

HUB = "/hubs/chat"
STATEFUL = f"{HUB}?useStatefulReconnect=true"


@pytest.fixture(scope="module")
def stateful():
    server = Server("--playground", "--stateful-reconnect")
    yield server
    server.stop()


@pytest.fixture(params=[JSON, MessagePack], ids=["json", "messagepack"])
def client(request, stateful):
    with Hub(stateful, STATEFUL, codec=request.param, version=2) as hub:
        assert hub.transport.negotiated["useStatefulReconnect"] is True
        yield hub


def lose(client: Hub):
    """TCP ends without a Close frame."""
    client.transport.close()


def resume(client: Hub, server) -> WebSocket:
    client.transport.socket = WebSocket(server, f"{HUB}?id={client.transport.negotiated['connectionToken']}")
    client.messages, client.buffer = [], b""
    return client.transport.socket


def receive(client: Hub) -> dict:
    """The next message that is neither an announcement nor an acknowledgement, which comes when it comes."""
    while (message := client.receive())["type"] == 8:
        pass
    return message


def call(client: Hub, target: str, *arguments):
    """The result of a call."""
    identifier = client.start(1, target, *arguments)
    while (message := receive(client)).get("invocationId") != identifier:
        pass
    return message["result"]


def settle(client: Hub) -> int:
    """Reads until the server has acknowledged a call and everything before it; gives how many numbered messages came."""
    numbered = 0
    client.send({"type": 1, "invocationId": "settle", "target": "join", "arguments": ["r"]})
    acknowledged = completed = False
    while not (acknowledged and completed):
        if not client.messages:
            client.messages, _ = client.codec.decode(client.transport.receive(client.codec.is_binary))
        message = client.messages.pop(0)
        numbered += 1 <= message["type"] <= 5
        acknowledged |= message["type"] == 8
        completed |= message["type"] == 3
    return numbered


def test_received_messages_are_acknowledged(client):
    client.send({"type": 1, "invocationId": "1", "target": "join", "arguments": ["r"]})
    seen = [client.receive(), client.receive()]
    assert {"type": 3, "invocationId": "1", "result": None} in seen
    assert {"type": 8, "sequenceId": 1} in seen


def test_a_lost_socket_loses_nothing(client, stateful):
    room = str(uuid.uuid4())
    numbered = settle(client)
    client.send({"type": 1, "invocationId": "j", "target": "join", "arguments": [room]})
    assert receive(client)["invocationId"] == "j"
    client.send({"type": 8, "sequenceId": numbered + 1})
    lose(client)
    with Hub(stateful, HUB) as other:
        for number in range(3):
            assert other.invoke("sendToRoom", room, "u", str(number))["result"] is None
        assert resume(client, stateful).answer.status == 101
        # The client's side of it: two calls were sent, and nothing of them is repeated.
        client.send({"type": 9, "sequenceId": 3})
        replayed = [receive(client) for _ in range(4)]
        assert replayed[0]["type"] == 9 and replayed[0]["sequenceId"] <= numbered + 2
        assert [message["arguments"][2] for message in replayed[1:]] == ["0", "1", "2"]
        other.invoke("sendToRoom", room, "u", "live")
        assert receive(client)["arguments"] == [room, "u", "live"]
    assert call(client, "join", room) is None


def test_repeated_messages_run_once(client, stateful):
    room = str(uuid.uuid4())
    client.send({"type": 1, "invocationId": "j", "target": "join", "arguments": [room]})
    assert receive(client)["invocationId"] == "j"
    once = {"type": 1, "invocationId": "s", "target": "sendToRoom", "arguments": [room, "u", "once"]}
    client.send(once)
    assert {receive(client)["type"], receive(client)["type"]} == {1, 3}
    lose(client)
    resume(client, stateful)
    client.send({"type": 9, "sequenceId": 2})
    client.send(once)
    client.send(once | {"invocationId": "t", "arguments": [room, "u", "twice"]})
    seen = []
    while not any(message.get("invocationId") == "t" for message in seen):
        seen.append(receive(client))
    texts = [message["arguments"][2] for message in seen if message["type"] == 1]
    # What the client had not acknowledged comes again, from the buffer; the call itself did not run again.
    assert texts.count("once") <= 1 and texts.count("twice") == 1


def test_a_client_cannot_skip_messages(client):
    client.send({"type": 9, "sequenceId": 99})
    message = receive(client)
    assert message["type"] == 7 and message["error"] == "Connection closed with an error."


def test_a_goodbye_is_final(client, stateful):
    client.send({"type": 7})
    assert receive(client) == {"type": 7}
    client.expect_end()
    eventually(lambda: resume(client, stateful).answer.status == 404)


def test_a_close_frame_is_final(client, stateful):
    client.transport.socket.send(0x8, (1000).to_bytes(2, "big"))
    client.transport.socket.receive_close()
    eventually(lambda: resume(client, stateful).answer.status == 404)


def test_version_1_of_the_handshake_turns_it_off(stateful):
    hub = Hub(stateful, STATEFUL, version=1)
    lose(hub)
    eventually(lambda: resume(hub, stateful).answer.status == 404)


def test_it_is_only_for_those_who_ask(stateful):
    assert "useStatefulReconnect" not in negotiate(stateful, HUB)
    assert "useStatefulReconnect" not in negotiate(stateful, f"{HUB}?useStatefulReconnect=false")
    assert negotiate(stateful, STATEFUL)["useStatefulReconnect"] is True


def test_the_newest_socket_has_the_connection(client, stateful):
    """The client may notice the loss before the server does."""
    old = client.transport.socket
    assert resume(client, stateful).answer.status == 101
    client.send({"type": 9, "sequenceId": 1})
    assert receive(client)["type"] == 9
    assert call(client, "join", "r") is None
    old.close()


def test_only_numbered_messages_count(stateful):
    """Pings on either side do not."""
    with Hub(stateful, STATEFUL, version=2) as client:
        for _ in range(5):
            client.send({"type": 6})
        client.transport.socket.send(TEXT, json.dumps(
            {"type": 1, "invocationId": "1", "target": "join", "arguments": ["r"]}).encode() + b"\x1e")
        seen = [client.receive(), client.receive()]
        assert {"type": 8, "sequenceId": 1} in seen
