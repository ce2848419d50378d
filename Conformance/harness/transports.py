# SignalBox: the three transports as one byte stream each way, for clients that speak any hub protocol.
# SPDX-License-Identifier: Apache-2.0

import socket

from harness.http import negotiate, open_connection, exchange, request, with_query
from harness.server import PATIENCE, Server
from harness.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket


class TransportEnded(Exception):
    """The server ended the transport in order."""


class WebSocketTransport:
    kind, is_text_only = "WebSockets", False

    def __init__(self, server: Server, path: str, headers=None):
        self.negotiated = negotiate(server, path, headers=headers)
        target = with_query(path, f"id={self.negotiated['connectionToken']}")
        self.socket = WebSocket(server, target, headers)
        assert self.socket.answer.status == 101, self.socket.answer

    def send(self, data: bytes, is_binary: bool):
        self.socket.send(BINARY if is_binary else TEXT, data)

    def receive(self, is_binary: bool) -> bytes:
        while True:
            frame = self.socket.receive()
            if frame.opcode == CLOSE:
                self.socket.send(CLOSE, frame.payload)
                assert frame.close_code == 1000, frame
                raise TransportEnded
            if frame.opcode == PING:
                self.socket.send(PONG, frame.payload)
            elif frame.opcode in (TEXT, BINARY):
                assert frame.opcode == (BINARY if is_binary else TEXT), frame
                return frame.payload

    def close(self):
        self.socket.close()


class EventStream:
    """The answer of an SSE request, byte for byte."""

    def __init__(self, server: Server, target: str, headers=None):
        self.socket = socket.create_connection((server.host, server.port), timeout=PATIENCE)
        self.raw = b""
        fields = {"Host": f"{server.host}:{server.port}", "Accept": "text/event-stream"} | (headers or {})
        lines = [f"GET {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.raw:
            self._read_more()
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        self.is_chunked = self.headers.get("transfer-encoding") == "chunked"
        self.body = b""
        self.has_ended = False

    def _read_more(self):
        received = self.socket.recv(65536)
        if not received:
            raise EOFError("the server ended the connection")
        self.raw += received

    def read_more(self):
        """Waits for more of the body, free of its chunk marks; `has_ended` says that there is none."""
        if not self.is_chunked:
            received = self.socket.recv(65536) if not self.raw else b""
            self.has_ended = not received and not self.raw
            self.body, self.raw = self.body + self.raw + received, b""
            return
        while b"\r\n" not in self.raw:
            self._read_more()
        size, rest = self.raw.split(b"\r\n", 1)
        length = int(size, 16)
        while len(rest) < length + 2:
            self._read_more()
            rest = self.raw.split(b"\r\n", 1)[1]
        assert rest[length:length + 2] == b"\r\n"
        self.body, self.raw = self.body + rest[:length], rest[length + 2:]
        self.has_ended = length == 0

    def read_until(self, end: bytes) -> bytes:
        """The body up to and with `end`, taken off its front."""
        while end not in self.body:
            if self.has_ended:
                raise TransportEnded
            self.read_more()
        cut = self.body.index(end) + len(end)
        taken, self.body = self.body[:cut], self.body[cut:]
        return taken

    def close(self):
        self.socket.close()


class ServerSentEventsTransport:
    kind, is_text_only = "ServerSentEvents", True

    def __init__(self, server: Server, path: str, headers=None):
        self.server, self.headers = server, headers or {}
        self.negotiated = negotiate(server, path, headers=headers)
        self.target = with_query(path, f"id={self.negotiated['connectionToken']}")
        self.stream = EventStream(server, self.target, headers)
        assert self.stream.status == 200, self.stream.status
        assert self.stream.read_until(b"\r\n") == b":\r\n"

    def send(self, data: bytes, is_binary: bool):
        post(self, data, is_binary)

    def receive(self, is_binary: bool) -> bytes:
        event = self.stream.read_until(b"\r\n\r\n")
        lines = event[:-4].split(b"\r\n")
        assert all(line.startswith(b"data: ") for line in lines), event
        return b"\n".join(line[6:] for line in lines)

    def close(self):
        self.stream.close()


class LongPollingTransport:
    kind, is_text_only = "LongPolling", False

    def __init__(self, server: Server, path: str, headers=None):
        self.server, self.headers = server, headers or {}
        self.negotiated = negotiate(server, path, headers=headers)
        self.target = with_query(path, f"id={self.negotiated['connectionToken']}")
        self.polls = open_connection(server)
        first = exchange(self.polls, "GET", self.target, headers=self.headers)
        assert (first.status, first.body) == (200, b""), first

    def send(self, data: bytes, is_binary: bool):
        post(self, data, is_binary)

    def receive(self, is_binary: bool) -> bytes:
        answer = exchange(self.polls, "GET", self.target, headers=self.headers)
        if answer.status == 204:
            raise TransportEnded
        assert answer.status == 200, answer
        return answer.body

    def close(self):
        request(self.server, "DELETE", self.target, headers=self.headers)
        self.polls.close()


def post(transport, data: bytes, is_binary: bool):
    kind = "application/octet-stream" if is_binary else "text/plain;charset=UTF-8"
    answer = request(
        transport.server, "POST", transport.target, body=data, headers=transport.headers | {"Content-Type": kind}
    )
    assert (answer.status, answer.body) == (200, b""), answer


TRANSPORTS = [WebSocketTransport, ServerSentEventsTransport, LongPollingTransport]
