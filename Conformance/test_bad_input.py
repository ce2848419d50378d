# SignalBox: input that no client should send: each gets a clear error, and nobody else notices.
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import socket
import struct

import msgpack
import pytest

from harness.codec import JSON, MessagePack, length_prefix
from harness.http import open_connection, request
from harness.hub import Hub
from harness.server import PATIENCE, Server
from harness.transports import LongPollingTransport, ServerSentEventsTransport, TransportEnded, WebSocketTransport
from harness.websocket import BINARY, CLOSE, TEXT, WebSocket

HUB = "/hubs/chat"
LIMIT = 32_768
CLOSED = {"type": 7, "error": "Connection closed with an error.", "allowReconnect": True}
VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "Tests/Vectors/hub-vectors.json").read_text())["vectors"]


@pytest.fixture(scope="module", autouse=True)
def bystander(server):
    """A connection that was there before the trouble."""
    with Hub(server, HUB, codec=MessagePack) as hub:
        yield hub


@pytest.fixture(autouse=True)
def nobody_else_notices(bystander, server):
    yield
    assert bystander.invoke("join", "r")["result"] is None
    with Hub(server, HUB) as newcomer:
        assert newcomer.invoke("join", "r")["result"] is None


@pytest.fixture(scope="module")
def talkative():
    """A server that tells clients the details of what they did wrong."""
    server = Server("--playground", "--detailed-errors")
    yield server
    server.stop()


PAIRS = [
    pytest.param((WebSocketTransport, JSON), id="WebSockets-json"),
    pytest.param((WebSocketTransport, MessagePack), id="WebSockets-messagepack"),
    pytest.param((ServerSentEventsTransport, JSON), id="ServerSentEvents-json"),
    pytest.param((LongPollingTransport, JSON), id="LongPolling-json"),
    pytest.param((LongPollingTransport, MessagePack), id="LongPolling-messagepack"),
]


@pytest.fixture(params=PAIRS)
def hub(request, server):
    with Hub(server, HUB, *request.param) as hub:
        yield hub


@pytest.fixture
def binary(server):
    with Hub(server, HUB, codec=MessagePack) as hub:
        yield hub


@pytest.fixture
def text(server):
    with Hub(server, HUB) as hub:
        yield hub


def expect_closed(hub: Hub):
    assert hub.receive() == CLOSED
    hub.expect_end()


# Size


def message_of(codec, size: int) -> bytes:
    """A call whose frame, separator or length prefix included, has exactly this many bytes."""
    def framed(length):
        return codec.encode({"type": 1, "invocationId": "1", "target": "join", "arguments": ["x" * length]})

    length = size - (len(framed(size)) - size)
    assert len(framed(length)) == size
    return framed(length)


def test_the_largest_message_passes(hub):
    hub.send_bytes(message_of(hub.codec, LIMIT))
    assert hub.receive() == {"type": 3, "invocationId": "1", "result": None}


def test_a_larger_message_ends_the_connection(hub):
    hub.send_bytes(message_of(hub.codec, LIMIT + 1))
    expect_closed(hub)


def test_a_message_that_never_ends_is_not_kept(text):
    text.send_bytes(b'{"type":1,"target":"send","arguments":["' + b"x" * LIMIT)
    expect_closed(text)


@pytest.mark.parametrize("prefix", [b"\xff\xff\xff\xff\x07", length_prefix(LIMIT + 1)], ids=["2 GB", "limit"])
def test_a_declared_length_is_refused_before_its_bytes(binary, prefix):
    binary.send_bytes(prefix)
    expect_closed(binary)


@pytest.mark.parametrize("prefix", ["ffffffff08", "ffffffffff", "808080808080"])
def test_a_length_prefix_has_31_bits(binary, prefix):
    binary.send_bytes(bytes.fromhex(prefix))
    expect_closed(binary)


def test_the_limit_is_named_where_errors_are_detailed(talkative):
    with Hub(talkative, HUB) as hub:
        hub.send_bytes(message_of(hub.codec, LIMIT + 1))
        assert hub.receive()["error"] == (
            "Connection closed with an error. InvalidDataException: The maximum message size of 32768B was exceeded."
            " The message size can be configured in AddHubOptions."
        )


# Handshake


def refusal(server, hello: bytes, opcode=TEXT) -> str:
    """The error of a handshake; the server closes in order after it."""
    with WebSocket(server, HUB) as client:
        client.send(opcode, hello)
        answer = client.receive_message()
        assert answer.opcode == TEXT, "no protocol was chosen yet"
        assert answer.payload.endswith(b"\x1e") and answer.payload.count(b"\x1e") == 1
        close = client.receive_close()
        assert close.close_code == 1000
        client.send(CLOSE, close.payload)
        assert client.at_end()
        error = json.loads(answer.payload[:-1])
        assert list(error) == ["error"]
        return error["error"]


@pytest.mark.parametrize(("hello", "error"), [
    ('{"protocol":"xml","version":1}', "The protocol 'xml' is not supported."),
    ('{"protocol":"","version":1}', "The protocol '' is not supported."),
    ('{"protocol":"json","version":9001}', "The server does not support version 9001 of the 'json' protocol."),
    ('{"protocol":"messagepack","version":3}', "The server does not support version 3 of the 'messagepack' protocol."),
])
def test_protocols_and_versions_that_are_unknown(server, hello, error):
    assert refusal(server, hello.encode() + b"\x1e") == error


@pytest.mark.parametrize("hello", [
    b"", b"hello", b"{", b"[]", b"{}", b"null", b'{"protocol":"json"}', b'{"version":1}', b'{"protocol":1,"version":1}',
    b'{"protocol":"json","version":"1"}', b'{"protocol":"json","version":1.5}',
    b'{"protocol":"json","version":99999999999999999999}', b'{"type":6}', b'{"protocol":"json","version":1',
    b'{"protocol":"json","version":1,"x":' + b"[" * 1000 + b"]" * 1000 + b"}",
])
def test_garbage_instead_of_a_handshake(server, hello):
    assert refusal(server, hello + b"\x1e") == "An unexpected error occurred during connection handshake."


def test_binary_garbage_instead_of_a_handshake(server):
    garbage = bytes(byte for byte in range(256) if byte != 0x1E) + b"\x1e"
    assert refusal(server, garbage, BINARY) == "An unexpected error occurred during connection handshake."


def test_a_handshake_that_never_ends(server):
    assert refusal(server, b'{"protocol":"' + b"x" * LIMIT) == "Handshake was canceled."


@pytest.mark.parametrize("vector", [
    pytest.param(vector, id=vector["name"]) for vector in VECTORS
    if vector["name"].startswith("handshake/request/") and "replyDetailed" in vector["outcome"]
])
def test_handshake_errors_are_named_where_errors_are_detailed(talkative, vector):
    expected = json.loads(vector["outcome"]["replyDetailed"].rstrip("\x1e"))["error"]
    assert refusal(talkative, vector["wire"].encode()) == expected


def test_names_of_protocols_have_no_case(server):
    with WebSocket(server, HUB) as client:
        client.send(TEXT, b'{"version":2,"unknown":[{}],"protocol":"JSON"}\x1e')
        assert client.receive_message().payload.startswith(b"{}\x1e")


@pytest.mark.parametrize("transport", [WebSocketTransport, ServerSentEventsTransport, LongPollingTransport])
def test_a_slow_handshake_is_not_waited_for(start_server, transport):
    impatient = start_server("--playground", "--handshake-timeout", "1")
    slow = transport(impatient, HUB)
    slow.send(b'{"protocol":', False)
    assert slow.receive(False) == b'{"error":"Handshake was canceled."}\x1e'
    with pytest.raises(TransportEnded):
        slow.receive(False)
    with Hub(impatient, HUB) as other:
        assert other.invoke("join", "r")["result"] is None


# Messages


@pytest.mark.parametrize("vector", [
    pytest.param(vector, id=vector["name"]) for vector in VECTORS
    if vector["protocol"] in ("json", "messagepack") and vector["direction"] == "parse"
    and vector["outcome"]["kind"] == "protocolError" and "recommended" not in vector
])
def test_broken_messages_end_the_connection_with_the_reason(talkative, vector):
    codec = MessagePack if vector["protocol"] == "messagepack" else JSON
    wire = bytes.fromhex(vector["wire"]) if vector["wireEncoding"] == "hex" else vector["wire"].encode()
    with Hub(talkative, HUB, codec=codec) as hub:
        hub.send_bytes(wire)
        reason = f"Connection closed with an error. InvalidDataException: {vector['outcome']['text']}"
        assert hub.receive() == CLOSED | {"error": reason}
        hub.expect_end()


@pytest.mark.parametrize("wire", [
    b"hello", b"{", b"}", b'{"type":1,}', b"{'type':6}", b'{"type":6}x', b'{"type":06}', b'{"type":6,"x":"\\ud83d"',
    b'{"type":1,"target":"send","arguments":[NaN,1]}', b'{"type":1,"target":"send","arguments":[1 2]}',
    b'\xef\xbb\xbf{"type":1,"target":"x"', b'{"type":6 /* ping */}',
])
def test_text_that_is_not_json_ends_the_connection(text, wire):
    text.send_bytes(wire + b"\x1e")
    if wire == b'{"type":6}x':
        # What follows the object inside a frame is nobody's business.
        assert text.invoke("join", "r")["result"] is None
    else:
        expect_closed(text)


@pytest.mark.parametrize("transport", [ServerSentEventsTransport, LongPollingTransport])
def test_text_that_is_not_utf8_ends_the_connection(server, transport):
    """On WebSockets the frame itself is refused; here it is the JSON."""
    with Hub(server, HUB, transport) as hub:
        hub.send_bytes(b'{"type":1,"invocationId":"1","target":"send","arguments":["\xff\xfe","\xc0\x80"]}\x1e')
        expect_closed(hub)


def test_binary_text_that_is_not_utf8_is_refused(binary):
    call = msgpack.packb([1, {}, "1", "join", ["??"], []]).replace(b"??", b"\xff\xfe")
    binary.send_bytes(length_prefix(len(call)) + call)
    expect_refusal(binary)


def expect_refusal(hub: Hub):
    """A clear error in either form: the call fails, or the connection ends. Then nothing is left of it."""
    answer = hub.receive()
    if answer["type"] == 7:
        assert answer == CLOSED
        hub.expect_end()
    else:
        assert answer == {
            "type": 3, "invocationId": "1", "error": "Failed to invoke 'join' due to an error on the server."}
        assert hub.invoke("join", "r")["result"] is None


# Bombs


def binary_call(argument: bytes) -> bytes:
    """A call of `join` with raw bytes for its one argument."""
    body = b"\x96\x01\x80\xa11\xa4join\x91" + argument + b"\x90"
    return length_prefix(len(body)) + body


@pytest.mark.parametrize("argument", [
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01", b"\xdc\xff\xff", b"\xde\xff\xff", b"\xda\xff\xff", b"\xc5\xff\xff", b"\xc8\xff\xff\x01",
    b"\xdd\x7f\xff\xff\xff" * 100, b"\xc1",
], ids=["array32", "map32", "str32", "bin32", "ext32", "array16", "map16", "str16", "bin16", "ext16", "nested", "unused"])
def test_declared_lengths_are_not_believed(binary, argument):
    binary.send_bytes(binary_call(argument))
    expect_refusal(binary)


@pytest.mark.parametrize("envelope", [
    b"\xdd\xff\xff\xff\xff\x01", b"\x96\x01\xdf\xff\xff\xff\xff", b"\x96\x01\x80\xdb\xff\xff\xff\xff",
    b"\x96\x01\x80\xa11\xdb\xff\xff\xff\xff", b"\x96\x01\x80\xa11\xa4join\x91\xa1r\xdd\xff\xff\xff\xff",
], ids=["message", "headers", "id", "target", "stream ids"])
def test_declared_lengths_of_the_envelope_are_not_believed(binary, envelope):
    binary.send_bytes(length_prefix(len(envelope)) + envelope)
    expect_refusal(binary)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1k", b"\xdc\x00\x01"], ids=["arrays", "maps", "array16"])
def test_deep_messagepack_is_not_followed(binary, opening):
    depth = (LIMIT - 100) // len(opening)
    binary.send_bytes(binary_call(opening * depth + b"\xc0"))
    expect_refusal(binary)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"k":', "}")], ids=["arrays", "objects"])
@pytest.mark.parametrize("depth", [65, 1000, 5000])
def test_json_deeper_than_64_is_not_followed(text, opening, closing, depth):
    argument = opening * depth + "1" + closing * depth
    text.send_bytes(b'{"type":1,"invocationId":"1","target":"join","arguments":[%s]}\x1e' % argument.encode())
    expect_refusal(text)


def test_json_of_depth_64_is_read(text):
    """The message and its arguments are two of the 64; the call fails for its type alone."""
    argument = "[" * 62 + "]" * 62
    text.send_bytes(b'{"type":1,"invocationId":"1","target":"join","arguments":[%s]}\x1e' % argument.encode())
    assert text.receive() == {
        "type": 3, "invocationId": "1", "error": "Failed to invoke 'join' due to an error on the server."}


def test_unknown_members_are_skipped_within_the_same_depth(text):
    text.send_bytes(b'{"type":6,"x":' + b"[" * 5000 + b"]" * 5000 + b"}\x1e")
    expect_closed(text)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 30_000, "0." + "1" * 30_000, "1e-999999999"])
def test_enormous_numbers_are_only_wrong_arguments(text, number):
    call = b'{"type":4,"invocationId":"1","target":"countdown","arguments":[%s]}\x1e' % number.encode()
    text.send_bytes(call)
    assert text.receive() == {
        "type": 3, "invocationId": "1", "error": "Failed to invoke 'countdown' due to an error on the server."}


def test_thousands_of_stream_ids_are_only_a_wrong_call(text):
    ids = [f"s{number}" for number in range(3000)]
    text.send({"type": 1, "invocationId": "1", "target": "sum", "arguments": [], "streamIds": ids})
    assert text.receive()["error"] == (
        "An unexpected error occurred invoking 'sum' on the server."
        " HubException: Client sent 3000 stream(s), Hub method expects 1.")


def test_an_upload_of_wrong_items_fails_its_call(text):
    call = text.start(1, "sum", streamIds=["s"])
    text.send({"type": 2, "invocationId": "s", "item": "not a number"})
    completion = text.receive()
    assert (completion["type"], completion["invocationId"]) == (3, call)
    assert completion["error"] == (
        "An unexpected error occurred invoking 'sum' on the server. HubException: Failed to bind Stream message.")
    assert text.invoke("join", "r")["result"] is None


# Many, and slow


def test_ten_thousand_half_open_negotiates(server, bystander):
    """Clients that ask and never come. Requests are pipelined, so that it is the server's time that is measured."""
    total, batch = 10_000, 500
    ask = f"POST {HUB}/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    tokens = set()
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as client:
        answers = client.makefile("rb")
        for _ in range(total // batch):
            client.sendall(ask * batch)
            for _ in range(batch):
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                length = 0
                while (line := answers.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                tokens.add(json.loads(answers.read(length))["connectionToken"])
    assert len(tokens) == total
    assert bystander.invoke("join", "r")["result"] is None
    with Hub(server, HUB, LongPollingTransport) as newcomer:
        assert newcomer.invoke("join", "r")["result"] is None


@pytest.mark.timeout(120)
def test_slow_requests_are_dropped_and_hold_up_nobody(server, bystander):
    """Fifty that never finish their headers and fifty that never finish their bodies; both get 30 seconds."""
    beginnings = [b"GET /hubs/chat HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST /hubs/chat/negotiate HTTP/1.1\r\n"
                  b"Host: x\r\nContent-Length: 100\r\n\r\nx"]
    clients = []
    for beginning in beginnings * 50:
        clients.append(socket.create_connection((server.host, server.port), timeout=60))
        clients[-1].sendall(beginning)
    for _ in range(100):
        assert bystander.invoke("join", "r")["result"] is None
        assert request(server, "POST", f"{HUB}/negotiate").status == 200
    for client in clients:
        received = b""
        while data := client.recv(65536):
            received += data
        assert received == b"" or received.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))
        client.close()


def test_headers_have_a_limit(server):
    answer = request(server, "GET", HUB, headers={"X-Large": "x" * 60_000})
    assert answer.status == 431


def test_a_body_has_a_limit(server):
    """It may end the request before all of it was sent."""
    transport = LongPollingTransport(server, HUB)
    connection = open_connection(server)
    try:
        connection.request("POST", transport.target, body=b"x" * (20 << 20))
        assert connection.getresponse().status in (400, 404, 413)
    except (BrokenPipeError, ConnectionResetError):
        pass
    transport.close()


@pytest.mark.parametrize("noise", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"GARBAGE\r\n\r\n", b"\x00" * 100,
    b"GET / HTTP/9.9\r\n\r\n", b"GET /hubs/chat HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /hubs/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
], ids=["TLS", "words", "zeros", "version", "negative length", "two lengths", "HTTP/2"])
def test_noise_on_the_port(server, noise):
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as client:
        client.sendall(noise)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := client.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        assert not answer.startswith(b"HTTP/1.1 2"), answer


def test_a_reader_that_stalls_is_dropped_and_the_others_get_everything(start_server):
    """20 MB for everybody; one client stops reading. Its queue has a bound, theirs stay empty."""
    server = start_server("--playground")
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.settimeout(PATIENCE)
    stalled.connect((server.host, server.port))
    stalled.sendall(
        f"GET {HUB} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    hello = b'{"protocol":"json","version":1}\x1e'
    stalled.sendall(struct.pack("!BB4x", 0x81, 0x80 | len(hello)) + hello)
    received = b""
    while b"{}\x1e" not in received:
        received += stalled.recv(4096)

    text = "x" * 30_000
    readers = [Hub(server, HUB) for _ in range(3)]
    rounds = 700
    for number in range(rounds):
        readers[0].send({"type": 1, "target": "send", "arguments": [str(number), text]})
        for reader in readers:
            assert reader.receive()["arguments"] == [str(number), text]
    total = 0
    try:
        while data := stalled.recv(1 << 20):
            total += len(data)
    except ConnectionResetError:
        pass
    assert total < rounds * len(text), "the stalled reader was never dropped"
    for reader in readers:
        assert reader.invoke("join", "r")["result"] is None
        reader.close()
