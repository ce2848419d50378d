# SignalBox: RFC 6455, frame by frame: what must be accepted, and the close code of everything that must not.
# SPDX-License-Identifier: Apache-2.0

import json
import zlib

import pytest

from harness.codec import JSON
from harness.http import negotiate
from harness.hub import Hub
from harness.server import Server
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket, frame

HUB = "/hubs/chat"
CALL = JSON().encode({"type": 1, "invocationId": "ä", "target": "join", "arguments": ["Straße 🚦"]})
ANSWER = {"type": 3, "invocationId": "ä", "result": None}
PING_MESSAGE = b'{"type":6}\x1e'


@pytest.fixture
def hub(server):
    with Hub(server, HUB) as hub:
        yield hub


@pytest.fixture
def socket(hub) -> WebSocket:
    return hub.transport.socket


def close_payload(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()


def expect_failure(socket: WebSocket, code: int):
    """The server fails the connection with this code, and ends TCP once that was answered."""
    received = socket.receive_close()
    assert received.close_code == code, received
    socket.send(CLOSE, received.payload[:2])
    assert socket.at_end()


# Messages


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_may_come_in_fragments(hub, socket, opcode):
    """Cuts in the middle of characters included; a fragment may be empty."""
    pieces = [CALL[index:index + 1] for index in range(len(CALL))] + [b""]
    for index, piece in enumerate(pieces):
        socket.send(CONTINUATION if index else opcode, piece, final=index == len(pieces) - 1)
    assert hub.receive() == ANSWER


def test_control_frames_may_come_between_fragments(hub, socket):
    # The last byte ends the record, and its answer is not to be taken for an announcement.
    for index in range(len(CALL) - 1):
        socket.send(CONTINUATION if index else TEXT, CALL[index:index + 1], final=False)
        socket.send(PING, bytes([index % 256]))
        socket.send(PONG, b"unasked")
        received = socket.receive()
        while received.opcode == TEXT:  # an announcement of the playground
            received = socket.receive()
        assert (received.opcode, received.payload) == (PONG, bytes([index % 256]))
    socket.send(CONTINUATION, CALL[-1:])
    assert hub.receive() == ANSWER


def test_frames_may_be_cut_anywhere(hub, socket):
    for byte in frame(TEXT, CALL):
        socket.send_raw(bytes([byte]))
    assert hub.receive() == ANSWER


def test_many_frames_may_come_at_once(hub, socket):
    calls = [{"type": 1, "invocationId": str(n), "target": "join", "arguments": ["r"]} for n in range(200)]
    socket.send_raw(b"".join(frame(TEXT, JSON().encode(call)) for call in calls))
    assert [hub.receive()["invocationId"] for _ in calls] == [call["invocationId"] for call in calls]


@pytest.mark.parametrize("size", [125, 126, 127, 1000, 65535, 65536, 200_000])
def test_every_length_encoding_is_read(hub, socket, size):
    """Messages of one frame, padded with pings to an exact size."""
    pings, rest = divmod(size - len(CALL), len(PING_MESSAGE))
    payload = PING_MESSAGE * pings + CALL
    if rest:
        payload = payload.replace(b'"type":1', b'"type":' + b" " * rest + b"1", 1)
    assert len(payload) == size
    socket.send(TEXT, payload)
    assert hub.receive() == ANSWER


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))])
def test_a_ping_is_answered_with_its_payload(socket, payload):
    socket.send(PING, payload)
    while (received := socket.receive()).opcode == TEXT:
        pass
    assert (received.opcode, received.payload, received.final, received.reserved) == (PONG, payload, True, 0)


def test_an_unasked_pong_is_ignored(hub, socket):
    socket.send(PONG, b"nobody asked")
    socket.send(TEXT, CALL)
    assert hub.receive() == ANSWER


def test_large_messages_leave_whole(hub):
    """A long text comes back as one message, with every length encoding on the way."""
    for size in (100, 1000, 30_000):
        hub.send({"type": 1, "target": "send", "arguments": ["u", "x" * size]})
        assert hub.receive()["arguments"][1] == "x" * size


# Broken frames


@pytest.mark.parametrize("reserved", [1, 2, 4, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_reserved_bits_are_refused(socket, opcode, reserved):
    socket.send(opcode, reserved=reserved)
    expect_failure(socket, 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_unknown_opcodes_are_refused(socket, opcode):
    socket.send(opcode, b"x")
    expect_failure(socket, 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_unmasked_frames_are_refused(socket, opcode):
    socket.send(opcode, masked=False)
    expect_failure(socket, 1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frames_are_whole_and_short(server, opcode):
    with Hub(server, HUB) as hub:
        hub.transport.socket.send(opcode, final=False)
        expect_failure(hub.transport.socket, 1002)
    with Hub(server, HUB) as hub:
        hub.transport.socket.send(opcode, close_payload(1000) + b"x" * 124)
        expect_failure(hub.transport.socket, 1002)


@pytest.mark.parametrize("final", [True, False])
def test_a_continuation_needs_a_beginning(socket, final):
    socket.send(CONTINUATION, b"x", final=final)
    expect_failure(socket, 1002)


def test_a_continuation_after_the_end_is_refused(socket):
    socket.send(TEXT, PING_MESSAGE[:5], final=False)
    socket.send(CONTINUATION, PING_MESSAGE[5:])
    socket.send(CONTINUATION, b"x")
    expect_failure(socket, 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_cannot_begin_inside_another(socket, opcode):
    socket.send(TEXT, b"{", final=False)
    socket.send(opcode, b"{")
    expect_failure(socket, 1002)


@pytest.mark.parametrize(("length", "wide"), [(5, 2), (125, 2), (5, 8), (65535, 8)])
def test_lengths_are_written_as_short_as_possible(socket, length, wide):
    socket.send(TEXT, b" " * length, wide=wide)
    expect_failure(socket, 1002)


def test_a_length_has_63_bits(socket):
    socket.send(TEXT, declared=1 << 63, wide=8)
    expect_failure(socket, 1002)


@pytest.mark.parametrize("declared", [(16 << 20) + 1, 1 << 32, (1 << 63) - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_frame_that_is_too_large_is_refused_by_its_header(socket, opcode, declared):
    socket.send_raw(frame(opcode, declared=declared, wide=8))
    expect_failure(socket, 1009)


# Text

INVALID = {
    "lone continuation": b"\x80", "no such byte": b"\xff", "overlong slash": b"\xc0\xaf",
    "overlong NUL": b"\xe0\x80\x80", "surrogate": b"\xed\xa0\x80", "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80", "cut short": b"\xe2\x82A",
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
def test_text_that_is_not_utf8_is_refused(socket, text):
    socket.send(TEXT, b'{"type":6,"x":"' + text + b'"}\x1e')
    expect_failure(socket, 1007)


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
def test_text_that_is_not_utf8_is_refused_in_fragments(socket, text):
    """As soon as it is wrong: the message never ends."""
    for index, byte in enumerate(b'{"' + text + b"."):
        socket.send(CONTINUATION if index else TEXT, bytes([byte]), final=False)
    expect_failure(socket, 1007)


@pytest.mark.parametrize("text", ["é", "€", "🚦"])
def test_text_cannot_end_within_a_character(socket, text):
    socket.send(TEXT, b" " + text.encode()[:-1])
    expect_failure(socket, 1007)


def test_a_character_may_be_split(hub, socket):
    cut = CALL.index("🚦".encode()) + 2
    socket.send(TEXT, CALL[:cut], final=False)
    socket.send(PING)
    socket.send(CONTINUATION, CALL[cut:])
    assert hub.receive() == ANSWER


# The end


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_a_close_is_answered_with_its_code(socket, code):
    socket.send(CLOSE, close_payload(code, "bye 👋"))
    assert socket.receive_close().close_code == code
    assert socket.at_end()


def test_a_close_without_a_code_is_answered(socket):
    socket.send(CLOSE)
    assert socket.receive_close().close_code in (None, 1000)
    assert socket.at_end()


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_close_codes_that_may_not_be_sent_are_refused(socket, code):
    socket.send(CLOSE, close_payload(code))
    expect_failure(socket, 1002)


def test_a_close_code_has_two_bytes(socket):
    socket.send(CLOSE, b"\x03")
    expect_failure(socket, 1002)


def test_a_close_reason_is_text(socket):
    socket.send(CLOSE, close_payload(1000) + b"\xff")
    expect_failure(socket, 1007)


def test_the_longest_close_reason_is_read(socket):
    socket.send(CLOSE, close_payload(1000, "x" * 123))
    assert socket.receive_close().close_code == 1000
    assert socket.at_end()


def test_nothing_after_a_close_is_read(socket):
    socket.send_raw(frame(CLOSE, close_payload(1000)) + frame(PING, b"late") + frame(TEXT, CALL))
    assert socket.receive_close().close_code == 1000
    assert socket.at_end()


def test_a_client_that_does_not_answer_the_close_is_dropped(hub, socket):
    """The server waits 5 seconds for the client's Close, then ends TCP."""
    hub.send({"type": 7})
    assert hub.receive() == {"type": 7}
    received = socket.receive_close()
    assert (received.close_code, received.payload[2:]) == (1000, b"")
    assert socket.at_end()


# The opening handshake


@pytest.mark.parametrize(("change", "status"), [
    ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": ""}, 400), ({"Sec-WebSocket-Key": "short"}, 400),
    ({"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, 400), ({"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400),
    ({"Connection": "keep-alive"}, 400),
    ({"Sec-WebSocket-Version": "12"}, 426), ({"Sec-WebSocket-Version": "14"}, 426), ({"Sec-WebSocket-Version": None}, 426),
])
def test_a_broken_handshake_is_refused_and_may_be_repeated(server, change, status):
    path = f"{HUB}?id={negotiate(server)['connectionToken']}"
    with WebSocket(server, path, change) as client:
        assert client.answer.status == status
        if status == 426:
            assert client.answer.headers["sec-websocket-version"] == "13"
        else:
            assert client.answer.body, "a refusal says what is wrong"
    with WebSocket(server, path) as client:
        assert client.answer.status == 101, client.answer


@pytest.mark.parametrize("headers", [
    {"Upgrade": "WebSocket"}, {"Upgrade": "h2c, websocket"}, {"Connection": "keep-alive, Upgrade"},
    {"Connection": "upgrade"}, {"Origin": "http://anywhere.test"},
])
def test_handshake_headers_are_lists_without_case(server, headers):
    with WebSocket(server, HUB, headers) as client:
        assert client.answer.status == 101


def test_nothing_is_agreed_on_that_was_not_asked_for(server):
    offers = {"Sec-WebSocket-Protocol": "json, messagepack", "Sec-WebSocket-Extensions": "permessage-deflate"}
    with WebSocket(server, HUB, offers) as client:
        assert client.answer.status == 101
        assert "sec-websocket-protocol" not in client.answer.headers
        assert "sec-websocket-extensions" not in client.answer.headers


def test_bytes_right_behind_the_handshake_are_read(server):
    """A client that skips negotiate need not wait for 101 (RFC 6455 §4.1 lets it, once it trusts the server)."""
    with WebSocket(server, HUB) as client:
        client.send_raw(frame(TEXT, b'{"protocol":"json","version":1}\x1e') + frame(TEXT, CALL))
        assert client.receive_message().payload.startswith(b"{}\x1e")


# Compression (RFC 7692)


@pytest.fixture(scope="module")
def compressing():
    server = Server("--playground", "--websocket-compression")
    yield server
    server.stop()


def deflate(data: bytes) -> bytes:
    worker = zlib.compressobj(wbits=-15)
    return (worker.compress(data) + worker.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15).decompress(data + b"\x00\x00\xff\xff")


@pytest.fixture
def compressed(compressing):
    with WebSocket(compressing, HUB, {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}) as client:
        agreed = {part.strip() for part in client.answer.headers["sec-websocket-extensions"].split(";")}
        assert "permessage-deflate" in agreed
        assert {"server_no_context_takeover", "client_no_context_takeover"} <= agreed
        client.send(TEXT, deflate(b'{"protocol":"json","version":1}\x1e'), reserved=4)
        assert read_text(client).startswith(b"{}\x1e")
        yield client


def read_text(client: WebSocket) -> bytes:
    message = client.receive_message()
    assert message.reserved in (0, 4)
    return inflate(message.payload) if message.reserved else message.payload


def receive_answer(client: WebSocket) -> dict:
    while True:
        for record in read_text(client).split(b"\x1e")[:-1]:
            if (message := json.loads(record)).get("target") != "online":
                return message


def test_compressed_messages_go_both_ways(compressed):
    call = {"type": 1, "target": "send", "arguments": ["u", "again and " * 500]}
    for _ in range(3):
        compressed.send(TEXT, deflate(JSON().encode(call)), reserved=4)
        assert receive_answer(compressed)["arguments"] == call["arguments"]


def test_compressed_messages_may_come_in_fragments(compressed):
    data = deflate(CALL)
    for index in range(len(data)):
        compressed.send(CONTINUATION if index else TEXT, data[index:index + 1], final=False, reserved=0 if index else 4)
    compressed.send(CONTINUATION)
    assert receive_answer(compressed) == ANSWER


def test_a_message_need_not_be_compressed(compressed):
    compressed.send(TEXT, CALL)
    assert receive_answer(compressed) == ANSWER


def test_broken_compressed_data_is_refused(compressed):
    compressed.send(TEXT, b"\xff" * 20, reserved=4)
    assert compressed.receive_close().close_code in (1002, 1007)


def test_only_the_first_fragment_carries_the_compression_bit(compressed):
    data = deflate(CALL)
    compressed.send(TEXT, data[:3], final=False, reserved=4)
    compressed.send(CONTINUATION, data[3:], reserved=4)
    expect_failure(compressed, 1002)


def test_a_compression_bomb_ends_its_sender_alone(compressing, compressed):
    """200 MB of blanks in 200 KB. What comes first may be the limit of frames or that of hub messages."""
    worker = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(worker.compress(b" " * (1 << 20)) for _ in range(200)) + worker.flush(zlib.Z_SYNC_FLUSH)[:-4]
    compressed.send(TEXT, bomb, reserved=4)
    assert compressed.receive_close().close_code in (1000, 1009)
    with Hub(compressing, HUB) as other:
        assert other.invoke("join", "r")["result"] is None
