# SignalBox: what a hub does, on every transport and in every hub protocol.
# SPDX-License-Identifier: Apache-2.0

import itertools
import uuid

import pytest

from harness.codec import JSON, MessagePack
from harness.hub import HandshakeRefused, Hub
from harness.transports import TRANSPORTS, LongPollingTransport, ServerSentEventsTransport

PAIRS = [
    pytest.param((transport, codec), id=f"{transport.kind}-{codec.name}")
    for transport, codec in itertools.product(TRANSPORTS, [JSON, MessagePack])
    if not (transport.is_text_only and codec.is_binary)
]


@pytest.fixture(params=PAIRS)
def connect(request, server):
    """Opens chat connections of one kind."""
    transport, codec = request.param
    hubs = []

    def connect(path="/hubs/chat"):
        hubs.append(Hub(server, path, transport, codec))
        return hubs[-1]

    connect.transport = transport
    yield connect
    for hub in hubs:
        hub.close()


@pytest.fixture
def chat(connect):
    return connect()


def room() -> str:
    return f"room {uuid.uuid4()}"


def test_a_call_without_result_completes_with_null(chat):
    assert chat.invoke("join", room()) == {"type": 3, "invocationId": "1", "result": None}


def test_everybody_gets_a_broadcast(connect):
    first, second = connect(), connect()
    first.send({"type": 1, "target": "send", "arguments": ["Zoë", "grüße 🚦 \"\\\n"]})
    expected = {"type": 1, "target": "receive", "arguments": ["Zoë", "grüße 🚦 \"\\\n"]}
    assert first.receive() == expected
    assert second.receive() == expected


def test_method_names_have_no_case(chat):
    name = room()
    assert chat.invoke("JOIN", name)["result"] is None
    chat.send({"type": 1, "target": "SendToRoom", "arguments": [name, "a", "b"]})
    assert chat.receive()["arguments"] == [name, "a", "b"]


def test_a_group_has_the_members_that_joined_it(connect):
    name, inside, outside = room(), connect(), connect()
    inside.invoke("join", name)
    outside.send({"type": 1, "target": "sendToRoom", "arguments": [name, "u", "for members"]})
    assert inside.receive() == {"type": 1, "target": "receiveRoom", "arguments": [name, "u", "for members"]}
    inside.invoke("leave", name)
    # Nothing of the room may come before the completions of these calls.
    assert outside.invoke("sendToRoom", name, "u", "nobody")["result"] is None
    assert inside.invoke("leave", name)["result"] is None


def test_a_stream_gives_its_items_and_ends(chat):
    identifier = chat.start(4, "countdown", 3)
    items = [chat.receive() for _ in range(3)]
    assert items == [{"type": 2, "invocationId": identifier, "item": number} for number in (3, 2, 1)]
    end = chat.receive()
    end.pop("void", None)
    assert end == {"type": 3, "invocationId": identifier}


def test_a_stream_can_be_cancelled(connect, chat):
    identifier = chat.start(4, "countdown", 10_000)
    chat.send({"type": 5, "invocationId": identifier})
    items = []
    while (message := chat.receive())["type"] == 2:
        items.append(message["item"])
    message.pop("void", None)
    assert message == {"type": 3, "invocationId": identifier}
    assert items == list(range(10_000, 10_000 - len(items), -1))
    # Elsewhere the network may have taken all of it before the cancellation came.
    if connect.transport is LongPollingTransport:
        assert len(items) < 10_000


def test_other_calls_run_beside_an_upload(chat):
    upload = chat.start(1, "sum", streamIds=["u"])
    chat.send({"type": 2, "invocationId": "u", "item": 1})
    assert chat.invoke("join", room())["result"] is None
    chat.send({"type": 3, "invocationId": "u"})
    assert chat.receive() == {"type": 3, "invocationId": upload, "result": 1}


def test_an_uploaded_stream_is_read_to_its_end(chat):
    identifier = chat.start(1, "sum", streamIds=["u1"])
    for number in range(1, 101):
        chat.send({"type": 2, "invocationId": "u1", "item": number})
    chat.send({"type": 3, "invocationId": "u1"})
    assert chat.receive() == {"type": 3, "invocationId": identifier, "result": 5050}


def test_an_uploaded_stream_that_fails_fails_the_call(chat):
    identifier = chat.start(1, "sum", streamIds=["u1"])
    chat.send({"type": 2, "invocationId": "u1", "item": 1})
    chat.send({"type": 3, "invocationId": "u1", "error": "out of numbers"})
    assert chat.receive() == {
        "type": 3, "invocationId": identifier,
        "error": "An unexpected error occurred invoking 'sum' on the server. HubException: out of numbers",
    }


def test_the_client_is_asked_and_its_answer_is_the_result(chat):
    identifier = chat.start(1, "ask")
    question = chat.receive()
    assert question["type"] == 1 and question["target"] == "answer" and question["arguments"] == []
    chat.send({"type": 3, "invocationId": question["invocationId"], "result": 42})
    assert chat.receive() == {"type": 3, "invocationId": identifier, "result": 42}


def test_other_calls_wait_for_nobody_while_the_client_is_asked(chat):
    identifier = chat.start(1, "ask")
    question = chat.receive()
    assert chat.invoke("join", room())["result"] is None
    chat.send({"type": 3, "invocationId": question["invocationId"], "result": 7})
    assert chat.receive() == {"type": 3, "invocationId": identifier, "result": 7}


def test_a_client_that_fails_to_answer_fails_the_call(chat):
    identifier = chat.start(1, "ask")
    question = chat.receive()
    chat.send({"type": 3, "invocationId": question["invocationId"], "error": "no idea"})
    assert chat.receive() == {
        "type": 3, "invocationId": identifier,
        "error": "An unexpected error occurred invoking 'ask' on the server. HubException: no idea",
    }


@pytest.mark.parametrize(
    ("kind", "target", "arguments", "error"),
    [
        (1, "Nobody", [], "Failed to invoke 'Nobody' due to an error on the server. HubException: Method does not exist."),
        (4, "Nobody", [], "Failed to invoke 'Nobody' due to an error on the server. HubException: Method does not exist."),
        (1, "send", ["one"], "Failed to invoke 'send' due to an error on the server."),
        (1, "Send", ["one", "two", "three"], "Failed to invoke 'Send' due to an error on the server."),
        (1, "send", ["user", {"not": "text"}], "Failed to invoke 'send' due to an error on the server."),
        (1, "send", ["user", None], "Failed to invoke 'send' due to an error on the server."),
        (4, "countdown", ["many"], "Failed to invoke 'countdown' due to an error on the server."),
        (4, "countdown", [1.5], "Failed to invoke 'countdown' due to an error on the server."),
        (1, "countdown", [3],
         "The client attempted to invoke the streaming 'countdown' method with a non-streaming invocation."),
        (4, "join", ["r"],
         "The client attempted to invoke the non-streaming 'join' method with a streaming invocation."),
        (1, "sum", [],
         "An unexpected error occurred invoking 'sum' on the server."
         " HubException: Client sent 0 stream(s), Hub method expects 1."),
    ],
)
def test_a_call_that_cannot_be_made_says_why_and_ends_nothing(chat, kind, target, arguments, error):
    identifier = chat.start(kind, target, *arguments)
    assert chat.receive() == {"type": 3, "invocationId": identifier, "error": error}
    assert chat.invoke("join", room())["result"] is None


def test_a_failing_call_without_an_id_gets_no_answer(chat):
    chat.send({"type": 1, "target": "Nobody", "arguments": []})
    assert chat.invoke("join", room())["result"] is None


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_two_live_streams_cannot_share_an_id(server, codec):
    """Over long polling, where a stream waits until it is polled."""
    with Hub(server, transport=LongPollingTransport, codec=codec) as chat:
        for start in (10_000, 5):
            chat.send({"type": 4, "invocationId": "same", "target": "countdown", "arguments": [start]})
        while (message := chat.receive())["type"] == 2:
            assert message["item"] > 5
        assert message == {"type": 3, "invocationId": "same", "error": "Invocation ID 'same' is already in use."}
        chat.send({"type": 5, "invocationId": "same"})


def test_messages_may_arrive_in_any_pieces(connect, chat):
    name = room()
    data = chat.codec.encode({"type": 6}) + chat.codec.encode(
        {"type": 1, "invocationId": "a", "target": "join", "arguments": [name]})
    # Three cuts keep long polling, one request a piece, quick.
    step = 1 if connect.transport.kind == "WebSockets" else len(data) // 3 + 1
    for start in range(0, len(data), step):
        chat.send_bytes(data[start:start + step])
    assert chat.receive() == {"type": 3, "invocationId": "a", "result": None}


def test_many_messages_may_arrive_in_one_piece(chat):
    calls = [{"type": 1, "invocationId": str(n), "target": "join", "arguments": ["r"]} for n in range(50)]
    chat.send_bytes(b"".join(map(chat.codec.encode, calls)))
    assert [chat.receive()["invocationId"] for _ in calls] == [call["invocationId"] for call in calls]


def test_what_nobody_waits_for_is_ignored(chat):
    for message in (
        {"type": 6}, {"type": 5, "invocationId": "no such stream"},
        {"type": 2, "invocationId": "no such stream", "item": 1},
        {"type": 3, "invocationId": "no such question", "result": 1}, {"type": 77},
    ):
        chat.send(message)
    assert chat.invoke("join", room())["result"] is None


def test_headers_of_a_call_do_no_harm(chat):
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    assert chat.invoke("join", room(), headers=headers)["result"] is None


def test_a_close_message_is_answered_and_ends_the_connection(chat):
    chat.send({"type": 7})
    answer = chat.receive()
    assert answer["type"] == 7 and "error" not in answer and "allowReconnect" not in answer
    chat.expect_end()


def test_text_transports_refuse_binary_protocols(server):
    with pytest.raises(HandshakeRefused) as refusal:
        Hub(server, transport=ServerSentEventsTransport, codec=MessagePack)
    assert str(refusal.value) == (
        "Cannot use the 'messagepack' protocol on the current transport."
        " The transport does not support 'Binary' transfer format."
    )


def test_protocols_and_transports_meet_in_one_hub(server):
    """One message reaches every kind of client that listens."""
    listeners = [Hub(server, "/hubs/chat", *pair.values[0]) for pair in PAIRS]
    listeners[0].send({"type": 1, "target": "send", "arguments": ["u", "ünïcode"]})
    for listener in listeners:
        assert listener.receive() == {"type": 1, "target": "receive", "arguments": ["u", "ünïcode"]}
        listener.close()
